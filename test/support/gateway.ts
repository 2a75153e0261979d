/** The real rungate as a child process, and the clients that tests put in front of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs';
import http, { type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { eventually } from './eventually.ts';

/** The folder of the checkout. */
export const checkout = new URL('../../', import.meta.url).pathname;

/** Name and password; `none` sends no credentials. */
export type Credentials = { readonly username: string; readonly password: string } | 'none';

/** How to ask. */
export interface AskOptions {
  readonly as?: Credentials;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A whole answer. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly trailers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
  readonly text: string;
  /** The body as JSON; throws when it is none. */
  json<T>(): T;
}

/** An answer that is still arriving. */
export interface LiveAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Empty until the end. */
  readonly trailers: Readonly<Record<string, string | undefined>>;
  /** What came, with `performance.now()` of each piece. */
  readonly pieces: readonly { readonly at: number; readonly bytes: Buffer }[];
  bytes(): Buffer;
  text(): string;
  /** `complete` with the last chunk, `unfinished` without it. */
  readonly state: 'open' | 'complete' | 'unfinished';
  /** Resolves when the state is no longer `open`. */
  ended(): Promise<'complete' | 'unfinished'>;
  /** Stops reading, so that the socket's buffers fill; `resume` goes on. */
  pause(): void;
  resume(): void;
  /** Hangs up. */
  close(): void;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running gateway. */
export interface Gateway {
  /** `http://127.0.0.1:port` of the API. */
  readonly url: string;
  /** The same of metrics and probes. */
  readonly metricsUrl: string;
  readonly credentials: { readonly username: string; readonly password: string };
  readonly pid: number;
  /** Where its standard output and error go; `log` reads it. */
  readonly logFile: string;
  log(): string;
  /** Asks and waits for the whole answer. */
  get(path: string, options?: AskOptions): Promise<Answer>;
  /** Asks and resolves with the head; what follows is collected as it comes. */
  stream(path: string, options?: AskOptions): Promise<LiveAnswer>;
  /** The metrics page. */
  metrics(): Promise<string>;
  /** The value of one series (`name{label="x"}` as it is printed); 0 when absent. */
  metric(series: string): Promise<number>;
  /** Resolves when the process has ended. */
  readonly exit: Promise<Exit>;
  /** Sends a signal (SIGTERM unless told) and resolves when the process has ended. Calling it again is harmless. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
}

const children = new Set<ChildProcess>();
// Whatever way this process ends, short of SIGKILL, none of its gateways may stay behind.
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Between the ports of other servers here and those of NodePorts; the kernel hands out ports from 32768 (on other systems, higher). */
const [FIRST_PORT, PORTS] = [20_000, 10_000];
/** Each process begins in a place of its own. */
let lastPort = (process.pid * 101) % PORTS;

/**
 * A port that was free a moment ago, and another one each time. Who asks the kernel for any port, as many do all the time, does not
 * get it.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS; tries++) {
    lastPort = (lastPort + 1) % PORTS;
    const port = FIRST_PORT + lastPort;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port is free from ${FIRST_PORT} to ${FIRST_PORT + PORTS - 1}`);
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/**
 * Starts `bin/rungate.js` with the flags `args` and with `env` added to a small environment, its output going to `logFile`, and resolves when it
 * is ready. It is the gateway alone unless `env` says PARTS; without the gateway nothing answers at `url`. `ready: false`
 * only waits until it answers at all. Throws with the end of its log when it does not come up.
 */
export async function startGateway(start: GatewayStart): Promise<Gateway> {
  const { env, logFile } = start;
  for (let tries = 1; ; tries++) {
    const before = existsSync(logFile) ? statSync(logFile).size : 0;
    try {
      return await startOnce(start);
    } catch (error) {
      // A port that was free may be somebody else's by now; those of `env` are what the test wants.
      const isTaken = /is in use by another program/.test((error as Error).message);
      if (!isTaken || tries === 5 || 'PORT' in env || 'METRICS_PORT' in env) throw error;
      truncateSync(logFile, before);
    }
  }
}

/** What a gateway is started with. */
interface GatewayStart {
  readonly args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly ready?: boolean;
}

async function startOnce({ args = [], env, logFile, ready = true }: GatewayStart): Promise<Gateway> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const credentials = { username: 'ci', password: 'correct horse' };
  const output = openSync(logFile, 'a');
  const child = spawn(process.execPath, [`${checkout}bin/rungate.js`, ...args], {
    // Not ours: what a person's shell sets must not reach the program under test.
    env: {
      PATH: process.env.PATH,
      HOME: '/nonexistent',
      HOST: '127.0.0.1',
      PORT: String(port),
      METRICS_PORT: String(metricsPort),
      AUTH_USERNAME: credentials.username,
      AUTH_PASSWORD: credentials.password,
      PARTS: 'gateway',
      LOG_LEVEL: 'debug',
      ...env,
    },
    stdio: ['ignore', output, output],
  });
  children.add(child);
  const exit = new Promise<Exit>((resolve) => {
    child.on('close', (code, signal) => {
      children.delete(child);
      resolve({ code, signal });
    });
  });
  const url = `http://127.0.0.1:${port}`;
  const metricsUrl = `http://127.0.0.1:${metricsPort}`;
  const log = () => readFileSync(logFile, 'utf8');

