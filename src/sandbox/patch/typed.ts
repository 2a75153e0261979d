/**
 * Walks over values with their shape: what differs between two, which fields one has, one merged into another, one without
 * some of its fields. https://github.com/kubernetes-sigs/structured-merge-diff/tree/master/typed
 */
import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject } from '../object.ts';
import {
  asMember,
  belowOnly,
  compareElements,
  type Fields,
  fieldElement,
  isEmpty,
  isMember,
  NONE,
  pathText,
  put,
} from './fields.ts';
import { goKind, goSyntax, goText } from './go.ts';
import type { ListShape, MapShape, Shape } from './shape.ts';

/** How two values differ. No field is in two of the sets. */
export interface Comparison {
  readonly added: Fields;
  readonly modified: Fields;
  readonly removed: Fields;
}

/** What must be done to `before` to get `after`. Order within keyed lists does not count. */
export function compare(shape: Shape, before: JsonObject, after: JsonObject): Comparison {
  const result = { added: {}, modified: {}, removed: {} };
  compareForms(shape, before, after, result);
  return result;
}

/** The fields in `value` as somebody who applies it owns them. */
export function fieldsOf(shape: Shape, value: JsonObject): Fields {
  return belowOnly(fieldsBelow(shape, value) ?? NONE);
}

/** `live` with everything that `applied` says; nothing is removed. Neither is changed, but the result shares their parts. */
export function merge(shape: Shape, live: JsonObject, applied: JsonObject): JsonObject {
  const result = mergeValues(shape, live, applied);
  return isObject(result) ? result : {};
}

/** `value` without the fields and items in `fields`, and all below them. */
export function remove(shape: Shape, value: JsonObject, fields: Fields): JsonObject {
  const result = removeBelow(shape, value, fields);
  return isObject(result) ? result : {};
}

/** `fields` and each named field above one of them: who gives up `a.b.c` gives up `a` too, should nothing be left in it. */
export function withNamedFields(shape: Shape | undefined, fields: Fields): Fields {
  const result: Fields = {};
  for (const [element, below] of Object.entries(fields)) {
    if (element === '.') continue;
    const named = element.startsWith('f:') ? shape?.map?.field(element.slice(2)) : undefined;
    const inner = named?.shape ?? (element.startsWith('f:') ? shape?.map?.values : shape?.list?.items);
    const under = belowOnly(below);
    put(result, element, isMember(below) || named !== undefined, withNamedFields(inner, under));
  }
  return result;
}

/** What in `value` does not fit its shape, as the server words it: `.data.x: expected string, got ...`. */
export function mistakesIn(shape: Shape, value: Json, path = ''): string[] {
  if (value === null) return [];
  const told = (mistake: string): string => (path === '' ? mistake : `${path}: ${mistake}`);
  switch (formOf(shape, value)) {
    case 'map': {
      if (!isObject(value)) return [told(`expected map, got ${goValue(value)}`)];
      const mistakes: string[] = [];
      for (const name of Object.keys(value).sort()) {
        const inner = shape.map?.field(name)?.shape ?? shape.map?.values;
        if (inner === undefined) return [...mistakes, `${path}.${name}: field not declared in schema`];
        mistakes.push(...mistakesIn(inner, value[name] ?? null, `${path}.${name}`));
      }
      return mistakes;
    }
    case 'list': {
      if (!Array.isArray(value)) return [told(`expected list, got ${goValue(value)}`)];
      return mistakesInItems(shape.list, value, path);
    }
    case 'scalar':
      return isScalar(value, shape.scalar) ? [] : [told(scalarMistake(value, shape.scalar))];
  }
}

function mistakesInItems(shape: ListShape | undefined, items: readonly Json[], path: string): string[] {
  const mistakes: string[] = [];
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    let step = `[${index}]`;
    if (shape !== undefined && !shape.atomic) {
      const found = shape.elementOf(item);
      if ('mistake' in found) return [...mistakes, `${path}: element ${index}: ${found.mistake}`];
      step = pathText(found.element);
      if (seen.has(found.element)) mistakes.push(`${path}: duplicate entries for key ${step}`);
      seen.add(found.element);
    }
    if (shape !== undefined) mistakes.push(...mistakesIn(shape.items, item, path + step));
  }
  return mistakes;
}

