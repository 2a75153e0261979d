/** The first and the last moment of every request: its id and constant headers; its access line, metrics and end. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Request, RequestHandler, Response } from 'express';
import helmet from 'helmet';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { clientAddress, type Networks, plainAddress } from './address.ts';
import { auditDenied, auditStreamEnd } from './callers/audit.ts';
import type { Cors } from './callers/cors.ts';
import type { ProblemCode } from './described/schemas/problem.ts';
import type { Drain } from './drain.ts';
import { notesOf, type RequestNotes } from './notes.ts';
import { sendProblem } from './problem.ts';

/** Ids of others that we take over: what can stand in a log line, a header and a URL without harm. */
const SANE_REQUEST_ID = /^[A-Za-z0-9._~:+/=-]{1,128}$/;

/** What the first moment of a request is made of. */
export interface ArrivalParts {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly drain: Drain;
  readonly cors: Cors;
  /** Proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: Networks;
  readonly maxUrlBytes: number;
  /**
   * Answers only who asks for this machine by a name of its own. Where everybody knows the password, the browser of whoever
   * runs us must not be led here under the name of somebody else's page (DNS rebinding).
   */
  readonly onlyLoopbackNames?: boolean;
  /** Whether a request may have a body, whatever its length: whoever handles it looks at that. */
  readonly takesBody?: (request: Request) => boolean;
  /** Where objects are whose path names no namespace, for the audit. */
  readonly defaultNamespace: string;
}

/** As `Host` has it. https://www.rfc-editor.org/rfc/rfc6761#section-6.3 */
const LOOPBACK_NAME = /^(([a-z0-9-]+\.)*localhost|127(\.\d{1,3}){3}|\[::1\])(:\d*)?$/i;

/** What is known of a connection. */
interface Connection {
  /** The other end. */
  readonly remote: string;
  /** To the request that came last. */
  latest: Response | undefined;
  /** Requests that wait until those in front are answered. */
  standing: number;
}

/** A body up to here is read over: some clients send one with everything. */
const LONGEST_BODY = 16 * 1024;
/** Requests that one connection may send ahead of their answers. */
const MOST_AHEAD = 64;

/**
 * Must come before every other handler. Gives the request its notes and the answer its constant headers, counts it as
 * open for `drain`, and writes its access line when the answer has ended or the client has gone. Refuses what is too long.
 */
export function arrival(parts: ArrivalParts): RequestHandler {
  const { log, metrics, drain, cors, trustedProxies, defaultNamespace } = parts;
  const constant = [...constantHeaders()].flat();
  /** What every answer carries, by what it carries for CORS: there are no more than there are origins. */
  const headersOf = new Map<readonly string[], readonly string[]>();
  const headersFor = (request: Request): readonly string[] => {
    const forOrigin = cors.headersFor(request.headers.origin);
    if (forOrigin.length === 0) return constant;
    const known = headersOf.get(forOrigin);
    if (known !== undefined) return known;
    const headers = [...constant, ...forOrigin];
    headersOf.set(forOrigin, headers);
    return headers;
  };
  /** Many requests come by one connection. */
  const connections = new WeakMap<Socket, Connection>();
  const connectionOf = (socket: Socket): Connection => {
    const known = connections.get(socket);
    if (known !== undefined) return known;
    const made = { remote: plainAddress(socket.remoteAddress), latest: undefined, standing: 0 };
    connections.set(socket, made);
    return made;
  };
  const clientOf = ({ headers }: Request, { remote }: Connection): string => {
    const forwardedFor = headers['x-forwarded-for'];
    return forwardedFor === undefined ? remote : clientAddress(remote, forwardedFor, trustedProxies);
  };

  return (request, response, next) => {
    const arrivedAtMs = performance.now();
    const { socket } = request; // an answer that has ended knows its socket no more
    if (socket.destroyed) return; // the rest of what a connection sent before it was closed
    const connection = connectionOf(socket);
    const before = connection.latest;
    connection.latest = response;
    const bytesBefore = socket.bytesWritten;
    const offered = request.headers['x-request-id'];
    const requestId = typeof offered === 'string' && SANE_REQUEST_ID.test(offered) ? offered : randomUUID();
    request.rungateNotes = {
      requestId,
      headers: headersFor(request),
      client: clientOf(request, connection),
      caller: undefined,
      mode: undefined,
      isStream: false,
      code: undefined,
      route: undefined,
      outcome: undefined,
    };

    const leave = drain.enter();
    response.on('close', () => {
      leave();
      const ms = performance.now() - arrivedAtMs;
      const route = routeOf(request);
      metrics.request(route, request.method, response.statusCode, ms / 1000);
      const notes = notesOf(request);
      const outcome = outcomeOf(response, notes);
      // Probes ask every few seconds and say nothing new.
      log[route === '/health' ? 'debug' : 'info']('request', {
        method: request.method,
        route,
        path: pathOf(request),
        status: response.statusCode,
        ms: Math.round(ms * 10) / 10,
        bytes: socket.bytesWritten - bytesBefore,
        caller: notes.caller?.name,
        client: notes.client,
        requestId: notes.requestId,
        outcome,
        code: notes.code,
      });
      // A hook refuses deliveries that come too late, and has no caller.
      if (notes.code === 'forbidden' && notes.caller !== undefined) auditDenied(log, request, defaultNamespace);
      if (notes.isStream) auditStreamEnd(log, request, defaultNamespace, outcome);
    });

    const begin = (): void => {
      const wrong = headProblem(request, parts);
      if (wrong === undefined) next();
      else {
        notesOf(request).code = wrong.code;
        sendProblem(request, response, wrong);
      }
    };
    // An answer without a socket stands in line behind others of its connection.
    if (response.socket !== null || before === undefined) return begin();
    if (connection.standing >= MOST_AHEAD) {
      metrics.limited('requests ahead');
      socket.destroy(); // nothing can be said in front of the answers that are due
      return;
    }
    connection.standing += 1;
    // Made now, its answer would be held for as long as the client takes nothing of those in front.
    before.once('close', () => {
      connection.standing -= 1;
      if (!socket.destroyed) begin();
    });
  };
}

