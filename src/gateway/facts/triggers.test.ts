/** Where triggers are found: what a missing kind, a missing right and a silent cluster are told as, and what asking costs. */
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { eventually } from '../../../test/support/eventually.ts';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { Fault } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import { type JsonObject, objectOf } from '../../kube/objects.ts';
import { createStore } from '../../kube/store.ts';
import { silentLog } from '../../log.ts';
import { silentMetrics } from '../../metrics.ts';
import { projectPipelineRun } from '../../tekton/project.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { createAskedTriggers, createWatchedTriggers, type Triggers, type TriggersMeant } from './triggers.ts';

const notFound = new Fault('not-found', 'Kubernetes has no such object (404)');
const refused = new Fault('refused', 'Kubernetes refused the request (403)');
const never = new AbortController().signal;
const GROUP = '/apis/pipeline.jquad.rocks';

function object(kind: string, name: string, more: JsonObject = {}): JsonObject {
  const metadata = { namespace: 'ci', name, uid: `uid-${name}`, resourceVersion: '1', ...more };
  return { kind, metadata, spec: { source: { kind: 'GitRepository', name: 'app' } } };
}

/** A cluster that may or may not have the kind, and may or may not let us see it. */
class Cluster implements KubeReader {
  readonly clock = new HandClock();
  readonly triggers: JsonObject[] = [];
  readonly asked: string[] = [];
  serves = true;
  fails: Fault | undefined;

  get: KubeReader['get'] = async (path) => {
    const [where = ''] = path.split('?', 1);
    this.asked.push(where);
    if (where.startsWith(GROUP) && !this.serves) throw notFound;
    if (where === GROUP) return { versions: [{ version: 'v1alpha1' }] };
    if (where === `${GROUP}/v1alpha1`) {
      return { resources: [{ name: 'pipelinetriggers', verbs: ['get', 'list', 'watch'] }] };
    }
    if (this.fails !== undefined) throw this.fails;
    if (where.endsWith('/pipelinetriggers')) return { metadata: { resourceVersion: '1' }, items: this.triggers };
    const found = this.triggers.find(({ metadata }) => where.endsWith(`/pipelinetriggers/${objectOf(metadata).name}`));
    if (found === undefined) throw notFound;
    return found;
  };

  stream: KubeReader['stream'] = async (path, { signal } = {}) => {
    if (this.fails !== undefined) throw this.fails;
    const { searchParams } = new URL(path, 'http://cluster');
    const status = searchParams.has('sendInitialEvents') ? 400 : 200;
    const body = new PassThrough();
    if (status === 400) body.end('{}');
    signal?.addEventListener('abort', () => body.destroy());
    return { status, headers: {}, body: body as unknown as IncomingMessage };
  };
}

const parts = (cluster: Cluster) => ({
  reader: cluster,
  served: ['ci'],
  scopes: ['ci'],
  clock: cluster.clock,
  random: () => 0,
  log: silentLog,
  metrics: silentMetrics,
});
const inCi: TriggersMeant = { namespaces: ['ci'], withRuns: true };
const named = (name: string): TriggersMeant => ({ ...inCi, name });
const codeOf = (triggers: Triggers) =>
  triggers.read(inCi, never).then(
    () => 'ok',
    ({ code }: Fault) => code,
  );
const namesIn = async (triggers: Triggers, meant = inCi) =>
  [...(await triggers.read(meant, never)).triggers()].map(({ meta }) => meta.name);

describe('triggers that are watched', () => {
  const watched = (cluster: Cluster) => {
    const store = createStore<PipelineRun>(silentLog);
    return createWatchedTriggers(parts(cluster), { store: store.store, requireFresh: () => {} });
  };

  it('a kind that is missing is no trouble, and is found within two minutes of its coming', async () => {
    const cluster = new Cluster();
    cluster.serves = false;
    const { triggers, start, stop } = watched(cluster);
    assert.deepEqual(await namesIn(triggers), []);
    start();
    await eventually(async () => assert.equal((await triggers.read(inCi, never)).isServed, false));
    cluster.serves = true;
    cluster.triggers.push(object('PipelineTrigger', 'app'));
    await cluster.clock.turn(120_000);
    await eventually(async () => assert.deepEqual(await namesIn(triggers), ['app']));
    assert.equal((await triggers.read(inCi, never)).isServed, true);
    await stop();
  });

  it('before the first list, and after a long silence, they cannot be told; without the right, neither', async () => {
    const cluster = new Cluster();
    cluster.fails = refused;
    const { triggers, start, stop } = watched(cluster);
    start();
    assert.equal(await codeOf(triggers), 'unavailable');
    await eventually(async () => assert.equal(await codeOf(triggers), 'refused'));
    cluster.fails = undefined;
    await cluster.clock.turn(60_000);
    await eventually(async () => assert.equal(await codeOf(triggers), 'ok'));
    await stop();
    await cluster.clock.turn(61_000);
    assert.equal(await codeOf(triggers), 'unavailable');
  });

  it('whoever listens hears of their own triggers and runs, and of no others', async () => {
    const cluster = new Cluster();
    const { store, writer } = createStore<PipelineRun>(silentLog);
    const { triggers } = createWatchedTriggers(parts(cluster), { store, requireFresh: () => {} });
    const heard: string[] = [];
    const end = triggers.subscribe(named('app'), () => heard.push('app'));
    triggers.subscribe({ namespaces: ['dev'], withRuns: true }, () => heard.push('dev'));
    triggers.subscribe({ namespaces: 'all', withRuns: true }, () => heard.push('all'));
    const labels = (name: string) => ({ labels: { 'pipeline.jquad.rocks/pipelinetrigger': name } });
    for (const name of ['app', 'lib']) writer.put(projectPipelineRun(object('PipelineRun', `${name}-1`, labels(name))));
    writer.put(projectPipelineRun(object('PipelineRun', 'by-hand')));
    end?.();
    end?.();
    writer.put(projectPipelineRun(object('PipelineRun', 'app-2', labels('app'))));
    assert.deepEqual(heard, ['app', 'all', 'all', 'all']);
  });
});

