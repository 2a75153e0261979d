/**
 * Flux's kinds as CustomResourceDefinitions, in the versions that Flux 2.6 and 2.7 served, so that whoever reads the older
 * ones is met as well. Sources and images have all of their documented fields; of the kinds that nothing here moves
 * (Kustomization, HelmRelease, notifications) the main fields are described and the others are kept as they are.
 * https://fluxcd.io/flux/components/
 */
import type { NewObject } from '../api/client.ts';
import {
  anyObject,
  anything,
  type Facets,
  flag,
  int64,
  integer,
  list,
  map,
  object,
  type SchemaNode,
  text,
  time,
} from '../schema/node.ts';
import { type CustomKind, customResource, type PrinterColumn } from './crd.ts';

/** The CustomResourceDefinitions of Flux. A new list with every call. */
export function fluxCrds(): NewObject[] {
  return fluxKinds.map(customResource);
}

/** How often something is looked at, `1h30m`. */
const interval = text({ pattern: '^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$' });
/** How long something may take; hours are too long. */
const timeout = (facets: Facets = {}): SchemaNode => text({ pattern: '^([0-9]+(\\.[0-9]+)?(ms|s|m))+$', ...facets });
const named = object({ name: text() }, { required: ['name'] });
const texts = list(text());

const conditions = list(
  object(
    {
      lastTransitionTime: time(),
      message: text({ maxLength: 32768 }),
      observedGeneration: int64({ minimum: 0 }),
      reason: text({ maxLength: 1024, minLength: 1, pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$' }),
      status: text({ enum: ['True', 'False', 'Unknown'] }),
      type: text({
        maxLength: 316,
        pattern:
          '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$',
      }),
    },
    { required: ['lastTransitionTime', 'message', 'reason', 'status', 'type'] },
  ),
);

/** A status as Flux begins it: nothing has been looked at. */
const statusOf = (fields: { readonly [name: string]: SchemaNode }): SchemaNode =>
  object(
    { conditions, lastHandledReconcileAt: text(), observedGeneration: int64(), ...fields },
    { default: { observedGeneration: -1 } },
  );

const ready = (field: string): string => `.status.conditions[?(@.type=="Ready")].${field}`;
const age: PrinterColumn = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };
const readyColumns: readonly PrinterColumn[] = [
  { name: 'Ready', type: 'string', jsonPath: ready('status') },
  { name: 'Status', type: 'string', jsonPath: ready('message') },
];

// Sources

const artifact = object(
  {
    digest: text({ pattern: '^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$' }),
    lastUpdateTime: time(),
    metadata: map(text()),
    path: text(),
    revision: text(),
    size: int64(),
    url: text(),
  },
  { required: ['digest', 'lastUpdateTime', 'path', 'revision', 'url'] },
);
const accessFrom = object(
  { namespaceSelectors: list(object({ matchLabels: map(text()) })) },
  { required: ['namespaceSelectors'] },
);
const includes = list(object({ fromPath: text(), repository: named, toPath: text() }, { required: ['repository'] }));

const gitFields = {
  ignore: text(),
  include: includes,
  interval,
  recurseSubmodules: flag(),
  ref: object({ branch: text(), commit: text(), name: text(), semver: text(), tag: text() }),
  secretRef: named,
  suspend: flag(),
  timeout: timeout({ default: '60s' }),
  // Flux takes the first three only; a repository on this machine is what the sandbox can read.
  url: text({ pattern: '^((http|https|ssh|file)://.*|/.*)$' }),
};
const gitSpec = object(
  {
    ...gitFields,
    provider: text({ enum: ['generic', 'azure', 'github'] }),
    proxySecretRef: named,
    serviceAccountName: text(),
    sparseCheckout: texts,
    verify: object(
      { mode: text({ default: 'HEAD', enum: ['head', 'HEAD', 'Tag', 'TagAndHEAD'] }), secretRef: named },
      { required: ['secretRef'] },
    ),
  },
  {
    required: ['interval', 'url'],
    'x-kubernetes-validations': [
      {
        message: "serviceAccountName can only be set when provider is 'azure'",
        rule: "!has(self.serviceAccountName) || (has(self.provider) && self.provider == 'azure')",
      },
    ],
  },
);
const olderGitSpec = object(
  {
    ...gitFields,
    accessFrom,
    gitImplementation: text({ default: 'go-git', enum: ['go-git', 'libgit2'] }),
    verify: object({ mode: text({ enum: ['head'] }), secretRef: named }, { required: ['mode', 'secretRef'] }),
  },
  { required: ['interval', 'url'] },
);
const gitStatus = {
  artifact,
  includedArtifacts: list(artifact),
  observedIgnore: text(),
  observedInclude: includes,
  observedRecurseSubmodules: flag(),
};

const layerSelector = object({ mediaType: text(), operation: text({ enum: ['extract', 'copy'] }) });
const ociSpec = object(
  {
    certSecretRef: named,
    ignore: text(),
    insecure: flag(),
    interval,
    layerSelector,
    provider: text({ default: 'generic', enum: ['generic', 'aws', 'azure', 'gcp'] }),
    proxySecretRef: named,
    ref: object({ digest: text(), semver: text(), semverFilter: text(), tag: text() }),
    secretRef: named,
    serviceAccountName: text(),
    suspend: flag(),
    timeout: timeout({ default: '60s' }),
    url: text({ pattern: '^oci://.*$' }),
    verify: object(
      {
        matchOIDCIdentity: list(object({ issuer: text(), subject: text() }, { required: ['issuer', 'subject'] })),
        provider: text({ default: 'cosign', enum: ['cosign', 'notation'] }),
        secretRef: named,
      },
      { required: ['provider'] },
    ),
  },
  { required: ['interval', 'url'] },
);
const ociStatus = { artifact, observedIgnore: text(), observedLayerSelector: layerSelector, url: text() };

const bucketFields = {
  bucketName: text(),
  certSecretRef: named,
  endpoint: text(),
  ignore: text(),
  insecure: flag(),
  interval,
  prefix: text(),
  provider: text({ default: 'generic', enum: ['generic', 'aws', 'gcp', 'azure'] }),
  proxySecretRef: named,
  region: text(),
  secretRef: named,
  sts: object(
    {
      certSecretRef: named,
      endpoint: text({ pattern: '^(http|https)://.*$' }),
      provider: text({ enum: ['aws', 'ldap'] }),
      secretRef: named,
    },
    { required: ['endpoint', 'provider'] },
  ),
  suspend: flag(),
  timeout: timeout({ default: '60s' }),
};
const bucketRules = [
  {
    message: "STS configuration is only supported for the 'aws' and 'generic' Bucket providers",
    rule: "self.provider == 'aws' || self.provider == 'generic' || !has(self.sts)",
  },
  {
    message: "'aws' is the only supported STS provider for the 'aws' Bucket provider",
    rule: "self.provider != 'aws' || !has(self.sts) || self.sts.provider == 'aws'",
  },
  {
    message: "'ldap' is the only supported STS provider for the 'generic' Bucket provider",
    rule: "self.provider != 'generic' || !has(self.sts) || self.sts.provider == 'ldap'",
  },
  {
    message: "spec.sts.secretRef is not required for the 'aws' STS provider",
    rule: "!has(self.sts) || self.sts.provider != 'aws' || !has(self.sts.secretRef)",
  },
  {
    message: "spec.sts.certSecretRef is not required for the 'aws' STS provider",
    rule: "!has(self.sts) || self.sts.provider != 'aws' || !has(self.sts.certSecretRef)",
  },
];
const bucketRequired = ['bucketName', 'endpoint', 'interval'];
const bucketSpec = object(
  { ...bucketFields, serviceAccountName: text() },
  {
    required: bucketRequired,
    'x-kubernetes-validations': [
      ...bucketRules,
      {
        message: "ServiceAccountName is not supported for the 'generic' Bucket provider",
        rule: "self.provider != 'generic' || !has(self.serviceAccountName)",
      },
      {
        message: 'cannot set both .spec.secretRef and .spec.serviceAccountName',
        rule: '!has(self.secretRef) || !has(self.serviceAccountName)',
      },
    ],
  },
);
const olderBucketSpec = object(
  { ...bucketFields, accessFrom },
  { required: bucketRequired, 'x-kubernetes-validations': bucketRules },
);
const bucketStatus = statusOf({ artifact, observedIgnore: text(), url: text() });

// Images

const imageRef = object({ digest: text(), name: text(), tag: text() }, { required: ['name', 'tag'] });
const order = object({ order: text({ default: 'asc', enum: ['asc', 'desc'] }) });
const imagePolicySpec = object(
  {
    digestReflectionPolicy: text({ default: 'Never', enum: ['Always', 'IfNotPresent', 'Never'] }),
    filterTags: object({ extract: text(), pattern: text() }),
    imageRepositoryRef: object({ name: text(), namespace: text() }, { required: ['name'] }),
    interval,
    policy: object({
      alphabetical: order,
      numerical: order,
      semver: object({ range: text() }, { required: ['range'] }),
    }),
    suspend: flag(),
  },
  {
    required: ['imageRepositoryRef', 'policy'],
    'x-kubernetes-validations': [
      {
        message: "spec.interval is only accepted when spec.digestReflectionPolicy is set to 'Always'",
        rule: "!has(self.interval) || (has(self.digestReflectionPolicy) && self.digestReflectionPolicy == 'Always')",
      },
      {
        message: "spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'",
        rule: "has(self.interval) || !has(self.digestReflectionPolicy) || self.digestReflectionPolicy != 'Always'",
      },
    ],
  },
);
const imageRepositorySpec = object(
  {
    accessFrom,
    certSecretRef: named,
    exclusionList: list(text(), { default: ['^.*\\.sig$'], maxItems: 25 }),
    image: text(),
    insecure: flag(),
    interval,
    provider: text({ default: 'generic', enum: ['generic', 'aws', 'azure', 'gcp'] }),
    proxySecretRef: named,
    secretRef: named,
    serviceAccountName: text({ maxLength: 253 }),
    suspend: flag(),
    timeout: timeout(),
  },
  { required: ['image', 'interval'] },
);
const imageRepositoryStatus = statusOf({
  canonicalImageName: text(),
  lastScanResult: object(
    { latestTags: texts, revision: text(), scanTime: time(), tagCount: integer() },
    { required: ['tagCount'] },
  ),
  observedExclusionList: texts,
});
const imageRepositoryColumns: readonly PrinterColumn[] = [
  { name: 'Image', type: 'string', jsonPath: '.spec.image' },
  { name: 'Tags', type: 'string', jsonPath: '.status.lastScanResult.tagCount' },
  ...readyColumns,
  { name: 'Last scan', type: 'string', jsonPath: '.status.lastScanResult.scanTime', priority: 1 },
  age,
];
const imagePolicyColumns: readonly PrinterColumn[] = [
  { name: 'Image', type: 'string', jsonPath: '.status.latestRef.name' },
  { name: 'Tag', type: 'string', jsonPath: '.status.latestRef.tag' },
  ...readyColumns,
  age,
];

// Kinds whose objects nothing in the sandbox moves

/** Fields that are not described stay what they are. */
const open: Facets = { 'x-kubernetes-preserve-unknown-fields': true };
const sourceRef = (kinds: readonly string[]): SchemaNode =>
  object(
    { apiVersion: text(), kind: text({ enum: [...kinds] }), name: text(), namespace: text() },
    { required: ['kind', 'name'] },
  );
const dependsOn = list(object({ name: text(), namespace: text(), readyExpr: text() }, { required: ['name'] }));
const inventory = object(
  { entries: list(object({ id: text(), v: text() }, { required: ['id', 'v'] })) },
  { required: ['entries'] },
);
const kustomizationSpec = object(
  {
    dependsOn,
    force: flag({ default: false }),
    interval,
    path: text(),
    prune: flag(),
    retryInterval: interval,
    serviceAccountName: text(),
    sourceRef: sourceRef(['OCIRepository', 'GitRepository', 'Bucket', 'ExternalArtifact']),
    suspend: flag(),
    targetNamespace: text({ maxLength: 63, minLength: 1 }),
    timeout: interval,
    wait: flag(),
  },
  { required: ['interval', 'prune', 'sourceRef'], ...open },
);
const kustomizationStatus = statusOf({
  history: list(anyObject()),
  inventory,
  lastAppliedOriginRevision: text(),
  lastAppliedRevision: text(),
  lastAttemptedRevision: text(),
});

const helmReleaseSpec = object(
  {
    chart: object(
      {
        spec: object(
          {
            chart: text({ maxLength: 2048, minLength: 1 }),
            interval,
            reconcileStrategy: text({ default: 'ChartVersion', enum: ['ChartVersion', 'Revision'] }),
            sourceRef: sourceRef(['HelmRepository', 'GitRepository', 'Bucket']),
            version: text({ default: '*' }),
          },
          { required: ['chart', 'sourceRef'], ...open },
        ),
      },
      { required: ['spec'], ...open },
    ),
    chartRef: sourceRef(['OCIRepository', 'HelmChart', 'ExternalArtifact']),
    dependsOn,
    interval,
    releaseName: text({ maxLength: 53, minLength: 1 }),
    serviceAccountName: text({ maxLength: 253, minLength: 1 }),
    suspend: flag(),
    targetNamespace: text({ maxLength: 63, minLength: 1 }),
    timeout: interval,
    values: anything(),
  },
  {
    required: ['interval'],
    'x-kubernetes-validations': [
      {
        message: 'either chart or chartRef must be set',
        rule: '(has(self.chart) && !has(self.chartRef)) || (!has(self.chart) && has(self.chartRef))',
      },
    ],
    ...open,
  },
);
const helmReleaseStatus = statusOf({
  failures: int64(),
  helmChart: text(),
  history: list(anyObject()),
  installFailures: int64(),
  lastAttemptedConfigDigest: text(),
  lastAttemptedGeneration: int64(),
  lastAttemptedReleaseAction: text(),
  lastAttemptedRevision: text(),
  lastAttemptedRevisionDigest: text(),
  lastHandledForceAt: text(),
  lastHandledResetAt: text(),
  observedPostRenderersDigest: text(),
  storageNamespace: text(),
  upgradeFailures: int64(),
});

const involved = object(
  {
    apiVersion: text(),
    kind: text(),
    matchLabels: map(text()),
    name: text({ maxLength: 253, minLength: 1 }),
    namespace: text({ maxLength: 253, minLength: 1 }),
  },
  { required: ['kind', 'name'] },
);
const alertSpec = object(
  {
    eventMetadata: map(text()),
    eventSeverity: text({ default: 'info', enum: ['info', 'error'] }),
    eventSources: list(involved),
    exclusionList: texts,
    inclusionList: texts,
    providerRef: named,
    summary: text({ maxLength: 255 }),
    suspend: flag(),
  },
  { required: ['eventSources', 'providerRef'] },
);
const providerSpec = object(
  {
    address: text({ maxLength: 2048 }),
    certSecretRef: named,
    channel: text({ maxLength: 2048 }),
    interval,
    proxySecretRef: named,
    secretRef: named,
    suspend: flag(),
    timeout: timeout(),
    type: text(),
    username: text({ maxLength: 2048 }),
  },
  { required: ['type'], ...open },
);
const receiverSpec = object(
  {
    events: texts,
    interval: text({ default: '10m', pattern: '^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$' }),
    resourceFilter: text(),
    resources: list(involved),
    secretRef: named,
    suspend: flag(),
    type: text({
      enum: [
        'generic',
        'generic-hmac',
        'github',
        'gitlab',
        'bitbucket',
        'harbor',
        'dockerhub',
        'quay',
        'gcr',
        'nexus',
        'acr',
        'cdevents',
      ],
    }),
  },
  { required: ['resources', 'secretRef', 'type'] },
);

// The kinds

const sources = 'source.toolkit.fluxcd.io';
const images = 'image.toolkit.fluxcd.io';
const notifications = 'notification.toolkit.fluxcd.io';
const deprecated = (kind: string, version: string, newer = 'v1'): string =>
  `${version} ${kind} is deprecated, upgrade to ${newer}`;

const gitColumns: readonly PrinterColumn[] = [
  { name: 'URL', type: 'string', jsonPath: '.spec.url' },
  age,
  ...readyColumns,
];
const ociColumns: readonly PrinterColumn[] = [
  { name: 'URL', type: 'string', jsonPath: '.spec.url' },
  ...readyColumns,
  age,
];
const bucketColumns: readonly PrinterColumn[] = [
  { name: 'Endpoint', type: 'string', jsonPath: '.spec.endpoint' },
  age,
  ...readyColumns,
];
const olderBucketColumns: readonly PrinterColumn[] = [
  { name: 'Endpoint', type: 'string', jsonPath: '.spec.endpoint' },
  ...readyColumns,
  age,
];

const fluxKinds: readonly CustomKind[] = [
  {
    group: sources,
    kind: 'GitRepository',
    plural: 'gitrepositories',
    shortNames: ['gitrepo'],
    versions: [
      {
        name: 'v1',
        spec: gitSpec,
        status: statusOf({ ...gitStatus, observedSparseCheckout: texts, sourceVerificationMode: text() }),
        columns: gitColumns,
      },
      {
        name: 'v1beta2',
        spec: olderGitSpec,
        status: statusOf({ ...gitStatus, contentConfigChecksum: text(), url: text() }),
        columns: gitColumns,
        deprecationWarning: deprecated('GitRepository', 'v1beta2'),
      },
    ],
  },
  {
    group: sources,
    kind: 'OCIRepository',
    plural: 'ocirepositories',
    shortNames: ['ocirepo'],
    versions: [
      { name: 'v1', spec: ociSpec, status: statusOf(ociStatus), columns: ociColumns },
      {
        name: 'v1beta2',
        spec: ociSpec,
        status: statusOf({ ...ociStatus, contentConfigChecksum: text() }),
        columns: ociColumns,
        deprecationWarning: deprecated('OCIRepository', 'v1beta2'),
      },
    ],
  },
  {
    group: sources,
    kind: 'Bucket',
    plural: 'buckets',
    versions: [
      { name: 'v1', spec: bucketSpec, status: bucketStatus, columns: bucketColumns },
      {
        name: 'v1beta2',
        spec: olderBucketSpec,
        status: bucketStatus,
        columns: olderBucketColumns,
        deprecationWarning: deprecated('Bucket', 'v1beta2'),
      },
    ],
  },
  {
    group: images,
    kind: 'ImagePolicy',
    plural: 'imagepolicies',
    shortNames: ['imgpol', 'imagepol'],
    versions: [
      {
        name: 'v1',
        spec: imagePolicySpec,
        status: statusOf({ latestRef: imageRef, observedPreviousRef: imageRef }),
        columns: imagePolicyColumns,
      },
      {
        name: 'v1beta2',
        spec: imagePolicySpec,
        status: statusOf({ latestRef: imageRef, observedPreviousRef: imageRef }),
        columns: imagePolicyColumns,
        deprecationWarning: deprecated('ImagePolicy', 'v1beta2'),
      },
    ],
  },
  {
    group: images,
    kind: 'ImageRepository',
    plural: 'imagerepositories',
    shortNames: ['imgrepo', 'imagerepo'],
    versions: [
      { name: 'v1', spec: imageRepositorySpec, status: imageRepositoryStatus, columns: imageRepositoryColumns },
      {
        name: 'v1beta2',
        spec: imageRepositorySpec,
        status: imageRepositoryStatus,
        columns: imageRepositoryColumns,
        deprecationWarning: deprecated('ImageRepository', 'v1beta2'),
      },
    ],
  },
  {
    group: 'kustomize.toolkit.fluxcd.io',
    kind: 'Kustomization',
    plural: 'kustomizations',
    shortNames: ['ks'],
    versions: [
      { name: 'v1', spec: kustomizationSpec, status: kustomizationStatus, columns: [age, ...readyColumns] },
      {
        name: 'v1beta2',
        spec: kustomizationSpec,
        status: kustomizationStatus,
        columns: [age, ...readyColumns],
        deprecationWarning: deprecated('Kustomization', 'v1beta2'),
      },
    ],
  },
  {
    group: 'helm.toolkit.fluxcd.io',
    kind: 'HelmRelease',
    plural: 'helmreleases',
    shortNames: ['hr'],
    versions: [
      { name: 'v2', spec: helmReleaseSpec, status: helmReleaseStatus, columns: [age, ...readyColumns] },
      {
        name: 'v2beta2',
        spec: helmReleaseSpec,
        status: helmReleaseStatus,
        columns: [age, ...readyColumns],
        deprecationWarning: deprecated('HelmRelease', 'v2beta2', 'v2'),
      },
    ],
  },
  {
    group: notifications,
    kind: 'Alert',
    plural: 'alerts',
    versions: [{ name: 'v1beta3', spec: alertSpec, columns: [age], hasNoStatus: true }],
  },
  {
    group: notifications,
    kind: 'Provider',
    plural: 'providers',
    versions: [{ name: 'v1beta3', spec: providerSpec, columns: [age], hasNoStatus: true }],
  },
  {
    group: notifications,
    kind: 'Receiver',
    plural: 'receivers',
    versions: [
      {
        name: 'v1',
        spec: receiverSpec,
        status: statusOf({ webhookPath: text() }),
        columns: [age, ...readyColumns],
      },
    ],
  },
];
