/** What one client can do to the others, with real sockets: too many, too slow, too long, and gone in the middle. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../support/eventually.ts';
import type { Gateway } from '../support/gateway.ts';
import { startWorld, type World } from '../support/world.ts';

/** A run that prints eight megabytes: more than the sockets between it and a client that does not read can hold. */
const LARGE = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: large
spec:
  pipelineSpec:
    tasks:
      - name: print
        taskSpec:
          steps:
            - name: lines
              image: docker.io/library/busybox:1
              script: |
                #!/bin/sh
                head -c 8000000 /dev/zero | tr '\\\\0' x | fold -w 1000
                echo
                echo done
`;

describe('limits', function () {
  this.timeout(600_000);
  let world: World;
  let gateway: Gateway;
  let ticking: string;
  let large: string;
  let authorization: string;

  before(async () => {
    world = await startWorld({ faults: true, gateway: false });
    gateway = await world.startGateway({
      env: {
        MAX_STREAMS: '40',
        MAX_WAITERS: '5',
        MAX_CONNECTIONS: '200',
        MAX_HEADER_BYTES: '8192',
        MAX_URL_BYTES: '2048',
        // Longer than a busy machine lies between a connection and what is sent on it.
        HEADER_SECONDS: '8',
        IDLE_SECONDS: '2',
        SLOW_CLIENT_SECONDS: '2',
        LOG_LEVEL: 'info',
      },
    });
    const { username, password } = gateway.credentials;
    authorization = `Authorization: Basic ${Buffer.from(`${username}:${password}`).toString('base64')}\r\n`;
    ticking = await world.run('ticking', { params: { count: '3600', pause: '1' } }); // longer than all of this takes
    large = await world.run(LARGE);
    await Promise.all([world.podOf(ticking, 'clock'), world.finished(large)]);
  });
  after(() => world?.end());

  /** A connection whose troubles are the test's to look at. */
  async function opened(url = gateway.url): Promise<Socket> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  }
  /** A client that asks for a long log and reads none of it. */
  async function deaf({ url }: Gateway): Promise<Socket> {
    const socket = await opened(url);
    socket.pause();
    socket.write(headOf(`/logs/${large}`));
    return socket;
  }
  const closed = (socket: Socket) =>
    socket.destroyed ? Promise.resolve() : new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const heard = (socket: Socket) => new Promise<void>((resolve) => socket.once('data', () => resolve()));
  const open = (what: string) => gateway.metric(`rungate_open{what="${what}"}`);
  /** The whole answer to what is written on a connection of its own. */
  async function answerTo(bytes: string): Promise<string> {
    const socket = await opened();
    socket.write(bytes);
    return text(socket).catch(() => '');
  }
  const headOf = (path: string) => `GET ${path} HTTP/1.1\r\nHost: rungate\r\n${authorization}\r\n`;

  it('run 34: a client that stops reading is dropped, the log says so, and others keep their lines', async () => {
    const other = await gateway.stream(`/logs/${ticking}?color=never`);
    const socket = await deaf(gateway);
    await eventually(() => assert.match(gateway.log(), /a log stream was dropped/), { withinMs: 240_000 });
    await eventually(async () => assert.equal(await open('streams'), 1));
    assert.equal(await gateway.metric('rungate_log_streams_total{outcome="dropped"}'), 1);
    const soFar = other.bytes().length;
    await eventually(() => assert(other.bytes().length > soFar), { withinMs: 90_000 });
    assert.equal(other.state, 'open');
    other.close();
    socket.destroy();
    await eventually(async () => assert.equal(await open('streams'), 0));
  });

  it('run 34: a client that hangs up leaves nothing open towards Kubernetes', async () => {
    const before = await open('kubernetes streams'); // the watches
    const log = await gateway.stream(`/logs/${ticking}?color=never`);
    await eventually(() => assert.match(log.text(), /tick/));
    const withStream = world.faults.upstreamSockets();
    log.close();
    await eventually(() => assert(world.faults.upstreamSockets() < withStream), { everyMs: 20 });
    await eventually(async () => assert((await open('kubernetes streams')) <= before));
  });

  it('run 34: after a thousand clients that came and went everything is back where it was', async () => {
    // What others before it have closed must not be counted, nor what is open only at this moment.
    const before = await eventually(
      async () => {
        const now = await levels();
        assert.deepEqual([now.streams, now.places, now.waiters, now.connections], [0, 0, 0, 0]);
        await sleep(500);
        const { timers, upstream } = now;
        assert.deepEqual({ ...(await levels()), timers, upstream }, now);
        return now;
      },
      { withinMs: 90_000 },
    );
    for (let round = 0; round < 50; round++) {
      const sockets = await Promise.all(Array.from({ length: 20 }, () => opened()));
      // Most follow the log, some wait for a change; in two rounds of three they get to hear something.
      for (const [place, socket] of sockets.entries()) {
        socket.write(headOf(place % 5 === 4 ? `/status/${ticking}?wait=60` : `/logs/${ticking}`));
      }
      if (round % 3 > 0)
        await Promise.all(sockets.slice(0, 4).map((socket) => Promise.race([heard(socket), closed(socket)])));
      for (const [place, socket] of sockets.entries()) {
        if (place % 2 === 0) socket.destroy();
        else socket.resetAndDestroy();
      }
    }
    await eventually(
      async () => {
        const { timers, upstream, ...open } = await levels();
        const { timers: timersBefore, upstream: upstreamBefore, ...openBefore } = before;
        assert.deepEqual(open, openBefore);
        // Each client had several of either.
        assert(timers < timersBefore + 20, `${timers} timers, ${timersBefore} before`);
        assert(upstream < upstreamBefore + 20, `${upstream} sockets, ${upstreamBefore} before`);
      },
      { withinMs: 120_000, everyMs: 250 },
    );
  });

  /** What is open and what is timed, as /metrics has it. */
  async function levels() {
    const page = await gateway.metrics();
    const value = (series: string) => {
      const line = page.split('\n').find((each) => each.startsWith(`${series} `));
      return Number(line?.slice(series.length) ?? 0);
    };
    return {
      streams: value('rungate_log_streams_open'),
      places: value('rungate_open{what="streams"}'),
      waiters: value('rungate_open{what="waiters"}'),
      connections: value('rungate_open{what="connections"}'),
      kubernetes: value('rungate_open{what="kubernetes streams"}'),
      timers: value('nodejs_active_resources{type="Timeout"}'),
      upstream: world.faults.upstreamSockets(),
    };
  }

  it('run 44: one stream more than MAX_STREAMS is 429 with Retry-After, and the others go on', async () => {
    const streams = await Promise.all(
      Array.from({ length: 40 }, () => gateway.stream(`/logs/${ticking}?color=never&tail=1`)),
    );
    assert(streams.every(({ status }) => status === 200));
    const refused = await gateway.get(`/logs/${ticking}`);
    assert.equal(refused.status, 429);
    assert.equal(refused.headers['retry-after'], '5');
    assert.deepEqual(Object.keys(refused.json<object>()), ['error', 'code', 'requestId']);
    assert.equal((await gateway.get(`/status/${ticking}?pending=202`)).status, 202);
    const soFar = streams.map((stream) => stream.bytes().length);
    await eventually(
      () => {
        for (const [place, stream] of streams.entries()) assert(stream.bytes().length > (soFar[place] ?? 0));
      },
      { withinMs: 90_000 },
    );
    streams[0]?.close();
    await eventually(async () => assert.equal(await open('streams'), 39));
    const next = await gateway.stream(`/logs/${ticking}?tail=1`);
    assert.equal(next.status, 200);
    for (const stream of [...streams, next]) stream.close();
    await eventually(async () => assert.equal(await open('streams'), 0));
  });

  it('run 44: one wait more than MAX_WAITERS is 429, and those who wait go on waiting', async () => {
    const waiting = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const socket = await opened();
        socket.write(headOf(`/status/${ticking}?wait=300`));
        return socket;
      }),
    );
    await eventually(async () => assert.equal(await open('waiters'), 5));
    const refused = await gateway.get(`/status/${ticking}?wait=60`);
    assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '5']);
    assert(waiting.every((socket) => !socket.destroyed && socket.bytesRead === 0));
    for (const socket of waiting) socket.destroy();
    await eventually(async () => assert.equal(await open('waiters'), 0));
  });

  const tooMuch = [
    {
      name: 'a head beyond MAX_HEADER_BYTES',
      bytes: `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(10_000)}\r\n\r\n`,
      status: 431,
    },
    { name: 'headers without number', bytes: `GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(2_000)}`, status: 431 },
    {
      name: 'a path beyond MAX_URL_BYTES',
      bytes: () => headOf(`/status/${'a'.repeat(3_000)}`),
      status: 414,
      goesOn: true,
    },
    {
      name: 'a long body',
      bytes: () => headOf('/ready').replace('\r\n\r\n', `\r\nContent-Length: 1000000000\r\n\r\n${'x'.repeat(100_000)}`),
      status: 413,
    },
    { name: 'what is not HTTP', bytes: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', status: 400 },
  ];
  for (const { name, bytes, status, goesOn = false } of tooMuch) {
    it(`${name} is ${status}, in JSON`, async () => {
      const request = typeof bytes === 'string' ? bytes : bytes();
      const answer = await answerTo(goesOn ? request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n') : request);
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      assert.match(head, new RegExp(`^HTTP/1.1 ${status} `), answer.slice(0, 300));
      assert.match(head, /^Content-Type: application\/json/m);
      assert.equal(typeof JSON.parse(body).error, 'string');
    });
  }

  it('a head that comes byte by byte is cut off after HEADER_SECONDS, and a connection that says nothing too', async () => {
    const [slow, silent] = [await opened(), await opened()];
    let got = '';
    slow.on('data', (chunk) => {
      got += String(chunk);
    });
    silent.resume();
    slow.write('GET /health HTTP/1.1\r\nHost: a\r\n');
    const dripping = setInterval(() => slow.write('X: y\r\n'), 200);
    await Promise.all([closed(slow), closed(silent)]);
    clearInterval(dripping);
    assert.match(got, /^HTTP\/1.1 408 Request Timeout\r\n/);
    assert.match(got, /"error":"the request came too slowly"/);
  });

  it('slow connections leave room for others, and end; more than MAX_CONNECTIONS are closed', async () => {
    const sockets = await Promise.all(Array.from({ length: 190 }, () => opened()));
    for (const socket of sockets) socket.resume().write('GET / HTTP/1.1\r\nX: ');
    assert.equal((await gateway.get('/health')).status, 200);
    const more = await Promise.all(Array.from({ length: 50 }, () => opened()));
    await eventually(() => assert(more.filter((socket) => socket.destroyed).length >= 30));
    await eventually(() => assert.match(gateway.log(), /as many as MAX_CONNECTIONS allows are open/));
    await Promise.all(sockets.map(closed));
    for (const socket of more) socket.destroy();
    await eventually(async () => assert.equal((await gateway.get('/health')).status, 200));
  });

  it('a connection that is idle is closed after IDLE_SECONDS', async () => {
    const socket = await opened();
    socket.write(headOf('/ready'));
    await once(socket, 'data');
    await closed(socket);
  });

  it('thousands of requests ahead of their answers end their connection, and nothing else', async () => {
    const socket = await opened();
    socket.resume();
    socket.write(headOf(`/status/${ticking}?wait=60`).repeat(10_000));
    await closed(socket);
    await eventually(async () => assert.equal(await open('waiters'), 0));
    assert((await gateway.metric('rungate_limited_total{limit="requests ahead"}')) >= 1);
    assert.equal((await gateway.get('/ready')).status, 200);
  });

  it('run 38: after SIGTERM streams end with a notice within the drain time, and new ones are 503', async () => {
    const ending = await world.startGateway({ env: { DRAIN_SECONDS: '120' } });
    const logs = await Promise.all(Array.from({ length: 10 }, () => ending.stream(`/logs/${ticking}?color=never`)));
    await eventually(() => assert(logs.every((log) => /tick/.test(log.text()))), { withinMs: 90_000 });
    // Somebody who takes nothing, once every buffer is full, keeps the process from ending before the test has looked.
    world.faults.forget();
    const socket = await deaf(ending);
    let before = 0;
    let quiet = 0;
    await eventually(
      () => {
        const read = world.faults.requests.filter(({ path }) => path.endsWith('/log'));
        const now = read.reduce((sum, { bytes }) => sum + bytes, 0);
        quiet = now > 1_000_000 && now === before ? quiet + 1 : 0;
        before = now;
        assert(quiet >= 6, `${now} bytes were read`);
      },
      { withinMs: 240_000, everyMs: 500 },
    );
    const waits = ending.get(`/status/${ticking}?wait=60`);
    await eventually(async () => assert.equal(await ending.metric('rungate_open{what="waiters"}'), 1));
    const exit = ending.stop('SIGTERM');
    for (const log of logs) {
      assert.equal(await log.ended(), 'complete');
      assert.equal(log.trailers['x-log-complete'], 'false');
      assert.match(log.text().trimEnd().split('\n').at(-1) ?? '', /^\[gateway\] .*(again|restart|stopping|resume)/i);
    }
    const refused = [await waits, await ending.get(`/logs/${ticking}`), await ending.get(`/status/${ticking}`)];
    for (const { status, headers } of refused) {
      assert.deepEqual([status, headers['retry-after'], headers.connection], [503, '1', 'close']);
    }
    socket.destroy();
    assert.deepEqual(await exit, { code: 0, signal: null });
  });
});
