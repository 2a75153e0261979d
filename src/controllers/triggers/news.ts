/** What is new for a trigger: what its source reports, or what was posted of it, becomes intents in its lines. Pure. */
import { sameRevision } from '../../flux/revision.ts';
import type { Source } from '../../flux/types.ts';
import { present } from '../../kube/objects.ts';
import type { HookSpec } from '../../triggers/hookspec.ts';
import { isKeyed } from '../../triggers/runat.ts';
import { failureToldAt, toldIn } from '../../triggers/told.ts';
import { eventsOf, sameAsUpstream, storedTriggerEvent, type TriggerEvent } from './event.ts';
import { LOOK_MS, type Tried, type TriggerFacts } from './facts.ts';
import { isIntended, uncounted } from './follow.ts';
import { isOfFirstReleases, type PipelineTrigger, type TriggerSpec } from './resource.ts';
import {
  type ClosedBranch,
  type Line,
  type Outcome,
  requestOf,
  roomBeside,
  type Standing,
  type TrustedEvent,
} from './status.ts';

/** How long a branch that is gone is remembered. */
const REMEMBERED_MS = 7 * 24 * 3_600_000;
/** And how many of them: a status has to fit into an object. */
const MOST_REMEMBERED = 500;
/** Keys of requests whose runs were started. Nobody sends one again after twenty others. */
const MOST_KEYS = 20;
/** Events that were believed and run are remembered, so many of them. */
const MOST_TRUSTED = 50;
/** A failure counts as told of although Flux has tried once more since, and told nobody: it tells of the same failure every five minutes. */
const SAME_FAILURE_MS = 10 * 60_000;

/** What there is to run for, by line: what a line stands for already, and what it is to stand for now. */
type Events = ReadonlyMap<string, TriggerEvent>;

/** What there is for a trigger after a look at what its source reports. */
export interface News {
  readonly standing: Standing;
  readonly events: Events;
  /** Stored events that are done with. */
  readonly done: readonly string[];
  /** How many branches there are besides that the status has no room for. */
  readonly leftOut: number;
  /** When a run by hand goes on without Flux having looked; `ask`: it is to be asked. */
  readonly look?: 'ask' | number;
}

const nothingNew: Omit<News, 'standing'> = { events: new Map(), done: [], leftOut: 0 };

/** Takes note of what there is to run for: nothing of a trigger that is suspended. */
export function newsOf(standing: Standing, spec: TriggerSpec, facts: TriggerFacts): News {
  if (spec.suspend) return { ...nothingNew, standing };
  if (spec.hook.trustsEvents) return takeStored(standing, spec, facts);
  return isObservable(facts.source, spec) ? take(standing, spec, facts, facts.source) : { ...nothingNew, standing };
}

/** Whether what the source reports may be acted upon: of the spec it has now, and asked for by nobody to be left alone. */
function isObservable(source: TriggerFacts['source'], { hook }: TriggerSpec): source is Source {
  if ('trouble' in source || source.suspended) return false;
  // A condition says itself which spec it is about, and of one that was never met the source as a whole says nothing.
  if (hook.on === 'Failure') return true;
  // An artifact of a previous spec may be of another branch. A source without that field says nothing of it.
  return source.observedGeneration === undefined || source.observedGeneration === source.generation;
}

/** Takes note of what the source reports: what is new becomes an intent, a branch that is gone is put aside. */
function take(before: Standing, spec: TriggerSpec, facts: TriggerFacts, source: Source): News {
  const { trigger, now } = facts;
  const { hook } = spec;
  const all = eventsOf(source, hook.on);
  const hasRoom = roomBeside(before.lines);
  const reported = new Map(
    all
      .filter((event) => before.lines.has(event.line) || hasRoom(event.line, notedOf(event, spec)))
      .map((event) => [event.line, event]),
  );
  const digest = source.artifact?.digest ?? source.image?.digest;
  const isAsked = isRunAsked(trigger, before);
  const look = isAsked ? lookFor(facts, source) : undefined;
  const events = new Map<string, TriggerEvent>();
  let { sequence, closed } = before;
  let isNewer = false;
  const lines = new Map<string, Line>();
  for (const [name, event] of reported) {
    const known = before.lines.get(name);
    const gone = known === undefined ? closed.find((each) => each.name === name) : undefined;
    const line = known ?? (gone && isOf(gone.line, event, spec, trigger, source) ? gone.line : undefined);
    if (gone !== undefined) closed = closed.filter((each) => each !== gone);
    const isOther = line === undefined || isOverBy(line, hook) || !isOf(line, event, spec, trigger, source);
    const isNews = isOther || isChanged(line, digest, spec);
    const isEvent = isNews && isToldOf(event, spec, trigger, source);
    if (!isEvent && (!isAsked || look !== undefined)) {
      if (line === undefined) continue;
      if (isNews) {
        lines.set(name, line);
        continue;
      }
      events.set(name, event);
      const kept = line.digest ?? (hook.byContent ? digest : undefined);
      lines.set(name, { ...line, ...notedOf(event, spec), ...present({ digest: kept }) });
      continue;
    }
    isNewer ||= isEvent;
    const byHand = isEvent ? undefined : true;
    const intent = { ...notedOf(event, spec), sequence: ++sequence, attempt: 0, ...present({ digest, byHand }) };
    const isFirst = before.lines.size === 0 && before.sequence === 0;
    const isSkipped = hook.skipsFirst && hook.mode !== 'events' && isFirst && !isAsked;
    events.set(name, event);
    lines.set(name, isSkipped ? { ...intent, outcome: skipped } : intent);
  }
  for (const [name, line] of before.lines) {
    if (lines.has(name)) continue;
    // A source that reports nothing for a moment is building something; only a PullRequest loses a branch.
    if (name === '') lines.set(name, hook.on === 'Failure' && source.ready?.isReady ? recovered(line) : line);
    else if (source.branches === undefined) lines.set(name, line);
    else closed = [...closed, { name, line: uncounted(line), closed: new Date(now).toISOString() }];
  }
  // What has come while Flux was asked to look is what was to be run.
  const isHandled = isAsked && reported.size > 0 && (look === undefined || isNewer);
  const after: Standing = {
    ...before,
    lines,
    sequence,
    closed: remembered(closed, before.closed, now),
    ...(isHandled ? handled(before, trigger, sequence) : handedOn(before, lines)),
  };
  return {
    standing: after,
    events,
    done: [],
    leftOut: all.length - reported.size,
    ...(isHandled ? {} : present({ look })),
  };
}

