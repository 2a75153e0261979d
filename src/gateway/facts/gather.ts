/** From stores to facts: finds a run, gathers what belongs to it, and tells whoever waits that something of it changed. */
import { Fault } from '../../fault.ts';
import type { Kept, ObjectRef, Owner } from '../../kube/objects.ts';
import type { Store, StoreChange } from '../../kube/store.ts';
import type { Log } from '../../log.ts';
import type { CustomRun, PipelineRun, Pod, RunFacts, TaskRun } from '../../tekton/types.ts';
import type { Lookup } from './lookup.ts';

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
  /** As `find`, for who wants nothing but the run itself: where nothing is watched it costs one GET. */
  glance(ref: ObjectRef): Promise<PipelineRun>;
  /** The TaskRun of this name, standalone or of a run, as `find` finds a run. Fault `not-found`: 'taskrun not found'. */
  findTaskRun(ref: ObjectRef): Promise<TaskRun>;
  /** Fault `unavailable` while what the stores have of this namespace is incomplete or too old to be believed. */
  requireFresh(namespace: string): void;
  /** The run in the store now, however old that is. */
  known(ref: ObjectRef): PipelineRun | undefined;
  /** The TaskRun in the store now, however old that is. */
  knownTaskRun(ref: ObjectRef): TaskRun | undefined;
  /** Everything of `run` that the stores have. */
  facts(run: PipelineRun): RunFacts;
  /** The pods of one TaskRun that the stores have: one for each attempt. */
  podsOf(taskRun: TaskRun): readonly Pod[];
  /** The pod of this name by one GET, as `Lookup.pod` has it. */
  fetchPod(ref: ObjectRef): Promise<Pod | undefined>;
  /** The pod of this name now, if it is (one attempt of) a TaskRun's. */
  pod(ref: ObjectRef): Pod | undefined;
  /**
   * Calls `listener` soon after anything of the run of this name changed: once for all changes of one turn of the event
   * loop. Runs not yet created may be named. Returns the end of the subscription; calling that twice is harmless.
   */
  subscribe(ref: ObjectRef, listener: () => void): () => void;
  /** As `subscribe`, for what changes of the TaskRun of this name and its pods. */
  subscribeTaskRun(ref: ObjectRef, listener: () => void): () => void;
  /** Every run that is served; undefined where nothing is watched (CACHE=off), and `list` asks the cluster. */
  readonly all: Store<PipelineRun> | undefined;
  /**
   * The runs of `namespace` ('' for all the cluster) in pages from the API server, in no promised order. Faults: as a
   * GET; `gone` when the listing took so long that the cluster has forgotten its beginning.
   */
  list(namespace: string, signal: AbortSignal): AsyncIterable<readonly PipelineRun[]>;
}

/** What of `Runs` comes from stores alone. */
export type StoredRuns = Pick<
  Runs,
  'known' | 'knownTaskRun' | 'facts' | 'podsOf' | 'pod' | 'subscribe' | 'subscribeTaskRun'
>;

/** How deep nested PipelineRuns are followed. */
export const DEEPEST = 8;
/** Facts kept gathered: those of the runs that are followed now, with room for many that are only asked about. */
const MOST_GATHERED = 1_000;

/** `Runs` over stores that a watch keeps true, `lookup` for what they do not have, and what else the names say. */
export function createRuns(
  stores: RunStores,
  more: {
    readonly lookup: Lookup;
    /** Throws while the watches of a namespace are too old to be believed. */
    readonly requireFresh: (namespace: string) => void;
    readonly log: Log;
  },
): Runs {
  const { lookup, requireFresh, log } = more;
  const find = async <T>(known: T | undefined, namespace: string, ask: () => Promise<T>): Promise<T> => {
    if (known === undefined) return ask();
    requireFresh(namespace);
    return known;
  };
  const stored = storedRuns(stores, log);
  const findRun: Runs['find'] = (ref) => find(stores.runs.get(ref), ref.namespace, () => lookup.run(ref));
  return {
    ...stored,
    find: findRun,
    glance: findRun,
    findTaskRun: (ref) => find(stores.taskRuns.get(ref), ref.namespace, () => lookup.taskRun(ref)),
    requireFresh,
    fetchPod: lookup.pod,
    all: stores.runs,
    list: lookup.runs,
  };
}

