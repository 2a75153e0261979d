/** Listening on real sockets: what is refused before the app, TLS and its renewal, the port beside, and the end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { Agent, get as httpGet } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import request from 'supertest';
import { createDrain } from '../../src/gateway/drain.ts';
import { probes } from '../../src/gateway/health.ts';
import { createListener, type ListenOptions } from '../../src/gateway/server.ts';
import { silentLog } from '../../src/log.ts';
import { silentMetrics } from '../../src/metrics.ts';
import { loopbackCertificate } from '../support/certificate.ts';
import { eventually } from '../support/eventually.ts';
import { HandClock } from '../support/hand-clock.ts';

const handler: RequestListener = (_request, response) => {
  response.end('hello');
};
const letGo = new AbortController().signal;

describe('createListener', () => {
  it('finds a free port where told 0, and is gone after stop', async () => {
    const listener = createListener(options());
    await listener.start();
    const url = `http://127.0.0.1:${listener.port()}/`;
    assert.equal(await answerOf(url), 'hello');
    await listener.stop(letGo);
    await listener.stop(letGo);
    await assert.rejects(answerOf(url), { code: 'ECONNREFUSED' });
  });

  it('can be stopped before it was started', async () => {
    await createListener(options()).stop(letGo);
  });

  it('closes connections that are kept alive', async () => {
    const listener = createListener(options());
    await listener.start();
    const agent = new Agent({ keepAlive: true });
    await answerOf(`http://127.0.0.1:${listener.port()}/`, agent);
    await listener.stop(letGo);
    agent.destroy();
  });

  it('names the port and the setting when the port is taken', async () => {
    const first = createListener(options());
    await first.start();
    const port = first.port();
    await assert.rejects(createListener(options({ port })).start(), {
      name: 'Fault',
      message: `port ${port} of 127.0.0.1 is in use by another program; stop it or set PORT`,
    });
    await first.stop(letGo);
  });

  it('names HOST when it is no address of ours', async () => {
    await assert.rejects(createListener(options({ host: '192.0.2.1' })).start(), {
      message: '192.0.2.1 is no address of this machine; change HOST',
    });
  });

  it('names the flag instead where that says the address', async () => {
    const flag = '--metrics-bind-address';
    await assert.rejects(createListener(options({ host: '192.0.2.1', hostSetting: flag })).start(), {
      message: `192.0.2.1 is no address of this machine; change ${flag}`,
    });
  });

  const malformed = [
    {
      name: 'what is not HTTP',
      given: 'GARBAGE\r\n\r\n',
      status: '400 Bad Request',
      code: 'bad-request',
      error: 'this is not a valid HTTP request',
    },
    {
      name: 'two lengths',
      given: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      status: '400 Bad Request',
      code: 'bad-request',
      error: 'this is not a valid HTTP request',
    },
    {
      name: 'headers beyond measure',
      given: `GET / HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`,
      status: '431 Request Header Fields Too Large',
      code: 'headers-too-large',
      error: 'the request headers are too large',
    },
  ];
  for (const { name, given, status, code, error } of malformed) {
    it(`answers ${name} in its own words`, async () => {
      const listener = createListener(options());
      await listener.start();
      const socket = connect(listener.port(), '127.0.0.1');
      socket.write(given);
      const answer = await text(socket);
      await listener.stop(letGo);
      assert(answer.startsWith(`HTTP/1.1 ${status}\r\nConnection: close\r\n`), answer);
      assert.deepEqual(JSON.parse(answer.split('\r\n\r\n')[1] ?? ''), { error, code });
    });
  }

  it('does not write into an answer that is under way when what follows on its connection is not HTTP', async () => {
    const listener = createListener(options({ handler: (_request, response) => void response.write('first line\n') }));
    await listener.start();
    const socket = connect(listener.port(), '127.0.0.1');
    socket.on('error', () => {}); // it may be reset
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    let got = '';
    socket.on('data', (chunk) => {
      got += String(chunk);
      if (got.includes('first line')) socket.write('GARBAGE\r\n\r\n');
    });
    await once(socket, 'close');
    await listener.stop(letGo);
    assert.equal(got.match(/HTTP\/1\.1/g)?.length, 1, got);
  });
});

describe('a client that takes nothing', function () {
  this.timeout(120_000);
  const large = Buffer.alloc(32 * 1024 * 1024, 'x'); // more than all buffers on the way can hold
  const limits = { maxHeaderBytes: 16_384, headerSeconds: 15, idleSeconds: 1, slowClientSeconds: 1 };

  it('is dropped, and one that waits for an answer is not', async () => {
    const limited: string[] = [];
    const waiting: (() => void)[] = [];
    const listener = createListener(
      options({
        limits,
        metrics: { ...silentMetrics, limited: (limit) => void limited.push(limit) },
        handler: (request, response) => {
          if (request.url === '/large') response.end(large);
          else waiting.push(() => response.end('late'));
        },
      }),
    );
    await listener.start();
    const [deaf, patient] = [connect(listener.port(), '127.0.0.1'), connect(listener.port(), '127.0.0.1')];
    deaf.on('error', () => {});
    deaf.pause();
    deaf.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
    patient.write('GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await eventually(() => assert.deepEqual(limited, ['SLOW_CLIENT_SECONDS']));
    for (const answer of waiting) answer();
    assert.match(await text(patient), /late$/);
    deaf.destroy();
    await listener.stop(letGo);
  });

  it('is not one that takes little at a time, nor is an idle connection kept for it', async () => {
    // Not so near that a machine which stops for a moment makes a slow client of any.
    const patience = { ...limits, slowClientSeconds: 4 };
    const listener = createListener(
      options({ limits: patience, handler: (_request, response) => void response.end(large) }),
    );
    await listener.start();
    const socket = connect(listener.port(), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    let got = 0;
    socket.on('data', (chunk) => {
      got += chunk.length;
      socket.pause();
      setTimeout(() => socket.resume(), 12); // more than six seconds for all of it
    });
    await once(socket, 'close'); // by the server, once it was idle
    assert(got > large.length, `${got}`);
    await listener.stop(letGo);
  });
});

describe('TLS', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rungate-tls-'));
  });
  after(() => rm(folder, { recursive: true }));

  it('is spoken with the files, and takes up new ones a minute after they changed', async () => {
    const clock = new HandClock();
    const [first, second] = [await loopbackCertificate(), await loopbackCertificate()];
    const tls = await written(first);
    const listener = createListener(options({ clock, tls }));
    await listener.start();
    assert.equal(await trustIn(listener.port(), first.authority), 'trusted');
    assert.equal(await trustIn(listener.port(), second.authority), 'refused');

    await writeFile(tls.certFile, 'half a certif');
    await minute(clock);
    assert.equal(await trustIn(listener.port(), first.authority), 'trusted');

    await written(second);
    await minute(clock);
    assert.equal(await trustIn(listener.port(), second.authority), 'trusted');
    await listener.stop(letGo);
    await clock.settle();
    assert.equal(clock.sleeping, 0);
  });

  it('follows the links that Kubernetes swaps in a mounted Secret, and tells of what it cannot use', async () => {
    const clock = new HandClock();
    const reloads: string[] = [];
    const metrics = {
      ...silentMetrics,
      reload: (setting: string, how: string) => void reloads.push(`${setting} ${how}`),
    };
    const [first, second] = [await loopbackCertificate(), await loopbackCertificate()];
    const mounted = join(folder, 'mounted');
    await mkdir(mounted);
    const put = async (version: string, { certificate, key }: { certificate: string; key: string }) => {
      await mkdir(join(mounted, version));
      await writeFile(join(mounted, version, 'tls.crt'), certificate);
      await writeFile(join(mounted, version, 'tls.key'), key);
      await symlink(version, join(mounted, '..data_tmp'));
      await rename(join(mounted, '..data_tmp'), join(mounted, '..data'));
    };
    await put('..1', first);
    for (const file of ['tls.crt', 'tls.key']) await symlink(join('..data', file), join(mounted, file));
    const tls = { certFile: join(mounted, 'tls.crt'), keyFile: join(mounted, 'tls.key') };
    const listener = createListener(options({ clock, tls, metrics }));
    await listener.start();
    assert.equal(await trustIn(listener.port(), first.authority), 'trusted');
    await put('..2', { certificate: second.certificate, key: first.key }); // one of the two is not there yet
    await minute(clock);
    assert.equal(await trustIn(listener.port(), first.authority), 'trusted');
    await put('..3', second);
    await minute(clock);
    assert.equal(await trustIn(listener.port(), second.authority), 'trusted');
    assert.deepEqual(reloads, ['TLS_CERT_FILE refused', 'TLS_CERT_FILE taken']);
    await listener.stop(letGo);
  });

  it('names the settings when a file is missing or is no key', async () => {
    const tls = await written(await loopbackCertificate());
    await assert.rejects(createListener(options({ tls: { ...tls, keyFile: '/nowhere' } })).start(), {
      message: /^the TLS files cannot be read \(.*\/nowhere.*\); see TLS_CERT_FILE and TLS_KEY_FILE$/,
    });
    await assert.rejects(createListener(options({ tls: { ...tls, keyFile: tls.certFile } })).start(), {
      message: /^TLS_CERT_FILE and TLS_KEY_FILE are not a pair we can use/,
    });
  });

  async function written({ certificate, key }: { certificate: string; key: string }) {
    const tls = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
    await writeFile(tls.certFile, certificate);
    await writeFile(tls.keyFile, key);
    return tls;
  }

  /** Turns a minute and waits until the files have been looked at, which ends in the next sleep. */
  async function minute(clock: HandClock): Promise<void> {
    while (clock.sleeping === 0) await clock.settle();
    await clock.turn(60_000);
    while (clock.sleeping === 0) await clock.settle();
  }
});

