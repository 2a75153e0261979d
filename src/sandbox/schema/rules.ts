/**
 * CEL rules (`x-kubernetes-validations`): compiled once with their schema, run for every object.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
 */
import { isDeepStrictEqual } from 'node:util';
import type { Json, KubeObject } from '../object.ts';
import type { Cause, CauseReason } from '../status.ts';
import { CompilationError, compileExpression, type Program } from './cel/compile.ts';
import { Budget } from './cel/run.ts';
import { bool, nameOf, string, type Type } from './cel/types.ts';
import { EvaluationError, OptionalValue, type Shape, shapeOf, type Value } from './cel/values.ts';
import type { SchemaNode, ValidationRule } from './node.ts';
import { fieldReplaced, itemsReplaced } from './validate.ts';
import { fieldBelow, sortedJson, typeOf } from './wording.ts';

/** Runs every rule of an object; `old` is what an update replaces. */
export type RunRules = (object: KubeObject, old: KubeObject | undefined) => Cause[];

/** What the rules of one object may cost, and one rule of them. A step of an expression costs one. */
const OBJECT_BUDGET = 10_000_000;
const RULE_BUDGET = 1_000_000;

/**
 * Compiles the rules of a schema; undefined when it has none. A failure that an update has not caused is not reported: the
 * value is what it was. Throws a CompilationError, unless `ruleFaults` has found nothing.
 */
export function compileRules(node: SchemaNode): RunRules | undefined {
  const run = compileNode(node, true);
  if (run === undefined) return undefined;
  return (object, old) => {
    const causes: Cause[] = [];
    run(object, '', old, { causes, budget: new Budget(OBJECT_BUDGET) });
    return causes;
  };
}

/** What is wrong with the rules of a CRD's schema, which stands at `path`. */
export function ruleFaults(node: SchemaNode, path: string): Cause[] {
  return nodeFaults(node, path, { root: true, uncorrelatable: undefined });
}

interface Run {
  readonly causes: Cause[];
  readonly budget: Budget;
}

type RunNode = (value: Json, path: string, old: Json | undefined, run: Run) => void;

interface CompiledRule extends ValidationRule {
  readonly program: Program;
  readonly messageProgram: Program | undefined;
  /** It compares with what was before, and so is asked on updates alone. */
  readonly isTransition: boolean;
}

function compileNode(node: SchemaNode, root: boolean): RunNode | undefined {
  const shape = shapeOf(node, root);
  const rules =
    shape === undefined ? [] : (node['x-kubernetes-validations'] ?? []).map((rule) => compileRule(rule, shape));
  const fields = Object.entries(node.properties ?? {}).flatMap(([name, field]) => {
    const run = compileNode(field, false);
    return run === undefined ? [] : [{ name, run }];
  });
  const { additionalProperties, items } = node;
  const values = typeof additionalProperties === 'object' ? compileNode(additionalProperties, false) : undefined;
  const each = items === undefined ? undefined : compileNode(items, false);
  if (rules.length === 0 && fields.length === 0 && values === undefined && each === undefined) return undefined;
  return (value, path, old, run) => {
    if (value === null) return;
    if (shape !== undefined && rules.length > 0) runRules(rules, { shape, value, path, old }, run);
    if (Array.isArray(value)) {
      if (each === undefined) return;
      const former = itemsReplaced(node, value, old);
      for (const [at, item] of value.entries()) each(item, `${path}[${at}]`, former[at], run);
    } else if (typeof value === 'object') {
      for (const { name, run: runField } of fields) {
        const field = value[name];
        if (field !== undefined) runField(field, fieldBelow(path, name), fieldReplaced(old, name), run);
      }
      if (values === undefined) return;
      for (const [key, item] of Object.entries(value)) {
        if (item !== undefined) values(item, `${path}[${key}]`, fieldReplaced(old, key), run);
      }
    }
  };
}

function compileRule(rule: ValidationRule, shape: Shape): CompiledRule {
  const program = compileExpression(rule.rule, variablesOf(shape.type, rule));
  const { messageExpression } = rule;
  return {
    ...rule,
    program,
    messageProgram: isBlank(messageExpression)
      ? undefined
      : compileExpression(messageExpression ?? '', variablesOf(shape.type, rule)),
    isTransition: program.uses.has('oldSelf'),
  };
}

