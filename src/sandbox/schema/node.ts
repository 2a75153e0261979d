/** A structural schema as Kubernetes has them, and the few words to write one with. */
import type { Json } from '../object.ts';

/**
 * One node of a structural OpenAPI v3 schema; a CRD's `openAPIV3Schema` as it is sent, and what our own kinds are written in.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 * `x-kubernetes-patch-*` say how strategic merge patches treat a list of a core kind.
 */
export interface SchemaNode {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly description?: string;
  readonly properties?: { readonly [name: string]: SchemaNode };
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly required?: readonly string[];
  readonly default?: Json;
  readonly enum?: readonly Json[];
  readonly nullable?: boolean;
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly allOf?: readonly SchemaNode[];
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly not?: SchemaNode;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-embedded-resource'?: boolean;
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: 'granular' | 'atomic';
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[];
  readonly 'x-kubernetes-patch-strategy'?: string;
  readonly 'x-kubernetes-patch-merge-key'?: string;
  /** The Go type behind an object of a core kind, `io.k8s.api.core.v1.PodSpec`: the OpenAPI documents and decoding errors name it. */
  readonly typeName?: string;
}

/** A CEL rule, `x-kubernetes-validations[]`. */
export interface ValidationRule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

/** What may be added to a node of any type. */
export type Facets = Omit<SchemaNode, 'type' | 'properties' | 'items' | 'additionalProperties'>;

/** An object with these fields; `required` and the rest go into `facets`. */
export function object(properties: { readonly [name: string]: SchemaNode }, facets: Facets = {}): SchemaNode {
  return { type: 'object', properties, ...facets };
}

/** A list. Without facets it is atomic, as a CRD's list is unless it says otherwise. */
export function list(items: SchemaNode, facets: Facets = {}): SchemaNode {
  return { type: 'array', items, ...facets };
}

/** A list whose items are told apart by `keys`, for server-side apply and for strategic merges alike. */
export function listByKey(items: SchemaNode, keys: readonly [string, ...string[]], facets: Facets = {}): SchemaNode {
  return list(items, {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': keys,
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-patch-merge-key': keys[0],
    ...facets,
  });
}

/** A list in which each value stands once. */
export function listAsSet(items: SchemaNode, facets: Facets = {}): SchemaNode {
  return list(items, { 'x-kubernetes-list-type': 'set', 'x-kubernetes-patch-strategy': 'merge', ...facets });
}

/** A map from any key to values of one shape. */
export function map(values: SchemaNode, facets: Facets = {}): SchemaNode {
  return { type: 'object', additionalProperties: values, ...facets };
}

export const text = (facets: Facets = {}): SchemaNode => ({ type: 'string', ...facets });
export const integer = (facets: Facets = {}): SchemaNode => ({ type: 'integer', ...facets });
export const int32 = (facets: Facets = {}): SchemaNode => ({ type: 'integer', format: 'int32', ...facets });
export const int64 = (facets: Facets = {}): SchemaNode => ({ type: 'integer', format: 'int64', ...facets });
export const flag = (facets: Facets = {}): SchemaNode => ({ type: 'boolean', ...facets });
export const time = (facets: Facets = {}): SchemaNode => ({ type: 'string', format: 'date-time', ...facets });
export const intOrString = (facets: Facets = {}): SchemaNode => ({ 'x-kubernetes-int-or-string': true, ...facets });
/** An object of which nothing is known. */
export const anyObject = (facets: Facets = {}): SchemaNode => ({
  type: 'object',
  'x-kubernetes-preserve-unknown-fields': true,
  ...facets,
});
/** A value of any type. */
export const anything = (facets: Facets = {}): SchemaNode => ({
  'x-kubernetes-preserve-unknown-fields': true,
  ...facets,
});
