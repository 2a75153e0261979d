import assert from 'node:assert/strict';
import { combinations, countCombinations } from './matrix.ts';
import type { Matrix } from './types.ts';

/** Combinations in short: `browser=chrome platform=linux`. */
function told(matrix: Matrix): string[] {
  return combinations(matrix).map((params) => params.map(({ name, value }) => `${name}=${value}`).join(' '));
}

describe('combinations', () => {
  const cases: { name: string; given: Matrix; want: string[] }[] = [
    {
      name: 'every value with every other; the first parameter changes fastest',
      given: {
        params: [
          { name: 'platform', value: ['linux', 'mac'] },
          { name: 'browser', value: ['chrome', 'safari'] },
        ],
      },
      want: [
        'browser=chrome platform=linux',
        'browser=chrome platform=mac',
        'browser=safari platform=linux',
        'browser=safari platform=mac',
      ],
    },
    {
      name: 'only those that are included',
      given: { include: [{ params: [{ name: 'a', value: '1' }] }, { params: [{ name: 'a', value: '2' }] }] },
      want: ['a=1', 'a=2'],
    },
    {
      name: 'an include adds to those it agrees with',
      given: {
        params: [{ name: 'a', value: ['1', '2'] }],
        include: [
          {
            params: [
              { name: 'a', value: '2' },
              { name: 'flags', value: '-O2' },
            ],
          },
        ],
      },
      want: ['a=1', 'a=2 flags=-O2'],
    },
    {
      name: 'an include without a value of the matrix adds to all',
      given: { params: [{ name: 'a', value: ['1', '2'] }], include: [{ params: [{ name: 'b', value: 'x' }] }] },
      want: ['a=1 b=x', 'a=2 b=x'],
    },
    {
      name: 'an include with a new value is one more',
      given: { params: [{ name: 'a', value: ['1'] }], include: [{ params: [{ name: 'a', value: '9' }] }] },
      want: ['a=1', 'a=9'],
    },
  ];
  for (const { name, given, want } of cases) {
    it(name, () => {
      assert.deepEqual(told(given), want);
      assert.equal(countCombinations(given), want.length);
    });
  }

  it('an empty list is not counted, because such a task is skipped', () => {
    const params = [
      { name: 'a', value: [] },
      { name: 'b', value: ['1', '2'] },
    ];
    assert.equal(countCombinations({ params }), 2);
    assert.deepEqual(told({ params }), []);
  });
});
