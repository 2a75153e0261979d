/** A definition made into the kind that it defines. */
import { isDeepStrictEqual } from 'node:util';
import { isObject, objectIn, objectsIn, textIn, textsIn } from '../core/reading.ts';
import { apiVersionOf, groupVersionOf, type JsonObject, type KubeObject } from '../object.ts';
import { compileSchema } from '../schema/compile.ts';
import { simplePath } from '../schema/jsonpath.ts';
import type { SchemaNode } from '../schema/node.ts';
import { StatusError } from '../status.ts';
import { byPriority } from './discovery.ts';
import type { Kind, ObjectSchema, ServedVersion, Strategy, Verb } from './kind.ts';
import { printerColumns } from './printer.ts';

/** Every verb, in the order in which the server lists them for kinds of definitions. */
const verbs: readonly Verb[] = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];

/** The kind that a definition defines, with the names that are its own; `extra` is what webhooks would do. */
export function kindOf(definition: KubeObject, names: JsonObject, extra: Partial<Strategy> | undefined): Kind {
  const spec = objectIn(definition.spec);
  const group = textIn(spec.group);
  const versions = objectsIn(spec.versions);
  const storage = versions.find((version) => version.storage === true);
  const schemas = new Map(
    versions.map((version) => [textIn(version.name), compileSchema(schemaOf(version.schema), { custom: true })]),
  );
  const hasStatus = isObject(objectIn(storage?.subresources).status);
  return {
    group,
    kind: textIn(names.kind),
    listKind: textIn(names.listKind),
    plural: textIn(names.plural),
    singular: textIn(names.singular),
    shortNames: textsIn(names.shortNames),
    categories: textsIn(names.categories),
    namespaced: spec.scope === 'Namespaced',
    verbs,
    versions: versions
      .filter((version) => version.served === true)
      .sort((one, other) => byPriority(textIn(one.name), textIn(other.name)))
      .flatMap((version) => servedVersion(version, versions, schemas, { group, kind: textIn(names.kind) })),
    storageVersion: textIn(storage?.name),
    statusSubresource: hasStatus,
    subresources: {},
    strategy: { ...customStrategy(definition, { schemas, hasStatus }), ...extra },
    custom: true,
  };
}

function schemaOf(validation: KubeObject[string]): SchemaNode {
  // Validation has made sure that it is one.
  return objectIn(objectIn(validation).openAPIV3Schema) as SchemaNode;
}

function servedVersion(
  version: JsonObject,
  versions: readonly JsonObject[],
  schemas: ReadonlyMap<string, ObjectSchema>,
  { group, kind }: { readonly group: string; readonly kind: string },
): ServedVersion[] {
  const name = textIn(version.name);
  const schema = schemas.get(name);
  if (schema === undefined) return [];
  const columns = printerColumns(objectsIn(version.additionalPrinterColumns));
  if (version.deprecated !== true) return [{ version: name, schema, columns }];
  const said = version.deprecationWarning;
  const deprecationWarning = typeof said === 'string' ? said : deprecation(name, versions, { group, kind });
  return [{ version: name, schema, columns, deprecationWarning }];
}

/** What a deprecated version says when its definition does not: which version to use instead, if there is a better one. */
function deprecation(
  version: string,
  versions: readonly JsonObject[],
  { group, kind }: { readonly group: string; readonly kind: string },
): string {
  const [better] = versions
    .filter(({ served, deprecated }) => served === true && deprecated !== true)
    .map(({ name }) => textIn(name))
    .filter((name) => byPriority(name, version) < 0)
    .sort(byPriority);
  const warning = `${apiVersionOf({ group, version })} ${kind} is deprecated`;
  return better === undefined ? warning : `${warning}; use ${apiVersionOf({ group, version: better })} ${kind}`;
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
