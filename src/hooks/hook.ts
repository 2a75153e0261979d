/** A hook, whatever kind of object it belongs to: how it is found, what opens it, and what it does with a delivery. */
import type { ObjectRef } from '../kube/objects.ts';
import type { TriggerResult } from './outcome.ts';
import type { HookRequest } from './request.ts';

/** One hook as it is now. */
export interface Hook {
  readonly kind: 'PipelineTrigger' | 'EventListener';
  readonly ref: ObjectRef;
  readonly uid: string;
  /**
   * The Secret of its namespace that says what opens it: a key `token` wants a signature (and `previous`, where it is there, is good
   * as well), `bearer` a bearer token (or `previousBearer`), `clientNames` a client certificate of one of these names; all that it has
   * are wanted.
   * Undefined: open to everybody, which is only served where whoever runs rungate has said so.
   */
  readonly secret: string | undefined;
  /** Whether a body has to be an event of Flux: one that is none is answered 400. */
  readonly wantsFluxEvent: boolean;
  /**
   * Does what is to be done. Resolves with one result for each trigger, in the order in which the object has them; rejects with a Fault
   * (`unavailable`, `timeout`) only where it cannot tell what became of any. Asking twice for one delivery makes no second run.
   */
  receive(request: HookRequest, signal: AbortSignal): Promise<readonly TriggerResult[]>;
  /** Tells whoever looks at the object, as a Kubernetes Event; told again it is folded. */
  tell(type: 'Normal' | 'Warning', reason: string, message: string): void;
}

/** What there is of a hook; `waiting`: that is not known yet, and the sender is to try again. */
export type Found = Hook | 'waiting' | undefined;

/** Every hook that is served, of one kind of object. Nobody is asked over the network. */
export interface HookBook {
  /** At once, or after some seconds at most where what the hook consists of has to be read first. Rejects with Fault `unavailable`. */
  find(ref: ObjectRef): Found | Promise<Found>;
}
