/**
 * JSON patches (RFC 6902) as the API server's library takes them, which is more lenient than the RFC: indices may be
 * negative, `replace` may add a missing field, `test` for null holds where nothing is, and the part of a path before its
 * first slash does not count. https://github.com/evanphx/json-patch
 */
import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject } from '../object.ts';
import { badRequest, StatusError } from '../status.ts';
import { goType } from './go.ts';

const MAX_OPERATIONS = 10_000;

/**
 * `object` after all operations of `patch`; `object` stays as it is. Throws 400 for what is no patch, 413 for more than
 * 10,000 operations, 422 for an operation that cannot be done, a test that fails, and a result that is no object.
 */
export function applyJsonPatch(object: JsonObject, patch: Json): JsonObject {
  const operations = operationsIn(patch);
  const root: { document: Json } = { document: structuredClone(object) };
  // A later operation may change what an earlier one has put in place, which must not change the patch.
  for (const operation of operations) perform(structuredClone(operation), root);
  if (isObject(root.document)) return root.document;
  const typeOnly =
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';
  const why = `json: cannot unmarshal array into Go value of type ${typeOnly}`;
  const value = JSON.stringify(JSON.stringify(root.document));
  const message = `Invalid value: ${value}: couldn't get version/kind; json parse error: ${why}`;
  const causes = [{ reason: 'FieldValueInvalid', message, field: 'patch' }];
  throw new StatusError(422, 'Invalid', ` "" is invalid: patch: ${message}`, { causes });
}

/** What any patch that cannot be carried out is answered with; the server keeps the details to itself. */
export function refused(): StatusError {
  const text = 'the server rejected our request due to an error in our request';
  return new StatusError(422, 'Invalid', text, {});
}

interface Operation {
  readonly op: string;
  readonly path: string | undefined;
  readonly from: string | undefined;
  readonly value: Json | undefined;
}

function operationsIn(patch: Json): Operation[] {
  if (!Array.isArray(patch)) throw undecodable(patch, 'Go value of type []handlers.jsonPatchOp');
  if (patch.length > MAX_OPERATIONS) {
    const text = `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`;
    throw new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: ${text}`);
  }
  return patch.map((operation) => {
    if (!isObject(operation)) throw undecodable(operation, 'Go value of type handlers.jsonPatchOp');
    const word = (name: 'op' | 'path' | 'from'): string | undefined => {
      const value = operation[name] ?? undefined;
      if (value === undefined || typeof value === 'string') return value;
      throw undecodable(value, `Go struct field jsonPatchOp.${name} of type string`);
    };
    return { op: word('op') ?? '', path: word('path'), from: word('from'), value: operation.value };
  });
}

function undecodable(value: Json, into: string): StatusError {
  return badRequest(`error decoding patch: json: cannot unmarshal ${goType(value)} into ${into}`);
}

function perform({ op, path, from, value }: Operation, root: { document: Json }): void {
  if (path === undefined) throw refused();
  switch (op) {
    case 'add':
      add(placeOf(root, path), value ?? null);
      break;
    case 'remove':
      remove(placeOf(root, path));
      break;
    case 'replace':
      if (path !== '') replace(placeOf(root, path), value ?? null);
      // Nothing happens when the whole object is to become a text or a number: the library forgets to complain.
      else if (value !== null && typeof value === 'object') root.document = value;
      break;
    case 'move': {
      const source = placeOf(root, from);
      const moved = read(source) ?? null;
      remove(source);
      add(placeOf(root, path), moved);
      break;
    }
    case 'copy': {
      const copied = structuredClone(read(placeOf(root, from)) ?? null);
      add(placeOf(root, path), copied);
      break;
    }
    case 'test': {
      const found = path === '' ? root.document : (read(placeOf(root, path)) ?? null);
      if (value === undefined || !isDeepStrictEqual(found, value)) throw refused();
      break;
    }
    default:
      throw refused();
  }
}

/** Where an operation works: a key of an object, or an index of a list, as the path writes it. */
interface Place {
  readonly holder: Json[] | JsonObject;
  readonly key: string;
}

function placeOf(root: { document: Json }, path: string | undefined): Place {
  const steps = path?.split('/').map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')) ?? [];
  const key = steps.at(-1);
  if (steps.length < 2 || key === undefined) throw refused();
  let holder = root.document;
  for (const step of steps.slice(1, -1)) {
    if (holder === null || typeof holder !== 'object') throw refused();
    holder = read({ holder, key: step }) ?? null;
  }
  if (holder === null || typeof holder !== 'object') throw refused();
  return { holder, key };
}

/** Undefined when an object has no such key; an index that is not there is refused. */
function read({ holder, key }: Place): Json | undefined {
  return Array.isArray(holder) ? holder[indexIn(holder.length, key)] : own(holder, key);
}

function add({ holder, key }: Place, value: Json): void {
  if (!Array.isArray(holder)) put(holder, key, value);
  else if (key === '-') holder.push(value);
  else holder.splice(indexIn(holder.length + 1, key), 0, value);
}

function replace({ holder, key }: Place, value: Json): void {
  if (Array.isArray(holder)) holder[indexIn(holder.length, key)] = value;
  else put(holder, key, value);
}

function remove({ holder, key }: Place): void {
  if (Array.isArray(holder)) holder.splice(indexIn(holder.length, key), 1);
  else if (own(holder, key) === undefined) throw refused();
  else delete holder[key];
}

/** A negative index counts from the end. */
function indexIn(length: number, key: string): number {
  if (!/^[+-]?\d+$/.test(key)) throw refused();
  const index = Number(key);
  if (index >= length || index < -length) throw refused();
  return index < 0 ? index + length : index;
}

function own(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** `__proto__` is a field like any other. */
function put(object: JsonObject, key: string, value: Json): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

function isObject(value: Json): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
