/** Structured logging: a constant message plus keys. Handed in everywhere, so that only `main` knows where lines go. */

/** Values a log line may carry. Objects are not allowed: name each field that may be seen. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** What every room is handed to say what happened. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** A log that says nothing, for tests and for parts whose caller does not care. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
