/** What CEL's string extension and Kubernetes' regular expressions can do. https://kubernetes.io/docs/reference/using-api/cel/ */
import { createContext, Script } from 'node:vm';
import { RE2JS } from '@bufbuild/re2';
import { type Declared, declare, declareEach } from './declare.ts';
import { textOf } from './operators.ts';
import {
  type Duration,
  EvaluationError,
  ListValue,
  MapValue,
  type Timestamp,
  TypeValue,
  Uint,
  type Value,
} from './values.ts';

/** Strings are counted in code points. */
function indexFault(index: bigint): EvaluationError {
  return new EvaluationError(`index out of range: ${index}`);
}

function charAt(text: string, index: bigint): string {
  const characters = [...text];
  if (index < 0n || index > characters.length) throw indexFault(index);
  return characters[Number(index)] ?? '';
}

function substring(text: string, from: bigint, to?: bigint): string {
  const characters = [...text];
  const end = to ?? BigInt(characters.length);
  if (from < 0n || from > characters.length) throw indexFault(from);
  if (end < 0n || end > characters.length) throw indexFault(end);
  if (from > end) throw new EvaluationError(`invalid substring range. start: ${from}, end: ${end}`);
  return characters.slice(Number(from), Number(end)).join('');
}

function indexOf(text: string, part: string, from = 0n): bigint {
  const characters = [...text];
  if (from < 0n || from > characters.length) throw indexFault(from);
  const found = characters.slice(Number(from)).join('').indexOf(part);
  return found < 0 ? -1n : from + BigInt([...characters.slice(Number(from)).join('').slice(0, found)].length);
}

function lastIndexOf(text: string, part: string, from?: bigint): bigint {
  const characters = [...text];
  if (from !== undefined && (from < 0n || from > characters.length)) throw indexFault(from);
  const reach = from === undefined ? characters.length : Number(from) + [...part].length;
  const found = characters.slice(0, reach).join('').lastIndexOf(part);
  return found < 0 ? -1n : BigInt([...characters.slice(0, reach).join('').slice(0, found)].length);
}

function replace(text: string, part: string, other: string, most = -1n): string {
  if (most === 0n) return text;
  const pieces = text.split(part);
  const limit = most < 0n ? pieces.length - 1 : Math.min(Number(most), pieces.length - 1);
  checkLength(text.length + limit * other.length);
  return (
    pieces.slice(0, limit + 1).join(other) +
    pieces
      .slice(limit + 1)
      .map((piece) => part + piece)
      .join('')
  );
}

/** What is made of texts may be long, not endless. */
function checkLength(length: number): void {
  if (length > 10_000_000) throw new EvaluationError('operation cancelled: actual cost limit exceeded');
}

function split(text: string, separator: string, most = -1n): ListValue {
  if (most === 0n) return new ListValue([]);
  const pieces = separator === '' ? [...text] : text.split(separator);
  if (most < 0n || pieces.length <= most) return new ListValue(pieces);
  const head = pieces.slice(0, Number(most) - 1);
  return new ListValue([...head, pieces.slice(Number(most) - 1).join(separator)]);
}

function join({ items }: ListValue, separator = ''): string {
  const texts = items.map(String);
  checkLength(texts.reduce((length, text) => length + text.length + separator.length, 0));
  return texts.join(separator);
}

function asciiCase(text: string, range: RegExp, by: 32 | -32): string {
  return text.replace(range, (letter) => String.fromCharCode(letter.charCodeAt(0) + by));
}

function matches(text: string, pattern: string): boolean {
  return compiled(pattern).test(text);
}

function compiled(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    throw new EvaluationError(error instanceof Error ? error.message : String(error));
  }
}

/** The regular expressions that know positions, in a context of their own: only such a one can be stopped. */
const searching = createContext({ text: '', source: '', flags: '' });
const search = new Script('Array.from(text.matchAll(new RegExp(source, flags)), (match) => match[0])');
const LONGEST_SEARCH_MS = 100;

