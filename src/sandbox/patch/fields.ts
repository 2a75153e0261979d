/**
 * Sets of fields, kept in the form that managedFields has on the wire (FieldsV1), so that nothing is converted on the way in
 * or out: `{"f:spec":{"f:replicas":{},"f:ports":{"k:{\"port\":80}":{".":{}}}}}`.
 * An element that stands for nothing but itself is `{}`; one that is a member and has members below it has `.` as well.
 * https://github.com/kubernetes-sigs/structured-merge-diff/tree/master/fieldpath
 */
import type { Json, JsonObject } from '../object.ts';
import { goJson } from './go.ts';

/** A set of fields. Elements stand in the server's order. Never changed once made: sets share their parts. */
export type Fields = { [element: string]: Fields };

/** The set of nothing; below an element, the element itself and nothing more. */
export const NONE: Fields = Object.freeze({});

const SELF = '.';

/** The element of a field of an object. */
export function fieldElement(name: string): string {
  return `f:${name}`;
}

/** The element of an item that its keys tell apart; `keys` sorted by name. */
export function keyElement(keys: readonly (readonly [name: string, value: Json])[]): string {
  return `k:{${keys.map(([name, value]) => `${goJson(name)}:${goJson(value)}`).join(',')}}`;
}

/** The element of an item of a set. */
export function valueElement(value: Json): string {
  return `v:${goJson(value)}`;
}

/** Is there nothing in it? */
export function isEmpty(fields: Fields): boolean {
  for (const _ in fields) return false;
  return true;
}

/** What stands below an element, with the element itself as a member. */
export function asMember(below: Fields): Fields {
  return isEmpty(below) || SELF in below ? below : { [SELF]: NONE, ...below };
}

/** Is the element over `below` a member itself? */
export function isMember(below: Fields): boolean {
  return isEmpty(below) || SELF in below;
}

/** What stands below an element, without the element itself. */
export function belowOnly(below: Fields): Fields {
  if (!(SELF in below)) return below;
  const { [SELF]: _, ...rest } = below;
  return rest;
}

/** Puts `below` under `element` unless it is nothing at all; for sets that are still being made. */
export function put(fields: Fields, element: string, member: boolean, below: Fields): void {
  if (member) fields[element] = asMember(below);
  else if (!isEmpty(below)) fields[element] = below;
}

/** Fields in `a` or in `b`. */
export function union(a: Fields, b: Fields): Fields {
  if (isEmpty(a)) return b;
  if (isEmpty(b) || a === b) return a;
  const result: Fields = {};
  for (const element of elementsOf(a, b)) {
    const [left, right] = [a[element], b[element]];
    if (left === undefined || right === undefined) result[element] = left ?? right ?? NONE;
    else put(result, element, isMember(left) || isMember(right), union(belowOnly(left), belowOnly(right)));
  }
  return result;
}

/** Fields in both. */
export function intersection(a: Fields, b: Fields): Fields {
  const result: Fields = {};
  for (const element in a) {
    const [left, right] = [a[element], b[element]];
    if (left === undefined || right === undefined || element === SELF) continue;
    put(result, element, isMember(left) && isMember(right), intersection(belowOnly(left), belowOnly(right)));
  }
  return result;
}

/** Fields in `a` but not in `b`. What stands below a member of `b` stays. */
export function difference(a: Fields, b: Fields): Fields {
  if (isEmpty(b)) return a;
  const result: Fields = {};
  for (const element in a) {
    const [left, right] = [a[element], b[element]];
    if (left === undefined || element === SELF) continue;
    if (right === undefined) result[element] = left;
    else put(result, element, isMember(left) && !isMember(right), difference(belowOnly(left), belowOnly(right)));
  }
  return result;
}

/** Fields in `a` that are neither in `b` nor below a member of `b`. */
export function without(a: Fields, b: Fields): Fields {
  if (isEmpty(b)) return a;
  const result: Fields = {};
  for (const element in a) {
    const [left, right] = [a[element], b[element]];
    if (left === undefined || element === SELF) continue;
    if (right === undefined) result[element] = left;
    else if (!isMember(right)) put(result, element, isMember(left), without(belowOnly(left), right));
  }
  return result;
}