/** What is wrong with the head of a request, whatever it asks for. */
function headProblem(
  request: Request,
  {
    maxUrlBytes,
    onlyLoopbackNames = false,
    takesBody = () => false,
  }: Pick<ArrivalParts, 'maxUrlBytes' | 'onlyLoopbackNames' | 'takesBody'>,
): { readonly code: ProblemCode; readonly message: string } | undefined {
  const { url, headers, httpVersion } = request;
  // RFC 9112, 3.2. Node would refuse it too, but without a body.
  if (headers.host === undefined && httpVersion !== '1.0') {
    return { code: 'bad-request', message: 'the header Host is missing' };
  }
  if (onlyLoopbackNames && headers.host !== undefined && !LOOPBACK_NAME.test(headers.host)) {
    return { code: 'bad-request', message: 'this server is for its own machine alone: ask for localhost' };
  }
  // RFC 9112, 3.2: a fragment is no part of it. One reader would end the path there, another would not.
  if (url.includes('#')) return { code: 'bad-request', message: 'the path has a "#"; write %23' };
  if (url.length > maxUrlBytes)
    return { code: 'url-too-long', message: `a path with its query may have ${maxUrlBytes} bytes` };
  // Of one in chunks nobody knows how long it is.
  const isShort =
    headers['transfer-encoding'] === undefined && !(Number(headers['content-length'] ?? 0) > LONGEST_BODY);
  if (isShort || takesBody(request)) return undefined;
  return { code: 'body-too-large', message: 'no body is taken here' };
}

/**
 * What every answer carries: helmet's headers, asked for once instead of at every request. Nothing this gateway serves
 * is a page, so the policy allows nothing; and nothing is kept by caches unless its handler says so.
 */
function constantHeaders(): ReadonlyMap<string, string> {
  const headers = new Map<string, string>([['Cache-Control', 'no-store']]);
  const recorder = { setHeader: (name: string, value: string) => headers.set(name, value), removeHeader() {} };
  const policy = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        'base-uri': ["'none'"],
        'form-action': ["'none'"],
        'frame-ancestors': ["'none'"],
      },
    },
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
    // For pages, plug-ins and browsers of the past: nothing here is loaded as a document.
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
  });
  // None of helmet's middlewares looks at the request, or does more to an answer than set and remove headers.
  policy({} as IncomingMessage, recorder as unknown as ServerResponse, (error?: unknown) => {
    if (error !== undefined) throw error;
  });
  return headers;
}

/** The pattern that was matched: paths have run names in them, and would make a series each. */
function routeOf(request: Request): string {
  const path: unknown = request.route?.path;
  return typeof path === 'string' ? path : (notesOf(request).route ?? 'none');
}

/** Without the query, whose values are nobody else's business. */
function pathOf({ originalUrl }: Request): string {
  const mark = originalUrl.indexOf('?');
  return mark === -1 ? originalUrl : originalUrl.slice(0, mark);
}

function outcomeOf(response: Response, { outcome, code }: RequestNotes): string {
  if (!response.writableFinished) return outcome ?? 'disconnected';
  return outcome ?? (code === undefined ? 'complete' : 'refused');
}
