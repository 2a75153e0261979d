/** The kinds that are served now. */
import type { Kind, Registry, ServedVersion } from './kind.ts';

/** An empty registry. */
export function createRegistry(): Registry {
  const byResource = new Map<string, Kind>();
  const byName = new Map<string, Kind>();
  let served = new Map<string, { readonly kind: Kind; readonly served: ServedVersion }>();
  let ordered: readonly Kind[] = [];
  let revision = 0;

  function changed(): void {
    revision += 1;
    ordered = [...byResource.values()].sort(byGroupAndPlural);
    served = new Map(
      ordered.flatMap((kind) =>
        kind.versions.map((version) => [`${kind.group}/${version.version}/${kind.plural}`, { kind, served: version }]),
      ),
    );
    byName.clear();
    for (const kind of ordered) byName.set(`${kind.group}/${kind.kind}`, kind);
  }

  return {
    kinds: () => ordered,
    find: (group, version, plural) => served.get(`${group}/${version}/${plural}`),
    findKind: (group, kind) => byName.get(`${group}/${kind}`),
    get revision() {
      return revision;
    },
    put(kind) {
      byResource.set(`${kind.group}/${kind.plural}`, kind);
      changed();
    },
    remove(group, plural) {
      if (byResource.delete(`${group}/${plural}`)) changed();
    },
  };
}

function byGroupAndPlural(one: Kind, other: Kind): number {
  return compare(one.group, other.group) || compare(one.plural, other.plural);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
