/** Events as Flux sends them. https://github.com/fluxcd/pkg/blob/main/apis/event/v1beta1/event.go */
import type { Json, JsonMap } from './request.ts';

/** One event, whose names can be used in paths. A message beyond its bound is cut; what else is beyond one is no event. */
export interface FluxEvent {
  readonly involvedObject: {
    /** Without the version: `source.toolkit.fluxcd.io`; '' where the event names none. */
    readonly group: string;
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid: string | undefined;
  };
  readonly severity: string;
  /** Milliseconds since the epoch; undefined: none that can be read. */
  readonly timestamp: number | undefined;
  readonly message: string;
  readonly reason: string;
  /** With their prefixes as they came, or without them. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly reportingController: string;
}

/** An event that was read, or what is wrong with it: one sentence that names the field, and holds nothing of what the field holds. */
export type ReadFluxEvent =
  | { readonly ok: true; readonly event: FluxEvent }
  | { readonly ok: false; readonly message: string };

/** What the controllers of Flux cut a message to. */
const LONGEST_MESSAGE = 39_000;
/** More than any word of a controller has. */
const LONGEST_WORD = 1_024;
const MOST_METADATA = 64;
/** A prefix, a slash and a name, as annotations have them. */
const LONGEST_KEY = 317;
const MOST_VALUE_BYTES = 8 * 1024;

const LABEL = '[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?';

interface Shape {
  readonly pattern: RegExp;
  readonly longest: number;
  /** What it has to be, to be read behind "must be". */
  readonly allowed: string;
}

// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
const KIND: Shape = { pattern: /^[A-Za-z][A-Za-z0-9]*$/, longest: 63, allowed: 'the name of a kind' };
const NAMESPACE: Shape = { pattern: new RegExp(`^${LABEL}$`), longest: 63, allowed: 'a DNS-1123 label' };
const NAME: Shape = {
  pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
  longest: 253,
  allowed: 'a DNS-1123 subdomain',
};
const API_VERSION: Shape = {
  pattern: new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*/)?[a-z][a-z0-9]*$`),
  longest: 317,
  allowed: 'a group and a version',
};
const UID: Shape = { pattern: /^[\x21-\x7e]*$/, longest: 128, allowed: 'a uid' };

const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * Whether a body that may be anything means to be an event of Flux: bodies of Git hosts have neither of the two fields. It may still be
 * one that cannot be read.
 */
export function isFluxEvent(body: JsonMap): boolean {
  return isMap(body.involvedObject) && typeof body.reportingController === 'string';
}

/**
 * Reads an event. Wanted are `involvedObject.kind`, `.namespace` and `.name`; all else may be absent or null, as older controllers leave
 * things out, but not of another type. Fields that it does not know are left out. Never throws.
 */
export function readFluxEvent(body: JsonMap): ReadFluxEvent {
  const mistakes: string[] = [];
  const object = mapIn(body, 'involvedObject', mistakes);
  if (object === undefined) return { ok: false, message: mistakes[0] ?? 'involvedObject is missing' };

  const nameIn = (field: string, shape: Shape): string => {
    const text = textIn(object, field, 'involvedObject.', mistakes);
    if (text !== '' && (text.length > shape.longest || !shape.pattern.test(text)))
      mistakes.push(`involvedObject.${field} must be ${shape.allowed} of at most ${shape.longest} characters`);
    return text;
  };
  const neededIn = (field: string, shape: Shape): string => {
    const text = nameIn(field, shape);
    if (text === '') mistakes.push(`involvedObject.${field} is missing`);
    return text;
  };
  const wordIn = (field: string): string => {
    const text = textIn(body, field, '', mistakes);
    if (text.length > LONGEST_WORD) mistakes.push(`${field} is longer than ${LONGEST_WORD} characters`);
    return text;
  };

  const uid = nameIn('uid', UID);
  const event: FluxEvent = {
    involvedObject: {
      kind: neededIn('kind', KIND),
      name: neededIn('name', NAME),
      namespace: neededIn('namespace', NAMESPACE),
      group: groupOf(nameIn('apiVersion', API_VERSION)),
      uid: uid === '' ? undefined : uid,
    },
    severity: wordIn('severity'),
    timestamp: timeIn(textIn(body, 'timestamp', '', mistakes)),
    message: cut(textIn(body, 'message', '', mistakes)),
    reason: wordIn('reason'),
    metadata: metadataIn(body, mistakes),
    reportingController: wordIn('reportingController'),
  };
  const [message] = mistakes;
  return message === undefined ? { ok: true, event } : { ok: false, message };
}

function isMap(value: Json | undefined): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Go writes nothing, or null, for what it has not; both are undefined here. */
function mapIn(map: JsonMap, field: string, mistakes: string[]): JsonMap | undefined {
  const value = map[field] ?? undefined;
  if (value === undefined || isMap(value)) return value;
  mistakes.push(`${field} must be an object`);
  return undefined;
}

function textIn(map: JsonMap, field: string, prefix: string, mistakes: string[]): string {
  const value = map[field] ?? '';
  if (typeof value === 'string') return value;
  mistakes.push(`${prefix}${field} must be a string`);
  return '';
}

function groupOf(apiVersion: string): string {
  return apiVersion.slice(0, Math.max(apiVersion.indexOf('/'), 0));
}

function timeIn(text: string): number | undefined {
  const ms = TIMESTAMP.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** At most so long, and without half of a character at its end. A copy: a slice would keep all of the message, as long as the event is. */
function cut(message: string): string {
  if (message.length <= LONGEST_MESSAGE) return message;
  const short = message.slice(0, LONGEST_MESSAGE).replace(/[\ud800-\udbff]$/, '');
  return Buffer.from(short, 'utf16le').toString('utf16le');
}

function metadataIn(body: JsonMap, mistakes: string[]): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  const entries = Object.entries(mapIn(body, 'metadata', mistakes) ?? {});
  if (entries.length > MOST_METADATA) {
    mistakes.push(`metadata has more than ${MOST_METADATA} keys`);
    return metadata;
  }
  for (const [key, value] of entries) {
    if (key.length > LONGEST_KEY) mistakes.push(`metadata has a key of more than ${LONGEST_KEY} characters`);
    else if (typeof value !== 'string') mistakes.push('metadata must have strings for values');
    else if (Buffer.byteLength(value) > MOST_VALUE_BYTES) mistakes.push('metadata has a value of more than 8 KiB');
    else metadata.set(key, value);
  }
  return metadata;
}
