/** Where requests of the benchmark go, and as whom: rungate, or the API server with rungate's own rights. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { eventually } from '../test/support/eventually.ts';
import type { World } from '../test/support/world.ts';

/** A server and what every request to it carries. */
export interface Target {
  /** `http://host:port` or `https://host:port`. */
  readonly origin: string;
  readonly headers: Readonly<Record<string, string>>;
  /** PEM of the authority that vouches for an HTTPS server. */
  readonly authority?: string;
  /** PEM of the certificate and key of a caller who has no token. */
  readonly certificate?: { readonly cert: string; readonly key: string };
}

/** The rungate of a world, with its caller's credentials. */
export function rungateOf({ gateway }: Pick<World, 'gateway'>): Target {
  const { username, password } = gateway.credentials;
  return {
    origin: gateway.url,
    headers: { Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` },
  };
}

/** The API server, asked directly by the same ServiceAccount that rungate asks it as. */
export function apiServerOf({ kubeconfig, admin }: World): Target {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const token = config.getCurrentUser()?.token ?? '';
  return { origin: admin.server, headers: { Authorization: `Bearer ${token}` }, authority: admin.authority };
}

/** Whatever API server a kubeconfig names, as the user it names. */
export async function administratorOf(kubeconfig: string): Promise<Target> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const identity: https.RequestOptions = {};
  await config.applyToHTTPSOptions(identity);
  const { headers, ca, cert, key } = identity;
  return {
    origin: config.getCurrentCluster()?.server ?? '',
    headers: Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)])),
    authority: String(ca),
    ...(cert === undefined || key === undefined ? {} : { certificate: { cert: String(cert), key: String(key) } }),
  };
}

/** Sends a GET on a connection of its own and resolves with the answer's head. Throws on any status but 200. */
export async function open(target: Target, path: string): Promise<IncomingMessage> {
  return send(target, 'GET', path);
}

/** POSTs an object. Throws unless it is created. */
export async function post(target: Target, path: string, object: object): Promise<void> {
  await (await send(target, 'POST', path, JSON.stringify(object))).toArray();
}

/** Waits until the condition `Succeeded` of the run at `path` is True; throws when that takes long. */
export async function untilDone(target: Target, path: string): Promise<void> {
  await eventually(
    async () => {
      const { status } = JSON.parse(Buffer.concat(await (await open(target, path)).toArray()).toString()) as {
        readonly status?: { readonly conditions?: readonly { readonly status: string }[] };
      };
      assert.equal(status?.conditions?.[0]?.status, 'True');
    },
    { withinMs: 120_000, everyMs: 200 },
  );
}

/** Deletes what is at `path`: an object or a collection. Throws when that is refused. */
export async function remove(target: Target, path: string): Promise<void> {
  await (await send(target, 'DELETE', path)).toArray();
}

async function send(
  { origin, headers, authority, certificate }: Target,
  method: string,
  path: string,
  body?: string,
): Promise<IncomingMessage> {
  const options = {
    agent: false,
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
  } as const;
  const call = authority
    ? https.request(origin + path, { ...options, ca: authority, ...certificate })
    : http.request(origin + path, options);
  call.end(body);
  const [answer] = (await once(call, 'response')) as [IncomingMessage];
  call.on('error', () => {}); // from here on whoever reads the answer is told
  if (answer.statusCode === 200 || answer.statusCode === 201) return answer;
  throw new Error(`${method} ${path} is answered ${answer.statusCode}: ${Buffer.concat(await answer.toArray())}`);
}
