/**
 * examples/private-ca: a certificate of an authority that nobody else knows, for rungate, for its clients, and for whom it asks
 * itself; on a cluster also installed, as examples/README.md has it.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { globSync, readFileSync } from 'node:fs';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { connect } from 'node:tls';
import { connect as connectCluster } from '../cluster/cluster.ts';
import { raiseImage } from '../cluster/image.ts';
import { kubectlIn, restrictedNamespace } from '../cluster/installation.ts';
import { eventually } from '../support/eventually.ts';
import { checkout, freePort } from '../support/gateway.ts';
import { onCluster } from '../support/ground.ts';
import { clusterSuite } from '../support/needs.ts';
import { type Ran, runProgram } from '../support/program.ts';
import { commandsBelow, type Running, startProgram } from '../support/recipe.ts';
import { startWorld, type World } from '../support/world.ts';

const password = 'correct horse';

describe('the recipe for a private authority', () => {
  let world: World;
  /** Where the certificates are. */
  let folder: string;
  let port: number;
  let rungate: Running;
  let run: string;

  before(async () => {
    world = await startWorld({ gateway: false });
    folder = join(world.folder, 'tls');
    await mkdir(folder);
    run = await world.run('green');
    await issue();
    ({ port, rungate } = await start({
      TLS_CERT_FILE: join(folder, 'tls.crt'),
      TLS_KEY_FILE: join(folder, 'tls.key'),
    }));
  });
  after(async () => {
    rungate?.stop();
    await world?.end();
  });

  const issue = async (): Promise<void> => {
    const script = `${checkout}examples/private-ca/certificate.sh`;
    const { code, stderr } = await runProgram('sh', [script, 'rungate.example.com', '127.0.0.1'], { cwd: folder });
    assert.equal(code, 0, stderr);
  };

  /** Starts a rungate that `startGateway` would not know: one that speaks TLS, and one with Node's own settings. */
  const start = async (env: Readonly<Record<string, string>>) => {
    const own = await freePort();
    const started = startProgram(process.execPath, [`${checkout}bin/rungate.js`], {
      env: {
        PATH: process.env.PATH,
        HOST: '127.0.0.1',
        PORT: String(own),
        METRICS_PORT: String(await freePort()),
        PARTS: 'gateway',
        KUBECONFIG: world.kubeconfig,
        NAMESPACE: world.namespace,
        AUTH_USERNAME: 'ci',
        AUTH_PASSWORD: password,
        ...env,
      },
    });
    const scheme = 'TLS_CERT_FILE' in env ? 'https' : 'http';
    const ready = [
      '-sSf',
      '--cacert',
      join(folder, 'ca.crt'),
      '-u',
      `ci:${password}`,
      `${scheme}://127.0.0.1:${own}/ready`,
    ];
    await eventually(async () => assert.equal((await runProgram('curl', ready)).code, 0, started.text()), {
      withinMs: 60_000,
    });
    return { port: own, rungate: started };
  };
  const url = () => `https://rungate.example.com:${port}`;
  const curl = (...args: readonly string[]): Promise<Ran> =>
    runProgram('curl', ['-sS', '--connect-to', `::127.0.0.1:${port}`, '-u', `ci:${password}`, ...args]);

  it('curl believes rungate with --cacert, by its name alone, and not without', async () => {
    const { code, stdout, stderr } = await curl('--cacert', join(folder, 'ca.crt'), `${url()}/runs`);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /"items":/);
    assert.equal((await curl(`${url()}/runs`)).code, 60);
    assert.equal((await curl('--cacert', join(folder, 'ca.crt'), 'https://elsewhere.example.com/runs')).code, 60);
  });

  it('rungate.sh believes it with CURL_CA_BUNDLE', async () => {
    const script = (more: Readonly<Record<string, string>>) => (run: string) =>
      runProgram('sh', [`${checkout}examples/shell/rungate.sh`, run], {
        env: {
          PATH: process.env.PATH,
          RUNGATE_URL: `https://127.0.0.1:${port}`,
          RUNGATE_USERNAME: 'ci',
          RUNGATE_PASSWORD: password,
          ...more,
        },
      });
    await world.finished(run);
    const { code, stderr } = await script({ CURL_CA_BUNDLE: join(folder, 'ca.crt') })(run);
    assert.equal(code, 0, stderr);
    assert.notEqual((await script({})(run)).code, 0);
  });

  it('Node.js believes it with NODE_EXTRA_CA_CERTS, and says why not without', async () => {
    await world.finished(run);
    const status = (more: Readonly<Record<string, string>>) =>
      runProgram(
        process.execPath,
        [`${checkout}examples/private-ca/status.js`, `https://127.0.0.1:${port}`, 'ci', `${world.namespace}/${run}`],
        {
          env: { PATH: process.env.PATH, RUNGATE_PASSWORD: password, ...more },
        },
      );
    const { code, stdout, stderr } = await status({ NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt') });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /"status":"True"/);
    const unbelieved = await status({});
    assert.equal(unbelieved.code, 3);
    assert.match(unbelieved.stderr, /certificate/);
  });

  it('a renewed certificate is taken without a restart, and clients change nothing', async () => {
    const authority = readFileSync(join(folder, 'ca.crt'), 'utf8');
    const serial = async () => {
      const socket = connect({ port, host: '127.0.0.1', ca: authority });
      try {
        await once(socket, 'secureConnect');
        return socket.getPeerCertificate().serialNumber;
      } finally {
        socket.destroy();
      }
    };
    const before = await serial();
    await issue();
    await eventually(async () => assert.notEqual(await serial(), before), { withinMs: 240_000 });
    assert.equal(readFileSync(join(folder, 'ca.crt'), 'utf8'), authority);
  });

  it('rungate believes whom it asks itself with NODE_EXTRA_CA_CERTS', async () => {
    const keeper = createServer(
      { cert: readFileSync(join(folder, 'tls.crt')), key: readFileSync(join(folder, 'tls.key')) },
      (_request, response) => void response.end('kept elsewhere\n'),
    ).listen(0, '127.0.0.1');
    await once(keeper, 'listening');
    const EXTERNAL_LOGS_URL = `https://127.0.0.1:${(keeper.address() as AddressInfo).port}/logs`;
    const strange = await start({ EXTERNAL_LOGS_URL });
    const believing = await start({ EXTERNAL_LOGS_URL, NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt') });
    try {
      await world.finished(run);
      const { metadata } = await world.podOf(run, 'build');
      await world.admin.remove(`/api/v1/namespaces/${world.namespace}/pods/${metadata.name}`);
      await eventually(
        async () => assert.ok(!(await world.pods(run)).some((pod) => pod.metadata.name === metadata.name)),
        { withinMs: 240_000 },
      );
      const log = async (at: number) =>
        (await runProgram('curl', ['-sS', '-u', `ci:${password}`, `http://127.0.0.1:${at}/logs/${run}?task=build`]))
          .stdout;
      await eventually(async () => assert.match(await log(believing.port), /kept elsewhere/), { withinMs: 60_000 });
      assert.doesNotMatch(await log(strange.port), /kept elsewhere/);
    } finally {
      strange.rungate.stop();
      believing.rungate.stop();
      keeper.closeAllConnections();
      keeper.close();
    }
  });
});

clusterSuite('the recipe for a private authority, installed', { root: true }, () => {
  let world: World;
  let namespace: string | undefined;
  before(async () => {
    assert.ok(onCluster, 'pods are what this is about');
    world = await startWorld({ gateway: false });
    await raiseImage();
  });
  after(async () => {
    if (namespace !== undefined) await world.admin.remove(`/api/v1/namespaces/${namespace}`);
    await world?.end();
  });

  it('what the page tells to type rolls out, and answers at the Service to whoever has ca.crt', async () => {
    const { kubectl, kubeconfig } = await connectCluster();
    namespace = await restrictedNamespace(world, `${world.namespace}-ca`);
    const work = join(world.folder, 'checkout');
    for (const folder of ['examples/private-ca', 'k8s']) {
      await cp(`${checkout}${folder}`, join(work, folder), { recursive: true });
    }
    for (const file of globSync('{k8s/base,examples/private-ca}/*.yaml', { cwd: work })) {
      const text = readFileSync(join(work, file), 'utf8');
      await writeFile(join(work, file), text.replaceAll('namespace: tekton-pipelines', `namespace: ${namespace}`));
    }
    const empty = join(work, 'certificates');
    await mkdir(empty);
    const [block = ''] = commandsBelow('A private authority');
    const here = block.replaceAll('--namespace tekton-pipelines', `--namespace ${namespace}`);
    const env = { PATH: `${dirname(kubectl.file)}:${process.env.PATH}`, KUBECONFIG: kubeconfig };
    const { code, stdout, stderr } = await runProgram('bash', ['-ec', here], { env, cwd: empty });
    assert.equal(code, 0, stdout + stderr);
    const own = kubectlIn(world, namespace);
    await own('rollout', 'status', 'deployment/rungate', '--timeout=300s');

    const secret = await world.admin.get<{ metadata: object; data: { AUTH_PASSWORD: string } }>(
      `/api/v1/namespaces/${namespace}/secrets/rungate-auth`,
    );
    const secretWord = Buffer.from(secret.data.AUTH_PASSWORD, 'base64').toString();
    const address = (await own('get', 'service', 'rungate', '--output', 'jsonpath={.spec.clusterIP}')).trim();
    const ask = (...args: readonly string[]) =>
      runProgram('curl', [
        '-sS',
        '--resolve',
        `rungate.tekton-pipelines.svc:8080:${address}`,
        '-u',
        `ci:${secretWord}`,
        ...args,
        'https://rungate.tekton-pipelines.svc:8080/runs',
      ]);
    await eventually(
      async () => {
        const answered = await ask('--cacert', join(empty, 'ca.crt'));
        assert.match(answered.stdout, /"items":/, answered.stderr);
      },
      { withinMs: 60_000 },
    );
    assert.equal((await ask()).code, 60);
  });
});
