/** Whether a write changes anything. */
import type { Json, JsonObject } from '../object.ts';

/** Whether two values are the same JSON, in whatever order their fields stand; a field that is undefined is none. */
export function isSame(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one) || Array.isArray(other)) {
    if (!Array.isArray(one) || !Array.isArray(other) || one.length !== other.length) return false;
    return one.every((item, place) => isSame(item, other[place]));
  }
  return Object.keys(one).every((field) => isSame(one[field], other[field])) && hasNoMore(other, one);
}

function hasNoMore(one: JsonObject, other: JsonObject): boolean {
  return Object.keys(one).every((field) => one[field] === undefined || other[field] !== undefined);
}
