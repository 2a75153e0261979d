/**
 * Validation against a schema, in the words of the API server: a `Cause` for each thing wrong, in the order the server finds
 * them (where it goes through a Go map, the order of the schema).
 */
import { isDeepStrictEqual } from 'node:util';
import { RE2JS } from '@bufbuild/re2';
import type { Json, JsonObject } from '../object.ts';
import type { Cause, CauseReason } from '../status.ts';
import { stringFormats } from './formats.ts';
import type { SchemaNode } from './node.ts';
import { fieldBelow, quoted, shown, typeOf } from './wording.ts';

/**
 * Adds everything wrong with `value` to `causes`. With `old`, what an update replaces, nothing is said about a value that has not
 * changed: the server's "ratcheting", which lets an object be changed that a newer schema would refuse.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-ratcheting
 */
export type Validate = (value: Json, path: string, old: Json | undefined, causes: Cause[]) => void;

type Check = (value: Json, path: string, causes: Cause[]) => void;

/**
 * Compiles a node.
 * @param typed a core kind, where an empty required string or list counts as missing
 * @throws RE2JSSyntaxException for a pattern that is none
 */
export function compileValidation(node: SchemaNode, typed: boolean): Validate {
  const checks = [
    checkType(node),
    ...checkJunctions(node, typed),
    checkText(node),
    checkFormat(node),
    checkNumber(node),
  ]
    .concat(checkItemCounts(node), checkEnum(node))
    .filter((check) => check !== undefined);
  const below = compileBelow(node, typed);
  const onNull = [checkType(node), checkEnum(node)].filter((check) => check !== undefined);
  return (value, path, old, causes) => {
    const before = causes.length;
    if (value === null) {
      if (node.nullable !== true) for (const check of onNull) check(value, path, causes);
    } else {
      const items = Array.isArray(value);
      if (items) below(value, path, old, causes);
      for (const check of checks) check(value, path, causes);
      if (!items) below(value, path, old, causes);
    }
    if (causes.length > before && old !== undefined && isDeepStrictEqual(value, old)) causes.length = before;
  };
}

/** The items of `old` that those of `value` replace, by index; undefined where there is none or no telling. */
export function itemsReplaced(node: SchemaNode, value: readonly Json[], old: Json | undefined): (Json | undefined)[] {
  const keys = node['x-kubernetes-list-type'] === 'map' ? (node['x-kubernetes-list-map-keys'] ?? []) : [];
  if (!Array.isArray(old) || keys.length === 0) return [];
  const identity = (item: Json | undefined) =>
    item !== null && typeof item === 'object' && !Array.isArray(item)
      ? JSON.stringify(keys.map((key) => item[key] ?? null))
      : undefined;
  const former = new Map(old.map((item) => [identity(item), item]));
  return value.map((item) => {
    const key = identity(item);
    return key === undefined ? undefined : former.get(key);
  });
}

/** The field of `old` by that name, when `old` is an object that has it. */
export function fieldReplaced(old: Json | undefined, name: string): Json | undefined {
  return old !== null && typeof old === 'object' && !Array.isArray(old) ? old[name] : undefined;
}

function compileBelow(node: SchemaNode, typed: boolean): Validate {
  const object = compileFields(node, typed);
  const items = node.items === undefined ? undefined : compileValidation(node.items, typed);
  return (value, path, old, causes) => {
    if (Array.isArray(value)) {
      if (items === undefined) return;
      const former = itemsReplaced(node, value, old);
      for (const [at, item] of value.entries()) items(item, `${path}[${at}]`, former[at], causes);
    } else if (value !== null && typeof value === 'object') {
      object(value, path, old, causes);
    }
  };
}

