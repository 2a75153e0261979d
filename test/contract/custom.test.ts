/** Custom objects: defaults, pruning, validation and its sentences, rules, selectable fields. */
import type { JsonObject } from '../../src/sandbox/object.ts';
import { contract } from './contract.ts';
import { paths, widget, widgets } from './objects.ts';
import { inAnyOrder, names, only, sayingUpTo } from './show.ts';

const { widgets: path } = paths;

contract(
  'custom objects',
  {
    'an object comes back with its defaults': async (api) => {
      await api.post(path, widget('defaults', { size: 1, parts: [{ name: 'a' }, { name: 'b', count: 2 }] }));
    },
    'an explicit null takes the default, unless null is a value': async (api) => {
      await api.post(path, widget('nulls', { size: 1, colour: null, maybe: null, title: null }));
    },
    'unknown fields are pruned with a warning': async (api) => {
      await api.post(path, { ...widget('pruned', { size: 1, extra: 1, parts: [{ name: 'a', odd: true }] }), more: 1 });
    },
    'unknown fields are refused when the client says Strict': async (api) => {
      const body = { ...widget('strict', { size: 1, extra: 1, parts: [{ name: 'a', odd: true }] }), more: 1 };
      await api.post(`${path}?fieldValidation=Strict`, body);
    },
    'unknown fields of the metadata are told apart': async (api) => {
      await api.post(`${path}?fieldValidation=Strict`, widget('meta', { size: 1 }, { colour: 'red' }));
      await api.post(path, widget('meta', { size: 1 }, { colour: 'red' }));
    },
    'fields that stand twice are told': async (api) => {
      const text = '{"apiVersion":"GROUP/v1","kind":"Widget","metadata":{"name":"twice"},"spec":{"size":1,"size":2}}';
      const headers = { 'Content-Type': 'application/json' };
      await api.post(path, text, { headers });
      await api.post(`${path}?fieldValidation=Strict`, text, { headers });
    },
    'unknown fields stay where the schema says so': async (api) => {
      await api.post(path, widget('free', { size: 1, free: { any: { thing: [1, 'two'] } } }), only('spec'));
    },
    'a map has any key': async (api) => {
      await api.post(path, widget('map', { size: 1, limits: { cpu: 1, memory: 2 } }), only('spec'));
      await api.post(path, widget('map-bad', { size: 1, limits: { cpu: 'one' } }));
    },
    'a number or a text': async (api) => {
      await api.post(path, widget('port-1', { size: 1, port: 80 }), only('spec'));
      await api.post(path, widget('port-2', { size: 1, port: 'http' }), only('spec'));
      await api.post(path, widget('port-3', { size: 1, port: true }));
      await api.post(path, widget('port-4', { size: 1, port: 1.5 }));
    },
    types: async (api) => {
      for (const [name, spec] of Object.entries({
        text: { size: 'one' },
        fraction: { size: 1.5 },
        flag: { size: true },
        list: { size: [1] },
        object: { size: { a: 1 } },
        'text-number': { size: 1, title: 7 },
        'flag-text': { size: 1, enabled: 'yes' },
        'list-text': { size: 1, tags: 'a' },
        'list-numbers': { size: 1, tags: [1] },
        'object-list': { size: 1, free: [] },
      })) {
        await api.post(path, widget(`type-${name}`, spec as JsonObject));
      }
    },
    'an integer may be written as a float': async (api) => {
      const text = '{"apiVersion":"GROUP/v1","kind":"Widget","metadata":{"name":"float"},"spec":{"size":2.0}}';
      await api.post(path, text, { headers: { 'Content-Type': 'application/json' }, ...only('spec') });
    },
    'a spec that is no object': async (api) => {
      await api.post(path, { ...widget('spec-text'), spec: 'text' });
      await api.post(path, { ...widget('spec-null'), spec: null });
      await api.post(path, { apiVersion: 'GROUP/v1', kind: 'Widget', metadata: { name: 'spec-missing' } });
    },
    'required fields': async (api) => {
      await api.post(path, widget('required', {}));
      await api.post(path, widget('required', { size: 1, parts: [{ count: 1 }] }));
    },
    'limits of numbers': async (api) => {
      await api.post(path, widget('minimum', { size: 0 }));
      await api.post(path, widget('maximum', { size: 11, enabled: true }));
      await api.post(path, widget('multiple', { size: 1, ratio: 0.3 }));
    },
    'limits of texts': async (api) => {
      await api.post(path, widget('long', { size: 1, title: 'abcdefghi' }));
      await api.post(path, widget('pattern', { size: 1, title: 'ABC' }));
      await api.post(path, widget('enum', { size: 1, colour: 'blue' }));
    },
    'limits of lists': async (api) => {
      await api.post(path, widget('many', { size: 1, tags: ['a', 'b', 'c', 'd'] }));
      await api.post(path, widget('set', { size: 1, tags: ['a', 'a'] }));
      await api.post(path, widget('map-keys', { size: 1, parts: [{ name: 'a' }, { name: 'a' }] }));
    },
    formats: async (api) => {
      await api.post(path, widget('format', { size: 1, due: 'tomorrow' }));
      await api.post(path, widget('format-good', { size: 1, due: '2026-01-02T03:04:05Z' }), only('spec.due'));
    },
    'several mistakes at once': async (api) => {
      await api.post(path, widget('several', { size: 0, colour: 'blue', title: 'ABC', tags: ['a', 'a'] }), inAnyOrder);
    },
    'a rule that does not hold': async (api) => {
      await api.post(path, widget('rule', { size: 1, title: 'forbidden'.slice(0, 8) }), only('spec.title'));
      await api.post(path, widget('rule-message', { size: 6 }));
      await api.post(path, widget('rule-expression', { size: 9 }));
      await api.post(path, widget('rule-holds', { size: 6, enabled: true }), only('spec.size'));
    },
    'a rule about a change': async (api) => {
      await api.given.post(path, widget('transition', { size: 3 }));
      await api.patch(`${path}/transition`, 'merge', { spec: { size: 2 } });
      await api.patch(`${path}/transition`, 'merge', { spec: { size: 4 } }, only('spec.size'));
    },
    'names are checked': async (api) => {
      await api.post(path, widget('Not Valid'));
      await api.post(path, { apiVersion: 'GROUP/v1', kind: 'Widget', metadata: {}, spec: { size: 1 } });
      await api.post(path, {
        apiVersion: 'GROUP/v1',
        kind: 'Widget',
        metadata: { generateName: 'made-' },
        spec: { size: 1 },
      });
    },
    'labels are checked': async (api) => {
      await api.post(path, widget('labels', { size: 1 }, { labels: { 'a b': 'c' } }));
      await api.post(path, widget('labels', { size: 1 }, { labels: { a: 1 } }));
    },
    'kind and version are needed': async (api) => {
      await api.post(path, { metadata: { name: 'kindless' }, spec: { size: 1 } });
      await api.post(path, { ...widget('other'), kind: 'Gadget' });
      await api.post(path, { ...widget('other'), apiVersion: 'v1' });
      await api.post(path, { ...widget('other'), apiVersion: 'GROUP/v7' });
    },
    'a status in a create is dropped': async (api) => {
      await api.post(path, { ...widget('status'), status: { phase: 'Ready' } }, only('status'));
    },
    'a taken name': async (api) => {
      await api.given.post(path, widget('taken'));
      await api.post(path, widget('taken'));
    },
    'a namespace that does not exist': async (api) => {
      await api.post('/apis/GROUP/v1/namespaces/absent-NS/widgets', widget('homeless'));
    },
    'lists name the kind of each item': async (api) => {
      await api.get(`${path}?labelSelector=set%3Dlisted`);
      await api.get(`${path}?labelSelector=set%3Dnothing`);
    },
    'field selectors: what the definition says is selectable': async (api) => {
      await api.get(`${path}?labelSelector=set%3Dlisted&fieldSelector=spec.colour%3Dgreen`, names);
      await api.get(`${path}?labelSelector=set%3Dlisted&fieldSelector=spec.colour!%3Dgreen`, names);
      await api.get(`${path}?fieldSelector=spec.size%3D1`);
      await api.get(`${path}?labelSelector=set%3Dlisted&fieldSelector=metadata.name%3Dlisted-a`, names);
    },
    'a body may be YAML': async (api) => {
      const yaml = 'apiVersion: GROUP/v1\nkind: Widget\nmetadata:\n  name: yaml\nspec:\n  size: 2\n  tags: [a, b]\n';
      await api.post(path, yaml, { headers: { 'Content-Type': 'application/yaml' }, ...only('spec') });
      await api.post(path, 'kind: [', { headers: { 'Content-Type': 'application/yaml' }, ...sayingUpTo('yaml:') });
    },
    'a body that is no JSON': async (api) => {
      const headers = { 'Content-Type': 'application/json' };
      await api.post(path, '{"apiVersion":', { headers });
      await api.post(path, '[]', { headers });
      await api.post(path, '', { headers });
    },
    'a dry run keeps nothing': async (api) => {
      await api.post(`${path}?dryRun=All`, widget('dry'), only('spec'));
      await api.get(`${path}/dry`);
    },
    'who takes protobuf or JSON gets JSON': async (api) => {
      const headers = { Accept: 'application/vnd.kubernetes.protobuf,application/json' };
      await api.get(`${path}/listed-a`, { headers, ...only('kind') });
    },
  },
  {
    async before(api) {
      await api.given.post(paths.definitions, widgets);
      await api.until(path, ({ status }) => status === 200);
      await api.given.post(path, widget('listed-a', { size: 1, colour: 'green' }, { labels: { set: 'listed' } }));
      await api.given.post(path, widget('listed-b', { size: 2 }, { labels: { set: 'listed' } }));
    },
    async after(api) {
      await api.given.remove(`${paths.definitions}/widgets.GROUP`);
    },
  },
);
