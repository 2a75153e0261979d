/**
 * The status of a PipelineTrigger: what it says of past events, and how it is written. It keeps the fields of every release
 * of the original operator filled, each in its own form, and adds a few of ours. Pure.
 */
import {
  type Condition,
  type Json,
  type JsonObject,
  listOf,
  numberOf,
  objectOf,
  present,
  stringOf,
} from '../../kube/objects.ts';
import { plainText } from '../../kube/plain.ts';
import type { Shown } from './event.ts';
import { isOfFirstReleases, type PipelineTrigger } from './resource.ts';

/** How an event ended. `True`: its run succeeded. `Unknown`: it has no run here, and needs none. */
export interface Outcome {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/** What is kept of one line of events: that of the source (''), or of one branch of a PullRequest. */
export interface Line {
  /** As the source had it; of a branch of a PullRequest its commit. */
  readonly raw: string;
  /** As `TriggerEvent` has it; absent where another program wrote the status. */
  readonly identity?: string;
  /** The digest of what was run, where the source told it. */
  readonly digest?: string;
  /** Which event of the trigger this is, from 1; 0 where another program wrote the status. Runs are named after it. */
  readonly sequence: number;
  /** How many runs of this event were given up before the current one. */
  readonly attempt: number;
  /** The current run; absent while it is intended and not yet known to exist. */
  readonly run?: string;
  /** Absent while a run is intended or goes on. */
  readonly outcome?: Outcome;
}

/** A branch that is gone from its PullRequest, kept so that its return is not taken for news. */
export interface ClosedBranch {
  readonly name: string;
  readonly line: Line;
  /** RFC 3339. */
  readonly closed: string;
}

/** What a status says. */
export interface Standing {
  readonly lines: ReadonlyMap<string, Line>;
  /** The highest sequence given to an event. */
  readonly sequence: number;
  /** The value of `rungate.dev/runAt` that was acted upon. */
  readonly handledRunAt?: string;
  readonly closed: readonly ClosedBranch[];
}

/** Stands where the name of a run will be: the original operator wrote it between an event and its run. */
const INTENDED = 'Unknown';

/** Reads the status of a trigger, whoever wrote it. What is malformed reads as absent. */
export function readStanding({ status, spec }: PipelineTrigger): Standing {
  const sequence = numberOf(status.eventSequence) ?? 0;
  const isPullRequest = !('mistakes' in spec) && spec.source.kind === 'PullRequest';
  const lines = new Map<string, Line>();
  if (isPullRequest) {
    for (const [name, value] of Object.entries(objectOf(objectOf(status.branches).branch))) {
      const line = readLine(objectOf(value));
      if (line !== undefined) lines.set(name, line);
    }
  } else {
    const line = readSourceLine(status);
    if (line !== undefined) lines.set('', line);
  }
  const closed = listOf(status.closedBranches).flatMap((value): ClosedBranch[] => {
    const { name, closed, ...rest } = objectOf(value);
    const line = readLine(rest);
    return line && typeof name === 'string' && typeof closed === 'string' ? [{ name, closed, line }] : [];
  });
  return { lines, sequence, closed, ...present({ handledRunAt: stringOf(status.handledRunAt) }) };
}

/** The line of a source that has only one: our fields, else those that the original wrote for the shape. */
function readSourceLine(status: JsonObject): Line | undefined {
  const sequence = numberOf(status.eventSequence) ?? 0;
  const block = objectOf(status.gitRepository ?? status.imagePolicy);
  const raw = stringOf(status.latestEvent);
  if (raw === undefined && Object.keys(block).length === 0) return undefined;
  const run = stringOf(status.latestPipelineRun) ?? stringOf(block.latestPipelineRun);
  return {
    raw: raw ?? '',
    sequence,
    attempt: numberOf(status.attempt) ?? 0,
    ...present({
      identity: stringOf(status.eventIdentity),
      digest: stringOf(status.eventDigest),
      run: run === INTENDED ? undefined : run,
      outcome:
        readOutcome(status.outcome) ??
        (sequence > 0 ? undefined : readForeign(run, [status.conditions, block.conditions])),
    }),
  };
}

function readLine(entry: JsonObject): Line | undefined {
  const commit = stringOf(entry.commit);
  if (commit === undefined) return undefined;
  const sequence = numberOf(entry.sequence) ?? 0;
  const run = stringOf(entry.latestPipelineRun);
  return {
    raw: commit,
    sequence,
    attempt: numberOf(entry.attempt) ?? 0,
    ...present({
      identity: stringOf(entry.identity),
      run: run === INTENDED ? undefined : run,
      outcome: readOutcome(entry.outcome) ?? (sequence > 0 ? undefined : readForeign(run, [entry.conditions])),
    }),
  };
}

/**
 * How an event ended that the original dealt with, by its conditions: the run may have been deleted since, which changes nothing.
 * An event that it took note of without starting a run is over as well: it was consumed.
 */
function readForeign(run: string | undefined, conditions: readonly (Json | undefined)[]): Outcome | undefined {
  if (run === undefined) {
    return { status: 'Unknown', reason: 'NotRun', message: 'the event was taken note of before, without a run' };
  }
  if (run === INTENDED) return undefined;
  const said = conditions.flatMap((list) => listOf(list).map(objectOf));
  const success = said.find(({ type, status }) => type === 'Success' && (status === 'True' || status === 'False'));
  // Of the first releases only: their retries were used up. An error without a run of its own has the status True.
  const exhausted = said.find(({ type, status }) => type === 'Error' && status === 'False');
  const last = success ?? (said.length === 1 ? exhausted : undefined);
  return last && readOutcome(last);
}

function readOutcome(value: Json | undefined): Outcome | undefined {
  const { status, reason, message } = objectOf(value);
  if (status !== 'True' && status !== 'False' && status !== 'Unknown') return undefined;
  return { status, reason: stringOf(reason) ?? '', message: stringOf(message) ?? '' };
}

/** What the condition of a line, or of the whole trigger, says. */
export type Said = Pick<Condition, 'type' | 'reason' | 'message'> & { readonly status: Outcome['status'] };

/** A line as it is written. */
export interface WrittenLine {
  readonly name: string;
  readonly line: Line;
  /** The names its event shows itself under; absent while the source does not tell: then those that stand there stay. */
  readonly shown?: Shown;
  readonly details?: string;
  readonly said: Said;
}

/** Everything that goes into a status. */
export interface WrittenStatus {
  readonly standing: Standing;
  readonly lines: readonly WrittenLine[];
  /** Of the trigger as a whole. */
  readonly said: Said;
  readonly now: number;
}

/**
 * The status as it should be: what stands there, with our fields and those of the trigger's shape as `written` says. Times
 * move only where a condition changes, so that writing the same again is no change.
 */
export function writeStatus(trigger: PipelineTrigger, written: WrittenStatus): JsonObject {
  const { status, generation, spec } = trigger;
  const { standing, lines, said, now } = written;
  const isFirst = isOfFirstReleases(spec);
  const latest = lines.reduce<WrittenLine | undefined>(
    (newest, each) => (newest === undefined || each.line.sequence > newest.line.sequence ? each : newest),
    undefined,
  );
  const at = { generation, now };
  const isPullRequest = !('mistakes' in spec) && spec.source.kind === 'PullRequest';
  const event = latest && (isPullRequest ? `${latest.name}@${latest.line.raw}` : latest.line.raw);
  const flat = {
    conditions: [conditionOf(said, status.conditions, at)],
    observedGeneration: generation,
    eventSequence: standing.sequence > 0 ? standing.sequence : status.eventSequence,
    handledRunAt: standing.handledRunAt,
    latestEvent: event || status.latestEvent,
    latestPipelineRun: latest === undefined ? status.latestPipelineRun : runField(latest.line),
  };
  if (isPullRequest) {
    return { ...status, ...flat, ...pullRequestFields(status, written, at) };
  }
  if (latest === undefined) return { ...status, ...flat };
  const { line } = latest;
  return {
    ...status,
    ...flat,
    eventIdentity: line.identity,
    eventDigest: line.digest,
    attempt: line.attempt > 0 ? line.attempt : undefined,
    currentPipelineRetry: isFirst && line.attempt > 0 ? line.attempt : undefined,
    outcome: outcomeField(line),
    ...(isFirst ? {} : blockFields(status, latest, at)),
  };
}

/** `Unknown` while a run is intended; nothing where there is none and none will be. */
function runField(line: Line): string | undefined {
  return line.run ?? (line.outcome === undefined ? INTENDED : undefined);
}

interface At {
  readonly generation: number;
  readonly now: number;
}

function blockFields(status: JsonObject, { line, shown, details, said }: WrittenLine, at: At): JsonObject {
  const kept = status.imagePolicy === undefined ? 'gitRepository' : 'imagePolicy';
  const field = shown === undefined ? kept : shown.as === 'image' ? 'imagePolicy' : 'gitRepository';
  const before = objectOf(status[field]);
  if (shown === undefined && status[field] === undefined) return {};
  const { as, ...names } = shown ?? { as: undefined };
  const block: JsonObject = {
    ...before,
    ...names,
    details: details ?? before.details,
    latestPipelineRun: runField(line),
    conditions: [conditionOf(said, before.conditions, at)],
  };
  // What another kind of source left is not of this one.
  return { gitRepository: undefined, imagePolicy: undefined, [field]: block };
}

function pullRequestFields(status: JsonObject, { standing, lines }: WrittenStatus, at: At): JsonObject {
  const before = objectOf(objectOf(status.branches).branch);
  // A branch may be called `__proto__` or `constructor`: only an object's own fields are entries.
  const branch: JsonObject = Object.fromEntries(
    lines.map(({ name, line, said }) => {
      const entry = objectOf(ownField(before, name));
      const conditions = [conditionOf(said, entry.conditions, at)];
      return [name, { ...entry, name, ...lineFields(line), details: '', conditions }];
    }),
  );
  const closed = standing.closed.map(
    (each): Json => ({
      name: each.name,
      closed: each.closed,
      ...lineFields(each.line),
    }),
  );
  return {
    branches: { ...objectOf(status.branches), branch },
    closedBranches: closed.length > 0 ? closed : undefined,
  };
}

function lineFields(line: Line): JsonObject {
  return {
    commit: line.raw,
    identity: line.identity,
    sequence: line.sequence > 0 ? line.sequence : undefined,
    attempt: line.attempt > 0 ? line.attempt : undefined,
    latestPipelineRun: runField(line),
    outcome: outcomeField(line),
  };
}

function outcomeField({ outcome }: Line): JsonObject | undefined {
  return outcome && { ...outcome, message: plainText(outcome.message, MESSAGE_BYTES) };
}

/** The schema refuses a condition with any other reason, and with it the whole status. */
const REASON = /^[A-Za-z](?:[A-Za-z0-9_,:]{0,1000}[A-Za-z0-9_])?$/;
/** Of what is said: enough to read, and little enough for hundreds of branches in one object. */
const MESSAGE_BYTES = 2_048;

/** The condition as it is written: its time is that of the one before, unless something of it has changed but the words. */
function conditionOf(said: Said, before: Json | undefined, { generation, now }: At): JsonObject {
  const old = listOf(before)
    .map(objectOf)
    .find(({ type }) => type === said.type);
  const since = old?.status === said.status ? stringOf(old.lastTransitionTime) : undefined;
  return {
    type: said.type,
    status: said.status,
    reason: REASON.test(said.reason) ? said.reason : 'Failed',
    message: plainText(said.message, MESSAGE_BYTES),
    observedGeneration: generation,
    lastTransitionTime: since ?? new Date(now).toISOString().replace(/\.\d+Z$/, 'Z'),
  };
}

/**
 * What to merge into `before` to make it `after` (RFC 7386): undefined where they are equal. A field that is undefined in
 * `after` is taken away.
 */
export function mergeOf(before: JsonObject, after: JsonObject): JsonObject | undefined {
  const merge: (readonly [string, Json])[] = [];
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [was, is] = [ownField(before, key), ownField(after, key)];
    if (is === undefined || is === null) {
      if (was !== undefined && was !== null) merge.push([key, null]);
    } else if (isObject(is) && isObject(was)) {
      const inner = mergeOf(was, is);
      if (inner !== undefined) merge.push([key, inner]);
    } else if (!isEqual(was, is)) {
      merge.push([key, withoutAbsent(is)]);
    }
  }
  return merge.length > 0 ? Object.fromEntries(merge) : undefined;
}

/** What an object itself has under a key that somebody else chose. */
function ownField(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isEqual(left: Json | undefined, right: Json | undefined): boolean {
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, place) => isEqual(item, right[place]));
  }
  if (isObject(left) && isObject(right)) return mergeOf(left, right) === undefined;
  return left === right;
}

/** In a merge an absent field would read as one to take away, and in a list as null. */
function withoutAbsent(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutAbsent);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) =>
      item === undefined || item === null ? [] : [[key, withoutAbsent(item)]],
    ),
  );
}
