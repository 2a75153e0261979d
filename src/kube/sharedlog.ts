/**
 * One upstream for many readers of one container's log. Whoever follows begins with what another one has read, where that is
 * kept from its beginning; else with a read of his own, and where he meets what another one reads, he goes on with that
 * and closes his own. One reader alone reads as if there were no sharing.
 */
import type { Metrics } from '../metrics.ts';
import type { LogPosition } from './lines.ts';
import {
  type ContainerLogParts,
  type ContainerLogWish,
  type ReadNotice,
  type ReadOutcome,
  readContainerLog,
} from './podlog.ts';
import { isSamePosition, type ReadBatch, withoutFirst } from './position.ts';

/** Where containers' logs are read. */
export interface ContainerLogs {
  /**
   * Reads as `readContainerLog` does, with the same promises. Readers who follow the same container of the same pod (by
   * `podUid`; without it nothing is shared) share one stream from the API server as soon as they are at the same place. It
   * runs at the pace of the fastest: one who falls behind by more than 256 KiB reads on by himself from where he is, and
   * joins again when he has caught up. The stream is closed when the last one leaves.
   */
  read(wish: ContainerLogWish & { readonly podUid?: string }): Promise<ReadOutcome>;
}

/** What the logs are read with; `metrics.level` tells how many streams there are. */
export interface ContainerLogsParts extends ContainerLogParts {
  readonly metrics: Pick<Metrics, 'resume' | 'level'>;
}

/** Kept for readers who fall behind or catch up. */
const RING_BYTES = 256 * 1024;
/** Of the beginning of a log kept while one reader has taken it: whoever comes next needs no stream to begin with. */
const BEGINNING_BYTES = 16 * 1024;
/** What a line weighs beside its text. */
const LINE_OVERHEAD_BYTES = 64;

/** Makes the place where logs are read; one for the process. */
export function createContainerLogs(parts: ContainerLogsParts): ContainerLogs {
  const rooms = new Map<string, Room>();
  const count = { upstreams: 0 };
  parts.metrics.level('log_upstreams', () => count.upstreams);
  return {
    async read(wish) {
      const { podUid, namespace, pod, container, follow, sight, signal } = wish;
      if (podUid === undefined || !follow || signal.aborted || sight.now() === 'terminated') {
        return readContainerLog({ ...parts, ...wish });
      }
      const key = [namespace, pod, podUid, container].join('/');
      const room = rooms.get(key) ?? { parts, count, readers: 0, main: undefined, apart: new Set() };
      rooms.set(key, room);
      room.readers += 1;
      try {
        return await new Follower(wish, room).read();
      } finally {
        room.readers -= 1;
        room.main?.trim();
        if (room.readers === 0) rooms.delete(key);
      }
    },
  };
}

/** All who follow one container. */
interface Room {
  readonly parts: ContainerLogsParts;
  readonly count: { upstreams: number };
  readers: number;
  /** The stream that others may join. */
  main: Upstream | undefined;
  /** Those with a stream of their own beside it, who are on their way to it or have fallen behind. */
  readonly apart: Set<Follower>;
}

/** Something an upstream brought, and where a reader is after it. */
interface Entry {
  readonly what: { readonly batch: ReadBatch } | { readonly notice: ReadNotice };
  readonly bytes: number;
  readonly after: LogPosition | undefined;
}

/** One reading from the API server, and the readers who live on it. */
class Upstream {
  /** How it ended, while readers may still have to take what it brought. */
  end: { readonly outcome: ReadOutcome } | { readonly mistake: unknown } | undefined;
  readonly #room: Room;
  readonly #followers = new Set<Follower>();
  readonly #listeners = new Set<() => void>();
  readonly #ending = new AbortController();
  /** What its first reader asked for, and the latest of those whose sight counts. */
  readonly #begun: ContainerLogWish;
  #host: ContainerLogWish;
  /** What is kept, the number of its first entry counted from the beginning, and where a reader is before that. */
  readonly #entries: Entry[] = [];
  #first = 0;
  #bytes = 0;
  #start: LogPosition | undefined;
  #position: LogPosition | undefined;
  /** Called when the fastest reader has taken all there is. */
  #paced: (() => void) | undefined;

  constructor(room: Room, begun: Follower) {
    this.#room = room;
    const { wish, position } = begun;
    this.#begun = wish;
    this.#host = wish;
    this.#start = position;
    this.#position = position;
    this.add(begun);
    room.count.upstreams += 1;
    void this.#read(position);
  }

  /** The number of the entry that comes next. */
  get next(): number {
    return this.#first + this.#entries.length;
  }

