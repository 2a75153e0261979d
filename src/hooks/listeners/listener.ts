/**
 * What a listener does with a delivery: each of its triggers for itself asks its interceptors, takes its parameters, holds the event
 * against the object that it is about, and orders its runs. What happens is decided here; whatever it takes comes from `ListenerWorld`.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../clock.ts';
import { type Fault, faultOf } from '../../fault.ts';
import { type ObjectRef, objectOf, present, stringOf } from '../../kube/objects.ts';
import type { Log } from '../../log.ts';
import { eventIdOf } from '../answers.ts';
import { expectedRevision } from '../eventrevision.ts';
import { type FluxEvent, isFluxEvent, readFluxEvent } from '../fluxevent.ts';
import { oneOf } from '../headers.ts';
import type { Hook } from '../hook.ts';
import type { TriggerResult } from '../outcome.ts';
import type { HookRequest } from '../request.ts';
import { type Drawn, draw, paramsOf } from './bindings.ts';
import { intercept } from './interceptors.ts';
import { identityOfPiece, ledgerOf, orderRun, type Piece, type Subject } from './order.ts';
import type { PendingRoom } from './pending.ts';
import { type ListenerPolicy, reaches } from './policy.ts';
import type { Listener, ListenerOptions, ListenerTrigger, ReadyTrigger } from './resolve.ts';
import type { Created, ListenerWorld, RunOrder, SourceCheck } from './world.ts';

/** What a listener's hook is made of. */
export interface ListenerHookParts {
  readonly world: ListenerWorld;
  readonly policy: ListenerPolicy;
  readonly pending: PendingRoom;
  readonly clock: Clock;
  readonly log: Log;
  /** Tells whoever looks at the EventListener; told again it is folded. */
  readonly tell: Hook['tell'];
  /** Aborts when the process stops: a run that nobody asks for again, and that was not taken by then, is let go. */
  readonly stopping: AbortSignal;
}

/** Triggers of one delivery that are at work at once. */
const MOST_AT_ONCE = 8;
/** Gaps between the tries for a run whose delivery was answered with `pending`, since nobody delivers it again. */
const RETRIES_MS: readonly number[] = [1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 60_000];

/** What a trigger came to, without its name. */
type Came = Omit<TriggerResult, 'trigger'>;

/** A delivery, read as far as all triggers have it in common. */
type Delivery =
  | About
  /** No event of Flux: what it is about is itself. */
  | { readonly is: 'other'; readonly subject: Subject };

/** An event of Flux, and the object that it is about. */
interface About {
  readonly is: 'event';
  readonly sight: Sight;
  /** What it is about where it tells no revision, and that is enough. */
  readonly untold: Subject | undefined;
}

/** What a trigger makes its runs of, once its interceptors have let a delivery through. */
interface Material {
  readonly trigger: ReadyTrigger;
  /** `HookRequest.identity`. What else is of the delivery is let go: what is pending is, for a while, and its body may be large. */
  readonly delivery: string;
  readonly drawn: Drawn;
}

