/** What a row of the benchmark is, and the figure that its rounds come to. */
import type { World } from '../test/support/world.ts';

/** When a row is as it should be. */
export type Goal =
  | { readonly of: 'ratio'; readonly atLeast: number }
  /** `also`: figures of the same name in `Measured` have bounds too. */
  | {
      readonly of: 'ours';
      readonly named: string;
      readonly below: number;
      readonly also?: Readonly<Record<string, number>>;
    }
  | { readonly of: 'ours'; readonly named: string; readonly atLeast: number }
  /** How much more than the peer ours may be, and `also` those figures. */
  | {
      readonly of: 'difference';
      readonly named: string;
      readonly below: number;
      readonly also?: Readonly<Record<string, number>>;
    };

/** Ours and its peer, measured one right after the other, so that both meet the same noise of the machine. */
export interface Round<T = number> {
  readonly ours: T;
  readonly peer: T;
}

/** What a row has measured. `also` are medians worth knowing that no goal is about, by name. */
export interface Measured {
  readonly rounds: readonly Round[];
  readonly also?: Readonly<Record<string, Round>>;
}

/** What a figure is counted in. */
export type Unit = 'requests/s' | 'deliveries/s' | 'objects/s' | 'events/s' | 'runs/s' | 'MB/s' | 'ms' | 'KiB' | 'MiB';

/** One comparison. */
export interface Row {
  /** `P1`: rungate's; `S1`: the sandbox's. */
  readonly name: string;
  /** What is measured of rungate or its sandbox. */
  readonly ours: string;
  /** What it is compared with. */
  readonly peer: string;
  readonly unit: Unit;
  /** Of those figures in `also` that have another one. */
  readonly units?: Readonly<Record<string, Unit>>;
  readonly goal: Goal;
  /** Measures against the rungate of this world. Throws a Fault whose sentence says what the cluster lacks for it. */
  measure(world: World): Promise<Measured>;
}

/** What a row comes to. */
export interface Figure extends Round {
  readonly row: string;
  /** `ours / peer`. This, `ours` and `peer` are medians of the rounds, each for itself. */
  readonly ratio: number;
  /** `ratio >= 0.4`, `p99 < 100 ms`. */
  readonly goal: string;
  readonly holds: boolean;
  readonly unit: Unit;
  readonly units: Readonly<Record<string, Unit>>;
  readonly rounds: number;
  /** The lowest and the highest ratio of a round: how noisy the machine was. */
  readonly lowest: number;
  readonly highest: number;
  readonly also: Readonly<Record<string, Round>>;
}

/** Sums up the rounds of a row; there is at least one. */
export function figureOf(row: Row, { rounds, also = {} }: Measured): Figure {
  const ratios = rounds.map(({ ours, peer }) => ours / peer);
  const ours = median(rounds.map((round) => round.ours));
  const peer = median(rounds.map((round) => round.peer));
  const ratio = median(ratios);
  return {
    row: row.name,
    ours: rounded(ours),
    peer: rounded(peer),
    ratio: rounded(ratio),
    goal: goalText(row),
    holds: isReached(row.goal, { ours, peer, ratio, also }),
    unit: row.unit,
    units: row.units ?? {},
    rounds: rounds.length,
    lowest: rounded(Math.min(...ratios)),
    highest: rounded(Math.max(...ratios)),
    also: Object.fromEntries(
      Object.entries(also).map(([name, { ours, peer }]) => [name, { ours: rounded(ours), peer: rounded(peer) }]),
    ),
  };
}

function isReached(
  goal: Goal,
  { ours, peer, ratio, also }: Round & { readonly ratio: number; readonly also: Readonly<Record<string, Round>> },
): boolean {
  if (goal.of === 'ratio') return ratio >= goal.atLeast;
  if ('atLeast' in goal) return ours >= goal.atLeast;
  const measured = ({ ours, peer }: Round) => (goal.of === 'difference' ? ours - peer : ours);
  const isBelow = (round: Round | undefined, bound: number) =>
    // A figure that was not measured reaches nothing.
    round !== undefined && measured(round) < bound;
  const more = Object.entries(goal.also ?? {});
  return isBelow({ ours, peer }, goal.below) && more.every(([name, bound]) => isBelow(also[name], bound));
}

/** A goal as people write it. */
export function goalText({ goal, unit, units = {} }: Pick<Row, 'goal' | 'unit' | 'units'>): string {
  if (goal.of === 'ratio') return `ratio >= ${goal.atLeast}`;
  if ('atLeast' in goal) return `${goal.named} >= ${goal.atLeast} ${unit}`;
  const bounds = [[goal.named, goal.below] as const, ...Object.entries(goal.also ?? {})];
  const text = bounds.map(([name, below]) => `${name} < ${below} ${units[name] ?? unit}`).join(', ');
  return goal.of === 'difference' ? `${text} above the peer` : text;
}

/** The value that as many are above as below. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The smallest of `values` that at least `share` of them do not exceed; between two neighbours for a median of an even number. */
export function quantile(values: readonly number[], share: number): number {
  const ascending = values.toSorted((a, b) => a - b);
  const at = Math.ceil(share * ascending.length) - 1;
  const value = ascending[at] ?? Number.NaN;
  if (share !== 0.5 || ascending.length % 2 === 1) return value;
  return (value + (ascending[at + 1] ?? Number.NaN)) / 2;
}

/** Three digits say all that a benchmark knows. */
function rounded(value: number): number {
  return value >= 1000 ? Math.round(value) : Number(value.toPrecision(3));
}
