/** A git repository of the demo's own, to push to: what is pushed moves a GitRepository, and with it whatever it triggers. */
import fs from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import git from 'isomorphic-git';
import type { NewObject } from '../api/client.ts';
import { SAMPLES_NAMESPACE } from './samples.ts';

const readme = `# demo

Push to the branch main, and the GitRepository "demo" follows within seconds:

    git clone demo.git work && cd work
    date > changed.txt && git add . && git commit -m "a change" && git push
    kubectl get gitrepository demo
`;

/**
 * Makes the bare repository `demo.git` in `folder`, with one commit on `main`, and answers its path. A repository that is
 * there already stays what it is.
 */
export async function seedRepository(folder: string, nowMs: number): Promise<string> {
  const gitdir = join(folder, 'demo.git');
  const isThere = await access(join(gitdir, 'HEAD')).then(
    () => true,
    () => false,
  );
  if (isThere) return gitdir;
  const into = { fs, gitdir };
  await git.init({ ...into, bare: true, defaultBranch: 'main' });
  const oid = await git.writeBlob({ ...into, blob: Buffer.from(readme) });
  const tree = await git.writeTree({ ...into, tree: [{ mode: '100644', path: 'README.md', oid, type: 'blob' }] });
  const author = {
    name: 'rungate demo',
    email: 'demo@rungate.invalid',
    timestamp: Math.floor(nowMs / 1000),
    timezoneOffset: 0,
  };
  await git.commit({ ...into, ref: 'refs/heads/main', tree, parent: [], message: 'the first commit\n', author });
  return gitdir;
}

/** The GitRepository that follows it. */
export function repositorySource(path: string): NewObject {
  return {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'GitRepository',
    metadata: { name: 'demo', namespace: SAMPLES_NAMESPACE },
    spec: { url: path, ref: { branch: 'main' }, interval: '2s' },
  };
}
