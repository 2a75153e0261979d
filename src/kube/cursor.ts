/** How far one container's log has been delivered, exactly enough to go on after any cut without loss or repeat. */
import { crc32 } from 'node:zlib';
import type { LogPosition } from './lines.ts';
import { type Place, placeAfter, placeOf, positionOf, type ReadBatch, readBatch } from './position.ts';
import { compareInstants, type ReadLine } from './splitter.ts';

/** Held while it is not known whether they are new; more than this is let go of. */
const MOST_HELD_BYTES = 1024 * 1024;
const MOST_HELD_LINES = 4096;
/** Runtimes write a line in records of this many bytes or more. */
const SMALLEST_RECORD = 4096;

/** What a read brought: `fresh` lines in order, and whether lines may be missing right before them. */
export interface Sifted {
  readonly fresh: ReadBatch;
  readonly gap: boolean;
}

/** A resumed read that has not shown the last delivered line yet. */
interface CatchingUp {
  sawStamp: boolean;
  /** Of the lines of the last delivered line's instant that came again. */
  checksums: number[];
  /** How many lines that look like the last delivered one have yet to come; the last of them is it. */
  lookalikes: number;
  held: ReadLine[];
  heldBytes: number;
}

/**
 * Remembers the last delivered line and sifts what a resumed read repeats from what is new.
 *
 * A read resumes at a whole second (the API server drops the fraction) before the last delivered line, so it repeats a
 * part of what was delivered. The last delivered line must come again: what follows it is new. If lines later than
 * anything delivered come without it, the file was rotated in between: `gap`. A log is a file of which only the beginning
 * can go, so lines that are older are old; those that fit neither are held until one of the two happens, or until `settle`.
 *
 * A line in fragments is known by its first; when a cut fell inside it, the bytes already delivered are skipped.
 */
export class LogCursor {
  #place: Place | undefined;
  /** The place is in the log that is being read, not in that of an earlier run of the container. */
  #isHere = true;
  /** Text of the last line, kept where its last record alone may be shown; `unknown` where only its position is known. */
  #lastText: Buffer | 'short' | 'unknown' = 'unknown';
  #catchingUp: CatchingUp | undefined;
  /** Bytes of a delivered line that are still to come again; Infinity: all there are. */
  #skipBytes = 0;
  /** What to do with the fragments that follow a first one. */
  #following: 'emit' | 'skip' | 'hold' = 'emit';

  /** `from`: where an earlier reader was. Without it nothing has been delivered yet. */
  constructor(from?: LogPosition) {
    if (from !== undefined) this.#place = placeOf(from);
  }

