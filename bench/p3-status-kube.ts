/** P3: what a cluster is spared when those who ask how a run stands ask rungate instead of the API server. */
import { requestRate } from './load.ts';
import { alternate } from './rounds.ts';
import type { Row } from './row.ts';
import { finishedRun } from './runs.ts';
import { apiServerOf, rungateOf } from './target.ts';

/** The row. */
export const statusBesideKube: Row = {
  name: 'P3',
  ours: '`/status/:run`, from the store',
  peer: 'GET of the PipelineRun at the API server',
  unit: 'requests/s',
  goal: { of: 'ratio', atLeast: 5 },
  async measure(world) {
    const { run } = await finishedRun(world, 'p3', 'true');
    const [rungate, apiServer] = [rungateOf(world), apiServerOf(world)];
    const rounds = await alternate(5, {
      ours: () => requestRate(rungate, `/status/${run}`),
      peer: () => requestRate(apiServer, `/apis/tekton.dev/v1/namespaces/${world.namespace}/pipelineruns/${run}`),
    });
    return { rounds };
  },
};
