/**
 * The fields of pods and their containers that Tekton's kinds repeat: in steps, sidecars, pod templates and workspaces.
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
 */
import {
  anything,
  type Facets,
  flag,
  int32,
  int64,
  intOrString,
  list,
  map,
  object,
  type SchemaNode,
  text,
} from '../schema/node.ts';

const numberOrText: Facets = { anyOf: [{ type: 'integer' }, { type: 'string' }] };

/** `10`, `500m`, `1Gi`; Tekton's webhook knows such fields by this node. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */
export const quantity = intOrString({
  ...numberOrText,
  pattern:
    '^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$',
});

/** A reference to be replaced as a whole. */
const atomic: Facets = { 'x-kubernetes-map-type': 'atomic' };
const texts = list(text());

/** Fields whose `false` or 0 says something else than their absence; the webhook knows them by these nodes. */
export const explicitFlag = flag();
/** As `explicitFlag`. */
export const explicitInt32 = int32();
/** As `explicitFlag`. */
export const explicitInt64 = int64();

/** The name of a ConfigMap or Secret; Kubernetes defaults it to nothing rather than requiring it. */
const localName = text({ default: '' });
const localReference = object({ name: localName }, atomic);

/** `matchLabels` and `matchExpressions`. */
const labelSelector = object(
  {
    matchExpressions: list(object({ key: text(), operator: text(), values: texts }, { required: ['key', 'operator'] })),
    matchLabels: map(text()),
  },
  atomic,
);

/** Labels and annotations to be put on what a run creates. */
export const templateMetadata = object({ annotations: map(text()), labels: map(text()) });

/** Requests and limits of a container. */
export const computeResources = object({
  claims: list(object({ name: text(), request: text() }, { required: ['name'] }), {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  }),
  limits: map(quantity),
  requests: map(quantity),
});

const fieldRef = object({ apiVersion: text(), fieldPath: text() }, { required: ['fieldPath'], ...atomic });
const resourceFieldRef = object(
  { containerName: text(), divisor: quantity, resource: text() },
  { required: ['resource'], ...atomic },
);
const keyRef = object({ key: text(), name: localName, optional: explicitFlag }, { required: ['key'], ...atomic });
const sourceRef = object({ name: localName, optional: explicitFlag }, atomic);

/** Environment variables of a container. */
export const env = list(
  object(
    {
      name: text(),
      value: text(),
      valueFrom: object({
        configMapKeyRef: keyRef,
        fieldRef,
        fileKeyRef: object(
          { key: text(), optional: flag({ default: false }), path: text(), volumeName: text() },
          { required: ['key', 'path', 'volumeName'], ...atomic },
        ),
        resourceFieldRef,
        secretKeyRef: keyRef,
      }),
    },
    { required: ['name'] },
  ),
);

/** What a container may do on its node. */
export const securityContext = object({
  allowPrivilegeEscalation: explicitFlag,
  appArmorProfile: object({ localhostProfile: text(), type: text() }, { required: ['type'] }),
  capabilities: object({ add: texts, drop: texts }),
  privileged: explicitFlag,
  procMount: text(),
  readOnlyRootFilesystem: explicitFlag,
  runAsGroup: explicitInt64,
  runAsNonRoot: explicitFlag,
  runAsUser: explicitInt64,
  seLinuxOptions: object({ level: text(), role: text(), type: text(), user: text() }),
  seccompProfile: object({ localhostProfile: text(), type: text() }, { required: ['type'] }),
  windowsOptions: object({
    gmsaCredentialSpec: text(),
    gmsaCredentialSpecName: text(),
    hostProcess: explicitFlag,
    runAsUserName: text(),
  }),
});

/** Where volumes appear in a container. */
export const volumeMounts = list(
  object(
    {
      mountPath: text(),
      mountPropagation: text(),
      name: text(),
      readOnly: flag(),
      recursiveReadOnly: text(),
      subPath: text(),
      subPathExpr: text(),
    },
    { required: ['mountPath', 'name'] },
  ),
);

/** What every container has; v1 calls its resources `computeResources`, v1beta1 `resources`. */
export const containerFields: { readonly [name: string]: SchemaNode } = {
  args: texts,
  command: texts,
  env,
  envFrom: list(object({ configMapRef: sourceRef, prefix: text(), secretRef: sourceRef })),
  image: text(),
  imagePullPolicy: text(),
  securityContext,
  volumeDevices: list(object({ devicePath: text(), name: text() }, { required: ['devicePath', 'name'] })),
  volumeMounts,
  workingDir: text(),
};

const port = intOrString(numberOrText);
const exec = object({ command: texts });
const httpGet = object(
  {
    host: text(),
    httpHeaders: list(object({ name: text(), value: text() }, { required: ['name', 'value'] })),
    path: text(),
    port,
    scheme: text(),
  },
  { required: ['port'] },
);
const tcpSocket = object({ host: text(), port }, { required: ['port'] });

