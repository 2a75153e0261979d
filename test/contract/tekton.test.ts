/**
 * What Tekton makes of a run, on the real cluster and in the sandbox alike: each must come to what is written down in
 * test/fixtures/contract/tekton. UPDATE=1 writes it down again, from the real cluster only.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type JsonObject, listOf, objectOf } from '../../src/kube/objects.ts';
import { projectPipelineRun, projectTaskRun } from '../../src/tekton/project.ts';
import { isDone } from '../../src/tekton/status.ts';
import { connect } from '../cluster/cluster.ts';
import { setFeatureFlags } from '../cluster/knobs.ts';
import { eventually } from '../support/eventually.ts';
import { checkout } from '../support/gateway.ts';
import { onCluster } from '../support/ground.ts';
import { clusterSuite } from '../support/needs.ts';
import { startWorld, type World } from '../support/world.ts';
import { type RunObjects, tektonFacts } from './tekton-facts.ts';

/** What is done to a run on its way. Without any it is left alone to its end. */
interface Case {
  readonly run: string;
  /** Waited for before `merge` is merged into it. */
  readonly when?: (world: World, run: string) => Promise<unknown>;
  readonly merge?: object;
  /** It never ends: what is compared is what it comes to rest with. */
  readonly rest?: (world: World, run: string) => Promise<unknown>;
  /** Whether somebody, a pod or Tekton, came too late for what it is about: it is played again then, more slowly. */
  readonly late?: (objects: RunObjects) => boolean;
  /** How far its pod had come when it was over is a matter of chance. */
  readonly anyStep?: boolean;
}

/** A pod of a cluster takes minutes to start when its machine has much to do. */
const patience = { withinMs: onCluster ? 240_000 : 60_000 };
/** How many times as slowly a case is played again, first and from then on, and how often it is played at all. */
const [SLOWER, SLOWEST] = [3, 9];
const MOST_PLAYS = 10;

const stepRuns: Case['when'] = (world, run) =>
  eventually(async () => {
    const { runs, taskRuns } = await objectsOf(world, run);
    const isRunning = taskRuns.some((each) => JSON.stringify(each).includes('"running":{'));
    const isOver = runs.map(projectPipelineRun).some(({ succeeded }) => isDone(succeeded));
    assert.ok(isRunning || isOver, 'no step runs yet');
  }, patience);
const reasonIs =
  (reason: string): NonNullable<Case['when']> =>
  (world, run) =>
    eventually(async () => assert.equal((await world.condition(run))?.reason, reason), patience);
const taskSays =
  (what: RegExp): NonNullable<Case['when']> =>
  (world, run) =>
    eventually(async () => {
      const { taskRuns } = await objectsOf(world, run);
      const texts = taskRuns.map((each) => JSON.stringify(each.status ?? {}));
      assert.ok(texts.length > 0 && texts.every((text) => what.test(text)), texts.join());
    }, patience);

const ofTask = (task: string) => (taskRun: JsonObject) =>
  objectOf(objectOf(taskRun.metadata).labels)['tekton.dev/pipelineTask'] === task;
const stepOf = ({ taskRuns }: RunObjects, task: string, step: string): JsonObject | undefined =>
  listOf(objectOf(taskRuns.find(ofTask(task))?.status).steps)
    .map(objectOf)
    .find(({ name }) => name === step);
/** A task that is ended before its pod has begun says so. */
const wasPending = ({ taskRuns }: RunObjects) => JSON.stringify(taskRuns).includes('Previous status: [Pending]');
const isDoneWell = (step: JsonObject | undefined) => objectOf(step?.terminated).exitCode === 0;

const cases: readonly Case[] = [
  ...[
    'array-index',
    'config-missing',
    'continues-with-result',
    'everything',
    'failing-exit-7',
    'failing-step',
    'finally-fails',
    'finally-status',
    'green',
    'guarded',
    'image-missing',
    'large-result',
    'literal-embedded',
    'literal-known',
    'literal-on-error',
    'literal-pod',
    'literal-refused',
    'literal-step',
    'matrix',
    'matrix-include',
    'old-version',
    'out-of-memory',
    'parallel',
    'parameter-missing',
    'parameter-type',
    'pipeline-missing',
    'result-missing',
    'result-types',
    'results',
    'retries-fail',
    'retries-succeed',
    'sidecar',
    'skipped',
    'step-action',
    'step-continues',
    'step-timeout',
    'task-continues',
    'task-missing',
    'task-parameter-missing',
    'task-ref',
    'ten-steps',
    'workspace',
    'workspace-missing',
  ].map((run) => ({ run })),
  ...['pipeline-timeout', 'task-timeout'].map((run) => ({
    run,
    late: (objects: RunObjects) => wasPending(objects) || !isDoneWell(stepOf(objects, 'build', 'prepare')),
  })),
  {
    run: 'tasks-timeout',
    late: (objects) =>
      wasPending(objects) || !stepOf(objects, 'build', 'compile') || !isDoneWell(stepOf(objects, 'report', 'tell')),
  },
  {
    // Judged at each look, by what the first of them has written: that may be too late for the run.
    run: 'literal-index',
    late: ({ runs }) => runs.map(projectPipelineRun).some(({ succeeded }) => succeeded?.reason === 'Failed'),
    anyStep: true,
  },
  { run: 'cancelled', when: stepRuns, merge: { spec: { status: 'Cancelled' } }, late: wasPending },
  {
    run: 'cancelled-run-finally',
    when: stepRuns,
    merge: { spec: { status: 'CancelledRunFinally' } },
    late: wasPending,
  },
  {
    run: 'stopped-run-finally',
    when: stepRuns,
    merge: { spec: { status: 'StoppedRunFinally' } },
    late: ({ taskRuns }) => taskRuns.some(ofTask('deploy')),
  },
  { run: 'pending', rest: reasonIs('PipelineRunPending') },
  { run: 'quota', rest: taskSays(/ExceededResourceQuota/) },
  { run: 'unschedulable', rest: taskSays(/nodes are available/) }, // the reason is Pending before the scheduler has looked
];

