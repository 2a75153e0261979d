/** Everything about one run or TaskRun, as a resource: 200 however it stands, at once or when it has changed. */
import type { Request, RequestHandler, Response } from 'express';
import type { ObjectRef } from '../../kube/objects.ts';
import type { FailedContainer } from '../../tekton/failure.ts';
import { isDone } from '../../tekton/status.ts';
import type { Failure, PipelineRun, TaskRun } from '../../tekton/types.ts';
import { requireRead } from '../callers/auth.ts';
import { JsonBody, sendBody, sendUnchanged } from '../compression.ts';
import type { JsonSchema } from '../described/schemas/schema.ts';
import { matches, tagOf } from '../etag.ts';
import type { Subject } from '../facts/subject.ts';
import { callerOf } from '../notes.ts';
import type { AnswerShape, Operation } from '../operation.ts';
import { type OptionValues, option, optionReader, wholeNumber } from '../options.ts';
import { type FailureLogParts, MOST_TAIL_LINES, withLogTail } from './failurelog.ts';
import type { StatusParts } from './status.ts';
import { patiently, type Waited, waitedFor } from './waiting.ts';

/** What the routes are made of. */
export interface ResourceParts extends StatusParts {
  readonly reader: FailureLogParts['reader'];
}

/** The options of a resource, as docs/api.md lists them. */
export function resourceOptions(maxWaitSeconds: number) {
  return {
    tail: option(
      wholeNumber({ from: 0, to: MOST_TAIL_LINES }),
      0,
      'So many of the last lines of the step that made it fail, as `failure.logTail`',
    ),
    wait: option(
      wholeNumber({ from: 0, to: maxWaitSeconds }),
      0,
      'Seconds: answers when it is final or deleted, or at the deadline; waits for it to be created too. With `If-None-Match`: answers at any change',
    ),
  };
}

type ResourceWish = OptionValues<ReturnType<typeof resourceOptions>>;

/** What a resource of `schema` answers. */
export function resourceAnswers(schema: JsonSchema) {
  const headers = ['X-Run-Phase', 'X-Run-Uid', 'ETag', 'Vary'] as const satisfies AnswerShape['headers'];
  return {
    200: {
      description:
        'How it stands. Deleted while it was waited for: how it stood last, with the phase `deleted` and without `ETag`',
      headers: [...headers, 'Content-Encoding'],
      content: { 'application/json': { schema } },
    },
    304: { description: 'Nothing has changed', headers },
  } as const satisfies Operation['answers'];
}

/** What a whole status of any kind tells here. */
interface Whole {
  readonly failure?: Failure;
}

/**
 * Answers all that is known of an object of `subject`. `refOf` says which one is meant, and throws Faults; `failedIn` finds
 * the container that a failure speaks of.
 */
export function resourceHandler<T extends PipelineRun | TaskRun, W extends Whole>(
  subject: Subject<T, W>,
  refOf: (request: Request) => ObjectRef,
  failedIn: (whole: W) => FailedContainer | undefined,
  parts: ResourceParts,
): RequestHandler {
  const { clock, served, maxWaitSeconds } = parts;
  const read = optionReader(resourceOptions(maxWaitSeconds));
  const tagFor = (object: T, { tail }: ResourceWish) => tagOf(subject.parts(object), `tail ${tail}`);

  const send = async (
    request: Request,
    response: Response,
    wish: ResourceWish,
    { object, isDeleted }: Waited<T>,
  ): Promise<void> => {
    const { namespace, uid } = object.meta;
    const now = new Date(clock.now());
    if (isDeleted) {
      const last = { ...subject.whole(object, now), phase: 'deleted' };
      const about = ['X-Run-Phase', 'deleted', 'X-Run-Uid', uid];
      await sendBody(request, response, 200, new JsonBody(JSON.stringify(last), about));
      return;
    }
    const tag = tagFor(object, wish);
    const about = ['ETag', tag, 'X-Run-Phase', subject.phase(object), 'X-Run-Uid', uid];
    const known = request.headers['if-none-match'];
    if (known !== undefined && matches(known, tag)) {
      sendUnchanged(request, response, [...about, 'Vary', 'Accept-Encoding']);
      return;
    }
    const whole = subject.whole(object, now);
    const failure =
      wish.tail > 0 && whole.failure !== undefined
        ? await withLogTail(whole.failure, { namespace, lines: wish.tail, container: failedIn(whole) }, parts)
        : whole.failure;
    if (response.destroyed) return;
    const told = failure === whole.failure ? whole : { ...whole, failure };
    await sendBody(request, response, 200, new JsonBody(JSON.stringify(told), about));
  };

  return async (request, response) => {
    const ref = refOf(request);
    requireRead(callerOf(request), ref.namespace, served);
    const wish = read(request.url);
    if (wish.wait === 0) {
      await send(request, response, wish, { object: await subject.find(ref), isDeleted: false });
      return;
    }
    const known = request.headers['if-none-match'];
    const isNews = (object: T) =>
      known === undefined ? isDone(object.succeeded) : !matches(known, tagFor(object, wish));
    await patiently(request, response, wish.wait, parts, async (waiting) => {
      const waited = await waitedFor(subject, ref, waiting, isNews);
      if (!response.destroyed) await send(request, response, wish, waited);
    });
  };
}
