/** Time that stands still until a test turns it. */
import type { Clock } from '../../src/clock.ts';

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/** A clock turned by hand, from `startMs` on. */
export class HandClock implements Clock {
  #now: number;
  #correctionMs = 0;
  #sleepers: Sleeper[] = [];

  constructor(startMs = Date.parse('2026-11-01T10:00:00Z')) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now + this.#correctionMs;
  }

  steady(): number {
    return this.#now;
  }

  /** Sets the time of day forward by `ms`, or back; nobody wakes of it. */
  correct(ms: number): void {
    this.#correctionMs += ms;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const sleeper: Sleeper = {
        at: this.#now + ms,
        wake: () => {
          this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
          signal?.removeEventListener('abort', sleeper.wake);
          resolve();
        },
      };
      signal?.addEventListener('abort', sleeper.wake, { once: true });
      this.#sleepers.push(sleeper);
    });
  }

  /** How many sleep now: 0 after everything ended proves that no timer leaked. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** Lets everything that can run now run, without moving time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Moves time on by `ms`, waking sleepers one after another at their own moments. */
  async turn(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (;;) {
      const next = this.#sleepers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#now = Math.max(this.#now, next.at);
      next.wake();
      await this.settle();
    }
    this.#now = end;
  }
}
