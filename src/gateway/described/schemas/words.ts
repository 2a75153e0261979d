/** A schema in words, for whoever reads documentation. */
import type { JsonSchema } from './schema.ts';

/** What a value of `schema` may be, in Markdown: `` `true`, `false` `` or "a whole number from 0 to 300". */
export function schemaInWords(schema: JsonSchema): string {
  const { type, enum: words, const: only, description, minimum, maximum, items, format, pattern } = schema;
  if (Array.isArray(words)) return words.map((word) => `\`${String(word)}\``).join(', ');
  if (only !== undefined) return `\`${String(only)}\``;
  if (type === 'boolean') return '`true`, `false`';
  if (type === 'array' && isSchema(items) && Array.isArray(items.enum)) {
    return `${schemaInWords(items)}; several are separated by commas, or given one by one`;
  }
  if (typeof description === 'string') return description;
  if (type === 'integer' || type === 'number') {
    const kind = type === 'integer' ? 'whole number' : 'number';
    if (minimum !== undefined && maximum !== undefined) return `${kind} from ${minimum} to ${maximum}`;
    return minimum === undefined ? kind : `${kind} from ${minimum}`;
  }
  if (typeof format === 'string') return format;
  if (typeof pattern === 'string') return `\`${pattern}\``;
  return typeof type === 'string' ? type : Array.isArray(type) ? type.join(' or ') : 'anything';
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null;
}
