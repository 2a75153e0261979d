/** Pruning: what a custom kind's schema does not know is not kept. */
import type { Json } from '../object.ts';
import type { SchemaNode } from './node.ts';
import { fieldBelow } from './wording.ts';

/** Drops unknown fields below one value, in place, and adds their paths to `unknown`. */
export type Prune = (value: Json, path: string, unknown: string[]) => void;

/** The fields that every object has, and that no schema can take away. */
const ownFields: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

/**
 * Compiles pruning for a node.
 * `x-kubernetes-preserve-unknown-fields` keeps what is unknown at its node; what it does know is pruned again below.
 * `additionalProperties: true` keeps scalars and empties objects, as the API server does.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-pruning
 */
export function compilePruning(node: SchemaNode): Prune {
  const properties = new Map(
    Object.entries(node.properties ?? {}).map(([name, field]) => [name, compilePruning(field)]),
  );
  const items = node.items === undefined ? undefined : compilePruning(node.items);
  const others = compileOthers(node);
  const embedded = node['x-kubernetes-embedded-resource'] === true;
  const keeps = node['x-kubernetes-preserve-unknown-fields'] === true;
  return (value, path, unknown) => {
    if (Array.isArray(value)) {
      const prune = items ?? (keeps ? undefined : pruneAll);
      if (prune !== undefined) for (const [at, item] of value.entries()) prune(item, `${path}[${at}]`, unknown);
    } else if (value !== null && typeof value === 'object') {
      for (const name of Object.keys(value)) {
        if (embedded && ownFields.has(name)) continue;
        const prune = properties.get(name) ?? others;
        if (prune !== undefined) {
          prune(value[name] ?? null, fieldBelow(path, name), unknown);
        } else if (!keeps) {
          unknown.push(fieldBelow(path, name));
          delete value[name];
        }
      }
    }
  };
}

function compileOthers({ additionalProperties }: SchemaNode): Prune | undefined {
  if (typeof additionalProperties === 'object') return compilePruning(additionalProperties);
  return additionalProperties === true ? pruneAll : undefined;
}

/** Where there is no schema, no field is known. */
function pruneAll(value: Json, path: string, unknown: string[]): void {
  if (Array.isArray(value)) {
    for (const [at, item] of value.entries()) pruneAll(item, `${path}[${at}]`, unknown);
  } else if (value !== null && typeof value === 'object') {
    for (const name of Object.keys(value)) {
      unknown.push(fieldBelow(path, name));
      delete value[name];
    }
  }
}
