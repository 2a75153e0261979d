/** P9: how long rungate takes to be ready in front of a very large cluster, and what it needs for that. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../test/support/eventually.ts';
import type { World } from '../test/support/world.ts';
import { AS_IN_A_CONTAINER, type Crowd, startCrowd } from './crowd/crowd.ts';
import { TASKS } from './crowd/objects.ts';
import { alternate } from './rounds.ts';
import { median, type Row } from './row.ts';

const RUNS = 50_000;
const ROUNDS = 2;

/** The row. */
export const largeStart: Row = {
  name: 'P9',
  ours: `from the start of the process until ready, with ${text(RUNS)} runs and ${text(RUNS * TASKS.length)} TaskRuns`,
  peer: 'a process that reads and parses the same bytes and keeps nothing',
  unit: 'ms',
  units: { memory: 'MiB' },
  goal: { of: 'ours', named: 'ready', below: 30_000, also: { memory: 500, lag: 50 } },
  async measure(world) {
    const kubeconfig = join(world.folder, 'crowd-p9.yaml');
    const crowd = await startCrowd({ runs: RUNS, running: 0 }, kubeconfig);
    try {
      const measure = { ours: () => startOfRungate(world, kubeconfig), peer: () => readingOf(crowd) };
      const rounds = await alternate(ROUNDS, measure, { warmUp: false });
      const medianOf = (pick: (start: Start) => number) => ({
        ours: median(rounds.map(({ ours }) => pick(ours))),
        peer: median(rounds.map(({ peer }) => pick(peer))),
      });
      return {
        rounds: rounds.map(({ ours, peer }) => ({ ours: ours.readyMs, peer: peer.readyMs })),
        also: {
          memory: medianOf(({ residentMiB }) => residentMiB),
          lag: medianOf(({ lagMs }) => lagMs),
        },
      };
    } finally {
      crowd.end();
    }
  },
};

/** What a start was like. */
interface Start {
  readonly readyMs: number;
  /** The most that was resident until then. */
  readonly residentMiB: number;
  /** So late were at most 99 of 100 turns of the event loop. */
  readonly lagMs: number;
}

async function startOfRungate(world: World, kubeconfig: string): Promise<Start> {
  const beganAt = performance.now();
  const gateway = await world.startGateway({
    env: {
      KUBECONFIG: kubeconfig,
      NAMESPACES: '*',
      LOG_LEVEL: 'info',
      ...AS_IN_A_CONTAINER,
    },
    ready: false,
  });
  try {
    // Later than the goal is still a figure.
    await eventually(async () => assert.equal((await gateway.get('/ready')).status, 200), {
      withinMs: 180_000,
      everyMs: 100,
    });
    const readyMs = performance.now() - beganAt;
    const lagMs = (await gateway.metric('nodejs_eventloop_lag_p99_seconds')) * 1000;
    return { readyMs, residentMiB: await mostResidentMiB(gateway.pid), lagMs };
  } finally {
    await gateway.stop('SIGKILL');
  }
}

async function readingOf({ url }: Crowd): Promise<Start> {
  const beganAt = performance.now();
  const child = fork(new URL('crowd/reader.ts', import.meta.url), [url], {
    stdio: 'inherit',
    env: { ...process.env, ...AS_IN_A_CONTAINER },
  });
  try {
    const [lagMs] = (await once(child, 'message')) as [number];
    const readyMs = performance.now() - beganAt;
    return { readyMs, residentMiB: await mostResidentMiB(child.pid ?? 0), lagMs };
  } finally {
    child.disconnect();
  }
}

/** https://man7.org/linux/man-pages/man5/proc_pid_status.5.html */
async function mostResidentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

function text(count: number): string {
  return count.toLocaleString('en');
}
