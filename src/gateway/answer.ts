/** How answers leave: the head in one piece with what every answer carries, short bodies together with those of others. */
import type { ServerResponse } from 'node:http';
import type { Request, Response } from 'express';
import { notesOf } from './notes.ts';

/** Header names and values in turn, as Node takes them fastest. */
export type HeaderPairs = readonly string[];

/** An answer that has its head and waits for the end of this turn of the event loop. */
interface Due {
  readonly response: ServerResponse;
  readonly body: string | undefined;
}

let due: Due[] = [];

/**
 * Sends the head: what every answer carries (see `arrival`), then `more`. Nothing else in this room sets headers, because
 * setting them one by one costs more than a short answer. Throws when the head has been sent, as Node does.
 */
export function sendHead(request: Request, response: Response, status: number, more: HeaderPairs): void {
  const { headers, requestId } = notesOf(request);
  response.writeHead(status, [...headers, 'X-Request-Id', requestId, ...more]);
}

/** Answers JSON that is already text. HEAD gets the head alone. Throws when the head has been sent. */
function sendJsonText(
  request: Request,
  response: Response,
  status: number,
  text: string,
  more: HeaderPairs = [],
): void {
  sendHead(request, response, status, [
    'Content-Type',
    'application/json; charset=utf-8',
    'Content-Length',
    String(Buffer.byteLength(text)),
    ...more,
  ]);
  endTogether(response, request.method === 'HEAD' ? undefined : text);
}

/**
 * Answers with a head whose `more` takes the place of what every answer carries under the same name, which elsewhere
 * nothing may: pages need another policy. Only `Vary` adds to itself. HEAD gets the head alone.
 */
export function sendPage(
  request: Request,
  response: Response,
  status: number,
  more: HeaderPairs,
  body?: string | Buffer,
): void {
  const { headers, requestId } = notesOf(request);
  const said = new Set(more.filter((_, place) => place % 2 === 0));
  said.delete('Vary');
  const kept = headers.filter((_, place) => !said.has(headers[place - (place % 2)] ?? ''));
  response.writeHead(status, [...kept, 'X-Request-Id', requestId, ...more]);
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Answers `body` as JSON. */
export function sendJson(
  request: Request,
  response: Response,
  status: number,
  body: object,
  more: HeaderPairs = [],
): void {
  sendJsonText(request, response, status, JSON.stringify(body), more);
}

/**
 * Ends an answer together with all others of this turn of the event loop. A client that several answers go to, such as a
 * proxy, is woken once for them, and waking it costs more than all the rest of a short answer. Ending an answer whose
 * client has gone meanwhile is harmless.
 */
export function endTogether(response: ServerResponse, body: string | undefined): void {
  if (due.push({ response, body }) === 1) setImmediate(endDue);
}

function endDue(): void {
  const all = due;
  due = [];
  for (const { response, body } of all) response.end(body);
}
