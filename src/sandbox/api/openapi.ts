/**
 * OpenAPI v3 of what is served, generated from the kinds: an index, and a document for each group version. It says what
 * kubectl asks it for: that `fieldValidation` is understood (create, apply), which lists merge by which key (apply, edit),
 * and what fields there are (explain). There is no OpenAPI v2: kubectl 1.34 asks for it only when there is no v3.
 * https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
 */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../object.ts';
import { componentNameOf, componentsOf } from './components.ts';
import { groupVersions, servedIn } from './discovery.ts';
import type { Kind, Registry, Verb } from './kind.ts';

/** A document with the hash that its address carries. */
export interface OpenApiDocument {
  /** Also its ETag; a request with another hash is led to the one with this. */
  readonly hash: string;
  readonly text: string;
}

/** The documents as they are now. */
export interface OpenApi {
  /** `/openapi/v3`. */
  index(): JsonObject;
  /** `/openapi/v3/<path>`: `api/v1`, `apis/<group>/<version>`, or a path of discovery; undefined when nothing is there. */
  document(path: string): OpenApiDocument | undefined;
}

/** Documents the kinds of a registry. Documents are made when they are asked for, once for each state of the registry. */
export function createOpenApi(registry: Registry): OpenApi {
  let revision = -1;
  let documents = new Map<string, OpenApiDocument>();

  function current(): ReadonlyMap<string, OpenApiDocument> {
    if (revision === registry.revision) return documents;
    revision = registry.revision;
    const served = groupVersions(registry);
    const groups = [...new Set(served.map(({ group }) => group))].filter((group) => group !== '');
    documents = new Map([
      ...['api', 'apis', ...groups.map((group) => `apis/${group}`)].map(
        (path) => [path, hashed(discoveryDocument(path))] as const,
      ),
      ...served.map(({ group, version }) => {
        const document = documentOf(servedIn(registry, group, version), group, version);
        return [rootOf(group, version).slice(1), hashed(document)] as const;
      }),
    ]);
    return documents;
  }

  return {
    index: () => ({
      paths: Object.fromEntries(
        [...current()].map(([path, { hash }]) => [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }]),
      ),
    }),
    document: (path) => current().get(path),
  };
}

function hashed(document: JsonObject): OpenApiDocument {
  const text = JSON.stringify(document);
  return { hash: createHash('sha512').update(text).digest('hex').toUpperCase(), text };
}

/** The document of a path that says what is served. */
function discoveryDocument(path: string): JsonObject {
  const answer = { description: 'OK', content: { 'application/json': { schema: { type: 'object' } } } };
  const operation = { responses: { '200': answer, '401': { description: 'Unauthorized' } } };
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: '1.34' },
    paths: { [`/${path}/`]: { get: operation } },
    components: {},
  };
}

function rootOf(group: string, version: string): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

function documentOf(kinds: readonly Kind[], group: string, version: string): JsonObject {
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: '1.34' },
    paths: Object.fromEntries(kinds.flatMap((kind) => pathsOf(kind, version, rootOf(group, version)))),
    components: { schemas: componentsOf(kinds, version) },
  };
}

function pathsOf(kind: Kind, version: string, root: string): [string, JsonObject][] {
  const all = `${root}/${kind.plural}`;
  const scope = kind.namespaced ? `${root}/namespaces/{namespace}/${kind.plural}` : all;
  const named = `${scope}/{name}`;
  const paths: [string, JsonObject][] = [
    [scope, pathOf(kind, version, ['list', 'create', 'deletecollection'], scope)],
    [named, pathOf(kind, version, ['get', 'update', 'patch', 'delete'], named)],
  ];
  if (kind.namespaced) paths.push([all, pathOf(kind, version, ['list'], all)]);
  if (kind.statusSubresource) {
    const status = `${named}/status`;
    paths.push([status, pathOf(kind, version, ['get', 'update', 'patch'], status)]);
  }
  return paths.filter(([, path]) => Object.keys(path).some((key) => key !== 'parameters'));
}

