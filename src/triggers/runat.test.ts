import assert from 'node:assert/strict';
import { isKeyed, runAtOf } from './runat.ts';

describe('runAtOf', () => {
  const app = { namespace: 'ci', name: 'app' };

  it('is the same for the same caller, trigger and key, and fits into a label', () => {
    const runAt = runAtOf('anna', app, 'release 4711');
    assert.equal(runAtOf('anna', { ...app }, 'release 4711'), runAt);
    assert.match(runAt, /^key-[0-9a-f]{32}$/);
    assert.ok(isKeyed(runAt));
  });

  it('is another one for any other, however the texts are cut', () => {
    const all = [
      runAtOf('anna', app, 'one'),
      runAtOf('bob', app, 'one'),
      runAtOf('anna', app, 'two'),
      runAtOf('anna', { ...app, name: 'api' }, 'one'),
      runAtOf('anna', { ...app, namespace: 'cd' }, 'one'),
      runAtOf('anna', { namespace: 'c', name: 'iapp' }, 'one'),
    ];
    assert.equal(new Set(all).size, all.length);
  });
});

describe('isKeyed', () => {
  it('takes nothing that a person writes for a key', () => {
    for (const text of ['', 'now', 'key-', 'key-1', '2026-11-01T10:00:00Z']) assert.equal(isKeyed(text), false, text);
  });
});
