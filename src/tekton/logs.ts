/** Which steps of a run have logs, in which order, and when no more will come. Reads nothing: the source of lines is the caller's. */
import { present } from '../kube/objects.ts';
import { type Attempt, attemptsOf, isDone, isFinal, taskRunsOf } from './status.ts';
import type { Pod, RunFacts, StepState, TaskRun } from './types.ts';

/** Which streams a reader wants; an absent or empty list means all of them. */
export interface LogFilters {
  /** Names of pipeline tasks: `test`, or `test-3` of a matrix; of a nested run `deploy/test`, or `deploy` for all of it. */
  readonly task?: readonly string[];
  /** Names of steps, with or without `step-`. */
  readonly step?: readonly string[];
}

/** One step container to be read. */
export interface StepPlan {
  /** Without `step-`. */
  readonly name: string;
  readonly container: string;
  /** Its place among all steps of the pod, from 0, whatever the filters: what the joiner calls a step. */
  readonly position: number;
  /**
   * What may be asked of its log: `unknown` and `waiting` have none yet; `running` and `terminated` can be read; one that
   * is `gone` had something to say and its pod is deleted; a step that `never` ran has no log, and none is missing.
   */
  readonly state: 'unknown' | 'waiting' | 'running' | 'terminated' | 'gone' | 'never';
  readonly exitCode?: number;
  /** Tekton's `terminationReason` (`Completed`, `Error`, `Skipped`, `Continued`, ...), else the container's own reason. */
  readonly reason?: string;
}

/** One attempt of a TaskRun that has a pod, or had one. */
export interface PodPlan {
  /** Unique in the namespace: what to ask for, and what tells this plan from the others. */
  readonly pod: string;
  /** Absent while, or because, there is no such pod in our store. */
  readonly podUid?: string;
  readonly taskRun: string;
  readonly taskRunUid: string;
  /** Name of the pipeline task, without those it is nested in. */
  readonly task: string;
  /** What tells this TaskRun's lines from all others of the run. All attempts share it. */
  readonly prefix: string;
  /** From 1. */
  readonly attempt: number;
  /** In the order of `pod.spec.containers`; empty while nothing is known of them. Sidecars and init containers are not among them. */
  readonly steps: readonly StepPlan[];
}

/**
 * What there is to read of a run now, in the order in which to show it: by start, then by the order of the pipeline; the
 * attempts of a TaskRun one after another. Ask again whenever the facts change: entries gain steps and states, and their
 * `pod` names stay.
 */
export function logPlan(facts: RunFacts, filters: LogFilters = {}): readonly PodPlan[] {
  const steps = new Set(filters.step?.map(stepName));
  return taskRunsOf(facts)
    .filter(({ task, displayName }) => isTaskSelected(task, displayName, filters))
    .map((named) => {
      const attempts = attemptsOf(named.taskRun, named.facts.pods);
      return { ...named, attempts, startMs: startOf(named.taskRun, attempts) };
    })
    .sort((a, b) => a.startMs - b.startMs)
    .flatMap(({ taskRun, task, displayName, attempts }) =>
      attempts.flatMap((attempt): readonly PodPlan[] => {
        if (attempt.podName === undefined) return [];
        const isOver = attempt.number < attempts.length || isDone(taskRun.succeeded);
        const all = stepPlans(attempt, isOver, taskRun.meta.created);
        return [
          {
            pod: attempt.podName,
            ...present({ podUid: attempt.pod?.meta.uid }),
            taskRun: taskRun.meta.name,
            taskRunUid: taskRun.meta.uid,
            task,
            prefix: displayName,
            attempt: attempt.number,
            steps: all.filter(({ name }) => steps.size === 0 || steps.has(name)),
          },
        ];
      }),
    );
}

/** Whether a task passes `filters.task`. `displayName`: as `taskRunsOf` gives it, the path through nested runs included. */
export function isTaskSelected(task: string, displayName: string, filters: LogFilters): boolean {
  if (filters.task === undefined || filters.task.length === 0) return true;
  const outer = displayName.split('/').slice(0, -1);
  const path = [...outer, task].join('/');
  return filters.task.some((name) => name === task || name === displayName || name === path || outer.includes(name));
}

/** How far a stream of a run's log has come. */
export type LogProgress =
  | 'running' // the run is not done: there may be more
  | 'draining' // the run is done, but a TaskRun may still change or a log has not been read to its end
  | 'complete' // all there is has been read
  | 'overdue'; // draining, and nothing has moved for `GRACE_MS`: what is missing will not come

/** How long a stream waits for stragglers. */
export const GRACE_MS = 30_000;

/**
 * Whether a stream may end. `isComplete` tells whether a step's log was read to its end, or given up. `idleMs` is how long
 * the run has been done while neither facts changed nor anything was read: a slow reader of a long log is not overdue.
 * `isRecent`: the run ended so shortly ago that children it names and we do not see may only be late.
 * A run is done before its tasks are when it is cancelled or out of time: https://github.com/tektoncd/pipeline/issues/4916
 */
