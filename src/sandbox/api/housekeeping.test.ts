/** What namespaces begin with, and how they end. */
import assert from 'node:assert/strict';
import { type Api, createApi, resources } from '../../../test/support/api.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { silentLog } from '../../log.ts';
import { objectIn, objectsIn } from '../core/reading.ts';
import { keepHouse, layOutNamespaces } from './housekeeping.ts';

const { namespaces, serviceAccounts, configMaps, pods } = resources;

describe('housekeeping', () => {
  let api: Api;
  let stop: () => void;

  beforeEach(() => {
    api = createApi();
    const parts = { ...api, authority: 'PEM', log: silentLog };
    layOutNamespaces(parts);
    stop = keepHouse(parts);
  });
  afterEach(() => stop());

  const isThere = (namespace: string) => api.client.get(namespaces, '', namespace) !== undefined;

  it('makes the namespaces of every cluster, furnished at once', () => {
    const found = api.client.list(namespaces).map(({ metadata }) => metadata.name);
    assert.deepEqual(found, ['ci', 'default', 'kube-node-lease', 'kube-public', 'kube-system']);
    assert.notEqual(api.client.get(serviceAccounts, 'default', 'default'), undefined);
    assert.deepEqual(api.client.get(configMaps, 'kube-system', 'kube-root-ca.crt')?.data, { 'ca.crt': 'PEM' });
  });

  it('furnishes a new namespace, and puts back what is taken out', async () => {
    api.client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'new' } });
    await eventually(() => assert.notEqual(api.client.get(serviceAccounts, 'new', 'default'), undefined));
    api.client.remove(serviceAccounts, 'new', 'default');
    api.client.remove(configMaps, 'new', 'kube-root-ca.crt');
    await eventually(() => {
      assert.notEqual(api.client.get(serviceAccounts, 'new', 'default'), undefined);
      assert.notEqual(api.client.get(configMaps, 'new', 'kube-root-ca.crt'), undefined);
    });
  });

  it('empties a namespace that is deleted, and lets it go', async () => {
    api.client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'ci' } });
    api.client.remove(namespaces, '', 'ci');
    await eventually(() => assert.equal(isThere('ci'), false));
    assert.deepEqual(api.client.list(configMaps, { namespace: 'ci' }), []);
    assert.equal(isThere('default'), true);
  });

  it('says what it waits for', async () => {
    const metadata = { name: 'a', namespace: 'ci', finalizers: ['test.rungate.dev/hold'] };
    api.client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata });
    api.client.remove(namespaces, '', 'ci');
    await eventually(() => {
      const status = objectIn(api.client.get(namespaces, '', 'ci')?.status);
      const messages = objectsIn(status.conditions)
        .filter((condition) => condition.status === 'True')
        .map(({ message }) => message);
      assert.deepEqual(messages, [
        'Some resources are remaining: configmaps. has 1 resource instances',
        'Some content in the namespace has finalizers remaining: test.rungate.dev/hold in 1 resource instances',
      ]);
    });
    api.client.patch(configMaps, 'ci', 'a', { metadata: { finalizers: null } });
    await eventually(() => assert.equal(isThere('ci'), false));
  });

  it('waits for pods that have their time', async () => {
    await eventually(() => assert.notEqual(api.client.get(serviceAccounts, 'ci', 'default'), undefined));
    const spec = { nodeName: 'node', containers: [{ name: 'c', image: 'i' }] };
    api.client.create(pods, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'ci' }, spec });
    api.client.remove(namespaces, '', 'ci');
    await eventually(() => {
      assert.equal(api.client.get(pods, 'ci', 'p')?.metadata.deletionGracePeriodSeconds, 30);
    });
    assert.equal(isThere('ci'), true);
    api.client.remove(pods, 'ci', 'p', { gracePeriodSeconds: 0 });
    await eventually(() => assert.equal(isThere('ci'), false));
  });

  it('leaves the finalizers of others in the spec', async () => {
    const spec = { finalizers: ['test.rungate.dev/mine'] };
    api.client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'held' }, spec });
    api.client.remove(namespaces, '', 'held');
    await eventually(() => {
      const left = objectIn(api.client.get(namespaces, '', 'held')?.spec).finalizers;
      assert.deepEqual(left, ['test.rungate.dev/mine']);
    });
  });
});