describe('triggers that are asked for', () => {
  const labelled = object('PipelineRun', 'app-1', { labels: { 'pipeline.jquad.rocks/pipelinetrigger': 'app' } });
  const asked = (cluster: Cluster, runs: () => readonly JsonObject[] = () => [labelled]) => {
    let lists = 0;
    const triggers = createAskedTriggers(parts(cluster), {
      async *list() {
        lists += 1;
        yield runs().map(projectPipelineRun);
      },
    });
    return { triggers, lists: () => lists };
  };

  it('those who ask for the same within a second share one list, and one list of runs', async () => {
    const cluster = new Cluster();
    cluster.triggers.push(object('PipelineTrigger', 'app'));
    const { triggers, lists } = asked(cluster);
    const seen = await Promise.all(Array.from({ length: 10 }, () => triggers.read(inCi, never)));
    const collection = () => cluster.asked.filter((path) => path.endsWith('/pipelinetriggers')).length;
    assert.deepEqual([collection(), lists()], [1, 1]);
    const [app] = seen[0]?.triggers() ?? [];
    assert.ok(app);
    assert.deepEqual(
      seen[0]?.runsOf(app, 5).map(({ meta }) => meta.name),
      ['app-1'],
    );
    await triggers.read({ ...inCi, withRuns: false }, never);
    assert.deepEqual([collection(), lists()], [2, 1]);
    await cluster.clock.turn(1_000);
    await triggers.read(inCi, never);
    assert.deepEqual([collection(), lists()], [3, 2]);
  });

  it('one by its name costs one GET, and runs are asked for only where it is there', async () => {
    const cluster = new Cluster();
    cluster.triggers.push(object('PipelineTrigger', 'app'));
    const { triggers, lists } = asked(cluster);
    assert.deepEqual(await namesIn(triggers, named('app')), ['app']);
    assert.deepEqual(await namesIn(triggers, named('nobody')), []);
    assert.equal(lists(), 1);
  });

  it('a kind that is missing, and one that comes, is seen at once; failures are not kept', async () => {
    const cluster = new Cluster();
    cluster.serves = false;
    const { triggers } = asked(cluster);
    assert.equal((await triggers.read(inCi, never)).isServed, false);
    cluster.serves = true;
    await cluster.clock.turn(1_000);
    assert.equal((await triggers.read(inCi, never)).isServed, true);
    await cluster.clock.turn(1_000);
    cluster.fails = refused;
    await assert.rejects(triggers.read(inCi, never), {
      code: 'refused',
      message: /^PipelineTriggers cannot be read: /,
    });
    cluster.fails = undefined;
    assert.equal((await triggers.read(inCi, never)).isServed, true);
  });

  it('of very many runs only some of the newest are held', async () => {
    const cluster = new Cluster();
    cluster.triggers.push(object('PipelineTrigger', 'app'));
    const many = Array.from({ length: 1_000 }, (_, place) =>
      object('PipelineRun', `app-${place}`, {
        creationTimestamp: new Date(place * 1_000).toISOString(),
        ownerReferences: [{ kind: 'PipelineTrigger', name: 'app', uid: 'uid-app', controller: true }],
      }),
    );
    const { triggers } = asked(cluster, () => many);
    const seen = await triggers.read(inCi, never);
    const [app] = seen.triggers();
    assert.ok(app);
    const told = seen.runsOf(app, 50).map(({ meta }) => meta.name);
    assert.deepEqual([told.length, told[0], told[49]], [50, 'app-999', 'app-950']);
  });

  it('is given up when the last of those who wait has gone', async () => {
    const cluster = new Cluster();
    cluster.triggers.push(object('PipelineTrigger', 'app'));
    let isGivenUp = false;
    const triggers = createAskedTriggers(parts(cluster), {
      async *list(_namespace, signal) {
        yield [];
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        isGivenUp = true;
      },
    });
    const [one, other] = [new AbortController(), new AbortController()];
    const reads = [triggers.read(inCi, one.signal), triggers.read(inCi, other.signal)].map((read) =>
      read.catch(() => 'gone'),
    );
    one.abort();
    await cluster.clock.settle();
    assert.equal(isGivenUp, false);
    other.abort();
    assert.deepEqual(await Promise.all(reads), ['gone', 'gone']);
    await eventually(() => assert.ok(isGivenUp));
  });
});
