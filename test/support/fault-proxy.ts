/**
 * A reverse proxy that stands at the wire between a client and a real server, and breaks things there on demand.
 *
 * Untouched requests pass byte for byte as they stream, with the client's own credentials, backpressure and trailers.
 * What a rule matches is cut, stalled, slowed, answered or added to (`relay.ts`). Every request is recorded, so that a test can ask
 * how often something was called.
 */
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { loopbackCertificate } from './certificate.ts';
import { concealIn, concealment, type HiddenApi } from './hidden-api.ts';
import { type BodyFault, endToEnd, type Place, relay } from './relay.ts';

/** Which requests a rule is about. A query parameter that is absent reads as `''`. What is left out matches anything. */
export interface RequestMatch {
  readonly method?: string;
  /** Tested against the path without its query. */
  readonly path?: RegExp;
  readonly query?: Readonly<Record<string, RegExp>>;
  /** Tested against the whole body, which is then passed on in one piece. */
  readonly body?: RegExp;
}

/** What happens to a matched request. */
export type WireFault =
  | BodyFault
  /** The connection stays open and nothing is sent, not even a head; the server never hears of it. */
  | { readonly kind: 'silence' }
  /** The connection is closed in the middle of the answer's head; the server never hears of it. */
  | { readonly kind: 'half-head' }
  /** The request is passed on so much later. */
  | { readonly kind: 'delay'; readonly ms: number }
  /**
   * The server takes the request, `lateMs` later where that is given and whether or not the client still waits; its answer goes
   * nowhere. The client's connection stays open and silent, or is reset when the answer is there.
   */
  | { readonly kind: 'lost'; readonly how: 'silence' | 'reset'; readonly lateMs?: number }
  /** Answered here; the server never hears of it. A string body is sent as text/plain, an object as JSON. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body: string | object;
      readonly headers?: Readonly<Record<string, string>>;
    };

/** A fault and the requests it befalls. */
export interface FaultRule {
  readonly on: RequestMatch;
  readonly fault: WireFault;
  /** How many requests it befalls; until it is lifted, when left out. */
  readonly times?: number;
  /** How many pass before the first that it befalls; none unless told. */
  readonly after?: number;
  /** Is called for each of them when it is over, with whether the fault came to pass: a body can end before its place. */
  readonly met?: (struck: boolean) => void;
}

/** One request that passed. Times are `performance.now()` milliseconds. */
export interface PassedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Who asked, as the bearer token names itself (`system:serviceaccount:...`); `''` without a readable token. Never the token. */
  readonly who: string;
  readonly start: number;
  /** Undefined while it is open. */
  readonly end: number | undefined;
  /** The status that the client saw; undefined before the head. */
  readonly status: number | undefined;
  /** Bytes of body handed to the client. */
  readonly bytes: number;
  /** Why the proxy itself could not pass it on, and reset the client: the server is away. */
  readonly error: string | undefined;
  /** The fault that befell it. */
  readonly fault: WireFault['kind'] | 'hidden' | undefined;
  /** The body, where a rule had to look at it. */
  readonly body: string | undefined;
}

/** Where the proxy passes requests to. `authority` is the PEM that vouches for an HTTPS server. */
export interface Upstream {
  readonly url: string;
  readonly authority?: string;
}

