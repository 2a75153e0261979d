import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../../../test/support/eventually.ts';
import { systemClock } from '../../../clock.ts';
import { createMemoryWatch } from './memory.ts';
import type { ProcessPlan, RunningProcess } from './process.ts';
import { createSupervisor } from './supervisor.ts';

const memory = createMemoryWatch({ everyMs: 20 });

describe('a supervised process', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'supervisor-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  interface Run extends RunningProcess {
    readonly output: string;
  }

  async function run(script: string, plan: Partial<ProcessPlan> = {}): Promise<Run> {
    let output = '';
    const start = createSupervisor({ clock: systemClock, memory, folder });
    const running = await start({
      program: '/bin/sh',
      args: ['-c', script],
      env: { PATH: '/usr/bin:/bin', LANG: 'C' },
      folder,
      memoryBytes: 1 << 30,
      outputBytes: 1 << 20,
      activeMs: 60_000,
      onOutput(stream, chunk) {
        output += `${stream}: ${chunk}`;
      },
      ...plan,
    });
    return {
      ...running,
      get output() {
        return output;
      },
    };
  }

  const endings: readonly { readonly script: string; readonly want: object }[] = [
    { script: 'exit 0', want: { code: 0, signal: undefined, broke: undefined, starved: false } },
    { script: 'exit 137', want: { code: 137, signal: undefined, broke: undefined, starved: false } },
    { script: 'kill -9 $$', want: { code: undefined, signal: 9, broke: undefined, starved: false } },
    { script: 'kill -9 0', want: { code: undefined, signal: 9, broke: undefined, starved: false } },
    { script: 'kill 0', want: { code: undefined, signal: 15, broke: undefined, starved: false } },
  ];
  for (const { script, want } of endings) {
    it(`tells how it ended: ${script}`, async () => {
      assert.deepEqual(await (await run(script)).ended, want);
    });
  }

  it('has handed on all its output when it has ended', async () => {
    const running = await run('echo one; sleep 0.1; echo two >&2');
    await running.ended;
    assert.equal(running.output, 'stdout: one\nstderr: two\n');
  });

  it('can open its output by name, as it can in a container', async () => {
    const running = await run('echo one > /dev/stdout; echo two | tee /dev/stderr > /dev/null');
    await running.ended;
    assert.equal(running.output, 'stdout: one\nstderr: two\n');
  });

  it('has the environment it was given and no other, nothing on its input, and not our pipe', async () => {
    const running = await run('env | grep -vE "^(PWD|OLDPWD|SHLVL|_)=" | sort; cat; ls /dev/fd/3 2>/dev/null; :');
    await running.ended;
    assert.equal(running.output, 'stdout: LANG=C\nPATH=/usr/bin:/bin\n');
  });

  it('waits for its own children only, not for its watcher', async () => {
    assert.equal((await (await run('sleep 0.05 & wait; exit 3')).ended).code, 3);
  });

  for (const { name, script } of [
    { name: 'what it left in the background', script: 'sleep 600 & echo $! > pids; exit 4' },
    {
      name: 'what ignores being asked',
      script: `sh -c "trap '' TERM; echo \\$\\$ > pids; exec sleep 600" & until [ -s pids ]; do sleep 0.05; done; exit 4`,
    },
    { name: 'what job control put into another group', script: 'set -m; sleep 600 & echo $! > pids; exit 4' },
  ]) {
    it(`ends with ${name}`, async function () {
      // What has left its group is found by its session, which only Linux tells of, in /proc; CI runs there.
      if (name.includes('job control') && !existsSync('/proc')) return this.skip();
      assert.equal((await (await run(script)).ended).code, 4);
      await eventually(() => assert.deepEqual(alive(pidsIn(folder)), []));
    });
  }

  it('does not wait for what has left its session and holds on to its output', async function () {
    if (!existsSync('/usr/bin/setsid')) return this.skip(); // a command of Linux alone, where CI runs
    const leaves = 'setsid sh -c "echo \\$\\$ > pids; exec sleep 600" &';
    const running = await run(`echo one; ${leaves} until [ -s pids ]; do sleep 0.05; done; exit 4`);
    try {
      assert.equal((await running.ended).code, 4);
      assert.equal(running.output, 'stdout: one\n');
    } finally {
      for (const pid of pidsIn(folder)) process.kill(pid, 'SIGKILL');
    }
  });

  it('is asked to end: the first process alone, or all', async () => {
    const first = await run(
      `sh -c "trap 'echo child' TERM; sleep 600; :" & trap 'sleep 0.2; exit 7' TERM; echo ready; wait`,
    );
    await eventually(() => assert.match(first.output, /ready/));
    first.terminate('first');
    assert.equal((await first.ended).code, 7);
    assert.doesNotMatch(first.output, /child/);
    const child = `sh -c "trap 'echo child' TERM; echo ready; sleep 600; :"`;
    const all = await run(`trap 'wait; exit 7' TERM; ${child} & wait`);
    await eventually(() => assert.match(all.output, /ready/));
    all.terminate('all');
    assert.equal((await all.ended).code, 7);
    assert.match(all.output, /child/);
  });

  it('is stopped when it is killed, and killing it again does nothing', async () => {
    const { kill, terminate, ended } = await run('sleep 600');
    kill();
    kill();
    assert.deepEqual(await ended, { code: undefined, signal: 9, broke: undefined, starved: false });
    kill();
    terminate('all');
  });

  it('is stopped for too much output, of which the allowed part is kept', async () => {
    const running = await run('yes', { outputBytes: 1_000 });
    assert.equal((await running.ended).broke, 'output');
    assert.equal(running.output.replace(/stdout: /g, '').length, 1_000);
  });

  it('is stopped for too much memory', async () => {
    const hog = `const held = Buffer.alloc(200 << 20, 1); setInterval(() => held.fill(2), 1e3)`;
    const running = await run(`exec "${process.execPath}" -e "${hog}"`, { memoryBytes: 150 << 20 });
    assert.deepEqual(await running.ended, { code: undefined, signal: 9, broke: 'memory', starved: false });
    assert.equal(running.output, '');
  });

  it('goes on when one that it started takes too much memory, which is told', async () => {
    const hog = `const held = Buffer.alloc(200 << 20, 1); setInterval(() => held.fill(2), 1e3)`;
    const running = await run(`"${process.execPath}" -e "${hog}" || echo $?`, { memoryBytes: 150 << 20 });
    assert.deepEqual(await running.ended, { code: 0, signal: undefined, broke: undefined, starved: true });
    assert.match(running.output, /stdout: 137\n/);
  });

  it('is stopped when its time is over', async () => {
    assert.equal((await (await run('sleep 600', { activeMs: 20 })).ended).broke, 'time');
  });

  it('is not left behind when whoever started it is killed by SIGKILL', async () => {
    const parent = spawn(process.execPath, ['--input-type=module', '-e', parentScript(folder)], { stdio: 'ignore' });
    const pids = await eventually(() => {
      const found = pidsIn(folder);
      assert.equal(found.length, 3);
      return found;
    });
    assert.equal(alive(pids).length, 3);
    parent.kill('SIGKILL');
    await eventually(() => assert.deepEqual(alive(pids), []));
  });
});

