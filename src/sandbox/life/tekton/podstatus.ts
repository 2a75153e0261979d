/** What a pod says about its TaskRun: the verdict, the steps, the sidecars and the results. */

import type { Verdict } from './condition.ts';
import { isDone, timestamp, withVerdict } from './condition.ts';
import { didFail, failureMessage, failureReason } from './failure.ts';
import { only } from './specs.ts';
import {
  eachOnce,
  endingOf,
  messageWithoutOwn,
  parseMessage,
  promoted,
  resultsIn,
  stepResult,
  taskResult,
  terminationReason,
} from './termination.ts';
import type {
  ContainerState,
  ContainerStatus,
  Pod,
  StepState,
  TaskRun,
  TaskRunResult,
  TaskRunStatus,
  TaskSpec,
} from './types.ts';

const notFinished = 'Not all Steps in the Task have finished executing';

/** Reasons for which an image does not come. */
const imageReasons = new Set([
  'ImagePullBackOff',
  'ImageInspectError',
  'ErrImagePull',
  'ErrImageNeverPull',
  'RegistryUnavailable',
  'InvalidImageName',
]);

/** The status that a TaskRun has by its pod. */
export function statusFromPod(run: TaskRun, found: Pod, spec: TaskSpec, now: number): TaskRunStatus {
  const pod = inOrder(found); // before anything is blamed: the first that failed is meant
  const before = run.status ?? {};
  const verdict = verdictOf(run, pod);
  // A verdict that stands is not taken back while the pod is on its way.
  const conditions = verdict === undefined ? before.conditions : withVerdict(before.conditions, verdict, now);
  const isComplete = areStepsDone(pod);
  const done = isDone({ status: { ...only('conditions', conditions) } });
  const steps = (pod.status?.containerStatuses ?? [])
    .filter(({ name }) => name.startsWith('step-'))
    .map((one) => stepOf(one, before, spec, done));
  const results = eachOnce([...(before.results ?? []), ...steps.flatMap(({ results: made }) => made)]);
  return {
    ...before,
    ...only('conditions', conditions),
    ...(isComplete ? { completionTime: timestamp(now) } : {}),
    podName: pod.metadata.name,
    ...(steps.length === 0 ? {} : { steps: steps.map(({ state }) => state) }),
    ...sidecarsOf(pod),
    ...(results.length === 0 ? {} : { results }),
    ...(done ? { artifacts: before.artifacts ?? {} } : {}),
  };
}

/** All sidecars are up or gone, so the steps may begin. */
export function areSidecarsReady({ status }: Pod): boolean {
  if (status?.phase !== 'Running') return false;
  return (status.containerStatuses ?? []).every(
    ({ name, state, ready }) =>
      name.startsWith('step-') || (state?.running !== undefined && ready === true) || state?.terminated !== undefined,
  );
}

/** Sidecars of a pod whose steps are done: the one that was stopped ended well, whatever its exit code says. */
export function stoppedSidecars({ status }: Pod): TaskRunStatus['sidecars'] {
  return (status?.containerStatuses ?? [])
    .filter(({ name }) => name.startsWith('sidecar-'))
    .map((container) => {
      const last = container.lastState?.terminated;
      if (last === undefined) return sidecarOf(container, container.state);
      const terminated = {
        ...last,
        reason: 'Completed',
        message: 'Sidecar container successfully stopped by nop image',
      };
      return sidecarOf(container, { terminated });
    });
}

/** No node has room for it. */
function exceedsNodes({ status }: Pod): boolean {
  return (status?.conditions ?? []).some(
    ({ reason, message = '' }) => reason === 'Unschedulable' && message.includes('Insufficient'),
  );
}

function verdictOf(run: TaskRun, pod: Pod): Verdict | undefined {
  if (areStepsDone(pod)) return finalVerdict(run, pod);
  const running: Verdict = { status: 'Unknown', reason: 'Running', message: notFinished };
  switch (pod.status?.phase) {
    case 'Running':
      return running;
    case 'Pending':
    case undefined:
      return pendingVerdict(pod);
    default:
      return isDone(run) ? undefined : running;
  }
}

function finalVerdict({ metadata }: TaskRun, pod: Pod): Verdict {
  if (!didFail(pod)) return { status: 'True', reason: 'Succeeded', message: 'All Steps have completed executing' };
  const isIgnored = metadata.annotations?.['pipeline.tekton.dev/pipeline-task-on-error'] === 'continue';
  return { status: 'False', reason: isIgnored ? 'FailureIgnored' : failureReason(pod), message: failureMessage(pod) };
}

function pendingVerdict(pod: Pod): Verdict {
  const waits = (reason: string, message: string): Verdict => ({ status: 'Unknown', reason, message });
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  const waiting = [...initContainerStatuses, ...containerStatuses].flatMap(({ state }) => state?.waiting ?? []);
  const subPath = ({ reason, message = '' }: (typeof waiting)[number]) =>
    reason === 'CreateContainerConfigError' && message.includes('failed to create subPath directory');
  if (exceedsNodes(pod)) return waits('ExceededNodeResources', 'TaskRun Pod exceeded available resources');
  if (containerStatuses.some(({ state }) => state?.waiting !== undefined && subPath(state.waiting))) {
    return waits('Pending', 'Waiting for subPath directory creation to complete');
  }
  if (waiting.some((one) => one.reason === 'CreateContainerConfigError' && !subPath(one))) {
    return {
      status: 'False',
      reason: 'CreateContainerConfigError',
      message: 'Failed to create pod due to config error',
    };
  }
  const lacksImage = waiting.some(({ reason = '' }) => imageReasons.has(reason));
  return waits(lacksImage ? 'PullImageFailed' : 'Pending', waitingMessage(pod));
}

