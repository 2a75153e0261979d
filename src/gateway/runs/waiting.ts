/** Answers that are not ready yet: one deadline, and an end for callers who have gone and for a process that stops. */
import type { Request, Response } from 'express';
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import type { ObjectRef } from '../../kube/objects.ts';
import type { PipelineRun, TaskRun } from '../../tekton/types.ts';
import type { Limits } from '../callers/limits.ts';
import { onAbort } from '../drain.ts';
import { changed, type Finder, findWithin, type Waiting } from '../facts/gather.ts';
import { callerOf } from '../notes.ts';

/** What waiting needs. */
export interface WaitingParts {
  readonly clock: Clock;
  readonly limits: Pick<Limits, 'takeWaiter'>;
  /** Aborts when this process is stopping. */
  readonly draining: AbortSignal;
}

/**
 * Does `work` with the caller's patience, which lasts for `seconds` from now, until they hang up or this process stops.
 * Takes a waiter's place for that time. Faults: `exhausted` when there is none; whatever `work` throws.
 */
export async function patiently<T>(
  request: Request,
  response: Response,
  seconds: number,
  { clock, limits, draining }: WaitingParts,
  work: (waiting: Waiting) => Promise<T>,
): Promise<T> {
  const release = limits.takeWaiter(callerOf(request));
  const over = new AbortController();
  const stop = () => over.abort();
  response.once('close', stop);
  const unheard = onAbort(draining, stop);
  if (draining.aborted) stop();
  const untilMs = clock.now() + seconds * 1000;
  try {
    return await work({
      get forMs() {
        // A clock that is set back makes nobody wait longer than they asked to.
        return Math.min(seconds * 1000, Math.max(0, untilMs - clock.now()));
      },
      sleep: (ms, signal) => clock.sleep(ms, signal),
      signal: over.signal,
    });
  } finally {
    release();
    response.off('close', stop);
    unheard();
  }
}

/** How waiting for an object ended: as it is now, or gone, as it was last. */
export interface Waited<T> {
  readonly object: T;
  readonly isDeleted: boolean;
}

/**
 * Waits for an object to be created, then until it `isNews` or is deleted; when the time is over it resolves with the object
 * as it is then. Faults: as `findWithin`; `draining` when the waiting
 * was ended before anything was worth telling.
 */
export async function waitedFor<T extends PipelineRun | TaskRun>(
  finder: Finder<T>,
  ref: ObjectRef,
  waiting: Waiting,
  isNews: (object: T) => boolean,
): Promise<Waited<T>> {
  let latest = await findWithin(finder, ref, waiting);
  const { uid } = latest.meta;
  // Found by a GET, it may not be in the store yet, which does not mean that it was deleted.
  let wasKnown = false;
  const isWorthTelling = () => {
    const now = finder.known(ref);
    wasKnown ||= now !== undefined;
    if (now?.meta.uid !== uid && wasKnown) return true;
    latest = now ?? latest;
    return isNews(latest);
  };
  const isTold = await changed(finder, ref, waiting, isWorthTelling);
  if (wasKnown && finder.known(ref) === undefined) return { object: latest, isDeleted: true };
  if (!isTold && waiting.signal.aborted) throw new Fault('draining', 'this replica is stopping; ask again');
  return { object: await finder.find(ref), isDeleted: false };
}
