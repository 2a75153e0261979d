/** What a sandbox knows, kept in a file from one start to the next. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import type { Memory, Snapshot } from './api/memory.ts';

/** A file with a snapshot of the memory. Only this user may read it: there are secrets in it. */
export interface StateFile {
  /** Puts its content into an empty memory; nothing happens when there is no file. Throws a Fault for one that cannot be used. */
  load(): Promise<void>;
  /** Writes the memory, unless it is as it was; nothing before `load` has succeeded, because that is not what was kept. */
  save(): Promise<void>;
  /** Saves now and then until `signal` aborts, so that a process that is killed loses little. */
  keepSaving(signal: AbortSignal): Promise<void>;
}

const EVERY_MS = 5_000;

/** Keeps `memory` in `file`. */
export function stateFile(file: string, memory: Memory, clock: Clock): StateFile {
  let saved = -1;
  let loaded = false;
  let saving = Promise.resolve();

  async function write(): Promise<void> {
    const { resourceVersion } = memory;
    if (!loaded || saved === resourceVersion) return;
    const unfinished = `${file}.new`;
    await writeFile(unfinished, JSON.stringify(memory.snapshot()), { mode: 0o600 });
    await rename(unfinished, file); // at once: whoever is killed leaves the old state or the new one
    saved = resourceVersion;
  }

  function save(): Promise<void> {
    saving = saving.catch(() => {}).then(write);
    return saving;
  }

  return {
    async load() {
      const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
      try {
        if (text !== undefined) memory.restore(JSON.parse(text) as Snapshot); // our own file, which nobody else is meant to write
      } catch (error) {
        throw new Fault('refused', `${file} is no state of a sandbox; remove it to begin anew`, { cause: error });
      }
      loaded = true;
    },
    save,
    async keepSaving(signal) {
      while (!signal.aborted) {
        await clock.sleep(EVERY_MS, signal);
        // What is wrong with the disk may pass; at the end it is told.
        if (!signal.aborted) await save().catch(() => {});
      }
    },
  };
}
