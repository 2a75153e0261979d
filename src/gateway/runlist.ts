/** `GET /runs` and `/runs/:namespace`: pages of runs that stay whole while runs come and go. */
import { setImmediate } from 'node:timers/promises';
import type { Request, Response } from 'express';
import { Fault } from '../fault.ts';
import {
  comparePlaces,
  filterOf,
  placeOf,
  type RunOrder,
  type RunPlace,
  runItem,
  SORT_KEYS,
  type SortKey,
} from '../tekton/runlist.ts';
import { readSelector } from '../tekton/selector.ts';
import type { PipelineRun } from '../tekton/types.ts';
import { requireRead, type ServedNamespaces } from './auth.ts';
import type { Caller } from './callers.ts';
import { JsonBody, sendBody, sendUnchanged } from './compression.ts';
import { matches, tagFrom } from './etag.ts';
import type { Runs, Waiting } from './gather.ts';
import { callerOf } from './notes.ts';
import { type Operation, type Route, whereReading } from './operation.ts';
import {
  instant,
  listOption,
  namespaceOf,
  type OptionKind,
  type OptionValues,
  objectName,
  option,
  optionReader,
  patterned,
  wholeNumber,
  word,
} from './options.ts';
import { createRunIndex, type RunIndex, type Scope } from './runindex.ts';
import { runListSchema } from './schemas/runs.ts';
import { patiently, type WaitingParts } from './waiting.ts';

/** What the routes are made of. */
export interface RunListParts extends WaitingParts {
  readonly runs: Runs;
  readonly served: ServedNamespaces;
  readonly maxWaitSeconds: number;
}

const LARGEST_PAGE = 500;
/** Runs that are looked at between two turns of the event loop: a few milliseconds of work. */
const SLICE = 2_000;
/** Pages kept for those who ask for the same: dashboards of one team look at the same list. */
const MOST_PAGES = 32;
/** Where nothing is watched, whoever waits for a list looks again so often. */
const LOOK_AGAIN_MS = 5_000;
const LONGEST_SELECTOR = 4_096;
const LONGEST_CONTINUE = 1_024;

const labelSelector: OptionKind<{ readonly text: string; readonly selects: ReturnType<typeof filterOf> }> = {
  allowed: `a label selector of at most ${LONGEST_SELECTOR} characters`,
  schema: {
    type: 'string',
    maxLength: LONGEST_SELECTOR,
    description: 'a label selector, as `kubectl -l` takes it',
    examples: ['team=a,tier in (web,db),!canary'],
  },
  read(text) {
    if (text.length > LONGEST_SELECTOR) return undefined;
    const reading = readSelector(text);
    if (!reading.ok) {
      throw new Fault('bad-request', `option labelSelector is wrong at character ${reading.at}: ${reading.wrong}`);
    }
    return { text, selects: ({ meta }) => reading.selects(meta.labels) };
  },
};

const SORTS = SORT_KEYS.flatMap((key) => [key, `-${key}`] as const);

/** The options of `/runs`, as docs/api.md lists them. */
export function runListOptions(maxWaitSeconds: number) {
  return {
    pipeline: option(objectName, undefined, 'Only runs of this pipeline'),
    phase: listOption(
      word('pending', 'running', 'succeeded', 'failed', 'cancelled', 'timedout'),
      'Only runs in one of these phases',
    ),
    labelSelector: option(
      labelSelector,
      undefined,
      'Only runs with these labels, as `kubectl -l` takes them: `team=a,tier in (web,db),!canary`',
    ),
    eventId: option(
      patterned(/^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/, 63, 'an id of letters, digits, "-", "_" and "."'),
      undefined,
      "Only runs of this event: by Tekton Triggers' label, or because their name ends with `-` and the id",
    ),
    name: option(
      patterned(/^[a-z0-9][-a-z0-9.]*$/, 63, 'the beginning of a name: lower case letters, digits, "-" and "."'),
      undefined,
      'Only runs whose name begins so',
    ),
    createdAfter: option(instant, undefined, 'Only runs created then or later'),
    createdBefore: option(instant, undefined, 'Only runs created earlier'),
    sort: option(
      word(...SORTS),
      '-created',
      'By what, `-` for the largest first. Runs that have not completed come last in both orders of `completed`',
    ),
    limit: option(wholeNumber({ from: 1, to: LARGEST_PAGE }), 50, 'Runs on a page'),
    continue: option(
      patterned(/^[A-Za-z0-9_-]+$/, LONGEST_CONTINUE, 'what a page before this one had as `continue`'),
      undefined,
      'The page behind the one that had this as `continue`; the other options as there, but for `limit`',
    ),
    wait: option(
      wholeNumber({ from: 0, to: maxWaitSeconds }),
      0,
      'Seconds: answers when there is at least one such run, or at the deadline. With `If-None-Match`: when the page has changed',
    ),
  };
}

