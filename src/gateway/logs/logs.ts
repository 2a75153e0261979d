/** `GET /logs/...`: the log of a whole run, or of one TaskRun, as one stream, and in its last words how the run ended. */
import { TLSSocket } from 'node:tls';
import type { Request, Response } from 'express';
import type { Clock } from '../../clock.ts';
import type { ExternalLogs } from '../../kube/externallogs.ts';
import type { ObjectRef } from '../../kube/objects.ts';
import type { ContainerLogs } from '../../kube/sharedlog.ts';
import type { Log } from '../../log.ts';
import type { Metrics } from '../../metrics.ts';
import { isDone } from '../../tekton/status.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { sendHead } from '../answer.ts';
import { auditStream } from '../callers/audit.ts';
import { requireRead, type ServedNamespaces } from '../callers/auth.ts';
import type { Limits } from '../callers/limits.ts';
import { logObjectSchema } from '../described/schemas/logs.ts';
import { serverSentEvent } from '../described/schemas/schema.ts';
import { type Followed, followedRuns, followedTaskRuns } from '../facts/followed.ts';
import { findWithin, type Runs } from '../facts/gather.ts';
import { callerOf, notesOf } from '../notes.ts';
import { type Operation, type Route, whereReading } from '../operation.ts';
import { optionReader, type PathParams, runRef, taskRunRef } from '../options.ts';
import { createOutbox } from '../outbox.ts';
import type { Cursors, ReadCursor } from './cursor.ts';
import { Delivered } from './delivered.ts';
import {
  checkChoice,
  checkForRun,
  formatOf,
  type LogChoice,
  type LogFormat,
  logOptions,
  readingKey,
  shaperOf,
  wishOf,
} from './logoptions.ts';
import { ClientSink } from './sink.ts';
import type { Spooling } from './spool.ts';
import { openStage, turnStage } from './stage.ts';
import { type LogOutcome, streamRunLog } from './stream.ts';
import { Ticker } from './ticker.ts';

/** What the routes are made of. */
export interface LogsParts {
  readonly runs: Runs;
  /** Where containers' logs are read. */
  readonly logs: ContainerLogs;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly limits: Pick<Limits, 'takeStream'>;
  readonly cursors: Cursors;
  readonly spooling: Spooling;
  /** Where logs of deleted pods are kept. */
  readonly external: ExternalLogs | undefined;
  readonly defaultNamespace: string;
  readonly served: ServedNamespaces;
  readonly maxWaitSeconds: number;
  readonly slowClientSeconds: number;
  readonly graceSeconds: number;
  readonly draining: AbortSignal;
}

/** How often a stream looks at the clock: whether it is idle, or should give a sign of life. */
const LOOK_MS = 1_000;
/** Of a message in a trailer; proxies refuse long ones. */
const LONGEST_TRAILER = 512;
const TRAILERS = ['X-Run-Status', 'X-Run-Reason', 'X-Run-Message', 'X-Log-Complete', 'X-Log-Cursor'] as const;

/** What both operations have in common. */
function described(maxWaitSeconds: number) {
  const text = { schema: { type: 'string' } } as const;
  return {
    tag: 'logs',
    options: logOptions(maxWaitSeconds),
    headers: ['Accept', 'Last-Event-ID'],
    answers: {
      200: {
        description: 'The log, until its end',
        headers: ['X-Run-Uid', 'Vary'],
        trailers: TRAILERS,
        content: {
          'text/plain; charset=utf-8': text,
          'application/x-ndjson': { ...text, item: logObjectSchema },
          'text/event-stream': { schema: serverSentEvent(logObjectSchema), item: logObjectSchema },
        },
      },
      204: { description: 'A client of server-sent events came back although it has had everything: it may stop' },
    },
    problems: whereReading,
  } as const satisfies Partial<Operation>;
}

/** `/logs` as a value. */
function logsOperation(maxWaitSeconds: number) {
  return {
    ...described(maxWaitSeconds),
    id: 'getLogs',
    path: '/logs/:namespace/:name',
    shortPath: '/logs/:name',
    summary: 'The log of a whole run',
    description:
      'Every step of every task in one answer, while the run goes on: finally tasks, all instances of a matrix, all attempts of a retried task, tasks of nested runs. Steps come in order; tasks that run at the same time interleave by whole lines. How it ended is in the trailers, and in the last object of `ndjson` and `sse`.',
  } as const satisfies Operation;
}

