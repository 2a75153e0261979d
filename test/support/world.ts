/**
 * The world of one test file: namespaces of its own on a real cluster or in a sandbox, the real rungate in front of them
 * with no more rights than k8s/base gives, and between the two, if wanted, a proxy that breaks things. All of it ends with
 * the file.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type Admin, AdminError, type Manifest, manifestsIn, openAdmin } from './admin.ts';
import { eventually } from './eventually.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { checkout, type Gateway, startGateway } from './gateway.ts';
import { cacheVariable, findGround, type Ground } from './ground.ts';
import { type Ran, runProgram } from './program.ts';
import { objectsOf, type Right, without } from './rights.ts';

/** Namespaces of tests carry this label, with the process and machine that made them, so that what a killed one left can be found. */
export const testLabel = 'rungate.dev/test';

/** A run has several pods one after another, and each may take a minute on a node that others use as well. */
const FINISHED_MS = { cluster: 280_000, sandbox: 120_000 };
/** Commands of kubectl that wait are told by themselves for how long. */
const KUBECTL_MS = 900_000;

const machine = hostname()
  .replace(/[^a-z0-9]/gi, '')
  .slice(0, 40);

/** What a test file wants to begin with. */
export interface WorldOptions {
  /** How many namespaces; 1 unless told. The first is rungate's NAMESPACE, the rest are in NAMESPACES. */
  readonly namespaces?: number;
  /** Puts a fault proxy between rungate and the API server. */
  readonly faults?: boolean;
  /** Added to rungate's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** A sandbox keeps logs whole, as the clusters of `npm run cluster` do, instead of rotating them at 10 MiB. */
  readonly wholeLogs?: boolean;
  /** Where the world stands; where the tests of this process do unless told. */
  readonly ground?: Ground['kind'];
  /** `false`: rungate is not started; the test does that with `startGateway`. */
  readonly gateway?: boolean;
  /** Folders of k8s/components whose rights rungate has besides those of k8s/base; with any of them k8s/crds is applied. */
  readonly components?: readonly string[];
  /** A right that rungate is not given. */
  readonly without?: Right;
}

/** The condition of type Succeeded, as the API server has it. */
export interface Succeeded {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/** A pod as the API server has it, as far as tests look at it. */
export interface PodManifest extends Manifest {
  readonly metadata: Manifest['metadata'] & { readonly name: string; readonly creationTimestamp: string };
  readonly spec: { readonly nodeName?: string; readonly containers: readonly { readonly name: string }[] };
  readonly status: {
    readonly phase?: string;
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly restartCount: number;
      readonly state: {
        readonly waiting?: object;
        readonly running?: object;
        readonly terminated?: { readonly exitCode: number };
      };
    }[];
  };
}

/** How to start a run. */
export interface RunOptions {
  /** Its name; made from the manifest's name when left out. */
  readonly name?: string;
  readonly params?: Readonly<Record<string, string | readonly string[]>>;
  readonly namespace?: string;
}

/** What flows are written against. Names without a namespace are in the first one. */
export interface World extends AsyncDisposable {
  readonly namespace: string;
  readonly namespaces: readonly string[];
  /** Whether it stands on a real cluster or in a sandbox. */
  readonly ground: Ground['kind'];
  /** The administrator of the cluster. */
  readonly admin: Admin;
  /** The proxy in front of the API server. Throws unless the world was started with `faults`. */
  readonly faults: FaultProxy;
  /** The rungate that was started first. Throws when there is none. */
  readonly gateway: Gateway;
  /** Starts a(nother) rungate on the same namespaces with `env` added; it ends with the world. `ready: false` does not wait. */
  startGateway(options?: {
    readonly args?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly ready?: boolean;
  }): Promise<Gateway>;
  /** A kubeconfig file for rungate's ServiceAccount in the first namespace, through the proxy if there is one. */
  readonly kubeconfig: string;
  /** A folder that ends with the world. */
  readonly folder: string;

