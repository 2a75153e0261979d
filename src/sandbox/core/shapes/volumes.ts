/** Volumes: every source that a pod can name, and the specification of a claim. */
import { metadataNode } from '../../schema/metadata.ts';
import { flag, int32, int64, list, map, text } from '../../schema/node.ts';
import { always, optional, orNull, quantity, struct } from '../typed.ts';
import { objectFieldSelector, resourceFieldSelector } from './container.ts';
import { labelSelector, localObjectReference, typedLocalObjectReference, typedObjectReference } from './meta.ts';

const awsElasticBlockStoreVolumeSource = struct(
  'AWSElasticBlockStoreVolumeSource',
  { fsType: text(), partition: int32(), readOnly: flag(), volumeID: always(text()) },
  { required: ['volumeID'] },
);

const azureDiskVolumeSource = struct(
  'AzureDiskVolumeSource',
  {
    cachingMode: optional(text({ default: 'ReadWrite' })),
    diskName: always(text()),
    diskURI: always(text()),
    fsType: optional(text({ default: 'ext4' })),
    kind: optional(text({ default: 'Shared' })),
    readOnly: optional(flag()),
  },
  { required: ['diskName', 'diskURI'] },
);

const azureFileVolumeSource = struct(
  'AzureFileVolumeSource',
  { readOnly: flag(), secretName: always(text()), shareName: always(text()) },
  { required: ['secretName', 'shareName'] },
);

const cephFSVolumeSource = struct(
  'CephFSVolumeSource',
  {
    monitors: always(list(text())),
    path: text(),
    readOnly: flag(),
    secretFile: text(),
    secretRef: localObjectReference,
    user: text(),
  },
  { required: ['monitors'] },
);

const cinderVolumeSource = struct(
  'CinderVolumeSource',
  { fsType: text(), readOnly: flag(), secretRef: localObjectReference, volumeID: always(text()) },
  { required: ['volumeID'] },
);

const keyToPath = struct(
  'KeyToPath',
  { key: always(text()), mode: optional(int32()), path: always(text()) },
  { required: ['key', 'path'] },
);

const configMapVolumeSource = struct('ConfigMapVolumeSource', {
  defaultMode: optional(int32()),
  items: list(keyToPath),
  name: text(),
  optional: optional(flag()),
});

const csiVolumeSource = struct(
  'CSIVolumeSource',
  {
    driver: always(text()),
    fsType: optional(text()),
    nodePublishSecretRef: localObjectReference,
    readOnly: optional(flag()),
    volumeAttributes: map(text()),
  },
  { required: ['driver'] },
);

const downwardAPIVolumeFile = struct(
  'DownwardAPIVolumeFile',
  {
    fieldRef: objectFieldSelector,
    mode: optional(int32()),
    path: always(text()),
    resourceFieldRef: resourceFieldSelector,
  },
  { required: ['path'] },
);

const downwardAPIVolumeSource = struct('DownwardAPIVolumeSource', {
  defaultMode: optional(int32()),
  items: list(downwardAPIVolumeFile),
});

const emptyDirVolumeSource = struct('EmptyDirVolumeSource', { medium: text(), sizeLimit: optional(quantity()) });

const volumeResourceRequirements = struct('VolumeResourceRequirements', {
  limits: map(quantity()),
  requests: map(quantity()),
});

/** `spec` of a PersistentVolumeClaim, and of the template of an ephemeral volume. */
export const persistentVolumeClaimSpec = struct('PersistentVolumeClaimSpec', {
  accessModes: list(text()),
  dataSource: typedLocalObjectReference,
  dataSourceRef: typedObjectReference,
  resources: always(volumeResourceRequirements),
  selector: labelSelector,
  storageClassName: optional(text()),
  volumeAttributesClassName: optional(text()),
  volumeMode: optional(text()),
  volumeName: text(),
});

const persistentVolumeClaimTemplate = struct(
  'PersistentVolumeClaimTemplate',
  { metadata: always(metadataNode), spec: always(persistentVolumeClaimSpec) },
  { required: ['spec'] },
);

