/** Where several rungates of one world run, each with a ServiceAccount and a wire of its own: who wrote what can be told. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from './admin.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import type { Gateway } from './gateway.ts';
import { kubeconfigFor, type World } from './world.ts';

/** A place for one process at a time. */
export interface Place {
  /** `rungate-a`: the name of the ServiceAccount, and what the identity in a Lease begins with. */
  readonly name: string;
  /** The only way from here to the API server. */
  readonly faults: FaultProxy;
  /** The process that was started last. Throws when there was none. */
  readonly gateway: Gateway;
  /** Starts a process with the part `triggers` alone, with `env` added, and waits until it answers. */
  start(env?: Readonly<Record<string, string>>): Promise<Gateway>;
  /** Whether its process says that it leads; false where none answers. */
  leads(): Promise<boolean>;
  /** Takes the network away: what is open breaks, and what comes is never answered. Returns the end of that. */
  cut(): () => void;
  /** Ends the proxy. Processes end with the world. */
  close(): Promise<void>;
}

/** Makes a place; its account has the rights that the world's rungates have. */
export async function openPlace(world: World, letter: string): Promise<Place> {
  const { admin, namespace, folder } = world;
  const name = `rungate-${letter}`;
  const account = { kind: 'ServiceAccount', name, namespace };
  await admin.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } });
  const rights = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`;
  const { items } = await admin.get<{ items: readonly (Manifest & { readonly roleRef: object })[] }>(rights);
  for (const { metadata, roleRef } of items.filter(({ metadata }) =>
    /^rungate(-triggers|-lease)?$/.test(metadata.name ?? ''),
  )) {
    await admin.apply({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: `${metadata.name}-of-${letter}`, namespace },
      roleRef,
      subjects: [account],
    });
  }
  const { status } = await admin.post<{ status: { token: string } }>(
    `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 86_400 } },
  );
  const faults = await startFaultProxy({ url: admin.server, authority: admin.authority });
  const kubeconfig = join(folder, `kubeconfig-${letter}`);
  const at = { server: faults.url, authority: faults.authority, namespace, token: status.token };
  await writeFile(kubeconfig, kubeconfigFor(at), { mode: 0o600 });

  let latest: Gateway | undefined;
  return {
    name,
    faults,
    get gateway() {
      if (latest === undefined) throw new Error(`nothing was started at ${name}`);
      return latest;
    },
    async start(env = {}) {
      latest = await world.startGateway({
        env: { KUBECONFIG: kubeconfig, PARTS: 'triggers', POD_NAME: name, ...env },
      });
      return latest;
    },
    leads: async () => (await latest?.metric('rungate_leader').catch(() => 0)) === 1,
    cut() {
      const heal = faults.add({ on: {}, fault: { kind: 'silence' } });
      faults.reset();
      return () => {
        heal();
        faults.reset(); // what was silent is asked again
      };
    },
    close: () => faults.close(),
  };
}

/** The one of these places that leads. Throws when it is none of them, or more than one. */
export async function leaderOf(places: readonly Place[]): Promise<Place> {
  const lead = await Promise.all(places.map((place) => place.leads()));
  const [leader, ...others] = places.filter((_, at) => lead[at]);
  if (leader === undefined || others.length > 0) throw new Error(`${others.length + (leader ? 1 : 0)} of them lead`);
  return leader;
}
