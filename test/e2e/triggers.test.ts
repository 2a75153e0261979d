/** PipelineTriggers of the first releases (`spec.pipeline`), in a real rungate: what becomes of revisions, runs and triggers. */
import assert from 'node:assert/strict';
import { firstTrigger, paramsOf, sha, Tally, valuesOf } from '../support/trigger-manifests.ts';
import { startTriggerWorld, type TriggerStatus, type TriggerWorld } from '../support/triggers.ts';

describe('triggers with spec.pipeline', function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  const tally = new Tally();
  const count = (name: string, runs: number) => tally.has(world, name, runs);

  before(async () => {
    world = await startTriggerWorld();
    await Promise.all((['build', 'fails', 'waits', 'skips'] as const).map((kind) => world.pipeline(kind)));
  });
  after(() => world?.end());

  it('trigger 1, 2, 3, 4: a revision is one run, as the original made it, and its success is the condition', async () => {
    await world.repository('one', `main/${sha('1')}`);
    const inputParams = [
      { name: 'branch', value: '$(branch)' },
      { name: 'rev', value: '$(commit)' },
      { name: 'extra', value: 'main' },
    ];
    await world.trigger(firstTrigger('one', 'one', { inputParams }));
    const [run] = await count('one', 1);
    assert(run);
    assert.match(run.metadata.name, /^one-[a-z]{4}$/);
    assert.equal(run.metadata.labels?.['pipeline.jquad.rocks/pipelinetrigger'], 'one');
    assert.equal(run.spec.pipelineRef?.name, 'skips');
    assert.deepEqual((run.spec.taskRunTemplate as { serviceAccountName: string }).serviceAccountName, 'default');
    assert.deepEqual(paramsOf(run), { branch: 'main', rev: sha('1'), extra: 'main' });
    const [workspace] = run.spec.workspaces as { volumeClaimTemplate: { spec: object } }[];
    assert.deepEqual(workspace?.volumeClaimTemplate.spec, {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '1Gi' } },
    });
    const [owner] = run.metadata.ownerReferences ?? [];
    assert.deepEqual([owner?.kind, owner?.name], ['PipelineTrigger', 'one']);
    const said = await world.says('one', 'Success', 'True');
    assert.deepEqual([said.reason, said.observedGeneration], ['Succeded', 1]);
    const { latestEvent, latestPipelineRun } = await world.status('one');
    assert.deepEqual([latestEvent, latestPipelineRun], [`main/${sha('1')}`, run.metadata.name]);
    const told = (await world.toldOf('one')).map(({ type, reason, message }) => [type, reason, message]);
    // Both are of the same second.
    assert.deepEqual(told.sort().reverse(), [
      ['Normal', 'Info', `Started the pipeline ${run.metadata.name} in namespace ${world.namespace}`],
      ['Normal', 'Info', `Source one in namespace ${world.namespace} got new event main/${sha('1')}`],
    ]);
  });

  it('trigger 2: a run whose steps ran is a success as well', async () => {
    await world.repository('ran', `main/${sha('1')}`);
    await world.trigger(firstTrigger('ran', 'ran', { name: 'build', workspace: undefined }));
    await count('ran', 1);
    assert.equal((await world.says('ran', 'Success', 'True')).reason, 'Succeded');
  });

  it('trigger 5, 6, 7: every form of a revision gives branch and commit, exactly', async () => {
    const branch = 'feature/Login_ü@2';
    for (const [name, revision, want] of [
      ['new-form', `main@sha1:${sha('2')}`, 'main'],
      ['odd-old', `${branch}/${sha('2')}`, branch],
      ['odd-new', `${branch}@sha1:${sha('2')}`, branch],
      ['full-ref', `refs/heads/main@sha1:${sha('2')}`, 'main'],
      ['no-branch', `sha1:${sha('2')}`, ''],
    ] as const) {
      await world.repository(name, revision);
      await world.trigger(firstTrigger(name, name));
      const [run] = await count(name, 1);
      assert(run);
      assert.deepEqual([paramsOf(run).branch, paramsOf(run).rev], [want, sha('2')], name);
      assert.equal(run.metadata.annotations?.['pipeline.jquad.rocks/branch'] ?? '', want);
      assert.equal((await world.status(name)).latestEvent, revision);
    }
  });

  it('trigger 8: a source that has nothing yet is waited for, and then run', async () => {
    await world.repository('later');
    await world.trigger(firstTrigger('later', 'later'));
    const said = await world.says('later', 'Unknown');
    assert.equal(said.message, 'waiting for GitRepository later to report a revision');
    assert.deepEqual(await world.runsOf('later'), []);
    await world.push('later', `main/${sha('3')}`);
    await count('later', 1);
  });

  it('trigger 9: a source that is missing is an error that names it, and one Warning; it comes and is run', async () => {
    await world.trigger(firstTrigger('lost', 'lost'));
    const said = await world.says('lost', 'Error', 'True');
    assert.equal(said.reason, 'Failed');
    assert.match(said.message, /"lost" not found/);
    await world.repository('lost', `main/${sha('3')}`);
    await count('lost', 1);
    await world.says('lost', 'Success', 'True');
    const warnings = (await world.eventsOf('lost')).filter(({ type }) => type === 'Warning');
    assert.deepEqual(
      warnings.map(({ reason, count: times = 1 }) => [reason, times]),
      [['ProcessingError', 1]],
    );
  });

  it('trigger 10: a Pipeline that is missing keeps the event until it is there', async () => {
    await world.repository('early', `main/${sha('4')}`);
    await world.trigger(firstTrigger('early', 'early', { name: 'to-come' }));
    assert.equal((await world.says('early', 'Error', 'True')).message, 'Pipeline.tekton.dev "to-come" not found');
    await world.push('early', `main/${sha('5')}`);
    await world.until(async () => assert.equal((await world.status('early')).latestEvent, `main/${sha('5')}`));
    await world.pipeline('skips', 'to-come');
    const [run] = await count('early', 1);
    assert(run);
    assert.equal(paramsOf(run).rev, sha('5'));
  });

  it('trigger 11: an image that moves is one run, one that only gets another digest is none', async () => {
    const latest = (tag: string, digest?: string) => ({ latestRef: { name: 'ghcr.io/org/nginx', tag, digest } });
    await world.image('img', latest('v0.0.2'));
    const image = JSON.parse(firstTrigger('img', 'img')) as { spec: { source: { kind: string } } };
    image.spec.source.kind = 'ImagePolicy';
    await world.trigger(JSON.stringify(image));
    await world.hasRuns('img', 1);
    await world.image('img', latest('v0.0.3'));
    await world.hasRuns('img', 2);
    await world.image('img', latest('v0.0.3', `sha256:${'0'.repeat(64)}`));
    await world.image('img', latest('v0.0.4'));
    await count('img', 3);
    assert.equal((await world.status('img')).latestEvent, 'ghcr.io/org/nginx:v0.0.4');
  });

  it('trigger 13: what moved while nobody looked is one run, for what it is now', async () => {
    await world.repository('moved', `main/${sha('1')}`);
    await world.trigger(firstTrigger('moved', 'moved'));
    await world.hasRuns('moved', 1);
    await world.settled();
    await world.gateway.stop('SIGKILL');
    for (const letter of ['2', '3', '4']) await world.push('moved', `main/${sha(letter)}`);
    await world.restart();
    const runs = await count('moved', 2);
    assert.deepEqual(valuesOf(runs, 'rev'), [sha('1'), sha('4')]);
  });

  it('trigger 14: two revisions right after each other are one or two runs, and the last has its own', async () => {
    await world.repository('twice', `main/${sha('1')}`);
    await world.trigger(firstTrigger('twice', 'twice'));
    await world.hasRuns('twice', 1);
    await world.push('twice', `main/${sha('2')}`);
    await world.push('twice', `main/${sha('3')}`);
    await world.reached('twice', `main/${sha('3')}`);
    await world.settled();
    const runs = await world.runsOf('twice');
    const revisions = runs.map((run) => paramsOf(run).rev);
    assert.equal(new Set(revisions).size, revisions.length);
    assert.ok(revisions.includes(sha('3')) && revisions.length <= 3, revisions.join());
    tally.expect('twice', revisions.length);
  });

  it('trigger 15: a source that is touched without a new revision starts nothing', async () => {
    await world.repository('touched', `main/${sha('1')}`);
    await world.trigger(firstTrigger('touched', 'touched'));
    await count('touched', 1);
    const path = `/apis/source.toolkit.fluxcd.io/v1/namespaces/${world.namespace}/gitrepositories/touched`;
    for (let touch = 0; touch < 20; touch++) {
      await world.admin.patch(path, { metadata: { annotations: { touch: String(touch) } } });
    }
    await world.push('touched', `main/${sha('1')}`, `sha256:${'1'.repeat(64)}`);
    await world.settled();
    await world.hasRuns('touched', 1);
  });

  it('trigger 20: there and back again is three runs', async () => {
    await world.repository('back', `main/${sha('1')}`);
    await world.trigger(firstTrigger('back', 'back'));
    for (const [at, letter] of ['1', '2', '1'].entries()) {
      await world.push('back', `main/${sha(letter)}`);
      await count('back', at + 1);
    }
  });

  it('trigger 21: a run that fails is tried again, so often, and a new revision begins anew', async () => {
    await world.repository('fails', `main/${sha('1')}`);
    await world.trigger(firstTrigger('fails', 'fails', { name: 'fails', retries: 2, workspace: undefined }));
    const said = await world.says('fails', 'Error', 'False', 540_000); // three pods, one after another
    assert.equal(said.reason, 'Failed');
    assert.equal((await world.status('fails')).currentPipelineRetry, 2);
    await world.hasRuns('fails', 3);
    await world.change('fails', { spec: { pipeline: { name: 'skips' } } });
    await world.push('fails', `main/${sha('2')}`);
    await count('fails', 4);
    await world.says('fails', 'Success', 'True');
    assert.equal((await world.status('fails')).currentPipelineRetry, undefined);
  });

  it('trigger 22: a run that was cancelled is not tried again', async () => {
    await world.repository('cancelled', `main/${sha('1')}`);
    await world.trigger(firstTrigger('cancelled', 'cancelled', { name: 'waits', workspace: undefined }));
    const [run] = await count('cancelled', 1);
    await world.patch(run?.metadata.name ?? '', { spec: { status: 'Cancelled' } });
    const said = await world.says('cancelled', 'Error', 'False');
    assert.match(said.message, /cancelled/);
  });

  it('trigger 23, 24: only so many runs are kept, the newest; deleting them starts nothing', async () => {
    await world.repository('history', `main/${sha('0')}`);
    await world.trigger(firstTrigger('history', 'history', { maxHistory: 3 }));
    const names: string[] = [];
    for (let event = 0; event < 6; event++) {
      await world.push('history', `main/${sha(String(event))}`);
      const { latestPipelineRun } = await world.reached('history', `main/${sha(String(event))}`);
      names.push(latestPipelineRun ?? '');
    }
    const kept = await count('history', 3);
    assert.deepEqual(kept.map(({ metadata }) => metadata.name).sort(), names.slice(3).sort());
    for (const { metadata } of kept) await world.remove(metadata.name);
    await world.settled();
    tally.expect('history', 0);
    await world.hasRuns('history', 0);
    await world.says('history', 'Success', 'True');
  });

  it('trigger 25: a new revision during a run is a second one beside it', async () => {
    await world.repository('beside', `main/${sha('1')}`);
    await world.trigger(firstTrigger('beside', 'beside', { name: 'waits', workspace: undefined }));
    const [older] = await world.hasRuns('beside', 1);
    await world.push('beside', `main/${sha('2')}`);
    const runs = await count('beside', 2);
    const newer = runs.find(({ metadata }) => metadata.name !== older?.metadata.name);
    const { latestPipelineRun } = await world.reached('beside', `main/${sha('2')}`, 'Unknown');
    assert.equal(latestPipelineRun, newer?.metadata.name);
    assert.equal((await world.condition(older?.metadata.name ?? ''))?.status ?? 'Unknown', 'Unknown');
    for (const { metadata } of runs) await world.patch(metadata.name, { spec: { status: 'Cancelled' } });
  });

  it('trigger 28: long names of triggers make runs that Tekton takes, and that are found again', async () => {
    for (const length of [63, 100]) {
      const name = 'x'.repeat(length);
      await world.repository(`long-${length}`, `main/${sha('1')}`);
      await world.trigger(firstTrigger(name, `long-${length}`, { maxHistory: 1 }));
      const [run] = await world.hasRuns(name, 1);
      assert.ok((run?.metadata.name.length ?? 99) <= 63);
      assert.ok((run?.metadata.labels?.['pipeline.jquad.rocks/pipelinetrigger']?.length ?? 99) <= 63);
      await world.says(name, 'Success', 'True');
      await world.push(`long-${length}`, `main/${sha('2')}`);
      await world.reached(name, `main/${sha('2')}`);
      await count(name, 1);
    }
  });

  it('trigger 36: a trigger that is deleted takes its runs and its series along; made again, it begins again', async () => {
    await world.repository('gone', `main/${sha('1')}`);
    await world.trigger(firstTrigger('gone', 'gone'));
    const [first] = await world.hasRuns('gone', 1);
    await world.says('gone', 'Success', 'True');
    const series = /pipelinetrigger_reconcile_condition\{[^}]*name="gone"/;
    await world.until(async () => assert.match(await world.gateway.metrics(), series));
    await world.admin.remove(`/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/pipelinetriggers/gone`);
    await world.until(async () => {
      const runs = await world.runsOf('gone').catch(() => []);
      assert.deepEqual(runs, []);
      assert.doesNotMatch(await world.gateway.metrics(), series);
    });
    await world.trigger(firstTrigger('gone', 'gone'));
    const [second] = await count('gone', 1);
    assert.notEqual(second?.metadata.uid, first?.metadata.uid);
  });

  it('trigger 37: a trigger that is wrong says so, and hurts no other', async () => {
    await world.repository('sizes', `main/${sha('1')}`);
    await world.trigger(
      firstTrigger('wrong', 'sizes', { workspace: { name: 'source', size: 'abc', accessMode: 'ReadWriteOnce' } }),
    );
    await world.trigger(firstTrigger('right', 'sizes'));
    const said = await world.says('wrong', 'Error');
    assert.match(said.message, /spec\.pipeline\.workspace\.size is "abc"/);
    const told = /"a trigger needs to be looked at"[^\n]*"trigger":"wrong"[^\n]*spec\.pipeline\.workspace\.size/;
    await world.until(async () => assert.match(world.gateway.log(), told));
    await count('right', 1);
    tally.expect('wrong', 0);
  });

  it('trigger 43: the gauge of the original tells of the last run', async () => {
    await world.repository('gauge', `main/${sha('1')}`);
    await world.trigger(firstTrigger('gauge', 'gauge'));
    await world.says('gauge', 'Success', 'True');
    const series = (status: string) =>
      `pipelinetrigger_reconcile_condition{kind="PipelineTrigger",name="gauge",namespace="${world.namespace}",sourcekind="GitRepository",repo="main",type="Success",status="${status}"}`;
    await world.until(async () => {
      const values = await Promise.all(
        ['True', 'False', 'Unknown'].map((status) => world.gateway.metric(series(status))),
      );
      assert.deepEqual(values, [1, 0, 0]);
    });
    tally.expect('gauge', 1);
  });

  it('trigger 44: what the original left is taken over without a new run, another form of the revision included', async () => {
    await world.gateway.stop('SIGTERM');
    for (const [name, revision] of [
      ['over-same', `main/${sha('6')}`],
      ['over-form', `main@sha1:${sha('6')}`],
    ] as const) {
      await world.repository(name, revision);
      await world.trigger(firstTrigger(name, name));
      await world.run(
        JSON.stringify({
          apiVersion: 'tekton.dev/v1',
          kind: 'PipelineRun',
          metadata: { name: `${name}-abcd`, labels: { 'pipeline.jquad.rocks/pipelinetrigger': name } },
          spec: { pipelineRef: { name: 'skips' } },
        }).concat('\n'),
        { name: `${name}-abcd` },
      );
      const path = `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/pipelinetriggers/${name}/status`;
      await world.admin.patch(path, {
        status: { latestEvent: `main/${sha('6')}`, latestPipelineRun: `${name}-abcd`, conditions: [] },
      });
    }
    await world.restart();
    for (const name of ['over-same', 'over-form']) {
      await world.says(name, 'Success', 'True');
      await count(name, 1);
    }
  });

  it('trigger 44: a run that the original created just before it was replaced, and did not write down, is the run of its event', async () => {
    await world.gateway.stop('SIGTERM');
    await world.repository('left', `main/${sha('7')}`);
    await world.trigger(firstTrigger('left', 'left'));
    const labels = { pipelinetrigger: 'left', branch: 'main', commit: sha('7') };
    await world.run(
      JSON.stringify({
        apiVersion: 'tekton.dev/v1',
        kind: 'PipelineRun',
        metadata: {
          name: 'left-abcd',
          labels: Object.fromEntries(
            Object.entries(labels).map(([key, value]) => [`pipeline.jquad.rocks/${key}`, value]),
          ),
        },
        spec: { pipelineRef: { name: 'skips' } },
      }).concat('\n'),
      { name: 'left-abcd' },
    );
    await world.restart();
    await world.says('left', 'Success', 'True');
    await count('left', 1);
    await world.push('left', `main/${sha('8')}`);
    await count('left', 2);
  });

  it('starts one more run of the same revision for each new value of rungate.dev/runAt, and none while it is suspended', async () => {
    await world.repository('asked', `main/${sha('1')}`);
    await world.trigger(firstTrigger('asked', 'asked'));
    await world.hasRuns('asked', 1);
    await world.change('asked', { metadata: { annotations: { 'rungate.dev/runAt': 'one' } } });
    await world.hasRuns('asked', 2);
    await world.change('asked', { spec: { suspend: true } });
    await world.push('asked', `main/${sha('2')}`);
    await world.settled();
    await world.hasRuns('asked', 2);
    await world.change('asked', { spec: { suspend: false } });
    await count('asked', 3);
  });

  it('an event costs three writes of the status at most, and none of them is a conflict', async () => {
    await world.repository('cheap', `main/${sha('0')}`);
    await world.trigger(firstTrigger('cheap', 'cheap'));
    await world.says('cheap', 'Success', 'True');
    // What is still to be written about the runs of others would be counted with it.
    await world.until(async () => {
      const path = `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/pipelinetriggers`;
      const { items } = await world.admin.get<{
        items: readonly { metadata: { name: string }; status: TriggerStatus }[];
      }>(path);
      const goOn = items.filter(({ status }) => status.conditions?.[0]?.type === 'Unknown');
      assert.deepEqual(
        goOn.map(({ metadata }) => metadata.name),
        [],
      );
    });
    await world.settled();
    const patches = (code: number) => world.gateway.metric(`rungate_kube_requests_total{verb="patch",code="${code}"}`);
    const before = [await patches(200), await patches(409)] as const;
    for (const digit of ['1', '2', '3']) {
      await world.push('cheap', `main/${sha(digit)}`);
      await world.reached('cheap', `main/${sha(digit)}`);
    }
    await world.settled();
    const [written, refused] = [(await patches(200)) - before[0], (await patches(409)) - before[1]];
    assert.equal(refused, 0, 'our own writes that come back late are no surprise');
    assert.ok(written >= 3 * 2 && written <= 3 * 3, `${written} writes for three events`);
    tally.expect('cheap', 4);
  });

  it('and in the end no trigger has another run', () => tally.again(world));
});
