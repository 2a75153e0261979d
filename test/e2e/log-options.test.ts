/** What callers of /logs can ask for, on real runs. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { checkout, type Gateway, type LiveAnswer } from '../support/gateway.ts';
import { assertSameAsKubelet, linesFrom, sourcesIn } from '../support/log-text.ts';
import { startWorld, type World } from '../support/world.ts';

/** An object of ndjson, as far as tests look at it. */
interface Said {
  readonly type: string;
  readonly line?: string;
  readonly task?: string;
  readonly step?: string;
  readonly cursor?: string;
  readonly complete?: boolean;
  readonly awaiting?: string;
}

/** The whole objects in an answer, the last of which may still be on its way. */
function saidIn(text: string): Said[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** The same of server-sent events: each with its data and its id. */
function eventsIn(text: string): (Said & { readonly id: string | undefined })[] {
  return text
    .slice(0, text.lastIndexOf('\n\n') + 2)
    .split('\n\n')
    .flatMap((event) => {
      const data = /^data: (.*)$/m.exec(event)?.[1];
      return data === undefined ? [] : [{ ...JSON.parse(data), id: /^id: (.*)$/m.exec(event)?.[1] }];
    });
}

/** A run of one task with these steps. */
function runOf(name: string, ...scripts: readonly string[]): string {
  const steps = scripts.map(
    (script, at) => `
          - name: s${at + 1}
            image: docker.io/library/busybox:1
            imagePullPolicy: IfNotPresent
            script: |
              #!/bin/sh
${script.replace(/^/gm, '              ')}`,
  );
  return `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: { name: ${name} }
spec:
  pipelineSpec:
    tasks:
      - name: work
        taskSpec:
          steps:${steps.join('')}
`;
}

describe('what callers of /logs can ask for', function () {
  this.timeout(600_000);
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world?.end());

  it('run 35: silence is broken by a sign of life, never within a line', async () => {
    const run = await world.run(runOf('silent', "echo before\nsleep 20\nprintf 'half a '\nsleep 5\necho line"));
    const answers = await Promise.all(
      ['ndjson', 'sse', 'text'].map((format) =>
        world.gateway.stream(`/logs/${run}?format=${format}&heartbeat=2&color=never&wait=30`),
      ),
    );
    for (const answer of answers) assert.equal(await answer.ended(), 'complete');
    const [ndjson = '', sse = '', text = ''] = answers.map((answer) => answer.text());
    const lines = ({ type, line }: Said) => (type === 'log' ? (line ?? '') : []);
    assert.deepEqual(saidIn(ndjson).flatMap(lines), ['before', 'half a line']);
    assert.ok(
      saidIn(ndjson).filter(({ type, awaiting }) => type === 'heartbeat' && awaiting === 'task work, step s1').length >=
        2,
    );
    assert.deepEqual(eventsIn(sse).flatMap(lines), ['before', 'half a line']);
    assert.ok((sse.match(/^:$/gm) ?? []).length >= 2);
    assert.match(text, /\[work : s1\] before\n(\[gateway\] waiting for task work, step s1\n){2,}/);
    assert.match(text, /\[work : s1\] half a line\n/);
  });

  it('run 29: what a sidecar said before it was stopped is shown, and the stream ends', async () => {
    // What it says is read while it runs: a second later its container may be another, and its log gone.
    const manifest = await readFile(`${checkout}test/cluster/runs/sidecar.yaml`, 'utf8');
    const run = await world.run(manifest.replace('sleep 2\n', 'sleep 20\n'));
    const log = await world.gateway.stream(`/logs/${run}?color=never&include=sidecar&wait=30`);
    assert.equal(await log.ended(), 'complete');
    assert.match(log.text(), /\[build : sidecar-registry\] serving\n/);
    assert.match(log.text(), /\[build : compile\] compiling\n/);
    assert.equal(log.trailers['x-run-status'], 'True');
    const steps = await world.gateway.get(`/logs/${run}?color=never`);
    assert.deepEqual(sourcesIn(steps.body), ['build : compile']);
  });

  it('run 19, 20: attempts, tasks, steps, tails and orders are chosen as asked', async () => {
    const run = await world.run('everything');
    await world.finished(run);
    const get = (query: string) => world.gateway.get(`/logs/${run}?color=never&${query}`);
    const attempts = await Promise.all(
      [1, 2].map(async (number) => linesFrom((await get(`task=flaky&attempt=${number}`)).body, 'flaky : try')),
    );
    assert.deepEqual(attempts.map(String), ['attempt 0', 'attempt 1']);
    const tail = (await get('tail=2&task=build')).body;
    assert.deepEqual(linesFrom(tail, 'build : fetch').map(String), ['299', '300']);
    assert.equal(linesFrom(tail, 'build : compile').length, 2);
    const failed = (await get('failed=true&notices=none')).body;
    assert.deepEqual(sourcesIn(failed), []);
    const spec = sourcesIn((await get('order=spec')).body).map((source) => source.split(/[- ]/)[0]);
    assert.deepEqual([...new Set(spec)], ['build', 'flaky', 'check', 'deploy', 'report']);
    const timed = (await get('order=time&timestamps=true')).text.matchAll(/^(\[[^\]]+\]) (20\S+Z)/gm);
    // The runtime stamps what a container says on its two streams by itself, now and then in the other order: lines of one
    // container keep theirs, and count from the latest of them.
    const latest = new Map<string, string>();
    const stamps = [...timed].map(([, source = '', stamp = '']) => {
      const before = latest.get(source) ?? '';
      const counts = stamp > before ? stamp : before;
      latest.set(source, counts);
      return counts;
    });
    assert.deepEqual(stamps, stamps.toSorted());
    const pods = await world.pods(run);
    assert.ok(stamps.length > 400 && pods.length === 7, `${stamps.length} lines of ${pods.length} pods`);
    const init = sourcesIn((await get('task=build&include=init')).body);
    assert.ok(init.includes('build : fetch'), init.join());
  });

  it('failed=true shows the failing step alone', async () => {
    const run = await world.run('failing-step');
    await world.finished(run);
    const { body } = await world.gateway.get(`/logs/${run}?color=never&failed=true`);
    assert.deepEqual(sourcesIn(body), ['build : kill']);
  });

  it('limitBytes: pieces of a log, each gone on with by its cursor, are the whole', async () => {
    const run = await world.run('everything');
    await world.finished(run);
    const lines: string[] = [];
    let cursor = '';
    let pieces = 0;
    for (let complete = 'false'; complete !== 'true'; pieces++) {
      assert.ok(pieces < 50);
      const { text, trailers } = await world.gateway.get(
        `/logs/${run}?color=never&prefix=none&notices=none&task=build&limitBytes=500${cursor}`,
      );
      lines.push(...text.split('\n').filter((line) => line !== ''));
      complete = trailers['x-log-complete'] ?? '';
      cursor = `&cursor=${trailers['x-log-cursor']}`;
    }
    assert.ok(pieces > 2);
    const whole = await world.gateway.get(`/logs/${run}?color=never&prefix=none&task=build`);
    assert.deepEqual(
      lines,
      whole.text.split('\n').filter((line) => line !== ''),
    );
  });

  it('/taskruns: the log of one TaskRun, of a run or standing alone', async () => {
    const run = await world.run('green');
    await world.finished(run);
    const [pod] = await world.pods(run);
    const taskRun = pod?.metadata.labels?.['tekton.dev/taskRun'] ?? '';
    const one = await world.gateway.get(`/taskruns/${world.namespace}/${taskRun}/logs?color=never`);
    assert.equal(one.status, 200, one.text);
    assert.equal(new Set(sourcesIn(one.body).map((source) => source.split(' ')[0])).size, 1);
    assert.deepEqual([one.trailers['x-run-status'], one.trailers['x-log-complete']], ['True', 'true']);
    await world.apply(`
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: { name: alone }
spec:
  taskSpec:
    steps: [{ name: say, image: docker.io/library/busybox:1, imagePullPolicy: IfNotPresent, script: "echo alone" }]
`);
    const alone = await world.gateway.stream('/taskruns/alone/logs?color=never&wait=30');
    assert.equal(await alone.ended(), 'complete');
    assert.match(alone.text(), /^\[alone : say\] alone\n/);
    assert.equal((await world.gateway.get('/taskruns/nobody/logs')).status, 404);
  });

  it('a log that went with its pod is read where such logs are kept', async () => {
    const asked: string[] = [];
    const keeper = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end('working\nkept elsewhere\n');
    }).listen(0, '127.0.0.1');
    await once(keeper, 'listening');
    const { port } = keeper.address() as AddressInfo;
    const gateway = await world.startGateway({ env: { EXTERNAL_LOGS_URL: `http://127.0.0.1:${port}/logs` } });
    try {
      const run = await world.run('green');
      await world.finished(run);
      const pod = await world.podOf(run, 'build');
      await world.admin.remove(`/api/v1/namespaces/${world.namespace}/pods/${pod.metadata.name}`);
      await eventually(
        async () => assert.ok(!(await world.pods(run)).some(({ metadata }) => metadata.name === pod.metadata.name)),
        { withinMs: 240_000 },
      );
      await eventually(async () => {
        const { body, trailers } = await gateway.get(`/logs/${run}?color=never&task=build`);
        assert.deepEqual(linesFrom(body, 'build : compile').map(String), ['working', 'kept elsewhere']);
        assert.equal(trailers['x-log-complete'], 'true');
      });
      const path = `/logs/${world.namespace}/${pod.metadata.name}/step-compile?startTime=`;
      assert.ok(
        asked.some((url) => url.startsWith(path)),
        asked.join(),
      );
    } finally {
      await gateway.stop();
      keeper.close();
    }
  });
});

