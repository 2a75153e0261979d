/** The body of every error, and what each code means. */
import type { FaultCode } from '../../../fault.ts';
import type { JsonSchema } from './schema.ts';

/** Every code a caller can meet: those of Fault, and those that only HTTP knows. */
export type ProblemCode =
  | FaultCode
  | 'method-not-allowed'
  | 'too-slow'
  | 'length-required'
  | 'unsupported-media-type'
  | 'body-too-large'
  | 'url-too-long'
  | 'headers-too-large';

/** What a code means. */
export interface ProblemMeaning {
  readonly when: string;
  /** What whoever meets it can do. */
  readonly advice: string;
}

/** Every code in words, for the OpenAPI document and docs/errors.md. */
export const meanings: Readonly<Record<ProblemCode, ProblemMeaning>> = {
  'bad-request': {
    when: 'an option or a name is unknown, malformed or given twice; the sentence names it',
    advice: 'change the request',
  },
  unauthenticated: {
    when: 'no credentials, or wrong ones; with `WWW-Authenticate`. Of a hook with 404 where there is no such hook',
    advice: 'send `Authorization: Basic ...`; to a hook what its Secret asks for',
  },
  forbidden: {
    when: 'the namespace is not served, or not open to this caller; the same whatever is in it. Of a hook: the signed event is too old, or ahead of its time',
    advice: 'ask whoever runs rungate; look at the clocks',
  },
  'not-found': {
    when: 'no such run or trigger, or no such path',
    advice: 'check the name, or wait for it with `wait`',
  },
  'method-not-allowed': {
    when: 'the path is served, but not with this method; with `Allow`',
    advice: 'use a method that `Allow` names',
  },
  'too-slow': {
    when: 'the head of the request took longer than `HEADER_SECONDS`, or the body of a delivery longer than 30 s; with `Connection: close`, without `requestId`',
    advice: 'look at the way to rungate',
  },
  conflict: { when: 'someone else wrote first', advice: 'read again, decide again' },
  gone: { when: 'what was asked about is too old to go on from', advice: 'begin anew, without the cursor' },
  'length-required': {
    when: 'a delivery without `Content-Length`, and not in chunks; with `Connection: close`',
    advice: 'say how long the body is',
  },
  'body-too-large': {
    when: 'a body where none is taken, or that of a delivery is longer than `MAX_HOOK_BYTES`; with `Connection: close`',
    advice: 'leave it out, or send less',
  },
  'unsupported-media-type': {
    when: 'a delivery that is not JSON by its `Content-Type`, or has a `Content-Encoding`; with `Connection: close`',
    advice: 'send `application/json` as it is',
  },
  'url-too-long': { when: 'the path with its query is longer than `MAX_URL_BYTES`', advice: 'ask for less at once' },
  'headers-too-large': {
    when: 'the head of the request is longer than `MAX_HEADER_BYTES`; with `Connection: close`, without `requestId`',
    advice: 'send fewer or shorter headers',
  },
  exhausted: { when: "a limit of rungate's is used up; with `Retry-After`", advice: 'ask again later' },
  internal: {
    when: 'a mistake of ours; the sentence says nothing, the log everything',
    advice: 'report it with the `requestId`',
  },
  refused: {
    when: 'Kubernetes does not let rungate read, or answers what it cannot use',
    advice: 'whoever runs rungate must look at its rights',
  },
  unavailable: {
    when: 'Kubernetes does not answer, or what rungate knows is too old; with `Retry-After`',
    advice: 'ask again',
  },
  draining: {
    when: 'this replica is stopping; with `Retry-After` and `Connection: close`',
    advice: 'ask again: another one answers',
  },
  timeout: { when: 'Kubernetes did not answer in time', advice: 'ask again' },
};

/** `{"error","code","requestId"}`, as `sendProblem` writes it. */
export const problemSchema: JsonSchema = {
  title: 'Problem',
  description: 'What went wrong. Every error has this body.',
  type: 'object',
  required: ['error', 'code'],
  properties: {
    error: { type: 'string', minLength: 1, description: 'A sentence for people; it names the field that is wrong' },
    code: { type: 'string', enum: Object.keys(meanings), description: 'A word for programs' },
    requestId: { type: 'string', description: 'As in `X-Request-Id`; absent where the request was no valid HTTP' },
  },
  additionalProperties: false,
};
