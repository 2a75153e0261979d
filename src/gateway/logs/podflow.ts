/** Containers of one pod that speak one after another, on their way to one client: opened in time, joined in order, read exactly. */
import type { Clock } from '../../clock.ts';
import type { LineBatch } from '../../kube/lines.ts';
import type { LogRange } from '../../kube/logread.ts';
import type { ContainerMoment, ReadNotice, ReadOutcome } from '../../kube/podlog.ts';
import type { ContainerLogs } from '../../kube/sharedlog.ts';
import { type Joined, Joiner } from '../../tekton/joiner.ts';
import type { PodPlan, StepPlan } from '../../tekton/logs.ts';
import type { Pod, PodContainer } from '../../tekton/types.ts';
import { behind, counting, countOf, type TakeLines } from './counted.ts';
import type { ResumePoint } from './cursor.ts';

/** Within a pod this many steps beyond the current one are open at once: waiting for each end costs a second a step. */
const STEPS_AHEAD = 7;

/** What a flow needs of its session. */
export interface PodFlowParts {
  readonly logs: ContainerLogs;
  readonly clock: Clock;
  readonly namespace: string;
  readonly follow: boolean;
  /** Which lines of a container are asked for. */
  readonly rangeOf: (step: StepPlan) => LogRange;
  /** Where to begin with a container. */
  readonly startOf: (container: string) => ResumePoint;
  /** The pod as it is known now, if it is still the one that was planned. */
  readonly pod: () => Pod | undefined;
  /** What is planned for a container now: how its TaskRun tells it when the pod is gone. */
  readonly planned: (container: string) => StepPlan | undefined;
  /** Calls `listener` when the pod may have changed; returns the end of that. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Hands joined lines on, in order; not called before `turn` has resolved. */
  readonly write: (joined: Joined) => void;
  /** Resolves while the client has room. */
  readonly room: () => Promise<void>;
  /** Says what a reader has to say; not called before `turn` has resolved. */
  readonly notice: (step: StepPlan, notice: ReadNotice) => void;
  /** Reads elsewhere the log of a container that is gone with its pod; undefined: it is nowhere. Never rejects but with what `lines` threw. */
  readonly past: (step: StepPlan, lines: TakeLines) => Promise<ReadOutcome | undefined>;
  readonly worthRetrying: (failingForMs: number) => boolean;
  /** Told of a mistake of ours: the session ends with it. */
  readonly failed: (error: unknown) => void;
  /** Resolves when this pod may speak, or the session is over: finished pods come one after another. */
  readonly turn: Promise<unknown>;
  /** Resolves when this pod may be read: no more than a few finished ones are held ready. */
  readonly opening: Promise<unknown>;
  readonly signal: AbortSignal;
}

/** The running flow of containers that speak one after another. */
export interface PodFlow {
  /** Resolves when every container has been read to its end or given up. */
  readonly done: Promise<void>;
  /** A container was read to its end or given up. */
  isComplete(container: string): boolean;
  /** All that a container ever said was read: it had ended, and nothing is missing. */
  hasAll(container: string): boolean;
  /** True while nothing that was read turned out to be missing. */
  readonly lossless: boolean;
}

/** Starts reading `steps` of a pod, which are joined in their order. Aborting `signal` ends every read at once. */
export function startPodFlow(
  plan: Pick<PodPlan, 'pod' | 'podUid'>,
  steps: readonly StepPlan[],
  parts: PodFlowParts,
): PodFlow {
  return new Flow(plan, steps, parts);
}

class Flow implements PodFlow {
  readonly done: Promise<void>;
  lossless = true;
  readonly #name: string;
  readonly #steps: readonly StepPlan[];
  readonly #parts: PodFlowParts;
  readonly #joiner: Joiner;
  readonly #ended = new Set<string>();
  readonly #whole = new Set<string>();
  /** Of these everything was handed on. */
  readonly #over = new Set<string>();
  readonly #lastWords = new Map<number, ReadNotice>();
  /** Containers that were seen to have run: these have a log to miss. */
  readonly #ran = new Set<string>();
  #sawPod = false;
  #opened = 0;
  #wakeAt: number | undefined;
  #paused: (() => void)[] = [];
  #finish: () => void = () => {};

