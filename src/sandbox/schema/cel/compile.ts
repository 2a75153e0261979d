/**
 * Compiles a CEL expression: parsed by a library, its types checked as the API server checks them when a rule is stored, and
 * made into functions that are run for every object.
 * https://kubernetes.io/docs/reference/using-api/cel/
 */
import { parse } from '@bufbuild/cel';
import { callDeclared, type Declared } from './declare.ts';
import { type Expression, faultText, placesIn, type SourceFault } from './faults.ts';
import { kubernetesLibrary } from './kubernetes.ts';
import { operatorLibrary } from './operators.ts';
import {
  attempt,
  type Budget,
  type Built,
  decide,
  fieldOf,
  hasField,
  invoke,
  itemsOf,
  notStrictlyFalse,
  truth,
  valueIn,
} from './run.ts';
import { stringLibrary } from './strings.ts';
import {
  accepts,
  type Bindings,
  bool,
  bound,
  bytes,
  double,
  dyn,
  int,
  nameOf,
  nothing,
  scalar,
  string,
  type Type,
  uint,
} from './types.ts';
import { EvaluationError, ListValue, MapValue, TypeValue, Uint, type Value } from './values.ts';

/** An expression that can be run. */
export interface Program {
  readonly type: Type;
  /** The variables that it speaks of. */
  readonly uses: ReadonlySet<string>;
  /** Throws an EvaluationError when there is no answer, or when `budget` is spent. */
  run(variables: ReadonlyMap<string, Value>, budget: Budget): Value;
}

/** An expression that cannot be compiled; the message has the place of each fault. */
export class CompilationError extends Error {}

/** Compiles `source` with variables of these types. Throws a CompilationError. */
export function compileExpression(source: string, variables: ReadonlyMap<string, Type>): Program {
  const parsed = parsedFrom(source);
  const builder = new Builder(source, parsed.sourceInfo, variables);
  const { type, run } = builder.build(parsed.expr, builder.globals());
  if (builder.faults.length > 0) throw new CompilationError(faultText(source, builder.faults));
  const names = [...variables.keys()];
  return {
    type,
    uses: builder.uses,
    run(values, budget) {
      try {
        return run({ slots: names.map((name) => values.get(name) ?? null), budget });
      } catch (error) {
        // What is not known before, such as the items of a list of anything, may still be of a wrong type, or too deep.
        if (error instanceof TypeError || error instanceof RangeError) throw new EvaluationError('no such overload');
        throw error;
      }
    },
  };
}

function parsedFrom(source: string) {
  try {
    return parse(source);
  } catch (error) {
    // The library's own kind of error, which it does not export.
    const { location, rawMessage } = error as {
      readonly location?: { readonly start: { readonly offset: number } };
      readonly rawMessage?: string;
    };
    const fault = endsEarly(source)
      ? { offset: source.length, message: `Syntax error: mismatched input '<EOF>' expecting ${operandStarts}` }
      : { offset: location?.start.offset ?? 0, message: `Syntax error: ${rawMessage ?? String(error)}` };
    throw new CompilationError(faultText(source, [fault]));
  }
}

const operandStarts =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

/** Whether nothing is missing but a last operand. */
function endsEarly(source: string): boolean {
  try {
    parse(`${source} x`);
    return true;
  } catch {
    return false;
  }
}

/** The variables that are seen from a place, and how many slots are taken there. */
interface Scope {
  readonly names: ReadonlyMap<string, { readonly slot: number; readonly type: Type }>;
  readonly size: number;
}

/** Stands for a part that has a fault, which is reported once. */
const unknown: Built = { type: dyn, run: () => null };

const functions = Map.groupBy([...operatorLibrary, ...stringLibrary, ...kubernetesLibrary], ({ name }) => name);

const typeNames: ReadonlySet<string> = new Set('bool int uint double string bytes list map null_type type'.split(' '));

/** Makes the parts of one expression, and collects what is wrong with it. */
class Builder {
  readonly faults: SourceFault[] = [];
  readonly uses = new Set<string>();
  readonly #placeOf: (node: Expression) => number;
  readonly #variables: ReadonlyMap<string, Type>;

