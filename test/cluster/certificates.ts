/** Who is who in the cluster: one authority, a certificate for each server and each user, and kubeconfigs. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { run } from './commands.ts';
import { apiServiceAddress, nodeAddress, nodeName } from './settings.ts';

/** Users with a certificate of their own, so that the audit log tells them apart. Group as Kubernetes' own bindings want it. */
export const users = {
  admin: { name: 'admin', group: 'system:masters' },
  'kube-controller-manager': { name: 'system:kube-controller-manager' },
  'kube-scheduler': { name: 'system:kube-scheduler' },
  'kube-proxy': { name: 'system:kube-proxy' },
  kubelet: { name: `system:node:${nodeName}`, group: 'system:nodes' },
  'source-controller': { name: 'source-controller', group: 'system:masters' },
  'kubelet-client': { name: 'kube-apiserver-kubelet-client', group: 'system:masters' },
  'etcd-client': { name: 'kube-apiserver-etcd-client' },
} as const;

/** A user of the cluster. */
export type User = keyof typeof users;

/** The names and addresses by which each server is called. */
// biome-ignore format: one kind of name a line
const servers = {
  apiserver: [
    `IP:${nodeAddress}`, `IP:${apiServiceAddress}`, 'IP:127.0.0.1', 'DNS:localhost',
    'DNS:kubernetes', 'DNS:kubernetes.default', 'DNS:kubernetes.default.svc',
  ],
  etcd: ['IP:127.0.0.1'],
  'kubelet-server': [`IP:${nodeAddress}`, `DNS:${nodeName}`],
};

/** Folder of certificates (`NAME.crt`), keys (`NAME.key`) and kubeconfigs (`NAME.kubeconfig`). */
export function certificateFolder(folder: string): string {
  return join(folder, 'certificates');
}

/** The kubeconfig of a user. */
export function kubeconfigPath(folder: string, user: User): string {
  return join(certificateFolder(folder), `${user}.kubeconfig`);
}

/** Issues everything, once; what is there stays. Half a set, left by a killed run, is made anew. */
export async function issueCertificates(folder: string, server: string): Promise<void> {
  const home = certificateFolder(folder);
  if (existsSync(home)) return;
  const half = `${home}.half`;
  await rm(half, { recursive: true, force: true });
  await mkdir(half, { recursive: true, mode: 0o700 });
  await openssl(half, 'ca', [
    '-subj',
    '/CN=rungate-cluster-ca',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign,digitalSignature',
  ]);
  const signed = [
    '-CA',
    join(half, 'ca.crt'),
    '-CAkey',
    join(half, 'ca.key'),
    '-addext',
    'basicConstraints=critical,CA:FALSE',
  ];
  for (const [name, names] of Object.entries(servers)) {
    // etcd speaks to itself with its server certificate, hence clientAuth too.
    const use = ['-addext', 'extendedKeyUsage=serverAuth,clientAuth', '-addext', `subjectAltName=${names.join(',')}`];
    await openssl(half, name, ['-subj', `/CN=${name}`, ...signed, ...use]);
  }
  for (const [name, user] of Object.entries(users)) {
    const group = 'group' in user ? `/O=${user.group}` : '';
    await openssl(half, name, [
      '-subj',
      `${group}/CN=${user.name}`,
      ...signed,
      '-addext',
      'extendedKeyUsage=clientAuth',
    ]);
    await writeFile(join(half, `${name}.kubeconfig`), await kubeconfig(half, name, server), { mode: 0o600 });
  }
  // Service account tokens are signed with RSA: the algorithm every client of theirs knows.
  await run('openssl', ['genrsa', '-out', join(half, 'service-accounts.key'), '2048']);
  await rename(half, home);
}

async function openssl(home: string, name: string, more: readonly string[]): Promise<void> {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', join(home, `${name}.key`)];
  await run('openssl', ['req', '-x509', ...key, '-out', join(home, `${name}.crt`), '-days', '365', ...more]);
}

async function kubeconfig(home: string, user: string, server: string): Promise<string> {
  const [authority, certificate, key] = await Promise.all(
    ['ca.crt', `${user}.crt`, `${user}.key`].map(async (file) => (await readFile(join(home, file))).toString('base64')),
  );
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'rungate-cluster',
    clusters: [{ name: 'rungate-cluster', cluster: { server, 'certificate-authority-data': authority } }],
    users: [{ name: user, user: { 'client-certificate-data': certificate, 'client-key-data': key } }],
    contexts: [{ name: 'rungate-cluster', context: { cluster: 'rungate-cluster', user } }],
  });
}
