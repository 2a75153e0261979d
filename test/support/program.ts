/** Runs real programs, as a person or a CI job would, to their end. */
import { spawn } from 'node:child_process';

/** What a program left behind. */
export interface Ran {
  /** Its exit code; undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run it. `input` goes to standard input; `env` is all of its environment, ours when left out. */
export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Ended with SIGKILL after so long; 280 s unless told, a little less than a test on the cluster has. */
  readonly withinMs?: number;
}

/** Runs a program and resolves when it has ended, however that was; rejects only when it cannot be started. */
export function runProgram(file: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { input, env, cwd, withinMs = 280_000 } = options;
  const child = spawn(file, args, { env: { ...(env ?? process.env) }, cwd, timeout: withinMs, killSignal: 'SIGKILL' });
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
  child.stderr.on('data', (piece: Buffer) => stderr.push(piece));
  child.stdin.on('error', () => {}).end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({
        code: code ?? undefined,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      }),
    );
  });
}
