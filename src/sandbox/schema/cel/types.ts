/** The types of CEL as rules meet them. https://github.com/google/cel-spec/blob/master/doc/langdef.md#values */

/** A type. `object` is a schema's object, whose fields are known; `param` is a type that a call decides. */
export type Type =
  | { readonly of: 'scalar'; readonly name: string }
  | { readonly of: 'list'; readonly items: Type }
  | { readonly of: 'map'; readonly key: Type; readonly value: Type }
  | { readonly of: 'optional'; readonly value: Type }
  | { readonly of: 'object'; readonly fields: ReadonlyMap<string, Type> }
  | { readonly of: 'param'; readonly name: string };

const scalars = new Map<string, Type>();

/** A type without parameters, by its name. */
export function scalar(name: string): Type {
  const known = scalars.get(name);
  if (known !== undefined) return known;
  const type: Type = { of: 'scalar', name };
  scalars.set(name, type);
  return type;
}

/** Anything: it goes wherever another type is wanted. */
export const dyn = scalar('dyn');
export const bool = scalar('bool');
export const int = scalar('int');
export const uint = scalar('uint');
export const double = scalar('double');
export const string = scalar('string');
export const bytes = scalar('bytes');
export const nothing = scalar('null');
export const timestamp = scalar('timestamp');
export const duration = scalar('duration');

/** What a function takes and gives. */
export interface Signature {
  readonly member: boolean;
  /** A member function's target comes first. */
  readonly args: readonly Type[];
  readonly result: Type;
}

/** Reads a signature: `(string) int` of a function, `string.(int) string` of a member function; a capital is a `param`. */
export function readSignature(signature: string): Signature {
  const at = { rest: signature };
  const target = at.rest.startsWith('(') ? [] : [readType(at)];
  if (target.length > 0) take(at, '.');
  take(at, '(');
  const args: Type[] = [];
  while (!at.rest.startsWith(')')) {
    args.push(readType(at));
    if (at.rest.startsWith(',')) take(at, ',');
  }
  take(at, ')');
  return { member: target.length > 0, args: [...target, ...args], result: readType(at) };
}

interface Reader {
  rest: string;
}

function readType(at: Reader): Type {
  const name = /^\w+/.exec(at.rest)?.[0] ?? '';
  take(at, name);
  if (/^[A-Z]$/.test(name)) return { of: 'param', name };
  if (name !== 'list' && name !== 'map' && name !== 'optional') return scalar(name);
  take(at, '(');
  const first = readType(at);
  if (name === 'map') {
    take(at, ',');
    const value = readType(at);
    take(at, ')');
    return { of: 'map', key: first, value };
  }
  take(at, ')');
  return name === 'list' ? { of: 'list', items: first } : { of: 'optional', value: first };
}

function take(at: Reader, text: string): void {
  if (!at.rest.startsWith(text)) throw new Error(`a signature should go on with ${text}: ${at.rest}`);
  at.rest = at.rest.slice(text.length).trimStart();
}

/** What the params of a signature turned out to be. */
export type Bindings = Map<string, Type>;

/** Whether a value of type `given` may stand where `wanted` is asked for; binds the params of `wanted`. */
export function accepts(wanted: Type, given: Type, bindings: Bindings): boolean {
  if (wanted.of === 'param') {
    const bound = bindings.get(wanted.name);
    if (bound === undefined || bound === dyn) {
      if (bound === undefined) bindings.set(wanted.name, given);
      return true;
    }
    return accepts(bound, given, bindings) || (isVague(bound) && accepts(given, bound, bindings));
  }
  if (wanted === dyn || given === dyn || given.of === 'param') return true;
  switch (wanted.of) {
    case 'scalar':
      return given.of === 'scalar' && given.name === wanted.name;
    case 'list':
      return given.of === 'list' && accepts(wanted.items, given.items, bindings);
    case 'map':
      return (
        given.of === 'map' && accepts(wanted.key, given.key, bindings) && accepts(wanted.value, given.value, bindings)
      );
    case 'optional':
      return given.of === 'optional' && accepts(wanted.value, given.value, bindings);
    case 'object':
      return wanted === given;
  }
}

/** A type with its params replaced by what they turned out to be; those that did not are anything. */
export function bound(type: Type, bindings: Bindings): Type {
  switch (type.of) {
    case 'param':
      return bindings.get(type.name) ?? dyn;
    case 'list':
      return { of: 'list', items: bound(type.items, bindings) };
    case 'map':
      return { of: 'map', key: bound(type.key, bindings), value: bound(type.value, bindings) };
    case 'optional':
      return { of: 'optional', value: bound(type.value, bindings) };
    default:
      return type;
  }
}

/** The types of Kubernetes' own by their whole names. */
const fullNames: { readonly [name: string]: string } = {
  URL: 'kubernetes.URL',
  Quantity: 'kubernetes.Quantity',
  IP: 'net.IP',
  CIDR: 'net.CIDR',
};

/** A type as messages name it. */
export function nameOf(type: Type): string {
  switch (type.of) {
    case 'scalar':
      return fullNames[type.name] ?? type.name;
    case 'param':
      return type.name;
    case 'list':
      return `list(${nameOf(type.items)})`;
    case 'map':
      return `map(${nameOf(type.key)}, ${nameOf(type.value)})`;
    case 'optional':
      return `optional_type(${nameOf(type.value)})`;
    case 'object':
      return 'object';
  }
}

function isVague(type: Type): boolean {
  switch (type.of) {
    case 'list':
      return type.items === dyn || isVague(type.items);
    case 'map':
      return type.key === dyn || type.value === dyn || isVague(type.value);
    default:
      return type === dyn;
  }
}
