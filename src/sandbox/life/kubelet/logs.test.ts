import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { eventually } from '../../../../test/support/eventually.ts';
import { HandClock } from '../../../../test/support/hand-clock.ts';
import { LogFile, type Rotation, type Stream } from './logfile.ts';
import { type LogSource, type LogWish, readLog } from './logread.ts';

const never = new AbortController().signal;
const everything: LogWish = {
  follow: false,
  timestamps: false,
  since: undefined,
  tailLines: undefined,
  limitBytes: undefined,
};

async function read(source: LogSource, wish: Partial<LogWish> = {}, signal = never): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of readLog(source, { ...everything, ...wish }, signal)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

describe('the log of a container', () => {
  let folder: string;
  let clock: HandClock;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'logs-'));
    clock = new HandClock();
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function open(rotation: Rotation = { bytes: 1 << 20, files: 5 }): LogFile {
    return new LogFile(join(folder, 'a', '0.log'), { rotation, clock });
  }

  const records = () =>
    readFileSync(join(folder, 'a', '0.log'), 'latin1')
      .split('\n')
      .slice(0, -1);

  it('is in the format of the runtimes, with nine digits that only grow', () => {
    const log = open();
    log.write('stdout', Buffer.from('one\ntwo'));
    log.write('stderr', Buffer.from('three\n'));
    log.write('stdout', Buffer.from('\n\n'));
    log.close();
    const times = records().map((record) => record.slice(0, 30));
    assert.deepEqual(
      records().map((record) => record.slice(31)),
      ['stdout F one', 'stderr F three', 'stdout F two', 'stdout F '],
    );
    for (const time of times) assert.match(time, /^2026-11-01T10:00:00\.\d{9}Z$/);
    assert.deepEqual(times, [...new Set(times)].sort());
  });

  it('says what it could not write, and goes on', function () {
    if (!existsSync('/dev/full')) return this.skip(); // Linux alone, where CI runs, has a file that is always full
    symlinkSync('/dev/full', join(folder, 'full.log'));
    const log = new LogFile(join(folder, 'full.log'), { rotation: { bytes: 1e9, files: 1 }, clock });
    log.say('stdout', 'one');
    assert.match(String(log.failure), /ENOSPC/);
    log.close();
  });

  const lines: readonly {
    readonly name: string;
    readonly chunks: readonly string[];
    readonly want: readonly string[];
  }[] = [
    { name: 'a line without an end is a partial record', chunks: ['abc'], want: ['P abc'] },
    {
      name: 'a carriage return before a line feed is dropped, elsewhere kept',
      chunks: ['a\r', '\nb\rc\n'],
      want: ['F a', 'F b\rc'],
    },
    { name: '16 KiB are one record', chunks: [`${'x'.repeat(16_384)}\n`], want: [`F ${'x'.repeat(16_384)}`] },
    { name: 'a byte more makes two', chunks: [`${'x'.repeat(16_385)}\n`], want: [`P ${'x'.repeat(16_384)}`, 'F x'] },
    { name: 'nothing', chunks: [''], want: [] },
  ];
  for (const { name, chunks, want } of lines) {
    it(name, () => {
      const log = open();
      for (const chunk of chunks) log.write('stdout', Buffer.from(chunk, 'latin1'));
      log.close();
      assert.deepEqual(
        records().map((record) => record.slice(38)),
        want,
      );
    });
  }

  it('gives back what was written, however it came and is cut', async () => {
    const bytes = fc.array(fc.oneof(fc.constantFrom('a', '\n', '\u00e4', ' '), fc.constant('y'.repeat(20_000))), {
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(bytes, async (pieces) => {
        const log = new LogFile(join(folder, `${Math.random()}.log`), {
          rotation: { bytes: 1 << 30, files: 1 },
          clock,
        });
        for (const piece of pieces) log.write('stdout', Buffer.from(piece, 'latin1'));
        log.close();
        assert.equal(await read(log), pieces.join(''));
      }),
      { numRuns: 100 },
    );
  });

  async function three(): Promise<LogFile> {
    const log = open();
    for (const line of ['one', 'two', 'three']) {
      log.say('stdout', line);
      await clock.turn(1_000);
    }
    return log;
  }

  const wishes: readonly { readonly name: string; readonly wish: Partial<LogWish>; readonly want: string | RegExp }[] =
    [
      { name: 'all', wish: {}, want: 'one\ntwo\nthree\n' },
      { name: 'the last line', wish: { tailLines: 1 }, want: 'three\n' },
      { name: 'no line', wish: { tailLines: 0 }, want: '' },
      { name: 'more lines than there are', wish: { tailLines: 9 }, want: 'one\ntwo\nthree\n' },
      { name: 'so many bytes', wish: { limitBytes: 6 }, want: 'one\ntw' },
      { name: 'exactly all bytes', wish: { limitBytes: 14 }, want: 'one\ntwo\nthree\n' },
      { name: 'since a moment, inclusive', wish: { since: '2026-11-01T10:00:01.000000000Z' }, want: 'two\nthree\n' },
      { name: 'with times', wish: { timestamps: true, tailLines: 1 }, want: /^2026-11-01T10:00:02\.\d{9}Z three\n$/ },
      {
        name: 'bytes of times count',
        wish: { timestamps: true, limitBytes: 33 },
        want: /^2026-11-01T10:00:00\.\d{9}Z on$/,
      },
    ];
  for (const { name, wish, want } of wishes) {
    it(`is read: ${name}`, async () => {
      const text = await read(await three(), wish);
      if (typeof want === 'string') assert.equal(text, want);
      else assert.match(text, want);
    });
  }

  it('joins the records of a line, whose time stands before the first alone, and counts records for a tail', async () => {
    const log = open();
    log.say('stdout', 'x'.repeat(20_000));
    assert.match(await read(log, { timestamps: true }), /^\S{30} x{20000}\n$/);
    assert.match(await read(log, { timestamps: true, tailLines: 1 }), /^\S{30} x{3616}\n$/);
  });

  it('a line that since cuts has its end without a time', async () => {
    const log = open();
    log.write('stdout', Buffer.alloc(16_385, 'x'));
    await clock.turn(1_000);
    log.write('stdout', Buffer.from('end\n'));
    const text = await read(log, { timestamps: true, since: '2026-11-01T10:00:01.000000000Z' });
    assert.equal(text, 'xend\n');
  });

  it('is followed until the container has ended, and nothing comes twice', async () => {
    const log = await three();
    const following = read(log, { follow: true, tailLines: 1 });
    log.say('stderr', 'four');
    await clock.settle();
    log.write('stdout', Buffer.from('fi'));
    await clock.settle();
    log.write('stdout', Buffer.from('ve\n'));
    log.close();
    assert.equal(await following, 'three\nfour\nfive\n');
  });

  it('a follower that goes away is let go', async () => {
    const gone = new AbortController();
    const chunks: string[] = [];
    for await (const chunk of readLog(await three(), { ...everything, follow: true }, gone.signal)) {
      chunks.push(chunk.toString());
      gone.abort();
    }
    assert.deepEqual(chunks, ['one\ntwo\nthree\n']);
  });

  it('is rotated, so many files are kept, and only the newest is read', async () => {
    const log = open({ bytes: 16 * 1024, files: 3 });
    for (let line = 0; line < 2_000; line++) log.say('stdout', `line ${line} of a log that is rotated`);
    const files = [0, 1, 2, 3, 4, 5, 6, 7, 8].filter((generation) => existsSync(`${log.path}.${generation}`));
    assert.deepEqual(files, [log.generation - 2, log.generation - 1]);
    const text = await read(log);
    assert.match(text, /^line \d{4} of/);
    assert.ok(text.endsWith('line 1999 of a log that is rotated\n'));
    assert.ok(text.split('\n').length < 500);
  });

  it('a follower that keeps up loses nothing to rotation', async () => {
    const log = open({ bytes: 16 * 1024, files: 3 });
    let got = '';
    const following = (async () => {
      for await (const chunk of readLog(log, { ...everything, follow: true }, never)) got += chunk;
    })();
    let want = '';
    for (let line = 0; line < 4_000; line++) {
      log.say('stdout', `line ${line} of a log that is rotated`);
      want += `line ${line} of a log that is rotated\n`;
      if (line % 300 === 0) await eventually(() => assert.equal(got.length, want.length), { everyMs: 1 });
    }
    log.close();
    await following;
    assert.ok(got === want);
    assert.ok(log.generation > 10);
  });

  it('streams that share a log do not mix within a line', async () => {
    const log = open();
    for (const [stream, text] of [
      ['stdout', 'a'],
      ['stderr', 'b\n'],
      ['stdout', 'c\n'],
    ] as [Stream, string][])
      log.write(stream, Buffer.from(text));
    assert.equal(await read(log), 'b\nac\n');
  });

  it('what is left of it is read when its writer is gone', async () => {
    const { path } = await three();
    assert.equal(await read({ path, closed: true }, { follow: true }), 'one\ntwo\nthree\n');
    await assert.rejects(read({ path: `${path}.no`, closed: true }), { code: 'ENOENT' });
  });

  it('many may follow at once', async () => {
    const log = open();
    const all = Array.from({ length: 20 }, () => read(log, { follow: true }));
    for (let line = 0; line < 100; line++) log.say('stdout', String(line));
    await eventually(() => assert.ok(existsSync(log.path)));
    log.close();
    const texts = new Set(await Promise.all(all));
    assert.deepEqual([...texts], [`${Array.from({ length: 100 }, (_, line) => line).join('\n')}\n`]);
  });
});
