/**
 * What was delivered a moment ago: a sender that heard no answer, or two Alerts with one Provider, deliver the same bytes
 * twice. Kept in memory only, to spare the API server: what keeps a run from being made twice is its name.
 */
import type { Clock } from '../clock.ts';
import type { TriggerResult } from './outcome.ts';

/** What became of a delivery. */
export interface Replayed {
  /** Those of the same delivery before this one count as done: what was `created` then is a `duplicate` now. */
  readonly results: readonly TriggerResult[];
  readonly isRepeat: boolean;
}

/** Deliveries that are under way, and those of the last minutes. */
export interface Replay {
  /**
   * The results of `work`, or of an earlier delivery of the same `identity`; of several at the same time one does the work.
   * Rejects with what `work` rejects with, and remembers nothing then; nor does it where a trigger was `unavailable`.
   */
  once(identity: string, work: () => Promise<readonly TriggerResult[]>): Promise<Replayed>;
}

/** Runs that are there stay there. */
const KEPT_MS = 15 * 60_000;
/**
 * Whatever else came of a delivery may come out otherwise the next time: a source shows its revision, a role is put right.
 * So long it only joins what is sent several times at once.
 */
const KEPT_SHORTLY_MS = 30_000;
/** 15 minutes of twenty deliveries in a second. */
const MOST_KEPT = 20_000;
/** Of all results together, as JSON. */
const MOST_KEPT_BYTES = 8 * 1024 * 1024;

interface Kept {
  readonly results: readonly TriggerResult[];
  readonly bytes: number;
  readonly untilMs: number;
}

/** Makes one that remembers nothing yet. */
export function createReplay(clock: Pick<Clock, 'steady'>): Replay {
  /** In the order in which they came. */
  const kept = new Map<string, Kept>();
  const underWay = new Map<string, Promise<readonly TriggerResult[]>>();
  let bytes = 0;

  const forget = (identity: string): void => {
    bytes -= kept.get(identity)?.bytes ?? 0;
    kept.delete(identity);
  };
  const keep = (identity: string, results: readonly TriggerResult[]): void => {
    if (results.some(({ outcome }) => outcome === 'unavailable')) return;
    forget(identity);
    const isMade = results.every(({ outcome }) => outcome === 'created' || outcome === 'duplicate');
    const size = JSON.stringify(results).length;
    kept.set(identity, {
      results,
      bytes: size,
      untilMs: clock.steady() + (isMade ? KEPT_MS : KEPT_SHORTLY_MS),
    });
    bytes += size;
    for (const oldest of kept.keys()) {
      if (kept.size <= MOST_KEPT && bytes <= MOST_KEPT_BYTES) break;
      forget(oldest);
    }
  };

  return {
    async once(identity, work) {
      const known = kept.get(identity);
      if (known !== undefined && clock.steady() < known.untilMs) return repeated(known.results);
      const running = underWay.get(identity);
      if (running !== undefined) return repeated(await running);
      // Kept before it is over: in between, the same delivery would be neither under way nor known.
      const own = (async () => {
        try {
          const results = await work();
          keep(identity, results);
          return results;
        } finally {
          underWay.delete(identity);
        }
      })();
      underWay.set(identity, own);
      return { results: await own, isRepeat: false };
    },
  };
}

function repeated(results: readonly TriggerResult[]): Replayed {
  return {
    results: results.map((result) => (result.outcome === 'created' ? { ...result, outcome: 'duplicate' } : result)),
    isRepeat: true,
  };
}
