/** Which revision an event of Flux says that it is about, in the words of every release since 0.13. Only a claim: the object knows. */
import { normalRevision, parseImage, parseRevision } from '../flux/revision.ts';
import type { FluxEvent } from './fluxevent.ts';

/** The longest message that is looked into. Those that say a revision are a tenth as long; change sets of Kustomizations are not. */
const LONGEST_MESSAGE = 4_096;
/** As in `flux/project`: Git refuses branches a tenth as long. */
const LONGEST_REVISION = 2_048;

// A title of a commit can hold any text, so nothing counts behind the first quote but what stands in it.
const FETCHED = /^Fetched(?: and packaged)? revision: (?<text>\S+)$/;
const STORED = /^[^']*\brevision '(?<text>[^'\s]+)'/;
const STORED_COMMIT = /^[^']*\bcommit '(?<text>[^'\s]+)'$/;
const CHART = /^(?:pulled|packaged) '[^']*' chart with version '(?<text>[^'\s]+)'/;
// Of image-reflector-controller up to 0.25, up to 0.34, and since: quotes and the colon went, digest and predecessor came.
const CHOSEN =
  /^Latest image tag for '?(?<name>[^'\s]+)'? (?:resolved to:?|updated from \S+ to) (?<tag>\S+)(?: with digest (?<digest>\S+))?(?: \(previously \S+\))?$/;

/** How the message of each kind says a revision. Other kinds say it in their metadata, or not at all. */
const MESSAGES: ReadonlyMap<string, readonly RegExp[]> = new Map([
  ['GitRepository', [FETCHED, STORED, STORED_COMMIT]],
  ['OCIRepository', [FETCHED, STORED]],
  ['Bucket', [FETCHED, STORED]],
  ['HelmRepository', [FETCHED, STORED]],
  ['HelmChart', [FETCHED, CHART]],
]);

const CONTROL = /[\p{Cc}\u2028\u2029]/u;
const HEX = /^[0-9a-f]{40,128}$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const IMAGE_NAME = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,511}$/;
const IMAGE_DIGEST = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-f]{40,128}$/;

/**
 * The revision that an event tells, normalised: `main@sha1:<hex>`, `sha256:<hex>`, `6.5.0`, and `name:tag[@digest]` for an ImagePolicy.
 * It is the first of these that has the shape of one: `metadata.revision`, the same key with the group of the object before it, what the
 * message says. Of a failure only its metadata is looked at, since its message may quote anything. Undefined: it tells none, which is
 * so for ImageRepositories and for most failures. Linear in the length of the event.
 */
export function expectedRevision(event: FluxEvent): string | undefined {
  const { group, kind } = event.involvedObject;
  const isImage = kind === 'ImagePolicy';
  for (const key of ['revision', `${group}/revision`]) {
    const text = event.metadata.get(key);
    const revision = text === undefined ? undefined : isImage ? imageIn(text) : revisionIn(text);
    if (revision !== undefined) return revision;
  }
  if (event.severity === 'error' || event.message.length > LONGEST_MESSAGE) return undefined;
  return isImage ? chosenIn(event.message) : saidIn(event.message, kind);
}

function saidIn(message: string, kind: string): string | undefined {
  for (const form of MESSAGES.get(kind) ?? []) {
    const revision = revisionIn(form.exec(message)?.groups?.text ?? '');
    if (revision === undefined) continue;
    // The title of a commit stands where a revision may stand, and only with a digest it is one.
    if (kind !== 'GitRepository' || parseRevision(revision).digest !== undefined) return revision;
  }
  return undefined;
}

function chosenIn(message: string): string | undefined {
  const { name = '', tag = '', digest } = CHOSEN.exec(message)?.groups ?? {};
  return chosenImage(name, tag, digest);
}

function imageIn(text: string): string | undefined {
  const { name, tag, digest } = parseImage(text);
  return chosenImage(name, tag, digest);
}

function chosenImage(name: string, tag: string, digest: string | undefined): string | undefined {
  if (!IMAGE_NAME.test(name) || !TAG.test(tag)) return undefined;
  if (digest === undefined) return `${name}:${tag}`;
  return IMAGE_DIGEST.test(digest) ? `${name}:${tag}@${digest}` : undefined;
}

function revisionIn(text: string): string | undefined {
  if (text === '' || text.length > LONGEST_REVISION || CONTROL.test(text)) return undefined;
  const revision = normalRevision(text);
  const { algorithm, digest = '' } = parseRevision(revision);
  // What has a colon has a digest behind it: neither branches nor versions can have one.
  return revision.includes(':') && (algorithm === undefined || !HEX.test(digest)) ? undefined : revision;
}