/** A program like the sandbox: it starts a container that starts others, one of which ignores signals, and goes on. */
function parentScript(folder: string): string {
  const here = import.meta.dirname;
  return `
    import { createSupervisor } from '${here}/supervisor.ts';
    import { createMemoryWatch } from '${here}/memory.ts';
    import { systemClock } from '${here}/../../../clock.ts';
    const start = createSupervisor({ clock: systemClock, memory: createMemoryWatch(), folder: ${JSON.stringify(folder)} });
    await start({
      program: '/bin/sh',
      args: ['-c', 'trap "" TERM HUP; sleep 600 & echo $! >> pids; (trap "" TERM; exec sleep 601) & echo $! >> pids; echo $$ >> pids; wait'],
      env: { PATH: '/usr/bin:/bin' },
      folder: ${JSON.stringify(folder)},
      memoryBytes: 1e9, outputBytes: 1e6, activeMs: 1e6,
      onOutput() {},
    });
    setInterval(() => {}, 1000);
  `;
}

function pidsIn(folder: string): number[] {
  const file = join(folder, 'pids');
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number) : [];
}

/** Those that still run; one that is dead and only not yet buried does not count. */
function alive(pids: readonly number[]): number[] {
  return pids.filter((pid) => {
    try {
      process.kill(pid, 0);
      return !existsSync('/proc/self/stat') || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return false;
    }
  });
}
