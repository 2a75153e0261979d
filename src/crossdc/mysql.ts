/** Sessions of a MySQL or MariaDB server. */
import { readFile } from 'node:fs/promises';
import { connect, isIP, type Socket } from 'node:net';
import type { Connection, ConnectionOptions, QueryError } from 'mysql2';
import { Fault } from '../fault.ts';
import type { Log } from '../log.ts';
import type { LockDatabase } from './env.ts';
import type { OpenSession, Row, Session } from './session.ts';

/** The server notices on its own, by `wait_timeout`, when we are gone; this is for us to notice that it is. */
const TCP_KEEP_ALIVE_MS = 5_000;

/** The database, as people write it. */
export function shownPlace({ host, port }: Pick<LockDatabase, 'host' | 'port'>): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Opens sessions there. TLS is used where a CA file is named, with the certificate verified for the host; it is read for each
 * session, so that it may change. Without one a warning is logged now, unless plain text is what is wanted.
 */
export function mysqlSessions(database: LockDatabase, log: Log): OpenSession {
  if (database.tlsCaFile === undefined && !database.plaintextAllowed) {
    log.warn('the cross-data-centre lock speaks to its database in plain text', {
      database: shownPlace(database),
      advice: 'set tls_ca_file, or plaintext_connection_allowed=true if that is meant',
    });
  }
  return (signal) => openSession(database, signal);
}

async function openSession(database: LockDatabase, signal: AbortSignal): Promise<Session> {
  // Loaded when needed: few who start rungate have such a database.
  const { createConnection } = await import('mysql2');
  const tls = await tlsOptions(database);
  signal.throwIfAborted();
  // A socket of our own: the driver would only half-close it, and a lock that is lost has to let go at once.
  const socket = connect({
    host: database.host,
    port: database.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
  });
  // Node remembers by this property for whom a socket was opened, but not where that is an address; without it TLS would
  // look for `localhost` in the certificate. https://nodejs.org/api/tls.html#tlsconnectoptions-callback
  if (isIP(database.host) !== 0) Object.assign(socket, { _host: database.host });
  const connection = createConnection({
    host: database.host,
    port: database.port,
    user: database.username,
    password: database.password,
    stream: socket,
    // Our caller's signal is the deadline.
    connectTimeout: 0,
    disableEval: true,
    ...tls,
  });
  const session = sessionOf(connection, socket, shownPlace(database));
  const abort = () => session.destroy();
  signal.addEventListener('abort', abort);
  try {
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => (error === null ? resolve() : reject(faultOf(error, shownPlace(database)))));
      void session.closed.then(reject);
    });
    signal.throwIfAborted();
    return session;
  } catch (error) {
    session.destroy();
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function tlsOptions({ tlsCaFile }: LockDatabase): Promise<Pick<ConnectionOptions, 'ssl'>> {
  if (tlsCaFile === undefined) return {};
  try {
    const ca = await readFile(tlsCaFile, 'utf8');
    return { ssl: { ca, rejectUnauthorized: true, verifyIdentity: true, minVersion: 'TLSv1.2' } };
  } catch (cause) {
    throw new Fault('bad-request', `tls_ca_file: ${tlsCaFile} cannot be read`, { cause });
  }
}

function sessionOf(connection: Connection, socket: Socket, place: string): Session {
  const { promise: closed, resolve: close } = Promise.withResolvers<Fault>();
  const lost = () => close(new Fault('unavailable', `the connection to the database at ${place} is lost`));
  // Without a listener an error of the connection would end the process.
  connection.on('error', (error: QueryError) => close(faultOf(error, place)));
  connection.on('end', lost);
  socket.on('close', lost);
  return {
    closed,
    query: (sql, values) =>
      new Promise((resolve, reject) => {
        const answer = (error: QueryError | null, rows: unknown) => {
          if (error !== null) reject(faultOf(error, place));
          else resolve(Array.isArray(rows) ? (rows as Row[]) : []); // a list of rows is what the driver promises
        };
        // Where there is a value, the server puts it in its place: no quoting of ours depends on the server's mode.
        if (values === undefined) connection.query(sql, answer);
        else connection.execute(sql, [...values], answer);
      }),
    end: () => new Promise((resolve) => connection.end(() => resolve())),
    destroy() {
      connection.destroy();
      socket.destroy();
    },
  };
}

/**
 * Errors that waiting does not mend: credentials, rights, and TLS.
 * https://mariadb.com/docs/server/reference/error-codes
 */
const refusals = new Set([
  'ER_ACCESS_DENIED_ERROR',
  'ER_ACCESS_DENIED_NO_PASSWORD_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_COLUMNACCESS_DENIED_ERROR',
  'ER_SPECIFIC_ACCESS_DENIED_ERROR',
  'ER_HOST_NOT_PRIVILEGED',
  'ER_NOT_SUPPORTED_AUTH_MODE',
  'ER_SECURE_TRANSPORT_REQUIRED',
  'AUTH_SWITCH_PLUGIN_ERROR',
  'HANDSHAKE_NO_SSL_SUPPORT',
  'HANDSHAKE_SSL_ERROR',
]);

function faultOf(error: QueryError, place: string): Fault {
  const said = error.message === '' ? (error.code ?? 'no answer') : error.message;
  return refusals.has(error.code ?? '')
    ? new Fault('refused', `the database at ${place} refuses us: ${said}`, { cause: error })
    : new Fault('unavailable', `the database at ${place} fails: ${said}`, { cause: error });
}