describe("Tekton's answer to a run", function () {
  this.timeout(900_000);
  let world: World;
  // A run takes its pods' time: several go at once, and each test waits for its own.
  const outcomes = new Map<string, Promise<JsonObject>>();
  before(async () => {
    world = await startWorld({ gateway: false });
    const slots = Array.from({ length: onCluster ? 4 : 8 }, () => Promise.resolve());
    for (const [place, each] of cases.entries()) {
      const slot = place % slots.length;
      const outcome = (slots[slot] ?? Promise.resolve()).then(() => play(world, each));
      outcome.catch(() => {}); // its own test tells
      outcomes.set(each.run, outcome);
      slots[slot] = outcome.then(
        () => {},
        () => {},
      );
    }
  });
  after(() => world?.end());

  for (const { run } of cases) {
    it(`is the same everywhere: ${run}`, async () => {
      const outcome = await outcomes.get(run);
      assert(outcome);
      compare(run, outcome);
    });
  }
});

clusterSuite("Tekton's answer to a run with alpha features", onCluster ? { knobs: true } : {}, function () {
  this.timeout(900_000);
  let world: World;
  let restore: (() => Promise<void>) | undefined;
  before(async () => {
    if (onCluster) restore = await setFeatureFlags(await connect(), { 'enable-api-fields': 'alpha' });
    world = await startWorld({ gateway: false });
  });
  after(async () => {
    await world?.end();
    await restore?.();
  });

  it('is the same everywhere: nested', async () => compare('nested', await play(world, { run: 'nested' })));
});

async function play(world: World, each: Case, time = 0): Promise<JsonObject> {
  const { run, when, merge, rest, late } = each;
  const manifest = await readFile(`${checkout}test/cluster/runs/${run}.yaml`, 'utf8');
  await world.run(slowed(manifest, [1, SLOWER][time] ?? SLOWEST), { name: run });
  await when?.(world, run);
  let unmerged: unknown;
  if (merge) {
    await world.patch(run, merge).catch((error: unknown) => {
      unmerged = error; // one that is over cannot be changed any more
    });
  }
  if (rest) await rest(world, run);
  else await world.finished(run, { withinMs: onCluster ? 600_000 : 180_000 });
  // A run that is stopped is done before its tasks are.
  const settled = async () => {
    const objects = await objectsOf(world, run);
    if (rest) return objects;
    for (const { succeeded } of objects.taskRuns.map(projectTaskRun)) assert.ok(isDone(succeeded));
    return objects;
  };
  const objects = await eventually(settled, patience);
  if (late?.(objects) !== true || time + 1 === MOST_PLAYS) {
    if (unmerged !== undefined) throw unmerged;
    return tektonFacts(each.anyStep ? withoutSteps(objects) : objects, world.namespace);
  }
  for (const [plural, list] of [['pipelineruns', objects.runs] as const, ['taskruns', objects.taskRuns] as const]) {
    for (const { metadata } of list) {
      const { name } = metadata as { name: string };
      await world.admin.remove(`/apis/tekton.dev/v1/namespaces/${world.namespace}/${plural}/${name}`);
    }
  }
  await eventually(async () => {
    assert.deepEqual(await objectsOf(world, run), { runs: [], taskRuns: [] });
    assert.deepEqual(await world.pods(run), []); // whose names are those of the next
  }, patience);
  return play(world, each, time + 1);
}

/** Nothing of what TaskRuns say of their steps. */
function withoutSteps({ runs, taskRuns }: RunObjects): RunObjects {
  return { runs, taskRuns: taskRuns.map((each) => ({ ...each, status: { ...objectOf(each.status), steps: [] } })) };
}

/** A run whose steps and limits are so many times as long. */
function slowed(manifest: string, times: number): string {
  return manifest.replace(
    /\b(timeout: |pipeline: |tasks: |finally: |sleep )(\d+)(?=s?$)/gm,
    (_, what: string, seconds: string) => `${what}${Number(seconds) * times}`,
  );
}

async function objectsOf(world: World, run: string) {
  const of = async (plural: string) => {
    const { items } = await world.admin.get<{ items: JsonObject[] }>(
      `/apis/tekton.dev/v1/namespaces/${world.namespace}/${plural}`,
    );
    return items.filter((each) => (each.metadata as { name: string }).name.startsWith(run));
  };
  const [runs, taskRuns] = await Promise.all([of('pipelineruns'), of('taskruns')]);
  // `matrix-include` begins like `matrix`: what belongs to a run says so.
  const own = (each: JsonObject) => {
    const { name, labels = {} } = each.metadata as { name: string; labels?: Record<string, string> };
    const parent = labels['tekton.dev/pipelineRun'];
    return (
      name === run || parent === run || (parent?.startsWith(`${run}-`) && !cases.some((other) => other.run === parent))
    );
  };
  return { runs: runs.filter(own), taskRuns: taskRuns.filter(own) };
}

function compare(run: string, outcome: JsonObject): void {
  const file = `${checkout}test/fixtures/contract/tekton/${run}.json`;
  if (process.env.UPDATE === '1' && onCluster) writeFileSync(file, `${JSON.stringify(outcome, undefined, 1)}\n`);
  assert.ok(existsSync(file), `${file} is not there; UPDATE=1 npm run test:cluster -- test/contract/tekton.test.ts`);
  assert.deepEqual(outcome, JSON.parse(readFileSync(file, 'utf8')));
}
