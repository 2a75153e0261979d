/** A real MariaDB for one suite: a server of its own on a loopback port, its data in a folder that goes with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { loopbackCertificate } from './certificate.ts';
import { eventually } from './eventually.ts';
import { freePort } from './gateway.ts';
import { runProgram } from './program.ts';

/** The server program, or undefined where it is not installed. */
export const mariadbProgram = ['/usr/sbin/mariadbd', '/usr/local/sbin/mariadbd', '/usr/libexec/mariadbd'].find(
  (file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  },
);

/** A mocha `describe` that runs only where there is a MariaDB; elsewhere it is one pending test that says so. */
export function mariadbSuite(title: string, body: () => void): void {
  const lacking = 'not run: there is no mariadbd (Debian package mariadb-server-core)';
  describe(title, mariadbProgram === undefined ? () => it(lacking) : body);
}

/** A server that runs until it is stopped. */
export interface MariaDb {
  readonly port: number;
  /** The PEM file of the authority that vouches for its certificate, which is for 127.0.0.1 and localhost. */
  readonly authorityFile: string;
  /** Runs statements as the administrator, and returns the rows of the last one. */
  admin(...statements: readonly string[]): Promise<readonly RowDataPacket[]>;
  /** Ends the server in order, or at once; its data stays. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Starts it again, on the same port. */
  start(): Promise<void>;
  /** Stops it for good and removes its data. */
  end(): Promise<void>;
}

// A test that is killed cannot stop its server; the kernel can, where this small program of util-linux asks it to.
const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

/** Where the packages of distributions keep the statements that make a server's own tables. */
const tableFolders = ['/usr/share/mysql', '/usr/share/mariadb'];

/** Makes a server and starts it. Administrator and password are `root` and none, on loopback only. */
export async function startMariaDb(): Promise<MariaDb> {
  if (mariadbProgram === undefined) throw new Error('there is no mariadbd');
  const program = mariadbProgram;
  const folder = await mkdtemp(join(tmpdir(), 'rungate-mariadb-'));
  const data = join(folder, 'data');
  await mkdir(data);
  const { key, certificate, authority } = await loopbackCertificate();
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const [keyFile, certificateFile, authorityFile] = [
    await file('key.pem', key),
    await file('certificate.pem', certificate),
    await file('authority.pem', authority),
  ];
  const port = await freePort();
  const common = [
    '--no-defaults',
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    `--datadir=${data}`,
    '--innodb-log-file-size=8M',
    '--innodb-buffer-pool-size=16M',
    '--innodb-flush-log-at-trx-commit=0',
  ];
  const made = await runProgram(program, [...common, '--bootstrap'], { input: ownTables() });
  if (made.code !== 0) throw new Error(`mariadbd --bootstrap failed: ${made.stderr.slice(-2000)}`);

  let server: ChildProcess | undefined;
  const admin: MariaDb['admin'] = async (...statements) => {
    const connection = await createConnection({ host: '127.0.0.1', port, user: 'root' });
    try {
      let rows: readonly RowDataPacket[] = [];
      for (const statement of statements) {
        const [found] = await connection.query<RowDataPacket[]>(statement);
        rows = found;
      }
      return rows;
    } finally {
      connection.destroy();
    }
  };
  const start = async () => {
    const complaints: Buffer[] = [];
    const child = spawn(
      setpriv ?? program,
      [
        ...(setpriv === undefined ? [] : ['--pdeathsig', 'KILL', program]),
        ...common,
        `--socket=${join(folder, 'socket')}`,
        `--pid-file=${join(folder, 'pid')}`,
        `--port=${port}`,
        '--port-open-timeout=60', // seconds for which somebody else may have it, when it is started again
        '--bind-address=127.0.0.1',
        '--skip-name-resolve',
        '--skip-log-bin',
        '--max-connections=50',
        `--ssl-key=${keyFile}`,
        `--ssl-cert=${certificateFile}`,
        `--ssl-ca=${authorityFile}`,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    child.stderr.on('data', (piece: Buffer) => complaints.push(piece));
    server = child;
    await eventually(
      async () => {
        if (child.exitCode !== null)
          throw new Error(`mariadbd ended: ${Buffer.concat(complaints).toString().slice(-2000)}`);
        await admin('SELECT 1');
      },
      { withinMs: 60_000 },
    );
  };
  const stop: MariaDb['stop'] = async (signal = 'SIGTERM') => {
    const child = server;
    server = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const over = once(child, 'exit');
    child.kill(signal);
    const patience = setTimeout(() => child.kill('SIGKILL'), 20_000);
    await over;
    clearTimeout(patience);
  };
  const end = async () => {
    await stop('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await end();
    throw error;
  }
  return { port, authorityFile, admin, stop, start, end };
}

/** The statements that make the tables of a server, as `mariadb-install-db` hands them to it; that program is in a package with a service, which would be started. */
function ownTables(): string {
  const read = (...names: string[]) => {
    for (const path of tableFolders.flatMap((folder) => names.map((name) => join(folder, name)))) {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        // the other folder, or the other name
      }
    }
    throw new Error(`none of ${names.join(', ')} in ${tableFolders.join(', ')}`);
  };
  // Lines with the machine's name are for installations that are reached from outside.
  const rows = read('mariadb_system_tables_data.sql', 'mysql_system_tables_data.sql')
    .split('\n')
    .filter((line) => !line.includes('@current_hostname'))
    .join('\n');
  return [
    'create database mysql;',
    'use mysql;',
    'SET @auth_root_socket=NULL;',
    read('mariadb_system_tables.sql', 'mysql_system_tables.sql'),
    read('mariadb_performance_tables.sql', 'mysql_performance_tables.sql'),
    rows,
    '',
  ].join('\n');
}
