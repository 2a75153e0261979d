/** Patches in their languages: read, and carried out on an object. */
import type { Json, JsonObject, KubeObject } from '../object.ts';
import { applyJsonPatch } from '../patch/json.ts';
import { applyMergePatch } from '../patch/merge.ts';
import { applyStrategicPatch } from '../patch/strategic.ts';
import { type Body, decodeApply, decodePatch } from './decode.ts';
import type { ServedVersion } from './kind.ts';

/** A patch that says what to change. */
export interface Change {
  readonly type: 'json' | 'merge' | 'strategic';
  readonly patch: Json;
}

/** A configuration to be applied, which says what is wanted. */
export interface Configuration {
  readonly type: 'apply';
  readonly patch: JsonObject;
  /** Take fields from other managers. */
  readonly force: boolean;
}

/** A patch in one of its four languages. */
export type Patch = Change | Configuration;

/** The media types of patches. */
export const PATCH_TYPES: { readonly [mediaType: string]: Patch['type'] } = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
};

/** Reads a body; `problems` are those that `fieldValidation` decides about. Throws 400 for what is no patch at all. */
export function readPatch(
  body: Body,
  type: Patch['type'],
  force: boolean,
): Patch & { readonly problems: readonly string[] } {
  if (type === 'apply') {
    const { value, problems } = decodeApply(body);
    return { type, patch: value, force, problems };
  }
  const { value, problems } = decodePatch(body, { isStrategic: type === 'strategic' });
  return { type, patch: value, problems: type === 'json' ? operationProblems(value, problems) : problems };
}

const OPERATION_FIELDS = ['op', 'path', 'from', 'value'];

/** What is odd about the operations of a JSON patch themselves. */
function operationProblems(patch: Json, problems: readonly string[]): string[] {
  const unknown = listOf(patch).flatMap((operation, place) => {
    const fields = typeof operation === 'object' && operation !== null ? Object.keys(operation) : [];
    return fields
      .filter((field) => !OPERATION_FIELDS.includes(field))
      .map((field) => `unknown field "[${place}].${field}"`);
  });
  return [...problems, ...unknown].map((problem) => `json patch ${problem}`);
}

/** `old` as the patch makes it; shares parts with both. Throws StatusErrors for a patch that cannot be carried out. */
export function patched(old: KubeObject, { type, patch }: Change, { schema }: ServedVersion): JsonObject {
  const object = old as JsonObject; // an object is one, read only here
  if (type === 'json') return applyJsonPatch(object, patch);
  if (type === 'merge') return applyMergePatch(object, patch);
  return applyStrategicPatch(object, patch, schema.node);
}

/** What a patch writes to, as an object with the same fields. */
export function touchedBy({ type, patch }: Change): Json {
  if (type !== 'json') return patch;
  const touched: JsonObject = {};
  for (const operation of listOf(patch)) {
    const path = typeof operation === 'object' && operation !== null && !Array.isArray(operation) ? operation.path : '';
    let at = touched;
    for (const part of typeof path === 'string' ? path.split('/').slice(1, -1) : []) {
      const below: JsonObject = {};
      at[part] ??= below;
      at = at[part] as JsonObject; // nothing else is ever put there
    }
  }
  return touched;
}

function listOf(value: Json): readonly Json[] {
  return Array.isArray(value) ? value : [];
}
