/** The one place where triggers write: their status, their runs, and what is told of both. */
import type { Clock } from '../../clock.ts';
import { Fault, faultOf } from '../../fault.ts';
import { sameRevision } from '../../flux/revision.ts';
import type { KubeReader } from '../../kube/client.ts';
import type { EventRecorder, Involved, Told } from '../../kube/events.ts';
import { mergeOf } from '../../kube/merge.ts';
import { type JsonObject, objectOf, present, stringsOf } from '../../kube/objects.ts';
import { type KubeWriter, WriteFault } from '../../kube/writer.ts';
import type { Metrics } from '../../metrics.ts';
import { EVENT_KEY_ANNOTATION } from '../../tekton/project.ts';
import { RUN_AT_ANNOTATION, TRIGGER_API_VERSION, TRIGGER_KIND, triggerPath } from '../../triggers/names.ts';
import { storedEventsPath } from '../../triggers/told.ts';
import type { TriggerCaches } from './caches.ts';
import { EVENT_ANNOTATION } from './event.ts';
import { LONGEST_WAIT_MS, type Order, type Tried } from './facts.ts';
import type { Memory, RunPath } from './gather.ts';
import { buildRun, eventKey, unrecordedRun } from './manifest.ts';
import { isOfFirstReleases, type PipelineTrigger, projectTrigger, type TriggerSpec } from './resource.ts';
import type { SecondCluster } from './secondcluster.ts';

/** What performing needs. */
export interface PerformParts {
  readonly reader: KubeReader;
  readonly caches: Pick<TriggerCaches, 'runIndex'>;
  /** Fenced: it refuses while another replica leads. */
  readonly writer: KubeWriter;
  readonly events: EventRecorder;
  readonly secondCluster?: SecondCluster;
  readonly runPath: RunPath;
  /** Whether the cluster serves Tekton's version 1. */
  readonly servesV1: () => Promise<boolean>;
  /** Runs outlive their trigger. */
  readonly orphanRuns: boolean;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** Names that other objects have are passed by, so many times. */
const MOST_SALTS = 20;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 60_000;
/** What the API server refuses as it is will be refused again; somebody may change a quota or a webhook. */
const REFUSED_MS = 5 * 60_000;
/** A warning about the same trigger is told again after this time at the earliest. */
export const WARN_AGAIN_MS = 10 * 60_000;

/** What an Event about a trigger says it is about. */
export function involved({ meta }: PipelineTrigger): Involved {
  const { namespace, name, uid, resourceVersion } = meta;
  return { apiVersion: TRIGGER_API_VERSION, kind: TRIGGER_KIND, namespace, name, uid, resourceVersion };
}

/**
 * Makes the status what it should be; resolves with the trigger as it is then, or undefined where it is that already. Faults: as
 * `KubeWriter.patch`; `conflict` when somebody else has written the trigger since it was read; `refused` when the API server drops a part
 * of what is written, as one does that has an older definition of the kind: nothing may be started on what was not kept.
 */
export async function writeStatusOf(
  trigger: PipelineTrigger,
  status: JsonObject,
  { writer }: Pick<PerformParts, 'writer'>,
  signal: AbortSignal,
): Promise<PipelineTrigger | undefined> {
  const merge = mergeOf(trigger.status, status);
  if (merge === undefined) return undefined;
  const { resourceVersion } = trigger.meta;
  const taken = await writer.patch(
    `${triggerPath(trigger.meta)}/status`,
    { metadata: { resourceVersion }, status: merge },
    { signal },
  );
  const kept = projectTrigger(taken);
  const dropped = mergeOf(kept.status, status);
  if (dropped !== undefined) {
    const fields = Object.keys(dropped).join(', ');
    throw new Fault('refused', `the cluster does not keep all of a trigger's status (${fields}): apply k8s/crds`, {
      retryAfterMs: LONGEST_RETRY_MS,
    });
  }
  return kept;
}

/** Takes stored events away, by their keys. Those that are gone already are no trouble. Faults: as `KubeWriter.patch`. */
export async function putAway(
  keys: readonly string[],
  trigger: PipelineTrigger,
  { writer }: Pick<PerformParts, 'writer'>,
  signal: AbortSignal,
): Promise<void> {
  try {
    const data = Object.fromEntries(keys.map((key) => [key, null]));
    await writer.patch(storedEventsPath(trigger.meta), { data }, { signal });
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'not-found') throw error;
  }
}

/** Tells of what a person should look at, seldom. */
export function warn(trigger: PipelineTrigger, message: string, { events }: Pick<PerformParts, 'events'>): void {
  const reason = isOfFirstReleases(trigger.spec) ? 'ProcessingError' : 'Error';
  events.tell(involved(trigger), { type: 'Warning', reason, message, atMostEveryMs: WARN_AGAIN_MS });
}

/**
 * Creates the run of an order, or finds that it exists. Whatever the API server says is an answer; a Fault is thrown only
 * where `signal` has aborted or another replica leads.
 */
