/**
 * The functions that expressions of Triggers may call beyond those that CEL itself has: its own, and those of cel-go's extensions that
 * belong to what we support. What they say when they fail begins with their name and has nothing of what they were given.
 * https://tekton.dev/docs/triggers/cel_expressions/
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import {
  type CelFunc,
  type CelInput,
  type CelList,
  type CelMap,
  CelScalar,
  type CelValue,
  celEnv,
  celFunc,
  celList,
  celListConcat,
  celMethod,
  celUint,
  isCelError,
  isCelList,
  isCelMap,
  listType,
  mapType,
  objectType,
} from '@bufbuild/cel';
import { strings as libraryStrings } from '@bufbuild/cel/ext';
import { create, toJson } from '@bufbuild/protobuf';
import { DurationSchema, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { parseDocument, type Tags } from 'yaml';
import { canonicalHeader } from '../headers.ts';
import type { Json } from '../request.ts';
import { shortFraction } from './format.ts';
import { compiled, replaceAll } from './regex.ts';
import { stringFunctions } from './strings.ts';
import { partsOfUrl } from './url.ts';
import { fromJson, intoJson, LONGEST_LIST, LONGEST_TEXT } from './values.ts';

/** A key of a Secret in the namespace of the trigger. Undefined: there is none; throws where that is not known yet. */
export type KnownSecret = (name: string, key: string) => Uint8Array | undefined;

/** Counts bytes that are made, which V8 does not count to what it may take; throws when they are too many for one event. */
export type BytesMade = (count: number) => void;

/** What `+` becomes in a macro: its list is nobody else's, so an item is put where it is. An expression cannot have such a name in it. */
export const APPEND = '@append';
/** What the macro `has` becomes. */
export const HAS = '@has';

const { BOOL, BYTES, DOUBLE, DYN, INT, STRING, UINT } = CelScalar;
const LIST = listType(DYN);
const MAP = mapType(STRING, DYN);
const ANY_MAP = mapType(DYN, DYN);
const TIMESTAMP = objectType(TimestampSchema);
const DURATION = objectType(DurationSchema);

/** From 0001-01-01 to 9999-12-31: what a timestamp of protobuf may be. */
const [FIRST_SECOND, LAST_SECOND] = [-62_135_596_800n, 253_402_300_799n];
const [LEAST_INT, MOST_INT, MOST_UINT] = [-(2n ** 63n), 2n ** 63n - 1n, 2n ** 64n - 1n];

const equality = celEnv().funcs.find('_==_');

/** Every function; those that have a name and arguments of CEL's own replace it. */
export function functions(secret: KnownSecret, made: BytesMade): CelFunc[] {
  return [
    ...libraryStrings.map(bounded),
    ...stringFunctions.map(bounded),
    ...triggers(secret),
    ...bytes(made),
    ...sets,
    ...conversions,
    ...operators,
  ];
}

/** As it is, but for results that are too large to go on with, and for what the library says when it fails. */
function bounded(func: CelFunc): CelFunc {
  const call = (target: CelValue | undefined, values: CelValue[]): CelValue => {
    const result = func.call(0, target, values);
    if (isCelError(result) && result.message.startsWith(`${func.name}: `)) throw result;
    if (isCelError(result) || result === undefined) throw new Error(`${func.name}: not for these values`);
    const length = typeof result === 'string' ? result.length : 0;
    const isTooLong = length > LONGEST_TEXT || (isCelList(result) && result.size > LONGEST_LIST);
    if (isTooLong) throw new Error(`${func.name}: the result becomes too long`);
    return result;
  };
  if (func.target === undefined) {
    return celFunc(func.name, func.arguments, func.result, (...values: CelValue[]) => call(undefined, values));
  }
  return celMethod(func.name, func.target, func.arguments, func.result, function (...values: CelValue[]) {
    return call(this, values);
  });
}