  constructor(source: string, info: Parameters<typeof placesIn>[1], variables: ReadonlyMap<string, Type>) {
    this.#placeOf = placesIn(source, info);
    this.#variables = variables;
  }

  globals(): Scope {
    const names = new Map([...this.#variables].map(([name, type], slot) => [name, { slot, type }]));
    return { names, size: names.size };
  }

  build(node: Expression | undefined, scope: Scope): Built {
    if (node === undefined) return unknown;
    const { exprKind } = node;
    switch (exprKind.case) {
      case 'constExpr':
        return constant(exprKind.value.constantKind);
      case 'identExpr':
        return this.#variable(node, exprKind.value.name, scope);
      case 'selectExpr':
        return this.#select(node, exprKind.value, scope);
      case 'callExpr':
        return this.#call(node, exprKind.value, scope);
      case 'listExpr':
        return this.#list(exprKind.value.elements, scope);
      case 'structExpr':
        return this.#map(node, exprKind.value, scope);
      case 'comprehensionExpr':
        return this.#comprehension(exprKind.value, scope);
      default:
        return this.#fault(node, 'unspecified expression');
    }
  }

  #fault(node: Expression, message: string): Built {
    this.faults.push({ offset: this.#placeOf(node), message });
    return unknown;
  }

  #variable(node: Expression, name: string, scope: Scope): Built {
    const variable = scope.names.get(name);
    if (variable !== undefined) {
      if (this.#variables.has(name)) this.uses.add(name);
      const { slot, type } = variable;
      return { type, run: ({ slots }) => valueIn(slots[slot]) };
    }
    if (typeNames.has(name)) {
      const value = new TypeValue(name);
      return { type: scalar('type'), run: () => value };
    }
    return this.#fault(node, `undeclared reference to '${name}' (in container '')`);
  }

  #select(node: Expression, select: Part<'selectExpr'>, scope: Scope): Built {
    const { field, testOnly } = select;
    const operand = this.build(select.operand, scope);
    if (operand === unknown) return unknown;
    const { type } = operand;
    const found = this.#fieldType(type, field);
    if (found === undefined) {
      const isObject = type.of === 'object';
      const message = isObject
        ? `undefined field '${field}'`
        : `type '${nameOf(type)}' does not support field selection`;
      return this.#fault(node, message);
    }
    if (testOnly) return { type: bool, run: (frame) => hasField(operand.run(frame), field) };
    return { type: found, run: (frame) => fieldOf(operand.run(frame), field) };
  }

  #fieldType(type: Type, field: string): Type | undefined {
    if (type.of === 'object') return type.fields.get(field);
    if (type.of === 'map') return type.value;
    return type === dyn ? dyn : undefined;
  }

  #call(node: Expression, call: Part<'callExpr'>, scope: Scope): Built {
    const { function: name, target } = call;
    const qualified = target === undefined ? undefined : this.#qualifiedName(target, name, scope);
    const isMember = target !== undefined && qualified === undefined;
    const before = this.faults.length;
    const nodes = [...(isMember ? [target] : []), ...call.args];
    const declared = functions.get(qualified ?? name) ?? [];
    const misuse = declared.length === 0 ? macroMisuse(call) : undefined;
    if (misuse !== undefined) return this.#fault(misuse.at, misuse.message);
    const built = nodes.map((arg) => this.#argument(arg, name, scope));
    switch (name) {
      case '_&&_':
      case '_||_':
        return this.#logical(call.args, built, name === '_||_');
      case '_?_:_':
        return this.#conditional(node, built);
      case '@not_strictly_false':
        return { type: bool, run: (frame) => notStrictlyFalse(built[0] ?? unknown, frame) };
      default:
        break;
    }
    if (declared.length === 0) return this.#fault(node, `undeclared reference to '${name}' (in container '')`);
    if (this.faults.length > before) return unknown;
    return this.#overloads(node, qualified ?? name, isMember, built, declared);
  }

  /** What is formatted may be of any types; any other list has items of one. */
  #argument(node: Expression, name: string, scope: Scope): Built {
    if (name !== 'format' || node.exprKind.case !== 'listExpr') return this.build(node, scope);
    const items = node.exprKind.value.elements.map((item) => this.build(item, scope));
    return listOf(dyn, items);
  }

