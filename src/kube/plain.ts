/** Texts that others wrote, made fit for one line of a log, a condition or an Event. */

/** Control characters, line breaks, and what turns the direction of the text behind it. */
const UNFIT = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu;

/**
 * `text` as one line of well-formed characters, at most `mostBytes` (at least 3) of UTF-8. What is longer is cut between two
 * characters and ends in `…`. Never throws.
 */
export function plainText(text: string, mostBytes: number): string {
  // Nobody waits for the cleaning of megabytes of which a kilobyte is kept.
  const head = text.slice(0, 4 * mostBytes);
  const line = head.toWellFormed().replace(UNFIT, ' ').trim();
  const bytes = Buffer.from(line);
  if (bytes.length <= mostBytes && head.length === text.length) return line;
  let end = Math.min(bytes.length, mostBytes - ELLIPSIS.length);
  while (end > 0 && isInsideCharacter(bytes[end])) end--;
  return bytes.toString('utf8', 0, end) + ELLIPSIS.toString();
}

const ELLIPSIS = Buffer.from('…');

/** https://www.rfc-editor.org/rfc/rfc3629#section-3 */
function isInsideCharacter(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
