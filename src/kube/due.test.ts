import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DueQueue } from './due.ts';

describe('DueQueue', () => {
  it('gives the earliest first, and of the same moment the one that came first', () => {
    const queue = new DueQueue<string>();
    for (const [id, at] of [
      ['late', 9],
      ['b', 5],
      ['a', 5],
      ['soon', 1],
    ] as const) {
      queue.add(id, id, at);
    }
    assert.equal(queue.nextAt, 1);
    assert.deepEqual([queue.take(5), queue.take(5), queue.take(5), queue.take(5)], ['soon', 'b', 'a', undefined]);
    assert.equal(queue.nextAt, 9);
  });

  it('agrees with a list that is sorted anew each time', () => {
    const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i');
    const step = fc.oneof(
      fc.record({ what: fc.constant('add' as const), id, at: fc.nat(20) }),
      fc.record({ what: fc.constant('delete' as const), id, at: fc.constant(0) }),
      fc.record({ what: fc.constant('take' as const), id, at: fc.nat(20) }),
      fc.record({ what: fc.constant('count' as const), id, at: fc.nat(20) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new DueQueue<string>();
        let listed: { readonly id: string; at: number }[] = [];
        for (const { what, id, at } of steps) {
          // Array.sort keeps the order of equals, which is that of their coming.
          const first = listed.toSorted((one, other) => one.at - other.at)[0];
          if (what === 'add') {
            queue.add(id, id, at);
            const known = listed.find((each) => each.id === id);
            if (known === undefined) listed.push({ id, at });
            else known.at = Math.min(known.at, at);
          } else if (what === 'delete') {
            queue.delete(id);
            listed = listed.filter((each) => each.id !== id);
          } else if (what === 'take') {
            const taken = first !== undefined && first.at <= at ? first : undefined;
            assert.equal(queue.take(at), taken?.id);
            listed = listed.filter((each) => each !== taken);
          } else {
            assert.equal(queue.countDue(at), listed.filter((each) => each.at <= at).length);
            assert.equal(
              queue.isDue(id, at),
              listed.some((each) => each.id === id && each.at <= at),
            );
          }
          assert.equal(queue.size, listed.length);
        }
      }),
    );
  });
});
