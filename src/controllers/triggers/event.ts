/** What a source reports, as the events of a trigger. Pure. */

/** Labels of runs of a trigger, and their exact values as annotations. */
export const TRIGGER_LABEL = 'pipeline.jquad.rocks/pipelinetrigger';
export const EVENT_KEY_ANNOTATION = 'pipeline.jquad.rocks/event-key';

/** Which names an event shows itself under: what stands in the trigger's status and in the labels of its runs. */
export type Shown =
  | {
      /** GitRepository, OCIRepository and Bucket. */
      readonly as: 'repository';
      readonly branchName: string;
      readonly commitId: string;
      readonly repositoryName: string;
    }
  | { readonly as: 'image'; readonly repositoryName: string; readonly imageName: string; readonly imageVersion: string }
  | { readonly as: 'pullRequest'; readonly branchName: string; readonly commitId: string };

/** Something to run for. */
export interface TriggerEvent {
  /** What tells the events of one source that go on beside each other apart: the branch of a PullRequest, else ''. */
  readonly line: string;
  /** As the source has it: `status.latestEvent`. Of a PullRequest `<branch>@<commit>`. */
  readonly raw: string;
  /** Equal for equal events, however the source writes them: what the fire rule compares. */
  readonly identity: string;
  readonly shown: Shown;
  /** `$(branch)` and `$(commit)`. */
  readonly branch: string;
  readonly commit: string;
  /** What JSONPath parameters are evaluated against: a JSON text. */
  readonly details: string;
}
