/**
 * What is said to the database, and what its answers mean. Names, tables and rows are those of the lock that HashiCorp Vault's
 * MySQL storage keeps, which is what Pipeline Trigger Operator uses, so that ours and the original's exclude each other.
 * Every statement is constant; the one value, our identity, is handed to the server beside it.
 */
import { Fault } from '../fault.ts';
import type { Row } from './session.ts';

/**
 * The named locks, in the order in which they are taken. Older versions of the original's library hold the second, newer ones
 * the first: whoever has both excludes them all. An original waits for one while it holds none, and all of ours take them in
 * this order, so nobody can wait in a circle.
 */
export const LOCKS = [
  { name: 'leader.txt//', take: "SELECT GET_LOCK('leader.txt//', 2) AS taken" },
  { name: 'leader.txt', take: "SELECT GET_LOCK('leader.txt', 2) AS taken" },
] as const;

/** For how long the server waits within one `take`, in milliseconds. Short, so that a stop need not wait for it. */
export const TAKE_MS = 2_000;

/**
 * First of a session. The server ends it, and frees what it holds, when it hears nothing for so many seconds: a holder whose
 * network is cut cannot say goodbye, and the server's own limit is eight hours.
 */
export const SETTLE_IN = 'SET SESSION autocommit = 1, SESSION wait_timeout = 8';

/** Which of `TABLES` there are; a name for each. */
export const WHICH_TABLES = `
  SELECT table_name AS name FROM information_schema.tables
  WHERE table_schema = 'vault' AND table_name IN ('vault', 'vault_lock')`;

/** Said when a table is missing, and only then: it needs the right to create even where there is nothing to create. */
export const MAKE_DATABASE = 'CREATE DATABASE IF NOT EXISTS vault';

/** The tables, exactly as the original makes them. */
export const TABLES = [
  {
    name: 'vault',
    make: 'CREATE TABLE IF NOT EXISTS vault.vault (vault_key varbinary(512), vault_value mediumblob, PRIMARY KEY (vault_key))',
  },
  {
    name: 'vault_lock',
    make: 'CREATE TABLE IF NOT EXISTS vault.vault_lock (node_job varbinary(512), current_leader varbinary(512), PRIMARY KEY (node_job))',
  },
] as const;

/**
 * Signs with our identity: the original's row as the original has it, and one of our own, by which another of ours can say
 * who leads, and by which a lock that two servers gave away (a replica that was promoted) is noticed.
 */
export const SIGN = `
  INSERT INTO vault.vault_lock (node_job, current_leader)
  VALUES ('leader', 'ignored'), ('rungate', CONCAT(CONNECTION_ID(), ' ', ?))
  ON DUPLICATE KEY UPDATE current_leader = VALUES(current_leader)`;

/** Who we are, who holds the locks, and who signed. */
export const LOOK = `
  SELECT CONNECTION_ID() AS own_id, IS_USED_LOCK('leader.txt//') AS first_holder, IS_USED_LOCK('leader.txt') AS second_holder,
  (SELECT CAST(current_leader AS CHAR) FROM vault.vault_lock WHERE node_job = 'rungate') AS signature`;

/** One look at the lock. Connections are the server's numbers; undefined: nobody. */
export interface Sight {
  readonly own: string;
  /** Of each of `LOCKS`. */
  readonly holders: readonly (string | undefined)[];
  /** `<connection> <identity>` of the last of ours that took it. */
  readonly signature: string | undefined;
}

/** The answer to `LOOK`. Fault `unavailable`: it is not one. */
export function sightOf([row]: readonly Row[]): Sight {
  const text = (value: unknown) => (value === null || value === undefined ? undefined : String(value));
  const own = text(row?.own_id);
  if (row === undefined || own === undefined) {
    throw new Fault('unavailable', 'the database does not say who holds the lock');
  }
  return { own, holders: [text(row.first_holder), text(row.second_holder)], signature: text(row.signature) };
}

/** What keeps the lock from being ours, in words; undefined: it is ours. */
export function notOurs({ own, holders, signature }: Sight, identity: string): string | undefined {
  for (const [place, { name }] of LOCKS.entries()) {
    const holder = holders[place];
    if (holder === undefined) return `nobody holds ${name}`;
    if (holder !== own) return `connection ${holder} holds ${name}`;
  }
  return signature === `${own} ${identity}` ? undefined : 'another one has signed for it since';
}

/** Who leads: the identity where one of ours signed, else a connection, as the original signs nothing; undefined: nobody. */
export function leaderIn({ own, holders, signature = '' }: Sight): string | undefined {
  const holder = holders.find((each) => each !== undefined && each !== own);
  if (holder === undefined) return undefined;
  return signature.startsWith(`${holder} `)
    ? signature.slice(holder.length + 1)
    : `connection ${holder} of the database`;
}
