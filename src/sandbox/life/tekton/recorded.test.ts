/**
 * What the controllers make of the runs that a real Tekton 1.15 was recorded with (`test/fixtures/tekton`): the same
 * PipelineRuns go in, pods end as they were recorded to end, and everything that is written must be what Tekton wrote, but
 * for times, uids and random names. The API is a stand-in that keeps objects and does what Tekton's webhook did.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HandClock } from '../../../../test/support/hand-clock.ts';
import { silentLog } from '../../../log.ts';
import type { ApiClient, ListFilter, WatchEvent } from '../../api/client.ts';
import type { JsonObject, KubeObject, Resource } from '../../object.ts';
import { notFound, StatusError } from '../../status.ts';
import { createTektonControllers } from './controllers.ts';
import { customRuns, pipelineRuns, pipelines, pods, taskRuns, tasks } from './types.ts';

const folder = join(import.meta.dirname, '../../../../test/fixtures/tekton');

/** What the API held at one moment. */
type Snapshot = Readonly<Record<'pipelineruns' | 'taskruns' | 'customruns' | 'pods', KubeObject[]>>;

function recorded(name: string): Record<string, Snapshot> {
  return JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));
}

/** The controllers with a stand-in API, and pods whose fate is recorded. */
class World {
  readonly clock = new HandClock();
  readonly client = new StandIn(this.clock);
  readonly #controllers = createTektonControllers({ client: this.client, clock: this.clock, log: silentLog });

  async start(): Promise<void> {
    await this.#controllers.start();
  }

  async stop(): Promise<void> {
    await this.#controllers.stop(new AbortController().signal);
    assert.equal(this.clock.sleeping, 0);
  }

  /** Creates the runs that a person created. */
  create(snapshot: Snapshot): void {
    for (const run of snapshot.pipelineruns) {
      if (run.metadata.ownerReferences !== undefined) continue;
      const { name, namespace, labels } = run.metadata;
      const own = Object.entries(labels ?? {}).filter(([key]) => key !== 'tekton.dev/pipeline');
      const spec = structuredClone(run.spec);
      this.client.create(pipelineRuns, {
        apiVersion: 'tekton.dev/v1',
        kind: 'PipelineRun',
        metadata: { name, namespace, ...(own.length === 0 ? {} : { labels: Object.fromEntries(own) }) },
        spec,
      });
    }
  }

  /** Lets pods start, then end as recorded, until nothing moves any more. */
  async live(snapshot: Snapshot): Promise<void> {
    const ends = new Map(snapshot.pods.map((pod) => [pod.metadata.name, pod]));
    for (let quiet = 0; quiet < 2; quiet++) {
      await this.clock.turn(1_000);
      for (const pod of this.client.list(pods)) {
        const end = ends.get(pod.metadata.name);
        if (end === undefined || pod.status !== undefined) continue;
        quiet = -1;
        const running = startedFrom(end);
        this.client.update(pods, { ...pod, status: running });
        await this.clock.turn(1_000);
        const now = this.client.get(pods, pod.metadata.namespace ?? '', pod.metadata.name);
        assert.equal(now?.metadata.annotations?.['tekton.dev/ready'], 'READY', 'its steps were told to begin');
        const status = structuredClone(end.status);
        if (now !== undefined) this.client.update(pods, { ...now, status });
        await this.clock.turn(1_000);
      }
    }
  }

  snapshot(): Snapshot {
    return {
      pipelineruns: this.client.list(pipelineRuns),
      taskruns: this.client.list(taskRuns),
      customruns: this.client.list(customRuns),
      pods: this.client.list(pods),
    };
  }
}

/** A pod's status while all of its containers run. */
function startedFrom({ status }: KubeObject): JsonObject {
  const { containerStatuses } = status as { containerStatuses: { name: string; imageID: string }[] };
  return {
    phase: 'Running',
    containerStatuses: containerStatuses.map(({ name, imageID }) => ({
      name,
      imageID,
      ready: true,
      state: { running: { startedAt: '2026-11-01T10:00:01Z' } },
    })),
  };
}

