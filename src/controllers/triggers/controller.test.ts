import assert from 'node:assert/strict';
import { eventually } from '../../../test/support/eventually.ts';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { Fault } from '../../fault.ts';
import { projectSource } from '../../flux/project.ts';
import { SOURCE_KINDS, type Source, type SourceKind } from '../../flux/types.ts';
import type { KubeReader } from '../../kube/client.ts';
import { type JsonObject, type Kept, objectOf } from '../../kube/objects.ts';
import { createStore } from '../../kube/store.ts';
import { type KubeWriter, WriteFault } from '../../kube/writer.ts';
import { silentLog } from '../../log.ts';
import { silentMetrics } from '../../metrics.ts';
import { projectPipelineRun } from '../../tekton/project.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { createRunIndex } from '../../triggers/runs.ts';
import type { TriggerCaches } from './caches.ts';
import { createTriggers } from './controller.ts';
import { type PipelineTrigger, projectTrigger } from './resource.ts';

/** One trigger on a PullRequest, an API server that keeps it and its runs, and a watch that tells of it when the test says so. */
class Rig {
  readonly clock = new HandClock();
  trigger: JsonObject;
  /** Runs by name, and what was written, in order. */
  readonly runs = new Map<string, JsonObject>();
  readonly writes: string[] = [];
  readonly told: string[] = [];
  /** Whose conditions are shown in the metrics. */
  readonly shown = new Set<string>();
  readonly #listeners = new Set<(held: boolean) => void>();
  #leads = true;
  /** What the API server makes of a status before it keeps it. */
  keep = (status: JsonObject): JsonObject => status;
  refuseStatus: string | undefined;
  /** What the API server says to creates, one after another, before it takes one. */
  readonly refusals: Fault[] = [];
  onCreate = () => {};
  readonly triggers = createStore<PipelineTrigger>(silentLog);
  readonly #runs = createStore<PipelineRun>(silentLog);
  readonly #sources = Object.fromEntries(SOURCE_KINDS.map((kind) => [kind, createStore<Source>(silentLog)]));
  readonly #part;

