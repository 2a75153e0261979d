/** PipelineTriggers made true: the loop that looks at one, decides, writes, and looks again until nothing is left to do. */
import { Fault } from '../../fault.ts';
import { createController } from '../../kube/controller.ts';
import type { Leadership } from '../../kube/lease.ts';
import { type ObjectRef, present } from '../../kube/objects.ts';
import { WriteFault } from '../../kube/writer.ts';
import type { Part } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import { hangBells } from './bells.ts';
import type { TriggerCaches } from './caches.ts';
import { decide } from './decide.ts';
import { LOOK_MS, type TriggerFacts } from './facts.ts';
import type { FluxLook } from './fluxlook.ts';
import { freshMemory, type GatherParts, gather, latestOf, type Memory, readTrigger } from './gather.ts';
import { carryOut, type PerformParts, putAway, WARN_AGAIN_MS, warn, writeStatusOf } from './perform.ts';
import type { PipelineTrigger } from './resource.ts';

/** What the controller needs. Its caches and its leadership are parts above it. */
export interface TriggersParts extends GatherParts, PerformParts {
  readonly caches: TriggerCaches;
  readonly leadership: Leadership;
  /** Asked before a run by hand, where a source may hold something newer than it reports. */
  readonly fluxLook: FluxLook;
  /** Calls back with each ManagedCredential that changes; returns the end of that. */
  readonly credentialChanges?: (changed: (credential: ObjectRef) => void) => () => void;
  readonly random: () => number;
  readonly log: Log;
}

/** The controller, and a bell for those who are told of events. */
export interface Triggers extends Part {
  /**
   * Looks at a trigger soon, and asks the API server for its source: the watch may lag. False: this process does not lead, or knows no
   * such trigger, and nothing was done.
   */
  ring(trigger: ObjectRef): boolean;
  /** Resolves when no trigger waits for its run to be started; after two seconds in any case. */
  calm(): Promise<void>;
  /** Whether all triggers there are in the namespaces that are looked after are known. */
  isComplete(): boolean;
}

/** When a source is asked that an event told of: at once, since what it told was held against the source before. */
const LOOKS_MS = { Success: [0], Failure: [0, 1_000, 4_000, 15_000] } as const;

/** Two looks write down an intent and what comes of it; more follow conflicts. What goes on longer goes round. */
const MOST_STEPS = 50;

/** After so many creates others have their turn: a pull request may have hundreds of branches. */
const MOST_ORDERS = 25;

/** A part that could not begin by then is told of. */
const IDLE_MS = 10_000;

/** What is logged of an order, by what came of it. */
const OUTCOMES = {
  run: 'a run was started',
  refused: 'a run could not be started',
  elsewhere: 'a run is on the second cluster',
} as const;

