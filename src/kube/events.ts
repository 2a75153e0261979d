/** Kubernetes Events: told once where that is asked for, repeats folded into a count, and never in the way of what they tell of. */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { type Fault, faultOf } from '../fault.ts';
import type { Part } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { present } from './objects.ts';
import { plainText } from './plain.ts';
import { type KubeWriter, WriteFault } from './writer.ts';

/** What an Event is about. */
export interface Involved {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion?: string;
}

/** One thing to tell. */
export interface Told {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, a word. */
  readonly reason: string;
  readonly message: string;
  /**
   * What makes it the same thing: its Event gets a name derived from this and the object's uid, so that it is told once,
   * whoever tells it again, this process after a restart included. Without it repeats are counted.
   */
  readonly once?: string;
  /** The same message about the same object is told again after this time at the earliest. */
  readonly atMostEveryMs?: number;
}

/** Where controllers tell of what they did. */
export interface EventRecorder {
  /** Never throws and never waits: what cannot be written after a few tries is logged and let go. */
  tell(about: Involved, what: Told): void;
}

/** A recorder as a part of the process; its stop waits (within its deadline) for what is still to be written. */
export interface Events extends Part, EventRecorder {}

/** What a recorder is made of. */
export interface EventsParts {
  readonly writer: Pick<KubeWriter, 'create' | 'patch'>;
  /** Which recorder of the process it is, in the metrics (`kubernetes events <name>`). */
  readonly name: string;
  /** Who tells, as `kubectl describe` shows it. */
  readonly component: string;
  /** Which one of several, such as the name of the pod. */
  readonly instance?: string;
  /** Awaited before each is written: resolves when there is nothing to write that matters more. Never rejects. */
  readonly calm?: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'level'>;
}

/** Longer messages are refused. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/ */
const MESSAGE_BYTES = 1024;
const LONGEST_NAME = 253;
/** Repeats go into the same Event while none is further from the one before. */
const FOLD_MS = 600_000;
/** Told things that are remembered, so that repeats are known as such. */
const MOST_REMEMBERED = 2_000;
/** Events that wait to be written, of all namespaces. */
const MOST_WAITING = 1_000;
/** Writes at once, over all namespaces; of one namespace there is one at a time. */
const MOST_AT_ONCE = 8;
const TRIES = 3;
const FIRST_BACKOFF_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const WRITE_MS = 5_000;

/** One Event, as it is or is to be. Times are of the day, for the object; `seenAt` and `toldAt` are distances. */
interface Remembered {
  readonly id: string;
  readonly about: Involved;
  readonly type: Told['type'];
  readonly reason: string;
  readonly message: string;
  readonly name: string;
  readonly firstTime: string;
  lastTime: string;
  count: number;
  /** When it was last told, and when somebody last wanted it told. */
  toldAt: number;
  seenAt: number;
  isWritten: boolean;
  isWaiting: boolean;
}

/** The Events of one namespace that are to be written, in the order in which they were told. */
interface Lane {
  readonly waiting: Remembered[];
  /** Resolves when nothing is left. Never rejects. */
  ended: Promise<void>;
}

/**
 * Makes a recorder of core/v1 Events, which is where `kubectl describe` and `kubectl get events` look. Those of one namespace are
 * written one after another, in the order in which they were told; those of others beside them, so that a namespace whose
 * Events hang (an admission webhook that does not answer is enough) keeps no other waiting. A repeat of one that still waits
 * costs no write of its own. One that cannot be written after three tries is logged and let go; when a thousand wait, the
 * oldest of the namespace with the most is; one whose namespace is going is let go without a word. After `stop` nothing is
 * told any more.
 */