/** Whichever of its forms a value has. What fits none is taken for the first, and told as a mistake elsewhere. */
type Form = 'map' | 'list' | 'scalar';

function formOf({ map, list, scalar }: Shape, value: Json): Form {
  if (value !== null) {
    if (Array.isArray(value)) {
      if (list !== undefined) return 'list';
    } else if (typeof value === 'object') {
      if (map !== undefined) return 'map';
    } else if (scalar !== undefined) return 'scalar';
  }
  if (map !== undefined) return 'map';
  return scalar === undefined ? 'list' : 'scalar';
}

type Differences = { added: Fields; modified: Fields; removed: Fields };

/** Puts how `before` and `after` differ below `element` of the sets of the value that holds them. */
function compareAt(
  element: string,
  shape: Shape,
  before: Json | undefined,
  after: Json | undefined,
  into: Differences,
): void {
  if (before === after) return;
  if (before === undefined) into.added[element] = everything(shape, after ?? null);
  else if (after === undefined) into.removed[element] = everything(shape, before);
  else {
    const below = { added: {}, modified: {}, removed: {} };
    const isModified = compareForms(shape, before, after, below);
    put(into.added, element, false, below.added);
    put(into.modified, element, isModified, below.modified);
    put(into.removed, element, false, below.removed);
  }
}

/** True when the value itself is what was modified. A value that changed its form is compared in both. */
function compareForms(shape: Shape, before: Json, after: Json, below: Differences): boolean {
  const [left, right] = [formOf(shape, before), formOf(shape, after)];
  const isModified = compareAs(right, shape, before, after, below);
  return left === right ? isModified : compareAs(left, shape, before, after, below) || isModified;
}

function compareAs(form: Form, shape: Shape, before: Json, after: Json, below: Differences): boolean {
  if (form === 'map' && shape.map !== undefined && !shape.map.atomic) {
    const [left, right] = [entriesOf(before), entriesOf(after)];
    if (!isBare(left) || !isBare(right)) {
      compareFields(shape.map, left, right, below);
      return false;
    }
  }
  if (form === 'list' && shape.list !== undefined && !shape.list.atomic) {
    const [left, right] = [itemsOf(before), itemsOf(after)];
    if (left.length > 0 || right.length > 0) {
      compareItems(shape.list, left, right, below);
      return false;
    }
  }
  return !isDeepStrictEqual(before, after);
}

function compareFields(map: MapShape, before: JsonObject, after: JsonObject, below: Differences): void {
  const names = Object.keys(before);
  for (const name of Object.keys(after)) if (!Object.hasOwn(before, name)) names.push(name);
  for (const name of names.sort()) {
    const field = map.field(name);
    const shape = field?.shape ?? map.values;
    if (shape === undefined) continue;
    compareAt(field?.element ?? fieldElement(name), shape, before[name], after[name], below);
  }
}

/** Items that stand in a list several times are compared together, and owned without their fields. */
function compareItems(list: ListShape, before: readonly Json[], after: readonly Json[], below: Differences): void {
  const [left, right] = [grouped(list, before), grouped(list, after)];
  for (const element of [...new Set([...left.keys(), ...right.keys()])].sort(compareElements)) {
    const [were, are] = [left.get(element) ?? [], right.get(element) ?? []];
    if (were.length <= 1 && are.length <= 1) compareAt(element, list.items, were[0], are[0], below);
    else if (were.length > 1 && are.length > 1) put(below.modified, element, !isDeepStrictEqual(were, are), NONE);
    else if (were.length > 1) {
      if (are[0] !== undefined) below.added[element] = everything(list.items, are[0]);
      below.removed[element] = NONE;
    } else {
      if (were[0] !== undefined) below.removed[element] = everything(list.items, were[0]);
      below.added[element] = NONE;
    }
  }
}

/** The items by their element. One that has none belongs to nobody. */
function grouped(list: ListShape, items: readonly Json[]): Map<string, Json[]> {
  const groups = new Map<string, Json[]>();
  for (const item of items) {
    const found = list.elementOf(item);
    if ('mistake' in found) continue;
    const group = groups.get(found.element);
    if (group === undefined) groups.set(found.element, [item]);
    else group.push(item);
  }
  return groups;
}

