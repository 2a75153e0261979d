/** Reading what `/logs` sent: whose line is which, and what the kubelet says it should be. */
import assert from 'node:assert/strict';
import type { World } from './world.ts';

const LF = 0x0a;

/** The lines of `bytes`, without LF. What stands after the last LF is one too, unless it is empty. */
function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let start = 0;
  while (start < bytes.length) {
    const end = bytes.indexOf(LF, start);
    lines.push(bytes.subarray(start, end === -1 ? bytes.length : end));
    if (end === -1) break;
    start = end + 1;
  }
  return lines;
}

/** The lines that carry the prefix `[source] `, without it, in order. */
export function linesFrom(bytes: Buffer, source: string): Buffer[] {
  const prefix = Buffer.from(`[${source}] `);
  return linesOf(bytes)
    .filter((line) => line.subarray(0, prefix.length).equals(prefix))
    .map((line) => line.subarray(prefix.length));
}

/** The prefixes in `bytes`, each once, in the order of their first lines: `build : compile`. */
export function sourcesIn(bytes: Buffer): string[] {
  const found = linesOf(bytes).flatMap((line) => /^\[([^\]]* : [^\]]*)\] /.exec(line.toString('latin1'))?.[1] ?? []);
  return [...new Set(found)];
}

/** Throws unless the lines of `source` are those that the kubelet serves for these containers, one after another, byte for byte. */
export async function assertSameAsKubelet(
  world: World,
  bytes: Buffer,
  source: string,
  containers: readonly { readonly pod: string; readonly container: string }[],
): Promise<void> {
  const want: Buffer[] = [];
  for (const { pod, container } of containers) want.push(...linesOf(await world.kubeletLog(pod, container)));
  const got = linesFrom(bytes, source);
  assert.equal(got.length, want.length, `lines of ${source}`);
  for (const [at, line] of want.entries())
    assert.ok(got[at]?.equals(line), `line ${at + 1} of ${source}: ${got[at]} is not ${line}`);
}