type ListWish = OptionValues<ReturnType<typeof runListOptions>>;

function listOperation(maxWaitSeconds: number, where: Pick<Operation, 'id' | 'path' | 'summary' | 'problems'>) {
  return {
    ...where,
    tag: 'runs',
    description:
      'Newest first unless told otherwise, a page at a time. Runs that are created meanwhile never make another one appear twice or be left out. The newest run of a pipeline is `limit=1&pipeline=NAME`.',
    options: runListOptions(maxWaitSeconds),
    headers: ['If-None-Match', 'Accept-Encoding'],
    answers: {
      200: {
        description: 'The page',
        headers: ['ETag', 'Vary', 'Content-Encoding'],
        content: { 'application/json': { schema: runListSchema } },
      },
      304: { description: 'The page has not changed', headers: ['ETag', 'Vary'] },
    },
  } as const satisfies Operation;
}

/** `/runs` as a value. */
export function everyRunOperation(maxWaitSeconds: number) {
  return listOperation(maxWaitSeconds, {
    id: 'listAllRuns',
    path: '/runs',
    summary: 'The runs of every namespace that is open to the caller',
    problems: whereReading.filter((code) => code !== 'not-found' && code !== 'forbidden'),
  });
}

/** `/runs/:namespace` as a value. */
export function runListOperation(maxWaitSeconds: number) {
  return listOperation(maxWaitSeconds, {
    id: 'listRuns',
    path: '/runs/:namespace',
    summary: 'The runs of a namespace',
    problems: whereReading.filter((code) => code !== 'not-found'),
  });
}

/** Routes `/runs` and `/runs/:namespace`. */
export function runListRoutes(parts: RunListParts): readonly Route[] {
  const { runs, served, maxWaitSeconds } = parts;
  const read = optionReader(runListOptions(maxWaitSeconds));
  const pages = createPages(runs);

  const send = (request: Request, response: Response, { tag, body }: Page): Promise<void> | void => {
    const known = request.headers['if-none-match'];
    if (known !== undefined && matches(known, tag)) sendUnchanged(request, response, body.about);
    else return sendBody(request, response, 200, body);
  };

  const answer = async (request: Request, response: Response, scope: Scope): Promise<void> => {
    const query = queryOf(read(request.url));
    const { waitSeconds } = query;
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    if (waitSeconds === 0) {
      const page = await pages.read(scope, query, gone.signal);
      if (!response.destroyed) await send(request, response, page);
      return;
    }
    const known = request.headers['if-none-match'];
    const isWorthSending = ({ tag, isEmpty }: Page) => (known === undefined ? !isEmpty : !matches(known, tag));
    await patiently(request, response, waitSeconds, parts, async (waiting) => {
      const page = await pages.readWhen(scope, query, waiting, isWorthSending);
      if (response.destroyed) return;
      if (parts.draining.aborted && !isWorthSending(page)) {
        throw new Fault('draining', 'this replica is stopping; ask again');
      }
      await send(request, response, page);
    });
  };

  return [
    {
      operation: everyRunOperation(maxWaitSeconds),
      handler: (request, response) => answer(request, response, scopeOf(callerOf(request), served)),
    },
    {
      operation: runListOperation(maxWaitSeconds),
      handler: (request, response) => {
        const namespace = namespaceOf(request.params);
        requireRead(callerOf(request), namespace, served);
        return answer(request, response, [namespace]);
      },
    },
  ];
}

/** Every namespace that a caller may read. */
function scopeOf({ namespaces }: Caller, served: ServedNamespaces): Scope {
  if (namespaces === 'all served') return served === '*' ? 'all' : served;
  return served === '*' ? namespaces : namespaces.filter((namespace) => served.includes(namespace));
}

/** What a request asks for, ready to be looked for. */
interface ListQuery {
  readonly isMeant: (run: PipelineRun) => boolean;
  readonly order: RunOrder;
  readonly after: RunPlace | undefined;
  readonly limit: number;
  readonly waitSeconds: number;
  /** Equal for two requests that mean the same runs in the same order, whatever the page. */
  readonly list: string;
}

