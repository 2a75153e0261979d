/** What was made of texts, so that it is not made again for each that asks. */

/** What was made of texts, as far as there is room for the texts; what was not asked for longest is forgotten first. */
export class Kept<Made> {
  readonly #made = new Map<string, Made>();
  readonly #mostText: number;
  #length = 0;

  /** `mostText`: how many characters of texts are kept at most, or the last one. */
  constructor(mostText: number) {
    this.#mostText = mostText;
  }

  /** Whether something is kept of `text`, undefined included. */
  has(text: string): boolean {
    return this.#made.has(text);
  }

  /** What is kept of `text`, or what `make` makes of it, which is kept from then on. */
  of(text: string, make: () => Made): Made {
    const isKept = this.#made.has(text);
    const made = isKept ? (this.#made.get(text) as Made) : make(); // which is there, even where it is undefined
    // Taken out and put in again, the one that was not asked for longest is the first.
    this.#made.delete(text);
    this.#made.set(text, made);
    if (!isKept) this.#length += text.length;
    for (const oldest of this.#made.keys()) {
      if (this.#length <= this.#mostText || oldest === text) break;
      this.#made.delete(oldest);
      this.#length -= oldest.length;
    }
    return made;
  }
}
