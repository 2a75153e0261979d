/** Those who may ask: the caller of AUTH_USERNAME, and those of two files that are read again when they change. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import type { Part } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import type { Metrics } from '../../metrics.ts';
import { type Credential, type Grant, LONGEST_NAME, readAccessFile, readAuthFile, strangers } from './callerfiles.ts';
import { decoyFor, type PasswordCheck, type PasswordHash } from './passwords.ts';

/** Someone who has shown their credentials. */
export interface Caller {
  readonly name: string;
  /** What they may read, of the namespaces this gateway serves. */
  readonly namespaces: 'all served' | readonly string[];
  /** Where they may run triggers, of those; absent: nowhere. */
  readonly runs?: 'all served' | readonly string[];
}

/** Those whose credentials or rights have changed. */
export interface CallerChange {
  /** No longer who they were: what is remembered of them must be looked up again. */
  readonly replaced: ReadonlySet<Caller>;
  /** Those of them who may no longer do what they could: removed, of another password, or with fewer namespaces. */
  readonly lost: ReadonlySet<Caller>;
}

/** Those who may ask. */
export interface Callers {
  /**
   * Whose credentials these are, or nobody's. Takes as long for a name nobody has as for a wrong password, and does not
   * tell the two apart. `network`: where they ask from; those of one network wait for each other. Faults: `exhausted` when
   * too many sign in at the same time.
   */
  find(name: string, password: string, network: string): Promise<Caller | undefined>;
  /** Who has this name now; for those who have shown their credentials before. */
  named(name: string): Caller | undefined;
  /** Calls `listener` whenever callers have changed. Absent where they never do. */
  readonly onChange?: (listener: (change: CallerChange) => void) => void;
}

/** The settings, as src/settings.ts explains them. */
export interface CallerSettings {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** It is no secret and need not be one: no advice is given. */
  readonly isPasswordKnown?: boolean;
  readonly authFile?: string | undefined;
  readonly accessFile?: string | undefined;
  /** The namespaces served: ACCESS_FILE may name no others. */
  readonly namespaces: '*' | readonly string[];
}

/** How often the files are looked at. Watching them would miss what network and overlay file systems do not tell. */
const LOOK_MS = 2_000;
/** A change is taken when the file is still the same after this: editors and scripts write in several pieces. */
const SETTLE_MS = 250;
const LONGEST_FILE_BYTES = 1024 * 1024;
/** Mistakes that are logged of one version of a file. */
const MOST_TOLD = 20;
/** Shorter passwords are guessed even slowly. NIST SP 800-63B asks for 8 where there is nothing else. */
const ADVISED_PASSWORD_LENGTH = 8;

/** What is known of one name. */
interface Entry {
  readonly caller: Caller;
  /** None: the caller of AUTH_USERNAME, whose password is compared otherwise. */
  readonly credential: Credential | undefined;
}

/** What a version of a file came to. */
interface Outcome {
  readonly setting: string;
  /** Why it was not taken. */
  readonly wrong: readonly string[];
  readonly advice: readonly string[];
}

/** A file as it was last read: its text, or why there is none. */
type Version = { readonly text: string } | { readonly unreadable: string } | undefined;

/** What callers are made of. */
export interface CallerParts {
  readonly check: PasswordCheck;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'reload' | 'level'>;
}

/**
 * Makes the callers of a gateway. `start` reads the files and rejects with Fault `bad-request` when something is wrong with
 * them, a mistake a line; from then on a version with a mistake leaves the one before in use, each file by itself, so that
 * a mistake in one never keeps somebody in who was removed from the other.
 */
