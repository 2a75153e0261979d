/** The API server: a handler for requests, and the listener that speaks HTTPS on this machine alone. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Log } from '../../log.ts';
import { internal, StatusError } from '../status.ts';
import type { Access } from './admission.ts';
import { sendObject, setWarnings } from './answer.ts';
import type { ServingCertificate } from './certificate.ts';
import { askingOf, Exchange } from './exchange.ts';
import { formForStatus } from './negotiate.ts';
import { askedFor, attributesOf } from './request.ts';
import type { ServeResource } from './resources.ts';
import type { ServePath } from './roots.ts';

/** What answers requests. */
export interface HandlerParts {
  readonly access: Access;
  readonly serveResource: ServeResource;
  /** Everything that is no resource. */
  readonly servePath: ServePath;
  readonly log: Log;
}

/** Makes the handler: who, whether they may, what, and every error as a Status. */
export function apiHandler(parts: HandlerParts): RequestListener {
  return (request, response) => {
    void answer(parts, request, response);
  };
}

async function answer(
  { access, serveResource, servePath, log }: HandlerParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader('Audit-Id', request.headers['audit-id'] ?? randomUUID());
  response.setHeader('Cache-Control', 'no-cache, private');
  const url = new URL(request.url ?? '/', 'https://sandbox');
  // A path that begins with two slashes is no host name.
  if (request.url?.startsWith('//')) url.pathname = request.url.split('?')[0] ?? '/';
  let exchange: Exchange | undefined;
  try {
    const asked = askedFor(url.pathname, url.searchParams);
    const caller = access.callerOf(request.headers);
    exchange = new Exchange(request, response, url, caller);
    access.require(caller, attributesOf(asked, exchange.method, exchange.query));
    if (asked.of === 'resource') await serveResource(exchange, asked);
    else await servePath(exchange, asked.path);
  } catch (error) {
    const refusal = error instanceof StatusError ? error : internal('the sandbox failed; its log says why');
    if (refusal !== error) {
      const said = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log.error('a request failed', { method: request.method, path: url.pathname, error: said });
    }
    await refuse(refusal, { request, response, url, warnings: exchange?.warnings ?? new Set() });
  }
}

async function refuse(
  refusal: StatusError,
  {
    request,
    response,
    url,
    warnings,
  }: { request: IncomingMessage; response: ServerResponse; url: URL; warnings: ReadonlySet<string> },
): Promise<void> {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (refusal.details?.retryAfterSeconds !== undefined) {
    response.setHeader('Retry-After', String(refusal.details.retryAfterSeconds));
  }
  setWarnings(response, warnings);
  // What is left of a body that was not read would be taken for the next request.
  if (!request.complete) response.setHeader('Connection', 'close');
  const form = formForStatus(askingOf(request, url.searchParams));
  await sendObject({ response, form, acceptEncoding: undefined }, refusal.code, refusal.toStatus());
}

/** A server that listens. */
export interface Listening {
  readonly port: number;
  /** Ends every connection and resolves when all are gone. */
  close(): Promise<void>;
}

/** The one address it is served on. */
export const LOOPBACK = '127.0.0.1';

/** Listens on loopback; port 0 takes any that is free. Rejects when the port is taken. */
export async function listen(
  handler: RequestListener,
  { port, certificate }: { readonly port: number; readonly certificate: ServingCertificate },
): Promise<Listening> {
  const server = createServer(
    {
      key: certificate.key,
      cert: certificate.certificate,
      keepAliveTimeout: 120_000,
      headersTimeout: 30_000,
      requestTimeout: 60_000,
      maxHeaderSize: 64 * 1024,
    },
    handler,
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: LOOPBACK }, () => resolve());
  });
  server.removeAllListeners('error');
  return { port: portOf(server), close: () => close(server) };
}

function portOf(server: Server): number {
  const address = server.address() as AddressInfo; // a server that listens on a port has one
  return address.port;
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
