/**
 * An overlay of k8s/ installed as its first lines say, in a namespace of its own that enforces Pod Security `restricted`: what the
 * test adds to it is the namespace, the names of what belongs to the whole cluster, and where the pods find the API server.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join, relative } from 'node:path';
import { stringify } from 'yaml';
import { type Admin, type Manifest, manifestsIn } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import { checkout } from '../support/gateway.ts';
import { testLabel, type World } from '../support/world.ts';

/** Pods, one at a time and slowly: several suites share the machine. */
const ROLLOUT_MS = 600_000;

/** A rungate in the cluster. */
export interface Installation {
  /** Of the overlay (`base`, `ha`), or `chart`. */
  readonly name: string;
  readonly namespace: string;
  /** The name of its Deployment, and of its Service. */
  readonly deployment: string;
  readonly replicas: number;
  /** Of its Service, by address: `http://10.96.1.2:8080`. */
  readonly url: string;
  readonly credentials: { readonly username: string; readonly password: string };
  /** What installing said besides what it did: warnings. */
  readonly warnings: string;
  /** Waits until the Deployment is as it was asked to be. */
  rolledOut(): Promise<void>;
  /** Its pods that are not about to end. */
  pods(): Promise<readonly InstalledPod[]>;
  /** Waits until none of its pods is about to end any more: those of before a restart go on for as long as somebody listens. */
  noneEnding(): Promise<void>;
  /** Runs kubectl in its namespace and resolves with what it printed; throws where it fails. */
  kubectl(...args: string[]): Promise<string>;
}

/** A pod as the API server has it, as far as tests of installations look at it. */
export interface InstalledPod extends Manifest {
  readonly metadata: Manifest['metadata'] & {
    readonly name: string;
    readonly uid: string;
    readonly deletionTimestamp?: string;
  };
  readonly spec: { readonly containers: readonly { readonly image: string }[] };
  readonly status: {
    readonly containerStatuses?: readonly { readonly restartCount: number; readonly ready: boolean }[];
  };
}

/** How to install. */
export interface InstallOptions {
  /** The folder of k8s/: `overlays/ha`. */
  readonly folder: string;
  /** Set in the container besides what the folder sets. */
  readonly env: Readonly<Record<string, string>>;
}

/** A namespace that something is to be installed in, with the Secrets that it asks for. */
export interface Prepared extends Pick<Installation, 'namespace' | 'credentials' | 'kubectl'> {}

/** Makes the namespace `namespaceFor(world, name)`, and the Secrets `rungate-auth` and `rungate-cursor-key` in it. */
export async function prepare(world: World, name: string): Promise<Prepared> {
  const namespace = await restrictedNamespace(world, namespaceFor(world, name));
  const kubectl = kubectlIn(world, namespace);
  const credentials = { username: 'ci', password: randomBytes(16).toString('hex') };
  const literals = [`AUTH_USERNAME=${credentials.username}`, `AUTH_PASSWORD=${credentials.password}`];
  await kubectl('create', 'secret', 'generic', 'rungate-auth', ...literals.map((each) => `--from-literal=${each}`));
  const key = randomBytes(32).toString('hex');
  await kubectl('create', 'secret', 'generic', 'rungate-cursor-key', `--from-literal=key=${key}`);
  return { namespace, credentials, kubectl };
}

/** Installs a folder of k8s/ and does not wait for its pods. Its namespace is `namespaceFor(world, name)`; the image is there. */
export async function install(world: World, { folder, env }: InstallOptions): Promise<Installation> {
  const name = folder.split('/').at(-1) ?? '';
  const prepared = await prepare(world, name);
  const { namespace } = prepared;
  const overlay = join(world.folder, name);
  await writeOverlay(overlay, {
    namespace,
    resources: [relative(overlay, `${checkout}k8s/${folder}`)],
    patches: [...ownNames(namespace), { target: { kind: 'Deployment' }, patch: JSON.stringify(inContainer(env)) }],
  });
  const applied = await world.kubectl('apply', '-k', overlay);
  assert.equal(applied.code, 0, applied.stderr);
  return installationOf(world, prepared, { name, deployment: 'rungate', warnings: applied.stderr });
}

/** What has just been applied to a namespace, as an installation. Deployment and Service have one name. */
export async function installationOf(
  world: World,
  { namespace, credentials, kubectl }: Prepared,
  { name, deployment, warnings }: Pick<Installation, 'name' | 'deployment' | 'warnings'>,
): Promise<Installation> {
  const { admin } = world;
  const [service, { spec }] = await Promise.all([
    admin.get<{ spec: { clusterIP: string } }>(`/api/v1/namespaces/${namespace}/services/${deployment}`),
    admin.get<{ spec: { replicas: number } }>(`/apis/apps/v1/namespaces/${namespace}/deployments/${deployment}`),
  ]);
  const podsPath = `/api/v1/namespaces/${namespace}/pods?labelSelector=app.kubernetes.io/name=rungate`;
  return {
    name,
    namespace,
    deployment,
    replicas: spec.replicas,
    url: `http://${service.spec.clusterIP}:8080`,
    credentials,
    warnings,
    kubectl,
    rolledOut: async () => {
      await kubectl('rollout', 'status', `deployment/${deployment}`, `--timeout=${ROLLOUT_MS / 1000}s`);
    },
    pods: async () => {
      const { items } = await admin.get<{ items: readonly InstalledPod[] }>(podsPath);
      return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    },
    noneEnding: () => noPodEnding(admin, podsPath),
  };
}

/** The namespace that a folder of this name is installed in. */
export function namespaceFor({ namespace }: World, name: string): string {
  return `${namespace}-${name}`;
}

