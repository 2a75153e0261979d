/** What a pod is. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodStatus */
import { flag, int32, int64, list, listByKey, map, text } from '../../schema/node.ts';
import { always, optional, quantity, struct, time } from '../typed.ts';
import { resourceRequirements } from './container.ts';

const podCondition = struct(
  'PodCondition',
  {
    lastProbeTime: always(time()),
    lastTransitionTime: always(time()),
    message: text(),
    observedGeneration: int64(),
    reason: text(),
    status: always(text()),
    type: always(text()),
  },
  { required: ['type', 'status'] },
);

const resourceHealth = struct(
  'ResourceHealth',
  { health: text(), resourceID: always(text()) },
  { required: ['resourceID'] },
);

const resourceStatus = struct(
  'ResourceStatus',
  {
    name: always(text()),
    resources: list(resourceHealth, { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['resourceID'] }),
  },
  { required: ['name'] },
);

const containerStateRunning = struct('ContainerStateRunning', { startedAt: always(time()) });

const containerStateTerminated = struct(
  'ContainerStateTerminated',
  {
    containerID: text(),
    exitCode: always(int32()),
    finishedAt: always(time()),
    message: text(),
    reason: text(),
    signal: int32(),
    startedAt: always(time()),
  },
  { required: ['exitCode'] },
);

const containerStateWaiting = struct('ContainerStateWaiting', { message: text(), reason: text() });

const containerState = struct('ContainerState', {
  running: containerStateRunning,
  terminated: containerStateTerminated,
  waiting: containerStateWaiting,
});

const linuxContainerUser = struct(
  'LinuxContainerUser',
  { gid: always(int64()), supplementalGroups: list(int64()), uid: always(int64()) },
  { required: ['uid', 'gid'] },
);

const containerUser = struct('ContainerUser', { linux: linuxContainerUser });

const volumeMountStatus = struct(
  'VolumeMountStatus',
  { mountPath: always(text()), name: always(text()), readOnly: flag(), recursiveReadOnly: optional(text()) },
  { required: ['name', 'mountPath'] },
);

const containerStatus = struct(
  'ContainerStatus',
  {
    allocatedResources: map(quantity()),
    allocatedResourcesStatus: listByKey(resourceStatus, ['name']),
    containerID: text(),
    image: always(text()),
    imageID: always(text()),
    lastState: always(containerState),
    name: always(text()),
    ready: always(flag()),
    resources: resourceRequirements,
    restartCount: always(int32()),
    started: optional(flag()),
    state: always(containerState),
    stopSignal: optional(text()),
    user: containerUser,
    volumeMounts: listByKey(volumeMountStatus, ['mountPath']),
  },
  { required: ['name', 'ready', 'restartCount', 'image', 'imageID'] },
);

const containerExtendedResourceRequest = struct(
  'ContainerExtendedResourceRequest',
  { containerName: always(text()), requestName: always(text()), resourceName: always(text()) },
  { required: ['containerName', 'resourceName', 'requestName'] },
);

const podExtendedResourceClaimStatus = struct(
  'PodExtendedResourceClaimStatus',
  { requestMappings: always(list(containerExtendedResourceRequest)), resourceClaimName: always(text()) },
  { required: ['requestMappings', 'resourceClaimName'] },
);

const hostIP = struct('HostIP', { ip: always(text()) }, { required: ['ip'] });

const podIP = struct('PodIP', { ip: always(text()) }, { required: ['ip'] });

const podResourceClaimStatus = struct(
  'PodResourceClaimStatus',
  { name: always(text()), resourceClaimName: optional(text()) },
  { required: ['name'] },
);

/** `status` of a pod. */
export const podStatus = struct('PodStatus', {
  conditions: listByKey(podCondition, ['type']),
  containerStatuses: list(containerStatus),
  ephemeralContainerStatuses: list(containerStatus),
  extendedResourceClaimStatus: podExtendedResourceClaimStatus,
  hostIP: text(),
  hostIPs: list(hostIP, { 'x-kubernetes-patch-strategy': 'merge', 'x-kubernetes-patch-merge-key': 'ip' }),
  initContainerStatuses: list(containerStatus),
  message: text(),
  nominatedNodeName: text(),
  observedGeneration: int64(),
  phase: text(),
  podIP: text(),
  podIPs: listByKey(podIP, ['ip']),
  qosClass: text(),
  reason: text(),
  resize: text(),
  resourceClaimStatuses: listByKey(podResourceClaimStatus, ['name'], {
    'x-kubernetes-patch-strategy': 'merge,retainKeys',
  }),
  startTime: time(),
});
