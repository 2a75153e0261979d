/** What we read of Flux's sources, and of the PullRequests that are sources too. */
import type { Kept } from '../kube/objects.ts';

/** The kinds that can be the source of a trigger. */
export const SOURCE_KINDS = ['GitRepository', 'OCIRepository', 'Bucket', 'ImagePolicy', 'PullRequest'] as const;
export type SourceKind = (typeof SOURCE_KINDS)[number];

/** An image that an ImagePolicy chose. */
export interface ChosenImage {
  /** `registry:5000/org/name`, without tag and digest. */
  readonly name: string;
  readonly tag: string;
  /** `sha256:...`, where the policy reflects it. */
  readonly digest?: string;
}

/** One entry of `status.sourceBranches.branches` of a PullRequest. */
export interface PullRequestBranch {
  readonly name: string;
  readonly commit: string;
  /** The provider's pull request as one JSON text. */
  readonly details: string;
}

/** A source, projected. What it reports is absent until it has reported something. */
export interface Source extends Kept {
  readonly kind: SourceKind;
  readonly apiVersion: string;
  readonly generation: number;
  /** Absent where the kind or the server has none; -1 before the first look. */
  readonly observedGeneration?: number;
  readonly suspended: boolean;
  /** `status.artifact` of GitRepository, OCIRepository and Bucket. `revision` as it stands there; `updated` is RFC 3339. */
  readonly artifact?: { readonly revision: string; readonly digest?: string; readonly updated?: string };
  /** Of an ImagePolicy: `status.latestRef`, else `status.latestImage`. */
  readonly image?: ChosenImage;
  /** Of a PullRequest; absent before its first poll. */
  readonly branches?: readonly PullRequestBranch[];
  /** The condition Ready, where it is about the spec that the source has now and says yes or no. */
  readonly ready?: ReadyCondition;
  /** How often Flux looks by itself. */
  readonly intervalMs?: number;
  /** `status.lastHandledReconcileAt`: which request to look Flux has met last. */
  readonly handledReconcileAt?: string;
}

/** What a source says of itself. */
export interface ReadyCondition {
  readonly isReady: boolean;
  /** CamelCase: `GitOperationFailed`. */
  readonly reason: string;
  /** At most a kilobyte. Whoever writes to the repository may have a say in it. */
  readonly message: string;
  /** RFC 3339. Of a source that was never fetched Flux sets it anew with each try, not only when it begins to fail. */
  readonly since: string;
}
