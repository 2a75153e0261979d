/** P2: what is saved when a run's status is looked up instead of starting a program that asks for it. */
import { requestRate } from './load.ts';
import { alternate } from './rounds.ts';
import type { Row } from './row.ts';
import { finishedRun } from './runs.ts';
import { rungateOf } from './target.ts';
import { type Tkn, tknOf } from './tkn.ts';

/** More at once only wait for each other on two cores. */
const AT_ONCE = 4;
const SECONDS = 2;

/** The row. */
export const statusBesideTkn: Row = {
  name: 'P2',
  ours: '`/status/:run`, from the store',
  peer: '`tkn pipelinerun describe -o json`, a process for each request',
  unit: 'requests/s',
  goal: { of: 'ratio', atLeast: 200 },
  async measure(world) {
    const { run } = await finishedRun(world, 'p2', 'true');
    const [rungate, tkn] = [rungateOf(world), await tknOf(world)];
    const rounds = await alternate(4, {
      ours: () => requestRate(rungate, `/status/${run}`),
      peer: () => execRate(tkn, ['pipelinerun', 'describe', '-o', 'json', run]),
    });
    return { rounds };
  },
};

/** Processes that end well in a second, several at a time. */
async function execRate(tkn: Tkn, args: readonly string[]): Promise<number> {
  const beganAt = performance.now();
  const ms = () => performance.now() - beganAt;
  let ended = 0;
  const oneAfterAnother = async () => {
    while (ms() < SECONDS * 1000) {
      await tkn.run(args);
      ended++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, oneAfterAnother));
  return ended / (ms() / 1000);
}
