/** Who asks, and what they may read. Credentials are HTTP Basic (RFC 7617) through passport. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import passport from 'passport';
import { BasicStrategy } from 'passport-http';
import { Fault } from '../fault.ts';
import { notesOf } from './notes.ts';

/** Someone who has shown their credentials. */
export interface Caller {
  readonly name: string;
  /** What they may read, of the namespaces this gateway serves. */
  readonly namespaces: 'all served' | readonly string[];
}

/** The namespaces this gateway serves: `*` for every one of the cluster. */
export type ServedNamespaces = '*' | readonly string[];

/** Those who may ask. */
export interface Callers {
  /**
   * Whose credentials these are, or nobody's. Takes as long for a name nobody has as for a wrong password, and does not
   * tell the two apart.
   */
  find(name: string, password: string): Caller | undefined;
}

/** The one caller of AUTH_USERNAME and AUTH_PASSWORD. Keeps a keyed hash of them, under a key of this process only. */
export function oneCaller(username: string, password: string): Callers {
  const hashOf = keyedHash();
  // A name has no colon (RFC 7617), so the joined text is of one pair only. Fixed-length hashes make the comparison
  // independent of how much of a guess is right. A slow hash would add nothing: the clear text is in the environment.
  const expected = Buffer.from(hashOf(`${username}:${password}`));
  const caller: Caller = { name: username, namespaces: 'all served' };
  return {
    find: (name, secret) => (timingSafeEqual(Buffer.from(hashOf(`${name}:${secret}`)), expected) ? caller : undefined),
  };
}

/**
 * Makes a keyed hash whose key nobody knows and which ends with the process. The key is a prefix, which is enough because
 * no hash is ever shown to anyone; an HMAC, which a shown one would need, costs ten times as much at every request.
 */
function keyedHash(): (text: string) => string {
  const key = randomBytes(32).toString('hex');
  return (text) => hash('sha256', key + text, 'base64');
}

/** Faults: `forbidden` unless `caller` may read `namespace`. Asks nobody, so that it says the same whatever is there. */
export function requireRead(caller: Caller, namespace: string, served: ServedNamespaces): void {
  const isServed = served === '*' || served.includes(namespace);
  const isGranted = caller.namespaces === 'all served' || caller.namespaces.includes(namespace);
  if (!isServed || !isGranted) throw new Fault('forbidden', 'this namespace is not open to you');
}

/** Right headers that are remembered. One caller can write theirs in several ways, so the bound is not the callers'. */
const REMEMBERED_HEADERS = 256;

/**
 * Lets callers pass and notes who they are. Faults: `unauthenticated` for everyone else, whatever is wrong with their
 * header. A header that was right before costs one hash and one look-up; only others reach passport.
 */
export function authenticate(callers: Callers): RequestHandler {
  const authenticator = new passport.Passport();
  authenticator.use('basic', new FirstColonStrategy(callers));
  const hashOf = keyedHash();
  const remembered = new Map<string, Caller>();

  return (request, response, next) => {
    const { authorization } = request.headers;
    if (authorization === undefined) return next(new Fault('unauthenticated', 'credentials are required'));
    // Hashed, so that no clear text stays in memory and nobody can learn from the timing of the map.
    const fingerprint = hashOf(authorization);
    const known = remembered.get(fingerprint);
    if (known !== undefined) {
      notesOf(request).caller = known;
      return next();
    }
    const decide = (error: unknown, caller: Caller | false | null | undefined) => {
      if (error) return next(error);
      if (!caller) return next(new Fault('unauthenticated', 'these credentials are not valid'));
      if (remembered.size >= REMEMBERED_HEADERS) remembered.delete(remembered.keys().next().value ?? '');
      remembered.set(fingerprint, caller);
      notesOf(request).caller = caller;
      next();
    };
    // With a callback passport leaves the answer to us: its own would be plain text.
    authenticator.authenticate('basic', { session: false }, decide)(request, response, next);
  };
}

/**
 * passport-http's strategy with a reading of the header that keeps to RFC 7617. Version 0.3 splits at every colon, so
 * that a password with one never matches, one that begins with one is refused unseen, and `b:anything` is taken for `b`.
 */
class FirstColonStrategy extends BasicStrategy {
  readonly callers: Callers; // not `#callers`: passport calls methods on objects derived from the strategy

  constructor(callers: Callers) {
    super(() => {}); // its verify function is met only through the method replaced below
    this.callers = callers;
  }

  override authenticate(this: passport.StrategyCreated<FirstColonStrategy>, request: Request): void {
    const credentials = basicCredentials(request.headers.authorization);
    const caller = credentials && this.callers.find(credentials.name, credentials.password);
    if (caller === undefined) this.fail(undefined, 401);
    else this.success(caller);
  }
}

/** Name and password of a Basic `Authorization` header, split at the first colon. https://www.rfc-editor.org/rfc/rfc7617 */
export function basicCredentials(
  header: string | undefined,
): { readonly name: string; readonly password: string } | undefined {
  const encoded = /^basic +([a-z0-9+/_-]+=*)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}
