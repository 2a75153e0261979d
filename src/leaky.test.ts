import assert from 'node:assert/strict';
import { HandClock } from '../test/support/hand-clock.ts';
import { LeakyLevels } from './leaky.ts';

describe('LeakyLevels', () => {
  const make = (most = 10) => {
    const clock = new HandClock();
    return { clock, levels: new LeakyLevels({ perSecond: 0.5, most, clock }) };
  };

  it('rise by one and leak away', async () => {
    const { clock, levels } = make();
    levels.add('a');
    levels.add('a');
    levels.add('b');
    assert.deepEqual([levels.level('a'), levels.level('b'), levels.level('c')], [2, 1, 0]);
    await clock.turn(1_000);
    assert.deepEqual([levels.level('a'), levels.level('b')], [1.5, 0.5]);
    await clock.turn(60_000);
    assert.deepEqual([levels.level('a'), levels.level('b')], [0, 0]);
  });

  it('tell when a level will have fallen', () => {
    const { levels } = make();
    for (let times = 0; times < 3; times++) levels.add('a');
    assert.equal(levels.msUntil('a', 1), 4_000);
    assert.equal(levels.msUntil('a', 3), 0);
    assert.equal(levels.msUntil('b', 0), 0);
  });

  it('can be taken back and emptied', () => {
    const { levels } = make();
    for (let times = 0; times < 3; times++) levels.add('a');
    levels.undo('a');
    assert.equal(levels.level('a'), 2);
    levels.empty('a');
    levels.undo('a');
    assert.deepEqual([levels.level('a'), levels.size], [0, 0]);
  });

  it('forget the key longest untouched when there are too many', () => {
    const { levels } = make(2);
    levels.add('a');
    levels.add('b');
    levels.add('a');
    levels.add('c');
    assert.deepEqual([levels.level('a'), levels.level('b'), levels.level('c'), levels.size], [2, 0, 1, 2]);
  });
});
