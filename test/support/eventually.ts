/** Waiting for the world to become as it should be, without guessing how long that takes. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Calls `probe` until it neither throws nor rejects, and returns what it returned. After `withinMs` (30 s unless told)
 * it throws the probe's last error, so a failing test says what was still wrong, not that time ran out. The bound is
 * there to end a broken test: generous ones cost nothing.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  { withinMs = 30_000, everyMs = 50 }: { withinMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (performance.now() >= deadline) throw error;
    }
    await sleep(everyMs);
  }
}
