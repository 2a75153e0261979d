/** `GET /status/...`: how a run stands, in the listener's four keys or in full; at once, or when it is final. */
import { createHash } from 'node:crypto';
import type { Request, Response } from 'express';
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import type { Kept, ObjectRef } from '../kube/objects.ts';
import { isDone, phaseOf, runCondition, runStatus } from '../tekton/status.ts';
import type { PipelineRun, RunFacts } from '../tekton/types.ts';
import { endTogether, type HeaderPairs, sendHead, sendJsonText } from './answer.ts';
import { requireRead, type ServedNamespaces } from './auth.ts';
import { changed, findWithin, type Runs } from './gather.ts';
import { callerOf } from './notes.ts';
import { type AnswerShape, type Operation, type Route, whereReading } from './operation.ts';
import { type OptionValues, option, optionReader, runRef, truth, wholeNumber, word } from './options.ts';
import type { AnswerHeader } from './schemas/headers.ts';
import { conditionSchema } from './schemas/status.ts';

/** What the route is made of. */
export interface StatusParts {
  readonly runs: Runs;
  readonly clock: Clock;
  readonly defaultNamespace: string;
  readonly served: ServedNamespaces;
  readonly maxWaitSeconds: number;
  /** Aborts when this process is stopping: long polls end. */
  readonly draining: AbortSignal;
}

