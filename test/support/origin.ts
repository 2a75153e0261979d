/** Git repositories for Flux to read, wherever a world stands: on the cluster's own git server, or in a folder that the sandbox's polls. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import git from 'isomorphic-git';
import { connect } from '../cluster/cluster.ts';
import { makeRepository } from '../cluster/repository.ts';
import type { World } from './world.ts';

/** A git repository that Flux can read. */
export interface Origin {
  readonly url: string;
  /** Pushes a commit, to `main` unless told, and resolves with its hash. */
  push(branch?: string): Promise<string>;
  remove(): Promise<void>;
}

/** Makes one for a world, without a commit. Whoever made it removes it. */
export function makeOrigin(world: World, name: string): Promise<Origin> {
  return world.ground === 'cluster' ? served(`${world.namespace}-${name}`) : folder(world, name);
}

/** A repository on the cluster's git server. */
async function served(name: string): Promise<Origin> {
  const { own } = await connect();
  assert.ok(own, 'Flux is a part of clusters of our own');
  const repository = await makeRepository(own, name);
  return { ...repository, push: (branch) => repository.push({}, 'a change', branch) };
}

/** A bare repository in the world's folder, which ends with the world. */
async function folder(world: World, name: string): Promise<Origin> {
  const gitdir = join(world.folder, `${name}.git`);
  await git.init({ fs, gitdir, bare: true, defaultBranch: 'main' });
  const tree = await git.writeTree({ fs, gitdir, tree: [] });
  const author = { name: 'a test', email: 'test@rungate.invalid' };
  let commits = 0;
  return {
    url: gitdir,
    push: async (branch = 'main') => {
      const parent = await git.resolveRef({ fs, gitdir, ref: 'refs/heads/main' }).then(
        (commit) => [commit],
        () => [],
      );
      commits += 1; // commits of one second would be the same one
      return git.commit({
        fs,
        gitdir,
        ref: `refs/heads/${branch}`,
        message: `change ${commits}\n`,
        author,
        tree,
        parent,
      });
    },
    remove: async () => {},
  };
}
