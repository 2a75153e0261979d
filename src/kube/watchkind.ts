/** Watches of a kind in whatever version the cluster serves it. */
import type { Discovery, Wanted } from './discovery.ts';
import type { Kept } from './objects.ts';
import { startWatch, type Watch, type WatchParts } from './watch.ts';

/** What such a watch needs besides: all that does not follow from the kind and the scope. */
export type KindWatchParts<T extends Kept> = Omit<WatchParts<T>, 'path' | 'doubt' | 'resource' | 'scope'>;

/** Starts a watch of `kind` in a namespace, or in all for ''. `versions` is asked for its path, and doubted where that proved wrong. */
export function watchKind<T extends Kept>(
  kind: Wanted,
  scope: string,
  versions: Discovery,
  parts: KindWatchParts<T>,
): Watch {
  return startWatch({
    ...parts,
    path: () => versions.pathOf(kind, scope),
    doubt: () => versions.doubt(kind.group),
    resource: kind.resource,
    scope,
  });
}
