/** One client following one run: what to read is planned anew at every change, until there is nothing left to come. */
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import type { ExternalLogs } from '../../kube/externallogs.ts';
import type { LogRange } from '../../kube/logread.ts';
import { present } from '../../kube/objects.ts';
import type { ReadNotice } from '../../kube/podlog.ts';
import type { ContainerLogs } from '../../kube/sharedlog.ts';
import {
  type LogFilters,
  type LogOrder,
  logPlan,
  logProgress,
  type PodPlan,
  type StepPlan,
} from '../../tekton/logs.ts';
import {
  awaited,
  closingNotices,
  goneNotice,
  type LogEnd,
  lingeringNotice,
  type Notice,
  type NoticeLevel,
  noticesOf,
  type RunNoun,
} from '../../tekton/notices.ts';
import type { LogEvent } from '../../tekton/shaper.ts';
import { isDone, phaseOf, runCondition } from '../../tekton/status.ts';
import { printable } from '../../tekton/text.ts';
import type { PipelineRun, RunCondition, RunFacts } from '../../tekton/types.ts';
import { unmatchedNotices } from '../../tekton/unmatched.ts';
import type { Followed } from '../facts/followed.ts';
import type { Outbox } from '../outbox.ts';
import type { Delivered } from './delivered.ts';
import { NO_VOICE } from './floor.ts';
import { type ExternalTrouble, Readings } from './readings.ts';
import type { ClientSink } from './sink.ts';
import { sourceOf } from './speech.ts';
import type { Stage } from './stage.ts';
import type { Ticker } from './ticker.ts';

/** A deleted run's last lines are waited for this long. */
const DELETED_GRACE_MS = 10_000;
/** What a client asked for. */
export interface LogWish {
  readonly follow: boolean;
  readonly filters: LogFilters;
  readonly order: LogOrder;
  readonly range: LogRange;
  /** When it was first asked for. */
  readonly askedMs: number;
  readonly notices: NoticeLevel | 'none';
  /** A sign of life after so much silence; 0: never. */
  readonly heartbeatMs: number;
}

