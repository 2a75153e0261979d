/** What proves that a sender knows a secret: signatures over the raw body, and tokens. Nothing here tells, by its time, how wrong a guess was. */
import { createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';

/** The hashes that are taken, with the bytes that each makes. SHA-1 and SHA-224 are not. */
const SIZES = { sha256: 32, sha384: 48, sha512: 64 } as const;

/** A hash that a signature may be made with. */
export type SignatureHash = keyof typeof SIZES;

const SIGNATURE = /^(?<name>[a-z0-9]+)=(?<hex>[0-9a-fA-F]+)$/;

interface Claim {
  readonly hash: SignatureHash;
  readonly mac: Buffer;
}

// Where there is no key, or nothing to compare with, the same work is done with these.
const NOBODYS_KEY = randomBytes(32);
const NO_CLAIM: Claim = { hash: 'sha256', mac: Buffer.alloc(SIZES.sha256) };

/**
 * Whether one of `keys` made the signature of these bytes: `X-Signature` of Flux, `X-Hub-Signature-256` of GitHub and
 * `X-Hub-Signature` of Bitbucket, all of them `<hash>=<hex>`. `values` are all values of the header: only one that came once counts.
 * Every key is tried, whichever fits; without any the work is done all the same. An empty key is none, since everybody has it. The bytes
 * of a key must not change between two calls.
 * https://fluxcd.io/flux/components/notification/providers/#generic-webhook-with-hmac
 */
export function verifySignature(values: readonly string[], keys: readonly Buffer[], raw: Buffer): boolean {
  const claim = claimIn(values);
  const { hash, mac } = claim ?? NO_CLAIM;
  const fits = tryEach(keys, (key) => timingSafeEqual(createHmac(hash, readied(key)).update(raw).digest(), mac));
  return fits && claim !== undefined;
}

/**
 * Whether a header such as `X-Gitlab-Token` holds one of `keys`, as its only value. Keys are compared as they are, byte by byte: one
 * that ends in a line break fits no header.
 */
export function verifyToken(values: readonly string[], keys: readonly Buffer[]): boolean {
  const [token] = values;
  // As long as each other, whatever was sent, and of no use to whoever could learn of them.
  const sent = fingerprint(token ?? '');
  const fits = tryEach(keys, (key) => timingSafeEqual(fingerprint(key), sent));
  return fits && values.length === 1;
}

/** Whether `Authorization` is `Bearer` and one of `keys`, as `verifyToken`. https://www.rfc-editor.org/rfc/rfc6750#section-2.1 */
export function verifyBearer(values: readonly string[], keys: readonly Buffer[]): boolean {
  const token = values.length === 1 ? /^Bearer +(\S+)$/i.exec(values[0] ?? '')?.[1] : undefined;
  return verifyToken(token === undefined ? [] : [token], keys);
}

/** The signature that notification-controller makes of these bytes: `sha256=<hex>`. */
export function sign(key: Buffer, raw: Buffer, hash: SignatureHash = 'sha256'): string {
  return `${hash}=${createHmac(hash, key).update(raw).digest('hex')}`;
}

function claimIn(values: readonly string[]): Claim | undefined {
  const { name = '', hex = '' } = (values.length === 1 ? SIGNATURE.exec(values[0] ?? '') : null)?.groups ?? {};
  return isHash(name) && hex.length === 2 * SIZES[name] ? { hash: name, mac: Buffer.from(hex, 'hex') } : undefined;
}

function isHash(name: string): name is SignatureHash {
  return Object.hasOwn(SIZES, name);
}

function tryEach(keys: readonly Buffer[], fits: (key: Buffer) => boolean): boolean {
  const usable = keys.filter((key) => key.length > 0);
  if (usable.length === 0) fits(NOBODYS_KEY);
  return usable.map(fits).includes(true);
}

// Readying a key costs five times what the signature of a small body does, and keys are kept for longer than one delivery.
const readiedKeys = new WeakMap<Buffer, KeyObject>();

function readied(key: Buffer): KeyObject {
  const before = readiedKeys.get(key);
  if (before !== undefined) return before;
  const made = createSecretKey(key);
  readiedKeys.set(key, made);
  return made;
}

function fingerprint(secret: Buffer | string): Buffer {
  return createHmac('sha256', readied(NOBODYS_KEY)).update(secret).digest();
}
