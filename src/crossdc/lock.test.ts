/** The lock against a database that a test stops, cuts off and kills, in time turned by hand. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HandClock } from '../../test/support/hand-clock.ts';
import { LockDatabase } from '../../test/support/lock-database.ts';
import { Fault } from '../fault.ts';
import type { Election, Leadership } from '../kube/lease.ts';
import { type Log, type LogFields, silentLog } from '../log.ts';
import { silentMetrics } from '../metrics.ts';
import { type CrossDcLockParts, createCrossDcLock } from './lock.ts';
import type { Session } from './session.ts';
import { SETTLE_IN } from './statements.ts';

const never = new AbortController().signal;

/** A world of one database, and the locks that were made in it. */
function newWorld() {
  const clock = new HandClock();
  const database = new LockDatabase(clock);
  const locks: Election[] = [];
  /** A lock that has been started. */
  const start = async (identity: string, more: Partial<CrossDcLockParts> = {}): Promise<Election> => {
    const lock = createCrossDcLock({
      open: database.opener(identity),
      place: 'db:3306',
      identity,
      clock,
      random: () => 0.5,
      log: silentLog,
      metrics: silentMetrics,
      ...more,
    });
    locks.push(lock);
    const starting = lock.start();
    starting.catch(() => {}); // heard below, when time has been turned
    await clock.turn(10);
    await starting;
    return lock;
  };
  const end = async () => {
    const stopping = Promise.all(locks.map((lock) => lock.stop(AbortSignal.abort())));
    await clock.turn(10_000);
    await stopping;
  };
  return { clock, database, start, end };
}

/** An original operator: it holds one of the names, and neither looks nor signs. */
async function original(database: LockDatabase, clock: HandClock, name: string): Promise<Session> {
  const opening = database.opener('original')(never);
  await clock.turn(5);
  const session = await opening;
  const taking = session.query(`SELECT GET_LOCK('${name}', 2147483647) AS taken`);
  await clock.turn(5);
  assert.deepEqual(await taking, [{ taken: 1 }]);
  return session;
}

