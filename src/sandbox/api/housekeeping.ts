/**
 * What a control plane does for namespaces: the ones that are always there, what each of them begins with, and the end of one
 * that is deleted. https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
 */
import type { Log } from '../../log.ts';
import type { KubeObject, Resource } from '../object.ts';
import { StatusError } from '../status.ts';
import type { ApiClient, NewObject } from './client.ts';
import { deleteObject } from './deletion.ts';
import type { Kind } from './kind.ts';
import { SYSTEM_NAMESPACES } from './namespaces.ts';
import { erase, objectsOf } from './store.ts';
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
  if (kinds.some((kind) => objectsOf(parts, kind).objects(namespace).length > 0)) return;
  release(parts, namespace);
}

function remove(parts: HousekeepingParts, kind: Kind, { metadata }: KubeObject): void {
  const { name, namespace = '', uid } = metadata;
  try {
    deleteObject(parts, {
      kind,
      namespace,
      name,
      options: {
        dryRun: false,
        gracePeriodSeconds: undefined,
        propagation: 'Background',
        orphanDependents: undefined,
        uid,
        resourceVersion: undefined,
      },
      now: parts.now(),
      lose() {},
    });
  } catch (error) {
    if (!(error instanceof StatusError) || error.code !== 404) throw error;
  }
}

function release(parts: HousekeepingParts, name: string): void {
  const kind = parts.registry.findKind('', 'Namespace');
  const namespace = kind && objectsOf(parts, kind).get('', name);
  if (kind === undefined || namespace === undefined || (namespace.metadata.finalizers ?? []).length > 0) return;
  const { spec } = namespace;
  const rest = typeof spec === 'object' && !Array.isArray(spec) ? spec : {};
  const { finalizers: _, ...kept } = rest ?? {};
  erase(parts, { ...namespace, spec: kept }, { kind, verb: 'delete', subresource: '', dryRun: false, lose() {} });
}
