/**
 * What a CustomResourceDefinition has to be like, in the words of the API server.
 * https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/
 */
import { isDeepStrictEqual } from 'node:util';
import { immutable, invalidValue, notAllowed, notSupported, required } from '../core/causes.ts';
import { dnsSubdomain } from '../core/formats.ts';
import { isObject, objectIn, objectsIn, textIn, textsIn } from '../core/reading.ts';
import type { Json, JsonObject, KubeObject } from '../object.ts';
import { simplePath } from '../schema/jsonpath.ts';
import type { SchemaNode } from '../schema/node.ts';
import { structuralFaults } from '../schema/structural.ts';
import type { Cause } from '../status.ts';

/** Everything wrong with a definition; `old` is what an update replaces. Its defaults have been filled in. */
export function definitionFaults(definition: KubeObject, old: KubeObject | undefined): Cause[] {
  const spec = objectIn(definition.spec);
  return [
    ...nameFaults(definition.metadata.name, spec),
    ...specFaults(spec),
    ...(old === undefined ? [] : immutableFaults(spec, old)),
    ...storedVersionFaults(spec, textsIn(objectIn(definition.status).storedVersions)),
    ...approvalFaults(definition, textIn(spec.group)),
  ];
}

/**
 * A part of every version, as definitions are told about it: the server says what all versions share of the spec as a whole
 * (`spec.validation`), and what differs of each version (`spec.versions[1].schema`).
 */
function perVersion(
  versions: readonly JsonObject[],
  field: string,
  shared: string,
): { readonly value: Json | undefined; readonly path: string }[] {
  const values = versions.map((version) => version[field]);
  if (values.every((value) => isDeepStrictEqual(value, values[0]))) {
    return values.length === 0 ? [] : [{ value: values[0], path: `spec.${shared}` }];
  }
  return values.map((value, at) => ({ value, path: `spec.versions[${at}].${field}` }));
}

function nameFaults(name: string, spec: JsonObject): Cause[] {
  const wanted = `${textIn(objectIn(spec.names).plural)}.${textIn(spec.group)}`;
  return name === wanted ? [] : [invalidValue('metadata.name', name, 'must be spec.names.plural+"."+spec.group')];
}

function specFaults(spec: JsonObject): Cause[] {
  const versions = objectsIn(spec.versions);
  return [
    ...groupFaults(textIn(spec.group)),
    ...scopeFaults(spec),
    ...preserveFaults(spec),
    ...versionFaults(spec, versions),
    ...kindNameFaults(objectIn(spec.names)),
    ...perVersion(versions, 'schema', 'validation').flatMap(schemaFaults),
    ...perVersion(versions, 'subresources', 'subresources').flatMap(scaleFaults),
    ...perVersion(versions, 'additionalPrinterColumns', 'additionalPrinterColumns').flatMap(columnFaults),
    ...selectableFieldFaults(versions),
    ...conversionFaults(objectIn(spec.conversion)),
  ];
}

function groupFaults(group: string): Cause[] {
  if (group === '') return [required('spec.group')];
  const wrong = dnsSubdomain(group);
  if (wrong.length > 0) return wrong.map((sentence) => invalidValue('spec.group', group, sentence));
  return group.includes('.') ? [] : [invalidValue('spec.group', group, 'should be a domain with at least one dot')];
}

function scopeFaults({ scope }: JsonObject): Cause[] {
  if (scope === undefined || scope === '') return [required('spec.scope')];
  return scope === 'Cluster' || scope === 'Namespaced'
    ? []
    : [notSupported('spec.scope', scope, ['Cluster', 'Namespaced'])];
}

function preserveFaults({ preserveUnknownFields }: JsonObject): Cause[] {
  if (preserveUnknownFields !== true) return [];
  const detail =
    'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead';
  return [invalidValue('spec.preserveUnknownFields', true, detail)];
}

function versionFaults(spec: JsonObject, versions: readonly JsonObject[]): Cause[] {
  const causes = versions.flatMap((version, at) => {
    const path = `spec.versions[${at}]`;
    const name = textIn(version.name);
    return [
      ...labelFaults(`${path}.name`, name),
      ...schemaPresence(version, path),
      ...deprecationFaults(version, path),
    ];
  });
  const names = versions.map(({ name }) => textIn(name));
  const shown = Array.isArray(spec.versions) ? versions.map(asTheServerShowsIt) : null;
  if (new Set(names).size < names.length) {
    causes.push(invalidValue('spec.versions', shown, 'must contain unique version names'));
  }
  if (versions.filter(({ storage }) => storage === true).length !== 1) {
    causes.push(invalidValue('spec.versions', shown, 'must have exactly one version marked as storage version'));
  }
  const first = names[0];
  return first === undefined ? causes : [...causes, ...labelFaults('spec.version', first)];
}

