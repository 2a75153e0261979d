/** `GET /status/...`: how a run stands, in the listener's four keys or in full; at once, or when it is final. */
import type { Request, RequestHandler, Response } from 'express';
import type { ObjectRef } from '../../kube/objects.ts';
import { isDone, runCondition } from '../../tekton/status.ts';
import type { PipelineRun, TaskRun } from '../../tekton/types.ts';
import { sendJson } from '../answer.ts';
import { requireRead, type ServedNamespaces } from '../callers/auth.ts';
import { JsonBody, sendBody, sendUnchanged } from '../compression.ts';
import type { AnswerHeader } from '../described/schemas/headers.ts';
import { runStatusSchema } from '../described/schemas/runs.ts';
import type { JsonSchema } from '../described/schemas/schema.ts';
import { conditionSchema } from '../described/schemas/status.ts';
import { matches, tagOf } from '../etag.ts';
import type { Runs } from '../facts/gather.ts';
import { runSubject, type Subject } from '../facts/subject.ts';
import { callerOf, notesOf } from '../notes.ts';
import { type AnswerShape, type Operation, type Route, whereReading } from '../operation.ts';
import { type OptionValues, option, optionReader, runRef, truth, wholeNumber, word } from '../options.ts';
import { problemFields } from '../problem.ts';
import { patiently, type WaitingParts, waitedFor } from './waiting.ts';

/** What the routes about one run or TaskRun are made of. */
export interface StatusParts extends WaitingParts {
  readonly runs: Runs;
  readonly defaultNamespace: string;
  readonly served: ServedNamespaces;
  readonly maxWaitSeconds: number;
}

/** An answer that is made once for each version of an object, and served until the object changes. */
interface Prepared {
  readonly body: JsonBody;
  readonly tag: string;
  readonly status: 'True' | 'False' | 'Unknown';
}

/** The options of `/status`, as docs/api.md lists them. */
export function statusOptions(maxWaitSeconds: number) {
  return {
    wait: option(
      wholeNumber({ from: 0, to: maxWaitSeconds }),
      0,
      'Seconds: answers when the run is final, or at the deadline; waits for the run to be created too. With `If-None-Match`: answers at any change',
    ),
    full: option(
      truth,
      false,
      'Everything about the run: tasks, attempts, steps, progress, results, and which step made it fail',
    ),
    pending: option(
      word('400', '202', '503'),
      '400',
      'The code while the run is not final; 503 comes with `Retry-After`, which `curl --retry` understands',
    ),
    failed: option(word('400', '200'), '400', 'The code of a run that did not succeed'),
  };
}

/** `/status` as a value. */
function statusOperation(maxWaitSeconds: number) {
  return {
    id: 'getStatus',
    path: '/status/:namespace/:name',
    shortPath: '/status/:name',
    tag: 'status',
    summary: 'How a run stands',
    description:
      "The four keys are the run's condition of type `Succeeded`. The status code is 200 for `True` and 400 for everything else, so that a script which only looks at the code fails closed; `pending` and `failed` choose others. A failed or unfinished run is no error: its body has no `code`.",
    options: statusOptions(maxWaitSeconds),
    headers: ['If-None-Match', 'Accept-Encoding'],
    answers: statusAnswers(runStatusSchema),
    problems: whereReading,
  } as const satisfies Operation;
}

/** What `/status` of a run or a TaskRun answers; `full` is the body with `full=true`. */
export function statusAnswers(full: JsonSchema) {
  const answer = (description: string, more: readonly AnswerHeader[] = []): AnswerShape => ({
    description,
    headers: ['X-Run-Phase', 'X-Run-Uid', 'ETag', 'Vary', 'Content-Encoding', ...more],
    content: { 'application/json': { schema: { oneOf: [conditionSchema, full] } } },
  });
  return {
    200: answer('It succeeded; with `failed=200`, also that it did not'),
    202: answer('With `pending=202`: it is not final'),
    304: { description: 'Nothing has changed', headers: ['ETag', 'Vary', 'X-Run-Phase', 'X-Run-Uid'] },
    400: answer('It did not succeed, or is not final'),
    503: answer('With `pending=503`: it is not final', ['Retry-After']),
  } as const satisfies Operation['answers'];
}

/** What a caller has asked for. */
type StatusWish = OptionValues<ReturnType<typeof statusOptions>>;

