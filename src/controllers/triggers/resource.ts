/**
 * A PipelineTrigger as we read it: every shape that was released under `pipeline.jquad.rocks/v1alpha1`, and what is wrong with
 * one that says too little. Pure, and never throws: one that is wrong affects itself only.
 */
import type { SourceKind } from '../../flux/types.ts';
import type { JsonObject, Kept } from '../../kube/objects.ts';

export const TRIGGER_GROUP = 'pipeline.jquad.rocks';
export const TRIGGER_API_VERSION = `${TRIGGER_GROUP}/v1alpha1`;
export const TRIGGER_KIND = 'PipelineTrigger';
/** Starts a run of the current event whenever its value changes. */
export const RUN_AT_ANNOTATION = 'rungate.dev/runAt';
/** `maxHistory` for shapes that have no such field. */
export const MAX_HISTORY_ANNOTATION = 'pipeline.jquad.rocks/max-history';

/** `spec.pipeline`: releases 0.1.x and 0.2.x. */
export interface PipelineFields {
  readonly name: string;
  readonly serviceAccountName?: string;
  readonly inputParams: readonly { readonly name: string; readonly value: string }[];
  readonly workspace?: { readonly name: string; readonly size: string; readonly accessMode: string };
  /** Of 0.2.x. */
  readonly securityContext?: { readonly runAsUser?: number; readonly runAsGroup?: number; readonly fsGroup?: number };
}

/** What runs are made from. `pipelineRunSpec` is of 0.3.x, `pipelineRun` of 0.5.0 and later. */
export type Template =
  | { readonly shape: 'pipeline'; readonly pipeline: PipelineFields }
  | { readonly shape: 'pipelineRunSpec'; readonly apiVersion?: string; readonly spec: JsonObject }
  | { readonly shape: 'pipelineRun'; readonly pipelineRun: JsonObject };

/** `credentialsRef`, or `managedCredentialRef`. */
export interface CredentialRef {
  readonly name: string;
  /** Absent: the trigger's own. */
  readonly namespace?: string;
}

/** The spec, once nothing is wrong with it. */
export interface TriggerSpec {
  readonly source: { readonly apiVersion?: string; readonly kind: SourceKind; readonly name: string };
  readonly template: Template;
  readonly credential?: CredentialRef;
  readonly suspend: boolean;
  /** How many runs may follow the first when it fails. */
  readonly retries: number;
  /** How many runs to keep; absent: all. */
  readonly maxHistory?: number;
  /** `spec.hook.identity: content`: a changed digest is an event as well. */
  readonly byContent: boolean;
}

/** What is kept of one line of events: that of the source, or of one branch of a PullRequest. */
export interface Line {
  /** As `TriggerEvent` has them. */
  readonly raw: string;
  /** Absent where another program wrote the status. */
  readonly identity?: string;
  /** Which event of the trigger this is, from 1; 0 where another program wrote it. Runs are named after it. */
  readonly sequence: number;
  /** Runs of this event that were given up before the current one. */
  readonly attempt: number;
  /** The current run; absent while it is intended and not yet known to exist. */
  readonly run?: string;
}

/** A branch that is gone from its PullRequest, kept so that its return is not taken for news. */
export interface ClosedBranch {
  readonly name: string;
  readonly commit: string;
  readonly run?: string;
  /** RFC 3339. */
  readonly closed: string;
}

/** A PipelineTrigger, projected. */
export interface PipelineTrigger extends Kept {
  readonly generation: number;
  /** The spec, or each thing that is wrong with it, a sentence that names the field. */
  readonly spec: TriggerSpec | { readonly mistakes: readonly string[] };
  /** The value of `rungate.dev/runAt`. */
  readonly runAt?: string;
  /** `status` as it was sent: what we know of it, and what others wrote. */
  readonly status: JsonObject;
}
