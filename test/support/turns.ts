/**
 * Preloaded into a program (`NODE_OPTIONS=--import`): from SIGUSR2 on it tells how long its event loop was held up at most, in
 * milliseconds, in the file that `TURNS_FILE` names. What counts is the processor time of the main thread between two looks of a timer, so that a machine with too
 * much to do does not look like a loop with too much to do.
 */
import { writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const LOOK_MS = 5;

const file = process.env.TURNS_FILE;

if (isMainThread && file !== undefined) {
  process.once('SIGUSR2', () => {
    let longest = 0;
    let before = process.threadCpuUsage();
    setInterval(() => {
      const { user, system } = process.threadCpuUsage(before);
      if (user + system > longest) {
        longest = user + system;
        writeFileSync(file, String(longest / 1_000));
      }
      before = process.threadCpuUsage();
    }, LOOK_MS).unref();
  });
}