/** Routes `/status/:name` (in the default namespace) and `/status/:namespace/:name`. */
export function statusRoutes(parts: StatusParts): readonly Route[] {
  const { runs, defaultNamespace, maxWaitSeconds } = parts;
  const operation = statusOperation(maxWaitSeconds);
  const refOf = (request: Request) => runRef(request.params, defaultNamespace);
  return [{ operation, handler: statusHandler(runSubject(runs), refOf, parts) }];
}

/** Answers how an object of `subject` stands. `refOf` says which one is meant, and throws Faults. */
export function statusHandler<T extends PipelineRun | TaskRun>(
  subject: Subject<T, object>,
  refOf: (request: Request) => ObjectRef,
  parts: StatusParts,
): RequestHandler {
  const { runs, clock, served, maxWaitSeconds } = parts;
  const read = optionReader(statusOptions(maxWaitSeconds));
  const prepared = new WeakMap<T, Prepared>();

  const prepare = (object: T): Prepared => {
    const before = prepared.get(object);
    if (before !== undefined) return before;
    const made = preparedOf(object, tagOf([object]), subject, JSON.stringify(runCondition(object)));
    prepared.set(object, made);
    return made;
  };
  const prepareWhole = (object: T): Prepared =>
    preparedOf(
      object,
      tagOf(subject.parts(object)),
      subject,
      JSON.stringify(subject.whole(object, new Date(clock.now()))),
    );

  const send = (request: Request, response: Response, wish: StatusWish, object: T): Promise<void> | void => {
    const made = wish.full ? prepareWhole(object) : prepare(object);
    const known = request.headers['if-none-match'];
    if (known !== undefined && matches(known, made.tag)) {
      sendUnchanged(request, response, made.body.about);
      return;
    }
    const code = codeOf(made.status, wish);
    return sendBody(request, response, code, made.body, code === 503 ? ['Retry-After', '5'] : []);
  };

  /** Sends when the wait is over, or nothing to a caller who has gone meanwhile. */
  const sendLater = (request: Request, response: Response, wish: StatusWish, ref: ObjectRef): Promise<void> => {
    const known = request.headers['if-none-match'];
    const tag = (object: T) => (wish.full ? tagOf(subject.parts(object)) : prepare(object).tag);
    // With If-None-Match any change is worth an answer; without, only the end is.
    const isNews = (object: T) => (known === undefined ? isDone(object.succeeded) : !matches(known, tag(object)));
    return patiently(request, response, wish.wait, parts, async (waiting) => {
      const { object, isDeleted } = await waitedFor(subject, ref, waiting, isNews);
      if (response.destroyed) return;
      if (isDeleted) sendDeleted(request, response, subject.missing, object);
      else await send(request, response, wish, object);
    });
  };

  return (request, response) => {
    const ref = refOf(request);
    requireRead(callerOf(request), ref.namespace, served);
    const wish = read(request.url);
    if (wish.wait > 0) return sendLater(request, response, wish, ref);
    const known = subject.known(ref);
    if (known === undefined) {
      const found = wish.full ? subject.find(ref) : subject.glance(ref);
      return found.then((object) => send(request, response, wish, object));
    }
    // Most requests are for an object in the store, and are answered without the detour of a promise.
    runs.requireFresh(ref.namespace);
    return send(request, response, wish, known);
  };
}

/** Whoever waited for an object that was deleted gets what the next one to ask would get, and is told that it was there. */
function sendDeleted(request: Request, response: Response, missing: string, { meta }: PipelineRun | TaskRun): void {
  const notes = notesOf(request);
  notes.code = 'not-found';
  const body = problemFields('not-found', missing, notes.requestId);
  sendJson(request, response, 404, body, ['X-Run-Phase', 'deleted', 'X-Run-Uid', meta.uid]);
}

function preparedOf<T extends PipelineRun | TaskRun>(
  object: T,
  tag: string,
  subject: Subject<T, object>,
  text: string,
): Prepared {
  const about = ['ETag', tag, 'X-Run-Phase', subject.phase(object), 'X-Run-Uid', object.meta.uid];
  return { body: new JsonBody(text, about), tag, status: verdictOf(object) };
}

/**
 * The listener's codes: 200 for True and 400 for everything else, so that a job which never looks at the body fails
 * closed. `failed` and `pending` choose others.
 */
function codeOf(status: Prepared['status'], wish: StatusWish): number {
  if (status === 'True') return 200;
  return Number(status === 'False' ? wish.failed : wish.pending);
}

function verdictOf({ succeeded }: PipelineRun | TaskRun): Prepared['status'] {
  return succeeded?.status === 'True' || succeeded?.status === 'False' ? succeeded.status : 'Unknown';
}
