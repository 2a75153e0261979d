/** What a sender is answered: as an EventListener would say it, with what became of each trigger; and refusals. Pure. */
import type { Fault, FaultCode } from '../fault.ts';
import type { ObjectRef } from '../kube/objects.ts';
import { plainText } from '../kube/plain.ts';
import type { Hook } from './hook.ts';
import type { TriggerResult } from './outcome.ts';
import { RETRY_MS } from './pace.ts';

/** An answer, ready to be sent. */
export interface HookAnswer {
  readonly status: number;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: object;
  /** The code of a refusal. */
  readonly code: HookProblem | undefined;
}

/** What can be wrong with a delivery: codes of Fault, and those that only HTTP knows. */
export type HookProblem =
  | Extract<
      FaultCode,
      'bad-request' | 'unauthenticated' | 'forbidden' | 'exhausted' | 'internal' | 'unavailable' | 'draining'
    >
  | 'method-not-allowed'
  | 'too-slow'
  | 'length-required'
  | 'body-too-large'
  | 'unsupported-media-type';

/** A delivery that was not taken. */
export interface Refusal {
  readonly code: HookProblem;
  /** For whoever looks after the sender: notification-controller puts it into its log and into an Event. */
  readonly sentence: string;
  /** Where it is not that of the code. */
  readonly status?: number;
}

const RETRY = ['Retry-After', String(RETRY_MS / 1000)];

/** How a code is answered. */
export const refusals: Readonly<Record<HookProblem, { readonly status: number; readonly headers: readonly string[] }>> =
  {
    'bad-request': { status: 400, headers: [] },
    // A challenge has to be there (RFC 9110, 11.6.1), and none that makes a browser ask somebody for a password.
    unauthenticated: { status: 401, headers: ['WWW-Authenticate', 'Bearer realm="hook"'] },
    forbidden: { status: 403, headers: [] },
    'method-not-allowed': { status: 405, headers: ['Allow', 'POST'] },
    'too-slow': { status: 408, headers: [] },
    'length-required': { status: 411, headers: [] },
    'body-too-large': { status: 413, headers: [] },
    'unsupported-media-type': { status: 415, headers: [] },
    exhausted: { status: 429, headers: RETRY },
    internal: { status: 500, headers: [] },
    unavailable: { status: 503, headers: RETRY },
    draining: { status: 503, headers: [...RETRY, 'Connection', 'close'] },
  };

/** The same whether there is no such hook or what was shown does not open it; only the status differs. */
export function closed(isKnown: boolean): Refusal {
  const sentence = 'no such hook, or not signed as it wants';
  return { code: 'unauthenticated', sentence, ...(isKnown ? {} : { status: 404 }) };
}

/** What a Fault is to a sender: what Kubernetes did not do, for whatever reason, may be done the next time. */
export function refusalOf({ code, message }: Fault): Refusal {
  switch (code) {
    case 'unavailable':
    case 'timeout':
    case 'refused':
    case 'conflict':
      return { code: 'unavailable', sentence: message };
    case 'bad-request':
    case 'forbidden':
    case 'exhausted':
    case 'draining':
      return { code, sentence: message };
    default:
      return { code: 'internal', sentence: 'internal error' };
  }
}

/** Bodies of refusals are shorter than this: notification-controller copies them into an Event. */
const SHORT_BYTES = 256;
/** Characters that a sentence keeps beside the longest code and a usual request id, standing twice as it does. */
const SENTENCE_BYTES = 64;

/** The answer of a refusal, in the words of EventListeners (`errorMessage`) and in ours. */
export function refused({ code, sentence, status: own }: Refusal, requestId: string): HookAnswer {
  const { status, headers } = refusals[code];
  return { status: own ?? status, headers, body: problemBody({ code, sentence }, requestId), code };
}

function problemBody({ code, sentence }: Refusal, requestId: string): object {
  const said = plainText(sentence, SENTENCE_BYTES);
  const body = { errorMessage: said, error: said, code };
  const whole = { ...body, requestId };
  return sizeOf(whole) < SHORT_BYTES ? whole : body; // the header X-Request-Id has it in any case
}

/** Which delivery it was. */
export interface Delivered {
  readonly hook: Pick<Hook, 'ref' | 'uid'>;
  /** Of the request, as `HookRequest` has it. */
  readonly identity: string;
}

/**
 * The answer of a delivery that reached its triggers: 202 in the shape of EventListeners with `results` added, or 503 when
 * Kubernetes did not take what one of them asks for; then it is to be sent again. What is said about a trigger in a sentence is
 * for its owner and not in it. https://tekton.dev/docs/triggers/eventlisteners/#understanding-eventlistener-response
 */
export function answered({ hook, identity }: Delivered, results: readonly TriggerResult[]): HookAnswer {
  const shown = results.map(({ message: _, ...result }) => result);
  const failed = shown.filter(({ outcome }) => outcome === 'unavailable');
  if (failed.length === 0) {
    const { ref, uid } = hook;
    return { status: 202, headers: [], body: { ...acceptedBody(ref, uid, identity), results: shown }, code: undefined };
  }
  const said = 'a run was not taken; try again';
  const code = 'unavailable';
  const { status, headers } = refusals[code];
  const inOrder = [...failed, ...shown.filter((result) => !failed.includes(result))];
  // Without the request id, which the header has: what became of the triggers is worth more of the room.
  const body = { errorMessage: said, error: said, code };
  return { status, headers, body: { ...body, results: fitting(body, inOrder) }, code };
}

function acceptedBody({ namespace, name }: ObjectRef, uid: string, identity: string) {
  return { eventListener: name, namespace, eventListenerUID: uid, eventID: eventIdOf(identity) };
}

/** As many of the first as stay below the bound of bodies that are copied. */
function fitting(body: object, results: readonly object[]): readonly object[] {
  let count = 0;
  while (count < results.length && sizeOf({ ...body, results: results.slice(0, count + 1) }) < SHORT_BYTES) count += 1;
  return results.slice(0, count);
}

function sizeOf(body: object): number {
  return Buffer.byteLength(JSON.stringify(body));
}

/**
 * The id of an event, made of the hash that its delivery is known by: the same for the same bytes.
 * https://www.rfc-editor.org/rfc/rfc9562#section-5.8
 */
export function eventIdOf(identity: string): string {
  const bytes = Buffer.from(identity, 'hex').subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
