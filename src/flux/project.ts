/** What we keep of a source, from whichever version of its kind the cluster serves. Pure. */
import {
  type JsonObject,
  listOf,
  numberOf,
  objectOf,
  present,
  projectMeta,
  shared,
  stringOf,
} from '../kube/objects.ts';
import { parseImage } from './revision.ts';
import type { ChosenImage, PullRequestBranch, ReadyCondition, Source, SourceKind } from './types.ts';

/** Where a kind is served. */
export interface SourceResource {
  readonly group: string;
  /** The plural, as in paths. */
  readonly resource: string;
  /** Newest first. */
  readonly versions: readonly string[];
}

const SOURCES = 'source.toolkit.fluxcd.io';

/** Where each kind of source is served, in every release of Flux from 0.13 on. https://fluxcd.io/flux/releases/ */
export const SOURCE_RESOURCES: Readonly<Record<SourceKind, SourceResource>> = {
  GitRepository: { group: SOURCES, resource: 'gitrepositories', versions: ['v1', 'v1beta2', 'v1beta1'] },
  OCIRepository: { group: SOURCES, resource: 'ocirepositories', versions: ['v1', 'v1beta2'] },
  Bucket: { group: SOURCES, resource: 'buckets', versions: ['v1', 'v1beta2', 'v1beta1'] },
  ImagePolicy: {
    group: 'image.toolkit.fluxcd.io',
    resource: 'imagepolicies',
    versions: ['v1', 'v1beta2', 'v1beta1', 'v1alpha2', 'v1alpha1'],
  },
  PullRequest: { group: 'pipeline.jquad.rocks', resource: 'pullrequests', versions: ['v1alpha1'] },
};

/** The longest revision, image, branch or commit that is taken for one. Git refuses branches a tenth as long. */
const LONGEST_NAME = 2_048;
/** How many branches of a PullRequest are kept, and how much of each. An object that holds more does not fit into etcd. */
const MOST_BRANCHES = 2_000;
const LONGEST_DETAILS = 512 * 1024;

/**
 * Keeps of a source what triggers need. What is malformed or longer than anything real reads as absent; what is not there yet
 * (Flux writes `artifact: null` and empty images for a while) is absent too. Never throws.
 */
export function projectSource(kind: SourceKind, raw: JsonObject): Source {
  const { group, versions } = SOURCE_RESOURCES[kind];
  const status = objectOf(raw.status);
  return {
    meta: projectMeta(raw),
    kind,
    apiVersion: stringOf(raw.apiVersion) ?? `${group}/${versions[0]}`,
    generation: numberOf(objectOf(raw.metadata).generation) ?? 0,
    suspended: objectOf(raw.spec).suspend === true,
    ...present({
      observedGeneration: numberOf(status.observedGeneration),
      ready: readyIn(raw),
      intervalMs: durationMs(stringOf(objectOf(raw.spec).interval) ?? ''),
      handledReconcileAt: nameIn(status, 'lastHandledReconcileAt'),
    }),
    ...reported(kind, status),
  };
}

const LONGEST_MESSAGE = 1_024;

function readyIn(raw: JsonObject): ReadyCondition | undefined {
  const ready = listOf(objectOf(raw.status).conditions)
    .map(objectOf)
    .find(({ type }) => type === 'Ready');
  if (ready?.status !== 'True' && ready?.status !== 'False') return undefined;
  // The source as a whole has not observed a spec before it has met it; each condition says which it is about.
  const about = numberOf(ready.observedGeneration);
  if (about !== undefined && about !== numberOf(objectOf(raw.metadata).generation)) return undefined;
  return {
    isReady: ready.status === 'True',
    reason: shared(nameIn(ready, 'reason') ?? ''),
    message: ready.status === 'True' ? '' : (stringOf(ready.message) ?? '').slice(0, LONGEST_MESSAGE).toWellFormed(),
    since: nameIn(ready, 'lastTransitionTime') ?? '',
  };
}

const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** `1h30m`, as Go writes it, in milliseconds; undefined: it is none that Flux would take. https://pkg.go.dev/time#ParseDuration */
function durationMs(text: string): number | undefined {
  if (!/^(?:\d{1,9}(?:\.\d{1,9})?(?:h|ms|m|s)){1,4}$/.test(text)) return undefined;
  const parts = [...text.matchAll(/([\d.]+)(h|ms|m|s)/g)];
  return parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (UNITS_MS[unit] ?? 0), 0);
}

function reported(kind: SourceKind, status: JsonObject): Pick<Source, 'artifact' | 'image' | 'branches'> {
  switch (kind) {
    case 'GitRepository':
    case 'OCIRepository':
    case 'Bucket': {
      const revision = nameIn(objectOf(status.artifact), 'revision');
      const digest = nameIn(objectOf(status.artifact), 'digest');
      const updated = nameIn(objectOf(status.artifact), 'lastUpdateTime');
      return revision === undefined ? {} : { artifact: { revision, ...present({ digest, updated }) } };
    }
    case 'ImagePolicy':
      return present({ image: imageIn(status) });
    case 'PullRequest':
      return present({ branches: branchesIn(status) });
  }
}

/** Which of the two fields there is does not follow the version's name: v1beta2 had the one, and has the other since Flux 2.7. */
function imageIn(status: JsonObject): ChosenImage | undefined {
  if (typeof status.latestRef !== 'object' || status.latestRef === null) {
    const latest = nameIn(status, 'latestImage');
    return latest === undefined ? undefined : parseImage(latest);
  }
  const ref = objectOf(status.latestRef);
  const name = nameIn(ref, 'name');
  return name === undefined
    ? undefined
    : { name, tag: nameIn(ref, 'tag') ?? '', ...present({ digest: nameIn(ref, 'digest') }) };
}

function branchesIn(status: JsonObject): readonly PullRequestBranch[] | undefined {
  if (typeof status.sourceBranches !== 'object' || status.sourceBranches === null) return undefined;
  return listOf(objectOf(status.sourceBranches).branches)
    .slice(-MOST_BRANCHES)
    .flatMap((entry) => {
      const branch = objectOf(entry);
      const name = nameIn(branch, 'name');
      const commit = nameIn(branch, 'commit');
      if (name === undefined || commit === undefined) return [];
      const details = stringOf(branch.details) ?? '';
      return [{ name, commit, details: details.length > LONGEST_DETAILS ? '' : details }];
    });
}

function nameIn(object: JsonObject, field: string): string | undefined {
  const name = stringOf(object[field]);
  return name !== undefined && name.length <= LONGEST_NAME ? name : undefined;
}
