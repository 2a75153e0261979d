/** kubectl, bound to one cluster: how the harness and its tests speak to the API server. */
import { ask, type RunOptions, run } from './commands.ts';

/** Runs kubectl against one cluster. */
export interface Kubectl {
  /** The program. */
  readonly file: string;
  readonly kubeconfig: string;
  /** Standard output. Throws a Fault that holds the command and what kubectl complained about. */
  run(...args: string[]): Promise<string>;
  /** As `run`, but a failure is `undefined`: for polling. Gives up after ten seconds. */
  ask(...args: string[]): Promise<string | undefined>;
  /** As `run`, with this on standard input: `kubectl.pipe(yaml, 'apply', '-f', '-')`. */
  pipe(input: string, ...args: string[]): Promise<string>;
}

/** Binds a kubectl to a kubeconfig. */
export function bindKubectl(file: string, kubeconfig: string): Kubectl {
  const options = (more: RunOptions = {}): RunOptions => ({
    env: { KUBECONFIG: kubeconfig },
    timeoutMs: 600_000,
    ...more,
  });
  return {
    file,
    kubeconfig,
    run: (...args) => run(file, args, options()),
    ask: (...args) => ask(file, args, options({ timeoutMs: 10_000 })),
    pipe: (input, ...args) => run(file, args, options({ input })),
  };
}
