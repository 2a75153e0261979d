/** One client following one run: what to read is planned anew at every change, until there is nothing left to come. */
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import type { KubeReader } from '../kube/client.ts';
import type { LogLine } from '../kube/lines.ts';
import type { LogRange } from '../kube/logread.ts';
import type { ReadNotice } from '../kube/podlog.ts';
import type { Metrics } from '../metrics.ts';
import type { Joined } from '../tekton/joiner.ts';
import { type LogFilters, logPlan, logProgress, type PodPlan, type StepPlan } from '../tekton/logs.ts';
import {
  closingNotices,
  goneNotice,
  type LogEnd,
  type Notice,
  type NoticeLevel,
  noticesOf,
} from '../tekton/notices.ts';
import type { LogShaper, LogSource } from '../tekton/shaper.ts';
import { printable } from '../tekton/text.ts';
import type { PipelineRun, Pod, RunFacts } from '../tekton/types.ts';
import type { Runs } from './gather.ts';
import type { Outbox } from './outbox.ts';
import { type PodFlow, startPodFlow } from './podflow.ts';

/** Finished pods are read this many at a time, and shown one after another. */
const PODS_AHEAD = 4;
const GRACE_MS = 30_000;
/** A deleted run's last lines are waited for this long. */
const DELETED_GRACE_MS = 10_000;
/** Without following, an API that does not answer is tried this long. */
const UNFOLLOWED_PATIENCE_MS = 10_000;
/** How often idleness is looked at once a run is over; nothing else is found by looking at the clock. */
const IDLE_LOOK_MS = 1_000;

/** What a client asked for. */
export interface LogWish {
  readonly follow: boolean;
  readonly filters: LogFilters;
  readonly range: LogRange;
  readonly notices: NoticeLevel | 'none';
}

/** What a session is made of. */
export interface LogSessionParts {
  readonly runs: Runs;
  readonly reader: KubeReader;
  readonly clock: Clock;
  readonly random: () => number;
  readonly metrics: Metrics;
  readonly outbox: Outbox;
  readonly shaper: LogShaper;
  /** Aborts when the client has gone. */
  readonly gone: AbortSignal;
  /** Aborts when this process is stopping. */
  readonly draining: AbortSignal;
}

/** How a stream ended. */
export interface LogOutcome {
  readonly run: PipelineRun;
  readonly ended: LogEnd | 'disconnected';
  /** Every line that the selected steps wrote was delivered. */
  readonly complete: boolean;
}

/**
 * Writes the log of `run` to the outbox and resolves when no more will come, or the client or this process goes. It
 * rejects only with a mistake of ours. The run is pinned by its uid: a new one of the same name is never mixed in. Everything it opened is closed
 * when it resolves.
 */
export function streamRunLog(run: PipelineRun, wish: LogWish, parts: LogSessionParts): Promise<LogOutcome> {
  return new LogSession(run, wish, parts).stream();
}

class LogSession {
  #run: PipelineRun;
  readonly #wish: LogWish;
  readonly #parts: LogSessionParts;
  readonly #flows = new Map<string, PodFlow>();
  readonly #read = new Set<string>();
  readonly #said = new Set<string>();
  readonly #over = new AbortController();
  /** The end of the latest attempt of each TaskRun, by uid. */
  readonly #attempts = new Map<string, Promise<void>>();
  /** The ends of the pods that are shown one after another. */
  readonly #queue: Promise<void>[] = [];
  /** The pod whose fragmented line is unfinished; what others have to say waits for its end. */
  #speaker: string | undefined;
  #unspoken: { readonly pod: string | undefined; readonly bytes: Buffer; readonly endsLine: boolean }[] = [];
  #awaitingSpeaker: (() => void)[] = [];
  #spokeAt = 0;
  /** Pods whose line was ended for them: what comes of it begins a new one. */
  readonly #interrupted = new Set<string>();
  /** Pods that the stores do not have, but the cluster does. */
  readonly #fetched = new Map<string, Pod>();
  #plan: readonly PodPlan[] = [];
  #wasInStore = false;
  #deletedAt: number | undefined;
  readonly #startedAt: number;
  #isAsking = false;
  #movedAt: number;
  #lossless = true;
  #outcome: LogOutcome['ended'] | undefined;
  #mistake: unknown;

