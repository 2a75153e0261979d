/** What reads CEL when it is loaded and evaluates it for each event, both where that cannot hold up anything else. */
import type { Json, JsonMap } from '../request.ts';

/** What an expression can see. https://tekton.dev/docs/triggers/cel_expressions/ */
export interface CelInputs {
  readonly body: JsonMap;
  /** By canonical names. */
  readonly header: Readonly<Record<string, readonly string[]>>;
  readonly extensions: JsonMap;
  readonly requestURL: string;
}

/** What one expression came to. An error is an answer: nothing is thrown for what an expression does. */
export type CelResult = { readonly ok: true; readonly value: Json } | { readonly ok: false; readonly error: string };

/** What `compareSecret` asks for: a key of a Secret in the namespace of the trigger; undefined: there is none. */
export type SecretLookup = (name: string, key: string) => Promise<Buffer | undefined>;

/** The engine, as a part of the process that may be asked before it is started. */
export interface CelEngine {
  /**
   * What is wrong with each expression, in a sentence: it does not parse, or is beyond a limit; undefined: nothing. One that was asked
   * about before is not read again. Rejects as `evaluate`.
   */
  mistakesIn(expressions: readonly string[], signal: AbortSignal): Promise<readonly (string | undefined)[]>;
  /**
   * Evaluates expressions of one trigger against the same inputs, in their order, within one limit of time for all of them together
   * (50 ms of computing; waiting for a turn or for a Secret does not count). One that takes too long is an error, and so are those
   * behind it. Rejects with a Fault: `exhausted` when more wait than may, and for a moment after expressions of the same owner took
   * too much; `draining` after it was closed. Rejects as well with what `secret` rejects with, and with the reason of an aborted signal.
   */
  evaluate(
    expressions: readonly string[],
    inputs: CelInputs,
    more: {
      readonly secret: SecretLookup;
      readonly signal: AbortSignal;
      /** Whose they are: the namespace of the trigger. Undefined: nobody's, who never rests. */
      readonly owner?: string;
    },
  ): Promise<readonly CelResult[]>;
  /** Ends its workers. Calling it twice is harmless. */
  close(): Promise<void>;
}
