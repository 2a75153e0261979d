/** Work that several callers wait for: it is done once, and given up when the last of them has gone. */

/** Work under way, or done. */
export class SharedWork<T> {
  readonly #result: Promise<T>;
  readonly #over = new AbortController();
  #readers = 0;

  /** Begins at once, with nobody to wait for it yet. `work` is handed the signal that gives it up. */
  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.#result = work(this.#over.signal);
    this.#result.catch(() => {}); // heard by those who read; there may be none
  }

  /** Whether it was given up: nobody may join any more. */
  get isGivenUp(): boolean {
    return this.#over.signal.aborted;
  }

  /** Calls `listener` when the work has failed. */
  onFailure(listener: () => void): void {
    this.#result.catch(listener);
  }

  /** The result, for one of those who wait. Rejects with what the work rejects with, or with the reason of `signal`. */
  async read(signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    this.#readers += 1;
    const left = Promise.withResolvers<never>();
    const leave = (): void => {
      this.#readers -= 1;
      if (this.#readers === 0) this.#over.abort();
      left.reject(signal.reason);
    };
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([this.#result, left.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }
}