const ephemeralVolumeSource = struct('EphemeralVolumeSource', { volumeClaimTemplate: persistentVolumeClaimTemplate });

const fcVolumeSource = struct('FCVolumeSource', {
  fsType: text(),
  lun: optional(int32()),
  readOnly: flag(),
  targetWWNs: list(text()),
  wwids: list(text()),
});

const flexVolumeSource = struct(
  'FlexVolumeSource',
  { driver: always(text()), fsType: text(), options: map(text()), readOnly: flag(), secretRef: localObjectReference },
  { required: ['driver'] },
);

const flockerVolumeSource = struct('FlockerVolumeSource', { datasetName: text(), datasetUUID: text() });

const gcePersistentDiskVolumeSource = struct(
  'GCEPersistentDiskVolumeSource',
  { fsType: text(), partition: int32(), pdName: always(text()), readOnly: flag() },
  { required: ['pdName'] },
);

const gitRepoVolumeSource = struct(
  'GitRepoVolumeSource',
  { directory: text(), repository: always(text()), revision: text() },
  { required: ['repository'] },
);

const glusterfsVolumeSource = struct(
  'GlusterfsVolumeSource',
  { endpoints: always(text()), path: always(text()), readOnly: flag() },
  { required: ['endpoints', 'path'] },
);

const hostPathVolumeSource = struct(
  'HostPathVolumeSource',
  { path: always(text()), type: optional(text()) },
  { required: ['path'] },
);

const imageVolumeSource = struct('ImageVolumeSource', { pullPolicy: text(), reference: text() });

const iscsiVolumeSource = struct(
  'ISCSIVolumeSource',
  {
    chapAuthDiscovery: flag(),
    chapAuthSession: flag(),
    fsType: text(),
    initiatorName: optional(text()),
    iqn: always(text()),
    iscsiInterface: text({ default: 'default' }),
    lun: always(int32()),
    portals: list(text()),
    readOnly: flag(),
    secretRef: localObjectReference,
    targetPortal: always(text()),
  },
  { required: ['targetPortal', 'iqn', 'lun'] },
);

const nfsVolumeSource = struct(
  'NFSVolumeSource',
  { path: always(text()), readOnly: flag(), server: always(text()) },
  { required: ['server', 'path'] },
);

const persistentVolumeClaimVolumeSource = struct(
  'PersistentVolumeClaimVolumeSource',
  { claimName: always(text()), readOnly: flag() },
  { required: ['claimName'] },
);

const photonPersistentDiskVolumeSource = struct(
  'PhotonPersistentDiskVolumeSource',
  { fsType: text(), pdID: always(text()) },
  { required: ['pdID'] },
);

const portworxVolumeSource = struct(
  'PortworxVolumeSource',
  { fsType: text(), readOnly: flag(), volumeID: always(text()) },
  { required: ['volumeID'] },
);

const clusterTrustBundleProjection = struct(
  'ClusterTrustBundleProjection',
  {
    labelSelector,
    name: optional(text()),
    optional: optional(flag()),
    path: always(text()),
    signerName: optional(text()),
  },
  { required: ['path'] },
);

const configMapProjection = struct('ConfigMapProjection', {
  items: list(keyToPath),
  name: text(),
  optional: optional(flag()),
});

const downwardAPIProjection = struct('DownwardAPIProjection', { items: list(downwardAPIVolumeFile) });

const podCertificateProjection = struct(
  'PodCertificateProjection',
  {
    certificateChainPath: text(),
    credentialBundlePath: text(),
    keyPath: text(),
    keyType: text(),
    maxExpirationSeconds: optional(int32()),
    signerName: text(),
  },
  { required: ['signerName', 'keyType'] },
);

const secretProjection = struct('SecretProjection', {
  items: list(keyToPath),
  name: text(),
  optional: optional(flag()),
});

const serviceAccountTokenProjection = struct(
  'ServiceAccountTokenProjection',
  { audience: text(), expirationSeconds: optional(int64()), path: always(text()) },
  { required: ['path'] },
);

