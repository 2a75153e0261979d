/** The hooks of EventListeners: each resolved when something that it may name has changed, not when a delivery comes. */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../clock.ts';
import { faultOf } from '../../fault.ts';
import { unlessAborted } from '../../kube/client.ts';
import type { EventRecorder, Told } from '../../kube/events.ts';
import type { ObjectRef } from '../../kube/objects.ts';
import type { Part } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import type { CelEngine } from '../cel/engine.ts';
import type { Found, Hook, HookBook } from '../hook.ts';
import type { ListenerCaches } from './caches.ts';
import { type ListenerHookParts, listenerHook } from './listener.ts';
import {
  type EventListenerObject,
  LISTENER_KINDS,
  LISTENER_VERSIONS,
  type ListenerKind,
  TRIGGERS_GROUP,
} from './manifests.ts';
import { createPendingRoom } from './pending.ts';
import { type Listener, resolveListener } from './resolve.ts';
import { type ListenerShelf, objectsOn, together } from './shelf.ts';

/** What a book is made of. */
export interface ListenerBookParts extends Pick<ListenerHookParts, 'world' | 'policy'> {
  readonly cel: Pick<CelEngine, 'mistakesIn'>;
  /** The namespaces whose hooks are served. */
  readonly served: '*' | readonly string[];
  /** What files have; it takes the place of what the cluster has. */
  readonly files?: ListenerShelf | undefined;
  readonly caches?: Omit<ListenerCaches, keyof Part | 'isListing'> | undefined;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly log: Log;
}

/** A book as a part: while it runs, owners of listeners are told what is wrong with them, whether or not anything is delivered. */
export interface ListenerBook extends HookBook, Part {}

/** Whoever applies a listener applies what it names in the same breath, and each kind has a watch of its own. */
const SETTLE_MS = 2_000;
/** How long a delivery waits for the expressions of its listener to be read. */
const READ_MS = 5_000;
/** A Kubernetes Event is folded into the one before rather than written again. */
const TELL_AGAIN_MS = 60_000;
/** Things that were told, so that the log has each once. */
const MOST_TOLD = 10_000;

