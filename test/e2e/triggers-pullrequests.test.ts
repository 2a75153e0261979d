/** PipelineTriggers on PullRequests: each branch is a line of events of its own. */
import assert from 'node:assert/strict';
import { paramsOf, pull, sha, Tally, valuesOf, wholeTrigger } from '../support/trigger-manifests.ts';
import { type Branch, startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

/** What the status says of one branch. */
interface Entry {
  readonly name: string;
  readonly commit: string;
  readonly latestPipelineRun?: string;
  readonly details: string;
  readonly conditions: readonly { readonly type: string; readonly status: string; readonly message: string }[];
}

describe('triggers on pull requests', function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  const tally = new Tally();
  const has = (trigger: string, runs: number) => tally.has(world, trigger, runs);

  before(async () => {
    world = await startTriggerWorld();
    await world.pipeline('skips');
  });
  after(() => world?.end());

  /** A PullRequest with these branches, and a trigger of the same name on it. */
  const watched = async (name: string, branches: readonly Branch[]): Promise<void> => {
    await world.pullRequest(name, branches);
    await world.trigger(wholeTrigger(name, name, { kind: 'PullRequest', metadata: {} }));
  };

  const entriesOf = async (trigger: string): Promise<Readonly<Record<string, Entry>>> => {
    const { branches } = await world.status(trigger);
    return (branches as { branch?: Record<string, Entry> } | undefined)?.branch ?? {};
  };

  it('trigger 32: every new branch is a run of its own, a new commit one more; a branch that is closed leaves its run', async () => {
    const names = ['feature/one', 'feature/Two_ü', 'three'];
    const branches = names.map((name, at) => pull(name, sha(String(at))));
    await watched('three', branches);
    const runs = await has('three', 3);
    const byBranch = new Map(runs.map((run) => [paramsOf(run).branch, run]));
    for (const [at, name] of names.entries()) {
      const run = byBranch.get(name);
      assert(run, name);
      assert.equal(paramsOf(run).rev, sha(String(at)));
      const { annotations = {}, labels = {} } = run.metadata;
      assert.equal(annotations['pipeline.jquad.rocks/branch'], name);
      assert.equal(labels['pipeline.jquad.rocks/pr.branch.commit'], sha(String(at)));
      assert.equal(labels['pipeline.jquad.rocks/pr.branch.name'], ['feature-one', 'feature-Two', 'three'][at]);
    }
    assert.match(byBranch.get('feature/Two_ü')?.metadata.name ?? '', /^feature-two-[a-z0-9]{5}$/);
    await world.says('three', 'Success', 'True');
    const entries = await entriesOf('three');
    assert.deepEqual(Object.keys(entries).sort(), [...names].sort());
    for (const name of names) {
      const entry = entries[name];
      assert.deepEqual(
        [entry?.name, entry?.latestPipelineRun, entry?.details, entry?.conditions.map(({ type }) => type)],
        [name, byBranch.get(name)?.metadata.name, '', ['Success']],
      );
    }

    await world.pullRequest('three', [pull('feature/one', sha('7')), ...branches.slice(1)]);
    const four = await has('three', 4);
    assert.deepEqual(valuesOf(four, 'rev'), [sha('0'), sha('1'), sha('2'), sha('7')]);

    await world.pullRequest('three', branches.slice(1));
    await world.until(async () =>
      assert.deepEqual(Object.keys(await entriesOf('three')).sort(), ['feature/Two_ü', 'three']),
    );
    await has('three', 4);
  });

  it('trigger 33: a branch that vanishes and returns with the same commit is not run again', async () => {
    const both = [pull('one', sha('1')), pull('two', sha('2'))];
    await watched('returns', both);
    await has('returns', 2);
    for (let round = 0; round < 10; round++) {
      await world.pullRequest('returns', round % 2 === 0 ? both.slice(0, 1) : []);
      await world.until(async () => assert.ok(!('two' in (await entriesOf('returns')))));
      await world.pullRequest('returns', both);
      await world.until(async () => assert.deepEqual(Object.keys(await entriesOf('returns')).sort(), ['one', 'two']));
    }
    await has('returns', 2);
    await world.pullRequest('returns', [pull('two', sha('3'))]);
    assert.deepEqual(valuesOf(await has('returns', 3), 'rev'), [sha('1'), sha('2'), sha('3')]);
  });

  it('trigger 8: one that was not polled yet is waited for, one without branches says so', async () => {
    await world.pullRequest('empty', []);
    await world.trigger(wholeTrigger('empty', 'empty', { kind: 'PullRequest' }));
    const said = await world.says('empty', 'Unknown');
    assert.equal(said.message, 'PullRequest empty has no branches');
    await world.pullRequest('empty', [pull('one', sha('1'))]);
    await has('empty', 1);
  });

  it('trigger 9: one that is missing is an error that names it; it comes and is run', async () => {
    await world.trigger(wholeTrigger('lost', 'lost', { kind: 'PullRequest' }));
    const said = await world.says('lost', 'Error', 'False');
    assert.match(said.message, /"lost" not found$/);
    assert.deepEqual(await entriesOf('lost'), {}); // the original left an entry `null` here
    await world.pullRequest('lost', [pull('one', sha('1'))]);
    await has('lost', 1);
    await world.says('lost', 'Success', 'True');
  });

  it('trigger 26: a branch whose details lack what is asked for is an error of its own, the others run', async () => {
    await watched('partly', [pull('fine', sha('1')), { name: 'lacking', commit: sha('2'), details: '{}' }]);
    const [run] = await has('partly', 1);
    assert.equal(run && paramsOf(run).branch, 'fine');
    const said = await world.says('partly', 'Error', 'False');
    assert.equal(said.message, 'branch lacking: parameter rev: Expression $.head.sha evaluates to null.');
    await world.until(async () => {
      const { fine, lacking } = await entriesOf('partly');
      assert.deepEqual([fine?.conditions[0]?.type, lacking?.conditions[0]?.type], ['Success', 'Error']);
    });
    await world.pullRequest('partly', [pull('fine', sha('1')), pull('lacking', sha('2'))]);
    assert.deepEqual(valuesOf(await has('partly', 2), 'branch'), ['fine', 'lacking']);
    await world.says('partly', 'Success', 'True');
  });

  it('trigger 30: a template with a name of its own serves one branch after the other', async () => {
    await world.pullRequest('named', [pull('one', sha('1')), pull('two', sha('2'))]);
    await world.trigger(wholeTrigger('named', 'named', { kind: 'PullRequest', metadata: { name: 'of-the-request' } }));
    await world.says('named', 'Error', 'False');
    const [first] = await world.hasRuns('named', 1);
    await world.until(async () => {
      const done = Object.values(await entriesOf('named')).filter(
        ({ conditions }) => conditions[0]?.type === 'Success',
      );
      assert.equal(done.length, 1);
    });
    await world.remove('of-the-request', { wait: true });
    await world.says('named', 'Success', 'True');
    const [second] = await has('named', 1);
    assert.deepEqual(
      valuesOf(
        [first, second].flatMap((run) => run ?? []),
        'branch',
      ),
      ['one', 'two'],
    );
  });

  it('trigger 43: every branch has a series, and one that is closed has none', async () => {
    const series = (repo: string) =>
      `pipelinetrigger_reconcile_condition{kind="PipelineTrigger",name="gauge",namespace="${world.namespace}",sourcekind="PullRequest",repo="${repo}",type="Success",status="True"}`;
    await watched('gauge', [pull('one', sha('1')), pull('two', sha('2'))]);
    await world.until(async () => {
      assert.deepEqual(await Promise.all(['one', 'two'].map((repo) => world.gateway.metric(series(repo)))), [1, 1]);
    });
    await world.pullRequest('gauge', [pull('one', sha('1'))]);
    await world.until(async () => assert.doesNotMatch(await world.gateway.metrics(), /name="gauge"[^}]*repo="two"/));
    await has('gauge', 2);
  });

  it('trigger 13, 44: what the original left of each branch is taken over, and what moved meanwhile is run', async () => {
    await world.gateway.stop('SIGTERM');
    await watched('over', [pull('kept', sha('1')), pull('moved', sha('3')), pull('new', sha('4'))]);
    const left = (name: string, commit: string) => ({
      name,
      commit,
      latestPipelineRun: `${name}-x7k2p`,
      details: '',
      conditions: [
        {
          type: 'Success',
          status: 'True',
          reason: 'Succeded',
          message: 'Reconciliation is successful.',
          observedGeneration: 1,
          lastTransitionTime: '2024-01-01T00:00:00Z',
        },
      ],
    });
    const path = `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/pipelinetriggers/over/status`;
    const branch = { kept: left('kept', sha('1')), moved: left('moved', sha('2')), closed: left('closed', sha('5')) };
    await world.admin.patch(path, { status: { branches: { branch } } });
    await world.restart();
    assert.deepEqual(valuesOf(await has('over', 2), 'branch'), ['moved', 'new']);
    await world.until(async () =>
      assert.deepEqual(Object.keys(await entriesOf('over')).sort(), ['kept', 'moved', 'new']),
    );
    await world.says('over', 'Success', 'True');
  });

  it('and in the end no trigger has another run', () => tally.again(world));
});
