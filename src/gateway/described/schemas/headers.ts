/** Every header and trailer that the API gives a meaning to, by name: what it says, for the OpenAPI document. */
import type { JsonSchema } from './schema.ts';

/** What a header says. */
export interface HeaderShape {
  readonly purpose: string;
  readonly schema: JsonSchema;
  readonly example?: string;
}

const text: JsonSchema = { type: 'string' };
const seconds: JsonSchema = { type: 'integer', minimum: 1 };

/** Headers of a request that change its answer. */
export const requestHeaders = {
  'X-Request-Id': {
    purpose:
      'An id of your own for this request, to find it in the log again: up to 128 letters, digits and `._~:+/=-`. Another is replaced',
    schema: text,
    example: 'ci-4711/build',
  },
  'If-None-Match': {
    purpose: 'Entity tags from before, or `*`: what has not changed is answered 304 without a body',
    schema: text,
    example: 'W/"J1vOoK1VlQkKxkcTUQzXyA"',
  },
  Accept: {
    purpose: 'The format, where the option `format` does not say it',
    schema: text,
    example: 'text/event-stream',
  },
  'Accept-Encoding': {
    purpose: '`gzip` compresses long JSON; logs are never compressed',
    schema: text,
    example: 'gzip',
  },
  'Idempotency-Key': {
    purpose:
      'Needed. A text of your own for this run, up to 255 characters without blanks: the same one again is the same run. Browsers send no such header to a page of another origin unasked',
    schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[!-~]+$' },
    example: 'release-4711',
  },
  'Last-Event-ID': {
    purpose: 'Where a stream of events is resumed; browsers send it by themselves',
    schema: text,
  },
} as const satisfies Readonly<Record<string, HeaderShape>>;

/** Headers of answers. */
export const answerHeaders = {
  'X-Request-Id': { purpose: 'The id of this request, as it is in the log', schema: text },
  'X-Run-Phase': {
    purpose: 'How the run stands, in one word',
    schema: {
      type: 'string',
      enum: ['pending', 'running', 'succeeded', 'failed', 'cancelled', 'timedout', 'deleted'],
    },
  },
  'X-Run-Uid': {
    purpose: 'Which run of this name: another uid is another run',
    schema: { type: 'string' },
    example: '0d2f5d0e-7a94-4b21-8d6e-0a3c9a6f0a11',
  },
  ETag: {
    purpose: 'Changes with the answer; for `If-None-Match`',
    schema: { type: 'string', pattern: '^(W/)?"[^"]*"$' },
  },
  Vary: { purpose: 'Which headers of the request have decided about the answer', schema: text },
  'Content-Encoding': { purpose: '`gzip` where the body is compressed', schema: { type: 'string', enum: ['gzip'] } },
  'Retry-After': { purpose: 'Seconds after which asking again makes sense', schema: seconds },
  'WWW-Authenticate': { purpose: 'Which credentials are wanted: HTTP Basic', schema: text },
  Allow: { purpose: 'The methods that this path has', schema: text, example: 'GET, HEAD' },
  Location: { purpose: 'Where to go instead', schema: text },
} as const satisfies Readonly<Record<string, HeaderShape>>;

/** What stands behind the last chunk of a log: how it ended, which its head could not know. */
export const trailers = {
  'X-Run-Status': {
    purpose: "The status of the run's condition",
    schema: { type: 'string', enum: ['True', 'False', 'Unknown'] },
  },
  'X-Run-Reason': { purpose: 'Its reason, `Deleted` where the run was deleted; ASCII', schema: text },
  'X-Run-Message': { purpose: 'Its message; ASCII, at most 512 bytes', schema: { type: 'string', maxLength: 512 } },
  'X-Log-Complete': {
    purpose:
      '`true` when every line that was asked for was delivered; `false` when some may be missing, and a notice says why. With `follow=false`: of what there was',
    schema: { type: 'string', enum: ['true', 'false'] },
  },
  'X-Log-Cursor': { purpose: 'Where the log goes on: the option `cursor` takes it', schema: text },
} as const satisfies Readonly<Record<string, HeaderShape>>;

/** A header of a request. */
export type RequestHeader = keyof typeof requestHeaders;

/** A header of an answer. */
export type AnswerHeader = keyof typeof answerHeaders;

/** A trailer of a log. */
export type Trailer = keyof typeof trailers;
