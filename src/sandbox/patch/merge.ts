/** JSON merge patches, https://www.rfc-editor.org/rfc/rfc7386, as the API server's library merges them. */
import type { Json, JsonObject } from '../object.ts';
import { badRequest } from '../status.ts';
import { goType } from './go.ts';

/**
 * `object` with `patch` merged in: objects are merged, null removes, all else replaces. Neither is changed, but the result
 * shares parts with both. Throws 400 when `patch` is no object.
 */
export function applyMergePatch(object: JsonObject, patch: Json): JsonObject {
  if (patch === null) throw badRequest('Invalid JSON Patch');
  if (!isObject(patch)) {
    const into = 'Go value of type map[string]interface {}';
    throw badRequest(`error decoding patch: json: cannot unmarshal ${goType(patch)} into ${into}`);
  }
  return merged(object, patch);
}

function merged(object: JsonObject, patch: JsonObject): JsonObject {
  const result = new Map(Object.entries(object));
  for (const [name, value] of Object.entries(patch)) {
    const current = result.get(name);
    if (value === null || value === undefined) result.delete(name);
    else if (!isObject(current)) result.set(name, withoutNulls(value));
    // A list in the place of an object keeps the nulls in its items: the library returns it before it looks for them.
    else result.set(name, isObject(value) ? merged(current, value) : value);
  }
  return Object.fromEntries(result);
}

/** Nulls are instructions to remove; in a part that is new there is nothing to remove. Items of lists may be null. */
function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([, inner]) => inner !== null && inner !== undefined);
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutNulls(inner ?? null)]));
}

function isObject(value: Json | undefined): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
