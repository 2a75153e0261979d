/** What an object of Flux shows of itself: which revision it holds, and whether that is of its spec as it is now. Pure. */
import { type JsonObject, listOf, numberOf, objectOf, present, stringOf } from '../kube/objects.ts';
import { projectSource, SOURCE_RESOURCES, type SourceResource } from './project.ts';
import { normalRevision } from './revision.ts';
import type { ChosenImage } from './types.ts';

/** A kind that Flux tells events of, where it is served, and how its objects show what they hold. */
export interface ShownKind extends SourceResource {
  readonly kind: string;
  /**
   * - `stored`: an artifact, which was checked before it was stored
   * - `chosen`: an image or tags, of which an event does not say which
   * - `deployed`: what may still fail once it is there, so it has to be Ready
   */
  readonly is: 'stored' | 'chosen' | 'deployed';
  /** Never throws. */
  readonly shows: (raw: JsonObject) => Pick<Shown, 'revision' | 'told' | 'digest'>;
}

/** What an object shows. */
export interface Shown {
  readonly uid: string;
  readonly suspended: boolean;
  /** Whether what it shows is of its spec as it is now, and, where it is deployed, has come to be. */
  readonly isCurrent: boolean;
  /** In the format of today; absent while it shows none. Another text is another revision, whatever else may have changed. */
  readonly revision?: string;
  /** What an event calls that revision. */
  readonly told?: string;
  /** Of what it holds: `sha256:...`. Another one for the same revision is other content. */
  readonly digest?: string;
}

type Holding = ReturnType<ShownKind['shows']>;

const SOURCES = SOURCE_RESOURCES.GitRepository.group;
const IMAGES = SOURCE_RESOURCES.ImagePolicy.group;
const SINCE_V1BETA1 = ['v1', 'v1beta2', 'v1beta1'];
const stored = { is: 'stored', shows: artifactIn } as const;

/** Versions are those of Flux 0.13 and later, best first. */
const KINDS: readonly ShownKind[] = [
  { kind: 'GitRepository', ...SOURCE_RESOURCES.GitRepository, ...stored },
  { kind: 'OCIRepository', ...SOURCE_RESOURCES.OCIRepository, ...stored },
  { kind: 'Bucket', ...SOURCE_RESOURCES.Bucket, ...stored },
  { kind: 'HelmChart', group: SOURCES, resource: 'helmcharts', versions: SINCE_V1BETA1, ...stored },
  { kind: 'HelmRepository', group: SOURCES, resource: 'helmrepositories', versions: SINCE_V1BETA1, ...stored },
  { kind: 'ExternalArtifact', group: SOURCES, resource: 'externalartifacts', versions: ['v1'], ...stored },
  { kind: 'ImagePolicy', ...SOURCE_RESOURCES.ImagePolicy, is: 'chosen', shows: imageIn },
  {
    kind: 'ImageRepository',
    group: IMAGES,
    resource: 'imagerepositories',
    versions: SOURCE_RESOURCES.ImagePolicy.versions,
    is: 'chosen',
    shows: scanIn,
  },
  {
    kind: 'Kustomization',
    group: 'kustomize.toolkit.fluxcd.io',
    resource: 'kustomizations',
    versions: SINCE_V1BETA1,
    is: 'deployed',
    shows: appliedIn,
  },
  {
    kind: 'HelmRelease',
    group: 'helm.toolkit.fluxcd.io',
    resource: 'helmreleases',
    versions: ['v2', 'v2beta2', 'v2beta1'],
    is: 'deployed',
    shows: releaseIn,
  },
];

/** The longest revision that is taken for one. */
const LONGEST_REVISION = 2_048;

/** The kind of that group and name; undefined: none whose objects show a revision. */
export function shownKind(group: string, kind: string): ShownKind | undefined {
  return KINDS.find((known) => known.group === group && known.kind === kind);
}

/**
 * What an object of that kind shows. What is malformed, or blank as Flux leaves it while it works, reads as absent. Never throws.
 * https://fluxcd.io/flux/components/
 */
export function shownBy({ is, shows }: ShownKind, raw: JsonObject): Shown {
  const { uid, generation } = objectOf(raw.metadata);
  const { observedGeneration } = objectOf(raw.status);
  const isObserved = observedGeneration === undefined || observedGeneration === generation;
  return {
    uid: stringOf(uid) ?? '',
    suspended: objectOf(raw.spec).suspend === true,
    isCurrent: isObserved && (is !== 'deployed' || isReady(raw)),
    ...shows(raw),
  };
}

function isReady(raw: JsonObject): boolean {
  const { generation } = objectOf(raw.metadata);
  const ready = listOf(objectOf(raw.status).conditions)
    .map(objectOf)
    .find(({ type }) => type === 'Ready');
  if (ready?.status !== 'True') return false;
  return ready.observedGeneration === undefined || ready.observedGeneration === generation;
}

function artifactIn(raw: JsonObject): Holding {
  const { revision, digest } = objectOf(objectOf(raw.status).artifact);
  return plainly(textIn(revision), textIn(digest));
}

function imageIn(raw: JsonObject): Holding {
  const { image } = projectSource('ImagePolicy', raw);
  if (image === undefined) return {};
  const text = imageText(image);
  return { revision: text, told: text, ...present({ digest: image.digest }) };
}

/** `name:tag@digest`, of which tag and digest may be missing. */
function imageText({ name, tag, digest }: ChosenImage): string {
  return `${name}${tag === '' ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** Which tags there are has a checksum since Flux 2.7; before, their number and the first ones stand for them. */
function scanIn(raw: JsonObject): Holding {
  const { revision, tagCount, latestTags } = objectOf(objectOf(raw.status).lastScanResult);
  const checksum = textIn(revision);
  if (checksum !== undefined) return { revision: checksum, told: checksum };
  const count = numberOf(tagCount);
  if (count === undefined) return {};
  const tags = listOf(latestTags).filter((tag) => typeof tag === 'string');
  const text = textIn([`${count} tags`, ...tags].join(' '));
  return text === undefined ? {} : { revision: text, told: text };
}

function appliedIn(raw: JsonObject): Holding {
  return plainly(textIn(objectOf(raw.status).lastAppliedRevision), undefined);
}

/**
 * A release is another one with each upgrade, of the same chart with other values as well; its events name the chart's version. What was
 * released was not listed before Flux 2.2.
 */
function releaseIn(raw: JsonObject): Holding {
  const status = objectOf(raw.status);
  const [latest] = listOf(status.history).map(objectOf);
  const chart = textIn(latest === undefined ? status.lastAppliedRevision : latest.chartVersion);
  if (chart === undefined) return {};
  const release = latest === undefined ? { version: status.lastReleaseRevision } : latest;
  const parts = [chart, stringOf(release.configDigest), `v${numberOf(release.version) ?? 0}`, stringOf(release.status)];
  const revision = textIn(parts.filter((part) => part !== undefined).join(' '));
  return revision === undefined ? {} : { revision, told: chart, ...present({ digest: textIn(release.ociDigest) }) };
}

function plainly(text: string | undefined, digest: string | undefined): Holding {
  if (text === undefined) return {};
  const revision = normalRevision(text);
  return { revision, told: revision, ...present({ digest }) };
}

/** A text that can be a revision: it becomes a line of the text that a run is known by. */
function textIn(value: JsonObject[string]): string | undefined {
  const text = stringOf(value);
  return text !== undefined && text.length <= LONGEST_REVISION && !/\p{Cc}/u.test(text) ? text : undefined;
}
