/** P11: very many requests that wait for a few runs, answered when these end in the same moment. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from '../test/support/world.ts';
import { AS_IN_A_CONTAINER, type Crowd, startCrowd } from './crowd/crowd.ts';
import { namespaceOf, runName } from './crowd/objects.ts';
import type { Waited, Waiters } from './crowd/waiter.ts';
import { alternate } from './rounds.ts';
import { median, type Row } from './row.ts';
import { rungateOf } from './target.ts';

const WAITERS = 10_000;
const RUNS = 100;
const ROUNDS = 2;
/** Long enough for what was needed only to connect to be collected. */
const SETTLE_MS = 3_000;

/** The row. */
export const manyWaiters: Row = {
  name: 'P11',
  ours: `${WAITERS.toLocaleString('en')} requests with \`wait\`, for ${RUNS} runs, from the end of all of these to the last answer`,
  peer: 'a bare `node:http` server that holds as many and answers them at once',
  unit: 'ms',
  units: { memory: 'MiB' },
  goal: { of: 'ours', named: 'last', below: 200, also: { memory: 200 } },
  async measure(world) {
    const measure = { ours: () => waitsOfRungate(world), peer: () => waitsOfBare() };
    const rounds = await alternate(ROUNDS, measure, { warmUp: false });
    const medianOf = (pick: (waits: Waits) => number) => ({
      ours: median(rounds.map(({ ours }) => pick(ours))),
      peer: median(rounds.map(({ peer }) => pick(peer))),
    });
    return {
      rounds: rounds.map(({ ours, peer }) => ({ ours: ours.lastMs, peer: peer.lastMs })),
      also: { median: medianOf(({ medianMs }) => medianMs), memory: medianOf(({ memoryMiB }) => memoryMiB) },
    };
  },
};

/** What it was like to be answered: times from the change to the answer. */
interface Waits {
  readonly lastMs: number;
  readonly medianMs: number;
  /** What the process held more with all of them waiting than before. */
  readonly memoryMiB: number;
}

async function waitsOfRungate(world: World): Promise<Waits> {
  const kubeconfig = join(world.folder, 'crowd-p11.yaml');
  const crowd: Crowd = await startCrowd({ runs: RUNS, running: RUNS }, kubeconfig);
  const gateway = await world.startGateway({
    env: { KUBECONFIG: kubeconfig, NAMESPACES: '*', LOG_LEVEL: 'info', LOG_FORMAT: 'json', ...AS_IN_A_CONTAINER },
  });
  try {
    const paths = Array.from(
      { length: WAITERS },
      (_, at) => `/status/${namespaceOf(at % RUNS)}/${runName(at % RUNS)}?wait=300&failed=200`,
    );
    const { origin, headers } = rungateOf({ gateway });
    return await waitsAt({ origin, headers, paths }, gateway.pid, () => crowd.finish(RUNS));
  } finally {
    await gateway.stop('SIGKILL');
    crowd.end();
  }
}

async function waitsOfBare(): Promise<Waits> {
  const child: ChildProcess = fork(new URL('crowd/holder.ts', import.meta.url), {
    stdio: 'inherit',
    env: { ...process.env, ...AS_IN_A_CONTAINER },
  });
  try {
    const [port] = (await once(child, 'message')) as [number];
    const paths = Array.from({ length: WAITERS }, (_, at) => `/${at}`);
    return await waitsAt({ origin: `http://127.0.0.1:${port}`, headers: {}, paths }, child.pid ?? 0, async () => {
      child.send('answer');
      const [at] = (await once(child, 'message')) as [number];
      return at - performance.timeOrigin;
    });
  } finally {
    child.disconnect();
  }
}

/** Lets all wait in a process of their own, makes the change, and sums up when they were answered. */
async function waitsAt(waiters: Waiters, pid: number, change: () => Promise<number>): Promise<Waits> {
  const child: ChildProcess = fork(new URL('crowd/waiter.ts', import.meta.url), { stdio: 'inherit' });
  try {
    await sleep(SETTLE_MS);
    const before = await residentMiB(pid);
    child.send(waiters);
    await once(child, 'message'); // all of them are sent
    await sleep(SETTLE_MS);
    const memoryMiB = (await residentMiB(pid)) - before;
    const [changedAt, [{ at }]] = await Promise.all([change(), once(child, 'message') as Promise<[Waited]>]);
    const times = at.map((answeredAt) => answeredAt - performance.timeOrigin - changedAt);
    return { lastMs: Math.max(...times), medianMs: median(times), memoryMiB };
  } finally {
    child.disconnect();
  }
}

/** https://man7.org/linux/man-pages/man5/proc_pid_status.5.html */
async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}
