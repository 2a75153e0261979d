import assert from 'node:assert/strict';
import { trendOf } from './vitals.ts';

describe('a trend', () => {
  const series = (value: (at: number) => number) => Array.from({ length: 31 }, (_, at) => ({ at, value: value(at) }));

  it('follows what grows', () => {
    const { from, to, highest } = trendOf(series((at) => 100 + at));
    assert.deepEqual([Math.round(from), Math.round(to), highest], [110, 130, 130]);
  });

  it('is flat where values only waver', () => {
    const { from, to } = trendOf(series((at) => 100 + (at % 2)));
    assert.ok(Math.abs(to - from) < 0.5);
  });

  it('forgets the beginning, when caches fill', () => {
    const { from, to } = trendOf(series((at) => Math.min(at, 10)));
    assert.deepEqual([from, to], [10, 10]);
  });
});
