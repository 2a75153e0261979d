/**
 * CustomResourceDefinitions: the kind of kinds. A definition that is stored is a kind that is served, at once.
 * https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../clock.ts';
import { allVerbs, builtin } from '../core/builtin.ts';
import { isObject, objectIn, objectsIn, textIn, textsIn } from '../core/reading.ts';
import { always, optional, struct, time } from '../core/typed.ts';
import { apiVersionOf, groupVersionOf, type JsonObject, type KubeObject, type Resource } from '../object.ts';
import { compileSchema } from '../schema/compile.ts';
import { Undecodable } from '../schema/decode.ts';
import { simplePath } from '../schema/jsonpath.ts';
import { decodeJsonSchema } from '../schema/jsonschema.ts';
import {
  anything,
  flag,
  int32,
  int64,
  list,
  listAsSet,
  listByKey,
  object,
  type SchemaNode,
  text,
} from '../schema/node.ts';
import { formatWarnings } from '../schema/structural.ts';
import { badRequest, StatusError } from '../status.ts';
import type { ApiClient } from './client.ts';
import { definitionFaults } from './definitions.ts';
import { byPriority } from './discovery.ts';
import type { Kind, ObjectSchema, Registry, ServedVersion, Strategy } from './kind.ts';
import { printerColumns } from './printer.ts';

/** Where definitions are asked for. */
export const definitionsResource: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
};

/** Holds a definition that is being deleted until no object of its kind is left. */
const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

/** What definitions need to become kinds. */
export interface DefinitionParts {
  readonly registry: Registry;
  /** What webhooks would do for kinds that others define, by the name of the definition: `pipelineruns.tekton.dev`. */
  readonly extras: ReadonlyMap<string, Partial<Strategy>>;
  readonly clock: Pick<Clock, 'now'>;
}

/**
 * `customresourcedefinitions`. Creating, updating and deleting one changes the registry within the same call; its names are
 * accepted or not, and its condition `Established` is set, in the create itself (the real server takes a moment). What it does
 * not have: the scale subresource, conversion webhooks over the network (see `extras`), and the limit on the estimated cost
 * of rules.
 */
export function createCrdKind(parts: DefinitionParts): Kind {
  const kind = builtin({
    group: definitionsResource.group,
    version: definitionsResource.version,
    kind: 'CustomResourceDefinition',
    plural: definitionsResource.plural,
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    namespaced: false,
    fields: definitionFields,
    defaults: fillDefinition,
    statusSubresource: true,
    strategy: definitionStrategy(parts),
  });
  return { ...kind, versions: kind.versions.map((version) => ({ ...version, schema: withSchemas(version.schema) })) };
}

/**
 * Deletes the objects of kinds whose definition is being deleted, and lets the definition go when none is left.
 * Answers the function that ends it.
 */
export function cleanUpDefinitions(client: ApiClient): () => void {
  const watches = new Map<string, () => void>();
  const stop = client.watch(definitionsResource, {}, ({ type, object: definition }) => {
    const { name, deletionTimestamp } = definition.metadata;
    if (type === 'DELETED') {
      watches.get(name)?.();
      watches.delete(name);
    } else if (deletionTimestamp !== undefined && !watches.has(name)) {
      watches.set(name, emptyOut(client, definition));
    }
  });
  return () => {
    stop();
    for (const end of watches.values()) end();
  };
}

