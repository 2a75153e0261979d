/** Who leads among replicas, by a Lease as client-go's leader election keeps it; and the fence that refuses writes to all others. */
import type { Clock } from '../clock.ts';
import { Fault, faultOf } from '../fault.ts';
import type { Part } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { KubeReader } from './client.ts';
import { type Json, type JsonObject, numberOf, objectOf, stringOf } from './objects.ts';
import { type KubeWriter, WriteFault, type WriteOptions } from './writer.ts';

/** Whether this process leads. */
export interface Leadership {
  /** Whether a write may be sent now. True only while the Lease is certain to be ours for as long as a write may take. */
  held(): boolean;
  /** For how long that is certain, in milliseconds from now; 0 when not held. */
  remainingMs(): number;
  /** Calls `listener` each time it is won or lost, synchronously. Returns the end of the subscription. */
  subscribe(listener: (held: boolean) => void): () => void;
  /** Who leads, as the Lease last said; undefined: nobody, or not known. */
  holder(): string | undefined;
}

/** Election as a part of the process: started after what it protects can run, stopped after the last write has returned. */
export interface Election extends Part, Leadership {}

/** What an election is made of. */
export interface ElectionParts {
  /** Not behind a fence: who does not lead has to write the Lease. */
  readonly client: KubeReader & Pick<KubeWriter, 'create' | 'replace'>;
  /** Where the Lease is, and its name. */
  readonly namespace: string;
  readonly name: string;
  /** Who we are; no two processes may ever share one. */
  readonly identity: string;
  /** For how long nobody else takes a Lease that is no longer renewed; whole seconds, 15 unless told. */
  readonly leaseSeconds?: number;
  /** Resolves when the writes in flight have ended: only then is the Lease given back. Asked once, when the part stops. */
  readonly settled?: () => Promise<void>;
  readonly clock: Clock;
  /** A number in [0, 1), for jitter. */
  readonly random: () => number;
  readonly log: Log;
}

/** The Lease as it was last read or written. */
interface Seen {
  /** Undefined: it has been deleted since. Whoever held it does not know that yet. */
  readonly lease: JsonObject | undefined;
  /** Its spec as text: what has to change for its holder to be alive. */
  readonly record: string;
  /** Empty: nobody. */
  readonly holder: string;
  readonly durationMs: number;
  /** When, by our own clock, it was first seen like this. Clocks of others are never compared with ours. */
  readonly sinceMs: number;
}

/**
 * Makes an election for one Lease, as client-go does it, so that its replicas and ours exclude each other: whoever finds it
 * free, or unchanged for as long as it says it lasts, writes his name in, guarded by its resourceVersion; the holder renews
 * it. With the usual 15 s it is renewed every 2 s, and counts as held for 10 s after the last renewal that was answered,
 * counted from when that was sent. The 5 s between are for writes that were sent and are still on their way.
 *
 * Never throws. While the API cannot be reached, or the rights are missing, it keeps trying and does not lead; either is
 * logged once. `start` waits for nothing. `stop` tells the listeners, waits for `settled`, and gives the Lease back so that
 * another one can lead at once; when its deadline passes first, the Lease runs out by itself. It cannot be started again.
 * https://pkg.go.dev/k8s.io/client-go/tools/leaderelection
 */
