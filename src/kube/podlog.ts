/** One container's log as exact lines: every line once, in order, over any number of broken reads. */
import type { Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { StreamAnswer } from './answers.ts';
import type { KubeReader } from './client.ts';
import { isRecordOf, LogCursor, type Sifted } from './cursor.ts';
import type { LogPosition } from './lines.ts';
import {
  askLastLine,
  FirstLineDoor,
  type LogPlace,
  type LogRange,
  type LogRefusal,
  logPath,
  refusalOf,
} from './logread.ts';
import { Outage } from './outage.ts';
import type { ReadBatch } from './position.ts';
import { Silence } from './silence.ts';
import { LineSplitter, type ReadLine } from './splitter.ts';

/** What the pod says of the container now. */
export type ContainerMoment =
  | 'waiting'
  | 'running'
  | 'terminated'
  | 'absent' // it never ran and will not: there is no log, and none is missing
  | 'gone'; // its pod is deleted, and the log with it

/** A live view of one container, fed by a watch on its pod. */
export interface ContainerSight {
  now(): ContainerMoment;
  /** How often the container was started anew in its pod: each run of it has a log of its own. None when left out. */
  restarts?(): number;
  /** Calls `listener` when the answers may have changed. Returns the end of the subscription. */
  subscribe(listener: () => void): () => void;
}

/** What a reader has to say beside lines. */
export type ReadNotice =
  | { readonly type: 'gap' } // the file was rotated while nobody read: lines may be missing here
  | { readonly type: 'not-log'; readonly text: string } // a 200 whose body was an error of the kubelet's, no line
  | { readonly type: 'forbidden' } // Kubernetes does not let us read pods/log
  | { readonly type: 'gone'; readonly delivered: boolean } // the pod is deleted, with what was not `delivered` of its log
  | { readonly type: 'refused'; readonly text: string } // the kubelet has no log for this container and will not have one
  | { readonly type: 'unreachable' } // the API does not answer; said once per outage, reading goes on
  | { readonly type: 'reached' }; // it answers again

/** How the reading ended: all of it was delivered, or something is known to be missing. */
export type ReadOutcome = 'complete' | 'incomplete';

/** One reader's wish for one container's log. */
export interface ContainerLogWish extends LogPlace {
  readonly sight: ContainerSight;
  /** False: what exists now, without waiting for more. */
  readonly follow: boolean;
  readonly range: LogRange;
  /** Goes on exactly after this position, which an earlier reading of the same log was at; `range` is then not asked for. */
  readonly from?: LogPosition;
  /** What is started anew in the container's place is something else: its log ends with its first run. */
  readonly onlyFirstRun?: boolean;
  /** Takes lines; a returned promise is backpressure: nothing is read from the socket until it resolves. */
  readonly lines: (batch: ReadBatch) => void | Promise<void>;
  readonly notice: (notice: ReadNotice) => void;
  /** Asked after a failure: false ends the reading as incomplete instead of trying again. */
  readonly worthRetrying: (failingForMs: number) => boolean;
  readonly signal: AbortSignal;
}

/** What readings are made of. */
export interface ContainerLogParts {
  readonly reader: KubeReader;
  readonly clock: Clock;
  /** A number in [0, 1), for jitter. */
  readonly random: () => number;
  readonly metrics: Pick<Metrics, 'resume'>;
  /** After so much silence of a running container its log is asked for beside the stream, which may be dead. 30 s unless told. */
  readonly stallMs?: number;
}

/** A read that lived this long and brought lines makes progress: the next one starts at once. */
const PROGRESS_MS = 1_000;
/** How long after the end of a stream the pod's status may lag behind it, and mostly does. */
const STATUS_LAG_MS = 2_000;
const PROMPT_STATUS_MS = 200;
/** A container has ended, its stream is silent: the kubelet sends the end within about a second, so this one is dead. */
const END_LAG_MS = 5_000;
/** Three more tries over 5 s for a kubelet that answers 200 with an error. */
const TOLD_RETRIES_MS = [500, 1_500, 3_000];
/** A read that does not follow and brings nothing for so long will not. */
const SILENT_READ_MS = 30_000;
/** So many reads in a row that brought nothing new, although the last line delivered is not the last of the log. */
const FRUITLESS_READS = 3;
/** How often a read is looked at; doubt about held lines (see LogCursor) ends after so much silence. */
const LOOK_MS = 1_000;
/** Silence after which a stream is suspected. */
const STALL_MS = 30_000;
/** A container that cannot be read yet is tried again after this time, should the pod's status say nothing. */
const NOT_STARTED_MS = 5_000;

/** How one read went. */
type Attempt =
  | { readonly ended: 'cleanly'; readonly fresh: number } // proves nothing while the container may still write
  | { readonly ended: 'cut'; readonly fresh: number; readonly why: 'cut' | 'stall' }
  | { readonly ended: 'not-log'; readonly text: string }
  | LogRefusal;

/** How a read is asked for: `previous` is the log of the container's run before the one it is in. */
type Manner = 'follow' | 'whole' | 'previous';

/**
 * Reads one container's log from its beginning (or `range`, or `from`) to its end and resolves with how that went. It
 * rejects only with what `lines` threw.
 *
 * Following, it waits for the container to run, reads, resumes after every cut from the last delivered line, and is done
 * when the container has terminated and the last line of its log is the last line delivered. A clean end of a stream
 * proves nothing: the API server ends it cleanly too when its own connection to the kubelet broke. A stream that stays
 * open may be dead as well (see `Silence`): then the last line of the log is asked for, and where it is another one than
 * the last delivered, the stream is left and resumed. Not following, it delivers what exists, without a line that the
 * container is still writing. Aborting `signal` ends it as incomplete, at once, with its socket destroyed.
 *
 * A container that was started anew is read run by run, as far as the kubelet keeps that: it has the log of the run before
 * as long as the pod's status has `lastState`, which may be a second. What the log of a later run has instead of lines is
 * nobody's loss.
 *
 * Assumes that `sight` notices the end and the deletion of the pod; guarantees each line at most once, and that a
 * possible loss is told by `gap` or the outcome. Caveat: a pod replaced under the same name is the caller's to notice.
 */
export async function readContainerLog(reading: ContainerLogWish & ContainerLogParts): Promise<ReadOutcome> {
  return new ContainerLog(reading).read();
}

class ContainerLog {
  readonly #reading: ContainerLogWish & ContainerLogParts;
  readonly #cursor: LogCursor;
  #lossless = true;
  readonly #outage: Outage;
  #toldTries = 0;
  /** A read came to its end after the container had ended. */
  #wasRead = false;
  #fruitless = 0;
  /** It was told that lines may be missing here, and none has come since. */
  #isGapTold = false;
  #refusedLines: { readonly error: unknown } | undefined;
  /** What stood after the last LF when a read ended: the last line, or half of one. */
  #remainder: ReadLine | undefined;
  /** What a reading that does not follow has to reach. */
  #goal: Awaited<ReturnType<typeof askLastLine>> | undefined;
  /** Which run of the container the cursor is in, counted from 0; undefined before the first read. */
  #run: number | undefined;
  /** The last stream came to its end by itself. */
  #endedCleanly = false;

  constructor(reading: ContainerLogWish & ContainerLogParts) {
    this.#reading = reading;
    this.#cursor = new LogCursor(reading.from);
    this.#outage = new Outage(reading);
  }

  async read(): Promise<ReadOutcome> {
    const { signal } = this.#reading;
    while (!signal.aborted) {
      const outcome = await this.#step();
      if (this.#refusedLines !== undefined) throw this.#refusedLines.error;
      if (outcome !== undefined) return this.#finish(outcome);
    }
    return this.#finish('incomplete');
  }

  async #finish(outcome: ReadOutcome): Promise<ReadOutcome> {
    await this.#hand(this.#cursor.abandon());
    return outcome === 'complete' && this.#lossless ? 'complete' : 'incomplete';
  }

  /** One read and what follows from it; undefined: go round again. */
  async #step(): Promise<ReadOutcome | undefined> {
    const { sight, follow, notice, clock, metrics } = this.#reading;
    const before = sight.now();
    if (before === 'absent') return 'complete';
    // Not asked for again: by now another pod may have its name.
    if (before === 'gone') return this.#gone();
    if (before === 'waiting') {
      if (!follow) return 'complete';
      await this.#change();
      return undefined;
    }
    const begun = clock.now();
    if (this.#run !== this.#restarts()) return await this.#readEarlierRun(begun);
    const isOver = before !== 'running';
    const end = isOver && (this.#cursor.started || this.#wasRead) ? await this.#whereIsTheEnd() : 'further';
    if (end === 'here') return 'complete';
    if (this.#reading.signal.aborted) return 'incomplete';
    const attempt = await this.#attempt(follow && before === 'running' ? 'follow' : 'whole');
    if (this.#reading.signal.aborted) return 'incomplete';
    this.#endedCleanly = attempt.ended === 'cleanly';
    switch (attempt.ended) {
      case 'cleanly':
        if (isOver) {
          this.#wasRead = true;
          this.#fruitless = attempt.fresh > 0 ? 0 : this.#fruitless + 1;
          if (this.#fruitless < FRUITLESS_READS) return attempt.fresh > 0 ? undefined : this.#retry(begun);
          // Nobody could say where the log ends, but what was delivered is all that three whole reads have brought.
          if (end === 'unknown' && !this.#cursor.catchingUp) return 'complete';
          this.#gap();
          return 'incomplete';
        }
        if (!follow) {
          if (await this.#hasReachedGoal()) return 'complete';
          this.#fruitless = attempt.fresh > 0 ? 0 : this.#fruitless + 1;
          if (this.#fruitless < FRUITLESS_READS) return this.#retry(begun);
          this.#gap();
          return 'incomplete';
        }
        // The end of a stream can overtake the news that its container ended. Where there is more to read it was no end.
        if (this.#isRunning()) await this.#change(PROMPT_STATUS_MS);
        if (this.#isRunning() && !(await this.#hasMore())) await this.#change(STATUS_LAG_MS);
        if (this.#isRunning()) metrics.resume('clean-end');
        return undefined;
      case 'cut':
        if (attempt.fresh > 0 && clock.now() - begun >= PROGRESS_MS) this.#outage.progressed();
        metrics.resume(attempt.why);
        return this.#retry(begun);
      case 'not-log':
        if (this.#run !== 0) return 'complete';
        return this.#retryTold({ type: 'not-log', text: attempt.text });
      case 'not-started':
        if (!follow) return 'complete';
        // A container that ended without ever having started has no log, and may never have one.
        if (sight.now() === 'terminated') return this.#retryTold({ type: 'refused', text: attempt.text });
        await this.#change(NOT_STARTED_MS);
        return undefined;
      case 'refused':
        if (this.#run !== 0) return 'complete';
        notice({ type: 'refused', text: attempt.text });
        return 'incomplete';
      case 'forbidden':
        notice({ type: 'forbidden' });
        return 'incomplete';
      case 'no-pod':
        return this.#missing(begun);
      case 'busy':
        return this.#retry(begun, attempt.retryAfterMs);
    }
  }

  #restarts(): number {
    return this.#reading.sight.restarts?.() ?? 0;
  }

  /** The run of the container that is being read goes on. */
  #isRunning(): boolean {
    return this.#reading.sight.now() === 'running' && this.#run === this.#restarts();
  }

  /** Reads what is left of the run before the latest one, and turns to that. */
  async #readEarlierRun(begun: number): Promise<ReadOutcome | undefined> {
    const latest = this.#restarts();
    const isFirstSight = this.#run === undefined;
    if (isFirstSight && latest === 0) {
      this.#run = 0;
      return undefined;
    }
    const wasWhole = !isFirstSight && this.#endedCleanly;
    const attempt = await this.#attempt('previous');
    if (this.#reading.signal.aborted) return 'incomplete';
    switch (attempt.ended) {
      case 'cut':
        return this.#retry(begun);
      case 'busy':
        return this.#retry(begun, attempt.retryAfterMs);
      case 'no-pod':
        return this.#missing(begun);
      case 'forbidden':
        this.#reading.notice({ type: 'forbidden' });
        return 'incomplete';
      case 'cleanly':
        if (this.#remainder !== undefined) await this.#deliver(this.#cursor.sift([this.#remainder]));
        // Where an earlier reading had been may be in the latest run already; then nothing of this one is missing.
        if (this.#cursor.catchingUp && !isFirstSight) await this.#deliver(this.#cursor.settle());
        break;
      default:
        // The kubelet does not have it any more. Of a stream that came to its end by itself nothing more is known to be missing.
        if (!wasWhole && !(isFirstSight && this.#cursor.started)) {
          this.#lossless = false;
          this.#reading.notice({ type: 'refused', text: attempt.text });
        }
    }
    if (this.#reading.onlyFirstRun === true) return 'complete';
    // Another one may have begun meanwhile, and this one be the last that is kept.
    if (latest !== this.#restarts()) return undefined;
    this.#run = latest;
    if (isFirstSight && this.#cursor.catchingUp) return undefined;
    await this.#hand(this.#cursor.abandon());
    this.#cursor.nextLog();
    this.#wasRead = false;
    this.#fruitless = 0;
    return undefined;
  }

  async #missing(begun: number): Promise<ReadOutcome | undefined> {
    const { sight } = this.#reading;
    if (sight.now() !== 'gone') await this.#change(STATUS_LAG_MS);
    return sight.now() === 'gone' ? this.#gone() : this.#retry(begun);
  }

  async #deliver({ fresh, gap }: Sifted): Promise<void> {
    if (gap) this.#gap();
    if (fresh.lines.length === 0) return;
    this.#toldTries = 0;
    this.#outage.over();
    await this.#hand(fresh);
  }

  async #hand(fresh: ReadBatch): Promise<void> {
    if (fresh.lines.length === 0) return;
    this.#isGapTold = false;
    try {
      await this.#reading.lines(fresh);
    } catch (error) {
      // Not a trouble of the network's, which is what reading again would cure.
      this.#refusedLines = { error };
      throw error;
    }
  }

  async #retry(begun: number, retryAfterMs?: number): Promise<ReadOutcome | undefined> {
    return (await this.#outage.wait(begun, retryAfterMs)) ? undefined : 'incomplete';
  }

  /** Tries again a few times what will probably not change, having said it once. */
  async #retryTold(notice: ReadNotice): Promise<ReadOutcome | undefined> {
    if (this.#toldTries === 0) this.#reading.notice(notice);
    const pause = TOLD_RETRIES_MS[this.#toldTries++];
    if (pause === undefined) return 'incomplete';
    await this.#reading.clock.sleep(pause, this.#reading.signal);
    return undefined;
  }

  /** Waits until the pod's status changes, `forMs` at most. */
  async #change(forMs?: number): Promise<void> {
    const { sight, clock, signal } = this.#reading;
    const changed = new AbortController();
    const unsubscribe = sight.subscribe(() => changed.abort());
    const stop = () => changed.abort();
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (signal.aborted) return;
      if (forMs !== undefined) return await clock.sleep(forMs, changed.signal);
      await new Promise<void>((resolve) => changed.signal.addEventListener('abort', () => resolve(), { once: true }));
    } finally {
      unsubscribe();
      signal.removeEventListener('abort', stop);
    }
  }

  /**
   * One cheap question instead of a second reading: is the last line of the log the last line delivered? `further`: no.
   * `unknown`: it was not answered, or the line was written in several records, of which the answer shows the last.
   */
  async #whereIsTheEnd(): Promise<'here' | 'further' | 'unknown'> {
    const last = await askLastLine(this.#reading, this.#reading.range);
    if (last === 'unknown') return 'unknown';
    if (last === 'empty') return this.#cursor.started || this.#remainder !== undefined ? 'further' : 'here';
    if (this.#remainder !== undefined && isSameLine(this.#remainder, last.line)) {
      await this.#deliver(this.#cursor.sift([this.#remainder]));
      return 'here';
    }
    if (this.#cursor.isLast(last.line)) return 'here';
    return this.#cursor.mayEndWith(last.line) ? 'unknown' : 'further';
  }

  /** Without following: whether all was delivered that there was when the first read of a running container had ended. */
  async #hasReachedGoal(): Promise<boolean> {
    this.#goal ??= await askLastLine(this.#reading, this.#cursor.started ? {} : this.#reading.range);
    return typeof this.#goal === 'string' || this.#goal.isOpen || this.#cursor.hasReached(this.#goal.line);
  }

  /** Whether the log has a last line that this reader does not have. A line that is being written is on its way. */
  async #hasMore(): Promise<boolean> {
    const last = await askLastLine(this.#reading, this.#cursor.started ? {} : this.#reading.range);
    if (last === 'unknown' || last === 'empty' || last.isOpen) return false;
    return !this.#cursor.isLast(last.line) && !this.#cursor.mayEndWith(last.line);
  }

  async #attempt(manner: Manner): Promise<Attempt> {
    const { reader, signal, range, clock } = this.#reading;
    const sinceTime = this.#cursor.sinceTime();
    // A later run of the container is read whole: what was asked for of its beginning was given.
    const part = sinceTime !== undefined ? { sinceTime } : this.#cursor.position === undefined ? range : {};
    const how = manner === 'whole' ? {} : { [manner]: true };
    const ending = new AbortController();
    const stop = () => ending.abort();
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (signal.aborted) return { ended: 'busy', retryAfterMs: undefined };
      const answer = await reader.stream(logPath(this.#reading, { ...how, ...part }), { signal: ending.signal });
      if (answer.status !== 200) return await refusalOf(answer, clock);
      return await this.#pump(answer, manner, ending);
    } catch {
      return { ended: 'cut', fresh: 0, why: 'cut' };
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Delivers one answer's lines until it ends. */
  async #pump(answer: StreamAnswer, manner: Manner, ending: AbortController): Promise<Attempt> {
    const { clock, stallMs = STALL_MS } = this.#reading;
    const follow = manner === 'follow';
    const splitter = new LineSplitter();
    this.#cursor.resume();
    this.#remainder = undefined;
    const silence = new Silence(clock, stallMs);
    let fresh = 0;
    let isDead = false;
    const hand = async (sifted: Sifted): Promise<void> => {
      fresh += sifted.fresh.lines.length;
      await silence.handing(() => this.#deliver(sifted));
    };
    // Doubt about held lines, streams that outlive their container, and reads that have stalled are ended by the clock.
    const watchdog = this.#watchdog(async () => {
      this.#outage.answered();
      // What is not taken is known to `read`, which only has to come back from this stream.
      if (this.#cursor.holding && silence.ms >= LOOK_MS) await hand(this.#cursor.settle()).catch(() => ending.abort());
      else if (follow && this.#isRunning()) {
        isDead = silence.isSuspicious && (await silence.isDeath(() => this.#hasMore(), ending.signal));
        if (isDead) ending.abort();
      } else if (silence.ms >= (follow ? END_LAG_MS : SILENT_READ_MS)) ending.abort();
    }, ending.signal);
    const door = new FirstLineDoor();
    try {
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        silence.broken();
        const lines = door.admit(splitter.push(chunk));
        if (lines.length > 0) await hand(this.#cursor.sift(lines));
      }
      const rest = door.close(splitter.end());
      if (rest.notLog !== undefined) return { ended: 'not-log', text: rest.notLog };
      // What stands after the last LF may be half a line: it counts only once it is known to be the end.
      this.#remainder = follow ? undefined : rest.lines.at(-1);
      if (manner === 'whole' && this.#cursor.catchingUp && this.#fruitless >= FRUITLESS_READS - 1)
        await hand(this.#cursor.settle());
      this.#outage.over();
      return { ended: 'cleanly', fresh };
    } catch {
      const isOurs = ending.signal.aborted && !this.#reading.signal.aborted;
      if (isDead) return { ended: 'cut', fresh, why: 'stall' };
      // A stream that stayed open although its container had ended.
      if (follow && isOurs) return { ended: 'cleanly', fresh };
      return { ended: 'cut', fresh, why: 'cut' };
    } finally {
      watchdog.abort();
      answer.body.destroy();
    }
  }

  #gone(): ReadOutcome {
    this.#reading.notice({ type: 'gone', delivered: this.#cursor.position !== undefined });
    return 'incomplete';
  }

  #gap(): void {
    this.#lossless = false;
    if (this.#isGapTold) return;
    this.#isGapTold = true;
    this.#reading.notice({ type: 'gap' });
  }

  /** Calls `look` every second until the returned controller or `signal` aborts. */
  #watchdog(look: () => Promise<void>, signal: AbortSignal): AbortController {
    const { clock } = this.#reading;
    const own = new AbortController();
    const stop = () => own.abort();
    signal.addEventListener('abort', stop, { once: true });
    void (async () => {
      while (!own.signal.aborted) {
        await clock.sleep(LOOK_MS, own.signal);
        if (!own.signal.aborted) await look();
      }
      signal.removeEventListener('abort', stop);
    })();
    return own;
  }
}

/** Whether the last record of a log is (the end of) a line that was read whole: a line is written in records of some KiB. */
function isSameLine(whole: ReadLine, record: ReadLine): boolean {
  if (whole.text.length === record.text.length)
    return whole.timestamp === record.timestamp && whole.text.equals(record.text);
  return isRecordOf(whole.text, record.text);
}
