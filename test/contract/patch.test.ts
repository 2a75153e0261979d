/** Patches: JSON (RFC 6902), merge (RFC 7386) and strategic merge. */
import type { Json, JsonObject } from '../../src/sandbox/object.ts';
import { contract } from './contract.ts';
import { configMap, paths, unschedulable, widget, widgets } from './objects.ts';
import { only } from './show.ts';

const { configMaps, pods } = paths;

contract(
  'patch',
  {
    'merge: sets, replaces and removes': async (api) => {
      await api.given.post(configMaps, configMap('merge', { a: '1', b: '2' }, { labels: { x: '1', y: '2' } }));
      await api.patch(`${configMaps}/merge`, 'merge', {
        data: { a: null, b: '3', c: '4' },
        metadata: { labels: null },
      });
    },
    'merge: a list is replaced whole': async (api) => {
      await api.given.post(configMaps, configMap('list', {}, { finalizers: ['a.io/1', 'a.io/2'] }));
      await api.patch(
        `${configMaps}/list`,
        'merge',
        { metadata: { finalizers: ['a.io/2'] } },
        only('metadata.finalizers'),
      );
      await api.patch(`${configMaps}/list`, 'merge', { metadata: { finalizers: null } }, only('metadata.finalizers'));
    },
    'merge: nothing to change keeps the version': async (api) => {
      await api.post(configMaps, configMap('noop', { a: '1' }), only('metadata.resourceVersion'));
      await api.patch(`${configMaps}/noop`, 'merge', { data: { a: '1' } }, only('metadata.resourceVersion'));
      await api.patch(`${configMaps}/noop`, 'merge', {}, only('metadata.resourceVersion'));
    },
    'merge: an old version in the patch is a conflict': async (api) => {
      const made = await api.given.post(configMaps, configMap('version'));
      await api.given.patch(`${configMaps}/version`, 'merge', { data: { a: '1' } });
      const metadata = { resourceVersion: made.at('metadata.resourceVersion') };
      await api.patch(`${configMaps}/version`, 'merge', { metadata, data: { a: '2' } });
    },
    'merge: another uid in the patch is a conflict': async (api) => {
      await api.given.post(configMaps, configMap('uid'));
      await api.patch(`${configMaps}/uid`, 'merge', { metadata: { uid: '11111111-2222-3333-4444-555555555555' } });
    },
    'merge: the name cannot change': async (api) => {
      await api.given.post(configMaps, configMap('name'));
      await api.patch(`${configMaps}/name`, 'merge', { metadata: { name: 'other' } });
      await api.patch(`${configMaps}/name`, 'merge', { metadata: { namespace: 'default' } });
    },
    'merge: kind and version cannot change': async (api) => {
      await api.given.post(configMaps, configMap('kind'));
      await api.patch(`${configMaps}/kind`, 'merge', { kind: 'Secret' });
      await api.patch(`${configMaps}/kind`, 'merge', { apiVersion: 'v2' });
    },
    'merge: what does not exist is not found': async (api) => {
      await api.patch(`${configMaps}/absent`, 'merge', { data: {} });
      await api.patch(`${paths.widgets}/absent`, 'merge', { spec: {} });
    },
    'merge: a result that is invalid is refused': async (api) => {
      await api.given.post(configMaps, configMap('invalid'));
      await api.patch(`${configMaps}/invalid`, 'merge', { data: { 'a/b': '1' } });
      await api.patch(`${configMaps}/invalid`, 'merge', { data: { a: 1 } });
      await api.patch(`${configMaps}/invalid`, 'merge', { data: 'text' });
    },
    'merge: a body that is none is refused': async (api) => {
      await api.given.post(configMaps, configMap('broken'));
      await api.patch(`${configMaps}/broken`, 'merge', '{"data":');
      await api.patch(`${configMaps}/broken`, 'merge', '[]');
      await api.patch(`${configMaps}/broken`, 'merge', '"text"');
      await api.patch(`${configMaps}/broken`, 'merge', '');
    },
    'merge: unknown fields are warned of or refused': async (api) => {
      await api.given.post(configMaps, configMap('unknown'));
      await api.patch(`${configMaps}/unknown`, 'merge', { extra: 1 });
      await api.patch(`${configMaps}/unknown?fieldValidation=Strict`, 'merge', { extra: 1 });
      await api.patch(`${configMaps}/unknown?fieldValidation=Ignore`, 'merge', { extra: 1 });
    },
    'merge: a dry run keeps nothing': async (api) => {
      await api.given.post(configMaps, configMap('dry', { a: '1' }));
      await api.patch(`${configMaps}/dry?dryRun=All`, 'merge', { data: { a: '2' } }, only('data'));
      await api.get(`${configMaps}/dry`, only('data'));
    },
    'merge: stringData of a secret becomes data': async (api) => {
      await api.given.post(paths.secrets, { metadata: { name: 'strings' }, stringData: { a: 'old', b: 'keep' } });
      await api.patch(`${paths.secrets}/strings`, 'merge', { stringData: { a: 'new' } }, only('data', 'stringData'));
    },
    'json: the six operations': async (api) => {
      await api.given.post(configMaps, configMap('operations', { a: '1', b: '2' }));
      await api.patch(`${configMaps}/operations`, 'json', [
        { op: 'test', path: '/data/a', value: '1' },
        { op: 'add', path: '/data/c', value: '3' },
        { op: 'replace', path: '/data/b', value: '4' },
        { op: 'copy', from: '/data/c', path: '/data/d' },
        { op: 'move', from: '/data/a', path: '/data/e' },
        { op: 'remove', path: '/data/c' },
      ]);
    },
    'json: slashes and tildes are escaped': async (api) => {
      await api.given.post(configMaps, configMap('escaped', {}, { annotations: { 'a.io/b': '1' } }));
      const path = '/metadata/annotations/a.io~1b';
      await api.patch(
        `${configMaps}/escaped`,
        'json',
        [{ op: 'replace', path, value: '2' }],
        only('metadata.annotations'),
      );
    },
    'json: positions in lists': async (api) => {
      await api.given.post(configMaps, configMap('positions', {}, { finalizers: ['a.io/1'] }));
      const path = '/metadata/finalizers';
      await api.patch(
        `${configMaps}/positions`,
        'json',
        [
          { op: 'add', path: `${path}/-`, value: 'a.io/3' },
          { op: 'add', path: `${path}/1`, value: 'a.io/2' },
          { op: 'remove', path: `${path}/0` },
        ],
        only('metadata.finalizers'),
      );
      await api.patch(`${configMaps}/positions`, 'json', [{ op: 'remove', path }], only('metadata.finalizers'));
    },
    'json: a test that fails refuses the whole patch': async (api) => {
      await api.given.post(configMaps, configMap('test', { a: '1' }));
      await api.patch(`${configMaps}/test`, 'json', [
        { op: 'replace', path: '/data/a', value: '2' },
        { op: 'test', path: '/data/a', value: '1' },
      ]);
      await api.get(`${configMaps}/test`, only('data'));
    },
    'json: a path that is not there is refused': async (api) => {
      await api.given.post(configMaps, configMap('missing', { a: '1' }));
      for (const operation of [
        { op: 'remove', path: '/data/b' },
        { op: 'replace', path: '/data/b', value: '1' },
        { op: 'add', path: '/binaryData/b', value: 'YQ==' },
        { op: 'move', from: '/data/b', path: '/data/c' },
        { op: 'copy', from: '/data/b', path: '/data/c' },
        { op: 'test', path: '/data/b', value: '1' },
        { op: 'add', path: '/metadata/finalizers/3', value: 'a.io/1' },
      ]) {
        await api.patch(`${configMaps}/missing`, 'json', [operation]);
      }
    },
    'json: an operation that nobody knows is refused': async (api) => {
      await api.given.post(configMaps, configMap('operation'));
      await api.patch(`${configMaps}/operation`, 'json', [{ op: 'improve', path: '/data' }]);
      await api.patch(`${configMaps}/operation`, 'json', [{ path: '/data' }]);
      await api.patch(`${configMaps}/operation`, 'json', [{ op: 'add', value: 1 }]);
    },
    'json: a body that is none is refused': async (api) => {
      await api.given.post(configMaps, configMap('json-broken'));
      await api.patch(`${configMaps}/json-broken`, 'json', { data: {} });
      await api.patch(`${configMaps}/json-broken`, 'json', '[{');
    },
    'json: an empty patch changes nothing': async (api) => {
      await api.post(configMaps, configMap('json-empty'), only('metadata.resourceVersion'));
      await api.patch(`${configMaps}/json-empty`, 'json', [], only('metadata.resourceVersion'));
    },
    'json: more operations than 10,000 are refused': async (api) => {
      await api.given.post(configMaps, configMap('json-many'));
      const operations = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/kind', value: 'ConfigMap' }));
      await api.patch(`${configMaps}/json-many`, 'json', operations);
    },
    'json: a custom object': async (api) => {
      await api.given.post(paths.widgets, widget('json', { size: 1, tags: ['a'] }));
      const operations = [
        { op: 'add', path: '/spec/tags/0', value: 'b' },
        { op: 'replace', path: '/spec/size', value: 2 },
      ];
      await api.patch(`${paths.widgets}/json`, 'json', operations, only('spec', 'metadata.generation'));
      await api.patch(`${paths.widgets}/json`, 'json', [{ op: 'replace', path: '/spec/size', value: 'two' }]);
      await api.patch(`${paths.widgets}/json`, 'json', [{ op: 'remove', path: '/spec' }]);
    },
    'strategic: a map is merged': async (api) => {
      await api.given.post(configMaps, configMap('strategic', { a: '1', b: '2' }));
      await api.patch(`${configMaps}/strategic`, 'strategic', { data: { a: null, c: '3' } }, only('data'));
    },
    'strategic: a map can be replaced': async (api) => {
      await api.given.post(configMaps, configMap('replace', { a: '1', b: '2' }));
      await api.patch(`${configMaps}/replace`, 'strategic', { data: { $patch: 'replace', c: '3' } }, only('data'));
    },
    'strategic: a field that is kept apart is retained by name': async (api) => {
      await api.given.post(configMaps, configMap('retain', { a: '1', b: '2' }));
      await api.patch(
        `${configMaps}/retain`,
        'strategic',
        { $retainKeys: ['data', 'metadata'], data: { c: '3' } },
        only('data'),
      );
    },
    'strategic: containers are merged by their name': async (api) => {
      await api.given.post(pods, unschedulable('containers'));
      const containers = [{ name: 'main', image: 'docker.io/library/busybox:2' }];
      await api.patch(`${pods}/containers`, 'strategic', { spec: { containers } }, images);
    },
    'strategic: a container cannot be added to a pod': async (api) => {
      await api.given.post(pods, unschedulable('added'));
      await api.patch(`${pods}/added`, 'strategic', { spec: { containers: [{ name: 'second', image: 'x' }] } }, short);
    },
    'strategic: an item of a list can be deleted': async (api) => {
      const owners = ['a', 'b'].map((name) => ({ apiVersion: 'v1', kind: 'ConfigMap', name, uid: `${name}-uid` }));
      await api.given.post(
        configMaps,
        configMap('delete-item', {}, { ownerReferences: owners, finalizers: ['a.io/hold'] }),
      );
      const ownerReferences = [{ $patch: 'delete', uid: 'a-uid' }];
      await api.patch(
        `${configMaps}/delete-item`,
        'strategic',
        { metadata: { ownerReferences } },
        only('metadata.ownerReferences'),
      );
      await api.patch(`${configMaps}/delete-item`, 'merge', { metadata: { finalizers: null } }, only());
    },
    'strategic: a list of words is merged, and can be thinned': async (api) => {
      await api.given.post(configMaps, configMap('words', {}, { finalizers: ['a.io/1', 'a.io/2'] }));
      const shown = only('metadata.finalizers');
      await api.patch(`${configMaps}/words`, 'strategic', { metadata: { finalizers: ['a.io/3'] } }, shown);
      await api.patch(
        `${configMaps}/words`,
        'strategic',
        { metadata: { '$deleteFromPrimitiveList/finalizers': ['a.io/1', 'a.io/2'] } },
        shown,
      );
      await api.patch(
        `${configMaps}/words`,
        'strategic',
        { metadata: { '$deleteFromPrimitiveList/finalizers': ['a.io/3'] } },
        shown,
      );
    },
    'strategic: the order of a list can be told': async (api) => {
      const env = ['A', 'B', 'C'].map((name) => ({ name, value: name.toLowerCase() }));
      const tolerations = [{ key: 'x', operator: 'Exists' }];
      await api.given.post(pods, unschedulable('order', { tolerations }));
      await api.patch(
        `${pods}/order`,
        'strategic',
        { spec: { tolerations: [{ key: 'y', operator: 'Exists' }] } },
        only('spec.tolerations'),
      );
      await api.patch(`${pods}/order`, 'strategic', { spec: { containers: [{ name: 'main', env }] } }, short);
      const conditions = [{ type: 'Mine', status: 'True' }];
      await api.patch(`${pods}/order/status`, 'strategic', { status: { conditions } }, conditionTypes);
    },
    'strategic: a directive that nobody knows is refused': async (api) => {
      await api.given.post(configMaps, configMap('directive'));
      await api.patch(`${configMaps}/directive`, 'strategic', { data: { $patch: 'improve' } });
    },
    'strategic: an item without its key is refused': async (api) => {
      await api.given.post(pods, unschedulable('keyless'));
      await api.patch(`${pods}/keyless`, 'strategic', { spec: { containers: [{ image: 'x' }] } });
    },
    'strategic: a value of another type is refused': async (api) => {
      await api.given.post(configMaps, configMap('type', { a: '1' }));
      await api.patch(`${configMaps}/type`, 'strategic', { data: 'text' });
      await api.patch(`${configMaps}/type`, 'strategic', { data: { a: 1 } });
      await api.patch(`${configMaps}/type`, 'strategic', '{"data":');
    },
    'strategic: custom objects do not know it': async (api) => {
      await api.given.post(paths.widgets, widget('strategic'));
      await api.patch(`${paths.widgets}/strategic`, 'strategic', { spec: { size: 2 } });
    },
    'a patch of another type is an unsupported media type': async (api) => {
      await api.given.post(configMaps, configMap('media'));
      const body: Json = { data: { a: '1' } };
      await api.ask('PATCH', `${configMaps}/media`, { body, headers: { 'Content-Type': 'application/json' } });
      await api.ask('PATCH', `${configMaps}/media`, { body, headers: { 'Content-Type': 'text/plain' } });
      await api.ask('PATCH', `${paths.widgets}/media`, { body, headers: { 'Content-Type': 'application/json' } });
    },
    'force is for apply': async (api) => {
      await api.given.post(configMaps, configMap('force'));
      await api.patch(`${configMaps}/force?force=true`, 'merge', { data: { a: '1' } });
    },
    'merge: a custom object': async (api) => {
      await api.given.post(
        paths.widgets,
        widget('merge', { size: 1, parts: [{ name: 'a' }], free: { deep: { er: 1 } } }),
      );
      const spec = { parts: [{ name: 'b', count: 2 }], free: { deep: { er: null, and: true } }, colour: null };
      await api.patch(`${paths.widgets}/merge`, 'merge', { spec }, only('spec'));
      await api.patch(`${paths.widgets}/merge`, 'merge', { spec: { size: null } });
      await api.patch(`${paths.widgets}/merge`, 'merge', { spec: { unknown: 1 } }, only('spec'));
    },
  },
  {
    async before(api) {
      await api.given.post(paths.definitions, widgets);
      await api.until(paths.widgets, ({ status }) => status === 200);
    },
    async after(api) {
      await api.given.remove(`${paths.definitions}/widgets.GROUP`);
    },
  },
);

const images = {
  show: (body: Json): Json => {
    const { spec } = body as { spec?: { containers: JsonObject[] } };
    return spec ? spec.containers.map(({ name, image }) => ({ name: name ?? null, image: image ?? null })) : body;
  },
};
/** Without the printed difference of two pods, which is Go's own way to write one. */
const short = {
  show: (body: Json): Json => {
    const { message, reason, code } = body as JsonObject;
    return { reason, code, message: String(message).split('\n')[0] };
  },
};
const conditionTypes = {
  show: (body: Json): Json => {
    const { status } = body as { status?: { conditions: JsonObject[] } };
    return status ? status.conditions.map(({ type }) => type ?? null) : body;
  },
};
