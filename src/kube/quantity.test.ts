import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isQuantity } from './quantity.ts';

describe('quantities', () => {
  for (const text of [
    '1',
    '1Gi',
    '+1Gi',
    '0.5Gi',
    '.5Gi',
    '5.Gi',
    '500M',
    '100k',
    '1E',
    '1E3',
    '1e3',
    '1e-3',
    '12e6',
    '128974848',
    '100m',
    '1Ei',
    '5n',
  ]) {
    it(`${text} is one`, () => assert.equal(isQuantity(text), true));
  }
  for (const text of [
    '',
    'abc',
    '1GB',
    '1gi',
    '-1Gi',
    '0',
    '0Gi',
    '0.0',
    '.',
    '.Gi',
    '1 Gi',
    ' 1Gi',
    '1Gi\n',
    '1,5Gi',
    '1.2.3',
    '1e',
    '1ee3',
    '1e3Gi',
    '1K',
    '0x10',
    'Infinity',
    '1'.repeat(65),
  ]) {
    it(`${JSON.stringify(text)} is none`, () => assert.equal(isQuantity(text), false));
  }

  it('whole numbers with any suffix are, unless they are zero', () => {
    const suffixes = [
      '',
      'n',
      'u',
      'm',
      'k',
      'M',
      'G',
      'T',
      'P',
      'E',
      'Ki',
      'Mi',
      'Gi',
      'Ti',
      'Pi',
      'Ei',
      'e2',
      'E+2',
      'e-2',
    ];
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(...suffixes), (number, suffix) => {
        assert.equal(isQuantity(`${number}${suffix}`), number > 0);
      }),
    );
  });
});
