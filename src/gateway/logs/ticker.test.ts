import assert from 'node:assert/strict';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { Ticker } from './ticker.ts';

function bench() {
  const clock = new HandClock();
  const begunAt = clock.now();
  const ticker = new Ticker(clock, 1_000);
  /** When each has looked, in milliseconds from the beginning. */
  const looks: Record<string, number[]> = {};
  const join = (name: string, then = () => {}) => {
    const own: number[] = [];
    looks[name] = own;
    return ticker.join(() => {
      own.push(clock.now() - begunAt);
      then();
    });
  };
  return { clock, join, looks };
}

describe('a ticker', () => {
  it('calls each once a round, whenever it has joined, and not at once', async () => {
    const { clock, join, looks } = bench();
    join('first');
    await clock.turn(350);
    join('second');
    await clock.turn(3_000);
    assert.deepEqual(looks, { first: [1_000, 2_000, 3_000], second: [1_300, 2_300, 3_300] });
  });

  it('who has left is not called any more; with the last one the timer ends, and begins anew', async () => {
    const { clock, join, looks } = bench();
    const leaveFirst = join('first');
    const leaveSecond = join('second');
    await clock.turn(1_000);
    leaveFirst();
    leaveFirst();
    await clock.turn(1_000);
    assert.deepEqual(looks, { first: [1_000], second: [1_000, 2_000] });
    leaveSecond();
    await clock.settle();
    assert.equal(clock.sleeping, 0);
    await clock.turn(5_000);
    join('third');
    await clock.turn(1_000);
    assert.deepEqual(looks, { first: [1_000], second: [1_000, 2_000], third: [8_000] });
  });

  it('the last one may leave while it looks, and another one join', async () => {
    const { clock, join, looks } = bench();
    const leave = join('first', () => {
      leave();
      join('second');
    });
    await clock.turn(3_000);
    assert.equal(looks.first?.length, 1);
    assert.ok((looks.second?.length ?? 0) >= 2);
    assert.equal(clock.sleeping, 1);
  });
});
