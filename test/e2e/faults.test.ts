/** What becomes of status and logs when the way to the cluster breaks, on the real cluster through the fault proxy. */
import assert from 'node:assert/strict';
import type { RunStatus } from '../../src/tekton/types.ts';
import { eventually } from '../support/eventually.ts';
import { expiredFrame, kubeletError, on, refusal, type WireFault } from '../support/fault-proxy.ts';
import { assertSameAsKubelet } from '../support/log-text.ts';
import { startWorld, type World } from '../support/world.ts';

describe('when the way to the cluster breaks', function () {
  this.timeout(600_000);
  let world: World;
  before(async () => {
    world = await startWorld({ faults: true });
  });
  afterEach(() => world?.faults.lift());
  after(() => world?.end());

  /** The only pod of a run's only task. */
  async function podName(run: string): Promise<string> {
    return (await world.pods(run))[0]?.metadata.name ?? '';
  }

  it('run 6: rights that are withdrawn are 502, an API that is busy 503, one that is silent 504, never 404', async () => {
    for (const { fault, want } of [
      { fault: refusal(403), want: 502 },
      { fault: refusal(401), want: 502 },
      { fault: refusal(500), want: 503 },
      { fault: refusal(429, 1), want: 503 },
      { fault: { kind: 'silence' } as WireFault, want: 504 },
    ]) {
      const lift = world.faults.add({ on: { path: /\/pipelineruns\/unknown$/ }, fault });
      const { status, text } = await world.gateway.get('/status/unknown');
      assert.equal(status, want, text);
      assert.doesNotMatch(text, /etcdserver|system:serviceaccount/);
      lift();
    }
  });

  it('run 6, 11: an API server that is away is 503 for what is not known, and streams go on when it is back', async () => {
    const run = await world.run('ticking', { params: { count: '20' } });
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    await eventually(() => assert.match(log.text(), /tick 2\n/), { withinMs: 240_000 });
    await world.faults.away();
    assert.equal((await world.gateway.get('/status/unknown')).status, 503);
    assert.equal((await world.gateway.get(`/status/${run}`)).status, 400, 'what is known is still answered');
    await eventually(() => assert.match(log.text(), /the log cannot be read at the moment/), { withinMs: 240_000 });
    assert.equal(log.state, 'open');
    await world.faults.back();
    assert.equal(await log.ended(), 'complete');
    await assertSameAsKubelet(world, log.bytes(), 'clock : tick', [
      { pod: await podName(run), container: 'step-tick' },
    ]);
    assert.equal(log.trailers['x-log-complete'], 'true');
    assert.match(log.text(), /the log can be read again/);
    // Each watch comes back by itself.
    await eventually(async () => assert.equal((await world.gateway.get('/ready')).status, 200), { withinMs: 90_000 });
  });

  it('run 11: a connection that is cut again and again, in lines and between them, loses nothing and repeats nothing', async () => {
    const run = await world.run('torrent');
    const ways = ['unfinished', 'reset', 'clean'] as const;
    for (let cut = 0; cut < 12; cut++) {
      const fault: WireFault = {
        kind: 'cut',
        at: { lines: 150 + 77 * cut, into: cut % 3 === 2 ? 0 : 17 },
        how: ways[cut % 3] ?? 'reset',
      };
      world.faults.add({ on: on.follow(), fault, times: 1 });
    }
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    assert.equal(await log.ended(), 'complete');
    await assertSameAsKubelet(world, log.bytes(), 'flood : pour', [
      { pod: await podName(run), container: 'step-pour' },
    ]);
    assert.equal(log.trailers['x-log-complete'], 'true');
    assert.ok(
      world.faults.matching(on.follow()).filter(({ fault }) => fault === 'cut').length >= 5,
      'cuts befell the stream',
    );
  });

  it('run 12: a log that ends cleanly while its container runs is gone on with', async () => {
    const run = await world.run('ticking', { params: { count: '8' } });
    world.faults.add({ on: on.follow(), fault: { kind: 'cut', at: { lines: 2 }, how: 'clean' }, times: 2 });
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    assert.equal(await log.ended(), 'complete');
    await assertSameAsKubelet(world, log.bytes(), 'clock : tick', [
      { pod: await podName(run), container: 'step-tick' },
    ]);
    assert.equal(log.trailers['x-log-complete'], 'true');
  });

  it('run 12: a finished log that is cut short cleanly is read to its real end', async () => {
    const run = await world.run('everything');
    await world.finished(run);
    world.faults.add({ on: on.read('-build-'), fault: { kind: 'cut', at: { lines: 7 }, how: 'clean' }, times: 1 });
    const log = await world.gateway.get(`/logs/${run}?color=never&task=build`);
    const pod = (await world.podOf(run, 'build')).metadata.name;
    await assertSameAsKubelet(world, log.body, 'build : fetch', [{ pod, container: 'step-fetch' }]);
    assert.equal(log.trailers['x-log-complete'], 'true');
  });

  it("run 15: a 200 with the kubelet's error is a notice and no line, and the outcome says incomplete", async () => {
    const run = await world.run('green');
    await world.finished(run);
    world.faults.add({ on: on.log('-test-'), fault: kubeletError('abc') });
    const log = await world.gateway.get(`/logs/${run}?color=never`);
    assert.match(log.text, /\[gateway\] \[test : unit\] .*unable to retrieve container logs for containerd:\/\/abc\n/);
    assert.doesNotMatch(log.text, /^\[test : unit\] /m);
    assert.equal(log.trailers['x-log-complete'], 'false');
    assert.equal(log.trailers['x-run-status'], 'True');
  });

  it('run 16: a pod that has no node, then waits for its containers, is asked for its log once each', async () => {
    world.faults.forget();
    const run = await world.run('unschedulable');
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    await eventually(() => assert.match(log.text(), /is waiting for a node/), { withinMs: 240_000 });
    assert.equal(world.faults.matching(on.log(run)).length, 0);
    log.close();
    await world.remove(run);
    const green = await world.run('green');
    const whole = await world.gateway.stream(`/logs/${green}?color=never&wait=30`);
    assert.equal(await whole.ended(), 'complete');
    const refusals = world.faults.matching(on.log(green)).filter(({ status }) => status === 204 || status === 400);
    const asked = refusals.map(({ path, query }) => `${path} ${query.get('container')}`);
    assert.equal(new Set(asked).size, asked.length, 'at most once for each container');
  });

  it('run 39: a watch that expires is listed again, what was deleted meanwhile is noticed, streams go on undisturbed', async () => {
    const gone = await world.run('pending');
    await eventually(async () => assert.equal((await world.gateway.get(`/status/${gone}`)).status, 400));
    const run = await world.run('ticking', { params: { count: '15' } });
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    await eventually(() => assert.match(log.text(), /tick 2\n/), { withinMs: 240_000 });
    // New watches are told that they are too old; lists wait, so that the deletion falls between.
    const lists = world.faults.add({ on: on.list('pipelineruns'), fault: refusal(503) });
    for (const resource of ['pipelineruns', 'taskruns', 'pods'])
      world.faults.add({ on: on.watch(resource), fault: expiredFrame({ ms: 0 }), times: 1 });
    world.faults.reset();
    await world.remove(gone, { wait: true });
    lists();
    await eventually(async () => assert.equal((await world.gateway.get(`/status/${gone}`)).status, 404), {
      withinMs: 240_000,
    });
    await eventually(async () =>
      assert.match(
        await world.gateway.metrics(),
        /rungate_watch_relists_total\{[^}]*resource="pipelineruns"[^}]*reason="expired"[^}]*\} [1-9]/,
        'the expired watch was listed again',
      ),
    );
    assert.equal(await log.ended(), 'complete');
    await assertSameAsKubelet(world, log.bytes(), 'clock : tick', [
      { pod: await podName(run), container: 'step-tick' },
    ]);
  });

  it('run 45: a cluster that serves only v1beta1 and no CustomRuns is read all the same', async () => {
    world.faults.hide({ group: 'tekton.dev', version: 'v1' });
    world.faults.hide({ group: 'tekton.dev', version: 'v1beta1', resource: 'customruns' });
    const gateway = await world.startGateway();
    const run = await world.run('red');
    const log = await gateway.stream(`/logs/${run}?color=never&wait=30`);
    assert.equal(await log.ended(), 'complete');
    assert.match(log.text(), /1 test failed/);
    // TaskRuns have a watch of their own, which may come behind that of their run.
    await eventually(async () => {
      const status = (await gateway.get(`/status/${run}?full=true`)).json<RunStatus>();
      assert.equal(status.phase, 'failed');
      assert.ok(status.failure?.step);
    });
    await gateway.stop();
  });
});
