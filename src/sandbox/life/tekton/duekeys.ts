/** Which keys are to be looked at, and when: each once, the earliest moment wins. */

/** A set of keys with the moments they are due. */
export class DueKeys {
  readonly #dueAt = new Map<string, number>();

  /** The key is due at `at` (milliseconds), or earlier when it already is. */
  add(key: string, at: number): void {
    const before = this.#dueAt.get(key);
    if (before === undefined || at < before) this.#dueAt.set(key, at);
  }

  /** Takes a key that is due; those that have waited longest first. */
  take(now: number): string | undefined {
    let first: string | undefined;
    let earliest = Number.POSITIVE_INFINITY;
    for (const [key, at] of this.#dueAt) {
      if (at > now || at >= earliest) continue;
      first = key;
      earliest = at;
    }
    if (first !== undefined) this.#dueAt.delete(first);
    return first;
  }

  /** When the next key is due; undefined when there is none. */
  get nextAt(): number | undefined {
    return this.#dueAt.size === 0 ? undefined : Math.min(...this.#dueAt.values());
  }
}
