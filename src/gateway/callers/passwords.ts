/**
 * Password hashes: reading them, making them, and comparing passwords with them, a few at a time. Hashes come from a file
 * that whoever runs rungate wrote, but what they cost is paid at the request of strangers, so that has bounds as well.
 */
import { argon2, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { Fault } from '../../fault.ts';
import { bcryptMatches } from './bcrypt.ts';

interface Argon2idHash {
  readonly kind: 'argon2id';
  readonly memoryKiB: number;
  readonly passes: number;
  readonly lanes: number;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

interface ScryptHash {
  readonly kind: 'scrypt';
  /** The binary logarithm of N. */
  readonly logN: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

interface BcryptHash {
  readonly kind: 'bcrypt';
  /** The binary logarithm of its rounds. */
  readonly cost: number;
  /** As it was written; bcrypt reads its own. */
  readonly text: string;
}

/** A hash that was understood and whose cost is within bounds. */
export type PasswordHash = Argon2idHash | ScryptHash | BcryptHash;

/** What a text came to: a hash, perhaps with advice; or what is wrong with it and what to do, as the end of a sentence. */
export type ReadHash = { readonly hash: PasswordHash; readonly advice?: string } | { readonly wrong: string };

const REMEDY = 'make a new one with: rungate hash-password';

/** Costs between what OWASP still recommends and what a server can pay when strangers ask for it. */
const BOUNDS = {
  /** https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html: 7 MiB with 5 passes is its least. */
  argon2id: { memoryKiB: [7 * 1024, 128 * 1024], passes: [1, 10], lanes: [1, 8] },
  scrypt: { logN: [14, 17], r: [8, 16], p: [1, 16] },
  /** `htpasswd -B` writes 5 unless told, which is weak, but better than turning its users away. */
  bcrypt: { cost: [5, 14] },
  saltBytes: [8, 64],
  hashBytes: [16, 64],
} as const;

/** Passes over all memory together: about a second. */
const MOST_ARGON2_WORK_KIB = 512 * 1024;
/** N * r * p; 2^17 * 8 * 1 is the strongest that OWASP names. */
const MOST_SCRYPT_WORK = 2 ** 21;
/** Below this bcrypt is quick to guess on today's machines. */
const ADVISED_BCRYPT_COST = 10;

/** Hashes that other programs write and that no longer protect a password. */
const REFUSED: readonly { readonly looks: RegExp; readonly name: string }[] = [
  { looks: /^\$apr1\$/, name: 'the MD5 of htpasswd ($apr1$)' },
  { looks: /^\$1\$/, name: 'MD5-crypt ($1$)' },
  { looks: /^\{S?SHA\}/i, name: 'SHA-1 ({SHA})' },
  { looks: /^\$[56]\$/, name: 'SHA-crypt ($5$, $6$), which rungate cannot compare' },
  { looks: /^\$argon2[id]\$/, name: 'Argon2i or Argon2d, not Argon2id' },
  { looks: /^[./0-9A-Za-z]{13}$/, name: 'crypt, or a password in the clear' },
];

/**
 * Reads argon2id and scrypt in PHC form (https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md) and bcrypt
 * (`$2a$`, `$2b$`, `$2y$`). What it says never has any of the text in it.
 */
export function readHash(text: string): ReadHash {
  if (text.startsWith('$argon2id$')) return readArgon2id(text);
  if (text.startsWith('$scrypt$')) return readScrypt(text);
  if (/^\$2[abxy]?\$/.test(text)) return readBcrypt(text);
  const known = REFUSED.find(({ looks }) => looks.test(text));
  return { wrong: `has ${known?.name ?? 'no hash that rungate knows, perhaps a password in the clear'}; ${REMEDY}` };
}

function readArgon2id(text: string): ReadHash {
  const parts = /^\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$([^$]+)\$([^$]+)$/.exec(text);
  if (parts === null) return { wrong: `has an argon2id hash that is not whole, or not of version 19; ${REMEDY}` };
  const [memoryKiB, passes, lanes] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  const within = BOUNDS.argon2id;
  const odd =
    outside('m', memoryKiB, within.memoryKiB) ??
    outside('t', passes, within.passes) ??
    outside('p', lanes, within.lanes);
  if (odd !== undefined) return { wrong: `has an argon2id hash whose ${odd}; ${REMEDY}` };
  if (memoryKiB * passes > MOST_ARGON2_WORK_KIB) {
    return { wrong: `has an argon2id hash whose m times t is above ${MOST_ARGON2_WORK_KIB}; ${REMEDY}` };
  }
  const bytes = saltAndHash(parts[4], parts[5]);
  if (bytes === undefined) return { wrong: `has an argon2id hash with a salt or hash of odd length; ${REMEDY}` };
  return { hash: { kind: 'argon2id', memoryKiB, passes, lanes, ...bytes } };
}

function readScrypt(text: string): ReadHash {
  const parts = /^\$scrypt\$ln=(\d{1,3}),r=(\d{1,9}),p=(\d{1,9})\$([^$]+)\$([^$]+)$/.exec(text);
  if (parts === null) return { wrong: `has a scrypt hash that is not whole; ${REMEDY}` };
  const [logN, r, p] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  const within = BOUNDS.scrypt;
  const odd = outside('ln', logN, within.logN) ?? outside('r', r, within.r) ?? outside('p', p, within.p);
  if (odd !== undefined) return { wrong: `has a scrypt hash whose ${odd}; ${REMEDY}` };
  if (2 ** logN * r * p > MOST_SCRYPT_WORK) {
    return { wrong: `has a scrypt hash whose N times r times p is above ${MOST_SCRYPT_WORK}; ${REMEDY}` };
  }
  const bytes = saltAndHash(parts[4], parts[5]);
  if (bytes === undefined) return { wrong: `has a scrypt hash with a salt or hash of odd length; ${REMEDY}` };
  return { hash: { kind: 'scrypt', logN, r, p, ...bytes } };
}

function readBcrypt(text: string): ReadHash {
  const parts = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text);
  if (parts === null) return { wrong: `has a bcrypt hash that is not whole, or of an old form ($2$, $2x$); ${REMEDY}` };
  const cost = Number(parts[1]);
  const odd = outside('cost', cost, BOUNDS.bcrypt.cost);
  if (odd !== undefined) return { wrong: `has a bcrypt hash whose ${odd}; ${REMEDY}` };
  const hash: BcryptHash = { kind: 'bcrypt', cost, text };
  if (cost >= ADVISED_BCRYPT_COST) return { hash };
  return {
    hash,
    advice: `has a bcrypt hash of cost ${cost}, which is quick to guess; write it with htpasswd -B -C 12`,
  };
}

function outside(name: string, value: number, [from, to]: readonly [number, number]): string | undefined {
  return value >= from && value <= to ? undefined : `${name} is ${value}, and may be from ${from} to ${to}`;
}

function saltAndHash(
  saltText: string | undefined,
  hashText: string | undefined,
): { readonly salt: Buffer; readonly hash: Buffer } | undefined {
  const [salt, hash] = [fromPhcBase64(saltText ?? ''), fromPhcBase64(hashText ?? '')];
  if (salt === undefined || outside('', salt.length, BOUNDS.saltBytes) !== undefined) return undefined;
  if (hash === undefined || outside('', hash.length, BOUNDS.hashBytes) !== undefined) return undefined;
  return { salt, hash };
}

/** Base64 without padding, and nothing that Buffer would read over. */
function fromPhcBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return phcBase64(bytes) === text ? bytes : undefined;
}

function phcBase64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}

