/** The API described: an OpenAPI 3.1 document made of the same operations that requests are served by. Pure. */

import { isStreamPath } from '../callers/tickets.ts';
import {
  type AnswerShape,
  type BodyShape,
  everywhere,
  type Operation,
  type OtherKey,
  onArrival,
  pathParameters,
  pathsOf,
  type Tag,
} from '../operation.ts';
import type { Option } from '../options.ts';
import { answers } from '../problem.ts';
import { type AnswerHeader, answerHeaders, type HeaderShape, requestHeaders, trailers } from './schemas/headers.ts';
import { meanings, type ProblemCode, problemSchema } from './schemas/problem.ts';
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

/** A body. */
export interface MediaType {
  readonly schema: JsonSchema;
  readonly example?: unknown;
  /** What each object of a stream is, as OpenAPI 3.2 has `itemSchema`. */
  readonly 'x-item-schema'?: JsonSchema;
}

/** What comes back with one status. */
export interface ResponseObject {
  readonly description: string;
  readonly headers: Readonly<Record<string, Reference>>;
  readonly content?: Readonly<Record<string, MediaType>>;
  readonly 'x-trailers'?: Readonly<Record<string, HeaderObject>>;
}

/** One path with one method. */
export interface OperationObject {
  readonly operationId: string;
  readonly tags: readonly [Tag];
  readonly summary: string;
  readonly description: string;
  readonly parameters: readonly (Parameter | Reference)[];
  readonly requestBody?: { readonly required: true; readonly content: Readonly<Record<string, MediaType>> };
  readonly responses: Readonly<Record<string, ResponseObject | Reference>>;
  /** Where it differs from the document's own. */
  readonly security?: OpenApiDocument['security'];
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
    readonly responses: Readonly<Record<string, ResponseObject>>;
    readonly headers: Readonly<Record<string, HeaderObject>>;
    readonly securitySchemes: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
}

/** What a parameter or a response is, `components` being those of its kind. Throws where a reference leads nowhere. */
export function resolved<T extends object>(it: T | Reference, components: Readonly<Record<string, T>>): T {
  if (!('$ref' in it)) return it;
  const found = components[it.$ref.split('/').at(-1) ?? ''];
  if (found === undefined) throw new Error(`nothing is at ${it.$ref}`);
  return found;
}

const tags: Readonly<Record<Tag, string>> = {
  status: 'How a run stands, in four keys or in full',
  logs: 'The log of a run as one stream',
  runs: 'Lists of runs, and all there is to know about one',
  taskruns: 'TaskRuns, with or without a run around them',
  triggers: 'What starts runs by itself, what it waits for, and what it has started',
  hooks: 'Where Flux and Git hosts tell what happened',
  callers: 'Whoever asks',
  gateway: 'The gateway itself',
};

const ABOUT = [
  'Status and logs of Tekton runs, and the PipelineTriggers that start them, straight from a Kubernetes API.',
  'A path without a namespace means the default one. What is served with GET answers HEAD too. An option that is unknown, malformed or given twice is answered 400, and the sentence names it. Every error is JSON with `error`, `code` and `requestId`; the last is in the header `X-Request-Id` of every answer, and a request may bring its own.',
  'What is refused before it is a request (400, 408, 431) has no `X-Request-Id`. Only deliveries to hooks have a body.',
].join('\n\n');

const hookKeys: Readonly<Record<OtherKey, Readonly<Record<string, unknown>>>> = {
  signature: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Signature',
    description: '`sha256=<hex>`: the HMAC of the body, byte for byte; `sha384` and `sha512` are taken as well',
  },
  bearer: { type: 'http', scheme: 'bearer', description: 'The token that the Secret of the hook has' },
  certificate: { type: 'mutualTLS', description: 'A client certificate with a name that the Secret of the hook has' },
};

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
  const components = new Components();
  const paths: Record<string, Record<string, OperationObject>> = {};
  const ids = new Set<string>();
  for (const operation of operations) {
    for (const path of pathsOf(operation)) {
      const described = operationObject(operation, path, components);
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
      ...components.all(),
      headers: mapValues(answerHeaders, headerObject),
      securitySchemes: {
        basic: { type: 'http', scheme: 'basic', description: 'A name and a password that rungate knows' },
        ticket: {
          type: 'apiKey',
          in: 'query',
          name: 'ticket',
          description: 'What `POST /tickets` gives out, for streams',
        },
        ...(inUse.includes('hooks') ? hookKeys : {}),
      },
    },
  };
}

function operationObject(operation: Operation, path: string, components: Components): OperationObject {
  const { id, tag, summary, description, options, headers = [], body, open = false, openedBy, shortPath } = operation;
  const isShort = path === shortPath;
  // What two operations share stands once, below the id of the one that it was written for.
  const shared = (parameter: Parameter) =>
    shortPath === undefined ? parameter : components.parameter(`${id}.${parameter.name}`, parameter);
  return {
    operationId: isShort ? `${id}InDefaultNamespace` : id,
    tags: [tag],
    summary: isShort ? `${summary}, in the default namespace` : summary,
    description,
    parameters: [
      ...segmentsOf(path).map((name) => components.parameter(name, segmentParameter(name))),
      ...Object.entries(options).map(([name, option]) => shared(optionParameter(name, option))),
      ...(['X-Request-Id', ...headers] as const).map((name) =>
        components.parameter(name, headerParameter(name, requestHeaders[name])),
      ),
    ],
    ...(body === undefined ? {} : { requestBody: { required: true, content: contentOf(body, components) } }),
    responses: responsesOf(operation, components),
    ...(open ? { security: [] } : {}),
    ...(openedBy === undefined ? {} : { security: openedBy.map((key) => (key === 'none' ? {} : { [key]: [] })) }),
    ...(isStreamPath(path.replace(/:\w+/g, 'a')) ? { security: [{ basic: [] }, { ticket: [] }] } : {}),
    ...(isShort ? { 'x-short-of': id } : {}),
  };
}

