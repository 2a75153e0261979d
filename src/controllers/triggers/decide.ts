/**
 * What to do about a trigger, from everything that is known of it: which status it should have and which runs to create. Pure.
 *
 * An event becomes exactly one run because it is written down before anything is created: a line of the status says that a run
 * is intended and which number the event has, and the run is named after that. Whoever comes after a crash finds the
 * intent, creates the same name, and is told that it exists.
 */
import { sameRevision } from '../../flux/revision.ts';
import type { Source } from '../../flux/types.ts';
import { present } from '../../kube/objects.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import type { HookSpec } from '../../triggers/hookspec.ts';
import { isKeyed } from '../../triggers/runat.ts';
import { failureToldAt, type StoredEvent, toldIn } from '../../triggers/told.ts';
import {
  type ConditionSeries,
  type Hindrance,
  hindered,
  type SourceTrouble,
  SUSPENDED,
  saidOf,
  saidOfSource,
  seriesOf,
  sumOf,
} from './conditions.ts';
import { eventsOf, sameAsUpstream, storedTriggerEvent, type TriggerEvent } from './event.ts';
import {
  isOfFirstReleases,
  type MistakenSpec,
  type PipelineTrigger,
  pipelineOf,
  type TriggerSpec,
} from './resource.ts';
import {
  type ClosedBranch,
  type Line,
  type Outcome,
  readStanding,
  roomBeside,
  type Said,
  type Standing,
  type TrustedEvent,
  type WrittenLine,
  writeStatus,
} from './status.ts';

/** What came of an order to create a run. It counts for the sequence and attempt that it names, and no others. */
export type Tried = { readonly sequence: number; readonly attempt: number } & (
  | { readonly came: 'run'; readonly run: string }
  /** Another cluster runs it. */
  | { readonly came: 'elsewhere'; readonly message: string }
  /**
   * It was refused. `untilMs`: when to try again; without it, not before the trigger has changed, or `details`, those of the event
   * that was tried. `taken`: the name that another run has.
   */
  | {
      readonly came: 'refused';
      readonly message: string;
      readonly generation: number;
      readonly details?: string;
      readonly untilMs?: number;
      readonly taken?: string;
    }
);

/** What a ManagedCredential gives to runs, or why it does not. */
export type CredentialFact =
  | { readonly ready: true; readonly serviceAccountName?: string; readonly secretName?: string }
  | { readonly ready: false; readonly message: string };

/** Everything a decision depends on. */
export interface TriggerFacts {
  readonly trigger: PipelineTrigger;
  readonly source: Source | SourceTrouble;
  /** The Pipeline that the template names does not exist. */
  readonly pipelineMissing: boolean;
  /** Of triggers that name one. */
  readonly credential?: CredentialFact;
  /** The run of that name, or `gone`; undefined while that is not known. Asked of lines that go on. */
  run(name: string): PipelineRun | 'gone' | undefined;
  /** By line. */
  readonly tried: ReadonlyMap<string, Tried>;
  /** Of a trigger that believes its events: those that are stored, the oldest first. */
  readonly stored: readonly StoredEvent[];
  /** What Flux was asked last. */
  readonly look?: Look;
  readonly now: number;
}

/** That Flux was asked to look at the source, for the run that a value of `rungate.dev/runAt` asks for. */
export interface Look {
  readonly runAt: string;
  /** Which request Flux had met before. */
  readonly handledBefore: string | undefined;
  /** How long it is waited for; by now, where it could not be asked. */
  readonly untilMs: number;
}

/** A run to create. */
export interface Order {
  readonly event: TriggerEvent;
  readonly sequence: number;
  readonly attempt: number;
  /** Somebody asked for it: nothing new has happened. */
  readonly byHand: boolean;
  readonly credential?: { readonly serviceAccountName?: string; readonly secretName?: string };
}

/** What to do. `orders` count only once the status is what `status` says. */
export interface Decision {
  readonly status: PipelineTrigger['status'];
  readonly orders: readonly Order[];
  /** Flux is to look at the source before anything is run by hand. Counts as the orders do. */
  readonly asksFlux: boolean;
  /** Stored events, by their keys, that have had their run or get none. Counts as the orders do. */
  readonly done: readonly string[];
  /** What a person should hear of. */
  readonly warning?: string;
  readonly series: readonly ConditionSeries[];
  /** When to look again although nothing has changed. */
  readonly againMs?: number;
}

