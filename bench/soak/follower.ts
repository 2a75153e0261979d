/** One client of the soak: it follows a run to its end, however often it has to come back with its cursor. */
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, type Gateway } from '../../test/support/gateway.ts';
import type { Dice } from './dice.ts';
import type { Ledger } from './ledger.ts';

/** Formats whose objects carry a cursor: with it a client can come back after any cut. */
export type CursorFormat = 'ndjson' | 'sse';

/** Heartbeats come every 15 s: a stream that is silent for so long is dead, and nobody has said so. */
const LONGEST_SILENCE_MS = 90_000;

/** Who is told what a client reads: a ledger, or whoever else wants it. */
export type LineReader = Pick<Ledger, 'take' | 'gap' | 'close' | 'note'>;

/** What a client meets on its way. */
export interface FollowerParts {
  readonly format: CursorFormat;
  /** The replica to ask next; another one each time it is asked for. */
  replica(): Pick<Gateway, 'url' | 'credentials'>;
  readonly dice: Dice;
  /** Is called each time that it comes back to a stream that broke. */
  resumed(): void;
}

/** What rungate sends, as far as a client of the soak looks at it. */
interface Said {
  readonly type: string;
  readonly task?: string;
  readonly step?: string;
  readonly line?: string;
  readonly cursor?: string;
  readonly complete?: boolean;
  readonly retry?: boolean;
}

/** A client. It follows one run at a time. */
export class Follower {
  readonly #parts: FollowerParts;
  #answer: IncomingMessage | undefined;
  #connects = 0;
  #where = 'not begun';

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  /** What it does or did last, for whoever wonders how it came to that. */
  get where(): string {
    return `${this.#parts.format}, connection ${this.#connects}, ${this.#where}`;
  }

  /** Follows a run and tells the ledger every line of it, by `task/step`. Resolves when the stream has ended for good, or `signal` aborts. */
  async follow(run: string, ledger: LineReader, signal: AbortSignal): Promise<void> {
    let cursor: string | undefined;
    this.#connects = 0;
    while (!signal.aborted) {
      if (this.#connects++ > 0) {
        this.#parts.resumed();
        await sleep(this.#parts.dice.whole(20, 250));
      }
      this.#where = 'asking';
      const answer = await this.#open(run, cursor).catch(() => undefined); // a replica that is not there
      if (answer === undefined) continue;
      this.#where = `answered ${answer.statusCode} at ${new Date().toISOString()}`;
      if (answer.statusCode !== 200) {
        // How a browser is kept from coming back to an event stream of which it has everything.
        // https://html.spec.whatwg.org/multipage/server-sent-events.html#sse-processing-model
        if (answer.statusCode === 204 && this.#parts.format === 'sse') {
          ledger.close({ complete: true });
          return;
        }
        await this.#refused(run, answer, ledger);
        if (answer.statusCode === 400) return;
        await sleep(500);
        continue;
      }
      const read = await this.#read(answer, ledger, cursor, signal);
      cursor = read.cursor;
      if (read.over) return;
    }
  }

  /** Hangs up in the middle of whatever it receives. */
  hangUp(): void {
    this.#answer?.destroy();
  }

  /** Stops reading for a while, so that the buffers between rungate and it fill. */
  async pause(ms: number): Promise<void> {
    const answer = this.#answer;
    answer?.pause();
    await sleep(ms);
    answer?.resume();
  }

  #open(run: string, cursor: string | undefined): Promise<IncomingMessage> {
    const { format, replica } = this.#parts;
    const { url, credentials } = replica();
    // As browsers do it: an EventSource comes back to the same URL and says where it was in a header.
    const asParameter = format === 'ndjson' && cursor !== undefined ? `&cursor=${encodeURIComponent(cursor)}` : '';
    const headers = format === 'sse' && cursor !== undefined ? { 'Last-Event-ID': cursor } : {};
    return ask(`${url}/logs/${run}?format=${format}&wait=60${asParameter}`, { as: credentials, headers });
  }

  async #refused(run: string, answer: IncomingMessage, ledger: LineReader): Promise<void> {
    const body = Buffer.concat((await answer.toArray().catch(() => [])) as Buffer[]).toString();
    // What a cluster in trouble and a replica that stops say; anything else is a refusal of what was promised.
    if ([429, 502, 503, 504].includes(answer.statusCode ?? 0)) return;
    ledger.note({ kind: 'refused', detail: `run ${run}: ${answer.statusCode} ${body.trim().slice(0, 200)}` });
  }

  async #read(
    answer: IncomingMessage,
    ledger: LineReader,
    before: string | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly cursor: string | undefined; readonly over: boolean }> {
    let cursor = before;
    let over = false;
    this.#answer = answer;
    const leave = () => answer.destroy();
    signal.addEventListener('abort', leave, { once: true });
    const patience = setTimeout(() => {
      ledger.note({ kind: 'silent', detail: `nothing for ${LONGEST_SILENCE_MS / 1000} s, not even a heartbeat` });
      answer.destroy();
    }, LONGEST_SILENCE_MS);
    const hear = (said: Said): void => {
      const step = `${said.task}/${said.step}`;
      if (said.type === 'log') ledger.take(step, said.line ?? '');
      if (said.type === 'gap') ledger.gap(step);
      cursor = said.cursor ?? cursor;
      if (said.type !== 'end' || said.retry === true) return;
      ledger.close({ complete: said.complete === true });
      over = true;
    };
    let rest = '';
    try {
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        patience.refresh();
        const texts = (rest + chunk.toString('latin1')).split('\n'); // all that steps of the soak write is ASCII
        rest = texts.pop() ?? '';
        for (const text of texts) {
          const said = this.#parts.format === 'sse' ? dataOf(text) : text;
          if (said !== undefined && said !== '') hear(objectIn(said, ledger));
        }
      }
    } catch {
      // Broken off, by whichever side: the cursor says where to go on.
    } finally {
      clearTimeout(patience);
      signal.removeEventListener('abort', leave);
    }
    return { cursor, over };
  }
}

/** The object that rungate has sent; one of no type where it is none, which is noted. */
function objectIn(text: string, ledger: LineReader): Said {
  try {
    return JSON.parse(text) as Said; // as docs/api.md describes it; what is wrong in it the ledger finds
  } catch {
    ledger.note({ kind: 'altered', detail: `this is no JSON: ${text.slice(0, 100)}` });
    return { type: '' };
  }
}

/** What a line of an event stream carries; the cursor is in the data as well as in `id`. */
function dataOf(line: string): string | undefined {
  return line.startsWith('data:') ? line.slice('data:'.length).trimStart() : undefined;
}
