/**
 * What Tekton makes of a run, on the real cluster and in the sandbox alike: each must come to what is written down in
 * test/fixtures/contract/tekton. UPDATE=1 writes it down again, from the real cluster only.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { JsonObject } from '../../src/kube/objects.ts';
import { projectPipelineRun, projectTaskRun } from '../../src/tekton/project.ts';
import { isDone } from '../../src/tekton/status.ts';
import { connect } from '../cluster/cluster.ts';
import { setFeatureFlags } from '../cluster/knobs.ts';
import { eventually } from '../support/eventually.ts';
import { checkout } from '../support/gateway.ts';
import { onCluster } from '../support/ground.ts';
import { clusterSuite } from '../support/needs.ts';
import { startWorld, type World } from '../support/world.ts';
import { tektonFacts } from './tekton-facts.ts';

/** What is done to a run on its way. Without any it is left alone to its end. */
interface Case {
  readonly run: string;
  /** Waited for before `merge` is merged into it. */
  readonly when?: (world: World, run: string) => Promise<unknown>;
  readonly merge?: object;
  /** It never ends: what is compared is what it comes to rest with. */
  readonly rest?: (world: World, run: string) => Promise<unknown>;
  /** A reason with which it ends where Tekton has not looked at it between its start and its end: it is played again then. */
  readonly unlooked?: string;
}

const stepRuns: Case['when'] = (world, run) =>
  eventually(
    async () => {
      const { taskRuns } = await objectsOf(world, run);
      assert.ok(
        taskRuns.some((each) => JSON.stringify(each).includes('"running":{')),
        'no step runs yet',
      );
    },
    { withinMs: 60_000 },
  );
const reasonIs =
  (reason: string): NonNullable<Case['when']> =>
  (world, run) =>
    eventually(async () => assert.equal((await world.condition(run))?.reason, reason), { withinMs: 60_000 });
const taskSays =
  (what: RegExp): NonNullable<Case['when']> =>
  (world, run) =>
    eventually(
      async () => {
        const { taskRuns } = await objectsOf(world, run);
        const texts = taskRuns.map((each) => JSON.stringify(each.status ?? {}));
        assert.ok(texts.length > 0 && texts.every((text) => what.test(text)), texts.join());
      },
      { withinMs: 60_000 },
    );

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
    'pipeline-timeout',
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
    'task-timeout',
    'tasks-timeout',
    'ten-steps',
    'workspace',
    'workspace-missing',
  ].map((run) => ({ run })),
  { run: 'literal-index', unlooked: 'Failed' }, // judged at each look, by what the first of them has written
  { run: 'cancelled', when: stepRuns, merge: { spec: { status: 'Cancelled' } } },
  { run: 'cancelled-run-finally', when: stepRuns, merge: { spec: { status: 'CancelledRunFinally' } } },
  { run: 'stopped-run-finally', when: stepRuns, merge: { spec: { status: 'StoppedRunFinally' } } },
  { run: 'pending', rest: reasonIs('PipelineRunPending') },
  { run: 'quota', rest: taskSays(/ExceededResourceQuota/) },
  { run: 'unschedulable', rest: taskSays(/nodes are available/) }, // the reason is Pending before the scheduler has looked
];

describe("Tekton's answer to a run", function () {
  this.timeout(300_000);
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

clusterSuite("Tekton's answer to a run with alpha features", onCluster ? { knobs: true } : {}, () => {
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

async function play(world: World, each: Case, triesLeft = 3): Promise<JsonObject> {
  const { run, when, merge, rest, unlooked } = each;
  await world.run(run, { name: run });
  await when?.(world, run);
  if (merge) await world.patch(run, merge);
  if (rest) await rest(world, run);
  else await world.finished(run, { withinMs: 180_000 });
  // A run that is stopped is done before its tasks are.
  const settled = async () => {
    const objects = await objectsOf(world, run);
    if (rest) return objects;
    for (const { succeeded } of objects.taskRuns.map(projectTaskRun)) assert.ok(isDone(succeeded));
    return objects;
  };
  const objects = await eventually(settled, { withinMs: 60_000 });
  const isUnlooked = objects.runs.map(projectPipelineRun).some(({ succeeded }) => succeeded?.reason === unlooked);
  if (unlooked === undefined || !isUnlooked || triesLeft === 0) return tektonFacts(objects, world.namespace);
  for (const [plural, list] of [['pipelineruns', objects.runs] as const, ['taskruns', objects.taskRuns] as const]) {
    for (const { metadata } of list) {
      const { name } = metadata as { name: string };
      await world.admin.remove(`/apis/tekton.dev/v1/namespaces/${world.namespace}/${plural}/${name}`);
    }
  }
  await eventually(async () => assert.deepEqual(await objectsOf(world, run), { runs: [], taskRuns: [] }), {
    withinMs: 60_000,
  });
  return play(world, each, triesLeft - 1);
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