export function createEvents({
  writer,
  name,
  component,
  instance = '',
  calm,
  clock,
  log,
  metrics,
}: EventsParts): Events {
  /** What was told longest ago is first. */
  const remembered = new Map<string, Remembered>();
  /** By namespace; of those alone that have something to write. */
  const lanes = new Map<string, Lane>();
  const inTurn = atMost(MOST_AT_ONCE);
  const stopping = new AbortController();
  let isClosed = false;
  let waiting = 0;
  /** Some were dropped since nothing was left to write, and that has been logged. */
  let isDropping = false;
  // Each lane has one under way.
  metrics.level(`kubernetes events ${name}`, () => waiting + lanes.size);

  const remember = (event: Remembered) => {
    remembered.delete(event.id);
    remembered.set(event.id, event);
    for (const [oldest] of remembered) {
      if (remembered.size <= MOST_REMEMBERED) break;
      remembered.delete(oldest);
    }
  };

  /** It was not written: who tells it again is heard. */
  const letGo = (event: Remembered) => {
    event.isWaiting = false;
    if (!event.isWritten && remembered.get(event.id) === event) remembered.delete(event.id);
  };

  const enqueue = (event: Remembered) => {
    if (event.isWaiting) return;
    event.isWaiting = true;
    const namespace = namespaceOf(event.about);
    const known = lanes.get(namespace);
    const lane = known ?? { waiting: [], ended: Promise.resolve() };
    lane.waiting.push(event);
    waiting += 1;
    if (known === undefined) {
      lanes.set(namespace, lane);
      lane.ended = writeAll(namespace, lane);
    }
    if (waiting > MOST_WAITING) dropOne();
  };

  /** Of the namespace that has the most: whoever tells too much loses of his own. */
  const dropOne = () => {
    const all = [...lanes.values()];
    const longest = all.reduce((most, lane) => (lane.waiting.length > most.waiting.length ? lane : most));
    const oldest = next(longest);
    if (oldest !== undefined) letGo(oldest);
    if (!isDropping) log.warn('Events come faster than they can be written: the oldest are dropped', { component });
    isDropping = true;
  };

  const next = (lane: Lane): Remembered | undefined => {
    const event = lane.waiting.shift();
    if (event !== undefined) waiting -= 1;
    return event;
  };

  const writeAll = async (namespace: string, lane: Lane) => {
    for (let event = next(lane); event !== undefined; event = next(lane)) await write(event);
    lanes.delete(namespace);
    if (lanes.size === 0) isDropping = false;
  };

  const write = async (event: Remembered) => {
    for (let tries = 1; !stopping.signal.aborted; tries++) {
      await calm?.();
      try {
        await inTurn(() => {
          if (tries === 1) event.isWaiting = false; // from here on a repeat is not in what is written
          return put(event);
        });
        event.isWritten = true;
        return;
      } catch (error) {
        const fault = faultOf(error);
        const isWorthTrying = fault.code === 'unavailable' || fault.code === 'timeout';
        if (!isWorthTrying || tries === TRIES) return giveUp(event, fault);
        const waitMs = Math.max(fault.retryAfterMs ?? 0, FIRST_BACKOFF_MS * 4 ** (tries - 1));
        // Not in a turn: who waits to try again keeps nobody from theirs.
        await clock.sleep(Math.min(waitMs, LONGEST_WAIT_MS), stopping.signal);
      }
    }
    letGo(event);
  };

  const giveUp = (event: Remembered, fault: Fault) => {
    letGo(event);
    if (stopping.signal.aborted || isNamespaceGoing(fault)) return;
    const { about, reason } = event;
    log.warn('an Event could not be written', {
      kind: about.kind,
      namespace: about.namespace,
      name: about.name,
      reason,
      error: fault.message,
      cause: fault instanceof WriteFault ? fault.said : undefined,
    });
  };

  /** Writes what the Event is by now. That it exists when it is created is the answer to a try before, or to one of before a restart. */
  const put = async (event: Remembered) => {
    const collection = `/api/v1/namespaces/${namespaceOf(event.about)}/events`;
    const options = { signal: stopping.signal, timeoutMs: WRITE_MS };
    if (event.isWritten) {
      try {
        const merge = { count: event.count, lastTimestamp: event.lastTime };
        await writer.patch(`${collection}/${event.name}`, merge, options);
        return;
      } catch (error) {
        // Events are forgotten by the server after an hour; this one is told on.
        if (faultOf(error).code !== 'not-found') throw error;
      }
    }
    try {
      await writer.create(collection, objectOf(event), options);
    } catch (error) {
      if (!(error instanceof WriteFault && error.reason === 'AlreadyExists')) throw error;
    }
  };

  const objectOf = ({ about, type, reason, message, name, firstTime, lastTime, count }: Remembered) => ({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace: namespaceOf(about) },
    involvedObject: present({ ...about }),
    type,
    reason,
    message,
    count,
    firstTimestamp: firstTime,
    lastTimestamp: lastTime,
    source: { component },
    reportingComponent: component,
    reportingInstance: instance,
  });

  return {
    name: 'events',
    async start() {},
    async stop(signal) {
      isClosed = true;
      const end = () => stopping.abort(signal.reason);
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true });
      await Promise.all([...lanes.values()].map(({ ended }) => ended));
      signal.removeEventListener('abort', end);
    },
    tell(about, { type, reason, message: text, once, atMostEveryMs = 0 }) {
      if (isClosed) return;
      const message = plainText(text, MESSAGE_BYTES);
      const id = hash(once === undefined ? [about.uid, type, reason, message] : [about.uid, reason, once]);
      const now = clock.steady();
      const time = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
      const known = remembered.get(id);
      if (known !== undefined) {
        const { toldAt, seenAt } = known;
        known.seenAt = now;
        remember(known);
        if (once !== undefined || now - toldAt < atMostEveryMs) return;
        if (now - seenAt <= FOLD_MS) {
          known.toldAt = now;
          known.lastTime = time;
          known.count += 1;
          return enqueue(known);
        }
      }
      // Without the time a repeat after the longest fold would meet its own old Event, and not be told.
      const suffix = once === undefined ? hash([id, clock.now()]) : id;
      const event: Remembered = {
        id,
        about,
        type,
        reason,
        message,
        name: nameOf(about.name, suffix),
        firstTime: time,
        lastTime: time,
        count: 1,
        toldAt: now,
        seenAt: now,
        isWritten: false,
        isWaiting: false,
      };
      remember(event);
      enqueue(event);
    },
  };
}

/** Lets so many work at once; the others wait for a place in the order in which they came. */
function atMost(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const queue: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => queue.push(resolve));
    try {
      return await work();
    } finally {
      const first = queue.shift();
      if (first === undefined) free += 1;
      else first(); // the place is handed on
    }
  };
}

/** `<object>.<suffix>`, as client-go names them, and still a DNS subdomain where the object's name has to be cut. */
function nameOf(object: string, suffix: string): string {
  return `${object.slice(0, LONGEST_NAME - suffix.length - 1).replace(/[-.]+$/, '')}.${suffix}`;
}

/** Events about what is in no namespace are in this one. */
function namespaceOf({ namespace }: Involved): string {
  return namespace === '' ? 'default' : namespace;
}

/** Sixteen hexadecimal digits. */
function hash(parts: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

/** Nothing can be created in it any more, or it is no more. */
function isNamespaceGoing(fault: Fault): boolean {
  if (fault.code === 'not-found') return true;
  return fault instanceof WriteFault && fault.status === 403 && fault.said.includes('because it is being terminated');
}
