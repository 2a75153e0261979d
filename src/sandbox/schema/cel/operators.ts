/** The operators of CEL, its conversions, and what lists can do. https://github.com/google/cel-spec/blob/master/doc/langdef.md */
import { goDurationNanoseconds } from '../formats.ts';
import { compare, equals, joined } from './compare.ts';
import { type Declared, declare, declareEach } from './declare.ts';
import { nameOf } from './types.ts';
import {
  Duration,
  EvaluationError,
  keyText,
  ListValue,
  MapValue,
  ObjectValue,
  readTime,
  Timestamp,
  TypeValue,
  typeOfValue,
  Uint,
  type Value,
} from './values.ts';

const ordered = ['bool', 'int', 'uint', 'double', 'string', 'bytes', 'timestamp', 'duration'];
const numbers = ['int', 'uint', 'double'];

/** Pairs that `<` and its kin compare: two of one type, or two numbers of any. */
const comparable = [
  ...ordered.map((type) => `(${type}, ${type}) bool`),
  ...numbers.flatMap((one) => numbers.filter((other) => other !== one).map((other) => `(${one}, ${other}) bool`)),
];

const [MIN_INT, MAX_INT] = [-(2n ** 63n), 2n ** 63n - 1n];

function inRange(value: bigint): bigint {
  if (value < MIN_INT || value > MAX_INT) throw new EvaluationError('integer overflow');
  return value;
}

function nonZero(value: bigint, what: string): bigint {
  if (value === 0n) throw new EvaluationError(what);
  return value;
}

function sizeOf(value: string | Uint8Array | ListValue | MapValue): bigint {
  if (typeof value === 'string') return BigInt([...value].length);
  if (value instanceof Uint8Array) return BigInt(value.length);
  return BigInt(value instanceof ListValue ? value.items.length : value.entries.size);
}

function itemAt({ items }: ListValue, index: bigint): Value {
  const item = index < 0n ? undefined : items[Number(index)];
  if (item === undefined) throw new EvaluationError(`index out of bounds: ${index}`);
  return item;
}

function valueAt({ entries }: MapValue, key: Value): Value {
  const entry = entries.get(keyText(key));
  if (entry === undefined) throw new EvaluationError(`no such key: ${textOf(key)}`);
  return entry[1];
}

function typeName(value: Value): string {
  if (value === null) return 'null_type';
  if (value instanceof ListValue) return 'list';
  if (value instanceof MapValue || value instanceof ObjectValue) return 'map';
  if (value instanceof Timestamp) return 'google.protobuf.Timestamp';
  if (value instanceof Duration) return 'google.protobuf.Duration';
  return nameOf(typeOfValue(value));
}

