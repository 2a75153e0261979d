import assert from 'node:assert/strict';
import { DueKeys } from './duekeys.ts';

describe('DueKeys', () => {
  it('gives a key when it is due, once', () => {
    const due = new DueKeys();
    due.add('a', 10);
    assert.equal(due.take(9), undefined);
    assert.equal(due.nextAt, 10);
    assert.equal(due.take(10), 'a');
    assert.equal(due.take(10), undefined);
    assert.equal(due.nextAt, undefined);
  });

  it('the earliest moment wins', () => {
    const due = new DueKeys();
    due.add('a', 10);
    due.add('a', 5);
    due.add('a', 20);
    assert.equal(due.take(5), 'a');
    assert.equal(due.take(100), undefined);
  });

  it('those that have been due longest come first, and a busy key does not starve the others', () => {
    const due = new DueKeys();
    for (const [key, at] of [
      ['late', 3],
      ['early', 1],
      ['busy', 2],
    ] as const) {
      due.add(key, at);
    }
    const order: (string | undefined)[] = [];
    for (let turn = 0; turn < 4; turn++) {
      const key = due.take(10);
      order.push(key);
      if (key === 'busy') due.add('busy', 10);
    }
    assert.deepEqual(order, ['early', 'busy', 'late', 'busy']);
  });

  it('one that is due already is not put off', () => {
    const due = new DueKeys();
    due.add('a', 1);
    due.add('b', 1);
    assert.equal(due.take(1), 'a');
    due.add('b', 1_000);
    assert.ok((due.nextAt ?? 0) <= 1);
    assert.equal(due.take(1), 'b');
  });
});
