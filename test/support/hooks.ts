/**
 * A world for flows of hooks: that of PipelineTriggers, with EventListeners beside them, one key that opens all of its hooks, and
 * what notification-controller would send. Its rungates have the rights of the part `hooks` as well.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fluxCrds } from '../../src/sandbox/kinds/flux.ts';
import { type Manifest, manifestsIn } from './admin.ts';
import { eventually } from './eventually.ts';
import { on } from './fault-proxy.ts';
import { checkout, type Gateway } from './gateway.ts';
import { type HookAnswer, type PostOptions, type Provider, postOnce } from './hook-client.ts';
import { type EventBody, type EventWish, fluxEvent } from './hook-events.ts';
import { hookedTrigger, keySecret, type ListenerWish, listenerOf, templateProbeOf } from './hook-manifests.ts';
import { type RunManifest, startTriggerWorld, type Told, type TriggerWorld } from './triggers.ts';
import { discovered, type WorldOptions } from './world.ts';

/** What an answer says of one trigger. */
export interface HookResult {
  readonly trigger: string;
  readonly outcome: string;
  readonly reason?: string;
  readonly message?: string;
  readonly pipelineRun?: string;
}

/** Flows of hooks. Names without a namespace are in the world's first one. */
export interface HookWorld extends TriggerWorld {
  /** The token of the Secret that opens every hook of this world which names no other. */
  readonly token: string;
  /** A Provider that leads to a hook of `gateway`, the world's own unless told, and has its token. */
  provider(hook: string, gateway?: Gateway): Provider;
  /**
   * Sends a body to a hook once, as notification-controller does and signed with the world's token; `with` changes the Provider.
   * Rejects when there is no answer.
   */
  post(
    hook: string,
    body: EventBody | string | Buffer,
    options?: PostOptions & { readonly with?: Partial<Provider>; readonly gateway?: Gateway },
  ): Promise<HookAnswer>;
  /** As `post`, `patiently`. */
  deliver(...sent: Parameters<HookWorld['post']>): Promise<HookAnswer>;
  /** What came of an event that is delivered: its status is 202. A run that was created unheard counts as created. */
  results(hook: string, body: EventBody | string, gateway?: Gateway): Promise<readonly HookResult[]>;
  /** Applies a Secret. */
  secret(name: string, data: Readonly<Record<string, string>>): Promise<void>;
  /** Applies an EventListener, and what it needs, and waits until it is served with that. */
  listen(name: string, wish?: ListenerWish): Promise<void>;
  /** Applies a PipelineTrigger with a hook, and waits until that is served. */
  hook(name: string, wish?: Parameters<typeof hookedTrigger>[1]): Promise<void>;
  /** Waits until every rungate of these, the world's own unless told, knows a hook, and the templates of one that `listen` applied. */
  served(hook: string, gateways?: readonly Gateway[]): Promise<void>;
  /** Waits until the API server lets a ServiceAccount create PipelineRuns. */
  mayCreateRuns(account: string): Promise<void>;
  /** An event about an object of this world, with its uid as it is now; one that is not there has none. */
  event(name: string, wish?: Omit<EventWish, 'namespace' | 'name'>): Promise<EventBody>;
  /** A Kustomization, of which Flux says that it has applied `revision`; made if it is not there. */
  kustomization(name: string, revision: string): Promise<void>;
  /** An object as the API server has it; undefined where it is not there. */
  object(kind: string, name: string): Promise<Manifest | undefined>;
  /** Every run of the namespace, or those whose names begin with `prefix`, oldest first. */
  runs(prefix?: string): Promise<readonly RunManifest[]>;
  /** Kubernetes Events about an object. */
  told(kind: string, name: string): Promise<readonly Told[]>;
  /** Waits until one of these Events about an object is there. */
  tells(kind: string, name: string, reason: string): Promise<Told>;
}

/** How often something is delivered that is answered 503, and the gap. */
const [MOST_TRIES, GAP_MS] = [5, 1_000];
/**
 * Posts, and posts again while the answer is 503, as often as notification-controller does: rungate waits two seconds for an answer
 * of the API server, and one with much to do may need longer.
 */
