/** The sandbox put together: a Kubernetes with Tekton and Flux inside this process, met over HTTPS. */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '../clock.ts';
import { Fault } from '../fault.ts';
import type { Part } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { bootstrapRoles } from './access/bootstrap.ts';
import { createAuthorizer } from './access/rbac.ts';
import { createTokens, type Tokens } from './access/tokens.ts';
import { createAccess } from './api/admission.ts';
import { issueCertificate } from './api/certificate.ts';
import type { ApiClient, NewObject } from './api/client.ts';
import { createCrdKind, definitionsResource, keepDefinitions } from './api/crds.ts';
import type { ApiFault } from './api/faults.ts';
import { collectGarbage } from './api/garbage.ts';
import { finalizeSubresource, keepHouse, layOutNamespaces } from './api/housekeeping.ts';
import type { Kind, Registry } from './api/kind.ts';
import { createLocalClient } from './api/local.ts';
import { Memory } from './api/memory.ts';
import { createRegistry } from './api/registry.ts';
import { resourceServer } from './api/resources.ts';
import { rootServer } from './api/roots.ts';
import { apiHandler, type Listening, LOOPBACK, listen } from './api/server.ts';
import { createVerbs } from './api/verbs.ts';
import { coreKinds } from './core/kinds.ts';
import { protectClaims } from './core/protection.ts';
import { createMover } from './flux/mover.ts';
import { createSourceController } from './flux/sources.ts';
import { fluxCrds } from './kinds/flux.ts';
import { tektonCrds } from './kinds/tekton.ts';
import { tektonWebhooks } from './kinds/tektonwebhook.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { createBinder } from './life/kubelet/binding.ts';
import { createKubelet, type KubeletLimits } from './life/kubelet/kubelet.ts';
import { createTektonControllers } from './life/tekton/controllers.ts';
import { groupVersionOf } from './object.ts';
import { stateFile } from './state.ts';

/** What a sandbox is made of. */
export interface SandboxOptions {
  /** Where its files go: the kubeconfig, logs, volumes, and with `keep` everything it knows. */
  readonly folder: string;
  /** Where the kubeconfig goes instead; `kubeconfig` in the folder when absent. */
  readonly kubeconfigFile?: string;
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
  /** Bounds of pods and their logs, where they are not to be those of the documentation. For benchmarks alone. */
  readonly limits?: Partial<KubeletLimits>;
  /** For tests alone. */
  readonly faults?: readonly ApiFault[];
  /** Keep everything in `folder`, and begin with what is there. */
  readonly keep?: boolean;
}

/** A sandbox. */
export interface Sandbox extends Part {
  /** `https://127.0.0.1:<port>`; the port is known after `start`. */
  readonly url: string;
  /** PEM of the authority that vouches for it; '' before `start`. */
  readonly authority: string;
  /** The administrator's bearer token. */
  readonly token: string;
  readonly kubeconfigFile: string;
  /** The API within the process. */
  readonly client: ApiClient;
}

/**
 * Makes a sandbox; nothing is read, written or opened before `start`, which rejects with a Fault when the port is taken or
 * what was kept cannot be used. `stop` leaves no socket, timer or process behind.
 */
