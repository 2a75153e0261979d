/** What is read of a run: the containers of each attempt, opened in their turn, read to their end, said on the stage. */
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import type { ExternalLogs } from '../../kube/externallogs.ts';
import type { LogRange } from '../../kube/logread.ts';
import { type ObjectRef, present } from '../../kube/objects.ts';
import type { ReadNotice, ReadOutcome } from '../../kube/podlog.ts';
import type { ContainerLogs } from '../../kube/sharedlog.ts';
import type { Joined } from '../../tekton/joiner.ts';
import type { PodPlan, StepPlan } from '../../tekton/logs.ts';
import type { Pod } from '../../tekton/types.ts';
import type { Followed } from '../facts/followed.ts';
import type { TakeLines } from './counted.ts';
import type { Delivered } from './delivered.ts';
import { type PodFlow, type PodFlowParts, startPodFlow } from './podflow.ts';
import { PodSpeech } from './speech.ts';
import type { Stage } from './stage.ts';
import { Timeline } from './timeline.ts';

/** Finished pods are read this many at a time, and shown one after another. */
const PODS_AHEAD = 4;
/** Without following, an API that does not answer is tried this long. */
const UNFOLLOWED_PATIENCE_MS = 10_000;
/** Between two questions about a pod that were not answered. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** What a reading needs of its session. */
export interface ReadingsParts {
  readonly run: ObjectRef;
  readonly runs: Followed;
  readonly logs: ContainerLogs;
  readonly clock: Clock;
  readonly stage: Stage;
  readonly delivered: Delivered;
  /** Where logs of deleted pods are kept, if there is such a place. */
  readonly external: ExternalLogs | undefined;
  readonly follow: boolean;
  readonly range: LogRange;
  /** When the log was first asked for. */
  readonly askedMs: number;
  /** Lines come in the order of their timestamps, not task by task. */
  readonly merged: boolean;
  /** What is planned now. */
  readonly plan: () => readonly PodPlan[];
  /** Told of each batch of lines that leaves. */
  readonly moved: () => void;
  /** Told when a pod has been read to its end. */
  readonly read: () => void;
  readonly notice: (plan: PodPlan, step: StepPlan, notice: ReadNotice | ExternalTrouble) => void;
  /** Told of a mistake of ours. */
  readonly failed: (error: unknown) => void;
  /** Aborts when the session is over; everything that was opened is closed then. */
  readonly over: AbortSignal;
}

/** The place where logs of deleted pods are kept did not give one; `how`: the end of a sentence about it. */
export interface ExternalTrouble {
  readonly type: 'external';
  readonly how: string;
}

/** What is read of one attempt. */
interface Reading {
  readonly flows: readonly PodFlow[];
  readonly speech: PodSpeech;
  isRead: boolean;
}

/** With what a flow is opened. */
interface Opening extends Pick<PodFlowParts, 'turn' | 'opening'> {
  readonly speech: PodSpeech;
  /** The steps before these, where each is read by itself. */
  readonly before: readonly StepPlan[] | undefined;
}

/** The readings of one session. */
export class Readings {
  readonly #parts: ReadingsParts;
  readonly #readings = new Map<string, Reading>();
  /** The end of the latest attempt of each TaskRun, by uid. */
  readonly #attempts = new Map<string, Promise<void>>();
  /** The ends of the pods that are shown one after another. */
  readonly #queue: Promise<void>[] = [];
  readonly #timeline: Timeline | undefined;
  /** Pods that the stores do not have, but the cluster does. */
  readonly #fetched = new Map<string, Pod>();

