/** What can be wrong, as one error type whose code is an instruction to its handler. */

/**
 * What is wrong, in a word. Loops read it to choose a retry; `gateway/problem` reads it to choose an HTTP status.
 */
export type FaultCode =
  | 'bad-request' // the caller must change the request; the message names the field
  | 'unauthenticated' // no credentials, or wrong ones
  | 'forbidden' // known, but not allowed
  | 'not-found'
  | 'conflict' // someone wrote first: read again, decide again
  | 'gone' // what was asked about is too old: list again
  | 'exhausted' // a limit of ours is used up: come back after `retryAfterMs`
  | 'refused' // Kubernetes does not let us, or answers what we cannot use: a person must look at the installation
  | 'unavailable' // network or server: back off, then retry
  | 'timeout' // asked, and no answer in time
  | 'draining' // this process is stopping; another replica answers
  | 'internal';

/** An error with an instruction. `message` may reach a caller; `cause` is only ever logged. */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly retryAfterMs: number | undefined;

  constructor(code: FaultCode, message: string, more: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'Fault';
    this.code = code;
    this.retryAfterMs = more.retryAfterMs;
  }
}

/** The fault in any thrown value: itself, or `internal` around it. */
export function faultOf(error: unknown): Fault {
  return error instanceof Fault ? error : new Fault('internal', 'internal error', { cause: error });
}