describe('the port of kubelet and Prometheus', () => {
  const table = [
    { path: '/livez', ready: false, draining: false, status: 200, text: 'ok\n' },
    { path: '/healthz', ready: false, draining: true, status: 200, text: 'ok\n' },
    { path: '/readyz', ready: true, draining: false, status: 200, text: 'ok\n' },
    { path: '/readyz', ready: false, draining: false, status: 503, text: 'not ready\n' },
    { path: '/readyz', ready: true, draining: true, status: 503, text: 'draining\n' },
    { path: '/readyz?verbose', ready: true, draining: false, status: 200, text: 'ok\n' },
    { path: '/metrics', ready: true, draining: false, status: 200, text: 'up 1\n' },
    { path: '/status/build-1', ready: true, draining: false, status: 404, text: 'no such path\n' },
    { path: '/constructor', ready: true, draining: false, status: 404, text: 'no such path\n' },
  ];
  for (const { path, ready, draining, status, text: wanted } of table) {
    it(`${path} is ${status} when ${ready ? 'ready' : 'not ready'}${draining ? ' and draining' : ''}`, async () => {
      const answer = await request(await page({ ready, draining }))
        .get(path)
        .expect(status);
      assert.equal(answer.text, wanted);
      assert.equal(answer.headers['cache-control'], 'no-store');
    });
  }

  it('takes GET and HEAD only', async () => {
    const app = await page({ ready: true, draining: false });
    await request(app).post('/metrics').expect(405).expect('allow', 'GET, HEAD');
    await request(app).head('/livez').expect(200);
  });

  async function page({ ready, draining }: { ready: boolean; draining: boolean }): Promise<RequestListener> {
    const drain = createDrain(silentLog);
    if (draining) await drain.stop(letGo);
    const exposition = async () => ({ contentType: 'text/plain', text: 'up 1\n' });
    return probes({ readiness: () => ({ ready, watches: [] }), drain, exposition });
  }
});

function options(changes: Partial<ListenOptions> = {}): ListenOptions {
  const clock = new HandClock();
  return {
    name: 'api',
    portSetting: 'PORT',
    port: 0,
    host: '127.0.0.1',
    handler,
    clock,
    log: silentLog,
    metrics: silentMetrics,
    ...changes,
  };
}

async function answerOf(url: string, agent?: Agent): Promise<string> {
  const asking = httpGet(url, { agent: agent ?? false });
  const [response] = await once(asking, 'response');
  return await text(response);
}

/** Whether the server's certificate is one that `authority` vouches for. */
async function trustIn(port: number, authority: string): Promise<'trusted' | 'refused'> {
  const socket = connectTls({ port, host: '127.0.0.1', ca: authority });
  try {
    await once(socket, 'secureConnect');
    return 'trusted';
  } catch {
    return 'refused';
  } finally {
    socket.destroy();
  }
}
