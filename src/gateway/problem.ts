/** The one place where a Fault becomes bytes: `{"error","code","requestId"}` with the HTTP status of its code. */
import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import { Fault, faultOf } from '../fault.ts';
import type { Log } from '../log.ts';
import { type HeaderPairs, sendJson } from './answer.ts';
import type { ProblemCode } from './described/schemas/problem.ts';
import { notesOf } from './notes.ts';

/** How a code is answered. docs/errors.md says the same in words; a test keeps them equal. */
interface Answer {
  readonly status: number;
  /** Said in place of the fault's own message, which may say too much. */
  readonly sentence?: string;
  /** Sent as `Retry-After` where the fault does not know better. */
  readonly retryAfterMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether an operator should hear of it. */
  readonly logged?: 'warn' | 'error';
}

/** Every code and how it is answered. */
export const answers: Readonly<Record<ProblemCode, Answer>> = {
  'bad-request': { status: 400 },
  unauthenticated: { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="Authorization Required"' } },
  forbidden: { status: 403 },
  'not-found': { status: 404 },
  'method-not-allowed': { status: 405 },
  'too-slow': { status: 408, headers: { Connection: 'close' } },
  conflict: { status: 409 },
  gone: { status: 410 },
  // What was not read of the request would be taken for the next one.
  'length-required': { status: 411, headers: { Connection: 'close' } },
  'body-too-large': { status: 413, headers: { Connection: 'close' } },
  'url-too-long': { status: 414 },
  'unsupported-media-type': { status: 415, headers: { Connection: 'close' } },
  exhausted: { status: 429, retryAfterMs: 5_000 },
  'headers-too-large': { status: 431, headers: { Connection: 'close' } },
  internal: { status: 500, sentence: 'internal error', logged: 'error' },
  refused: { status: 502, logged: 'warn' },
  unavailable: { status: 503, retryAfterMs: 5_000, logged: 'warn' },
  draining: { status: 503, retryAfterMs: 1_000, headers: { Connection: 'close' } },
  timeout: { status: 504, logged: 'warn' },
};

/**
 * The last handler of the app. After the first byte nothing can be said any more: the connection is cut, so that the
 * caller does not take half an answer for a whole one.
 */
export function problem(log: Log): ErrorRequestHandler {
  return (error, request, response, _next) => {
    const fault = httpFault(error);
    const notes = notesOf(request);
    notes.code = fault.code;
    const { logged } = answers[fault.code];
    if (logged !== undefined) {
      log[logged](logged === 'error' ? 'a request failed by our fault' : 'a request failed', {
        requestId: notes.requestId,
        code: fault.code,
        error: fault.message,
        cause: causeOf(fault),
      });
    }
    if (response.headersSent) response.destroy();
    else sendProblem(request, response, fault);
  };
}

/** For paths that nothing serves. Mounted behind authentication, so that strangers learn nothing from it. */
export const unknownPath: RequestHandler = (_request, _response, next) => {
  next(new Fault('not-found', 'no such path'));
};

/** Answers 405 to whatever method; `Allow` names those that the path has. */
export function refuseMethod(methods: readonly string[]): RequestHandler {
  const allow: HeaderPairs = ['Allow', methods.join(', ')];
  return (request, response) => {
    notesOf(request).code = 'method-not-allowed';
    const refusal = { code: 'method-not-allowed', message: `${request.method} is not served here` } as const;
    sendProblem(request, response, refusal, allow);
  };
}

/** Answers a problem that was met before there was anything to catch a Fault; note its code yourself. */
export function sendProblem(
  request: Request,
  response: Response,
  told: { readonly code: ProblemCode; readonly message: string; readonly retryAfterMs?: number | undefined },
  more: HeaderPairs = [],
): void {
  const { status, retryAfterMs, headers = {} } = answers[told.code];
  const wait = retryAfterMs === undefined ? undefined : (told.retryAfterMs ?? retryAfterMs);
  const retryAfter = wait === undefined ? [] : ['Retry-After', String(Math.max(1, Math.ceil(wait / 1000)))];
  const body = problemFields(told.code, told.message, notesOf(request).requestId);
  sendJson(request, response, status, body, [...retryAfter, ...Object.entries(headers).flat(), ...more]);
}

/** What the body of a problem is made of, for answers that say more or are made without Express. */
export function problemFields(
  code: ProblemCode,
  message: string,
  requestId: string | undefined,
): { readonly error: string; readonly code: ProblemCode; readonly requestId: string | undefined } {
  return { error: answers[code].sentence ?? message, code, requestId };
}

/** Our own faults as they are; what Express refuses by itself (`%zz` in a path) is the caller's mistake. */
function httpFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new Fault('bad-request', 'the path is not valid', { cause: error });
  }
  return faultOf(error);
}

function causeOf({ cause }: Fault): string | undefined {
  if (cause === undefined) return undefined;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}
