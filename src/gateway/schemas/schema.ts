/** What the schemas of this room are written in. */

/**
 * JSON Schema (draft 2020-12). One that has a `title` becomes a component of that name in the OpenAPI document, wherever
 * it stands, and is referred to from there; `{ $ref: '#/components/schemas/<title>' }` refers to it before that.
 */
export type JsonSchema = Readonly<Record<string, unknown>>;
