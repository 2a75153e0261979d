/** Lists of runs, one run, its events and its TaskRuns, over HTTP. */
import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';
import { projectPipelineRun } from '../../src/tekton/project.ts';
import type { RunItem } from '../../src/tekton/runlist.ts';
import type { RunStatus, TaskRunStatus } from '../../src/tekton/types.ts';
import { AppRig, type Got } from '../support/app-rig.ts';
import { eventually } from '../support/eventually.ts';
import { HandClock } from '../support/hand-clock.ts';

let version = 0;

interface RunMore {
  readonly namespace?: string;
  readonly created?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly verdict?: string;
  readonly completed?: string;
  readonly status?: object;
}

/** A PipelineRun; `verdict` is `status/reason/message`. */
function run(name: string, more: RunMore = {}) {
  const { namespace = 'ci', created = '2026-11-01T10:00:00Z', labels = {}, verdict, completed } = more;
  const [status, reason, message = ''] = verdict?.split('/') ?? [];
  return {
    kind: 'PipelineRun',
    metadata: {
      namespace,
      name,
      uid: `uid-${namespace}-${name}`,
      resourceVersion: String(++version),
      creationTimestamp: created,
      labels,
    },
    status: {
      ...(verdict === undefined ? {} : { conditions: [{ type: 'Succeeded', status, reason, message }] }),
      ...(completed === undefined ? {} : { completionTime: completed }),
      ...more.status,
    },
  };
}

/** A TaskRun of a run, by its uid; `steps` as Tekton writes them. */
function taskRun(name: string, more: { owner?: string; task?: string; verdict?: string; status?: object } = {}) {
  const { owner, task = 'build', verdict } = more;
  const [status, reason, message = ''] = verdict?.split('/') ?? [];
  return {
    kind: 'TaskRun',
    metadata: {
      namespace: 'ci',
      name,
      uid: `uid-ci-${name}`,
      resourceVersion: String(++version),
      creationTimestamp: '2026-11-01T10:00:01Z',
      labels: { 'tekton.dev/pipelineTask': task },
      ...(owner === undefined
        ? {}
        : { ownerReferences: [{ kind: 'PipelineRun', name: owner, uid: `uid-ci-${owner}`, controller: true }] }),
    },
    status: {
      ...(verdict === undefined ? {} : { conditions: [{ type: 'Succeeded', status, reason, message }] }),
      ...more.status,
    },
  };
}

const GREEN = 'True/Succeeded/all done';
const BUSY = 'Unknown/Running/working';

interface List {
  readonly items: readonly RunItem[];
  readonly continue?: string;
}

const listOf = ({ text }: Got): List => JSON.parse(text);
const namesOf = (got: Got) => listOf(got).items.map(({ name }) => name);