/** Deletes every object of a kind, and lets go of its definition with the last one. */
function emptyOut(client: ApiClient, definition: KubeObject): () => void {
  const { name } = definition.metadata;
  const resource = resourceOf(definition);
  const left = new Set<string>();
  const release = () => {
    const now = client.get(definitionsResource, '', name);
    if (left.size > 0 || now === undefined) return;
    const finalizers = (now.metadata.finalizers ?? []).filter((finalizer) => finalizer !== cleanupFinalizer);
    client.patch(definitionsResource, '', name, {
      metadata: { finalizers: finalizers.length === 0 ? null : finalizers },
    });
  };
  if (resource === undefined) {
    release();
    return () => {};
  }
  for (const { metadata } of client.list(resource)) left.add(metadata.uid);
  const end = client.watch(resource, {}, ({ type, object: { metadata } }) => {
    if (type === 'DELETED') {
      left.delete(metadata.uid);
      release();
    } else if (metadata.deletionTimestamp === undefined) {
      client.remove(resource, metadata.namespace ?? '', metadata.name, { uid: metadata.uid });
    }
  });
  release();
  return end;
}

/** A version in which the objects of a definition are served; undefined when there is none. */
function resourceOf(definition: KubeObject): Resource | undefined {
  const { group, names, versions } = objectIn(definition.spec);
  const served = objectsIn(versions).find((version) => version.served === true);
  if (served === undefined || !isEstablished(definition)) return undefined;
  return { group: textIn(group), version: textIn(served.name), plural: textIn(objectIn(names).plural) };
}

const names = {
  plural: always(text()),
  singular: text(),
  shortNames: list(text()),
  kind: always(text()),
  listKind: text(),
  categories: list(text()),
};

const packageName = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1';

const versionNode = struct(
  `${packageName}.CustomResourceDefinitionVersion`,
  {
    name: always(text()),
    served: always(flag()),
    storage: always(flag()),
    deprecated: flag(),
    deprecationWarning: optional(text()),
    schema: struct(`${packageName}.CustomResourceValidation`, {
      openAPIV3Schema: optional(anything({ typeName: `${packageName}.JSONSchemaProps` })),
    }),
    subresources: struct(`${packageName}.CustomResourceSubresources`, {
      status: object({}, { typeName: `${packageName}.CustomResourceSubresourceStatus` }),
      scale: struct(`${packageName}.CustomResourceSubresourceScale`, {
        specReplicasPath: always(text()),
        statusReplicasPath: always(text()),
        labelSelectorPath: optional(text()),
      }),
    }),
    additionalPrinterColumns: list(
      struct(
        `${packageName}.CustomResourceColumnDefinition`,
        {
          name: always(text()),
          type: always(text()),
          format: text(),
          description: text(),
          priority: int32(),
          jsonPath: always(text()),
        },
        { required: ['name', 'type', 'jsonPath'] },
      ),
    ),
    selectableFields: list(
      struct(`${packageName}.SelectableField`, { jsonPath: always(text()) }, { required: ['jsonPath'] }),
    ),
  },
  { required: ['name', 'served', 'storage'] },
);

const definitionFields = {
  spec: always(
    struct(
      `${packageName}.CustomResourceDefinitionSpec`,
      {
        group: always(text()),
        names: always(struct(`${packageName}.CustomResourceDefinitionNames`, names, { required: ['plural', 'kind'] })),
        scope: always(text()),
        versions: always(list(versionNode)),
        conversion: struct(`${packageName}.CustomResourceConversion`, {
          strategy: always(text()),
          webhook: struct(`${packageName}.WebhookConversion`, {
            clientConfig: struct(`${packageName}.WebhookClientConfig`, {
              url: optional(text()),
              service: struct(`${packageName}.ServiceReference`, {
                namespace: always(text()),
                name: always(text()),
                path: optional(text()),
                port: optional(int32()),
              }),
              caBundle: text({ format: 'byte' }),
            }),
            conversionReviewVersions: always(list(text())),
          }),
        }),
        preserveUnknownFields: flag(),
      },
      { required: ['group', 'names', 'scope', 'versions'] },
    ),
  ),
  status: struct(`${packageName}.CustomResourceDefinitionStatus`, {
    observedGeneration: int64(),
    conditions: always(
      listByKey(
        struct(
          `${packageName}.CustomResourceDefinitionCondition`,
          {
            type: always(text()),
            status: always(text()),
            observedGeneration: int64(),
            lastTransitionTime: time(),
            reason: text(),
            message: text(),
          },
          { required: ['type', 'status'] },
        ),
        ['type'],
      ),
    ),
    acceptedNames: always(struct(`${packageName}.CustomResourceDefinitionNames`, names)),
    storedVersions: always(listAsSet(text())),
  }),
};

