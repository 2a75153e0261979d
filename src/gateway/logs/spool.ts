/**
 * What has to wait for its turn: bytes of tasks that run beside the one which is being shown. In memory first, then in a
 * file that has no name any more, within limits; read from the cluster only while there is room.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '../../fault.ts';
import type { Log } from '../../log.ts';

/** How much may wait. */
export interface SpoolLimits {
  /** In memory, for one stream. */
  readonly streamBytes: number;
  /** In memory, for all streams of this process. */
  readonly memoryBytes: number;
  /** In files, for all streams of this process. */
  readonly fileBytes: number;
}

/** 8 MiB hold what most tasks write in their whole life; what all streams together keep fits into a small pod. */
export const spoolLimits: SpoolLimits = {
  streamBytes: 8 * 1024 * 1024,
  memoryBytes: 64 * 1024 * 1024,
  fileBytes: 512 * 1024 * 1024,
};

/** Where bytes go in the end: an outbox. */
export interface SpoolTarget {
  write(bytes: Buffer): void;
  /** Resolves when more may be written. */
  room(): Promise<void>;
}

/** The bytes of one task, in order, until it is shown. */
export interface Spool {
  /** Keeps `bytes` (by reference: do not change them), or passes them on at once when it has been emptied by `release`. After `close`: nothing. */
  write(bytes: Buffer): void;
  /** Resolves at once while more may be written, else when there is room again. Ask before reading more; never rejects. */
  room(): Promise<void>;
  /**
   * Its turn has come: hands everything on, at the pace of `target`, and resolves when nothing is kept any more. From that
   * very moment on `write` and `room` are those of `target`. Call it once. Fault `unavailable`: the file cannot be read.
   */
  release(target: SpoolTarget): Promise<void>;
}

/** The spools of one stream. */
export interface StreamSpools {
  open(): Spool;
  /** Forgets what is kept and lets everybody go who waits for room. Call it when the stream is over; twice is harmless. */
  close(): void;
}

/** All that waits in this process. */
export interface Spooling {
  forStream(): StreamSpools;
  readonly memoryBytes: number;
  readonly fileBytes: number;
}

/** What spools are made of. */
export interface SpoolParts {
  readonly log: Log;
  readonly limits?: SpoolLimits;
  /** Where files are made; the folder for temporary files unless told. */
  readonly folder?: string;
}

/** How much is read from a file, or written to one, at a time. */
const PORTION_BYTES = 256 * 1024;
/** What is shorter is copied together with its neighbours: a Buffer of its own weighs more than a line. */
const CHUNK_BYTES = 4 * 1024;

/**
 * Makes the spools of this process. Nothing touches the disk before a stream keeps more than half of what it may keep in
 * memory. A disk that cannot be written to (full, read-only) costs nothing but room: that task is then read from the
 * cluster no faster than it is shown. Files are open to this user alone and unlinked as soon as they are open, so nothing
 * of them stays, however the process ends.
 */
export function createSpooling({ log, limits = spoolLimits, folder = tmpdir() }: SpoolParts): Spooling {
  return new SpoolStock(log, limits, folder);
}

/** What all streams have in common: the sums and the limits. */
class SpoolStock implements Spooling {
  memoryBytes = 0;
  fileBytes = 0;
  readonly limits: SpoolLimits;
  readonly folder: string;
  readonly log: Log;
  readonly #streams = new Set<StreamStock>();

  constructor(log: Log, limits: SpoolLimits, folder: string) {
    this.log = log;
    this.limits = limits;
    this.folder = folder;
  }

