import assert from 'node:assert/strict';
import { HandClock } from '../../test/support/hand-clock.ts';
import { createPace } from './pace.ts';

describe('a pace', () => {
  const never = new AbortController().signal;

  it('gives out no more turns in a second than it may, in the order they were asked for', async () => {
    const clock = new HandClock();
    const pace = createPace({ perSecond: 50, clock });
    const started = clock.now();
    const turns: { readonly place: number; readonly atMs: number }[] = [];
    for (let place = 0; place < 120; place++) {
      void pace.turn(never).then(() => turns.push({ place, atMs: clock.now() - started }));
    }
    await clock.turn(3_000);
    assert.deepEqual(
      turns.map(({ place }) => place),
      Array.from({ length: 120 }, (_, place) => place),
    );
    for (const [place, { atMs }] of turns.entries()) {
      const before = turns[place - 50];
      // Also where some of them are on their way for longer than others.
      if (before !== undefined) assert.ok(atMs - before.atMs >= 1_100, `turn ${place} at ${atMs} ms`);
    }
    assert.equal(clock.sleeping, 0);
  });

  it('saves nothing up while nobody asks', async () => {
    const clock = new HandClock();
    const pace = createPace({ perSecond: 10, clock });
    await clock.turn(60_000);
    let turns = 0;
    for (let asked = 0; asked < 20; asked++) void pace.turn(never).then(() => turns++);
    await clock.turn(999);
    assert.equal(turns, 10);
    await clock.turn(10_000);
  });

  it('a turn that nobody wants any more is refused when it comes', async () => {
    const clock = new HandClock();
    const pace = createPace({ perSecond: 10, clock });
    const stop = new AbortController();
    const turns = [pace.turn(never), pace.turn(stop.signal), pace.turn(never)];
    const ends = Promise.allSettled(turns);
    stop.abort(new Error('enough'));
    await clock.turn(1_000);
    assert.deepEqual(
      (await ends).map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
  });
});