/** The schemas within a definition are decoded by themselves: they are recursive, the schema of the definition is not. */
function withSchemas(schema: ObjectSchema): ObjectSchema {
  return {
    ...schema,
    prune(definition) {
      const unknown = schema.prune(definition);
      const field = 'spec.versions.schema.openAPIV3Schema';
      for (const [at, version] of objectsIn(objectIn(definition.spec).versions).entries()) {
        const validation = objectIn(version.schema);
        const path = `spec.versions[${at}].schema.openAPIV3Schema`;
        if (validation.openAPIV3Schema === undefined) continue;
        try {
          decodeJsonSchema(validation.openAPIV3Schema, { struct: 'CustomResourceValidation', field, path }, unknown);
        } catch (error) {
          if (!(error instanceof Undecodable)) throw error;
          const before = 'CustomResourceDefinition in version "v1" cannot be handled as a CustomResourceDefinition';
          throw badRequest(`${before}: ${error.message}`);
        }
      }
      return unknown;
    },
  };
}

function fillDefinition(definition: KubeObject): void {
  const spec = objectIn(definition.spec);
  const given = objectIn(spec.names);
  const kind = textIn(given.kind);
  if (kind !== '') {
    if (textIn(given.singular) === '') given.singular = kind.toLowerCase();
    if (textIn(given.listKind) === '') given.listKind = `${kind}List`;
  }
  if (!isObject(spec.conversion)) spec.conversion = { strategy: 'None' };
}

function definitionStrategy(parts: DefinitionParts): Strategy {
  const { registry } = parts;
  return {
    prepareForCreate(definition) {
      definition.status = { conditions: [], acceptedNames: { plural: '', kind: '' }, storedVersions: [] };
      keepStoredVersions(definition);
      accept(definition, parts);
    },
    prepareForUpdate(definition, old) {
      definition.status = structuredClone(old.status ?? null);
      keepStoredVersions(definition);
      accept(definition, parts);
    },
    validate: (definition, old, subresource) => (subresource === '' ? definitionFaults(definition, old) : []),
    warnings: (definition) =>
      objectsIn(objectIn(definition.spec).versions).flatMap(({ schema }) => formatWarnings(schemaOf(schema))),
    generationMoves: (definition, old) => !isDeepStrictEqual(definition.spec, old.spec),
    prepareForDelete(definition, nowMs) {
      const { finalizers = [] } = definition.metadata;
      if (definition.metadata.deletionTimestamp !== undefined || finalizers.includes(cleanupFinalizer))
        return definition;
      const marked = structuredClone(definition);
      marked.metadata.finalizers = [...finalizers, cleanupFinalizer];
      setCondition(
        objectIn(marked.status),
        {
          type: 'Terminating',
          status: 'True',
          reason: 'InstanceDeletionPending',
          message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
        },
        nowMs,
      );
      return marked;
    },
    stored(definition, old) {
      const known = definition ?? old;
      const spec = objectIn(known?.spec);
      if (definition !== undefined && isEstablished(definition)) {
        registry.put(kindOf(definition, parts));
      } else if (old !== undefined && isEstablished(old)) {
        registry.remove(textIn(spec.group), textIn(objectIn(spec.names).plural));
      }
    },
  };
}

/** The storage version is one that objects are stored in, from now on and for ever. */
function keepStoredVersions(definition: KubeObject): void {
  const status = objectIn(definition.status);
  const stored = textsIn(status.storedVersions);
  const storage = objectsIn(objectIn(definition.spec).versions).find((version) => version.storage === true);
  const name = textIn(storage?.name);
  if (name !== '' && !stored.includes(name)) status.storedVersions = [...stored, name];
}

