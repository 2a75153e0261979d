/** The reflector cache: one `StoreWriter` (the watch), many read-only `Store`s. */
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
