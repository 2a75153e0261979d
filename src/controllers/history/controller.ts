/** Keeps no more runs of a trigger than it wants kept: what `policy` says may go is deleted, a few at a time. */
import type { Clock } from '../../clock.ts';
import type { KubeReader } from '../../kube/client.ts';
import { createController } from '../../kube/controller.ts';
import type { Leadership } from '../../kube/lease.ts';
import type { Store } from '../../kube/store.ts';
import type { KubeWriter } from '../../kube/writer.ts';
import type { Part } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import type { Metrics } from '../../metrics.ts';
import { isDone } from '../../tekton/phase.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { type RunIndex, triggerOf } from '../../triggers/runs.ts';
import { createPace } from '../pace.ts';
import { type RunPath, readTrigger } from '../triggers/gather.ts';
import { eventKey } from '../triggers/manifest.ts';
import type { PipelineTrigger } from '../triggers/resource.ts';
import { readStanding } from '../triggers/status.ts';
import { type HistoryPolicy, retain, surplus } from './policy.ts';

/** What the history needs. */
export interface HistoryParts {
  readonly reader: KubeReader;
  /** Refuses unless this process leads. */
  readonly writer: KubeWriter;
  readonly runPath: RunPath;
  readonly triggers: Store<PipelineTrigger>;
  readonly runs: Store<PipelineRun>;
  /** Over `runs`. */
  readonly index: RunIndex;
  /** Whether `runs` has been filled for a namespace. Of half a list it could not be said which runs are the oldest. */
  readonly complete: (namespace: string) => boolean;
  readonly leadership: Leadership;
  /** Over all triggers. */
  readonly maxDeletesPerSecond: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** So many are deleted before others get their turn and the world is looked at again: of ten thousand runs that takes 10 ms. */
const PORTION = 50;
/** Triggers that are pruned beside each other: enough that a slow answer keeps nobody from their turn. */
const BESIDE_EACH_OTHER = 4;
/** Runs come and end in bunches, and a status follows its run: one look for all of it. */
const SETTLE_MS = 500;
/** How soon it is asked again whether every run is known. */
const INCOMPLETE_MS = 1_000;

/** The history as a part of the process. It acts only while this process leads. */
export function createHistory(parts: HistoryParts): Part {
  const { reader, writer, runPath, triggers, runs, index, complete, clock, log, metrics } = parts;
  const pace = createPace({ perSecond: parts.maxDeletesPerSecond, clock });

  /** Runs that we have deleted and that the watch still tells of. */
  const going = new Set<string>();

  const controller = createController({
    ...parts,
    name: 'history',
    concurrency: BESIDE_EACH_OTHER,
    keys: () => [...triggers.values()].filter((trigger) => policyOf(trigger) !== undefined).map(({ meta }) => meta),
    async reconcile(key, signal) {
      const known = triggers.get(key);
      const wanted = known && policyOf(known);
      if (known === undefined || wanted === undefined) return {};
      if (!complete(key.namespace)) return { againMs: INCOMPLETE_MS };
      const own = index.of(known.meta).filter(({ meta }) => !going.has(meta.uid));
      if (surplus(own, wanted) === 0) return {};
      // Read after the runs were: a run among them is written down in the status by now, for that comes before its
      // creation. What is neither current nor intended in this status is therefore of a past event, whatever else lags.
      const live = await readTrigger(reader, key, signal);
      const policy = live?.meta.uid === known.meta.uid ? policyOf(live) : undefined;
      if (policy === undefined) return {};
      const { remove } = retain(own, policy);
      const portion = remove.slice(0, PORTION);
      for (const { meta } of portion) {
        await pace.turn(signal);
        const only = { uid: meta.uid, resourceVersion: meta.resourceVersion };
        await writer.remove(await runPath(meta), only, { signal });
        going.add(meta.uid);
        metrics.runDeleted();
        log.info('run pruned', { namespace: key.namespace, trigger: key.name, run: meta.name });
      }
      return remove.length > portion.length ? { againMs: 0 } : {};
    },
  });

  const ends: (() => void)[] = [];
  return {
    name: 'history',
    async start() {
      ends.push(
        runs.subscribe(({ type, object, before }) => {
          if (type === 'deleted') going.delete(object.meta.uid);
          // One that is gone leaves less to do, not more.
          if (type === 'deleted' || (before !== undefined && isDone(before.succeeded) === isDone(object.succeeded)))
            return;
          const trigger = triggerOf(object);
          if (trigger !== undefined) controller.ring(trigger, SETTLE_MS);
        }),
        triggers.subscribe(({ type, object }) => {
          if (type === 'deleted') controller.forget(object.meta);
          // Its status too: the run that was current until now may be one too many.
          else if (policyOf(object) !== undefined) controller.ring(object.meta, SETTLE_MS);
        }),
      );
      await controller.start();
    },
    async stop(signal) {
      for (const end of ends.splice(0)) end();
      await controller.stop(signal);
    },
  };
}

/** What a trigger wants kept; undefined: everything, or it cannot be told, or it is going and takes its runs along. */
function policyOf(trigger: PipelineTrigger): HistoryPolicy | undefined {
  const { spec, meta } = trigger;
  if (meta.deleting !== undefined || 'mistakes' in spec || spec.maxHistory === undefined) return undefined;
  const current = new Set<string>();
  const intended = new Set<string>();
  for (const { run, outcome, sequence, attempt } of readStanding(trigger).lines.values()) {
    if (run !== undefined) current.add(run);
    else if (outcome === undefined) intended.add(eventKey(meta.uid, sequence, attempt));
  }
  return { maxHistory: spec.maxHistory, current, intended };
}
