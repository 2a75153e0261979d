/** The API described: an OpenAPI 3.1 document made of the same operations that requests are served by. Pure. */

import { everywhere, type Operation, pathParameters, pathsOf, type Tag } from './operation.ts';
import type { Option } from './options.ts';
import { answers, type ProblemCode } from './problem.ts';
import { type AnswerHeader, answerHeaders, type HeaderShape, requestHeaders, trailers } from './schemas/headers.ts';
import { meanings, problemSchema } from './schemas/problem.ts';
import type { JsonSchema } from './schemas/schema.ts';

/** A reference to a component. */
export interface Reference {
  readonly $ref: string;
}

/** What a caller may send beside the path and the method. */
export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly description: string;
  readonly schema: JsonSchema;
  readonly example?: string;
}

/** A header of an answer. Trailers are written in the same way below `x-trailers`, for which OpenAPI has no place. */
export interface HeaderObject {
  readonly description: string;
  readonly schema: JsonSchema;
  readonly example?: string;
}

/** What comes back with one status. */
export interface ResponseObject {
  readonly description: string;
  readonly headers: Readonly<Record<string, Reference>>;
  readonly content?: Readonly<Record<string, { readonly schema: JsonSchema; readonly example?: unknown }>>;
  readonly 'x-trailers'?: Readonly<Record<string, HeaderObject>>;
}

/** One path with one method. */
export interface OperationObject {
  readonly operationId: string;
  readonly tags: readonly [Tag];
  readonly summary: string;
  readonly description: string;
  readonly parameters: readonly (Parameter | Reference)[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>>;
  };
  readonly responses: Readonly<Record<string, ResponseObject>>;
  readonly security?: readonly [];
  /** The operation of which this is the one in the default namespace. */
  readonly 'x-short-of'?: string;
}

/** What `/openapi.json` serves. https://spec.openapis.org/oas/v3.1.1.html */
export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly info: Readonly<Record<string, unknown>> & { readonly title: string; readonly version: string };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: Tag; readonly description: string }[];
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly parameters: Readonly<Record<string, Parameter>>;
    readonly headers: Readonly<Record<string, HeaderObject>>;
    readonly securitySchemes: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
}

const tags: Readonly<Record<Tag, string>> = {
  status: 'How a run stands, in four keys or in full',
  logs: 'The log of a run as one stream',
  runs: 'Lists of runs, and all there is to know about one',
  taskruns: 'TaskRuns, with or without a run around them',
  callers: 'Whoever asks',
  gateway: 'The gateway itself',
};

const ABOUT = [
  'Status and logs of Tekton runs, straight from a Kubernetes API.',
  'A path without a namespace means the default one. What is served with GET answers HEAD too. An option that is unknown, malformed or given twice is answered 400, and the sentence names it. Every error is JSON with `error`, `code` and `requestId`.',
  'A request whose head is too large, too slow or no HTTP is answered 431, 408 or 400 before it has a path.',
].join('\n\n');

/**
 * Describes `operations`. Throws, as a mistake of ours, where two have one path and method or one id, where two different
 * schemas have one title, or where a path has a parameter that nobody has described.
 */
