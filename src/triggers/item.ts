/** What callers are told of a trigger: where it stands in a word, and what it waits for in a few. Pure. */
import { type Condition, type ObjectRef, present } from '../kube/objects.ts';
import type { SummaryBranch, SummaryLine, TriggerSummary } from './summary.ts';

/** Where a trigger, or one branch of its PullRequest, stands; in the order of how much it needs to be looked at. */
export const TRIGGER_STATES = ['error', 'failed', 'running', 'waiting', 'succeeded'] as const;

/** As `TRIGGER_STATES`. */
export type TriggerState = (typeof TRIGGER_STATES)[number];

/** One branch of a PullRequest as callers are told of it. */
export interface BranchItem {
  readonly name: string;
  readonly state: TriggerState;
  readonly waitingFor: string;
  readonly condition?: Condition;
  readonly latestEvent?: string;
  readonly latestPipelineRun?: string;
  readonly retriesUsed?: number;
}

/** A trigger as callers are told of it. All of it is the trigger's own, so that it changes only when the trigger does. */
export interface TriggerItem extends ObjectRef, Omit<BranchItem, 'name'> {
  readonly uid: string;
  readonly created: string;
  readonly source: TriggerSummary['source'];
  readonly pipeline?: string;
  readonly suspended: boolean;
  readonly retries?: number;
  readonly branches?: readonly BranchItem[];
  readonly branchesLeftOut?: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** What is said of a trigger. */
export function triggerItem(trigger: TriggerSummary): TriggerItem {
  const { meta, source, suspended, pipeline, retries, branches, branchesLeftOut } = trigger;
  const { namespace, name, uid, created, labels } = meta;
  return {
    namespace,
    name,
    uid,
    created,
    source,
    ...present({ pipeline }),
    suspended,
    state: stateOfTrigger(trigger),
    waitingFor: waitingForOfTrigger(trigger),
    ...lineOf(trigger, trigger),
    ...present({
      retries,
      branches: branches?.map((branch) => branchItem(branch, trigger)),
      branchesLeftOut: branchesLeftOut > 0 ? branchesLeftOut : undefined,
    }),
    labels,
  };
}

function branchItem(branch: SummaryBranch, trigger: TriggerSummary): BranchItem {
  const state = stateOf(branch);
  const waitingFor = notLookedAt(trigger) ?? suspension(trigger, state) ?? waitingForOf(branch, state, trigger);
  return { name: branch.name, state, waitingFor, ...lineOf(branch, trigger) };
}

function lineOf({ condition, latestEvent, latestPipelineRun, retriesUsed }: SummaryLine, { retries }: TriggerSummary) {
  const used = retries === undefined ? undefined : retriesUsed;
  return present({ condition, latestEvent, latestPipelineRun, retriesUsed: used });
}

/** Where a trigger stands: one of a PullRequest as that of its branches which needs most to be looked at. */
export function stateOfTrigger(trigger: TriggerSummary): TriggerState {
  const states = new Set(linesOf(trigger).map(stateOf));
  return TRIGGER_STATES.find((state) => states.has(state)) ?? 'waiting';
}

/** What a trigger stands for: its branches where it has any and all are known, else itself. */
function linesOf(trigger: TriggerSummary): readonly SummaryLine[] {
  const { branches = [], branchesLeftOut, condition } = trigger;
  return branches.length === 0 || (branchesLeftOut > 0 && condition !== undefined) ? [trigger] : branches;
}

/** Whether there is nothing under way and nothing that is waited for, until there is another event. */
export function isSettled(trigger: TriggerSummary): boolean {
  if (notLookedAt(trigger) !== undefined) return false;
  const states = linesOf(trigger).map(stateOf);
  return states.every((state) => state !== 'running' && (state !== 'waiting' || trigger.suspended));
}

function stateOf({ condition, latestPipelineRun, outcome }: SummaryLine): TriggerState {
  if (condition === undefined) return 'waiting';
  const { type, status, message } = condition;
  switch (type) {
    case 'Success':
      return status === 'True' ? 'succeeded' : 'failed';
    case 'InProgress':
      return 'running';
    case 'Error':
      // The first releases call a run that failed for good an error too, and say what the run said: nothing, at first.
      return status === 'False' && message === (outcome === undefined ? '' : outcome.message) ? 'failed' : 'error';
    case 'Unknown':
      return latestPipelineRun !== undefined && outcome === undefined ? 'running' : 'waiting';
    default:
      return 'error';
  }
}

function waitingForOfTrigger(trigger: TriggerSummary): string {
  const state = stateOfTrigger(trigger);
  const first = notLookedAt(trigger) ?? suspension(trigger, state);
  if (first !== undefined) return first;
  const telling = linesOf(trigger).find((line) => stateOf(line) === state) ?? trigger;
  const words = waitingForOf(telling, state, trigger);
  // Where nothing is wrong or under way all branches wait for the same: news of the PullRequest.
  return telling === trigger || state === 'succeeded' ? words : `branch ${nameOf(telling, trigger)}: ${words}`;
}

function nameOf(line: SummaryLine, { branches = [] }: TriggerSummary): string {
  return branches.find((branch) => branch === line)?.name ?? '';
}

/** Said before anything else, because the rest is about another spec, or about nothing. */
function notLookedAt({ condition, branches = [], generation, observedGeneration }: TriggerSummary): string | undefined {
  if (condition === undefined && branches.length === 0) return 'a controller to look at it for the first time';
  if (observedGeneration !== undefined && observedGeneration < generation) {
    return 'a controller to look at its last change';
  }
  return undefined;
}

function suspension({ suspended }: TriggerSummary, state: TriggerState): string | undefined {
  return suspended && state !== 'running' ? 'spec.suspend to be taken away' : undefined;
}

/** What each kind of source brings. */
const NEWS: Readonly<Record<string, string>> = { ImagePolicy: 'image', PullRequest: 'commit' };

function waitingForOf(
  line: SummaryLine,
  state: TriggerState,
  { source, runsFor, retries = 0 }: TriggerSummary,
): string {
  const { condition, latestPipelineRun, retriesUsed, outcome } = line;
  const message = condition?.message ?? '';
  const { kind, name } = source;
  switch (state) {
    case 'error':
      return `somebody to put this right: ${message || condition?.reason || 'no reason is given'}`;
    case 'running': {
      const again = retriesUsed > 0 ? ` (retry ${retriesUsed} of ${Math.max(retries, retriesUsed)})` : '';
      return latestPipelineRun === undefined ? 'a run to end' : `run ${latestPipelineRun} to end${again}`;
    }
    case 'waiting':
      // What is written there says more, unless it is about an event that is over, or the original's empty word.
      if (outcome === undefined && message !== '' && message !== 'Unknown') return message.replace(/^waiting for /, '');
      if (line.latestEvent !== undefined && outcome === undefined) return 'its run to be created';
      break;
    case 'failed':
    case 'succeeded':
      break;
  }
  if (runsFor === 'failures') return `${kind} ${name} to fail${line.latestEvent === undefined ? '' : ' again'}`;
  const other = line.latestEvent === undefined ? 'a' : 'another';
  if (runsFor === 'posts') return `${other === 'a' ? 'an' : other} event of ${kind} ${name} to be posted to its hook`;
  const news = NEWS[kind] ?? 'revision';
  return `${kind} ${name} to report ${other === 'a' && news === 'image' ? 'an' : other} ${news}`;
}
