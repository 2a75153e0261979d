/** Every setting of the test cluster in one table, and the constants that follow from the design. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { Fault } from '../../src/fault.ts';

/**
 * What may be set, by environment variable. `cli.ts --help` prints this table.
 *
 * Nothing else is read from the environment, apart from KUBECONFIG with `RUNGATE_CLUSTER=existing`.
 */
export const table = {
  RUNGATE_CLUSTER: {
    standard: 'own',
    meaning: '`own` raises a cluster on this machine; `existing` uses the one that KUBECONFIG names and builds nothing',
  },
  RUNGATE_CLUSTER_DIR: {
    standard: '/var/lib/rungate-cluster',
    meaning: 'state folder: certificates, etcd, container storage, logs; `down` removes it',
  },
  RUNGATE_CLUSTER_CACHE: {
    standard: '~/.cache/rungate/cluster',
    meaning: 'what was built: kept by `down`, so that the next `up` takes a minute',
  },
  RUNGATE_CLUSTER_PORT: {
    standard: '16443',
    meaning: 'port of the API server; the other parts listen on the ports that follow it (see `Ports`)',
  },
} as const;

// biome-ignore format: one group a line
const listeners = [
  'apiServer', 'etcd', 'etcdPeer',
  'kubelet', 'kubeletHealth',
  'controllerManager', 'scheduler',
  'proxyHealth', 'proxyMetrics',
  'git', 'artifacts', 'fluxHealth', 'fluxMetrics',
] as const;

/** One TCP port per listener, counted up from RUNGATE_CLUSTER_PORT in the order of `listeners`. */
export type Ports = Readonly<Record<(typeof listeners)[number], number>>;

/** The settings of a cluster that we raise ourselves. */
export interface Settings {
  /** State folder, absolute. */
  readonly folder: string;
  /** Folder of built parts and images, absolute. */
  readonly cache: string;
  readonly ports: Ports;
}

/** Which cluster is meant: one that is there already, or our own. */
export type Choice =
  | { readonly kind: 'existing'; readonly kubeconfig: string }
  | { readonly kind: 'own'; readonly settings: Settings };

/** The node's address, on a bridge of our own: reachable from this machine and its pods, from nowhere else. */
export const nodeAddress = '10.254.16.1';
/** The node's name in Kubernetes. */
export const nodeName = 'rungate-node';
/** The bridge that carries `nodeAddress`. */
export const nodeBridge = 'rungate-node';
/** Addresses of pods. */
export const podCidr = '10.244.0.0/16';
/** Addresses of services. */
export const serviceCidr = '10.96.0.0/16';
/** Where the API server is found by pods: the first address of `serviceCidr`. */
export const apiServiceAddress = '10.96.0.1';
/** The address pods ask for names. Nothing answers there, and the answer "nothing" comes at once (`tekton.ts`). */
export const dnsAddress = '10.96.0.10';
/** The parent of every pod's control group, so that all processes of pods can be found. */
export const cgroup = 'rungate-cluster';
/** Marks iptables rules of ours. */
export const mark = 'rungate-cluster';

/** Reads the environment; throws a Fault that names what is wrong. */
export function chooseCluster(environment: NodeJS.ProcessEnv): Choice {
  const kind = value(environment, 'RUNGATE_CLUSTER');
  if (kind === 'existing') {
    if (!environment.KUBECONFIG)
      throw new Fault('refused', 'RUNGATE_CLUSTER=existing needs KUBECONFIG to name the cluster to use.');
    return { kind, kubeconfig: environment.KUBECONFIG };
  }
  if (kind !== 'own') throw new Fault('refused', `RUNGATE_CLUSTER is "${kind}"; it can be "own" or "existing".`);
  return {
    kind,
    settings: {
      folder: stateFolder(environment),
      cache: folder(environment, 'RUNGATE_CLUSTER_CACHE'),
      ports: portsFrom(value(environment, 'RUNGATE_CLUSTER_PORT')),
    },
  };
}

function value(environment: NodeJS.ProcessEnv, name: keyof typeof table): string {
  return environment[name] || table[name].standard;
}

function stateFolder(environment: NodeJS.ProcessEnv): string {
  const path = folder(environment, 'RUNGATE_CLUSTER_DIR');
  // unix(7) leaves 107 bytes for a socket's path, and the longest of ours adds 40.
  if (path.length > 64)
    throw new Fault('refused', `RUNGATE_CLUSTER_DIR is "${path}"; sockets lie in it, so it may have 64 characters.`);
  return path;
}

function folder(environment: NodeJS.ProcessEnv, name: keyof typeof table): string {
  const path = value(environment, name).replace(/^~(?=\/)/, homedir());
  // Spaces would end up in flags, configuration files and socket addresses of a dozen programs.
  if (!isAbsolute(path) || /[^\w./-]/.test(path)) {
    throw new Fault('refused', `${name} is "${path}"; it must be an absolute path of letters, digits and . _ - /`);
  }
  return join(path);
}

function portsFrom(text: string): Ports {
  const first = Number(text);
  if (!Number.isInteger(first) || first < 1024 || first + listeners.length > 65536) {
    throw new Fault(
      'refused',
      `RUNGATE_CLUSTER_PORT is "${text}"; it must be a number from 1024 to ${65536 - listeners.length}.`,
    );
  }
  return Object.fromEntries(listeners.map((name, place) => [name, first + place])) as Ports;
}
