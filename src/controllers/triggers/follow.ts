/** What has become of the runs of a trigger since its status was written. Pure. */
import type { PipelineRun } from '../../tekton/types.ts';
import type { Tried, TriggerFacts } from './facts.ts';
import type { TriggerSpec } from './resource.ts';
import type { Line, Outcome, Standing } from './status.ts';

/** How a cancelled run ends: nobody wants it tried again. https://tekton.dev/docs/pipelines/pipelineruns/#monitoring-execution-status */
const CANCELLED = new Set(['Cancelled', 'CancelledRunningFinally', 'StoppedRunningFinally']);
/** How long a run counts for `maxRunsPerHour`. */
export const HOUR_MS = 3_600_000;

/** What has become of the runs that there are, and of the orders that were given. */
export function follow(standing: Standing, spec: TriggerSpec, { run, tried }: TriggerFacts): Standing {
  let { sequence } = standing;
  const lines = new Map<string, Line>();
  for (const [name, before] of standing.lines) {
    let line = before;
    if (isIntended(line)) {
      // An intent that another program wrote has no number yet.
      if (line.sequence === 0) line = { ...line, sequence: ++sequence, attempt: 0 };
      line = answered(line, tried.get(name));
    }
    if (line.run !== undefined && line.outcome === undefined) {
      const outcome = outcomeOf(run(line.run), line.run);
      if (outcome !== undefined) line = ended(line, outcome, spec);
    }
    lines.set(name, line);
  }
  return { ...standing, lines, sequence };
}

/**
 * Notes the runs that were started, for those who limit them. A run counts from when it is ordered: its line says so before anything is
 * created, and counts until something has become of it. Only then is its time noted, because until then it may be created at any moment;
 * one that was given up meanwhile may have been created all the same.
 */
export function withStarts(after: Standing, before: Standing, { hook }: TriggerSpec, now: number): Standing {
  const { maxRunsPerHour } = hook;
  if (maxRunsPerHour === undefined) return { ...after, recentRuns: [] };
  const isUnderWay = (name: string, { sequence, attempt }: Line) => {
    const line = after.lines.get(name);
    return line?.counted === true && line.sequence === sequence && line.attempt === attempt;
  };
  const over = [...before.lines].filter(([name, line]) => line.counted && !isUnderWay(name, line));
  if (over.length === 0) return after;
  const starts = over.map(() => new Date(now).toISOString());
  return { ...after, recentRuns: [...withinHour(after.recentRuns, now), ...starts].slice(-maxRunsPerHour) };
}

/** A line of which something has become, or will not. */
export function uncounted({ counted, ...line }: Line): Line {
  return line;
}

/** Those that are less than an hour away: what lies further ahead was written before the clock was set back. */
export function withinHour(times: readonly string[], now: number): readonly string[] {
  return times.filter((time) => Math.abs(now - Date.parse(time)) < HOUR_MS);
}

/** Whether a run is to be created. */
export function isIntended({ run, outcome }: Line): boolean {
  return run === undefined && outcome === undefined;
}

function answered(line: Line, tried: Tried | undefined): Line {
  if (tried === undefined || tried.sequence !== line.sequence || tried.attempt !== line.attempt) return line;
  switch (tried.came) {
    case 'run':
      return { ...uncounted(line), run: tried.run };
    case 'elsewhere':
      return { ...uncounted(line), outcome: { status: 'Unknown', reason: 'SecondCluster', message: tried.message } };
    case 'refused':
      return line;
  }
}

function outcomeOf(run: PipelineRun | 'gone' | undefined, name: string): Outcome | undefined {
  if (run === undefined) return undefined;
  if (run === 'gone') {
    return { status: 'False', reason: 'Deleted', message: `run ${name} was deleted before it ended` };
  }
  const { succeeded } = run;
  if (succeeded?.status !== 'True' && succeeded?.status !== 'False') return undefined;
  return { status: succeeded.status, reason: succeeded.reason, message: succeeded.message };
}

function ended(line: Line, outcome: Outcome, { retries }: TriggerSpec): Line {
  const isTriedAgain =
    outcome.status === 'False' &&
    outcome.reason !== 'Deleted' &&
    !CANCELLED.has(outcome.reason) &&
    line.sequence > 0 &&
    line.attempt < retries;
  if (!isTriedAgain) return { ...line, outcome };
  const { run, ...rest } = line;
  return { ...rest, attempt: line.attempt + 1 };
}
