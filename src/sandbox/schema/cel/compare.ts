/** When values are equal, and which comes first. */
import {
  Duration,
  EvaluationError,
  keyText,
  ListValue,
  MapValue,
  ObjectValue,
  OpaqueValue,
  OptionalValue,
  Timestamp,
  TypeValue,
  Uint,
  type Value,
} from './values.ts';

/** Equality: numbers by their number whatever their type, sets whatever their order, values of different types never. */
export function equals(one: Value, other: Value): boolean {
  if (one === other) return true;
  const [left, right] = [numberIn(one), numberIn(other)];
  if (left !== undefined && right !== undefined) return !(left < right || left > right);
  if (one instanceof ListValue && other instanceof ListValue) return equalLists(one, other);
  if (one instanceof MapValue && other instanceof MapValue) return equalMaps(one, other);
  if (one instanceof ObjectValue && other instanceof ObjectValue) return equalObjects(one, other);
  if (one instanceof OptionalValue && other instanceof OptionalValue) {
    if (one.value === undefined || other.value === undefined) return one.value === other.value;
    return equals(one.value, other.value);
  }
  if (one instanceof Uint8Array && other instanceof Uint8Array) return Buffer.compare(one, other) === 0;
  if (one instanceof TypeValue && other instanceof TypeValue) return one.name === other.name;
  if (one instanceof OpaqueValue && other instanceof OpaqueValue)
    return one.type === other.type && one.text === other.text;
  const isSameClock =
    (one instanceof Timestamp && other instanceof Timestamp) || (one instanceof Duration && other instanceof Duration);
  return isSameClock && one.nanoseconds === other.nanoseconds;
}

/** Below zero when `one` comes first. Throws an EvaluationError for values that have no order. */
export function compare(one: Value, other: Value): number {
  const [left, right] = [numberIn(one), numberIn(other)];
  if (left !== undefined && right !== undefined) return left < right ? -1 : Number(left > right);
  if (typeof one === 'string' && typeof other === 'string') {
    return Buffer.compare(Buffer.from(one), Buffer.from(other));
  }
  if (typeof one === 'boolean' && typeof other === 'boolean') return Number(one) - Number(other);
  if (one instanceof Uint8Array && other instanceof Uint8Array) return Buffer.compare(one, other);
  const isSameClock =
    (one instanceof Timestamp && other instanceof Timestamp) || (one instanceof Duration && other instanceof Duration);
  if (isSameClock) return one.nanoseconds < other.nanoseconds ? -1 : Number(one.nanoseconds > other.nanoseconds);
  throw new EvaluationError('no such overload');
}

/** The list of both, as the first one's kind has it: a set takes what is new, a map by key replaces what it has. */
export function joined(one: ListValue, other: ListValue): ListValue {
  const { identity } = one;
  if (identity === undefined) return new ListValue([...one.items, ...other.items]);
  if (identity === 'set') {
    const fresh = other.items.filter((item) => !one.items.some((known) => equals(known, item)));
    return new ListValue([...one.items, ...fresh], identity);
  }
  const [mine, theirs] = [byIdentity(one.items, identity), byIdentity(other.items, identity)];
  return new ListValue([...new Map([...mine, ...theirs]).values()], identity);
}

function numberIn(value: Value): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  return value instanceof Uint ? value.value : undefined;
}

function equalLists(one: ListValue, other: ListValue): boolean {
  if (one.items.length !== other.items.length) return false;
  const identity = one.identity ?? other.identity;
  if (identity === undefined) {
    return one.items.every((item, at) => equals(item, other.items[at] ?? null));
  }
  if (identity === 'set') return one.items.every((item) => other.items.some((known) => equals(known, item)));
  const theirs = byIdentity(other.items, identity);
  return [...byIdentity(one.items, identity)].every(([key, item]) => equals(item, theirs.get(key) ?? null));
}

function byIdentity(items: readonly Value[], keys: readonly string[]): Map<string, Value> {
  return new Map(
    items.map((item) => [
      keys.map((key) => (item instanceof ObjectValue && item.has(key) ? keyText(item.get(key)) : '')).join(),
      item,
    ]),
  );
}

function equalMaps(one: MapValue, other: MapValue): boolean {
  if (one.entries.size !== other.entries.size) return false;
  return [...one.entries].every(([key, [, value]]) => {
    const found = other.entries.get(key);
    return found !== undefined && equals(value, found[1]);
  });
}

function equalObjects(one: ObjectValue, other: ObjectValue): boolean {
  const names = [...one.names()];
  if (names.length !== [...other.names()].length) return false;
  return names.every((name) => other.has(name) && equals(one.get(name), other.get(name)));
}
