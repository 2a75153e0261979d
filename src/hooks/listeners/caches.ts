/** The objects of Tekton Triggers in a cluster, kept true by watches. A cluster may have none of these kinds, and get them later. */
import type { KubeReader } from '../../kube/client.ts';
import type { Discovery } from '../../kube/discovery.ts';
import type { JsonObject, ObjectRef } from '../../kube/objects.ts';
import { scopesOf } from '../../kube/scopes.ts';
import { createStore, type Store, type StoreWriter, within } from '../../kube/store.ts';
import type { Watch, WatchParts } from '../../kube/watch.ts';
import { watchKind } from '../../kube/watchkind.ts';
import type { Part } from '../../lifecycle.ts';
import {
  LISTENER_KINDS,
  LISTENER_VERSIONS,
  type ListenerKind,
  type ListenerObjectOf,
  projectListenerObject,
  TRIGGERS_GROUP,
} from './manifests.ts';
import type { ListenerShelf } from './shelf.ts';

/** What the caches need. */
export interface ListenerCachesParts
  extends Pick<WatchParts<never>, 'watchSeconds' | 'clock' | 'random' | 'log' | 'metrics'> {
  readonly reader: KubeReader;
  readonly versions: Discovery;
  /** The namespaces whose hooks are served. */
  readonly served: '*' | readonly string[];
}

/** The caches as a part of the process: `start` begins to fill them and does not wait for that. */
export interface ListenerCaches extends Part, ListenerShelf {
  /**
   * Whether all that is in a namespace, or in none, is known: it has been listed, or may not be read, which is the same as not being
   * there and stands in `problems`.
   */
  isKnown(namespace: string): boolean;
  /** Whether some of it is still being listed for the first time, and nothing is wrong with that. */
  isListing(): boolean;
  /** Whether the cluster has EventListeners, as far as that is known. */
  isServed(): boolean;
  /** What keeps a kind from being listed, a sentence for each. */
  problems(): readonly string[];
}

/** One kind. */
interface Kept<K extends ListenerKind> {
  readonly store: Store<ListenerObjectOf[K]>;
  readonly writer: StoreWriter<ListenerObjectOf[K]>;
}

/** Makes the caches. Kinds that the cluster does not serve are looked for again each minute. */
export function createListenerCaches(parts: ListenerCachesParts): ListenerCaches {
  const { versions, served, log } = parts;
  const kept: { readonly [K in ListenerKind]: Kept<K> } = {
    EventListener: createStore(log),
    Trigger: createStore(log),
    TriggerBinding: createStore(log),
    ClusterTriggerBinding: createStore(log),
    TriggerTemplate: createStore(log),
  };
  let watches: readonly Watch[] = [];

  const watch = <K extends ListenerKind>(kind: K, scope: string, writer: Kept<K>['writer']): Watch => {
    const wanted = { group: TRIGGERS_GROUP, resource: LISTENER_KINDS[kind], versions: LISTENER_VERSIONS };
    const project = (raw: JsonObject) => projectListenerObject(kind, raw);
    return watchKind(wanted, scope, versions, { ...parts, optional: true, writer, project });
  };

  const watchNamespaced = <K extends ListenerKind>(kind: K): readonly Watch[] => {
    const { writer } = kept[kind];
    return scopesOf(served).map((scope) => watch(kind, scope, within(writer, served)));
  };

  const isOf = ({ scope }: Watch, namespace: string) => scope === '' || scope === namespace;

  return {
    name: 'listener caches',
    get: (kind, ref: ObjectRef) => kept[kind].store.get(ref),
    all: (kind) => kept[kind].store.values(),
    onChange(listener) {
      for (const { store } of Object.values(kept)) store.subscribe(() => listener());
    },
    isKnown: (namespace) =>
      watches.length > 0 &&
      watches.every((watch) => !isOf(watch, namespace) || watch.listed() || watch.problem()?.code === 'refused'),
    isListing: () => watches.length === 0 || watches.some((watch) => !watch.listed() && watch.problem() === undefined),
    isServed: () => !watches.some((watch) => watch.resource === LISTENER_KINDS.EventListener && watch.absent()),
    problems: () =>
      watches.flatMap((watch) => {
        const problem = watch.listed() ? undefined : watch.problem();
        return problem === undefined ? [] : [`${watch.resource}: ${problem.message}`];
      }),
    async start() {
      watches = [
        ...watchNamespaced('EventListener'),
        ...watchNamespaced('Trigger'),
        ...watchNamespaced('TriggerBinding'),
        ...watchNamespaced('TriggerTemplate'),
        watch('ClusterTriggerBinding', '', kept.ClusterTriggerBinding.writer),
      ];
    },
    async stop() {
      await Promise.all(watches.map((watch) => watch.stop()));
    },
  };
}
