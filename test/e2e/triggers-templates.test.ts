/** What PipelineTriggers say in `spec.pipelineRun` and `spec.pipelineRunSpec`, right and wrong, and the runs that come of it. */
import assert from 'node:assert/strict';
import {
  paramsOf,
  pull,
  sha,
  Tally,
  type TemplateParam,
  valuesOf,
  wholeTrigger,
} from '../support/trigger-manifests.ts';
import { type RunManifest, startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

const skips = { pipelineRef: { name: 'skips' } };
const revision = (digit: string) => `main@sha1:${sha(digit)}`;

describe('templates of triggers', function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  const tally = new Tally();
  const has = (trigger: string, runs: number) => tally.has(world, trigger, runs);
  const only = async (trigger: string): Promise<RunManifest> => {
    const [run] = await has(trigger, 1);
    assert(run);
    return run;
  };

  before(async () => {
    world = await startTriggerWorld();
    await world.pipeline('skips');
    await world.repository('app', revision('1'));
  });
  after(() => world?.end());

  /** Whether a trigger that was applied after all these works. */
  const othersWork = async (name: string): Promise<void> => {
    await world.trigger(wholeTrigger(name, 'app'));
    await only(name);
  };

  const patchParams = (trigger: string, params: readonly TemplateParam[]) =>
    world.change(trigger, { spec: { pipelineRun: { spec: { params } } } });

  it('trigger 19: what the API server refuses is told and not tried again and again, and a change of the trigger starts it', async () => {
    await world.repository('refused', revision('1'));
    const metadata = { generateName: 'refused-', labels: { team: 'not a value!' } };
    const refusals = 'rungate_kube_requests_total{verb="create",code="422"}';
    const before = await world.gateway.metric(refusals);
    await world.trigger(wholeTrigger('refused', 'refused', { metadata }));
    const said = await world.says('refused', 'Error', 'False');
    assert.equal(said.reason, 'Failed');
    assert.match(said.message, /not a value!/);
    for (let touch = 0; touch < 5; touch++)
      await world.push('refused', revision('1'), `sha256:${`${touch}`.repeat(64)}`);
    await world.settled();
    assert.equal((await world.gateway.metric(refusals)) - before, 1);
    await world.change('refused', { spec: { pipelineRun: { metadata: { labels: { team: 'fine' } } } } });
    const run = await only('refused');
    assert.equal(run.metadata.labels?.team, 'fine');
    await world.says('refused', 'Success', 'True');
    const started = (await world.eventsOf('refused')).filter(({ message }) => message.startsWith('Started'));
    assert.deepEqual(
      started.map(({ message, count = 1 }) => [message, count]),
      [[`Started the pipeline ${run.metadata.name} in namespace ${world.namespace}`, 1]],
    );
  });

  it("trigger 19: what Tekton's webhook refuses is told in its words, and a change of the trigger starts it", async () => {
    const template = { ...skips, timeouts: { pipeline: '1m', tasks: '2m' } };
    await world.trigger(wholeTrigger('denied', 'app', { template }));
    const said = await world.says('denied', 'Error', 'False');
    assert.match(said.message, /spec\.timeouts\.tasks/);
    await world.change('denied', { spec: { pipelineRun: { spec: { timeouts: null } } } });
    await only('denied');
    await world.says('denied', 'Success', 'True');
  });

  it('trigger 26: a parameter that comes to nothing, or is no expression, is an error that names it, and corrected it runs', async () => {
    for (const [name, value, message] of [
      ['nothing', '$.nope', 'parameter rev: Expression $.nope evaluates to null.'],
      ['unparsed', '$.[[', /^parameter rev: Expression \$\.\[\[ cannot be evaluated: /],
    ] as const) {
      await world.trigger(wholeTrigger(name, 'app', { params: [{ name: 'rev', value }] }));
      const said = await world.says(name, 'Error', 'False');
      if (typeof message === 'string') assert.equal(said.message, message);
      else assert.match(said.message, message);
      await world.settled();
      await world.hasRuns(name, 0);
      await patchParams(name, [{ name: 'rev', value: '$.commitId' }]);
      assert.deepEqual(paramsOf(await only(name)), { rev: sha('1') });
    }
  });

  it('trigger 27: what is no expression is passed on as it is, lists and objects are resolved inside', async () => {
    await world.repository('nullable', `nullable@sha1:${sha('1')}`);
    const passed = {
      dollars: 'a$b',
      late: '$(context.pipelineRun.name)',
      list: ['one', '$', 'cost$5'],
      object: { first: 'a$b', second: '2' },
    };
    const params = Object.entries({ ...passed, list: ['one', '$.commitId', 'cost$5'], branch: '$.branchName' }).map(
      ([name, value]) => ({ name, value }),
    );
    await world.trigger(wholeTrigger('literals', 'nullable', { params }));
    assert.deepEqual(paramsOf(await only('literals')), {
      ...passed,
      list: ['one', sha('1'), 'cost$5'],
      branch: 'nullable',
    });
  });

  it('trigger 27: texts are decoded, and numbers keep their digits', async () => {
    const details =
      '{"title":"He said \\"x\\" \\u0026 y","id":9007199254740993,"labels":["a","b"],"head":{"ref":"one"}}';
    await world.pullRequest('decoded', [{ name: 'one', commit: sha('1'), details }]);
    const params = ['title', 'id', 'labels', 'head'].map((name) => ({ name, value: `$.${name}` }));
    await world.trigger(wholeTrigger('decoded', 'decoded', { kind: 'PullRequest', params }));
    assert.deepEqual(paramsOf(await only('decoded')), {
      title: 'He said "x" & y',
      id: '9007199254740993',
      labels: '["a","b"]',
      head: '{"ref":"one"}',
    });
  });

  it('trigger 28: long names of triggers make runs that Tekton takes, and that are found again', async () => {
    for (const length of [63, 100]) {
      const name = 'y'.repeat(length);
      await world.trigger(wholeTrigger(name, 'app'));
      const { metadata } = await only(name);
      assert.equal(metadata.name.length, 63);
      assert.ok((metadata.labels?.['pipeline.jquad.rocks/pipelinetrigger']?.length ?? 99) <= 63);
      await world.says(name, 'Success', 'True');
    }
  });

  it('trigger 29: a template with next to nothing is named after the branch, and runs in the namespace of its trigger', async () => {
    await world.trigger(wholeTrigger('bare', 'app', { metadata: {}, params: [] }));
    const { metadata } = await only('bare');
    assert.match(metadata.name, /^main-[a-z0-9]{5}$/);
    assert.equal(metadata.namespace, world.namespace);
    assert.equal(metadata.labels?.['pipeline.jquad.rocks/pipelinetrigger'], 'bare');
    assert.deepEqual(
      metadata.ownerReferences?.map(({ name }) => name),
      ['bare'],
    );
    await world.trigger(wholeTrigger('own', 'app', { metadata: { namespace: world.namespace } }));
    await only('own');
  });

  it('trigger 29: a template for another namespace is an error, and no run anywhere', async () => {
    await world.trigger(wholeTrigger('elsewhere', 'app', { metadata: { namespace: 'default' } }));
    const said = await world.says('elsewhere', 'Error', 'False');
    assert.match(said.message, /^spec\.pipelineRun\.metadata\.namespace not supported/);
    await othersWork('not-elsewhere');
    await has('elsewhere', 0);
    const { items } = await world.admin.get<{ items: RunManifest[] }>(
      '/apis/tekton.dev/v1/namespaces/default/pipelineruns',
    );
    const labels = items.map(({ metadata }) => metadata.labels?.['pipeline.jquad.rocks/pipelinetrigger']);
    assert.ok(!labels.includes('elsewhere'));
  });

  it('trigger 30: a template with a name of its own has one run at a time, and no event is lost for it', async () => {
    await world.repository('fixed', revision('1'));
    await world.trigger(wholeTrigger('fixed', 'fixed', { metadata: { name: 'the-run' } }));
    assert.equal((await only('fixed')).metadata.name, 'the-run');
    await world.says('fixed', 'Success', 'True');
    await world.push('fixed', revision('2'));
    const said = await world.says('fixed', 'Error', 'False');
    assert.match(said.message, /^PipelineRun the-run exists already/);
    await world.push('fixed', revision('3'));
    await world.until(async () => assert.equal((await world.status('fixed')).latestEvent, revision('3')));
    await world.settled();
    await world.remove('the-run', { wait: true });
    const again = await world.reached('fixed', revision('3'));
    assert.equal(again.latestPipelineRun, 'the-run');
    assert.equal(paramsOf(await only('fixed')).rev, sha('3'));
  });

  it('trigger 34: a Pipeline from a resolver, or in the template, is run for every kind of source', async () => {
    await world.image('img', { latestRef: { name: 'ghcr.io/org/nginx', tag: 'v1' } });
    await world.pullRequest('requests', [pull('one', sha('1'))]);
    const params = Object.entries({ kind: 'pipeline', name: 'skips', namespace: world.namespace }).map(
      ([name, value]) => ({
        name,
        value,
      }),
    );
    const taskSpec = { steps: [{ name: 'step', image: 'docker.io/library/busybox:1', script: 'exit 1' }] };
    const never = [{ input: 'no', operator: 'in', values: ['yes'] }];
    const templates = {
      resolver: { pipelineRef: { resolver: 'cluster', params } },
      inline: { pipelineSpec: { tasks: [{ name: 'only', when: never, taskSpec }] } },
    };
    for (const [how, template] of Object.entries(templates)) {
      for (const [kind, source] of [
        ['GitRepository', 'app'],
        ['ImagePolicy', 'img'],
        ['PullRequest', 'requests'],
      ] as const) {
        const name = `${how}-${kind.toLowerCase()}`;
        await world.trigger(wholeTrigger(name, source, { kind, template }));
        await only(name);
        // A cluster need not have resolvers: what becomes of such a run there is its own business.
        if (how === 'inline') await world.says(name, 'Success', 'True');
      }
    }
  });

  it('trigger 35: what a template of version 1 has in the places of v1beta1 is moved to its own', async () => {
    const template = { ...skips, serviceAccountName: 'default', timeout: '10m' };
    await world.trigger(wholeTrigger('placed', 'app', { template }));
    const { spec } = await only('placed');
    assert.deepEqual(
      [
        (spec.taskRunTemplate as { serviceAccountName: string }).serviceAccountName,
        (spec.timeouts as { pipeline: string }).pipeline,
      ],
      ['default', '10m0s'],
    );
    await world.says('placed', 'Success', 'True');
  });

  it('trigger 35: spec.pipelineRunSpec of 0.3.x, in either version of Tekton', async () => {
    for (const [name, tektonApiVersion, account] of [
      ['spec-none', undefined, { serviceAccountName: 'default' }],
      ['spec-beta', 'tekton.dev/v1beta1', { serviceAccountName: 'default' }],
      ['spec-v1', 'tekton.dev/v1', { taskRunTemplate: { serviceAccountName: 'default' } }],
    ] as const) {
      const params = [{ name: 'rev', value: '$.commitId' }];
      const spec = {
        source: { kind: 'GitRepository', name: 'app' },
        pipelineRunSpec: { ...skips, ...account, params },
        ...(tektonApiVersion === undefined ? {} : { tektonApiVersion }),
      };
      const object = { apiVersion: 'pipeline.jquad.rocks/v1alpha1', kind: 'PipelineTrigger', metadata: { name }, spec };
      await world.trigger(JSON.stringify(object));
      const run = await only(name);
      assert.match(run.metadata.name, /^main-[a-z0-9]{5}$/);
      assert.deepEqual(paramsOf(run), { rev: sha('1') });
      assert.equal((run.spec.taskRunTemplate as { serviceAccountName: string }).serviceAccountName, 'default');
      const { gitRepository } = await world.reached(name, revision('1'));
      assert.equal((gitRepository as { commitId: string }).commitId, sha('1'));
    }
  });

  it('spec.pipeline of 0.2.x: paths in its parameters, a security context, and a PullRequest for a source', async () => {
    await world.pullRequest('second', [pull('feature/one', sha('1')), pull('two', sha('2'))]);
    await world.trigger(
      JSON.stringify({
        apiVersion: 'pipeline.jquad.rocks/v1alpha1',
        kind: 'PipelineTrigger',
        metadata: { name: 'second' },
        spec: {
          source: { kind: 'PullRequest', name: 'second' },
          pipeline: {
            name: 'skips',
            serviceAccountName: 'default',
            inputParams: [
              { name: 'rev', value: '$.head.sha' },
              { name: 'branch', value: '$(branch)' },
            ],
            securityContext: { runAsUser: 65532, fsGroup: 65532 },
          },
        },
      }),
    );
    const runs = await has('second', 2);
    assert.deepEqual(valuesOf(runs, 'rev'), [sha('1'), sha('2')]);
    assert.deepEqual(valuesOf(runs, 'branch'), ['feature/one', 'two']);
    for (const { metadata, spec } of runs) {
      assert.match(metadata.name, /^second-[a-z]{4}$/);
      assert.deepEqual(spec.taskRunTemplate, {
        serviceAccountName: 'default',
        podTemplate: { securityContext: { runAsUser: 65532, fsGroup: 65532 } },
      });
    }
    await world.says('second', 'Success', 'True');
  });

  it('trigger 39: templates that are none of Tekton say so, and hurt no other', async () => {
    const wrong = {
      'no-kind': [{ kind: null }, /^spec\.pipelineRun\.kind is missing|spec\.pipelineRun\.kind is/],
      'other-kind': [{ kind: 'TaskRun' }, /spec\.pipelineRun\.kind is "TaskRun"; write PipelineRun/],
      'no-version': [{ apiVersion: null }, /could not split the api version of the pipelinerun as expected/],
      'other-group': [{ apiVersion: 'batch/v1' }, /spec\.pipelineRun\.apiVersion is "batch\/v1"/],
      'no-spec': [{ spec: null }, /spec\.pipelineRun\.spec is missing/],
      'text-metadata': [{ metadata: 'text' }, /spec\.pipelineRun\.metadata/],
      'text-labels': [{ metadata: { labels: 'text' } }, /spec\.pipelineRun\.metadata\.labels/],
      'number-params': [{ spec: { ...skips, params: 7 } }, /param/],
    } as const;
    for (const [name, [change]] of Object.entries(wrong)) {
      const trigger = JSON.parse(wholeTrigger(name, 'app')) as { spec: { pipelineRun: Record<string, unknown> } };
      for (const [field, value] of Object.entries(change)) {
        if (value === null) delete trigger.spec.pipelineRun[field];
        else trigger.spec.pipelineRun[field] = value;
      }
      await world.trigger(JSON.stringify(trigger));
    }
    await othersWork('in-order');
    for (const [name, [, message]] of Object.entries(wrong)) {
      const said = await world.says(name, 'Error', 'False');
      assert.match(said.message, message, name);
      await has(name, 0);
    }
    await world.change('no-kind', { spec: { pipelineRun: { kind: 'PipelineRun' } } });
    await only('no-kind');
  });

  it('a trigger that is changed to another source runs what that one has', async () => {
    await world.repository('other', `main@sha1:${sha('9')}`);
    await world.trigger(wholeTrigger('changes', 'app'));
    await world.hasRuns('changes', 1);
    await world.change('changes', { spec: { source: { name: 'other' } } });
    assert.deepEqual(valuesOf(await has('changes', 2), 'rev'), [sha('1'), sha('9')]);
  });

  it('and in the end no trigger has another run', () => tally.again(world));
});
