/** The peer of P1 and P7, a process: answers every request alike, with no header but those that HTTP cannot do without. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What to answer; sent by the parent as the first message. Its port is sent back. */
export interface BareAnswer {
  readonly status: number;
  readonly body: string;
  /** The body is sent, and the answer never ends. */
  readonly keepOpen?: boolean;
}

process.once('message', ({ status, body, keepOpen = false }: BareAnswer) => {
  const headers = keepOpen
    ? { 'Content-Type': 'text/plain; charset=utf-8' }
    : { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(body) };
  const server = createServer((_request, response) => {
    response.writeHead(status, headers);
    if (keepOpen) response.write(body);
    else response.end(body);
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
});
// Also when the parent was killed.
process.once('disconnect', () => process.exit());
// The parent ends us; a Ctrl-C at the terminal reaches both.
process.on('SIGINT', () => {});