/** What is compared of an object: nothing that differs from one run of the same thing to the next. */
function essence(object: KubeObject): unknown {
  const { name, namespace: _, labels, annotations, ownerReferences } = object.metadata;
  const metadata = {
    name,
    labels,
    annotations,
    owners: ownerReferences?.map((owner) => `${owner.kind}/${owner.name}`),
  };
  const spec = object.kind === 'Pod' ? podSpec(object) : object.spec;
  const status = object.kind === 'Pod' ? undefined : object.status;
  return JSON.parse(
    JSON.stringify({ metadata, spec, status }, (key, value: unknown) => {
      if (/^(?:.*Time|startedAt|finishedAt|.*UID)$/.test(key) && typeof value === 'string') return 'varies';
      // Nested runs were recorded with alpha fields on, which the sandbox does not need for them.
      if (key === 'enableAPIFields') return 'varies';
      if (typeof value !== 'string') return value;
      return value
        .replace(/tekton\.dev\/pipelineRunUID=\S+/g, '')
        .replace(/(script-\d+)-[a-z0-9]{5}/g, '$1-xxxxx')
        .replace(/\$\(sandbox:([^)]*)\)/g, '$1')
        .replace(/^(?:.*\/)?(tekton\/[a-z]+):v.*$/, '$1')
        .replaceAll(/record-[a-z-]+/g, 'namespace');
    }),
  );
}

/** A pod's spec without what the API server, the scheduler and the service account controller add. */
function podSpec({ spec }: KubeObject): unknown {
  const { initContainers, containers, volumes, activeDeadlineSeconds, restartPolicy, serviceAccountName } =
    spec as Record<string, JsonObject[]>;
  return {
    activeDeadlineSeconds,
    restartPolicy,
    serviceAccountName,
    initContainers: initContainers?.map(containerOf),
    containers: containers?.map(containerOf),
    volumes: volumes?.filter(({ name }) => !String(name).startsWith('kube-api-access')).map(volumeOf),
  };
}

function containerOf(container: JsonObject): JsonObject {
  const { name, image, imagePullPolicy: __, resources = {}, terminationMessagePolicy: _, ...rest } = container;
  const { terminationMessagePath, volumeMounts, args, ...more } = rest;
  return {
    name,
    // Whose shell places the scripts is a setting of the installation; sidecars end with another image than they began.
    image: name === 'place-scripts' || String(name).startsWith('sidecar-') ? 'varies' : image,
    // The API server gives containers what their limits say.
    resources: 'limits' in (resources as JsonObject) ? { limits: (resources as JsonObject).limits } : resources,
    ...(terminationMessagePath === '/dev/termination-log' ? {} : { terminationMessagePath }),
    volumeMounts: (volumeMounts as JsonObject[]).filter((mount) => !String(mount.name).startsWith('kube-api-access')),
    // Scripts differ by the paths in them, which the sandbox marks.
    ...(name === 'place-scripts' ? {} : { args }),
    ...more,
  };
}

function volumeOf(volume: JsonObject): unknown {
  return JSON.parse(
    JSON.stringify(volume, (key, value: unknown) =>
      key === 'defaultMode' || key === 'apiVersion' ? undefined : value,
    ),
  );
}

function compare(world: World, expected: Snapshot, kinds: readonly (keyof Snapshot)[]): void {
  const actual = world.snapshot();
  for (const kind of kinds) {
    const byName = (objects: readonly KubeObject[]) =>
      new Map(objects.map((object) => [object.metadata.name, essence(object)]));
    const [ours, theirs] = [byName(actual[kind]), byName(expected[kind])];
    assert.deepEqual([...ours.keys()].sort(), [...theirs.keys()].sort(), `which ${kind} there are`);
    for (const [name, object] of theirs) assert.deepEqual(ours.get(name), object, `${kind}/${name}`);
  }
}

const everything = ['pipelineruns', 'taskruns', 'customruns', 'pods'] as const;

