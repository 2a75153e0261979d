/** P5: how fast the log of a finished container comes, byte for byte the same from rungate and from the API server. */
import { digestOf, evenLog, requireSameBytes, textRate } from './logs.ts';
import { alternate } from './rounds.ts';
import type { Row } from './row.ts';
import { finishedRun } from './runs.ts';
import { apiServerOf, rungateOf } from './target.ts';

const log = evenLog(40);

/** The row. */
export const logBytes: Row = {
  name: 'P5',
  ours: `\`/logs/:run\` of a finished container with ${log.textBytes / 1e6} MB of 100-byte lines`,
  peer: 'the log endpoint of the API server, the same bytes',
  unit: 'MB/s',
  goal: { of: 'ratio', atLeast: 0.9 },
  async measure(world) {
    const { run, logPath } = await finishedRun(world, 'p5', log.script);
    // With timestamps, because that is how rungate has to read the log: so both send the very same bytes.
    const ours = {
      target: rungateOf(world),
      path: `/logs/${run}?follow=false&timestamps=true&prefix=none&color=never`,
    };
    const peer = { target: apiServerOf(world), path: `${logPath}&timestamps=true` };
    requireSameBytes(await digestOf(ours), await digestOf(peer), log);
    return { rounds: await alternate(4, { ours: () => textRate(ours, log), peer: () => textRate(peer, log) }) };
  },
};
