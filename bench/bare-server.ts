/** The peer of P1, a process: answers every request alike, with no header but those that HTTP cannot do without. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What to answer; sent by the parent as the first message. Its port is sent back. */
export interface BareAnswer {
  readonly status: number;
  readonly body: string;
}

process.once('message', ({ status, body }: BareAnswer) => {
  const headers = { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(body) };
  const server = createServer((_request, response) => {
    response.writeHead(status, headers);
    response.end(body);
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
});
// Also when the parent was killed.
process.once('disconnect', () => process.exit());
// The parent ends us; a Ctrl-C at the terminal reaches both.
process.on('SIGINT', () => {});
