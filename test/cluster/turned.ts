/**
 * Which knobs are turned, and where they stood before: a suite that is killed leaves them turned, and the next `up`
 * reads here how to turn them back.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Identity, identify, isAlive } from './processes.ts';

/** A knob of `knobs.ts`. */
export type Knob = 'kubelet-logging' | 'feature-flags' | 'flux-events';

/** What a knob sets, by name; null is "not set". */
export type Positions = Readonly<Record<string, string | number | null>>;

interface Note {
  readonly knob: Knob;
  /** Where it stood before anyone turned it. */
  readonly before: Positions;
  /** Whoever turned it last. While that process lives, turning back is its business. */
  readonly by: Identity | undefined;
}

/** Notes where a knob stands, before it is turned. What an earlier turn has noted stays: that is where it began. */
export async function noteBefore(folder: string, knob: Knob, before: Positions): Promise<void> {
  const earlier = await read(folder, knob);
  await write(folder, { knob, before: { ...before, ...earlier?.before }, by: identify(process.pid) });
}

/** Takes the note away once a knob stands where it began. A turn inside another one leaves the outer one's note. */
export async function noteRestored(folder: string, knob: Knob, restored: Positions): Promise<void> {
  const note = await read(folder, knob);
  if (!note) return;
  const still = Object.entries(note.before).filter(([name, value]) => restored[name] !== value);
  if (still.length === 0) await rm(notePath(folder, knob), { force: true });
  else await write(folder, { ...note, before: Object.fromEntries(still) });
}

/** A knob that is turned. */
export interface TurnedKnob {
  readonly knob: Knob;
  /** Where it stood. */
  readonly before: Positions;
  /** The process that turned it, if it still lives. */
  readonly by: Identity | undefined;
}

/** The knobs that are turned now. */
export async function turnedKnobs(folder: string): Promise<TurnedKnob[]> {
  if (!existsSync(notesFolder(folder))) return [];
  const knobs = (await readdir(notesFolder(folder))).filter((file) => file.endsWith('.json'));
  const notes = await Promise.all(knobs.map((file) => read(folder, file.replace(/\.json$/, '') as Knob)));
  return notes
    .filter((note) => note !== undefined)
    .map(({ knob, before, by }) => ({ knob, before, by: by && isAlive(by) ? by : undefined }));
}

async function read(folder: string, knob: Knob): Promise<Note | undefined> {
  const text = await readFile(notePath(folder, knob), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}

async function write(folder: string, note: Note): Promise<void> {
  await mkdir(notesFolder(folder), { recursive: true });
  const path = notePath(folder, note.knob);
  await writeFile(`${path}.half`, JSON.stringify(note));
  await rename(`${path}.half`, path);
}

function notePath(folder: string, knob: Knob): string {
  return join(notesFolder(folder), `${knob}.json`);
}

function notesFolder(folder: string): string {
  return join(folder, 'knobs');
}
