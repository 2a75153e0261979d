/** Asking a Kubernetes API server: short calls that end, and long ones that stream. HTTP errors become Faults here. */
import http, { type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import https from 'node:https';
import { TLSSocket } from 'node:tls';
import { urlToHttpOptions } from 'node:url';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { Fault } from '../fault.ts';
import type { Metrics } from '../metrics.ts';
import type { Connection } from './connect.ts';
import { type Json, type JsonObject, objectOf, stringOf } from './objects.ts';

/** A request that streams: whatever the server answered, unread. The caller must read or destroy `body`. */
export interface StreamAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: IncomingMessage;
}

/**
 * The reading half of a Kubernetes API. Paths are absolute (`/apis/tekton.dev/v1/...`) and carry their own query.
 * A call whose `signal` aborts destroys its socket at once and rejects with the signal's reason.
 */
export interface KubeReader {
  /**
   * GETs a JSON object. Faults: `not-found` (404), `gone` (410), `refused` (401, 403, and any other 4xx),
   * `unavailable` (429, 5xx, network; `retryAfterMs` from Retry-After), `timeout` (no answer within `timeoutMs`, 10 s unless told).
   * `parsed` is told how long the event loop was kept by the body, so that whoever reads a list can ask for less.
   */
  get(
    path: string,
    more?: { signal?: AbortSignal; timeoutMs?: number; parsed?: (ms: number) => void },
  ): Promise<JsonObject>;
  /**
   * Opens a GET on a socket of its own and resolves with the answer's head, whatever its status. Faults: `unavailable`
   * (network), `timeout` (no head within `headTimeoutMs`, 30 s unless told). Aborting `signal` destroys the socket.
   */
  stream(path: string, more?: { signal?: AbortSignal; headTimeoutMs?: number }): Promise<StreamAnswer>;
}

/** A reader that holds sockets. */
export interface KubeClient extends KubeReader {
  /** Closes every socket, those in use as well. Calling it twice is harmless. */
  close(): void;
}

/** What a client needs beside its connection. */
export interface KubeClientParts {
  readonly metrics: Metrics;
  /** The largest JSON body `get` reads, unpacked; beyond it the Fault is `refused`. 64 MiB unless told. */
  readonly bodyLimitBytes?: number;
}

/** Below the idle limits of load balancers, and soon enough to notice a peer that is gone. */
const TCP_KEEP_ALIVE_MS = 15_000;
/** A burst of short calls waits for a socket (within its timeout) rather than opening ever more. */
const SHORT_SOCKETS = 64;

/**
 * A reader over `connection`. Short calls share keep-alive sockets and accept gzip (the API server packs from 128 KiB
 * on); every stream has a socket of its own. On a 401 the credentials are read anew and the request is sent once more, for
 * `get` and `stream` alike; both may therefore fail as `connection` does (`refused`). A certificate that does not verify
 * is `refused` too.
 */