/** What a line says of the event that it stands for. */
function notedOf(event: TriggerEvent, spec: TriggerSpec): Pick<Line, 'raw' | 'identity'> {
  return { raw: event.line === '' ? event.raw : event.commit, identity: identityOf(event, spec) };
}

function isRunAsked({ runAt }: PipelineTrigger, { handledRunAt }: Standing): boolean {
  return runAt !== undefined && runAt !== handledRunAt;
}

/** What is noted of a run by hand that was taken note of, with the events up to `last`. */
function handled(
  { handledKeys, sequence }: Standing,
  { runAt = '' }: PipelineTrigger,
  last: number,
): Pick<Standing, 'handledRunAt' | 'handledKeys' | 'handledSequences'> {
  if (!isKeyed(runAt)) return { handledRunAt: runAt, handledKeys, handledSequences: undefined };
  const handledSequences = last > sequence ? ([sequence + 1, last] as const) : undefined;
  return { handledRunAt: runAt, handledKeys: [...handledKeys, runAt].slice(-MOST_KEYS), handledSequences };
}

/** A newer event takes the place of one whose run was asked for and never began: then it has the run that was asked for. */
function handedOn(before: Standing, after: ReadonlyMap<string, Line>): Pick<Standing, 'handledSequences'> {
  const { handledSequences } = before;
  if (handledSequences === undefined) return {};
  const [first, last] = handledSequences;
  const heirs = [...before.lines].flatMap(([name, line]) => {
    const isOwed = isIntended(line) && line.attempt === 0 && requestOf(before, line.sequence) !== undefined;
    return isOwed ? [after.get(name)?.sequence ?? 0] : [];
  });
  return { handledSequences: [first, Math.max(last, ...heirs)] };
}

/**
 * Whether a run by hand waits for Flux to look at the source once more, which may hold something newer than it reports. Flux is asked where
 * its own last look may be as old as it may be at all: when it has looked is told only of what it found then.
 */
function lookFor({ trigger, look, now }: TriggerFacts, source: Source): News['look'] {
  const { artifact, intervalMs, handledReconcileAt } = source;
  const updatedAt = Date.parse(artifact?.updated ?? '');
  if (intervalMs === undefined || Number.isNaN(updatedAt) || now - updatedAt < intervalMs) return undefined;
  if (handledReconcileAt === trigger.runAt) return undefined;
  if (look === undefined || look.runAt !== trigger.runAt) return 'ask';
  const isOver = look.handledBefore !== handledReconcileAt || now >= look.untilMs || look.untilMs - now > LOOK_MS;
  return isOver ? undefined : look.untilMs;
}

/** Whether an event may start a run: of `mode: events` only what was posted to the hook. */
function isToldOf(event: TriggerEvent, { hook }: TriggerSpec, trigger: PipelineTrigger, { ready }: Source): boolean {
  if (hook.mode !== 'events') return true;
  const told = toldIn(trigger.told);
  if (hook.on === 'Success') return told.some((revision) => isRevisionOf(revision, event));
  const toldAt = failureToldAt(told);
  return toldAt !== undefined && toldAt > Date.parse(ready?.since ?? '') - SAME_FAILURE_MS;
}

function isRevisionOf(revision: string, { raw, shown }: TriggerEvent): boolean {
  // The digest of an image is no part of its event.
  return shown.as === 'image' ? revision.split('@', 1)[0] === raw : sameRevision(revision, raw);
}

