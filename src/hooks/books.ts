/** One book out of those of several kinds: where two have a hook of one name, the first has it. */
import type { ObjectRef } from '../kube/objects.ts';
import type { Found, Hook, HookBook } from './hook.ts';

/** Objects that were told that another has their hook. */
const MOST_TOLD = 1_000;

/**
 * Joins books, the one that wins first. Whatever is found behind another of the same name is told so once, as a Warning of its
 * object: strangers can ask for hooks as often as they like.
 */
export function joinBooks(books: readonly HookBook[]): HookBook {
  const told = new Set<string>();
  const tellOnce = (winner: Hook, loser: Hook): void => {
    if (told.has(loser.uid)) return;
    if (told.size >= MOST_TOLD) told.clear();
    told.add(loser.uid);
    const { namespace, name } = loser.ref;
    const message = `/hooks/${namespace}/${name} is the hook of the ${winner.kind} of this name: nothing comes to this ${loser.kind}. Rename one of them.`;
    loser.tell('Warning', 'HookTaken', message);
  };

  const choose = (founds: readonly Found[]): Found => {
    let winner: Hook | undefined;
    for (const found of founds) {
      if (winner === undefined && found === 'waiting') return 'waiting'; // it may turn out to have the hook
      if (found === undefined || found === 'waiting') continue;
      if (winner === undefined) winner = found;
      else tellOnce(winner, found);
    }
    return winner;
  };

  return {
    find(ref: ObjectRef) {
      const founds = books.map((book) => book.find(ref));
      return founds.every(isThere) ? choose(founds) : Promise.all(founds).then(choose);
    },
  };
}

function isThere(found: ReturnType<HookBook['find']>): found is Found {
  return !(found instanceof Promise);
}
