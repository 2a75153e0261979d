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
 * Divides the runs of one trigger. What may go goes oldest first, by completion, then creation, then name, until no more than
 * `maxHistory` are left; so the same runs go whoever asks, and asking twice removes no more. A run that is being deleted
 * already is in neither part and does not count.
 */
export function retain(runs: readonly PipelineRun[], { maxHistory, current, intended }: HistoryPolicy): Retention {
  const judged = runs
    .filter(({ meta }) => meta.deleting === undefined)
    .map((run) => ({ run, ended: endOf(run), why: reasonsToKeep(run, current, intended) }));
  const mayGo = judged.filter(({ why }) => why.length === 0).sort(byAge);
  const excess = Math.min(mayGo.length, Math.max(0, judged.length - maxHistory));
  const newest = mayGo.slice(excess).map(({ run }) => ({ run, why: ['among the newest'] as const }));
  return {
    keep: [...judged.filter(({ why }) => why.length > 0), ...newest].map(({ run, why }) => ({ run, why })),
    remove: mayGo.slice(0, excess).map(({ run }) => run),
  };
}

function reasonsToKeep(
  { meta, succeeded }: PipelineRun,
  current: ReadonlySet<string>,
  intended: ReadonlySet<string>,
): KeptFor[] {
  const why: KeptFor[] = [];
  if (!isDone(succeeded)) why.push('unfinished');
  if (current.has(meta.name)) why.push('current');
  if (intended.has(meta.annotations[EVENT_KEY_ANNOTATION] ?? '')) why.push('intended');
  return why;
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
  return left.name < right.name ? -1 : left.name > right.name ? 1 : 0;
}
