/** Server-side apply, and who manages which fields. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '../../src/sandbox/object.ts';
import { contract } from './contract.ts';
import type { Conversation } from './conversation.ts';
import { configMap, paths, unschedulable, widget, widgets } from './objects.ts';
import { conflicts, only } from './show.ts';

const { configMaps } = paths;
const by = (manager: string, more = '') => `?fieldManager=${manager}${more}`;
const managed = only('data', 'metadata.managedFields');
const managedSpec = only('spec', 'metadata.managedFields');

/** Managers come in the order of the seconds of their last changes, and by their names within one: until another second has begun. */
const anotherSecond = () => sleep(1_100);

/** A case in which managedFields matter. */
const about = (run: (api: Conversation) => Promise<void>) => async (api: Conversation) => {
  api.keepManagedFields();
  await run(api);
};

contract(
  'apply',
  {
    'an apply creates what is not there': about(async (api) => {
      await api.patch(
        `${configMaps}/created${by('one')}`,
        'apply',
        configMap('created', { a: '1' }, { labels: { x: 'y' } }),
      );
    }),
    'an apply of the same changes nothing': about(async (api) => {
      const shown = only('metadata.resourceVersion', 'metadata.managedFields');
      await api.patch(`${configMaps}/same${by('one')}`, 'apply', configMap('same', { a: '1' }), shown);
      await api.patch(`${configMaps}/same${by('one')}`, 'apply', configMap('same', { a: '1' }), shown);
    }),
    'what is no longer applied is removed': about(async (api) => {
      await api.given.patch(`${configMaps}/removed${by('one')}`, 'apply', configMap('removed', { a: '1', b: '2' }));
      await api.patch(`${configMaps}/removed${by('one')}`, 'apply', configMap('removed', { a: '1' }), managed);
    }),
    'what another manager also applies stays': about(async (api) => {
      await api.given.patch(`${configMaps}/shared${by('one')}`, 'apply', configMap('shared', { a: '1', b: '2' }));
      await api.given.patch(`${configMaps}/shared${by('two')}`, 'apply', configMap('shared', { a: '1' }));
      await api.patch(`${configMaps}/shared${by('one')}`, 'apply', configMap('shared', { b: '2' }), managed);
    }),
    'another value for a field of another manager is a conflict': about(async (api) => {
      await api.given.patch(`${configMaps}/conflict${by('one')}`, 'apply', configMap('conflict', { a: '1', b: '2' }));
      await api.patch(`${configMaps}/conflict${by('two')}`, 'apply', configMap('conflict', { a: '9' }));
    }),
    'a conflict tells of each field and manager': about(async (api) => {
      await api.given.patch(`${configMaps}/conflicts${by('one')}`, 'apply', configMap('conflicts', { a: '1', b: '2' }));
      await api.given.patch(`${configMaps}/conflicts${by('two')}`, 'apply', configMap('conflicts', { c: '3' }));
      await api.given.patch(`${configMaps}/conflicts${by('edit')}`, 'merge', { data: { d: '4' } });
      const wanted = { a: '9', b: '9', c: '9', d: '9' };
      await api.patch(`${configMaps}/conflicts${by('three')}`, 'apply', configMap('conflicts', wanted), conflicts);
    }),
    'force takes the fields over': about(async (api) => {
      await api.given.patch(`${configMaps}/forced${by('one')}`, 'apply', configMap('forced', { a: '1', b: '2' }));
      await api.patch(
        `${configMaps}/forced${by('two', '&force=true')}`,
        'apply',
        configMap('forced', { a: '9' }),
        managed,
      );
    }),
    'a fieldManager is required': about(async (api) => {
      await api.patch(`${configMaps}/nobody`, 'apply', configMap('nobody'));
    }),
    'the name may be left out, and must not differ': about(async (api) => {
      await api.patch(
        `${configMaps}/nameless${by('one')}`,
        'apply',
        { apiVersion: 'v1', kind: 'ConfigMap', data: { a: '1' } },
        only('data'),
      );
      await api.patch(`${configMaps}/path${by('one')}`, 'apply', configMap('body'));
    }),
    'kind and version are needed': about(async (api) => {
      await api.patch(`${configMaps}/kindless${by('one')}`, 'apply', { metadata: { name: 'kindless' } });
      await api.patch(`${configMaps}/kindless${by('one')}`, 'apply', {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'kindless' },
      });
    }),
    'managedFields must not be applied': about(async (api) => {
      const managedFields = [
        { manager: 'one', operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: {} },
      ];
      await api.patch(`${configMaps}/fields${by('one')}`, 'apply', configMap('fields', {}, { managedFields }));
    }),
    'a uid makes an apply an update only': about(async (api) => {
      const uid = '11111111-2222-3333-4444-555555555555';
      await api.patch(`${configMaps}/uid${by('one')}`, 'apply', configMap('uid', {}, { uid }));
    }),
    'a resourceVersion makes an apply an update only': about(async (api) => {
      await api.patch(`${configMaps}/version${by('one')}`, 'apply', configMap('version', {}, { resourceVersion: '1' }));
      await api.given.patch(`${configMaps}/version${by('one')}`, 'apply', configMap('version'));
      await api.patch(
        `${configMaps}/version${by('one')}`,
        'apply',
        configMap('version', { a: '1' }, { resourceVersion: '1' }),
      );
    }),
    'unknown fields are refused or warned of': about(async (api) => {
      await api.patch(`${configMaps}/unknown${by('one')}`, 'apply', { ...configMap('unknown'), extra: 1 }, managed);
      await api.patch(`${configMaps}/unknown${by('one', '&fieldValidation=Strict')}`, 'apply', {
        ...configMap('unknown'),
        extra: 1,
      });
    }),
    'an apply that is invalid is refused': about(async (api) => {
      await api.patch(`${configMaps}/invalid${by('one')}`, 'apply', configMap('invalid', { 'a/b': '1' }));
      await api.patch(`${configMaps}/invalid${by('one')}`, 'apply', configMap('invalid', { a: 1 }));
      await api.patch(`${configMaps}/invalid${by('one')}`, 'apply', 'a: [');
    }),
    'an apply may be YAML': about(async (api) => {
      const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  a: one\n';
      await api.patch(`${configMaps}/yaml${by('one')}`, 'apply', yaml, only('data'));
    }),
    'a dry run of an apply keeps nothing': about(async (api) => {
      await api.patch(
        `${configMaps}/dry${by('one', '&dryRun=All')}`,
        'apply',
        configMap('dry', { a: '1' }),
        only('data'),
      );
      await api.get(`${configMaps}/dry`);
    }),
    'a create is written down as an update': about(async (api) => {
      await api.post(`${configMaps}${by('maker')}`, configMap('made', { a: '1' }, { labels: { x: 'y' } }), managed);
    }),
    'without a fieldManager the user agent stands in': about(async (api) => {
      const headers = { 'User-Agent': 'tester/1.0 (nowhere)' };
      await api.post(configMaps, configMap('agent', { a: '1' }), { headers, ...managed });
    }),
    'updates of the same manager are one entry': about(async (api) => {
      await api.given.post(`${configMaps}${by('one')}`, configMap('entries', { a: '1' }));
      await api.given.patch(`${configMaps}/entries${by('one')}`, 'merge', { data: { b: '2' } });
      await api.patch(`${configMaps}/entries${by('two')}`, 'merge', { data: { a: '3', c: '4' } }, managed);
    }),
    'a field that is removed has no manager': about(async (api) => {
      await api.given.post(`${configMaps}${by('one')}`, configMap('unmanaged', { a: '1', b: '2' }));
      await api.patch(`${configMaps}/unmanaged${by('two')}`, 'merge', { data: { a: null } }, managed);
    }),
    'an update takes a field over from who applied it': about(async (api) => {
      await api.given.patch(`${configMaps}/taken${by('one')}`, 'apply', configMap('taken', { a: '1', b: '2' }));
      await api.patch(`${configMaps}/taken${by('editor')}`, 'merge', { data: { a: '9' } }, managed);
      await api.patch(`${configMaps}/taken${by('one')}`, 'apply', configMap('taken', { a: '1', b: '2' }));
    }),
    'managedFields can be emptied': about(async (api) => {
      await api.given.patch(`${configMaps}/emptied${by('one')}`, 'apply', configMap('emptied', { a: '1' }));
      await api.patch(`${configMaps}/emptied`, 'merge', { metadata: { managedFields: [{}] } }, managed);
    }),
    'an apply to what was created without a manager': about(async (api) => {
      await api.given.patch(`${configMaps}/before${by('one')}`, 'apply', configMap('before', { a: '1' }));
      await api.given.patch(`${configMaps}/before`, 'merge', { metadata: { managedFields: [{}] } });
      await api.patch(`${configMaps}/before${by('two')}`, 'apply', configMap('before', { a: '2' }));
    }),
    'a custom object: fields, sets and maps are owned one by one': about(async (api) => {
      const spec = { size: 2, tags: ['a', 'b'], parts: [{ name: 'p', note: 'n' }], limits: { cpu: 1 } };
      await api.patch(`${paths.widgets}/owned${by('one')}`, 'apply', widget('owned', spec), managedSpec);
    }),
    'a custom object: items of another manager stay': about(async (api) => {
      const parts = (name: string) => [{ name, note: `of ${name}` }];
      await api.given.patch(
        `${paths.widgets}/items${by('one')}`,
        'apply',
        widget('items', { size: 2, tags: ['a'], parts: parts('p') }),
      );
      const second = {
        apiVersion: 'GROUP/v1',
        kind: 'Widget',
        metadata: { name: 'items' },
        spec: { tags: ['b'], parts: parts('q') },
      };
      await api.patch(`${paths.widgets}/items${by('two')}`, 'apply', second, managedSpec);
      await anotherSecond();
      await api.patch(`${paths.widgets}/items${by('one')}`, 'apply', widget('items', { size: 2 }), managedSpec);
    }),
    'a custom object: a conflict names the item': about(async (api) => {
      const of = (count: number) => widget('item-conflict', { size: 2, parts: [{ name: 'p', count }] });
      await api.given.patch(`${paths.widgets}/item-conflict${by('one')}`, 'apply', of(1));
      await api.patch(`${paths.widgets}/item-conflict${by('two')}`, 'apply', of(2));
    }),
    'a custom object: an item that stands twice is refused': about(async (api) => {
      const twice = { size: 2, parts: [{ name: 'p' }, { name: 'p' }] };
      await api.patch(`${paths.widgets}/twice${by('one')}`, 'apply', widget('twice', twice));
      await api.patch(`${paths.widgets}/twice${by('one')}`, 'apply', widget('twice', { size: 2, tags: ['a', 'a'] }));
    }),
    'a custom object: an unknown field is refused': about(async (api) => {
      await api.patch(`${paths.widgets}/unknown${by('one')}`, 'apply', widget('unknown', { size: 2, extra: 1 }));
    }),
    'a custom object: the status is applied by itself': about(async (api) => {
      await api.given.patch(`${paths.widgets}/status${by('one')}`, 'apply', widget('status'));
      const status = {
        apiVersion: 'GROUP/v1',
        kind: 'Widget',
        metadata: { name: 'status' },
        status: { phase: 'Ready' },
      };
      const shown = only('status', 'metadata.managedFields', 'metadata.generation');
      await api.patch(`${paths.widgets}/status/status${by('two')}`, 'apply', status, shown);
      await anotherSecond();
      await api.patch(
        `${paths.widgets}/status${by('one')}`,
        'apply',
        { ...widget('status'), status: { phase: 'Lost' } },
        shown,
      );
    }),
    'a pod: containers are owned by their name': about(async (api) => {
      const pod = unschedulable('owned') as JsonObject & { spec: JsonObject };
      const containers = [
        { name: 'main', image: 'x', env: [{ name: 'A', value: '1' }], ports: [{ containerPort: 80 }] },
      ];
      await api.patch(
        `${paths.pods}/owned${by('one')}`,
        'apply',
        { ...pod, spec: { ...pod.spec, containers } },
        only('metadata.managedFields'),
      );
    }),
    'a secret: stringData is applied as data': about(async (api) => {
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'strings' }, stringData: { a: 'one' } };
      await api.patch(`${paths.secrets}/strings${by('one')}`, 'apply', secret, managed);
    }),
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