export function createElection(parts: ElectionParts): Election {
  const { client, namespace, name, identity, leaseSeconds = 15, settled = async () => {}, clock, random, log } = parts;
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const path = `${collection}/${name}`;
  const leaseMs = leaseSeconds * 1_000;
  const retryMs = (leaseMs * 2) / 15;
  const deadlineMs = (leaseMs * 2) / 3;
  /** One call without an answer leaves time for another. */
  const callMs = leaseMs / 3;
  const about = { lease: name, namespace };
  const stopping = new AbortController();
  const { add: subscribe, tell } = createListeners(log);
  /** What has been said of the trouble of now. */
  const said = new Set<string>();
  let seen: Seen | undefined;
  let leads = false;
  /** When the last renewal that was answered had been sent. */
  let renewedAt = 0;
  let expiry = new AbortController();
  /** `stop` has broken off a try, which the server may have taken. */
  let isUnheard = false;
  let electing: Promise<void> = Promise.resolve();

  const leftOf = (sentAt: number) => sentAt + deadlineMs - clock.steady();
  const remainingMs = () => (leads ? Math.max(0, leftOf(renewedAt)) : 0);

  const win = (sentAt: number) => {
    // An answer may come too late to be of use, and `stop` is not undone by one.
    if (leftOf(sentAt) <= 0 || stopping.signal.aborted) return;
    renewedAt = sentAt;
    expiry.abort();
    expiry = new AbortController();
    const { signal } = expiry;
    void clock.sleep(leftOf(sentAt), signal).then(() => {
      if (!signal.aborted) lose('the Lease could not be renewed in time');
    });
    if (leads) return;
    leads = true;
    log.info('this replica leads', { ...about, identity });
    tell(true);
  };

  const lose = (why: string) => {
    expiry.abort();
    if (!leads) return;
    leads = false;
    log[stopping.signal.aborted ? 'info' : 'warn']('this replica leads no more', { ...about, why });
    tell(false);
  };

  const see = (lease: JsonObject): Seen => {
    const spec = objectOf(lease.spec);
    const record = JSON.stringify(spec);
    const holder = stringOf(spec.holderIdentity) ?? '';
    if (holder !== '' && holder !== identity && holder !== seen?.holder) {
      log.info('another replica leads', { ...about, holder });
    }
    const sinceMs = seen?.record === record ? seen.sinceMs : clock.steady();
    seen = { lease, record, holder, durationMs: durationOf(spec.leaseDurationSeconds) ?? leaseMs, sinceMs };
    return seen;
  };

  const read = async (): Promise<Seen | undefined> => {
    try {
      return see(await client.get(path, { signal: stopping.signal, timeoutMs: callMs }));
    } catch (error) {
      if (faultOf(error).code !== 'not-found') throw error;
      if (seen?.lease !== undefined) seen = { ...seen, lease: undefined, sinceMs: clock.steady() };
      return seen;
    }
  };

  /** One try to take the Lease, or to keep it. Who leads writes over what he knows: if that is old, it is a conflict. */
  const attempt = async (known: Seen | undefined): Promise<void> => {
    if (known !== undefined && !isFree(known, identity, clock.steady())) {
      return lose(`${known.holder} has taken the Lease`);
    }
    const sentAt = clock.steady();
    const timeoutMs = leads ? Math.max(1, Math.min(callMs, remainingMs())) : callMs;
    const options = { signal: stopping.signal, timeoutMs };
    const record = recordOf(known, { identity, leaseSeconds, now: clock.now() });
    const writing =
      known?.lease === undefined
        ? client.create(collection, { ...NEW_LEASE, metadata: { name, namespace }, spec: record }, options)
        : client.replace(path, { ...known.lease, spec: record }, options);
    const written = await writing.catch((error: unknown) => {
      isUnheard = stopping.signal.aborted;
      throw error;
    });
    if (see(written).holder === identity) win(sentAt);
  };

  const elect = async () => {
    while (!stopping.signal.aborted) {
      const began = clock.steady();
      try {
        if (leads) await attempt(seen).catch(orElse(['conflict', 'not-found'], async () => attempt(await read())));
        else await attempt(await read());
        if (said.size > 0) log.info('the Lease can be read and written again', about);
        said.clear();
      } catch (error) {
        complain(faultOf(error));
      }
      const waitMs = leads ? began + retryMs - clock.steady() : idleMs();
      await clock.sleep(Math.max(1, waitMs), stopping.signal);
    }
  };

  /** How long who does not lead waits before he looks again: to the moment at which the Lease runs out if that is sooner. */
  const idleMs = () => {
    const periodMs = retryMs * (1 + 0.2 * random());
    const leftMs = seen === undefined ? 0 : seen.sinceMs + seen.durationMs - clock.steady();
    return leftMs > 0 ? Math.min(periodMs, leftMs) : periodMs;
  };

  const complain = (fault: Fault) => {
    // A conflict: somebody else was faster, which is what a Lease is for.
    if (stopping.signal.aborted || fault.code === 'conflict' || said.has(fault.message)) return;
    said.add(fault.message);
    log.warn('the Lease cannot be read or written: trying on', {
      ...about,
      error: fault.message,
      cause: causeOf(fault),
    });
  };

  /** Writes nobody's name in, provided that ours is there. */
  const release = async (signal: AbortSignal) => {
    const options = { signal, timeoutMs: callMs };
    const give = async (held: Seen | undefined) => {
      if (held?.lease === undefined || held.holder !== identity) return;
      const time = microTime(clock.now());
      const freed = { holderIdentity: '', leaseDurationSeconds: 1, renewTime: time, acquireTime: time };
      see(await client.replace(path, { ...held.lease, spec: { ...objectOf(held.lease.spec), ...freed } }, options));
    };
    const giveLive = async () => give(see(await client.get(path, options)));
    // Whoever did not lead does not know that he has it by now.
    if (isUnheard) return giveLive().catch(orElse(['not-found'], async () => {}));
    // A conflict: the last renewal was taken after all, although its answer was not waited for.
    await give(seen).catch(orElse(['conflict'], giveLive));
  };

  return {
    name: 'election',
    async start() {
      electing = elect();
    },
    async stop(signal) {
      stopping.abort(new Fault('draining', 'this replica is stopping'));
      lose('this replica is stopping');
      const ended = Promise.all([electing, settled()]);
      if (!(await endsBefore(ended, signal))) return;
      try {
        await release(signal);
      } catch (error) {
        log.warn('the Lease could not be given back: it runs out by itself', {
          ...about,
          error: faultOf(error).message,
        });
      }
    },
    held: () => remainingMs() > 0,
    remainingMs,
    subscribe,
    holder: () => seen?.holder || undefined,
  };
}

const NEW_LEASE = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' } as const;

/** Whether `identity` may write itself in. One that was deleted under its holder lasts as long as one that he let run out. */
function isFree({ holder, durationMs, sinceMs }: Seen, identity: string, now: number): boolean {
  return holder === '' || holder === identity || now - sinceMs >= durationMs;
}

