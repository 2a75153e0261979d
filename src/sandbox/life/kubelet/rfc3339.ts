/** Times as Go's `time.Parse(time.RFC3339, ...)` reads and refuses them, because its refusals reach whoever asks the API. */

const layout = '2006-01-02T15:04:05Z07:00';

/** The layout's parts in order, each with what fits it; a fraction of a second is taken though the layout has none. */
const parts: readonly (readonly [name: string, fits: RegExp])[] = [
  ['2006', /^\d{4}/],
  ['-', /^-/],
  ['01', /^\d{2}/],
  ['-', /^-/],
  ['02', /^\d{2}/],
  ['T', /^T/],
  ['15', /^\d{2}/],
  [':', /^:/],
  ['04', /^\d{2}/],
  [':', /^:/],
  ['05', /^\d{2}(?:[.,]\d+)?/],
  ['Z07:00', /^(?:Z|[-+]\d{2}:\d{2})/],
];

/** Milliseconds since the epoch, finer digits dropped, or Go's sentence about what is wrong. */
export function parseTime(text: string): { readonly ms: number } | { readonly error: string } {
  const begin = `parsing time ${JSON.stringify(text)}`;
  let rest = text;
  for (const [name, fits] of parts) {
    const found = fits.exec(rest)?.[0];
    if (found === undefined) {
      return { error: `${begin} as "${layout}": cannot parse ${JSON.stringify(rest)} as "${name}"` };
    }
    rest = rest.slice(found.length);
  }
  if (rest !== '') return { error: `${begin}: extra text: ${JSON.stringify(rest)}` };
  const outOfRange = fieldOutOfRange(text);
  if (outOfRange !== undefined) return { error: `${begin}: ${outOfRange} out of range` };
  return { ms: Date.parse(text.replace(',', '.')) };
}

function fieldOutOfRange(text: string): string | undefined {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = text.split(/\D/).map(Number);
  if (month < 1 || month > 12) return 'month';
  if (hour > 23) return 'hour';
  if (minute > 59) return 'minute';
  if (second > 59) return 'second';
  return day < 1 || day > new Date(Date.UTC(year, month, 0)).getUTCDate() ? 'day' : undefined;
}
