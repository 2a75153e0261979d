/** The demo as a stranger meets it, with nothing but Node. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs, { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import git from 'isomorphic-git';
import { type Demo, processesOf, spawnDemo, startDemo } from '../support/demo.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, ask } from '../support/gateway.ts';

const credentials = { username: 'demo', password: 'demo' };

describe('rungate demo', function () {
  this.timeout(240_000);
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rungate-demo-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const get = async (demo: Demo, path: string): Promise<Pick<Answer, 'status' | 'text'>> => {
    const answer = await ask(demo.url + path, { as: credentials });
    return { status: answer.statusCode ?? 0, text: Buffer.concat(await answer.toArray()).toString() };
  };

  it('shows a run that succeeded, one that failed and the log of one that runs, and Ctrl-C leaves nothing behind', async () => {
    const demo = await startDemo(folder, { env: { PORT: '0', METRICS_PORT: '0' } });
    const live = await ask(`${demo.url}/logs/slow-build`, { as: credentials });
    const [first] = (await once(live, 'data')) as [Buffer];
    assert.match(first.toString(), /^\S*\[[-a-z]+ : [-a-z]+\]/);
    await eventually(async () => assert.equal((await get(demo, '/status/green-build')).status, 200), {
      withinMs: 60_000,
    });
    await eventually(async () => assert.match((await get(demo, '/status/red-build')).text, /"reason":"Failed"/), {
      withinMs: 60_000,
    });

    const ended = live.toArray();
    assert.deepEqual(await demo.stop('SIGINT'), { code: 0, signal: null });
    await ended.catch(() => {});
    await eventually(() => assert.deepEqual(processesOf(folder), [])); // what was killed takes a moment to be gone
    assert.deepEqual(await readdir(folder), []);
  });

  it('a commit to its repository starts a run whose log can be followed', async () => {
    const demo = await startDemo(folder, { env: { PORT: '0', METRICS_PORT: '0' } });
    const runsOf = async (): Promise<readonly string[]> => {
      const { text } = await get(demo, '/runs?labelSelector=pipeline.jquad.rocks/pipelinetrigger%3Ddemo');
      return (JSON.parse(text) as { items: readonly { name: string }[] }).items.map(({ name }) => name);
    };
    const [first] = await eventually(
      async () => {
        const runs = await runsOf();
        assert.equal(runs.length, 1);
        return runs;
      },
      { withinMs: 60_000 },
    );
    const gitdir = /^A push to (\S+)$/m.exec(demo.output())?.[1] ?? '';
    const author = { name: 'a test', email: 'test@rungate.invalid' };
    const commit = await git.commit({ fs, gitdir, ref: 'refs/heads/main', message: 'a change\n', author });
    const second = await eventually(
      async () => {
        const run = (await runsOf()).find((name) => name !== first);
        assert.ok(run, 'no second run yet');
        return run;
      },
      { withinMs: 60_000 },
    );
    const log = await get(demo, `/logs/${second}`);
    assert.match(log.text, new RegExp(`fetching ${commit}`));
    await demo.stop();
  });

  it('leaves no process behind when it is killed', async () => {
    const demo = await startDemo(folder, { env: { PORT: '0', METRICS_PORT: '0' } });
    await eventually(() => assert.ok(processesOf(folder).length > 1, 'no step runs yet'), { withinMs: 60_000 });
    await demo.stop('SIGKILL');
    await eventually(() => assert.deepEqual(processesOf(folder), []));
  });

  it('starts again where it was killed', async () => {
    const env = { PORT: '0', METRICS_PORT: '0' };
    const first = await startDemo(folder, { env });
    await first.stop('SIGKILL');
    const second = await startDemo(folder, { env });
    assert.equal((await get(second, '/health')).status, 200);
    await second.stop();
  });

  it('takes another port where its own is taken, and says so', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    try {
      const demo = await startDemo(folder, { env: { PORT: String(port), METRICS_PORT: '0' } });
      assert.match(demo.output(), new RegExp(`Port ${port} belongs to another program`));
      assert.equal((await get(demo, '/health')).status, 200);
      await demo.stop();
    } finally {
      other.close();
    }
  });

  it('--keep keeps what was there for the next start', async () => {
    const options = { args: ['--keep'], env: { PORT: '0', METRICS_PORT: '0' } };
    const first = await startDemo(folder, options);
    await eventually(async () => assert.equal((await get(first, '/status/green-build')).status, 200), {
      withinMs: 60_000,
    });
    const statusOf = async (demo: Demo) => {
      const { asOf: _now, ...status } = JSON.parse((await get(demo, '/status/green-build?full=true')).text);
      return status as object;
    };
    const before = await statusOf(first);
    const log = await get(first, '/logs/green-build');
    await first.stop();
    const second = await startDemo(folder, options);
    assert.deepEqual(await statusOf(second), before);
    assert.deepEqual(await get(second, '/logs/green-build'), log);
    await second.stop();
    assert.ok(existsSync(join(folder, '.rungate')));
  });

  it('--simulate runs no process', async () => {
    const demo = await startDemo(folder, { args: ['--simulate'], env: { PORT: '0', METRICS_PORT: '0' } });
    await eventually(async () => assert.equal((await get(demo, '/status/green-build')).status, 200), {
      withinMs: 60_000,
    });
    assert.deepEqual(processesOf(folder).length, 1); // the demo itself
    await demo.stop();
  });

  it('leaves nothing behind when its terminal is closed, nor when nobody reads what it prints', async () => {
    const demo = await startDemo(folder, { env: { PORT: '0', METRICS_PORT: '0' } });
    demo.stopReading();
    assert.deepEqual(await demo.stop('SIGHUP'), { code: 0, signal: null });
    await eventually(() => assert.deepEqual(processesOf(folder), [])); // what was killed takes a moment to be gone
    assert.deepEqual(await readdir(folder), []);
  });

  it('leaves nothing behind when it is ended while it starts', async () => {
    const demo = spawnDemo(folder, { env: { PORT: '0', METRICS_PORT: '0' } });
    await eventually(() => assert.ok(existsSync(join(folder, '.rungate', 'sandbox'))), { withinMs: 60_000 });
    assert.deepEqual(await demo.stop('SIGINT'), { code: 0, signal: null });
    assert.deepEqual(await readdir(folder), []);
  });

  it('only one runs in a folder at a time', async () => {
    const env = { PORT: '0', METRICS_PORT: '0' };
    const first = await startDemo(folder, { env });
    await assert.rejects(startDemo(folder, { env }), new RegExp(`a demo runs here already \\(process ${first.pid}\\)`));
    await first.stop();
  });
});
