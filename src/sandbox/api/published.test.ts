/** What is published of kinds: discovery, OpenAPI and tables, from a registry of two. */
import assert from 'node:assert/strict';
import type { JsonObject, KubeObject } from '../object.ts';
import { compileSchema } from '../schema/compile.ts';
import { listByKey, object, text } from '../schema/node.ts';
import { aggregatedDiscovery, byPriority, groupDocument, groupList, resourceList } from './discovery.ts';
import type { Kind } from './kind.ts';
import { createOpenApi } from './openapi.ts';
import { createRegistry } from './registry.ts';
import { tableOf } from './table.ts';

const container = object(
  { name: text(), image: text() },
  { typeName: 'io.k8s.api.core.v1.Container', required: ['name'] },
);

const pods: Kind = {
  group: '',
  kind: 'Pod',
  listKind: 'PodList',
  plural: 'pods',
  singular: 'pod',
  shortNames: ['po'],
  categories: ['all'],
  namespaced: true,
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  versions: [
    {
      version: 'v1',
      schema: compileSchema(
        object({
          spec: object({ containers: listByKey(container, ['name']) }, { typeName: 'io.k8s.api.core.v1.PodSpec' }),
        }),
        { custom: false },
      ),
      columns: [],
    },
  ],
  storageVersion: 'v1',
  statusSubresource: true,
  subresources: { log: { kind: 'Pod', verbs: ['get'], handle: () => ({ code: 200, object: {} }) } },
  strategy: {},
  custom: false,
};

const widgetSchema = compileSchema(object({ spec: object({ color: text() }) }), { custom: true });

const widgets: Kind = {
  ...pods,
  group: 'example.com',
  kind: 'Widget',
  listKind: 'WidgetList',
  plural: 'widgets',
  singular: 'widget',
  shortNames: [],
  categories: [],
  namespaced: false,
  versions: ['v1', 'v1beta1'].map((version) => ({ version, schema: widgetSchema, columns: [] })),
  statusSubresource: false,
  subresources: {},
  custom: true,
};

function registered() {
  const registry = createRegistry();
  registry.put(widgets);
  registry.put(pods);
  return registry;
}

describe('the registry', () => {
  it('finds kinds by the path of a request and by what objects say', () => {
    const registry = registered();
    assert.equal(registry.find('example.com', 'v1beta1', 'widgets')?.served.version, 'v1beta1');
    assert.equal(registry.find('example.com', 'v2', 'widgets'), undefined);
    assert.equal(registry.findKind('', 'Pod'), pods);
    assert.deepEqual(registry.kinds(), [pods, widgets]);
  });

  it('has another revision after every change, and none when nothing is taken away', () => {
    const registry = registered();
    const before = registry.revision;
    registry.remove('example.com', 'gadgets');
    assert.equal(registry.revision, before);
    registry.remove('example.com', 'widgets');
    assert.notEqual(registry.revision, before);
    assert.equal(registry.findKind('example.com', 'Widget'), undefined);
  });
});

describe('discovery', () => {
  it('lists groups with their versions, the preferred one first', () => {
    const versions = ['v1', 'v1beta1'].map((version) => ({ groupVersion: `example.com/${version}`, version }));
    const group = { name: 'example.com', versions, preferredVersion: versions[0] };
    assert.deepEqual(groupList(registered()), { kind: 'APIGroupList', apiVersion: 'v1', groups: [group] });
    assert.deepEqual(groupDocument(registered(), 'example.com'), { kind: 'APIGroup', apiVersion: 'v1', ...group });
    assert.equal(groupDocument(registered(), 'nobody.example.com'), undefined);
  });

  it('lists the resources of a version with their subresources', () => {
    const { resources, ...rest } = resourceList(registered(), '', 'v1') as { resources: JsonObject[] } & JsonObject;
    assert.deepEqual(rest, { kind: 'APIResourceList', groupVersion: 'v1' });
    assert.deepEqual(
      resources.map(({ name, kind, verbs }) => [name, kind, verbs]),
      [
        ['pods', 'Pod', [...pods.verbs]],
        ['pods/log', 'Pod', ['get']],
        ['pods/status', 'Pod', ['get', 'patch', 'update']],
      ],
    );
    assert.equal(resourceList(registered(), '', 'v2'), undefined);
  });

  it('tells it all in one', () => {
    const { items } = aggregatedDiscovery(registered(), 'groups') as { items: JsonObject[] };
    assert.deepEqual(items, [
      {
        metadata: { name: 'example.com' },
        versions: ['v1', 'v1beta1'].map((version) => ({
          version,
          resources: [
            {
              resource: 'widgets',
              responseKind: { group: 'example.com', version, kind: 'Widget' },
              scope: 'Cluster',
              singularResource: 'widget',
              verbs: [...pods.verbs],
            },
          ],
          freshness: 'Current',
        })),
      },
    ]);
  });

  it('sorts versions by priority', () => {
    const sorted = ['v10', 'v2', 'v1', 'v11beta2', 'v10beta3', 'v3beta1', 'v12alpha1', 'v11alpha2', 'foo1', 'foo10'];
    assert.deepEqual([...sorted].reverse().sort(byPriority), sorted);
  });
});

