import assert from 'node:assert/strict';
import { difference } from './difference.ts';

describe('difference', () => {
  it('says nothing of equal values', () => assert.equal(difference({ a: 1 }, { a: 1 }), ''));

  it('shows a change with three lines around it', () => {
    const old = { a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8 };
    assert.equal(
      difference(old, { ...old, e: 'x' }),
      [
        '@@ -3,7 +3,7 @@',
        '  "b": 2,',
        '  "c": 3,',
        '  "d": 4,',
        '- "e": 5,',
        '+ "e": "x",',
        '  "f": 6,',
        '  "g": 7,',
        '  "h": 8',
        '',
      ].join('\n'),
    );
  });

  it('shows changes that are far apart in hunks of their own', () => {
    const old = Object.fromEntries(Array.from({ length: 30 }, (_, place) => [`k${place}`, place]));
    const shown = difference(old, { ...old, k0: 'x', k29: 'y' });
    assert.deepEqual(shown.match(/^@@.*@@$/gm), ['@@ -1,5 +1,5 @@', '@@ -28,5 +28,5 @@']);
  });
});
