/** Durations as Go writes them, which is how Tekton's timeouts are spelled. https://pkg.go.dev/time#ParseDuration */

const units: ReadonlyMap<string, number> = new Map([
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
  ['us', 1e-3],
  ['µs', 1e-3],
  ['ns', 1e-6],
]);

/** `1h0m0s` in milliseconds; 0 for what is no duration. */
export function parseDuration(text: string): number {
  let ms = 0;
  for (const [, count = '0', unit = ''] of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)/g)) {
    ms += Number(count) * (units.get(unit) ?? 0);
  }
  return text.startsWith('-') ? -ms : ms;
}

/** Milliseconds as `1h0m0s`, `1m30s`, `2.5s`, `250ms` or `0s`. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms === 0) return '0s';
  if (ms < 1_000) return `${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = `${(ms % 60_000) / 1_000}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}
