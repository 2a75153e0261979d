/** What a lock needs of a database driver: one conversation, of which it knows at once when it is over. */
import type { Fault } from '../fault.ts';

/** One row of an answer: values by column, as the driver has them. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * One connection to the database, for one lock alone. Named locks belong to it on the server: whoever ends it, from either
 * side, frees them.
 */
export interface Session {
  /**
   * Sends one statement and resolves with its rows; none for a statement that has none. `values` stand for its `?`. Faults:
   * `refused` (we may not), `unavailable` (any other error of the server, and the connection's). It waits for ever where
   * nothing answers: the caller has the clock.
   */
  query(sql: string, values?: readonly string[]): Promise<readonly Row[]>;
  /** Resolves, and never rejects, when the connection is over, whoever ended it. */
  readonly closed: Promise<Fault>;
  /** Tells the server goodbye and resolves when that is sent. Never rejects. */
  end(): Promise<void>;
  /** Lets go of the socket at once. Calling it twice is harmless. */
  destroy(): void;
}

/**
 * Connects. Faults: `bad-request` (a file that a setting names cannot be read), `refused` (credentials, rights, a certificate
 * that is not trusted: waiting does not help), `unavailable` (anything else). When `signal` aborts it gives up, leaves no
 * socket behind and rejects.
 */
export type OpenSession = (signal: AbortSignal) => Promise<Session>;