  /** Applies objects; their namespace is filled in. Resolves with what the API server keeps, in order. */
  apply(objects: string | Manifest): Promise<Manifest[]>;
  /**
   * Starts a PipelineRun and resolves with its name. `manifest` is the name of a file in test/cluster/runs, or YAML; other
   * objects in it (Pipelines, Tasks) are applied first.
   */
  run(manifest: string, options?: RunOptions): Promise<string>;
  /** Merges into a PipelineRun: `patch(run, { spec: { status: 'Cancelled' } })`. */
  patch(run: string, merge: object): Promise<void>;
  /** Deletes a PipelineRun, and waits until it is gone when `wait` says so. */
  remove(run: string, options?: { readonly wait?: boolean }): Promise<void>;
  /** The PipelineRun as the API server has it. Throws when it is not there. */
  read(run: string): Promise<Manifest>;
  /** Its condition; undefined before the controller has seen it. */
  condition(run: string): Promise<Succeeded | undefined>;
  /** Waits until it is True or False (2 minutes unless told, on a cluster nearly 5) and resolves with that. */
  finished(run: string, options?: { readonly withinMs?: number }): Promise<Succeeded>;
  /** Its pods, oldest first: of every task and attempt, but not of runs below it. */
  pods(run: string): Promise<PodManifest[]>;
  /** The newest pod of a pipeline task, once it runs or has run; waits for that. */
  podOf(run: string, pipelineTask: string, options?: { readonly withinMs?: number }): Promise<PodManifest>;
  /** What the API server's log endpoint serves for a container now, byte for byte: the truth to compare with. */
  kubeletLog(pod: string, container: string, query?: string): Promise<Buffer>;

  /** Runs the real curl with these arguments, and rungate's credentials before them. */
  curl(...args: string[]): Promise<Ran>;
  /** Runs the real kubectl as administrator. */
  kubectl(...args: string[]): Promise<Ran>;
  /** Runs the real tkn as administrator, in the first namespace. Suites that use it say `{ tkn: true }` among their needs. */
  tkn(...args: string[]): Promise<Ran>;
  /** Ends everything that was started. Calling it again is harmless. */
  end(): Promise<void>;
}

/** The ends of the worlds that are there. Whoever interrupts a test wants them gone as well. */
const open = new Set<() => Promise<void>>();

function endOnSignals(): void {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => {
      process.once(signal, () => process.exit(code)); // a second one does not wait
      void Promise.allSettled([...open].map((end) => end())).then(() => process.exit(code));
    });
  }
}

