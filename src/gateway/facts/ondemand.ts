/**
 * CACHE=off: nothing is watched but the runs that somebody asks about, while they ask. For small installs, and for rights
 * that allow no list of all pods of a cluster.
 */
import type { Clock } from '../../clock.ts';
import { Fault, faultOf } from '../../fault.ts';
import { type KubeReader, unlessAborted } from '../../kube/client.ts';
import { type Discovery, discovery } from '../../kube/discovery.ts';
import type { ObjectRef } from '../../kube/objects.ts';
import { type Readiness, STALE_MS } from '../../kube/ready.ts';
import { PIPELINE_RUNS } from '../../tekton/resources.ts';
import type { PipelineRun, TaskRun } from '../../tekton/types.ts';
import type { Caches, CachesParts } from './caches.ts';
import type { Runs } from './gather.ts';
import { createLookup, type Lookup } from './lookup.ts';
import { openScope, type Scope, type ScopeKind } from './scope.ts';
import { createAskedTriggers } from './triggers.ts';

/** More runs than this are not followed at once: each one costs five connections to the API server. */
const MOST_SCOPES = 200;
/** Whoever asks again so soon is answered without asking the cluster. */
const LINGER_MS = 10_000;
/** How long an answer waits for the lists of a run. */
const FILL_MS = 10_000;
/** A run that was glanced at so recently is not asked for again: a script that polls in a loop costs one GET a second. */
const GLANCE_MS = 1_000;
const MOST_GLANCES = 1_000;
/** How often the API server is asked whether it is there, which is all that `/ready` can say. */
const LOOK_MS = 20_000;

/** Caches that are filled when somebody asks. `start` begins to ask what the cluster serves, and does not wait for that. */
export function createOnDemand(parts: CachesParts): Caches {
  const { reader, clock } = parts;
  const versions = discovery({ reader, clock });
  const reach = createReach(reader, versions, clock);
  const scopes = createScopes(parts, versions);
  const lookup = createLookup({ reader, versions });
  return {
    name: 'caches',
    runs: createRuns(scopes, lookup, clock),
    triggers: createAskedTriggers({ reader, clock }, { list: lookup.runs }),
    readiness: reach.readiness,
    filled: reach.first,
    start: async () => reach.start(),
    async stop() {
      await Promise.all([reach.stop(), scopes.stop()]);
    },
  };
}

/** A scope in use. */
interface Hold {
  readonly scope: Scope;
  /** Lets go of it. Calling that twice is harmless. */
  release(): void;
}

/** The runs that are watched now. */
interface Scopes {
  /** The scope of a run, if all of it has been listed. */
  filled(kind: ScopeKind, ref: ObjectRef): Scope | undefined;
  /** Every scope that has been listed. */
  values(): Iterable<Scope>;
  /** Opens the scope or joins those who use it. Fault `exhausted` when too many are open. */
  hold(kind: ScopeKind, ref: ObjectRef): Hold;
  stop(): Promise<void>;
}

