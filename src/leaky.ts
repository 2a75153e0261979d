/** Levels that rise when something happens and leak away with time: one number per key, a bounded number of keys. */
import type { Clock } from './clock.ts';

/** How fast levels fall, and how many are kept. */
export interface LeakOptions {
  /** By how much a level falls in a second. */
  readonly perSecond: number;
  /** Keys that are kept; beyond that the one longest untouched is forgotten, as if it had leaked empty. */
  readonly most: number;
  readonly clock: Pick<Clock, 'now'>;
}

/**
 * The leaky bucket as a meter (https://en.wikipedia.org/wiki/Leaky_bucket#As_a_meter). No timers: a level is worked out
 * when somebody looks.
 */
export class LeakyLevels {
  readonly #options: LeakOptions;
  /** In the order they were last added to, so that the first is the longest untouched. */
  readonly #kept = new Map<string, { readonly level: number; readonly atMs: number }>();

  constructor(options: LeakOptions) {
    this.#options = options;
  }

  /** Where a key stands now; 0 for one that is not known. */
  level(key: string): number {
    const kept = this.#kept.get(key);
    if (kept === undefined) return 0;
    const { perSecond, clock } = this.#options;
    // A machine's clock may be set back; a level does not rise for it.
    const elapsedMs = Math.max(0, clock.now() - kept.atMs);
    return Math.max(0, kept.level - (elapsedMs / 1000) * perSecond);
  }

  /** Raises a key's level by one. */
  add(key: string): void {
    const level = this.level(key) + 1;
    this.#kept.delete(key);
    this.#kept.set(key, { level, atMs: this.#options.clock.now() });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > this.#options.most && oldest !== undefined) this.#kept.delete(oldest);
  }

  /** Takes one `add` back. */
  undo(key: string): void {
    const level = this.level(key) - 1;
    if (level <= 0) this.#kept.delete(key);
    else this.#kept.set(key, { level, atMs: this.#options.clock.now() });
  }

  /** Lets a key's level fall to 0. */
  empty(key: string): void {
    this.#kept.delete(key);
  }

  /** Milliseconds until `level` has fallen to `wanted`; 0 when it is there. */
  msUntil(key: string, wanted: number): number {
    return Math.max(0, ((this.level(key) - wanted) / this.#options.perSecond) * 1000);
  }

  /** Keys that are kept now. */
  get size(): number {
    return this.#kept.size;
  }
}