describe('GET /runs', () => {
  it('lists the runs of a namespace, or of all that are open, newest first', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('old', { created: '2026-11-01T09:00:00Z' }));
    rig.putObject(run('new', { created: '2026-11-01T11:00:00Z', verdict: GREEN }));
    rig.putObject(run('mid', { created: '2026-11-01T10:00:00Z', namespace: 'dev' }));
    rig.putObject(run('hidden', { created: '2026-11-01T12:00:00Z', namespace: 'other' }));
    const ci = await rig.get('/runs/ci');
    assert.equal(ci.status, 200);
    assert.deepEqual(namesOf(ci), ['new', 'old']);
    assert.equal(listOf(ci).continue, undefined);
    assert.deepEqual(namesOf(await rig.get('/runs')), ['new', 'mid', 'old']);
    const [first] = listOf(ci).items;
    assert.deepEqual([first?.phase, first?.reason, first?.message], ['succeeded', 'Succeeded', 'all done']);
  });

  it('run 43: a namespace that is not open is 403, whatever is there, and a continue opens none', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('a', { namespace: 'other' }));
    for (const path of ['/runs/other', '/runs/nowhere', '/runs/other/a', '/taskruns/other/a', '/runs/other/a/events']) {
      const { status, text } = await rig.get(path);
      assert.deepEqual([status, JSON.parse(text).error], [403, 'this namespace is not open to you'], path);
    }
    const forged = Buffer.from(JSON.stringify(['2030-01-01T00:00:00Z', 'uid-other-a', 'x'])).toString('base64url');
    assert.equal((await rig.get(`/runs?continue=${forged}`)).status, 400);
  });

  it('run 43: what another namespace says it is part of a run is not, whatever owner it names', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('red', FAILED_RUN));
    rig.putObject(taskRun('red-build', FAILED_TASK));
    const told = async () => ({ ...JSON.parse((await rig.get('/runs/ci/red')).text), asOf: '' });
    const before = await told();
    const foreign = taskRun('foreign', { ...FAILED_TASK, task: 'secret' });
    rig.putObject({ ...foreign, metadata: { ...foreign.metadata, namespace: 'dev' } });
    const nested = run('nested', { namespace: 'dev', verdict: GREEN });
    const ownerReferences = [{ kind: 'PipelineRun', name: 'red', uid: 'uid-ci-red', controller: true }];
    rig.putObject({ ...nested, metadata: { ...nested.metadata, ownerReferences } });
    assert.deepEqual(await told(), before);
    assert.doesNotMatch((await rig.get('/logs/ci/red?follow=false')).text, /secret|foreign|nested/);
  });

  it('run 43: a caller sees the runs of the namespaces that are both served and theirs', async () => {
    await using rig = await new AppRig({ grants: ['dev', 'other'] }).listen();
    for (const namespace of ['ci', 'dev', 'other']) rig.putObject(run(`in-${namespace}`, { namespace }));
    assert.deepEqual(namesOf(await rig.get('/runs')), ['in-dev']);
    assert.equal((await rig.get('/runs/ci')).status, 403);
    const { continue: token } = listOf(await rig.get('/runs?limit=1'));
    assert.equal(token, undefined);
    await using nobody = await new AppRig({ grants: [] }).listen();
    nobody.putObject(run('a'));
    const none = await nobody.get('/runs');
    assert.deepEqual([none.status, none.text], [200, '{"items":[]}']);
  });

  describe('options', () => {
    let rig: AppRig;
    before(async () => {
      rig = await new AppRig().listen();
      const pipeline = (name: string) => ({ 'tekton.dev/pipeline': name });
      const second = (at: number) => `2026-11-01T10:00:0${at}Z`;
      rig.putObject(
        run('web-1', {
          created: second(1),
          labels: { ...pipeline('web'), team: 'a' },
          verdict: GREEN,
          completed: second(9),
        }),
      );
      rig.putObject(
        run('web-2', {
          created: second(2),
          labels: { ...pipeline('web'), team: 'b' },
          verdict: 'False/Failed',
          completed: second(5),
        }),
      );
      rig.putObject(
        run('db-1', { created: second(3), labels: { ...pipeline('db'), team: 'a', tier: '3' }, verdict: BUSY }),
      );
      rig.putObject(run('db-x7f', { created: second(4), labels: { 'triggers.tekton.dev/triggers-eventid': 'e-9' } }));
      rig.putObject(run('app', { created: second(5), verdict: 'False/Cancelled', completed: second(6) }));
    });
    after(() => rig[Symbol.asyncDispose]());

    for (const [query, want] of [
      ['', 'app db-x7f db-1 web-2 web-1'],
      ['pipeline=web', 'web-2 web-1'],
      ['pipeline=web&limit=1', 'web-2'],
      ['phase=failed', 'web-2'],
      ['phase=failed&phase=cancelled,running', 'app db-1 web-2'],
      ['phase=pending', 'db-x7f'],
      ['labelSelector=team%3Da', 'db-1 web-1'],
      ['labelSelector=team%20in%20(a,b),!tier', 'web-2 web-1'],
      ['labelSelector=tier%3E2', 'db-1'],
      ['eventId=e-9', 'db-x7f'],
      ['eventId=x7f', 'db-x7f'],
      ['eventId=7f', ''],
      ['name=db-', 'db-x7f db-1'],
      ['createdAfter=2026-11-01T10:00:03Z', 'app db-x7f db-1'],
      ['createdAfter=2026-11-01T10:00:02Z&createdBefore=2026-11-01T10:00:04Z', 'db-1 web-2'],
      ['createdBefore=2026-11-01T11:00:02%2B01:00', 'web-1'],
      ['sort=created', 'web-1 web-2 db-1 db-x7f app'],
      ['sort=name', 'app db-1 db-x7f web-1 web-2'],
      ['sort=-name', 'web-2 web-1 db-x7f db-1 app'],
      ['sort=-completed', 'web-1 app web-2'],
      ['sort=completed', 'web-2 app web-1'],
    ] as const) {
      it(`?${query}: ${want || 'nothing'}`, async () => {
        const got = await rig.get(`/runs/ci?${query}`);
        assert.equal(got.status, 200, got.text);
        const names = namesOf(got);
        // Runs that have not completed come last, in no promised order.
        const told = query.includes('completed') ? names.slice(0, 3) : names;
        assert.equal(told.join(' '), want);
      });

      it(`?${query}: the same page by page`, async () => {
        if (query.includes('limit')) return;
        const names: string[] = [];
        for (let more = ''; ; ) {
          const page = await rig.get(`/runs/ci?${query}${query && '&'}limit=1${more}`);
          names.push(...namesOf(page));
          const { continue: token } = listOf(page);
          if (token === undefined) break;
          more = `&continue=${token}`;
        }
        assert.equal(names.join(' '), namesOf(await rig.get(`/runs/ci?${query}`)).join(' '));
      });
    }

    for (const [query, want] of [
      ['limit=0', /option limit .*from 1 to 500/],
      ['limit=501', /option limit/],
      ['phase=green', /option phase .*pending, running/],
      ['phase=deleted', /option phase/],
      ['sort=size', /option sort/],
      ['labelSelector=a%3Db%3Dc', /option labelSelector is wrong at character 4: "=" was found/],
      ['labelSelector=a&labelSelector=b', /option labelSelector is given twice/],
      ['eventId=', /option eventId/],
      ['name=A', /option name/],
      ['createdAfter=yesterday', /option createdAfter .*2026-11-01T10:00:00Z/],
      ['createdAfter=2026-11-01', /option createdAfter/],
      ['createdAfter=2026-02-31T00:00:00Z', /option createdAfter/],
      [`labelSelector=${Array(65).fill('a').join()}`, /option labelSelector has 65 requirements, and may have 64/],
      ['continue=!', /option continue/],
      ['continue=bm90IGpzb24', /option continue/],
      ['continue=W10', /option continue/],
      ['wait=301', /option wait/],
      ['colour=red', /unknown option "colour"/],
    ] as const) {
      it(`?${query.slice(0, 60)} is 400, and named`, async () => {
        const { status, text } = await rig.get(`/runs/ci?${query}`);
        assert.equal(status, 400);
        assert.match(JSON.parse(text).error, want);
      });
    }

    it('a continue of a list with other options is 400', async () => {
      const { continue: token } = listOf(await rig.get('/runs/ci?limit=2'));
      assert.equal((await rig.get(`/runs/ci?limit=3&continue=${token}`)).status, 200);
      for (const other of ['sort=name', 'phase=failed', 'name=web']) {
        const { status, text } = await rig.get(`/runs/ci?${other}&continue=${token}`);
        assert.equal(status, 400);
        assert.match(JSON.parse(text).error, /option continue belongs to a list with other options/);
      }
    });

    it('a namespace that can be none is 400', async () => {
      assert.equal((await rig.get('/runs/A_B')).status, 400);
    });
  });

  it('run 41: 50,000 runs page by page while 100 are created: none twice, none of the old ones missing', async () => {
    await using rig = await new AppRig().listen();
    const old = new Set<string>();
    const at = (second: number) => `${new Date(Date.UTC(2026, 10, 1) + second * 1000).toISOString().slice(0, 19)}Z`;
    for (let number = 0; number < 50_000; number++) {
      const name = `run-${number}`;
      old.add(name);
      // Seven in each second, in an order of their own.
      rig.putObject(run(name, { created: at(Math.floor(((number * 7_919) % 50_000) / 7)) }));
    }
    for (const sort of ['-created', 'created']) {
      const seen = new Map<string, number>();
      let created = 0;
      for (let more = ''; ; ) {
        const page = await rig.get(`/runs/ci?sort=${sort}&limit=500${more}`);
        assert.equal(page.status, 200);
        for (const name of namesOf(page)) seen.set(name, (seen.get(name) ?? 0) + 1);
        const { continue: token } = listOf(page);
        if (token === undefined) break;
        more = `&continue=${token}`;
        rig.putObject(run(`late${sort}-${created++}`, { created: at(7_000 + created * 7) }));
      }
      assert.ok(created >= 99, `${created} were created meanwhile`);
      assert.deepEqual(
        [...seen].filter(([, times]) => times > 1),
        [],
      );
      assert.deepEqual(
        [...old].filter((name) => !seen.has(name)),
        [],
      );
    }
    // All of them have to be looked at; others are served meanwhile.
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    turn();
    const selected = await rig.get('/runs/ci?name=run-4999&limit=500&sort=name');
    isOver = true;
    assert.equal(namesOf(selected).length, 11);
    assert.ok(turns >= 25, `the event loop turned ${turns} times`);
  }).timeout(60_000);

  it('run 6: a store that is too old to be believed is 503', async () => {
    await using rig = await new AppRig().listen();
    rig.isStale = true;
    for (const path of ['/runs', '/runs/ci']) assert.equal((await rig.get(path)).status, 503);
  });

  it('run 42: a page has a tag that changes with it, and with nothing else', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('a', { verdict: BUSY }));
    const { etag = '' } = (await rig.get('/runs/ci?phase=running')).headers;
    assert.match(etag, /^W\/"/);
    const ask = () => rig.get('/runs/ci?phase=running', { 'if-none-match': etag });
    const same = await ask();
    assert.deepEqual([same.status, same.text, same.headers.etag], [304, '', etag]);
    rig.putObject(run('b', { verdict: GREEN }));
    assert.equal((await ask()).status, 304);
    rig.putObject(run('a', { verdict: GREEN }));
    const changed = await ask();
    assert.deepEqual([changed.status, namesOf(changed)], [200, []]);
    assert.notEqual((await rig.get('/runs/ci?phase=pending')).headers.etag, changed.headers.etag);
  });

  it('run 42: with If-None-Match and wait the answer is the next change of the page', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('a', { verdict: BUSY }));
    const { etag = '' } = (await rig.get('/runs/ci?phase=running')).headers;
    const waiting = rig.follow('/runs/ci?phase=running&wait=60', { 'if-none-match': etag });
    await eventually(() => assert.equal(rig.drain.open, 1));
    rig.putObject(run('b', { verdict: GREEN }));
    rig.putObject(run('c', { verdict: BUSY }));
    const changed = await waiting.whole;
    assert.deepEqual([changed.status, namesOf(changed).sort()], [200, ['a', 'c']]);
  });

  it('run 42: a wait that is over without a change is 304', async () => {
    const clock = new HandClock();
    await using rig = await new AppRig({ clock }).listen();
    const { etag = '' } = (await rig.get('/runs')).headers;
    const waiting = rig.follow('/runs?wait=60', { 'if-none-match': etag });
    await eventually(() => assert.equal(clock.sleeping, 1));
    await clock.turn(60_000);
    assert.equal((await waiting.whole).status, 304);
    assert.equal(clock.sleeping, 0);
  });

  it('run 7: with wait and eventId the answer comes when the run of that event exists', async () => {
    await using rig = await new AppRig().listen();
    const waiting = rig.follow('/runs?eventId=4711&wait=60');
    await eventually(() => assert.equal(rig.drain.open, 1));
    rig.putObject(run('build-4710'));
    rig.putObject(run('build-4711'));
    assert.deepEqual(namesOf(await waiting.whole), ['build-4711']);
    assert.deepEqual(namesOf(await rig.get('/runs?eventId=4711&wait=60')), ['build-4711']);
  });

  it('run 38: a list that is waited for ends when this process stops', async () => {
    await using rig = await new AppRig().listen();
    const waiting = rig.follow('/runs?eventId=4711&wait=60');
    await eventually(() => assert.equal(rig.drain.open, 1));
    void rig.drain.stop(new AbortController().signal);
    assert.equal((await waiting.whole).status, 503);
  });

  it('long pages are compressed for who takes that; HEAD says the same', async () => {
    await using rig = await new AppRig().listen();
    for (let number = 0; number < 10; number++) rig.putObject(run(`run-${number}`, { verdict: GREEN }));
    const plain = await rig.get('/runs/ci');
    assert.deepEqual([plain.headers['content-encoding'], plain.headers.vary], [undefined, 'Accept-Encoding']);
    const packed = await rig.get('/runs/ci', { 'accept-encoding': 'br, gzip' });
    assert.equal(packed.headers['content-encoding'], 'gzip');
    assert.equal(gunzipSync(Buffer.from(packed.text, 'latin1')).toString(), plain.text);
    assert.equal(packed.headers.etag, plain.headers.etag);
    const head = await rig.follow('/runs/ci', { 'accept-encoding': 'gzip' }, 'HEAD').whole;
    assert.deepEqual([head.text, head.headers['content-length']], ['', packed.headers['content-length']]);
    assert.equal((await rig.get('/runs/dev', { 'accept-encoding': 'gzip' })).headers['content-encoding'], undefined);
  });
});

