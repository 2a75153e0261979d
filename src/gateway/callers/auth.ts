/** Who asks, and what they may read. Credentials are HTTP Basic (RFC 7617) through passport, or a ticket for one stream. */
import type { Request, RequestHandler, Response } from 'express';
import passport from 'passport';
import { BasicStrategy } from 'passport-http';
import type { Clock } from '../../clock.ts';
import { Fault, faultOf } from '../../fault.ts';
import type { Log } from '../../log.ts';
import { networkOf } from '../address.ts';
import { notesOf } from '../notes.ts';
import { auditSignIn, auditSignInRefused, type SignInRefusal } from './audit.ts';
import { type Caller, type CallerChange, type Callers, keyedHash } from './callers.ts';
import type { Limits } from './limits.ts';
import { createThrottle } from './throttle.ts';
import { isStreamPath, type Tickets } from './tickets.ts';

/** The namespaces this gateway serves: `*` for every one of the cluster. */
export type ServedNamespaces = '*' | readonly string[];

/** Faults: `forbidden` unless `caller` may read `namespace`. Asks nobody, so that it says the same whatever is there. */
export function requireRead(caller: Caller, namespace: string, served: ServedNamespaces): void {
  const isServed = served === '*' || served.includes(namespace);
  const isGranted = caller.namespaces === 'all served' || caller.namespaces.includes(namespace);
  if (!isServed || !isGranted) throw new Fault('forbidden', 'this namespace is not open to you');
}

/**
 * Faults: `forbidden` unless `caller` may run triggers of `namespace`, where they may read already. Whoever may only read knows what is
 * there, so that the sentence can say what is missing.
 */
export function requireRun({ runs = [] }: Caller, namespace: string): void {
  if (runs === 'all served' || runs.includes(namespace)) return;
  throw new Fault('forbidden', 'you may not run the triggers of this namespace: ACCESS_FILE says who may');
}

/** What telling callers apart is made of. */
export interface AuthParts {
  readonly callers: Callers;
  readonly tickets: Tickets;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when this process is stopping: whoever still waits for a turn is told so. */
  readonly draining: AbortSignal;
}

/** A header that was right is believed for so long after it was last used, and so long in all. */
const REMEMBERED_MS = 60_000;
const REMEMBERED_AT_MOST_MS = 15 * 60_000;
/** One caller can write theirs in several ways, so the bound is not the callers'. */
const MOST_REMEMBERED = 20_000;
/** A header that was wrong stays wrong for so long: a job with an old password makes one mistake, not one a second. */
const REFUSED_MS = 60_000;
const MOST_REFUSED = 2_000;

const REFUSAL = 'these credentials are not valid';

/** A header that was right. */
interface Remembered {
  readonly caller: Caller;
  readonly sinceMs: number;
  usedMs: number;
}

/**
 * Lets callers pass and notes who they are. Faults: `unauthenticated` for everyone else, whatever is wrong with their
 * header; `exhausted` for who sends too many requests or wrong passwords. A header that was right before costs one hash and
 * one look-up; only others reach passport. When a caller loses something, their open answers are cut.
 */
