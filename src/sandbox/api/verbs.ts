/**
 * Get, create, update and patch: the way of an object through the server, the same over HTTPS and in the process.
 *
 *     decode, prune → defaults → field owners → mutating admission → strategy → validation → admission → memory
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/ has the order of admission.
 */
import { randomUUID } from 'node:crypto';
import { administrator, type Caller } from '../access/caller.ts';
import { invalidValue } from '../core/causes.ts';
import { apiVersionOf, type JsonObject, type KubeObject, type Resource } from '../object.ts';
import { serverSideApply } from '../patch/apply.ts';
import { recordUpdate } from '../patch/managed.ts';
import { type Cause, invalid, methodNotAllowed, noSuchPath, notFound, StatusError } from '../status.ts';
import { generatedName } from './generated.ts';
import { asObject, checkAddress, takeIn, takeInPatched } from './intake.ts';
import type { Kind, Registry, ServedVersion } from './kind.ts';
import { checkMetadata, checkMetadataUpdate, inOrder, isQualifiedFinalizer, keepSystemFields } from './metadata.ts';
import { admitToDefinition, admitToNamespace } from './namespaces.ts';
import type { FieldValidation } from './options.ts';
import { type Change, type Configuration, type Patch, patched, touchedBy } from './patches.ts';
import { nameTaken, requireSameObject, requireSameVersion } from './preconditions.ts';
import { isSame } from './same.ts';
import { type Commit, erase, isReleased, objectsOf, type StoreParts, store } from './store.ts';
import { shownAs } from './versions.ts';

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

/** A write, before what is written. */
export interface WriteRequest {
  readonly target: Target;
  readonly writer: Writer;
  readonly subresource: '' | 'status';
  /** What the decoder of the body found odd. */
  readonly problems: readonly string[];
  /** How large the body was; 0 when it did not come over the wire. */
  readonly bytes: number;
}

/** What a write has led to. */
export interface Written {
  readonly object: KubeObject;
  readonly created: boolean;
}

/**
 * The verbs that read or write one object. Objects that are handed in become the API's own; those handed out are in the
 * version of the target, and must not be changed. Throw StatusErrors.
 */
export interface Verbs {
  /** Finds what a path means. Throws 404 when nothing serves it. */
  target(resource: Resource, namespace: string): Target;
  /** Throws 404. */
  get(target: Target, name: string): KubeObject;
  create(request: WriteRequest, object: KubeObject): KubeObject;
  update(request: WriteRequest, name: string, object: KubeObject): Written;
  patch(request: WriteRequest, name: string, patch: Patch): Written;
}

/** A write from within the process, by `manager`. */
export function insideRequest(target: Target, manager: string, subresource: '' | 'status' = ''): WriteRequest {
  const writer: Writer = {
    caller: administrator,
    manager,
    dryRun: false,
    fieldValidation: 'Ignore',
    warn() {},
    lose() {},
  };
  return { target, writer, subresource, problems: [], bytes: 0 };
}

