/**
 * The door: a request is looked at from the outside in, and the first thing that is wrong with it is its answer. Nothing of the
 * cluster is asked for before its sender has shown that they may deliver, but for the keys of a hook that is there.
 */
import type { Readable } from 'node:stream';
import type { Clock } from '../clock.ts';
import { Fault, faultOf } from '../fault.ts';
import type { ObjectRef } from '../kube/objects.ts';
import { LeakyLevels } from '../leaky.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { closed, type HookAnswer, type Refusal, refusalOf, refused } from './answers.ts';
import type { Deliveries } from './deliveries.ts';
import { firstOf, hookHeaders } from './headers.ts';
import type { Hook, HookBook } from './hook.ts';
import type { Intake, Taken } from './intake.ts';
import type { Closed, Keys } from './keys.ts';
import type { Pace } from './pace.ts';
import type { Admitted, Reception } from './reception.ts';
import type { HookHeaders } from './request.ts';

/** A request at the door: its head is read, and its body is not. */
export interface Knock {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** As Node has them: names and values in turn. */
  readonly rawHeaders: readonly string[];
  readonly body: Readable;
  /** The address that asks. */
  readonly client: string;
  readonly requestId: string;
  /** The names in the client certificate; none where there is none, or none that an authority of ours vouches for. */
  readonly clientNames: readonly string[];
}

/** Where deliveries come in. */
export interface Door {
  /** The hook that a request is for, whether or not it is there; undefined: it is for none. */
  hookOf(asked: {
    readonly method: string;
    readonly url: string;
    readonly host: string | undefined;
  }): ObjectRef | undefined;
  /** What a request for a hook is answered. Never rejects. */
  answer(ref: ObjectRef, knock: Knock): Promise<HookAnswer>;
}

/** What a door is made of. */
export interface DoorParts {
  readonly book: HookBook;
  readonly keys: Keys;
  readonly pace: Pace;
  readonly intake: Intake;
  readonly reception: Reception;
  readonly deliveries: Pick<Deliveries, 'refuse'>;
  /** The longest body that is taken. */
  readonly mostBytes: number;
  /** Whether hosts named `el-<name>.<namespace>.svc` lead to hooks, whatever the path, as the Services of EventListeners do. */
  readonly takesHosts: boolean;
  /** Aborts when this process is stopping: what is under way is finished, and nothing more begun. */
  readonly draining: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'hookDelivery'>;
}

/** Whoever owns a hook is told so often that its keys are not there, however many come to it. */
const TELL_EVERY_MS = 10 * 60_000;
const MOST_TOLD = 1_000;

/** Makes the door. */
export function createDoor(parts: DoorParts): Door {
  const { book, keys, pace, intake, reception, deliveries, mostBytes, takesHosts, draining, clock, log, metrics } =
    parts;
  const told = new LeakyLevels({ perSecond: 1_000 / TELL_EVERY_MS, most: MOST_TOLD, clock });

  const refuse = (refusal: Refusal, hook: Hook | undefined, { requestId }: Knock): HookAnswer => {
    // Names that nothing has are counted together: they are anybody's invention.
    metrics.hookDelivery(hook?.kind ?? 'none', refusal.code);
    return refused(refusal, requestId);
  };

  const turnAway = (ref: ObjectRef, hook: Hook | undefined, knock: Knock, why: Closed): HookAnswer => {
    const { namespace, name } = ref;
    const { client, requestId } = knock;
    pace.wrong(client);
    log.warn('audit', { event: 'hook', decision: 'deny', reason: why, namespace, name, client, requestId });
    if (hook !== undefined) {
      deliveries.refuse(ref, clock.now());
      tellOwner(hook, why);
    }
    return refuse(closed(hook !== undefined), hook, knock);
  };

  const tellOwner = (hook: Hook, why: Closed): void => {
    const message = forOwner(hook, why);
    const key = `${hook.uid} ${why}`;
    if (message === undefined || told.level(key) > 0) return;
    told.add(key);
    hook.tell('Warning', 'HookClosed', message);
  };

  const receive = async (admitted: Admitted, knock: Knock): Promise<HookAnswer> => {
    const { hook, ref } = admitted;
    try {
      pace.takeTurn(ref);
      const release = pace.takePlace();
      return await reception.receive(admitted).finally(release);
    } catch (error) {
      // Counted only: a flood must not push out what came before it.
      deliveries.refuse(ref, clock.now());
      return refuse(refusalOf(faultOf(error)), hook, knock);
    }
  };

  const pass = async (ref: ObjectRef, knock: Knock): Promise<HookAnswer> => {
    const [arrivedAt, beganAt] = [clock.now(), clock.steady()];
    const { url, client, requestId, clientNames } = knock;
    if (draining.aborted) throw new Fault('draining', 'this replica is stopping; try again');
    const headers = hookHeaders(knock.rawHeaders);
    const wrong = wrongHead(knock, headers, mostBytes);
    if (wrong !== undefined) return refuse(wrong, undefined, knock);
    pace.mayTry(client, ref);
    const hook = await book.find(ref);
    if (hook === 'waiting') throw new Fault('unavailable', 'hooks are not known yet; try again');
    const taken = await intake.read(knock.body, mostBytes);
    if (taken.came !== 'whole') return refuse(notTaken(taken, mostBytes), undefined, knock);
    const { raw } = taken;
    const checked = await keys.check(hook, { headers, raw, clientNames });
    if (checked.is === 'closed') return turnAway(ref, hook, knock, checked.why);
    pace.right(client, ref);
    const { hook: opened, isSigned } = checked;
    return receive({ hook: opened, ref, headers, raw, url, isSigned, client, requestId, arrivedAt, beganAt }, knock);
  };

  return {
    hookOf({ method, url, host = '' }) {
      if (!takesHosts && !url.startsWith('/hooks/')) return undefined; // asked of every request, most of which are the gateway's
      const path = url.split('?', 1)[0] ?? '';
      // The Service of an EventListener is probed at this path.
      if (path === '/live' && method !== 'POST') return undefined;
      const [, named, home] = (takesHosts && LISTENER_HOST.exec(host.toLowerCase())) || [];
      if (named !== undefined && home !== undefined) return { namespace: home, name: named };
      const [, namespace, name] = HOOK_PATH.exec(path) ?? [];
      return namespace === undefined || name === undefined ? undefined : { namespace, name };
    },
    async answer(ref, knock) {
      try {
        return await pass(ref, knock);
      } catch (error) {
        const fault = faultOf(error);
        const refusal = refusalOf(fault);
        // Whatever is only said because of how much there is to do must not fill the log as well.
        if (fault.cause !== undefined) {
          log[refusal.code === 'internal' ? 'error' : 'warn']('a hook could not be served', {
            namespace: ref.namespace,
            name: ref.name,
            error: fault.message,
            cause: fault.cause instanceof Error ? (fault.cause.stack ?? fault.cause.message) : String(fault.cause),
            requestId: knock.requestId,
          });
        }
        return refuse(refusal, undefined, knock);
      }
    },
  };
}

