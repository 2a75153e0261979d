/** S3: how fast what changes in the sandbox reaches everybody who watches. */
import { alternate } from './rounds.ts';
import type { Row } from './row.ts';
import { startSandbox } from './sandboxed.ts';
import { administratorOf } from './target.ts';
import { eventRate } from './watches.ts';

const OURS = { watches: 1000, changes: 1000 };
/** Fewer: the API server cuts a watch that is slow for a moment, and with its clients on its own cores some are. */
const PEER = { watches: 50, changes: 500 };

/** The row. */
export const sandboxWatches: Row = {
  name: 'S3',
  ours: `${OURS.watches} watches of the sandbox see ${OURS.changes} new ConfigMaps each`,
  peer: `${PEER.watches} watches of the API server of the cluster see ${PEER.changes} each`,
  unit: 'events/s',
  goal: { of: 'ratio', atLeast: 1 },
  async measure({ admin, namespace }) {
    await using sandbox = await startSandbox();
    const cluster = await administratorOf(admin.kubeconfig);
    const ours = () => eventRate(sandbox.target, 'default', OURS);
    return { rounds: await alternate(3, { ours, peer: () => eventRate(cluster, namespace, PEER) }) };
  },
};
