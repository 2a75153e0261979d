/** The sandbox's API with Tekton's kinds and webhooks, in the process alone: no port, no kubelet, time turned by hand. */
import type { Clock } from '../../src/clock.ts';
import type { ApiClient } from '../../src/sandbox/api/client.ts';
import { createCrdKind, definitionsResource } from '../../src/sandbox/api/crds.ts';
import type { ApiFault } from '../../src/sandbox/api/faults.ts';
import { tektonCrds } from '../../src/sandbox/kinds/tekton.ts';
import { tektonWebhooks } from '../../src/sandbox/kinds/tektonwebhook.ts';
import { bareApi, resources } from './api.ts';

/** An API of a test's own. */
export interface TektonApi {
  readonly client: ApiClient;
  /** A namespace with the account that pods run as; nothing happens when it is there. */
  addNamespace(name: string): void;
}

/** Makes one; it needs no ending. Faults may be added and taken away while it is used. */
export function tektonApi(clock: Clock, faults: readonly ApiFault[] = []): TektonApi {
  const { client, registry, serveCore } = bareApi({ clock, faults });
  registry.put(createCrdKind({ registry, extras: tektonWebhooks }));
  serveCore();
  for (const definition of tektonCrds()) client.create(definitionsResource, definition);
  return {
    client,
    addNamespace(name) {
      if (client.get(resources.namespaces, '', name) !== undefined) return;
      client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      const metadata = { name: 'default', namespace: name };
      client.create(resources.serviceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata });
    },
  };
}
