/**
 * The cluster's programs as processes of this machine: started so that they outlive us, recorded so that
 * nothing else is ever signalled.
 *
 * A pid alone may belong to someone else by now. Pid, start time and boot together do not, so a record holds
 * all three, and every signal is preceded by a look at them.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault } from '../../src/fault.ts';
import { eventually } from './waiting.ts';

/** A program to keep running. */
export interface Program {
  /** Names its record and its log. */
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Which process is meant, beyond doubt on this boot of this machine. */
export interface Identity {
  readonly pid: number;
  /** In clock ticks since boot, as in /proc/PID/stat. */
  readonly startTime: string;
}

// The shell writes the record about itself and then becomes the program: pid and start time stay what they were.
// So no moment exists at which the program runs unrecorded, not even if we are killed between two instructions.
const recordThenBecome = `record=$1; shift
{ cat /proc/sys/kernel/random/boot_id "/proc/$$/stat"; } >"$record.new" && mv "$record.new" "$record" && exec "$@"`;

/** Starts a program unless it runs already, and returns who it is. Its output is appended to `logPath`. */
export async function start(folder: string, program: Program): Promise<Identity> {
  const already = running(folder, program.name);
  if (already) return already;
  mkdirSync(join(folder, 'processes'), { recursive: true });
  mkdirSync(join(folder, 'logs'), { recursive: true });
  const log = openSync(logPath(folder, program.name), 'a');
  const child = spawn(
    '/bin/sh',
    ['-c', recordThenBecome, 'sh', recordPath(folder, program.name), program.file, ...program.args],
    {
      detached: true, // a session of its own: Ctrl-C in our terminal is not meant for it
      stdio: ['ignore', log, log],
      cwd: program.cwd ?? '/',
      env: { ...process.env, ...program.env },
    },
  );
  closeSync(log);
  let ended = false;
  child.once('error', () => (ended = true));
  child.once('exit', () => (ended = true));
  child.unref();
  return eventually(`the record of ${program.name}`, 10_000, async () => {
    const identity = running(folder, program.name);
    if (!identity && ended) throw stopped(folder, program.name);
    return identity?.pid === child.pid ? identity : undefined;
  });
}

/** The names that were ever started here and not stopped. */
export function recordedNames(folder: string): string[] {
  const records = join(folder, 'processes');
  return existsSync(records) ? readdirSync(records).filter((name) => !name.endsWith('.new')) : [];
}

/** Who runs under this name, or undefined if nobody does. */
export function running(folder: string, name: string): Identity | undefined {
  const record = readRecord(folder, name);
  return record && isAlive(record) ? record : undefined;
}

/** Ends what runs under this name: asked first, forced after `graceMs`. Nothing running is fine. */
export async function stop(folder: string, name: string, graceMs = 5000): Promise<void> {
  const identity = running(folder, name);
  if (identity) await end(identity, graceMs);
  rmSync(recordPath(folder, name), { force: true });
}

/** Ends one process: SIGTERM, and SIGKILL after `graceMs` (at once if that is 0). */
export async function end(identity: Identity, graceMs: number): Promise<void> {
  if (graceMs > 0) {
    signal(identity, 'SIGTERM');
    const gone = await eventually('', graceMs, async () => !isAlive(identity) || undefined, 20).catch(() => false);
    if (gone) return;
  }
  signal(identity, 'SIGKILL');
  await eventually(`the end of process ${identity.pid}`, 30_000, async () => !isAlive(identity) || undefined, 20);
}

/** The process that has this pid now, or undefined. */
export function identify(pid: number): Identity | undefined {
  const now = lookUp(pid);
  return now && { pid, startTime: now.startTime };
}

/** Whether this very process still runs; a pid that went to another one does not count, nor does a zombie. */
export function isAlive(identity: Identity): boolean {
  const now = lookUp(identity.pid);
  return now !== undefined && now.startTime === identity.startTime && now.state !== 'Z' && now.state !== 'X';
}

/**
 * Writes a program's configuration, unless the file holds exactly that. kube-proxy ends itself when its file is
 * written, changed or not.
 */
export async function settle(path: string, content: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) !== content) await writeFile(path, content);
}

/** Where a program's output goes. */
export function logPath(folder: string, name: string): string {
  return join(folder, 'logs', `${name}.log`);
}

/** The Fault for a program that should be running and is not, with the end of its log. */
export function stopped(folder: string, name: string): Fault {
  const path = logPath(folder, name);
  let last = '';
  try {
    last = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
  } catch {
    // no log: it did not get as far as writing one
  }
  return new Fault('unavailable', `${name} has stopped. The end of ${path}:\n${last}`);
}

/** A value that is new with every boot; what was recorded before it cannot be running. */
export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

function signal(identity: Identity, name: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // ended between the look and the signal
  }
}

function recordPath(folder: string, name: string): string {
  return join(folder, 'processes', name);
}

function readRecord(folder: string, name: string): Identity | undefined {
  try {
    const [boot = '', stat = ''] = readFileSync(recordPath(folder, name), 'utf8').split('\n');
    if (boot !== readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) return undefined;
    const parsed = parseStat(stat);
    return parsed && { pid: parsed.pid, startTime: parsed.startTime };
  } catch {
    return undefined;
  }
}

function lookUp(pid: number): ReturnType<typeof parseStat> {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** proc_pid_stat(5): the second field is a name in parentheses that may itself hold spaces and parentheses. */
function parseStat(line: string): { pid: number; state: string; startTime: string } | undefined {
  const rest = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const [state, startTime] = [rest[0], rest[19]];
  return state && startTime ? { pid: Number.parseInt(line, 10), state, startTime } : undefined;
}
