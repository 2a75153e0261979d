/**
 * Objects whose owners are all gone go too; owners that wait for theirs are let go when none is left.
 * https://kubernetes.io/docs/concepts/architecture/garbage-collection/
 */
import type { Log } from '../../log.ts';
import { groupVersionOf, type KubeObject, type OwnerReference } from '../object.ts';
import { StatusError } from '../status.ts';
import { deleteObject, deletion, FOREGROUND, ORPHAN } from './deletion.ts';
import type { Kind } from './kind.ts';
import type { Change, Collection } from './memory.ts';
import { insideRequest, type VerbParts, type Verbs } from './verbs.ts';

/** What collecting needs. */
export interface GarbageParts extends VerbParts {
  readonly verbs: Verbs;
  readonly log: Log;
}

/** An object, as far as owning and being owned goes. */
interface Node {
  readonly collection: Collection;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly owners: readonly OwnerReference[];
}

/** Begins to collect, with what is there already; answers the function that ends it. */
export function collectGarbage(parts: GarbageParts): () => void {
  const collector = new Collector(parts);
  const stop = parts.memory.listen((collection, change) => collector.heed(collection, change));
  for (const collection of parts.memory.collections()) {
    for (const object of collection.objects()) collector.learn(collection, object);
  }
  return () => {
    stop();
    collector.stop();
  };
}

class Collector {
  readonly #parts: GarbageParts;
  readonly #nodes = new Map<string, Node>();
  /** The uids of those that an owner owns, by its uid. */
  readonly #dependents = new Map<string, Set<string>>();
  /** Those that have to be looked at. */
  readonly #due = new Set<string>();
  #isScheduled = false;
  #isStopped = false;

  constructor(parts: GarbageParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#isStopped = true;
  }

  heed(collection: Collection, { type, object }: Change): void {
    if (type === 'DELETED') this.#forget(object.metadata.uid);
    else this.learn(collection, object);
  }

  learn(collection: Collection, { metadata }: KubeObject): void {
    const { uid, name, namespace = '', ownerReferences: owners = [], finalizers = [], deletionTimestamp } = metadata;
    const known = this.#nodes.get(uid);
    for (const owner of known?.owners ?? []) {
      if (!owners.some((other) => other.uid === owner.uid)) this.#removeDependent(owner.uid, uid);
    }
    for (const owner of owners) this.#addDependent(owner.uid, uid);
    this.#nodes.set(uid, { collection, namespace, name, uid, owners });
    const isWaiting = deletionTimestamp !== undefined && finalizers.length > 0;
    if (owners.length > 0 || isWaiting) this.#look(uid);
  }

  #forget(uid: string): void {
    const node = this.#nodes.get(uid);
    this.#nodes.delete(uid);
    for (const dependent of this.#dependents.get(uid) ?? []) this.#look(dependent);
    for (const owner of node?.owners ?? []) this.#removeDependent(owner.uid, uid);
  }

