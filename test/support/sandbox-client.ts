/** A sandbox as rungate itself meets it: its client, over HTTPS. */
import { type KubeClient, kubeClient } from '../../src/kube/client.ts';
import type { Connection } from '../../src/kube/connect.ts';
import { silentMetrics } from '../../src/metrics.ts';
import type { RunningSandbox } from './sandbox.ts';

/** A client with the rights of `token`, the administrator's unless told. Close it before the sandbox ends. */
export function sandboxClient(sandbox: RunningSandbox, token = sandbox.token): KubeClient {
  const connection: Connection = {
    server: new URL(sandbox.url),
    describe: 'the sandbox',
    requestOptions: async () => ({ headers: { Authorization: `Bearer ${token}` }, ca: sandbox.authority }),
    refreshCredentials: async () => {},
  };
  return kubeClient(connection, { metrics: silentMetrics });
}
