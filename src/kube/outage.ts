/** What becomes of a reading while the API does not give what is asked for: how long it waits, what is said, when it is given up. */
import type { Clock } from '../clock.ts';

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 5_000;
/** A try that lived this long proves the way is healthy again: backoff starts over. */
const HEALTHY_MS = 10_000;
/** Shorter outages are not worth a word. */
const WORTH_TELLING_MS = 2_000;

/** What an outage needs of the reading it befalls. */
export interface OutageParts {
  readonly clock: Clock;
  /** A number in [0, 1), for jitter. */
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Asked after a failure: false gives up. */
  readonly worthRetrying: (failingForMs: number) => boolean;
  readonly notice: (notice: { readonly type: 'unreachable' } | { readonly type: 'reached' }) => void;
}

/** The outages of one reading, one after another: the first try again comes at once, later ones after 100 ms doubling to 5 s. */
export class Outage {
  readonly #parts: OutageParts;
  #backoffMs = 0;
  #failingSince: number | undefined;
  #isTold = false;

  constructor(parts: OutageParts) {
    this.#parts = parts;
  }

  /** Waits before the next try; `begun`: when the one that failed began. False: there is none. */
  async wait(begun: number, retryAfterMs = 0): Promise<boolean> {
    const { clock, random, signal, worthRetrying, notice } = this.#parts;
    const now = clock.now();
    if (now - begun >= HEALTHY_MS) this.#backoffMs = 0;
    this.#failingSince ??= now;
    const failingForMs = now - this.#failingSince;
    if (!worthRetrying(failingForMs)) return false;
    if (failingForMs >= WORTH_TELLING_MS && !this.#isTold) {
      this.#isTold = true;
      notice({ type: 'unreachable' });
    }
    const jittered = this.#backoffMs * (0.8 + 0.4 * random());
    this.#backoffMs = this.#backoffMs === 0 ? FIRST_BACKOFF_MS : Math.min(this.#backoffMs * 2, LONGEST_BACKOFF_MS);
    await clock.sleep(Math.max(jittered, retryAfterMs), signal);
    return true;
  }

  /** The last try brought something before it failed: the next one comes at once. */
  progressed(): void {
    this.#backoffMs = 0;
  }

  /** The API answers, whatever it is. */
  answered(): void {
    if (!this.#isTold) return;
    this.#isTold = false;
    this.#parts.notice({ type: 'reached' });
  }

  /** The API has given what was asked for: what failed before is over. */
  over(): void {
    this.#failingSince = undefined;
    this.answered();
  }
}
