/** `GET /logs/...`: the log of a whole run as one stream of text, and in its last words how the run ended. */

import { TLSSocket } from 'node:tls';
import type { Request, Response } from 'express';
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import type { KubeReader } from '../kube/client.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { runCondition } from '../tekton/status.ts';
import { textShaper } from '../tekton/text.ts';
import { sendHead } from './answer.ts';
import { requireRead, type ServedNamespaces } from './auth.ts';
import { findWithin, type Runs } from './gather.ts';
import { callerOf, notesOf } from './notes.ts';
import { type Operation, type Route, whereReading } from './operation.ts';
import {
  duration,
  listOption,
  objectName,
  option,
  optionReader,
  runRef,
  taskPath,
  truth,
  wholeNumber,
  word,
} from './options.ts';
import { createOutbox } from './outbox.ts';
import { type LogOutcome, streamRunLog } from './stream.ts';

/** What the route is made of. */
export interface LogsParts {
  readonly runs: Runs;
  readonly reader: KubeReader;
  readonly clock: Clock;
  readonly random: () => number;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly defaultNamespace: string;
  readonly served: ServedNamespaces;
  readonly maxWaitSeconds: number;
  readonly maxStreams: number;
  readonly draining: AbortSignal;
}

/** Longer than any log that is still there. */
const LONGEST_SINCE_SECONDS = 366 * 24 * 3600;
const MOST_TAIL_LINES = 10_000_000;
/** Of a message in a trailer; proxies refuse long ones. */
const LONGEST_TRAILER = 512;

/** The options of `/logs`, as docs/api.md lists them. */
export function logOptions(maxWaitSeconds: number) {
  return {
    follow: option(truth, true, '`false`: what exists now, without waiting for more'),
    wait: option(wholeNumber({ from: 0, to: maxWaitSeconds }), 0, 'Seconds to wait for the run to be created'),
    tail: option(
      wholeNumber({ from: 0, to: MOST_TAIL_LINES }),
      undefined,
      'So many lines of each container, counted from its end',
    ),
    since: option(duration({ toSeconds: LONGEST_SINCE_SECONDS }), undefined, 'Only lines younger than this'),
    timestamps: option(
      word('false', 'true', 'iso'),
      'false',
      "Before each line: the kubelet's, or UTC with milliseconds",
    ),
    task: listOption(
      taskPath,
      'Only these pipeline tasks; `test-3` is one of a matrix, `deploy/test` one of a nested run',
    ),
    step: listOption(objectName, 'Only these steps'),
    prefix: option(word('task', 'none'), 'task', '`[task : step] ` before each line'),
    color: option(word('auto', 'always', 'never'), 'auto', 'Of the prefix and of notices; `auto` is on for text'),
    notices: option(
      word('problems', 'all', 'none'),
      'problems',
      'Sentences beside the log, in lines that begin with `[gateway] `: why nothing comes, what failed, what is missing',
    ),
    onFailure: option(
      word('trailer', 'abort'),
      'trailer',
      '`abort`: an answer about a run that did not succeed is left unfinished, and curl exits 18',
    ),
    format: option(word('text'), 'text', 'How lines are written'),
  };
}

/** `/logs` as a value. */
export function logsOperation(maxWaitSeconds: number) {
  return {
    id: 'getLogs',
    path: '/logs/:namespace/:name',
    shortPath: '/logs/:name',
    tag: 'logs',
    summary: 'The log of a whole run',
    description:
      'Every step of every task in one answer, while the run goes on: finally tasks, all instances of a matrix, all attempts of a retried task, tasks of nested runs. Steps come in order; tasks that run at the same time interleave by whole lines. How it ended is in the trailers.',
    options: logOptions(maxWaitSeconds),
    answers: {
      200: {
        description: 'The log, until its end',
        headers: ['X-Run-Uid'],
        trailers: ['X-Run-Status', 'X-Run-Reason', 'X-Run-Message', 'X-Log-Complete'],
        content: { 'text/plain; charset=utf-8': { schema: { type: 'string' } } },
      },
    },
    problems: whereReading,
  } as const satisfies Operation;
}