/** Starts a world on the ground that the environment means. What was begun is ended again when it cannot be had whole. */
export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const { namespaces: count = 1, faults: faulty = false, env = {}, gateway: wanted = true } = options;
  const { components = [] } = options;
  const id = randomBytes(4).toString('hex');
  const namespaces = Array.from({ length: count }, (_, place) =>
    place === 0 ? `test-${id}` : `test-${id}-${place + 1}`,
  );
  const namespace = namespaces[0] ?? '';
  const folder = await mkdtemp(join(tmpdir(), 'rungate-test-'));

  // Ended from the last to the first.
  const endings: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  let ended: Promise<void> | undefined;
  const end = () => {
    ended ??= (async () => {
      open.delete(end);
      const failures: unknown[] = [];
      for (const ending of endings.reverse()) await ending().catch((error: unknown) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    })();
    return ended;
  };
  if (open.size === 0 && process.listenerCount('SIGINT') === 0) endOnSignals();
  open.add(end);

  try {
    const ground = await findGround(folder, options.ground, { wholeLogs: options.wholeLogs ?? false });
    endings.push(() => ground.end());
    const admin = await openAdmin(ground.kubeconfig);
    endings.push(() => Promise.all(namespaces.map((name) => admin.remove(`/api/v1/namespaces/${name}`))));
    await Promise.all(namespaces.map((name) => makeNamespace(admin, name)));
    if (components.length > 0) await applyDefinitions(admin);
    const folders = ['base', ...components.map((component) => `components/${component}`)];
    for (const folder of folders) await grant(admin, folder, namespaces, options.without);
    const token = await tokenFor(admin, namespace);
    const proxy = faulty ? await startFaultProxy({ url: admin.server, authority: admin.authority }) : undefined;
    if (proxy) endings.push(() => proxy.close());
    const kubeconfig = join(folder, 'kubeconfig');
    const [server, authority] = proxy ? [proxy.url, proxy.authority] : [admin.server, admin.authority];
    await writeFile(kubeconfig, kubeconfigFor({ server, authority, namespace, token }), { mode: 0o600 });

    const gateways: Gateway[] = [];
    const start: World['startGateway'] = async ({ args = [], env: more = {}, ready = true } = {}) => {
      const started = await startGateway({
        args,
        env: {
          KUBECONFIG: kubeconfig,
          NAMESPACE: namespace,
          NAMESPACES: namespaces.join(','),
          CACHE: process.env[cacheVariable] ?? 'on',
          ...env,
          ...more,
        },
        logFile: join(folder, `rungate-${gateways.length + 1}.log`),
        ready,
      });
      gateways.push(started);
      endings.push(() => started.stop('SIGKILL'));
      return started;
    };
    if (wanted) await start();

    const runPath = (name: string) => `/apis/tekton.dev/v1/namespaces/${namespace}/pipelineruns/${name}`;
    const world: World = {
      namespace,
      namespaces,
      ground: ground.kind,
      admin,
      kubeconfig,
      folder,
      get faults() {
        if (!proxy) throw new Error('this world was started without `faults`');
        return proxy;
      },
      get gateway() {
        const [first] = gateways;
        if (!first) throw new Error('no gateway was started in this world');
        return first;
      },
      startGateway: start,

      apply: async (objects) => {
        const applied: Manifest[] = [];
        for (const object of typeof objects === 'string' ? manifestsIn(objects) : [objects]) {
          applied.push(await admin.apply(inNamespace(object, namespace)));
        }
        return applied;
      },
      run: async (manifest, { name, params = {}, namespace: where = namespace } = {}) => {
        const file = manifest.includes('\n') ? undefined : `${checkout}test/cluster/runs/${manifest}.yaml`;
        const objects = manifestsIn(file ? await readFile(file, 'utf8') : manifest);
        const run = objects.find(({ kind }) => kind === 'PipelineRun');
        if (!run) throw new Error(`no PipelineRun in ${file ?? 'the YAML'}`);
        for (const object of objects) if (object !== run) await admin.apply(inNamespace(object, where));
        const created = await admin.create(named(withParams(inNamespace(run, where), params), name));
        return created.metadata.name ?? '';
      },
      patch: async (run, merge) => void (await admin.patch(runPath(run), merge)),
      remove: async (run, { wait = false } = {}) => {
        await admin.remove(runPath(run));
        if (wait) await eventually(() => absent(admin, runPath(run)), { withinMs: 240_000 });
      },
      read: (run) => admin.get(runPath(run)),
      condition: async (run) => succeeded(await admin.get(runPath(run))),
      finished: (run, { withinMs = FINISHED_MS[ground.kind] } = {}) =>
        eventually(
          async () => {
            const condition = succeeded(await admin.get(runPath(run)));
            if (condition?.status === 'True' || condition?.status === 'False') return condition;
            throw new Error(`${run} is still ${condition?.reason ?? 'not seen'}: ${condition?.message ?? ''}`);
          },
          { withinMs, everyMs: 200 },
        ),
      pods: (run) => podsLabelled(admin, namespace, `tekton.dev/pipelineRun=${run}`),
      podOf: (run, task, { withinMs = 240_000 } = {}) =>
        eventually(
          async () => {
            const pods = await podsLabelled(
              admin,
              namespace,
              `tekton.dev/pipelineRun=${run},tekton.dev/pipelineTask=${task}`,
            );
            const pod = pods.at(-1);
            if (pod && pod.status.phase !== 'Pending') return pod;
            throw new Error(`task ${task} of ${run}: ${pod ? `pod ${pod.metadata.name} is pending` : 'no pod yet'}`);
          },
          { withinMs, everyMs: 200 },
        ),
      kubeletLog: async (pod, container, query = '') => {
        const path = `/api/v1/namespaces/${namespace}/pods/${pod}/log?container=${container}${query && `&${query}`}`;
        const answer = await admin.bytes(path);
        if (answer.status !== 200) throw new AdminError('GET', path, answer);
        return answer.body;
      },

      curl: (...args) => {
        const { username, password } = world.gateway.credentials;
        return runProgram('curl', ['--user', `${username}:${password}`, ...args]);
      },
      kubectl: (...args) =>
        runProgram(ground.kubectl ?? 'kubectl', ['--kubeconfig', ground.kubeconfig, ...args], { withinMs: KUBECTL_MS }),
      tkn: (...args) =>
        runProgram(ground.tkn ?? 'tkn', [...args, '--kubeconfig', ground.kubeconfig, '--namespace', namespace]),
      end,
      [Symbol.asyncDispose]: end,
    };
    return world;
  } catch (error) {
    await end().catch(() => {}); // what went wrong first is what matters
    throw error;
  }
}

