/**
 * Holds an event of Flux against the object that it is about. Events are a hint to look: whoever knows a hook's key can sign any, and a
 * controller tells of a revision a moment before its object shows it.
 */
import type { Clock } from '../clock.ts';
import { Fault, faultOf } from '../fault.ts';
import { sameRevision } from '../flux/revision.ts';
import { type Shown, type ShownKind, shownBy, shownKind } from '../flux/shown.ts';
import type { KubeReader } from '../kube/client.ts';
import type { Discovery } from '../kube/discovery.ts';
import type { Part } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { expectedRevision } from './eventrevision.ts';
import type { FluxEvent } from './fluxevent.ts';
import type { SourceCheck } from './listeners/world.ts';

/** Objects that events are about, looked at as they are now. As a part: `stop` ends all looking on. */
export interface Sources extends Part {
  /**
   * Looks at the object itself, past every cache. An event that does not say which revision it is about, of a kind whose events never
   * do, is about what the object shows 250 ms later. Faults: `unavailable`, `timeout`. Rejects with the reason of `signal` as well.
   */
  check(event: FluxEvent, signal: AbortSignal): Promise<SourceCheck>;
  /**
   * For an event that came to `not-yet`: looks again 0.25, 0.5, 1, 2, 4, 8 and 15 s from now, and calls `then` once, never before it
   * returns. The object may come to show what the event says, or move on to something else that it did not show when the event came:
   * either is `same`, with what it shows. One that goes, is replaced or suspended is told as that at once. `not-yet`: it never showed
   * anything new; or more than a thousand are looked for already, which is logged. After `stop` nobody is called.
   */
  lookOn(event: FluxEvent, then: (check: SourceCheck) => void): void;
}

/** What looking takes. */
export interface SourcesParts {
  readonly reader: Pick<KubeReader, 'get'>;
  readonly versions: Discovery;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'level'>;
}

/** Moments, not gaps between them: that something was never shown is told within 20 s. */
const LOOKS_MS = [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000];
/** A status is patched a moment after its event. */
const RECHECK_MS = 250;
/** A hook has to be answered in 8 s, and creating the run needs some of them. */
const GET_MS = 2_000;
/** Where the last look could not be had, it is tried again so often and so long: the event will not come again. */
const AWAY_MS = 15_000;
const LONGEST_AWAY_MS = 5 * 60_000;
const MOST_LOOKERS = 1_000;
/** A version that is no longer served answers as an object that is missing. Whether it is that, is asked so often at most. */
const DOUBT_MS = 30_000;

/** What the API server takes for names; anything else in its place could make the path one of another object. */
const NAMESPACE = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;