/** Makes a namespace that enforces `restricted` and warns of what it would refuse. It bears the label by which leavings are found. */
export async function restrictedNamespace({ admin, namespace }: World, name: string): Promise<string> {
  const { metadata } = await admin.get(`/api/v1/namespaces/${namespace}`);
  const labels = {
    [testLabel]: metadata.labels?.[testLabel] ?? '',
    'pod-security.kubernetes.io/enforce': 'restricted',
    'pod-security.kubernetes.io/warn': 'restricted',
  };
  await admin.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  await eventually(() => admin.get(`/api/v1/namespaces/${name}/serviceaccounts/default`), { withinMs: 90_000 });
  return name;
}

/** kubectl in a namespace; throws with what it complained about where it fails. */
export function kubectlIn(world: World, namespace: string): Installation['kubectl'] {
  return async (...args) => {
    const { code, stdout, stderr } = await world.kubectl('--namespace', namespace, ...args);
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
}

/** Writes a kustomization into a folder of its own. */
export async function writeOverlay(folder: string, kustomization: object): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'kustomization.yaml'), stringify(kustomization));
}

/** What an overlay comes to. */
export async function rendered(world: World, folder: string): Promise<readonly Manifest[]> {
  const { code, stdout, stderr } = await world.kubectl('kustomize', folder);
  assert.equal(code, 0, stderr);
  return manifestsIn(stdout);
}

/** Roles of the whole cluster, and their bindings, get names that nobody else has. */
function ownNames(suffix: string): readonly object[] {
  return ['rungate-read', 'rungate-triggers'].flatMap((name) => [
    {
      target: { kind: 'ClusterRole', name },
      options: { allowNameChange: true },
      patch: JSON.stringify([{ op: 'replace', path: '/metadata/name', value: `${name}-${suffix}` }]),
    },
    {
      target: { kind: 'ClusterRoleBinding', name },
      options: { allowNameChange: true },
      patch: JSON.stringify([
        { op: 'replace', path: '/metadata/name', value: `${name}-${suffix}` },
        { op: 'replace', path: '/roleRef/name', value: `${name}-${suffix}` },
      ]),
    },
  ]);
}

function inContainer(env: Readonly<Record<string, string>>): object {
  const variables = Object.entries(env).map(([name, value]) => ({ name, value }));
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'any' },
    spec: { template: { spec: { containers: [{ name: 'rungate', env: variables }] } } },
  };
}

/** Deletes what installations and tests of rights left outside of namespaces: whatever of the cluster ends in `suffix`. */
export async function removeClusterRoles({ admin }: World, suffix: string): Promise<void> {
  for (const plural of ['clusterrolebindings', 'clusterroles']) {
    const path = `/apis/rbac.authorization.k8s.io/v1/${plural}`;
    const { items } = await admin.get<{ items: readonly Manifest[] }>(path);
    for (const { metadata } of items)
      if (metadata.name?.endsWith(suffix)) await admin.remove(`${path}/${metadata.name}`);
  }
}

/** Roles and bindings of an installation, given in another namespace as well: what is done for each that it serves. */
export async function serve(world: World, installation: Installation, namespace: string): Promise<void> {
  const suffix = installation.name;
  for (const object of await rendered(world, join(world.folder, installation.name))) {
    const { kind, metadata } = object;
    if (!['Role', 'RoleBinding'].includes(kind) || metadata.name === 'rungate-lease') continue;
    const name = `${metadata.name}-${suffix}`;
    const roleRef = object.roleRef as { readonly name: string } | undefined;
    await world.admin.apply({
      ...object,
      metadata: { ...metadata, name, namespace },
      ...(roleRef === undefined ? {} : { roleRef: { ...roleRef, name: `${roleRef.name}-${suffix}` } }),
    });
  }
}

/** A door before the API server: TLS passes through it, until it is shut. */
export interface Door {
  /** As the pods are told of it. */
  readonly env: { readonly KUBERNETES_SERVICE_HOST: string; readonly KUBERNETES_SERVICE_PORT: string };
  /** Ends every connection; each that comes from now on is ended at once and counted, as of a server that is being restarted. */
  shut(): void;
  /** How many came since it was shut, by the address that they came from. */
  readonly knocks: ReadonlyMap<string, number>;
  open(): void;
  end(): Promise<void>;
}

/** Opens a door on the address of the API server itself, which its certificate is for. */
export async function openDoor(server: string): Promise<Door> {
  const { hostname, port } = new URL(server);
  const sockets = new Set<Socket>();
  const knocks = new Map<string, number>();
  let isShut = false;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    return socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  };
  const door = createServer((client) => {
    keep(client);
    if (isShut) {
      const from = client.remoteAddress ?? '';
      knocks.set(from, (knocks.get(from) ?? 0) + 1);
      client.destroy();
      return;
    }
    const upstream = keep(connect(Number(port), hostname));
    client.pipe(upstream).pipe(client);
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroy());
  }).listen(0, hostname);
  await once(door, 'listening');
  const address = door.address();
  assert.ok(address !== null && typeof address === 'object');
  return {
    env: { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: String(address.port) },
    knocks,
    shut() {
      knocks.clear();
      isShut = true;
      for (const socket of sockets) socket.destroy();
    },
    open() {
      isShut = false;
    },
    async end() {
      door.close();
      for (const socket of sockets) socket.destroy();
      await once(door, 'close');
    },
  };
}

/** Waits until no pod of a list is about to end: who asks for any pod of a Service may be led to one that is. */
export async function noPodEnding(admin: Admin, path: string): Promise<void> {
  await eventually(
    async () => {
      const { items } = await admin.get<{ items: readonly InstalledPod[] }>(path);
      const ending = items.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
      assert.deepEqual(
        ending.map(({ metadata }) => metadata.name),
        [],
      );
    },
    { withinMs: 240_000, everyMs: 250 },
  );
}