/** The hook of a listener. It takes any object for a body; asked twice for one delivery it orders the same runs. Never rejects. */
export function listenerHook(listener: Listener, parts: ListenerHookParts): Hook {
  const { ref, uid, secret, options, triggers } = listener;
  const { world, policy, pending, clock, log, tell, stopping } = parts;

  let lastTurn: Promise<void> = Promise.resolve();
  /** A turn of the event loop for each trigger: parameters of a large body take milliseconds, and a listener may have many triggers. */
  const ownTurn = (): Promise<void> => {
    lastTurn = lastTurn.then(() => setImmediate());
    return lastTurn;
  };

  /** The runs of one trigger for what a delivery is about, in the order of its templates up to the first that fails. */
  const make = async (material: Material, subject: Subject, signal: AbortSignal): Promise<Came> => {
    const { trigger } = material;
    const runs: ObjectRef[] = [];
    let outcome: 'created' | 'duplicate' = 'duplicate';
    let shared: { readonly eventId: string; readonly params: ReadonlyMap<string, string> } | undefined;
    for (const place of trigger.templates.keys()) {
      const piece: Piece = { listener, trigger, place, subject };
      const { epoch, isRun } = turnOf(await world.known(ledgerOf(piece)), options, subject);
      if (shared === undefined) {
        const eventId = identityOfPiece(piece, epoch).uuid;
        shared = { eventId, params: paramsOf(material.drawn, eventId) };
      }
      const order = orderRun(piece, { ...shared, epoch });
      if (isRun) {
        runs.push(runOf(order));
        continue;
      }
      const created = await world.create(order, signal);
      if (!('run' in created)) return withRun(failureOf(created), runs);
      if (created.came === 'created') outcome = 'created';
      runs.push(created.run);
    }
    return withRun({ outcome }, runs);
  };

  /** What a trigger does about what the source of its event shows. */
  const follow = async (material: Material, about: About, check: SourceCheck, signal: AbortSignal): Promise<Came> => {
    const subject = subjectOf(check, about, options);
    return 'outcome' in subject ? subject : make(material, subject, signal);
  };

  /** Goes on where the answer was `pending`, as long as it takes and may be. */
  const settle = async (material: Material, about: About): Promise<void> => {
    const check = await about.sight.later();
    const { trigger } = material;
    let came = await guarded(trigger, stopping, () => follow(material, about, check, stopping));
    for (const gapMs of RETRIES_MS) {
      if (came.outcome !== 'unavailable') break;
      await clock.sleep(gapMs, stopping);
      if (stopping.aborted) break;
      came = await guarded(trigger, stopping, () => follow(material, about, check, stopping));
    }
    const { outcome, reason, message, pipelineRun } = told(trigger, came);
    log.info('a pending delivery has come to its end', {
      namespace: ref.namespace,
      listener: ref.name,
      trigger: trigger.name,
      eventId: eventIdOf(material.delivery),
      outcome,
      reason,
      why: message,
      pipelineRun,
    });
    if (outcome === 'unavailable') tell('Warning', 'RunNotCreated', `trigger ${trigger.name}: ${message ?? outcome}`);
  };

  const take = async (
    trigger: ListenerTrigger,
    delivery: Delivery,
    request: HookRequest,
    signal: AbortSignal,
  ): Promise<Came> => {
    if ('mistakes' in trigger)
      return { outcome: 'failed', reason: 'InvalidTrigger', message: trigger.mistakes.join('; ') };
    const intercepted = await intercept(trigger.interceptors, {
      request,
      namespace: trigger.ref.namespace,
      world,
      signal,
    });
    if (!intercepted.passed) return intercepted.came;
    const { body, headers, identity } = request;
    const { extensions } = intercepted;
    // Said before the bindings are drawn: what they ask for is usually missing as well, and that is nobody's mistake.
    if (delivery.is === 'event' && delivery.untold === undefined && isFailure(delivery.sight.event)) return NO_REVISION;
    await ownTurn();
    const drawn = draw(trigger.bindings, trigger.declared, { body, headers, extensions });
    const material: Material = { trigger, delivery: identity, drawn };
    if (delivery.is === 'other') return make(material, delivery.subject, signal);
    const check = await delivery.sight.now();
    if (check.found !== 'not-yet') return follow(material, delivery, check, signal);
    const giveBack = pending.take(drawn);
    if (giveBack === undefined) {
      return { outcome: 'unavailable', reason: 'TooManyPending', message: 'too much waits for its sources already' };
    }
    void settle(material, delivery).finally(giveBack);
    return { outcome: 'pending', reason: 'RevisionNotYet', message: 'its source does not show that revision so far' };
  };

  /** Never rejects: what goes wrong with one trigger is what comes of it, and nothing to the others. */
  const guarded = async (trigger: ListenerTrigger, signal: AbortSignal, work: () => Promise<Came>): Promise<Came> => {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted)
        return { outcome: 'unavailable', reason: 'OutOfTime', message: 'there was no time left for it' };
      const fault = faultOf(error);
      if (fault.code === 'internal') {
        const cause = fault.cause instanceof Error ? fault.cause : fault;
        log.error('a trigger failed', {
          namespace: ref.namespace,
          listener: ref.name,
          trigger: trigger.name,
          error: String(cause),
        });
      }
      return cameOf(fault);
    }
  };

  const told = (trigger: ListenerTrigger, came: Came): TriggerResult => {
    const { outcome, reason, message, pipelineRun } = came;
    if (outcome === 'created')
      tell('Normal', 'RunCreated', `trigger ${trigger.name}: created ${pipelineRun ?? 'a run'}`);
    if (isWorthAWarning(came)) tell('Warning', reason ?? outcome, `trigger ${trigger.name}: ${message ?? outcome}`);
    return { trigger: trigger.name, ...came };
  };

  return {
    kind: 'EventListener',
    ref,
    uid,
    secret,
    wantsFluxEvent: false,
    tell,
    receive: async (request, signal) => {
      const delivery = readDelivery(request, listener, policy, (event) => new Sight(world, event, signal));
      if ('outcome' in delivery) {
        if (isWorthAWarning(delivery)) tell('Warning', delivery.reason ?? '', delivery.message ?? '');
        return triggers.map(({ name }) => ({ trigger: name, ...delivery }));
      }
      return inTurns(triggers, async (trigger) => {
        return told(trigger, await guarded(trigger, signal, () => take(trigger, delivery, request, signal)));
      });
    },
  };
}

