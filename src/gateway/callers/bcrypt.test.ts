import assert from 'node:assert/strict';
import { hashSync } from 'bcryptjs';
import { bcryptMatches } from './bcrypt.ts';

describe('the bcrypt thread', () => {
  const hash = hashSync('correct', 5);

  it('answers several questions, each its own', async () => {
    const asked = ['correct', 'wrong', 'correct', ''].map((password) => bcryptMatches(password, hash));
    assert.deepEqual(await Promise.all(asked), [true, false, true, false]);
  });

  it('looks at 72 bytes of a password, as bcrypt does', async () => {
    const long = hashSync('x'.repeat(80), 5);
    assert.deepEqual(
      [await bcryptMatches('x'.repeat(72), long), await bcryptMatches('x'.repeat(71), long)],
      [true, false],
    );
  });

  it('that breaks fails what it was asked, and the next question starts another', async () => {
    const broken = bcryptMatches(42 as unknown as string, hash); // a question that nobody can ask breaks it
    await assert.rejects(broken);
    assert.equal(await bcryptMatches('correct', hash), true);
  });
});
