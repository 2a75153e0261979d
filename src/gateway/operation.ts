/**
 * One path of the API as a value. The option table that parses its requests also makes its parameters in the OpenAPI
 * document, so the two cannot differ; routes are such values with a handler each, and the app is made of them.
 */
import type { Request, RequestHandler, Router } from 'express';
import type { AnswerHeader, RequestHeader, Trailer } from './described/schemas/headers.ts';
import type { ProblemCode } from './described/schemas/problem.ts';
import type { JsonSchema } from './described/schemas/schema.ts';
import {
  longObjectName,
  namespaceName,
  type OptionKind,
  type OptionTable,
  objectName,
  optionReader,
} from './options.ts';
import { refuseMethod } from './problem.ts';

/** What a body of one media type is. */
export interface BodyShape {
  readonly schema: JsonSchema;
  /** Of each object, where the body is a stream of them. */
  readonly item?: JsonSchema;
  readonly example?: unknown;
}

/** What an answer of one status is. */
export interface AnswerShape {
  readonly description: string;
  /** Beside those that every answer has. */
  readonly headers?: readonly AnswerHeader[];
  readonly trailers?: readonly Trailer[];
  /** The body, by media type. None: no body. */
  readonly content?: Readonly<Record<string, BodyShape>>;
}

/** The chapters that operations are listed in. */
export type Tag = 'status' | 'logs' | 'runs' | 'taskruns' | 'triggers' | 'hooks' | 'callers' | 'gateway';

/** What senders show who are no callers. */
export type OtherKey = 'signature' | 'bearer' | 'certificate';

/** A path of the API. */
export interface Operation<T extends OptionTable = OptionTable> {
  /** Unique; clients that are made from the document have methods of this name. */
  readonly id: string;
  /** GET unless told; GET is HEAD too. */
  readonly method?: 'get' | 'post';
  /** As Express writes it: `/status/:namespace/:name`. What a segment may be is in `pathParameters`. */
  readonly path: string;
  /** The same in the default namespace: `/status/:name`. */
  readonly shortPath?: string;
  readonly tag: Tag;
  /** What it is for, in a few words without a full stop. */
  readonly summary: string;
  /** Whole sentences, in Markdown. */
  readonly description: string;
  /** Of the query. An operation that has none refuses whatever is given. */
  readonly options: T;
  /** Request headers that change the answer, beside `X-Request-Id`. */
  readonly headers?: readonly RequestHeader[];
  /** What is posted, by media type. None: no body is taken. */
  readonly body?: Readonly<Record<string, BodyShape>>;
  /** By status: everything that is not a problem, and a problem only where its body says more than others. */
  readonly answers: Readonly<Record<number, AnswerShape>>;
  /** What can go wrong here, beside `onArrival` and `everywhere`. */
  readonly problems: readonly ProblemCode[];
  /** The body of problems, where it is not that of all others. */
  readonly problem?: JsonSchema;
  /** What opens it in the place of a caller's credentials, each by itself; of `none` nothing is wanted. */
  readonly openedBy?: readonly (OtherKey | 'none')[];
  /** Served without credentials, to everyone; and whatever the query says. */
  readonly open?: true;
}

/** An operation and what answers it. */
export interface Route {
  readonly operation: Operation;
  readonly handler: RequestHandler;
}

/** What can go wrong before a request has a path. */
export const onArrival: readonly ProblemCode[] = [
  'bad-request',
  'too-slow',
  'body-too-large',
  'url-too-long',
  'headers-too-large',
];

/** What can go wrong on every path that is not open. */
export const everywhere: readonly ProblemCode[] = ['unauthenticated', 'exhausted', 'internal', 'draining'];

/** What can go wrong where one namespace is read. */
export const whereReading: readonly ProblemCode[] = ['forbidden', 'not-found', 'refused', 'unavailable', 'timeout'];

/** What may stand in the place of a segment. */
export const pathParameters: Readonly<Record<string, { readonly kind: OptionKind<string>; readonly purpose: string }>> =
  {
    namespace: { kind: namespaceName, purpose: 'A namespace that is served and open to the caller' },
    name: { kind: objectName, purpose: 'The name of the object, as Kubernetes has it' },
    trigger: { kind: longObjectName, purpose: 'The name of the PipelineTrigger' },
    hook: { kind: longObjectName, purpose: 'The name of the PipelineTrigger or EventListener' },
  };

/** As `Allow` names them. */
function methodsOf({ method = 'get' }: Operation): readonly string[] {
  return method === 'get' ? ['GET', 'HEAD'] : ['POST'];
}

/** The paths of an operation: its own, and that in the default namespace. */
export function pathsOf({ path, shortPath }: Operation): readonly string[] {
  return shortPath === undefined ? [path] : [shortPath, path];
}

/** Puts routes on an app, in order. A method that a path does not have is answered 405 with `Allow`. */
export function serveRoutes(routing: Pick<Router, 'route'>, routes: readonly Route[]): void {
  const allowed = new Map<string, string[]>();
  for (const { operation, handler } of routes) {
    const { method = 'get', open = false, options } = operation;
    const takesNone = !open && Object.keys(options).length === 0;
    for (const path of pathsOf(operation)) {
      routing.route(path)[method](takesNone ? withoutOptions(handler) : handler);
      allowed.set(path, [...(allowed.get(path) ?? []), ...methodsOf(operation)]);
    }
  }
  for (const [path, methods] of allowed) routing.route(path).all(refuseMethod(methods));
}

const readNone = optionReader({});

function withoutOptions(handler: RequestHandler): RequestHandler {
  return (request: Request, response, next) => {
    readNone(request.url);
    return handler(request, response, next);
  };
}
