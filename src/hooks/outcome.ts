/** What became of a delivery, trigger by trigger: the words that its answer, metrics, logs and deliveries share. */

/**
 * - `created`: a run was created for it
 * - `duplicate`: its run is there already, or has been
 * - `pending`: it was taken, and what it tells of is looked for
 * - `filtered`: nothing is to run for it
 * - `denied`: what it asks for is not allowed, or its source is not there
 * - `stale`: it tells of an object that is another one now
 * - `failed`: the trigger could not make a run of it, and would not the next time either
 * - `unavailable`: Kubernetes did not take the run; the sender is to try again
 */
export type Outcome = 'created' | 'duplicate' | 'pending' | 'filtered' | 'denied' | 'stale' | 'failed' | 'unavailable';

/** What became of a delivery at one trigger. */
export interface TriggerResult {
  /** The name of the trigger, as its listener has it. */
  readonly trigger: string;
  readonly outcome: Outcome;
  /** Why, in a word as conditions have them: `NoRevision`, `SourceNotFound`, `FilterError`; absent where there is nothing to say. */
  readonly reason?: string;
  /** One sentence for whoever owns the trigger; never of a secret or of what the body holds. */
  readonly message?: string;
  /** `namespace/name` of the run, where there is one. */
  readonly pipelineRun?: string;
}