/** How `hashPassword` can hash, strongest recommendation first. */
export type NewHashKind = 'argon2id' | 'scrypt';

/** A new hash of a password in PHC form, with a salt of its own: argon2id m=19456,t=2,p=1, or scrypt ln=15,r=8,p=3. */
export async function hashPassword(password: string, kind: NewHashKind): Promise<string> {
  const [salt, hash] = [randomBytes(16), Buffer.alloc(32)];
  if (kind === 'scrypt') {
    const made: ScryptHash = { kind, logN: 15, r: 8, p: 3, salt, hash };
    const bytes = await derived(made, password);
    return `$scrypt$ln=${made.logN},r=${made.r},p=${made.p}$${phcBase64(salt)}$${phcBase64(bytes)}`;
  }
  const made: Argon2idHash = { kind, memoryKiB: 19 * 1024, passes: 2, lanes: 1, salt, hash };
  const bytes = await derived(made, password);
  return `$argon2id$v=19$m=${made.memoryKiB},t=${made.passes},p=${made.lanes}$${phcBase64(salt)}$${phcBase64(bytes)}`;
}

/**
 * A hash that no password has and that costs as much as the costliest of `hashes`. Comparing with it takes the place of
 * comparing with the hash of somebody who does not exist, so that the two take the same time.
 */
