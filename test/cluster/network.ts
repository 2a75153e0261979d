/** The host's side of the cluster network: the node's address, forwarding, and how all of it is undone. */
import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ask, run } from './commands.ts';
import { mark, nodeAddress, nodeBridge, podCidr, serviceCidr } from './settings.ts';

/** The kubelet takes one for each log that is followed; the usual 128 are gone before many follow. */
const inotifyInstances = 'fs/inotify/max_user_instances';
const INOTIFY_INSTANCES = 8192;

/** Kernel settings that we, the kubelet or kube-proxy change, remembered so that `down` can put them back. */
const kernelSettings = [
  'net/ipv4/ip_forward',
  'net/ipv4/conf/all/route_localnet',
  'net/netfilter/nf_conntrack_tcp_be_liberal',
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
  inotifyInstances,
];

/**
 * Pods reach the world by the machine's address, and are forwarded even where a firewall drops by default. What is still addressed
 * to a service when kube-proxy has had it is for nobody, and must not leave the machine: kube-proxy refuses that too, but not in
 * the moment between two of its tables.
 */
const rules = [
  { table: 'nat', chain: 'POSTROUTING', rule: ['-s', podCidr, '!', '-d', podCidr, '-j', 'MASQUERADE'] },
  { table: 'filter', chain: 'FORWARD', rule: ['-s', podCidr, '-j', 'ACCEPT'] },
  { table: 'filter', chain: 'FORWARD', rule: ['-d', podCidr, '-j', 'ACCEPT'] },
  { table: 'filter', chain: 'FORWARD', rule: ['-d', serviceCidr, '-j', 'REJECT'] },
  { table: 'filter', chain: 'OUTPUT', rule: ['-d', serviceCidr, '-j', 'REJECT'] },
].map(({ table, chain, rule }) => ({ table, chain, rule: [...rule, '-m', 'comment', '--comment', mark] }));

/** The state folder of the cluster whose bridge is on this machine, or undefined if there is none. */
export async function bridgeOwner(): Promise<string | undefined> {
  const alias = await readFile(`/sys/class/net/${nodeBridge}/ifalias`, 'utf8').catch(() => '');
  return alias.trim() || undefined;
}

/** Whether some kube-proxy has left its chains on this machine: ours, or that of another Kubernetes. */
export async function hasServiceRules(): Promise<boolean> {
  return (await ask('iptables', ['-w', '-t', 'nat', '-n', '-L', 'KUBE-SERVICES'])) !== undefined;
}

/** Makes the node's bridge and address, turns forwarding on and adds our rules. What is there already stays. */
export async function raiseNetwork(folder: string): Promise<void> {
  await rememberKernelSettings(folder);
  if (!existsSync(`/sys/class/net/${nodeBridge}`)) await run('ip', ['link', 'add', nodeBridge, 'type', 'bridge']);
  // The alias tells a later `up` with another state folder whose cluster this is.
  await run('ip', ['link', 'set', nodeBridge, 'up', 'alias', folder]);
  await run('ip', ['address', 'replace', `${nodeAddress}/32`, 'dev', nodeBridge]);
  // Each pod has a route of its own. What is still sent to one that is gone must not leave the machine by the default route.
  await run('ip', ['route', 'replace', 'unreachable', podCidr]);
  await writeFile('/proc/sys/net/ipv4/ip_forward', '1');
  const instances = Number(await readFile(`/proc/sys/${inotifyInstances}`, 'utf8'));
  if (instances < INOTIFY_INSTANCES) await writeFile(`/proc/sys/${inotifyInstances}`, String(INOTIFY_INSTANCES));
  for (const { table, chain, rule } of rules) {
    const there = await ask('iptables', ['-w', '-t', table, '-C', chain, ...rule]);
    if (there === undefined) await run('iptables', ['-w', '-t', table, '-I', chain, ...rule]);
  }
}

/** Takes the bridge, our rules and kube-proxy's chains away and puts the kernel's settings back. Twice is fine. */
export async function lowerNetwork(folder: string): Promise<void> {
  if (existsSync(`/sys/class/net/${nodeBridge}`)) await run('ip', ['link', 'delete', nodeBridge]);
  await ask('ip', ['route', 'delete', 'unreachable', podCidr]); // gone already, the second time
  for (const { table, chain, rule } of rules) {
    while ((await ask('iptables', ['-w', '-t', table, '-D', chain, ...rule])) !== undefined);
  }
  for (const family of ['iptables', 'ip6tables']) await removeServiceRules(family);
  const remembered = await readFile(memoryPath(folder), 'utf8').catch(() => '{}');
  for (const [name, value] of Object.entries<string>(JSON.parse(remembered))) {
    await writeFile(`/proc/sys/${name}`, value).catch(() => {}); // gone with its kernel module
  }
}

/**
 * Removes every chain of kube-proxy and every jump to one, table by table, each in one transaction.
 *
 * `kube-proxy --cleanup` leaves its canary chains, and needs the program, which a cleared cache no longer has.
 */
async function removeServiceRules(family: string): Promise<void> {
  for (const table of ['nat', 'filter', 'mangle']) {
    const lines = ((await ask(`${family}-save`, ['-t', table])) ?? '').split('\n');
    const chains = lines.flatMap((line) => /^:(KUBE-\S+)/.exec(line)?.[1] ?? []);
    if (chains.length === 0) continue;
    const jumps = lines
      .filter((line) => /^-A (?!KUBE-).* -j KUBE-/.test(line))
      .map((line) => line.replace(/^-A/, '-D'));
    const flushes = chains.map((chain) => `-F ${chain}`);
    const deletions = chains.map((chain) => `-X ${chain}`);
    await run(`${family}-restore`, ['-w', '--noflush'], {
      input: [`*${table}`, ...jumps, ...flushes, ...deletions, 'COMMIT', ''].join('\n'),
    });
  }
}

async function rememberKernelSettings(folder: string): Promise<void> {
  const path = memoryPath(folder);
  if (existsSync(path)) return; // written before our first change; now it would remember our own values
  const entries = await Promise.all(
    kernelSettings.map(
      async (name) => [name, (await readFile(`/proc/sys/${name}`, 'utf8').catch(() => '')).trim()] as const,
    ),
  );
  await writeFile(`${path}.half`, JSON.stringify(Object.fromEntries(entries.filter(([, value]) => value !== ''))));
  await rename(`${path}.half`, path);
}

function memoryPath(folder: string): string {
  return join(folder, 'kernel-settings.json');
}
