/** A bell for those who wait until something may have changed. */

/** Rings whoever waits. What changed is for them to see. */
export interface Changes {
  ring(): void;
  /** Resolves with the next ring, or when `signal` aborts; never rejects. */
  next(signal: AbortSignal): Promise<void>;
}

/** A bell that nobody waits for yet. */
export function createChanges(): Changes {
  let rung = Promise.withResolvers<void>();
  return {
    ring() {
      const before = rung;
      rung = Promise.withResolvers<void>();
      before.resolve();
    },
    async next(signal) {
      if (signal.aborted) return;
      const aborted = Promise.withResolvers<void>();
      const abort = () => aborted.resolve();
      signal.addEventListener('abort', abort, { once: true });
      await Promise.race([rung.promise, aborted.promise]);
      signal.removeEventListener('abort', abort);
    },
  };
}