/** An answer that is made once for each version of a run, and served until the run changes. */
interface Prepared {
  readonly body: string;
  readonly etag: string;
  /** What the head says about the run. */
  readonly about: HeaderPairs;
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
export function statusOperation(maxWaitSeconds: number) {
  return {
    id: 'getStatus',
    path: '/status/:namespace/:name',
    shortPath: '/status/:name',
    tag: 'status',
    summary: 'How a run stands',
    description:
      "The four keys are the run's condition of type `Succeeded`. The status code is 200 for `True` and 400 for everything else, so that a script which only looks at the code fails closed; `pending` and `failed` choose others. A failed or unfinished run is no error: its body has no `code`.",
    options: statusOptions(maxWaitSeconds),
    headers: ['If-None-Match'],
    answers: {
      200: answerAbout('The run succeeded; with `failed=200`, also that it did not'),
      202: answerAbout('With `pending=202`: the run is not final'),
      304: { description: 'Nothing has changed', headers: ['ETag', 'X-Run-Phase', 'X-Run-Uid'] },
      400: answerAbout('The run did not succeed, or is not final'),
      503: answerAbout('With `pending=503`: the run is not final', ['Retry-After']),
    },
    problems: whereReading,
  } as const satisfies Operation;
}

function answerAbout(description: string, more: readonly AnswerHeader[] = []): AnswerShape {
  return {
    description,
    headers: ['X-Run-Phase', 'X-Run-Uid', 'ETag', ...more],
    content: { 'application/json': { schema: conditionSchema } },
  };
}

/** What a caller has asked for. */
type StatusWish = OptionValues<ReturnType<typeof statusOptions>>;

/** Routes `/status/:name` (in the default namespace) and `/status/:namespace/:name`. */
export function statusRoutes(parts: StatusParts): readonly Route[] {
  const { runs, clock, served, defaultNamespace, draining, maxWaitSeconds } = parts;
  const operation = statusOperation(maxWaitSeconds);
  const read = optionReader(operation.options);
  const prepared = new WeakMap<PipelineRun, Prepared>();

  const prepare = (run: PipelineRun): Prepared => {
    const before = prepared.get(run);
    if (before !== undefined) return before;
    const made = preparedOf(run, [run], JSON.stringify(runCondition(run)));
    prepared.set(run, made);
    return made;
  };
  const prepareFull = (run: PipelineRun): Prepared => {
    const facts = runs.facts(run);
    return preparedOf(run, objectsOf(facts), JSON.stringify(runStatus(facts, new Date(clock.now()))));
  };

  const send = (request: Request, response: Response, wish: StatusWish, run: PipelineRun): void => {
    const made = wish.full ? prepareFull(run) : prepare(run);
    const known = request.headers['if-none-match'];
    if (known !== undefined && matches(known, made.etag)) {
      sendHead(request, response, 304, made.about);
      endTogether(response, undefined);
      return;
    }
    const code = codeOf(made.status, wish);
    sendJsonText(request, response, code, made.body, code === 503 ? [...made.about, 'Retry-After', '5'] : made.about);
  };

  /** Sends when the wait is over, or nothing to a caller who has gone meanwhile. */
  const sendLater = async (request: Request, response: Response, wish: StatusWish, ref: ObjectRef): Promise<void> => {
    const known = request.headers['if-none-match'];
    const etag = (run: PipelineRun) => (wish.full ? etagOf(objectsOf(runs.facts(run))) : prepare(run).etag);
    const over = new AbortController();
    const stop = () => over.abort();
    response.once('close', stop);
    draining.addEventListener('abort', stop, { once: true });
    let run: PipelineRun;
    try {
      const sleep = (ms: number, signal: AbortSignal) => clock.sleep(ms, signal);
      const untilMs = clock.now() + wish.wait * 1000;
      const found = await findWithin(runs, ref, { forMs: wish.wait * 1000, sleep, signal: over.signal });
      let wasKnown = false;
      // With If-None-Match any change is worth an answer; without, only the end is. A run that is deleted has ended too.
      const isWorthAnswering = () => {
        const now = runs.known(ref);
        wasKnown ||= now !== undefined;
        if (now?.meta.uid !== found.meta.uid && wasKnown) return true;
        const latest = now ?? found;
        return isDone(latest.succeeded) || (known !== undefined && !matches(known, etag(latest)));
      };
      const forMs = Math.max(0, untilMs - clock.now());
      await changed(runs, ref, { forMs, sleep, signal: over.signal }, isWorthAnswering);
      if (response.destroyed) return;
      run = await runs.find(ref);
    } finally {
      response.off('close', stop);
      draining.removeEventListener('abort', stop);
    }
    if (draining.aborted && !isDone(run.succeeded)) throw new Fault('draining', 'this replica is stopping; ask again');
    send(request, response, wish, run);
  };

  const answer = (request: Request, response: Response): Promise<void> | void => {
    const ref = runRef(request.params, defaultNamespace);
    requireRead(callerOf(request), ref.namespace, served);
    const wish = read(request.url);
    if (wish.wait > 0) return sendLater(request, response, wish, ref);
    const known = runs.known(ref);
    if (known === undefined) return runs.find(ref).then((run) => send(request, response, wish, run));
    // Most requests are for a run in the store, and are answered without the detour of a promise.
    runs.requireFresh(ref.namespace);
    send(request, response, wish, known);
  };

  return [{ operation, handler: answer }];
}

/** `body` is made of `objects`, of which `run` is the first. */
function preparedOf(run: PipelineRun, objects: readonly Kept[], body: string): Prepared {
  const etag = etagOf(objects);
  const about = ['ETag', etag, 'X-Run-Phase', phaseOf(run.succeeded), 'X-Run-Uid', run.meta.uid];
  return { body, etag, about, status: verdictOf(run) };
}

/**
 * The listener's codes: 200 for True and 400 for everything else, so that a job which never looks at the body fails
 * closed. `failed` and `pending` choose others.
 */
function codeOf(status: Prepared['status'], wish: StatusWish): number {
  if (status === 'True') return 200;
  return Number(status === 'False' ? wish.failed : wish.pending);
}

function verdictOf({ succeeded }: PipelineRun): Prepared['status'] {
  return succeeded?.status === 'True' || succeeded?.status === 'False' ? succeeded.status : 'Unknown';
}

function objectsOf({ run, taskRuns, customRuns, pods, nested }: RunFacts): readonly Kept[] {
  return [run, ...taskRuns, ...customRuns, ...pods, ...nested.flatMap(objectsOf)];
}

/** Weak, because the same state may be written differently: from uid and resourceVersion of everything the body is made of. */
function etagOf(objects: readonly Kept[]): string {
  const versions = objects.map(({ meta }) => `${meta.uid} ${meta.resourceVersion}`).sort();
  return `W/"${createHash('sha256').update(versions.join('\n')).digest('base64url').slice(0, 22)}"`;
}

/** RFC 9110, 13.1.2: a list of tags compared weakly, or `*`. */
function matches(header: string, etag: string): boolean {
  const opaque = (tag: string) => tag.trim().replace(/^W\//, '');
  return header.trim() === '*' || header.split(',').some((tag) => opaque(tag) === opaque(etag));
}