export function createSandbox(options: SandboxOptions): Sandbox {
  const {
    folder,
    clock,
    log,
    faults = [],
    history,
    life = true,
    simulate = false,
    keep = false,
    limits = {},
  } = options;
  const now = () => clock.now();
  const token = randomBytes(32).toString('base64url');
  const { kubeconfigFile = join(folder, 'kubeconfig') } = options;

  const registry = createRegistry();
  const memory = new Memory(history === undefined ? {} : { history });
  const parts = { registry, memory, faults, now };
  const verbs = createVerbs(parts);
  const clientFor = (manager: string) => createLocalClient({ ...parts, verbs, log, manager });
  const client = clientFor('sandbox');
  const authorizer = createAuthorizer(client);
  const tokens = createTokens({ reader: client, clock });
  const kubelet = createKubelet({
    client: clientFor('kubelet'),
    bind: createBinder(memory, clock),
    clock,
    log,
    folder: join(folder, 'kubelet'),
    simulate,
    limits,
    token: (namespace, account) => podToken(tokens, client, namespace, account),
  });
  const living: readonly Part[] = [
    createTektonControllers({ client: clientFor('tekton-pipelines-controller'), clock, log }),
    kubelet,
    createSourceController({ client: clientFor('source-controller'), clock, log, folder: join(folder, 'sources') }),
    createMover({ client: clientFor('image-reflector-controller'), clock, log }),
  ];
  registry.put(createCrdKind({ registry, extras: tektonWebhooks }));
  for (const kind of coreKinds({
    now: () => new Date(now()),
    tokens,
    authorizer,
    podLog: kubelet.podLog,
    reader: client,
  })) {
    const isNamespace = kind.group === '' && kind.kind === 'Namespace';
    registry.put(isNamespace ? { ...kind, subresources: { finalize: finalizeSubresource(parts) } } : kind);
  }

  const state = keep ? stateFile(join(folder, 'state.json'), memory, clock) : undefined;
  const stopping = new AbortController();
  const endings: (() => void)[] = [];
  const started: Part[] = [];
  let listening: Listening | undefined;
  let authority = '';
  let isReady = false;
  let starting: Promise<void> | undefined;

  async function start(): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await state?.load();
    serveStoredDefinitions(registry, memory);
    // Whoever connects looks at the machine's time, even where a test turns ours by hand.
    const certificate = await issueCertificate(systemClock.now());
    authority = certificate.authority;
    const controller = clientFor('kube-controller-manager');
    const house = { ...parts, client: controller, authority, log };
    layOutNamespaces(house);
    for (const object of [...bootstrapRoles(), ...tektonCrds(), ...fluxCrds()]) put(object);
    endings.push(
      collectGarbage({ ...parts, verbs, log }),
      keepHouse(house),
      keepDefinitions({ client: controller, registry, clock }),
    );
    endings.push(protectClaims(controller));
    listening = await open(certificate);
    if (life) for (const part of living) await startPart(part);
    void state?.keepSaving(stopping.signal);
    isReady = true;
    await writeKubeconfig(kubeconfigFile, { url: url(), authority, token });
  }

  async function startPart(part: Part): Promise<void> {
    started.push(part); // before it has: a start that fails half-way has to be stopped too
    await part.start();
  }

  async function open(certificate: Parameters<typeof listen>[1]['certificate']): Promise<Listening> {
    const access = createAccess({ token, authenticator: tokens, authorizer });
    const { signal } = stopping;
    const serveResource = resourceServer({ ...parts, verbs, clock, log, random: Math.random, signal });
    const servePath = rootServer({ registry, address: () => new URL(url()).host, isReady: () => isReady });
    const { port = 0 } = options;
    const handler = apiHandler({ access, serveResource, servePath, log });
    return listen(handler, { port, certificate }).catch((error: unknown) => {
      throw new Fault('refused', `the sandbox cannot listen on port ${port} of ${LOOPBACK}`, { cause: error });
    });
  }

  async function stop(signal: AbortSignal): Promise<void> {
    isReady = false;
    stopping.abort();
    await listening?.close();
    for (const part of started.splice(0).reverse()) await part.stop(signal);
    for (const end of endings.splice(0).reverse()) end();
    await state?.save();
  }

  function url(): string {
    return `https://${LOOPBACK}:${listening?.port ?? options.port ?? 0}`;
  }

  /** Creates an object that is in no namespace, or brings the one that is there up to date. */
  function put(object: NewObject): void {
    const { group, version } = groupVersionOf(object.apiVersion);
    const kind = registry.findKind(group, object.kind) as Kind; // these are the server's own
    const resource = { group, version, plural: kind.plural };
    const known = client.get(resource, '', object.metadata.name ?? '');
    if (known === undefined) client.create(resource, object);
    else client.update(resource, { ...known, ...object, metadata: known.metadata });
  }

  return {
    name: 'sandbox',
    get url() {
      return url();
    },
    get authority() {
      return authority;
    },
    token,
    kubeconfigFile,
    client,
    async start() {
      starting = start();
      try {
        await starting;
      } catch (error) {
        await stop(AbortSignal.abort());
        throw error;
      }
    },
    async stop(signal) {
      await starting?.catch(() => {}); // what still starts would undo what stop does
      await stop(signal);
    },
  };
}

/** Definitions that were kept are served again. */
function serveStoredDefinitions(registry: Registry, memory: Memory): void {
  const { group, plural } = definitionsResource;
  const kind = registry.find(group, definitionsResource.version, plural)?.kind;
  for (const definition of memory.collection(group, plural).objects()) kind?.strategy.stored?.(definition, undefined);
}

const POD_TOKEN_SECONDS = 3607;

/** What a pod's service account is known by; '' when there is no such account. */
function podToken(tokens: Tokens, client: ApiClient, namespace: string, name: string): string {
  const account = client.get({ group: '', version: 'v1', plural: 'serviceaccounts' }, namespace, name);
  if (account === undefined) return '';
  return tokens.issue(account, { audiences: [], seconds: POD_TOKEN_SECONDS }).token;
}
