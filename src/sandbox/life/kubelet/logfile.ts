/**
 * Where a container's output goes: files in the format of the container runtimes (CRI), as containerd 1.6 writes them.
 * `2026-11-01T10:00:00.000000001Z stdout F text`, one record a line; P instead of F when the line goes on in the next record.
 * https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../../../clock.ts';

/** The runtime writes at most this much of a line into one record. */
const RECORD_BYTES = 16 * 1024;

/** Every record begins with this many bytes: a timestamp of fixed width, stream, tag, and their spaces. */
export const HEADER_BYTES = '2026-11-01T10:00:00.000000001Z stdout F '.length;

/** The timestamp in a record's header, with the space behind it. */
export const TIMESTAMP_BYTES = '2026-11-01T10:00:00.000000001Z '.length;

/** The two streams of a container. They share its log. */
export type Stream = 'stdout' | 'stderr';

/** When a file is full and how many are kept, the newest included: `containerLogMaxSize` and `containerLogMaxFiles`. */
export interface Rotation {
  readonly bytes: number;
  readonly files: number;
}

/** What a reader may know of a log that is being written. */
export interface LiveLog {
  /** The newest file, `.../0.log`; older ones are `.../0.log.<generation>`. */
  readonly path: string;
  /** How often the log was rotated: the newest file holds this generation. */
  readonly generation: number;
  readonly closed: boolean;
  /** Calls `on` after every write, rotation and the end, until the answer is called. */
  watch(on: () => void): () => void;
}

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

/**
 * The one writer of one run of a container. What it is given is in the file when `write` returns. Timestamps never go
 * back, and no two records have the same.
 */
export class LogFile implements LiveLog {
  readonly path: string;
  readonly #rotation: Rotation;
  readonly #stamps: Stamps;
  readonly #rest: Record<Stream, Buffer> = { stdout: nothing, stderr: nothing };
  readonly #records = new Records();
  readonly #watchers = new Set<() => void>();
  #file: number;
  #size: number;
  #generation = 0;
  #closed = false;
  #failure: Error | undefined;

  /** Creates the file and the folders above it, or goes on with the file that is there. */
  constructor(path: string, { rotation, clock }: { readonly rotation: Rotation; readonly clock: Clock }) {
    this.path = path;
    this.#rotation = rotation;
    this.#stamps = new Stamps(clock);
    mkdirSync(dirname(path), { recursive: true });
    this.#file = openSync(path, 'a', 0o640);
    this.#size = statSync(path).size;
  }

  get generation(): number {
    return this.#generation;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Why the last records that are lost could not be written, as on a disk that is full; undefined when none is lost. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Takes output as it comes: whole lines are written at once, the beginning of a line waits for its end. */
  write(stream: Stream, chunk: Buffer): void {
    if (this.#closed) return;
    const rest = this.#rest[stream];
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(LINE_FEED, start); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
      start = this.#cutLong(stream, bytes, start, end);
      const text = end > start && bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end; // containerd drops it
      this.#add(stream, 'F', bytes, start, text);
      start = end + 1;
    }
    start = this.#cutLong(stream, bytes, start, bytes.length);
    this.#rest[stream] = start === bytes.length ? nothing : Buffer.from(bytes.subarray(start)); // the chunk can go
    this.#append();
  }

  /** A line of the kubelet's own, or of whoever speaks for the container. */
  say(stream: Stream, line: string): void {
    this.write(stream, Buffer.from(`${line}\n`));
  }

  /** Writes what was left without a line's end, which makes a partial record of it. Calling it twice changes nothing. */
  close(): void {
    if (this.#closed) return;
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = this.#rest[stream];
      if (rest.length > 0) this.#add(stream, 'P', rest, 0, rest.length);
    }
    this.#append();
    this.#closed = true;
    closeSync(this.#file);
    this.#tell();
  }

  watch(on: () => void): () => void {
    this.#watchers.add(on);
    return () => this.#watchers.delete(on);
  }

  /** Turns what a line has too much into partial records; answers where its last record begins. */
  #cutLong(stream: Stream, bytes: Buffer, from: number, to: number): number {
    let start = from;
    for (; to - start > RECORD_BYTES; start += RECORD_BYTES) this.#add(stream, 'P', bytes, start, start + RECORD_BYTES);
    return start;
  }

  #add(stream: Stream, tag: 'F' | 'P', bytes: Buffer, from: number, to: number): void {
    this.#records.add(`${this.#stamps.next()} ${stream} ${tag} `, bytes, from, to);
  }

  #append(): void {
    const bytes = this.#records.take();
    if (bytes.length === 0) return;
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(this.#file, bytes, written);
    } catch (error) {
      this.#failure = error as Error; // fs throws nothing else
      if (written > 0) ftruncateSync(this.#file, this.#size); // no torn record
      return;
    }
    this.#size += bytes.length;
    if (this.#size >= this.#rotation.bytes) this.#rotate();
    this.#tell();
  }

  #rotate(): void {
    closeSync(this.#file);
    renameSync(this.path, `${this.path}.${this.#generation}`);
    this.#generation += 1;
    rmSync(`${this.path}.${this.#generation - this.#rotation.files}`, { force: true });
    this.#file = openSync(this.path, 'a', 0o640);
    this.#size = 0;
  }

  #tell(): void {
    for (const on of this.#watchers) on();
  }
}

const nothing = Buffer.alloc(0);

/** Records on their way to the file, in one buffer that is used again and again. */
class Records {
  #buffer = Buffer.allocUnsafe(4 * 1024);
  #length = 0;

  add(header: string, bytes: Buffer, from: number, to: number): void {
    const needed = this.#length + header.length + (to - from) + 1;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(2 * needed);
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    this.#length += this.#buffer.write(header, this.#length, 'latin1');
    this.#length += bytes.copy(this.#buffer, this.#length, from, to);
    this.#buffer[this.#length++] = LINE_FEED;
  }

  /** All of them. They are good until the next is added. */
  take(): Buffer {
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    return bytes;
  }
}

/** Timestamps of one log, with the nine digits that the runtimes write. */
class Stamps {
  readonly #clock: Clock;
  #ms = 0;
  #nanos = 0;
  #second = -1;
  #secondText = '';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  next(): string {
    const ms = this.#clock.now();
    if (ms > this.#ms) {
      this.#ms = ms;
      this.#nanos = Math.floor((performance.now() % 1) * 1e6); // the clock has no finer digits of its own
    } else if (++this.#nanos >= 1_000_000) {
      this.#ms += 1;
      this.#nanos = 0;
    }
    const second = Math.floor(this.#ms / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = new Date(second * 1_000).toISOString().slice(0, 20);
    }
    const fraction = (this.#ms % 1_000) * 1_000_000 + this.#nanos;
    return `${this.#secondText}${String(fraction).padStart(9, '0')}Z`;
  }
}