/** All matches. The engine behind `matches` takes no time to speak of, and knows no positions. */
function found(text: string, pattern: string): string[] {
  if (!compiled(pattern).test(text)) return [];
  const flags = /^\(\?([ims]+)\)/.exec(pattern);
  const source = pattern
    .slice(flags?.[0].length ?? 0)
    .replace(/\(\?P</g, '(?<')
    .replace(/\\z/g, '$')
    .replace(/\\A/g, '^');
  try {
    Object.assign(searching, { text, source, flags: `g${flags?.[1] ?? ''}` });
    return Array.from(search.runInContext(searching, { timeout: LONGEST_SEARCH_MS }) as string[]);
  } catch {
    throw new EvaluationError('operation cancelled: actual cost limit exceeded');
  }
}

function quotedText(text: string): string {
  return JSON.stringify(text);
}

/** `format`: `%s %d %f %e %b %x %X %o` and `%%`. https://pkg.go.dev/github.com/google/cel-go/ext#Strings */
function format(template: string, { items }: ListValue): string {
  let at = 0;
  return template.replace(/%(?:\.(\d+))?([a-zA-Z%])/g, (_, precision: string | undefined, clause: string) => {
    if (clause === '%') return '%';
    const value = items[at];
    if (value === undefined) throw new EvaluationError(`index ${at} out of range`);
    at += 1;
    return formatted(value, clause, precision === undefined ? undefined : Number(precision));
  });
}

function formatted(value: Value, clause: string, precision: number | undefined): string {
  const number = value instanceof Uint ? value.value : value;
  switch (clause) {
    case 's':
      return shownText(value);
    case 'd':
      if (typeof number === 'bigint') return String(number);
      break;
    case 'f':
      if (typeof number === 'number') return number.toFixed(precision ?? 6);
      break;
    case 'e':
      if (typeof number === 'number') {
        return number.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, 'e$10$2');
      }
      break;
    case 'b':
      if (typeof number === 'bigint') return number.toString(2);
      if (typeof number === 'boolean') return number ? '1' : '0';
      break;
    case 'o':
      if (typeof number === 'bigint') return number.toString(8);
      break;
    case 'x':
    case 'X': {
      const text = hexText(number);
      if (text !== undefined) return clause === 'X' ? text.toUpperCase() : text;
      break;
    }
    default:
      throw new EvaluationError(`could not parse formatting clause: unrecognized formatting clause "${clause}"`);
  }
  throw new EvaluationError('error during formatting: no such overload');
}

function hexText(value: Value): string | undefined {
  if (typeof value === 'bigint') return value.toString(16);
  if (typeof value === 'string') return Buffer.from(value).toString('hex');
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : undefined;
}

function shownText(value: Value): string {
  if (value instanceof ListValue) return `[${value.items.map(shownText).join(', ')}]`;
  if (value instanceof MapValue) {
    const entries = [...value.entries.values()].map(([key, item]) => `${shownText(key)}: ${shownText(item)}`);
    return `{${entries.sort().join(', ')}}`;
  }
  return value instanceof TypeValue ? value.name : textOf(value);
}

/** A part of a time, in UTC or in the zone that is named. */
function timePart(part: (date: Date) => number) {
  return ({ nanoseconds }: Timestamp, zone?: string): bigint => {
    const ms = Number(nanoseconds / 1_000_000n);
    return BigInt(part(new Date(ms + (zone === undefined ? 0 : offsetMs(zone, ms)))));
  };
}

