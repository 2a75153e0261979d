import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { silentLog } from '../../log.ts';
import type { ApiClient, NewObject } from '../api/client.ts';
import { objectIn } from '../core/reading.ts';
import { fluxCrds } from '../kinds/flux.ts';
import type { JsonObject, Resource } from '../object.ts';
import { createSandbox } from '../sandbox.ts';
import { StatusError } from '../status.ts';
import { moveImage, moveSource } from './moves.ts';

describe('moves', () => {
  const now = Date.parse('2026-11-01T10:00:00Z');
  const hash = 'a'.repeat(64);
  let client: ApiClient;

  before(() => {
    ({ client } = createSandbox({ folder: tmpdir(), clock: new HandClock(), log: silentLog, life: false }));
    for (const crd of fluxCrds()) client.create(definitions, crd);
    client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'apps' } });
    put('source.toolkit.fluxcd.io/v1', 'OCIRepository', 'ocirepositories', 'chart', {
      interval: '1m',
      url: 'oci://example.test/chart',
    });
    put('source.toolkit.fluxcd.io/v1', 'Bucket', 'buckets', 'files', {
      interval: '1m',
      bucketName: 'b',
      endpoint: 'example.test',
    });
    for (const [name, digestReflectionPolicy] of [
      ['plain', 'Never'],
      ['exact', 'IfNotPresent'],
    ] as const) {
      put('image.toolkit.fluxcd.io/v1', 'ImagePolicy', 'imagepolicies', name, {
        imageRepositoryRef: { name: 'app' },
        policy: { semver: { range: '*' } },
        digestReflectionPolicy,
      });
    }
  });

  function put(apiVersion: string, kind: string, plural: string, name: string, spec: JsonObject): void {
    const [group = '', version = ''] = apiVersion.split('/');
    const object: NewObject = { apiVersion, kind, metadata: { name, namespace: 'apps' }, spec };
    client.create({ group, version, plural }, object);
  }

  it('an OCIRepository has found a revision', () => {
    const chart = { kind: 'OCIRepository', namespace: 'apps', name: 'chart' } as const;
    const { status } = moveSource(client, chart, `1.0.0@sha256:${hash}`, now);
    const { artifact, conditions, observedGeneration } = objectIn(status);
    const { digest, ...rest } = objectIn(artifact);
    assert.match(String(digest), /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual(rest, {
      lastUpdateTime: '2026-11-01T10:00:00Z',
      path: `ocirepository/apps/chart/sha256:${hash}.tar.gz`,
      revision: `1.0.0@sha256:${hash}`,
      size: 0,
      url: `http://source-controller.flux-system.svc.cluster.local./ocirepository/apps/chart/sha256:${hash}.tar.gz`,
    });
    const said = {
      status: 'True',
      reason: 'Succeeded',
      message: `stored artifact for digest '1.0.0@sha256:${hash}'`,
      observedGeneration: 1,
      lastTransitionTime: '2026-11-01T10:00:00Z',
    };
    assert.deepEqual(conditions, [
      { type: 'Ready', ...said },
      { type: 'ArtifactInStorage', ...said },
    ]);
    assert.equal(observedGeneration, 1);
  });

  it('another revision is another artifact, and only what is said anew gets another time', () => {
    const files = { kind: 'Bucket', namespace: 'apps', name: 'files' } as const;
    const one = objectIn(moveSource(client, files, `sha256:${hash}`, now).status);
    const same = objectIn(moveSource(client, files, `sha256:${hash}`, now + 60_000).status);
    const two = objectIn(moveSource(client, files, `sha256:${'b'.repeat(64)}`, now + 120_000).status);
    assert.equal(objectIn(same.artifact).digest, objectIn(one.artifact).digest);
    assert.deepEqual(same.conditions, one.conditions);
    assert.notEqual(objectIn(two.artifact).digest, objectIn(one.artifact).digest);
    assert.notDeepEqual(two.conditions, one.conditions);
  });

  it('an ImagePolicy has chosen an image, and remembers the one before', () => {
    const policy = { namespace: 'apps', name: 'plain' };
    const digest = `sha256:${hash}`;
    const first = objectIn(moveImage(client, policy, { name: 'example.test/app', tag: '1.0.0', digest }, now).status);
    assert.deepEqual(first.latestRef, { name: 'example.test/app', tag: '1.0.0' });
    assert.equal(first.observedPreviousRef, undefined);
    const again = objectIn(moveImage(client, policy, { name: 'example.test/app', tag: '1.0.0' }, now).status);
    assert.equal(again.observedPreviousRef, undefined);
    const second = objectIn(moveImage(client, policy, { name: 'example.test/app', tag: '1.1.0' }, now).status);
    assert.deepEqual(second.latestRef, { name: 'example.test/app', tag: '1.1.0' });
    assert.deepEqual(second.observedPreviousRef, { name: 'example.test/app', tag: '1.0.0' });
    const [ready] = second.conditions as readonly JsonObject[];
    assert.equal(ready?.message, "Latest image tag for 'example.test/app' resolved to 1.1.0");
  });

  it('a digest is shown where the policy reflects it, and goes with its image', () => {
    const policy = { namespace: 'apps', name: 'exact' };
    const digest = `sha256:${hash}`;
    const first = objectIn(moveImage(client, policy, { name: 'example.test/app', tag: '1.0.0', digest }, now).status);
    assert.deepEqual(first.latestRef, { name: 'example.test/app', tag: '1.0.0', digest });
    const second = objectIn(moveImage(client, policy, { name: 'example.test/app', tag: '1.1.0' }, now).status);
    assert.deepEqual(second.latestRef, { name: 'example.test/app', tag: '1.1.0' });
    assert.deepEqual(second.observedPreviousRef, { name: 'example.test/app', tag: '1.0.0', digest });
  });

  it('what is not there, and what is no revision, is refused', () => {
    const chart = { kind: 'OCIRepository', namespace: 'apps', name: 'chart' } as const;
    const table = [
      {
        act: () => moveSource(client, { ...chart, name: 'no' }, `1@sha256:${hash}`, now),
        want: [404, 'ocirepositories.source.toolkit.fluxcd.io "no" not found'],
      },
      {
        act: () => moveSource(client, chart, '1.0.0', now),
        want: [400, '"1.0.0" is no revision of an OCIRepository: they look like latest@sha256:<64 hex>'],
      },
      {
        act: () => moveImage(client, { namespace: 'apps', name: 'no' }, { name: 'a', tag: 'b' }, now),
        want: [404, 'imagepolicies.image.toolkit.fluxcd.io "no" not found'],
      },
    ];
    for (const { act, want } of table) {
      assert.throws(act, (error: unknown) => {
        assert.ok(error instanceof StatusError);
        assert.deepEqual([error.code, error.message], want);
        return true;
      });
    }
  });
});

const definitions: Resource = { group: 'apiextensions.k8s.io', version: 'v1', plural: 'customresourcedefinitions' };
const namespaces: Resource = { group: '', version: 'v1', plural: 'namespaces' };
