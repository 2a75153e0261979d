/** What the triggers' controller looks at: PipelineTriggers, their sources, the Pipelines they name and the runs they made, each kept true by a watch. */
import type { Clock } from '../../clock.ts';
import { projectSource, SOURCE_RESOURCES } from '../../flux/project.ts';
import { SOURCE_KINDS, type Source, type SourceKind } from '../../flux/types.ts';
import type { KubeReader } from '../../kube/client.ts';
import { discovery, type Wanted } from '../../kube/discovery.ts';
import type { Feed, SharedWatches } from '../../kube/feeds.ts';
import { type Kept, type ObjectRef, projectMeta } from '../../kube/objects.ts';
import { scopesOf } from '../../kube/scopes.ts';
import { createStore, type Store, within } from '../../kube/store.ts';
import type { Watch } from '../../kube/watch.ts';
import { watchKind } from '../../kube/watchkind.ts';
import type { Part } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import type { Metrics } from '../../metrics.ts';
import { projectPipelineRun } from '../../tekton/project.ts';
import { PIPELINE_RUNS, PIPELINES } from '../../tekton/resources.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { TRIGGERS } from '../../triggers/names.ts';
import { createRunIndex, type RunIndex } from '../../triggers/runs.ts';
import { missingSource, type SourceTrouble } from './conditions.ts';
import { type PipelineTrigger, projectTrigger } from './resource.ts';