/** A version as the server's own type has it, whose schema and columns it has moved to the spec. */
function asTheServerShowsIt({ name, served, storage, deprecated, deprecationWarning }: JsonObject): JsonObject {
  return {
    Name: textIn(name),
    Served: served === true,
    Storage: storage === true,
    Deprecated: deprecated === true,
    DeprecationWarning: deprecationWarning ?? null,
    Schema: null,
    Subresources: null,
    AdditionalPrinterColumns: null,
    SelectableFields: null,
  };
}

function schemaPresence({ schema }: JsonObject, path: string): Cause[] {
  return isObject(objectIn(schema).openAPIV3Schema) ? [] : [required(`${path}.schema.openAPIV3Schema`)];
}

function deprecationFaults({ deprecated, deprecationWarning }: JsonObject, path: string): Cause[] {
  if (typeof deprecationWarning !== 'string') return [];
  const field = `${path}.deprecationWarning`;
  if (deprecated !== true) return [invalidValue(field, deprecationWarning, 'can only be set for deprecated versions')];
  if (deprecationWarning === '') return [invalidValue(field, '', 'must not be an empty string')];
  return Buffer.byteLength(deprecationWarning) > 256
    ? [invalidValue(field, deprecationWarning, 'must be <= 256 characters long')]
    : [];
}

function kindNameFaults(names: JsonObject): Cause[] {
  const { plural, singular, kind, listKind } = names;
  const causes = [
    ...requiredLabel('spec.names.plural', textIn(plural)),
    ...requiredLabel('spec.names.singular', textIn(singular)),
    ...mixedCaseFaults('spec.names.kind', textIn(kind)),
    ...mixedCaseFaults('spec.names.listKind', textIn(listKind)),
    ...textsIn(names.shortNames).flatMap((name, at) => labelFaults(`spec.names.shortNames[${at}]`, name)),
  ];
  if (textIn(kind) !== '' && kind === listKind) {
    causes.push(invalidValue('spec.names.listKind', listKind, 'kind and listKind may not be the same'));
  }
  return causes.concat(
    textsIn(names.categories).flatMap((name, at) => labelFaults(`spec.names.categories[${at}]`, name)),
  );
}

function schemaFaults({ value, path }: { readonly value: Json | undefined; readonly path: string }): Cause[] {
  const schema = objectIn(value).openAPIV3Schema;
  // Decoding has made sure that it has the shape of one.
  return isObject(schema) ? structuralFaults(schema as SchemaNode, `${path}.openAPIV3Schema`) : [];
}

function scaleFaults({ value, path }: { readonly value: Json | undefined; readonly path: string }): Cause[] {
  const { scale } = objectIn(value);
  if (!isObject(scale)) return [];
  const at = `${path}.scale`;
  const causes: Cause[] = [];
  for (const [field, parent] of [
    ['specReplicasPath', '.spec.'],
    ['statusReplicasPath', '.status.'],
  ] as const) {
    const text = textIn(scale[field]);
    if (text === '') causes.push(required(`${at}.${field}`));
    else if (simplePath(text) === undefined) {
      causes.push(invalidValue(`${at}.${field}`, text, 'must be a simple json path starting with .'));
    } else if (!text.startsWith(parent)) {
      causes.push(invalidValue(`${at}.${field}`, text, `should be a json path under ${parent.slice(0, -1)}`));
    }
  }
  return causes;
}

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];

function columnFaults({ value, path }: { readonly value: Json | undefined; readonly path: string }): Cause[] {
  return objectsIn(value).flatMap((column, at) => {
    const below = `${path}[${at}]`;
    const [name, type, format, jsonPath] = [column.name, column.type, column.format, column.jsonPath].map(textIn);
    const causes: Cause[] = [];
    if (name === '') causes.push(required(`${below}.name`));
    const oneOfTypes = `must be one of ${columnTypes.join(',')}`;
    if (type === '') causes.push(required(`${below}.type`, oneOfTypes));
    else if (!columnTypes.includes(type ?? '')) causes.push(invalidValue(`${below}.type`, type, oneOfTypes));
    if (format !== '' && !columnFormats.includes(format ?? '')) {
      causes.push(invalidValue(`${below}.format`, format, `must be one of ${columnFormats.join(',')}`));
    }
    if (jsonPath === '') causes.push(required(`${below}.JSONPath`));
    else if (jsonPath?.startsWith('.') !== true) {
      causes.push(invalidValue(`${below}.JSONPath`, jsonPath, 'must be a simple json path starting with .'));
    }
    return causes;
  });
}

function selectableFieldFaults(versions: readonly JsonObject[]): Cause[] {
  return perVersion(versions, 'selectableFields', 'selectableFields').flatMap(({ value, path }, at) => {
    const schema = objectIn(objectIn(versions[at]?.schema).openAPIV3Schema) as SchemaNode;
    return objectsIn(value).flatMap(({ jsonPath }, field) => {
      const below = `${path}[${field}].jsonPath`;
      const text = textIn(jsonPath);
      if (text === '') return [required(below)];
      const steps = simplePath(text);
      const node = steps?.reduce<SchemaNode | undefined>((at, step) => at?.properties?.[step], schema);
      if (node === undefined || steps?.[0] === 'metadata') {
        return [invalidValue(below, text, 'is an invalid path: does not refer to a valid field')];
      }
      return ['string', 'boolean', 'integer'].includes(node.type ?? '')
        ? []
        : [
            invalidValue(
              below,
              text,
              'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
            ),
          ];
    });
  });
}

