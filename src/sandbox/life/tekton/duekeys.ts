/** Which keys are to be looked at, and when: each once, the earliest moment wins. */

/** Keys with the moments (in milliseconds) that they are due at. */
export class DueKeys {
  /** Those that are due, in the order in which they became so. */
  readonly #ready = new Set<string>();
  readonly #later = new Map<string, number>();
  /** The earliest moment in `#later`, or an earlier one: taking a key away does not move it. */
  #next = Number.POSITIVE_INFINITY;

  /** The key is due at `at`, or earlier when it already is. */
  add(key: string, at: number): void {
    if (this.#ready.has(key) || at >= (this.#later.get(key) ?? Number.POSITIVE_INFINITY)) return;
    this.#later.set(key, at);
    this.#next = Math.min(this.#next, at);
  }

  /** Takes a key that is due, the one that has been due longest. */
  take(now: number): string | undefined {
    this.#ripen(now);
    const [key] = this.#ready;
    if (key !== undefined) this.#ready.delete(key);
    return key;
  }

  /** When the next key is due: in the past when one is already, undefined when there is none. */
  get nextAt(): number | undefined {
    if (this.#ready.size > 0) return Number.NEGATIVE_INFINITY;
    return this.#later.size === 0 ? undefined : this.#next;
  }

  #ripen(now: number): void {
    if (this.#next > now) return;
    const ripe = [...this.#later].filter(([, at]) => at <= now).sort(([, a], [, b]) => a - b);
    for (const [key] of ripe) {
      this.#later.delete(key);
      this.#ready.add(key);
    }
    this.#next = Math.min(...this.#later.values());
  }
}