/** How a cancelled run ends: nobody wants it tried again. https://tekton.dev/docs/pipelines/pipelineruns/#monitoring-execution-status */
const CANCELLED = new Set(['Cancelled', 'CancelledRunningFinally', 'StoppedRunningFinally']);
/** What is to be tried again is tried after this time at the latest, also where the clock was set back meanwhile. */
export const LONGEST_WAIT_MS = 10 * 60_000;
/** How long a branch that is gone is remembered. */
const REMEMBERED_MS = 7 * 24 * 3_600_000;
/** And how many of them: a status has to fit into an object. */
const MOST_REMEMBERED = 500;
/** Keys of requests whose runs were started. Nobody sends one again after twenty others. */
const MOST_KEYS = 20;
/** Events that were believed and run are remembered, so many of them. */
const MOST_TRUSTED = 50;
const HOUR_MS = 3_600_000;
/** How long Flux gets to look at a source: a fetch takes a minute at most, and most take seconds. */
export const LOOK_MS = 20_000;
/** A failure counts as told of although Flux has tried once more since, and told nobody: it tells of the same failure every five minutes. */
const SAME_FAILURE_MS = 10 * 60_000;

/** Decides. The same facts give the same decision; what it says of the status is equal to what stands there when nothing has happened. */
export function decide(facts: TriggerFacts): Decision {
  const { trigger, now } = facts;
  const { spec } = trigger;
  if ('mistakes' in spec) return mistaken(trigger, spec, now);
  const before = readStanding(trigger);
  const news = newsOf(follow(before, spec, facts), spec, facts);
  return conclude({ ...news, standing: withStarts(news.standing, before, spec, now) }, spec, facts);
}

function newsOf(standing: Standing, spec: TriggerSpec, facts: TriggerFacts): News {
  if (spec.suspend) return { ...nothingNew, standing };
  if (spec.hook.trustsEvents) return takeStored(standing, spec, facts);
  return isObservable(facts.source, spec) ? take(standing, spec, facts, facts.source) : { ...nothingNew, standing };
}

function mistaken(trigger: PipelineTrigger, spec: MistakenSpec, now: number): Decision {
  const message = spec.mistakes.join('; ');
  const said: Said = { type: 'Error', status: isOfFirstReleases(spec) ? 'True' : 'False', reason: 'Failed', message };
  return {
    status: writeStatus(trigger, { standing: readStanding(trigger), lines: [], said, now }),
    orders: [],
    asksFlux: false,
    done: [],
    warning: message,
    series: [{ sourceKind: spec.source.kind, repo: spec.source.name, type: said.type, status: said.status }],
  };
}

/** What has become of the runs that there are, and of the orders that were given. */
function follow(standing: Standing, spec: TriggerSpec, { run, tried }: TriggerFacts): Standing {
  let { sequence } = standing;
  const lines = new Map<string, Line>();
  for (const [name, before] of standing.lines) {
    let line = before;
    if (isIntended(line)) {
      // An intent that another program wrote has no number yet.
      if (line.sequence === 0) line = { ...line, sequence: ++sequence, attempt: 0 };
      line = answered(line, tried.get(name));
    }
    if (line.run !== undefined && line.outcome === undefined) {
      const outcome = outcomeOf(run(line.run), line.run);
      if (outcome !== undefined) line = ended(line, outcome, spec);
    }
    lines.set(name, line);
  }
  return { ...standing, lines, sequence };
}

/**
 * Notes the runs that were started, for those who limit them. A run counts from when it is ordered: its line says so before anything is
 * created, and counts until something has become of it. Only then is its time noted, because until then it may be created at any moment;
 * one that was given up meanwhile may have been created all the same.
 */
function withStarts(after: Standing, before: Standing, { hook }: TriggerSpec, now: number): Standing {
  const { maxRunsPerHour } = hook;
  if (maxRunsPerHour === undefined) return { ...after, recentRuns: [] };
  const isUnderWay = (name: string, { sequence, attempt }: Line) => {
    const line = after.lines.get(name);
    return line?.counted === true && line.sequence === sequence && line.attempt === attempt;
  };
  const over = [...before.lines].filter(([name, line]) => line.counted && !isUnderWay(name, line));
  if (over.length === 0) return after;
  const starts = over.map(() => new Date(now).toISOString());
  return { ...after, recentRuns: [...withinHour(after.recentRuns, now), ...starts].slice(-maxRunsPerHour) };
}

/** A line of which something has become, or will not. */
function uncounted({ counted, ...line }: Line): Line {
  return line;
}

