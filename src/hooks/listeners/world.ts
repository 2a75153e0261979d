/** What a listener asks of the world around it, so that what it does can be decided, and tested, without one. */
import type { JsonObject, ObjectRef } from '../../kube/objects.ts';
import type { CelEngine } from '../cel/engine.ts';
import type { FluxEvent } from '../fluxevent.ts';

/** A run that is to be made, under the name that says what it is for. */
export interface RunOrder {
  /** As it is to be created: apiVersion, kind, namespace, name, labels and annotations included. */
  readonly manifest: JsonObject;
  /** The hash of what it is for: a run of that name with this one is the same run. */
  readonly keyHash: string;
  /** The name to take where the first belongs to a run with another hash. */
  readonly secondName: string;
  /** The ServiceAccount that creates it, of the namespace of `entry`; undefined: rungate itself. */
  readonly serviceAccount: string | undefined;
  /** Where the ledger has it, or gets it. */
  readonly entry: LedgerEntry;
}

/** A line in the ledger of a trigger: that a run was made stays known when the run is gone. */
export interface LedgerEntry {
  readonly namespace: string;
  /** Names the ConfigMap: `ledger-<triggerId16>`. */
  readonly triggerId16: string;
  /** `el/trigger`, for whoever reads the ledger. */
  readonly triggerId: string;
  /** Its source's uid; '' for what is no event of Flux. */
  readonly source: string;
  readonly keyHash: string;
  readonly revision: string;
  readonly epoch: number;
}

/** What became of an order. */
export type Created =
  | { readonly came: 'created' | 'duplicate'; readonly run: ObjectRef }
  /** Not allowed, or refused for what it is: trying again does not help. `said` is the API server's sentence. */
  | { readonly came: 'denied'; readonly said: string }
  /** Both names belong to other runs. */
  | { readonly came: 'collision'; readonly message: string }
  /** Nobody knows whether it was taken, or it was not, for now: asking again under the same name is safe. */
  | { readonly came: 'unavailable'; readonly message: string };

/** What the object that an event of Flux is about says of itself now (section "verify against the object"). */
export type SourceCheck =
  /** It is what the event says, or the event says nothing of it: this is its revision, normalised. */
  | {
      readonly found: 'same';
      /** `source.toolkit.fluxcd.io/GitRepository`. */
      readonly groupKind: string;
      readonly uid: string;
      readonly revision: string;
      readonly digest: string | undefined;
    }
  | { readonly found: 'missing' }
  /** The uid in the event is another one's. */
  | { readonly found: 'replaced' }
  /** The event says something that the object does not show, so far: look again. */
  | { readonly found: 'not-yet' }
  /** Nothing says which revision it is about. */
  | { readonly found: 'no-revision' }
  | { readonly found: 'suspended' }
  /** A kind that rungate does not read, or may not. */
  | { readonly found: 'unreadable'; readonly message: string };

/** Everything outside. Each of these may reject with a Fault `unavailable` or `timeout`. */
export interface ListenerWorld {
  readonly cel: CelEngine;
  /** A key of a Secret; undefined: there is no such Secret or key. */
  secret(namespace: string, name: string, key: string): Promise<Buffer | undefined>;
  /** Looks at the object itself, past every cache. */
  source(event: FluxEvent, signal: AbortSignal): Promise<SourceCheck>;
  /**
   * Looks on, after the delays of the specification, and calls `then` once with what it came to: a revision, or `not-yet` when it was
   * never shown. Outlives the request; ends with the process.
   */
  lookOn(event: FluxEvent, then: (check: SourceCheck) => void): void;
  /** Creates the run, once for its name, and enters it in the ledger. */
  create(order: RunOrder, signal: AbortSignal): Promise<Created>;
  /** How often the key of this entry has been run for already, by the ledger: its highest epoch, or undefined for never. */
  known(
    entry: Omit<LedgerEntry, 'epoch' | 'keyHash'>,
  ): Promise<{ readonly epoch: number; readonly isLatest: boolean } | undefined>;
}