/** The spec with `identity` as its holder. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/ */
function recordOf(
  known: Seen | undefined,
  { identity, leaseSeconds, now }: { readonly identity: string; readonly leaseSeconds: number; readonly now: number },
): JsonObject {
  const time = microTime(now);
  const record = { holderIdentity: identity, leaseDurationSeconds: leaseSeconds, renewTime: time };
  if (known?.lease === undefined) return { ...record, acquireTime: time, leaseTransitions: 0 };
  const spec = objectOf(known.lease.spec);
  if (known.holder === identity) return { ...spec, ...record };
  return { ...spec, ...record, acquireTime: time, leaseTransitions: (numberOf(spec.leaseTransitions) ?? 0) + 1 };
}

function durationOf(seconds: Json | undefined): number | undefined {
  const known = numberOf(seconds);
  return known !== undefined && known > 0 ? known * 1_000 : undefined;
}

/** RFC 3339 with six digits of a second, as Go's MicroTime wants it. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}

/** What the server said, for the log. */
function causeOf(fault: Fault): string | undefined {
  if (fault instanceof WriteFault) return fault.said;
  return fault.cause instanceof Error ? fault.cause.message : undefined;
}

/** A handler of rejections that goes on with `work` where the Fault has one of `codes`. */
function orElse(codes: readonly Fault['code'][], work: () => Promise<void>): (error: unknown) => Promise<void> {
  return (error) => {
    if (!codes.includes(faultOf(error).code)) throw error;
    return work();
  };
}

/** Whether `work` has ended well before `signal` aborted. */
function endsBefore(work: Promise<unknown>, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    void work.then(
      () => resolve(true),
      () => resolve(false),
    );
    if (signal.aborted) resolve(false);
    else signal.addEventListener('abort', () => resolve(false), { once: true });
  });
}

function createListeners(log: Log) {
  const listeners = new Set<{ hear(held: boolean): void }>();
  return {
    add(hear: (held: boolean) => void): () => void {
      const listener = { hear };
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    tell(held: boolean) {
      for (const { hear } of listeners) {
        try {
          hear(held);
        } catch (error) {
          log.error('a listener of the election failed', {
            error: error instanceof Error ? error.stack : String(error),
          });
        }
      }
    },
  };
}

/** Held only while each of them is, and for as long as the one that is certain for the shortest time. `holder` is that of the first. */
export function allOf(first: Leadership, ...others: readonly Leadership[]): Leadership {
  const all = [first, ...others];
  const held = () => all.every((each) => each.held());
  return {
    held,
    remainingMs: () => (held() ? Math.min(...all.map((each) => each.remainingMs())) : 0),
    subscribe(listener) {
      // What each was told to be, not what it is certain of this moment: one in doubt is certain again without a word.
      const won = all.map((each) => each.held());
      let last = won.every(Boolean);
      const ends = all.map((each, place) =>
        each.subscribe((isWon) => {
          won[place] = isWon;
          const now = won.every(Boolean);
          if (now === last) return;
          last = now;
          listener(now);
        }),
      );
      return () => {
        for (const end of ends) end();
      };
    },
    holder: () => first.holder(),
  };
}

/** A writer behind a fence. */
export interface FencedWriter extends KubeWriter {
  /** Resolves when the writes that are in flight now have ended, whatever came of them. */
  settled(): Promise<void>;
}

/** Refused writes are asked for again after this time, should nobody learn earlier who leads. */
const REFUSED_MS = 1_000;
/** As long as a write may take where nobody says. */
const WRITE_MS = 10_000;

/**
 * The only writer that controllers are given. A write is sent while `leadership` is held and is waited for no longer than
 * that is certain, so that none is in flight when another one may lead; all others are refused: Fault `unavailable`. Every verb
 * is listed, so that a new one does not compile until it is fenced.
 */
export function fence(writer: KubeWriter, leadership: Leadership): FencedWriter {
  const inFlight = new Set<Promise<unknown>>();
  const pass = async <T>(write: (more: WriteOptions) => Promise<T>, more: WriteOptions = {}): Promise<T> => {
    const leftMs = Math.floor(leadership.remainingMs());
    if (!leadership.held() || leftMs < 1) {
      throw new Fault('unavailable', 'another replica leads', { retryAfterMs: REFUSED_MS });
    }
    const sent = write({ ...more, timeoutMs: Math.min(more.timeoutMs ?? WRITE_MS, leftMs) });
    inFlight.add(sent);
    try {
      return await sent;
    } finally {
      inFlight.delete(sent);
    }
  };
  return {
    create: (path, object, more) => pass((within) => writer.create(path, object, within), more),
    patch: (path, merge, more) => pass((within) => writer.patch(path, merge, within), more),
    replace: (path, object, more) => pass((within) => writer.replace(path, object, within), more),
    remove: (path, only, more) => pass((within) => writer.remove(path, only, within), more),
    async settled() {
      await Promise.allSettled(inFlight);
    },
  };
}