/** What all triggers have in common of a delivery, or what comes of it whichever trigger is asked. */
function readDelivery(
  request: HookRequest,
  { ref, options }: Listener,
  policy: ListenerPolicy,
  sightOf: (event: FluxEvent) => Sight,
): Delivery | Came {
  if (options.suspended) return { outcome: 'filtered', reason: 'Suspended', message: 'the listener is suspended' };
  if (!isFluxEvent(request.body)) return { is: 'other', subject: deliveredSubject(request, undefined) };
  const read = readFluxEvent(request.body);
  // What means to be an event and cannot be held against its object is not run on its word alone.
  if (!read.ok)
    return { outcome: 'failed', reason: 'InvalidEvent', message: `this is no event of Flux: ${read.message}` };
  const { event } = read;
  if (!reaches(policy.sourceNamespaces, ref.namespace, event.involvedObject.namespace)) {
    const message = 'no policy lets this listener be about the sources of that namespace';
    return { outcome: 'denied', reason: 'SourceNotAllowed', message };
  }
  const untold = options.allowWithoutRevision ? deliveredSubject(request, event) : undefined;
  return { is: 'event', sight: sightOf(event), untold };
}

const NO_REVISION: Came = { outcome: 'filtered', reason: 'NoRevision', message: 'the event tells of no revision' };

/** Whether an event tells of a failure alone, which is about no revision, whatever its source shows. */
function isFailure(event: FluxEvent): boolean {
  return event.severity === 'error' && expectedRevision(event) === undefined;
}

const DELIVERY_ID = /^[\x21-\x7e]{1,128}$/;

/** What a delivery is about where no source says so: itself, by the name that its sender gave it, else by its bytes. */
function deliveredSubject({ headers, raw }: HookRequest, event: FluxEvent | undefined): Subject {
  const names = event === undefined ? ['X-GitHub-Delivery', 'X-Gitlab-Event-UUID'] : [];
  const given = names.map((name) => oneOf(headers, name)).find((id) => id !== undefined && DELIVERY_ID.test(id));
  return {
    groupKind: '',
    uid: '',
    revision: given ?? `sha256:${createHash('sha256').update(raw).digest('hex')}`,
    source: undefined,
    eventTimestamp: event?.timestamp,
  };
}

/** The object that an event is about, looked at once for all triggers that ask. */
class Sight {
  readonly event: FluxEvent;
  readonly #world: ListenerWorld;
  readonly #signal: AbortSignal;
  #now: Promise<SourceCheck> | undefined;
  #later: Promise<SourceCheck> | undefined;

  constructor(world: ListenerWorld, event: FluxEvent, signal: AbortSignal) {
    this.#world = world;
    this.event = event;
    this.#signal = signal;
  }

  /** What it shows. Rejects as `ListenerWorld.source` does. */
  now(): Promise<SourceCheck> {
    this.#now ??= this.#world.source(this.event, this.#signal);
    return this.#now;
  }

  /** What it has come to show when enough time has gone by. Never settles in a process that stops before. */
  later(): Promise<SourceCheck> {
    this.#later ??= new Promise((resolve) => this.#world.lookOn(this.event, resolve));
    return this.#later;
  }
}

