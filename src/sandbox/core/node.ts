/** Nodes. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/ */
import type { Kind } from '../api/kind.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { flag, int32, int64, list, listAsSet, listByKey, map, text } from '../schema/node.ts';
import { builtin } from './builtin.ts';
import { ageColumn, column } from './columns.ts';
import { objectIn, objectsIn, textIn } from './reading.ts';
import { always, optional, quantity, struct, time } from './typed.ts';

const nodeConfigSource = struct('NodeConfigSource', {
  configMap: struct(
    'ConfigMapNodeConfigSource',
    {
      namespace: always(text()),
      name: always(text()),
      uid: text(),
      resourceVersion: text(),
      kubeletConfigKey: always(text()),
    },
    { required: ['namespace', 'name', 'kubeletConfigKey'] },
  ),
});

const taint = struct(
  'Taint',
  { key: always(text()), value: text(), effect: always(text()), timeAdded: time() },
  { required: ['key', 'effect'] },
);

const nodeSpec = struct('NodeSpec', {
  podCIDR: text(),
  podCIDRs: listAsSet(text()),
  providerID: text(),
  unschedulable: flag(),
  taints: list(taint),
  configSource: nodeConfigSource,
  externalID: text(),
});

const nodeCondition = struct(
  'NodeCondition',
  {
    type: always(text()),
    status: always(text()),
    lastHeartbeatTime: always(time()),
    lastTransitionTime: always(time()),
    reason: text(),
    message: text(),
  },
  { required: ['type', 'status'] },
);

const nodeAddress = struct(
  'NodeAddress',
  { type: always(text()), address: always(text()) },
  { required: ['type', 'address'] },
);

const nodeFacts = [
  'machineID',
  'systemUUID',
  'bootID',
  'kernelVersion',
  'osImage',
  'containerRuntimeVersion',
  'kubeletVersion',
  'kubeProxyVersion',
  'operatingSystem',
  'architecture',
] as const;

const nodeSystemInfo = struct(
  'NodeSystemInfo',
  {
    ...Object.fromEntries(nodeFacts.map((fact) => [fact, always(text())])),
    swap: struct('NodeSwapStatus', { capacity: optional(int64()) }),
  },
  { required: nodeFacts },
);

const nodeStatus = struct('NodeStatus', {
  capacity: map(quantity()),
  allocatable: map(quantity()),
  phase: text(),
  conditions: listByKey(nodeCondition, ['type']),
  addresses: listByKey(nodeAddress, ['type']),
  daemonEndpoints: always(
    struct('NodeDaemonEndpoints', {
      kubeletEndpoint: always(struct('DaemonEndpoint', { Port: always(int32()) }, { required: ['Port'] })),
    }),
  ),
  nodeInfo: always(nodeSystemInfo),
  images: list(struct('ContainerImage', { names: always(list(text())), sizeBytes: int64() })),
  volumesInUse: list(text()),
  volumesAttached: list(
    struct(
      'AttachedVolume',
      { name: always(text()), devicePath: always(text()) },
      { required: ['name', 'devicePath'] },
    ),
  ),
  config: struct('NodeConfigStatus', {
    assigned: nodeConfigSource,
    active: nodeConfigSource,
    lastKnownGood: nodeConfigSource,
    error: text(),
  }),
  runtimeHandlers: list(
    struct('NodeRuntimeHandler', {
      name: always(text()),
      features: struct('NodeRuntimeHandlerFeatures', {
        recursiveReadOnlyMounts: optional(flag()),
        userNamespaces: optional(flag()),
      }),
    }),
  ),
  features: struct('NodeFeatures', { supplementalGroupsPolicy: optional(flag()) }),
});

/** `nodes`. Whoever runs pods writes its own. */
export function nodeKind(): Kind {
  return builtin({
    group: '',
    version: 'v1',
    kind: 'Node',
    plural: 'nodes',
    shortNames: ['no'],
    namespaced: false,
    fields: { spec: always(nodeSpec), status: always(nodeStatus) },
    defaults({ status }) {
      const { capacity, allocatable } = objectIn(status);
      if (allocatable === undefined && capacity !== undefined) objectIn(status).allocatable = structuredClone(capacity);
    },
    statusSubresource: true,
    columns: [
      column('Status', 'Whether it is ready for pods', statusOf),
      column('Roles', 'What it is for', rolesOf),
      ageColumn,
      column('Version', 'Version of the kubelet', (node) => textIn(infoOf(node).kubeletVersion)),
      column('Internal-IP', 'Address within the cluster', (node) => addressOf(node, 'InternalIP'), { wide: true }),
      column('External-IP', 'Address for everybody', (node) => addressOf(node, 'ExternalIP'), { wide: true }),
      column('OS-Image', 'Operating system', (node) => textIn(infoOf(node).osImage) || '<unknown>', { wide: true }),
      column('Kernel-Version', 'Kernel', (node) => textIn(infoOf(node).kernelVersion) || '<unknown>', { wide: true }),
      column(
        'Container-Runtime',
        'What runs containers',
        (node) => textIn(infoOf(node).containerRuntimeVersion) || '<unknown>',
        {
          wide: true,
        },
      ),
    ],
    strategy: {
      prepareForUpdate(node, old) {
        if (old.status !== undefined) node.status = structuredClone(old.status);
      },
      fields: ({ spec }) => ({ 'spec.unschedulable': String(objectIn(spec).unschedulable === true) }),
    },
  });
}

function statusOf({ spec, status }: KubeObject): string {
  const ready = objectsIn(objectIn(status).conditions).find(({ type }) => type === 'Ready');
  const words = [ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'];
  if (objectIn(spec).unschedulable === true) words.push('SchedulingDisabled');
  return words.join(',');
}

function rolesOf({ metadata }: KubeObject): string {
  const prefix = 'node-role.kubernetes.io/';
  const labels = Object.entries(metadata.labels ?? {});
  const roles = labels.flatMap(([key, value]) => {
    if (key.startsWith(prefix)) return [key.slice(prefix.length)];
    return key === 'kubernetes.io/role' ? [value] : [];
  });
  return [...new Set(roles.filter((role) => role !== ''))].sort().join(',') || '<none>';
}

function infoOf({ status }: KubeObject): JsonObject {
  return objectIn(objectIn(status).nodeInfo);
}

function addressOf({ status }: KubeObject, type: string): string {
  const found = objectsIn(objectIn(status).addresses).find((address) => address.type === type);
  return textIn(found?.address) || '<none>';
}
