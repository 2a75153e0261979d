/**
 * A world for flows of PipelineTriggers: sources whose status the test writes as Flux would, Pipelines that end as one
 * wishes, and what became of a trigger. Its rungates have the rights of k8s/base and k8s/components/triggers, and a Lease of
 * their own in the world's namespace.
 */
import assert from 'node:assert/strict';
import { fluxCrds } from '../../src/sandbox/kinds/flux.ts';
import type { Manifest } from './admin.ts';
import { eventually } from './eventually.ts';
import type { Gateway } from './gateway.ts';
import { discovered, startWorld, type World, type WorldOptions } from './world.ts';

/** What the API server has of a condition. */
export interface WrittenCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
  readonly lastTransitionTime: string;
}

/** What tests look at in the status of a trigger; whatever else stands there can be had by index. */
export interface TriggerStatus {
  readonly conditions?: readonly WrittenCondition[];
  readonly latestEvent?: string;
  readonly latestPipelineRun?: string;
  readonly currentPipelineRetry?: number;
  readonly [field: string]: unknown;
}

/** A PipelineRun as the API server has it. */
export interface RunManifest extends Manifest {
  readonly metadata: Manifest['metadata'] & {
    readonly name: string;
    readonly uid: string;
    readonly creationTimestamp: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly params?: readonly { readonly name: string; readonly value: unknown }[];
    readonly pipelineRef?: { readonly name?: string };
    readonly [field: string]: unknown;
  };
}

/** A branch of a PullRequest. */
export interface Branch {
  readonly name: string;
  readonly commit: string;
  readonly details?: string;
}

/** A Kubernetes Event, as far as tests look at it. */
export interface Told {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count?: number;
}

/** Flows of triggers. Names without a namespace are in the world's first one. */
export interface TriggerWorld extends World {
  /** A GitRepository that reports `revision`; without it, it has not been looked at yet. */
  repository(name: string, revision?: string): Promise<void>;
  /** Makes an existing GitRepository report another revision. `digest` is that of the artifact. */
  push(name: string, revision: string, digest?: string): Promise<void>;
  /** An OCIRepository or a Bucket that reports `revision`; made if it is not there. */
  artifact(kind: 'OCIRepository' | 'Bucket', name: string, revision: string): Promise<void>;
  /** An ImagePolicy whose status is `latest`: `{ latestImage }` or `{ latestRef: { name, tag } }`; made if it is not there. */
  image(name: string, latest: object): Promise<void>;
  /** A PullRequest whose status lists these branches; made if it is not there. */
  pullRequest(name: string, branches: readonly Branch[]): Promise<void>;
  /**
   * Applies a Pipeline under this name, whose one step ends as `kind` says: `build` succeeds, `fails` exits with 1, `waits` goes
   * on until it is cancelled; the one of `skips` is skipped, so that the run succeeds (`Completed`) without a pod. Each takes the
   * parameters `rev`, `branch` and `extra`, none of them needed.
   */
  pipeline(kind: PipelineOfTests, name?: string): Promise<void>;
  /** Applies PipelineTriggers. */
  trigger(yaml: string): Promise<void>;
  /** Merges into a trigger's spec or metadata. */
  change(name: string, merge: object): Promise<void>;
  /** Deletes a trigger. */
  drop(name: string): Promise<void>;
  /** Its status. Throws when it is not there. */
  status(name: string): Promise<TriggerStatus>;
  /** The runs it owns and those with its label, oldest first. */
  runsOf(name: string): Promise<readonly RunManifest[]>;
  /** Waits until the trigger has so many runs (two minutes unless told, four on a cluster), and returns them. */
  hasRuns(name: string, count: number, withinMs?: number): Promise<readonly RunManifest[]>;
  /**
   * Waits until the only condition of the trigger is of this type (and status), and returns it. What passes by itself is not what it
   * says: that something is missing which is there, or that the API server has not answered.
   */
  says(name: string, type: string, status?: string, withinMs?: number): Promise<WrittenCondition>;
  /** Waits until the trigger stands at this event with a run that has ended well (or as `type` says), and returns its status. */
  reached(name: string, event: string, type?: string): Promise<TriggerStatus>;
  /** Waits until `holds` does not throw. */
  until(holds: () => Promise<void>): Promise<void>;
  /** Starts a rungate in the place of the one that was stopped: from now on it is `gateway`, and leads at once. */
  restart(): Promise<void>;
  /** Kubernetes Events about the trigger, oldest first, when none is left to be written. */
  eventsOf(name: string): Promise<readonly Told[]>;
  /** Those without the warnings that something is not there which is: a watch may tell of a trigger first, and then of its source. */
  toldOf(name: string): Promise<readonly Told[]>;
  /**
   * Waits until nothing is due (as the metrics of every rungate that was started say), and a moment more. Whoever has counted
   * runs counts them again after it.
   */
  settled(): Promise<void>;
}