/** Makes them. Nothing is asked before the first event. */
export function createSources({ reader, versions, clock, log, metrics }: SourcesParts): Sources {
  const stopping = new AbortController();
  const doubtedAt = new Map<string, number>();
  const lookers = new Set<Promise<void>>();
  /** What an object showed when its event came, so that what it shows next is known to be new. */
  const before = new WeakMap<FluxEvent, Shown>();
  let isFull = false;
  metrics.level('hook events looked on for', () => lookers.size);

  const pathOf = async (kind: ShownKind, namespace: string): Promise<string | undefined> => {
    const path = await versions.pathOf(kind, namespace);
    if (path === undefined) doubt(kind);
    return path;
  };

  /** Whether it is worth asking again which version is served. */
  const doubt = ({ group }: ShownKind): boolean => {
    const now = clock.steady();
    if (now - (doubtedAt.get(group) ?? Number.NEGATIVE_INFINITY) < DOUBT_MS) return false;
    doubtedAt.set(group, now);
    versions.doubt(group);
    return true;
  };

  const look = async ({ involvedObject }: FluxEvent, signal: AbortSignal): Promise<Looked> => {
    const { group, kind: name, namespace } = involvedObject;
    const kind = shownKind(group, name);
    if (kind === undefined) return { found: 'unreadable', message: `rungate reads no ${name} of group "${group}"` };
    if (!NAMESPACE.test(namespace) || !NAME.test(involvedObject.name)) return { found: 'missing' };
    const get = (path: string) => reader.get(`${path}/${involvedObject.name}`, { signal, timeoutMs: GET_MS });
    try {
      const path = await pathOf(kind, namespace);
      if (path === undefined) return unserved(kind);
      const raw = await absentAsUndefined(get(path));
      if (raw !== undefined) return { kind, shown: shownBy(kind, raw) };
      if (!doubt(kind)) return { found: 'missing' };
      const other = await pathOf(kind, namespace);
      if (other === undefined) return unserved(kind);
      const again = other === path ? undefined : await absentAsUndefined(get(other));
      return again === undefined ? { found: 'missing' } : { kind, shown: shownBy(kind, again) };
    } catch (error) {
      signal.throwIfAborted();
      const fault = faultOf(error);
      if (fault.code !== 'refused') throw fault;
      return { found: 'unreadable', message: `${kind.resource}.${group} cannot be read: ${fault.message}` };
    }
  };

  const check = async (event: FluxEvent, signal: AbortSignal): Promise<SourceCheck> => {
    const expected = expectedRevision(event);
    const { group, kind } = event.involvedObject;
    const isUntold = expected === undefined && shownKind(group, kind)?.is === 'chosen';
    // An error tells of nothing that there is; nor does an event of a kind that would name it.
    if (expected === undefined && (!isUntold || event.severity === 'error')) return { found: 'no-revision' };
    let looked = await look(event, signal);
    if (isUntold && 'shown' in looked) {
      await clock.sleep(RECHECK_MS, signal);
      signal.throwIfAborted();
      looked = await look(event, signal);
    }
    if ('found' in looked) return looked;
    before.set(event, looked.shown);
    return judge(looked.kind, looked.shown, event, expected);
  };

  /** Looks until it is known what the event came to; undefined: this process is stopping. */
  const awaitShown = async (event: FluxEvent, signal: AbortSignal): Promise<SourceCheck | undefined> => {
    const expected = expectedRevision(event);
    const beganAt = clock.steady();
    for (const lookAt of [...LOOKS_MS, ...laterLooks()]) {
      await clock.sleep(Math.max(0, beganAt + lookAt - clock.steady()), signal);
      if (signal.aborted) return undefined;
      const isLast = lookAt >= (LOOKS_MS.at(-1) as number);
      try {
        const looked = await look(event, signal);
        if ('found' in looked) return looked;
        const { kind, shown } = looked;
        const judged = judge(kind, shown, event, expected);
        if (judged.found !== 'not-yet') return judged;
        const first = before.get(event) ?? shown;
        before.set(event, first);
        if (shown.isCurrent && shown.revision !== undefined && shown.revision !== first.revision) {
          return sameAs(kind, shown, shown.revision);
        }
        if (isLast) return judged;
      } catch (error) {
        if (signal.aborted) return undefined;
        log.debug('an object that an event is about could not be looked at', {
          ...namesOf(event),
          problem: faultOf(error).message,
        });
      }
    }
    return { found: 'not-yet' };
  };

  const follow = async (event: FluxEvent, then: (check: SourceCheck) => void): Promise<void> => {
    const { signal } = stopping;
    const isTooMany = lookers.size >= MOST_LOOKERS;
    if (isTooMany && !isFull) log.warn('too many events wait for their objects: further ones are not waited for');
    isFull = isTooMany;
    await Promise.resolve(); // the caller goes on first
    const came: SourceCheck | undefined = isTooMany ? { found: 'not-yet' } : await awaitShown(event, signal);
    if (came === undefined || signal.aborted) return;
    try {
      then(came);
    } catch (error) {
      log.error('what an event came to could not be taken', { ...namesOf(event), error: String(error) });
    }
  };

  return {
    name: 'hook sources',
    async start() {},
    async stop() {
      // They were answered with `pending`, and nobody sends them again.
      if (lookers.size > 0) log.warn('stopping while events wait for their objects', { events: lookers.size });
      stopping.abort(new Fault('draining', 'this process is stopping'));
      await Promise.all(lookers);
    },
    check,
    lookOn(event, then) {
      const looker = follow(event, then).finally(() => lookers.delete(looker));
      lookers.add(looker);
    },
  };
}

/** An object of a kind that is known, or why there is none to look at. */
type Looked =
  | { readonly kind: ShownKind; readonly shown: Shown }
  | Extract<SourceCheck, { readonly found: 'missing' | 'unreadable' }>;

/** What the object says of the event. Its spec may have been changed since: then what it shows is of the one before. */
function judge(kind: ShownKind, shown: Shown, event: FluxEvent, expected: string | undefined): SourceCheck {
  const { uid } = event.involvedObject;
  const { revision, told = '' } = shown;
  if (uid !== undefined && uid !== shown.uid) return { found: 'replaced' };
  if (shown.suspended) return { found: 'suspended' };
  if (!shown.isCurrent || revision === undefined) return { found: 'not-yet' };
  // An event from before digests were reflected names the image without one.
  const isSame =
    expected === undefined || sameRevision(expected, told) || (kind.is === 'chosen' && told.startsWith(`${expected}@`));
  return isSame ? sameAs(kind, shown, revision) : { found: 'not-yet' };
}

function sameAs({ group, kind }: ShownKind, { uid, digest }: Shown, revision: string): SourceCheck {
  return { found: 'same', groupKind: `${group}/${kind}`, uid, revision, digest };
}

function unserved({ resource, group }: ShownKind): SourceCheck & { readonly found: 'unreadable' } {
  return { found: 'unreadable', message: `this cluster serves no ${resource}.${group}` };
}

/** Moments of looks that are needed only where all before could not be had. */
function laterLooks(): readonly number[] {
  const first = (LOOKS_MS.at(-1) as number) + AWAY_MS;
  const count = Math.floor((LONGEST_AWAY_MS - first) / AWAY_MS) + 1;
  return Array.from({ length: count }, (_, place) => first + place * AWAY_MS);
}

async function absentAsUndefined<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Fault && error.code === 'not-found') return undefined;
    throw error;
  }
}

function namesOf({ involvedObject: { kind, namespace, name } }: FluxEvent) {
  return { kind, namespace, name };
}
