/** A git repository on this machine, read without git: which revision a reference means now, and the files of a commit. */
import fs from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import git from 'isomorphic-git';
import semver from 'semver';

/** `spec.ref`; the first of `commit`, `name`, `tag`, `semver` and `branch` that is given counts. */
export interface Reference {
  readonly branch?: string;
  readonly commit?: string;
  readonly name?: string;
  readonly semver?: string;
  readonly tag?: string;
}

/** Where a reference points. */
export interface Revision {
  /** As source-controller writes it: `main@sha1:...`, `v1.0.0@sha1:...`, `refs/heads/x@sha1:...` or `sha1:...`. */
  readonly revision: string;
  /** The commit's hash. */
  readonly commit: string;
  /** The first line of its message. */
  readonly title: string;
}

/** A file of a commit. */
export interface File {
  /** `folder/name`. */
  readonly path: string;
  readonly isExecutable: boolean;
  readonly bytes: Uint8Array;
}

/** Why a repository or a reference in it cannot be read, in source-controller's words. */
export class Unreadable extends Error {
  readonly reason: 'GitOperationFailed' | 'EmptyGitRepository';

  constructor(message: string, reason: Unreadable['reason'] = 'GitOperationFailed') {
    super(message);
    this.reason = reason;
  }
}

/** The branch of a GitRepository that names none. */
const defaultBranch = 'master';

/**
 * The revision that `reference` means in the repository at `url` now, and a reader of its files (in order of their paths;
 * symbolic links and submodules are left out). Throws Unreadable. Refs may be packed, the repository bare or not, or a
 * worktree of another; a push in between is seen whole or not at all.
 */
export async function readRepository(
  url: string,
  reference: Reference,
): Promise<Revision & { readonly files: () => AsyncIterable<File> }> {
  const gitdir = await gitFolderOf(url);
  const cache = {};
  const from = { fs, gitdir, cache };
  const { label, commit } = await resolveReference(from, url, reference);
  const read = await git.readCommit({ ...from, oid: commit }).catch(() => undefined);
  if (read === undefined) throw failed(`unable to resolve commit object for '${commit}': object not found`);
  return {
    revision: label === '' ? `sha1:${commit}` : `${label}@sha1:${commit}`,
    commit,
    title: read.commit.message.split('\n')[0] ?? '',
    files: () => readable(url, filesIn(from, read.commit.tree, '')),
  };
}

interface From {
  readonly fs: typeof fs;
  readonly gitdir: string;
  readonly cache: object;
}

/** The folder with the objects and refs of a repository. */
async function gitFolderOf(url: string): Promise<string> {
  const folder = folderOf(url);
  if (folder === undefined) {
    throw failed(
      `unable to clone '${url}': the sandbox reads repositories of this machine only: an absolute path, or file:///path`,
    );
  }
  const inner = join(folder, '.git');
  const found = await stat(inner).catch(() => undefined);
  if (found?.isDirectory()) return inner;
  if (found?.isFile()) return commonFolderOf(folder, inner);
  const isRepository = await stat(join(folder, 'objects')).then(
    (objects) => objects.isDirectory(),
    () => false,
  );
  if (!isRepository) throw failed(`unable to clone '${url}': repository not found`);
  return folder;
}

/** A worktree has a file that names its own folder, in which another names the one that all worktrees share. */
async function commonFolderOf(folder: string, file: string): Promise<string> {
  const named = /^gitdir: (.*)$/m.exec(await readFile(file, 'utf8'))?.[1] ?? '';
  const own = resolve(folder, named);
  const common = await readFile(join(own, 'commondir'), 'utf8').catch(() => '');
  return resolve(own, common.trim());
}

function folderOf(url: string): string | undefined {
  if (isAbsolute(url)) return url;
  try {
    return url.startsWith('file:') ? fileURLToPath(url) : undefined;
  } catch {
    return undefined; // file://host/path: another machine's
  }
}

