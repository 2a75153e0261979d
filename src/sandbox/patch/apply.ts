/**
 * Server-side apply: who applies a configuration owns what is in it, is told when it is somebody else's, and what it leaves
 * out the next time goes, unless somebody else owns it. https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
import { isDeepStrictEqual } from 'node:util';
import { apiVersionOf, type Json, type JsonObject, type KubeObject } from '../object.ts';
import { badRequest, conflict, StatusError } from '../status.ts';
import { difference, type Fields, intersection, isEmpty, pathsOf, union, without } from './fields.ts';
import { goJson } from './go.ts';
import { ownersBeforeFirstApply } from './managed.ts';
import {
  type Change,
  changedFields,
  changeOf,
  dispossess,
  emptyObject,
  entriesOf,
  inVersion,
  type OwnedKind,
  type Owner,
  type Owners,
  ownable,
  ownerId,
  parseOwners,
  resetFields,
  shapeIn,
  unmanaged,
} from './owners.ts';
import type { Shape } from './shape.ts';
import { compare, fieldsOf, merge, mistakesIn, remove, withNamedFields } from './typed.ts';

/** A configuration to apply. */
export interface Application {
  /** What the memory holds, in the version of the request; undefined when there is nothing yet. */
  readonly live: KubeObject | undefined;
  /** The configuration as the client sent it: parsed, and nothing more. */
  readonly applied: KubeObject;
  /** The parameter `fieldManager`. */
  readonly manager: string;
  /** Take what belongs to others. */
  readonly force: boolean;
  readonly kind: OwnedKind;
  /** The version in the request's path. */
  readonly version: string;
  /** '' or 'status'. */
  readonly subresource: string;
  /** RFC 3339, to the second. */
  readonly now: string;
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const MAX_ANNOTATIONS_BYTES = 256 * 1024;

/**
 * The object that applying makes, with its `managedFields`. It has yet to be decoded as any body is (a null is where a list or
 * an object has lost its last part), defaulted, validated and held against the `uid` and `resourceVersion` it now says, as
 * with an update. Applying what is already so and already owned answers an equal object.
 * Throws 400 for another kind and for `managedFields` in the configuration, 409 for conflicts and for the uid of an object
 * that is not there, and as the real server 500 for a configuration that does not fit the schema.
 */
export function serverSideApply(application: Application): KubeObject {
  const { live, applied, manager, kind, subresource, now } = application;
  const apiVersion = apiVersionOf({ group: kind.group, version: application.version });
  if (applied.apiVersion !== apiVersion || applied.kind !== kind.kind) {
    throw badRequest(`invalid object type: ${typeText(applied)}`);
  }
  if ((applied.metadata.managedFields ?? null) !== null) throw badRequest('metadata.managedFields must be nil');
  const { uid, name } = applied.metadata;
  if (live === undefined && uid !== undefined) {
    const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
    throw conflict(kind, name, why);
  }
  const shape = shapeIn(kind, apiVersion);
  if (shape === undefined) throw badRequest(`invalid object type: ${typeText(applied)}`);
  refuseMistakes(shape, applied);

  const tracked = parseOwners(live?.metadata.managedFields ?? []);
  const owners =
    tracked === undefined || tracked.size === 0
      ? ownersBeforeFirstApply({ before: live, kind, subresource, now })
      : tracked;
  const before = live === undefined ? emptyObject(applied) : unmanaged(live);
  const result = applyAs(owners, before, { ...application, shape, apiVersion });
  const isSame = live !== undefined && isDeepStrictEqual(before, result.object);
  const own = result.owners.get(result.id);
  if (own !== undefined && !isSame) result.owners.set(result.id, { ...own, time: now });

  const object = unmanaged(manager === 'kubectl' ? withLastApplied(result.object, applied) : result.object);
  if (result.owners.size === 0) return object;
  return { ...object, metadata: { ...object.metadata, managedFields: entriesOf(result.owners) } };
}

type Task = Application & { readonly shape: Shape; readonly apiVersion: string };

interface Applied {
  readonly object: KubeObject;
  readonly owners: Owners;
  /** Of the applier. */
  readonly id: string;
}

function applyAs(known: Owners, before: KubeObject, task: Task): Applied {
  const { applied, kind, subresource, shape, apiVersion } = task;
  const applier = { manager: task.manager, operation: 'Apply', apiVersion, subresource } as const;
  const id = ownerId(applier);
  const last = known.get(id);
  const owners = new Map(known);
  const fields = without(fieldsOf(shape, applied), resetFields(kind, subresource));
  owners.set(id, { ...applier, time: last?.time, fields });

  const merged = asObject(merge(shape, before, applied));
  const object = last === undefined ? merged : withoutLeftOut(merged, last, owners, kind, apiVersion);
  const change = changeOf(kind, before, object, subresource);
  if (!task.force) {
    const conflicts = conflictsIn(owners, change, id);
    const unforgiven = conflicts.length === 0 ? conflicts : unforgivenOf(conflicts, task, before);
    if (unforgiven.length > 0) throw conflictError(unforgiven);
  }
  dispossess(owners, change, id);
  const kept = ownable(fields);
  if (isEmpty(kept)) owners.delete(id);
  else owners.set(id, { ...applier, time: last?.time, fields: kept });
  return { object, owners, id };
}

/**
 * `merged` without what the applier applied the last time and not this time, as far as nobody else owns it. What stands below
 * something that goes, and that the applier never owned, stays with it.
 */
function withoutLeftOut(
  merged: KubeObject,
  last: Owner,
  owners: Owners,
  kind: OwnedKind,
  apiVersion: string,
): KubeObject {
  const shape = shapeIn(kind, last.apiVersion);
  if (shape === undefined) return merged;
  const before = inVersion(kind, merged, last.apiVersion);
  const left = withNamedFields(shape, last.fields);
  let pruned = asObject(remove(shape, before, left));
  const owned = new Map<string, Fields>([[last.apiVersion, {}]]);
  for (const owner of owners.values()) {
    owned.set(owner.apiVersion, union(owned.get(owner.apiVersion) ?? {}, owner.fields));
  }
  for (const [version, fields] of owned) {
    const versionShape = shapeIn(kind, version);
    if (versionShape === undefined) continue;
    const whole = inVersion(kind, merged, version);
    const kept = namedFieldsOf(versionShape, inVersion(kind, pruned, version));
    const stays = union(kept, withNamedFields(versionShape, fields));
    pruned = asObject(remove(versionShape, whole, difference(namedFieldsOf(versionShape, whole), stays)));
  }
  const kept = namedFieldsOf(shape, inVersion(kind, pruned, last.apiVersion));
  const gone = intersection(difference(namedFieldsOf(shape, before), kept), left);
  return inVersion(kind, asObject(remove(shape, before, gone)), apiVersion);
}

function namedFieldsOf(shape: Shape, object: KubeObject): Fields {
  return withNamedFields(shape, fieldsOf(shape, object));
}

/** What somebody owns and the applied configuration would change. */
interface Conflict {
  readonly owner: Owner;
  readonly fields: Fields;
}

/** In the order of `managedFields`. */
function conflictsIn(owners: Owners, change: Change, applier: string): Conflict[] {
  return [...owners]
    .filter(([id]) => id !== applier)
    .flatMap(([, owner]) => {
      const changed = change(owner.apiVersion);
      const fields = changed === undefined ? {} : intersection(owner.fields, changedFields(changed));
      return isEmpty(fields) ? [] : [{ owner, fields }];
    });
}

/**
 * kubectl may take over what it has applied itself by client-side apply, and nobody has changed since: the annotation it left
 * tells what that was.
 */
function unforgivenOf(conflicts: readonly Conflict[], task: Task, live: KubeObject): readonly Conflict[] {
  const { manager, shape, apiVersion } = task;
  const text = live.metadata.annotations?.[LAST_APPLIED];
  if (manager !== 'kubectl' || !text) return conflicts;
  const lastApplied = parseObject(text);
  if (lastApplied?.apiVersion !== apiVersion || mistakesIn(shape, lastApplied).length > 0) return conflicts;
  const since = compare(shape, lastApplied, live);
  const touched = union(changedFields(since), since.removed);
  const forgiven = difference(fieldsOf(shape, lastApplied), touched);
  return conflicts
    .map(({ owner, fields }) => ({ owner, fields: difference(fields, forgiven) }))
    .filter(({ fields }) => !isEmpty(fields));
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: Json = JSON.parse(text);
    return value === null || typeof value !== 'object' || Array.isArray(value) ? undefined : value;
  } catch {
    return undefined; // somebody else wrote the annotation
  }
}

