/**
 * Hooks of PipelineTriggers: an event of Flux rings a bell. What it says is held against its source, which is the truth, and the controller
 * that leads looks at the trigger at once; runs are its alone. What only the event knows is written down before it is answered.
 */
import { Fault, faultOf } from '../../fault.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { ObjectRef } from '../../kube/objects.ts';
import type { Log } from '../../log.ts';
import type { HookedTrigger, HookedTriggers } from '../../triggers/hooked.ts';
import type { HookSpec } from '../../triggers/hookspec.ts';
import { TRIGGER_API_VERSION, TRIGGER_KIND } from '../../triggers/names.ts';
import { storable, toldFailure } from '../../triggers/told.ts';
import { expectedRevision } from '../eventrevision.ts';
import { type FluxEvent, readFluxEvent } from '../fluxevent.ts';
import type { Hook, HookBook } from '../hook.ts';
import type { SourceCheck } from '../listeners/world.ts';
import type { TriggerResult } from '../outcome.ts';
import type { Sources } from '../sources.ts';
import type { Notes } from './notes.ts';
import { refusalOf } from './weigh.ts';

/** The controller of triggers in this process, where there is one. */
export interface LeadingController {
  /** Looks at a trigger now, and at its source past every cache. False: it does not lead, and nothing was done. */
  ring(trigger: ObjectRef): boolean;
}

/** What the hooks of triggers are made of. */
export interface NativeParts {
  readonly triggers: Pick<HookedTriggers, 'find'>;
  readonly sources: Pick<Sources, 'check' | 'lookOn'>;
  readonly notes: Notes;
  readonly controller?: LeadingController;
  /** Not fenced: hooks are served by every replica. */
  readonly events: EventRecorder;
  readonly log: Log;
}

/** What is told of an object again is told so often at most. */
const TELL_AGAIN_MS = 10 * 60_000;
/** How long the answer of a bell that rings after the request may take. */
const LATER_MS = 10_000;

/** What a delivery comes to at its one trigger. */
type Result = Omit<TriggerResult, 'trigger'>;

/** A trigger whose hook is served. */
type WithHook = HookedTrigger & { readonly hook: HookSpec };

const PENDING: Result = { outcome: 'pending' };

/** The hooks of all triggers that have `spec.hook`. */
export function nativeBook(parts: NativeParts): HookBook {
  const receiveFor = createReceiving(parts);
  return {
    find(ref): Hook | 'waiting' | undefined {
      const trigger = parts.triggers.find(ref);
      if (trigger === undefined || trigger === 'waiting') return trigger;
      const { hook, meta } = trigger;
      if (hook === undefined) return undefined;
      return {
        kind: 'PipelineTrigger',
        ref: { namespace: meta.namespace, name: meta.name },
        uid: meta.uid,
        secret: hook.secret,
        wantsFluxEvent: true,
        receive: async (request, signal) => [
          { trigger: meta.name, ...(await receiveFor({ ...trigger, hook }, request, signal)) },
        ],
        tell: (type, reason, message) => tell(parts.events, trigger, type, reason, message),
      };
    },
  };
}

function tell(
  events: EventRecorder,
  { meta: { namespace, name, uid, resourceVersion } }: HookedTrigger,
  type: 'Normal' | 'Warning',
  reason: string,
  message: string,
): void {
  const about = { apiVersion: TRIGGER_API_VERSION, kind: TRIGGER_KIND, namespace, name, uid, resourceVersion };
  events.tell(about, { type, reason, message, atMostEveryMs: TELL_AGAIN_MS });
}

