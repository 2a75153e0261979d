/** Running what has been compiled: variables, loops, choices between overloads, and what it all may cost. */
import { callDeclared, type Declared } from './declare.ts';
import { accepts, type Type } from './types.ts';
import { EvaluationError, ListValue, MapValue, ObjectValue, typeOfValue, type Value } from './values.ts';

/** What evaluations may cost. A step costs one; strings and lists that are made cost by their length too. */
export class Budget {
  #left: number;
  constructor(steps: number) {
    this.#left = steps;
  }
  get left(): number {
    return this.#left;
  }
  /** Throws an EvaluationError when nothing is left. */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new EvaluationError('operation cancelled: actual cost limit exceeded');
  }
}

/** One run: the values of variables by their slot, and what may still be spent. A loop may have come to no value so far. */
export interface Frame {
  readonly slots: (Value | EvaluationError)[];
  readonly budget: Budget;
}

/** A part of an expression, ready to be run. */
export interface Built {
  readonly type: Type;
  readonly run: (frame: Frame) => Value;
}

/** What is in a slot; throws what kept a value from being there. */
export function valueIn(slot: Value | EvaluationError | undefined): Value {
  if (slot instanceof EvaluationError) throw slot;
  return slot ?? null;
}

/** What a loop goes over: the items of a list, the keys of a map. */
export function itemsOf(range: Value): readonly Value[] {
  if (range instanceof ListValue) return range.items;
  if (range instanceof MapValue) return [...range.entries.values()].map(([key]) => key);
  throw new EvaluationError('no such overload');
}

/** Whether a value has a field, as `has(x.field)` asks. */
export function hasField(value: Value, field: string): boolean {
  if (value instanceof ObjectValue) return value.has(field);
  if (value instanceof MapValue) return value.entries.has(JSON.stringify(field));
  throw new EvaluationError('no such overload');
}

/** The value of a field. */
export function fieldOf(value: Value, field: string): Value {
  if (value instanceof ObjectValue) return value.get(field);
  if (!(value instanceof MapValue)) throw new EvaluationError('no such overload');
  const entry = value.entries.get(JSON.stringify(field));
  if (entry === undefined) throw new EvaluationError(`no such key: ${field}`);
  return entry[1];
}

/** A value that has to be true or false. */
export function truth(value: Value): boolean {
  if (typeof value !== 'boolean') throw new EvaluationError('no such overload');
  return value;
}

/** `&&` and `||`: the side that decides does so even when the other has no value. */
export function decide(left: Built, right: Built, decisive: boolean, frame: Frame): boolean {
  const first = attempt(left, frame);
  if (first === decisive) return decisive;
  const second = attempt(right, frame);
  if (second === decisive) return decisive;
  truth(valueIn(first));
  truth(valueIn(second));
  return !decisive;
}

/** The value, or why there is none; a budget that is spent ends everything. */
export function attempt({ run }: Built, frame: Frame): Value | EvaluationError {
  try {
    return run(frame);
  } catch (error) {
    if (error instanceof EvaluationError && frame.budget.left >= 0) return error;
    throw error;
  }
}

/** Whether a loop goes on: it ends at a plain false alone, not where there is no value. */
export function notStrictlyFalse(built: Built, frame: Frame): boolean {
  return attempt(built, frame) !== false;
}

/** Calls the first of the functions that takes the values as they turn out to be. */
export function invoke(candidates: readonly Declared[], args: readonly Built[], frame: Frame): Value {
  frame.budget.spend(1);
  const values = args.map(({ run }) => run(frame));
  const chosen = candidates.find((one) => one.args.every((wanted, at) => takes(wanted, values[at] ?? null)));
  if (chosen === undefined) throw new EvaluationError('no such overload');
  const result = callDeclared(chosen, values);
  if (typeof result === 'string') frame.budget.spend(Math.ceil(result.length / 10));
  else if (result instanceof ListValue) frame.budget.spend(Math.ceil(result.items.length / 10));
  return result;
}

/** Whether a function that wants `wanted` can be called with `value`; of a list the first item speaks for all. */
function takes(wanted: Type, value: Value): boolean {
  if (wanted.of === 'list') {
    const [first] = value instanceof ListValue ? value.items : [];
    return value instanceof ListValue && (first === undefined || takes(wanted.items, first));
  }
  return accepts(wanted, typeOfValue(value), new Map());
}
