/**
 * Decoding as the API server decodes what it has a Go type for: core kinds, and the metadata of every kind. A value of the
 * wrong type is refused there (400) before anything is validated, in the words of Go's JSON package.
 */
import { type Precision, timeProblem } from '../core/times.ts';
import type { Json, JsonObject } from '../object.ts';
import type { SchemaNode } from './node.ts';
import { fieldBelow } from './wording.ts';

/** A value that has no place in the Go type; the message is the decoder's. */
export class Undecodable extends Error {}

/** Where a value stands: by Go's reckoning, and by the path that warnings show. */
export interface Place {
  /** The struct that has the field, and the field's path without indexes: `Container.spec.containers.image`. */
  readonly struct: string;
  readonly field: string;
  readonly path: string;
}

/**
 * Decodes in place and answers the value that takes the place of `value`. Adds the paths of unknown fields, which are dropped.
 * Throws an Undecodable.
 */
export type Decode = (value: Json, place: Place, unknown: string[]) => Json | undefined;

/**
 * Compiles the decoding of a node. As Go does it: a null is no value (an empty one within a map or a list), and an empty list or
 * map of an optional field is not kept.
 */
export function compileDecoding(node: SchemaNode, type: string): Decode {
  if (node['x-kubernetes-int-or-string'] === true)
    return node.format === 'quantity' ? decodeQuantity : decodeIntOrString;
  switch (node.type) {
    case 'object':
      return compileObject(node, type);
    case 'array':
      return compileList(node, type);
    case 'string':
      return compileText(node);
    case 'integer':
      return compileInteger(node.format === 'int32' ? 'int32' : 'int64');
    case 'number':
      return (value, place) => (value === null || typeof value === 'number' ? value : refuse(value, place, 'float64'));
    case 'boolean':
      return (value, place) => (value === null || typeof value === 'boolean' ? value : refuse(value, place, 'bool'));
    default:
      return (value) => value;
  }
}

/** The name of the Go type behind a field: its own when the schema says it, else as such types are usually called. */
export function typeBelow(node: SchemaNode, parent: string, field: string): string {
  const named = node.typeName ?? node.items?.typeName;
  if (named !== undefined) return named.slice(named.lastIndexOf('.') + 1);
  const title = field.charAt(0).toUpperCase() + field.slice(1);
  if (field === 'spec' || field === 'status') return parent + title;
  return node.type === 'array' && title.endsWith('s') ? title.slice(0, -1) : title;
}

function compileObject(node: SchemaNode, type: string): Decode {
  const values = typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined;
  if (values !== undefined && node.properties === undefined) return compileMap(values, type);
  const required = new Set(node.required ?? []);
  const fields = new Map(
    Object.entries(node.properties ?? {}).map(([name, field]) => [
      name,
      {
        decode: compileDecoding(field, typeBelow(field, type, name)),
        dropsEmpty: !required.has(name) && isPlural(field),
      },
    ]),
  );
  const keeps = node['x-kubernetes-preserve-unknown-fields'] === true || node.properties === undefined;
  return (value, place, unknown) => {
    if (value === null) return value;
    if (!isObject(value)) return refuse(value, place, `v1.${type}`);
    for (const name of Object.keys(value)) {
      const field = fields.get(name);
      const path = fieldBelow(place.path, name);
      if (field === undefined) {
        if (keeps) continue;
        unknown.push(path);
        delete value[name];
        continue;
      }
      const below = { struct: type, field: fieldBelow(place.field, name), path };
      const decoded = field.decode(value[name] ?? null, below, unknown) ?? null;
      if (decoded === null || (field.dropsEmpty && isEmpty(decoded))) delete value[name];
      else value[name] = decoded;
    }
    return value;
  };
}

function compileMap(values: SchemaNode, type: string): Decode {
  const decode = compileDecoding(values, type);
  const named = `map[string]${goType(values, type)}`;
  const zero = zeroOf(values);
  return (value, place, unknown) => {
    if (value === null) return value;
    if (!isObject(value)) return refuse(value, place, named);
    for (const [name, item] of Object.entries(value)) {
      value[name] =
        decode(item ?? null, { ...place, path: fieldBelow(place.path, name) }, unknown) ?? structuredClone(zero);
    }
    return value;
  };
}

function compileList(node: SchemaNode, type: string): Decode {
  const items = node.items ?? {};
  const decode = compileDecoding(items, type);
  const named = `[]${goType(items, type)}`;
  const zero = zeroOf(items);
  return (value, place, unknown) => {
    if (value === null) return value;
    if (!Array.isArray(value)) return refuse(value, place, named);
    for (const [at, item] of value.entries()) {
      value[at] = decode(item, { ...place, path: `${place.path}[${at}]` }, unknown) ?? structuredClone(zero);
    }
    return value;
  };
}

