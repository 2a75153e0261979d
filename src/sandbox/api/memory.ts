/**
 * Where the objects are: collections by group and plural, one resourceVersion for all of them, and the latest changes of
 * each, so that a watch can go on where another one ended and a list can be continued as it was.
 *
 * The memory knows no rules. Whether an object may be written is for `verbs.ts` to say.
 */
import type { KubeObject } from '../object.ts';
import { expired } from '../status.ts';
import { inOrder } from './metadata.ts';

/** One change of one collection. Objects are in the storage version. */
export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly resourceVersion: number;
  /** As it is now; after a deletion as it last was, at the resourceVersion of its deletion. */
  readonly object: KubeObject;
  /** As it was before; undefined for a new one. */
  readonly previous: KubeObject | undefined;
}

/** Told of every change as it happens, within the write. Must not throw and must not write. */
export type ChangeListener = (collection: Collection, change: Change) => void;

/** Everything that is stored, as JSON. */
export interface Snapshot {
  readonly resourceVersion: number;
  readonly collections: readonly { readonly group: string; readonly plural: string; readonly objects: KubeObject[] }[];
}

/** How many changes each collection remembers unless told otherwise. */
export const DEFAULT_HISTORY = 10_000;

/** All collections. */
export class Memory {
  readonly #history: number;
  readonly #collections = new Map<string, Collection>();
  readonly #version: Version = { now: 1 };
  readonly #listeners = new Set<ChangeListener>();

  constructor({ history = DEFAULT_HISTORY }: { history?: number } = {}) {
    this.#history = history;
  }

  /** The resourceVersion of the latest change anywhere. */
  get resourceVersion(): number {
    return this.#version.now;
  }

