/** How much memory process groups use, sampled: there are no control groups to count it for us. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

/** Looks after the memory of process groups. */
export interface MemoryWatch {
  /**
   * Calls `over` with the group's largest process whenever its processes together are seen to use more than `bytes`. They
   * are looked at from time to time only, so a group can be over for as long as that. The answer ends the watch.
   */
  watch(group: number, bytes: number, over: (largest: number) => void): () => void;
}

/** The resident memory of one process, in bytes. */
export interface ProcessMemory {
  readonly pid: number;
  readonly group: number;
  readonly bytes: number;
}

/** That of every process of this machine. */
export type ReadMemory = () => Promise<readonly ProcessMemory[]>;

/** Looks every `everyMs`, as long as there is a group to look after. */
export function createMemoryWatch({
  everyMs = 250,
  read = existsSync('/proc/self/stat') ? readFromProc : readFromPs,
}: {
  readonly everyMs?: number;
  readonly read?: ReadMemory;
} = {}): MemoryWatch {
  const groups = new Map<number, { readonly bytes: number; readonly over: (largest: number) => void }>();
  let timer: NodeJS.Timeout | undefined;

  async function sample(): Promise<void> {
    const processes = await read().catch(() => []); // a failed look: the next one will tell
    const used = Map.groupBy(processes, ({ group }) => group);
    for (const [group, { bytes, over }] of groups) {
      const own = used.get(group) ?? [];
      if (own.reduce((sum, process) => sum + process.bytes, 0) <= bytes) continue;
      over(own.reduce((largest, process) => (process.bytes > largest.bytes ? process : largest)).pid);
    }
    timer = undefined;
    plan();
  }

  function plan(): void {
    if (timer !== undefined || groups.size === 0) return;
    timer = setTimeout(() => void sample(), everyMs);
    timer.unref();
  }

  return {
    watch(group, bytes, over) {
      groups.set(group, { bytes, over });
      plan();
      return () => {
        groups.delete(group);
      };
    },
  };
}

/** A page of memory, the unit of /proc. Every machine that Linux runs Node on has pages of at least this size. */
const PAGE_BYTES = 4096;

async function readFromProc(): Promise<ProcessMemory[]> {
  return readdirSync('/proc').flatMap((name) => {
    const stat = /^\d+$/.test(name) ? readStat(name) : undefined;
    if (stat === undefined) return [];
    // After the program's name, in parentheses: state, parent, group, session, ...; resident pages are the 22nd.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return [{ pid: Number(name), group: Number(fields[2]), bytes: Number(fields[21]) * PAGE_BYTES }];
  });
}

/** Undefined when the process has ended since it was listed. */
function readStat(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
}

async function readFromPs(): Promise<ProcessMemory[]> {
  const { stdout } = await promisify(execFile)('/bin/ps', ['-A', '-o', 'pid=,pgid=,rss=']);
  return [...stdout.matchAll(/(\d+)\s+(\d+)\s+(\d+)/g)].map(([, pid, group, kibibytes]) => ({
    pid: Number(pid),
    group: Number(group),
    bytes: Number(kibibytes) * 1024,
  }));
}
