/** What is the same until the process ends: sent with a tag to keep it by, and compressed where the client takes that. */
import { hash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { RequestHandler } from 'express';
import { sendPage } from './answer.ts';
import { acceptsGzip } from './compression.ts';
import { matches, tagFrom } from './etag.ts';

/** A page and what its head says about it. */
export interface Page {
  readonly contentType: string;
  readonly text: string;
  /** In the place of the policy that all answers have, under which nothing is shown and nothing runs. */
  readonly contentSecurityPolicy?: string;
}

/** Makes the handler that sends `page`: 200, or 304 to whoever has it. Compresses it once, here. */
export function pageHandler({ contentType, text, contentSecurityPolicy }: Page): RequestHandler {
  const plain = Buffer.from(text);
  const packed = gzipSync(plain, { level: 9 });
  const etag = tagFrom([hash('sha256', plain, 'base64url')]);
  const about = [
    'ETag',
    etag,
    'Vary',
    'Accept-Encoding',
    'Cache-Control', // behind credentials, so for nobody but this caller; and asked about each time, as it changes with the version
    'private, no-cache',
    ...(contentSecurityPolicy === undefined ? [] : ['Content-Security-Policy', contentSecurityPolicy]),
  ];
  return (request, response) => {
    const known = request.headers['if-none-match'];
    if (known !== undefined && matches(known, etag)) {
      sendPage(request, response, 304, about);
      return;
    }
    const packs = acceptsGzip(request.headers['accept-encoding']);
    const body = packs ? packed : plain;
    sendPage(
      request,
      response,
      200,
      [
        'Content-Type',
        contentType,
        'Content-Length',
        String(body.length),
        ...(packs ? ['Content-Encoding', 'gzip'] : []),
        ...about,
      ],
      body,
    );
  };
}