const probe = object({
  exec,
  failureThreshold: int32(),
  grpc: object({ port: int32(), service: text({ default: '' }) }, { required: ['port'] }),
  httpGet,
  initialDelaySeconds: int32(),
  periodSeconds: int32(),
  successThreshold: int32(),
  tcpSocket,
  terminationGracePeriodSeconds: explicitInt64,
  timeoutSeconds: int32(),
});

const lifecycleHandler = object({
  exec,
  httpGet,
  sleep: object({ seconds: int64() }, { required: ['seconds'] }),
  tcpSocket,
});

/** What only a container that lives beside others needs: a sidecar, and in v1beta1 still every step. */
export const longLivedFields: { readonly [name: string]: SchemaNode } = {
  lifecycle: object({ postStart: lifecycleHandler, preStop: lifecycleHandler, stopSignal: text() }),
  livenessProbe: probe,
  ports: list(
    object(
      {
        containerPort: int32(),
        hostIP: text(),
        hostPort: int32(),
        name: text(),
        protocol: text({ default: 'TCP' }),
      },
      { required: ['containerPort'] },
    ),
    { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['containerPort', 'protocol'] },
  ),
  readinessProbe: probe,
  startupProbe: probe,
  stdin: flag(),
  stdinOnce: flag(),
  terminationMessagePath: text(),
  terminationMessagePolicy: text(),
  tty: flag(),
};

/** What a run may ask of the pods it makes. */
export const podTemplate = object({
  affinity: anything(),
  automountServiceAccountToken: explicitFlag,
  dnsConfig: object({
    nameservers: texts,
    options: list(object({ name: text(), value: text() })),
    searches: texts,
  }),
  dnsPolicy: text(),
  enableServiceLinks: explicitFlag,
  env,
  hostAliases: list(object({ hostnames: texts, ip: text() }, { required: ['ip'] })),
  hostNetwork: flag(),
  hostUsers: explicitFlag,
  imagePullSecrets: list(localReference),
  nodeSelector: map(text()),
  priorityClassName: text(),
  runtimeClassName: text(),
  schedulerName: text(),
  securityContext: anything(),
  tolerations: list(
    object({ effect: text(), key: text(), operator: text(), tolerationSeconds: explicitInt64, value: text() }),
  ),
  topologySpreadConstraints: list(
    object(
      {
        labelSelector,
        matchLabelKeys: texts,
        maxSkew: int32(),
        minDomains: explicitInt32,
        nodeAffinityPolicy: text(),
        nodeTaintsPolicy: text(),
        topologyKey: text(),
        whenUnsatisfiable: text(),
      },
      { required: ['maxSkew', 'topologyKey', 'whenUnsatisfiable'] },
    ),
  ),
  volumes: anything(),
});

const keysToPaths = list(object({ key: text(), mode: explicitInt32, path: text() }, { required: ['key', 'path'] }));
const projectedKeys = object({ items: keysToPaths, name: localName, optional: explicitFlag }, atomic);

/** A claim to be made for each run; the webhook knows it by this node. */
export const volumeClaimTemplate = anything();

/** The volume behind a workspace; exactly one of them is set, and all may have a `subPath`. */
export const workspaceVolumes: { readonly [name: string]: SchemaNode } = {
  configMap: object(
    { defaultMode: explicitInt32, items: keysToPaths, name: localName, optional: explicitFlag },
    atomic,
  ),
  csi: object(
    {
      driver: text(),
      fsType: text(),
      nodePublishSecretRef: localReference,
      readOnly: flag(),
      volumeAttributes: map(text()),
    },
    { required: ['driver'] },
  ),
  emptyDir: object({ medium: text(), sizeLimit: quantity }),
  persistentVolumeClaim: object({ claimName: text(), readOnly: flag() }, { required: ['claimName'] }),
  secret: object({ defaultMode: explicitInt32, items: keysToPaths, optional: explicitFlag, secretName: text() }),
  subPath: text(),
  volumeClaimTemplate,
};

/** What a projected volume is made of. */
export const projectedSources: { readonly [name: string]: SchemaNode } = {
  clusterTrustBundle: object(
    { labelSelector, name: text(), optional: explicitFlag, path: text(), signerName: text() },
    { required: ['path'] },
  ),
  configMap: projectedKeys,
  downwardAPI: object({
    items: list(object({ fieldRef, mode: explicitInt32, path: text(), resourceFieldRef }, { required: ['path'] })),
  }),
  secret: projectedKeys,
  serviceAccountToken: object(
    { audience: text(), expirationSeconds: explicitInt64, path: text() },
    { required: ['path'] },
  ),
};

/** A certificate that the cluster signs, the newest of the projected sources. */
export const podCertificate = object(
  {
    certificateChainPath: text(),
    credentialBundlePath: text(),
    keyPath: text(),
    keyType: text(),
    maxExpirationSeconds: explicitInt32,
    signerName: text(),
    userAnnotations: map(text()),
  },
  { required: ['keyType', 'signerName'] },
);
