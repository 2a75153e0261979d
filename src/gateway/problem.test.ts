import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { answers } from './problem.ts';

describe('docs/errors.md', () => {
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z-]+)` \| (\d+) \| (.*) \|$/gm)];

  it('lists every code with its status, and no other', () => {
    const documented = Object.fromEntries(rows.map(([, code, status]) => [code, Number(status)]));
    const wanted = Object.fromEntries(Object.entries(answers).map(([code, { status }]) => [code, status]));
    assert.deepEqual(documented, wanted);
  });

  it('names Retry-After exactly where it is sent', () => {
    const documented = rows.filter(([, , , text]) => text?.includes('Retry-After')).map(([, code]) => code);
    const wanted = Object.entries(answers).flatMap(([code, { retryAfterMs }]) => (retryAfterMs ? [code] : []));
    assert.deepEqual(documented.toSorted(), wanted.toSorted());
  });
});