  forStream(): StreamSpools {
    const stream = new StreamStock(this, () => this.#streams.delete(stream));
    this.#streams.add(stream);
    return stream;
  }

  /** Something was given back: whoever waits for it looks again. */
  freed(): void {
    for (const stream of this.#streams) stream.look();
  }
}

class StreamStock implements StreamSpools {
  memoryBytes = 0;
  isDiskBroken = false;
  readonly stock: SpoolStock;
  readonly #spools = new Set<TaskSpool>();
  readonly #closed: () => void;

  constructor(stock: SpoolStock, closed: () => void) {
    this.stock = stock;
    this.#closed = closed;
  }

  open(): Spool {
    const spool = new TaskSpool(this);
    this.#spools.add(spool);
    return spool;
  }

  close(): void {
    this.#closed();
    for (const spool of this.#spools) spool.close();
    this.#spools.clear();
    this.stock.freed();
  }

  /** So much that nothing more should be read. */
  get full(): boolean {
    const { limits, memoryBytes } = this.stock;
    return this.memoryBytes > limits.streamBytes || memoryBytes > limits.memoryBytes;
  }

  /** Puts on disk what is too much, and lets those go on who waited for room. */
  look(): void {
    const { limits, memoryBytes } = this.stock;
    // From half of it on, so that writing to the disk has time before reading has to pause.
    if (this.memoryBytes * 2 > limits.streamBytes || memoryBytes * 2 > limits.memoryBytes) this.#largest()?.spill();
    for (const spool of this.#spools) spool.wake();
  }

  keep(bytes: number): void {
    this.memoryBytes += bytes;
    this.stock.memoryBytes += bytes;
  }

  /** Tries the disk no more: what made it fail is seldom over soon, and there is another way. */
  diskFailed(error: unknown): void {
    if (this.isDiskBroken) return;
    this.isDiskBroken = true;
    const reason = error instanceof Error ? error.message : String(error);
    this.stock.log.warn('log lines that wait for their turn cannot be put on disk: more are not read until then', {
      reason,
    });
  }

  #largest(): TaskSpool | undefined {
    let found: TaskSpool | undefined;
    for (const spool of this.#spools) {
      if (spool.canSpill && spool.memoryBytes > (found?.memoryBytes ?? 0)) found = spool;
    }
    return found;
  }
}

/** First in, first out: what lies in the file is always older than what lies in memory. */
class TaskSpool implements Spool {
  memoryBytes = 0;
  readonly #stream: StreamStock;
  #turn: 'waited for' | 'begun' | 'over' = 'waited for';
  /** Where everything goes at once, when nothing is kept any more. */
  #through: SpoolTarget | undefined;
  #pieces: Buffer[] = [];
  /** Short writes together; the newest of what is kept. */
  #chunk: Buffer | undefined;
  #chunkBytes = 0;
  #file: FileHandle | undefined;
  /** Of the file: read up to, written up to. */
  #readTo = 0;
  #writtenTo = 0;
  #spilling: Promise<void> | undefined;
  #waiting: (() => void)[] = [];

  constructor(stream: StreamStock) {
    this.#stream = stream;
  }

  /** Once its turn has come nothing more goes to disk: what is read from the cluster keeps step with the client. */
  get canSpill(): boolean {
    return this.#turn === 'waited for' && this.#spilling === undefined && !this.#stream.isDiskBroken;
  }

  write(bytes: Buffer): void {
    if (this.#turn === 'over' || bytes.length === 0) return;
    if (this.#through !== undefined) {
      this.#through.write(bytes);
      return;
    }
    this.#keep(bytes);
    this.#count(bytes.length);
    this.#stream.look();
  }

  async room(): Promise<void> {
    while (this.#isFull) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#turn !== 'over') await this.#through?.room();
  }

  async release(target: SpoolTarget): Promise<void> {
    if (this.#turn === 'waited for') this.#turn = 'begun';
    while (this.#turn === 'begun') {
      if (this.#readTo < this.#writtenTo) target.write(await this.#readPortion());
      else if (this.#spilling !== undefined) await this.#spilling;
      else if (this.memoryBytes > 0) this.#handOn(target);
      else break;
      await target.room();
    }
    // No turn of the event loop lies between finding nothing more and this, so nothing can be overtaken.
    this.#through = target;
    this.#dropFile();
    this.wake();
  }

  /** Begins to put all that is in memory now on disk, unless that is too much for the files of this process. */
  spill(): void {
    const { stock } = this.#stream;
    const bytes = this.memoryBytes;
    if (!this.canSpill || stock.fileBytes + bytes > stock.limits.fileBytes) return;
    stock.fileBytes += bytes;
    this.#endChunk();
    const count = this.#pieces.length;
    this.#spilling = this.#append(this.#pieces.slice(0, count))
      .then(
        () => {
          this.#writtenTo += bytes;
          this.#pieces = this.#pieces.slice(count);
          this.#count(-bytes);
        },
        (error: unknown) => {
          stock.fileBytes -= bytes;
          this.#stream.diskFailed(error);
        },
      )
      .then(() => {
        this.#spilling = undefined;
        if (this.#turn === 'over') this.#forget();
        stock.freed();
      });
  }

  /** Lets those go on who wait for room, if there is. */
  wake(): void {
    if (this.#waiting.length === 0 || this.#isFull) return;
    const all = this.#waiting;
    this.#waiting = [];
    for (const resolve of all) resolve();
  }

  close(): void {
    this.#turn = 'over';
    // What is being written is forgotten when that is over.
    if (this.#spilling === undefined) this.#forget();
    this.wake();
  }

  get #isFull(): boolean {
    if (this.#turn === 'over' || this.#through !== undefined) return false;
    return this.#turn === 'begun' ? this.memoryBytes > PORTION_BYTES : this.#stream.full;
  }

  #keep(bytes: Buffer): void {
    if (bytes.length > CHUNK_BYTES - this.#chunkBytes) this.#endChunk();
    if (bytes.length * 2 > CHUNK_BYTES) {
      this.#endChunk();
      this.#pieces.push(bytes);
      return;
    }
    this.#chunk ??= Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#chunk.set(bytes, this.#chunkBytes);
    this.#chunkBytes += bytes.length;
  }

  #endChunk(): void {
    if (this.#chunk === undefined) return;
    this.#pieces.push(this.#chunk.subarray(0, this.#chunkBytes));
    this.#chunk = undefined;
    this.#chunkBytes = 0;
  }

  #count(bytes: number): void {
    this.memoryBytes += bytes;
    this.#stream.keep(bytes);
  }

  /** Hands on about a portion of what is in memory. */
  #handOn(target: SpoolTarget): void {
    this.#endChunk();
    let count = 0;
    let bytes = 0;
    for (const piece of this.#pieces) {
      if (bytes >= PORTION_BYTES) break;
      target.write(piece);
      bytes += piece.length;
      count += 1;
    }
    this.#pieces = this.#pieces.slice(count);
    this.#count(-bytes);
    this.#stream.stock.freed();
  }

  #forget(): void {
    this.#pieces = [];
    this.#chunk = undefined;
    this.#count(-this.memoryBytes);
    this.#dropFile();
  }

  /** Gives the file's space back. */
  #dropFile(): void {
    const { stock } = this.#stream;
    const file = this.#file;
    if (file === undefined) return;
    stock.fileBytes -= this.#writtenTo;
    this.#file = undefined;
    this.#readTo = 0;
    this.#writtenTo = 0;
    // Nobody can do anything about a file that does not close, and it is unlinked.
    void file.close().catch(() => {});
    stock.freed();
  }

  async #append(pieces: readonly Buffer[]): Promise<void> {
    this.#file ??= await openNameless(this.#stream.stock.folder);
    let at = this.#writtenTo;
    for (const portion of portionsOf(pieces)) {
      for (let done = 0; done < portion.length; ) {
        const { bytesWritten } = await this.#file.write(portion, done, portion.length - done, at);
        done += bytesWritten;
        at += bytesWritten;
      }
    }
  }

  /** The oldest of what is in the file; nothing when it was closed meanwhile. */
  async #readPortion(): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(Math.min(PORTION_BYTES, this.#writtenTo - this.#readTo));
    try {
      for (let done = 0; done < bytes.length; ) {
        const read = await this.#file?.read(bytes, done, bytes.length - done, this.#readTo + done);
        if (!read?.bytesRead) throw new Error('the file is shorter than what was written to it');
        done += read.bytesRead;
      }
    } catch (error) {
      if (this.#turn === 'over') return Buffer.alloc(0);
      throw new Fault('unavailable', 'log lines that waited for their turn cannot be read back', { cause: error });
    }
    this.#readTo += bytes.length;
    return bytes;
  }
}

/** The bytes of `pieces` in portions worth a write of their own. */
function* portionsOf(pieces: readonly Buffer[]): Generator<Buffer> {
  let from = 0;
  let bytes = 0;
  for (const [at, piece] of pieces.entries()) {
    bytes += piece.length;
    if (bytes < PORTION_BYTES && at < pieces.length - 1) continue;
    yield Buffer.concat(pieces.slice(from, at + 1), bytes);
    from = at + 1;
    bytes = 0;
  }
}

/** A file that only whoever opened it can reach, and that is gone when it is closed. */
async function openNameless(folder: string): Promise<FileHandle> {
  const own = await mkdtemp(join(folder, 'rungate-spool-'));
  try {
    return await open(join(own, randomUUID()), 'wx+', 0o600);
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}
