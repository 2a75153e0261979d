/** What came to each hook of late, for whoever has to find out why nothing ran: in memory, bounded, without bodies and secrets. */
import type { ObjectRef } from '../kube/objects.ts';
import { plainText } from '../kube/plain.ts';
import type { FluxEvent } from './fluxevent.ts';
import type { TriggerResult } from './outcome.ts';

/** One delivery that came from somebody who may deliver. */
export interface Delivery {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Of the event, as its answer has it. */
  readonly id: string;
  readonly requestId: string;
  /** The address that it came from. */
  readonly client: string;
  /** What the header `Gotk-Component` said; anybody can write it. */
  readonly component: string | undefined;
  /** What it told, where it was an event of Flux. */
  readonly event: DeliveredEvent | undefined;
  readonly status: number;
  /** Why it was refused, in a sentence. */
  readonly problem: string | undefined;
  /** It was delivered a moment before, and nothing was done. */
  readonly isRepeat: boolean;
  readonly results: readonly TriggerResult[];
  readonly durationMs: number;
}

/** What is kept of an event. */
export interface DeliveredEvent {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly revision: string | undefined;
  readonly severity: string;
  readonly reason: string;
}

/** The past of a hook. */
export interface HookPast {
  /** The newest first. */
  readonly deliveries: readonly Delivery[];
  /** Attempts that were not let in, which are counted only: strangers must not push out what came from others. */
  readonly refused: { readonly count: number; readonly lastAt: number | undefined };
}

/** The past of all hooks, of this replica since it was started. */
export interface Deliveries {
  /** Keeps a delivery; long texts are cut. */
  add(hook: ObjectRef, delivery: Delivery): void;
  /** Counts an attempt at a hook that is there. */
  refuse(hook: ObjectRef, atMs: number): void;
  /** The past of a hook; an empty one where nothing has come. */
  of(hook: ObjectRef): HookPast;
}

const MOST_PER_HOOK = 100;
/** Hooks that are remembered; the one that is quiet for the longest is forgotten. */
const MOST_HOOKS = 2_000;
/** Of all deliveries together, as JSON. */
const MOST_BYTES = 16 * 1024 * 1024;
/** Of one text; those of more results than these are left out. */
const MOST_TEXT_BYTES = 512;
const MOST_RESULTS = 20;

interface Kept {
  readonly delivery: Delivery;
  readonly bytes: number;
}

/** Makes one that knows of nothing. `limits` are for tests. */
export function createDeliveries({ mostBytes = MOST_BYTES, mostHooks = MOST_HOOKS } = {}): Deliveries {
  /** Of each hook the oldest first; hooks in the order in which something came last. */
  const kept = new Map<string, Kept[]>();
  const refusals = new Map<string, { readonly count: number; readonly lastAt: number }>();
  let bytes = 0;

  const dropOldest = (key: string, deliveries: Kept[]): void => {
    bytes -= deliveries.shift()?.bytes ?? 0;
    if (deliveries.length === 0) kept.delete(key);
  };

  return {
    add(hook, delivery) {
      const key = keyOf(hook);
      const deliveries = kept.get(key) ?? [];
      const cut = cutShort(delivery);
      const size = JSON.stringify(cut).length;
      deliveries.push({ delivery: cut, bytes: size });
      bytes += size;
      kept.delete(key);
      kept.set(key, deliveries);
      if (deliveries.length > MOST_PER_HOOK) dropOldest(key, deliveries);
      for (const [quietest, theirs] of kept) {
        while (theirs.length > 0 && (kept.size > mostHooks || bytes > mostBytes)) dropOldest(quietest, theirs);
        if (kept.size <= mostHooks && bytes <= mostBytes) break;
      }
    },
    refuse(hook, atMs) {
      const key = keyOf(hook);
      const count = (refusals.get(key)?.count ?? 0) + 1;
      refusals.delete(key);
      refusals.set(key, { count, lastAt: atMs });
      const [oldest] = refusals.keys();
      if (refusals.size > mostHooks && oldest !== undefined) refusals.delete(oldest);
    },
    of(hook) {
      const key = keyOf(hook);
      const { count = 0, lastAt } = refusals.get(key) ?? {};
      return {
        deliveries: (kept.get(key) ?? []).map(({ delivery }) => delivery).reverse(),
        refused: { count, lastAt },
      };
    },
  };
}

/** What is kept of an event, with the revision that it tells. */
export function deliveredEvent(
  { involvedObject, severity, reason }: FluxEvent,
  revision: string | undefined,
): DeliveredEvent {
  const { kind, namespace, name } = involvedObject;
  return { kind, namespace, name, revision, severity, reason };
}

/** Texts of a sender are as long as they like. */
function cutShort(delivery: Delivery): Delivery {
  const { component, event, problem, results } = delivery;
  const short = (text: string) => plainText(text, MOST_TEXT_BYTES);
  return {
    ...delivery,
    component: component === undefined ? undefined : short(component),
    problem: problem === undefined ? undefined : short(problem),
    event: event && {
      ...event,
      revision: event.revision === undefined ? undefined : short(event.revision),
      severity: short(event.severity),
      reason: short(event.reason),
    },
    results: results
      .slice(0, MOST_RESULTS)
      .map((result) => (result.message === undefined ? result : { ...result, message: short(result.message) })),
  };
}

function keyOf({ namespace, name }: ObjectRef): string {
  return `${namespace}/${name}`;
}
