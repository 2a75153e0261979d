/** Who leads among replicas, by a Lease as client-go's leader election keeps it; and the fence that refuses writes to all others. */
import type { Part } from '../lifecycle.ts';

/** Whether this process leads. */
export interface Leadership {
  /** Whether a write may be sent now. True only while the Lease is certain to be ours for as long as a write may take. */
  held(): boolean;
  /** For how long that is certain, in milliseconds from now; 0 when not held. */
  remainingMs(): number;
  /** Calls `listener` each time it is won or lost, synchronously. Returns the end of the subscription. */
  subscribe(listener: (held: boolean) => void): () => void;
  /** Who leads, as the Lease last said; undefined: nobody, or not known. */
  holder(): string | undefined;
}

/** Election as a part of the process: started after what it protects can run, stopped after the last write has returned. */
export interface Election extends Part, Leadership {}
