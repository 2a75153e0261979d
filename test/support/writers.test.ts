import assert from 'node:assert/strict';
import { secondWriters, type Write, writesThrough } from './writers.ts';

const lease = (who: string, from: number, more: Partial<Write> = {}): Write => ({
  who,
  what: 'lease',
  from,
  until: from + 1,
  isTaken: true,
  shown: 'PUT lease',
  ...more,
});
const object = (who: string, from: number, until = from + 1): Write => ({
  ...lease(who, from),
  what: 'object',
  until,
  shown: 'POST run',
});

describe('secondWriters', () => {
  const cases: readonly [name: string, writes: readonly Write[], want: readonly string[]][] = [
    ['nobody wrote', [], []],
    ['one, who holds the Lease', [lease('a', 0), object('a', 2), lease('a', 4), object('a', 6, 9), lease('a', 8)], []],
    ['one after the other', [lease('a', 0), object('a', 2), lease('b', 5), object('b', 7)], []],
    ['one who never held it', [object('a', 2)], ['POST run by a while nobody held the Lease']],
    [
      'one who holds it no more',
      [lease('a', 0), lease('b', 5), object('a', 7), object('b', 8)],
      ['POST run by a while b held the Lease'],
    ],
    [
      'one whose write goes on when another takes it',
      [lease('a', 0), object('a', 2, 9), lease('b', 5)],
      ['POST run by a while a, then b held the Lease'],
    ],
    ['another who tried in vain', [lease('a', 0), object('a', 2, 9), lease('b', 5, { isTaken: false })], []],
  ];
  for (const [name, writes, want] of cases) {
    it(name, () => assert.deepEqual(secondWriters([...writes].reverse()), want));
  }
});

describe('writesThrough', () => {
  it('leaves out what is only read, and takes an answer that was lost for one that was given', () => {
    const passed = {
      method: 'PUT',
      path: '/apis/coordination.k8s.io/v1/namespaces/team/leases/l',
      query: new URLSearchParams(),
      who: 'a',
      start: 1,
      end: 2,
      status: 200,
      bytes: 0,
      error: undefined,
      fault: undefined,
      body: undefined,
    };
    const requests = [
      { ...passed, method: 'GET' },
      passed,
      { ...passed, path: '/runs', method: 'POST', status: undefined, end: undefined, fault: 'lost' as const },
      { ...passed, path: '/runs', method: 'POST', status: 409 },
    ];
    assert.deepEqual(
      writesThrough([{ requests }]).map(({ what, until, isTaken }) => [what, until, isTaken]),
      [
        ['lease', 2, true],
        ['object', Number.POSITIVE_INFINITY, true],
        ['object', 2, false],
      ],
    );
  });
});
