/** What to do while the cluster has not answered yet: a person at a terminal wants to know, a pod is to keep trying. */

/** How long a person waits for the first answer. */
export const PATIENCE_MS = 10_000;

/**
 * Whether a start that gets no answer in `PATIENCE_MS` ends. `terminal`: somebody reads what we print. `serviceHost`:
 * `KUBERNETES_SERVICE_HOST` of the environment, which is set in every pod, also in one with a terminal.
 */
export function givesUp({
  terminal,
  serviceHost,
}: {
  readonly terminal: boolean;
  readonly serviceHost: string | undefined;
}): boolean {
  return terminal && !serviceHost;
}

/** What to print then. `tried` is where we looked, when there was something to try; `reason` what came of it. */
export function unreachedText({ tried, reason }: { readonly tried?: string; readonly reason: string }): string {
  const what = tried === undefined ? reason : `tried ${tried}: ${reason}`;
  return [
    `rungate cannot reach a Kubernetes cluster: ${what.replace(/\.$/, '')}.`,
    'Ways out:',
    '  KUBECONFIG=<path> npm start      use the cluster that file names (or --kubeconfig, --context)',
    '  npm run demo                     try it without one: a Kubernetes with Tekton and Flux in one process',
    '  npm run cluster -- up            raise a cluster with Tekton on this machine; `env` in place of `up` names it',
    '',
  ].join('\n');
}
