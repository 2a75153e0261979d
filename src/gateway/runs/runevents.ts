/** `GET /runs/:namespace/:name/events`: how a run stands, then every change of that, as server-sent events. */
import type { Request, Response } from 'express';
import { Fault } from '../../fault.ts';
import type { Log } from '../../log.ts';
import { isSettled, type RunEvent, runEvent } from '../../tekton/runevent.ts';
import { isDone, runStatus } from '../../tekton/status.ts';
import type { PipelineRun, RunFacts } from '../../tekton/types.ts';
import { sendHead } from '../answer.ts';
import { auditStream } from '../callers/audit.ts';
import { requireRead } from '../callers/auth.ts';
import type { Limits } from '../callers/limits.ts';
import { runEventSchema } from '../described/schemas/runs.ts';
import { serverSentEvent } from '../described/schemas/schema.ts';
import { tagFrom } from '../etag.ts';
import type { Runs } from '../facts/gather.ts';
import { logsOf } from '../facts/subject.ts';
import { callerOf, notesOf } from '../notes.ts';
import { type Operation, type Route, whereReading } from '../operation.ts';
import { option, optionReader, runRef, wholeNumber } from '../options.ts';
import { createOutbox } from '../outbox.ts';
import type { StatusParts } from './status.ts';
import { patiently, waitedFor } from './waiting.ts';

/** What the route is made of. */
export interface RunEventsParts extends StatusParts {
  readonly limits: Pick<Limits, 'takeWaiter' | 'takeStream'>;
  readonly slowClientSeconds: number;
  /** How long a run that is done is followed while its tasks have not ended. */
  readonly graceSeconds: number;
  readonly log: Log;
}

/** Proxies and browsers let go of what is silent. */
const HEARTBEAT_MS = 15_000;
/** How soon a browser comes back when the stream ends before the run. */
const RETRY_MS = 1_000;

/** `/runs/:namespace/:name/events` as a value. */
function runEventsOperation(maxWaitSeconds: number) {
  return {
    id: 'followRun',
    path: '/runs/:namespace/:name/events',
    tag: 'runs',
    summary: 'The changes of a run, as they happen',
    description:
      'Server-sent events. The first `status` says how the run stands, each further one follows a change; `end` is the last, when the run is over or deleted (`phase` is `deleted` then). The data of each is a `RunEvent`. After 15 seconds of silence comes a comment. A stream that ends without `end` is to be asked for again, which browsers do by themselves: with `Last-Event-ID` nothing is said twice, and 204 tells them that there will be nothing more.',
    options: {
      wait: option(wholeNumber({ from: 0, to: maxWaitSeconds }), 0, 'Seconds to wait for the run to be created'),
    },
    headers: ['Last-Event-ID'],
    answers: {
      200: {
        description: 'The events, until the run is over',
        headers: ['X-Run-Uid'],
        content: { 'text/event-stream': { schema: serverSentEvent(runEventSchema), item: runEventSchema } },
      },
      204: { description: 'The run is over, and `Last-Event-ID` says that its end is known', headers: ['X-Run-Uid'] },
    },
    problems: whereReading,
  } as const satisfies Operation;
}

/** An event as it is written; made once for all who follow the run. */
interface Written {
  readonly event: RunEvent;
  readonly id: string;
  readonly json: string;
  /** As the event `status`. */
  readonly bytes: Buffer;
}

/** The route `/runs/:namespace/:name/events`. */
export function runEventsRoutes(parts: RunEventsParts): readonly Route[] {
  const { runs, clock, served, defaultNamespace, maxWaitSeconds, limits } = parts;
  const operation = runEventsOperation(maxWaitSeconds);
  const read = optionReader(operation.options);
  const written = new WeakMap<RunFacts, Written>();

  const write = (run: PipelineRun): Written => {
    const facts = runs.facts(run);
    const before = written.get(facts);
    if (before !== undefined) return before;
    const made = writtenOf(runEvent(runStatus(facts, new Date(clock.now()), logsOf)));
    written.set(facts, made);
    return made;
  };

  const answer = async (request: Request, response: Response): Promise<void> => {
    const ref = runRef(request.params, defaultNamespace);
    const caller = callerOf(request);
    requireRead(caller, ref.namespace, served);
    const { wait } = read(request.url);
    const release = limits.takeStream(caller);
    response.once('close', release);
    try {
      const run =
        wait === 0
          ? await runs.find(ref)
          : (await patiently(request, response, wait, parts, (waiting) => waitedFor(runs, ref, waiting, () => true)))
              .object;
      if (response.destroyed) return;
      // Children that are missing from the stores would count as not begun, so the stores have to be whole.
      runs.requireFresh(ref.namespace);
      const first = write(run);
      const known = request.headers['last-event-id'];
      if (isSettled(first.event) && known === endId(first)) {
        sendHead(request, response, 204, ['X-Run-Uid', run.meta.uid]);
        response.end();
        return;
      }
      sendHead(request, response, 200, [
        'Content-Type',
        'text/event-stream; charset=utf-8',
        'X-Accel-Buffering', // proxies that read this pass on each event as it comes
        'no',
        'X-Run-Uid',
        run.meta.uid,
      ]);
      if (request.method === 'HEAD') {
        response.end();
        return;
      }
      response.flushHeaders();
      auditStream(parts.log, request, defaultNamespace);
      await followRun(run, {
        ...parts,
        request,
        response,
        write,
        knownId: typeof known === 'string' ? known : undefined,
      });
      if (!response.destroyed) response.end();
    } finally {
      release();
    }
  };
  return [{ operation, handler: answer }];
}

