/** What `/runs` and `/taskruns` say of real runs, and that it is what the API's own description promises. */
import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { RunItem } from '../../src/tekton/runlist.ts';
import type { RunStatus, TaskRunStatus } from '../../src/tekton/types.ts';
import { connect } from '../cluster/cluster.ts';
import { setFeatureFlags } from '../cluster/knobs.ts';
import { eventually } from '../support/eventually.ts';
import type { AskOptions } from '../support/gateway.ts';
import { onCluster } from '../support/ground.ts';
import { clusterSuite } from '../support/needs.ts';
import { startWorld, type World } from '../support/world.ts';

interface List {
  readonly items: readonly RunItem[];
  readonly continue?: string;
}

interface Document {
  readonly paths: Record<
    string,
    { get: { responses: Record<string, { content: Record<string, { schema: object }> }> } }
  >;
  readonly components: object;
}

/** Reads what a gateway answers, held against what its document says of the path. */
type Read = <T>(path: string, url: string, options?: AskOptions) => Promise<T>;

const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });

async function described({ gateway }: World): Promise<{ readonly read: Read; readonly components: object }> {
  const { paths, components } = (await gateway.get('/openapi.json')).json<Document>();
  const validators = new Map<string, ValidateFunction>();
  const read: Read = async <T>(path: string, url: string, options: AskOptions = {}) => {
    const answer = await gateway.get(url, options);
    const schema = paths[path]?.get.responses[answer.status]?.content?.['application/json']?.schema;
    assert.ok(schema, `${path} ${answer.status} is not described: ${answer.text}`);
    const key = `${path} ${answer.status}`;
    const validate = validators.get(key) ?? ajv.compile({ ...schema, components });
    validators.set(key, validate);
    const body = answer.json<T>();
    assert.ok(validate(body), `${url}: ${ajv.errorsText(validate.errors)}`);
    return body;
  };
  return { read, components };
}

const uidsOf = (items: readonly RunItem[]) => items.map(({ uid }) => uid);

/** A run that is over, with all of its tasks. */
async function settled(world: World, read: Read, run: string): Promise<RunStatus> {
  await world.finished(run);
  return eventually(async () => {
    const status = await read<RunStatus>('/runs/{namespace}/{name}', `/runs/${world.namespace}/${run}?tail=20`);
    assert.ok(status.completed !== undefined && status.progress.running === 0, `${run} is still ${status.phase}`);
    // Of a cluster that is busy the log may not come in time, which is said instead.
    const { logProblem } = (status.failure ?? {}) as { readonly logProblem?: string };
    assert.equal(logProblem, undefined);
    return status;
  });
}

