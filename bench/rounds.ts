/** Rounds: rungate and its peer in turn, A B A B, so that whatever else the machine does falls on both. */
import type { Round } from './row.ts';

/**
 * Measures both once for warmth, which is forgotten, and then in `count` rounds. Who begins alternates too: whatever one
 * leaves behind (garbage, warm caches) is met by the other as often. `warmUp: false` for what starts new processes each time.
 */
export async function alternate<T>(
  count: number,
  measure: { readonly ours: () => Promise<T>; readonly peer: () => Promise<T> },
  { warmUp = true }: { readonly warmUp?: boolean } = {},
): Promise<Round<T>[]> {
  if (warmUp) {
    await measure.ours();
    await measure.peer();
  }
  const rounds: Round<T>[] = [];
  for (let round = 0; round < count; round++) {
    if (round % 2 === 0) {
      const ours = await measure.ours();
      rounds.push({ ours, peer: await measure.peer() });
    } else {
      const peer = await measure.peer();
      rounds.push({ ours: await measure.ours(), peer });
    }
  }
  return rounds;
}
