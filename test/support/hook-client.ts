/**
 * What notification-controller does with an event and a Provider of type `generic` or `generic-hmac`: the bytes it sends, on a
 * fresh connection, and how long it goes on. https://fluxcd.io/flux/components/notification/providers/#generic-webhook
 */
import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { type EventBody, goJson } from './hook-events.ts';
import { RawClient } from './raw-http.ts';

/** A Provider and its Secrets. */
export interface Provider {
  /** `spec.address`. */
  readonly address: string;
  /** The key `token` of its Secret, byte for byte: there is a signature. */
  readonly token?: string | Buffer;
  /** The key `headers` of its Secret. */
  readonly headers?: Readonly<Record<string, string>>;
  /** `certSecretRef`: `ca`, and `cert` and `key` of a client that shows who it is. */
  readonly tls?: Pick<ConnectionOptions, 'ca' | 'cert' | 'key'>;
  /** `spec.timeout`, for all attempts together; 15 s unless told. */
  readonly timeoutMs?: number;
}

/** An answer, read whole. */
export interface HookAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** The body as JSON; throws when it is none. */
  json<T>(): T;
}

/** What may be otherwise than notification-controller does it. */
export interface PostOptions {
  /** Replaces the header, or leaves it out. */
  readonly component?: string | undefined;
  readonly method?: string;
  /** The Host header, for a Service that leads to rungate. */
  readonly host?: string;
  /** Lines of header that stand behind all others, as they are: for those that come twice or badly. */
  readonly more?: readonly string[];
}

/** One attempt: POSTs these bytes once. Undefined when the connection ended without an answer. */
export async function postOnce(
  provider: Provider,
  body: EventBody | string | Buffer,
  options: PostOptions = {},
): Promise<HookAnswer | undefined> {
  const { method = 'POST' } = options;
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : goJson(body));
  const component = 'component' in options ? options.component : componentOf(body);
  const headers: Record<string, string> = { 'Content-Type': 'application/json' };
  if (component !== undefined) headers['Gotk-Component'] = component;
  Object.assign(headers, provider.headers);
  if (provider.token !== undefined) headers['X-Signature'] = signatureOf(provider.token, bytes);
  const url = new URL(provider.address);
  const head = [
    `${method} ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${options.host ?? url.host}`,
    'User-Agent: Go-http-client/1.1',
    ...('Content-Length' in headers ? [] : [`Content-Length: ${bytes.length}`]),
    // Go writes them in the order of their names, and its own last.
    ...Object.entries(headers)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, value]) => `${name}: ${value}`),
    ...(options.more ?? []),
    'Accept-Encoding: gzip',
    '\r\n',
  ].join('\r\n');
  const client = new RawClient(provider.address, provider.tls);
  const outcome = await client.ask(Buffer.concat([Buffer.from(head, 'latin1'), bytes]), { method, withinMs: 30_000 });
  client.close();
  if (outcome.is !== 'answered') return undefined;
  const { status, headers: answered, body: raw } = outcome.answer;
  const text = (answered['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString();
  return { status, headers: answered, text, json: () => JSON.parse(text) };
}

/** `X-Signature` of a body. */
export function signatureOf(token: string | Buffer, body: string | Buffer, algorithm = 'sha256'): string {
  return `${algorithm}=${createHmac(algorithm, token).update(body).digest('hex')}`;
}

/** How a notification ended. */
export interface Notified {
  /** The statuses of its attempts; `undefined` where the connection ended without one. */
  readonly attempts: readonly (number | undefined)[];
  readonly isDelivered: boolean;
  readonly last: HookAnswer | undefined;
}

/** Attempts after the first, and the shortest and longest wait before one. */
const RETRIES = 4;
const [SHORTEST_MS, LONGEST_MS] = [2_000, 30_000];
const TIMEOUT_MS = 15_000;

/** How a notification is not quite as notification-controller would have it. */
export interface NotifyOptions {
  /** Divides every wait. */
  readonly haste?: number;
  /** Where to, for each attempt; the Provider's address unless told. */
  readonly at?: () => string;
  /** Milliseconds of a clock, for the time that attempts take. */
  readonly now?: () => number;
}

/**
 * Delivers an event as notification-controller does: tries again where the connection fails, after 429, and after 5xx but 501,
 * as long as the Provider's time lasts. Waits as `Retry-After` says, else 2, 4, 8 and 16 s.
 */
export async function notify(
  provider: Provider,
  body: EventBody | string | Buffer,
  { haste = 1, at = () => provider.address, now = () => performance.now() }: NotifyOptions = {},
): Promise<Notified> {
  let leftMs = provider.timeoutMs ?? TIMEOUT_MS;
  const attempts: (number | undefined)[] = [];
  for (;;) {
    const beganAt = now();
    const last = await postOnce({ ...provider, address: at() }, body).catch(() => undefined);
    attempts.push(last?.status);
    const mayRetry = last === undefined || last.status === 429 || (last.status >= 500 && last.status !== 501);
    if (!mayRetry) return { attempts, isDelivered: last.status < 300, last };
    const wait = Math.min(LONGEST_MS, SHORTEST_MS * 2 ** (attempts.length - 1));
    const asked = Number(last?.headers['retry-after'] ?? Number.NaN);
    const waitMs = Number.isInteger(asked) && [429, 503].includes(last?.status ?? 0) ? asked * 1_000 : wait;
    leftMs -= now() - beganAt + waitMs;
    if (attempts.length > RETRIES || leftMs <= 0) return { attempts, isDelivered: false, last };
    await sleep(waitMs / haste);
  }
}

function componentOf(body: EventBody | string | Buffer): string | undefined {
  return typeof body === 'string' || Buffer.isBuffer(body) ? undefined : body.reportingController;
}
