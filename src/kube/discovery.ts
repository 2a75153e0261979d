/** Which version of a kind this cluster serves, asked seldom and remembered. */
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import type { KubeReader } from './client.ts';
import { type JsonObject, listOf, objectOf, stringOf } from './objects.ts';

/** A resource of an API group, and the versions we can read, best first. */
export interface Wanted {
  readonly group: string;
  /** The plural, as in paths. */
  readonly resource: string;
  readonly versions: readonly string[];
}

/** What the cluster serves, as of at most ten minutes ago. */
export interface Discovery {
  /**
   * The path of the collection (of `namespace`, or of all for ''), or undefined where no wanted version of it can be
   * watched. Asks when what is known is too old; if that fails, what is known still counts. Callers at the same time
   * share one request. Faults: as `KubeReader.get`, where nothing is known.
   */
  pathOf(wanted: Wanted, namespace: string): Promise<string | undefined>;
  /** What is known of a group may be wrong (a list answered 404, a kind was absent): the next `pathOf` asks about it again. */
  doubt(group: string): void;
}

const MAX_AGE_MS = 10 * 60_000;

/** Asks `reader`, at most once in ten minutes for each group and version unless `doubt` is called. */
export function discovery({ reader, clock }: { reader: KubeReader; clock: Clock }): Discovery {
  const known = new Map<string, { readonly answer: JsonObject; readonly askedAt: number }>();
  const asking = new Map<string, Promise<JsonObject>>();

  const ask = async (path: string): Promise<JsonObject> => {
    const before = known.get(path);
    const askedAt = clock.now();
    try {
      const answer = await absentAsEmpty(reader.get(path));
      known.set(path, { answer, askedAt });
      return answer;
    } catch (error) {
      if (before === undefined) throw error;
      return before.answer;
    }
  };

  /** What the server says at `path`; an empty object where it says 404. */
  const recall = (path: string): Promise<JsonObject> => {
    const before = known.get(path);
    if (before !== undefined && clock.now() - before.askedAt < MAX_AGE_MS) return Promise.resolve(before.answer);
    const running = asking.get(path) ?? ask(path).finally(() => asking.delete(path));
    asking.set(path, running);
    return running;
  };

  return {
    async pathOf(wanted, namespace) {
      const group = await recall(`/apis/${wanted.group}`);
      const resources: Record<string, JsonObject> = {};
      for (const version of servedVersions(wanted, group)) {
        resources[version] = await recall(`/apis/${wanted.group}/${version}`);
      }
      const version = chooseVersion(wanted, group, resources);
      if (version === undefined) return undefined;
      const within = namespace === '' ? '' : `/namespaces/${namespace}`;
      return `/apis/${wanted.group}/${version}${within}/${wanted.resource}`;
    },
    doubt(group) {
      for (const [path, { answer }] of known) {
        if (`${path}/`.startsWith(`/apis/${group}/`)) known.set(path, { answer, askedAt: Number.NEGATIVE_INFINITY });
      }
    },
  };
}

async function absentAsEmpty(asked: Promise<JsonObject>): Promise<JsonObject> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Fault && error.code === 'not-found') return {};
    throw error;
  }
}

/**
 * The first wanted version in which the resource can be listed and watched; undefined: none.
 * `group` is an APIGroup, `resources` an APIResourceList for each version; either may be empty, as it is for a 404.
 * https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
 */
export function chooseVersion(
  wanted: Wanted,
  group: JsonObject,
  resources: Readonly<Record<string, JsonObject>>,
): string | undefined {
  return servedVersions(wanted, group).find((version) =>
    listOf(resources[version]?.resources)
      .map(objectOf)
      .some(
        ({ name, verbs }) =>
          name === wanted.resource && ['list', 'watch'].every((verb) => listOf(verbs).includes(verb)),
      ),
  );
}

function servedVersions(wanted: Wanted, group: JsonObject): readonly string[] {
  const served = listOf(group.versions).map((entry) => stringOf(objectOf(entry).version));
  return wanted.versions.filter((version) => served.includes(version));
}
