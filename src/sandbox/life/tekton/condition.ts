/** The condition `Succeeded`, which says how a run stands. */
import type { Condition, Run } from './types.ts';

/** A verdict without its time. */
export interface Verdict {
  readonly status: Condition['status'];
  readonly reason: string;
  readonly message: string;
}

/** A moment as Kubernetes writes it, in whole seconds. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** The condition of type `Succeeded`; undefined when nobody has looked at the run yet. */
export function succeeded(status: { readonly conditions?: readonly Condition[] } | undefined): Condition | undefined {
  return status?.conditions?.find(({ type }) => type === 'Succeeded');
}

/** The conditions with this verdict. The time moves when anything of it changes, as Knative has it; others stay. */
export function withVerdict(
  conditions: readonly Condition[] | undefined,
  { status, reason, message }: Verdict,
  now: number,
): readonly Condition[] {
  const before = succeeded(conditions === undefined ? undefined : { conditions });
  const same =
    before !== undefined &&
    before.status === status &&
    (before.reason ?? '') === reason &&
    (before.message ?? '') === message;
  if (same && conditions !== undefined) return conditions;
  const condition: Condition = {
    lastTransitionTime: timestamp(now),
    ...(message === '' ? {} : { message }),
    ...(reason === '' ? {} : { reason }),
    status,
    type: 'Succeeded',
  };
  const others = (conditions ?? []).filter(({ type }) => type !== 'Succeeded');
  return [...others, condition].sort((a, b) => (a.type < b.type ? -1 : 1));
}

/** True or False, for good. */
export function isDone(run: Pick<Run, 'status'>): boolean {
  const status = succeeded(run.status)?.status;
  return status === 'True' || status === 'False';
}

/** It ended well. */
export function isSuccessful(run: Pick<Run, 'status'>): boolean {
  return succeeded(run.status)?.status === 'True';
}

/** It ended, and not well. */
export function isFailed(run: Pick<Run, 'status'>): boolean {
  return succeeded(run.status)?.status === 'False';
}
