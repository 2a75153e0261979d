/**
 * JSONPath (RFC 9535) where neither the expression nor the document can be trusted: json-p3 reads the expression, but the walk is
 * ours, so that it ends in bounded time and numbers come out as they were written. Pure.
 * https://www.rfc-editor.org/rfc/rfc9535
 */
import { JSONPathEnvironment, JSONPathError, type JSONPathQuery, jsonpath, type Token, TokenKind } from 'json-p3';
import { Fault } from '../../fault.ts';

/** A number whose text says more than its value does: `9007199254740993`, `1.0`. */
export class Numeral {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

/** A JSON value. */
export type Value = null | boolean | number | string | Numeral | readonly Value[] | { readonly [key: string]: Value };

const MOST_STEPS = 100_000;
const MOST_TEXT = 512 * 1024;
const DEEPEST = 100;
const LONGEST_PATH = 1_000;

/** What all expressions of one run may cost together: steps of walking, and characters that come of it. */
export class Budget {
  #steps = MOST_STEPS;
  #text = MOST_TEXT;

  /** Throws `bad-request` when the steps are used up. */
  spend(steps: number): void {
    this.#steps -= steps;
    if (this.#steps < 0) throw new Fault('bad-request', `it takes more than ${MOST_STEPS} steps`);
  }

  /** `text`, which is now part of the result. Throws `bad-request` when there is too much of it. */
  written(text: string): string {
    this.#text -= text.length;
    if (this.#text < 0) throw new Fault('bad-request', `it makes more than ${MOST_TEXT} characters`);
    return text;
  }
}

/** Reads a document. Throws `bad-request` when it is no JSON or nested deeper than 100 levels. */
export function parseDocument(text: string): Value {
  let parsed: Value;
  try {
    parsed = JSON.parse(text, asWritten) as Value;
  } catch (cause) {
    throw new Fault('bad-request', 'what the source tells of the event is no JSON', { cause });
  }
  requireShallow(parsed, 0);
  return parsed;
}

function asWritten(_key: string, value: Value, context?: { readonly source?: string }): Value {
  if (typeof value !== 'number' || context?.source === undefined) return value;
  return context.source === String(value) ? value : new Numeral(context.source);
}

function requireShallow(value: Value, depth: number): void {
  if (depth > DEEPEST) {
    throw new Fault('bad-request', `what the source tells of the event is nested deeper than ${DEEPEST} levels`);
  }
  for (const child of childrenOf(value)) requireShallow(child, depth + 1);
}

/** The value as JSON, without spaces. Throws `bad-request` when that makes more text than the budget has. */
export function jsonOf(value: Value, budget: Budget): string {
  if (value instanceof Numeral) return budget.written(value.source);
  if (isList(value)) return `[${value.map((item) => jsonOf(item, budget)).join(',')}]`;
  if (!isObject(value)) return budget.written(JSON.stringify(value));
  const fields = Object.entries(value).map(
    ([key, item]) => `${budget.written(JSON.stringify(key))}:${jsonOf(item, budget)}`,
  );
  return `{${fields.join(',')}}`;
}

/**
 * What `path` selects, in the standard's order. Throws `bad-request` with what is wrong with the path, where and why; the
 * functions `match` and `search` are not supported, because a regular expression can take for ever.
 */
export function select(path: string, document: Value, budget: Budget): readonly Value[] {
  budget.spend(path.length); // reading a path takes time as well
  return walk(compile(path), document, { root: document, budget });
}

const FUNCTIONS = new Set(['length', 'count', 'value']);

class Reader extends JSONPathEnvironment {
  override checkWellTypedness(
    token: Token,
    args: jsonpath.expressions.FilterExpression[],
  ): jsonpath.expressions.FilterExpression[] {
    if (!FUNCTIONS.has(token.value)) throw new Fault('bad-request', `the function ${token.value}() is not supported`);
    return super.checkWellTypedness(token, args);
  }
}

const reader = new Reader();

function compile(path: string): JSONPathQuery {
  if (path.length > LONGEST_PATH) throw new Fault('bad-request', `it is longer than ${LONGEST_PATH} characters`);
  try {
    return reader.compile(path);
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    // The parser calls itself for what is nested; anything else that it throws says that the stack was not enough.
    const what = cause instanceof JSONPathError ? cause.message : 'it is nested too deeply';
    throw new Fault('bad-request', what, { cause });
  }
}

interface Ground {
  readonly root: Value;
  readonly budget: Budget;
}

function walk(query: JSONPathQuery, from: Value, ground: Ground): readonly Value[] {
  let values: readonly Value[] = [from];
  for (const { token, selectors } of query.segments) {
    const found: Value[] = [];
    for (const value of values) {
      for (const visited of token.kind === TokenKind.DDOT ? descendants(value, ground.budget) : [value]) {
        for (const selector of selectors) {
          for (const child of selected(selector, visited, ground)) {
            ground.budget.spend(1);
            found.push(child);
          }
        }
      }
    }
    values = found;
  }
  return values;
}

/** `value` and everything below it, parents first. */
function* descendants(value: Value, budget: Budget): Iterable<Value> {
  budget.spend(1);
  yield value;
  for (const child of childrenOf(value)) yield* descendants(child, budget);
}

const { NameSelector, IndexSelector, SliceSelector, WildcardSelector, FilterSelector } = jsonpath.selectors;

function selected(selector: jsonpath.selectors.JSONPathSelector, value: Value, ground: Ground): Iterable<Value> {
  if (selector instanceof NameSelector) {
    const child = isObject(value) && Object.hasOwn(value, selector.name) ? value[selector.name] : undefined;
    return child === undefined ? [] : [child];
  }
  if (selector instanceof IndexSelector) {
    const child = isList(value) ? value.at(selector.index) : undefined;
    return child === undefined ? [] : [child];
  }
  if (selector instanceof SliceSelector) return isList(value) ? slice(value, selector) : [];
  if (selector instanceof WildcardSelector) return childrenOf(value);
  if (selector instanceof FilterSelector) {
    return childrenOf(value).filter((child) => {
      ground.budget.spend(1);
      return holds(selector.expression, child, ground);
    });
  }
  throw new Fault('bad-request', `the selector ${selector.toString()} is not supported`);
}

/** https://www.rfc-editor.org/rfc/rfc9535#section-2.3.4.2.2 */
function* slice(list: readonly Value[], { start, stop, step = 1 }: jsonpath.selectors.SliceSelector): Iterable<Value> {
  const size = list.length;
  const [least, most] = step > 0 ? [0, size] : [-1, size - 1];
  const bound = (place: number) => Math.min(Math.max(place < 0 ? place + size : place, least), most);
  const first = start === undefined ? (step > 0 ? least : most) : bound(start);
  const end = stop === undefined ? (step > 0 ? most : least) : bound(stop);
  if (step === 0) return;
  for (let place = first; step > 0 ? place < end : place > end; place += step) yield list[place] as Value;
}

const {
  BooleanLiteral,
  FilterQuery,
  FunctionExtension,
  InfixExpression,
  LogicalExpression,
  NullLiteral,
  NumberLiteral,
  PrefixExpression,
  StringLiteral,
} = jsonpath.expressions;

/** Whether a filter lets `current` through. */
function holds(expression: jsonpath.expressions.FilterExpression, current: Value, ground: Ground): boolean {
  if (expression instanceof LogicalExpression) return holds(expression.expression, current, ground);
  if (expression instanceof PrefixExpression) return !holds(expression.right, current, ground);
  if (expression instanceof FilterQuery) return nodes(expression, current, ground).length > 0;
  if (!(expression instanceof InfixExpression)) throw unsupported(expression);
  const { left, operator, right } = expression;
  if (operator === '&&') return holds(left, current, ground) && holds(right, current, ground);
  if (operator === '||') return holds(left, current, ground) || holds(right, current, ground);
  const [one, other] = [operand(left, current, ground), operand(right, current, ground)];
  switch (operator) {
    case '==':
      return isEqual(one, other, ground.budget);
    case '!=':
      return !isEqual(one, other, ground.budget);
    case '<':
      return isLess(one, other);
    case '>':
      return isLess(other, one);
    case '<=':
      return isLess(one, other) || isEqual(one, other, ground.budget);
    case '>=':
      return isLess(other, one) || isEqual(one, other, ground.budget);
    default:
      throw unsupported(expression);
  }
}

/** The value that is compared; undefined where there is none. */
function operand(expression: jsonpath.expressions.FilterExpression, current: Value, ground: Ground): Value | undefined {
  if (expression instanceof NullLiteral) return null;
  if (
    expression instanceof BooleanLiteral ||
    expression instanceof NumberLiteral ||
    expression instanceof StringLiteral
  ) {
    return expression.value;
  }
  if (expression instanceof FilterQuery) return nodes(expression, current, ground)[0];
  const argument = expression instanceof FunctionExtension ? expression.args[0] : undefined;
  if (!(expression instanceof FunctionExtension) || argument === undefined) throw unsupported(expression);
  if (expression.name === 'length') return lengthOf(operand(argument, current, ground), ground.budget);
  if (!(argument instanceof FilterQuery)) throw unsupported(expression);
  const found = nodes(argument, current, ground);
  if (expression.name === 'count') return found.length;
  return found.length === 1 ? found[0] : undefined;
}

function nodes(query: jsonpath.expressions.FilterQuery, current: Value, ground: Ground): readonly Value[] {
  const isRelative = query instanceof jsonpath.expressions.RelativeQuery;
  return walk(query.path, isRelative ? current : ground.root, ground);
}

function lengthOf(value: Value | undefined, budget: Budget): number | undefined {
  if (typeof value === 'string') {
    budget.spend(value.length / 64);
    let characters = 0;
    for (const _ of value) characters += 1;
    return characters;
  }
  if (value === undefined || !(isList(value) || isObject(value))) return undefined;
  const { length } = childrenOf(value);
  budget.spend(length);
  return length;
}

function isEqual(one: Value | undefined, other: Value | undefined, budget: Budget): boolean {
  budget.spend(1);
  if (one === undefined || other === undefined) return one === other;
  const [number, second] = [numberOf(one), numberOf(other)];
  if (number !== undefined || second !== undefined) return number === second;
  if (isList(one) && isList(other)) {
    return one.length === other.length && one.every((item, place) => isEqual(item, other[place], budget));
  }
  if (!isObject(one) || !isObject(other)) return one === other;
  const keys = Object.keys(one);
  budget.spend(keys.length);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && isEqual(one[key], other[key], budget))
  );
}

function isLess(one: Value | undefined, other: Value | undefined): boolean {
  if (typeof one === 'string' && typeof other === 'string') return one < other;
  const [number, second] = [numberOf(one), numberOf(other)];
  return number !== undefined && second !== undefined && number < second;
}

function numberOf(value: Value | undefined): number | undefined {
  if (typeof value === 'number') return value;
  return value instanceof Numeral ? Number(value.source) : undefined;
}

function unsupported(expression: jsonpath.expressions.FilterExpression): Fault {
  return new Fault('bad-request', `the filter ${expression.toString()} is not supported`);
}

function childrenOf(value: Value): readonly Value[] {
  if (isList(value)) return value;
  return isObject(value) ? Object.values(value) : [];
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

function isObject(value: Value): value is { readonly [key: string]: Value } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Numeral);
}
