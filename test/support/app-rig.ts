/** The real app over stores filled by hand, and a log endpoint whose containers a test lets speak. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request as openRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import type { Clock } from '../../src/clock.ts';
import { systemClock } from '../../src/clock.ts';
import { Fault } from '../../src/fault.ts';
import { buildApp } from '../../src/gateway/app.ts';
import type { Caller } from '../../src/gateway/callers/callers.ts';
import { createDrain, type Drain } from '../../src/gateway/drain.ts';
import { createRuns } from '../../src/gateway/facts/gather.ts';
import { storedTriggers } from '../../src/gateway/facts/triggers.ts';
import { createCursors } from '../../src/gateway/logs/cursor.ts';
import { logsRoutes } from '../../src/gateway/logs/logs.ts';
import { createSpooling } from '../../src/gateway/logs/spool.ts';
import { runEventsRoutes } from '../../src/gateway/runs/runevents.ts';
import { runListRoutes } from '../../src/gateway/runs/runlist.ts';
import { runRoutes } from '../../src/gateway/runs/runs.ts';
import { statusRoutes } from '../../src/gateway/runs/status.ts';
import { taskRunRoutes } from '../../src/gateway/runs/taskruns.ts';
import { triggerRoutes } from '../../src/gateway/triggers/triggers.ts';
import type { StreamAnswer } from '../../src/kube/answers.ts';
import type { KubeReader } from '../../src/kube/client.ts';
import type { ExternalLogs } from '../../src/kube/externallogs.ts';
import type { JsonObject, Kept } from '../../src/kube/objects.ts';
import { createContainerLogs } from '../../src/kube/sharedlog.ts';
import { createStore } from '../../src/kube/store.ts';
import { silentLog } from '../../src/log.ts';
import { silentMetrics } from '../../src/metrics.ts';
import { projectCustomRun, projectPipelineRun, projectPod, projectTaskRun } from '../../src/tekton/project.ts';
import type { CustomRun, PipelineRun, Pod, TaskRun } from '../../src/tekton/types.ts';
import { projectTriggerSummary, type TriggerSummary } from '../../src/triggers/summary.ts';
import { openEntrance, wideLimits } from './entrance.ts';
import { objectsOf } from './facts.ts';
import { oneCaller } from './one-caller.ts';

/** All rigs have the same, as replicas have. */
const CURSOR_KEY = Buffer.alloc(32, 'key');

const PROJECTIONS = {
  PipelineRun: projectPipelineRun,
  TaskRun: projectTaskRun,
  CustomRun: projectCustomRun,
  Pod: projectPod,
  PipelineTrigger: projectTriggerSummary,
} as const;

/** One container's log file and whoever follows it. */
class ContainerFile {
  readonly #lines: string[] = [];
  readonly #followers = new Set<Readable>();
  #seconds = 0;
  #held: Readable | undefined;
  isOver = false;

