/** The loop of a controller: keys fall due, the earliest wins, each is reconciled by one at a time, and failures wait longer and longer. */
import type { Clock } from '../clock.ts';
import { Fault, faultOf } from '../fault.ts';
import type { Part } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { DueQueue } from './due.ts';
import type { Leadership } from './lease.ts';
import type { ObjectRef } from './objects.ts';
import { WriteFault } from './writer.ts';

/** When to look again although nothing rings. */
export interface Again {
  /** Milliseconds from now; undefined: only when something rings. */
  readonly againMs?: number;
  /** Once more, and others first: as `Controller.ringLast`. */
  readonly last?: boolean;
}

/**
 * Brings one object to where it should be. What rang is not told: it looks at the world. A Fault it throws is tried again:
 * `conflict` at once, what carries `retryAfterMs` after that, all others after a backoff that doubles from 250 ms to 60 s.
 * `signal` aborts when the loop stops or leadership is lost.
 */
export type Reconcile = (key: ObjectRef, signal: AbortSignal) => Promise<Again>;

/** A loop as a part of the process. It reconciles only while this process leads; whoever begins to lead reconciles every key. */
export interface Controller extends Part {
  /**
   * Makes `key` due now, or after `afterMs`; a key that is due earlier stays so. While it is being reconciled it is due once
   * more afterwards. While this process does not lead nothing is kept of it.
   */
  ring(key: ObjectRef, afterMs?: number): void;
  /**
   * As `ring`, for what can wait: `key` gives way as long as another one is due or being reconciled that did not, for two seconds
   * at most.
   */
  ringLast(key: ObjectRef): void;
  /** Resolves when nobody is due or being reconciled to whom others give way; after two seconds in any case. Never rejects. */
  calm(): Promise<void>;
  /** Forgets `key`: it is gone. What is being done for it is finished. */
  forget(key: ObjectRef): void;
  /** How many keys are due or being reconciled now. */
  readonly pending: number;
}

/** What a loop is made of. */
export interface ControllerParts {
  /** For the log and the metrics. */
  readonly name: string;
  readonly reconcile: Reconcile;
  /** Every key there is. All are rung when this process begins to lead, so nothing is missed while another one did. */
  readonly keys: () => Iterable<ObjectRef>;
  readonly leadership: Leadership;
  /** How many keys may be reconciled at the same time; 10 unless told. */
  readonly concurrency?: number;
  readonly clock: Clock;
  /** A number in [0, 1), for jitter. */
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'level' | 'reconcile'>;
}

/** What went wrong with a key since it last went well. */
export interface Trouble {
  /** Backoffs so far. */
  readonly failures: number;
  /** Conflicts in a row. */
  readonly conflicts: number;
}

const FIRST_BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 60_000;
/** Somebody who always writes first must not keep us busy: after so many conflicts in a row even they wait. */
const MOST_CONFLICTS = 5;
/** What a server may ask for by Retry-After. */
const LONGEST_RETRY_MS = 600_000;
/** A timer holds no more than 2^31 ms. Whoever wakes early looks again. */
const LONGEST_SLEEP_MS = 86_400_000;
/** Whoever gives way waits so long at most. */
const PATIENCE_MS = 2_000;
/** Leading, but just now not certain of it: how soon to look again, should nobody tell. */
const UNCERTAIN_MS = 1_000;
/** What is said once is said again when it has not been seen for so long. */
const SILENCE_MS = 600_000;
/** How many different failures are remembered as said. */
const MOST_SAID = 200;

/**
 * When to try again after `fault`, and what the trouble is then. Pure. `random` is in [0, 1) and takes off up to a fifth of a
 * backoff, so that those who failed together do not come back together.
 */
export function retry(
  fault: Fault,
  { failures, conflicts }: Trouble,
  random: number,
): { readonly waitMs: number; readonly trouble: Trouble } {
  if (fault.code === 'conflict' && conflicts < MOST_CONFLICTS) {
    return { waitMs: 0, trouble: { failures, conflicts: conflicts + 1 } };
  }
  const trouble = { failures: failures + 1, conflicts: fault.code === 'conflict' ? conflicts : 0 };
  if (fault.retryAfterMs !== undefined) {
    return { waitMs: Math.min(Math.max(fault.retryAfterMs, FIRST_BACKOFF_MS), LONGEST_RETRY_MS), trouble };
  }
  const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** failures, LONGEST_BACKOFF_MS);
  return { waitMs: backoffMs * (1 - 0.2 * random), trouble };
}

