import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { eventually } from '../../../test/support/eventually.ts';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { type RunningSandbox, startSandbox } from '../../../test/support/sandbox.ts';
import { sandboxClient } from '../../../test/support/sandbox-client.ts';
import { type Clock, systemClock } from '../../clock.ts';
import type { KubeClient } from '../../kube/client.ts';
import { discovery } from '../../kube/discovery.ts';
import { type JsonObject, objectOf } from '../../kube/objects.ts';
import { silentLog } from '../../log.ts';
import { silentMetrics } from '../../metrics.ts';
import type { NewObject } from '../../sandbox/api/client.ts';
import type { KubeObject } from '../../sandbox/object.ts';
import { createListenerCaches, type ListenerCaches } from './caches.ts';

const definitions = parseAllDocuments(readFileSync('test/fixtures/hooks/triggers-crds.yaml', 'utf8')).map(
  // They are written here, for API servers.
  (document) => document.toJS() as NewObject,
);
const isDefined = ({ metadata }: KubeObject) => definitions.some((each) => each.metadata.name === metadata.name);
const CRDS = { group: 'apiextensions.k8s.io', version: 'v1', plural: 'customresourcedefinitions' };
const GROUP = '/apis/triggers.tekton.dev';

describe('the objects of listeners in a cluster', () => {
  let sandbox: RunningSandbox;
  let client: KubeClient;
  const running: ListenerCaches[] = [];
  const closing: KubeClient[] = [];

  before(async () => {
    sandbox = await startSandbox();
    client = sandboxClient(sandbox);
    for (const name of ['apps', 'other']) {
      await client.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    }
  });
  after(async () => {
    client.close();
    await sandbox.end();
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((caches) => caches.stop(AbortSignal.abort())));
    for (const each of closing.splice(0)) each.close();
    for (const { metadata } of definitions) sandbox.client.remove(CRDS, '', metadata.name ?? '');
    // Objects go before their kinds.
    await eventually(() => assert.deepEqual(sandbox.client.list(CRDS).filter(isDefined), []));
  });

  const define = async () => {
    for (const definition of definitions) sandbox.client.create(CRDS, structuredClone(definition));
    await eventually(async () => {
      for (const { metadata } of definitions) {
        await client.get(`${GROUP}/v1alpha1/${String(metadata.name).split('.')[0]}`);
      }
    });
  };
  const start = async (
    served: '*' | readonly string[],
    { clock = systemClock, reader = client }: { clock?: Clock; reader?: KubeClient } = {},
  ): Promise<ListenerCaches> => {
    const versions = discovery({ reader, clock });
    const parts = { reader, versions, served, clock, random: () => 0, log: silentLog, metrics: silentMetrics };
    const caches = createListenerCaches(parts);
    running.push(caches);
    await caches.start();
    return caches;
  };
  const put = (resource: string, namespace: string, name: string, more: JsonObject = {}, version = 'v1beta1') =>
    client.create(`${GROUP}/${version}${namespace === '' ? '' : `/namespaces/${namespace}`}/${resource}`, {
      apiVersion: `triggers.tekton.dev/${version}`,
      kind: KINDS[resource] ?? '',
      metadata: { name },
      ...more,
    });

  it('are those of the served namespaces, and those of none', async () => {
    await define();
    await put('eventlisteners', 'apps', 'build', { spec: { serviceAccountName: 'runner' } });
    await put('eventlisteners', 'other', 'build');
    await put('triggers', 'apps', 'one');
    await put('triggerbindings', 'apps', 'rev', { spec: { params: [{ name: 'rev', value: '$(body.rev)' }] } });
    await put('clustertriggerbindings', '', 'rev', { spec: { params: [{ name: 'all', value: 'x' }] } });
    await put('triggertemplates', 'apps', 'run', { spec: { resourcetemplates: [{}] } }, 'v1alpha1');
    const caches = await start(['apps']);
    await eventually(() => assert.equal(caches.isKnown('apps'), true));
    const apps = { namespace: 'apps', name: 'build' };
    assert.equal(caches.get('EventListener', apps)?.serviceAccount, 'runner');
    assert.deepEqual(
      [...caches.all('EventListener')].map(({ meta }) => meta.namespace),
      ['apps'],
    );
    assert.equal(caches.get('Trigger', { namespace: 'apps', name: 'one' })?.kind, 'Trigger');
    assert.deepEqual(
      [
        caches.get('TriggerBinding', { namespace: 'apps', name: 'rev' })?.params,
        caches.get('ClusterTriggerBinding', { namespace: '', name: 'rev' })?.params,
      ],
      [[{ name: 'rev', value: '$(body.rev)' }], [{ name: 'all', value: 'x' }]],
    );
    assert.equal(caches.get('TriggerTemplate', { namespace: 'apps', name: 'run' })?.spec.resources.length, 1);
    assert.deepEqual([caches.isServed(), caches.problems()], [true, []]);
  });

  it('are those of every namespace where all are served, and follow what changes', async () => {
    await define();
    const caches = await start('*');
    await eventually(() => assert.equal(caches.isKnown('other'), true));
    let changes = 0;
    caches.onChange(() => {
      changes += 1;
    });
    await put('eventlisteners', 'other', 'late');
    const ref = { namespace: 'other', name: 'late' };
    await eventually(() => assert(caches.get('EventListener', ref)));
    const { metadata } = await client.get(`${GROUP}/v1beta1/namespaces/other/eventlisteners/late`);
    await client.remove(`${GROUP}/v1beta1/namespaces/other/eventlisteners/late`, {
      uid: String(objectOf(metadata).uid),
    });
    await eventually(() => assert.equal(caches.get('EventListener', ref), undefined));
    assert.equal(changes, 2);
  });

  it('of more namespaces than are watched apart, others are not kept', async () => {
    await define();
    await put('eventlisteners', 'apps', 'wanted');
    await put('eventlisteners', 'other', 'unwanted');
    const caches = await start(['apps', ...Array.from({ length: 30 }, (_, place) => `n${place}`)]);
    await eventually(() => assert.equal(caches.isKnown('apps'), true));
    assert.deepEqual(
      [...caches.all('EventListener')].map(({ meta }) => meta.name),
      ['wanted'],
    );
  });

  it('event 26: kinds that are not there are no trouble, and are found when they come', async () => {
    const clock = new HandClock();
    const caches = await start(['apps'], { clock });
    await eventually(() => assert.equal(caches.isKnown('apps'), true));
    assert.deepEqual([caches.isServed(), caches.problems()], [false, []]);
    await define();
    await put('eventlisteners', 'apps', 'build');
    await eventually(async () => {
      await clock.turn(60_000);
      assert(caches.get('EventListener', { namespace: 'apps', name: 'build' }));
    });
    assert.equal(caches.isServed(), true);
  });

  it('are not known before they have been listed', async () => {
    await define();
    const caches = await start(['apps']);
    assert.deepEqual([caches.isKnown('apps'), caches.isListing()], [false, true]);
    await eventually(() => assert.equal(caches.isKnown('apps'), true));
    assert.equal(caches.isListing(), false);
  });

  it('that may not be read are as those that are not there, and that is told', async () => {
    await define();
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'poor' } };
    await client.create('/api/v1/namespaces/apps/serviceaccounts', account);
    const { status } = await client.create('/api/v1/namespaces/apps/serviceaccounts/poor/token', {
      ...{ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest' },
      spec: { expirationSeconds: 600 },
    });
    const reader = sandboxClient(sandbox, String(objectOf(status).token));
    closing.push(reader);
    const caches = await start(['apps'], { reader });
    await eventually(() => assert.equal(caches.isKnown('apps'), true));
    assert.equal(caches.problems().length, 5);
    assert.match(caches.problems()[0] ?? '', /^eventlisteners: Kubernetes refused the request \(403\)$/);
  });
});

const KINDS: Readonly<Record<string, string>> = {
  eventlisteners: 'EventListener',
  triggers: 'Trigger',
  triggerbindings: 'TriggerBinding',
  clustertriggerbindings: 'ClusterTriggerBinding',
  triggertemplates: 'TriggerTemplate',
};
