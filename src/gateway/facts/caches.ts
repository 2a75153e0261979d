/** The stores that answers come from, kept true by one watch per kind and namespace, and how far they can be believed. */
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import { discovery, type Wanted } from '../../kube/discovery.ts';
import type { SharedWatches } from '../../kube/feeds.ts';
import type { JsonObject, Kept } from '../../kube/objects.ts';
import { createPacking } from '../../kube/packing.ts';
import { type Readiness, readiness as readinessOf, STALE_MS } from '../../kube/ready.ts';
import { scopesOf } from '../../kube/scopes.ts';
import { createStore, type Store } from '../../kube/store.ts';
import { startWatch, type Watch } from '../../kube/watch.ts';
import { watchKind } from '../../kube/watchkind.ts';
import type { Part } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import type { Metrics } from '../../metrics.ts';
import { projectCustomRun, projectPipelineRun, projectPod, projectTaskRun } from '../../tekton/project.ts';
import { CUSTOM_RUNS, PIPELINE_RUNS, TASK_RUNS } from '../../tekton/resources.ts';
import { isPodAtRest, isTaskRunAtRest, SHARED_WORDS } from '../../tekton/resting.ts';
import type { PipelineRun, Pod, TaskRun } from '../../tekton/types.ts';
import type { ServedNamespaces } from '../callers/auth.ts';
import { createRuns, type Runs } from './gather.ts';
import { createLookup } from './lookup.ts';
import { createWatchedTriggers, type Triggers } from './triggers.ts';

/** What the caches need. */
export interface CachesParts {
  readonly reader: KubeReader;
  readonly served: ServedNamespaces;
  /** As WATCH_SECONDS. */
  readonly watchSeconds?: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** The caches as a part of the process. */
export interface Caches extends Part {
  readonly runs: Runs;
  /** Every PipelineRun of the served namespaces, and when all of them have been listed; absent where none are kept. */
  readonly pipelineRuns?: { readonly store: Store<PipelineRun>; filled(signal: AbortSignal): Promise<void> };
  /** Neither `readiness` nor `filled` depends on them: a cluster may have none. */
  readonly triggers: Triggers;
  /** The watches of PipelineTriggers; absent where none are kept. */
  readonly triggerWatches?: SharedWatches;
  readiness(): Readiness;
  /** Resolves when every store has been filled once; rejects with the reason of `signal`. Only after `start`. */
  filled(signal: AbortSignal): Promise<void>;
}

/** Makes the caches; `start` begins to fill them and does not wait for that. */
export function createCaches(parts: CachesParts): Caches {
  const { reader, served, clock, log } = parts;
  const scopes = scopesOf(served);
  const versions = discovery({ reader, clock });
  const runs = createStore<PipelineRun>(log);
  const taskRuns = createStore<TaskRun>(log, { isAtRest: isTaskRunAtRest, packing: createPacking(SHARED_WORDS) });
  const customRuns = createStore<ReturnType<typeof projectCustomRun>>(log);
  const pods = createStore<Pod>(log, { isAtRest: isPodAtRest, packing: createPacking(SHARED_WORDS) });
  let watches: readonly Watch[] = [];

  const watchTekton = <T extends Kept>(
    wanted: Wanted,
    scope: string,
    { writer }: ReturnType<typeof createStore<T>>,
    project: (raw: JsonObject) => T,
    optional = false,
  ): Watch => watchKind(wanted, scope, versions, { ...parts, optional, writer, project });
  const watchScope = (scope: string): readonly Watch[] => [
    watchTekton(PIPELINE_RUNS, scope, runs, projectPipelineRun),
    watchTekton(TASK_RUNS, scope, taskRuns, projectTaskRun),
    watchTekton(CUSTOM_RUNS, scope, customRuns, projectCustomRun, true),
    startWatch({
      ...parts,
      path: async () => (scope === '' ? '/api/v1/pods' : `/api/v1/namespaces/${scope}/pods`),
      resource: 'pods',
      scope,
      selection: { labels: 'tekton.dev/taskRun' },
      writer: pods.writer,
      project: projectPod,
    }),
  ];
  const requireFresh = (namespace: string): void => {
    const now = clock.now();
    for (const watch of watches) {
      if ((watch.scope === namespace || watch.scope === '') && watch.staleMs(now) > STALE_MS) {
        throw new Fault('unavailable', `the cluster has not been heard from for too long (${watch.resource})`, {
          retryAfterMs: 5_000,
        });
      }
    }
  };

  const triggers = createWatchedTriggers({ ...parts, scopes }, { store: runs.store, requireFresh });

  return {
    name: 'caches',
    runs: createRuns(
      { runs: runs.store, taskRuns: taskRuns.store, customRuns: customRuns.store, pods: pods.store },
      { lookup: createLookup({ reader, versions }), requireFresh, log },
    ),
    triggers: triggers.triggers,
    triggerWatches: triggers.shared,
    pipelineRuns: {
      store: runs.store,
      async filled(signal) {
        const needed = watches.filter(({ resource }) => resource === PIPELINE_RUNS.resource);
        await Promise.all(needed.map((watch) => watch.ready(signal)));
      },
    },
    readiness: () => readinessOf(watches, clock.now()),
    async filled(signal) {
      await Promise.all(watches.map((watch) => watch.ready(signal)));
    },
    async start() {
      watches = scopes.flatMap(watchScope);
      triggers.start();
    },
    async stop() {
      await Promise.all([triggers.stop(), ...watches.map((watch) => watch.stop())]);
    },
  };
}
