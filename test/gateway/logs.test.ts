import assert from 'node:assert/strict';
import { Fault } from '../../src/fault.ts';
import { AppRig } from '../support/app-rig.ts';
import { finish, GREEN, OVER, pod, RED, run, taskRun, underWay } from '../support/build-run.ts';
import { eventually } from '../support/eventually.ts';
import { HandClock } from '../support/hand-clock.ts';

describe('GET /logs', () => {
  it('run 10: a line arrives while its step still runs, and the answer ends with the run', async () => {
    await using rig = await underWay();
    const client = rig.follow('/logs/build?color=never');
    await eventually(() => assert.equal(client.text(), '[compile : one] hello\n'));
    rig.file('build-compile-pod', 'step-two').say('world');
    finish(rig);
    const { status, text, trailers, headers, isWhole } = await client.whole;
    assert.equal(status, 200);
    assert.equal(text, '[compile : one] hello\n\n[compile : two] world\n\n');
    assert.equal(isWhole, true);
    const { 'x-log-cursor': cursor, ...told } = trailers;
    assert.match(cursor ?? '', /^[\w-]{20,}$/);
    assert.deepEqual(told, {
      'x-run-status': 'True',
      'x-run-reason': 'Succeeded',
      'x-run-message': 'all done',
      'x-log-complete': 'true',
    });
    assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-accel-buffering'], 'no');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['x-run-uid'], 'run-1');
    assert.equal(headers['content-encoding'], undefined);
  });

  it('run 36: a failed run says so in its last line and its trailers', async () => {
    await using rig = await underWay();
    const client = rig.follow('/logs/ci/build?color=never');
    await eventually(() => assert.match(client.text(), /hello/));
    finish(rig, RED);
    const { text, trailers, isWhole } = await client.whole;
    assert.match(text, /\[gateway\] run build failed: a task failed\n$/);
    assert.equal(isWhole, true);
    assert.equal(trailers['x-run-status'], 'False');
    assert.equal(trailers['x-run-reason'], 'Failed');
  });

  for (const { name, verdict, isWhole } of [
    { name: 'a failed run leaves the answer unfinished', verdict: RED, isWhole: false },
    { name: 'a green run does not', verdict: GREEN, isWhole: true },
  ]) {
    it(`run 36: with onFailure=abort ${name}`, async () => {
      await using rig = await underWay();
      finish(rig, verdict);
      const got = await rig.get('/logs/build?color=never&onFailure=abort');
      assert.equal(got.isWhole, isWhole);
      assert.match(got.text, /hello\n/);
      if (!isWhole) assert.match(got.text, /run build failed/);
    });
  }

  it('run 3: a run without status is waited for', async () => {
    await using rig = await new AppRig().listen();
    rig.put('{ kind: PipelineRun, metadata: { name: build, namespace: ci, uid: run-1, resourceVersion: "1" } }');
    const client = rig.follow('/logs/build?color=never&notices=all');
    await eventually(() => assert.match(client.text(), /waiting for the run to start/));
    rig.put(taskRun());
    rig.put(pod());
    rig.file('build-compile-pod', 'step-one').say('hello');
    rig.file('build-compile-pod', 'step-two');
    rig.put(run());
    await eventually(() => assert.match(client.text(), /one\] hello\n/));
    finish(rig);
    assert.equal((await client.whole).trailers['x-log-complete'], 'true');
  });

  it('run 7: with wait a run that does not exist yet is waited for', async () => {
    await using rig = await new AppRig().listen();
    const client = rig.follow('/logs/build?color=never&wait=30');
    const status = rig.follow('/status/build?wait=30');
    await eventually(() => assert.equal(rig.drain.open, 2));
    rig.put(run());
    rig.put(taskRun());
    rig.put(pod());
    rig.file('build-compile-pod', 'step-one').say('hello');
    rig.file('build-compile-pod', 'step-two');
    await eventually(() => assert.match(client.text(), /one\] hello\n/));
    finish(rig);
    assert.equal((await client.whole).status, 200);
    assert.equal((await status.whole).status, 200);
  });

  it('run 16: containers that wait are not asked for their logs', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run());
    rig.put(taskRun('status: Unknown, reason: Pending, message: pulling'));
    rig.put(pod('waiting: { reason: PodInitializing }', 'waiting: { reason: PodInitializing }'));
    const client = rig.follow('/logs/build?color=never');
    await eventually(() => assert.equal(rig.drain.open, 1));
    rig.file('build-compile-pod', 'step-one').say('hello');
    rig.file('build-compile-pod', 'step-two');
    assert.deepEqual(rig.reads, []);
    rig.put(pod());
    await eventually(() => assert.match(client.text(), /hello/));
    assert.equal(rig.reads.length, 2);
    client.leave();
    await client.whole.catch(() => {});
  });

  it('run 17: an image that cannot be pulled is a notice at once', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run());
    rig.put(taskRun('status: Unknown, reason: Pending, message: pulling'));
    rig.put(
      pod(
        'waiting: { reason: ImagePullBackOff, message: "no such image: \\u001b[31mred" }',
        'waiting: { reason: PodInitializing }',
      ),
    );
    const client = rig.follow('/logs/build?color=never');
    await eventually(() =>
      assert.match(
        client.text(),
        /\[gateway\] task compile, container step-one is waiting: ImagePullBackOff: no such image: \\u001b\[31mred\n/,
      ),
    );
    client.leave();
    await client.whole.catch(() => {});
  });

  it('run 27: a run that is deleted ends the stream with that reason', async () => {
    await using rig = await underWay();
    const client = rig.follow('/logs/build?color=never');
    await eventually(() => assert.match(client.text(), /hello/));
    for (const step of ['step-one', 'step-two']) rig.file('build-compile-pod', step).end();
    rig.put(pod(OVER, OVER));
    rig.remove('PipelineRun', 'build');
    const { text, trailers } = await client.whole;
    assert.match(text, /\[gateway\] run build was deleted\n$/);
    assert.equal(trailers['x-run-reason'], 'Deleted');
    assert.equal(trailers['x-log-complete'], 'false');
  });

  it('run 28: a new run of the same name is never mixed in', async () => {
    await using rig = await underWay();
    const client = rig.follow('/logs/build?color=never');
    await eventually(() => assert.match(client.text(), /hello/));
    const again = (yaml: string) =>
      yaml.replaceAll('run-1', 'run-2').replaceAll('task-1', 'task-2').replaceAll('pod-1', 'pod-2');
    for (const step of ['step-one', 'step-two']) rig.file('build-compile-pod', step).end();
    rig.remove('PipelineRun', 'build');
    rig.remove('TaskRun', 'build-compile');
    rig.remove('Pod', 'build-compile-pod');
    rig.put(again(run()));
    rig.put(again(taskRun()));
    rig.put(again(pod()));
    rig.file('build-compile-pod', 'step-two').say('of the second run');
    const { text, trailers } = await client.whole;
    assert.doesNotMatch(text, /second/);
    assert.equal(trailers['x-run-reason'], 'Deleted');
  });

  for (const follow of ['true', 'false']) {
    it(`run 9: of a finished pod the steps come in order, however slowly one is read (follow=${follow})`, async () => {
      await using rig = await underWay();
      const one = rig.file('build-compile-pod', 'step-one');
      rig.file('build-compile-pod', 'step-two').say('world');
      finish(rig);
      const rest = one.holdBack();
      const client = rig.follow(`/logs/build?color=never&follow=${follow}`);
      await eventually(() => assert.match(client.text(), /hello/));
      // Longer than the patience with a step that still runs.
      await new Promise((resolve) => setTimeout(resolve, 150));
      rest('again');
      assert.equal(
        (await client.whole).text.replaceAll('\n\n', '\n'),
        '[compile : one] hello\n[compile : one] again\n[compile : two] world\n',
      );
    });
  }

  it('run 24: a pod that is deleted before its turn is told, and those behind it are shown', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run(GREEN));
    const tasks = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const [place, task] of tasks.entries()) {
      const name = (yaml: string) =>
        yaml.replaceAll('compile', task).replaceAll('task-1', `task-${task}`).replaceAll('pod-1', `pod-${task}`);
      rig.put(
        name(taskRun(GREEN, `  completionTime: "2026-11-01T10:00:0${place}Z"`)).replace(
          '10:00:01Z"\n  conditions',
          `10:00:0${place}Z"\n  conditions`,
        ),
      );
      rig.put(name(pod(OVER, OVER)));
      const file = rig.file(`build-${task}-pod`, 'step-one');
      file.say(`from ${task}`);
      file.end();
      rig.file(`build-${task}-pod`, 'step-two').end();
    }
    const rest = rig.file('build-a-pod', 'step-one').holdBack();
    const client = rig.follow('/logs/build?color=never');
    await eventually(() => assert.match(client.text(), /from a/));
    rig.remove('Pod', 'build-e-pod');
    rest('rest of a');
    const { text, trailers } = await client.whole;
    assert.deepEqual(
      text.split('\n').flatMap((line) => /(from .)|(task .: the log of step one is gone)/.exec(line)?.[0] ?? []),
      ['from a', 'from b', 'from c', 'from d', 'task e: the log of step one is gone', 'from f'],
    );
    assert.equal(trailers['x-log-complete'], 'false');
  });

  it('run 24: a pod that our watch has not brought is asked for before its log is called gone', async () => {
    await using rig = await underWay();
    rig.remove('Pod', 'build-compile-pod');
    const steps = ['one', 'two'].map(
      (step) =>
        `{ name: ${step}, container: step-${step}, terminated: { exitCode: 0, reason: Completed, startedAt: "2026-11-01T10:00:05Z" } }`,
    );
    rig.put(taskRun(GREEN, `  completionTime: "2026-11-01T10:01:00Z"\n  steps: [${steps.join(', ')}]`));
    rig.put(run(GREEN));
    for (const step of ['step-one', 'step-two']) rig.file('build-compile-pod', step).end();
    const gone = await rig.get('/logs/build?color=never');
    assert.match(gone.text, /the log of step one is gone with its pod/);
    assert.deepEqual(rig.reads, [], 'nothing is read by a name alone');
    rig.offer(pod(OVER, OVER));
    // And it is asked for again while nobody can tell: what cannot be asked about is not gone.
    let refusals = 2;
    Object.defineProperty(rig, 'getFails', {
      get: () => (refusals-- > 0 ? new Fault('unavailable', 'busy') : undefined),
    });
    const found = await rig.get('/logs/build?color=never');
    assert.equal(found.text, '[compile : one] hello\n\n');
    assert.equal(found.trailers['x-log-complete'], 'true');
    assert.equal(refusals, -1);
  });

  it('run 27: a deleted run whose pod goes on writing ends all the same', async () => {
    const clock = new HandClock();
    await using rig = await underWay({ clock });
    const client = rig.follow('/logs/build?color=never');
    await eventually(() => assert.match(client.text(), /hello/));
    rig.remove('PipelineRun', 'build');
    await clock.settle();
    for (let second = 0; second < 12; second++) {
      rig.file('build-compile-pod', 'step-one').say(`second ${second}`);
      await clock.turn(1_000);
    }
    assert.equal((await client.whole).trailers['x-run-reason'], 'Deleted');
  });

  it('run 8: a line that does not end does not keep others from being heard', async () => {
    const clock = new HandClock();
    await using rig = await underWay({ clock });
    const other = (yaml: string) =>
      yaml.replaceAll('compile', 'other').replaceAll('task-1', 'task-2').replaceAll('pod-1', 'pod-2');
    rig.put(other(taskRun()));
    rig.put(other(pod()));
    rig.file('build-other-pod', 'step-two');
    const client = rig.follow('/logs/build?color=never');
    await eventually(() => assert.match(client.text(), /hello/));
    rig.file('build-compile-pod', 'step-one').say('x'.repeat(2 * 1024 * 1024), { ended: false });
    await eventually(() => assert.match(client.text(), /xxx$/));
    rig.file('build-other-pod', 'step-one').say('heard');
    for (let second = 0; second < 3; second++) await clock.turn(1_000);
    await eventually(() => assert.match(client.text(), /x\n\[other : one\] heard\n$/));
    void rig.drain.stop(new AbortController().signal);
    assert.match((await client.whole).text, /\n\[gateway\] this gateway is stopping; ask again to go on\n$/);
  });

  it('run 38: who waits for a run when this process stops is sent to another one', async () => {
    await using rig = await new AppRig().listen();
    const waiting = ['/logs/later?wait=60', '/status/later?wait=60'].map((path) => rig.follow(path));
    await eventually(() => assert.equal(rig.drain.open, 2));
    void rig.drain.stop(new AbortController().signal);
    for (const { whole } of waiting) assert.equal((await whole).status, 503);
  });

  it('run 34: a client that hangs up leaves nothing open', async () => {
    await using rig = await underWay();
    for (let time = 0; time < 20; time++) {
      const client = rig.follow('/logs/build');
      await eventually(() => assert.match(client.text(), /hello/));
      client.leave();
      await client.whole.catch(() => {});
    }
    await eventually(() => {
      assert.equal(rig.file('build-compile-pod', 'step-one').followers, 0);
      assert.equal(rig.drain.open, 0);
    });
  });

  it('run 38: when this process stops, open streams end with a notice and new ones are refused', async () => {
    await using rig = await underWay();
    const client = rig.follow('/logs/build?color=never');
    await eventually(() => assert.match(client.text(), /hello/));
    void rig.drain.stop(new AbortController().signal);
    const { text, trailers, isWhole } = await client.whole;
    assert.match(text, /\[gateway\] this gateway is stopping; ask again to go on\n$/);
    assert.equal(isWhole, true);
    assert.deepEqual([trailers['x-run-status'], trailers['x-log-complete']], ['Unknown', 'false']);
    const refused = await rig.get('/logs/build');
    assert.equal(refused.status, 503);
    assert.ok(refused.headers['retry-after']);
  });

  it('run 44: when all streams are in use the next is refused, and those that run are not disturbed', async () => {
    await using rig = await underWay({ maxStreams: 1 });
    const client = rig.follow('/logs/build?color=never');
    await eventually(() => assert.match(client.text(), /hello/));
    const refused = await rig.get('/logs/build');
    assert.equal(refused.status, 429);
    assert.ok(refused.headers['retry-after']);
    finish(rig);
    assert.equal((await client.whole).trailers['x-log-complete'], 'true');
    assert.equal((await rig.get('/logs/build')).status, 200);
  });

  it('run 12: without following, what exists is answered and nothing is waited for', async () => {
    await using rig = await underWay();
    const { text, trailers } = await rig.get('/logs/build?color=never&follow=false');
    assert.match(text, /^\[compile : one\] hello\n\n/);
    assert.equal(trailers['x-run-status'], 'Unknown');
    assert.ok(rig.reads.every((read) => !read.includes('follow')));
  });

  it('tasks and steps can be chosen, prefix and timestamps too', async () => {
    await using rig = await underWay();
    rig.file('build-compile-pod', 'step-two').say('world');
    finish(rig);
    const two = await rig.get('/logs/build?color=never&step=two&prefix=none&timestamps=true');
    assert.equal(two.text, '2026-11-01T10:00:00.000000001Z world\n\n');
    const none = await rig.get('/logs/build?color=never&task=other');
    assert.doesNotMatch(none.text, /world|hello/);
    const coloured = await rig.get('/logs/build?step=two');
    assert.match(coloured.text, /^\x1b\[1;9[2-6]m\[compile : two\]\x1b\[0m world\n/);
  });

  it('a client of HTTP/1.0 and a HEAD get their answer without trailers', async () => {
    await using rig = await underWay();
    finish(rig);
    const head = await rig.follow('/logs/build', {}, 'HEAD').whole;
    assert.deepEqual([head.status, head.text, head.headers.trailer], [200, '', undefined]);
  });

  for (const query of [
    'format=xml',
    'order=random',
    'order=time',
    'order=time&format=gitlab&follow=false',
    'attempt=0',
    'include=everything',
    'heartbeat=x',
    'limitBytes=0',
    'sinceTime=yesterday',
    'sinceTime=2026-11-01T10:00:00Z&since=5m',
    'failed=maybe',
    'prefix=long',
    'strip=1',
    'tail=x',
    'tail=-1',
    'follow=yes',
    'follow=true&follow=false',
    'since=soon',
    'cursor=abc',
    'cursor=%00',
    'cursor=abc.1.2',
    'onFailure=maybe',
    'nonsense=1',
  ]) {
    it(`?${query} is refused, naming the option`, async () => {
      await using rig = await underWay();
      const { status, text } = await rig.get(`/logs/build?${query}`);
      assert.equal(status, 400);
      assert.match(JSON.parse(text).error, new RegExp(query.split('=')[0] ?? ''));
    });
  }
});
