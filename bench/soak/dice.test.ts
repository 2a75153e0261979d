import assert from 'node:assert/strict';
import { diceOf, planOf } from './dice.ts';

describe('the dice of the soak', () => {
  it('throw the same for the same seed, and other things for another', () => {
    const throws = (seed: number) => {
      const dice = diceOf(seed);
      return Array.from({ length: 20 }, () => dice.whole(1, 1000));
    };
    assert.deepEqual(throws(7), throws(7));
    assert.notDeepEqual(throws(7), throws(8));
    assert.notDeepEqual(throws(0), throws(1));
  });

  it('throw every number alike', () => {
    const dice = diceOf(3);
    const throws = Array.from({ length: 4000 }, () => dice.whole(0, 3));
    for (const number of [0, 1, 2, 3]) {
      const count = throws.filter((each) => each === number).length;
      assert.ok(count > 900 && count < 1100, `${number}: ${count}`);
    }
  });

  it('plan each kind as often as any other, in another order each time', () => {
    const plan = planOf(['a', 'b', 'c', 'd', 'e'], 50, diceOf(1));
    for (const kind of ['a', 'b', 'c', 'd', 'e']) assert.equal(plan.filter((each) => each === kind).length, 10);
    assert.notDeepEqual(plan.slice(0, 5), plan.slice(5, 10));
  });
});
