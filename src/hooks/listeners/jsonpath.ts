/**
 * JSONPath as kubectl has it, the part of it that bindings use: fields, `['field']`, `[n]`, `[a:b]`, `[*]` and filters such as
 * `[?(@.a == 'x')]`. It is not RFC 9535, which PipelineTriggers speak: dots in a quoted name divide it, an index beyond the end is an
 * error, and so is a field that no value has. Whole numbers compare with those of JSON, which Triggers fails to do. Pure, and linear in
 * the size of what it looks at.
 * https://kubernetes.io/docs/reference/kubectl/jsonpath/
 */
import { Fault } from '../../fault.ts';
import type { Json, JsonMap } from '../request.ts';

/** A path that was read. */
export type Path = readonly Step[];

type Step =
  | { readonly is: 'field'; readonly name: string }
  /** `to` undefined: up to the end. What is negative counts from the end. */
  | { readonly is: 'slice'; readonly from: number; readonly to: number | undefined; readonly text: string }
  | { readonly is: 'index'; readonly at: number }
  | { readonly is: 'filter'; readonly left: Path; readonly test: Test | undefined };

interface Test {
  readonly operator: Operator;
  readonly right: { readonly is: 'value'; readonly value: Json } | { readonly is: 'path'; readonly path: Path };
}

type Operator = '==' | '!=' | '<' | '>' | '<=' | '>=';

const LONGEST_PATH = 1_000;

/**
 * Reads what stands inside `$(...)`: `body.a`, `.body.a`, `{body.a}` or `{.body.a}`. Names of headers are read in their canonical form
 * by whoever makes the document. Throws `bad-request` with a sentence that is to be read behind what the path is.
 */
export function parsePath(expression: string): Path {
  if (expression.length > LONGEST_PATH) throw new Fault('bad-request', `is longer than ${LONGEST_PATH} characters`);
  const inner = /^\{\.?([^{}]+)\}$|^\.?([^{}]+)$/.exec(expression);
  const path = inner?.[1] ?? inner?.[2];
  if (path === undefined) throw new Fault('bad-request', 'is no path such as body.a or {.body.a}');
  return new Reader(`.${path}`).path();
}

