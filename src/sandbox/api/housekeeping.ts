/**
 * What a control plane does for namespaces: the ones that are always there, what each of them begins with, and the end of one
 * that is deleted. https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
 */
import { isDeepStrictEqual } from 'node:util';
import type { Log } from '../../log.ts';
import { namespaceFinalizer } from '../core/namespace.ts';
import { objectIn, objectsIn, textsIn } from '../core/reading.ts';
import type { KubeObject, Resource } from '../object.ts';
import { outdated, StatusError } from '../status.ts';
import type { ApiClient, NewObject } from './client.ts';
import { deleteObject, deletion } from './deletion.ts';
import type { Kind, Subresource } from './kind.ts';
import { SYSTEM_NAMESPACES } from './namespaces.ts';
import { type Commit, erase, isReleased, objectsOf, type StoreParts, store } from './store.ts';
import type { VerbParts } from './verbs.ts';

/** What housekeeping needs. */
export interface HousekeepingParts extends VerbParts {
  /** As kube-controller-manager. */
  readonly client: ApiClient;
  /** The certificate of the authority, as `kube-root-ca.crt` publishes it. */
  readonly authority: string;
  readonly log: Log;
}

const NAMESPACES: Resource = { group: '', version: 'v1', plural: 'namespaces' };
const SERVICE_ACCOUNTS: Resource = { group: '', version: 'v1', plural: 'serviceaccounts' };
const CONFIG_MAPS: Resource = { group: '', version: 'v1', plural: 'configmaps' };

/** Makes the namespaces of every cluster, each with what it begins with. Those that are there stay as they are. */
export function layOutNamespaces(parts: HousekeepingParts): void {
  for (const name of SYSTEM_NAMESPACES) {
    if (parts.client.get(NAMESPACES, '', name) !== undefined) continue;
    parts.client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    furnish(parts, name);
  }
}

/** Begins to keep house; answers the function that ends it. */
export function keepHouse(parts: HousekeepingParts): () => void {
  const { client, memory } = parts;
  const terminating = new Set<string>();
  const due = new Set<string>();
  let isScheduled = false;
  let isStopped = false;

  const schedule = (namespace: string) => {
    due.add(namespace);
    if (isScheduled || isStopped) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      const now = [...due];
      due.clear();
      for (const one of now) if (!isStopped) tidy(one);
    });
  };

  const tidy = (namespace: string) => {
    try {
      if (terminating.has(namespace)) empty(parts, namespace);
      else furnish(parts, namespace);
    } catch (error) {
      parts.log.warn('a namespace could not be tidied', { namespace, error: String(error) });
    }
  };

  const stopWatching = client.watch(NAMESPACES, {}, ({ type, object: { metadata } }) => {
    if (type === 'DELETED') {
      terminating.delete(metadata.name);
      return;
    }
    if (metadata.deletionTimestamp !== undefined) terminating.add(metadata.name);
    schedule(metadata.name);
  });
  const stopListening = memory.listen(({ group, plural }, { type, object }) => {
    const { namespace } = object.metadata;
    if (type !== 'DELETED' || namespace === undefined) return;
    const isFurniture = group === '' && (plural === 'serviceaccounts' || plural === 'configmaps');
    if (isFurniture || terminating.has(namespace)) schedule(namespace);
  });
  return () => {
    isStopped = true;
    stopWatching();
    stopListening();
  };
}

/** Puts into a namespace what is missing of what everyone has. */
function furnish({ client, authority }: HousekeepingParts, namespace: string): void {
  const owner = client.get(NAMESPACES, '', namespace);
  if (owner === undefined || owner.metadata.deletionTimestamp !== undefined) return;
  create(client, SERVICE_ACCOUNTS, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default', namespace },
  });
  create(client, CONFIG_MAPS, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'kube-root-ca.crt',
      namespace,
      annotations: {
        'kubernetes.io/description':
          'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the ' +
          'internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of ' +
          'Kubernetes clusters.',
      },
    },
    data: { 'ca.crt': authority },
  });
}

function create(client: ApiClient, resource: Resource, object: NewObject): void {
  const { namespace = '', name = '' } = object.metadata;
  if (client.get(resource, namespace, name) === undefined) client.create(resource, object);
}

/** Deletes what is in a namespace, and lets the namespace go when nothing is left. */
function empty(parts: HousekeepingParts, namespace: string): void {
  const kinds = parts.registry.kinds().filter((kind) => kind.namespaced && kind.verbs.includes('delete'));
  for (const kind of kinds) {
    for (const object of objectsOf(parts, kind).objects(namespace)) {
      if (object.metadata.deletionTimestamp === undefined) remove(parts, kind, object);
    }
  }
  const left = kinds
    .map((kind) => ({ kind, objects: objectsOf(parts, kind).objects(namespace) }))
    .filter(({ objects }) => objects.length > 0);
  if (left.length === 0) release(parts, namespace);
  else tellWhatIsLeft(parts, namespace, left);
}

interface Left {
  readonly kind: Kind;
  readonly objects: readonly KubeObject[];
}

