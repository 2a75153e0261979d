/** CustomResourceDefinitions: what may be defined, and when it is served. */
import assert from 'node:assert/strict';
import type { Json, JsonObject } from '../../src/sandbox/object.ts';
import { eventually } from '../support/eventually.ts';
import { contract } from './contract.ts';
import type { Conversation, Told } from './conversation.ts';
import { definition, paths, widgets } from './objects.ts';
import { names, only, sayingUpTo } from './show.ts';

const { definitions } = paths;
const anything: Json = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const spec = (properties: JsonObject): Json => ({
  type: 'object',
  properties: { spec: { type: 'object', properties } },
});

/** Defines a kind and waits until it is served; the case removes it. */
async function defined(api: Conversation, body: JsonObject, run: () => Promise<void>): Promise<void> {
  const { name } = body.metadata as { name: string };
  await api.given.post(definitions, body);
  try {
    await api.until(`${definitions}/${name}`, isEstablished);
    await run();
  } finally {
    await api.given.remove(`${definitions}/${name}`);
    await gone(api, name);
  }
}

/** Until a definition, the only one of the group, is gone, and its group is not discovered any more. */
async function gone(api: Conversation, name: string): Promise<void> {
  for (const path of [`${definitions}/${name}`, '/apis/GROUP/v1', '/apis/GROUP']) {
    await api.until(path, ({ status }) => status === 404);
  }
}

const isEstablished = ({ body }: Told) => {
  const { status } = body as { status?: { conditions?: { type: string; status: string }[] } };
  return status?.conditions?.some((each) => each.type === 'Established' && each.status === 'True') ?? false;
};

