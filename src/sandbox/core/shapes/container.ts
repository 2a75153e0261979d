/** Containers of a pod, with what runs, watches and confines them. */
import { flag, int32, int64, intOrString, list, listByKey, map, text } from '../../schema/node.ts';
import { always, optional, orNull, quantity, struct } from '../typed.ts';

const configMapKeySelector = struct(
  'ConfigMapKeySelector',
  { key: always(text()), name: text(), optional: optional(flag()) },
  { required: ['key'], 'x-kubernetes-map-type': 'atomic' },
);

/** A field of the pod. */
export const objectFieldSelector = struct(
  'ObjectFieldSelector',
  { apiVersion: text(), fieldPath: always(text()) },
  { required: ['fieldPath'], 'x-kubernetes-map-type': 'atomic' },
);

const fileKeySelector = struct(
  'FileKeySelector',
  { key: always(text()), optional: optional(flag()), path: always(text()), volumeName: always(text()) },
  { required: ['volumeName', 'path', 'key'], 'x-kubernetes-map-type': 'atomic' },
);

/** A resource of one of its containers. */
export const resourceFieldSelector = struct(
  'ResourceFieldSelector',
  { containerName: text(), divisor: always(quantity()), resource: always(text()) },
  { required: ['resource'], 'x-kubernetes-map-type': 'atomic' },
);

const secretKeySelector = struct(
  'SecretKeySelector',
  { key: always(text()), name: text(), optional: optional(flag()) },
  { required: ['key'], 'x-kubernetes-map-type': 'atomic' },
);

const envVarSource = struct('EnvVarSource', {
  configMapKeyRef: configMapKeySelector,
  fieldRef: objectFieldSelector,
  fileKeyRef: fileKeySelector,
  resourceFieldRef: resourceFieldSelector,
  secretKeyRef: secretKeySelector,
});

const envVar = struct(
  'EnvVar',
  { name: always(text()), value: text(), valueFrom: envVarSource },
  { required: ['name'] },
);

const configMapEnvSource = struct('ConfigMapEnvSource', { name: text(), optional: optional(flag()) });

const secretEnvSource = struct('SecretEnvSource', { name: text(), optional: optional(flag()) });

const envFromSource = struct('EnvFromSource', {
  configMapRef: configMapEnvSource,
  prefix: text(),
  secretRef: secretEnvSource,
});

const execAction = struct('ExecAction', { command: list(text()) });

const httpHeader = struct(
  'HTTPHeader',
  { name: always(text()), value: always(text()) },
  { required: ['name', 'value'] },
);

const httpGetAction = struct(
  'HTTPGetAction',
  { host: text(), httpHeaders: list(httpHeader), path: text(), port: always(intOrString()), scheme: text() },
  { required: ['port'] },
);

const sleepAction = struct('SleepAction', { seconds: always(int64()) }, { required: ['seconds'] });

const tcpSocketAction = struct(
  'TCPSocketAction',
  { host: text(), port: always(intOrString()) },
  { required: ['port'] },
);

const lifecycleHandler = struct('LifecycleHandler', {
  exec: execAction,
  httpGet: httpGetAction,
  sleep: sleepAction,
  tcpSocket: tcpSocketAction,
});

const lifecycle = struct('Lifecycle', {
  postStart: lifecycleHandler,
  preStop: lifecycleHandler,
  stopSignal: optional(text()),
});

const grpcAction = struct('GRPCAction', { port: always(int32()), service: orNull(text()) }, { required: ['port'] });

const probe = struct('Probe', {
  exec: execAction,
  failureThreshold: int32(),
  grpc: grpcAction,
  httpGet: httpGetAction,
  initialDelaySeconds: int32(),
  periodSeconds: int32(),
  successThreshold: int32(),
  tcpSocket: tcpSocketAction,
  terminationGracePeriodSeconds: optional(int64()),
  timeoutSeconds: int32(),
});

const containerPort = struct(
  'ContainerPort',
  {
    containerPort: always(int32()),
    hostIP: text(),
    hostPort: int32(),
    name: text(),
    protocol: text({ default: 'TCP' }),
  },
  { required: ['containerPort'] },
);

