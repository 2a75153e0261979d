/**
 * Strategic merge patches, with which kubectl patches built-in kinds: lists are merged by the key that their schema names, and
 * directives (`$patch`, `$retainKeys`, `$setElementOrder/...`, `$deleteFromPrimitiveList/...`) say what a merge cannot.
 * https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject } from '../object.ts';
import type { SchemaNode } from '../schema/node.ts';
import { badRequest, StatusError } from '../status.ts';
import { misfitIn } from './fit.ts';
import { goKind, goText, goType } from './go.ts';
import { refused } from './json.ts';
import { objectNode } from './shape.ts';

const DIRECTIVE = '$patch';
const RETAIN_KEYS = '$retainKeys';
const ELEMENT_ORDER = '$setElementOrder';
const DELETE_FROM_LIST = '$deleteFromPrimitiveList';

/**
 * `object` with `patch` merged in; neither is changed. It stays an object of its kind and version, whatever the patch says. `node` is
 * the schema of whole objects of the kind.
 * Throws 400 for directives of a wrong form, 422 for a value of a wrong type, and as the real server 500 for a patch that
 * cannot be merged for other reasons.
 */
export function applyStrategicPatch(object: JsonObject, patch: Json, node: SchemaNode): JsonObject {
  if (patch !== null && !isObject(patch)) {
    throw badRequest(`json: cannot unmarshal ${goType(patch)} into Go value of type map[string]interface {}`);
  }
  const root = objectNode(node);
  const { apiVersion, kind } = object;
  const merged = { ...mergeObjects(structuredClone(object), structuredClone(patch ?? {}), root), apiVersion, kind };
  const misfit = misfitIn(root, merged);
  if (misfit === undefined) return merged;
  const message = `Invalid value: ${JSON.stringify(goText(patch))}: ${misfit}`;
  const causes = [{ reason: 'FieldValueInvalid', message, field: 'patch' }];
  throw new StatusError(422, 'Invalid', ` "" is invalid: patch: ${message}`, { causes });
}

/** Merges `patch` into `original`; takes both apart. */
function mergeObjects(original: JsonObject, patch: JsonObject, node: SchemaNode | undefined): JsonObject {
  const directive = patch[DIRECTIVE];
  if (directive !== undefined) {
    delete patch[DIRECTIVE];
    if (directive === 'replace') return patch;
    if (directive === 'delete') return {};
    throw unknownDirective(directive, { [DIRECTIVE]: directive, ...patch });
  }
  retainKeys(original, patch);
  mergeOrderedLists(original, patch, node);
  for (const [name, value] of Object.entries(patch)) {
    if (value === undefined) continue;
    if (name.startsWith(DELETE_FROM_LIST)) deleteFromList(original, name, value);
    else if (value === null) delete original[name];
    else mergeField(original, name, value, node);
  }
  return original;
}

function mergeField(original: JsonObject, name: string, value: Json, node: SchemaNode | undefined): void {
  const current = original[name] ?? null;
  if (isObject(current) && isObject(value)) {
    const field = fieldNode(node, name);
    const isReplaced = strategiesOf(field).includes('replace');
    original[name] = isReplaced ? value : mergeObjects(current, value, field);
  } else if (Array.isArray(current) && Array.isArray(value)) {
    original[name] = mergeLists(current, value, fieldNode(node, name));
  } else {
    const plain = withoutDirectives(withoutNulls(value));
    if (plain === undefined) delete original[name];
    else original[name] = plain;
  }
}

/** Empties `original` of all that the directive does not list. */
function retainKeys(original: JsonObject, patch: JsonObject): void {
  const kept = patch[RETAIN_KEYS];
  if (kept === undefined) return;
  delete patch[RETAIN_KEYS];
  if (!Array.isArray(kept)) throw badRequest('invalid patch format of retainKeys');
  for (const [name, value] of Object.entries(patch)) {
    const isInstruction = value === null || name.startsWith(DELETE_FROM_LIST) || name.startsWith(ELEMENT_ORDER);
    if (!isInstruction && !kept.includes(name)) throw badRequest('invalid patch format of retainKeys');
  }
  for (const name of Object.keys(original)) if (!kept.includes(name)) delete original[name];
}

