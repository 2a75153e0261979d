import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { LogCursor, type Sifted } from './cursor.ts';
import type { LogPosition } from './lines.ts';
import type { ReadBatch } from './position.ts';
import { FRAGMENT_BYTES, LineSplitter, LONGEST_WHOLE_LINE, type ReadLine } from './splitter.ts';

/** One line as the runtime's file has it. `at` counts nanoseconds from a fixed second. */
interface Entry {
  readonly at: number;
  readonly text: Buffer;
}

const EPOCH = Date.parse('2026-11-01T10:00:00Z') / 1000;

function stamp(at: number): string {
  const seconds = Math.floor(at / 1e9);
  return `${new Date((EPOCH + seconds) * 1000).toISOString().slice(0, 19)}.${String(at - seconds * 1e9).padStart(9, '0')}Z`;
}

/** What the kubelet sends: lines at or after whole seconds `since`, in file order. */
function served(entries: readonly Entry[], since: string | undefined): Buffer {
  const from = since === undefined ? -Infinity : (Date.parse(since) / 1000 - EPOCH) * 1e9;
  return Buffer.concat(
    entries
      .filter(({ at }) => at >= from)
      .flatMap(({ at, text }) => [Buffer.from(`${stamp(at)} `), text, Buffer.from('\n')]),
  );
}

/** Puts delivered lines back together; fragments become the line they are of. */
class Sink {
  readonly lines: Buffer[] = [];
  gaps = 0;
  #open: Buffer[] = [];

