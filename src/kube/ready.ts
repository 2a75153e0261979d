/** Whether the stores may be answered from: what GET /ready shows, and why a lookup is refused. */
import type { Watch } from './watch.ts';

/** Where a watch is: before its first list, current, or out of touch for too long. */
export interface WatchReadiness {
  /** The resource, and its namespace where the watch is of one: `pods`, `pods in ci`. */
  readonly name: string;
  readonly state: 'listing' | 'current' | 'stale';
  /** For how long the store may have missed something, once it has been listed. */
  readonly ageSeconds?: number;
  /** What keeps it from being current, or has begun to. */
  readonly message?: string;
}

/** Whether what is kept can be answered from, and each watch that fills it. */
export interface Readiness {
  readonly ready: boolean;
  readonly watches: readonly WatchReadiness[];
}

/** A store whose watch is out of touch for longer does not answer any more. */
export const STALE_MS = 60_000;

/**
 * Where each of `watches` is at `now` (milliseconds since the epoch); ready when all are current. A namespace that we may not read
 * (any longer) is no reason to answer nobody of the others: whoever deletes a namespace of many must not take the rest along.
 */
export function readiness(
  watches: readonly Pick<Watch, 'resource' | 'scope' | 'listed' | 'staleMs' | 'absent' | 'problem'>[],
  now: number,
): Readiness {
  const judged = watches.map((watch): WatchReadiness => {
    const { resource, scope } = watch;
    const name = scope === '' ? resource : `${resource} in ${scope}`;
    const problem = watch.problem();
    const message = problem === undefined ? {} : { message: problem.message };
    if (!watch.listed()) return { name, state: 'listing', ...message };
    const staleMs = watch.staleMs(now);
    const ageSeconds = Math.round(staleMs / 1_000);
    return { name, state: staleMs > STALE_MS ? 'stale' : 'current', ageSeconds, ...message };
  });
  const isCurrent = judged.map(({ state }) => state === 'current');
  const isClosed = watches.map(
    ({ scope, absent, problem }) => scope !== '' && !absent() && problem()?.code === 'refused',
  );
  const isAny = judged.length === 0 || isCurrent.includes(true);
  return { ready: isAny && isCurrent.every((current, at) => current || isClosed[at]), watches: judged };
}