/** Deletes the namespaces that processes of this machine left behind when they were killed, and does not wait for it. */
export async function removeLeftNamespaces(admin: Admin): Promise<void> {
  const { items } = await admin.get<{ items: readonly Manifest[] }>(`/api/v1/namespaces?labelSelector=${testLabel}`);
  for (const { metadata } of items) {
    const [pid, where] = metadata.labels?.[testLabel]?.split('-') ?? [];
    if (where === machine && !isAlive(Number(pid))) await admin.remove(`/api/v1/namespaces/${metadata.name}`);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function makeNamespace(admin: Admin, name: string): Promise<void> {
  await admin.create({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { [testLabel]: `${process.pid}-${machine}` } },
  });
  // Pods name the account `default`; a TaskRun that comes before it fails for good.
  await eventually(() => admin.get(`/api/v1/namespaces/${name}/serviceaccounts/default`), { withinMs: 90_000 });
}

/** Applies k8s/crds, which hold for the whole cluster and are left there, and waits until they are served. */
export async function applyDefinitions(admin: Admin): Promise<void> {
  for (const object of objectsOf('crds')) {
    await admin.apply(object);
    await discovered(admin, object);
  }
}

/**
 * Waits until discovery tells of a kind, in each of its versions: one that is established may not be found yet, and a
 * rungate that does not find it looks again after a minute.
 */
export async function discovered(admin: Admin, definition: Manifest): Promise<void> {
  const { group, names, versions } = definition.spec as {
    readonly group: string;
    readonly names: { readonly plural: string };
    readonly versions: readonly { readonly name: string; readonly served: boolean }[];
  };
  await eventually(
    async () => {
      for (const { name: version, served } of versions) {
        if (!served) continue;
        const { resources } = await admin.get<{ resources: { name: string }[] }>(`/apis/${group}/${version}`);
        const isThere = resources.some(({ name }) => name === names.plural);
        assert.ok(isThere, `${group}/${version} has no ${names.plural} yet`);
      }
    },
    { withinMs: 90_000 },
  );
}

/**
 * Installs a folder of k8s/ as its kustomization says: the account, and what lies in rungate's own namespace, in the first,
 * roles and bindings in each.
 */
async function grant(
  admin: Admin,
  folder: string,
  namespaces: readonly string[],
  missing: Right | undefined,
): Promise<void> {
  for (const object of objectsOf(folder)) {
    const isAtHome = object.kind === 'ServiceAccount' || object.metadata.name === 'rungate-lease';
    for (const place of isAtHome ? namespaces.slice(0, 1) : namespaces) {
      const given = missing === undefined ? object : without(object, missing);
      await admin.apply(moved(given, place, namespaces[0] ?? ''));
    }
  }
}

/** An object of k8s/ in a namespace, its subjects in that of the account: what kustomize's `namespace:` does. */
function moved(object: Manifest, namespace: string, account: string): Manifest {
  const subjects = object.subjects as readonly object[] | undefined;
  return {
    ...object,
    metadata: { ...object.metadata, namespace },
    ...(subjects ? { subjects: subjects.map((subject) => ({ ...subject, namespace: account })) } : {}),
  };
}

async function tokenFor(admin: Admin, namespace: string): Promise<string> {
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 86_400 } };
  const { status } = await admin.post<{ status: { token: string } }>(
    `/api/v1/namespaces/${namespace}/serviceaccounts/rungate/token`,
    request,
  );
  return status.token;
}

/** A kubeconfig with one cluster and a bearer token. */
export function kubeconfigFor(at: {
  readonly server: string;
  readonly authority: string;
  readonly namespace: string;
  readonly token: string;
}): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'test',
        cluster: { server: at.server, 'certificate-authority-data': Buffer.from(at.authority).toString('base64') },
      },
    ],
    users: [{ name: 'rungate', user: { token: at.token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'rungate', namespace: at.namespace } }],
    'current-context': 'test',
  });
}

function inNamespace(object: Manifest, namespace: string): Manifest {
  return { ...object, metadata: { ...object.metadata, namespace: object.metadata.namespace ?? namespace } };
}

/** A manifest's own name may be used once; every other run of it gets a suffix. */
function named(object: Manifest, name: string | undefined): Manifest {
  const { name: own, ...metadata } = object.metadata;
  if (name !== undefined) return { ...object, metadata: { ...metadata, name } };
  return { ...object, metadata: { generateName: `${own ?? 'run'}-`, ...metadata } };
}

function withParams(run: Manifest, params: NonNullable<RunOptions['params']>): Manifest {
  const spec = run.spec as { readonly params?: readonly { readonly name: string }[] };
  const given = Object.entries(params).map(([name, value]) => ({ name, value }));
  const kept = (spec.params ?? []).filter(({ name }) => !(name in params));
  return { ...run, spec: { ...spec, params: [...kept, ...given] } };
}

function succeeded(run: Manifest): Succeeded | undefined {
  const status = run.status as { readonly conditions?: readonly (Succeeded & { readonly type: string })[] } | undefined;
  return status?.conditions?.find(({ type }) => type === 'Succeeded');
}

async function podsLabelled(admin: Admin, namespace: string, selector: string): Promise<PodManifest[]> {
  const { items } = await admin.get<{ items: PodManifest[] }>(
    `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`,
  );
  return items.sort((a, b) => a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp));
}

async function absent(admin: Admin, path: string): Promise<void> {
  const { status } = await admin.bytes(path);
  if (status !== 404) throw new Error(`${path} is still there`);
}

/** The SHA-256 of bytes, to compare logs that are too long to print. */
export function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
