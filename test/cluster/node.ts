/** The node: containerd with its network, the kubelet and kube-proxy. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { certificateFolder, kubeconfigPath } from './certificates.ts';
import { ask } from './commands.ts';
import { flags } from './controlplane.ts';
import { pauseImage } from './images.ts';
import type { Kubectl } from './kubectl.ts';
import { hasUnifiedCgroups, networkPlugins, systemPath } from './machine.ts';
import type { Parts } from './parts.ts';
import { type Program, running, settle, start, stopped } from './processes.ts';
import { cgroup, dnsAddress, nodeAddress, nodeName, podCidr, type Settings } from './settings.ts';
import { answers, eventually } from './waiting.ts';

/** The socket of our containerd. Its path is also how its shims are told from everyone else's. */
export function containerdSocket(folder: string): string {
  return join(folder, 'containerd', 'containerd.sock');
}

/** Where the kubelet keeps the logs of containers: NAMESPACE_POD_UID/CONTAINER/N.log. */
export function podLogsFolder(folder: string): string {
  return join(folder, 'pod-logs');
}

/** Settings of the kubelet that suites may change (`knobs.ts`); durations and sizes as the kubelet writes them. */
export interface KubeletLogging {
  /** A log is rotated when it is larger than this: `512Mi`. */
  readonly containerLogMaxSize: string;
  /** How many files of one container are kept, the growing one included. */
  readonly containerLogMaxFiles: number;
  /** How often sizes are looked at: `10s`. */
  readonly containerLogMonitorInterval: string;
}

/** Upstream's defaults, except for the size: benchmarks read tens of megabytes of one container. */
export const standardLogging: KubeletLogging = {
  containerLogMaxSize: '512Mi',
  containerLogMaxFiles: 5,
  containerLogMonitorInterval: '10s',
};

/** Starts containerd and returns when it answers. */
export async function raiseContainerd(settings: Settings): Promise<void> {
  const { folder } = settings;
  const home = join(folder, 'containerd');
  await mkdir(join(home, 'cni'), { recursive: true });
  await settle(join(home, 'cni', '10-rungate.conflist'), JSON.stringify(podNetwork(folder)));
  await settle(join(home, 'config.toml'), containerdConfig(folder));
  await start(folder, containerd(folder));
  await eventually('containerd to answer', 30_000, async () => {
    if (!running(folder, 'containerd')) throw stopped(folder, 'containerd');
    return ask('ctr', ['--address', containerdSocket(folder), 'version']);
  });
}

/** Starts kubelet and kube-proxy and returns when the node is ready. The pause image must be there by then. */
export async function raiseNode(settings: Settings, parts: Parts, kubectl: Kubectl): Promise<void> {
  const { folder } = settings;
  await makeCgroup();
  // A restarted `up` must not undo what a knob has set.
  if (!existsSync(kubeletConfigPath(folder))) await writeKubeletConfig(settings, standardLogging);
  await settle(join(folder, 'kube-proxy.yaml'), stringify(proxyConfig(settings)));
  for (const program of nodePrograms(settings, parts)) await start(folder, program);
  await eventually(
    'the node to be ready',
    90_000,
    async () => {
      for (const { name } of nodePrograms(settings, parts)) if (!running(folder, name)) throw stopped(folder, name);
      // kube-proxy is healthy once its rules are in place: before that, pods do not reach the API server.
      const healthy = await answers(`http://127.0.0.1:${settings.ports.proxyHealth}/healthz`);
      return (healthy && (await isNodeReady(kubectl))) || undefined;
    },
    300,
  );
}

/** Whether the node says it is ready. */
export async function isNodeReady(kubectl: Kubectl): Promise<boolean> {
  return (await readyCondition(kubectl))?.status === 'True';
}

