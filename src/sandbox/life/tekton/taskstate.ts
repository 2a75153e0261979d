/** How one task of a pipeline stands: the task, the runs it has become, and questions about them. */
import { isDone, isFailed, isSuccessful, succeeded } from './condition.ts';
import type { CustomRun, PipelineRun, PipelineSpec, PipelineTask, TaskRun, TaskSpec } from './types.ts';

/** What a task's runs are. */
export type ChildKind = 'TaskRun' | 'CustomRun' | 'PipelineRun';

/** A task and its runs. Of the three lists only that of its kind is ever filled. */
export interface TaskState {
  /** As it is in the pipeline, with the results put in that are known. Changes as more become known. */
  task: PipelineTask;
  readonly kind: ChildKind;
  readonly isFinal: boolean;
  /** Of its runs, which may not have been created yet. */
  readonly names: readonly string[];
  taskRuns: readonly TaskRun[];
  customRuns: readonly CustomRun[];
  pipelineRuns: readonly PipelineRun[];
  /** What its TaskRuns run. Undefined for other kinds, and for a matrix without combinations. */
  spec: TaskSpec | undefined;
  /** Name of the Task it refers to. */
  readonly taskName: string | undefined;
  /** What its nested PipelineRun runs; the name only when it is a Pipeline of its own. */
  readonly pipeline: { readonly spec: PipelineSpec; readonly name?: string } | undefined;
}

/** Why the controller cancelled a run that belongs to another. */
export const cancelledBecause = {
  taskRun: {
    cancelled: 'TaskRun cancelled as the PipelineRun it belongs to has been cancelled.',
    timedOut: 'TaskRun cancelled as the PipelineRun it belongs to has timed out.',
  },
  customRun: {
    cancelled: 'CustomRun cancelled as the PipelineRun it belongs to has been cancelled.',
    timedOut: 'CustomRun cancelled as the PipelineRun it belongs to has timed out.',
  },
} as const;

/** The task's runs that exist. */
function runsOf(state: TaskState): readonly (TaskRun | CustomRun | PipelineRun)[] {
  if (state.kind === 'PipelineRun') return state.pipelineRuns;
  return state.kind === 'CustomRun' ? state.customRuns : state.taskRuns;
}

/** All of its runs succeeded; a task without any has not. */
export function hasSucceeded(state: TaskState): boolean {
  const runs = runsOf(state);
  return runs.length > 0 && runs.every(isSuccessful);
}

/** All of its runs are done and not all of them succeeded: failed, timed out or cancelled. */
export function hasFailed(state: TaskState): boolean {
  const runs = runsOf(state);
  return runs.length > 0 && runs.every(isDone) && runs.some(isFailed);
}

/** It has runs and they are not all done. */
export function isRunning(state: TaskState): boolean {
  return runsOf(state).length > 0 && !hasSucceeded(state) && !hasFailed(state);
}

/** One of its runs has failed, whatever the others do. */
export function anyFailed(state: TaskState): boolean {
  return runsOf(state).some(isFailed);
}

/** It has runs. Tekton does not count a nested PipelineRun, which is why such a task can be skipped beside its run. */
export function isScheduled({ kind, taskRuns, customRuns }: TaskState): boolean {
  return kind === 'CustomRun' ? customRuns.length > 0 : taskRuns.length > 0;
}

/** All of its runs are done and one was cancelled; `forTimeout`: by the timeout of the PipelineRun. Never a nested one. */
export function wasCancelled(state: TaskState, { forTimeout = false } = {}): boolean {
  const { kind, taskRuns, customRuns } = state;
  const runs = kind === 'CustomRun' ? customRuns : taskRuns;
  const reason = kind === 'CustomRun' ? 'CustomRunCancelled' : 'TaskRunCancelled';
  const because = (kind === 'CustomRun' ? cancelledBecause.customRun : cancelledBecause.taskRun).timedOut;
  const cancelled = runs.filter((run) => isFailed(run) && succeeded(run.status)?.reason === reason);
  const counted = forTimeout ? cancelled.filter(({ spec }) => spec.statusMessage === because) : cancelled;
  return runs.length > 0 && runs.every(isDone) && counted.length > 0;
}

/** The reason of a run that did not succeed, else of the first: `$(tasks.x.reason)`. */
export function reasonOf(state: TaskState): string {
  const told = runsOf(state).filter(({ status }) => (status?.conditions ?? []).length > 0);
  const run = told.find((one) => !isSuccessful(one)) ?? runsOf(state)[0];
  return run?.status?.conditions?.[0]?.reason ?? '';
}