export function kubeClient(
  connection: Connection,
  { metrics, bodyLimitBytes = 64 * 1024 * 1024 }: KubeClientParts,
): KubeClient {
  // node:http(s) and not fetch: fetch ends a body that is silent for 300 s, as logs and watches may be.
  const transport = connection.server.protocol === 'http:' ? http : https;
  const shortCalls = new transport.Agent({
    keepAlive: true,
    keepAliveMsecs: TCP_KEEP_ALIVE_MS,
    maxSockets: SHORT_SOCKETS,
  });
  const streams = new transport.Agent({ keepAlive: false });
  metrics.level('kubernetes streams', () => Object.values(streams.sockets).flat().length);
  const { protocol, hostname, port } = urlToHttpOptions(connection.server);
  const base = connection.server.pathname.replace(/\/$/, '');

  /** One request, until its head. `signal` belongs to this call alone, so nothing has to stop listening to it. */
  const send = async (
    path: string,
    agent: http.Agent,
    wanted: OutgoingHttpHeaders,
    signal: AbortSignal,
  ): Promise<IncomingMessage> => {
    const { headers, ...identity } = await unlessAborted(connection.requestOptions(), signal);
    signal.throwIfAborted();
    const options = { protocol, hostname, port, agent, ...identity, path: base + path };
    const verb = verbOf(path);
    return new Promise((resolve, reject) => {
      const request = transport.request({ ...options, headers: { 'user-agent': 'rungate', ...wanted, ...headers } });
      let answer: IncomingMessage | undefined;
      signal.addEventListener('abort', () => (answer ?? request).destroy(signal.reason));
      request.on('socket', (socket) => socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS));
      request.on('response', (response) => {
        answer = response;
        metrics.upstream(verb, String(response.statusCode));
        resolve(response);
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        // A fault after the head is the body's to tell.
        if (answer !== undefined) return;
        if (signal.aborted) return reject(signal.reason);
        // The server closed a kept socket just as we took it. A GET may be asked again, and the next socket may be good.
        if (request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')) {
          return resolve(send(path, agent, wanted, signal));
        }
        metrics.upstream(verb, 'error');
        const distrusted = request.socket instanceof TLSSocket && request.socket.authorizationError;
        reject(
          distrusted
            ? new Fault('refused', 'the certificate of the Kubernetes API is not trusted', { cause: error })
            : new Fault('unavailable', 'Kubernetes cannot be reached', { cause: error }),
        );
      });
      request.end();
    });
  };

  const ask: typeof send = async (path, agent, wanted, signal) => {
    const first = await send(path, agent, wanted, signal);
    if (first.statusCode !== 401) return first;
    first.destroy();
    await unlessAborted(connection.refreshCredentials(), signal);
    return send(path, agent, wanted, signal);
  };

  return {
    async get(path, { signal, timeoutMs = 10_000, parsed = () => {} } = {}) {
      const call = callUnder(signal, timeoutMs);
      try {
        const wanted = { accept: 'application/json', 'accept-encoding': 'gzip' };
        const answer = await ask(path, shortCalls, wanted, call.signal);
        if (answer.statusCode !== 200) {
          // Whatever is wrong with the body of an error, the status says enough.
          const body = await readBytes(answer, bodyLimitBytes).catch(() => '');
          call.signal.throwIfAborted();
          throw statusFault(
            { status: answer.statusCode ?? 0, headers: answer.headers },
            path,
            body.toString(),
            Date.now(),
          );
        }
        const bytes = await readBytes(answer, bodyLimitBytes);
        const beganAt = performance.now();
        const object = parseObject(bytes.toString('utf8'));
        parsed(performance.now() - beganAt);
        return object;
      } catch (error) {
        throw call.signal.aborted ? call.signal.reason : error;
      } finally {
        call.end();
      }
    },
    async stream(path, { signal, headTimeoutMs = 30_000 } = {}) {
      const call = callUnder(signal, headTimeoutMs);
      try {
        const body = await ask(path, streams, { accept: 'application/json, */*' }, call.signal);
        call.endDeadline();
        body.once('close', call.end);
        return { status: body.statusCode ?? 0, headers: body.headers, body };
      } catch (error) {
        call.end();
        throw call.signal.aborted ? call.signal.reason : error;
      }
    },
    close() {
      shortCalls.destroy();
      streams.destroy();
    },
  };
}

/** The life of one call: its signal aborts with the caller's, or with Fault `timeout` at the deadline. */
interface Call {
  readonly signal: AbortSignal;
  endDeadline(): void;
  /** Lets go of timer and caller: afterwards `signal` aborts no more. */
  end(): void;
}

/** By hand, not `AbortSignal.any`: the caller's signal lives as long as the process and must keep nothing of a call. */
function callUnder(caller: AbortSignal | undefined, timeoutMs: number): Call {
  const controller = new AbortController();
  const abort = () => controller.abort(caller?.reason);
  const timer = setTimeout(
    () => controller.abort(new Fault('timeout', 'Kubernetes did not answer in time')),
    timeoutMs,
  );
  caller?.addEventListener('abort', abort);
  if (caller?.aborted) abort();
  const endDeadline = () => clearTimeout(timer);
  return {
    signal: controller.signal,
    endDeadline,
    end() {
      endDeadline();
      caller?.removeEventListener('abort', abort);
    },
  };
}