/** Says in the conditions of a namespace what it waits for. */
function tellWhatIsLeft(parts: HousekeepingParts, name: string, left: readonly Left[]): void {
  const found = namespaceOf(parts, name);
  if (found === undefined) return;
  const { kind, namespace } = found;
  const status = objectIn(namespace.status);
  const before = objectsIn(status.conditions);
  const conditions = conditionsFor(left).map((condition) => {
    const old = before.find(({ type }) => type === condition.type);
    const now = `${new Date(parts.now()).toISOString().slice(0, 19)}Z`;
    const lastTransitionTime = old?.status === condition.status ? (old.lastTransitionTime ?? now) : now;
    const { type, status: state, reason, message } = condition;
    return { type, status: state, lastTransitionTime, reason, message };
  });
  if (isDeepStrictEqual(before, conditions)) return;
  const commit: Commit = { kind, verb: 'update', subresource: 'status', dryRun: false, lose() {} };
  store(parts, { ...namespace, status: { ...status, conditions } }, commit);
}

/** In the words of the controller that empties namespaces. */
function conditionsFor(
  left: readonly Left[],
): readonly { type: string; status: string; reason: string; message: string }[] {
  const instances = (count: number) => `${count} resource instances`;
  const remaining = left.map(
    ({ kind: { group, plural }, objects }) => `${plural}.${group} has ${instances(objects.length)}`,
  );
  const counts = new Map<string, number>();
  for (const { metadata } of left.flatMap(({ objects }) => objects)) {
    for (const finalizer of metadata.finalizers ?? []) counts.set(finalizer, (counts.get(finalizer) ?? 0) + 1);
  }
  const finalizers = [...counts].map(([finalizer, count]) => `${finalizer} in ${instances(count)}`).sort();
  const prefix = 'NamespaceDeletion';
  const done = (type: string, reason: string, message: string) => ({ type, status: 'False', reason, message });
  return [
    done(`${prefix}DiscoveryFailure`, 'ResourcesDiscovered', 'All resources successfully discovered'),
    done(`${prefix}GroupVersionParsingFailure`, 'ParsedGroupVersions', 'All legacy kube types successfully parsed'),
    done(
      `${prefix}ContentFailure`,
      'ContentDeleted',
      'All content successfully deleted, may be waiting on finalization',
    ),
    {
      type: 'NamespaceContentRemaining',
      status: 'True',
      reason: 'SomeResourcesRemain',
      message: `Some resources are remaining: ${remaining.sort().join(', ')}`,
    },
    finalizers.length === 0
      ? done('NamespaceFinalizersRemaining', 'ContentHasNoFinalizers', 'All content-preserving finalizers finished')
      : {
          type: 'NamespaceFinalizersRemaining',
          status: 'True',
          reason: 'SomeFinalizersRemain',
          message: `Some content in the namespace has finalizers remaining: ${finalizers.join(', ')}`,
        },
  ];
}

function remove(parts: HousekeepingParts, kind: Kind, { metadata }: KubeObject): void {
  const { name, namespace = '', uid } = metadata;
  try {
    deleteObject(parts, {
      kind,
      namespace,
      name,
      options: deletion({ propagation: 'Background', uid }),
      now: parts.now(),
      lose() {},
    });
  } catch (error) {
    if (!(error instanceof StatusError) || error.code !== 404) throw error;
  }
}

function namespaceOf(
  parts: StorePartsAndRegistry,
  name: string,
): { readonly kind: Kind; readonly namespace: KubeObject } | undefined {
  const kind = parts.registry.findKind('', 'Namespace');
  const namespace = kind && objectsOf(parts, kind).get('', name);
  return kind === undefined || namespace === undefined ? undefined : { kind, namespace };
}

function release(parts: HousekeepingParts, name: string): void {
  const found = namespaceOf(parts, name);
  if (found === undefined) return;
  const { kind, namespace } = found;
  const finalizers = textsIn(objectIn(namespace.spec).finalizers);
  // Others have their own finalizers there.
  if (finalizers.includes(namespaceFinalizer)) {
    finalize(
      parts,
      kind,
      namespace,
      finalizers.filter((finalizer) => finalizer !== namespaceFinalizer),
    );
  }
}

/** Sets the finalizers in the spec; a namespace that only waited for them is gone then. */
function finalize(parts: StoreParts, kind: Kind, namespace: KubeObject, finalizers: readonly string[]): KubeObject {
  const { finalizers: _, ...rest } = objectIn(namespace.spec);
  const spec = finalizers.length === 0 ? rest : { ...rest, finalizers: [...finalizers] };
  const finalized = { ...namespace, spec };
  const commit: Commit = { kind, verb: 'update', subresource: 'finalize', dryRun: false, lose() {} };
  if (!isReleased(finalized)) return store(parts, finalized, commit);
  erase(parts, finalized, commit);
  return finalized;
}

/** `namespaces/finalize`, with which whoever has emptied a namespace lets it go. */
export function finalizeSubresource(parts: StorePartsAndRegistry): Subresource {
  return {
    kind: 'Namespace',
    verbs: ['update'],
    handle({ body }, namespace) {
      const kind = parts.registry.findKind('', 'Namespace') as Kind; // whose subresource this is
      const finalizers = textsIn(objectIn(body?.spec).finalizers);
      const { uid = '' } = objectIn(body?.metadata);
      if (uid !== '' && uid !== namespace.metadata.uid) throw outdated(kind, namespace.metadata.name);
      return { code: 200, object: finalize(parts, kind, namespace, finalizers) };
    },
  };
}

type StorePartsAndRegistry = StoreParts & Pick<VerbParts, 'registry'>;
