/** Pages of runs: found in an index, or gathered from the cluster where nothing is kept; at once, or when one has changed. */
import { setImmediate } from 'node:timers/promises';
import { Fault } from '../../fault.ts';
import { comparePlaces, placeOf, type RunPlace, runItem } from '../../tekton/runlist.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { JsonBody } from '../compression.ts';
import { tagFrom } from '../etag.ts';
import type { Runs, Waiting } from '../facts/gather.ts';
import { SharedWork } from '../sharedwork.ts';
import { createRunIndex, type RunIndex, type Scope } from './runindex.ts';
import { continueAt, type ListQuery } from './runquery.ts';

/** Runs that are looked at between two turns of the event loop, and how long that may take: selectors cost what they say. */
const LARGEST_SLICE = 2_000;
const LONGEST_SLICE_MS = 10;
/** Pages kept for those who ask for the same: dashboards of one team look at the same list. */
const MOST_PAGES = 32;
/** Where nothing is watched, whoever waits for a list looks again so often. */
const LOOK_AGAIN_MS = 5_000;

/** A page on its way, or made: for all who ask for the same while nothing changes. */
interface Making {
  readonly revision: number;
  readonly page: SharedWork<Page>;
}

/** A page, written down. */
export interface Page {
  readonly tag: string;
  readonly body: JsonBody;
  readonly isEmpty: boolean;
}

/** Pages of lists, found or waited for. */
export interface Pages {
  /**
   * Faults: `unavailable` while the stores cannot be believed; where nothing is watched, those of asking the cluster. Rejects
   * with the reason of `signal` when that aborts first.
   */
  read(scope: Scope, query: ListQuery, signal: AbortSignal): Promise<Page>;
  /** As `read`, when `isWorth` a page, or the waiting is over. Fault `draining` when that was over before there was a page. */
  readWhen(scope: Scope, query: ListQuery, waiting: Waiting, isWorth: (page: Page) => boolean): Promise<Page>;
}

/** Pages of `runs`, with an index of them where they are kept. */
export function createPages(runs: Runs): Pages {
  const index = runs.all === undefined ? undefined : createRunIndex(runs.all);
  const kept = new Map<string, Making>();
  const turn = createTurns();

  const make = async (scope: Scope, query: ListQuery, signal: AbortSignal): Promise<Page> => {
    const { order, after } = query;
    if (index === undefined) return pageOf(await gathered(fetched(runs, scope, signal), query), query);
    // In the order of creation the page is somewhere in a row; in any other all runs have to be seen.
    const found =
      order.by === 'created'
        ? await inRow(walk(index, { scope, descending: order.descending, after, turn, signal }), query)
        : await gathered(walk(index, { scope, descending: false, after: undefined, turn, signal }), query);
    return pageOf(found, query);
  };

  const read: Pages['read'] = (scope, query, signal) => {
    for (const namespace of scope === 'all' ? [''] : scope) runs.requireFresh(namespace);
    if (index === undefined) return make(scope, query, signal);
    const revision = index.revision(scope);
    const key = JSON.stringify([scope, query.list, query.limit, query.after]);
    const before = kept.get(key);
    kept.delete(key);
    const isGood = before?.revision === revision && !before.page.isGivenUp;
    const making = isGood ? before : { revision, page: new SharedWork((over) => make(scope, query, over)) };
    kept.set(key, making);
    making.page.onFailure(() => {
      if (kept.get(key) === making) kept.delete(key);
    });
    if (kept.size > MOST_PAGES) kept.delete(kept.keys().next().value ?? '');
    return making.page.read(signal);
  };

  return {
    read,
    async readWhen(scope, query, waiting, isWorth) {
      for (;;) {
        const rung = new AbortController();
        const stop = () => rung.abort();
        const concerns = (run: PipelineRun | undefined) => run !== undefined && query.isMeant(run);
        // Before the page is read, so that nothing happens unheard in between.
        const unsubscribe = index?.subscribe(scope, ({ before, after }) => {
          if (concerns(before) || concerns(after)) stop();
        });
        waiting.signal.addEventListener('abort', stop, { once: true });
        try {
          const page = await read(scope, query, waiting.signal).catch((error: unknown) => {
            // Of callers who have gone nobody hears it.
            if (waiting.signal.aborted) throw new Fault('draining', 'this replica is stopping; ask again');
            throw error;
          });
          const { forMs } = waiting;
          if (isWorth(page) || forMs <= 0 || waiting.signal.aborted) return page;
          await waiting.sleep(index === undefined ? Math.min(forMs, LOOK_AGAIN_MS) : forMs, rung.signal);
          // All changes of one turn of the event loop are one.
          await setImmediate();
        } finally {
          unsubscribe?.();
          waiting.signal.removeEventListener('abort', stop);
        }
      }
    },
  };
}

