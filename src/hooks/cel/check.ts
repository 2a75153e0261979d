/**
 * Whether an expression that parses can be evaluated at all: its size, its names, and its types as far as they can be known before there
 * is a body. What comes from a body, and what lies in lists and maps, can be anything.
 */
import type { CelEnv, CelFunc, parse } from '@bufbuild/cel';

/** An expression as the library parses it. */
export type Expr = NonNullable<ReturnType<typeof parse>['expr']>;

/** The kinds of expressions, of which each has its own parts. */
type Part<Case extends Expr['exprKind']['case']> =
  Extract<Expr['exprKind'], { case: Case }> extends { value: infer Value } ? Value : never;

type Functions = CelEnv['funcs'];

/** The name of a type, as CEL has it; `dyn` where it is not known. */
type TypeName = string;

/** How much of each an expression may have. */
export const LIMITS = { nodes: 2000, depth: 64, macros: 3 } as const;

const TYPES: ReadonlySet<string> = new Set([
  'int',
  'uint',
  'double',
  'bool',
  'string',
  'bytes',
  'list',
  'map',
  'null_type',
  'type',
]);

const CONSTANTS: Readonly<Record<string, TypeName>> = {
  boolValue: 'bool',
  bytesValue: 'bytes',
  doubleValue: 'double',
  int64Value: 'int',
  nullValue: 'null_type',
  stringValue: 'string',
  uint64Value: 'uint',
};

/** What is wrong with an expression, and the node with which it is. */
export interface Mistake {
  readonly sentence: string;
  /** Undefined: the whole of it. */
  readonly node: bigint | undefined;
}

/** Looks for the first mistake. Takes time in the order of its size, of which it looks at no more than is allowed. */
export function mistakeIn(
  expr: Expr,
  functions: Functions,
  variables: ReadonlyMap<string, TypeName>,
): Mistake | undefined {
  try {
    new Checker(functions).typeOf(expr, { variables, depth: 1, macros: 0 });
    return undefined;
  } catch (error) {
    if (error instanceof Found) return error.mistake;
    throw error;
  }
}

/** Thrown from any depth to the one place that catches it. */
class Found extends Error {
  readonly mistake: Mistake;

  constructor(sentence: string, node?: bigint) {
    super(sentence);
    this.mistake = { sentence, node };
  }
}

/** Where a node is. */
interface Scope {
  readonly variables: ReadonlyMap<string, TypeName>;
  readonly depth: number;
  /** How many macros go round it. */
  readonly macros: number;
}

class Checker {
  readonly #functions: Functions;
  #nodes = 0;

  constructor(functions: Functions) {
    this.#functions = functions;
  }

  typeOf(expr: Expr, outside: Scope): TypeName {
    if (++this.#nodes > LIMITS.nodes) throw new Found(`it has more than ${LIMITS.nodes} parts`);
    if (outside.depth > LIMITS.depth) throw new Found(`it is nested deeper than ${LIMITS.depth} levels`, expr.id);
    const scope = { ...outside, depth: outside.depth + 1 };
    const { exprKind: kind } = expr;
    switch (kind.case) {
      case 'constExpr':
        return CONSTANTS[kind.value.constantKind.case ?? ''] ?? 'dyn';
      case 'identExpr':
        return this.#variable(kind.value.name, expr.id, scope);
      case 'selectExpr':
        return this.#select(kind.value, expr.id, scope);
      case 'callExpr':
        return this.#call(kind.value, expr.id, scope);
      case 'listExpr':
        for (const element of kind.value.elements) this.typeOf(element, scope);
        return 'list';
      case 'structExpr':
        return this.#map(kind.value, expr.id, scope);
      case 'comprehensionExpr':
        return this.#macro(kind.value, expr.id, scope);
      default:
        throw new Found('it has a part that is not known', expr.id);
    }
  }

  #variable(name: string, node: bigint, { variables }: Scope): TypeName {
    const plain = name.replace(/^\./, '');
    const type = variables.get(plain) ?? (TYPES.has(plain) ? 'type' : undefined);
    if (type === undefined) throw new Found(`undeclared reference to '${plain}'`, node);
    return type;
  }