  /** The `sinceTime` a resumed read asks for, or undefined when nothing was delivered: repeat the first question then. */
  sinceTime(): string | undefined {
    if (this.#place === undefined || !this.#isHere) return undefined;
    return `${new Date((this.#place.instant.seconds - 1) * 1000).toISOString().slice(0, 19)}Z`;
  }

  /** Where the reader is; undefined before the first line. */
  get position(): LogPosition | undefined {
    return this.#place === undefined ? undefined : positionOf(this.#place);
  }

  /** True once anything of this log was delivered. */
  get started(): boolean {
    return this.#place !== undefined && this.#isHere;
  }

  /** What is read from now on is another log, of a later run of the same container: all of it is new. */
  nextLog(): void {
    this.#isHere = false;
    this.#catchingUp = undefined;
  }

  /** True while a resumed read has not yet shown the last delivered line. */
  get catchingUp(): boolean {
    return this.#catchingUp !== undefined;
  }

  /** True while lines are held in doubt. */
  get holding(): boolean {
    return (this.#catchingUp?.held.length ?? 0) > 0;
  }

  /** True when `line` is the last one delivered, whole. */
  isLast(line: ReadLine): boolean {
    const place = this.#place;
    return (
      place !== undefined &&
      this.#isHere &&
      place.openBytes === undefined &&
      line.part === 'whole' &&
      compareInstants(line.instant, place.instant) === 0 &&
      crc32(line.text) === place.checksums.at(-1)
    );
  }

  /** True when `record`, shown as the last of the log, may be the end of the last line delivered: nobody can tell for certain. */
  mayEndWith(record: ReadLine): boolean {
    if (this.#lastText === 'unknown') return this.started;
    return this.#lastText !== 'short' && isRecordOf(this.#lastText, record.text);
  }

  /** True when everything up to `line` was delivered, as far as timestamps tell. */
  hasReached(line: ReadLine): boolean {
    return this.started && compareInstants(line.instant, this.#place?.latest ?? line.instant) <= 0;
  }

  /** Begins a read with `sinceTime()`; call before its first line. */
  resume(): void {
    this.#skipBytes = 0;
    this.#following = 'emit';
    this.#catchingUp =
      this.#place === undefined || !this.#isHere
        ? undefined
        : { sawStamp: false, checksums: [], lookalikes: positionOf(this.#place).nth, held: [], heldBytes: 0 };
  }

  /** Sifts the next lines of the current read. The fresh ones count as delivered. */
  sift(lines: readonly ReadLine[]): Sifted {
    if (this.#catchingUp === undefined && this.#skipBytes === 0) return { fresh: this.#deliver(lines), gap: false };
    const fresh: ReadLine[] = [];
    let gap = false;
    for (const line of lines) gap = this.#siftOne(line, fresh) || gap;
    return { fresh: this.#deliver(fresh), gap };
  }

  /** Ends the doubt of a resumed read that is over, or has been silent for long: what is held is new, behind a gap. */
  settle(): Sifted {
    const gap = this.#catchingUp !== undefined;
    return { fresh: this.#deliver(gap ? this.#giveUpOnLast() : []), gap };
  }

  /** Ends a line whose fragments stopped coming, so that what follows does not run into it. Twice: nothing more. */
  abandon(): ReadBatch {
    return this.#deliver(this.#closing());
  }

  #siftOne(line: ReadLine, fresh: ReadLine[]): boolean {
    const { part, instant, text } = line;
    if (part === 'middle' || part === 'last') {
      this.#siftFragment(line, fresh);
      return false;
    }
    this.#following = 'emit';
    const place = this.#place;
    const catching = this.#catchingUp;
    if (catching === undefined || place === undefined) {
      fresh.push(line);
      return false;
    }
    this.#following = 'skip';
    // `sinceTime` can cut a line made of several records; its tail has no timestamp and belongs to a delivered line.
    if (!catching.sawStamp && !line.stamped) return false;
    catching.sawStamp = true;
    const order = compareInstants(instant, place.instant);
    if (order === 0) {
      const checksum = crc32(text);
      catching.checksums.push(checksum);
      if (checksum !== place.checksums.at(-1)) this.#hold(line, catching);
      else if (--catching.lookalikes === 0) this.#caughtUp(line, place, catching.checksums);
      return false;
    }
    if (catching.checksums.length > 0) {
      catching.checksums = [];
      catching.lookalikes = positionOf(place).nth;
    }
    if (order < 0) return false;
    if (compareInstants(instant, place.latest) > 0) {
      fresh.push(...this.#giveUpOnLast(), line);
      this.#following = 'emit';
      return true;
    }
    this.#hold(line, catching);
    return false;
  }

  #siftFragment(line: ReadLine, fresh: ReadLine[]): void {
    if (this.#following === 'emit') fresh.push(line);
    else if (this.#following === 'hold' && this.#catchingUp !== undefined) this.#hold(line, this.#catchingUp);
    else if (this.#skipBytes === Number.POSITIVE_INFINITY) {
      if (line.part === 'last') this.#skipBytes = 0;
    } else if (this.#skipBytes > 0) {
      const skipped = Math.min(this.#skipBytes, line.text.length);
      const rest = line.text.subarray(skipped);
      this.#skipBytes -= skipped;
      if (this.#skipBytes === 0) this.#following = 'emit';
      if (rest.length > 0 || line.part === 'last') fresh.push({ ...line, text: rest });
    }
  }

  /** The last delivered line has come again. Held lines came before it: they are old (a tail began after them). */
  #caughtUp(line: ReadLine, place: Place, checksums: readonly number[]): void {
    this.#catchingUp = undefined;
    // Only now all lines of its instant are known, and those that come can be counted among them.
    this.#place = { ...place, checksums };
    this.#lastText = textToKeep(line);
    if (line.part !== 'first') return;
    this.#skipBytes = place.openBytes === undefined ? Number.POSITIVE_INFINITY : place.openBytes - line.text.length;
    this.#following = this.#skipBytes === 0 ? 'emit' : 'skip';
  }

  /** What was held, as new lines, behind the end of a line that will not have one. */
  #giveUpOnLast(): readonly ReadLine[] {
    const held = this.#catchingUp?.held ?? [];
    this.#catchingUp = undefined;
    return [...this.#closing(), ...held];
  }

  #closing(): readonly ReadLine[] {
    if (this.#place?.openBytes === undefined) return [];
    return [{ timestamp: '', instant: this.#place.instant, stamped: false, text: Buffer.alloc(0), part: 'last' }];
  }

  #hold(line: ReadLine, catching: CatchingUp): void {
    // A clock that was set back makes a resume repeat far more than can be held. It is old, unless a rotation came on top;
    // then what is let go of here stands behind the gap.
    if (catching.held.length >= MOST_HELD_LINES || catching.heldBytes >= MOST_HELD_BYTES) {
      catching.held = [];
      catching.heldBytes = 0;
    }
    this.#following = 'hold';
    catching.held.push(line);
    catching.heldBytes += line.text.length;
  }

  #deliver(lines: readonly ReadLine[]): ReadBatch {
    const before = this.#place;
    if (lines.length > 0) this.#isHere = true;
    this.#place = placeAfter(before, lines);
    const last = lines.findLast(({ part }) => part === 'whole' || part === 'first');
    if (last !== undefined) this.#lastText = textToKeep(last);
    return readBatch(lines, before, this.#place);
  }
}

/** A copy, because the line's own text is a part of something much larger. */
function textToKeep({ part, text }: ReadLine): Buffer | 'short' | 'unknown' {
  if (part !== 'whole') return 'unknown';
  return text.length < SMALLEST_RECORD ? 'short' : Buffer.from(text);
}

/** Whether `record` can be the last record of the line `text`. */
export function isRecordOf(text: Buffer, record: Buffer): boolean {
  const before = text.length - record.length;
  return before >= SMALLEST_RECORD && text.subarray(before).equals(record);
}
