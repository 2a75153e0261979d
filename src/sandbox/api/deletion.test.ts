/** How objects end: at once, after a time of grace, or when they are let go. */
import assert from 'node:assert/strict';
import { type Api, createApi, resources } from '../../../test/support/api.ts';
import type { JsonObject, Resource } from '../object.ts';
import type { NewObject } from './client.ts';
import { type Deletion, deleteObject, deletion } from './deletion.ts';
import type { DeleteParameters } from './options.ts';

const { configMaps, pods, namespaces, serviceAccounts } = resources;

describe('deleteObject', () => {
  let api: Api;
  let seen: string[];

  beforeEach(() => {
    api = createApi();
    seen = [];
    api.memory.listen((_, { type, object }) => {
      const { finalizers = [], deletionGracePeriodSeconds } = object.metadata;
      seen.push(
        [type, ...finalizers, ...(deletionGracePeriodSeconds === undefined ? [] : [deletionGracePeriodSeconds])].join(
          ' ',
        ),
      );
    });
  });

  function remove(resource: Resource, name: string, options: Partial<DeleteParameters> = {}): Deletion {
    const namespace = resource === namespaces ? '' : 'ci';
    const { kind } = api.verbs.target(resource, namespace);
    return deleteObject(api, {
      kind,
      namespace,
      name,
      options: { ...deletion({}), ...options },
      now: api.clock.now(),
      lose() {},
    });
  }

  const configMap = (metadata: JsonObject = {}): NewObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', namespace: 'ci', ...metadata },
  });

  function makeRunningPod(): void {
    api.client.create(serviceAccounts, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace: 'ci' },
    });
    api.client.create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'ci' },
      spec: { nodeName: 'node', containers: [{ name: 'c', image: 'i' }] },
    });
    seen = [];
  }

  it('takes away at once what nothing holds', () => {
    api.client.create(configMaps, configMap());
    assert.equal(remove(configMaps, 'a').isGone, true);
    assert.equal(api.client.get(configMaps, 'ci', 'a'), undefined);
    assert.deepEqual(seen, ['ADDED', 'DELETED']);
    assert.throws(() => remove(configMaps, 'a'), { code: 404, message: 'configmaps "a" not found' });
  });

  it('marks what a finalizer holds, and the update that takes away the last one ends it', () => {
    api.client.create(configMaps, configMap({ finalizers: ['a.b/c', 'a.b/d'] }));
    assert.equal(remove(configMaps, 'a').isGone, false);
    const marked = api.client.get(configMaps, 'ci', 'a');
    assert.equal(marked?.metadata.deletionTimestamp, '2026-11-01T10:00:00Z');
    assert.equal(remove(configMaps, 'a').object, marked, 'a second delete changes nothing');
    const patch = (finalizers: string[] | null) =>
      api.client.patch(configMaps, 'ci', 'a', { metadata: { finalizers } });
    assert.throws(() => patch(['a.b/c', 'a.b/d', 'a.b/e']), {
      message: /no new finalizers can be added if the object is/,
    });
    patch(['a.b/c']);
    patch(null);
    assert.equal(api.client.get(configMaps, 'ci', 'a'), undefined);
    assert.deepEqual(seen, ['ADDED a.b/c a.b/d', 'MODIFIED a.b/c a.b/d 0', 'MODIFIED a.b/c 0', 'DELETED a.b/c 0']);
  });

  const propagations = [
    ['Foreground', [], ['foregroundDeletion']],
    ['Orphan', [], ['orphan']],
    ['Orphan', ['foregroundDeletion'], ['orphan']],
    [undefined, ['orphan'], ['orphan']],
  ] as const;
  for (const [propagation, before, want] of propagations) {
    it(`${propagation ?? 'no propagation'} with [${before}] waits for [${want}]`, () => {
      api.client.create(configMaps, configMap({ finalizers: [...before] }));
      assert.deepEqual(remove(configMaps, 'a', { propagation }).object.metadata.finalizers, want);
    });
  }

  it('Background takes the finalizers of propagation away', () => {
    api.client.create(configMaps, configMap({ finalizers: ['orphan'] }));
    assert.equal(remove(configMaps, 'a', { propagation: 'Background' }).isGone, true);
  });

  it('refuses when a precondition does not hold', () => {
    const { metadata } = api.client.create(configMaps, configMap());
    assert.throws(() => remove(configMaps, 'a', { uid: 'other' }), {
      code: 409,
      message:
        'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (other) does not match the UID in ' +
        `record (${metadata.uid}). The object might have been deleted and then recreated`,
    });
    assert.throws(() => remove(configMaps, 'a', { resourceVersion: '1' }), { code: 409 });
    const { uid, resourceVersion } = metadata;
    assert.equal(remove(configMaps, 'a', { uid, resourceVersion }).isGone, true);
  });

  it('a dry run leaves everything as it is', () => {
    const first = api.client.create(configMaps, configMap({ finalizers: ['a.b/c'] }));
    const { object, isGone } = remove(configMaps, 'a', { dryRun: true });
    assert.equal(isGone, false);
    assert.notEqual(object.metadata.deletionTimestamp, undefined);
    assert.equal(api.client.get(configMaps, 'ci', 'a'), first);
  });

  it('a pod gets its time, which can only be shortened', () => {
    makeRunningPod();
    const remaining = (options: Partial<DeleteParameters>) => {
      const { deletionTimestamp, deletionGracePeriodSeconds } = remove(pods, 'p', options).object.metadata;
      return [deletionTimestamp, deletionGracePeriodSeconds];
    };
    assert.deepEqual(remaining({ gracePeriodSeconds: 10 }), ['2026-11-01T10:00:10Z', 10]);
    assert.deepEqual(remaining({ gracePeriodSeconds: 20 }), ['2026-11-01T10:00:10Z', 10]);
    assert.deepEqual(remaining({}), ['2026-11-01T10:00:10Z', 10]);
    assert.deepEqual(remaining({ gracePeriodSeconds: 5 }), ['2026-11-01T10:00:05Z', 5]);
    assert.equal(remove(pods, 'p', { gracePeriodSeconds: 0 }).isGone, true);
    assert.deepEqual(seen, ['MODIFIED 10', 'MODIFIED 5', 'MODIFIED 0', 'DELETED 0']);
  });

  it('a pod has as much time as it asks for, and counts its deletion as a generation', () => {
    makeRunningPod();
    const { metadata } = remove(pods, 'p').object;
    assert.deepEqual([metadata.deletionGracePeriodSeconds, metadata.generation], [30, 2]);
  });

  it('a namespace ends when it is let go, and some never do', () => {
    const { object, isGone } = remove(namespaces, 'ci');
    assert.equal(isGone, false);
    assert.deepEqual(object.status, { phase: 'Terminating' });
    assert.equal(remove(namespaces, 'ci').object, api.client.get(namespaces, '', 'ci'));
    api.client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } });
    assert.throws(() => remove(namespaces, 'default'), {
      code: 403,
      message: 'namespaces "default" is forbidden: this namespace may not be deleted',
    });
  });
});
