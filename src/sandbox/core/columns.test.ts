import assert from 'node:assert/strict';
import { age, duration } from './columns.ts';

describe('columns', () => {
  const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000];
  const cases: readonly { given: number; want: string }[] = [
    { given: -5 * second, want: '<invalid>' },
    { given: -second, want: '0s' },
    { given: 0, want: '0s' },
    { given: 119 * second, want: '119s' },
    { given: 2 * minute, want: '2m' },
    { given: 9 * minute + 59 * second, want: '9m59s' },
    { given: 10 * minute + 30 * second, want: '10m' },
    { given: 179 * minute, want: '179m' },
    { given: 3 * hour, want: '3h' },
    { given: 7 * hour + 5 * minute, want: '7h5m' },
    { given: 8 * hour + 5 * minute, want: '8h' },
    { given: 47 * hour, want: '47h' },
    { given: 2 * day, want: '2d' },
    { given: 7 * day + hour, want: '7d1h' },
    { given: 8 * day + hour, want: '8d' },
    { given: 729 * day, want: '729d' },
    { given: 2 * 365 * day, want: '2y' },
    { given: 2 * 365 * day + 3 * day, want: '2y3d' },
    { given: 9 * 365 * day + 3 * day, want: '9y' },
  ];
  for (const { given, want } of cases) it(`${given} ms are ${want}`, () => assert.equal(duration(given), want));

  it('an age without a time is unknown', () => assert.equal(age(null, 0), '<unknown>'));
  it('an age is the time since then', () =>
    assert.equal(age('2025-01-01T00:00:00Z', Date.UTC(2025, 0, 1, 0, 5)), '5m'));
});
