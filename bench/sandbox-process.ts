/** The sandbox that is measured, a process of its own. It sends the path of its kubeconfig once it is there, and ends with its parent. */
import { mkdtemp, rm } from 'node:fs/promises';
import { enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// As `bin/rungate.js` does.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/rungate'));
const [{ systemClock }, { silentLog }, { createSandbox }] = await Promise.all([
  import('../src/clock.ts'),
  import('../src/log.ts'),
  import('../src/sandbox/sandbox.ts'),
]);

const folder = await mkdtemp(join(tmpdir(), 'rungate-bench-'));
const sandbox = createSandbox({
  folder,
  clock: systemClock,
  log: silentLog,
  life: process.argv.includes('--life'),
  ...(process.argv.includes('--unbounded')
    ? { limits: { outputBytes: 2 ** 30, log: { bytes: 2 ** 30, files: 1 } } }
    : {}),
});
await sandbox.start();
process.send?.(sandbox.kubeconfigFile);

// Also when the parent was killed.
process.once('disconnect', async () => {
  await sandbox.stop(AbortSignal.timeout(5000));
  await rm(folder, { recursive: true, force: true });
  process.exit();
});
// The parent ends us; a Ctrl-C at the terminal reaches both.
process.on('SIGINT', () => {});