function compileFields(node: SchemaNode, typed: boolean) {
  const fields = new Map(
    Object.entries(node.properties ?? {}).map(([name, field]) => [name, compileValidation(field, typed)]),
  );
  const others =
    typeof node.additionalProperties === 'object' ? compileValidation(node.additionalProperties, typed) : undefined;
  const { required = [], minProperties, maxProperties } = node;
  return (value: JsonObject, path: string, old: Json | undefined, causes: Cause[]) => {
    const names = Object.keys(value);
    if (minProperties !== undefined && names.length < minProperties) {
      const wrong = `should have at least ${minProperties} properties`;
      causes.push(invalidValue(path, names.length, `${path} in body ${wrong}`));
      return;
    }
    if (maxProperties !== undefined && names.length > maxProperties) {
      causes.push(tooMany(path, names.length, maxProperties));
      return;
    }
    for (const name of names) {
      const validate = fields.get(name) ?? others;
      validate?.(value[name] ?? null, fieldBelow(path, name), fieldReplaced(old, name), causes);
    }
    for (const name of required) {
      const present = value[name];
      if (present === undefined || (typed && (present === '' || (Array.isArray(present) && present.length === 0)))) {
        causes.push({ reason: 'FieldValueRequired', field: fieldBelow(path, name), message: 'Required value' });
      }
    }
  };
}

function checkType(node: SchemaNode): Check | undefined {
  const types =
    node['x-kubernetes-int-or-string'] === true ? ['integer', 'string'] : node.type === undefined ? [] : [node.type];
  const format = node.type === 'string' && stringFormats.has(node.format ?? '') ? node.format : undefined;
  if (types.length === 0) return undefined;
  return (value, path, causes) => {
    const type = typeOf(value);
    if (types.includes(type) || (type === 'integer' && node.type === 'number')) return;
    if (format === undefined) {
      causes.push(wrongType(path, type, types.join(',')));
      return;
    }
    // With a format the server asks for the format alone, names numbers as Go does, and lets a list pass.
    const found = { integer: 'int64', number: 'float64', null: 'null', array: undefined }[type as string] ?? '';
    if (type !== 'array') causes.push(wrongType(path, found, type === 'null' ? types.join(',') : format));
  };
}

function checkJunctions({ anyOf, oneOf, allOf, not }: SchemaNode, typed: boolean): Check[] {
  const checks: Check[] = [];
  const compile = (nodes: readonly SchemaNode[]) => nodes.map((node) => compileValidation(node, typed));
  if (anyOf !== undefined) {
    const branches = compile(anyOf);
    checks.push((value, path, causes) => {
      const failures = failuresOf(branches, value, path);
      if (failures.length < branches.length) return;
      causes.push(ofNoField(`${quoted(path)} must validate at least one schema (anyOf)`), ...(failures[0] ?? []));
    });
  }
  if (oneOf !== undefined) {
    const branches = compile(oneOf);
    checks.push((value, path, causes) => {
      const failures = failuresOf(branches, value, path);
      const valid = branches.length - failures.length;
      if (valid === 1) return;
      const found = valid === 0 ? 'Found none valid' : `Found ${valid} valid alternatives`;
      causes.push(ofNoField(`${quoted(path)} must validate one and only one schema (oneOf). ${found}`));
      if (valid === 0) causes.push(...(failures[0] ?? []));
    });
  }
  if (allOf !== undefined) {
    const branches = compile(allOf);
    checks.push((value, path, causes) => {
      const failures = failuresOf(branches, value, path);
      if (failures.length === 0) return;
      const none = failures.length === branches.length ? '. None validated' : '';
      causes.push(...failures.flat(), ofNoField(`${quoted(path)} must validate all the schemas (allOf)${none}`));
    });
  }
  if (not !== undefined) {
    const branch = compile([not]);
    checks.push((value, path, causes) => {
      if (failuresOf(branch, value, path).length > 0) return;
      causes.push(ofNoField(`${quoted(path)} must not validate the schema (not)`));
    });
  }
  return checks;
}

/** What is wrong by each branch that refuses. */
function failuresOf(branches: readonly Validate[], value: Json, path: string): Cause[][] {
  return branches
    .map((validate) => {
      const causes: Cause[] = [];
      validate(value, path, undefined, causes);
      return causes;
    })
    .filter((causes) => causes.length > 0);
}

