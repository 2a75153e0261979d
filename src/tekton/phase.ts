/**
 * Where a run or a task stands, in a word, read from its condition. Classified by status first and by reason only where
 * a reason changes the answer: Tekton adds reasons with every release, and an unknown one must still be served.
 */
import type { Condition } from '../kube/objects.ts';
import type { CustomRun, Phase, PipelineRun, RunCondition, TaskPhase, TaskRun } from './types.ts';

/**
 * The reasons that change what a status means: without one of these, Unknown is `running` and False is `failed`.
 * `docs/run-status.md` is checked against it.
 */
export const PHASE_BY_REASON: { readonly [status in 'Unknown' | 'False']: ReadonlyMap<string, Phase> } = {
  // Nothing of it has run yet. Reasons that begin with `Resolving` belong here too.
  Unknown: new Map([
    ['Started', 'pending'],
    ['Pending', 'pending'],
    ['PipelineRunPending', 'pending'],
    ['TaskRunPending', 'pending'],
    ['ExceededNodeResources', 'pending'],
    ['ExceededResourceQuota', 'pending'],
    ['PullImageFailed', 'pending'],
  ]),
  False: new Map([
    ['Cancelled', 'cancelled'],
    ['PipelineRunCancelled', 'cancelled'],
    ['TaskRunCancelled', 'cancelled'],
    ['CustomRunCancelled', 'cancelled'],
    ['PipelineRunTimeout', 'timedout'],
    ['TaskRunTimeout', 'timedout'],
    ['CustomRunTimedOut', 'timedout'],
  ]),
};

/** How long a failed TaskRun without completionTime must stay unchanged before it counts as final. */
const SETTLED_AFTER_MS = 10_000;

/** True or False: it will not run any more (a failed TaskRun may, see `isFinal`). */
export function isDone(condition: Condition | undefined): boolean {
  return condition?.status === 'True' || condition?.status === 'False';
}

/** The phase that a condition of type `Succeeded` tells, of a run, a TaskRun or a CustomRun alike. None is `pending`. */
export function phaseOf(condition: Condition | undefined): Phase {
  if (condition === undefined) return 'pending';
  const { status, reason } = condition;
  if (status === 'True') return 'succeeded';
  if (status === 'False') return PHASE_BY_REASON.False.get(reason) ?? 'failed';
  return reason.startsWith('Resolving') ? 'pending' : (PHASE_BY_REASON.Unknown.get(reason) ?? 'running');
}

/**
 * The phase of one child of a run. Beyond its condition it knows that a failure its task tolerates is `ignored`, and that
 * a child which the run cancelled because the run's own time was over is `timedout`, as Tekton counts it.
 */
export function childPhase(child: TaskRun | CustomRun | PipelineRun, onError: string | undefined): TaskPhase {
  const phase = phaseOf(child.succeeded);
  if (phase === 'cancelled' && child.kind !== 'PipelineRun' && child.statusMessage?.includes('has timed out')) {
    return 'timedout';
  }
  const isTolerated = onError === 'continue' || child.succeeded?.reason === 'FailureIgnored';
  return (phase === 'failed' || phase === 'timedout') && isTolerated ? 'ignored' : phase;
}

/** The phase of a TaskRun by itself: whether its failure counts is for its run to say. */
export function taskRunPhase(taskRun: TaskRun): Phase {
  const phase = phaseOf(taskRun.succeeded);
  return phase === 'cancelled' && childPhase(taskRun, undefined) === 'timedout' ? 'timedout' : phase;
}

/**
 * The compatible answer of `/status`: the four keys in the listener's order. What nobody has looked at yet is Unknown, and
 * so is a status that is none of Kubernetes' three.
 */
export function runCondition({ kind, succeeded }: Pick<PipelineRun | TaskRun, 'kind' | 'succeeded'>): RunCondition {
  if (succeeded === undefined) {
    return { message: `${kind} has not started`, reason: 'Pending', type: 'Succeeded', status: 'Unknown' };
  }
  const { message, reason, type } = succeeded;
  return { message, reason, type, status: isDone(succeeded) ? succeeded.status : 'Unknown' };
}

/**
 * Whether a TaskRun will never change its mind. A failure without completionTime may be retried by the controller, and
 * yet some (`CreateContainerConfigError`) never get one: those are final once the run is done or nothing has moved.
 * `unchangedMs`: for how long the caller has seen the same resourceVersion.
 */
export function isFinal(
  taskRun: TaskRun,
  { runDone, unchangedMs }: { runDone: boolean; unchangedMs: number },
): boolean {
  if (taskRun.succeeded?.status === 'True') return true;
  if (taskRun.succeeded?.status !== 'False') return false;
  return taskRun.completed !== undefined || runDone || unchangedMs >= SETTLED_AFTER_MS;
}
