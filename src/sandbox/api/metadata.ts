/**
 * What holds for the metadata of every kind: which names, labels and owners are possible, and what an update may not touch.
 * https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#metadata
 */
import { immutable, invalidValue, notAllowed, required, tooLong } from '../core/causes.ts';
import { dnsSubdomain, formatted, labelValue, qualifiedName } from '../core/formats.ts';
import { groupVersionOf, type Json, type ObjectMeta, type OwnerReference } from '../object.ts';
import type { Cause } from '../status.ts';
import type { Kind } from './kind.ts';

/** All annotations of an object together. */
const MAX_ANNOTATION_BYTES = 256 * 1024;

/** Everything wrong with the metadata of a new object. */
export function checkMetadata(metadata: ObjectMeta, kind: Kind): Cause[] {
  return [...checkNames(metadata, kind), ...checkRest(metadata, kind)];
}

/** Everything wrong with metadata that replaces `old`. */
export function checkMetadataUpdate(metadata: ObjectMeta, old: ObjectMeta, kind: Kind): Cause[] {
  // The server looks at these several times over, in general and for the kind, and names what it finds as often.
  const found = checkRest(metadata, kind);
  const often = kind.custom ? [found, found, found] : [found, found, found, found];
  const changes = [...checkNewFinalizers(metadata, old), ...checkFixed(metadata, old)];
  return [...often.flat(), ...changes, ...changes];
}

/**
 * Takes over from `old` what the server keeps to itself, in place: an update that leaves it out, or gives another time of
 * creation or generation, is meant for the object as it is. What is given and differs is left for `checkMetadataUpdate`.
 */
export function keepSystemFields(metadata: ObjectMeta, old: ObjectMeta): void {
  metadata.uid = absent(metadata.uid) ? old.uid : metadata.uid;
  metadata.creationTimestamp = old.creationTimestamp;
  if (old.generation === undefined) delete metadata.generation;
  else metadata.generation = old.generation;
  metadata.deletionTimestamp ??= old.deletionTimestamp;
  metadata.deletionGracePeriodSeconds ??= old.deletionGracePeriodSeconds;
}

/** Puts the fields of metadata into the order in which the server writes them, and leaves out those that are empty. */
export function inOrder(metadata: ObjectMeta): ObjectMeta {
  const ordered: { [field: string]: Json | undefined } = {};
  const given = metadata as { [field: string]: Json | undefined };
  for (const field of FIELDS) {
    const value = given[field];
    if (value !== undefined && !isEmpty(value)) ordered[field] = value;
  }
  return ordered as ObjectMeta; // the same fields with the same values
}

const FIELDS: readonly (keyof ObjectMeta)[] = [
  'name',
  'generateName',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
  'managedFields',
];

function isEmpty(value: Json): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (value !== null && typeof value === 'object') return Object.keys(value).length === 0;
  return value === '' || value === null;
}

function absent(text: string | undefined): boolean {
  return text === undefined || text === '';
}

function checkNames({ name, generateName = '' }: ObjectMeta, { strategy }: Kind): Cause[] {
  const format = (text: string) => strategy.names?.(text) ?? dnsSubdomain(text);
  const causes: Cause[] = [];
  if (generateName !== '') {
    // What is appended makes up for a dash, or any other last letter that could not stand at the end.
    const prefix = generateName.length > 1 ? generateName.replace(/-$/, 'a') : generateName;
    for (const wrong of format(prefix)) causes.push(invalidValue('metadata.generateName', generateName, wrong));
  }
  if (absent(name)) causes.push(required('metadata.name', 'name or generateName is required'));
  else causes.push(...formatted('metadata.name', name, format));
  return causes;
}

function checkRest(metadata: ObjectMeta, kind: Kind): Cause[] {
  const { generation = 0, labels, annotations, ownerReferences = [], finalizers = [] } = metadata;
  const causes: Cause[] = [];
  if (generation < 0)
    causes.push(invalidValue('metadata.generation', generation, 'must be greater than or equal to 0'));
  for (const [key, value] of Object.entries(labels ?? {})) {
    causes.push(...formatted('metadata.labels', key, qualifiedName));
    causes.push(...formatted('metadata.labels', value, labelValue));
  }
  causes.push(...checkAnnotations(annotations ?? {}));
  causes.push(...checkOwners(ownerReferences));
  causes.push(...checkFinalizers(finalizers, kind));
  return causes;
}

