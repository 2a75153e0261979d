/** How Flux writes what a source holds: revisions and images, in the formats of all its releases. */
import type { ChosenImage } from './types.ts';

/** A revision, taken apart. */
export interface Revision {
  /** What was followed, as it stands there: `main`, `refs/heads/main`, `v1.2.0`; '' where only the commit is told. */
  readonly pointer: string;
  /** The pointer without `refs/heads/` or `refs/tags/`. */
  readonly branchName: string;
  /** `sha1`, `sha256`, ...; absent in the old format. */
  readonly algorithm?: string;
  /** The commit, or the digest of an artifact, in hex; absent where the text has none that can be told from the pointer. */
  readonly digest?: string;
}

// The first part is greedy: a branch may have an `@` of its own, so the last one counts.
const NAMED = /^(?<pointer>.*)@(?<algorithm>[a-z0-9]+(?:[+._-][a-z0-9]+)*):(?<digest>[0-9a-f]+)$/is;
const BARE = /^(?<algorithm>[a-z0-9]+(?:[+._-][a-z0-9]+)*):(?<digest>[0-9a-f]+)$/i;
// Before RFC-0005; a branch may have slashes of its own. Buckets had a checksum without anything before it.
const OLD = /^(?:(?<pointer>.*)\/)?(?<digest>[0-9a-f]{64}|[0-9a-f]{40})$/is;

/**
 * Takes a revision apart: `main@sha1:<hex>`, `refs/heads/main@sha1:<hex>`, `sha1:<hex>`, and `main/<hex>` as it was before
 * Flux 2.0. What is none of these is all pointer. Never throws.
 * https://github.com/fluxcd/flux2/tree/main/rfcs/0005-artifact-revision-and-digest
 */
export function parseRevision(text: string): Revision {
  const parts = (NAMED.exec(text) ?? BARE.exec(text) ?? OLD.exec(text))?.groups;
  const pointer = parts === undefined ? text : (parts.pointer ?? '');
  return {
    pointer,
    branchName: pointer.replace(/^refs\/(?:heads|tags)\//, ''),
    ...(parts?.algorithm === undefined ? {} : { algorithm: parts.algorithm.toLowerCase() }),
    ...(parts?.digest === undefined ? {} : { digest: parts.digest.toLowerCase() }),
  };
}

/**
 * One text for every way to write a revision: the branch and the commit. `HEAD` of the old format names no branch, and what
 * follows a commit alone has none either, so that an upgrade of Flux makes no new revision of it.
 */
export function revisionKey(revision: Revision): string {
  return `${isNameless(revision) ? '' : revision.branchName}@${revision.digest ?? ''}`;
}

/** Whether only the commit is told. */
function isNameless({ pointer, algorithm, digest }: Revision): boolean {
  return pointer === '' || (pointer === 'HEAD' && algorithm === undefined && digest !== undefined);
}

/**
 * A revision as Flux writes it since 2.0, in whichever format it was written: `main/<hex>` is `main@sha1:<hex>`, `HEAD/<hex>` and the bare
 * hex, of which only the commit is told, are `sha1:<hex>`. What is no such revision (`6.5.0`) stays as it is. Never throws.
 */
export function normalRevision(text: string): string {
  const revision = parseRevision(text);
  const { pointer, algorithm, digest } = revision;
  // The old format had no colon: what has one, and no algorithm, is none of ours.
  if (digest === undefined || (algorithm === undefined && text.includes(':'))) return text;
  const commit = `${algorithm ?? (digest.length === 64 ? 'sha256' : 'sha1')}:${digest}`;
  return isNameless(revision) ? commit : `${pointer}@${commit}`;
}

/** Whether two revisions are the same commit of the same branch, whichever format each is written in. */
export function sameRevision(one: string, other: string): boolean {
  return one === other || revisionKey(parseRevision(one)) === revisionKey(parseRevision(other));
}

/**
 * Takes an image reference apart: `registry:5000/org/name:tag@sha256:<hex>`. The tag is what follows the last colon behind
 * the last slash; '' without one. Never throws.
 */
export function parseImage(text: string): ChosenImage {
  const at = text.indexOf('@');
  const tagged = at < 0 ? text : text.slice(0, at);
  const digest = at < 0 ? '' : text.slice(at + 1);
  const slash = tagged.lastIndexOf('/');
  const last = tagged.lastIndexOf(':');
  const colon = last > slash ? last : -1;
  const name = colon < 0 ? tagged : tagged.slice(0, colon);
  const tag = colon < 0 ? '' : tagged.slice(colon + 1);
  return { name, tag, ...(digest === '' ? {} : { digest }) };
}
