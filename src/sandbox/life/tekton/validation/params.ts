/** Declared parameters: their types, names and defaults, and what texts make of them. */
import { isList } from '../substitute.ts';
import type { Param, ParamSpec, ParamValue, WhenExpression } from '../types.ts';
import { at, type Complaints } from './complaints.ts';
import { checkIsolated, checkKnown, checkNoList, checkNoWhole, wholeReference } from './variables.ts';

/** A declared parameter as people write it: with a type that may be none, and with values to choose from. */
export type DeclaredParam = Omit<ParamSpec, 'type'> & { readonly type?: string; readonly enum?: readonly string[] };

/** The names of declared parameters, by what may be done with them. */
export interface Declared {
  readonly names: ReadonlySet<string>;
  readonly lists: ReadonlySet<string>;
  /** Objects with their keys. */
  readonly objects: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Sorts declared parameters by their types. */
export function declaredBy(params: readonly DeclaredParam[]): Declared {
  return {
    names: new Set(params.map(({ name }) => name)),
    lists: new Set(params.filter(({ type }) => type === 'array').map(({ name }) => name)),
    objects: new Map(
      params
        .filter(({ type }) => type === 'object')
        .map(({ name, properties = {} }) => [name, new Set(Object.keys(properties))]),
    ),
  };
}

/** `string`, `array` or `object`. */
export function typeOf(value: ParamValue): 'string' | 'array' | 'object' {
  if (typeof value === 'string') return 'string';
  return isList(value) ? 'array' : 'object';
}

/** Are the types known ones, and are defaults and properties of them? */
export function checkTypes(params: readonly DeclaredParam[], path: string, say: Complaints): void {
  for (const { name, type = 'string', default: value, properties = {} } of params) {
    if (type !== 'string' && type !== 'array' && type !== 'object') {
      say.invalid(type, at(path, `${name}.type`));
      continue;
    }
    if (value !== undefined && typeOf(value) !== type) {
      say.say(`"${type}" type does not match default value's type: "${typeOf(value)}"`, [
        at(path, `${name}.type`),
        at(path, `${name}.default.type`),
      ]);
      continue;
    }
    const mistyped = mistypedKeys(properties);
    if (mistyped.length > 0) {
      say.say(
        `The value type specified for these keys [${mistyped.join(' ')}] is invalid`,
        at(path, `${name}.properties`),
      );
    }
  }
}

/** Properties that are no texts, in order. */
export function mistypedKeys(properties: NonNullable<ParamSpec['properties']>): string[] {
  return Object.entries(properties)
    .filter(([, { type }]) => type !== 'string')
    .map(([key]) => key)
    .sort();
}

/** No parameter is declared twice; enums need a feature that is off. */
export function checkDeclarations(params: readonly DeclaredParam[], path: string, say: Complaints): void {
  const seen = new Set<string>();
  for (const { name, enum: values, default: value } of params) {
    if (seen.has(name)) say.say('parameter appears more than once', at(path, 'params', { key: name }));
    seen.add(name);
    if (values === undefined || values.length === 0) continue;
    const here = at(path, 'params', { key: name });
    say.needsFlag('`enable-param-enum`', 'use Enum', here);
    const twice = values.find((one, index) => values.indexOf(one) !== index);
    if (twice !== undefined) say.say(`parameter enum value ${twice} appears more than once`, here);
    if (typeof value === 'string' && !values.includes(value)) {
      say.say(`param default value ${value} not in the enum list`, here);
    }
  }
}

/** Names of parameters can be written as variables. */
export function checkNames(params: readonly DeclaredParam[], path: string, say: Complaints): void {
  const plain = params.filter(({ type }) => type !== 'object').map(({ name }) => name);
  const wrong = [...new Set(plain)].filter((name) => !/^[_a-zA-Z][_a-zA-Z0-9.-]*$/.test(name)).sort();
  if (wrong.length > 0) {
    say.say(
      `The format of following array and string variable names is invalid: [${wrong.join(' ')}]`,
      at(path, 'params'),
      'String/Array Names: \nMust only contain alphanumeric characters, hyphens (-), underscores (_), and dots (.)\nMust begin with a letter or an underscore (_)',
    );
  }
  const isName = (name: string) => /^[_a-zA-Z][_a-zA-Z0-9-]*$/.test(name);
  const wrongObjects = params
    .filter(({ type }) => type === 'object')
    .map(({ name, properties = {} }) => ({ name, keys: Object.keys(properties).filter((key) => !isName(key)) }))
    .filter(({ name, keys }) => keys.length > 0 || !isName(name))
    .map(({ name, keys }) => `${name}:[${keys.sort().join(' ')}]`)
    .sort();
  if (wrongObjects.length > 0) {
    say.say(
      `Object param name and key name format is invalid: map[${wrongObjects.join(' ')}]`,
      at(path, 'params'),
      'Object Names: \nMust only contain alphanumeric characters, hyphens (-), underscores (_) \nMust begin with a letter or an underscore (_)',
    );
  }
}

/** Objects say which keys they have. */
export function checkProperties(params: readonly DeclaredParam[], path: string, say: Complaints): void {
  for (const { name, type, properties } of params) {
    if (type === 'object' && properties === undefined) say.missing(at(path, `${name}.properties`));
  }
}

/** No name is given twice, whatever its case. Each complaint names the value, or with `byIndex` its place. */
export function checkGivenOnce(names: readonly string[], path: string, byIndex: boolean, say: Complaints): void {
  const seen = new Set<string>();
  for (const [index, name] of names.entries()) {
    const lower = name.toLowerCase();
    if (seen.has(lower)) say.both(at(path, byIndex ? index : { key: name }, 'name'));
    seen.add(lower);
  }
}

/** No parameter of a task is given twice. */
export function checkUnique(params: readonly Param[], path: string, say: Complaints): void {
  const seen = new Set<string>();
  for (const [index, { name }] of params.entries()) {
    if (seen.has(name)) {
      say.say(`parameter names must be unique, the parameter "${name}" is also defined at`, at(path, index, 'name'));
    }
    seen.add(name);
  }
}

/** Texts in which only texts may stand: known names, no whole objects, no lists. */
export function checkText(text: string | undefined, declared: Declared, path: string, say: Complaints): void {
  checkKnown(text, { prefix: 'params', names: declared.names }, path, say);
  checkObjects(text, declared, path, say);
  checkNoList(text, { prefix: 'params', names: declared.lists }, path, say);
}

/** An element of a list, for which a whole list may stand. */
export function checkElement(text: string, declared: Declared, path: string, say: Complaints): void {
  checkKnown(text, { prefix: 'params', names: declared.names }, path, say);
  checkObjects(text, declared, path, say);
  checkIsolated(text, { prefix: 'params', names: declared.lists }, path, say);
}

/** Values that a pipeline gives to a task use what the pipeline declares. */
export function checkValues(params: readonly Param[], declared: Declared, path: string, say: Complaints): void {
  for (const { name, value } of params) {
    const here = at(path, 'params', { key: name });
    if (typeof value === 'string') {
      const whole = wholeReference(value, 'params');
      if (whole === undefined) checkText(value, declared, here, say);
      else checkKnown(value, { prefix: 'params', names: declared.names }, here, say);
    } else if (isList(value)) {
      for (const [index, text] of value.entries()) checkElement(text, declared, at(here, 'value', index), say);
    } else {
      for (const [key, text] of Object.entries(value)) checkText(text, declared, at(here, 'properties', { key }), say);
    }
  }
}

/** Conditions use what the pipeline declares. */
export function checkConditionValues(
  conditions: readonly WhenExpression[],
  declared: Declared,
  path: string,
  say: Complaints,
): void {
  for (const [index, { input, values = [] }] of conditions.entries()) {
    checkText(input, declared, at(path, 'when', index, 'input'), say);
    for (const text of values) {
      const here = at(path, 'when', index, 'values');
      const whole = wholeReference(text, 'params');
      if (whole !== undefined && declared.lists.has(whole)) checkElement(text, declared, here, say);
      else checkText(text, declared, here, say);
    }
  }
}

/** Conditions are of a form that Tekton knows. */
export function checkConditions(conditions: readonly WhenExpression[], path: string, say: Complaints): void {
  for (const [index, { input = '', operator = '', values = [], cel = '' }] of conditions.entries()) {
    const here = at(path, 'when', index);
    if (cel !== '') {
      say.needsFlag('enable-cel-in-whenexpression', `use CEL: ${cel} in WhenExpression`, here);
    } else if (input === '' && operator === '' && values.length === 0) {
      say.missing(here);
    } else if (operator !== 'in' && operator !== 'notin') {
      say.invalid(`operator ${JSON.stringify(operator)} is not recognized. valid operators: in,notin`, here);
    } else if (values.length === 0) {
      say.invalid('expecting non-empty values field', here);
    }
  }
}

/**
 * The parameters that an embedded Task or Pipeline can use: those that the run gives, those that are declared, and (in a
 * pipeline) those that tasks get, because a run's parameters reach every step.
 * https://tekton.dev/docs/pipelines/pipelineruns/#propagated-parameters
 */
export class InlineParams {
  readonly #params = new Map<string, DeclaredParam>();

