/** The program as a person or a pod starts it: flags, mistakes, signals, exit codes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { checkout, startGateway } from '../support/gateway.ts';
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
