import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { isStored, removeArtifacts, storeArtifact } from './artifact.ts';
import type { File } from './repository.ts';

describe('an artifact', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rungate-artifact-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const file = (path: string, content: string, isExecutable = false): File => ({
    path,
    isExecutable,
    bytes: Buffer.from(content),
  });
  const from = (...files: readonly File[]) =>
    async function* () {
      yield* files;
    };
  const place = (commit: string) => ({ folder, namespace: 'apps', name: 'web', commit });
  const long = `${'folder/'.repeat(20)}file.txt`;

  it('is a gzipped tar whose digest and size are those of its bytes', async () => {
    const files = from(file('a.txt', 'one'), file('bin/run', '#!/bin/sh\n', true), file(long, 'deep'));
    const stored = await storeArtifact(place('c1'), files, '');
    assert.equal(stored.path, 'gitrepository/apps/web/c1.tar.gz');
    assert.equal(stored.url, `file://${folder}/${stored.path}`);
    const bytes = await readFile(join(folder, stored.path));
    assert.equal(stored.size, bytes.length);
    assert.equal(stored.digest, `sha256:${createHash('sha256').update(bytes).digest('hex')}`);
    assert.equal(gunzipSync(bytes).length % 512, 0);
    assert.deepEqual(
      entriesIn(gunzipSync(bytes)).filter((entry) => !entry.startsWith('755 folder') && !entry.startsWith('755 bin/ ')),
      ['644 a.txt one', '755 bin/run #!/bin/sh\n', `644 ${long} deep`],
    );
  });

  it('is the same for the same files, and another for others', async () => {
    const one = await storeArtifact(place('c1'), from(file('a', '1'), file('b', '2')), '');
    const two = await storeArtifact(place('c2'), from(file('a', '1'), file('b', '2')), '');
    const three = await storeArtifact(place('c3'), from(file('a', '1'), file('b', '3')), '');
    assert.equal(one.digest, two.digest);
    assert.notEqual(one.digest, three.digest);
  });

  it('does not have the files that are left out', async () => {
    const files = from(file('.sourceignore', '*.md'), file('a.md', 'x'), file('b.txt', 'y'), file('c.txt', 'z'));
    const all = await storeArtifact(place('c1'), files, 'c.txt');
    const few = await storeArtifact(place('c2'), from(file('.sourceignore', '*.md'), file('b.txt', 'y')), '');
    assert.equal(all.digest, few.digest);
  });

  it('takes the place of the one before, and goes with its object', async () => {
    const one = await storeArtifact(place('c1'), from(file('a', '1')), '');
    const two = await storeArtifact(place('c2'), from(file('a', '2')), '');
    assert.deepEqual(await readdir(join(folder, 'gitrepository', 'apps', 'web')), ['c2.tar.gz']);
    assert.deepEqual([await isStored(folder, one.path), await isStored(folder, two.path)], [false, true]);
    await removeArtifacts({ folder, namespace: 'apps', name: 'web' });
    await removeArtifacts({ folder, namespace: 'apps', name: 'web' });
    assert.equal(await isStored(folder, two.path), false);
  });
});

/** Mode, path and content of every entry of a tar. */
function entriesIn(tar: Buffer): string[] {
  const entries: string[] = [];
  let longPath: string | undefined;
  for (let at = 0; at < tar.length && tar[at] !== 0; ) {
    const text = (from: number, length: number) =>
      tar.toString('utf8', at + from, at + from + length).split('\0')[0] ?? '';
    const size = Number.parseInt(text(124, 12), 8);
    const content = tar.toString('utf8', at + 512, at + 512 + size);
    const sum = tar
      .subarray(at, at + 512)
      .reduce((all, byte, place) => all + (place >= 148 && place < 156 ? 32 : byte), 0);
    assert.equal(Number.parseInt(text(148, 8), 8), sum);
    if (text(156, 1) === 'x') longPath = /^(\d+) path=(.*)\n$/.exec(content)?.[2];
    else {
      entries.push(`${Number.parseInt(text(100, 8), 8).toString(8)} ${longPath ?? text(0, 100)} ${content}`);
      longPath = undefined;
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return entries;
}
