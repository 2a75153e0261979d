/** PersistentVolumeClaims. https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/ */
import { isDeepStrictEqual } from 'node:util';
import type { Kind } from '../api/kind.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { list, listByKey, map, text } from '../schema/node.ts';
import type { Cause } from '../status.ts';
import { builtin } from './builtin.ts';
import { immutable, invalidValue, notAllowed, notSupported, required } from './causes.ts';
import { ageColumn, column } from './columns.ts';
import { difference } from './difference.ts';
import { dnsSubdomain, formatted } from './formats.ts';
import { protect } from './protection.ts';
import { parseQuantity } from './quantity.ts';
import { isObject, objectIn, textIn, textsIn } from './reading.ts';
import { persistentVolumeClaimSpec } from './shapes/volumes.ts';
import { always, optional, quantity, struct, time } from './typed.ts';

const persistentVolumeClaimCondition = struct(
  'PersistentVolumeClaimCondition',
  {
    type: always(text()),
    status: always(text()),
    lastProbeTime: always(time()),
    lastTransitionTime: always(time()),
    reason: text(),
    message: text(),
  },
  { required: ['type', 'status'] },
);

const modifyVolumeStatus = struct(
  'ModifyVolumeStatus',
  { targetVolumeAttributesClassName: text(), status: always(text()) },
  { required: ['status'] },
);

const persistentVolumeClaimStatus = struct('PersistentVolumeClaimStatus', {
  phase: text(),
  accessModes: list(text()),
  capacity: map(quantity()),
  conditions: listByKey(persistentVolumeClaimCondition, ['type']),
  allocatedResources: map(quantity()),
  allocatedResourceStatuses: map(text(), { 'x-kubernetes-map-type': 'granular' }),
  currentVolumeAttributesClassName: optional(text()),
  modifyVolumeStatus,
});

/** Short names of access modes, as kubectl shows them. */
const modes: ReadonlyMap<string, string> = new Map([
  ['ReadWriteOnce', 'RWO'],
  ['ReadOnlyMany', 'ROX'],
  ['ReadWriteMany', 'RWX'],
  ['ReadWriteOncePod', 'RWOP'],
]);

/** `persistentvolumeclaims`. Binding them, and letting them go, is up to whoever has the storage. */
export function claimKind(): Kind {
  return builtin({
    group: '',
    version: 'v1',
    kind: 'PersistentVolumeClaim',
    plural: 'persistentvolumeclaims',
    shortNames: ['pvc'],
    namespaced: true,
    deletesAnswerObject: true,
    fields: { spec: always(persistentVolumeClaimSpec), status: always(persistentVolumeClaimStatus) },
    defaults(claim) {
      const spec = objectIn(claim.spec);
      spec.volumeMode ??= 'Filesystem';
      const status = objectIn(claim.status);
      status.phase ??= 'Pending';
    },
    statusSubresource: true,
    columns: [
      column('Status', 'Pending, Bound or Lost, or Terminating while it goes', ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined ? textIn(objectIn(status).phase) : 'Terminating',
      ),
      column('Volume', 'The volume it is bound to', ({ spec }) => textIn(objectIn(spec).volumeName)),
      column('Capacity', 'What that volume holds', (claim) =>
        bound(claim, ({ capacity }) => textIn(objectIn(capacity).storage) || '0'),
      ),
      column('Access Modes', 'How it can be mounted', (claim) =>
        bound(claim, ({ accessModes }) => shortModes(accessModes)),
      ),
      column('StorageClass', 'The class of storage asked for', ({ spec }) => textIn(objectIn(spec).storageClassName)),
      column('VolumeAttributesClass', 'The class of attributes asked for', ({ spec }) =>
        typeof objectIn(spec).volumeAttributesClassName === 'string'
          ? textIn(objectIn(spec).volumeAttributesClassName)
          : '<unset>',
      ),
      ageColumn,
      column('VolumeMode', 'Filesystem or Block', ({ spec }) => textIn(objectIn(spec).volumeMode) || '<unset>', {
        wide: true,
      }),
    ],
    strategy: {
      prepareForCreate(claim) {
        dropUnknownSource(objectIn(claim.spec));
        claim.status = { phase: 'Pending' };
      },
      mutate(claim, old) {
        if (old === undefined) protect(claim);
      },
      prepareForUpdate(claim, old) {
        dropUnknownSource(objectIn(claim.spec));
        if (old.status !== undefined) claim.status = structuredClone(old.status);
      },
      validate(claim, old, subresource) {
        if (old === undefined) return specCauses(claim);
        return subresource === 'status' ? [] : [...specCauses(claim), ...updateCauses(claim, old)];
      },
      fields: ({ metadata }) => ({ name: metadata.name }),
    },
  });
}

function bound(claim: KubeObject, cell: (status: JsonObject) => string): string {
  return textIn(objectIn(claim.spec).volumeName) === '' ? '' : cell(objectIn(claim.status));
}

function shortModes(accessModes: JsonObject[string]): string {
  const present = textsIn(accessModes);
  return [...modes]
    .filter(([mode]) => present.includes(mode))
    .map(([, short]) => short)
    .join(',');
}

