import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parse } from 'yaml';
import type { JsonObject } from '../kube/objects.ts';
import { type Shown, shownBy, shownKind } from './shown.ts';

const SHA1 = '03da4fd0d2c9d2b2b1f0ac5ee7b2a7b2f3b9e4c1';
const SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const SOURCES = 'source.toolkit.fluxcd.io';
const IMAGES = 'image.toolkit.fluxcd.io';
const KUSTOMIZATIONS = 'kustomize.toolkit.fluxcd.io';
const RELEASES = 'helm.toolkit.fluxcd.io';

const EVERY: readonly [group: string, kind: string][] = [
  ...['GitRepository', 'OCIRepository', 'Bucket', 'HelmChart', 'HelmRepository', 'ExternalArtifact'].map(
    (kind): [string, string] => [SOURCES, kind],
  ),
  [IMAGES, 'ImagePolicy'],
  [IMAGES, 'ImageRepository'],
  [KUSTOMIZATIONS, 'Kustomization'],
  [RELEASES, 'HelmRelease'],
];

/** What an object shows whose uid is `u` and whose generation is 2. */
function shown(group: string, kind: string, yaml: string): Shown {
  const known = shownKind(group, kind);
  assert(known !== undefined, kind);
  return shownBy(known, { metadata: { uid: 'u', generation: 2 }, ...(parse(yaml) as JsonObject) });
}

