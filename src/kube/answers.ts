/** What an API server answers: bodies of bounded size as JSON, and all that is not what was asked for as Faults. */
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { Fault } from '../fault.ts';
import { type Json, type JsonObject, objectOf, stringOf } from './objects.ts';
import { plainText } from './plain.ts';
import { WriteFault } from './writer.ts';

/** A request that streams: whatever the server answered, unread. The caller must read or destroy `body`. */
export interface StreamAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: IncomingMessage;
}

/**
 * The whole body, unpacked where it was packed. Faults: `refused` beyond `limitBytes` or when it cannot be unpacked, `unavailable`
 * when it breaks off.
 */
export async function readBytes(answer: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      size += chunk.length;
      // Leaving the loop destroys the answer, and with it the socket.
      if (size > limitBytes) throw tooLarge(limitBytes);
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw new Fault('unavailable', 'Kubernetes broke off its answer', { cause });
  }
  const sent = Buffer.concat(chunks, size);
  if (answer.headers['content-encoding'] !== 'gzip') return sent;
  try {
    return await promisify(gunzip)(sent, { maxOutputLength: limitBytes });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw code === 'ERR_BUFFER_TOO_LARGE' ? tooLarge(limitBytes) : unreadable(cause);
  }
}

function tooLarge(limitBytes: number): Fault {
  return new Fault('refused', `Kubernetes answered more than ${limitBytes} bytes`);
}

function unreadable(cause: unknown): Fault {
  return new Fault('refused', 'Kubernetes answered something that is not JSON', { cause });
}

/** The JSON object in a body; `refused` where it is something else. */
export function parseObject(text: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unreadable(cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unreadable(undefined);
  return value as JsonObject;
}

/**
 * What a streamed answer that is not 200 means: the Fault that `get` would have thrown for it. Reads the rest of `body`, of
 * which the first 64 KiB within 5 s are enough, and closes it. Never throws.
 */
export async function answerFault(answer: StreamAnswer, path: string): Promise<Fault> {
  const patience = setTimeout(() => answer.body.destroy(), 5_000);
  const body = await readBytes(answer.body, 64 * 1024).catch(() => '');
  clearTimeout(patience);
  return statusFault(answer, path, body.toString(), Date.now());
}

/**
 * The Fault of an answer that is not 200. What the server says stays in `cause`: it names users, verbs and paths.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */
export function statusFault(
  { status, headers }: Pick<StreamAnswer, 'status' | 'headers'>,
  path: string,
  body: string,
  now: number,
): Fault {
  const cause = new Error(`GET ${path} answered ${status}: ${statusMessage(body)}`);
  if (status === 404) return new Fault('not-found', 'Kubernetes has no such object (404)', { cause });
  if (status === 410) return new Fault('gone', 'Kubernetes no longer has that version (410)', { cause });
  if (status === 429 || status >= 500) {
    const retryAfterMs = parseRetryAfter(headers['retry-after'], now);
    const more = retryAfterMs === undefined ? { cause } : { cause, retryAfterMs };
    return new Fault('unavailable', `Kubernetes is not available (${status})`, more);
  }
  return new Fault('refused', `Kubernetes refused the request (${status})`, { cause });
}

function statusMessage(body: string): string {
  try {
    return stringOf(objectOf(JSON.parse(body)).message) ?? '';
  } catch {
    return body.slice(0, 1024);
  }
}

/** What is kept of a sentence of the server. */
const SAID_BYTES = 2048;

/** The Fault of a write that was answered, and not taken. A body that is no Status is not quoted: it may be a page of a proxy. */
export function writeFault(
  { status, headers }: Pick<StreamAnswer, 'status' | 'headers'>,
  body: string,
  now: number,
): WriteFault {
  const told = statusIn(body);
  const reason = stringOf(told.reason) ?? '';
  const more = {
    status,
    reason: /^[A-Za-z]{1,64}$/.test(reason) ? reason : '',
    said: plainText(stringOf(told.message) ?? '', SAID_BYTES),
  };
  if (status === 404) return new WriteFault('not-found', 'Kubernetes has no such object (404)', more);
  if (status === 409) return new WriteFault('conflict', 'Kubernetes has another version of the object (409)', more);
  if (status === 429 || status >= 500) {
    const retryAfterMs = parseRetryAfter(headers['retry-after'], now);
    const waits = retryAfterMs === undefined ? more : { ...more, retryAfterMs };
    return new WriteFault('unavailable', `Kubernetes is not available (${status})`, waits);
  }
  return new WriteFault('refused', `Kubernetes refused the write (${status})`, more);
}

/** The Status in a body; an empty object where it is something else. */
function statusIn(body: string): JsonObject {
  try {
    const object = objectOf(JSON.parse(body));
    return object.kind === 'Status' ? object : {};
  } catch {
    return {};
  }
}

/** Milliseconds from now that a Retry-After header asks for: seconds, or a date. RFC 9110, 10.2.3 */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1_000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
