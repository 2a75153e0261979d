/** Defaulting: what a schema fills in, and the nulls it does not want. */
import type { Json, JsonObject } from '../object.ts';
import type { SchemaNode } from './node.ts';

/** Fills in the defaults below one value, in place. */
export type FillDefaults = (value: Json) => void;

/**
 * Compiles the defaulting of a node: a field that is absent gets its default; a null that the schema does not allow gets it
 * too, or is dropped when there is none. Nulls among a list's items stay, for validation to refuse.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable
 * @param typed a core kind, whose decoder cannot tell an empty string from an absent one
 */
export function compileDefaults(node: SchemaNode, typed: boolean): FillDefaults | undefined {
  const fields = compileFields(node, typed);
  const items = node.items === undefined ? undefined : compileDefaults(node.items, typed);
  if (fields === undefined && items === undefined) return undefined;
  return (value) => {
    if (Array.isArray(value)) {
      if (items !== undefined) for (const item of value) items(item);
    } else if (value !== null && typeof value === 'object') {
      fields?.(value);
    }
  };
}

function compileFields(node: SchemaNode, typed: boolean): ((value: JsonObject) => void) | undefined {
  const known = Object.entries(node.properties ?? {}).map(([name, field]) => compileField(name, field, typed));
  const values = typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined;
  if (values === undefined) {
    if (known.length === 0) return undefined;
    return (object) => {
      for (const fill of known) fill(object);
    };
  }
  const names = new Set(Object.keys(node.properties ?? {}));
  const replacement = values.default;
  const below = compileDefaults(values, typed);
  return (object) => {
    for (const fill of known) fill(object);
    for (const name of Object.keys(object)) {
      if (names.has(name)) continue;
      if (object[name] === null && values.nullable !== true) {
        if (replacement === undefined || replacement === null) {
          delete object[name];
          continue;
        }
        object[name] = structuredClone(replacement);
      }
      below?.(object[name] ?? null);
    }
  };
}

function compileField(name: string, node: SchemaNode, typed: boolean): (object: JsonObject) => void {
  const below = compileDefaults(node, typed);
  const { default: standing, nullable } = node;
  const scalar = standing === null || typeof standing !== 'object';
  return (object) => {
    const value = object[name];
    if (value === undefined || (value === null && nullable !== true) || (typed && value === '')) {
      if (standing === undefined || (standing === null && nullable !== true)) {
        if (value === null) delete object[name];
        return;
      }
      object[name] = scalar ? standing : structuredClone(standing);
    }
    below?.(object[name] ?? null);
  };
}