export function logProgress(
  facts: RunFacts,
  plan: readonly PodPlan[],
  read: {
    readonly isComplete: (pod: PodPlan, step: StepPlan) => boolean;
    readonly isRecent: boolean;
    readonly idleMs: number;
  },
): LogProgress {
  if (!isDone(facts.run.succeeded)) return 'running';
  const isRead = plan.every((pod) => pod.steps.every((step) => read.isComplete(pod, step)));
  if (isRead && isSettled(facts) && !(read.isRecent && isMissingChildren(facts))) return 'complete';
  return read.idleMs >= GRACE_MS ? 'overdue' : 'draining';
}

/** Whether the run names a TaskRun or a nested run that is not among its facts. */
function isMissingChildren({ run, taskRuns, nested }: RunFacts): boolean {
  const seen = new Set([...taskRuns.map(({ meta }) => meta.name), ...nested.map(({ run: { meta } }) => meta.name)]);
  const isUnseen = run.children.some(({ kind, name }) => kind !== 'CustomRun' && !seen.has(name));
  return isUnseen || nested.some(isMissingChildren);
}

function isSettled({ run, taskRuns, nested }: RunFacts): boolean {
  // Time does not settle a TaskRun here, because once its run is done a failure is final at once.
  const state = { runDone: isDone(run.succeeded), unchangedMs: 0 };
  return state.runDone && taskRuns.every((taskRun) => isFinal(taskRun, state)) && nested.every(isSettled);
}

/** When its first attempt began: a retry clears the start of the TaskRun itself, but must not move it. */
function startOf({ meta }: TaskRun, attempts: readonly Attempt[]): number {
  const started = attempts.find((attempt) => attempt.started !== undefined)?.started;
  return Date.parse(started ?? meta.created) || 0;
}

/** `isOver`: the attempt has ended as far as Tekton is concerned. `created`: the TaskRun's. */
function stepPlans({ pod, steps, number }: Attempt, isOver: boolean, created: string): readonly StepPlan[] {
  // Until the next pod reports, a TaskRun that is tried again still tells the states of the attempt before.
  const isStale = number > 1 && !isOver;
  if (pod !== undefined) return stepsOfPod(pod, isStale ? [] : steps, isOver, created);
  return steps.map((step, position) => {
    const shape = { name: step.name, container: step.container, position };
    if (isOver) return { ...shape, state: hasRun(step, created) ? 'gone' : 'never', ...ending(step) };
    if (isStale) return { ...shape, state: 'unknown' };
    const { terminated, running, waiting } = step;
    const state = terminated ? 'terminated' : running ? 'running' : waiting ? 'waiting' : 'unknown';
    return { ...shape, state, ...ending(step) };
  });
}

/** The pod is believed over the TaskRun, which after a cancel calls steps terminated that still write. */
function stepsOfPod(pod: Pod, steps: readonly StepState[], isOver: boolean, created: string): readonly StepPlan[] {
  const isPodOver = pod.phase === 'Succeeded' || pod.phase === 'Failed';
  return pod.containers
    .filter(({ name, init }) => !init && name.startsWith('step-'))
    .map(({ name: container, state, exitCode, reason }, position) => {
      const shape = { name: stepName(container), container, position };
      const step = steps.find((one) => one.container === container);
      const told = step === undefined ? {} : ending(step);
      if (state === 'running') return { ...shape, state };
      if (state === 'terminated') return { ...shape, state, ...present({ exitCode, reason }), ...told };
      // Evicted, or never able to start: it will not run any more. Where only the TaskRun says that it ran, our copy of
      // the pod lags, and there is something to read as soon as it has caught up.
      if (isPodOver || (isOver && step?.terminated === undefined)) {
        return { ...shape, state: step !== undefined && hasRun(step, created) ? 'gone' : 'never', ...told };
      }
      return { ...shape, state: state === 'none' ? 'unknown' : state };
    });
}

/**
 * Whether a step that is over had anything to say. A step that was still waiting when its pod was deleted is written down
 * as terminated, and to have begun when the TaskRun was created; one that was skipped wrote what nobody is shown.
 * https://github.com/tektoncd/pipeline/blob/v1.15.0/pkg/reconciler/taskrun/taskrun.go#L1034
 */
function hasRun({ terminated, running, terminationReason }: StepState, created: string): boolean {
  if (terminated === undefined) return running !== undefined;
  return terminated.startedAt !== undefined && terminated.startedAt !== created && terminationReason !== 'Skipped';
}

function ending({ terminated, terminationReason }: StepState): Pick<StepPlan, 'exitCode' | 'reason'> {
  if (terminated === undefined) return {};
  return { exitCode: terminated.exitCode, ...present({ reason: terminationReason || terminated.reason || undefined }) };
}

function stepName(container: string): string {
  return container.startsWith('step-') ? container.slice('step-'.length) : container;
}
