/** How far one container's log has been delivered, exactly enough to go on after any cut without loss or repeat. */
import { crc32 } from 'node:zlib';
import { compareInstants, type Instant, type ReadLine } from './splitter.ts';

/** Held while it is not known whether they are new; more than this is let go of. */
const MOST_HELD_BYTES = 1024 * 1024;
const MOST_HELD_LINES = 4096;
/** Numbers per delivered line in the window: seconds, nanos, length, checksum. */
const FIELDS = 4;

/** What a read brought: `fresh` lines in order, and whether lines may be missing right before them. */
export interface Sifted {
  readonly fresh: readonly ReadLine[];
  readonly gap: boolean;
}

/**
 * Remembers the lines of the last seconds and sifts what a resumed read repeats from what is new.
 *
 * A read resumes at a whole second (the API server drops the fraction) before the last delivered line, so it repeats a
 * part of what was delivered. The last delivered line must come again: what follows it is new. If lines later than
 * anything delivered come without it, the file was rotated in between: `gap`. Lines that fit neither are held until one
 * of the two happens, or until `settle`.
 *
 * A line in fragments is known by its first; when a cut fell inside it, the bytes already delivered are skipped.
 */
export class LogCursor {
  #window: number[] = [];
  #last: Instant | undefined;
  #latest: Instant = { seconds: 0, nanos: 0 };
  #lastKey = '';
  /** Undefined when it came in fragments. */
  #lastText: Buffer | undefined;
  /** Bytes delivered of the line that stood open at the cut; undefined when the last delivered line was complete. */
  #openBytes: number | undefined;

  #catchingUp: Map<string, number> | undefined;
  #held: ReadLine[] = [];
  #heldBytes = 0;
  #sawStamp = true;
  /** What to do with the fragments that follow a first one: bytes still to skip (Infinity: all of them). */
  #skipBytes = 0;
  /** True while a held or skipped line's fragments are passing. */
  #following: 'emit' | 'skip' | 'hold' = 'emit';

