/** How functions are declared: the signature that calls are checked against, beside what a call does. */
import { readSignature, type Signature } from './types.ts';
import type { Value } from './values.ts';

/** A function as rules may call it. */
export interface Declared extends Signature {
  readonly name: string;
  /** Throws an EvaluationError when there is no answer. Called only with values of the types of the signature. */
  readonly run: (...values: never[]) => Value;
}

/** Declares a function; see `readSignature` for how the signature is written. */
export function declare(name: string, signature: string, run: Declared['run']): Declared {
  return { name, ...readSignature(signature), run };
}

/** Declares the same function for several signatures. */
export function declareEach(name: string, signatures: readonly string[], run: Declared['run']): Declared[] {
  return signatures.map((signature) => declare(name, signature, run));
}

/** Calls a function with values that its signature takes. */
export function callDeclared({ run }: Declared, values: readonly Value[]): Value {
  // The signature, by which the values were chosen, says of which types they are.
  return run(...(values as never[]));
}
