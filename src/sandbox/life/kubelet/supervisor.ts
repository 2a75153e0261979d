/**
 * Runs a container's program as a local process, and sees to its end. A watcher stays in its process group and holds the
 * other end of a pipe of ours: when the pipe closes, because the program has ended or because this process is gone, even
 * by SIGKILL, the watcher kills the group. Nothing but a POSIX shell is needed. What leaves its session (`setsid`) escapes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
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

/** Starts programs whose memory `memory` watches. */
export function createSupervisor({
  clock,
  memory,
}: {
  readonly clock: Clock;
  readonly memory: MemoryWatch;
}): StartProcess {
  return (plan) => supervise(plan, clock, memory);
}

function supervise(plan: ProcessPlan, clock: Clock, memory: MemoryWatch): RunningProcess {
  const child = spawn('/bin/sh', ['-c', becomeWatched, 'container', plan.program, ...plan.args], {
    cwd: plan.folder,
    env: plan.env,
    detached: true, // a session and a group of its own
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) {
    child.on('error', () => {}); // says the same, later
    throw new Error(`the shell that would start it cannot be run in ${plan.folder}`);
  }
  const over = new AbortController();
  let broke: ProcessEnd['broke'];
  let exited = false;
  const stop = (bound: ProcessEnd['broke']) => {
    if (exited) return;
    broke ??= bound;
    signal(-pid, 'SIGKILL');
  };
  const unwatch = memory.watch(pid, plan.memoryBytes, () => stop('memory'));
  void clock.sleep(plan.activeMs, over.signal).then(() => {
    if (!over.signal.aborted) stop('time');
  });
  let left = plan.outputBytes;
  const read = (stream: Stream) => (chunk: Buffer) => {
    const fits = chunk.length <= left ? chunk : chunk.subarray(0, left);
    left -= fits.length;
    if (fits.length > 0) plan.onOutput(stream, fits);
    if (fits.length < chunk.length) stop('output');
  };
  child.stdout?.on('data', read('stdout'));
  child.stderr?.on('data', read('stderr'));
  return {
    ended: theEnd(child, pid).then(({ code, signal: name }) => {
      over.abort();
      unwatch();
      return {
        code: name === null ? (code ?? undefined) : undefined,
        signal: name === null ? undefined : constants.signals[name],
        broke,
      };
    }),
    terminate(whom) {
      if (!exited) signal(whom === 'all' ? -pid : pid, 'SIGTERM');
    },
    kill: () => stop(undefined),
  };

  /** Resolves when the program has ended, the watcher has ended the rest, and all output has been read. */
  async function theEnd(process: ChildProcess, group: number): Promise<ExitEvent> {
    const pipe = process.stdio[3] as Socket; // the fourth of the stdio asked for above, which Node makes a socket
    pipe.on('error', () => {}); // nothing is ever written to it
    pipe.resume();
    const watcherGone = new Promise<void>((resolve) => pipe.once('close', () => resolve()));
    const outputRead = new Promise<void>((resolve) => process.once('close', () => resolve()));
    const exit = await new Promise<ExitEvent>((resolve) => {
      process.once('exit', (code, name) => resolve({ code, signal: name }));
    });
    exited = true;
    pipe.end();
    await watcherGone;
    signal(-group, 'SIGKILL'); // in case the program had ended its watcher
    await outputRead;
    return exit;
  }
}

interface ExitEvent {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
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