/** Merges the lists for which the patch gives an order, and takes them and their orders out of the patch. */
function mergeOrderedLists(original: JsonObject, patch: JsonObject, node: SchemaNode | undefined): void {
  for (const [directive, order] of Object.entries(patch)) {
    if (!directive.startsWith(ELEMENT_ORDER)) continue;
    delete patch[directive];
    const sequence = listOf(order ?? null);
    const name = listNamed(directive, ELEMENT_ORDER, 'invalid patch format of setElementOrder list');
    const [current, changes] = [original[name], patch[name]];
    const live = current === undefined ? undefined : listOf(current);
    const patched = changes === undefined ? undefined : listOf(changes);
    const field = fieldNode(node, name);
    const key = field?.['x-kubernetes-patch-merge-key'];
    checkOrder(patched ?? [], sequence, key);
    if (live === undefined && patched === undefined) continue;
    const merged =
      patched === undefined
        ? (live ?? [])
        : live === undefined
          ? listOf(withoutDirectives(patched) ?? null)
          : mergeLists(live, patched, field);
    elementKind(live ?? [], patched ?? []);
    original[name] = inOrder(merged, sequence, orderAfter(live ?? [], patched ?? [], merged, key), key);
    delete patch[name];
  }
}

/**
 * The order that the server takes for that of its own list: new items have come into it where deleted ones have left room at
 * the end, because it merges in place.
 */
function orderAfter(
  live: readonly Json[],
  patched: readonly Json[],
  merged: readonly Json[],
  key: string | undefined,
): readonly Json[] {
  if (key === undefined) return live;
  const isIn = (list: readonly Json[], item: Json) =>
    list.some((other) => identity(other, key) === identity(item, key));
  const left = live.filter((item) => isIn(merged, item));
  const added = patched.filter((item) => !hasDirective(item) && !isIn(left, item));
  return [...left, ...added].slice(0, live.length);
}

/** The items of the patch must stand in the order's order, and all in it. Those to be deleted do not count. */
function checkOrder(patched: readonly Json[], sequence: readonly Json[], key: string | undefined): void {
  if (sequence.length === 0 || patched.length === 0) return;
  const items = patched.filter((item) => key === undefined || objectIn(item)[DIRECTIVE] !== 'delete');
  let place = 0;
  for (const next of sequence) {
    while (hasDirective(items[place])) place++;
    const item = items[place];
    if (item === undefined) return;
    if (isDeepStrictEqual(identity(item, key), identity(next, key))) place++;
  }
  if (place === items.length) return;
  const lists = `${goText([...patched])}\n doesn't match ${ELEMENT_ORDER} list:\n${goText([...sequence])}`;
  throw failed(`The order in patch list:\n${lists}\n`);
}

function deleteFromList(original: JsonObject, directive: string, values: Json): void {
  const name = listNamed(directive, DELETE_FROM_LIST, 'invalid patch format of primitive list');
  const current = original[name];
  if (!Array.isArray(current) || !Array.isArray(values)) return;
  if (current.length === 0 && values.length === 0) return;
  elementKind(current, values);
  original[name] = current.filter((item) => !values.includes(item));
}

function mergeLists(original: readonly Json[], patch: readonly Json[], field: SchemaNode | undefined): Json[] {
  if (!strategiesOf(field).includes('merge')) return [...patch];
  if (original.length === 0 && patch.length === 0) return [];
  if (elementKind(original, patch) !== 'object') {
    return inOrder([...new Set([...original, ...patch])], patch, original, undefined);
  }
  const key = field?.['x-kubernetes-patch-merge-key'];
  if (key === undefined) throw failed('cannot merge lists without merge key for struct');
  const { kept, changes } = carryOut(original.filter(isObject), patch.filter(isObject), key);
  const merged = [...kept];
  for (const change of changes) {
    const value = identity(change, key);
    const place = merged.findIndex((item) => item[key] === value);
    const found = merged[place];
    if (found === undefined) merged.push(change);
    else merged[place] = mergeObjects(found, change, field?.items);
  }
  return inOrder(merged, changes, kept, key);
}

/** Does what the items with a directive say; answers what they leave of the list, and the items that are to be merged. */
function carryOut(
  original: readonly JsonObject[],
  patch: readonly JsonObject[],
  key: string,
): { readonly kept: JsonObject[]; readonly changes: JsonObject[] } {
  let kept = [...original];
  let isReplaced = false;
  const changes: JsonObject[] = [];
  for (const item of patch) {
    switch (item[DIRECTIVE]) {
      case undefined:
        changes.push(item);
        break;
      case 'delete': {
        const value = identity(item, key);
        kept = kept.filter((other) => other[key] !== value);
        break;
      }
      case 'replace':
        isReplaced = true;
        break;
      case 'merge':
        throw failed('merging lists cannot yet be specified in the patch');
      default:
        throw unknownDirective(item[DIRECTIVE] ?? null, item);
    }
  }
  return isReplaced ? { kept: changes, changes: [] } : { kept, changes };
}