/** Keeps kubectl's annotation of client-side apply true, where there is one, so that one may go back to it. */
function withLastApplied(object: KubeObject, applied: KubeObject): KubeObject {
  const { annotations } = object.metadata;
  if (!annotations?.[LAST_APPLIED]) return object;
  const configuration = structuredClone(applied);
  delete configuration.metadata.annotations?.[LAST_APPLIED];
  const { [LAST_APPLIED]: _, ...others } = annotations;
  const updated = { ...others, [LAST_APPLIED]: `${goJson(configuration)}\n` };
  const bytes = Object.entries(updated).reduce((sum, [name, value]) => sum + Buffer.byteLength(name + value), 0);
  const fitting = bytes > MAX_ANNOTATIONS_BYTES ? others : updated;
  return { ...object, metadata: { ...object.metadata, annotations: fitting } };
}

function conflictError(conflicts: readonly Conflict[]): StatusError {
  const told = conflicts.map(({ owner, fields }) => ({
    id: ownerId(owner),
    owner: ownerText(owner),
    paths: pathsOf(fields),
  }));
  const causes = told.flatMap(({ owner, paths }) =>
    paths.map((field) => ({ reason: 'FieldManagerConflict', message: `conflict with ${owner}`, field })),
  );
  const [only] = causes;
  const text =
    causes.length === 1 && only !== undefined
      ? `1 conflict: ${only.message}: ${only.field}`
      : `${causes.length} conflicts: ${told
          .toSorted((a, b) => (a.id < b.id ? -1 : 1))
          .map(({ owner, paths }) => [`conflicts with ${owner}:`, ...paths.map((path) => `- ${path}`)].join('\n'))
          .join('\n')}`;
  return new StatusError(409, 'Conflict', `Apply failed with ${text}`, { causes });
}

