/** One pod's steps on their way to one client: opened in time, joined in order, read exactly. */
import type { Clock } from '../clock.ts';
import type { KubeReader } from '../kube/client.ts';
import type { LineBatch } from '../kube/lines.ts';
import type { LogRange } from '../kube/logread.ts';
import { type ContainerMoment, type ReadNotice, readContainerLog } from '../kube/podlog.ts';
import type { Metrics } from '../metrics.ts';
import { type Joined, Joiner } from '../tekton/joiner.ts';
import type { PodPlan, StepPlan } from '../tekton/logs.ts';
import type { Pod } from '../tekton/types.ts';

/** Within a pod this many steps beyond the current one are open at once: waiting for each end costs a second a step. */
const STEPS_AHEAD = 7;

/** What a flow needs of its session. */
export interface PodFlowParts {
  readonly reader: KubeReader;
  readonly clock: Clock;
  readonly random: () => number;
  readonly metrics: Metrics;
  readonly namespace: string;
  readonly follow: boolean;
  readonly range: LogRange;
  /** The pod as it is known now, if it is still the one that was planned. */
  readonly pod: () => Pod | undefined;
  /** What is planned for the pod now: how its TaskRun tells its steps when the pod is gone. */
  readonly plan: () => PodPlan | undefined;
  /** Calls `listener` when the pod may have changed; returns the end of that. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Hands joined lines on, in order; not called before `turn` has resolved. */
  readonly write: (joined: Joined) => void;
  /** Resolves while the client has room. */
  readonly room: () => Promise<void>;
  readonly notice: (step: StepPlan, notice: ReadNotice) => void;
  readonly worthRetrying: (failingForMs: number) => boolean;
  /** Told of a mistake of ours: the session ends with it. */
  readonly failed: (error: unknown) => void;
  /** Resolves when this pod may speak, or the session is over: finished pods come one after another. */
  readonly turn: Promise<unknown>;
  /** Resolves when this pod may be read: no more than a few finished ones are held ready. */
  readonly opening: Promise<unknown>;
  readonly signal: AbortSignal;
}

/** The running flow of one pod. */
export interface PodFlow {
  /** Resolves when every step has been read to its end or given up. */
  readonly done: Promise<void>;
  isComplete(container: string): boolean;
  /** True while nothing that was read turned out to be missing. */
  readonly lossless: boolean;
}

/** Starts reading a pod whose steps are known. Aborting `signal` ends every read at once. */
export function startPodFlow(plan: PodPlan, parts: PodFlowParts): PodFlow {
  return new Flow(plan, parts);
}

class Flow implements PodFlow {
  readonly done: Promise<void>;
  lossless = true;
  readonly #plan: PodPlan;
  readonly #parts: PodFlowParts;
  readonly #joiner: Joiner;
  readonly #ended = new Set<string>();
  /** Containers that were seen to have run: these have a log to miss. */
  readonly #ran = new Set<string>();
  #sawPod = false;
  #opened = 0;
  #wakeAt: number | undefined;
  #paused: (() => void)[] = [];
  #finish: () => void = () => {};

  constructor(plan: PodPlan, parts: PodFlowParts) {
    this.#plan = plan;
    this.#parts = parts;
    this.#joiner = new Joiner(plan.steps.map(({ position }) => position));
    this.#sawPod = plan.podUid !== undefined;
    for (const { container, state } of plan.steps)
      if (state !== 'unknown' && state !== 'waiting') this.#ran.add(container);
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    parts.signal.addEventListener('abort', () => this.#release(), { once: true });
    void parts.opening.then(() => this.#open());
  }

  isComplete(container: string): boolean {
    return this.#ended.has(container);
  }

  /** Opens the current step and those shortly after it. */
  #open(): void {
    const { steps } = this.#plan;
    const current = steps.findIndex(({ container }) => !this.#ended.has(container));
    if (current === -1) this.#finish();
    for (; current !== -1 && this.#opened < Math.min(steps.length, current + 1 + STEPS_AHEAD); this.#opened++) {
      const step = steps[this.#opened];
      if (step !== undefined) this.#read(step).catch(this.#parts.failed);
    }
  }

  async #read(step: StepPlan): Promise<void> {
    const { notice, subscribe, clock, follow, signal } = this.#parts;
    const moment = this.#moment(step);
    if (!follow || moment === 'terminated') this.#joiner.isFinite(step.position);
    const outcome = await readContainerLog({
      ...this.#parts,
      pod: this.#plan.pod,
      container: step.container,
      sight: { now: () => this.#moment(step), subscribe },
      lines: (batch) => this.#lines(step, batch),
      notice: (said) => notice(step, said),
    });
    if (outcome === 'incomplete') this.lossless = false;
    if (signal.aborted) {
      this.#finish();
      return;
    }
    this.#ended.add(step.container);
    this.#hand(this.#joiner.ended(step.position, clock.now()));
    this.#open();
  }

  async #lines(step: StepPlan, batch: LineBatch): Promise<void> {
    const { turn, clock, room, signal } = this.#parts;
    await turn;
    if (signal.aborted) return;
    this.#hand(this.#joiner.lines(step.position, batch, clock.now()));
    if (!this.#joiner.wants(step.position)) {
      await new Promise<void>((resolve) => {
        const look = () => {
          if (signal.aborted || this.#joiner.wants(step.position)) resolve();
          else this.#paused.push(look);
        };
        look();
      });
    }
    await room();
  }

  /** Writes what the joiner let out, and comes back when it wants to be looked at. */
  #hand(joined: readonly Joined[]): void {
    const { write, clock, signal } = this.#parts;
    if (signal.aborted) return;
    for (const one of joined) write(one);
    if (joined.length > 0) this.#release();
    const { wakeAt } = this.#joiner;
    if (wakeAt === undefined || (this.#wakeAt !== undefined && this.#wakeAt <= wakeAt)) return;
    this.#wakeAt = wakeAt;
    void clock.sleep(Math.max(0, wakeAt - clock.now()), signal).then(() => {
      if (this.#wakeAt === wakeAt) this.#wakeAt = undefined;
      this.#hand(this.#joiner.tick(clock.now()));
    });
  }

  #release(): void {
    const all = this.#paused;
    this.#paused = [];
    for (const look of all) look();
  }

  #moment(step: StepPlan): ContainerMoment {
    const pod = this.#parts.pod();
    if (pod === undefined) {
      const told = this.#parts.plan()?.steps.find(({ container }) => container === step.container)?.state;
      if (told === 'never') return 'absent';
      if (told === 'gone' || (this.#sawPod && this.#ran.has(step.container))) return 'gone';
      return 'waiting';
    }
    this.#sawPod = true;
    const state = pod.containers.find(({ name }) => name === step.container)?.state;
    if (state === 'running' || state === 'terminated') {
      this.#ran.add(step.container);
      return state;
    }
    // A pod that is over starts nothing any more: evicted, or failed before this container ran.
    return pod.phase === 'Failed' || pod.phase === 'Succeeded' ? 'absent' : 'waiting';
  }
}