function variablesOf(type: Type, { optionalOldSelf }: ValidationRule): ReadonlyMap<string, Type> {
  return new Map<string, Type>([
    ['self', type],
    ['oldSelf', optionalOldSelf === true ? { of: 'optional', value: type } : type],
  ]);
}

interface Place {
  readonly shape: Shape;
  readonly value: Json;
  readonly path: string;
  readonly old: Json | undefined;
}

function runRules(rules: readonly CompiledRule[], place: Place, { causes, budget }: Run): void {
  const { shape, value, old } = place;
  const self = shape.valueOf(value);
  const isCompared = rules.some(({ isTransition }) => isTransition);
  const before = isCompared && old !== undefined && old !== null ? shape.valueOf(old) : undefined;
  for (const rule of rules) {
    if (budget.left < 0) return;
    if (rule.isTransition && rule.optionalOldSelf !== true && before === undefined) continue;
    const oldSelf = rule.optionalOldSelf === true ? new OptionalValue(before) : (before ?? null);
    const variables = new Map<string, Value>([
      ['self', self],
      ['oldSelf', oldSelf],
    ]);
    const failure = failureOf(rule, variables, budget);
    if (failure === undefined || isUnchanged(rule, place)) continue;
    causes.push(failureCause(rule, place, failure));
  }
}

/** A rule that looks at the value alone has failed before, when the value is what it was. */
function isUnchanged(rule: CompiledRule, { value, old }: Place): boolean {
  return !rule.isTransition && old !== undefined && isDeepStrictEqual(value, old);
}

/** Why a rule does not hold; undefined when it does. */
function failureOf(
  rule: CompiledRule,
  variables: ReadonlyMap<string, Value>,
  whole: Budget,
): { readonly words: string; readonly isError: boolean } | undefined {
  const budget = new Budget(Math.min(RULE_BUDGET, whole.left));
  const allowed = budget.left;
  try {
    if (rule.program.run(variables, budget) === true) return undefined;
    return { words: messageOf(rule, variables, budget), isError: false };
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    return { words: errorWords(rule, error.message, whole.left <= allowed && budget.left < 0), isError: true };
  } finally {
    chargeTo(whole, allowed - Math.max(budget.left, 0));
  }
}

/** Takes from the object's budget what one rule has spent; the last rule may overdraw it. */
function chargeTo(whole: Budget, steps: number): void {
  try {
    whole.spend(steps + 1);
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
  }
}

function errorWords(rule: CompiledRule, why: string, isObjectSpent: boolean): string {
  const named = isBlank(rule.message) ? rule.rule.trim() : (rule.message ?? '');
  if (isObjectSpent)
    return 'validation failed due to running out of cost budget, no further validation rules will be run';
  if (why === 'no such overload') {
    return `'${why}': call arguments did not match a supported operator, function or macro signature for rule: ${named}`;
  }
  if (why.startsWith('operation cancelled: actual cost limit exceeded')) {
    return `'${why}': no further validation rules will be run due to call cost exceeds limit for rule: ${named}`;
  }
  return `${why} evaluating rule: ${named}`;
}

/** What a failed rule says: what its expression makes, if that is fit for a message, else its message, else itself. */
function messageOf(rule: CompiledRule, variables: ReadonlyMap<string, Value>, budget: Budget): string {
  if (rule.messageProgram !== undefined) {
    try {
      const made = rule.messageProgram.run(variables, budget);
      if (typeof made === 'string' && made.trim() !== '' && !made.includes('\n') && made.length <= 5120) {
        return made.trim();
      }
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
    }
  }
  return isBlank(rule.message) ? `failed rule: ${rule.rule.trim()}` : (rule.message ?? '').trim();
}

function failureCause(
  { reason = 'FieldValueInvalid', fieldPath = '' }: CompiledRule,
  { path, value }: Place,
  { words, isError }: { readonly words: string; readonly isError: boolean },
): Cause {
  const field = isError || fieldPath === '' ? path || '<nil>' : `${path}${fieldPath}`.replace(/^\./, '');
  const type = JSON.stringify(typeOf(value));
  switch (isError ? 'FieldValueInvalid' : reason) {
    case 'FieldValueRequired':
      return cause('FieldValueRequired', field, `Required value: ${words}`);
    case 'FieldValueForbidden':
      return cause('FieldValueForbidden', field, `Forbidden: ${words}`);
    case 'FieldValueDuplicate':
      return cause('FieldValueDuplicate', field, `Duplicate value: ${type}`);
    default:
      return cause('FieldValueInvalid', field, `Invalid value: ${type}: ${words}`);
  }
}

