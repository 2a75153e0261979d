/** From a container's command to a running program of this machine: paths mapped, scripts copied, bounds set. */
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import type { Environment } from './environment.ts';
import type { LogFile, Stream } from './logfile.ts';
import type { ContainerPaths } from './mounts.ts';
import type { ProcessEnd, StartProcess } from './process.ts';
import { findProgram, interpreterOf } from './program.ts';

/** How a container is asked to end: first politely, then not. */
export interface Stopping {
  readonly term: AbortSignal;
  readonly kill: AbortSignal;
}

/** What every program of one container has in common. */
export interface LaunchParts {
  readonly start: StartProcess;
  readonly paths: ContainerPaths;
  readonly log: LogFile;
  /** Variables that every program gets; the container's own replace them. */
  readonly base: Environment;
  /** A folder that nobody else uses. */
  readonly scratch: string;
  /** The container's working directory, a path of the container. */
  readonly workingDir: string;
  readonly memoryBytes: number;
  readonly outputBytes: number;
  readonly activeMs: number;
  /** Who is asked to end: a container's first process, or, where Tekton's entrypoint is that, all that it started. */
  readonly asks: 'first' | 'all';
  /** The program runs, or would have run if a path in it were not written out. */
  onStart(): void;
}

/** Files of the container, by stream, that output is copied into besides the log. */
export type Copies = { readonly [stream in Stream]?: string | undefined };

/** What became of a command. */
export type Launched =
  | ({ readonly at: 'ended' } & ProcessEnd)
  /** There is no such program, in the words of whoever would have started it. */
  | { readonly at: 'missing'; readonly program: string; readonly why: string; readonly path: boolean }
  /** It names a path of the container that only a variable can name here; the log says so. */
  | { readonly at: 'literal' };

/** A step's scripts lie here. */
const scriptsFolder = '/tekton/scripts/';

/**
 * Runs a command to its end. Its output goes to the log, as does what keeps it from running. Rejects, when nothing of it
 * runs any more, if the output could not be written.
 */
export async function launch(
  command: readonly string[],
  variables: Environment,
  stopping: Stopping,
  parts: LaunchParts,
  copies: Copies = {},
): Promise<Launched> {
  const { paths, log, start } = parts;
  const [program = '', ...args] = command;
  const script = readScript(program, paths);
  const literal = [...(script === undefined ? command : [script, ...args]), ...variables.values()]
    .map((text) => paths.literalIn(text))
    .find((found) => found !== undefined);
  if (literal !== undefined) {
    parts.onStart();
    for (const line of explainLiteral(literal)) log.say('stderr', line);
    return { at: 'literal' };
  }
  const env = Object.fromEntries([...parts.base, ...variables].map(([name, value]) => [name, paths.resolveIn(value)]));
  const folder = paths.folder(parts.workingDir, '/');
  mkdirSync(folder, { recursive: true });
  const line = [
    script === undefined ? mapped(program, paths) : copyOf(script, program, parts),
    ...args.map(paths.resolveIn),
  ];
  const [named = '', ...rest] = script === undefined ? line : interpreted(script, line);
  const found = findProgram(named, { searchPath: env.PATH ?? '', folder });
  if ('missing' in found) return { at: 'missing', program, why: found.missing, path: program.includes('/') };
  const unkept = new AbortController();
  const process = await start({
    program: found.program,
    args: rest,
    env,
    folder,
    memoryBytes: parts.memoryBytes,
    outputBytes: parts.outputBytes,
    activeMs: parts.activeMs,
    onOutput(stream, chunk) {
      try {
        log.write(stream, chunk);
        const copy = copies[stream];
        if (copy) append(paths.resolve(copy), chunk);
        if (log.failure !== undefined) throw log.failure;
      } catch (error) {
        unkept.abort(error);
      }
    },
  });
  parts.onStart();
  const ended = new AbortController();
  when(stopping.kill, ended.signal, () => process.kill());
  when(unkept.signal, ended.signal, () => process.kill());
  when(stopping.term, ended.signal, () => process.terminate(parts.asks));
  const end = await process.ended;
  ended.abort();
  if (unkept.signal.aborted) throw new Error(`its output could not be kept: ${unkept.signal.reason.message}`);
  if (end.broke !== undefined) log.say('stderr', explainBound(end.broke, parts));
  else if (end.starved) log.say('stderr', `sandbox: a process was stopped: ${overMemory(parts)}`);
  return { at: 'ended', ...end };
}

/** Calls `on` when `signal` aborts, or at once when it has; no more once `over` has. */
export function when(signal: AbortSignal, over: AbortSignal, on: () => void): void {
  if (signal.aborted) on();
  else signal.addEventListener('abort', on, { once: true, signal: over });
}

function append(file: string, chunk: Buffer): void {
  mkdirSync(dirname(file), { recursive: true });
  appendFileSync(file, chunk);
}

/** The text of a script that the command is; undefined when it is a program. */
function readScript(program: string, paths: ContainerPaths): string | undefined {
  if (!program.startsWith(scriptsFolder)) return undefined;
  const file = paths.resolve(program);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** The script with its paths resolved as this container sees them, in a file of its own. */
function copyOf(script: string, program: string, { paths, scratch }: LaunchParts): string {
  mkdirSync(scratch, { recursive: true });
  const file = join(scratch, posix.basename(program));
  writeFileSync(file, paths.resolveIn(script));
  chmodSync(file, 0o755);
  return file;
}

/** The line that runs a script: its interpreter before it. Without one the system would not run it. */
function interpreted(script: string, line: readonly string[]): readonly string[] {
  const interpreter = interpreterOf(script);
  return interpreter === undefined ? line : [...interpreter, ...line];
}

/** A program that lies in a mounted volume is the file that stands for it. */
function mapped(program: string, paths: ContainerPaths): string {
  const resolved = paths.resolveIn(program);
  if (resolved !== program || !program.startsWith('/')) return resolved;
  const file = paths.resolve(program);
  return existsSync(file) && statSync(file).isFile() ? file : program;
}

function explainLiteral(path: string): string[] {
  return [
    `sandbox: the path ${path} is written out, but here a container has no file system of its own, so it would be a path of your machine.`,
    'sandbox: write a variable instead: $(workspaces.<name>.path), $(results.<name>.path), $(step.results.<name>.path)' +
      ` or $(credentials.path); in a pod that is not Tekton's, $(sandbox:${path}).`,
  ];
}

function explainBound(
  broke: NonNullable<ProcessEnd['broke']>,
  { memoryBytes, outputBytes, activeMs }: LaunchParts,
): string {
  switch (broke) {
    case 'memory':
      return `sandbox: stopped: ${overMemory({ memoryBytes })}`;
    case 'output':
      return `sandbox: stopped: it wrote more than the ${outputBytes} bytes of output it may write`;
    case 'time':
      return `sandbox: stopped: it ran longer than the ${activeMs / 1_000} seconds it may run`;
  }
}

function overMemory({ memoryBytes }: Pick<LaunchParts, 'memoryBytes'>): string {
  return `together its processes used more than the ${memoryBytes} bytes of memory that it may have`;
}