  #addDependent(owner: string, uid: string): void {
    const dependents = this.#dependents.get(owner);
    if (dependents === undefined) this.#dependents.set(owner, new Set([uid]));
    else dependents.add(uid);
  }

  #removeDependent(owner: string, uid: string): void {
    const dependents = this.#dependents.get(owner);
    dependents?.delete(uid);
    if (dependents?.size === 0) this.#dependents.delete(owner);
    this.#look(owner); // it may have waited for this one
  }

  #look(uid: string): void {
    this.#due.add(uid);
    if (this.#isScheduled || this.#isStopped) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const due = [...this.#due];
      this.#due.clear();
      for (const one of due) this.#examine(one);
    });
  }

  #examine(uid: string): void {
    if (this.#isStopped) return;
    const node = this.#nodes.get(uid);
    const object = node?.collection.get(node.namespace, node.name);
    if (node === undefined || object?.metadata.uid !== uid) return;
    try {
      this.#settle(node, object);
    } catch (error) {
      const isOvertaken = error instanceof StatusError && (error.code === 404 || error.code === 409);
      if (isOvertaken) return;
      const { name, namespace } = node;
      this.#parts.log.warn('an object could not be collected', {
        kind: object.kind,
        namespace,
        name,
        error: String(error),
      });
    }
  }

  #settle(node: Node, object: KubeObject): void {
    const { deletionTimestamp, finalizers = [] } = object.metadata;
    const isDeleting = deletionTimestamp !== undefined;
    if (isDeleting && finalizers.includes(ORPHAN)) {
      for (const dependent of this.#dependentsOf(node)) this.#disown(dependent, [node.uid]);
      this.#release(node, object, ORPHAN);
    } else if (isDeleting && finalizers.includes(FOREGROUND)) {
      const dependents = this.#dependentsOf(node);
      const isBlocked = dependents.some(({ owners }) => {
        return owners.some((owner) => owner.uid === node.uid && owner.blockOwnerDeletion === true);
      });
      for (const { uid } of dependents) this.#look(uid);
      if (!isBlocked) this.#release(node, object, FOREGROUND);
    } else if (!isDeleting && node.owners.length > 0) {
      this.#settleOwned(node, finalizers);
    }
  }

  #settleOwned(node: Node, finalizers: readonly string[]): void {
    const states = node.owners.map((owner) => ({ owner, state: this.#stateOf(owner, node) }));
    const others = states.filter(({ state }) => state !== 'solid').map(({ owner }) => owner.uid);
    if (others.length < states.length) {
      if (others.length > 0) this.#disown(node, others);
      return;
    }
    const isAwaited = states.some(({ state }) => state === 'waiting');
    const hasDependents = this.#dependentsOf(node).length > 0;
    const own = finalizers.includes(ORPHAN) ? 'Orphan' : finalizers.includes(FOREGROUND) ? 'Foreground' : 'Background';
    this.#delete(node, isAwaited && hasDependents ? 'Foreground' : own);
  }

  /** An owner of a kind that nobody serves is taken to be there: it cannot be asked for. */
  #stateOf(owner: OwnerReference, dependent: Node): 'solid' | 'waiting' | 'gone' {
    const { group } = groupVersionOf(owner.apiVersion);
    if (this.#parts.registry.findKind(group, owner.kind) === undefined) return 'solid';
    const node = this.#nodes.get(owner.uid);
    const isWithinReach = node !== undefined && (node.namespace === '' || node.namespace === dependent.namespace);
    const object = isWithinReach ? node.collection.get(node.namespace, node.name) : undefined;
    if (object === undefined || object.metadata.name !== owner.name) return 'gone';
    const { deletionTimestamp, finalizers = [] } = object.metadata;
    return deletionTimestamp !== undefined && finalizers.includes(FOREGROUND) ? 'waiting' : 'solid';
  }

  #dependentsOf({ uid, namespace }: Node): Node[] {
    const nodes = [...(this.#dependents.get(uid) ?? [])].map((dependent) => this.#nodes.get(dependent));
    return nodes.filter((node) => node !== undefined && (namespace === '' || node.namespace === namespace)) as Node[];
  }

  #delete(node: Node, propagation: 'Background' | 'Foreground' | 'Orphan'): void {
    const { namespace, name, uid } = node;
    deleteObject(this.#parts, {
      kind: this.#kindOf(node),
      namespace,
      name,
      options: deletion({ propagation, uid }),
      now: this.#parts.now(),
      lose() {},
    });
  }

  #disown(node: Node, owners: readonly string[]): void {
    const left = node.owners.filter(({ uid }) => !owners.includes(uid));
    this.#patch(node, { ownerReferences: left.length === 0 ? null : left });
  }

  #release(node: Node, { metadata }: KubeObject, finalizer: string): void {
    const left = (metadata.finalizers ?? []).filter((other) => other !== finalizer);
    this.#patch(node, { finalizers: left.length === 0 ? null : left });
  }

  #patch(node: Node, change: { ownerReferences: OwnerReference[] | null } | { finalizers: string[] | null }): void {
    const kind = this.#kindOf(node);
    const { group, plural } = kind;
    const version = kind.versions[0]?.version ?? '';
    const target = this.#parts.verbs.target({ group, version, plural }, node.namespace);
    const patch = { metadata: { uid: node.uid, ...change } };
    const request = insideRequest(target, 'kube-controller-manager');
    this.#parts.verbs.patch(request, node.name, { type: 'merge', patch });
  }

  #kindOf({ collection: { group, plural } }: Node): Kind {
    const kind = this.#parts.registry.kinds().find((one) => one.group === group && one.plural === plural);
    if (kind === undefined) throw new StatusError(404, 'NotFound', `${plural} are not served any more`);
    return kind;
  }
}
