/**
 * What a pod's status says, derived from what its containers do, as the kubelet of Kubernetes 1.34 derives it. Pure.
 * https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
 */
import { createHash } from 'node:crypto';
import type { Json, JsonObject } from '../../object.ts';
import { type Container, isSidecar, type Pod, type PodCondition, timestamp } from './pod.ts';

/** How a run of a container ended. */
export interface Terminated {
  readonly exitCode: number;
  readonly reason: string;
  readonly message?: string | undefined;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly containerId: string;
}

/** Where a container stands. */
export type ContainerState =
  | { readonly at: 'waiting'; readonly reason: string; readonly message?: string | undefined }
  | { readonly at: 'running'; readonly startedAtMs: number; readonly containerId: string }
  | ({ readonly at: 'terminated' } & Terminated);

/** One container's history, as far as a status tells it. */
export interface ContainerRecord {
  readonly state: ContainerState;
  readonly last: Terminated | undefined;
  readonly restartCount: number;
  /** The image has been resolved and a container was made: from then on its full name and id are shown. */
  readonly created: boolean;
}

/** Everything a status depends on besides the pod itself. */
export interface PodFacts {
  readonly records: ReadonlyMap<string, ContainerRecord>;
  readonly startedAtMs: number;
  readonly nowMs: number;
  readonly podIP: string;
  readonly hostIP: string;
  /** Its volumes are mounted and it has an address, and neither is gone yet. */
  readonly sandboxReady: boolean;
  /** Nothing is started any more: deleted, or failed as a whole. */
  readonly ending: boolean;
  /** The pod failed as a whole: DeadlineExceeded. */
  readonly failure?: { readonly reason: string; readonly message: string } | undefined;
}

type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

/** All messages of a pod's containers together. https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/ */
const MESSAGE_BYTES = 12 * 1024;

/** The whole status, conditions' transition times kept where nothing changed. */
export function podStatus(pod: Pod, facts: PodFacts): JsonObject {
  const phase = facts.failure === undefined ? phaseOf(pod, facts) : 'Failed';
  const { qosClass } = pod.status ?? {};
  const init = pod.spec.initContainers ?? [];
  const byName = [...pod.spec.containers].sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    ...(typeof qosClass === 'string' ? { qosClass } : {}),
    phase,
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    ...(facts.failure ?? {}),
    conditions: conditionsOf(pod, facts, phase),
    hostIP: facts.hostIP,
    hostIPs: [{ ip: facts.hostIP }],
    ...(facts.podIP === '' ? {} : { podIP: facts.podIP, podIPs: [{ ip: facts.podIP }] }),
    startTime: timestamp(facts.startedAtMs),
    ...(init.length === 0 ? {} : { initContainerStatuses: init.map((container) => statusOf(pod, container, facts)) }),
    containerStatuses: byName.map((container) => statusOf(pod, container, facts)),
  };
}

/** The state of a container that nothing has been done for yet. */
export function untouched(pod: Pod): ContainerRecord {
  const reason = pod.spec.initContainers?.length ? 'PodInitializing' : 'ContainerCreating';
  return { state: { at: 'waiting', reason }, last: undefined, restartCount: 0, created: false };
}

/** `busybox:1` as the runtime names it, `docker.io/library/busybox:1`. */
export function fullImageName(image: string): string {
  const slash = image.indexOf('/');
  const host = slash < 0 ? '' : image.slice(0, slash);
  const tagged = /[:@][^/]*$/.test(image) ? image : `${image}:latest`;
  if (/[.:]/.test(host) || host === 'localhost') return tagged;
  return slash < 0 ? `docker.io/library/${tagged}` : `docker.io/${tagged}`;
}

function statusOf(pod: Pod, container: Container, facts: PodFacts): JsonObject {
  const { state, last, restartCount, created } = recordOf(pod, container, facts);
  const running = state.at === 'running';
  const image = container.image ?? '';
  const done = state.at === 'terminated' && state.exitCode === 0 && isInit(pod, container) && !isSidecar(container);
  const containerId = state.at === 'waiting' ? last?.containerId : state.containerId;
  const requests = container.resources?.requests;
  return {
    name: container.name,
    state: stateJson(pod, state),
    lastState: last === undefined ? {} : { terminated: terminatedJson(pod, last) },
    ready: done || (running && (!isInit(pod, container) || isSidecar(container))),
    started: running,
    restartCount,
    image: created ? fullImageName(image) : image,
    imageID: created ? `sha256:${createHash('sha256').update(image).digest('hex')}` : '',
    ...(containerId ? { containerID: containerId } : {}),
    ...(created ? { resources: plain(container.resources ?? {}) } : {}),
    ...(created && requests !== undefined ? { allocatedResources: plain(requests) } : {}),
    volumeMounts: (container.volumeMounts ?? []).map(({ name, mountPath, readOnly }) => ({
      name,
      mountPath,
      ...(readOnly ? { readOnly, recursiveReadOnly: 'Disabled' } : {}),
    })),
  };
}

function stateJson(pod: Pod, state: ContainerState): JsonObject {
  switch (state.at) {
    case 'waiting':
      return { waiting: { reason: state.reason, ...(state.message ? { message: state.message } : {}) } };
    case 'running':
      return { running: { startedAt: timestamp(state.startedAtMs) } };
    case 'terminated':
      return { terminated: terminatedJson(pod, state) };
  }
}