/**
 * Whoever has such a Lease keeps it although nobody gets anything done for some seconds, as on a busy machine, and his writes are
 * waited for as long. Of one that was killed it is taken away: see `restart`.
 */
const LEASE_SECONDS = 12;

/** What an API server that is busy makes a trigger say until the next try. */
const PASSING =
  /^(?:branch [^:]+: )?(?:Kubernetes (?:did not answer|cannot be reached)|failed calling webhook|etcdserver: )/;

const sourceApi = 'apis/source.toolkit.fluxcd.io/v1';
const imageApi = 'apis/image.toolkit.fluxcd.io';
const triggerApi = 'apis/pipeline.jquad.rocks/v1alpha1';

/** What makes Flux leave the status of a source to us. */
const ours = { 'sharding.fluxcd.io/key': 'test' };

/** The kinds of sources with an artifact, as paths have them. */
type ArtifactKind = 'gitrepositories' | 'ocirepositories' | 'buckets';

const steps = { build: 'echo "built $(params.rev)"', fails: 'exit 1', waits: 'sleep 300', skips: 'exit 1' };

/** How the runs of a Pipeline end. */
export type PipelineOfTests = keyof typeof steps;

/** Starts a world with triggers in it. `gateway: false` leaves starting rungates to the test: see `operator`. */
export async function startTriggerWorld(options: WorldOptions = {}): Promise<TriggerWorld> {
  const world = await startWorld({
    ...options,
    components: ['triggers', ...(options.components ?? [])],
    env: { PARTS: 'gateway,triggers', LEASE_SECONDS: String(LEASE_SECONDS), ...options.env },
    gateway: false, // started when all kinds are served: what comes later is looked for once a minute
  });
  const { admin, namespace } = world;
  // The sandbox serves Flux's kinds itself; a cluster with source-controller alone has no ImagePolicies.
  if (world.ground === 'cluster') {
    for (const crd of fluxCrds()) {
      const { name = '' } = crd.metadata;
      if (!name.endsWith('.image.toolkit.fluxcd.io')) continue;
      const definition = crd as unknown as Manifest; // the same thing in the words of the sandbox
      await admin.apply(definition);
      await discovered(admin, definition);
    }
  }
  const { versions } = await admin.get<{ versions: { version: string }[] }>(`/${imageApi}`);
  const imageVersion = versions[0]?.version ?? assert.fail('no version of ImagePolicy is served');
  if (options.gateway !== false) await world.startGateway();
  // A cluster whose Tekton is busy with the runs of others takes a minute to begin with ours.
  const patienceMs = world.ground === 'cluster' ? 240_000 : 120_000;
  const path = (api: string, plural: string, name: string) => `/${api}/namespaces/${namespace}/${plural}/${name}`;
  const runsOf: TriggerWorld['runsOf'] = async (name) => {
    const [{ items }, trigger] = await Promise.all([
      admin.get<{ items: RunManifest[] }>(`/apis/tekton.dev/v1/namespaces/${namespace}/pipelineruns`),
      admin.get(path(triggerApi, 'pipelinetriggers', name)).catch(() => undefined),
    ]);
    return items
      .filter(
        ({ metadata: { ownerReferences = [], labels = {} } }) =>
          ownerReferences.some(({ uid }) => uid === trigger?.metadata.uid) ||
          labels['pipeline.jquad.rocks/pipelinetrigger'] === name,
      )
      .sort((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1));
  };
  const status: TriggerWorld['status'] = async (name) =>
    ((await admin.get(path(triggerApi, 'pipelinetriggers', name))).status ?? {}) as TriggerStatus;

  /** Whether what a message misses is there: the watch of who wrote it lags, and will tell. */
  const isThere = async (message = ''): Promise<boolean> => {
    const [, kind = '', group, name = ''] = /^(\w+)\.([a-z.]+) "(.+)" not found$/.exec(message) ?? [];
    if (group === undefined) return false;
    const { preferredVersion } = await admin.get<{ preferredVersion: { groupVersion: string } }>(`/apis/${group}`);
    const plural = kind === 'Pipeline' ? 'pipelines' : kind;
    const { status: code } = await admin.bytes(path(`apis/${preferredVersion.groupVersion}`, plural, name));
    return code === 200;
  };

  const artifactStatus = async (plural: ArtifactKind, name: string, revision: string, digest: string) => {
    const at = path(sourceApi, plural, name);
    const folder = `${plural.replace(/ies$/, 'y').replace(/s$/, '')}/${namespace}/${name}`;
    const { metadata } = await admin.get<{ metadata: { generation: number } }>(at);
    await admin.patch(`${at}/status`, {
      status: {
        observedGeneration: metadata.generation,
        artifact: {
          revision,
          digest,
          path: `${folder}/${digest.slice(-12)}.tar.gz`,
          url: `http://source-controller.invalid/${folder}/latest.tar.gz`,
          lastUpdateTime: '2026-01-01T00:00:00Z',
        },
      },
    });
  };

  let latest: Gateway | undefined;
  const gateway = () => latest ?? world.gateway;

  const triggers: Omit<TriggerWorld, keyof World> = {
    async repository(name, revision) {
      await world.apply({
        apiVersion: 'source.toolkit.fluxcd.io/v1',
        kind: 'GitRepository',
        metadata: { name, labels: ours },
        spec: { url: 'https://git.invalid/app.git', interval: '10m' },
      });
      if (revision !== undefined) await triggers.push(name, revision);
    },
    push: (name, revision, digest = digestOf(revision)) => artifactStatus('gitrepositories', name, revision, digest),
    async artifact(kind, name, revision) {
      const isBucket = kind === 'Bucket';
      await world.apply({
        apiVersion: 'source.toolkit.fluxcd.io/v1',
        kind,
        metadata: { name, labels: ours },
        spec: isBucket
          ? { bucketName: name, endpoint: 'buckets.invalid', interval: '10m' }
          : { url: `oci://images.invalid/${name}`, interval: '10m' },
      });
      await artifactStatus(isBucket ? 'buckets' : 'ocirepositories', name, revision, digestOf(revision));
    },
    async image(name, latest) {
      const [policy] = await world.apply({
        apiVersion: `image.toolkit.fluxcd.io/${imageVersion}`,
        kind: 'ImagePolicy',
        metadata: { name, labels: ours },
        spec: { imageRepositoryRef: { name }, policy: { semver: { range: '*' } } },
      });
      const at = path(`${imageApi}/${imageVersion}`, 'imagepolicies', name);
      const { generation } = (policy as unknown as { metadata: { generation: number } }).metadata; // as the API server keeps it
      await admin.patch(`${at}/status`, {
        status: { observedGeneration: generation, latestImage: null, latestRef: null, ...latest },
      });
    },
    async pullRequest(name, branches) {
      await world.apply({
        apiVersion: 'pipeline.jquad.rocks/v1alpha1',
        kind: 'PullRequest',
        metadata: { name },
        spec: {
          gitProvider: {
            provider: 'Github',
            insecureSkipVerify: false,
            secretRef: 'token',
            github: { url: 'https://git.invalid', owner: 'team', repository: 'app' },
          },
          targetBranch: { name: 'main' },
          interval: '1m',
        },
      });
      const list = branches.map((branch) => ({ details: '{}', ...branch }));
      await admin.patch(`${path(triggerApi, 'pullrequests', name)}/status`, {
        status: { sourceBranches: { branches: list } },
      });
    },
    async pipeline(kind, name = kind) {
      const param = (of: string) => ({ name: of, type: 'string', default: '' });
      await world.apply({
        apiVersion: 'tekton.dev/v1',
        kind: 'Pipeline',
        metadata: { name },
        spec: {
          params: ['rev', 'branch', 'extra'].map(param),
          tasks: [
            {
              name: 'only',
              ...(kind === 'skips' ? { when: [{ input: 'no', operator: 'in', values: ['yes'] }] } : {}),
              params: [{ name: 'rev', value: '$(params.rev)' }],
              taskSpec: {
                params: [{ name: 'rev', type: 'string' }],
                steps: [{ name: 'step', image: 'docker.io/library/busybox:1', script: steps[kind] }],
              },
            },
          ],
        },
      });
    },
    trigger: async (yaml) => void (await world.apply(yaml)),
    change: async (name, merge) => void (await admin.patch(path(triggerApi, 'pipelinetriggers', name), merge)),
    drop: (name) => admin.remove(path(triggerApi, 'pipelinetriggers', name)),
    status,
    runsOf,
    hasRuns: (name, count, withinMs = patienceMs) =>
      eventually(
        async () => {
          const [runs, { conditions }] = await Promise.all([runsOf(name), status(name)]);
          const names = runs.map(({ metadata }) => metadata.name).join();
          assert.equal(runs.length, count, `runs: ${names}; conditions: ${JSON.stringify(conditions)}`);
          return runs;
        },
        { withinMs },
      ),
    says: (name, type, wanted, withinMs = patienceMs) =>
      eventually(
        async () => {
          const { conditions = [] } = await status(name);
          const [condition] = conditions;
          const said = JSON.stringify(conditions);
          assert.ok(condition && conditions.length === 1, said);
          assert.deepEqual([condition.type, wanted ?? condition.status], [type, condition.status], said);
          assert.ok(!(await isThere(condition.message)), `${said}: its watch has yet to tell of it`);
          assert.doesNotMatch(condition.message, PASSING);
          return condition;
        },
        { withinMs },
      ),
    reached: (name, event, type = 'Success') =>
      eventually(
        async () => {
          const now = await status(name);
          assert.equal(now.latestEvent, event, JSON.stringify(now));
          assert.equal(now.conditions?.[0]?.type, type, JSON.stringify(now));
          assert.ok(now.latestPipelineRun !== undefined && now.latestPipelineRun !== 'Unknown', JSON.stringify(now));
          return now;
        },
        { withinMs: patienceMs },
      ),
    until: (holds) => eventually(holds, { withinMs: patienceMs }),
    async restart() {
      // Of one that was killed it would have to run out.
      await admin.remove(`/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/bb9e0b30.jquad.rocks`);
      latest = await world.startGateway();
    },
    async eventsOf(name) {
      const unwritten = 'rungate_open{what="kubernetes events triggers"}';
      await eventually(async () => assert.equal(await gateway().metric(unwritten), 0), { withinMs: patienceMs });
      const { items } = await admin.get<{ items: (Told & { readonly firstTimestamp: string })[] }>(
        `/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.name%3D${name}%2CinvolvedObject.kind%3DPipelineTrigger`,
      );
      return items.sort((a, b) => (a.firstTimestamp < b.firstTimestamp ? -1 : 1));
    },
    async toldOf(name) {
      const told: Told[] = [];
      for (const event of await triggers.eventsOf(name)) if (!(await isThere(event.message))) told.push(event);
      return told;
    },
    async settled() {
      const pending = 'rungate_open{what="controller keys triggers"}';
      for (let quiet = 0; quiet < 5; quiet++) {
        await eventually(async () => assert.equal(await gateway().metric(pending), 0), { withinMs: patienceMs });
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
  };
  const whole = Object.defineProperties(triggers, Object.getOwnPropertyDescriptors(world)) as TriggerWorld;
  return Object.defineProperty(whole, 'gateway', { get: gateway });
}

/** A digest that belongs to a revision. */
function digestOf(revision: string): string {
  return `sha256:${Buffer.from(revision).toString('hex').padEnd(64, '0').slice(-64)}`;
}
