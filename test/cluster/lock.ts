/** One hand at a time: `up`, `down` and the knobs change the machine only while they hold this lock. */
import { createServer } from 'node:net';
import { Fault } from '../../src/fault.ts';

// An abstract socket: it has no file, and the kernel takes it away with its process, however that ends.
const address = '\0rungate-cluster';

/** How long to wait for whoever has the lock. */
export interface Patience {
  /** Standard: not at all. */
  readonly patienceMs?: number;
  /** Called once, if there is somebody to wait for. */
  readonly onWait?: () => void;
}

/**
 * Takes the machine's lock. Dispose of it to give it back.
 *
 * Throws a Fault `conflict` when another process keeps it longer than our patience lasts.
 */
export async function holdLock({ patienceMs = 0, onWait }: Patience = {}): Promise<AsyncDisposable> {
  const giveUpAt = Date.now() + patienceMs;
  for (let waits = 0; ; waits += 1) {
    const lock = await tryLock();
    if (lock) return lock;
    if (Date.now() >= giveUpAt) {
      throw new Fault(
        'conflict',
        'Another `npm run cluster`, or a suite that turns a knob, is at work on this machine: try again when it has ended.',
      );
    }
    if (waits === 0) onWait?.();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function tryLock(): Promise<AsyncDisposable | undefined> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(address, () => {
      server.unref();
      resolve({ [Symbol.asyncDispose]: () => new Promise<void>((done) => server.close(() => done())) });
    });
  });
}
