/** CEL rules (`x-kubernetes-validations`). */
import type { KubeObject } from '../object.ts';
import type { Cause } from '../status.ts';
import type { SchemaNode } from './node.ts';

/** Runs every rule of an object. */
export type RunRules = (object: KubeObject, old: KubeObject | undefined) => Cause[];

/** Compiles the rules of a schema; undefined when it has none. */
export function compileRules(_node: SchemaNode): RunRules | undefined {
  return undefined;
}

/** What is wrong with the rules of a CRD's schema. */
export function ruleFaults(_schema: SchemaNode, _path: string): Cause[] {
  return [];
}
