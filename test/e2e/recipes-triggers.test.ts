/** The recipes that start runs through rungate itself, run by real shells with a real curl, for a caller who may do no more. */
import assert from 'node:assert/strict';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { checkout } from '../support/gateway.ts';
import { type Ran, runProgram } from '../support/program.ts';
import { inPlace, recipe } from '../support/recipe.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

type Env = Readonly<Record<string, string>>;

describe('the recipes that start runs', () => {
  let world: TriggerWorld;
  let between: FaultProxy;
  /** A checkout of the project, as a CI job has it. */
  let work: string;
  const commit = '1'.repeat(40);

  before(async () => {
    world = await startTriggerWorld({ components: ['triggers-run'], gateway: false });
    const access = join(world.folder, 'access.yaml');
    await writeFile(access, inPlace(recipe('gitlab/access.yaml'), { '[default]': [`[${world.namespace}]`, 2] }));
    await world.startGateway({ env: { ACCESS_FILE: access } });
    between = await startFaultProxy({ url: world.gateway.url }, { secure: false });
    work = join(world.folder, 'work');
    await mkdir(work);
    await symlink(`${checkout}examples`, join(work, 'examples'));
    await world.repository('app', `main@sha1:${commit}`);
    // What was found just now is run without asking Flux, which does not look at sources of tests.
    await foundAt(new Date());
    await world.apply(manifest());
    await world.reached('app', `main@sha1:${commit}`);
  });
  afterEach(() => between?.lift());
  after(async () => {
    await between?.close();
    await world?.end();
  });

  /** The trigger of examples/flux, whose run does what `script` says, and all of whose runs are kept. */
  const manifest = (script = 'echo "building $COMMIT of $BRANCH"') =>
    inPlace(recipe('flux/trigger.yaml'), {
      'namespace: default': [`namespace: ${world.namespace}`, 2],
      "max-history: '10'": "max-history: '100'",
      'echo "building $COMMIT of $BRANCH"': script,
    });
  /** When Flux is said to have found what the source has. */
  const foundAt = (time: Date) =>
    world.admin.patch(`/apis/source.toolkit.fluxcd.io/v1/namespaces/${world.namespace}/gitrepositories/app/status`, {
      status: { artifact: { lastUpdateTime: time.toISOString() } },
    });
  const env = (more: Env = {}): Env => ({
    PATH: process.env.PATH ?? '',
    RUNGATE_URL: between.url,
    RUNGATE_USERNAME: world.gateway.credentials.username,
    RUNGATE_PASSWORD: world.gateway.credentials.password,
    ...more,
  });
  const trigger = (key: string, more: Env = {}): Promise<Ran> =>
    runProgram('sh', ['examples/shell/trigger.sh', `${world.namespace}/app`, key], { env: env(more), cwd: work });
  const names = async () =>
    (await world.runsOf('app')).map(({ metadata }) => `${world.namespace}/${metadata.name}`).sort();

  describe('for GitLab', () => {
    interface Job {
      readonly script: readonly string[];
      readonly artifacts?: { readonly reports: { readonly dotenv: string } };
    }
    interface File {
      readonly variables: Env;
      readonly trigger: Job;
      readonly build: Job;
    }

    /** Runs the jobs as GitLab does: each in a shell of its own, with what the one before left in its dotenv report. */
    const pipeline = async (id: string): Promise<Ran> => {
      const file = parse(recipe('gitlab/pipelinetrigger.gitlab-ci.yml')) as File;
      const variables = { ...file.variables, TRIGGER: `${world.namespace}/app`, CI_PIPELINE_ID: id };
      assert.equal(file.variables.TRIGGER, 'default/app');
      const run = (job: Job, more: Env = {}) =>
        runProgram('bash', ['-eo', 'pipefail', '-c', job.script.join('\n')], {
          env: env({ ...variables, ...more }),
          cwd: work,
        });
      const before = await names();
      const begun = await run(file.trigger);
      assert.equal(begun.code, 0, begun.stderr);
      const report = await readFile(join(work, file.trigger.artifacts?.reports.dotenv ?? ''), 'utf8');
      const [, name = '', value = ''] = /^(\w+)=(.*)\n$/.exec(report) ?? [];
      assert.deepEqual(await names(), [...before, value].sort());
      return run(file.build, { [name]: value });
    };

    it('run 36: starts a run, shows its log and ends with 0 when it succeeded', async () => {
      const { code, stdout, stderr } = await pipeline('41');
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, new RegExp(`building ${commit} of main`));
      assert.match(stdout, /section_start:/);
      assert.doesNotMatch(stdout + stderr, new RegExp(world.gateway.credentials.password));
    });

    it('run 36: and with 1 when it failed', async () => {
      await world.apply(manifest('echo broken && exit 1'));
      const { code, stdout, stderr } = await pipeline('42');
      assert.equal(code, 1, stdout + stderr);
      assert.match(stdout, /broken/);
      await world.apply(manifest());
    });
  });

  describe('for shells', () => {
    it('another key is another run, and the same one again is the same run', async () => {
      const before = await names();
      const first = await trigger('one');
      assert.equal(first.code, 0, first.stderr);
      const second = await trigger('two');
      assert.equal(second.code, 0, second.stderr);
      assert.notEqual(second.stdout, first.stdout);
      const again = await trigger('one', { RUNGATE_WAIT: '120' });
      assert.deepEqual([again.code, again.stdout], [0, first.stdout]);
      await world.settled();
      assert.deepEqual(await names(), [...before, first.stdout.trim(), second.stdout.trim()].sort());
    });

    it('jobs that begin at once have a run each', async () => {
      const before = await names();
      const jobs = await Promise.all(['left', 'middle', 'right'].map((key) => trigger(key, { RUNGATE_WAIT: '120' })));
      for (const { code, stderr } of jobs) assert.equal(code, 0, stderr);
      await world.settled();
      assert.deepEqual(await names(), [...before, ...jobs.map(({ stdout }) => stdout.trim())].sort());
    });

    it('an answer that is lost on its way back is asked for again, and starts nothing more', async () => {
      const before = await names();
      between.add({ on: { method: 'POST' }, fault: { kind: 'lost', how: 'reset' }, times: 1 });
      const { code, stdout, stderr } = await trigger('lost');
      assert.equal(code, 0, stderr);
      await world.settled();
      assert.deepEqual(await names(), [...before, stdout.trim()].sort());
    });

    it('while another run has not begun it waits for its turn', async () => {
      const before = await names();
      const body = { error: 'another run of this trigger was asked for and has not begun: ask when it has' };
      between.add({ on: { method: 'POST' }, fault: { kind: 'answer', status: 409, body }, times: 2 });
      const { code, stdout, stderr } = await trigger('patient');
      assert.equal(code, 0, stderr);
      assert.equal(between.matching({ method: 'POST' }).filter(({ fault }) => fault === 'answer').length, 2);
      assert.deepEqual(await names(), [...before, stdout.trim()].sort());
    });

    it('a run that comes too late ends with 3, and the same key again finds it', async () => {
      const before = await names();
      await foundAt(new Date(0)); // Flux is asked to look first, and does not answer here
      const early = await trigger('late', { RUNGATE_WAIT: '1' });
      assert.equal(early.code, 3, early.stdout + early.stderr);
      assert.match(early.stderr, /Run this job again/);
      const again = await trigger('late', { RUNGATE_WAIT: '120' });
      assert.equal(again.code, 0, again.stderr);
      await foundAt(new Date());
      await world.settled();
      assert.deepEqual(await names(), [...before, again.stdout.trim()].sort());
    });

    it('a trigger that is suspended is refused, and so is a caller who may not', async () => {
      const before = await names();
      await world.change('app', { spec: { suspend: true } });
      const suspended = await trigger('three');
      assert.equal(suspended.code, 2, suspended.stderr);
      assert.match(suspended.stderr, /suspended/);
      await world.change('app', { spec: { suspend: null } });
      const { url } = await world.startGateway({ env: { PARTS: 'gateway' } });
      const stranger = await trigger('four', { RUNGATE_URL: url });
      assert.equal(stranger.code, 2, stranger.stderr);
      assert.match(stranger.stderr, /HTTP 403/);
      await world.settled();
      assert.deepEqual(await names(), before);
    });

    for (const { name, run, more, says } of [
      { name: 'a trigger that there is not', run: 'nobody', more: {}, says: /HTTP 404/ },
      { name: 'wrong credentials', run: 'app', more: { RUNGATE_PASSWORD: 'wrong"\\ $x' }, says: /HTTP 401/ },
      { name: 'no URL', run: 'app', more: { RUNGATE_URL: '' }, says: /RUNGATE_URL is not set/ },
    ]) {
      it(`${name}: ends with 2 and says so`, async () => {
        const args = ['examples/shell/trigger.sh', `${world.namespace}/${run}`, 'key'];
        const { code, stderr } = await runProgram('sh', args, { env: env(more), cwd: work });
        assert.equal(code, 2, stderr);
        assert.match(stderr, says);
      });
    }
  });
});
