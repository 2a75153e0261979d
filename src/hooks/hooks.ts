/**
 * The hooks of this process, put together: those of PipelineTriggers first, then those of EventListeners where they are wanted, and
 * the door in front of both. All of it is served by every replica; nothing here stands behind a fence.
 */
import type { Clock } from '../clock.ts';
import type { KubeClient } from '../kube/client.ts';
import { discovery } from '../kube/discovery.ts';
import { createEvents, type Events } from '../kube/events.ts';
import type { SharedWatches } from '../kube/feeds.ts';
import { present } from '../kube/objects.ts';
import type { Readiness } from '../kube/ready.ts';
import type { Part } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { HookedTriggers } from '../triggers/hooked.ts';
import { joinBooks } from './books.ts';
import { createCelEngine } from './cel/pool.ts';
import type { Deliveries } from './deliveries.ts';
import type { Door } from './door.ts';
import { createFront, type FrontSettings } from './front.ts';
import type { HookBook } from './hook.ts';
import { createListeners, type Listeners } from './listeners/listeners.ts';
import { createHookedTriggers } from './native/caches.ts';
import { type LeadingController, nativeBook } from './native/native.ts';
import { createNotes } from './native/notes.ts';
import { createSources, type Sources } from './sources.ts';

/** The settings, as src/settings.ts explains them. */
export interface HookSettings extends FrontSettings {
  readonly tektonTriggersCompat: boolean;
  readonly hooksDir: string | undefined;
  readonly compatSourceNamespaces: readonly string[];
  readonly compatRunNamespaces: readonly string[];
  readonly compatTaskRuns: boolean;
}

/** What hooks are made of. */
export interface HooksParts {
  readonly settings: HookSettings;
  readonly client: KubeClient;
  /** The namespaces whose hooks are served, and the one of objects in files that name none. */
  readonly served: '*' | readonly string[];
  readonly defaultNamespace: string;
  readonly watchSeconds: number;
  /** The controllers of triggers in this process, where there are some. */
  readonly controllers?: (LeadingController & { readonly hooked: HookedTriggers }) | undefined;
  /** The watches of PipelineTriggers, where somebody has some already and they are not started yet. */
  readonly triggerWatches?: SharedWatches | undefined;
  /** Which one of several replicas this is. */
  readonly instance: string;
  /** Aborts when this process is stopping. */
  readonly draining: AbortSignal;
  readonly clock: Clock;
  /** In [0, 1), for jitter. */
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Hooks that have not been started. */
export interface Hooks {
  readonly door: Door;
  readonly book: HookBook;
  readonly deliveries: Deliveries;
  /** Ready when it is known which hooks there are, as far as that can be known: who sends something does not always try again. */
  readiness(): Readiness;
  /** Reads the files of `hooksDir`, where there is one; to be started before everything else. Rejects where they have mistakes. */
  readonly files: Part | undefined;
  /** In the order in which they start; the controllers are started before. */
  readonly parts: readonly Part[];
}

/** Makes them. Nothing is read or asked of the cluster before the parts are started. */
export function createHooks(parts: HooksParts): Hooks {
  const { settings, client, controllers, instance, draining, clock, log, metrics } = parts;
  const sources = createSources({
    reader: client,
    versions: discovery({ reader: client, clock }),
    clock,
    log,
    metrics,
  });
  const events = createEvents({ writer: client, name: 'hooks', component: 'rungate', instance, clock, log, metrics });
  const { triggers, watches } = triggersOf(parts);
  const native = nativeBook({
    triggers,
    sources,
    notes: createNotes({ reader: client, writer: client }),
    ...(controllers === undefined ? {} : { controller: controllers }),
    events,
    log,
  });
  const takesListeners = settings.tektonTriggersCompat || settings.hooksDir !== undefined;
  const compat = takesListeners ? compatOf(parts, { sources, events }) : undefined;
  const book = joinBooks([native, ...(compat === undefined ? [] : [compat.book])]);
  const front = createFront({
    settings,
    book,
    reader: client,
    takesHosts: takesListeners,
    draining,
    clock,
    log,
    metrics,
  });
  return {
    ...front,
    book,
    readiness: () =>
      readinessOf({ pipelinetriggers: triggers.isListing(), eventlisteners: compat?.isListing() ?? false }),
    files: compat?.files,
    parts: [
      events, // what the others have told is still written when they have stopped
      sources,
      ...watches,
      ...(compat?.parts ?? []),
    ],
  };
}

function readinessOf(listing: Readonly<Record<string, boolean>>): Readiness {
  const watches = Object.entries(listing).map(([kind, isListing]) => ({
    name: `${kind} of hooks`,
    state: isListing ? ('listing' as const) : ('current' as const),
  }));
  return { ready: watches.every(({ state }) => state === 'current'), watches };
}

/** The triggers that the controllers know, or a watch of our own. */
function triggersOf(parts: HooksParts): { readonly triggers: HookedTriggers; readonly watches: readonly Part[] } {
  const { client, controllers, triggerWatches, served, watchSeconds, clock, random, log, metrics } = parts;
  if (controllers !== undefined) return { triggers: controllers.hooked, watches: [] };
  const common = { reader: client, served, watchSeconds, clock, random, log, metrics };
  const triggers = createHookedTriggers({ ...common, ...present({ triggerWatches }) });
  return { triggers, watches: [triggers] };
}

/** EventListeners, and the engine that evaluates their expressions. */
function compatOf(
  { settings, client, served, defaultNamespace, watchSeconds, clock, random, log, metrics }: HooksParts,
  ground: { readonly sources: Sources; readonly events: Events },
): Listeners {
  const cel = createCelEngine({ clock, log, metrics });
  const listeners = createListeners({
    ...ground,
    client,
    served,
    defaultNamespace,
    watchSeconds,
    isCompat: settings.tektonTriggersCompat,
    folder: settings.hooksDir,
    policy: {
      sourceNamespaces: settings.compatSourceNamespaces,
      runNamespaces: settings.compatRunNamespaces,
      taskRuns: settings.compatTaskRuns,
    },
    cel,
    clock,
    random,
    log,
    metrics,
  });
  const engine = { name: 'cel', start: async () => {}, stop: () => cel.close() };
  return { ...listeners, parts: [engine, ...listeners.parts] };
}