describe('tekton controllers: recorded runs', () => {
  let world: World;
  beforeEach(async () => {
    world = new World();
    await world.start();
  });
  afterEach(() => world.stop());

  const cases = [
    'results',
    'failing-step',
    'failing-exit-7',
    'step-continues',
    'task-continues',
    'retries-fail',
    'retries-succeed',
    'matrix',
    'skipped',
    'step-timeout',
    'out-of-memory',
    'out-of-memory-unnoticed',
    'nested',
    'pipeline-missing',
    'task-missing',
    'parameter-missing',
  ];
  for (const name of cases) {
    it(`${name}: every object is written as Tekton wrote it`, async () => {
      const { final } = recorded(name);
      assert.ok(final);
      world.create(final);
      await world.live(final);
      compare(world, final, everything);
    });
  }

  it('pending: it stays on hold', async () => {
    const { pending } = recorded('pending');
    assert.ok(pending);
    world.create(pending);
    await world.live(pending);
    compare(world, pending, everything);
  });

  it('custom-run: it waits for whoever serves the kind', async () => {
    const { running, final } = recorded('custom-run');
    assert.ok(running && final);
    world.create(running);
    await world.clock.turn(1_000);
    compare(world, running, everything);
    const [approval] = world.client.list(customRuns);
    assert.ok(approval);
    world.client.update(customRuns, { ...approval, status: structuredClone(final.customruns[0]?.status) });
    await world.clock.turn(1_000);
    compare(world, final, everything);
  });

  for (const [name, asked] of [
    ['cancelled', 'Cancelled'],
    ['cancelled-run-finally', 'CancelledRunFinally'],
  ] as const) {
    it(`${name}: what runs is stopped`, async () => {
      const { running, final } = recorded(name);
      assert.ok(running && final);
      world.create({ ...running, pipelineruns: running.pipelineruns.map(withoutStatusOfSpec) });
      await world.clock.turn(1_000);
      await world.live(running);
      for (const run of world.client.list(pipelineRuns)) {
        world.client.patch(pipelineRuns, run.metadata.namespace ?? '', run.metadata.name, { spec: { status: asked } });
      }
      await world.clock.turn(1_000);
      await world.live(final);
      compare(world, final, ['pipelineruns', 'taskruns']);
    });
  }

  it('stopped-run-finally: what runs may end, finally tasks follow', async () => {
    const { running, final } = recorded('stopped-run-finally');
    assert.ok(running && final);
    world.create({ ...running, pipelineruns: running.pipelineruns.map(withoutStatusOfSpec) });
    await world.clock.turn(1_000);
    for (const run of world.client.list(pipelineRuns)) {
      const { namespace = '', name } = run.metadata;
      world.client.patch(pipelineRuns, namespace, name, { spec: { status: 'StoppedRunFinally' } });
    }
    await world.clock.turn(1_000);
    assert.equal(reasonOf(world.client.list(pipelineRuns)[0]), 'StoppedRunningFinally');
    await world.live(final);
    compare(world, final, everything);
  });

  for (const [name, ms] of [
    ['pipeline-timeout', 8_000],
    ['task-timeout', 6_000],
    ['tasks-timeout', 6_000],
  ] as const) {
    it(`${name}: what takes too long is stopped in time`, async () => {
      const { final } = recorded(name);
      assert.ok(final);
      world.create(final);
      await world.clock.turn(10);
      for (const pod of world.client.list(pods)) {
        world.client.update(pods, { ...pod, status: runningSteps(final, pod.metadata.name) });
      }
      await world.clock.turn(ms - 1_000);
      assert.deepEqual(world.snapshot().taskruns.map(reasonOf), ['Running']);
      await world.clock.turn(2_000);
      await world.live(final);
      compare(world, final, ['pipelineruns', 'taskruns']);
    });
  }

  it('image-missing: a pod that will never start is given up', async () => {
    const { waiting, final } = recorded('image-missing');
    assert.ok(waiting && final);
    world.create(waiting);
    await world.clock.turn(1_000);
    const [pod] = world.client.list(pods);
    const [back] = waiting.pods;
    assert.ok(pod && back);
    const status = JSON.parse(JSON.stringify(back.status).replaceAll('"ErrImagePull"', '"ImagePullBackOff"'));
    world.client.update(pods, { ...pod, status });
    await world.clock.turn(1_000);
    const [run] = world.client.list(taskRuns);
    assert.equal(reasonOf(run), 'TaskRunImagePullFailed');
    assert.deepEqual(world.client.list(pods), [], 'its pod is deleted');
    assert.equal(reasonOf(world.client.list(pipelineRuns)[0]), 'Failed');
  });

  it('quota: it is tried again each minute until there is room', async () => {
    const { waiting } = recorded('quota');
    assert.ok(waiting);
    const [run] = waiting.taskruns;
    const message = messageOf(run).replace('TaskRun Pod exceeded available resources: ', '');
    world.client.refusePods = new StatusError(403, 'Forbidden', message);
    world.create(waiting);
    await world.clock.turn(1_000);
    compare(world, waiting, everything);
    world.client.refusePods = undefined;
    await world.clock.turn(58_000);
    assert.deepEqual(world.client.list(pods), []);
    await world.clock.turn(2_000);
    assert.deepEqual(
      world.client.list(pods).map(({ metadata }) => metadata.name),
      ['quota-build-pod'],
    );
  });

  it('unschedulable: it is pending as long as no node takes the pod', async () => {
    const { waiting } = recorded('unschedulable');
    assert.ok(waiting);
    world.create(waiting);
    await world.clock.turn(1_000);
    compare(world, waiting, ['pipelineruns', 'taskruns']);
  });

  it('sidecar: it is stopped with another image when the steps are done', async () => {
    const { final } = recorded('sidecar');
    assert.ok(final);
    world.create(final);
    await world.clock.turn(1_000);
    const [pod] = world.client.list(pods);
    const [end] = final.pods;
    assert.ok(pod && end);
    world.client.update(pods, { ...pod, status: startedFrom(end) });
    await world.clock.turn(1_000);
    world.client.update(pods, { ...currentPod(world), status: stepsDone(end) });
    await world.clock.turn(1_000);
    const { containers } = currentPod(world).spec as { containers: { name: string; image: string }[] };
    assert.match(containers.find(({ name }) => name === 'sidecar-registry')?.image ?? '', /\/nop:/);
    const stopped = JSON.parse(JSON.stringify(end.status)) as { containerStatuses: JsonObject[] };
    const told = final.taskruns[0]?.status as { sidecars: { terminated: JsonObject }[] };
    for (const container of stopped.containerStatuses) {
      if (container.name !== 'sidecar-registry') continue;
      container.lastState = { terminated: told.sidecars[0]?.terminated };
      container.state = { running: {} };
      container.imageID = 'sha256:066c2ad93920a0bd86aa290e0c024c3adfdaa9ef1cc78ec42b7b8f6c8d5bd5f9';
    }
    world.client.update(pods, { ...currentPod(world), status: { ...stopped, phase: 'Running' } });
    await world.clock.turn(1_000);
    compare(world, final, ['pipelineruns', 'taskruns']);
  });
});

