/**
 * The parameters of a run, made from what a trigger says and what its source reports. Pure.
 *
 * Which values are expressions depends on the shape of the trigger; everything else is passed on as it is, `$(...)` included,
 * which is Tekton's own.
 */
import { Fault } from '../../fault.ts';
import { type Json, type JsonObject, objectOf, stringOf } from '../../kube/objects.ts';
import type { TriggerEvent } from './event.ts';
import { Budget, jsonOf, Numeral, parseDocument, select, type Value } from './jsonpath.ts';

/**
 * What a value may be written in. `variables`: `$(branch)` or `$(commit)` as a whole, or a path that starts with `$.`.
 * `jsonpath`: a path, or several paths and quoted strings joined with `+`.
 */
export type Dialect = 'variables' | 'jsonpath';

const LONGEST_SHOWN = 200;
/** Tekton's parameters are strings, lists of them or flat objects. What is deeper is nothing it takes. */
const DEEPEST = 20;

/**
 * `params`, a list of `{name, value}`, with every expression in their values, in lists and in objects replaced by what it comes
 * to. What is no such list or entry is passed on, for Tekton to refuse. All of it together takes bounded time and makes a
 * bounded text. Throws `bad-request` with a sentence that names the parameter. Nothing that is given is changed.
 */
export function resolveParams(params: Json, event: TriggerEvent, dialect: Dialect): Json {
  if (!Array.isArray(params)) return params;
  const resolver = new Resolver(event, dialect);
  return params.map((param: Json, place): Json => {
    const entry = objectOf(param);
    if (entry.value === undefined) return param;
    try {
      return { ...entry, value: resolver.resolve(entry.value, 0) };
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const name = stringOf(entry.name) ?? `number ${place + 1}`;
      throw new Fault(error.code, `parameter ${shown(name)}: ${error.message}`, { cause: error.cause });
    }
  });
}

class Resolver {
  readonly #event: TriggerEvent;
  readonly #dialect: Dialect;
  readonly #budget = new Budget();
  #document: Value | undefined;

  constructor(event: TriggerEvent, dialect: Dialect) {
    this.#event = event;
    this.#dialect = dialect;
  }

  resolve(value: Json, depth: number): Json {
    if (typeof value === 'string') return this.#resolveText(value);
    if (depth > DEEPEST) throw new Fault('bad-request', `its value is nested deeper than ${DEEPEST} levels`);
    if (Array.isArray(value)) return value.map((item: Json) => this.resolve(item, depth + 1));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value as JsonObject).map(([key, item]) => [key, this.resolve(item ?? null, depth + 1)]),
    );
  }

  #resolveText(text: string): string {
    if (this.#dialect === 'variables') {
      if (text === '$(branch)') return this.#budget.written(this.#event.branch);
      if (text === '$(commit)') return this.#budget.written(this.#event.commit);
    }
    return isExpression(text, this.#dialect) ? this.#budget.written(this.#evaluate(text)) : text;
  }

  #evaluate(expression: string): string {
    try {
      const [first, ...rest] = operandsOf(expression).map((operand) => this.#valueOf(operand));
      // An expression has an operand, or operandsOf has thrown.
      return rest.reduce<Value>(joined, first as Value) as string;
    } catch (error) {
      if (!(error instanceof Fault) || error.message.startsWith('Expression ')) throw error;
      throw new Fault(error.code, `Expression ${shown(expression)}: ${error.message}`, { cause: error.cause });
    }
  }
}
