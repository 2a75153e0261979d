/** Keys in the order in which they fall due: a binary heap that knows where each key is, so that one can come earlier or be taken out. */

interface Waiting<T> {
  readonly id: string;
  readonly value: T;
  at: number;
  /** Of those due at the same moment the one that came first is first. */
  readonly order: number;
  place: number;
}

/** A queue of values by `id`, each due once, at a time in any unit. Every change costs the logarithm of its size. */
export class DueQueue<T> {
  readonly #heap: Waiting<T>[] = [];
  readonly #byId = new Map<string, Waiting<T>>();
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** When the first falls due. */
  get nextAt(): number | undefined {
    return this.#heap[0]?.at;
  }

  /** Puts `value` in. One that is in already stays as it is, or comes at `at` if that is earlier. */
  add(id: string, value: T, at: number): void {
    const known = this.#byId.get(id);
    if (known === undefined) {
      const waiting = { id, value, at, order: this.#order++, place: this.#heap.length };
      this.#byId.set(id, waiting);
      this.#heap.push(waiting);
      this.#rise(waiting);
    } else if (at < known.at) {
      known.at = at;
      this.#rise(known);
    }
  }

  /** Whether `id` is in, and due at `now`. */
  isDue(id: string, now: number): boolean {
    const known = this.#byId.get(id);
    return known !== undefined && known.at <= now;
  }

  /** Takes out the first of those due at `now`; undefined: none is. */
  take(now: number): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return undefined;
    this.#remove(first);
    return first.value;
  }

  /** Takes `id` out. Not in: nothing happens. */
  delete(id: string): void {
    const known = this.#byId.get(id);
    if (known !== undefined) this.#remove(known);
  }

  clear(): void {
    this.#heap.length = 0;
    this.#byId.clear();
  }

  /** How many are due at `now`. Costs what it counts. */
  countDue(now: number, place = 0): number {
    const waiting = this.#heap[place];
    if (waiting === undefined || waiting.at > now) return 0;
    return 1 + this.countDue(now, 2 * place + 1) + this.countDue(now, 2 * place + 2);
  }

  #remove(waiting: Waiting<T>): void {
    this.#byId.delete(waiting.id);
    const last = this.#heap.pop();
    if (last === undefined || last === waiting) return;
    this.#put(last, waiting.place);
    this.#rise(last);
    this.#sink(last);
  }

  #rise(waiting: Waiting<T>): void {
    while (waiting.place > 0) {
      const above = this.#heap[(waiting.place - 1) >> 1];
      if (above === undefined || isBefore(above, waiting)) return;
      this.#swap(waiting, above);
    }
  }

  #sink(waiting: Waiting<T>): void {
    for (;;) {
      const left = this.#heap[2 * waiting.place + 1];
      const right = this.#heap[2 * waiting.place + 2];
      const below = left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
      if (below === undefined || isBefore(waiting, below)) return;
      this.#swap(waiting, below);
    }
  }

  #swap(one: Waiting<T>, other: Waiting<T>): void {
    const { place } = one;
    this.#put(one, other.place);
    this.#put(other, place);
  }

  #put(waiting: Waiting<T>, place: number): void {
    waiting.place = place;
    this.#heap[place] = waiting;
  }
}

function isBefore<T>(one: Waiting<T>, other: Waiting<T>): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
