/** Time as an argument: the process hands in `systemClock`, tests hand in one they turn by hand. */

/** Where code that waits gets its time from. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds since some moment, on a clock that nobody sets: for distances that a corrected time of day must not change. */
  steady(): number;
  /** Resolves after `ms`, or as soon as `signal` aborts; never rejects. The caller looks at its signal afterwards. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  steady: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done, { once: true });
    }),
};
