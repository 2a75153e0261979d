/** The writing half of a Kubernetes API: the few verbs that controllers need, each safe to ask for twice. */
import { Fault, type FaultCode } from '../fault.ts';
import type { JsonObject, ObjectRef } from './objects.ts';

/**
 * What an API server said to a write that it did not take. `said` is its own sentence: it may be told to whoever owns the
 * object (in a condition, in an Event), never straight to a caller of the gateway.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */
export class WriteFault extends Fault {
  /** The HTTP status. */
  readonly status: number;
  /** `AlreadyExists`, `Conflict`, `Forbidden`, `Invalid`, ... ; '' where the answer was no Status. */
  readonly reason: string;
  readonly said: string;

  constructor(
    code: FaultCode,
    message: string,
    more: { readonly status: number; readonly reason: string; readonly said: string; readonly retryAfterMs?: number },
  ) {
    super(code, message, more.retryAfterMs === undefined ? {} : { retryAfterMs: more.retryAfterMs });
    this.name = 'WriteFault';
    this.status = more.status;
    this.reason = more.reason;
    this.said = more.said;
  }
}

/** What an object must still be when it is deleted. */
export interface Precondition {
  readonly uid: string;
  readonly resourceVersion?: string;
}

/**
 * Paths are absolute, as `KubeReader` has them. Faults: `WriteFault` with `conflict` (409), `not-found` (404), `refused` (any
 * other 4xx, 429 excepted), `unavailable` (429, 5xx); `Fault` with `unavailable` (network: nobody knows whether it was
 * taken) and `timeout` (no answer within `timeoutMs`, 10 s unless told: likewise). A request is never sent twice by itself,
 * but for a 401, on which the credentials are read anew.
 */
export interface KubeWriter {
  /** POSTs to a collection; resolves with the object as it was taken. */
  create(path: string, object: JsonObject, more?: WriteOptions): Promise<JsonObject>;
  /**
   * Merges into the object at `path` (RFC 7386; `path` may end in `/status`). With `metadata.resourceVersion` in `merge` the
   * server refuses it (`conflict`) when the object has changed since.
   */
  patch(path: string, merge: JsonObject, more?: WriteOptions): Promise<JsonObject>;
  /** PUTs the object at `path`, which carries the resourceVersion that it must still have. */
  replace(path: string, object: JsonObject, more?: WriteOptions): Promise<JsonObject>;
  /** Deletes in the background, only while the object is what `only` says. That it is gone already is success. */
  remove(path: string, only: Precondition, more?: WriteOptions): Promise<void>;
}

/** What each call may carry. */
export interface WriteOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /**
   * The ServiceAccount that asks, in place of ourselves, who need the right to impersonate it: the server then allows what it allows
   * that account. Fault `bad-request` where none can be called so.
   * https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
   */
  readonly as?: ObjectRef;
}
