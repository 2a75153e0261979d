/** One timer for the many who look at the clock every now and then: a timer each would be much of what an idle stream costs. */
import type { Clock } from '../../clock.ts';

/** Looks are spread over so many moments of a round, so that a thousand of them do not hold everything else up at once. */
const MOMENTS = 10;

/** Somebody who looks. An object of its own: each leaves by itself. */
interface Looker {
  readonly look: () => void;
}

/** Calls whoever joins once in each round. No timer runs while nobody has joined. */
export class Ticker {
  readonly #clock: Clock;
  readonly #roundMs: number;
  readonly #moments: readonly Set<Looker>[] = Array.from({ length: MOMENTS }, () => new Set<Looker>());
  #moment = 0;
  #lookers = 0;
  #running = new AbortController();

  constructor(clock: Clock, roundMs: number) {
    this.#clock = clock;
    this.#roundMs = roundMs;
  }

  /**
   * Calls `look`, which must not throw, once in each round: for the first time in nine tenths of one at the soonest, and in a
   * whole one at the latest. Returns the end of that; calling it twice is harmless.
   */
  join(look: () => void): () => void {
    const looker: Looker = { look };
    // The moment that has just passed is the one that is farthest away.
    const moment = this.#moments[this.#moment];
    moment?.add(looker);
    this.#lookers += 1;
    if (this.#lookers === 1) void this.#run();
    return () => {
      if (moment?.delete(looker) !== true) return;
      this.#lookers -= 1;
      if (this.#lookers === 0) this.#running.abort();
    };
  }

  async #run(): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    for (;;) {
      await this.#clock.sleep(this.#roundMs / MOMENTS, running.signal);
      if (running.signal.aborted) return;
      this.#moment = (this.#moment + 1) % MOMENTS;
      for (const { look } of this.#moments[this.#moment] ?? []) look();
    }
  }
}