function currentPod(world: World): KubeObject {
  const [pod] = world.client.list(pods);
  assert.ok(pod);
  return pod;
}

/** The steps have ended, the sidecar still runs. */
function stepsDone({ status }: KubeObject): JsonObject {
  const { containerStatuses } = status as { containerStatuses: JsonObject[] };
  return {
    phase: 'Running',
    containerStatuses: containerStatuses.map((container) =>
      String(container.name).startsWith('sidecar-')
        ? { ...container, ready: true, state: { running: { startedAt: '2026-11-01T10:00:01Z' } } }
        : container,
    ),
  };
}

/** The status of a pod whose steps are where the recording says they were when they were stopped. */
function runningSteps(snapshot: Snapshot, podName: string): JsonObject {
  const run = snapshot.taskruns.find(({ status }) => (status as JsonObject).podName === podName);
  assert.ok(run);
  const { steps } = run.status as { steps: { container: string; imageID: string; terminated: JsonObject }[] };
  return {
    phase: 'Running',
    containerStatuses: steps.map(({ container, imageID, terminated }) => ({
      name: container,
      imageID,
      ready: true,
      state:
        terminated.containerID === undefined
          ? { running: { startedAt: '2026-11-01T10:00:01Z' } }
          : {
              terminated: {
                ...terminated,
                message: '[{"key":"StartedAt","value":"2026-11-01T10:00:01.000Z","type":3}]',
              },
            },
    })),
  };
}

function withoutStatusOfSpec(run: KubeObject): KubeObject {
  const { status: _, ...spec } = run.spec as JsonObject;
  return { ...run, spec };
}

function conditionOf(object: KubeObject | undefined): JsonObject {
  const { conditions } = (object?.status ?? {}) as { conditions?: JsonObject[] };
  return conditions?.[0] ?? {};
}

function reasonOf(object: KubeObject | undefined): unknown {
  return conditionOf(object).reason;
}

function messageOf(object: KubeObject | undefined): string {
  return String(conditionOf(object).message);
}

/** Keeps objects and tells of changes; what Tekton's webhook fills in, it fills in. */
class StandIn implements ApiClient {
  refusePods: StatusError | undefined;
  readonly #clock: HandClock;
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #watches = new Map<string, Set<(event: WatchEvent) => void>>();
  #version = 0;