function createScopes(parts: CachesParts, versions: Discovery): Scopes {
  const { clock } = parts;
  interface Open {
    readonly scope: Scope;
    users: number;
    /** Aborts when the scope is wanted again, or closed. */
    idle: AbortController | undefined;
  }
  const open = new Map<string, Open>();
  const closing = new Set<Promise<void>>();
  const keyOf = (kind: ScopeKind, { namespace, name }: ObjectRef) => `${kind} ${namespace}/${name}`;

  const close = (key: string, { scope, idle }: Open): void => {
    open.delete(key);
    idle?.abort();
    const closed = scope.close().finally(() => closing.delete(closed));
    closing.add(closed);
  };
  const makeRoom = (): void => {
    if (open.size < MOST_SCOPES) return;
    const idle = [...open].find(([, { users }]) => users === 0);
    if (idle !== undefined) close(...idle);
    else throw new Fault('exhausted', 'too many runs are followed at the same time');
  };
  const linger = async (key: string, each: Open): Promise<void> => {
    const idle = new AbortController();
    each.idle = idle;
    await clock.sleep(LINGER_MS, idle.signal);
    if (!idle.signal.aborted) close(key, each);
  };

  return {
    filled(kind, ref) {
      const scope = open.get(keyOf(kind, ref))?.scope;
      return scope?.isFilled() ? scope : undefined;
    },
    *values() {
      for (const { scope } of open.values()) if (scope.isFilled()) yield scope;
    },
    hold(kind, ref) {
      const key = keyOf(kind, ref);
      let each = open.get(key);
      if (each === undefined) {
        makeRoom();
        each = { scope: openScope(kind, ref, { ...parts, versions }), users: 0, idle: undefined };
      }
      // Put last again: those in front are let go of first.
      open.delete(key);
      open.set(key, each);
      const held = each;
      held.users++;
      held.idle?.abort();
      let isReleased = false;
      return {
        scope: held.scope,
        release() {
          if (isReleased) return;
          isReleased = true;
          if (--held.users === 0 && open.get(key) === held) void linger(key, held);
        },
      };
    },
    async stop() {
      for (const [key, each] of open) close(key, each);
      await Promise.all(closing);
    },
  };
}

function createRuns(scopes: Scopes, lookup: Lookup, clock: Clock): Runs {
  const requireFresh = (namespace: string): void => {
    for (const scope of scopes.values()) {
      if (scope.namespace === namespace && scope.staleMs(clock.now()) > STALE_MS) {
        throw new Fault('unavailable', 'the cluster has not been heard from for too long', { retryAfterMs: 5_000 });
      }
    }
  };
  const known: Runs['known'] = (ref) => scopes.filled('PipelineRun', ref)?.stored.known(ref);
  const knownTaskRun: Runs['knownTaskRun'] = (ref) => scopes.filled('TaskRun', ref)?.stored.knownTaskRun(ref);

  /** What the scope knows, or `asked` while it does not. The scope stays open for what is asked next: facts, pods. */
  const filled = async <T>(kind: ScopeKind, ref: ObjectRef, asked: T, read: () => T | undefined): Promise<T> => {
    const { scope, release } = scopes.hold(kind, ref);
    const over = new AbortController();
    void clock.sleep(FILL_MS, over.signal).then(() => over.abort());
    try {
      await unlessAborted(scope.filled, over.signal);
      return read() ?? asked;
    } catch (error) {
      if (!over.signal.aborted) throw error;
      throw scope.problem() ?? new Fault('timeout', 'Kubernetes did not answer in time');
    } finally {
      over.abort();
      release();
    }
  };
  const find = async <T extends PipelineRun | TaskRun>(
    kind: ScopeKind,
    ref: ObjectRef,
    read: () => T | undefined,
    ask: () => Promise<T>,
  ): Promise<T> => {
    const before = read();
    if (before !== undefined) {
      requireFresh(ref.namespace);
      return before;
    }
    // Asked first: for a name that nobody has, no watch is opened.
    return filled(kind, ref, await ask(), read);
  };
  const glances = recent(clock, (ref: ObjectRef) => lookup.run(ref));
  const subscribe = (kind: ScopeKind, ref: ObjectRef, listener: () => void): (() => void) => {
    const { scope, release } = scopes.hold(kind, ref);
    const { stored } = scope;
    const end = kind === 'PipelineRun' ? stored.subscribe(ref, listener) : stored.subscribeTaskRun(ref, listener);
    let isOver = false;
    // Until then nothing of it was shown, so that nobody takes half a run for a whole one.
    if (!scope.isFilled()) void scope.filled.then(() => isOver || listener()).catch(() => {});
    return () => {
      isOver = true;
      end();
      release();
    };
  };

  return {
    known,
    knownTaskRun,
    requireFresh,
    find: (ref) =>
      find(
        'PipelineRun',
        ref,
        () => known(ref),
        () => lookup.run(ref),
      ),
    findTaskRun: (ref) =>
      find(
        'TaskRun',
        ref,
        () => knownTaskRun(ref),
        () => lookup.taskRun(ref),
      ),
    async glance(ref) {
      const before = known(ref);
      if (before === undefined) return glances(ref);
      requireFresh(ref.namespace);
      return before;
    },
    facts(run) {
      const scope = scopes.filled('PipelineRun', run.meta);
      return scope?.stored.facts(run) ?? { run, taskRuns: [], customRuns: [], pods: [], nested: [] };
    },
    podsOf(taskRun) {
      const own = scopes.filled('TaskRun', taskRun.meta)?.stored.podsOf(taskRun);
      if (own !== undefined) return own;
      for (const { stored } of scopes.values()) if (stored.podsOf(taskRun).length > 0) return stored.podsOf(taskRun);
      return [];
    },
    pod(ref) {
      for (const { stored } of scopes.values()) {
        const pod = stored.pod(ref);
        if (pod !== undefined) return pod;
      }
      return undefined;
    },
    fetchPod: lookup.pod,
    subscribe: (ref, listener) => subscribe('PipelineRun', ref, listener),
    subscribeTaskRun: (ref, listener) => subscribe('TaskRun', ref, listener),
    all: undefined,
    list: lookup.runs,
  };
}

