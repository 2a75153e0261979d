/** What has to be true of the stored object before a write may change it. */
import type { KubeObject } from '../object.ts';
import { alreadyExists, type Cause, conflict, invalid, outdated, StatusError } from '../status.ts';
import type { Kind } from './kind.ts';
import { parseVersion } from './options.ts';

/** Throws what an update gets that was meant for another object of that name. That of a patch is found by validation. */
export function requireSameObject(kind: Kind, { metadata }: KubeObject, old: KubeObject): void {
  const { name, uid, namespace } = old.metadata;
  if ((metadata.uid ?? '') === '' || metadata.uid === uid) return;
  const key = `/registry/${kind.plural}/${kind.namespaced ? `${namespace}/` : ''}${name}`;
  const failed = `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${uid}`;
  const why = `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${failed}`;
  throw conflict(kind, name, why);
}

/** Throws what an update gets that was meant for another state of the object: 409; 500 for a version that is none. */
export function requireSameVersion(kind: Kind, { metadata }: KubeObject, old: KubeObject): void {
  const { name, resourceVersion } = old.metadata;
  const given = parseVersion(metadata.resourceVersion ?? '', (why) => new StatusError(500, '', why));
  if (given === 0 && (kind.custom || kind.updatesNeedVersion === true)) {
    const message = 'Invalid value: 0: must be specified for an update';
    const cause: Cause = { reason: 'FieldValueInvalid', field: 'metadata.resourceVersion', message };
    throw invalid({ group: kind.group, kind: kind.plural }, name, [cause]);
  }
  if (given !== 0 && String(given) !== resourceVersion) throw outdated(kind, name);
}

/** What a create gets whose name is taken. One that is on its way out still has its name. */
export function nameTaken(kind: Kind, { metadata }: KubeObject): StatusError {
  const refusal = alreadyExists(kind, metadata.name);
  if (metadata.deletionTimestamp === undefined) return refusal;
  return new StatusError(refusal.code, refusal.reason, `object is being deleted: ${refusal.message}`, refusal.details);
}
