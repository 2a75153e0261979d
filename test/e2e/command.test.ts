/** The command as a person first meets it. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout } from '../support/gateway.ts';
import { runProgram } from '../support/program.ts';

describe('the rungate command', () => {
  const bare = { PATH: process.env.PATH };
  const rungate = (...args: string[]) =>
    runProgram(process.execPath, [`${checkout}bin/rungate.js`, ...args], { env: bare });

  it('--help names every flag and every setting, and ends with 0', async () => {
    const { code, stdout, stderr } = await rungate('--help');
    assert.deepEqual([code, stderr], [0, '']);
    for (const word of ['--help', '--version', '--kubeconfig', 'PORT', 'NAMESPACE', 'AUTH_USERNAME', 'KUBECONFIG']) {
      assert.ok(stdout.includes(word), `${word} is missing`);
    }
  });

  it('--version is that of package.json', async () => {
    const { version } = JSON.parse(await readFile(`${checkout}package.json`, 'utf8')) as { version: string };
    assert.deepEqual(await rungate('--version'), { code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('all mistakes of the configuration are told at once, and end it with 2', async () => {
    const env = { ...bare, PORT: 'http', NAMESPACE: 'No_Namespace' };
    const { code, stdout, stderr } = await runProgram(process.execPath, [`${checkout}bin/rungate.js`], { env });
    assert.deepEqual([code, stdout], [2, '']);
    for (const setting of ['PORT', 'NAMESPACE', 'AUTH_USERNAME', 'AUTH_PASSWORD'])
      assert.match(stderr, new RegExp(setting));
  });

  it('an unknown flag is refused with 2', async () => {
    const { code, stderr } = await rungate('--no-such-flag');
    assert.equal(code, 2);
    assert.match(stderr, /--no-such-flag/);
  });

  it('an older Node.js gets one sentence instead of a stack', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rungate-test-'));
    try {
      // No older Node needs to be there: this one says that it is.
      const older = join(folder, 'older.cjs');
      await writeFile(
        older,
        "for (const [object, key, value] of [[process.versions, 'node', '20.20.2'], [process, 'version', 'v20.20.2']]) Object.defineProperty(object, key, { value });",
      );
      const { code, stdout, stderr } = await runProgram(
        process.execPath,
        ['--require', older, `${checkout}bin/rungate.js`],
        { env: bare },
      );
      assert.deepEqual([code, stdout], [1, '']);
      assert.equal(stderr, 'rungate needs Node.js 24 or newer; this is v20.20.2.\n');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