/** `/taskruns/.../logs` as a value. */
function taskRunLogsOperation(maxWaitSeconds: number) {
  return {
    ...described(maxWaitSeconds),
    id: 'getTaskRunLogs',
    path: '/taskruns/:namespace/:name/logs',
    shortPath: '/taskruns/:name/logs',
    summary: 'The log of one TaskRun',
    description:
      'All steps and attempts of a TaskRun, standing alone or of a run, with the options and the manner of the log of a run.',
  } as const satisfies Operation;
}

/** What handlers share. */
interface Streaming extends LogsParts {
  readonly ticker: Ticker;
}

/** Routes `/logs` and `/taskruns/.../logs`, each with the namespace or in the default one. */
export function logsRoutes(parts: LogsParts): readonly Route[] {
  const { runs, defaultNamespace, maxWaitSeconds, clock } = parts;
  const streaming: Streaming = { ...parts, ticker: new Ticker(clock, LOOK_MS) };
  const asRuns = followedRuns(runs);
  const asTaskRuns = followedTaskRuns(runs);
  const ofRun = (params: PathParams) => runRef(params, defaultNamespace);
  const ofTaskRun = (params: PathParams) => taskRunRef(params, defaultNamespace);
  return [
    { operation: logsOperation(maxWaitSeconds), handler: answerWith(asRuns, ofRun, streaming) },
    { operation: taskRunLogsOperation(maxWaitSeconds), handler: answerWith(asTaskRuns, ofTaskRun, streaming) },
  ];
}

function answerWith(followed: Followed, refOf: (params: PathParams) => ObjectRef, parts: Streaming) {
  const read = optionReader(logOptions(parts.maxWaitSeconds));
  return async (request: Request, response: Response): Promise<void> => {
    const ref = refOf(request.params);
    const caller = callerOf(request);
    requireRead(caller, ref.namespace, parts.served);
    const choice = read(request.url);
    const format = formatOf(choice, request.headers.accept);
    checkChoice(choice, format);
    const askedAt = parts.clock.now();
    const release = parts.limits.takeStream(caller);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      const run = await found(followed, ref, choice.wait, gone.signal, parts);
      checkForRun(choice, isDone(run.succeeded));
      const asked = { run, choice, format, ...begunAt(request, run, choice, format, askedAt, parts) };
      if (format === 'sse' && asked.before?.ended === true) {
        // An event source comes back whenever an answer ends; this keeps it from doing so for ever.
        sendHead(request, response, 204, ['X-Run-Uid', run.meta.uid]);
        response.end();
      } else await answer(request, response, { ...parts, followed, gone: gone.signal }, asked);
    } finally {
      release();
    }
  };
}

/** What is asked for, and where it begins. */
interface Asked {
  readonly run: PipelineRun;
  readonly choice: LogChoice;
  readonly format: LogFormat;
  readonly filters: string;
  readonly before: ReadCursor | undefined;
  readonly askedMs: number;
}

/** The run, waited for as long as was asked. */
async function found(
  followed: Followed,
  ref: ObjectRef,
  seconds: number,
  gone: AbortSignal,
  { runs, clock, draining }: LogsParts,
): Promise<PipelineRun> {
  const waiting = new AbortController();
  const stop = () => waiting.abort();
  gone.addEventListener('abort', stop, { once: true });
  draining.addEventListener('abort', stop, { once: true });
  try {
    const wait = { forMs: seconds * 1000, sleep: clock.sleep.bind(clock), signal: waiting.signal };
    const run = await findWithin(followed, ref, wait);
    // A pod that is missing from the stores counts as gone, so they have to be whole.
    runs.requireFresh(ref.namespace);
    return run;
  } finally {
    draining.removeEventListener('abort', stop);
  }
}

/** Where the client has been before. An event source that comes back has a newer cursor than its address. */
function begunAt(
  { headers }: Request,
  run: PipelineRun,
  choice: LogChoice,
  format: LogFormat,
  askedAt: number,
  { cursors }: LogsParts,
): Pick<Asked, 'filters' | 'before' | 'askedMs'> {
  const lastEventId = format === 'sse' ? headers['last-event-id'] : undefined;
  const text = typeof lastEventId === 'string' && lastEventId !== '' ? lastEventId : choice.cursor;
  const filters = readingKey(choice);
  const before = text === undefined ? undefined : cursors.read(text, { runUid: run.meta.uid, filters });
  // `since` counts from the first request: what was young enough then is not left out because the client was away.
  return { filters, before, askedMs: before === undefined ? askedAt : before.askedSeconds * 1000 };
}

