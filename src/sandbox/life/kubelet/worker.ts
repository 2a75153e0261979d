/**
 * One pod's life, from its node to its end: volumes, init containers in their order, containers beside each other, restarts,
 * deadlines, deletion. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
 */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../../clock.ts';
import type { Log } from '../../../log.ts';
import type { ApiClient } from '../../api/client.ts';
import { hasCommand, noCommand } from './body.ts';
import { type Changes, createChanges } from './changes.ts';
import { ConfigError } from './environment.ts';
import type { EventRecorder, Told } from './events.ts';
import { judgeImage } from './image.ts';
import type { Stopping } from './launch.ts';
import { type Container, fieldPathOf, isSidecar, type Pod, podOf, podsResource, type RestartPolicy } from './pod.ts';
import type { Run, RunContainer } from './run.ts';
import { type ContainerRecord, type ContainerState, podStatus, untouched } from './status.ts';
import { MountError } from './volumes.ts';

/** What a pod is run with. */
export interface WorkerParts {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventRecorder;
  readonly hostIP: string;
  /** An address for the pod. */
  readonly podIP: string;
  /** Makes the pod's volumes; throws a MountError while one cannot be made. */
  mount(pod: Pod): void;
  /** Writes again what volumes say of the pod's own fields. */
  refresh(pod: Pod): void;
  readonly run: RunContainer;
}

/** A container that ends is not started again sooner than this; it doubles each time. */
const FIRST_BACKOFF_MS = 10_000;
const LONGEST_BACKOFF_MS = 300_000;
/** A container that ran this long begins again with the first. */
const FORGIVEN_AFTER_MS = 600_000;
/** The kubelet looks about once a second what has become of containers, and every ten what could not be made before. */
const NOTICED_AFTER_MS = 1_000;
const TRIED_AGAIN_AFTER_MS = 10_000;
const FIRST_MOUNT_RETRY_MS = 500;
const LONGEST_MOUNT_RETRY_MS = 16_000;

const DEADLINE = {
  reason: 'DeadlineExceeded',
  message: 'Pod was active on the node longer than the specified deadline',
};
/** How a container ended of which nobody knows. */
const LOST = { exitCode: 137, reason: 'ContainerStatusUnknown', startedAtMs: 0, finishedAtMs: 0, containerId: '' };

/** Runs one pod. Begins when it is made; `update` tells it what has changed since. */
export class PodWorker {
  /** Resolves when nothing of the pod runs any more; never rejects. */
  readonly done: Promise<void>;
  readonly #parts: WorkerParts;
  readonly #changes: Changes = createChanges();
  readonly #records = new Map<string, ContainerRecord>();
  readonly #restarts = new Map<string, AbortController>();
  /** Aborts when nothing is to be started any more. Containers are asked to end by it, sidecars after them. */
  readonly #ending = new AbortController();
  readonly #sidecarsEnd = new AbortController();
  readonly #kill = new AbortController();
  readonly #startedAtMs: number;
  #pod: Pod;
  #killAtMs = Number.POSITIVE_INFINITY;
  #mounted = false;
  #failure: { readonly reason: string; readonly message: string } | undefined;
  #silent = false;
  #finished = false;
  #publishing = false;

  constructor(pod: Pod, parts: WorkerParts) {
    this.#pod = pod;
    this.#parts = parts;
    this.#startedAtMs = parts.clock.now();
    this.done = this.#live();
  }

