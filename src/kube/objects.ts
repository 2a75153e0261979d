/** The few things that all Kubernetes objects share, as we keep them. */

/** Which object: the cluster is implied while there is one. */
export interface ObjectRef {
  readonly namespace: string;
  readonly name: string;
}

/** The controlling owner, from `metadata.ownerReferences[controller=true]`. */
export interface Owner {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** What we keep of `metadata`. Times are RFC 3339 strings as the API server sent them. */
export interface Meta {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Opaque: compare for equality only. */
  readonly resourceVersion: string;
  readonly created: string;
  /** `metadata.deletionTimestamp`: the object is still readable, but going. */
  readonly deleting?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Only the annotations a projection asked for by name. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly owner?: Owner;
}

/** Anything kept in a store. */
export interface Kept {
  readonly meta: Meta;
}

/**
 * A status condition. `status` is kept as it was sent; anything but `True` and `False` is read as `Unknown`.
 * https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties
 */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime?: string;
}

/** A JSON value as an API server sends it, of which nothing is known yet. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** A JSON object of unknown shape: what `project` functions take. */
export type JsonObject = { readonly [key: string]: Json | undefined };

/** `value` if it is an object, else an empty one: unknown shapes read as absent, never as an error. */
export function objectOf(value: Json | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : NO_FIELDS;
}

/** `value` if it is a list, else an empty one. */
export function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : NO_ITEMS;
}

// Half of what is asked for is absent: one for all of it. Nothing writes to a `Json`.
const NO_FIELDS: JsonObject = {};
const NO_ITEMS: readonly Json[] = [];
/** What many objects have of labels, and most of annotations. */
const NO_STRINGS: Readonly<Record<string, string>> = {};

/** `value` if it is a non-empty string, else undefined. */
export function stringOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** `value` if it is a finite number, else undefined. */
export function numberOf(value: Json | undefined): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** The string values of an object; anything else in it is dropped. */
export function stringsOf(value: Json | undefined): Readonly<Record<string, string>> {
  // Not by assignment: the keys of a Secret may be `__proto__`.
  return Object.fromEntries(
    Object.entries(objectOf(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function sharedStrings(value: Json | undefined): Readonly<Record<string, string>> {
  const strings: Record<string, string> = {};
  for (const [key, item] of Object.entries(objectOf(value))) if (typeof item === 'string') strings[key] = shared(item);
  return strings;
}

/** Those of the strings of an object that have one of these names. */
function stringsNamed(value: Json | undefined, names: readonly string[]): Readonly<Record<string, string>> {
  const object = objectOf(value);
  let strings: Record<string, string> | undefined;
  for (const name of names) {
    const item = object[name];
    if (typeof item !== 'string') continue;
    strings ??= {};
    strings[name] = item;
  }
  return strings ?? NO_STRINGS;
}

// Reasons, task, container and node names repeat in every object. JSON.parse makes a new string each time, so 150,000
// TaskRuns would hold a million copies of a few hundred words. Nothing depends on who shares what: when the table is full
// it becomes the old one, in which a word that is still used is found once more.
let words = new Map<string, string>();
let oldWords = new Map<string, string>();
const MOST_WORDS = 20_000;
const LONGEST_WORD = 200;

/** The one copy of `word` that is shared by all kept objects. */
export function shared<T extends string | undefined>(word: T): T | string {
  if (word === undefined || word.length > LONGEST_WORD) return word;
  const known = words.get(word);
  if (known !== undefined) return known;
  if (words.size >= MOST_WORDS) {
    oldWords = words;
    words = new Map();
  }
  const kept = oldWords.get(word) ?? word;
  words.set(kept, kept);
  return kept;
}

/** Keeps of `raw.metadata` what we serve. `annotations` names the annotations to keep. Never throws: absent fields read as ''. */
export function projectMeta(raw: JsonObject, annotations: readonly string[] = []): Meta {
  const metadata = objectOf(raw.metadata);
  const owner = listOf(metadata.ownerReferences)
    .map(objectOf)
    .find((reference) => reference.controller === true);
  const deleting = stringOf(metadata.deletionTimestamp);
  return {
    namespace: shared(stringOf(metadata.namespace)) ?? '',
    name: stringOf(metadata.name) ?? '',
    uid: stringOf(metadata.uid) ?? '',
    resourceVersion: stringOf(metadata.resourceVersion) ?? '',
    created: stringOf(metadata.creationTimestamp) ?? '',
    ...(deleting === undefined ? {} : { deleting }),
    labels: sharedStrings(metadata.labels),
    annotations: stringsNamed(metadata.annotations, annotations),
    ...(owner === undefined
      ? {}
      : {
          owner: {
            kind: shared(stringOf(owner.kind)) ?? '',
            name: stringOf(owner.name) ?? '',
            uid: stringOf(owner.uid) ?? '',
          },
        }),
  };
}

/** The conditions in `raw.status.conditions`; whatever is malformed there is left out. */
export function projectConditions(raw: JsonObject): readonly Condition[] {
  return listOf(objectOf(raw.status).conditions)
    .map(objectOf)
    .filter((condition) => stringOf(condition.type) !== undefined)
    .map((condition) => {
      const lastTransitionTime = stringOf(condition.lastTransitionTime);
      return {
        type: stringOf(condition.type) ?? '',
        status: stringOf(condition.status) ?? 'Unknown',
        reason: stringOf(condition.reason) ?? '',
        message: stringOf(condition.message) ?? '',
        ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }),
      };
    });
}

/** The fields of `T` as they are once those that are undefined have been left out. */
export type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** `fields` without those that are undefined: absent is written in one way only. Spread it into an object literal. */
export function present<T extends object>(fields: T): Present<T> {
  const known: Present<T> = {};
  // Object.keys forgets the key type; these are the keys of `fields` itself.
  for (const key of Object.keys(fields) as (keyof T)[]) {
    const value = fields[key];
    // The comparison does not narrow a generic property.
    if (value !== undefined) known[key] = value as Exclude<T[keyof T], undefined>;
  }
  return known;
}
