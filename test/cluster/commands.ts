/** Runs a program to its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Fault } from '../../src/fault.ts';

/** How to run it. */
export interface RunOptions {
  /** Written to standard input; without it the program reads nothing. */
  readonly input?: string;
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Goes on when we are killed or interrupted: half an installation is worse than a whole one. */
  readonly outlivesUs?: boolean;
  /** Ended after this long. Default: two minutes. */
  readonly timeoutMs?: number;
}

const foreground = new Set<ChildProcess>();

// A program that we wait for must not outlive us, even if we are killed: it would still write to a cluster that is
// being taken down. The kernel sees to that, where this small program of util-linux can ask it to.
const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

/** Standard output of a program that ended well. Throws a Fault with the command and what it wrote to standard error. */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { input, env = {}, cwd, outlivesUs = false, timeoutMs = 120_000 } = options;
  const bound = setpriv !== undefined && !outlivesUs;
  const child = spawn(bound ? setpriv : file, bound ? ['--pdeathsig', 'KILL', file, ...args] : args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    timeout: timeoutMs,
  });
  if (!outlivesUs) foreground.add(child);
  const [output, complaints]: [string[], string[]] = [[], []];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => output.push(text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => complaints.push(text));
  // A program that ends before it has read everything is judged by its exit code, not by our broken pipe.
  child.stdin?.on('error', () => {}).end(input);
  return new Promise((resolve, reject) => {
    const failed = (how: string, cause?: unknown) => {
      const command = [file, ...args].join(' ');
      const said = complaints.join('').trim() || output.join('').trim().slice(-2000);
      reject(new Fault('unavailable', `${command}: ${how}${said && `\n${said}`}`, { cause }));
    };
    child.on('error', (cause) => {
      foreground.delete(child);
      failed(cause.message, cause);
    });
    child.on('close', (code, signal) => {
      foreground.delete(child);
      if (code === 0) resolve(output.join(''));
      else failed(signal ? `ended by ${signal}` : `exit code ${code}`);
    });
  });
}

/** As `run`, but any failure is the answer `undefined`: for questions, where "no" is not an error. */
export async function ask(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string | undefined> {
  return run(file, args, options).catch(() => undefined);
}

/** Ends the programs that `run` is waiting for. For the moment when we are interrupted ourselves. */
export function endForeground(): void {
  for (const child of foreground) child.kill('SIGKILL');
}
