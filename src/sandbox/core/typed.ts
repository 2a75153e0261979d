/**
 * The core kinds are typed structs inside the real server, and every object passes through them on its way in. That leaves
 * traces: empty fields vanish unless their type tells empty from absent, some fields are always written, quantities, times
 * and bytes come back in one spelling. This file says so of a schema, and leaves the same traces.
 */
import { groupVersionOf, type Json, type JsonObject, type KubeObject } from '../object.ts';
import { type Facets, object, type SchemaNode } from '../schema/node.ts';
import { badRequest } from '../status.ts';
import { parseQuantity, quantitySentence, writeQuantity } from './quantity.ts';
import { type Precision, timeProblem, writeTime } from './times.ts';

/** How a value of a struct is written when it is empty. Symbols, so that no published schema shows them. */
const emptiness = Symbol('how an empty value is written');
const spelling = Symbol('the one spelling of a value');

const metaPackage = 'io.k8s.apimachinery.pkg.apis.meta.v1';
/** The type of times to the millionth of a second, whose schema says no more than that of other times. */
const microTimeName = `${metaPackage}.MicroTime`;

type Spelling = 'quantity' | 'time' | 'micro-time' | 'bytes';

type TypedNode = SchemaNode & {
  readonly [emptiness]?: 'always' | 'null' | 'told-apart';
  readonly [spelling]?: Spelling;
};

/** A struct of the server by its name, which published schemas and refusals show; without a package it is one of core v1. */
export function struct(name: string, fields: { readonly [name: string]: SchemaNode }, facets: Facets = {}): SchemaNode {
  return object(fields, { typeName: name.includes('.') ? name : `io.k8s.api.core.v1.${name}`, ...facets });
}

/** A field that is written even when it is empty: as `""`, `0`, `false`, `null` (lists and times) or `{}`. */
export function always(node: SchemaNode): SchemaNode {
  const written: TypedNode = { ...node, [emptiness]: 'always' };
  const isNullWhenEmpty = node.type === 'array' || node.format === 'date-time';
  return isNullWhenEmpty ? { ...written, nullable: true } : written;
}

/** A field that is written as `null` when it is absent. */
export function orNull(node: SchemaNode): SchemaNode {
  const written: TypedNode = { ...node, nullable: true, [emptiness]: 'null' };
  return written;
}

/** A field whose empty value (`false`, `0`, `""`) says something else than its absence. */
export function optional(node: SchemaNode): SchemaNode {
  const kept: TypedNode = { ...node, [emptiness]: 'told-apart' };
  return kept;
}

/** An amount, written as a string or a number. */
export function quantity(): SchemaNode {
  const node: TypedNode = {
    typeName: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
    'x-kubernetes-int-or-string': true,
    format: 'quantity',
    [spelling]: 'quantity',
  };
  return node;
}

/** A time, to the second. */
export function time(): SchemaNode {
  const node: TypedNode = { typeName: `${metaPackage}.Time`, type: 'string', format: 'date-time', [spelling]: 'time' };
  return node;
}

/** A time, to the millionth of a second. */
export function microTime(): SchemaNode {
  const node: TypedNode = {
    typeName: microTimeName,
    type: 'string',
    format: 'date-time',
    [spelling]: 'micro-time',
  };
  return node;
}

/** Bytes in base64. */
export function bytes(): SchemaNode {
  const node: TypedNode = { type: 'string', format: 'byte', [spelling]: 'bytes' };
  return node;
}

/** Brings an object, in place, into the form in which the server writes it. */
export type Typed = (object: KubeObject) => void;

/**
 * Compiles `node` into the passage through its struct. What it meets is JSON of any shape: values of a wrong type are left
 * for the schema to refuse. Throws a 400 StatusError for quantities, times and bytes that cannot be read.
 */
export function typed(node: SchemaNode): Typed {
  const pass = passage(node);
  return (object) => {
    try {
      pass(object);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      const { version } = groupVersionOf(object.apiVersion);
      throw badRequest(
        `${object.kind} in version "${version}" cannot be handled as a ${object.kind}: ${error.message}`,
      );
    }
  };
}

/** A value that has no spelling. */
class Unreadable extends Error {}

/** Answers the value as it is written, or undefined for one that is not written at all. */
type Passage = (value: Json) => Json | undefined;

