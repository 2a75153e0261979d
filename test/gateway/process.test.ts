/** The program as a person or a pod starts it: flags, mistakes, signals, exit codes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { checkout, freePort, startGateway } from '../support/gateway.ts';
import { runProgram } from '../support/program.ts';

const stub = `${checkout}bin/rungate.js`;
const run = (args: readonly string[], env: Record<string, string> = {}) =>
  runProgram(process.execPath, [stub, ...args], { env: { PATH: process.env.PATH, ...env } });

describe('rungate', () => {
  it('--version prints the version and nothing else', async () => {
    const { code, stdout } = await run(['--version']);
    assert.equal(code, 0);
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  });

  it('--help needs no configuration', async () => {
    const { code, stdout, stderr } = await run(['--help']);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /AUTH_PASSWORD/);
  });

  it('names an unknown flag and exits with 2', async () => {
    const { code, stdout, stderr } = await run(['--prot', '80']);
    assert.deepEqual([code, stdout], [2, '']);
    assert.equal(stderr, 'rungate: unknown flag --prot; rungate --help lists what there is\n');
  });

  it('names every mistake of its configuration and exits with 2', async () => {
    const { code, stderr } = await run([], { PORT: 'x', AUTH_PASSWORD: 'hunter2\n' });
    assert.equal(code, 2);
    assert.deepEqual(
      stderr.split('\n').map((line) => line.split(' ', 2).join(' ')),
      ['rungate: PORT', 'rungate: AUTH_USERNAME', 'rungate: AUTH_PASSWORD', ''],
    );
    assert.doesNotMatch(stderr, /hunter2/);
  });

  it('says in one sentence that Node is too old', async () => {
    const older = 'data:text/javascript,Object.defineProperty(process, "versions", { value: { node: "20.20.2" } })';
    const { code, stderr } = await runProgram(process.execPath, ['--import', older, stub, '--version']);
    assert.equal(code, 1);
    assert.match(stderr, /^rungate needs Node\.js 24 or newer; this is .*\.\n$/);
  });
});

describe('a started rungate whose cluster does not answer', () => {
  it('stays up, alive and not ready, and ends with 0 on SIGTERM', async () => {
    await using cluster = await silentCluster();
    const gateway = await startGateway({ env: cluster.env, logFile: cluster.logFile, ready: false });
    const health = await gateway.get('/health', { as: 'none' });
    assert.deepEqual([health.status, health.text], [200, '{"status":1}']);
    assert.equal((await gateway.get('/ready')).status, 503);
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
  });

  it('run 38: drains for an open request, and a second signal does not wait for it', async () => {
    await using cluster = await silentCluster();
    const gateway = await startGateway({ env: cluster.env, logFile: cluster.logFile, ready: false });
    const open = gateway.get('/status/build-1').catch(() => 'cut');
    await eventually(() =>
      assert(
        cluster.asked.some((url) => url.includes('/pipelineruns/build-1')),
        cluster.asked.join(),
      ),
    );

    process.kill(gateway.pid, 'SIGTERM');
    await eventually(() => assert.match(gateway.log(), /"message":"draining","open":1/));
    assert.equal((await gateway.get('/status/build-2')).status, 503);
    assert.equal((await gateway.get('/health', { as: 'none' })).status, 200);

    assert.deepEqual(await gateway.stop('SIGTERM'), { code: 143, signal: null });
    await open;
  });
});

describe('rungate in the place of Pipeline Trigger Operator', () => {
  /** Nothing that says what it is but its flags. */
  const unsaid = { PARTS: '', AUTH_USERNAME: '', AUTH_PASSWORD: '' };

  it('listens where the flags say and at METRICS_PORT, with the same content, and opens no API', async () => {
    await using cluster = await silentCluster();
    const [metrics, health] = [await freePort(), await freePort()];
    const gateway = await startGateway({
      args: [
        '--leader-elect',
        `-metrics-bind-address=127.0.0.1:${metrics}`,
        '--health-probe-bind-address',
        `:${health}`,
      ],
      env: { ...cluster.env, ...unsaid },
      logFile: cluster.logFile,
      ready: false,
    });
    for (const url of [gateway.metricsUrl, `http://127.0.0.1:${metrics}`, `http://127.0.0.1:${health}`]) {
      for (const [path, sign] of [
        ['/metrics', /^rungate_build_info\{/m],
        ['/livez', /^ok$/m],
        ['/healthz', /^ok$/m],
      ] as const) {
        const answer = await fetch(url + path);
        assert.equal(answer.status, 200, url + path);
        assert.match(await answer.text(), sign);
      }
      assert.equal((await fetch(`${url}/readyz`)).status, (await fetch(`${gateway.metricsUrl}/readyz`)).status);
      assert.equal((await fetch(`${url}/status/build-1`)).status, 404);
    }
    await assert.rejects(gateway.get('/health', { as: 'none' }), { code: 'ECONNREFUSED' });
    assert.match(gateway.log(), /"message":"rungate starts".*"parts":"triggers"/);
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
  });

  it('says what a flag no longer does', async () => {
    await using cluster = await silentCluster();
    const gateway = await startGateway({
      args: ['--leader-elect=false', '--metrics-bind-address=0', '--health-probe-bind-address=0', '--zap-devel'],
      env: { ...cluster.env, ...unsaid, LOG_LEVEL: '' },
      logFile: cluster.logFile,
      ready: false,
    });
    assert.match(gateway.log(), /WARN +--leader-elect=false has no effect/);
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
  });

  it('names the flag whose port is taken', async () => {
    await using cluster = await silentCluster();
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo; // it listens on a port, not on a pipe
    const { code, stderr } = await run([`--metrics-bind-address=127.0.0.1:${port}`, '--health-probe-bind-address=0'], {
      ...cluster.env,
      METRICS_PORT: '0',
    });
    other.close();
    assert.equal(code, 1);
    assert.equal(
      stderr,
      `rungate: port ${port} of 127.0.0.1 is in use by another program; stop it or set --metrics-bind-address\n`,
    );
  });

  it('names every mistake of flags, settings and the lock of data centres at once, and exits with 2', async () => {
    const { code, stderr } = await run(['--zap-encoder=xml', '--cross-ds-leader-elect'], { LEASE_SECONDS: '15s' });
    assert.equal(code, 2);
    for (const mistake of [/--zap-encoder is "xml"/, /LEASE_SECONDS is "15s"/, /missing password/, /'ha_enabled'/]) {
      assert.match(stderr, mistake);
    }
  });

  it('refuses an address that is that of its API, and names both', async () => {
    const env = { AUTH_USERNAME: 'ci', AUTH_PASSWORD: 'correct horse' };
    const { code, stderr } = await run(['--leader-elect', '--metrics-bind-address=127.0.0.1:8080'], env);
    assert.equal(code, 2);
    assert.equal(stderr, 'rungate: PORT and --metrics-bind-address are both 8080; write two different ports\n');
  });
});