const FAILED_RUN = {
  verdict: 'False/Failed/Tasks Completed: 1 (Failed: 1, Cancelled 0), Skipped: 0',
  status: { pipelineSpec: { tasks: [{ name: 'build' }] } },
};
const FAILED_TASK = {
  owner: 'red',
  verdict: 'False/StepFailed/step failed',
  status: {
    podName: 'red-build-pod',
    completionTime: '2026-11-01T10:01:00Z',
    steps: [
      {
        name: 'fetch',
        container: 'step-fetch',
        terminationReason: 'Completed',
        terminated: { exitCode: 0, reason: 'Completed' },
      },
      {
        name: 'compile',
        container: 'step-compile',
        terminationReason: 'Error',
        terminated: { exitCode: 2, reason: 'Error' },
      },
      {
        name: 'push',
        container: 'step-push',
        terminationReason: 'Skipped',
        terminated: { exitCode: 1, reason: 'Error' },
      },
    ],
  },
};
const pod = (owner: string) => `
kind: Pod
metadata:
  namespace: ci
  name: red-build-pod
  uid: uid-pod
  resourceVersion: "1"
  ownerReferences: [{ kind: TaskRun, name: red-build, uid: ${owner}, controller: true }]
spec: { containers: [{ name: step-compile }] }
`;

