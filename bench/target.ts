/** Where requests of the benchmark go, and as whom: rungate, or the API server with rungate's own rights. */
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import type { World } from '../test/support/world.ts';

/** A server and what every request to it carries. */
export interface Target {
  /** `http://host:port` or `https://host:port`. */
  readonly origin: string;
  readonly headers: Readonly<Record<string, string>>;
  /** PEM of the authority that vouches for an HTTPS server. */
  readonly authority?: string;
}

/** The rungate of a world, with its caller's credentials. */
export function rungateOf({ gateway }: World): Target {
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

/** Sends a GET on a connection of its own and resolves with the answer's head. Throws on any status but 200. */
export async function open({ origin, headers, authority }: Target, path: string): Promise<IncomingMessage> {
  const url = origin + path;
  const call = authority
    ? https.get(url, { agent: false, headers, ca: authority })
    : http.get(url, { agent: false, headers });
  const [answer] = (await once(call, 'response')) as [IncomingMessage];
  call.on('error', () => {}); // from here on whoever reads the answer is told
  if (answer.statusCode === 200) return answer;
  throw new Error(`GET ${path} is answered ${answer.statusCode}: ${Buffer.concat(await answer.toArray())}`);
}
