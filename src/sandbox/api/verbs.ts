/**
 * Get, create, update and patch: the way of an object through the server, the same over HTTPS and in the process.
 *
 *     decode, prune → defaults → field owners → mutating admission → strategy → validation → admission → memory
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/ has the order of admission.
 */
import { randomUUID } from 'node:crypto';
import { administrator, type Caller } from '../access/caller.ts';
import { apiVersionOf, type Json, type JsonObject, type KubeObject, type Resource } from '../object.ts';
import { serverSideApply } from '../patch/apply.ts';
import { applyJsonPatch } from '../patch/json.ts';
import { recordUpdate } from '../patch/managed.ts';
import { applyMergePatch } from '../patch/merge.ts';
import { applyStrategicPatch } from '../patch/strategic.ts';
import {
  alreadyExists,
  type Cause,
  conflict,
  invalid,
  methodNotAllowed,
  noSuchPath,
  notFound,
  outdated,
  StatusError,
} from '../status.ts';
import { generatedName } from './generated.ts';
import { asObject, checkAddress, takeIn, takeInPatched } from './intake.ts';
import type { Kind, Registry, ServedVersion } from './kind.ts';
import { checkMetadata, checkMetadataUpdate, inOrder, isQualifiedFinalizer, keepSystemFields } from './metadata.ts';
import { admitToNamespace } from './namespaces.ts';
import { type FieldValidation, parseVersion } from './options.ts';
import { type Commit, erase, isReleased, objectsOf, type StoreParts, store } from './store.ts';
import { shownAs, storedAs } from './versions.ts';