describe('GET /runs/:namespace/:name', () => {
  it('run 23: says which step failed, where its log is, and what it said last', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('red', FAILED_RUN));
    rig.putObject(taskRun('red-build', FAILED_TASK));
    rig.put(pod('uid-ci-red-build'));
    const log = rig.file('red-build-pod', 'step-compile');
    for (const line of ['one', 'two', 'three \u001b[31mred\u001b[0m']) log.say(line);
    log.end();
    const got = await rig.get('/runs/ci/red?tail=2');
    assert.equal(got.status, 200);
    assert.deepEqual([got.headers['x-run-phase'], got.headers['x-run-uid']], ['failed', 'uid-ci-red']);
    const { failure, tasks }: RunStatus = JSON.parse(got.text);
    const logs = '/taskruns/ci/red-build/logs?step=compile&attempt=1';
    assert.deepEqual(failure, {
      task: 'build',
      taskRun: 'red-build',
      step: 'compile',
      exitCode: 2,
      reason: 'StepFailed',
      message: 'step failed',
      logs,
      logTail: ['two', 'three \u001b[31mred\u001b[0m'],
    });
    assert.equal(tasks[0]?.instances[0]?.attempts[0]?.steps[1]?.logs, logs);
    assert.deepEqual(rig.reads, ['red-build-pod/step-compile?container=step-compile&timestamps=true&tailLines=2']);
    assert.equal('logTail' in JSON.parse((await rig.get('/runs/ci/red')).text).failure, false);
  });

  it('run 43: a pod that is not of the TaskRun is never read', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('red', FAILED_RUN));
    rig.putObject(taskRun('red-build', FAILED_TASK));
    rig.put(pod('uid-of-somebody-else'));
    const { failure } = JSON.parse((await rig.get('/runs/ci/red?tail=20')).text);
    assert.equal(failure.logProblem, 'the pod is gone, and its log with it');
    assert.deepEqual(rig.reads, []);
  });

  it('a log that is not there is told, and fails nothing', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('red', FAILED_RUN));
    rig.putObject(taskRun('red-build', FAILED_TASK));
    rig.put(pod('uid-ci-red-build'));
    const absent = JSON.parse((await rig.get('/runs/ci/red?tail=1')).text);
    assert.match(absent.failure.logProblem, /404/);
  });

  it('run 5: a run that is not there is 404, options are checked', async () => {
    await using rig = await new AppRig().listen();
    assert.equal(JSON.parse((await rig.get('/runs/ci/nobody')).text).error, 'pipeline not found');
    assert.equal((await rig.get('/runs/ci/--last')).status, 400);
    for (const query of ['tail=21', 'tail=x', 'full=true']) {
      assert.equal((await rig.get(`/runs/ci/nobody?${query}`)).status, 400, query);
    }
  });

  it('run 42: its tag changes with its children, and with wait the next change is the answer', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('r', { verdict: BUSY }));
    const { etag = '' } = (await rig.get('/runs/ci/r')).headers;
    assert.equal((await rig.get('/runs/ci/r', { 'if-none-match': etag })).status, 304);
    const waiting = rig.follow('/runs/ci/r?wait=60', { 'if-none-match': etag });
    await eventually(() => assert.equal(rig.drain.open, 1));
    rig.putObject(taskRun('r-build', { owner: 'r', verdict: BUSY }));
    const { status, text } = await waiting.whole;
    assert.equal(status, 200);
    assert.equal(JSON.parse(text).tasks[0].phase, 'running');
  });

  it('run 7: with wait it is answered when it is created and final', async () => {
    await using rig = await new AppRig().listen();
    const waiting = rig.follow('/runs/ci/later?wait=60');
    await eventually(() => assert.equal(rig.drain.open, 1));
    rig.putObject(run('later', { verdict: BUSY }));
    rig.putObject(run('later', { verdict: GREEN }));
    assert.equal((await waiting.whole).headers['x-run-phase'], 'succeeded');
  });

  it('run 27: deleted while it is waited for, it is told as it was last', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('gone', { verdict: BUSY }));
    const waiting = rig.follow('/runs/ci/gone?wait=60');
    const verdict = rig.follow('/status/gone?wait=60');
    await eventually(() => assert.equal(rig.drain.open, 2));
    rig.remove('PipelineRun', 'gone');
    const { status, text, headers } = await waiting.whole;
    assert.deepEqual([status, JSON.parse(text).phase, headers['x-run-phase']], [200, 'deleted', 'deleted']);
    const compatible = await verdict.whole;
    assert.deepEqual([compatible.status, compatible.headers['x-run-phase']], [404, 'deleted']);
    assert.equal(JSON.parse(compatible.text).error, 'pipeline not found');
  });

  it('run 40: unknown reasons, other conditions and missing fields are served', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(
      run('odd', {
        verdict: 'Maybe/NeverHeardOf',
        status: { childReferences: [{}, 7, { name: 'x' }], startTime: 'once' },
      }),
    );
    rig.putObject({ kind: 'PipelineRun', metadata: { namespace: 'ci', name: 'bare' } });
    for (const path of [
      '/runs/ci/odd',
      '/runs/ci/bare',
      '/runs/ci',
      '/runs/ci?sort=completed',
      '/status/odd',
      '/status/bare',
    ]) {
      assert.ok([200, 400].includes((await rig.get(path)).status), path);
    }
    assert.equal(JSON.parse((await rig.get('/runs/ci/odd')).text).condition.reason, 'NeverHeardOf');
  });
});

