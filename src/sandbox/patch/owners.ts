/** Who owns which fields of an object: `metadata.managedFields`, and what a change of the object does to it. */
import type { Kind } from '../api/kind.ts';
import { apiVersionOf, type JsonObject, type KubeObject, type ManagedFieldsEntry } from '../object.ts';
import { difference, type Fields, isEmpty, NONE, parseFields, union, without } from './fields.ts';
import { objectShape, type Shape } from './shape.ts';
import { type Comparison, compare } from './typed.ts';

/** What ownership must know of a kind. */
export type OwnedKind = Pick<
  Kind,
  'group' | 'kind' | 'plural' | 'custom' | 'statusSubresource' | 'versions' | 'strategy'
>;

/** Somebody who owns fields, as one manager with one operation in one version, through one subresource or none. */
export interface Owner {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  /** When what it owns last changed. An apply that found everything as it wanted has none. */
  readonly time: string | undefined;
  readonly fields: Fields;
}

/** Owners by `ownerId`. */
export type Owners = Map<string, Owner>;

/** What makes an owner one: appliers stay the same owner when they go to another version. */
export function ownerId(owner: Pick<Owner, 'manager' | 'operation' | 'apiVersion' | 'subresource'>): string {
  const { manager, operation, apiVersion, subresource } = owner;
  return JSON.stringify({
    manager,
    operation,
    apiVersion: operation === 'Update' ? apiVersion : undefined,
    subresource: subresource === '' ? undefined : subresource,
  });
}

/** The owners in `metadata.managedFields`; undefined when an entry is not one. */
export function parseOwners(entries: readonly ManagedFieldsEntry[]): Owners | undefined {
  const owners: Owners = new Map();
  for (const entry of entries) {
    const { manager = '', operation, apiVersion, subresource = '', time, fieldsType } = entry;
    const fields = parseFields(entry.fieldsV1 ?? {});
    const isOperation = operation === 'Apply' || operation === 'Update';
    if (!isOperation || !apiVersion || fieldsType !== 'FieldsV1' || fields === undefined) return undefined;
    const owner: Owner = { manager, operation, apiVersion, subresource, time: time ?? undefined, fields };
    owners.set(ownerId(owner), owner);
  }
  return owners;
}

/** `metadata.managedFields` of these owners, in the server's order: appliers first, then the oldest. */
export function entriesOf(owners: Owners): ManagedFieldsEntry[] {
  const entries = [...owners.values()].map((owner): ManagedFieldsEntry => {
    const { manager, operation, apiVersion, subresource, time, fields } = owner;
    return {
      manager,
      operation,
      apiVersion,
      ...(time === undefined ? {} : { time }),
      fieldsType: 'FieldsV1',
      fieldsV1: fields,
      ...(subresource === '' ? {} : { subresource }),
    };
  });
  return entries.length < 2 ? entries : entries.sort(compareEntries);
}

function compareEntries(a: ManagedFieldsEntry, b: ManagedFieldsEntry): number {
  return (
    compareTexts(a.operation, b.operation) ||
    secondsOf(a.time) - secondsOf(b.time) ||
    compareTexts(a.manager, b.manager) ||
    compareTexts(a.apiVersion, b.apiVersion) ||
    compareTexts(a.subresource ?? '', b.subresource ?? '')
  );
}

function compareTexts(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Times are kept to the second; no time counts as the beginning of time. */
export function secondsOf(time: string | undefined): number {
  return time === undefined ? 0 : Math.floor(Date.parse(time) / 1000);
}

/** The shape of a kind's objects in one version; undefined when that version is not served (any more). */
export function shapeIn(kind: OwnedKind, apiVersion: string): Shape | undefined {
  const served = kind.versions.find(({ version }) => apiVersionOf({ group: kind.group, version }) === apiVersion);
  return served === undefined ? undefined : objectShape(served.schema.node);
}

/** `object` in another version of its kind; itself when that is its own. */
export function inVersion(kind: OwnedKind, object: KubeObject, apiVersion: string): KubeObject {
  if (object.apiVersion === apiVersion) return object;
  const version = apiVersion.slice(apiVersion.indexOf('/') + 1);
  return kind.strategy.convert?.(object, version) ?? { ...object, apiVersion };
}

/** `object` without `managedFields`, which nobody owns. */
export function unmanaged(object: KubeObject): KubeObject {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** How an object changed, in whichever version somebody owns fields of it; undefined for a version that is not served. */
export type Change = (apiVersion: string) => Comparison | undefined;

/**
 * The change from `before` to `after`, which are of the same version. Fields that a write through `subresource` cannot change
 * do not count. Computed once a version, when it is asked for.
 */
export function changeOf(kind: OwnedKind, before: KubeObject, after: KubeObject, subresource: string): Change {
  const known = new Map<string, Comparison | undefined>();
  const reset = resetFields(kind, subresource);
  return (apiVersion) => {
    if (!known.has(apiVersion)) {
      const shape = shapeIn(kind, apiVersion);
      const [left, right] = [inVersion(kind, before, apiVersion), inVersion(kind, after, apiVersion)];
      known.set(apiVersion, shape === undefined ? undefined : filtered(compare(shape, left, right), reset));
    }
    return known.get(apiVersion);
  };
}

function filtered({ added, modified, removed }: Comparison, reset: Fields): Comparison {
  return { added: without(added, reset), modified: without(modified, reset), removed: without(removed, reset) };
}

/** What a write through `subresource` leaves as it is, whatever the request says, and so gives nobody. */
export function resetFields(kind: OwnedKind, subresource: string): Fields {
  if (subresource === 'status') return specOnly;
  return kind.statusSubresource ? statusOnly : NONE;
}

const specOnly: Fields = { 'f:spec': NONE };
const statusOnly: Fields = { 'f:status': NONE };

/** Takes from every owner but `except` what the change has changed or removed; who has nothing left is gone. */
export function dispossess(owners: Owners, change: Change, except?: string): void {
  for (const [id, owner] of owners) {
    if (id === except) continue;
    const changed = change(owner.apiVersion);
    if (changed === undefined) {
      owners.delete(id);
      continue;
    }
    const taken = union(changedFields(changed), changed.removed);
    const fields = difference(owner.fields, taken);
    if (isEmpty(fields)) owners.delete(id);
    else if (!isEmpty(taken)) owners.set(id, { ...owner, fields });
  }
}

/** What is now there that was not, or was otherwise. */
export function changedFields({ added, modified }: Comparison): Fields {
  return union(modified, added);
}

/** `fields` without those that are the server's own business. */
export function ownable(fields: Fields): Fields {
  return difference(fields, serversOwn);
}

const serversOwn: Fields = {
  'f:apiVersion': NONE,
  'f:kind': NONE,
  'f:metadata': {
    '.': NONE,
    'f:clusterName': NONE,
    'f:creationTimestamp': NONE,
    'f:generation': NONE,
    'f:managedFields': NONE,
    'f:name': NONE,
    'f:namespace': NONE,
    'f:resourceVersion': NONE,
    'f:selfLink': NONE,
    'f:uid': NONE,
  },
};

/** An object before anything is put into it; a JSON object that lacks all that makes it a KubeObject but its type. */
export function emptyObject({ apiVersion, kind }: KubeObject, blank: JsonObject = {}): KubeObject {
  // A cast: metadata without a name and all the server fills in is exactly what is meant.
  return { metadata: {}, ...blank, apiVersion, kind } as unknown as KubeObject;
}
