/** Lists of runs: which are meant, in which order they come, and what is said of each. Pure. */
import { type ObjectRef, present } from '../kube/objects.ts';
import { millisecondsBetween } from './attempts.ts';
import { phaseOf, runCondition } from './phase.ts';
import type { Labels } from './selector.ts';
import { EVENT_ID_LABEL, triggerOf } from './trigger.ts';
import type { Phase, PipelineRun, RunStatus } from './types.ts';

/** Which runs a list is of; what is left out does not matter. */
export interface RunFilter {
  /** Name of the pipeline. */
  readonly pipeline?: string;
  /** Any of these. None: all. */
  readonly phases: ReadonlySet<Phase>;
  readonly selects?: (labels: Labels) => boolean;
  /** An event's, by the label of Tekton Triggers or as the end of the run's name. */
  readonly eventId?: string;
  /** What the name begins with. */
  readonly namePrefix?: string;
  /** Created then or later, in milliseconds since the epoch. */
  readonly createdFromMs?: number;
  /** Created before, in milliseconds since the epoch. */
  readonly createdBeforeMs?: number;
}

/** The test whether a run is meant, made once for each request. */
export function filterOf(filter: RunFilter): (run: PipelineRun) => boolean {
  const { pipeline, phases, selects, eventId, namePrefix } = filter;
  // The API server writes whole seconds in one form, so that texts compare like times.
  const from = filter.createdFromMs === undefined ? undefined : wholeSecond(filter.createdFromMs);
  const before = filter.createdBeforeMs === undefined ? undefined : wholeSecond(filter.createdBeforeMs);
  const ending = eventId === undefined ? undefined : `-${eventId}`;
  return (run) => {
    const { name, created, labels } = run.meta;
    if (pipeline !== undefined && run.pipeline !== pipeline) return false;
    if (namePrefix !== undefined && !name.startsWith(namePrefix)) return false;
    if (from !== undefined && created < from) return false;
    if (before !== undefined && created >= before) return false;
    if (ending !== undefined && labels[EVENT_ID_LABEL] !== eventId && !name.endsWith(ending)) return false;
    if (phases.size > 0 && !phases.has(phaseOf(run.succeeded))) return false;
    return selects === undefined || selects(labels);
  };
}

/** The first whole second that is not before this instant, as the API server writes times. */
function wholeSecond(ms: number): string {
  const within = Math.min(Math.max(ms, 0), LAST_SECOND_MS);
  return `${new Date(Math.ceil(within / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}

/** The end of the years that are written with four digits. */
const LAST_SECOND_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

/** What lists can be sorted by. A `-` before it: the largest first. */
export const SORT_KEYS = ['created', 'name', 'completed'] as const;

/** What a list is sorted by. */
export type SortKey = (typeof SORT_KEYS)[number];

/** The order of a list. */
export interface RunOrder {
  readonly by: SortKey;
  readonly descending: boolean;
}

/**
 * Where a run stands in an order: its key, and its uid to tell it from others with the same key. A key is never changed
 * once it is there, so that a place stays good while runs come and go; only a run that completes gets its key late.
 */
export interface RunPlace {
  /** Undefined: not completed yet. */
  readonly key: string | undefined;
  readonly uid: string;
}

/** The place of a run. */
export function placeOf(run: PipelineRun, by: SortKey): RunPlace {
  const { created, name, uid } = run.meta;
  const key = by === 'created' ? created : by === 'name' ? name : run.completed;
  return { key, uid };
}

/** Below 0 when `a` comes before `b`. Runs that have not completed come last, whichever way the others go. */
export function comparePlaces(a: RunPlace, b: RunPlace, descending: boolean): number {
  if (a.key === undefined || b.key === undefined) {
    if (a.key !== b.key) return a.key === undefined ? 1 : -1;
  } else if (a.key !== b.key) {
    return a.key < b.key !== descending ? -1 : 1;
  }
  if (a.uid === b.uid) return 0;
  return a.uid < b.uid !== descending ? -1 : 1;
}

/** One run of a list. All of it is the run's own, so that it changes only when the run does. */
export interface RunItem extends ObjectRef {
  readonly uid: string;
  readonly pipeline?: string;
  readonly phase: Phase;
  readonly reason: string;
  readonly message: string;
  readonly created: string;
  readonly started?: string;
  readonly completed?: string;
  /** From `started` to `completed`, in milliseconds. */
  readonly durationMs?: number;
  readonly trigger?: RunStatus['trigger'];
  readonly labels: Labels;
}

/** What a list says of a run. */
export function runItem(run: PipelineRun): RunItem {
  const { namespace, name, uid, created, labels } = run.meta;
  const { reason, message } = runCondition(run);
  return {
    namespace,
    name,
    uid,
    ...present({ pipeline: run.pipeline }),
    phase: phaseOf(run.succeeded),
    reason,
    message,
    created,
    ...present({
      started: run.started,
      completed: run.completed,
      durationMs: millisecondsBetween(run.started, run.completed),
      trigger: triggerOf(labels),
    }),
    labels,
  };
}
