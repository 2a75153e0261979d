/** The HTTP API as a value made of its parts: no port, environment or signals. Tests call it; `server.ts` listens with it. */
import { IncomingMessage, type RequestListener, type ServerOptions, ServerResponse } from 'node:http';
import express, { type Express, type RequestHandler } from 'express';
import { Fault } from '../fault.ts';
import type { Readiness } from '../kube/ready.ts';
import { type ArrivalParts, arrival } from './arrival.ts';
import { type AuthParts, authenticate } from './callers/auth.ts';
import { describedApi } from './described/described.ts';
import type { Drain } from './drain.ts';
import { healthRoute, liveRoute, readyRoute } from './health.ts';
import type { HookEntrance } from './hooks/entrance.ts';
import { type Route, serveRoutes } from './operation.ts';
import { problem, unknownPath } from './problem.ts';

/** What the API is made of. */
export interface GatewayParts extends Omit<ArrivalParts, 'takesBody'>, Omit<AuthParts, 'draining'> {
  readonly readiness: () => Readiness;
  /** What is served to callers, in order; handlers ask `callerOf` and `requireRead`. */
  readonly routes: readonly (readonly Route[])[];
  /** What is served to senders of events, where hooks are served. */
  readonly hooks?: HookEntrance | undefined;
  /** Of rungate, for the documentation. */
  readonly version: string;
}

/** Builds the API. */
export function buildApp(parts: GatewayParts): Express {
  const { readiness, drain, cors, routes, hooks, log, version } = parts;
  const { app, open } = openApp(parts);
  // Before unknown paths: a stranger cannot tell which exist.
  app.use(unlessDraining(drain, cors.before(authenticate({ ...parts, draining: drain.signal }))));
  const served = [...routes.flat(), readyRoute(readiness)];
  const operations = [...served, ...open].map(({ operation }) => operation);
  const described = describedApi([...operations, ...(hooks === undefined ? [] : [hooks.operation])], version);
  serveRoutes(app, [...served, ...described]);
  app.use(unknownPath);
  app.use(problem(log));
  return app;
}

/** Builds what is served where there are hooks and no gateway: to everybody who is no sender every path but these is unknown. */
export function buildHookApp(parts: Omit<ArrivalParts, 'takesBody'> & { readonly hooks: HookEntrance }): Express {
  const { app } = openApp(parts);
  app.use(unknownPath);
  app.use(problem(parts.log));
  return app;
}

/** An app with what asks for no credentials of callers. */
function openApp(parts: Omit<ArrivalParts, 'takesBody'> & { readonly hooks?: HookEntrance | undefined }): {
  readonly app: Express;
  readonly open: readonly Route[];
} {
  const { hooks } = parts;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag'); // what may be kept, and for how long, its handler knows
  app.set('query parser', 'simple');

  // Before every path: a host can lead to a hook, whatever the path.
  app.use(hooks === undefined ? arrival(parts) : after(arrival({ ...parts, takesBody: hooks.isMeant }), hooks.handler));
  // Before draining: a process that drains is alive, and must not be restarted for it.
  const open = hooks === undefined ? [healthRoute] : [healthRoute, liveRoute];
  serveRoutes(app, open);
  return { app, open };
}

/**
 * Node's messages, born with what Express adds to them. Express sets the prototype of every request and answer that it is
 * handed, after which V8 forgets what it has learned of their shape: a quarter of the rate. On these it changes nothing.
 */
export function messagesOf(app: Express): Required<Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'>> {
  function GatewayRequest(...args: unknown[]): object {
    return Reflect.construct(IncomingMessage, args, GatewayRequest);
  }
  GatewayRequest.prototype = app.request; // Express derives it from that of IncomingMessage
  function GatewayResponse(...args: unknown[]): object {
    return Reflect.construct(ServerResponse, args, GatewayResponse);
  }
  GatewayResponse.prototype = app.response;
  // Functions that construct are classes in all that Node does with them; TypeScript cannot see that.
  return {
    IncomingMessage: GatewayRequest as unknown as typeof IncomingMessage,
    ServerResponse: GatewayResponse as unknown as typeof ServerResponse,
  };
}

/**
 * Takes scheme and host out of requests that have them in front of the path, as those for a proxy do. Servers have to take
 * these (https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2), but Express answers some by itself, before any handler, and
 * whatever reads a path would have to know of both forms.
 */
export function inOriginForm(handler: RequestListener): RequestListener {
  return (request, response) => {
    const { url = '' } = request;
    if (!url.startsWith('/') && url !== '*') request.url = pathOf(url);
    handler(request, response);
  };
}

function pathOf(absolute: string): string {
  const path = absolute.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');
  return path.startsWith('/') ? path : `/${path}`;
}

/** One handler and then another, as one layer of Express. */
function after(first: RequestHandler, second: RequestHandler): RequestHandler {
  return (request, response, next) =>
    first(request, response, (error?: unknown) => {
      if (error === undefined) return second(request, response, next);
      next(error);
    });
}

/** Around a handler instead of before it: every layer of Express costs as much as a look-up in the caches. */
function unlessDraining({ signal }: Drain, handler: RequestHandler): RequestHandler {
  return (request, response, next) => {
    if (signal.aborted) next(new Fault('draining', 'this replica is stopping; ask again'));
    else handler(request, response, next);
  };
}