async function resolveReference(
  from: From,
  url: string,
  { branch = '', commit = '', name = '', tag = '', semver: range = '' }: Reference,
): Promise<{ readonly label: string; readonly commit: string }> {
  if (commit !== '') {
    if (!/^[0-9a-f]{40}$/.test(commit))
      throw failed(`unable to resolve commit object for '${commit}': object not found`);
    if (branch !== '') await headOf(from, url, `refs/heads/${branch}`);
    return { label: branch, commit };
  }
  if (name !== '') {
    const found = await commitAt(from, name);
    if (found === undefined) throw failed(`unable to resolve ref '${name}' to a specific commit`);
    return { label: name, commit: found };
  }
  if (tag !== '') return { label: tag, commit: await headOf(from, url, `refs/tags/${tag}`) };
  if (range !== '') {
    const latest = await latestTag(from, range);
    return { label: latest, commit: await headOf(from, url, `refs/tags/${latest}`) };
  }
  const wanted = branch === '' ? defaultBranch : branch;
  return { label: wanted, commit: await headOf(from, url, `refs/heads/${wanted}`) };
}

async function headOf(from: From, url: string, ref: string): Promise<string> {
  const found = await commitAt(from, ref);
  if (found !== undefined) return found;
  if (await isEmpty(from)) throw new Unreadable('git repository is empty', 'EmptyGitRepository');
  throw failed(`unable to clone '${url}': couldn't find remote ref "${ref}"`);
}

/** The commit that a ref means; tags with a message of their own are followed. Undefined when there is no such ref. */
async function commitAt(from: From, ref: string): Promise<string | undefined> {
  if (!ref.startsWith('refs/')) return undefined;
  try {
    const { oid } = await git.readCommit({ ...from, oid: await git.resolveRef({ ...from, ref }) });
    return oid;
  } catch {
    return undefined;
  }
}

async function isEmpty(from: From): Promise<boolean> {
  const [branches, tags] = await Promise.all([git.listBranches(from), git.listTags(from)]);
  return branches.length === 0 && tags.length === 0;
}

/** The highest version among the tags; with a prerelease in the range, prereleases count as well. */
async function latestTag(from: From, range: string): Promise<string> {
  if (semver.validRange(range) === null) throw failed(`semver parse error: improper constraint: ${range}`);
  const includePrerelease = /\d-[0-9A-Za-z]/.test(range);
  let latest: { readonly tag: string; readonly version: semver.SemVer } | undefined;
  for (const tag of await git.listTags(from)) {
    const version = versionOf(tag);
    if (version === null || !semver.satisfies(version, range, { includePrerelease })) continue;
    if (latest === undefined || semver.compareBuild(version, latest.version) > 0) latest = { tag, version };
  }
  if (latest === undefined) throw failed(`no match found for semver: ${range}`);
  return latest.tag;
}

/** `v1.2` is a version as well. */
function versionOf(tag: string): semver.SemVer | null {
  const isShort = /^v?\d+(\.\d+)?$/.test(tag);
  return isShort ? semver.coerce(tag) : semver.parse(tag);
}

async function* filesIn(from: From, tree: string, folder: string): AsyncIterable<File> {
  const { tree: entries } = await git.readTree({ ...from, oid: tree });
  for (const { path: name, mode, oid, type } of entries.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const path = folder === '' ? name : `${folder}/${name}`;
    if (type === 'tree') yield* filesIn(from, oid, path);
    else if (type === 'blob' && mode !== '120000') {
      const { blob } = await git.readBlob({ ...from, oid });
      yield { path, isExecutable: mode === '100755', bytes: blob };
    }
  }
}

/** Objects that are missing or broken are the repository's fault: it may be packed anew at this moment. */
async function* readable(url: string, files: AsyncIterable<File>): AsyncIterable<File> {
  try {
    yield* files;
  } catch (error) {
    throw failed(`unable to clone '${url}': ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Everything that goes wrong while reading has the same beginning. */
function failed(why: string): Unreadable {
  return new Unreadable(`failed to checkout and determine revision: ${why}`);
}
