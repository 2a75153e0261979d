import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { Json, JsonObject } from '../object.ts';
import { StatusError } from '../status.ts';
import { applyMergePatch } from './merge.ts';

const cases: readonly {
  readonly name: string;
  readonly object: JsonObject;
  readonly patch: Json;
  readonly want: JsonObject;
}[] = [
  { name: 'adds', object: { a: 1 }, patch: { b: 2 }, want: { a: 1, b: 2 } },
  { name: 'replaces', object: { a: 1 }, patch: { a: 'x' }, want: { a: 'x' } },
  { name: 'removes', object: { a: 1, b: 2 }, patch: { a: null }, want: { b: 2 } },
  { name: 'removes what is not there', object: { a: 1 }, patch: { b: null }, want: { a: 1 } },
  {
    name: 'merges objects',
    object: { a: { b: 1, c: 2 } },
    patch: { a: { b: null, d: 3 } },
    want: { a: { c: 2, d: 3 } },
  },
  { name: 'replaces lists', object: { a: [1, 2] }, patch: { a: [3] }, want: { a: [3] } },
  {
    name: 'an object in the place of a text',
    object: { a: 'x' },
    patch: { a: { b: null, c: 1 } },
    want: { a: { c: 1 } },
  },
  { name: 'nulls in what is new', object: {}, patch: { a: { b: { c: null } } }, want: { a: { b: {} } } },
  { name: 'nulls in a new list', object: {}, patch: { a: [null, { b: null }] }, want: { a: [null, {}] } },
  {
    name: 'nulls in a list in the place of an object',
    object: { a: {} },
    patch: { a: [{ b: null }] },
    want: { a: [{ b: null }] },
  },
];

describe('merge patches', () => {
  for (const { name, object, patch, want } of cases) {
    it(name, () => {
      const before = JSON.stringify([object, patch]);
      assert.deepEqual(applyMergePatch(object, patch), want);
      assert.equal(JSON.stringify([object, patch]), before);
    });
  }

  const refusals: readonly (readonly [Json, string])[] = [
    [[1], 'error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}'],
    ['x', 'error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}'],
    [null, 'Invalid JSON Patch'],
  ];
  for (const [patch, message] of refusals) {
    it(`refuses ${JSON.stringify(patch)}`, () => {
      assert.throws(
        () => applyMergePatch({}, patch),
        (error) => error instanceof StatusError && error.code === 400 && error.message === message,
      );
    });
  }

  it('changes nothing when it is merged twice', () => {
    const letter = fc.constantFrom('a', 'b', 'c');
    const leaf = fc.constantFrom(null, 'x', 1, true);
    const any = fc.dictionary(letter, fc.oneof(leaf, fc.array(fc.constantFrom('x', 1)), fc.dictionary(letter, leaf)));
    fc.assert(
      fc.property(any, any, (left, right) => {
        const [object, patch]: JsonObject[] = JSON.parse(JSON.stringify([left, right]));
        const once = applyMergePatch(object ?? {}, patch ?? {});
        assert.deepEqual(applyMergePatch(once, patch ?? {}), once);
      }),
    );
  });
});
