/** Variables: `$(params.x)` and their like, replaced by what they stand for. https://tekton.dev/docs/pipelines/variables/ */
import type { Json } from '../../object.ts';
import type { Param, ParamValue, Texts, WhenExpression } from './types.ts';

/** What variables stand for, by their name without `$(` and `)`. Texts, lists and objects are told apart. */
export interface Replacements {
  readonly strings: ReadonlyMap<string, string>;
  readonly arrays: ReadonlyMap<string, readonly string[]>;
  readonly objects: ReadonlyMap<string, Texts>;
}

/** Replacements by texts alone. */
export function texts(strings: ReadonlyMap<string, string> | Texts): Replacements {
  return {
    strings: strings instanceof Map ? strings : new Map(Object.entries(strings)),
    arrays: new Map(),
    objects: new Map(),
  };
}

/** All of them; where two have the same name, the later one counts. */
export function allOf(...replacements: readonly Replacements[]): Replacements {
  return {
    strings: new Map(replacements.flatMap(({ strings }) => [...strings])),
    arrays: new Map(replacements.flatMap(({ arrays }) => [...arrays])),
    objects: new Map(replacements.flatMap(({ objects }) => [...objects])),
  };
}

/** Replaces in one pass: what was put in is not looked at again. Variables that nobody knows stay as they are. */
export function replaceText(text: string, { strings }: Pick<Replacements, 'strings'>): string {
  if (strings.size === 0 || !text.includes('$(')) return text;
  let done = '';
  let from = 0;
  for (let start = text.indexOf('$('); start >= 0; start = text.indexOf('$(', start)) {
    const end = text.indexOf(')', start);
    if (end < 0) break;
    const value = strings.get(text.slice(start + 2, end));
    if (value === undefined) {
      start += 2; // `$(cat $(params.file))`: the inner one is still to come
      continue;
    }
    done += text.slice(from, start) + value;
    from = end + 1;
    start = from;
  }
  return done + text.slice(from);
}

/** One element of a list: a variable that stands for a list (`$(params.x[*])` and nothing else) becomes its elements. */
export function replaceElement(text: string, replacements: Replacements): readonly string[] {
  const list = replacements.arrays.get(wholeName(text) ?? '');
  return list ?? [replaceText(text, replacements)];
}

/** A parameter's value. A text that is one variable and nothing else becomes the list or object it stands for. */
export function replaceValue(value: ParamValue, replacements: Replacements): ParamValue {
  if (isList(value)) return value.flatMap((element) => replaceElement(element, replacements));
  if (typeof value !== 'string') {
    return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, replaceText(text, replacements)]));
  }
  const name = exactlyOneVariable.test(value) ? wholeName(value) : undefined;
  if (name !== undefined) {
    const whole = replacements.objects.get(name) ?? replacements.arrays.get(name);
    if (whole !== undefined) return whole;
  }
  return replaceText(value, replacements);
}

/** Values of parameters, replaced. */
export function replaceParams(params: readonly Param[], replacements: Replacements): readonly Param[] {
  return params.map((param) => ({ ...param, value: replaceValue(param.value, replacements) }));
}

/** When expressions, replaced. A list in `input` is written as JSON. */
export function replaceWhen(
  expressions: readonly WhenExpression[],
  replacements: Replacements,
): readonly WhenExpression[] {
  return expressions.map(({ input, operator, values, cel }) => ({
    ...(input === undefined ? {} : { input: replaceInput(input, replacements) }),
    ...(operator === undefined ? {} : { operator }),
    ...(values === undefined ? {} : { values: values.flatMap((value) => replaceElement(value, replacements)) }),
    ...(cel === undefined ? {} : { cel: replaceText(cel, replacements) }),
  }));
}

/** Every text within `json`, replaced. */
export function replaceDeep<T>(json: T, replacements: Pick<Replacements, 'strings'>): T {
  return mapTexts(json, (text) => replaceText(text, replacements));
}

/** `json` with every text in it changed by `change`; keys stay. */
export function mapTexts<T>(json: T, change: (text: string) => string): T {
  // Only leaves that are strings become other strings, so the shape stays what it was.
  return mapJson(json as Json, change) as T;
}

/** The variables in a text, without `$(` and `)`. Only names that Tekton looks for: no brackets but `[0]` and `[*]`. */
export function variablesIn(text: string): string[] {
  return [...text.matchAll(variable)].map(([, name = '']) => name);
}

/** The variables in a value. */
export function variablesInValue(value: ParamValue): string[] {
  if (typeof value === 'string') return variablesIn(value);
  return (isList(value) ? value : Object.values(value)).flatMap(variablesIn);
}

/** Array.isArray does not see readonly lists. */
export function isList(value: ParamValue): value is readonly string[] {
  return Array.isArray(value);
}

const variable = /\$\(([_a-zA-Z0-9.-]+(?:\[(?:[0-9]+|\*)\])?)\)/g;
const exactlyOneVariable = /^\$\([_a-zA-Z0-9.-]+(?:\[(?:[0-9]+|\*)\])?\)$/;

/** `params.x` of `$(params.x)` and of `$(params.x[*])`, when there is nothing else. */
function wholeName(text: string): string | undefined {
  if (!text.startsWith('$(') || !text.endsWith(')')) return undefined;
  return text.slice(2, -1).replace(/\[\*\]$/, '');
}

function replaceInput(input: string, replacements: Replacements): string {
  const list = replacements.arrays.get(wholeName(input) ?? '');
  return list === undefined ? replaceText(input, replacements) : JSON.stringify(list);
}

function mapJson(json: Json | undefined, change: (text: string) => string): Json | undefined {
  if (typeof json === 'string') return change(json);
  if (Array.isArray(json)) return json.map((element) => mapJson(element, change) ?? null);
  if (json === null || typeof json !== 'object') return json;
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, mapJson(value, change)]));
}
