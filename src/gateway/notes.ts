/** What one request gathers on its way through the gateway, for its access line and its answer. */
import type { Request } from 'express';
import type { Caller } from './callers/callers.ts';
import type { ProblemCode } from './described/schemas/problem.ts';

/** Filled in by whoever knows; read when the answer has ended. */
export interface RequestNotes {
  readonly requestId: string;
  /** What every answer carries, names and values in turn; `sendHead` adds the id and the rest. */
  readonly headers: readonly string[];
  /** The address that asks; of a proxy that is believed, whom it names. */
  readonly client: string;
  caller: Caller | undefined;
  /** What the caller has shown. */
  mode: 'basic' | 'ticket' | undefined;
  /** It opened a stream, whose end is told as well. */
  isStream: boolean;
  /** Why it was refused. */
  code: ProblemCode | undefined;
  /** The pattern of its path, where Express does not know it. */
  route: string | undefined;
  /** How a stream ended, where `complete` would not say it all. */
  outcome: string | undefined;
}

declare global {
  namespace Express {
    interface Request {
      /** Read through `notesOf`. */
      rungateNotes?: RequestNotes;
    }
  }
}

/** The notes of a request that `arrival` has seen; without it a mistake in the order of handlers. */
export function notesOf(request: Request): RequestNotes {
  const notes = request.rungateNotes;
  if (notes === undefined) throw new Error('a request was handled before its arrival was noted');
  return notes;
}

/** Who asks. Behind `authenticate` there is always someone. */
export function callerOf(request: Request): Caller {
  const { caller } = notesOf(request);
  if (caller === undefined) throw new Error('a request reached its handler without a caller');
  return caller;
}
