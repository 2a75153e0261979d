/** PipelineTriggers of the later releases (`spec.pipelineRun`) in a real rungate: what becomes of revisions, runs and triggers. */
import assert from 'node:assert/strict';
import { paramsOf, sha, Tally, valuesOf, wholeTrigger } from '../support/trigger-manifests.ts';
import { type RunManifest, startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

const branchLabel = 'pipeline.jquad.rocks/git.repository.branch.name';
/** A template whose runs stay pending: they are there, and cost no pod. */
const pending = { pipelineRef: { name: 'skips' }, status: 'PipelineRunPending' };

describe('triggers with spec.pipelineRun', function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  const tally = new Tally();
  const has = (trigger: string, runs: number) => tally.has(world, trigger, runs);

  before(async () => {
    world = await startTriggerWorld();
    await Promise.all((['skips', 'fails', 'waits'] as const).map((kind) => world.pipeline(kind)));
  });
  after(() => world?.end());

  it('trigger 1, 2, 3, 5: a revision is one run of the template, and its success stands in the block of the source', async () => {
    await world.repository('one', `main@sha1:${sha('1')}`);
    const params = [
      { name: 'rev', value: '$.commitId' },
      { name: 'branch', value: '$.branchName' },
      { name: 'extra', value: '$.branchId' },
    ];
    await world.trigger(
      wholeTrigger('one', 'one', { metadata: { generateName: 'made-', labels: { app: 'x' } }, params }),
    );
    const [run] = await has('one', 1);
    assert(run);
    assert.match(run.metadata.name, /^made-[a-z0-9]{5}$/);
    assert.deepEqual(paramsOf(run), { rev: sha('1'), branch: 'main', extra: sha('1') });
    const { labels = {}, ownerReferences } = run.metadata;
    assert.deepEqual(
      [
        'app',
        branchLabel,
        'pipeline.jquad.rocks/git.repository.branch.commit',
        'pipeline.jquad.rocks/pipelinetrigger',
      ].map((label) => labels[label]),
      ['x', 'main', sha('1'), 'one'],
    );
    assert.deepEqual(
      ownerReferences?.map(({ kind, name }) => [kind, name]),
      [['PipelineTrigger', 'one']],
    );
    const said = await world.says('one', 'Success', 'True');
    assert.deepEqual(
      [said.reason, said.message, said.observedGeneration],
      ['Succeded', 'Reconciliation is successful.', 1],
    );
    const { latestEvent, latestPipelineRun, gitRepository } = await world.status('one');
    assert.deepEqual([latestEvent, latestPipelineRun], [`main@sha1:${sha('1')}`, run.metadata.name]);
    const { conditions, details, ...block } = gitRepository as {
      conditions: readonly { type: string }[];
      details: string;
    };
    assert.deepEqual(block, {
      branchName: 'main',
      commitId: sha('1'),
      repositoryName: 'one',
      latestPipelineRun: run.metadata.name,
    });
    assert.equal(details, JSON.stringify({ branchName: 'main', commitId: sha('1'), repositoryName: 'one' }));
    assert.deepEqual(
      conditions.map(({ type }) => type),
      ['Success'],
    );
    await world.until(async () => {
      const told = (await world.toldOf('one')).map(({ type, reason, message }) => [type, reason, message]).sort();
      assert.deepEqual(told, [
        ['Normal', 'Info', `Source one in namespace ${world.namespace} got new event main@sha1:${sha('1')}`],
        ['Normal', 'Info', `Started the pipeline ${run.metadata.name} in namespace ${world.namespace}`],
      ]);
    });
  });

  it('trigger 6: a branch with a name that is nothing for a label is run, and handed on exactly', async () => {
    const branch = 'feature/Login_ü@2';
    for (const [name, revision] of [
      ['odd-old', `${branch}/${sha('2')}`],
      ['odd-new', `${branch}@sha1:${sha('2')}`],
    ] as const) {
      await world.repository(name, revision);
      await world.trigger(wholeTrigger(name, name, { metadata: {} }));
      const [run] = await has(name, 1);
      assert(run);
      assert.match(run.metadata.name, /^feature-login-2-[a-z0-9]{5}$/);
      assert.deepEqual(paramsOf(run), { branch, rev: sha('2') });
      assert.equal(run.metadata.annotations?.['pipeline.jquad.rocks/branch'], branch);
      assert.equal(run.metadata.labels?.[branchLabel], 'feature-Login_--2');
      assert.equal((await world.status(name)).latestEvent, revision);
    }
  });

  it('trigger 7: a full reference is its branch; where there is no branch, asking for it is an error that names the parameter', async () => {
    await world.repository('full-ref', `refs/heads/main@sha1:${sha('2')}`);
    await world.trigger(wholeTrigger('full-ref', 'full-ref'));
    const [full] = await has('full-ref', 1);
    assert.deepEqual(full && paramsOf(full), { branch: 'main', rev: sha('2') });

    await world.repository('no-branch', `sha1:${sha('2')}`);
    await world.trigger(wholeTrigger('no-branch', 'no-branch'));
    const said = await world.says('no-branch', 'Error', 'False');
    assert.equal(said.message, 'parameter branch: Expression $.branchName evaluates to null.');
    assert.deepEqual(await world.runsOf('no-branch'), []);
    tally.expect('no-branch', 0);
    const params = [{ name: 'rev', value: '$.commitId' }];
    await world.trigger(wholeTrigger('commit-only', 'no-branch', { metadata: {}, params }));
    const [run] = await has('commit-only', 1);
    assert.match(run?.metadata.name ?? '', /^commit-only-[a-z0-9]{5}$/);
    assert.deepEqual(run && paramsOf(run), { rev: sha('2') });
  });

  it('trigger 8: a source that has nothing yet is waited for, and then run', async () => {
    await world.repository('later');
    await world.trigger(wholeTrigger('later', 'later'));
    const said = await world.says('later', 'Unknown');
    assert.equal(said.message, 'waiting for GitRepository later to report a revision');
    assert.deepEqual(await world.runsOf('later'), []);
    await world.push('later', `main@sha1:${sha('3')}`);
    await has('later', 1);
  });

  it('trigger 9: a source that is missing is an error that names it, and one Warning; it comes and is run', async () => {
    await world.trigger(wholeTrigger('lost', 'lost'));
    const said = await world.says('lost', 'Error', 'False');
    assert.deepEqual(
      [said.reason, said.message],
      ['Failed', 'gitrepositories.source.toolkit.fluxcd.io "lost" not found'],
    );
    await world.repository('lost', `main@sha1:${sha('3')}`);
    await has('lost', 1);
    await world.says('lost', 'Success', 'True');
    await world.until(async () => {
      const warnings = (await world.eventsOf('lost')).filter(({ type }) => type === 'Warning');
      assert.deepEqual(
        warnings.map(({ message, count: times = 1 }) => [message, times]),
        [[said.message, 1]],
      );
    });
  });

  it('trigger 9: a source that goes is an error at once, and none when it is back', async () => {
    await world.repository('goes', `main@sha1:${sha('3')}`);
    await world.trigger(wholeTrigger('goes', 'goes'));
    await has('goes', 1);
    await world.says('goes', 'Success', 'True');
    await world.admin.remove(`/apis/source.toolkit.fluxcd.io/v1/namespaces/${world.namespace}/gitrepositories/goes`);
    await world.says('goes', 'Error', 'False');
    await world.repository('goes', `main@sha1:${sha('3')}`);
    await world.says('goes', 'Success', 'True');
    await has('goes', 1);
  });

  it('trigger 10: a Pipeline that is missing keeps the event until it is there', async () => {
    await world.repository('early', `main@sha1:${sha('4')}`);
    await world.trigger(wholeTrigger('early', 'early', { template: { pipelineRef: { name: 'to-come' } } }));
    assert.equal((await world.says('early', 'Error', 'False')).message, 'pipelines.tekton.dev "to-come" not found');
    await world.push('early', `main@sha1:${sha('5')}`);
    await world.until(async () => assert.equal((await world.status('early')).latestEvent, `main@sha1:${sha('5')}`));
    await world.pipeline('skips', 'to-come');
    const [run] = await has('early', 1);
    assert.equal(run && paramsOf(run).rev, sha('5'));
  });

  it('trigger 14: two revisions right after each other are one or two runs, and the last has its own', async () => {
    await world.repository('twice', `main@sha1:${sha('1')}`);
    await world.trigger(wholeTrigger('twice', 'twice'));
    await world.hasRuns('twice', 1);
    await world.push('twice', `main@sha1:${sha('2')}`);
    await world.push('twice', `main@sha1:${sha('3')}`);
    const { latestPipelineRun } = await world.reached('twice', `main@sha1:${sha('3')}`);
    const runs = await world.runsOf('twice');
    const revisions = valuesOf(runs, 'rev');
    assert.equal(new Set(revisions).size, revisions.length);
    assert.equal(runs.find((run) => paramsOf(run).rev === sha('3'))?.metadata.name, latestPipelineRun);
    tally.expect('twice', runs.length);
  });

  it('trigger 15: a source that is touched, or loses its artifact for a while, starts nothing', async () => {
    await world.repository('touched', `main@sha1:${sha('1')}`);
    await world.trigger(wholeTrigger('touched', 'touched'));
    await world.hasRuns('touched', 1);
    const path = `/apis/source.toolkit.fluxcd.io/v1/namespaces/${world.namespace}/gitrepositories/touched`;
    for (let touch = 0; touch < 20; touch++) {
      await world.admin.patch(path, { metadata: { annotations: { touch: String(touch) } } });
    }
    await world.push('touched', `main@sha1:${sha('1')}`, `sha256:${'1'.repeat(64)}`);
    await world.admin.patch(`${path}/status`, { status: { artifact: null } });
    await world.settled();
    await world.says('touched', 'Success', 'True');
    await world.push('touched', `main/${sha('1')}`);
    await world.push('touched', `refs/heads/main@sha1:${sha('1')}`);
    await world.settled();
    await has('touched', 1);
  });

  it('trigger 20: there and back again is three runs', async () => {
    await world.repository('back', `main@sha1:${sha('1')}`);
    await world.trigger(wholeTrigger('back', 'back'));
    for (const [at, digit] of ['1', '2', '1'].entries()) {
      await world.push('back', `main@sha1:${sha(digit)}`);
      await has('back', at + 1);
    }
  });

  it('trigger 22: what a run that goes on and one that was cancelled look like', async () => {
    await world.repository('stopped', `main@sha1:${sha('1')}`);
    await world.trigger(wholeTrigger('stopped', 'stopped', { template: { pipelineRef: { name: 'waits' } } }));
    const [run] = await has('stopped', 1);
    const goesOn = await world.says('stopped', 'InProgress', 'Unknown');
    assert.deepEqual([goesOn.reason, goesOn.message], ['InProgress', 'Progressing']);
    await world.patch(run?.metadata.name ?? '', { spec: { status: 'Cancelled' } });
    const said = await world.says('stopped', 'Success', 'False');
    assert.equal(said.reason, 'Cancelled');
    assert.match(said.message, /cancelled/);
  });

  it('a run that fails is not tried again, and its reason and message are the condition', async () => {
    await world.repository('fails', `main@sha1:${sha('1')}`);
    await world.trigger(wholeTrigger('fails', 'fails', { template: { pipelineRef: { name: 'fails' } } }));
    await has('fails', 1);
    const said = await world.says('fails', 'Success', 'False');
    assert.equal(said.reason, 'Failed');
    assert.match(said.message, /Failed: 1/);
  });

  it('trigger 24: runs that are deleted by hand start nothing, and the condition stays', async () => {
    await world.repository('deleted', `main@sha1:${sha('1')}`);
    await world.trigger(wholeTrigger('deleted', 'deleted'));
    const [run] = await world.hasRuns('deleted', 1);
    await world.says('deleted', 'Success', 'True');
    await world.remove(run?.metadata.name ?? '', { wait: true });
    await world.settled();
    await has('deleted', 0);
    await world.says('deleted', 'Success', 'True');
  });

  it('trigger 25: a new revision during a run is a second one beside it', async () => {
    await world.repository('beside', `main@sha1:${sha('1')}`);
    await world.trigger(wholeTrigger('beside', 'beside', { template: pending }));
    const [older] = await world.hasRuns('beside', 1);
    await world.push('beside', `main@sha1:${sha('2')}`);
    const runs = await has('beside', 2);
    const newer = runs.find(({ metadata }) => metadata.name !== older?.metadata.name);
    const { latestPipelineRun } = await world.reached('beside', `main@sha1:${sha('2')}`, 'Unknown');
    assert.equal(latestPipelineRun, newer?.metadata.name);
    assert.equal(((await world.read(older?.metadata.name ?? '')) as RunManifest).spec.status, 'PipelineRunPending');
  });

  it('trigger 31: two triggers of the same source and Pipeline have a run each', async () => {
    await world.repository('shared', `main@sha1:${sha('1')}`);
    await world.trigger(wholeTrigger('first', 'shared', { metadata: {} }));
    await world.trigger(wholeTrigger('second', 'shared', { metadata: {} }));
    for (const name of ['first', 'second']) await world.hasRuns(name, 1);
    await world.push('shared', `main@sha1:${sha('2')}`);
    for (const name of ['first', 'second']) await has(name, 2);
  });

  it('trigger 36: a trigger that is deleted takes its runs and its series along; made again, it begins again', async () => {
    await world.repository('gone', `main@sha1:${sha('1')}`);
    const trigger = wholeTrigger('gone', 'gone', { template: pending });
    await world.trigger(trigger);
    const [first] = await world.hasRuns('gone', 1);
    const series = /pipelinetrigger_reconcile_condition\{[^}]*name="gone"/;
    await world.until(async () => assert.match(await world.gateway.metrics(), series));
    await world.until(async () => assert.equal((await world.toldOf('gone')).length, 2));
    await world.drop('gone');
    await world.until(async () => {
      assert.deepEqual(await world.runsOf('gone'), []);
      assert.doesNotMatch(await world.gateway.metrics(), series);
    });
    assert.equal((await world.toldOf('gone')).length, 2);
    await world.trigger(trigger);
    const [second] = await has('gone', 1);
    assert.notEqual(second?.metadata.uid, first?.metadata.uid);
  });

  it('trigger 13: what moved while nobody looked is one run, for what it is now, and none where nothing moved', async () => {
    await world.repository('moved', `main@sha1:${sha('1')}`);
    await world.repository('still', `main@sha1:${sha('1')}`);
    for (const name of ['moved', 'still']) {
      await world.trigger(wholeTrigger(name, name));
      await world.says(name, 'Success', 'True');
    }
    await world.settled();
    await world.gateway.stop('SIGKILL');
    for (const digit of ['2', '3', '4']) await world.push('moved', `main@sha1:${sha(digit)}`);
    await world.restart();
    assert.deepEqual(valuesOf(await has('moved', 2), 'rev'), [sha('1'), sha('4')]);
    await has('still', 1);
  });

  it('trigger 44: what the original left in its blocks is taken over without a new run, and the next event is one', async () => {
    await world.gateway.stop('SIGTERM');
    const git = { branchName: 'main', commitId: sha('6'), repositoryName: 'over' };
    const image = { repositoryName: 'org', imageName: 'nginx', imageVersion: 'v1' };
    await world.repository('over', `main@sha1:${sha('6')}`);
    await world.image('over', { latestRef: { name: 'ghcr.io/org/nginx', tag: 'v1' } });
    for (const [name, kind, block] of [
      ['over-git', 'GitRepository', { gitRepository: git }],
      ['over-image', 'ImagePolicy', { imagePolicy: image }],
    ] as const) {
      await world.trigger(wholeTrigger(name, 'over', { kind }));
      await leftByTheOriginal(world, name, block);
    }
    await world.trigger(wholeTrigger('over-consumed', 'over'));
    await leave(world, 'over-consumed', {
      gitRepository: { ...git, conditions: [upstream('Error', 'False', 'Failed')] },
    });
    await world.restart();
    for (const [name, block] of [
      ['over-git', 'gitRepository'],
      ['over-image', 'imagePolicy'],
    ] as const) {
      await world.says(name, 'Success', 'True');
      await world.hasRuns(name, 1);
      const { conditions } = (await world.status(name))[block] as { conditions: readonly { type: string }[] };
      assert.deepEqual(
        conditions.map(({ type }) => type),
        ['Success'],
      );
    }
    // The original lost this event with a create that failed: a run now would come out of nowhere.
    await world.says('over-consumed', 'Unknown');
    await world.hasRuns('over-consumed', 0);
    await world.push('over', `main@sha1:${sha('7')}`);
    await world.image('over', { latestRef: { name: 'ghcr.io/org/nginx', tag: 'v2' } });
    for (const [name, runs] of [
      ['over-git', 2],
      ['over-image', 2],
      ['over-consumed', 1],
    ] as const) {
      await has(name, runs);
    }
  });

  it('and in the end no trigger has another run', () => tally.again(world));
});

