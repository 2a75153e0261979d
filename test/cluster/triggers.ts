/** The kinds of Tekton Triggers, from upstream's own YAML. Nothing of upstream runs for them: rungate is what reads them. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Kubectl } from './kubectl.ts';

/** The kind without which there is nothing to be compatible with. */
const eventListeners = 'crd/eventlisteners.triggers.tekton.dev';

/** Applies the definitions that lie in a folder, and returns when they are served. Called again it changes nothing. */
export async function installTriggers(folder: string, kubectl: Kubectl): Promise<void> {
  const files = (await readdir(folder)).sort();
  const definitions = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  await kubectl.pipe(definitions.join('\n---\n'), 'apply', '--server-side', '--force-conflicts', '-f', '-');
  const ofTriggers = ['-l', 'app.kubernetes.io/part-of=tekton-triggers'];
  await kubectl.run('wait', '--for=condition=Established', '--timeout=60s', 'crd', ...ofTriggers);
}

/** Whether a cluster, any cluster, serves them. */
export async function hasTriggers(kubectl: Kubectl): Promise<boolean> {
  return (await kubectl.ask('get', eventListeners, '-o', 'name')) !== undefined;
}