/** A value as `string(x)` writes it. */
export function textOf(value: Value): string {
  if (value instanceof Timestamp) return timeText(value);
  if (value instanceof Duration) return durationText(value);
  if (value instanceof Uint) return String(value.value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  return String(value);
}

function timeText({ nanoseconds }: Timestamp): string {
  const ms = nanoseconds / 1_000_000n - (nanoseconds % 1_000_000n < 0n ? 1n : 0n);
  const fraction = String(((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n).padStart(9, '0');
  const digits = fraction.replace(/0+$/, '');
  return `${new Date(Number(ms)).toISOString().slice(0, 19)}${digits === '' ? '' : `.${digits}`}Z`;
}

function durationText({ nanoseconds }: Duration): string {
  const size = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = String(size % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${nanoseconds < 0n ? '-' : ''}${size / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}s`;
}

function noConversion(from: string, to: string): EvaluationError {
  return new EvaluationError(`type conversion error from '${from}' to '${to}'`);
}

function intFrom(text: string): bigint {
  if (!/^[+-]?\d+$/.test(text)) throw noConversion('string', 'int');
  return inRange(BigInt(text.replace('+', '')));
}

function doubleFrom(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isNaN(value) && text !== 'NaN') throw noConversion('string', 'double');
  return value;
}

function boolFrom(text: string): boolean {
  if (['1', 't', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['0', 'f', 'false', 'FALSE', 'False'].includes(text)) return false;
  throw noConversion('string', 'bool');
}

function durationFrom(text: string): Duration {
  const nanoseconds = goDurationNanoseconds(text);
  if (nanoseconds === undefined) throw noConversion('string', 'google.protobuf.Duration');
  return new Duration(BigInt(Math.round(nanoseconds)));
}

const operators: Declared[] = [
  declare('_==_', '(A, A) bool', equals),
  declare('_!=_', '(A, A) bool', (one: Value, other: Value) => !equals(one, other)),
  ...declareEach('_<_', comparable, (one: Value, other: Value) => compare(one, other) < 0),
  ...declareEach('_<=_', comparable, (one: Value, other: Value) => compare(one, other) <= 0),
  ...declareEach('_>_', comparable, (one: Value, other: Value) => compare(one, other) > 0),
  ...declareEach('_>=_', comparable, (one: Value, other: Value) => compare(one, other) >= 0),
  declare('!_', '(bool) bool', (value: boolean) => !value),
  declare('-_', '(int) int', (value: bigint) => inRange(-value)),
  declare('-_', '(double) double', (value: number) => -value),
  declare('_+_', '(int, int) int', (one: bigint, other: bigint) => inRange(one + other)),
  declare('_+_', '(uint, uint) uint', (one: Uint, other: Uint) => new Uint(one.value + other.value)),
  declare('_+_', '(double, double) double', (one: number, other: number) => one + other),
  declare('_+_', '(string, string) string', (one: string, other: string) => one + other),
  declare('_+_', '(bytes, bytes) bytes', (one: Uint8Array, other: Uint8Array) => Buffer.concat([one, other])),
  declare('_+_', '(list(A), list(A)) list(A)', joined),
  declare(
    '_+_',
    '(timestamp, duration) timestamp',
    (time: Timestamp, length: Duration) => new Timestamp(time.nanoseconds + length.nanoseconds),
  ),
  declare(
    '_+_',
    '(duration, timestamp) timestamp',
    (length: Duration, time: Timestamp) => new Timestamp(time.nanoseconds + length.nanoseconds),
  ),
  declare(
    '_+_',
    '(duration, duration) duration',
    (one: Duration, other: Duration) => new Duration(one.nanoseconds + other.nanoseconds),
  ),
  declare('_-_', '(int, int) int', (one: bigint, other: bigint) => inRange(one - other)),
  declare('_-_', '(uint, uint) uint', (one: Uint, other: Uint) => new Uint(one.value - other.value)),
  declare('_-_', '(double, double) double', (one: number, other: number) => one - other),
  declare(
    '_-_',
    '(timestamp, timestamp) duration',
    (one: Timestamp, other: Timestamp) => new Duration(one.nanoseconds - other.nanoseconds),
  ),
  declare(
    '_-_',
    '(timestamp, duration) timestamp',
    (time: Timestamp, length: Duration) => new Timestamp(time.nanoseconds - length.nanoseconds),
  ),
  declare(
    '_-_',
    '(duration, duration) duration',
    (one: Duration, other: Duration) => new Duration(one.nanoseconds - other.nanoseconds),
  ),
  declare('_*_', '(int, int) int', (one: bigint, other: bigint) => inRange(one * other)),
  declare('_*_', '(uint, uint) uint', (one: Uint, other: Uint) => new Uint(one.value * other.value)),
  declare('_*_', '(double, double) double', (one: number, other: number) => one * other),
  declare('_/_', '(int, int) int', (one: bigint, other: bigint) => inRange(one / nonZero(other, 'division by zero'))),
  declare(
    '_/_',
    '(uint, uint) uint',
    (one: Uint, other: Uint) => new Uint(one.value / nonZero(other.value, 'division by zero')),
  ),
  declare('_/_', '(double, double) double', (one: number, other: number) => one / other),
  declare('_%_', '(int, int) int', (one: bigint, other: bigint) => one % nonZero(other, 'modulus by zero')),
  declare(
    '_%_',
    '(uint, uint) uint',
    (one: Uint, other: Uint) => new Uint(one.value % nonZero(other.value, 'modulus by zero')),
  ),
  declare('_[_]', '(list(A), int) A', itemAt),
  declare('_[_]', '(map(A, B), A) B', valueAt),
  declare('@in', '(A, list(A)) bool', (item: Value, { items }: ListValue) => items.some((one) => equals(one, item))),
  declare('@in', '(A, map(A, B)) bool', (key: Value, { entries }: MapValue) => entries.has(keyText(key))),
];

const conversions: Declared[] = [
  ...declareEach('size', ['(string) int', '(bytes) int', '(list(A)) int', '(map(A, B)) int'], sizeOf),
  ...declareEach('size', ['string.() int', 'bytes.() int', 'list(A).() int', 'map(A, B).() int'], sizeOf),
  declare('type', '(A) type', (value: Value) => new TypeValue(typeName(value))),
  declare('dyn', '(A) dyn', (value: Value) => value),
  declare('int', '(int) int', (value: bigint) => value),
  declare('int', '(uint) int', ({ value }: Uint) => inRange(value)),
  declare('int', '(double) int', (value: number) => {
    if (!Number.isFinite(value)) throw new EvaluationError('integer overflow');
    return inRange(BigInt(Math.trunc(value)));
  }),
  declare('int', '(string) int', intFrom),
  declare('int', '(timestamp) int', ({ nanoseconds }: Timestamp) => nanoseconds / 1_000_000_000n),
  declare('uint', '(int) uint', (value: bigint) => new Uint(value)),
  declare('uint', '(uint) uint', (value: Uint) => value),
  declare('uint', '(double) uint', (value: number) => new Uint(BigInt(Math.trunc(value)))),
  declare('uint', '(string) uint', (text: string) => new Uint(intFrom(text))),
  declare('double', '(double) double', (value: number) => value),
  declare('double', '(int) double', (value: bigint) => Number(value)),
  declare('double', '(uint) double', ({ value }: Uint) => Number(value)),
  declare('double', '(string) double', doubleFrom),
  declare('bool', '(bool) bool', (value: boolean) => value),
  declare('bool', '(string) bool', boolFrom),
  ...declareEach(
    'string',
    ['string', 'bool', 'int', 'uint', 'double', 'bytes', 'timestamp', 'duration'].map((type) => `(${type}) string`),
    textOf,
  ),
  declare('bytes', '(bytes) bytes', (value: Uint8Array) => value),
  declare('bytes', '(string) bytes', (text: string) => new Uint8Array(Buffer.from(text))),
  declare('timestamp', '(timestamp) timestamp', (time: Timestamp) => time),
  declare('timestamp', '(int) timestamp', (seconds: bigint) => new Timestamp(seconds * 1_000_000_000n)),
  declare('timestamp', '(string) timestamp', readTime),
  declare('duration', '(duration) duration', (length: Duration) => length),
  declare('duration', '(string) duration', durationFrom),
];

/** A list's items from the smallest on. */
function extreme(sign: 1 | -1, what: string) {
  return ({ items: [first, ...rest] }: ListValue): Value => {
    if (first === undefined) throw new EvaluationError(`${what} called on empty list`);
    return rest.reduce((best, item) => (compare(item, best) * sign < 0 ? item : best), first);
  };
}

function placeOf(find: (items: readonly Value[], matches: (item: Value) => boolean) => number) {
  return ({ items }: ListValue, wanted: Value) => BigInt(find(items, (item) => equals(item, wanted)));
}

function isSorted({ items }: ListValue): boolean {
  return items.every((item, at) => at === 0 || compare(items[at - 1] ?? null, item) <= 0);
}

function isWithin(one: ListValue, other: ListValue): boolean {
  return other.items.every((item) => one.items.some((known) => equals(known, item)));
}

/** What Kubernetes adds for lists. https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-list-library */
const lists: Declared[] = [
  ...declareEach(
    'isSorted',
    ordered.map((type) => `list(${type}).() bool`),
    isSorted,
  ),
  ...declareEach(
    'min',
    ordered.map((type) => `list(${type}).() ${type}`),
    extreme(1, 'min'),
  ),
  ...declareEach(
    'max',
    ordered.map((type) => `list(${type}).() ${type}`),
    extreme(-1, 'max'),
  ),
  declare('sum', 'list(int).() int', ({ items }: ListValue) =>
    items.reduce<bigint>((sum, item) => inRange(sum + (item as bigint)), 0n),
  ),
  declare('sum', 'list(uint).() uint', ({ items }: ListValue) =>
    items.reduce<Uint>((sum, item) => new Uint(sum.value + (item as Uint).value), new Uint(0n)),
  ),
  declare('sum', 'list(double).() double', ({ items }: ListValue) =>
    items.reduce<number>((sum, item) => sum + (item as number), 0),
  ),
  declare('sum', 'list(duration).() duration', ({ items }: ListValue) =>
    items.reduce<Duration>(
      (sum, item) => new Duration(sum.nanoseconds + (item as Duration).nanoseconds),
      new Duration(0n),
    ),
  ),
  declare(
    'indexOf',
    'list(A).(A) int',
    placeOf((items, matches) => items.findIndex(matches)),
  ),
  declare(
    'lastIndexOf',
    'list(A).(A) int',
    placeOf((items, matches) => items.findLastIndex(matches)),
  ),
  declare('sets.contains', '(list(A), list(A)) bool', isWithin),
  declare(
    'sets.equivalent',
    '(list(A), list(A)) bool',
    (one: ListValue, other: ListValue) => isWithin(one, other) && isWithin(other, one),
  ),
  declare('sets.intersects', '(list(A), list(A)) bool', ({ items }: ListValue, other: ListValue) =>
    items.some((item) => other.items.some((known) => equals(known, item))),
  ),
];

/** All of these. */
export const operatorLibrary: readonly Declared[] = [...operators, ...conversions, ...lists];