  /** The name of a function such as `sets.contains`, whose first part looks like a target. */
  #qualifiedName({ exprKind }: Expression, name: string, scope: Scope): string | undefined {
    if (exprKind.case !== 'identExpr' || scope.names.has(exprKind.value.name)) return undefined;
    const whole = `${exprKind.value.name}.${name}`;
    return functions.has(whole) ? whole : undefined;
  }

  #overloads(node: Expression, name: string, isMember: boolean, args: Built[], declared: readonly Declared[]): Built {
    const fitting = declared.flatMap((one) => {
      if (one.member !== isMember || one.args.length !== args.length) return [];
      const bindings: Bindings = new Map();
      const fits = one.args.every((wanted, at) => accepts(wanted, args[at]?.type ?? dyn, bindings));
      return fits ? [{ one, result: bound(one.result, bindings) }] : [];
    });
    const [first] = fitting;
    if (first === undefined) {
      const types = args.map(({ type }) => nameOf(type));
      const applied = isMember ? `${types[0]}.(${types.slice(1).join(', ')})` : `(${types.join(', ')})`;
      return this.#fault(node, `found no matching overload for '${name}' applied to '${applied}'`);
    }
    this.#checkPattern(node, name, isMember);
    const type = fitting.every(({ result }) => nameOf(result) === nameOf(first.result)) ? first.result : dyn;
    const candidates = fitting.map(({ one }) => one);
    return { type, run: (frame) => invoke(candidates, args, frame) };
  }

  /** A pattern, time or length of time that is written down is looked at when the rule is stored. */
  #checkPattern(node: Expression, name: string, isMember: boolean): void {
    if (node.exprKind.case !== 'callExpr' || !['matches', 'timestamp', 'duration'].includes(name)) return;
    const { args } = node.exprKind.value;
    const literal = args[isMember || name !== 'matches' ? 0 : 1];
    if (literal?.exprKind.case !== 'constExpr' || literal.exprKind.value.constantKind.case !== 'stringValue') return;
    const text = literal.exprKind.value.constantKind.value;
    const declared = functions.get(name)?.find(({ args: [wanted] }) => wanted === string);
    if (declared === undefined) return;
    try {
      callDeclared(declared, name === 'matches' ? ['', text] : [text]);
    } catch {
      this.#fault(literal, `invalid ${name} argument`);
    }
  }

  #logical(nodes: readonly Expression[], built: readonly Built[], decisive: boolean): Built {
    for (const [at, { type }] of built.entries()) {
      const node = nodes[at];
      if (type === bool || type === dyn || node === undefined) continue;
      this.#fault(node, `expected type 'bool' but found '${nameOf(type)}'`);
    }
    const [left = unknown, right = unknown] = built;
    return { type: bool, run: (frame) => decide(left, right, decisive, frame) };
  }

  #conditional(node: Expression, built: readonly Built[]): Built {
    const [condition = unknown, one = unknown, other = unknown] = built;
    if (!accepts(bool, condition.type, new Map()) || !accepts(one.type, other.type, new Map())) {
      const types = built.map(({ type }) => nameOf(type)).join(', ');
      return this.#fault(node, `found no matching overload for '_?_:_' applied to '(${types})'`);
    }
    const type = one.type === dyn ? other.type : one.type;
    return { type, run: (frame) => (truth(condition.run(frame)) ? one : other).run(frame) };
  }

  #list(nodes: readonly Expression[], scope: Scope): Built {
    const items = nodes.map((node) => this.build(node, scope));
    return listOf(this.#commonType(nodes, items), items);
  }

  #map(node: Expression, { messageName, entries }: Part<'structExpr'>, scope: Scope): Built {
    if (messageName !== '') return this.#fault(node, `undeclared reference to '${messageName}' (in container '')`);
    const pairs = entries.map(({ keyKind, value }) => ({
      keyNode: keyKind.case === 'mapKey' ? keyKind.value : undefined,
      key: this.build(keyKind.case === 'mapKey' ? keyKind.value : undefined, scope),
      valueNode: value,
      value: this.build(value, scope),
    }));
    const key = this.#commonType(
      pairs.map(({ keyNode }) => keyNode),
      pairs.map((pair) => pair.key),
    );
    const value = this.#commonType(
      pairs.map(({ valueNode }) => valueNode),
      pairs.map((pair) => pair.value),
    );
    return {
      type: { of: 'map', key, value },
      run: (frame) => new MapValue(pairs.map((pair) => [pair.key.run(frame), pair.value.run(frame)])),
    };
  }

  /** The one type of what a literal holds. */
  #commonType(nodes: readonly (Expression | undefined)[], built: readonly Built[]): Type {
    const first = built.find(({ type }) => type !== dyn)?.type ?? dyn;
    for (const [at, { type }] of built.entries()) {
      const node = nodes[at];
      if (node === undefined || accepts(first, type, new Map()) || accepts(type, first, new Map())) continue;
      this.#fault(node, `expected type '${nameOf(first)}' but found '${nameOf(type)}'`);
    }
    return first;
  }

  #comprehension(node: Part<'comprehensionExpr'>, scope: Scope): Built {
    const range = this.build(node.iterRange, scope);
    const item = itemType(range.type);
    if (item === undefined && node.iterRange !== undefined) {
      const name = nameOf(range.type);
      const message = `expression of type '${name}' cannot be range of a comprehension (must be list, map, or dynamic)`;
      return this.#fault(node.iterRange, message);
    }
    const start = this.build(node.accuInit, scope);
    const [itemSlot, resultSlot] = [scope.size, scope.size + 1];
    const names = new Map([
      ...scope.names,
      [node.iterVar, { slot: itemSlot, type: item ?? dyn }],
      [node.accuVar, { slot: resultSlot, type: dyn }],
    ]);
    const inner: Scope = { names, size: scope.size + 2 };
    const goesOn = this.build(node.loopCondition, inner);
    const step = this.build(node.loopStep, inner);
    const result = this.build(node.result, inner);
    const type = start.type.of === 'list' ? step.type : start.type === bool ? bool : result.type;
    return {
      type,
      run: (frame) => {
        const items = itemsOf(range.run(frame));
        frame.slots[resultSlot] = start.run(frame);
        for (const one of items) {
          frame.budget.spend(1);
          frame.slots[itemSlot] = one;
          if (!truth(goesOn.run(frame))) break;
          frame.slots[resultSlot] = attempt(step, frame);
        }
        return result.run(frame);
      },
    };
  }
}

