/**
 * Triggers as the gateway asks for them: from a store that watches keep true, or of the API server where nothing is kept. The
 * kind is optional: where a cluster has none, or gives no right to it, runs are served as ever.
 */
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import { discovery } from '../../kube/discovery.ts';
import { type Feed, type SharedWatches, together } from '../../kube/feeds.ts';
import { type Kept, objectOf } from '../../kube/objects.ts';
import { listPages } from '../../kube/pages.ts';
import { STALE_MS } from '../../kube/ready.ts';
import { createStore, type Store } from '../../kube/store.ts';
import type { Watch, WatchParts } from '../../kube/watch.ts';
import { watchKind } from '../../kube/watchkind.ts';
import { comparePlaces, placeOf } from '../../tekton/runlist.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { TRIGGERS } from '../../triggers/names.ts';
import { createRunIndex, keyOf, keysOf, triggerOf } from '../../triggers/runs.ts';
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
  /** For a controller in this process, so that nothing is watched twice. */
  readonly shared: SharedWatches;
  start(): void;
  stop(): Promise<void>;
}

/** Where nothing is watched, whoever asks again so soon is answered without asking the cluster. */
const ASKED_MS = 1_000;
const MOST_ASKED = 100;
/** Where nothing is watched, so many runs of a trigger are gathered at most: more are never told. */
const MOST_GATHERED = 50;

/** Triggers that a watch of each scope keeps true, with the runs of a store. */
export function createWatchedTriggers(
  parts: Pick<WatchParts<Kept>, 'reader' | 'watchSeconds' | 'clock' | 'random' | 'log' | 'metrics'> & {
    /** Namespaces, or '' for all: one watch each. */
    readonly scopes: readonly string[];
  },
  runs: { readonly store: Store<PipelineRun>; readonly requireFresh: (namespace: string) => void },
): WatchedTriggers {
  const { reader, clock, log, scopes } = parts;
  const versions = discovery({ reader, clock });
  const { store, writer } = createStore<TriggerSummary>(log);
  const feeds: Feed<Kept>[] = [{ writer, project: projectTriggerSummary }];
  let watches: readonly Watch[] | undefined;

  const requireReadable = (namespace: string): void => {
    const now = clock.now();
    for (const watch of watches ?? []) {
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
    triggers: storedTriggers(
      { triggers: store, runs: runs.store },
      { isServed: () => !watches?.some((watch) => watch.absent()), requireReadable },
    ),
    shared: {
      join(feed) {
        if (watches !== undefined) throw new Fault('internal', 'a store joins watches that have been started');
        feeds.push(feed);
      },
      watches: () => watches ?? [],
    },
    start() {
      const feed = together(feeds);
      watches = scopes.map((scope) => watchKind(TRIGGERS, scope, versions, { ...parts, ...feed, optional: true }));
    },
    async stop() {
      await Promise.all((watches ?? []).map((watch) => watch.stop()));
    },
  };
}

/** Triggers and their runs as stores have them. `requireReadable` throws while those of a namespace ('' for all) cannot be told. */
export function storedTriggers(
  stores: { readonly triggers: Store<TriggerSummary>; readonly runs: Store<PipelineRun> },
  more: { readonly isServed: () => boolean; readonly requireReadable: (namespace: string) => void },
): Triggers {
  const { triggers, runs } = stores;
  const index = createRunIndex(runs); // hears of each change before us
  const listeners = new Set<{ readonly meant: TriggersMeant; hear(): void }>();
  let changes = 0;

  const tell = (namespace: string, name: string): void => {
    changes += 1;
    for (const { meant, hear } of listeners) if (isMeant(meant, namespace, name)) hear();
  };
  triggers.subscribe(({ object: { meta } }) => tell(meta.namespace, meta.name));
  runs.subscribe(({ object, before }) => {
    const names = new Set([triggerOf(object)?.name, before && triggerOf(before)?.name]);
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
        runsOf: ({ meta }, count) => newestOf(index.of(meta), count),
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
    const gathered = new Map<TriggerSummary, readonly PipelineRun[]>();
    let isServed = true;
    for (const namespace of namespaces === 'all' ? [''] : namespaces) {
      const collection = await versions.pathOf(TRIGGERS, namespace);
      const found = collection === undefined ? undefined : await fetched(reader, collection, name, signal);
      if (found === undefined) {
        versions.doubt(TRIGGERS.group);
        isServed = false;
        continue;
      }
      triggers.push(...found);
      if (found.length === 0 || !withRuns) continue;
      const triggerOfKey = new Map(
        found.flatMap((trigger) => keysOf(trigger.meta).map((key) => [key, trigger] as const)),
      );
      for await (const page of runs.list(namespace, signal)) {
        for (const [trigger, own] of Map.groupBy(page, (run) => triggerOfKey.get(keyOf(run) ?? ''))) {
          if (trigger === undefined) continue;
          gathered.set(trigger, newestOf([...(gathered.get(trigger) ?? []), ...own], MOST_GATHERED));
        }
      }
    }
    revision += 1;
    return {
      revision,
      isServed,
      triggers: () => triggers,
      runsOf: (trigger, count) => (gathered.get(trigger) ?? []).slice(0, count),
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