export async function carryOut(
  order: Order,
  trigger: PipelineTrigger,
  spec: TriggerSpec,
  memory: Memory,
  parts: PerformParts,
  signal: AbortSignal,
): Promise<Tried> {
  const { sequence, attempt, event, byHand } = order;
  const { line } = event;
  const { namespace } = trigger.meta;
  const { events, clock, metrics } = parts;
  const tell = (told: Told) => events.tell(involved(trigger), told);
  const refused = (message: string, untilMs?: number): Extract<Tried, { came: 'refused' }> => ({
    sequence,
    attempt,
    came: 'refused',
    message,
    generation: trigger.generation,
    ...(untilMs === undefined ? {} : { untilMs }),
  });
  if (attempt === 0) {
    const message = byHand
      ? `A run of event ${event.raw} was asked for by ${RUN_AT_ANNOTATION}`
      : `Source ${spec.source.name} in namespace ${namespace} got new event ${event.raw}`;
    tell({ type: 'Normal', reason: 'Info', message, once: `event/${sequence}` });
  }
  try {
    const made = await createRun(order, trigger, parts, signal);
    if (made === 'covered') {
      const message = `Pipeline is running on the second cluster in namespace ${namespace}`;
      tell({ type: 'Normal', reason: 'Info', message, once: `second/${sequence}/${attempt}` });
      return { sequence, attempt, came: 'elsewhere', message };
    }
    if ('taken' in made) {
      const message = `PipelineRun ${made.taken} exists already; the next one of that name waits until it is gone`;
      return { ...refused(message, clock.now() + LONGEST_RETRY_MS), taken: made.taken };
    }
    memory.failures.delete(line);
    memory.made.set(made.run, clock.now());
    metrics.runCreated(attempt > 0 ? 'retry' : byHand ? 'hand' : 'event');
    tell({
      type: 'Normal',
      reason: 'Info',
      message: `Started the pipeline ${made.run} in namespace ${namespace}`,
      once: `run/${sequence}/${attempt}`,
    });
    return { sequence, attempt, came: 'run', run: made.run };
  } catch (error) {
    signal.throwIfAborted();
    const fault = faultOf(error);
    const message = fault instanceof WriteFault && fault.said !== '' ? fault.said : fault.message;
    switch (fault.code) {
      case 'bad-request': // our own word about the template or a parameter: only a change of either side helps
        return { ...refused(message), details: event.details };
      case 'refused':
        return refused(message, clock.now() + REFUSED_MS);
      default: {
        const failures = (memory.failures.get(line) ?? 0) + 1;
        memory.failures.set(line, failures);
        const waitMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 20));
        const askedMs = Math.min(fault.retryAfterMs ?? 0, LONGEST_WAIT_MS);
        return refused(message, clock.now() + Math.max(waitMs, askedMs));
      }
    }
  }
}

async function createRun(
  order: Order,
  trigger: PipelineTrigger,
  { reader, caches, writer, secondCluster, servesV1, runPath, orphanRuns }: PerformParts,
  signal: AbortSignal,
): Promise<{ readonly run: string } | { readonly taken: string } | 'covered'> {
  const { event, sequence, attempt, byHand, eventId, credential } = order;
  const tektonV1 = await servesV1();
  const key = eventKey(trigger.meta.uid, sequence, attempt);
  /** Whether a run is the one that is meant: made by an order whose answer was lost, or before a crash. */
  const isMeant = async (path: string): Promise<boolean> => {
    const annotations = stringsOf(objectOf((await reader.get(path, { signal })).metadata).annotations);
    // Where a status was written by another program, which drops our fields, events are counted from 1 again.
    const isOfEvent = sameRevision(annotations[EVENT_ANNOTATION] ?? '', event.raw);
    return annotations[EVENT_KEY_ANNOTATION] === key && isOfEvent;
  };
  // Since then the template may have been changed, and with it the name.
  const made = caches.runIndex.of(trigger.meta).find(({ meta }) => meta.annotations[EVENT_KEY_ANNOTATION] === key);
  if (made !== undefined && (await isMeant(await runPath(made.meta)))) return { run: made.meta.name };
  const left = attempt > 0 || byHand ? undefined : unrecordedRun(trigger, event, caches.runIndex.of(trigger.meta));
  if (left !== undefined) return { run: left.meta.name };
  for (let salt = 0; salt < MOST_SALTS; salt++) {
    const ground = { tektonV1, ...present({ credential, eventId }) };
    const built = buildRun(trigger, event, { sequence, attempt, salt }, ground);
    const object = orphanRuns ? withoutOwner(built.object) : built.object;
    const name = String(objectOf(object.metadata).name);
    if (salt === 0 && attempt === 0 && secondCluster !== undefined) {
      const covered = await secondCluster.covers(object, signal);
      if (covered === 'covered') return 'covered';
    }
    try {
      await writer.create(built.path, object, { signal });
      return { run: name };
    } catch (error) {
      if (!(error instanceof WriteFault) || error.reason !== 'AlreadyExists') throw error;
    }
    if (await isMeant(`${built.path}/${name}`)) return { run: name };
    if (built.isFixed) return { taken: name };
  }
  throw new Fault('unavailable', 'no free name was found for the run', { retryAfterMs: LONGEST_RETRY_MS });
}

function withoutOwner(object: JsonObject): JsonObject {
  const { ownerReferences, ...metadata } = objectOf(object.metadata);
  return { ...object, metadata };
}
