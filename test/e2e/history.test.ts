/** How many runs of a trigger a real rungate keeps, and which. */
import assert from 'node:assert/strict';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

const sha = (letter: string) => letter.repeat(40);
const label = 'pipeline.jquad.rocks/pipelinetrigger';

describe('the runs that a trigger keeps', function () {
  this.timeout(600_000);
  let world: TriggerWorld;

  before(async () => {
    world = await startTriggerWorld({ env: { PARTS: 'triggers' } });
    await Promise.all((['waits', 'skips'] as const).map((kind) => world.pipeline(kind)));
  });
  after(() => world?.end());

  const trigger = (name: string, pipeline: string, more: object = {}) =>
    JSON.stringify({
      apiVersion: 'pipeline.jquad.rocks/v1alpha1',
      kind: 'PipelineTrigger',
      metadata: { name },
      spec: { source: { kind: 'GitRepository', name }, pipeline: { name: pipeline, ...more } },
    });
  const namesOf = async (name: string) => (await world.runsOf(name)).map(({ metadata }) => metadata.name).sort();

  it('trigger 23: with two unfinished and three finished of three wanted, the two that finished first go', async () => {
    await world.repository('busy', `main/${sha('0')}`);
    await world.trigger(trigger('busy', 'waits', { maxHistory: 3 }));
    await world.hasRuns('busy', 1);
    await world.push('busy', `main/${sha('1')}`);
    const unfinished = (await world.hasRuns('busy', 2)).map(({ metadata }) => metadata.name);
    await world.change('busy', { spec: { pipeline: { name: 'skips' } } });
    let newest = '';
    for (const letter of ['a', 'b', 'c']) {
      await world.push('busy', `main/${sha(letter)}`);
      newest = (await world.reached('busy', `main/${sha(letter)}`)).latestPipelineRun ?? '';
    }
    await world.until(async () => assert.deepEqual(await namesOf('busy'), [...unfinished, newest].sort()));
    for (const name of unfinished) {
      assert.equal((await world.condition(name))?.status ?? 'Unknown', 'Unknown');
      await world.patch(name, { spec: { status: 'Cancelled' } });
    }
  });

  it('shapes without the field say it by an annotation, and a lower number counts at once', async () => {
    await world.repository('noted', `main/${sha('0')}`);
    await world.trigger(`
      apiVersion: pipeline.jquad.rocks/v1alpha1
      kind: PipelineTrigger
      metadata: { name: noted, annotations: { pipeline.jquad.rocks/max-history: "2" } }
      spec:
        source: { kind: GitRepository, name: noted }
        pipelineRun:
          apiVersion: tekton.dev/v1
          kind: PipelineRun
          spec: { pipelineRef: { name: skips } }
    `);
    const names: string[] = [];
    for (const letter of ['0', '1', '2', '3']) {
      await world.push('noted', `main/${sha(letter)}`);
      names.push((await world.reached('noted', `main/${sha(letter)}`)).latestPipelineRun ?? '');
    }
    await world.until(async () => assert.deepEqual(await namesOf('noted'), names.slice(2).sort()));
    await world.change('noted', { metadata: { annotations: { 'pipeline.jquad.rocks/max-history': '1' } } });
    await world.until(async () => assert.deepEqual(await namesOf('noted'), names.slice(3)));
  });

  it('runs that the original left, without an owner, count; those that something else owns do not', async () => {
    const [owner] = await world.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'somebody' } });
    const left = async (name: string, owned: boolean) => {
      const ownerReferences = [
        { apiVersion: 'v1', kind: 'ConfigMap', name: 'somebody', uid: owner?.metadata.uid, controller: true },
      ];
      await world.apply(
        JSON.stringify({
          apiVersion: 'tekton.dev/v1',
          kind: 'PipelineRun',
          metadata: { name, labels: { [label]: 'moved' }, ...(owned ? { ownerReferences } : {}) },
          spec: { pipelineRef: { name: 'skips' } },
        }),
      );
      await world.finished(name);
    };
    for (const name of ['moved-aaaa', 'moved-bbbb', 'moved-cccc']) await left(name, false);
    await left('moved-owned', true);
    await world.repository('moved', `main/${sha('0')}`);
    await world.trigger(trigger('moved', 'skips', { maxHistory: 1 }));
    const { latestPipelineRun = '' } = await world.reached('moved', `main/${sha('0')}`);
    await world.until(async () => assert.deepEqual(await namesOf('moved'), ['moved-owned', latestPipelineRun].sort()));
  });

  it('what was deleted is counted', async () => {
    // The last of them is gone before rungate hears that it is.
    await world.until(async () => assert.equal(await world.gateway.metric('rungate_runs_deleted_total'), 8));
  });
});
