/** Lists that are sets or maps: no item may stand twice. */
import type { Json, JsonObject } from '../object.ts';
import type { Cause } from '../status.ts';
import type { SchemaNode } from './node.ts';
import type { Check } from './walk.ts';
import { shown, sortedJson } from './wording.ts';

/**
 * The check of a list that is a set or a map; undefined for other nodes. A value that stands several times is reported once,
 * where it stands the second time.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
 */
export function checkDuplicates(node: SchemaNode): Check<Cause> | undefined {
  switch (node['x-kubernetes-list-type']) {
    case 'set':
      return duplicates((item) => item);
    case 'map': {
      const keys = node['x-kubernetes-list-map-keys'] ?? [];
      const defaults = keys.map((key) => node.items?.properties?.[key]?.default);
      return duplicates((item) => (isObject(item) ? identityOf(item, keys, defaults) : undefined));
    }
    default:
      return undefined;
  }
}

function duplicates(identify: (item: Json) => Json | undefined): Check<Cause> {
  return (value, path, causes) => {
    if (!Array.isArray(value)) return;
    const seen = new Map<string, number>();
    for (const [at, item] of value.entries()) {
      const identity = identify(item);
      if (identity === undefined) continue;
      const key = sortedJson(identity);
      const times = (seen.get(key) ?? 0) + 1;
      seen.set(key, times);
      if (times !== 2) continue;
      causes.push({
        reason: 'FieldValueDuplicate',
        field: `${path}[${at}]`,
        message: `Duplicate value: ${shown(identity)}`,
      });
    }
  };
}

function identityOf(item: JsonObject, keys: readonly string[], defaults: readonly (Json | undefined)[]): JsonObject {
  return Object.fromEntries(
    keys.flatMap((key, at) => {
      const value = item[key] ?? defaults[at];
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

function isObject(value: Json): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