  constructor({ pod, podUid }: Pick<PodPlan, 'pod' | 'podUid'>, steps: readonly StepPlan[], parts: PodFlowParts) {
    this.#name = pod;
    this.#steps = steps;
    this.#parts = parts;
    this.#joiner = new Joiner(steps.map(({ position }) => position));
    this.#sawPod = podUid !== undefined;
    for (const { container, state } of steps) if (state !== 'unknown' && state !== 'waiting') this.#ran.add(container);
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    parts.signal.addEventListener('abort', () => this.#release(), { once: true });
    void parts.opening.then(() => this.#open());
  }

  isComplete(container: string): boolean {
    return this.#over.has(container);
  }

  hasAll(container: string): boolean {
    return this.#whole.has(container);
  }

  /** Opens the current step and those shortly after it. */
  #open(): void {
    const steps = this.#steps;
    const current = steps.findIndex(({ container }) => !this.#ended.has(container));
    if (steps.length === 0) this.#finish();
    while (current !== -1 && this.#opened < Math.min(steps.length, current + 1 + STEPS_AHEAD)) {
      // Counted before it is read: one of which nothing is left to read opens the next at once.
      const step = steps[this.#opened++];
      if (step !== undefined) this.#read(step).catch(this.#parts.failed);
    }
  }

  async #read(step: StepPlan): Promise<void> {
    const { clock, follow, signal, startOf, turn } = this.#parts;
    const start = startOf(step.container);
    const moment = this.#moment(step);
    if (!follow || moment === 'terminated') this.#joiner.isFinite(step.position);
    const canBeWhole = follow || (moment !== 'running' && moment !== 'waiting');
    const outcome = start === 'end' ? 'complete' : await this.#readFrom(step, start);
    if (outcome === 'incomplete') this.lossless = false;
    if (signal.aborted) {
      this.#finish();
      return;
    }
    this.#ended.add(step.container);
    if (outcome === 'complete' && canBeWhole) this.#whole.add(step.container);
    this.#open();
    // Those behind it are read meanwhile, but what is said of its end comes in turn.
    await turn;
    this.#hand(this.#joiner.ended(step.position, clock.now()));
    this.#over.add(step.container);
    if (this.#over.size === this.#steps.length) this.#finish();
  }

  async #readFrom(step: StepPlan, start: Exclude<ResumePoint, 'end'>): Promise<ReadOutcome> {
    const { notice, subscribe, past, turn, signal } = this.#parts;
    const { from, skipLines } = start === 'beginning' ? { skipLines: 0 } : start;
    const counted = from && countOf(from);
    const take: TakeLines = (batch) => this.#lines(step, batch);
    let isUnread = false;
    const { logs, namespace, follow, rangeOf, worthRetrying } = this.#parts;
    const pod = this.#parts.pod();
    const podUid = pod?.meta.uid;
    // Tekton stops a sidecar by starting it anew with an image that does nothing; one that Kubernetes keeps is an init container.
    const onlyFirstRun = pod === undefined || containerOf(pod, step)?.init !== true;
    const outcome = await logs.read({
      namespace,
      pod: this.#name,
      ...(podUid === undefined ? {} : { podUid }),
      follow,
      range: rangeOf(step),
      onlyFirstRun,
      worthRetrying,
      signal,
      container: step.container,
      ...(from === undefined || counted !== undefined ? {} : { from }),
      sight: { now: () => this.#moment(step), restarts: () => this.#restarts(step), subscribe },
      lines: behind(counted === undefined ? skipLines : 0, take),
      notice: (said) => {
        if (said.type === 'gone' && !said.delivered) isUnread = true;
        else if (said.type === 'gone') this.#lastWords.set(step.position, said);
        else void turn.then(() => notice(step, said));
      },
    });
    if (!isUnread || signal.aborted) return outcome;
    // What was delivered of the pod's own log cannot be found again in one without timestamps.
    const isElsewhere = from === undefined || counted !== undefined;
    const linesAfter = counting(behind((counted ?? 0) + skipLines, take));
    const found = isElsewhere ? await past(this.#parts.planned(step.container) ?? step, linesAfter) : undefined;
    if (found === undefined) this.#lastWords.set(step.position, { type: 'gone', delivered: from !== undefined });
    return found ?? outcome;
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
    for (const one of joined) {
      if (one.kind === 'over') this.#sayLast(one.step);
      write(one);
    }
    if (joined.length > 0) this.#release();
    const { wakeAt } = this.#joiner;
    if (wakeAt === undefined || (this.#wakeAt !== undefined && this.#wakeAt <= wakeAt)) return;
    this.#wakeAt = wakeAt;
    void clock.sleep(Math.max(0, wakeAt - clock.now()), signal).then(() => {
      if (this.#wakeAt === wakeAt) this.#wakeAt = undefined;
      this.#hand(this.#joiner.tick(clock.now()));
    });
  }

  /** What is to be said behind the last line of a step, and before those of the next. */
  #sayLast(position: number): void {
    const said = this.#lastWords.get(position);
    const step = this.#steps.find((one) => one.position === position);
    if (said !== undefined && step !== undefined) this.#parts.notice(step, said);
  }

  #release(): void {
    const all = this.#paused;
    this.#paused = [];
    for (const look of all) look();
  }

  #restarts(step: StepPlan): number {
    const pod = this.#parts.pod();
    return (pod && containerOf(pod, step)?.restarts) ?? 0;
  }

  #moment(step: StepPlan): ContainerMoment {
    const pod = this.#parts.pod();
    if (pod === undefined) {
      const told = this.#parts.planned(step.container)?.state;
      if (told === 'never') return 'absent';
      if (told === 'gone' || (this.#sawPod && this.#ran.has(step.container))) return 'gone';
      return 'waiting';
    }
    this.#sawPod = true;
    const state = containerOf(pod, step)?.state;
    if (state === 'running' || state === 'terminated') {
      this.#ran.add(step.container);
      return state;
    }
    // A pod that is over starts nothing any more: evicted, or failed before this container ran.
    return pod.phase === 'Failed' || pod.phase === 'Succeeded' ? 'absent' : 'waiting';
  }
}

function containerOf(pod: Pod, { container }: StepPlan): PodContainer | undefined {
  return pod.containers.find(({ name }) => name === container);
}
