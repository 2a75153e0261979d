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

const LONGEST_EXPRESSION = 2_000;
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
      // Array.isArray does not narrow readonly lists away.
      Object.entries(value as JsonObject).map(([key, item]) => [key, this.resolve(item ?? null, depth + 1)]),
    );
  }

  #resolveText(text: string): string {
    if (this.#dialect === 'variables' && text === '$(branch)') return this.#budget.written(this.#event.branch);
    if (this.#dialect === 'variables' && text === '$(commit)') return this.#budget.written(this.#event.commit);
    return isExpression(text, this.#dialect) ? this.#evaluate(text) : text;
  }

  #evaluate(expression: string): string {
    let text: string | undefined;
    try {
      const value = operandsOf(expression)
        .map((operand) => this.#valueOf(operand))
        .reduce(join);
      if (value !== null) text = typeof value === 'string' ? this.#budget.written(value) : jsonOf(value, this.#budget);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const message = `Expression ${shown(expression)} cannot be evaluated: ${error.message}`;
      throw new Fault(error.code, message, { cause: error.cause });
    }
    // These are the original's own words.
    if (text === undefined) throw new Fault('bad-request', `Expression ${shown(expression)} evaluates to null.`);
    return text;
  }

  /** One match is that value, several are a list of them, none is null. */
  #valueOf(operand: Operand): Value {
    if ('text' in operand) return operand.text;
    this.#document ??= documentOf(this.#event);
    const [first = null, ...more] = select(operand.path, this.#document, this.#budget);
    return more.length === 0 ? first : [first, ...more];
  }
}

/** The details of an event, in which those of a repository have a name that the original documents but never wrote. */
function documentOf({ details, shown: { as } }: TriggerEvent): Value {
  const document = parseDocument(details);
  const { commitId } = objectOf(document as Json);
  if (as === 'repository' && commitId !== undefined) {
    // Not enumerable: it can be asked for, but `$` and `$.*` are what they always were.
    Object.defineProperty(document, 'branchId', { value: commitId });
  }
  return document;
}

function isExpression(text: string, dialect: Dialect): boolean {
  if (text.startsWith('$.')) return true;
  return dialect === 'jsonpath' && (text.startsWith('$[') || text === '$');
}

/** What stands between the `+` of an expression. */
type Operand = { readonly path: string } | { readonly text: string };

const QUOTED = /\s*(?:'(?<single>(?:[^'\\]|\\.)*)'|"(?<double>(?:[^"\\]|\\.)*)")\s*/sy;
const OPERATOR = /[-/%<>=!&|^~()]/;

function operandsOf(expression: string): readonly Operand[] {
  if (expression.length > LONGEST_EXPRESSION) {
    throw new Fault('bad-request', `it is longer than ${LONGEST_EXPRESSION} characters`);
  }
  const operands: Operand[] = [];
  for (let at = 0; ; at += 1) {
    QUOTED.lastIndex = at;
    const quoted = QUOTED.exec(expression);
    const end = quoted === null ? endOfPath(expression, at) : QUOTED.lastIndex;
    if (quoted !== null) operands.push({ text: unquoted(quoted.groups?.single, quoted.groups?.double) });
    else operands.push({ path: expression.slice(at, end).trim() });
    if (end === expression.length) return operands;
    if (expression[end] !== '+') throw notSupported(expression[end] ?? '');
    at = end;
  }
}

/** Where the path that begins at `start` ends: at the next `+` outside of brackets, or with the expression. */
function endOfPath(expression: string, start: number): number {
  let depth = 0;
  for (let at = start; at < expression.length; at += 1) {
    const character = expression[at] ?? '';
    if (character === '[') {
      if (/^\s*\(/.test(expression.slice(at + 1, at + 20))) throw notSupported('[(...)]');
      depth += 1;
    } else if (character === ']') {
      depth -= 1;
    } else if (depth > 0) {
      QUOTED.lastIndex = at;
      if ((character === "'" || character === '"') && QUOTED.test(expression)) at = QUOTED.lastIndex - 1;
    } else if (character === '+') {
      return at;
    } else if (OPERATOR.test(character) || (character === '*' && !/\.\s*$/.test(expression.slice(start, at)))) {
      throw notSupported(character);
    }
  }
  return expression.length;
}

function notSupported(what: string): Fault {
  const hint = what === '-' ? ", and a name with a dash is written $['my-key']" : '';
  return new Fault('bad-request', `${what} is not supported; + joins paths and quoted strings${hint}`);
}

function unquoted(single: string | undefined, double = ''): string {
  const escaped =
    single === undefined
      ? double
      : single.replace(/\\.|"/gs, (found) => (found === '"' ? '\\"' : found === "\\'" ? "'" : found));
  try {
    return String(JSON.parse(`"${escaped}"`));
  } catch (cause) {
    throw new Fault('bad-request', 'a quoted string has an escape that JSON has not', { cause });
  }
}

function join(left: Value, right: Value): Value {
  if (left === null || right === null) return null;
  // To the original `+` of two numbers is a sum.
  if (typeof left !== 'string' && typeof right !== 'string') throw new Fault('bad-request', '+ joins strings only');
  return `${joinable(left)}${joinable(right)}`;
}

function joinable(value: Value): string {
  if (value instanceof Numeral) return value.source;
  if (typeof value === 'object') throw new Fault('bad-request', '+ joins strings only');
  return String(value);
}

function shown(text: string): string {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}...` : text;
}