function triggers(secret: KnownSecret): CelFunc[] {
  const isSecret = (text: string, key: string, name: string): boolean => {
    const value = secret(name, key);
    if (value === undefined) throw new Error('compareSecret: there is no such Secret, or it has no such key');
    // Digests are of one length, so neither how long the Secret is nor how much of it was right can be told from the time.
    return timingSafeEqual(digest(value), digest(Buffer.from(text, 'utf8')));
  };
  return [
    celMethod('canonical', MAP, [STRING], STRING, function (name) {
      return headerOf(this, name, 'canonical');
    }),
    celMethod('match', MAP, [STRING, STRING], BOOL, function (name, value) {
      return headerOf(this, name, 'match') === value;
    }),
    celMethod('truncate', STRING, [INT], STRING, function (length) {
      return truncate(this, length);
    }),
    celMethod('compareSecret', STRING, [STRING, STRING], BOOL, function (key, name) {
      return isSecret(this, key, name);
    }),
    // The namespace is not looked at, there as here: it is the trigger's.
    celMethod('compareSecret', STRING, [STRING, STRING, STRING], BOOL, function (key, name) {
      return isSecret(this, key, name);
    }),
    celMethod('parseJSON', STRING, [], MAP, function () {
      return parseJson(this);
    }),
    celMethod('parseYAML', STRING, [], MAP, function () {
      return parseYaml(this);
    }),
    celMethod('parseURL', STRING, [], MAP, function () {
      return urlMap(this);
    }),
    celMethod('marshalJSON', MAP, [], STRING, function () {
      return marshalJson(this);
    }),
    celMethod('marshalJSON', LIST, [], STRING, function () {
      return marshalJson(this);
    }),
    celMethod('first', LIST, [], DYN, function () {
      return this.get(0) ?? null;
    }),
    celMethod('last', LIST, [], DYN, function () {
      return this.get(this.size - 1) ?? null;
    }),
    celMethod('translate', STRING, [STRING, STRING], STRING, function (pattern, instead) {
      return replaceAll(this, pattern, instead);
    }),
  ];
}

