/** Reading JSON whose shape is not known yet: whatever has the wrong type reads as absent. */
import type { Json, JsonObject } from '../object.ts';

/** `value` if it is an object, else an empty one that nobody keeps. */
export function objectIn(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

/** The objects of a list; none if it is no list. */
export function objectsIn(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** `value` if it is a string, else ''. */
export function textIn(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** The strings of a list; none if it is no list. */
export function textsIn(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** `value` if it is a number, else 0. */
export function numberIn(value: Json | undefined): number {
  return typeof value === 'number' ? value : 0;
}

/** Is it a JSON object? */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
