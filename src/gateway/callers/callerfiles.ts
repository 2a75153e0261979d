/** What AUTH_FILE and ACCESS_FILE say: text in, names out, and every mistake with its line. Pure; nothing it says has a hash in it. */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { namespaceName } from '../options.ts';
import { type PasswordHash, readHash } from './passwords.ts';

/** What a file came to, or all that is wrong with it, a sentence each. */
export type ReadFile<T> =
  | { readonly ok: true; readonly value: T; readonly advice: readonly string[] }
  | { readonly ok: false; readonly mistakes: readonly string[] };

/** One line of AUTH_FILE. */
export interface Credential {
  readonly hash: PasswordHash;
  /** As it was written: another text is another password, or at least another hash of it. */
  readonly text: string;
}

/** What a name may read and run, and where that is written. */
export interface Grant {
  readonly namespaces: 'all served' | readonly string[];
  /** Where they may run triggers. */
  readonly runs: 'all served' | readonly string[];
  readonly line: number;
}

/** Longer names are nobody's. */
export const LONGEST_NAME = 255;

/**
 * Reads lines `name:hash`. Blank lines and lines that begin with `#` are comments. A name that stands twice is a mistake,
 * and so is that of AUTH_USERNAME: which of its two passwords held would be anyone's guess.
 */
export function readAuthFile(text: string, username: string | undefined): ReadFile<ReadonlyMap<string, Credential>> {
  const credentials = new Map<string, Credential>();
  const lines = new Map<string, number>();
  const mistakes: string[] = [];
  const advice: string[] = [];
  for (const [place, untrimmed] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const line = untrimmed.trim();
    if (line === '' || line.startsWith('#')) continue;
    const at = `AUTH_FILE line ${place + 1}`;
    const colon = line.indexOf(':');
    const [name, hashText] = colon === -1 ? ['', ''] : [line.slice(0, colon), line.slice(colon + 1)];
    if (colon === -1) mistakes.push(`${at} has no ":"; write name:hash, as rungate hash-password --name does`);
    else if (!isCallerName(name))
      mistakes.push(`${at} has no usable name; write 1 to ${LONGEST_NAME} printable characters`);
    else if (lines.has(name)) mistakes.push(`${at} names ${shown(name)} again, as line ${lines.get(name)} does`);
    else if (name === username) mistakes.push(`${at} names ${shown(name)}, as AUTH_USERNAME does; set only one`);
    else {
      lines.set(name, place + 1);
      const read = readHash(hashText);
      if ('wrong' in read) mistakes.push(`${at} (${shown(name)}) ${read.wrong}`);
      else {
        credentials.set(name, { hash: read.hash, text: hashText });
        if (read.advice !== undefined) advice.push(`${at} (${shown(name)}) ${read.advice}`);
      }
    }
  }
  if (mistakes.length > 0) return { ok: false, mistakes };
  // An empty file is more often one that is being written than one that means nobody.
  if (credentials.size === 0) return { ok: false, mistakes: ['AUTH_FILE has no callers; write lines name:hash'] };
  return { ok: true, value: credentials, advice };
}

/**
 * Reads YAML `name: [namespace, ...]`, or `name: "*"` for every one that is served: what each may read. `name: {read: ..., run: ...}`
 * says as well where they may run triggers, which has to be among what they may read. A namespace that is not served is a mistake;
 * whether there is somebody of a name, `strangers` tells.
 */
export function readAccessFile(text: string, served: '*' | readonly string[]): ReadFile<ReadonlyMap<string, Grant>> {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  const lineOf = (node: unknown): number => counter.linePos((node as Node | null)?.range?.[0] ?? 0).line;
  const mistakes = document.errors.map(({ message, pos: [start] }) => {
    return `ACCESS_FILE line ${counter.linePos(start).line} is not YAML that rungate reads: ${message}`;
  });
  const namespacesIn = (name: string, value: unknown, at: string): Grant['namespaces'] => {
    if (isScalar(value) && value.value === '*') return 'all served';
    if (!isSeq(value)) {
      mistakes.push(`${at} (${shown(name)}) has no list; write [namespace, ...], or "*" for all that are served`);
      return [];
    }
    const namespaces: string[] = [];
    for (const item of value.items) {
      const namespace = isScalar(item) ? item.value : undefined;
      const where = `ACCESS_FILE line ${lineOf(item)} (${shown(name)})`;
      if (typeof namespace !== 'string' || namespaceName.read(namespace) === undefined) {
        mistakes.push(`${where} names ${shown(namespace)}, which is no namespace`);
      } else if (served !== '*' && !served.includes(namespace)) {
        mistakes.push(`${where} names ${shown(namespace)}, which is not served; add it to NAMESPACES`);
      } else namespaces.push(namespace);
    }
    return [...new Set(namespaces)];
  };
  const grants = new Map<string, Grant>();
  const { contents } = document;
  if (mistakes.length === 0 && contents !== null && !isMap(contents)) {
    mistakes.push('ACCESS_FILE is no map; write name: [namespace, ...]');
  }
  for (const { key, value } of mistakes.length === 0 && isMap(contents) ? contents.items : []) {
    const line = lineOf(key);
    const at = `ACCESS_FILE line ${line}`;
    const name = isScalar(key) && typeof key.value === 'string' ? key.value : undefined;
    if (name === undefined) {
      mistakes.push(`${at} has a name that is no text; write it in quotes`);
      continue;
    }
    if (!isMap(value)) {
      grants.set(name, { namespaces: namespacesIn(name, value, at), runs: [], line });
      continue;
    }
    const known = new Map(value.items.map((item) => [isScalar(item.key) ? item.key.value : undefined, item]));
    const [read, run] = [known.get('read'), known.get('run')];
    for (const [field, item] of known) {
      if (field === 'read' || field === 'run') continue;
      const where = `ACCESS_FILE line ${lineOf(item.key)} (${shown(name)})`;
      mistakes.push(`${where} has ${shown(field)}; write read and run`);
    }
    if (read === undefined) mistakes.push(`${at} (${shown(name)}) has no read; write what they may read as well`);
    const namespaces = read === undefined ? [] : namespacesIn(name, read.value, at);
    const runs = run === undefined ? [] : namespacesIn(name, run.value, at);
    const unread =
      namespaces === 'all served'
        ? []
        : runs === 'all served'
          ? ['*']
          : runs.filter((each) => !namespaces.includes(each));
    for (const each of unread) {
      mistakes.push(`${at} (${shown(name)}) may run triggers of ${shown(each)} and not read them; add it to read`);
    }
    grants.set(name, { namespaces, runs, line });
  }
  return mistakes.length > 0 ? { ok: false, mistakes } : { ok: true, value: grants, advice: [] };
}

/** A sentence for each name of ACCESS_FILE that nobody has. A misspelt one would leave its caller with everything. */
export function strangers(grants: ReadonlyMap<string, Grant>, isCaller: (name: string) => boolean): string[] {
  return [...grants]
    .filter(([name]) => !isCaller(name))
    .map(([name, { line }]) => `ACCESS_FILE line ${line} names ${shown(name)}, who is no caller`);
}

/** Whether somebody can have this name: RFC 7617 lets nobody send control characters. */
export function isCallerName(text: string): boolean {
  return text.length >= 1 && text.length <= LONGEST_NAME && !/[\x00-\x1f\x7f]/.test(text) && text.trim() === text;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
