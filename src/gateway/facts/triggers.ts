/**
 * Triggers as the gateway asks for them: from a store that watches keep true, or of the API server where nothing is kept. The
 * kind is optional: where a cluster has none, or gives no right to it, runs are served as ever.
 */
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import { discovery, type Wanted } from '../../kube/discovery.ts';
import { objectOf } from '../../kube/objects.ts';
import { listPages } from '../../kube/pages.ts';
import { STALE_MS } from '../../kube/ready.ts';
import { createStore, type Store } from '../../kube/store.ts';
import { startWatch, type Watch, type WatchParts } from '../../kube/watch.ts';
import { TRIGGER_ANNOTATION } from '../../tekton/project.ts';
import { comparePlaces, placeOf } from '../../tekton/runlist.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { projectTriggerSummary, type TriggerSummary } from '../../triggers/summary.ts';
import type { Scope } from '../runs/runindex.ts';
import { SharedWork } from '../sharedwork.ts';
import type { Runs } from './gather.ts';

/** Which triggers: those of some namespaces, or the one of a name in one of them. */
export interface TriggersMeant {
  readonly namespaces: Scope;
  readonly name?: string;
  /** Whether their runs are wanted: where nothing is kept, those cost more than all the rest. */
  readonly withRuns: boolean;
}

/** Triggers, and the runs of each, as they were at one moment. */
export interface TriggersSeen {
  /** Another number whenever something may be different. */
  readonly revision: number;
  /** Whether this cluster has the kind. */
  readonly isServed: boolean;
  /** In no particular order. */
  triggers(): Iterable<TriggerSummary>;
  /** Runs of a trigger, the newest first, `count` at most. */
  runsOf(trigger: TriggerSummary, count: number): readonly PipelineRun[];
}

/** Where triggers are found. */
export interface Triggers {
  /**
   * Those that are meant; none where there are none. Faults: `refused` where Kubernetes gives no right to them; `unavailable`
   * while what is known is incomplete or too old to be believed; where nothing is watched, those of asking the cluster.
   * Rejects with the reason of `signal` when that aborts first.
   */
  read(meant: TriggersMeant, signal: AbortSignal): Promise<TriggersSeen>;
  /**
   * Calls `listener` after every change of those that are meant or of their runs, in the same turn. Returns the end of that,
   * which may be called twice; undefined where nothing is watched: then whoever waits looks again.
   */
  subscribe(meant: TriggersMeant, listener: () => void): (() => void) | undefined;
}

/** Triggers as a part of the caches. `start` does not wait for anything, and nobody has to wait for triggers. */
export interface WatchedTriggers {
  readonly triggers: Triggers;
  start(): void;
  stop(): Promise<void>;
}

const TRIGGERS: Wanted = { group: 'pipeline.jquad.rocks', resource: 'pipelinetriggers', versions: ['v1alpha1'] };
const TRIGGER_KIND = 'PipelineTrigger';

/** Where nothing is watched, whoever asks again so soon is answered without asking the cluster. */
const ASKED_MS = 1_000;
const MOST_ASKED = 100;
/** Where nothing is watched, so many runs of a trigger are gathered at most: more are never told. */
const MOST_GATHERED = 50;

/** Triggers that a watch of each scope keeps true, with the runs of a store. */
export function createWatchedTriggers(
  parts: Pick<WatchParts<TriggerSummary>, 'reader' | 'watchSeconds' | 'clock' | 'random' | 'log' | 'metrics'> & {
    /** Namespaces, or '' for all: one watch each. */
    readonly scopes: readonly string[];
  },
  runs: { readonly store: Store<PipelineRun>; readonly requireFresh: (namespace: string) => void },
): WatchedTriggers {
  const { reader, clock, log, scopes } = parts;
  // Its own: this kind comes and goes, and asking for it again must not make others be asked for.
  const versions = discovery({ reader, clock });
  const { store, writer } = createStore<TriggerSummary>(log);
  let isServed = true;
  let watches: readonly Watch[] = [];

  const pathIn = async (scope: string): Promise<string | undefined> => {
    const path = await versions.pathOf(TRIGGERS, scope);
    // What is absent is looked for again in a minute, and should then be asked for.
    if (path === undefined) versions.doubt();
    isServed = path !== undefined;
    return path;
  };
  const requireReadable = (namespace: string): void => {
    const now = clock.now();
    for (const watch of watches) {
      if (watch.scope !== '' && namespace !== '' && watch.scope !== namespace) continue;
      if (watch.staleMs(now) <= STALE_MS) continue;
      const problem = watch.problem();
      if (problem?.code === 'refused') throw unreadable(problem);
      throw new Fault('unavailable', `the cluster has not been heard from for too long (${watch.resource})`, {
        retryAfterMs: 5_000,
      });
    }
    runs.requireFresh(namespace);
  };

  return {
    triggers: storedTriggers({ triggers: store, runs: runs.store }, { isServed: () => isServed, requireReadable }),
    start() {
      watches = scopes.map((scope) =>
        startWatch({
          ...parts,
          path: () => pathIn(scope),
          doubt: () => versions.doubt(),
          resource: TRIGGERS.resource,
          scope,
          optional: true,
          writer,
          project: projectTriggerSummary,
        }),
      );
    },
    async stop() {
      await Promise.all(watches.map((watch) => watch.stop()));
    },
  };
}

