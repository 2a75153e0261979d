import assert from 'node:assert/strict';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { createLimits, type LimitSettings } from './limits.ts';

const anna = { name: 'anna', namespaces: 'all served' } as const;
const bert = { name: 'bert', namespaces: 'all served' } as const;

function rig(changes: Partial<LimitSettings> = {}) {
  const clock = new HandClock();
  const refused: string[] = [];
  const levels = new Map<string, () => number>();
  const settings = { maxStreams: 3, maxWaiters: 2, requestsPerSecond: 0, requestBurst: 1, ...changes };
  const metrics = {
    limited: (limit: string) => void refused.push(limit),
    level: (what: string, read: () => number) => void levels.set(what, read),
  };
  const open = (what: string) => levels.get(what)?.();
  return { clock, refused, open, limits: createLimits(settings, { clock, metrics }) };
}

describe('limits', () => {
  it('run 44: one stream too many is refused until another has ended, and disturbs none', () => {
    const { limits, refused, open } = rig();
    const [first] = [limits.takeStream(anna), limits.takeStream(anna), limits.takeStream(bert)];
    const tooMany = { code: 'exhausted', message: /all log streams/, retryAfterMs: 5_000 };
    assert.throws(() => limits.takeStream(bert), tooMany);
    assert.deepEqual([refused, open('streams')], [['MAX_STREAMS'], 3]);
    first();
    first();
    assert.equal(open('streams'), 2);
    limits.takeStream(bert);
    assert.throws(() => limits.takeStream(bert), tooMany);
  });

  it('run 44: one caller cannot take the places of all where MAX_STREAMS_PER_CALLER is set', () => {
    const { limits, refused } = rig({ maxStreamsPerCaller: 1 });
    const release = limits.takeStream(anna);
    assert.throws(() => limits.takeStream(anna), {
      code: 'exhausted',
      message: /^you have as many streams open as you may \(1\)/,
    });
    assert.deepEqual(refused, ['MAX_STREAMS_PER_CALLER']);
    limits.takeStream(bert);
    release();
    limits.takeStream(anna);
  });

  it('those who wait have places of their own', () => {
    const { limits, refused, open } = rig();
    const [first] = [limits.takeWaiter(anna), limits.takeWaiter(bert)];
    assert.throws(() => limits.takeWaiter(bert), { code: 'exhausted', message: /wait for a change/ });
    limits.takeStream(bert);
    first();
    assert.deepEqual([refused, open('waiters')], [['MAX_WAITERS'], 1]);
  });

  it('requests of a caller are counted only where REQUESTS_PER_SECOND is set', () => {
    const { limits } = rig();
    for (let times = 0; times < 1_000; times++) limits.takeRequest(anna);
  });

  it('a caller who is over the rate is told when the next request is due', async () => {
    const { limits, clock, refused } = rig({ requestsPerSecond: 2, requestBurst: 3 });
    for (let times = 0; times < 3; times++) limits.takeRequest(anna);
    assert.throws(() => limits.takeRequest(anna), { code: 'exhausted', retryAfterMs: 500 });
    limits.takeRequest(bert);
    await clock.turn(500);
    limits.takeRequest(anna);
    assert.throws(() => limits.takeRequest(anna), { retryAfterMs: 500 });
    await clock.turn(60_000);
    for (let times = 0; times < 3; times++) limits.takeRequest(anna);
    assert.deepEqual(refused, ['REQUESTS_PER_SECOND', 'REQUESTS_PER_SECOND']);
  });
});