function compileText(node: SchemaNode): Decode {
  switch (node.format) {
    case 'date-time': {
      const precision = node.typeName?.endsWith('.MicroTime') ? 'micros' : 'seconds';
      return (value) => decodeTime(value, precision);
    }
    case 'quantity':
      return decodeQuantity;
    case 'byte':
      return decodeBytes;
    default:
      return (value, place) => (value === null || typeof value === 'string' ? value : refuse(value, place, 'string'));
  }
}

function compileInteger(type: 'int32' | 'int64'): Decode {
  const limit = type === 'int32' ? 2 ** 31 : 2 ** 63;
  return (value, place) => {
    if (value === null) return value;
    if (typeof value !== 'number') return refuse(value, place, type);
    if (!Number.isInteger(value) || value >= limit || value < -limit) return refuse(value, place, type, numeral(value));
    return value;
  };
}

function decodeIntOrString(value: Json, place: Place): Json {
  if (value === null || typeof value === 'string') return value;
  if (typeof value !== 'number') return refuse(value, place, 'int32');
  return Number.isInteger(value) ? value : refuse(value, place, 'int32', numeral(value));
}

function decodeTime(value: Json, precision: Precision): Json {
  if (value === null) return value;
  if (typeof value !== 'string') {
    throw new Undecodable(`json: cannot unmarshal ${jsonType(value)} into Go value of type string`);
  }
  const problem = timeProblem(value, precision);
  if (problem !== undefined) throw new Undecodable(problem);
  return value;
}

function decodeQuantity(value: Json): Json {
  if (value === null) return value;
  const text = typeof value === 'number' ? numeral(value) : value;
  if (typeof text === 'string' && /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+|[KMGTPE]i|[numkMGTPE])?$/.test(text))
    return text;
  throw new Undecodable("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

function decodeBytes(value: Json, place: Place): Json {
  if (value === null) return value;
  if (typeof value !== 'string') return refuse(value, place, '[]uint8');
  const bad = firstBadBase64(value.replace(/[\r\n]/g, ''));
  if (bad === undefined) return value;
  throw new Undecodable(`illegal base64 data at input byte ${bad}`);
}

/** Where Go's base64 decoder stops; undefined when it does not. */
function firstBadBase64(text: string): number | undefined {
  const good = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?/.exec(text)?.[0].length ?? 0;
  if (good === text.length) return undefined;
  const stray = /[^A-Za-z0-9+/]/.exec(text.slice(good));
  return stray === null ? text.length - (text.length % 4) : good + stray.index;
}

function refuse(value: Json, { struct, field }: Place, type: string, number?: string): never {
  const what = number === undefined ? jsonType(value) : `number ${number}`;
  const where = struct === '' ? 'value' : `struct field ${struct}.${field}`;
  throw new Undecodable(`json: cannot unmarshal ${what} into Go ${where} of type ${type}`);
}

/** What Go's JSON package calls a value. */
function jsonType(value: Json): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

function goType(node: SchemaNode, type: string): string {
  if (node['x-kubernetes-int-or-string'] === true)
    return node.format === 'quantity' ? 'resource.Quantity' : 'intstr.IntOrString';
  switch (node.type) {
    case 'object': {
      const values = typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined;
      return values === undefined ? `v1.${type}` : `map[string]${goType(values, type)}`;
    }
    case 'array':
      return `[]${goType(node.items ?? {}, type)}`;
    case 'integer':
      return node.format === 'int32' ? 'int32' : 'int64';
    case 'number':
      return 'float64';
    case 'boolean':
      return 'bool';
    default:
      if (node.format === 'date-time') return 'v1.Time';
      return node.format === 'byte' ? '[]uint8' : 'string';
  }
}

/** What Go leaves where a map or a list has a null. */
function zeroOf(node: SchemaNode): Json {
  switch (node.type) {
    case 'object':
      return {};
    case 'string':
      return '';
    case 'integer':
    case 'number':
      return 0;
    case 'boolean':
      return false;
    default:
      return null;
  }
}

function isPlural(node: SchemaNode): boolean {
  return node.type === 'array' || (node.type === 'object' && typeof node.additionalProperties === 'object');
}

function isEmpty(value: Json): boolean {
  return Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0;
}

function isObject(value: Json): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** A number without an exponent where Go would read none. */
function numeral(value: number): string {
  return Number.isInteger(value) ? BigInt(value).toString() : String(value);
}