/** What can be no name is looked for as any other: none that is there is called so. */
const HOOK_PATH = /^\/hooks\/([^/]+)\/([^/]+)\/?$/;
/** https://tekton.dev/docs/triggers/eventlisteners/#exposing-an-eventlistener-outside-of-the-cluster */
const LISTENER_HOST = /^el-([^.:]+)\.([^.:]+)\.svc(?:\.[^:]*)?(?::\d*)?$/;

/** RFC 6839, 3.1 has the suffix, RFC 8259, 8.1 the only encoding. */
const JSON_TYPE = /^application\/(?:[\w.!#$&^-]+\+)?json *(?:; *charset *= *"?utf-8"? *)?$/i;

/** What is wrong with a head, whatever hook it is for. */
function wrongHead({ method, rawHeaders }: Knock, headers: HookHeaders, mostBytes: number): Refusal | undefined {
  if (method !== 'POST') return { code: 'method-not-allowed', sentence: 'a hook takes POST alone' };
  if (!/^(?:identity)?$/i.test(firstOf(headers, 'Content-Encoding'))) {
    return { code: 'unsupported-media-type', sentence: 'the body must not be encoded' };
  }
  if (!JSON_TYPE.test(firstOf(headers, 'Content-Type'))) {
    return { code: 'unsupported-media-type', sentence: 'Content-Type must be application/json' };
  }
  const isChunked = rawHeaders.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'transfer-encoding');
  if (!isChunked && !headers.has('Content-Length'))
    return { code: 'length-required', sentence: 'Content-Length is missing' };
  return Number(firstOf(headers, 'Content-Length')) > mostBytes
    ? notTaken({ came: 'too-large' }, mostBytes)
    : undefined;
}

/** The answer to a body that was not read to its end. */
function notTaken({ came }: Exclude<Taken, { readonly came: 'whole' }>, mostBytes: number): Refusal {
  switch (came) {
    case 'too-large':
      return { code: 'body-too-large', sentence: `the body may have ${mostBytes} bytes` };
    case 'too-slow':
      return { code: 'too-slow', sentence: 'the body came too slowly' };
    case 'crowded':
      return { code: 'exhausted', sentence: 'too many bodies are being read; try again' };
    case 'broken':
      return { code: 'bad-request', sentence: 'the body broke off' };
  }
}

/** What the owner of a hook is told when nobody can come in; of those who are merely wrong nothing. */
function forOwner({ kind, secret }: Hook, why: Closed): string | undefined {
  switch (why) {
    case 'no secret named': {
      const where = kind === 'PipelineTrigger' ? 'spec.hook.secretRef' : 'the annotation rungate.dev/hook-secret';
      return `Nothing is taken: ${where} names no Secret, and ALLOW_UNAUTHENTICATED_HOOKS is not true.`;
    }
    case 'secret not found':
      return `Nothing is taken: there is no Secret ${secret}.`;
    case 'secret without keys':
      return `Nothing is taken: the Secret ${secret} has none of the keys token, bearer and clientNames.`;
    default:
      return undefined;
  }
}
