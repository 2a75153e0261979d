/** S4: how fast the log of a finished container comes from the sandbox. */
import assert from 'node:assert/strict';
import { eventually } from '../test/support/eventually.ts';
import { alternate } from './rounds.ts';
import type { Row } from './row.ts';
import { startSandbox } from './sandboxed.ts';
import { administratorOf, open, post, type Target } from './target.ts';

/** As many as fit into one file with their timestamps: a log that was rotated is served from its last file alone. */
const LINES = 60_000;
const TEXT_BYTES = LINES * 100;
/** How often the log is read for one figure. */
const OUR_READS = 20;
const PEER_READS = 2;
const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'bench-log' },
  spec: {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'say',
        image: 'docker.io/library/busybox:1',
        command: ['sh', '-c', `yes "$(printf '%099d' 7)" | head -n ${LINES}`],
      },
    ],
  },
};

/** The row. */
export const sandboxLog: Row = {
  name: 'S4',
  ours: `the sandbox’s log endpoint: ${TEXT_BYTES / 1e6} MB of 100-byte lines of a finished container`,
  peer: 'the log endpoint of the API server of the cluster, the same bytes',
  unit: 'MB/s',
  goal: { of: 'ours', named: 'rate', atLeast: 100 },
  async measure({ admin, namespace }) {
    await using sandbox = await startSandbox({ life: true });
    const cluster = await administratorOf(admin.kubeconfig);
    const ours = await finishedLog(sandbox.target, 'default', OUR_READS);
    const peer = await finishedLog(cluster, namespace, PEER_READS);
    return { rounds: await alternate(5, { ours, peer }) };
  },
};

/** Runs the pod, and answers what reads its log and says the megabytes per second from the first request to the last byte. */
async function finishedLog(target: Target, namespace: string, reads: number): Promise<() => Promise<number>> {
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  await post(target, pods, pod);
  await eventually(
    async () => {
      const answer = await open(target, `${pods}/${pod.metadata.name}`);
      const { status } = JSON.parse(Buffer.concat(await answer.toArray()).toString()) as typeof pod & {
        readonly status: { readonly phase?: string };
      };
      assert.equal(status.phase, 'Succeeded');
    },
    { withinMs: 60_000 },
  );
  return async () => {
    const beganAt = performance.now();
    for (let read = 0; read < reads; read++) {
      let bytes = 0;
      for await (const chunk of await open(target, `${pods}/${pod.metadata.name}/log`))
        bytes += (chunk as Buffer).length;
      if (bytes !== TEXT_BYTES) throw new Error(`a log of ${TEXT_BYTES} bytes came as ${bytes}`);
    }
    return (reads * TEXT_BYTES) / 1e6 / ((performance.now() - beganAt) / 1000);
  };
}
