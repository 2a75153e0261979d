import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parse } from 'yaml';
import type { JsonObject } from '../kube/objects.ts';
import { projectSource, SOURCE_RESOURCES } from './project.ts';
import { SOURCE_KINDS, type Source, type SourceKind } from './types.ts';

type Reported = Omit<Source, 'meta' | 'kind' | 'apiVersion'>;

function reported(kind: SourceKind, yaml: string): Reported {
  const { meta, kind: _kind, apiVersion, ...rest } = projectSource(kind, parse(yaml) as JsonObject);
  return rest;
}

describe('sources', () => {
  it('keeps what a GitRepository is and reports, and no more', () => {
    const source = projectSource(
      'GitRepository',
      parse(`
        apiVersion: source.toolkit.fluxcd.io/v1
        kind: GitRepository
        metadata: {namespace: ci, name: app, uid: u1, resourceVersion: "7", generation: 3}
        spec: {url: https://example.test/app, ref: {branch: main}, interval: 1m30s}
        status:
          observedGeneration: 3
          conditions: [{type: Ready, status: "True", reason: Succeeded, message: stored, lastTransitionTime: 2024-01-01T00:00:00Z}]
          lastHandledReconcileAt: by hand
          artifact:
            revision: main@sha1:03da4f
            digest: sha256:abc
            path: gitrepository/ci/app/03da4f.tar.gz
            url: http://source-controller/app.tar.gz
            lastUpdateTime: 2024-01-01T00:00:00Z
      `) as JsonObject,
    );
    assert.equal(source.meta.name, 'app');
    const { meta, ...rest } = source;
    assert.deepEqual(rest, {
      kind: 'GitRepository',
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      generation: 3,
      observedGeneration: 3,
      suspended: false,
      artifact: { revision: 'main@sha1:03da4f', digest: 'sha256:abc', updated: '2024-01-01T00:00:00Z' },
      ready: { isReady: true, reason: 'Succeeded', message: '', since: '2024-01-01T00:00:00Z' },
      intervalMs: 90_000,
      handledReconcileAt: 'by hand',
    });
  });

  const table: [title: string, kind: SourceKind, yaml: string, want: Partial<Reported>][] = [
    [
      'has no artifact before the first one',
      'GitRepository',
      'status: {observedGeneration: -1}',
      { observedGeneration: -1 },
    ],
    ['trigger 8: has no artifact while it is null', 'GitRepository', 'status: {artifact: null}', {}],
    ['has no artifact without a revision', 'Bucket', 'status: {artifact: {revision: "", digest: "sha256:a"}}', {}],
    ['has no artifact of another shape', 'OCIRepository', 'status: {artifact: [main]}', {}],
    [
      'reads the artifact of v1beta1',
      'GitRepository',
      'status: {artifact: {revision: main/03da4f, checksum: abc}}',
      { artifact: { revision: 'main/03da4f' } },
    ],
    ['is suspended by its spec', 'GitRepository', 'spec: {suspend: true}', { suspended: true }],
    [
      'trigger 11: reads latestImage',
      'ImagePolicy',
      'status: {latestImage: "ghcr.io/org/nginx:v0.0.2"}',
      { image: { name: 'ghcr.io/org/nginx', tag: 'v0.0.2' } },
    ],
    [
      'trigger 11: reads latestRef',
      'ImagePolicy',
      'status: {latestRef: {name: ghcr.io/org/nginx, tag: v0.0.3, digest: "sha256:a"}}',
      { image: { name: 'ghcr.io/org/nginx', tag: 'v0.0.3', digest: 'sha256:a' } },
    ],
    [
      'trigger 11: prefers latestRef',
      'ImagePolicy',
      'status: {latestImage: "org/nginx:1", latestRef: {name: org/nginx, tag: "2"}}',
      { image: { name: 'org/nginx', tag: '2' } },
    ],
    ['has no image while it is blank', 'ImagePolicy', 'status: {latestImage: ""}', {}],
    ['has no image in an empty latestRef', 'ImagePolicy', 'status: {latestRef: {}, latestImage: "org/nginx:1"}', {}],
    [
      'takes a null latestRef for an absent one',
      'ImagePolicy',
      'status: {latestRef: null, latestImage: "nginx:1"}',
      { image: { name: 'nginx', tag: '1' } },
    ],
    ['has no branches before the first poll', 'PullRequest', 'status: {conditions: []}', {}],
    ['may have no branch left', 'PullRequest', 'status: {sourceBranches: {branches: []}}', { branches: [] }],
    [
      'reads branches, and leaves malformed ones out',
      'PullRequest',
      `status: {sourceBranches: {branches: [
        {name: feature/x, commit: c1, details: '{"number":7}', sha: s},
        {name: feature/y, commit: c2},
        {name: "", commit: c3}, {name: z}, {commit: c4}, null, 7, {name: [a], commit: c}]}}`,
      {
        branches: [
          { name: 'feature/x', commit: 'c1', details: '{"number":7}' },
          { name: 'feature/y', commit: 'c2', details: '' },
        ],
      },
    ],
  ];
  for (const [title, kind, yaml, want] of table) {
    it(`${kind} ${title}`, () => {
      assert.deepEqual(reported(kind, yaml), { generation: 0, suspended: false, ...want });
    });
  }

  it('what is longer than anything real is not taken', () => {
    const branch = (name: string, details: string) => ({ name, commit: 'c', details });
    const branches = [branch('a'.repeat(3000), ''), branch('b', 'x'.repeat(600_000)), branch('c', '{}')];
    assert.deepEqual(projectSource('PullRequest', { status: { sourceBranches: { branches } } }).branches, [
      branch('b', ''),
      branch('c', '{}'),
    ]);
    const many = Array.from({ length: 5000 }, (_, place) => branch(`b${place}`, ''));
    assert.equal(
      projectSource('PullRequest', { status: { sourceBranches: { branches: many } } }).branches?.length,
      2000,
    );
    const revision = `${'a'.repeat(3000)}@sha1:03da4f`;
    assert.equal(projectSource('GitRepository', { status: { artifact: { revision } } }).artifact, undefined);
  });

  it('nothing that a source may hold throws', () => {
    const keys = [
      'status',
      'spec',
      'metadata',
      'artifact',
      'revision',
      'latestRef',
      'latestImage',
      'sourceBranches',
      'branches',
    ];
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
      fc.property(fc.constantFrom(...SOURCE_KINDS), fc.dictionary(fc.constantFrom(...keys), tree), (kind, raw) => {
        assert.equal(projectSource(kind, raw as JsonObject).kind, kind);
      }),
    );
  });

  it('every kind has a place where it is served', () => {
    for (const kind of SOURCE_KINDS) {
      const { group, resource, versions } = SOURCE_RESOURCES[kind];
      assert.match(`${group}/${resource}`, /^[a-z.]+\/[a-z]+s$/);
      assert.equal(projectSource(kind, {}).apiVersion, `${group}/${versions[0]}`);
    }
  });
});
