/** From stores to facts: finds a run, gathers what belongs to it, and tells whoever waits that something of it changed. */
import { Fault } from '../fault.ts';
import type { Kept, ObjectRef, Owner } from '../kube/objects.ts';
import type { Store } from '../kube/store.ts';
import type { Log } from '../log.ts';
import type { CustomRun, PipelineRun, Pod, RunFacts, TaskRun } from '../tekton/types.ts';

/** The caches that answers come from. */
export interface RunStores {
  readonly runs: Store<PipelineRun>;
  readonly taskRuns: Store<TaskRun>;
  readonly customRuns: Store<CustomRun>;
  readonly pods: Store<Pod>;
}

/** Runs as the gateway asks for them. */
export interface Runs {
  /**
   * The run of this name: from the store, else by one GET. Faults: `not-found`; `unavailable` when the store has not heard
   * from the cluster for too long, or the cluster does not answer; `refused`, `timeout` as the GET says.
   */
  find(ref: ObjectRef): Promise<PipelineRun>;
  /** Fault `unavailable` while what the stores have of this namespace is incomplete or too old to be believed. */
  requireFresh(namespace: string): void;
  /** The run in the store now, however old that is. */
  known(ref: ObjectRef): PipelineRun | undefined;
  /** Everything of `run` that the stores have. */
  facts(run: PipelineRun): RunFacts;
  /** The pod of this name by one GET; undefined when there is none, or it cannot be had. */
  fetchPod(ref: ObjectRef): Promise<Pod | undefined>;
  /** The pod of this name now, if it is (one attempt of) a TaskRun's. */
  pod(ref: ObjectRef): Pod | undefined;
  /**
   * Calls `listener` soon after anything of the run of this name changed: once for all changes of one turn of the event
   * loop. Runs not yet created may be named. Returns the end of the subscription; calling that twice is harmless.
   */
  subscribe(ref: ObjectRef, listener: () => void): () => void;
}

/** How deep nested PipelineRuns are followed. */
const DEEPEST = 8;

/**
 * `Runs` over stores. `fetchRun` and `fetchPod` GET and project one object; `requireFresh` throws while the watches of a namespace are too
 * old to be believed. Children are found by the uid of their owner alone: names and labels can be set by anybody.
 */
export function createRuns(
  stores: RunStores,
  more: {
    readonly fetchRun: (ref: ObjectRef) => Promise<PipelineRun>;
    readonly fetchPod: (ref: ObjectRef) => Promise<Pod | undefined>;
    readonly requireFresh: (namespace: string) => void;
    readonly log: Log;
  },
): Runs {
  const listeners = new Map<string, Set<() => void>>();
  const due = new Set<string>();
  let isScheduled = false;
  /** Facts by run, until anything changes: many may follow one run. */
  const gathered = new Map<PipelineRun, RunFacts>();

  const tell = (key: string): void => {
    if (!listeners.has(key)) return;
    due.add(key);
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      const keys = [...due];
      due.clear();
      for (const key of keys)
        for (const listener of [...(listeners.get(key) ?? [])]) {
          try {
            listener();
          } catch (error) {
            // One follower's mistake must not keep the others from hearing, nor end the process.
            more.log.error('a follower of a run failed', { run: key, error: String(error) });
          }
        }
    });
  };
  const parent = (namespace: string, owner: Owner | undefined): Kept | undefined => {
    if (owner?.kind !== 'PipelineRun' && owner?.kind !== 'TaskRun') return undefined;
    const store: Store<Kept> = owner.kind === 'PipelineRun' ? stores.runs : stores.taskRuns;
    const found = store.get({ namespace, name: owner.name });
    return found?.meta.uid === owner.uid ? found : undefined;
  };
  const tellAncestors = ({ object }: { readonly object: Kept }): void => {
    gathered.clear();
    if (listeners.size === 0) return;
    const { namespace } = object.meta;
    let at: Kept | undefined = object;
    // A pod, its TaskRun, its run, and the runs that one is nested in.
    for (let depth = 0; at !== undefined && depth < DEEPEST + 2; depth++) {
      tell(keyOf(at.meta));
      at = parent(namespace, at.meta.owner);
    }
  };
  for (const store of [stores.runs, stores.taskRuns, stores.customRuns, stores.pods] as const) {
    store.subscribe(tellAncestors);
  }

  const facts = (run: PipelineRun, seen: ReadonlySet<string>): RunFacts => {
    const taskRuns = stores.taskRuns.ownedBy(run.meta.uid);
    const inside = new Set([...seen, run.meta.uid]);
    return {
      run,
      taskRuns,
      customRuns: stores.customRuns.ownedBy(run.meta.uid),
      nested:
        inside.size > DEEPEST
          ? []
          : stores.runs
              .ownedBy(run.meta.uid)
              .filter(({ meta }) => !inside.has(meta.uid))
              .map((nested) => facts(nested, inside)),
      pods: taskRuns.flatMap(({ meta }) => stores.pods.ownedBy(meta.uid)),
    };
  };

  return {
    async find(ref) {
      const known = stores.runs.get(ref);
      if (known === undefined) return more.fetchRun(ref);
      more.requireFresh(ref.namespace);
      return known;
    },
    requireFresh: more.requireFresh,
    known: (ref) => stores.runs.get(ref),
    facts(run) {
      const known = gathered.get(run);
      if (known !== undefined) return known;
      const made = facts(run, new Set());
      gathered.set(run, made);
      return made;
    },
    fetchPod: more.fetchPod,
    pod: (ref) => stores.pods.get(ref),
    subscribe(ref, listener) {
      const key = keyOf(ref);
      const own = () => listener();
      const all = listeners.get(key) ?? new Set();
      all.add(own);
      listeners.set(key, all);
      return () => {
        all.delete(own);
        if (all.size === 0 && listeners.get(key) === all) listeners.delete(key);
      };
    },
  };
}

/** How long to wait, and what ends it before. */
export interface Waiting {
  readonly forMs: number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Waits until the run exists, `forMs` at most. Faults as `find`: `not-found` when it was not created in time; `draining`
 * when `signal` has ended the waiting.
 */
export async function findWithin(runs: Runs, ref: ObjectRef, wait: Waiting): Promise<PipelineRun> {
  try {
    return await runs.find(ref);
  } catch (error) {
    if (wait.forMs <= 0 || !(error instanceof Fault) || error.code !== 'not-found') throw error;
  }
  const created = await changed(runs, ref, wait, () => runs.known(ref) !== undefined);
  // Who waits must not take the end of this process for the absence of the run. A caller who has gone does not mind.
  if (!created && wait.signal.aborted) throw new Fault('draining', 'this replica is stopping; ask again');
  if (!created) throw new Fault('not-found', 'pipeline not found');
  return runs.find(ref);
}

/** Waits until `holds` after some change of the run; false when the time was over or the caller has gone first. */
export async function changed(runs: Runs, ref: ObjectRef, wait: Waiting, holds: () => boolean): Promise<boolean> {
  if (holds()) return true;
  const over = new AbortController();
  const stop = () => over.abort();
  const unsubscribe = runs.subscribe(ref, () => {
    if (holds()) over.abort();
  });
  wait.signal.addEventListener('abort', stop, { once: true });
  try {
    // Not only the subscription: what it waits for may have come between the question and the subscription.
    if (!holds() && !wait.signal.aborted) await wait.sleep(wait.forMs, over.signal);
  } finally {
    unsubscribe();
    wait.signal.removeEventListener('abort', stop);
  }
  return holds();
}

function keyOf({ namespace, name }: ObjectRef): string {
  return `${namespace}/${name}`;
}