const methods = {
  list: { method: 'get', action: 'list' },
  get: { method: 'get', action: 'get' },
  create: { method: 'post', action: 'post' },
  update: { method: 'put', action: 'put' },
  patch: { method: 'patch', action: 'patch' },
  delete: { method: 'delete', action: 'delete' },
  deletecollection: { method: 'delete', action: 'deletecollection' },
} as const;

function pathOf(kind: Kind, version: string, verbs: readonly (keyof typeof methods)[], path: string): JsonObject {
  const operations = verbs
    .filter((verb) => kind.verbs.includes(verb))
    .map((verb) => [methods[verb].method, operation(kind, version, verb, path)]);
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', uniqueItems: true },
  }));
  return { ...Object.fromEntries(operations), parameters: [...parameters, query('pretty')] };
}

function operation(kind: Kind, version: string, verb: keyof typeof methods, path: string): JsonObject {
  const name = componentNameOf(kind, version);
  const answer = { $ref: `#/components/schemas/${verb === 'list' ? `${name}List` : name}` };
  const content = { 'application/json': { schema: answer }, 'application/yaml': { schema: answer } };
  return {
    tags: [kind.group === '' ? `core_${version}` : `${kind.group}_${version}`],
    operationId: operationId(kind, version, verb, path),
    parameters: parametersOf(verb),
    ...requestOf(kind, verb, answer),
    responses: {
      '200': { description: 'OK', content },
      ...(verb === 'create' || verb === 'update' || verb === 'patch'
        ? { '201': { description: 'Created', content } }
        : {}),
      '401': { description: 'Unauthorized' },
    },
    'x-kubernetes-action': methods[verb].action,
    'x-kubernetes-group-version-kind': { group: kind.group, version, kind: kind.kind },
  };
}

function operationId(kind: Kind, version: string, verb: Verb, path: string): string {
  const title = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
  const group = kind.group === '' ? 'core' : kind.group;
  const scope = path.includes('{namespace}') ? 'Namespaced' : '';
  const across = kind.namespaced && scope === '' ? 'ForAllNamespaces' : '';
  const words = { get: 'read', update: 'replace', deletecollection: 'deleteCollection' } as const;
  const said = words[verb as keyof typeof words] ?? verb;
  const status = path.endsWith('/status') ? 'Status' : '';
  return `${said}${group.split('.').map(title).join('')}${title(version)}${scope}${kind.kind}${status}${across}`;
}

function parametersOf(verb: keyof typeof methods): JsonObject[] {
  switch (verb) {
    case 'get':
      return [query('resourceVersion')];
    case 'create':
    case 'update':
      return [query('dryRun'), query('fieldManager'), query('fieldValidation')];
    case 'patch':
      return [query('dryRun'), query('fieldManager'), query('fieldValidation'), query('force', 'boolean')];
    case 'delete':
      return [query('dryRun'), query('gracePeriodSeconds', 'integer'), query('propagationPolicy')];
    case 'list':
    case 'deletecollection':
      return [
        query('allowWatchBookmarks', 'boolean'),
        query('continue'),
        query('fieldSelector'),
        query('labelSelector'),
        query('limit', 'integer'),
        query('resourceVersion'),
        query('resourceVersionMatch'),
        query('sendInitialEvents', 'boolean'),
        query('timeoutSeconds', 'integer'),
        query('watch', 'boolean'),
      ];
  }
}

function query(name: string, type = 'string'): JsonObject {
  return { name, in: 'query', schema: { type, uniqueItems: true } };
}

function requestOf({ custom }: Kind, verb: Verb, body: JsonObject): JsonObject {
  if (verb === 'create' || verb === 'update') {
    const content = custom
      ? { 'application/json': { schema: body }, 'application/yaml': { schema: body } }
      : { '*/*': { schema: body } };
    return { requestBody: { content, required: true } };
  }
  if (verb !== 'patch') return {};
  const types = [
    'application/apply-patch+yaml',
    'application/json-patch+json',
    'application/merge-patch+json',
    // kubectl takes this as the sign that strategic merges are understood.
    ...(custom ? [] : ['application/strategic-merge-patch+json']),
  ];
  const patch = { schema: { $ref: '#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Patch' } };
  return { requestBody: { content: Object.fromEntries(types.map((type) => [type, patch])), required: true } };
}
