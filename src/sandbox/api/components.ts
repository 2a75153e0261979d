/** The schemas of kinds as components of OpenAPI documents: a named Go type is a component of its own. */
import type { Json, JsonObject } from '../object.ts';
import { metadataNode } from '../schema/metadata.ts';
import { int64, object, type SchemaNode, text } from '../schema/node.ts';
import type { Kind } from './kind.ts';

const metaPackage = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const quantityName = 'io.k8s.apimachinery.pkg.api.resource.Quantity';
const intOrStringName = 'io.k8s.apimachinery.pkg.util.intstr.IntOrString';
const timeName = `${metaPackage}.Time`;

/** The name of a kind's component: `io.k8s.api.core.v1.Pod`, `dev.tekton.v1.PipelineRun`. */
export function componentNameOf({ group, kind, custom }: Kind, version: string): string {
  if (custom) return `${group.split('.').reverse().join('.')}.${version}.${kind}`;
  if (group === 'apiextensions.k8s.io')
    return `io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.${version}.${kind}`;
  return `io.k8s.api.${group === '' ? 'core' : (group.split('.')[0] ?? '')}.${version}.${kind}`;
}

/** The components of kinds that are served in `version`: the kinds, their lists, and every type that these refer to. */
export function componentsOf(kinds: readonly Kind[], version: string): JsonObject {
  const components: JsonObject = {};
  for (const kind of kinds) {
    const node = kind.versions.find((served) => served.version === version)?.schema.node;
    if (node === undefined) continue;
    const name = componentNameOf(kind, version);
    const own = { apiVersion: text(), kind: text(), metadata: metadataNode };
    const whole = { ...node, properties: { ...own, ...node.properties, ...(kind.custom ? own : {}) } };
    components[name] = {
      ...(kind.custom ? customBody(whole, components) : typedBody(whole, components)),
      'x-kubernetes-group-version-kind': [{ group: kind.group, kind: kind.kind, version }],
    };
    if (kind.review !== undefined) continue;
    components[`${name}List`] = {
      ...typedBody(listNode(), components),
      'x-kubernetes-group-version-kind': [{ group: kind.group, kind: kind.listKind, version }],
    };
    const list = components[`${name}List`] as JsonObject;
    const properties = list.properties as JsonObject;
    properties.items = { type: 'array', items: { $ref: reference(name) } };
  }
  components[`${metaPackage}.Patch`] = { type: 'object' };
  return Object.fromEntries(Object.entries(components).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function listNode(): SchemaNode {
  const metadata = object(
    { continue: text(), remainingItemCount: int64(), resourceVersion: text(), selfLink: text() },
    { typeName: `${metaPackage}.ListMeta` },
  );
  return object({ apiVersion: text(), items: {}, kind: text(), metadata }, { required: ['items'] });
}

function reference(name: string): string {
  return `#/components/schemas/${name}`;
}

/** A custom kind's schema goes out as it came in; only its metadata is that of every object. */
function customBody(node: SchemaNode, components: JsonObject): JsonObject {
  const { metadata, ...properties } = node.properties ?? {};
  return {
    ...plainJson({ ...node, properties }),
    properties: {
      ...plainJson(properties),
      metadata: { allOf: [{ $ref: referTo(metadata ?? metadataNode, components) }] },
    },
  };
}

function plainJson(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}

/** A node as the body of a component. */
function typedBody(node: SchemaNode, components: JsonObject): JsonObject {
  const { properties, items, additionalProperties, typeName, nullable, ...facets } = node;
  return {
    ...plainJson(facets),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties)
              .sort(([one], [other]) => (one < other ? -1 : 1))
              .map(([name, field]) => [name, fieldOf(field, components)]),
          ),
        }),
    ...(items === undefined ? {} : { items: fieldOf(items, components) }),
    ...(typeof additionalProperties === 'object'
      ? { additionalProperties: fieldOf(additionalProperties, components) }
      : {}),
  };
}

/** A node where it is used: whole, or as a reference to its component with what is said of this use alone. */
function fieldOf(node: SchemaNode, components: JsonObject): Json {
  const referred = referTo(node, components);
  if (referred === undefined) return typedBody(node, components);
  const said = node.description === undefined ? {} : { description: node.description };
  const value = node.default === undefined ? {} : { default: structuredClone(node.default) };
  return { ...said, ...value, allOf: [{ $ref: referred }] };
}

/** The reference to a node's component, which is added when it is not there yet; undefined for a node without a name. */
function referTo(node: SchemaNode, components: JsonObject): string | undefined {
  if (node['x-kubernetes-int-or-string'] === true) {
    const isQuantity = node.format === 'quantity';
    const name = isQuantity ? quantityName : intOrStringName;
    components[name] ??= isQuantity
      ? { oneOf: [{ type: 'string' }, { type: 'number' }] }
      : { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] };
    return reference(name);
  }
  if (node.format === 'date-time') {
    components[timeName] ??= { type: 'string', format: 'date-time' };
    return reference(timeName);
  }
  const { typeName } = node;
  if (typeName === undefined) return undefined;
  if (components[typeName] === undefined) {
    // Its place is taken first, for a type that has itself within.
    components[typeName] = {};
    const { description, default: _, ...body } = node;
    components[typeName] = typedBody(body, components);
  }
  return reference(typeName);
}
