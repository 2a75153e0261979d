// Keeps a list of runs up to date with as few bytes as can be: a request is answered when the list has changed (`wait`), and a
// list that is the same as before is 304 without a body (`If-None-Match`). Credentials travel in a header, never in the URL.
//
// For browsers and for Node.js alike; no dependencies.

/** Seconds that one request may wait for a change: less than the 60 after which proxies give up. */
const WAIT_SECONDS = 50;
/** The first and the longest pause after a request that failed. */
const [SHORTEST_MS, LONGEST_MS] = [1_000, 30_000];

/** rungate refuses: asking again would not help. */
export class Refused extends Error {}

/**
 * Calls `show` with the list whenever it has changed, until `signal` is aborted. `trouble` is told what is wrong while rungate
 * cannot be reached or has no time, and that it is over (undefined). Throws `Refused` where the credentials or the query are wrong.
 *
 * @param {{
 *   url: string,
 *   username: string,
 *   password: string,
 *   query?: string,
 *   signal: AbortSignal,
 *   show: (list: { items: object[], continue?: string }) => void,
 *   trouble?: (sentence: string | undefined) => void,
 * }} options `url` is that of rungate, `query` what /runs takes: `phase=failed&limit=20`
 */
export async function poll({ url, username, password, query = 'limit=20', signal, show, trouble = () => {} }) {
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  const authorization = `Basic ${btoa(String.fromCharCode(...bytes))}`;
  const runs = new URL(`runs?${query}`, url.endsWith('/') ? url : `${url}/`);
  let tag;
  let isWell = true;
  let pauseMs = SHORTEST_MS;
  while (!signal.aborted) {
    // At once where there is nothing to compare with, and after trouble, to find out whether that is over.
    if (tag !== undefined && isWell) runs.searchParams.set('wait', String(WAIT_SECONDS));
    else runs.searchParams.delete('wait');
    const headers = { Authorization: authorization, ...(tag === undefined ? {} : { 'If-None-Match': tag }) };
    try {
      // Without the browser's own credentials and cache: neither its password window nor an older list gets in between.
      const answer = await fetch(runs, { headers, signal, credentials: 'omit', cache: 'no-store' });
      if (answer.status === 200) {
        const list = await answer.json();
        tag = answer.headers.get('ETag') ?? undefined;
        show(list);
      } else if (answer.status !== 304) {
        const { error = `HTTP ${answer.status}` } = await answer.json().catch(() => ({}));
        if (answer.status < 500 && answer.status !== 429 && answer.status !== 408) throw new Refused(error);
        throw new Error(error, { cause: Number(answer.headers.get('Retry-After')) * 1_000 });
      }
      trouble(undefined);
      isWell = true;
      pauseMs = SHORTEST_MS;
      if (tag === undefined) await pause(SHORTEST_MS, signal); // whatever answered has no tags: do not ask without end
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused) throw error;
      isWell = false;
      trouble(error.message);
      await pause(error.cause > 0 ? error.cause : pauseMs, signal);
      pauseMs = Math.min(pauseMs * 2, LONGEST_MS);
    }
  }
}

/** Resolves after so long, or when `signal` is aborted. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}
