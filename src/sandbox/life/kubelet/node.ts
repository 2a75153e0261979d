/** The one node there is. */
import { arch, platform, release } from 'node:os';
import type { ApiClient } from '../../api/client.ts';
import type { Resource } from '../../object.ts';
import type { NodeOffer } from './fit.ts';
import { timestamp } from './pod.ts';

export const nodeName = 'sandbox';
export const hostIP = '127.0.0.1';

const nodes: Resource = { group: '', version: 'v1', plural: 'nodes' };
const goArchitecture: { readonly [name: string]: string } = { x64: 'amd64', ia32: '386' };

/** What the node has for so many pods. Not what the machine has, so that the same pods fit everywhere. */
export function nodeOffer(pods: number): NodeOffer {
  const architecture = goArchitecture[arch()] ?? arch();
  return {
    labels: {
      'beta.kubernetes.io/arch': architecture,
      'beta.kubernetes.io/os': 'linux',
      'kubernetes.io/arch': architecture,
      'kubernetes.io/hostname': nodeName,
      'kubernetes.io/os': 'linux',
    },
    allocatable: { cpu: '32', memory: '64Gi', pods: String(pods), 'ephemeral-storage': '100Gi' },
  };
}

/** Writes the Node object, ready, with the time at which it became so. One that is there is replaced. */
export function registerNode(client: ApiClient, { labels, allocatable }: NodeOffer, nowMs: number): void {
  const time = timestamp(nowMs);
  const conditions = [
    {
      type: 'MemoryPressure',
      status: 'False',
      reason: 'KubeletHasSufficientMemory',
      message: 'kubelet has sufficient memory available',
    },
    {
      type: 'DiskPressure',
      status: 'False',
      reason: 'KubeletHasNoDiskPressure',
      message: 'kubelet has no disk pressure',
    },
    {
      type: 'PIDPressure',
      status: 'False',
      reason: 'KubeletHasSufficientPID',
      message: 'kubelet has sufficient PID available',
    },
    { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' },
  ];
  const node =
    client.get(nodes, '', nodeName) ??
    client.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, labels }, spec: {} });
  const status = {
    addresses: [
      { type: 'InternalIP', address: hostIP },
      { type: 'Hostname', address: nodeName },
    ],
    allocatable,
    capacity: allocatable,
    conditions: conditions.map((condition) => ({ ...condition, lastHeartbeatTime: time, lastTransitionTime: time })),
    daemonEndpoints: { kubeletEndpoint: { Port: 0 } },
    nodeInfo: {
      architecture: labels['kubernetes.io/arch'] ?? '',
      bootID: '',
      containerRuntimeVersion: 'rungate-sandbox://1',
      kernelVersion: release(),
      kubeProxyVersion: '',
      kubeletVersion: 'v1.34.4',
      machineID: '',
      operatingSystem: 'linux',
      osImage: `rungate sandbox (${platform()})`,
      systemUUID: '',
    },
  };
  client.update(nodes, { ...node, status }, { subresource: 'status' });
}
