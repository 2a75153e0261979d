/** The reflector cache: one `StoreWriter` (the watch), many read-only `Store`s. */
import type { Log } from '../log.ts';
import type { Kept, ObjectRef } from './objects.ts';
import { Packed, type Packing } from './packing.ts';

/** What happened to one object. A relist is told as the differences it made. */
export interface StoreChange<T extends Kept> {
  readonly type: 'added' | 'modified' | 'deleted';
  readonly object: T;
  /** As it was kept until now; undefined when it is `added`. */
  readonly before: T | undefined;
}

/** The reading side of a cache. May lag the cluster; only the watch holding its `StoreWriter` changes it. */
export interface Store<T extends Kept> {
  get(ref: ObjectRef): T | undefined;
  /** Those whose controlling owner has this uid, in no particular order. Costs what it returns, not what is kept. */
  ownedBy(uid: string): readonly T[];
  /** Every object kept, as an iterator: nothing is copied. */
  values(): IterableIterator<T>;
  readonly size: number;
  /** Calls `listener` after each change, synchronously, in order. Returns the end of the subscription; calling that twice is harmless. */
  subscribe(listener: (change: StoreChange<T>) => void): () => void;
}

/** A complete list of a scope on its way into a store. */
export interface Relisting<T extends Kept> {
  /** Puts an object of the list, as `StoreWriter.put`. */
  put(object: T): void;
  /** The list is complete: what was in the scope before and is not in the list was deleted. */
  end(): void;
}

/** The writing side. */
export interface StoreWriter<T extends Kept> {
  /**
   * Begins to swap in a complete list of one `scope` (a namespace, or '' for all), which may come in many pieces, so that
   * nothing has to hold it whole. Nothing is forgotten before its `end`; a relisting that is left off has done no harm.
   */
  relist(scope: string): Relisting<T>;
  put(object: T): void;
  /** Forgets an object. Absent: nothing happens. A different uid under the same name: nothing happens. */
  remove(object: T): void;
}

/** What a store may keep small, and how. */
export interface Resting<T extends Kept> {
  /** Whether an object is over: it will not change, and is seldom asked about. */
  isAtRest(object: T): boolean;
  readonly packing: Packing<T>;
}

/**
 * An empty cache as its two sides, so that whoever is given the one cannot use the other.
 *
 * An object is known by namespace and name, with its uid beside them: a new uid under an old name is told as
 * `deleted` and `added`, never as `modified`. The same uid with the same resourceVersion is no change. `deleted` carries
 * the object as `remove` was given it (a DELETED frame brings its last state), or as it was kept when a list lacks it.
 * Several watches may feed one store as long as their scopes do not overlap. A listener that throws is logged to `log`
 * and does not keep the others from hearing. Objects at rest are kept packed: a store with `resting` gives a new copy of
 * one each time it is asked.
 */