export function authenticate(parts: AuthParts): RequestHandler {
  const { callers, tickets, limits, clock, log, draining } = parts;
  const authenticator = new passport.Passport();
  const throttle = createThrottle(clock);
  authenticator.use('basic', new FirstColonStrategy((request) => signIn(request)));
  const hashOf = keyedHash();
  const remembered = new Map<string, Remembered>();
  const refused = new Map<string, number>();
  const deciding = new Map<string, Promise<Caller | undefined>>();
  const open = callers.onChange === undefined ? undefined : openAnswers();
  let changes = 0;

  callers.onChange?.((change) => {
    changes += 1;
    refused.clear(); // what was wrong may be right now
    for (const [fingerprint, { caller }] of remembered) {
      if (change.replaced.has(caller)) remembered.delete(fingerprint);
    }
    open?.cut(change);
  });

  /** Compares a password that was not right a moment ago. */
  const signIn = async (request: Request): Promise<Caller | undefined> => {
    const credentials = basicCredentials(request.headers.authorization);
    if (credentials === undefined) {
      auditSignInRefused(log, request, 'basic', 'malformed header', undefined);
      return undefined;
    }
    const { name, password } = credentials;
    const network = networkOf(notesOf(request).client);
    const refusal = (reason: SignInRefusal) =>
      auditSignInRefused(log, request, 'basic', reason, callers.named(name)?.name);
    const attempt = await throttle.turn(name, network, draining).catch((error: unknown) => {
      refusal('too many attempts');
      throw error;
    });
    let caller: Caller | undefined;
    try {
      if (draining.aborted) throw new Fault('draining', 'this replica is stopping; ask again');
      caller = await callers.find(name, password, network);
    } catch (error) {
      attempt.untried();
      throw error;
    }
    if (caller === undefined) {
      refusal(callers.named(name) === undefined ? 'unknown name' : 'wrong password');
      return undefined;
    }
    attempt.right();
    auditSignIn(log, request, 'basic', caller.name);
    return caller;
  };

  /** What passport makes of a header; asked at the same time for the same header, it is asked once. */
  const decide = (fingerprint: string, ...handled: Parameters<RequestHandler>): Promise<Caller | undefined> => {
    const underWay = deciding.get(fingerprint);
    if (underWay !== undefined) return underWay;
    const decided = new Promise<Caller | undefined>((resolve, reject) => {
      // With a callback passport leaves the answer to us: its own would be plain text.
      const done = (error: unknown, caller: Caller | false | null | undefined) =>
        error ? reject(error) : resolve(caller || undefined);
      authenticator.authenticate('basic', { session: false }, done)(...handled);
    }).finally(() => deciding.delete(fingerprint));
    deciding.set(fingerprint, decided);
    return decided;
  };

  const pass = (request: Request, response: Response, caller: Caller, mode: 'basic' | 'ticket'): void => {
    const notes = notesOf(request);
    notes.caller = caller;
    notes.mode = mode;
    limits.takeRequest(caller);
    open?.add(caller, response);
  };

  const byTicket = (request: Request, response: Response): void => {
    const { path, ticket } = takeTicket(request);
    if (ticket === undefined) throw new Fault('unauthenticated', 'credentials are required');
    const holder = isStreamPath(path) ? tickets.redeem(ticket, path) : undefined;
    // Whoever was given it may be gone, or be somebody else by now.
    if (holder === undefined || callers.named(holder.name) !== holder) {
      auditSignInRefused(log, request, 'ticket', 'ticket not valid', undefined);
      throw new Fault('unauthenticated', 'this ticket is not valid, or was used');
    }
    auditSignIn(log, request, 'ticket', holder.name);
    pass(request, response, holder, 'ticket');
  };

  return (request, response, next) => {
    const { authorization } = request.headers;
    if (authorization === undefined) {
      byTicket(request, response);
      return next();
    }
    // Hashed, so that no clear text stays in memory and nobody can learn from the timing of the map.
    const fingerprint = hashOf(authorization);
    const nowMs = clock.now();
    const known = remembered.get(fingerprint);
    if (known !== undefined && isFresh(known, nowMs)) {
      known.usedMs = nowMs;
      pass(request, response, known.caller, 'basic');
      return next();
    }
    const wrongAtMs = refused.get(fingerprint);
    if (wrongAtMs !== undefined && nowMs - wrongAtMs < REFUSED_MS) {
      return next(new Fault('unauthenticated', REFUSAL));
    }
    const changesBefore = changes;
    decide(fingerprint, request, response, next).then(
      (caller) => {
        if (response.destroyed) return;
        try {
          if (caller === undefined) {
            // What was wrong when it was compared may be right since.
            if (changes === changesBefore) remember(refused, MOST_REFUSED, fingerprint, clock.now());
            throw new Fault('unauthenticated', REFUSAL);
          }
          remember(remembered, MOST_REMEMBERED, fingerprint, { caller, sinceMs: clock.now(), usedMs: clock.now() });
          pass(request, response, caller, 'basic');
        } catch (error) {
          return next(error);
        }
        next();
      },
      (error: unknown) => next(faultOf(error)),
    );
  };
}

