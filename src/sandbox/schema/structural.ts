/**
 * What a CRD's schema has to be like: structural, with sound patterns, list types, defaults and rules.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
import { isDeepStrictEqual } from 'node:util';
import { RE2JS } from '@bufbuild/re2';
import type { Json } from '../object.ts';
import type { Cause, CauseReason } from '../status.ts';
import { numberFormats, stringFormats } from './formats.ts';
import { checkDuplicates } from './lists.ts';
import type { SchemaNode } from './node.ts';
import { compilePruning } from './prune.ts';
import { ruleFaults } from './rules.ts';
import { compileValidation } from './validate.ts';
import { compileWalk } from './walk.ts';
import { quoted, shown } from './wording.ts';

/**
 * Everything wrong with a schema; `path` is where it stands in its CRD. Defaults and rules are looked at only when the rest
 * is sound, as the server does it.
 */
export function structuralFaults(schema: SchemaNode, path: string): Cause[] {
  const causes: Cause[] = [];
  checkRoot(schema, path, causes);
  checkNode(schema, path, { root: true }, causes);
  if (causes.length > 0) return causes;
  checkDefaults(schema, path, causes);
  return [...causes, ...ruleFaults(schema, path)];
}

/** The formats that nobody checks, in the words of the server's warnings. */
export function formatWarnings(schema: SchemaNode): string[] {
  const unknown = new Set<string>();
  const collect = (node: SchemaNode): void => {
    const { format = '', additionalProperties: values } = node;
    if (format !== '' && !stringFormats.has(format) && !numberFormats.has(format)) unknown.add(format);
    if (typeof values === 'object') eachNode(values, collect);
  };
  eachNode(schema, collect);
  return [...unknown].sort().map((format) => `unrecognized format ${quoted(format)}`);
}

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

/** Words of OpenAPI that a structural schema has no use for. */
const unsupported = ['$ref', 'id', 'definitions', 'patternProperties', 'dependencies', 'additionalItems'];

/** What may only be said outside `allOf`, `anyOf`, `oneOf` and `not`, and how it has to be left out there. */
const outsideOnly: readonly (readonly [keyof SchemaNode | 'title', 'undefined' | 'empty' | 'false'])[] = [
  ['additionalProperties', 'undefined'],
  ['default', 'undefined'],
  ['description', 'empty'],
  ['nullable', 'false'],
  ['title', 'empty'],
  ['type', 'empty'],
  ['x-kubernetes-embedded-resource', 'false'],
  ['x-kubernetes-int-or-string', 'false'],
  ['x-kubernetes-list-map-keys', 'empty'],
  ['x-kubernetes-list-type', 'undefined'],
  ['x-kubernetes-map-type', 'undefined'],
  ['x-kubernetes-preserve-unknown-fields', 'false'],
  ['x-kubernetes-validations', 'empty'],
];

interface Where {
  readonly root?: true;
  /** Whose type is missing, when it is: a field of an object, or an item of a list. */
  readonly as?: 'object fields' | 'array items';
  /** Within a junction, whose types are said outside. */
  readonly junction?: true;
  /** Its types may be said nevertheless: `anyOf` of integer and string. */
  readonly typed?: boolean;
  /** The value outside is an integer or a string, which a branch of `allOf` may spell out. */
  readonly either?: boolean;
}

function checkRoot(schema: SchemaNode, path: string, causes: Cause[]): void {
  if (schema.nullable === true) causes.push(forbidden(`${path}.nullable`, 'nullable cannot be true at the root'));
  if (schema.type === undefined) causes.push(required(`${path}.type`, 'must not be empty at the root'));
  else if (schema.type !== 'object') causes.push(invalid(`${path}.type`, schema.type, 'must be object at the root'));
  const metadata = schema.properties?.metadata;
  const names = Object.keys(metadata?.properties ?? {});
  if (names.some((name) => name !== 'name' && name !== 'generateName')) {
    const detail = 'must not specify anything other than name and generateName, but metadata is implicitly specified';
    causes.push(forbidden(`${path}.properties[metadata]`, detail));
  }
}

function checkNode(node: SchemaNode, path: string, where: Where, causes: Cause[]): void {
  if (where.junction === true) checkJunctionNode(node, path, where, causes);
  else checkType(node, path, where, causes);
  checkWords(node, path, causes);
  checkLists(node, path, causes);
  checkObjects(node, path, causes);
  checkRuleWords(node, path, causes);
  checkBelow(node, path, where, causes);
}

