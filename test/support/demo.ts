/** `rungate demo` as a child process, as a stranger starts it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { checkout, type Exit } from './gateway.ts';

/** A demo on its way. */
export interface SpawnedDemo {
  /** Everything it printed. */
  output(): string;
  readonly pid: number;
  /** Resolves when it has ended. */
  readonly exit: Promise<Exit>;
  /** Sends a signal to it, as Ctrl-C does, and resolves when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
  /** Closes our end of what it prints into. */
  stopReading(): void;
}

/** A demo that has greeted. */
export interface Demo extends SpawnedDemo {
  /** What the greeting says to use. */
  readonly url: string;
  readonly kubeconfig: string;
}

/** How it is started. */
export interface DemoStart {
  readonly args?: readonly string[];
  readonly env?: object;
}

const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Starts it in `folder` and resolves with its greeting. Throws with what it printed when there is none. */
export async function startDemo(folder: string, options: DemoStart = {}): Promise<Demo> {
  const demo = spawnDemo(folder, options);
  const read = (pattern: RegExp) => {
    const found = pattern.exec(demo.output())?.[1];
    if (found === undefined) throw new Error(`the demo did not say ${pattern}; it said:\n${demo.output()}`);
    return found;
  };
  const greeted = () => ({ url: read(/(https?:\/\/localhost:\d+)/), kubeconfig: read(/export KUBECONFIG=(\S+)/) });
  let ended = false;
  void demo.exit.then(() => {
    ended = true;
  });
  await eventually(() => void (ended || greeted()), { withinMs: 120_000 });
  return { ...demo, ...greeted() };
}

/** Starts it in `folder`. */
export function spawnDemo(folder: string, { args = [], env = {} }: DemoStart = {}): SpawnedDemo {
  const child = spawn(process.execPath, [`${checkout}bin/rungate.js`, 'demo', ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (printed += text));
  const exit = new Promise<Exit>((resolve) => {
    child.on('close', (code, signal) => {
      children.delete(child);
      resolve({ code, signal });
    });
  });
  return {
    output: () => printed,
    pid: child.pid ?? 0,
    exit,
    stop: (signal = 'SIGINT') => {
      child.kill(signal);
      return exit;
    },
    stopReading() {
      child.stdout.destroy();
      child.stderr.destroy();
    },
  };
}

/** Processes that work in `folder` or were started with a path in it: pid and command line. Linux only. */
export function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const command = readFileSync(join('/proc', pid, 'cmdline'), 'utf8')
          .replaceAll('\0', ' ')
          .trim();
        const place = readlinkSync(join('/proc', pid, 'cwd'));
        return place.startsWith(folder) || command.includes(folder) ? [`${pid} ${command}`] : [];
      } catch {
        return []; // it has ended meanwhile
      }
    });
}
