import assert from 'node:assert/strict';
import { mkdtemp, readdir, readlink, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { eventually } from '../../../test/support/eventually.ts';
import { Fault } from '../../fault.ts';
import { type Log, silentLog } from '../../log.ts';
import { createSpooling, type SpoolLimits, type SpoolTarget, spoolLimits } from './spool.ts';

const limits: SpoolLimits = { streamBytes: 1_000, memoryBytes: 100_000, fileBytes: 1_000_000 };

/** A client that takes what it is given, as slowly as the test wants. */
function client(): SpoolTarget & { readonly taken: () => Buffer; pause(): void; resume(): void } {
  const pieces: Buffer[] = [];
  let paused: (() => void)[] | undefined;
  return {
    write: (bytes) => void pieces.push(bytes),
    room: () => (paused === undefined ? Promise.resolve() : new Promise((resolve) => paused?.push(resolve))),
    taken: () => Buffer.concat(pieces),
    pause() {
      paused ??= [];
    },
    resume() {
      const all = paused ?? [];
      paused = undefined;
      for (const resolve of all) resolve();
    },
  };
}

/** Whether `promise` is settled once everything that is due now has happened. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => {
    settled = true;
  });
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe('spool', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rungate-spool-test-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const stock = (more: Partial<SpoolLimits> = {}, log: Log = silentLog) =>
    createSpooling({ log, limits: { ...limits, ...more }, folder });

  it('keeps bytes until their turn, then passes them on at once', async () => {
    const spool = stock().forStream().open();
    const target = client();
    spool.write(Buffer.from('a'));
    spool.write(Buffer.from('b'));
    assert.equal(target.taken().toString(), '');
    await spool.release(target);
    assert.equal(target.taken().toString(), 'ab');
    spool.write(Buffer.from('c'));
    assert.equal(target.taken().toString(), 'abc');
  });

  it('puts what is too much into a file that nobody else can reach, and nothing of it stays', async () => {
    const spooling = stock();
    const stream = spooling.forStream();
    const spool = stream.open();
    const want = Buffer.from(Array.from({ length: 500 }, (_, at) => `line ${at}\n`).join(''));
    for (let at = 0; at < want.length; at += 100) {
      spool.write(want.subarray(at, at + 100));
      await spool.room();
    }
    assert.ok(spooling.fileBytes > 0);
    assert.ok(spooling.memoryBytes <= limits.streamBytes + 100);
    const files = await openFilesBelow(folder);
    assert.equal(files.length, 1);
    assert.match(files[0] ?? '', / \(deleted\)$/);
    await eventually(async () => assert.deepEqual(await readdir(folder), []));

    const target = client();
    await spool.release(target);
    assert.ok(target.taken().equals(want));
    assert.deepEqual([spooling.fileBytes, spooling.memoryBytes], [0, 0]);
    await eventually(async () => assert.deepEqual(await openFilesBelow(folder), []));
  });

  it('goes on reading from the cluster only when there is room', async () => {
    const spooling = stock({ fileBytes: 0 });
    const stream = spooling.forStream();
    const [one, other] = [stream.open(), stream.open()];
    one.write(Buffer.alloc(900, 'a'));
    other.write(Buffer.alloc(200, 'b'));
    const rooms = [one.room(), other.room()];
    assert.deepEqual(await Promise.all(rooms.map(isSettled)), [false, false]);
    // Streams have room of their own.
    assert.equal(await isSettled(spooling.forStream().open().room()), true);
    const target = client();
    await one.release(target);
    await Promise.all(rooms);
    assert.equal(target.taken().length, 900);
  });

  it('goes on when a file gave its space back', async () => {
    const spooling = stock({ fileBytes: 3_000 });
    const [first, second] = [spooling.forStream(), spooling.forStream()];
    const full = first.open();
    full.write(Buffer.alloc(3_000));
    await eventually(() => assert.equal(spooling.fileBytes, 3_000));
    await full.room();
    const waiting = second.open();
    waiting.write(Buffer.alloc(2_000));
    const room = waiting.room();
    assert.equal(await isSettled(room), false);
    first.close();
    await room;
    assert.equal(spooling.fileBytes, 2_000);
    second.close();
    assert.deepEqual([spooling.fileBytes, spooling.memoryBytes], [0, 0]);
  });

  it('bounds the memory of all streams together', async () => {
    const spooling = stock({ memoryBytes: 1_500, fileBytes: 0 });
    const spools = Array.from({ length: 3 }, () => spooling.forStream().open());
    for (const spool of spools) spool.write(Buffer.alloc(600));
    const rooms = spools.map((spool) => spool.room());
    assert.deepEqual(await Promise.all(rooms.map(isSettled)), [false, false, false]);
    await spools[0]?.release(client());
    await Promise.all(rooms);
  });

  it('hands on at the pace of the client, and what is written meanwhile waits behind', async () => {
    const spool = stock({ streamBytes: 10_000_000, memoryBytes: 10_000_000 }).forStream().open();
    spool.write(Buffer.alloc(1_000_000, 'a'));
    for (let at = 0; at < 500; at += 1) spool.write(Buffer.alloc(1_000, 'b'));
    const target = client();
    target.pause();
    const released = spool.release(target);
    assert.equal(await isSettled(released), false);
    assert.equal(target.taken().length, 1_000_000);
    assert.equal(await isSettled(spool.room()), false);
    spool.write(Buffer.from('c'));
    target.resume();
    await released;
    const want = Buffer.concat([Buffer.alloc(1_000_000, 'a'), Buffer.alloc(500_000, 'b'), Buffer.from('c')]);
    assert.ok(target.taken().equals(want));
    await spool.room();
  });

  it('a disk that cannot be written to costs nothing but room, and is told once', async () => {
    const told: string[] = [];
    const log: Log = { ...silentLog, warn: (message) => void told.push(message) };
    const spooling = createSpooling({ log, limits, folder: join(folder, 'missing') });
    const stream = spooling.forStream();
    const spools = [stream.open(), stream.open()];
    for (const spool of spools) spool.write(Buffer.alloc(600, 'a'));
    await eventually(() => assert.equal(told.length, 1));
    const rooms = spools.map((spool) => spool.room());
    assert.deepEqual(await Promise.all(rooms.map(isSettled)), [false, false]);
    const target = client();
    for (const spool of spools) await spool.release(target);
    await Promise.all(rooms);
    assert.equal(target.taken().length, 1_200);
    assert.equal(told.length, 1);
    assert.equal(spooling.fileBytes, 0);
  });

  it('a file that cannot be read back is a fault of its stream alone', async () => {
    const spooling = stock();
    const streams = [spooling.forStream(), spooling.forStream()];
    const [sound, broken] = streams.map((stream) => stream.open());
    const fill = async (spool: typeof sound) => {
      spool?.write(Buffer.alloc(3_000, 'a'));
      await spool?.room();
      return openFilesBelow(folder, 'descriptors');
    };
    const before = await fill(sound);
    const [descriptor = '', ...others] = (await fill(broken)).filter((each) => !before.includes(each));
    assert.deepEqual(others, []);
    await truncate(descriptor, 100);
    await assert.rejects(
      broken?.release(client()) ?? assert.fail(),
      (error) => error instanceof Fault && error.code === 'unavailable' && error.cause instanceof Error,
    );
    const target = client();
    await sound?.release(target);
    assert.equal(target.taken().length, 3_000);
    for (const stream of streams) stream.close();
    assert.deepEqual([spooling.fileBytes, spooling.memoryBytes], [0, 0]);
  });

  it('lets everybody go when the stream is over', async () => {
    const spooling = stock({ fileBytes: 2_000 });
    const stream = spooling.forStream();
    const spools = [stream.open(), stream.open()];
    for (const spool of spools) spool.write(Buffer.alloc(1_900));
    const rooms = spools.map((spool) => spool.room());
    const target = client();
    target.pause();
    const released = spools[0]?.release(target);
    stream.close();
    stream.close();
    target.resume();
    await Promise.all([...rooms, released]);
    spools[1]?.write(Buffer.from('x'));
    await eventually(async () => {
      assert.deepEqual([spooling.fileBytes, spooling.memoryBytes], [0, 0]);
      assert.deepEqual(await openFilesBelow(folder), []);
    });
  });

  it('any order of writes, waits and turns: each task reads what it wrote', async () => {
    const act = fc.record({ task: fc.nat(2), bytes: fc.nat(900), waits: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 60 }), fc.nat(60), async (acts, turnAt) => {
        const spooling = stock({ fileBytes: 20_000 });
        const stream = spooling.forStream();
        const tasks = Array.from({ length: 3 }, () => ({
          spool: stream.open(),
          target: client(),
          wrote: [] as Buffer[],
        }));
        const turns: Promise<void>[] = [];
        let written = 0;
        for (const [at, { task, bytes, waits }] of acts.entries()) {
          const { spool, wrote } = tasks[task] ?? assert.fail();
          const piece = Buffer.alloc(bytes, written % 251);
          written += 1;
          wrote.push(piece);
          spool.write(piece);
          if (waits) await Promise.race([spool.room(), new Promise((resolve) => setImmediate(resolve))]);
          if (at === turnAt) for (const each of tasks.slice(0, 2)) turns.push(each.spool.release(each.target));
        }
        for (const each of tasks.slice(turns.length)) turns.push(each.spool.release(each.target));
        await Promise.all(turns);
        for (const { target, wrote } of tasks) assert.ok(target.taken().equals(Buffer.concat(wrote)));
        assert.deepEqual([spooling.fileBytes, spooling.memoryBytes], [0, 0]);
      }),
      { numRuns: 50 },
    );
  });

  it('has limits that fit a small pod', () => {
    assert.deepEqual(spoolLimits, { streamBytes: 8_388_608, memoryBytes: 67_108_864, fileBytes: 536_870_912 });
  });
});

/** The files below `folder` that this process has open, as the kernel names them, or the descriptors by which it reaches them. */
async function openFilesBelow(folder: string, as: 'names' | 'descriptors' = 'names'): Promise<string[]> {
  const descriptors = (await readdir('/proc/self/fd')).sort((a, b) => Number(a) - Number(b));
  const found = await Promise.all(
    descriptors.map(async (descriptor) => {
      const path = `/proc/self/fd/${descriptor}`;
      const name = await readlink(path).catch(() => '');
      return name.startsWith(`${folder}/`) ? [as === 'names' ? name : path] : [];
    }),
  );
  return found.flat();
}
