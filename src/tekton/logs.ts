/** Which containers of a run have logs, in which order, and when no more will come. Reads nothing: the source of lines is the caller's. */
import { present } from '../kube/objects.ts';
import {
  type AttemptContainers,
  blamedStep,
  type ContainerRole,
  containersOf,
  type StepPlan,
  stepName,
} from './containers.ts';
import { type Attempt, attemptsOf, isDone, isFinal, phaseOf, taskRunsOf } from './status.ts';
import type { Phase, RunFacts, TaskRun } from './types.ts';

export type { ContainerRole, StepPlan } from './containers.ts';

/** Which streams a reader wants; an absent or empty list means all of them, of `include` none. */
export interface LogFilters {
  /** Names of pipeline tasks: `test`, or `test-3` of a matrix; of a nested run `deploy/test`, or `deploy` for all of it. */
  readonly task?: readonly string[];
  /** Names of steps, with or without `step-`; of what is included the name of the container. */
  readonly step?: readonly string[];
  /** Numbers of attempts, from 1. */
  readonly attempt?: readonly number[];
  /** What is read beside steps. */
  readonly include?: readonly Exclude<ContainerRole, 'step'>[];
  /** Only TaskRuns that have failed, tolerated or not; of these the last attempt (or those of `attempt`), in it the failing step. */
  readonly failed?: boolean;
}

/**
 * In which order what is over is shown: by its `start`, as the pipeline's `spec` has it, or by `completion` as tkn does.
 * What runs at the same time speaks as it comes. `time` merges all lines by their timestamps; as a plan it is `start`.
 */
export type LogOrder = 'start' | 'spec' | 'completion' | 'time';

/** One attempt of a TaskRun that has a pod, or had one. */
export interface PodPlan extends AttemptContainers {
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
  /** The name that the pipeline's author gave the task for people. */
  readonly displayName?: string;
  /** From 1. */
  readonly attempt: number;
  /** Where the attempt stands. */
  readonly phase: Phase;
  /** RFC 3339. */
  readonly started?: string;
  readonly completed?: string;
}

/**
 * What there is to read of a run now, in the order in which to show it; the attempts of a TaskRun one after another. Ask
 * again whenever the facts change: entries gain containers and states, and their `pod` names stay. The containers of a
 * pod are unknown, so none, while it has not been seen.
 */