const volumeProjection = struct('VolumeProjection', {
  clusterTrustBundle: clusterTrustBundleProjection,
  configMap: configMapProjection,
  downwardAPI: downwardAPIProjection,
  podCertificate: podCertificateProjection,
  secret: secretProjection,
  serviceAccountToken: serviceAccountTokenProjection,
});

const projectedVolumeSource = struct('ProjectedVolumeSource', {
  defaultMode: optional(int32()),
  sources: always(list(volumeProjection)),
});

const quobyteVolumeSource = struct(
  'QuobyteVolumeSource',
  { group: text(), readOnly: flag(), registry: always(text()), tenant: text(), user: text(), volume: always(text()) },
  { required: ['registry', 'volume'] },
);

const rbdVolumeSource = struct(
  'RBDVolumeSource',
  {
    fsType: text(),
    image: always(text()),
    keyring: text({ default: '/etc/ceph/keyring' }),
    monitors: always(list(text())),
    pool: text({ default: 'rbd' }),
    readOnly: flag(),
    secretRef: localObjectReference,
    user: text({ default: 'admin' }),
  },
  { required: ['monitors', 'image'] },
);

const scaleIOVolumeSource = struct(
  'ScaleIOVolumeSource',
  {
    fsType: text({ default: 'xfs' }),
    gateway: always(text()),
    protectionDomain: text(),
    readOnly: flag(),
    secretRef: orNull(localObjectReference),
    sslEnabled: flag(),
    storageMode: text({ default: 'ThinProvisioned' }),
    storagePool: text(),
    system: always(text()),
    volumeName: text(),
  },
  { required: ['gateway', 'system', 'secretRef'] },
);

const secretVolumeSource = struct('SecretVolumeSource', {
  defaultMode: optional(int32()),
  items: list(keyToPath),
  optional: optional(flag()),
  secretName: text(),
});

const storageOSVolumeSource = struct('StorageOSVolumeSource', {
  fsType: text(),
  readOnly: flag(),
  secretRef: localObjectReference,
  volumeName: text(),
  volumeNamespace: text(),
});

const vsphereVirtualDiskVolumeSource = struct(
  'VsphereVirtualDiskVolumeSource',
  { fsType: text(), storagePolicyID: text(), storagePolicyName: text(), volumePath: always(text()) },
  { required: ['volumePath'] },
);

/** A volume of a pod. */
export const volume = struct(
  'Volume',
  {
    awsElasticBlockStore: awsElasticBlockStoreVolumeSource,
    azureDisk: azureDiskVolumeSource,
    azureFile: azureFileVolumeSource,
    cephfs: cephFSVolumeSource,
    cinder: cinderVolumeSource,
    configMap: configMapVolumeSource,
    csi: csiVolumeSource,
    downwardAPI: downwardAPIVolumeSource,
    emptyDir: emptyDirVolumeSource,
    ephemeral: ephemeralVolumeSource,
    fc: fcVolumeSource,
    flexVolume: flexVolumeSource,
    flocker: flockerVolumeSource,
    gcePersistentDisk: gcePersistentDiskVolumeSource,
    gitRepo: gitRepoVolumeSource,
    glusterfs: glusterfsVolumeSource,
    hostPath: hostPathVolumeSource,
    image: imageVolumeSource,
    iscsi: iscsiVolumeSource,
    name: always(text()),
    nfs: nfsVolumeSource,
    persistentVolumeClaim: persistentVolumeClaimVolumeSource,
    photonPersistentDisk: photonPersistentDiskVolumeSource,
    portworxVolume: portworxVolumeSource,
    projected: projectedVolumeSource,
    quobyte: quobyteVolumeSource,
    rbd: rbdVolumeSource,
    scaleIO: scaleIOVolumeSource,
    secret: secretVolumeSource,
    storageos: storageOSVolumeSource,
    vsphereVolume: vsphereVirtualDiskVolumeSource,
  },
  { required: ['name'] },
);
