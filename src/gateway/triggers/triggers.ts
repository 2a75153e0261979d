/** `GET /triggers...`: what each PipelineTrigger waits for, its last event, and its runs. */
import type { Request, Response } from 'express';
import { requireRead, type ServedNamespaces } from '../callers/auth.ts';
import { sendBody, sendUnchanged } from '../compression.ts';
import { triggerListSchema, triggerSchema } from '../described/schemas/triggers.ts';
import { matches } from '../etag.ts';
import type { Triggers } from '../facts/triggers.ts';
import { callerOf } from '../notes.ts';
import { type Operation, type Route, whereReading } from '../operation.ts';
import { namespaceOf, option, optionReader, triggerRef, wholeNumber } from '../options.ts';
import type { Scope } from '../runs/runindex.ts';
import { scopeOf } from '../runs/runlist.ts';
import { patiently, type WaitingParts } from '../runs/waiting.ts';
import { type Asked, askedPage, askedTrigger, createTeller, type Told } from './told.ts';
import { triggerListOptions, triggerQueryOf } from './triggerquery.ts';

/** What the routes are made of. */
export interface TriggerParts extends WaitingParts {
  readonly triggers: Triggers;
  readonly served: ServedNamespaces;
  readonly maxWaitSeconds: number;
}

function listOperation(maxWaitSeconds: number, where: Pick<Operation, 'id' | 'path' | 'summary' | 'problems'>) {
  return {
    ...where,
    tag: 'triggers',
    description:
      'In the order of namespaces and names, a page at a time. Where the cluster does not have the kind the list is empty and `served` is false; where rungate has no right to it the answer is 502.',
    options: triggerListOptions(maxWaitSeconds),
    headers: ['If-None-Match', 'Accept-Encoding'],
    answers: {
      200: {
        description: 'The page',
        headers: ['ETag', 'Vary', 'Content-Encoding'],
        content: { 'application/json': { schema: triggerListSchema } },
      },
      304: { description: 'The page has not changed', headers: ['ETag', 'Vary'] },
    },
  } as const satisfies Operation;
}

/** `/triggers` as a value. */
function everyTriggerOperation(maxWaitSeconds: number) {
  return listOperation(maxWaitSeconds, {
    id: 'listAllTriggers',
    path: '/triggers',
    summary: 'The triggers of every namespace that is open to the caller',
    problems: whereReading.filter((code) => code !== 'not-found' && code !== 'forbidden'),
  });
}

/** `/triggers/:namespace` as a value. */
function triggerListOperation(maxWaitSeconds: number) {
  return listOperation(maxWaitSeconds, {
    id: 'listTriggers',
    path: '/triggers/:namespace',
    summary: 'The triggers of a namespace',
    problems: whereReading.filter((code) => code !== 'not-found'),
  });
}

/** So many runs of one trigger are told at most; `/runs` has all of them. */
const MOST_RUNS = 50;

function triggerOptions(maxWaitSeconds: number) {
  return {
    runs: option(wholeNumber({ from: 0, to: MOST_RUNS }), 10, 'So many of its runs, the newest first'),
    wait: option(
      wholeNumber({ from: 0, to: maxWaitSeconds }),
      0,
      'Seconds: answers when nothing of it is waited for or under way, or at the deadline; waits for it to be created too. With `If-None-Match`: answers at any change',
    ),
  };
}

/** `/triggers/:namespace/:trigger` as a value. */
function triggerOperation(maxWaitSeconds: number) {
  return {
    id: 'getTrigger',
    path: '/triggers/:namespace/:trigger',
    tag: 'triggers',
    summary: 'What a trigger waits for, its last event, and its runs',
    description:
      'The code is 200 however it stands. Of a trigger on pull requests each branch is told by itself. What it runs is not told: templates and parameters may hold what is not meant for everybody.',
    options: triggerOptions(maxWaitSeconds),
    headers: ['If-None-Match', 'Accept-Encoding'],
    answers: {
      200: {
        description: 'How it stands',
        headers: ['ETag', 'Vary', 'Content-Encoding'],
        content: { 'application/json': { schema: triggerSchema } },
      },
      304: { description: 'Nothing has changed', headers: ['ETag', 'Vary'] },
    },
    problems: whereReading,
  } as const satisfies Operation;
}

/** Routes `/triggers`, `/triggers/:namespace` and `/triggers/:namespace/:trigger`. */
export function triggerRoutes(parts: TriggerParts): readonly Route[] {
  const { triggers, served, maxWaitSeconds } = parts;
  const readList = optionReader(triggerListOptions(maxWaitSeconds));
  const readOne = optionReader(triggerOptions(maxWaitSeconds));
  const teller = createTeller(triggers);

  const send = (request: Request, response: Response, { tag, body }: Told): Promise<void> | void => {
    const known = request.headers['if-none-match'];
    if (known !== undefined && matches(known, tag)) sendUnchanged(request, response, body.about);
    else return sendBody(request, response, 200, body);
  };
  const answer = async (request: Request, response: Response, asked: Asked, waitSeconds: number): Promise<void> => {
    if (waitSeconds === 0) {
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      try {
        await send(request, response, await teller.tell(asked, gone.signal));
      } catch (error) {
        // Ended because its caller has gone, it is no fault of anybody's.
        if (!gone.signal.aborted) throw error;
      }
      return;
    }
    const known = request.headers['if-none-match'];
    const isWorth = ({ tag, isWorthWaitingFor }: Told) =>
      known === undefined ? isWorthWaitingFor : !matches(known, tag);
    await patiently(request, response, waitSeconds, parts, async (waiting) => {
      const told = await teller.tellWhen(asked, waiting, isWorth);
      if (!response.destroyed) await send(request, response, told);
    });
  };
  const answerList = (request: Request, response: Response, namespaces: Scope): Promise<void> => {
    const query = triggerQueryOf(readList(request.url));
    return answer(request, response, askedPage({ namespaces }, query), query.waitSeconds);
  };

  return [
    {
      operation: everyTriggerOperation(maxWaitSeconds),
      handler: (request, response) => answerList(request, response, scopeOf(callerOf(request), served)),
    },
    {
      operation: triggerListOperation(maxWaitSeconds),
      handler: (request, response) => {
        const namespace = namespaceOf(request.params);
        requireRead(callerOf(request), namespace, served);
        return answerList(request, response, [namespace]);
      },
    },
    {
      operation: triggerOperation(maxWaitSeconds),
      handler: (request, response) => {
        const ref = triggerRef(request.params);
        requireRead(callerOf(request), ref.namespace, served);
        const { runs, wait } = readOne(request.url);
        return answer(request, response, askedTrigger(ref, runs), wait);
      },
    },
  ];
}
