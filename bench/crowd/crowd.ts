/** A crowd of runs as a cluster to point rungate at, for rows about size. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import type { CrowdSize } from './objects.ts';
import type { Finish } from './server.ts';

/**
 * What a container with a memory limit is given: a young generation of 16 MiB at most. V8's own limit is several times
 * that, most of it for what is garbage the moment it was read; docs/performance.md says what it changes.
 */
export const AS_IN_A_CONTAINER = { NODE_OPTIONS: '--max-semi-space-size=16' } as const;

/** A cluster with a crowd of runs. */
export interface Crowd {
  /** Of what looks like its API server. */
  readonly url: string;
  /** Finishes the `count` oldest runs that run, and resolves with the moment that was sent, as `performance.now()` here. */
  finish(count: number): Promise<number>;
  end(): void;
}

/**
 * Starts a cluster with so many runs, of which the last `running` still run, and writes a kubeconfig for it. Nothing of it
 * is real but the bytes: their shapes and sizes are those of Tekton's objects.
 */
export async function startCrowd(size: CrowdSize & { readonly running: number }, kubeconfig: string): Promise<Crowd> {
  const child: ChildProcess = fork(new URL('server.ts', import.meta.url), { stdio: 'inherit' });
  child.send(size);
  const [port] = (await once(child, 'message')) as [number];
  const url = `http://127.0.0.1:${port}`;
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'crowd', cluster: { server: url } }],
    users: [{ name: 'crowd', user: { token: 'crowd' } }],
    contexts: [{ name: 'crowd', context: { cluster: 'crowd', user: 'crowd' } }],
    'current-context': 'crowd',
  };
  await writeFile(kubeconfig, stringify(config));
  return {
    url,
    async finish(count) {
      child.send({ count } satisfies Finish);
      const [at] = (await once(child, 'message')) as [number];
      return at - performance.timeOrigin;
    },
    end: () => child.disconnect(),
  };
}
