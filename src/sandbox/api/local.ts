/** The API within the process: the same verbs as over HTTPS, for the controllers that live here. */
import type { Log } from '../../log.ts';
import type { KubeObject } from '../object.ts';
import { StatusError } from '../status.ts';
import type { ApiClient, ListFilter, WatchEvent } from './client.ts';
import { deleteObject, deletion } from './deletion.ts';
import type { Kind } from './kind.ts';
import type { Change } from './memory.ts';
import { everything, type Selector, selectorFor } from './selectors.ts';
import { objectsOf } from './store.ts';
import { insideRequest, type Target, type VerbParts, type Verbs } from './verbs.ts';
import { shownAs } from './versions.ts';

/** What a client works with, and the name under which it owns fields. */
export interface LocalParts extends VerbParts {
  readonly verbs: Verbs;
  readonly log: Log;
  readonly manager: string;
}

/** Makes a client. */
export function createLocalClient(parts: LocalParts): ApiClient {
  const { verbs, log, manager } = parts;

  return {
    get(resource, namespace, name) {
      const { kind, served } = verbs.target(resource, namespace);
      const live = objectsOf(parts, kind).get(namespace, name);
      return live === undefined ? undefined : shownAs(live, kind, served.version);
    },

    list(resource, filter = {}) {
      const target = verbs.target(resource, filter.namespace ?? '');
      return current(target, filter);
    },

    create(resource, object) {
      const target = verbs.target(resource, object.metadata.namespace ?? '');
      // What callers hand in may share parts with stored objects. The verbs fill in what it lacks of metadata.
      return verbs.create(insideRequest(target, manager), structuredClone(object) as KubeObject);
    },

    update(resource, object, { subresource } = {}) {
      const target = verbs.target(resource, object.metadata.namespace ?? '');
      const request = insideRequest(target, manager, subresource);
      return verbs.update(request, object.metadata.name, structuredClone(object)).object;
    },

    patch(resource, namespace, name, merge, { subresource } = {}) {
      const request = insideRequest(verbs.target(resource, namespace), manager, subresource);
      return verbs.patch(request, name, { type: 'merge', patch: merge }).object;
    },

    remove(resource, namespace, name, options = {}) {
      const { kind } = verbs.target(resource, namespace);
      try {
        deleteObject(parts, {
          kind,
          namespace,
          name,
          options: deletion(options),
          now: parts.now(),
          lose() {},
        });
      } catch (error) {
        if (!(error instanceof StatusError) || error.code !== 404) throw error;
      }
    },

    watch(resource, filter, on) {
      const target = verbs.target(resource, filter.namespace ?? '');
      return watch(target, filter, on);
    },
  };

  function current(target: Target, filter: ListFilter): KubeObject[] {
    const { kind, served, namespace } = target;
    const select = selectorOf(filter, kind);
    const objects = objectsOf(parts, kind).objects(namespace === '' ? undefined : namespace);
    const selected = select === everything ? objects : objects.filter(select);
    return selected.map((object) => shownAs(object, kind, served.version));
  }

  function watch(target: Target, filter: ListFilter, on: (event: WatchEvent) => void): () => void {
    const { kind, served, namespace } = target;
    const collection = objectsOf(parts, kind);
    const select = selectorOf(filter, kind);
    let pending: WatchEvent[] = current(target, filter).map((object) => ({ type: 'ADDED', object }));
    let isOpen = true;
    let isScheduled = false;
    // Taken at once and told later: unlike a client far away, a controller is never too slow to be told everything.
    const stop = parts.memory.listen((changed, change) => {
      const event = changed === collection ? eventFor(change, namespace, select) : undefined;
      if (event === undefined) return;
      pending.push(event);
      schedule();
    });
    schedule();
    return () => {
      isOpen = false;
      stop();
    };

    function schedule(): void {
      if (isScheduled) return;
      isScheduled = true;
      setImmediate(() => {
        isScheduled = false;
        const events = pending;
        pending = [];
        for (const event of events) tell(event);
      });
    }

    function tell({ type, object }: WatchEvent): void {
      if (!isOpen) return;
      try {
        on({ type, object: shownAs(object, kind, served.version) });
      } catch (error) {
        const { name, namespace: of = '' } = object.metadata;
        const said = error instanceof Error ? (error.stack ?? error.message) : String(error);
        log.error('a controller failed on an event', { kind: kind.kind, namespace: of, name, error: said });
      }
    }
  }
}

function selectorOf({ labels = '', fields = '' }: ListFilter, kind: Kind): Selector {
  return selectorFor({ labelSelector: labels, fieldSelector: fields }, kind);
}

/**
 * What a change is to somebody who sees only what `select` selects in `namespace` ('' for all): an object that begins to
 * match is added, one that no longer does is deleted, shown as it was before. Undefined: nothing.
 */
export function eventFor(change: Change, namespace: string, select: Selector): WatchEvent | undefined {
  const { type, object, previous, resourceVersion } = change;
  if (namespace !== '' && object.metadata.namespace !== namespace) return undefined;
  if (select === everything) return { type, object };
  const matched = previous !== undefined && select(previous);
  if (type === 'DELETED') return matched ? { type, object } : undefined;
  const matches = select(object);
  if (matches) return { type: matched ? 'MODIFIED' : 'ADDED', object };
  if (!matched) return undefined;
  const { metadata } = previous as KubeObject; // it matched
  const last = { ...(previous as KubeObject), metadata: { ...metadata, resourceVersion: String(resourceVersion) } };
  return { type: 'DELETED', object: last };
}