describe('runs of a real cluster', function () {
  this.timeout(600_000);
  let world: World;
  let read: Read;
  let components: object;
  before(async () => {
    world = await startWorld({ namespaces: 2 });
    ({ read, components } = await described(world));
  });
  after(() => world?.end());

  const readRun = (run: string, query = '') =>
    read<RunStatus>('/runs/{namespace}/{name}', `/runs/${world.namespace}/${run}${query}`);
  const finishedRun = async (manifest: string) => settled(world, read, await world.run(manifest));
  const stepsOf = ({ tasks }: RunStatus) =>
    tasks
      .flatMap(({ instances }) => instances)
      .flatMap(({ attempts }) => attempts)
      .flatMap(({ steps }) => steps);

  it('run 23: the failing step is named, with its exit code, its log and where that is', async () => {
    const status = await finishedRun('failing-step');
    const { failure } = status;
    assert.deepEqual([status.phase, failure?.task, failure?.step, failure?.exitCode], ['failed', 'build', 'kill', 137]);
    assert.deepEqual((failure as { logTail?: readonly string[] }).logTail, ['out of luck']);
    // Pods have a watch of their own, which may come behind those of runs.
    await eventually(async () => {
      const log = await world.gateway.get(`${failure?.logs}&follow=false&color=never&prefix=none&notices=none`);
      assert.equal(log.status, 200);
      assert.equal(log.text.trim(), 'out of luck');
    });
    assert.deepEqual(
      stepsOf(status).map(({ name, reason }) => `${name} ${reason}`),
      ['fetch Completed', 'kill Error', 'package Skipped', 'push Skipped', 'tell Completed'],
    );
    assert.deepEqual([status.progress.failed, status.progress.succeeded, status.progress.total], [1, 1, 3]);
    assert.ok(status.durations.running !== undefined && status.durations.finally !== undefined);
    assert.equal(status.timeouts.pipeline, '1h0m0s');
  });

  it('run 19: each attempt of a retried task has a pod and a log of its own', async () => {
    const { tasks } = await finishedRun('retries-succeed');
    const attempts = tasks[0]?.instances[0]?.attempts ?? [];
    assert.equal(new Set(attempts.map(({ pod }) => pod)).size, 3);
    assert.deepEqual(
      attempts.map(({ steps }) => new URLSearchParams(steps[0]?.logs?.split('?')[1]).get('attempt')),
      ['1', '2', '3'],
    );
  });

  it('run 20: nine instances of a matrix are told apart by what differs', async () => {
    const { tasks } = await finishedRun('matrix');
    const instances = tasks[0]?.instances ?? [];
    const params = instances.map((instance) =>
      (instance.params ?? []).map(({ name, value }) => `${name}=${value}`).join(),
    );
    assert.equal(new Set(params).size, 9);
    assert.ok(params.every((each) => !each.includes('level')));
  });

  it('run 21: a skipped task says why', async () => {
    const { tasks, progress } = await finishedRun('skipped');
    const skipped = tasks.filter(({ phase }) => phase === 'skipped');
    assert.equal(skipped.length, progress.skipped);
    assert.ok(skipped.length > 0 && skipped.every(({ skip, instances }) => skip && instances.length === 0));
  });

  it('run 22: a failure that may be is told as it was, and counted as ignored', async () => {
    const step = stepsOf(await finishedRun('step-continues')).find(({ name }) => name === 'lint');
    assert.deepEqual([step?.exitCode, step?.reason], [7, 'Continued']);
    const { phase, progress } = await finishedRun('task-continues');
    assert.deepEqual([phase, progress.ignored, progress.succeeded], ['succeeded', 1, 1]);
  });

  it('a TaskRun can be asked about by itself, and with a run around it', async () => {
    const [alone] = await world.apply(`
      apiVersion: tekton.dev/v1
      kind: TaskRun
      metadata: { name: alone }
      spec: { taskSpec: { steps: [{ name: say, image: "docker.io/library/busybox:1", script: "echo hello; exit 3" }] } }
    `);
    const name = alone?.metadata.name ?? '';
    const verdict = await world.gateway.get(`/taskruns/${name}/status?wait=300`);
    assert.deepEqual([verdict.status, verdict.json<{ status: string }>().status], [400, 'False']);
    await eventually(async () => {
      const status = await read<TaskRunStatus & { failure: { logTail?: readonly string[] } }>(
        '/taskruns/{namespace}/{name}',
        `/taskruns/${world.namespace}/${name}?tail=5`,
      );
      assert.deepEqual([status.phase, status.failure.step, status.failure.exitCode], ['failed', 'say', 3]);
      assert.deepEqual(status.failure.logTail, ['hello']);
    });
    await read('/taskruns/{namespace}/{name}/status', `/taskruns/${world.namespace}/${name}/status?full=true`);
  });

  it('run 18, 40: runs in every state fit the description of /status and /runs', async () => {
    const waiting = await world.run('quota');
    const pending = await world.run('pending');
    await world.run(`
      apiVersion: tekton.dev/v1
      kind: PipelineRun
      metadata: { name: unseen, labels: { team: nobody } }
      spec:
        managedBy: nobody.example/at-all
        pipelineSpec: { tasks: [{ name: a, taskSpec: { steps: [{ name: b, image: "docker.io/library/busybox:1" }] } }] }
    `);
    await eventually(
      async () => {
        const [instance] = (await readRun(waiting)).tasks[0]?.instances ?? [];
        assert.equal(instance?.reason, 'ExceededResourceQuota');
        assert.equal(instance?.attempts[0]?.waiting?.reason, 'ExceededResourceQuota');
      },
      { withinMs: 240_000 },
    );
    // A list is of what the gateway has heard of; a run that it has not is looked up.
    const items = await eventually(async () => {
      const list = await read<List>('/runs/{namespace}', `/runs/${world.namespace}?limit=500`);
      assert.ok(list.items.length >= 9);
      return list.items;
    });
    for (const { name } of items) {
      await readRun(name, '?tail=20');
      await read('/status/{namespace}/{name}', `/status/${world.namespace}/${name}?full=true`);
    }
    for (const run of [waiting, pending]) await world.remove(run);
  });

  it('run 40: what no controller of ours wrote is served as it is', async () => {
    const run = await world.run(`
      apiVersion: tekton.dev/v1
      kind: PipelineRun
      metadata: { name: foreign }
      spec:
        managedBy: nobody.example/at-all
        pipelineSpec: { tasks: [{ name: a, taskSpec: { steps: [{ name: b, image: "docker.io/library/busybox:1" }] } }] }
    `);
    const path = `/apis/tekton.dev/v1/namespaces/${world.namespace}/pipelineruns/${run}/status`;
    const lastTransitionTime = '2026-11-01T10:00:00Z';
    await world.admin.patch(path, {
      status: {
        conditions: [
          { type: 'Ready', status: 'True', lastTransitionTime, reason: 'Whatever', message: 'beside it' },
          {
            type: 'Succeeded',
            status: 'False',
            lastTransitionTime,
            reason: 'InventedTomorrow',
            message: 'nobody knows it',
          },
          { type: 'Later', status: 'Unknown', lastTransitionTime },
        ],
        childReferences: [{ kind: 'SomethingElse', name: 'x', pipelineTaskName: 'a', apiVersion: 'example.com/v1' }],
      },
    });
    await eventually(async () => {
      const { phase, condition } = await readRun(run);
      assert.deepEqual([phase, condition.reason, condition.message], ['failed', 'InventedTomorrow', 'nobody knows it']);
    });
    assert.equal((await world.gateway.get(`/status/${run}`)).status, 400);
    await eventually(async () => {
      const { items } = await read<List>('/runs/{namespace}', `/runs/${world.namespace}?phase=failed&name=${run}`);
      assert.deepEqual(
        items.map(({ reason }) => reason),
        ['InventedTomorrow'],
      );
    });
    await world.remove(run);
  });

  it('run 41: lists go page by page, newest first, of one namespace or of all', async () => {
    const elsewhere = await world.run('pending', { namespace: world.namespaces[1] ?? '' });
    await eventually(async () => {
      const { items } = await read<List>('/runs', '/runs?limit=500');
      assert.ok(items.some(({ name, namespace }) => name === elsewhere && namespace === world.namespaces[1]));
    });
    // That others were removed may be heard between two pages.
    await eventually(async () => {
      const whole = await read<List>('/runs', '/runs?limit=500');
      const created = whole.items.map((item) => item.created);
      assert.deepEqual(created, [...created].sort().reverse());
      const paged: RunItem[] = [];
      for (let more = ''; ; ) {
        const page = await read<List>('/runs', `/runs?limit=3${more}`);
        paged.push(...page.items);
        if (page.continue === undefined) break;
        more = `&continue=${page.continue}`;
      }
      assert.deepEqual(uidsOf(paged), uidsOf(whole.items));
    });
  });

  it('label selectors mean what they mean to the API server, and are refused where it refuses them', async () => {
    for (const [place, labels] of [{ team: 'a', size: '5' }, { team: 'b', tier: 'web', empty: '' }, {}].entries()) {
      await world.run(`
        apiVersion: tekton.dev/v1
        kind: PipelineRun
        metadata: { name: labelled-${place}, labels: ${JSON.stringify({ ...labels, 'rungate.dev/for': 'selectors' })} }
        spec:
          status: PipelineRunPending
          pipelineSpec: { tasks: [{ name: a, taskSpec: { steps: [{ name: b, image: "docker.io/library/busybox:1" }] } }] }
      `);
    }
    const own = 'rungate.dev/for=selectors';
    await eventually(async () => {
      const { items } = await read<List>('/runs/{namespace}', `/runs/${world.namespace}?labelSelector=${own}`);
      assert.equal(items.length, 3);
    });
    const selectors = [
      ...['', 'team', '!team', 'team=a', 'team==a', 'team!=a', 'team in (a,b)', 'team notin (a)', 'size>4', 'size<5'],
      ...['empty=', 'empty in ()', 'empty in (,x)', 'team in (a,,b)', ' team = a , size ', 'in', 'x notin ()'],
      ...[
        'team=a=b',
        'team in',
        'team in a',
        'team in (a',
        'team in (a,,)',
        'team,',
        ',team',
        'team,,size',
        '!',
        '!!team',
      ],
      ...[
        'size>x',
        'size>',
        'team=-a',
        '-a',
        'a/b/c',
        'A.b/c',
        'a=é',
        'team a',
        '(team)',
        '!team=a',
        'a||b',
        'size>1.5',
      ],
      ...[`${'a'.repeat(64)}`, `a=${'a'.repeat(64)}`, 'a=b\nc', 'a\t=\tb', 'size>9223372036854775808'],
    ];
    for (const selector of selectors) {
      const query = new URLSearchParams({ labelSelector: selector === '' ? own : `${own},${selector}` });
      const theirs = await world.admin.bytes(`/apis/tekton.dev/v1/namespaces/${world.namespace}/pipelineruns?${query}`);
      const ours = await world.gateway.get(`/runs/${world.namespace}?limit=500&sort=name&${query}`);
      assert.equal(ours.status, theirs.status, `${JSON.stringify(selector)}: ${ours.text}`);
      if (ours.status !== 200) continue;
      const { items } = JSON.parse(theirs.body.toString()) as { items: { metadata: { name: string } }[] };
      assert.deepEqual(
        ours.json<List>().items.map(({ name }) => name),
        items.map(({ metadata }) => metadata.name).sort(),
        selector,
      );
    }
  });

  it('run 7, 42: an event id is waited for, and a list answers at its next change', async () => {
    const eventId = `event-${world.namespace}`;
    const byLabel = world.gateway.get(`/runs?eventId=${eventId}&wait=240`);
    const before = await world.gateway.get(`/runs/${world.namespace}?name=waited-`);
    const changed = world.gateway.get(`/runs/${world.namespace}?name=waited-&wait=240`, {
      headers: { 'if-none-match': before.headers.etag ?? '' },
    });
    const run = await world.run(`
      apiVersion: tekton.dev/v1
      kind: PipelineRun
      metadata: { name: waited-for, labels: { triggers.tekton.dev/triggers-eventid: ${eventId} } }
      spec:
        status: PipelineRunPending
        pipelineSpec: { tasks: [{ name: a, taskSpec: { steps: [{ name: b, image: "docker.io/library/busybox:1" }] } }] }
    `);
    for (const answer of [await byLabel, await changed]) {
      assert.deepEqual(
        answer.json<List>().items.map(({ name }) => name),
        [run],
      );
    }
  });

  it('run 27, 42: events tell a run from its creation to its deletion', async () => {
    const name = 'told';
    const opening = world.gateway.stream(`/runs/${world.namespace}/${name}/events?wait=240`);
    await world.run('green', { name });
    const events = await opening;
    assert.equal(await events.ended(), 'complete');
    const told = [...events.text().matchAll(/^event: (.*)\ndata: (.*)$/gm)].map(([, event, data = '']) => ({
      event,
      ...(JSON.parse(data) as RunStatus),
    }));
    const validate = ajv.compile({ $ref: '#/components/schemas/RunEvent', components });
    for (const { event, ...data } of told) assert.ok(validate(data), `${event}: ${ajv.errorsText(validate.errors)}`);
    assert.deepEqual([told.at(-1)?.event, told.at(-1)?.phase], ['end', 'succeeded']);
    assert.ok(told.slice(0, -1).every(({ event }) => event === 'status'));
    const pending = await world.run('pending');
    const deleted = await world.gateway.stream(`/runs/${world.namespace}/${pending}/events?wait=60`);
    await eventually(() => assert.match(deleted.text(), /^event: status$/m), { withinMs: 90_000 });
    await world.remove(pending);
    assert.equal(await deleted.ended(), 'complete');
    assert.match(deleted.text(), /"phase":"deleted"/);
  });

  it('curl --compressed gets the same bytes', async () => {
    const path = `/runs/${world.namespace}?limit=500&phase=succeeded,failed`;
    // What was said last of the runs before this may come between.
    await eventually(async () => {
      const plain = await world.gateway.get(path);
      const packed = await world.gateway.get(path, { headers: { 'accept-encoding': 'gzip' } });
      assert.equal(gunzipSync(packed.body).toString(), plain.text);
      const { stdout } = await world.curl('-s', '--compressed', `${world.gateway.url}${path}`);
      assert.equal(stdout, plain.text);
    });
  });
});

