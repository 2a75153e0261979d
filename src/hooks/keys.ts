/** What opens a hook: the Secret that it names, looked at live and kept for seconds, against what a sender has shown. */
import type { Clock } from '../clock.ts';
import { Fault, faultOf } from '../fault.ts';
import type { KubeReader } from '../kube/client.ts';
import { type JsonObject, objectOf, stringOf } from '../kube/objects.ts';
import { valuesOf } from './headers.ts';
import type { Hook } from './hook.ts';
import type { HookHeaders } from './request.ts';
import { verifyBearer, verifySignature } from './signature.ts';

/** What came with a delivery. */
export interface Shown {
  readonly headers: HookHeaders;
  /** The body, byte for byte. */
  readonly raw: Buffer;
  /** The names in the client certificate, where there is one that an authority of ours vouches for. */
  readonly clientNames: readonly string[];
}

/** Why somebody was not let in: a word for the log. The sender is told the same whichever it is. */
export type Closed =
  | 'unknown hook'
  /** It names no Secret, and nobody has said that such hooks are served. */
  | 'no secret named'
  | 'secret not found'
  /** It has none of the keys that open a hook. */
  | 'secret without keys'
  | 'wrong signature'
  | 'wrong bearer token'
  | 'wrong client certificate';

/** Whether somebody was let in. `isSigned`: nobody but a holder of the key can have written the body. */
export type Checked =
  | { readonly is: 'open'; readonly hook: Hook; readonly isSigned: boolean }
  | { readonly is: 'closed'; readonly why: Closed };

/** Who looks at what is shown. */
export interface Keys {
  /**
   * Looks at what was shown for a hook, or for none: the same work is done, so that time does not tell which. Faults:
   * `unavailable` where its Secret cannot be read.
   */
  check(hook: Hook | undefined, shown: Shown): Promise<Checked>;
}

/** What it is made of. */
export interface KeysParts {
  readonly reader: Pick<KubeReader, 'get'>;
  /** Serve hooks that name no Secret. */
  readonly allowUnauthenticated: boolean;
  readonly clock: Pick<Clock, 'steady'>;
}

/** So long a Secret is believed to be as it was. */
const FRESH_MS = 5_000;
/**
 * What does not fit is looked at again when it is older than this: whoever puts another key into the Secret that Flux reads as
 * well signs with it at once, and is not asked to try again after 401. Guessing costs no more than one read a second.
 */
const DOUBTED_MS = 1_000;
/** Secrets that are kept; those of hooks that are asked for, so no stranger can fill it. */
const MOST_KEPT = 2_000;
/** A hook that takes so long is not worth waiting for: the sender tries again. */
const READ_MS = 3_000;

/** What Secrets can be called; anything else in its place, such as `..`, could make the path one of another object. */
const NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;

/** The keys of a Secret that count; undefined: it has none of that kind. */
interface Wanted {
  readonly signature: readonly Buffer[] | undefined;
  readonly bearer: readonly Buffer[] | undefined;
  readonly clientNames: readonly string[] | undefined;
}

interface Kept {
  /** Rejected where it could not be read; undefined: there is no such Secret. */
  readonly wanted: Promise<Wanted | undefined>;
  readonly atMs: number;
}

/** Makes one that has read nothing. */
export function createKeys({ reader, allowUnauthenticated, clock }: KeysParts): Keys {
  const kept = new Map<string, Kept>();

  const read = async (namespace: string, name: string): Promise<Wanted | undefined> => {
    if (!NAME.test(name)) return undefined;
    try {
      const path = `/api/v1/namespaces/${namespace}/secrets/${name}`;
      return wantedIn(await reader.get(path, { timeoutMs: READ_MS }));
    } catch (error) {
      if (faultOf(error).code === 'not-found') return undefined;
      throw new Fault('unavailable', 'the keys of this hook cannot be read; try again', { cause: error });
    }
  };
  /** What a Secret is, no older than `maxAgeMs`; those who ask at the same time share one read. */
  const recall = (namespace: string, name: string, maxAgeMs: number): Kept => {
    const key = `${namespace}/${name}`;
    const before = kept.get(key);
    const nowMs = clock.steady();
    if (before !== undefined && nowMs - before.atMs < maxAgeMs) return before;
    const now: Kept = { wanted: read(namespace, name), atMs: nowMs };
    now.wanted.catch(() => {
      // A failure is kept for as long as a doubt, so that a flood of deliveries is not one of reads.
      if (kept.get(key) === now) kept.set(key, { ...now, atMs: now.atMs - (FRESH_MS - DOUBTED_MS) });
    });
    kept.delete(key);
    kept.set(key, now);
    const [oldest] = kept.keys();
    if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
    return now;
  };

  return {
    async check(hook, shown) {
      if (hook?.secret === undefined) {
        if (hook !== undefined && allowUnauthenticated) return { is: 'open', hook, isSigned: false };
        verifiesSignature([], shown);
        return { is: 'closed', why: hook === undefined ? 'unknown hook' : 'no secret named' };
      }
      const { namespace } = hook.ref;
      const first = recall(namespace, hook.secret, FRESH_MS);
      const judged = judge(hook, await first.wanted, shown);
      if (judged.is === 'open') return judged;
      const again = recall(namespace, hook.secret, DOUBTED_MS);
      return again === first ? judged : judge(hook, await again.wanted, shown);
    },
  };
}