function checkType(node: SchemaNode, path: string, { as }: Where, causes: Cause[]): void {
  const { type } = node;
  const free =
    node['x-kubernetes-preserve-unknown-fields'] !== undefined || node['x-kubernetes-int-or-string'] === true;
  if (type === undefined) {
    if (as !== undefined && !free) causes.push(required(`${path}.type`, `must not be empty for specified ${as}`));
  } else if (!types.includes(type)) {
    const supported = types.map(quoted).join(', ');
    const message = `Unsupported value: ${shown(type)}: supported values: ${supported}`;
    causes.push({ reason: 'FieldValueNotSupported', field: `${path}.type`, message });
  }
  if (type === 'array' && node.items === undefined) causes.push(required(`${path}.items`, 'must be specified'));
}

function checkJunctionNode(node: SchemaNode, path: string, { typed }: Where, causes: Cause[]): void {
  const said = node as { readonly [word: string]: Json | undefined };
  for (const [word, absent] of outsideOnly) {
    const value = said[word];
    if (value === undefined || value === false || value === '' || (word === 'type' && typed === true)) continue;
    causes.push(forbidden(`${path}.${word}`, `must be ${absent} to be structural`));
  }
}

function checkWords(node: SchemaNode, path: string, causes: Cause[]): void {
  const said = node as { readonly [word: string]: Json | undefined };
  for (const word of unsupported) {
    if (said[word] !== undefined) causes.push(forbidden(`${path}.${word}`, `${word} is not supported`));
  }
  if (Array.isArray(said.items)) {
    causes.push(forbidden(`${path}.items`, 'items must be a schema object and not an array'));
  }
  if (node.uniqueItems === true) {
    const detail = 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic';
    causes.push(forbidden(`${path}.uniqueItems`, detail));
  }
  const { additionalProperties } = node;
  if (typeof additionalProperties === 'object' && node.properties !== undefined) {
    const detail = 'additionalProperties and properties are mutual exclusive';
    causes.push(forbidden(`${path}.additionalProperties`, detail));
  }
  if (node.pattern !== undefined) {
    const wrong = patternFault(node.pattern);
    if (wrong !== undefined) {
      const detail = `must be a valid regular expression, but isn't: ${wrong}`;
      causes.push(invalid(`${path}.pattern`, node.pattern, detail));
    }
  }
  const preserve = 'x-kubernetes-preserve-unknown-fields';
  if (node[preserve] === false) causes.push(invalid(`${path}.${preserve}`, false, 'must be true or undefined'));
}

function checkLists(node: SchemaNode, path: string, causes: Cause[]): void {
  const { 'x-kubernetes-list-type': listType, 'x-kubernetes-list-map-keys': keys = [], type, items } = node;
  if (listType === undefined) {
    if (keys.length > 0) {
      const detail = 'must be map if x-kubernetes-list-map-keys is non-empty';
      causes.push(required(`${path}.x-kubernetes-list-type`, detail));
    }
    return;
  }
  if (type !== 'array') causes.push(typeFault(path, type, 'must be array if x-kubernetes-list-type is specified'));
  switch (listType) {
    case 'atomic':
      return;
    case 'set':
      checkSet(items, `${path}.items`, causes);
      return;
    case 'map':
      checkMapList(keys, items, path, causes);
      return;
    default: {
      const message = `Unsupported value: ${shown(listType)}: supported values: "atomic", "set", "map"`;
      causes.push({ reason: 'FieldValueNotSupported', field: `${path}.x-kubernetes-list-type`, message });
    }
  }
}

function checkSet(items: SchemaNode | undefined, path: string, causes: Cause[]): void {
  if (items === undefined) return;
  if (items.nullable === true) {
    causes.push(forbidden(`${path}.nullable`, 'cannot be nullable when x-kubernetes-list-type is set'));
  }
  const mapType = items['x-kubernetes-map-type'];
  if (items.type === 'object' && mapType !== 'atomic') {
    const detail = 'must be atomic as item of a list with x-kubernetes-list-type=set';
    causes.push(invalid(`${path}.x-kubernetes-map-type`, mapType ?? null, detail));
  }
  const listType = items['x-kubernetes-list-type'];
  if (items.type === 'array' && listType !== undefined && listType !== 'atomic') {
    const detail = 'must be atomic as item of a list with x-kubernetes-list-type=set';
    causes.push(invalid(`${path}.x-kubernetes-list-type`, listType, detail));
  }
}

