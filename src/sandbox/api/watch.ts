/**
 * Watches over HTTP: a stream of events, one a line, for as long as the client wants and keeps up.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import { apiVersionOf, type JsonObject, type KubeObject } from '../object.ts';
import { StatusError } from '../status.ts';
import type { WatchEvent } from './client.ts';
import type { ApiFault } from './faults.ts';
import type { Kind, ServedVersion } from './kind.ts';
import { requireReached } from './lists.ts';
import { eventFor } from './local.ts';
import type { Change, Collection, Follower } from './memory.ts';
import type { Representation } from './negotiate.ts';
import { type ListOptions, parseVersion } from './options.ts';
import { showObject } from './representation.ts';
import type { Selector } from './selectors.ts';

/** A watch to be served. */
export interface WatchRequest {
  readonly kind: Kind;
  readonly served: ServedVersion;
  /** '' for all. */
  readonly namespace: string;
  readonly collection: Collection;
  readonly options: ListOptions;
  readonly select: Selector;
  readonly as: Representation;
  readonly response: ServerResponse;
  readonly clock: Clock;
  readonly log: Log;
  readonly frames: FrameCache;
  readonly faults: readonly ApiFault[];
  /** In [0, 1): spreads the ends of watches that ask for no other. */
  readonly random: () => number;
  /** Aborts when the server stops. */
  readonly signal: AbortSignal;
}

const BOOKMARK_MS = 60_000;
/** The last bookmark comes so long before the end, so that the client can go on from there. */
const LAST_BOOKMARK_MS = 2_000;
/** A watch without a time of its own ends between one and two times this. */
const USUAL_MS = 30 * 60_000;
/** Changes that are written at once. */
const BATCH = 200;

/**
 * Serves a watch until it ends. Throws StatusErrors before anything is sent: 500 for a resourceVersion that is none. One that
 * is too old is told within the stream.
 */
export async function serveWatch(request: WatchRequest): Promise<void> {
  const { collection, options, response, clock, signal } = request;
  const version = parseVersion(options.resourceVersion, (why) => {
    const at = `resourceVersion: Invalid value: ${JSON.stringify(options.resourceVersion)}: ${why}`;
    return new StatusError(500, '', at);
  });
  if (options.sendInitialEvents) requireReached(version, collection.resourceVersion);

  const ended = new AbortController();
  const end = () => ended.abort();
  response.on('close', end);
  signal.addEventListener('abort', end, { once: true });
  const lifeMs =
    options.timeoutSeconds === undefined ? USUAL_MS * (1 + request.random()) : options.timeoutSeconds * 1000;
  void clock.sleep(lifeMs, ended.signal).then(end);

  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.flushHeaders();
  const stream = new WatchStream(request, end);
  stream.begin(version);
  if (options.bookmarks) void keepBookmarking(stream, { clock, lifeMs, signal: ended.signal });
  await aborted(ended.signal);
  signal.removeEventListener('abort', end);
  stream.close();
  if (!response.writableEnded) response.end();
}

async function keepBookmarking(
  stream: WatchStream,
  { clock, lifeMs, signal }: { clock: Clock; lifeMs: number; signal: AbortSignal },
): Promise<void> {
  const started = clock.now();
  while (!signal.aborted) {
    const left = lifeMs - (clock.now() - started) - LAST_BOOKMARK_MS;
    if (left <= 0) return;
    await clock.sleep(Math.min(BOOKMARK_MS, left), signal);
    if (!signal.aborted) stream.bookmark();
  }
}

/** One open watch: takes changes when they come, and only as fast as the client reads. */
class WatchStream {
  readonly #request: WatchRequest;
  readonly #end: () => void;
  #follower: Follower | undefined;
  /** What the client knows already by the list it started from. */
  #startedAt = 0;
  #isHeldBack = false;
  /** A table names its columns once. */
  #frames: Frames;
  #isFirst = true;

  constructor(request: WatchRequest, end: () => void) {
    this.#request = request;
    this.#end = end;
    this.#frames = request.frames.of(this.#form('first'));
  }