type Condition = { readonly type: string; readonly status: string; readonly reason: string; readonly message: string };

/** Accepts what is free of the names that are asked for, as `status` says afterwards. */
function accept(definition: KubeObject, { registry, clock }: DefinitionParts): void {
  const spec = objectIn(definition.spec);
  const [wanted, status] = [objectIn(spec.names), objectIn(definition.status)];
  const accepted = { ...objectIn(status.acceptedNames) };
  const others = registry.kinds().filter((kind) => kind.group === spec.group && kind.plural !== wanted.plural);
  const taken = new Set(others.flatMap(({ plural, singular, shortNames }) => [plural, singular, ...shortNames]));
  const takenKinds = new Set(others.flatMap(({ kind, listKind }) => [kind, listKind]));
  let verdict: Condition = {
    type: 'NamesAccepted',
    status: 'True',
    reason: 'NoConflicts',
    message: 'no conflicts found',
  };
  for (const [field, reason, set] of [
    ['plural', 'PluralConflict', taken],
    ['singular', 'SingularConflict', taken],
    ['shortNames', 'ShortNamesConflict', taken],
    ['kind', 'KindConflict', takenKinds],
    ['listKind', 'ListKindConflict', takenKinds],
  ] as const) {
    const asked = field === 'shortNames' ? textsIn(wanted[field]) : [textIn(wanted[field])];
    const conflicts = asked.filter((name) => set.has(name)).map((name) => `${JSON.stringify(name)} is already in use`);
    if (conflicts.length === 0) {
      if (wanted[field] === undefined) delete accepted[field];
      else accepted[field] = structuredClone(wanted[field]);
    } else {
      const message = conflicts.length === 1 ? (conflicts[0] ?? '') : `[${conflicts.join(', ')}]`;
      verdict = { type: 'NamesAccepted', status: 'False', reason, message };
    }
  }
  if (verdict.status === 'True') {
    if (wanted.categories === undefined) delete accepted.categories;
    else accepted.categories = structuredClone(wanted.categories);
  }
  status.acceptedNames = accepted;
  setCondition(status, verdict, clock.now());
  if (isEstablished(definition)) return;
  const established =
    verdict.status === 'True'
      ? { status: 'True', reason: 'InitialNamesAccepted', message: 'the initial names have been accepted' }
      : { status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' };
  setCondition(status, { type: 'Established', ...established }, clock.now());
}

/** Sets a condition, in place; its time moves with its status only. */
function setCondition(status: JsonObject, condition: Condition, nowMs: number): void {
  const conditions = objectsIn(status.conditions);
  const before = conditions.find(({ type }) => type === condition.type);
  const lastTransitionTime =
    before?.status === condition.status
      ? (before.lastTransitionTime ?? null)
      : `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
  const { type, status: state, reason, message } = condition;
  const entry = { type, status: state, lastTransitionTime, reason, message };
  status.conditions =
    before === undefined ? [...conditions, entry] : conditions.map((one) => (one === before ? entry : one));
}

function isEstablished({ status }: KubeObject): boolean {
  return objectsIn(objectIn(status).conditions).some(
    (condition) => condition.type === 'Established' && condition.status === 'True',
  );
}

/** The kind that a definition defines. */
function kindOf(definition: KubeObject, { extras }: DefinitionParts): Kind {
  const spec = objectIn(definition.spec);
  const group = textIn(spec.group);
  const accepted = objectIn(objectIn(definition.status).acceptedNames);
  const versions = objectsIn(spec.versions);
  const storage = versions.find((version) => version.storage === true);
  const schemas = new Map(
    versions.map((version) => [textIn(version.name), compileSchema(schemaOf(version.schema), { custom: true })]),
  );
  const hasStatus = isObject(objectIn(storage?.subresources).status);
  return {
    group,
    kind: textIn(accepted.kind),
    listKind: textIn(accepted.listKind),
    plural: textIn(accepted.plural),
    singular: textIn(accepted.singular),
    shortNames: textsIn(accepted.shortNames),
    categories: textsIn(accepted.categories),
    namespaced: spec.scope === 'Namespaced',
    verbs: allVerbs,
    versions: versions
      .filter((version) => version.served === true)
      .sort((one, other) => byPriority(textIn(one.name), textIn(other.name)))
      .flatMap((version) => servedVersion(version, schemas, { group, kind: textIn(accepted.kind) })),
    storageVersion: textIn(storage?.name),
    statusSubresource: hasStatus,
    subresources: {},
    strategy: { ...customStrategy(definition, { schemas, hasStatus }), ...extras.get(definition.metadata.name) },
    custom: true,
  };
}

function schemaOf(validation: KubeObject[string]): SchemaNode {
  // Validation has made sure that it is one.
  return objectIn(objectIn(validation).openAPIV3Schema) as SchemaNode;
}

function servedVersion(
  version: JsonObject,
  schemas: ReadonlyMap<string, ObjectSchema>,
  { group, kind }: { readonly group: string; readonly kind: string },
): ServedVersion[] {
  const name = textIn(version.name);
  const schema = schemas.get(name);
  if (schema === undefined) return [];
  const columns = printerColumns(objectsIn(version.additionalPrinterColumns));
  if (version.deprecated !== true) return [{ version: name, schema, columns }];
  const said = version.deprecationWarning;
  const warning = typeof said === 'string' ? said : `${apiVersionOf({ group, version: name })} ${kind} is deprecated`;
  return [{ version: name, schema, columns, deprecationWarning: warning }];
}

function customStrategy(
  definition: KubeObject,
  { schemas, hasStatus }: { readonly schemas: ReadonlyMap<string, ObjectSchema>; readonly hasStatus: boolean },
): Strategy {
  const spec = objectIn(definition.spec);
  const selectable = new Map(
    objectsIn(spec.versions).map(({ name, selectableFields }) => [
      textIn(name),
      objectsIn(selectableFields).map(({ jsonPath }) => simplePath(textIn(jsonPath)) ?? []),
    ]),
  );
  return {
    prepareForCreate(custom) {
      if (definition.metadata.deletionTimestamp !== undefined) throw terminating(spec);
      if (hasStatus) delete custom.status;
    },
    prepareForUpdate(custom, old) {
      if (!hasStatus) return;
      if (old.status === undefined) delete custom.status;
      else custom.status = old.status;
    },
    generationMoves: (custom, old) => !isDeepStrictEqual(counted(custom, hasStatus), counted(old, hasStatus)),
    convert(custom, version) {
      const converted = structuredClone(custom);
      converted.apiVersion = apiVersionOf({ group: textIn(spec.group), version });
      schemas.get(version)?.prune(converted);
      return converted;
    },
    fields(custom) {
      const paths = selectable.get(groupVersionOf(custom.apiVersion).version) ?? [];
      return Object.fromEntries(paths.map((path) => [path.join('.'), fieldText(custom, path)]));
    },
  };
}

/** What moves the generation: all but metadata, and the status where it has a way of its own. */
function counted({ metadata, status, ...rest }: KubeObject, hasStatus: boolean): JsonObject {
  return hasStatus ? rest : { ...rest, status };
}

function fieldText(custom: KubeObject, path: readonly string[]): string {
  const value = path.reduce<KubeObject[string]>((at, name) => objectIn(at)[name], custom);
  return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : '';
}

function terminating(spec: JsonObject): StatusError {
  const message = 'create not allowed while custom resource definition is terminating';
  return new StatusError(405, 'MethodNotAllowed', message, {
    group: textIn(spec.group),
    kind: textIn(objectIn(spec.names).plural),
  });
}
