/** The values of CEL, and how JSON becomes one: by its schema, which knows integers from doubles and times from strings. */
import type { Json } from '../../object.ts';
import { durationNanoseconds } from '../formats.ts';
import type { SchemaNode } from '../node.ts';
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  int,
  nothing,
  scalar,
  string,
  type Type,
  timestamp,
  uint,
} from './types.ts';

/** An int is a bigint, a double is a number. */
export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | Uint
  | Timestamp
  | Duration
  | TypeValue
  | ListValue
  | MapValue
  | ObjectValue
  | OptionalValue
  | OpaqueValue;

/** An expression that has no value; the message is CEL's. */
export class EvaluationError extends Error {}

/** An unsigned integer. */
export class Uint {
  readonly value: bigint;
  constructor(value: bigint) {
    if (value < 0n || value > 18446744073709551615n) throw new EvaluationError('unsigned integer overflow');
    this.value = value;
  }
}

/** A point in time, in nanoseconds since the epoch. */
export class Timestamp {
  readonly nanoseconds: bigint;
  constructor(nanoseconds: bigint) {
    this.nanoseconds = nanoseconds;
  }
}

/** A length of time, in nanoseconds. */
export class Duration {
  readonly nanoseconds: bigint;
  constructor(nanoseconds: bigint) {
    this.nanoseconds = nanoseconds;
  }
}