export function createCallers(settings: CallerSettings, parts: CallerParts): Callers & Part {
  const { username, password, isPasswordKnown = false, authFile, accessFile, namespaces: served } = settings;
  const { check, clock, log, metrics } = parts;
  const stopped = new AbortController();
  const listeners: ((change: CallerChange) => void)[] = [];
  const isOwn = username !== undefined && password !== undefined ? pairCheck(username, password) : () => false;
  let credentials: ReadonlyMap<string, Credential> = new Map();
  let grants: ReadonlyMap<string, Grant> = new Map();
  /** The latest version of ACCESS_FILE is the one in use. */
  let isAccessCurrent = true;
  let entries: ReadonlyMap<string, Entry> = new Map();
  let decoy: PasswordHash | undefined;
  let seen: { readonly auth: Version; readonly access: Version } = { auth: undefined, access: undefined };

  const isCaller = (name: string) => name === username || credentials.has(name);

  /** Puts together what the files say now, and tells who is not who they were. */
  const adopt = (): void => {
    const before = entries;
    const after = new Map<string, Entry>();
    const join = (name: string, credential: Credential | undefined): void => {
      const known = before.get(name);
      // Who is new while ACCESS_FILE has a mistake may be who it is about: nothing is theirs until that is put right.
      const unnamed = isAccessCurrent ? 'all served' : (known?.caller.namespaces ?? []);
      const namespaces = grants.get(name)?.namespaces ?? unnamed;
      // Starting something is nobody's who is not named for it.
      const runs = grants.get(name)?.runs ?? [];
      const isSame = known?.credential?.text === credential?.text && known !== undefined;
      const isUnchanged =
        isSame && sameNamespaces(known.caller.namespaces, namespaces) && sameNamespaces(known.caller.runs ?? [], runs);
      after.set(name, isUnchanged ? known : { caller: { name, namespaces, runs }, credential });
    };
    if (username !== undefined) join(username, undefined);
    for (const [name, credential] of credentials) join(name, credential);
    entries = after;
    decoy = authFile === undefined ? undefined : decoyFor([...credentials.values()].map((each) => each.hash));
    const replaced = [...before.values()].filter((entry) => after.get(entry.caller.name) !== entry);
    if (replaced.length === 0) return;
    const lost = replaced.filter((entry) => !keeps(entry, after.get(entry.caller.name)));
    const change = {
      replaced: new Set(replaced.map(({ caller }) => caller)),
      lost: new Set(lost.map(({ caller }) => caller)),
    };
    for (const listener of listeners) listener(change);
  };

  const read = async (): Promise<typeof seen> => {
    const [auth, access] = await Promise.all([versionOf(authFile), versionOf(accessFile)]);
    return { auth, access };
  };

  /** Takes what is right of a version that was not seen before, and tells what is wrong with the rest. */
  const take = (now: typeof seen): readonly Outcome[] => {
    const outcomes: Outcome[] = [];
    const former = credentials;
    const isNewAuth = now.auth !== undefined && !sameVersion(now.auth, seen.auth);
    if (now.auth !== undefined && isNewAuth) {
      const file = 'text' in now.auth ? readAuthFile(now.auth.text, username) : unread('AUTH_FILE', now.auth);
      if (file.ok) credentials = file.value;
      outcomes.push(file.ok ? { setting: 'AUTH_FILE', wrong: [], advice: file.advice } : wrong('AUTH_FILE', file));
    }
    // A version that was refused for a name that nobody had may be right now that somebody has it.
    const isNewAccess = !sameVersion(now.access, seen.access) || (isNewAuth && !isAccessCurrent);
    if (now.access !== undefined && isNewAccess) {
      let file = 'text' in now.access ? readAccessFile(now.access.text, served) : unread('ACCESS_FILE', now.access);
      // The two files change one after the other: a name that is just being removed is no misspelt one.
      const unknown = file.ok ? strangers(file.value, (name) => isCaller(name) || former.has(name)) : [];
      if (unknown.length > 0) file = { ok: false, mistakes: unknown };
      isAccessCurrent = file.ok;
      if (file.ok) grants = file.value;
      outcomes.push(file.ok ? { setting: 'ACCESS_FILE', wrong: [], advice: [] } : wrong('ACCESS_FILE', file));
    }
    seen = now;
    return outcomes;
  };

  /** What a version came to, in the log and in numbers. */
  const tell = (outcomes: readonly Outcome[]): void => {
    for (const { setting, wrong, advice } of outcomes) {
      metrics.reload(setting, wrong.length === 0 ? 'taken' : 'refused');
      for (const mistake of wrong.slice(0, MOST_TOLD)) {
        log.error('a changed file was not taken; the version before stays in use', { setting, mistake });
      }
      for (const each of advice.slice(0, MOST_TOLD)) log.warn('a password is poorly protected', { advice: each });
    }
    for (const stranger of strangers(grants, isCaller)) log.warn('a name in ACCESS_FILE is no caller', { stranger });
  };

  const auditChange = (before: typeof entries, after: typeof entries): void => {
    for (const name of new Set([...before.keys(), ...after.keys()])) {
      const [old, now] = [before.get(name), after.get(name)];
      if (old === now) continue;
      const event = old === undefined ? 'caller added' : now === undefined ? 'caller removed' : 'caller changed';
      log.info('audit', { event, caller: name });
    }
  };

  const watch = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(LOOK_MS, stopped.signal);
      if (stopped.signal.aborted) return;
      const first = await read();
      if (sameVersion(first.auth, seen.auth) && sameVersion(first.access, seen.access)) continue;
      await clock.sleep(SETTLE_MS, stopped.signal);
      const second = await read();
      if (stopped.signal.aborted) return;
      if (!sameVersion(first.auth, second.auth) || !sameVersion(first.access, second.access)) continue;
      const before = entries;
      const outcomes = take(second);
      for (const { setting, wrong } of outcomes) {
        if (wrong.length === 0) log.info('a changed file was taken', { setting });
      }
      tell(outcomes);
      adopt();
      auditChange(before, entries);
    }
  };

  return {
    name: 'callers',
    async start() {
      if (password !== undefined && !isPasswordKnown && password.length < ADVISED_PASSWORD_LENGTH) {
        log.warn('AUTH_PASSWORD is short; use a long random one', { advised: ADVISED_PASSWORD_LENGTH });
      }
      const outcomes = take(await read());
      const mistakes = outcomes.flatMap((outcome) => outcome.wrong);
      if (mistakes.length > 0) throw new Fault('bad-request', mistakes.join('\n'));
      tell(outcomes);
      adopt();
      metrics.level('callers', () => entries.size);
      if (authFile !== undefined || accessFile !== undefined) void watch();
    },
    stop: async () => stopped.abort(),
    async find(name, secret, network) {
      if (isOwn(name, secret)) return entries.get(name)?.caller;
      if (decoy === undefined || name.length > LONGEST_NAME) return undefined;
      const entry = entries.get(name);
      const matches = await check.matches(entry?.credential?.hash ?? decoy, secret, network);
      // It may have been removed meanwhile.
      return matches && entry?.credential !== undefined && entries.get(name) === entry ? entry.caller : undefined;
    },
    named: (name) => entries.get(name)?.caller,
    ...(authFile === undefined && accessFile === undefined
      ? {}
      : { onChange: (listener: (change: CallerChange) => void) => void listeners.push(listener) }),
  };
}

