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

/** What a path selects in a document, in its order. Throws `bad-request`, with nothing in it of what the document holds. */
export function select(path: Path, document: Json): readonly Json[] {
  let values: readonly Json[] = [document];
  for (const step of path) values = taken(step, values);
  return values;
}

function taken(step: Step, values: readonly Json[]): readonly Json[] {
  switch (step.is) {
    case 'field':
      return fieldOf(step.name, values);
    case 'index':
      return listsIn(values).flatMap((list) => {
        const item = list.at(step.at);
        if (item === undefined) throw new Fault('bad-request', `asks for [${step.at}] of a list that is shorter`);
        return [item];
      });
    case 'slice':
      return listsIn(values).flatMap((list) => sliceOf(list, step));
    case 'filter':
      if (values.includes(null)) throw new Fault('bad-request', 'asks for items of what is no list');
      return listsIn(values).flatMap((list) => list.filter((item) => holds(step, item)));
  }
}

function fieldOf(name: string, values: readonly Json[]): readonly Json[] {
  const found = values.flatMap((value) => {
    const field = isMap(value) && Object.hasOwn(value, name) ? value[name] : undefined;
    return field === undefined ? [] : [field];
  });
  // Of many values those that have it count, and of none there is nothing to miss.
  if (found.length === 0 && values.length > 0) throw new Fault('bad-request', `asks for ${name}, which is not there`);
  return found;
}

/** The lists among them: null is passed over, and anything else that is none is a mistake. */
function listsIn(values: readonly Json[]): readonly (readonly Json[])[] {
  return values.flatMap((value) => {
    if (value === null) return [];
    if (!isList(value)) throw new Fault('bad-request', 'asks for items of what is no list');
    return [value];
  });
}

function sliceOf(
  list: readonly Json[],
  { from, to, text }: { from: number; to: number | undefined; text: string },
): readonly Json[] {
  const start = from < 0 ? from + list.length : from;
  const end = to === undefined ? list.length : to < 0 ? to + list.length : to;
  if (start === end) return [];
  const isWithin = start >= 0 && start < list.length && end >= 0 && end <= list.length && start < end;
  if (!isWithin) throw new Fault('bad-request', `asks for [${text}] of a list that is shorter`);
  return list.slice(start, end);
}

function holds({ left, test }: { left: Path; test: Test | undefined }, item: Json): boolean {
  if (test === undefined) return exists(left, item);
  const one = only(select(left, item));
  const other = test.right.is === 'value' ? test.right.value : only(select(test.right.path, item));
  return one !== undefined && other !== undefined && compare(one, test.operator, other);
}

function exists(path: Path, item: Json): boolean {
  try {
    return select(path, item).length > 0;
  } catch (error) {
    if (error instanceof Fault) return false;
    throw error;
  }
}

function only(values: readonly Json[]): Json | undefined {
  if (values.length > 1) throw new Fault('bad-request', 'compares with several values');
  return values[0];
}

function compare(one: Json, operator: Operator, other: Json): boolean {
  if (typeof one === 'boolean' && typeof other === 'boolean') {
    if (operator === '==') return one === other;
    if (operator === '!=') return one !== other;
  }
  const areNumbers = typeof one === 'number' && typeof other === 'number';
  if (!areNumbers && (typeof one !== 'string' || typeof other !== 'string')) {
    throw new Fault('bad-request', 'compares values of two types, or of one without an order');
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
