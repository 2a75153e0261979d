import assert from 'node:assert/strict';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { createThrottle, type Throttle } from './throttle.ts';

const NEAR = '198.51.100.0/24';
const never = new AbortController().signal;

/** Guesses until a guess has to wait; how many did not. */
async function guessesAtOnce(throttle: Throttle, name: string, network: string): Promise<number> {
  for (let guesses = 0; ; guesses++) {
    const waiting = throttle.waiting;
    const left = new AbortController();
    const turn = throttle.turn(name, network, left.signal);
    if (throttle.waiting > waiting) {
      left.abort();
      (await turn).untried();
      return guesses;
    }
    await turn;
  }
}

describe('throttle', () => {
  it('lets five mistakes pass, then each costs a wait twice as long, up to 30 s', async () => {
    const clock = new HandClock();
    const throttle = createThrottle(clock);
    assert.equal(await guessesAtOnce(throttle, 'ci', NEAR), 5);
    // The second 16: half a minute has gone by, and a mistake with it.
    for (const seconds of [1, 2, 4, 8, 16, 16, 30, 30, 30]) {
      let isOver = false;
      const turn = throttle.turn('ci', NEAR, never).then(() => {
        isOver = true;
      });
      await clock.turn(seconds * 1000 - 1);
      assert.equal(isOver, false, `${seconds}`);
      await clock.turn(1);
      assert.equal(isOver, true, `${seconds}`);
      await turn;
    }
  });

  it('is by name and network: others are not slowed down', async () => {
    const throttle = createThrottle(new HandClock());
    await guessesAtOnce(throttle, 'ci', NEAR);
    for (const [name, network] of [
      ['ci', '203.0.113.0/24'],
      ['anna', NEAR],
    ] as const) {
      assert.equal(await guessesAtOnce(throttle, name, network), 5);
    }
  });

  it('forgets mistakes when the password is right, and one a minute anyway', async () => {
    const clock = new HandClock();
    const throttle = createThrottle(clock);
    for (let times = 0; times < 4; times++) await throttle.turn('ci', NEAR, never);
    (await throttle.turn('ci', NEAR, never)).right();
    assert.equal(await guessesAtOnce(throttle, 'ci', NEAR), 5);
    await clock.turn(2 * 60_000);
    assert.equal(await guessesAtOnce(throttle, 'ci', NEAR), 2);
  });

  it('counts guesses that come at the same time as if they came in turn', async () => {
    const throttle = createThrottle(new HandClock());
    const turns = Array.from({ length: 20 }, () => throttle.turn('ci', NEAR, never));
    await Promise.all(turns.slice(0, 5));
    for (const turn of turns.slice(9)) await assert.rejects(turn, { code: 'exhausted' });
    assert.equal(throttle.waiting, 4);
  });

  it('refuses a fifth that waits, and says for how long', async () => {
    const clock = new HandClock();
    const throttle = createThrottle(clock);
    await guessesAtOnce(throttle, 'ci', NEAR);
    const waiting = Array.from({ length: 4 }, () => throttle.turn('ci', NEAR, never));
    await assert.rejects(throttle.turn('ci', NEAR, never), { code: 'exhausted', retryAfterMs: 16_000 });
    await clock.turn(60_000);
    await Promise.all(waiting);
    assert.deepEqual([throttle.waiting, clock.sleeping], [0, 0]);
  });

  it('those who leave while they wait have made no attempt', async () => {
    const clock = new HandClock();
    const throttle = createThrottle(clock);
    await guessesAtOnce(throttle, 'ci', NEAR);
    const left = new AbortController();
    const turn = throttle.turn('ci', NEAR, left.signal);
    left.abort();
    (await turn).untried();
    assert.deepEqual([throttle.waiting, clock.sleeping], [0, 0]);
    const next = throttle.turn('ci', NEAR, never);
    await clock.turn(1_000);
    await next;
  });

  it('slows down many networks that guess one name together, and never refuses there', async () => {
    const clock = new HandClock();
    const throttle = createThrottle(clock);
    for (let place = 0; place < 100; place++) await throttle.turn('ci', `10.0.${place}.0/24`, never);
    const turns = Array.from({ length: 50 }, (_, place) => throttle.turn('ci', `10.1.${place}.0/24`, never));
    assert.equal(throttle.waiting, 50);
    await clock.turn(3_000);
    await Promise.all(turns);
    assert.equal(await guessesAtOnce(throttle, 'anna', '10.1.0.0/24'), 5);
  });
});
