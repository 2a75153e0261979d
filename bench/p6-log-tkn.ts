/** P6: how fast the log of a run is on the terminal, from rungate by HTTP and from tkn. */
import { createDigest, digestOf, evenLog, requireSameBytes, textRate } from './logs.ts';
import { alternate } from './rounds.ts';
import type { Row } from './row.ts';
import { finishedRun } from './runs.ts';
import { rungateOf } from './target.ts';
import { tknOf } from './tkn.ts';

const log = evenLog(20);

/** The row. */
export const logBesideTkn: Row = {
  name: 'P6',
  ours: `\`/logs/:run\` of a finished run with ${log.textBytes / 1e6} MB of 100-byte lines`,
  peer: '`tkn pipelinerun logs`, the same bytes',
  unit: 'MB/s',
  goal: { of: 'ratio', atLeast: 1 },
  async measure(world) {
    const { run } = await finishedRun(world, 'p6', log.script);
    const ours = { target: rungateOf(world), path: `/logs/${run}?follow=false&color=never` };
    const tkn = await tknOf(world);
    const args = ['pipelinerun', 'logs', run];
    const printed = createDigest();
    await tkn.run(args, (bytes) => printed.update(bytes));
    requireSameBytes(await digestOf(ours), printed.end(), log);
    const peerRate = async () => {
      const beganAt = performance.now();
      await tkn.run(args);
      return log.textBytes / 1e6 / ((performance.now() - beganAt) / 1000);
    };
    return { rounds: await alternate(4, { ours: () => textRate(ours, log), peer: peerRate }) };
  },
};
