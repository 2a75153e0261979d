/**
 * What is served, as discovery says it: the old documents, one a group version, and the aggregated one.
 * https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
 */
import { createHash } from 'node:crypto';
import { apiVersionOf, type JsonObject } from '../object.ts';
import type { Kind, Registry, Verb } from './kind.ts';

/** The media type of the aggregated document. */
export const aggregatedType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** `/api`; `serverAddress` is host and port. */
export function coreVersions(serverAddress: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

/** `/apis`. */
export function groupList(registry: Registry): JsonObject {
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groupsOf(registry).map((group) => groupFacts(registry, group)),
  };
}

/** `/apis/<group>`; undefined for a group of which nothing is served. */
export function groupDocument(registry: Registry, group: string): JsonObject | undefined {
  if (!groupsOf(registry).includes(group)) return undefined;
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupFacts(registry, group) };
}

/** `/api/v1` and `/apis/<group>/<version>`; undefined when nothing is served there. */
export function resourceList(registry: Registry, group: string, version: string): JsonObject | undefined {
  const kinds = servedIn(registry, group, version);
  if (kinds.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    // The core group has never said it.
    ...(group === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: apiVersionOf({ group, version }),
    resources: kinds.flatMap((kind) => legacyResources(kind)),
  };
}

/** `/api` (`core`) or `/apis` (`groups`) for whoever accepts `aggregatedType`. */
export function aggregatedDiscovery(registry: Registry, part: 'core' | 'groups'): JsonObject {
  const groups = part === 'core' ? [''] : groupsOf(registry);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map((group) => ({
      metadata: group === '' ? {} : { name: group },
      versions: versionsOf(registry, group).map((version) => ({
        version,
        resources: servedIn(registry, group, version).map((kind) => aggregatedResource(kind, version)),
        freshness: 'Current',
      })),
    })),
  };
}

/** Which group versions there are: [group, version], groups in order of name, the preferred version of each first. */
export function groupVersions(registry: Registry): { readonly group: string; readonly version: string }[] {
  return ['', ...groupsOf(registry)].flatMap((group) =>
    versionsOf(registry, group).map((version) => ({ group, version })),
  );
}

/** The kinds of one group version, ordered by plural. */
export function servedIn(registry: Registry, group: string, version: string): Kind[] {
  return registry
    .kinds()
    .filter((kind) => kind.group === group && kind.versions.some((served) => served.version === version));
}

/** Subresources of a kind, with the status subresource, ordered by name. */
export function subresourcesOf(kind: Kind): {
  readonly name: string;
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly Verb[];
}[] {
  const status = kind.statusSubresource
    ? [{ name: 'status', kind: kind.kind, verbs: ['get', 'patch', 'update'] as const }]
    : [];
  const others = Object.entries(kind.subresources).map(([name, subresource]) => ({
    name,
    kind: subresource.kind,
    ...(subresource.group === undefined ? {} : { group: subresource.group }),
    ...(subresource.version === undefined ? {} : { version: subresource.version }),
    verbs: subresource.verbs,
  }));
  return [...others, ...status].sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** Groups but the core one, ordered by name. */
function groupsOf(registry: Registry): string[] {
  const groups = new Set(registry.kinds().map(({ group }) => group));
  groups.delete('');
  return [...groups];
}

/** The versions of a group, the preferred one first. */
function versionsOf(registry: Registry, group: string): string[] {
  const versions = registry
    .kinds()
    .filter((kind) => kind.group === group)
    .flatMap((kind) => kind.versions.map(({ version }) => version));
  return [...new Set(versions)].sort(byPriority);
}

/**
 * Versions by priority: stable before beta before alpha, newer before older, and names that are none of these last.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#version-priority
 */
export function byPriority(one: string, other: string): number {
  const [left, right] = [priorityOf(one), priorityOf(other)];
  if (left === undefined || right === undefined) {
    if (left !== right) return left === undefined ? 1 : -1;
    return one < other ? -1 : Number(one > other);
  }
  return right.stage - left.stage || right.major - left.major || right.minor - left.minor;
}

function priorityOf(version: string) {
  const match = /^v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?$/.exec(version);
  if (match === null) return undefined;
  const [, major, stage, minor] = match;
  return { major: Number(major), stage: stage === undefined ? 2 : stage === 'beta' ? 1 : 0, minor: Number(minor ?? 0) };
}

function groupFacts(registry: Registry, group: string): JsonObject {
  const versions = versionsOf(registry, group).map((version) => ({
    groupVersion: apiVersionOf({ group, version }),
    version,
  }));
  return { name: group, versions, preferredVersion: versions[0] };
}

function legacyResources(kind: Kind): JsonObject[] {
  const { plural, singular, namespaced, shortNames, categories } = kind;
  const isKept = kind.review === undefined;
  return [
    {
      name: plural,
      singularName: singular,
      namespaced,
      kind: kind.kind,
      verbs: [...kind.verbs],
      ...(shortNames.length === 0 ? {} : { shortNames: [...shortNames] }),
      ...(categories.length === 0 ? {} : { categories: [...categories] }),
      ...(isKept ? { storageVersionHash: storageVersionHash(kind) } : {}),
    },
    ...subresourcesOf(kind).map((subresource) => ({
      name: `${plural}/${subresource.name}`,
      singularName: '',
      namespaced,
      ...(subresource.group === undefined ? {} : { group: subresource.group }),
      ...(subresource.version === undefined ? {} : { version: subresource.version }),
      kind: subresource.kind,
      verbs: [...subresource.verbs],
    })),
  ];
}

/** Eight bytes that stand for the version in which objects are stored. */
function storageVersionHash({ group, storageVersion, kind }: Kind): string {
  return createHash('sha256').update(`${group}/${storageVersion}/${kind}`).digest().subarray(0, 8).toString('base64');
}

function aggregatedResource(kind: Kind, version: string): JsonObject {
  // Built-in kinds leave the group and version of what they answer empty: it is the one asked for.
  const own = kind.custom ? { group: kind.group, version } : { group: '', version: '' };
  const subresources = subresourcesOf(kind).map((subresource) => ({
    subresource: subresource.name,
    responseKind: {
      group: subresource.group ?? own.group,
      version: subresource.version ?? own.version,
      kind: subresource.kind,
    },
    verbs: [...subresource.verbs],
  }));
  return {
    resource: kind.plural,
    responseKind: { ...own, kind: kind.kind },
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: [...kind.verbs],
    ...(kind.shortNames.length === 0 ? {} : { shortNames: [...kind.shortNames] }),
    ...(kind.categories.length === 0 ? {} : { categories: [...kind.categories] }),
    ...(subresources.length === 0 ? {} : { subresources }),
  };
}
