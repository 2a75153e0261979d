/** The API server in the process, without certificates and sockets, with time turned by hand. */

import { silentLog } from '../../src/log.ts';
import { createAuthorizer } from '../../src/sandbox/access/rbac.ts';
import { createTokens } from '../../src/sandbox/access/tokens.ts';
import type { ApiClient } from '../../src/sandbox/api/client.ts';
import { createCrdKind } from '../../src/sandbox/api/crds.ts';
import type { ApiFault } from '../../src/sandbox/api/faults.ts';
import { createLocalClient } from '../../src/sandbox/api/local.ts';
import { Memory } from '../../src/sandbox/api/memory.ts';
import { createRegistry } from '../../src/sandbox/api/registry.ts';
import { createVerbs, type VerbParts, type Verbs } from '../../src/sandbox/api/verbs.ts';
import { coreKinds } from '../../src/sandbox/core/kinds.ts';
import type { Resource } from '../../src/sandbox/object.ts';
import { HandClock } from './hand-clock.ts';

/** Resources that tests ask for, by name. */
export const resources = {
  namespaces: { group: '', version: 'v1', plural: 'namespaces' },
  configMaps: { group: '', version: 'v1', plural: 'configmaps' },
  secrets: { group: '', version: 'v1', plural: 'secrets' },
  pods: { group: '', version: 'v1', plural: 'pods' },
  serviceAccounts: { group: '', version: 'v1', plural: 'serviceaccounts' },
  leases: { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' },
  definitions: { group: 'apiextensions.k8s.io', version: 'v1', plural: 'customresourcedefinitions' },
  widgets: { group: 'test.rungate.dev', version: 'v1', plural: 'widgets' },
} as const satisfies Record<string, Resource>;

/** An API with the built-in kinds, the namespace `ci`, and `widgets`, a kind from a CRD with a status. */
export interface Api extends VerbParts {
  readonly verbs: Verbs;
  readonly client: ApiClient;
  readonly clock: HandClock;
}

/** Makes one. Nothing keeps house in it. */
export function createApi({ faults = [], history }: { faults?: readonly ApiFault[]; history?: number } = {}): Api {
  const clock = new HandClock();
  const now = () => clock.now();
  const registry = createRegistry();
  const memory = new Memory(history === undefined ? {} : { history });
  const parts = { registry, memory, faults, now };
  const verbs = createVerbs(parts);
  const client = createLocalClient({ ...parts, verbs, log: silentLog, manager: 'test' });
  const authorizer = createAuthorizer(client);
  const tokens = createTokens({ reader: client, clock });
  registry.put(createCrdKind({ registry, extras: new Map() }));
  const core = { now: () => new Date(now()), tokens, authorizer, podLog: undefined, reader: client };
  for (const kind of coreKinds(core)) registry.put(kind);
  client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ci' } });
  client.create(resources.definitions, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.test.rungate.dev' },
    spec: {
      group: 'test.rungate.dev',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                spec: { type: 'object', properties: { size: { type: 'integer' }, colour: { type: 'string' } } },
                status: { type: 'object', properties: { phase: { type: 'string' } } },
              },
            },
          },
        },
      ],
    },
  });
  return { ...parts, verbs, client, clock };
}
