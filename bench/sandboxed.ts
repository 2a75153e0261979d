/** The sandbox as rows of the benchmark meet it: a process of its own, reached as its kubeconfig says. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { administratorOf, type Target } from './target.ts';

/** A sandbox that runs. */
export interface RunningSandbox extends AsyncDisposable {
  /** The administrator's. */
  readonly kubeconfig: string;
  readonly target: Target;
}

/** Starts one; `life` lets its pods run, `unbounded` lets their logs grow to a gigabyte in one file. */
export async function startSandbox({ life = false, unbounded = false } = {}): Promise<RunningSandbox> {
  const child = fork(join(import.meta.dirname, 'sandbox-process.ts'), [
    ...(life ? ['--life'] : []),
    ...(unbounded ? ['--unbounded'] : []),
  ]);
  const gone = once(child, 'exit').then(([code]) => {
    throw new Error(`the sandbox ended with ${code} before it could be measured`);
  });
  const [kubeconfig] = (await Promise.race([once(child, 'message'), gone])) as [string];
  gone.catch(() => {}); // from here on its end is ours
  return {
    kubeconfig,
    target: await administratorOf(kubeconfig),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}