type Part<Case extends Expression['exprKind']['case']> = Extract<
  Expression['exprKind'],
  { readonly case: Case; readonly value: unknown }
>['value'];

/** A macro that the parser has left alone, because it is not used as one. */
function macroMisuse({ function: name, target, args }: Part<'callExpr'>) {
  const [first] = args;
  if (first === undefined) return undefined;
  if (name === 'has' && target === undefined) return { at: first, message: 'invalid argument to has() macro' };
  const isMacro = target !== undefined && ['all', 'exists', 'exists_one', 'map', 'filter'].includes(name);
  if (!isMacro || args.length < 2 || first.exprKind.case === 'identExpr') return undefined;
  return { at: first, message: 'argument must be a simple name' };
}

function listOf(type: Type, items: readonly Built[]): Built {
  return { type: { of: 'list', items: type }, run: (frame) => new ListValue(items.map(({ run }) => run(frame))) };
}

function constant(kind: Part<'constExpr'>['constantKind']): Built {
  switch (kind.case) {
    case 'boolValue':
      return always(bool, kind.value);
    case 'int64Value':
      return always(int, kind.value);
    case 'uint64Value':
      return always(uint, new Uint(kind.value));
    case 'doubleValue':
      return always(double, kind.value);
    case 'stringValue':
      return always(string, kind.value);
    case 'bytesValue':
      return always(bytes, kind.value);
    default:
      return always(nothing, null);
  }
}

function always(type: Type, value: Value): Built {
  return { type, run: () => value };
}

function itemType(range: Type): Type | undefined {
  if (range.of === 'list') return range.items;
  if (range.of === 'map') return range.key;
  return range === dyn ? dyn : undefined;
}
