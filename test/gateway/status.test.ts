import assert from 'node:assert/strict';
import { Fault } from '../../src/fault.ts';
import { projectPipelineRun } from '../../src/tekton/project.ts';
import { AppRig } from '../support/app-rig.ts';
import { eventually } from '../support/eventually.ts';

let version = 0;
function run(name: string, verdict?: string, namespace = 'ci'): string {
  const status =
    verdict === undefined
      ? '{}'
      : `{ conditions: [{ type: Ready, status: "True", reason: x, message: y }, { type: Succeeded, ${verdict} }, { type: Later }] }`;
  return `{ kind: PipelineRun, metadata: { name: ${name}, namespace: ${namespace}, uid: uid-${name}, resourceVersion: "${++version}" }, status: ${status} }`;
}
const GREEN = 'status: "True", reason: Succeeded, message: all done';
const RED = 'status: "False", reason: Failed, message: no';
const BUSY = 'status: Unknown, reason: Running, message: working';

describe('GET /status', () => {
  it('run 1: a green run is 200 with the four keys in their order', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run('green', GREEN));
    const { status, text, headers } = await rig.get('/status/green');
    assert.equal(status, 200);
    assert.equal(text, '{"message":"all done","reason":"Succeeded","type":"Succeeded","status":"True"}');
    assert.equal(headers['x-run-phase'], 'succeeded');
    assert.equal(headers['x-run-uid'], 'uid-green');
    assert.match(headers.etag ?? '', /^W\/"/);
    assert.equal(headers['content-type'], 'application/json; charset=utf-8');
  });

  for (const { scenario, verdict, query, want } of [
    { scenario: 'run 2: a failed run is 400', verdict: RED, query: '', want: 400 },
    { scenario: 'run 2: a failed run with failed=200', verdict: RED, query: '?failed=200', want: 200 },
    { scenario: 'run 2: a running run is 400', verdict: BUSY, query: '', want: 400 },
    { scenario: 'run 2: a running run with pending=202', verdict: BUSY, query: '?pending=202', want: 202 },
    { scenario: 'run 2: a running run with pending=503', verdict: BUSY, query: '?pending=503', want: 503 },
  ]) {
    it(scenario, async () => {
      await using rig = await new AppRig().listen();
      rig.put(run('build', verdict));
      const { status, headers, text } = await rig.get(`/status/build${query}`);
      assert.equal(status, want);
      assert.equal(headers['retry-after'], want === 503 ? '5' : undefined);
      assert.deepEqual(Object.keys(JSON.parse(text)), ['message', 'reason', 'type', 'status']);
    });
  }

  for (const { name, verdict } of [
    { name: 'without status', verdict: undefined },
    { name: 'without conditions', verdict: '' },
  ]) {
    it(`run 3: a run ${name} has not started`, async () => {
      await using rig = await new AppRig().listen();
      rig.put(verdict === undefined ? run('new') : run('new').replace('status: {}', 'status: { conditions: [] }'));
      const { status, text } = await rig.get('/status/new');
      assert.equal(status, 400);
      assert.equal(
        text,
        '{"message":"PipelineRun has not started","reason":"Pending","type":"Succeeded","status":"Unknown"}',
      );
    });
  }

  it('run 4: one segment is the default namespace, two are namespace and run', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run('x', GREEN));
    rig.put(run('x', RED, 'dev'));
    assert.equal((await rig.get('/status/x')).text, (await rig.get('/status/ci/x')).text);
    assert.equal((await rig.get('/status/dev/x')).status, 400);
  });

  it('run 5: what is not there is 404, what can be no name is 400, dots are found', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run('a.b.c', GREEN));
    const missing = await rig.get('/status/nobody');
    assert.equal(missing.status, 404);
    assert.equal(JSON.parse(missing.text).error, 'pipeline not found');
    for (const name of ['A_B', '--last', 'a'.repeat(64), '-a', 'a..b', 'a%00b', 'a%2Fb']) {
      const refused = await rig.get(`/status/${name}`);
      assert.equal(refused.status, 400, name);
      assert.equal(JSON.parse(refused.text).error, 'Invalid pipeline RunID', name);
    }
    assert.equal((await rig.get('/status/a.b.c')).status, 200);
  });

  for (const { code, want } of [
    { code: 'refused', want: 502 },
    { code: 'unavailable', want: 503 },
    { code: 'timeout', want: 504 },
  ] as const) {
    it(`run 6: a cluster that answers "${code}" is ${want}, for status and for logs`, async () => {
      await using rig = await new AppRig().listen();
      rig.getFails = new Fault(code, 'the cluster', { cause: new Error('internal detail') });
      for (const path of ['/status/unknown', '/logs/unknown', '/status/unknown?wait=5']) {
        const { status, text, headers } = await rig.get(path);
        assert.equal(status, want, path);
        assert.doesNotMatch(text, /internal detail/);
        if (want === 503) assert.ok(headers['retry-after']);
      }
    });
  }

  it('run 6: a store that is too old to be believed is 503', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run('build', GREEN));
    rig.isStale = true;
    assert.equal((await rig.get('/status/build')).status, 503);
    assert.equal((await rig.get('/logs/build')).status, 503);
  });

  it('a run that only a GET finds is served', async () => {
    await using rig = await new AppRig().listen();
    rig.fetchable.set('ci/late', projectPipelineRun({ metadata: { name: 'late', namespace: 'ci', uid: 'u' } }));
    assert.equal((await rig.get('/status/late')).headers['x-run-phase'], 'pending');
  });

  it('run 7: with wait the answer comes when the run is final', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run('build', BUSY));
    const waiting = rig.follow('/status/build?wait=60');
    await eventually(() => assert.equal(rig.drain.open, 1));
    rig.put(run('build', GREEN));
    assert.equal((await waiting.whole).status, 200);
  });

  it('run 27: a run that is deleted while it is waited for is 404 at once', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run('build', BUSY));
    const waiting = rig.follow('/status/build?wait=300');
    await eventually(() => assert.equal(rig.drain.open, 1));
    rig.remove('PipelineRun', 'build');
    assert.equal((await waiting.whole).status, 404);
  });

  it('run 7: a wait that is over answers with the pending code', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run('build', BUSY));
    assert.equal((await rig.get('/status/build?wait=1&pending=202')).status, 202);
    assert.equal((await rig.get('/status/nobody?wait=1')).status, 404);
  });

  it('run 42: If-None-Match is 304 while nothing changed, and with wait is answered by any change', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run('build', BUSY));
    const { etag = '' } = (await rig.get('/status/build')).headers;
    const same = await rig.get('/status/build', { 'if-none-match': etag });
    assert.deepEqual([same.status, same.text], [304, '']);
    const waiting = rig.follow('/status/build?wait=60&pending=202', { 'if-none-match': etag });
    await eventually(() => assert.equal(rig.drain.open, 1));
    rig.put(run('build', BUSY.replace('working', 'still working')));
    const changed = await waiting.whole;
    assert.equal(changed.status, 202);
    assert.match(changed.text, /still working/);
    assert.notEqual(changed.headers.etag, etag);
  });

  it('run 38: a long poll ends when this process stops', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run('build', BUSY));
    const waiting = rig.follow('/status/build?wait=60');
    await eventually(() => assert.equal(rig.drain.open, 1));
    void rig.drain.stop(new AbortController().signal);
    const { status, headers } = await waiting.whole;
    assert.equal(status, 503);
    assert.equal(headers.connection, 'close');
  });

  it('run 40: full=true serves what it does not know as it is', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run('odd', 'status: "False", reason: NeverHeardOf, message: "?"'));
    const { status, text } = await rig.get('/status/odd?full=true');
    const body = JSON.parse(text);
    assert.equal(status, 400);
    assert.deepEqual([body.name, body.phase, body.condition.reason], ['odd', 'failed', 'NeverHeardOf']);
  });

  it('run 43: a namespace that is not served is 403 with one body, whatever is there', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run('secret', GREEN, 'other'));
    const there = await rig.get('/status/other/secret');
    const notThere = await rig.get('/logs/other/nobody');
    assert.deepEqual([there.status, notThere.status], [403, 403]);
    assert.equal(JSON.parse(there.text).error, JSON.parse(notThere.text).error);
    assert.deepEqual(rig.reads, []);
  });

  it('an option that is unknown, given twice or malformed is 400 and named', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run('build', GREEN));
    for (const query of ['wait=301', 'wait=1&wait=2', 'pending=200', 'full=1', 'follow=true']) {
      const { status, text } = await rig.get(`/status/build?${query}`);
      assert.equal(status, 400, query);
      assert.match(JSON.parse(text).error, new RegExp(query.split('=')[0] ?? ''));
    }
  });
});