/** What the pod waits for: a container's own words, else the first condition that does not hold. */
function waitingMessage({ status }: Pod): string {
  const { containerStatuses = [], conditions = [], message = '' } = status ?? {};
  const waiting = containerStatuses.find(({ state }) => (state?.waiting?.message ?? '') !== '');
  if (waiting !== undefined) {
    return `build step "${waiting.name}" is pending with reason ${JSON.stringify(waiting.state?.waiting?.message)}`;
  }
  const unmet = conditions.find((condition) => condition.status !== 'True');
  if (unmet !== undefined) {
    return `pod status "${unmet.type}":"${unmet.status}"; message: ${JSON.stringify(unmet.message ?? '')}`;
  }
  return message === '' ? 'Pending' : message;
}

/** All steps have ended, or the pod has, or one ran out of memory, after which the others only wait for their time to pass. */
function areStepsDone({ status }: Pod): boolean {
  const { phase, containerStatuses = [] } = status ?? {};
  if (phase === 'Succeeded' || phase === 'Failed') return true;
  const steps = containerStatuses.filter(({ name }) => name.startsWith('step-'));
  if (steps.some(({ state }) => state?.terminated?.reason === 'OOMKilled')) return true;
  return (
    phase === 'Running' && containerStatuses.length > 0 && steps.every(({ state }) => state?.terminated !== undefined)
  );
}

function stepOf(
  { name: container, state = {}, imageID }: ContainerStatus,
  before: TaskRunStatus,
  spec: TaskSpec,
  done: boolean,
): { readonly state: StepState; readonly results: readonly TaskRunResult[] } {
  const name = container.replace(/^step-/, '');
  const step = (spec.steps ?? []).find((one) => one.name === name);
  const known = (before.steps ?? []).find((one) => one.name === name)?.provenance;
  const entries = parseMessage(state.terminated?.message ?? '');
  const made = entries !== undefined && done ? resultsIn(entries, stepResult, step?.results ?? []) : [];
  const ofTask = entries !== undefined && done ? resultsIn(entries, taskResult, spec.results ?? []) : [];
  const ended = state.terminated !== undefined && entries !== undefined && entries.length > 0;
  const ending = ended ? endingOf(entries) : {};
  return {
    state: {
      container,
      ...(imageID === undefined || imageID === '' ? {} : { imageID }),
      name,
      ...only('provenance', known),
      ...(made.length === 0 ? {} : { results: made }),
      ...stateOf(state, ended ? { ...ending, message: messageWithoutOwn(entries) } : undefined),
      ...(ended ? only('terminationReason', terminationReason(ending, state.terminated?.reason)) : {}),
    },
    results: [...ofTask, ...promoted(made, container, spec)],
  };
}

/** The container's state, with what the entrypoint told about the step in the place of what was seen from outside. */
function stateOf(
  { waiting, running, terminated }: ContainerState,
  told: { readonly startedAt?: string; readonly exitCode?: number; readonly message: string } | undefined,
): ContainerState {
  if (terminated === undefined || told === undefined) {
    return { ...only('waiting', waiting), ...only('running', running), ...only('terminated', terminated) };
  }
  const { message: _, ...seen } = terminated;
  return {
    terminated: {
      ...seen,
      ...only('startedAt', told.startedAt ?? seen.startedAt),
      exitCode: told.exitCode ?? seen.exitCode,
      ...(told.message === '' ? {} : { message: told.message }),
    },
  };
}

function sidecarsOf({ status }: Pod): Pick<TaskRunStatus, 'sidecars'> {
  const { containerStatuses = [], initContainerStatuses = [] } = status ?? {};
  const sidecars = [...containerStatuses, ...initContainerStatuses].filter(({ name }) => name.startsWith('sidecar-'));
  return sidecars.length === 0 ? {} : { sidecars: sidecars.map((container) => sidecarOf(container, container.state)) };
}

function sidecarOf(
  { name, imageID }: ContainerStatus,
  state: ContainerState = {},
): NonNullable<TaskRunStatus['sidecars']>[number] {
  return {
    container: name,
    ...(imageID === undefined || imageID === '' ? {} : { imageID }),
    name: name.replace(/^sidecar-/, ''),
    ...only('waiting', state.waiting),
    ...only('running', state.running),
    ...only('terminated', state.terminated),
  };
}

/** The pod with its statuses in the order of its containers; the kubelet lists them by name. */
function inOrder(pod: Pod): Pod {
  const { spec, status } = pod;
  if (status?.containerStatuses === undefined) return pod;
  const byName = new Map(status.containerStatuses.map((one) => [one.name, one]));
  const containerStatuses = spec.containers.flatMap(({ name }) => byName.get(name) ?? []);
  return { ...pod, status: { ...status, containerStatuses } };
}