/** What is on a page, and whether there is more behind it. */
interface Found {
  readonly runs: readonly PipelineRun[];
  readonly isLast: boolean;
}

function pageOf({ runs, isLast }: Found, { order, list }: ListQuery): Page {
  const last = runs.at(-1);
  const next = isLast || last === undefined ? undefined : continueAt(placeOf(last, order.by), list);
  const tag = tagFrom([list, next ?? '', ...runs.map(({ meta }) => `${meta.uid} ${meta.resourceVersion}`)]);
  const text = JSON.stringify({ items: runs.map(runItem), ...(next === undefined ? {} : { continue: next }) });
  return { tag, body: new JsonBody(text, ['ETag', tag]), isEmpty: runs.length === 0 };
}

/** The page in runs that come in its order, from behind its place on. */
async function inRow(slices: AsyncIterable<readonly PipelineRun[]>, { isMeant, limit }: ListQuery): Promise<Found> {
  const runs: PipelineRun[] = [];
  for await (const slice of slices) {
    for (const run of slice) {
      if (!isMeant(run)) continue;
      if (runs.length === limit) return { runs, isLast: false };
      runs.push(run);
    }
  }
  return { runs, isLast: true };
}

/** The page in runs that come in any order: all are seen, a page of them is held. */
async function gathered(slices: AsyncIterable<readonly PipelineRun[]>, query: ListQuery): Promise<Found> {
  const { isMeant, order, after, limit } = query;
  const best: { readonly run: PipelineRun; readonly place: RunPlace }[] = [];
  for await (const slice of slices) {
    for (const run of slice) {
      const place = placeOf(run, order.by);
      const isBefore = (other: RunPlace) => comparePlaces(place, other, order.descending) < 0;
      if (after !== undefined && (isBefore(after) || place.uid === after.uid)) continue;
      const last = best[limit];
      if ((last !== undefined && !isBefore(last.place)) || !isMeant(run)) continue;
      let [low, high] = [0, best.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        const other = best[middle];
        if (other !== undefined && isBefore(other.place)) high = middle;
        else low = middle + 1;
      }
      best.splice(low, 0, { run, place });
      // One more than a page, which says that there is another one.
      if (best.length > limit + 1) best.pop();
    }
  }
  return { runs: best.slice(0, limit).map(({ run }) => run), isLast: best.length <= limit };
}

/** Hands out turns of the event loop, one after another: however many lists are looked through, others wait for a slice. */
function createTurns(): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return () => {
    last = last.then(() => setImmediate());
    return last;
  };
}

/** How to walk: from behind `after`, a slice each turn. */
interface Way {
  readonly scope: Scope;
  readonly descending: boolean;
  readonly after: RunPlace | undefined;
  readonly turn: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** The runs of an index from behind a place on, in slices between which the event loop turns. */
async function* walk(index: RunIndex, way: Way): AsyncGenerator<readonly PipelineRun[]> {
  const { scope, descending, turn, signal } = way;
  let { after } = way;
  // Most pages are found in the first few runs.
  for (let count = 64; ; ) {
    const beganAt = performance.now();
    const slice = index.next(scope, { descending, after, count });
    yield slice;
    const last = slice.at(-1);
    if (last === undefined || slice.length < count) return;
    after = placeOf(last, 'created');
    const tookMs = performance.now() - beganAt;
    count = tookMs > LONGEST_SLICE_MS ? Math.max(16, count >> 1) : Math.min(LARGEST_SLICE, count * 2);
    await turn();
    signal.throwIfAborted();
  }
}

async function* fetched(runs: Runs, scope: Scope, signal: AbortSignal): AsyncGenerator<readonly PipelineRun[]> {
  for (const namespace of scope === 'all' ? [''] : scope) yield* runs.list(namespace, signal);
}
