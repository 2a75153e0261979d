import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { HandClock } from '../../test/support/hand-clock.ts';
import { createOutbox } from './outbox.ts';

/** A client that takes bytes only when the test lets it. */
class Client extends Writable {
  readonly taken: Buffer[] = [];
  #waiting: (() => void)[] = [];
  isReading = true;

  constructor() {
    super({ highWaterMark: 16 * 1024 });
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const take = () => {
      this.taken.push(chunk);
      done();
    };
    if (this.isReading) take();
    else this.#waiting.push(take);
  }

  read(): void {
    this.isReading = true;
    const all = this.#waiting;
    this.#waiting = [];
    for (const take of all) take();
  }

  takeOne(): void {
    this.#waiting.shift()?.();
  }

  get text(): string {
    return Buffer.concat(this.taken).toString();
  }
}

function outbox() {
  const client = new Client();
  const clock = new HandClock();
  const log = { dropped: 0 };
  const box = createOutbox(client, { clock, slowMs: 120_000, dropped: () => (log.dropped += 1) });
  return { client, clock, box, log };
}

const MEBIBYTE = 1024 * 1024;

describe('an outbox', () => {
  it('writes of one turn leave together, in order', async () => {
    const { client, clock, box } = outbox();
    for (const piece of ['a', 'b', 'c']) box.write(Buffer.from(piece));
    await clock.settle();
    assert.deepEqual(client.taken.map(String), ['abc']);
    assert.equal(box.written, 3);
  });

  it('there is room until 512 KiB wait, and again when the client has taken it', async () => {
    const { client, clock, box } = outbox();
    client.isReading = false;
    box.write(Buffer.alloc(MEBIBYTE / 2));
    await box.room();
    box.write(Buffer.from('x'));
    assert.equal(box.full, true);
    let hasRoom = false;
    void box.room().then(() => {
      hasRoom = true;
    });
    await clock.settle();
    assert.equal(hasRoom, false);
    client.read();
    await clock.settle();
    assert.equal(hasRoom, true);
    assert.equal(box.full, false);
    assert.equal(clock.sleeping, 0);
  });

  it('run 34: a client that takes nothing for two minutes is dropped, once; one that takes a little in time is not', async () => {
    const { client, clock, box, log } = outbox();
    client.isReading = false;
    box.write(Buffer.alloc(2 * MEBIBYTE));
    void box.room();
    void box.room();
    await clock.turn(119_000);
    assert.equal(log.dropped, 0);
    client.read();
    await clock.turn(119_000);
    assert.equal(log.dropped, 0);
    client.isReading = false;
    box.write(Buffer.alloc(2 * MEBIBYTE));
    void box.room();
    await clock.turn(120_000);
    assert.equal(log.dropped, 1);
  });

  it('run 34: when the client goes, whoever waits goes on and nothing is kept', async () => {
    const { client, clock, box } = outbox();
    client.isReading = false;
    box.write(Buffer.alloc(2 * MEBIBYTE));
    const waiting = box.room();
    const flushed = box.flushed();
    await clock.settle();
    client.destroy();
    await Promise.all([waiting, flushed]);
    box.write(Buffer.from('more'));
    assert.equal(box.full, false);
    await clock.settle();
    assert.equal(clock.sleeping, 0);
  });

  it('run 34: a client that stops at the very end is dropped too, and one that takes slowly is not', async () => {
    const { client, clock, box, log } = outbox();
    client.isReading = false;
    box.write(Buffer.alloc(300 * 1024));
    void box.flushed();
    for (let portion = 0; portion < 4; portion++) {
      await clock.turn(100_000);
      client.takeOne();
    }
    assert.equal(log.dropped, 0);
    await clock.turn(120_000);
    assert.equal(log.dropped, 1);
  });

  it('flushed resolves when the last byte has left', async () => {
    const { client, clock, box } = outbox();
    client.isReading = false;
    box.write(Buffer.from('last'));
    let isFlushed = false;
    void box.flushed().then(() => {
      isFlushed = true;
    });
    await clock.settle();
    assert.equal(isFlushed, false);
    client.read();
    await clock.settle();
    assert.equal(isFlushed, true);
    assert.equal(client.text, 'last');
  });
});
