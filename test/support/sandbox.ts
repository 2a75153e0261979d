/** A sandbox for one test, over HTTPS as everybody meets it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import { createSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox.ts';

/** A sandbox that runs. */
export interface RunningSandbox extends Sandbox {
  readonly folder: string;
  /** Stops it and removes its folder. Calling it twice is harmless. */
  end(): Promise<void>;
}

/** Starts a sandbox without life unless `options` ask for it, in a folder of its own. */
export async function startSandbox(options: Partial<SandboxOptions> = {}): Promise<RunningSandbox> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'sandbox-')));
  const sandbox = createSandbox({ clock: systemClock, log: silentLog, life: false, ...options, folder });
  await sandbox.start();
  let ended: Promise<void> | undefined;
  const end = async () => {
    await sandbox.stop(AbortSignal.abort());
    if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
  };
  return Object.assign(sandbox, { folder, end: () => (ended ??= end()) });
}
