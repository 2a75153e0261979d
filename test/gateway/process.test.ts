/** The program as a person or a pod starts it: flags, mistakes, signals, exit codes. */
import assert from 'node:assert/strict';
import { checkout } from '../support/gateway.ts';
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