  constructor(parts: ReadingsParts) {
    this.#parts = parts;
    this.#timeline = parts.merged ? new Timeline() : undefined;
    parts.over.addEventListener('abort', () => this.#timeline?.close(), { once: true });
  }

  /** Reads an attempt, if its containers are known and it is not read already. `runIsOver`: nothing of it is deleted any more. */
  start(plan: PodPlan, runIsOver: boolean): void {
    const all = [...plan.steps, ...plan.beside];
    if (this.#readings.has(plan.pod) || all.length === 0) return;
    const isPast = all.every(({ state }) => state === 'gone' || state === 'never');
    // What the TaskRun alone tells of its steps may be incomplete: the pod is waited for, unless it has been.
    if (plan.podUid === undefined && !isPast) return;
    const { delivered, stage, clock, follow } = this.#parts;
    const isOver = all.every(({ state }) => state !== 'unknown' && state !== 'waiting' && state !== 'running');
    // Live pods speak as they come. What was over before we looked is shown pod by pod, and attempts always one by one.
    const isQueued = (isOver || !follow) && this.#timeline === undefined;
    const queueBefore = isQueued ? this.#queue.at(-1) : undefined;
    const attemptBefore = this.#timeline === undefined ? this.#attempts.get(plan.taskRunUid) : undefined;
    // A run that is over keeps its pods: they are read as fast as they are shown. Those of others may be gone by then.
    const shown = isQueued && runIsOver ? stage.turnOf(plan.pod) : undefined;
    const turn = this.#unlessOver(attemptBefore, queueBefore, shown);
    const opening = this.#unlessOver(
      isQueued ? this.#queue.at(-PODS_AHEAD) : undefined,
      // Each kind has a watch of its own: a pod that is missing here may only be late.
      plan.podUid === undefined ? this.#fetch(plan) : undefined,
    );
    delivered.expect(
      plan.pod,
      all.map(({ container }) => container),
    );
    const speech = new PodSpeech(plan, { stage, delivered, clock });
    const groups = this.#timeline === undefined ? together(plan) : all.map((step) => [step]);
    const flows = groups.map((steps, at) => {
      const before = at < plan.steps.length ? groups[at - 1] : undefined;
      return this.#flow(plan, steps, { speech, turn, opening, before });
    });
    const reading: Reading = { flows, speech, isRead: false };
    this.#readings.set(plan.pod, reading);
    const done = Promise.all(flows.map((flow) => flow.done)).then(() => {
      reading.isRead = true;
      this.#parts.read();
    });
    this.#attempts.set(plan.taskRunUid, done);
    // A pod with nothing to say is done before its turn: those behind it wait for those before it all the same.
    if (isQueued) this.#queue.push(Promise.all([queueBefore, done]).then(() => {}));
  }

  /** Whether a pod is being read, or was. */
  has(pod: string): boolean {
    return this.#readings.has(pod);
  }

  /** True when a pod was read to its end; undefined when nobody reads it. */
  isRead(pod: string): boolean | undefined {
    return this.#readings.get(pod)?.isRead;
  }

  /** Whether a container was read to its end, or given up. */
  isComplete(pod: string, container: string): boolean {
    return this.#readings.get(pod)?.flows.some((flow) => flow.isComplete(container)) ?? false;
  }

  /** True while nothing that was read turned out to be missing. */
  get lossless(): boolean {
    return [...this.#readings.values()].every(({ flows }) => flows.every(({ lossless }) => lossless));
  }

  /** Says of attempts that were read which of them are over; at the end of a session of all that were read at all. */
  sayOver(which: 'those that are' | 'all'): void {
    const plan = this.#parts.plan();
    for (const { speech, isRead } of this.#readings.values()) {
      if (which === 'all') speech.over(plan);
      else if (isRead) speech.overWhenFinal(plan);
    }
  }

  /** Containers that speak one after another. */
  #flow(plan: PodPlan, steps: readonly StepPlan[], { speech, turn, opening, before }: Opening): PodFlow {
    const { run, runs, logs, clock, delivered, follow, moved, notice, failed, over } = this.#parts;
    const voice = speech.voiceOf(steps);
    const timeline = this.#timeline;
    const place = { from: steps[0]?.startedAt, behind: before && speech.voiceOf(before) };
    const planned = (container: string) => this.#planned(plan.pod, container);
    const write = (joined: Joined) => {
      if (joined.kind === 'lines') moved();
      speech.say(voice, steps, joined, (step) => planned(step.container) ?? step, flow);
    };
    const flow: PodFlow = startPodFlow(plan, steps, {
      logs,
      clock,
      namespace: run.namespace,
      follow,
      rangeOf: (step) => this.#rangeOf(planned(step.container) ?? step),
      startOf: (container) => delivered.startOf(plan.pod, container),
      pod: () => this.#podOf(plan),
      planned,
      subscribe: (listener) => runs.subscribe(run, listener),
      write: timeline === undefined ? write : (joined) => timeline.take(voice, joined),
      room: async () => {
        await timeline?.room(voice);
        await speech.room(voice);
      },
      notice: (step, said) => notice(plan, planned(step.container) ?? step, said),
      past: (step, lines) => this.#readPast(plan, step, lines),
      worthRetrying: (failingForMs) => follow || failingForMs < UNFOLLOWED_PATIENCE_MS,
      failed,
      turn,
      opening: timeline === undefined ? opening : Promise.all([opening, timeline.add(voice, place, write)]),
      signal: over,
    });
    return flow;
  }

  /** `tail` is of what was there when it was asked for: of a container that started later no line is left out. */
  #rangeOf({ startedAt }: StepPlan): LogRange {
    const { range, askedMs } = this.#parts;
    if (startedAt === undefined || !(Date.parse(startedAt) >= askedMs)) return range;
    const { tailLines: _, ...rest } = range;
    return rest;
  }