/** Whether what a line stands for has ended, so that the same again is another event. */
function isOverBy(line: Line, { on }: HookSpec): boolean {
  return on === 'Failure' && line.recovered === true;
}

/** A failure that is over: the next one is another. One that was not run for yet will not be. */
function recovered(line: Line): Line {
  const over = { ...uncounted(line), recovered: true };
  return isIntended(line) ? { ...over, outcome: wellAgain } : over;
}

const wellAgain: Outcome = {
  status: 'Unknown',
  reason: 'Recovered',
  message: 'the source was well again before a run was started',
};

/** Takes note of the next event that is stored. Each gets its run before the one behind it gets its turn. */
function takeStored(before: Standing, spec: TriggerSpec, { trigger, stored, tried }: TriggerFacts): News {
  const done: string[] = [];
  let own: { readonly key: string; readonly event: TriggerEvent } | undefined;
  let line = before.lines.get('');
  let { sequence, trusted } = before;
  const isOwn = (identity: string, atMs: number): boolean => {
    const last = trusted.at(-1);
    return line?.identity === identity && last?.identity === identity && last.atMs === atMs;
  };
  for (const { key, cluster, atMs, ...rest } of stored) {
    const event = storedTriggerEvent({ key, cluster, atMs, ...rest }, spec.source);
    const identity = identityOf(event, spec);
    if (own === undefined && isOwn(identity, atMs)) own = { key, event };
    else if (isOver({ cluster, identity, atMs }, trusted)) done.push(key);
    else {
      // What cannot be made into a run, whoever tries again, is not in the way of others.
      if (line !== undefined && isIntended(line) && own !== undefined && !isStuck(line, tried.get(''))) break;
      if (own !== undefined) done.push(own.key);
      own = { key, event };
      line = { ...notedOf(event, spec), sequence: ++sequence, attempt: 0 };
      trusted = [...trusted, { cluster, identity, atMs }].slice(-MOST_TRUSTED);
    }
  }
  const isHandled = isRunAsked(trigger, before) && own !== undefined;
  if (isHandled && line !== undefined && !isIntended(line)) {
    const { raw, identity } = line;
    line = { raw, sequence: ++sequence, attempt: 0, byHand: true, ...present({ identity }) };
  }
  const lines = line === undefined ? before.lines : new Map([['', line]]);
  const standing: Standing = {
    ...before,
    lines,
    sequence,
    trusted,
    ...(isHandled ? handled(before, trigger, sequence) : handedOn(before, lines)),
  };
  return { standing, events: new Map(own === undefined ? [] : [['', own.event]]), done, leftOut: 0 };
}

/**
 * Whether an event has had its run, or has been overtaken: controllers that tell of what has not changed, events that come twice, and those
 * that come late start nothing.
 */
function isOver({ cluster, identity, atMs }: TrustedEvent, trusted: readonly TrustedEvent[]): boolean {
  const own = trusted.filter((each) => each.cluster === cluster);
  const latest = own.at(-1);
  if (latest === undefined) return false;
  if (identity === latest.identity || atMs < latest.atMs) return true;
  return own.some((each) => each.identity === identity && each.atMs >= atMs);
}

function isStuck({ sequence, attempt }: Line, last: Tried | undefined): boolean {
  return (
    last?.came === 'refused' && last.untilMs === undefined && last.sequence === sequence && last.attempt === attempt
  );
}

const skipped: Outcome = {
  status: 'Unknown',
  reason: 'NotRun',
  message: 'what the source reported first is not run: spec.hook.initialRun is never',
};

/** Whether a line stands for an event. */
function isOf(line: Line, event: TriggerEvent, spec: TriggerSpec, trigger: PipelineTrigger, source: Source): boolean {
  if (line.identity !== undefined) {
    // Written in either form: a trigger whose template was brought into another shape has seen no other event for that.
    return line.identity === event.identity || line.identity === namedIdentity(event, spec);
  }
  return sameAsUpstream(trigger.status, event, source);
}

/** Releases with `spec.pipeline` compared revisions alone, all others the source's name as well. */
function identityOf(event: TriggerEvent, spec: TriggerSpec): string {
  return isOfFirstReleases(spec) ? event.identity : namedIdentity(event, spec);
}

function namedIdentity({ identity }: TriggerEvent, { source }: TriggerSpec): string {
  return `${source.kind}/${source.name} ${identity}`;
}

function isChanged(line: Line, digest: string | undefined, { hook }: TriggerSpec): boolean {
  if (hook.on === 'Failure') return false;
  return hook.byContent && line.digest !== undefined && digest !== undefined && line.digest !== digest;
}

/** Entries grow old only when something else is written too: time alone is no reason for a write. */
function remembered(
  closed: readonly ClosedBranch[],
  before: readonly ClosedBranch[],
  now: number,
): readonly ClosedBranch[] {
  if (closed === before) return closed;
  return closed.filter((each) => now - Date.parse(each.closed) < REMEMBERED_MS).slice(-MOST_REMEMBERED);
}