  /** The `sinceTime` a resumed read asks for, or undefined when nothing was delivered: repeat the first question then. */
  sinceTime(): string | undefined {
    if (this.#last === undefined) return undefined;
    return `${new Date((this.#last.seconds - 1) * 1000).toISOString().slice(0, 19)}Z`;
  }

  /** True once anything was delivered. */
  get started(): boolean {
    return this.#last !== undefined;
  }

  /** True while a resumed read has not yet shown the last delivered line. */
  get catchingUp(): boolean {
    return this.#catchingUp !== undefined;
  }

  /** True when `line` is the last one delivered, whole. */
  isLast(line: ReadLine): boolean {
    return line.part === 'whole' && this.#openBytes === undefined && keyOf(line) === this.#lastKey;
  }

  /** True when `record`, shown as the last of the log, may be the end of the last line delivered: nobody can tell for certain. */
  mayEndWith(record: ReadLine): boolean {
    return this.#lastText === undefined ? this.started : isRecordOf(this.#lastText, record.text);
  }

  /** Begins a read with `sinceTime()`; call before its first line. */
  resume(): void {
    this.#letGo();
    this.#skipBytes = 0;
    this.#following = 'emit';
    if (this.#last === undefined) return;
    this.#sawStamp = false;
    const counts = new Map<string, number>();
    for (let at = 0; at < this.#window.length; at += FIELDS) {
      const key = this.#window.slice(at, at + FIELDS).join(' ');
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    this.#catchingUp = counts;
  }

  /** Sifts the next lines of the current read. The fresh ones count as delivered. */
  sift(lines: readonly ReadLine[]): Sifted {
    if (this.#catchingUp === undefined && this.#skipBytes === 0) {
      for (const line of lines) this.#deliver(line);
      return { fresh: lines, gap: false };
    }
    const fresh: ReadLine[] = [];
    let gap = false;
    for (const line of lines) gap = this.#siftOne(line, fresh) || gap;
    return { fresh, gap };
  }

  /** Ends the doubt of a resumed read that is over, or has been silent for long: what is held is new, behind a gap. */
  settle(): Sifted {
    if (this.#catchingUp === undefined) return { fresh: [], gap: false };
    const fresh: ReadLine[] = [];
    this.#giveUpOnLast(fresh);
    return { fresh, gap: true };
  }

  /** True while lines are held in doubt. */
  get holding(): boolean {
    return this.#held.length > 0;
  }

  #siftOne(line: ReadLine, fresh: ReadLine[]): boolean {
    if (line.part === 'middle' || line.part === 'last') {
      this.#siftFragment(line, fresh);
      return false;
    }
    if (this.#catchingUp === undefined) {
      this.#pass(line, fresh);
      return false;
    }
    // `sinceTime` can cut a line made of several records; its tail has no timestamp and belongs to a delivered line.
    if (!this.#sawStamp && !line.stamped) {
      this.#following = 'skip';
      return false;
    }
    this.#sawStamp = true;
    const key = keyOf(line);
    const left = this.#catchingUp.get(key) ?? 0;
    if (left > 0) {
      this.#catchingUp.set(key, left - 1);
      this.#following = 'skip';
      if (key === this.#lastKey && left === 1) this.#caughtUp(line);
      return false;
    }
    if (compareInstants(line.instant, this.#latest) > 0) {
      this.#giveUpOnLast(fresh);
      this.#pass(line, fresh);
      return true;
    }
    // A clock that was set back makes a resume repeat far more than the window has. It is old, unless a rotation came on
    // top; then what is let go of here stands behind the gap.
    if (this.#heldTooMuch()) this.#letGo();
    this.#following = 'hold';
    this.#hold(line);
    return false;
  }

  #siftFragment(line: ReadLine, fresh: ReadLine[]): void {
    if (this.#skipBytes > 0 && this.#following === 'skip' && this.#catchingUp === undefined) {
      if (this.#skipBytes === Number.POSITIVE_INFINITY) {
        if (line.part === 'last') this.#skipBytes = 0;
        return;
      }
      const skipped = Math.min(this.#skipBytes, line.text.length);
      const rest = line.text.subarray(skipped);
      this.#skipBytes -= skipped;
      if (this.#skipBytes === 0) this.#following = 'emit';
      if (rest.length > 0 || line.part === 'last') this.#pass({ ...line, text: rest }, fresh);
    } else if (this.#following === 'emit') this.#pass(line, fresh);
    else if (this.#following === 'hold') this.#hold(line);
  }

  /** The last delivered line has come again. Held lines came before it: they are old (a tail began after them). */
  #caughtUp(line: ReadLine): void {
    this.#catchingUp = undefined;
    this.#letGo();
    this.#skipBytes = 0;
    if (line.part !== 'first') return;
    this.#skipBytes = this.#openBytes === undefined ? Number.POSITIVE_INFINITY : this.#openBytes - line.text.length;
    this.#following = this.#skipBytes === 0 ? 'emit' : 'skip';
  }

  #giveUpOnLast(fresh: ReadLine[]): void {
    this.#catchingUp = undefined;
    this.#skipBytes = 0;
    const held = this.#held;
    this.#letGo();
    fresh.push(...this.abandon());
    for (const line of held) this.#pass(line, fresh);
  }

  /** Ends a line whose fragments stopped coming, so that what follows does not run into it. Twice: nothing more. */
  abandon(): readonly ReadLine[] {
    if (this.#openBytes === undefined || this.#last === undefined) return [];
    this.#openBytes = undefined;
    return [{ timestamp: '', instant: this.#last, stamped: false, text: Buffer.alloc(0), part: 'last' }];
  }

  #pass(line: ReadLine, fresh: ReadLine[]): void {
    this.#following = 'emit';
    this.#deliver(line);
    fresh.push(line);
  }

  #hold(line: ReadLine): void {
    this.#held.push(line);
    this.#heldBytes += line.text.length;
  }

  #letGo(): void {
    this.#held = [];
    this.#heldBytes = 0;
  }

  #heldTooMuch(): boolean {
    return this.#held.length >= MOST_HELD_LINES || this.#heldBytes >= MOST_HELD_BYTES;
  }

  #deliver(line: ReadLine): void {
    if (line.part === 'middle') {
      this.#openBytes = (this.#openBytes ?? 0) + line.text.length;
      return;
    }
    if (line.part === 'last') {
      this.#openBytes = undefined;
      return;
    }
    const { instant } = line;
    if (this.#last !== undefined && instant.seconds > this.#last.seconds) this.#forgetBefore(instant.seconds - 1);
    const length = line.part === 'whole' ? line.text.length : -1;
    const checksum = crc32(line.text);
    this.#window.push(instant.seconds, instant.nanos, length, checksum);
    this.#last = instant;
    if (compareInstants(instant, this.#latest) > 0) this.#latest = instant;
    this.#lastKey = `${instant.seconds} ${instant.nanos} ${length} ${checksum}`;
    this.#lastText = line.part === 'whole' ? line.text : undefined;
    this.#openBytes = line.part === 'first' ? line.text.length : undefined;
  }

  #forgetBefore(seconds: number): void {
    const kept: number[] = [];
    for (let at = 0; at < this.#window.length; at += FIELDS)
      if ((this.#window[at] ?? 0) >= seconds)
        for (let field = 0; field < FIELDS; field++) kept.push(this.#window[at + field] ?? 0);
    this.#window = kept;
  }
}

/** Runtimes write a line in records of this many bytes or more. */
const SMALLEST_RECORD = 4096;

/** Whether `record` can be the last record of the line `text`. */
export function isRecordOf(text: Buffer, record: Buffer): boolean {
  const before = text.length - record.length;
  return before >= SMALLEST_RECORD && text.subarray(before).equals(record);
}

function keyOf(line: ReadLine): string {
  return `${line.instant.seconds} ${line.instant.nanos} ${line.part === 'whole' ? line.text.length : -1} ${crc32(line.text)}`;
}
