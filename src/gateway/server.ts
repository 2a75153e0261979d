/** Listening: sockets, their limits, TLS, and the end of both. */
import { readFile } from 'node:fs/promises';
import {
  createServer as createHttpServer,
  type RequestListener,
  type Server,
  type ServerOptions,
  STATUS_CODES,
} from 'node:http';
import { createServer as createHttpsServer, Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import type { Part } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { ProblemCode } from './described/schemas/problem.ts';
import { answers, problemFields } from './problem.ts';

/** Where and how to listen. */
export interface ListenOptions {
  /** For log lines and for the sentence when the port is taken. */
  readonly name: string;
  /** The setting to change when it is. */
  readonly portSetting: string;
  readonly port: number;
  /** Where `port` is taken, listen on any free one instead, so that a demo starts beside whatever runs there. */
  readonly anyPort?: boolean;
  /** All addresses when absent. */
  readonly host?: string | undefined;
  /** The setting to change when `host` is no address of this machine; HOST unless told. */
  readonly hostSetting?: string;
  /** PEM files; with them HTTPS is spoken. Read again every minute, because certificates are renewed in place. */
  readonly tls?: TlsFiles | undefined;
  readonly handler: RequestListener;
  /** The classes of requests and answers, where the handler wants its own. */
  readonly messages?: Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'> | undefined;
  readonly limits?: SocketLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'limited' | 'level' | 'reload'>;
}

/** PEM files of a server that speaks TLS. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** The authorities of client certificates. With it clients are asked for one, and served without one as well. */
  readonly clientCaFile?: string | undefined;
}

/** A listening part, and the port it has found. */
export interface Listener extends Part {
  /** The bound port; differs from the one asked for where that was 0. Only after `start`. */
  port(): number;
}

/** What one client may send, and how slowly. The settings are explained in src/settings.ts. */
export interface SocketLimits {
  readonly maxHeaderBytes: number;
  readonly headerSeconds: number;
  readonly idleSeconds: number;
  /** How long a client may leave an answer unread; for as long as it likes when absent. */
  readonly slowClientSeconds?: number;
  /** As many as the system allows when absent. */
  readonly maxConnections?: number;
}

/** Where nobody says otherwise. */
const USUAL_LIMITS: SocketLimits = { maxHeaderBytes: 16 * 1024, headerSeconds: 15, idleSeconds: 75 };
/** Streams watch their clients themselves and say more about it; this is for all other answers, and comes after. */
const SLOWER_THAN_STREAMS_MS = 1_001;
/** Whoever is slower with a body is cut off: those that are read have less time, and their readers say so. */
const BODY_MS = 31_000;

/**
 * Limits as Node has them. There is none on how long an answer takes: long polls and log streams last as long as they were
 * asked to.
 */
function serverOptions({ maxHeaderBytes, headerSeconds, idleSeconds }: SocketLimits): ServerOptions {
  const headersTimeout = headerSeconds * 1000;
  return {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout,
    requestTimeout: headersTimeout + BODY_MS,
    connectionsCheckingInterval: Math.min(headersTimeout / 2, 5_000), // Node looks no more often at who is late
    requireHostHeader: false, // the handler says what is wrong with a request, in JSON
    keepAliveTimeout: idleSeconds * 1000,
    keepAlive: true, // TCP probes find clients that have vanished from an idle stream
    keepAliveInitialDelay: 15_000,
  };
}

const CERTIFICATE_CHECK_MS = 60_000;

/**
 * Makes the part that listens. `start` rejects with a Fault whose sentence names the setting when the port is taken or
 * the certificate cannot be used; `stop` closes the listener and then every connection, so drain before it.
 */