/** Reads the steps of one path. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  path(): Path {
    const steps: Step[] = [];
    while (this.#at < this.#text.length) {
      if (this.#text.startsWith('..', this.#at)) throw new Fault('bad-request', 'has `..`, which is not supported');
      const next = this.#text[this.#at];
      if (next === ' ') this.#at += 1;
      else if (next === '.') steps.push(this.#field());
      else if (next === '[') steps.push(...this.#brackets());
      else throw new Fault('bad-request', `cannot be read from character ${this.#at} on`);
    }
    return steps;
  }

  #field(): Step {
    this.#at += 1;
    const name = /(?:\\[\s\S]|[^\\\s.,[\]$@{}])*/y;
    name.lastIndex = this.#at;
    const text = name.exec(this.#text)?.[0] ?? '';
    if (text === '') throw new Fault('bad-request', `has no name behind the dot before character ${this.#at}`);
    if (text === '*') throw new Fault('bad-request', 'has `.*`, which is not supported');
    this.#at += text.length;
    return { is: 'field', name: text.replaceAll('\\', '') };
  }

  #brackets(): readonly Step[] {
    if (this.#text.startsWith('[?(', this.#at)) return [this.#filter()];
    const end = this.#text.indexOf(']', this.#at);
    if (end < 0) throw new Fault('bad-request', 'has a bracket that is not closed');
    const inner = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return inBrackets(inner);
  }

  #filter(): Step {
    const filter = /\[\?\(((?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^'")])*)\)\]/y;
    filter.lastIndex = this.#at;
    const found = filter.exec(this.#text);
    if (found === null) throw new Fault('bad-request', 'has a filter that is not closed');
    this.#at += found[0].length;
    const [, left = '', operator, right = ''] = /^([^!<>=]+)(?:([!<>=~]+)(.+))?$/.exec(found[1] ?? '') ?? [];
    if (operator === undefined) return { is: 'filter', left: fromCurrent(left), test: undefined };
    if (!isOperator(operator)) throw new Fault('bad-request', `has the operator ${operator}, which is not supported`);
    return { is: 'filter', left: fromCurrent(left), test: { operator, right: operand(right.trim()) } };
  }
}

function inBrackets(inner: string): readonly Step[] {
  if (inner === '*') return [{ is: 'slice', from: 0, to: undefined, text: '*' }];
  const quoted = /^'([^']*)'$/.exec(inner)?.[1];
  // As kubectl has it: what is quoted is a path again, whose dots divide names unless they are escaped.
  if (quoted !== undefined) return new Reader(`.${quoted}`).path();
  if (/^-?\d{1,9}$/.test(inner)) return [{ is: 'index', at: Number(inner) }];
  const slice = /^(?<from>-?\d{1,9})?:(?<to>-?\d{1,9})?$/.exec(inner)?.groups;
  if (slice !== undefined) {
    const { from = 0, to } = slice;
    return [{ is: 'slice', from: Number(from), to: to === undefined ? undefined : Number(to), text: inner }];
  }
  throw new Fault('bad-request', `has [${inner}], which is not supported`);
}

const OPERATORS: ReadonlySet<string> = new Set<Operator>(['==', '!=', '<', '>', '<=', '>=']);

function isOperator(text: string): text is Operator {
  return OPERATORS.has(text);
}

function fromCurrent(text: string): Path {
  const path = /^@([\s\S]*)$/.exec(text.trim())?.[1];
  if (path === undefined) throw new Fault('bad-request', 'has a filter that does not begin with @');
  return new Reader(path).path();
}

function operand(text: string): NonNullable<Test>['right'] {
  if (text.startsWith('@')) return { is: 'path', path: fromCurrent(text) };
  const value = literal(text);
  if (value === undefined)
    throw new Fault('bad-request', `compares with ${text}, which is no quoted text, number or path`);
  return { is: 'value', value };
}

function literal(text: string): Json | undefined {
  if (text === 'true' || text === 'false') return text === 'true';
  if (/^[+-]?\d+(?:\.\d+)?$/.test(text)) return Number(text);
  const [, , inner] = /^(['"])((?:\\.|[^\\])*)\1$/.exec(text) ?? [];
  return inner?.replace(/\\(.)/g, '$1');
}

/** How many items of lists may be looked at. Below 0: it was too little, and something was not looked at. */
export interface Budget {
  left: number;
}

/**
 * What a path selects in a document, in its order. Throws `bad-request`, with nothing in it of what the document holds; where `budget` is
 * used up as well.
 */
export function select(path: Path, document: Json, budget: Budget = { left: Infinity }): readonly Json[] {
  const found = follow(path, document, budget);
  if (isMiss(found)) throw new Fault('bad-request', found.miss);
  return found;
}

/**
 * Why there is nothing, to be read behind what the path is. Not thrown: of a long list a filter may miss something in every item, and an
 * error for each, with its stack, would take the event loop for half a second.
 */
interface Miss {
  readonly miss: string;
}

type Found = readonly Json[] | Miss;

function isMiss(found: Found | boolean): found is Miss {
  return typeof found === 'object' && !Array.isArray(found);
}

function follow(path: Path, document: Json, budget: Budget): Found {
  let values: readonly Json[] = [document];
  for (const step of path) {
    const found = taken(step, values, budget);
    if (isMiss(found)) return found;
    values = found;
  }
  return values;
}

function taken(step: Step, values: readonly Json[], budget: Budget): Found {
  switch (step.is) {
    case 'field':
      return fieldOf(step.name, values);
    case 'index':
      return ofEachList(values, (list) => {
        const item = list.at(step.at);
        return item === undefined ? { miss: `asks for [${step.at}] of a list that is shorter` } : [item];
      });
    case 'slice':
      return ofEachList(values, (list) => (isSpent(budget, list) ? TOO_MANY : sliceOf(list, step)));
    case 'filter':
      if (values.includes(null)) return NO_LIST;
      return ofEachList(values, (list) => (isSpent(budget, list) ? TOO_MANY : filtered(list, step, budget)));
  }
}

function fieldOf(name: string, values: readonly Json[]): Found {
  const found = values.flatMap((value) => {
    const field = isMap(value) && Object.hasOwn(value, name) ? value[name] : undefined;
    return field === undefined ? [] : [field];
  });
  // Of many values those that have it count, and of none there is nothing to miss.
  return found.length === 0 && values.length > 0 ? { miss: `asks for ${name}, which is not there` } : found;
}

const NO_LIST: Miss = { miss: 'asks for items of what is no list' };
const TOO_MANY: Miss = { miss: 'looks at too many items' };

function isSpent(budget: Budget, list: readonly Json[]): boolean {
  budget.left -= list.length;
  return budget.left < 0;
}

/** What is taken of the lists among them: null is passed over, and anything else that is none is a mistake. */
function ofEachList(values: readonly Json[], take: (list: readonly Json[]) => Found): Found {
  const all: Json[][] = [];
  for (const value of values) {
    if (value === null) continue;
    const found = isList(value) ? take(value) : NO_LIST;
    if (isMiss(found)) return found;
    all.push([...found]);
  }
  return all.flat();
}

function sliceOf(
  list: readonly Json[],
  { from, to, text }: { from: number; to: number | undefined; text: string },
): Found {
  const start = from < 0 ? from + list.length : from;
  const end = to === undefined ? list.length : to < 0 ? to + list.length : to;
  if (start === end) return [];
  const isWithin = start >= 0 && start < list.length && end >= 0 && end <= list.length && start < end;
  return isWithin ? list.slice(start, end) : { miss: `asks for [${text}] of a list that is shorter` };
}

function filtered(list: readonly Json[], filter: Extract<Step, { is: 'filter' }>, budget: Budget): Found {
  const items: Json[] = [];
  for (const item of list) {
    const does = holds(filter, item, budget);
    if (isMiss(does)) return does;
    if (does) items.push(item);
  }
  return items;
}

function holds({ left, test }: { left: Path; test: Test | undefined }, item: Json, budget: Budget): boolean | Miss {
  const one = follow(left, item, budget);
  if (test === undefined) return !isMiss(one) && one.length > 0;
  if (isMiss(one)) return one;
  const other = test.right.is === 'value' ? [test.right.value] : follow(test.right.path, item, budget);
  if (isMiss(other)) return other;
  if (one.length > 1 || other.length > 1) return { miss: 'compares with several values' };
  const [first, second] = [one[0], other[0]];
  return first !== undefined && second !== undefined && compare(first, test.operator, second);
}

function compare(one: Json, operator: Operator, other: Json): boolean | Miss {
  if (typeof one === 'boolean' && typeof other === 'boolean') {
    if (operator === '==') return one === other;
    if (operator === '!=') return one !== other;
  }
  const areNumbers = typeof one === 'number' && typeof other === 'number';
  if (!areNumbers && (typeof one !== 'string' || typeof other !== 'string')) {
    return { miss: 'compares values of two types, or of one without an order' };
  }
  switch (operator) {
    case '==':
      return one === other;
    case '!=':
      return one !== other;
    case '<':
      return one < other;
    case '>':
      return one > other;
    case '<=':
      return one <= other;
    case '>=':
      return one >= other;
  }
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function isMap(value: Json): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
