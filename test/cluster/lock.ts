/** One hand at a time: `up`, `down` and the knobs change the machine only while they hold this lock. */
import { createServer } from 'node:net';
import { Fault } from '../../src/fault.ts';

/** What is locked: the cluster, or the making of our own image, which takes minutes and leaves the cluster as it is. */
export type Lockable = 'cluster' | 'image';

/** How long to wait for whoever has the lock. */
export interface Patience {
  /** Standard: the cluster. */
  readonly of?: Lockable;
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
export async function holdLock({ of = 'cluster', patienceMs = 0, onWait }: Patience = {}): Promise<AsyncDisposable> {
  const giveUpAt = Date.now() + patienceMs;
  for (let waits = 0; ; waits += 1) {
    const lock = await tryLock(of);
    if (lock) return lock;
    if (Date.now() >= giveUpAt) {
      throw new Fault(
        'conflict',
        of === 'image'
          ? 'Another suite still builds the image on this machine: try again when it has ended.'
          : 'Another `npm run cluster`, or a suite that turns a knob, is at work on this machine: try again when it has ended.',
      );
    }
    if (waits === 0) onWait?.();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function tryLock(of: Lockable): Promise<AsyncDisposable | undefined> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    // An abstract socket: it has no file, and the kernel takes it away with its process, however that ends.
    server.listen(`\0rungate-${of}`, () => {
      server.unref();
      resolve({ [Symbol.asyncDispose]: () => new Promise<void>((done) => server.close(() => done())) });
    });
  });
}
