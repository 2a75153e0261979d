/**
 * Reading a container's log as the kubelet serves it: records joined to lines, filtered, followed. Bytes are moved in
 * chunks, never line by line, so that one container's log is served faster than any network takes it.
 * https://github.com/kubernetes/cri-client/blob/master/pkg/logs/logs.go
 */
import { closeSync, fstatSync, openSync, read } from 'node:fs';
import { promisify } from 'node:util';
import { HEADER_BYTES, type LiveLog, TIMESTAMP_BYTES } from './logfile.ts';

/** What a reader wants of a log. */
export interface LogWish {
  readonly follow: boolean;
  /** Puts each line's time before it. */
  readonly timestamps: boolean;
  /** Leaves out what is older, RFC 3339 in UTC with nine digits, so that text compares as time does. */
  readonly since: string | undefined;
  /** Only the last records: the runtime counts those, not lines. */
  readonly tailLines: number | undefined;
  readonly limitBytes: number | undefined;
}

/** What is read: a log that is being written, or the file that is left of one. */
export type LogSource = LiveLog | { readonly path: string; readonly closed: true };

const CHUNK_BYTES = 128 * 1024;
const empty = Buffer.alloc(0);
const LINE_FEED = 10;
const readFile = promisify(read);
/** In a record, `F` or `P` stands here. */
const TAG_AT = HEADER_BYTES - 2;
const PARTIAL = 'P'.charCodeAt(0);

/**
 * Yields the log's bytes until its end, or while following until the container has ended or `signal` aborts. Only the
 * newest file is read, as through the real API; a follower loses nothing to rotation as long as it keeps up with the
 * files that are kept. Throws what opening the file throws.
 */
export async function* readLog(source: LogSource, wish: LogWish, signal: AbortSignal): AsyncGenerator<Buffer> {
  const text = new Text(wish);
  const bell = new Bell(source, signal);
  let { file, generation } = openAt(source, generationOf(source));
  try {
    let place = wish.tailLines === undefined ? 0 : await placeOfTail(file, wish.tailLines);
    // With a tail and without following the kubelet counts records, so that nothing is added that came meanwhile.
    let left = wish.tailLines !== undefined && !wish.follow ? wish.tailLines : Number.POSITIVE_INFINITY;
    const held = new Held();
    for (;;) {
      const ended = source.closed; // asked before reading: what is written afterwards is not missed
      const behind = generationOf(source) > generation;
      const { bytesRead } = await readFile(file, held.room(), 0, CHUNK_BYTES, place);
      if (signal.aborted) return;
      place += bytesRead;
      const records = held.take(bytesRead);
      const out = text.of(records, left);
      left -= out.records;
      if (out.bytes.length > 0) yield out.bytes;
      if (out.full || left <= 0 || signal.aborted) return;
      if (bytesRead > 0) continue;
      if (behind) {
        closeSync(file);
        ({ file, generation } = openAt(source, generation + 1));
        place = 0;
        continue;
      }
      if (!wish.follow || ended) return;
      await bell.rings();
    }
  } finally {
    bell.remove();
    closeSync(file);
  }
}

function generationOf(source: LogSource): number {
  return 'generation' in source ? source.generation : 0;
}

/**
 * Opens the file of a generation, or the oldest that is left: a reader can be too slow for the number of files that are
 * kept. All in one go, because a rotation in between would give the files other names.
 */
function openAt(source: LogSource, wanted: number): { readonly file: number; readonly generation: number } {
  const newest = generationOf(source);
  for (let generation = wanted; generation < newest; generation++) {
    try {
      return { file: openSync(`${source.path}.${generation}`, 'r'), generation };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }
  return { file: openSync(source.path, 'r'), generation: newest };
}

/** Wakes a follower. A ring while it was busy is not lost. */
class Bell {
  readonly #remove: () => void;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(source: LogSource, signal: AbortSignal) {
    const ring = () => {
      this.#rung = true;
      this.#wake?.();
    };
    const unwatch = 'watch' in source ? source.watch(ring) : () => {};
    signal.addEventListener('abort', ring, { once: true });
    this.#remove = () => {
      unwatch();
      signal.removeEventListener('abort', ring);
    };
  }

  async rings(): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#wake = undefined;
    this.#rung = false;
  }

  remove(): void {
    this.#remove();
  }
}

