import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { Fault } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import { type JsonObject, objectOf, stringOf } from '../../kube/objects.ts';
import { silentLog } from '../../log.ts';
import { silentMetrics } from '../../metrics.ts';
import type { Caches } from './caches.ts';
import { createOnDemand } from './ondemand.ts';

const RUN = { namespace: 'ci', name: 'green' };
const notFound = new Fault('not-found', 'Kubernetes has no such object (404)');

function object(kind: string, name: string, parent?: JsonObject): JsonObject {
  const { name: owner, uid } = objectOf(parent?.metadata);
  return {
    kind,
    metadata: {
      namespace: 'ci',
      name,
      uid: `uid-${name}`,
      resourceVersion: '1',
      labels: parent === undefined ? {} : { 'tekton.dev/pipelineRun': owner },
      ...(parent === undefined
        ? {}
        : { ownerReferences: [{ kind: stringOf(parent.kind), name: owner, uid, controller: true }] }),
    },
  };
}

/** A small cluster that lists, watches and GETs what is in it; what it was asked, and the watches that are open. */
class Cluster implements KubeReader {
  readonly clock = new HandClock();
  readonly objects: JsonObject[] = [];
  readonly asked: string[] = [];
  readonly open = new Map<PassThrough, URL>();
  readonly caches: Caches;
  fails: Fault | undefined;

  constructor(...objects: readonly JsonObject[]) {
    this.objects.push(...objects);
    this.caches = createOnDemand({
      reader: this,
      served: ['ci'],
      clock: this.clock,
      random: () => 0,
      log: silentLog,
      metrics: silentMetrics,
    });
  }

  get: KubeReader['get'] = async (path) => {
    if (this.fails !== undefined) throw this.fails;
    if (path === '/apis/tekton.dev') return { versions: [{ version: 'v1' }] };
    if (path === '/apis/tekton.dev/v1') {
      const verbs = ['get', 'list', 'watch'];
      return { resources: ['pipelineruns', 'taskruns'].map((name) => ({ name, verbs })) };
    }
    this.asked.push(`get ${path.split('/').slice(-2).join('/')}`);
    const found = this.objects.find(({ kind, metadata }) =>
      path.endsWith(`${plural(kind)}/${objectOf(metadata).name}`),
    );
    if (found === undefined) throw notFound;
    return found;
  };