export function createListener(options: ListenOptions): Listener {
  const { name, port, host, tls, handler, messages = {}, limits = USUAL_LIMITS, clock, log, metrics } = options;
  const settings = { ...serverOptions(limits), ...messages };
  const stopped = new AbortController();
  let server: Server | HttpsServer | undefined;

  return {
    name,
    async start() {
      const pair = tls && (await readPair(tls));
      server = pair ? serveHttps({ ...settings, ...pair }, handler) : createHttpServer(settings, handler);
      server.on('clientError', refuseMalformed);
      server.on('checkExpectation', handler); // RFC 9110, 10.1.1: what else is expected may be ignored
      boundConnections(server, limits.maxConnections, { clock, log, metrics });
      dropSlowClients(server, limits.slowClientSeconds, { log, metrics });
      await listen(server, options);
      // A connection that cannot be accepted (too many open files) is that caller's loss, not the end of the process.
      server.on('error', (error) => log.error('a connection was not accepted', { part: name, error: reason(error) }));
      log.info('listening', { part: name, host: host ?? '*', port: boundPort(server), tls: tls !== undefined });
      if (tls && server instanceof HttpsServer)
        void renewCertificate(server, tls, { clock, log, metrics, signal: stopped.signal });
    },
    async stop() {
      stopped.abort();
      const listening = server;
      if (listening === undefined) return;
      await new Promise<void>((resolve) => {
        listening.close(() => resolve());
        listening.closeAllConnections();
      });
    },
    port: () => (server === undefined ? port : boundPort(server)),
  };
}

interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Of clients. */
  readonly ca?: Buffer;
}

async function readPair({ certFile, keyFile, clientCaFile }: TlsFiles): Promise<Pair> {
  try {
    const [cert, key, ca] = await Promise.all([
      readFile(certFile),
      readFile(keyFile),
      ...(clientCaFile === undefined ? [] : [readFile(clientCaFile)]),
    ]);
    return ca === undefined ? { cert, key } : { cert, key, ca };
  } catch (error) {
    const settings = `TLS_CERT_FILE${clientCaFile === undefined ? '' : ', TLS_CLIENT_CA_FILE'} and TLS_KEY_FILE`;
    throw new Fault('bad-request', `the TLS files cannot be read (${reason(error)}); see ${settings}`);
  }
}

function isSame(one: Pair | undefined, other: Pair): boolean {
  return (
    one !== undefined &&
    (['cert', 'key', 'ca'] as const).every((part) => {
      const [before, now] = [one[part], other[part]];
      return before === undefined || now === undefined ? before === now : before.equals(now);
    })
  );
}

function serveHttps(settings: ServerOptions & Pair, handler: RequestListener): HttpsServer {
  try {
    const { headersTimeout: handshakeTimeout = 0 } = settings;
    // Who has no certificate, or one of strangers, is served as well: what it is good for, the handler knows.
    const clients = settings.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: false };
    return createHttpsServer({ ...settings, ...clients, handshakeTimeout, minVersion: 'TLSv1.2' }, handler);
  } catch (error) {
    throw new Fault('bad-request', `TLS_CERT_FILE and TLS_KEY_FILE are not a pair we can use (${reason(error)})`);
  }
}

/** More connections than `most` are closed as they come: nothing of theirs is read, so there is nothing to answer. */
function boundConnections(
  server: Server | HttpsServer,
  most: number | undefined,
  { clock, log, metrics }: { clock: Clock; log: Log; metrics: Pick<Metrics, 'limited' | 'level'> },
): void {
  if (most === undefined) return;
  let open = 0;
  let told = Number.NEGATIVE_INFINITY;
  server.maxConnections = most;
  metrics.level('connections', () => open);
  server.on('connection', (socket: Socket) => {
    open += 1;
    socket.once('close', () => {
      open -= 1;
    });
  });
  server.on('drop', () => {
    metrics.limited('MAX_CONNECTIONS');
    if (clock.now() - told < 60_000) return; // a flood of connections must not become one of lines
    told = clock.now();
    log.warn('connections are refused: as many as MAX_CONNECTIONS allows are open', { open });
  });
}

/**
 * Closes connections on which an answer waits and nothing of it is taken. Node tells of every socket on which nothing has
 * moved: of those where nobody has anything to say yet, such as long polls, and of those kept alive, which it would close
 * itself if nobody listened.
 */