  /** The pod as it is now. */
  update(pod: Pod): void {
    const before = this.#pod;
    this.#pod = pod;
    if (!isDeepStrictEqual(annotated(pod), annotated(before)) && this.#mounted && !this.#finished) {
      this.#parts.refresh(pod);
      this.#changes.ring();
    }
    for (const container of pod.spec.containers) this.#replaceIfChanged(container, before);
    if (pod.metadata.deletionTimestamp === undefined) return;
    if (this.#finished) this.#remove();
    else this.#end(pod.metadata.deletionGracePeriodSeconds ?? 0);
  }

  /** The object is gone, or the sandbox stops: everything ends at once, and nothing is written any more. */
  abandon(): void {
    this.#silent = true;
    this.#ending.abort();
    this.#sidecarsEnd.abort();
    this.#kill.abort();
  }

  async #live(): Promise<void> {
    const over = new AbortController();
    try {
      this.#publish();
      this.#watchDeadline(over.signal);
      if (this.#pod.metadata.deletionTimestamp !== undefined) this.#end(0);
      if (await this.#mount()) await this.#runContainers();
    } catch (error) {
      this.#parts.log.error('a pod could not be run', { pod: this.#pod.metadata.name, error: String(error) });
      this.#failure ??= { reason: 'SandboxError', message: String(error) };
    }
    over.abort();
    this.#conclude();
  }

  async #mount(): Promise<boolean> {
    for (
      let wait = FIRST_MOUNT_RETRY_MS;
      !this.#ending.signal.aborted;
      wait = Math.min(wait * 2, LONGEST_MOUNT_RETRY_MS)
    ) {
      try {
        this.#parts.mount(this.#pod);
        this.#mounted = true;
        this.#publish();
        return true;
      } catch (error) {
        if (!(error instanceof MountError)) throw error;
        this.#tell({ type: 'Warning', reason: 'FailedMount', message: error.message });
        await this.#parts.clock.sleep(wait, this.#ending.signal);
      }
    }
    return false;
  }

  async #runContainers(): Promise<void> {
    const { initContainers = [], containers, restartPolicy = 'Always' } = this.#pod.spec;
    const main: Stopping = { term: this.#ending.signal, kill: this.#kill.signal };
    const besides: Stopping = { term: this.#sidecarsEnd.signal, kill: this.#kill.signal };
    const sidecars: Promise<boolean>[] = [];
    let initialized = true;
    for (const container of initContainers) {
      if (this.#ending.signal.aborted) break;
      if (isSidecar(container)) {
        const started = Promise.withResolvers<void>();
        const ended = this.#keepRunning(container, besides, 'Always', started.resolve);
        sidecars.push(ended);
        await Promise.race([started.promise, ended]);
      } else {
        initialized = await this.#keepRunning(container, main, restartPolicy === 'Never' ? 'Never' : 'OnFailure');
        if (!initialized) break;
      }
    }
    if (initialized && !this.#ending.signal.aborted) {
      await Promise.all(containers.map((container) => this.#keepRunning(container, main, restartPolicy)));
    }
    if (sidecars.length > 0) this.#endSidecars();
    await Promise.all(sidecars);
  }

  /** Runs a container as often as its policy wants; answers whether its last run succeeded. */
  async #keepRunning(
    container: Container,
    stopping: Stopping,
    policy: RestartPolicy,
    onStart?: () => void,
  ): Promise<boolean> {
    let backoff = 0;
    for (;;) {
      const startedAtMs = this.#parts.clock.now();
      const replaced = new AbortController();
      this.#restarts.set(container.name, replaced);
      const own = { term: AbortSignal.any([stopping.term, replaced.signal]), kill: stopping.kill };
      const exitCode = await this.#runOnce(this.#current(container), stopping, own, onStart);
      if (exitCode === undefined || stopping.term.aborted) return exitCode === 0;
      const again = replaced.signal.aborted || policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
      if (!again) return exitCode === 0;
      if (replaced.signal.aborted) {
        this.#restarted(container);
        continue;
      }
      if (this.#parts.clock.now() - startedAtMs >= FORGIVEN_AFTER_MS) backoff = 0;
      await this.#parts.clock.sleep(NOTICED_AFTER_MS, stopping.term);
      if (backoff > 0) await this.#waitBackoff(container, backoff, stopping);
      if (stopping.term.aborted) return exitCode === 0;
      backoff = Math.min(backoff === 0 ? FIRST_BACKOFF_MS : backoff * 2, LONGEST_BACKOFF_MS);
      this.#restarted(container);
    }
  }

  async #waitBackoff(container: Container, backoff: number, stopping: Stopping): Promise<void> {
    const { name, namespace = '', uid } = this.#pod.metadata;
    const pod = `${name}_${namespace}(${uid})`;
    this.#tell(
      {
        type: 'Warning',
        reason: 'BackOff',
        message: `Back-off restarting failed container ${container.name} in pod ${pod}`,
      },
      container,
    );
    const message = `back-off ${durationText(backoff)} restarting failed container=${container.name} pod=${pod}`;
    this.#wait(container, 'CrashLoopBackOff', message);
    await this.#parts.clock.sleep(backoff, stopping.term);
  }

  /** One run, from the image to the exit code; undefined when the pod ended before there was one. */
  async #runOnce(
    container: Container,
    pod: Stopping,
    stopping: Stopping,
    onStart?: () => void,
  ): Promise<number | undefined> {
    const run = await this.#prepare(container, pod);
    if (run === undefined) return undefined;
    const containerId = `containerd://${run.id}`;
    const startedAtMs = this.#parts.clock.now();
    this.#tell({ type: 'Normal', reason: 'Created', message: `Created container: ${container.name}` }, container);
    this.#tell({ type: 'Normal', reason: 'Started', message: `Started container ${container.name}` }, container);
    // Where nothing is restarted, what has ended is not seen to run again: the nop in a sidecar's place.
    const isOver = this.#record(container).state.at === 'terminated' && this.#pod.spec.restartPolicy === 'Never';
    if (!isOver) this.#set(container, { at: 'running', startedAtMs, containerId });
    onStart?.();
    const end = await run.body(stopping);
    const { exitCode, startError, outOfMemory } = end;
    if (startError !== undefined)
      this.#tell({ type: 'Warning', reason: 'Failed', message: `Error: ${startError}` }, container);
    this.#set(container, {
      at: 'terminated',
      exitCode,
      reason:
        startError !== undefined ? 'StartError' : outOfMemory ? 'OOMKilled' : exitCode === 0 ? 'Completed' : 'Error',
      message: startError ?? end.message,
      startedAtMs: startError === undefined ? startedAtMs : 0,
      finishedAtMs: this.#parts.clock.now(),
      containerId,
    });
    return exitCode;
  }