/** Those that are less than an hour away: what lies further ahead was written before the clock was set back. */
function withinHour(times: readonly string[], now: number): readonly string[] {
  return times.filter((time) => Math.abs(now - Date.parse(time)) < HOUR_MS);
}

/** Whether a run is to be created. */
function isIntended({ run, outcome }: Line): boolean {
  return run === undefined && outcome === undefined;
}

function answered(line: Line, tried: Tried | undefined): Line {
  if (tried === undefined || tried.sequence !== line.sequence || tried.attempt !== line.attempt) return line;
  switch (tried.came) {
    case 'run':
      return { ...uncounted(line), run: tried.run };
    case 'elsewhere':
      return { ...uncounted(line), outcome: { status: 'Unknown', reason: 'SecondCluster', message: tried.message } };
    case 'refused':
      return line;
  }
}

function outcomeOf(run: PipelineRun | 'gone' | undefined, name: string): Outcome | undefined {
  if (run === undefined) return undefined;
  if (run === 'gone') {
    return { status: 'False', reason: 'Deleted', message: `run ${name} was deleted before it ended` };
  }
  const { succeeded } = run;
  if (succeeded?.status !== 'True' && succeeded?.status !== 'False') return undefined;
  return { status: succeeded.status, reason: succeeded.reason, message: succeeded.message };
}

function ended(line: Line, outcome: Outcome, { retries }: TriggerSpec): Line {
  const isTriedAgain =
    outcome.status === 'False' &&
    outcome.reason !== 'Deleted' &&
    !CANCELLED.has(outcome.reason) &&
    line.sequence > 0 &&
    line.attempt < retries;
  if (!isTriedAgain) return { ...line, outcome };
  const { run, ...rest } = line;
  return { ...rest, attempt: line.attempt + 1 };
}

/** Whether what the source reports may be acted upon: of the spec it has now, and asked for by nobody to be left alone. */
function isObservable(source: TriggerFacts['source'], { hook }: TriggerSpec): source is Source {
  if ('trouble' in source || source.suspended) return false;
  // A condition says itself which spec it is about, and of one that was never met the source as a whole says nothing.
  if (hook.on === 'Failure') return true;
  // An artifact of a previous spec may be of another branch. A source without that field says nothing of it.
  return source.observedGeneration === undefined || source.observedGeneration === source.generation;
}

/** What there is to run for, by line: what a line stands for already, and what it is to stand for now. */
type Events = ReadonlyMap<string, TriggerEvent>;