describe('what objects of Flux show', () => {
  const table: readonly {
    /** The scenario that it is about. */
    event?: number;
    name: string;
    of: readonly [group: string, kind: string];
    status: string;
    want: Partial<Shown>;
  }[] = [
    ...EVERY.slice(0, 6).map(([group, kind]) => ({
      name: 'its artifact',
      of: [group, kind] as const,
      status: `{observedGeneration: 2, artifact: {revision: "main@sha1:${SHA1}", digest: "sha256:${SHA256}"}}`,
      want: { revision: `main@sha1:${SHA1}`, told: `main@sha1:${SHA1}`, digest: `sha256:${SHA256}` },
    })),
    {
      event: 21,
      name: 'an artifact in the old format as one of today',
      of: [SOURCES, 'GitRepository'],
      status: `{observedGeneration: 2, artifact: {revision: main/${SHA1}, checksum: abc}}`,
      want: { revision: `main@sha1:${SHA1}`, told: `main@sha1:${SHA1}` },
    },
    {
      event: 22,
      name: 'nothing while its artifact is null',
      of: [SOURCES, 'GitRepository'],
      status: '{observedGeneration: 2, artifact: null}',
      want: {},
    },
    {
      name: 'nothing of the spec as it is now, before the controller has seen that',
      of: [SOURCES, 'GitRepository'],
      status: `{observedGeneration: 1, artifact: {revision: "main@sha1:${SHA1}"}}`,
      want: { isCurrent: false, revision: `main@sha1:${SHA1}`, told: `main@sha1:${SHA1}` },
    },
    {
      name: 'a version',
      of: [SOURCES, 'HelmChart'],
      status: '{observedGeneration: 2, artifact: {revision: 1.2.3+4}}',
      want: { revision: '1.2.3+4', told: '1.2.3+4' },
    },
    {
      name: 'no revision that would be more than a line',
      of: [SOURCES, 'HelmChart'],
      status: '{observedGeneration: 2, artifact: {revision: "1.2.3\\nv1"}}',
      want: {},
    },
    {
      event: 24,
      name: 'its image',
      of: [IMAGES, 'ImagePolicy'],
      status: '{observedGeneration: 2, latestRef: {name: reg:5000/app, tag: 1.0.1}}',
      want: { revision: 'reg:5000/app:1.0.1', told: 'reg:5000/app:1.0.1' },
    },
    {
      event: 24,
      name: 'its image with the digest, where that is reflected',
      of: [IMAGES, 'ImagePolicy'],
      status: `{observedGeneration: 2, latestRef: {name: reg/app, tag: 1.0.1, digest: "sha256:${SHA256}"}}`,
      want: {
        revision: `reg/app:1.0.1@sha256:${SHA256}`,
        told: `reg/app:1.0.1@sha256:${SHA256}`,
        digest: `sha256:${SHA256}`,
      },
    },
    {
      event: 25,
      name: 'its image as older controllers wrote it',
      of: [IMAGES, 'ImagePolicy'],
      status: '{observedGeneration: 2, latestImage: "reg/app:1.0.0"}',
      want: { revision: 'reg/app:1.0.0', told: 'reg/app:1.0.0' },
    },
    {
      event: 25,
      name: 'nothing while its image is blank',
      of: [IMAGES, 'ImagePolicy'],
      status: '{observedGeneration: 2, latestImage: ""}',
      want: {},
    },
    {
      name: 'the checksum of its tags',
      of: [IMAGES, 'ImageRepository'],
      status: '{observedGeneration: 2, lastScanResult: {revision: "123", tagCount: 2, latestTags: [b, a]}}',
      want: { revision: '123', told: '123' },
    },
    {
      name: 'its tags where it has no checksum of them',
      of: [IMAGES, 'ImageRepository'],
      status: '{observedGeneration: 2, lastScanResult: {tagCount: 12, latestTags: [b, a]}}',
      want: { revision: '12 tags b a', told: '12 tags b a' },
    },
    {
      name: 'what it has applied once it is ready',
      of: [KUSTOMIZATIONS, 'Kustomization'],
      status: `{observedGeneration: 2, lastAppliedRevision: "main@sha1:${SHA1}", conditions: [{type: Ready, status: "True", observedGeneration: 2}]}`,
      want: { revision: `main@sha1:${SHA1}`, told: `main@sha1:${SHA1}` },
    },
    {
      name: 'nothing that counts while it is not ready',
      of: [KUSTOMIZATIONS, 'Kustomization'],
      status: `{observedGeneration: 2, lastAppliedRevision: "main@sha1:${SHA1}", conditions: [{type: Ready, status: Unknown}]}`,
      want: { isCurrent: false, revision: `main@sha1:${SHA1}`, told: `main@sha1:${SHA1}` },
    },
    {
      name: 'nothing that counts while it is ready for an older spec',
      of: [KUSTOMIZATIONS, 'Kustomization'],
      status: `{observedGeneration: 2, lastAppliedRevision: "main@sha1:${SHA1}", conditions: [{type: Ready, status: "True", observedGeneration: 1}]}`,
      want: { isCurrent: false, revision: `main@sha1:${SHA1}`, told: `main@sha1:${SHA1}` },
    },
    {
      name: 'its latest release, which its events call by the version of its chart',
      of: [RELEASES, 'HelmRelease'],
      status: `
        observedGeneration: 2
        conditions: [{type: Ready, status: "True"}]
        history:
        - {chartVersion: 6.5.0, configDigest: "sha256:c2", version: 3, status: deployed, ociDigest: "sha256:o"}
        - {chartVersion: 6.5.0, configDigest: "sha256:c1", version: 2, status: superseded}`,
      want: { revision: '6.5.0 sha256:c2 v3 deployed', told: '6.5.0', digest: 'sha256:o' },
    },
    {
      name: 'its latest release as older controllers wrote it',
      of: [RELEASES, 'HelmRelease'],
      status:
        '{observedGeneration: 2, lastAppliedRevision: 6.5.0, lastReleaseRevision: 3, conditions: [{type: Ready, status: "True"}]}',
      want: { revision: '6.5.0 v3', told: '6.5.0' },
    },
  ];
  for (const { event, name, of, status, want } of table) {
    it(`${event === undefined ? '' : `event ${event}: `}${of[1]} shows ${name}`, () => {
      const yaml = `status: ${status.startsWith('{') ? status : status.replaceAll('\n        ', '\n  ')}`;
      assert.deepEqual(shown(...of, yaml), { uid: 'u', suspended: false, isCurrent: true, ...want });
    });
  }

  it('event 36: shows that it is suspended', () => {
    for (const [group, kind] of EVERY) assert.equal(shown(group, kind, 'spec: {suspend: true}').suspended, true, kind);
  });

  it('what is deployed again with other values is another release of the same chart', () => {
    const of = (digest: string, version: number) =>
      shown(
        RELEASES,
        'HelmRelease',
        `status: {history: [{chartVersion: "1.0", configDigest: "${digest}", version: ${version}, status: deployed}]}`,
      );
    assert.notEqual(of('sha256:a', 1).revision, of('sha256:b', 2).revision);
    assert.equal(of('sha256:a', 1).told, of('sha256:b', 2).told);
  });

  it('nobody but Flux is asked', () => {
    const others: [string, string][] = [
      ['', 'Secret'],
      ['', 'GitRepository'],
      ['evil.test', 'GitRepository'],
      [SOURCES, 'Kustomization'],
      ['notification.toolkit.fluxcd.io', 'Alert'],
      [SOURCES, 'constructor'],
    ];
    for (const [group, kind] of others) assert.equal(shownKind(group, kind), undefined, `${group}/${kind}`);
  });

  it('nothing that an object may hold throws', () => {
    const keys = ['status', 'spec', 'metadata', 'artifact', 'revision', 'history', 'conditions', 'latestRef', 'type'];
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        fc.string(),
        fc.integer(),
        fc.constant(null),
        fc.boolean(),
        fc.array(tie('tree')),
        fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), tie('tree')),
      ),
    }));
    fc.assert(
      fc.property(fc.constantFrom(...EVERY), fc.dictionary(fc.constantFrom(...keys), tree), ([group, kind], raw) => {
        const known = shownKind(group, kind);
        assert(known !== undefined);
        const { revision, told } = shownBy(known, raw as JsonObject);
        assert.equal(revision === undefined, told === undefined);
        assert.equal(revision?.includes('\n') ?? false, false);
      }),
    );
  });
});
