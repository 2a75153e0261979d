/** CACHE=off: the same answers without watching a whole namespace, and what that costs the API server. */
import assert from 'node:assert/strict';
import type { RunStatus } from '../../src/tekton/types.ts';
import { eventually } from '../support/eventually.ts';
import { expiredFrame, on, type PassedRequest, type RequestMatch, refusal } from '../support/fault-proxy.ts';
import { onCluster } from '../support/ground.ts';
import { startWorld, type World } from '../support/world.ts';

describe('without caches', function () {
  this.timeout(600_000);
  let world: World;
  before(async () => {
    world = await startWorld({ faults: true, env: { CACHE: 'off', MAX_WAIT: '540' } });
  });
  beforeEach(() => world.faults.forget());
  afterEach(() => world?.faults.lift());
  after(() => world?.end());

  const watches: RequestMatch = { query: { watch: /^true$/ } };
  const selectionOf = ({ query }: PassedRequest) => query.get('fieldSelector') ?? query.get('labelSelector') ?? 'all';
  const isOpen = ({ end }: PassedRequest) => end === undefined;
  /** Nobody has asked about anything for long enough. */
  const quiet = () =>
    eventually(() => assert.equal(world.faults.matching(watches).filter(isOpen).length, 0), { withinMs: 240_000 });

  it('nothing is watched while nobody asks; /ready says that the cluster is there', async () => {
    await world.run('green');
    assert.equal(world.faults.matching(watches).length, 0);
    const { status, text } = await world.gateway.get('/ready');
    assert.equal(status, 200);
    assert.match(text, /discovery/);
  });

  it('run 1, 5: a status is one GET, and those who ask at once share it', async () => {
    const run = await world.run('green');
    await world.finished(run);
    await world.gateway.get('/ready'); // the password has been checked then, which takes its time
    world.faults.forget();
    // So long that all ten have asked before the first of them is answered, and less than the ten seconds that an answer is waited for.
    world.faults.add({
      on: { path: new RegExp(`/pipelineruns/${run}$`) },
      fault: { kind: 'delay', ms: 7_000 },
      times: 1,
    });
    const answers = await Promise.all(Array.from({ length: 10 }, () => world.gateway.get(`/status/${run}`)));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    // Every 20 seconds it is asked whether the cluster is there, whoever asks about runs.
    const asked = world.faults.requests
      .map(({ path, start, end }) => ({ path, start, end }))
      .filter(({ path }) => path !== '/apis/tekton.dev');
    assert.equal(asked.length, 1, JSON.stringify(asked));
    assert.equal((await world.gateway.get('/status/nobody')).status, 404);
  });

  it('run 6: the troubles of the cluster are told as with caches', async () => {
    for (const { fault, want } of [
      { fault: refusal(403), want: 502 },
      { fault: refusal(500), want: 503 },
    ]) {
      const lift = world.faults.add({ on: { path: /\/pipelineruns\/unknown$/ }, fault });
      for (const path of ['/status/unknown', '/status/unknown?full=true', '/logs/unknown']) {
        assert.equal((await world.gateway.get(path)).status, want, path);
      }
      lift();
    }
  });

  it('run 7, 8: a run that is created later is followed by its name alone, and many share what that costs', async () => {
    await quiet();
    world.faults.forget();
    const name = 'comes-later';
    const waiting = Array.from({ length: 5 }, () => world.gateway.stream(`/logs/${name}?color=never&wait=300`));
    await eventually(() => assert.ok(world.faults.matching(watches).length >= 5), { withinMs: 240_000 });
    await world.run('everything', { name });
    const logs = await Promise.all(waiting);
    const [first, ...others] = logs;
    assert.ok(first);
    for (const log of logs) assert.equal(await log.ended(), 'complete');
    for (const log of others) assert.equal(log.text().split('\n').length, first.text().split('\n').length);
    assert.equal(first.trailers['x-run-status'], 'True');
    assert.equal(first.trailers['x-log-complete'], 'true');
    const lists = world.faults.matching({ query: { watch: /^true$/, sendInitialEvents: /^true$/ } });
    assert.deepEqual(lists.map((request) => `${request.path.split('/').at(-1)} ${selectionOf(request)}`).sort(), [
      `customruns tekton.dev/pipelineRun=${name}`,
      `pipelineruns metadata.name=${name}`,
      `pipelineruns tekton.dev/pipelineRun=${name}`,
      `pods tekton.dev/pipelineRun=${name}`,
      `taskruns tekton.dev/pipelineRun=${name}`,
    ]);
    assert.deepEqual(
      world.faults.matching(watches).filter((request) => selectionOf(request) === 'all'),
      [],
    );
  });

  it('run 34: nothing is watched any more soon after the last one has gone', async () => {
    const run = await world.run('ticking', { params: { count: '600' } });
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    await eventually(() => assert.match(log.text(), /tick 1\n/), { withinMs: 240_000 });
    assert.ok(world.faults.matching(watches).some(isOpen));
    log.close();
    await quiet();
    assert.equal((await world.gateway.metric('rungate_log_streams_open')) ?? 0, 0);
    await world.remove(run);
  });

  // On the real cluster nested runs need a feature flag of Tekton's, which is turned in logs.test.ts.
  if (!onCluster)
    it('run 30: nested runs are found below their run', async () => {
      const run = await world.run('nested');
      await world.gateway.get(`/status/${run}?wait=240`);
      const full = (await world.gateway.get(`/status/${run}?full=true`)).json<RunStatus>();
      const nested = full.tasks.find(({ name }) => name === 'release')?.instances[0]?.run;
      assert.deepEqual(
        nested?.tasks.map(({ name }) => name),
        ['sign', 'publish'],
      );
      assert.ok(nested?.tasks.every(({ instances }) => (instances[0]?.attempts[0]?.steps.length ?? 0) > 0));
    });

  it('run 39: a watch that expires, or may not begin with a list, is made good by a list', async () => {
    world.faults.add({ on: { query: { sendInitialEvents: /^true$/ } }, fault: refusal(400) });
    for (const resource of ['pipelineruns', 'taskruns', 'pods'])
      world.faults.add({ on: on.watch(resource), fault: expiredFrame({ ms: 0 }), times: 1 });
    const run = await world.run('green');
    const { status, text } = await world.gateway.get(`/status/${run}?wait=540`);
    assert.equal(status, 200, text);
  });

  it('run 42: If-None-Match is 304, and with wait the next change is the answer', async () => {
    const run = await world.run('pending');
    await eventually(async () => assert.equal((await world.condition(run))?.reason, 'PipelineRunPending'), {
      withinMs: 240_000,
    });
    // Tekton may have something to add to a run that it has just put on hold.
    const first = await eventually(async () => {
      const answer = await world.gateway.get(`/status/${run}`);
      assert.match(answer.text, /PipelineRunPending/);
      const again = await world.gateway.get(`/status/${run}`, {
        headers: { 'If-None-Match': String(answer.headers.etag) },
      });
      assert.equal(again.status, 304);
      return answer;
    });
    const known = { 'If-None-Match': String(first.headers.etag) };
    const change = world.gateway.get(`/status/${run}?wait=300`, { headers: known });
    await eventually(() => assert.ok(world.faults.matching(watches).some(isOpen)), { withinMs: 240_000 });
    await world.patch(run, { spec: { status: 'Cancelled' } });
    const { status, headers } = await change;
    assert.equal(status, 400);
    // Not yet the end, on a controller that takes its time: the wish to cancel is a change as well.
    assert.notEqual(headers.etag, first.headers.etag);
  });

  it('run 27: a run that is deleted while it is followed ends the stream', async () => {
    const run = await world.run('ticking', { params: { count: '600' } });
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    await eventually(() => assert.match(log.text(), /tick 1\n/), { withinMs: 240_000 });
    await world.remove(run);
    assert.equal(await log.ended(), 'complete');
    assert.equal(log.trailers['x-run-reason'], 'Deleted');
    assert.equal((await world.gateway.get(`/status/${run}`)).status, 404);
  });
});