/** What a volume is filled from is named in two ways, which say the same; the older one knows two kinds only. */
function dropUnknownSource(spec: JsonObject): void {
  const { kind, apiGroup } = objectIn(spec.dataSource);
  const isClaim = kind === 'PersistentVolumeClaim' && textIn(apiGroup) === '';
  const isSnapshot = kind === 'VolumeSnapshot' && apiGroup === 'snapshot.storage.k8s.io';
  if (spec.dataSourceRef === undefined && !isClaim && !isSnapshot) delete spec.dataSource;
  mirrorSources(spec);
}

function mirrorSources(spec: JsonObject): void {
  const { dataSource, dataSourceRef } = spec;
  if (isObject(dataSource) && dataSourceRef === undefined) spec.dataSourceRef = structuredClone(dataSource);
  if (isObject(dataSourceRef) && dataSource === undefined && textIn(dataSourceRef.namespace) === '') {
    spec.dataSource = structuredClone(dataSourceRef);
  }
}

function specCauses(claim: KubeObject): Cause[] {
  const spec = objectIn(claim.spec);
  const accessModes = textsIn(spec.accessModes);
  const supported = [...modes.keys()].sort();
  const causes: Cause[] = [];
  if (accessModes.length === 0) causes.push(required('spec.accessModes', 'at least 1 access mode is required'));
  for (const mode of accessModes) {
    if (!supported.includes(mode)) causes.push(notSupported('spec.accessModes', mode, supported));
  }
  const others = accessModes.filter((mode) => mode !== 'ReadWriteOncePod' && supported.includes(mode));
  if (accessModes.includes('ReadWriteOncePod') && others.length > 0) {
    causes.push(notAllowed('spec.accessModes', 'may not use ReadWriteOncePod with other access modes'));
  }
  const size = objectIn(objectIn(spec.resources).requests).storage;
  if (size === undefined) causes.push(required('spec.resources[storage]'));
  else if ((parseQuantity(textIn(size))?.nanos ?? 0n) <= 0n) {
    causes.push(invalidValue('spec.resources[storage]', size, 'must be greater than zero'));
  }
  for (const field of ['storageClassName', 'volumeAttributesClassName']) {
    const name = textIn(spec[field]);
    if (name !== '') causes.push(...formatted(`spec.${field}`, name, dnsSubdomain));
  }
  const volumeModes = ['Block', 'Filesystem'];
  if (!volumeModes.includes(textIn(spec.volumeMode))) {
    causes.push(notSupported('spec.volumeMode', textIn(spec.volumeMode), volumeModes));
  }
  return causes;
}

function updateCauses(claim: KubeObject, old: KubeObject): Cause[] {
  const [spec, oldSpec] = [objectIn(claim.spec), objectIn(old.spec)];
  const rest = structuredClone(spec);
  const causes: Cause[] = [];
  // A claim is given its volume once; a class may be given to one that has none.
  if (textIn(oldSpec.volumeName) === '') put(rest, 'volumeName', oldSpec.volumeName);
  if (oldSpec.storageClassName === undefined) put(rest, 'storageClassName', undefined);
  if (objectIn(claim.status).phase === 'Bound') {
    const requests = objectIn(objectIn(rest.resources).requests);
    put(requests, 'storage', objectIn(objectIn(oldSpec.resources).requests).storage);
    put(rest, 'volumeAttributesClassName', oldSpec.volumeAttributesClassName);
  }
  if (!isDeepStrictEqual(rest, oldSpec)) {
    const why =
      'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';
    causes.push(notAllowed('spec', `${why}\n${difference(inGo(oldSpec), inGo(rest))}`));
  }
  const [size, oldSize, capacity] = [
    storageIn(spec),
    storageIn(oldSpec),
    objectIn(objectIn(old.status).capacity).storage,
  ];
  if (size < oldSize && size <= (parseQuantity(textIn(capacity))?.nanos ?? 0n)) {
    causes.push(notAllowed('spec.resources.requests.storage', 'field can not be less than status.capacity'));
  }
  if (spec.volumeMode !== oldSpec.volumeMode) causes.push(immutable('volumeMode', spec.volumeMode));
  return causes;
}

/** A specification as the server's own struct has it, every field in its order: so it is shown in refusals. */
function inGo(spec: JsonObject): JsonObject {
  const { limits = null, requests = null } = objectIn(spec.resources);
  return {
    AccessModes: spec.accessModes ?? null,
    Selector: spec.selector ?? null,
    Resources: { Limits: limits, Requests: requests },
    VolumeName: textIn(spec.volumeName),
    StorageClassName: spec.storageClassName ?? null,
    VolumeMode: spec.volumeMode ?? null,
    DataSource: spec.dataSource ?? null,
    DataSourceRef: spec.dataSourceRef ?? null,
    VolumeAttributesClassName: spec.volumeAttributesClassName ?? null,
  };
}

function storageIn(spec: JsonObject): bigint {
  return parseQuantity(textIn(objectIn(objectIn(spec.resources).requests).storage))?.nanos ?? 0n;
}

function put(object: JsonObject, field: string, value: JsonObject[string]): void {
  if (value === undefined) delete object[field];
  else object[field] = value;
}