function checkMapList(keys: readonly string[], items: SchemaNode | undefined, path: string, causes: Cause[]): void {
  const keysPath = `${path}.x-kubernetes-list-map-keys`;
  if (keys.length === 0) causes.push(required(keysPath, 'must not be empty if x-kubernetes-list-type is map'));
  if (items === undefined) {
    causes.push(required(`${path}.items`, 'must have a schema if x-kubernetes-list-type is map'));
    return;
  }
  if (items.type !== 'object') {
    causes.push(
      typeFault(`${path}.items`, items.type, "must be object if parent array's x-kubernetes-list-type is map"),
    );
    return;
  }
  if (keys.some((key) => items.properties?.[key] === undefined)) {
    causes.push(invalid(keysPath, [...keys], 'entries must all be names of item properties'));
  }
  for (const key of keys) {
    const type = items.properties?.[key]?.type;
    if (type !== 'array' && type !== 'object') continue;
    const detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
    causes.push(invalid(`${path}.items.properties[${key}].type`, type, detail));
  }
  if (new Set(keys).size < keys.length) causes.push(invalid(keysPath, [...keys], 'must not contain duplicate entries'));
  if (items.nullable === true) {
    causes.push(forbidden(`${path}.items.nullable`, 'cannot be nullable when x-kubernetes-list-type is map'));
  }
  for (const key of keys) {
    const field = items.properties?.[key];
    if (field === undefined || field.default !== undefined || items.required?.includes(key) === true) continue;
    const detail =
      'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property';
    causes.push(required(`${path}.items.properties[${key}].default`, detail));
  }
}

function checkObjects(node: SchemaNode, path: string, causes: Cause[]): void {
  const mapType = node['x-kubernetes-map-type'];
  if (mapType !== undefined && mapType !== 'atomic' && mapType !== 'granular') {
    const message = `Unsupported value: ${shown(mapType)}: supported values: "atomic", "granular"`;
    causes.push({ reason: 'FieldValueNotSupported', field: `${path}.x-kubernetes-map-type`, message });
  } else if (mapType !== undefined && node.type !== 'object') {
    causes.push(typeFault(path, node.type, 'must be object if x-kubernetes-map-type is specified'));
  }
  if (node['x-kubernetes-embedded-resource'] !== true) return;
  if (node.properties === undefined && node['x-kubernetes-preserve-unknown-fields'] !== true) {
    const detail =
      'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields';
    causes.push(required(`${path}.properties`, detail));
  }
  if (node.type !== 'object') {
    causes.push(typeFault(path, node.type, 'must be object if x-kubernetes-embedded-resource is true'));
  }
}

function checkRuleWords(node: SchemaNode, path: string, causes: Cause[]): void {
  const reasons = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];
  for (const [at, rule] of (node['x-kubernetes-validations'] ?? []).entries()) {
    const below = `${path}.x-kubernetes-validations[${at}]`;
    const { message = '', reason, fieldPath = '' } = rule;
    if ((rule.rule ?? '').trim() === '') {
      causes.push(required(`${below}.rule`, 'rule is not specified'));
      continue;
    }
    if (message.includes('\n')) {
      causes.push(invalid(`${below}.message`, message, 'must not contain line breaks'));
    } else if (message !== '' && message.trim() === '') {
      causes.push(invalid(`${below}.message`, message, 'must be non-empty if specified'));
    } else if (message === '' && rule.rule.trim().includes('\n')) {
      causes.push(required(`${below}.message`, 'message must be specified if rule contains line breaks'));
    }
    if (reason !== undefined && !reasons.includes(reason)) {
      const words = `Unsupported value: ${shown(reason)}: supported values: ${reasons.map(quoted).join(', ')}`;
      causes.push({ reason: 'FieldValueNotSupported', field: `${below}.reason`, message: words });
    }
    if (fieldPath !== '' && !isFieldPath(fieldPath, node)) {
      causes.push(invalid(`${below}.fieldPath`, fieldPath, 'must be a valid path'));
    }
  }
}

/** Does `path` (`.a.b`, `.a['b']`) name a field that the schema knows? */
function isFieldPath(path: string, node: SchemaNode): boolean {
  let at: SchemaNode | undefined = node;
  const steps = path.match(/\.[A-Za-z_]\w*|\['(?:[^'\\]|\\.)*'\]/g) ?? [];
  if (steps.join('') !== path) return false;
  for (const step of steps) {
    const name: string = step.startsWith('.') ? step.slice(1) : step.slice(2, -2).replace(/\\(.)/g, '$1');
    at = at?.properties?.[name] ?? (typeof at?.additionalProperties === 'object' ? at.additionalProperties : undefined);
  }
  return at !== undefined;
}