/**
 * The items of the patch in its order, and between them the others in theirs, each before the first item of the patch that
 * stood behind it.
 */
function inOrder(
  merged: readonly Json[],
  patch: readonly Json[],
  original: readonly Json[],
  key: string | undefined,
): Json[] {
  for (const item of merged) identity(item, key); // refuses those without one, even where nothing is to be sorted
  const placeIn = (list: readonly Json[], item: Json): number =>
    list.findIndex((other) => isDeepStrictEqual(identity(other, key), identity(item, key)));
  const before = (list: readonly Json[]) => (a: Json, b: Json) => {
    const [left, right] = [placeIn(list, a), placeIn(list, b)];
    return left < 0 || right < 0 || left < right;
  };
  const named = inserted(
    merged.filter((item) => placeIn(patch, item) >= 0),
    before(patch),
  );
  const others = inserted(
    merged.filter((item) => placeIn(patch, item) < 0),
    before(original),
  );
  const result: Json[] = [];
  for (const item of named) {
    const place = placeIn(original, item);
    while (place >= 0 && others[0] !== undefined && placeIn(original, others[0]) < place)
      result.push(others.shift() ?? null);
    result.push(item);
  }
  return [...result, ...others];
}

/** Sorts by insertion, as the server does: it shows where items stand in neither list, which are before each other then. */
function inserted(items: readonly Json[], isBefore: (a: Json, b: Json) => boolean): Json[] {
  const sorted: Json[] = [];
  for (const item of items) {
    let place = sorted.length;
    while (place > 0 && isBefore(item, sorted[place - 1] ?? null)) place--;
    sorted.splice(place, 0, item);
  }
  return sorted;
}

function hasDirective(item: Json | undefined): boolean {
  return isObject(item) && item[DIRECTIVE] !== undefined;
}

/** An item of a list that has a key, which must be an object. */
function objectIn(item: Json): JsonObject {
  if (isObject(item)) return item;
  throw failed(`expected a map[string]interface {}, but received a ${goKind(item)}`);
}

/** What tells an item from others: the value of its key, or itself where there is no key. */
function identity(item: Json, key: string | undefined): Json {
  if (key === undefined) return item;
  const value = objectIn(item)[key];
  if (value === undefined) throw failed(`map: ${goText(item)} does not contain declared merge key: ${key}`);
  return value;
}

/** The type of all items; lists in which types are mixed cannot be merged, nor can lists of lists. */
function elementKind(original: readonly Json[], patch: readonly Json[]): string {
  const [first, ...others] = [...original, ...patch].map((item) => (isObject(item) ? 'object' : goKind(item)));
  if (first === undefined) throw failed('no elements in any of the given slices');
  if (first === '[]interface {}') throw refused();
  if (others.every((kind) => kind === first)) return first;
  throw failed(`list element types are not identical: ${goText([[...original], [...patch]])}`);
}

function listNamed(directive: string, prefix: string, mistake: string): string {
  if (!directive.startsWith(`${prefix}/`)) throw badRequest(mistake);
  return directive.slice(prefix.length + 1);
}

function listOf(value: Json): Json[] {
  if (Array.isArray(value)) return value;
  throw failed(`expected a []interface {}, but received a ${value === null ? '%!s(<nil>)' : goKind(value)}`);
}

/** The schema of a field; nothing is known below a map. A field that does not exist was refused by those who decoded the object. */
function fieldNode(node: SchemaNode | undefined, name: string): SchemaNode | undefined {
  return node?.properties?.[name];
}

function strategiesOf(node: SchemaNode | undefined): readonly string[] {
  return node?.['x-kubernetes-patch-strategy']?.split(',') ?? [];
}

/** What a patch puts where nothing was has no use for directives; what consists of one is not put there at all. */
function withoutDirectives(value: Json): Json | undefined {
  if (Array.isArray(value)) return value.map(withoutDirectives).filter((item) => item !== undefined);
  if (!isObject(value)) return value;
  if (value[DIRECTIVE] !== undefined) return undefined;
  const plain = Object.entries(value).map(([name, inner]) => [name, withoutDirectives(inner ?? null)] as const);
  return Object.fromEntries(plain.filter(([, inner]) => inner !== undefined));
}

function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([, inner]) => inner !== null && inner !== undefined);
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutNulls(inner ?? null)]));
}

function unknownDirective(directive: Json, item: JsonObject): StatusError {
  return failed(`unknown patch type: ${goText(directive)} in map: ${goText(item)}`);
}

/** The server has no better answer for these. */
function failed(message: string): StatusError {
  return new StatusError(500, '', message);
}

function isObject(value: Json | undefined): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
