/** What one may write into triggers, sources and statuses by hand hurts nobody else, and loses and doubles no run. */
import assert from 'node:assert/strict';
import { revisionOf, triggerOf } from '../support/shapes.ts';
import { startTriggerWorld, type TriggerStatus, type TriggerWorld } from '../support/triggers.ts';

const triggerPath = (world: TriggerWorld, name: string) =>
  `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/pipelinetriggers/${name}`;

describe('triggers that somebody means ill with', function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  before(async () => {
    world = await startTriggerWorld();
    await world.pipeline('skips');
  });
  after(() => world?.end());

  /** Waits until the trigger has a run for that revision, however far it is, and returns its status. */
  const stands = async (name: string, revision: number): Promise<TriggerStatus> => {
    await world.until(async () => {
      const { latestEvent, latestPipelineRun = 'Unknown' } = await world.status(name);
      assert.equal(latestEvent, revisionOf(revision));
      assert.notEqual(latestPipelineRun, 'Unknown');
    });
    return world.status(name);
  };

  it('branches may be called what objects of the language have: each has its run, and goes when it is closed', async () => {
    const names = ['constructor', 'toString', '__proto__', 'hasOwnProperty', 'a'];
    const commit = 'c'.repeat(40);
    await world.pullRequest(
      'odd',
      names.map((name) => ({ name, commit })),
    );
    await world.trigger(`
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PipelineTrigger
metadata: { name: odd }
spec:
  source: { kind: PullRequest, name: odd }
  pipelineRun:
    apiVersion: tekton.dev/v1
    kind: PipelineRun
    spec: { pipelineRef: { name: skips } }
`);
    const runs = await world.hasRuns('odd', names.length);
    assert.deepEqual(
      runs.map(({ metadata }) => metadata.annotations?.['pipeline.jquad.rocks/branch']).sort(),
      [...names].sort(),
    );
    await world.pullRequest('odd', [{ name: 'a', commit }]);
    await world.until(async () => {
      const { branches, closedBranches } = await world.status('odd');
      const { branch } = branches as { branch: object };
      assert.deepEqual(Object.keys(branch), ['a']);
      assert.equal((closedBranches as unknown[]).length, names.length - 1);
    });
    await world.settled();
    await world.hasRuns('odd', names.length);
  });

  it('an event gets a run of its own though the status begins to count anew, as when the original wrote it meanwhile', async () => {
    await world.repository('again', revisionOf(1));
    await world.trigger(triggerOf('pipeline', 'again', { pipeline: 'skips' }));
    const { latestPipelineRun, conditions } = await stands('again', 1);
    const ours = ['eventSequence', 'eventIdentity', 'eventDigest', 'attempt', 'outcome', 'observedGeneration'];
    await world.admin.patch(`${triggerPath(world, 'again')}/status`, {
      status: {
        ...Object.fromEntries(ours.map((field) => [field, null])),
        latestEvent: revisionOf(1),
        latestPipelineRun,
        conditions,
      },
    });
    await world.push('again', revisionOf(2));
    const after = await stands('again', 2);
    await world.hasRuns('again', 2);
    assert.notEqual(after.latestPipelineRun, latestPipelineRun);
  });

  for (const name of ['../../../../../api/v1/secrets?x=', 'line\nbreak', 'ü', `${'x'.repeat(300)}`]) {
    it(`a run that cannot be one, ${JSON.stringify(name.slice(0, 20))}, does not keep the next event from its run`, async () => {
      const trigger = `run-${Buffer.from(name).toString('hex').slice(0, 6)}`;
      await world.repository(trigger, revisionOf(1));
      await world.trigger(triggerOf('pipeline', trigger, { pipeline: 'skips' }));
      await stands(trigger, 1);
      await world.admin.patch(`${triggerPath(world, trigger)}/status`, {
        status: { latestPipelineRun: name, outcome: null },
      });
      await world.push(trigger, revisionOf(2));
      await stands(trigger, 2);
      await world.hasRuns(trigger, 2);
    });
  }

  it('a thousand mistakes are told in a condition of bounded length', async () => {
    const inputParams = Array.from({ length: 2_000 }, () => ({ name: '', value: '' }));
    await world.repository('wrong', revisionOf(1));
    await world.apply({
      apiVersion: 'pipeline.jquad.rocks/v1alpha1',
      kind: 'PipelineTrigger',
      metadata: { name: 'wrong' },
      spec: { source: { kind: 'GitRepository', name: 'wrong' }, pipeline: { name: 'skips', inputParams } },
    } as Parameters<TriggerWorld['apply']>[0]);
    const { message } = await world.says('wrong', 'Error');
    assert.match(message, /^spec\.pipeline\.inputParams\[0\]\.name is missing/);
  });

  it('a kind that is no text is told of in the condition', async () => {
    await world.repository('deep', revisionOf(1));
    await world.trigger(triggerOf('pipelineRun', 'deep', { pipeline: 'skips' }));
    await stands('deep', 1);
    await world.change('deep', { spec: { pipelineRun: { kind: nested(60) } } });
    const { message } = await world.says('deep', 'Error');
    assert.match(message, /^spec\.pipelineRun\.kind is a list; write PipelineRun/);
    await world.push('deep', revisionOf(2));
    await world.settled();
    await world.hasRuns('deep', 1);
  });
});

function nested(depth: number): unknown {
  let value: unknown = [];
  for (let level = 1; level < depth; level++) value = [value];
  return value;
}