  begin(version: number): void {
    const { collection, options, response, faults, kind, served } = this.#request;
    const sendsList = options.sendInitialEvents || (version === 0 && options.match === '');
    try {
      for (const fault of faults)
        fault.beforeWatch?.({ group: kind.group, version: served.version, plural: kind.plural });
      this.#startedAt = version === 0 || sendsList ? collection.resourceVersion : version;
      this.#follower = collection.follow(this.#startedAt, () => this.#woken());
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (sendsList) this.#sendList();
    response.on('drain', () => this.#deliver());
    this.#deliver();
  }

  /** Tells the client how far it has come; not while there is more to tell. */
  bookmark(): void {
    const { response } = this.#request;
    if (this.#isHeldBack || response.writableNeedDrain) return;
    this.#deliver();
    if (!response.writableNeedDrain) this.#writeBookmark();
  }

  close(): void {
    this.#follower?.close();
  }

  #writeBookmark(annotations?: JsonObject): void {
    const { response, kind, served, collection, as } = this.#request;
    const metadata = { resourceVersion: String(collection.resourceVersion), ...(annotations ? { annotations } : {}) };
    const apiVersion = apiVersionOf({ group: kind.group, version: served.version });
    const object: JsonObject =
      as.kind === 'object'
        ? { kind: kind.kind, apiVersion, metadata }
        : as.kind === 'metadata'
          ? { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
          : { kind: 'Table', apiVersion: 'meta.k8s.io/v1', metadata, columnDefinitions: [], rows: [] };
    response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
  }

  #sendList(): void {
    const { collection, namespace, select, options, response } = this.#request;
    const objects = collection.objects(namespace === '' ? undefined : namespace).filter(select);
    if (objects.length > 0)
      response.write(Buffer.concat(objects.map((object) => this.#frame({ type: 'ADDED', object }))));
    if (options.sendInitialEvents && options.bookmarks) this.#writeBookmark({ 'k8s.io/initial-events-end': 'true' });
  }

  #woken(): void {
    const { response, faults, kind, served, clock } = this.#request;
    if (response.writableNeedDrain) {
      // A client that does not read is not waited for beyond what is remembered anyway.
      if (this.#follower?.isLost() === true) response.destroy();
      return;
    }
    const resource = { group: kind.group, version: served.version, plural: kind.plural };
    const delayMs = faults.reduce((sum, fault) => sum + (fault.watchDelayMs?.(resource) ?? 0), 0);
    if (delayMs === 0) {
      this.#deliver();
      return;
    }
    if (this.#isHeldBack) return;
    this.#isHeldBack = true;
    void clock.sleep(delayMs, this.#request.signal).then(() => {
      this.#isHeldBack = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const { response } = this.#request;
    if (this.#isHeldBack) return;
    while (!response.writableNeedDrain && !response.writableEnded && !response.destroyed) {
      try {
        const changes = this.#follower?.take(BATCH) ?? [];
        if (changes.length === 0) return;
        const frames = this.#framesOf(changes);
        if (frames.length > 0) response.write(frames.length === 1 ? frames[0] : Buffer.concat(frames));
      } catch (error) {
        this.#fail(error);
        return;
      }
    }
  }

  #framesOf(changes: readonly Change[]): Buffer[] {
    const { namespace, select } = this.#request;
    const frames: Buffer[] = [];
    for (const change of changes) {
      const isKnown = change.resourceVersion <= this.#startedAt;
      const event = isKnown ? undefined : eventFor(change, namespace, select);
      if (event !== undefined) frames.push(this.#frame(event));
    }
    return frames;
  }

  #frame(event: WatchEvent): Buffer {
    const { kind, served, as, clock } = this.#request;
    const withColumns = this.#isFirst;
    const frame = this.#frames.frame(event, () => {
      return showObject(event.object, { kind, served, as, now: clock.now(), withColumns });
    });
    if (this.#isFirst) {
      this.#isFirst = false;
      if (as.kind === 'table') this.#frames = this.#request.frames.of(this.#form('other'));
    }
    return frame;
  }

  /** What tells the lines of this watch from those of others that show the same objects. */
  #form(place: 'first' | 'other'): string {
    const { kind, served, as } = this.#request;
    const columns = as.kind === 'table' ? place : '';
    return `${kind.plural}.${kind.group}/${served.version} ${JSON.stringify(as)} ${columns}`;
  }

  #fail(error: unknown): void {
    const { response, kind, log } = this.#request;
    if (!(error instanceof StatusError)) {
      const said = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log.error('a watch failed', { kind: kind.kind, error: said });
      response.destroy();
      return;
    }
    response.write(`${JSON.stringify({ type: 'ERROR', object: error.toStatus() })}\n`);
    this.#end();
  }
}

/** Lines of watches, shared among all that show objects in the same way. */
export class FrameCache {
  readonly #forms = new Map<string, Frames>();

  /** The lines of one form: a kind in one version, as objects, rows or metadata. */
  of(form: string): Frames {
    let frames = this.#forms.get(form);
    if (frames === undefined) {
      frames = new Frames();
      this.#forms.set(form, frames);
    }
    return frames;
  }
}

/**
 * Events as bytes, made once. They are kept for one turn of the event loop, in which every watch that keeps up is served.
 */
class Frames {
  readonly #lines = new Map<KubeObject, { [type in WatchEvent['type']]?: Buffer }>();

  /** The line of an event, of which `show` makes the object. */
  frame({ type, object }: WatchEvent, show: () => JsonObject): Buffer {
    let lines = this.#lines.get(object);
    if (lines === undefined) {
      if (this.#lines.size === 0) setImmediate(() => this.#lines.clear());
      lines = {};
      this.#lines.set(object, lines);
    }
    let line = lines[type];
    if (line === undefined) {
      line = Buffer.from(`{"type":"${type}","object":${JSON.stringify(show())}}\n`);
      lines[type] = line;
    }
    return line;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
