/** What listeners may do beyond their own namespace: said once, by whoever runs rungate. Pure. */

/** What whoever runs rungate allows. */
export interface ListenerPolicy {
  /**
   * Namespaces whose sources listeners may be about besides those of their own: `flux-system` for every listener, `apps/flux-system` for
   * those of apps alone.
   */
  readonly sourceNamespaces: readonly string[];
  /** Namespaces whose Triggers listeners may use, and in which they may create, besides their own; written as `sourceNamespaces`. */
  readonly runNamespaces: readonly string[];
  /** Whether templates may make TaskRuns as well as PipelineRuns. */
  readonly taskRuns: boolean;
}

/** Whether a list of a policy lets a listener of namespace `from` reach into namespace `to`. Its own it always reaches. */
export function reaches(granted: readonly string[], from: string, to: string): boolean {
  return from === to || granted.includes(to) || granted.includes(`${from}/${to}`);
}
