/**
 * What a schema says about ownership: which lists and maps are owned item by item, which as a whole, and what tells items
 * apart. https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
 */
import type { Json } from '../object.ts';
import { metadataNode } from '../schema/metadata.ts';
import { type SchemaNode, text } from '../schema/node.ts';
import { fieldElement, keyElement, valueElement } from './fields.ts';

/** The forms a value may have; of several the value decides. */
export interface Shape {
  readonly map: MapShape | undefined;
  readonly list: ListShape | undefined;
  /** `untyped` takes every scalar. */
  readonly scalar: 'string' | 'numeric' | 'boolean' | 'untyped' | undefined;
}

/** A map or an object with fields. */
export interface MapShape {
  /** Owned as a whole. */
  readonly atomic: boolean;
  /** A field that the schema names. */
  field(name: string): { readonly element: string; readonly shape: Shape } | undefined;
  /** What is behind other names; undefined when there may be none. */
  readonly values: Shape | undefined;
}

/** A list. */
export interface ListShape {
  readonly atomic: boolean;
  readonly items: Shape;
  /** What tells apart the item among the others; a text in place of it says why the item has no element. */
  elementOf(item: Json): { readonly element: string } | { readonly mistake: string };
}

/** A value that is owned as a whole, whatever it is. */
const whole: Shape = unknownShape(true);

/** A value of which no schema knows anything: its objects are owned field by field, its lists as a whole. */
const deduced: Shape = unknownShape(false);

function unknownShape(atomic: boolean): Shape {
  const shape: Shape = {
    map: {
      atomic,
      field: () => undefined,
      get values() {
        return shape;
      },
    },
    list: {
      atomic: true,
      get items() {
        return whole;
      },
      elementOf: noElement,
    },
    scalar: 'untyped',
  };
  return shape;
}

const roots = new WeakMap<SchemaNode, SchemaNode>();

/** The schema of whole objects: `node` with what every object has. The same answer for the same node. */
export function objectNode(node: SchemaNode): SchemaNode {
  let root = roots.get(node);
  if (root === undefined) {
    const properties = { ...node.properties, apiVersion: text(), kind: text(), metadata: metadataNode };
    root = { ...node, type: 'object', properties };
    roots.set(node, root);
  }
  return root;
}

const closedShapes = new WeakMap<SchemaNode, Shape>();
const openShapes = new WeakMap<SchemaNode, Shape>();

/** The shape of whole objects of a kind whose schema is `node`. */
export function objectShape(node: SchemaNode): Shape {
  return shapeOf(objectNode(node), false);
}

/** `open`: a node above keeps unknown fields, and then so do all below it. */
function shapeOf(node: SchemaNode, open: boolean): Shape {
  const unknown = open || node['x-kubernetes-preserve-unknown-fields'] === true;
  const shapes = unknown ? openShapes : closedShapes;
  let shape = shapes.get(node);
  if (shape === undefined) {
    shape = makeShape(node, unknown);
    shapes.set(node, shape);
  }
  return shape;
}

function makeShape(node: SchemaNode, open: boolean): Shape {
  switch (node.type) {
    case 'object':
      return { map: mapShape(node, open), list: undefined, scalar: undefined };
    case 'array':
      return { map: undefined, list: listShape(node, open), scalar: undefined };
    case 'integer':
    case 'number':
      return { map: undefined, list: undefined, scalar: 'numeric' };
    case 'boolean':
      return { map: undefined, list: undefined, scalar: 'boolean' };
    case 'string': {
      const strict = node.format === undefined || node.format === 'byte';
      return { map: undefined, list: undefined, scalar: strict ? 'string' : 'untyped' };
    }
    default:
      return { map: mapShape(node, open), list: listShape(node, open), scalar: 'untyped' };
  }
}

function mapShape(node: SchemaNode, open: boolean): MapShape {
  const known = new Map<string, { element: string; shape: Shape }>();
  const properties = withEmbedded(node);
  const names = new Set(Object.keys(properties));
  const { additionalProperties } = node;
  return {
    atomic: node['x-kubernetes-map-type'] === 'atomic',
    field(name) {
      let field = known.get(name);
      if (field === undefined && names.has(name)) {
        field = { element: fieldElement(name), shape: shapeOf(properties[name] ?? {}, open) };
        known.set(name, field);
      }
      return field;
    },
    get values() {
      if (typeof additionalProperties === 'object') return shapeOf(additionalProperties, open);
      if (additionalProperties === undefined) return open || names.size === 0 ? deduced : undefined;
      return additionalProperties ? deduced : undefined;
    },
  };
}

/** A whole object within another has what every object has. */
function withEmbedded(node: SchemaNode): { readonly [name: string]: SchemaNode } {
  if (node['x-kubernetes-embedded-resource'] !== true) return node.properties ?? {};
  return { ...node.properties, apiVersion: text(), kind: text(), metadata: metadataNode };
}

function listShape(node: SchemaNode, open: boolean): ListShape {
  const keys = keysOf(node);
  const { items } = node;
  return {
    atomic: keys === undefined,
    get items() {
      return items === undefined ? whole : shapeOf(items, open);
    },
    elementOf:
      keys === undefined ? noElement : keys.length === 0 ? elementInSet : (item) => elementByKeys(item, keys, items),
  };
}

/** The keys of a list whose items are told apart; none for a set; undefined for an atomic list. */
function keysOf(node: SchemaNode): readonly string[] | undefined {
  switch (node['x-kubernetes-list-type']) {
    case 'map':
      return node['x-kubernetes-list-map-keys'] ?? [];
    case 'set':
      return [];
    case 'atomic':
      return undefined;
  }
  if (!node['x-kubernetes-patch-strategy']?.split(',').includes('merge')) return undefined;
  const key = node['x-kubernetes-patch-merge-key'];
  return key === undefined ? [] : [key];
}

function noElement(): { mistake: string } {
  return { mistake: 'invalid indexing of non-associative list' };
}

function elementInSet(item: Json): { element: string } | { mistake: string } {
  if (item === null) return { mistake: "associative list without keys has an element that's an explicit null" };
  if (Array.isArray(item)) return { mistake: 'not supported: associative list with lists as elements' };
  if (typeof item === 'object') return { mistake: "associative list without keys has an element that's a map type" };
  return { element: valueElement(item) };
}

function elementByKeys(
  item: Json,
  keys: readonly string[],
  node: SchemaNode | undefined,
): { element: string } | { mistake: string } {
  if (item === null) return { mistake: 'associative list with keys may not have a null element' };
  if (typeof item !== 'object' || Array.isArray(item)) {
    return { mistake: 'associative list with keys may not have non-map elements' };
  }
  const values: [string, Json][] = [];
  for (const key of keys) {
    const value = item[key] ?? keyDefault(node, key);
    if (value !== undefined && value !== null) values.push([key, value]);
  }
  if (values.length === 0) {
    const names = keys.map((key) => JSON.stringify(key)).join(' ');
    const why = "(and doesn't have default values for any key fields)";
    return { mistake: `associative list with keys has an element that omits all key fields [${names}] ${why}` };
  }
  if (values.length > 1) values.sort(([a], [b]) => (a < b ? -1 : 1));
  return { element: keyElement(values) };
}

/** The keys of built-in kinds have a default in Go even where the schema says that they must be given: the empty value. */
function keyDefault(node: SchemaNode | undefined, key: string): Json | undefined {
  const field = node?.properties?.[key];
  if (field?.default !== undefined || node?.typeName === undefined || !node.required?.includes(key))
    return field?.default;
  return field?.type === 'integer' ? 0 : '';
}
