/**
 * CustomResourceDefinitions: the kind of kinds. A definition that is stored is a kind that is served, at once.
 * https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/
 */
import { isDeepStrictEqual } from 'node:util';
import { builtin } from '../core/builtin.ts';
import { isObject, objectIn, objectsIn, textIn, textsIn } from '../core/reading.ts';
import { always, optional, struct, time } from '../core/typed.ts';
import type { KubeObject } from '../object.ts';
import { Undecodable } from '../schema/decode.ts';
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
import { badRequest } from '../status.ts';
import { kindOf } from './custom.ts';
import { definitionFaults } from './definitions.ts';
import { cleanupFinalizer, definitionsResource, isServed, judgeNames, setCondition } from './establish.ts';
import type { Kind, ObjectSchema, Registry, Strategy } from './kind.ts';

export { definitionsResource, keepDefinitions } from './establish.ts';

/** What definitions need to become kinds. */
export interface DefinitionParts {
  readonly registry: Registry;
  /** What webhooks would do for kinds that others define, by the name of the definition: `pipelineruns.tekton.dev`. */
  readonly extras: ReadonlyMap<string, Partial<Strategy>>;
}

/**
 * `customresourcedefinitions`. Creating, updating and deleting one changes the registry within the same call, so that its kind
 * is served at once; its status follows when `keepDefinitions` has seen it. What it does not have: the scale subresource,
 * conversion webhooks over the network (see `extras`), and the limit on the estimated cost of rules.
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
  const { registry, extras } = parts;
  return {
    prepareForCreate(definition) {
      definition.status = { conditions: null, acceptedNames: { plural: '', kind: '' }, storedVersions: [] };
      keepStoredVersions(definition);
    },
    prepareForUpdate(definition, old) {
      definition.status = structuredClone(old.status ?? null);
      keepStoredVersions(definition);
    },
    validate: (definition, old, subresource) => (subresource === '' ? definitionFaults(definition, old) : []),
    warnings: (definition) =>
      objectsIn(objectIn(definition.spec).versions).flatMap(({ schema }) =>
        formatWarnings(objectIn(objectIn(schema).openAPIV3Schema) as SchemaNode),
      ),
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
      const spec = objectIn((definition ?? old)?.spec);
      const verdict = definition === undefined ? undefined : judgeNames(definition, registry);
      if (definition !== undefined && verdict !== undefined && isServed(definition, verdict)) {
        if (isKnown(definition, old)) return;
        registry.put(kindOf(definition, verdict.names, extras.get(definition.metadata.name)));
      } else {
        registry.remove(textIn(spec.group), textIn(objectIn(spec.names).plural));
      }
    },
  };
}

/** Nothing has changed that the kind is made from. */
function isKnown(definition: KubeObject, old: KubeObject | undefined): boolean {
  if (old === undefined || definition.metadata.deletionTimestamp !== old.metadata.deletionTimestamp) return false;
  const accepted = objectIn(old.status).acceptedNames;
  return (
    isDeepStrictEqual(definition.spec, old.spec) &&
    isDeepStrictEqual(objectIn(definition.status).acceptedNames, accepted)
  );
}

/** The storage version is one that objects are stored in, from now on and for ever. */
function keepStoredVersions(definition: KubeObject): void {
  const status = objectIn(definition.status);
  const stored = textsIn(status.storedVersions);
  const storage = objectsIn(objectIn(definition.spec).versions).find((version) => version.storage === true);
  const name = textIn(storage?.name);
  if (name !== '' && !stored.includes(name)) status.storedVersions = [...stored, name];
}