function segmentParameter(name: string): Parameter {
  const described = pathParameters[name];
  if (described === undefined) throw new Error(`nothing says what :${name} may be`);
  const { kind, purpose } = described;
  return {
    name,
    in: 'path',
    required: true,
    description: purpose,
    schema: { ...kind.schema, description: kind.allowed },
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
function responsesOf(operation: Operation, components: Components): OperationObject['responses'] {
  const { answers: own, problems, problem, open = false } = operation;
  const codes = [...new Set([...onArrival, ...(open ? [] : everywhere), ...problems])];
  const statuses = [...new Set([...Object.keys(own), ...codes.map((code) => String(answers[code].status))])];
  const responses = statuses.sort().map((status) => {
    const shape = own[Number(status)];
    const here = codes.filter((code) => String(answers[code].status) === status);
    const response = responseObject({ shape, codes: here, problem }, components);
    const isCommon = shape === undefined && problem === undefined;
    return [status, isCommon ? components.response(here.join('-or-'), response) : response] as const;
  });
  return Object.fromEntries(responses);
}

function contentOf(bodies: Readonly<Record<string, BodyShape>>, components: Components): Record<string, MediaType> {
  return mapValues(bodies, ({ schema, item, ...rest }) => ({
    schema: components.schema(schema),
    ...(item === undefined ? {} : { 'x-item-schema': components.schema(item) }),
    ...rest,
  }));
}

function responseObject(
  {
    shape,
    codes,
    problem = problemSchema,
  }: {
    readonly shape: AnswerShape | undefined;
    readonly codes: readonly ProblemCode[];
    readonly problem: JsonSchema | undefined;
  },
  components: Components,
): ResponseObject {
  const content = contentOf(shape?.content ?? {}, components);
  if (codes.length > 0) {
    const told = components.schema(problem);
    const json = content['application/json'];
    content['application/json'] =
      json === undefined ? { schema: told } : { ...json, schema: { anyOf: [json.schema, told] } };
  }
  const named = ['X-Request-Id', ...(shape?.headers ?? []), ...codes.flatMap(headersOfProblem)];
  const told = [shape?.description, ...codes.map((code) => `\`${code}\`: ${meanings[code].when}`)];
  return {
    description: told.filter((text) => text !== undefined).join('\n'),
    headers: Object.fromEntries(named.map((name) => [name, { $ref: `#/components/headers/${name}` }])),
    ...(Object.keys(content).length === 0 ? {} : { content }),
    ...(shape?.trailers === undefined
      ? {}
      : { 'x-trailers': Object.fromEntries(shape.trailers.map((name) => [name, headerObject(trailers[name])])) }),
  };
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
  return [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => name);
}

/** What is described once and referred to from everywhere, by its name. */
class Components {
  readonly #schemas = new Map<string, { readonly source: JsonSchema; readonly described: JsonSchema }>();
  readonly #parameters = new Map<string, Parameter>();
  readonly #responses = new Map<string, ResponseObject>();

  parameter(name: string, parameter: Parameter): Reference {
    this.#parameters.set(name, parameter);
    return { $ref: `#/components/parameters/${name}` };
  }

  response(name: string, response: ResponseObject): Reference {
    this.#responses.set(name, response);
    return { $ref: `#/components/responses/${name}` };
  }

  /** The schema with those that have titles, itself included, replaced by references. */
  schema(schema: JsonSchema): JsonSchema {
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

  all(): Pick<OpenApiDocument['components'], 'schemas' | 'parameters' | 'responses'> {
    return {
      schemas: mapValues(inOrder(this.#schemas), ({ described }) => described),
      parameters: inOrder(this.#parameters),
      responses: inOrder(this.#responses),
    };
  }

  /** Goes where schemas stand in a schema, and nowhere else: `examples` and `const` are data. */
  #within(schema: JsonSchema): JsonSchema {
    const entries = Object.entries(schema).map(([word, value]) => {
      if (['items', 'additionalProperties', 'not', 'contains', 'contentSchema'].includes(word) && isSchema(value)) {
        return [word, this.schema(value)];
      }
      if (['properties', 'patternProperties', '$defs'].includes(word) && isSchema(value)) {
        return [word, mapValues(value, (each) => (isSchema(each) ? this.schema(each) : each))];
      }
      if (['anyOf', 'oneOf', 'allOf', 'prefixItems'].includes(word) && Array.isArray(value)) {
        return [word, value.map((each: JsonSchema) => this.schema(each))];
      }
      return [word, value];
    });
    return Object.fromEntries(entries);
  }
}

function inOrder<V>(components: ReadonlyMap<string, V>): Record<string, V> {
  return Object.fromEntries([...components].sort(([one], [other]) => (one < other ? -1 : 1)));
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function mapValues<V, W>(record: Readonly<Record<string, V>>, change: (value: V) => W): Record<string, W> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}
