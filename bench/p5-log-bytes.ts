/** P5: how fast the log of a finished container comes, byte for byte the same from rungate and from the API server. */
import { createHash } from 'node:crypto';
import { Fault } from '../src/fault.ts';
import { alternate } from './rounds.ts';
import type { Row } from './row.ts';
import { finishedRun } from './runs.ts';
import { apiServerOf, open, rungateOf, type Target } from './target.ts';

const LINES = 400_000;
/** Each of 100 bytes with its line break. */
const SCRIPT = `yes "$(printf '%099d' 7)" | head -n ${LINES}`;
const TEXT_BYTES = LINES * 100;

/** The row. */
export const logBytes: Row = {
  name: 'P5',
  ours: `\`/logs/:run\` of a finished container with ${TEXT_BYTES / 1e6} MB of 100-byte lines`,
  peer: 'the log endpoint of the API server, the same bytes',
  unit: 'MB/s',
  goal: { of: 'ratio', atLeast: 0.8 },
  async measure(world) {
    const { run, logPath } = await finishedRun(world, 'p5', SCRIPT);
    // With timestamps, because that is how rungate has to read the log: so both send the very same bytes.
    const ours = {
      target: rungateOf(world),
      path: `/logs/${run}?follow=false&timestamps=true&prefix=none&color=never`,
    };
    const peer = { target: apiServerOf(world), path: `${logPath}&timestamps=true` };
    await requireSameBytes(await digestOf(ours), await digestOf(peer));
    const rounds = await alternate(5, { ours: () => textRate(ours), peer: () => textRate(peer) });
    return { rounds };
  },
};

interface Log {
  readonly target: Target;
  readonly path: string;
}

/** Megabytes of log text a second, from the request to the last byte. Timestamps are not text. */
async function textRate({ target, path }: Log): Promise<number> {
  const beganAt = performance.now();
  for await (const _chunk of await open(target, path)); // read, not kept
  return TEXT_BYTES / 1e6 / ((performance.now() - beganAt) / 1000);
}

/** Length and hash of a log without the empty line that rungate puts after each container. */
async function digestOf({ target, path }: Log): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const whole = Buffer.concat(await (await open(target, path)).toArray());
  const log = whole.toString('latin1', whole.length - 2) === '\n\n' ? whole.subarray(0, -1) : whole;
  return { bytes: log.length, sha256: createHash('sha256').update(log).digest('hex') };
}

type Digest = Awaited<ReturnType<typeof digestOf>>;

async function requireSameBytes(ours: Digest, peer: Digest): Promise<void> {
  if (peer.bytes < TEXT_BYTES) {
    throw new Fault(
      'refused',
      `the kubelet has kept ${peer.bytes} bytes of a log of ${TEXT_BYTES}: its containerLogMaxSize has to be 64Mi or more`,
    );
  }
  if (ours.sha256 !== peer.sha256) {
    throw new Error(`rungate sent ${ours.bytes} bytes where the API server sends ${peer.bytes}, or others`);
  }
}
