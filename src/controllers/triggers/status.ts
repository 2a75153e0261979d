/**
 * The status of a PipelineTrigger: what it says of past events, and how it is written. It keeps the fields of every release
 * of the original operator filled, each in its own form, and adds a few of ours. Pure.
 */

import { ownField } from '../../kube/merge.ts';
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
import { INTENDED_RUN } from '../../triggers/names.ts';
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
  /** Somebody asked for its run by `rungate.dev/runAt`: nothing new was there. */
  readonly byHand?: boolean;
  /** A run of it was ordered, and counts for `maxRunsPerHour` until something has become of it. */
  readonly counted?: boolean;
  /** Of a failure: the source has been well since, so that the next one is another. */
  readonly recovered?: boolean;
}

/** An event that was believed, and had its run. */
export interface TrustedEvent {
  readonly cluster: string;
  readonly identity: string;
  /** When it happened, in milliseconds since the epoch. */
  readonly atMs: number;
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
  /** Those of the last values of it that were made from keys of requests: a request that comes late is known again. */
  readonly handledKeys: readonly string[];
  /** The first and the last of the events whose runs a request asked for by that value. */
  readonly handledSequences?: readonly [first: number, last: number] | undefined;
  readonly closed: readonly ClosedBranch[];
  /** When runs were started, those by hand apart, RFC 3339 and in order; only as far back as `maxRunsPerHour` looks. */
  readonly recentRuns: readonly string[];
  /** Of a trigger that believes its events: which had their run, in that order, so that none of them has another one. */
  readonly trusted: readonly TrustedEvent[];
}

/** The request that asked for the run of an event, if one did. */
export function requestOf({ handledRunAt, handledSequences }: Standing, sequence: number): string | undefined {
  const [first = 0, last = 0] = handledSequences ?? [];
  return first <= sequence && sequence <= last ? handledRunAt : undefined;
}

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
  const recentRuns = listOf(status.recentRuns).filter((time) => typeof time === 'string');
  const trusted = listOf(status.trustedEvents).flatMap((value): TrustedEvent[] => {
    const { cluster, identity, time } = objectOf(value);
    const atMs = typeof time === 'string' ? Date.parse(time) : Number.NaN;
    if (typeof identity !== 'string' || Number.isNaN(atMs)) return [];
    return [{ cluster: stringOf(cluster) ?? '', identity, atMs }];
  });
  return {
    lines,
    sequence,
    closed,
    recentRuns,
    trusted,
    handledKeys: listOf(status.handledKeys).filter((key) => typeof key === 'string'),
    ...present({
      handledRunAt: stringOf(status.handledRunAt),
      handledSequences: readSequences(status.handledSequences),
    }),
  };
}

function readSequences(value: Json | undefined): Standing['handledSequences'] {
  const [first, last] = listOf(value).map(numberOf);
  return first === undefined || last === undefined ? undefined : [first, last];
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
      byHand: status.byHand === true || undefined,
      counted: status.counted === true || undefined,
      recovered: status.recovered === true || undefined,
      run: run === INTENDED_RUN ? undefined : run,
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
      byHand: entry.byHand === true || undefined,
      counted: entry.counted === true || undefined,
      run: run === INTENDED_RUN ? undefined : run,
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
  if (run === INTENDED_RUN) return undefined;
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
    handledKeys: standing.handledKeys.length > 0 ? standing.handledKeys : undefined,
    handledSequences: standing.handledSequences,
    recentRuns: standing.recentRuns.length > 0 ? standing.recentRuns : undefined,
    trustedEvents: trustedField(standing.trusted),
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
    byHand: line.byHand,
    counted: line.counted,
    recovered: line.recovered,
    attempt: line.attempt > 0 ? line.attempt : undefined,
    currentPipelineRetry: isFirst && line.attempt > 0 ? line.attempt : undefined,
    outcome: outcomeField(line),
    ...(isFirst ? {} : blockFields(status, latest, at)),
  };
}

function trustedField(trusted: readonly TrustedEvent[]): Json | undefined {
  if (trusted.length === 0) return undefined;
  return trusted.map(({ cluster, identity, atMs }) => ({ cluster, identity, time: new Date(atMs).toISOString() }));
}

/** `Unknown` while a run is intended; nothing where there is none and none will be. */
function runField(line: Line): string | undefined {
  return line.run ?? (line.outcome === undefined ? INTENDED_RUN : undefined);
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
  const branchesWith = (messageBytes: number): JsonObject =>
    Object.fromEntries(
      lines.map(({ name, line, said }) => {
        const entry = objectOf(ownField(before, name));
        const conditions = [conditionOf(said, entry.conditions, { ...at, messageBytes })];
        return [name, { ...entry, name, ...lineFields(line, messageBytes), details: '', conditions }];
      }),
    );
  const closedWith = ({ name, closed, line }: ClosedBranch, messageBytes: number): JsonObject => ({
    name,
    closed,
    ...lineFields(line, messageBytes),
  });
  // How long texts may be follows from everything but the texts: what was cut once is not cut again.
  let leftBytes = BRANCHES_BYTES - bytesOf(branchesWith(0)) - 2 * lines.length * LEAST_MESSAGE_BYTES;
  const kept: ClosedBranch[] = [];
  for (const each of standing.closed.toReversed()) {
    leftBytes -= bytesOf(closedWith(each, 0)) + LEAST_MESSAGE_BYTES;
    if (leftBytes < 0) break;
    kept.unshift(each);
  }
  const texts = 2 * lines.length + kept.length;
  const messageBytes = Math.min(MESSAGE_BYTES, LEAST_MESSAGE_BYTES + Math.max(0, Math.floor(leftBytes / texts)));
  return {
    branches: { ...objectOf(status.branches), branch: branchesWith(messageBytes) },
    closedBranches: kept.length > 0 ? kept.map((each) => closedWith(each, messageBytes)) : undefined,
  };
}

