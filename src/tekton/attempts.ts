/**
 * A TaskRun is tried once or more, each time in a pod of its own. The TaskRun remembers past attempts, the pods are seen
 * sooner; together they say which pod is which attempt, what its steps do, and what it is waiting for.
 */
import { type Condition, present } from '../kube/objects.ts';
import { isDone, phaseOf } from './phase.ts';
import type { AttemptStatus, PastAttempt, Pod, PodContainer, StepState, StepStatus, TaskRun } from './types.ts';

/** One attempt of a TaskRun, before it is made into what callers see. */
export interface Attempt {
  /** From 1. */
  readonly number: number;
  readonly podName?: string;
  /** Absent when the pod is gone, not made yet, or not kept any more. */
  readonly pod?: Pod;
  readonly succeeded?: Condition;
  readonly started?: string;
  readonly completed?: string;
  /** As the TaskRun tells them; empty until its controller has seen the pod. */
  readonly steps: readonly StepState[];
}

/**
 * The attempts of a TaskRun, oldest first; the last is the current one, and there is always one. `pods` may hold those of
 * other TaskRuns: the owner's uid decides, because labels can be set by hand. A pod that the TaskRun does not name yet is
 * the current attempt's, or a newer attempt.
 */
export function attemptsOf(taskRun: TaskRun, pods: readonly Pod[]): readonly Attempt[] {
  const own = pods.filter(({ meta }) => meta.owner?.uid === taskRun.meta.uid);
  const { podName, succeeded, started, completed } = taskRun;
  const past: readonly PastAttempt[] = taskRun.attempts;
  const claimed = new Set([...past.map((attempt) => attempt.podName), podName]);
  // A finished TaskRun starts no more pods: one that it does not name belongs to no attempt.
  const unclaimed = isDone(succeeded) ? [] : own.filter(({ meta }) => !claimed.has(meta.name)).sort(byAge);
  const currentPodName = podName ?? unclaimed.shift()?.meta.name;
  const current: PastAttempt = {
    ...present({ podName: currentPodName, succeeded, started, completed }),
    // Until a retry has its pod, the steps are still those of the attempt before.
    steps: podName === undefined && past.length > 0 ? [] : taskRun.steps,
  };
  const newer = unclaimed.map(({ meta }): PastAttempt => ({ podName: meta.name, steps: [] }));
  return [...past, current, ...newer].map((attempt, place) => ({
    number: place + 1,
    ...attempt,
    ...present({ pod: own.find(({ meta }) => meta.name === attempt.podName) }),
  }));
}

/** One attempt as `/status?full=true` shows it. `now` gives a running step its duration. */
export function attemptStatus(attempt: Attempt, now: Date): AttemptStatus {
  const { podName, pod, succeeded, started, completed } = attempt;
  return {
    ...present({
      pod: podName,
      node: pod?.node,
      podPhase: pod?.phase,
      reason: succeeded?.reason,
      message: succeeded?.message,
      waiting: waitingFor(attempt),
      started,
      completed,
    }),
    steps: stepStatuses(attempt, now),
  };
}

/** What an unfinished attempt waits for: a node, an image, a quota. Undefined once its containers run, or when it is done. */
export function waitingFor({ pod, succeeded }: Attempt): AttemptStatus['waiting'] {
  if (isDone(succeeded)) return undefined;
  if (pod === undefined) {
    const isWaiting = succeeded?.reason === 'ToBeRetried' || phaseOf(succeeded) === 'pending';
    // `Started` says that the controller has seen it, not what it waits for.
    if (succeeded === undefined || succeeded.reason === 'Started' || !isWaiting) return undefined;
    return { reason: succeeded.reason, message: succeeded.message };
  }
  if (pod.unschedulable !== undefined) return { reason: 'Unschedulable', message: pod.unschedulable };
  const waiting = pod.containers.filter(({ state }) => state === 'waiting');
  // All containers of a pod wait when one of them does; the one with a problem is the answer.
  const container = waiting.find(({ reason }) => !ORDINARY_WAITS.has(reason ?? '')) ?? waiting[0];
  return container && { container: container.name, reason: container.reason ?? '', message: container.message ?? '' };
}

const ORDINARY_WAITS: ReadonlySet<string> = new Set(['', 'PodInitializing', 'ContainerCreating']);

/** Milliseconds from one RFC 3339 time to another, never negative; undefined when either is missing or no time. */
export function millisecondsBetween(from: string | undefined, to: string | undefined): number | undefined {
  const ms = Date.parse(to ?? '') - Date.parse(from ?? '');
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function byAge(a: Pod, b: Pod): number {
  return a.meta.created.localeCompare(b.meta.created) || a.meta.name.localeCompare(b.meta.name);
}

/**
 * The steps of an attempt, in task order: as the TaskRun tells them, else as the pod shows them. All containers of a pod
 * start together and Tekton lets them go one by one, so a running container behind an unfinished step still waits.
 */
function stepStatuses({ steps, pod }: Attempt, now: Date): readonly StepStatus[] {
  const told = steps.length > 0 ? steps : (pod?.containers ?? []).filter(isStep).map(stepOf);
  const turn = told.findIndex(({ terminated }) => terminated === undefined);
  return told.map((step, place) => stepStatus(step, turn !== -1 && place > turn, now));
}

function isStep({ name, init }: PodContainer): boolean {
  return !init && name.startsWith('step-');
}

function stepOf({ name, state, ...container }: PodContainer): StepState {
  const { reason = '', message = '', exitCode = 0, startedAt, finishedAt } = container;
  const step = { name: name.slice('step-'.length), container: name };
  switch (state) {
    case 'waiting':
      return { ...step, waiting: { reason, message } };
    case 'running':
      return { ...step, running: present({ startedAt }) };
    case 'terminated':
      // The message of a step's container is Tekton's own JSON (results, start time), not a sentence.
      return { ...step, terminated: { exitCode, reason, ...present({ startedAt, finishedAt }) } };
    case 'none':
      return step;
  }
}

function stepStatus(step: StepState, waitsItsTurn: boolean, now: Date): StepStatus {
  const { name, container, waiting, running, terminated, terminationReason } = step;
  if (terminated !== undefined) {
    const { exitCode, startedAt, finishedAt, message } = terminated;
    return {
      name,
      container,
      state: 'terminated',
      exitCode,
      ...present({
        reason: terminationReason ?? (terminated.reason || undefined),
        message,
        started: startedAt,
        finished: finishedAt,
        durationMs: millisecondsBetween(startedAt, finishedAt),
      }),
    };
  }
  if (running !== undefined) {
    if (waitsItsTurn) return { name, container, state: 'waiting' };
    const durationMs = millisecondsBetween(running.startedAt, now.toISOString());
    return { name, container, state: 'running', ...present({ started: running.startedAt, durationMs }) };
  }
  if (waiting === undefined) return { name, container, state: 'unknown' };
  const { reason, message } = waiting;
  return {
    name,
    container,
    state: 'waiting',
    ...present({ reason: reason || undefined, message: message || undefined }),
  };
}
