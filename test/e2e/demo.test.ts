/** The README's first command, and then what its greeting says to try: word for word, with the real curl and the real kubectl. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { connect } from '../cluster/cluster.ts';
import { type Demo, processesOf, startDemo } from '../support/demo.ts';
import { eventually } from '../support/eventually.ts';
import { checkout } from '../support/gateway.ts';
import { type Ran, runProgram } from '../support/program.ts';

describe('the demo at a terminal', () => {
  let folder: string;
  let demo: Demo;
  let shell: (line: string) => Promise<Ran>;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rungate-demo-'));
    demo = await startDemo(folder, { env: { PORT: '0', METRICS_PORT: '0' } });
    const { kubectl } = await connect();
    const path = [dirname(kubectl.file), process.env.PATH].join(delimiter);
    const env = { PATH: path, HOME: folder, KUBECONFIG: demo.kubeconfig };
    shell = (line) => runProgram('sh', ['-c', line], { env, cwd: checkout });
  });
  after(async () => {
    await demo?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** The commands of the greeting that begin with a word, without what is said about them. */
  const told = (word: string) =>
    [...demo.output().matchAll(new RegExp(`^ +(${word} .*?)(?: +#.*)?$`, 'gm'))].map(([, command]) => command ?? '');

  const triggerOfDemo = async () => {
    const { stdout } = await shell(told('curl -u').find((line) => line.includes('/triggers/')) ?? 'false');
    return JSON.parse(stdout) as { readonly latestEvent: string; readonly latestPipelineRun?: string };
  };

  it('the first curl streams the log of a run while it runs', async () => {
    const [stream] = told('curl -N');
    assert.ok(stream);
    const child = spawn('sh', ['-c', `exec ${stream}`], { stdio: ['ignore', 'pipe', 'ignore'] });
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (shown += text));
    try {
      await eventually(() => assert.match(shown, /\[[-a-z]+ : [-a-z]+\]/), { withinMs: 240_000 });
    } finally {
      child.kill();
    }
  });

  it('the others tell of a green run and of a red one', async () => {
    const [, green, red] = told('curl');
    await eventually(
      async () => {
        const { stdout } = await shell(`${green}`);
        assert.match(stdout, /"status":"True"/);
      },
      { withinMs: 240_000 },
    );
    await eventually(
      async () => {
        const { stdout } = await shell(`${red}`);
        assert.match(stdout, /"failure":\{/);
      },
      { withinMs: 240_000 },
    );
  });

  it('a wrong password is refused', async () => {
    const { stdout } = await shell(
      `curl -s -o /dev/null -w '%{http_code}' -u demo:wrong ${demo.url}/status/green-build`,
    );
    assert.equal(stdout, '401');
  });

  it('a page that has its own name lead here is refused, though everybody knows the password', async () => {
    const { stdout } = await shell(
      `curl -s -o /dev/null -w '%{http_code}' -u demo:demo -H 'Host: evil.example' ${demo.url}/status/green-build`,
    );
    assert.equal(stdout, '400');
  });

  it('warns of nothing', () => assert.doesNotMatch(demo.output(), /WARN|ERROR/));

  it('its kubectl lines work', async () => {
    const lines = told('kubectl');
    assert.ok(lines.length >= 2);
    for (const line of lines) {
      const { code, stderr } = await shell(line);
      assert.deepEqual([line, code, stderr], [line, 0, '']);
    }
    const { stdout } = await shell('kubectl get pipelineruns');
    assert.match(stdout, /^green-build +True +Succeeded/m);
  });

  it('trigger 1: what is cloned, committed and pushed as it says starts a run, and curl -N follows its log', async () => {
    const person = ['-c user.name=somebody', '-c user.email=somebody@rungate.invalid'].join(' ');
    const [clone = ''] = told('git clone');
    const before = await triggerOfDemo();
    const pushed = await shell(
      `cd ${folder} && ${clone.replace('git commit', `git ${person} commit`)} && git rev-parse HEAD`,
    );
    assert.equal(pushed.code, 0, pushed.stderr);
    const commit = pushed.stdout.trim().split('\n').at(-1) ?? '';
    const run = await eventually(
      async () => {
        const { latestEvent, latestPipelineRun } = await triggerOfDemo();
        assert.equal(latestEvent, `main@sha1:${commit}`);
        assert.ok(latestPipelineRun && !['Unknown', before.latestPipelineRun].includes(latestPipelineRun));
        return latestPipelineRun;
      },
      { withinMs: 240_000 },
    );
    const followed = await shell(`curl -sN -u demo:demo ${demo.url}/logs/${run}`);
    assert.match(followed.stdout, new RegExp(`fetching ${commit}`));
    assert.match(followed.stdout, /the build has ended, Succeeded/);
  });

  it('the README says the same', async () => {
    const readme = await readFile(`${checkout}README.md`, 'utf8');
    const [, block = ''] = /```sh\n(git clone [\s\S]*?)```/.exec(readme) ?? [];
    const [clone = '', push = '', ...follow] = block.split('\n');
    const [line = ''] = told('git clone');
    const repository = `${folder}/.rungate/sandbox/demo.git`;
    assert.equal(`${clone} && ${push}`.replace('.rungate/sandbox/demo.git', repository), line);
    const script = follow.join('\n').replaceAll('localhost:8080', demo.url);
    const { code, stdout, stderr } = await shell(script);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /fetching [0-9a-f]{40}/);
  });

  it('nothing listens anywhere but on loopback', async () => {
    const { stdout } = await shell(`ss -Hltnp | grep 'pid=${demo.pid},'`);
    const addresses = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/)[3]);
    assert.ok(addresses.length >= 3, stdout);
    for (const address of addresses) assert.match(address ?? '', /^(127\.0\.0\.1|\[::1\]):/);
  });

  it('Ctrl-C ends it with 0, and no process and no file stays', async () => {
    assert.deepEqual(await demo.stop('SIGINT'), { code: 0, signal: null });
    // What was killed may take a moment to be gone.
    await eventually(() => assert.deepEqual(processesOf(folder), []));
    const { stdout } = await shell(`ls -A ${folder}`);
    assert.doesNotMatch(stdout, /rungate/);
  });
});

describe('npm run demo', () => {
  it('greets, and ends with its terminal', async () => {
    const npm = spawn('npm', ['run', 'demo'], {
      cwd: checkout,
      env: { ...process.env, PORT: '0', METRICS_PORT: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a process group of its own, as a terminal gives it
    });
    let printed = '';
    npm.stdout.setEncoding('utf8').on('data', (text) => (printed += text));
    npm.stderr.setEncoding('utf8').on('data', (text) => (printed += text));
    try {
      await eventually(() => assert.match(printed, /\/logs\/slow-build/), { withinMs: 240_000 });
    } finally {
      process.kill(-(npm.pid ?? 0), 'SIGINT');
    }
    await once(npm, 'close');
    await eventually(() =>
      assert.deepEqual(
        processesOf(`${checkout}.rungate/`).filter((line) => !line.includes('mocha')),
        [],
      ),
    );
  });
});
