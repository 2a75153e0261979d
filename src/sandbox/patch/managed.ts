/** Who owns what after a create, an update or a patch other than an apply. */
import { typed } from '../core/typed.ts';
import type { JsonObject, KubeObject, ManagedFieldsEntry } from '../object.ts';
import type { SchemaNode } from '../schema/node.ts';
import { isEmpty, union } from './fields.ts';
import {
  type Change,
  changedFields,
  changeOf,
  dispossess,
  emptyObject,
  entriesOf,
  type OwnedKind,
  type Owner,
  type Owners,
  ownable,
  ownerId,
  parseOwners,
  secondsOf,
  unmanaged,
} from './owners.ts';

/** A write that has happened. */
export interface Update {
  /** What the memory held; undefined for a create. */
  readonly before: KubeObject | undefined;
  /** What the client sent or its patch made, with `managedFields` as the client left them. */
  readonly after: KubeObject;
  /** `fieldManager`, or the user agent up to its first slash. */
  readonly manager: string;
  readonly kind: OwnedKind;
  /** '' or 'status'. */
  readonly subresource: string;
  /** RFC 3339, to the second. */
  readonly now: string;
}

const MAX_UPDATERS = 10;

/**
 * `metadata.managedFields` after a write; an empty list means that there are none. `before` and `after` are of the version of
 * the request. It belongs after decoding and defaulting, and before admission and what the strategy resets: what these change
 * is nobody's, as with the real server. What did not change keeps its owners and their times.
 * A client that sends `[]` or `[{}]` gives up all ownership, and then nothing is tracked before the next apply.
 */
export function recordUpdate({ before, after, manager, kind, subresource, now }: Update): ManagedFieldsEntry[] {
  const owners = ownersSent(before, after, subresource);
  if (owners.size === 0 && before !== undefined) return [];
  const empty = (): KubeObject => emptyObject(after, blankObject(kind, after.apiVersion));
  const change = changeOf(kind, before === undefined ? empty() : unmanaged(before), unmanaged(after), subresource);
  const { apiVersion } = after;
  take(owners, change, { manager: manager === '' ? 'unknown' : manager, apiVersion, subresource, time: now });
  return entriesOf(owners);
}

/** Gives a writer what it has changed, and the others what is left. */
function take(
  owners: Owners,
  change: Change,
  writer: Pick<Owner, 'manager' | 'apiVersion' | 'subresource' | 'time'>,
): void {
  dispossess(owners, change);
  const changed = change(writer.apiVersion);
  const fields = changed === undefined ? {} : ownable(changedFields(changed));
  if (!isEmpty(fields)) {
    const id = ownerId({ ...writer, operation: 'Update' });
    const previous = owners.get(id);
    owners.set(id, {
      ...writer,
      operation: 'Update',
      fields: previous === undefined ? fields : union(fields, previous.fields),
    });
  }
  forgetOldest(owners);
}

/** The owner of an object that nobody has tracked, as it is at the first apply. */
export function ownersBeforeFirstApply({ before, kind, subresource, now }: Omit<Update, 'after' | 'manager'>): Owners {
  const owners: Owners = new Map();
  if (before === undefined) return owners;
  const empty = emptyObject(before, blankObject(kind, before.apiVersion));
  const change = changeOf(kind, empty, unmanaged(before), subresource);
  take(owners, change, { manager: 'before-first-apply', apiVersion: before.apiVersion, subresource, time: now });
  return owners;
}

/** The owners that the client left in place; the stored ones where it does not know of any, or sent nonsense. */
function ownersSent(before: KubeObject | undefined, after: KubeObject, subresource: string): Owners {
  const stored = (): Owners => parseOwners(before?.metadata.managedFields ?? []) ?? new Map();
  const sent = after.metadata.managedFields;
  if (subresource !== '' || sent === undefined || sent === null) return stored();
  const isReset = sent.length === 0 || (sent.length === 1 && Object.keys(sent[0] ?? {}).length === 0);
  if (isReset) return new Map();
  const owners = parseOwners(sent);
  return owners === undefined || owners.size === 0 ? stored() : owners;
}

/** Of more than ten updaters the oldest of the same version become one, which is called `ancient-changes`. */
function forgetOldest(owners: Owners): void {
  const updaters = [...owners].filter(([, { operation }]) => operation === 'Update');
  let excess = updaters.length - MAX_UPDATERS;
  if (excess <= 0) return;
  updaters.sort(([a, { time: x }], [b, { time: y }]) => secondsOf(x) - secondsOf(y) || (a < b ? -1 : 1));
  const first = new Map<string, string>();
  for (const [id, owner] of updaters) {
    if (excess <= 0) return;
    const firstId = first.get(owner.apiVersion);
    if (firstId === undefined) {
      first.set(owner.apiVersion, id);
      continue;
    }
    const ancient = {
      manager: 'ancient-changes',
      operation: 'Update',
      apiVersion: owner.apiVersion,
      subresource: '',
    } as const;
    const ancientId = ownerId(ancient);
    const known = owners.get(ancientId) ?? owners.get(firstId);
    if (!owners.has(ancientId)) owners.delete(firstId);
    owners.delete(id);
    const fields = known === undefined ? owner.fields : union(owner.fields, known.fields);
    owners.set(ancientId, { ...ancient, time: owner.time, fields });
    excess--;
  }
}

const blanks = new WeakMap<SchemaNode, JsonObject>();

/** What the Go type of a built-in kind writes even when nothing has been put into it: it is nobody's. */
function blankObject(kind: OwnedKind, apiVersion: string): JsonObject {
  const node = kind.versions.find(({ version }) => apiVersion.endsWith(version))?.schema.node;
  if (kind.custom || node === undefined) return {};
  let blank = blanks.get(node);
  if (blank === undefined) {
    const object = emptyObject({ apiVersion, kind: kind.kind } as KubeObject);
    typed(node)(object);
    blank = object;
    blanks.set(node, blank);
  }
  return blank;
}
