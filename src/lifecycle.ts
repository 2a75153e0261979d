/** The life of the process as a list: started downwards, stopped upwards. */
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';

/** One thing that starts and stops. Each part may rely on every part above it in the list. */
export interface Part {
  readonly name: string;
  /** Resolves when the parts below may rely on it; rejects when the process should not go on. */
  start(): Promise<void>;
  /**
   * Ends everything `start` began; may be called while `start` is still pending. `signal` aborts when the deadline has
   * passed or a person hurries: let go at once then.
   */
  stop(signal: AbortSignal): Promise<void>;
}

/** When and how long to stop, and who is told. */
export interface LifeOptions {
  /** Aborts when the process should end. */
  readonly stop: AbortSignal;
  /** Aborts when it should end at once: a second signal. */
  readonly hurry: AbortSignal;
  /** How long all parts together may take to stop before they are told to let go. */
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** A part told to let go gets this long before it is left behind. */
const LET_GO_MS = 2_000;

/**
 * Starts `parts` down the list, waits for `stop`, and stops them up the list, one after another.
 * A part that fails to start stops those above it, and its error is what this rejects with; a `stop` that comes while a
 * part is starting stops that part too. A part that fails to stop is logged and does not keep the others from stopping.
 */
export async function runParts(parts: readonly Part[], life: LifeOptions): Promise<void> {
  const started: Part[] = [];
  try {
    for (const part of parts) {
      if (life.stop.aborted) break;
      started.push(part); // before it has: a stop that comes meanwhile must reach it
      const starting = part.start();
      starting.catch(() => {}); // where the stop came first, nobody waits for this start any more
      await Promise.race([starting, aborted(life.stop)]);
    }
  } catch (error) {
    started.pop();
    await stopParts(started, life);
    throw error;
  }
  await aborted(life.stop);
  await stopParts(started, life);
}

/**
 * Parts as one part: `make` is called when it starts, so that they may be made of what the parts above have found by
 * then. Started down, stopped up; when one fails to start, those above it are stopped and its error is the group's.
 * A `stop` while it starts stops what has begun, and starts nothing more.
 */
export function group(name: string, make: () => Promise<readonly Part[]> | readonly Part[]): Part {
  const stop = new AbortController();
  const begun: Part[] = [];
  let stopping: Promise<void> | undefined;
  const stopAll = (signal: AbortSignal) => {
    stop.abort();
    stopping ??= (async () => {
      const failures: unknown[] = [];
      for (const part of begun.toReversed()) await part.stop(signal).catch((error: unknown) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    })();
    return stopping;
  };
  return {
    name,
    async start() {
      for (const part of await make()) {
        if (stop.signal.aborted) return;
        begun.push(part);
        try {
          await part.start();
        } catch (error) {
          begun.pop();
          await stopAll(AbortSignal.timeout(LET_GO_MS)).catch(() => {}); // why it did not start is what matters
          throw error;
        }
      }
    },
    stop: stopAll,
  };
}

/** The same part, but a stop that comes while it starts waits for that: what starts on would undo what stop has done. */
export function stopAfterStart(part: Part): Part {
  let starting: Promise<void> | undefined;
  return {
    name: part.name,
    start() {
      starting = part.start();
      return starting;
    },
    async stop(signal) {
      await starting?.catch(() => {}); // whoever started it is told
      await part.stop(signal);
    },
  };
}

async function stopParts(started: readonly Part[], { hurry, deadlineMs, clock, log }: LifeOptions): Promise<void> {
  const over = new AbortController();
  const deadline = new AbortController();
  void clock.sleep(deadlineMs, over.signal).then(() => deadline.abort());
  const letGo = AbortSignal.any([hurry, deadline.signal]);
  for (const part of started.toReversed()) {
    const stopping = part.stop(letGo).catch((error: unknown) => {
      log.error('a part failed to stop', { part: part.name, error: String(error) });
    });
    const tooLate = aborted(letGo).then(async () => {
      await clock.sleep(LET_GO_MS, over.signal);
      return 'too late' as const;
    });
    if ((await Promise.race([stopping, tooLate])) === 'too late') {
      log.warn('a part was left behind', { part: part.name });
    }
  }
  over.abort();
}

/** Resolves when `signal` has aborted. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
