/**
 * One pod's life, from its node to its end: volumes, init containers in their order, containers beside each other, restarts,
 * deadlines, deletion. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
 */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../../clock.ts';
import type { Log } from '../../../log.ts';
import type { ApiClient } from '../../api/client.ts';
import { formatDuration } from '../tekton/duration.ts';
import { type Changes, createChanges } from './changes.ts';
import type { EventRecorder, Told } from './events.ts';
import type { Stopping } from './launch.ts';
import { type Container, fieldPathOf, isSidecar, type Pod, podsResource, type RestartPolicy } from './pod.ts';
import { prepareRun } from './prepare.ts';
import { PodReport } from './report.ts';
import type { RunContainer, RunEnd } from './run.ts';
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
/** The kubelet looks about once a second what has become of containers. */
const NOTICED_AFTER_MS = 1_000;
const FIRST_MOUNT_RETRY_MS = 500;
const LONGEST_MOUNT_RETRY_MS = 16_000;

/** What a timer can wait at most. */
const LONGEST_SLEEP_MS = 2 ** 31 - 1;

const DEADLINE = {
  reason: 'DeadlineExceeded',
  message: 'Pod was active on the node longer than the specified deadline',
};
/** How a container ended of which nobody knows. */
const LOST = { exitCode: 137, reason: 'ContainerStatusUnknown', startedAtMs: 0, finishedAtMs: 0, containerId: '' };

/** Who wants to know how a container's first start went. */
interface Hearing {
  /** It runs. */
  readonly started?: () => void;
  /** It runs, or says what it waits for. */
  readonly tried?: () => void;
}

/** The end of one run of a container that is to be started anew. */
interface Replacement {
  readonly term: AbortController;
  readonly kill: AbortController;
}

/** Runs one pod. Begins when it is made; `update` tells it what has changed since. */
export class PodWorker {
  /** Resolves when nothing of the pod runs any more; never rejects. */
  readonly done: Promise<void>;
  readonly #parts: WorkerParts;
  readonly #changes: Changes = createChanges();
  readonly #report: PodReport;
  readonly #replacements = new Map<string, Replacement>();
  /** Aborts when nothing is to be started any more. Containers are asked to end by it, sidecars after them. */
  readonly #ending = new AbortController();
  readonly #sidecarsEnd = new AbortController();
  readonly #kill = new AbortController();
  readonly #startedAtMs: number;
  #deadline = new AbortController();
  #pod: Pod;
  #killAtMs = Number.POSITIVE_INFINITY;
  #mounted = false;
  #failure: { readonly reason: string; readonly message: string } | undefined;
  #silent = false;
  #finished = false;
  #podIP = '';

