/** The loop of a controller: keys fall due, the earliest wins, each is reconciled by one at a time, and failures wait longer and longer. */
import type { Part } from '../lifecycle.ts';
import type { ObjectRef } from './objects.ts';

/** When to look again although nothing rings. */
export interface Again {
  /** Milliseconds from now; undefined: only when something rings. */
  readonly againMs?: number;
}

/**
 * Brings one object to where it should be. What rang is not told: it looks at the world. A Fault it throws is tried again:
 * `conflict` at once, what carries `retryAfterMs` after that, all others after a backoff that doubles from 250 ms to 60 s.
 * `signal` aborts when the loop stops or leadership is lost.
 */
export type Reconcile = (key: ObjectRef, signal: AbortSignal) => Promise<Again>;

/** A loop as a part of the process. It reconciles only while this process leads; whoever begins to lead reconciles every key. */
export interface Controller extends Part {
  /** Makes `key` due now, or after `afterMs`; a key that is due earlier stays so. While it is being reconciled it is due once more afterwards. */
  ring(key: ObjectRef, afterMs?: number): void;
  /** Forgets `key`: it is gone. What is being done for it is finished. */
  forget(key: ObjectRef): void;
  /** How many keys are due or being reconciled now. */
  readonly pending: number;
}