function checkText({ minLength, maxLength, pattern }: SchemaNode): Check | undefined {
  if (minLength === undefined && maxLength === undefined && pattern === undefined) return undefined;
  const matcher = pattern === undefined ? undefined : RE2JS.compile(pattern);
  return (value, path, causes) => {
    if (typeof value !== 'string') return;
    const length = characterCount(value);
    if (maxLength !== undefined && length > maxLength) {
      // The server counts characters, and says bytes.
      const message = `Too long: may not be more than ${maxLength} bytes`;
      causes.push({ reason: 'FieldValueTooLong', field: path, message });
    } else if (minLength !== undefined && length < minLength) {
      causes.push(invalidValue(path, value, `${path} in body should be at least ${minLength} chars long`));
    } else if (matcher !== undefined && !matcher.test(value)) {
      causes.push(invalidValue(path, value, `${path} in body should match '${pattern}'`));
    }
  };
}

function characterCount(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function checkFormat({ type, format = '' }: SchemaNode): Check | undefined {
  const accepts = type === 'string' ? stringFormats.get(format) : undefined;
  if (accepts === undefined) return undefined;
  return (value, path, causes) => {
    if (typeof value === 'string' && !accepts(value)) causes.push(wrongType(path, value, format));
  };
}

function checkNumber(node: SchemaNode): Check | undefined {
  const { minimum, maximum, multipleOf } = node;
  if (minimum === undefined && maximum === undefined && multipleOf === undefined) return undefined;
  return (value, path, causes) => {
    if (typeof value !== 'number') return;
    const must = (holds: boolean, words: string) => {
      if (!holds) causes.push(invalidValue(path, value, `${path} in body should be ${words}`));
    };
    if (multipleOf !== undefined) {
      // The server divides an integer by an integer, so a factor below one is none.
      const factor = Number.isInteger(value) ? Math.trunc(multipleOf) : multipleOf;
      if (factor <= 0) {
        const wrong = `factor MultipleOf declared for ${path} must be positive: ${factor}`;
        causes.push(invalidValue(path, factor, wrong));
      } else {
        must(Number.isInteger(value / factor), `a multiple of ${factor}`);
      }
    }
    if (maximum !== undefined) {
      if (node.exclusiveMaximum === true) must(value < maximum, `less than ${maximum}`);
      else must(value <= maximum, `less than or equal to ${maximum}`);
    }
    if (minimum !== undefined) {
      if (node.exclusiveMinimum === true) must(value > minimum, `greater than ${minimum}`);
      else must(value >= minimum, `greater than or equal to ${minimum}`);
    }
  };
}

function checkItemCounts({ minItems, maxItems }: SchemaNode): Check | undefined {
  if (minItems === undefined && maxItems === undefined) return undefined;
  return (value, path, causes) => {
    if (!Array.isArray(value)) return;
    if (minItems !== undefined && value.length < minItems) {
      causes.push(invalidValue(path, value.length, `${path} in body should have at least ${minItems} items`));
    }
    if (maxItems !== undefined && value.length > maxItems) causes.push(tooMany(path, value.length, maxItems));
  };
}

function checkEnum({ enum: values }: SchemaNode): Check | undefined {
  if (values === undefined || values.length === 0) return undefined;
  const supported = values.map((value) => quoted(typeof value === 'string' ? value : JSON.stringify(value))).join(', ');
  return (value, path, causes) => {
    if (values.some((allowed) => isDeepStrictEqual(allowed, value))) return;
    const message = `Unsupported value: ${shown(value)}: supported values: ${supported}`;
    causes.push({ reason: 'FieldValueNotSupported', field: path, message });
  };
}

function wrongType(path: string, found: string, wanted: string): Cause {
  const message = `${path} in body must be of type ${wanted}: ${quoted(found)}`;
  return causeOf('FieldValueTypeInvalid', path, found, message);
}

function tooMany(path: string, count: number, most: number): Cause {
  return { reason: 'FieldValueTooMany', field: path, message: `Too many: ${count}: must have at most ${most} items` };
}

/** What several schemas say together is said of no field. */
function ofNoField(message: string): Cause {
  return causeOf('FieldValueInvalid', '<nil>', '', message);
}

function invalidValue(path: string, value: Json, message: string): Cause {
  return causeOf('FieldValueInvalid', path, value, message);
}

function causeOf(reason: CauseReason, field: string, value: Json, message: string): Cause {
  return { reason, field, message: `Invalid value: ${shown(value)}: ${message}` };
}