  /** Reads the log of a container that is gone with its pod where such logs are kept. */
  async #readPast(plan: PodPlan, step: StepPlan, lines: TakeLines): Promise<ReadOutcome | undefined> {
    const { external, run, notice, over } = this.#parts;
    const { startedAt: startTime = plan.started, finishedAt: completionTime = plan.completed } = step;
    return external?.read({
      namespace: run.namespace,
      pod: plan.pod,
      container: step.container,
      ...present({ startTime, completionTime }),
      lines,
      failed: (how) => notice(plan, step, { type: 'external', how }),
      signal: over,
    });
  }

  #planned(pod: string, container: string): StepPlan | undefined {
    const plan = this.#parts.plan().find((one) => one.pod === pod);
    const isIt = (step: StepPlan) => step.container === container;
    return plan?.steps.find(isIt) ?? plan?.beside.find(isIt);
  }

  /** The pod of a plan, unless another one has taken its name: one that the run does not own is never read. */
  #podOf(plan: PodPlan): Pod | undefined {
    const { runs, run } = this.#parts;
    const kept = runs.pod({ namespace: run.namespace, name: plan.pod });
    if (kept !== undefined) this.#fetched.delete(plan.pod);
    const pod = kept ?? this.#fetched.get(plan.pod);
    return pod?.meta.owner?.uid === plan.taskRunUid ? pod : undefined;
  }

  /** Asks for a pod that the stores do not have, until there is an answer: one that cannot be asked about is not gone. */
  async #fetch({ pod }: PodPlan): Promise<void> {
    const { runs, run, clock, follow, failed, over } = this.#parts;
    const ref = { namespace: run.namespace, name: pod };
    const beganAt = clock.now();
    for (let pauseMs = FIRST_PAUSE_MS; !over.aborted; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        const found = await runs.fetchPod(ref);
        if (found !== undefined) this.#fetched.set(pod, found);
        return;
      } catch (error) {
        if (!(error instanceof Fault)) failed(error);
        if (!follow && clock.now() - beganAt >= UNFOLLOWED_PATIENCE_MS) return;
      }
      await clock.sleep(pauseMs, over);
      if (runs.pod(ref) !== undefined) return;
    }
  }

  /** Resolves when all of `promises` have, or the session is over. */
  #unlessOver(...promises: readonly (Promise<unknown> | undefined)[]): Promise<unknown> {
    const { over: signal } = this.#parts;
    const over = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    return Promise.race([Promise.all(promises), over]);
  }
}

/** Steps speak one after another, what runs beside them by itself. */
function together({ steps, beside }: PodPlan): readonly (readonly StepPlan[])[] {
  const alone = beside.map((container) => [container]);
  return steps.length === 0 ? alone : [steps, ...alone];
}
