/**
 * Keeps a store true to a collection: list once, then watch, resuming whatever breaks.
 *
 * `step` is the whole machine: it takes the state and says which comes next, and each arm says which failure resumes
 * from the last version seen and which lists again. Where the server offers it, the list comes as the beginning of the
 * watch (a streaming list), object by object; else page by page.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import { Fault, faultOf } from '../fault.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { type KubeReader, unlessAborted } from './client.ts';
import type { WatchFrame } from './frames.ts';
import { type JsonObject, type Kept, objectOf, stringOf } from './objects.ts';
import { listPages, type Selection } from './pages.ts';
import type { Relisting, StoreWriter } from './store.ts';
import { breakWhenSilent, rest, type WatchConnection, watchOpener } from './watchstream.ts';

/** What a watch needs. */
export interface WatchParts<T extends Kept> {
  readonly reader: KubeReader;
  /**
   * The path of the collection, asked before every list and every watch, so that another served version is picked up
   * within five minutes; undefined: this cluster has no such kind. May throw Faults.
   */
  readonly path: () => Promise<string | undefined>;
  /** Called when what `path` said proved wrong (404), or was that there is no such kind, before it is asked again. */
  readonly doubt?: () => void;
  /** The plural, for logs, metrics and readiness. */
  readonly resource: string;
  /** The namespace that `path` is within, or '' for all: the part of the store this watch answers for. */
  readonly scope: string;
  /** Which objects of the collection; all of them unless told. */
  readonly selection?: Selection;
  /** A kind that may be missing: then there is nothing to wait for. */
  readonly optional?: boolean;
  readonly writer: StoreWriter<T>;
  /** Only what it returns is kept. An object it throws on is left out, and logged. */
  readonly project: (raw: JsonObject) => T;
  /** A watch is opened anew after this time at the latest, and one that is silent 15 s longer is dead. 300 unless told. */
  readonly watchSeconds?: number;
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
   * watch has (`watchSeconds` + 15 s at most). Found that way, the age counts from the last thing heard, so it can jump from
   * 0 to five minutes; ended in any other way, from that end, provided that it had worked: one that breaks as soon as it is
   * open has told nothing.
   */
  staleMs(now: number): number;
  /** Whether the cluster was last found to have no such kind; it is looked for again each minute. */
  absent(): boolean;
  /** What is wrong at the moment; undefined: nothing. */
  problem(): Fault | undefined;
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

/** What comes next, and after which pause. */
interface Step {
  readonly next: WatchState;
  readonly waitMs: number;
}

/** A streaming list that says nothing for so long is not going to end: the server did not understand what was asked. */
const SILENT_LIST_MS = 30_000;
/** Projected between two turns of the event loop: about 3 ms of work. */
const SLICE = 100;
/** A connection that lived this long has worked, even if there was nothing to say. */
const HEALTHY_MS = 10_000;
/** How soon an absent kind is looked for again. */
const ABSENT_MS = 60_000;
/** So many errors in a row at one version: that version cannot be got past. */
const FRUITLESS = 5;
/** How long a watch lives, where nobody says. */
const WATCH_SECONDS = 300;

/** Starts to list and watch, and goes on until `stop`. Never throws: what is wrong is in `problem` and in the log. */
export function startWatch<T extends Kept>(parts: WatchParts<T>): Watch {
  const {
    reader,
    path,
    resource,
    scope,
    selection = {},
    optional = false,
    writer,
    clock,
    random,
    log,
    metrics,
  } = parts;
  const { watchSeconds = WATCH_SECONDS } = parts;
  const doubt = parts.doubt ?? (() => {});
  const stopping = new AbortController();
  const { signal } = stopping;
  const openWatch = watchOpener({ reader, selection, watchSeconds, clock, random, signal });
  const first = Promise.withResolvers<void>();
  let listed = false;
  let live = false;
  let absent = false;
  let trueAt = Number.NEGATIVE_INFINITY;
  let trouble: Fault | undefined;
  /** Whether this server sends lists as the beginning of a watch; not until it has refused to. */
  let streamsLists = true;

  let heardAt = clock.now();
  const endWatching = metrics.watching(resource, () => heardAt);

  const heard = (at: number) => {
    trueAt = at;
    heardAt = at;
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
    const isNews = trouble?.message !== fault.message;
    trouble = fault;
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
            writer.relist(scope).end();
            if (optional) {
              works();
              becomeReady();
              heard(clock.now());
            } else {
              trouble = new Fault('refused', `this cluster serves no ${resource}`);
              log.warn('kind is absent', { resource, scope });
            }
            return { next: { at: 'absent' }, waitMs: ABSENT_MS };
          }
          const startedAt = clock.now();
          // After a failure the other way is tried: a proxy may cut streams that answers pass, or the other way round.
          const streams = streamsLists && state.failures % 2 === 0;
          const streamed = streams ? await streamList(listPath) : undefined;
          const listed = streamed ?? (await list(listPath));
          // A list is of the moment it began, however long it took.
          heard(startedAt);
          works();
          becomeReady();
          const { resourceVersion, objects } = listed;
          log.info('listed', { resource, scope, why: state.why, objects, streamed: streamed !== undefined });
          const next = { path: listPath, resourceVersion, failures: state.failures };
          if (streamed === undefined) return { next: { at: 'listed', ...next }, waitMs: 0 };
          return { next: { at: 'watching', ...next, connection: streamed.connection }, waitMs: 0 };
        } catch (error) {
          const fault = faultOf(error);
          // 404: the kind may be gone, or served in another version. The store is kept until discovery says which.
          if (fault.code === 'not-found') doubt();
          // 410 in the middle: a `continue` lives about five minutes. The list begins anew, as after any other failure.
          return { next: { ...state, failures }, waitMs: pause(failures, fault) };
        }
      }

      case 'absent': {
        // Whoever installs a kind should not have to wait until discovery is old.
        doubt();
        let listPath: string | undefined;
        try {
          listPath = await unlessAborted(path(), signal);
        } catch {
          return { next: state, waitMs: ABSENT_MS }; // it cannot be told, so nothing has changed
        }
        if (listPath === undefined) {
          if (optional) heard(clock.now());
          return { next: state, waitMs: ABSENT_MS };
        }
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
            // An event that the server itself cannot read would hold us here for ever.
            if (frame.type === 'ERROR') throw frameFault(frame, failures() < FRUITLESS ? 'unavailable' : 'refused');
            if (frame.type !== 'BOOKMARK') take(frame, writer);
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

  /** Does to the store what a frame says; `into` is where objects that are there go. */
  const take = (
    { type, object: raw }: Extract<WatchFrame, { readonly object: JsonObject }>,
    into: Pick<Relisting<T>, 'put'>,
  ): void => {
    const object = project(raw);
    if (object === undefined) return;
    if (type === 'DELETED') writer.remove(object);
    else into.put(object);
  };

  /** Lists page by page. Each page is let go of before the next one is asked for. */
  const list = async (listPath: string) => {
    const relisting = writer.relist(scope);
    let resourceVersion = '';
    let objects = 0;
    for await (const page of listPages(reader, listPath, { ...selection, signal })) {
      resourceVersion = page.resourceVersion;
      for (const item of page.items) {
        if (objects++ % SLICE === SLICE - 1) await setImmediate();
        const object = project(objectOf(item));
        if (object !== undefined) relisting.put(object);
      }
      signal.throwIfAborted();
    }
    relisting.end();
    return { objects, resourceVersion };
  };

  /**
   * Opens a watch that begins with every object there is, and resolves when the last one has come: in `connection` is what
   * happens from then on. Resolves with undefined where the server does not know how, and remembers that.
   */
  const streamList = async (listPath: string) => {
    const opened = await openWatch(listPath, { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' });
    if ('refused' in opened) {
      // Servers before 1.32, or with the feature off, refuse the parameters; nobody else answers our watches like this.
      if (opened.refused !== 400 && opened.refused !== 422) throw opened.fault;
      streamsLists = false;
      return undefined;
    }
    const { connection } = opened;
    const relisting = writer.relist(scope);
    const quiet = breakWhenSilent(connection, { clock, forMs: SILENT_LIST_MS });
    let objects = 0;
    try {
      while (true) {
        const { done, value: frames } = await connection.frames.next();
        if (done) throw new Fault('unavailable', 'Kubernetes ended a list before its end');
        quiet.heard();
        for (const [place, frame] of frames.entries()) {
          if (frame.type === 'ERROR') throw frameFault(frame, 'unavailable');
          if (frame.type !== 'BOOKMARK') {
            objects++;
            take(frame, relisting);
          } else if (frame.endsList) {
            relisting.end();
            return { objects, resourceVersion: frame.resourceVersion, connection: rest(connection, frames, place + 1) };
          } else {
            // A bookmark before the end: a watch like any other, from a server that overlooked what was asked.
            streamsLists = false;
            connection.close();
            return undefined;
          }
        }
      }
    } catch (error) {
      connection.close();
      if (error instanceof Fault && error.code === 'timeout') streamsLists = false;
      throw error;
    } finally {
      quiet.end();
    }
  };

  const open = async (watchPath: string, resourceVersion: string): Promise<WatchConnection> => {
    const opened = await openWatch(watchPath, { resourceVersion });
    if ('refused' in opened) throw opened.fault;
    return opened.connection;
  };

  const run = async () => {
    let state: WatchState = { at: 'start', why: 'first', failures: 0 };
    while (!signal.aborted) {
      const { next, waitMs }: Step = await step(state);
      state = next;
      absent = state.at === 'absent';
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
    absent: () => absent,
    problem: () => trouble,
    async stop() {
      stopping.abort();
      endWatching();
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

/** What an ERROR frame means; `otherwise` is the code of one that is not about its version. */
function frameFault(
  { expired, message }: Extract<WatchFrame, { readonly type: 'ERROR' }>,
  otherwise: 'unavailable' | 'refused',
): Fault {
  const cause = new Error(message);
  if (expired) return new Fault('gone', 'Kubernetes no longer has that version (410)', { cause });
  return new Fault(otherwise, 'Kubernetes ended the watch with an error', { cause });
}
