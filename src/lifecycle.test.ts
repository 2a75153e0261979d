/** Parts that write down what happens to them. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { HandClock } from '../test/support/hand-clock.ts';
import { group, type Part, runParts, stopAfterStart } from './lifecycle.ts';
import { silentLog } from './log.ts';

describe('runParts', () => {
  it('starts down the list and stops up it', async () => {
    const { events, life, stop } = world();
    const running = runParts([part('a', events), part('b', events), part('c', events)], life);
    await turn();
    stop.abort();
    await running;
    assert.deepEqual(events, ['a starts', 'b starts', 'c starts', 'c stops', 'b stops', 'a stops']);
  });

  it('waits with a part until the ones above have started', async () => {
    const { events, life, stop } = world();
    const above = Promise.withResolvers<void>();
    const running = runParts([{ ...part('a', events), start: () => above.promise }, part('b', events)], life);
    await turn();
    assert.deepEqual(events, []);
    above.resolve();
    await turn();
    assert.deepEqual(events, ['b starts']);
    stop.abort();
    await running;
  });

  it('stops what stands above a part that fails to start, and says why it failed', async () => {
    const { events, life } = world();
    const broken: Part = { ...part('b', events), start: () => Promise.reject(new Error('no port')) };
    await assert.rejects(runParts([part('a', events), broken, part('c', events)], life), { message: 'no port' });
    assert.deepEqual(events, ['a starts', 'a stops']);
  });

  it('stops a part whose start has not come to an end', async () => {
    const { events, life, stop } = world();
    const endless: Part = { ...part('b', events), start: () => new Promise(() => {}) };
    const running = runParts([part('a', events), endless, part('c', events)], life);
    await turn();
    stop.abort();
    await running;
    assert.deepEqual(events, ['a starts', 'b stops', 'a stops']);
  });

  it('starts nothing when told to stop before', async () => {
    const { events, life, stop } = world();
    stop.abort();
    await runParts([part('a', events)], life);
    assert.deepEqual(events, []);
  });

  it('goes on stopping when a part fails to', async () => {
    const { events, life, stop } = world();
    const broken: Part = { ...part('b', events), stop: () => Promise.reject(new Error('stuck')) };
    const running = runParts([part('a', events), broken], life);
    await turn();
    stop.abort();
    await running;
    assert.deepEqual(events, ['a starts', 'b starts', 'a stops']);
  });

  for (const { when, act } of [
    { when: 'the deadline passes', act: ({ clock }: World) => clock.turn(25_000) },
    { when: 'a person hurries', act: ({ hurry }: World) => hurry.abort() },
  ]) {
    it(`tells a part to let go when ${when}`, async () => {
      const it = world();
      const patient: Part = {
        ...part('b', it.events),
        stop: async (signal) => {
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          it.events.push('b lets go');
        },
      };
      const running = runParts([part('a', it.events), patient], it.life);
      await turn();
      it.stop.abort();
      await turn();
      assert.deepEqual(it.events, ['a starts', 'b starts']);
      await act(it);
      await running;
      assert.deepEqual(it.events.slice(2), ['b lets go', 'a stops']);
      assert.equal(it.clock.sleeping, 0);
    });
  }

  it('leaves a part behind that does not let go either', async () => {
    const { events, life, stop, hurry, clock } = world();
    const stuck: Part = { ...part('b', events), stop: () => new Promise(() => {}) };
    const running = runParts([part('a', events), stuck], life);
    await turn();
    stop.abort();
    hurry.abort();
    await turn();
    await clock.turn(2_000);
    await running;
    assert.deepEqual(events, ['a starts', 'b starts', 'a stops']);
  });
});

describe('group', () => {
  it('makes its parts when it starts, starts them down and stops them up', async () => {
    const { events } = world();
    const both = group('both', async () => {
      events.push('made');
      return [part('a', events), part('b', events)];
    });
    assert.deepEqual(events, []);
    await both.start();
    await both.stop(new AbortController().signal);
    assert.deepEqual(events, ['made', 'a starts', 'b starts', 'b stops', 'a stops']);
  });

  it('stops what stands above a part that fails to start, and says why it failed', async () => {
    const { events } = world();
    const broken: Part = { ...part('b', events), start: () => Promise.reject(new Error('no port')) };
    const all = group('all', () => [part('a', events), broken, part('c', events)]);
    await assert.rejects(all.start(), { message: 'no port' });
    assert.deepEqual(events, ['a starts', 'a stops']);
  });

  it('stops a part whose start has not come to an end, and starts nothing more', async () => {
    const { events } = world();
    const slow = Promise.withResolvers<void>();
    const all = group('all', () => [
      part('a', events),
      { ...part('b', events), start: () => slow.promise },
      part('c', events),
    ]);
    const starting = all.start();
    await turn();
    await all.stop(new AbortController().signal);
    slow.resolve();
    await starting;
    assert.deepEqual(events, ['a starts', 'b stops', 'a stops']);
  });
});

describe('stopAfterStart', () => {
  it('stops a part when its start has come to an end, whichever', async () => {
    for (const end of ['resolve', 'reject'] as const) {
      const events: string[] = [];
      const slow = Promise.withResolvers<void>();
      const whole = stopAfterStart({ ...part('a', events), start: () => slow.promise });
      const starting = whole.start();
      const stopping = whole.stop(new AbortController().signal);
      await turn();
      assert.deepEqual(events, []);
      slow[end]();
      await Promise.allSettled([starting, stopping]);
      assert.deepEqual(events, ['a stops']);
    }
  });

  it('stops a part that was never started', async () => {
    const events: string[] = [];
    await stopAfterStart(part('a', events)).stop(new AbortController().signal);
    assert.deepEqual(events, ['a stops']);
  });
});

type World = ReturnType<typeof world>;

function world() {
  const [stop, hurry, clock] = [new AbortController(), new AbortController(), new HandClock()];
  const events: string[] = [];
  const life = { stop: stop.signal, hurry: hurry.signal, deadlineMs: 25_000, clock, log: silentLog };
  return { stop, hurry, clock, events, life };
}

function part(name: string, events: string[]): Part {
  return {
    name,
    start: async () => void events.push(`${name} starts`),
    stop: async () => void events.push(`${name} stops`),
  };
}
