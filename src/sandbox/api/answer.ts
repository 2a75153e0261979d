/** Bytes of answers: JSON for machines and for people, YAML, compressed where it is worth it. */
import type { ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { stringify } from 'yaml';
import type { JsonObject } from '../object.ts';
import type { Form } from './negotiate.ts';

/** Smaller answers are not compressed. */
const WORTH_COMPRESSING_BYTES = 128 * 1024;

const compress = promisify(gzip);

/** As the server's own writer has it: keys in order, lists not indented, nothing said by reference. */
const YAML = {
  version: '1.1',
  sortMapEntries: true,
  lineWidth: 0,
  indentSeq: false,
  aliasDuplicateObjects: false,
} as const;

/** Everything an answer needs besides its body. */
export interface Answering {
  readonly response: ServerResponse;
  readonly form: Form;
  /** The header Accept-Encoding. */
  readonly acceptEncoding: string | undefined;
}

/** Sends an object. Nothing happens when the client has gone. */
export async function sendObject(answering: Answering, code: number, object: JsonObject): Promise<void> {
  await sendText(answering, code, textOf(object, answering.form), answering.form.mediaType);
}

/** Sends a text of any type. */
export async function sendText(
  { response, acceptEncoding }: Pick<Answering, 'response' | 'acceptEncoding'>,
  code: number,
  text: string,
  contentType: string,
): Promise<void> {
  if (response.destroyed || response.headersSent) return;
  let body = Buffer.from(text);
  response.setHeader('Content-Type', contentType);
  if (body.length > WORTH_COMPRESSING_BYTES && /\bgzip\b/.test(acceptEncoding ?? '')) {
    body = await compress(body, { level: 4 });
    response.setHeader('Content-Encoding', 'gzip');
    response.setHeader('Vary', 'Accept-Encoding');
  }
  if (response.destroyed) return;
  response.writeHead(code, { 'Content-Length': body.length });
  response.end(body);
}

function textOf(object: JsonObject, { mediaType, pretty }: Form): string {
  if (mediaType === 'application/yaml') return stringify(object, YAML);
  return pretty ? JSON.stringify(object, null, 2) : `${JSON.stringify(object)}\n`;
}

/** Adds Warning headers, https://www.rfc-editor.org/rfc/rfc7234#section-5.5, each warning once. */
export function setWarnings(response: ServerResponse, warnings: Iterable<string>): void {
  const lines = [...new Set(warnings)].map(
    (text) => `299 - "${text.replaceAll(/["\\]/g, '\\$&').replaceAll(/[\x00-\x1f]/g, ' ')}"`,
  );
  // Headers are Latin-1; what is beyond goes out as its UTF-8 bytes.
  if (lines.length > 0)
    response.setHeader(
      'Warning',
      lines.map((line) => Buffer.from(line).toString('latin1')),
    );
}
