/** A bound on how often something is done, however many want to: turns are given out one by one, evenly. */
import type { Clock } from '../clock.ts';

/** Whoever wants to act waits for a turn first. Turns come in the order in which they were asked for. */
export interface Pace {
  /** Resolves when it is the caller's turn; rejects with the reason of `signal` if that has aborted by then. */
  turn(signal: AbortSignal): Promise<void>;
}

/** What the network holds up for a moment arrives together, and the bound is for whoever it arrives at: so much slower turns are. */
const SLOWER = 1.1;

/**
 * At most `perSecond` turns in any second. It is a token bucket that holds one token: a larger one would save up a burst, and
 * bursts are what the API server is to be spared. It waits and never reads the time of day, so that a clock which is set
 * does not stop it.
 */
export function createPace({ perSecond, clock }: { readonly perSecond: number; readonly clock: Clock }): Pace {
  const betweenMs = Math.ceil((1_000 * SLOWER) / perSecond);
  let free: Promise<void> = Promise.resolve();
  return {
    async turn(signal) {
      const mine = free;
      free = mine.then(() => clock.sleep(betweenMs));
      await mine;
      signal.throwIfAborted();
    },
  };
}
