import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { eventually } from '../../../test/support/eventually.ts';
import { HandClock } from '../../../test/support/hand-clock.ts';
import type { Part } from '../../lifecycle.ts';
import { silentLog } from '../../log.ts';
import type { ApiClient } from '../api/client.ts';
import { objectIn } from '../core/reading.ts';
import { fluxCrds } from '../kinds/flux.ts';
import type { JsonObject, Resource } from '../object.ts';
import { createSandbox } from '../sandbox.ts';
import { conditionsOf } from './conditions.ts';
import { createMover } from './mover.ts';

describe('the mover', () => {
  const charts: Resource = { group: 'source.toolkit.fluxcd.io', version: 'v1', plural: 'ocirepositories' };
  const policies: Resource = { group: 'image.toolkit.fluxcd.io', version: 'v1', plural: 'imagepolicies' };
  const definitions: Resource = { group: 'apiextensions.k8s.io', version: 'v1', plural: 'customresourcedefinitions' };
  const hash = 'a'.repeat(64);
  let client: ApiClient;
  let mover: Part;

  before(async () => {
    const clock = new HandClock();
    ({ client } = createSandbox({ folder: tmpdir(), clock, log: silentLog, life: false }));
    for (const crd of fluxCrds()) client.create(definitions, crd);
    client.create(
      { group: '', version: 'v1', plural: 'namespaces' },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'apps' } },
    );
    mover = createMover({ client, clock, log: silentLog });
    await mover.start();
    client.create(charts, {
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'OCIRepository',
      metadata: { name: 'app', namespace: 'apps' },
      spec: { interval: '1m', url: 'oci://example.test/app' },
    });
    client.create(policies, {
      apiVersion: 'image.toolkit.fluxcd.io/v1',
      kind: 'ImagePolicy',
      metadata: { name: 'app', namespace: 'apps' },
      spec: {
        imageRepositoryRef: { name: 'app' },
        policy: { semver: { range: '*' } },
        digestReflectionPolicy: 'IfNotPresent',
      },
    });
  });
  after(() => mover.stop(AbortSignal.timeout(1_000)));

  const annotate = (resource: Resource, annotations: { readonly [key: string]: string }) =>
    client.patch(resource, 'apps', 'app', { metadata: { annotations: { ...annotations } } });
  const status = (resource: Resource): JsonObject => objectIn(client.get(resource, 'apps', 'app')?.status);
  const ready = (resource: Resource) => conditionsOf(status(resource)).find(({ type }) => type === 'Ready');

  it('moves a source to the revision of its annotation, once', async () => {
    annotate(charts, { 'sandbox.rungate.dev/revision': `1.2.0@sha256:${hash}` });
    await eventually(() => assert.equal(objectIn(status(charts).artifact).revision, `1.2.0@sha256:${hash}`));
    assert.equal(ready(charts)?.status, 'True');
    const { resourceVersion } = client.get(charts, 'apps', 'app')?.metadata ?? {};
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(client.get(charts, 'apps', 'app')?.metadata.resourceVersion, resourceVersion);
  });

  it('says what is no revision, and recovers', async () => {
    annotate(charts, { 'sandbox.rungate.dev/revision': 'latest' });
    await eventually(() => assert.equal(ready(charts)?.reason, 'InvalidMove'));
    assert.equal(
      ready(charts)?.message,
      '"latest" is no revision of an OCIRepository: they look like latest@sha256:<64 hex>',
    );
    annotate(charts, { 'sandbox.rungate.dev/revision': `1.3.0@sha256:${hash}` });
    await eventually(() => assert.equal(ready(charts)?.status, 'True'));
    assert.equal(
      conditionsOf(status(charts)).some(({ type }) => type === 'Stalled'),
      false,
    );
  });

  it('moves an image, with its digest where that is wanted', async () => {
    annotate(policies, { 'sandbox.rungate.dev/image': `example.test:5000/app:1.2.0@sha256:${hash}` });
    await eventually(() =>
      assert.deepEqual(status(policies).latestRef, {
        name: 'example.test:5000/app',
        tag: '1.2.0',
        digest: `sha256:${hash}`,
      }),
    );
    annotate(policies, { 'sandbox.rungate.dev/image': 'nothing' });
    await eventually(() =>
      assert.equal(ready(policies)?.message, '"nothing" is no image: they look like example.test/app:1.2.0'),
    );
  });
});
