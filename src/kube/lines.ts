/** A container's log as lines: the shape in which `podlog` hands on what it read. */

/**
 * One line, or a fragment of one that is longer than 1 MiB.
 * `whole` is a line; a longer one is one `first`, any number of `middle` and one `last`, with no other line of its container between.
 */
export interface LogLine {
  /**
   * RFC 3339 with up to nine digits, as the kubelet wrote it. A line without one, and a fragment after the first, may repeat
   * the one before; '' when there is none.
   */
  readonly timestamp: string;
  /** The bytes as the container wrote them: ANSI, CR, NUL and invalid UTF-8 included, without the LF. */
  readonly text: Buffer;
  readonly part: 'whole' | 'first' | 'middle' | 'last';
  /** Timestamp, a space and text, where they came in one piece. It and the others may be getters: a spread copies none of them. */
  readonly stampedText?: Buffer;
}

/**
 * Where in one container's log a reader is: after this line, or inside it. Plain data, so that it can leave the process
 * and come back. It names the line by what the log itself says of it, so it holds for every reader of the same log.
 */
export interface LogPosition {
  /** The line's timestamp: whole seconds since the epoch, and the rest of it. */
  readonly seconds: number;
  readonly nanos: number;
  /** CRC-32 of its bytes; of those of its first fragment where it came in fragments. */
  readonly checksum: number;
  /** From 1: which one it is of the lines with this timestamp and this checksum that follow each other. */
  readonly nth: number;
  /** How much later the latest line before it is, in nanoseconds: 0 unless stdout and stderr overtook each other, or a clock was set back. */
  readonly aheadNanos: number;
  /** Inside a line in fragments: so many of its bytes were delivered. Absent: all of it was. */
  readonly openBytes?: number;
}

/** Lines of one container, in the order of its log. A batch may end within a fragmented line; the next one goes on with it. */
export interface LineBatch {
  readonly lines: readonly LogLine[];
  /**
   * Where a reader is after line `at` of the batch, worked out when it is asked for. Whoever hands on a part of a batch
   * hands on this too, with `at` moved. Absent where the lines were not read from a log.
   */
  readonly positionAfter?: (at: number) => LogPosition;
}