function conversionFaults({ strategy, webhook }: JsonObject): Cause[] {
  const path = 'spec.conversion';
  const text = textIn(strategy);
  if (text === '') return [required(`${path}.strategy`)];
  if (text !== 'None' && text !== 'Webhook') {
    return [notSupported(`${path}.strategy`, text, ['None', 'Webhook'])];
  }
  const { clientConfig, conversionReviewVersions } = objectIn(webhook);
  const reviews = textsIn(conversionReviewVersions);
  if (text === 'None') {
    const detail = 'should not be set when strategy is not set to Webhook';
    return [
      ...(clientConfig === undefined ? [] : [notAllowed(`${path}.webhookClientConfig`, detail)]),
      ...(reviews.length === 0 ? [] : [notAllowed(`${path}.conversionReviewVersions`, detail)]),
    ];
  }
  const causes: Cause[] = [];
  if (!isObject(clientConfig)) {
    causes.push(required(`${path}.webhookClientConfig`, 'required when strategy is set to Webhook'));
  } else if ((clientConfig.url === undefined) === (clientConfig.service === undefined)) {
    causes.push(required(`${path}.webhookClientConfig`, 'exactly one of url or service is required'));
  }
  if (reviews.length === 0) causes.push(required(`${path}.conversionReviewVersions`));
  return causes;
}

function immutableFaults(spec: JsonObject, old: KubeObject): Cause[] {
  const before = objectIn(old.spec);
  const [names, namesBefore] = [objectIn(spec.names), objectIn(before.names)];
  const causes: Cause[] = [];
  if (spec.scope !== before.scope) causes.push(immutable('spec.scope', spec.scope));
  if (names.kind !== namesBefore.kind) causes.push(immutable('spec.names.kind', names.kind));
  if (spec.group !== before.group) causes.push(immutable('spec.group', spec.group));
  if (names.plural !== namesBefore.plural) causes.push(immutable('spec.names.plural', names.plural));
  return causes;
}

function storedVersionFaults(spec: JsonObject, stored: readonly string[]): Cause[] {
  const path = 'status.storedVersions';
  if (stored.length === 0) return [invalidValue(path, null, 'must have at least one stored version')];
  const versions = objectsIn(spec.versions);
  const causes: Cause[] = [];
  for (const [at, version] of stored.entries()) {
    if (versions.some(({ name }) => name === version)) continue;
    const detail =
      `missing from spec.versions; ${version} was previously a storage version, and must remain in spec.versions until ` +
      `a storage migration ensures no data remains persisted in ${version} and removes ${version} from status.storedVersions`;
    causes.push(invalidValue(`${path}[${at}]`, version, detail));
  }
  const storage = versions.filter((version) => version.storage === true).at(-1);
  if (storage !== undefined && !stored.includes(textIn(storage.name))) {
    causes.push(invalidValue(path, [...stored], `must have the storage version ${textIn(storage.name)}`));
  }
  return causes;
}

/** Groups that belong to the Kubernetes project. https://kubernetes.io/docs/reference/labels-annotations-taints/#api-approved-kubernetes-io */
function approvalFaults({ metadata }: KubeObject, group: string): Cause[] {
  if (!/(?:^|\.)(?:k8s|kubernetes)\.io$/.test(group)) return [];
  const approval = metadata.annotations?.['api-approved.kubernetes.io'];
  if (approval !== undefined && /^(?:https?:\/\/\S+|unapproved\b.*)$/.test(approval)) return [];
  const detail =
    'protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111';
  return [required('metadata.annotations[api-approved.kubernetes.io]', detail)];
}

function requiredLabel(field: string, value: string): Cause[] {
  return value === '' ? [required(field)] : labelFaults(field, value);
}

function labelFaults(field: string, value: string): Cause[] {
  return wrongWithLabel(value).map((sentence) => invalidValue(field, value, sentence));
}

function mixedCaseFaults(field: string, value: string): Cause[] {
  if (value === '') return [required(field)];
  return wrongWithLabel(value.toLowerCase()).map((sentence) =>
    invalidValue(field, value, `may have mixed case, but should otherwise match: ${sentence}`),
  );
}

/** A name that may be part of a host name and begins with a letter (DNS-1035). */
function wrongWithLabel(value: string): string[] {
  const wrong = value.length > 63 ? ['must be no more than 63 characters'] : [];
  if (!/^[a-z](?:[-a-z0-9]*[a-z0-9])?$/.test(value)) {
    wrong.push(
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, " +
        "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is " +
        "'[a-z]([-a-z0-9]*[a-z0-9])?')",
    );
  }
  return wrong;
}
