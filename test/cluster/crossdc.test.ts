/** The cross-data-centre lock on a real MariaDB: who may write while sessions, servers and networks fail. */
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { LockDatabase } from '../../src/crossdc/env.ts';
import { createCrossDcLock } from '../../src/crossdc/lock.ts';
import { mysqlSessions, shownPlace } from '../../src/crossdc/mysql.ts';
import type { Election } from '../../src/kube/lease.ts';
import { silentLog } from '../../src/log.ts';
import { silentMetrics } from '../../src/metrics.ts';
import { loopbackCertificate } from '../support/certificate.ts';
import { eventually } from '../support/eventually.ts';
import { type MariaDb, mariadbSuite, startMariaDb } from '../support/mariadb.ts';
import { startWire, type Wire } from '../support/wire.ts';

/** 30 s are promised to who is not held up himself; src/crossdc/lock.test.ts counts them in time turned by hand. */
const again = { withinMs: 120_000, everyMs: 10 };
const atOnce = AbortSignal.abort();
/** Waits ten times as long for an answer: for what a server says, whenever it does. */
const patient: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(10 * ms, signal) };

mariadbSuite('the cross-data-centre lock on MariaDB', () => {
  let mariadb: MariaDb;
  const locks: Election[] = [];
  const wires: Wire[] = [];

  before(async () => {
    mariadb = await startMariaDb();
    await mariadb.admin(
      "CREATE USER 'lock'@'%' IDENTIFIED BY 's3cret'",
      "CREATE USER 'tls'@'%' IDENTIFIED BY 's3cret' REQUIRE SSL",
      "GRANT ALL ON vault.* TO 'lock'@'%', 'tls'@'%'",
    );
  });
  after(() => mariadb?.end());
  afterEach(async () => {
    for (const lock of locks.splice(0)) await lock.stop(AbortSignal.timeout(5_000));
    for (const wire of wires.splice(0)) await wire.end();
    await eventually(async () => assert.deepEqual(await holders(), []), again);
  });

  const databaseAt = (more: Partial<LockDatabase> = {}): LockDatabase => ({
    username: 'lock',
    password: 's3cret',
    host: '127.0.0.1',
    port: mariadb.port,
    plaintextAllowed: true,
    ...more,
  });
  const newLock = (identity: string, more: Partial<LockDatabase> = {}, clock = systemClock): Election => {
    const database = databaseAt(more);
    const lock = createCrossDcLock({
      open: mysqlSessions(database, silentLog),
      place: shownPlace(database),
      identity,
      clock,
      random: Math.random,
      log: silentLog,
      metrics: silentMetrics,
    });
    locks.push(lock);
    return lock;
  };
  /** The connections that hold the two names, without repeats. */
  const holders = async (): Promise<number[]> => {
    const rows = await mariadb.admin(
      "SELECT IS_USED_LOCK('leader.txt//') AS id UNION SELECT IS_USED_LOCK('leader.txt') AS id",
    );
    return rows.map(({ id }) => id).filter((id) => id !== null);
  };
  const wireTo = async (host?: string): Promise<Wire> => {
    const wire = await startWire(mariadb.port, host);
    wires.push(wire);
    return wire;
  };

  it('trigger 40: one of two has it, whatever fails, and one has it again', async () => {
    const ways = [await wireTo(), await wireTo()] as const;
    const pair = [newLock('dc-1', { port: ways[0].port }), newLock('dc-2', { port: ways[1].port })] as const;
    for (const lock of pair) await lock.start();
    let both = 0;
    const sampling = setInterval(() => {
      if (pair.every((lock) => lock.held())) both += 1;
    }, 5);
    const active = () => {
      const [found, ...others] = ([0, 1] as const).filter((place) => pair[place].held());
      assert(found !== undefined && others.length === 0, 'not one has it');
      return found;
    };
    try {
      const first = await eventually(active, again);
      await eventually(() => assert.equal(pair[first === 0 ? 1 : 0].holder(), `dc-${first + 1}`), again);

      const [session] = await eventually(async () => {
        const found = await holders();
        assert.equal(found.length, 1);
        return found;
      }, again);
      await mariadb.admin(`KILL ${session}`);
      await eventually(() => assert.equal(pair[first].held(), false), again);
      await eventually(active, again);

      await mariadb.stop();
      await eventually(() => assert(pair.every((lock) => !lock.held())), again);
      await mariadb.start();
      const second = await eventually(active, again);

      ways[second].cut();
      await eventually(() => assert.equal(pair[second].held(), false), again);
      const third = await eventually(active, again);
      assert.notEqual(third, second);
      ways[second].mend();
      await eventually(() => assert.equal(pair[second].holder(), `dc-${third + 1}`), again);

      await pair[third].stop(AbortSignal.timeout(5_000));
      await eventually(() => assert.equal(active(), second), again);
    } finally {
      clearInterval(sampling);
    }
    assert.equal(both, 0, 'two had it at the same time');
  });

  for (const name of ['leader.txt', 'leader.txt//']) {
    it(`an original that holds only ${name} and ours exclude each other`, async () => {
      const connect = () =>
        createConnection({ host: '127.0.0.1', port: mariadb.port, user: 'lock', password: 's3cret' });
      const original = await connect();
      await original.query('SELECT GET_LOCK(?, 2147483647)', [name]);
      const lock = newLock('ours');
      await lock.start();
      await eventually(() => assert.match(lock.holder() ?? '', /^connection \d+ of the database$/), again);
      assert.equal(lock.held(), false);
      await original.end();

      await eventually(() => assert.equal(lock.holder(), 'ours'), again);
      await eventually(async () => assert.equal((await holders()).length, 1, 'one connection holds both names'), again);
      const other = await connect();
      const [answer] = await other.query('SELECT GET_LOCK(?, 1) AS taken', [name]);
      assert.deepEqual(answer, [{ taken: 0 }]);
      await other.end();
    });
  }

  it("makes tables that are the original's", async () => {
    const lock = newLock('ours');
    await lock.start();
    await eventually(() => assert.equal(lock.holder(), 'ours'), again);
    const columns = await mariadb.admin(
      `SELECT table_name AS t, column_name AS c, column_type AS type, column_key AS k FROM information_schema.columns
       WHERE table_schema = 'vault' ORDER BY t, ordinal_position`,
    );
    assert.deepEqual(
      columns.map(({ t, c, type, k }) => [t, c, type, k]),
      [
        ['vault', 'vault_key', 'varbinary(512)', 'PRI'],
        ['vault', 'vault_value', 'mediumblob', ''],
        ['vault_lock', 'node_job', 'varbinary(512)', 'PRI'],
        ['vault_lock', 'current_leader', 'varbinary(512)', ''],
      ],
    );
    const rows = await mariadb.admin(
      "SELECT CAST(current_leader AS CHAR) AS leader FROM vault.vault_lock WHERE node_job = 'leader'",
    );
    assert.deepEqual(rows, [{ leader: 'ignored' }]);
  });

  it('needs no right to create what is there', async () => {
    await mariadb.admin(
      'CREATE DATABASE IF NOT EXISTS vault',
      'CREATE TABLE IF NOT EXISTS vault.vault (vault_key varbinary(512), vault_value mediumblob, PRIMARY KEY (vault_key))',
      'CREATE TABLE IF NOT EXISTS vault.vault_lock (node_job varbinary(512), current_leader varbinary(512), PRIMARY KEY (node_job))',
      "CREATE USER 'little'@'%' IDENTIFIED BY 's3cret'",
      "GRANT SELECT ON vault.vault TO 'little'@'%'",
      "GRANT SELECT, INSERT, UPDATE ON vault.vault_lock TO 'little'@'%'",
    );
    const lock = newLock('ours', { username: 'little' });
    await lock.start();
    await eventually(() => assert.equal(lock.holder(), 'ours'), again);
  });

  it('trigger 40: a wrong password is told by the start, without the password', async () => {
    await assert.rejects(
      newLock('ours', { password: 'wr0ng' }, patient).start(),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'refused');
        assert.match(error.message, /Access denied for user 'lock'/);
        assert.doesNotMatch(error.message, /wr0ng/);
        return true;
      },
    );
  });

  it('a user without rights is told so', async () => {
    await mariadb.admin("CREATE USER 'nobody'@'%' IDENTIFIED BY 's3cret'");
    await assert.rejects(newLock('ours', { username: 'nobody' }, patient).start(), { code: 'refused' });
  });

  it('a server that does not answer keeps nobody from starting, and gives nobody the lock', async () => {
    const way = await wireTo();
    way.cut();
    const lock = newLock('ours', { port: way.port });
    await lock.start();
    assert.equal(lock.held(), false);
    way.mend();
    await eventually(() => assert.equal(lock.holder(), 'ours'), again);
  });

  describe('over TLS', () => {
    it('speaks to a server whose certificate a private authority has signed', async () => {
      const lock = newLock('ours', { username: 'tls', tlsCaFile: mariadb.authorityFile });
      await lock.start();
      await eventually(() => assert.equal(lock.holder(), 'ours'), again);
      await lock.stop(atOnce);
    });

    it('refuses a server that another authority vouches for', async () => {
      const file = join(tmpdir(), `rungate-authority-${process.pid}.pem`);
      await writeFile(file, (await loopbackCertificate()).authority);
      try {
        await assert.rejects(newLock('ours', { tlsCaFile: file }, patient).start(), { code: 'refused' });
      } finally {
        await rm(file);
      }
    });

    it('refuses a certificate that is for another address', async () => {
      const way = await wireTo('127.0.0.2');
      const place = { host: way.host, port: way.port, tlsCaFile: mariadb.authorityFile };
      const lock = newLock('ours', place, patient);
      await assert.rejects(lock.start(), { code: 'refused' });
    });

    it('names the file that cannot be read', async () => {
      await assert.rejects(newLock('ours', { tlsCaFile: '/nowhere/ca.pem' }, patient).start(), {
        code: 'bad-request',
        message: 'tls_ca_file: /nowhere/ca.pem cannot be read',
      });
    });

    it('a server that asks for TLS refuses us without', async () => {
      await assert.rejects(newLock('ours', { username: 'tls' }, patient).start(), { code: 'refused' });
    });
  });
});