/** Whoever is asked for a verb that the kind does not have. Throws 405. */
export function requireVerb({ verbs }: Kind, verb: Kind['verbs'][number]): void {
  if (!verbs.includes(verb)) throw methodNotAllowed();
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

    get(target, name) {
      return shown(liveOf(target, name) ?? missing(target, name), target);
    },

    create(request, object) {
      takeIn(object, intakeOf(request));
      checkAddress(object, { ...request.target, name: undefined });
      return create(request, object);
    },

    update(request, name, object) {
      const { target, subresource } = request;
      takeIn(object, intakeOf(request));
      checkAddress(object, { ...target, name });
      const live = liveOf(target, name);
      if (live !== undefined) return { object: replace(request, live, object, 'update'), created: false };
      if (target.kind.createsOnUpdate !== true || subresource !== '') missing(target, name);
      object.metadata.resourceVersion = '';
      return { object: create(request, object), created: true };
    },

    patch(request, name, patch) {
      return patch.type === 'apply' ? apply(request, name, patch) : change(request, name, patch);
    },
  };

  function liveOf({ kind, namespace }: Target, name: string): KubeObject | undefined {
    return objectsOf(parts, kind).get(namespace, name);
  }

  function create(request: WriteRequest, object: KubeObject, isApplied = false): KubeObject {
    const { target } = request;
    const { kind, served, namespace } = target;
    if (kind.review !== undefined) return review(request, object);
    if ((object.metadata.resourceVersion ?? '') !== '') {
      throw new StatusError(500, '', 'resourceVersion should not be set on objects to be created');
    }
    giveName(target, object);
    const name = object.metadata.name ?? '';
    admitToDefinition(memory, kind, name);
    if (kind.namespaced) admitToNamespace(memory, namespace, { ...kind, name });
    setSystemFields(object, kind);
    served.schema.applyDefaults(object);
    if (!isApplied) setOwners(request, object, undefined);
    mutate(request, object, undefined);
    kind.strategy.prepareForCreate?.(object);
    if (kind.custom && kind.statusSubresource) delete object.status;
    validate(request, object, undefined, checkMetadata(object.metadata, kind));
    const taken = liveOf(target, name);
    if (taken !== undefined) throw nameTaken(kind, taken);
    // No status can be sent along, but one that the schema begins with is there whenever the object is read.
    if (kind.custom && kind.statusSubresource) served.schema.applyDefaults(object);
    return shown(store(parts, ordered(object), commitOf(request, 'create')), target);
  }

  function replace(
    request: WriteRequest,
    live: KubeObject,
    object: KubeObject,
    verb: 'update' | 'patch',
    isApplied = false,
  ): KubeObject {
    const { target, subresource } = request;
    const { kind, served } = target;
    const old = shown(live, target);
    if (verb === 'update') requireSameObject(kind, object, old);
    requireSameVersion(kind, object, old);
    keepSystemFields(object.metadata, old.metadata);
    served.schema.applyDefaults(object);
    if (!isApplied) setOwners(request, object, old);
    mutate(request, object, old);
    prepareUpdate(kind, object, old, subresource);
    if (kind.strategy.generationMoves?.(object, old) === true) {
      object.metadata.generation = (old.metadata.generation ?? 0) + 1;
    }
    object.metadata.resourceVersion = old.metadata.resourceVersion;
    const changed = ordered(object);
    validate(request, changed, old, checkMetadataUpdate(changed.metadata, old.metadata, kind));
    if (isReleased(changed)) {
      // What the deletion shows is what was stored: the update that ends the object is stored no more.
      erase(parts, live, commitOf(request, verb));
      return changed;
    }
    return isSame(changed, old) ? old : shown(store(parts, changed, commitOf(request, verb)), target);
  }

  function change(request: WriteRequest, name: string, patch: Change): Written {
    const { target } = request;
    const live = liveOf(target, name) ?? missing(target, name);
    // Patches share what they leave alone with the object they change, and decoding works in place.
    const object = asObject(structuredClone(patched(shown(live, target), patch, target.served)));
    const isStrategic = patch.type === 'strategic';
    takeInPatched(object, { ...intakeOf(request), registry, touched: touchedBy(patch), isStrategic });
    checkAddress(object, { ...target, name });
    return { object: replace(request, live, object, 'patch'), created: false };
  }

  function apply(request: WriteRequest, name: string, { patch, force }: Configuration): Written {
    const { target, subresource } = request;
    const { kind, served } = target;
    const live = liveOf(target, name);
    if (live === undefined && subresource !== '') missing(target, name);
    const result = serverSideApply({
      live: live === undefined ? undefined : shown(live, target),
      applied: asObject(patch),
      manager: request.writer.manager,
      force,
      kind,
      version: served.version,
      subresource,
      now: timestamp(),
    });
    const object = asObject(structuredClone(result) as JsonObject); // a KubeObject is a JSON object
    takeInPatched(object, { ...intakeOf(request), registry, touched: patch });
    checkAddress(object, { ...target, name });
    if (live !== undefined) return { object: replace(request, live, object, 'patch', true), created: false };
    object.metadata.resourceVersion = '';
    return { object: create(request, object, true), created: true };
  }

  function giveName(target: Target, { metadata }: KubeObject): void {
    const { name = '', generateName = '' } = metadata;
    if (name !== '' || generateName === '') return;
    metadata.name = generatedName(generateName, (one) => liveOf(target, one) !== undefined);
  }

  /** In place: what no client decides. */
  function setSystemFields({ metadata }: KubeObject, { strategy }: Kind): void {
    metadata.uid = randomUUID();
    metadata.creationTimestamp = timestamp();
    delete metadata.deletionTimestamp;
    delete metadata.deletionGracePeriodSeconds;
    if (strategy.generationMoves !== undefined) metadata.generation = 1;
  }

  /** An apply has said already who owns what; all other writes do so here. */
  function setOwners(request: WriteRequest, after: KubeObject, before: KubeObject | undefined): void {
    const { target, writer, subresource } = request;
    const { manager } = writer;
    const entries = recordUpdate({ before, after, manager, kind: target.kind, subresource, now: timestamp() });
    if (entries.length === 0) delete after.metadata.managedFields;
    else after.metadata.managedFields = entries;
  }

  function timestamp(): string {
    return `${new Date(parts.now()).toISOString().slice(0, 19)}Z`;
  }
}

function missing({ kind }: Target, name: string): never {
  throw notFound(kind, name);
}

function shown(object: KubeObject, { kind, served }: Target): KubeObject {
  return shownAs(object, kind, served.version);
}