function digest(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** The first value of a header, '' without one. Every map of lists of texts will do, no other. */
function headerOf(headers: CelMap, name: string, by: string): string {
  for (const values of headers.values()) {
    if (!isCelList(values) || [...values].some((value) => typeof value !== 'string')) {
      throw new Error(`${by}: only headers have that`);
    }
  }
  const values = headers.get(canonicalHeader(name));
  const first = isCelList(values) ? values.get(0) : undefined;
  return typeof first === 'string' ? first : '';
}

/** Lengths are in bytes, as Go counts them; a character of which only a part would be left is left out. */
function truncate(text: string, length: bigint): string {
  if (length < 0n) throw new Error('truncate: a length cannot be negative');
  // A character takes a byte at least, so what is further back is never looked at.
  const bytes = Buffer.from(length < text.length ? text.slice(0, Number(length) + 1) : text, 'utf8');
  if (length >= bytes.length) return text;
  let end = Number(length);
  // Bytes 10xxxxxx go on with a character.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

function parseJson(text: string): CelInput<typeof MAP> {
  let json: Json;
  try {
    json = JSON.parse(text) as Json; // which is what it returns
  } catch {
    throw new Error('parseJSON: not valid JSON');
  }
  return mapFrom(json, 'parseJSON: not an object');
}

function parseYaml(text: string): CelInput<typeof MAP> {
  const document = parseDocument(text, YAML_1_1);
  if (document.errors.length > 0) throw new Error('parseYAML: not valid YAML');
  let json: Json;
  try {
    // Through JSON, as there. The library counts what aliases come to, so that a few lines of them do not grow without bounds.
    json = JSON.parse(JSON.stringify(document.toJS(), finite)) as Json; // which is what it returns
  } catch {
    throw new Error('parseYAML: not what JSON can say, or too many aliases');
  }
  return mapFrom(json, 'parseYAML: not a map');
}

/** As sigs.k8s.io/yaml reads it: YAML 1.1, but times and bytes stay texts, and of two equal keys the last one counts. */
const YAML_1_1 = {
  version: '1.1',
  merge: true,
  uniqueKeys: false,
  logLevel: 'silent',
  prettyErrors: false,
  customTags: (tags: Tags): Tags => tags.filter((tag) => typeof tag === 'string' || isOfJson(tag)),
} as const;

function isOfJson({ tag, format }: { readonly tag: string; readonly format?: string }): boolean {
  return !/:(?:timestamp|binary)$/.test(tag) && format !== 'TIME';
}

function finite(_key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Error('a number that JSON has not');
  return value;
}

/** A map of what was parsed; `null` is an empty one, as for Go. */
function mapFrom(json: Json, otherwise: string): CelInput<typeof MAP> {
  const map = fromJson(json ?? {});
  if (map instanceof Map) return map;
  throw new Error(otherwise);
}

function urlMap(text: string): CelInput<typeof MAP> {
  const { auth, ...parts } = partsOfUrl(text);
  const map = new Map<string, CelInput>(Object.entries(parts));
  if (auth !== undefined) map.set('auth', new Map(Object.entries(auth)));
  return map;
}

/** With what HTML cares for escaped, as Go's encoder does. https://pkg.go.dev/encoding/json#Marshal */
function marshalJson(value: CelMap | CelList): string {
  const text = JSON.stringify(intoJson(value));
  if (text.length > LONGEST_TEXT) throw new Error('marshalJSON: the text becomes too long');
  return text.replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** What takes and makes bytes, that of https://pkg.go.dev/github.com/google/cel-go/ext#Encoders among it. */
function bytes(made: BytesMade): CelFunc[] {
  return [
    celFunc('base64.encode', [BYTES], STRING, (bytes) => Buffer.from(bytes).toString('base64')),
    celFunc('base64.decode', [STRING], BYTES, (text) => {
      made(text.length);
      const digits = text.replace(/[\r\n]/g, '');
      // With all of its padding or with none.
      const isWhole = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(digits);
      if (!isWhole) throw new Error('base64.decode: not valid base64');
      return new Uint8Array(Buffer.from(digits, 'base64'));
    }),
    celFunc('bytes', [STRING], BYTES, (text) => {
      made(Buffer.byteLength(text));
      return new TextEncoder().encode(text);
    }),
    celFunc('_+_', [BYTES, BYTES], BYTES, (a, b) => {
      made(a.length + b.length);
      return new Uint8Array(Buffer.concat([a, b]));
    }),
  ];
}

/** https://pkg.go.dev/github.com/google/cel-go/ext#Sets */
const sets: readonly CelFunc[] = [
  celFunc('sets.contains', [LIST, LIST], BOOL, (list, part) => hasAll(list, part)),
  celFunc('sets.equivalent', [LIST, LIST], BOOL, (a, b) => hasAll(a, b) && hasAll(b, a)),
  celFunc('sets.intersects', [LIST, LIST], BOOL, (a, b) => [...a].some((item) => has(b, item))),
];

function hasAll(list: CelList, part: CelList): boolean {
  return [...part].every((item) => has(list, item));
}

function has(list: CelList, item: CelValue): boolean {
  for (const other of list) if (equality?.call(0, undefined, [other, item]) === true) return true;
  return false;
}

/** Conversions that the library makes otherwise than cel-go: mostly where JavaScript reads, or writes, a number otherwise than Go. */
const conversions: readonly CelFunc[] = [
  celFunc('int', [STRING], INT, (text) => {
    const whole = /^[+-]?\d{1,40}$/.test(text) ? BigInt(text.replace(/^\+/, '')) : undefined;
    if (whole === undefined || whole < LEAST_INT || whole > MOST_INT)
      throw new Error('int: not a whole number of 64 bits');
    return whole;
  }),
  celFunc('uint', [STRING], UINT, (text) => {
    const whole = /^\d{1,40}$/.test(text) ? BigInt(text) : undefined;
    if (whole === undefined || whole > MOST_UINT) throw new Error('uint: not a whole number of 64 bits');
    return celUint(whole);
  }),
  celFunc('double', [STRING], DOUBLE, (text) => {
    const number = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : undefined;
    if (number === undefined || !Number.isFinite(number)) throw new Error('double: not a number');
    return number;
  }),
  celFunc('bool', [STRING], BOOL, (text) => {
    if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
    if (/^(?:0|f|F|FALSE|false|False)$/.test(text)) return false;
    throw new Error('bool: neither true nor false');
  }),
  celFunc('string', [DOUBLE], STRING, (number) => doubleAsText(number)),
  celFunc('timestamp', [INT], TIMESTAMP, (seconds) => {
    if (seconds < FIRST_SECOND || seconds > LAST_SECOND) throw new Error('timestamp: out of range');
    return create(TimestampSchema, { seconds });
  }),
  // `1.5s`, where JSON has 1.500s.
  celFunc('string', [DURATION], STRING, ({ message }) => shortFraction(toJson(DurationSchema, message))),
  celMethod('getMilliseconds', DURATION, [], INT, function () {
    return this.message.seconds * 1000n + BigInt(Math.trunc(this.message.nanos / 1e6));
  }),
];

/** As `%g` of Go writes it. https://pkg.go.dev/strconv#FormatFloat */
function doubleAsText(number: number): string {
  if (Number.isNaN(number)) return 'NaN';
  if (!Number.isFinite(number)) return number > 0 ? '+Inf' : '-Inf';
  const [digits = '', power = '0'] = number.toExponential().split('e');
  const isShort = Number(power) >= -4 && Number(power) < 6;
  if (isShort) return Object.is(number, -0) ? '-0' : `${number}`;
  return `${digits}e${power.replace(/^([+-])(\d)$/, '$10$2')}`;
}

const operators: readonly CelFunc[] = [
  celFunc('_+_', [STRING, STRING], STRING, (a, b) => {
    if (a.length + b.length > LONGEST_TEXT) throw new Error('_+_: the text becomes too long');
    return a + b;
  }),
  celFunc('_+_', [LIST, LIST], LIST, (a, b) => {
    if (a.size + b.size > LONGEST_LIST) throw new Error('_+_: the list becomes too long');
    return celListConcat(a, b);
  }),
  celFunc(APPEND, [LIST, DYN], LIST, (list, item) => append(list, item)),
  // The library takes a key whose value is null for none.
  celFunc('@in', [STRING, ANY_MAP], BOOL, (key, map) => map.get(key) !== undefined),
  celFunc('@in', [INT, ANY_MAP], BOOL, (key, map) => map.get(key) !== undefined),
  celFunc('@in', [UINT, ANY_MAP], BOOL, (key, map) => map.get(key) !== undefined),
  celFunc('@in', [BOOL, ANY_MAP], BOOL, (key, map) => map.get(key) !== undefined),
  celFunc('@in', [DOUBLE, ANY_MAP], BOOL, (key, map) => Number.isInteger(key) && map.get(BigInt(key)) !== undefined),
  celFunc(HAS, [DYN, STRING], BOOL, (value, key) => {
    if (isCelList(value)) throw new Error('has: a list has no keys');
    return isCelMap(value) && value.get(key) !== undefined;
  }),
  celFunc('matches', [STRING, STRING], BOOL, (text, pattern) => compiled(pattern).test(text)),
];

const growing = new WeakMap<CelList, CelValue[]>();

function append(list: CelList, item: CelValue): CelList {
  const items = growing.get(list);
  if (items === undefined) {
    const fresh = [...list, item];
    const grown = celList(fresh);
    growing.set(grown, fresh);
    return grown;
  }
  if (items.length >= LONGEST_LIST) throw new Error('_+_: the list becomes too long');
  items.push(item);
  return list;
}
