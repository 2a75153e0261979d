/** How streams of real runs end when the run does not end well, or is not there any more, or rungate goes. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { eventually } from '../support/eventually.ts';
import { checkout, type LiveAnswer } from '../support/gateway.ts';
import { type RunOptions, startWorld, type World } from '../support/world.ts';

describe('how a stream ends', function () {
  this.timeout(600_000);
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world?.end());

  /** Longer than any test looks at it. */
  const params = { count: '600' };

  /** Starts a run and follows it until `text` has come. */
  async function until(
    manifest: string,
    text: RegExp,
    options: RunOptions = {},
  ): Promise<{ readonly run: string; readonly log: LiveAnswer }> {
    const run = await world.run(manifest, options);
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    await eventually(() => assert.match(log.text(), text), { withinMs: 240_000 });
    return { run, log };
  }

  it('run 17: an image that cannot be pulled is told with task and container, and the end names the reason', async () => {
    const { run, log } = await until(
      'image-missing',
      /task build, container step-broken is waiting: (ErrImagePull|ImagePullBackOff)/,
    );
    assert.equal(await log.ended(), 'complete');
    // In this order: what is waited for is told only of a task that has not failed yet, which it may do in the same second.
    assert.match(log.text(), /is waiting: [\s\S]*task build failed.*TaskRunImagePullFailed/);
    assert.equal(log.trailers['x-run-status'], 'False');
    await world.remove(run);
  });

  it('run 24: a cancelled run delivers what was written, and ends although its pods are deleted', async () => {
    const { run, log } = await until('cancelled', /\[build : compile\] working\n/);
    await world.patch(run, { spec: { status: 'Cancelled' } });
    assert.equal(await log.ended(), 'complete');
    assert.deepEqual([log.trailers['x-run-status'], log.trailers['x-run-reason']], ['False', 'Cancelled']);
    assert.match(log.text(), /run .* was cancelled/);
    assert.equal(log.text().match(/working/g)?.length, 1);
  });

  it('run 25: after a graceful cancel the logs of finally follow, and the stream ends after them', async () => {
    const { run, log } = await until('cancelled-run-finally', /\[build : compile\] working\n/);
    await world.patch(run, { spec: { status: 'CancelledRunFinally' } });
    assert.equal(await log.ended(), 'complete');
    assert.match(log.text(), /\[report : tell\] the end\n/);
    assert.equal(log.trailers['x-run-reason'], 'Cancelled');
  });

  it('run 26: a run that is out of time ends with that reason', async () => {
    const manifest = await readFile(`${checkout}test/cluster/runs/pipeline-timeout.yaml`, 'utf8');
    // A pod that takes longer to start than the run may last has said nothing: the next run may last longer.
    for (const seconds of [20, 60, 240]) {
      const run = await world.run(
        manifest.replace('pipeline: 20s', `pipeline: ${seconds}s`).replace('sleep 60', 'sleep 600'),
      );
      const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
      assert.equal(await log.ended(), 'complete');
      assert.equal(log.trailers['x-run-reason'], 'PipelineRunTimeout');
      assert.match(log.text(), /run .* timed out/);
      if (/\[build : compile\] working\n/.test(log.text())) return;
    }
    assert.fail('what was written before the time was over was never shown');
  });

  it('run 27: a run that is deleted while it is followed ends the stream with Deleted', async () => {
    const { run, log } = await until('ticking', /tick 2\n/, { params });
    await world.remove(run, { wait: false });
    assert.equal(await log.ended(), 'complete');
    assert.deepEqual([log.trailers['x-run-status'], log.trailers['x-run-reason']], ['Unknown', 'Deleted']);
    assert.equal(log.trailers['x-log-complete'], 'false');
    await eventually(async () => assert.equal((await world.gateway.get(`/status/${run}`)).status, 404));
  });

  it('run 28: a run that is created again under the same name is not mixed in', async () => {
    const { run, log } = await until('ticking', /tick 3\n/, { params });
    await world.remove(run, { wait: false });
    await eventually(
      async () => {
        await world.run('green', { name: run });
      },
      { withinMs: 240_000 },
    );
    await log.ended();
    assert.equal(log.trailers['x-run-reason'], 'Deleted');
    assert.doesNotMatch(log.text(), /compiling/);
    const second = await world.gateway.get(`/logs/${run}?color=never`);
    assert.doesNotMatch(second.text, /tick/);
    assert.match(second.text, /compiling/);
    assert.notEqual(second.headers['x-run-uid'], log.headers['x-run-uid']);
  });

  it('run 34: a client that hangs up leaves no stream behind', async () => {
    const isOpen = (count: number) =>
      eventually(async () => assert.equal(await world.gateway.metric('rungate_log_streams_open'), count));
    await isOpen(0);
    const { run, log } = await until('ticking', /tick 1\n/, { params });
    await isOpen(1);
    log.close();
    await isOpen(0);
    await world.remove(run);
  });

  it('run 38: SIGTERM ends open streams with a notice, refuses new ones, and the process ends well', async () => {
    const run = await world.run('ticking', { params });
    const gateway = await world.startGateway();
    const log = await gateway.stream(`/logs/${run}?color=never&wait=30`);
    await eventually(() => assert.match(log.text(), /tick 1\n/), { withinMs: 240_000 });
    const events = await gateway.stream(`/runs/${world.namespace}/${run}/events`);
    const exit = gateway.stop();
    assert.equal(await log.ended(), 'complete');
    assert.match(log.text(), /this gateway is stopping; ask again to go on\n$/);
    assert.deepEqual([log.trailers['x-run-status'], log.trailers['x-log-complete']], ['Unknown', 'false']);
    assert.equal(await events.ended(), 'complete');
    assert.deepEqual(await exit, { code: 0, signal: null });
    const closed = gateway.log().match(/"event":"stream closed","outcome":"\w+"/g);
    assert.deepEqual(closed, Array(2).fill('"event":"stream closed","outcome":"interrupted"'));
    await world.remove(run);
  });
});
