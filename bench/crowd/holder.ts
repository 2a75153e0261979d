/**
 * The peer of P11, a process: holds every request, and answers them all when its parent says so. Says its port, and later
 * the moment (`performance.timeOrigin + performance.now()`) at which it was told.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const held: ServerResponse[] = [];
const BODY =
  '{"message":"Tasks Completed: 3 (Failed: 0, Cancelled 0), Skipped: 0","reason":"Succeeded","type":"Succeeded","status":"True"}';

const server = createServer((_request, response) => void held.push(response));
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('message', () => {
  const at = performance.timeOrigin + performance.now();
  for (const response of held) {
    response.writeHead(200, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(BODY),
    });
    response.end(BODY);
  }
  process.send?.(at);
});
process.on('disconnect', () => process.exit());