/** All that is in a value, which is new or gone as a whole: itself, and each field and item below it. */
function everything(shape: Shape, value: Json): Fields {
  const form = formOf(shape, value);
  if (form === 'map' && shape.map !== undefined && !shape.map.atomic) {
    const names = Object.keys(entriesOf(value));
    if (names.length === 0) return NONE;
    const fields: Fields = { '.': NONE };
    for (const name of names.sort()) {
      const field = shape.map.field(name);
      const innerShape = field?.shape ?? shape.map.values;
      const inner = entriesOf(value)[name];
      if (innerShape === undefined || inner === undefined) continue;
      fields[field?.element ?? fieldElement(name)] = everything(innerShape, inner);
    }
    return fields;
  }
  if (form === 'list' && shape.list !== undefined && !shape.list.atomic) {
    const groups = grouped(shape.list, itemsOf(value));
    if (groups.size === 0) return NONE;
    const fields: Fields = { '.': NONE };
    for (const element of [...groups.keys()].sort(compareElements)) {
      const [item, ...others] = groups.get(element) ?? [];
      fields[element] = others.length > 0 ? NONE : everything(shape.list.items, item ?? null);
    }
    return fields;
  }
  return NONE;
}

/** Stands for items without an element. No set that is stored has it. */
const NAMELESS = '';

/** Below an element: what of the value is owned by whoever applies it. Undefined for nothing, not even the element. */
function fieldsBelow(shape: Shape, value: Json): Fields | undefined {
  const form = formOf(shape, value);
  if (form === 'scalar' || shape[form]?.atomic === true) return NONE;
  const fields: Fields = {};
  if (form === 'map' && isObject(value)) {
    for (const name of Object.keys(value).sort()) {
      const inner = value[name];
      const field = shape.map?.field(name);
      const innerShape = field?.shape ?? shape.map?.values;
      if (inner === undefined || innerShape === undefined) continue;
      const below = fieldsBelow(innerShape, inner);
      // A named field is its parent's; a key of a map is the applier's own, and so is what is empty.
      const isOwn = field === undefined || inner === null || (isObject(inner) && Object.keys(inner).length === 0);
      if (isOwn) fields[field?.element ?? fieldElement(name)] = asMember(below ?? NONE);
      else if (below !== undefined) fields[field.element] = below;
    }
  }
  if (form === 'list' && Array.isArray(value) && shape.list !== undefined) {
    const groups = grouped(shape.list, value);
    let named = 0;
    for (const element of [...groups.keys()].sort(compareElements)) {
      const [item, ...others] = groups.get(element) ?? [];
      named += 1 + others.length;
      fields[element] = others.length > 0 ? NONE : asMember(fieldsBelow(shape.list.items, item ?? null) ?? NONE);
    }
    // An item of which nothing was left is null. It keeps its list in the set, as with the real server.
    if (named < value.length) fields[NAMELESS] = NONE;
  }
  return isEmpty(fields) ? undefined : fields;
}

/** Undefined when nothing is left of both. */
function mergeValues(shape: Shape, live: Json | undefined, applied: Json | undefined): Json | undefined {
  if (applied === undefined) return live;
  const form = formOf(shape, applied);
  if (form === 'map' && shape.map !== undefined && !shape.map.atomic) {
    const [left, right] = [entriesOf(live ?? null), entriesOf(applied)];
    if (!isBare(left) || !isBare(right)) return mergeFields(shape.map, left, right);
  }
  if (form === 'list' && shape.list !== undefined && !shape.list.atomic) {
    const [left, right] = [itemsOf(live ?? null), itemsOf(applied)];
    if (left.length > 0 || right.length > 0) return mergeItems(shape.list, left, right);
  }
  return applied;
}

function mergeFields(map: MapShape, live: JsonObject, applied: JsonObject): JsonObject {
  const merged: JsonObject = { ...live };
  for (const [name, value] of Object.entries(applied)) {
    const shape = map.field(name)?.shape ?? map.values;
    const result = shape === undefined ? value : mergeValues(shape, live[name], value);
    if (result !== undefined) merged[name] = result;
  }
  return merged;
}

