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

const start = createSupervisor({ clock: systemClock, memory: createMemoryWatch({ everyMs: 20 }) });

describe('a supervised process', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'supervisor-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function run(script: string, plan: Partial<ProcessPlan> = {}): { readonly process: RunningProcess; output: string } {
    const running = { output: '' };
    const process = start({
      program: '/bin/sh',
      args: ['-c', script],
      env: { PATH: '/usr/bin:/bin', LANG: 'C' },
      folder,
      memoryBytes: 1 << 30,
      outputBytes: 1 << 20,
      activeMs: 60_000,
      onOutput(stream, chunk) {
        running.output += `${stream}: ${chunk}`;
      },
      ...plan,
    });
    return Object.assign(running, { process });
  }

  const endings: readonly { readonly script: string; readonly want: object }[] = [
    { script: 'exit 0', want: { code: 0, signal: undefined, broke: undefined } },
    { script: 'exit 137', want: { code: 137, signal: undefined, broke: undefined } },
    { script: 'kill -9 $$', want: { code: undefined, signal: 9, broke: undefined } },
    { script: 'kill -9 0', want: { code: undefined, signal: 9, broke: undefined } },
    { script: 'kill 0', want: { code: undefined, signal: 15, broke: undefined } },
  ];
  for (const { script, want } of endings) {
    it(`tells how it ended: ${script}`, async () => {
      assert.deepEqual(await run(script).process.ended, want);
    });
  }

  it('hands on its output, and has handed on all when it has ended', async () => {
    const { process, ...rest } = run('echo one; echo two >&2');
    await process.ended;
    assert.equal(rest.output, '');
    const running = run('echo one; sleep 0.1; echo two >&2');
    await running.process.ended;
    assert.equal(running.output, 'stdout: one\nstderr: two\n');
  });

  it('has the environment it was given and no other, nothing on its input, and no descriptor of ours', async () => {
    const running = run(
      'env | grep -vE "^(PWD|OLDPWD|SHLVL|_)="; cat; ls /proc/self/fd 2>/dev/null | grep -c . || true',
    );
    await running.process.ended;
    const [path, language, descriptors] = running.output
      .replace(/stdout: /g, '')
      .split('\n')
      .sort()
      .reverse();
    assert.deepEqual([path, language], ['PATH=/usr/bin:/bin', 'LANG=C']);
    if (existsSync('/proc/self/fd')) assert.equal(descriptors, '4'); // input, output, errors, and the listing's own
  });

  it('waits for its own children only, not for its watcher', async () => {
    const { process } = run('sleep 0.05 & wait; exit 3');
    assert.equal((await process.ended).code, 3);
  });

  for (const { name, script } of [
    { name: 'what it left in the background', script: 'sleep 600 & echo $! > pids; exit 4' },
    {
      name: 'what ignores being asked',
      script: `sh -c "trap '' TERM; echo \\$\\$ > pids; exec sleep 600" & sleep 0.2; exit 4`,
    },
    { name: 'what job control put into another group', script: 'set -m; sleep 600 & echo $! > pids; exit 4' },
  ]) {
    it(`ends with ${name}`, async function () {
      if (name.includes('job control') && !existsSync('/proc')) return this.skip();
      assert.equal((await run(script).process.ended).code, 4);
      assert.deepEqual(alive(pidsIn(folder)), []);
    });
  }

  it('is asked to end: the first process alone, or all', async () => {
    const first = run(`sh -c "trap 'echo child' TERM; sleep 0.4; :" & trap 'sleep 0.2; exit 7' TERM; echo ready; wait`);
    await eventually(() => assert.match(first.output, /ready/));
    first.process.terminate('first');
    assert.equal((await first.process.ended).code, 7);
    assert.doesNotMatch(first.output, /child/);
    const all = run(`sh -c "trap 'echo child' TERM; echo ready; sleep 0.3" & trap 'wait; exit 7' TERM; wait`);
    await eventually(() => assert.match(all.output, /ready/));
    all.process.terminate('all');
    assert.equal((await all.process.ended).code, 7);
    assert.match(all.output, /child/);
  });

  it('is stopped when it is killed, and killing it again does nothing', async () => {
    const { process } = run('sleep 600');
    process.kill();
    process.kill();
    assert.deepEqual(await process.ended, { code: undefined, signal: 9, broke: undefined });
    process.kill();
    process.terminate('all');
  });

  it('is stopped for too much output, of which the allowed part is kept', async () => {
    const running = run('yes', { outputBytes: 1_000 });
    assert.equal((await running.process.ended).broke, 'output');
    assert.equal(running.output.replace(/stdout: /g, '').length, 1_000);
  });

  it('is stopped for too much memory, its children counted', async () => {
    const hog = `const held = Buffer.alloc(200 << 20, 1); setInterval(() => held.fill(2), 1e3)`;
    const running = run(`"${process.execPath}" -e "${hog}"; echo survived`, { memoryBytes: 150 << 20 });
    assert.deepEqual(await running.process.ended, { code: undefined, signal: 9, broke: 'memory' });
    assert.equal(running.output, '');
  });

  it('is stopped when its time is over', async () => {
    assert.equal((await run('sleep 600', { activeMs: 20 }).process.ended).broke, 'time');
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
    const start = createSupervisor({ clock: systemClock, memory: createMemoryWatch() });
    start({
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
