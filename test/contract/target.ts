/** An API server that the contract is held against: the real one, or the sandbox. Bytes as they come, nothing interpreted. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { createInterface } from 'node:readline';
import { KubeConfig } from '@kubernetes/client-node';
import type { Json } from '../../src/sandbox/object.ts';

/** What to send besides method and path. */
export interface Sent {
  /** JSON unless it is a string, which is sent as it is. */
  readonly body?: Json | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Another caller than the administrator; '' sends no credentials at all. */
  readonly token?: string | undefined;
}

/** A whole answer. */
export interface Answer {
  readonly status: number;
  /** By lower-case name, each with every value it came with. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** Parsed when the answer is JSON, otherwise its text; undefined when it is empty. */
  readonly body: Json | undefined;
}

/** An answer under way, line by line. */
export interface Lines {
  readonly status: number;
  readonly headers: Answer['headers'];
  /** The next line; undefined when the server has ended the answer. Throws after four minutes without one. */
  next(): Promise<string | undefined>;
  close(): void;
}

/** One API server. */
export interface Target {
  readonly name: 'real' | 'sandbox';
  /** `host:port`, which some answers contain. */
  readonly address: string;
  request(method: string, path: string, sent?: Sent): Promise<Answer>;
  stream(path: string, sent?: Sent): Promise<Lines>;
  close(): void;
}

/** A line that does not come within this time will not come: as long as a real pod may take to start. */
const silenceMs = 240_000;

/** Opens the server that a kubeconfig names, as the user it names. */
export async function openTarget(name: Target['name'], kubeconfig: string): Promise<Target> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const server = config.getCurrentCluster()?.server;
  if (server === undefined) throw new Error(`${kubeconfig} has no current cluster`);
  const administrator: https.RequestOptions = {};
  await config.applyToHTTPSOptions(administrator);
  const { cert: _cert, key: _key, headers: _headers, agent: _agent, ...nobody } = administrator;
  const agents = { administrator: new https.Agent({ keepAlive: true }), others: new https.Agent({ keepAlive: true }) };

  async function begin(method: string, path: string, { body, headers = {}, token }: Sent): Promise<IncomingMessage> {
    const payload = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const identity =
      token === undefined
        ? { ...administrator, agent: agents.administrator }
        : { ...nobody, agent: agents.others, headers: token === '' ? {} : { Authorization: `Bearer ${token}` } };
    const call = https.request(server + path, {
      ...identity,
      method,
      headers: {
        ...identity.headers,
        ...(payload === undefined ? {} : { 'Content-Length': Buffer.byteLength(payload) }),
        ...(payload === undefined || typeof body === 'string' ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
    });
    call.end(payload);
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    return answer;
  }

  return {
    name,
    address: new URL(server).host,
    async request(method, path, sent = {}) {
      const answer = await begin(method, path, sent);
      const text = Buffer.concat(await answer.toArray()).toString();
      return {
        status: answer.statusCode ?? 0,
        headers: headersOf(answer),
        // Not by its type: the index of OpenAPI says that it is plain text.
        body: text === '' ? undefined : text.startsWith('{') ? (JSON.parse(text) as Json) : text,
      };
    },
    async stream(path, sent = {}) {
      const answer = await begin('GET', path, sent);
      const lines = createInterface({ input: answer })[Symbol.asyncIterator]();
      // Closing an answer under way is what a client does; nobody waits for the rest.
      answer.on('error', () => {});
      return {
        status: answer.statusCode ?? 0,
        headers: headersOf(answer),
        async next() {
          const silence = new AbortController();
          const timer = setTimeout(() => silence.abort(), silenceMs);
          const late = once(silence.signal, 'abort').then(() => {
            throw new Error(`${path}: nothing came for ${silenceMs / 1000} s`);
          });
          try {
            const { done, value } = await Promise.race([lines.next(), late]);
            return done ? undefined : value;
          } finally {
            clearTimeout(timer);
          }
        },
        close: () => answer.destroy(),
      };
    },
    close() {
      agents.administrator.destroy();
      agents.others.destroy();
    },
  };
}

function headersOf(answer: IncomingMessage): Answer['headers'] {
  return answer.headersDistinct as Record<string, string[]>;
}
