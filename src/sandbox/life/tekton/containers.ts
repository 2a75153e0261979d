/** Steps and sidecars as containers: merged with the step template and with what the run asks for. */

import { parseQuantity, writeQuantity } from '../../core/quantity.ts';
import type { Json } from '../../object.ts';
import { only } from './specs.ts';
import type {
  ComputeResources,
  ContainerFields,
  EnvVar,
  Quantities,
  ResourceOverride,
  Step,
  TaskSpec,
} from './types.ts';

/** The step as the template completes it; what the step says itself counts more. */
export function mergeTemplate(template: ContainerFields | undefined, step: Step): Step {
  if (template === undefined) return step;
  return {
    ...template,
    ...step,
    ...only(
      'env',
      mergeByKey(template.env, step.env, (one: EnvVar) => one.name),
    ),
    ...only(
      'volumeMounts',
      mergeByKey(template.volumeMounts, step.volumeMounts, (one) => one.mountPath),
    ),
    ...only('computeResources', mergeResources(template.computeResources, step.computeResources)),
    ...only('securityContext', mergeJson(template.securityContext, step.securityContext)),
  };
}

/** Steps or sidecars with the resources that the run asks for, by name. */
export function withOverrides<Fields extends ContainerFields>(
  containers: readonly Fields[],
  overrides: readonly ResourceOverride[],
): readonly Fields[] {
  return containers.map((container) => {
    const override = overrides.findLast(({ name }) => name === container.name);
    if (override === undefined) return container;
    return {
      ...container,
      ...only('computeResources', mergeResources(container.computeResources, override.computeResources)),
    };
  });
}

/** Steps that share the resources given for the whole Task. https://tekton.dev/docs/pipelines/compute-resources/#task-level-compute-resources-configuration */
export function shareResources(steps: readonly Step[], { requests, limits }: ComputeResources = {}): readonly Step[] {
  if (requests === undefined && limits === undefined) return steps;
  return steps.map((step) => {
    const total = step.computeResources?.requests === undefined && requests === undefined ? limits : requests;
    return {
      ...step,
      computeResources: { ...only('requests', total && divided(total, steps.length)), ...only('limits', limits) },
    };
  });
}

/** Tekton's sentence for a step that asks for more than its limit; undefined when none does. */
export function requestsBeyondLimits({ steps = [], stepTemplate }: TaskSpec): string | undefined {
  for (const { computeResources: { requests = {}, limits = {} } = {} } of steps) {
    for (const [resource, asked] of Object.entries(requests)) {
      const limit = limits[resource] ?? stepTemplate?.computeResources?.limits?.[resource];
      const [wanted, allowed] = [parseQuantity(asked), limit === undefined ? undefined : parseQuantity(limit)];
      if (wanted === undefined || allowed === undefined || wanted.nanos <= allowed.nanos) continue;
      return `invalid request resource value: ${asked} must be less or equal to limit ${limit}`;
    }
  }
  return undefined;
}

/**
 * Lists merged by a key as Kubernetes' strategic merge does: own elements in their order, those of the template alone
 * before the first own one that they stand before in the template, the rest of them behind.
 */
function mergeByKey<One>(
  template: readonly One[] | undefined,
  own: readonly One[] | undefined,
  keyOf: (one: One) => string,
): readonly One[] | undefined {
  if (template === undefined || own === undefined) return own ?? template;
  const places = new Map(template.map((one, place) => [keyOf(one), place]));
  const mine = new Set(own.map(keyOf));
  const others = template.filter((one) => !mine.has(keyOf(one)));
  const merged: One[] = [];
  for (const one of own) {
    const place = places.get(keyOf(one));
    while (place !== undefined && others[0] !== undefined && (places.get(keyOf(others[0])) ?? 0) < place) {
      merged.push(...others.splice(0, 1));
    }
    merged.push(one);
  }
  return [...merged, ...others];
}

function mergeResources(
  template: ComputeResources | undefined,
  own: ComputeResources | undefined,
): ComputeResources | undefined {
  if (template === undefined || own === undefined) return own ?? template;
  const merged = (key: 'requests' | 'limits') =>
    template[key] === undefined && own[key] === undefined ? undefined : { ...template[key], ...own[key] };
  return { ...only('requests', merged('requests')), ...only('limits', merged('limits')) };
}

function mergeJson(template: Json | undefined, own: Json | undefined): Json | undefined {
  if (own === undefined) return template;
  if (!isObject(template) || !isObject(own)) return own;
  const keys = new Set([...Object.keys(template), ...Object.keys(own)]);
  return Object.fromEntries([...keys].map((key) => [key, mergeJson(template[key], own[key])]));
}

function isObject(json: Json | undefined): json is { [key: string]: Json | undefined } {
  return json !== undefined && json !== null && typeof json === 'object' && !Array.isArray(json);
}

function divided(quantities: Quantities, by: number): Quantities {
  const whole = 1_000_000_000n;
  return Object.fromEntries(
    Object.entries(quantities).map(([resource, written]) => {
      const quantity = parseQuantity(written);
      if (quantity === undefined) return [resource, written];
      // Memory and storage in whole bytes, everything else in thousandths.
      const unit = resource === 'memory' || resource === 'ephemeral-storage' ? whole : whole / 1_000n;
      const nanos = (quantity.nanos / unit / BigInt(by)) * unit;
      return [resource, writeQuantity({ ...quantity, nanos })];
    }),
  );
}