function createReceiving({ sources, notes, controller, events, log }: NativeParts) {
  let isUnforwarded = false;

  /** Rings for whoever leads. Where that cannot be passed on for good the watch of the leader has to do. */
  const ring = async ({ meta }: HookedTrigger, what: string, signal: AbortSignal): Promise<void> => {
    if (controller?.ring(meta)) return;
    try {
      await notes.ring(meta, what, signal);
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'refused') throw error;
      if (!isUnforwarded) {
        log.warn('events cannot be passed on to the replica that leads: apply k8s/components/hooks', {
          problem: error.message,
        });
      }
      isUnforwarded = true;
    }
  };

  /** Writes down what is to be looked for, where nothing else would start a run, and rings. */
  const take = async (trigger: WithHook, what: string, signal: AbortSignal): Promise<Result> => {
    if (trigger.hook.mode === 'events') {
      try {
        await notes.tell(trigger.meta, what, signal);
      } catch (error) {
        return notWritten(error);
      }
    }
    await ring(trigger, what, signal);
    return PENDING;
  };

  /** After the request: nobody waits for it, and nobody hears a Fault. */
  const takeLater = (trigger: WithHook, check: SourceCheck): void => {
    if (check.found === 'not-yet') {
      const message = `an event told of a revision that ${trigger.source.kind} ${trigger.source.name} has not shown since`;
      tell(events, trigger, 'Warning', 'RevisionNotObserved', message);
      return;
    }
    if (check.found !== 'same') return;
    take(trigger, check.revision, AbortSignal.timeout(LATER_MS)).catch((error: unknown) => {
      log.warn('a trigger could not be told of an event', {
        namespace: trigger.meta.namespace,
        trigger: trigger.meta.name,
        problem: faultOf(error).message,
      });
    });
  };

  /** An event of success: its revision is held against the source. */
  const receiveSuccess = async (trigger: WithHook, event: FluxEvent, signal: AbortSignal): Promise<Result> => {
    const isEvents = trigger.hook.mode === 'events';
    const check = await sources.check(event, signal);
    switch (check.found) {
      case 'same':
        return take(trigger, check.revision, signal);
      case 'not-yet': {
        const expected = expectedRevision(event);
        sources.lookOn(event, (later) => takeLater(trigger, later));
        if (!isEvents || expected === undefined) return PENDING;
        // What is written down starts nothing before the source shows it, and this process may end before that.
        return take(trigger, expected, signal);
      }
      case 'no-revision':
        // A bell needs none; what is written down does.
        if (isEvents) return { outcome: 'filtered', reason: 'NoRevision', message: 'the event tells of no revision' };
        return take(trigger, `an event at ${event.timestamp ?? ''}`, signal);
      default:
        return refusedBy(check, trigger);
    }
  };

  /** An event of failure: the source says itself whether it fails, if not at once. */
  const receiveFailure = async (
    trigger: WithHook,
    event: FluxEvent,
    arrivedAt: number,
    signal: AbortSignal,
  ): Promise<Result> => {
    const check = await sources.check(askedWhetherThere(event), signal);
    if (check.found !== 'same' && check.found !== 'not-yet' && check.found !== 'no-revision') {
      return refusedBy(check, trigger);
    }
    return take(trigger, toldFailure(event.timestamp ?? arrivedAt), signal);
  };

  /** An event that is believed: it is stored, and that it is there is what rings. */
  const receiveTrusted = async (
    trigger: WithHook,
    event: FluxEvent,
    arrivedAt: number,
    signal: AbortSignal,
  ): Promise<Result> => {
    const revision = trigger.hook.on === 'Failure' ? undefined : expectedRevision(event);
    if (revision === undefined && trigger.hook.on === 'Success') {
      return { outcome: 'filtered', reason: 'NoRevision', message: 'the event tells of no revision' };
    }
    const stored = storable({
      cluster: event.metadata.get('cluster') ?? '',
      reason: event.reason,
      message: trigger.hook.on === 'Failure' ? event.message : '',
      atMs: event.timestamp ?? arrivedAt,
      ...(revision === undefined ? {} : { revision }),
    });
    if (stored === undefined) {
      return { outcome: 'denied', reason: 'ClusterNotNamed', message: 'metadata.cluster is no name of a cluster' };
    }
    let key: string;
    try {
      key = await notes.store(trigger.meta, stored, arrivedAt, signal);
    } catch (error) {
      return notWritten(error);
    }
    if (key === 'full') {
      return { outcome: 'unavailable', reason: 'TooManyEvents', message: 'so many events wait for their runs already' };
    }
    await ring(trigger, key, signal);
    return PENDING;
  };

  return (
    trigger: WithHook,
    { body, arrivedAt }: { readonly body: Parameters<typeof readFluxEvent>[0]; readonly arrivedAt: number },
    signal: AbortSignal,
  ): Promise<Result> | Result => {
    const read = readFluxEvent(body);
    if (!read.ok) return { outcome: 'failed', reason: 'NoFluxEvent', message: read.message };
    const { event } = read;
    const refusal = refusalOf(event, trigger);
    if (refusal !== undefined) return refusal;
    const { hook, source } = trigger;
    if (hook.trustsEvents) return receiveTrusted(trigger, event, arrivedAt, signal);
    // Flux has no such kind: whoever posts an event of one may ring, and that is all.
    if (source.kind === 'PullRequest') return take(trigger, `an event at ${event.timestamp ?? arrivedAt}`, signal);
    if (hook.on === 'Failure') return receiveFailure(trigger, event, arrivedAt, signal);
    return receiveSuccess(trigger, event, signal);
  };
}

/** Why an event about this object is nothing to run. */
function refusedBy(
  check: Exclude<SourceCheck, { readonly found: 'same' | 'not-yet' | 'no-revision' }>,
  { source: { kind, name } }: HookedTrigger,
): Result {
  switch (check.found) {
    case 'missing':
      return { outcome: 'denied', reason: 'SourceNotFound', message: `there is no ${kind} ${name}` };
    case 'replaced':
      return { outcome: 'stale', reason: 'SourceReplaced', message: `${kind} ${name} is another one by now` };
    case 'suspended':
      return { outcome: 'filtered', reason: 'SourceSuspended', message: `${kind} ${name} is suspended` };
    case 'unreadable':
      return { outcome: 'denied', reason: 'SourceUnreadable', message: check.message };
  }
}

/** The sender is to come again: what must not be lost is not answered as if it were kept. Other Faults are the caller's. */
function notWritten(error: unknown): Result {
  const { code, message } = faultOf(error);
  if (code !== 'refused' && code !== 'conflict') throw error;
  const advice = code === 'refused' ? '; the rights for it are in k8s/components/hooks' : '';
  return {
    outcome: 'unavailable',
    reason: 'NotWritten',
    message: `the event could not be written down: ${message}${advice}`,
  };
}

/**
 * The event as one of a revision that nothing has: only whether its object is there, and is the one that is meant, comes of holding that
 * against it. Of failures there is nothing else to hold.
 */
function askedWhetherThere(event: FluxEvent): FluxEvent {
  return { ...event, severity: 'info', metadata: new Map([['revision', '0']]) };
}
