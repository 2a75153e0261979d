/** What `/status` says of real runs. */
import assert from 'node:assert/strict';
import type { RunStatus } from '../../src/tekton/types.ts';
import { eventually } from '../support/eventually.ts';
import { startWorld, type World } from '../support/world.ts';

describe('status of real runs', function () {
  this.timeout(600_000);
  let world: World;
  before(async () => {
    world = await startWorld({ namespaces: 2, env: { MAX_WAIT: '540' } });
  });
  after(() => world?.end());

  it('run 1, 4: a green run is 200 with the four keys, by name and by namespace and name', async () => {
    const run = await world.run('green');
    await world.finished(run);
    const condition = await world.condition(run);
    const waited = await world.gateway.get(`/status/${run}?wait=60`);
    assert.equal(waited.status, 200);
    assert.equal(
      waited.text,
      JSON.stringify({
        message: condition?.message,
        reason: 'Succeeded',
        type: 'Succeeded',
        status: 'True',
      }),
    );
    const two = await world.gateway.get(`/status/${world.namespace}/${run}`);
    assert.deepEqual([two.status, two.text], [waited.status, waited.text]);
    assert.equal((await world.gateway.get(`/status/${world.namespaces[1]}/${run}`)).status, 404);
  });

  it('run 2: a running run is 400 or what was asked for, a failed one 400 and curl -f exits 22', async () => {
    const running = await world.run('ticking', { params: { count: '600' } });
    await world.podOf(running, 'clock');
    assert.equal((await world.gateway.get(`/status/${running}`)).status, 400);
    assert.equal((await world.gateway.get(`/status/${running}?pending=202`)).status, 202);
    await world.remove(running);
    const red = await world.run('red');
    await world.finished(red);
    await eventually(async () =>
      assert.equal((await world.gateway.get(`/status/${red}`)).json<{ status: string }>().status, 'False'),
    );
    const { code, stdout } = await world.curl('-s', '-f', `${world.gateway.url}/status/${red}`);
    assert.equal(code, 22);
    assert.equal(stdout, '');
  });

  it('run 3: a run that nobody has looked at yet is Unknown, and its logs wait', async () => {
    // Tekton leaves alone what another controller is said to manage: its status stays empty.
    const run = await world.run(`
      apiVersion: tekton.dev/v1
      kind: PipelineRun
      metadata: { name: unseen }
      spec:
        managedBy: nobody.example/at-all
        pipelineSpec: { tasks: [{ name: a, taskSpec: { steps: [{ name: b, image: "docker.io/library/busybox:1", command: [echo] }] } }] }
    `);
    await eventually(async () => {
      const { status, json } = await world.gateway.get(`/status/${run}`);
      assert.equal(status, 400);
      assert.deepEqual(json(), {
        message: 'PipelineRun has not started',
        reason: 'Pending',
        type: 'Succeeded',
        status: 'Unknown',
      });
    });
    const log = await world.gateway.stream(`/logs/${run}?notices=all&color=never`);
    await eventually(() => assert.match(log.text(), /waiting for the run to start/));
    assert.equal(log.state, 'open');
    log.close();
    await world.remove(run);
  });

  it('run 5: a run that is not there is 404, a name that can be none is 400, one with dots is found', async () => {
    const missing = await world.gateway.get('/status/nobody');
    assert.equal(missing.status, 404);
    assert.equal(missing.json<{ error: string }>().error, 'pipeline not found');
    for (const name of ['A_B', '--last', 'x'.repeat(64)]) {
      const refused = await world.gateway.get(`/logs/${name}`);
      assert.equal(refused.status, 400);
      assert.equal(refused.json<{ error: string }>().error, 'Invalid pipeline RunID');
    }
    const dotted = await world.run('green', { name: 'release.v1.2' });
    assert.equal((await world.gateway.get(`/status/${dotted}?wait=540`)).status, 200);
  });

  it('run 7: with wait, status answers when a run that is created later is final', async () => {
    const name = 'created-later';
    const waiting = world.gateway.get(`/status/${name}?wait=540`);
    await world.run('green', { name });
    assert.equal((await waiting).status, 200);
  });

  it('run 18: a quota that is used up is in the tree, with its message', async () => {
    const run = await world.run('quota');
    await eventually(
      async () => {
        const { tasks } = (await world.gateway.get(`/status/${run}?full=true`)).json<RunStatus>();
        const [instance] = tasks[0]?.instances ?? [];
        assert.equal(instance?.reason, 'ExceededResourceQuota');
        assert.match(instance?.message ?? '', /exceeded quota/);
      },
      { withinMs: 240_000 },
    );
    await world.remove(run);
  });

  it('run 42: If-None-Match is 304, and with wait the next change is the answer', async () => {
    const run = await world.run('pending');
    // Tekton may have something to add to a run that it has just put on hold.
    const etag = await eventually(async () => {
      const answer = await world.gateway.get(`/status/${run}`);
      assert.equal(answer.json<{ reason: string }>().reason, 'PipelineRunPending');
      const known = answer.headers.etag ?? '';
      const again = await world.gateway.get(`/status/${run}`, { headers: { 'if-none-match': known } });
      assert.equal(again.status, 304);
      return known;
    });
    const waiting = world.gateway.get(`/status/${run}?wait=240`, { headers: { 'if-none-match': etag } });
    await world.patch(run, { spec: { status: null } });
    assert.notEqual((await waiting).headers.etag, etag);
    assert.equal((await world.gateway.get(`/status/${run}?wait=540`)).status, 200);
  });
});
