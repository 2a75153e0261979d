/** Every row of the benchmark, in the order they are measured and shown. */
import { statusBesideBare } from './p1-status-bare.ts';
import { statusBesideTkn } from './p2-status-tkn.ts';
import { statusBesideKube } from './p3-status-kube.ts';
import { lineLatency } from './p4-line-latency.ts';
import { logBytes } from './p5-log-bytes.ts';
import { logBytesOfSandbox } from './p5s-log-bytes-sandbox.ts';
import { logBesideTkn } from './p6-log-tkn.ts';
import { idleFollowers } from './p7-idle-followers.ts';
import { triggerLatency, triggerLatencyOfSandbox } from './p8-trigger-latency.ts';
import { largeStart } from './p9-start.ts';
import { runPages } from './p10-run-pages.ts';
import { manyWaiters } from './p11-waiters.ts';
import { pruning, pruningOfSandbox } from './p12-pruning.ts';
import { hookDeliveries, hookDeliveriesOfSandbox } from './p13-hooks.ts';
import type { Row } from './row.ts';
import { sandboxStart } from './s1-sandbox-start.ts';
import { sandboxCreates } from './s2-sandbox-creates.ts';
import { sandboxWatches } from './s3-sandbox-watches.ts';
import { sandboxLog } from './s4-sandbox-log.ts';

/** The rows. docs/performance.md has the same; a test keeps them equal. */
export const rows: readonly Row[] = [
  statusBesideBare,
  statusBesideTkn,
  statusBesideKube,
  lineLatency,
  logBytes,
  logBytesOfSandbox,
  logBesideTkn,
  idleFollowers,
  triggerLatency,
  triggerLatencyOfSandbox,
  largeStart,
  runPages,
  manyWaiters,
  pruning,
  pruningOfSandbox,
  hookDeliveries,
  hookDeliveriesOfSandbox,
  sandboxStart,
  sandboxCreates,
  sandboxWatches,
  sandboxLog,
];
