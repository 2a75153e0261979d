/**
 * examples/ingress in a real nginx, which buffers and compresses whatever it may: the file as it is, but for its addresses. That the
 * proxy really would keep lines back is shown beside it.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { checkout, freePort, type Gateway } from '../support/gateway.ts';
import { findNginx, type Nginx, nginxSuite, startNginx } from '../support/nginx.ts';
import { type Ran, runProgram } from '../support/program.ts';
import { inPlace, type Running, recipe, startProgram } from '../support/recipe.ts';
import { startWorld, type World } from '../support/world.ts';

/** What somebody writes who knows nothing of rungate: nginx's own defaults, HTTP/1.0 to what lies behind it among them. */
const bare = (more = '') => `
server {
  listen 443 ssl;
  server_name rungate.example.com;
  ssl_certificate /etc/nginx/tls/tls.crt;
  ssl_certificate_key /etc/nginx/tls/tls.key;
  location / {
    proxy_pass http://rungate.tekton-pipelines.svc.cluster.local:8080;
    ${more}
  }
}
`;

nginxSuite('the recipe for an ingress', await findNginx(), (program) => {
  let world: World;
  /** Believes nginx, as the recipe says. */
  let trusting: Gateway;
  let tls: string;
  /** A run that goes on for as long as it is there, and one that fails. */
  let ticking: string;
  let red: string;
  const open: (Nginx | Running)[] = [];

  before(async () => {
    world = await startWorld();
    trusting = await world.startGateway({ env: { TRUST_PROXY: '127.0.0.1' } });
    [ticking, red] = [await world.run('ticking', { params: { count: '3000' } }), await world.run('red')];
    tls = join(world.folder, 'tls');
    await mkdir(tls);
    const script = `${checkout}examples/private-ca/certificate.sh`;
    const { code, stderr } = await runProgram('sh', [script, 'rungate.example.com'], { cwd: tls });
    assert.equal(code, 0, stderr);
  });
  afterEach(async () => {
    for (const one of open.splice(0)) await one.stop();
  });
  after(() => world?.end());

  /** Puts an nginx in front of a rungate, and resolves with what curl has to be told to ask it. */
  const behind = async (conf: string, gateway: Gateway = trusting) => {
    const port = await freePort();
    const whole = inPlace(conf, {
      'listen 443 ssl': `listen 127.0.0.1:${port} ssl`,
      'rungate.tekton-pipelines.svc.cluster.local:8080': new URL(gateway.url).host,
      '/etc/nginx/tls/tls.crt': join(tls, 'tls.crt'),
      '/etc/nginx/tls/tls.key': join(tls, 'tls.key'),
    });
    open.push(await startNginx(program, whole, port));
    const { username, password } = gateway.credentials;
    const url = `https://rungate.example.com:${port}`;
    const args = [
      '-sS',
      '--cacert',
      join(tls, 'ca.crt'),
      '--connect-to',
      `rungate.example.com:${port}:127.0.0.1:${port}`,
    ];
    await writeFile(join(tls, '.curlrc'), `connect-to = "rungate.example.com:${port}:127.0.0.1:${port}"\n`);
    return {
      url,
      curl: (...more: readonly string[]): Promise<Ran> =>
        runProgram('curl', [...args, '-u', `${username}:${password}`, ...more.slice(0, -1), `${url}${more.at(-1)}`]),
      follow: (path: string, ...more: readonly string[]): Running => {
        const running = startProgram('curl', [
          ...args,
          '-N',
          '-u',
          `${username}:${password}`,
          ...more,
          `${url}${path}`,
        ]);
        open.push(running);
        return running;
      },
      script: (run: string): Promise<Ran> =>
        runProgram('sh', [`${checkout}examples/shell/rungate.sh`, run], {
          env: {
            PATH: process.env.PATH,
            HOME: tls, // where curl finds out that rungate.example.com is here
            CURL_CA_BUNDLE: join(tls, 'ca.crt'),
            RUNGATE_URL: url,
            RUNGATE_USERNAME: username,
            RUNGATE_PASSWORD: password,
          },
        }),
    };
  };
  const conf = () =>
    inPlace(recipe('ingress/rungate.conf'), { '/usr/share/rungate/dashboard/': `${checkout}examples/dashboard/` });
  /** Whether a run has ended, as Kubernetes says. */
  const isOver = async (run: string) => ['True', 'False'].includes((await world.condition(run))?.status ?? '');

  for (const [name, ofIt] of [
    ['the recipe', conf],
    ["nginx's own defaults", bare],
  ] as const) {
    for (const compressed of [[], ['--compressed']] as const) {
      it(`with ${name} a line is here while the step still sleeps${compressed.length > 0 ? ', compressed too' : ''}`, async () => {
        const { follow } = await behind(ofIt());
        const log = follow(`/logs/${ticking}?wait=60`, ...compressed);
        await eventually(() => assert.match(log.text(), /tick 2\n/), { withinMs: 240_000 });
        assert.equal(await isOver(ticking), false);
      });
    }

    it(`with ${name} a red run is an unfinished answer for whoever asks for that, and no trailer comes through`, async () => {
      const { curl, script } = await behind(ofIt());
      await world.finished(red, { withinMs: 240_000 });
      const { code, stdout } = await curl('-D', '-', `/logs/${red}?onFailure=abort`);
      assert.equal(code, 18, stdout);
      assert.match(stdout, /1 test failed/);
      const whole = await curl('-D', '-', `/logs/${red}?format=ndjson`);
      assert.equal(whole.code, 0, whole.stderr);
      assert.doesNotMatch(whole.stdout, /^x-run-status/im);
      const last = JSON.parse(whole.stdout.trim().split('\n').at(-1) ?? '') as { type: string; status: string };
      assert.deepEqual([last.type, last.status], ['end', 'False']);
      assert.equal((await script(red)).code, 1);
    });
  }

  it('a green run ends the job with 0', async () => {
    const { script } = await behind(conf());
    const { code, stdout, stderr } = await script(await world.run('green'));
    assert.equal(code, 0, stderr);
    assert.match(stdout, /12 tests passed/);
  });

  it('a proxy that is told not to heed X-Accel-Buffering keeps lines back until the log ends: the header is what helps', async () => {
    // Patient, since there may be no pod, and so no line, for a while.
    const { follow } = await behind(bare('proxy_ignore_headers X-Accel-Buffering; proxy_read_timeout 1h;'));
    const run = await world.run('ticking', { params: { count: '5' } });
    const log = follow(`/logs/${run}?wait=60`);
    await eventually(() => assert.match(log.text(), /tick 1\n/), { withinMs: 240_000 });
    assert.equal(await isOver(run), true);
    assert.match(log.text(), /tick 5\n/);
  });

  it('a silence that is longer than the proxy waits cuts the log, and a heartbeat keeps it', async () => {
    const { follow } = await behind(inPlace(conf(), { 'proxy_read_timeout 1h': 'proxy_read_timeout 6s' }));
    const run = await world.run('ticking', { params: { count: '2', pause: '12' } });
    const kept = follow(`/logs/${run}?wait=60&heartbeat=1`);
    const cut = follow(`/logs/${run}?wait=60`, '--fail'); // cut before its head it is a 504
    assert.notEqual(await cut.ended, 0);
    assert.equal(await isOver(run), false);
    assert.equal(await kept.ended, 0);
    assert.match(kept.text(), /tick 2\n/);
  });

  it('the client is the one that nginx saw, whatever it says itself, and only where rungate believes nginx', async () => {
    const clients = async (gateway: Gateway, ...curls: readonly Promise<Ran>[]) => {
      for (const { code, stderr } of await Promise.all(curls)) assert.equal(code, 0, stderr);
      return eventually(() => {
        const lines = gateway
          .log()
          .split('\n')
          .filter((line) => line.includes('/status/nobody-'));
        assert.equal(lines.length, curls.length);
        return lines.map((line) => (JSON.parse(line) as { client: string }).client);
      });
    };
    const lies = ['-H', 'X-Forwarded-For: 203.0.113.9'];
    const { curl } = await behind(conf());
    const past = (gateway: Gateway) =>
      runProgram('curl', [
        '-sS',
        '-u',
        'ci:correct horse',
        '--interface',
        '127.0.0.3',
        ...lies,
        `${gateway.url}/status/nobody-2`,
      ]);
    assert.deepEqual(
      (await clients(trusting, curl('--interface', '127.0.0.2', ...lies, '/status/nobody-1'), past(trusting))).sort(),
      ['127.0.0.2', '127.0.0.3'],
    );
    const { curl: unbelieved } = await behind(conf(), world.gateway);
    assert.deepEqual(
      await clients(world.gateway, unbelieved('--interface', '127.0.0.2', ...lies, '/status/nobody-1')),
      ['127.0.0.1'],
    );
  });

  it('the page of examples/dashboard is served at the address of rungate', async () => {
    const { curl } = await behind(conf());
    for (const file of ['index.html', 'page.js', 'poll.js', 'style.css']) {
      const { stdout } = await curl(`/dashboard/${file}`);
      assert.equal(stdout, recipe(`dashboard/${file}`));
    }
    assert.match((await curl('/health')).stdout, /"status":1/);
  });

  it('the Ingress is for the Service, host and patience of the same', async () => {
    const ingress = inPlace(recipe('ingress/ingress.yaml'), {
      'namespace: tekton-pipelines': `namespace: ${world.namespace}`,
    });
    if (world.ground === 'sandbox') return; // which has no such kind
    await world.apply(ingress);
    assert.match(ingress, /proxy-read-timeout: '3600'/);
    assert.match(recipe('ingress/rungate.conf'), /proxy_read_timeout 1h;/);
    assert.match(ingress, /host: rungate\.example\.com/);
  });
});
