/** How the gateway keeps up with the cluster when watches are cut, hang, expire, or are not offered in the best way. */
import assert from 'node:assert/strict';
import { eventually } from '../support/eventually.ts';
import { on, type RequestMatch, refusal } from '../support/fault-proxy.ts';
import type { Gateway } from '../support/gateway.ts';
import { assertSameAsKubelet } from '../support/log-text.ts';
import { startWorld, type World } from '../support/world.ts';

/** Watches that begin with a list, and those that go on from a version. */
const streamingLists = (resource: string): RequestMatch => ({
  path: new RegExp(`/${resource}$`),
  query: { watch: /^true$/, sendInitialEvents: /^true$/ },
});
const resumedWatches = (resource: string): RequestMatch => ({
  path: new RegExp(`/${resource}$`),
  query: { watch: /^true$/, sendInitialEvents: /^$/ },
});

/** Everything that is watched. */
const RESOURCES = ['pipelineruns', 'taskruns', 'customruns', 'pods'] as const;

describe('watches of a real API server', function () {
  this.timeout(600_000);
  let world: World;
  before(async () => {
    world = await startWorld({ faults: true, gateway: false });
  });
  afterEach(() => world?.faults.lift());
  after(() => world?.end());

  const isKnown = (gateway: Gateway, run: string, status: number) =>
    eventually(async () => assert.equal((await gateway.get(`/status/${run}`)).status, status), { withinMs: 240_000 });

  it('begin with a list, where the server offers that', async () => {
    const run = await world.run('pending', { name: 'listed-by-stream' });
    world.faults.forget();
    const gateway = await world.startGateway();
    assert.equal((await gateway.get(`/status/${run}`)).status, 400);
    for (const resource of RESOURCES) {
      assert.equal(world.faults.matching(streamingLists(resource)).length, 1, resource);
      assert.equal(world.faults.matching(on.list(resource)).length, 0, resource);
    }
    await gateway.stop();
    await world.remove(run);
  });

  it('begin with pages where it does not, and the pages with a new list when their snapshot is gone', async () => {
    const run = await world.run('pending', { name: 'listed-by-pages' });
    world.faults.forget();
    for (const resource of RESOURCES) {
      world.faults.add({ on: streamingLists(resource), fault: refusal(400) });
    }
    world.faults.add({ on: on.list('pipelineruns'), fault: refusal(410), times: 1 });
    const gateway = await world.startGateway();
    assert.equal((await gateway.get(`/status/${run}`)).status, 400);
    assert.equal(world.faults.matching(on.list('pipelineruns')).length, 2);
    assert.equal(world.faults.matching(on.list('taskruns')).length, 1);
    await world.remove(run, { wait: true });
    await isKnown(gateway, run, 404);
    await gateway.stop();
  });

  it('run 39: one that is half-open is found by its time limit and 15 s, and what went on meanwhile is noticed', async () => {
    const gateway = await world.startGateway({ env: { WATCH_SECONDS: '3' } });
    const gone = await world.run('pending');
    await isKnown(gateway, gone, 400);
    const run = await world.run('ticking', { params: { count: '15' } });
    const log = await gateway.stream(`/logs/${run}?color=never&wait=30`);
    await eventually(() => assert.match(log.text(), /tick 2\n/), { withinMs: 240_000 });
    world.faults.forget();
    // From now on the watch of PipelineRuns hears nothing; those of TaskRuns and pods go on.
    world.faults.add({ on: resumedWatches('pipelineruns'), fault: { kind: 'stall', at: { bytes: 0 } }, times: 1 });
    const halfOpen = await eventually(
      () => {
        const found = world.faults.matching(resumedWatches('pipelineruns')).find(({ fault }) => fault === 'stall');
        assert.ok(found);
        return found;
      },
      { withinMs: 240_000 },
    );
    await world.remove(gone, { wait: true });
    await isKnown(gateway, gone, 404);
    await eventually(() => assert.ok(halfOpen.end !== undefined));
    assert.ok((halfOpen.end ?? 0) - halfOpen.start >= 17_000, 'not given up before its time');
    await eventually(async () => assert.equal((await gateway.get('/ready')).status, 200));
    assert.equal(await log.ended(), 'complete');
    const pod = (await world.pods(run))[0]?.metadata.name ?? '';
    await assertSameAsKubelet(world, log.bytes(), 'clock : tick', [{ pod, container: 'step-tick' }]);
    await gateway.stop();
  });

  it('run 39: ones that are cut over and over bring every change all the same', async () => {
    const gateway = await world.startGateway({ env: { WATCH_SECONDS: '1', MAX_WAIT: '540' } });
    const cut = (how: 'clean' | 'unfinished' | 'reset', lines: number) => ({
      on: resumedWatches('(pipelineruns|taskruns|pods)'),
      fault: { kind: 'cut' as const, at: { lines, into: how === 'clean' ? 0 : 17 }, how },
      times: 6,
    });
    for (const rule of [cut('reset', 1), cut('clean', 2), cut('unfinished', 1)]) world.faults.add(rule);
    const runs = await Promise.all([world.run('green'), world.run('red')]);
    const codes = await Promise.all(
      runs.map(async (run) => (await gateway.get(`/status/${run}?wait=540`)).json<{ status: string }>().status),
    );
    assert.deepEqual(codes, ['True', 'False']);
    await gateway.stop();
  });
});
