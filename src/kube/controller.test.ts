import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HandClock } from '../../test/support/hand-clock.ts';
import { Fault, type FaultCode } from '../fault.ts';
import type { Log, LogFields } from '../log.ts';
import { silentMetrics } from '../metrics.ts';
import { type Again, type Controller, createController, type Reconcile, retry } from './controller.ts';
import type { Leadership } from './lease.ts';
import type { ObjectRef } from './objects.ts';

/** Leadership that the test gives and takes. */
class Throne implements Leadership {
  #listeners = new Set<(held: boolean) => void>();
  /** What `held` says although nobody was told. */
  uncertain = false;
  #held: boolean;

  constructor(held: boolean) {
    this.#held = held;
  }

  held(): boolean {
    return this.#held && !this.uncertain;
  }
  remainingMs(): number {
    return this.held() ? 10_000 : 0;
  }
  holder(): undefined {
    return undefined;
  }
  subscribe(listener: (held: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
  become(held: boolean): void {
    this.#held = held;
    for (const listener of this.#listeners) listener(held);
  }
  get watched(): number {
    return this.#listeners.size;
  }
}

const key = (name: string): ObjectRef => ({ namespace: 'ci', name });
/** As `retry` does it when `random` says 0. */
const BACKOFFS = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];

interface WorldOptions {
  readonly reconcile: Reconcile;
  readonly keys?: readonly string[];
  readonly leads?: boolean;
  readonly concurrency?: number;
}

describe('createController', () => {
  const open: Controller[] = [];
  const clocks: HandClock[] = [];
  afterEach(async () => {
    for (const controller of open.splice(0)) await controller.stop(AbortSignal.abort());
    for (const clock of clocks.splice(0)) assert.equal(clock.sleeping, 0, 'a timer was left behind');
  });

  const world = async ({ reconcile, keys = [], leads = true, concurrency }: WorldOptions) => {
    const clock = new HandClock();
    const throne = new Throne(leads);
    const lines: { level: string; message: string; fields: LogFields }[] = [];
    const write =
      (level: string) =>
      (message: string, fields: LogFields = {}) =>
        void lines.push({ level, message, fields });
    const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
    const outcomes: string[] = [];
    const levels = new Map<string, () => number>();
    /** When each was begun, in ms since the start. */
    const begun: string[] = [];
    const startedAt = clock.steady();
    const controller = createController({
      name: 'test',
      reconcile: (ref, signal) => {
        begun.push(`${ref.name} ${Math.round(clock.steady() - startedAt)}`);
        return reconcile(ref, signal);
      },
      keys: () => keys.map(key),
      leadership: throne,
      ...(concurrency === undefined ? {} : { concurrency }),
      clock,
      random: () => 0,
      log,
      metrics: {
        ...silentMetrics,
        reconcile: (_name, outcome) => void outcomes.push(outcome),
        level: (what, read) => void levels.set(what, read),
      },
    });
    open.push(controller);
    clocks.push(clock);
    await controller.start();
    await clock.settle();
    return { controller, clock, throne, lines, outcomes, levels, begun };
  };
  const done = async (): Promise<Again> => ({});

  describe('when', () => {
    it('a key that rings is reconciled at once, one that rings later then', async () => {
      const { controller, clock, begun } = await world({ reconcile: done });
      controller.ring(key('later'), 5_000);
      controller.ring(key('now'));
      await clock.settle();
      assert.deepEqual(begun, ['now 0']);
      await clock.turn(4_999);
      assert.deepEqual(begun, ['now 0']);
      await clock.turn(1);
      assert.deepEqual(begun, ['now 0', 'later 5000']);
      await clock.turn(3_600_000);
      assert.equal(begun.length, 2);
    });

    it('a key that rings again stays due at the earliest time, and only once', async () => {
      const { controller, clock, begun } = await world({ reconcile: done });
      for (const afterMs of [3_000, 1_000, 2_000]) controller.ring(key('a'), afterMs);
      await clock.turn(10_000);
      assert.deepEqual(begun, ['a 1000']);
    });

    it('looks again after the time that it was told, unless it rings before', async () => {
      const { controller, clock, begun } = await world({ reconcile: async () => ({ againMs: 50_000 }) });
      controller.ring(key('a'));
      await clock.turn(50_000);
      await clock.turn(20_000);
      controller.ring(key('a'));
      await clock.turn(50_000);
      assert.deepEqual(begun, ['a 0', 'a 50000', 'a 70000', 'a 120000']);
    });

    it('waits longer than any timer may be set', async () => {
      const day = 86_400_000;
      const { controller, clock, begun } = await world({ reconcile: async () => ({ againMs: 40 * day }) });
      controller.ring(key('a'));
      await clock.turn(40 * day - 1);
      assert.deepEqual(begun, ['a 0']);
      await clock.turn(1);
      assert.deepEqual(begun, ['a 0', `a ${40 * day}`]);
    });

    it('a corrected time of day changes nothing', async () => {
      const { controller, clock, begun } = await world({ reconcile: done });
      controller.ring(key('a'), 5_000);
      clock.correct(-3_600_000);
      await clock.turn(5_000);
      controller.ring(key('b'), 5_000);
      clock.correct(7_200_000);
      await clock.turn(4_000);
      assert.deepEqual(begun, ['a 5000']);
      await clock.turn(1_000);
      assert.deepEqual(begun, ['a 5000', 'b 10000']);
    });

    it('a key that is forgotten is not reconciled, and may come back', async () => {
      const { controller, clock, begun } = await world({ reconcile: done });
      controller.ring(key('a'), 1_000);
      controller.forget(key('a'));
      controller.forget(key('never seen'));
      await clock.turn(5_000);
      assert.deepEqual(begun, []);
      controller.ring(key('a'));
      await clock.settle();
      assert.deepEqual(begun, ['a 5000']);
    });
  });

  describe('how many', () => {
    /** A reconciler that goes on until the test lets it. */
    const held = () => {
      const open = new Map<string, PromiseWithResolvers<Again>>();
      const most = { now: 0, ever: 0 };
      const reconcile: Reconcile = async ({ name }) => {
        assert(!open.has(name), `${name} is reconciled by two at a time`);
        const work = Promise.withResolvers<Again>();
        open.set(name, work);
        most.now += 1;
        most.ever = Math.max(most.ever, most.now);
        try {
          return await work.promise;
        } finally {
          most.now -= 1;
          open.delete(name);
        }
      };
      return { reconcile, open, most, finish: (name: string, again: Again = {}) => open.get(name)?.resolve(again) };
    };

    it('at most so many at the same time, the next as soon as one has ended, in the order in which they rang', async () => {
      const { reconcile, open, most, finish } = held();
      const { controller, clock, levels } = await world({ reconcile, concurrency: 3 });
      for (const name of ['a', 'b', 'c', 'd', 'e']) controller.ring(key(name));
      await clock.settle();
      assert.deepEqual([...open.keys()], ['a', 'b', 'c']);
      assert.equal(controller.pending, 5);
      assert.equal(levels.get('controller keys test')?.(), 5);
      finish('b');
      await clock.settle();
      assert.deepEqual([...open.keys()], ['a', 'c', 'd']);
      for (const name of ['a', 'c', 'd']) finish(name);
      await clock.settle();
      finish('e');
      await clock.settle();
      assert.equal(controller.pending, 0);
      assert.equal(most.ever, 3);
    });

    it('who gives way waits until nobody else is due or at work, and comes by one who was first to', async () => {
      const { reconcile, open, finish } = held();
      const { controller, clock, begun } = await world({ reconcile, concurrency: 2 });
      controller.ring(key('a'));
      for (const name of ['x', 'y', 'x']) controller.ringLast(key(name));
      await clock.settle();
      assert.deepEqual([...open.keys()], ['a']);
      for (const name of ['b', 'c']) controller.ring(key(name));
      await clock.settle();
      finish('a', { last: true });
      await clock.settle();
      assert.deepEqual([...open.keys()], ['b', 'c']);
      finish('b');
      await clock.settle();
      assert.deepEqual([...open.keys()], ['c']);
      finish('c');
      await clock.settle();
      assert.deepEqual([...open.keys()], ['x', 'y']);
      finish('x');
      finish('y');
      await clock.settle();
      assert.deepEqual(begun, ['a 0', 'b 0', 'c 0', 'x 0', 'y 0', 'a 0']);
      finish('a');
      await clock.turn(60_000);
      assert.equal(begun.length, 6);
      assert.equal(controller.pending, 0);
    });

    it('who gives way has its turn after two seconds all the same, and at once when it rings aloud', async () => {
      const { reconcile, finish } = held();
      const { controller, clock, begun } = await world({ reconcile });
      controller.ring(key('slow'));
      for (const name of ['patient', 'called', 'gone']) controller.ringLast(key(name));
      await clock.turn(1_000);
      controller.ring(key('called'));
      controller.forget(key('gone'));
      await clock.settle();
      assert.deepEqual(begun, ['slow 0', 'called 1000']);
      await clock.turn(1_000);
      assert.deepEqual(begun, ['slow 0', 'called 1000', 'patient 2000']);
      for (const name of ['slow', 'called', 'patient']) finish(name);
      await clock.turn(60_000);
      assert.equal(begun.length, 3);
    });

    it('who gives way is asked for once more by what rang while it was at work, and not where nobody leads', async () => {
      const { reconcile, finish } = held();
      const { controller, clock, begun, throne } = await world({ reconcile });
      controller.ringLast(key('a'));
      await clock.settle();
      controller.ringLast(key('a'));
      finish('a');
      await clock.settle();
      assert.deepEqual(begun, ['a 0', 'a 0']);
      controller.ringLast(key('a'));
      throne.become(false);
      finish('a');
      controller.ringLast(key('b'));
      await clock.turn(60_000);
      assert.equal(begun.length, 2);
    });

    it('it is calm when nobody is due or at work to whom others give way, and after two seconds in any case', async () => {
      const { reconcile, finish } = held();
      const { controller, clock, throne } = await world({ reconcile, concurrency: 1 });
      const calm = () => {
        const state = { isOver: false };
        void controller.calm().then(() => {
          state.isOver = true;
        });
        return state;
      };
      const atFirst = calm();
      controller.ringLast(key('patient'));
      await clock.settle();
      const besidePatient = calm();
      await clock.settle();
      assert.deepEqual([atFirst.isOver, besidePatient.isOver], [true, true]);
      finish('patient');
      for (const name of ['a', 'b']) controller.ring(key(name));
      const [untilDone, untilLost] = [calm(), calm()];
      await clock.settle();
      finish('a');
      await clock.settle();
      assert.equal(untilDone.isOver, false);
      finish('b');
      await clock.settle();
      assert.deepEqual([untilDone.isOver, untilLost.isOver], [true, true]);
      controller.ring(key('slow'));
      await clock.settle();
      const patient = calm();
      await clock.turn(1_999);
      assert.equal(patient.isOver, false);
      await clock.turn(1);
      assert.equal(patient.isOver, true);
      const untilOther = calm();
      await clock.settle();
      throne.become(false);
      await clock.settle();
      assert.equal(untilOther.isOver, true);
      finish('slow');
    });

    it('a key that rings while it is reconciled is reconciled once more afterwards, however often it rang', async () => {
      const { reconcile, finish } = held();
      const { controller, clock, begun } = await world({ reconcile });
      controller.ring(key('a'));
      await clock.settle();
      for (let ring = 0; ring < 20; ring++) controller.ring(key('a'));
      await clock.turn(1_000);
      assert.deepEqual(begun, ['a 0']);
      finish('a', { againMs: 3_600_000 });
      await clock.settle();
      assert.deepEqual(begun, ['a 0', 'a 1000']);
      finish('a');
      await clock.turn(60_000);
      assert.equal(begun.length, 2);
    });

    it('what is done for a key that was forgotten is finished, and its failure is not tried again', async () => {
      const { reconcile, open } = held();
      const { controller, clock, begun } = await world({ reconcile });
      controller.ring(key('a'));
      await clock.settle();
      controller.forget(key('a'));
      open.get('a')?.reject(new Fault('unavailable', 'away'));
      await clock.turn(120_000);
      assert.deepEqual(begun, ['a 0']);
    });

    it('one that comes back while its predecessor is reconciled waits for that', async () => {
      const { reconcile, open, finish } = held();
      const { controller, clock, begun } = await world({ reconcile });
      controller.ring(key('a'));
      await clock.settle();
      controller.forget(key('a'));
      controller.ring(key('a'));
      await clock.turn(1_000);
      assert.deepEqual(begun, ['a 0']);
      open.get('a')?.reject(new Fault('unavailable', 'away'));
      await clock.settle();
      assert.deepEqual(begun, ['a 0', 'a 1000']);
      finish('a');
      await clock.settle();
    });

    it('any number of keys in any order: each is reconciled after its last ring, never by two, never by too many', async () => {
      const step = fc.record({
        name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        what: fc.constantFrom('ring' as const, 'ringLast' as const, 'finish' as const),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          const { reconcile, open, most, finish } = held();
          let moment = 0;
          const rung = new Map<string, number>();
          const begun = new Map<string, number>();
          const { controller, clock } = await world({
            concurrency: 2,
            reconcile: (ref, signal) => {
              begun.set(ref.name, ++moment);
              return reconcile(ref, signal);
            },
          });
          for (const { name, what } of steps) {
            if (what === 'finish') finish(name);
            else {
              rung.set(name, ++moment);
              controller[what](key(name));
            }
            await clock.settle();
          }
          for (let round = 0; round < 10; round++) {
            for (const name of [...open.keys()]) finish(name);
            await clock.settle();
          }
          for (const [name, at] of rung) assert((begun.get(name) ?? 0) > at, name);
          assert.equal(controller.pending, 0);
          assert(most.ever <= 2);
        }),
        { numRuns: 50 },
      );
    });
  });

  describe('failures', () => {
    const failing = (fault: () => unknown, times = Number.POSITIVE_INFINITY): Reconcile => {
      let failures = 0;
      return async () => {
        if (failures++ < times) throw fault();
        return {};
      };
    };
    const since = (begun: readonly string[]) => begun.map((each) => Number(each.split(' ')[1]));
    const gaps = (times: readonly number[]) => times.slice(1).map((time, place) => time - (times[place] ?? 0));

    it('wait 250 ms doubling to a minute, and begin anew after success', async () => {
      let isBroken = true;
      const { controller, clock, begun } = await world({
        reconcile: async () => {
          if (isBroken) throw new Fault('unavailable', 'away');
          return {};
        },
      });
      controller.ring(key('a'));
      await clock.turn(190_000);
      assert.deepEqual(gaps(since(begun)), BACKOFFS);
      isBroken = false;
      await clock.turn(60_000);
      isBroken = true;
      const before = begun.length;
      controller.ring(key('a'));
      await clock.turn(1_000);
      assert.deepEqual(gaps(since(begun).slice(before)), [250, 500]);
    });

    it('of one key are not in the way of another', async () => {
      const { controller, clock, begun } = await world({
        reconcile: async ({ name }) => {
          if (name === 'bad') throw new Error('not good');
          return {};
        },
        concurrency: 1,
      });
      controller.ring(key('bad'));
      controller.ring(key('good'));
      await clock.turn(100);
      assert.deepEqual(begun, ['bad 0', 'good 0']);
    });

    it('trigger 17: conflicts are tried again at once without a word, until there are too many', async () => {
      const { controller, clock, begun, lines } = await world({
        reconcile: failing(() => new Fault('conflict', 'old')),
      });
      controller.ring(key('a'));
      await clock.settle();
      assert.deepEqual(since(begun), [0, 0, 0, 0, 0, 0]);
      assert.equal(lines.length, 1, 'the sixth conflict in a row is worth a word');
      await clock.turn(800);
      assert.deepEqual(gaps(since(begun).slice(5)), [250, 500]);
    });

    it('three conflicts leave no trace', async () => {
      const { controller, clock, begun, lines } = await world({
        reconcile: failing(() => new Fault('conflict', 'old'), 3),
      });
      controller.ring(key('a'));
      await clock.turn(60_000);
      assert.equal(begun.length, 4);
      assert.deepEqual(lines, []);
    });

    it('that say when to come back are tried again then', async () => {
      const { controller, clock, begun } = await world({
        reconcile: failing(() => new Fault('refused', 'denied', { retryAfterMs: 300_000 })),
      });
      controller.ring(key('a'));
      await clock.turn(650_000);
      assert.deepEqual(since(begun), [0, 300_000, 600_000]);
    });

    it('are logged once, however many keys meet them and however often, and again after a time without', async () => {
      let isBroken = true;
      const { controller, clock, lines } = await world({
        reconcile: async () => {
          if (isBroken) throw new Fault('unavailable', 'Kubernetes cannot be reached');
          return {};
        },
      });
      for (let count = 0; count < 50; count++) controller.ring(key(`key-${count}`));
      await clock.turn(600_000);
      assert.equal(lines.length, 1);
      assert.equal(lines[0]?.level, 'warn');
      isBroken = false;
      await clock.turn(700_000);
      isBroken = true;
      controller.ring(key('a'));
      await clock.settle();
      assert.equal(lines.length, 2);
    });

    it('that nobody expected end nothing, and are logged with where they happened', async () => {
      for (const mistake of [new TypeError('x is not a function'), 'a thrown text', undefined]) {
        const { controller, clock, begun, lines, outcomes } = await world({ reconcile: failing(() => mistake, 1) });
        controller.ring(key('a'));
        await clock.turn(250);
        assert.equal(begun.length, 2);
        assert.deepEqual(outcomes, ['internal', 'done']);
        assert.deepEqual(
          lines.map(({ level, message }) => [level, message]),
          [['error', 'a reconcile failed by our fault']],
        );
        if (mistake instanceof Error) assert.match(String(lines[0]?.fields.cause), /x is not a function\n +at /);
      }
    });

    it('that are thrown before there is a promise are the same', async () => {
      const { controller, clock, begun } = await world({
        reconcile: () => {
          throw new Error('too early');
        },
      });
      controller.ring(key('a'));
      await clock.turn(250);
      assert.equal(begun.length, 2);
    });
  });

  describe('leadership', () => {
    it('who begins to lead reconciles every key; before that nothing is done and nothing is kept', async () => {
      const { controller, clock, throne, begun } = await world({ reconcile: done, keys: ['a', 'b'], leads: false });
      controller.ring(key('c'));
      await clock.turn(60_000);
      assert.deepEqual(begun, []);
      assert.equal(controller.pending, 0);
      throne.become(true);
      await clock.settle();
      assert.deepEqual(begun, ['a 60000', 'b 60000']);
    });

    it('who leads already when the loop starts reconciles every key', async () => {
      const { begun } = await world({ reconcile: done, keys: ['a', 'b'] });
      assert.deepEqual(begun, ['a 0', 'b 0']);
    });

    it('losing it aborts what is being done, and forgets what was to be done', async () => {
      const reasons: unknown[] = [];
      const { controller, clock, throne, begun, outcomes, lines } = await world({
        reconcile: (_key, signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              reasons.push(signal.reason);
              reject(signal.reason);
            });
          }),
        keys: ['a'],
      });
      controller.ring(key('b'), 5_000);
      throne.become(false);
      await clock.turn(120_000);
      assert.deepEqual(begun, ['a 0']);
      assert.deepEqual(outcomes, ['aborted']);
      assert.deepEqual(lines, []);
      assert.equal((reasons[0] as Fault).message, 'another replica leads');
      assert.equal(controller.pending, 0);
    });

    it('won again while the old work still ends: the key is reconciled once more, after it', async () => {
      const works: PromiseWithResolvers<Again>[] = [];
      const { clock, throne, begun } = await world({
        reconcile: () => {
          const work = Promise.withResolvers<Again>();
          works.push(work);
          return work.promise;
        },
        keys: ['a'],
      });
      throne.become(false);
      throne.become(true);
      await clock.turn(1_000);
      assert.deepEqual(begun, ['a 0']);
      works[0]?.resolve({ againMs: 1 });
      await clock.settle();
      assert.deepEqual(begun, ['a 0', 'a 1000']);
      works[1]?.resolve({});
      await clock.turn(60_000);
      assert.equal(begun.length, 2);
    });

    it('who is not certain to lead starts nothing, and looks again', async () => {
      const { controller, clock, throne, begun } = await world({ reconcile: done });
      throne.uncertain = true;
      controller.ring(key('a'));
      await clock.turn(500);
      assert.deepEqual(begun, []);
      throne.uncertain = false;
      await clock.turn(1_000);
      assert.deepEqual(begun, ['a 1000']);
    });
  });

  describe('stop', () => {
    it('aborts what is being done, waits for it, and leaves nothing behind', async () => {
      const work = Promise.withResolvers<Again>();
      const { controller, clock, throne, begun } = await world({ reconcile: () => work.promise, keys: ['a'] });
      controller.ring(key('b'), 1_000);
      let isStopped = false;
      const stopping = controller.stop(new AbortController().signal).then(() => {
        isStopped = true;
      });
      await clock.turn(5_000);
      assert.equal(isStopped, false);
      work.resolve({ againMs: 1 });
      await stopping;
      assert.deepEqual(begun, ['a 0']);
      assert.equal(throne.watched, 0);
      throne.become(false);
      throne.become(true);
      controller.ring(key('c'));
      await clock.turn(5_000);
      assert.deepEqual(begun, ['a 0']);
    });

    it('lets go of what does not end when its deadline has passed', async () => {
      const { controller } = await world({ reconcile: () => new Promise(() => {}), keys: ['a'] });
      const deadline = new AbortController();
      const stopping = controller.stop(deadline.signal);
      deadline.abort();
      await stopping;
    });
  });
});

describe('retry', () => {
  const cases: readonly [string, FaultCode, number | undefined, number, number, number, number][] = [
    // name, code, retryAfterMs, failures, conflicts, random, want
    ['the first failure', 'unavailable', undefined, 0, 0, 0, 250],
    ['jitter takes off up to a fifth', 'unavailable', undefined, 0, 0, 0.5, 225],
    ['a long series', 'internal', undefined, 1_000, 0, 0, 60_000],
    ['a conflict', 'conflict', undefined, 9, 0, 0, 0],
    ['one conflict too many', 'conflict', undefined, 0, 5, 0, 250],
    ['Retry-After', 'unavailable', 3_000, 0, 0, 0.9, 3_000],
    ['Retry-After of nothing is no invitation to hammer', 'unavailable', 0, 0, 0, 0, 250],
    ['Retry-After of a year', 'unavailable', 31_536_000_000, 0, 0, 0, 600_000],
  ];
  for (const [name, code, retryAfterMs, failures, conflicts, random, want] of cases) {
    it(name, () => {
      const fault = new Fault(code, '', retryAfterMs === undefined ? {} : { retryAfterMs });
      assert.equal(retry(fault, { failures, conflicts }, random).waitMs, want);
    });
  }
});