  /** A new reader, who goes on with the first entry that is kept unless told. */
  add(follower: Follower, at = this.#first): void {
    this.#followers.add(follower);
    follower.next = at;
    follower.unsubscribe = follower.wish.sight.subscribe(() => this.#tell());
  }

  /** A reader leaves; the last one ends the reading. */
  remove(follower: Follower): void {
    follower.unsubscribe();
    if (!this.#followers.delete(follower)) return;
    const [first] = this.#followers;
    if (first === undefined) {
      this.#ending.abort();
      this.#close();
      return;
    }
    this.#host = first.wish;
    this.#tell();
    this.consumed();
  }

  /** The entry of this number: `later` when it has not come yet, `lost` when it is not kept any more. */
  entry(at: number): Entry | 'later' | 'lost' {
    return at < this.#first ? 'lost' : (this.#entries[at - this.#first] ?? 'later');
  }

  /** A reader has taken an entry. */
  consumed(): void {
    if (this.#paced !== undefined && this.#isPaced()) {
      this.#paced();
      this.#paced = undefined;
    }
    this.trim();
  }

  /**
   * Where a reader who is at `position`, or has nothing yet, goes on without missing or repeating a line: the number of an
   * entry, and how many of its lines he has. Undefined: not here.
   */
  find(position: LogPosition | undefined, wish: ContainerLogWish): { at: number; lines: number } | undefined {
    if (position === undefined) return this.#hasBeginningOf(wish) ? { at: this.#first, lines: 0 } : undefined;
    if (this.#start !== undefined) {
      if (isSamePosition(this.#start, position)) return { at: this.#first, lines: 0 };
      if (isEarlier(position, this.#start)) return undefined;
    }
    for (const [index, { what }] of this.#entries.entries()) {
      if ('notice' in what || isEarlier(what.batch.lines.at(-1)?.instant ?? position, position)) continue;
      for (const [at, { instant }] of what.batch.lines.entries()) {
        if (instant.seconds !== position.seconds || instant.nanos !== position.nanos) continue;
        if (isSamePosition(what.batch.positionAfter(at), position)) return { at: this.#first + index, lines: at + 1 };
      }
    }
    return undefined;
  }

  /** Lets go of what nobody needs: of what all have taken when there is one reader, else of what is too much. */
  trim(): void {
    const isShared = this.#isShared();
    const isTaken = () => !this.#isShortBeginning() && [...this.#followers].every(({ next }) => next > this.#first);
    const isSpare = () => (isShared ? this.#bytes > RING_BYTES && this.#entries.length > 1 : isTaken());
    while (this.#entries.length > 0 && isSpare()) {
      const gone = this.#entries.shift();
      if (gone === undefined) return;
      this.#first += 1;
      this.#bytes -= gone.bytes;
      this.#start = gone.after;
    }
  }

  async #read(from: LogPosition | undefined): Promise<void> {
    const { namespace, pod, container, range, onlyFirstRun = false } = this.#begun;
    try {
      const outcome = await readContainerLog({
        ...this.#room.parts,
        namespace,
        pod,
        container,
        range,
        follow: true,
        onlyFirstRun,
        ...(from === undefined ? {} : { from }),
        sight: {
          now: () => this.#host.sight.now(),
          restarts: () => this.#host.sight.restarts?.() ?? 0,
          subscribe: (listener) => {
            this.#listeners.add(listener);
            return () => this.#listeners.delete(listener);
          },
        },
        lines: (batch) => this.#take(batch),
        notice: (notice) => this.#push({ what: { notice }, bytes: 0, after: this.#position }),
        worthRetrying: (ms) => [...this.#followers].some(({ wish }) => wish.worthRetrying(ms)),
        signal: this.#ending.signal,
      });
      this.end = { outcome };
    } catch (mistake) {
      this.end = { mistake };
    }
    this.#close();
  }

  #take(batch: ReadBatch): void | Promise<void> {
    this.#position = batch.positionAfter(batch.lines.length - 1);
    this.#push({ what: { batch }, bytes: this.#isKept() ? weightOf(batch) : 0, after: this.#position });
    return new Promise((resolve) => {
      this.#paced = resolve;
    });
  }

  #push(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += entry.bytes;
    if (this.#isShared()) this.trim();
    this.#wake();
  }

  #wake(): void {
    for (const follower of this.#followers) follower.wake();
    if (this.#room.main === this) for (const follower of this.#room.apart) follower.wake();
  }

  /** Somebody else may want what comes. */
  #isShared(): boolean {
    return this.#room.main === this && this.#room.readers > 1;
  }

  #isPaced(): boolean {
    for (const { next } of this.#followers) if (next >= this.next) return true;
    return this.#followers.size === 0;
  }

  /** What was read, or will be, is all that `wish` wants. */
  #hasBeginningOf({ range }: ContainerLogWish): boolean {
    const { tailLines, sinceTime } = this.#begun.range;
    if (tailLines !== range.tailLines || sinceTime !== range.sinceTime) return false;
    if (this.#position === undefined) return true;
    // A tail is counted from the end there is, which is another one by now. And who comes after a gap may find no gap.
    return tailLines === undefined && this.#isBeginning() && this.#entries.every(({ what }) => 'batch' in what);
  }

  /** Nothing that was read has been let go of, and it was read from the beginning. */
  #isBeginning(): boolean {
    return this.#start === undefined;
  }

  #isShortBeginning(): boolean {
    return this.#isBeginning() && this.#bytes <= BEGINNING_BYTES;
  }

  /** What comes may be kept after it was taken. */
  #isKept(): boolean {
    return this.#isShared() || this.#isBeginning();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#room.count.upstreams -= 1;
    this.#wake();
    if (this.#room.main === this) this.#room.main = undefined;
  }
  #isClosed = false;
}

/** One reader: he takes what the upstream he is on has brought, at his own pace, and changes upstreams between two entries. */
class Follower {
  readonly wish: ContainerLogWish;
  /** Where he is: after the last line that was handed to him. */
  position: LogPosition | undefined;
  /** The number of the next entry he takes. */
  next = 0;
  unsubscribe: () => void = () => {};
  readonly #room: Room;
  #on: Upstream | undefined;
  /** Lines of the next entry that he has already. */
  #taken = 0;
  #lossless = true;
  #isUnreachable = false;
  #awake: (() => void) | undefined;

  constructor(wish: ContainerLogWish, room: Room) {
    this.wish = wish;
    this.#room = room;
    this.position = wish.from;
  }

  wake(): void {
    this.#awake?.();
  }

  async read(): Promise<ReadOutcome> {
    const { signal } = this.wish;
    const leave = () => {
      this.#leave();
      this.wake();
    };
    signal.addEventListener('abort', leave, { once: true });
    try {
      if (!this.#join()) this.#readAlone();
      while (!signal.aborted) {
        const entry = this.#on?.entry(this.next) ?? 'lost';
        if (entry === 'lost') this.#readAlone();
        else if (entry !== 'later') await this.#takeOne(entry);
        else if (!this.#join()) {
          const end = this.#on?.end;
          if (end !== undefined && 'mistake' in end) throw end.mistake;
          if (end !== undefined) return this.#lossless ? end.outcome : 'incomplete';
          await new Promise<void>((resolve) => {
            this.#awake = resolve;
          });
        }
      }
      return 'incomplete';
    } finally {
      signal.removeEventListener('abort', leave);
      this.#leave();
    }
  }

  async #takeOne({ what, after }: Entry): Promise<void> {
    const { wish } = this;
    if ('notice' in what) this.#tell(what.notice);
    else {
      if (this.#isUnreachable) this.#tell({ type: 'reached' });
      const batch = this.#taken === 0 ? what.batch : withoutFirst(what.batch, this.#taken);
      if (batch.lines.length > 0) await wish.lines(batch);
      this.position = after;
    }
    if (wish.signal.aborted) return;
    this.#taken = 0;
    this.next += 1;
    this.#on?.consumed();
    if (this.#room.main !== this.#on) this.#join();
  }

  #tell(notice: ReadNotice): void {
    if (notice.type === 'gap') this.#lossless = false;
    if (notice.type === 'reached' && !this.#isUnreachable) return;
    if (notice.type === 'unreachable' || notice.type === 'reached') {
      if ((notice.type === 'unreachable') === this.#isUnreachable) return;
      this.#isUnreachable = !this.#isUnreachable;
    }
    // Whether anything was delivered is each reader's own.
    this.wish.notice(notice.type === 'gone' ? { type: 'gone', delivered: this.position !== undefined } : notice);
  }

  /** Changes to the stream that others read, when it is where he is. Where there is none, his own becomes it. */
  #join(): boolean {
    const { main } = this.#room;
    if (main === undefined && this.#on !== undefined && this.#on.end === undefined) {
      this.#room.main = this.#on;
      this.#room.apart.delete(this);
    }
    if (main === undefined || main === this.#on) return false;
    const place = main.find(this.position, this.wish);
    if (place === undefined) return false;
    this.#leave();
    main.add(this, place.at);
    this.#on = main;
    this.#taken = place.lines;
    return true;
  }

  /** Goes on with a stream of his own from where he is. */
  #readAlone(): void {
    this.#leave();
    this.#taken = 0;
    this.#on = new Upstream(this.#room, this);
    if (this.#room.main === undefined) this.#room.main = this.#on;
    else this.#room.apart.add(this);
  }

  #leave(): void {
    this.#room.apart.delete(this);
    this.#on?.remove(this);
    this.#on = undefined;
  }
}

interface When {
  readonly seconds: number;
  readonly nanos: number;
}

function isEarlier(a: When, b: When): boolean {
  return a.seconds < b.seconds || (a.seconds === b.seconds && a.nanos < b.nanos);
}

function weightOf({ lines }: ReadBatch): number {
  let bytes = 0;
  for (const { text } of lines) bytes += text.length + LINE_OVERHEAD_BYTES;
  return bytes;
}
