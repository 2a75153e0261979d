/** The door of hooks on a real socket, in front of hooks that a test makes: no cluster, no Secrets but those that it is given. */
import { once } from 'node:events';
import http, { type IncomingHttpHeaders } from 'node:http';
import https from 'node:https';
import { type Clock, systemClock } from '../../src/clock.ts';
import { Fault } from '../../src/fault.ts';
import { buildApp, buildHookApp, messagesOf } from '../../src/gateway/app.ts';
import { createDrain } from '../../src/gateway/drain.ts';
import { deliveriesRoutes } from '../../src/gateway/hooks/deliveries.ts';
import { hookEntrance } from '../../src/gateway/hooks/entrance.ts';
import { createListener, type TlsFiles } from '../../src/gateway/server.ts';
import { createFront, type FrontSettings } from '../../src/hooks/front.ts';
import type { Hook } from '../../src/hooks/hook.ts';
import { namesIn } from '../../src/hooks/keys.ts';
import type { HookRequest } from '../../src/hooks/request.ts';
import { sign } from '../../src/hooks/signature.ts';
import type { LogFields } from '../../src/log.ts';
import { silentMetrics } from '../../src/metrics.ts';
import { openEntrance } from './entrance.ts';
import { oneCaller } from './one-caller.ts';

/** The key of every hook that has one, and the namespace that they are in. */
export const KEY = 'the key of the hook';
export const NAMESPACE = 'ci';

/** What a hook does with what it gets. */
export type Receive = Hook['receive'];

/** One answer. */
export interface DoorAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: JSON of which the test says what it is
  json(): any;
}

/** How to ask. */
export interface Asking {
  readonly path?: string;
  readonly method?: string;
  /** Names and values in turn, after those that notification-controller sends. */
  readonly more?: readonly string[];
  /** `undefined` leaves it out. */
  readonly type?: string | undefined;
  /** Signs with this key; `none` does not. */
  readonly key?: string;
  readonly tls?: https.RequestOptions;
}

/** A line of the log. */
export interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** A door. */
export interface HookDoor extends AsyncDisposable {
  readonly origin: string;
  /** Posts to `/hooks/ci/build` unless told, signed with `KEY`. */
  post(body: string | Buffer | object, asking?: Asking): Promise<DoorAnswer>;
  /** Puts a hook there, or takes the place of the one of its name. */
  hang(name: string, hook?: Partial<Hook>): void;
  /** The Secrets, by name. */
  readonly secrets: Map<string, Readonly<Record<string, string>>>;
  /** What the API server was asked for. */
  readonly reads: string[];
  /** What was delivered. */
  readonly received: HookRequest[];
  /** What owners were told: kind, reason and message. */
  readonly told: string[];
  readonly lines: Line[];
  /** `kind outcome` of each delivery that was counted. */
  readonly counted: string[];
  /** What is not known yet. */
  isWaiting: boolean;
  /** What Secrets cannot be read for. */
  fault: Fault | undefined;
  /** Begins to drain; resolves when no request is open. */
  drain(): Promise<void>;
}

/** What a door is like. */
export interface HookDoorOptions {
  readonly settings?: Partial<FrontSettings>;
  readonly takesHosts?: boolean;
  readonly clock?: Clock;
  readonly tls?: TlsFiles;
  /** Without: there are no callers. */
  readonly gateway?: boolean;
}