export function decoyFor(hashes: Iterable<PasswordHash>): PasswordHash {
  let costliest: PasswordHash | undefined;
  for (const hash of hashes) if (costliest === undefined || costOf(hash) > costOf(costliest)) costliest = hash;
  const [salt, hash] = [randomBytes(16), randomBytes(32)];
  if (costliest === undefined) return { kind: 'argon2id', memoryKiB: 19 * 1024, passes: 2, lanes: 1, salt, hash };
  if (costliest.kind === 'bcrypt') {
    const text = `$2b$${String(costliest.cost).padStart(2, '0')}$${randomBytes(39).toString('hex').slice(0, 53)}`;
    return { ...costliest, text };
  }
  return { ...costliest, salt, hash };
}

/** About how many milliseconds, to tell which of two is the costlier. */
function costOf(hash: PasswordHash): number {
  switch (hash.kind) {
    case 'argon2id':
      return (hash.memoryKiB * hash.passes) / 800;
    case 'scrypt':
      return (2 ** hash.logN * hash.r * hash.p) / 6_000;
    case 'bcrypt':
      return 2 ** hash.cost / 13;
  }
}

/** Compares passwords with hashes. */
export interface PasswordCheck {
  /**
   * Whether the password is the hash's. Those who wait get their turn in the order they came, networks by turns: one that
   * guesses without end does not keep the others out. Faults: `exhausted` when as many wait as may.
   */
  matches(hash: PasswordHash, password: string, network: string): Promise<boolean>;
}

/** Hashes worked on at the same time: each may take 128 MiB and a thread of the four that files and names share. */
const AT_A_TIME = 2;
/** Of one network. Longer queues would be waited for in vain: at 50 ms each this one is a second. */
const MOST_WAITING_NEARBY = 32;
/** Of all networks together. */
const MOST_WAITING = 256;
const RETRY_MS = 1_000;

/** Makes the one that a process has: its bounds are those of the process. */
export function createPasswordCheck(compare = compareWith): PasswordCheck {
  /** Those who wait, by network; whose turn is next stands first. */
  const queues = new Map<string, (() => void)[]>();
  let working = 0;
  let waiting = 0;

  const queueUp = (network: string): Promise<void> => {
    const queue = queues.get(network) ?? [];
    if (waiting >= MOST_WAITING || queue.length >= MOST_WAITING_NEARBY) {
      throw new Fault('exhausted', 'too many sign in at the same time; try again', { retryAfterMs: RETRY_MS });
    }
    queues.set(network, queue);
    waiting += 1;
    return new Promise((resolve) => queue.push(resolve));
  };
  const next = (): (() => void) | undefined => {
    const [first] = queues;
    if (first === undefined) return undefined;
    const [network, queue] = first;
    queues.delete(network);
    const turn = queue.shift();
    if (queue.length > 0) queues.set(network, queue); // behind the others
    waiting -= 1;
    return turn;
  };

  return {
    async matches(hash, password, network) {
      // Whoever finishes hands its place over, so `working` is not counted again.
      if (working >= AT_A_TIME) await queueUp(network);
      else working += 1;
      try {
        return await compare(hash, password);
      } finally {
        const turn = next();
        if (turn === undefined) working -= 1;
        else turn();
      }
    },
  };
}

async function compareWith(hash: PasswordHash, password: string): Promise<boolean> {
  if (hash.kind === 'bcrypt') return bcryptMatches(password, hash.text);
  return timingSafeEqual(await derived(hash, password), hash.hash);
}

/** What the password becomes with the costs, salt and length of `hash`. */
function derived(hash: Argon2idHash | ScryptHash, password: string): Promise<Buffer> {
  const { salt, hash: wanted } = hash;
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, bytes: Buffer) => (error ? reject(error) : resolve(bytes));
    if (hash.kind === 'argon2id') {
      const { memoryKiB: memory, passes, lanes: parallelism } = hash;
      argon2(
        'argon2id',
        { message: password, nonce: salt, memory, passes, parallelism, tagLength: wanted.length },
        done,
      );
    } else {
      const { logN, r, p } = hash;
      const N = 2 ** logN;
      scrypt(password, salt, wanted.length, { N, r, p, maxmem: 2 * 128 * r * (N + p) }, done);
    }
  });
}