export async function patiently<A extends HookAnswer | undefined>(post: () => Promise<A>): Promise<A> {
  for (let tries = 1; ; tries++) {
    const answer = await post();
    if (answer?.status !== 503 || tries === MOST_TRIES) return answer;
    await sleep(GAP_MS);
  }
}

/** Of a Provider: a sender gives up for want of tries, not because the machine is slow. */
const PROVIDER_MS = 60_000;

/** Where objects of a kind are. */
const collections: Readonly<Record<string, string>> = {
  GitRepository: 'source.toolkit.fluxcd.io/v1 gitrepositories',
  OCIRepository: 'source.toolkit.fluxcd.io/v1 ocirepositories',
  Bucket: 'source.toolkit.fluxcd.io/v1 buckets',
  ImagePolicy: 'image.toolkit.fluxcd.io/v1beta2 imagepolicies',
  Kustomization: 'kustomize.toolkit.fluxcd.io/v1 kustomizations',
  PipelineTrigger: 'pipeline.jquad.rocks/v1alpha1 pipelinetriggers',
  EventListener: 'triggers.tekton.dev/v1beta1 eventlisteners',
  PipelineRun: 'tekton.dev/v1 pipelineruns',
};

/** Starts a world with hooks in it. What `options` say of components and of the environment is added to what hooks need. */
export async function startHookWorld(options: WorldOptions = {}): Promise<HookWorld> {
  const world = await startTriggerWorld({
    ...options,
    components: ['hooks', ...(options.components ?? [])],
    env: { PARTS: 'gateway,triggers,hooks', ...options.env },
    gateway: false,
  });
  const { admin, namespace } = world;
  await applyKinds(world);
  const token = 'the key of this world';
  const secret: HookWorld['secret'] = async (name, data) =>
    void (await world.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: data }));
  await secret(keySecret, { token });
  if (options.gateway !== false) await world.startGateway();

  const path = (kind: string, name: string) => {
    const [api, plural] = (collections[kind] ?? assert.fail(`no collection of ${kind}`)).split(' ');
    return `/apis/${api}/namespaces/${namespace}/${plural}/${name}`;
  };
  const events = async (kind: string, name: string): Promise<readonly Told[]> => {
    const about = encodeURIComponent(`involvedObject.name=${name},involvedObject.kind=${kind}`);
    return (
      await admin.get<{ items: readonly Told[] }>(`/api/v1/namespaces/${namespace}/events?fieldSelector=${about}`)
    ).items;
  };
  /** The listeners whose templates have a probe. */
  const probed = new Set<string>();
  let probes = 0;
  /** Each kind has a watch of its own: who knows a listener may have yet to hear of its templates, which is told in a sentence. */
  const knowsTemplates = async (listener: string, gateway: Gateway): Promise<void> => {
    const probe = templateProbeOf(listener, []).metadata.name ?? '';
    const body = fluxEvent({ namespace, name: listener, severity: 'error', message: `probe ${++probes}` });
    const answer = await postOnce(hooks.provider(probe, gateway), body);
    assert.equal(answer?.status, 202, answer?.text);
    const { text } = await gateway.get(`/hooks/${namespace}/${probe}/deliveries?limit=1`);
    assert.doesNotMatch(text, /there is no TriggerTemplate/);
  };
  /** Whether somebody who creates runs has given up since then before there was an answer. */
  const isUnheard = (since: number) =>
    options.faults === true &&
    world.faults
      .matching(on.create('pipelineruns'))
      .some(({ start, end, status }) => start >= since && end !== undefined && status === undefined);
  const hooks: Omit<HookWorld, keyof TriggerWorld> = {
    token,
    provider: (hook, gateway = world.gateway) => ({
      address: `${gateway.url}/hooks/${namespace}/${hook}`,
      token,
      timeoutMs: PROVIDER_MS,
    }),
    async post(hook, body, { with: other = {}, gateway, ...how } = {}) {
      const answer = await postOnce({ ...hooks.provider(hook, gateway), ...other }, body, how);
      return answer ?? assert.fail('the connection ended without an answer');
    },
    deliver: (...sent) => patiently(() => hooks.post(...sent)),
    async results(hook, body, gateway) {
      const began = performance.now();
      const answer = await hooks.deliver(hook, body, gateway === undefined ? {} : { gateway });
      assert.equal(answer.status, 202, answer.text);
      const { results } = answer.json<{ results: HookResult[] }>();
      if (!isUnheard(began)) return results;
      return results.map((result) => (result.outcome === 'duplicate' ? { ...result, outcome: 'created' } : result));
    },
    secret,
    async listen(name, wish) {
      const objects = listenerOf(name, wish);
      for (const object of [...objects, templateProbeOf(name, objects)]) await world.apply(object);
      probed.add(name);
      await hooks.served(name);
    },
    async hook(name, wish) {
      await world.trigger(hookedTrigger(name, wish));
      await hooks.served(name);
    },
    served: (hook, gateways = [world.gateway]) =>
      world.until(async () => {
        for (const gateway of gateways) {
          const { status, text } = await gateway.get(`/hooks/${namespace}/${hook}/deliveries`);
          assert.equal(status, 200, text);
          if (probed.has(hook)) await knowsTemplates(hook, gateway);
        }
      }),
    mayCreateRuns: (account) =>
      world.until(async () => {
        const resourceAttributes = { namespace, verb: 'create', group: 'tekton.dev', resource: 'pipelineruns' };
        const { status } = await admin.post<{ status: { allowed: boolean } }>(
          '/apis/authorization.k8s.io/v1/subjectaccessreviews',
          {
            apiVersion: 'authorization.k8s.io/v1',
            kind: 'SubjectAccessReview',
            spec: { user: `system:serviceaccount:${namespace}:${account}`, resourceAttributes },
          },
        );
        assert.ok(status.allowed, `${account} may create no runs`);
      }),
    async event(name, wish = {}) {
      const found = await hooks.object(wish.kind ?? 'GitRepository', name);
      const uid = wish.uid ?? found?.metadata.uid;
      return fluxEvent({ ...wish, namespace, name, ...(uid === undefined ? {} : { uid }) });
    },
    async kustomization(name, revision) {
      const [made] = await world.apply({
        apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
        kind: 'Kustomization',
        metadata: { name },
        spec: { interval: '10m', prune: true, sourceRef: { kind: 'GitRepository', name } },
      });
      const { generation } = (made as unknown as { metadata: { generation: number } }).metadata; // as the API server keeps it
      const ready = { type: 'Ready', status: 'True', reason: 'ReconciliationSucceeded', message: 'applied' };
      await admin.patch(`${path('Kustomization', name)}/status`, {
        status: {
          observedGeneration: generation,
          lastAppliedRevision: revision,
          lastAttemptedRevision: revision,
          conditions: [{ ...ready, observedGeneration: generation, lastTransitionTime: '2026-01-01T00:00:00Z' }],
        },
      });
    },
    async object(kind, name) {
      const { status, body } = await admin.bytes(path(kind, name));
      return status === 200 ? (JSON.parse(body.toString()) as Manifest) : undefined;
    },
    async runs(prefix = '') {
      const { items } = await admin.get<{ items: RunManifest[] }>(
        `/apis/tekton.dev/v1/namespaces/${namespace}/pipelineruns`,
      );
      return items
        .filter(({ metadata }) => metadata.name.startsWith(prefix))
        .sort((a, b) => a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp));
    },
    told: events,
    tells: (kind, name, reason) =>
      eventually(
        async () => {
          const all = await events(kind, name);
          return all.find((one) => one.reason === reason) ?? assert.fail(`told so far: ${JSON.stringify(all)}`);
        },
        { withinMs: 240_000 },
      ),
  };
  return Object.defineProperties(hooks, Object.getOwnPropertyDescriptors(world)) as HookWorld;
}

/** The kinds that hooks look at beyond those of triggers, where they are not there. Those of a cluster are left there. */
async function applyKinds({ ground, admin }: TriggerWorld): Promise<void> {
  const path = (name = '') => `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`;
  const definitions =
    ground === 'sandbox'
      ? manifestsIn(await readFile(`${checkout}test/fixtures/hooks/triggers-crds.yaml`, 'utf8'))
      : fluxCrds()
          .filter(({ metadata }) => metadata.name === 'kustomizations.kustomize.toolkit.fluxcd.io')
          .map((definition) => definition as unknown as Manifest); // the same thing in the words of the sandbox
  for (const definition of definitions) {
    if ((await admin.bytes(path(definition.metadata.name))).status === 404) await admin.apply(definition);
    await discovered(admin, definition);
  }
}
