/** Two replicas of one rungate: one that lives as long as the soak, whose memory is watched, and one that is ended again and again. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../../test/support/eventually.ts';
import { ask, type Gateway } from '../../test/support/gateway.ts';
import type { World } from '../../test/support/world.ts';
import type { Violation } from './ledger.ts';

/** The replicas that there are. */
export interface Replicas {
  /** Never ended before the end. */
  readonly steady: Gateway;
  /** All that accept requests now, one or two. */
  readonly serving: readonly Gateway[];
  /** Starts a successor of the other replica, then tells it to stop. Resolves when it has. */
  terminate(): Promise<void>;
  /** Kills the other replica, then starts a successor. Resolves when that is ready. */
  kill(): Promise<void>;
}

/** Times are short, so that what takes minutes in a cluster happens within a soak. */
const env = {
  WATCH_SECONDS: '10',
  STALL_SECONDS: '2',
  // Longer than a half-open connection and a stalled watch take together: what is late is not missing.
  GRACE_SECONDS: '120',
  DRAIN_SECONDS: '10',
  LOG_LEVEL: 'info',
  LOG_FORMAT: 'json',
  // What a container with a memory limit is given. With a larger young generation buffers that nobody needs any more stay
  // for long, and what is resident says little.
  NODE_OPTIONS: '--max-semi-space-size=16',
};

const LONGEST_START_MS = 180_000;

/** Starts both, with one key for their cursors. What the other replica does wrong when it ends is told to `wrong`. */
export async function startReplicas(world: World, wrong: (violation: Violation) => void): Promise<Replicas> {
  const keyFile = join(world.folder, 'cursor-key');
  await writeFile(keyFile, randomBytes(32), { mode: 0o600 });
  /** Resolves when it is ready, as a Service waits for a pod: with every watch broken by some fault that can take long. */
  const start = async () => {
    const gateway = await world.startGateway({ env: { ...env, CURSOR_KEY_FILE: keyFile }, ready: false });
    await eventually(
      async () => {
        const answer = await ask(`${gateway.metricsUrl}/readyz`);
        answer.resume();
        if (answer.statusCode !== 200) throw new Error(`a replica is not ready:\n${gateway.log().slice(-1000)}`);
      },
      { withinMs: LONGEST_START_MS, everyMs: 200 },
    );
    return gateway;
  };
  const steady = await start();
  let other = await start();
  let serving: readonly Gateway[] = [steady, other];
  // One end at a time: the next one waits for the successor.
  let turn: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>) => {
    const done = turn.then(work);
    turn = done.catch(() => {});
    return done;
  };
  return {
    steady,
    get serving() {
      return serving;
    },
    terminate: () =>
      inTurn(async () => {
        const before = other;
        other = await start();
        serving = [steady, other];
        const { code, signal } = await before.stop('SIGTERM');
        if (code !== 0) wrong({ kind: 'failed', detail: `a replica ended with ${signal ?? code} after SIGTERM` });
      }),
    kill: () =>
      inTurn(async () => {
        serving = [steady];
        await other.stop('SIGKILL');
        other = await start();
        serving = [steady, other];
      }),
  };
}
