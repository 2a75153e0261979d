/** What the main thread and a worker say to each other. */
import type { CelInputs } from './engine.ts';
import type { SecretKey, SecretValue } from './evaluator.ts';

/** What a worker starts with. */
export interface WorkerStart {
  /** One number that both sides see: the processor time, in microseconds, that this thread had used when it began to compute. */
  readonly began: BigInt64Array<SharedArrayBuffer>;
}

/** What `began` says while nothing is computed. */
export const NOT_BEGUN = -1n;

/** Expressions to be read, to see what is wrong with them. */
export interface ReadTask {
  readonly reads: readonly string[];
}

/** One round of expressions. Objects come as text, because that is copied faster. */
export interface EvaluationTask {
  readonly expressions: readonly string[];
  readonly body: string;
  readonly header: CelInputs['header'];
  readonly extensions: string;
  readonly requestURL: string;
  readonly secrets: readonly SecretValue[];
}

/** What a worker can be given. */
export type WorkerTask = ReadTask | EvaluationTask;

/** What became of one expression that was evaluated; a value comes as JSON. */
export type EvaluationOutcome =
  | { readonly json: string }
  | { readonly error: string }
  | { readonly needs: readonly SecretKey[] };

/** The same, or what is wrong with one that was read; undefined: nothing. */
export type WorkerOutcome = EvaluationOutcome | { readonly mistake: string | undefined };

/** What a worker says: that it can be given a task, what became of each expression in turn, and that the task is done. */
export type WorkerWord =
  | { readonly word: 'ready' }
  | { readonly word: 'outcome'; readonly outcome: WorkerOutcome }
  | { readonly word: 'done'; readonly spentMs: number };