/** Makes the book. Where neither files nor caches are given it is empty. */
export function createListenerBook(parts: ListenerBookParts): ListenerBook {
  const { cel, policy, served, files, caches, events, clock, log } = parts;
  const shelf = together([files, caches].filter((each) => each !== undefined));
  const objects = objectsOn(shelf);
  const stopping = new AbortController();
  const pending = createPendingRoom();
  const hooks = new Map<string, Resolved>();
  /** Those that are being resolved. */
  const resolving = new Map<string, Promise<Resolved | undefined>>();
  const told = new Set<string>();
  let changes = 0;
  /** When the last change will have been followed by what belongs to it. */
  let settledAt = clock.steady();
  let wake = () => {};

  const isServed = (namespace: string) => served === '*' || served.includes(namespace);
  const isKnown = (namespace: string) => caches?.isKnown(namespace) !== false;

  const current = (object: EventListenerObject): Resolved | undefined => {
    const known = hooks.get(idOf(object.meta));
    return known?.changes === changes && known.object === object ? known : undefined;
  };

  /** As the listener and what it names are when its expressions have been read; undefined: it is gone. */
  const resolveAnew = async (ref: ObjectRef): Promise<Resolved | undefined> => {
    const read = new Map<string, string | undefined>();
    for (;;) {
      const object = shelf.get('EventListener', ref);
      if (object === undefined) return undefined;
      const unread = new Set<string>();
      const mistakeIn = (expression: string) => {
        if (!read.has(expression)) unread.add(expression);
        return read.get(expression);
      };
      const listener = resolveListener(object, objects, { policy, mistakeIn });
      if (unread.size === 0) return enter(object, listener);
      const expressions = [...unread];
      const mistakes = await cel.mistakesIn(expressions, stopping.signal);
      for (const [place, expression] of expressions.entries()) read.set(expression, mistakes[place]);
    }
  };

  const enter = (object: EventListenerObject, listener: Listener): Resolved => {
    const tell: Hook['tell'] = (type, reason, message) =>
      events.tell(involved(object), { type, reason, message, atMostEveryMs: TELL_AGAIN_MS });
    const hook = listenerHook(listener, { ...parts, pending, tell, stopping: stopping.signal });
    const resolved = { object, listener, hook, changes };
    hooks.set(idOf(object.meta), resolved);
    return resolved;
  };

  const resolve = (object: EventListenerObject): Promise<Resolved | undefined> => {
    const id = idOf(object.meta);
    const known = resolving.get(id);
    if (known !== undefined) return known;
    const resolved = resolveAnew(object.meta).finally(() => resolving.delete(id));
    resolving.set(id, resolved);
    return resolved;
  };

  /** Whether a listener has mistakes that may be gone in a moment: its sender would not come again for them. */
  const isUnsettled = ({ listener }: Resolved): boolean =>
    clock.steady() < settledAt && listener.triggers.some((trigger) => 'mistakes' in trigger);

  const resolveSettled = async (object: EventListenerObject, signal: AbortSignal): Promise<Resolved | undefined> => {
    const resolved = current(object) ?? (await resolve(object));
    if (resolved === undefined || !isUnsettled(resolved)) return resolved;
    await clock.sleep(settledAt - clock.steady(), signal);
    return signal.aborted ? resolved : (current(object) ?? resolve(object));
  };

  const resolveInTime = async (object: EventListenerObject): Promise<Found> => {
    const over = new AbortController();
    const late = clock.sleep(READ_MS, over.signal).then(() => 'waiting' as const);
    try {
      const resolved = await Promise.race([resolveSettled(object, over.signal), late]);
      return resolved === 'waiting' ? resolved : resolved?.hook;
    } finally {
      over.abort();
    }
  };

  /** What is wrong with a listener, told once to its owner by whichever replica comes first, and once to the log. */
  const tellMistakes = ({ object, listener }: Resolved): void => {
    for (const { trigger, reason, message } of mistakesOf(listener)) {
      const { namespace, name } = listener.ref;
      const what: Told = { type: 'Warning', reason, message, once: message };
      events.tell(involved(object), what);
      if (!isNews([listener.uid, message])) continue;
      log.warn('something in an EventListener does nothing', { namespace, listener: name, trigger, problem: message });
    }
  };

  /** What keeps listeners of the cluster from being hooks at all. */
  const tellTrouble = (): void => {
    for (const problem of caches?.problems() ?? []) {
      // They are in no namespace, so an install for one namespace has no right to them, and seldom misses it.
      const isOfCluster = problem.startsWith(`${LISTENER_KINDS.ClusterTriggerBinding}:`);
      const message = isOfCluster
        ? 'ClusterTriggerBindings are not read; where an EventListener names one apply k8s/components/hooks-cluster'
        : 'EventListeners are not served as they should be; where rights are missing apply k8s/components/hooks, or leave out TEKTON_TRIGGERS_COMPAT';
      if (isNews([problem])) log[isOfCluster ? 'info' : 'warn'](message, { problem });
    }
    if (caches?.isServed() === false && isNews(['absent'])) {
      log.warn('this cluster has no EventListeners: they are looked for each minute');
    }
  };

  /** What the cluster has and nobody gets. */
  const tellShadowed = (): void => {
    for (const kind of Object.keys(LISTENER_KINDS) as ListenerKind[]) {
      for (const { meta } of files?.all(kind) ?? []) {
        const { namespace, name } = meta;
        if (caches?.get(kind, meta) === undefined || !isNews([kind, namespace, name])) continue;
        log.warn('an object of HOOKS_DIR takes the place of one in the cluster', { kind, namespace, name });
      }
    }
  };

  const isNews = (what: readonly string[]): boolean => {
    const id = JSON.stringify(what);
    if (told.has(id)) return false;
    if (told.size >= MOST_TOLD) told.clear();
    told.add(id);
    return true;
  };

  /** Resolves all listeners some time after a change, one after another, so that deliveries are not kept waiting. */
  const look = async (): Promise<void> => {
    for (let seen = -1; ; ) {
      if (seen === changes && !stopping.signal.aborted) await new Promise<void>((resume) => (wake = resume));
      await clock.sleep(SETTLE_MS, stopping.signal);
      if (stopping.signal.aborted) return;
      seen = changes;
      const there = [...shelf.all('EventListener')].filter(({ meta }) => isServed(meta.namespace));
      forgetOthers(hooks, there);
      tellTrouble();
      tellShadowed();
      for (const object of there) {
        // What is not listed yet is not missing.
        if (!isKnown(object.meta.namespace)) continue;
        const resolved = current(object) ?? (await resolve(object).catch(failed));
        if (resolved === undefined) seen = -1;
        else tellMistakes(resolved);
        await setImmediate();
      }
      // That all has been listed is no change where there is nothing of it.
      if (!(served === '*' ? [''] : served).every(isKnown)) seen = -1;
    }
  };

  /** What cannot be read now is read at the next look. */
  const failed = (error: unknown): undefined => {
    const { message } = faultOf(error);
    if (!stopping.signal.aborted && isNews([message])) log.warn('expressions cannot be read now', { error: message });
  };

  shelf.onChange(() => {
    changes += 1;
    settledAt = clock.steady() + SETTLE_MS;
    wake();
  });
  return {
    name: 'listener book',
    find(ref: ObjectRef) {
      if (!isServed(ref.namespace)) return undefined;
      // What a listener names may be in the cluster although the listener is in a file.
      if (!isKnown(ref.namespace)) return 'waiting';
      const object = shelf.get('EventListener', ref);
      if (object === undefined) return undefined;
      const known = current(object);
      return known === undefined || isUnsettled(known) ? resolveInTime(object) : known.hook;
    },
    async start() {
      void look();
    },
    async stop(signal) {
      // Their senders were told that they are taken, and do not send them again.
      await unlessAborted(pending.empty(), signal).catch(() => {});
      stopping.abort();
      wake();
    },
  };
}

interface Resolved {
  readonly object: EventListenerObject;
  readonly listener: Listener;
  readonly hook: Hook;
  /** As of which change. */
  readonly changes: number;
}

function involved({ meta }: EventListenerObject) {
  const { namespace, name, uid } = meta;
  return { apiVersion: `${TRIGGERS_GROUP}/${LISTENER_VERSIONS[0]}`, kind: 'EventListener', namespace, name, uid };
}

function mistakesOf({ triggers, notes }: Listener) {
  return [
    ...notes.map((message) => ({ trigger: undefined, reason: 'Unsupported', message })),
    ...triggers.flatMap((trigger) => {
      if (!('mistakes' in trigger)) return [];
      const message = `trigger ${trigger.name}: ${trigger.mistakes.join('; ')}`;
      return [{ trigger: trigger.name, reason: 'InvalidTrigger', message }];
    }),
  ];
}

function idOf({ namespace, name }: ObjectRef): string {
  return `${namespace}/${name}`;
}

function forgetOthers(hooks: Map<string, Resolved>, there: readonly EventListenerObject[]): void {
  const ids = new Set(there.map(({ meta }) => idOf(meta)));
  for (const id of hooks.keys()) if (!ids.has(id)) hooks.delete(id);
}
