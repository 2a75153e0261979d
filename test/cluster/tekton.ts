/** Tekton Pipelines, from upstream's own YAML, with images that we made. */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { busyboxImage, tektonImage, tektonPrograms } from './images.ts';
import type { Kubectl } from './kubectl.ts';
import type { Parts } from './parts.ts';
import { dnsAddress } from './settings.ts';
import { eventually } from './waiting.ts';

/** The Go module whose version is Tekton's. */
export const tektonModule = 'github.com/tektoncd/pipeline';
/** Where it is installed. */
export const tektonNamespace = 'tekton-pipelines';

/** What must be available before a run can be made. */
export const tektonDeployments = [
  'tekton-pipelines-controller',
  'tekton-pipelines-webhook',
  'tekton-events-controller',
] as const;

/** What is not applied: no metrics server feeds an autoscaler here. */
const leftOut = ['webhook-hpa.yaml'];

/** Applies Tekton unless these very manifests were applied before, and returns when its webhook accepts a TaskRun. */
export async function installTekton(folder: string, parts: Parts, version: string, kubectl: Kubectl): Promise<void> {
  const manifests = await tektonManifests(parts, version);
  const applied = join(folder, 'tekton-applied');
  const hash = createHash('sha256').update(manifests).digest('hex');
  // Applied again, it would undo the feature flags that a suite has set.
  if ((await readFile(applied, 'utf8').catch(() => '')) !== hash) {
    await eventually(
      'Tekton to be applied',
      120_000,
      async () => {
        try {
          return await kubectl.pipe(
            manifests,
            'apply',
            '--server-side',
            '--force-conflicts',
            '--field-manager=rungate-cluster',
            '-f',
            '-',
          );
        } catch (error) {
          // An `up` that was killed may have left the webhook installed and not running: it guards ConfigMaps of ours.
          if (/failed calling webhook/.test(String(error))) return undefined;
          throw error;
        }
      },
      2000,
    );
    await writeFile(applied, hash);
  }
  await kubectl.run(
    'wait',
    '-n',
    tektonNamespace,
    '--for=condition=Available',
    'deployment',
    '--all',
    '--timeout=180s',
  );
  await eventually('the webhook of Tekton to accept a TaskRun', 60_000, () => admitsTaskRuns(kubectl), 300);
}

/** A truthy answer once Tekton's webhook lets a TaskRun pass; nothing is created. */
export async function admitsTaskRuns(kubectl: Kubectl): Promise<string | undefined> {
  return kubectl.pipe(taskRunToTry, 'create', '--dry-run=server', '-o', 'name', '-f', '-').catch(() => undefined);
}

/** Where Tekton's controller runs and which version it calls itself, on any cluster; undefined if it is not there. */
export async function findTekton(kubectl: Kubectl): Promise<{ namespace: string; version: string } | undefined> {
  const selector = 'app.kubernetes.io/part-of=tekton-pipelines,app.kubernetes.io/component=controller';
  const text = await kubectl.ask('get', 'deployment', '--all-namespaces', '-l', selector, '-o', 'json');
  const items: { metadata: { namespace: string; labels: Record<string, string> } }[] = text
    ? JSON.parse(text).items
    : [];
  const controller =
    items.find(({ metadata }) => metadata.labels['app.kubernetes.io/name'] === 'controller') ?? items[0];
  if (!controller) return undefined;
  const { namespace, labels } = controller.metadata;
  return { namespace, version: labels['app.kubernetes.io/version'] ?? 'unknown' };
}

/**
 * Upstream's manifests as one YAML stream. What upstream's release script replaces is replaced here: the version,
 * and the references to images. Webhooks come last, so that they do not guard what is yet to be applied.
 */
async function tektonManifests(parts: Parts, version: string): Promise<string> {
  const config = join(parts.tekton, 'yaml');
  const top = (await readdir(config)).filter((file) => file.endsWith('.yaml') && !leftOut.includes(file)).sort();
  const isWebhook = (file: string) => file.startsWith('500-');
  const files = [
    ...(await inFolder(config, '100-namespace')),
    ...(await inFolder(config, '300-crds')),
    ...top.filter((file) => !isWebhook(file)),
    ...top.filter(isWebhook),
  ];
  const texts = await Promise.all(files.map((file) => readFile(join(config, file), 'utf8')));
  let all = [...texts, noNames].join('\n---\n').replaceAll('"devel"', `"${version}"`);
  for (const program of tektonPrograms) {
    all = all.replace(
      new RegExp(`ko://github\\.com/tektoncd/pipeline/cmd/${program}(?![\\w-])`, 'g'),
      tektonImage(program, version),
    );
  }
  return all.replace(/cgr\.dev\/chainguard\/busybox@sha256:\w+/g, busyboxImage);
}

async function inFolder(config: string, folder: string): Promise<string[]> {
  return (await readdir(join(config, folder))).sort().map((file) => join(folder, file));
}

/**
 * Nothing here needs names, so nothing answers for them. A service without endpoints makes kube-proxy refuse
 * questions at once; without it a program that asks would wait for its time-out.
 */
const noNames = `
apiVersion: v1
kind: Service
metadata: { name: kube-dns, namespace: kube-system }
spec:
  clusterIP: ${dnsAddress}
  ports:
    - { name: dns, port: 53, protocol: UDP }
    - { name: dns-tcp, port: 53, protocol: TCP }
`;

/** A TaskRun that any webhook of Tekton admits, for dry runs. */
export const taskRunToTry = `
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: { name: rungate-cluster-tries-the-webhook, namespace: default }
spec:
  taskSpec:
    steps: [{ name: nothing, image: ${busyboxImage}, script: 'true' }]
`;
