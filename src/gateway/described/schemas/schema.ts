/** What the schemas of this room are written in. */

/**
 * JSON Schema (draft 2020-12). One that has a `title` becomes a component of that name in the OpenAPI document, wherever
 * it stands, and is referred to from there; `{ $ref: '#/components/schemas/<title>' }` refers to it before that.
 */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * An event of `text/event-stream`, of one of these kinds, whose data are JSON. A stream of events is described by its
 * events, as OpenAPI 3.2 has it. https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function serverSentEvent(data: JsonSchema): JsonSchema {
  return {
    type: 'object',
    properties: {
      event: { type: 'string', description: 'What kind it is' },
      data: { type: 'string', contentMediaType: 'application/json', contentSchema: data },
      id: { type: 'string', description: 'For `Last-Event-ID`' },
      retry: { type: 'integer', description: 'Milliseconds after which to come back' },
    },
  };
}
