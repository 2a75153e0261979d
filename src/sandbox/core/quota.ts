/** ResourceQuotas: the kind, and holding the pods of a namespace to it. https://kubernetes.io/docs/concepts/policy/resource-quotas/ */
import type { ApiClient } from '../api/client.ts';
import type { Kind } from '../api/kind.ts';
import type { JsonObject, KubeObject, Resource } from '../object.ts';
import { list, map, text } from '../schema/node.ts';
import { forbidden } from '../status.ts';
import { builtin } from './builtin.ts';
import { ageColumn, column } from './columns.ts';
import { parseQuantity, type Quantity, writeQuantity } from './quantity.ts';
import { objectIn, objectsIn, textIn } from './reading.ts';
import { always, quantity, struct } from './typed.ts';

const QUOTAS: Resource = { group: '', version: 'v1', plural: 'resourcequotas' };
const PODS: Resource = { group: '', version: 'v1', plural: 'pods' };

const scopeSelector = struct(
  'ScopeSelector',
  {
    matchExpressions: list(
      struct(
        'ScopedResourceSelectorRequirement',
        { scopeName: always(text()), operator: always(text()), values: list(text()) },
        { required: ['scopeName', 'operator'] },
      ),
    ),
  },
  { 'x-kubernetes-map-type': 'atomic' },
);
const spec = struct('ResourceQuotaSpec', { hard: map(quantity()), scopes: list(text()), scopeSelector });
const status = struct('ResourceQuotaStatus', { hard: map(quantity()), used: map(quantity()) });

/** `resourcequotas`. Only what it says of pods is held to; scopes are kept and not looked at. */
export function quotaKind(reader: Pick<ApiClient, 'list'>): Kind {
  return builtin({
    group: '',
    version: 'v1',
    kind: 'ResourceQuota',
    plural: 'resourcequotas',
    shortNames: ['quota'],
    namespaced: true,
    deletesAnswerObject: true,
    fields: { spec: always(spec), status: always(status) },
    statusSubresource: true,
    columns: [
      column('Request', 'What is used of each request', (quota) => shown(quota, (name) => !name.startsWith('limits.'))),
      column('Limit', 'What is used of each limit', (quota) => shown(quota, (name) => name.startsWith('limits.'))),
      ageColumn,
    ],
    strategy: {
      prepareForCreate: (quota) => count(quota, reader),
      prepareForUpdate: (quota) => count(quota, reader),
    },
  });
}

/**
 * Throws the 403 of the quota admission when a new pod would take more of its namespace than a quota leaves, or does not
 * say how much it takes of what a quota counts.
 */
export function holdToQuotas(pod: KubeObject, reader: Pick<ApiClient, 'list'>): void {
  const namespace = pod.metadata.namespace ?? '';
  const quotas = reader.list(QUOTAS, { namespace });
  if (quotas.length === 0) return;
  const refuse = (why: string) => forbidden({ group: '', plural: 'pods' }, pod.metadata.name, why);
  const wanted = usageOf(pod);
  for (const quota of quotas) {
    const hard = hardOf(quota);
    const unsaid = [...hard.keys()].filter((name) => needsSaying(name) && !wanted.has(name));
    if (unsaid.length > 0) {
      const containers = objectsIn(objectIn(pod.spec).containers).map(({ name }) => textIn(name));
      const parts = unsaid.sort().map((name) => `${name} for: ${containers.join(',')}`);
      throw refuse(`failed quota: ${quota.metadata.name}: must specify ${parts.join('; ')}`);
    }
    const used = usedIn(namespace, reader);
    const over = [...hard].filter(([name, limit]) => {
      const asked = wanted.get(name)?.nanos ?? 0n;
      return asked > 0n && (used.get(name)?.nanos ?? 0n) + asked > limit.nanos;
    });
    if (over.length === 0) continue;
    const names = over.map(([name]) => name).sort();
    const amounts = (of: ReadonlyMap<string, Quantity>) =>
      names.map((name) => `${name}=${writeQuantity(of.get(name) ?? nothing)}`).join(',');
    throw refuse(
      `exceeded quota: ${quota.metadata.name}, requested: ${amounts(wanted)}, used: ${amounts(used)}, limited: ${amounts(hard)}`,
    );
  }
}

const nothing: Quantity = { nanos: 0n, family: 'decimal' };
const one: Quantity = { nanos: 1_000_000_000n, family: 'decimal' };

/** CPU and memory have to be said where they are counted; a count and an extended resource speak for themselves. */
function needsSaying(name: string): boolean {
  return /^(?:(?:requests|limits)\.)?(?:cpu|memory)$/.test(name);
}

/** What a pod takes, by the names that quotas use. A pod that has ended takes nothing. */
function usageOf({ spec: specification, status: reported }: KubeObject): Map<string, Quantity> {
  const usage = new Map<string, Quantity>();
  if (/^(?:Succeeded|Failed)$/.test(textIn(objectIn(reported).phase))) return usage;
  usage.set('pods', one).set('count/pods', one);
  for (const container of objectsIn(objectIn(specification).containers)) {
    const resources = objectIn(container.resources);
    add(usage, 'limits.', objectIn(resources.limits));
    add(usage, 'requests.', { ...objectIn(resources.limits), ...objectIn(resources.requests) });
  }
  for (const name of ['cpu', 'memory']) {
    const requested = usage.get(`requests.${name}`);
    if (requested !== undefined) usage.set(name, requested);
  }
  return usage;
}

function add(usage: Map<string, Quantity>, prefix: string, amounts: JsonObject): void {
  for (const [name, written] of Object.entries(amounts)) {
    const amount = typeof written === 'string' || typeof written === 'number' ? parseQuantity(written) : undefined;
    if (amount !== undefined) usage.set(prefix + name, sum(usage.get(prefix + name), amount));
  }
}

function usedIn(namespace: string, reader: Pick<ApiClient, 'list'>): Map<string, Quantity> {
  const used = new Map<string, Quantity>();
  for (const pod of reader.list(PODS, { namespace })) {
    for (const [name, amount] of usageOf(pod)) used.set(name, sum(used.get(name), amount));
  }
  return used;
}

function sum(a: Quantity | undefined, b: Quantity): Quantity {
  return a === undefined ? b : { nanos: a.nanos + b.nanos, family: b.family };
}

function hardOf(quota: KubeObject): Map<string, Quantity> {
  const hard = Object.entries(objectIn(objectIn(quota.spec).hard));
  return new Map(hard.map(([name, written]) => [name, parseQuantity(String(written)) ?? nothing]));
}

/** Writes down what is used when the quota is written; the admission counts again for each pod. */
function count(quota: KubeObject, reader: Pick<ApiClient, 'list'>): void {
  const hard = hardOf(quota);
  const used = usedIn(quota.metadata.namespace ?? '', reader);
  const amounts = (of: ReadonlyMap<string, Quantity>) =>
    Object.fromEntries([...hard.keys()].map((name) => [name, writeQuantity(of.get(name) ?? nothing)]));
  quota.status = { hard: amounts(hard), used: amounts(used) };
}

function shown(quota: KubeObject, wanted: (name: string) => boolean): string {
  const { hard, used } = objectIn(quota.status);
  return Object.entries(objectIn(hard))
    .filter(([name]) => wanted(name))
    .map(([name, limit]) => `${name}: ${String(objectIn(used)[name] ?? '0')}/${String(limit)}`)
    .join(', ');
}
