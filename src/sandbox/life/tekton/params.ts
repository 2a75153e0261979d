/** Parameters: what their variables stand for, and whether a run gives what is declared. */
import type { Replacements } from './substitute.ts';
import { isList, mapTexts, replaceText, texts, variablesIn } from './substitute.ts';
import type { Param, ParamSpec, ParamType, ParamValue, PipelineSpec, TaskSpec, Texts } from './types.ts';

/** How deep defaults may refer to one another. */
const DEEPEST = 10;

/** What the variables of given parameters stand for: `params.x`, `params["x"]`, `params['x']`, `params.x[0]`, `params.x.key`. */
export function replacementsOf(params: readonly Param[]): Replacements {
  const strings = new Map<string, string>();
  const arrays = new Map<string, readonly string[]>();
  const objects = new Map<string, Texts>();
  for (const { name, value } of params) {
    for (const key of [`params.${name}`, `params["${name}"]`, `params['${name}']`, `inputs.params.${name}`]) {
      if (typeof value === 'string') strings.set(key, value);
      else if (isList(value)) {
        arrays.set(key, value);
        value.forEach((element, index) => void strings.set(`${key}[${index}]`, element));
      } else objects.set(key, value);
    }
    if (typeof value === 'string' || isList(value)) continue;
    for (const [property, text] of Object.entries(value)) strings.set(`params.${name}.${property}`, text);
  }
  return { strings, arrays, objects };
}

/**
 * The values a pipeline's parameters have in a run: those given, and the defaults of the others, in which other parameters
 * may be named. Throws an Error with Tekton's sentence when they go round in a circle or name one that is not there.
 */
export function pipelineParams(declared: readonly ParamSpec[], given: readonly Param[]): readonly Param[] {
  const values = new Map(given.map(({ name, value }) => [name, value]));
  const defaults = declared.filter((param) => param.default !== undefined && !values.has(param.name));
  const resolved = new Map<string, string>();
  for (const { name, value } of given) if (typeof value === 'string') resolved.set(name, value);
  for (const param of defaults) {
    if (typeof param.default === 'string') resolveDefault(param.name, defaults, given, resolved, []);
  }
  const strings = replacementsOf([...given, ...[...resolved].map(([name, value]) => ({ name, value }))]);
  const filled = defaults.map(({ name, default: value }): Param => {
    const text = resolved.get(name);
    return { name, value: text ?? mapTexts(value ?? '', (element) => replaceText(element, strings)) };
  });
  return [...given, ...filled];
}

/** The values a Task's parameters have in a TaskRun. A default may name parameters whose own defaults name none. */
export function taskParams(declared: readonly ParamSpec[], given: readonly Param[]): readonly Param[] {
  const plain = declared.flatMap(({ name, default: value }): Param[] =>
    value === undefined || refersToParams(value) ? [] : [{ name, value }],
  );
  const known = replacementsOf(plain);
  const derived = declared.flatMap(({ name, default: value }): Param[] =>
    typeof value === 'string' && refersToParams(value) ? [{ name, value: replaceText(value, known) }] : [],
  );
  const byName = new Map([...plain, ...derived].map((param) => [param.name, param]));
  for (const param of given) {
    const before = byName.get(param.name)?.value;
    byName.set(param.name, {
      ...param,
      value: isObject(before) && isObject(param.value) ? { ...before, ...param.value } : param.value,
    });
  }
  return [...byName.values()];
}

/** Names of declared parameters that have neither a default nor a value. */
export function missingParams(declared: readonly ParamSpec[], given: readonly Param[]): string[] {
  const names = new Set(given.map(({ name }) => name));
  return declared.filter((param) => param.default === undefined && !names.has(param.name)).map(({ name }) => name);
}

/** Names of values that are of another type than declared. */
export function mistypedParams(declared: readonly ParamSpec[], given: readonly Param[]): string[] {
  const types = new Map(declared.map(({ name, type = 'string' }) => [name, type]));
  return given
    .filter(({ name, value }) => (types.get(name) ?? typeOf(value)) !== typeOf(value))
    .map(({ name }) => name);
}

