/** Objects within objects (`x-kubernetes-embedded-resource`): they say what they are, and their metadata is metadata. */
import { dnsLabel, formatted, labelValue, pathSegment, qualifiedName } from '../core/formats.ts';
import { objectIn, textIn } from '../core/reading.ts';
import type { Json, JsonObject } from '../object.ts';
import type { Cause } from '../status.ts';
import { compileDecoding, Undecodable } from './decode.ts';
import { metadataNode } from './metadata.ts';
import type { SchemaNode } from './node.ts';
import type { Check } from './walk.ts';
import { fieldBelow, shown, sortedJson } from './wording.ts';

const decodeMetadata = compileDecoding(metadataNode, 'ObjectMeta');

/** Checks that an embedded object has an `apiVersion` and a `kind` that could be ones; undefined for other nodes. */
export function checkEmbedded(node: SchemaNode): Check<Cause> | undefined {
  if (node['x-kubernetes-embedded-resource'] !== true) return undefined;
  return (value, path, causes) => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return;
    checkName(value.apiVersion, fieldBelow(path, 'apiVersion'), causes, (version) =>
      version.split('/').length > 2 ? `unexpected GroupVersion string: ${version}` : undefined,
    );
    checkName(value.kind, fieldBelow(path, 'kind'), causes, (kind) =>
      /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/.test(kind.toLowerCase())
        ? undefined
        : `may have mixed case, but should otherwise match: ${dns1035}`,
    );
    checkMetadata(objectIn(value.metadata), fieldBelow(path, 'metadata'), causes);
  };
}

/** Of the metadata of an embedded object no owner is looked at, which the server does. */
function checkMetadata(metadata: JsonObject, path: string, causes: Cause[]): void {
  const [name, namespace] = [textIn(metadata.name), textIn(metadata.namespace)];
  if (name !== '') causes.push(...formatted(`${path}.name`, name, pathSegment));
  if (namespace !== '') causes.push(...formatted(`${path}.namespace`, namespace, dnsLabel));
  for (const [key, value] of Object.entries(objectIn(metadata.labels))) {
    causes.push(
      ...formatted(`${path}.labels`, key, qualifiedName),
      ...formatted(`${path}.labels`, textIn(value), labelValue),
    );
  }
  for (const key of Object.keys(objectIn(metadata.annotations))) {
    causes.push(...formatted(`${path}.annotations`, key, qualifiedName));
  }
}

/**
 * Decodes the metadata of an embedded object, in place, and finds the paths of fields that metadata does not have; undefined
 * for other nodes. It throws an Undecodable where the API server refuses to decode.
 */
export function decodeEmbedded(node: SchemaNode): Check<string> | undefined {
  if (node['x-kubernetes-embedded-resource'] !== true) return undefined;
  return (value, path, unknown) => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return;
    for (const name of ['apiVersion', 'kind']) {
      const field = value[name];
      if (field === undefined || typeof field === 'string') continue;
      throw new Undecodable(`${fieldBelow(path, name)}: Invalid value: ${shown(field)}: must be a string`);
    }
    if (value.metadata === undefined) return;
    const at = fieldBelow(path, 'metadata');
    const sent = sortedJson(value.metadata);
    value.metadata = decoded(value.metadata, at, unknown, (why) => `${at}: Invalid value: ${sent}: ${why}`);
    if (value.metadata === null) delete value.metadata;
  };
}

/** An object's own metadata, decoded in place. Throws an Undecodable with the message that `say` makes of the decoder's. */
export function decoded(metadata: Json, path: string, unknown: string[], say = (why: string) => why): Json {
  const struct = metadata !== null && typeof metadata === 'object' && !Array.isArray(metadata) ? 'ObjectMeta' : '';
  try {
    return decodeMetadata(metadata, { struct, field: '', path }, unknown) ?? null;
  } catch (error) {
    throw error instanceof Undecodable ? new Undecodable(say(error.message)) : error;
  }
}

const dns1035 =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, " +
  "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is " +
  "'[a-z]([-a-z0-9]*[a-z0-9])?')";

function checkName(
  value: Json | undefined,
  field: string,
  causes: Cause[],
  wrongWith: (name: string) => string | undefined,
): void {
  if (value === undefined) {
    causes.push({ reason: 'FieldValueRequired', field, message: 'Required value' });
    return;
  }
  if (typeof value !== 'string') return;
  const wrong = value === '' ? 'must not be empty' : wrongWith(value);
  if (wrong === undefined) return;
  causes.push({ reason: 'FieldValueInvalid', field, message: `Invalid value: ${shown(value)}: ${wrong}` });
}