/** Whether a header is still believed. The machine's clock may be set back: that makes none last longer. */
function isFresh({ sinceMs, usedMs }: Remembered, nowMs: number): boolean {
  return nowMs >= usedMs && nowMs - usedMs < REMEMBERED_MS && nowMs - sinceMs < REMEMBERED_AT_MOST_MS;
}

/** Keeps `value`; where there is no room, what was kept first goes. */
function remember<T>(kept: Map<string, T>, most: number, key: string, value: T): void {
  kept.delete(key);
  if (kept.size >= most) {
    const [oldest] = kept.keys();
    if (oldest !== undefined) kept.delete(oldest);
  }
  kept.set(key, value);
}

/** The answers under way, by caller, so that they can be cut. */
function openAnswers() {
  const byCaller = new Map<Caller, Set<Response>>();
  return {
    add(caller: Caller, response: Response): void {
      const answers = byCaller.get(caller) ?? new Set();
      byCaller.set(caller, answers.add(response));
      response.once('close', () => {
        answers.delete(response);
        if (answers.size === 0) byCaller.delete(caller);
      });
    },
    cut({ lost }: CallerChange): void {
      for (const caller of lost) {
        for (const response of byCaller.get(caller) ?? []) {
          notesOf(response.req).outcome = 'revoked';
          response.destroy();
        }
      }
    },
  };
}

/** The ticket in a request's query, taken out of it, so that no handler and no log ever sees it. */
function takeTicket(request: Request): { readonly path: string; readonly ticket: string | undefined } {
  const { url } = request;
  const mark = url.indexOf('?');
  if (mark === -1) return { path: url, ticket: undefined };
  const path = url.slice(0, mark);
  const query = new URLSearchParams(url.slice(mark + 1));
  const given = query.getAll('ticket');
  if (given.length > 1) throw new Fault('bad-request', 'option ticket is given twice');
  query.delete('ticket');
  if (given.length === 1) request.url = query.size === 0 ? path : `${path}?${query}`;
  return { path, ticket: given[0] };
}

type SignIn = (request: Request) => Promise<Caller | undefined>;

/**
 * passport-http's strategy with a reading of the header that keeps to RFC 7617. Version 0.3 splits at every colon, so
 * that a password with one never matches, one that begins with one is refused unseen, and `b:anything` is taken for `b`.
 */
class FirstColonStrategy extends BasicStrategy {
  readonly signIn: SignIn; // not `#signIn`: passport calls methods on objects derived from the strategy

  constructor(signIn: SignIn) {
    super(() => {}); // its verify function is met only through the method replaced below
    this.signIn = signIn;
  }

  override authenticate(this: passport.StrategyCreated<FirstColonStrategy>, request: Request): void {
    this.signIn(request).then(
      (caller) => (caller === undefined ? this.fail(undefined, 401) : this.success(caller)),
      (error: unknown) => this.error(error),
    );
  }
}

/**
 * Name and password of a Basic `Authorization` header, split at the first colon. https://www.rfc-editor.org/rfc/rfc7617
 * allows no control characters in either.
 */
export function basicCredentials(
  header: string | undefined,
): { readonly name: string; readonly password: string } | undefined {
  const encoded = /^basic +([a-z0-9+/_-]+=*)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon === -1 || /[\x00-\x1f\x7f]/.test(text)) return undefined;
  return { name: text.slice(0, colon), password: text.slice(colon + 1) };
}
