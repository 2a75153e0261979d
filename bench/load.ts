/** Load on one path: many keep-alive clients, each of which asks again as soon as it is answered. */
import autocannon from 'autocannon';
import type { Target } from './target.ts';

/** Enough that a server always has something to do, and few enough that a round is not spent on opening them. */
const CONNECTIONS = 50;
const SECONDS = 2;

/** Requests per second that `target` answers on `path`. Throws unless every answer is 2xx. */
export async function requestRate({ origin, headers, authority }: Target, path: string): Promise<number> {
  const result = await autocannon({
    url: origin + path,
    connections: CONNECTIONS,
    duration: SECONDS,
    headers: { ...headers },
    ...(authority === undefined ? {} : { tlsOptions: { ca: authority } }),
  });
  const refused = result.non2xx + result.errors + result.timeouts;
  if (refused > 0 || result['2xx'] === 0) throw new Error(`${refused} requests for ${path} were not answered 2xx`);
  return result['2xx'] / result.duration;
}
