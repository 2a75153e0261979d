/** Owners and what they own: who goes with whom. */
import assert from 'node:assert/strict';
import { type Api, createApi, resources } from '../../../test/support/api.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { silentLog } from '../../log.ts';
import type { KubeObject, OwnerReference } from '../object.ts';
import { collectGarbage } from './garbage.ts';

const { configMaps, secrets, namespaces } = resources;

describe('collectGarbage', () => {
  let api: Api;
  let stop: () => void;

  beforeEach(() => {
    api = createApi();
    stop = collectGarbage({ ...api, log: silentLog });
  });
  afterEach(() => stop());

  function make(name: string, owners: readonly KubeObject[] = [], more: Partial<OwnerReference> = {}): KubeObject {
    const ownerReferences = owners.map(({ apiVersion, kind, metadata }) => {
      return { apiVersion, kind, name: metadata.name, uid: metadata.uid, ...more };
    });
    const metadata = { name, namespace: 'ci', ownerReferences };
    return api.client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata });
  }
  const get = (name: string) => api.client.get(configMaps, 'ci', name);
  const left = () => api.client.list(configMaps).map(({ metadata }) => metadata.name);
  const settled = () => api.clock.settle();

  it('what is owned goes after its owner, and so on', async () => {
    const owner = make('owner');
    make('grandchild', [make('child', [owner])]);
    api.client.remove(configMaps, 'ci', 'owner');
    await eventually(() => assert.deepEqual(left(), []));
  });

  it('stays as long as one owner does, and forgets the other', async () => {
    const [one, other] = [make('one'), make('other')];
    make('child', [one, other]);
    api.client.remove(configMaps, 'ci', 'one');
    await eventually(() =>
      assert.deepEqual(
        get('child')?.metadata.ownerReferences?.map(({ name }) => name),
        ['other'],
      ),
    );
    api.client.remove(configMaps, 'ci', 'other');
    await eventually(() => assert.deepEqual(left(), []));
  });

  it('does not outlive an owner that was never there, or is another of the same name', async () => {
    make('orphan', [{ ...make('owner'), metadata: { ...make('owner2').metadata, name: 'owner', uid: 'other' } }]);
    await eventually(() => assert.deepEqual(left(), ['owner', 'owner2']));
  });

  it('knows nothing of owners whose kind nobody serves', async () => {
    make('child', [{ ...make('x'), apiVersion: 'apps/v1', kind: 'Deployment' }]);
    await settled();
    assert.deepEqual(left(), ['child', 'x']);
  });

  it('does not take an owner in another namespace for one', async () => {
    api.client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } });
    const metadata = { name: 'far', namespace: 'other' };
    make('child', [api.client.create(secrets, { apiVersion: 'v1', kind: 'Secret', metadata })]);
    await eventually(() => assert.deepEqual(left(), []));
  });

  it('Foreground: the owner waits for those that block it', async () => {
    const owner = make('owner');
    make('child', [owner], { blockOwnerDeletion: true });
    api.client.patch(configMaps, 'ci', 'child', { metadata: { finalizers: ['test.rungate.dev/hold'] } });
    api.client.remove(configMaps, 'ci', 'owner', { propagation: 'Foreground' });
    await eventually(() => assert.notEqual(get('child')?.metadata.deletionTimestamp, undefined));
    await settled();
    assert.deepEqual(left(), ['child', 'owner']);
    api.client.patch(configMaps, 'ci', 'child', { metadata: { finalizers: null } });
    await eventually(() => assert.deepEqual(left(), []));
  });

  it('Foreground: it does not wait for others, but they go', async () => {
    make('child', [make('owner')]);
    api.client.patch(configMaps, 'ci', 'child', { metadata: { finalizers: ['test.rungate.dev/hold'] } });
    api.client.remove(configMaps, 'ci', 'owner', { propagation: 'Foreground' });
    await eventually(() => assert.deepEqual(left(), ['child']));
    await eventually(() => assert.notEqual(get('child')?.metadata.deletionTimestamp, undefined));
  });

  it('Orphan: what is owned stays and has no owner', async () => {
    make('child', [make('owner')]);
    api.client.remove(configMaps, 'ci', 'owner', { propagation: 'Orphan' });
    await eventually(() => assert.deepEqual(left(), ['child']));
    assert.equal(get('child')?.metadata.ownerReferences, undefined);
  });

  it('begins with what is there already', async () => {
    stop();
    const owner = make('owner');
    make('child', [owner]);
    api.client.remove(configMaps, 'ci', 'owner');
    await settled();
    assert.deepEqual(left(), ['child']);
    stop = collectGarbage({ ...api, log: silentLog });
    await eventually(() => assert.deepEqual(left(), []));
  });
});