/** The controller as a part of the process; its stop waits for what is being written. */
export function createTriggers(parts: TriggersParts): Triggers {
  const { caches, reader, clock, random, log, metrics, leadership, credentialChanges } = parts;
  const memories = new Map<string, Memory>();
  const stopped = new AbortController();
  let isFilled = false;
  let takeDown = () => {};
  let endOfLeading = () => {};

  const memoryOf = ({ meta: { uid } }: PipelineTrigger): Memory => {
    const known = memories.get(uid) ?? freshMemory(uid);
    memories.set(uid, known);
    return known;
  };

  const remember = (memory: Memory, before: PipelineTrigger, after: PipelineTrigger) => {
    const over = new Set([...(memory.written?.over ?? []), before.meta.resourceVersion]);
    memory.written = { trigger: after, over };
    memory.live = after.meta.resourceVersion;
  };

  /** Whether it is known by now that there is no such trigger any more, though there may be another one of its name. */
  const isGone = ({ meta }: PipelineTrigger) => caches.triggers.get(meta)?.meta.uid !== meta.uid;

  const reconcile = async (key: ObjectRef, signal: AbortSignal) => {
    const kept = caches.triggers.get(key);
    if (kept === undefined) return {};
    // Where runs may not be listed nothing is started: what became of it would not be seen. `onLate` rings when they can be.
    if (!caches.isComplete(key.namespace)) return {};
    const memory = memoryOf(kept);
    let isNews = false;
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      const trigger = latestOf(kept, memory);
      if (isGone(trigger)) return {};
      // Garbage collection takes its runs; there is nothing more to say.
      if (trigger.meta.deleting !== undefined) return {};
      const now = clock.now();
      const facts = await gather(trigger, memory, parts, { now, steady: clock.steady() }, signal);
      const decision = decide(facts);
      try {
        const written = await writeStatusOf(trigger, decision.status, parts, signal);
        if (written !== undefined) {
          remember(memory, trigger, written);
          isNews = true;
          continue;
        }
      } catch (error) {
        if (!(error instanceof Fault) || error.code !== 'conflict') {
          if (error instanceof WriteFault && error.code === 'refused') {
            warn(trigger, `the status cannot be written: ${error.said || error.message}`, parts);
          }
          throw error;
        }
        // Somebody wrote first, or the watch lags: what counts is what is there now.
        const fresh = await readTrigger(reader, key, signal);
        if (fresh === undefined || fresh.meta.uid !== kept.meta.uid) return {};
        remember(memory, trigger, fresh);
        continue;
      }
      if (decision.warning !== undefined && isWorthTelling(decision.warning, memory, isNews, now)) {
        warn(trigger, decision.warning, parts);
        log.warn('a trigger needs to be looked at', {
          namespace: key.namespace,
          trigger: key.name,
          problem: decision.warning,
        });
      }
      if (!signal.aborted && !isGone(trigger)) metrics.triggerCondition(key, decision.series);
      if (decision.done.length > 0) await putAway(decision.done, trigger, parts, signal);
      if (decision.asksFlux) {
        const look = await askFlux(facts, signal);
        if (look !== undefined) memory.look = look;
        continue;
      }
      if (decision.orders.length === 0) return present({ againMs: soonest(decision.againMs, memory) });
      const { spec } = trigger;
      if ('mistakes' in spec) return {}; // gives no orders
      // A watch that lags may tell of an intent whose run has been made, has ended and has been deleted since.
      if (memory.live !== trigger.meta.resourceVersion) {
        const fresh = await readTrigger(reader, key, signal);
        if (fresh === undefined || fresh.meta.uid !== kept.meta.uid) return {};
        remember(memory, trigger, fresh);
        if (fresh.meta.resourceVersion !== trigger.meta.resourceVersion) continue;
      }
      for (const order of decision.orders.slice(0, MOST_ORDERS)) {
        if (isGone(trigger)) return {};
        const tried = await carryOut(order, trigger, spec, memory, parts, signal);
        memory.tried.set(order.event.line, tried);
        log.info(OUTCOMES[tried.came], {
          namespace: key.namespace,
          trigger: key.name,
          event: order.event.raw,
          sequence: order.sequence,
          attempt: order.attempt,
          run: tried.came === 'run' ? tried.run : undefined,
          problem: tried.came === 'run' ? undefined : tried.message,
        });
      }
      // What came of it is written down when those have had their turn who wait for their run: many revisions can come at once.
      return { last: true };
    }
    throw new Fault('internal', 'a trigger does not come to rest');
  };

  /** Flux tells of a failure before it writes it down, and then takes its time. */
  const lookAgain = (trigger: PipelineTrigger): void => {
    const steady = clock.steady();
    const on = 'mistakes' in trigger.spec ? 'Success' : trigger.spec.hook.on;
    memoryOf(trigger).looksAt = LOOKS_MS[on].map((ms) => steady + ms);
    controller.ring(trigger.meta);
  };

  const soonest = (againMs: number | undefined, { looksAt }: Memory): number | undefined => {
    if (looksAt.length === 0) return againMs;
    return Math.min(againMs ?? Number.POSITIVE_INFINITY, Math.max(0, Math.min(...looksAt) - clock.steady()));
  };

  const askFlux = async ({ trigger, source }: TriggerFacts, signal: AbortSignal): Promise<Memory['look']> => {
    const { runAt, spec, meta } = trigger;
    if (runAt === undefined || 'trouble' in source) return undefined;
    const ref = { namespace: meta.namespace, name: spec.source.name };
    const isAsked = await parts.fluxLook.ask(source.kind, ref, runAt, signal);
    return { runAt, handledBefore: source.handledReconcileAt, untilMs: clock.now() + (isAsked ? LOOK_MS : 0) };
  };

  const controller = createController({
    name: 'triggers',
    reconcile,
    keys: () => refsOf(caches.triggers.values()),
    leadership,
    clock,
    random,
    log,
    metrics,
  });

  /** A part that cannot do its work says so once, and what would help. */
  const tellIfIdle = async (filled: Promise<void>): Promise<void> => {
    const inTime = await Promise.race([
      filled.then(() => true),
      clock.sleep(IDLE_MS, stopped.signal).then(() => false),
    ]);
    if (stopped.signal.aborted) return;
    if (!inTime) {
      const [problem] = caches.problems();
      log.warn(
        'triggers are not looked after so far; where rights are missing apply k8s/components/triggers, or leave triggers out of PARTS',
        { problem },
      );
      await filled;
      if (!stopped.signal.aborted) log.info('triggers are looked after now');
    } else if (!caches.isServed()) {
      log.warn('this cluster has no PipelineTriggers: apply k8s/crds, or leave triggers out of PARTS');
    }
  };

  return {
    name: 'triggers',
    ring(ref) {
      const trigger = caches.triggers.get(ref);
      if (trigger === undefined || !leadership.held()) return false;
      lookAgain(trigger);
      return true;
    },
    calm: controller.calm,
    isComplete: () => isFilled,
    async start() {
      takeDown = hangBells({
        caches,
        ring: (trigger) => controller.ring(trigger),
        ringLast: (trigger) => controller.ringLast(trigger),
        rang: (ref) => {
          const trigger = caches.triggers.get(ref);
          if (trigger !== undefined && leadership.held()) lookAgain(trigger);
        },
        gone: ({ meta }) => {
          controller.forget(meta);
          memories.delete(meta.uid);
          metrics.triggerGone(meta);
        },
        runGone: (ref, run) => {
          const trigger = caches.triggers.get(ref);
          if (trigger === undefined) return;
          const memory = memoryOf(trigger);
          memory.made.delete(run);
          // A name that was taken may be free now.
          for (const [line, tried] of memory.tried) {
            if (tried.came === 'refused' && tried.taken === run) memory.tried.delete(line);
          }
        },
        ...(credentialChanges === undefined ? {} : { credentials: credentialChanges }),
      });
      // Whoever leads next tells of conditions; ours would stand still beside them.
      endOfLeading = leadership.subscribe((held) => {
        if (!held) for (const key of refsOf(caches.triggers.values())) metrics.triggerGone(key);
      });
      // What is not known yet would be taken for missing.
      const filled = caches.filled(stopped.signal).then(
        () => {
          isFilled = true;
          return controller.start();
        },
        () => {},
      );
      void tellIfIdle(filled);
      caches.onLate(() => {
        for (const key of refsOf(caches.triggers.values())) controller.ring(key);
      });
    },
    async stop(signal) {
      stopped.abort();
      takeDown();
      endOfLeading();
      await controller.stop(signal);
    },
  };
}

/**
 * Whether a warning is news, or long known. One that stands in the status when a process first looks was told by whoever wrote it
 * there: a restart must not tell of everything again.
 */
function isWorthTelling(message: string, memory: Memory, isNews: boolean, now: number): boolean {
  const known = memory.warned;
  const isDue = isNews || (known?.message === message && now - known.at >= WARN_AGAIN_MS);
  if (isDue || known?.message !== message) memory.warned = { message, at: now };
  return isDue;
}

function* refsOf(triggers: Iterable<PipelineTrigger>): Iterable<ObjectRef> {
  for (const { meta } of triggers) yield { namespace: meta.namespace, name: meta.name };
}