/** The type of a value, as `type(x)` answers it. */
export class TypeValue {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** A list; those of a schema may be sets, or maps by key, which equality and `+` respect. */
export class ListValue {
  readonly items: readonly Value[];
  /** `set`, or the keys of the items. */
  readonly identity: 'set' | readonly string[] | undefined;
  constructor(items: readonly Value[], identity?: 'set' | readonly string[]) {
    this.items = items;
    this.identity = identity;
  }
}

/** A map, by the text of its keys (`"a"`, `1`, `true`), which an int and a double of the same number share. */
export class MapValue {
  readonly entries: ReadonlyMap<string, readonly [key: Value, value: Value]>;
  constructor(entries: Iterable<readonly [Value, Value]>) {
    this.entries = new Map([...entries].map((entry) => [keyText(entry[0]), entry]));
  }
}

/** An object of a schema. Its fields become values when they are asked for. */
export class ObjectValue {
  readonly #fields: ReadonlyMap<string, () => Value>;
  readonly #made = new Map<string, Value>();
  constructor(fields: ReadonlyMap<string, () => Value>) {
    this.#fields = fields;
  }
  has(name: string): boolean {
    return this.#fields.has(name);
  }
  get(name: string): Value {
    const made = this.#made.get(name);
    if (made !== undefined) return made;
    const make = this.#fields.get(name);
    if (make === undefined) throw new EvaluationError(`no such key: ${name}`);
    const value = make();
    this.#made.set(name, value);
    return value;
  }
  names(): Iterable<string> {
    return this.#fields.keys();
  }
}

/** A value that may be absent. */
export class OptionalValue {
  readonly value: Value | undefined;
  constructor(value: Value | undefined) {
    this.value = value;
  }
}

/** A value of a type of Kubernetes' own. */
export class OpaqueValue {
  /** As signatures name it: `URL`, `Quantity`, `IP`, `CIDR`. */
  readonly type: string;
  readonly value: unknown;
  /** Two values of the same type are equal when their texts are. */
  readonly text: string;
  constructor(type: string, value: unknown, text: string) {
    this.type = type;
    this.value = value;
    this.text = text;
  }
}

/** The key of a map as its text; throws an EvaluationError for a value that can be none. */
export function keyText(key: Value): string {
  if (typeof key === 'string') return JSON.stringify(key);
  if (typeof key === 'bigint' || typeof key === 'number' || typeof key === 'boolean') return String(key);
  if (key instanceof Uint) return String(key.value);
  throw new EvaluationError('unsupported key type');
}

/** How the values of a schema's node look: what type they have, and how JSON is made one of them. */
export interface Shape {
  readonly type: Type;
  /** JSON that validation has found to be of that shape. */
  valueOf(json: Json): Value;
}

/**
 * The shape of a node; undefined when rules cannot see it (nothing is known of its type).
 * https://kubernetes.io/docs/reference/using-api/cel/#type-system-integration
 */
export function shapeOf(node: SchemaNode, root = false): Shape | undefined {
  if (node['x-kubernetes-int-or-string'] === true) return { type: dyn, valueOf: plainValue };
  switch (node.type) {
    case 'boolean':
      return { type: bool, valueOf: plainValue };
    case 'integer':
      return { type: int, valueOf: (json) => (typeof json === 'number' ? BigInt(json) : plainValue(json)) };
    case 'number':
      return { type: double, valueOf: (json) => (typeof json === 'number' ? json : plainValue(json)) };
    case 'string':
      return stringShape(node.format);
    case 'array':
      return listShape(node);
    case 'object':
      return objectShape(root ? withOwnFields(node) : node);
    default:
      return undefined;
  }
}

/** A property's name as rules write it. https://kubernetes.io/docs/reference/using-api/cel/#escaping */
export function escapedName(name: string): string | undefined {
  if (reserved.has(name)) return `__${name}__`;
  if (!/^[A-Za-z_.\-/][A-Za-z0-9_.\-/]*$/.test(name)) return undefined;
  const escapes: { readonly [text: string]: string } = {
    __: '__underscores__',
    '.': '__dot__',
    '-': '__dash__',
    '/': '__slash__',
  };
  return name.replace(/__|[.\-/]/g, (text) => escapes[text] ?? text);
}

/** How rules may write a property's name: a word that is reserved, yet can be told from its use, as it is or escaped. */
function spellings(name: string): string[] {
  const escaped = escapedName(name);
  if (escaped === undefined) return [];
  return reserved.has(name) && !['true', 'false', 'null', 'in'].includes(name) ? [name, escaped] : [escaped];
}

const reserved: ReadonlySet<string> = new Set(
  (
    'true false null in as break const continue else for function if import let loop package namespace return var void ' +
    'while'
  ).split(' '),
);

function stringShape(format: string | undefined): Shape {
  switch (format) {
    case 'date-time':
    case 'date':
      return { type: timestamp, valueOf: (json) => (typeof json === 'string' ? readTime(json) : plainValue(json)) };
    case 'duration':
      return {
        type: duration,
        valueOf: (json) =>
          typeof json === 'string'
            ? new Duration(BigInt(Math.round(durationNanoseconds(json) ?? 0)))
            : plainValue(json),
      };
    case 'byte':
      return { type: bytes, valueOf: (json) => new Uint8Array(Buffer.from(String(json), 'base64')) };
    default:
      return { type: string, valueOf: plainValue };
  }
}

function listShape(node: SchemaNode): Shape | undefined {
  const items = shapeOf(node.items ?? {});
  if (items === undefined) return undefined;
  const listType = node['x-kubernetes-list-type'];
  const keys = node['x-kubernetes-list-map-keys']?.map((key) => escapedName(key) ?? key);
  const identity = listType === 'set' ? 'set' : listType === 'map' ? keys : undefined;
  return {
    type: { of: 'list', items: items.type },
    valueOf: (json) =>
      Array.isArray(json)
        ? new ListValue(
            json.map((item) => items.valueOf(item)),
            identity,
          )
        : plainValue(json),
  };
}

function objectShape(node: SchemaNode): Shape | undefined {
  if (typeof node.additionalProperties === 'object') {
    const values = shapeOf(node.additionalProperties);
    if (values === undefined) return undefined;
    return {
      type: { of: 'map', key: string, value: values.type },
      valueOf: (json) =>
        isObject(json)
          ? new MapValue(Object.entries(json).map(([key, value]) => [key, values.valueOf(value ?? null)]))
          : plainValue(json),
    };
  }
  const { properties = {} } = node['x-kubernetes-embedded-resource'] === true ? withOwnFields(node) : node;
  const fields = Object.entries(properties).flatMap(([name, field]) => {
    const shape = shapeOf(field);
    return shape === undefined ? [] : spellings(name).map((escaped) => ({ name, escaped, shape }));
  });
  return {
    type: { of: 'object', fields: new Map(fields.map(({ escaped, shape }) => [escaped, shape.type])) },
    valueOf: (json) => {
      if (!isObject(json)) return plainValue(json);
      const present = fields.filter(({ name }) => json[name] !== undefined && json[name] !== null);
      return new ObjectValue(
        new Map(present.map(({ name, escaped, shape }) => [escaped, () => shape.valueOf(json[name] ?? null)])),
      );
    },
  };
}

/** What every object has that is one by itself. Of its metadata rules see the names alone. */
function withOwnFields(node: SchemaNode): SchemaNode {
  const text: SchemaNode = { type: 'string' };
  const metadata: SchemaNode = { type: 'object', properties: { name: text, generateName: text } };
  return { ...node, properties: { ...node.properties, apiVersion: text, kind: text, metadata } };
}

/** A value of JSON of which no schema is known. */
function plainValue(json: Json): Value {
  if (typeof json === 'number') return Number.isInteger(json) ? BigInt(json) : json;
  if (Array.isArray(json)) return new ListValue(json.map(plainValue));
  if (isObject(json)) return new MapValue(Object.entries(json).map(([key, value]) => [key, plainValue(value ?? null)]));
  return json;
}

/** A time of RFC 3339, or a date, as a value. Throws an EvaluationError. */
export function readTime(text: string): Timestamp {
  const match = /^(\d{4}-\d\d-\d\d)(?:[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d))?$/.exec(text);
  const [, day = '', clock = '00:00:00', fraction = '', zone = 'Z'] = match ?? [];
  const ms = match === null ? Number.NaN : Date.parse(`${day}T${clock}${zone.toUpperCase()}`);
  if (Number.isNaN(ms)) throw new EvaluationError(`invalid timestamp ${JSON.stringify(text)}`);
  return new Timestamp(BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0')));
}

/** The type of a value, as far as it shows. */
export function typeOfValue(value: Value): Type {
  switch (typeof value) {
    case 'boolean':
      return bool;
    case 'bigint':
      return int;
    case 'number':
      return double;
    case 'string':
      return string;
    default:
      break;
  }
  if (value === null) return nothing;
  if (value instanceof Uint8Array) return bytes;
  if (value instanceof Uint) return uint;
  if (value instanceof Timestamp) return timestamp;
  if (value instanceof Duration) return duration;
  if (value instanceof TypeValue) return scalar('type');
  if (value instanceof ListValue) return { of: 'list', items: dyn };
  if (value instanceof MapValue) return { of: 'map', key: dyn, value: dyn };
  if (value instanceof OptionalValue) return { of: 'optional', value: dyn };
  if (value instanceof OpaqueValue) return scalar(value.type);
  return dyn;
}

function isObject(json: Json): json is { [key: string]: Json | undefined } {
  return json !== null && typeof json === 'object' && !Array.isArray(json);
}
