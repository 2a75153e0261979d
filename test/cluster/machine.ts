/** What the machine must be and have before a cluster can be raised on it. */
import { accessSync, constants, openSync, readSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Fault } from '../../src/fault.ts';
import { ask, run } from './commands.ts';
import type { Progress } from './progress.ts';

/** Programs we run, and the Debian package of each. */
const needed = {
  containerd: 'containerd',
  ctr: 'containerd',
  'containerd-shim-runc-v2': 'containerd',
  runc: 'runc',
  iptables: 'iptables',
  conntrack: 'conntrack', // kube-proxy
  ip: 'iproute2',
  git: 'git',
  openssl: 'openssl',
  tar: 'tar',
  mount: 'mount',
  mariadbd: 'mariadb-server-core', // for tests beside the cluster; mariadb-server would start one as a service
} as const;

const networkPluginFolders = ['/usr/lib/cni', '/opt/cni/bin'];

/** Says why this machine or user cannot raise a cluster, and what else can be done; undefined if it can. */
export function whyNot(platform: NodeJS.Platform = process.platform, user = process.getuid?.()): string | undefined {
  const otherWay =
    'Use a cluster that is there instead (kind, OpenShift, any with Tekton Pipelines): RUNGATE_CLUSTER=existing KUBECONFIG=<file> npm run cluster -- up';
  if (platform !== 'linux')
    return `A cluster of our own needs Linux: it runs a kubelet, and a kubelet needs cgroups. ${otherWay}`;
  if (user !== 0)
    return `A cluster of our own needs root: it makes network devices, mounts and control groups. Run this as root. ${otherWay}`;
  return undefined;
}

/** Throws a Fault with `whyNot`, if there is a reason. */
export function requireMachine(): void {
  const reason = whyNot();
  if (reason) throw new Fault('refused', reason);
}

/** Installs what is missing through apt, and only that; where there is no apt, says what to install. */
export async function installPackages(progress: Progress): Promise<void> {
  const missing = missingPackages();
  if (missing.length === 0) return;
  if (!find('apt-get')) {
    throw new Fault(
      'refused',
      `This machine lacks programs, and has no apt-get to install them with. By their Debian names: ${missing.join(' ')}`,
    );
  }
  await progress.during(`installing ${missing.join(' ')}`, async () => {
    const options = { env: { DEBIAN_FRONTEND: 'noninteractive' }, timeoutMs: 900_000, outlivesUs: true };
    await run('apt-get', ['update', '-q'], options);
    await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...missing], options);
  });
  const still = missingPackages();
  if (still.length > 0)
    throw new Fault('refused', `Still missing after apt-get install: ${still.join(' ')}. Is /usr/sbin on the PATH?`);
}

/** The folder of CNI plugins on this machine. */
export function networkPlugins(): string {
  return networkPluginFolders.find((folder) => isProgram(join(folder, 'ptp'))) ?? '/usr/lib/cni';
}

/** The path of a busybox that needs no libraries, or undefined. */
export function staticBusybox(): string | undefined {
  return ['/bin/busybox', '/usr/bin/busybox'].find((path) => isProgram(path) && isStatic(path));
}

/** PATH with the folders of system programs, which a plain user's `su` may lack. */
export function systemPath(): string {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return [...new Set([...folders, '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'])].join(delimiter);
}

/** Whether the kernel has one tree of control groups (v2) or one per controller (v1). */
export async function hasUnifiedCgroups(): Promise<boolean> {
  return (await ask('stat', ['-f', '-c', '%T', '/sys/fs/cgroup']))?.trim() === 'cgroup2fs';
}

function missingPackages(): string[] {
  const packages = new Set<string>();
  for (const [program, name] of Object.entries(needed)) if (!find(program)) packages.add(name);
  if (!networkPluginFolders.some((folder) => isProgram(join(folder, 'ptp'))))
    packages.add('containernetworking-plugins');
  if (!staticBusybox()) packages.add('busybox-static');
  return [...packages];
}

function find(program: string): string | undefined {
  return systemPath()
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** A dynamic ELF program names its loader near its beginning; a static one has none to name. */
function isStatic(path: string): boolean {
  const start = Buffer.alloc(4096);
  readSync(openSync(path, 'r'), start);
  return !start.includes('/ld-');
}
