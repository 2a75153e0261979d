/** How the server, written in Go, words values in the messages that tell what is wrong with a patch. */
import type { Json } from '../object.ts';

/** The JSON type in `json: cannot unmarshal <type> into ...`. */
export function goType(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** The Go type a decoded value has, as `%T` prints it. */
export function goKind(value: Json): string {
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return '[]interface {}';
  switch (typeof value) {
    case 'object':
      return 'map[string]interface {}';
    case 'number':
      return Number.isInteger(value) ? 'int64' : 'float64';
    case 'boolean':
      return 'bool';
    default:
      return 'string';
  }
}

/** A value as `%v` prints it: `map[image:nginx name:web]`. */
export function goText(value: Json | undefined): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (typeof value !== 'object') return String(value);
  const fields = Object.keys(value).sort();
  return `map[${fields.map((name) => `${name}:${goText(value[name])}`).join(' ')}]`;
}

/** A value as `%#v` prints it: `map[string]interface {}{"name":"web"}`. */
export function goSyntax(value: Json | undefined): string {
  if (value === null || value === undefined) return 'interface {}(nil)';
  if (typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`;
  const fields = Object.keys(value).sort();
  return `map[string]interface {}{${fields.map((name) => `${JSON.stringify(name)}:${goSyntax(value[name])}`).join(', ')}}`;
}

/** JSON as the server writes it: fields by name, and what could end a script element escaped. */
export function goJson(value: Json): string {
  const text = JSON.stringify(inOrder(value));
  if (!/[<>&\u2028\u2029]/.test(text)) return text;
  return text.replace(/[<>&\u2028\u2029]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function inOrder(value: Json): Json {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(inOrder);
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, value[name] === undefined ? undefined : inOrder(value[name])]));
}