function passage(node: TypedNode): Passage {
  const spell = node[spelling];
  if (spell !== undefined) return spellings[spell];
  if (node.type === 'object' && node.properties !== undefined) return structPassage(node.properties);
  if (node.type === 'object' && typeof node.additionalProperties === 'object')
    return mapPassage(node.additionalProperties);
  if (node.type === 'array' && node.items !== undefined) return listPassage(node.items);
  return (value) => value;
}

function structPassage(properties: { readonly [name: string]: TypedNode }): Passage {
  const fields = new Map(Object.entries(properties).map(([name, node]) => [name, fieldPassage(node)]));
  const written = Object.entries(properties).flatMap(([name, node]): [string, () => Json][] => {
    if (node[emptiness] === 'null') return [[name, () => null]];
    return node[emptiness] === 'always' ? [[name, () => emptyValue(node)]] : [];
  });
  return (value) => {
    if (!isObject(value)) return value;
    for (const [name, empty] of written) value[name] ??= empty();
    for (const name of Object.keys(value)) {
      const pass = fields.get(name);
      const field = value[name];
      if (pass === undefined || field === undefined) continue;
      const passed = pass(field);
      if (passed === undefined) delete value[name];
      else value[name] = passed;
    }
    return value;
  };
}

function fieldPassage(node: TypedNode): Passage {
  const pass = passage(node);
  switch (node[emptiness]) {
    case 'always':
    case 'null':
      return (value) => (value === null ? null : (pass(value) ?? null));
    case 'told-apart':
      return (value) => (value === null ? undefined : pass(value));
    default: {
      const isStruct = node.type === 'object' && node.additionalProperties === undefined;
      const isEmpty = isStruct ? () => false : isEmptyValue;
      return (value) => {
        if (value === null) return undefined;
        const passed = pass(value);
        return passed === undefined || isEmpty(passed) ? undefined : passed;
      };
    }
  }
}

function mapPassage(values: SchemaNode): Passage {
  const pass = passage(values);
  return (value) => {
    if (!isObject(value)) return value;
    for (const key of Object.keys(value)) {
      const entry = value[key];
      if (entry === undefined) continue;
      value[key] = pass(entry ?? emptyValue(values)) ?? emptyValue(values);
    }
    return value;
  };
}

function listPassage(items: SchemaNode): Passage {
  const pass = passage(items);
  return (value) => {
    if (!Array.isArray(value)) return value;
    for (const [place, item] of value.entries()) value[place] = pass(item ?? emptyValue(items)) ?? item;
    return value;
  };
}

const spellings: Record<Spelling, Passage> = {
  quantity(value) {
    if (typeof value !== 'string' && typeof value !== 'number') return value;
    const amount = parseQuantity(value);
    if (amount === undefined) throw new Unreadable(quantitySentence);
    return writeQuantity(amount);
  },
  time: (value) => timePassage(value, 'seconds'),
  'micro-time': (value) => timePassage(value, 'micros'),
  bytes(value) {
    if (typeof value !== 'string') return value;
    const packed = value.replaceAll(/[\r\n]/g, '');
    if (packed.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(packed)) return packed;
    throw new Unreadable(`illegal base64 data at input byte ${illegalByte(value)}`);
  },
};

function timePassage(value: Json, precision: Precision): Json {
  if (typeof value !== 'string') return value;
  const problem = timeProblem(value, precision);
  if (problem !== undefined) throw new Unreadable(problem);
  return writeTime(value, precision);
}

function illegalByte(value: string): number {
  const place = value.search(/[^A-Za-z0-9+/\r\n]/);
  if (place >= 0 && value[place] !== '=') return place;
  return place >= 0 ? place : value.length - (value.length % 4);
}

function emptyValue(node: TypedNode): Json {
  if (node[spelling] === 'quantity') return '0';
  if (node.format === 'date-time') return null;
  if (node['x-kubernetes-int-or-string'] === true) return 0;
  switch (node.type) {
    case 'string':
      return '';
    case 'integer':
    case 'number':
      return 0;
    case 'boolean':
      return false;
    case 'array':
      return null;
    default:
      return {};
  }
}

function isEmptyValue(value: Json): boolean {
  if (value === '' || value === 0 || value === false || value === null) return true;
  return Array.isArray(value) ? value.length === 0 : typeof value === 'object' && Object.keys(value).length === 0;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
