/**
 * The cross-data-centre lock: of all rungates and original operators that share a database, one may write.
 *
 * Whoever loses it may notice late. What keeps two from writing at once is arithmetic: a write begins, and is given up, within
 * 5 s of a look that found the lock to be ours; whoever gets the lock writes nothing for 15 s.
 */
import type { Clock } from '../clock.ts';
import { Fault, faultOf } from '../fault.ts';
import type { Election, Leadership } from '../kube/lease.ts';
import type { Log, LogFields } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { OpenSession, Row, Session } from './session.ts';
import {
  LOCKS,
  LOOK,
  leaderIn,
  MAKE_DATABASE,
  notOurs,
  SETTLE_IN,
  SIGN,
  type Sight,
  sightOf,
  TABLES,
  TAKE_MS,
  WHICH_TABLES,
} from './statements.ts';

/** What the lock needs. */
export interface CrossDcLockParts {
  readonly open: OpenSession;
  /** The database, for people. */
  readonly place: string;
  /** Who we are, as others may read it. */
  readonly identity: string;
  /**
   * The election among the replicas of this cluster: the lock is sought only while it is held. Without that one replica
   * could have the one and another the other, and none would ever have both.
   */
  readonly within?: Leadership;
  /** Resolves when no write is in flight; what a stop waits for before it gives the lock away. */
  readonly settled?: () => Promise<void>;
  readonly clock: Clock;
  /** A number in [0, 1), for jitter. */
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** A look is sent so often, and may take so long: the next one has answered before the last one is too old. */
const LOOK_EVERY_MS = 2_000;
const ANSWER_MS = 2_000;
/** For how long a look counts, from when it was sent. */
const LOOK_COUNTS_MS = 5_000;
/** What a new holder waits before it writes. */
const QUIET_MS = 15_000;
const CONNECT_MS = 5_000;
/** Between two tries to take a lock, lest a server that answers at once be asked without end. */
const TAKE_PAUSE_MS = 250;
const FIRST_BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 5_000;
/** Servers shut out whoever keeps coming with a wrong password. */
const REFUSED_BACKOFF_MS = 60_000;
/** A session that lived so long proves the way is healthy again: backoff starts over. */
const HEALTHY_MS = 10_000;
const SAY_AGAIN_MS = 60_000;
const ELECTION_POLL_MS = 500;
/** The column holds 512 bytes, of which a character may take four and the connection's number twenty. */
const LONGEST_IDENTITY = 120;

/**
 * The lock as a part of the process. `start` asks the database once: Fault `refused` or `bad-request` when waiting would not
 * help, and a warning when it does not answer. From then on the lock is sought, and sought again after every loss, until
 * `stop`, which drops the claim, waits for `settled` and then frees the lock. While the database cannot be reached the lock
 * is not held. To begin with, and after every loss, it is held 15 s after it was taken at the earliest. When a look is overdue,
 * as in a process that was stopped, it is not held until the next one, and nobody is told.
 */
export function createCrossDcLock(parts: CrossDcLockParts): Election {
  const { open, place, within, settled = async () => {}, clock, random, log, metrics } = parts;
  const identity = [...parts.identity].slice(0, LONGEST_IDENTITY).join('');
  const listeners = new Set<(held: boolean) => void>();
  const ended = new AbortController();
  const onceAMinute = atMostOnceAMinute(clock);
  let isStopping = false;
  let isClaimed = false;
  /** When the last look was sent that found the lock to be ours. */
  let sentAt = Number.NEGATIVE_INFINITY;
  let leader: string | undefined;
  let seeking: Promise<void> = Promise.resolve();

  const remainingMs = () => {
    const age = clock.now() - sentAt;
    // Where the clock was set back, a look of long ago must not count for longer.
    return isClaimed && age >= 0 ? Math.max(0, LOOK_COUNTS_MS - age) : 0;
  };
  const claim = (held: boolean) => {
    if (isClaimed === held) return;
    isClaimed = held;
    if (held) log.info('the cross-data-centre lock is ours: writing from now on', { database: place, identity });
    else if (isStopping) log.info('the cross-data-centre lock is given back', { database: place, identity });
    else log.warn('the cross-data-centre lock is no longer ours: nothing is written', { database: place, identity });
    for (const listener of listeners) listener(held);
  };
  metrics.level('cross-dc leader', () => (remainingMs() > 0 ? 1 : 0));

  const complain = (fault: Fault) => {
    const fields = { database: place, why: fault.message };
    onceAMinute(fields, () => log.warn('the cross-data-centre lock cannot be had: trying again', fields));
  };

  /** An answer in time, from a session that is still there. A Fault means that nobody knows what the session holds. */
  const ask = (session: Session, signal: AbortSignal, sql: string, values?: readonly string[], ms = ANSWER_MS) =>
    inTime<readonly Row[]>(ms, { clock, signal, place }, () => session.query(sql, values));

  /** Connects, and sees to it that the tables are there. */
  const enter = async (signal: AbortSignal): Promise<Session> => {
    const session = await inTime(CONNECT_MS, { clock, signal, place }, open);
    try {
      await ask(session, signal, SETTLE_IN);
      const there = (await ask(session, signal, WHICH_TABLES)).map(({ name }) => String(name).toLowerCase());
      const missing = TABLES.filter(({ name }) => !there.includes(name));
      if (missing.length > 0) await ask(session, signal, MAKE_DATABASE);
      for (const { make } of missing) await ask(session, signal, make);
      return session;
    } catch (error) {
      session.destroy();
      throw error;
    }
  };

  const look = async (session: Session, signal: AbortSignal): Promise<Sight> =>
    sightOf(await ask(session, signal, LOOK));

  /** Waits in line for one after another. What is had already is kept meanwhile. */
  const take = async (session: Session, signal: AbortSignal): Promise<void> => {
    for (const { name, take: statement } of LOCKS) {
      for (;;) {
        const [row] = await ask(session, signal, statement, undefined, TAKE_MS + ANSWER_MS);
        if (Number(row?.taken) === 1) break;
        leader = leaderIn(await look(session, signal));
        const fields = { database: place, lock: name, holder: leader ?? 'unknown' };
        onceAMinute(fields, () => log.info('waiting for the cross-data-centre lock', fields));
        await clock.sleep(TAKE_PAUSE_MS, signal);
        signal.throwIfAborted();
      }
    }
    await ask(session, signal, SIGN, [identity]);
    leader = identity;
    log.info('the cross-data-centre lock is taken', { database: place, identity, quietSeconds: QUIET_MS / 1000 });
  };

  /** Looks again and again. Rejects when the lock is lost, or with the reason of `signal`. */
  const keep = async (session: Session, signal: AbortSignal): Promise<never> => {
    let isQuietOver = false;
    void clock.sleep(QUIET_MS, signal).then(() => {
      isQuietOver = true;
    });
    for (;;) {
      const sending = clock.now();
      const difference = notOurs(await look(session, signal), identity);
      if (difference !== undefined) throw new Fault('unavailable', difference);
      sentAt = sending;
      if (isQuietOver && !isStopping) claim(true);
      const tookMs = Math.max(0, clock.now() - sending); // no less, though the clock was set back meanwhile
      await clock.sleep(Math.max(0, LOOK_EVERY_MS - tookMs), signal);
      signal.throwIfAborted();
    }
  };

  /** One session, from its beginning until the lock is lost or `signal` aborts, which it rejects with. */
  const hold = async (signal: AbortSignal): Promise<never> => {
    const session = await enter(signal);
    const lost = new AbortController();
    const over = AbortSignal.any([signal, lost.signal]);
    void session.closed.then((fault) => lost.abort(fault));
    let isTaken = false;
    try {
      await take(session, over);
      isTaken = true;
      return await keep(session, over);
    } finally {
      claim(false);
      sentAt = Number.NEGATIVE_INFINITY;
      leader = undefined;
      // In order where we go by ourselves: the server frees the lock now, and not when it misses us.
      if (isTaken && signal.aborted) {
        await inTime(ANSWER_MS, { clock, signal: lost.signal, place }, () => session.end()).catch(() => {});
      }
      lost.abort(); // ends what waits on the session
      session.destroy();
    }
  };

  const seek = async (): Promise<void> => {
    let backoffMs = FIRST_BACKOFF_MS;
    while (!ended.signal.aborted) {
      const led = await whileHeld(within, clock, ended.signal);
      const begun = clock.now();
      try {
        await hold(led.signal);
      } catch (error) {
        if (!led.signal.aborted) {
          const fault = faultOf(error);
          complain(fault);
          if (clock.now() - begun >= HEALTHY_MS) backoffMs = FIRST_BACKOFF_MS;
          const waitMs = isLasting(fault) ? REFUSED_BACKOFF_MS : backoffMs;
          backoffMs = Math.min(backoffMs * 2, LONGEST_BACKOFF_MS);
          await clock.sleep(waitMs * (0.8 + 0.4 * random()), led.signal);
        }
      } finally {
        led.end();
      }
    }
  };

  return {
    name: 'cross-data-centre lock',
    held: () => remainingMs() > 0,
    remainingMs,
    holder: () => leader,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async start() {
      try {
        const session = await enter(ended.signal);
        await inTime(ANSWER_MS, { clock, signal: ended.signal, place }, () => session.end()).catch(() => {});
        session.destroy();
      } catch (error) {
        if (ended.signal.aborted) return;
        const fault = faultOf(error);
        if (isLasting(fault)) throw fault;
        complain(fault);
      }
      seeking = seek();
    },
    async stop(signal) {
      isStopping = true;
      claim(false);
      const hurried = aborted(signal);
      await Promise.race([settled(), hurried]);
      ended.abort(new Fault('draining', 'stopping'));
      await Promise.race([seeking, hurried]);
    },
  };
}

/** Whether only a person can mend it. */
function isLasting({ code }: Fault): boolean {
  return code === 'refused' || code === 'bad-request';
}

/** What `act` resolves with, unless `signal` aborts first or `ms` pass: then a rejection, and `act` is told by its signal. */
async function inTime<T>(
  ms: number,
  { clock, signal, place }: { readonly clock: Clock; readonly signal: AbortSignal; readonly place: string },
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const call = new AbortController();
  const { promise: over, reject } = Promise.withResolvers<never>();
  const abort = () => {
    reject(signal.reason);
    call.abort(signal.reason);
  };
  signal.addEventListener('abort', abort);
  const done = new AbortController();
  void clock.sleep(ms, done.signal).then(() => {
    if (done.signal.aborted) return;
    const late = new Fault('timeout', `the database at ${place} does not answer`);
    reject(late);
    call.abort(late);
  });
  try {
    return await Promise.race([over, act(call.signal)]);
  } finally {
    done.abort();
    signal.removeEventListener('abort', abort);
  }
}

/** Waits until `leadership` is held, or there is none to wait for; the signal aborts when it is lost, or with `ended`. */
async function whileHeld(leadership: Leadership | undefined, clock: Clock, ended: AbortSignal) {
  // Looked at, not listened to: an election that was in doubt for a moment is held again without being won.
  while (leadership !== undefined && !leadership.held() && !ended.aborted) await clock.sleep(ELECTION_POLL_MS, ended);
  const lost = new AbortController();
  const end = () => lost.abort(new Fault('unavailable', 'another replica of this cluster leads'));
  const unsubscribe = leadership?.subscribe((held) => (held ? undefined : end()));
  ended.addEventListener('abort', end);
  if (ended.aborted) end();
  return {
    signal: lost.signal,
    end() {
      unsubscribe?.();
      ended.removeEventListener('abort', end);
    },
  };
}

/** Resolves when `signal` has aborted. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Says the same thing once a minute at most. */
function atMostOnceAMinute(clock: Clock): (fields: LogFields, say: () => void) => void {
  const saidAt = new Map<string, number>();
  return (fields, say) => {
    const key = JSON.stringify(fields);
    const last = saidAt.get(key);
    const age = last === undefined ? SAY_AGAIN_MS : clock.now() - last;
    if (age >= 0 && age < SAY_AGAIN_MS) return;
    for (const [other, at] of saidAt) if (clock.now() - at >= SAY_AGAIN_MS) saidAt.delete(other);
    saidAt.set(key, clock.now());
    say();
  };
}
