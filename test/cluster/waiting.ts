/** Waiting for the world to become what it should be. */
import { Fault } from '../../src/fault.ts';

/**
 * The first answer of `look` that is not undefined; looks every `everyMs`.
 *
 * An error of `look` ends the waiting; after `limitMs` it is a Fault `timeout` that names `what`.
 */
export async function eventually<T>(
  what: string,
  limitMs: number,
  look: () => Promise<T | undefined>,
  everyMs = 100,
): Promise<T> {
  const giveUpAt = Date.now() + limitMs;
  for (;;) {
    const answer = await look();
    if (answer !== undefined) return answer;
    if (Date.now() >= giveUpAt)
      throw new Fault('timeout', `Waited ${Math.round(limitMs / 1000)} s for ${what}, and it did not come.`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** Whether something answers there with success. */
export async function answers(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    async (response) => {
      await response.body?.cancel();
      return response.ok;
    },
    () => false,
  );
}
