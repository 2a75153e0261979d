/** How the API server writes values and paths into its messages: as Go's `%q` and `%v` do. */
import type { Json } from '../object.ts';

/** The path of a field below `path`; '' is the object itself. */
export function fieldBelow(path: string, field: string): string {
  return path === '' ? field : `${path}.${field}`;
}

/** A string as Go's `%q` has it: `"a\n"`. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(/\\u00([01][0-9a-f])|\x7f/g, (escaped, byte: string | undefined) => {
    const code = byte === undefined ? escaped.charCodeAt(0) : Number.parseInt(byte, 16);
    if (code === 0x07) return '\\a';
    if (code === 0x0b) return '\\v';
    return `\\x${code.toString(16).padStart(2, '0')}`;
  });
}

/** A value as an "Invalid value" shows it: strings quoted, numbers as they are, the rest as JSON with sorted keys. */
export function shown(value: Json): string {
  return typeof value === 'string' ? quoted(value) : sortedJson(value);
}

/** JSON as Go marshals a map: keys sorted, `<`, `>` and `&` escaped. */
export function sortedJson(value: Json): string {
  const escaped = { '<': '\\u003c', '>': '\\u003e', '&': '\\u0026' } as const;
  return JSON.stringify(inOrder(value)).replace(/[<>&]/g, (character) => escaped[character as keyof typeof escaped]);
}

function inOrder(value: Json): Json {
  if (Array.isArray(value)) return value.map(inOrder);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, inOrder(value[key] ?? null)]),
  );
}

/** The JSON type of a value as schemas name it. */
export function typeOf(value: Json): 'null' | 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean' {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  switch (typeof value) {
    case 'number':
      return Number.isInteger(value) ? 'integer' : 'number';
    case 'string':
      return 'string';
    case 'boolean':
      return 'boolean';
    default:
      return 'object';
  }
}
