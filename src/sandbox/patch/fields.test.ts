import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { Json } from '../object.ts';
import {
  asMember,
  difference,
  type Fields,
  intersection,
  isEmpty,
  isSame,
  keyElement,
  NONE,
  parseFields,
  pathsOf,
  union,
  valueElement,
  without,
} from './fields.ts';

/** Any set, by way of its paths: the model that the operations are held against. */
const paths = fc.uniqueArray(fc.stringMatching(/^[abc](\.[abc]){0,2}$/), { maxLength: 8 });

function setOf(members: readonly string[]): Fields {
  return members.reduce((set, path) => {
    const elements = path.split('.').map((name) => `f:${name}`);
    const one = elements.reduceRight<Fields>(
      (below, element, place) => ({
        [element]: place === elements.length - 1 ? NONE : below,
      }),
      {},
    );
    return union(set, one);
  }, {} as Fields);
}

function membersOf(fields: Fields): string[] {
  return pathsOf(fields)
    .map((path) => path.slice(1))
    .sort();
}

describe('sets of fields', () => {
  it('have the members they were made of', () => {
    fc.assert(fc.property(paths, (members) => assert.deepEqual(membersOf(setOf(members)), [...members].sort())));
  });

  it('are united, intersected and subtracted as sets are', () => {
    fc.assert(
      fc.property(paths, paths, (left, right) => {
        const [a, b] = [setOf(left), setOf(right)];
        assert.deepEqual(membersOf(union(a, b)), [...new Set([...left, ...right])].sort());
        assert.deepEqual(membersOf(intersection(a, b)), left.filter((path) => right.includes(path)).sort());
        assert.deepEqual(membersOf(difference(a, b)), left.filter((path) => !right.includes(path)).sort());
        const below = (path: string) => right.some((other) => path === other || path.startsWith(`${other}.`));
        assert.deepEqual(membersOf(without(a, b)), left.filter((path) => !below(path)).sort());
        assert.equal(isSame(a, b), [...left].sort().join() === [...right].sort().join());
        assert.equal(isEmpty(difference(a, a)), true);
      }),
    );
  });

  it('are read as they are written', () => {
    fc.assert(
      fc.property(paths, (members) => {
        const fields = setOf(members);
        assert.equal(parseFields(fields), fields);
      }),
    );
  });

  const wires: readonly { readonly name: string; readonly wire: Json; readonly want: Json | undefined }[] = [
    { name: 'another order', wire: { 'f:b': {}, 'f:a': {} }, want: { 'f:a': {}, 'f:b': {} } },
    {
      name: 'the member itself last',
      wire: { 'f:a': { 'f:b': {}, '.': {} } },
      want: { 'f:a': { '.': {}, 'f:b': {} } },
    },
    {
      name: 'keys that are numbers',
      wire: { 'k:{"port":443}': {}, 'k:{"port":80}': {} },
      want: { 'k:{"port":80}': {}, 'k:{"port":443}': {} },
    },
    {
      name: 'values of several types',
      wire: { 'v:true': {}, 'v:"a"': {}, 'v:2': {} },
      want: { 'v:2': {}, 'v:"a"': {}, 'v:true': {} },
    },
    { name: 'an unknown type of element', wire: { 'f:a': {}, 'z:b': {} }, want: { 'f:a': {} } },
    { name: 'no type', wire: { a: {} }, want: undefined },
    { name: 'no JSON after k:', wire: { 'k:{': {}, 'k:}': {} }, want: undefined },
    { name: 'a text', wire: { 'f:a': 'x' }, want: undefined },
    { name: 'a list', wire: [], want: undefined },
  ];
  for (const { name, wire, want } of wires) {
    it(`of a client: ${name}`, () => assert.equal(JSON.stringify(parseFields(wire)), JSON.stringify(want)));
  }

  it('are told as paths', () => {
    const fields: Fields = {
      'f:spec': asMember({
        'f:ports': {
          [keyElement([
            ['port', 80],
            ['protocol', 'TCP'],
          ])]: asMember({ 'f:name': NONE }),
        },
        'f:set': { [valueElement('a<b')]: NONE, 'i:3': NONE },
      }),
    };
    assert.deepEqual(pathsOf(fields), [
      '.spec',
      '.spec.ports[port=80,protocol="TCP"]',
      '.spec.ports[port=80,protocol="TCP"].name',
      '.spec.set[="a<b"]',
      '.spec.set[3]',
    ]);
    assert.equal(valueElement('a<b'), 'v:"a\\u003cb"');
  });
});
