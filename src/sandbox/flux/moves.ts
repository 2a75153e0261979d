/**
 * Sources and images that nothing in the sandbox can fetch move by command: their status becomes what their controllers
 * would write after finding something new.
 */
import { createHash } from 'node:crypto';
import type { ApiClient } from '../api/client.ts';
import { isObject, objectIn, textIn } from '../core/reading.ts';
import type { JsonObject, KubeObject, Resource } from '../object.ts';
import { badRequest, notFound } from '../status.ts';
import { conditionsOf, jsonOf, timestamp, withConditions } from './conditions.ts';

/** A source of Flux by its kind and name. */
export interface SourceName {
  readonly kind: 'GitRepository' | 'OCIRepository' | 'Bucket';
  readonly namespace: string;
  readonly name: string;
}

/** An image as an ImagePolicy reports it. */
export interface ImageRef {
  /** `example.test/app`. */
  readonly name: string;
  readonly tag: string;
  /** `sha256:...`; only written when the policy reflects digests. */
  readonly digest?: string;
}

const plurals = { GitRepository: 'gitrepositories', OCIRepository: 'ocirepositories', Bucket: 'buckets' };

/** What makes a revision one, and how Ready says that it is stored. */
const forms = {
  GitRepository: { revision: /^(?:[^@]+@)?sha(?:1|256):[0-9a-f]{40,64}$/, stored: 'stored artifact for revision' },
  OCIRepository: { revision: /^(?:[^@]+@)?sha256:[0-9a-f]{64}$/, stored: 'stored artifact for digest' },
  Bucket: { revision: /^sha256:[0-9a-f]{64}$/, stored: 'stored artifact: revision' },
};

/**
 * Lets a source have found `revision` at `nowMs`. Doing it again only moves the time of its artifact. Throws StatusErrors:
 * 404 when there is no such source, 400 for a revision that its controller would never write.
 */
export function moveSource(client: ApiClient, source: SourceName, revision: string, nowMs: number): KubeObject {
  const { kind, namespace, name } = source;
  const { revision: form, stored } = forms[kind];
  if (!form.test(revision)) {
    const example =
      kind === 'GitRepository'
        ? 'main@sha1:<40 hex>'
        : kind === 'Bucket'
          ? 'sha256:<64 hex>'
          : 'latest@sha256:<64 hex>';
    throw badRequest(
      `${JSON.stringify(revision)} is no revision of ${kind === 'OCIRepository' ? 'an' : 'a'} ${kind}: they look like ${example}`,
    );
  }
  const resource: Resource = { group: 'source.toolkit.fluxcd.io', version: 'v1', plural: plurals[kind] };
  const hash = revision.slice(revision.lastIndexOf(':') + 1);
  const path = `${kind.toLowerCase()}/${namespace}/${name}/${kind === 'GitRepository' ? hash : `sha256:${hash}`}.tar.gz`;
  const artifact = {
    // There are no bytes: the digest is that of the revision's own text, so that another revision has another one.
    digest: `sha256:${createHash('sha256').update(revision).digest('hex')}`,
    lastUpdateTime: timestamp(nowMs),
    path,
    revision,
    size: 0,
    url: `http://source-controller.flux-system.svc.cluster.local./${path}`,
  };
  return move(client, resource, namespace, name, nowMs, () => ({
    status: { artifact },
    message: `${stored} '${revision}'`,
    types: ['Ready', 'ArtifactInStorage'],
  }));
}

/**
 * Lets an ImagePolicy have chosen `image` at `nowMs`; the one before it becomes `observedPreviousRef`. The digest is only
 * written when `spec.digestReflectionPolicy` asks for it. Throws a 404 StatusError when there is no such policy.
 */
export function moveImage(
  client: ApiClient,
  policy: { readonly namespace: string; readonly name: string },
  image: ImageRef,
  nowMs: number,
): KubeObject {
  const resource: Resource = { group: 'image.toolkit.fluxcd.io', version: 'v1', plural: 'imagepolicies' };
  return move(client, resource, policy.namespace, policy.name, nowMs, (spec, status) => {
    const { name, tag, digest } = image;
    const before = status.latestRef;
    const isReflected = digest !== undefined && (textIn(spec.digestReflectionPolicy) || 'Never') !== 'Never';
    const latestRef = { name, tag, ...(isReflected ? { digest } : {}) };
    const isOther =
      isObject(before) && (before.name !== name || before.tag !== tag || before.digest !== latestRef.digest);
    return {
      // A merge patch would keep a digest that is no longer reflected.
      status: {
        latestRef: { digest: null, ...latestRef },
        ...(isOther ? { observedPreviousRef: { digest: null, ...before } } : {}),
      },
      message: `Latest image tag for '${name}' resolved to ${tag}`,
      types: ['Ready'],
    };
  });
}

/** Writes a status and the conditions that go with it. */
function move(
  client: ApiClient,
  resource: Resource,
  namespace: string,
  name: string,
  nowMs: number,
  found: (
    spec: JsonObject,
    status: JsonObject,
  ) => { readonly status: JsonObject; readonly message: string; readonly types: readonly string[] },
): KubeObject {
  const object = client.get(resource, namespace, name);
  if (object === undefined) throw notFound(resource, name);
  const generation = object.metadata.generation ?? 1;
  const before = objectIn(object.status);
  const { status, message, types } = found(objectIn(object.spec), before);
  const said = types.map((type) => ({ type, status: 'True' as const, reason: 'Succeeded', message }));
  const conditions = withConditions(
    conditionsOf(before),
    said,
    ['Reconciling', 'Stalled', 'ArtifactOutdated', 'FetchFailed'],
    { generation, nowMs },
  );
  const merge = { status: { ...status, conditions: jsonOf(conditions), observedGeneration: generation } };
  return client.patch(resource, namespace, name, merge, { subresource: 'status' });
}
