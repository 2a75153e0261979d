/** How much callers may have at the same time and in a second. Whoever is over a limit is told which, and when to come back. */
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import { LeakyLevels } from '../../leaky.ts';
import type { Metrics } from '../../metrics.ts';
import type { Caller } from './callers.ts';

/** The settings, as src/settings.ts explains them. */
export interface LimitSettings {
  readonly maxStreams: number;
  /** As many as `maxStreams` when not set. */
  readonly maxStreamsPerCaller?: number | undefined;
  readonly maxWaiters: number;
  /** 0: no limit. */
  readonly requestsPerSecond: number;
  readonly requestBurst: number;
}

/** Gives a place back. Calling it twice is harmless. */
export type Release = () => void;

/**
 * Places that are taken and given back. Callers count by their name, so that a file of callers that is read again frees
 * nobody. What is open already is never touched: a limit is only met by whoever comes next.
 */
export interface Limits {
  /** A place for one log or event stream. Faults: `exhausted` when this replica or this caller has no more. */
  takeStream(caller: Caller): Release;
  /** A place for one request that waits for a change. Faults: `exhausted`. */
  takeWaiter(caller: Caller): Release;
  /** Counts one request. Faults: `exhausted` when the caller's burst is used up, until the next one is due. */
  takeRequest(caller: Caller): void;
}

/** A stream or a wait may last for minutes, so nobody knows when a place is free. */
const RETRY_MS = 5_000;
/** Callers whose rate is remembered: more than any file of callers is expected to have. */
const MOST_CALLERS = 100_000;

/** Makes the limits of one replica. */
export function createLimits(
  settings: LimitSettings,
  { clock, metrics }: { readonly clock: Pick<Clock, 'now'>; readonly metrics: Pick<Metrics, 'limited' | 'level'> },
): Limits {
  const { maxStreams, maxStreamsPerCaller = maxStreams, maxWaiters, requestsPerSecond, requestBurst } = settings;
  const streams = places();
  const waiters = places();
  const requests = new LeakyLevels({ perSecond: requestsPerSecond, most: MOST_CALLERS, clock });
  metrics.level('waiters', () => waiters.all);
  metrics.level('streams', () => streams.all);

  const refuse = (limit: string, message: string, retryAfterMs: number): never => {
    metrics.limited(limit);
    throw new Fault('exhausted', message, { retryAfterMs });
  };

  return {
    takeStream({ name }) {
      if (streams.of(name) >= maxStreamsPerCaller && maxStreamsPerCaller < maxStreams) {
        refuse(
          'MAX_STREAMS_PER_CALLER',
          `you have as many streams open as you may (${maxStreamsPerCaller}); end one, or try again`,
          RETRY_MS,
        );
      }
      if (streams.all >= maxStreams) {
        refuse('MAX_STREAMS', 'all log streams of this server are in use; try again', RETRY_MS);
      }
      return streams.take(name);
    },
    takeWaiter({ name }) {
      if (waiters.all >= maxWaiters) {
        refuse(
          'MAX_WAITERS',
          'as many requests wait for a change as this server allows; try again, or without wait',
          RETRY_MS,
        );
      }
      return waiters.take(name);
    },
    takeRequest({ name }) {
      if (requestsPerSecond === 0) return;
      const waitMs = requests.msUntil(name, requestBurst - 1);
      if (waitMs > 0) {
        refuse('REQUESTS_PER_SECOND', `more than ${requestsPerSecond} requests a second; try again later`, waitMs);
      }
      requests.add(name);
    },
  };
}

/** Counts places, in all and by name; names without any are forgotten. */
function places() {
  const byName = new Map<string, number>();
  let all = 0;
  const change = (name: string, by: 1 | -1): void => {
    all += by;
    const now = (byName.get(name) ?? 0) + by;
    if (now === 0) byName.delete(name);
    else byName.set(name, now);
  };
  return {
    get all() {
      return all;
    },
    of: (name: string) => byName.get(name) ?? 0,
    take(name: string): Release {
      change(name, 1);
      let isTaken = true;
      return () => {
        if (isTaken) change(name, -1);
        isTaken = false;
      };
    },
  };
}