function terminatedJson(pod: Pod, { exitCode, reason, message, ...times }: Terminated): JsonObject {
  const share = Math.floor(MESSAGE_BYTES / (pod.spec.containers.length + (pod.spec.initContainers?.length ?? 0)));
  const known = times.containerId !== '';
  return {
    exitCode,
    reason,
    ...(message ? { message: Buffer.from(message).subarray(0, share).toString() } : {}),
    startedAt: known ? timestamp(times.startedAtMs) : null,
    finishedAt: known ? timestamp(times.finishedAtMs) : null,
    ...(known ? { containerID: times.containerId } : {}),
  };
}

/** https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase */
function phaseOf(pod: Pod, facts: PodFacts): Phase {
  const { restartPolicy = 'Always' } = pod.spec;
  const init = (pod.spec.initContainers ?? []).filter((container) => !isSidecar(container));
  const initEnds = init.map((container) => endOf(recordOf(pod, container, facts)));
  if (restartPolicy === 'Never' && initEnds.some((end) => end !== undefined && end.exitCode !== 0)) return 'Failed';
  if (initEnds.some((end) => end === undefined)) return 'Pending';
  const sidecars = (pod.spec.initContainers ?? []).filter(isSidecar).map((one) => recordOf(pod, one, facts));
  const initialized = pod.spec.containers.some((one) => recordOf(pod, one, facts).created);
  if (!initialized && sidecars.some(({ state, last }) => state.at === 'waiting' && last === undefined))
    return 'Pending';
  const records = pod.spec.containers.map((container) => recordOf(pod, container, facts));
  if (records.some(({ state, last }) => state.at === 'waiting' && last === undefined)) return 'Pending';
  if ([...records, ...sidecars].some(({ state }) => state.at === 'running')) return 'Running';
  const succeeded = records.every(({ state }) => state.at === 'terminated' && state.exitCode === 0);
  if (facts.ending) return succeeded ? 'Succeeded' : 'Failed';
  if (restartPolicy === 'Always') return 'Running';
  if (succeeded) return 'Succeeded';
  return restartPolicy === 'Never' ? 'Failed' : 'Running';
}

/** How a container that does not run has ended, now or the last time. */
function endOf({ state, last }: ContainerRecord): Terminated | undefined {
  if (state.at === 'terminated') return state;
  return state.at === 'waiting' ? last : undefined;
}

function conditionsOf(pod: Pod, facts: PodFacts, phase: Phase): Json[] {
  const ready = readiness(pod, facts, phase);
  const own: PodCondition[] = [
    { type: 'PodReadyToStartContainers', status: facts.sandboxReady ? 'True' : 'False' },
    { type: 'Initialized', ...initialization(pod, facts, phase) },
    { type: 'Ready', ...ready },
    { type: 'ContainersReady', ...ready },
    { type: 'PodScheduled', status: 'True' },
  ];
  const old = pod.status?.conditions ?? [];
  const others = old.filter(({ type }) => own.every((condition) => condition.type !== type));
  return [...own.map((condition) => conditionJson(pod, condition, facts.nowMs)), ...others.map(plain)];
}

/** One condition of a pod with its times: the transition's is kept when the status stays the same. */
export function conditionJson(pod: Pod, condition: PodCondition, nowMs: number): JsonObject {
  const before = pod.status?.conditions?.find(({ type }) => type === condition.type);
  const stays = before?.status === condition.status && before.lastTransitionTime !== undefined;
  return {
    type: condition.type,
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    status: condition.status,
    lastProbeTime: null,
    lastTransitionTime: stays ? (before.lastTransitionTime ?? null) : timestamp(nowMs),
    ...(condition.reason === undefined ? {} : { reason: condition.reason }),
    ...(condition.message === undefined ? {} : { message: condition.message }),
  };
}

type Verdict = Omit<PodCondition, 'type'>;

function initialization(pod: Pod, facts: PodFacts, phase: Phase): Verdict {
  if (phase === 'Succeeded') return { status: 'True', reason: 'PodCompleted' };
  if (pod.spec.containers.some((container) => recordOf(pod, container, facts).created)) return { status: 'True' };
  const incomplete = (pod.spec.initContainers ?? []).filter((container) => {
    const { state } = recordOf(pod, container, facts);
    if (isSidecar(container)) return state.at !== 'running';
    return state.at !== 'terminated' || state.exitCode !== 0;
  });
  if (incomplete.length === 0) return { status: 'True' };
  const message = `containers with incomplete status: [${namesOf(incomplete)}]`;
  return { status: 'False', reason: 'ContainersNotInitialized', message };
}

function readiness(pod: Pod, facts: PodFacts, phase: Phase): Verdict {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' };
  const counted = [...(pod.spec.initContainers ?? []).filter(isSidecar), ...pod.spec.containers];
  const unready = counted.filter((container) => recordOf(pod, container, facts).state.at !== 'running');
  if (unready.length === 0) return { status: 'True' };
  const message = `containers with unready status: [${namesOf(unready)}]`;
  return { status: 'False', reason: 'ContainersNotReady', message };
}

function namesOf(containers: readonly Container[]): string {
  return containers.map(({ name }) => name).join(' ');
}

function recordOf(pod: Pod, { name }: Container, { records }: PodFacts): ContainerRecord {
  return records.get(name) ?? untouched(pod);
}

function isInit(pod: Pod, { name }: Container): boolean {
  return pod.spec.initContainers?.some((container) => container.name === name) ?? false;
}

/** A copy that nobody else holds. */
function plain(value: object): JsonObject {
  return structuredClone(value) as JsonObject; // it came out of JSON
}
