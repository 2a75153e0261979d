/** Deliveries that were answered with `pending`, while what they tell of is looked for: how much is kept of them, and whether any are left. */
import type { Drawn } from './bindings.ts';

/** Room for the parameters of pending deliveries, of all listeners together. */
export interface PendingRoom {
  /** Takes room for what was drawn, to be given back when it is kept no more; undefined: there is no room for it. */
  take(drawn: Drawn): (() => void) | undefined;
  /** Resolves when all room that was taken has been given back. Never rejects. */
  empty(): Promise<void>;
}

/** Characters. A sender has no business with more, and what waits for half a minute is not to fill the memory of all others. */
const MOST_TEXT = 64 * 1024 * 1024;

/** Makes room that nothing has been taken of. */
export function createPendingRoom(mostText = MOST_TEXT): PendingRoom {
  let taken = 0;
  let takers = 0;
  const waiting: (() => void)[] = [];
  return {
    take(drawn) {
      const size = drawn
        .flatMap(({ texts }) => texts)
        .reduce((sum, text) => sum + (typeof text === 'string' ? text.length : 0), 0);
      if (taken + size > mostText) return undefined;
      taken += size;
      takers += 1;
      return () => {
        taken -= size;
        takers -= 1;
        if (takers === 0) for (const resolve of waiting.splice(0)) resolve();
      };
    },
    empty: () => new Promise((resolve) => (takers === 0 ? resolve() : void waiting.push(resolve))),
  };
}
