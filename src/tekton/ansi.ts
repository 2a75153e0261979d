/** Escape sequences of terminals, taken out of what a step wrote. ECMA-48, and xterm's strings of the system. */
import type { LogLine } from '../kube/lines.ts';

const BEL = 0x07;
const ESC = 0x1b;
const BACKSLASH = 0x5c;
const OPENING_BRACKET = 0x5b;
/** `P`, `X`, `]`, `^`, `_`: what follows is text for the terminal itself, such as a window's title or the target of a link. */
const STRING_OPENINGS: ReadonlySet<number> = new Set(Buffer.from('PX]^_'));

/** What a byte is: of the text, or of a sequence and where in it. */
type Place = 'text' | 'escape' | 'intermediate' | 'control' | 'string' | 'string escape' | 'end';

/**
 * Makes what takes the escape sequences out of one container's lines, given in order: colours, movements of the cursor,
 * titles, links, in their seven-bit forms. A sequence goes on from fragment to fragment and ends with its line at the
 * latest. A line without any comes back as it is, not as a copy.
 */
export function ansiStripper(): (line: LogLine) => Buffer {
  let place: Place = 'text';
  return ({ text, part }) => {
    if (part === 'whole' || part === 'first') place = 'text';
    const start = place === 'text' || place === 'end' ? text.indexOf(ESC) : 0;
    if (start === -1) return text;
    const kept = Buffer.allocUnsafe(text.length);
    kept.set(text.subarray(0, start));
    let end = start;
    for (const byte of text.subarray(start)) {
      place = placeOf(byte, place);
      if (place === 'text') kept[end++] = byte;
    }
    return kept.subarray(0, end);
  };
}

function placeOf(byte: number, before: Place): Place {
  switch (before) {
    case 'text':
    case 'end':
      return byte === ESC ? 'escape' : 'text';
    case 'escape':
      if (byte === OPENING_BRACKET) return 'control';
      if (STRING_OPENINGS.has(byte)) return 'string';
      return endOf(byte, { inner: [0x20, 0x2f], place: 'intermediate' });
    case 'intermediate':
      return endOf(byte, { inner: [0x20, 0x2f], place: 'intermediate' });
    case 'control':
      return endOf(byte, { inner: [0x20, 0x3f], place: 'control' });
    case 'string':
      return byte === BEL ? 'end' : byte === ESC ? 'string escape' : 'string';
    case 'string escape':
      return byte === BACKSLASH ? 'end' : placeOf(byte, 'escape');
  }
}

/** What has parameters or intermediates goes on with them and ends with any other printable character. Else it was none. */
function endOf(byte: number, { inner: [from, to], place }: { inner: readonly [number, number]; place: Place }): Place {
  if (byte === ESC) return 'escape';
  if (byte >= from && byte <= to) return place;
  return byte > to && byte <= 0x7e ? 'end' : 'text';
}
