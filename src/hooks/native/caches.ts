/** PipelineTriggers as their hooks know them, kept true by a watch, where no controller in this process keeps them already. */
import type { Clock } from '../../clock.ts';
import type { KubeReader } from '../../kube/client.ts';
import { discovery } from '../../kube/discovery.ts';
import type { SharedWatches } from '../../kube/feeds.ts';
import { scopesOf } from '../../kube/scopes.ts';
import { createStore, within } from '../../kube/store.ts';
import type { Watch } from '../../kube/watch.ts';
import { watchKind } from '../../kube/watchkind.ts';
import type { Part } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import type { Metrics } from '../../metrics.ts';
import { type HookedTrigger, type HookedTriggers, projectHookedTrigger } from '../../triggers/hooked.ts';
import { TRIGGERS } from '../../triggers/names.ts';

/** What watching takes. */
export interface HookedTriggerParts {
  readonly reader: KubeReader;
  /** The namespaces whose hooks are served. */
  readonly served: '*' | readonly string[];
  /** The watches of PipelineTriggers, where somebody has some already; this must be made before they are started. */
  readonly triggerWatches?: SharedWatches;
  readonly watchSeconds?: number;
  readonly clock: Clock;
  /** In [0, 1), for jitter. */
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** As a part of the process: `start` begins to list and does not wait for that. A cluster without the kind has none. */
export function createHookedTriggers(parts: HookedTriggerParts): Part & HookedTriggers {
  const { reader, served, triggerWatches, clock, log } = parts;
  const versions = discovery({ reader, clock });
  const { store, writer } = createStore<HookedTrigger>(log);
  const feed = { writer: within(writer, served), project: projectHookedTrigger };
  triggerWatches?.join(feed);
  let own: readonly Watch[] = [];

  const watches = () => triggerWatches?.watches() ?? own;

  /** What may not be read is the same as not there: the hooks of EventListeners wait for these, and would for ever. */
  const isKnown = (namespace: string): boolean => {
    const watch = watches().find(({ scope }) => scope === '' || scope === namespace);
    return watch?.listed() === true || watch?.problem()?.code === 'refused';
  };

  return {
    name: 'hooked triggers',
    find(ref) {
      if (served !== '*' && !served.includes(ref.namespace)) return undefined;
      return store.get(ref) ?? (isKnown(ref.namespace) ? undefined : 'waiting');
    },
    isListing: () =>
      watches().length === 0 || watches().some((watch) => !watch.listed() && watch.problem() === undefined),
    async start() {
      if (triggerWatches !== undefined) return;
      own = scopesOf(served).map((scope) =>
        watchKind(TRIGGERS, scope, versions, { ...parts, ...feed, optional: true }),
      );
    },
    async stop() {
      await Promise.all(own.map((watch) => watch.stop()));
    },
  };
}
