import assert from 'node:assert/strict';
import fc from 'fast-check';
import { normalRevision, parseImage, parseRevision, sameRevision } from './revision.ts';

const SHA1 = '03da4fd0d2c9d2b2b1f0ac5ee7b2a7b2f3b9e4c1';
const SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

describe('revisions', () => {
  const table: [text: string, pointer: string, branchName: string, algorithm?: string | undefined, digest?: string][] =
    [
      [`main@sha1:${SHA1}`, 'main', 'main', 'sha1', SHA1],
      ['main@sha1:03da4f', 'main', 'main', 'sha1', '03da4f'],
      [`main/${SHA1}`, 'main', 'main', undefined, SHA1],
      [`main/${SHA256}`, 'main', 'main', undefined, SHA256],
      [`feature/x@sha1:${SHA1}`, 'feature/x', 'feature/x', 'sha1', SHA1],
      [`feature/x/${SHA1}`, 'feature/x', 'feature/x', undefined, SHA1],
      [`feature/Login_ü@2@sha1:${SHA1}`, 'feature/Login_ü@2', 'feature/Login_ü@2', 'sha1', SHA1],
      [`feature/Login_ü@2/${SHA1}`, 'feature/Login_ü@2', 'feature/Login_ü@2', undefined, SHA1],
      [`refs/heads/main@sha1:${SHA1}`, 'refs/heads/main', 'main', 'sha1', SHA1],
      [`refs/heads/feature/x/${SHA1}`, 'refs/heads/feature/x', 'feature/x', undefined, SHA1],
      [`refs/tags/v1.2.0@sha1:${SHA1}`, 'refs/tags/v1.2.0', 'v1.2.0', 'sha1', SHA1],
      [`refs/pull/7/head@sha1:${SHA1}`, 'refs/pull/7/head', 'refs/pull/7/head', 'sha1', SHA1],
      [`v1.2.0@sha1:${SHA1}`, 'v1.2.0', 'v1.2.0', 'sha1', SHA1],
      [`sha1:${SHA1}`, '', '', 'sha1', SHA1],
      [`@sha1:${SHA1}`, '', '', 'sha1', SHA1],
      [`latest@sha256:${SHA256}`, 'latest', 'latest', 'sha256', SHA256],
      [`sha256:${SHA256.toUpperCase()}`, '', '', 'sha256', SHA256],
      [SHA256, '', '', undefined, SHA256],
      ['main', 'main', 'main'],
      ['main/abc', 'main/abc', 'main/abc'],
      ['nginx:1.0', 'nginx:1.0', 'nginx:1.0'],
      ['main@sha1:', 'main@sha1:', 'main@sha1:'],
      ['a@b', 'a@b', 'a@b'],
      ['', '', ''],
    ];
  for (const [text, pointer, branchName, algorithm, digest] of table) {
    it(`takes ${JSON.stringify(text)} apart`, () => {
      assert.deepEqual(parseRevision(text), {
        pointer,
        branchName,
        ...(algorithm === undefined ? {} : { algorithm }),
        ...(digest === undefined ? {} : { digest }),
      });
    });
  }

  it('trigger 44: the same commit of the same branch is the same in every format', () => {
    const same = [`main/${SHA1}`, `main@sha1:${SHA1}`, `refs/heads/main@sha1:${SHA1}`, `refs/heads/main/${SHA1}`];
    for (const one of same) for (const other of same) assert.equal(sameRevision(one, other), true, `${one} ${other}`);
  });

  it('trigger 44: a commit of which no branch is told is the same before and after an upgrade of Flux', () => {
    const same = [`HEAD/${SHA1}`, `sha1:${SHA1}`, SHA1];
    for (const one of same) for (const other of same) assert.equal(sameRevision(one, other), true, `${one} ${other}`);
    assert.equal(sameRevision(`HEAD/${SHA1}`, `main/${SHA1}`), false);
  });

  const normal: [text: string, want: string][] = [
    [`main/${SHA1}`, `main@sha1:${SHA1}`],
    [`feature/x/${SHA256}`, `feature/x@sha256:${SHA256}`],
    [`HEAD/${SHA1}`, `sha1:${SHA1}`],
    [SHA256, `sha256:${SHA256}`],
    [`refs/pull/7/head@sha1:${SHA1}`, `refs/pull/7/head@sha1:${SHA1}`],
    [`HEAD@sha1:${SHA1}`, `HEAD@sha1:${SHA1}`],
    [`@SHA1:${SHA1.toUpperCase()}`, `sha1:${SHA1}`],
    ['6.5.0', '6.5.0'],
    ['1.2.3+4', '1.2.3+4'],
    ['', ''],
  ];
  for (const [text, want] of normal) {
    it(`event 21: writes ${JSON.stringify(text)} as it is written today`, () => {
      assert.equal(normalRevision(text), want);
      assert.equal(normalRevision(want), want);
      assert.equal(sameRevision(normalRevision(text), text), true);
    });
  }

  it('another branch or another commit is not', () => {
    const different = [`main@sha1:${SHA1}`, `next@sha1:${SHA1}`, `main@sha1:${SHA256}`, `sha1:${SHA1}`, 'main', ''];
    for (const one of different) {
      assert.deepEqual(
        different.filter((other) => sameRevision(one, other)),
        [one],
      );
    }
  });

  const branch = fc.string({ unit: 'binary', minLength: 1, maxLength: 80 });
  const commit = fc.stringMatching(/^[0-9a-f]{40}$/);

  it('any branch comes out of any format as it went in', () => {
    fc.assert(
      fc.property(branch, commit, (name, sha) => {
        fc.pre(!name.startsWith('refs/') && name !== 'HEAD');
        for (const text of [`${name}@sha1:${sha}`, `${name}/${sha}`, `refs/heads/${name}@sha1:${sha}`]) {
          const { branchName, digest } = parseRevision(text);
          assert.deepEqual({ branchName, digest }, { branchName: name, digest: sha });
        }
        assert.equal(sameRevision(`${name}/${sha}`, `refs/heads/${name}@sha1:${sha}`), true);
      }),
    );
  });

  it('any text can be taken apart, in time that grows with its length', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => typeof parseRevision(text).pointer === 'string'));
    for (const piece of ['@', '/', 'a:', 'a@a:', 'a-', 'refs/heads/']) parseRevision(piece.repeat(2000));
  });
});

describe('images', () => {
  const table: [text: string, name: string, tag: string, digest?: string][] = [
    ['ghcr.io/org/nginx:v0.0.2', 'ghcr.io/org/nginx', 'v0.0.2'],
    ['reg:5000/org/team/nginx:1.2', 'reg:5000/org/team/nginx', '1.2'],
    ['reg:5000/nginx', 'reg:5000/nginx', ''],
    ['nginx:1.2', 'nginx', '1.2'],
    ['nginx', 'nginx', ''],
    ['nginx:1.2@sha256:abc', 'nginx', '1.2', 'sha256:abc'],
    ['reg:5000/nginx@sha256:abc', 'reg:5000/nginx', '', 'sha256:abc'],
    ['', '', ''],
    [':', '', ''],
    ['/', '/', ''],
  ];
  for (const [text, name, tag, digest] of table) {
    it(`takes ${JSON.stringify(text)} apart`, () => {
      assert.deepEqual(parseImage(text), { name, tag, ...(digest === undefined ? {} : { digest }) });
    });
  }

  it('any text can be taken apart', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => typeof parseImage(text).name === 'string'));
  });
});