/** What a session is made of. */
export interface LogSessionParts {
  readonly runs: Followed;
  readonly logs: ContainerLogs;
  readonly clock: Clock;
  /** What is found by looking at the clock is looked for once in a round of it. */
  readonly ticker: Ticker;
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

class LogSession {
  #run: PipelineRun;
  readonly #wish: LogWish;
  readonly #parts: LogSessionParts;
  readonly #readings: Readings;
  readonly #said = new Set<string>();
  readonly #over = new AbortController();
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
    this.#readings = new Readings({
      ...parts,
      ...wish,
      run: run.meta,
      merged: wish.order === 'time',
      plan: () => this.#plan,
      moved: () => {
        this.#movedAt = parts.clock.now();
      },
      read: () => this.#look(),
      notice: (plan, step, notice) => this.#tell(plan, step, notice),
      failed: (error) => this.#fail(error),
      over: this.#over.signal,
    });
  }

  async stream(): Promise<LogOutcome> {
    const { runs, gone, draining, sink, stage, ticker } = this.#parts;
    const over = new Promise<void>((resolve) => {
      this.#over.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const leave = ticker.join(() => this.#tick());
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
      await over;
      if (this.#mistake !== undefined) throw this.#mistake;
      return await this.#close(this.#outcome ?? 'disconnected');
    } finally {
      leave();
      unsubscribe();
      stage.close();
      for (const { signal, end } of ends) signal.removeEventListener('abort', end);
    }
  }

  /** The last words: what was kept back for lines that will not come, then how it ended. */
  async #close(outcome: LogOutcome['ended']): Promise<LogOutcome> {
    const { stage, delivered, runs } = this.#parts;
    const noun = nounOf(runs.kind);
    if (outcome === 'finished') this.#say(noticesOf(this.#facts(), this.#wish.filters, noun), 'now');
    const ended = outcome === 'finished' || outcome === 'deleted' ? await this.#show(outcome) : outcome;
    stage.close();
    const condition = conditionOf(this.#run, runs.kind, ended);
    const isLast = ended === 'finished' && isDone(this.#run.succeeded);
    const cursor = delivered.cursor({ ended: isLast });
    if (ended === 'disconnected') return { condition, ended, complete: false, cursor };
    const complete = ended === 'finished' && this.#lossless && this.#readings.lossless;
    if (ended === 'finished') this.#say(unmatchedNotices(this.#facts(), this.#wish.filters, noun), 'now');
    this.#say(closingNotices(this.#run, ended, complete, noun), 'now');
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
    this.#readings.sayOver('all');
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

  /** Time has passed. */
  #tick(): void {
    if (this.#over.signal.aborted) return;
    try {
      this.#parts.stage.tick();
      this.#beat();
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
    const { plan, notices } = read(this.#facts(), this.#wish, nounOf(runs.kind));
    this.#plan = plan;
    // Before notices are said: of a pod that is read, those that come after its lines have to wait.
    for (const pod of plan) this.#readings.start(pod, isDone(this.#run.succeeded));
    this.#say(notices);
    this.#readings.sayOver('those that are');
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
    const isComplete = ({ pod }: PodPlan, { container }: StepPlan) => this.#readings.isComplete(pod, container);
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
      if (progress === 'lingering') this.#linger();
      else if (progress === 'overdue') this.#lossless = false;
      if (progress === 'overdue' || progress === 'complete') this.#end('finished');
      else if (!this.#wasInStore && now - this.#startedAt >= DELETED_GRACE_MS) void this.#askAgain();
    }
  }

  /** Only what runs beside steps has not ended: it is stopped with them, or it will never be. */
  #linger(): void {
    const now = this.#parts.clock.now();
    this.#lingeringSince ??= now;
    if (now - this.#lingeringSince < this.#parts.graceMs) return;
    for (const pod of this.#plan) {
      const left = pod.beside.filter(({ container }) => !this.#readings.isComplete(pod.pod, container));
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

  /** Says what was not said yet. What has to come after the lines of a pod that is being read waits, unless it is to be said `now`. */
  #say(notices: readonly Notice[], when: 'in turn' | 'now' = 'in turn'): void {
    for (const { key, level, sentence, after, isLoss } of notices) {
      // A loss may still turn out to be none: what cannot be seen may only be late.
      const isEarly = isLoss || (after !== undefined && this.#readings.isRead(after) === false);
      if (this.#said.has(key) || (isEarly && when === 'in turn')) continue;
      this.#said.add(key);
      if (isLoss) this.#lossless = false;
      if (this.#wish.notices === 'none' || (level === 'all' && this.#wish.notices !== 'all')) continue;
      const floor = this.#parts.stage.near(after);
      floor.say(NO_VOICE, { type: 'notice', level: level === 'all' ? 'info' : 'problem', sentence });
    }
  }

  /** Passes on what the reader of a container has to say. */
  #tell(plan: PodPlan, step: StepPlan, notice: ReadNotice | ExternalTrouble): void {
    if (this.#over.signal.aborted) return;
    if (notice.type === 'gone' && !notice.delivered) {
      this.#say([goneNotice(plan, step)], 'now');
      return;
    }
    if (this.#wish.notices === 'none') return;
    const sentence = sentenceOf(`[${printable(plan.prefix)} : ${printable(step.name)}]`, notice);
    const source = sourceOf(plan, step);
    const told: LogEvent =
      notice.type === 'gap'
        ? { type: 'gap', source, sentence }
        : { type: 'notice', level: 'problem', source, sentence };
    this.#parts.stage.near(plan.pod).say(NO_VOICE, told);
  }
}

/** What the end of a stream says of its run: the run's own condition, unless it is gone and so can have none any more. */
function conditionOf(run: PipelineRun, kind: Followed['kind'], ended: LogOutcome['ended']): RunCondition {
  if (ended !== 'deleted') return runCondition({ kind, ...present({ succeeded: run.succeeded }) });
  return { message: `the ${nounOf(kind)} was deleted`, reason: 'Deleted', type: 'Succeeded', status: 'Unknown' };
}

function nounOf(kind: Followed['kind']): RunNoun {
  return kind === 'PipelineRun' ? 'run' : 'task run';
}

/** What is read from facts, once for all clients who follow the same run without filters. */
const plans = new WeakMap<RunFacts, Plan>();

interface Plan {
  readonly plan: readonly PodPlan[];
  readonly notices: readonly Notice[];
}

function read(facts: RunFacts, { filters, order }: LogWish, noun: RunNoun): Plan {
  const isCommon = Object.keys(filters).length === 0 && order === 'start';
  const known = isCommon ? plans.get(facts) : undefined;
  if (known !== undefined) return known;
  const made = { plan: logPlan(facts, filters, order), notices: noticesOf(facts, filters, noun) };
  if (isCommon) plans.set(facts, made);
  return made;
}

/** What a reader of one container has to say, for people. */
function sentenceOf(where: string, notice: ReadNotice | ExternalTrouble): string {
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
    case 'external':
      return `${where} the server that keeps logs of deleted pods ${printable(notice.how)}`;
  }
}
