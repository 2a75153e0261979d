/** Load on one path: many keep-alive clients, each of which asks again as soon as it is answered. */
import autocannon from 'autocannon';
import type { Target } from './target.ts';

/** Enough that a server always has something to do, and few enough that a round is not spent on opening them. */
const CONNECTIONS = 64;
const SECONDS = 2;

/** Requests per second that `target` answers on `path`. Throws unless every answer is 2xx. */
export async function requestRate(target: Target, path: string): Promise<number> {
  const { answered, seconds } = await load(target, path, { duration: SECONDS });
  return answered / seconds;
}

/** Objects per second that `target` creates in the collection at `path`, `count` of them. Throws unless every answer is 2xx. */
export async function creationRate(target: Target, path: string, object: object, count: number): Promise<number> {
  const body = JSON.stringify(object);
  const beganAt = performance.now();
  await load(target, path, { amount: count, method: 'POST', body });
  return count / ((performance.now() - beganAt) / 1000);
}

async function load(
  { origin, headers, authority, certificate }: Target,
  path: string,
  options: { readonly duration: number } | { readonly amount: number; readonly method: 'POST'; readonly body: string },
): Promise<{ readonly answered: number; readonly seconds: number }> {
  const result = await autocannon({
    url: origin + path,
    connections: CONNECTIONS,
    ...options,
    headers: { ...headers, ...('body' in options ? { 'content-type': 'application/json' } : {}) },
    ...(authority === undefined ? {} : { tlsOptions: { ca: authority, ...certificate } }),
  });
  const refused = result.non2xx + result.errors + result.timeouts;
  if (refused > 0 || result['2xx'] === 0) throw new Error(`${refused} requests for ${path} were not answered 2xx`);
  return { answered: result['2xx'], seconds: result.duration };
}
