/** What to do while the cluster has not answered yet: a person at a terminal wants to know, a pod is to keep trying. */

/** What is known when another try has failed. */
export interface Unreached {
  /** Whether somebody reads what we print. */
  readonly terminal: boolean;
  /** `KUBERNETES_SERVICE_HOST` of the environment: set in every pod. */
  readonly serviceHost: string | undefined;
  /** Whether it has answered before: from then on its absence is a disturbance, not a mistake of the start. */
  readonly everReached: boolean;
  /** Since the first try. */
  readonly elapsedMs: number;
}

/** How long a person waits for the first answer. */
export const PATIENCE_MS = 10_000;

/** Whether to try again. Where it is `give-up`, `main` prints `unreachedText` and exits with 3. */
export function afterFailedTry({
  terminal,
  serviceHost,
  everReached,
  elapsedMs,
}: Unreached): 'keep-trying' | 'give-up' {
  const mayGiveUp = terminal && !serviceHost && !everReached;
  return mayGiveUp && elapsedMs >= PATIENCE_MS ? 'give-up' : 'keep-trying';
}

/** What to print then. `tried` is where we looked (`Connection.describe`), `reason` how the last try failed. */
export function unreachedText({ tried, reason }: { readonly tried?: string; readonly reason: string }): string {
  return [
    `rungate cannot reach a Kubernetes cluster. ${tried === undefined ? '' : `Tried ${tried}: `}${reason.replace(/\.?$/, '.')}`,
    'Ways out:',
    '  KUBECONFIG=<path> npm start      use the cluster that file names (or --kubeconfig, --context)',
    '  npm run cluster -- up            raise a cluster with Tekton on this machine; `env` in place of `up` names it',
    '',
  ].join('\n');
}