  constructor(pod: Pod, parts: WorkerParts) {
    this.#pod = pod;
    this.#parts = parts;
    this.#startedAtMs = parts.clock.now();
    this.#report = new PodReport(pod, { ...parts, facts: () => (this.#silent ? undefined : this.#facts()) });
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
    if (pod.spec.activeDeadlineSeconds !== before.spec.activeDeadlineSeconds && !this.#finished) this.#watchDeadline();
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
    try {
      this.#report.publish();
      this.#watchDeadline();
      if (this.#pod.metadata.deletionTimestamp !== undefined) this.#end(0);
      if (await this.#mount()) await this.#runContainers();
    } catch (error) {
      this.#parts.log.error('a pod could not be run', { pod: this.#pod.metadata.name, error: String(error) });
      this.#failure ??= { reason: 'SandboxError', message: String(error) };
    }
    this.#deadline.abort();
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
        this.#podIP = this.#parts.podIP;
        this.#report.publish();
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
        const ended = this.#keepRunning(container, besides, 'Always', { started: started.resolve });
        sidecars.push(ended);
        await Promise.race([started.promise, ended]);
      } else {
        initialized = await this.#keepRunning(container, main, restartPolicy === 'Never' ? 'Never' : 'OnFailure');
        if (!initialized) break;
      }
    }
    if (initialized && !this.#ending.signal.aborted) {
      const running: Promise<boolean>[] = [];
      for (const container of containers) {
        // One after another, as the kubelet does it: the next one when this one has started, or could not.
        const tried = Promise.withResolvers<void>();
        const ended = this.#keepRunning(container, main, restartPolicy, { tried: tried.resolve });
        running.push(ended);
        await Promise.race([tried.promise, ended]);
      }
      await Promise.all(running);
    }
    if (sidecars.length > 0) this.#endSidecars();
    await Promise.all(sidecars);
  }

  /** Runs a container as often as its policy wants; answers whether its last run succeeded. */
  async #keepRunning(
    container: Container,
    stopping: Stopping,
    policy: RestartPolicy,
    hear: Hearing = {},
  ): Promise<boolean> {
    let backoff = 0;
    for (;;) {
      const startedAtMs = this.#parts.clock.now();
      const replacement: Replacement = { term: new AbortController(), kill: new AbortController() };
      this.#replacements.set(container.name, replacement);
      const own: Stopping = {
        term: AbortSignal.any([stopping.term, replacement.term.signal]),
        kill: AbortSignal.any([stopping.kill, replacement.kill.signal]),
      };
      const exitCode = await this.#runOnce(container, stopping, own, hear);
      replacement.kill.abort(); // nobody waits for its time any more
      const replaced = replacement.term.signal.aborted;
      if (exitCode === undefined || stopping.term.aborted) return exitCode === 0;
      const again = replaced || policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
      if (!again) return exitCode === 0;
      if (replaced) {
        this.#report.countRestart(container);
        continue;
      }
      if (this.#parts.clock.now() - startedAtMs >= FORGIVEN_AFTER_MS) backoff = 0;
      await this.#parts.clock.sleep(NOTICED_AFTER_MS, stopping.term);
      if (backoff > 0) await this.#waitBackoff(container, backoff, stopping);
      if (stopping.term.aborted) return exitCode === 0;
      backoff = Math.min(backoff === 0 ? FIRST_BACKOFF_MS : backoff * 2, LONGEST_BACKOFF_MS);
      this.#report.countRestart(container);
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
    const message = `back-off ${formatDuration(backoff)} restarting failed container=${container.name} pod=${pod}`;
    this.#report.set(container, { at: 'waiting', reason: 'CrashLoopBackOff', message });
    await this.#parts.clock.sleep(backoff, stopping.term);
  }

  /** One run, from the image to the exit code; undefined when the pod ended before there was one. */
  async #runOnce(container: Container, pod: Stopping, stopping: Stopping, hear: Hearing): Promise<number | undefined> {
    const run = await prepareRun(pod.term, {
      clock: this.#parts.clock,
      current: () => this.#current(container),
      make: (one) => this.#parts.run(this.#pod, one, { id: randomBytes(32).toString('hex'), changes: this.#changes }),
      tell: (told) => this.#tell(told, container),
      wait: (reason, message) => {
        this.#report.set(container, { at: 'waiting', reason, message });
        hear.tried?.();
      },
    });
    if (run === undefined) return undefined;
    const containerId = `containerd://${run.id}`;
    const startedAtMs = this.#parts.clock.now();
    this.#tell({ type: 'Normal', reason: 'Created', message: `Created container: ${container.name}` }, container);
    const end = await run.body(stopping, () => {
      this.#tell({ type: 'Normal', reason: 'Started', message: `Started container ${container.name}` }, container);
      // Where nothing is restarted, what has ended is not seen to run again: the nop in a sidecar's place.
      const isOver = this.#report.of(container).state.at === 'terminated' && this.#pod.spec.restartPolicy === 'Never';
      if (!isOver) this.#report.set(container, { at: 'running', startedAtMs, containerId });
      hear.started?.();
      hear.tried?.();
    });
    hear.tried?.();
    const { exitCode, startError } = end;
    if (startError !== undefined) {
      this.#tell({ type: 'Warning', reason: 'Failed', message: `Error: ${startError}` }, container);
    }
    this.#report.set(container, {
      at: 'terminated',
      exitCode,
      reason: reasonOf(end),
      message: startError ?? end.message,
      startedAtMs: startError === undefined ? startedAtMs : 0,
      finishedAtMs: this.#parts.clock.now(),
      containerId,
    });
    return exitCode;
  }

  /** Another image for a running container: it is ended and started again, whatever the pod's restart policy. */
  #replaceIfChanged(container: Container, before: Pod): void {
    const old = before.spec.containers.find(({ name }) => name === container.name);
    if (old?.image === container.image || this.#report.of(container).state.at !== 'running') return;
    const message = `Container ${container.name} definition changed, will be restarted`;
    this.#tell({ type: 'Normal', reason: 'Killing', message }, container);
    const replacement = this.#replacements.get(container.name);
    if (replacement === undefined) return;
    replacement.term.abort();
    const graceMs = (this.#pod.spec.terminationGracePeriodSeconds ?? 30) * 1_000;
    const { kill } = replacement;
    void this.#parts.clock.sleep(graceMs, kill.signal).then(() => kill.abort());
  }

  /** Waits for the deadline as the pod has it now: it may be given later, and be brought nearer. */
  #watchDeadline(): void {
    const { activeDeadlineSeconds, terminationGracePeriodSeconds = 30 } = this.#pod.spec;
    this.#deadline.abort();
    if (activeDeadlineSeconds === undefined) return;
    const { clock } = this.#parts;
    const leftMs = this.#startedAtMs + activeDeadlineSeconds * 1_000 - clock.now();
    if (leftMs > LONGEST_SLEEP_MS) return; // no sandbox lives as long
    this.#deadline = new AbortController();
    const { signal } = this.#deadline;
    void clock.sleep(Math.max(0, leftMs), signal).then(() => {
      if (signal.aborted || this.#ending.signal.aborted) return;
      this.#failure = DEADLINE;
      this.#tell({ type: 'Normal', reason: DEADLINE.reason, message: DEADLINE.message });
      this.#report.publish();
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
    const leftMs = Math.min(LONGEST_SLEEP_MS, Math.max(0, killAtMs - clock.now()));
    void clock.sleep(leftMs, this.#kill.signal).then(() => {
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
    if (this.#report.of(container).state.at !== 'running') return;
    this.#tell({ type: 'Normal', reason: 'Killing', message: `Stopping container ${container.name}` }, container);
  }

  #conclude(): void {
    this.#finished = true;
    this.#mounted = false;
    const initialized = this.#pod.spec.containers.some((container) => this.#report.of(container).created);
    for (const container of initialized ? this.#pod.spec.containers : []) {
      if (this.#report.of(container).state.at === 'terminated') continue;
      const message = 'The container could not be located when the pod was terminated';
      this.#report.set(container, { at: 'terminated', ...LOST, message });
    }
    this.#kill.abort(); // whatever still waits for its time
    this.#report.write();
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

  /** The container as the pod has it now. */
  #current({ name, ...container }: Container): Container {
    const { initContainers = [], containers } = this.#pod.spec;
    return [...initContainers, ...containers].find((one) => one.name === name) ?? { name, ...container };
  }

  #facts() {
    return {
      startedAtMs: this.#startedAtMs,
      podIP: this.#podIP,
      hostIP: this.#parts.hostIP,
      sandboxReady: this.#mounted,
      ending: this.#finished,
      failure: this.#failure,
    };
  }

  #tell(told: Told, container?: Container): void {
    if (this.#silent) return;
    this.#parts.events.tell(
      this.#pod,
      container === undefined ? told : { ...told, fieldPath: fieldPathOf(this.#pod, container) },
    );
  }
}

function reasonOf({ exitCode, startError, outOfMemory }: RunEnd): string {
  if (startError !== undefined) return 'StartError';
  if (outOfMemory) return 'OOMKilled';
  return exitCode === 0 ? 'Completed' : 'Error';
}

function annotated({ metadata }: Pod): object {
  return { annotations: metadata.annotations, labels: metadata.labels };
}