describe('OpenAPI', () => {
  const documentOf = (path: string, registry = registered()) => {
    const found = createOpenApi(registry).document(path);
    assert.ok(found, path);
    return JSON.parse(found.text) as {
      paths: Record<string, JsonObject>;
      components: { schemas: Record<string, JsonObject> };
    };
  };

  it('has an index with the hash of each document', () => {
    const openApi = createOpenApi(registered());
    const { paths } = openApi.index() as { paths: Record<string, { serverRelativeURL: string }> };
    assert.deepEqual(Object.keys(paths).sort(), [
      'api',
      'api/v1',
      'apis',
      'apis/example.com',
      'apis/example.com/v1',
      'apis/example.com/v1beta1',
    ]);
    assert.equal(paths['api/v1']?.serverRelativeURL, `/openapi/v3/api/v1?hash=${openApi.document('api/v1')?.hash}`);
    assert.equal(openApi.document('apis/example.com/v2'), undefined);
  });

  it('is made anew when the kinds change', () => {
    const registry = registered();
    const openApi = createOpenApi(registry);
    const { hash } = openApi.document('api/v1') ?? {};
    registry.remove('example.com', 'widgets');
    assert.equal(openApi.document('apis/example.com/v1'), undefined);
    assert.equal(openApi.document('api/v1')?.hash, hash);
  });

  it('says of core kinds how lists merge, and that strategic merges are understood', () => {
    const { paths, components } = documentOf('api/v1');
    const podSpec = components.schemas['io.k8s.api.core.v1.PodSpec'] as { properties: JsonObject } | undefined;
    assert.deepEqual(podSpec?.properties.containers, {
      type: 'array',
      items: { allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.Container' }] },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      'x-kubernetes-patch-strategy': 'merge',
      'x-kubernetes-patch-merge-key': 'name',
    });
    const { patch } = paths['/api/v1/namespaces/{namespace}/pods/{name}'] as {
      patch: { requestBody: { content: JsonObject } };
    };
    assert.ok('application/strategic-merge-patch+json' in patch.requestBody.content);
  });

  it('says that fieldValidation is understood, of the kind that it is', () => {
    const { paths, components } = documentOf('apis/example.com/v1');
    const { patch } = paths['/apis/example.com/v1/widgets/{name}'] as {
      patch: JsonObject & { parameters: JsonObject[] };
    };
    assert.ok(patch.parameters.some(({ name, in: where }) => name === 'fieldValidation' && where === 'query'));
    const ofWidget = { group: 'example.com', version: 'v1', kind: 'Widget' };
    assert.deepEqual(patch['x-kubernetes-group-version-kind'], ofWidget);
    assert.deepEqual(components.schemas['com.example.v1.Widget']?.['x-kubernetes-group-version-kind'], [ofWidget]);
    const content = (patch.requestBody as { content: JsonObject }).content;
    assert.ok(!('application/strategic-merge-patch+json' in content));
  });

  it('refers to nothing that is not there', () => {
    for (const path of ['api/v1', 'apis/example.com/v1']) {
      const { components, paths } = documentOf(path);
      const references = JSON.stringify([components, paths]).match(/#\/components\/schemas\/[^"]+/g) ?? [];
      const missing = references.filter(
        (reference) => components.schemas[reference.slice('#/components/schemas/'.length)] === undefined,
      );
      assert.deepEqual(missing, []);
    }
  });
});

describe('a table', () => {
  const created = '2026-01-01T00:00:00Z';
  const now = Date.UTC(2026, 0, 1, 0, 5);
  const one = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', creationTimestamp: created },
  } as unknown as KubeObject;
  const served = (columns: Kind['versions'][number]['columns'] = []) => ({ columns });
  const table = (more: Partial<Parameters<typeof tableOf>[0]>) =>
    tableOf({
      kind: widgets,
      served: served(),
      objects: [one],
      include: 'Metadata',
      now,
      metadata: { resourceVersion: '7' },
      ...more,
    }) as { columnDefinitions: JsonObject[] | null; rows: JsonObject[]; metadata: JsonObject };

  it('has name and age when a kind has no columns, or the time when it is built in', () => {
    assert.deepEqual(
      table({}).columnDefinitions?.map(({ name }) => name),
      ['Name', 'Age'],
    );
    assert.deepEqual(table({}).rows[0]?.cells, ['p', '5m']);
    assert.deepEqual(
      table({ kind: pods }).columnDefinitions?.map(({ name }) => name),
      ['Name', 'Created At'],
    );
    assert.deepEqual(table({ kind: pods }).rows[0]?.cells, ['p', created]);
  });

  it('has the columns of the kind', () => {
    const column = { name: 'X', type: 'integer', format: '', description: 'd', priority: 1, cell: () => 4 } as const;
    const { columnDefinitions, rows } = table({ served: served([column]) });
    assert.deepEqual(columnDefinitions?.[1], { name: 'X', type: 'integer', format: '', description: 'd', priority: 1 });
    assert.deepEqual(rows[0]?.cells, ['p', 4]);
  });

  it('comes with as much of the objects as is wanted', () => {
    const partial = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: one.metadata };
    assert.deepEqual(table({}).rows[0]?.object, partial);
    assert.equal(table({ include: 'None' }).rows[0]?.object, null);
    assert.equal(table({ include: 'Object' }).rows[0]?.object, one);
  });

  it('leaves the columns out of the later events of a watch', () => {
    assert.equal(table({ withColumns: false }).columnDefinitions, null);
  });
});