function ownerText({ manager, operation, apiVersion, subresource }: Owner): string {
  const through = subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`;
  return JSON.stringify(manager) + through + (operation === 'Update' ? ` using ${apiVersion}` : '');
}

/** The server takes this for its own failure. */
function refuseMistakes(shape: Shape, applied: KubeObject): void {
  const mistakes = mistakesIn(shape, applied);
  if (mistakes.length === 0) return;
  const { namespace = '', name = '' } = applied.metadata;
  const about = `failed to create typed patch object (${namespace}/${name}; ${typeText(applied)})`;
  const text = mistakes.length === 1 ? mistakes[0] : ['errors:', ...mistakes.map((line) => `  ${line}`)].join('\n');
  throw new StatusError(500, '', `${about}: ${text}`);
}

/** `/v1, Kind=ConfigMap`. A client may have left out both, or have written something that is no text, which counts as that. */
function typeText(object: Partial<KubeObject>): string {
  const [apiVersion, kind] = [object.apiVersion, object.kind].map((text: unknown) =>
    typeof text === 'string' ? text : '',
  );
  return `${apiVersion?.includes('/') ? apiVersion : `/${apiVersion}`}, Kind=${kind}`;
}

/** A cast: nothing takes `apiVersion`, `kind` or `metadata` from an object, for nobody owns them. */
function asObject(object: JsonObject): KubeObject {
  return object as KubeObject;
}
