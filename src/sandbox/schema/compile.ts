/**
 * Compiles a schema once into the walkers that every object of its kind goes through: decoding and pruning, defaults,
 * validation, list types, rules.
 */
import type { ObjectSchema } from '../api/kind.ts';
import { groupVersionOf, type KubeObject } from '../object.ts';
import { badRequest, type Cause } from '../status.ts';
import { compileDecoding, type Decode, Undecodable } from './decode.ts';
import { compileDefaults } from './defaults.ts';
import { checkEmbedded, decoded, decodeEmbedded } from './embedded.ts';
import { checkDuplicates } from './lists.ts';
import { metadataNode } from './metadata.ts';
import { type SchemaNode, text } from './node.ts';
import { compilePruning } from './prune.ts';
import { compileRules } from './rules.ts';
import { compileValidation } from './validate.ts';
import { compileWalk } from './walk.ts';

/**
 * Compiles the schema of one version of a kind.
 * @param about `custom`: the kind came from a CRD. Its unknown fields are pruned, its rules are run, and a value of the wrong
 *   type is found by validation (422); a core kind is decoded into what would be a Go type, which refuses it at once (400).
 *   Metadata is decoded for both.
 * @throws an Error for a pattern or a rule that does not compile; a CRD's are checked before.
 */
export function compileSchema(node: SchemaNode, about: { readonly custom: boolean }): ObjectSchema {
  if (!about.custom) return typedSchema(node);
  let compiled: ObjectSchema | undefined;
  const schema = (): ObjectSchema => (compiled ??= customSchema(node));
  return {
    node,
    applyDefaults: (object) => schema().applyDefaults(object),
    prune: (object) => schema().prune(object),
    validate: (object, old) => schema().validate(object, old),
  };
}

function customSchema(node: SchemaNode): ObjectSchema {
  const root: SchemaNode = { ...node, 'x-kubernetes-embedded-resource': true };
  const prune = compilePruning(root);
  const defaults = compileDefaults(node, false);
  const validate = compileValidation(node, false);
  const finishers = [checkEmbedded, checkDuplicates].flatMap((check) => compileWalk(node, check) ?? []);
  const rules = compileRules(node);
  const decodeWithin = compileWalk(node, decodeEmbedded);
  return {
    node,
    applyDefaults(object) {
      defaults?.(object);
    },
    prune(object) {
      const unknown: string[] = [];
      decoding(object, () => {
        setMetadata(object, decoded(object.metadata, 'metadata', unknown));
        decodeWithin?.(object, '', unknown);
      });
      prune(object, '', unknown);
      return unknown.sort();
    },
    validate(object, old) {
      const causes: Cause[] = [];
      validate(object, '', old, causes);
      for (const finish of finishers) finish(object, '', causes);
      if (rules === undefined) return causes;
      const isUnfit = (object.metadata.name ?? '') === '' || causes.some(({ reason }) => blocking.has(reason));
      if (isUnfit) return [...causes, rulesNotChecked];
      return causes.concat(rules(object, old));
    },
  };
}

/** What makes an object unfit to be shown to rules. */
const blocking: ReadonlySet<string> = new Set([
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
  'FieldValueNotSupported',
]);

const rulesNotChecked: Cause = {
  reason: 'FieldValueInvalid',
  field: '<nil>',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; ' +
    'correct the existing errors to complete validation',
};

function typedSchema(node: SchemaNode): ObjectSchema {
  const root: SchemaNode = {
    ...node,
    properties: { ...node.properties, apiVersion: text(), kind: text(), metadata: metadataNode },
  };
  const defaults = compileDefaults(node, true);
  const validate = compileValidation(node, true);
  const decoders = new Map<string, Decode>();
  return {
    node,
    applyDefaults(object) {
      defaults?.(object);
    },
    prune(object) {
      const unknown: string[] = [];
      const decode = decoders.get(object.kind) ?? compileDecoding(root, object.kind);
      decoders.set(object.kind, decode);
      decoding(object, () => {
        decode(object, { struct: object.kind, field: '', path: '' }, unknown);
        setMetadata(object, object.metadata ?? {});
      });
      return unknown;
    },
    validate(object, old) {
      const causes: Cause[] = [];
      validate(object, '', old, causes);
      return causes;
    },
  };
}

/** The decoder has made of it what metadata is. */
function setMetadata(object: KubeObject, metadata: unknown): void {
  object.metadata = (metadata ?? {}) as KubeObject['metadata'];
}

/** Runs a decoder, and says its refusal as the API server does. */
function decoding(object: KubeObject, decode: () => void): void {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof Undecodable)) throw error;
    const { version } = groupVersionOf(object.apiVersion);
    throw badRequest(`${object.kind} in version "${version}" cannot be handled as a ${object.kind}: ${error.message}`);
  }
}
