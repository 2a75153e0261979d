import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { Fault } from '../../fault.ts';
import type { LogPosition } from '../../kube/lines.ts';
import { type ContainerProgress, type CursorState, createCursors, lineCursor, readCursorKey } from './cursor.ts';

const KEY = Buffer.alloc(32, 7);
const RUN = { runUid: '0f7e6f0a-0000-4000-8000-000000000001', filters: 'task=build' };
const LATE: LogPosition = { seconds: 1_793_527_200, nanos: 999_999_999, checksum: 0xffffffff, nth: 1, aheadNanos: 0 };

const position: fc.Arbitrary<LogPosition> = fc
  .record({
    seconds: fc.integer({ min: 1_700_000_000, max: 4_000_000_000 }),
    nanos: fc.integer({ min: 0, max: 999_999_999 }),
    checksum: fc.integer({ min: 0, max: 0xffffffff }),
    nth: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 100_000 })),
    aheadNanos: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 4e15 })),
    openBytes: fc.option(fc.integer({ min: 1, max: 1e12 }), { nil: undefined }),
  })
  .map(({ openBytes, ...rest }) => (openBytes === undefined ? rest : { ...rest, openBytes }));

function state(containers: readonly ContainerProgress[], more: Partial<CursorState> = {}): CursorState {
  return { ...RUN, podsRead: [], containers, ...more };
}

/** What taking back `text` is refused with. */
function refusal(text: string, expected = RUN, key = KEY): string {
  try {
    createCursors({ key }).read(text, expected);
  } catch (error) {
    assert.ok(error instanceof Fault);
    assert.equal(error.code, 'bad-request');
    return error.message;
  }
  return assert.fail('it was taken');
}

