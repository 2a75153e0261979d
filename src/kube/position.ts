/** From lines to positions: what has to be remembered of the lines before a place, so that it can be named and found again. */
import { crc32 } from 'node:zlib';
import type { LineBatch, LogPosition } from './lines.ts';
import { compareInstants, type Instant, type ReadLine } from './splitter.ts';

/** Lines as they were read, with the place they leave their reader at. */
export interface ReadBatch extends LineBatch {
  readonly lines: readonly ReadLine[];
  readonly positionAfter: (at: number) => LogPosition;
}

/** What is remembered of the lines that were delivered. It is a value: it never changes once it is made. */
export interface Place {
  /** Of the last line. */
  readonly instant: Instant;
  /** Of the latest line: the last one's, unless lines are not in the order of their timestamps. */
  readonly latest: Instant;
  /** Of the lines that end with the last one and share its instant, in order. */
  readonly checksums: readonly number[];
  /** Bytes delivered of the last line, while its last fragment was not; undefined when it is complete. */
  readonly openBytes: number | undefined;
}

/** Kept of the lines of one instant. More than this have one where a clock stands still; identical ones are confused then. */
const MOST_CHECKSUMS = 65_536;

/** The place after the first `count` of `lines`, which began at `before`. Undefined while there is none: nothing came yet. */
export function placeAfter(
  before: Place | undefined,
  lines: readonly ReadLine[],
  count = lines.length,
): Place | undefined {
  let last = count - 1;
  while (last >= 0 && !beginsLine(lines[last])) last -= 1;
  const line = lines[last];
  const openBytes = openAfter(before?.openBytes, lines, count);
  if (line === undefined) return before === undefined ? undefined : { ...before, openBytes };

  const { instant } = line;
  let latest = before?.latest ?? instant;
  for (let at = 0; at <= last; at++) {
    const candidate = lines[at]?.instant;
    if (candidate !== undefined && compareInstants(candidate, latest) > 0) latest = candidate;
  }
  let first = last;
  const sharesInstant = (at: number) => {
    const other = lines[at];
    return other !== undefined && compareInstants(other.instant, instant) === 0;
  };
  while (first > 0 && sharesInstant(first - 1)) first -= 1;
  const earlier =
    first === 0 && before !== undefined && compareInstants(before.instant, instant) === 0 ? before.checksums : [];
  const own = lines.slice(first, last + 1).filter(beginsLine);
  const checksums = [...earlier, ...own.map(({ text }) => crc32(text))].slice(-MOST_CHECKSUMS);
  return { instant, latest, checksums, openBytes };
}

/** A batch of `lines` that begin at `before` and lead to `after`. */
export function readBatch(lines: readonly ReadLine[], before: Place | undefined, after: Place | undefined): ReadBatch {
  return {
    lines,
    positionAfter: (at) => {
      const place = at === lines.length - 1 ? after : placeAfter(before, lines, at + 1);
      if (place === undefined) throw new RangeError('a batch without lines has no positions');
      return positionOf(place);
    },
  };
}

/** The position of a place. */
export function positionOf({ instant, latest, checksums, openBytes }: Place): LogPosition {
  const checksum = checksums.at(-1) ?? 0;
  const aheadNanos = (latest.seconds - instant.seconds) * 1e9 + (latest.nanos - instant.nanos);
  return {
    ...instant,
    checksum,
    nth: checksums.filter((other) => other === checksum).length,
    aheadNanos,
    ...(openBytes === undefined ? {} : { openBytes }),
  };
}

/** The place of a position, as far as it tells: other lines of the same instant are only known once they were read again. */
export function placeOf({ seconds, nanos, checksum, nth, aheadNanos, openBytes }: LogPosition): Place {
  const late = nanos + aheadNanos;
  return {
    instant: { seconds, nanos },
    latest: { seconds: seconds + Math.floor(late / 1e9), nanos: late % 1e9 },
    checksums: Array.from({ length: Math.min(nth, MOST_CHECKSUMS) }, () => checksum),
    openBytes,
  };
}

/** Whether two positions are the same place of a log. */
export function isSamePosition(a: LogPosition, b: LogPosition): boolean {
  return (
    a.seconds === b.seconds &&
    a.nanos === b.nanos &&
    a.checksum === b.checksum &&
    a.nth === b.nth &&
    a.openBytes === b.openBytes
  );
}

function beginsLine(line: ReadLine | undefined): boolean {
  return line?.part === 'whole' || line?.part === 'first';
}

/** How many bytes of a line are open after the first `count` of `lines`. */
function openAfter(before: number | undefined, lines: readonly ReadLine[], count: number): number | undefined {
  let at = count - 1;
  let bytes = 0;
  for (; at >= 0 && lines[at]?.part === 'middle'; at--) bytes += lines[at]?.text.length ?? 0;
  const line = lines[at];
  if (line === undefined) return before === undefined && bytes === 0 ? undefined : (before ?? 0) + bytes;
  return line.part === 'first' ? line.text.length + bytes : undefined;
}

/** What is left of a batch without its first `count` lines. */
export function withoutFirst({ lines, positionAfter }: ReadBatch, count: number): ReadBatch {
  return { lines: lines.slice(count), positionAfter: (at) => positionAfter(at + count) };
}
