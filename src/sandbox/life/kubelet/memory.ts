/** How much memory process groups use, sampled: there are no control groups to count it for us. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

/** Looks after the memory of process groups. */
export interface MemoryWatch {
  /**
   * Calls `over` once when the group's processes together use more than `bytes`. Growth is seen at the next sample only, so
   * a group can be over for as long as that. The answer ends the watch.
   */
  watch(group: number, bytes: number, over: () => void): () => void;
}

/** The resident memory of every process group of this machine, in bytes. */
export type ReadMemory = () => Promise<ReadonlyMap<number, number>>;

/** Looks every `everyMs`, as long as there is a group to look after. */
export function createMemoryWatch({
  everyMs = 250,
  read = existsSync('/proc/self/stat') ? readFromProc : readFromPs,
}: {
  readonly everyMs?: number;
  readonly read?: ReadMemory;
} = {}): MemoryWatch {
  const groups = new Map<number, { readonly bytes: number; readonly over: () => void }>();
  let timer: NodeJS.Timeout | undefined;

  async function sample(): Promise<void> {
    const used = await read().catch(() => new Map<number, number>()); // a failed look: the next one will tell
    for (const [group, { bytes, over }] of groups) {
      if ((used.get(group) ?? 0) <= bytes) continue;
      groups.delete(group);
      over();
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

async function readFromProc(): Promise<ReadonlyMap<number, number>> {
  const used = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readStat(name);
    if (stat === undefined) continue;
    // After the program's name, in parentheses: state, parent, group, session, ...; resident pages are the 22nd.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const group = Number(fields[2]);
    used.set(group, (used.get(group) ?? 0) + Number(fields[21]) * PAGE_BYTES);
  }
  return used;
}

/** Undefined when the process has ended since it was listed. */
function readStat(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
}

async function readFromPs(): Promise<ReadonlyMap<number, number>> {
  const { stdout } = await promisify(execFile)('/bin/ps', ['-A', '-o', 'pgid=,rss=']);
  const used = new Map<number, number>();
  for (const [, group, kibibytes] of stdout.matchAll(/(\d+)\s+(\d+)/g)) {
    used.set(Number(group), (used.get(Number(group)) ?? 0) + Number(kibibytes) * 1024);
  }
  return used;
}