/** Triggers and their runs as stores have them. `requireReadable` throws while those of a namespace ('' for all) cannot be told. */
export function storedTriggers(
  stores: { readonly triggers: Store<TriggerSummary>; readonly runs: Store<PipelineRun> },
  more: { readonly isServed: () => boolean; readonly requireReadable: (namespace: string) => void },
): Triggers {
  const { triggers, runs } = stores;
  const runsByTrigger = new RunsByTrigger();
  const listeners = new Set<{ readonly meant: TriggersMeant; hear(): void }>();
  let changes = 0;

  const tell = (namespace: string, name: string): void => {
    changes += 1;
    for (const { meant, hear } of listeners) if (isMeant(meant, namespace, name)) hear();
  };
  triggers.subscribe(({ object: { meta } }) => tell(meta.namespace, meta.name));
  for (const run of runs.values()) runsByTrigger.put(run);
  runs.subscribe(({ type, object, before }) => {
    if (before !== undefined) runsByTrigger.remove(before);
    if (type !== 'deleted') runsByTrigger.put(object);
    const names = new Set([triggerNameOf(object), before && triggerNameOf(before)]);
    for (const name of names) if (name !== undefined) tell(object.meta.namespace, name);
  });

  return {
    async read({ namespaces, name }, signal) {
      signal.throwIfAborted();
      for (const namespace of namespaces === 'all' ? [''] : namespaces) more.requireReadable(namespace);
      const isServed = more.isServed();
      return {
        // A kind that comes or goes changes the answer as well.
        revision: changes * 2 + (isServed ? 1 : 0),
        isServed,
        triggers: () => (name === undefined ? within(triggers, namespaces) : named(triggers, namespaces, name)),
        runsOf: (trigger, count) => runsByTrigger.newest(trigger, count),
      };
    },
    subscribe(meant, hear) {
      const listener = { meant, hear };
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

function isMeant({ namespaces, name }: TriggersMeant, namespace: string, changed: string): boolean {
  if (namespaces !== 'all' && !namespaces.includes(namespace)) return false;
  return name === undefined || name === changed;
}

function* within(store: Store<TriggerSummary>, namespaces: Scope): Generator<TriggerSummary> {
  const meant = namespaces === 'all' ? undefined : new Set(namespaces);
  for (const trigger of store.values()) if (meant?.has(trigger.meta.namespace) ?? true) yield trigger;
}

function named(store: Store<TriggerSummary>, namespaces: Scope, name: string): readonly TriggerSummary[] {
  if (namespaces === 'all') return [...store.values()].filter(({ meta }) => meta.name === name);
  return namespaces.flatMap((namespace) => store.get({ namespace, name }) ?? []);
}

/** Triggers that are asked of the API server each time, `runs` with them. Those who ask for the same at once share it. */
export function createAskedTriggers(
  { reader, clock }: { readonly reader: KubeReader; readonly clock: Clock },
  runs: Pick<Runs, 'list'>,
): Triggers {
  const versions = discovery({ reader, clock });
  const asked = new Map<string, { readonly atMs: number; readonly seen: SharedWork<TriggersSeen> }>();
  let revision = 0;

  const ask = async (meant: TriggersMeant, signal: AbortSignal): Promise<TriggersSeen> => {
    const { namespaces, name, withRuns } = meant;
    const triggers: TriggerSummary[] = [];
    const gathered = new RunsByTrigger(MOST_GATHERED);
    let isServed = true;
    for (const namespace of namespaces === 'all' ? [''] : namespaces) {
      const collection = await versions.pathOf(TRIGGERS, namespace);
      const found = collection === undefined ? undefined : await fetched(reader, collection, name, signal);
      if (found === undefined) {
        versions.doubt();
        isServed = false;
        continue;
      }
      triggers.push(...found);
      if (found.length === 0 || !withRuns) continue;
      for await (const page of runs.list(namespace, signal)) for (const run of page) gathered.put(run);
    }
    revision += 1;
    return {
      revision,
      isServed,
      triggers: () => triggers,
      runsOf: (trigger, count) => gathered.newest(trigger, count),
    };
  };

  return {
    read(meant, signal) {
      const key = JSON.stringify([meant.namespaces, meant.name ?? null, meant.withRuns]);
      const before = asked.get(key);
      if (before !== undefined && clock.now() - before.atMs < ASKED_MS && !before.seen.isGivenUp) {
        return before.seen.read(signal);
      }
      asked.delete(key);
      if (asked.size >= MOST_ASKED) asked.delete(asked.keys().next().value ?? '');
      const asking = { atMs: clock.now(), seen: new SharedWork((over) => ask(meant, over)) };
      asked.set(key, asking);
      asking.seen.onFailure(() => {
        if (asked.get(key) === asking) asked.delete(key);
      });
      return asking.seen.read(signal);
    },
    subscribe: () => undefined,
  };
}

/** The triggers of a collection, or that of one name; undefined where the collection is not there any more. */
async function fetched(
  reader: KubeReader,
  collection: string,
  name: string | undefined,
  signal: AbortSignal,
): Promise<readonly TriggerSummary[] | undefined> {
  const triggers: TriggerSummary[] = [];
  try {
    if (name !== undefined) {
      return [projectTriggerSummary(await reader.get(`${collection}/${encodeURIComponent(name)}`, { signal }))];
    }
    for await (const { items } of listPages(reader, collection, { signal })) {
      for (const item of items) triggers.push(projectTriggerSummary(objectOf(item)));
    }
    return triggers;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.code === 'refused') throw unreadable(error);
    if (error.code !== 'not-found') throw error;
    return name === undefined ? undefined : [];
  }
}

function unreadable(cause: Fault): Fault {
  return new Fault(
    'refused',
    `PipelineTriggers cannot be read: ${cause.message}; the rights for it are in k8s/components/triggers-read`,
    { cause },
  );
}

/** Runs by the trigger that they are of. Each belongs to one at most. */
class RunsByTrigger {
  readonly #most: number;
  readonly #runs = new Map<string, Map<string, PipelineRun>>();

  /** `most`: of the runs of one trigger only so many of the newest are kept, more or less. */
  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most;
  }

  put(run: PipelineRun): void {
    const key = keyOfRun(run);
    if (key === undefined) return;
    const runs = this.#runs.get(key) ?? new Map<string, PipelineRun>();
    this.#runs.set(key, runs.set(run.meta.name, run));
    if (runs.size < 2 * this.#most) return;
    this.#runs.set(key, new Map(newestOf(runs.values(), this.#most).map((each) => [each.meta.name, each])));
  }

  remove(run: PipelineRun): void {
    const key = keyOfRun(run);
    const runs = key === undefined ? undefined : this.#runs.get(key);
    if (key === undefined || runs === undefined) return;
    runs.delete(run.meta.name);
    if (runs.size === 0) this.#runs.delete(key);
  }

  /** The runs that it owns, and those without an owner that say they are of a trigger of its name. */
  newest({ meta: { namespace, name, uid } }: TriggerSummary, count: number): readonly PipelineRun[] {
    const [owned, labelled] = [this.#runs.get(ownedKey(namespace, uid)), this.#runs.get(labelledKey(namespace, name))];
    return newestOf([...(owned?.values() ?? []), ...(labelled?.values() ?? [])], count);
  }
}

/** The newest `count` of some runs, in order. Only those are sorted: a trigger may have thousands. */
function newestOf(runs: Iterable<PipelineRun>, count: number): readonly PipelineRun[] {
  const newest: PipelineRun[] = [];
  const isNewer = (a: PipelineRun, b: PipelineRun) =>
    comparePlaces(placeOf(a, 'created'), placeOf(b, 'created'), true) < 0;
  for (const run of runs) {
    const last = newest.at(-1);
    if (newest.length >= count && (last === undefined || !isNewer(run, last))) continue;
    const place = newest.findIndex((other) => isNewer(run, other));
    newest.splice(place === -1 ? newest.length : place, 0, run);
    if (newest.length > count) newest.pop();
  }
  return newest;
}

/**
 * The trigger that a run is of. An owner decides, by its uid: one that something else owns is no trigger's, whatever it says.
 * The first releases of the original made runs without an owner; those carry a label, whose key the annotation shares.
 */
function keyOfRun(run: PipelineRun): string | undefined {
  const { namespace, owner } = run.meta;
  if (owner !== undefined) return owner.kind === TRIGGER_KIND ? ownedKey(namespace, owner.uid) : undefined;
  const name = triggerNameOf(run);
  return name === undefined ? undefined : labelledKey(namespace, name);
}

function triggerNameOf({ meta: { owner, labels, annotations } }: PipelineRun): string | undefined {
  if (owner !== undefined) return owner.kind === TRIGGER_KIND ? owner.name : undefined;
  return annotations[TRIGGER_ANNOTATION] ?? (labels[TRIGGER_ANNOTATION] || undefined);
}

function ownedKey(namespace: string, uid: string): string {
  return `${namespace} owned by ${uid}`;
}

function labelledKey(namespace: string, name: string): string {
  return `${namespace} labelled ${name}`;
}
