/** One container's log as exact lines: every line once, in order, over any number of broken reads. */
import type { Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { KubeReader, StreamAnswer } from './client.ts';
import { isRecordOf, LogCursor, type Sifted } from './cursor.ts';
import type { LineBatch, LogPosition } from './lines.ts';
import { FirstLineDoor, type LogRange, type LogRefusal, logPath, refusalOf } from './logread.ts';
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
  /** Calls `listener` when `now()` may have changed. Returns the end of the subscription. */
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

/** What `readContainerLog` needs. */
export interface ContainerLogReading {
  readonly reader: KubeReader;
  readonly clock: Clock;
  /** A number in [0, 1), for jitter. */
  readonly random: () => number;
  readonly metrics: Pick<Metrics, 'resume'>;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly sight: ContainerSight;
  /** False: what exists now, without waiting for more. */
  readonly follow: boolean;
  readonly range: LogRange;
  /** Goes on exactly after this position of an earlier reading of the same log; `range` is then not asked for. */
  readonly from?: LogPosition;
  /** Takes lines; a returned promise is backpressure: nothing is read from the socket until it resolves. */
  readonly lines: (batch: LineBatch) => void | Promise<void>;
  readonly notice: (notice: ReadNotice) => void;
  /** Asked after a failure: false ends the reading as incomplete instead of trying again. */
  readonly worthRetrying: (failingForMs: number) => boolean;
  readonly signal: AbortSignal;
}

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 5_000;
/** A read that lived this long proves the way is healthy again: backoff starts over. */
const HEALTHY_MS = 10_000;
/** A read that lived this long and brought lines makes progress: the next one starts at once. */
const PROGRESS_MS = 1_000;
/** How long after the end of a stream the pod's status may lag behind it. */
const STATUS_LAG_MS = 2_000;
/** A container has ended, its stream is silent: the kubelet sends the end within about a second, so this one is dead. */
const END_LAG_MS = 5_000;
/** Three more tries over 5 s for a kubelet that answers 200 with an error. */
const TOLD_RETRIES_MS = [500, 1_500, 3_000];
/** A read that does not follow and brings nothing for so long will not. */
const SILENT_READ_MS = 30_000;
/** How long the question for the last line may take. */
const LAST_LINE_MS = 10_000;
/** So many reads in a row that brought nothing new, although the last line delivered is not the last of the log. */
const FRUITLESS_READS = 3;
/** Doubt about held lines (see LogCursor) ends after this silence. */
const DOUBT_MS = 1_000;

/** How one read went. */
type Attempt =
  | { readonly ended: 'cleanly'; readonly fresh: number } // proves nothing while the container may still write
  | { readonly ended: 'cut'; readonly fresh: number }
  | { readonly ended: 'not-log'; readonly text: string }
  | LogRefusal;

/**
 * Reads one container's log from its beginning (or `range`) to its end and resolves with how that went. It rejects only
 * with what `lines` threw.
 *
 * Following, it waits for the container to run, reads, resumes after every cut from the last delivered line, and is done
 * when the container has terminated and the last line of its log is the last line delivered. A clean end of a stream
 * proves nothing: the API server ends it cleanly too when its own connection to the kubelet broke. Not following, it
 * delivers what exists. Aborting `signal` ends it as incomplete, at once, with its socket destroyed.
 *
 * Assumes that `sight` notices the end and the deletion of the pod; guarantees each line at most once, and that a
 * possible loss is told by `gap` or the outcome. Caveat: a pod replaced under the same name is the caller's to notice.
 */
export async function readContainerLog(reading: ContainerLogReading): Promise<ReadOutcome> {
  return new ContainerLog(reading).read();
}

class ContainerLog {
  readonly #reading: ContainerLogReading;
  readonly #cursor: LogCursor;
  #lossless = true;
  #backoffMs = 0;
  #failingSince: number | undefined;
  #unreachable = false;
  #toldTries = 0;
  /** A read came to its end after the container had ended. */
  #wasRead = false;
  #fruitless = 0;
  #refusedLines: { readonly error: unknown } | undefined;
  /** What stood after the last LF when a read ended: the last line, or half of one. */
  #remainder: ReadLine | undefined;

  constructor(reading: ContainerLogReading) {
    this.#reading = reading;
    this.#cursor = new LogCursor(reading.from);
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
    const rest = this.#cursor.abandon();
    if (rest.lines.length > 0) await this.#reading.lines(rest);
    return outcome === 'complete' && this.#lossless ? 'complete' : 'incomplete';
  }

  /** One read and what follows from it; undefined: go round again. */
  async #step(): Promise<ReadOutcome | undefined> {
    const { sight, follow, notice } = this.#reading;
    const before = sight.now();
    if (before === 'waiting') {
      if (!follow) return 'complete';
      await this.#change();
      return undefined;
    }
    if (before === 'absent') return 'complete';
    // Not asked for again: by now another pod may have its name.
    if (before === 'gone') return this.#gone();
    const begun = this.#reading.clock.now();
    const isOver = before !== 'running';
    const end = isOver && (this.#cursor.started || this.#wasRead) ? await this.#whereIsTheEnd() : 'further';
    if (end === 'here') return 'complete';
    if (this.#reading.signal.aborted) return 'incomplete';
    const attempt = await this.#attempt(follow && before === 'running');
    if (this.#reading.signal.aborted) return 'incomplete';
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
          if (this.#remainder !== undefined) await this.#deliver(this.#cursor.sift([this.#remainder]));
          return 'complete';
        }
        // The end of a stream can overtake the news that its container ended.
        if (sight.now() === 'running') await this.#change(STATUS_LAG_MS);
        if (sight.now() === 'running') this.#reading.metrics.resume('clean-end');
        return undefined;
      case 'cut':
        if (attempt.fresh > 0 && this.#reading.clock.now() - begun >= PROGRESS_MS) this.#backoffMs = 0;
        this.#reading.metrics.resume('cut');
        return this.#retry(begun);
      case 'not-log':
        return this.#retryTold({ type: 'not-log', text: attempt.text });
      case 'not-started':
        if (!follow) return 'complete';
        // A container that ended without ever having started has no log, and may never have one.
        if (sight.now() === 'terminated') return this.#retryTold({ type: 'refused', text: attempt.text });
        await this.#change(LONGEST_BACKOFF_MS);
        return undefined;
      case 'refused':
        notice({ type: 'refused', text: attempt.text });
        return 'incomplete';
      case 'forbidden':
        notice({ type: 'forbidden' });
        return 'incomplete';
      case 'no-pod':
        if (sight.now() !== 'gone') await this.#change(STATUS_LAG_MS);
        if (sight.now() !== 'gone') return this.#retry(begun);
        return this.#gone();
      case 'busy':
        return this.#retry(begun, attempt.retryAfterMs);
    }
  }

  /** The API has given what was asked for: what failed before is over. */
  #healthy(): void {
    this.#failingSince = undefined;
    this.#answers();
  }

  /** The API answers: an outage, if there was one, is over. */
  #answers(): void {
    if (!this.#unreachable) return;
    this.#unreachable = false;
    this.#reading.notice({ type: 'reached' });
  }

  async #deliver({ fresh, gap }: Sifted): Promise<void> {
    if (gap) this.#gap();
    if (fresh.lines.length === 0) return;
    this.#toldTries = 0;
    this.#healthy();
    try {
      await this.#reading.lines(fresh);
    } catch (error) {
      // Not a trouble of the network's, which is what reading again would cure.
      this.#refusedLines = { error };
      throw error;
    }
  }

  async #retry(begun: number, retryAfterMs?: number): Promise<ReadOutcome | undefined> {
    const { clock, random, signal, worthRetrying } = this.#reading;
    const now = clock.now();
    if (now - begun >= HEALTHY_MS) this.#backoffMs = 0;
    this.#failingSince ??= now;
    const failingForMs = now - this.#failingSince;
    if (!worthRetrying(failingForMs)) return 'incomplete';
    if (failingForMs >= STATUS_LAG_MS && !this.#unreachable) {
      this.#unreachable = true;
      this.#reading.notice({ type: 'unreachable' });
    }
    const jittered = this.#backoffMs * (0.8 + 0.4 * random());
    this.#backoffMs = this.#backoffMs === 0 ? FIRST_BACKOFF_MS : Math.min(this.#backoffMs * 2, LONGEST_BACKOFF_MS);
    await clock.sleep(Math.max(jittered, retryAfterMs ?? 0), signal);
    return undefined;
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
    const { reader, signal, range, clock } = this.#reading;
    const patience = new AbortController();
    const stop = () => patience.abort();
    signal.addEventListener('abort', stop, { once: true });
    void clock.sleep(LAST_LINE_MS, patience.signal).then(stop);
    try {
      const tailLines = Math.min(1, range.tailLines ?? 1);
      const answer = await reader.stream(logPath(this.#reading, { ...range, tailLines }), { signal: patience.signal });
      if (answer.status !== 200) {
        answer.body.destroy();
        return 'unknown';
      }
      const splitter = new LineSplitter();
      const lines: ReadLine[] = [];
      for await (const chunk of answer.body as AsyncIterable<Buffer>) lines.push(...splitter.push(chunk));
      lines.push(...splitter.end());
      const [last] = lines;
      if (last === undefined) return this.#cursor.started || this.#remainder !== undefined ? 'further' : 'here';
      if (lines.length > 1) return 'unknown';
      if (this.#remainder !== undefined && isSameLine(this.#remainder, last)) {
        await this.#deliver(this.#cursor.sift([this.#remainder]));
        return 'here';
      }
      if (this.#cursor.isLast(last)) return 'here';
      return this.#cursor.mayEndWith(last) ? 'unknown' : 'further';
    } catch {
      // The full read that comes next meets the same trouble and deals with it.
      return 'unknown';
    } finally {
      stop();
      signal.removeEventListener('abort', stop);
    }
  }

  async #attempt(follow: boolean): Promise<Attempt> {
    const { reader, signal, range } = this.#reading;
    const sinceTime = this.#cursor.sinceTime();
    const path = logPath(this.#reading, { follow, ...(sinceTime === undefined ? range : { sinceTime }) });
    const ending = new AbortController();
    const stop = () => ending.abort();
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (signal.aborted) return { ended: 'busy', retryAfterMs: undefined };
      const answer = await reader.stream(path, { signal: ending.signal });
      if (answer.status !== 200) return await refusalOf(answer);
      return await this.#pump(answer, follow, ending);
    } catch {
      return { ended: 'cut', fresh: 0 };
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Delivers one answer's lines until it ends. */
  async #pump(answer: StreamAnswer, follow: boolean, ending: AbortController): Promise<Attempt> {
    const { clock, sight } = this.#reading;
    const splitter = new LineSplitter();
    this.#cursor.resume();
    this.#remainder = undefined;
    let fresh = 0;
    let heardAt = clock.now();
    let delivering = false;
    const hand = async (sifted: Sifted): Promise<void> => {
      fresh += sifted.fresh.lines.length;
      delivering = true;
      await this.#deliver(sifted);
      delivering = false;
      heardAt = clock.now();
    };
    // Doubt about held lines, streams that outlive their container, and reads that have stalled are ended by the clock.
    const watchdog = this.#watchdog(async () => {
      this.#answers();
      const silentMs = delivering ? 0 : clock.now() - heardAt;
      // What is not taken is known to `read`, which only has to come back from this stream.
      if (this.#cursor.holding && silentMs >= DOUBT_MS) await hand(this.#cursor.settle()).catch(() => ending.abort());
      else if (follow ? sight.now() !== 'running' && silentMs >= END_LAG_MS : silentMs >= SILENT_READ_MS)
        ending.abort();
    }, ending.signal);
    const door = new FirstLineDoor();
    try {
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        heardAt = clock.now();
        const lines = door.admit(splitter.push(chunk));
        if (lines.length > 0) await hand(this.#cursor.sift(lines));
      }
      const rest = door.close(splitter.end());
      if (rest.notLog !== undefined) return { ended: 'not-log', text: rest.notLog };
      // What stands after the last LF may be half a line: it counts only once it is known to be the end.
      this.#remainder = follow ? undefined : rest.lines.at(-1);
      if (!follow && this.#cursor.catchingUp && this.#fruitless >= FRUITLESS_READS - 1)
        await hand(this.#cursor.settle());
      this.#healthy();
      return { ended: 'cleanly', fresh };
    } catch {
      // Ours: a stream that stayed open although its container had ended.
      if (follow && ending.signal.aborted && !this.#reading.signal.aborted) return { ended: 'cleanly', fresh };
      return { ended: 'cut', fresh };
    } finally {
      watchdog.abort();
      answer.body.destroy();
    }
  }

  #gone(): ReadOutcome {
    this.#reading.notice({ type: 'gone', delivered: this.#cursor.started });
    return 'incomplete';
  }

  #gap(): void {
    this.#lossless = false;
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
        await clock.sleep(DOUBT_MS, own.signal);
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