function checkBelow(node: SchemaNode, path: string, where: Where, causes: Cause[]): void {
  const within = where.junction === true ? { junction: true as const } : {};
  if (node.items !== undefined && !Array.isArray(node.items)) {
    checkNode(node.items, `${path}.items`, { ...within, as: 'array items' }, causes);
  }
  for (const [name, field] of Object.entries(node.properties ?? {})) {
    const below = `${path}.properties[${name}]`;
    const own = where.root === true || node['x-kubernetes-embedded-resource'] === true;
    if (own && (name === 'apiVersion' || name === 'kind') && field.type !== undefined && field.type !== 'string') {
      causes.push(invalid(`${below}.type`, field.type, 'must be string'));
    } else if (own && name === 'metadata' && field.type !== undefined && field.type !== 'object') {
      causes.push(invalid(`${below}.type`, field.type, 'must be object'));
    }
    checkNode(field, below, { ...within, as: 'object fields' }, causes);
  }
  if (typeof node.additionalProperties === 'object' && where.junction !== true) {
    checkNode(node.additionalProperties, `${path}.additionalProperties`, { ...within, as: 'object fields' }, causes);
  }
  const either = where.either === true || node['x-kubernetes-int-or-string'] === true;
  const typed = either && isIntOrString(node);
  const { allOf = [], anyOf = [], oneOf = [], not } = node;
  for (const [at, branch] of allOf.entries()) {
    checkNode(branch, `${path}.allOf[${at}]`, { junction: true, either }, causes);
  }
  for (const [at, branch] of anyOf.entries()) {
    checkNode(branch, `${path}.anyOf[${at}]`, { junction: true, typed }, causes);
  }
  for (const [at, branch] of oneOf.entries()) checkNode(branch, `${path}.oneOf[${at}]`, { junction: true }, causes);
  if (not !== undefined) checkNode(not, `${path}.not`, { junction: true }, causes);
}

/** The one junction that may say types: `anyOf` of an integer and a string, in this order. */
function isIntOrString({ anyOf }: SchemaNode): boolean {
  return isDeepStrictEqual(anyOf, [{ type: 'integer' }, { type: 'string' }]);
}

/** A default has to be pruned already, and valid; the server does not look at those below `additionalProperties`. */
function checkDefaults(schema: SchemaNode, path: string, causes: Cause[]): void {
  eachNode(
    schema,
    (node, at) => {
      if (node.default === undefined || node.default === null) return;
      const field = `${at}.default`;
      const value = structuredClone(node.default);
      const unknown: string[] = [];
      compilePruning(node)(value, '', unknown);
      if (unknown.length > 0) causes.push(invalid(field, node.default, 'must not have unknown fields'));
      const found: Cause[] = [];
      compileValidation(node, false)(node.default, '', undefined, found);
      compileWalk(node, checkDuplicates)?.(node.default, '', found);
      for (const cause of found) causes.push({ ...cause, field: belowDefault(field, cause.field) });
    },
    path,
  );
}

function belowDefault(field: string, within: string): string {
  if (within === '' || within === '<nil>') return field;
  return within.startsWith('[') ? field + within : `${field}.${within}`;
}

/** Visits a node and all below it but the values of maps. */
function eachNode(node: SchemaNode, visit: (node: SchemaNode, path: string) => void, path = ''): void {
  visit(node, path);
  if (node.items !== undefined) eachNode(node.items, visit, `${path}.items`);
  for (const [name, field] of Object.entries(node.properties ?? {})) {
    eachNode(field, visit, `${path}.properties[${name}]`);
  }
}

/** What Go's regular expressions have against a pattern. */
export function patternFault(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function typeFault(path: string, type: SchemaNode['type'], detail: string): Cause {
  return type === undefined ? required(`${path}.type`, detail) : invalid(`${path}.type`, type, detail);
}

function required(field: string, detail: string): Cause {
  return { reason: 'FieldValueRequired', field, message: `Required value: ${detail}` };
}

function forbidden(field: string, detail: string): Cause {
  return { reason: 'FieldValueForbidden', field, message: `Forbidden: ${detail}` };
}

function invalid(field: string, value: Json, detail: string, reason: CauseReason = 'FieldValueInvalid'): Cause {
  return { reason, field, message: `Invalid value: ${shown(value)}: ${detail}` };
}
