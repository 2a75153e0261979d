/** Signed cursors: how far a client has read the log of a run, as a text that it keeps and any replica with the same key takes back. */
import { createHmac, createSecretKey, hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { Fault } from '../../fault.ts';
import type { LogPosition } from '../../kube/lines.ts';

/** Where to go on in one container's log. */
export type ResumePoint =
  | 'beginning' // nothing of it was delivered
  | 'end' // all of it was
  | {
      /** The first line after this is the next one, */
      readonly from: LogPosition;
      /** but for so many, fragments counted one by one. */
      readonly skipLines: number;
    };

/** How far one container has been read. */
export interface ContainerProgress {
  readonly pod: string;
  readonly container: string;
  readonly at: 'end' | LogPosition | ResumePoint;
}

/** What a cursor says. */
export interface CursorState {
  readonly runUid: string;
  /** The options that change what is read, as one text: another client asks for the same log when it has the same text. */
  readonly filters: string;
  /** When it was first asked for, in seconds since the epoch: `since` and `tail` count from then, however often a client comes back. */
  readonly askedSeconds?: number;
  /** The client has had the last word about a run that is over. */
  readonly ended?: boolean;
  /** Names of pods of which everything that was asked for has been delivered; their containers need not be named. */
  readonly podsRead: Iterable<string>;
  /** The containers of other pods that were begun. */
  readonly containers: Iterable<ContainerProgress>;
  /** The cursor this reading began with: what it says of containers that are not named above still holds. */
  readonly before?: ReadCursor;
}

/** A cursor that came back and is genuine. */
export interface ReadCursor {
  readonly askedSeconds: number;
  readonly ended: boolean;
  at(pod: string, container: string): ResumePoint;
}

/** Makes cursors and takes them back. */
export interface Cursors {
  /** A cursor for `state`. `speaking`: the container whose next lines `lineCursor` counts; it has to be among `containers`. */
  sign(state: CursorState, speaking?: { readonly pod: string; readonly container: string }): string;
  /**
   * Takes back what `sign` or `lineCursor` made. Fault `bad-request`, naming the option, for a text that is no cursor, and
   * for the cursor of another key, another run or other filters.
   */
  read(text: string, expected: Pick<CursorState, 'runUid' | 'filters'>): ReadCursor;
}

/**
 * The cursor after `lines` more lines of the container that speaks in `cursor`. They are counted, not signed: a client who
 * changes the number leaves out lines of what it may read anyway. So a batch of lines costs one signature.
 */
export function lineCursor(cursor: string, lines: number): string {
  return lines === 0 ? cursor : `${cursor}.${lines}`;
}

const VERSION = 1;
const RUN_BYTES = 8;
const FILTER_BYTES = 6;
/** Of two hundred containers two share an id once in 200,000 runs. Then one of them is read again, or from the other's place. */
const ID_BYTES = 4;
const MAC_BYTES = 16;
const LONGEST_TEXT = 64 * 1024;
const MOST_SKIPPED = 1_000_000;
const FEWEST_KEY_BYTES = 32;
const MOST_KEY_BYTES = 64 * 1024;

/** In the top bit of the nanoseconds, which need thirty: there is more to say of a position than its line. */
const EXTENDED = 0x8000_0000;
const extension = { nth: 1, ahead: 2, open: 4, skip: 8 } as const;

type Entries = ReadonlyMap<number, ResumePoint>;

/** What `read` answers, with what it was made of: ids of pods and containers, since names were not kept. */
class Taken implements ReadCursor {
  readonly pods: ReadonlySet<number>;
  readonly containers: Entries;
  readonly askedSeconds: number;
  readonly ended: boolean;

  constructor(pods: ReadonlySet<number>, containers: Entries, told: Pick<ReadCursor, 'askedSeconds' | 'ended'>) {
    this.pods = pods;
    this.containers = containers;
    this.askedSeconds = told.askedSeconds;
    this.ended = told.ended;
  }

  at(pod: string, container: string): ResumePoint {
    if (this.pods.has(idOf(pod))) return 'end';
    return this.containers.get(idOf(`${pod}/${container}`)) ?? 'beginning';
  }
}

/** Cursors under `key`; without one under a key of this process, so that its cursors end with it. */
export function createCursors({ key = randomBytes(FEWEST_KEY_BYTES) }: { readonly key?: Buffer | undefined }): Cursors {
  const secret = createSecretKey(key);
  const macOf = (body: Buffer) => createHmac('sha256', secret).update(body).digest().subarray(0, MAC_BYTES);
  return {
    sign(state, speaking) {
      const body = write(state, speaking === undefined ? undefined : idOf(`${speaking.pod}/${speaking.container}`));
      return Buffer.concat([body, macOf(body)]).toString('base64url');
    },
    read(text, expected) {
      const [, token = '', count = '0'] = /^([\w-]+)(?:\.(\d{1,7}))?$/.exec(text.slice(0, LONGEST_TEXT)) ?? [];
      const bytes = Buffer.from(token, 'base64url');
      const skipLines = Number(count);
      if (bytes[0] !== VERSION || bytes.length <= MAC_BYTES || skipLines > MOST_SKIPPED) throw malformed();
      const body = bytes.subarray(0, -MAC_BYTES);
      if (!timingSafeEqual(macOf(body), bytes.subarray(-MAC_BYTES))) {
        throw bad(
          'was made by another server: replicas need the same CURSOR_KEY_FILE, and without one it ends with its process',
        );
      }
      return take(body, expected, skipLines);
    },
  };
}

/** What is in a key file, or what is wrong with it, as a sentence that begins with the setting's name. */
export function readCursorKey(path: string): { readonly key: Buffer } | { readonly mistake: string } {
  const mistake = (what: string) => ({ mistake: `CURSOR_KEY_FILE ${JSON.stringify(path)} ${what}` });
  let key: Buffer;
  try {
    // Of a device there is no end to read.
    if (!statSync(path).isFile()) return mistake('is no file');
    key = readFileSync(path);
  } catch (error) {
    return mistake(`cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`);
  }
  if (key.length < FEWEST_KEY_BYTES) {
    return mistake(`has ${key.length} bytes; write at least ${FEWEST_KEY_BYTES}, such as from head -c 32 /dev/urandom`);
  }
  return key.length > MOST_KEY_BYTES ? mistake(`has more than ${MOST_KEY_BYTES} bytes`) : { key };
}

function write(state: CursorState, speaking: number | undefined): Buffer {
  const { runUid, filters, askedSeconds = 0, ended = false, podsRead, containers, before } = state;
  const pods = new Set([...podsRead].map(idOf));
  const points = new Map<number, ResumePoint>();
  if (before instanceof Taken) {
    for (const id of before.pods) pods.add(id);
    for (const [id, point] of before.containers) points.set(id, point);
  }
  for (const { pod, container, at } of containers) {
    const point = typeof at === 'object' && 'seconds' in at ? { from: at, skipLines: 0 } : at;
    if (!pods.has(idOf(pod))) points.set(idOf(`${pod}/${container}`), point);
  }
  const read = [...points].filter(([, point]) => point === 'end').map(([id]) => id);
  const begun = [...points].flatMap(([id, point]) => (typeof point === 'object' ? [{ id, ...point }] : []));
  const base = begun.reduce((least, { from }) => Math.min(least, from.seconds), begun[0]?.from.seconds ?? 0);

  const out = new Writer();
  out.byte(VERSION);
  out.bytes(digestOf(runUid, RUN_BYTES));
  out.bytes(digestOf(filters, FILTER_BYTES));
  out.number(askedSeconds);
  out.byte(ended ? 1 : 0);
  for (const ids of [[...pods], read]) {
    out.number(ids.length);
    for (const id of ids) out.word(id);
  }
  out.number(begun.length);
  out.number(base);
  for (const { id, from, skipLines } of begun) writePoint(out, id, from, skipLines, base);
  out.number(begun.findIndex(({ id }) => id === speaking) + 1);
  return out.done();
}

function writePoint(out: Writer, id: number, from: LogPosition, skipLines: number, base: number): void {
  const flags =
    (from.nth === 1 ? 0 : extension.nth) |
    (from.aheadNanos === 0 ? 0 : extension.ahead) |
    (from.openBytes === undefined ? 0 : extension.open) |
    (skipLines === 0 ? 0 : extension.skip);
  out.word(id);
  out.number(from.seconds - base);
  out.word(flags === 0 ? from.nanos : from.nanos + EXTENDED);
  out.word(from.checksum);
  if (flags === 0) return;
  out.byte(flags);
  if (flags & extension.nth) out.number(from.nth);
  if (flags & extension.ahead) out.number(from.aheadNanos);
  if (flags & extension.open) out.number(from.openBytes ?? 0);
  if (flags & extension.skip) out.number(skipLines);
}

/** Reads what `write` wrote: its signature is right, so only who it is for has to be asked. */
function take(body: Buffer, expected: Pick<CursorState, 'runUid' | 'filters'>, skipLines: number): ReadCursor {
  const input = new Reader(body);
  input.byte();
  if (!input.bytes(RUN_BYTES).equals(digestOf(expected.runUid, RUN_BYTES))) {
    throw bad('belongs to another run: leave it out to read this one from its beginning');
  }
  if (!input.bytes(FILTER_BYTES).equals(digestOf(expected.filters, FILTER_BYTES))) {
    throw bad('was given for other options: ask with those it was given for, or leave it out');
  }
  const askedSeconds = input.number();
  const ended = input.byte() === 1;
  const ids = () => Array.from({ length: input.number() }, () => input.word());
  const pods = new Set(ids());
  const points = new Map<number, ResumePoint>(ids().map((id) => [id, 'end']));
  const count = input.number();
  const base = input.number();
  const begun = Array.from({ length: count }, () => readPoint(input, base));
  for (const { id, point } of begun) points.set(id, point);
  const speaker = begun[input.number() - 1];
  if (speaker !== undefined) {
    points.set(speaker.id, { from: speaker.point.from, skipLines: speaker.point.skipLines + skipLines });
  } else if (skipLines > 0) throw malformed();
  return new Taken(pods, points, { askedSeconds, ended });
}

function readPoint(input: Reader, base: number): { readonly id: number; readonly point: Exclude<ResumePoint, string> } {
  const id = input.word();
  const seconds = base + input.number();
  const word = input.word();
  const checksum = input.word();
  const flags = word >= EXTENDED ? input.byte() : 0;
  const nth = flags & extension.nth ? input.number() : 1;
  const aheadNanos = flags & extension.ahead ? input.number() : 0;
  const openBytes = flags & extension.open ? { openBytes: input.number() } : {};
  const skipLines = flags & extension.skip ? input.number() : 0;
  const nanos = word >= EXTENDED ? word - EXTENDED : word;
  return { id, point: { from: { seconds, nanos, checksum, nth, aheadNanos, ...openBytes }, skipLines } };
}

function bad(what: string): Fault {
  return new Fault('bad-request', `option cursor ${what}`);
}

function malformed(): Fault {
  return bad('is no cursor: write the last one that was received, whole, or leave it out');
}

function digestOf(text: string, length: number): Buffer {
  return hash('sha256', text, 'buffer').subarray(0, length);
}

/** Ids of what is read again and again, by name. Pods have names of their own for ever, so it is emptied now and then. */
const ids = new Map<string, number>();
const MOST_IDS = 10_000;

function idOf(name: string): number {
  let id = ids.get(name);
  if (id === undefined) {
    id = digestOf(name, ID_BYTES).readUInt32BE();
    if (ids.size >= MOST_IDS) ids.clear();
    ids.set(name, id);
  }
  return id;
}

class Writer {
  #buffer = Buffer.allocUnsafe(512);
  #length = 0;

  byte(value: number): void {
    this.#room(1);
    this.#buffer[this.#length++] = value;
  }

  bytes(value: Buffer): void {
    this.#room(value.length);
    this.#length += value.copy(this.#buffer, this.#length);
  }

  /** Four bytes. */
  word(value: number): void {
    this.#room(4);
    this.#length = this.#buffer.writeUInt32BE(value, this.#length);
  }

  /** A whole number of any size from 0: seven bits a byte, the lowest first, the top bit set where more follow. */
  number(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.byte((rest % 0x80) + 0x80);
    this.byte(rest);
  }

  done(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

class Reader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  byte(): number {
    return this.#buffer[this.#at++] ?? 0;
  }

  bytes(length: number): Buffer {
    this.#at += length;
    return this.#buffer.subarray(this.#at - length, this.#at);
  }

  word(): number {
    this.#at += 4;
    return this.#buffer.readUInt32BE(this.#at - 4);
  }

  number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.byte();
      value += (byte % 0x80) * scale;
      if (byte < 0x80) return value;
    }
  }
}
