/** Git repositories for Flux to read, on the cluster's own git server. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { OwnCluster } from './cluster.ts';
import { run } from './commands.ts';
import { repositoriesFolder } from './flux.ts';

/** A repository on the git server. */
export interface Repository {
  /** What a GitRepository's `spec.url` holds. */
  readonly url: string;
  /**
   * Pushes one commit that adds or replaces these files (path to content), and returns its hash. `branch` is `main` unless told;
   * a new one begins at `main`.
   */
  push(files: Readonly<Record<string, string>>, message?: string, branch?: string): Promise<string>;
  /** Takes it off the server. */
  remove(): Promise<void>;
}

/** Makes an empty repository. The name must be new: letters, digits and dashes. */
export async function makeRepository(cluster: OwnCluster, name: string): Promise<Repository> {
  const bare = join(repositoriesFolder(cluster.folder), `${name}.git`);
  if (existsSync(bare)) throw new Error(`there is a repository ${name} already: take another name, or remove() it`);
  await git(tmpdir(), 'init', '--quiet', '--bare', '--initial-branch=main', bare);
  await git(bare, 'config', 'http.receivepack', 'true'); // anyone on loopback may push
  const url = `${cluster.gitUrl}/${name}.git`;
  return {
    url,
    async push(files, message = 'a change', branch = 'main') {
      const work = await mkdtemp(join(tmpdir(), 'rungate-push-'));
      try {
        await git(work, 'clone', '--quiet', url, '.');
        const isThere = (await git(work, 'ls-remote', '--heads', 'origin', `refs/heads/${branch}`)) !== '';
        await git(work, 'checkout', '--quiet', '-B', branch, ...(isThere ? [`origin/${branch}`] : []));
        for (const [path, content] of Object.entries(files)) {
          await mkdir(dirname(join(work, path)), { recursive: true });
          await writeFile(join(work, path), content);
        }
        await git(work, 'add', '--all');
        await git(work, 'commit', '--quiet', '--allow-empty', '-m', message);
        await git(work, 'push', '--quiet', 'origin', branch);
        return (await git(work, 'rev-parse', 'HEAD')).trim();
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    },
    remove: () => rm(bare, { recursive: true, force: true }),
  };
}

function git(cwd: string, ...args: string[]): Promise<string> {
  const person = { NAME: 'rungate test', EMAIL: 'test@rungate.invalid' };
  return run('git', args, {
    cwd,
    env: {
      GIT_CONFIG_NOSYSTEM: '1', // neither the machine's settings nor the user's change what a test pushes
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_AUTHOR_NAME: person.NAME,
      GIT_AUTHOR_EMAIL: person.EMAIL,
      GIT_COMMITTER_NAME: person.NAME,
      GIT_COMMITTER_EMAIL: person.EMAIL,
    },
  });
}
