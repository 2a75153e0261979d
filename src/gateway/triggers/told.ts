/** Triggers written down: pages of them and single ones, at once or when something has changed. */
import { setImmediate } from 'node:timers/promises';
import { Fault } from '../../fault.ts';
import { runItem } from '../../tekton/runlist.ts';
import { isSettled, triggerItem } from '../../triggers/item.ts';
import type { TriggerSummary } from '../../triggers/summary.ts';
import { JsonBody } from '../compression.ts';
import { tagFrom } from '../etag.ts';
import type { Waiting } from '../facts/gather.ts';
import type { Triggers, TriggersMeant, TriggersSeen } from '../facts/triggers.ts';
import { compareRefs, continueBehind, type TriggerQuery } from './triggerquery.ts';

/** Answers kept for those who ask for the same: dashboards of one team look at the same list. */
const MOST_KEPT = 32;
/** Where nothing is watched, whoever waits looks again so often. */
const LOOK_AGAIN_MS = 5_000;

/** An answer. */
export interface Told {
  readonly tag: string;
  readonly body: JsonBody;
  /** Of a page: there is something on it. Of one trigger: nothing is under way or waited for. */
  readonly isWorthWaitingFor: boolean;
}

/** What is asked for: which triggers, and how they are written down; undefined: there is none. */
export interface Asked {
  readonly meant: TriggersMeant;
  /** Equal where the same answer is meant. */
  readonly key: string;
  write(seen: TriggersSeen): Told | undefined;
}

/** A page of triggers. */
export function askedPage(meant: Pick<TriggersMeant, 'namespaces'>, query: TriggerQuery): Asked {
  const { isMeant, after, runs, limit, list } = query;
  return {
    meant: { ...meant, withRuns: runs > 0 },
    key: JSON.stringify(['page', meant.namespaces, list, after, runs, limit]),
    write(seen) {
      const behind = [...seen.triggers()]
        .filter((trigger) => (after === undefined || compareRefs(trigger.meta, after) > 0) && isMeant(trigger))
        .sort((a, b) => compareRefs(a.meta, b.meta));
      const page = behind.slice(0, limit);
      const last = page.at(-1);
      return told(
        {
          items: page.map((trigger) => written(trigger, seen, runs)),
          served: seen.isServed,
          ...(behind.length > limit && last !== undefined ? { continue: continueBehind(last.meta, list) } : {}),
        },
        page.length > 0,
      );
    },
  };
}

/** One trigger. */
export function askedTrigger({ namespace, name }: { namespace: string; name: string }, runs: number): Asked {
  return {
    meant: { namespaces: [namespace], name, withRuns: runs > 0 },
    key: JSON.stringify(['one', namespace, name, runs]),
    write(seen) {
      const [trigger] = seen.triggers();
      return trigger && told(written(trigger, seen, runs), isSettled(trigger));
    },
  };
}

function written(trigger: TriggerSummary, seen: TriggersSeen, runs: number): object {
  return { ...triggerItem(trigger), runs: seen.runsOf(trigger, runs).map(runItem) };
}

/** The tag is that of the text, so that it is the same on every replica, and changes with nothing that is not told. */
function told(answer: object, isWorthWaitingFor: boolean): Told {
  const text = JSON.stringify(answer);
  const tag = tagFrom([text]);
  return { tag, body: new JsonBody(text, ['ETag', tag]), isWorthWaitingFor };
}

/** Answers, found or waited for. */
export interface Teller {
  /** Faults: as `Triggers.read`; `not-found` where there is no such trigger. */
  tell(asked: Asked, signal: AbortSignal): Promise<Told>;
  /**
   * As `tell`, when `isWorth` an answer, or the waiting is over. One that is not there is waited for too, one that goes
   * meanwhile is not. Fault `draining` when the waiting was ended before anything was worth telling.
   */
  tellWhen(asked: Asked, waiting: Waiting, isWorth: (told: Told) => boolean): Promise<Told>;
}

/** Tells of `triggers`. What several ask for while nothing changes is written, and compressed, once. */
export function createTeller(triggers: Triggers): Teller {
  const kept = new Map<string, Told>();
  let revision = 0;

  const look = async ({ meant, key, write }: Asked, signal: AbortSignal): Promise<Told | Fault> => {
    const seen = await triggers.read(meant, signal);
    if (seen.revision !== revision) kept.clear();
    revision = seen.revision;
    const found = kept.get(key) ?? write(seen);
    if (found === undefined) return missing(seen);
    kept.delete(key);
    kept.set(key, found);
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value ?? '');
    return found;
  };
  const stopped = () => new Fault('draining', 'this replica is stopping; ask again');

  return {
    async tell(asked, signal) {
      const found = await look(asked, signal);
      if (found instanceof Fault) throw found;
      return found;
    },
    async tellWhen(asked, waiting, isWorth) {
      for (let wasThere = false; ; ) {
        const rung = new AbortController();
        const ring = () => rung.abort();
        // Before anything is read, so that nothing happens unheard in between.
        const unsubscribe = triggers.subscribe(asked.meant, ring);
        waiting.signal.addEventListener('abort', ring, { once: true });
        try {
          const found = await look(asked, waiting.signal).catch((error: unknown) => {
            // Of callers who have gone nobody hears it.
            throw waiting.signal.aborted ? stopped() : error;
          });
          const isThere = !(found instanceof Fault);
          if (isThere && isWorth(found)) return found;
          if (waiting.signal.aborted) throw stopped();
          const { forMs } = waiting;
          if (!isThere && (wasThere || forMs <= 0)) throw found;
          if (isThere && forMs <= 0) return found;
          wasThere ||= isThere;
          await waiting.sleep(unsubscribe === undefined ? Math.min(forMs, LOOK_AGAIN_MS) : forMs, rung.signal);
          // All changes of one turn of the event loop are one.
          await setImmediate();
        } finally {
          unsubscribe?.();
          waiting.signal.removeEventListener('abort', ring);
        }
      }
    },
  };
}

function missing({ isServed }: TriggersSeen): Fault {
  return new Fault('not-found', isServed ? 'trigger not found' : 'trigger not found: this cluster has none');
}