/** How far a zone is ahead of UTC at a time. */
function offsetMs(zone: string, ms: number): number {
  const fixed = /^([+-]?)(\d\d):(\d\d)$/.exec(zone);
  if (fixed !== null) {
    const size = (Number(fixed[2]) * 60 + Number(fixed[3])) * 60_000;
    return fixed[1] === '-' ? -size : size;
  }
  try {
    const parts = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    }).formatToParts(ms);
    const read = (type: string) => Number(parts.find((one) => one.type === type)?.value);
    const local = Date.UTC(read('year'), read('month') - 1, read('day'), read('hour'), read('minute'), read('second'));
    return local - (ms - (ms % 1000));
  } catch {
    throw new EvaluationError(`unknown time zone ${zone}`);
  }
}

function dayOfYear(date: Date): number {
  return Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000);
}

const timeParts: readonly (readonly [string, (date: Date) => number])[] = [
  ['getFullYear', (date) => date.getUTCFullYear()],
  ['getMonth', (date) => date.getUTCMonth()],
  ['getDate', (date) => date.getUTCDate()],
  ['getDayOfMonth', (date) => date.getUTCDate() - 1],
  ['getDayOfWeek', (date) => date.getUTCDay()],
  ['getDayOfYear', dayOfYear],
  ['getHours', (date) => date.getUTCHours()],
  ['getMinutes', (date) => date.getUTCMinutes()],
  ['getSeconds', (date) => date.getUTCSeconds()],
  ['getMilliseconds', (date) => date.getUTCMilliseconds()],
];

const durationParts: readonly (readonly [string, bigint])[] = [
  ['getHours', 3_600_000_000_000n],
  ['getMinutes', 60_000_000_000n],
  ['getSeconds', 1_000_000_000n],
  ['getMilliseconds', 1_000_000n],
];

/** All of these, and the parts of times. */
export const stringLibrary: readonly Declared[] = [
  declare('contains', 'string.(string) bool', (text: string, part: string) => text.includes(part)),
  declare('startsWith', 'string.(string) bool', (text: string, part: string) => text.startsWith(part)),
  declare('endsWith', 'string.(string) bool', (text: string, part: string) => text.endsWith(part)),
  declare('matches', 'string.(string) bool', matches),
  declare('matches', '(string, string) bool', matches),
  declare('find', 'string.(string) string', (text: string, pattern: string) => found(text, pattern)[0] ?? ''),
  declare(
    'findAll',
    'string.(string) list(string)',
    (text: string, pattern: string) => new ListValue(found(text, pattern)),
  ),
  declare('findAll', 'string.(string, int) list(string)', (text: string, pattern: string, most: bigint) => {
    const all = found(text, pattern);
    return new ListValue(most < 0n ? all : all.slice(0, Number(most)));
  }),
  declare('charAt', 'string.(int) string', charAt),
  ...declareEach('indexOf', ['string.(string) int', 'string.(string, int) int'], indexOf),
  ...declareEach('lastIndexOf', ['string.(string) int', 'string.(string, int) int'], lastIndexOf),
  ...declareEach('replace', ['string.(string, string) string', 'string.(string, string, int) string'], replace),
  ...declareEach('split', ['string.(string) list(string)', 'string.(string, int) list(string)'], split),
  ...declareEach('substring', ['string.(int) string', 'string.(int, int) string'], substring),
  ...declareEach('join', ['list(string).() string', 'list(string).(string) string'], join),
  declare('lowerAscii', 'string.() string', (text: string) => asciiCase(text, /[A-Z]/g, 32)),
  declare('upperAscii', 'string.() string', (text: string) => asciiCase(text, /[a-z]/g, -32)),
  declare('trim', 'string.() string', (text: string) => text.trim()),
  declare('format', 'string.(list(dyn)) string', format),
  declare('strings.quote', '(string) string', quotedText),
  ...timeParts.flatMap(([name, part]) =>
    declareEach(name, ['timestamp.() int', 'timestamp.(string) int'], timePart(part)),
  ),
  ...durationParts.map(([name, unit]) =>
    declare(name, 'duration.() int', ({ nanoseconds }: Duration) => nanoseconds / unit),
  ),
];
