/** The reflector cache: one `StoreWriter` (the watch), many read-only `Store`s. */
import type { Log } from '../log.ts';
import type { Kept, ObjectRef } from './objects.ts';

/** What happened to one object. A relist is told as the differences it made. */
export interface StoreChange<T extends Kept> {
  readonly type: 'added' | 'modified' | 'deleted';
  readonly object: T;
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

/** The writing side. */
export interface StoreWriter<T extends Kept> {
  /** Swaps in a complete list of one `scope` (a namespace, or '' for all): what is missing from it was deleted. */
  replace(scope: string, objects: readonly T[]): void;
  put(object: T): void;
  /** Forgets an object. Absent: nothing happens. A different uid under the same name: nothing happens. */
  remove(object: T): void;
}

/**
 * An empty cache as its two sides, so that whoever is given the one cannot use the other.
 *
 * An object is known by namespace and name, with its uid beside them: a new uid under an old name is told as
 * `deleted` and `added`, never as `modified`. The same uid with the same resourceVersion is no change. `deleted` carries
 * the object as `remove` was given it (a DELETED frame brings its last state), or as it was kept when a list lacks it.
 * Several watches may feed one store as long as their scopes do not overlap. A listener that throws is logged to `log`
 * and does not keep the others from hearing.
 */
export function createStore<T extends Kept>(log: Log): { readonly store: Store<T>; readonly writer: StoreWriter<T> } {
  const kept = new Map<string, T>();
  const byOwner = new Map<string, Map<string, T>>();
  const listeners = new Set<{ hear(change: StoreChange<T>): void }>();

  const tell = (type: StoreChange<T>['type'], object: T) => {
    for (const listener of listeners) {
      try {
        listener.hear({ type, object });
      } catch (error) {
        log.error('store listener failed', { error: error instanceof Error ? error.message : String(error) });
      }
    }
  };

  const disown = (key: string, object: T) => {
    const uid = object.meta.owner?.uid;
    if (uid === undefined) return;
    const owned = byOwner.get(uid);
    owned?.delete(key);
    if (owned?.size === 0) byOwner.delete(uid);
  };

  const forget = (key: string, before: T, last: T) => {
    kept.delete(key);
    disown(key, before);
    tell('deleted', last);
  };

  const put = (object: T) => {
    const key = keyOf(object.meta);
    const before = kept.get(key);
    const same = before?.meta.uid === object.meta.uid;
    if (same && before.meta.resourceVersion === object.meta.resourceVersion) return;
    if (before !== undefined) {
      if (same) disown(key, before);
      else forget(key, before, before);
    }
    kept.set(key, object);
    const uid = object.meta.owner?.uid;
    if (uid !== undefined) {
      const owned = byOwner.get(uid);
      if (owned === undefined) byOwner.set(uid, new Map([[key, object]]));
      else owned.set(key, object);
    }
    tell(same ? 'modified' : 'added', object);
  };

  return {
    store: {
      get: (ref) => kept.get(keyOf(ref)),
      ownedBy: (uid) => [...(byOwner.get(uid)?.values() ?? [])],
      values: () => kept.values(),
      get size() {
        return kept.size;
      },
      subscribe: (hear) => {
        // An object of its own: the same function may subscribe twice, and each subscription ends by itself.
        const listener = { hear };
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
    writer: {
      replace: (scope, objects) => {
        const listed = new Set(objects.map((object) => keyOf(object.meta)));
        // Deletions first: whoever counts objects never sees more than there ever were.
        for (const [key, object] of kept) {
          if ((scope === '' || object.meta.namespace === scope) && !listed.has(key)) forget(key, object, object);
        }
        for (const object of objects) put(object);
      },
      put,
      remove: (object) => {
        const key = keyOf(object.meta);
        const before = kept.get(key);
        if (before !== undefined && before.meta.uid === object.meta.uid) forget(key, before, object);
      },
    },
  };
}

/** Neither part can hold a slash, so two objects never share a key. */
function keyOf(ref: ObjectRef): string {
  return `${ref.namespace}/${ref.name}`;
}
