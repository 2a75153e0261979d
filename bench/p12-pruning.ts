/** P12: thousands of runs too many are pruned at a bounded rate, and clients who follow logs do not notice. */
import assert from 'node:assert/strict';
import type { Manifest } from '../test/support/admin.ts';
import { eventually } from '../test/support/eventually.ts';
import { applyDefinitions, startWorld, type World } from '../test/support/world.ts';
import { agesOfLines, SPEAKING } from './p4-line-latency.ts';
import { type Measured, median, quantile, type Round, type Row } from './row.ts';
import { cancel, speakingRun } from './runs.ts';
import { administratorOf, open, rungateOf } from './target.ts';
import { changesIn, collectionOf, makeSource, pendingRun, pendingTrigger } from './triggers.ts';

const RUNS = 10_000;
/** What is kept, and what may be deleted in a second (MAX_DELETES_PER_SECOND unless told). */
const KEPT = 10;
const MOST_PER_SECOND = 50;
const ROUNDS = 3;
const SPEAKERS = 4;
const NAME = 'too-many';

const common = {
  peer: 'the same before anything is pruned',
  unit: 'ms',
  units: { pruned: 'runs/s' },
  goal: { of: 'ours', named: 'p99', below: 100, also: { p50: 20, pruned: MOST_PER_SECOND + 1 } },
} as const;

/** The row, on the cluster. */
export const pruning: Row = {
  ...common,
  name: 'P12',
  ours: `age of a line as in P4, while ${RUNS.toLocaleString('en')} runs are pruned to ${KEPT}`,
  measure: agesWhilePruning,
};

/** The row, in a sandbox. */
export const pruningOfSandbox: Row = {
  ...common,
  name: 'P12s',
  ours: 'the same in front of the sandbox',
  async measure() {
    await using world = await startWorld({ ground: 'sandbox', gateway: false });
    return await agesWhilePruning(world); // which the world has to outlive
  },
};

async function agesWhilePruning(world: World): Promise<Measured> {
  const { admin, namespace } = world;
  await applyDefinitions(admin);
  const speakers = await Promise.all(Array.from({ length: SPEAKERS }, () => speakingRun(world, 'p12', SPEAKING)));
  await makeSource(admin, namespace, NAME);
  await makeFinishedRuns(world);
  const gateway = await world.startGateway({
    env: { KUBECONFIG: admin.kubeconfig, PARTS: 'gateway,triggers', LOG_LEVEL: 'info', LOG_FORMAT: 'json' },
  });
  try {
    const paths = speakers.map(({ run }) => `/logs/${run}?timestamps=true&prefix=none&color=never&tail=1`);
    const ages = () => agesOfLines({ target: rungateOf({ gateway }), paths });
    await ages(); // for warmth
    const before: number[][] = [];
    for (let round = 0; round < ROUNDS; round++) before.push(await ages());
    const deletions = await watchDeletions(world);
    // From here on there are too many of them.
    await admin.create(pendingTrigger(NAME, namespace, { 'pipeline.jquad.rocks/max-history': String(KEPT) }));
    await eventually(() => assert.notEqual(deletions.times.length, 0), { withinMs: 60_000 });
    const during: number[][] = [];
    for (let round = 0; round < ROUNDS; round++) during.push(await ages());
    assert.ok(deletions.times.length < RUNS - KEPT, 'all were deleted before the end');
    await eventually(() => assert.equal(deletions.times.length, RUNS - KEPT), { withinMs: 600_000, everyMs: 500 });
    deletions.end();
    const rounds = during.map((ours, place): Round<number[]> => ({ ours, peer: before[place] ?? [] }));
    const most = mostInASecond(deletions.times);
    return {
      rounds: rounds.map(({ ours, peer }) => ({ ours: quantile(ours, 0.99), peer: quantile(peer, 0.99) })),
      also: {
        p50: {
          ours: median(rounds.map(({ ours }) => median(ours))),
          peer: median(rounds.map(({ peer }) => median(peer))),
        },
        pruned: { ours: most, peer: 0 },
      },
    };
  } finally {
    await gateway.stop('SIGKILL');
    for (const speaker of speakers) await cancel(world, speaker).catch(() => {}); // one that has ended says no
  }
}

/** Runs of the trigger to come, as runs of the original's first releases were: with its label, without an owner. */
async function makeFinishedRuns({ admin, namespace }: World): Promise<void> {
  const collection = collectionOf('pipelineruns', namespace);
  const condition = { type: 'Succeeded', status: 'True', reason: 'Succeeded', message: 'made up' };
  const at = new Date(Date.now() - 3_600_000).toISOString().replace(/\.\d+Z$/, 'Z');
  // Without a startTime: Tekton refuses one for a run that is told to lie.
  const status = { completionTime: at, conditions: [{ ...condition, lastTransitionTime: at }] };
  const end = (name: string) => admin.patch(`${collection}/${name}/status`, { status });
  for (let made = 0; made < RUNS; made += 50) {
    await Promise.all(
      Array.from({ length: 50 }, async (_, place) => {
        const name = `${NAME}-${made + place}`;
        await admin.post(collection, pendingRun({ name, trigger: NAME }));
        await end(name);
      }),
    );
  }
  // Tekton may have looked at one before that, and written afterwards that it is pending.
  await eventually(
    async () => {
      const labelled = `labelSelector=pipeline.jquad.rocks/pipelinetrigger%3D${NAME}`;
      const { items } = await admin.get<{ items: readonly Manifest[] }>(`${collection}?${labelled}`);
      const open = items.filter(({ status }) => !JSON.stringify(status ?? {}).includes(condition.message));
      for (const { metadata } of open) await end(metadata.name ?? '');
      assert.equal(open.length, 0);
    },
    { withinMs: 120_000, everyMs: 2_000 },
  );
}

async function watchDeletions({
  admin,
  namespace,
}: World): Promise<{ readonly times: readonly number[]; end(): void }> {
  const times: number[] = [];
  const collection = collectionOf('pipelineruns', namespace);
  const { metadata } = await admin.get<{ metadata: { resourceVersion: string } }>(`${collection}?limit=1`);
  const path = `${collection}?watch=true&resourceVersion=${metadata.resourceVersion}`;
  const watch = await open(await administratorOf(admin.kubeconfig), path);
  changesIn(watch, ({ type, trigger }) => {
    if (type === 'DELETED' && trigger === NAME) times.push(performance.now());
  });
  return { times, end: () => void watch.destroy() };
}

/** How many of some moments, ascending, lie within any one second. */
function mostInASecond(times: readonly number[]): number {
  let [from, most] = [0, 0];
  for (const [place, time] of times.entries()) {
    while ((times[from] ?? time) <= time - 1_000) from++;
    most = Math.max(most, place - from + 1);
  }
  return most;
}