/** A running proxy. */
export interface FaultProxy {
  /** `https://127.0.0.1:port` (or `http://`), the same for its whole life. */
  readonly url: string;
  /** PEM of the authority to trust; `''` over plain HTTP. */
  readonly authority: string;
  /** Everything that was asked since the start or the last `forget`, oldest first. */
  readonly requests: readonly PassedRequest[];
  /** The recorded requests that match. */
  matching(match: RequestMatch): readonly PassedRequest[];
  /** Empties `requests`. What is open stays open, unrecorded. */
  forget(): void;
  /** Adds a rule; where several match a request the oldest applies. Returns its end; calling that twice is harmless. */
  add(rule: FaultRule): () => void;
  /** Hides a part of the API from discovery and from requests. Returns the end of that; calling it twice is harmless. */
  hide(api: HiddenApi): () => void;
  /** Lifts every rule and everything hidden. Streams that are stalled stay so. */
  lift(): void;
  /** Sockets open to the server: one for each request that is being passed. */
  upstreamSockets(): number;
  /** Sockets that clients hold open, idle ones included. */
  clientSockets(): number;
  /** Closes the next connection before its TLS handshake; `struck` is called when that has happened. */
  refuseNext(struck?: () => void): void;
  /** Ends every open connection with a reset, as a pulled cable or a dying server does; new ones are accepted. */
  reset(): void;
  /** Is not there any more: resets what is open, then refuses connections. */
  away(): Promise<void>;
  /** Is there again, on the same port. */
  back(): Promise<void>;
  close(): Promise<void>;
}

/** Matches for what a gateway asks of a Kubernetes API. */
export const on = {
  /** Watches of a resource: `on.watch('pods')`. */
  watch: (resource: string): RequestMatch => ({ path: new RegExp(`/${resource}$`), query: { watch: /^(true|1)$/ } }),
  /** Lists of a resource, all pages. */
  list: (resource: string): RequestMatch => ({ path: new RegExp(`/${resource}$`), query: { watch: /^(false|0|)$/ } }),
  /** Log streams that follow, of pods in whose name `pod`, a pattern, occurs. */
  follow: (pod = ''): RequestMatch => ({ path: logPath(pod), query: { follow: /^(true|1)$/ } }),
  /** Log reads that end by themselves. */
  read: (pod = ''): RequestMatch => ({ path: logPath(pod), query: { follow: /^(false|0|)$/ } }),
  /** Any log call. */
  log: (pod = ''): RequestMatch => ({ path: logPath(pod) }),
  /** The creation of an object. */
  create: (resource: string): RequestMatch => ({ method: 'POST', path: new RegExp(`/${resource}$`) }),
  /** Writes of the status of an object, those alone whose body `body` matches. */
  status: (resource: string, name: string, body?: RegExp): RequestMatch => ({
    method: 'PATCH',
    path: new RegExp(`/${resource}/${name}/status$`),
    ...(body === undefined ? {} : { body }),
  }),
  /** Whatever takes a Lease or keeps it. */
  lease: { path: /\/leases(\/|$)/ } as RequestMatch,
} as const;

function logPath(pod: string): RegExp {
  return new RegExp(`/pods/[^/]*${pod}[^/]*/log$`);
}

/** The answer of an API server that says no, with its real Status body. `retryAfter` is in seconds. */
export function refusal(
  code: 400 | 401 | 403 | 404 | 409 | 410 | 422 | 429 | 500 | 502 | 503 | 504,
  retryAfter?: number,
): WireFault {
  return {
    kind: 'answer',
    status: code,
    body: status(code),
    ...(retryAfter === undefined ? {} : { headers: { 'Retry-After': String(retryAfter) } }),
  };
}

/** The ERROR frame with which a watch says that its resourceVersion is too old, followed by the end of the watch. */
export function expiredFrame(at: Place): WireFault {
  return { kind: 'insert', at, text: `${JSON.stringify({ type: 'ERROR', object: status(410) })}\n`, ends: true };
}

/** A 200 whose body is the kubelet's error text instead of a log (https://github.com/kubernetes/kubernetes/issues/142258). */
export function kubeletError(container: string): WireFault {
  return { kind: 'answer', status: 200, body: `unable to retrieve container logs for containerd://${container}` };
}

const reasons: Readonly<Record<number, readonly [reason: string, message: string]>> = {
  400: ['BadRequest', 'the request is not understood'],
  401: ['Unauthorized', 'Unauthorized'],
  403: ['Forbidden', 'access is forbidden'],
  404: ['NotFound', 'the server could not find the requested resource'],
  409: ['Conflict', 'the object has been modified; please apply your changes to the latest version and try again'],
  410: ['Expired', 'too old resource version: 1 (2)'],
  422: [
    'Invalid',
    'PipelineRun.tekton.dev is invalid: spec: Forbidden: the policy of this namespace does not allow it',
  ],
  429: ['TooManyRequests', 'Too many requests, please try again later.'],
  500: ['InternalError', 'Internal error occurred: etcdserver: request timed out'],
  502: ['InternalError', 'error trying to reach service'],
  503: ['ServiceUnavailable', 'apiserver is shutting down'],
  504: ['Timeout', 'request did not complete within the allotted timeout'],
};

