/** Where a trigger stands and what it waits for, from statuses as each release of the original wrote them and as we do. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parse } from 'yaml';
import type { JsonObject } from '../kube/objects.ts';
import { isSettled, triggerItem } from './item.ts';
import { projectTriggerSummary } from './summary.ts';

const GIT = { kind: 'GitRepository', name: 'app' };
const A = { source: GIT, pipeline: { name: 'build', retries: 2 } };
const B = { source: GIT, pipelineRun: { kind: 'PipelineRun', spec: { pipelineRef: { name: 'build' } } } };

function summary({ spec = A, status = {}, generation = 1 }: { spec?: object; status?: object; generation?: number }) {
  const metadata = { namespace: 'ci', name: 't', uid: 'u', generation, creationTimestamp: '2026-11-01T10:00:00Z' };
  return projectTriggerSummary(JSON.parse(JSON.stringify({ metadata, spec, status })));
}

/** One condition: `type/reason/status/message`. */
function condition(text: string, lastTransitionTime = '2026-11-01T10:00:00Z') {
  const [type, reason, status, ...message] = text.split('/');
  return { type, reason, status, message: message.join('/'), lastTransitionTime };
}

const conditions = (...texts: string[]) => texts.map((text) => condition(text));

describe('what is told of a trigger', () => {
  for (const { title, spec = A, status, generation = 1, state, waitingFor, settled = false } of [
    {
      title: 'nobody has looked at it',
      status: {},
      state: 'waiting',
      waitingFor: 'a controller to look at it for the first time',
    },
    {
      title: 'its source has no revision',
      status: { conditions: conditions('Unknown/Unknown/Unknown/waiting for GitRepository app to report a revision') },
      state: 'waiting',
      waitingFor: 'GitRepository app to report a revision',
    },
    {
      title: 'the original waits without a word',
      status: { conditions: conditions('Unknown/Unknown/Unknown/') },
      state: 'waiting',
      waitingFor: 'GitRepository app to report a revision',
    },
    {
      title: 'the original waits for an image',
      spec: { source: { kind: 'ImagePolicy', name: 'img' }, pipeline: { name: 'build' } },
      status: { conditions: conditions('Unknown/Unknown/Unknown/') },
      state: 'waiting',
      waitingFor: 'ImagePolicy img to report an image',
    },
    {
      title: 'an event was seen and its run is not there yet',
      status: {
        latestEvent: 'main/1',
        latestPipelineRun: 'Unknown',
        conditions: conditions('Unknown/Unknown/Unknown/'),
      },
      state: 'waiting',
      waitingFor: 'its run to be created',
    },
    {
      title: 'A: its run goes on',
      status: {
        latestEvent: 'main/1',
        latestPipelineRun: 't-abcd',
        conditions: conditions('Unknown/Unknown/Unknown/'),
      },
      state: 'running',
      waitingFor: 'run t-abcd to end',
    },
    {
      title: 'A: its run is a second attempt',
      status: {
        latestEvent: 'main/1',
        latestPipelineRun: 't-abcd',
        currentPipelineRetry: 1,
        conditions: conditions('Unknown/Unknown/Unknown/run t-abcd goes on, attempt 2 of 3'),
      },
      state: 'running',
      waitingFor: 'run t-abcd to end (retry 1 of 2)',
    },
    {
      title: 'B: its run goes on',
      spec: B,
      status: {
        gitRepository: {
          branchName: 'main',
          commitId: '1',
          latestPipelineRun: 'app-1',
          conditions: conditions('InProgress/InProgress/Unknown/Progressing'),
        },
      },
      state: 'running',
      waitingFor: 'run app-1 to end',
    },
    {
      title: 'its run succeeded',
      status: { latestEvent: 'main/1', latestPipelineRun: 't-abcd', conditions: conditions('Success/Succeded/True/') },
      state: 'succeeded',
      waitingFor: 'GitRepository app to report another revision',
      settled: true,
    },
    {
      title: 'it runs for failures',
      spec: { ...A, hook: { on: 'Failure' } },
      status: {
        latestEvent: 'GitOperationFailed',
        latestPipelineRun: 't-abcd',
        conditions: conditions('Success/Succeded/True/'),
      },
      state: 'succeeded',
      waitingFor: 'GitRepository app to fail again',
      settled: true,
    },
    {
      title: 'it runs for what is posted',
      spec: { ...A, hook: { mode: 'events' } },
      status: { latestEvent: 'main/1', latestPipelineRun: 't-abcd', conditions: conditions('Success/Succeded/True/') },
      state: 'succeeded',
      waitingFor: 'another event of GitRepository app to be posted to its hook',
      settled: true,
    },
    {
      title: 'B: its run failed',
      spec: B,
      status: { gitRepository: { commitId: '1', conditions: conditions('Success/Failed/False/Tasks Completed: 1') } },
      state: 'failed',
      waitingFor: 'GitRepository app to report another revision',
      settled: true,
    },
    {
      title: 'A: the original gave up after its retries',
      status: { latestEvent: 'main/1', latestPipelineRun: 't-abcd', conditions: conditions('Error/Failed/False/') },
      state: 'failed',
      waitingFor: 'GitRepository app to report another revision',
      settled: true,
    },
    {
      title: 'A: we gave up after its retries, and say why',
      status: {
        latestEvent: 'main/1',
        latestPipelineRun: 't-abcd',
        outcome: { status: 'False', reason: 'Failed', message: 'Tasks Completed: 1 (Failed: 1)' },
        conditions: conditions('Error/Failed/False/Tasks Completed: 1 (Failed: 1)'),
      },
      state: 'failed',
      waitingFor: 'GitRepository app to report another revision',
      settled: true,
    },
    {
      title: 'the Pipeline is missing',
      status: {
        latestEvent: 'main/1',
        conditions: conditions('Error/Failed/True/Pipeline.tekton.dev "build" not found'),
      },
      state: 'error',
      waitingFor: 'somebody to put this right: Pipeline.tekton.dev "build" not found',
      settled: true,
    },
    {
      title: 'B: the source is missing, after a run that failed',
      spec: B,
      status: {
        outcome: { status: 'False', reason: 'Failed', message: 'it failed' },
        conditions: conditions('Error/Failed/False/gitrepositories.source.toolkit.fluxcd.io "app" not found'),
      },
      state: 'error',
      waitingFor: 'somebody to put this right: gitrepositories.source.toolkit.fluxcd.io "app" not found',
      settled: true,
    },
    {
      title: 'B: old conditions lie about, as the original leaves them',
      spec: B,
      status: {
        gitRepository: {
          commitId: '1',
          conditions: [
            condition('Success/Succeded/True/', '2026-11-01T10:05:00Z'),
            condition('Unknown/Unknown/Unknown/Unknown', '2026-11-01T10:00:00Z'),
            condition('Error/Failed/False/once', '2026-11-01T09:00:00Z'),
          ],
        },
      },
      state: 'succeeded',
      waitingFor: 'GitRepository app to report another revision',
      settled: true,
    },
    {
      title: 'another cluster runs its event',
      status: {
        latestEvent: 'main/1',
        outcome: { status: 'Unknown', reason: 'SecondCluster', message: 'it runs elsewhere' },
        conditions: conditions('Unknown/Unknown/Unknown/it runs elsewhere'),
      },
      state: 'waiting',
      waitingFor: 'GitRepository app to report another revision',
    },
    {
      title: 'it is suspended',
      spec: { ...A, suspend: true },
      status: {
        latestEvent: 'main/1',
        conditions: conditions('Unknown/Unknown/Unknown/suspended: spec.suspend is true'),
      },
      state: 'waiting',
      waitingFor: 'spec.suspend to be taken away',
      settled: true,
    },
    {
      title: 'it is suspended while a run goes on',
      spec: { ...A, suspend: true },
      status: { latestEvent: 'main/1', latestPipelineRun: 't-a', conditions: conditions('Unknown/Unknown/Unknown/') },
      state: 'running',
      waitingFor: 'run t-a to end',
    },
    {
      title: 'it was changed since a controller looked at it',
      generation: 3,
      status: { observedGeneration: 2, conditions: conditions('Success/Succeded/True/') },
      state: 'succeeded',
      waitingFor: 'a controller to look at its last change',
    },
    {
      title: 'a condition that nobody knows',
      status: { conditions: conditions('False/ParamsUnmarshalFailed/False/Unmarshal of status failed.') },
      state: 'error',
      waitingFor: 'somebody to put this right: Unmarshal of status failed.',
      settled: true,
    },
  ]) {
    it(title, () => {
      const trigger = summary({ spec, status, generation });
      const told = triggerItem(trigger);
      assert.deepEqual([told.state, told.waitingFor, isSettled(trigger)], [state, waitingFor, settled]);
    });
  }

  it('of a PullRequest each branch stands by itself, and all as the one that needs most to be looked at', () => {
    const branches = {
      branch: {
        'feature/a': {
          name: 'feature/a',
          commit: 'aaa',
          latestPipelineRun: 'run-a',
          conditions: conditions('InProgress/InProgress/Unknown/Progressing'),
        },
        broken: {
          name: 'broken',
          commit: 'bbb',
          conditions: conditions('Error/Failed/False/params[0]: Expression $.nope evaluates to null.'),
        },
        'z-done': {
          name: 'z-done',
          commit: 'ccc',
          details: '{"secret":true}',
          latestPipelineRun: 'run-z',
          conditions: conditions('Success/Succeded/True/'),
        },
      },
    };
    const told = triggerItem(
      summary({ spec: { ...B, source: { kind: 'PullRequest', name: 'prs' } }, status: { branches } }),
    );
    assert.deepEqual(
      told.branches?.map(({ name, state, latestEvent, latestPipelineRun }) => [
        name,
        state,
        latestEvent,
        latestPipelineRun,
      ]),
      [
        ['broken', 'error', 'bbb', undefined],
        ['feature/a', 'running', 'aaa', 'run-a'],
        ['z-done', 'succeeded', 'ccc', 'run-z'],
      ],
    );
    assert.equal(told.state, 'error');
    assert.match(told.waitingFor, /^branch broken: somebody to put this right: params/);
    assert.equal(told.branches?.[2]?.waitingFor, 'PullRequest prs to report another commit');
    assert.doesNotMatch(JSON.stringify(told), /secret/);
  });

  it('of a PullRequest the branches decide, whatever form their sum has; one that runs keeps it from being settled', () => {
    const said = (message: string) => conditions(`Error/Failed/False/${message}`);
    const failed = { commit: 'a', outcome: { status: 'False', message: 'it failed' }, conditions: said('it failed') };
    const busy = { commit: 'b', latestPipelineRun: 'run-b', conditions: conditions('Unknown/Unknown/Unknown/') };
    const spec = { source: { kind: 'PullRequest', name: 'prs' }, pipeline: { name: 'build' } };
    const of = (branch: object) =>
      summary({ spec, status: { branches: { branch }, conditions: said('branch a: it failed') } });
    assert.deepEqual([triggerItem(of({ a: failed })).state, isSettled(of({ a: failed }))], ['failed', true]);
    assert.deepEqual(
      [triggerItem(of({ a: failed, b: busy })).state, isSettled(of({ a: failed, b: busy }))],
      ['failed', false],
    );
  });

  it('names the Pipeline of every shape, and the event of every block', () => {
    for (const { spec, status, want } of [
      { spec: A, status: { latestEvent: 'main@sha1:0' }, want: ['build', 'main@sha1:0'] },
      { spec: B, status: { gitRepository: { branchName: 'main', commitId: '0' } }, want: ['build', 'main@0'] },
      { spec: { source: GIT, pipelineRunSpec: { pipelineRef: { name: 'b' } } }, status: {}, want: ['b', undefined] },
      {
        spec: { ...B, source: { kind: 'ImagePolicy', name: 'i' } },
        status: { imagePolicy: { repositoryName: 'team', imageName: 'nginx', imageVersion: '1.2' } },
        want: ['build', 'team/nginx:1.2'],
      },
      { spec: { source: GIT, pipelineRun: { spec: { pipelineSpec: {} } } }, status: {}, want: [undefined, undefined] },
    ]) {
      const { pipeline, latestEvent } = triggerItem(summary({ spec, status }));
      assert.deepEqual([pipeline, latestEvent], want);
    }
  });

  it('maxFailedRetries counts the first run, retries does not', () => {
    assert.equal(triggerItem(summary({ spec: { source: GIT, pipeline: { maxFailedRetries: 3 } } })).retries, 2);
    assert.equal(triggerItem(summary({ spec: A })).retries, 2);
    assert.equal(triggerItem(summary({ spec: B })).retries, undefined);
  });

  it('keeps nothing of what is run', () => {
    const raw = parse(`
metadata: {namespace: ci, name: t, annotations: {note: hidden-1}}
spec:
  source: {kind: GitRepository, name: app}
  credentialsRef: {name: hidden-2}
  pipelineRun: {spec: {params: [{name: token, value: hidden-3}]}}
status:
  gitRepository: {details: hidden-4, conditions: []}
`) as JsonObject;
    assert.doesNotMatch(JSON.stringify(projectTriggerSummary(raw)), /hidden/);
  });

  it('cuts what is too long, and counts branches that are too many', () => {
    const long = 'x'.repeat(100_000);
    const branch = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`b${at}`, { commit: long }]));
    const told = triggerItem(
      summary({
        spec: { ...B, source: { kind: 'PullRequest', name: 'prs' } },
        status: { branches: { branch }, conditions: conditions(`Error/Failed/False/${long}`) },
      }),
    );
    assert.equal((told.branches?.length ?? 0) + (told.branchesLeftOut ?? 0), 1_000);
    assert.ok(JSON.stringify(told).length < 500_000);
  });

  it('is told of objects of any shape', () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.jsonValue(),
        fc.constantFrom('PullRequest', 'GitRepository'),
        (spec, status, kind) => {
          const raw = { metadata: {}, spec: { ...Object(spec), source: { kind } }, status } as JsonObject;
          assert.equal(typeof triggerItem(projectTriggerSummary(raw)).waitingFor, 'string');
        },
      ),
      { numRuns: 300 },
    );
  });
});
