import assert from 'node:assert/strict';
import { createPendingRoom } from './pending.ts';

const drawn = (...texts: readonly string[]) => [{ name: 'p', texts }];

describe('room for pending deliveries', () => {
  it('is taken by the characters of all parameters, and given back', () => {
    const room = createPendingRoom(10);
    const giveBack = room.take(drawn('four', 'six...')) ?? assert.fail('there is room for ten');
    assert.equal(room.take(drawn('1')), undefined);
    giveBack();
    assert.ok(room.take(drawn('1')));
  });

  it('is empty at first, and again when all of it has been given back', async () => {
    const room = createPendingRoom();
    await room.empty();
    const givers = [room.take(drawn('a')), room.take(drawn('b'))];
    let isEmpty = false;
    const empty = room.empty().then(() => {
      isEmpty = true;
    });
    givers[0]?.();
    await Promise.resolve();
    assert.equal(isEmpty, false);
    givers[1]?.();
    await empty;
  });
});