export function logPlan(facts: RunFacts, filters: LogFilters = {}, order: LogOrder = 'start'): readonly PodPlan[] {
  const isRunDone = isDone(facts.run.succeeded);
  return taskRunsOf(facts)
    .filter(({ task, displayName }) => isTaskSelected(task, displayName, filters))
    .filter(({ taskRun }) => filters.failed !== true || hasFailed(taskRun, isRunDone))
    .map((named) => {
      const attempts = attemptsOf(named.taskRun, named.facts.pods);
      return { ...named, attempts, placeMs: placeOf(named.taskRun, attempts, order) };
    })
    .sort((a, b) => a.placeMs - b.placeMs)
    .flatMap(({ taskRun, task, displayName: prefix, attempts, ...named }) =>
      attempts.filter(isAttemptSelected(filters, attempts.length)).flatMap((attempt): readonly PodPlan[] => {
        const { podName, pod, number, succeeded, started, completed } = attempt;
        if (podName === undefined) return [];
        const isLast = number === attempts.length;
        const isOver = !isLast || isDone(taskRun.succeeded);
        const sidecars = isLast ? taskRun.sidecars : [];
        const containers = containersOf(attempt, { isOver, created: taskRun.meta.created, sidecars });
        return [
          {
            pod: podName,
            ...present({
              podUid: pod?.meta.uid,
              started,
              completed,
              displayName: nameForPeople(named.facts, task, taskRun),
            }),
            taskRun: taskRun.meta.name,
            taskRunUid: taskRun.meta.uid,
            task,
            prefix,
            attempt: number,
            phase: phaseOf(succeeded),
            ...selected(containers, filters),
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

/** Cancelled is not failed: a person wanted it. */
function hasFailed(taskRun: TaskRun, runDone: boolean): boolean {
  const phase = phaseOf(taskRun.succeeded);
  return (phase === 'failed' || phase === 'timedout') && isFinal(taskRun, { runDone, unchangedMs: 0 });
}

function isAttemptSelected({ attempt, failed }: LogFilters, count: number): (one: Attempt) => boolean {
  if (attempt !== undefined && attempt.length > 0) return ({ number }) => attempt.includes(number);
  return ({ number }) => failed !== true || number === count;
}

function selected({ steps, beside }: AttemptContainers, filters: LogFilters): AttemptContainers {
  if (filters.failed === true) {
    const blamed = blamedStep(steps);
    return { steps: blamed === undefined ? [] : [blamed], beside: [] };
  }
  const roles = new Set<ContainerRole>(['step', ...(filters.include ?? [])]);
  const names = new Set(filters.step?.map(stepName));
  const passes = ({ role, name }: StepPlan) => roles.has(role) && (names.size === 0 || names.has(name));
  return { steps: steps.filter(passes), beside: beside.filter(passes) };
}

function nameForPeople({ run }: RunFacts, task: string, { meta, displayName }: TaskRun): string | undefined {
  const reference = run.children.find(({ kind, name }) => kind === 'TaskRun' && name === meta.name);
  return reference?.displayName ?? displayName ?? run.tasks.find(({ name }) => name === task)?.displayName;
}

/** How far a stream of a run's log has come. */
export type LogProgress =
  | 'running' // the run is not done: there may be more
  | 'draining' // the run is done, but a TaskRun may still change or a log has not been read to its end
  | 'lingering' // all is read, but for what runs beside the steps and should have been stopped
  | 'complete' // all there is has been read
  | 'overdue'; // draining, and nothing has moved for the time of grace: what is missing will not come

/** What a stream has read, and how long it has waited. */
export interface LogReading {
  /** Whether a container's log was read to its end, or given up. */
  readonly isComplete: (pod: PodPlan, step: StepPlan) => boolean;
  /** The run ended so shortly ago that children it names and we do not see may only be late. */
  readonly isRecent: boolean;
  /** How long neither facts changed nor anything was read: a slow reader of a long log is not overdue. */
  readonly idleMs: number;
  /** How long a stream waits for stragglers. */
  readonly graceMs: number;
}

/**
 * Whether a stream may end. A run is done before its tasks are when it is cancelled or out of time:
 * https://github.com/tektoncd/pipeline/issues/4916
 */
export function logProgress(facts: RunFacts, plan: readonly PodPlan[], reading: LogReading): LogProgress {
  if (!isDone(facts.run.succeeded)) return 'running';
  const isRead = (pod: PodPlan, containers: readonly StepPlan[]) =>
    containers.every((container) => reading.isComplete(pod, container));
  const areStepsRead = plan.every((pod) => isRead(pod, pod.steps));
  if (areStepsRead && isSettled(facts) && !(reading.isRecent && isMissingChildren(facts))) {
    return plan.every((pod) => isRead(pod, pod.beside)) ? 'complete' : 'lingering';
  }
  return reading.idleMs >= reading.graceMs ? 'overdue' : 'draining';
}

/** Whether the run names a TaskRun or a nested run that is not among its facts. */
export function isMissingChildren({ run, taskRuns, nested }: RunFacts): boolean {
  const seen = new Set([...taskRuns.map(({ meta }) => meta.name), ...nested.map(({ run: { meta } }) => meta.name)]);
  const isUnseen = run.children.some(({ kind, name }) => kind !== 'CustomRun' && !seen.has(name));
  return isUnseen || nested.some(isMissingChildren);
}

function isSettled({ run, taskRuns, nested }: RunFacts): boolean {
  // Time does not settle a TaskRun here, because once its run is done a failure is final at once.
  const state = { runDone: isDone(run.succeeded), unchangedMs: 0 };
  return state.runDone && taskRuns.every((taskRun) => isFinal(taskRun, state)) && nested.every(isSettled);
}

/** Where it stands among the others. What runs is behind what is complete. */
function placeOf(taskRun: TaskRun, attempts: readonly Attempt[], order: LogOrder): number {
  if (order === 'spec') return 0;
  if (order === 'completion') return Date.parse(taskRun.completed ?? '') || Number.MAX_SAFE_INTEGER;
  // When its first attempt began: a retry clears the start of the TaskRun itself, but must not move it.
  const started = attempts.find((attempt) => attempt.started !== undefined)?.started;
  return Date.parse(started ?? taskRun.meta.created) || 0;
}
