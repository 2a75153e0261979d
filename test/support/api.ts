/** The API server in the process, without certificates and sockets. */
import type { Clock } from '../../src/clock.ts';
import { type Log, silentLog } from '../../src/log.ts';
import { createAuthorizer } from '../../src/sandbox/access/rbac.ts';
import { createTokens } from '../../src/sandbox/access/tokens.ts';
import type { ApiClient } from '../../src/sandbox/api/client.ts';
import { createCrdKind } from '../../src/sandbox/api/crds.ts';
import type { ApiFault } from '../../src/sandbox/api/faults.ts';
import type { Subresource } from '../../src/sandbox/api/kind.ts';
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

/** An API in this process, with time turned by hand. */
export interface Api extends VerbParts {
  readonly verbs: Verbs;
  readonly client: ApiClient;
  readonly clock: HandClock;
}

/** An API that serves no kind yet. */
export interface BareApi extends Omit<Api, 'clock'> {
  /** Serves the built-in kinds; `podLog` answers `pods/log`. */
  serveCore(podLog?: Subresource): void;
}

/** What an API is made of. */
export interface ApiOptions {
  readonly clock: Clock;
  readonly log?: Log;
  /** May be added and taken away while the API is used. */
  readonly faults?: readonly ApiFault[];
  readonly history?: number;
}

/** Makes one. Nothing keeps house in it. */
export function bareApi({ clock, log = silentLog, faults = [], history }: ApiOptions): BareApi {
  const now = () => clock.now();
  const registry = createRegistry();
  const memory = new Memory(history === undefined ? {} : { history });
  const parts = { registry, memory, faults, now };
  const verbs = createVerbs(parts);
  const client = createLocalClient({ ...parts, verbs, log, manager: 'test' });
  return {
    ...parts,
    verbs,
    client,
    serveCore(podLog) {
      const authorizer = createAuthorizer(client);
      const tokens = createTokens({ reader: client, clock });
      const core = coreKinds({ now: () => new Date(now()), tokens, authorizer, podLog, reader: client });
      for (const kind of core) registry.put(kind);
    },
  };
}

/** Makes an API with the built-in kinds, the namespace `ci`, and `widgets`, a kind from a CRD with a status. */
export function createApi({ faults, history }: Pick<ApiOptions, 'faults' | 'history'> = {}): Api {
  const clock = new HandClock();
  const { serveCore, ...api } = bareApi({
    clock,
    ...(faults === undefined ? {} : { faults }),
    ...(history === undefined ? {} : { history }),
  });
  const { client, registry } = api;
  registry.put(createCrdKind({ registry, extras: new Map() }));
  serveCore();
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
  return { ...api, clock };
}
