/** What is done with a delivery from somebody who may deliver: it is read, handed to its hook once and in time, and told of. */
import { hash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { Fault, faultOf } from '../fault.ts';
import type { ObjectRef } from '../kube/objects.ts';
import { plainText } from '../kube/plain.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { answered, eventIdOf, type HookAnswer, type HookProblem, refusalOf, refused } from './answers.ts';
import { parseBody } from './body.ts';
import { type DeliveredEvent, type Deliveries, deliveredEvent } from './deliveries.ts';
import { expectedRevision } from './eventrevision.ts';
import { type FluxEvent, isFluxEvent, readFluxEvent } from './fluxevent.ts';
import { firstOf } from './headers.ts';
import type { Hook } from './hook.ts';
import type { TriggerResult } from './outcome.ts';
import type { Replay } from './replay.ts';
import type { HookHeaders, HookRequest } from './request.ts';

/** A delivery that has come whole, and whose sender may deliver. */
export interface Admitted {
  readonly hook: Hook;
  /** As the request named it. */
  readonly ref: ObjectRef;
  readonly headers: HookHeaders;
  readonly raw: Buffer;
  /** Path and query. */
  readonly url: string;
  /** Nobody but a holder of the key can have written the body. */
  readonly isSigned: boolean;
  readonly client: string;
  readonly requestId: string;
  /** Milliseconds since the epoch, and on the steady clock. */
  readonly arrivedAt: number;
  readonly beganAt: number;
}

/** Where deliveries are received. */
export interface Reception {
  /** Never rejects. */
  receive(admitted: Admitted): Promise<HookAnswer>;
}

/** What a reception is made of. */
export interface ReceptionParts {
  readonly replay: Replay;
  readonly deliveries: Deliveries;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'hookDelivery'>;
}

/**
 * So long after a request has come it is answered, whatever is still to be done: notification-controller gives a delivery 15 s,
 * further tries included, and one of those has to fit.
 */
const ANSWER_MS = 8_000;
/** What a body that came slowly leaves for its work. */
const LEAST_WORK_MS = 2_000;
/** How far the time of a signed event may be off: Flux tries for less than a minute, and clocks differ. */
const OLDEST_MS = 10 * 60_000;
const NEWEST_MS = 2 * 60_000;
const MOST_LOGGED_BYTES = 2_048;

/** What a delivery came to. */
interface Outcome {
  readonly answer: HookAnswer;
  readonly results: readonly TriggerResult[];
  /** It was delivered a moment before, and nothing was done. */
  readonly isRepeat?: boolean;
  /** Why it was refused, for whoever owns the hook; and what is for the log alone. */
  readonly problem?: string;
  readonly cause?: string | undefined;
}

/** Makes a reception. */
export function createReception({ replay, deliveries, clock, log, metrics }: ReceptionParts): Reception {
  /** The work of a delivery, up to the moment at which it is answered in any case. */
  const inTime = async ({ hook, beganAt }: Admitted, request: HookRequest) => {
    const late = new AbortController();
    const done = new AbortController();
    const working = replay.once(sameness(hook, request), () => hook.receive(request, late.signal));
    const workMs = Math.max(LEAST_WORK_MS, beganAt + ANSWER_MS - clock.steady());
    const overdue = clock.sleep(workMs, done.signal).then(() => 'overdue' as const);
    try {
      const first = await Promise.race([working, overdue]);
      if (first !== 'overdue') return first;
      const tooLate = new Fault('timeout', 'not done in time; try again');
      late.abort(tooLate);
      throw tooLate;
    } finally {
      done.abort('done'); // without a reason it would make an error with its stack, at every delivery
    }
  };

  const outcomeFor = async (admitted: Admitted, identity: string, read: Read): Promise<Outcome> => {
    const { hook, ref, headers, raw, url, arrivedAt, requestId } = admitted;
    const refuse = (code: HookProblem, sentence: string): Outcome => ({
      answer: refused({ code, sentence }, requestId),
      results: [],
      problem: sentence,
    });
    if ('mistake' in read) return refuse('bad-request', read.mistake);
    const untimely = admitted.isSigned ? untimeliness(read.event, arrivedAt) : undefined;
    if (untimely !== undefined) return refuse('forbidden', untimely);
    const request: HookRequest = { hook: ref, identity, headers, raw, body: read.body, url, arrivedAt };
    try {
      const { results, isRepeat } = await inTime(admitted, request);
      return { answer: answered({ hook, identity }, results), results, isRepeat };
    } catch (error) {
      const fault = faultOf(error);
      const refusal = refusalOf(fault);
      return { answer: refused(refusal, requestId), results: [], problem: refusal.sentence, cause: causeOf(fault) };
    }
  };

  /** In the log, in numbers, and for whoever asks what came to the hook. */
  const tell = (admitted: Admitted, id: string, event: DeliveredEvent | undefined, outcome: Outcome): void => {
    const { hook, ref, headers, client, requestId, arrivedAt, beganAt } = admitted;
    const { answer, results, isRepeat = false, problem, cause } = outcome;
    const component = firstOf(headers, 'Gotk-Component');
    const durationMs = Math.round(clock.steady() - beganAt);
    const { status, code } = answer;
    const what = { id, requestId, client, component: component || undefined, event, problem, isRepeat };
    deliveries.add(ref, { at: arrivedAt, ...what, status, results, durationMs });
    for (const { outcome: each } of results) metrics.hookDelivery(hook.kind, each);
    if (results.length === 0) metrics.hookDelivery(hook.kind, code ?? 'filtered');
    log[status >= 500 ? 'warn' : 'info']('hook delivery', {
      kind: hook.kind,
      namespace: ref.namespace,
      name: ref.name,
      status,
      code,
      results: plainText(problem ?? inWords(results), MOST_LOGGED_BYTES),
      repeat: isRepeat || undefined,
      component: plainText(component, 128) || undefined,
      object: event && `${event.kind}/${event.namespace}/${event.name}`,
      revision: event?.revision && plainText(event.revision, 256),
      severity: event && plainText(event.severity, 32),
      reason: event && plainText(event.reason, 128),
      eventId: id,
      client,
      requestId,
      ms: durationMs,
      cause,
    });
  };

  return {
    async receive(admitted) {
      const { ref, raw, hook } = admitted;
      const identity = hash('sha256', Buffer.concat([Buffer.from(`${ref.namespace}/${ref.name}\n`), raw]), 'hex');
      const read = readDelivery(raw, hook.wantsFluxEvent);
      const outcome = await outcomeFor(admitted, identity, read);
      const event = 'event' in read ? read.event : undefined;
      tell(admitted, eventIdOf(identity), event && deliveredEvent(event, expectedRevision(event)), outcome);
      return outcome.answer;
    },
  };
}

/** Of headers these say nothing of what is delivered, and differ from one try to the next. */
const OF_THE_WAY = /^(?:X-Request-Id|X-Forwarded-.*|X-Real-Ip|Forwarded|Via|Traceparent|Tracestate|Date|Connection)$/;

/**
 * What two deliveries have in common that are the same: not the body alone, since filters look at headers, and Git hosts say there which
 * delivery it is. By the uid of the hook: one that is deleted and made anew has seen nothing.
 */
function sameness({ uid }: Hook, { identity, url, headers }: HookRequest): string {
  const telling = [...headers].filter(([name]) => !OF_THE_WAY.test(name));
  return hash('sha256', JSON.stringify([uid, identity, url, telling]), 'hex');
}

/** What a body says, or what is wrong with it in a sentence. `event`: it is one of Flux that can be read. */
type Read =
  | { readonly body: HookRequest['body']; readonly event: FluxEvent | undefined }
  | { readonly mistake: string };

function readDelivery(raw: Buffer, wantsFluxEvent: boolean): Read {
  const parsed = parseBody(raw);
  if (!parsed.ok) return { mistake: parsed.message };
  const { body } = parsed;
  if (!wantsFluxEvent && !isFluxEvent(body)) return { body, event: undefined };
  const read = readFluxEvent(body);
  if (read.ok) return { body, event: read.event };
  return wantsFluxEvent ? { mistake: read.message } : { body, event: undefined };
}

/**
 * Why a signed event counts no more, or not yet: whoever has kept one that they saw may send it again. It is told, since nobody but a
 * holder of the key hears it, and clocks that differ are the usual reason. An event without a time, which Flux does not send, has
 * none that could have been taken out: the signature is over all of it.
 */
function untimeliness(event: FluxEvent | undefined, nowMs: number): string | undefined {
  const { timestamp = nowMs } = event ?? {};
  if (nowMs - timestamp > OLDEST_MS) return 'the timestamp is more than 10 minutes old';
  if (timestamp - nowMs > NEWEST_MS) return 'the timestamp is more than 2 minutes ahead';
  return undefined;
}

/** `build: filtered (NoRevision: the event names none)`, for each trigger. */
function inWords(results: readonly TriggerResult[]): string {
  if (results.length === 0) return 'the hook has no triggers';
  return results
    .map(({ trigger, outcome, reason, message, pipelineRun }) => {
      const why = [reason, message].filter((text) => text !== undefined).join(': ');
      return `${trigger}: ${outcome}${pipelineRun === undefined ? '' : ` ${pipelineRun}`}${why === '' ? '' : ` (${why})`}`;
    })
    .join('; ');
}

function causeOf({ cause }: Fault): string | undefined {
  if (cause === undefined) return undefined;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}
