/** An answer's body on its way from a server to a client, and the faults that can befall it there. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A point in an answer's body: after so many `bytes`; after so many whole `lines` and `into` bytes of the next one; or
 * `ms` after the head was passed on.
 */
export type Place =
  | { readonly bytes: number }
  | { readonly lines: number; readonly into?: number }
  | { readonly ms: number };

/** What befalls a body. Its head has been passed on. */
export type BodyFault =
  /**
   * It ends at a place. `clean`: orderly, as an API server does whose kubelet went away. `unfinished`: the connection is
   * closed in order, but the last chunk never comes. `reset`: TCP RST.
   */
  | { readonly kind: 'cut'; readonly at: Place; readonly how: 'clean' | 'unfinished' | 'reset' }
  /** The connection stays open and nothing more is sent. */
  | { readonly kind: 'stall'; readonly at: Place }
  | { readonly kind: 'slow'; readonly bytesPerSecond: number }
  /** Whole lines of ours between whole lines of the server's; `ends`: and then the body ends in order. */
  | { readonly kind: 'insert'; readonly at: Place; readonly text: string; readonly ends: boolean };

/** Where a body goes, and what is to become of it. */
export interface Relay {
  readonly to: ServerResponse;
  /** Resolves when the client has gone or has been answered. */
  readonly closed: Promise<void>;
  readonly fault: BodyFault | undefined;
  /** Sends the client a TCP RST behind all that it was sent. */
  reset(): Promise<void>;
  /** Is told of bytes handed to the client. */
  count(bytes: number): void;
}

/**
 * Passes an answer on, head, body and trailers, as it comes and as fast as the client reads. Resolves when it is over, with
 * whether the fault came to pass: a body can end before its place.
 */
export async function relay(from: IncomingMessage, { to, closed, fault, reset, count }: Relay): Promise<boolean> {
  const changes = fault?.kind === 'insert' || fault?.kind === 'cut';
  const ends = fault?.kind === 'insert' ? fault.ends : fault?.kind === 'cut' && fault.how === 'clean';
  // A body that may not have the length the server promised must not promise it.
  const headers = endToEnd(from.rawHeaders, changes ? ['content-length'] : []);
  to.sendDate = false;
  to.writeHead(from.statusCode ?? 502, from.statusMessage, headers);
  to.flushHeaders();

  // What becomes of the body apart from its bytes: `over` once a fault has ended or stalled it, `gone` with the client.
  let over = false;
  let gone = false;
  let struck = fault?.kind === 'slow';
  void closed.then(() => {
    gone = true;
    from.destroy();
  });
  const send = async (bytes: Buffer) => {
    if (over) await closed;
    if (gone || bytes.length === 0) return;
    count(bytes.length);
    if (!to.write(bytes)) await Promise.race([once(to, 'drain'), closed]);
  };
  const strike = async () => {
    struck = true;
    if (fault?.kind === 'insert') await send(Buffer.from(fault.text));
    over = fault?.kind !== 'insert' || fault.ends;
    if (fault?.kind === 'cut' && fault.how === 'reset') await reset();
    else if (fault?.kind === 'cut' && fault.how === 'unfinished') closeUnfinished(to);
    else if (ends) to.end();
  };

  const place = fault !== undefined && 'at' in fault ? fault.at : undefined;
  const search = place && placeIn(place, fault?.kind === 'insert');
  const timer = new AbortController();
  if (place && 'ms' in place) {
    // Between lines an insertion may be made at once; in the middle of one it waits for the line's end.
    sleep(place.ms, undefined, { signal: timer.signal }).then(
      () => (search?.due() ? strike() : undefined),
      () => {},
    );
  }
  if (search?.find(Buffer.alloc(0)) !== undefined) await strike();
  let open = true;
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      let rest = chunk;
      const at = search?.find(chunk);
      if (at !== undefined) {
        await send(chunk.subarray(0, at));
        await strike();
        rest = chunk.subarray(at);
      }
      if (fault?.kind === 'slow') await trickle(rest, fault.bytesPerSecond, send, () => gone);
      else await send(rest);
    }
  } catch {
    open = false; // the server, or the client behind `closed`, broke off
  } finally {
    timer.abort();
  }
  if (over) await closed;
  if (gone) return struck;
  if (!open || !from.complete) closeUnfinished(to);
  else {
    if (from.rawTrailers.length > 0) to.addTrailers(pairs(from.rawTrailers));
    to.end();
  }
  return struck;
}

/** Closes the connection in order, without the end of the body. What was written before still arrives. */
function closeUnfinished(to: ServerResponse): void {
  to.socket?.end();
}

async function trickle(
  bytes: Buffer,
  perSecond: number,
  send: (bytes: Buffer) => Promise<void>,
  gone: () => boolean,
): Promise<void> {
  const size = Math.max(1, Math.round(perSecond / 20));
  for (let start = 0; start < bytes.length && !gone(); start += size) {
    const piece = bytes.subarray(start, start + size);
    await send(piece);
    await sleep((piece.length / perSecond) * 1000);
  }
}

/** Looks for a place in a body that comes in chunks. */
interface PlaceSearch {
  /** Where in this chunk the place is, once; undefined while it is not reached. */
  find(chunk: Buffer): number | undefined;
  /** The time of an `ms` place has come: true if it is here; otherwise `find` tells in which chunk. */
  due(): boolean;
}

function placeIn(place: Place, betweenLines: boolean): PlaceSearch {
  const state = { found: false, due: false, atLineStart: true, bytes: 0, lines: 0, into: 0 };
  const within = (chunk: Buffer): number | undefined => {
    if ('bytes' in place) return state.bytes + chunk.length >= place.bytes ? place.bytes - state.bytes : undefined;
    if ('ms' in place) {
      const end = state.due ? chunk.indexOf('\n') : -1;
      return end === -1 ? undefined : end + 1;
    }
    const into = place.into ?? 0;
    let start = 0;
    while (state.lines < place.lines) {
      const end = chunk.indexOf('\n', start);
      if (end === -1) return undefined;
      start = end + 1;
      state.lines++;
    }
    const missing = into - state.into;
    if (chunk.length - start >= missing) return start + missing;
    state.into += chunk.length - start;
    return undefined;
  };
  return {
    find: (chunk) => {
      if (state.found) return undefined;
      const at = within(chunk);
      state.found = at !== undefined;
      state.bytes += chunk.length;
      if (chunk.length > 0) state.atLineStart = chunk.at(-1) === 0x0a;
      return at;
    },
    due: () => {
      state.due = true;
      if (state.found || (betweenLines && !state.atLineStart)) return false;
      state.found = true;
      return true;
    },
  };
}

/** Headers that are about one connection only. https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 */
const hopByHop = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

/** Raw headers, flat, without those of the connection and those named (in lower case) in `dropped`. */
export function endToEnd(raw: readonly string[], dropped: readonly string[]): string[] {
  const kept: string[] = [];
  for (const [name, value] of pairs(raw)) {
    const lower = name.toLowerCase();
    if (!hopByHop.has(lower) && !dropped.includes(lower)) kept.push(name, value);
  }
  return kept;
}

function pairs(raw: readonly string[]): [name: string, value: string][] {
  const found: [string, string][] = [];
  for (let place = 0; place < raw.length; place += 2) found.push([raw[place] ?? '', raw[place + 1] ?? '']);
  return found;
}
