/** JSON answers, written in one piece: Express' own `json` looks up types, tags and freshness that we have settled. */
import type { ServerResponse } from 'node:http';

/** Answers `body` with `status`. Headers set before are sent with it; calling it twice throws, as Node does. */
export function sendJson(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}