/** Required keys that no value and no default gives, by parameter; only those that have any value at all. */
export function missingKeys(declared: readonly ParamSpec[], given: readonly Param[]): Map<string, string[]> {
  const missing = new Map<string, string[]>();
  for (const { name, type, properties, default: fallback } of declared) {
    if (type !== 'object' || properties === undefined) continue;
    const values = [fallback, given.find((param) => param.name === name)?.value].filter(isObject);
    const keys = new Set(values.flatMap((value) => Object.keys(value)));
    const absent = Object.keys(properties).filter((key) => !keys.has(key));
    if (values.length > 0 && absent.length > 0) missing.set(name, absent.sort());
  }
  return new Map([...missing].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** References such as `$(params.x[2])` in `text` that reach beyond the list they point into. */
export function referencesOutOfBounds(
  text: readonly string[],
  declared: readonly ParamSpec[],
  given: readonly Param[],
): string[] {
  const lengths = new Map<string, number>();
  for (const { name, default: value } of declared)
    if (value !== undefined && isList(value)) lengths.set(name, value.length);
  for (const { name, value } of given) if (isList(value)) lengths.set(name, value.length);
  const beyond = new Set<string>();
  for (const [reference = '', dotted, single, double, index] of text.flatMap((one) => [...one.matchAll(indexed)])) {
    const length = lengths.get(dotted ?? single ?? double ?? '');
    if (length !== undefined && Number(index) >= length) beyond.add(reference);
  }
  return [...beyond].sort();
}

/** Texts of a pipeline in which lists of parameters may be indexed. */
export function textsOfPipeline({ tasks = [], finally: last = [] }: PipelineSpec): string[] {
  return [...tasks, ...last].flatMap(({ params, matrix, when, workspaces }) =>
    textsOf([params, matrix?.params, when, workspaces?.map(({ subPath }) => subPath)]),
  );
}

/** Texts of a Task in which lists of parameters may be indexed. */
export function textsOfTask({ steps, stepTemplate, sidecars, volumes, workspaces }: TaskSpec): string[] {
  return textsOf([steps, stepTemplate, sidecars, volumes, workspaces]);
}

/** What type a value is of. */
export function typeOf(value: ParamValue): ParamType {
  if (typeof value === 'string') return 'string';
  return isList(value) ? 'array' : 'object';
}

const indexed = /\$\(params(?:\.([_a-zA-Z0-9.-]+)|\['([_a-zA-Z0-9./-]+)'\]|\["([_a-zA-Z0-9./-]+)"\])\[([0-9]+)\]\)/g;

function isObject(value: ParamValue | undefined): value is Texts {
  return value !== undefined && typeof value !== 'string' && !isList(value);
}

function refersToParams(value: ParamValue): boolean {
  return typeof value === 'string' && value.includes('$(params.');
}

function textsOf(json: unknown): string[] {
  if (typeof json === 'string') return [json];
  if (json === null || typeof json !== 'object') return [];
  return Object.values(json).flatMap(textsOf);
}

/** Fills in what the default of `name` is, and before that what it refers to. */
function resolveDefault(
  name: string,
  defaults: readonly ParamSpec[],
  given: readonly Param[],
  resolved: Map<string, string>,
  path: readonly string[],
): void {
  if (resolved.has(name)) return;
  if (path.includes(name)) {
    throw new Error(`parameter resolution failed: circular dependency detected in param "params.${name}"`);
  }
  if (path.length > DEEPEST) {
    throw new Error(
      `parameter resolution failed: maximum recursion depth (${DEEPEST}) exceeded for param "params.${name}"`,
    );
  }
  const text = defaults.find((param) => param.name === name)?.default;
  if (typeof text !== 'string') return;
  const known = replacementsOf(given);
  for (const reference of variablesIn(text).filter((variable) => variable.startsWith('params.'))) {
    if (known.strings.has(reference)) continue;
    const target = reference.slice('params.'.length);
    const fallback = defaults.find((param) => param.name === target)?.default;
    if (typeof fallback !== 'string') {
      throw new Error(`parameter resolution failed: param "params.${name}" references undefined param "${reference}"`);
    }
    resolveDefault(target, defaults, given, resolved, [...path, name]);
  }
  const values = new Map([
    ...known.strings,
    ...[...resolved].map(([key, value]): [string, string] => [`params.${key}`, value]),
  ]);
  resolved.set(name, replaceText(text, texts(values)));
}
