/** Bodies of JSON, compressed for whoever takes that. Logs never come here: a line must not wait for the next one. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Request, Response } from 'express';
import { endTogether, type HeaderPairs, sendHead } from './answer.ts';

/** Shorter bodies are sent as they are: a packet is not sent faster for being half full. */
const SHORTEST_COMPRESSED_BYTES = 1024;

const compress = promisify(gzip);

/** A JSON text that may be sent many times, with the headers that say something of it: what can be done once is done here. */
export class JsonBody {
  readonly text: string;
  /** What the head says of it where there is no body: 304. */
  readonly about: HeaderPairs;
  /** The whole head of an answer that is not compressed. */
  readonly head: HeaderPairs;
  /** Whether some callers get it compressed. */
  readonly isCompressible: boolean;
  #compressed: Promise<Buffer> | undefined;

  constructor(text: string, about: HeaderPairs = []) {
    const bytes = Buffer.byteLength(text);
    this.text = text;
    this.isCompressible = bytes >= SHORTEST_COMPRESSED_BYTES;
    this.about = this.isCompressible ? [...about, 'Vary', 'Accept-Encoding'] : about;
    this.head = [...JSON_TYPE, 'Content-Length', String(bytes), ...this.about];
  }

  /** The body compressed: at the first call, off the event loop. */
  compressed(): Promise<Buffer> {
    this.#compressed ??= compress(this.text);
    return this.#compressed;
  }
}

const JSON_TYPE: HeaderPairs = ['Content-Type', 'application/json; charset=utf-8'];

/**
 * Answers a JSON body, compressed where that pays and the caller takes it. HEAD gets the head alone, the same as GET. What
 * comes compressed is sent a little later: whoever has to know waits for what is returned.
 */
export function sendBody(
  request: Request,
  response: Response,
  status: number,
  body: JsonBody,
  more: HeaderPairs = [],
): Promise<void> | void {
  if (body.isCompressible && acceptsGzip(request.headers['accept-encoding'])) {
    return body.compressed().then((bytes) => {
      if (response.destroyed) return;
      const encoded = ['Content-Encoding', 'gzip', 'Content-Length', String(bytes.length)];
      sendHead(request, response, status, [...JSON_TYPE, ...encoded, ...body.about, ...more]);
      response.end(request.method === 'HEAD' ? undefined : bytes);
    });
  }
  sendHead(request, response, status, more.length === 0 ? body.head : [...body.head, ...more]);
  endTogether(response, request.method === 'HEAD' ? undefined : body.text);
}

/** Answers that a body has not changed. */
export function sendUnchanged(request: Request, response: Response, about: HeaderPairs): void {
  sendHead(request, response, 304, about);
  endTogether(response, undefined);
}

/**
 * Whether a caller takes gzip and likes it no less than plain bytes. Who names no encodings may be a program that can do
 * none, so they get plain ones. https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3
 */
export function acceptsGzip(header: string | undefined): boolean {
  if (header === undefined) return false;
  const liking = new Map<string, number>();
  for (const part of header.split(',')) {
    const [coding = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
    const [, quality] =
      parameters.map((text) => /^q=(\d(?:\.\d*)?)$/.exec(text) ?? []).find(({ length }) => length > 0) ?? [];
    if (coding !== '') liking.set(coding === 'x-gzip' ? 'gzip' : coding, Math.min(1, Number(quality ?? 1)));
  }
  const anything = liking.get('*');
  const ofGzip = liking.get('gzip') ?? anything ?? 0;
  // Plain bytes are taken by everyone who does not say otherwise, but only as a last resort.
  const ofPlain = liking.get('identity') ?? 0;
  return ofGzip > 0 && ofGzip >= ofPlain;
}
