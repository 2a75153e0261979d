/** Batches on their way: lines that were delivered before are left out, and lines without timestamps are counted to have positions. */
import type { LineBatch, LogPosition } from '../../kube/lines.ts';

/** Takes batches, as a reader of a log hands them on. */
export type TakeLines = (batch: LineBatch) => void | Promise<void>;

/** Hands batches on without the first `count` lines of all, fragments counted one by one. */
export function behind(count: number, lines: TakeLines): TakeLines {
  let left = count;
  if (count === 0) return lines;
  return (batch) => {
    const skipped = Math.min(left, batch.lines.length);
    left -= skipped;
    if (skipped === 0) return lines(batch);
    if (skipped === batch.lines.length) return undefined;
    const { positionAfter } = batch;
    return lines({
      lines: batch.lines.slice(skipped),
      ...(positionAfter === undefined ? {} : { positionAfter: (at) => positionAfter(at + skipped) }),
    });
  };
}

/** Gives the lines of a log that has no timestamps positions that count them; the log is read from its beginning each time. */
export function counting(lines: TakeLines): TakeLines {
  let before = 0;
  return (batch) => {
    const first = before + 1;
    before += batch.lines.length;
    return lines({
      lines: batch.lines,
      positionAfter: (at) => ({ seconds: 0, nanos: 0, checksum: 0, nth: first + at, aheadNanos: 0 }),
    });
  };
}

/** How many lines such a position stands behind; undefined where it is one of a log with timestamps, none of which was written in 1970. */
export function countOf({ seconds, nanos, checksum, nth }: LogPosition): number | undefined {
  return seconds === 0 && nanos === 0 && checksum === 0 ? nth : undefined;
}