  constructor(branches: readonly string[], status: JsonObject = {}) {
    this.trigger = {
      metadata: { namespace: 'ci', name: 't', uid: 'u', generation: 1, resourceVersion: '1' },
      spec: {
        source: { kind: 'PullRequest', name: 'app' },
        pipelineRun: { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', spec: { pipelineSpec: { tasks: [] } } },
      },
      status,
    };
    const source = projectSource('PullRequest', {
      metadata: { namespace: 'ci', name: 'app' },
      status: { sourceBranches: { branches: branches.map((name) => ({ name, commit: `of-${name}`, details: '{}' })) } },
    });
    this.watch();
    const stores = Object.fromEntries(SOURCE_KINDS.map((kind) => [kind, this.#sources[kind]?.store]));
    const caches: TriggerCaches = {
      name: 'caches',
      triggers: this.triggers.store,
      sources: stores as TriggerCaches['sources'],
      pipelines: createStore<Kept>(silentLog).store,
      runs: this.#runs.store,
      runIndex: createRunIndex(this.#runs.store),
      source: (_kind: SourceKind) => source,
      isComplete: () => true,
      isPipelineMissing: () => false,
      filled: async () => {},
      onLate: () => {},
      problems: () => [],
      isServed: () => true,
      start: async () => {},
      stop: async () => {},
    };
    this.#part = createTriggers({
      caches,
      reader: this.#reader(),
      runPath: async ({ namespace, name }) => `/apis/tekton.dev/v1/namespaces/${namespace}/pipelineruns/${name}`,
      writer: this.#writer(),
      events: { tell: (_about, { message }) => void this.told.push(message) },
      servesV1: async () => true,
      orphanRuns: false,
      leadership: {
        held: () => this.#leads,
        remainingMs: () => (this.#leads ? 10_000 : 0),
        subscribe: (listener) => {
          this.#listeners.add(listener);
          return () => void this.#listeners.delete(listener);
        },
        holder: () => 'us',
      },
      clock: this.clock,
      random: () => 0,
      log: silentLog,
      metrics: {
        ...silentMetrics,
        triggerCondition: ({ name }) => void this.shown.add(name),
        triggerGone: ({ name }) => void this.shown.delete(name),
      },
    });
  }

  /** The watch tells of the trigger as it is now. */
  watch() {
    this.triggers.writer.put(projectTrigger(this.trigger));
  }

  get status(): JsonObject {
    return objectOf(this.trigger.status);
  }

  /** Another replica leads from now on, or we do. */
  lead(held: boolean) {
    this.#leads = held;
    for (const hear of this.#listeners) hear(held);
  }

  /** The cluster has this run already. */
  have(run: JsonObject) {
    this.runs.set(String(objectOf(run.metadata).name), run);
    this.#runs.writer.put(projectPipelineRun(run));
  }

  /** The API server keeps it, whoever wrote it. */
  write(status: JsonObject) {
    const metadata = objectOf(this.trigger.metadata);
    const resourceVersion = String(Number(metadata.resourceVersion) + 1);
    this.trigger = { ...this.trigger, metadata: { ...metadata, resourceVersion }, status };
  }

  #reader(): KubeReader {
    return {
      get: async (path) => {
        const name = path.slice(path.lastIndexOf('/') + 1);
        const found = path.includes('/pipelinetriggers/') ? this.trigger : this.runs.get(name);
        if (found === undefined) throw new Fault('not-found', 'no such object');
        return found;
      },
      stream: () => assert.fail('nothing is streamed'),
    };
  }

  #writer(): KubeWriter {
    return {
      create: async (_path, object) => {
        const name = String(objectOf(object.metadata).name);
        const refusal = this.refusals.shift();
        if (refusal !== undefined) throw refusal;
        if (this.runs.has(name))
          throw new WriteFault('conflict', '409', { status: 409, reason: 'AlreadyExists', said: '' });
        this.writes.push(`run ${name}`);
        this.runs.set(name, object);
        this.#runs.writer.put(projectPipelineRun(object));
        this.onCreate();
        return object;
      },
      patch: async (_path, merge) => {
        this.writes.push('status');
        const { refuseStatus: said } = this;
        if (said !== undefined) throw new WriteFault('refused', '422', { status: 422, reason: 'Invalid', said });
        const { resourceVersion } = objectOf(merge.metadata);
        if (resourceVersion !== objectOf(this.trigger.metadata).resourceVersion) {
          throw new WriteFault('conflict', '409', { status: 409, reason: 'Conflict', said: '' });
        }
        this.write(this.keep(merged(this.status, objectOf(merge.status))));
        return this.trigger;
      },
      replace: () => assert.fail('nothing is replaced'),
      remove: () => assert.fail('nothing is deleted'),
    };
  }

  get creates() {
    return this.writes.filter((write) => write.startsWith('run ')).length;
  }

  /** Turns time until `isSo` does not throw. */
  async until(isSo: () => void) {
    await eventually(async () => {
      await this.clock.turn(10);
      isSo();
    });
  }

  async start() {
    await this.#part.start();
  }

  async stop() {
    await this.#part.stop(AbortSignal.abort());
  }
}

function merged(before: JsonObject, merge: JsonObject): JsonObject {
  const after: Record<string, JsonObject[string]> = { ...before };
  for (const [key, value] of Object.entries(merge)) {
    if (value === null) delete after[key];
    else if (typeof value === 'object' && !Array.isArray(value)) {
      after[key] = merged(objectOf(before[key]), objectOf(value));
    } else after[key] = value;
  }
  return after;
}

describe('the controller of triggers', () => {
  let rig: Rig;
  afterEach(() => rig.stop());

  const runsNamed = () =>
    Object.values(objectOf(objectOf(rig.status.branches).branch)).map((entry) => objectOf(entry).latestPipelineRun);

  it('makes a run of each branch, and writes down which', async () => {
    rig = new Rig(['a', 'b']);
    await rig.start();
    await rig.until(() => assert.deepEqual(runsNamed().sort(), [...rig.runs.keys()].sort()));
    assert.equal(rig.creates, 2);
  });

  it('goes on with others after 25 of a hundred branches, and makes all hundred in the end', async () => {
    rig = new Rig(Array.from({ length: 100 }, (_, place) => `b${place}`));
    await rig.start();
    await rig.until(() => assert.ok(!runsNamed().includes('Unknown') && runsNamed().length === 100));
    assert.equal(rig.creates, 100);
    const portion = rig.writes.slice(0, rig.writes.lastIndexOf('status', 27));
    assert.equal(portion.filter((write) => write.startsWith('run ')).length, 25);
  });

  it('an intent that the watch tells of late is no reason for a run: that run has ended and is gone', async () => {
    const before = new Rig(['a']);
    let intended: JsonObject | undefined;
    before.onCreate = () => {
      intended = before.trigger;
    };
    await before.start();
    await before.until(() => assert.equal(before.status.latestPipelineRun, [...before.runs.keys()][0]));
    await before.stop();

    rig = new Rig(['a']);
    rig.trigger = intended ?? assert.fail('nothing was created');
    rig.watch();
    rig.trigger = before.trigger;
    await rig.start();
    // It asks after its run, which is gone: that is how it ended.
    await rig.until(() => assert.deepEqual(rig.writes, ['status']));
    await rig.clock.turn(60_000);
    assert.equal(rig.creates, 0);
  });

  it('a run that was made before a crash is known again, though the template gives it another name by now', async () => {
    const before = new Rig(['a']);
    let intended: JsonObject | undefined;
    before.onCreate = () => {
      intended = before.trigger;
    };
    await before.start();
    await before.until(() => assert.ok(intended));
    await before.stop();

    rig = new Rig(['a']);
    const trigger = intended ?? assert.fail('nothing was created');
    const spec = objectOf(trigger.spec);
    const pipelineRun = { ...objectOf(spec.pipelineRun), metadata: { generateName: 'other-' } };
    rig.trigger = { ...trigger, spec: { ...spec, pipelineRun } };
    rig.watch();
    for (const run of before.runs.values()) rig.have(run);
    await rig.start();
    await rig.until(() => assert.equal(rig.status.latestPipelineRun, [...before.runs.keys()][0]));
    assert.equal(rig.creates, 0);
  });

  it('an intent that stands is carried out by whoever comes next', async () => {
    const before = new Rig(['a']);
    let intended: JsonObject | undefined;
    before.onCreate = () => {
      intended = before.trigger;
    };
    await before.start();
    await before.until(() => assert.ok(intended));
    await before.stop();

    rig = new Rig(['a']);
    rig.trigger = intended ?? assert.fail('nothing was created');
    rig.watch();
    await rig.start();
    await rig.until(() => assert.equal(rig.status.latestPipelineRun, [...before.runs.keys()][0]));
    assert.equal(rig.creates, 1);
  });

  it('nothing is started on a status that the cluster does not keep whole, and it is not written again and again', async () => {
    rig = new Rig(['a']);
    rig.keep = ({ eventSequence, ...kept }) => kept;
    await rig.start();
    await rig.until(() => assert.equal(rig.writes.length, 1));
    await rig.clock.turn(30_000);
    assert.deepEqual(rig.writes, ['status']);
  });

  it('a status that is refused is told of in an Event', async () => {
    rig = new Rig(['a']);
    rig.refuseStatus = 'status.conditions: Invalid value';
    await rig.start();
    await rig.until(() =>
      assert.deepEqual(rig.told, ['the status cannot be written: status.conditions: Invalid value']),
    );
    assert.equal(rig.creates, 0);
  });

  it('trigger 45: what is in the way is told once: a restart neither tells of it nor writes it again', async () => {
    const before = new Rig(['a']);
    before.trigger = { ...before.trigger, spec: { source: { kind: 'PullRequest', name: 'app' }, pipelineRun: {} } };
    before.watch();
    await before.start();
    await before.until(() => assert.equal(before.told.length, 1));
    await before.stop();

    rig = new Rig(['a']);
    rig.trigger = before.trigger;
    rig.watch();
    await rig.start();
    await rig.clock.turn(60_000);
    assert.deepEqual([rig.told, rig.writes], [[], []]);
  });

  it('a create that failed is tried again in time, though the clock was set back meanwhile', async () => {
    rig = new Rig(['a']);
    rig.refusals.push(new Fault('unavailable', 'no answer'));
    await rig.start();
    await rig.until(() => assert.equal(objectOf((rig.status.conditions as readonly JsonObject[])[0]).type, 'Error'));
    rig.clock.correct(-3_600_000);
    await rig.clock.turn(1_000);
    await rig.until(() => assert.equal(rig.creates, 1));
  });

  it('a server that asks to be left alone for ever is asked again after ten minutes', async () => {
    rig = new Rig(['a']);
    rig.refusals.push(new Fault('unavailable', 'busy', { retryAfterMs: Number.POSITIVE_INFINITY }));
    await rig.start();
    await rig.until(() => assert.equal(objectOf((rig.status.conditions as readonly JsonObject[])[0]).type, 'Error'));
    assert.equal(rig.creates, 0);
    await rig.clock.turn(600_000);
    await rig.until(() => assert.equal(rig.creates, 1));
  });

  it('whoever no longer leads shows no conditions any more', async () => {
    rig = new Rig(['a']);
    await rig.start();
    await rig.until(() => assert.deepEqual([...rig.shown], ['t']));
    rig.lead(false);
    await rig.clock.turn(60_000);
    assert.deepEqual([...rig.shown], []);
    rig.lead(true);
    await rig.until(() => assert.deepEqual([...rig.shown], ['t']));
  });

  it('a trigger that goes while its runs are made gets no more of them', async () => {
    rig = new Rig(['a', 'b', 'c']);
    rig.onCreate = () => rig.triggers.writer.remove(projectTrigger(rig.trigger));
    await rig.start();
    await rig.until(() => assert.equal(rig.creates, 1));
    await rig.clock.turn(60_000);
    assert.equal(rig.creates, 1);
  });
});
