import assert from 'node:assert/strict';
import { scopesOf } from './scopes.ts';

const names = (count: number) => Array.from({ length: count }, (_, place) => `n${place}`);

describe('scopesOf', () => {
  for (const [served, want] of [
    ['*', ['']],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
    [names(20), names(20)],
    [names(21), ['']],
  ] as const) {
    it(`watches ${served.length > 3 ? `${served.length} namespaces` : served} as ${want.length} of its own`, () => {
      assert.deepEqual(scopesOf(served), want);
    });
  }
});