/** Routes `/logs/:name` (in the default namespace) and `/logs/:namespace/:name`. */
export function logsRoutes(parts: LogsParts): readonly Route[] {
  const { runs, clock, served, defaultNamespace, draining, maxWaitSeconds, maxStreams, metrics, log } = parts;
  const operation = logsOperation(maxWaitSeconds);
  const read = optionReader(operation.options);
  let open = 0;

  const answer = async (request: Request, response: Response): Promise<void> => {
    const ref = runRef(request.params, defaultNamespace);
    requireRead(callerOf(request), ref.namespace, served);
    const wish = read(request.url);
    const askedAt = clock.now();
    if (open >= maxStreams)
      throw new Fault('exhausted', 'all log streams of this server are in use; try again', { retryAfterMs: 5_000 });
    open += 1;
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      const waiting = new AbortController();
      const stop = () => waiting.abort();
      gone.signal.addEventListener('abort', stop, { once: true });
      draining.addEventListener('abort', stop, { once: true });
      const run = await findWithin(runs, ref, {
        forMs: wish.wait * 1000,
        sleep: (ms, signal) => clock.sleep(ms, signal),
        signal: waiting.signal,
      }).finally(() => draining.removeEventListener('abort', stop));
      // A pod that is missing from the stores counts as gone, so they have to be whole.
      runs.requireFresh(ref.namespace);
      const canTrail = hasTrailers(request);
      sendHead(request, response, 200, [
        'Content-Type',
        'text/plain; charset=utf-8',
        'X-Accel-Buffering', // proxies that read this pass on each line as it comes
        'no',
        'X-Run-Uid',
        run.meta.uid,
        ...(canTrail ? ['Trailer', 'X-Run-Status, X-Run-Reason, X-Run-Message, X-Log-Complete'] : []),
      ]);
      if (request.method === 'HEAD') {
        response.end();
        return;
      }
      response.flushHeaders();

      const ended = metrics.stream();
      let how: Parameters<typeof ended>[0] = 'disconnected';
      const outbox = createOutbox(response, {
        clock,
        dropped: () => {
          how = 'dropped';
          const { requestId } = notesOf(request);
          log.warn('a log stream was dropped: its client takes nothing', {
            run: ref.name,
            namespace: ref.namespace,
            requestId,
          });
          response.destroy();
        },
      });
      const shaper = textShaper({
        prefix: wish.prefix,
        color: wish.color !== 'never',
        timestamps: wish.timestamps === 'iso' ? 'iso' : wish.timestamps === 'true',
      });
      const filters = {
        ...(wish.task.length === 0 ? {} : { task: wish.task }),
        ...(wish.step.length === 0 ? {} : { step: wish.step }),
      };
      const range = {
        ...(wish.tail === undefined ? {} : { tailLines: wish.tail }),
        ...(wish.since === undefined ? {} : { sinceTime: new Date(askedAt - wish.since).toISOString() }),
      };
      try {
        const { follow, notices } = wish;
        const outcome = await streamRunLog(
          run,
          { follow, filters, range, notices },
          { ...parts, outbox, shaper, gone: gone.signal },
        );
        await outbox.flushed();
        if (outcome.ended === 'disconnected' || response.destroyed) return;
        how = outcome.complete ? 'complete' : 'incomplete';
        const condition = conditionOf(outcome);
        if (wish.onFailure === 'abort' && condition.status !== 'True') {
          abort(response);
          return;
        }
        if (canTrail) {
          response.addTrailers({
            'X-Run-Status': condition.status,
            'X-Run-Reason': headerText(condition.reason),
            'X-Run-Message': headerText(condition.message),
            'X-Log-Complete': String(outcome.complete),
          });
        }
        response.end();
      } finally {
        notesOf(request).outcome = how;
        metrics.logBytes(outbox.written);
        ended(how);
      }
    } finally {
      open -= 1;
    }
  };

  return [{ operation, handler: answer }];
}

/** HTTP/1.0 and HEAD have no chunks, so no trailers. */
function hasTrailers({ httpVersionMajor, httpVersionMinor, method }: Request): boolean {
  return method === 'GET' && (httpVersionMajor > 1 || httpVersionMinor >= 1);
}

/** What the trailers say: the run's own condition, unless it is gone and so can have none any more. */
function conditionOf({ run, ended }: LogOutcome): {
  readonly status: string;
  readonly reason: string;
  readonly message: string;
} {
  if (ended === 'deleted') return { status: 'Unknown', reason: 'Deleted', message: 'the run was deleted' };
  return runCondition(run);
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