  /** Writes a line; `ended: false` leaves out its LF. */
  say(text: string, { ended = true } = {}): void {
    const line = `2026-11-01T10:00:${String(this.#seconds++ % 60).padStart(2, '0')}.000000001Z ${text}${ended ? '\n' : ''}`;
    this.#lines.push(line);
    for (const follower of this.#followers) follower.push(Buffer.from(line));
  }

  end(): void {
    this.isOver = true;
    for (const follower of this.#followers) follower.push(null);
  }

  /** The next whole read stops after what was said so far; the function returned says more and lets it end. */
  holdBack(): (text: string) => void {
    const stopped = new Readable({ read() {} });
    this.#held = stopped;
    for (const line of this.#lines) stopped.push(Buffer.from(line));
    return (text) => {
      this.say(text);
      stopped.push(Buffer.from(this.#lines.at(-1) ?? ''));
      stopped.push(null);
    };
  }

  open(search: URLSearchParams): Readable {
    const tail = search.get('tailLines');
    const held = this.#held;
    if (held !== undefined && tail === null) {
      this.#held = undefined;
      return held;
    }
    const stream = new Readable({ read() {} });
    const lines = tail === null ? this.#lines : this.#lines.slice(Math.max(0, this.#lines.length - Number(tail)));
    for (const line of lines) stream.push(Buffer.from(line));
    if (this.isOver || search.get('follow') !== 'true') stream.push(null);
    else {
      this.#followers.add(stream);
      stream.once('close', () => this.#followers.delete(stream));
    }
    return stream;
  }

  get followers(): number {
    return this.#followers.size;
  }
}

/** What a client got. */
export interface Got {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly trailers: IncomingMessage['trailers'];
  readonly text: string;
  /** False: the connection ended before the answer did. */
  readonly isWhole: boolean;
}

/** The app, listening on loopback, with one caller `anna`/`secret` and the namespaces `ci` (the default) and `dev`. */
export class AppRig implements AsyncDisposable {
  readonly #stores = {
    PipelineRun: createStore<PipelineRun>(silentLog),
    TaskRun: createStore<TaskRun>(silentLog),
    CustomRun: createStore<CustomRun>(silentLog),
    Pod: createStore<Pod>(silentLog),
    PipelineTrigger: createStore<TriggerSummary>(silentLog),
  };
  readonly #files = new Map<string, ContainerFile>();
  readonly #server: Server;
  readonly drain: Drain = createDrain(silentLog);
  /** Log reads so far, `pod/container?query`. */
  readonly reads: string[] = [];
  /** Runs that only a GET finds, and what the GET throws for all others. */
  readonly fetchable = new Map<string, PipelineRun>();
  readonly fetchablePods = new Map<string, Pod>();
  getFails: Fault | undefined;
  isStale = false;
  /** Whether the cluster has PipelineTriggers, and what is thrown where they may not be read. */
  servesTriggers = true;
  triggersFail: Fault | undefined;

  constructor({
    clock = systemClock,
    maxStreams = 10,
    grants = 'all served',
    external,
  }: {
    readonly clock?: Clock;
    readonly maxStreams?: number;
    /** What anna may read. */
    readonly grants?: Caller['namespaces'];
    readonly external?: ExternalLogs | undefined;
  } = {}) {
    const { PipelineRun: runs, TaskRun: taskRuns, CustomRun: customRuns, Pod: pods } = this.#stores;
    const gathered = createRuns(
      { runs: runs.store, taskRuns: taskRuns.store, customRuns: customRuns.store, pods: pods.store },
      {
        lookup: {
          run: async ({ namespace, name }) => {
            const found = this.fetchable.get(`${namespace}/${name}`);
            if (this.getFails !== undefined) throw this.getFails;
            if (found === undefined) throw new Fault('not-found', 'pipeline not found');
            return found;
          },
          taskRun: async () => {
            throw this.getFails ?? new Fault('not-found', 'taskrun not found');
          },
          pod: async ({ namespace, name }) => {
            const fault = this.getFails;
            if (fault !== undefined) throw fault;
            return this.fetchablePods.get(`${namespace}/${name}`);
          },
          async *runs() {}, // asked only where there are no stores
        },
        log: silentLog,
        requireFresh: () => {
          if (this.isStale) throw new Fault('unavailable', 'stale', { retryAfterMs: 5_000 });
        },
      },
    );
    const triggers = storedTriggers(
      { triggers: this.#stores.PipelineTrigger.store, runs: runs.store },
      {
        isServed: () => this.servesTriggers,
        requireReadable: () => {
          if (this.triggersFail !== undefined) throw this.triggersFail;
        },
      },
    );
    const shared = {
      runs: gathered,
      clock,
      defaultNamespace: 'ci',
      served: ['ci', 'dev'],
      maxWaitSeconds: 300,
      draining: this.drain.signal,
      limits: wideLimits({ maxStreams }, clock),
    };
    const reader: KubeReader = {
      get: () => Promise.reject(new Error('nothing is fetched past fetchRun')),
      stream: (path, { signal } = {}) => this.#read(path, signal),
    };
    const app = buildApp({
      ...openEntrance(clock),
      callers: oneCaller('anna', 'secret', grants),
      readiness: () => ({ ready: true, watches: [] }),
      drain: this.drain,
      routes: [
        statusRoutes(shared),
        logsRoutes({
          ...shared,
          logs: createContainerLogs({ reader, clock: shared.clock, random: () => 0.5, metrics: silentMetrics }),
          external,
          metrics: silentMetrics,
          log: silentLog,
          cursors: createCursors({ key: CURSOR_KEY }),
          spooling: createSpooling({ log: silentLog }),
          slowClientSeconds: 120,
          graceSeconds: 30,
        }),
        runListRoutes(shared),
        runRoutes({ ...shared, reader }),
        runEventsRoutes({ ...shared, slowClientSeconds: 120, graceSeconds: 30, log: silentLog }),
        taskRunRoutes({ ...shared, reader }),
        triggerRoutes({ ...shared, triggers }),
      ],
      log: silentLog,
      metrics: silentMetrics,
      version: '1.2.3',
    });
    this.#server = createServer(app);
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Puts objects (YAML as users write it) into the stores, as a watch would. */
  put(yaml: string): void {
    for (const raw of objectsOf(yaml)) this.putObject(raw);
  }

  /** Puts one object into its store. */
  putObject(raw: JsonObject): void {
    const kind = String(raw.kind) as keyof typeof PROJECTIONS;
    const writer: { put(object: Kept): void } = this.#stores[kind].writer;
    writer.put(PROJECTIONS[kind](raw));
  }

  /** Makes a pod known to a GET alone, as if its watch were late. */
  offer(yaml: string): void {
    for (const pod of objectsOf(yaml).map(projectPod))
      this.fetchablePods.set(`${pod.meta.namespace}/${pod.meta.name}`, pod);
  }

  /** Removes an object, as a watch would. */
  remove(kind: keyof typeof PROJECTIONS, name: string, namespace = 'ci'): void {
    const { store, writer }: { store: { get(ref: object): Kept | undefined }; writer: { remove(object: Kept): void } } =
      this.#stores[kind] as never;
    const found = store.get({ namespace, name });
    if (found !== undefined) writer.remove(found);
  }

  /** The log file of a container. */
  file(pod: string, container: string): ContainerFile {
    const key = `${pod}/${container}`;
    const file = this.#files.get(key) ?? new ContainerFile();
    this.#files.set(key, file);
    return file;
  }

  async #read(path: string, signal: AbortSignal | undefined): Promise<StreamAnswer> {
    const url = new URL(path, 'http://kube');
    const pod = url.pathname.split('/').at(-2) ?? '';
    const container = url.searchParams.get('container') ?? '';
    this.reads.push(`${pod}/${container}?${url.searchParams}`);
    const file = this.#files.get(`${pod}/${container}`);
    const body = file === undefined ? Readable.from([]) : file.open(url.searchParams);
    signal?.addEventListener('abort', () => body.destroy(new Error('aborted')), { once: true });
    return { status: file === undefined ? 404 : 200, headers: {}, body: body as IncomingMessage };
  }

  /** Asks and waits for the whole answer. */
  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Got> {
    return this.follow(path, headers).whole;
  }

  /** Asks and hands out what came so far; `leave` hangs up. */
  follow(
    path: string,
    headers: Readonly<Record<string, string>> = {},
    method = 'GET',
  ): { readonly text: () => string; readonly leave: () => void; readonly whole: Promise<Got> } {
    const chunks: Buffer[] = [];
    const text = () => Buffer.concat(chunks).toString('latin1');
    const authorization = `Basic ${Buffer.from('anna:secret').toString('base64')}`;
    const request = openRequest(new URL(path, this.origin), {
      method,
      headers: { authorization, ...headers },
      agent: false,
    });
    const whole = new Promise<Got>((resolve, reject) => {
      request.once('error', reject);
      request.once('response', (response) => {
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('close', () => {
          const { statusCode: status = 0, headers, trailers, complete: isWhole } = response;
          resolve({ status, headers, trailers, text: text(), isWhole });
        });
        response.on('error', () => {}); // told by isWhole
      });
    });
    request.end();
    return { text, leave: () => request.destroy(), whole };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
