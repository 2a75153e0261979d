/** Between JSON and the values of CEL, with bounds: an expression may build what is a thousand times as large as its text. */
import { type CelInput, type CelValue, isCelList, isCelMap, isCelType, isCelUint } from '@bufbuild/cel';
import { toJson } from '@bufbuild/protobuf';
import type { Json } from '../request.ts';

/** How many characters a text may have, and all texts of a result together: what a body may have at most, and some room. */
export const LONGEST_TEXT = 4 * 1024 * 1024;
/** How many items a list may have. A body has no more values than that. */
export const LONGEST_LIST = 65_536;

/** How deep lists and maps of a result may lie in each other. */
const DEEPEST = 64;
/** How many values a result may be made of. Parts of it that are one and the same value count as often as they are seen. */
const MOST_VALUES = 32_768;
/** Beyond these a number of JSON is another one for most who read it, so protobuf writes a text. */
const MOST_EXACT = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * JSON as CEL sees it: objects are maps, and every number is a double, as in Triggers. What is in it is never taken for a method or a
 * prototype, whatever its keys are.
 */
export function fromJson(json: Json): CelInput {
  if (typeof json !== 'object' || json === null) return json;
  if (isList(json)) return json.map(fromJson);
  return new Map(Object.entries(json).map(([key, value]) => [key, fromJson(value)]));
}

/**
 * A value as JSON: whole numbers as numbers, or as texts where a number would not be exact; `bytes` in base64; timestamps and durations
 * as protobuf writes them; keys as texts, in the order of their bytes, and objects without a prototype. Throws a sentence for what JSON
 * cannot say, and for what is too large. https://github.com/google/cel-spec/blob/master/doc/langdef.md#json-data-conversion
 */
export function intoJson(value: CelValue): Json {
  let values = 0;
  let length = 0;
  const into = (part: CelValue, depth: number): Json => {
    if (++values > MOST_VALUES) throw new Error(`the result has more than ${MOST_VALUES} values`);
    if (depth > DEEPEST) throw new Error(`the result is nested deeper than ${DEEPEST} levels`);
    if (typeof part === 'string' || part instanceof Uint8Array) length += part.length;
    if (length > LONGEST_TEXT) throw new Error(`the result is longer than ${LONGEST_TEXT} characters`);
    if (isCelList(part)) return Array.from(part, (item) => into(item, depth + 1));
    if (!isCelMap(part)) return scalarIntoJson(part);
    const entries = [...part].map(([key, item]) => [keyIntoJson(key), item] as const).sort(([a], [b]) => compare(a, b));
    const map: Record<string, Json> = Object.create(null);
    for (const [key, item] of entries) map[key] = into(item, depth + 1);
    return map;
  };
  return into(value, 0);
}

function scalarIntoJson(value: CelValue): Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'bigint') return wholeIntoJson(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Error('the result is a number that JSON has not');
    return value;
  }
  if (isCelUint(value)) return wholeIntoJson(value.value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (isCelType(value) || isCelList(value) || isCelMap(value))
    throw new Error('the result is a type, which JSON has not');
  return toJson(value.desc, value.message) as Json; // a timestamp or a duration, whose JSON is a text
}

function wholeIntoJson(value: bigint): Json {
  return value > MOST_EXACT || value < -MOST_EXACT ? value.toString() : Number(value);
}

function keyIntoJson(key: CelValue): string {
  if (typeof key === 'string') return key;
  return isCelUint(key) ? key.value.toString() : String(key);
}

function compare(a: string, b: string): number {
  // UTF-16 and UTF-8 sort alike, but for what lies beyond the first plane.
  if (!/[\ud800-\udfff]/.test(a + b)) return a < b ? -1 : Number(a > b);
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Whether JSON is a list; `Array.isArray` does not tell the compiler so of what may not be changed. */
export function isList(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}
