/** A real nginx for one suite: a process of its own on a loopback port, whatever stands in its configuration. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { runProgram } from './program.ts';

/**
 * The program: that of the machine, else the one in Debian's package, which is unpacked and not installed, since installing it would
 * start it as a service. Undefined where there is neither.
 */
export async function findNginx(): Promise<string | undefined> {
  const installed = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/local/bin/nginx'].find(existsSync);
  if (installed !== undefined || !existsSync('/usr/bin/dpkg-deb')) return installed;
  const folder = await mkdtemp(join(tmpdir(), 'rungate-nginx-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const apt = (...args: readonly string[]) => runProgram('apt-get', ['-q', ...args], { cwd: folder });
  if ((await apt('download', 'nginx')).code !== 0) {
    await apt('update'); // a fresh machine has no lists
    await apt('download', 'nginx');
  }
  const file = (await readdir(folder)).find((name) => name.endsWith('.deb'));
  if (file === undefined) return undefined;
  await runProgram('dpkg-deb', ['-x', file, '.'], { cwd: folder });
  return join(folder, 'usr/sbin/nginx');
}

/** A mocha `describe` that runs only where there is an nginx; elsewhere it is one pending test that says so. */
export function nginxSuite(title: string, program: string | undefined, body: (program: string) => void): void {
  const lacking = 'not run: there is no nginx, nor an apt-get to fetch it with (Debian package nginx)';
  describe(title, () => (program === undefined ? void it(lacking) : body(program)));
}

/** An nginx that runs until it is stopped. */
export interface Nginx {
  /** What it wrote: errors, and what it says at its start. */
  log(): string;
  /** Ends it at once. Calling it again is harmless. */
  stop(): Promise<void>;
}

/**
 * Starts it with `conf` in its `http` block, and resolves when something listens at `port` of loopback. Around it stands what Debian's
 * own nginx.conf has, and compression of everything, which is the most that anybody might have there.
 */
export async function startNginx(program: string, conf: string, port: number): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'rungate-nginx-'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (of) => `  ${of}_temp_path ${folder}/${of};`,
  );
  const whole = `
daemon off;
pid ${folder}/pid;
${process.getuid?.() === 0 ? 'user root;' : ''}
events {}
http {
${temporary.join('\n')}
  access_log off;
  types { text/html html; text/css css; text/javascript js; }
  default_type application/octet-stream;
  gzip on;
  gzip_types *;
  gzip_proxied any;
${conf}
}
`;
  await writeFile(join(folder, 'nginx.conf'), whole);
  const written: Buffer[] = [];
  const log = () => Buffer.concat(written).toString();
  const child = spawn(program, ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => written.push(piece));
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  const endAtOnce = () => child.kill('SIGTERM'); // its workers go with it
  process.once('exit', endAtOnce);
  const stop = async () => {
    process.off('exit', endAtOnce);
    if (!isOver()) {
      const over = once(child, 'exit');
      endAtOnce();
      await over;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await eventually(
      async () => {
        if (isOver()) return;
        const socket = connect(port, '127.0.0.1');
        try {
          await once(socket, 'connect');
        } finally {
          socket.destroy();
        }
      },
      { withinMs: 30_000 },
    );
    if (isOver()) throw new Error('it ended');
  } catch (error) {
    await stop();
    throw new Error(`nginx did not come up:\n${log()}`, { cause: error });
  }
  return { log, stop };
}
