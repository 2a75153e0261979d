/** One client following one run: what to read is planned anew at every change, until there is nothing left to come. */
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import type { ExternalLogs } from '../kube/externallogs.ts';
import type { LogRange } from '../kube/logread.ts';
import { present } from '../kube/objects.ts';
import type { ReadNotice, ReadOutcome } from '../kube/podlog.ts';
import type { ContainerLogs } from '../kube/sharedlog.ts';
import type { Metrics } from '../metrics.ts';
import type { Joined } from '../tekton/joiner.ts';
import { type LogFilters, type LogOrder, logPlan, logProgress, type PodPlan, type StepPlan } from '../tekton/logs.ts';
import {
  awaited,
  closingNotices,
  goneNotice,
  type LogEnd,
  lingeringNotice,
  type Notice,
  type NoticeLevel,
  noticesOf,
} from '../tekton/notices.ts';
import { isDone, phaseOf, runCondition } from '../tekton/status.ts';
import { printable } from '../tekton/text.ts';
import type { PipelineRun, Pod, RunCondition, RunFacts } from '../tekton/types.ts';
import type { TakeLines } from './counted.ts';
import type { Delivered } from './delivered.ts';
import { NO_VOICE } from './floor.ts';
import type { Followed } from './followed.ts';
import type { Outbox } from './outbox.ts';
import { type PodFlow, type PodFlowParts, startPodFlow } from './podflow.ts';
import type { ClientSink } from './sink.ts';
import { PodSpeech } from './speech.ts';
import type { Stage } from './stage.ts';
import { Timeline } from './timeline.ts';

/** Finished pods are read this many at a time, and shown one after another. */
const PODS_AHEAD = 4;
/** A deleted run's last lines are waited for this long. */
const DELETED_GRACE_MS = 10_000;
/** Without following, an API that does not answer is tried this long. */
const UNFOLLOWED_PATIENCE_MS = 10_000;
/** How often idleness is looked at; nothing else is found by looking at the clock. */
const IDLE_LOOK_MS = 1_000;

/** What a client asked for. */
export interface LogWish {
  readonly follow: boolean;
  readonly filters: LogFilters;
  readonly order: LogOrder;
  readonly range: LogRange;
  readonly notices: NoticeLevel | 'none';
  /** A sign of life after so much silence; 0: never. */
  readonly heartbeatMs: number;
}

/** What a session is made of. */
export interface LogSessionParts {
  readonly runs: Followed;
  readonly logs: ContainerLogs;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly outbox: Outbox;
  readonly sink: ClientSink;
  readonly stage: Stage;
  readonly delivered: Delivered;
  /** Where logs of deleted pods are kept, if there is such a place. */
  readonly external: ExternalLogs | undefined;
  /** How long a run that is over is waited for. */
  readonly graceMs: number;
  /** Aborts when the client has gone. */
  readonly gone: AbortSignal;
  /** Aborts when this process is stopping. */
  readonly draining: AbortSignal;
}

/** How a stream ended. */
export interface LogOutcome {
  /** How the run stands; `Deleted` when it is gone. */
  readonly condition: RunCondition;
  readonly ended: LogEnd | 'disconnected';
  /** Every line that was asked for was delivered. */
  readonly complete: boolean;
  /** Where to go on. */
  readonly cursor: string;
}

/**
 * Shows the log of `run` to a client and resolves when no more will come, or the client or this process goes. It rejects
 * only with a mistake of ours. The run is pinned by its uid: a new one of the same name is never mixed in. Everything it
 * opened is closed when it resolves.
 */
export function streamRunLog(run: PipelineRun, wish: LogWish, parts: LogSessionParts): Promise<LogOutcome> {
  return new LogSession(run, wish, parts).stream();
}

/** What is read of one attempt. */
interface Reading {
  readonly flows: readonly PodFlow[];
  readonly speech: PodSpeech;
  isRead: boolean;
}

class LogSession {
  #run: PipelineRun;
  readonly #wish: LogWish;
  readonly #parts: LogSessionParts;
  readonly #readings = new Map<string, Reading>();
  readonly #said = new Set<string>();
  readonly #over = new AbortController();
  /** The end of the latest attempt of each TaskRun, by uid. */
  readonly #attempts = new Map<string, Promise<void>>();
  /** The ends of the pods that are shown one after another. */
  readonly #queue: Promise<void>[] = [];
  readonly #timeline: Timeline | undefined;
  /** Pods that the stores do not have, but the cluster does. */
  readonly #fetched = new Map<string, Pod>();
  #plan: readonly PodPlan[] = [];
  #wasInStore = false;
  #deletedAt: number | undefined;
  readonly #startedAt: number;
  #isAsking = false;
  #movedAt: number;
  /** Since when only what runs beside steps is waited for. */
  #lingeringSince: number | undefined;
  #lossless = true;
  #outcome: LogOutcome['ended'] | undefined;
  #mistake: unknown;