const TEKTON_GROUP = {
  kind: 'APIGroup',
  apiVersion: 'v1',
  name: 'tekton.dev',
  versions: [{ groupVersion: 'tekton.dev/v1', version: 'v1' }],
};
const TEKTON_RESOURCES = {
  kind: 'APIResourceList',
  groupVersion: 'tekton.dev/v1',
  resources: ['pipelineruns', 'taskruns'].map((name) => ({ name, namespaced: true, verbs: ['get', 'list', 'watch'] })),
};

/** An API server that hears every question and answers none, but which versions of Tekton it has. */
async function silentCluster() {
  const folder = await mkdtemp(join(tmpdir(), 'rungate-process-'));
  const asked: string[] = [];
  const server = createServer(({ url = '' }, response) => {
    asked.push(url);
    if (url === '/apis/tekton.dev') response.end(JSON.stringify(TEKTON_GROUP));
    if (url === '/apis/tekton.dev/v1') response.end(JSON.stringify(TEKTON_RESOURCES));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // it listens on a port, not on a pipe
  const kubeconfig = join(folder, 'kubeconfig');
  const named = [
    { name: 'silent', cluster: { server: `http://127.0.0.1:${port}` } },
    { name: 'silent', context: { cluster: 'silent', user: 'silent' } },
    { name: 'silent', user: {} },
  ];
  const [clusters, contexts, users] = named.map((each) => [each]);
  const config = { apiVersion: 'v1', kind: 'Config', 'current-context': 'silent', clusters, contexts, users };
  await writeFile(kubeconfig, JSON.stringify(config));
  return {
    asked,
    env: { KUBECONFIG: kubeconfig },
    logFile: join(folder, 'log'),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true });
    },
  };
}
