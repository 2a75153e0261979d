/**
 * Whether what a strategic merge has made can be an object of its kind: it is not decoded as a body is, but copied field by
 * field into the Go type, and that has words of its own for what does not fit.
 */
import type { Json } from '../object.ts';
import type { SchemaNode } from '../schema/node.ts';
import { goKind } from './go.ts';

/** The first thing in `value` that does not fit, in the server's words: `cannot restore map from string`. Undefined when all does. */
export function misfitIn(node: SchemaNode, value: Json | undefined): string | undefined {
  if (value === undefined || value === null || hasDecoderOfItsOwn(node)) return undefined;
  switch (node.type) {
    case 'object':
      return misfitInObject(node, value);
    case 'array':
      if (!Array.isArray(value)) return `cannot restore slice from ${kindOf(value)}`;
      return firstOf(value, (item) => misfitIn(node.items ?? {}, item));
    case 'string':
      if (typeof value === 'string') return undefined;
      // Go can make a string of an integer, if not the one that was meant, so that it gets as far as being forbidden to.
      return goKind(value) === 'int64' ? 'cannot convert int64 to string' : 'unrecognized type: string';
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'unrecognized type: bool';
    case 'integer': {
      const type = node.format ?? 'int64';
      if (typeof value !== 'number') return `unrecognized type: ${type}`;
      return Number.isInteger(value) ? undefined : `cannot convert float64 to ${type}`;
    }
    default:
      return undefined;
  }
}

/** Times, quantities and whatever is a number or a text: the type reads them itself. */
function hasDecoderOfItsOwn({ type, format }: SchemaNode): boolean {
  return type === undefined || format === 'date-time';
}

function misfitInObject(node: SchemaNode, value: NonNullable<Json>): string | undefined {
  const { properties, additionalProperties } = node;
  if (typeof value !== 'object' || Array.isArray(value)) {
    return properties === undefined
      ? `cannot restore map from ${kindOf(value)}`
      : `cannot restore struct from: ${kindOf(value)}`;
  }
  if (properties !== undefined) {
    return firstOf(Object.entries(properties), ([name, field]) => misfitIn(field, value[name]));
  }
  return typeof additionalProperties === 'object'
    ? firstOf(Object.values(value), (item) => misfitIn(additionalProperties, item))
    : undefined;
}

function firstOf<T>(items: readonly T[], find: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The kind of Go's type, which is shorter than its name. */
function kindOf(value: NonNullable<Json>): string {
  if (Array.isArray(value)) return 'slice';
  return typeof value === 'object' ? 'map' : goKind(value);
}