/** The node's Ready condition, with when the kubelet last wrote it. */
export async function readyCondition(
  kubectl: Kubectl,
): Promise<{ status: string; lastHeartbeatTime: string } | undefined> {
  const text = await kubectl.ask('get', 'node', nodeName, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")]}');
  return text ? JSON.parse(text) : undefined;
}

/** containerd alone: it runs before anything of Kubernetes does. */
export function containerd(folder: string): Program {
  return {
    name: 'containerd',
    file: 'containerd',
    args: ['--config', join(folder, 'containerd', 'config.toml')],
    env: { PATH: systemPath() },
  };
}

/** What Kubernetes runs on the node. */
export function nodePrograms(settings: Settings, parts: Parts): Program[] {
  const { folder } = settings;
  return [
    {
      name: 'kubelet',
      file: join(parts.kubernetes, 'kubelet'),
      args: flags({
        config: kubeletConfigPath(folder),
        kubeconfig: kubeconfigPath(folder, 'kubelet'),
        'root-dir': join(folder, 'kubelet'),
        'cert-dir': join(folder, 'kubelet', 'pki'),
        'node-ip': nodeAddress,
        'hostname-override': nodeName,
      }),
      env: { PATH: systemPath() },
    },
    {
      name: 'kube-proxy',
      file: join(parts.kubernetes, 'kube-proxy'),
      args: flags({ config: join(folder, 'kube-proxy.yaml') }),
      env: { PATH: systemPath() },
    },
  ];
}

/** Writes the kubelet's configuration; a running kubelet reads it when it is started again. */
export async function writeKubeletConfig(settings: Settings, logging: KubeletLogging): Promise<void> {
  const { folder, ports } = settings;
  const certificates = certificateFolder(folder);
  await settle(
    kubeletConfigPath(folder),
    stringify({
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      address: nodeAddress,
      port: ports.kubelet,
      readOnlyPort: 0,
      healthzBindAddress: '127.0.0.1',
      healthzPort: ports.kubeletHealth,
      tlsCertFile: join(certificates, 'kubelet-server.crt'),
      tlsPrivateKeyFile: join(certificates, 'kubelet-server.key'),
      authentication: {
        anonymous: { enabled: false },
        webhook: { enabled: true },
        x509: { clientCAFile: join(certificates, 'ca.crt') },
      },
      authorization: { mode: 'Webhook' },
      containerRuntimeEndpoint: `unix://${containerdSocket(folder)}`,
      podLogsDir: podLogsFolder(folder),
      volumePluginDir: join(folder, 'kubelet', 'volume-plugins'),
      cgroupDriver: 'cgroupfs', // systemd may be absent, and is not needed
      cgroupRoot: `/${cgroup}`,
      failCgroupV1: false,
      failSwapOn: false,
      clusterDNS: [dnsAddress],
      clusterDomain: 'cluster.local',
      maxPods: 250,
      // Full disks and little memory are the machine's business, not a test's.
      evictionHard: {
        'memory.available': '100Mi',
        'nodefs.available': '1%',
        'nodefs.inodesFree': '1%',
        'imagefs.available': '1%',
        'imagefs.inodesFree': '1%',
      },
      // An image that is collected cannot be pulled again: nobody serves it.
      imageGCHighThresholdPercent: 100,
      imageGCLowThresholdPercent: 99,
      serializeImagePulls: false, // one image that cannot be pulled must not hold up the next
      // Read when a pod needs it: watches, the default, make the first pod of a namespace wait two seconds and complain.
      configMapAndSecretChangeDetectionStrategy: 'Get',
      makeIPTablesUtilChains: false, // kube-proxy makes what it needs; less to take away
      ...logging,
    }),
  );
}

/** How the kubelet is set up to rotate logs now. */
export async function readKubeletLogging(folder: string): Promise<KubeletLogging> {
  const { containerLogMaxSize, containerLogMaxFiles, containerLogMonitorInterval } = parse(
    await readFile(kubeletConfigPath(folder), 'utf8'),
  );
  return { containerLogMaxSize, containerLogMaxFiles, containerLogMonitorInterval };
}

function kubeletConfigPath(folder: string): string {
  return join(folder, 'kubelet.yaml');
}

/** Point-to-point links, as kind uses them: pods talk by routing, so service addresses work without bridge filtering. */
function podNetwork(folder: string): object {
  return {
    cniVersion: '0.4.0',
    name: 'rungate-cluster',
    plugins: [
      {
        type: 'ptp',
        ipMasq: false, // one rule of ours serves all pods (`network.ts`)
        ipam: {
          type: 'host-local',
          dataDir: join(folder, 'pod-addresses'),
          ranges: [[{ subnet: podCidr }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
    ],
  };
}

function containerdConfig(folder: string): string {
  const home = join(folder, 'containerd');
  return `version = 2
root = "${home}/root"
state = "${home}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "${containerdSocket(folder)}"

[plugins."io.containerd.internal.v1.opt"]
  path = "${home}/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  # Under our folder, so that the network namespaces of pods are ours to see and to unmount.
  netns_mounts_under_state_dir = true
  # Where even root may not lower a process's score (inside a container or a small virtual machine), pods start anyway.
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = "${home}/runc"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${networkPlugins()}"
    conf_dir = "${home}/cni"
`;
}

function proxyConfig(settings: Settings): object {
  const { folder, ports } = settings;
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig: kubeconfigPath(folder, 'kube-proxy') },
    mode: 'iptables',
    iptables: { localhostNodePorts: false },
    clusterCIDR: podCidr,
    hostnameOverride: nodeName,
    bindAddress: nodeAddress,
    healthzBindAddress: `127.0.0.1:${ports.proxyHealth}`,
    metricsBindAddress: `127.0.0.1:${ports.proxyMetrics}`,
    // The machine's connection tracking is not ours to size, and inside a container could not be.
    conntrack: { maxPerCore: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
}

/** The control group under which the kubelet puts all pods; it must exist before the kubelet starts. */
async function makeCgroup(): Promise<void> {
  const top = '/sys/fs/cgroup';
  if (await hasUnifiedCgroups()) {
    await mkdir(join(top, cgroup), { recursive: true });
    const controllers = (await ask('cat', [join(top, 'cgroup.controllers')]))?.trim().split(/\s+/) ?? [];
    for (const controller of controllers) {
      for (const folder of [top, join(top, cgroup)]) {
        // One that the machine's init keeps to itself is one the kubelet does without.
        await writeFile(join(folder, 'cgroup.subtree_control'), `+${controller}`).catch(() => {});
      }
    }
    return;
  }
  for (const controller of await readdir(top)) {
    if (existsSync(join(top, controller, 'cgroup.procs')))
      await mkdir(join(top, controller, cgroup), { recursive: true });
  }
}
