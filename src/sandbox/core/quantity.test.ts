import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseQuantity, writeQuantity } from './quantity.ts';

describe('quantity', () => {
  const cases: readonly { given: string | number; want: string }[] = [
    { given: '1000m', want: '1' },
    { given: '1.5', want: '1500m' },
    { given: 0.5, want: '500m' },
    { given: '1024Mi', want: '1Gi' },
    { given: '0.5Gi', want: '512Mi' },
    { given: '1.5Gi', want: '1536Mi' },
    { given: '0.5Ki', want: '512' },
    { given: '1025Ki', want: '1025Ki' },
    { given: 1000, want: '1k' },
    { given: '128974848', want: '128974848' },
    { given: '1e3', want: '1e3' },
    { given: '12E6', want: '12e6' },
    { given: '1E', want: '1E' },
    { given: '0', want: '0' },
    { given: '0Gi', want: '0' },
    { given: '-1', want: '-1' },
    { given: '+2', want: '2' },
    { given: '.5', want: '500m' },
    { given: '5.', want: '5' },
    { given: '0.1n', want: '1n' },
    { given: '100u', want: '100u' },
  ];
  for (const { given, want } of cases) {
    it(`writes ${given} as ${want}`, () => {
      const amount = parseQuantity(given);
      assert.ok(amount !== undefined);
      assert.equal(writeQuantity(amount), want);
    });
  }

  for (const given of ['', 'abc', '1.2.3', '1Zi', '1 Gi', '.', '1e', '--1']) {
    it(`cannot read '${given}'`, () => assert.equal(parseQuantity(given), undefined));
  }

  it('reads what it has written as the same amount', () => {
    const suffix = fc.constantFrom('', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e3');
    fc.assert(
      fc.property(fc.integer({ min: -1_000_000, max: 1_000_000 }), suffix, (digits, unit) => {
        const amount = parseQuantity(`${digits}${unit}`);
        assert.ok(amount !== undefined);
        const again = parseQuantity(writeQuantity(amount));
        assert.equal(again?.nanos, amount.nanos);
        assert.equal(again === undefined ? '' : writeQuantity(again), writeQuantity(amount));
      }),
    );
  });
});
