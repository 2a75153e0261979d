/**
 * One watch that several stores live on, each keeping its own part of every object: who comes second costs the API server
 * nothing.
 */
import { type JsonObject, type Kept, projectMeta } from './objects.ts';
import type { Relisting, StoreWriter } from './store.ts';
import type { Watch } from './watch.ts';

/** A store as a watch fills it: what is kept of an object, and where. */
export interface Feed<T extends Kept> {
  /** Only what it returns is kept. It must not throw: the object would be missing in the other stores as well. */
  readonly project: (raw: JsonObject) => T;
  readonly writer: StoreWriter<T>;
}

/** Watches of one kind, which belong to somebody else, for whoever wants to keep objects of it too. */
export interface SharedWatches {
  /** Fills another store as well. Before the watches are started: what they had listed would never come. Throws after. */
  join(feed: Feed<Kept>): void;
  /** One for each scope; none before they are started. Only their owner stops them. */
  watches(): readonly Watch[];
}

/** An object on its way into several stores: what each keeps of it, in their order. */
export interface Fed extends Kept {
  readonly parts: readonly Kept[];
}

/** Several feeds as the one that a watch wants. An object is put into all stores in the same turn, in the order of the feeds. */
export function together(feeds: readonly Feed<Kept>[]): Feed<Fed> {
  const each = (act: (writer: StoreWriter<Kept>, part: Kept) => void) => (fed: Fed) => {
    for (const [place, { writer }] of feeds.entries()) {
      const part = fed.parts[place];
      if (part !== undefined) act(writer, part);
    }
  };
  return {
    project: (raw) => ({ meta: projectMeta(raw), parts: feeds.map(({ project }) => project(raw)) }),
    writer: {
      relist: (scope) => {
        const relistings = new Map<StoreWriter<Kept>, Relisting<Kept>>(
          feeds.map(({ writer }) => [writer, writer.relist(scope)]),
        );
        return {
          put: each((writer, part) => relistings.get(writer)?.put(part)),
          end: () => {
            for (const relisting of relistings.values()) relisting.end();
          },
        };
      },
      put: each((writer, part) => writer.put(part)),
      remove: each((writer, part) => writer.remove(part)),
    },
  };
}