  #select({ operand, field }: Part<'selectExpr'>, node: bigint, scope: Scope): TypeName {
    const type = operand === undefined ? 'dyn' : this.typeOf(operand, scope);
    if (type !== 'map' && type !== 'dyn') throw new Found(`a ${type} has no field '${field}'`, node);
    return 'dyn';
  }

  #map({ messageName, entries }: Part<'structExpr'>, node: bigint, scope: Scope): TypeName {
    if (messageName !== '') throw new Found(`messages like ${messageName} are not supported`, node);
    for (const { keyKind, value } of entries) {
      if (keyKind.case === 'mapKey') this.typeOf(keyKind.value, scope);
      if (value !== undefined) this.typeOf(value, scope);
    }
    return 'map';
  }

  #macro(macro: Part<'comprehensionExpr'>, node: bigint, scope: Scope): TypeName {
    const { iterRange, iterVar, accuVar, accuInit, loopCondition, loopStep, result } = macro;
    const range = iterRange === undefined ? 'dyn' : this.typeOf(iterRange, scope);
    if (range !== 'list' && range !== 'map' && range !== 'dyn') {
      throw new Found(`a macro goes over a list or a map, not over a ${range}`, node);
    }
    const macros = scope.macros + 1;
    if (macros > LIMITS.macros) throw new Found(`macros lie in each other more than ${LIMITS.macros} times`, node);
    const accumulated = accuInit === undefined ? 'dyn' : this.typeOf(accuInit, scope);
    const outer = new Map([...scope.variables, [accuVar, accumulated]]);
    const inner = { ...scope, macros, variables: new Map([...outer, [iterVar, 'dyn']]) };
    if (loopCondition !== undefined) this.typeOf(loopCondition, inner);
    if (loopStep !== undefined) this.typeOf(loopStep, inner);
    return result === undefined ? 'dyn' : this.typeOf(result, { ...scope, variables: outer });
  }

  #call({ target, function: name, args }: Part<'callExpr'>, node: bigint, scope: Scope): TypeName {
    const space = target === undefined ? undefined : qualifiedName(target);
    const isQualified = space !== undefined && this.#functions.find(`${space}.${name}`) !== undefined;
    const on = target === undefined || isQualified ? undefined : this.typeOf(target, scope);
    const types = args.map((arg) => this.typeOf(arg, scope));
    const called = isQualified ? `${space}.${name}` : name;
    const result = this.#special(called, types) ?? this.#overloads(called, on, types, node);
    if (result !== undefined) return result;
    const shown = `${on === undefined ? '' : `${on}.`}(${types.join(', ')})`;
    throw new Found(`found no matching overload for '${called}' applied to '${shown}'`, node);
  }

  /** Operators that the library evaluates by itself, and those whose sides have to be alike. */
  #special(name: string, types: readonly TypeName[]): TypeName | undefined {
    const [first = 'dyn', second = 'dyn', third = 'dyn'] = types;
    switch (name) {
      case '_&&_':
      case '_||_':
        return fits(first, 'bool') && fits(second, 'bool') ? 'bool' : undefined;
      case '@not_strictly_false':
        return 'bool';
      case '_?_:_':
        return fits(first, 'bool') && areAlike(second, third) ? (second === third ? second : 'dyn') : undefined;
      case '_[_]':
        return fits(first, 'list') || fits(first, 'map') ? 'dyn' : undefined;
      case '_==_':
      case '_!=_':
        return areAlike(first, second) ? 'bool' : undefined;
      case '_<_':
      case '_<=_':
      case '_>_':
      case '_>=_':
        // The library has overloads for numbers of two types, which are for values whose types are not known.
        return areAlike(first, second) && isOrdered(first) && isOrdered(second) ? 'bool' : undefined;
      default:
        return undefined;
    }
  }

  #overloads(name: string, on: TypeName | undefined, types: readonly TypeName[], node: bigint): TypeName | undefined {
    if (OPERATORS.has(name)) return undefined;
    const group = this.#functions.find(name);
    if (group === undefined) throw new Found(`undeclared reference to '${name}'`, node);
    const results = new Set([...group].filter((func) => takes(func, on, types)).map(({ result }) => result.name));
    const [only] = results;
    return results.size > 1 ? 'dyn' : only;
  }
}

const OPERATORS: ReadonlySet<string> = new Set(
  ['&&', '||', '==', '!=', '<', '<=', '>', '>='].map((sign) => `_${sign}_`).concat('_?_:_', '_[_]'),
);

const UNORDERED: ReadonlySet<TypeName> = new Set(['list', 'map', 'null_type', 'type']);

function isOrdered(type: TypeName): boolean {
  return !UNORDERED.has(type);
}

function takes(func: CelFunc, on: TypeName | undefined, types: readonly TypeName[]): boolean {
  if ((func.target === undefined) !== (on === undefined) || func.arguments.length !== types.length) return false;
  if (func.target !== undefined && on !== undefined && !fits(on, func.target.name)) return false;
  return func.arguments.every((argument, place) => fits(types[place] ?? 'dyn', argument.name));
}

function fits(type: TypeName, wanted: TypeName): boolean {
  return type === wanted || type === 'dyn' || wanted === 'dyn';
}

/** Whether two may be compared or stand for each other. Null may be anything that is a message, as a timestamp is. */
function areAlike(a: TypeName, b: TypeName): boolean {
  return fits(a, b) || (a === 'null_type' && b.includes('.')) || (b === 'null_type' && a.includes('.'));
}

/** `base64` of `base64.decode(x)`: names with dots between them, and nothing else. */
function qualifiedName({ exprKind: kind }: Expr): string | undefined {
  if (kind.case === 'identExpr') return kind.value.name;
  if (kind.case !== 'selectExpr' || kind.value.testOnly || kind.value.operand === undefined) return undefined;
  const before = qualifiedName(kind.value.operand);
  return before === undefined ? undefined : `${before}.${kind.value.field}`;
}