describe('a client that comes back to another process', function () {
  this.timeout(600_000);
  let world: World;
  let env: Readonly<Record<string, string>>;
  before(async () => {
    world = await startWorld({ gateway: false });
    env = { CURSOR_KEY_FILE: join(world.folder, 'cursor-key') };
    await writeFile(env.CURSOR_KEY_FILE ?? '', randomBytes(32));
  });
  after(() => world?.end());

  /** Follows a run to its end, over processes of which the first ones are killed as soon as they have sent something. */
  async function overKills(
    kills: number,
    open: (gateway: Gateway, cursor: string | undefined) => Promise<LiveAnswer>,
    read: (text: string) => readonly Said[],
  ): Promise<Said[]> {
    const all: Said[] = [];
    let cursor: string | undefined;
    for (let life = 0; all.at(-1)?.type !== 'end'; life++) {
      const gateway = await world.startGateway({ env });
      const log = await open(gateway, cursor);
      assert.equal(log.status, 200, log.text());
      const hasSome = () => {
        const said = read(log.text());
        // Under load a process may send all that is left at once.
        assert.ok(said.at(-1)?.type === 'end' || said.filter(({ type }) => type === 'log').length >= 20);
      };
      if (life < kills) await eventually(hasSome, { withinMs: 240_000 });
      if (life < kills) await gateway.stop('SIGKILL');
      await log.ended();
      await gateway.stop();
      const said = read(log.text());
      all.push(...said);
      cursor = said.findLast(({ type }) => type === 'log' || type === 'end')?.cursor ?? cursor;
    }
    assert.equal(all.at(-1)?.complete, true);
    return all;
  }

  for (const { format, read } of [
    { format: 'ndjson', read: saidIn },
    { format: 'sse', read: eventsIn },
  ] as const) {
    it(`run 37: killed in the middle of a stream, three times, ${format} goes on exactly where it was`, async () => {
      const run = await world.run('parallel');
      const said = await overKills(
        3,
        (gateway, cursor) =>
          format === 'sse'
            ? gateway.stream(`/logs/${run}?wait=60`, {
                headers: { Accept: 'text/event-stream', ...(cursor === undefined ? {} : { 'Last-Event-ID': cursor }) },
              })
            : gateway.stream(`/logs/${run}?format=ndjson&wait=60${cursor === undefined ? '' : `&cursor=${cursor}`}`),
        read,
      );
      for (const task of ['left', 'right']) {
        const want = Array.from({ length: 250 }, (_, at) => `${task} ${at + 1} of 250`);
        const got = said.flatMap((one) => (one.type === 'log' && one.task === task ? (one.line ?? '') : []));
        assert.deepEqual(got, want);
      }
    });
  }

  it('run 37: text goes on with the cursor of its trailer, and a cursor of another key is refused', async () => {
    const run = await world.run('ticking', { params: { count: '60', pause: '0.5' } });
    const gateway = await world.startGateway({ env });
    const first = await gateway.stream(`/logs/${run}?color=never&wait=60`);
    await eventually(() => assert.match(first.text(), /tick 3\n/), { withinMs: 240_000 });
    const exit = gateway.stop();
    assert.equal(await first.ended(), 'complete');
    await exit;
    const cursor = first.trailers['x-log-cursor'];
    const [next, stranger] = await Promise.all([world.startGateway({ env }), world.startGateway()]);
    const second = await next.stream(`/logs/${run}?color=never&cursor=${cursor}`);
    assert.equal(await second.ended(), 'complete');
    const pod = (await world.pods(run))[0]?.metadata.name ?? '';
    await assertSameAsKubelet(world, Buffer.concat([first.bytes(), second.bytes()]), 'clock : tick', [
      { pod, container: 'step-tick' },
    ]);
    const refused = await stranger.get(`/logs/${run}?cursor=${cursor}`);
    assert.equal(refused.status, 400);
    assert.match(refused.text, /option cursor was made by another server/);
    await Promise.all([next.stop(), stranger.stop()]);
  });
});
