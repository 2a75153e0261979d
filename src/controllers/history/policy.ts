/** Which finished runs of a trigger have had their day. Pure: it deletes nothing. */

import { isDone } from '../../tekton/phase.ts';
import { EVENT_KEY_ANNOTATION } from '../../tekton/project.ts';
import type { PipelineRun } from '../../tekton/types.ts';

/** What a trigger wants kept. */
export interface HistoryPolicy {
  /** How many runs there may be, unfinished ones counted; those that must be kept may be more. */
  readonly maxHistory: number;
  /** Names of the runs that the trigger's status tells of: one, or one for each branch of a PullRequest. */
  readonly current: ReadonlySet<string>;
  /** Event keys of runs that the status intends and cannot name yet. A run that has one is that run: deleted, it would be made again. */
  readonly intended: ReadonlySet<string>;
}

/** Why a run is kept. */
export type KeptFor = 'unfinished' | 'current' | 'intended' | 'among the newest';

/** Runs divided. */
export interface Retention {
  readonly keep: readonly { readonly run: PipelineRun; readonly why: readonly KeptFor[] }[];
  /** Oldest first. */
  readonly remove: readonly PipelineRun[];
}

/**
 * Divides the runs of one trigger. What may go goes oldest first, by completion, then creation, then number of the event, then name, until no more than
 * `maxHistory` are left; so the same runs go whoever asks, and asking twice removes no more. A run that is being deleted
 * already is in neither part and does not count.
 */
export function retain(runs: readonly PipelineRun[], policy: HistoryPolicy): Retention {
  const judged = judge(runs, policy);
  const excess = surplusOf(judged, policy);
  const mayGo = judged.filter(isFree).map(({ run }) => ({ run, ended: endOf(run) }));
  if (excess > 0) mayGo.sort(byAge);
  const newest = mayGo.slice(excess).map(({ run }) => ({ run, why: ['among the newest'] as const }));
  return {
    keep: [...judged.filter((each) => !isFree(each)), ...newest],
    remove: mayGo.slice(0, excess).map(({ run }) => run),
  };
}

/** How many of the runs `retain` would remove: without saying which, and so without sorting them. */
export function surplus(runs: readonly PipelineRun[], policy: HistoryPolicy): number {
  return surplusOf(judge(runs, policy), policy);
}

interface Judged {
  readonly run: PipelineRun;
  readonly why: readonly KeptFor[];
}

function judge(runs: readonly PipelineRun[], policy: HistoryPolicy): readonly Judged[] {
  return runs
    .filter(({ meta }) => meta.deleting === undefined)
    .map((run) => ({ run, why: reasonsToKeep(run, policy) }));
}

function isFree({ why }: Judged): boolean {
  return why.length === 0;
}

function surplusOf(judged: readonly Judged[], { maxHistory }: HistoryPolicy): number {
  return Math.min(judged.filter(isFree).length, Math.max(0, judged.length - maxHistory));
}

function reasonsToKeep({ meta, succeeded }: PipelineRun, { current, intended }: HistoryPolicy): KeptFor[] {
  const why: KeptFor[] = [];
  if (!isDone(succeeded)) why.push('unfinished');
  if (current.has(meta.name)) why.push('current');
  if (intended.has(meta.annotations[EVENT_KEY_ANNOTATION] ?? '')) why.push('intended');
  return why;
}

/** Which event of its trigger a run is for; 0 for runs that another program made. */
function eventNumber({ meta }: PipelineRun): number {
  return Number(meta.annotations[EVENT_KEY_ANNOTATION]?.split('/')[1] ?? 0) || 0;
}

interface Aged {
  readonly run: PipelineRun;
  readonly ended: number;
}

/** When a run ended, in milliseconds; one that does not say so, or not legibly, counts from its creation. */
function endOf({ completed, meta }: PipelineRun): number {
  const ended = completed === undefined ? Number.NaN : Date.parse(completed);
  return Number.isNaN(ended) ? Date.parse(meta.created) || 0 : ended;
}

function byAge(a: Aged, b: Aged): number {
  if (a.ended !== b.ended) return a.ended - b.ended;
  const [left, right] = [a.run.meta, b.run.meta];
  // The API server writes creation times in one form, so that texts compare like times.
  if (left.created !== right.created) return left.created < right.created ? -1 : 1;
  // Both are of whole seconds; which event came first is known better.
  const [earlier, later] = [eventNumber(a.run), eventNumber(b.run)];
  if (earlier !== later) return earlier - later;
  return left.name < right.name ? -1 : left.name > right.name ? 1 : 0;
}
