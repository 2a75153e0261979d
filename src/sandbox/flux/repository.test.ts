import assert from 'node:assert/strict';
import fs from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import git from 'isomorphic-git';
import { type Reference, readRepository, Unreadable } from './repository.ts';

describe('a local repository', () => {
  const author = { name: 'somebody', email: 'somebody@example.test', timestamp: 1_790_000_000, timezoneOffset: 0 };
  let root = '';
  let dir = '';
  let first = '';
  let second = '';

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'rungate-repository-'));
    dir = join(root, 'work');
    await git.init({ fs, dir, defaultBranch: 'main' });
    first = await commit('one', { 'a.txt': 'a', 'lib/run.sh': 'echo' });
    await git.tag({ fs, dir, ref: 'v1.0.0' });
    await git.annotatedTag({ fs, dir, ref: 'v1.1.0', message: 'a tag with words', tagger: author });
    await git.branch({ fs, dir, ref: 'feature/x' });
    second = await commit('two\n\nmore words', { 'a.txt': 'b' });
    await git.annotatedTag({ fs, dir, ref: 'v1.2.0-rc.1', message: 'soon', tagger: author });
    await git.tag({ fs, dir, ref: 'v0.9' });
    await git.tag({ fs, dir, ref: 'latest' });
  });

  after(() => rm(root, { recursive: true, force: true }));

  async function commit(message: string, files: { readonly [path: string]: string }): Promise<string> {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(join(dir, path, '..'), { recursive: true });
      await writeFile(join(dir, path), content, { mode: path.endsWith('.sh') ? 0o755 : 0o644 });
      await git.add({ fs, dir, filepath: path });
    }
    return git.commit({ fs, dir, message, author });
  }

  const revisions: readonly { readonly name: string; readonly ref: Reference; readonly want: () => string }[] = [
    { name: 'a branch', ref: { branch: 'main' }, want: () => `main@sha1:${second}` },
    { name: 'a branch with a slash', ref: { branch: 'feature/x' }, want: () => `feature/x@sha1:${first}` },
    { name: 'a tag', ref: { tag: 'v1.0.0' }, want: () => `v1.0.0@sha1:${first}` },
    { name: 'a tag with words of its own', ref: { tag: 'v1.1.0' }, want: () => `v1.1.0@sha1:${first}` },
    { name: 'a range of versions', ref: { semver: '>=1.0.0' }, want: () => `v1.1.0@sha1:${first}` },
    { name: 'a range with prereleases', ref: { semver: '>=1.0.0-0' }, want: () => `v1.2.0-rc.1@sha1:${second}` },
    { name: 'a range that only a short version meets', ref: { semver: '<1.0.0' }, want: () => `v0.9@sha1:${second}` },
    { name: 'a name', ref: { name: 'refs/heads/feature/x' }, want: () => `refs/heads/feature/x@sha1:${first}` },
    { name: 'the name of a tag', ref: { name: 'refs/tags/v1.1.0' }, want: () => `refs/tags/v1.1.0@sha1:${first}` },
    {
      name: 'a tag before a range and a branch',
      ref: { branch: 'main', tag: 'v1.0.0', semver: '>=1' },
      want: () => `v1.0.0@sha1:${first}`,
    },
  ];
  for (const { name, ref, want } of revisions) {
    it(`${name} is a revision`, async () => {
      assert.equal((await readRepository(dir, ref)).revision, want());
    });
  }

  it('a commit is a revision, with its branch if that is given', async () => {
    assert.equal((await readRepository(dir, { commit: first })).revision, `sha1:${first}`);
    assert.equal((await readRepository(dir, { commit: first, branch: 'main' })).revision, `main@sha1:${first}`);
  });

  it('has the title of the commit and its files, in order', async () => {
    const { title, files } = await readRepository(dir, { branch: 'main' });
    assert.equal(title, 'two');
    const found: string[] = [];
    for await (const { path, isExecutable, bytes } of files()) {
      found.push(`${path} ${isExecutable ? 'x' : '-'} ${Buffer.from(bytes).toString()}`);
    }
    assert.deepEqual(found, ['a.txt - b', 'lib/run.sh x echo']);
  });

  it('is found by a file URL, bare, with packed refs and as a worktree', async () => {
    const bare = join(root, 'bare.git');
    await fs.promises.cp(join(dir, '.git'), bare, { recursive: true });
    const packed = join(root, 'packed.git');
    await fs.promises.cp(bare, packed, { recursive: true });
    await rm(join(packed, 'refs', 'heads', 'main'));
    const tag = (await readFile(join(packed, 'refs', 'tags', 'v1.1.0'), 'utf8')).trim();
    await rm(join(packed, 'refs', 'tags', 'v1.1.0'));
    const refs = `# pack-refs with: peeled fully-peeled sorted\n${second} refs/heads/main\n${tag} refs/tags/v1.1.0\n^${first}\n`;
    await writeFile(join(packed, 'packed-refs'), refs);
    const tree = join(root, 'tree');
    await mkdir(join(bare, 'worktrees', 'tree'), { recursive: true });
    await writeFile(join(bare, 'worktrees', 'tree', 'commondir'), '../..\n');
    await mkdir(tree);
    await writeFile(join(tree, '.git'), `gitdir: ${join(bare, 'worktrees', 'tree')}\n`);
    for (const url of [pathToFileURL(dir).href, bare, packed, tree]) {
      assert.equal((await readRepository(url, { branch: 'main' })).revision, `main@sha1:${second}`, url);
      assert.equal((await readRepository(url, { tag: 'v1.1.0' })).revision, `v1.1.0@sha1:${first}`, url);
    }
  });

  const refusals: readonly {
    readonly name: string;
    readonly url?: string;
    readonly ref: Reference;
    readonly want: string;
  }[] = [
    {
      name: 'no branch',
      ref: { branch: 'nope' },
      want: `unable to clone '<url>': couldn't find remote ref "refs/heads/nope"`,
    },
    {
      name: 'the default branch',
      ref: {},
      want: `unable to clone '<url>': couldn't find remote ref "refs/heads/master"`,
    },
    {
      name: 'no tag',
      ref: { tag: 'nope' },
      want: `unable to clone '<url>': couldn't find remote ref "refs/tags/nope"`,
    },
    { name: 'no version', ref: { semver: '>=9' }, want: 'no match found for semver: >=9' },
    { name: 'no range', ref: { semver: 'what' }, want: 'semver parse error: improper constraint: what' },
    {
      name: 'no name',
      ref: { name: 'refs/heads/zz' },
      want: "unable to resolve ref 'refs/heads/zz' to a specific commit",
    },
    {
      name: 'half a name',
      ref: { name: 'heads/main' },
      want: "unable to resolve ref 'heads/main' to a specific commit",
    },
    {
      name: 'no commit',
      ref: { commit: '1234567890123456789012345678901234567890' },
      want: "unable to resolve commit object for '1234567890123456789012345678901234567890': object not found",
    },
    {
      name: 'half a commit',
      ref: { commit: '1234567' },
      want: "unable to resolve commit object for '1234567': object not found",
    },
    {
      name: 'no repository',
      url: '/nowhere/x.git',
      ref: {},
      want: "unable to clone '/nowhere/x.git': repository not found",
    },
    {
      name: 'a repository of another machine',
      url: 'https://example.test/x.git',
      ref: {},
      want: "unable to clone 'https://example.test/x.git': the sandbox reads repositories of this machine only: an absolute path, or file:///path",
    },
    {
      name: 'a file of another machine',
      url: 'file://elsewhere/x.git',
      ref: {},
      want: "unable to clone 'file://elsewhere/x.git': the sandbox reads repositories of this machine only: an absolute path, or file:///path",
    },
  ];
  for (const { name, url, ref, want } of refusals) {
    it(`${name}: says so`, async () => {
      await assert.rejects(readRepository(url ?? dir, ref), (error: unknown) => {
        assert.ok(error instanceof Unreadable);
        assert.equal(error.reason, 'GitOperationFailed');
        assert.equal(error.message, `failed to checkout and determine revision: ${want.replace('<url>', dir)}`);
        return true;
      });
    });
  }

  it('an empty one: says so', async () => {
    const empty = join(root, 'empty.git');
    await git.init({ fs, dir: empty, bare: true, gitdir: empty, defaultBranch: 'main' });
    await assert.rejects(readRepository(empty, { branch: 'main' }), (error: unknown) => {
      assert.ok(error instanceof Unreadable);
      assert.deepEqual([error.reason, error.message], ['EmptyGitRepository', 'git repository is empty']);
      return true;
    });
  });
});
