/** S2: how fast the sandbox creates objects. */
import { creationRate } from './load.ts';
import { alternate } from './rounds.ts';
import type { Row } from './row.ts';
import { startSandbox } from './sandboxed.ts';
import { administratorOf } from './target.ts';
import { emptied, small } from './watches.ts';

const OBJECTS = 10_000;
/** Fewer: its store is on a disk, and the rate does not depend on it. */
const PEER_OBJECTS = 1000;

/** The row. */
export const sandboxCreates: Row = {
  name: 'S2',
  ours: `the sandbox creates ${OBJECTS} ConfigMaps`,
  peer: `the API server of the cluster creates ${PEER_OBJECTS}`,
  unit: 'objects/s',
  goal: { of: 'ours', named: 'rate', atLeast: 2000 },
  async measure({ admin, namespace }) {
    await using sandbox = await startSandbox();
    const cluster = await administratorOf(admin.kubeconfig);
    const rounds = await alternate(3, {
      ours: async () => {
        await emptied(sandbox.target, 'default'); // as many objects each time, so that a round is like the others
        return creationRate(sandbox.target, '/api/v1/namespaces/default/configmaps', small, OBJECTS);
      },
      peer: () => creationRate(cluster, `/api/v1/namespaces/${namespace}/configmaps`, small, PEER_OBJECTS),
    });
    return { rounds };
  },
};
