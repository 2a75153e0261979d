/** The sandbox's API with Tekton's kinds and webhooks, in the process alone: no port, no kubelet, time turned by hand. */
import type { Clock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import { createAuthorizer } from '../../src/sandbox/access/rbac.ts';
import { createTokens } from '../../src/sandbox/access/tokens.ts';
import type { ApiClient } from '../../src/sandbox/api/client.ts';
import { createCrdKind, definitionsResource } from '../../src/sandbox/api/crds.ts';
import type { ApiFault } from '../../src/sandbox/api/faults.ts';
import { createLocalClient } from '../../src/sandbox/api/local.ts';
import { Memory } from '../../src/sandbox/api/memory.ts';
import { createRegistry } from '../../src/sandbox/api/registry.ts';
import { createVerbs } from '../../src/sandbox/api/verbs.ts';
import { coreKinds } from '../../src/sandbox/core/kinds.ts';
import { tektonCrds } from '../../src/sandbox/kinds/tekton.ts';
import { tektonWebhooks } from '../../src/sandbox/kinds/tektonwebhook.ts';
import type { Resource } from '../../src/sandbox/object.ts';

const namespaces: Resource = { group: '', version: 'v1', plural: 'namespaces' };
const serviceAccounts: Resource = { group: '', version: 'v1', plural: 'serviceaccounts' };

/** An API of a test's own. */
export interface TektonApi {
  readonly client: ApiClient;
  /** A namespace with the account that pods run as; nothing happens when it is there. */
  addNamespace(name: string): void;
}

/** Makes one; it needs no ending. Faults may be added and taken away while it is used. */
export function tektonApi(clock: Clock, faults: readonly ApiFault[] = []): TektonApi {
  const now = () => clock.now();
  const registry = createRegistry();
  const parts = { registry, memory: new Memory({}), faults, now };
  const client = createLocalClient({ ...parts, verbs: createVerbs(parts), log: silentLog, manager: 'test' });
  const authorizer = createAuthorizer(client);
  const tokens = createTokens({ reader: client, clock });
  registry.put(createCrdKind({ registry, extras: tektonWebhooks }));
  const core = coreKinds({ now: () => new Date(now()), tokens, authorizer, podLog: undefined, reader: client });
  for (const kind of core) registry.put(kind);
  for (const definition of tektonCrds()) client.create(definitionsResource, definition);
  return {
    client,
    addNamespace(name) {
      if (client.get(namespaces, '', name) !== undefined) return;
      client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      const metadata = { name: 'default', namespace: name };
      client.create(serviceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata });
    },
  };
}
