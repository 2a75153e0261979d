/**
 * A database that a lock can be kept in, as a stand-in: sessions, named locks that belong to them, one table, and the faults
 * that befall them, all in time that a test turns. It knows the statements of src/crossdc/statements.ts and no others.
 */
import type { OpenSession, Row, Session } from '../../src/crossdc/session.ts';
import { Fault } from '../../src/fault.ts';
import type { HandClock } from './hand-clock.ts';

interface Connection {
  readonly id: number;
  readonly from: string;
  /** The server ends it when it has heard nothing for so long. */
  waitTimeoutMs: number;
  heardAt: number;
  /** Its client's end, told when the server ends it and the way there is open. */
  readonly close: (fault: Fault) => void;
}

/** The stand-in. Clients are told apart by the name they open sessions under. */
export class LockDatabase {
  readonly #clock: HandClock;
  readonly #connections = new Map<number, Connection>();
  readonly #locks = new Map<string, number>();
  readonly #cut = new Set<string>();
  #isUp = true;
  #nextId = 1;
  /** What is there of `vault`: database and tables. */
  readonly made = new Set<string>();
  readonly rows = new Map<string, string>();
  /** When set, every session is refused with it. */
  refusal: Fault | undefined;

  constructor(clock: HandClock) {
    this.#clock = clock;
  }

  /** How a client of that name opens sessions. */
  opener(from: string): OpenSession {
    return async (signal) => {
      await this.#clock.sleep(1, signal);
      if (this.#cut.has(from)) await new Promise((_resolve, reject) => rejectWith(signal, reject));
      if (this.refusal) throw this.refusal;
      if (!this.#isUp) throw new Fault('unavailable', 'connection refused');
      return this.#session(from);
    };
  }

  /** Who holds a named lock: the name of its client. */
  holder(name: string): string | undefined {
    this.#expire();
    const id = this.#locks.get(name);
    return id === undefined ? undefined : this.#connections.get(id)?.from;
  }

  /** How many connections there are. */
  get connections(): number {
    this.#expire();
    return this.#connections.size;
  }

  /** Ends the connections of a client from the server's side, as KILL does. */
  kill(from: string): void {
    for (const connection of this.#connections.values()) if (connection.from === from) this.#end(connection);
  }

  /** What a client sends does not arrive any more, and neither side is told. */
  cut(from: string): void {
    this.#cut.add(from);
  }

  mend(from: string): void {
    this.#cut.delete(from);
  }

  /** The server ends, and with it every session. */
  down(): void {
    this.#isUp = false;
    for (const connection of this.#connections.values()) this.#end(connection);
  }

  up(): void {
    this.#isUp = true;
  }

  #session(from: string): Session {
    const closed = Promise.withResolvers<Fault>();
    const connection: Connection = {
      id: this.#nextId++,
      from,
      waitTimeoutMs: 28_800_000,
      heardAt: this.#clock.now(),
      close: closed.resolve,
    };
    this.#connections.set(connection.id, connection);
    let isOpen = true;
    const release = () => {
      isOpen = false;
      closed.resolve(new Fault('unavailable', 'closed'));
      // A goodbye that does not arrive ends nothing.
      if (!this.#cut.has(from)) this.#end(connection);
    };
    return {
      closed: closed.promise,
      query: async (sql, values = []) => {
        await this.#clock.sleep(1);
        if (!isOpen) throw new Fault('unavailable', 'closed');
        if (this.#cut.has(from)) return new Promise(() => {});
        this.#expire();
        if (!this.#connections.has(connection.id)) throw new Fault('unavailable', 'connection lost');
        connection.heardAt = this.#clock.now();
        const rows = await this.#answer(connection, sql, values);
        if (this.#cut.has(from)) return new Promise(() => {});
        return rows;
      },
      end: async () => release(),
      destroy: release,
    };
  }

  async #answer(connection: Connection, sql: string, values: readonly string[]): Promise<readonly Row[]> {
    const [, timeout] = /wait_timeout = (\d+)/.exec(sql) ?? [];
    const [, lock] = /GET_LOCK\('([^']+)'/.exec(sql) ?? [];
    const [, created] = /CREATE \w+ IF NOT EXISTS (\S+)/.exec(sql) ?? [];
    if (timeout !== undefined) {
      connection.waitTimeoutMs = Number(timeout) * 1000;
    } else if (lock !== undefined) {
      return [{ taken: await this.#take(connection, lock) }];
    } else if (sql.includes('information_schema')) {
      return [...this.made].flatMap((made) => (made.startsWith('vault.') ? [{ name: made.slice(6) }] : []));
    } else if (created !== undefined) {
      this.made.add(created);
    } else if (sql.includes('INSERT INTO')) {
      this.rows.set('leader', 'ignored').set('rungate', `${connection.id} ${values[0]}`);
    } else {
      return [
        {
          own_id: connection.id,
          first_holder: this.#locks.get('leader.txt//') ?? null,
          second_holder: this.#locks.get('leader.txt') ?? null,
          signature: this.rows.get('rungate') ?? null,
        },
      ];
    }
    return [];
  }

  async #take(connection: Connection, lock: string): Promise<0 | 1> {
    for (let tries = 0; tries < 20; tries++) {
      this.#expire();
      const holder = this.#locks.get(lock);
      if (!this.#connections.has(connection.id)) return 0;
      // While a statement runs, the server does not miss the client.
      connection.heardAt = this.#clock.now();
      if (holder === undefined || holder === connection.id) {
        this.#locks.set(lock, connection.id);
        return 1;
      }
      await this.#clock.sleep(100);
    }
    return 0;
  }

  #expire(): void {
    for (const connection of this.#connections.values()) {
      if (this.#clock.now() - connection.heardAt >= connection.waitTimeoutMs) this.#end(connection);
    }
  }

  #end(connection: Connection): void {
    this.#connections.delete(connection.id);
    for (const [name, id] of this.#locks) if (id === connection.id) this.#locks.delete(name);
    if (!this.#cut.has(connection.from)) connection.close(new Fault('unavailable', 'the server closed the connection'));
  }
}

function rejectWith(signal: AbortSignal, reject: (reason: unknown) => void): void {
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
}
