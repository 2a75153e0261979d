/** Bytes of a log answer become lines with their timestamps, whatever the pieces they arrive in. */
import type { LogLine } from './lines.ts';

/** A line longer than this leaves in fragments before its end is known. */
export const LONGEST_WHOLE_LINE = 1024 * 1024;
/** The size of those fragments: up to three bytes less, so that none ends within a character; only the last may be shorter. */
export const FRAGMENT_BYTES = 64 * 1024;

const LF = 0x0a;
const SPACE = 0x20;
const ZERO = 0x30;
const ZULU = 0x5a;
/** The length of `2026-11-01T10:00:00.000000001Z`. */
const USUAL_TIMESTAMP = 30;
/** Room for `2026-11-01T10:00:00.000000001+02:00`. */
const LONGEST_TIMESTAMP = 35;
const TIMESTAMP = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/;

/** A point in time with the kubelet's nine digits, which a JavaScript number cannot hold in one piece. */
export interface Instant {
  /** Seconds since the epoch. */
  readonly seconds: number;
  readonly nanos: number;
}

/** Negative when `a` is earlier, positive when it is later, 0 for the same instant. */
export function compareInstants(a: Instant, b: Instant): number {
  return a.seconds - b.seconds || a.nanos - b.nanos;
}

/** A line as it was read: `stamped` tells whether it had a timestamp of its own or continues the one before. */
export interface ReadLine extends LogLine {
  readonly instant: Instant;
  readonly stamped: boolean;
}

/** A whole line as nearly all are. What few readers want of it is made when they ask for it. */
class UsualLine implements ReadLine {
  readonly text: Buffer;
  readonly instant: Instant;
  readonly #chunk: Buffer;
  readonly #start: number;
  readonly #end: number;

  constructor(chunk: Buffer, start: number, end: number, instant: Instant) {
    this.text = chunk.subarray(start + USUAL_TIMESTAMP + 1, end);
    this.instant = instant;
    this.#chunk = chunk;
    this.#start = start;
    this.#end = end;
  }

  get timestamp(): string {
    return this.#chunk.toString('latin1', this.#start, this.#start + USUAL_TIMESTAMP);
  }

  get stampedText(): Buffer {
    return this.#chunk.subarray(this.#start, this.#end);
  }

  get stamped(): boolean {
    return true;
  }

  get part(): 'whole' {
    return 'whole';
  }
}

const NEVER: Instant = { seconds: 0, nanos: 0 };

/**
 * Splits one answer of the log endpoint (asked with `timestamps=true`). Feed it chunks in order, then `end` once.
 * Text is taken between LFs as it is: CR, NUL, ANSI and invalid UTF-8 stay. The chunks handed in are kept by reference.
 * Timestamps may have any number of digits and a numeric offset (kubelets differ); a line without one continues the last.
 */
export class LineSplitter {
  readonly #isTimed: boolean;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #fragmenting = false;
  #timestamp = '';
  #instant: Instant = NEVER;
  #stamped = false;
  /** The bytes that usual timestamps of the second of `#knownEpoch` begin with; none while there was none. */
  #knownSecond: Buffer = Buffer.alloc(0);
  #knownEpoch = 0;

  /** `timed: false`: the text has no timestamps, and what looks like one is text. */
  constructor({ timed = true }: { readonly timed?: boolean } = {}) {
    this.#isTimed = timed;
  }

  /** The lines and fragments that `chunk` completes. */
  push(chunk: Buffer): ReadLine[] {
    const lines: ReadLine[] = [];
    let start = 0;
    let latest: UsualLine | undefined;
    for (;;) {
      const end = chunk.indexOf(LF, start);
      if (end === -1) break;
      const usual = this.#usualLine(chunk, start, end);
      if (usual !== undefined) lines.push(usual);
      else {
        if (latest !== undefined) this.#remember(latest);
        this.#finish(chunk.subarray(start, end), lines);
      }
      latest = usual;
      start = end + 1;
    }
    if (latest !== undefined) this.#remember(latest);
    if (start < chunk.length) this.#keep(start === 0 ? chunk : chunk.subarray(start), lines);
    return lines;
  }

  /** What stands after the last LF, as a line of its own; nothing when the answer ended with one. */
  end(): ReadLine[] {
    const lines: ReadLine[] = [];
    if (this.#pendingBytes > 0 || this.#fragmenting) this.#finish(Buffer.alloc(0), lines);
    return lines;
  }

  #keep(piece: Buffer, lines: ReadLine[]): void {
    this.#pending.push(piece);
    this.#pendingBytes += piece.length;
    if (
      this.#fragmenting
        ? this.#pendingBytes > FRAGMENT_BYTES
        : this.#pendingBytes > LONGEST_WHOLE_LINE + LONGEST_TIMESTAMP + 1
    )
      this.#fragment(this.#take(), lines, false);
  }

