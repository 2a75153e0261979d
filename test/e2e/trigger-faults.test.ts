/** What becomes of triggers when writes conflict, fail, or are taken without a word of it, and when watches lag. */
import assert from 'node:assert/strict';
import { on, refusal } from '../support/fault-proxy.ts';
import { commitOf, intentWrite, revisionOf, runWrite, type Shape, shapes, triggerOf } from '../support/shapes.ts';
import { type RunManifest, startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

const runs = on.create('pipelineruns');
const commitsOf = (made: readonly RunManifest[]) =>
  made.map(({ spec }) => spec.params?.find(({ name }) => name === 'rev')?.value);
const nameIn = (run: RunManifest | undefined) => run?.metadata.name ?? '';

describe('triggers when writes go wrong', function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  before(async () => {
    world = await startTriggerWorld({ faults: true });
    await Promise.all((['skips', 'waits'] as const).map((kind) => world.pipeline(kind)));
  });
  afterEach(() => world?.faults.lift());
  after(() => world?.end());

  const made = new Map<string, number>();
  let triggers = 0;
  /** A trigger of that shape that nobody has had, and its source at revision 1. */
  const begin = async (shape: Shape, pipeline?: string): Promise<string> => {
    const name = `t${++triggers}`;
    await world.repository(name, revisionOf(1));
    await world.trigger(triggerOf(shape, name, pipeline === undefined ? {} : { pipeline }));
    return name;
  };
  /** One run for each of these revisions, and the status is that of the last. */
  const isRight = async (name: string, revisions: readonly number[]) => {
    const last = revisions.at(-1) ?? 0;
    const status = await world.reached(name, revisionOf(last));
    await world.settled();
    const all = await world.runsOf(name);
    assert.deepEqual(commitsOf(all).sort(), revisions.map(commitOf).sort());
    const newest = all.find((run) => commitsOf([run])[0] === commitOf(last));
    assert.equal(status.latestPipelineRun, nameIn(newest));
    made.set(name, all.length);
    return { status, all };
  };
  const told = async (name: string, type: string, start = '') =>
    (await world.toldOf(name)).filter((event) => event.type === type && event.message.startsWith(start));

  for (const shape of shapes) {
    it(`trigger 14: two revisions 50 ms apart: the last has its run, none has two (spec.${shape})`, async () => {
      const name = await begin(shape);
      await world.reached(name, revisionOf(1));
      await world.push(name, revisionOf(2));
      await new Promise((resolve) => setTimeout(resolve, 50));
      await world.push(name, revisionOf(3));
      await world.reached(name, revisionOf(3));
      await world.settled();
      const commits = commitsOf(await world.runsOf(name));
      await isRight(name, commits.includes(commitOf(2)) ? [1, 2, 3] : [1, 3]);
    });

    for (const [write, which] of [
      ['the intent', (name: string) => on.status('pipelinetriggers', name, intentWrite)],
      ['the run', () => runs],
      ['the name of the run', (name: string) => on.status('pipelinetriggers', name, runWrite)],
    ] as const) {
      it(`trigger 16: killed when ${write} is written, unheard: one run, and the status names it (spec.${shape})`, async () => {
        const name = await begin(shape);
        await world.reached(name, revisionOf(1));
        const isTaken = new Promise((met) =>
          world.faults.add({ on: which(name), fault: { kind: 'lost', how: 'silence' }, times: 1, met }),
        );
        await world.push(name, revisionOf(2));
        await isTaken;
        await world.gateway.stop('SIGKILL');
        await world.restart();
        const { status } = await isRight(name, [1, 2]);
        assert.equal(status.eventSequence, 2);
      });

      it(`trigger 16: ${write} is written and the answer is lost: one run, and the status names it (spec.${shape})`, async () => {
        const name = await begin(shape);
        await world.reached(name, revisionOf(1));
        world.faults.add({ on: which(name), fault: { kind: 'lost', how: 'reset' }, times: 1 });
        await world.push(name, revisionOf(2));
        const { status } = await isRight(name, [1, 2]);
        assert.equal(status.eventSequence, 2);
      });
    }

    it(`trigger 17: conflicts on the first three writes of the status are nobody's concern (spec.${shape})`, async () => {
      const name = `t${triggers + 1}`;
      world.faults.add({ on: on.status('pipelinetriggers', name), fault: refusal(409), times: 3 });
      await begin(shape);
      await isRight(name, [1]);
      assert.equal(world.faults.matching(on.status('pipelinetriggers', name)).filter((one) => one.fault).length, 3);
      assert.deepEqual(await told(name, 'Warning'), []);
    });

    it(`trigger 18: a create that fails five times is tried again until the run is there (spec.${shape})`, async () => {
      world.faults.add({ on: runs, fault: refusal(500), times: 5 });
      const name = await begin(shape);
      const { all } = await isRight(name, [1]);
      const [started, ...more] = await told(name, 'Normal', 'Started');
      assert.equal(started?.message, `Started the pipeline ${nameIn(all[0])} in namespace ${world.namespace}`);
      assert.deepEqual([started?.count ?? 1, more.length], [1, 0]);
    });

    it(`trigger 19: a create that is denied is an error with its words, seldom tried, and at once when the trigger changes (spec.${shape})`, async () => {
      world.faults.forget();
      const lift = world.faults.add({ on: runs, fault: refusal(422) });
      const name = await begin(shape);
      const { message } = await world.says(name, 'Error');
      assert.match(message, /the policy of this namespace does not allow it/);
      for (let touch = 0; touch < 20; touch++) {
        await world.change(name, { metadata: { annotations: { touch: String(touch) } } });
        await world.push(name, revisionOf(1));
      }
      await world.settled();
      assert.equal(world.faults.matching(runs).length, 1);
      assert.deepEqual(await world.runsOf(name), []);
      lift();
      const more = { name: 'extra', value: 'allowed' };
      await world.change(
        name,
        shape === 'pipeline'
          ? { spec: { pipeline: { inputParams: [{ name: 'rev', value: '$(commit)' }, more] } } }
          : { spec: { pipelineRun: { spec: { params: [{ name: 'rev', value: '$.commitId' }, more] } } } },
      );
      const { status } = await isRight(name, [1]);
      assert.equal(status.eventSequence, 1);
    });

    for (const [watch, resources] of [
      ['runs', ['pipelineruns']],
      ['triggers', ['pipelinetriggers']],
      ['both', ['pipelineruns', 'pipelinetriggers']],
    ] as const) {
      it(`trigger 24: runs deleted by hand start nothing, while the watch of ${watch} lags neither (spec.${shape})`, async () => {
        const name = await begin(shape);
        const { all } = await isRight(name, [1]);
        for (const resource of resources) {
          world.faults.add({ on: on.watch(resource), fault: { kind: 'stall', at: { bytes: 0 } } });
        }
        world.faults.reset();
        for (const run of all) await world.remove(nameIn(run), { wait: true });
        // Both make the trigger due.
        await world.change(name, { metadata: { annotations: { touch: 'once' } } });
        await world.push(name, revisionOf(1));
        await world.settled();
        assert.deepEqual(await world.runsOf(name), []);
        world.faults.lift();
        world.faults.reset();
        await world.settled();
        assert.deepEqual(await world.runsOf(name), []);
        await world.says(name, 'Success', 'True');
        made.set(name, 0);
      });
    }

    it(`trigger 14, 24: a lagging watch of triggers and runs hides nothing that was written: one run each (spec.${shape})`, async () => {
      for (const resource of ['pipelineruns', 'pipelinetriggers']) {
        world.faults.add({ on: on.watch(resource), fault: { kind: 'slow', bytesPerSecond: 2_000 } });
      }
      world.faults.reset();
      const name = await begin(shape);
      for (const number of [2, 3]) {
        await world.hasRuns(name, number - 1);
        await world.push(name, revisionOf(number));
      }
      await world.hasRuns(name, 3);
      world.faults.lift();
      world.faults.reset();
      await isRight(name, [1, 2, 3]);
    });

    it(`trigger 36: a trigger deleted while its run goes on, and another while its run is created, leave nothing (spec.${shape})`, async () => {
      const series = (name: string) => new RegExp(`pipelinetrigger_reconcile_condition\\{[^}]*name="${name}"`);
      const path = (name: string) =>
        `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/pipelinetriggers/${name}`;
      const isGone = async (name: string) => {
        await world.until(async () => assert.deepEqual(await world.runsOf(name), []));
        await world.settled();
        assert.deepEqual(await world.runsOf(name), []);
        assert.doesNotMatch(await world.gateway.metrics(), series(name));
      };
      const going = await begin(shape, 'waits');
      const [before] = await world.hasRuns(going, 1);
      await world.until(async () => assert.match(await world.gateway.metrics(), series(going)));
      await world.until(async () => assert.equal((await world.toldOf(going)).length, 2));
      await world.admin.remove(path(going));
      await isGone(going);
      assert.equal((await world.toldOf(going)).length, 2);

      const isAsked = new Promise((met) =>
        world.faults.add({ on: runs, fault: { kind: 'lost', how: 'silence', lateMs: 1_000 }, times: 1, met }),
      );
      const created = await begin(shape);
      await world.until(async () => assert.equal((await world.status(created)).latestPipelineRun, 'Unknown'));
      await world.admin.remove(path(created));
      await isAsked;
      await isGone(created);

      await world.trigger(triggerOf(shape, going));
      const { all } = await isRight(going, [1]);
      assert.notEqual(all[0]?.metadata.uid, before?.metadata.uid);
    });

    it(`trigger 16: the Lease is lost in the middle of a pass, whose write arrives late: one run (spec.${shape})`, async () => {
      const name = await begin(shape);
      await world.reached(name, revisionOf(1));
      const leads = (value: number) =>
        world.until(async () => assert.equal(await world.gateway.metric('rungate_leader'), value));
      await leads(1);
      const isTaken = new Promise((met) =>
        world.faults.add({ on: runs, fault: { kind: 'lost', how: 'silence', lateMs: 12_000 }, times: 1, met }),
      );
      await world.push(name, revisionOf(2));
      await world.until(async () => assert.equal((await world.status(name)).latestPipelineRun, 'Unknown'));
      const heal = world.faults.add({ on: on.lease, fault: { kind: 'silence' } });
      await leads(0);
      heal();
      await leads(1);
      await isTaken;
      await isRight(name, [1, 2]);
    });
  }

  it('and in the end no trigger has another run', async () => {
    await world.settled();
    for (const [name, count] of made) assert.equal((await world.runsOf(name)).length, count, name);
  });
});
