/** Logs that are long, lines that are long, clients that are slow, many clients of one log, and logs that have moved. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../support/eventually.ts';
import { on, type WireFault } from '../support/fault-proxy.ts';
import { checkout, type Gateway } from '../support/gateway.ts';
import { assertSameAsKubelet, linesFrom } from '../support/log-text.ts';
import { startWorld, type World } from '../support/world.ts';

/** A run of one task, whose only step is this script. */
const step = (name: string, script: string) => `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: { name: ${name} }
spec:
  pipelineSpec:
    tasks:
      - name: write
        taskSpec:
          steps:
            - name: say
              image: docker.io/library/busybox:1
              script: |
                ${script}
`;

const MEGABYTE = 1_000_000;

describe('logs that are long, or shared, or not where they were', function () {
  this.timeout(600_000);
  let world: World;
  before(async () => {
    world = await startWorld({ faults: true, wholeLogs: true });
  });
  afterEach(() => world?.faults.lift());
  after(() => world?.end());

  async function podName(run: string): Promise<string> {
    return (await world.pods(run))[0]?.metadata.name ?? '';
  }

  /** Asks for `path` and resolves with the answer, which waits to be read. */
  async function open({ url, credentials }: Gateway, path: string): Promise<IncomingMessage> {
    const { username, password } = credentials;
    const request = get(url + path, { auth: `${username}:${password}`, agent: false });
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    return answer;
  }

  /** How many log streams rungate has open at the API server. */
  const following = (run: string) =>
    world.faults.matching(on.follow(run)).filter(({ end, status }) => end === undefined && status === 200).length;

  it('run 11, 31: lines of many records, cut within records and between them, are the bytes that were written', async () => {
    const lengths = [65_537, 16_384, 5 * 1024 * 1024, 100, 40_000, 2 * 1024 * 1024, 1024 * 1024, 1];
    const script = lengths
      .map((length, at) => `head -c ${length} /dev/zero | tr '\\0' '${'abcdefgh'[at]}'; echo; sleep 0.3`)
      .join('; ');
    for (let cut = 1; cut <= 8; cut++) {
      const how = (['unfinished', 'reset', 'clean'] as const)[cut % 3] ?? 'reset';
      const fault: WireFault = { kind: 'cut', at: { bytes: cut * 150_007 }, how };
      world.faults.add({ on: on.follow(), fault, times: 1 });
    }
    // A busy kubelet tells late that a container runs; the log of one that is over is not followed, and so not cut.
    const run = await world.run(step('records', `sleep 20; ${script}`));
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    assert.equal(await log.ended(), 'complete');
    await assertSameAsKubelet(world, log.bytes(), 'write : say', [{ pod: await podName(run), container: 'step-say' }]);
    assert.deepEqual(
      linesFrom(log.bytes(), 'write : say').map((line) => line.length),
      lengths,
    );
    assert.equal(log.trailers['x-log-complete'], 'true');
    assert.ok(world.faults.matching(on.follow(run)).filter(({ fault }) => fault === 'cut').length >= 3);
  });

  it('run 14: a stream that goes silent while lines are written is noticed beside it, and nothing is lost', async () => {
    const gateway = await world.startGateway({ env: { STALL_SECONDS: '2' } });
    world.faults.add({ on: on.follow(), fault: { kind: 'stall', at: { lines: 5, into: 9 } }, times: 1 });
    const run = await world.run('ticking', { params: { count: '40' } });
    const log = await gateway.stream(`/logs/${run}?color=never&wait=30`);
    await eventually(() => assert.match(log.text(), /tick 7\n/), { withinMs: 240_000 });
    assert.ok((await gateway.metric('rungate_log_resumes_total{reason="stall"}')) >= 1);
    assert.equal(await log.ended(), 'complete');
    await assertSameAsKubelet(world, log.bytes(), 'clock : tick', [
      { pod: await podName(run), container: 'step-tick' },
    ]);
    assert.equal(log.trailers['x-log-complete'], 'true');
    assert.doesNotMatch(log.text(), /missing/);
    await gateway.stop();
  });

  it('run 14: a stream that is silent because nothing is written is left alone', async () => {
    const gateway = await world.startGateway({ env: { STALL_SECONDS: '1' } });
    const run = await world.run(step('silent', 'echo before; sleep 12; echo after'));
    const log = await gateway.stream(`/logs/${run}?color=never&wait=30`);
    assert.equal(await log.ended(), 'complete');
    assert.equal(log.trailers['x-log-complete'], 'true');
    assert.deepEqual(linesFrom(log.bytes(), 'write : say').map(String), ['before', 'after']);
    assert.equal(await gateway.metric('rungate_log_resumes_total{reason="stall"}'), 0);
    await gateway.stop();
  });

  it('fifty who follow one step share one stream from the API server, and each reads all of it', async () => {
    // Long enough for all to be looked at together while it goes on.
    const run = await world.run('ticking', { params: { count: '40' } });
    const pod = await eventually(async () => {
      const name = await podName(run);
      assert.notEqual(name, '');
      return name;
    });
    const logs = await Promise.all(
      Array.from({ length: 50 }, () => world.gateway.stream(`/logs/${run}?color=never&wait=30`)),
    );
    await eventually(
      () => {
        for (const log of logs) assert.match(log.text(), /tick 6\n/);
        assert.equal(following(run), 1);
      },
      { withinMs: 240_000 },
    );
    await eventually(async () => assert.equal(await world.gateway.metric('rungate_open{what="log_upstreams"}'), 1));
    for (const log of logs) {
      assert.equal(await log.ended(), 'complete');
      await assertSameAsKubelet(world, log.bytes(), 'clock : tick', [{ pod, container: 'step-tick' }]);
      assert.equal(log.trailers['x-log-complete'], 'true');
    }
    await eventually(async () => assert.equal(await world.gateway.metric('rungate_open{what="log_upstreams"}'), 0));
    await eventually(() => assert.equal(following(run), 0));
  });

  it('run 33: a client that reads 10 KB/s of 100 MB costs less than 2 MiB, and others keep their order', async () => {
    const gateway = await world.startGateway({ env: { NODE_OPTIONS: `--import ${checkout}test/support/collect.ts` } });
    const count = 1_000_000;
    const run = await world.run(step('plenty', `yes "$(printf '%099d' 7)" | head -n ${count}`));
    await world.finished(run);
    const path = `/logs/${run}?color=never&prefix=none&follow=false`;
    /** What the process holds when its garbage has been collected. */
    const heldBytes = async (): Promise<number> => {
      process.kill(gateway.pid, 'SIGUSR2');
      const heap = await gateway.metric('nodejs_heap_size_used_bytes');
      return heap + (await gateway.metric('nodejs_external_memory_bytes'));
    };
    const fast = await open(gateway, path);
    let readBytes = 0;
    for await (const chunk of fast as AsyncIterable<Buffer>) readBytes += chunk.length;
    assert.ok(readBytes >= 100 * MEGABYTE, 'who keeps up gets all of it');
    const ticking = await world.run('ticking', { params: { count: '15' } });
    const other = await gateway.stream(`/logs/${ticking}?color=never&wait=30`);
    await eventually(() => assert.match(other.text(), /tick 2\n/), { withinMs: 240_000 });
    await heldBytes();
    const steadyBytes = await heldBytes();
    const slow = await open(gateway, path);
    let slowBytes = 0;
    const grown: number[] = [];
    while (other.state === 'open') {
      const piece: Buffer | null = slow.read(Math.min(2_500, slow.readableLength));
      slowBytes += piece?.length ?? 0;
      grown.push((await heldBytes()) - steadyBytes);
      await sleep(250);
    }
    assert.equal(other.state, 'complete', 'another client comes to its end meanwhile');
    await assertSameAsKubelet(world, other.bytes(), 'clock : tick', [
      { pod: await podName(ticking), container: 'step-tick' },
    ]);
    assert.ok(slowBytes > 0 && slowBytes < MEGABYTE, `it has taken ${slowBytes} bytes`);
    slow.destroy();
    // Between a collection and its sample new garbage can come: half of the samples are without.
    const typical = grown.toSorted((a, b) => a - b)[grown.length >> 1] ?? 0;
    assert.ok(typical < 2 * 1024 * 1024, `grown from ${steadyBytes} by ${grown}`);
    await gateway.stop();
  });

  it('run 29: a sidecar that was stopped is read from its run before, or said to be missing, and its replacement never', async () => {
    const run = await world.run('sidecar');
    await world.finished(run);
    await eventually(
      async () => {
        const [pod] = await world.pods(run);
        const sidecar = pod?.status.containerStatuses?.find(({ name }) => name === 'sidecar-registry');
        assert.equal(sidecar?.restartCount, 1);
        assert.ok(sidecar?.state.terminated);
      },
      { withinMs: 240_000 },
    );
    // That it was replaced the gateway may have yet to hear.
    await eventually(async () => {
      const log = await world.gateway.get(`/logs/${run}?color=never&include=sidecar`);
      const lines = linesFrom(log.body, 'build : sidecar-registry').map(String);
      // A kubelet keeps one ended container of a pod at most, and not for long.
      const isKept = lines.length > 0;
      assert.deepEqual(lines, isKept ? ['serving'] : []);
      assert.equal(log.trailers['x-log-complete'], String(isKept));
      assert.match(log.text, isKept ? /serving/ : /\[gateway\] \[build : sidecar-registry\] /);
      assert.deepEqual(linesFrom(log.body, 'build : compile').map(String), ['compiling']);
    });
  });

  it('the logs of pods that are gone come from the server that keeps them, and its troubles are told', async () => {
    const asked: string[] = [];
    const keeper = createServer((request, response) => {
      const path = decodeURIComponent(request.url ?? '');
      asked.push(path);
      assert.equal(request.headers.authorization, undefined);
      if (path.includes('-test-')) response.writeHead(500).end('the stack of the keeper');
      else response.end(`kept of ${path.split('?')[0]?.split('/').at(-1)}\n`);
    }).listen(0, '127.0.0.1');
    await once(keeper, 'listening');
    const { port } = keeper.address() as AddressInfo;
    const gateway = await world.startGateway({ env: { EXTERNAL_LOGS_URL: `http://127.0.0.1:${port}/logs` } });
    try {
      const run = await world.run('green');
      await world.finished(run);
      const pods = await world.pods(run);
      for (const { metadata } of pods) {
        await world.admin.remove(`/api/v1/namespaces/${world.namespace}/pods/${metadata.name}`);
      }
      await eventually(async () => assert.equal((await world.pods(run)).length, 0), { withinMs: 240_000 });
      // That pods are gone the gateway may have yet to hear.
      await eventually(async () => {
        const log = await gateway.get(`/logs/${run}?color=never`);
        assert.match(log.text, /^\[\S+ : \S+\] kept of step-/m);
        assert.doesNotMatch(log.text, /stack of the keeper/);
        assert.equal(log.trailers['x-log-complete'], 'false');
        assert.match(log.text, /\[gateway\] \[test : unit\] the server that keeps logs of deleted pods answers 500/);
      });
      for (const path of asked) {
        assert.match(path, new RegExp(`^/logs/${world.namespace}/${run}-`), 'only pods of the run are asked for');
        assert.match(path, /\?startTime=\d{4}-.*&completionTime=\d{4}-/);
      }
    } finally {
      await gateway.stop();
      keeper.close();
      keeper.closeAllConnections();
    }
  });
});
