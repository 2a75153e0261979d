/** P7: what a client costs that follows a run in which nothing happens. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from '../test/support/world.ts';
import type { BareAnswer } from './bare-server.ts';
import { alternate } from './rounds.ts';
import type { Row } from './row.ts';
import { cancel, speakingRun } from './runs.ts';
import { open, rungateOf, type Target } from './target.ts';

const FOLLOWERS = 1000;
/** A line, so that each follower has been sent something, and then nothing. */
const SCRIPT = 'echo "the last line for a long time"; sleep 3600';
/** Long enough for what was needed only to connect to be collected. */
const SETTLE_MS = 4000;
/** As for P9: what a container with a memory limit is given. V8's own limit is several times that, and filled by whoever connects. */
const YOUNG_GENERATION = '--max-semi-space-size=16';

/** The row. */
export const idleFollowers: Row = {
  name: 'P7',
  ours: `resident memory for each of ${FOLLOWERS} clients that follow a run which is silent`,
  peer: 'the same of a bare `node:http` server that has sent a line and keeps the answer open',
  unit: 'KiB',
  goal: { of: 'ours', named: 'each', below: 64 },
  async measure(world) {
    const speaker = await speakingRun(world, 'p7', SCRIPT);
    const measure = { ours: () => memoryOfRungate(world, `/logs/${speaker.run}`), peer: () => memoryOfBare() };
    const rounds = await alternate(3, measure, { warmUp: false });
    await cancel(world, speaker);
    return { rounds };
  },
};

async function memoryOfRungate(world: World, path: string): Promise<number> {
  // A process of its own, which has never had more: memory that was freed is not given back.
  const gateway = await world.startGateway({ env: { MAX_STREAMS: '2000', NODE_OPTIONS: YOUNG_GENERATION } });
  try {
    await (await open(rungateOf({ gateway }), `${path}?follow=false`)).toArray();
    return await kibibytesEach(rungateOf({ gateway }), path, gateway.pid);
  } finally {
    await gateway.stop('SIGKILL');
  }
}

async function memoryOfBare(): Promise<number> {
  const child: ChildProcess = fork(new URL('bare-server.ts', import.meta.url), {
    stdio: 'inherit',
    execArgv: [YOUNG_GENERATION],
  });
  const answer: BareAnswer = { status: 200, body: 'the last line for a long time\n', keepOpen: true };
  child.send(answer);
  const [port] = (await once(child, 'message')) as [number];
  try {
    return await kibibytesEach({ origin: `http://127.0.0.1:${port}`, headers: {} }, '/', child.pid ?? 0);
  } finally {
    child.disconnect();
  }
}

/** Connects all, waits until each has its line, and says what the process holds more than before, divided among them. */
async function kibibytesEach(target: Target, path: string, pid: number): Promise<number> {
  await sleep(SETTLE_MS);
  const before = await residentKiB(pid);
  const answers: IncomingMessage[] = [];
  while (answers.length < FOLLOWERS) {
    // In portions: a server's backlog of connections is short.
    const portion = await Promise.all(Array.from({ length: 50 }, () => open(target, path)));
    await Promise.all(portion.map((answer) => once(answer, 'data')));
    answers.push(...portion);
  }
  await sleep(SETTLE_MS);
  const after = await residentKiB(pid);
  for (const answer of answers) answer.destroy();
  return (after - before) / FOLLOWERS;
}

/** https://man7.org/linux/man-pages/man5/proc_pid_status.5.html */
async function residentKiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
}