  constructor(run: PipelineRun, wish: LogWish, parts: LogSessionParts) {
    this.#run = run;
    this.#wish = wish;
    this.#parts = parts;
    this.#movedAt = parts.clock.now();
    this.#startedAt = this.#movedAt;
    this.#timeline = wish.order === 'time' ? new Timeline() : undefined;
  }

  async stream(): Promise<LogOutcome> {
    const { runs, gone, draining, sink, clock, stage } = this.#parts;
    const unsubscribe = runs.subscribe(this.#run.meta, () => this.#look());
    const ends = [
      { signal: gone, end: () => this.#end('disconnected') },
      { signal: draining, end: () => this.#end('draining') },
      { signal: sink.limited, end: () => this.#end('limited') },
    ];
    for (const { signal, end } of ends) signal.addEventListener('abort', end, { once: true });
    try {
      for (const { signal, end } of ends) if (signal.aborted) end();
      this.#look();
      while (!this.#over.signal.aborted) {
        await clock.sleep(IDLE_LOOK_MS, this.#over.signal);
        stage.tick();
        this.#beat();
        this.#judge();
      }
      if (this.#mistake !== undefined) throw this.#mistake;
      return await this.#close(this.#outcome ?? 'disconnected');
    } finally {
      unsubscribe();
      this.#timeline?.close();
      stage.close();
      for (const { signal, end } of ends) signal.removeEventListener('abort', end);
    }
  }

  /** The last words: what was kept back for lines that will not come, then how it ended. */
  async #close(outcome: LogOutcome['ended']): Promise<LogOutcome> {
    const { stage, delivered, runs } = this.#parts;
    if (outcome === 'finished') this.#say(noticesOf(this.#facts(), this.#wish.filters), 'now');
    const ended = outcome === 'finished' || outcome === 'deleted' ? await this.#show(outcome) : outcome;
    stage.close();
    const condition = conditionOf(this.#run, runs.kind, ended);
    const cursor = delivered.cursor();
    if (ended === 'disconnected') return { condition, ended, complete: false, cursor };
    const flows = [...this.#readings.values()].flatMap((reading) => reading.flows);
    const complete = ended === 'finished' && this.#lossless && flows.every(({ lossless }) => lossless);
    this.#say(closingNotices(this.#run, ended, complete), 'now');
    const phase = ended === 'deleted' ? 'deleted' : phaseOf(this.#run.succeeded);
    stage.own.say(NO_VOICE, { type: 'end', condition, phase, complete, retry: ended === 'draining', cursor });
    return { condition, ended, complete, cursor };
  }

  /** Shows what waits for its turn, which may be long: a client who leaves now is not waited for, and a limit still holds. */
  async #show(outcome: LogEnd): Promise<LogEnd> {
    const { stage, gone, sink } = this.#parts;
    const enough = AbortSignal.any([gone, sink.limited]);
    const stop = () => stage.close();
    enough.addEventListener('abort', stop, { once: true });
    if (enough.aborted) stop();
    for (const { speech } of this.#readings.values()) speech.over(this.#plan);
    await stage.shown();
    enough.removeEventListener('abort', stop);
    return sink.limited.aborted ? 'limited' : outcome;
  }

  #facts(): RunFacts {
    return this.#parts.runs.facts(this.#run);
  }

  /** Something of the run changed. A mistake of ours ends this stream, not the process. */
  #look(): void {
    if (this.#over.signal.aborted) return;
    try {
      this.#update();
      this.#judge();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#mistake ??= error;
    this.#end('disconnected');
  }

  /** Reads what is new to read, says what is new to say. */
  #update(): void {
    const { runs, clock } = this.#parts;
    this.#movedAt = clock.now();
    const known = runs.known(this.#run.meta);
    if (known?.meta.uid === this.#run.meta.uid) {
      this.#run = known;
      this.#wasInStore = true;
    } else if (this.#wasInStore || known !== undefined) this.#deletedAt ??= clock.now();
    if (this.#deletedAt !== undefined) return;
    const { plan, notices } = read(this.#facts(), this.#wish);
    this.#plan = plan;
    this.#say(notices);
    for (const pod of plan) this.#start(pod);
    for (const { speech, isRead } of this.#readings.values()) if (isRead) speech.overWhenFinal(plan);
  }

  #start(plan: PodPlan): void {
    const all = [...plan.steps, ...plan.beside];
    if (this.#readings.has(plan.pod) || all.length === 0) return;
    const isPast = all.every(({ state }) => state === 'gone' || state === 'never');
    // What the TaskRun alone tells of its steps may be incomplete: the pod is waited for, unless it has been.
    if (plan.podUid === undefined && !isPast) return;
    const isOver = all.every(({ state }) => state !== 'unknown' && state !== 'waiting' && state !== 'running');
    // Live pods speak as they come. What was over before we looked is shown pod by pod, and attempts always one by one.
    const isQueued = (isOver || !this.#wish.follow) && this.#timeline === undefined;
    const queueBefore = isQueued ? this.#queue.at(-1) : undefined;
    const attemptBefore = this.#timeline === undefined ? this.#attempts.get(plan.taskRunUid) : undefined;
    // A run that is over keeps its pods: they are read as fast as they are shown. Those of others may be gone by then.
    const shown = isQueued && isDone(this.#run.succeeded) ? this.#parts.stage.turnOf(plan.pod) : undefined;
    const turn = this.#unlessOver(attemptBefore, queueBefore, shown);
    const opening = this.#unlessOver(
      isQueued ? this.#queue.at(-PODS_AHEAD) : undefined,
      // Each kind has a watch of its own: a pod that is missing here may only be late.
      plan.podUid === undefined ? this.#fetch(plan) : undefined,
    );
    const { delivered, stage, clock } = this.#parts;
    delivered.expect(
      plan.pod,
      all.map(({ container }) => container),
    );
    const speech = new PodSpeech(plan, { stage, delivered, clock });
    const groups = this.#timeline === undefined ? together(plan) : all.map((step) => [step]);
    const flows = groups.map((steps) => this.#flow(plan, steps, { speech, turn, opening }));
    const reading: Reading = { flows, speech, isRead: false };
    this.#readings.set(plan.pod, reading);
    const done = Promise.all(flows.map((flow) => flow.done)).then(() => {
      reading.isRead = true;
      this.#look();
    });
    this.#attempts.set(plan.taskRunUid, done);
    // A pod with nothing to say is done before its turn: those behind it wait for those before it all the same.
    if (isQueued) this.#queue.push(Promise.all([queueBefore, done]).then(() => {}));
  }

  /** Containers that speak one after another. */
  #flow(
    plan: PodPlan,
    steps: readonly StepPlan[],
    { speech, turn, opening }: { readonly speech: PodSpeech } & Pick<PodFlowParts, 'turn' | 'opening'>,
  ): PodFlow {
    const { runs, delivered } = this.#parts;
    const { namespace } = this.#run.meta;
    const voice = speech.voiceOf(steps);
    const timeline = this.#timeline;
    const write = (joined: Joined) => {
      if (joined.kind === 'lines') this.#movedAt = this.#parts.clock.now();
      speech.say(voice, steps, joined, (step) => this.#planned(plan.pod, step.container) ?? step, flow);
    };
    const flow: PodFlow = startPodFlow(plan, steps, {
      ...this.#parts,
      namespace,
      follow: this.#wish.follow,
      range: this.#wish.range,
      startOf: (container) => delivered.startOf(plan.pod, container),
      pod: () => this.#podOf(plan),
      planned: (container) => this.#planned(plan.pod, container),
      subscribe: (listener) => runs.subscribe(this.#run.meta, listener),
      write: timeline === undefined ? write : (joined) => timeline.take(voice, joined),
      room: async () => {
        await timeline?.room(voice);
        await speech.room(voice);
      },
      notice: (step, notice) => this.#tell(plan, step, notice),
      past: (step, lines) => this.#readPast(plan, step, lines),
      worthRetrying: (failingForMs) => this.#wish.follow || failingForMs < UNFOLLOWED_PATIENCE_MS,
      failed: (error) => this.#fail(error),
      turn,
      opening:
        timeline === undefined ? opening : Promise.all([opening, timeline.add(voice, steps[0]?.startedAt, write)]),
      signal: this.#over.signal,
    });
    return flow;
  }

  /** Reads the log of a container that is gone with its pod where such logs are kept. */
  async #readPast(plan: PodPlan, step: StepPlan, lines: TakeLines): Promise<ReadOutcome | undefined> {
    const { startedAt: startTime = plan.started, finishedAt: completionTime = plan.completed } = step;
    return this.#parts.external?.read({
      namespace: this.#run.meta.namespace,
      pod: plan.pod,
      container: step.container,
      ...present({ startTime, completionTime }),
      lines,
      failed: (how) => {
        const sentence = `[${printable(plan.prefix)} : ${printable(step.name)}] the server that keeps logs of deleted pods ${how}`;
        this.#say([{ key: `past ${plan.pod} ${step.container}`, level: 'problems', sentence }], 'now');
      },
      signal: this.#over.signal,
    });
  }

  #planned(pod: string, container: string): StepPlan | undefined {
    const plan = this.#plan.find((one) => one.pod === pod);
    const isIt = (step: StepPlan) => step.container === container;
    return plan?.steps.find(isIt) ?? plan?.beside.find(isIt);
  }

  /** The pod of a plan, unless another one has taken its name: one that the run does not own is never read. */
  #podOf(plan: PodPlan): Pod | undefined {
    const kept = this.#parts.runs.pod({ namespace: this.#run.meta.namespace, name: plan.pod });
    if (kept !== undefined) this.#fetched.delete(plan.pod);
    const pod = kept ?? this.#fetched.get(plan.pod);
    return pod?.meta.owner?.uid === plan.taskRunUid ? pod : undefined;
  }

  async #fetch({ pod }: PodPlan): Promise<void> {
    const found = await this.#parts.runs.fetchPod({ namespace: this.#run.meta.namespace, name: pod });
    if (found !== undefined) this.#fetched.set(pod, found);
  }

  /** Gives a sign of life when nothing was said for long. */
  #beat(): void {
    const { clock, outbox, sink, stage } = this.#parts;
    const { heartbeatMs, filters } = this.#wish;
    if (heartbeatMs === 0 || this.#over.signal.aborted || clock.now() - sink.wroteAt < heartbeatMs) return;
    // Within a line there is no room for it, and a client that does not take what there is needs no more.
    if (outbox.full || stage.own.isMidLine) return;
    stage.own.say(NO_VOICE, { type: 'heartbeat', awaiting: awaited(this.#facts(), filters) });
  }

  /** Whether this was all. */
  #judge(): void {
    const { clock, outbox, graceMs } = this.#parts;
    if (this.#over.signal.aborted) return;
    // Without following, a pod that cannot be read yet is not waited for.
    const wanted = this.#wish.follow ? this.#plan : this.#plan.filter(({ pod }) => this.#readings.has(pod));
    const isComplete = ({ pod }: PodPlan, { container }: StepPlan) =>
      this.#readings.get(pod)?.flows.some((flow) => flow.isComplete(container)) ?? false;
    const isRead = wanted.every((pod) => [...pod.steps, ...pod.beside].every((step) => isComplete(pod, step)));
    const now = clock.now();
    if (outbox.full) this.#movedAt = now;
    if (this.#deletedAt !== undefined) {
      // From the deletion on, not from the last line: a pod may go on writing for long.
      if (isRead || now - this.#deletedAt >= DELETED_GRACE_MS) this.#end('deleted');
    } else if (!this.#wish.follow) {
      if (isRead) this.#end('finished');
    } else {
      // Shortly after its end a run can name children whose watch has not brought them yet.
      const isRecent = !(now - Date.parse(this.#run.completed ?? '') >= graceMs);
      const idleMs = now - this.#movedAt;
      const progress = logProgress(this.#facts(), this.#plan, { isComplete, isRecent, idleMs, graceMs });
      if (progress !== 'lingering') this.#lingeringSince = undefined;
      if (progress === 'lingering') this.#linger(isComplete);
      else if (progress === 'overdue') this.#lossless = false;
      if (progress === 'overdue' || progress === 'complete') this.#end('finished');
      else if (!this.#wasInStore && now - this.#startedAt >= DELETED_GRACE_MS) void this.#askAgain();
    }
  }

  /** Only what runs beside steps has not ended: it is stopped with them, or it will never be. */
  #linger(isComplete: (pod: PodPlan, container: StepPlan) => boolean): void {
    const now = this.#parts.clock.now();
    this.#lingeringSince ??= now;
    if (now - this.#lingeringSince < this.#parts.graceMs) return;
    for (const pod of this.#plan) {
      const left = pod.beside.filter((container) => !isComplete(pod, container));
      this.#say(
        left.map((container) => lingeringNotice(pod, container)),
        'now',
      );
    }
    this.#end('finished');
  }

  /** A run that only a GET has found, and the store does not get: it may have been deleted before the watch came to it. */
  async #askAgain(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      const found = await this.#parts.runs.find(this.#run.meta);
      if (found.meta.uid === this.#run.meta.uid) this.#run = found;
      else this.#deletedAt ??= this.#parts.clock.now();
    } catch (error) {
      if (error instanceof Fault && error.code === 'not-found') this.#deletedAt ??= this.#parts.clock.now();
    }
    await this.#parts.clock.sleep(DELETED_GRACE_MS, this.#over.signal);
    this.#isAsking = false;
  }

  #end(ended: LogOutcome['ended']): void {
    if (this.#over.signal.aborted) return;
    this.#outcome = ended;
    this.#over.abort();
  }

  /** Resolves when all of `promises` have, or the session is over. */
  #unlessOver(...promises: readonly (Promise<unknown> | undefined)[]): Promise<unknown> {
    const { signal } = this.#over;
    const over = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    return Promise.race([Promise.all(promises), over]);
  }

  /** Says what was not said yet. What has to come after the lines of a pod that is being read waits, unless it is to be said `now`. */
  #say(notices: readonly Notice[], when: 'in turn' | 'now' = 'in turn'): void {
    for (const { key, level, sentence, after, isLoss } of notices) {
      const before = after === undefined ? undefined : this.#readings.get(after);
      // A loss may still turn out to be none: what cannot be seen may only be late.
      const isEarly = isLoss || before?.isRead === false;
      if (this.#said.has(key) || (isEarly && when === 'in turn')) continue;
      this.#said.add(key);
      if (isLoss) this.#lossless = false;
      if (this.#wish.notices === 'none' || (level === 'all' && this.#wish.notices !== 'all')) continue;
      const floor =
        after === undefined || !this.#readings.has(after) ? this.#parts.stage.own : this.#parts.stage.of(after);
      floor.say(NO_VOICE, { type: 'notice', level: level === 'all' ? 'info' : 'problem', sentence });
    }
  }

  /** What the reader of a container has to say. */
  #tell(plan: PodPlan, step: StepPlan, notice: ReadNotice): void {
    if (this.#over.signal.aborted) return;
    if (notice.type === 'gone' && !notice.delivered) {
      this.#say([goneNotice(plan, this.#planned(plan.pod, step.container) ?? step)], 'now');
      return;
    }
    const where = `[${printable(plan.prefix)} : ${printable(step.name)}]`;
    const source = this.#readings.get(plan.pod)?.speech.sourceOf(step);
    if (this.#wish.notices === 'none' || source === undefined) return;
    const sentence = sentenceOf(where, notice);
    const floor = this.#parts.stage.of(plan.pod);
    if (notice.type === 'gap') floor.say(NO_VOICE, { type: 'gap', source, sentence });
    else floor.say(NO_VOICE, { type: 'notice', level: 'problem', sentence, source });
  }
}

/** Steps speak one after another, what runs beside them by itself. */
function together({ steps, beside }: PodPlan): readonly (readonly StepPlan[])[] {
  const alone = beside.map((container) => [container]);
  return steps.length === 0 ? alone : [steps, ...alone];
}

/** What the end of a stream says of its run: the run's own condition, unless it is gone and so can have none any more. */
function conditionOf(run: PipelineRun, kind: Followed['kind'], ended: LogOutcome['ended']): RunCondition {
  if (ended !== 'deleted') return runCondition({ kind, ...present({ succeeded: run.succeeded }) });
  return { message: 'the run was deleted', reason: 'Deleted', type: 'Succeeded', status: 'Unknown' };
}

/** What is read from facts, once for all clients who follow the same run without filters. */
const plans = new WeakMap<RunFacts, Plan>();

interface Plan {
  readonly plan: readonly PodPlan[];
  readonly notices: readonly Notice[];
}

function read(facts: RunFacts, { filters, order }: LogWish): Plan {
  const isCommon = Object.keys(filters).length === 0 && order === 'start';
  const known = isCommon ? plans.get(facts) : undefined;
  if (known !== undefined) return known;
  const made = { plan: logPlan(facts, filters, order), notices: noticesOf(facts, filters) };
  if (isCommon) plans.set(facts, made);
  return made;
}

/** What a reader of one container has to say, for people. */
function sentenceOf(where: string, notice: ReadNotice): string {
  switch (notice.type) {
    case 'gap':
      return `${where} lines may be missing here: the log was rotated before it could be read`;
    case 'not-log':
      return `${where} Kubernetes answers with an error instead of the log: ${printable(notice.text)}`;
    case 'forbidden':
      return `${where} this gateway may not read the log: its role needs "get" on pods/log in this namespace`;
    case 'gone':
      return `${where} the pod is deleted: what its last moment may have brought cannot be read any more`;
    case 'refused':
      return `${where} there is no log: ${printable(notice.text)}`;
    case 'unreachable':
      return `${where} the log cannot be read at the moment; trying again`;
    case 'reached':
      return `${where} the log can be read again`;
  }
}
