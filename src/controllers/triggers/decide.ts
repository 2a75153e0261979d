/**
 * What to do about a trigger, from everything that is known of it: which status it should have and which runs to create. Pure.
 *
 * An event becomes exactly one run because it is written down before anything is created: a line of the status says that a run
 * is intended and which number the event has, and the run is named after that. Whoever comes after a crash finds the
 * intent, creates the same name, and is told that it exists.
 */
import type { Source } from '../../flux/types.ts';
import { present } from '../../kube/objects.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import {
  type ConditionSeries,
  type Hindrance,
  hindered,
  type SourceTrouble,
  saidOf,
  saidOfSource,
  seriesOf,
  sumOf,
} from './conditions.ts';
import { eventsOf, sameAsUpstream, type TriggerEvent } from './event.ts';
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
  type Said,
  type Standing,
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
  readonly now: number;
}

/** A run to create. */
export interface Order {
  readonly event: TriggerEvent;
  readonly sequence: number;
  readonly attempt: number;
  readonly credential?: { readonly serviceAccountName?: string; readonly secretName?: string };
}

/** What to do. `orders` count only once the status is what `status` says. */
export interface Decision {
  readonly status: PipelineTrigger['status'];
  readonly orders: readonly Order[];
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

/** Decides. The same facts give the same decision; what it says of the status is equal to what stands there when nothing has happened. */
export function decide(facts: TriggerFacts): Decision {
  const { trigger, now } = facts;
  const { spec } = trigger;
  if ('mistakes' in spec) return mistaken(trigger, spec, now);
  const standing = follow(readStanding(trigger), spec, facts);
  const news = isObservable(facts.source, spec) ? take(standing, spec, facts) : { standing, events: noEvents };
  return conclude(news, spec, facts);
}

function mistaken(trigger: PipelineTrigger, spec: MistakenSpec, now: number): Decision {
  const message = spec.mistakes.join('; ');
  const said: Said = { type: 'Error', status: isOfFirstReleases(spec) ? 'True' : 'False', reason: 'Failed', message };
  return {
    status: writeStatus(trigger, { standing: readStanding(trigger), lines: [], said, now }),
    orders: [],
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

/** Whether a run is to be created. */
function isIntended({ run, outcome }: Line): boolean {
  return run === undefined && outcome === undefined;
}

function answered(line: Line, tried: Tried | undefined): Line {
  if (tried === undefined || tried.sequence !== line.sequence || tried.attempt !== line.attempt) return line;
  switch (tried.came) {
    case 'run':
      return { ...line, run: tried.run };
    case 'elsewhere':
      return { ...line, outcome: { status: 'Unknown', reason: 'SecondCluster', message: tried.message } };
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
function isObservable(source: TriggerFacts['source'], { suspend }: TriggerSpec): source is Source {
  if ('trouble' in source || suspend || source.suspended) return false;
  // An artifact of a previous spec may be of another branch. A source without that field says nothing of it.
  return source.observedGeneration === undefined || source.observedGeneration === source.generation;
}

/** What the source reports now, by line. */
type Events = ReadonlyMap<string, TriggerEvent>;

const noEvents: Events = new Map();

interface News {
  readonly standing: Standing;
  readonly events: Events;
}

/** Takes note of what the source reports: what is new becomes an intent, a branch that is gone is put aside. */
function take(before: Standing, spec: TriggerSpec, { trigger, source, now }: TriggerFacts): News {
  // Only called for a source that is there.
  const observed = source as Source;
  const events = new Map(eventsOf(observed).map((event) => [event.line, event]));
  const digest = observed.artifact?.digest ?? observed.image?.digest;
  const isAsked = trigger.runAt !== undefined && trigger.runAt !== before.handledRunAt;
  let { sequence } = before;
  let closed = before.closed;
  const lines = new Map<string, Line>();
  for (const [name, event] of events) {
    const known = before.lines.get(name);
    const gone = known === undefined ? closed.find((each) => each.name === name) : undefined;
    const line = known ?? (gone && isOf(gone.line, event, spec, trigger, observed) ? gone.line : undefined);
    if (gone !== undefined) closed = closed.filter((each) => each !== gone);
    const isNews = line === undefined || !isOf(line, event, spec, trigger, observed) || isChanged(line, digest, spec);
    const noted = { raw: name === '' ? event.raw : event.commit, identity: identityOf(event, spec) };
    if (line !== undefined && !isNews && !isAsked) {
      const kept = line.digest ?? (spec.byContent ? digest : undefined);
      lines.set(name, { ...line, ...noted, ...present({ digest: kept }) });
      continue;
    }
    const intent = { ...noted, sequence: ++sequence, attempt: 0, ...present({ digest }) };
    const isSkipped = spec.skipsFirst && before.lines.size === 0 && before.sequence === 0 && !isAsked;
    lines.set(name, isSkipped ? { ...intent, outcome: skipped } : intent);
  }
  for (const [name, line] of before.lines) {
    if (lines.has(name)) continue;
    // A source that reports nothing for a moment is building something; only a PullRequest loses a branch.
    if (name === '') lines.set(name, line);
    else if (observed.branches === undefined) lines.set(name, line);
    else closed = [...closed, { name, line, closed: new Date(now).toISOString() }];
  }
  const isHandled = isAsked && events.size > 0;
  const after: Standing = {
    lines,
    sequence,
    closed: remembered(closed, before.closed, now),
    ...present({ handledRunAt: isHandled ? trigger.runAt : before.handledRunAt }),
  };
  return { standing: after, events };
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

function isChanged(line: Line, digest: string | undefined, { byContent }: TriggerSpec): boolean {
  return byContent && line.digest !== undefined && digest !== undefined && line.digest !== digest;
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
function conclude({ standing, events }: News, spec: TriggerSpec, facts: TriggerFacts): Decision {
  const { trigger, source, now } = facts;
  const lines: WrittenLine[] = [];
  const orders: Order[] = [];
  const untils: number[] = [];
  let warning: string | undefined;
  for (const [name, line] of standing.lines) {
    const event = events.get(name);
    const hindrance = isIntended(line) ? hindranceOf(name, line, event, spec, facts) : undefined;
    if (isIntended(line) && hindrance === undefined && event !== undefined) {
      const { sequence, attempt } = line;
      const credential = facts.credential?.ready === true ? facts.credential : undefined;
      orders.push({ event, sequence, attempt, ...present({ credential }) });
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
  const said = onSource ?? sumOf(lines);
  // Each line tells of the source's trouble too, as the original did: it is all that is known of any of them.
  const told = onSource?.type === 'Error' ? lines.map((line) => ({ ...line, said: onSource })) : lines;
  return {
    status: writeStatus(trigger, { standing, lines: told, said, now }),
    orders,
    series: seriesOf(told, said, spec),
    ...present({ warning, againMs: untils.length > 0 ? Math.max(0, Math.min(...untils) - now) : undefined }),
  };
}

function hindranceOf(
  name: string,
  line: Line,
  event: TriggerEvent | undefined,
  spec: TriggerSpec,
  { trigger, source, pipelineMissing, credential, tried, now }: TriggerFacts,
): Hindrance | undefined {
  if (spec.suspend) return { type: 'Unknown', message: 'suspended: spec.suspend is true' };
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
