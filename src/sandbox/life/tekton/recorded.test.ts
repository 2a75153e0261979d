/**
 * What the controllers make of the runs that a real Tekton 1.15 was recorded with (`test/fixtures/tekton`): the same
 * PipelineRuns go in, pods end as they were recorded to end, and everything that is written must be what Tekton wrote, but
 * for times, uids and random names. The API is the sandbox's own, in the process and without a kubelet.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { HandClock } from '../../../../test/support/hand-clock.ts';
import { tektonApi } from '../../../../test/support/tekton-api.ts';
import { silentLog } from '../../../log.ts';
import type { JsonObject, KubeObject } from '../../object.ts';
import { StatusError } from '../../status.ts';
import { createTektonControllers } from './controllers.ts';
import { customRuns, pipelineRuns, pipelines, pods, stepActions, taskRuns, tasks } from './types.ts';

const fixtures = join(import.meta.dirname, '../../../../test/fixtures/tekton');
const runs = join(import.meta.dirname, '../../../../test/cluster/runs');

const asStatus = { subresource: 'status' } as const;

/** What the API held at one moment. */
type Snapshot = Readonly<Record<'pipelineruns' | 'taskruns' | 'customruns' | 'pods', KubeObject[]>>;

function recorded(name: string): Record<string, Snapshot> {
  return JSON.parse(readFileSync(join(fixtures, `${name}.json`), 'utf8'));
}

/** Runs that somebody or something disturbs on their way: each has a test of its own. */
const disturbed = new Set([
  'cancelled',
  'cancelled-run-finally',
  'custom-run',
  'image-missing',
  'pending',
  'pipeline-timeout',
  'quota',
  'sidecar',
  'stopped-run-finally',
  'task-timeout',
  'tasks-timeout',
  'unschedulable',
]);

/** All other recorded runs. */
function undisturbed(): string[] {
  const names = readdirSync(fixtures).map((file) => file.replace('.json', ''));
  return names.filter((name) => !disturbed.has(name) && recorded(name).final !== undefined);
}

/** The controllers with a stand-in API, and pods whose fate is recorded. */
class World {
  readonly clock = new HandClock();
  /** What the API says to whoever creates a pod. */
  podsRefusedWith: StatusError | undefined;
  readonly #api = tektonApi(this.clock, [
    {
      beforeWrite: ({ verb, plural }) => {
        if (verb === 'create' && plural === 'pods' && this.podsRefusedWith !== undefined) throw this.podsRefusedWith;
      },
    },
  ]);
  readonly client = this.#api.client;
  /** Pods that have been let go their way. */
  readonly #ended = new Set<string>();
  readonly #controllers = createTektonControllers({ client: this.client, clock: this.clock, log: silentLog });

  async start(): Promise<void> {
    await this.#controllers.start();
  }

  async stop(): Promise<void> {
    await this.#controllers.stop(new AbortController().signal);
    assert.equal(this.clock.sleeping, 0);
  }

  /** Creates what a run refers to: Tasks, Pipelines, StepActions. */
  createOthers(name: string): void {
    const namespace = `record-${name}`;
    this.#api.addNamespace(namespace);
    for (const document of parseAllDocuments(readFileSync(join(runs, `${name}.yaml`), 'utf8'))) {
      const object = document.toJSON() as KubeObject;
      const resource = [tasks, pipelines, stepActions].find(({ plural }) => plural === `${object.kind.toLowerCase()}s`);
      if (resource !== undefined) {
        this.client.create(resource, { ...object, metadata: { ...object.metadata, namespace } });
      }
    }
  }

  /** Creates the runs that a person created. */
  create(snapshot: Snapshot): void {
    for (const run of snapshot.pipelineruns) {
      if (run.metadata.ownerReferences !== undefined) continue;
      const { name, namespace, labels } = run.metadata;
      this.#api.addNamespace(namespace ?? '');
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
        if (end === undefined || this.#ended.has(pod.metadata.uid)) continue;
        this.#ended.add(pod.metadata.uid);
        quiet = -1;
        if (phaseOf(end) !== 'Pending') {
          this.client.update(pods, { ...pod, status: startedFrom(end) }, asStatus);
          await this.clock.turn(1_000);
        }
        const now = this.client.get(pods, pod.metadata.namespace ?? '', pod.metadata.name);
        const status = structuredClone(end.status);
        if (now !== undefined) this.client.update(pods, { ...now, status }, asStatus);
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

function phaseOf({ status }: KubeObject): unknown {
  return (status as JsonObject).phase;
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

  for (const name of undisturbed()) {
    it(`${name}: every object is written as Tekton wrote it`, async () => {
      const { final } = recorded(name);
      assert.ok(final);
      world.createOthers(name);
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
    world.client.update(customRuns, { ...approval, status: structuredClone(final.customruns[0]?.status) }, asStatus);
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
        world.client.update(pods, { ...pod, status: runningSteps(final, pod.metadata.name) }, asStatus);
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
    world.client.update(pods, { ...pod, status }, asStatus);
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
    world.podsRefusedWith = new StatusError(403, 'Forbidden', message);
    world.create(waiting);
    await world.clock.turn(1_000);
    compare(world, waiting, everything);
    world.podsRefusedWith = undefined;
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
    world.client.update(pods, { ...pod, status: startedFrom(end) }, asStatus);
    await world.clock.turn(1_000);
    world.client.update(pods, { ...currentPod(world), status: stepsDone(end) }, asStatus);
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
    world.client.update(pods, { ...currentPod(world), status: { ...stopped, phase: 'Running' } }, asStatus);
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
