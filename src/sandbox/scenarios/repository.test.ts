import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readRepository } from '../flux/repository.ts';
import { seedRepository } from './repository.ts';

describe("the demo's repository", () => {
  it('has a commit on main, and stays what it is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rungate-demo-'));
    try {
      const path = await seedRepository(folder, Date.parse('2026-11-01T10:00:00Z'));
      const first = await readRepository(path, { branch: 'main' });
      assert.equal(first.title, 'the first commit');
      const files: string[] = [];
      for await (const { path: name } of first.files()) files.push(name);
      assert.deepEqual(files, ['README.md']);
      assert.equal(await seedRepository(folder, Date.parse('2026-11-02T10:00:00Z')), path);
      assert.equal((await readRepository(path, { branch: 'main' })).revision, first.revision);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
