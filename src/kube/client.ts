/** Asking a Kubernetes API server: short calls that end, long ones that stream, and writes. HTTP errors become Faults here. */
import http, { type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import https from 'node:https';
import { TLSSocket } from 'node:tls';
import { urlToHttpOptions } from 'node:url';
import { Fault, faultOf } from '../fault.ts';
import type { Metrics, UpstreamVerb } from '../metrics.ts';
import { parseObject, readBytes, type StreamAnswer, statusFault, writeFault } from './answers.ts';
import type { Connection } from './connect.ts';
import type { JsonObject, ObjectRef } from './objects.ts';
import type { KubeWriter, WriteOptions } from './writer.ts';

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

/** A reader and writer that holds sockets. */
export interface KubeClient extends KubeReader, KubeWriter {
  /** Closes every socket, those in use as well. Calling it twice is harmless. */
  close(): void;
}

/** What a client needs beside its connection. */
export interface KubeClientParts {
  readonly metrics: Metrics;
  /** The largest JSON body that is read, unpacked; beyond it the Fault is `refused`. 64 MiB unless told. */
  readonly bodyLimitBytes?: number;
}

/** Below the idle limits of load balancers, and soon enough to notice a peer that is gone. */
const TCP_KEEP_ALIVE_MS = 15_000;
/** A burst of short calls waits for a socket (within its timeout) rather than opening ever more. */
const SHORT_SOCKETS = 64;

/** What the methods that write are called in metrics, and in roles. */
const WRITE_VERBS = { POST: 'create', PATCH: 'patch', PUT: 'update', DELETE: 'delete' } as const;

/** One request. */
interface Asked {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly agent: http.Agent;
  readonly headers: OutgoingHttpHeaders;
  readonly body?: Buffer;
  readonly as?: ObjectRef | undefined;
}

/**
 * A client over `connection`. Short calls share keep-alive sockets and accept gzip (the API server packs from 128 KiB
 * on); every stream has a socket of its own. On a 401 the credentials are read anew and the request is sent once more, so
 * every call may fail as `connection` does (`refused`). A certificate that does not verify is `refused` too.
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
  const send = async (asked: Asked, signal: AbortSignal): Promise<IncomingMessage> => {
    const { method, path, agent, body, as } = asked;
    const { headers, ...identity } = await unlessAborted(connection.requestOptions(), signal);
    signal.throwIfAborted();
    const options = { protocol, hostname, port, agent, ...identity, method, path: base + path };
    const verb = method === 'GET' ? verbOf(path) : WRITE_VERBS[method];
    return new Promise((resolve, reject) => {
      const request = transport.request({
        ...options,
        // Last: where a kubeconfig acts as somebody else, this one counts.
        headers: { 'user-agent': 'rungate', ...asked.headers, ...headers, ...(as && impersonating(as)) },
      });
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
        // The server closed a kept socket just as we took it. A GET may be asked again, and the next socket may be good;
        // of a write nobody knows whether it was taken before.
        const isKeptSocketClosed = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        if (method === 'GET' && isKeptSocketClosed) return resolve(send(asked, signal));
        metrics.upstream(verb, 'error');
        const distrusted = request.socket instanceof TLSSocket && request.socket.authorizationError;
        reject(
          distrusted
            ? new Fault('refused', 'the certificate of the Kubernetes API is not trusted', { cause: error })
            : new Fault('unavailable', 'Kubernetes cannot be reached', { cause: error }),
        );
      });
      request.end(body);
    });
  };

  const ask: typeof send = async (asked, signal) => {
    const first = await send(asked, signal);
    if (first.statusCode !== 401) return first;
    first.destroy();
    await unlessAborted(connection.refreshCredentials(), signal);
    return send(asked, signal);
  };

  /** A short call: its body if the status is one of success, else what `refusal` makes of it. */
  const short = async (
    asked: Omit<Asked, 'agent'>,
    { signal, timeoutMs = 10_000 }: WriteOptions,
    refusal: (answer: Pick<StreamAnswer, 'status' | 'headers'>, body: string) => Fault,
  ): Promise<string> => {
    const call = callUnder(signal, timeoutMs);
    try {
      const headers = { accept: 'application/json', 'accept-encoding': 'gzip', ...asked.headers };
      const answer = await ask({ ...asked, headers, agent: shortCalls }, call.signal);
      const { statusCode: status = 0 } = answer;
      if (status >= 200 && status < 300) return (await readBytes(answer, bodyLimitBytes)).toString('utf8');
      // Whatever is wrong with the body of an error, the status says enough.
      const body = await readBytes(answer, bodyLimitBytes).catch(() => '');
      call.signal.throwIfAborted();
      throw refusal({ status, headers: answer.headers }, body.toString());
    } catch (error) {
      throw call.signal.aborted ? call.signal.reason : error;
    } finally {
      call.end();
    }
  };

  const write = async (
    method: keyof typeof WRITE_VERBS,
    path: string,
    object: JsonObject,
    more: WriteOptions = {},
  ): Promise<JsonObject> => {
    const { as } = more;
    const body = Buffer.from(JSON.stringify(object));
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const headers = { 'content-type': type, 'content-length': body.length };
    return parseObject(
      await short({ method, path, headers, body, as }, more, (answer, told) => writeFault(answer, told, Date.now())),
    );
  };

  return {
    async get(path, { parsed = () => {}, ...more } = {}) {
      const text = await short({ method: 'GET', path, headers: {} }, more, (answer, body) =>
        statusFault(answer, path, body, Date.now()),
      );
      const beganAt = performance.now();
      const object = parseObject(text);
      parsed(performance.now() - beganAt);
      return object;
    },
    create: (path, object, more) => write('POST', path, object, more),
    patch: (path, merge, more) => write('PATCH', path, merge, more),
    replace: (path, object, more) => write('PUT', path, object, more),
    async remove(path, { uid, resourceVersion }, more) {
      const preconditions = resourceVersion === undefined ? { uid } : { uid, resourceVersion };
      const options = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', preconditions };
      await write('DELETE', path, options, more).catch((error: unknown) => {
        if (faultOf(error).code !== 'not-found') throw error;
      });
    },
    async stream(path, { signal, headTimeoutMs = 30_000 } = {}) {
      const call = callUnder(signal, headTimeoutMs);
      try {
        const headers = { accept: 'application/json, */*' };
        const body = await ask({ method: 'GET', path, agent: streams, headers }, call.signal);
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

/** What an API server takes for the names of a ServiceAccount: with a colon more it would be the name of another kind of user. */
const NAMESPACE = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const ACCOUNT = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;

function impersonating({ namespace, name }: ObjectRef): OutgoingHttpHeaders {
  if (!NAMESPACE.test(namespace) || !ACCOUNT.test(name)) {
    throw new Fault('bad-request', 'no ServiceAccount can be called what is to be impersonated');
  }
  return { 'Impersonate-User': `system:serviceaccount:${namespace}:${name}` };
}

/** What a GET of `path` is called in metrics. */
export function verbOf(path: string): UpstreamVerb {
  const [pathname = '', query = ''] = path.split('?', 2);
  const segments = pathname.split('/').filter((segment) => segment !== '');
  let below = segments.slice(segments[0] === 'api' ? 2 : 3);
  if (below[0] === 'namespaces' && below.length > 2) below = below.slice(2);
  if (below.length === 3 && below[2] === 'log') return 'log';
  if (below.length !== 1) return 'get';
  return ['1', 'true'].includes(new URLSearchParams(query).get('watch') ?? '') ? 'watch' : 'list';
}
