/** PipelineTriggers on images, OCIRepositories and Buckets: what of their status is an event, and what its run is given. */
import assert from 'node:assert/strict';
import { withLatestImage } from '../support/older-flux.ts';
import { paramsOf, Tally, valuesOf, wholeTrigger } from '../support/trigger-manifests.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

describe('triggers on images and artifacts', function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  const tally = new Tally();
  const has = (trigger: string, runs: number) => tally.has(world, trigger, runs);

  before(async () => {
    world = await startTriggerWorld();
    await world.pipeline('skips');
  });
  after(() => world?.end());

  it('trigger 11: an image that moves is one run, one that only gets another digest is none', async () => {
    const latest = (tag: string, digest?: string) => ({ latestRef: { name: 'ghcr.io/org/nginx', tag, digest } });
    await world.image('img', latest('v0.0.2'));
    await world.trigger(wholeTrigger('img', 'img', { kind: 'ImagePolicy' }));
    await world.hasRuns('img', 1);
    await world.image('img', latest('v0.0.3'));
    await world.hasRuns('img', 2);
    await world.image('img', latest('v0.0.3', `sha256:${'0'.repeat(64)}`));
    await world.image('img', latest('v0.0.4'));
    const runs = await has('img', 3);
    assert.deepEqual(valuesOf(runs, 'rev'), ['v0.0.2', 'v0.0.3', 'v0.0.4']);
    const { latestEvent, imagePolicy, gitRepository } = await world.reached('img', 'ghcr.io/org/nginx:v0.0.4');
    assert.equal(latestEvent, 'ghcr.io/org/nginx:v0.0.4');
    const { repositoryName, imageName, imageVersion } = imagePolicy as Record<string, unknown>;
    assert.deepEqual([repositoryName, imageName, imageVersion, gitRepository], ['org', 'nginx', 'v0.0.4', undefined]);
  });

  it('trigger 11: an image of an older Flux is its latestImage, and latestRef where there are both', async function () {
    // The kind is the whole cluster's, and of a Flux that has no such field any more.
    if (world.ground === 'cluster') return void this.skip();
    await withLatestImage(world);
    await world.image('old', { latestImage: 'ghcr.io/org/nginx:v0.0.2' });
    await world.trigger(wholeTrigger('old', 'old', { kind: 'ImagePolicy' }));
    await world.hasRuns('old', 1);
    await world.image('old', { latestImage: 'ghcr.io/org/nginx:v0.0.3' });
    await world.hasRuns('old', 2);
    await world.image('old', {
      latestImage: 'ghcr.io/org/nginx:v0.0.3',
      latestRef: { name: 'ghcr.io/org/nginx', tag: 'v0.0.4' },
    });
    assert.deepEqual(valuesOf(await has('old', 3), 'rev'), ['v0.0.2', 'v0.0.3', 'v0.0.4']);
  });

  it('trigger 12: a registry with a port, and an image without a repository', async () => {
    const of = (...names: string[]) => names.map((name) => ({ name, value: `$.${name}` }));
    await world.image('port', { latestRef: { name: 'reg:5000/org/team/nginx', tag: '1.2' } });
    const params = of('repositoryName', 'imageName', 'imageVersion');
    await world.trigger(wholeTrigger('port', 'port', { kind: 'ImagePolicy', metadata: {}, params }));
    const [run] = await has('port', 1);
    assert.deepEqual(run && paramsOf(run), { repositoryName: 'team', imageName: 'nginx', imageVersion: '1.2' });
    assert.match(run?.metadata.name ?? '', /^nginx-[a-z0-9]{5}$/);

    await world.image('bare', { latestRef: { name: 'nginx', tag: '1.2' } });
    await world.trigger(wholeTrigger('bare', 'bare', { kind: 'ImagePolicy', params: of('imageName', 'imageVersion') }));
    const [bare] = await has('bare', 1);
    assert.deepEqual(bare && paramsOf(bare), { imageName: 'nginx', imageVersion: '1.2' });
  });

  it('trigger 12: tags that are nothing for a label are run, and handed on exactly', async () => {
    const long = `v1-${'x'.repeat(120)}`;
    for (const [name, tag, label] of [
      ['tag-odd', '_tag', /^tag$/],
      ['tag-long', long, /^v1-x{51}-[0-9a-f]{8}$/],
    ] as const) {
      await world.image(name, { latestRef: { name: 'ghcr.io/org/nginx', tag } });
      await world.trigger(wholeTrigger(name, name, { kind: 'ImagePolicy' }));
      const [run] = await has(name, 1);
      assert.equal(run && paramsOf(run).rev, tag);
      assert.match(run?.metadata.labels?.['pipeline.jquad.rocks/ip.image.version'] ?? '', label);
      assert.equal(run?.metadata.annotations?.['pipeline.jquad.rocks/event'], `ghcr.io/org/nginx:${tag}`);
    }
  });

  it('an OCIRepository and a Bucket are run as a GitRepository is', async () => {
    const digest = (digit: string) => digit.repeat(64);
    for (const [kind, name, revision, branch] of [
      ['OCIRepository', 'oci', (digit: string) => `latest@sha256:${digest(digit)}`, 'latest'],
      ['Bucket', 'bucket', (digit: string) => `sha256:${digest(digit)}`, 'bucket'],
    ] as const) {
      await world.artifact(kind, name, revision('1'));
      await world.trigger(wholeTrigger(name, name, { kind }));
      const [run] = await world.hasRuns(name, 1);
      assert.deepEqual(run && paramsOf(run), { rev: digest('1'), branch });
      await world.artifact(kind, name, revision('2'));
      assert.deepEqual(valuesOf(await has(name, 2), 'rev'), [digest('1'), digest('2')]);
      const { gitRepository } = await world.reached(name, revision('2'));
      assert.equal((gitRepository as { commitId: string }).commitId, digest('2'));
    }
    await world.trigger(wholeTrigger('no-oci', 'nowhere', { kind: 'OCIRepository' }));
    const said = await world.says('no-oci', 'Error', 'False');
    assert.equal(said.message, 'ocirepositories.source.toolkit.fluxcd.io "nowhere" not found');
  });

  it('and in the end no trigger has another run', () => tally.again(world));
});
