/** Where the objects of listeners are found: kept by watches, or read from files. */
import type { ObjectRef } from '../../kube/objects.ts';
import type { ListenerKind, ListenerObjectOf } from './manifests.ts';
import type { ListenerObjects } from './resolve.ts';

/** Objects of the five kinds. Those of no namespace have '' for one. */
export interface ListenerShelf {
  get<K extends ListenerKind>(kind: K, ref: ObjectRef): ListenerObjectOf[K] | undefined;
  /** In no particular order. */
  all<K extends ListenerKind>(kind: K): Iterable<ListenerObjectOf[K]>;
  /** Calls `listener` after each change, in the same turn. */
  onChange(listener: () => void): void;
}

/** Several shelves as one: of objects of one kind and name the one of the first shelf that has it. */
export function together(shelves: readonly ListenerShelf[]): ListenerShelf {
  const get: ListenerShelf['get'] = (kind, ref) => {
    for (const shelf of shelves) {
      const found = shelf.get(kind, ref);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return {
    get,
    *all(kind) {
      for (const shelf of shelves) {
        for (const object of shelf.all(kind)) if (get(kind, object.meta) === object) yield object;
      }
    },
    onChange(listener) {
      for (const shelf of shelves) shelf.onChange(listener);
    },
  };
}

/** What a listener can refer to. */
export function objectsOn(shelf: ListenerShelf): ListenerObjects {
  return {
    trigger: (ref) => shelf.get('Trigger', ref),
    triggers: () => shelf.all('Trigger'),
    binding: (ref) => shelf.get('TriggerBinding', ref),
    clusterBinding: (name) => shelf.get('ClusterTriggerBinding', { namespace: '', name }),
    template: (ref) => shelf.get('TriggerTemplate', ref),
  };
}