/** A key that is being reconciled. */
interface Work {
  readonly ending: AbortController;
  /** Resolves when it has ended, whatever came of it. Never rejects. */
  ended: Promise<void>;
  /** When it is due once more. */
  rungAt: number | undefined;
  /** It is due once more when others have had their turn. */
  isRungLast: boolean;
  /** Its object is gone: whatever comes of it matters no more. */
  isForgotten: boolean;
}

/**
 * Makes a loop; nothing is reconciled before it is started and `leadership` is held. An error of `reconcile` never ends it:
 * each kind is logged once, conflicts only when they go on. `stop` aborts what is being done, and waits for it.
 */
export function createController(parts: ControllerParts): Controller {
  const { name, reconcile, keys, leadership, concurrency = 10, clock, random, log, metrics } = parts;
  const due = new DueQueue<ObjectRef>();
  /** Those that give way, by id, whoever came first is first. They are due when their patience is over. */
  const last = new Map<string, ObjectRef>();
  /** How many are being reconciled that others give way to. */
  let urgent = 0;
  /** What waits for calm, each to be called once. */
  const waiting = new Set<() => void>();
  const working = new Map<string, Work>();
  const troubles = new Map<string, Trouble>();
  const complain = complaints(name, clock, log);
  let leads = false;
  let isLookDue = false;
  let alarm: { readonly at: number; readonly ending: AbortController } | undefined;
  let unsubscribe = () => {};
  metrics.level(`controller keys ${name}`, () => pending());

  const pending = () => working.size + due.countDue(clock.steady());

  /** Starts what is due, as far as it may, and sets the alarm for what comes next. */
  const look = () => {
    isLookDue = false;
    const now = clock.steady();
    while (leads && leadership.held() && working.size < concurrency) {
      const key = due.take(now) ?? takeLast();
      if (key === undefined) break;
      work(key);
    }
    if (isCalm()) endWaiting();
    const nextAt = leads && working.size < concurrency ? due.nextAt : undefined;
    setAlarm(nextAt !== undefined && nextAt <= now ? now + UNCERTAIN_MS : nextAt);
  };

  const isCalm = () => urgent === 0 && (due.nextAt ?? Number.POSITIVE_INFINITY) > clock.steady();

  const endWaiting = () => {
    for (const end of waiting) end();
    waiting.clear();
  };

  /** The first of those that give way, while there is nobody to give way to. */
  const takeLast = (): ObjectRef | undefined => {
    const [first] = urgent > 0 ? [] : last;
    if (first === undefined) return undefined;
    due.delete(first[0]);
    return first[1];
  };

  /** Looks as soon as whoever rings has finished: a store tells of its changes one by one, in the middle of them. */
  const lookSoon = () => {
    if (isLookDue) return;
    isLookDue = true;
    queueMicrotask(look);
  };

  const setAlarm = (at: number | undefined) => {
    if (alarm?.at === at) return;
    alarm?.ending.abort();
    alarm = undefined;
    if (at === undefined) return;
    const ending = new AbortController();
    alarm = { at, ending };
    const ms = Math.min(Math.max(at - clock.steady(), 0), LONGEST_SLEEP_MS);
    void clock.sleep(ms, ending.signal).then(() => {
      if (ending.signal.aborted) return;
      alarm = undefined;
      look();
    });
  };

  const work = (key: ObjectRef) => {
    const id = idOf(key);
    const ending = new AbortController();
    const own: Work = { ending, ended: Promise.resolve(), rungAt: undefined, isRungLast: false, isForgotten: false };
    working.set(id, own);
    const gaveWay = last.delete(id);
    if (!gaveWay) urgent += 1;
    const began = clock.steady();
    own.ended = attempt(reconcile, key, ending.signal).then((outcome) => {
      working.delete(id);
      if (!gaveWay) urgent -= 1;
      const word = ending.signal.aborted ? 'aborted' : outcome.type === 'done' ? 'done' : outcome.fault.code;
      metrics.reconcile(name, word, (clock.steady() - began) / 1_000);
      const isOver = ending.signal.aborted || own.isForgotten;
      const againAt = isOver ? undefined : after(key, outcome);
      const at = Math.min(own.rungAt ?? Number.POSITIVE_INFINITY, againAt ?? Number.POSITIVE_INFINITY);
      if (Number.isFinite(at)) due.add(id, key, at);
      if (own.isRungLast || (!isOver && outcome.type === 'done' && outcome.last === true)) addLast(key);
      look();
    });
  };

  /** When the key is due once more by what came of it. */
  const after = (key: ObjectRef, outcome: Outcome): number | undefined => {
    const id = idOf(key);
    const now = clock.steady();
    if (outcome.type === 'done') {
      troubles.delete(id);
      // At least a turn of the event loop, so that who asks to look again at once keeps nobody else from his turn.
      return outcome.againMs === undefined ? undefined : now + Math.max(outcome.againMs, 1);
    }
    const { waitMs, trouble } = retry(outcome.fault, troubles.get(id) ?? { failures: 0, conflicts: 0 }, random());
    if (waitMs > 0) complain(key, outcome.fault);
    troubles.set(id, trouble);
    return now + waitMs;
  };

  const ring = (key: ObjectRef, afterMs = 0) => {
    if (!leads) return;
    const id = idOf(key);
    const at = clock.steady() + Math.max(afterMs, 0);
    if (afterMs <= 0) last.delete(id);
    const own = working.get(id);
    if (own !== undefined) {
      own.rungAt = Math.min(own.rungAt ?? at, at);
      return;
    }
    due.add(id, key, at);
    lookSoon();
  };

  const ringLast = (key: ObjectRef) => {
    if (!leads) return;
    const own = working.get(idOf(key));
    if (own !== undefined) {
      own.isRungLast = true;
      return;
    }
    addLast(key);
    lookSoon();
  };

  const addLast = (key: ObjectRef) => {
    const id = idOf(key);
    const now = clock.steady();
    if (last.has(id) || due.isDue(id, now)) return;
    last.set(id, key);
    due.add(id, key, now + PATIENCE_MS);
  };

  const lead = (held: boolean) => {
    if (held === leads) return;
    leads = held;
    if (held) {
      for (const key of keys()) ring(key);
      return;
    }
    letGo(new Fault('unavailable', 'another replica leads'));
  };

  /** Ends everything, and forgets what was to be done: whoever leads next begins with all keys. */
  const letGo = (reason: Fault) => {
    due.clear();
    last.clear();
    endWaiting();
    troubles.clear();
    setAlarm(undefined);
    for (const own of working.values()) {
      own.rungAt = undefined;
      own.isRungLast = false;
      own.ending.abort(reason);
    }
  };

  return {
    name,
    async start() {
      unsubscribe = leadership.subscribe(lead);
      if (leadership.held()) lead(true);
    },
    async stop(signal) {
      unsubscribe();
      leads = false;
      letGo(new Fault('draining', 'this replica is stopping'));
      const ended = Promise.all([...working.values()].map((own) => own.ended));
      await Promise.race([ended, aborted(signal)]);
    },
    ring,
    ringLast,
    async calm() {
      if (!leads || isCalm()) return;
      const over = new AbortController();
      const end = () => over.abort();
      waiting.add(end);
      await clock.sleep(PATIENCE_MS, over.signal);
      waiting.delete(end);
    },
    forget(key) {
      const id = idOf(key);
      due.delete(id);
      last.delete(id);
      troubles.delete(id);
      const own = working.get(id);
      if (own === undefined) return;
      own.isForgotten = true;
      own.rungAt = undefined;
      own.isRungLast = false;
    },
    get pending() {
      return pending();
    },
  };
}