/** Sends the head at once, then the log as it comes. */
async function answer(
  request: Request,
  response: Response,
  parts: Streaming & { readonly followed: Followed; readonly gone: AbortSignal },
  asked: Asked,
): Promise<void> {
  const { clock, metrics, log, followed, gone, cursors, spooling } = parts;
  const { run, choice, format, filters, before, askedMs } = asked;
  const { limitBytes } = choice;
  const shaper = shaperOf(choice, format);
  const canTrail = hasTrailers(request);
  sendHead(request, response, 200, [
    'Content-Type',
    shaper.contentType,
    'Vary',
    'Accept',
    'X-Accel-Buffering', // proxies that read this pass on each line as it comes
    'no',
    'X-Run-Uid',
    run.meta.uid,
    ...(canTrail ? ['Trailer', TRAILERS.join(', ')] : []),
  ]);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  response.flushHeaders();
  auditStream(log, request, parts.defaultNamespace);

  const ended = metrics.stream();
  let how: Parameters<typeof ended>[0] = 'disconnected';
  const dropped = (): void => {
    how = 'dropped';
    const { name, namespace } = run.meta;
    const { requestId } = notesOf(request);
    log.warn('a log stream was dropped: its client takes nothing', { run: name, namespace, requestId });
    response.destroy();
  };
  const outbox = createOutbox(response, { clock, slowMs: parts.slowClientSeconds * 1000, dropped });
  const subject = { runUid: run.meta.uid, filters, askedSeconds: Math.floor(askedMs / 1000) };
  const delivered = new Delivered({ cursors, subject, before });
  const sink = new ClientSink({ outbox, shaper, clock, delivered, limitBytes });
  const stageParts = { sink, shaper, clock, byLine: limitBytes !== undefined };
  const spools = format === 'gitlab' ? spooling.forStream() : undefined;
  const stage =
    spools === undefined
      ? openStage(stageParts)
      : turnStage(stageParts, spools, (error) => {
          log.warn('a log stream was cut: what waited for its turn is lost', { error: String(error) });
          response.destroy();
        });
  try {
    const wish = wishOf(choice, format, askedMs);
    const session = { ...parts, runs: followed, outbox, sink, stage, delivered, graceMs: parts.graceSeconds * 1000 };
    const outcome = await streamRunLog(run, wish, { ...session, gone });
    await outbox.flushed();
    if (outcome.ended === 'disconnected' || response.destroyed) return;
    if (outcome.ended === 'draining') how = 'interrupted';
    else how = outcome.complete ? 'complete' : 'incomplete';
    if (choice.onFailure === 'abort' && outcome.condition.status !== 'True') {
      abort(response);
      return;
    }
    if (canTrail) response.addTrailers(trailersOf(outcome));
    response.end();
  } finally {
    notesOf(request).outcome = how;
    metrics.logBytes(outbox.written);
    ended(how);
  }
}

/** HTTP/1.0 and HEAD have no chunks, so no trailers. */
function hasTrailers({ httpVersionMajor, httpVersionMinor, method }: Request): boolean {
  return method === 'GET' && (httpVersionMajor > 1 || httpVersionMinor >= 1);
}

function trailersOf({ condition, complete, cursor }: LogOutcome): Record<(typeof TRAILERS)[number], string> {
  return {
    'X-Run-Status': condition.status,
    'X-Run-Reason': headerText(condition.reason),
    'X-Run-Message': headerText(condition.message),
    'X-Log-Complete': String(complete),
    'X-Log-Cursor': cursor,
  };
}

/**
 * Ends the connection without the last chunk, so that a client knows the answer as unfinished (curl exits 18). All bytes
 * have left before: ending a socket politely keeps what is on its way, a reset would not.
 */
function abort(response: Response): void {
  const { socket } = response;
  if (socket === null) return;
  if (response.chunkedEncoding) socket.end(() => response.destroy());
  // Without chunks (HTTP/1.0) a polite end would look like the end of the answer. TLS has no reset; its end without a
  // close notification is an error to clients.
  else if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}

/** Text that can stand in a header: printable ASCII, everything else a question mark, cut to a length proxies pass. */
function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, (run) => (/^\s+$/.test(run) ? ' ' : '?')).slice(0, LONGEST_TRAILER);
}