/** `ask`, whose answers are good for a second; those who ask at the same time share one. Failures are not kept. */
function recent<T>(clock: Clock, ask: (ref: ObjectRef) => Promise<T>): (ref: ObjectRef) => Promise<T> {
  const asked = new Map<string, { readonly atMs: number; readonly answer: Promise<T> }>();
  return (ref) => {
    const key = `${ref.namespace}/${ref.name}`;
    const before = asked.get(key);
    if (before !== undefined && clock.now() - before.atMs < GLANCE_MS) return before.answer;
    asked.delete(key);
    if (asked.size >= MOST_GLANCES) asked.delete(asked.keys().next().value ?? '');
    const answer = ask(ref);
    asked.set(key, { atMs: clock.now(), answer });
    answer.catch(() => {
      if (asked.get(key)?.answer === answer) asked.delete(key);
    });
    return answer;
  };
}

/** Whether the API server answers, asked again and again. */
function createReach(reader: KubeReader, versions: Discovery, clock: Clock) {
  const stopping = new AbortController();
  const reached = Promise.withResolvers<void>();
  let answeredAt: number | undefined;
  let problem: string | undefined;

  const look = async (): Promise<void> => {
    try {
      // What discovery remembers says nothing about now.
      await reader.get(`/apis/${PIPELINE_RUNS.group}`, { signal: stopping.signal });
      const path = await versions.pathOf(PIPELINE_RUNS, '');
      if (path === undefined) throw new Fault('refused', `this cluster serves no ${PIPELINE_RUNS.resource}`);
      answeredAt = clock.now();
      problem = undefined;
      reached.resolve();
    } catch (error) {
      const fault = faultOf(error);
      problem = fault.code === 'not-found' ? `this cluster serves no ${PIPELINE_RUNS.resource}` : fault.message;
    }
  };
  const keepLooking = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await look();
      // Until the first answer somebody waits.
      await clock.sleep(answeredAt === undefined ? 1_000 : LOOK_MS, stopping.signal);
    }
  };
  let looking: Promise<void> = Promise.resolve();

  return {
    start() {
      looking = keepLooking();
    },
    async stop() {
      stopping.abort();
      await looking;
    },
    first: (signal: AbortSignal) => unlessAborted(reached.promise, signal),
    readiness(): Readiness {
      const message = problem === undefined ? {} : { message: problem };
      if (answeredAt === undefined)
        return { ready: false, watches: [{ name: 'discovery', state: 'listing', ...message }] };
      const ageMs = clock.now() - answeredAt;
      const isCurrent = ageMs <= STALE_MS;
      const state = isCurrent ? ('current' as const) : ('stale' as const);
      return {
        ready: isCurrent,
        watches: [{ name: 'discovery', state, ageSeconds: Math.round(ageMs / 1_000), ...message }],
      };
    },
  };
}
