/**
 * What events told of, where it is written down before they are answered: as revisions in an annotation of the trigger, which say no more
 * than what to look for, and where a trigger believes its events as events in a ConfigMap of its own. Pure, and never throws.
 */
import { createHash } from 'node:crypto';
import { sameRevision } from '../flux/revision.ts';
import { type JsonObject, numberOf, type ObjectRef, objectOf, present, stringOf, stringsOf } from '../kube/objects.ts';
import { labelValue, TRIGGER_API_VERSION, TRIGGER_KIND } from './names.ts';

/** Revisions that are looked for at the same time: more than a source has had within the minutes that an event is on its way. */
const MOST_TOLD = 8;

/** What the annotation `rungate.dev/event` says. */
export function toldIn(annotation: string | undefined): readonly string[] {
  return (annotation ?? '').split(' ', MOST_TOLD).filter((text) => text !== '');
}

/**
 * The annotation once `revision` has been told of; the same text where it stands there already. What was run for last (`done`, the event as
 * the source writes it) is not looked for any longer: should it come back, an event will tell of it.
 */
export function withTold(annotation: string | undefined, revision: string, done: string | undefined): string {
  const before = toldIn(annotation).filter((text) => done === undefined || !sameRevision(text, done));
  if (before.some((text) => sameRevision(text, revision))) return before.join(' ');
  // A space would make two of it. No revision of Git or of a registry has one.
  return /\s/.test(revision) ? before.join(' ') : [revision, ...before].slice(0, MOST_TOLD).join(' ');
}

/** Stands in `rungate.dev/event` for the failure that an event told of at that time, in milliseconds since the epoch. */
export function toldFailure(atMs: number): string {
  return `failure@${new Date(atMs).toISOString()}`;
}

/** When the latest failure was told of, in milliseconds since the epoch. */
export function failureToldAt(told: readonly string[]): number | undefined {
  const times = told.flatMap((text) => {
    const at = text.startsWith('failure@') ? Date.parse(text.slice('failure@'.length)) : Number.NaN;
    return Number.isNaN(at) ? [] : [at];
  });
  return times.length === 0 ? undefined : Math.max(...times);
}

/** An event that is believed, as much of it as a run can be made from. */
export interface StoredEvent {
  /** The key of its entry: entries in the order of their keys are in that in which the events came. */
  readonly key: string;
  /** `metadata.cluster`; '' where the event names none. */
  readonly cluster: string;
  /** Normalised; absent: the source failed. */
  readonly revision?: string;
  readonly reason: string;
  readonly message: string;
  /** When it happened, in milliseconds since the epoch. */
  readonly atMs: number;
}

/** Events that wait for their runs, of one trigger. Whoever posts more has to come again. */
export const MOST_STORED = 50;
/** Bounds, so that all of them fit into one object many times over. */
const LONGEST_MESSAGE = 2_048;
const LONGEST_CLUSTER = 253;
const LONGEST_REASON = 253;

/** The last moment that a date can be. https://tc39.es/ecma262/#sec-time-values-and-time-range */
const LATEST_MS = 8.64e15;

/** What marks the ConfigMap, with the trigger's name as a label has it. */
export const STORED_EVENTS_LABEL = 'rungate.dev/events-of';

/** Where the stored events of a trigger are. A long name is cut, and a hash of the whole of it stays. */
export function storedEventsPath({ namespace, name }: ObjectRef): string {
  return `/api/v1/namespaces/${namespace}/configmaps/${storedEventsName(name)}`;
}

const MOST_OF_NAME = 253;

function storedEventsName(trigger: string): string {
  const name = `${trigger}-flux-events`;
  if (name.length <= MOST_OF_NAME) return name;
  const hash = createHash('sha256').update(trigger).digest('hex').slice(0, 16);
  return `${trigger.slice(0, MOST_OF_NAME - hash.length - 13).replace(/[.-]+$/, '')}-${hash}-flux-events`;
}

/** The ConfigMap with its first event. It goes with its trigger. */
export function storedEventsWith(trigger: ObjectRef & { readonly uid: string }, event: StoredEvent): JsonObject {
  const { namespace, name, uid } = trigger;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      namespace,
      name: storedEventsName(name),
      labels: { [STORED_EVENTS_LABEL]: labelValue(name) },
      ownerReferences: [{ apiVersion: TRIGGER_API_VERSION, kind: TRIGGER_KIND, name, uid }],
    },
    data: storedEntry(event),
  };
}

/** The entry of an event, as `data` has it. */
export function storedEntry({ key, ...event }: StoredEvent): JsonObject {
  return { [key]: JSON.stringify(event) };
}

/**
 * The key of an event that comes behind those of `before`: a time that is later than each of theirs, and what tells it from all others.
 * The same event has the same end, whenever it comes.
 */
export function storedKey(event: Omit<StoredEvent, 'key'>, before: readonly StoredEvent[], nowMs: number): string {
  const latest = Math.max(0, ...before.map(({ key }) => Number.parseInt(key, 10) || 0));
  return `${String(Math.max(nowMs, latest + 1)).padStart(15, '0')}-${identityOf(event)}`;
}

/** The entry that stands for the same event. */
export function storedAlready(
  event: Omit<StoredEvent, 'key'>,
  stored: readonly StoredEvent[],
): StoredEvent | undefined {
  return stored.find(({ key }) => key.endsWith(`-${identityOf(event)}`));
}

/** An event with what is beyond its bounds cut. Undefined: the name of its cluster is none that anybody gives. */
export function storable(event: Omit<StoredEvent, 'key'>): Omit<StoredEvent, 'key'> | undefined {
  if (event.cluster.length > LONGEST_CLUSTER || /[\p{Cc}\p{Z}]/u.test(event.cluster)) return undefined;
  const reason = event.reason.slice(0, LONGEST_REASON).toWellFormed();
  return { ...event, reason, message: event.message.slice(0, LONGEST_MESSAGE).toWellFormed() };
}

/** What a ConfigMap has stored, the oldest first. What is no event is left out: somebody else has written it there. */
export function storedEventsIn(raw: JsonObject): readonly StoredEvent[] {
  return Object.entries(stringsOf(raw.data))
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .flatMap(([key, text]) => readEntry(key, text) ?? []);
}

function readEntry(key: string, text: string): StoredEvent | undefined {
  let entry: JsonObject;
  try {
    entry = objectOf(JSON.parse(text));
  } catch {
    return undefined;
  }
  const atMs = numberOf(entry.atMs);
  const event = storable({
    cluster: stringOf(entry.cluster) ?? '',
    reason: stringOf(entry.reason) ?? '',
    message: stringOf(entry.message) ?? '',
    atMs: atMs ?? 0,
    ...present({ revision: stringOf(entry.revision) }),
  });
  return atMs === undefined || Math.abs(atMs) > LATEST_MS || event === undefined ? undefined : { key, ...event };
}

function identityOf({ cluster, revision, reason, atMs }: Omit<StoredEvent, 'key'>): string {
  const text = JSON.stringify([cluster, revision ?? null, revision === undefined ? reason : '', atMs]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