/**
 * Makes a keyed hash whose key nobody knows and which ends with the process. The key is a prefix, which is enough because
 * no hash is ever shown to anyone; an HMAC, which a shown one would need, costs ten times as much at every request.
 */
export function keyedHash(): (text: string) => string {
  const key = randomBytes(32).toString('hex');
  return (text) => hash('sha256', key + text, 'base64');
}

/** Whether a name and a password are these two. */
function pairCheck(username: string, password: string): (name: string, secret: string) => boolean {
  const hashOf = keyedHash();
  // A name has no colon (RFC 7617), so the joined text is of one pair only. Fixed-length hashes make the comparison
  // independent of how much of a guess is right. A slow hash would add nothing: the clear text is in the environment.
  const expected = Buffer.from(hashOf(`${username}:${password}`));
  return (name, secret) => timingSafeEqual(Buffer.from(hashOf(`${name}:${secret}`)), expected);
}

async function versionOf(file: string | undefined): Promise<Version> {
  if (file === undefined) return undefined;
  try {
    const found = await stat(file);
    if (!found.isFile()) return { unreadable: 'is no file' }; // a pipe would never be read to its end
    const { size } = found;
    if (size > LONGEST_FILE_BYTES) return { unreadable: `has ${size} bytes, and may have ${LONGEST_FILE_BYTES}` };
    return { text: await readFile(file, 'utf8') };
  } catch (error) {
    return { unreadable: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function sameVersion(one: Version, other: Version): boolean {
  if (one === undefined || other === undefined) return one === other;
  if ('text' in one) return 'text' in other && one.text === other.text;
  return 'unreadable' in other && one.unreadable === other.unreadable;
}

function wrong(setting: string, { mistakes }: { readonly mistakes: readonly string[] }): Outcome {
  return { setting, wrong: mistakes, advice: [] };
}

function unread(setting: string, { unreadable }: { readonly unreadable: string }) {
  return { ok: false, mistakes: [`${setting} ${unreadable}`] } as const;
}

/** Whether somebody may still do all that they could. */
function keeps(before: Entry, after: Entry | undefined): boolean {
  if (after === undefined || before.credential?.text !== after.credential?.text) return false;
  const [could, can] = [before.caller.namespaces, after.caller.namespaces];
  if (can === 'all served') return true;
  return could !== 'all served' && could.every((namespace) => can.includes(namespace));
}

function sameNamespaces(one: Caller['namespaces'], other: Caller['namespaces']): boolean {
  if (one === 'all served' || other === 'all served') return one === other;
  return one.length === other.length && one.every((namespace) => other.includes(namespace));
}
