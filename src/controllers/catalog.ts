/**
 * Every controller on one page: what each watches, and what it may write.
 *
 * | Controller | Watches | Writes |
 * |---|---|---|
 * | triggers | PipelineTriggers, their sources, Pipelines, PipelineRuns; reads what events told of one by one | status of PipelineTriggers, new PipelineRuns, Events; asks Flux to look at a source, takes away what was stored of events |
 * | history | PipelineTriggers, PipelineRuns | deletes PipelineRuns that are over |
 * | credentials | ManagedCredentials; reads Secrets one by one | Secrets and ServiceAccounts, status of ManagedCredentials |
 *
 * All of them write through one fence: while another replica leads nothing of theirs is sent.
 */
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import { SOURCE_RESOURCES } from '../flux/project.ts';
import type { KubeClient } from '../kube/client.ts';
import { discovery } from '../kube/discovery.ts';
import { createEvents } from '../kube/events.ts';
import type { SharedWatches } from '../kube/feeds.ts';
import { allOf, createElection, type Election, fence, type Leadership } from '../kube/lease.ts';
import type { ObjectRef } from '../kube/objects.ts';
import type { Store } from '../kube/store.ts';
import type { Part } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { PIPELINE_RUNS } from '../tekton/resources.ts';
import type { PipelineRun } from '../tekton/types.ts';
import type { HookedTrigger, HookedTriggers } from '../triggers/hooked.ts';
import { NO_HOOK } from '../triggers/hookspec.ts';
import { createCredentials } from './credentials/controller.ts';
import { createHistory } from './history/controller.ts';
import { createTriggerCaches } from './triggers/caches.ts';
import { createTriggers } from './triggers/controller.ts';
import { createFluxLook, type FluxReceiver } from './triggers/fluxlook.ts';
import type { RunPath, SourcePath } from './triggers/gather.ts';
import type { PipelineTrigger } from './triggers/resource.ts';
import type { SecondCluster } from './triggers/secondcluster.ts';

/** What the controllers need. */
export interface ControllersParts {
  readonly client: KubeClient;
  /** For the Lease alone: whoever fills the sockets of the other one must not cost a leader its Lease. */
  readonly leaseClient: KubeClient;
  /** The namespaces that are looked after. */
  readonly served: '*' | readonly string[];
  readonly watchSeconds?: number;
  /** The runs, where somebody watches them already. */
  readonly runs?: { readonly store: Store<PipelineRun>; filled(signal: AbortSignal): Promise<void> };
  /** The watches of PipelineTriggers, where somebody has some already. */
  readonly triggerWatches?: SharedWatches;
  /** Where replicas settle who leads, and who this one is. */
  readonly lease: {
    readonly namespace: string;
    readonly name: string;
    readonly seconds: number;
    readonly identity: string;
  };
  /** A lock beyond the Lease, which counts only within it. */
  readonly lock?: (within: Leadership, settled: () => Promise<void>) => Election;
  readonly secondCluster?: SecondCluster;
  readonly orphanRuns: boolean;
  /** ManagedCredentials, where they are looked after. */
  readonly credentials?: { readonly acrossNamespaces: boolean };
  readonly maxDeletesPerSecond: number;
  /** What asks Flux to look at sources where rungate may not write to them. */
  readonly receiver?: FluxReceiver;
  readonly clock: Clock;
  /** In [0, 1), for jitter. */
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** The controllers, and what hooks want of them. */
export interface Controllers {
  /** With what they stand on, in the order in which they start. */
  readonly parts: readonly Part[];
  /** Looks at a trigger now, past every cache. False: this process does not lead, so nothing was done. */
  ring(trigger: ObjectRef): boolean;
  /** The triggers as their hooks know them. */
  readonly hooked: HookedTriggers;
}

/** Makes the controllers. Nothing is asked of the cluster before their parts are started. */
export function createControllers(parts: ControllersParts): Controllers {
  const { client, lease, clock, random, log, metrics } = parts;
  const settled = () => writer.settled();
  const election = createElection({
    client: parts.leaseClient,
    namespace: lease.namespace,
    name: lease.name,
    identity: lease.identity,
    leaseSeconds: lease.seconds,
    settled,
    clock,
    random,
    log,
  });
  const lock = parts.lock?.(election, settled);
  const leadership = lock === undefined ? election : allOf(lock, election);
  const writer = fence(client, leadership);
  metrics.leading(false);
  leadership.subscribe((held) => metrics.leading(held));
  const events = createEvents({
    writer,
    name: 'triggers',
    component: 'PipelineTrigger',
    instance: lease.identity,
    calm: () => triggers.calm(),
    clock,
    log,
    metrics,
  });
  const versions = discovery({ reader: client, clock });
  const caches = createTriggerCaches({ ...parts, reader: client });
  const runPath: RunPath = async ({ namespace, name }) => {
    const path = await versions.pathOf(PIPELINE_RUNS, namespace);
    if (path === undefined) throw new Fault('unavailable', 'this cluster serves no PipelineRuns');
    return `${path}/${name}`;
  };
  const sourcePath: SourcePath = async (kind, { namespace, name }) => {
    const path = await versions.pathOf(SOURCE_RESOURCES[kind], namespace);
    return path === undefined ? undefined : `${path}/${encodeURIComponent(name)}`;
  };
  const common = { reader: client, writer, runPath, leadership, clock, random, log, metrics };
  const { served, watchSeconds } = parts;
  const watching = watchSeconds === undefined ? { served } : { served, watchSeconds };
  const credentials = parts.credentials && createCredentials({ ...common, ...watching, ...parts.credentials });
  const { receiver } = parts;
  const triggers = createTriggers({
    ...common,
    caches,
    sourcePath,
    fluxLook: createFluxLook({ writer, sourcePath, log, ...(receiver === undefined ? {} : { receiver }) }),
    events,
    orphanRuns: parts.orphanRuns,
    servesV1: async () => (await versions.pathOf(PIPELINE_RUNS_V1, '')) !== undefined,
    ...(parts.secondCluster === undefined ? {} : { secondCluster: parts.secondCluster }),
    ...(credentials === undefined ? {} : { credentialOf: credentials.of, credentialChanges: credentials.subscribe }),
  });
  const all: readonly Part[] = [
    { name: 'lease client', start: async () => {}, stop: async () => parts.leaseClient.close() },
    caches,
    election, // given back when all below has stopped writing
    ...(lock === undefined ? [] : [lock]),
    events,
    ...(credentials === undefined ? [] : [credentials]),
    triggers,
    createHistory({
      ...common,
      triggers: caches.triggers,
      runs: caches.runs,
      index: caches.runIndex,
      complete: (namespace) => caches.isComplete(namespace),
      maxDeletesPerSecond: parts.maxDeletesPerSecond,
    }),
  ];
  return {
    parts: all,
    ring: triggers.ring,
    hooked: {
      find(ref) {
        const trigger = caches.triggers.get(ref);
        if (trigger !== undefined) return asHooked(trigger);
        return triggers.isComplete() ? undefined : 'waiting';
      },
      isListing: () => !triggers.isComplete() && caches.problems().length === 0,
    },
  };
}

/** Of a trigger with mistakes nobody knows what its hook would be. */
function asHooked({ meta, spec }: PipelineTrigger): HookedTrigger | undefined {
  if ('mistakes' in spec) return undefined;
  const { source, suspend, hook } = spec;
  return { meta, source, suspended: suspend, ...(hook === NO_HOOK ? {} : { hook }) };
}

const PIPELINE_RUNS_V1 = { ...PIPELINE_RUNS, versions: ['v1'] };