/** What the caches need. */
export interface TriggerCachesParts {
  readonly reader: KubeReader;
  /** The namespaces that are looked after. */
  readonly served: '*' | readonly string[];
  /** The runs, where somebody watches them already. */
  readonly runs?: { readonly store: Store<PipelineRun>; filled(signal: AbortSignal): Promise<void> };
  /** The watches of PipelineTriggers, where somebody has some already. */
  readonly triggerWatches?: SharedWatches;
  readonly watchSeconds?: number;
  readonly clock: Clock;
  /** In [0, 1), for jitter. */
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** The caches as a part of the process: `start` begins to fill them and does not wait for that. */
export interface TriggerCaches extends Part {
  readonly triggers: Store<PipelineTrigger>;
  readonly sources: Readonly<Record<SourceKind, Store<Source>>>;
  readonly pipelines: Store<Kept>;
  readonly runs: Store<PipelineRun>;
  readonly runIndex: RunIndex;
  /** The source of that kind and name, or why it cannot be looked at. */
  source(kind: SourceKind, ref: ObjectRef): Source | SourceTrouble;
  /** Whether every run of a namespace is known. */
  isComplete(namespace: string): boolean;
  /** Whether it is known that there is no such Pipeline. */
  isPipelineMissing(ref: ObjectRef): boolean;
  /**
   * Resolves when triggers and runs have been listed, and every other kind as well or for five seconds in vain: one that may not
   * be read is the trouble of those triggers that name it. A namespace that gives no right to its triggers or runs is not waited
   * for longer either: see `isComplete`. Rejects with the reason of `signal`. Only after `start`.
   */
  filled(signal: AbortSignal): Promise<void>;
  /** What keeps a kind from being listed, a sentence for each. */
  problems(): readonly string[];
  /** Whether the cluster has the kind PipelineTrigger, as far as that is known. */
  isServed(): boolean;
  /** Calls `listener` when a kind has been listed that `filled` did not wait for. */
  onLate(listener: () => void): void;
}

/** How long a kind is waited for that may not be there to read. */
const PATIENCE_MS = 5_000;

/** Makes the caches. Kinds that the cluster does not serve are looked for again each minute, and their absence is no trouble of others. */
export function createTriggerCaches(parts: TriggerCachesParts): TriggerCaches {
  const { reader, served, clock, log, triggerWatches } = parts;
  const scopes = scopesOf(served);
  const versions = discovery({ reader, clock });
  const triggers = createStore<PipelineTrigger>(log);
  const pipelines = createStore<Kept>(log);
  const ownRuns = parts.runs === undefined ? createStore<PipelineRun>(log) : undefined;
  const runs = parts.runs?.store ?? (ownRuns as NonNullable<typeof ownRuns>).store;
  let isRunsFilled = false;
  const sources = Object.fromEntries(SOURCE_KINDS.map((kind) => [kind, createStore<Source>(log)])) as Record<
    SourceKind,
    ReturnType<typeof createStore<Source>>
  >;
  const late = new Set<() => void>();
  let ownWatches: readonly Watch[] = [];
  const triggerFeed: Feed<PipelineTrigger> = {
    writer: within(triggers.writer, served),
    project: projectTrigger,
  };
  triggerWatches?.join(triggerFeed);

  const watch = <T extends Kept>(wanted: Wanted, scope: string, feed: Feed<T>): Watch =>
    watchKind(wanted, scope, versions, { ...parts, ...feed, optional: true });

  const watchScope = (scope: string): readonly Watch[] => [
    ...(triggerWatches === undefined ? [watch(TRIGGERS, scope, triggerFeed)] : []),
    ...SOURCE_KINDS.map((kind) =>
      watch(SOURCE_RESOURCES[kind], scope, {
        writer: sources[kind].writer,
        project: (raw) => projectSource(kind, raw),
      }),
    ),
    watch(PIPELINES, scope, { writer: pipelines.writer, project: (raw) => ({ meta: projectMeta(raw) }) }),
    ...(ownRuns === undefined
      ? []
      : [watch(PIPELINE_RUNS, scope, { writer: ownRuns.writer, project: projectPipelineRun })]),
  ];

  const watches = (): readonly Watch[] => [...(triggerWatches?.watches() ?? []), ...ownWatches];

  const watchOf = (resource: string, namespace: string): Watch | undefined =>
    watches().find((watch) => watch.resource === resource && (watch.scope === '' || watch.scope === namespace));

  return {
    name: 'trigger caches',
    triggers: triggers.store,
    sources: Object.fromEntries(SOURCE_KINDS.map((kind) => [kind, sources[kind].store])) as TriggerCaches['sources'],
    pipelines: pipelines.store,
    runs,
    runIndex: createRunIndex(runs),
    source(kind, ref) {
      const { resource, group } = SOURCE_RESOURCES[kind];
      const found = sources[kind].store.get(ref);
      if (found !== undefined) return found;
      const watch = watchOf(resource, ref.namespace);
      if (watch?.listed() !== true) {
        const problem = watch?.problem();
        return problem === undefined
          ? { trouble: 'unknown', message: `looking for ${kind} ${ref.name}` }
          : { trouble: 'unreadable', message: `${resource}.${group} cannot be read: ${problem.message}` };
      }
      if (watch.absent()) {
        return { trouble: 'unserved', message: `this cluster serves no ${resource}.${group}` };
      }
      return missingSource(kind, ref.name);
    },
    isComplete(namespace) {
      return ownRuns === undefined ? isRunsFilled : watchOf(PIPELINE_RUNS.resource, namespace)?.listed() === true;
    },
    isPipelineMissing(ref) {
      return pipelines.store.get(ref) === undefined && watchOf(PIPELINES.resource, ref.namespace)?.listed() === true;
    },
    async filled(signal) {
      const patience = clock.sleep(PATIENCE_MS, signal);
      const isNeeded = ({ resource }: Watch) =>
        [TRIGGERS, PIPELINE_RUNS].some((wanted) => wanted.resource === resource);
      const untilListedOrRefused = async (watch: Watch, ready: Promise<void>) => {
        do await Promise.race([ready, clock.sleep(PATIENCE_MS, signal)]);
        while (!watch.listed() && watch.problem()?.code !== 'refused');
      };
      let isOver = false;
      await parts.runs?.filled(signal);
      isRunsFilled = true;
      await Promise.all(
        watches().map((watch) => {
          const ready = watch.ready(signal).then(() => {
            if (isOver) for (const listener of late) listener();
          });
          ready.catch(() => {}); // only when `signal` has aborted
          return isNeeded(watch) ? untilListedOrRefused(watch, ready) : Promise.race([ready, patience]);
        }),
      );
      signal.throwIfAborted();
      isOver = true;
    },
    onLate: (listener) => void late.add(listener),
    problems: () =>
      watches().flatMap((watch) => {
        const problem = watch.listed() ? undefined : watch.problem();
        return problem === undefined ? [] : [`${watch.resource}: ${problem.message}`];
      }),
    isServed: () => !watches().some((watch) => watch.resource === TRIGGERS.resource && watch.absent()),
    async start() {
      ownWatches = scopes.flatMap(watchScope);
    },
    async stop() {
      await Promise.all(ownWatches.map((watch) => watch.stop()));
    },
  };
}
