/** A TCP connection's way through a network that can be cut: bytes stop, and neither end is told. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** The way to one server. */
export interface Wire {
  /** Where clients connect instead. */
  readonly host: string;
  readonly port: number;
  /** From now on nothing passes: what was sent is swallowed, connections stay open and new ones lead nowhere. */
  cut(): void;
  /** What connects from now on gets through; what was cut stays so. */
  mend(): void;
  /** Closes everything. */
  end(): Promise<void>;
}

/** Opens a way to a port of 127.0.0.1, on any port of `host`. */
export async function startWire(target: number, host = '127.0.0.1'): Promise<Wire> {
  const sockets = new Set<Socket>();
  const cuts = new Set<() => void>();
  let isCut = false;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((client) => {
    keep(client);
    if (isCut) {
      client.resume();
      return;
    }
    const upstream = keep(connect(target, '127.0.0.1'));
    let passes = true;
    cuts.add(() => {
      passes = false;
    });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('data', (bytes) => {
        if (passes) to.write(bytes);
      });
      from.once('close', () => {
        if (passes) to.destroy();
      });
    }
  });
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host,
    port: address.port,
    cut() {
      isCut = true;
      for (const cut of cuts) cut();
      cuts.clear();
    },
    mend() {
      isCut = false;
    },
    async end() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
