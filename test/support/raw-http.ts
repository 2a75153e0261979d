/**
 * HTTP by the byte: requests that no HTTP library would send, and answers read as they are. An answer that nobody asked
 * for, or one that does not end where it says, is an error.
 */
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectSecurely } from 'node:tls';

/** A whole answer. */
export interface RawAnswer {
  readonly version: string;
  readonly status: number;
  /** Names in lower case; a header that comes twice is joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Whether the body has come to its own end. Without it the connection was closed before. */
  readonly isWhole: boolean;
  /** Whether the connection can take another request. */
  readonly isReusable: boolean;
}

/** What became of a request. */
export type RawOutcome =
  | { readonly is: 'answered'; readonly answer: RawAnswer }
  /** Closed without a byte. */
  | { readonly is: 'closed' }
  /** Nothing, or not all, within the time. */
  | { readonly is: 'late'; readonly received: Buffer };

/** Connections to one server, kept while they can be used again. `tls` is for one of `https:`. */
export class RawClient {
  readonly #open: () => Socket;
  readonly #idle: Socket[] = [];

  constructor(url: string, tls: ConnectionOptions = {}) {
    const { protocol, hostname, port } = new URL(url);
    const at = { host: hostname, port: Number(port) };
    this.#open = () => (protocol === 'https:' ? connectSecurely({ ...tls, ...at }) : connect({ ...at, noDelay: true }));
  }

  /** Sends bytes and waits for one answer. `alone`: on a connection of its own, whose writing side is closed behind them. */
  async ask(
    bytes: Buffer,
    {
      method,
      withinMs,
      alone = false,
    }: { readonly method: string; readonly withinMs: number; readonly alone?: boolean },
  ): Promise<RawOutcome> {
    for (;;) {
      const reused = alone ? undefined : this.#idle.pop();
      const socket = reused ?? this.#open();
      const outcome = await exchange(socket, bytes, { method, withinMs, alone });
      if (outcome.is === 'answered' && outcome.answer.isReusable && !alone) this.#idle.push(socket);
      else socket.destroy();
      // A connection that was idle may be closed by the server just when it is used again.
      if (outcome.is === 'closed' && reused !== undefined) continue;
      return outcome;
    }
  }

  /** Closes every connection that is kept. */
  close(): void {
    for (const socket of this.#idle) socket.destroy();
  }
}

function exchange(
  socket: Socket,
  bytes: Buffer,
  { method, withinMs, alone }: { readonly method: string; readonly withinMs: number; readonly alone: boolean },
): Promise<RawOutcome> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const timer = setTimeout(() => settle({ is: 'late', received }), withinMs);
    const settle = (outcome: RawOutcome | Error): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {}); // of a connection that nobody uses any more
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
    };
    const look = (isOver: boolean): void => {
      try {
        const answer = answerIn(received, { method, isOver });
        if (answer !== undefined) settle({ is: 'answered', answer });
        else if (isOver) settle({ is: 'closed' });
      } catch (error) {
        settle(error instanceof Error ? error : new Error(String(error)));
      }
    };
    socket.on('data', (piece: Buffer) => {
      received = Buffer.concat([received, piece]);
      look(false);
    });
    socket.on('error', () => {}); // `close` follows
    socket.on('close', () => look(true));
    if (alone) socket.end(bytes);
    else socket.write(bytes);
  });
}

/** The answer in what has been received; none while it is not whole and may become so. */
function answerIn(
  received: Buffer,
  { method, isOver }: { readonly method: string; readonly isOver: boolean },
): RawAnswer | undefined {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1) {
    if (isOver && received.length > 0) throw new Error(`half a head: ${received.toString('latin1')}`);
    return undefined;
  }
  const [first = '', ...lines] = received.subarray(0, end).toString('latin1').split('\r\n');
  const [, version = '', code = ''] = /^HTTP\/(1\.[01]) (\d{3})(?: .*)?$/.exec(first) ?? [];
  if (version === '') throw new Error(`no status line: ${first}`);
  const status = Number(code);
  // An interim answer, of which another follows.
  if (status === 100) return answerIn(received.subarray(end + 4), { method, isOver });
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(line.slice(0, colon))) throw new Error(`no header: ${line}`);
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  const rest = received.subarray(end + 4);
  // What is refused before its method is known may have a body even for HEAD; then the connection is closed behind it.
  const hasNone = status === 204 || status === 304 || (method === 'HEAD' && 'x-request-id' in headers);
  const found = bodyIn(rest, { headers, hasNone, isOver });
  if (found === undefined) return undefined;
  if (found.used < rest.length) {
    throw new Error(`more than one answer: ${rest.subarray(found.used).toString('latin1').slice(0, 200)}`);
  }
  const closes = /\bclose\b/i.test(headers.connection ?? '') || version === '1.0' || isOver;
  return { version, status, headers, body: found.body, isWhole: found.isWhole, isReusable: found.isWhole && !closes };
}

interface Body {
  readonly body: Buffer;
  /** How many bytes of what was received it takes. */
  readonly used: number;
  readonly isWhole: boolean;
}

function bodyIn(
  rest: Buffer,
  {
    headers,
    hasNone,
    isOver,
  }: { readonly headers: RawAnswer['headers']; readonly hasNone: boolean; readonly isOver: boolean },
): Body | undefined {
  if (hasNone) return { body: Buffer.alloc(0), used: 0, isWhole: true };
  const { 'content-length': length, 'transfer-encoding': coding } = headers;
  const unfinished = isOver ? { body: rest, used: rest.length, isWhole: false } : undefined;
  if (length !== undefined) {
    const size = Number(length);
    return rest.length < size ? unfinished : { body: rest.subarray(0, size), used: size, isWhole: true };
  }
  if (coding === undefined) return isOver ? { body: rest, used: rest.length, isWhole: true } : undefined;
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = rest.indexOf('\r\n', at);
    if (lineEnd === -1) return unfinished;
    const size = Number.parseInt(rest.subarray(at, lineEnd).toString('latin1'), 16);
    if (Number.isNaN(size)) throw new Error('a chunk without a size');
    if (size === 0) {
      const trailersEnd = rest.indexOf('\r\n\r\n', lineEnd);
      if (trailersEnd === -1) return unfinished;
      return { body: Buffer.concat(chunks), used: trailersEnd + 4, isWhole: true };
    }
    if (rest.length < lineEnd + 2 + size + 2) return unfinished;
    chunks.push(rest.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
}