  constructor(clock: HandClock) {
    this.#clock = clock;
    for (const { plural } of [pipelineRuns, taskRuns, customRuns, pods, pipelines, tasks])
      this.#objects.set(plural, new Map());
  }

  get({ plural }: Resource, namespace: string, name: string): KubeObject | undefined {
    return this.#objects.get(plural)?.get(`${namespace}/${name}`);
  }

  list({ plural }: Resource, { labels = '' }: ListFilter = {}): KubeObject[] {
    const wanted = labels === '' ? [] : labels.split(',').map((one) => one.split('='));
    return [...(this.#objects.get(plural)?.values() ?? [])].filter(({ metadata }) =>
      wanted.every(([key = '', value]) =>
        value === undefined ? key in (metadata.labels ?? {}) : metadata.labels?.[key] === value,
      ),
    );
  }

  create(resource: Resource, object: Parameters<ApiClient['create']>[1]): KubeObject {
    const { name = '', namespace = '' } = object.metadata;
    if (resource.plural === 'pods' && this.refusePods !== undefined) throw this.refusePods;
    if (this.get(resource, namespace, name) !== undefined)
      throw new StatusError(409, 'AlreadyExists', 'already exists');
    const metadata = {
      ...object.metadata,
      uid: `uid-${++this.#version}`,
      creationTimestamp: new Date(this.#clock.now()).toISOString(),
    };
    return this.#put(resource, 'ADDED', defaulted({ ...object, metadata } as unknown as KubeObject));
  }

  update(resource: Resource, object: KubeObject): KubeObject {
    const { namespace = '', name, resourceVersion } = object.metadata;
    const before = this.get(resource, namespace, name);
    if (before === undefined) throw notFound(resource, name);
    assert.equal(resourceVersion, before.metadata.resourceVersion, 'nobody wrote in between');
    return this.#put(resource, 'MODIFIED', object);
  }

  patch(resource: Resource, namespace: string, name: string, merge: JsonObject): KubeObject {
    const before = this.get(resource, namespace, name);
    if (before === undefined) throw notFound(resource, name);
    return this.#put(resource, 'MODIFIED', merged(before, merge) as KubeObject);
  }

  remove(resource: Resource, namespace: string, name: string): void {
    const before = this.get(resource, namespace, name);
    this.#objects.get(resource.plural)?.delete(`${namespace}/${name}`);
    if (before !== undefined) this.#tell(resource, { type: 'DELETED', object: before });
  }

  watch({ plural }: Resource, _: ListFilter, on: (event: WatchEvent) => void): () => void {
    const watches = this.#watches.get(plural) ?? new Set();
    this.#watches.set(plural, watches);
    watches.add(on);
    return () => void watches.delete(on);
  }

  #put(resource: Resource, type: WatchEvent['type'], object: KubeObject): KubeObject {
    const { namespace = '', name } = object.metadata;
    const stored = structuredClone({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(++this.#version) },
    });
    const objects = this.#objects.get(resource.plural) ?? new Map<string, KubeObject>();
    this.#objects.set(resource.plural, objects);
    objects.set(`${namespace}/${name}`, stored);
    this.#tell(resource, { type, object: stored });
    return stored;
  }

  #tell({ plural }: Resource, event: WatchEvent): void {
    for (const on of this.#watches.get(plural) ?? []) setImmediate(() => on(event));
  }
}

function merged(before: JsonObject, patch: JsonObject): JsonObject {
  const result = { ...before };
  for (const [key, value] of Object.entries(patch)) {
    const old = result[key];
    const both = [old, value].every((one) => one !== null && typeof one === 'object' && !Array.isArray(one));
    result[key] = both ? merged(old as JsonObject, value as JsonObject) : value;
  }
  return result;
}

/** What Tekton's webhook fills in, of what these runs need. */
function defaulted(object: KubeObject): KubeObject {
  const spec = (object.spec ?? {}) as JsonObject;
  if (object.kind === 'TaskRun') {
    const labels = { 'app.kubernetes.io/managed-by': 'tekton-pipelines', ...object.metadata.labels };
    return { ...object, metadata: { ...object.metadata, labels }, spec: { timeout: '1h0m0s', ...spec } };
  }
  if (object.kind === 'PipelineRun') return { ...object, spec: { timeouts: { pipeline: '1h0m0s' }, ...spec } };
  return object;
}
