/** One request and its answer, as handlers meet them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '../access/caller.ts';
import type { JsonObject } from '../object.ts';
import { StatusError } from '../status.ts';
import { sendObject, setWarnings } from './answer.ts';
import type { Body } from './decode.ts';
import { type Asking, type Form, formForStatus } from './negotiate.ts';

/** The largest body, in bytes. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** A request that is being answered. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly caller: Caller;
  readonly #warnings = new Set<string>();
  #isLost = false;

  constructor(request: IncomingMessage, response: ServerResponse, url: URL, caller: Caller) {
    this.request = request;
    this.response = response;
    this.method = request.method ?? 'GET';
    this.path = url.pathname;
    this.query = url.searchParams;
    this.caller = caller;
  }

  /** What the client accepts. */
  get asking(): Asking {
    return askingOf(this.request, this.query);
  }

  /** Who owns the fields of a write: as the query says, or else the client's program. */
  readonly managerOf = (fieldManager: string): string => {
    return fieldManager === '' ? ((this.request.headers['user-agent'] ?? '').split('/')[0] ?? '') : fieldManager;
  };

  /** Adds a Warning header. */
  readonly warn = (text: string): void => {
    this.#warnings.add(text);
  };

  /** What was warned of so far; a refusal is sent with it too. */
  get warnings(): ReadonlySet<string> {
    return this.#warnings;
  }

  /** The answer is not to be sent, and the connection breaks instead. */
  readonly lose = (): void => {
    this.#isLost = true;
  };

  /** Reads the body. Throws 413. */
  async body(): Promise<Body> {
    const contentType = this.request.headers['content-type'] ?? '';
    if (Number(this.request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of this.request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) throw tooLarge();
      chunks.push(chunk);
    }
    return { bytes: chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks), contentType };
  }

  /** Answers with an object. */
  async send(code: number, object: JsonObject, form: Form): Promise<void> {
    if (this.#isLost) {
      this.response.destroy();
      return;
    }
    setWarnings(this.response, this.#warnings);
    const acceptEncoding = this.request.headers['accept-encoding'];
    await sendObject({ response: this.response, form, acceptEncoding: acceptEncoding?.toString() }, code, object);
  }

  /** Answers with a Status. */
  async sendStatus(code: number, status: JsonObject): Promise<void> {
    await this.send(code, status, formForStatus(this.asking));
  }
}

/** What a client accepts. */
export function askingOf({ headers }: IncomingMessage, query: URLSearchParams): Asking {
  return { accept: headers.accept, userAgent: headers['user-agent'], query };
}

function tooLarge(): StatusError {
  return new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${MAX_BODY_BYTES}`);
}
