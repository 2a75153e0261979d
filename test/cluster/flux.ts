/** Flux's source-controller, and the git server it reads from: two processes beside the cluster. */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { kubeconfigPath } from './certificates.ts';
import { flags } from './controlplane.ts';
import type { Kubectl } from './kubectl.ts';
import type { Parts } from './parts.ts';
import { type Program, running, start, stopped } from './processes.ts';
import type { Settings } from './settings.ts';
import { answers, eventually } from './waiting.ts';

/** The namespace that source-controller believes itself to be in. */
export const fluxNamespace = 'flux-system';

/** Where the git server answers; a repository is `<url>/<name>.git`. */
export function gitUrl(settings: Settings): string {
  return `http://127.0.0.1:${settings.ports.git}`;
}

/** The folder of the bare repositories that the git server serves. */
export function repositoriesFolder(folder: string): string {
  return join(folder, 'git');
}

/** Applies Flux's CRDs, starts both processes and returns when they answer. */
export async function raiseFlux(settings: Settings, parts: Parts, kubectl: Kubectl): Promise<void> {
  const { folder } = settings;
  const yaml = join(parts.flux, 'yaml');
  const crds = await Promise.all((await readdir(yaml)).sort().map((file) => readFile(join(yaml, file), 'utf8')));
  const namespace = JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: fluxNamespace } });
  await kubectl.pipe([namespace, ...crds].join('\n---\n'), 'apply', '--server-side', '--force-conflicts', '-f', '-');
  await kubectl.run(
    'wait',
    '--for=condition=Established',
    '--timeout=60s',
    'crd',
    'gitrepositories.source.toolkit.fluxcd.io',
  );
  for (const path of [repositoriesFolder(folder), join(folder, 'flux', 'artifacts')])
    await mkdir(path, { recursive: true });
  for (const program of [gitServer(settings), sourceController(settings, parts)]) await start(folder, program);
  await untilFluxAnswers(settings);
}

/** Returns when source-controller and the git server answer; throws a Fault with the log of one that has stopped. */
export async function untilFluxAnswers(settings: Settings): Promise<void> {
  const { folder, ports } = settings;
  await eventually('source-controller and the git server to answer', 60_000, async () => {
    for (const name of ['git-server', 'source-controller']) if (!running(folder, name)) throw stopped(folder, name);
    const healthy = await Promise.all([
      answers(`http://127.0.0.1:${ports.fluxHealth}/readyz`),
      answers(`${gitUrl(settings)}/`),
    ]);
    return healthy.every(Boolean) || undefined;
  });
}

/** The git server: this program's own sibling, in a process of its own so that it outlives us. */
export function gitServer(settings: Settings): Program {
  return {
    name: 'git-server',
    file: process.execPath,
    args: [join(import.meta.dirname, 'gitserver.ts'), String(settings.ports.git), repositoriesFolder(settings.folder)],
  };
}

/**
 * source-controller as a process of the machine, under its own user. `eventsAddress` is where it POSTs its events
 * (notification-controller's place); empty means nowhere.
 */
export function sourceController(settings: Settings, parts: Parts, eventsAddress = ''): Program {
  const { folder, ports } = settings;
  return {
    name: 'source-controller',
    file: join(parts.flux, 'source-controller'),
    args: flags({
      'storage-path': join(folder, 'flux', 'artifacts'),
      'storage-addr': `127.0.0.1:${ports.artifacts}`,
      'storage-adv-addr': `127.0.0.1:${ports.artifacts}`,
      'health-addr': `127.0.0.1:${ports.fluxHealth}`,
      'metrics-addr': `127.0.0.1:${ports.fluxMetrics}`,
      'events-addr': eventsAddress,
      'enable-leader-election': 'false',
      // What carries the label is a shard of its own, that of a test which writes the status by hand.
      'watch-label-selector': '!sharding.fluxcd.io/key',
    }),
    env: {
      KUBECONFIG: kubeconfigPath(folder, 'source-controller'),
      RUNTIME_NAMESPACE: fluxNamespace,
      TUF_ROOT: join(folder, 'flux', 'sigstore'),
    },
  };
}
