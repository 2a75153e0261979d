/** What becomes of definitions once they are stored. */
import assert from 'node:assert/strict';
import { type Api, createApi, resources } from '../../../test/support/api.ts';
import { eventually } from '../../../test/support/eventually.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { keepDefinitions } from './establish.ts';

const { definitions, widgets } = resources;

const gadgets = (kind: string): JsonObject => ({
  group: 'test.rungate.dev',
  scope: 'Namespaced',
  names: { plural: 'gadgets', singular: 'gadget', kind, listKind: 'GadgetList' },
  versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
});

describe('the keeper of definitions', () => {
  let api: Api;
  let end: () => void;
  beforeEach(() => {
    api = createApi();
    end = keepDefinitions(api);
  });
  afterEach(() => end());

  function define(spec: JsonObject): void {
    const metadata = { name: 'gadgets.test.rungate.dev' };
    api.client.create(definitions, {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata,
      spec,
    });
  }
  const statusOf = (name: string) =>
    api.client.get(definitions, '', `${name}.test.rungate.dev`)?.status as JsonObject | undefined;
  const conditions = (name: string) =>
    ((statusOf(name)?.conditions ?? []) as JsonObject[]).map(
      ({ type, status, reason }) => `${type}=${status} ${reason}`,
    );
  const widget = (more: Partial<KubeObject['metadata']> = {}) =>
    api.client.create(widgets, {
      apiVersion: 'test.rungate.dev/v1',
      kind: 'Widget',
      metadata: { name: 'one', namespace: 'ci', ...more },
    });

  it('accepts names and establishes kinds', async () => {
    await eventually(() =>
      assert.deepEqual(conditions('widgets'), [
        'NamesAccepted=True NoConflicts',
        'Established=True InitialNamesAccepted',
      ]),
    );
    const acceptedNames = { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' };
    assert.deepEqual(statusOf('widgets')?.acceptedNames, acceptedNames);
  });

  it('does not accept names that are taken', async () => {
    define(gadgets('Widget'));
    await eventually(() =>
      assert.deepEqual(conditions('gadgets'), ['NamesAccepted=False KindConflict', 'Established=False NotAccepted']),
    );
    const {
      conditions: [first],
    } = statusOf('gadgets') as { conditions: JsonObject[] };
    assert.equal(first?.message, '"Widget" is already in use');
    assert.equal(api.registry.find('test.rungate.dev', 'v1', 'gadgets'), undefined);
  });

  it('lets go of a definition without objects', async () => {
    api.client.remove(definitions, '', 'widgets.test.rungate.dev');
    await eventually(() => assert.equal(statusOf('widgets'), undefined));
    assert.equal(api.registry.find('test.rungate.dev', 'v1', 'widgets'), undefined);
  });

  it('deletes the objects first, and waits for those that are held', async () => {
    widget({ finalizers: ['test.rungate.dev/hold'] });
    widget({ name: 'two' });
    api.client.remove(definitions, '', 'widgets.test.rungate.dev');
    await eventually(() => {
      assert.ok(conditions('widgets').includes('Terminating=True InstanceDeletionInProgress'));
      assert.deepEqual(
        api.client.list(widgets).map(({ metadata }) => metadata.name),
        ['one'],
      );
    });
    assert.throws(() => widget({ name: 'late' }), /create not allowed/);
    api.client.patch(widgets, 'ci', 'one', { metadata: { finalizers: null } });
    await eventually(() => assert.equal(statusOf('widgets'), undefined));
  });

  it('leaves nothing behind for a kind that is defined again', async () => {
    widget();
    const { metadata, ...definition } = structuredClone(
      api.client.get(definitions, '', 'widgets.test.rungate.dev') as KubeObject,
    );
    api.client.remove(definitions, '', metadata.name);
    await eventually(() => assert.equal(statusOf('widgets'), undefined));
    api.client.create(definitions, { ...definition, metadata: { name: metadata.name } });
    assert.deepEqual(api.client.list(widgets), []);
  });
});
