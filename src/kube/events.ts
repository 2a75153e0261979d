/** Kubernetes Events: told once where that is asked for, repeats folded into a count, and never in the way of what they tell of. */
import type { Part } from '../lifecycle.ts';

/** What an Event is about. */
export interface Involved {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion?: string;
}

/** One thing to tell. */
export interface Told {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, a word. */
  readonly reason: string;
  readonly message: string;
  /**
   * What makes it the same thing: its Event gets a name derived from this and the object's uid, so that it is told once,
   * whoever tells it again, this process after a restart included. Without it repeats are counted.
   */
  readonly once?: string;
  /** The same message of the same object is told again after this time at the earliest. */
  readonly atMostEveryMs?: number;
}

/** Where controllers tell of what they did. */
export interface EventRecorder {
  /** Never throws and never waits: what cannot be written after a few tries is logged and let go. */
  tell(about: Involved, what: Told): void;
}

/** A recorder as a part of the process; its stop waits (within its deadline) for what is still to be written. */
export interface Events extends Part, EventRecorder {}
