/** What a replica holds over time, and whether that grows. */
import type { Gateway } from '../../test/support/gateway.ts';

/** Values over time; `at` in seconds. */
export type Series = readonly { readonly at: number; readonly value: number }[];

/** A straight line through values: where it begins and ends, and the highest of the values. */
export interface Trend {
  readonly from: number;
  readonly to: number;
  readonly highest: number;
}

/** The line of least squares through the last two thirds of a series, before which caches and pools fill; at least two values. */
export function trendOf(series: Series): Trend {
  const last = series.at(-1)?.at ?? 0;
  const first = series[0]?.at ?? 0;
  const judged = series.filter(({ at }) => at >= first + (last - first) / 3);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [midAt, midValue] = [mean(judged.map(({ at }) => at)), mean(judged.map(({ value }) => value))];
  const spread = judged.reduce((sum, { at }) => sum + (at - midAt) ** 2, 0);
  const slope =
    spread === 0 ? 0 : judged.reduce((sum, { at, value }) => sum + (at - midAt) * (value - midValue), 0) / spread;
  const on = (at: number) => midValue + slope * (at - midAt);
  return { from: on(judged[0]?.at ?? 0), to: on(last), highest: Math.max(...series.map(({ value }) => value)) };
}

/** What a replica holds now, from its own metrics. */
export interface Vitals {
  readonly residentBytes: number;
  readonly sockets: number;
  readonly openStreams: number;
}

/** Asks a replica for its vitals. */
export async function vitalsOf({ metrics }: Pick<Gateway, 'metrics'>): Promise<Vitals> {
  const text = await metrics();
  const value = (series: string) => {
    const line = text.split('\n').find((each) => each.startsWith(`${series} `));
    return line === undefined ? 0 : Number(line.slice(series.length + 1));
  };
  return {
    residentBytes: value('process_resident_memory_bytes'),
    sockets: value('nodejs_active_resources{type="TCPSocketWrap"}'),
    openStreams: value('rungate_log_streams_open'),
  };
}