  /** The objects of one kind. An unknown one begins empty, and remembers changes from now on. */
  collection(group: string, plural: string): Collection {
    const key = `${plural}.${group}`;
    const known = this.#collections.get(key);
    if (known !== undefined) return known;
    const listeners = this.#listeners;
    const collection = new Collection({ group, plural, history: this.#history, version: this.#version, listeners });
    this.#collections.set(key, collection);
    return collection;
  }

  /** Every collection that was ever asked for. */
  collections(): Iterable<Collection> {
    return this.#collections.values();
  }

  /** Tells `listener` of every change of every collection, until the answer is called. */
  listen(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Puts back what an earlier process has left, into a memory of which nobody has asked anything yet. Nobody is told. */
  restore({ resourceVersion, collections }: Snapshot): void {
    this.#version.now = Math.max(this.#version.now, resourceVersion);
    for (const { group, plural, objects } of collections) this.collection(group, plural).restore(objects);
  }

  /** What a later process needs to go on from here. */
  snapshot(): Snapshot {
    return {
      resourceVersion: this.resourceVersion,
      collections: [...this.#collections.values()]
        .map(({ group, plural, objects }) => ({ group, plural, objects: objects() }))
        .filter(({ objects }) => objects.length > 0),
    };
  }
}

/** The counter that all collections share. */
interface Version {
  now: number;
}

interface CollectionParts {
  readonly group: string;
  readonly plural: string;
  readonly history: number;
  readonly version: Version;
  readonly listeners: ReadonlySet<ChangeListener>;
}

/** The objects of one kind, in all namespaces. */
export class Collection {
  readonly group: string;
  readonly plural: string;
  readonly #history: number;
  readonly #version: Version;
  readonly #objects = new Map<string, KubeObject>();
  /** The keys in order; undefined after a change that may have disturbed it. */
  #order: string[] | undefined = [];
  #changes: Change[] = [];
  /** How many changes were forgotten: the place in history of the first one that is still known. */
  #forgotten = 0;
  /** What happened up to and including this version can no longer be told. */
  #forgottenVersion: number;
  readonly #listeners: ReadonlySet<ChangeListener>;
  readonly #watchers = new Set<() => void>();
  #waking = false;

  constructor(given: CollectionParts) {
    this.group = given.group;
    this.plural = given.plural;
    this.#history = given.history;
    this.#version = given.version;
    this.#listeners = given.listeners;
    this.#forgottenVersion = given.version.now;
  }

  /** The resourceVersion of the latest change anywhere: a list of this collection is true to it. */
  get resourceVersion(): number {
    return this.#version.now;
  }

  /** How many objects there are. */
  get size(): number {
    return this.#objects.size;
  }

  /** `namespace` is '' for kinds that are not namespaced. */
  get(namespace: string, name: string): KubeObject | undefined {
    return this.#objects.get(keyOf(namespace, name));
  }

  /** In order of their keys; of all namespaces when `namespace` is undefined. */
  readonly objects = (namespace?: string): KubeObject[] => {
    const keys = this.#keys();
    if (namespace === undefined) return keys.map((key) => this.#objects.get(key) as KubeObject); // every key has one
    const prefix = keyOf(namespace, '');
    const found: KubeObject[] = [];
    for (let place = firstAtLeast(keys, prefix); place < keys.length; place++) {
      const key = keys[place] as string;
      if (!key.startsWith(prefix)) break;
      found.push(this.#objects.get(key) as KubeObject);
    }
    return found;
  };

  /** The same as they were at an earlier resourceVersion. Throws a 410 StatusError when that is not known any more. */
  objectsAt(resourceVersion: number, namespace?: string): KubeObject[] {
    if (resourceVersion >= this.#version.now) return this.objects(namespace);
    const later = this.#changes.slice(this.#placeAfter(resourceVersion));
    if (resourceVersion < this.#forgottenVersion) {
      throw expired('The resourceVersion for the provided list is too old.');
    }
    if (later.length === 0) return this.objects(namespace);
    const before = new Map<string, KubeObject | undefined>();
    for (const { object, previous } of later) {
      const key = objectKey(object);
      if (!before.has(key)) before.set(key, previous);
    }
    const kept = this.objects(namespace).filter((object) => !before.has(objectKey(object)));
    for (const object of before.values()) {
      if (object !== undefined && (namespace ?? object.metadata.namespace) === object.metadata.namespace)
        kept.push(object);
    }
    return kept.sort((a, b) => (objectKey(a) < objectKey(b) ? -1 : 1));
  }

  /** Creates or replaces, and answers the object with its new resourceVersion. It must not be changed from now on. */
  put(object: KubeObject): KubeObject {
    const key = objectKey(object);
    const previous = this.#objects.get(key);
    const stored = this.#stamp(object);
    this.#objects.set(key, stored);
    if (previous === undefined) this.#insertKey(key);
    this.#remember(previous === undefined ? 'ADDED' : 'MODIFIED', stored, previous);
    return stored;
  }

  /** Takes away what `last` is the last state of, and answers it as the deletion shows it. Nothing happens when it is not there. */
  remove(last: KubeObject): KubeObject {
    const key = objectKey(last);
    const previous = this.#objects.get(key);
    if (previous === undefined) return last;
    this.#objects.delete(key);
    if (this.#order?.at(-1) === key) this.#order.pop();
    else this.#order = undefined;
    const gone = this.#stamp(last);
    this.#remember('DELETED', gone, previous);
    return gone;
  }

  /** Puts back what a snapshot has; nobody is told. */
  restore(objects: readonly KubeObject[]): void {
    for (const object of objects) this.#objects.set(objectKey(object), object);
    this.#order = undefined;
  }

  /**
   * Follows the changes after `resourceVersion`. `wake` is called some time after one has come, once for any number.
   * Throws a 410 StatusError when some of them are forgotten.
   */
  follow(resourceVersion: number, wake: () => void): Follower {
    if (resourceVersion < this.#forgottenVersion) throw this.#tooOld(resourceVersion);
    let place = this.#forgotten + this.#placeAfter(resourceVersion);
    this.#watchers.add(wake);
    return {
      take: (most) => {
        if (place < this.#forgotten) throw this.#tooOld(resourceVersion);
        const from = place - this.#forgotten;
        const taken = from === this.#changes.length ? none : this.#changes.slice(from, from + most);
        place += taken.length;
        return taken;
      },
      isLost: () => place < this.#forgotten,
      close: () => this.#watchers.delete(wake),
    };
  }

  #tooOld(resourceVersion: number) {
    return expired(`too old resource version: ${resourceVersion} (${this.#forgottenVersion + 1})`);
  }

  #stamp(object: KubeObject): KubeObject {
    this.#version.now += 1;
    return { ...object, metadata: inOrder({ ...object.metadata, resourceVersion: String(this.#version.now) }) };
  }

  #remember(type: Change['type'], object: KubeObject, previous: KubeObject | undefined): void {
    const change: Change = { type, resourceVersion: this.#version.now, object, previous };
    this.#changes.push(change);
    for (const listener of this.#listeners) listener(this, change);
    if (this.#changes.length >= 2 * this.#history) this.#forget(this.#changes.length - this.#history);
    if (this.#waking || this.#watchers.size === 0) return;
    this.#waking = true;
    // Later, so that a write has returned before anybody hears of it, and once for all writes of this turn.
    setImmediate(() => {
      this.#waking = false;
      for (const wake of this.#watchers) wake();
    });
  }

  #forget(count: number): void {
    const forgotten = this.#changes.splice(0, count);
    this.#forgotten += forgotten.length;
    this.#forgottenVersion = forgotten.at(-1)?.resourceVersion ?? this.#forgottenVersion;
  }

  /** The place among the known changes of the first one after `resourceVersion`. */
  #placeAfter(resourceVersion: number): number {
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#changes[middle] as Change).resourceVersion <= resourceVersion) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #keys(): string[] {
    this.#order ??= [...this.#objects.keys()].sort();
    return this.#order;
  }

  #insertKey(key: string): void {
    const last = this.#order?.at(-1);
    if (last === undefined || last < key) this.#order?.push(key);
    else this.#order = undefined;
  }
}

/** Somebody who has seen the changes of a collection up to some place. */
export interface Follower {
  /** The next changes, at most so many; empty when all are taken. Throws a 410 StatusError when some were forgotten. */
  take(most: number): readonly Change[];
  /** Whether some of the next changes were forgotten, because nobody took them for too long. */
  isLost(): boolean;
  /** From now on nobody is woken. */
  close(): void;
}

const none: readonly Change[] = [];

/** Keys sort as the server's storage does: by namespace and name, with the slash between them. */
function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function objectKey({ metadata }: KubeObject): string {
  return keyOf(metadata.namespace ?? '', metadata.name);
}

function firstAtLeast(keys: readonly string[], wanted: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as string) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
