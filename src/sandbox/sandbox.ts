/** The sandbox put together: a Kubernetes with Tekton and Flux inside this process, met over HTTPS. */
import { randomBytes } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import type { Part } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { bootstrapRoles } from './access/bootstrap.ts';
import { createAuthorizer } from './access/rbac.ts';
import { createTokens } from './access/tokens.ts';
import { createAccess } from './api/admission.ts';
import { issueCertificate } from './api/certificate.ts';
import type { ApiClient, NewObject } from './api/client.ts';
import { cleanUpDefinitions, createCrdKind } from './api/crds.ts';
import type { ApiFault } from './api/faults.ts';
import { collectGarbage } from './api/garbage.ts';
import { keepHouse, layOutNamespaces } from './api/housekeeping.ts';
import { createLocalClient } from './api/local.ts';
import { Memory } from './api/memory.ts';
import { createRegistry } from './api/registry.ts';
import { resourceServer } from './api/resources.ts';
import { rootServer } from './api/roots.ts';
import { apiHandler, type Listening, listen, LOOPBACK } from './api/server.ts';
import { createVerbs } from './api/verbs.ts';
import { coreKinds } from './core/kinds.ts';
import { groupVersionOf } from './object.ts';

/** What a sandbox is made of. */
export interface SandboxOptions {
  /** Where its files go: the kubeconfig, logs, volumes, and with `keep` everything it knows. */
  readonly folder: string;
  /** 0 (the default) takes any that is free. */
  readonly port?: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether controllers move runs and sources, and pods run. True unless told otherwise. */
  readonly life?: boolean;
  /** Pods play written scenarios instead of running processes. */
  readonly simulate?: boolean;
  /** How many changes of a kind a watch can go back. */
  readonly history?: number;
  /** For tests alone. */
  readonly faults?: readonly ApiFault[];
  /** Keep everything in `folder`, and begin with what is there. */
  readonly keep?: boolean;
}

/** A sandbox. What it says of itself is there after `start`. */
export interface Sandbox extends Part {
  /** `https://127.0.0.1:<port>` */
  readonly url: string;
  /** PEM of the authority that vouches for it. */
  readonly authority: string;
  /** The administrator's bearer token. */
  readonly token: string;
  readonly kubeconfigFile: string;
  /** The API within the process. */
  readonly client: ApiClient;
}

/** Makes a sandbox; nothing happens before `start`. */
export function createSandbox(options: SandboxOptions): Sandbox {
  const { folder, clock, log, faults = [], history } = options;
  const now = () => clock.now();
  const token = randomBytes(32).toString('base64url');
  const kubeconfigFile = join(folder, 'kubeconfig');
  const stopping = new AbortController();
  const registry = createRegistry();
  const memory = new Memory(history === undefined ? {} : { history });
  const parts = { registry, memory, faults, now };
  const verbs = createVerbs(parts);
  const clientFor = (manager: string) => createLocalClient({ ...parts, verbs, log, manager });
  const client = clientFor('sandbox');
  const authorizer = createAuthorizer(client);
  const tokens = createTokens({ reader: client, clock });
  const endings: (() => void)[] = [];
  let listening: Listening | undefined;
  let authority = '';
  let isReady = false;

  registry.put(createCrdKind({ registry, extras: new Map(), clock }));
  for (const kind of coreKinds({ now: () => new Date(now()), tokens, authorizer, podLog: undefined, reader: client })) {
    registry.put(kind);
  }

  /** Creates an object that is in no namespace, unless it is there. */
  function put(object: NewObject): void {
    const { group, version } = groupVersionOf(object.apiVersion);
    const kind = registry.findKind(group, object.kind);
    if (kind === undefined) return;
    const resource = { group, version, plural: kind.plural };
    if (client.get(resource, '', object.metadata.name ?? '') === undefined) client.create(resource, object);
  }

  return {
    name: 'sandbox',
    get url() {
      return `https://${LOOPBACK}:${listening?.port ?? options.port ?? 0}`;
    },
    get authority() {
      return authority;
    },
    token,
    kubeconfigFile,
    client,

    async start() {
      const certificate = await issueCertificate(now());
      authority = certificate.authority;
      const controller = clientFor('kube-controller-manager');
      const house = { ...parts, client: controller, authority, log };
      layOutNamespaces(house);
      for (const role of bootstrapRoles()) put(role);
      endings.push(collectGarbage({ ...parts, verbs, log }), keepHouse(house), cleanUpDefinitions(controller));
      const access = createAccess({ token, authenticator: tokens, authorizer });
      const serveResource = resourceServer({ ...parts, verbs, clock, random: Math.random, signal: stopping.signal });
      const servePath = rootServer({ registry, isReady: () => isReady });
      const handler = apiHandler({ access, serveResource, servePath, log });
      listening = await listen(handler, { port: options.port ?? 0, certificate }).catch((error: unknown) => {
        throw new Fault('refused', `the sandbox cannot listen on port ${options.port}`, { cause: error });
      });
      isReady = true;
      await writeKubeconfig(this);
    },

    async stop() {
      stopping.abort();
      for (const end of endings.splice(0).reverse()) end();
      await listening?.close();
    },
  };
}

/** What kubectl needs to get in as administrator. Nobody but this user may read it. */
async function writeKubeconfig({ url, authority, token, kubeconfigFile }: Sandbox): Promise<void> {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'sandbox',
    clusters: [
      {
        name: 'sandbox',
        cluster: { server: url, 'certificate-authority-data': Buffer.from(authority).toString('base64') },
      },
    ],
    users: [{ name: 'administrator', user: { token } }],
    contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user: 'administrator', namespace: 'default' } }],
  };
  await mkdir(join(kubeconfigFile, '..'), { recursive: true });
  const unfinished = `${kubeconfigFile}.new`;
  await writeFile(unfinished, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  await rename(unfinished, kubeconfigFile);
}