export function openApiDocument({
  operations,
  version,
}: {
  readonly operations: readonly Operation[];
  readonly version: string;
}): OpenApiDocument {
  const schemas = new Components();
  const paths: Record<string, Record<string, OperationObject>> = {};
  const ids = new Set<string>();
  for (const operation of operations) {
    for (const path of pathsOf(operation)) {
      const described = operationObject(operation, path, schemas);
      if (ids.has(described.operationId)) throw new Error(`two operations are ${described.operationId}`);
      ids.add(described.operationId);
      paths[templateOf(path)] ??= {};
      const item = paths[templateOf(path)] ?? {};
      const method = operation.method ?? 'get';
      if (item[method] !== undefined) throw new Error(`two operations serve ${method} ${path}`);
      item[method] = described;
    }
  }
  const inUse = operations.map(({ tag }) => tag);
  return {
    openapi: '3.1.0',
    info: {
      title: 'rungate',
      version,
      summary: 'Tekton runs over plain HTTP',
      description: ABOUT,
      license: { name: 'Apache License 2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: './' }],
    tags: (Object.keys(tags) as Tag[])
      .filter((name) => inUse.includes(name))
      .map((name) => ({ name, description: tags[name] })),
    security: [{ basic: [] }],
    paths,
    components: {
      schemas: schemas.all(),
      parameters: Object.fromEntries(
        Object.entries(pathParameters).map(([name, { kind, purpose }]) => [
          name,
          {
            name,
            in: 'path',
            required: true,
            description: purpose,
            schema: { ...kind.schema, description: kind.allowed },
          },
        ]),
      ),
      headers: mapValues(answerHeaders, headerObject),
      securitySchemes: {
        basic: { type: 'http', scheme: 'basic', description: 'A name and a password that rungate knows' },
      },
    },
  };
}

function operationObject(operation: Operation, path: string, schemas: Components): OperationObject {
  const { id, tag, summary, description, options, headers = [], body, open = false, shortPath } = operation;
  const isShort = path === shortPath;
  return {
    operationId: isShort ? `${id}InDefaultNamespace` : id,
    tags: [tag],
    summary: isShort ? `${summary}, in the default namespace` : summary,
    description,
    parameters: [
      ...segmentsOf(path).map((name) => ({ $ref: `#/components/parameters/${name}` })),
      ...Object.entries(options).map(([name, option]) => optionParameter(name, option)),
      ...(['X-Request-Id', ...headers] as const).map((name) => headerParameter(name, requestHeaders[name])),
    ],
    ...(body === undefined
      ? {}
      : { requestBody: { required: false, content: { 'application/json': { schema: schemas.refer(body) } } } }),
    responses: responsesOf(operation, schemas),
    ...(open ? { security: [] as const } : {}),
    ...(isShort ? { 'x-short-of': id } : {}),
  };
}

function optionParameter(name: string, { kind, fallback, purpose }: Option<unknown>): Parameter {
  const hasDefault = ['string', 'number', 'boolean'].includes(typeof fallback);
  // Where text and value differ (durations are read to milliseconds) the default would be none that can be written.
  const standard = hasDefault && kind.read(String(fallback)) === fallback ? { default: fallback } : {};
  return {
    name,
    in: 'query',
    required: false,
    description: purpose,
    schema: { ...kind.schema, description: kind.allowed, ...standard },
  };
}

function headerParameter(name: string, { purpose, schema, example }: HeaderShape): Parameter {
  return {
    name,
    in: 'header',
    required: false,
    description: purpose,
    schema,
    ...(example === undefined ? {} : { example }),
  };
}

function headerObject({ purpose, schema, example }: HeaderShape): HeaderObject {
  return { description: purpose, schema, ...(example === undefined ? {} : { example }) };
}

/** The operation's own answers, and its problems; where both have a status, either body may come. */
function responsesOf(operation: Operation, schemas: Components): Readonly<Record<string, ResponseObject>> {
  const { answers: own, problems, open = false } = operation;
  const codes = [...new Set([...(open ? [] : everywhere), ...problems])];
  const statuses = [...new Set([...Object.keys(own), ...codes.map((code) => String(answers[code].status))])];
  const responses = statuses.sort().map((status): [string, ResponseObject] => {
    const shape = own[Number(status)];
    const here = codes.filter((code) => String(answers[code].status) === status);
    const problem = schemas.refer(problemSchema);
    const content = mapValues(shape?.content ?? {}, ({ schema, ...rest }) => ({
      schema: schemas.refer(schema),
      ...rest,
    }));
    if (here.length > 0) {
      const json = content['application/json'];
      content['application/json'] =
        json === undefined ? { schema: problem } : { ...json, schema: { anyOf: [json.schema, problem] } };
    }
    const named = ['X-Request-Id', ...(shape?.headers ?? []), ...here.flatMap(headersOfProblem)];
    const told = [shape?.description, ...here.map((code) => `\`${code}\`: ${meanings[code].when}`)];
    return [
      status,
      {
        description: told.filter((text) => text !== undefined).join('\n'),
        headers: Object.fromEntries(named.map((name) => [name, { $ref: `#/components/headers/${name}` }])),
        ...(Object.keys(content).length === 0 ? {} : { content }),
        ...(shape?.trailers === undefined
          ? {}
          : { 'x-trailers': Object.fromEntries(shape.trailers.map((name) => [name, headerObject(trailers[name])])) }),
      },
    ];
  });
  return Object.fromEntries(responses);
}

function headersOfProblem(code: ProblemCode): readonly AnswerHeader[] {
  const { retryAfterMs, headers = {} } = answers[code];
  const more = Object.keys(headers).filter((name): name is AnswerHeader => name in answerHeaders);
  return retryAfterMs === undefined ? more : ['Retry-After', ...more];
}

/** `/status/:name` as OpenAPI writes it: `/status/{name}`. */
function templateOf(path: string): string {
  return path.replace(/:(\w+)/g, '{$1}');
}

function segmentsOf(path: string): string[] {
  const names = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => name);
  const unknown = names.find((name) => pathParameters[name] === undefined);
  if (unknown !== undefined) throw new Error(`nothing says what :${unknown} of ${path} may be`);
  return names;
}

/** Schemas that have a title, by it. */
class Components {
  readonly #schemas = new Map<string, { readonly source: JsonSchema; readonly described: JsonSchema }>();

  /** The schema with those that have titles, itself included, replaced by references. */
  refer(schema: JsonSchema): JsonSchema {
    const { title } = schema;
    if (typeof title !== 'string') return this.#within(schema);
    const known = this.#schemas.get(title);
    if (known === undefined) {
      this.#schemas.set(title, { source: schema, described: {} }); // before its parts, which may refer to it
      this.#schemas.set(title, { source: schema, described: this.#within(schema) });
    } else if (known.source !== schema && JSON.stringify(known.source) !== JSON.stringify(schema)) {
      throw new Error(`two schemas are called ${title}`);
    }
    return { $ref: `#/components/schemas/${title}` };
  }

  all(): Readonly<Record<string, JsonSchema>> {
    return Object.fromEntries(
      [...this.#schemas]
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .map(([title, { described }]) => [title, described]),
    );
  }

  /** Goes where schemas stand in a schema, and nowhere else: `examples` and `const` are data. */
  #within(schema: JsonSchema): JsonSchema {
    const entries = Object.entries(schema).map(([word, value]) => {
      if (['items', 'additionalProperties', 'not', 'contains'].includes(word) && isSchema(value)) {
        return [word, this.refer(value)];
      }
      if (['properties', 'patternProperties', '$defs'].includes(word) && isSchema(value)) {
        return [word, mapValues(value, (each) => (isSchema(each) ? this.refer(each) : each))];
      }
      if (['anyOf', 'oneOf', 'allOf', 'prefixItems'].includes(word) && Array.isArray(value)) {
        return [word, value.map((each: JsonSchema) => this.refer(each))];
      }
      return [word, value];
    });
    return Object.fromEntries(entries);
  }
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function mapValues<V, W>(record: Readonly<Record<string, V>>, change: (value: V) => W): Record<string, W> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}