  #take(last?: Buffer): Buffer {
    const pieces = last === undefined ? this.#pending : [...this.#pending, last];
    const whole = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
    this.#pending = [];
    this.#pendingBytes = 0;
    return whole;
  }

  #finish(piece: Buffer, lines: ReadLine[]): void {
    const line = this.#pendingBytes === 0 ? piece : this.#take(piece);
    if (this.#fragmenting) this.#fragment(line, lines, true);
    else {
      const text = this.#stamp(line);
      if (text.length > LONGEST_WHOLE_LINE) this.#fragment(text, lines, true, true);
      else lines.push(this.#line(text, 'whole'));
    }
  }

  /** Emits full fragments of `bytes` and keeps the rest, or emits all of it when the line `isOver`. */
  #fragment(bytes: Buffer, lines: ReadLine[], isOver: boolean, isStamped = this.#fragmenting): void {
    let rest = isStamped ? bytes : this.#stamp(bytes);
    while (rest.length > FRAGMENT_BYTES) {
      const end = characterStart(rest, FRAGMENT_BYTES);
      lines.push(this.#line(rest.subarray(0, end), this.#fragmenting ? 'middle' : 'first'));
      this.#fragmenting = true;
      rest = rest.subarray(end);
    }
    if (isOver) {
      lines.push(this.#line(rest, 'last'));
      this.#fragmenting = false;
    } else if (rest.length > 0) {
      this.#pending.push(rest);
      this.#pendingBytes = rest.length;
    }
  }

  /** Takes the timestamp off the beginning of a line and remembers it; returns the text behind it. */
  #stamp(line: Buffer): Buffer {
    if (!this.#isTimed) return line;
    const space = line.subarray(0, LONGEST_TIMESTAMP + 1).indexOf(SPACE);
    const word = space > 0 ? line.toString('latin1', 0, space) : '';
    const instant = space > 0 ? this.#parse(word) : undefined;
    this.#stamped = instant !== undefined;
    if (instant === undefined) return line;
    this.#timestamp = word;
    this.#instant = instant;
    return line.subarray(space + 1);
  }

  /**
   * A line that is whole within `chunk` and has the usual timestamp, within the second of one before; undefined: it is
   * another one. Lines of one second share their first 20 bytes: the calendar is computed once a second, not once a line.
   */
  #usualLine(chunk: Buffer, start: number, end: number): UsualLine | undefined {
    const second = this.#knownSecond;
    const space = start + USUAL_TIMESTAMP;
    if (space >= end || chunk[space] !== SPACE || chunk[space - 1] !== ZULU || second.length === 0) return undefined;
    if (this.#pendingBytes > 0 || this.#fragmenting || end - space > LONGEST_WHOLE_LINE) return undefined;
    for (let at = 0; at < second.length; at++) if (chunk[start + at] !== second[at]) return undefined;
    let nanos = 0;
    for (let at = start + second.length; at < space - 1; at++) {
      const digit = (chunk[at] ?? 0) - ZERO;
      if (digit < 0 || digit > 9) return undefined;
      nanos = nanos * 10 + digit;
    }
    return new UsualLine(chunk, start, end, { seconds: this.#knownEpoch, nanos });
  }

  /** Lines without a timestamp continue this one. */
  #remember({ timestamp, instant }: UsualLine): void {
    this.#stamped = true;
    this.#timestamp = timestamp;
    this.#instant = instant;
  }

  #parse(word: string): Instant | undefined {
    const parts = TIMESTAMP.exec(word);
    if (parts === null) return undefined;
    const epochMs = Date.parse(`${parts[1]}${parts[3]}`);
    if (Number.isNaN(epochMs)) return undefined;
    const seconds = epochMs / 1000;
    if (word.length === USUAL_TIMESTAMP && parts[3] === 'Z') {
      this.#knownSecond = Buffer.from(word.slice(0, 20), 'latin1');
      this.#knownEpoch = seconds;
    }
    return { seconds, nanos: Number((parts[2] ?? '').padEnd(9, '0')) };
  }

  #line(text: Buffer, part: LogLine['part']): ReadLine {
    const timestamp = part === 'whole' || part === 'first' ? this.#timestamp : '';
    return { timestamp, instant: this.#instant, stamped: this.#stamped, text, part };
  }
}

/** Where the character that byte `at` belongs to begins, in UTF-8; `at` itself where the bytes are none. */
function characterStart(bytes: Buffer, at: number): number {
  for (let start = at; start > at - 4; start -= 1) if (((bytes[start] ?? 0) & 0xc0) !== 0x80) return start;
  return at;
}