  /** Values that a run or a task gives. The first one of a name decides its type. */
  give(params: readonly Param[]): void {
    for (const { name, value } of params) {
      const known = this.#params.get(name);
      const keys = typeOf(value) === 'object' ? Object.keys(value) : [];
      const properties = Object.fromEntries(keys.map((key) => [key, { type: 'string' }]));
      if (known === undefined) {
        this.#params.set(name, {
          name,
          default: value,
          type: typeOf(value),
          ...(keys.length === 0 ? {} : { properties }),
        });
      } else if (keys.length > 0) {
        this.#params.set(name, { ...known, properties: { ...known.properties, ...properties } });
      }
    }
  }

  /** Declarations. What is declared as an object has to say its keys. */
  declare(params: readonly DeclaredParam[], path: string, say: Complaints): void {
    for (const param of params) {
      const { name, properties } = param;
      const known = this.#params.get(name);
      if (known === undefined) {
        this.#params.set(name, param);
        continue;
      }
      const isObject = known.type === 'object' || (param.default !== undefined && typeOf(param.default) === 'object');
      if (isObject && properties === undefined) say.missing(at(path, `${name}.properties`));
      else if (known.type === 'object' && properties !== undefined) this.#params.set(name, { ...known, properties });
    }
  }

  /** All of them, by name. */
  all(): readonly DeclaredParam[] {
    return [...this.#params.values()];
  }
}

function checkObjects(text: string | undefined, { objects }: Declared, path: string, say: Complaints): void {
  for (const [name, keys] of objects) checkKnown(text, { prefix: `params.${name}`, names: keys }, path, say);
  checkNoWhole(text, { prefix: 'params', names: new Set(objects.keys()) }, path, say);
}
