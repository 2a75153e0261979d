/** The EventListener compatibility, put together: from the kinds of Tekton Triggers, in a cluster or in files, to hooks. */
import type { KubeReader } from '../../kube/client.ts';
import { discovery } from '../../kube/discovery.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { KubeWriter } from '../../kube/writer.ts';
import type { Part } from '../../lifecycle.ts';
import type { Metrics } from '../../metrics.ts';
import type { CelEngine } from '../cel/engine.ts';
import type { HookBook } from '../hook.ts';
import type { Sources } from '../sources.ts';
import { createListenerBook } from './book.ts';
import { createListenerCaches, type ListenerCachesParts } from './caches.ts';
import { createRuns } from './create.ts';
import { createListenerFiles } from './files.ts';
import { createLedger } from './ledger.ts';
import type { ListenerPolicy } from './policy.ts';
import { createSecrets } from './secrets.ts';
import type { ListenerWorld } from './world.ts';

/** What listeners are made of. */
export interface ListenersParts extends Omit<ListenerCachesParts, 'reader' | 'versions' | 'metrics'> {
  /** Not behind a fence: every replica creates runs, which is safe because their names say what they are for. */
  readonly client: KubeReader & Pick<KubeWriter, 'create' | 'patch'>;
  /** Whether EventListeners of the cluster are hooks. */
  readonly isCompat: boolean;
  /** A folder with manifests. */
  readonly folder?: string | undefined;
  /** Where an object of the folder belongs that names no namespace. */
  readonly defaultNamespace: string;
  readonly policy: ListenerPolicy;
  readonly cel: CelEngine;
  readonly sources: Pick<Sources, 'check' | 'lookOn'>;
  readonly events: EventRecorder;
  readonly metrics: Metrics;
}

/** Listeners that have not been started. */
export interface Listeners {
  readonly book: HookBook;
  /** Whether the listeners of the cluster are still being listed for the first time, and nothing is wrong with that. */
  isListing(): boolean;
  /** Reads the files, where there are some: what is wrong with them can be told before anything else is started. */
  readonly files: Part | undefined;
  /** In the order in which they start. `files`, `cel`, `sources` and `events` are started before them, and stopped after. */
  readonly parts: readonly Part[];
}

/** Makes them. Nothing is read before the parts are started; `files` rejects with Fault `bad-request` where there are mistakes. */
export function createListeners(parts: ListenersParts): Listeners {
  const { client, isCompat, folder, cel, sources, clock, random, log } = parts;
  const versions = discovery({ reader: client, clock });
  const ledger = createLedger({ client, clock, random, log });
  const caches = isCompat ? createListenerCaches({ ...parts, reader: client, versions }) : undefined;
  const files = folder === undefined ? undefined : createListenerFiles({ ...parts, folder });
  const world: ListenerWorld = {
    cel,
    secret: createSecrets({ reader: client, clock }),
    source: sources.check,
    lookOn: sources.lookOn,
    create: createRuns({ client, versions, ledger, clock }),
    known: ledger.known,
  };
  const book = createListenerBook({ ...parts, world, files, caches });
  const all = [
    ledger, // last to stop: what was created is still entered
    caches,
    book,
  ];
  return {
    book,
    isListing: () => caches?.isListing() === true,
    files,
    parts: all.filter((part) => part !== undefined),
  };
}