  take(lines: readonly ReadLine[]): void {
    for (const { part, text } of lines) {
      if (part === 'whole') this.lines.push(text);
      else this.#open.push(text);
      if (part === 'last') {
        this.lines.push(Buffer.concat(this.#open));
        this.#open = [];
      }
    }
  }
}

/** One read of `bytes` through `cursor`, in pieces of `piece` bytes; `whole` says that it ended by itself. */
function read(cursor: LogCursor, bytes: Buffer, piece: number, sink: Sink, whole: boolean): void {
  const splitter = new LineSplitter();
  cursor.resume();
  const sift = (lines: ReadLine[]): void => {
    const { fresh, gap } = cursor.sift(lines);
    if (gap) sink.gaps += 1;
    sink.take(fresh.lines);
  };
  for (let at = 0; at < bytes.length; at += piece) sift(splitter.push(bytes.subarray(at, at + piece)));
  if (!whole) return;
  sift(splitter.end());
  const { fresh, gap } = cursor.settle();
  if (gap) sink.gaps += 1;
  sink.take(fresh.lines);
}

/** All that a reader who begins at `from` reads of a finished log. */
function readFrom(
  from: LogPosition | undefined,
  entries: readonly Entry[],
  piece: number,
): { readonly batches: readonly ReadBatch[]; readonly texts: readonly string[]; readonly gaps: number } {
  const cursor = new LogCursor(from);
  const splitter = new LineSplitter();
  const bytes = served(entries, cursor.sinceTime());
  const batches: ReadBatch[] = [];
  let gaps = 0;
  const take = ({ fresh, gap }: Sifted): void => {
    if (gap) gaps += 1;
    if (fresh.lines.length > 0) batches.push(fresh);
  };
  cursor.resume();
  for (let at = 0; at < bytes.length; at += piece) take(cursor.sift(splitter.push(bytes.subarray(at, at + piece))));
  take(cursor.settle());
  return { batches, texts: batches.flatMap(({ lines }) => lines.map(({ text }) => String(text))), gaps };
}

const content = fc.oneof(
  fc.constantFrom('', 'a', 'same', '\r', 'x\ry\r', '\u001b[1;31mred\u001b[0m', '\u0000'),
  fc.string({ maxLength: 30 }).map((text) => text.replaceAll('\n', ' ')),
);
/** Steps of 0 make equal timestamps, of a second and more cross the whole seconds that a resume asks for. */
const step = fc.oneof(fc.constantFrom(0, 0, 1, 1e9), fc.integer({ min: 0, max: 3e9 }));
const log = fc.array(fc.tuple(step, content), { minLength: 1, maxLength: 60 }).map((steps) => {
  let at = 0;
  return steps.map(([by, text]): Entry => {
    at += by;
    return { at, text: Buffer.from(text) };
  });
});
/** The same, or distinct lines some of which were overtaken: stdout and stderr are read by two threads of the runtime. */
const overtaking = fc.oneof(
  log,
  fc.tuple(log, fc.array(fc.nat(3), { maxLength: 60 })).map(([entries, delays]) =>
    entries.map(({ at, text }, place): Entry => {
      return { at: Math.max(0, at - (delays[place] ?? 0) * 1000), text: Buffer.from(`${place} ${text}`) };
    }),
  ),
);
const cuts = fc.array(fc.record({ bytes: fc.nat(2000), piece: fc.integer({ min: 1, max: 200 }) }), { maxLength: 12 });

describe('kube/cursor', () => {
  it('run 11: any cut, any split, equal timestamps: the output is the source', () => {
    fc.assert(
      fc.property(log, cuts, fc.integer({ min: 1, max: 200 }), (entries, reads, piece) => {
        const cursor = new LogCursor();
        const sink = new Sink();
        for (const { bytes, piece } of reads) {
          read(cursor, served(entries, cursor.sinceTime()).subarray(0, bytes), piece, sink, false);
        }
        read(cursor, served(entries, cursor.sinceTime()), piece, sink, true);
        assert.deepEqual(
          sink.lines.map(String),
          entries.map(({ text }) => String(text)),
        );
        assert.equal(sink.gaps, 0);
      }),
      { numRuns: 500 },
    );
  });

  it('run 11: a read from a tail is resumed at its last line, not at its first', () => {
    fc.assert(
      fc.property(log, fc.nat(60), fc.nat(500), (steps, tail, cut) => {
        // Distinct lines: of identical ones with one timestamp nobody can tell which the tail left out.
        const entries = steps.map(({ at, text }, place) => ({
          at,
          text: Buffer.concat([Buffer.from(`${place} `), text]),
        }));
        const wanted = entries.slice(Math.max(0, entries.length - 1 - tail));
        const cursor = new LogCursor();
        const sink = new Sink();
        read(cursor, served(wanted, undefined).subarray(0, cut), 50, sink, false);
        const again = cursor.started ? served(entries, cursor.sinceTime()) : served(wanted, undefined);
        read(cursor, again, 50, sink, true);
        assert.deepEqual(
          sink.lines.map(String),
          wanted.map(({ text }) => String(text)),
        );
        assert.equal(sink.gaps, 0);
      }),
    );
  });

  it('run 11: after a rotation nothing is doubled, and what may be lost is told', () => {
    fc.assert(
      fc.property(log, fc.nat(2000), fc.nat(60), (steps, cut, rotated) => {
        const entries = steps.map(({ at, text }, place) => ({
          at,
          text: Buffer.concat([Buffer.from(`${place} `), text]),
        }));
        const left = entries.slice(Math.min(rotated, entries.length));
        const cursor = new LogCursor();
        const sink = new Sink();
        read(cursor, served(entries, undefined).subarray(0, cut), 64, sink, false);
        const before = sink.lines.length;
        read(cursor, served(left, cursor.sinceTime()), 64, sink, true);
        const got = sink.lines.map(String);
        assert.equal(new Set(got).size, got.length, 'a line twice');
        for (const { text } of left.slice(Math.max(0, before - (entries.length - left.length)))) {
          assert.ok(got.includes(String(text)), `lost ${text}`);
        }
        const isLost = entries.length > got.length;
        if (isLost && before > 0) assert.equal(sink.gaps, 1, 'a loss that nobody told');
        assert.ok(sink.gaps <= 1);
      }),
      { numRuns: 500 },
    );
  });

  it('run 37: a position taken after any line is where another reader goes on, exactly', () => {
    fc.assert(
      fc.property(overtaking, fc.nat(60), fc.nat(60), fc.integer({ min: 1, max: 200 }), (entries, at, cut, piece) => {
        const texts = entries.map(({ text }) => String(text));
        const { batches } = readFrom(undefined, entries, piece);
        const positions = batches.flatMap(({ lines, positionAfter }) => lines.map((_, index) => positionAfter(index)));
        assert.equal(positions.length, entries.length);
        const place = at % entries.length;
        // Through JSON: a position is plain data.
        const from: LogPosition = JSON.parse(JSON.stringify(positions[place]));
        const resumed = readFrom(from, entries, piece);
        assert.deepEqual(resumed.texts, texts.slice(place + 1));
        assert.equal(resumed.gaps, 0);
        // And again from a position of that reader's, who did not see the lines before his own.
        const own = resumed.batches.flatMap(({ lines, positionAfter }) =>
          lines.map((_, index) => positionAfter(index)),
        );
        if (own.length === 0) return;
        const second = cut % own.length;
        assert.deepEqual(own[second], positions[place + 1 + second]);
        assert.deepEqual(readFrom(own[second], entries, piece).texts, texts.slice(place + second + 2));
      }),
      { numRuns: 500 },
    );
  });

  it('run 37: a position inside a line of several megabytes is gone on with at the next byte', () => {
    const long = Buffer.alloc(LONGEST_WHOLE_LINE + 3 * FRAGMENT_BYTES + 17, 'abcdefghijklmnopqrstuvw');
    const entries = [Buffer.from('before'), long, long, Buffer.from('after')].map((text, at): Entry => ({ at, text }));
    const all = readFrom(undefined, entries, 16_384);
    const positions = all.batches.flatMap(({ lines, positionAfter }) => lines.map((_, index) => positionAfter(index)));
    const parts = all.batches.flatMap(({ lines }) => lines.map(({ text }) => text));
    for (const [index, position] of positions.entries()) {
      const { batches, gaps } = readFrom(position, entries, 9_000);
      const rest = batches.flatMap(({ lines }) => lines.map(({ text }) => text));
      assert.ok(Buffer.concat(rest).equals(Buffer.concat(parts.slice(index + 1))), `after fragment ${index}`);
      assert.equal(gaps, 0);
    }
  });

  it('run 13: a position whose line was rotated away is told as one gap, and what is left comes once', () => {
    fc.assert(
      fc.property(log, fc.nat(60), fc.nat(60), (entries, at, rotated) => {
        const numbered = entries.map(({ at, text }, place) => ({ at, text: Buffer.from(`${place} ${text}`) }));
        const { batches } = readFrom(undefined, numbered, 64);
        const positions = batches.flatMap(({ lines, positionAfter }) => lines.map((_, index) => positionAfter(index)));
        const place = at % numbered.length;
        const left = numbered.slice(Math.min(rotated, numbered.length));
        const { texts, gaps } = readFrom(positions[place], left, 64);
        const isThere = rotated <= place;
        const wanted = isThere ? numbered.slice(place + 1) : left;
        assert.deepEqual(
          texts,
          wanted.map(({ text }) => String(text)),
        );
        assert.equal(gaps, isThere ? 0 : 1);
      }),
      { numRuns: 500 },
    );
  });

  it('a later run of the container is another log: all of it is new, and positions go on in it', () => {
    const cursor = new LogCursor();
    const sink = new Sink();
    read(cursor, served([{ at: 5e9, text: Buffer.from('first run') }], undefined), 100, sink, true);
    cursor.nextLog();
    assert.equal(cursor.started, false);
    assert.equal(cursor.sinceTime(), undefined);
    const second = [{ at: 9e9, text: Buffer.from('second run') }];
    read(cursor, served(second, undefined), 100, sink, true);
    assert.deepEqual(sink.lines.map(String), ['first run', 'second run']);
    assert.equal(sink.gaps, 0);
    assert.deepEqual(readFrom(cursor.position, second, 10).texts, []);
  });

  it('run 11: a cut inside a line of several megabytes repeats none of it', () => {
    const long = Buffer.alloc(LONGEST_WHOLE_LINE * 3 + 17);
    for (let at = 0; at < long.length; at++) long[at] = 97 + (at % 23);
    const entries: Entry[] = [
      { at: 1, text: Buffer.from('before') },
      { at: 2, text: long },
      { at: 3, text: Buffer.from('after') },
    ];
    for (const cut of [
      10,
      500_000,
      LONGEST_WHOLE_LINE + 100,
      LONGEST_WHOLE_LINE * 2,
      long.length + 60,
      long.length + 90,
    ]) {
      const cursor = new LogCursor();
      const sink = new Sink();
      read(cursor, served(entries, undefined).subarray(0, cut), 16_384, sink, false);
      read(cursor, served(entries, cursor.sinceTime()).subarray(0, LONGEST_WHOLE_LINE * 2.5), 5_000, sink, false);
      read(cursor, served(entries, cursor.sinceTime()), 16_384, sink, true);
      assert.equal(sink.lines.length, 3, `cut at ${cut}`);
      assert.ok(sink.lines[1]?.equals(long), `cut at ${cut}`);
      assert.equal(sink.gaps, 0);
    }
  });

  it('run 11: a clock that was set back makes a resume repeat far more than is remembered; none of it comes twice', () => {
    const old = Array.from(
      { length: 9_000 },
      (_, at): Entry => ({ at: 600e9 + at * 1e6, text: Buffer.from(`old ${at}`) }),
    );
    const back = Array.from({ length: 10 }, (_, at): Entry => ({ at: at * 1e9, text: Buffer.from(`new ${at}`) }));
    const entries = [...old, ...back];
    const cursor = new LogCursor();
    const sink = new Sink();
    read(cursor, served(entries.slice(0, -3), undefined), 4096, sink, false);
    read(cursor, served(entries, cursor.sinceTime()), 4096, sink, true);
    assert.deepEqual(
      sink.lines.map(String),
      entries.map(({ text }) => String(text)),
    );
    assert.equal(sink.gaps, 0);
  });

  it('a tail without a timestamp at the beginning of a resumed read belongs to a delivered line', () => {
    const cursor = new LogCursor();
    const sink = new Sink();
    const first = served(
      [
        { at: 0, text: Buffer.from('slow line') },
        { at: 1, text: Buffer.from('x') },
      ],
      undefined,
    );
    read(cursor, first, 1000, sink, false);
    read(
      cursor,
      Buffer.concat([Buffer.from('w line\n'), first, served([{ at: 2, text: Buffer.from('y') }], undefined)]),
      7,
      sink,
      true,
    );
    assert.deepEqual(sink.lines.map(String), ['slow line', 'x', 'y']);
  });
});

/** All that a line says, however it is held. */
function contentOf({ timestamp, instant, stamped, text, part }: ReadLine) {
  return { timestamp, instant, stamped, text, part };
}

describe('kube/splitter', () => {
  it('run 32: any split of the same bytes gives the same lines', () => {
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.constant(Buffer.from('\n\r\n\u001b[0m\n')));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(bytes, fc.boolean()), { maxLength: 20 }),
        fc.integer({ min: 1, max: 70 }),
        (lines, piece) => {
          const source = Buffer.concat(
            lines.map(([text, hasStamp], place) =>
              Buffer.concat([Buffer.from(hasStamp ? `${stamp(place * 1e8)} ` : ''), text, Buffer.from('\n')]),
            ),
          );
          const whole = new LineSplitter();
          const split = new LineSplitter();
          const want = [...whole.push(source), ...whole.end()];
          const got: ReadLine[] = [];
          for (let at = 0; at < source.length; at += piece) got.push(...split.push(source.subarray(at, at + piece)));
          got.push(...split.end());
          assert.deepEqual(got.map(contentOf), want.map(contentOf));
          for (const { stampedText, timestamp, text } of got) {
            if (stampedText !== undefined)
              assert.deepEqual(stampedText, Buffer.concat([Buffer.from(`${timestamp} `), text]));
          }
        },
      ),
    );
  });

  for (const { name, line, timestamp, text, nanos } of [
    {
      name: 'nine digits',
      line: '2026-11-01T10:00:00.000000001Z a b',
      timestamp: '2026-11-01T10:00:00.000000001Z',
      text: 'a b',
      nanos: 1,
    },
    {
      name: 'few digits',
      line: '2026-11-01T10:00:00.5Z a',
      timestamp: '2026-11-01T10:00:00.5Z',
      text: 'a',
      nanos: 500_000_000,
    },
    { name: 'no digits', line: '2026-11-01T10:00:00Z a', timestamp: '2026-11-01T10:00:00Z', text: 'a', nanos: 0 },
    {
      name: 'a numeric offset',
      line: '2026-11-01T12:00:00.000000001+02:00 a',
      timestamp: '2026-11-01T12:00:00.000000001+02:00',
      text: 'a',
      nanos: 1,
    },
    {
      name: 'an empty line',
      line: '2026-11-01T10:00:00.000000001Z ',
      timestamp: '2026-11-01T10:00:00.000000001Z',
      text: '',
      nanos: 1,
    },
  ]) {
    it(`reads a timestamp with ${name}`, () => {
      const [read] = new LineSplitter().push(Buffer.from(`${line}\n`));
      assert.deepEqual(
        { timestamp: read?.timestamp, text: String(read?.text), instant: read?.instant, stamped: read?.stamped },
        { timestamp, text, instant: { seconds: EPOCH, nanos }, stamped: true },
      );
    });
  }

  it('a line without a timestamp continues the one before', () => {
    const lines = new LineSplitter().push(Buffer.from('2026-11-01T10:00:00.000000001Z a\nno stamp\n'));
    assert.deepEqual(
      lines.map(({ stamped, timestamp, text }) => [stamped, timestamp, String(text)]),
      [
        [true, '2026-11-01T10:00:00.000000001Z', 'a'],
        [false, '2026-11-01T10:00:00.000000001Z', 'no stamp'],
      ],
    );
  });

  for (const length of [
    LONGEST_WHOLE_LINE,
    LONGEST_WHOLE_LINE + 1,
    LONGEST_WHOLE_LINE + FRAGMENT_BYTES,
    5 * 1024 * 1024,
  ]) {
    it(`a line of ${length} bytes is delivered whole, in the same fragments whatever the split`, () => {
      const text = Buffer.alloc(length, 'abcdefg');
      const bytes = Buffer.concat([Buffer.from('2026-11-01T10:00:00.000000001Z '), text, Buffer.from('\n')]);
      const shapes = [16_384, 70_001, bytes.length].map((piece) => {
        const splitter = new LineSplitter();
        const lines: ReadLine[] = [];
        for (let at = 0; at < bytes.length; at += piece) lines.push(...splitter.push(bytes.subarray(at, at + piece)));
        assert.ok(Buffer.concat(lines.map((line) => line.text)).equals(text));
        return lines.map((line) => `${line.part} ${line.text.length}`);
      });
      assert.deepEqual(shapes[1], shapes[0]);
      assert.deepEqual(shapes[2], shapes[0]);
      assert.equal(shapes[0]?.length === 1, length <= LONGEST_WHOLE_LINE);
    });
  }

  for (const { name, unit, isWhole } of [
    { name: 'two bytes', unit: 'é', isWhole: true },
    { name: 'three bytes', unit: '走', isWhole: true },
    { name: 'four bytes', unit: '🚀', isWhole: true },
    { name: 'bytes that are none', unit: '\x80', isWhole: false },
  ]) {
    it(`run 31: no fragment ends within a character: ${name}`, () => {
      const encoding = isWhole ? 'utf8' : 'latin1';
      const text = Buffer.from(`a${unit.repeat(LONGEST_WHOLE_LINE)}`, encoding);
      const lines = new LineSplitter().push(
        Buffer.concat([Buffer.from('2026-11-01T10:00:00.000000001Z '), text, Buffer.from('\n')]),
      );
      assert.ok(Buffer.concat(lines.map((line) => line.text)).equals(text));
      for (const line of lines.slice(0, -1)) {
        assert.ok(line.text.length > FRAGMENT_BYTES - 4 && line.text.length <= FRAGMENT_BYTES);
        assert.equal(isUtf8(line.text), isWhole);
      }
    });
  }
});
