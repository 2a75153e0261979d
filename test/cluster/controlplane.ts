/** etcd, the API server, the controller manager and the scheduler. */
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { stringify } from 'yaml';
import { certificateFolder, kubeconfigPath } from './certificates.ts';
import type { Kubectl } from './kubectl.ts';
import type { Parts } from './parts.ts';
import { type Program, running, settle, start, stopped } from './processes.ts';
import { nodeAddress, type Settings, serviceCidr } from './settings.ts';
import { eventually } from './waiting.ts';

/** Where the API server answers: on the node's own address, so that neither pods nor proxies need another one. */
export function apiServerUrl(settings: Settings): string {
  return `https://${nodeAddress}:${settings.ports.apiServer}`;
}

/** Every write, by whom, in JSON lines. An entry is there when the write's answer is. */
export function auditLogPath(folder: string): string {
  return join(folder, 'audit', 'audit.log');
}

/** Starts what does not run yet and returns when the API server says it is ready. */
export async function raiseControlPlane(settings: Settings, parts: Parts, kubectl: Kubectl): Promise<void> {
  const { folder } = settings;
  await mkdir(join(folder, 'audit'), { recursive: true });
  await settle(join(folder, 'audit', 'policy.yaml'), stringify(auditPolicy));
  for (const program of controlPlane(settings, parts)) await start(folder, program);
  await eventually('the API server to be ready', 60_000, async () => {
    for (const name of ['etcd', 'kube-apiserver']) if (!running(folder, name)) throw stopped(folder, name);
    return (await kubectl.ask('get', '--raw', '/readyz')) === 'ok' || undefined;
  });
  await forgetBeginnings(settings);
}

/**
 * Compacts etcd's first revisions away, which a server that has run for ten minutes has done by itself: a resourceVersion
 * of long ago is gone at once, and no watch is disturbed. Twice: the second finds it done.
 */
async function forgetBeginnings({ folder, ports }: Settings): Promise<void> {
  const file = (name: string) => readFile(join(certificateFolder(folder), name));
  const [ca, cert, key] = await Promise.all([file('ca.crt'), file('etcd-client.crt'), file('etcd-client.key')]);
  const url = `https://127.0.0.1:${ports.etcd}/v3/kv/compaction`;
  const asking = request(url, { method: 'POST', ca, cert, key, agent: false });
  asking.end(JSON.stringify({ revision: 2 }));
  const [answer]: [IncomingMessage] = await (once(asking, 'response') as Promise<[IncomingMessage]>);
  const body = await text(answer);
  if (answer.statusCode === 200 || body.includes('has been compacted')) return;
  throw new Error(`etcd did not compact its first revisions (${answer.statusCode}): ${body}`);
}

/** Read down to start, up to stop. */
export function controlPlane(settings: Settings, parts: Parts): Program[] {
  const { folder, ports } = settings;
  const certificates = certificateFolder(folder);
  const file = (name: string) => join(certificates, name);
  return [
    {
      name: 'etcd',
      file: join(parts.etcd, 'etcd'),
      args: flags({
        name: 'rungate',
        'data-dir': join(folder, 'etcd'),
        'listen-client-urls': `https://127.0.0.1:${ports.etcd}`,
        'advertise-client-urls': `https://127.0.0.1:${ports.etcd}`,
        'listen-peer-urls': `http://127.0.0.1:${ports.etcdPeer}`,
        'initial-advertise-peer-urls': `http://127.0.0.1:${ports.etcdPeer}`,
        'initial-cluster': `rungate=http://127.0.0.1:${ports.etcdPeer}`,
        'cert-file': file('etcd.crt'),
        'key-file': file('etcd.key'),
        'trusted-ca-file': file('ca.crt'),
        'client-cert-auth': 'true',
        'unsafe-no-fsync': 'true', // what a power cut would lose, `down` and `up` make again
        'log-level': 'warn',
      }),
    },
    {
      name: 'kube-apiserver',
      file: join(parts.kubernetes, 'kube-apiserver'),
      args: flags({
        'bind-address': nodeAddress,
        'advertise-address': nodeAddress,
        'secure-port': ports.apiServer,
        'service-cluster-ip-range': serviceCidr,
        'etcd-servers': `https://127.0.0.1:${ports.etcd}`,
        'etcd-cafile': file('ca.crt'),
        'etcd-certfile': file('etcd-client.crt'),
        'etcd-keyfile': file('etcd-client.key'),
        'client-ca-file': file('ca.crt'),
        'tls-cert-file': file('apiserver.crt'),
        'tls-private-key-file': file('apiserver.key'),
        'kubelet-client-certificate': file('kubelet-client.crt'),
        'kubelet-client-key': file('kubelet-client.key'),
        'kubelet-certificate-authority': file('ca.crt'),
        'kubelet-preferred-address-types': 'InternalIP',
        'service-account-issuer': 'https://kubernetes.default.svc',
        'service-account-key-file': file('service-accounts.key'),
        'service-account-signing-key-file': file('service-accounts.key'),
        'authorization-mode': 'Node,RBAC',
        'enable-admission-plugins': 'NodeRestriction,OwnerReferencesPermissionEnforcement',
        'allow-privileged': 'true',
        // Webhooks are then called at their pods' addresses, which this machine reaches without kube-proxy.
        'enable-aggregator-routing': 'true',
        'audit-policy-file': join(folder, 'audit', 'policy.yaml'),
        'audit-log-path': auditLogPath(folder),
        'audit-log-maxsize': 1000, // in megabytes: no test should lose a line to rotation
      }),
    },
    {
      name: 'kube-controller-manager',
      file: join(parts.kubernetes, 'kube-controller-manager'),
      args: flags({
        kubeconfig: kubeconfigPath(folder, 'kube-controller-manager'),
        'bind-address': '127.0.0.1',
        'secure-port': ports.controllerManager,
        'leader-elect': 'false',
        'use-service-account-credentials': 'true', // in the audit log, each controller writes under its own name
        'service-account-private-key-file': file('service-accounts.key'),
        'root-ca-file': file('ca.crt'),
        'kube-api-qps': 200,
        'kube-api-burst': 300,
      }),
    },
    {
      name: 'kube-scheduler',
      file: join(parts.kubernetes, 'kube-scheduler'),
      args: flags({
        kubeconfig: kubeconfigPath(folder, 'kube-scheduler'),
        'bind-address': '127.0.0.1',
        'secure-port': ports.scheduler,
        'leader-elect': 'false',
      }),
    },
  ];
}

/** `--name=value` for each entry. */
export function flags(values: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}

/** Writes, with the user; reads would drown them. */
const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'None', verbs: ['get', 'list', 'watch'] }, { level: 'Metadata' }],
};
