import assert from 'node:assert/strict';
import fc from 'fast-check';
import { first, Stage, whole } from '../../../test/support/trigger-stage.ts';
import { type JsonObject, objectOf } from '../../kube/objects.ts';

const shas = ['a', 'b', 'c'].map((letter) => letter.repeat(40));

const pulls = { ...whole, source: { kind: 'PullRequest', name: 'app' } };

const old = (sha: string) => `main/${sha}`;
const [shaA = '', shaB = '', shaC = ''] = shas;

describe('what to do about a trigger', () => {
  it('trigger 1: a revision is one run, which is named in the status with the event as it was told', () => {
    const stage = new Stage(first);
    stage.push(old(shaA));
    stage.rest();
    assert.deepEqual(stage.created, ['t--1-0']);
    assert.equal(stage.status.latestEvent, old(shaA));
    assert.equal(stage.status.latestPipelineRun, 't--1-0');
    assert.deepEqual([stage.condition?.type, stage.condition?.status], ['Unknown', 'Unknown']);
  });

  it('trigger 2: success is the only condition, for either reason', () => {
    for (const reason of ['Succeeded', 'Completed']) {
      const stage = new Stage(first);
      stage.push(old(shaA));
      stage.rest();
      stage.finish('t--1-0', 'True', reason);
      stage.rest();
      const { conditions } = stage.status as { conditions: readonly JsonObject[] };
      assert.equal(conditions.length, 1);
      const { type, status, reason: told, observedGeneration } = conditions[0] ?? {};
      assert.deepEqual([type, told, status, observedGeneration], ['Success', 'Succeded', 'True', 1]);
    }
  });

  it('trigger 8: a source that reports nothing yet is waited for, in words', () => {
    const stage = new Stage(first);
    stage.report({});
    stage.rest();
    assert.equal(stage.condition?.message, 'waiting for GitRepository app to report a revision');
    stage.push(old(shaA));
    stage.rest();
    assert.equal(stage.created.length, 1);
  });

  it('trigger 9: a source that is missing is an error of the form of the release, and clears', () => {
    for (const [spec, status] of [
      [first, 'True'],
      [whole, 'False'],
    ] as const) {
      const stage = new Stage(spec);
      stage.rest();
      assert.deepEqual([stage.condition?.type, stage.condition?.status], ['Error', status]);
      assert.match(String(stage.condition?.message), /"app" not found/);
      assert.equal(stage.warnings.length, 1);
      stage.push(old(shaA));
      stage.rest();
      assert.equal(stage.condition?.type, 'Unknown');
      assert.equal(stage.created.length, 1);
    }
  });

  it('trigger 10: a Pipeline that is missing keeps the event, and the current revision is run when it comes', () => {
    const stage = new Stage(whole);
    stage.pipelineMissing = true;
    stage.push(old(shaA));
    stage.rest();
    stage.push(old(shaB));
    stage.rest();
    assert.equal(stage.condition?.message, 'pipelines.tekton.dev "build" not found');
    assert.deepEqual(stage.created, []);
    stage.pipelineMissing = false;
    stage.rest();
    assert.equal(stage.created.length, 1);
    assert.equal(objectOf(stage.status.gitRepository).commitId, shaB);
  });

  it('trigger 15, 13: what is the same is no event, what moved several times is one', () => {
    const stage = new Stage(whole);
    stage.push(old(shaA));
    stage.rest();
    const { writes } = stage;
    stage.push(`main@sha1:${shaA}`);
    stage.rest();
    stage.report({ artifact: { revision: `main@sha1:${shaA}`, digest: 'sha256:other' } });
    stage.rest();
    assert.equal(stage.created.length, 1);
    assert.ok(stage.writes <= writes + 1, 'only latestEvent moved');
    for (const sha of [shaB, shaA, shaC]) stage.push(old(sha));
    stage.crash();
    stage.rest();
    assert.equal(stage.created.length, 2);
  });

  for (const [from, to] of [
    [first, whole],
    [whole, first],
  ]) {
    it(`a template that comes into another shape is no event, and the next revision is one (to ${Object.keys(to ?? {})[1]})`, () => {
      const stage = new Stage(from ?? {});
      stage.push(`main@sha1:${shas[0]}`);
      stage.rest();
      stage.finish(stage.created[0] ?? '', 'True');
      stage.rest();
      stage.change(to ?? {});
      stage.seen = stage.trigger;
      stage.rest();
      assert.equal(stage.created.length, 1);
      stage.push(`main@sha1:${shas[1]}`);
      stage.rest();
      assert.equal(stage.created.length, 2);
    });
  }

  it('trigger 20: back to an older revision is an event', () => {
    const stage = new Stage(first);
    for (const sha of [shaA, shaB, shaA]) {
      stage.push(old(sha));
      stage.rest();
    }
    assert.equal(stage.created.length, 3);
  });

  it('trigger 21, 22: a failed run is tried again, as often as it says; a new event begins with none used', () => {
    const stage = new Stage(first);
    stage.push(old(shaA));
    stage.rest();
    for (const [attempt, reason] of ['Failed', 'PipelineRunTimeout', 'Failed'].entries()) {
      stage.finish(`t--1-${attempt}`, 'False', reason);
      stage.rest();
    }
    assert.deepEqual(stage.created, ['t--1-0', 't--1-1', 't--1-2']);
    assert.deepEqual(
      [stage.condition?.type, stage.condition?.reason, stage.condition?.status],
      ['Error', 'Failed', 'False'],
    );
    assert.equal(stage.status.currentPipelineRetry, 2);
    stage.push(old(shaB));
    stage.rest();
    assert.equal(stage.status.currentPipelineRetry, undefined);
    stage.finish('t--2-0', 'False', 'Cancelled');
    stage.rest();
    assert.equal(stage.created.length, 4);
    assert.equal(stage.condition?.type, 'Error');
  });

  it('trigger 24: a run that is deleted starts nothing and changes no success; one that went on is cancelled', () => {
    const stage = new Stage(first);
    stage.push(old(shaA));
    stage.rest();
    stage.finish('t--1-0', 'True');
    stage.rest();
    stage.runs.clear();
    stage.crash();
    stage.rest();
    assert.equal(stage.condition?.type, 'Success');
    stage.push(old(shaB));
    stage.rest();
    stage.runs.clear();
    stage.rest();
    assert.equal(stage.condition?.message, 'run t--2-0 was deleted before it ended');
    assert.equal(stage.created.length, 2);
  });

  it('trigger 26: what is refused waits for a change of the trigger, and is not lost', () => {
    const stage = new Stage(whole);
    stage.push(old(shaA));
    stage.nextCreate = 'invalid';
    stage.rest();
    stage.later += 3_600_000;
    stage.rest();
    assert.deepEqual([stage.created, stage.condition?.message], [[], 'no']);
    stage.change({ ...whole, suspend: false });
    stage.seen = stage.trigger;
    stage.rest();
    assert.equal(stage.created.length, 1);
  });

  it('trigger 26: what is refused of a branch is tried again with other details of the same commit', () => {
    const stage = new Stage(pulls);
    const report = (details: string) =>
      stage.report({ sourceBranches: { branches: [{ name: 'one', commit: '1', details }] } });
    report('{}');
    stage.nextCreate = 'invalid';
    stage.rest();
    stage.rest();
    assert.deepEqual(stage.created, []);
    report('{"title":"x"}');
    stage.rest();
    assert.deepEqual(stage.created, ['t-one-1-0']);
  });

  it('trigger 32, 33: each branch is a line of its own; one that comes back with its commit is no news', () => {
    const stage = new Stage(pulls);
    const list = (...branches: [string, string][]) =>
      stage.report({
        sourceBranches: { branches: branches.map(([name, commit]) => ({ name, commit, details: '{}' })) },
      });
    list(['a', shaA], ['b', shaB], ['c', shaC]);
    stage.rest();
    assert.deepEqual(stage.created, ['t-a-1-0', 't-b-2-0', 't-c-3-0']);
    for (let round = 0; round < 10; round++) {
      list(['b', shaB]);
      stage.rest();
      assert.deepEqual(Object.keys(objectOf(objectOf(stage.status.branches).branch)), ['b']);
      list(['a', shaA], ['b', shaB]);
      stage.rest();
    }
    assert.equal(stage.created.length, 3);
    assert.equal(objectOf(objectOf(objectOf(stage.status.branches).branch).a).latestPipelineRun, 't-a-1-0');
    list(['a', shaC], ['b', shaB]);
    stage.rest();
    assert.deepEqual(stage.created.slice(3), ['t-a-4-0']);
  });

  it('trigger 44: what the original wrote stands for its event', () => {
    for (const [spec, status] of [
      [first, { latestEvent: old(shaA), latestPipelineRun: 'before-abcd', conditions: [] }],
      [whole, { gitRepository: { branchName: 'main', commitId: shaA, repositoryName: 'app', latestPipelineRun: 'x' } }],
    ] as const) {
      const stage = new Stage(spec, status);
      stage.runs.set('before-abcd', Stage.run('before-abcd'));
      stage.runs.set('x', Stage.run('x'));
      stage.push(`main@sha1:${shaA}`);
      stage.rest();
      assert.deepEqual(stage.created, []);
      stage.push(old(shaB));
      stage.rest();
      assert.equal(stage.created.length, 1);
    }
  });

  it('trigger 24, 44: an event that the original ended stays as it ended, although its run was deleted meanwhile', () => {
    const conditions = [{ type: 'Success', reason: 'Succeded', status: 'True', message: '' }];
    for (const [spec, status] of [
      [first, { latestEvent: old(shaA), latestPipelineRun: 'pruned', conditions }],
      [
        whole,
        {
          gitRepository: {
            branchName: 'main',
            commitId: shaA,
            repositoryName: 'app',
            latestPipelineRun: 'pruned',
            conditions,
          },
        },
      ],
    ] as const) {
      const stage = new Stage(spec, status);
      stage.push(old(shaA));
      stage.rest();
      assert.deepEqual([stage.created, stage.condition?.type, stage.condition?.status], [[], 'Success', 'True']);
    }
  });

  it('is suspended: takes note of nothing, and runs the current revision afterwards', () => {
    const stage = new Stage({ ...first, suspend: true });
    stage.push(old(shaA));
    stage.rest();
    assert.equal(stage.condition?.message, 'suspended: spec.suspend is true');
    stage.change(first);
    stage.seen = stage.trigger;
    stage.rest();
    assert.equal(stage.created.length, 1);
    stage.sourceSpec = { suspend: true };
    stage.push(old(shaB));
    stage.rest();
    assert.equal(stage.created.length, 1);
  });

  it('leaves an artifact of a spec that is no longer the current one alone', () => {
    const stage = new Stage(first);
    stage.report({ observedGeneration: 0, artifact: { revision: old(shaA) } });
    stage.rest();
    assert.deepEqual(stage.created, []);
  });

  it('runs the current event once for each new value of rungate.dev/runAt', () => {
    const stage = new Stage(first);
    stage.annotate({ 'rungate.dev/runAt': '1' });
    stage.seen = stage.trigger;
    stage.push(old(shaA));
    stage.rest();
    assert.equal(stage.created.length, 1, 'the first run is what was asked for');
    stage.annotate({ 'rungate.dev/runAt': '2' });
    stage.seen = stage.trigger;
    stage.rest();
    stage.crash();
    stage.rest();
    assert.deepEqual(stage.created, ['t--1-0', 't--2-0']);
  });

  it('runs a changed digest only where the trigger goes by content, and the first revision unless told not to', () => {
    const content = new Stage({ ...first, hook: { identity: 'content' } });
    content.report({ artifact: { revision: old(shaA), digest: 'sha256:1' } });
    content.rest();
    content.report({ artifact: { revision: old(shaA), digest: 'sha256:2' } });
    content.rest();
    assert.equal(content.created.length, 2);
    const patient = new Stage({ ...first, hook: { initialRun: 'never' } });
    patient.push(old(shaA));
    patient.rest();
    assert.deepEqual(patient.created, []);
    patient.push(old(shaB));
    patient.rest();
    assert.equal(patient.created.length, 1);
  });

  it('says everything that is wrong with a spec at once, and nothing else comes of it', () => {
    const stage = new Stage({ source: { kind: 'HelmChart' }, pipeline: { workspace: { size: 'abc' } } });
    stage.rest();
    const message = String(stage.condition?.message);
    for (const field of [
      'spec.source.kind',
      'spec.source.name',
      'spec.pipeline.name',
      'workspace.size',
      'workspace.name',
    ]) {
      assert.ok(message.includes(field), `${field} in: ${message}`);
    }
    assert.equal(stage.status.latestEvent, undefined);
  });
});