  stream: KubeReader['stream'] = async (path, { signal } = {}) => {
    if (this.fails !== undefined) throw this.fails;
    const url = new URL(path, 'http://cluster');
    const body = new PassThrough();
    this.open.set(body, url);
    const end = () => body.destroy();
    signal?.addEventListener('abort', end);
    body.once('close', () => {
      this.open.delete(body);
      signal?.removeEventListener('abort', end);
    });
    if (url.searchParams.has('sendInitialEvents')) {
      this.asked.push(`watch ${url.pathname.split('/').at(-1)} ${selectionOf(url)}`);
      for (const each of this.objects) this.#tell(body, url, 'ADDED', each);
      const metadata = { resourceVersion: '9', annotations: { 'k8s.io/initial-events-end': 'true' } };
      body.write(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`);
    }
    // A watch reads its body as any Readable; nothing else of IncomingMessage is used.
    return { status: 200, headers: {}, body: body as unknown as IncomingMessage };
  };

  /** Something comes into being. */
  async add(created: JsonObject) {
    this.objects.push(created);
    for (const [body, url] of this.open) this.#tell(body, url, 'ADDED', created);
    await this.clock.settle();
  }

  #tell(body: PassThrough, url: URL, type: string, told: JsonObject) {
    const { name, labels } = objectOf(told.metadata);
    const [key = '', value] = selectionOf(url).split('=');
    const meant = key === 'metadata.name' ? name : objectOf(labels)[key];
    if (url.pathname.endsWith(plural(told.kind)) && meant === value)
      body.write(`${JSON.stringify({ type, object: told })}\n`);
  }
}

function plural(kind: unknown): string {
  return `/${String(kind).toLowerCase()}s`;
}

function selectionOf({ searchParams }: URL): string {
  return searchParams.get('fieldSelector') ?? searchParams.get('labelSelector') ?? '';
}

describe('CACHE=off', () => {
  const clusters: Cluster[] = [];
  const start = async (...objects: readonly JsonObject[]) => {
    const cluster = new Cluster(...objects);
    clusters.push(cluster);
    await cluster.caches.start();
    await cluster.clock.settle();
    return cluster;
  };
  // Nothing may be left of it: no timer, no connection.
  afterEach(async () => {
    for (const { caches, clock, open } of clusters.splice(0)) {
      await caches.stop(new AbortController().signal);
      await clock.settle();
      assert.equal(open.size, 0);
      assert.equal(clock.sleeping, 0);
    }
  });

  const run = object('PipelineRun', 'green');
  const taskRun = object('TaskRun', 'green-build', run);
  const pod = object('Pod', 'green-build-pod', taskRun);
  const podOfRun = { ...pod, metadata: { ...objectOf(pod.metadata), labels: { 'tekton.dev/pipelineRun': 'green' } } };

  it('watches what belongs to a run when somebody asks, and shows it once all of it has been listed', async () => {
    const cluster = await start(run, taskRun, podOfRun);
    const { runs } = cluster.caches;
    assert.equal(runs.known(RUN), undefined);
    const found = await runs.find(RUN);
    assert.equal(runs.known(RUN), found);
    const { taskRuns, pods } = runs.facts(found);
    assert.deepEqual(
      [...taskRuns, ...pods].map(({ meta }) => meta.name),
      ['green-build', 'green-build-pod'],
    );
    assert.equal(runs.pod({ namespace: 'ci', name: 'green-build-pod' })?.meta.name, 'green-build-pod');
    assert.deepEqual(cluster.asked.toSorted(), [
      'get pipelineruns/green',
      'watch pipelineruns metadata.name=green',
      'watch pipelineruns tekton.dev/pipelineRun=green',
      'watch pods tekton.dev/pipelineRun=green',
      'watch taskruns tekton.dev/pipelineRun=green',
    ]);
  });

  it('keeps watching for ten seconds after the last one, and then no more', async () => {
    const cluster = await start(run);
    const { runs } = cluster.caches;
    await runs.find(RUN);
    await cluster.clock.turn(9_000);
    const end = runs.subscribe(RUN, () => {});
    await cluster.clock.turn(60_000);
    assert.equal(cluster.open.size, 4);
    end();
    end();
    await cluster.clock.turn(9_999);
    assert.equal(cluster.open.size, 4);
    await cluster.clock.turn(1);
    assert.equal(cluster.open.size, 0);
    assert.equal(runs.known(RUN), undefined);
  });

  it('is shared by all who ask for the same run', async () => {
    const cluster = await start(run);
    const { runs } = cluster.caches;
    await Promise.all(Array.from({ length: 20 }, () => runs.find(RUN)));
    const ends = Array.from({ length: 20 }, () => runs.subscribe(RUN, () => {}));
    assert.equal(cluster.open.size, 4);
    for (const end of ends) end();
  });

  it('run 7: tells whoever waits for a run that is created later', async () => {
    const cluster = await start();
    const { runs } = cluster.caches;
    await assert.rejects(runs.find(RUN), { code: 'not-found', message: 'pipeline not found' });
    assert.equal(cluster.open.size, 0, 'for a name that nobody has nothing is watched');
    let told = 0;
    runs.subscribe(RUN, () => told++);
    await cluster.clock.settle();
    const before = told;
    await cluster.add(run);
    assert.ok(told > before);
    assert.equal(runs.known(RUN)?.meta.uid, 'uid-green');
  });

  it('run 30: follows nested runs, those that come later as well', async () => {
    const nested = object('PipelineRun', 'green-release', run);
    const cluster = await start(run, nested, object('TaskRun', 'green-release-sign', nested));
    const { runs } = cluster.caches;
    const found = await runs.find(RUN);
    const namesOf = () =>
      runs
        .facts(found)
        .nested.map(({ run: { meta }, taskRuns }) => [meta.name, ...taskRuns.map((each) => each.meta.name)]);
    assert.deepEqual(namesOf(), [['green-release', 'green-release-sign']]);
    const end = runs.subscribe(RUN, () => {});
    const later = object('PipelineRun', 'green-report', run);
    await cluster.add(later);
    await cluster.add(object('TaskRun', 'green-report-mail', later));
    assert.deepEqual(namesOf()[1], ['green-report', 'green-report-mail']);
    end();
  });

  it('a run whose label says that it belongs to another is not followed', async () => {
    const stranger = object('PipelineRun', 'stranger', run);
    const claimed = { ...stranger, metadata: { ...objectOf(stranger.metadata), ownerReferences: [] } };
    const cluster = await start(run, claimed);
    await cluster.caches.runs.find(RUN);
    assert.equal(cluster.asked.filter((each) => each.includes('pipelineRun=stranger')).length, 0);
  });

  it('a glance is one GET, good for a second', async () => {
    const cluster = await start(run);
    const { runs } = cluster.caches;
    await Promise.all([runs.glance(RUN), runs.glance(RUN)]);
    await cluster.clock.turn(999);
    await runs.glance(RUN);
    assert.deepEqual(cluster.asked, ['get pipelineruns/green']);
    await cluster.clock.turn(1);
    await runs.glance(RUN);
    assert.equal(cluster.asked.length, 2);
    assert.equal(cluster.open.size, 0);
  });

  it('finds a TaskRun that stands alone with its pods', async () => {
    const alone = object('TaskRun', 'alone');
    const podOfAlone = object('Pod', 'alone-pod', alone);
    const labelled = {
      ...podOfAlone,
      metadata: { ...objectOf(podOfAlone.metadata), labels: { 'tekton.dev/taskRun': 'alone' } },
    };
    const { runs } = (await start(alone, labelled)).caches;
    const found = await runs.findTaskRun({ namespace: 'ci', name: 'alone' });
    assert.deepEqual(
      runs.podsOf(found).map(({ meta }) => meta.name),
      ['alone-pod'],
    );
  });

  it('bounds how many runs are followed; those that nobody asks about any more make room', async () => {
    const many = Array.from({ length: 201 }, (_, at) => object('PipelineRun', `run-${at}`));
    const { runs } = (await start(...many)).caches;
    const refOf = (at: number) => ({ namespace: 'ci', name: `run-${at}` });
    for (let at = 0; at < 200; at++) runs.subscribe(refOf(at), () => {});
    assert.throws(() => runs.subscribe(refOf(200), () => {}), { code: 'exhausted' });
    const idle = (await start(...many)).caches.runs;
    for (let at = 0; at <= 200; at++) await idle.find(refOf(at));
    assert.equal(idle.known(refOf(0)), undefined);
    assert.notEqual(idle.known(refOf(200)), undefined);
  });

  it('run 6: what keeps a run from being listed is told when patience is over', async () => {
    const cluster = await start(run);
    const finding = cluster.caches.runs.find(RUN);
    cluster.fails = new Fault('refused', 'Kubernetes refused the request (403)');
    const refused = assert.rejects(finding, { code: 'refused' });
    await cluster.clock.turn(10_000);
    await refused;
  });

  it('is ready while the API server answers', async () => {
    const cluster = await start();
    const { caches, clock } = cluster;
    await caches.filled(new AbortController().signal);
    assert.deepEqual(caches.readiness(), {
      ready: true,
      watches: [{ name: 'discovery', state: 'current', ageSeconds: 0 }],
    });
    cluster.fails = new Fault('unavailable', 'Kubernetes cannot be reached');
    await clock.turn(61_000);
    assert.deepEqual(caches.readiness(), {
      ready: false,
      watches: [{ name: 'discovery', state: 'stale', ageSeconds: 61, message: 'Kubernetes cannot be reached' }],
    });
  });
});
