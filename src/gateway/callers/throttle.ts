/**
 * Guessing is slow: whoever was wrong too often waits before the next password is looked at. Nobody is locked out, because
 * attempts wait instead of being refused, and only those of one name: whoever signs in with credentials that were right a
 * moment ago makes no attempt at all (see `auth`).
 */
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import { LeakyLevels } from '../../leaky.ts';

/** Attempts on one name from one network. docs/security.md has these numbers. */
const NEARBY = {
  /** Wrong ones that cost no wait. */
  free: 5,
  /** The wait of the next; it doubles with each. */
  firstWaitMs: 1_000,
  longestWaitMs: 30_000,
  /** A mistake is forgotten after a minute. */
  forgottenPerSecond: 1 / 60,
  /** They wait one after another, and so many at most. */
  mostWaiting: 4,
} as const;

/** Attempts on one name from everywhere: networks that guess together. These wait side by side, and are never refused for the name's sake. */
const EVERYWHERE = { free: 100, waitMs: 3_000, forgottenPerSecond: 1 / 36 } as const;

/** Attempts that wait, of all names together: each holds a connection. */
const MOST_WAITING = 256;
/** Names and networks that are remembered: guessing with ever new names costs no memory. */
const MOST_KEYS = 20_000;

/** A password that may be looked at. It counts as wrong unless one of these is called. */
export interface Attempt {
  /** It was right: mistakes of this name from this network are forgotten, those from elsewhere are not. */
  right(): void;
  /** It was not looked at after all. */
  untried(): void;
}

/** Slows guessing down. Names are those that were tried, whether or not somebody has them. */
export interface Throttle {
  /**
   * Resolves when a password of `name` from `network` may be looked at: at once, or after the wait that former mistakes
   * have earned. Resolves early when `signal` aborts; look at it afterwards. Faults: `exhausted` when too many wait.
   */
  turn(name: string, network: string, signal: AbortSignal): Promise<Attempt>;
  /** Attempts that wait now. */
  readonly waiting: number;
}

/** Makes one that has seen no mistake. */
export function createThrottle(clock: Clock): Throttle {
  const nearby = new LeakyLevels({ perSecond: NEARBY.forgottenPerSecond, most: MOST_KEYS, clock });
  const everywhere = new LeakyLevels({ perSecond: EVERYWHERE.forgottenPerSecond, most: MOST_KEYS, clock });
  /** Those that wait one after another, by key. */
  const queues = new Map<string, { tail: Promise<void>; length: number }>();
  let waiting = 0;

  const nearbyWaitMs = (key: string): number => {
    const beyond = Math.round(nearby.level(key)) - NEARBY.free;
    return beyond < 0 ? 0 : Math.min(NEARBY.longestWaitMs, NEARBY.firstWaitMs * 2 ** beyond);
  };
  const queueUp = async (key: string, ms: number, signal: AbortSignal): Promise<void> => {
    const queue = queues.get(key) ?? { tail: Promise.resolve(), length: 0 };
    if (queue.length >= NEARBY.mostWaiting) refuse(ms);
    queues.set(key, queue);
    queue.length += 1;
    const before = queue.tail;
    const own = (async () => {
      await before;
      if (!signal.aborted) await clock.sleep(ms, signal);
    })();
    queue.tail = own;
    await own;
    queue.length -= 1;
    if (queue.length === 0) queues.delete(key);
  };

  return {
    async turn(name, network, signal) {
      const key = `${network}\n${name}`; // a network has no line break in it
      const nearMs = nearbyWaitMs(key);
      const farMs = Math.round(everywhere.level(name)) < EVERYWHERE.free ? 0 : EVERYWHERE.waitMs;
      const waitMs = Math.max(nearMs, farMs);
      if (waitMs > 0 && waiting >= MOST_WAITING) refuse(waitMs);
      // Counted before it is known to be wrong: a thousand at the same time are as many guesses as a thousand in turn.
      nearby.add(key);
      everywhere.add(name);
      const untried = () => {
        nearby.undo(key);
        everywhere.undo(name);
      };
      if (waitMs > 0) {
        waiting += 1;
        try {
          if (nearMs > 0) await queueUp(key, waitMs, signal);
          else await clock.sleep(waitMs, signal);
        } catch (error) {
          untried();
          throw error;
        } finally {
          waiting -= 1;
        }
      }
      return {
        right() {
          nearby.empty(key);
          everywhere.undo(name);
        },
        untried,
      };
    },
    get waiting() {
      return waiting;
    },
  };
}

function refuse(retryAfterMs: number): never {
  throw new Fault('exhausted', 'too many wrong passwords; try again later', { retryAfterMs });
}
