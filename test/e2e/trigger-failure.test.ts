/** Triggers on failure, behind a real Flux: one run for each time that a source begins to fail, however often Flux tries. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { clusterSuite } from '../support/needs.ts';
import { makeOrigin, type Origin } from '../support/origin.ts';
import { paramsOf } from '../support/trigger-manifests.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

interface Ready {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime: string;
}

clusterSuite('triggers on failure', { flux: true }, function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  const origins: Origin[] = [];

  before(async () => {
    world = await startTriggerWorld();
    await world.pipeline('skips');
  });
  after(async () => {
    await world?.end();
    for (const origin of origins) await origin.remove();
  });

  const follow = (name: string, url: string) =>
    world.apply({
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'GitRepository',
      metadata: { name },
      spec: { url, ref: { branch: 'main' }, interval: '1s' },
    });
  const ready = async (name: string): Promise<Ready | undefined> => {
    const path = `/apis/source.toolkit.fluxcd.io/v1/namespaces/${world.namespace}/gitrepositories/${name}`;
    const { status } = await world.admin.get<{
      metadata: { name: string };
      status?: { conditions?: readonly Ready[] };
    }>(path);
    return status?.conditions?.find(({ type }) => type === 'Ready');
  };
  const isReady = (name: string, status: string) =>
    world.until(async () => assert.equal((await ready(name))?.status, status));

  const nowhere = () => (world.ground === 'cluster' ? 'http://127.0.0.1:1/none.git' : join(world.folder, 'none.git'));

  /** A trigger that runs when the source of its name fails. */
  const onFailure = (name: string) =>
    world.trigger(
      JSON.stringify({
        apiVersion: 'pipeline.jquad.rocks/v1alpha1',
        kind: 'PipelineTrigger',
        metadata: { name },
        spec: {
          source: { kind: 'GitRepository', name },
          hook: { on: 'Failure' },
          pipelineRun: {
            apiVersion: 'tekton.dev/v1',
            kind: 'PipelineRun',
            spec: {
              pipelineRef: { name: 'skips' },
              params: [
                { name: 'rev', value: '$.commitId' },
                { name: 'extra', value: '$.reason' },
              ],
            },
          },
        },
      }),
    );

  it('event 12: a run when the source begins to fail, none while it goes on, and one when it fails anew', async () => {
    const origin = await makeOrigin(world, 'failing');
    origins.push(origin);
    const commit = await origin.push();
    await follow('failing', origin.url);
    await isReady('failing', 'True');
    await onFailure('failing');
    await world.until(async () => {
      const { conditions } = await world.status('failing');
      assert.equal(conditions?.[0]?.message, 'waiting for GitRepository failing to fail');
    });

    await follow('failing', nowhere());
    await isReady('failing', 'False');
    const [run] = await world.hasRuns('failing', 1);
    assert.equal(run && paramsOf(run).rev, commit, 'what it had last');
    assert.ok(run && String(paramsOf(run).extra).length > 0, 'why it fails');
    await world.settled();
    await world.hasRuns('failing', 1);

    await follow('failing', origin.url);
    await isReady('failing', 'True');
    await world.until(async () => assert.equal((await world.status('failing')).recovered, true));
    await follow('failing', nowhere());
    await world.hasRuns('failing', 2);
    await world.settled();
    await world.hasRuns('failing', 2);
  });

  it('event 12: a source that was never fetched is one failure, though its condition is a new one with each try', async () => {
    await follow('never', nowhere());
    await isReady('never', 'False');
    await onFailure('never');
    await world.hasRuns('never', 1);
    if (world.ground === 'cluster') {
      const since = (await ready('never'))?.lastTransitionTime;
      await world.until(async () => {
        const now = await ready('never');
        assert.ok(now?.status === 'False' && now.lastTransitionTime !== since);
      });
    }
    await world.settled();
    await world.hasRuns('never', 1);
  });
});
