/**
 * Pages of other origins, if CORS_ORIGINS names them: https://fetch.spec.whatwg.org/#http-cors-protocol. A page sends its
 * own `Authorization`; what the browser would send by itself (credentials it remembers) is never asked for, so a page can do
 * no more than its user has let it.
 */
import type { RequestHandler } from 'express';
import type { HeaderPairs } from '../answer.ts';
import { answerHeaders, requestHeaders } from '../described/schemas/headers.ts';
import { notesOf } from '../notes.ts';

/** How long a browser may remember a preflight, in seconds. */
const PREFLIGHT_SECONDS = 600;

/** What an answer has to say about who may read it. */
export interface Cors {
  /** Headers for an answer to a request of this `Origin`. One call, one look-up. */
  headersFor(origin: string | undefined): HeaderPairs;
  /** Answers a preflight of an origin that may ask; everything else goes to `handler`. */
  before(handler: RequestHandler): RequestHandler;
}

const NOTHING: HeaderPairs = [];

/** Where nobody else's page may ask. */
export const sameOriginOnly: Cors = { headersFor: () => NOTHING, before: (handler) => handler };

/** For exactly these origins. Every answer says that it depends on the origin, or a cache would give one's answer to all. */
export function corsFor(origins: readonly string[]): Cors {
  if (origins.length === 0) return sameOriginOnly;
  const forOthers = ['Vary', 'Origin'];
  const exposed = Object.keys(answerHeaders).join(', ');
  const byOrigin = new Map(
    origins.map((origin): [string, HeaderPairs] => [
      origin,
      [...forOthers, 'Access-Control-Allow-Origin', origin, 'Access-Control-Expose-Headers', exposed],
    ]),
  );
  const allowed: HeaderPairs = [
    'Access-Control-Allow-Methods',
    'GET, HEAD, POST',
    'Access-Control-Allow-Headers',
    ['Authorization', ...Object.keys(requestHeaders)].join(', '),
    'Access-Control-Max-Age',
    String(PREFLIGHT_SECONDS),
  ];
  return {
    headersFor: (origin) => (origin === undefined ? undefined : byOrigin.get(origin)) ?? forOthers,
    before: (handler) => (request, response, next) => {
      const { origin, 'access-control-request-method': asked } = request.headers;
      const isPreflight = request.method === 'OPTIONS' && asked !== undefined && byOrigin.has(origin ?? '');
      if (!isPreflight) return handler(request, response, next);
      const { headers, requestId } = notesOf(request);
      response.writeHead(204, [...headers, 'X-Request-Id', requestId, ...allowed]);
      response.end();
    },
  };
}
