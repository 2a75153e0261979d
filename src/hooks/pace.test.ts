import assert from 'node:assert/strict';
import { HandClock } from '../../test/support/hand-clock.ts';
import { silentMetrics } from '../metrics.ts';
import { createPace } from './pace.ts';

const build = { namespace: 'apps', name: 'build' };
const deploy = { namespace: 'apps', name: 'deploy' };
const exhausted = { name: 'Fault', code: 'exhausted', retryAfterMs: 3_000 };

const make = (changes = {}) => {
  const clock = new HandClock();
  const limited: string[] = [];
  const metrics = { ...silentMetrics, limited: (limit: string) => void limited.push(limit) };
  const pace = createPace({ hooksPerSecond: 10, hookBurst: 50, maxHooks: 64, ...changes }, { clock, metrics });
  return { clock, pace, limited };
};

/** How many of `wanted` calls are taken. */
const taken = (call: () => unknown, wanted: number): number => {
  let count = 0;
  for (let at = 0; at < wanted; at++) {
    try {
      call();
      count += 1;
    } catch {}
  }
  return count;
};

describe('the pace of hooks', () => {
  it('lets a hook have its burst, then so many a second, and others theirs', async () => {
    const { clock, pace, limited } = make();
    assert.equal(
      taken(() => pace.takeTurn(build), 200),
      50,
    );
    assert.throws(() => pace.takeTurn(build), exhausted);
    assert.equal(
      taken(() => pace.takeTurn(deploy), 50),
      50,
    );
    await clock.turn(1_000);
    assert.equal(
      taken(() => pace.takeTurn(build), 200),
      10,
    );
    assert.deepEqual(new Set(limited), new Set(['HOOKS_PER_SECOND']));
  });

  it('has no limit of a hook where that is 0', () => {
    const { pace } = make({ hooksPerSecond: 0 });
    assert.equal(
      taken(() => pace.takeTurn(build), 10_000),
      10_000,
    );
  });

  it('has so many places, and a place that is given back twice is one', () => {
    const { pace } = make({ maxHooks: 2 });
    const release = pace.takePlace();
    pace.takePlace();
    assert.throws(() => pace.takePlace(), exhausted);
    release();
    release();
    pace.takePlace();
    assert.throws(() => pace.takePlace(), exhausted);
  });

  it('keeps an address that was wrong a hundred times waiting, at every hook, and forgets one mistake a second', async () => {
    const { clock, pace } = make();
    for (let at = 0; at < 100; at++) {
      pace.mayTry('192.0.2.1', build);
      pace.wrong('192.0.2.1');
    }
    assert.throws(() => pace.mayTry('192.0.2.1', build), exhausted);
    assert.throws(() => pace.mayTry('192.0.2.1', deploy), exhausted);
    pace.mayTry('192.0.2.2', build);
    await clock.turn(1_000);
    pace.mayTry('192.0.2.1', build);
  });

  it('does not keep out who was right at the hook in the last quarter of an hour, whoever shares the address', async () => {
    const { clock, pace } = make();
    const guess = () => {
      for (let at = 0; at < 2_000; at++) pace.wrong('192.0.2.1');
    };
    pace.right('192.0.2.1', build);
    guess();
    await clock.turn(14 * 60_000);
    pace.mayTry('192.0.2.1', build);
    assert.throws(() => pace.mayTry('192.0.2.1', deploy), exhausted);
    await clock.turn(60_000);
    assert.throws(() => pace.mayTry('192.0.2.1', build), exhausted);
  });
});
