/**
 * How much is taken at once: so many deliveries of one hook in a second, so many of all hooks under way, and so many wrong
 * attempts of one address. What is over a limit is answered 429, which senders take as "later", not as "no".
 */
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import type { ObjectRef } from '../kube/objects.ts';
import { LeakyLevels } from '../leaky.ts';
import type { Metrics } from '../metrics.ts';

/** The settings, as src/settings.ts explains them. */
export interface PaceSettings {
  /** 0: no limit. */
  readonly hooksPerSecond: number;
  readonly hookBurst: number;
  readonly maxHooks: number;
}

/** Gives a place back. Calling it twice is harmless. */
export type Release = () => void;

/** Limits of one replica. The first two are met only by who has shown that they may deliver, so nobody can use them up for others. */
export interface Pace {
  /** Counts one delivery of a hook. Faults: `exhausted` when its burst is used up. */
  takeTurn(hook: ObjectRef): void;
  /** A place for one delivery that is under way. Faults: `exhausted` when there is no more. */
  takePlace(): Release;
  /**
   * Faults: `exhausted` for an address that was wrong too often, unless it was right at this hook of late: whoever shares
   * the address of somebody who guesses, as behind a proxy, is not kept out with them.
   */
  mayTry(address: string, hook: ObjectRef): void;
  /** What an address has shown was right. */
  right(address: string, hook: ObjectRef): void;
  /** It was wrong, or there is no such hook. */
  wrong(address: string): void;
}

/**
 * What a sender is told to wait. notification-controller tries five times within the 12 s that its timeout leaves, where it
 * waits so long each time; left alone it tries four times, the last after 14 s.
 */
export const RETRY_MS = 3_000;

/** Wrong attempts of an address that cost nothing, and how many of them are forgotten in a second. */
const FREE_MISTAKES = 100;
const MISTAKES_FORGOTTEN_PER_SECOND = 1;
/** Addresses, and addresses at hooks, that are remembered: who attacks from everywhere costs no memory. */
const MOST_ADDRESSES = 20_000;
const MOST_HOOKS = 20_000;
/** Who was right is believed to be so again for so long. */
const RIGHT_MS = 15 * 60_000;

/** Makes the limits of one replica. */
export function createPace(
  { hooksPerSecond, hookBurst, maxHooks }: PaceSettings,
  { clock, metrics }: { readonly clock: Pick<Clock, 'now'>; readonly metrics: Pick<Metrics, 'limited' | 'level'> },
): Pace {
  const turns = new LeakyLevels({ perSecond: hooksPerSecond, most: MOST_HOOKS, clock });
  const mistakes = new LeakyLevels({ perSecond: MISTAKES_FORGOTTEN_PER_SECOND, most: MOST_ADDRESSES, clock });
  /** One of these is forgotten after `RIGHT_MS`, and where there is no room the one that was right longest ago. */
  const rightOnes = new LeakyLevels({ perSecond: 1_000 / RIGHT_MS, most: MOST_ADDRESSES, clock });
  let taken = 0;
  metrics.level('hook deliveries', () => taken);

  const refuse = (limit: string, message: string): never => {
    metrics.limited(limit);
    throw new Fault('exhausted', message, { retryAfterMs: RETRY_MS });
  };

  return {
    takeTurn(hook) {
      if (hooksPerSecond === 0) return;
      const key = keyOf(hook);
      if (turns.msUntil(key, hookBurst - 1) > 0) refuse('HOOKS_PER_SECOND', 'this hook is used too often; try again');
      turns.add(key);
    },
    takePlace() {
      if (taken >= maxHooks) refuse('MAX_HOOKS', 'too many deliveries are under way; try again');
      taken += 1;
      let isTaken = true;
      return () => {
        if (isTaken) taken -= 1;
        isTaken = false;
      };
    },
    mayTry(address, hook) {
      if (mistakes.level(address) < FREE_MISTAKES || rightOnes.level(`${address} ${keyOf(hook)}`) > 0) return;
      refuse('wrong hook attempts', 'too many wrong attempts; try again');
    },
    right(address, hook) {
      const key = `${address} ${keyOf(hook)}`;
      rightOnes.empty(key);
      rightOnes.add(key);
    },
    wrong: (address) => mistakes.add(address),
  };
}

function keyOf({ namespace, name }: ObjectRef): string {
  return `${namespace}/${name}`;
}
