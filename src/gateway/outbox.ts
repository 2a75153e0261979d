/** What one client still has to take: writes are gathered per turn of the event loop, and whoever produces waits for room. */
import type { Writable } from 'node:stream';
import type { Clock } from '../clock.ts';

/** More than this waiting for one client, and whoever produces for it pauses. What sockets and readers hold comes on top. */
const MOST_QUEUED_BYTES = 512 * 1024;
/** What is handed to the socket at a time. */
const PORTION_BYTES = 64 * 1024;

/** Given as the reason of an abort: without one each makes an error with a stack, at every portion that is taken. */
const TAKEN = 'taken';

/** Bytes on their way to one client. */
export interface Outbox {
  /** Queues bytes; they leave together at the end of this turn of the event loop. */
  write(bytes: Buffer): void;
  /** Resolves at once while there is room, else when the client has taken enough of what waits, or is gone. */
  room(): Promise<void>;
  /** Resolves when everything written so far has been handed to the kernel, or the client is gone. */
  flushed(): Promise<void>;
  /** True while the client does not keep up. */
  readonly full: boolean;
  /** Bytes queued so far. */
  readonly written: number;
}

/** What an outbox needs beside the client. */
export interface OutboxParts {
  readonly clock: Clock;
  /** How long a client may take nothing while something waits for it. */
  readonly slowMs: number;
  /** Called once, when it has taken nothing for so long. */
  readonly dropped: () => void;
}

/** An outbox in front of `out`. */
export function createOutbox(out: Writable, { clock, slowMs, dropped }: OutboxParts): Outbox {
  let pieces: Buffer[] = [];
  let pieceBytes = 0;
  let isScheduled = false;
  let written = 0;
  let inFlight = 0;
  let waiting: (() => void)[] = [];
  let emptied: (() => void)[] = [];
  let gone = false;
  let watch: AbortController | undefined;

  const isFull = () => !gone && pieceBytes + out.writableLength > MOST_QUEUED_BYTES;
  const letGo = (all: readonly (() => void)[]): void => {
    for (const resolve of all) resolve();
  };
  /** Begins to count anew; whoever takes something, however slowly, is not dropped. */
  const rewatch = (): void => {
    watch?.abort(TAKEN);
    watch = undefined;
    if (gone || inFlight === 0) return;
    const own = new AbortController();
    watch = own;
    void clock.sleep(slowMs, own.signal).then(() => {
      if (!own.signal.aborted && !gone) dropped();
    });
  };
  const took = (): void => {
    inFlight -= 1;
    rewatch();
    if (!isFull()) {
      const all = waiting;
      waiting = [];
      letGo(all);
    }
    if (inFlight === 0 && pieceBytes === 0) {
      const all = emptied;
      emptied = [];
      letGo(all);
    }
  };
  const send = (): void => {
    isScheduled = false;
    if (gone || pieceBytes === 0) return;
    const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces, pieceBytes);
    pieces = [];
    pieceBytes = 0;
    // In portions, so that a slow client is seen to take them one by one.
    for (let at = 0; at < bytes.length; at += PORTION_BYTES) {
      inFlight += 1;
      if (inFlight === 1) rewatch();
      out.write(bytes.subarray(at, at + PORTION_BYTES), took);
    }
  };
  const close = (): void => {
    gone = true;
    pieces = [];
    pieceBytes = 0;
    watch?.abort();
    letGo([...waiting, ...emptied]);
    waiting = [];
    emptied = [];
  };
  out.once('close', close);
  out.once('error', close);

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
    room: () => (isFull() ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve()),
    flushed() {
      send();
      return gone || inFlight === 0 ? Promise.resolve() : new Promise((resolve) => emptied.push(resolve));
    },
    get full() {
      return isFull();
    },
    get written() {
      return written;
    },
  };
}