type Outcome = ({ readonly type: 'done' } & Again) | { readonly type: 'failed'; readonly fault: Fault };

/** Never rejects, also where `reconcile` throws before it returns its promise. */
async function attempt(reconcile: Reconcile, key: ObjectRef, signal: AbortSignal): Promise<Outcome> {
  try {
    return { type: 'done', ...(await reconcile(key, signal)) };
  } catch (error) {
    return { type: 'failed', fault: faultOf(error) };
  }
}

/** Says what went wrong, each failure once, however many keys meet it and however often. */
function complaints(controller: string, clock: Clock, log: Log): (key: ObjectRef, fault: Fault) => void {
  /** When each was seen last, the one that was seen longest ago first. */
  const seen = new Map<string, number>();
  return ({ namespace, name }, fault) => {
    const cause = causeOf(fault);
    const what = [fault.code, fault.message, cause].join('\n');
    const now = clock.steady();
    const before = seen.get(what);
    seen.delete(what);
    seen.set(what, now);
    for (const [oldest] of seen) {
      if (seen.size <= MOST_SAID) break;
      seen.delete(oldest);
    }
    if (before !== undefined && now - before < SILENCE_MS) return;
    const fields = { controller, namespace, name, code: fault.code, error: fault.message, cause };
    if (fault.code === 'internal') log.error('a reconcile failed by our fault', fields);
    else log.warn('a reconcile failed', fields);
  };
}

/** What the server said; of our own mistakes where they happened. */
function causeOf(fault: Fault): string | undefined {
  if (fault instanceof WriteFault) return fault.said;
  const { cause } = fault;
  if (!(cause instanceof Error)) return cause === undefined ? undefined : String(cause);
  return fault.code === 'internal' ? (cause.stack ?? cause.message) : cause.message;
}

/** Neither part can have a slash. */
function idOf({ namespace, name }: ObjectRef): string {
  return `${namespace}/${name}`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
