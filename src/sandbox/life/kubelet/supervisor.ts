/**
 * Runs a container's program as a local process, and sees to its end. A watcher stays in its process group and holds the
 * other end of a pipe of ours: when the pipe closes, because the program has ended or because this process is gone, even
 * by SIGKILL, the watcher kills the group. Nothing but a POSIX shell is needed. What leaves its session (`setsid`) escapes,
 * and is not waited for.
 */
import { execFile, spawn } from 'node:child_process';
import { closeSync, constants as fsConstants, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Clock } from '../../../clock.ts';
import type { Stream } from './logfile.ts';
import type { MemoryWatch } from './memory.ts';
import type { ProcessEnd, ProcessPlan, RunningProcess, StartProcess } from './process.ts';

/**
 * Starts the watcher, a grandchild, so that the program does not have a child it knows nothing of; then becomes the program.
 * Descriptor 3 is the pipe. `$$` is the program's process, which leads its group and its session. Groups that the
 * program made within its session, as job control does, are found in /proc where there is one.
 */
const becomeWatched = `
( (
  trap '' HUP INT QUIT TERM
  read -r line <&3
  for stat in /proc/[0-9]*/stat; do
    read -r line <"$stat" || continue
    pid=\${stat#/proc/}
    set -- \${line##*) }
    [ "$4" = "$$" ] && [ "$3" != "$$" ] && kill -KILL "\${pid%/stat}"
  done
  kill -KILL 0
) & ) </dev/null >/dev/null 2>&1
exec "$@" 3<&-
`;

/** What a supervisor is made of. */
export interface SupervisorParts {
  readonly clock: Clock;
  readonly memory: MemoryWatch;
  /** Where pipes have their names for a moment. */
  readonly folder: string;
}

/** About what Tekton's entrypoint takes for itself. */
const SMALLEST_BYTES = 32 << 20;

/** How long output is waited for when nothing that could write it ought to be there. */
const OUTLIVING_MS = 500;

/** Starts programs, as many as are asked for. */
export function createSupervisor(parts: SupervisorParts): StartProcess {
  let count = 0;
  return async (plan) => {
    count += 1;
    return supervise(plan, await openPipes(join(parts.folder, `pipe-${count}`)), parts);
  };
}

function supervise(plan: ProcessPlan, pipes: Record<Stream, Pipe>, { clock, memory }: SupervisorParts): RunningProcess {
  const child = spawn('/bin/sh', ['-c', becomeWatched, 'container', plan.program, ...plan.args], {
    cwd: plan.folder,
    env: { ...plan.env, NODE_V8_COVERAGE: undefined }, // which Node hands on otherwise, whatever it is told
    detached: true, // a session and a group of its own
    stdio: ['ignore', pipes.stdout.write, pipes.stderr.write, 'pipe'],
  });
  closeSync(pipes.stdout.write);
  closeSync(pipes.stderr.write);
  const { pid } = child;
  if (pid === undefined) {
    child.on('error', () => {}); // says later what is said here
    throw new Error(`no shell can be started in ${plan.folder}`);
  }
  const over = new AbortController();
  let broke: ProcessEnd['broke'];
  let starved = false;
  let exited = false;
  const stop = (bound: ProcessEnd['broke']) => {
    if (exited) return;
    broke ??= bound;
    signal(-pid, 'SIGKILL');
  };
  // As the kernel does it, the largest process goes; with the first one goes the container, and so it does when so little
  // was allowed that what starts the program would hardly fit.
  const unwatch = memory.watch(pid, plan.memoryBytes, (largest) => {
    if (largest === pid || plan.memoryBytes < SMALLEST_BYTES) return stop('memory');
    starved = true;
    signal(largest, 'SIGKILL');
  });
  void clock.sleep(plan.activeMs, over.signal).then(() => {
    if (!over.signal.aborted) stop('time');
  });
  let left = plan.outputBytes;
  const take = (stream: Stream) => (chunk: Buffer) => {
    const fits = chunk.length <= left ? chunk : chunk.subarray(0, left);
    left -= fits.length;
    if (fits.length > 0) plan.onOutput(stream, fits);
    if (fits.length < chunk.length) stop('output');
  };

  /** Resolves when the program has ended, the watcher has ended the rest, and all output has been handed on. */
  async function theEnd(group: number): Promise<ProcessEnd> {
    const outputs = [read(pipes.stdout, take('stdout')), read(pipes.stderr, take('stderr'))];
    const lifeline = child.stdio[3] as Socket; // what Node makes of the fourth of the stdio above
    lifeline.on('error', () => {}).resume(); // nothing is ever written to it
    const watcherGone = new Promise<void>((resolve) => lifeline.once('close', () => resolve()));
    const [code, name]: [number | null, NodeJS.Signals | null] = await new Promise((resolve) => {
      child.once('exit', (...exit) => resolve(exit));
    });
    exited = true;
    over.abort();
    unwatch();
    lifeline.end();
    await watcherGone;
    signal(-group, 'SIGKILL'); // in case the program had ended its watcher
    await drain(outputs, clock);
    return {
      code: code ?? undefined,
      signal: name === null ? undefined : constants.signals[name],
      broke,
      starved,
    };
  }

  return {
    ended: theEnd(pid),
    terminate(whom) {
      if (!exited) signal(whom === 'all' ? -pid : pid, 'SIGTERM');
    },
    kill: () => stop(undefined),
  };
}

interface Pipe {
  readonly read: number;
  readonly write: number;
}

/**
 * Two pipes. Node's own would be sockets, which a script cannot open again by name, and `> /dev/stderr` is common.
 * They get a name only to be opened.
 */
async function openPipes(path: string): Promise<Record<Stream, Pipe>> {
  const names = [`${path}-stdout`, `${path}-stderr`] as const;
  await promisify(execFile)('mkfifo', ['-m', '600', ...names], { env: { PATH: '/usr/bin:/bin' } });
  const [stdout, stderr] = names.map((name) => {
    const pipe = {
      // Not to wait for the other end, which is opened next.
      read: openSync(name, fsConstants.O_RDONLY | fsConstants.O_NONBLOCK),
      write: openSync(name, fsConstants.O_WRONLY),
    };
    rmSync(name);
    return pipe;
  }) as [Pipe, Pipe];
  return { stdout, stderr };
}

/** Output that is being read. */
interface Output {
  readonly socket: Socket;
  /** Resolves when nobody holds the other end any more. */
  readonly closed: Promise<void>;
}

/** Hands on what comes out of a pipe. */
function read(pipe: Pipe, on: (chunk: Buffer) => void): Output {
  const socket = new Socket({ fd: pipe.read, readable: true, writable: false });
  socket.on('data', on);
  socket.on('error', () => {}); // followed by close
  return { socket, closed: new Promise((resolve) => socket.once('close', () => resolve())) };
}

/**
 * Resolves when all that was written has been handed on. What has left the session may hold a pipe open for ever; in a
 * container it would have ended with the first process, so it is not listened to for longer than a moment.
 */
async function drain(outputs: readonly Output[], clock: Clock): Promise<void> {
  const drained = new AbortController();
  void clock.sleep(OUTLIVING_MS, drained.signal).then(async () => {
    await setImmediate(); // if we were busy for as long, what was written has not been read yet
    for (const { socket } of outputs) socket.destroy();
  });
  await Promise.all(outputs.map(({ closed }) => closed));
  drained.abort();
}

/** Sends a signal to a process or, negative, to a group. One that is not there any more is what is wanted. */
function signal(target: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(target, name);
  } catch (error) {
    const gone = error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'EPERM');
    if (!gone) throw error;
  }
}
