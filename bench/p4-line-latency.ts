/** P4: how old a line is when a client reads it, with many clients following a few runs. */
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { LineSplitter } from '../src/kube/splitter.ts';
import { eventually } from '../test/support/eventually.ts';
import { alternate } from './rounds.ts';
import { median, quantile, type Row } from './row.ts';
import { cancel, speakingRun } from './runs.ts';
import { apiServerOf, open, rungateOf, type Target } from './target.ts';

const RUNS = 4;
const STREAMS = 200;
const ROUNDS = 3;
const SECONDS = 4;
/** What a step does: twenty lines a second, busy for a build, and nobody has to keep up with it. */
export const SPEAKING = 'while :; do echo "a line of a build that is under way"; sleep 0.05; done';

/** The row. */
export const lineLatency: Row = {
  name: 'P4',
  ours: `age of a line when read from \`/logs/:run\`, ${STREAMS} clients following ${RUNS} runs`,
  peer: 'the same from the log endpoint of the API server',
  unit: 'ms',
  goal: { of: 'ours', named: 'p99', below: 100, also: { p50: 20 } },
  async measure(world) {
    const speakers = await Promise.all(Array.from({ length: RUNS }, () => speakingRun(world, 'p4', SPEAKING)));
    const ours = {
      target: rungateOf(world),
      paths: speakers.map(({ run }) => `/logs/${run}?timestamps=true&prefix=none&color=never&tail=1`),
    };
    const peer = {
      target: apiServerOf(world),
      paths: speakers.map(({ logPath }) => `${logPath}&follow=true&timestamps=true&tailLines=1`),
    };
    const rounds = await alternate(ROUNDS, { ours: () => agesOfLines(ours), peer: () => agesOfLines(peer) });
    for (const speaker of speakers) await cancel(world, speaker);
    return {
      rounds: rounds.map((ages) => ({ ours: quantile(ages.ours, 0.99), peer: quantile(ages.peer, 0.99) })),
      also: {
        p50: {
          ours: median(rounds.map((ages) => median(ages.ours))),
          peer: median(rounds.map((ages) => median(ages.peer))),
        },
      },
    };
  },
};

/**
 * Follows the logs with all clients at once, as many for each, and returns, for each line that each of them read, the
 * milliseconds since the container runtime wrote it, which is what its timestamp says. That needs the cluster's node and
 * us to share a clock, as on one machine they do.
 */
export async function agesOfLines({
  target,
  paths,
}: {
  readonly target: Target;
  readonly paths: readonly string[];
}): Promise<number[]> {
  const now = wallClock();
  const ages: number[] = [];
  const speaking = new Set<IncomingMessage>();
  let countedFrom = Number.POSITIVE_INFINITY;
  const each = Array.from({ length: STREAMS / paths.length }, () => paths).flat();
  const answers = await Promise.all(each.map((path) => open(target, path)));
  for (const answer of answers) {
    const splitter = new LineSplitter();
    answer.on('data', (chunk: Buffer) => {
      const readAt = now();
      speaking.add(answer);
      for (const { instant, stamped } of splitter.push(chunk)) {
        const writtenAt = instant.seconds * 1000 + instant.nanos / 1e6;
        if (stamped && writtenAt >= countedFrom) ages.push(readAt - writtenAt);
      }
    });
  }
  await eventually(() => assert.equal(speaking.size, STREAMS));
  countedFrom = now(); // lines from before all were there had to wait for them
  await sleep(SECONDS * 1000);
  for (const answer of answers) answer.destroy();
  if (ages.length === 0) throw new Error(`no line came from ${paths.join(', ')}`);
  return ages;
}

/** Milliseconds since the epoch with fractions: `Date.now` alone is up to a millisecond behind. */
function wallClock(): () => number {
  const before = Date.now();
  let tick = before;
  while (tick === before) tick = Date.now();
  const offsetMs = tick - performance.now();
  return () => performance.now() + offsetMs;
}