/** Bytes read but not yet given out, because a record was cut off by the end of a chunk. */
class Held {
  #chunk: Buffer = empty;
  #rest: Buffer = empty;

  /** Where to read to: behind what is held. Each time another, because what was given out is still on its way. */
  room(): Buffer {
    this.#chunk = Buffer.allocUnsafeSlow(this.#rest.length + CHUNK_BYTES);
    this.#rest.copy(this.#chunk);
    return this.#chunk.subarray(this.#rest.length);
  }

  /** The whole records among what was held and the first `length` bytes of the room. */
  take(length: number): Buffer {
    if (length === 0) return empty;
    const bytes = this.#chunk.subarray(0, this.#rest.length + length);
    const end = bytes.lastIndexOf(LINE_FEED) + 1;
    this.#rest = Buffer.from(bytes.subarray(end)); // text is made of the chunk in place
    return bytes.subarray(0, end);
  }
}

/** Turns records into what is served. Keeps what one chunk must know of the one before. */
class Text {
  readonly #timestamps: boolean;
  readonly #since: string | undefined;
  #passed: boolean;
  #remaining: number;
  #atLineStart = true;

  constructor({ timestamps, since, limitBytes }: LogWish) {
    this.#timestamps = timestamps;
    this.#since = since;
    this.#passed = since === undefined;
    this.#remaining = limitBytes ?? Number.POSITIVE_INFINITY;
  }

  /** At most the first `most` records. `full` says that the byte limit is reached. */
  of(records: Buffer, most: number): { readonly bytes: Buffer; readonly records: number; readonly full: boolean } {
    // What is served is never longer than its records: a timestamp is part of them.
    const out = records;
    let length = 0;
    let count = 0;
    for (let start = 0; start < records.length && count < most; count++) {
      const end = records.indexOf(LINE_FEED, start);
      const partial = records[start + TAG_AT] === PARTIAL;
      if (this.#isWanted(records, start)) {
        if (this.#timestamps && this.#atLineStart) {
          out.copyWithin(length, start, start + TIMESTAMP_BYTES);
          length += TIMESTAMP_BYTES;
        }
        const to = partial ? end : end + 1;
        out.copyWithin(length, start + HEADER_BYTES, to);
        length += to - start - HEADER_BYTES;
      }
      this.#atLineStart = !partial;
      start = end + 1;
      if (length >= this.#remaining) return { bytes: out.subarray(0, this.#remaining), records: count, full: true };
    }
    this.#remaining -= length;
    return { bytes: out.subarray(0, length), records: count, full: false };
  }

  /** Times only grow, so once one record is young enough all that follow are. */
  #isWanted(records: Buffer, start: number): boolean {
    this.#passed ||= records.toString('latin1', start, start + TIMESTAMP_BYTES - 1) >= (this.#since ?? '');
    return this.#passed;
  }
}

/** Where the last `count` records begin. */
async function placeOfTail(file: number, count: number): Promise<number> {
  const { size } = fstatSync(file);
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  // One line feed more than records, because the last record ends with one.
  let missing = count + 1;
  for (let end = size; end > 0; end -= CHUNK_BYTES) {
    const from = Math.max(0, end - CHUNK_BYTES);
    await readFile(file, chunk, 0, end - from, from);
    const bytes = chunk.subarray(0, end - from);
    for (let at = bytes.lastIndexOf(LINE_FEED); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf(LINE_FEED, at - 1)) {
      missing -= 1;
      if (missing === 0) return from + at + 1;
    }
  }
  return 0;
}
