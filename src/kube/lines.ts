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
}

/** Lines of one container, in the order of its log. A batch may end within a fragmented line; the next one goes on with it. */
export interface LineBatch {
  readonly lines: readonly LogLine[];
}