function lineFields(line: Line, messageBytes: number): JsonObject {
  return {
    commit: line.raw,
    identity: line.identity,
    sequence: line.sequence > 0 ? line.sequence : undefined,
    attempt: line.attempt > 0 ? line.attempt : undefined,
    byHand: line.byHand,
    counted: line.counted,
    latestPipelineRun: runField(line),
    outcome: outcomeField(line, messageBytes),
  };
}

function outcomeField({ outcome }: Line, messageBytes = MESSAGE_BYTES): JsonObject | undefined {
  if (outcome === undefined) return undefined;
  const { status, reason, message } = outcome;
  return { status, reason: plainText(reason, REASON_BYTES), message: textWithin(message, messageBytes) };
}

/**
 * What all branches of a PullRequest may take up: etcd refuses an object of 1.5 MiB, in which the API server notes of each field
 * who wrote it, nearly as much again. https://etcd.io/docs/latest/dev-guide/limit/
 */
const BRANCHES_BYTES = 480 * 1024;
/** Of what is said: enough to read. */
const MESSAGE_BYTES = 2_048;
/** And so much of it where many branches share the room. */
const LEAST_MESSAGE_BYTES = 16;
/** The longest of Tekton has 31 letters. */
const REASON_BYTES = 40;
/** The schema refuses a condition with any other reason, and with it the whole status. */
const REASON = /^[A-Za-z](?:[A-Za-z0-9_,:]{0,38}[A-Za-z0-9_])?$/;

/**
 * Says of one new branch after another whether there is room for it in the status beside `lines`, and takes that room. What is
 * counted is the most that is ever kept of a branch, so that one which was let in can be followed to its end.
 */
export function roomBeside(lines: ReadonlyMap<string, Line>): (name: string, line: Noted) => boolean {
  let leftBytes = BRANCHES_BYTES;
  for (const [name, line] of lines) leftBytes -= mostKeptOf(name, line);
  return (name, line) => {
    const bytes = mostKeptOf(name, line);
    if (bytes > leftBytes) return false;
    leftBytes -= bytes;
    return true;
  };
}

/** What is known of a line before it has a run. */
type Noted = Pick<Line, 'raw' | 'identity'>;

function mostKeptOf(name: string, { raw, identity = '' }: Noted): number {
  return ENTRY_BYTES + bytesOf({ [name]: name }) + bytesOf(raw) + bytesOf(identity);
}

/** An entry with everything that it can have, but for the names. */
const ENTRY_BYTES = bytesOf({
  commit: '',
  identity: '',
  sequence: 10_000_000,
  attempt: 10,
  latestPipelineRun: 'x'.repeat(63),
  outcome: { status: 'Unknown', reason: 'x'.repeat(REASON_BYTES), message: 'x'.repeat(LEAST_MESSAGE_BYTES) },
  details: '',
  conditions: [
    {
      type: 'InProgress',
      status: 'Unknown',
      reason: 'x'.repeat(REASON_BYTES),
      message: 'x'.repeat(LEAST_MESSAGE_BYTES),
      observedGeneration: 1_000_000,
      lastTransitionTime: '2026-11-01T10:00:00Z',
    },
  ],
});

/** How much of an object it takes up. */
function bytesOf(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** `text` as one line that takes up no more than `mostBytes` of an object: quotes and backslashes take up two. Cutting it again changes nothing. */
function textWithin(text: string, mostBytes: number): string {
  if (mostBytes < LEAST_MESSAGE_BYTES) return '';
  const line = plainText(text, mostBytes);
  const escapes = bytesOf(line) - 2 - Buffer.byteLength(line);
  return plainText(line, Math.max(3, mostBytes - escapes));
}

/** The condition as it is written: its time is that of the one before, unless something of it has changed but the words. */
function conditionOf(
  said: Said,
  before: Json | undefined,
  { generation, now, messageBytes = MESSAGE_BYTES }: At & { readonly messageBytes?: number },
): JsonObject {
  const old = listOf(before)
    .map(objectOf)
    .find(({ type }) => type === said.type);
  const since = old?.status === said.status ? stringOf(old.lastTransitionTime) : undefined;
  return {
    type: said.type,
    status: said.status,
    reason: REASON.test(said.reason) ? said.reason : 'Failed',
    message: textWithin(said.message, messageBytes),
    observedGeneration: generation,
    lastTransitionTime: since ?? new Date(now).toISOString().replace(/\.\d+Z$/, 'Z'),
  };
}
