/** Conditions as Flux's controllers keep them. https://fluxcd.io/flux/components/source/gitrepositories/#conditions */
import { objectsIn, textIn } from '../core/reading.ts';
import type { Json, JsonObject } from '../object.ts';

/** `status.conditions[]`. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

/** What is said of one condition; generation and time are the object's and the moment's. */
export type Said = Omit<Condition, 'observedGeneration' | 'lastTransitionTime'>;

/** When and of which generation something is said. */
export interface Moment {
  readonly generation: number;
  readonly nowMs: number;
}

/**
 * `conditions` with `said` in place of those of the same types, and without those of `gone`. A time moves when anything
 * about its condition has changed. Ordered as Flux orders them: those that people ask for first, then the newest.
 */
export function withConditions(
  conditions: readonly Condition[],
  said: readonly Said[],
  gone: readonly string[],
  { generation, nowMs }: Moment,
): readonly Condition[] {
  const left = conditions.filter(({ type }) => !gone.includes(type) && !said.some((one) => one.type === type));
  const set = said.map((one) => {
    const before = conditions.find(({ type }) => type === one.type);
    const isSame =
      before !== undefined &&
      before.status === one.status &&
      before.reason === one.reason &&
      before.message === one.message &&
      before.observedGeneration === generation;
    return isSame ? before : { ...one, observedGeneration: generation, lastTransitionTime: timestamp(nowMs) };
  });
  return [...left, ...set].sort(
    (a, b) =>
      placeOf(a.type) - placeOf(b.type) || b.observedGeneration - a.observedGeneration || (a.type < b.type ? -1 : 1),
  );
}

/** The conditions of an object, as its API has validated them. */
export function conditionsOf(status: JsonObject): readonly Condition[] {
  // The kind's schema says so of every condition that is stored.
  return objectsIn(status.conditions) as unknown as readonly Condition[];
}

/** The status of one condition; undefined when it is not there. */
export function statusOf(conditions: readonly Condition[], type: string): Condition['status'] | undefined {
  return conditions.find((condition) => condition.type === type)?.status;
}

/** Conditions as JSON. */
export function jsonOf(conditions: readonly Condition[]): Json {
  return conditions.map((condition) => ({ ...condition }));
}

/** A moment as Kubernetes writes it, in whole seconds. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** What asks a controller to look now, whatever the interval. */
export function requestedAt(annotations: JsonObject | undefined): string {
  return textIn(annotations?.['reconcile.fluxcd.io/requestedAt']);
}

const first = ['Stalled', 'Reconciling', 'Ready'];

function placeOf(type: string): number {
  const place = first.indexOf(type);
  return place < 0 ? first.length : place;
}