export function createStore<T extends Kept>(
  log: Log,
  resting?: Resting<T>,
): { readonly store: Store<T>; readonly writer: StoreWriter<T> } {
  // By namespace, then by name: the names are the objects' own, and a look-up makes no text.
  const kept = new Map<string, Map<string, Entry<T>>>();
  const byOwner = new Map<string, Entry<T>[]>();
  const listeners = new Set<{ hear(change: StoreChange<T>): void }>();
  let size = 0;

  const entryOf = ({ namespace, name }: ObjectRef): Entry<T> | undefined => kept.get(namespace)?.get(name);
  const enter = (object: T): Entry<T> => (resting?.isAtRest(object) ? resting.packing.pack(object) : object);
  // Only what `resting` has packed is Packed.
  const objectOf = (entry: Entry<T>): T =>
    entry instanceof Packed ? (resting as Resting<T>).packing.unpack(entry) : entry;
  const get = (ref: ObjectRef): T | undefined => {
    const entry = entryOf(ref);
    return entry && objectOf(entry);
  };

  const tell = (change: StoreChange<T>) => {
    for (const listener of listeners) {
      try {
        listener.hear(change);
      } catch (error) {
        log.error('store listener failed', { error: error instanceof Error ? error.message : String(error) });
      }
    }
  };

  const disown = (entry: Entry<T>, uid: string | undefined) => {
    const owned = uid === undefined ? undefined : byOwner.get(uid);
    if (uid === undefined || owned === undefined) return;
    owned.splice(owned.indexOf(entry), 1);
    if (owned.length === 0) byOwner.delete(uid);
  };

  const forget = (entry: Entry<T>, before: T, last: T) => {
    const { namespace, name, owner } = before.meta;
    const named = kept.get(namespace);
    named?.delete(name);
    if (named?.size === 0) kept.delete(namespace);
    size--;
    disown(entry, owner?.uid);
    tell({ type: 'deleted', object: last, before });
  };

  const put = (object: T) => {
    const { namespace, name, uid, resourceVersion, owner } = object.meta;
    const entryBefore = entryOf(object.meta);
    const before = entryBefore && objectOf(entryBefore);
    const same = before?.meta.uid === uid;
    if (same && before.meta.resourceVersion === resourceVersion) return;
    if (entryBefore !== undefined && before !== undefined) {
      if (same) disown(entryBefore, before.meta.owner?.uid);
      else forget(entryBefore, before, before);
    }
    const entry = enter(object);
    const named = kept.get(namespace);
    if (named === undefined) kept.set(namespace, new Map([[name, entry]]));
    else named.set(name, entry);
    if (!same) size++;
    if (owner !== undefined) {
      const owned = byOwner.get(owner.uid);
      if (owned === undefined) byOwner.set(owner.uid, [entry]);
      else if (owned.length >= FEW) owned.push(entry);
      else byOwner.set(owner.uid, owned.concat(entry)); // of just its length: `push` makes room for sixteen more
    }
    tell({ type: same ? 'modified' : 'added', object, before: same ? before : undefined });
  };

  return {
    store: {
      get,
      ownedBy: (uid) => byOwner.get(uid)?.map(objectOf) ?? [],
      *values() {
        for (const named of kept.values()) for (const entry of named.values()) yield objectOf(entry);
      },
      get size() {
        return size;
      },
      subscribe: (hear) => {
        // An object of its own: the same function may subscribe twice, and each subscription ends by itself.
        const listener = { hear };
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
    writer: {
      relist: (scope) => {
        const missing = new Set<Entry<T>>();
        for (const [namespace, named] of kept) {
          if (scope === '' || namespace === scope) for (const entry of named.values()) missing.add(entry);
        }
        return {
          put: (object) => {
            const before = entryOf(object.meta);
            if (before !== undefined) missing.delete(before);
            put(object);
          },
          end: () => {
            for (const entry of missing) {
              const object = objectOf(entry);
              if (entryOf(object.meta) === entry) forget(entry, object, object);
            }
            missing.clear();
          },
        };
      },
      put,
      remove: (object) => {
        const entry = entryOf(object.meta);
        const before = entry && objectOf(entry);
        if (entry !== undefined && before?.meta.uid === object.meta.uid) forget(entry, before, object);
      },
    },
  };
}

/** A writer that passes on the objects of some namespaces alone: for a watch of all namespaces where not all are looked after. `*`: all are. */
export function within<T extends Kept>(writer: StoreWriter<T>, served: '*' | readonly string[]): StoreWriter<T> {
  if (served === '*') return writer;
  const wanted = new Set(served);
  const only = (put: (object: T) => void) => (object: T) => {
    if (wanted.has(object.meta.namespace)) put(object);
  };
  return {
    relist: (scope) => {
      const { put, end } = writer.relist(scope);
      return { put: only(put), end };
    },
    put: only(writer.put),
    remove: only(writer.remove),
  };
}

/** Most owners have so many objects at most. */
const FEW = 8;

/** What is kept of an object: itself, or itself at rest. */
type Entry<T extends Kept> = T | Packed;

/**
 * A writer that answers for what it has put itself, so that several watches can feed one store although their selections
 * are not told apart by namespace. What two of them have put is forgotten as soon as one forgets it.
 */
export function partOf<T extends Kept>({ put, remove }: StoreWriter<T>): StoreWriter<T> {
  const own = new Map<string, T>();
  const part: StoreWriter<T> = {
    relist: () => {
      const missing = new Map(own);
      return {
        put: (object) => {
          missing.delete(object.meta.uid);
          part.put(object);
        },
        end: () => {
          for (const object of missing.values()) part.remove(object);
          missing.clear();
        },
      };
    },
    put: (object) => {
      own.set(object.meta.uid, object);
      put(object);
    },
    remove: (object) => {
      own.delete(object.meta.uid);
      remove(object);
    },
  };
  return part;
}