const NOTHING_WANTED: Wanted = { signature: undefined, bearer: undefined, clientNames: undefined };

function judge(hook: Hook, wanted: Wanted | undefined, shown: Shown): Checked {
  const { signature, bearer, clientNames } = wanted ?? NOTHING_WANTED;
  const isSigned = verifiesSignature(signature ?? [], shown);
  if (wanted === undefined) return { is: 'closed', why: 'secret not found' };
  if ((signature ?? bearer ?? clientNames) === undefined) return { is: 'closed', why: 'secret without keys' };
  if (signature !== undefined && !isSigned) return { is: 'closed', why: 'wrong signature' };
  if (bearer !== undefined && !verifyBearer(valuesOf(shown.headers, 'Authorization'), bearer)) {
    return { is: 'closed', why: 'wrong bearer token' };
  }
  if (clientNames !== undefined && !clientNames.some((name) => shown.clientNames.includes(name))) {
    return { is: 'closed', why: 'wrong client certificate' };
  }
  return { is: 'open', hook, isSigned };
}

/** Takes as long as the body is long, so it is done whether or not it is wanted. */
function verifiesSignature(keys: readonly Buffer[], { headers, raw }: Shown): boolean {
  return verifySignature(valuesOf(headers, 'X-Signature'), keys, raw);
}

/**
 * The keys of a Secret, as src/hooks/hook.ts names them. Values are taken byte for byte, as Flux takes them: a line break at
 * the end belongs to the key. https://fluxcd.io/flux/components/notification/providers/#generic-webhook-with-hmac
 */
function wantedIn(secret: JsonObject): Wanted {
  const data = objectOf(secret.data);
  const bytes = (...keys: readonly string[]): readonly Buffer[] | undefined => {
    const found = keys.filter((key) => data[key] !== undefined);
    return found.length === 0 ? undefined : found.map((key) => Buffer.from(stringOf(data[key]) ?? '', 'base64'));
  };
  return {
    signature: bytes('token', 'previous'),
    bearer: bytes('bearer', 'previousBearer'),
    clientNames: bytes('clientNames')?.flatMap((names) =>
      names
        .toString()
        .split(/[\s,]+/)
        .filter((name) => name !== ''),
    ),
  };
}

const KINDS_OF_NAMES: ReadonlySet<string> = new Set(['DNS', 'URI', 'IP Address', 'email']);

// Sticky, so that nothing between two names is skipped; what is quoted can be nothing but JSON.
const NAMES =
  /(?:^|, )([A-Za-z0-9 ]+):(?:("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*")|([^",]*))(?=, |$)/gy;

/**
 * The names in a certificate, as Node writes them: `DNS:a.example, URI:spiffe://b`. A value with a comma or a quote in it is
 * written as a JSON string, so that nobody can put a second name into their first. Never throws; names behind what cannot be read are
 * left out. https://nodejs.org/api/crypto.html#x509subjectaltname
 */
export function namesIn(subjectAltName: string | undefined): readonly string[] {
  const names: string[] = [];
  for (const [, kind = '', quoted, plain = ''] of (subjectAltName ?? '').matchAll(NAMES)) {
    if (!KINDS_OF_NAMES.has(kind)) continue;
    const name = quoted === undefined ? plain : String(JSON.parse(quoted));
    names.push(kind === 'DNS' ? name.toLowerCase() : name);
  }
  return names;
}
