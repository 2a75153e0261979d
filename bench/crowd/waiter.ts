/**
 * The clients of P11, a process: many connections, a request on each, and when it was answered. Bare sockets, so that they
 * are no slower than what they measure. The parent sends `Waiters`; it is told when all requests are sent, and later `Waited`.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** What to ask, and where. */
export interface Waiters {
  readonly origin: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly paths: readonly string[];
}

/** When each was answered: `performance.timeOrigin + performance.now()`, by its place in `paths`. */
export interface Waited {
  readonly at: readonly number[];
}

/** A server's backlog of connections is short. */
const PORTION = 100;

process.once('message', (waiters: Waiters) => void wait(waiters));
process.on('disconnect', () => process.exit());

async function wait({ origin, headers, paths }: Waiters): Promise<void> {
  const { hostname, port, host } = new URL(origin);
  const head = Object.entries({ Host: host, ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  const at: number[] = Array.from({ length: paths.length }, () => Number.NaN);
  const answered: Promise<void>[] = [];
  for (let from = 0; from < paths.length; from += PORTION) {
    const sockets = paths.slice(from, from + PORTION).map(() => connect(Number(port), hostname));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    for (const [place, socket] of sockets.entries()) {
      answered.push(firstBytes(socket, () => void at.splice(from + place, 1, now())));
      socket.write(`GET ${paths[from + place]} HTTP/1.1\r\n${head}\r\n`);
    }
  }
  process.send?.('sent');
  await Promise.all(answered);
  process.send?.({ at } satisfies Waited);
}

function firstBytes(socket: Socket, heard: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('data', (bytes: Buffer) => {
      if (!bytes.toString('latin1', 0, 12).startsWith('HTTP/1.1 200')) {
        reject(new Error(`a waiter was answered ${bytes.toString('latin1', 0, 300)}`));
        return;
      }
      heard();
      resolve();
    });
    socket.on('error', reject);
  });
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