  /** Until the container can be made: image, configuration, command. Undefined when the pod ends first. */
  async #prepare(container: Container, { term }: Stopping): Promise<Run | undefined> {
    const image = container.image ?? '';
    for (let pullBackoff = FIRST_BACKOFF_MS; !term.aborted; ) {
      const verdict = judgeImage(image);
      if (verdict.at === 'unpullable') {
        await this.#failToPull(container, verdict.message, pullBackoff, term);
        pullBackoff = Math.min(pullBackoff * 2, LONGEST_BACKOFF_MS);
        continue;
      }
      if (verdict.at === 'invalid') {
        this.#tell({ type: 'Warning', reason: 'InspectFailed', message: verdict.message }, container);
        this.#tell({ type: 'Warning', reason: 'Failed', message: 'Error: InvalidImageName' }, container);
        this.#wait(container, 'InvalidImageName', verdict.message);
      } else {
        const present = `Container image ${JSON.stringify(image)} already present on machine`;
        this.#tell({ type: 'Normal', reason: 'Pulled', message: present }, container);
        const made = this.#make(container);
        if (typeof made !== 'string') return made;
        this.#tell({ type: 'Warning', reason: 'Failed', message: `Error: ${made}` }, container);
      }
      await this.#parts.clock.sleep(TRIED_AGAIN_AFTER_MS, term);
    }
    return undefined;
  }

  /** The run, or why there is none, which the status then says as well. */
  #make(container: Container): Run | string {
    if (!hasCommand(container)) {
      this.#wait(container, 'CreateContainerError', noCommand);
      return noCommand;
    }
    try {
      const { restartCount } = this.#record(container);
      return this.#parts.run(this.#pod, container, {
        id: randomBytes(32).toString('hex'),
        restartCount,
        changes: this.#changes,
      });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#wait(container, 'CreateContainerConfigError', error.message);
      return error.message;
    }
  }

  async #failToPull(container: Container, why: string, backoff: number, term: AbortSignal): Promise<void> {
    const image = JSON.stringify(container.image);
    this.#tell({ type: 'Normal', reason: 'Pulling', message: `Pulling image ${image}` }, container);
    this.#tell({ type: 'Warning', reason: 'Failed', message: `Failed to pull image ${image}: ${why}` }, container);
    this.#tell({ type: 'Warning', reason: 'Failed', message: 'Error: ErrImagePull' }, container);
    this.#wait(container, 'ErrImagePull', why);
    await this.#parts.clock.sleep(NOTICED_AFTER_MS, term);
    if (term.aborted) return;
    this.#tell({ type: 'Normal', reason: 'BackOff', message: `Back-off pulling image ${image}` }, container);
    this.#tell({ type: 'Warning', reason: 'Failed', message: 'Error: ImagePullBackOff' }, container);
    this.#wait(container, 'ImagePullBackOff', `Back-off pulling image ${image}: ErrImagePull: ${why}`);
    await this.#parts.clock.sleep(backoff, term);
  }

  /** Another image for a running container: it is ended and started again, whatever the pod's restart policy. */
  #replaceIfChanged(container: Container, before: Pod): void {
    const old = before.spec.containers.find(({ name }) => name === container.name);
    if (old?.image === container.image || this.#record(container).state.at !== 'running') return;
    const message = `Container ${container.name} definition changed, will be restarted`;
    this.#tell({ type: 'Normal', reason: 'Killing', message }, container);
    this.#restarts.get(container.name)?.abort();
  }

  #watchDeadline(over: AbortSignal): void {
    const { activeDeadlineSeconds, terminationGracePeriodSeconds = 30 } = this.#pod.spec;
    if (activeDeadlineSeconds === undefined) return;
    void this.#parts.clock.sleep(activeDeadlineSeconds * 1_000, over).then(() => {
      if (over.aborted || this.#ending.signal.aborted) return;
      this.#failure = DEADLINE;
      this.#tell({ type: 'Normal', reason: DEADLINE.reason, message: DEADLINE.message });
      this.#publish();
      this.#end(terminationGracePeriodSeconds);
    });
  }

  /** Begins the end, or brings it nearer: containers are asked, and killed when the time is over. */
  #end(graceSeconds: number): void {
    const { clock } = this.#parts;
    const killAtMs = clock.now() + graceSeconds * 1_000;
    if (!this.#ending.signal.aborted) {
      for (const container of this.#pod.spec.containers) this.#tellKilling(container);
      this.#ending.abort();
    }
    if (killAtMs >= this.#killAtMs) return;
    this.#killAtMs = killAtMs;
    void clock.sleep(Math.max(0, killAtMs - clock.now()), this.#kill.signal).then(() => {
      if (this.#killAtMs === killAtMs && !this.#finished) this.#kill.abort();
    });
  }

  /** Sidecars outlive the containers they were there for, and have the pod's grace of their own. */
  #endSidecars(): void {
    for (const container of (this.#pod.spec.initContainers ?? []).filter(isSidecar)) this.#tellKilling(container);
    this.#sidecarsEnd.abort();
    this.#end(this.#pod.spec.terminationGracePeriodSeconds ?? 30);
  }

  #tellKilling(container: Container): void {
    if (this.#record(container).state.at !== 'running') return;
    this.#tell({ type: 'Normal', reason: 'Killing', message: `Stopping container ${container.name}` }, container);
  }

  #conclude(): void {
    this.#finished = true;
    this.#mounted = false;
    const initialized = this.#pod.spec.containers.some((container) => this.#record(container).created);
    for (const container of initialized ? this.#pod.spec.containers : []) {
      if (this.#record(container).state.at === 'terminated') continue;
      const message = 'The container could not be located when the pod was terminated';
      this.#set(container, { at: 'terminated', ...LOST, message });
    }
    this.#kill.abort(); // whatever still waits for its time
    this.#write();
    if (this.#pod.metadata.deletionTimestamp !== undefined) this.#remove();
  }

  #remove(): void {
    if (this.#silent) return;
    const { name, namespace = '', uid } = this.#pod.metadata;
    try {
      this.#parts.client.remove(podsResource, namespace, name, { uid, gracePeriodSeconds: 0 });
    } catch (error) {
      this.#parts.log.warn('a pod that has ended could not be removed', { pod: name, error: String(error) });
    }
  }

  #wait(container: Container, reason: string, message: string): void {
    this.#set(container, { at: 'waiting', reason, message });
  }

  #set(container: Container, state: ContainerState): void {
    const record = this.#record(container);
    this.#records.set(container.name, {
      ...record,
      state,
      last: record.state.at === 'terminated' && record.state.containerId !== '' ? record.state : record.last,
      created: record.created || (state.at !== 'waiting' && state.containerId !== ''),
    });
    this.#publish();
  }

  #restarted(container: Container): void {
    const record = this.#record(container);
    this.#records.set(container.name, { ...record, restartCount: record.restartCount + 1 });
  }

  #record({ name }: Container): ContainerRecord {
    return this.#records.get(name) ?? untouched(this.#pod);
  }

  /** The container as the pod has it now. */
  #current({ name, ...container }: Container): Container {
    const { initContainers = [], containers } = this.#pod.spec;
    return [...initContainers, ...containers].find((one) => one.name === name) ?? { name, ...container };
  }

  #tell(told: Told, container?: Container): void {
    if (this.#silent) return;
    this.#parts.events.tell(
      this.#pod,
      container === undefined ? told : { ...told, fieldPath: fieldPathOf(this.#pod, container) },
    );
  }

  /** Soon: what changes in one go is written once. */
  #publish(): void {
    if (this.#publishing) return;
    this.#publishing = true;
    queueMicrotask(() => {
      this.#publishing = false;
      this.#write();
    });
  }

  #write(): void {
    const { client, clock, hostIP, podIP, log } = this.#parts;
    const { name, namespace = '', uid } = this.#pod.metadata;
    if (this.#silent) return;
    const current = client.get(podsResource, namespace, name);
    if (current === undefined || current.metadata.uid !== uid) return;
    const status = podStatus(podOf(current), {
      records: this.#records,
      startedAtMs: this.#startedAtMs,
      nowMs: clock.now(),
      podIP: this.#mounted || this.#records.size > 0 ? podIP : '',
      hostIP,
      sandboxReady: this.#mounted,
      ending: this.#finished,
      failure: this.#failure,
    });
    if (isDeepStrictEqual(status, current.status)) return;
    try {
      client.update(podsResource, { ...current, status }, { subresource: 'status' });
    } catch (error) {
      log.warn("a pod's status was not taken", { pod: name, error: String(error) });
    }
  }
}

function annotated({ metadata }: Pod): object {
  return { annotations: metadata.annotations, labels: metadata.labels };
}

/** `10s`, `1m20s`, `5m0s` */
function durationText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  const seconds = `${(ms % 60_000) / 1_000}s`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}