type Happening =
  | { readonly do: 'push'; readonly sha: number }
  | { readonly do: 'step' | 'crash' | 'touch' | 'sync' | 'wait' }
  | { readonly do: 'finish'; readonly as: 'True' | 'False' }
  | { readonly do: 'create'; readonly as: 'lost' | 'refused' };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('push' as const), sha: fc.integer({ min: 0, max: 2 }) }) },
  { weight: 8, arbitrary: fc.constant({ do: 'step' as const }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom({ do: 'crash' as const }, { do: 'touch' as const }, { do: 'sync' as const }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'wait' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('finish' as const),
      as: fc.constantFrom('True' as const, 'False' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('create' as const),
      as: fc.constantFrom('lost' as const, 'refused' as const),
    }),
  },
);

describe('whatever happens to it', () => {
  for (const [shape, spec, retries] of [
    ['pipeline', first, 2],
    ['pipelineRun', whole, 0],
  ] as const) {
    it(`a trigger with spec.${shape} runs each revision that it has seen once, and the last one in the end`, () => {
      fc.assert(
        fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
          const stage = new Stage(spec);
          stage.report({});
          // The oracle: how often the source has moved to something else, and where it stands.
          let moves = 0;
          let at: number | undefined;
          for (const each of happenings) {
            switch (each.do) {
              case 'push':
                if (each.sha !== at) moves++;
                at = each.sha;
                stage.push(old(shas[each.sha] ?? ''));
                break;
              case 'step':
                stage.step();
                break;
              case 'crash':
                stage.crash();
                break;
              case 'touch': // somebody else writes the trigger, and our watch lags
                stage.annotate({ touched: String(stage.version) });
                break;
              case 'sync':
                stage.seen = stage.trigger;
                break;
              case 'wait':
                stage.later += 1_500;
                break;
              case 'finish':
                stage.finish(stage.created.at(-1) ?? '', each.as);
                break;
              case 'create':
                stage.nextCreate = each.as;
                break;
            }
          }
          stage.restAtLast();
          const { created, status } = stage;
          assert.equal(new Set(created).size, created.length, 'no name is created twice');
          const sequences = new Set(created.map((name) => name.split('-')[2]));
          assert.ok(sequences.size <= moves, `${sequences.size} events for ${moves} moves`);
          assert.ok(created.length <= moves * (1 + retries));
          if (at === undefined) return assert.deepEqual(created, []);
          assert.equal(status.latestEvent, old(shas[at] ?? ''));
          assert.equal(status.latestPipelineRun, created.at(-1), 'the status names the last run');
          const { writes } = stage;
          stage.crash();
          stage.rest();
          assert.equal(stage.writes, writes, 'nothing is written when nothing has changed');
        }),
        { numRuns: 500 },
      );
    });
  }
});