/**
 * The applied items in their order, and between them the live ones that were not applied, each where it stood: before the
 * next item that both have. An item that stands in the live list several times is replaced by the applied one.
 */
function mergeItems(list: ListShape, live: readonly Json[], applied: readonly Json[]): Json[] {
  const elementOf = (item: Json): string => {
    const found = list.elementOf(item);
    return 'element' in found ? found.element : '';
  };
  const [liveElements, appliedElements] = [live.map(elementOf), applied.map(elementOf)];
  const liveItems = grouped(list, live);
  const isApplied = new Set(appliedElements);
  const shared = appliedElements.filter((element) => liveItems.has(element));
  const done = new Set<string>();
  const result: Json[] = [];
  const take = (place: number): void => {
    const element = appliedElements[place] ?? '';
    const group = liveItems.get(element);
    const before = group === undefined ? undefined : group.length > 1 ? null : group[0];
    const merged = mergeValues(list.items, before, applied[place]);
    if (merged !== undefined) result.push(merged);
    done.add(element);
    if (shared[0] === element) shared.shift();
  };
  let left = 0;
  let right = 0;
  while (left < live.length || right < applied.length) {
    const element = liveElements[left];
    if (element !== undefined) {
      if (right < applied.length && element === appliedElements[right]) {
        take(right++);
        left++;
        continue;
      }
      if (right < applied.length && isApplied.has(element) && shared[0] !== undefined && shared[0] !== element) {
        left++; // shared, but its turn comes in the applied order
        continue;
      }
      if (!isApplied.has(element)) {
        result.push(live[left++] ?? null);
        continue;
      }
      if (done.has(element)) left++;
    }
    if (right < applied.length) take(right++);
  }
  return result;
}

/** An object or list of which nothing is left is null, as the server leaves it. */
function removeBelow(shape: Shape, value: Json, fields: Fields): Json {
  const form = formOf(shape, value);
  if (form === 'scalar') return value;
  if (shape[form]?.atomic === true) return null;
  if (form === 'map') {
    const kept: JsonObject = {};
    for (const [name, inner] of Object.entries(entriesOf(value))) {
      const field = shape.map?.field(name);
      const below = fields[field?.element ?? fieldElement(name)];
      const innerShape = field?.shape ?? shape.map?.values;
      if (below === undefined || innerShape === undefined || inner === undefined) kept[name] = inner;
      else if (!isMember(below)) kept[name] = removeBelow(innerShape, inner, below);
    }
    return isBare(kept) ? null : kept;
  }
  const kept: Json[] = [];
  for (const item of itemsOf(value)) {
    const found = shape.list?.elementOf(item);
    const below = found !== undefined && 'element' in found ? fields[found.element] : undefined;
    if (below === undefined || shape.list === undefined) kept.push(item);
    else if (!isMember(below)) kept.push(removeBelow(shape.list.items, item, below));
  }
  return kept.length === 0 ? null : kept;
}

function isScalar(value: Json, scalar: Shape['scalar']): boolean {
  switch (scalar) {
    case 'numeric':
      return typeof value === 'number';
    case 'untyped':
      return typeof value !== 'object';
    default:
      return typeof value === scalar;
  }
}

function scalarMistake(value: Json, scalar: Shape['scalar']): string {
  switch (scalar) {
    case 'numeric':
      return `expected numeric (int or float), got ${goKind(value)}`;
    case 'string':
      return `expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`;
    case 'boolean':
      return `expected boolean, got ${goValue(value)}`;
    default:
      return `expected any scalar, got ${goValue(value)}`;
  }
}

/** A value within the server's wrapper, as `%v` prints it. */
function goValue(value: Json): string {
  return `&{${goText(value)}}`;
}

function entriesOf(value: Json): JsonObject {
  return isObject(value) ? value : {};
}

function itemsOf(value: Json): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function isBare(object: JsonObject): boolean {
  for (const _ in object) return false;
  return true;
}

function isObject(value: Json | undefined): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