  try {
    await eventually(
      async () => {
        if (child.exitCode !== null) return;
        const { status } = await whole(await ask(`${metricsUrl}${ready ? '/readyz' : '/livez'}`, { as: 'none' }));
        if (status !== 200) throw new Error(`/readyz answers ${status}`);
        if ((env.PARTS ?? 'gateway').includes('gateway')) await whole(await ask(`${url}/health`, { as: 'none' }));
      },
      { withinMs: 120_000 },
    );
    if (child.exitCode !== null) throw new Error(`rungate ended with exit code ${child.exitCode}`);
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`rungate did not come up:\n${log().slice(-4000)}`, { cause: error });
  }

  const metrics = async () => (await whole(await ask(`${metricsUrl}/metrics`, { as: 'none' }))).text;
  return {
    url,
    metricsUrl,
    credentials,
    pid: child.pid ?? 0,
    logFile,
    log,
    get: async (path, options) => whole(await ask(url + path, { as: credentials, ...options })),
    stream: async (path, options) => live(await ask(url + path, { as: credentials, ...options })),
    metrics,
    metric: async (series) => {
      const line = (await metrics()).split('\n').find((each) => each.startsWith(`${series} `));
      return line === undefined ? 0 : Number(line.slice(series.length + 1));
    },
    exit,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return exit;
    },
  };
}

/** Sends one request on a connection of its own and resolves with the answer's head. */
export async function ask(
  url: string,
  { as = 'none', method = 'GET', headers = {} }: AskOptions = {},
): Promise<IncomingMessage> {
  const call = http.request(url, {
    method,
    agent: false,
    headers: { ...(as === 'none' ? {} : { Authorization: basic(as) }), ...headers },
  });
  call.end();
  const [answered] = (await once(call, 'response')) as [IncomingMessage];
  call.on('error', () => {}); // from here on the answer itself says that it broke off
  return answered;
}

function basic({ username, password }: Exclude<Credentials, 'none'>): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

async function whole(answered: IncomingMessage): Promise<Answer> {
  const body = Buffer.concat((await answered.toArray()) as Buffer[]);
  const text = body.toString();
  return {
    status: answered.statusCode ?? 0,
    headers: answered.headers,
    trailers: answered.trailers,
    body,
    text,
    json: () => JSON.parse(text),
  };
}

function live(answered: IncomingMessage): LiveAnswer {
  const pieces: { at: number; bytes: Buffer }[] = [];
  let state: LiveAnswer['state'] = 'open';
  answered.on('data', (bytes: Buffer) => pieces.push({ at: performance.now(), bytes }));
  answered.on('error', () => {}); // `close` follows
  const ended = new Promise<'complete' | 'unfinished'>((resolve) => {
    answered.once('close', () => {
      state = answered.complete ? 'complete' : 'unfinished';
      resolve(state);
    });
  });
  const bytes = () => Buffer.concat(pieces.map((piece) => piece.bytes));
  return {
    status: answered.statusCode ?? 0,
    headers: answered.headers,
    get trailers() {
      return answered.trailers;
    },
    pieces,
    bytes,
    text: () => bytes().toString(),
    get state() {
      return state;
    },
    ended: () => ended,
    pause: () => void answered.pause(),
    resume: () => void answered.resume(),
    close: () => void answered.destroy(),
  };
}