function dropSlowClients(
  server: Server | HttpsServer,
  seconds: number | undefined,
  { log, metrics }: { log: Log; metrics: Pick<Metrics, 'limited'> },
): void {
  if (seconds === undefined) return;
  const timeoutMs = seconds * 1000 + SLOWER_THAN_STREAMS_MS;
  server.setTimeout(timeoutMs, (socket: Socket) => {
    const isKeptAlive = socket.timeout !== timeoutMs;
    if (socket.writableLength > 0) {
      metrics.limited('SLOW_CLIENT_SECONDS');
      log.warn('a client was dropped: it takes nothing', { client: socket.remoteAddress });
      socket.destroy();
    } else if (isKeptAlive) socket.destroy();
  });
}

/** A pair half written, or wrong, leaves the one before in use and is tried again. */
async function renewCertificate(
  server: HttpsServer,
  files: TlsFiles,
  parts: { clock: Clock; log: Log; metrics: Pick<Metrics, 'reload'>; signal: AbortSignal },
): Promise<void> {
  const { clock, log, metrics, signal } = parts;
  let inUse = await readPair(files).catch(() => undefined);
  for (;;) {
    await clock.sleep(CERTIFICATE_CHECK_MS, signal);
    if (signal.aborted) return;
    try {
      const pair = await readPair(files);
      if (isSame(inUse, pair)) continue;
      server.setSecureContext({ ...pair, minVersion: 'TLSv1.2' });
      inUse = pair;
      metrics.reload('TLS_CERT_FILE', 'taken');
      log.info('certificate renewed');
    } catch (error) {
      metrics.reload('TLS_CERT_FILE', 'refused');
      log.warn('certificate not renewed', { error: reason(error) });
    }
  }
}

async function listen(server: Server | HttpsServer, options: ListenOptions): Promise<void> {
  const { name, port, host, portSetting, hostSetting = 'HOST', anyPort = false } = options;
  try {
    await bound(port);
  } catch (error) {
    // Only listening fails here, and Node gives its errors a code.
    const failure = error as NodeJS.ErrnoException;
    if (!anyPort || failure.code !== 'EADDRINUSE') throw cannotListen(failure);
    await bound(0).catch((again: NodeJS.ErrnoException) => Promise.reject(cannotListen(again)));
  }

  function bound(wanted: number): Promise<void> {
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port: wanted, host }, () => {
        server.removeListener('error', reject);
        resolve();
      });
    });
  }

  function cannotListen(error: NodeJS.ErrnoException): Fault {
    const place = host === undefined ? `port ${port}` : `port ${port} of ${host}`;
    const why: Readonly<Record<string, string>> = {
      EADDRINUSE: `${place} is in use by another program; stop it or set ${portSetting}`,
      EACCES: `${place} is not allowed to us; set ${portSetting} to one above 1023`,
      EADDRNOTAVAIL: `${host} is no address of this machine; change ${hostSetting}`,
      ENOTFOUND: `${host} is no address of this machine; change ${hostSetting}`,
    };
    const sentence = why[error.code ?? ''] ?? `${name} cannot listen on ${place}: ${error.message}`;
    return new Fault('refused', sentence, { cause: error });
  }
}

function boundPort(server: Server | HttpsServer): number {
  // An HTTP server that listens on a port has an address object; only pipes have a string.
  return (server.address() as AddressInfo).port;
}

/** What Node's parser refuses never reaches the app; the caller gets a body all the same. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket | NodeJS.WritableStream): void {
  // Where something was answered already, an answer may be under way: what is written now would stand in the middle of it.
  const wasAnswered = 'bytesWritten' in socket && socket.bytesWritten > 0;
  // A certificate that is forged: in TLS nothing can be said that its sender would read.
  const isOfTls = error.code?.startsWith('ERR_SSL_') ?? false;
  if (!socket.writable || error.code === 'ECONNRESET' || isOfTls || wasAnswered) {
    if ('destroy' in socket) socket.destroy();
    return;
  }
  const [code, sentence] = malformed(error.code);
  const { status } = answers[code];
  const body = JSON.stringify(problemFields(code, sentence, undefined));
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Connection: close',
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
  );
}

function malformed(code: string | undefined): readonly [code: ProblemCode, sentence: string] {
  if (code === 'HPE_HEADER_OVERFLOW') return ['headers-too-large', 'the request headers are too large'];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return ['too-slow', 'the request came too slowly'];
  return ['bad-request', 'this is not a valid HTTP request'];
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
