/** docs/performance.md speaks of the rows that the benchmark has. Its figures are nobody's business here. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { pageWith } from '../../bench/page.ts';
import { figureOf, goalText, type Row } from '../../bench/row.ts';
import { rows } from '../../bench/rows.ts';

const page = readFileSync(new URL('../../docs/performance.md', import.meta.url), 'utf8');

/** The cells of the rows of one chapter's table. */
function tableOf(chapter: string): string[][] {
  const text = page.split(`\n## ${chapter}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...text.matchAll(/^\| ([PS]\d+s? \|.*) \|$/gm)].map(([, cells]) => (cells ?? '').split(' | '));
}

describe('docs/performance.md', () => {
  it('shows each row of the benchmark with what it compares and its goal', () => {
    const shown = tableOf('Figures').map((cells) => [...cells.slice(0, 3), cells.at(-2)?.split(':')[0]]);
    assert.deepEqual(
      shown,
      rows.map((row) => [row.name, row.ours, row.peer, goalText(row)]),
    );
  });

  it('says how each row is measured', () => {
    assert.deepEqual(
      tableOf('Method').map(([name]) => name),
      rows.map(({ name }) => name),
    );
  });

  it('takes new figures in the place of the old ones', () => {
    const place = { kubernetes: 'v1.34.4', tekton: 'v1.15.0', at: new Date('2026-11-21T10:00:00Z') };
    const figures = rows.map((row) => figureOf(row, { rounds: [{ ours: 40_000, peer: 80_000 }] }));
    const once = pageWith(page, rows, figures, place);
    assert.match(
      once,
      /\| 40000 requests\/s \| 80000 requests\/s \| 0\.5 \(0\.5 to 0\.5\) \| ratio >= 0\.6: missed \| 2026-11-21 \|/,
    );
    assert.equal(pageWith(once, rows, figures, place), once);
  });

  it('keeps the figures of rows that were not measured anew, and takes none of another machine beside them', () => {
    const place = { kubernetes: 'v1.34.4', tekton: 'v1.15.0', at: new Date('2026-11-21T10:00:00Z') };
    const figures = rows.map((row) => figureOf(row, { rounds: [{ ours: 40_000, peer: 80_000 }] }));
    const all = pageWith(page, rows, figures, place);
    const later = { ...place, at: new Date('2026-12-01T10:00:00Z') };
    const once = pageWith(all, rows, figures.slice(1, 2), later);
    assert.equal(once.match(/\| 2026-11-21 \|$/gm)?.length, rows.length - 1);
    assert.equal(once.match(/\| 2026-12-01 \|$/gm)?.length, 1);
    const other = { ...later, kubernetes: 'v1.35.0' };
    assert.throws(() => pageWith(all, rows, figures.slice(1, 2), other), { code: 'bad-request' });
    assert.match(pageWith(all, rows, figures, other), /v1\.35\.0/);
  });
});

describe('a figure of the benchmark', () => {
  const row: Row = {
    name: 'P0',
    ours: 'a',
    peer: 'b',
    unit: 'ms',
    goal: { of: 'ratio', atLeast: 0.5 },
    measure: () => Promise.reject(new Error('only its rounds are summed up')),
  };
  const rounds = [
    { ours: 1, peer: 4 },
    { ours: 6, peer: 10 },
    { ours: 90, peer: 100 },
    { ours: 8, peer: 10 },
  ];

  it('is made of medians, that of the ratios from the rounds', () => {
    const { ours, peer, ratio, lowest, highest } = figureOf(row, { rounds });
    assert.deepEqual(
      { ours, peer, ratio, lowest, highest },
      { ours: 7, peer: 10, ratio: 0.7, lowest: 0.25, highest: 0.9 },
    );
  });

  for (const { goal, holds } of [
    { goal: { of: 'ratio', atLeast: 0.7 }, holds: true },
    { goal: { of: 'ratio', atLeast: 0.71 }, holds: false },
    { goal: { of: 'ours', named: 'p99', below: 7.5 }, holds: true },
    { goal: { of: 'ours', named: 'p99', below: 7 }, holds: false },
    { goal: { of: 'ours', named: 'p99', below: 7.5, also: { p50: 3 } }, holds: true },
    { goal: { of: 'ours', named: 'p99', below: 7.5, also: { p50: 2 } }, holds: false },
    { goal: { of: 'ours', named: 'p99', below: 7.5, also: { p10: 2 } }, holds: false },
    { goal: { of: 'difference', named: 'p99', below: -2.9, also: { p50: -6 } }, holds: true },
    { goal: { of: 'difference', named: 'p99', below: -3 }, holds: false },
    { goal: { of: 'difference', named: 'p99', below: -2.9, also: { p50: -7 } }, holds: false },
    { goal: { of: 'ours', named: 'rate', atLeast: 7 }, holds: true },
    { goal: { of: 'ours', named: 'rate', atLeast: 7.5 }, holds: false },
  ] as const) {
    it(`${holds ? 'holds' : 'misses'} ${goalText({ goal, unit: 'ms' })}`, () => {
      assert.equal(figureOf({ ...row, goal }, { rounds, also: { p50: { ours: 2, peer: 9 } } }).holds, holds);
    });
  }
});
