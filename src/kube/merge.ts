/** What to send so that an object becomes another: a merge patch. Pure. https://www.rfc-editor.org/rfc/rfc7386 */
import type { Json, JsonObject } from './objects.ts';

/**
 * What to merge into `before` to make it `after`: undefined where they are equal. A field that is undefined in
 * `after` is taken away.
 */
export function mergeOf(before: JsonObject, after: JsonObject): JsonObject | undefined {
  const merge: (readonly [string, Json])[] = [];
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [was, is] = [ownField(before, key), ownField(after, key)];
    if (is === undefined || is === null) {
      if (was !== undefined && was !== null) merge.push([key, null]);
    } else if (isObject(is) && isObject(was)) {
      const inner = mergeOf(was, is);
      if (inner !== undefined) merge.push([key, inner]);
    } else if (!isEqual(was, is)) {
      merge.push([key, withoutAbsent(is)]);
    }
  }
  return merge.length > 0 ? Object.fromEntries(merge) : undefined;
}

/** What an object itself has under a key that somebody else chose: `constructor` is one, too. */
export function ownField(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isEqual(left: Json | undefined, right: Json | undefined): boolean {
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, place) => isEqual(item, right[place]));
  }
  if (isObject(left) && isObject(right)) return mergeOf(left, right) === undefined;
  return left === right;
}

/** In a merge an absent field would read as one to take away, and in a list as null. */
function withoutAbsent(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutAbsent);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) =>
      item === undefined || item === null ? [] : [[key, withoutAbsent(item)]],
    ),
  );
}