/** https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/ */
function status(code: number): object {
  const [reason, message] = reasons[code] ?? ['Unknown', 'unknown'];
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

/** What an API server says of a path it does not serve. */
const absent = { kind: 'answer', status: 404, body: '404 page not found\n' } as const;

/** A request on its way through: what is recorded of it, and the hands that carry it. */
interface Passage {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly record: { -readonly [key in keyof PassedRequest]: PassedRequest[key] };
  /** Resolves when the client has gone or has been answered. */
  readonly closed: Promise<void>;
  /** The request's body, where it has been read already. */
  body?: Buffer;
}

/**
 * Starts a proxy on a loopback port. It speaks HTTPS with an authority of its own unless `secure` is false. Both ends
 * speak HTTP/1.1.
 */
export async function startFaultProxy(upstream: Upstream, { secure = true } = {}): Promise<FaultProxy> {
  const rules: { readonly rule: FaultRule; passing: number; left: number }[] = [];
  const hidden = new Set<HiddenApi>();
  const refusals: (() => void)[] = [];
  const requests: PassedRequest[] = [];
  const clients = new Set<Socket>();
  /** The same, by the port with which the server behind the door knows them, and the sockets that lead there. */
  const clientAt = new Map<number, { readonly client: Socket; readonly through: Socket }>();
  const servers = new Set<Socket>();
  const target = new URL(upstream.url);

  const certificate = secure ? await loopbackCertificate() : undefined;
  const server = certificate
    ? https.createServer({ key: certificate.key, cert: certificate.certificate })
    : http.createServer();
  // A stream may be silent for hours; only a rule ends one.
  Object.assign(server, { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 60_000 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: inside } = server.address() as AddressInfo;

  // Clients meet plain TCP, and what they send goes on to the server behind it: a TLS socket cannot send an RST, and Node can spin
  // for ever over one whose TCP socket was reset below it.
  const door = net.createServer({ allowHalfOpen: true }, (client) => {
    const refused = refusals.shift();
    if (refused) {
      client.destroy();
      refused();
      return;
    }
    const through = net.connect({ port: inside, host: '127.0.0.1', allowHalfOpen: true });
    const ends = [client, through] as const;
    clients.add(client);
    through.once('connect', () => {
      const { localPort = 0 } = through;
      clientAt.set(localPort, { client, through });
      through.once('close', () => clientAt.delete(localPort));
    });
    client.once('close', () => clients.delete(client));
    for (const socket of ends) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.once('close', () => {
        for (const other of ends) other.destroy();
      });
    }
    client.pipe(through).pipe(client);
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const passage = begin(request, response);
    pass(passage).catch((error: Error) => {
      passage.record.error = error.message;
      resetClient(response);
    });
  });
  server.on('tlsClientError', () => {});

  const listen = async (port: number) => {
    door.listen(port, '127.0.0.1');
    await once(door, 'listening');
  };
  await listen(0);
  const { port } = door.address() as AddressInfo;

  function resetClient(response: ServerResponse): void {
    clientAt.get(response.socket?.remotePort ?? 0)?.client.resetAndDestroy();
    response.socket?.destroy();
  }

  /** Resets a client that has been sent a part: an RST would overtake what is still on its way through the door. */
  async function resetBehind(response: ServerResponse): Promise<void> {
    const { through } = clientAt.get(response.socket?.remotePort ?? 0) ?? {};
    for (let passed = -1; through !== undefined && passed !== through.bytesRead; ) {
      passed = through.bytesRead;
      for (let turns = 0; turns < 2; turns++) await setImmediate(); // in between everything that is there is read
    }
    resetClient(response);
  }

  function resetAll(): void {
    for (const socket of clients) socket.resetAndDestroy();
  }

  function ruleFor(record: PassedRequest): FaultRule | undefined {
    for (const each of rules) {
      if (each.left <= 0 || !matches(each.rule.on, record)) continue;
      if (each.passing-- > 0) continue;
      each.left--;
      return each.rule;
    }
    return undefined;
  }

  function begin(request: IncomingMessage, response: ServerResponse): Passage {
    const url = new URL(request.url ?? '/', 'http://proxy');
    const record: Passage['record'] = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      who: bearer(request.headers.authorization),
      start: performance.now(),
      end: undefined,
      status: undefined,
      bytes: 0,
      error: undefined,
      fault: undefined,
      body: undefined,
    };
    requests.push(record);
    const closed = new Promise<void>((resolve) => {
      response.once('close', () => {
        record.end = performance.now();
        resolve();
      });
    });
    return { request, response, record, closed };
  }

  async function pass(passage: Passage): Promise<void> {
    const { request, record } = passage;
    const isBodyAsked = rules.some(
      ({ rule: { on }, left }) => left > 0 && on.body !== undefined && matchesHead(on, record),
    );
    if (isBodyAsked) {
      passage.body = Buffer.concat(await request.toArray());
      record.body = passage.body.toString();
    }
    const rule = ruleFor(record);
    passage.record.fault = rule?.fault.kind;
    let struck = false;
    try {
      struck = await carry(passage, rule?.fault);
    } finally {
      rule?.met?.(struck);
    }
  }

  /** Resolves when the request is over, with whether the fault came to pass. */
  async function carry(passage: Passage, fault: WireFault | undefined): Promise<boolean> {
    const { response, record, closed } = passage;
    if (fault?.kind === 'answer') answer(passage, fault);
    if (fault?.kind === 'half-head') response.socket?.end('HTTP/1.1 200 OK\r\nContent-Ty');
    if (fault?.kind === 'silence') await closed;
    if (fault?.kind === 'answer' || fault?.kind === 'half-head' || fault?.kind === 'silence') return true;
    if (fault?.kind === 'lost') return lose(passage, fault);
    if (fault?.kind === 'delay') await Promise.race([sleep(fault.ms), closed]);
    const concealed = new Set([...hidden].map((api) => concealment(api, record.path)));
    concealed.delete('none');
    if (concealed.size === 0) {
      const from = await ask(passage);
      record.status = from.statusCode;
      const struck = await relay(from, {
        to: response,
        closed,
        fault: fault?.kind === 'delay' ? undefined : fault,
        reset: () => resetBehind(response),
        count: (bytes) => {
          record.bytes += bytes;
        },
      });
      return struck || fault?.kind === 'delay';
    }
    record.fault = 'hidden';
    if (concealed.has('absent')) answer(passage, absent);
    else await edit(passage);
    return fault?.kind === 'delay';
  }

  /** Lets the server take the request, and keeps the answer. */
  async function lose(passage: Passage, { how, lateMs }: WireFault & { readonly kind: 'lost' }): Promise<boolean> {
    // Read at once: of a client that goes there is nothing left to read.
    passage.body ??= Buffer.concat(await passage.request.toArray());
    if (lateMs !== undefined) await sleep(lateMs);
    const answered = await ask(passage, {}, { isOrphan: true });
    await answered.toArray();
    if (how === 'reset') resetClient(passage.response);
    return true;
  }

  /**
   * Sends the request on and resolves with the answer's head; resets the client when the server does not answer. Without its
   * client it is broken off, unless it is an orphan.
   */
  async function ask(
    { request, response, closed, body }: Passage,
    instead: Readonly<Record<string, string>> = {},
    { isOrphan } = { isOrphan: false },
  ): Promise<IncomingMessage> {
    const options = {
      method: request.method ?? 'GET',
      path: request.url ?? '/',
      headers: [...endToEnd(request.rawHeaders, Object.keys(instead)), ...Object.entries(instead).flat()],
      hostname: target.hostname,
      port: target.port,
      agent: false,
    };
    const call =
      target.protocol === 'https:' ? https.request({ ...options, ca: upstream.authority }) : http.request(options);
    call.on('socket', (socket) => {
      servers.add(socket);
      socket.on('close', () => servers.delete(socket));
    });
    if (!isOrphan) void closed.then(() => call.destroy());
    if (body === undefined) {
      request.pipe(call);
      request.on('error', () => call.destroy());
    } else {
      call.end(body);
    }
    const [answered] = (await once(call, 'response')) as [IncomingMessage];
    call.on('error', () => {}); // from here on the answer's body says what went wrong
    response.on('error', () => {});
    return answered;
  }

  /** Passes a discovery document on without what is hidden. */
  async function edit(passage: Passage): Promise<void> {
    // Neither compressed nor aggregated: the document is to be read here, and every client understands the plain one.
    const answered = await ask(passage, { accept: 'application/json', 'accept-encoding': 'identity' });
    let document: unknown = JSON.parse(Buffer.concat(await answered.toArray()).toString());
    for (const api of hidden) document = document === undefined ? undefined : concealIn(document, api);
    if (document === undefined) answer(passage, absent);
    else answer(passage, { kind: 'answer', status: answered.statusCode ?? 502, body: document as object });
  }

  return {
    url: `${secure ? 'https' : 'http'}://127.0.0.1:${port}`,
    authority: certificate?.authority ?? '',
    requests,
    matching: (match) => requests.filter((request) => matches(match, request)),
    forget: () => void requests.splice(0),
    add: (rule) => {
      const entry = { rule, passing: rule.after ?? 0, left: rule.times ?? Number.POSITIVE_INFINITY };
      rules.push(entry);
      return () => {
        entry.left = 0;
      };
    },
    hide: (api) => {
      const entry = { ...api };
      hidden.add(entry);
      return () => void hidden.delete(entry);
    },
    lift: () => {
      rules.splice(0);
      refusals.splice(0);
      hidden.clear();
    },
    refuseNext: (struck = () => {}) => void refusals.push(struck),
    upstreamSockets: () => servers.size,
    clientSockets: () => clients.size,
    reset: resetAll,
    away: async () => {
      const closed = once(door, 'close');
      door.close();
      resetAll();
      await closed;
    },
    back: () => listen(port),
    close: async () => {
      if (door.listening) door.close();
      resetAll();
      server.close();
      server.closeAllConnections();
      for (const socket of servers) socket.destroy();
    },
  };
}

