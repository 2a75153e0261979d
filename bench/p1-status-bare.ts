/** P1: what is left of a bare server's rate when the answer is a run's status: the price of routing, callers, log and metrics. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { BareAnswer } from './bare-server.ts';
import { requestRate } from './load.ts';
import { alternate } from './rounds.ts';
import type { Row } from './row.ts';
import { finishedRun } from './runs.ts';
import { rungateOf, type Target } from './target.ts';

/** The row. */
export const statusBesideBare: Row = {
  name: 'P1',
  ours: '`/status/:run`, from the store',
  peer: 'a bare `node:http` server that sends the same body',
  unit: 'requests/s',
  goal: { of: 'ratio', atLeast: 0.6 },
  async measure(world) {
    const { run } = await finishedRun(world, 'p1', 'true');
    const path = `/status/${run}`;
    const { status, text } = await world.gateway.get(path);
    const bare = await startBare({ status, body: text });
    try {
      const rungate = rungateOf(world);
      const rounds = await alternate(8, {
        ours: () => requestRate(rungate, path),
        peer: () => requestRate({ ...rungate, origin: bare.origin }, path),
      });
      return { rounds };
    } finally {
      bare.end();
    }
  },
};

/** A process of its own, as rungate is: in ours it would share a core with the clients. */
async function startBare(answer: BareAnswer): Promise<Pick<Target, 'origin'> & { readonly end: () => void }> {
  const child: ChildProcess = fork(new URL('bare-server.ts', import.meta.url), { stdio: 'inherit' });
  child.send(answer);
  const [port] = (await once(child, 'message')) as [number];
  return { origin: `http://127.0.0.1:${port}`, end: () => child.disconnect() };
}
