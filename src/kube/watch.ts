/**
 * Keeps a store true to a collection: list once, then watch, resuming whatever breaks.
 *
 * `step` is the whole machine: it takes the state and says which comes next, and each arm says which failure resumes
 * from the last version seen and which lists again.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import { Fault, faultOf } from '../fault.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { answerFault, type KubeReader, unlessAborted } from './client.ts';
import { type Json, type JsonObject, type Kept, listOf, numberOf, objectOf, stringOf } from './objects.ts';
import type { StoreWriter } from './store.ts';

/** What a watch needs. */
export interface WatchParts<T extends Kept> {
  readonly reader: KubeReader;
  /**
   * The path of the collection, asked before every list and every watch, so that another served version is picked up
   * within five minutes; undefined: this cluster has no such kind. May throw Faults.
   */
  readonly path: () => Promise<string | undefined>;
  /** Called when what `path` said proved wrong (404), before it is asked again. */
  readonly doubt?: () => void;
  /** The plural, for logs, metrics and readiness. */
  readonly resource: string;
  /** The namespace that `path` is within, or '' for all: the part of the store this watch answers for. */
  readonly scope: string;
  /** A label selector. */
  readonly selector?: string;
  /** A kind that may be missing: then there is nothing to wait for. */
  readonly optional?: boolean;
  readonly writer: StoreWriter<T>;
  /** Only what it returns is kept. An object it throws on is left out, and logged. */
  readonly project: (raw: JsonObject) => T;
  readonly clock: Clock;
  /** In [0, 1), for jitter. */
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** A running watch. */
export interface Watch {
  readonly resource: string;
  readonly scope: string;
  /** Resolves once the first list is in the store (or the optional kind is known to be absent); rejects with the reason of `signal`. */
  ready(signal: AbortSignal): Promise<void>;
  /** Whether `ready` has resolved. */
  listed(): boolean;
  /**
   * For how long the store may have missed something: 0 while a watch is open, else the time since it was last known to
   * be true. Infinity before the first list.
   *
   * An open watch counts as true although nothing is heard, because nothing may happen: a peer that vanished without a
   * word is found by TCP keep-alive (about half a minute, unless a proxy answers for it), else by the deadline that every
   * watch has (`timeoutSeconds` + 15 s). Found that way, the age counts from the last thing heard, so it can jump from 0
   * to five minutes; ended in any other way, from that end, provided that it had worked: one that breaks as soon as it is
   * open has told nothing.
   */
  staleMs(now: number): number;
  /** What is wrong at the moment, as a sentence; undefined: nothing. */
  problem(): string | undefined;
  /** Closes the connection and resolves when the store will not be written any more. Calling it twice is harmless. */
  stop(): Promise<void>;
}

/** Why everything has to be listed again. */
export type RelistReason = 'first' | 'expired' | 'moved' | 'missing' | 'unreadable';

/**
 * Where a watch is. `failures` counts what went wrong since it last worked: a frame was heard, or a connection lived for
 * ten seconds. A list alone does not reset it, or a server whose watches fail at once would be listed without pause.
 */
export type WatchState =
  | { readonly at: 'start'; readonly why: RelistReason; readonly failures: number }
  | { readonly at: 'absent' }
  | { readonly at: 'listed'; readonly path: string; readonly resourceVersion: string; readonly failures: number }
  | {
      readonly at: 'watching';
      readonly path: string;
      readonly resourceVersion: string;
      readonly failures: number;
      readonly connection: WatchConnection;
    };

/** One open watch. */
interface WatchConnection {
  readonly frames: AsyncIterator<readonly WatchFrame[]>;
  readonly openedAt: number;
  close(): void;
}

/** What comes next, and after which pause. */
interface Step {
  readonly next: WatchState;
  readonly waitMs: number;
}

const PAGE_SIZE = 500;
/** Below the API server's own 60 s: a list that takes longer is not going to come. */
const LIST_TIMEOUT_MS = 30_000;
/** Projected between two turns of the event loop: about 3 ms of work. */
const SLICE = 100;
/** After `timeoutSeconds` the server ends a watch by itself; this much later the connection is dead. */
const GRACE_MS = 15_000;
/** A connection that lived this long has worked, even if there was nothing to say. */
const HEALTHY_MS = 10_000;
/** How soon an absent kind is looked for again. */
const ABSENT_MS = 60_000;
/** So many errors in a row at one version: that version cannot be got past. */
const FRUITLESS = 5;
/** etcd holds objects up to 1.5 MiB; JSON and managedFields make them larger, never this large. */
const FRAME_LIMIT_BYTES = 16 * 1024 * 1024;

/** Starts to list and watch, and goes on until `stop`. Never throws: what is wrong is in `problem` and in the log. */
export function startWatch<T extends Kept>(parts: WatchParts<T>): Watch {
  const { reader, path, resource, scope, selector, optional = false, writer, clock, random, log, metrics } = parts;
  const doubt = parts.doubt ?? (() => {});
  const stopping = new AbortController();
  const { signal } = stopping;
  const first = Promise.withResolvers<void>();
  let listed = false;
  let live = false;
  let trueAt = Number.NEGATIVE_INFINITY;
  let trouble: string | undefined;

  const heard = (at: number) => {
    trueAt = at;
    metrics.watchHeard(resource, at);
  };

  const works = () => {
    if (trouble !== undefined) log.info('watch works again', { resource, scope });
    trouble = undefined;
  };

  const becomeReady = () => {
    listed = true;
    first.resolve();
  };

  const project = (raw: JsonObject): T | undefined => {
    try {
      return parts.project(raw);
    } catch (error) {
      const { namespace, name } = objectOf(raw.metadata);
      const fields = { resource, namespace: stringOf(namespace), name: stringOf(name) };
      log.error('object left out', { ...fields, error: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  };

  /** The pause before the next try, having said why there is one. Nothing is wrong with a watch that is being stopped. */
  const pause = (failures: number, fault: Fault): number => {
    if (signal.aborted) return 0;
    const waitMs = Math.max(backoffMs(failures, random), fault.retryAfterMs ?? 0);
    const isNews = trouble !== fault.message;
    trouble = fault.message;
    const cause = fault.cause instanceof Error ? fault.cause.message : undefined;
    // An outage is one event, however many tries it takes.
    log[isNews ? 'warn' : 'debug']('watch failed', {
      resource,
      scope,
      code: fault.code,
      problem: fault.message,
      cause,
      failures,
      waitMs,
    });
    return waitMs;
  };

  const listAgain = (why: RelistReason, failures: number, fault: Fault): Step => {
    metrics.relist(resource, why);
    return { next: { at: 'start', why, failures }, waitMs: pause(failures, fault) };
  };

  const step = async (state: WatchState): Promise<Step> => {
    switch (state.at) {
      case 'start': {
        const failures = state.failures + 1;
        try {
          const listPath = await unlessAborted(path(), signal);
          if (listPath === undefined) {
            writer.replace(scope, []);
            if (optional) {
              works();
              becomeReady();
              heard(clock.now());
            } else {
              trouble = `this cluster serves no ${resource}`;
              log.warn('kind is absent', { resource, scope });
            }
            return { next: { at: 'absent' }, waitMs: ABSENT_MS };
          }
          const startedAt = clock.now();
          const { objects, resourceVersion } = await list(listPath);
          writer.replace(scope, objects);
          // A list is of the moment it began, however long its pages took.
          heard(startedAt);
          works();
          becomeReady();
          log.info('listed', { resource, scope, why: state.why, objects: objects.length });
          return { next: { at: 'listed', path: listPath, resourceVersion, failures: state.failures }, waitMs: 0 };
        } catch (error) {
          const fault = faultOf(error);
          // 404: the kind may be gone, or served in another version. The store is kept until discovery says which.
          if (fault.code === 'not-found') doubt();
          // 410 in the middle: a `continue` lives about five minutes. The list begins anew, as after any other failure.
          return { next: { ...state, failures }, waitMs: pause(failures, fault) };
        }
      }

      case 'absent': {
        // Whoever installs a kind that is waited for should not have to wait until discovery is old.
        if (!optional) doubt();
        // If it cannot be told, nothing has changed.
        const listPath = await unlessAborted(path(), signal).catch(() => undefined);
        if (listPath === undefined) return { next: state, waitMs: ABSENT_MS };
        return { next: { at: 'start', why: 'missing', failures: 0 }, waitMs: 0 };
      }

      case 'listed': {
        const failures = state.failures + 1;
        try {
          if ((await unlessAborted(path(), signal)) !== state.path) {
            // A resourceVersion is good for one version of one kind only.
            metrics.relist(resource, 'moved');
            return { next: { at: 'start', why: 'moved', failures: state.failures }, waitMs: 0 };
          }
          const connection = await open(state.path, state.resourceVersion);
          works();
          return { next: { ...state, at: 'watching', connection }, waitMs: 0 };
        } catch (error) {
          const fault = faultOf(error);
          switch (fault.code) {
            case 'gone':
              return listAgain('expired', failures, fault);
            case 'not-found':
              doubt();
              return listAgain('missing', failures, fault);
            default:
              // Network, overload, credentials, RBAC: the version we hold is as good as before.
              return { next: { ...state, failures }, waitMs: pause(failures, fault) };
          }
        }
      }

      case 'watching': {
        const { connection, path: watchPath } = state;
        let { resourceVersion } = state;
        let changed = false;
        const worked = () => changed || clock.now() - connection.openedAt >= HEALTHY_MS;
        const failures = () => (worked() ? 1 : state.failures + 1);
        const resume = (waitMs: number): Step => {
          connection.close();
          return { next: { at: 'listed', path: watchPath, resourceVersion, failures: failures() }, waitMs };
        };
        try {
          const { done, value: frames } = await connection.frames.next();
          if (done) {
            // The server's own time limit, or a proxy's: the usual end of a watch that has lived.
            if (!worked()) throw new Fault('unavailable', 'Kubernetes ends the watch as soon as it is open');
            heard(clock.now());
            return resume(backoffMs(failures(), random));
          }
          for (const frame of frames) {
            if (frame.type === 'ERROR') {
              const cause = new Error(frame.message);
              if (frame.expired) throw new Fault('gone', 'Kubernetes no longer has that version (410)', { cause });
              // An event that the server itself cannot read would hold us here for ever.
              const code = failures() < FRUITLESS ? 'unavailable' : 'refused';
              throw new Fault(code, 'Kubernetes ended the watch with an error', { cause });
            }
            if (frame.type !== 'BOOKMARK') {
              const object = project(frame.object);
              if (object !== undefined && frame.type === 'DELETED') writer.remove(object);
              else if (object !== undefined) writer.put(object);
            }
            // Never '': a watch from there would begin anywhere.
            resourceVersion = frame.resourceVersion || resourceVersion;
            changed = true;
          }
          heard(clock.now());
          return { next: { ...state, resourceVersion, failures: 0 }, waitMs: 0 };
        } catch (error) {
          const fault = faultOf(error);
          switch (fault.code) {
            case 'gone':
              connection.close();
              return listAgain('expired', failures(), fault);
            case 'refused':
              // What cannot be read cannot be resumed past either.
              connection.close();
              return listAgain('unreadable', failures(), fault);
            case 'timeout':
              // Half-open, and who knows since when: the age counts from the last thing heard.
              return resume(pause(failures(), fault));
            default:
              // Until now nothing was missed, if ever it has told us anything.
              if (worked()) trueAt = clock.now();
              return resume(pause(failures(), fault));
          }
        }
      }
    }
  };

  const list = async (listPath: string) => {
    const objects: T[] = [];
    let resourceVersion: string | undefined;
    let page: string | undefined;
    do {
      const query = new URLSearchParams({ limit: String(PAGE_SIZE) });
      if (selector !== undefined) query.set('labelSelector', selector);
      if (page !== undefined) query.set('continue', page);
      const answer = await reader.get(`${listPath}?${query}`, { signal, timeoutMs: LIST_TIMEOUT_MS });
      const metadata = objectOf(answer.metadata);
      // The first page's: all are of one snapshot, and if a server's are not, the watch repeats rather than misses.
      resourceVersion ??= stringOf(metadata.resourceVersion);
      for (const [index, item] of listOf(answer.items).entries()) {
        if (index % SLICE === SLICE - 1) await setImmediate();
        const object = project(objectOf(item));
        if (object !== undefined) objects.push(object);
      }
      page = stringOf(metadata.continue);
      if (page !== undefined) await setImmediate();
      signal.throwIfAborted();
    } while (page !== undefined);
    if (resourceVersion === undefined) throw new Fault('refused', `${listPath} is not a list`);
    return { objects, resourceVersion };
  };

  const open = async (watchPath: string, resourceVersion: string): Promise<WatchConnection> => {
    // Random, so that the watches of many replicas do not all end in the same second.
    const timeoutSeconds = 240 + Math.floor(random() * 61);
    const query = new URLSearchParams({
      watch: 'true',
      resourceVersion,
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(timeoutSeconds),
    });
    if (selector !== undefined) query.set('labelSelector', selector);
    const target = `${watchPath}?${query}`;
    const answer = await reader.stream(target, { signal });
    if (answer.status !== 200) throw await answerFault(answer, target);
    const { body } = answer;
    const closed = new AbortController();
    void clock.sleep(timeoutSeconds * 1_000 + GRACE_MS, closed.signal).then(() => {
      if (!closed.signal.aborted) body.destroy(new Fault('timeout', 'a watch outlived its time limit'));
    });
    return {
      frames: watchFrames(body),
      openedAt: clock.now(),
      close() {
        closed.abort();
        body.destroy();
      },
    };
  };

  const run = async () => {
    let state: WatchState = { at: 'start', why: 'first', failures: 0 };
    while (!signal.aborted) {
      const { next, waitMs }: Step = await step(state);
      state = next;
      live = state.at === 'watching' || (state.at === 'absent' && optional);
      if (waitMs > 0) await clock.sleep(waitMs, signal);
    }
    live = false;
    if (state.at === 'watching') state.connection.close();
  };
  const running = run();

  return {
    resource,
    scope,
    ready: (until) => unlessAborted(first.promise, until),
    listed: () => listed,
    staleMs: (now) => (live ? 0 : now - trueAt),
    problem: () => trouble,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** The pause before a try: 0 after the first failure, then 0.5, 1, 2 ... 30 s, and up to a fifth more. */
export function backoffMs(failures: number, random: () => number): number {
  if (failures <= 1) return 0;
  const base = Math.min(30_000, 500 * 2 ** (failures - 2));
  return Math.round(base * (1 + random() / 5));
}

/** One frame of a watch. `expired`: 410, the version asked for is too old. */
export type WatchFrame =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: JsonObject; readonly resourceVersion: string }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | { readonly type: 'ERROR'; readonly expired: boolean; readonly message: string };

/**
 * The frames of a watch's body, in the batches they arrive in. What follows the last line break is dropped: the connection
 * was cut within it. Rejects with Fault `refused` at a line that is no frame or is longer than `limitBytes`, with Fault
 * `unavailable` when the connection breaks, and with the Fault that `body` was destroyed with.
 */
export async function* watchFrames(
  body: Readable,
  limitBytes: number = FRAME_LIMIT_BYTES,
): AsyncGenerator<readonly WatchFrame[], void> {
  let begun: Buffer[] = [];
  let begunBytes = 0;
  const chunks: AsyncIterator<Buffer> = body[Symbol.asyncIterator]();
  try {
    while (true) {
      const { done, value: chunk } = await nextChunk(chunks);
      if (done) return;
      const frames: WatchFrame[] = [];
      let from = 0;
      // Only the new bytes are searched, and text is made of whole lines only: no character is ever cut.
      for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, from)) {
        begun.push(chunk.subarray(from, end));
        const line = Buffer.concat(begun).toString('utf8');
        begun = [];
        begunBytes = 0;
        from = end + 1;
        if (line.trim() !== '') frames.push(parseFrame(line));
      }
      begun.push(chunk.subarray(from));
      begunBytes += chunk.length - from;
      if (begunBytes > limitBytes)
        throw new Fault('refused', `Kubernetes sent a frame of more than ${limitBytes} bytes`);
      if (frames.length > 0) yield frames;
    }
  } finally {
    body.destroy();
  }
}

const LF = 0x0a;

async function nextChunk(chunks: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer>> {
  try {
    return await chunks.next();
  } catch (error) {
    throw error instanceof Fault ? error : new Fault('unavailable', 'the watch broke off', { cause: error });
  }
}

function parseFrame(line: string): WatchFrame {
  let frame: JsonObject;
  try {
    frame = objectOf(JSON.parse(line) as Json);
  } catch (cause) {
    throw new Fault('refused', 'Kubernetes sent a frame that is not JSON', { cause });
  }
  const object = objectOf(frame.object);
  const resourceVersion = stringOf(objectOf(object.metadata).resourceVersion) ?? '';
  switch (frame.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: frame.type, object, resourceVersion };
    case 'BOOKMARK':
      return { type: 'BOOKMARK', resourceVersion };
    case 'ERROR': {
      const expired = numberOf(object.code) === 410 || object.reason === 'Expired' || object.reason === 'Gone';
      return { type: 'ERROR', expired, message: stringOf(object.message) ?? 'no message' };
    }
    default:
      throw new Fault('refused', 'Kubernetes sent a frame of an unknown type');
  }
}