/** The events that came so far: name, id and data. */
function eventsIn(text: string): readonly { readonly event: string; readonly id: string; readonly data: RunStatus }[] {
  return [...text.matchAll(/^id: (.*)\nevent: (.*)\ndata: (.*)\n\n/gm)].map(([, id = '', event = '', data = '']) => ({
    event,
    id,
    data: JSON.parse(data),
  }));
}

describe('GET /runs/:namespace/:name/events', () => {
  it('tells how the run stands, each change, and the end', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('r', { verdict: BUSY }));
    const stream = rig.follow('/runs/ci/r/events');
    await eventually(() => assert.equal(eventsIn(stream.text()).length, 1));
    assert.match(stream.text(), /^retry: 1000\n\n/);
    rig.putObject(taskRun('r-build', { owner: 'r', verdict: BUSY }));
    await eventually(() => assert.equal(eventsIn(stream.text()).length, 2));
    // Nothing of what is told has changed.
    rig.putObject(taskRun('r-build', { owner: 'r', verdict: BUSY }));
    rig.putObject(taskRun('r-build', { owner: 'r', verdict: GREEN }));
    await eventually(() => assert.equal(eventsIn(stream.text()).length, 3));
    rig.putObject(run('r', { verdict: GREEN }));
    const { status, headers, text, isWhole } = await stream.whole;
    assert.deepEqual([status, isWhole], [200, true]);
    assert.equal(headers['content-type'], 'text/event-stream; charset=utf-8');
    const told = eventsIn(text);
    assert.deepEqual(
      told.map(({ event, data }) => `${event} ${data.phase} ${data.tasks[0]?.phase ?? '-'}`),
      ['status running -', 'status running running', 'status running succeeded', 'end succeeded succeeded'],
    );
    assert.equal(new Set(told.map(({ id }) => id)).size, 4);

    const again = await rig.get('/runs/ci/r/events', { 'last-event-id': told.at(-1)?.id ?? '' });
    assert.deepEqual([again.status, again.text], [204, '']);
    assert.deepEqual(
      eventsIn((await rig.get('/runs/ci/r/events', { 'last-event-id': 'older' })).text).map(({ event }) => event),
      ['end'],
    );
  });

  it('with Last-Event-ID says nothing twice', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('r', { verdict: BUSY }));
    const first = rig.follow('/runs/ci/r/events');
    const [told] = await eventually(() => {
      const events = eventsIn(first.text());
      assert.equal(events.length, 1);
      return events;
    });
    first.leave();
    await first.whole.catch(() => {});
    const second = rig.follow('/runs/ci/r/events', { 'last-event-id': told?.id ?? '' });
    await eventually(() => assert.match(second.text(), /retry/));
    rig.putObject(run('r', { verdict: GREEN }));
    assert.deepEqual(
      eventsIn((await second.whole).text).map(({ event }) => event),
      ['end'],
    );
  });

  it('run 27: a run that is deleted ends with the phase deleted', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('r', { verdict: BUSY }));
    const stream = rig.follow('/runs/ci/r/events');
    await eventually(() => assert.equal(eventsIn(stream.text()).length, 1));
    rig.remove('PipelineRun', 'r');
    const last = eventsIn((await stream.whole).text).at(-1);
    assert.deepEqual([last?.event, last?.data.phase], ['end', 'deleted']);
  });

  it('run 28: a new run of the same name is not told', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('r', { verdict: BUSY }));
    const stream = rig.follow('/runs/ci/r/events');
    await eventually(() => assert.equal(eventsIn(stream.text()).length, 1));
    rig.remove('PipelineRun', 'r');
    const other = run('r', { verdict: GREEN });
    rig.putObject({ ...other, metadata: { ...other.metadata, uid: 'uid-of-the-second' } });
    const last = eventsIn((await stream.whole).text).at(-1);
    assert.deepEqual([last?.event, last?.data.phase, last?.data.uid], ['end', 'deleted', 'uid-ci-r']);
  });

  it('run 35: a comment comes in silence, and a run whose tasks do not end is not followed for ever', async () => {
    const clock = new HandClock();
    await using rig = await new AppRig({ clock }).listen();
    rig.putObject(run('r', { verdict: BUSY }));
    rig.putObject(taskRun('r-build', { owner: 'r', verdict: BUSY }));
    const stream = rig.follow('/runs/ci/r/events');
    await eventually(() => assert.equal(eventsIn(stream.text()).length, 1));
    await eventually(() => assert.equal(clock.sleeping, 1));
    await clock.turn(30_000);
    await eventually(() => assert.match(stream.text(), /\n\n:\n\n:\n\n$/));
    rig.putObject(run('r', { verdict: 'False/Cancelled' }));
    await eventually(() => assert.equal(eventsIn(stream.text()).at(-1)?.data.phase, 'cancelled'));
    assert.equal(eventsIn(stream.text()).at(-1)?.event, 'status');
    for (let turn = 0; turn < 4; turn++) {
      await clock.settle();
      await clock.turn(10_000);
    }
    const last = eventsIn((await stream.whole).text).at(-1);
    assert.deepEqual([last?.event, last?.data.tasks[0]?.phase], ['end', 'running']);
    assert.equal(clock.sleeping, 0);
  });

  it('run 27: a run that only a GET has seen, and that is gone, ends as deleted', async () => {
    const clock = new HandClock();
    await using rig = await new AppRig({ clock }).listen();
    rig.fetchable.set('ci/r', projectPipelineRun(run('r', { verdict: BUSY })));
    const stream = rig.follow('/runs/ci/r/events');
    await eventually(() => assert.equal(eventsIn(stream.text()).length, 1));
    rig.fetchable.clear();
    await eventually(() => assert.equal(clock.sleeping, 1));
    await clock.turn(15_000);
    assert.equal(eventsIn((await stream.whole).text).at(-1)?.data.phase, 'deleted');
  });

  it('run 38: when this process stops the stream ends without an end, so that the client comes back', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(run('r', { verdict: BUSY }));
    const stream = rig.follow('/runs/ci/r/events');
    await eventually(() => assert.equal(eventsIn(stream.text()).length, 1));
    const stopped = rig.drain.stop(new AbortController().signal);
    const { text, isWhole } = await stream.whole;
    await stopped;
    assert.equal(isWhole, true);
    assert.deepEqual(
      eventsIn(text).map(({ event }) => event),
      ['status'],
    );
    assert.match(text, /\n: this replica is stopping; ask again\n\n$/);
  });

  it('run 34, 44: a client that hangs up leaves nothing behind, and there are no more streams than allowed', async () => {
    await using rig = await new AppRig({ maxStreams: 1 }).listen();
    rig.putObject(run('r', { verdict: BUSY }));
    const stream = rig.follow('/runs/ci/r/events');
    await eventually(() => assert.equal(eventsIn(stream.text()).length, 1));
    const refused = await rig.get('/runs/ci/r/events');
    assert.deepEqual([refused.status, typeof refused.headers['retry-after']], [429, 'string']);
    stream.leave();
    await stream.whole.catch(() => {});
    await eventually(() => assert.equal(rig.drain.open, 0));
    const next = rig.follow('/runs/ci/r/events');
    await eventually(() => assert.equal(eventsIn(next.text()).length, 1));
  });

  it('waits for the run to be created; HEAD has no body; a run that is not there is 404', async () => {
    await using rig = await new AppRig().listen();
    assert.equal((await rig.get('/runs/ci/later/events')).status, 404);
    const waiting = rig.follow('/runs/ci/later/events?wait=60');
    await eventually(() => assert.equal(rig.drain.open, 1));
    rig.putObject(run('later', { verdict: GREEN }));
    assert.deepEqual(
      eventsIn((await waiting.whole).text).map(({ event }) => event),
      ['end'],
    );
    const head = await rig.follow('/runs/ci/later/events', {}, 'HEAD').whole;
    assert.deepEqual([head.status, head.text], [200, '']);
  });
});

