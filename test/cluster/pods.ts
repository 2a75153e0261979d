/** Ending what containerd leaves behind: processes of pods and their shims outlive both containerd and the kubelet. */
import { existsSync, globSync, readdirSync } from 'node:fs';
import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault } from '../../src/fault.ts';
import { ask, run } from './commands.ts';
import { containerdSocket, podLogsFolder } from './node.ts';
import { end, type Identity, identify } from './processes.ts';
import { cgroup } from './settings.ts';
import { eventually } from './waiting.ts';

/** Ends every process of every pod, and every shim. For when neither kubelet nor containerd runs any more. */
export async function endPods(folder: string): Promise<void> {
  // Shims first: a shim whose container ends would start a clean-up of its own, with programs of containerd.
  await Promise.all((await shims(folder)).map((shim) => end(shim, 0)));
  await eventually('the processes of pods to end', 30_000, async () => {
    const members = await podProcesses();
    await Promise.all(members.map((member) => end(member, 0)));
    return members.length === 0 || undefined;
  });
}

/** Removes what pods leave outside our folder: control groups, sockets of shims, links to logs, notes about addresses. */
export async function removeTraces(folder: string): Promise<void> {
  for (const group of cgroups().reverse()) {
    // A group stays busy for a moment after its last process has ended.
    await eventually(`the end of ${group}`, 10_000, () => rmdir(group).then(() => true, gone), 50);
  }
  for (const path of globSync(join(folder, 'containerd/state/io.containerd.runtime.v2.task/*/*/address'))) {
    const socket = (await readFile(path, 'utf8')).replace(/^unix:\/\//, '');
    if (socket.startsWith('/run/containerd/s/')) await rm(socket, { force: true }); // the one place shims know
  }
  for (const path of globSync('/var/log/containers/*')) {
    const target = await ask('readlink', [path]);
    if (target?.startsWith(`${podLogsFolder(folder)}/`)) await rm(path, { force: true });
  }
  for (const path of globSync('/var/lib/cni/results/*')) {
    // Notes of network plugins about a pod; ours name a network namespace under our folder.
    if ((await readFile(path, 'utf8')).includes(`${folder}/`)) await rm(path, { force: true });
  }
  // The kubelet puts this beside its root folder, wherever that is. With a second kubelet there, it would be its own.
  const devices = '/var/lib/kubelet/device-plugins';
  if (globSync('/var/lib/kubelet/*').every((path) => path === devices))
    await rm(devices, { recursive: true, force: true });
  // Removed only if empty, that is, if nobody else uses them.
  for (const path of [
    '/run/containerd/s',
    '/run/containerd',
    '/var/log/containers',
    '/var/lib/cni/results',
    '/var/lib/cni',
    '/var/lib/kubelet',
  ]) {
    await rmdir(path).catch(() => {});
  }
}

/** Unmounts everything that lies under the folder, innermost first. Throws a Fault if something stays. */
export async function unmountAll(folder: string): Promise<void> {
  for (const path of (await mountsUnder(folder)).reverse()) {
    if ((await ask('umount', [path])) === undefined) await run('umount', ['--lazy', path]);
  }
  const left = await mountsUnder(folder);
  if (left.length > 0)
    throw new Fault('unavailable', `Still mounted: ${left.join(', ')}. See who uses them (fuser -m), then try again.`);
}

/** Mount points under a folder, outermost first, as this process sees them. */
export async function mountsUnder(folder: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const points = lines.map((line) =>
    (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
  );
  return points.filter((point) => point.startsWith(`${folder}/`));
}

/** Shims name the socket of the containerd they belong to. */
async function shims(folder: string): Promise<Identity[]> {
  const found: Identity[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const identity = identify(Number(entry));
    // Identity first, command line second: if the pid changes hands in between, the start time no longer fits.
    const args = (await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')).split('\0');
    const address = args[args.indexOf('-address') + 1];
    if (identity && args[0]?.endsWith('containerd-shim-runc-v2') && address === containerdSocket(folder))
      found.push(identity);
  }
  return found;
}

/** Whoever is in our control group is a process of a pod of ours: the kubelet put it there. */
async function podProcesses(): Promise<Identity[]> {
  const found = new Map<number, Identity>();
  for (const group of cgroups()) {
    const list = () =>
      readFile(join(group, 'cgroup.procs'), 'utf8').then(
        (text) => text.split('\n').filter(Boolean).map(Number),
        () => [],
      );
    const identities = (await list()).map((pid) => identify(pid));
    const still = new Set(await list()); // still a member after its start time was read, so it is the one we mean
    for (const identity of identities) if (identity && still.has(identity.pid)) found.set(identity.pid, identity);
  }
  return [...found.values()];
}

/** Our control groups, outermost first, in every hierarchy. */
function cgroups(): string[] {
  const tops = [`/sys/fs/cgroup/${cgroup}`, ...globSync(`/sys/fs/cgroup/*/${cgroup}`)].filter((path) =>
    existsSync(path),
  );
  return tops.flatMap((top) => {
    const inner = readdirSync(top, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [top, ...inner.map((entry) => join(entry.parentPath, entry.name)).sort()];
  });
}

async function gone(error: NodeJS.ErrnoException): Promise<true | undefined> {
  return error.code === 'ENOENT' || undefined;
}
