import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { HandClock } from '../../test/support/hand-clock.ts';
import { createIntake } from './intake.ts';

const make = (most = 4, mostBytesHeld = 1_000) => {
  const clock = new HandClock();
  return { clock, intake: createIntake({ most, mostBytesHeld, patienceMs: 30_000, clock }) };
};

describe('a body', () => {
  it('is read byte for byte', async () => {
    const { clock, intake } = make();
    const body = new PassThrough();
    const reading = intake.read(body, 10);
    body.write(Buffer.from([0xff, 0]));
    body.end(Buffer.from('12345678'));
    assert.deepEqual(await reading, { came: 'whole', raw: Buffer.from('\xff\x0012345678', 'latin1') });
    assert.deepEqual([intake.reading, clock.sleeping], [0, 0]);
  });

  it('is too large with the first byte beyond the bound, and not read on', async () => {
    const { clock, intake } = make();
    const body = new PassThrough();
    const reading = intake.read(body, 10);
    body.write(Buffer.alloc(11));
    assert.deepEqual(await reading, { came: 'too-large' });
    assert.equal(body.isPaused(), true);
    assert.deepEqual([intake.reading, clock.sleeping], [0, 0]);
  });

  it('may take half a minute', async () => {
    const { clock, intake } = make();
    const body = new PassThrough();
    const reading = intake.read(body, 10);
    await clock.turn(29_000);
    body.write('a');
    assert.equal(intake.reading, 1);
    await clock.turn(1_000);
    assert.deepEqual(await reading, { came: 'too-slow' });
    assert.deepEqual([intake.reading, clock.sleeping], [0, 0]);
  });

  it('breaks off with its sender', async () => {
    const { intake } = make();
    const body = new PassThrough();
    const reading = intake.read(body, 10);
    body.destroy(new Error('reset'));
    assert.deepEqual(await reading, { came: 'broken' });
    assert.deepEqual(await intake.read(body, 10), { came: 'broken' });
    assert.equal(intake.reading, 0);
  });

  it('makes room for others when it has lingered, and keeps its place before that', async () => {
    const { clock, intake } = make(2);
    const slow = intake.read(new PassThrough(), 10);
    await clock.turn(500);
    const later = new PassThrough();
    const reading = intake.read(later, 10);
    assert.deepEqual(await intake.read(new PassThrough(), 10), { came: 'crowded' });
    await clock.turn(500);
    const third = new PassThrough();
    const last = intake.read(third, 10);
    assert.deepEqual(await slow, { came: 'too-slow' });
    later.end('b');
    third.end('c');
    assert.deepEqual(
      [await reading, await last].map(({ came }) => came),
      ['whole', 'whole'],
    );
    assert.deepEqual([intake.reading, clock.sleeping], [0, 0]);
  });

  it('makes room for others when all of them are too many bytes and it is the largest', async () => {
    const { clock, intake } = make(4, 15);
    const [large, small] = [new PassThrough(), new PassThrough()];
    const first = intake.read(large, 10);
    const second = intake.read(small, 10);
    large.write('123456789');
    small.write('12345');
    await clock.turn(0);
    assert.equal(intake.reading, 2);
    small.write('67');
    assert.deepEqual(await first, { came: 'crowded' });
    assert.equal(large.isPaused(), true);
    const third = new PassThrough();
    const last = intake.read(third, 10);
    third.end('12345678'); // what was given up takes no room any more
    small.end();
    assert.deepEqual(
      [await second, await last].map(({ came }) => came),
      ['whole', 'whole'],
    );
    assert.deepEqual([intake.reading, clock.sleeping], [0, 0]);
  });
});
