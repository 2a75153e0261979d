/**
 * JSONPath as printer columns and selectable fields have it.
 * https://kubernetes.io/docs/reference/kubectl/jsonpath/
 */
import { isDeepStrictEqual } from 'node:util';
import type { Json } from '../object.ts';

/** Finds the values of a path, in the order of the object; none for fields that are missing. */
export type Find = (value: Json) => Json[];

type Step =
  | { readonly of: 'field'; readonly names: readonly string[] }
  | { readonly of: 'every' }
  | { readonly of: 'deep' }
  | { readonly of: 'items'; readonly at: readonly number[] }
  | { readonly of: 'slice'; readonly from: number | undefined; readonly to: number | undefined; readonly by: number }
  | { readonly of: 'filter'; readonly left: Operand; readonly operator: string; readonly right: Operand };

type Operand = Find | { readonly literal: Json };

/** Compiles a path such as `.status.conditions[?(@.type=="Ready")].reason`; undefined when it is none. */
export function compileJsonPath(path: string): Find | undefined {
  const steps: Step[] = [];
  let rest = path;
  while (rest !== '') {
    const found = nextStep(rest);
    if (found === undefined) return undefined;
    steps.push(...found.steps);
    rest = rest.slice(found.length);
  }
  return (value) => steps.reduce<Json[]>((values, step) => values.flatMap((one) => take(one, step)), [value]);
}

/** A path of fields alone, as its field names: `.spec.color` is `['spec', 'color']`; undefined for any other. */
export function simplePath(path: string): string[] | undefined {
  if (!/^(?:\.[A-Za-z_][\w-]*)+$/.test(path)) return undefined;
  return path.slice(1).split('.');
}

function nextStep(rest: string): { readonly steps: readonly Step[]; readonly length: number } | undefined {
  if (rest.startsWith('..')) return { steps: [{ of: 'deep' }], length: rest[2] === '[' ? 2 : 1 };
  if (rest.startsWith('.*')) return { steps: [{ of: 'every' }], length: 2 };
  const field = /^\.((?:\\.|[^.[\\])+)/.exec(rest);
  if (field !== null) {
    const name = (field[1] ?? '').replace(/\\(.)/g, '$1');
    return { steps: [{ of: 'field', names: [name] }], length: field[0].length };
  }
  if (rest === '.') return { steps: [], length: 1 };
  if (rest.startsWith('.[')) return { steps: [], length: 1 };
  const length = bracketLength(rest);
  if (length === undefined) return undefined;
  const step = bracketStep(rest.slice(1, length - 1).trim());
  return step === undefined ? undefined : { steps: [step], length };
}

/** The length of the bracket that `text` begins with, its quotes and inner brackets respected. */
function bracketLength(text: string): number | undefined {
  if (text[0] !== '[') return undefined;
  let depth = 0;
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if (quote !== '') {
      if (character === '\\') at += 1;
      else if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '[') depth += 1;
    else if (character === ']') {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return undefined;
}

function bracketStep(inside: string): Step | undefined {
  if (inside === '*') return { of: 'every' };
  if (/^-?\d+(?:\s*,\s*-?\d+)*$/.test(inside)) return { of: 'items', at: inside.split(',').map(Number) };
  const slice = /^(-?\d*):(-?\d*)(?::(\d+))?$/.exec(inside);
  if (slice !== null) {
    const bound = (text: string | undefined) => (text === undefined || text === '' ? undefined : Number(text));
    return { of: 'slice', from: bound(slice[1]), to: bound(slice[2]), by: Math.max(1, bound(slice[3]) ?? 1) };
  }
  if (/^(?:'[^']*'|"[^"]*")(?:\s*,\s*(?:'[^']*'|"[^"]*"))*$/.test(inside)) {
    return {
      of: 'field',
      names: [...inside.matchAll(/'([^']*)'|"([^"]*)"/g)].map(([, one, other]) => one ?? other ?? ''),
    };
  }
  return inside.startsWith('?(') && inside.endsWith(')') ? filterStep(inside.slice(2, -1)) : undefined;
}

function filterStep(condition: string): Step | undefined {
  const parts = /^\s*("(?:\\.|[^"])*"|'(?:\\.|[^'])*'|[^=!<>]+?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?)\s*)?$/.exec(condition);
  if (parts === null) return undefined;
  const [, left = '', operator = 'exists', right = 'true'] = parts;
  const [one, other] = [operand(left), operand(right)];
  return one === undefined || other === undefined ? undefined : { of: 'filter', left: one, operator, right: other };
}

function operand(text: string): Operand | undefined {
  if (text.startsWith('@')) return compileJsonPath(text.slice(1));
  if (/^'.*'$|^".*"$/s.test(text)) return { literal: text.slice(1, -1).replace(/\\(.)/g, '$1') };
  if (text === 'true' || text === 'false') return { literal: text === 'true' };
  return text.trim() !== '' && Number.isFinite(Number(text)) ? { literal: Number(text) } : undefined;
}

function take(value: Json, step: Step): Json[] {
  switch (step.of) {
    case 'field':
      if (!isObject(value)) return [];
      return step.names.flatMap((name) => (Object.hasOwn(value, name) ? [value[name] ?? null] : []));
    case 'every':
      return childrenOf(value);
    case 'deep':
      return [value, ...childrenOf(value).flatMap((child) => take(child, step))];
    case 'items':
      return Array.isArray(value) ? step.at.flatMap((at) => value.slice(at, at + 1 || undefined)) : [];
    case 'slice':
      return Array.isArray(value) ? value.slice(step.from, step.to).filter((_, at) => at % step.by === 0) : [];
    case 'filter':
      return Array.isArray(value) ? value.filter((item) => holds(item, step)) : [];
  }
}

function holds(item: Json, { left, operator, right }: Extract<Step, { of: 'filter' }>): boolean {
  const one = operandOf(left, item);
  if (operator === 'exists') return one !== undefined;
  const other = operandOf(right, item);
  if (one === undefined || other === undefined) return false;
  switch (operator) {
    case '==':
      return isDeepStrictEqual(one, other);
    case '!=':
      return !isDeepStrictEqual(one, other);
    case '<':
      return compare(one, other) < 0;
    case '<=':
      return compare(one, other) <= 0;
    case '>':
      return compare(one, other) > 0;
    default:
      return compare(one, other) >= 0;
  }
}

/** NaN, which no comparison holds for, when the two are not of one ordered type. */
function compare(one: Json, other: Json): number {
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  if (typeof one === 'string' && typeof other === 'string') return one < other ? -1 : Number(one > other);
  return Number.NaN;
}

function operandOf(of: Operand, item: Json): Json | undefined {
  return typeof of === 'function' ? of(item)[0] : of.literal;
}

function childrenOf(value: Json): Json[] {
  if (Array.isArray(value)) return value;
  return isObject(value) ? Object.values(value).map((child) => child ?? null) : [];
}

function isObject(value: Json): value is { [key: string]: Json | undefined } {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