/** Is every field of `a` in `b` and the other way round? */
export function isSame(a: Fields, b: Fields): boolean {
  if (a === b) return true;
  let count = 0;
  for (const element in a) {
    const [left, right] = [a[element], b[element]];
    if (left === undefined || right === undefined || !isSame(left, right)) return false;
    count++;
  }
  for (const _ in b) count--;
  return count === 0;
}

/** Every field as the server writes it in messages, `.spec.ports[port=80].name`: at each level members first, then what is below. */
export function pathsOf(fields: Fields, prefix = ''): string[] {
  const elements = Object.keys(fields).filter((element) => element !== SELF);
  const members = elements.filter((element) => isMember(fields[element] ?? NONE));
  return [
    ...members.map((element) => prefix + pathText(element)),
    ...elements.flatMap((element) => pathsOf(fields[element] ?? NONE, prefix + pathText(element))),
  ];
}

/**
 * A client's FieldsV1 in the server's order, without elements of a type that the server does not know. The same object when
 * nothing is wrong with it. Undefined when it is no FieldsV1.
 */
export function parseFields(wire: Json | undefined): Fields | undefined {
  if (wire === null || typeof wire !== 'object' || Array.isArray(wire)) return undefined;
  const result: Fields = {};
  let changed = false;
  let previous: string | undefined;
  for (const [element, value] of Object.entries(wire)) {
    const below = parseFields(value);
    if (below === undefined || (element !== SELF && !/^[a-z]:/.test(element))) return undefined;
    if (element !== SELF && !/^[fkvi]:/.test(element)) {
      changed = true;
      continue;
    }
    try {
      if (previous !== undefined && compareElements(previous, element) > 0) changed = true;
    } catch {
      return undefined; // what follows k: or v: is no JSON
    }
    if (below !== value) changed = true;
    result[element] = below;
    previous = element;
  }
  // A cast: every level has been looked at, and is an object of objects.
  return changed ? sorted(result) : (wire as Fields);
}

function sorted(fields: Fields): Fields {
  const elements = Object.keys(fields).sort(compareElements);
  return Object.fromEntries(elements.map((element) => [element, fields[element] ?? NONE]));
}

function elementsOf(a: Fields, b: Fields): string[] {
  const elements = Object.keys(a);
  const count = elements.length;
  for (const element in b) if (!(element in a)) elements.push(element);
  return elements.length === count ? elements : elements.sort(compareElements);
}

/** The order of elements: `.`, fields by name, keys by their names and values, values, indices. */
export function compareElements(a: string, b: string): number {
  if (a === b) return 0;
  const [left, right] = [rank(a), rank(b)];
  if (left !== right) return left - right;
  switch (a[0]) {
    case 'k':
      return compareKeys(JSON.parse(a.slice(2)), JSON.parse(b.slice(2)));
    case 'v':
      return compareValues(JSON.parse(a.slice(2)), JSON.parse(b.slice(2)));
    case 'i':
      return Number(a.slice(2)) - Number(b.slice(2));
    default:
      return a < b ? -1 : 1;
  }
}

function rank(element: string): number {
  return '.fkvi'.indexOf(element[0] ?? '.');
}

function compareKeys(a: JsonObject, b: JsonObject): number {
  const [left, right] = [Object.entries(a), Object.entries(b)];
  for (const [place, [name, value]] of left.entries()) {
    const other = right[place];
    if (other === undefined) return 1;
    if (name !== other[0]) return name < other[0] ? -1 : 1;
    const order = compareValues(value ?? null, other[1] ?? null);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** Numbers before texts before booleans, as the server orders values of different types. */
function compareValues(a: Json, b: Json): number {
  const types = ['number', 'string', 'boolean'];
  const order = types.indexOf(typeof a) - types.indexOf(typeof b);
  if (order !== 0) return order;
  if (a === b) return 0;
  return (a ?? 0) < (b ?? 0) ? -1 : 1;
}

/** An element as messages have it: `.spec`, `[port=80]`, `[="a"]`. */
export function pathText(element: string): string {
  const rest = element.slice(2);
  switch (element[0]) {
    case 'k': {
      const keys = Object.entries(JSON.parse(rest) as JsonObject);
      return `[${keys.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`;
    }
    case 'v':
      return `[=${JSON.stringify(JSON.parse(rest))}]`;
    case 'i':
      return `[${rest}]`;
    default:
      return `.${rest}`;
  }
}
