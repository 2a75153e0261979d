/** Reading bodies whole, with bounds on their size, on how long one takes, and on how many, of how many bytes, are being read. */
import type { Readable } from 'node:stream';
import type { Clock } from '../clock.ts';

/** What came of reading a body. Only one that is `whole` was read to its end. */
export type Taken =
  | { readonly came: 'whole'; readonly raw: Buffer }
  | { readonly came: 'too-large' }
  | { readonly came: 'too-slow' }
  /** As many as may are being read, and none of them for so long that it can be given up; or it had come to the most bytes of all. */
  | { readonly came: 'crowded' }
  /** The sender has gone. */
  | { readonly came: 'broken' };

/** Where bodies are read. */
export interface Intake {
  /** Reads `body`; more than `mostBytes` are `too-large` as soon as they have come. Never rejects. */
  read(body: Readable, mostBytes: number): Promise<Taken>;
  /** Bodies that are being read now. */
  readonly reading: number;
}

/** What an intake is made of. */
export interface IntakeParts {
  /** Bodies that are read at the same time. */
  readonly most: number;
  /** Bytes of all of them together. Room for the longest single one has to be there. */
  readonly mostBytesHeld: number;
  /** How long one may take. */
  readonly patienceMs: number;
  readonly clock: Clock;
}

/** A body that is still being read after this makes room for others: those that arrive at all arrive in a fraction of it. */
const LINGERING_MS = 1_000;

/** Without a reason of its own each abort would make an error with its stack. */
const SETTLED = 'settled';

interface Reader {
  readonly beganAt: number;
  /** So many bytes of it are here. */
  size: number;
  giveUp(): void;
  yieldRoom(): void;
}

/**
 * Makes one that reads nothing yet. Strangers can fill it, because who sends is known only when the body is there; whoever
 * sends slowly to that end is given up first, and where bytes run out whoever has sent the most of them: events are small.
 */
export function createIntake({ most, mostBytesHeld, patienceMs, clock }: IntakeParts): Intake {
  /** In the order in which they began. */
  const readers = new Set<Reader>();

  const makeRoom = (): boolean => {
    const [longest] = readers;
    if (readers.size < most || longest === undefined) return true;
    if (clock.steady() - longest.beganAt < LINGERING_MS) return false;
    longest.giveUp();
    return true;
  };

  let held = 0;
  const makeSpace = (): void => {
    while (held > mostBytesHeld) {
      const [first, ...others] = readers;
      others.reduce((largest, each) => (each.size > (largest?.size ?? 0) ? each : largest), first)?.yieldRoom();
    }
  };

  return {
    read(body, mostBytes) {
      body.on('error', () => {}); // `close` follows, and nobody may have to catch what comes after the answer
      if (!makeRoom()) return Promise.resolve({ came: 'crowded' });
      return new Promise((resolve) => {
        const chunks: Buffer[] = [];
        const over = new AbortController();
        const settle = (taken: Taken): void => {
          over.abort(SETTLED);
          if (readers.delete(reader)) held -= reader.size;
          body.off('data', take).off('end', finish).off('close', lose);
          if (taken.came !== 'whole') body.pause();
          resolve(taken);
        };
        const take = (chunk: Buffer): void => {
          reader.size += chunk.length;
          held += chunk.length;
          chunks.push(chunk);
          if (reader.size > mostBytes) settle({ came: 'too-large' });
          else makeSpace();
        };
        const finish = (): void => settle({ came: 'whole', raw: Buffer.concat(chunks, reader.size) });
        const lose = (): void => settle({ came: 'broken' });
        const reader: Reader = {
          beganAt: clock.steady(),
          size: 0,
          giveUp: () => settle({ came: 'too-slow' }),
          yieldRoom: () => settle({ came: 'crowded' }),
        };
        readers.add(reader);
        body.on('data', take).once('end', finish).once('close', lose);
        if (body.destroyed) return lose();
        void clock.sleep(patienceMs, over.signal).then(() => {
          if (!over.signal.aborted) reader.giveUp();
        });
      });
    },
    get reading() {
      return readers.size;
    },
  };
}
