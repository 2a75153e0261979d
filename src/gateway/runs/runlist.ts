/** `GET /runs` and `/runs/:namespace`: pages of runs that stay whole while runs come and go. */
import type { Request, Response } from 'express';
import { Fault } from '../../fault.ts';
import { requireRead, type ServedNamespaces } from '../callers/auth.ts';
import type { Caller } from '../callers/callers.ts';
import { sendBody, sendUnchanged } from '../compression.ts';
import { runListSchema } from '../described/schemas/runs.ts';
import { matches } from '../etag.ts';
import type { Runs } from '../facts/gather.ts';
import { callerOf } from '../notes.ts';
import { type Operation, type Route, whereReading } from '../operation.ts';
import { namespaceOf, optionReader } from '../options.ts';
import type { Scope } from './runindex.ts';
import { createPages, type Page } from './runpages.ts';
import { queryOf, runListOptions } from './runquery.ts';
import { patiently, type WaitingParts } from './waiting.ts';

/** What the routes are made of. */
export interface RunListParts extends WaitingParts {
  readonly runs: Runs;
  readonly served: ServedNamespaces;
  readonly maxWaitSeconds: number;
}

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
function everyRunOperation(maxWaitSeconds: number) {
  return listOperation(maxWaitSeconds, {
    id: 'listAllRuns',
    path: '/runs',
    summary: 'The runs of every namespace that is open to the caller',
    problems: whereReading.filter((code) => code !== 'not-found' && code !== 'forbidden'),
  });
}

/** `/runs/:namespace` as a value. */
function runListOperation(maxWaitSeconds: number) {
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
      try {
        await send(request, response, await pages.read(scope, query, gone.signal));
      } catch (error) {
        // Ended because its caller has gone, it is no fault of anybody's.
        if (!gone.signal.aborted) throw error;
      }
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
export function scopeOf({ namespaces }: Caller, served: ServedNamespaces): Scope {
  if (namespaces === 'all served') return served === '*' ? 'all' : served;
  return served === '*' ? namespaces : namespaces.filter((namespace) => served.includes(namespace));
}
