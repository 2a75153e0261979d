/** What a state folder says about itself: with which settings and parts its cluster was raised, and on which boot. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Fault } from '../../src/fault.ts';
import type { Parts } from './parts.ts';
import { bootId } from './processes.ts';
import type { Settings } from './settings.ts';

/** Written before anything is started, so that whatever is there later can be told and taken down. */
export interface ClusterRecord {
  readonly settings: Settings;
  readonly parts: Parts;
  readonly bootId: string;
  readonly since: string;
}

/** The record in a state folder, or undefined if no cluster was ever begun there. */
export async function readRecord(folder: string): Promise<ClusterRecord | undefined> {
  const text = await readFile(recordPath(folder), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}

/** Makes the folder and writes its record. Throws a Fault rather than adopt a folder with somebody else's files. */
export async function writeRecord(settings: Settings, parts: Parts): Promise<ClusterRecord> {
  const { folder } = settings;
  if (existsSync(folder) && (await readdir(folder)).some((entry) => !entry.startsWith('cluster.json'))) {
    throw new Fault(
      'refused',
      `${folder} holds files, but no cluster of ours: \`down\` would delete them. Set RUNGATE_CLUSTER_DIR to an empty folder.`,
    );
  }
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const record: ClusterRecord = { settings, parts, bootId: await bootId(), since: new Date().toISOString() };
  await writeFile(`${recordPath(folder)}.half`, JSON.stringify(record, undefined, 2));
  await rename(`${recordPath(folder)}.half`, recordPath(folder));
  return record;
}

/** In words, what differs between how a cluster was raised and what is asked for now; empty if nothing does. */
export function differences(record: ClusterRecord, settings: Settings, parts: Parts): string[] {
  const said: string[] = [];
  const [before, now] = [record.settings.ports.apiServer, settings.ports.apiServer];
  if (before !== now) said.push(`RUNGATE_CLUSTER_PORT was ${before} and is ${now}`);
  for (const [name, folder] of Object.entries(parts)) {
    // The name follows from what was built; the folder around it is only a cache.
    if (basename(record.parts[name as keyof Parts] ?? '') !== basename(folder))
      said.push(`${name} has another version now`);
  }
  return said;
}

function recordPath(folder: string): string {
  return join(folder, 'cluster.json');
}
