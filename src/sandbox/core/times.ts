/** Times as the server reads and writes them: RFC 3339, to the second or to the millionth of one. */

/** How exact a time is. */
export type Precision = 'seconds' | 'micros';

const layouts: Record<Precision, string> = {
  seconds: '2006-01-02T15:04:05Z07:00',
  micros: '2006-01-02T15:04:05.000000Z07:00',
};

/** Why the server cannot read a time, in the words of Go's time package; undefined when it can. */
export function timeProblem(text: string, precision: Precision): string | undefined {
  const layout = layouts[precision];
  const numbers: number[] = [];
  let rest = text;
  for (const [expression, part] of partsOf(precision)) {
    const found = expression.exec(rest)?.[0];
    if (found === undefined) {
      return `parsing time ${quoted(text)} as ${quoted(layout)}: cannot parse ${quoted(rest)} as ${quoted(part)}`;
    }
    if (/^\d+$/.test(found)) numbers.push(Number(found));
    rest = rest.slice(found.length);
    const range = outOfRange(numbers);
    if (range !== undefined) return `parsing time ${quoted(text)}: ${range} out of range`;
  }
  if (rest !== '') return `parsing time ${quoted(text)}: extra text: ${quoted(rest)}`;
  const [year = 0, month = 1, day = 1] = numbers;
  return day > new Date(Date.UTC(year, month, 0)).getUTCDate()
    ? `parsing time ${quoted(text)}: day out of range`
    : undefined;
}

/** A time that can be read, as the server writes it: in UTC, finer parts than its precision cut off. */
export function writeTime(text: string, precision: Precision): string {
  const [, whole = '', fraction = '', zone = ''] = /^(.{19})(?:\.(\d+))?(.*)$/.exec(text) ?? [];
  const seconds = new Date(Date.parse(`${whole}${zone}`)).toISOString().slice(0, 19);
  return precision === 'seconds' ? `${seconds}Z` : `${seconds}.${fraction.slice(0, 6).padEnd(6, '0')}Z`;
}

/** The moment as objects have it. */
export function secondsOf(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}

/** What stands in a time one after the other, and what Go calls it. */
function partsOf(precision: Precision): readonly (readonly [RegExp, string])[] {
  const two = /^\d\d/;
  return [
    [/^\d{4}/, '2006'],
    [/^-/, '-'],
    [two, '01'],
    [/^-/, '-'],
    [two, '02'],
    [/^T/, 'T'],
    [two, '15'],
    [/^:/, ':'],
    [two, '04'],
    [/^:/, ':'],
    [two, '05'],
    precision === 'micros' ? [/^\.\d{6}\d*/, '.000000'] : [/^(?:\.\d+)?/, ''],
    [/^(?:Z|[+-]\d\d:\d\d)/, 'Z07:00'],
  ];
}

/** The name of the last number if it cannot be; whether a day is one of its month shows at the end. */
function outOfRange(numbers: readonly number[]): string | undefined {
  const names = ['year', 'month', 'day', 'hour', 'minute', 'second'];
  const [least, most] = [
    [0, 1, 1, 0, 0, 0],
    [9999, 12, 31, 23, 59, 59],
  ];
  const place = numbers.length - 1;
  const number = numbers[place];
  if (number === undefined) return undefined;
  return number < (least[place] ?? 0) || number > (most[place] ?? 0) ? names[place] : undefined;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
