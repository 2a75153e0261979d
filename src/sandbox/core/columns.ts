/** Columns of `kubectl get`, and the ages in them. */
import type { Column } from '../api/kind.ts';
import type { Json, KubeObject } from '../object.ts';

/** A column that is always shown, or with `-o wide` only. */
export function column(
  name: string,
  description: string,
  cell: (object: KubeObject, nowMs: number) => string | number,
  options: { readonly wide?: true } = {},
): Column {
  return { name, type: 'string', format: '', description, priority: options.wide === true ? 1 : 0, cell };
}

/** `Age`: the time since the object was created. */
export const ageColumn: Column = column('Age', 'Time since the object was created', ({ metadata }, nowMs) =>
  age(metadata.creationTimestamp, nowMs),
);

/** The time since `time` as kubectl writes it: `5m`, `3d4h`; `<unknown>` without a time. */
export function age(time: Json | undefined, nowMs: number): string {
  return typeof time === 'string' && time !== '' ? duration(nowMs - Date.parse(time)) : '<unknown>';
}

/**
 * A length of time in two units at most, the smaller one only while it matters.
 * https://pkg.go.dev/k8s.io/apimachinery/pkg/util/duration#HumanDuration
 */
export function duration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return inUnits(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return inUnits(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return inUnits(days, 'd', hours % 24, 'h');
  if (days < 2 * 365) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? inUnits(years, 'y', days % 365, 'd') : `${years}y`;
}

function inUnits(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}
