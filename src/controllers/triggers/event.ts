/** What a source reports, as the events of a trigger. Pure. */
import { parseImage, parseRevision, revisionKey, sameRevision } from '../../flux/revision.ts';
import type { ChosenImage, PullRequestBranch, Source } from '../../flux/types.ts';
import { type JsonObject, objectOf, stringOf } from '../../kube/objects.ts';
import type { HookSpec } from '../../triggers/hookspec.ts';
import type { StoredEvent } from '../../triggers/told.ts';

/** The event of a run, as the source has it. */
export const EVENT_ANNOTATION = 'pipeline.jquad.rocks/event';

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

/**
 * What there is to run for, in the order in which the source has it; empty while it has reported nothing, and on failures while it does
 * not fail. Of a PullRequest each branch is an event of its own, of all other kinds there is one at most. The digest of an artifact or
 * image is no part of the identity. Never throws.
 */
export function eventsOf(source: Source, on: HookSpec['on'] = 'Success'): readonly TriggerEvent[] {
  if (on === 'Failure') return source.ready?.isReady === false ? [failureEvent(source, source.ready)] : [];
  if (source.artifact !== undefined) return [repositoryEvent(source.meta.name, source.artifact)];
  if (source.image !== undefined) return [imageEvent(source.image)];
  // Two pull requests from forks may have branches of one name: as with the original, the last one counts.
  return [...new Map((source.branches ?? []).map((branch) => [branch.name, branchEvent(branch)])).values()];
}

function repositoryEvent(repositoryName: string, { revision }: { readonly revision: string }): TriggerEvent {
  const parsed = parseRevision(revision);
  const { branchName, digest: commitId = '' } = parsed;
  return {
    line: '',
    raw: revision,
    identity: revisionKey(parsed),
    shown: { as: 'repository', branchName, commitId, repositoryName },
    branch: branchName,
    commit: commitId,
    details: detailsOf({ branchName, commitId, repositoryName }),
  };
}

function imageEvent({ name, tag }: ChosenImage): TriggerEvent {
  const segments = name.split('/');
  const imageName = segments.at(-1) ?? '';
  const repositoryName = segments.at(-2) ?? '';
  const tagged = tag === '' ? name : `${name}:${tag}`;
  // Of an image, the first releases gave the first two parts between slashes as branch and commit.
  const [branch = '', commit = ''] = tagged.split('/');
  return {
    line: '',
    raw: tagged,
    identity: `${name}:${tag}`,
    shown: { as: 'image', repositoryName, imageName, imageVersion: tag },
    branch,
    commit,
    details: detailsOf({ repositoryName, imageName, imageVersion: tag }),
  };
}

function branchEvent({ name, commit, details }: PullRequestBranch): TriggerEvent {
  const raw = `${name}@${commit}`;
  return {
    line: name,
    raw,
    identity: raw,
    shown: { as: 'pullRequest', branchName: name, commitId: commit },
    branch: name,
    commit,
    details,
  };
}

/** The event of a failure that gives no reason. */
const FAILED = 'Failed';

/** What a failure says of itself. */
interface Failure {
  readonly reason: string;
  readonly message: string;
  /** RFC 3339. */
  readonly since: string;
}

/**
 * That a source fails, for one reason. Of one that was never fetched Flux sets the time of the condition anew with each try, so that the time
 * cannot tell one failure from the next: it is only told.
 */
function failureEvent(
  { kind, meta: { name }, artifact, image }: Source,
  { reason, message, since }: Failure,
): TriggerEvent {
  const last = artifact ? repositoryEvent(name, artifact) : image ? imageEvent(image) : nothingYet(kind, name);
  // What there has never been is empty and not left out: of a failure a run can always be made.
  const details = JSON.stringify({ reason, message, since, ...shownFields(last.shown) });
  return { ...last, raw: reason || FAILED, identity: `failure ${reason}`, details };
}

/** A source that has never reported anything has no names but its own. */
function nothingYet(kind: Source['kind'], name: string): TriggerEvent {
  return kind === 'ImagePolicy' ? imageEvent({ name: '', tag: '' }) : repositoryEvent(name, { revision: '' });
}

function shownFields(shown: Shown): Readonly<Record<string, string>> {
  const { as, ...fields } = shown;
  return fields;
}

/**
 * An event that is believed. It is one of its cluster: the same revision in another cluster is another event. The document of its
 * parameters has `cluster` as well, where the event names one.
 */
export function storedTriggerEvent(
  { cluster, revision, reason, message, atMs }: StoredEvent,
  { kind, name }: { readonly kind: Source['kind']; readonly name: string },
): TriggerEvent {
  const of = cluster === '' ? '' : ` of ${cluster}`;
  if (revision === undefined) {
    const since = new Date(atMs).toISOString();
    const last = nothingYet(kind, name);
    const details = JSON.stringify({ reason, message, since, ...shownFields(last.shown), cluster });
    return { ...last, raw: reason || FAILED, identity: `failure ${reason} at ${since}${of}`, details };
  }
  const event = kind === 'ImagePolicy' ? imageEvent(parseImage(revision)) : repositoryEvent(name, { revision });
  return { ...event, identity: `${event.identity}${of}`, details: detailsOf({ ...shownFields(event.shown), cluster }) };
}

/** In the order in which the original writes them, and without those that are empty. */
function detailsOf(fields: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== '')));
}

/**
 * Whether a status that the original operator wrote stands for this event already, so that taking over starts no run:
 * `latestEvent` of its first releases, or the block of the source's kind of the later ones. The format of the revision may have
 * changed since. Never throws.
 */
export function sameAsUpstream(status: JsonObject, event: TriggerEvent, source: Source): boolean {
  const { shown } = event;
  // What a source holds while it fails was an event of its own.
  if (event.identity.startsWith('failure ')) return false;
  const latest = stringOf(status.latestEvent);
  switch (source.kind) {
    case 'GitRepository': {
      const block = objectOf(status.gitRepository);
      if (latest !== undefined && sameRevision(latest, event.raw)) return true;
      return (
        shown.as === 'repository' &&
        block.repositoryName === shown.repositoryName &&
        block.commitId === shown.commitId &&
        isBranchAsKept(stringOf(block.branchName) ?? '', shown.branchName)
      );
    }
    case 'ImagePolicy': {
      const block = objectOf(status.imagePolicy);
      if (shown.as !== 'image') return false;
      if (latest !== undefined && isSameImage(parseImage(latest), source.image)) return true;
      return (
        (block.repositoryName ?? '') === shown.repositoryName &&
        block.imageName === shown.imageName &&
        (block.imageVersion ?? '') === shown.imageVersion
      );
    }
    case 'PullRequest': {
      const branches = objectOf(objectOf(status.branches).branch);
      return Object.hasOwn(branches, event.line) && objectOf(branches[event.line]).commit === event.commit;
    }
    case 'OCIRepository':
    case 'Bucket':
      return false; // kinds that the original does not know
  }
}

/** The original kept what stands before the first `@`: a part of some branches, and all of a revision without a branch. */
function isBranchAsKept(kept: string, branchName: string): boolean {
  const { branchName: name } = parseRevision(kept);
  return name === branchName || name === branchName.split('@')[0];
}

function isSameImage(one: ChosenImage, other: ChosenImage | undefined): boolean {
  return one.name === other?.name && one.tag === other.tag;
}
