/** What one client still has to take: writes are gathered per turn of the event loop, and whoever produces waits for room. */
import type { Writable } from 'node:stream';
import type { Clock } from '../clock.ts';

/** More than this waiting for one client, and whoever produces for it pauses. */
const MOST_QUEUED_BYTES = 1024 * 1024;
/** A client that takes nothing for so long is let go. */
const LONGEST_UNDRAINED_MS = 120_000;

/** Bytes on their way to one client. */
export interface Outbox {
  /** Queues bytes; they leave together at the end of this turn of the event loop. */
  write(bytes: Buffer): void;
  /** Resolves at once while there is room, else when the client has taken what waits, or is gone. */
  room(): Promise<void>;
  /** Resolves when everything written so far has been handed to the kernel, or the client is gone. */
  flushed(): Promise<void>;
  /** True while the client does not keep up. */
  readonly full: boolean;
  /** Bytes queued so far. */
  readonly written: number;
}

/** An outbox in front of `out`. `dropped` is called once, when the client has taken nothing for two minutes. */
export function createOutbox(
  out: Writable,
  { clock, dropped }: { readonly clock: Clock; readonly dropped: () => void },
): Outbox {
  let pieces: Buffer[] = [];
  let pieceBytes = 0;
  let isScheduled = false;
  let written = 0;
  let waiting: (() => void)[] = [];
  let gone = false;
  let watch: AbortController | undefined;

  const isFull = () => !gone && pieceBytes + out.writableLength > MOST_QUEUED_BYTES;
  const release = (): void => {
    if (isFull()) return;
    watch?.abort();
    watch = undefined;
    const all = waiting;
    waiting = [];
    for (const resolve of all) resolve();
  };
  const send = (done?: () => void): void => {
    isScheduled = false;
    if (gone || pieceBytes === 0) {
      done?.();
      return;
    }
    const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces, pieceBytes);
    pieces = [];
    pieceBytes = 0;
    out.write(bytes, () => {
      release();
      done?.();
    });
  };
  const close = (): void => {
    gone = true;
    pieces = [];
    pieceBytes = 0;
    release();
  };
  out.once('close', close);
  out.once('error', close);
  out.on('drain', release);

  return {
    write(bytes) {
      if (gone || bytes.length === 0) return;
      pieces.push(bytes);
      pieceBytes += bytes.length;
      written += bytes.length;
      if (isScheduled) return;
      isScheduled = true;
      setImmediate(send);
    },
    room() {
      if (!isFull()) return Promise.resolve();
      if (watch === undefined) {
        const own = new AbortController();
        watch = own;
        void clock.sleep(LONGEST_UNDRAINED_MS, own.signal).then(() => {
          if (!own.signal.aborted && !gone) dropped();
        });
      }
      return new Promise((resolve) => waiting.push(resolve));
    },
    flushed: () =>
      new Promise((resolve) => {
        if (gone) return resolve();
        const done = () => resolve();
        out.once('close', done);
        send(() => out.write(Buffer.alloc(0), () => done()));
      }),
    get full() {
      return isFull();
    },
    get written() {
      return written;
    },
  };
}
