/** Logs that outlive their pods: a server outside the cluster that keeps them, asked as Tekton Dashboard asks it. */
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { LineBatch } from './lines.ts';
import type { LogPlace } from './logread.ts';
import type { ReadOutcome } from './podlog.ts';
import { LineSplitter } from './splitter.ts';

/** One container's log that is wanted. Only containers that belong to a run the caller may read may be named. */
export interface ExternalLogWish extends LogPlace {
  /** RFC 3339: from when to when there can be lines, as far as it is known. */
  readonly startTime?: string;
  readonly completionTime?: string;
  /** Takes lines, which have no timestamps; a returned promise is backpressure. */
  readonly lines: (batch: LineBatch) => void | Promise<void>;
  /** Told what went wrong, in words that may be shown: the end of a sentence about the place. */
  readonly failed: (how: string) => void;
  readonly signal: AbortSignal;
}

/** A place where logs of deleted pods are kept. */
export interface ExternalLogs {
  /**
   * Reads a log from its beginning to its end and resolves with how that went: undefined when the place does not have it,
   * or failed before the first line. It rejects only with what `lines` threw. Aborting `signal` closes the connection.
   */
  read(wish: ExternalLogWish): Promise<ReadOutcome | undefined>;
}

/** The bounds of one answer; those of the default are meant for a server nearby. */
export interface ExternalLogsBounds {
  readonly connectMs: number;
  /** The longest silence before the head, and within the body while somebody waits for it. */
  readonly idleMs: number;
  readonly bytes: number;
}

const BOUNDS: ExternalLogsBounds = { connectMs: 5_000, idleMs: 30_000, bytes: 1024 * 1024 * 1024 };
/** Requests at the same time: the rest wait for a socket. */
const MOST_SOCKETS = 32;

/**
 * Logs below `url`, at `<url>/<namespace>/<pod>/<container>?startTime=...&completionTime=...`. No credentials are sent and
 * no redirects are followed: what answers there is what was configured, and it learns nothing but names and times.
 * https://github.com/tektoncd/dashboard/blob/main/docs/walkthrough/walkthrough-logs.md
 */
export function createExternalLogs(url: string, bounds: ExternalLogsBounds = BOUNDS): ExternalLogs {
  const transport = url.startsWith('https:') ? https : http;
  const agent = new transport.Agent({ keepAlive: false, maxSockets: MOST_SOCKETS });
  return {
    async read(wish) {
      const { lines, failed, signal } = wish;
      const ending = new AbortController();
      const stop = () => ending.abort();
      signal.addEventListener('abort', stop, { once: true });
      let delivered = false;
      let refused: { readonly error: unknown } | undefined;
      try {
        if (signal.aborted) return undefined;
        const answer = await ask(transport.request, addressOf(url, wish), agent, bounds, ending);
        if (answer.statusCode === 404) return undefined;
        if (answer.statusCode !== 200) throw new Unusable(`answers ${answer.statusCode}`);
        for await (const batch of batchesOf(answer, bounds, ending)) {
          delivered = true;
          try {
            await lines(batch);
          } catch (error) {
            refused = { error };
            throw error;
          }
        }
        return signal.aborted ? 'incomplete' : 'complete';
      } catch (error) {
        if (refused !== undefined) throw refused.error;
        if (!signal.aborted)
          failed(
            error instanceof Unusable ? error.message : delivered ? 'broke off within the log' : 'cannot be reached',
          );
        return delivered ? 'incomplete' : undefined;
      } finally {
        signal.removeEventListener('abort', stop);
        ending.abort();
      }
    },
  };
}

/** What is wrong with an answer, in words that may be shown. */
class Unusable extends Error {}

function addressOf(url: string, { namespace, pod, container, startTime, completionTime }: ExternalLogWish): URL {
  const address = new URL(`${url}/${[namespace, pod, container].map(encodeURIComponent).join('/')}`);
  if (startTime !== undefined) address.searchParams.set('startTime', startTime);
  if (completionTime !== undefined) address.searchParams.set('completionTime', completionTime);
  return address;
}

/** The head of the answer. Aborting `ending` destroys the socket, then and later. */
function ask(
  send: typeof http.request,
  address: URL,
  agent: http.Agent,
  { connectMs, idleMs }: ExternalLogsBounds,
  ending: AbortController,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { accept: 'text/plain', 'accept-encoding': 'identity', 'user-agent': 'rungate' };
    const request = send(address, { agent, headers });
    const give = (how: string) => request.destroy(new Unusable(how));
    let patience = setTimeout(give, connectMs + idleMs, 'has no room for another request');
    const wait = (ms: number) => {
      clearTimeout(patience);
      patience = setTimeout(give, ms, 'does not answer');
    };
    request.on('socket', (socket) => {
      wait(connectMs);
      socket.once(address.protocol === 'https:' ? 'secureConnect' : 'connect', () => wait(idleMs));
    });
    request.on('response', (answer) => {
      clearTimeout(patience);
      resolve(answer);
    });
    request.on('error', (error) => {
      clearTimeout(patience);
      reject(error);
    });
    ending.signal.addEventListener('abort', () => request.destroy());
    request.end();
  });
}

async function* batchesOf(
  answer: IncomingMessage,
  { idleMs, bytes }: ExternalLogsBounds,
  ending: AbortController,
): AsyncGenerator<LineBatch> {
  const encoding = answer.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw new Unusable(`answers in the encoding ${encoding}, which was not asked for`);
  const splitter = new LineSplitter({ timed: false });
  const chunks: AsyncIterator<Buffer> = answer[Symbol.asyncIterator]();
  let left = bytes;
  for (;;) {
    // Only while we wait: a slow client must not look like a silent server.
    const patience = setTimeout(() => answer.destroy(new Unusable('went silent within the log')), idleMs);
    const { done, value } = await chunks.next().finally(() => clearTimeout(patience));
    if (done === true || ending.signal.aborted) break;
    left -= value.length;
    const lines = splitter.push(left < 0 ? value.subarray(0, value.length + left) : value);
    if (lines.length > 0) yield { lines };
    if (left < 0) throw new Unusable(`sends more than ${bytes} bytes of one log`);
  }
  const rest = splitter.end();
  if (rest.length > 0) yield { lines: rest };
}