describe('the cross-data-centre lock', () => {
  let world: ReturnType<typeof newWorld>;
  beforeEach(() => {
    world = newWorld();
  });
  afterEach(async () => {
    await world.end();
    assert.equal(world.database.connections, 0, 'a connection was left behind');
    assert.equal(world.clock.sleeping, 0, 'a timer was left behind');
  });

  it('is held 15 s after it was taken, not before', async () => {
    const lock = await world.start('a');
    await world.clock.turn(14_900);
    assert.equal(world.database.holder('leader.txt//'), 'a');
    assert.equal(world.database.holder('leader.txt'), 'a');
    assert.equal(lock.held(), false);
    await world.clock.turn(2_200);
    assert.equal(lock.held(), true);
    assert.equal(lock.holder(), 'a');
    for (let second = 0; second < 60; second++) {
      await world.clock.turn(1_000);
      assert(lock.remainingMs() > 2_900 && lock.remainingMs() <= 5_000, String(lock.remainingMs()));
    }
  });

  it("makes the database, the tables and the original's row", async () => {
    await world.start('a');
    await world.clock.turn(1_000);
    assert.deepEqual([...world.database.made], ['vault', 'vault.vault', 'vault.vault_lock']);
    assert.equal(world.database.rows.get('leader'), 'ignored');
  });

  it('goes to one of two, and to the other when that one stops', async () => {
    const first = await world.start('a');
    const second = await world.start('b');
    await world.clock.turn(20_000);
    assert.deepEqual([first.held(), second.held()], [true, false]);
    assert.equal(second.holder(), 'a');
    const stopping = first.stop(never);
    assert.equal(first.held(), false);
    await world.clock.turn(5_000);
    await stopping;
    assert.equal(second.held(), false);
    await world.clock.turn(15_000);
    assert.equal(second.held(), true);
  });

  it('is given away only when the writes in flight are over', async () => {
    const writes = Promise.withResolvers<void>();
    const lock = await world.start('a', { settled: () => writes.promise });
    await world.clock.turn(17_000);
    assert.equal(lock.held(), true);
    const stopping = lock.stop(never);
    assert.equal(lock.held(), false);
    await world.clock.turn(30_000);
    assert.equal(world.database.holder('leader.txt'), 'a');
    assert.equal(lock.held(), false);
    writes.resolve();
    await world.clock.turn(1);
    await stopping;
    assert.equal(world.database.holder('leader.txt'), undefined);
  });

  it('is let go at once by one that is hurried, whatever is still in flight', async () => {
    const hurry = new AbortController();
    const lock = await world.start('a', { settled: () => new Promise(() => {}) });
    await world.clock.turn(17_000);
    const stopping = lock.stop(hurry.signal);
    await world.clock.turn(100);
    hurry.abort();
    await stopping;
    await world.clock.turn(1);
    assert.equal(world.database.holder('leader.txt'), undefined);
  });

  it('trigger 40: is lost the moment the session is killed, and one is active again within 30 s', async () => {
    const first = await world.start('a');
    const second = await world.start('b');
    await world.clock.turn(20_000);
    const told: boolean[] = [];
    first.subscribe((held) => told.push(held));
    world.database.kill('a');
    await world.clock.settle();
    assert.equal(first.held(), false);
    assert.deepEqual(told, [false]);
    await world.clock.turn(14_000);
    assert.deepEqual([first.held(), second.held()], [false, false]);
    await world.clock.turn(16_000);
    assert.deepEqual([first.held(), second.held()], [false, true]);
  });

  it('is lost 5 s after the network was cut at the latest, and the other has it within 30 s', async () => {
    const first = await world.start('a');
    const second = await world.start('b');
    await world.clock.turn(20_000);
    world.database.cut('a');
    await world.clock.turn(5_000);
    assert.equal(first.held(), false);
    await world.clock.turn(10_000);
    assert.equal(second.held(), false);
    await world.clock.turn(15_000);
    assert.deepEqual([first.held(), second.held()], [false, true]);
    world.database.mend('a');
    await world.clock.turn(60_000);
    assert.deepEqual([first.held(), second.held()], [false, true]);
  });

  it('is had by nobody while the database is away, and by one within 30 s of its return', async () => {
    const locks = [await world.start('a'), await world.start('b')];
    await world.clock.turn(20_000);
    world.database.down();
    for (let second = 0; second < 120; second++) {
      await world.clock.turn(1_000);
      assert(locks.every((lock) => !lock.held()));
    }
    world.database.up();
    await world.clock.turn(30_000);
    assert.equal(locks.filter((lock) => lock.held()).length, 1);
  });

  for (const [what, ms] of [
    ['clock was set back', -3_600_000],
    ['process was stopped for 6 s', 6_000],
  ] as const) {
    it(`is not held by one whose ${what}`, async () => {
      const lock = await world.start('a');
      await world.clock.turn(17_000);
      assert.equal(lock.held(), true);
      const now = world.clock.now();
      world.clock.now = () => now + ms;
      assert.equal(lock.held(), false);
      assert.equal(lock.remainingMs(), 0);
      world.clock.now = HandClock.prototype.now;
    });
  }

  it('is lost by one that another of ours signs over, as when a replica of the database was promoted', async () => {
    const lock = await world.start('a');
    await world.clock.turn(17_000);
    assert.equal(lock.held(), true);
    world.database.rows.set('rungate', '1 b');
    await world.clock.turn(2_100);
    assert.equal(lock.held(), false);
  });

  for (const name of ['leader.txt', 'leader.txt//']) {
    it(`is waited for while an original holds ${name}, and the other way round`, async () => {
      const lines: LogFields[] = [];
      const log: Log = { ...silentLog, info: (_message, fields = {}) => void lines.push(fields) };
      const session = await original(world.database, world.clock, name);
      const lock = await world.start('a', { log });
      await world.clock.turn(60_000);
      assert.equal(lock.held(), false);
      assert.equal(lock.holder(), 'connection 1 of the database');
      assert.deepEqual(
        lines.map(({ lock: waited }) => waited),
        [name],
        'said once in a minute',
      );
      session.destroy();
      await world.clock.turn(18_000);
      assert.equal(lock.held(), true);

      const late = world.database.opener('original')(never);
      await world.clock.turn(5);
      const other = await late;
      const taking = other.query(`SELECT GET_LOCK('${name}', 2) AS taken`);
      await world.clock.turn(3_000);
      assert.deepEqual(await taking, [{ taken: 0 }]);
      other.destroy();
    });
  }

  it('is sought only while the election of the cluster is held, and given away with it', async () => {
    let listener: (held: boolean) => void = () => {};
    let held = false;
    const within: Leadership = {
      held: () => held,
      remainingMs: () => (held ? 10_000 : 0),
      holder: () => undefined,
      subscribe(added) {
        listener = added;
        return () => {};
      },
    };
    const lock = await world.start('a', { within });
    await world.clock.turn(60_000);
    assert.equal(world.database.holder('leader.txt'), undefined);
    held = true;
    await world.clock.turn(20_000);
    assert.equal(lock.held(), true);
    held = false;
    listener(false);
    await world.clock.turn(1);
    assert.equal(lock.held(), false);
    assert.equal(world.database.holder('leader.txt'), undefined);
  });

  it('trigger 40: a database that refuses us is a Fault of the start, one that is away is not', async () => {
    world.database.refusal = new Fault('refused', 'Access denied for user lock');
    await assert.rejects(world.start('a'), { code: 'refused', message: 'Access denied for user lock' });
    world.database.refusal = undefined;
    world.database.down();
    const lock = await world.start('b');
    await world.clock.turn(5_000);
    assert.equal(lock.held(), false);
    world.database.up();
    await world.clock.turn(25_000);
    assert.equal(lock.held(), true);
  });

  it('is asked for by a session that the server ends soon when it is silent', () => {
    assert.match(SETTLE_IN, /wait_timeout = 8\b/);
  });
});

describe('the cross-data-centre lock under faults', () => {
  const fault = fc.record({
    what: fc.constantFrom('kill', 'cut', 'mend', 'down', 'up', 'wait'),
    who: fc.constantFrom('a', 'b', 'c'),
    ms: fc.integer({ min: 0, max: 20_000 }),
  });

  it('never has two holders, and has one 60 s after all is well', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fault, { minLength: 3, maxLength: 12 }), async (faults) => {
        const world = newWorld();
        const locks = [await world.start('a'), await world.start('b'), await world.start('c')];
        const turn = async (ms: number) => {
          for (let left = ms; left > 0; left -= 250) {
            await world.clock.turn(Math.min(left, 250));
            assert(locks.filter((lock) => lock.held()).length <= 1, 'two held it');
          }
        };
        await turn(18_000);
        for (const { what, who, ms } of faults) {
          if (what === 'down' || what === 'up') world.database[what]();
          else if (what !== 'wait') world.database[what](who);
          await turn(ms);
        }
        world.database.up();
        for (const who of ['a', 'b', 'c']) world.database.mend(who);
        await turn(60_000);
        assert.equal(locks.filter((lock) => lock.held()).length, 1);
        await world.end();
      }),
      { numRuns: 60 },
    );
  }).timeout(120_000);
});