contract('definitions', {
  'a definition comes back with its defaults': async (api) => {
    const body = definition('plains', 'Plain', anything);
    await api.post(definitions, {
      ...body,
      spec: { ...(body.spec as JsonObject), names: { plural: 'plains', kind: 'Plain' } },
    });
    await api.given.remove(`${definitions}/plains.GROUP`);
    await gone(api, 'plains.GROUP');
  },
  'a definition is accepted, then established': async (api) => {
    await defined(api, widgets, async () => {
      await api.get(`${definitions}/widgets.GROUP`, only('status', 'metadata.finalizers', 'metadata.generation'));
    });
  },
  'an established kind is discovered': async (api) => {
    await defined(api, widgets, async () => {
      await api.until('/apis/GROUP/v1', ({ status }) => status === 200);
      await api.getWhen('/apis/GROUP', ({ status }) => status === 200);
      await api.get('/apis/GROUP/v1', {
        show: (body) => ({
          ...(body as JsonObject),
          resources: (body as { resources: JsonObject[] }).resources.map(({ storageVersionHash: _, ...rest }) => rest),
        }),
      });
    });
  },
  'a kind that is gone is not served, and its objects are gone': async (api) => {
    await defined(api, definition('shorts', 'Short', anything), async () => {
      await api.until('/apis/GROUP/v1/namespaces/NS/shorts', ({ status }) => status === 200);
      await api.given.post('/apis/GROUP/v1/namespaces/NS/shorts', short('one'));
    });
    await api.until('/apis/GROUP/v1/namespaces/NS/shorts', ({ status }) => status === 404);
    await api.get('/apis/GROUP/v1/namespaces/NS/shorts');
    await defined(api, definition('shorts', 'Short', anything), async () => {
      await api.until('/apis/GROUP/v1/namespaces/NS/shorts', ({ status }) => status === 200);
      await api.get('/apis/GROUP/v1/namespaces/NS/shorts', names);
    });
  },
  'the name is plural and group': async (api) => {
    await api.post(definitions, { ...definition('misnamed', 'Misnamed', anything), metadata: { name: 'other.GROUP' } });
  },
  'names are checked': async (api) => {
    const bad = definition('Bads', 'bad kind', anything);
    await api.post(definitions, bad);
  },
  'scope, group and versions are needed': async (api) => {
    await api.post(definitions, {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'a.GROUP' },
      spec: {},
    });
    await api.post(definitions, definition('scopes', 'Scope', anything, {}, { scope: 'Everywhere' }));
  },
  'exactly one version is stored': async (api) => {
    const version = { served: true, schema: { openAPIV3Schema: anything } };
    const versions = [
      { name: 'v1', storage: true, ...version },
      { name: 'v2', storage: true, ...version },
    ];
    await api.post(definitions, definition('stores', 'Store', anything, {}, { versions }));
    await api.post(definitions, definition('stores', 'Store', anything, { storage: false }));
    await api.post(
      definitions,
      definition(
        'stores',
        'Store',
        anything,
        {},
        { versions: [versions[0] ?? {}, { ...versions[0], storage: false }] },
      ),
    );
  },
  'a schema is needed, and is structural': async (api) => {
    await api.post(definitions, definition('schemas', 'Schema', anything, { schema: null }));
    await api.post(definitions, definition('schemas', 'Schema', spec({ untyped: { description: 'no type' } })));
    await api.post(definitions, definition('schemas', 'Schema', spec({ listed: { type: 'array' } })));
    await api.post(definitions, definition('schemas', 'Schema', { type: 'array', items: { type: 'string' } }));
    await api.post(definitions, definition('schemas', 'Schema', spec({ odd: { type: 'text' } })));
    await api.post(
      definitions,
      definition(
        'schemas',
        'Schema',
        spec({
          both: { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: { type: 'string' } },
        }),
      ),
    );
  },
  'defaults must be valid': async (api) => {
    await api.post(definitions, definition('defaults', 'Default', spec({ size: { type: 'integer', default: 'one' } })));
    await api.post(
      definitions,
      definition('defaults', 'Default', spec({ size: { type: 'integer', minimum: 2, default: 1 } })),
    );
  },
  'patterns must compile': async (api) => {
    await api.post(definitions, definition('patterns', 'Pattern', spec({ title: { type: 'string', pattern: '([' } })));
  },
  'lists as maps need their keys': async (api) => {
    const items = { type: 'object', properties: { name: { type: 'string' } } };
    const list = { type: 'array', items, 'x-kubernetes-list-type': 'map' };
    await api.post(definitions, definition('maps', 'Map', spec({ list })));
    await api.post(
      definitions,
      definition('maps', 'Map', spec({ list: { ...list, 'x-kubernetes-list-map-keys': ['name'] } })),
    );
    await api.post(
      definitions,
      definition('maps', 'Map', spec({ list: { ...list, 'x-kubernetes-list-map-keys': ['absent'] } })),
    );
  },
  'rules must compile': async (api) => {
    const rule = (text: string) => ({ size: { type: 'integer', 'x-kubernetes-validations': [{ rule: text }] } });
    for (const text of ['self.size > 1', '1 + 1', '']) {
      await api.post(definitions, definition('rules', 'Rule', spec(rule(text))));
    }
    await api.post(definitions, definition('rules', 'Rule', spec(rule('self >'))), sayingUpTo('Syntax error'));
  },
  'a column needs its path': async (api) => {
    const column = { name: 'Size', type: 'integer', jsonPath: 'spec.size' };
    await api.post(definitions, definition('columns', 'Column', anything, { additionalPrinterColumns: [column] }));
    const odd = { name: 'Size', type: 'number of things', jsonPath: '.spec.size' };
    await api.post(definitions, definition('columns', 'Column', anything, { additionalPrinterColumns: [odd] }));
  },
  'names that are taken are not accepted': async (api) => {
    await defined(api, definition('firsts', 'Taken', anything), async () => {
      await api.given.post(definitions, definition('seconds', 'Taken', anything));
      await api.until(`${definitions}/seconds.GROUP`, ({ body }) => JSON.stringify(body).includes('"NamesAccepted"'));
      await api.get(`${definitions}/seconds.GROUP`, only('status.conditions', 'status.acceptedNames'));
      await api.given.remove(`${definitions}/seconds.GROUP`);
      await api.until(`${definitions}/seconds.GROUP`, ({ status }) => status === 404);
    });
  },
  'what a kind is cannot change': async (api) => {
    await defined(api, definition('fixed', 'Fixed', anything), async () => {
      const made = await api.given.get(`${definitions}/fixed.GROUP`);
      const body = made.body as { spec: JsonObject };
      await api.put(`${definitions}/fixed.GROUP`, { ...body, spec: { ...body.spec, scope: 'Cluster' } });
      const versions = [{ name: 'v2', served: true, storage: true, schema: { openAPIV3Schema: anything } }];
      await api.put(`${definitions}/fixed.GROUP`, { ...body, spec: { ...body.spec, versions } });
    });
  },
  'several versions are served, the most stable first': async (api) => {
    const schema = { openAPIV3Schema: anything };
    const versions = ['v1beta1', 'v1', 'v2alpha1', 'v1beta2', 'v3', 'foo1'].map((name) => ({
      name,
      served: name !== 'v3',
      storage: name === 'v1',
      schema,
    }));
    await defined(api, definition('manies', 'Many', anything, {}, { versions }), async () => {
      await api.until('/apis/GROUP/v1/namespaces/NS/manies', ({ status }) => status === 200);
      // Each of them is told of by itself.
      await api.getWhen('/apis/GROUP', ({ body }) => (body as { versions?: readonly Json[] }).versions?.length === 5);
      await api.post('/apis/GROUP/v1beta1/namespaces/NS/manies', {
        ...short('one'),
        apiVersion: 'GROUP/v1beta1',
        kind: 'Many',
      });
      await api.get('/apis/GROUP/v1/namespaces/NS/manies/one', only('apiVersion'));
      await api.get('/apis/GROUP/foo1/namespaces/NS/manies/one', only('apiVersion'));
      await api.get('/apis/GROUP/v3/namespaces/NS/manies/one');
      await api.post('/apis/GROUP/v1/namespaces/NS/manies', {
        ...short('two'),
        apiVersion: 'GROUP/v1beta1',
        kind: 'Many',
      });
    });
  },
  'a deprecated version warns': async (api) => {
    const schema = { openAPIV3Schema: anything };
    const versions = [
      { name: 'v1', served: true, storage: true, schema },
      { name: 'v1beta1', served: true, storage: false, deprecated: true, schema },
      { name: 'v1alpha1', served: true, storage: false, deprecated: true, deprecationWarning: 'use v1', schema },
    ];
    await defined(api, definition('olds', 'Old', anything, {}, { versions }), async () => {
      for (const version of ['v1', 'v1beta1', 'v1alpha1']) {
        await api.until(`/apis/GROUP/${version}/namespaces/NS/olds`, ({ status }) => status === 200);
        await api.get(`/apis/GROUP/${version}/namespaces/NS/olds`, names);
      }
    });
  },
  'a cluster scope has no namespaces': async (api) => {
    await defined(api, definition('globals', 'Global', anything, {}, { scope: 'Cluster' }), async () => {
      await api.until('/apis/GROUP/v1/globals', ({ status }) => status === 200);
      await api.post('/apis/GROUP/v1/globals', { ...short('one'), kind: 'Global' });
      await api.post('/apis/GROUP/v1/globals', {
        ...short('two'),
        kind: 'Global',
        metadata: { name: 'two', namespace: 'NS' },
      });
      await api.get('/apis/GROUP/v1/namespaces/NS/globals');
      await api.get('/apis/GROUP/v1/globals/absent');
    });
  },
  'a definition that is being deleted takes no new objects': async (api) => {
    await api.given.post(definitions, definition('endings', 'Ending', anything));
    await api.until('/apis/GROUP/v1/namespaces/NS/endings', ({ status }) => status === 200);
    const held = {
      ...short('held'),
      kind: 'Ending',
      metadata: { name: 'held', finalizers: ['test.rungate.dev/hold'] },
    };
    await api.given.post('/apis/GROUP/v1/namespaces/NS/endings', held);
    await api.given.remove(`${definitions}/endings.GROUP`);
    await api.until(`${definitions}/endings.GROUP`, ({ body }) =>
      JSON.stringify(body).includes('InstanceDeletionInProgress'),
    );
    await api.until('/apis/GROUP/v1/namespaces/NS/endings/held', ({ body }) =>
      JSON.stringify(body).includes('deletionTimestamp'),
    );
    await api.post('/apis/GROUP/v1/namespaces/NS/endings', { ...short('late'), kind: 'Ending' });
    await api.given.patch('/apis/GROUP/v1/namespaces/NS/endings/held', 'merge', { metadata: { finalizers: null } });
    await gone(api, 'endings.GROUP');
  },
  'a change of the schema is in force soon': async (api) => {
    await defined(api, definition('changes', 'Change', spec({ size: { type: 'integer' } })), async () => {
      const changes = '/apis/GROUP/v1/namespaces/NS/changes';
      await api.until(changes, ({ status }) => status === 200);
      const body = (name: string) => ({ ...short(name), kind: 'Change', spec: { size: 20 } });
      await api.given.post(changes, body('one'));
      const schema = spec({ size: { type: 'integer', maximum: 10 } });
      await api.given.patch(`${definitions}/changes.GROUP`, 'json', [
        { op: 'replace', path: '/spec/versions/0/schema/openAPIV3Schema', value: schema },
      ]);
      const attempt = () => api.given.post(`${changes}?dryRun=All`, body('try'));
      await eventually(() => assert.rejects(attempt()), { withinMs: 60_000 });
      await api.post(changes, body('two'));
      await api.patch(
        `${changes}/one`,
        'merge',
        { metadata: { labels: { ratcheting: 'allows-what-was-there' } } },
        only('metadata.labels'),
      );
      await api.patch(`${changes}/one`, 'merge', { spec: { size: 21 } });
    });
  },
});

const short = (name: string): JsonObject => ({ apiVersion: 'GROUP/v1', kind: 'Short', metadata: { name } });