/** What stores tell. Children are found by the uid of their owner alone: names and labels can be set by anybody. */
export function storedRuns(stores: RunStores, log: Log): StoredRuns {
  const listeners = new Map<string, Set<() => void>>();
  const due = new Set<string>();
  let isScheduled = false;
  /** Facts by the uid of their run, until anything of it changes: many may follow one run. */
  const gathered = new Map<string, RunFacts>();

  const tellDue = (): void => {
    isScheduled = false;
    const keys = [...due];
    due.clear();
    for (const key of keys)
      for (const listener of [...(listeners.get(key) ?? [])]) {
        try {
          listener();
        } catch (error) {
          // One follower's mistake must not keep the others from hearing, nor end the process.
          log.error('a follower of a run failed', { run: key, error: String(error) });
        }
      }
  };
  const tell = (key: string): void => {
    if (!listeners.has(key)) return;
    due.add(key);
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(tellDue);
  };
  const parent = (namespace: string, owner: Owner | undefined): PipelineRun | TaskRun | undefined => {
    if (owner?.kind !== 'PipelineRun' && owner?.kind !== 'TaskRun') return undefined;
    const store: Store<PipelineRun | TaskRun> = owner.kind === 'PipelineRun' ? stores.runs : stores.taskRuns;
    const found = store.get({ namespace, name: owner.name });
    return found?.meta.uid === owner.uid ? found : undefined;
  };
  const tellAncestors = ({ object }: StoreChange<PipelineRun | TaskRun | CustomRun | Pod>): void => {
    if (listeners.size === 0 && gathered.size === 0) return;
    const { namespace } = object.meta;
    let at: PipelineRun | TaskRun | CustomRun | Pod | undefined = object;
    // A pod, its TaskRun, its run, and the runs that one is nested in.
    for (let depth = 0; at !== undefined && depth < DEEPEST + 2; depth++) {
      gathered.delete(at.meta.uid);
      tell(keyOf(at.kind, at.meta));
      at = parent(namespace, at.meta.owner);
    }
  };
  for (const store of [stores.runs, stores.taskRuns, stores.customRuns, stores.pods] as const) {
    store.subscribe(tellAncestors);
  }

  const gather = (run: PipelineRun, seen: ReadonlySet<string>): RunFacts => {
    const taskRuns = childrenOf(stores.taskRuns, run);
    const inside = new Set([...seen, run.meta.uid]);
    return {
      run,
      taskRuns,
      customRuns: childrenOf(stores.customRuns, run),
      nested:
        inside.size > DEEPEST
          ? []
          : childrenOf(stores.runs, run)
              .filter(({ meta }) => !inside.has(meta.uid))
              .map((nested) => gather(nested, inside)),
      pods: taskRuns.flatMap((taskRun) => childrenOf(stores.pods, taskRun)),
    };
  };
  const subscribe = (key: string, listener: () => void): (() => void) => {
    const own = () => listener();
    const all = listeners.get(key) ?? new Set();
    all.add(own);
    listeners.set(key, all);
    return () => {
      all.delete(own);
      if (all.size === 0 && listeners.get(key) === all) listeners.delete(key);
    };
  };

  return {
    known: (ref) => stores.runs.get(ref),
    knownTaskRun: (ref) => stores.taskRuns.get(ref),
    facts(run) {
      const known = gathered.get(run.meta.uid);
      if (known?.run === run) return known;
      const made = gather(run, new Set());
      if (gathered.size >= MOST_GATHERED) gathered.clear();
      gathered.set(run.meta.uid, made);
      return made;
    },
    podsOf: (taskRun) => childrenOf(stores.pods, taskRun),
    pod: (ref) => stores.pods.get(ref),
    subscribe: (ref, listener) => subscribe(keyOf('PipelineRun', ref), listener),
    subscribeTaskRun: (ref, listener) => subscribe(keyOf('TaskRun', ref), listener),
  };
}

/**
 * What `parent` owns. An owner is always of the same namespace, but nobody checks a reference when it is written, and whoever
 * may write in one namespace must not put words into the runs of another.
 * https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents
 */
function childrenOf<T extends Kept>(store: Store<T>, { meta }: Kept): readonly T[] {
  const owned = store.ownedBy(meta.uid);
  const isForeign = (child: T) => child.meta.namespace !== meta.namespace;
  return owned.some(isForeign) ? owned.filter((child) => !isForeign(child)) : owned;
}

/** How long to wait, and what ends it before. */
export interface Waiting {
  readonly forMs: number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/** What can be looked for by name and waited for. `Runs` is one itself, of runs. */
export interface Finder<T> {
  find(ref: ObjectRef): Promise<T>;
  known(ref: ObjectRef): T | undefined;
  subscribe(ref: ObjectRef, listener: () => void): () => void;
}

/** The TaskRuns of `runs`, to be looked for and waited for. */
export function taskRunFinder(runs: Runs): Finder<TaskRun> {
  return {
    find: (ref) => runs.findTaskRun(ref),
    known: (ref) => runs.knownTaskRun(ref),
    subscribe: (ref, listener) => runs.subscribeTaskRun(ref, listener),
  };
}

/**
 * Waits until the object exists, `forMs` at most. Faults as `find`: `not-found` when it was not created in time;
 * `draining` when `signal` has ended the waiting.
 */
export async function findWithin<T>(finder: Finder<T>, ref: ObjectRef, wait: Waiting): Promise<T> {
  let missing: Fault;
  try {
    return await finder.find(ref);
  } catch (error) {
    if (wait.forMs <= 0 || !(error instanceof Fault) || error.code !== 'not-found') throw error;
    missing = error;
  }
  const created = await changed(finder, ref, wait, () => finder.known(ref) !== undefined);
  // Who waits must not take the end of this process for the absence of the run. A caller who has gone does not mind.
  if (!created && wait.signal.aborted) throw new Fault('draining', 'this replica is stopping; ask again');
  if (!created) throw missing;
  return finder.find(ref);
}

/** Given as the reason of an abort: without one each makes an error with a stack, at ten thousand waiters in one moment. */
const ENOUGH = 'enough';

/** Waits until `holds` after some change of the object; false when the time was over or the caller has gone first. */
export async function changed(
  finder: Pick<Finder<unknown>, 'subscribe'>,
  ref: ObjectRef,
  wait: Waiting,
  holds: () => boolean,
): Promise<boolean> {
  if (holds()) return true;
  const over = new AbortController();
  const stop = () => over.abort(ENOUGH);
  const unsubscribe = finder.subscribe(ref, () => {
    if (holds()) over.abort(ENOUGH);
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

function keyOf(kind: string, { namespace, name }: ObjectRef): string {
  return `${kind} ${namespace}/${name}`;
}
