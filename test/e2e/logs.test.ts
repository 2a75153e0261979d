/** The log of real runs, compared with what the kubelet serves. */
import assert from 'node:assert/strict';
import type { RunStatus } from '../../src/tekton/types.ts';
import { connect } from '../cluster/cluster.ts';
import { setFeatureFlags } from '../cluster/knobs.ts';
import { eventually } from '../support/eventually.ts';
import { onCluster } from '../support/ground.ts';
import { assertSameAsKubelet, linesFrom, sourcesIn } from '../support/log-text.ts';
import { clusterSuite } from '../support/needs.ts';
import { startWorld, type World } from '../support/world.ts';

describe('logs of real runs', function () {
  this.timeout(600_000);
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world?.end());

  /** Follows a run from the start to its end. */
  async function followed(manifest: string, query = '') {
    const run = await world.run(manifest);
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30${query}`);
    assert.equal(await log.ended(), 'complete');
    const status = await eventually(async () => {
      const whole = (await world.gateway.get(`/status/${run}?full=true`)).json<RunStatus>();
      // TaskRuns have a watch of their own, which may come behind that of their run.
      assert.ok(whole.completed !== undefined && whole.progress.running === 0, `${run} is still ${whole.phase}`);
      return whole;
    });
    return { run, log, bytes: log.bytes(), status };
  }

  /** The pods of a task's instance, oldest attempt first. */
  function podsOf(status: RunStatus, task: string, instance = 0): string[] {
    const attempts = status.tasks.find(({ name }) => name === task)?.instances[instance]?.attempts ?? [];
    return attempts.flatMap(({ pod }) => pod ?? []);
  }

  it('run 8, 19, 20: four tasks with retries, a matrix and finally: every line of every step, byte for byte, live and afterwards', async () => {
    const { run, log, bytes, status } = await followed('everything');
    assert.equal(log.trailers['x-log-complete'], 'true');
    assert.equal(log.trailers['x-run-status'], 'True');
    const again = await world.gateway.get(`/logs/${run}?color=never`);
    const unfollowed = await world.gateway.get(`/logs/${run}?color=never&follow=false`);
    for (const text of [bytes, again.body, unfollowed.body]) {
      const of = (pods: readonly string[], step: string) => pods.map((pod) => ({ pod, container: `step-${step}` }));
      await assertSameAsKubelet(world, text, 'build : fetch', of(podsOf(status, 'build'), 'fetch'));
      await assertSameAsKubelet(world, text, 'build : compile', of(podsOf(status, 'build'), 'compile'));
      await assertSameAsKubelet(world, text, 'flaky : try', of(podsOf(status, 'flaky'), 'try'));
      await assertSameAsKubelet(world, text, 'check-0 : print', of(podsOf(status, 'check', 0), 'print'));
      await assertSameAsKubelet(world, text, 'check-1 : print', of(podsOf(status, 'check', 1), 'print'));
      await assertSameAsKubelet(world, text, 'deploy : apply', of(podsOf(status, 'deploy'), 'apply'));
      await assertSameAsKubelet(world, text, 'report : tell', of(podsOf(status, 'report'), 'tell'));
      assert.equal(sourcesIn(text).length, 7);
    }
    assert.equal(podsOf(status, 'flaky').length, 2);
  });

  it('run 8: two tasks at once: every line once, and never inside another', async () => {
    const { bytes } = await followed('parallel');
    for (const task of ['left', 'right']) {
      const want = Array.from({ length: 250 }, (_, at) => `${task} ${at + 1} of 250`);
      assert.deepEqual(linesFrom(bytes, `${task} : print`).map(String), want);
    }
  });

  it('run 8: two tasks at once are shown together: neither waits for the end of the other', async () => {
    const task = (name: string) =>
      `{ name: ${name}, taskSpec: { steps: [{ name: print, image: "docker.io/library/busybox:1", script: "while :; do echo on; sleep 1; done" }] } }`;
    const run = await world.run(`
      apiVersion: tekton.dev/v1
      kind: PipelineRun
      metadata: { name: endless }
      spec: { pipelineSpec: { tasks: [${task('left')}, ${task('right')}] } }
    `);
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    const lines = () => ['left', 'right'].map((name) => linesFrom(log.bytes(), `${name} : print`).length);
    await eventually(() => assert.ok(lines().every((count) => count > 0)), { withinMs: 480_000 });
    const soFar = lines();
    await eventually(() => assert.ok(lines().every((count, place) => count > (soFar[place] ?? 0))), {
      withinMs: 90_000,
    });
    assert.equal(log.state, 'open');
    log.close();
    await world.remove(run);
  });

  it('run 9: ten steps of which five are silent come in the order of the steps', async () => {
    const { bytes } = await followed('ten-steps');
    assert.deepEqual(
      sourcesIn(bytes),
      [1, 3, 5, 7, 9].map((number) => `chain : s${number}`),
    );
  });

  it('run 10: a line is on the screen of curl -N while its step still sleeps', async () => {
    const run = await world.run('ticking', { params: { count: '2', pause: '60' } });
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    await eventually(() => assert.match(log.text(), /tick 1\n/), { withinMs: 240_000 });
    assert.equal((await world.condition(run))?.status, 'Unknown');
    log.close();
    await world.remove(run);
  });

  it('run 19: three attempts come in order, with a notice between and one prefix', async () => {
    const { log, status } = await followed('retries-succeed');
    const lines = log
      .text()
      .split('\n')
      .filter((line) => line !== '');
    assert.deepEqual(
      lines.map((line) => line.replace(/ after .*/, '')),
      [
        '[flaky : try] attempt 0',
        '[gateway] task flaky: attempt 2 of 3',
        '[flaky : try] attempt 1',
        '[gateway] task flaky: attempt 3 of 3',
        '[flaky : try] attempt 2',
      ],
    );
    assert.equal(status.tasks[0]?.instances[0]?.attempts.length, 3);
  });

  it('run 20: a matrix of three by three is nine streams that can be told apart', async () => {
    const { bytes, status } = await followed('matrix');
    const sources = sourcesIn(bytes);
    assert.deepEqual(
      [...sources].sort(),
      Array.from({ length: 9 }, (_, at) => `check-${at} : print`),
    );
    const said = new Set(sources.map((source) => linesFrom(bytes, source).join()));
    assert.equal(said.size, 9);
    const params = status.tasks[0]?.instances.map((instance) => JSON.stringify(instance.params));
    assert.equal(new Set(params).size, 9);
  });

  it('run 21: a task that is skipped has no stream, and the tree says why', async () => {
    const { bytes, status } = await followed('skipped');
    assert.deepEqual(sourcesIn(bytes), ['build : compile']);
    const optional = status.tasks.find(({ name }) => name === 'optional');
    assert.deepEqual([optional?.phase, optional?.skip], ['skipped', 'When Expressions evaluated to false']);
  });

  it('run 22: a step that may fail shows its exit code, a task that may fail is ignored', async () => {
    const step = (await followed('step-continues')).status;
    const [lint] = step.tasks[0]?.instances[0]?.attempts[0]?.steps ?? [];
    assert.deepEqual([lint?.exitCode, lint?.reason, step.phase], [7, 'Continued', 'succeeded']);
    const task = (await followed('task-continues')).status;
    assert.deepEqual([task.phase, task.progress.ignored, task.tasks[0]?.reason], ['succeeded', 1, 'FailureIgnored']);
  });

  it('run 23: the second of four steps fails: it is named, and those behind it are silent', async () => {
    const { log, status } = await followed('failing-step');
    assert.deepEqual([status.failure?.step, status.failure?.exitCode], ['kill', 137]);
    const steps = status.tasks.find(({ name }) => name === 'build')?.instances[0]?.attempts[0]?.steps ?? [];
    assert.deepEqual(steps.map(({ reason }) => reason).slice(2), ['Skipped', 'Skipped']);
    assert.doesNotMatch(log.text(), /Skipping step/);
    assert.match(log.text(), /\[report : tell\] the end\n/);
    assert.equal(log.trailers['x-run-status'], 'False');
  });

  it('run 32: bytes that are no text arrive as they were written', async () => {
    const { bytes, status } = await followed('raw-bytes');
    await assertSameAsKubelet(world, bytes, 'write : raw', [
      { pod: podsOf(status, 'write')[0] ?? '', container: 'step-raw' },
    ]);
    assert.ok(bytes.includes(Buffer.from([0xff, 0xfe])) && bytes.includes(0));
  });

  it('run 36: curl shows the log and its exit code tells how the run ended', async () => {
    for (const { manifest, code } of [
      { manifest: 'red', code: 18 },
      { manifest: 'green', code: 0 },
    ]) {
      const run = await world.run(manifest);
      const url = `${world.gateway.url}/logs/${run}?color=never&onFailure=abort&wait=30`;
      const ended = await world.curl('-s', '-N', url);
      assert.equal(ended.code, code, ended.stdout);
      assert.match(ended.stdout, manifest === 'red' ? /run .* failed/ : /reported/);
    }
    const red = await world.run('red');
    const { stdout } = await world.curl('-s', '-N', '-D', '-', `${world.gateway.url}/logs/${red}?wait=30`);
    assert.match(stdout, /X-Run-Status: False/);
    assert.match(stdout, /X-Run-Reason: Failed/);
  });

  it('a client of HTTP/1.0 and one that asks for the head get their answers', async () => {
    const run = await world.run('green');
    await world.finished(run);
    const old = await world.curl('-s', '--http1.0', `${world.gateway.url}/logs/${run}?color=never`);
    assert.equal(old.code, 0);
    assert.match(old.stdout, /reported/);
    const head = await world.curl('-s', '-I', `${world.gateway.url}/logs/${run}`);
    assert.match(head.stdout, /^HTTP\/1.1 200/);
  });
});

clusterSuite('logs of nested runs', onCluster ? { knobs: true } : {}, function () {
  this.timeout(600_000);
  let world: World;
  let restore: (() => Promise<void>) | undefined;
  before(async () => {
    if (onCluster) restore = await setFeatureFlags(await connect(), { 'enable-api-fields': 'alpha' });
    world = await startWorld();
  });
  after(async () => {
    await world?.end();
    await restore?.();
  });

  it('run 30: the tasks of a nested run come under it, and the stream does not end early', async () => {
    const run = await world.run('nested');
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    assert.equal(await log.ended(), 'complete');
    assert.deepEqual(sourcesIn(log.bytes()), ['build : compile', 'release/sign : sign', 'release/publish : upload']);
    const status = (await world.gateway.get(`/status/${run}?full=true`)).json<RunStatus>();
    const nested = status.tasks.find(({ name }) => name === 'release')?.instances[0]?.run;
    assert.deepEqual(
      nested?.tasks.map(({ name }) => name),
      ['sign', 'publish'],
    );
    assert.equal(log.trailers['x-log-complete'], 'true');
    for (const { query, want } of [
      { query: 'task=release/sign', want: ['release/sign : sign'] },
      { query: 'task=release', want: ['release/sign : sign', 'release/publish : upload'] },
      { query: 'step=compile,upload', want: ['build : compile', 'release/publish : upload'] },
    ]) {
      assert.deepEqual(sourcesIn((await world.gateway.get(`/logs/${run}?color=never&${query}`)).body), want, query);
    }
  });
});