interface News {
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
    ...(isHandled ? handled(before, trigger) : {}),
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

/** What is noted of a run by hand that was taken note of. */
function handled({ handledKeys }: Standing, { runAt = '' }: PipelineTrigger) {
  const keys = isKeyed(runAt) ? [...handledKeys, runAt].slice(-MOST_KEYS) : handledKeys;
  return { handledRunAt: runAt, handledKeys: keys };
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
  const standing: Standing = {
    ...before,
    lines: line === undefined ? before.lines : new Map([['', line]]),
    sequence,
    trusted,
    ...(isHandled ? handled(before, trigger) : {}),
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

/** The status, the orders and what to tell, once it is known which lines there are. */
function conclude({ standing, events, done, leftOut, look }: News, spec: TriggerSpec, facts: TriggerFacts): Decision {
  const { trigger, source, now } = facts;
  const lines: WrittenLine[] = [];
  const orders: Order[] = [];
  const untils: number[] = typeof look === 'number' ? [look] : [];
  const { maxRunsPerHour = Number.POSITIVE_INFINITY } = spec.hook;
  const underWay = [...standing.lines.values()].filter(({ counted }) => counted).length;
  let left = maxRunsPerHour - withinHour(standing.recentRuns, now).length - underWay;
  let warning: string | undefined;
  for (const [name, noted] of standing.lines) {
    let line = noted;
    const event = events.get(name);
    let hindrance = isIntended(line) ? hindranceOf(name, line, event, spec, facts) : undefined;
    if (isIntended(line) && hindrance === undefined && event !== undefined) {
      const { sequence, attempt, byHand = false } = line;
      const isFree = byHand || line.counted === true || maxRunsPerHour === Number.POSITIVE_INFINITY;
      if (!isFree && left < 1) hindrance = hourFull(standing, maxRunsPerHour, underWay, now);
      else {
        if (!isFree) {
          line = { ...line, counted: true };
          left -= 1;
        }
        const credential = facts.credential?.ready === true ? facts.credential : undefined;
        orders.push({ event, sequence, attempt, byHand, ...present({ credential }) });
      }
    }
    if (hindrance?.untilMs !== undefined) untils.push(hindrance.untilMs);
    if (hindrance?.type === 'Error') warning ??= hindrance.message;
    const said =
      hindrance === undefined
        ? saidOf(line, spec, line.run === undefined ? undefined : facts.run(line.run))
        : hindered(hindrance, spec);
    lines.push({ name, line, said, ...present({ shown: event?.shown, details: event?.details }) });
  }
  const onSource = saidOfSource(source, lines, spec);
  if (onSource?.type === 'Error') warning ??= onSource.message;
  const crowded = leftOut === 0 ? undefined : tooMany(leftOut, spec);
  if (crowded !== undefined) warning ??= crowded.message;
  const said = onSource ?? (crowded === undefined ? sumOf(lines) : hindered(crowded, spec));
  // Each line tells of the source's trouble too, as the original did: it is all that is known of any of them.
  const told = onSource?.type === 'Error' ? lines.map((line) => ({ ...line, said: onSource })) : lines;
  return {
    status: writeStatus(trigger, { standing, lines: told, said, now }),
    orders,
    asksFlux: look === 'ask',
    done,
    series: seriesOf(told, said, spec),
    ...present({ warning, againMs: untils.length > 0 ? Math.max(0, Math.min(...untils) - now) : undefined }),
  };
}

/** Of those that are followed nothing is forgotten for the sake of others: they would be run for again. */
function tooMany(leftOut: number, { source }: TriggerSpec): Hindrance {
  const branches = leftOut === 1 ? 'a branch' : `${leftOut} branches`;
  const message = `${source.kind} ${source.name} has ${branches} more than one PipelineTrigger can follow: no runs are started for ${leftOut === 1 ? 'it' : 'them'} while the others are there`;
  return { type: 'Error', message };
}

/** Waiting until so many of the runs of this hour are an hour old that there is room for another one. */
function hourFull({ recentRuns }: Standing, most: number, underWay: number, now: number): Hindrance {
  const recent = withinHour(recentRuns, now);
  const last = recent[recent.length + underWay - most];
  const runs = `${most} ${most === 1 ? 'run' : 'runs'}`;
  const message = `waiting for the hour to end in which ${runs} may be started, as spec.hook.maxRunsPerHour says`;
  if (last === undefined) return { type: 'Unknown', message }; // it has not begun for those that are being created
  const untilMs = Date.parse(last) + HOUR_MS;
  return { type: 'Unknown', message: `${message}: at ${new Date(untilMs).toISOString()}`, untilMs };
}

function hindranceOf(
  name: string,
  line: Line,
  event: TriggerEvent | undefined,
  spec: TriggerSpec,
  { trigger, source, pipelineMissing, credential, tried, now }: TriggerFacts,
): Hindrance | undefined {
  if (spec.suspend) return { type: 'Unknown', message: SUSPENDED };
  if (event === undefined && spec.hook.trustsEvents) {
    return { type: 'Error', message: 'the event of this run is not stored any longer: another one has to be posted' };
  }
  if (event === undefined) {
    const isSuspended = !('trouble' in source) && source.suspended;
    const what = isSuspended ? ', which is suspended' : ' to report its revision again';
    return { type: 'Unknown', message: `waiting for ${spec.source.kind} ${spec.source.name}${what}` };
  }
  if (pipelineMissing) return { type: 'Error', message: pipelineNotFound(spec) };
  if (spec.credential !== undefined && credential?.ready !== true) {
    const message = credential?.message ?? `ManagedCredential ${spec.credential.name} is not known yet`;
    return { type: 'Error', message };
  }
  const last = tried.get(name);
  if (last?.came !== 'refused' || last.sequence !== line.sequence || last.attempt !== line.attempt) return undefined;
  if (last.generation !== trigger.generation) return undefined;
  if (last.details !== undefined && last.details !== event.details) return undefined;
  if (last.untilMs !== undefined && (last.untilMs <= now || last.untilMs - now > LONGEST_WAIT_MS)) return undefined;
  return { type: 'Error', message: last.message, ...present({ untilMs: last.untilMs }) };
}

/** As the original words it: releases with `spec.pipeline` looked it up in a cache, all others at the API server. */
function pipelineNotFound(spec: TriggerSpec): string {
  const name = pipelineOf(spec.template) ?? '';
  return isOfFirstReleases(spec)
    ? `Pipeline.tekton.dev "${name}" not found`
    : `pipelines.tekton.dev "${name}" not found`;
}