describe('log cursors', () => {
  const cursors = createCursors({ key: KEY });

  it('run 37: what was signed is read again, on any replica with the same key', () => {
    const point = fc.oneof(
      fc.constant('end' as const),
      position,
      fc.record({ from: position, skipLines: fc.nat(1_000_000) }).map((one) => ({ ...one })),
    );
    const place = fc.record({
      pod: fc.stringMatching(/^[a-z]{1,9}$/),
      container: fc.stringMatching(/^[a-z]{1,9}$/),
      at: point,
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(place, { selector: ({ pod, container }) => `${pod}/${container}`, maxLength: 20 }),
        fc.uniqueArray(fc.stringMatching(/^[A-Z]{1,9}$/)),
        (containers, podsRead) => {
          const text = cursors.sign(state(containers, { podsRead, askedSeconds: LATE.seconds, ended: true }));
          assert.match(text, /^[\w-]+$/);
          const back = createCursors({ key: KEY }).read(text, RUN);
          assert.deepEqual([back.askedSeconds, back.ended], [LATE.seconds, true]);
          for (const { pod, container, at } of containers) {
            const want = at === 'end' ? 'end' : 'from' in at ? at : { from: at, skipLines: 0 };
            assert.deepEqual(back.at(pod, container), want);
          }
          for (const pod of podsRead) assert.equal(back.at(pod, 'step-a'), 'end');
          assert.equal(back.at('another', 'step-a'), 'beginning');
        },
      ),
    );
  });

  it('run 37: a line counts from what was signed for its batch, whoever else was signed', () => {
    const text = cursors.sign(
      state([
        { pod: 'a', container: 'step-a', at: LATE },
        { pod: 'b', container: 'step-b', at: LATE },
      ]),
      { pod: 'b', container: 'step-b' },
    );
    assert.equal(lineCursor(text, 0), text);
    const back = cursors.read(lineCursor(text, 5), RUN);
    assert.deepEqual(back.at('b', 'step-b'), { from: LATE, skipLines: 5 });
    assert.deepEqual(back.at('a', 'step-a'), { from: LATE, skipLines: 0 });
    // A reader who has not got so far yet signs again: nothing of that is lost.
    const again = cursors.read(cursors.sign(state([], { before: back })), RUN);
    assert.deepEqual(again.at('b', 'step-b'), { from: LATE, skipLines: 5 });
  });

  it('what an earlier cursor says of containers that are not named still holds', () => {
    const before = cursors.read(
      cursors.sign(
        state(
          [
            { pod: 'a', container: 'step-a', at: 'end' },
            { pod: 'b', container: 'step-b', at: LATE },
          ],
          { podsRead: ['c'] },
        ),
      ),
      RUN,
    );
    const text = cursors.sign(state([{ pod: 'b', container: 'step-b', at: 'end' }], { before, podsRead: ['d'] }));
    const back = cursors.read(text, RUN);
    for (const [pod, container] of [
      ['a', 'step-a'],
      ['b', 'step-b'],
      ['c', 'step-x'],
      ['d', 'step-y'],
    ] as const) {
      assert.equal(back.at(pod, container), 'end');
    }
  });

  it('a run with two hundred containers under way has a cursor below 4 KiB', () => {
    const containers = Array.from({ length: 200 }, (_, at): ContainerProgress => {
      const seconds = LATE.seconds + at * 60;
      return { pod: `pod-${at}`, container: 'step-a', at: { ...LATE, seconds } };
    });
    assert.ok(cursors.sign(state(containers)).length < 4096);
    const podsRead = containers.map(({ pod }) => pod);
    assert.ok(cursors.sign(state([], { podsRead })).length < 1200, 'what is over takes next to nothing');
  });

  it('what is no cursor is refused, whatever it is', () => {
    const text = cursors.sign(state([{ pod: 'a', container: 'step-a', at: LATE }]));
    for (const [name, bad] of [
      ['nothing', ''],
      ['a word', 'yesterday'],
      ['half of one', text.slice(0, 20)],
      ['one with a count of what', `${text}.`],
      ['one with a negative count', `${text}.-1`],
      ['one with a count beyond all batches', `${text}.9999999`],
      ['one that is very long', text.repeat(5_000)],
    ] as const) {
      assert.match(refusal(bad), /^option cursor (is no cursor|was made by another server)/, name);
    }
    assert.match(refusal(`${text}.3`), /is no cursor/, 'nobody speaks in this one');
    fc.assert(fc.property(fc.string(), (any) => assert.match(refusal(any), /^option cursor /)));
  });

  it('one bit changed anywhere makes it another server’s, or none', () => {
    const bytes = Buffer.from(cursors.sign(state([{ pod: 'a', container: 'step-a', at: LATE }])), 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.match(refusal(changed.toString('base64url')), /^option cursor /);
    }
  });

  for (const { name, expected, key, want } of [
    { name: 'of another key', expected: RUN, key: Buffer.alloc(32, 8), want: /replicas need the same CURSOR_KEY_FILE/ },
    { name: 'of another run', expected: { ...RUN, runUid: 'another' }, key: KEY, want: /belongs to another run/ },
    { name: 'for other options', expected: { ...RUN, filters: '' }, key: KEY, want: /was given for other options/ },
  ]) {
    it(`run 37: a cursor ${name} is refused with what to do`, () => {
      const text = cursors.sign(state([{ pod: 'a', container: 'step-a', at: LATE }]));
      assert.match(refusal(text, expected, key), want);
    });
  }

  it('without a key every process has its own', () => {
    const text = createCursors({}).sign(state([]));
    assert.throws(() => createCursors({}).read(text, RUN), /CURSOR_KEY_FILE/);
  });

  describe('readCursorKey', () => {
    let folder = '';
    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'rungate-test-'));
    });
    after(() => rmSync(folder, { recursive: true }));

    for (const { name, bytes, want } of [
      { name: 'too short', bytes: 31, want: /^CURSOR_KEY_FILE ".*" has 31 bytes; write at least 32/ },
      { name: 'enough', bytes: 32, want: undefined },
      { name: 'far too long', bytes: 100_000, want: /more than 65536 bytes/ },
    ]) {
      it(`a file that is ${name}`, () => {
        const path = join(folder, 'key');
        writeFileSync(path, Buffer.alloc(bytes, 1));
        const read = readCursorKey(path);
        if (want === undefined) assert.deepEqual(read, { key: Buffer.alloc(bytes, 1) });
        else assert.match('mistake' in read ? read.mistake : '', want);
      });
    }

    for (const path of ['/dev/zero', tmpdir()]) {
      it(`${path}, which is no file`, () => {
        const read = readCursorKey(path);
        assert.match('mistake' in read ? read.mistake : '', /is no file$/);
      });
    }

    it('a file that is not there', () => {
      const read = readCursorKey(join(folder, 'nowhere'));
      assert.match('mistake' in read ? read.mistake : '', /cannot be read: ENOENT$/);
    });
  });
});