  constructor(run: PipelineRun, wish: LogWish, parts: LogSessionParts) {
    this.#run = run;
    this.#wish = wish;
    this.#parts = parts;
    this.#movedAt = parts.clock.now();
    this.#startedAt = this.#movedAt;
  }

  async stream(): Promise<LogOutcome> {
    const { runs, gone, draining, clock } = this.#parts;
    const unsubscribe = runs.subscribe(this.#run.meta, () => this.#look());
    const leave = () => this.#end('disconnected');
    const drain = () => this.#end('draining');
    gone.addEventListener('abort', leave, { once: true });
    draining.addEventListener('abort', drain, { once: true });
    try {
      if (gone.aborted) leave();
      if (draining.aborted) drain();
      this.#look();
      while (!this.#over.signal.aborted) {
        await clock.sleep(IDLE_LOOK_MS, this.#over.signal);
        this.#interrupt('overlong');
        this.#judge();
      }
      if (this.#mistake !== undefined) throw this.#mistake;
    } finally {
      unsubscribe();
      gone.removeEventListener('abort', leave);
      draining.removeEventListener('abort', drain);
    }
    const ended = this.#outcome ?? 'disconnected';
    return ended === 'disconnected' ? { run: this.#run, ended, complete: false } : this.#close(ended);
  }

  /** The last words: what was kept back for lines that will not come, then how it ended. */
  #close(ended: LogEnd): LogOutcome {
    if (ended === 'finished') this.#say(noticesOf(this.#parts.runs.facts(this.#run), this.#wish.filters), 'now');
    const lossless = this.#lossless && [...this.#flows.values()].every((flow) => flow.lossless);
    const complete = ended === 'finished' && lossless;
    this.#say(closingNotices(this.#run, ended, complete), 'now');
    return { run: this.#run, ended, complete };
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
    const facts = runs.facts(this.#run);
    const { plan, notices } = read(facts, this.#wish.filters);
    this.#plan = plan;
    this.#say(notices);
    for (const pod of plan) this.#start(pod);
  }

  #start(plan: PodPlan): void {
    const { runs } = this.#parts;
    if (this.#flows.has(plan.pod) || plan.steps.length === 0) return;
    const isPast = plan.steps.every(({ state }) => state === 'gone' || state === 'never');
    // What the TaskRun alone tells of its steps may be incomplete: the pod is waited for, unless it has been.
    if (plan.podUid === undefined && !isPast) return;
    const isOver = plan.steps.every(({ state }) => state !== 'unknown' && state !== 'waiting' && state !== 'running');
    // Live pods speak as they come. What was over before we looked is shown pod by pod, and attempts always one by one.
    const isQueued = isOver || !this.#wish.follow;
    const queueBefore = isQueued ? this.#queue.at(-1) : undefined;
    const turn = this.#unlessOver(this.#attempts.get(plan.taskRunUid), queueBefore);
    const flow = startPodFlow(plan, {
      ...this.#parts,
      namespace: this.#run.meta.namespace,
      follow: this.#wish.follow,
      range: this.#wish.range,
      pod: () => this.#podOf(plan),
      plan: () => this.#plan.find(({ pod }) => pod === plan.pod),
      subscribe: (listener) => runs.subscribe(this.#run.meta, listener),
      write: (joined) => this.#write(plan, joined),
      room: () => this.#room(plan),
      notice: (step, notice) => void turn.then(() => this.#tell(plan, step, notice)),
      worthRetrying: (failingForMs) => this.#wish.follow || failingForMs < UNFOLLOWED_PATIENCE_MS,
      failed: (error) => this.#fail(error),
      turn,
      opening: this.#unlessOver(
        isQueued ? this.#queue.at(-PODS_AHEAD) : undefined,
        // Each kind has a watch of its own: a pod that is missing here may only be late.
        plan.podUid === undefined ? this.#fetch(plan) : undefined,
      ),
      signal: this.#over.signal,
    });
    const done = flow.done.then(() => {
      this.#read.add(plan.pod);
      this.#look();
    });
    this.#flows.set(plan.pod, flow);
    this.#attempts.set(plan.taskRunUid, done);
    // A pod with nothing to say is done before its turn: those behind it wait for those before it all the same.
    if (isQueued) this.#queue.push(Promise.all([queueBefore, done]).then(() => {}));
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

  /** Whether this was all. */
  #judge(): void {
    const { runs, clock, outbox } = this.#parts;
    if (this.#over.signal.aborted) return;
    // Without following, a pod that cannot be read yet is not waited for.
    const wanted = this.#wish.follow ? this.#plan : this.#plan.filter(({ pod }) => this.#flows.has(pod));
    const isRead = wanted.every(({ pod, steps }) => steps.every(({ container }) => this.#isRead(pod, container)));
    const now = clock.now();
    if (outbox.full) this.#movedAt = now;
    const idleMs = now - this.#movedAt;
    if (this.#deletedAt !== undefined) {
      // From the deletion on, not from the last line: a pod may go on writing for long.
      if (isRead || now - this.#deletedAt >= DELETED_GRACE_MS) this.#end('deleted');
    } else if (!this.#wish.follow) {
      if (isRead) this.#end('finished');
    } else {
      const isComplete = (pod: PodPlan, step: StepPlan) => this.#isRead(pod.pod, step.container);
      // Shortly after its end a run can name children whose watch has not brought them yet.
      const endedMs = now - Date.parse(this.#run.completed ?? '');
      const isRecent = !(endedMs >= GRACE_MS);
      const progress = logProgress(runs.facts(this.#run), this.#plan, { isComplete, isRecent, idleMs, graceMs: GRACE_MS });
      if (progress === 'overdue') this.#lossless = false;
      if (progress === 'overdue' || progress === 'complete') this.#end('finished');
      else if (!this.#wasInStore && now - this.#startedAt >= DELETED_GRACE_MS) void this.#askAgain();
    }
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

  #isRead(pod: string, container: string): boolean {
    return this.#flows.get(pod)?.isComplete(container) ?? false;
  }

  #end(ended: LogOutcome['ended']): void {
    if (this.#over.signal.aborted) return;
    this.#outcome = ended;
    this.#over.abort();
    this.#interrupt('at the end');
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

  #write({ pod, task, prefix, taskRun, attempt, steps }: PodPlan, joined: Joined): void {
    const { shaper } = this.#parts;
    this.#movedAt = this.#parts.clock.now();
    const { name: step = '', container = '' } = steps.find(({ position }) => position === joined.step) ?? {};
    const source: LogSource = { task, prefix, taskRun, attempt, step, pod, container };
    if (joined.kind === 'blank') {
      this.#speak(pod, shaper.shape({ type: 'blank', source }), true);
      return;
    }
    const { lines } = this.#interrupted.delete(pod) ? { lines: begunAnew(joined.batch.lines) } : joined.batch;
    const last = lines.at(-1)?.part;
    this.#speak(pod, shaper.shape({ type: 'log', source, batch: { lines } }), last === 'whole' || last === 'last');
  }

  #speak(pod: string | undefined, bytes: Buffer, endsLine: boolean): void {
    if (this.#speaker !== undefined && this.#speaker !== pod) {
      this.#unspoken.push({ pod, bytes, endsLine });
      return;
    }
    this.#parts.outbox.write(bytes);
    this.#spokeAt = this.#parts.clock.now();
    if (!endsLine) this.#speaker = pod;
    else if (this.#speaker !== undefined) this.#yield();
  }

  /**
   * Ends a line whose end does not come: at the end of the stream, or when it has been silent while others wait. Progress
   * bars write megabytes without a line feed; the other tasks must be heard all the same.
   */
  #interrupt(why: 'overlong' | 'at the end'): void {
    if (this.#speaker === undefined) return;
    const isWaitedFor = this.#unspoken.length > 0 && this.#parts.clock.now() - this.#spokeAt >= IDLE_LOOK_MS;
    if (why === 'overlong' && !isWaitedFor) return;
    this.#parts.outbox.write(Buffer.from('\n'));
    this.#interrupted.add(this.#speaker);
    this.#yield();
  }

  /** A fragmented line has ended: what waited for that is said now. */
  #yield(): void {
    this.#speaker = undefined;
    const waiting = this.#unspoken;
    this.#unspoken = [];
    for (const { pod, bytes, endsLine } of waiting) this.#speak(pod, bytes, endsLine);
    if (this.#speaker !== undefined) return;
    const all = this.#awaitingSpeaker;
    this.#awaitingSpeaker = [];
    for (const resolve of all) resolve();
  }

  async #room({ pod }: PodPlan): Promise<void> {
    if (this.#speaker !== undefined && this.#speaker !== pod) {
      await new Promise<void>((resolve) => this.#awaitingSpeaker.push(resolve));
    }
    await this.#parts.outbox.room();
  }

  /** Says what was not said yet. What has to come after the lines of a pod that is being read waits, unless it is to be said `now`. */
  #say(notices: readonly Notice[], when: 'in turn' | 'now' = 'in turn'): void {
    for (const { key, level, sentence, after, isLoss } of notices) {
      // A loss may still turn out to be none: what cannot be seen may only be late.
      const isEarly = isLoss || (after !== undefined && this.#flows.has(after) && !this.#read.has(after));
      if (this.#said.has(key) || (isEarly && when === 'in turn')) continue;
      this.#said.add(key);
      if (isLoss) this.#lossless = false;
      if (this.#wish.notices === 'none' || (level === 'all' && this.#wish.notices !== 'all')) continue;
      this.#speak(undefined, this.#parts.shaper.shape({ type: 'notice', level: 'problem', sentence }), true);
    }
  }

  #tell(plan: PodPlan, step: StepPlan, notice: ReadNotice): void {
    if (this.#over.signal.aborted) return;
    const where = `[${printable(plan.prefix)} : ${printable(step.name)}]`;
    if (notice.type === 'gone' && !notice.delivered) this.#say([goneNotice(plan, step)], 'now');
    else if (this.#wish.notices !== 'none') {
      this.#speak(
        undefined,
        this.#parts.shaper.shape({ type: 'notice', level: 'problem', sentence: sentenceOf(where, notice) }),
        true,
      );
    }
  }
}

/** What is read from facts, once for all clients who follow the same run without filters. */
const readings = new WeakMap<RunFacts, Reading>();

interface Reading {
  readonly plan: readonly PodPlan[];
  readonly notices: readonly Notice[];
}

function read(facts: RunFacts, filters: LogFilters): Reading {
  const isFiltered = filters.task !== undefined || filters.step !== undefined;
  const known = isFiltered ? undefined : readings.get(facts);
  if (known !== undefined) return known;
  const made = { plan: logPlan(facts, filters), notices: noticesOf(facts, filters) };
  if (!isFiltered) readings.set(facts, made);
  return made;
}

/** The lines of a batch that goes on with a line which was ended for it. */
function begunAnew(lines: readonly LogLine[]): readonly LogLine[] {
  const [head, ...rest] = lines;
  if (head === undefined || head.part === 'whole' || head.part === 'first') return lines;
  return [{ ...head, part: head.part === 'middle' ? 'first' : 'whole' }, ...rest];
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