describe('GET /taskruns', () => {
  it('answers the four keys of a TaskRun, in the default namespace too, with the codes of /status', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(taskRun('alone', { verdict: GREEN }));
    const short = await rig.get('/taskruns/alone/status');
    assert.equal(short.status, 200);
    assert.equal(short.text, '{"message":"all done","reason":"Succeeded","type":"Succeeded","status":"True"}');
    assert.equal((await rig.get('/taskruns/ci/alone/status')).text, short.text);
    rig.putObject(taskRun('new'));
    const pending = await rig.get('/taskruns/new/status?pending=503');
    assert.deepEqual([pending.status, pending.headers['retry-after']], [503, '5']);
    assert.equal(JSON.parse(pending.text).message, 'TaskRun has not started');
    assert.equal(JSON.parse((await rig.get('/taskruns/nobody/status')).text).error, 'taskrun not found');
    assert.equal(JSON.parse((await rig.get('/taskruns/A_B/status')).text).error, 'Invalid TaskRun name');
  });

  it('run 7, 42: waits, and knows what has not changed', async () => {
    await using rig = await new AppRig().listen();
    const waiting = rig.follow('/taskruns/later/status?wait=60');
    await eventually(() => assert.equal(rig.drain.open, 1));
    rig.putObject(taskRun('later', { verdict: BUSY }));
    rig.putObject(taskRun('later', { verdict: GREEN }));
    const { status, headers } = await waiting.whole;
    assert.equal(status, 200);
    const again = await rig.get('/taskruns/later/status', { 'if-none-match': headers.etag ?? '' });
    assert.equal(again.status, 304);
  });

  it('run 27: a TaskRun that is deleted while it is waited for is 404, and told as deleted', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(taskRun('gone', { verdict: BUSY }));
    const waiting = rig.follow('/taskruns/gone/status?wait=60');
    await eventually(() => assert.equal(rig.drain.open, 1));
    rig.remove('TaskRun', 'gone');
    const { status, headers, text } = await waiting.whole;
    assert.deepEqual([status, headers['x-run-phase'], JSON.parse(text).error], [404, 'deleted', 'taskrun not found']);
  });

  it('tells everything about one, and what its failing step said last', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(taskRun('red-build', FAILED_TASK));
    rig.put(pod('uid-ci-red-build'));
    const log = rig.file('red-build-pod', 'step-compile');
    log.say('no such file');
    log.end();
    const got = await rig.get('/taskruns/ci/red-build?tail=5');
    const status: TaskRunStatus = JSON.parse(got.text);
    assert.deepEqual(
      [got.status, status.phase, status.pipelineRun, status.pipelineTask],
      [200, 'failed', 'red', 'build'],
    );
    assert.deepEqual(status.failure, {
      step: 'compile',
      exitCode: 2,
      reason: 'StepFailed',
      message: 'step failed',
      logs: '/taskruns/ci/red-build/logs?step=compile&attempt=1',
      logTail: ['no such file'],
    });
    assert.deepEqual(
      status.attempts[0]?.steps.map(({ name, exitCode }) => `${name} ${exitCode}`),
      ['fetch 0', 'compile 2', 'push 1'],
    );
    assert.equal(JSON.parse((await rig.get('/taskruns/ci/red-build/status?full=true')).text).uid, status.uid);
  });
});
