/** The first and the last moment of every request: its id and constant headers; its access line, metrics and end. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import helmet from 'helmet';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Drain } from './drain.ts';
import { notesOf, type RequestNotes } from './notes.ts';

/** Ids of others that we take over: what can stand in a log line, a header and a URL without harm. */
const SANE_REQUEST_ID = /^[A-Za-z0-9._~:+/=-]{1,128}$/;

/**
 * Must come before every other handler. Gives the request its notes and the answer its constant headers, counts it as
 * open for `drain`, and writes its access line when the answer has ended or the client has gone.
 */
export function arrival({ log, metrics, drain }: { log: Log; metrics: Metrics; drain: Drain }): RequestHandler {
  const headers = [...constantHeaders()].flat();
  return (request, response, next) => {
    const arrivedAtMs = performance.now();
    const bytesBefore = request.socket.bytesWritten;
    const { socket } = request; // an answer that has ended knows its socket no more
    const offered = request.headers['x-request-id'];
    const requestId = typeof offered === 'string' && SANE_REQUEST_ID.test(offered) ? offered : randomUUID();
    request.rungateNotes = { requestId, headers, caller: undefined, code: undefined, outcome: undefined };

    const leave = drain.enter();
    response.on('close', () => {
      leave();
      const ms = performance.now() - arrivedAtMs;
      const route = routeOf(request);
      metrics.request(route, request.method, response.statusCode, ms / 1000);
      const notes = notesOf(request);
      // Probes ask every few seconds and say nothing new.
      log[route === '/health' ? 'debug' : 'info']('request', {
        method: request.method,
        route,
        path: pathOf(request),
        status: response.statusCode,
        ms: Math.round(ms * 10) / 10,
        bytes: socket.bytesWritten - bytesBefore,
        caller: notes.caller?.name,
        client: socket.remoteAddress,
        requestId: notes.requestId,
        outcome: outcomeOf(response, notes),
        code: notes.code,
      });
    });
    next();
  };
}

/**
 * What every answer carries: helmet's headers, asked for once instead of at every request. Nothing this gateway serves
 * is a page, so the policy allows nothing; and nothing is kept by caches unless its handler says so.
 */
export function constantHeaders(): ReadonlyMap<string, string> {
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
  return typeof path === 'string' ? path : 'none';
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
