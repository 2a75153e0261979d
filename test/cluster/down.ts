/** Takes the cluster down, so that nothing of it is left on the machine but the built parts in the cache. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { holdLock } from './lock.ts';
import { requireMachine } from './machine.ts';
import { bridgeOwner, lowerNetwork } from './network.ts';
import { clearLeftovers } from './parts.ts';
import { endPods, removeTraces, unmountAll } from './pods.ts';
import { recordedNames, stop } from './processes.ts';
import { everyProgram } from './programs.ts';
import type { Progress } from './progress.ts';
import { readRecord } from './record.ts';
import type { Settings } from './settings.ts';

/** Removes the cluster in the state folder, whole or half raised. Nothing there is fine, and said. */
export async function down(settings: Settings, progress: Progress): Promise<void> {
  requireMachine();
  await using _lock = await holdLock();
  await clearLeftovers(settings.cache);
  const { folder } = settings;
  if ((await readRecord(folder)) === undefined) {
    const owner = await bridgeOwner();
    const elsewhere =
      owner !== undefined && owner !== folder ? ` There is one in ${owner}: set RUNGATE_CLUSTER_DIR to that.` : '';
    progress.say(`No cluster in ${folder}.${elsewhere}`);
    return;
  }
  await progress.during('taking the cluster down', () => lower(folder));
}

/** The work of `down`, for whoever holds the lock already. Killed half-way, it can be done again. */
export async function lower(folder: string): Promise<void> {
  const record = await readRecord(folder);
  const known = record ? everyProgram(record.settings, record.parts).map(({ name }) => name) : [];
  // And whatever else was recorded here, by an older or newer checkout.
  for (const name of new Set([...known.reverse(), ...recordedNames(folder)])) await stop(folder, name);
  await endPods(folder);
  await removeTraces(folder);
  await unmountAll(folder);
  await lowerNetwork(folder);
  // The record goes with the folder, last: until then, another `down` knows that there is something to do.
  for (const entry of await readdir(folder)) {
    if (!entry.startsWith('cluster.json')) await rm(join(folder, entry), { recursive: true, force: true });
  }
  await rm(folder, { recursive: true, force: true });
}