/** `work`, unless `signal` aborts first: then a rejection with its reason, while the work goes on unheard. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  try {
    // In this order: where both are settled, the abort counts.
    return await Promise.race([aborted, work]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** What a GET of `path` is called in metrics. */
export function verbOf(path: string): 'get' | 'list' | 'watch' | 'log' {
  const [pathname = '', query = ''] = path.split('?', 2);
  const segments = pathname.split('/').filter((segment) => segment !== '');
  let below = segments.slice(segments[0] === 'api' ? 2 : 3);
  if (below[0] === 'namespaces' && below.length > 2) below = below.slice(2);
  if (below.length === 3 && below[2] === 'log') return 'log';
  if (below.length !== 1) return 'get';
  return ['1', 'true'].includes(new URLSearchParams(query).get('watch') ?? '') ? 'watch' : 'list';
}

async function readBytes(answer: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      size += chunk.length;
      // Leaving the loop destroys the answer, and with it the socket.
      if (size > limitBytes) throw tooLarge(limitBytes);
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw new Fault('unavailable', 'Kubernetes broke off its answer', { cause });
  }
  const sent = Buffer.concat(chunks, size);
  if (answer.headers['content-encoding'] !== 'gzip') return sent;
  try {
    return await promisify(gunzip)(sent, { maxOutputLength: limitBytes });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw code === 'ERR_BUFFER_TOO_LARGE' ? tooLarge(limitBytes) : unreadable(cause);
  }
}

function tooLarge(limitBytes: number): Fault {
  return new Fault('refused', `Kubernetes answered more than ${limitBytes} bytes`);
}

function unreadable(cause: unknown): Fault {
  return new Fault('refused', 'Kubernetes answered something that is not JSON', { cause });
}

function parseObject(text: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unreadable(cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unreadable(undefined);
  return value as JsonObject;
}

/**
 * What a streamed answer that is not 200 means: the Fault that `get` would have thrown for it. Reads the rest of `body`, of
 * which the first 64 KiB within 5 s are enough, and closes it. Never throws.
 */
export async function answerFault(answer: StreamAnswer, path: string): Promise<Fault> {
  const patience = setTimeout(() => answer.body.destroy(), 5_000);
  const body = await readBytes(answer.body, 64 * 1024).catch(() => '');
  clearTimeout(patience);
  return statusFault(answer, path, body.toString(), Date.now());
}

/**
 * The Fault of an answer that is not 200. What the server says stays in `cause`: it names users, verbs and paths.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */
function statusFault(
  { status, headers }: Pick<StreamAnswer, 'status' | 'headers'>,
  path: string,
  body: string,
  now: number,
): Fault {
  const cause = new Error(`GET ${path} answered ${status}: ${statusMessage(body)}`);
  if (status === 404) return new Fault('not-found', 'Kubernetes has no such object (404)', { cause });
  if (status === 410) return new Fault('gone', 'Kubernetes no longer has that version (410)', { cause });
  if (status === 429 || status >= 500) {
    const retryAfterMs = parseRetryAfter(headers['retry-after'], now);
    const more = retryAfterMs === undefined ? { cause } : { cause, retryAfterMs };
    return new Fault('unavailable', `Kubernetes is not available (${status})`, more);
  }
  return new Fault('refused', `Kubernetes refused the request (${status})`, { cause });
}

function statusMessage(body: string): string {
  try {
    return stringOf(objectOf(JSON.parse(body)).message) ?? '';
  } catch {
    return body.slice(0, 1024);
  }
}

/** Milliseconds from now that a Retry-After header asks for: seconds, or a date. RFC 9110, 10.2.3 */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1_000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
