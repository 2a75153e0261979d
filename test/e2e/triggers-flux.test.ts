/**
 * PipelineTriggers behind a real Flux: what is pushed to a git repository becomes runs. On a cluster the repository is on a git
 * server and source-controller reads it; in a sandbox it is a folder, and the sandbox's own source-controller polls that.
 */
import assert from 'node:assert/strict';
import { kubectlVariable } from '../support/ground.ts';
import { clusterSuite } from '../support/needs.ts';
import { makeOrigin, type Origin } from '../support/origin.ts';
import { firstTrigger, paramsOf, Tally, valuesOf, wholeTrigger } from '../support/trigger-manifests.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

/** An artifact of a source, as far as tests look at it. */
interface Looked {
  readonly status?: { readonly artifact?: { readonly revision: string }; readonly observedGeneration?: number };
  readonly metadata: { readonly generation: number };
}

clusterSuite('triggers behind Flux', { flux: true }, function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  const origins: Origin[] = [];
  const tally = new Tally();
  const has = (trigger: string, runs: number) => tally.has(world, trigger, runs);

  before(async () => {
    world = await startTriggerWorld();
    await world.pipeline('skips');
  });
  after(async () => {
    await world?.end();
    for (const origin of origins) await origin.remove();
  });

  const originOf = async (name: string): Promise<Origin> => {
    const origin = await makeOrigin(world, name);
    origins.push(origin);
    return origin;
  };

  const sourcePath = (name: string) =>
    `/apis/source.toolkit.fluxcd.io/v1/namespaces/${world.namespace}/gitrepositories/${name}`;

  /** A GitRepository that follows `url`. */
  const follow = (name: string, url: string, ref: object = { branch: 'main' }) =>
    world.apply({
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'GitRepository',
      metadata: { name },
      spec: { url, ref, interval: '1s' },
    });

  /** Waits until Flux has seen a commit. */
  const seen = (name: string, commit: string) =>
    world.until(async () => {
      const { status } = await world.admin.get<Looked>(sourcePath(name));
      assert.match(status?.artifact?.revision ?? '', new RegExp(`${commit}$`));
    });

  it('trigger 1, 5: every push becomes a run, of triggers of either shape', async () => {
    const origin = await originOf('pushed');
    const commits = [await origin.push()];
    await follow('pushed', origin.url);
    await world.trigger(firstTrigger('pushed-first', 'pushed'));
    await world.trigger(wholeTrigger('pushed-whole', 'pushed'));
    for (const name of ['pushed-first', 'pushed-whole']) {
      const [run] = await world.hasRuns(name, 1);
      assert.deepEqual(run && paramsOf(run), { rev: commits[0], branch: 'main' });
    }
    for (const count of [2, 3]) {
      commits.push(await origin.push());
      for (const name of ['pushed-first', 'pushed-whole']) {
        assert.deepEqual(valuesOf(await has(name, count), 'rev'), [...commits].sort());
      }
    }
    for (const name of ['pushed-first', 'pushed-whole']) await world.reached(name, `main@sha1:${commits.at(-1)}`);
  });

  it('trigger 3: kubectl describes its events, waits for its success and lists what it last did', async function () {
    // A sandbox has a kubectl only where `npm run test:cluster` lends it.
    if (world.ground === 'sandbox' && process.env[kubectlVariable] === undefined) return void this.skip();
    const kubectl = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await world.kubectl('--namespace', world.namespace, ...args);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    const origin = await originOf('described');
    const commit = await origin.push();
    await follow('described', origin.url);
    for (const [name, trigger] of [
      ['described-first', firstTrigger('described-first', 'described')],
      ['described-whole', wholeTrigger('described-whole', 'described')],
    ] as const) {
      await world.trigger(trigger);
      const waited = await kubectl('wait', '--for=condition=Success', `pipelinetrigger/${name}`, '--timeout=240s');
      assert.equal(waited, `pipelinetrigger.pipeline.jquad.rocks/${name} condition met\n`);
      const [run] = await has(name, 1);
      await world.until(async () => {
        const described = (await kubectl('describe', 'pipelinetrigger', name)).replace(/ +/g, ' ');
        const events = described.slice(described.indexOf('\nEvents:'));
        const source = `Source described in namespace ${world.namespace} got new event main@sha1:${commit}`;
        assert.match(events, new RegExp(`Normal Info \\S+( \\(x\\d+ over \\S+\\))? PipelineTrigger ${source}`));
        const started = `Started the pipeline ${run?.metadata.name} in namespace ${world.namespace}`;
        assert.match(events, new RegExp(`Normal Info \\S+( \\(x\\d+ over \\S+\\))? PipelineTrigger ${started}`));
      });
      const [titles = '', row = ''] = (await kubectl('get', 'pipelinetriggers', name)).split('\n');
      assert.deepEqual(titles.split(/ {2,}/), ['NAME', 'SOURCE', 'LATEST EVENT', 'LATEST RUN', 'STATUS', 'AGE']);
      assert.deepEqual(row.split(/ {2,}/).slice(0, 5), [
        name,
        'described',
        `main@sha1:${commit}`,
        run?.metadata.name,
        'Succeded',
      ]);
    }
  });

  it('trigger 6, 7: a branch with an odd name, and a whole reference', async () => {
    const branch = 'feature/Login_ü@2';
    const origin = await originOf('odd');
    const commit = [await origin.push(), await origin.push(branch)][1];
    await follow('odd', origin.url, { branch });
    await follow('whole', origin.url, { name: `refs/heads/${branch}` });
    for (const [source, event] of [
      ['odd', `${branch}@sha1:${commit}`],
      ['whole', `refs/heads/${branch}@sha1:${commit}`],
    ] as const) {
      await world.trigger(firstTrigger(`${source}-first`, source));
      await world.trigger(wholeTrigger(`${source}-whole`, source, { metadata: {} }));
      for (const name of [`${source}-first`, `${source}-whole`]) {
        const [run] = await has(name, 1);
        assert.deepEqual(run && paramsOf(run), { rev: commit, branch });
        assert.equal(run?.metadata.annotations?.['pipeline.jquad.rocks/branch'], branch);
        await world.reached(name, event);
      }
    }
  });

  it('trigger 14: pushes right after each other: the last one has a run, and none has two', async () => {
    const origin = await originOf('twice');
    await origin.push();
    await follow('twice', origin.url);
    await world.trigger(wholeTrigger('twice', 'twice'));
    await world.hasRuns('twice', 1);
    await origin.push();
    const last = await origin.push();
    await world.reached('twice', `main@sha1:${last}`);
    const commits = valuesOf(await world.runsOf('twice'), 'rev');
    assert.equal(new Set(commits).size, commits.length);
    assert.ok(commits.includes(last) && commits.length <= 3, commits.join());
    tally.expect('twice', commits.length);
  });

  it('a source that is suspended starts nothing, and what was pushed meanwhile is one run once it is not', async () => {
    const origin = await originOf('paused');
    const first = await origin.push();
    await follow('paused', origin.url);
    await world.trigger(wholeTrigger('paused', 'paused'));
    await world.hasRuns('paused', 1);
    await world.admin.patch(sourcePath('paused'), { spec: { suspend: true } });
    await origin.push();
    const last = await origin.push();
    await world.settled();
    await world.hasRuns('paused', 1);
    await world.admin.patch(sourcePath('paused'), { spec: { suspend: false } });
    assert.deepEqual(valuesOf(await has('paused', 2), 'rev'), [first, last].sort());
    await world.reached('paused', `main@sha1:${last}`);
  });

  it('a source that is moved to another branch runs that branch, once', async () => {
    const origin = await originOf('moved');
    const [first, other] = [await origin.push(), await origin.push('other')];
    await follow('moved', origin.url);
    await world.trigger(wholeTrigger('moved', 'moved'));
    await world.hasRuns('moved', 1);
    await world.admin.patch(sourcePath('moved'), { spec: { ref: { branch: 'other' } } });
    assert.deepEqual(valuesOf(await has('moved', 2), 'rev'), [first, other].sort());
    await world.reached('moved', `other@sha1:${other}`);
  });

  it('trigger 9: a source that cannot be read yet is waited for, and the first push that can be is run', async () => {
    const origin = await originOf('empty');
    await follow('empty', origin.url);
    await world.trigger(wholeTrigger('empty', 'empty'));
    const said = await world.says('empty', 'Unknown');
    assert.equal(said.message, 'waiting for GitRepository empty to report a revision');
    const commit = await origin.push();
    const [run] = await has('empty', 1);
    assert.equal(run && paramsOf(run).rev, commit);
  });

  it('trigger 13: what was pushed while nobody looked is one run, for what it is now', async () => {
    const origin = await originOf('unwatched');
    const first = await origin.push();
    await follow('unwatched', origin.url);
    await world.trigger(wholeTrigger('unwatched', 'unwatched'));
    await world.hasRuns('unwatched', 1);
    await world.settled();
    await world.gateway.stop('SIGKILL');
    let last = '';
    for (let push = 0; push < 3; push++) {
      last = await origin.push();
      await seen('unwatched', last);
    }
    await world.restart();
    assert.deepEqual(valuesOf(await has('unwatched', 2), 'rev'), [first, last].sort());
  });

  it('and in the end no trigger has another run', () => tally.again(world));
});