const containerResizePolicy = struct(
  'ContainerResizePolicy',
  { resourceName: always(text()), restartPolicy: always(text()) },
  { required: ['resourceName', 'restartPolicy'] },
);

const resourceClaim = struct('ResourceClaim', { name: always(text()), request: text() }, { required: ['name'] });

/** `resources` of a container. */
export const resourceRequirements = struct('ResourceRequirements', {
  claims: list(resourceClaim, { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
  limits: map(quantity()),
  requests: map(quantity()),
});

const containerRestartRuleOnExitCodes = struct(
  'ContainerRestartRuleOnExitCodes',
  { operator: text(), values: list(int32(), { 'x-kubernetes-list-type': 'set' }) },
  { required: ['operator'] },
);

const containerRestartRule = struct(
  'ContainerRestartRule',
  { action: text(), exitCodes: containerRestartRuleOnExitCodes },
  { required: ['action'] },
);

/** An AppArmor profile. */
export const appArmorProfile = struct(
  'AppArmorProfile',
  { localhostProfile: optional(text()), type: always(text()) },
  { required: ['type'] },
);

const capabilities = struct('Capabilities', { add: list(text()), drop: list(text()) });

/** SELinux labels. */
export const seLinuxOptions = struct('SELinuxOptions', { level: text(), role: text(), type: text(), user: text() });

/** A seccomp profile. */
export const seccompProfile = struct(
  'SeccompProfile',
  { localhostProfile: optional(text()), type: always(text()) },
  { required: ['type'] },
);

/** What only Windows knows. */
export const windowsSecurityContextOptions = struct('WindowsSecurityContextOptions', {
  gmsaCredentialSpec: optional(text()),
  gmsaCredentialSpecName: optional(text()),
  hostProcess: optional(flag()),
  runAsUserName: optional(text()),
});

const securityContext = struct('SecurityContext', {
  allowPrivilegeEscalation: optional(flag()),
  appArmorProfile,
  capabilities,
  privileged: optional(flag()),
  procMount: optional(text()),
  readOnlyRootFilesystem: optional(flag()),
  runAsGroup: optional(int64()),
  runAsNonRoot: optional(flag()),
  runAsUser: optional(int64()),
  seLinuxOptions,
  seccompProfile,
  windowsOptions: windowsSecurityContextOptions,
});

const volumeDevice = struct(
  'VolumeDevice',
  { devicePath: always(text()), name: always(text()) },
  { required: ['name', 'devicePath'] },
);

const volumeMount = struct(
  'VolumeMount',
  {
    mountPath: always(text()),
    mountPropagation: optional(text()),
    name: always(text()),
    readOnly: flag(),
    recursiveReadOnly: optional(text()),
    subPath: text(),
    subPathExpr: text(),
  },
  { required: ['name', 'mountPath'] },
);

const containerFields = {
  args: list(text()),
  command: list(text()),
  env: listByKey(envVar, ['name']),
  envFrom: list(envFromSource),
  image: text(),
  imagePullPolicy: text(),
  lifecycle,
  livenessProbe: probe,
  name: always(text()),
  ports: listByKey(containerPort, ['containerPort', 'protocol']),
  readinessProbe: probe,
  resizePolicy: list(containerResizePolicy),
  resources: always(resourceRequirements),
  restartPolicy: optional(text()),
  restartPolicyRules: list(containerRestartRule),
  securityContext,
  startupProbe: probe,
  stdin: flag(),
  stdinOnce: flag(),
  terminationMessagePath: text(),
  terminationMessagePolicy: text(),
  tty: flag(),
  volumeDevices: listByKey(volumeDevice, ['devicePath']),
  volumeMounts: listByKey(volumeMount, ['mountPath']),
  workingDir: text(),
};

/** A container, or an init container. */
export const container = struct('Container', containerFields, { required: ['name'] });

/** A container added to a running pod to look around. */
export const ephemeralContainer = struct(
  'EphemeralContainer',
  { ...containerFields, targetContainerName: text() },
  { required: ['name'] },
);
