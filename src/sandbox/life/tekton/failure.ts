/** Why a pod failed: which of its containers is to blame, and in which words. */
import { endingOf, parseMessage } from './termination.ts';
import type { ContainerStatus, Pod } from './types.ts';

interface Blame {
  readonly reason: string;
  readonly container?: ContainerStatus;
  readonly isInit: boolean;
}

/** Did it end badly, or is it bound to? A step that ran out of memory counts even when its exit code is 0. */
export function didFail({ status }: Pod): boolean {
  if (status?.phase === 'Failed') return true;
  return (status?.containerStatuses ?? []).some(
    (container) => isStep(container) && (exitedBadly(container) || wasOutOfMemory(container)),
  );
}

/** The reason of the TaskRun's condition. */
export function failureReason(pod: Pod): string {
  return blameOf(pod).reason;
}

/** The message of the TaskRun's condition. */
export function failureMessage(pod: Pod): string {
  const { reason, container, isInit } = blameOf(pod);
  const { message = '', containerStatuses = [] } = pod.status ?? {};
  if (reason === 'PodEvicted') return message;
  const told = container === undefined ? '' : messageOf(container);
  if (told !== '') return isInit ? `init container failed, ${told}` : told;
  if (message !== '') return message;
  if (containerStatuses.some((one) => (isStep(one) || isSidecar(one)) && wasOutOfMemory(one))) return 'OOMKilled';
  return 'build failed for unspecified reasons.';
}

/** The first that applies. Memory comes before exit codes and sidecars before steps, because they are likelier causes. */
function blameOf({ status }: Pod): Blame {
  if (status?.reason === 'Evicted') return { reason: 'PodEvicted', isInit: false };
  const { initContainerStatuses: init = [], containerStatuses: main = [] } = status ?? {};
  const first = (
    containers: readonly ContainerStatus[],
    reason: string,
    ...tests: ((container: ContainerStatus) => boolean)[]
  ): Blame | undefined => {
    const container = containers.find((one) => tests.every((test) => test(one)));
    return container && { reason, container, isInit: containers === init };
  };
  const isInternal = (container: ContainerStatus) => !isSidecar(container);
  return (
    first(init, 'SidecarOOM', isSidecar, wasOutOfMemory) ??
    first(init, 'InitContainerOOM', isInternal, wasOutOfMemory) ??
    first(init, 'SidecarFailed', isSidecar, exitedBadly) ??
    first(init, 'InitContainerFailed', isInternal, exitedBadly) ??
    first(main, 'SidecarOOM', isSidecar, wasOutOfMemory) ??
    first(main, 'StepOOM', isStep, wasOutOfMemory) ??
    first(main, 'SidecarFailed', isSidecar, exitedBadly) ??
    first(main, 'StepFailed', isStep, exitedBadly) ?? { reason: 'Failed', isInit: false }
  );
}

function messageOf({ name, state }: ContainerStatus): string {
  const { exitCode = 0, reason = '', message = '' } = state?.terminated ?? {};
  if (endingOf(parseMessage(message) ?? []).reason === 'TimeoutExceeded') {
    return `"${name}" exited because the step exceeded the specified timeout limit`;
  }
  if (exitCode === 0) return '';
  return `"${name}" exited with code ${exitCode}${reason === '' ? '' : `: ${reason}`}`;
}

function isStep({ name }: ContainerStatus): boolean {
  return name.startsWith('step-');
}

function isSidecar({ name }: ContainerStatus): boolean {
  return name.startsWith('sidecar-');
}

function exitedBadly({ state }: ContainerStatus): boolean {
  return (state?.terminated?.exitCode ?? 0) !== 0;
}

function wasOutOfMemory({ state }: ContainerStatus): boolean {
  return state?.terminated?.reason === 'OOMKilled';
}