function intakeOf({ target, writer, problems }: WriteRequest): Parameters<typeof takeIn>[1] {
  const { kind, served } = target;
  return { kind, served, fieldValidation: writer.fieldValidation, problems, warn: writer.warn };
}

function commitOf({ target, writer, subresource, bytes }: WriteRequest, verb: Commit['verb']): Commit {
  return { kind: target.kind, verb, subresource, dryRun: writer.dryRun, bytes, lose: writer.lose };
}

/** The kinds that are asked and not kept. */
function review({ target, writer }: WriteRequest, object: KubeObject): KubeObject {
  const { kind, served } = target;
  served.schema.applyDefaults(object);
  const causes = kind.strategy.validate?.(object, undefined, '') ?? [];
  if (causes.length > 0) throw invalid(kind, object.metadata.name ?? '', causes);
  // Whoever calls this has looked.
  return (kind.review as NonNullable<Kind['review']>)(object, writer.caller);
}

function mutate({ target, writer }: WriteRequest, object: KubeObject, old: KubeObject | undefined): void {
  const { kind, served } = target;
  if (kind.strategy.mutate === undefined) return;
  kind.strategy.mutate(object, old, writer.caller);
  served.schema.applyDefaults(object);
}

/** Takes from `old` what this way of writing does not change. */
function prepareUpdate(kind: Kind, object: KubeObject, old: KubeObject, subresource: string): void {
  const { strategy, custom, statusSubresource } = kind;
  if (subresource === '') {
    strategy.prepareForUpdate?.(object, old);
    if (custom && statusSubresource) takeOver(object, old, 'status');
  } else if (strategy.prepareForStatusUpdate !== undefined) {
    strategy.prepareForStatusUpdate(object, old);
  } else {
    for (const field of new Set([...Object.keys(object), ...Object.keys(old)])) {
      if (field !== 'status' && field !== 'metadata') takeOver(object, old, field);
    }
    if (custom) object.metadata = { ...old.metadata, managedFields: object.metadata.managedFields };
  }
}

function takeOver(object: KubeObject, old: KubeObject, field: string): void {
  if (old[field] === undefined) delete object[field];
  else object[field] = old[field];
}

/** Throws 422 for everything that is wrong, and what admission says to the rest; warns of what is merely odd. */
function validate(
  { target, writer, subresource }: WriteRequest,
  object: KubeObject,
  old: KubeObject | undefined,
  inMetadata: readonly Cause[],
): void {
  const { kind } = target;
  const causes = [
    ...checkIdentity(object, target),
    ...inMetadata,
    ...checkSchema(object, old, target, subresource),
    ...(kind.strategy.validate?.(object, old, subresource) ?? []),
  ];
  // What says it is something else is refused as that.
  if (causes.length > 0) throw invalid({ group: kind.group, kind: object.kind }, object.metadata.name ?? '', causes);
  kind.strategy.admit?.(object, old);
  for (const warning of warningsAbout(kind, object, old)) writer.warn(warning);
}

/** The status of a kind from a CRD is checked by itself, so what is said of it leaves out where it stands. */
function checkSchema(
  object: KubeObject,
  old: KubeObject | undefined,
  { kind, served }: Target,
  subresource: string,
): Cause[] {
  const causes = served.schema.validate(object, old);
  if (subresource === '' || !kind.custom) return causes;
  return causes.map((cause) => ({ ...cause, message: cause.message.replace(/: status\.(\S+ in body )/, ': $1') }));
}

/** Kinds from CRDs find out so late that they are meant to be another one; the decoder of the others has looked. */
function checkIdentity(object: KubeObject, { kind, served }: Target): Cause[] {
  if (!kind.custom) return [];
  const { group } = kind;
  const wanted = { kind: kind.kind, apiVersion: apiVersionOf({ group, version: served.version }) };
  return (['kind', 'apiVersion'] as const)
    .filter((field) => object[field] !== wanted[field])
    .map((field) => invalidValue(field, object[field], `must be ${wanted[field]}`));
}

function warningsAbout({ custom, strategy }: Kind, object: KubeObject, old: KubeObject | undefined): string[] {
  const known = old?.metadata.finalizers ?? [];
  const finalizers = custom ? (object.metadata.finalizers ?? []) : [];
  const odd = finalizers.filter((finalizer) => !isQualifiedFinalizer(finalizer) && !known.includes(finalizer));
  const why = 'prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers';
  return [
    ...(strategy.warnings?.(object, old) ?? []),
    ...odd.map((finalizer) => `metadata.finalizers: ${JSON.stringify(finalizer)}: ${why}`),
  ];
}

/** The fields in the order in which the server writes them. */
function ordered({ apiVersion, kind, metadata, ...rest }: KubeObject): KubeObject {
  return { kind, apiVersion, metadata: inOrder(metadata), ...rest } as KubeObject; // the same fields
}