/** Faults: `bad-request` for a `continue` of another list. */
function queryOf(wish: ListWish): ListQuery {
  const { pipeline, phase, labelSelector, eventId, name, createdAfter, createdBefore, sort, limit } = wish;
  const order: RunOrder = { by: sort.replace('-', '') as SortKey, descending: sort.startsWith('-') }; // a word of SORTS
  const asked = [pipeline, phase, labelSelector?.text, eventId, name, createdAfter, createdBefore, sort];
  const list = JSON.stringify(asked.map((value) => value ?? null));
  const isMeant = filterOf({
    phases: new Set(phase),
    ...(pipeline === undefined ? {} : { pipeline }),
    ...(eventId === undefined ? {} : { eventId }),
    ...(name === undefined ? {} : { namePrefix: name }),
    ...(createdAfter === undefined ? {} : { createdFromMs: createdAfter }),
    ...(createdBefore === undefined ? {} : { createdBeforeMs: createdBefore }),
  });
  const selects = labelSelector?.selects;
  return {
    isMeant: selects === undefined ? isMeant : (run) => isMeant(run) && selects(run),
    order,
    after: wish.continue === undefined ? undefined : placeIn(wish.continue, list),
    limit,
    waitSeconds: wish.wait,
    list,
  };
}

/**
 * What `continue` says: the place of the last run of a page, and which list it was. It is neither signed nor secret: a
 * forged one begins elsewhere in what the caller may read anyway, because that is asked anew for every page.
 */
function continueAt({ key, uid }: RunPlace, list: string): string {
  return Buffer.from(JSON.stringify([key ?? null, uid, tagFrom([list])])).toString('base64url');
}

function placeIn(token: string, list: string): RunPlace {
  let read: unknown;
  try {
    read = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch {
    read = undefined;
  }
  const [key, uid, tag] = Array.isArray(read) ? (read as readonly unknown[]) : [];
  if ((key !== null && typeof key !== 'string') || typeof uid !== 'string') {
    throw new Fault('bad-request', 'option continue is not what a page had as its `continue`');
  }
  if (tag !== tagFrom([list])) {
    throw new Fault('bad-request', 'option continue belongs to a list with other options; ask for its first page');
  }
  return { key: key ?? undefined, uid };
}

/** A page, written down. */
interface Page {
  readonly tag: string;
  readonly body: JsonBody;
  readonly isEmpty: boolean;
}

/** Pages of lists, found or waited for. */
interface Pages {
  /** Faults: `unavailable` while the stores cannot be believed; where nothing is watched, those of asking the cluster. */
  read(scope: Scope, query: ListQuery, signal: AbortSignal): Promise<Page>;
  /** As `read`, when `isWorth` a page, or the waiting is over. */
  readWhen(scope: Scope, query: ListQuery, waiting: Waiting, isWorth: (page: Page) => boolean): Promise<Page>;
}

function createPages(runs: Runs): Pages {
  const index = runs.all === undefined ? undefined : createRunIndex(runs.all);
  const kept = new Map<string, { readonly revision: number; readonly page: Promise<Page> }>();

  const make = async (scope: Scope, query: ListQuery, signal: AbortSignal): Promise<Page> => {
    const { order, after } = query;
    if (index === undefined) return pageOf(await gathered(fetched(runs, scope, signal), query), query);
    // In the order of creation the page is somewhere in a row; in any other all runs have to be seen.
    const found =
      order.by === 'created'
        ? await inRow(walk(index, scope, order.descending, after, signal), query)
        : await gathered(walk(index, scope, false, undefined, signal), query);
    return pageOf(found, query);
  };

  const read: Pages['read'] = (scope, query, signal) => {
    for (const namespace of scope === 'all' ? [''] : scope) runs.requireFresh(namespace);
    if (index === undefined) return make(scope, query, signal);
    const revision = index.revision(scope);
    const key = JSON.stringify([scope, query.list, query.limit, query.after]);
    const before = kept.get(key);
    kept.delete(key);
    // Others may get it too, so that nobody's hanging up ends it.
    const page = before?.revision === revision ? before.page : make(scope, query, new AbortController().signal);
    kept.set(key, { revision, page });
    page.catch(() => kept.delete(key));
    if (kept.size > MOST_PAGES) kept.delete(kept.keys().next().value ?? '');
    return page;
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
          const page = await read(scope, query, waiting.signal);
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

/** The runs of an index from behind a place on, in slices between which the event loop turns. */
async function* walk(
  index: RunIndex,
  scope: Scope,
  descending: boolean,
  from: RunPlace | undefined,
  signal: AbortSignal,
): AsyncGenerator<readonly PipelineRun[]> {
  let after = from;
  // Most pages are found in the first few runs.
  for (let count = 64; ; count = SLICE) {
    const slice = index.next(scope, { descending, after, count });
    yield slice;
    const last = slice.at(-1);
    if (last === undefined || slice.length < count) return;
    after = placeOf(last, 'created');
    await setImmediate();
    signal.throwIfAborted();
  }
}

async function* fetched(runs: Runs, scope: Scope, signal: AbortSignal): AsyncGenerator<readonly PipelineRun[]> {
  for (const namespace of scope === 'all' ? [''] : scope) yield* runs.list(namespace, signal);
}
