/** Chance that can be had again: the same seed throws the same dice. */

/** Throws that follow from a seed. */
export interface Dice {
  /** At least 0, below 1. */
  next(): number;
  /** A whole number from `from` to `to`, both included. */
  whole(from: number, to: number): number;
  /** One of `of`, which has at least one. */
  pick<T>(of: readonly [T, ...T[]] | readonly T[]): T;
  /** All of `of` in another order. */
  shuffled<T>(of: readonly T[]): T[];
}

/** Dice for a seed, which is a whole number. Marsaglia's xorshift (https://doi.org/10.18637/jss.v008.i14). */
export function diceOf(seed: number): Dice {
  // Never 0, where xorshift would stay; and not the seed itself, whose first throws are small when it is.
  let state = (Math.imul(seed | 0, 0x9e3779b1) ^ 0x5bd1e995) | 0 || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  const whole = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));
  return {
    next,
    whole,
    pick: (of) => {
      const [found] = of.slice(whole(0, of.length - 1));
      if (found === undefined) throw new Error('there is nothing to pick from');
      return found;
    },
    shuffled: (of) => {
      const all = [...of];
      for (let at = all.length - 1; at > 0; at--) {
        const other = whole(0, at);
        [all[at], all[other]] = [all[other], all[at]] as [(typeof all)[number], (typeof all)[number]]; // both are places of it
      }
      return all;
    },
  };
}

/** What to do in each of so many seconds: all of `kinds` in some order, then all of them in another, and so on. */
export function planOf<T>(kinds: readonly T[], seconds: number, dice: Dice): T[] {
  const plan: T[] = [];
  while (plan.length < seconds) plan.push(...dice.shuffled(kinds));
  return plan.slice(0, seconds);
}
