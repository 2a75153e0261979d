import assert from 'node:assert/strict';
import { HandClock } from '../../test/support/hand-clock.ts';
import type { Outcome, TriggerResult } from './outcome.ts';
import { createReplay } from './replay.ts';

const results = (...outcomes: readonly Outcome[]): readonly TriggerResult[] =>
  outcomes.map((outcome, at) => ({ trigger: `t${at}`, outcome }));

/** A replay with a piece of work that counts how often it is done. */
const make = () => {
  const clock = new HandClock();
  const replay = createReplay(clock);
  let done = 0;
  const work = (came: readonly TriggerResult[]) => async () => {
    done += 1;
    return came;
  };
  return { clock, replay, work, done: () => done };
};

describe('a delivery that comes again', () => {
  const table: readonly {
    readonly name: string;
    readonly came: readonly TriggerResult[];
    /** What is said of it within 30 s, within 15 min, and afterwards; `anew`: it is done once more. */
    readonly soon: readonly TriggerResult[] | 'anew';
    readonly later: readonly TriggerResult[] | 'anew';
  }[] = [
    { name: 'created', came: results('created'), soon: results('duplicate'), later: results('duplicate') },
    { name: 'duplicate', came: results('duplicate'), soon: results('duplicate'), later: results('duplicate') },
    { name: 'none', came: [], soon: [], later: [] },
    { name: 'pending', came: results('pending'), soon: results('pending'), later: 'anew' },
    { name: 'denied', came: results('created', 'denied'), soon: results('duplicate', 'denied'), later: 'anew' },
    { name: 'unavailable', came: results('created', 'unavailable'), soon: 'anew', later: 'anew' },
  ];
  for (const { name, came, soon, later } of table) {
    it(`is ${name}: what is said of it again, and for how long`, async () => {
      const { clock, replay, work, done } = make();
      assert.deepEqual(await replay.once('a', work(came)), { results: came, isRepeat: false });
      for (const [ms, want] of [
        [29_000, soon],
        [14 * 60_000, later],
      ] as const) {
        await clock.turn(ms);
        const before = done();
        const again = await replay.once('a', work(came));
        assert.deepEqual(
          again,
          want === 'anew' ? { results: came, isRepeat: false } : { results: want, isRepeat: true },
        );
        assert.equal(done() - before, want === 'anew' ? 1 : 0);
      }
      await clock.turn(15 * 60_000);
      assert.equal((await replay.once('a', work(came))).isRepeat, false);
    });
  }

  it('joins the one that is under way', async () => {
    const { replay } = make();
    const { promise, resolve } = Promise.withResolvers<readonly TriggerResult[]>();
    const first = replay.once('a', () => promise);
    const second = replay.once('a', () => assert.fail('done twice'));
    resolve(results('created'));
    assert.deepEqual(await Promise.all([first, second]), [
      { results: results('created'), isRepeat: false },
      { results: results('duplicate'), isRepeat: true },
    ]);
  });

  it('is done anew when the one before it failed, for all who waited', async () => {
    const { replay, work } = make();
    const failing = () => Promise.reject(new Error('away'));
    const both = await Promise.allSettled([replay.once('a', failing), replay.once('a', failing)]);
    assert.deepEqual(
      both.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    assert.equal((await replay.once('a', work(results('created')))).isRepeat, false);
  });

  it('is not known where another one came', async () => {
    const { replay, work } = make();
    await replay.once('a', work(results('created')));
    assert.equal((await replay.once('b', work(results('created')))).isRepeat, false);
  });

  it('is kept in bounded memory: the oldest is forgotten', async () => {
    const { replay, work } = make();
    const long = [{ trigger: 't', outcome: 'created', message: 'x'.repeat(1024 * 1024) }] as const;
    for (let at = 0; at < 9; at++) await replay.once(`long ${at}`, work(long));
    assert.equal((await replay.once('long 8', work(long))).isRepeat, true);
    assert.equal((await replay.once('long 0', work(long))).isRepeat, false);
    for (let at = 0; at < 20_001; at++) await replay.once(`short ${at}`, work(results('created')));
    assert.equal((await replay.once('short 20000', work(results('created')))).isRepeat, true);
    assert.equal((await replay.once('short 0', work(results('created')))).isRepeat, false);
  });
});
