import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLeft } from './leftfile.ts';

describe('what a program has left', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'left-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const cases: readonly { readonly name: string; make(path: string): void; readonly want: string | undefined }[] = [
    { name: 'a file', make: (path) => writeFileSync(path, 'one\ntwo'), want: 'one\ntwo' },
    { name: 'an empty file', make: (path) => writeFileSync(path, ''), want: '' },
    { name: 'a long file', make: (path) => writeFileSync(path, 'a'.repeat(1_000)), want: 'a'.repeat(10) },
    {
      name: 'a file larger than what Node can read',
      make(path) {
        writeFileSync(path, 'b'.repeat(10));
        truncateSync(path, 2 ** 40);
      },
      want: 'b'.repeat(10),
    },
    { name: 'nothing', make() {}, want: undefined },
    { name: 'a folder', make: (path) => mkdirSync(path), want: undefined },
    { name: 'a pipe', make: (path) => execFileSync('mkfifo', [path]), want: undefined },
    { name: 'a link to a device', make: (path) => symlinkSync('/dev/zero', path), want: undefined },
    { name: 'a link to itself', make: (path) => symlinkSync(path, path), want: undefined },
  ];
  for (const { name, make, want } of cases) {
    it(`is read: ${name}`, () => {
      const path = join(folder, 'left');
      make(path);
      assert.equal(readLeft(path, 10), want);
    });
  }
});