clusterSuite('nested runs', onCluster ? { knobs: true } : {}, function () {
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

  it('run 30: a nested run is told within its task', async () => {
    const status = await settled(world, (await described(world)).read, await world.run('nested'));
    const nested = status.tasks.find(({ name }) => name === 'release')?.instances[0]?.run;
    assert.deepEqual(
      nested?.tasks.map(({ name, phase }) => `${name} ${phase}`),
      ['sign succeeded', 'publish failed'],
    );
    assert.equal(status.failure?.task, 'release/publish');
    assert.deepEqual((status.failure as { logTail?: readonly string[] }).logTail, ['refused']);
  });
});

describe('runs where nothing is watched (CACHE=off)', function () {
  this.timeout(600_000);
  let world: World;
  let read: Read;
  before(async () => {
    world = await startWorld({ namespaces: 2, env: { CACHE: 'off' } });
    ({ read } = await described(world));
  });
  after(() => world?.end());

  it('run 23, 41: lists, pages and a failed run are told as with caches', async () => {
    const failed = await settled(world, read, await world.run('red'));
    assert.equal(failed.phase, 'failed');
    assert.ok(failed.failure?.step);
    for (const namespace of world.namespaces) await world.run('pending', { namespace });
    const whole = await read<List>('/runs', '/runs');
    assert.equal(whole.items.length, 3);
    const created = whole.items.map((item) => item.created);
    assert.deepEqual(created, [...created].sort().reverse());
    const paged: RunItem[] = [];
    for (let more = ''; ; ) {
      const page = await read<List>('/runs', `/runs?limit=1${more}`);
      paged.push(...page.items);
      if (page.continue === undefined) break;
      more = `&continue=${page.continue}`;
    }
    assert.deepEqual(uidsOf(paged), uidsOf(whole.items));
    const { items } = await read<List>('/runs/{namespace}', `/runs/${world.namespace}?phase=failed`);
    assert.deepEqual(
      items.map(({ name }) => name),
      [failed.name],
    );
  });

  it('run 7, 42: an event id is waited for, a page has its tag, and events end with the run', async () => {
    const eventId = `event-${world.namespace}`;
    const waiting = world.gateway.get(`/runs?eventId=${eventId}&wait=300`);
    const name = `green-${eventId}`;
    await world.run('green', { name });
    const events = await world.gateway.stream(`/runs/${world.namespace}/${name}/events`);
    const found = await waiting;
    assert.deepEqual(
      found.json<List>().items.map((item) => item.name),
      [name],
    );
    assert.equal(await events.ended(), 'complete');
    assert.match(events.text(), /\nevent: end\n.*"phase":"succeeded"/);
    // Tekton may have something to add to a run that is over.
    await eventually(async () => {
      const page = await world.gateway.get('/runs?phase=succeeded');
      const same = await world.gateway.get('/runs?phase=succeeded', {
        headers: { 'if-none-match': page.headers.etag ?? '' },
      });
      assert.equal(same.status, 304);
    });
  });
});
