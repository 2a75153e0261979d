/**
 * Tickets for browsers: an EventSource cannot send credentials, and an address is no place for a password. Whoever has
 * credentials gets a ticket that opens one stream, once, within a minute.
 */
import { hash, randomBytes } from 'node:crypto';
import type { Request } from 'express';
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import type { Log } from '../../log.ts';
import type { Metrics } from '../../metrics.ts';
import { sendJson } from '../answer.ts';
import { callerOf, notesOf } from '../notes.ts';
import type { Operation, Route } from '../operation.ts';
import { type OptionKind, option, optionReader } from '../options.ts';
import { auditTicket } from './audit.ts';
import type { Caller } from './callers.ts';

/** How long a ticket may lie unused. */
const LIFETIME_SECONDS = 60;
/** Unused tickets of one caller, and of all together; one more is refused until others have run out. */
const MOST_PER_CALLER = 1_000;
const MOST = 10_000;
/** 256 bits, so that no ticket is ever guessed. */
const TICKET_BYTES = 32;

/** Tickets that were given out and not yet used. Only hashes of them are kept. */
export interface Tickets {
  /** A new ticket for `caller`, good for one stream; only for the one at `path` where that is given. Faults: `exhausted`. */
  issue(caller: Caller, path?: string): { readonly ticket: string; readonly expiresIn: number };
  /**
   * Whose ticket it is, if it opens `path` now. Whatever the answer, it opens nothing any more. Whether the caller is still
   * one is for whoever asks to look up.
   */
  redeem(ticket: string, path: string): Caller | undefined;
}

interface Issued {
  readonly caller: Caller;
  readonly path: string | undefined;
  readonly expiresAtMs: number;
}

/** Makes tickets of one process: another replica does not know them. */
export function createTickets({
  clock,
  metrics,
}: {
  readonly clock: Pick<Clock, 'now'>;
  readonly metrics: Pick<Metrics, 'level'>;
}): Tickets {
  /** In the order they were given out, which is that in which they run out. */
  const issued = new Map<string, Issued>();
  const byCaller = new Map<string, number>();
  metrics.level('tickets', () => issued.size);

  const forget = (key: string, { caller: { name } }: Issued): void => {
    issued.delete(key);
    const left = (byCaller.get(name) ?? 1) - 1;
    if (left === 0) byCaller.delete(name);
    else byCaller.set(name, left);
  };
  const forgetOld = (): void => {
    for (const [key, each] of issued) {
      if (each.expiresAtMs > clock.now()) return;
      forget(key, each);
    }
  };

  return {
    issue(caller, path) {
      forgetOld();
      const own = byCaller.get(caller.name) ?? 0;
      if (own >= MOST_PER_CALLER || issued.size >= MOST) {
        throw new Fault('exhausted', 'too many tickets are unused; try again', {
          retryAfterMs: LIFETIME_SECONDS * 1000,
        });
      }
      const ticket = randomBytes(TICKET_BYTES).toString('base64url');
      issued.set(keyOf(ticket), { caller, path, expiresAtMs: clock.now() + LIFETIME_SECONDS * 1000 });
      byCaller.set(caller.name, own + 1);
      return { ticket, expiresIn: LIFETIME_SECONDS };
    },
    redeem(ticket, path) {
      const key = keyOf(ticket);
      const found = issued.get(key);
      if (found === undefined) return undefined;
      forget(key, found);
      const leftMs = found.expiresAtMs - clock.now();
      // More is left than there was only where the machine's clock was set back.
      const isInTime = leftMs > 0 && leftMs <= LIFETIME_SECONDS * 1000;
      const isGood = isInTime && (found.path === undefined || found.path === path);
      return isGood ? found.caller : undefined;
    },
  };
}

/** What was never shown cannot be timed: the map is asked for a hash. */
function keyOf(ticket: string): string {
  return hash('sha256', ticket, 'base64');
}

/** Those of `logs`, `taskruns` and `runevents`; a run that is named `logs` or `events` is none. */
const STREAM_PATH = /^(\/logs(\/[^/?#]+){1,2}|\/taskruns(\/[^/?#]+){1,2}\/logs|\/runs(\/[^/?#]+){2}\/events)$/;

/** Whether a path is that of a stream, which a ticket may open. */
export function isStreamPath(path: string): boolean {
  return STREAM_PATH.test(path);
}

const streamPath: OptionKind<string> = {
  allowed: 'the path of a stream without its options, such as /logs/ci/build-1',
  schema: { type: 'string', pattern: STREAM_PATH.source, maxLength: 512, examples: ['/logs/ci/build-1'] },
  read: (text) => (text.length <= 512 && isStreamPath(text) ? text : undefined),
};

/** `/tickets` as a value. */
const ticketsOperation = {
  id: 'createTicket',
  method: 'post',
  path: '/tickets',
  tag: 'callers',
  summary: 'A ticket that opens one stream in a browser',
  description:
    'An EventSource sends no credentials. A page that has them asks for a ticket first and opens the stream with it: `/logs/ci/build-1?format=sse&ticket=...`. A ticket opens one stream, once, within 60 seconds, and only at the replica that gave it out. An EventSource that reconnects by itself would send a used one: on an error close it, and open another with a new ticket.',
  options: {
    path: option(streamPath, undefined, 'Opens the stream at this path only'),
  },
  answers: {
    201: {
      description: 'The ticket. It is shown once',
      content: {
        'application/json': {
          schema: {
            title: 'Ticket',
            type: 'object',
            required: ['ticket', 'expiresIn'],
            properties: {
              ticket: { type: 'string', pattern: '^[A-Za-z0-9_-]{43}$', description: 'Goes into the option `ticket`' },
              expiresIn: { type: 'integer', description: 'Seconds in which it can be used' },
            },
            additionalProperties: false,
          },
          example: { ticket: 'pT4nGxO9cVb3wH2l8Rk0yS1uQe7ZdJfM5aXiN6oKtLg', expiresIn: LIFETIME_SECONDS },
        },
      },
    },
  },
  problems: [],
} as const satisfies Operation;

/**
 * A page can make the browser of a caller post here with the credentials that it remembers. It would not see the ticket, but
 * a thousand of them leave the caller without. https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
 */
function refuseForeignPages(request: Request): void {
  const site = request.headers['sec-fetch-site'];
  const isForeign = site === 'cross-site' || site === 'same-site';
  if (isForeign && !notesOf(request).headers.includes('Access-Control-Allow-Origin')) {
    throw new Fault('bad-request', 'pages of this origin get no tickets: CORS_ORIGINS does not name it');
  }
}

/** Route `POST /tickets`. */
export function ticketsRoutes({ tickets, log }: { readonly tickets: Tickets; readonly log: Log }): readonly Route[] {
  const read = optionReader(ticketsOperation.options);
  return [
    {
      operation: ticketsOperation,
      handler: (request, response) => {
        const { path } = read(request.url);
        refuseForeignPages(request);
        const issued = tickets.issue(callerOf(request), path);
        auditTicket(log, request, path);
        sendJson(request, response, 201, issued);
      },
    },
  ];
}