function matches(match: RequestMatch, request: PassedRequest): boolean {
  return matchesHead(match, request) && (match.body === undefined || match.body.test(request.body ?? ''));
}

function matchesHead({ method, path, query = {} }: RequestMatch, request: PassedRequest): boolean {
  return (
    (method === undefined || method === request.method) &&
    (path === undefined || path.test(request.path)) &&
    Object.entries(query).every(([name, value]) => value.test(request.query.get(name) ?? ''))
  );
}

function answer({ request, response, record }: Passage, fault: WireFault & { readonly kind: 'answer' }): void {
  request.resume();
  const text = typeof fault.body === 'string';
  const body = text ? (fault.body as string) : `${JSON.stringify(fault.body)}\n`;
  record.status = fault.status;
  record.bytes = Buffer.byteLength(body);
  response.writeHead(fault.status, {
    'Content-Type': text ? 'text/plain' : 'application/json',
    'Content-Length': record.bytes,
    ...fault.headers,
  });
  response.end(body);
}

/** The subject of a JWT, unverified: it is only for the record. */
function bearer(authorization: string | undefined): string {
  const claims = /^Bearer [^.]+\.([^.]+)\./.exec(authorization ?? '')?.[1];
  try {
    const { sub } = JSON.parse(Buffer.from(claims ?? '', 'base64url').toString()) as { sub?: string };
    return sub ?? '';
  } catch {
    return '';
  }
}
