/**
 * The string formats that a schema may ask for, as strictly as the API server takes them.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation
 */
import { isIP, isIPv4, isIPv6 } from 'node:net';

/** Formats of `type: string` that are checked. Others are stored, warned about and not checked. */
export const stringFormats: ReadonlyMap<string, (text: string) => boolean> = new Map<string, (text: string) => boolean>(
  [
    ['bsonobjectid', (text) => /^[0-9a-fA-F]{24}$/.test(text)],
    ['uri', isUri],
    ['email', (text) => /^(?:[^<>]*<)?[^\s@<>"(),:;[\]\\]+@[^\s@<>"(),:;[\]\\]+>?$/.test(text)],
    ['hostname', isHostname],
    ['ipv4', isIPv4],
    ['ipv6', (text) => isIPv6(text) && !text.includes('%')],
    ['cidr', isCidr],
    ['mac', isMac],
    ['uuid', (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(text)],
    ['uuid3', (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(text)],
    ['uuid4', (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i.test(text)],
    ['uuid5', (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i.test(text)],
    ['hexcolor', (text) => /^#?(?:[0-9a-f]{3}|[0-9a-f]{6})$/i.test(text)],
    ['byte', isBase64],
    ['password', () => true],
    ['date', isDate],
    ['duration', (text) => durationNanoseconds(text) !== undefined],
    ['date-time', isDateTime],
    ['datetime', isDateTime],
  ],
);

/** Formats of numbers, which the API server knows and does not check. */
export const numberFormats: ReadonlySet<string> = new Set(['int32', 'int64', 'float', 'double']);

/** RFC 3339 as the API server reads it in a custom resource: `T` and `Z` in either case, a zone demanded. */
export function isDateTime(text: string): boolean {
  const match = /^(\d{4}-\d{2}-\d{2})t(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:z|[+-]\d{2}:\d{2})$/i.exec(text);
  if (match === null) return false;
  const [, day = '', hour = '', minute = '', second = ''] = match;
  return isDate(day) && hour <= '23' && minute <= '59' && second <= '59';
}

/**
 * A duration in nanoseconds: Go's form (`1h30m`, `1.5s`, `-2m`) or numbers with a unit up to weeks (`2 days`); undefined when
 * it is neither.
 */
export function durationNanoseconds(text: string): number | undefined {
  const go = goDurationNanoseconds(text);
  if (go !== undefined) return go;
  let sum: number | undefined;
  for (const [, count = '', unit = ''] of text.matchAll(/(\d+)\s*([A-Za-zµ]+)/g)) {
    const scale = wordScale(unit);
    if (scale === undefined) continue;
    sum = (sum ?? 0) + Number(count) * scale;
  }
  return sum;
}

/** A duration as Go's `time.ParseDuration` takes it, in nanoseconds; undefined when it does not. */
export function goDurationNanoseconds(text: string): number | undefined {
  const match = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text);
  if (match === null) return undefined;
  let sum = 0;
  for (const [, count = '', unit = ''] of (match[2] ?? '').matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    sum += Number(count) * (scales[unit] ?? 0);
  }
  return match[1] === '-' ? -sum : sum;
}

const scales: { readonly [unit: string]: number } = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

const units: readonly { readonly starts: readonly string[]; readonly nanoseconds: number }[] = [
  { starts: ['ns', 'nano'], nanoseconds: 1 },
  { starts: ['us', 'µs', 'micro'], nanoseconds: 1e3 },
  { starts: ['ms', 'milli'], nanoseconds: 1e6 },
  { starts: ['s', 'sec'], nanoseconds: 1e9 },
  { starts: ['m', 'min'], nanoseconds: 60e9 },
  { starts: ['h', 'hr', 'hour'], nanoseconds: 3600e9 },
  { starts: ['d', 'day'], nanoseconds: 86400e9 },
  { starts: ['w', 'wk', 'week'], nanoseconds: 604800e9 },
];

function wordScale(word: string): number | undefined {
  const lower = word.toLowerCase();
  return (
    units.find(({ starts }) => starts.includes(lower)) ??
    units.find(({ starts }) => starts.some((start) => start.length > 2 && lower.startsWith(start)))
  )?.nanoseconds;
}

function isDate(text: string): boolean {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (match === null) return false;
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

function isUri(text: string): boolean {
  if (/[\s\x00-\x1f\x7f]/.test(text)) return false;
  return text.startsWith('/') || /^[a-z][a-z0-9+.-]*:(?:\/\/[^/?#]*)?[^#]*$/i.test(text);
}

function isHostname(text: string): boolean {
  const labels = text.split('.');
  if (!labels.every((label) => /^[\p{L}\p{S}\d](?:[\p{L}\p{S}\d-]{0,61}[\p{L}\p{S}\d])?$/u.test(label))) return false;
  return labels.length === 1 || /^[\p{L}]{2,63}$/u.test(labels.at(-1) ?? '');
}

function isCidr(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/');
  const version = isIP(address);
  return rest.length === 0 && version !== 0 && /^\d{1,3}$/.test(length) && Number(length) <= (version === 4 ? 32 : 128);
}

function isMac(text: string): boolean {
  return /^(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5,19}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5,19}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2,9})$/i.test(
    text,
  );
}

function isBase64(text: string): boolean {
  return /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/.test(text);
}