/** What following one run for one client needs. */
interface Following extends RunEventsParts {
  readonly request: Request;
  readonly response: Response;
  readonly write: (run: PipelineRun) => Written;
  /** What the client has already. */
  readonly knownId: string | undefined;
}

/**
 * Tells a run until it is over, deleted, not followed any more or this process stops. What changes while the client does
 * not keep up is told as the last of it: a state needs no history.
 */
async function followRun(run: PipelineRun, parts: Following): Promise<void> {
  const { runs, clock, request, response, write, draining, graceSeconds, slowClientSeconds, log } = parts;
  const { namespace, name, uid } = run.meta;
  const notes = notesOf(request);
  const outbox = createOutbox(response, {
    clock,
    slowMs: slowClientSeconds * 1000,
    dropped: () => {
      notes.outcome = 'dropped';
      const { requestId } = notes;
      log.warn('an event stream was dropped: its client takes nothing', { run: name, namespace, requestId });
      response.destroy();
    },
  });
  const say = (text: string) => outbox.write(Buffer.from(text));
  let bell = new AbortController();
  const ring = () => bell.abort();
  const unsubscribe = runs.subscribe(run.meta, ring);
  response.once('close', ring);
  draining.addEventListener('abort', ring, { once: true });
  let latest = run;
  let state = write(run);
  let wasKnown = false;
  let isGone = false;
  let toldId = parts.knownId;
  let doneAtMs: number | undefined;
  let saidAtMs = clock.now();
  try {
    say(`retry: ${RETRY_MS}\n\n`);
    for (;;) {
      // Rung for what happens from here on.
      bell = new AbortController();
      await outbox.room();
      if (response.destroyed) return;
      if (draining.aborted) {
        say(': this replica is stopping; ask again\n\n');
        await outbox.flushed();
        notes.outcome = 'interrupted';
        return;
      }
      const now = runs.known(run.meta);
      wasKnown ||= now !== undefined;
      const isDeleted = isGone || (wasKnown && now?.meta.uid !== uid);
      if (!isDeleted) latest = now ?? latest;
      // As it was last: what is left of a deleted run's children says nothing about it.
      state = isDeleted ? writtenOf({ ...state.event, phase: 'deleted' }) : write(latest);
      if (isDone(latest.succeeded)) doneAtMs ??= clock.now();
      const graceMs = doneAtMs === undefined ? undefined : doneAtMs + graceSeconds * 1000 - clock.now();
      if (isDeleted || isSettled(state.event) || (graceMs !== undefined && graceMs <= 0)) {
        say(eventText('end', endId(state), state.json));
        await outbox.flushed();
        return;
      }
      if (state.id !== toldId) {
        outbox.write(state.bytes);
        toldId = state.id;
        saidAtMs = clock.now();
      }
      const silenceMs = saidAtMs + HEARTBEAT_MS - clock.now();
      await clock.sleep(Math.max(0, Math.min(silenceMs, graceMs ?? silenceMs)), bell.signal);
      if (clock.now() - saidAtMs < HEARTBEAT_MS) continue;
      say(':\n\n');
      saidAtMs = clock.now();
      // Found by a GET and not in the store since: deleted before its watch could tell.
      isGone = !wasKnown && (await isAbsent(runs, run));
    }
  } finally {
    unsubscribe();
    response.off('close', ring);
    draining.removeEventListener('abort', ring);
  }
}

async function isAbsent(runs: Runs, { meta }: PipelineRun): Promise<boolean> {
  try {
    return (await runs.find(meta)).meta.uid !== meta.uid;
  } catch (error) {
    return error instanceof Fault && error.code === 'not-found';
  }
}

function writtenOf(event: RunEvent): Written {
  const json = JSON.stringify(event);
  // The same on every replica, so that a client may come back to another one.
  const id = tagFrom([json]).slice(3, -1);
  return { event, id, json, bytes: Buffer.from(eventText('status', id, json)) };
}

/** Told apart from a state, so that whoever has it knows that nothing follows. */
function endId({ id }: Written): string {
  return `${id}.end`;
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation ; JSON has no line breaks. */
function eventText(event: 'status' | 'end', id: string, json: string): string {
  return `id: ${id}\nevent: ${event}\ndata: ${json}\n\n`;
}
