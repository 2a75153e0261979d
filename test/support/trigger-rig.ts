import assert from 'node:assert/strict';
import type { TriggerCaches } from '../../src/controllers/triggers/caches.ts';
import { createTriggers } from '../../src/controllers/triggers/controller.ts';
import { type PipelineTrigger, projectTrigger } from '../../src/controllers/triggers/resource.ts';
import { Fault } from '../../src/fault.ts';
import { projectSource } from '../../src/flux/project.ts';
import { SOURCE_KINDS, type Source, type SourceKind } from '../../src/flux/types.ts';
import type { KubeReader } from '../../src/kube/client.ts';
import { type JsonObject, type Kept, objectOf } from '../../src/kube/objects.ts';
import { createStore } from '../../src/kube/store.ts';
import { type KubeWriter, WriteFault } from '../../src/kube/writer.ts';
import { silentLog } from '../../src/log.ts';
import { silentMetrics } from '../../src/metrics.ts';
import { projectPipelineRun } from '../../src/tekton/project.ts';
import type { PipelineRun } from '../../src/tekton/types.ts';
import { createRunIndex } from '../../src/triggers/runs.ts';
import { eventually } from './eventually.ts';
import { HandClock } from './hand-clock.ts';

/**
 * The controller of triggers over one trigger, on a PullRequest unless told: an API server that keeps it and its runs, a watch that tells of
 * it when the test says so, and one of its source that may lag.
 */
export class TriggerRig {
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
  onLook = () => {};
  /** The source as the watch has it, and as the API server has it; undefined: it has what the watch has. */
  kept: JsonObject;
  live: JsonObject | Fault | undefined;
  /** How often the API server was asked for the source. */
  looks = 0;
  /** What events that are believed have left, by key. */
  stored: Record<string, string> = {};
  storedFails: Fault | undefined;
  /** How often the trigger was looked at. */
  reconciles = 0;
  /** What Flux was asked to look at, with the token. */
  readonly fluxAsked: string[] = [];
  /** Why runs were created, as the metrics have it. */
  readonly causes: string[] = [];
  readonly triggers = createStore<PipelineTrigger>(silentLog);
  readonly #runs = createStore<PipelineRun>(silentLog);
  readonly #sources = Object.fromEntries(SOURCE_KINDS.map((kind) => [kind, createStore<Source>(silentLog)]));
  readonly #part;

  constructor(branches: readonly string[], status: JsonObject = {}, spec: JsonObject = {}) {
    this.trigger = {
      metadata: { namespace: 'ci', name: 't', uid: 'u', generation: 1, resourceVersion: '1' },
      spec: {
        source: { kind: 'PullRequest', name: 'app' },
        pipelineRun: { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', spec: { pipelineSpec: { tasks: [] } } },
        ...spec,
      },
      status,
    };
    this.kept = {
      metadata: { namespace: 'ci', name: 'app' },
      status: { sourceBranches: { branches: branches.map((name) => ({ name, commit: `of-${name}`, details: '{}' })) } },
    };
    this.watch();
    const stores = Object.fromEntries(SOURCE_KINDS.map((kind) => [kind, this.#sources[kind]?.store]));
    const caches: TriggerCaches = {
      name: 'caches',
      triggers: this.triggers.store,
      sources: stores as TriggerCaches['sources'],
      pipelines: createStore<Kept>(silentLog).store,
      runs: this.#runs.store,
      runIndex: createRunIndex(this.#runs.store),
      source: (kind: SourceKind) => projectSource(kind, this.kept),
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
      sourcePath: async (kind, { namespace, name }) => `/sources/${kind}/${namespace}/${name}`,
      fluxLook: {
        ask: async (kind, { namespace, name }, token) => {
          this.fluxAsked.push(`${kind} ${namespace}/${name} ${token}`);
          return true;
        },
      },
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
        reconcile: () => void this.reconciles++,
        runCreated: (cause) => void this.causes.push(cause),
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
        if (path.startsWith('/sources/')) {
          this.looks++;
          this.onLook();
          if (this.live instanceof Fault) throw this.live;
          return this.live ?? this.kept;
        }
        if (path.includes('/configmaps/')) {
          if (this.storedFails !== undefined) throw this.storedFails;
          return { data: this.stored };
        }
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
      patch: async (path, merge) => {
        if (path.includes('/configmaps/')) {
          for (const key of Object.keys(objectOf(merge.data))) delete this.stored[key];
          return {};
        }
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

  /** Somebody annotates the trigger, and the watch tells of it. */
  annotate(annotations: JsonObject) {
    this.write(this.status);
    this.trigger = { ...this.trigger, metadata: { ...objectOf(this.trigger.metadata), annotations } };
    this.watch();
  }

  /** Rings as a hook does. */
  ring(): boolean {
    return this.#part.ring({ namespace: 'ci', name: 't' });
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