function upstream(type: string, status: string, reason: string) {
  return { type, status, reason, message: '', observedGeneration: 1, lastTransitionTime: '2024-01-01T00:00:00Z' };
}

/** Writes a status as another program would. */
async function leave({ admin, namespace }: TriggerWorld, trigger: string, status: object): Promise<void> {
  const path = `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${namespace}/pipelinetriggers/${trigger}/status`;
  await admin.patch(path, { status });
}

/** A run that succeeded and a status about it, as the last release of the original leaves them: nothing of it is ours. */
async function leftByTheOriginal(
  world: TriggerWorld,
  trigger: string,
  block: Readonly<Record<string, object>>,
): Promise<void> {
  const path = `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/pipelinetriggers/${trigger}`;
  const { metadata } = await world.admin.get(path);
  const run = `${trigger}-x7k2p`;
  const owner = { apiVersion: 'pipeline.jquad.rocks/v1alpha1', kind: 'PipelineTrigger', name: trigger };
  const ownerReferences = [{ ...owner, uid: metadata.uid ?? '', controller: true, blockOwnerDeletion: true }];
  await world.apply({
    apiVersion: 'tekton.dev/v1',
    kind: 'PipelineRun',
    metadata: { name: run, ownerReferences },
    spec: { pipelineRef: { name: 'skips' } },
  });
  await world.finished(run);
  const conditions = [
    upstream('Unknown', 'Unknown', 'Unknown'),
    upstream('InProgress', 'Unknown', 'InProgress'),
    upstream('Success', 'True', 'Succeded'),
  ];
  const entries = Object.entries(block).map(([field, names]) => [
    field,
    { ...names, latestPipelineRun: run, conditions },
  ]);
  await leave(world, trigger, Object.fromEntries(entries));
}
