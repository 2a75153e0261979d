/** The sandbox that is measured, a process of its own. It sends the path of its kubeconfig once it is there, and ends with its parent. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/clock.ts';
import { silentLog } from '../src/log.ts';
import { createSandbox } from '../src/sandbox/sandbox.ts';

const folder = await mkdtemp(join(tmpdir(), 'rungate-bench-'));
const sandbox = createSandbox({ folder, clock: systemClock, log: silentLog, life: process.argv.includes('--life') });
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
