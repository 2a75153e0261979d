import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../../test/support/eventually.ts';
import { type RunningSandbox, startSandbox } from '../../../test/support/sandbox.ts';
import { sandboxClient } from '../../../test/support/sandbox-client.ts';
import { systemClock } from '../../clock.ts';
import type { KubeClient } from '../../kube/client.ts';
import { discovery } from '../../kube/discovery.ts';
import { type JsonObject, listOf, objectOf } from '../../kube/objects.ts';
import type { Part } from '../../lifecycle.ts';
import { silentLog } from '../../log.ts';
import { silentMetrics } from '../../metrics.ts';
import { parseBody } from '../body.ts';
import { createCelEngine } from '../cel/pool.ts';
import type { HookRequest } from '../request.ts';
import { createSources } from '../sources.ts';
import { createListeners, type Listeners } from './listeners.ts';

const never = new AbortController().signal;
const REVISION = 'main/6fca464c6c124156b9cb3913c229b59148323703';
const repositories = '/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories';
const runs = '/apis/tekton.dev/v1/namespaces/default/pipelineruns';

describe('listeners in a cluster', () => {
  const started: Part[] = [];
  const cel = createCelEngine({ clock: systemClock, log: silentLog, metrics: silentMetrics });
  let sandbox: RunningSandbox;
  let client: KubeClient;
  let folder: string;
  let uid: string;

  before(async () => {
    sandbox = await startSandbox();
    client = sandboxClient(sandbox);
    folder = await mkdtemp(join(tmpdir(), 'hooks-'));
    await cp('test/fixtures/hooks/article.yaml', join(folder, 'article.yaml'));
    const name = 'flux-system';
    await client.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    const { metadata } = await client.create(repositories, {
      ...{ apiVersion: 'source.toolkit.fluxcd.io/v1', kind: 'GitRepository', metadata: { name } },
      spec: { interval: '1m', url: 'https://example.test/flux' },
    });
    uid = String(objectOf(metadata).uid);
    await show(REVISION);
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'flux-notifications-sa' } };
    await client.create('/api/v1/namespaces/default/serviceaccounts', account);
    const binding = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: 'creates' } };
    await client.create('/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings', {
      ...binding,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ kind: 'ServiceAccount', name: 'flux-notifications-sa', namespace: 'default' }],
    });
  });
  after(async () => {
    await cel.close();
    client.close();
    await sandbox.end();
    await rm(folder, { recursive: true });
  });
  afterEach(async () => {
    for (const part of started.splice(0).reverse()) await part.stop(AbortSignal.timeout(5_000));
  });

  const show = (revision: string) =>
    client.patch(`${repositories}/flux-system/status`, {
      status: {
        observedGeneration: 1,
        artifact: {
          ...{ revision, digest: `sha256:${'d'.repeat(64)}`, path: 'p', url: 'http://example.test/a.tar.gz' },
          lastUpdateTime: '2026-11-01T10:00:00Z',
        },
      },
    });

  const start = async (more: { readonly isCompat: boolean; readonly folder?: string }): Promise<Listeners> => {
    const parts = { clock: systemClock, random: Math.random, log: silentLog, metrics: silentMetrics };
    const versions = discovery({ reader: client, clock: systemClock });
    const sources = createSources({ reader: client, versions, ...parts });
    const listeners = createListeners({
      ...{ client, served: ['default'], defaultNamespace: 'default', cel, sources, ...parts, ...more },
      policy: { sourceNamespaces: ['flux-system'], runNamespaces: [], taskRuns: false },
      events: { tell() {} },
    });
    for (const part of [sources, ...(listeners.files ? [listeners.files] : []), ...listeners.parts]) {
      started.push(part);
      await part.start();
    }
    return listeners;
  };

  /** Delivers the article's body, with what is given in place of its own. */
  const deliver = async ({ book }: Listeners, more: JsonObject = {}) => {
    const ref = { namespace: 'default', name: 'flux-event-listener' };
    const hook = await eventually(async () => {
      const found = await book.find(ref);
      assert(found !== undefined && found !== 'waiting', String(found));
      return found;
    });
    const article = JSON.parse(await readFile('test/fixtures/hooks/article.json', 'utf8')) as JsonObject;
    const involvedObject = { ...objectOf(article.involvedObject), uid };
    const raw = Buffer.from(JSON.stringify({ ...article, involvedObject, ...more }));
    const parsed = parseBody(raw);
    assert(parsed.ok);
    const request: HookRequest = {
      ...{ hook: ref, identity: createHash('sha256').update(raw).digest('hex'), raw, body: parsed.body },
      headers: new Map([['Gotk-Component', ['source-controller']]]),
      ...{ url: '/hooks/default/flux-event-listener', arrivedAt: Date.now() },
    };
    return hook.receive(request, never);
  };
  const created = async () => listOf((await client.get(runs)).items).map((item) => objectOf(item));

  it('event 28: the YAML of the article, in a folder, makes the run of the article of its body', async () => {
    const listeners = await start({ isCompat: false, folder });
    const [result, ...others] = await deliver(listeners);
    const [run] = await created();
    const { name, labels } = objectOf(run?.metadata);
    assert.deepEqual(
      [result, others],
      [{ trigger: 'flux-notification-trigger', outcome: 'created', pipelineRun: `default/${name}` }, []],
    );
    assert.match(
      String(name),
      /^flux-notification-run-[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    assert.deepEqual(objectOf(run?.spec).params, [
      { name: 'message', value: `Fetched revision: ${REVISION}` },
      { name: 'repository', value: 'flux-system' },
      { name: 'namespace', value: 'flux-system' },
    ]);
    assert.equal(objectOf(labels)['triggers.tekton.dev/eventlistener'], 'flux-event-listener');
  });

  it('event 2, 21: the same, told in the words of today by another process, is a duplicate', async () => {
    const listeners = await start({ isCompat: false, folder });
    await show('main@sha1:6fca464c6c124156b9cb3913c229b59148323703');
    const metadata = { revision: 'main@sha1:6fca464c6c124156b9cb3913c229b59148323703' };
    const [result] = await deliver(listeners, { metadata, message: "stored artifact for commit 'one'" });
    assert.equal(result?.outcome, 'duplicate');
    assert.equal((await created()).length, 1);
  });

  it('event 19: nor is there another one when the run has been pruned', async () => {
    const [run] = await created();
    const { name, uid: runUid } = objectOf(run?.metadata);
    await client.remove(`${runs}/${name}`, { uid: String(runUid) });
    const listeners = await start({ isCompat: false, folder });
    const [result] = await deliver(listeners);
    assert.equal(result?.outcome, 'duplicate');
    assert.deepEqual(await created(), []);
  });

  it('event 5: a revision that the object shows a moment later is pending, and then runs', async () => {
    const listeners = await start({ isCompat: false, folder });
    const revision = `main@sha1:${'b'.repeat(40)}`;
    const [result] = await deliver(listeners, { metadata: { revision } });
    assert.equal(result?.outcome, 'pending');
    assert.deepEqual(await created(), []);
    await show(revision);
    await eventually(async () => assert.equal((await created()).length, 1));
  });

  it('where the cluster has no such kinds there are no hooks', async () => {
    const listeners = await start({ isCompat: true });
    const ref = { namespace: 'default', name: 'flux-event-listener' };
    await eventually(async () => assert.equal(await listeners.book.find(ref), undefined));
  });
});
