/** Figures for people: the table on the terminal, and the one in docs/performance.md. */
import { availableParallelism, cpus, totalmem } from 'node:os';
import { Fault } from '../src/fault.ts';
import { type Figure, goalText, type Row } from './row.ts';

const BEGIN = '<!-- figures: made by npm run bench -- --write -->';
const END = '<!-- end of figures -->';
const NOT_MEASURED = 'not measured yet';

/** What a figure was measured on. */
export interface Place {
  /** `v1.34.4` */
  readonly kubernetes: string;
  /** `v1.15.0`; undefined where it does not say. */
  readonly tekton: string | undefined;
  readonly at: Date;
}

/** The machine and the versions, in a sentence. */
export function placeText({ kubernetes, tekton }: Place): string {
  const machine = `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'of an unknown kind'}), ${Math.round(totalmem() / 2 ** 30)} GiB of memory`;
  const versions = `Node.js ${process.version}, Kubernetes ${kubernetes}, Tekton Pipelines ${tekton ?? 'of an unknown version'}`;
  return `${machine}; ${versions}.`;
}

/** A table for a terminal: a line for each figure, and one below for what else was measured. */
export function terminalTable(figures: readonly Figure[]): string {
  const lines = [
    ['row', 'rungate', 'peer', 'unit', 'ratio', 'rounds', 'goal', ''],
    ...figures.flatMap(({ row, ours, peer, unit, ratio, lowest, highest, goal, holds, also, units }) => [
      [row, ours, peer, unit, ratio, `${lowest} to ${highest}`, goal, holds ? 'holds' : 'MISSED'].map(String),
      ...Object.entries(also).map(([name, more]) => [
        ` ${name}`,
        String(more.ours),
        String(more.peer),
        units[name] ?? unit,
      ]),
    ]),
  ];
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return `${lines
    .map((line) =>
      line
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')}\n`;
}

/**
 * docs/performance.md with these figures in the place of the former ones; rows without a figure keep theirs. Fault `bad-request`
 * where those that are kept are of another machine or of other versions; throws when the page has no place for figures.
 */
export function pageWith(page: string, rows: readonly Row[], figures: readonly Figure[], place: Place): string {
  const [before, rest] = page.split(BEGIN);
  const [inside, after] = rest?.split(END) ?? [];
  if (before === undefined || inside === undefined || after === undefined) {
    throw new Error(`docs/performance.md lacks ${BEGIN} or ${END}`);
  }
  const kept = keptCells(inside);
  for (const { row } of figures) kept.delete(row);
  const isElsewhere = !inside.includes(placeText(place));
  if (isElsewhere && rows.some(({ name }) => kept.has(name))) {
    throw new Fault(
      'bad-request',
      'the figures of docs/performance.md were measured on another machine or with other versions: measure all rows',
    );
  }
  return `${before}${BEGIN}\n\n${placeText(place)}\n\n${pageTable(rows, figures, kept, place)}\n\n${END}${after}`;
}

/** What stands there of each row that was measured: its figures and its day, by name. */
function keptCells(table: string): Map<string, readonly string[]> {
  const lines = [...table.matchAll(/^\| (\w+) \|(.*)\|$/gm)].map(([, name = '', cells = '']) => ({
    name,
    cells: cells.split('|').map((cell) => cell.trim()),
  }));
  return new Map(
    lines.filter(({ cells }) => cells[2] !== NOT_MEASURED).map(({ name, cells }) => [name, cells.slice(2)] as const),
  );
}

function pageTable(
  rows: readonly Row[],
  figures: readonly Figure[],
  kept: ReadonlyMap<string, readonly string[]>,
  { at }: Place,
): string {
  const lines = rows.map((row) => {
    const figure = figures.find(({ row: name }) => name === row.name);
    const cells = figure
      ? [
          withUnit(figure.ours, 'ours', figure),
          withUnit(figure.peer, 'peer', figure),
          `${figure.ratio} (${figure.lowest} to ${figure.highest})`,
          `${goalText(row)}: ${figure.holds ? 'holds' : 'missed'}`,
          at.toISOString().slice(0, 10),
        ]
      : (kept.get(row.name) ?? [NOT_MEASURED, '', '', goalText(row), '']);
    return `| ${[row.name, row.ours, row.peer, ...cells].join(' | ')} |`;
  });
  return [
    '| Row | rungate | Peer | rungate’s figure | Peer’s figure | Ratio (rounds) | Goal | Measured |',
    '|---|---|---|---|---|---|---|---|',
    ...lines,
  ].join('\n');
}

/** `12.3 ms (p50 4 ms)` */
function withUnit(value: number, whose: 'ours' | 'peer', { unit, units, also }: Figure): string {
  const more = Object.entries(also).map(([name, round]) => `${name} ${round[whose]} ${units[name] ?? unit}`);
  return `${value} ${unit}${more.length > 0 ? ` (${more.join(', ')})` : ''}`;
}