/** Opens a door with one hook, `build`, that creates a run of every delivery. */
export async function openHookDoor(options: HookDoorOptions = {}): Promise<HookDoor> {
  const { takesHosts = false, clock = systemClock, tls, gateway = true } = options;
  const hooks = new Map<string, Hook>();
  const lines: Line[] = [];
  const say =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push({ level, message, fields });
  const log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
  const counted: string[] = [];
  const metrics = {
    ...silentMetrics,
    hookDelivery: (kind: string, outcome: string) => void counted.push(`${kind} ${outcome}`),
  };
  const drain = createDrain(log);
  const settings: FrontSettings = {
    allowUnauthenticatedHooks: false,
    maxHookBytes: 1024 * 1024,
    hooksPerSecond: 10,
    hookBurst: 50,
    maxHooks: 64,
    ...options.settings,
  };
  const secrets = new Map<string, Readonly<Record<string, string>>>([['hook', { token: KEY }]]);
  const received: HookRequest[] = [];
  const told: string[] = [];
  const reads: string[] = [];
  const book = {
    find: ({ namespace, name }: { readonly namespace: string; readonly name: string }) =>
      door.isWaiting ? 'waiting' : namespace === NAMESPACE ? hooks.get(name) : undefined,
  } as const;
  const { door: entry, deliveries } = createFront({
    settings,
    book,
    reader: {
      async get(path) {
        reads.push(path);
        if (door.fault !== undefined) throw door.fault;
        const data = secrets.get(path.split('/').at(-1) ?? '');
        if (data === undefined) throw new Fault('not-found', 'no such object');
        const entries = Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
        return { data: Object.fromEntries(entries) };
      },
    },
    takesHosts,
    draining: drain.signal,
    clock,
    log,
    metrics,
  });
  const parts = {
    ...openEntrance(clock),
    drain,
    log,
    metrics,
    hooks: hookEntrance(entry, namesIn),
  };
  const app = gateway
    ? buildApp({
        ...parts,
        callers: oneCaller('anna', 'secret'),
        readiness: () => ({ ready: true, watches: [] }),
        routes: [deliveriesRoutes({ book, deliveries, served: [NAMESPACE] })],
        version: '1.2.3',
      })
    : buildHookApp(parts);
  const listener = createListener({
    name: 'api',
    portSetting: 'PORT',
    port: 0,
    host: '127.0.0.1',
    tls,
    handler: app,
    messages: messagesOf(app),
    clock,
    log,
    metrics,
  });
  await listener.start();
  const origin = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${listener.port()}`;

  const door: HookDoor = {
    origin,
    async post(
      body,
      { path = `/hooks/${NAMESPACE}/build`, method = 'POST', more = [], key = KEY, tls: with_ = {}, ...asking } = {},
    ) {
      const raw = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
      const type = 'type' in asking ? asking.type : 'application/json';
      const length =
        more.includes('Transfer-Encoding') || more.includes('Content-Length')
          ? []
          : ['Content-Length', String(raw.length)];
      const { host } = new URL(origin);
      const call = (tls === undefined ? http : https).request(new URL(path, origin), {
        method,
        agent: false,
        ...with_,
        headers: [
          ...(more.includes('Host') ? [] : ['Host', host]),
          ...(type === undefined ? [] : ['Content-Type', type]),
          ...length,
          ...more,
          ...(key === 'none' ? [] : ['X-Signature', sign(Buffer.from(key), raw)]),
        ],
      });
      call.end(raw);
      const [answer] = (await once(call, 'response')) as [http.IncomingMessage];
      call.on('error', () => {}); // the rest of a body that is not wanted
      const text = Buffer.concat(await answer.toArray()).toString();
      return { status: answer.statusCode ?? 0, headers: answer.headers, text, json: () => JSON.parse(text) };
    },
    hang(name, changes = {}) {
      const ref = { namespace: NAMESPACE, name };
      const receive: Receive =
        changes.receive ?? (async () => [{ trigger: name, outcome: 'created', pipelineRun: `${NAMESPACE}/run` }]);
      hooks.set(name, {
        kind: 'EventListener',
        ref,
        uid: `uid of ${name}`,
        secret: 'hook',
        wantsFluxEvent: false,
        tell: (type, reason, message) => void told.push(`${type} ${reason} ${message}`),
        ...changes,
        receive(request, signal) {
          received.push(request);
          return receive(request, signal);
        },
      });
    },
    secrets,
    reads,
    received,
    told,
    lines,
    counted,
    isWaiting: false,
    fault: undefined,
    drain: () => drain.stop(new AbortController().signal),
    [Symbol.asyncDispose]: () => listener.stop(AbortSignal.abort()),
  };
  door.hang('build');
  return door;
}
