/** Checks that only few nodes of a schema have, made so that values without such nodes are never looked at. */
import type { Json } from '../object.ts';
import type { SchemaNode } from './node.ts';
import { fieldBelow } from './wording.ts';

/** Looks at a value and adds what it has to say of it to `found`. */
export type Check<Found> = (value: Json, path: string, found: Found[]) => void;

/** Compiles the checks that `checkOf` has for `node` and all nodes below; undefined when there are none. Outer before inner. */
export function compileWalk<Found>(
  node: SchemaNode,
  checkOf: (node: SchemaNode) => Check<Found> | undefined,
): Check<Found> | undefined {
  const own = checkOf(node);
  const fields = Object.entries(node.properties ?? {}).flatMap(([name, field]) => {
    const check = compileWalk(field, checkOf);
    return check === undefined ? [] : [{ name, check }];
  });
  const { additionalProperties: values } = node;
  const others = typeof values === 'object' ? compileWalk(values, checkOf) : undefined;
  const items = node.items === undefined ? undefined : compileWalk(node.items, checkOf);
  if (own === undefined && fields.length === 0 && others === undefined && items === undefined) return undefined;
  return (value, path, found) => {
    own?.(value, path, found);
    if (Array.isArray(value)) {
      if (items !== undefined) for (const [at, item] of value.entries()) items(item, `${path}[${at}]`, found);
    } else if (value !== null && typeof value === 'object') {
      for (const { name, check } of fields) {
        const field = value[name];
        if (field !== undefined) check(field, fieldBelow(path, name), found);
      }
      if (others === undefined) return;
      for (const [name, item] of Object.entries(value)) {
        if (item !== undefined && node.properties?.[name] === undefined) others(item, fieldBelow(path, name), found);
      }
    }
  };
}