function nodeFaults(
  node: SchemaNode,
  path: string,
  where: { readonly root?: true; readonly uncorrelatable: string | undefined },
): Cause[] {
  const shape = shapeOf(node, where.root === true);
  const own = (node['x-kubernetes-validations'] ?? []).flatMap((rule, at) =>
    shape === undefined
      ? []
      : oneRuleFaults(rule, shape, `${path}.x-kubernetes-validations[${at}]`, where.uncorrelatable),
  );
  const { items, additionalProperties, properties = {} } = node;
  const { uncorrelatable } = where;
  const isMapList = node['x-kubernetes-list-type'] === 'map';
  return [
    ...own,
    ...Object.entries(properties).flatMap(([name, field]) =>
      nodeFaults(field, `${path}.properties[${name}]`, { uncorrelatable }),
    ),
    ...(typeof additionalProperties === 'object'
      ? nodeFaults(additionalProperties, `${path}.additionalProperties`, { uncorrelatable })
      : []),
    ...(items === undefined
      ? []
      : nodeFaults(items, `${path}.items`, { uncorrelatable: isMapList ? uncorrelatable : (uncorrelatable ?? path) })),
  ];
}

function oneRuleFaults(rule: ValidationRule, shape: Shape, path: string, uncorrelatable: string | undefined): Cause[] {
  const variables = variablesOf(shape.type, rule);
  const causes: Cause[] = [];
  const { program, wrong } = compiled(rule.rule, variables, bool);
  if (wrong !== undefined) {
    causes.push(cause('FieldValueInvalid', `${path}.rule`, `Invalid value: ${goRule(rule)}: ${wrong}`));
  } else if (uncorrelatable !== undefined && program?.uses.has('oldSelf') === true) {
    const words = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelatable}`;
    causes.push(cause('FieldValueInvalid', `${path}.rule`, `Invalid value: ${JSON.stringify(rule.rule)}: ${words}`));
  } else if (rule.optionalOldSelf !== undefined && program?.uses.has('oldSelf') === false) {
    const words = 'may not be set if oldSelf is not used in rule';
    causes.push(
      cause('FieldValueInvalid', `${path}.optionalOldSelf`, `Invalid value: ${rule.optionalOldSelf}: ${words}`),
    );
  }
  if (!isBlank(rule.messageExpression)) {
    const message = compiled(rule.messageExpression ?? '', variables, string).wrong;
    if (message !== undefined) {
      const words = `Invalid value: ${goRule(rule)}: ${message.replace(/^compilation failed/, 'messageExpression compilation failed')}`;
      causes.push(cause('FieldValueInvalid', `${path}.messageExpression`, words));
    }
  }
  return causes;
}

function compiled(
  source: string,
  variables: ReadonlyMap<string, Type>,
  wanted: Type,
): { readonly program?: Program; readonly wrong?: string } {
  try {
    const program = compileExpression(source, variables);
    if (program.type === wanted || nameOf(program.type) === 'dyn') return { program };
    return {
      wrong: wanted === bool ? 'cel expression must evaluate to a bool' : 'messageExpression must evaluate to a string',
    };
  } catch (error) {
    if (!(error instanceof CompilationError)) throw error;
    return { wrong: `compilation failed: ${error.message}` };
  }
}

/** A rule as the server's own type has it. */
function goRule(rule: ValidationRule): string {
  const shown = {
    Rule: rule.rule,
    Message: rule.message ?? '',
    MessageExpression: rule.messageExpression ?? '',
    Reason: rule.reason ?? null,
    FieldPath: rule.fieldPath ?? '',
    OptionalOldSelf: rule.optionalOldSelf ?? null,
  };
  return `{${Object.entries(shown)
    .map(([name, value]) => `${JSON.stringify(name)}:${sortedJson(value)}`)
    .join(',')}}`;
}

function cause(reason: CauseReason, field: string, message: string): Cause {
  return { reason, field, message };
}

function isBlank(text: string | undefined): boolean {
  return text === undefined || text.trim() === '';
}