function checkAnnotations(annotations: { readonly [key: string]: string }): Cause[] {
  const causes: Cause[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(annotations)) {
    for (const wrong of qualifiedName(key.toLowerCase())) {
      causes.push(invalidValue('metadata.annotations', key, wrong));
    }
    size += key.length + value.length;
  }
  if (size > MAX_ANNOTATION_BYTES) causes.push(tooLong('metadata.annotations', MAX_ANNOTATION_BYTES));
  return causes;
}

function checkOwners(owners: readonly OwnerReference[]): Cause[] {
  const at = 'metadata.ownerReferences';
  const causes: Cause[] = [];
  const controllers: OwnerReference[] = [];
  for (const owner of owners) {
    const { apiVersion = '', kind = '', name = '', uid = '' } = owner;
    const { version } = groupVersionOf(apiVersion);
    if (version === '' || version.includes('/')) {
      causes.push(invalidValue(`${at}.apiVersion`, apiVersion, 'version must not be empty'));
    }
    if (kind === '') causes.push(invalidValue(`${at}.kind`, kind, 'must not be empty'));
    if (name === '') causes.push(invalidValue(`${at}.name`, name, 'must not be empty'));
    if (uid === '') causes.push(invalidValue(`${at}.uid`, uid, 'must not be empty'));
    if (apiVersion === 'v1' && kind === 'Event') {
      causes.push(invalidValue(at, owner, '/v1, Kind=Event is disallowed from being an owner'));
    }
    if (owner.controller === true) controllers.push(owner);
  }
  const [first, second] = controllers;
  if (first !== undefined && second !== undefined) {
    const both = `${first.kind}/${first.name} and ${second.kind}/${second.name}`;
    const why = `Only one reference can have Controller set to true. Found "true" in references for ${both}`;
    causes.push(invalidValue(at, [...owners], why));
  }
  return causes;
}

const STANDARD_FINALIZERS: ReadonlySet<string> = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

/** Whether a finalizer says whose it is; for kinds from CRDs one that does not is only warned about. */
export function isQualifiedFinalizer(finalizer: string): boolean {
  return finalizer.includes('/') || STANDARD_FINALIZERS.has(finalizer);
}

function checkFinalizers(finalizers: readonly string[], { custom, group }: Kind): Cause[] {
  const at = 'metadata.finalizers';
  const causes = finalizers.flatMap((finalizer) => formatted(at, finalizer, qualifiedName));
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    causes.push(invalidValue(at, [...finalizers], 'finalizer orphan and foregroundDeletion cannot be both set'));
  }
  // Definitions are not of the core: they take a finalizer without an owner, and have one.
  if (custom || group === 'apiextensions.k8s.io') return causes;
  for (const [place, finalizer] of finalizers.entries()) {
    if (isQualifiedFinalizer(finalizer)) continue;
    const why = 'name is neither a standard finalizer name nor is it fully qualified';
    causes.push(invalidValue(`${at}[${place}]`, finalizer, why));
  }
  return causes;
}

function checkNewFinalizers({ finalizers = [] }: ObjectMeta, old: ObjectMeta): Cause[] {
  if (old.deletionTimestamp === undefined) return [];
  const added = finalizers.filter((finalizer) => !old.finalizers?.includes(finalizer));
  if (added.length === 0) return [];
  const listed = added.map((finalizer) => JSON.stringify(finalizer)).join(', ');
  const why = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${listed}}`;
  return [notAllowed('metadata.finalizers', why)];
}

function checkFixed(metadata: ObjectMeta, old: ObjectMeta): Cause[] {
  const fixed = ['uid', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const;
  return fixed
    .filter((field) => metadata[field] !== old[field])
    .map((field) => immutable(`metadata.${field}`, metadata[field]));
}
