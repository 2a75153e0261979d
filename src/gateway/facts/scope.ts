/** Everything of one run, watched by its name and by the label that its children carry. */
import type { Fault } from '../../fault.ts';
import type { Discovery, Wanted } from '../../kube/discovery.ts';
import type { JsonObject, Kept, ObjectRef } from '../../kube/objects.ts';
import type { Selection } from '../../kube/pages.ts';
import { createStore, partOf, type StoreWriter } from '../../kube/store.ts';
import { startWatch, type Watch } from '../../kube/watch.ts';
import { projectCustomRun, projectPipelineRun, projectPod, projectTaskRun } from '../../tekton/project.ts';
import { CUSTOM_RUNS, PIPELINE_RUNS, TASK_RUNS } from '../../tekton/resources.ts';
import type { CustomRun, PipelineRun, Pod, TaskRun } from '../../tekton/types.ts';
import type { CachesParts } from './caches.ts';
import { DEEPEST, type StoredRuns, storedRuns } from './gather.ts';

/** What a scope is about: a run with all that is below it, or one TaskRun with its pods. */
export type ScopeKind = 'PipelineRun' | 'TaskRun';

/** One run, kept true. */
export interface Scope {
  readonly namespace: string;
  readonly stored: StoredRuns;
  /** Resolves once everything of it has been listed, nested runs included. Never rejects. */
  readonly filled: Promise<void>;
  isFilled(): boolean;
  /** As `Watch.staleMs`: that of the watch which is worst off. */
  staleMs(now: number): number;
  /** What keeps it from being listed. */
  problem(): Fault | undefined;
  /** Closes every connection. */
  close(): Promise<void>;
}

/** Runs that are nested in one run and followed with it; each costs four connections. */
const MOST_NESTED = 50;

/**
 * Starts to watch the run (or TaskRun) of this name, which need not exist yet. Nested runs are followed as they appear.
 * Selection is by name, as nothing else is known beforehand; what belongs together is told by uid, as everywhere.
 */
export function openScope(
  kind: ScopeKind,
  { namespace, name }: ObjectRef,
  parts: CachesParts & { readonly versions: Discovery },
): Scope {
  const { versions } = parts;
  // Every run that is asked about would be a dozen lines.
  const log = { ...parts.log, info: parts.log.debug };
  // The age of a watch is for watches that are always there.
  const metrics = { ...parts.metrics, watching: () => () => {} };
  const runs = createStore<PipelineRun>(log);
  const taskRuns = createStore<TaskRun>(log);
  const customRuns = createStore<CustomRun>(log);
  const pods = createStore<Pod>(log);
  const watches: Watch[] = [];
  const followed = new Set<string>();
  let isClosed = false;

  const watch = <T extends Kept>(
    writer: StoreWriter<T>,
    project: (raw: JsonObject) => T,
    resource: string,
    path: () => Promise<string | undefined>,
    selection: Selection,
    optional = false,
  ): void => {
    const doubt = () => versions.doubt(PIPELINE_RUNS.group);
    const own = { ...parts, log, metrics, resource, path, doubt, scope: namespace, selection, optional, project };
    watches.push(startWatch({ ...own, writer: partOf(writer) }));
  };
  const watchTekton = <T extends Kept>(
    writer: StoreWriter<T>,
    project: (raw: JsonObject) => T,
    wanted: Wanted,
    selection: Selection,
    optional?: boolean,
  ) => watch(writer, project, wanted.resource, () => versions.pathOf(wanted, namespace), selection, optional);
  const watchPods = (labels: string) =>
    watch(pods.writer, projectPod, 'pods', async () => `/api/v1/namespaces/${namespace}/pods`, { labels });

  const follow = (run: string): void => {
    followed.add(run);
    const labels = `tekton.dev/pipelineRun=${run}`;
    watchTekton(runs.writer, projectPipelineRun, PIPELINE_RUNS, { labels });
    watchTekton(taskRuns.writer, projectTaskRun, TASK_RUNS, { labels });
    watchTekton(customRuns.writer, projectCustomRun, CUSTOM_RUNS, { labels }, true);
    watchPods(labels);
  };
  /** How far below the run of this scope; undefined: a label says that it belongs here, and its owner does not. */
  const depthOf = (run: PipelineRun): number | undefined => {
    let at: PipelineRun | undefined = run;
    for (let depth = 0; depth <= DEEPEST && at !== undefined; depth++) {
      if (at.meta.name === name) return depth;
      const owner: PipelineRun['meta']['owner'] = at.meta.owner;
      const above: PipelineRun | undefined =
        owner?.kind === 'PipelineRun' ? runs.store.get({ namespace, name: owner.name }) : undefined;
      at = above?.meta.uid === owner?.uid ? above : undefined;
    }
    return undefined;
  };
  const followNested = (): void => {
    if (isClosed) return;
    for (const run of runs.store.values()) {
      if (followed.size > MOST_NESTED || followed.has(run.meta.name)) continue;
      const depth = depthOf(run);
      if (depth !== undefined && depth > 0 && depth < DEEPEST) follow(run.meta.name);
    }
  };
  // What is nested can come before the run it is nested in: each has a watch of its own.
  runs.store.subscribe(({ type }) => {
    if (type === 'added') followNested();
  });

  if (kind === 'PipelineRun') {
    watchTekton(runs.writer, projectPipelineRun, PIPELINE_RUNS, { fields: `metadata.name=${name}` });
    follow(name);
  } else {
    watchTekton(taskRuns.writer, projectTaskRun, TASK_RUNS, { fields: `metadata.name=${name}` });
    watchPods(`tekton.dev/taskRun=${name}`);
  }

  const closed = new AbortController();
  let isFilled = false;
  const fill = async (): Promise<void> => {
    // Each list can bring a nested run, and that more watches.
    for (let listed = 0; listed < watches.length; ) {
      const all = [...watches];
      await Promise.all(all.map((each) => each.ready(closed.signal)));
      listed = all.length;
    }
    isFilled = true;
  };

  return {
    namespace,
    stored: storedRuns(
      { runs: runs.store, taskRuns: taskRuns.store, customRuns: customRuns.store, pods: pods.store },
      log,
    ),
    filled: fill().catch(() => new Promise<never>(() => {})), // closed before: whoever waits has a deadline of their own
    isFilled: () => isFilled,
    staleMs: (now) => Math.max(...watches.map((each) => each.staleMs(now))),
    problem: () => watches.find((each) => !each.listed() && each.problem() !== undefined)?.problem(),
    async close() {
      isClosed = true;
      closed.abort();
      await Promise.all(watches.map((each) => each.stop()));
    },
  };
}
