/** S1: how long the sandbox takes to be ready, from nothing and with all it has. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { BareAnswer } from './bare-server.ts';
import { alternate } from './rounds.ts';
import type { Row } from './row.ts';
import { startSandbox } from './sandboxed.ts';
import { open } from './target.ts';

/** The row. */
export const sandboxStart: Row = {
  name: 'S1',
  ours: 'the sandbox, from the start of its process to the first 200 from `/readyz`',
  peer: 'a bare `node:http` server, to its first 200',
  unit: 'ms',
  goal: { of: 'ours', named: 'median', below: 1000 },
  async measure() {
    return { rounds: await alternate(5, { ours: sandboxReady, peer: bareReady }) };
  },
};

async function sandboxReady(): Promise<number> {
  const beganAt = performance.now();
  await using sandbox = await startSandbox({ life: true });
  await read(sandbox.target, '/readyz');
  return performance.now() - beganAt;
}

async function bareReady(): Promise<number> {
  const beganAt = performance.now();
  const child = fork(join(import.meta.dirname, 'bare-server.ts'));
  child.send({ status: 200, body: '{}' } satisfies BareAnswer);
  const [port] = (await once(child, 'message')) as [number];
  await read({ origin: `http://127.0.0.1:${port}`, headers: {} }, '/');
  const tookMs = performance.now() - beganAt;
  const ended = once(child, 'exit');
  child.disconnect();
  await ended;
  return tookMs;
}

async function read(...where: Parameters<typeof open>): Promise<void> {
  await (await open(...where)).toArray();
}
