/**
 * The one way to the memory for whoever writes: faults are asked first, kinds are told after, and what was the last thing to
 * hold an object that is being deleted lets it go.
 */
import type { KubeObject } from '../object.ts';
import { StatusError } from '../status.ts';
import type { ApiFault, PendingWrite } from './faults.ts';
import type { Kind } from './kind.ts';
import type { Collection, Memory } from './memory.ts';
import { isHeldBySpec } from './namespaces.ts';
import { storedAs } from './versions.ts';

/** etcd takes no larger request. */
const MAX_OBJECT_BYTES = 1.5 * 1024 * 1024;
/** Objects are measured only where they can come near the limit at all. */
const WORTH_MEASURING_BYTES = 256 * 1024;

/** What a write goes through. */
export interface StoreParts {
  readonly memory: Memory;
  readonly faults: readonly ApiFault[];
}

/** A write, and whether it is only tried. */
export interface Commit {
  readonly kind: Kind;
  readonly verb: PendingWrite['verb'];
  readonly subresource: string;
  readonly dryRun: boolean;
  /** How large the body of the request was, where there was one. */
  readonly bytes?: number;
  /** Called when the answer is to be lost. */
  lose(): void;
}

/** The objects of a kind. */
export function objectsOf({ memory }: StoreParts, kind: Kind): Collection {
  const { group, plural } = kind.sharesWith ?? kind;
  return memory.collection(group, plural);
}

/**
 * Stores an object in any version of its kind and answers it as it is stored; in a dry run, as it would have been. Throws
 * what faults throw, and 500 for an object that is too large.
 */
export function store(parts: StoreParts, object: KubeObject, commit: Commit): KubeObject {
  const { kind, verb, subresource, dryRun, bytes = 0 } = commit;
  const collection = objectsOf(parts, kind);
  const stored = storedAs(object, kind);
  if (bytes > WORTH_MEASURING_BYTES && Buffer.byteLength(JSON.stringify(stored)) > MAX_OBJECT_BYTES) {
    throw new StatusError(500, '', 'etcdserver: request is too large');
  }
  const write: PendingWrite = { verb, group: kind.group, plural: kind.plural, subresource, object: stored };
  for (const fault of parts.faults) fault.beforeWrite?.(write);
  if (dryRun) return stored;
  const { namespace = '', name } = object.metadata;
  const old = collection.get(namespace, name);
  const result = collection.put(stored);
  kind.strategy.stored?.(result, old);
  if (parts.faults.some((fault) => fault.losesAnswer?.(write))) commit.lose();
  return result;
}

/** Takes an object away, and answers what the deletion shows: `last`, in the storage version, at a version of its own. */
export function erase(parts: StoreParts, last: KubeObject, commit: Commit): KubeObject {
  const { kind, verb, subresource, dryRun } = commit;
  const write: PendingWrite = { verb, group: kind.group, plural: kind.plural, subresource, object: last };
  for (const fault of parts.faults) fault.beforeWrite?.(write);
  if (dryRun) return last;
  const collection = objectsOf(parts, kind);
  const old = collection.get(last.metadata.namespace ?? '', last.metadata.name);
  const gone = collection.remove(last);
  kind.strategy.stored?.(undefined, old);
  if (parts.faults.some((fault) => fault.losesAnswer?.(write))) commit.lose();
  return gone;
}

/** Whether an object was only waiting for its last finalizer: then an update that takes it away ends the object. */
export function isReleased(object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata;
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds > 0) return false;
  return finalizers.length === 0 && !isHeldBySpec(object);
}