/** What the verbs work with. */
export interface VerbParts extends StoreParts {
  readonly registry: Registry;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** One kind in one version and namespace: what a request's path says. `namespace` is '' for all, and for kinds without. */
export interface Target {
  readonly kind: Kind;
  readonly served: ServedVersion;
  readonly namespace: string;
}

/** Who writes, and how. */
export interface Writer {
  readonly caller: Caller;
  /** Who owns the fields that are written. */
  readonly manager: string;
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
  /** Told what the server finds odd, for Warning headers. */
  warn(text: string): void;
  /** Called when a fault wants the answer to be lost. */
  lose(): void;
}

/** What is written: the decoded body, and what its decoder found. It becomes the API's own. */
export interface Incoming {
  readonly object: KubeObject;
  readonly problems: readonly string[];
  /** How large the body was; 0 when it did not come over the wire. */
  readonly bytes: number;
}

/** A patch in one of its four languages. */
export type Patch =
  | { readonly type: 'json' | 'merge' | 'strategic'; readonly patch: Json }
  | { readonly type: 'apply'; readonly patch: JsonObject; readonly force: boolean };

/** What a write has led to. */
export interface Written {
  readonly object: KubeObject;
  readonly created: boolean;
}

/** The verbs that read or write one object. Objects are answered in the version of the target, and must not be changed. */
export interface Verbs {
  /** Finds what a path means. Throws 404 when nothing serves it. */
  target(resource: Resource, namespace: string): Target;
  /** Throws 404. */
  get(target: Target, name: string): KubeObject;
  create(target: Target, incoming: Incoming, writer: Writer): KubeObject;
  /** `subresource` is '' or 'status'. */
  update(target: Target, name: string, incoming: Incoming, writer: Writer, subresource: string): Written;
  patch(
    target: Target,
    name: string,
    patch: Patch & { readonly problems: readonly string[]; readonly bytes: number },
    writer: Writer,
    subresource: string,
  ): Written;
}

/** A writer for what happens within the process. */
export function insider(manager: string): Writer {
  return { caller: administrator, manager, dryRun: false, fieldValidation: 'Ignore', warn() {}, lose() {} };
}

/** Makes the verbs. */
export function createVerbs(parts: VerbParts): Verbs {
  const { registry, memory } = parts;

  return {
    target({ group, version, plural }, namespace) {
      const found = registry.find(group, version, plural);
      if (found === undefined) throw noSuchPath();
      return { ...found, namespace };
    },

    get: ({ kind, served, namespace }, name) => shownAs(liveOf(kind, namespace, name), kind, served.version),

    create(target, { object, problems, bytes }, writer) {
      takeIn(object, { ...target, ...writer, problems });
      return create(target, object, writer, bytes);
    },

    update(target, name, { object, problems, bytes }, writer, subresource) {
      takeIn(object, { ...target, ...writer, problems });
      checkAddress(object, { ...target, name });
      const live = objectsOf(parts, target.kind).get(target.namespace, name);
      if (live === undefined && target.kind.createsOnUpdate === true && subresource === '') {
        object.metadata.resourceVersion = '';
        return { object: create(target, object, writer, bytes), created: true };
      }
      if (live === undefined) throw notFound(target.kind, name);
      return { object: replace(target, live, object, { writer, subresource, bytes, verb: 'update' }), created: false };
    },

    patch(target, name, patch, writer, subresource) {
      return patch.type === 'apply'
        ? apply(target, name, patch, writer, subresource)
        : merge(target, name, { ...patch, type: patch.type }, writer, subresource);
    },
  };

  function liveOf(kind: Kind, namespace: string, name: string): KubeObject {
    const live = objectsOf(parts, kind).get(namespace, name);
    if (live === undefined) throw notFound(kind, name);
    return live;
  }

  function create(target: Target, object: KubeObject, writer: Writer, bytes: number): KubeObject {
    const { kind, served, namespace } = target;
    checkAddress(object, { kind, namespace, name: undefined });
    if (kind.review !== undefined) return review(target, object, writer);
    const { metadata } = object;
    if ((metadata.resourceVersion ?? '') !== '') {
      throw new StatusError(500, '', 'resourceVersion should not be set on objects to be created');
    }
    const collection = objectsOf(parts, kind);
    if ((metadata.name ?? '') === '' && (metadata.generateName ?? '') !== '') {
      metadata.name = generatedName(
        metadata.generateName ?? '',
        (name) => collection.get(namespace, name) !== undefined,
      );
    }
    if (kind.namespaced) admitToNamespace(memory, namespace, { ...kind, name: metadata.name ?? '' });
    setSystemFields(object, kind);
    served.schema.applyDefaults(object);
    // An apply has said already who owns what.
    if (writer.manager !== '') setOwners(object, { before: undefined, target, writer, subresource: '' });
    admitAndPrepare(target, object, undefined, () => kind.strategy.prepareForCreate?.(object));
    if (kind.custom && kind.statusSubresource) delete object.status;
    validate(target, object, undefined, '', [
      ...checkMetadata(object.metadata, kind),
      ...served.schema.validate(object),
    ]);
    const taken = collection.get(namespace, object.metadata.name);
    if (taken !== undefined) throw nameTaken(kind, taken);
    tellWarnings(target, object, undefined, writer);
    const stored = store(parts, ordered(object), commit(kind, 'create', '', writer), bytes);
    return shownAs(stored, kind, served.version);
  }

  function review({ kind, served }: Target, object: KubeObject, { caller }: Writer): KubeObject {
    served.schema.applyDefaults(object);
    const causes = kind.strategy.validate?.(object, undefined, '') ?? [];
    if (causes.length > 0) throw invalid(kind, object.metadata.name ?? '', causes);
    // Kinds without a review are stored, so this one has it.
    return (kind.review as NonNullable<Kind['review']>)(object, caller);
  }

  interface Replacement {
    readonly writer: Writer;
    readonly subresource: string;
    readonly bytes: number;
    readonly verb: 'update' | 'patch';
    /** An apply has said already who owns what. */
    readonly isApply?: boolean;
  }

  function replace(target: Target, live: KubeObject, object: KubeObject, how: Replacement): KubeObject {
    const { kind, served } = target;
    const { writer, subresource } = how;
    const old = shownAs(live, kind, served.version);
    if (how.verb === 'update') checkUid(kind, object, old);
    checkVersion(kind, object, old);
    keepSystemFields(object.metadata, old.metadata);
    served.schema.applyDefaults(object);
    if (how.isApply !== true) setOwners(object, { before: old, target, writer, subresource });
    admitAndPrepare(target, object, old, () => prepareUpdate(kind, object, old, subresource));
    if (kind.strategy.generationMoves?.(object, old) === true) {
      object.metadata.generation = (old.metadata.generation ?? 0) + 1;
    }
    const changed = ordered({
      ...object,
      metadata: { ...object.metadata, resourceVersion: old.metadata.resourceVersion },
    });
    validate(target, changed, old, subresource, [
      ...checkMetadataUpdate(changed.metadata, old.metadata, kind),
      ...served.schema.validate(changed, old),
    ]);
    tellWarnings(target, changed, old, writer);
    if (isReleased(changed)) {
      // What the deletion shows is what was stored: the update that ends the object is stored no more.
      erase(parts, live, commit(kind, how.verb, subresource, writer));
      return changed;
    }
    if (isSame(changed, old)) return old;
    const stored = store(parts, changed, commit(kind, how.verb, subresource, writer), how.bytes);
    return shownAs(stored, kind, served.version);
  }

  function merge(
    target: Target,
    name: string,
    patch: Extract<Patch, { readonly patch: Json }> & {
      readonly type: 'json' | 'merge' | 'strategic';
      readonly problems: readonly string[];
      readonly bytes: number;
    },
    writer: Writer,
    subresource: string,
  ): Written {
    const { kind, served, namespace } = target;
    const live = liveOf(kind, namespace, name);
    const old = shownAs(live, kind, served.version);
    // Patches share what they leave alone with the object they change, and decoding works in place.
    const object = asObject(structuredClone(patched(old, patch, served)));
    const { problems } = patch;
    const touched = patch.type === 'json' ? pathsTouched(patch.patch) : patch.patch;
    takeInPatched(object, { ...target, ...writer, registry, problems, touched });
    checkAddress(object, { ...target, name });
    const { bytes } = patch;
    return { object: replace(target, live, object, { writer, subresource, bytes, verb: 'patch' }), created: false };
  }

  function apply(
    target: Target,
    name: string,
    patch: {
      readonly patch: JsonObject;
      readonly force: boolean;
      readonly problems: readonly string[];
      readonly bytes: number;
    },
    writer: Writer,
    subresource: string,
  ): Written {
    const { kind, served, namespace } = target;
    const live = objectsOf(parts, kind).get(namespace, name);
    if (live === undefined && subresource !== '') throw notFound(kind, name);
    const result = serverSideApply({
      live: live === undefined ? undefined : shownAs(live, kind, served.version),
      applied: asObject(patch.patch),
      manager: writer.manager,
      force: patch.force,
      kind,
      version: served.version,
      subresource,
      now: timestamp(),
    });
    const object = asObject(structuredClone(result) as JsonObject); // a KubeObject is a JSON object
    takeInPatched(object, { ...target, ...writer, registry, problems: patch.problems, touched: patch.patch });
    checkAddress(object, { ...target, name });
    const { bytes } = patch;
    if (live === undefined) {
      object.metadata.resourceVersion = '';
      return { object: create(target, object, { ...writer, manager: '' }, bytes), created: true };
    }
    const how = { writer, subresource, bytes, verb: 'patch', isApply: true } as const;
    return { object: replace(target, live, object, how), created: false };
  }

  /** In place: what no client decides. */
  function setSystemFields(object: KubeObject, kind: Kind): void {
    const { metadata } = object;
    metadata.uid = randomUUID();
    metadata.creationTimestamp = timestamp();
    delete metadata.deletionTimestamp;
    delete metadata.deletionGracePeriodSeconds;
    if (kind.strategy.generationMoves !== undefined) metadata.generation = 1;
  }

  interface Ownership {
    readonly before: KubeObject | undefined;
    readonly target: Target;
    readonly writer: Writer;
    readonly subresource: string;
  }

  function setOwners(after: KubeObject, { before, target: { kind }, writer, subresource }: Ownership): void {
    const entries = recordUpdate({ before, after, manager: writer.manager, kind, subresource, now: timestamp() });
    if (entries.length === 0) delete after.metadata.managedFields;
    else after.metadata.managedFields = entries;
  }

  function timestamp(): string {
    return `${new Date(parts.now()).toISOString().slice(0, 19)}Z`;
  }

  function commit(kind: Kind, verb: Commit['verb'], subresource: string, { dryRun, lose }: Writer): Commit {
    return { kind, verb, subresource, dryRun, lose };
  }
}

/** One that is on its way out still has its name. */
function nameTaken(kind: Kind, { metadata }: KubeObject): StatusError {
  const refusal = alreadyExists(kind, metadata.name);
  if (metadata.deletionTimestamp === undefined) return refusal;
  return new StatusError(refusal.code, refusal.reason, `object is being deleted: ${refusal.message}`, refusal.details);
}

/** The patched object; shares parts with `old`. */
function patched(
  old: KubeObject,
  { type, patch }: { readonly type: 'json' | 'merge' | 'strategic'; readonly patch: Json },
  { schema }: ServedVersion,
): JsonObject {
  const object = old as JsonObject; // an object is one, read only here
  if (type === 'json') return applyJsonPatch(object, patch);
  if (type === 'merge') return applyMergePatch(object, patch);
  return applyStrategicPatch(object, patch, schema.node);
}

/** What a JSON patch writes to, as an object with the same fields. */
function pathsTouched(patch: Json): JsonObject {
  const touched: JsonObject = {};
  for (const operation of Array.isArray(patch) ? patch : []) {
    const path = typeof operation === 'object' && operation !== null && !Array.isArray(operation) ? operation.path : '';
    let at = touched;
    for (const part of typeof path === 'string' ? path.split('/').slice(1, -1) : []) {
      const below: JsonObject = {};
      at[part] ??= below;
      at = at[part] as JsonObject; // nothing else is ever put there
    }
  }
  return touched;
}

/** Throws what an update gets that was meant for another object of that name. That of a patch is found by validation. */
function checkUid(kind: Kind, { metadata }: KubeObject, old: KubeObject): void {
  const { name, uid, namespace } = old.metadata;
  if ((metadata.uid ?? '') === '' || metadata.uid === uid) return;
  const key = `/registry/${kind.plural}/${kind.namespaced ? `${namespace}/` : ''}${name}`;
  const failed = `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${uid}`;
  const why = `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${failed}`;
  throw conflict(kind, name, why);
}

/** Throws what an update gets that was meant for another state of the object. */
function checkVersion(kind: Kind, { metadata }: KubeObject, old: KubeObject): void {
  const { name, resourceVersion } = old.metadata;
  const given = parseVersion(metadata.resourceVersion ?? '', (why) => new StatusError(500, '', why));
  if (given === 0 && (kind.custom || kind.updatesNeedVersion === true)) {
    const message = 'Invalid value: 0: must be specified for an update';
    const cause: Cause = { reason: 'FieldValueInvalid', field: 'metadata.resourceVersion', message };
    throw invalid({ group: kind.group, kind: kind.plural }, name, [cause]);
  }
  if (given !== 0 && String(given) !== resourceVersion) throw outdated(kind, name);
}

function admitAndPrepare(
  { kind, served }: Target,
  object: KubeObject,
  old: KubeObject | undefined,
  prepare: () => void,
): void {
  if (kind.strategy.mutate !== undefined) {
    kind.strategy.mutate(object, old);
    served.schema.applyDefaults(object);
  }
  prepare();
}

function prepareUpdate(kind: Kind, object: KubeObject, old: KubeObject, subresource: string): void {
  const { strategy } = kind;
  if (subresource === '') {
    strategy.prepareForUpdate?.(object, old);
    if (kind.custom && kind.statusSubresource) takeOver(object, old, 'status');
  } else if (strategy.prepareForStatusUpdate !== undefined) {
    strategy.prepareForStatusUpdate(object, old);
  } else {
    for (const field of new Set([...Object.keys(object), ...Object.keys(old)])) {
      if (field !== 'status' && field !== 'metadata') takeOver(object, old, field);
    }
    if (kind.custom) object.metadata = { ...old.metadata, managedFields: object.metadata.managedFields };
  }
}

function takeOver(object: KubeObject, old: KubeObject, field: string): void {
  if (old[field] === undefined) delete object[field];
  else object[field] = old[field];
}

function validate(
  { kind }: Target,
  object: KubeObject,
  old: KubeObject | undefined,
  subresource: string,
  found: readonly Cause[],
): void {
  const causes = [...found, ...(kind.strategy.validate?.(object, old, subresource) ?? [])];
  if (causes.length > 0) throw invalid(kind, object.metadata.name ?? '', causes);
  kind.strategy.admit?.(object, old);
}

function tellWarnings({ kind, served }: Target, object: KubeObject, old: KubeObject | undefined, writer: Writer): void {
  for (const warning of kind.strategy.warnings?.(object, old) ?? []) writer.warn(warning);
  if (served.deprecationWarning !== undefined) writer.warn(served.deprecationWarning);
  if (!kind.custom) return;
  for (const finalizer of object.metadata.finalizers ?? []) {
    if (isQualifiedFinalizer(finalizer) || old?.metadata.finalizers?.includes(finalizer)) continue;
    const why = 'prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers';
    writer.warn(`metadata.finalizers: ${JSON.stringify(finalizer)}: ${why}`);
  }
}

/** The fields in the order in which the server writes them. */
function ordered({ apiVersion, kind, metadata, ...rest }: KubeObject): KubeObject {
  return { kind, apiVersion, metadata: inOrder(metadata), ...rest } as KubeObject; // the same fields
}

/** Whether two objects are the same JSON; a field that is undefined is none. */
function isSame(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one) || Array.isArray(other)) {
    if (!Array.isArray(one) || !Array.isArray(other) || one.length !== other.length) return false;
    return one.every((item, place) => isSame(item, other[place]));
  }
  const isIn = (inner: JsonObject, outer: JsonObject) =>
    Object.keys(inner).every((field) => isSame(inner[field], outer[field]));
  const isWithin = (inner: JsonObject, outer: JsonObject) =>
    Object.keys(inner).every((field) => inner[field] === undefined || outer[field] !== undefined);
  return isIn(one, other) && isWithin(other, one);
}

/** Whoever is asked for a verb that the kind does not have. Throws 405. */
export function requireVerb({ verbs }: Kind, verb: Kind['verbs'][number]): void {
  if (!verbs.includes(verb)) throw methodNotAllowed();
}

/** What an object says it is, for a target. */
export function identityOf({ kind, served }: Target): { readonly apiVersion: string; readonly kind: string } {
  return { apiVersion: apiVersionOf({ group: kind.group, version: served.version }), kind: kind.kind };
}