/** What a run is to be made for, by what the source of an event shows; or why none is. */
function subjectOf(check: SourceCheck, { sight: { event }, untold }: About, options: ListenerOptions): Subject | Came {
  switch (check.found) {
    case 'same': {
      const { groupKind, uid, revision, digest } = check;
      const { namespace, name } = event.involvedObject;
      const isByContent = options.identity === 'content' && digest !== undefined;
      return {
        groupKind,
        uid,
        revision: isByContent ? `${revision}#${digest}` : revision,
        source: { groupKind, namespace, name, uid, revision, digest },
        eventTimestamp: event.timestamp,
      };
    }
    case 'no-revision':
      return untold ?? NO_REVISION;
    case 'missing':
      return {
        outcome: 'denied',
        reason: 'SourceNotFound',
        message: 'the object that the event is about is not there',
      };
    case 'replaced':
      return {
        outcome: 'stale',
        reason: 'SourceReplaced',
        message: 'the event is about an object that is another one now',
      };
    case 'suspended':
      return { outcome: 'filtered', reason: 'SourceSuspended', message: 'its source is suspended' };
    case 'unreadable':
      return { outcome: 'denied', reason: 'SourceUnreadable', message: check.message };
    case 'not-yet':
      return {
        outcome: 'filtered',
        reason: 'RevisionNotObserved',
        message: 'its source never showed the revision of the event',
      };
  }
}

/** Whether the run of a piece has been made, and else how often its source has come back to where it is. */
function turnOf(
  known: Awaited<ReturnType<ListenerWorld['known']>>,
  { onRepeat }: ListenerOptions,
  { source }: Subject,
): { readonly epoch: number; readonly isRun: boolean } {
  if (known === undefined) return { epoch: 0, isRun: false };
  // Only a source comes back: what is delivered again is the same delivery.
  const isBack = onRepeat === 'rerun' && source !== undefined && !known.isLatest;
  return isBack ? { epoch: known.epoch + 1, isRun: false } : { epoch: known.epoch, isRun: true };
}

function runOf({ manifest }: RunOrder): ObjectRef {
  const { namespace, name } = objectOf(manifest.metadata);
  return { namespace: stringOf(namespace) ?? '', name: stringOf(name) ?? '' };
}

/** The run that is told of is the first: the others are found by their labels. */
function withRun(came: Came, [run]: readonly ObjectRef[]): Came {
  return { ...came, ...present({ pipelineRun: run && `${run.namespace}/${run.name}` }) };
}

function failureOf(created: Exclude<Created, { readonly came: 'created' | 'duplicate' }>): Came {
  switch (created.came) {
    case 'denied':
      return { outcome: 'denied', reason: 'CreationDenied', message: created.said };
    case 'collision':
      return { outcome: 'failed', reason: 'NameCollision', message: created.message };
    case 'unavailable':
      return { outcome: 'unavailable', reason: 'RunNotCreated', message: created.message };
  }
}

function cameOf({ code, message }: Fault): Came {
  switch (code) {
    case 'bad-request':
      return { outcome: 'failed', reason: 'InvalidParameters', message };
    case 'refused':
    case 'forbidden':
    case 'unauthenticated':
    case 'not-found':
      return { outcome: 'failed', reason: 'Refused', message };
    case 'internal':
      return { outcome: 'failed', reason: 'InternalError', message };
    case 'exhausted':
      return { outcome: 'unavailable', reason: 'Overloaded', message };
    default:
      return { outcome: 'unavailable', reason: 'KubernetesUnavailable', message };
  }
}

/** Reasons that somebody should hear of although nothing was asked for that is not allowed. */
const WORTH_A_WARNING: ReadonlySet<string> = new Set(['FilterError', 'OverlayError', 'RevisionNotObserved']);

function isWorthAWarning({ outcome, reason }: Came): boolean {
  return outcome === 'denied' || outcome === 'failed' || outcome === 'stale' || WORTH_A_WARNING.has(reason ?? '');
}

/** One result for each, in their order, with so many at work at once. */
async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const worker = async () => {
    for (const [place, item] of queue) results[place] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(MOST_AT_ONCE, items.length) }, worker));
  return results;
}
