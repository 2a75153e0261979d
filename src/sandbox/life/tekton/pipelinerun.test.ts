/** Decisions for PipelineRuns, from YAML as people write it. What is wanted was seen on a real Tekton 1.15. */
import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { succeeded } from './condition.ts';
import type { Lookup } from './lookup.ts';
import { decidePipelineRun } from './pipelinerun.ts';
import type { PipelineRunDecision } from './rundraft.ts';
import type {
  CustomRun,
  Draft,
  Pipeline,
  PipelineRun,
  PipelineRunStatus,
  Task,
  TaskRun,
  TaskRunResult,
} from './types.ts';

const start = Date.parse('2026-11-01T10:00:00Z');

/** What else there is, by name. */
interface Others {
  readonly tasks?: Readonly<Record<string, Task['spec']>>;
  readonly pipelines?: Readonly<Record<string, Pipeline['spec']>>;
}

/** How a child has ended: its reason, and the results it wrote. */
interface Ending {
  readonly reason: string;
  readonly results?: readonly TaskRunResult[];
}

const succeeds = (results: Record<string, string | string[]> = {}): Ending => ({
  reason: 'Succeeded',
  results: Object.entries(results).map(([name, value]) => ({
    name,
    type: Array.isArray(value) ? 'array' : 'string',
    value,
  })),
});
const fails: Ending = { reason: 'StepFailed' };

/** One run, looked at again and again. */
class Story {
  now = start;
  run: PipelineRun;
  readonly #others: Others;
  readonly #children = new Map<string, TaskRun | CustomRun | PipelineRun>();

  constructor(spec: string, others: Others = {}) {
    this.run = {
      apiVersion: 'tekton.dev/v1',
      kind: 'PipelineRun',
      metadata: {
        name: 'run',
        namespace: 'here',
        uid: 'uid',
        resourceVersion: '1',
        creationTimestamp: new Date(start).toISOString(),
      },
      spec: parse(spec),
    };
    this.#others = others;
  }

  /** Looks once, and makes what was decided true. */
  look(): PipelineRunDecision {
    const decision = decidePipelineRun({ run: this.run, lookup: this.#lookup(), now: this.now });
    const { labels, annotations, status } = decision;
    this.run = { ...this.run, metadata: { ...this.run.metadata, labels, annotations }, status };
    for (const draft of decision.creates) this.#children.set(draft.metadata.name, born(draft));
    return decision;
  }

  /** Looks, and says what was created and how the run stands. */
  told(): string {
    const { creates, status } = this.look();
    const names = creates.map(({ kind, metadata }) =>
      kind === 'TaskRun' ? metadata.name : `${kind} ${metadata.name}`,
    );
    return `${names.join(' ') || '-'} | ${verdictOf(status)}`;
  }

  end(name: string, { reason, results = [] }: Ending): void {
    const child = this.#children.get(name);
    assert.ok(child, `${name} was created`);
    const condition = {
      type: 'Succeeded',
      status: reason === 'Succeeded' ? ('True' as const) : ('False' as const),
      reason,
      message: '',
      lastTransitionTime: '',
    };
    // The results of all kinds of runs look alike as far as these stories go.
    this.#children.set(name, { ...child, status: { conditions: [condition], results } } as TaskRun);
  }

  child(name: string): TaskRun {
    const child = this.#children.get(name);
    assert.ok(child, `${name} was created`);
    return child as TaskRun; // what stories ask of children is the same for all kinds
  }

  #lookup(): Lookup {
    const { tasks = {}, pipelines = {} } = this.#others;
    const lookup: Lookup = {
      task: (name) =>
        tasks[name] && { ...this.run, kind: 'Task', metadata: { ...this.run.metadata, name }, spec: tasks[name] },
      pipeline: (name) =>
        pipelines[name] && {
          ...this.run,
          kind: 'Pipeline',
          metadata: { ...this.run.metadata, name },
          spec: pipelines[name],
        },
      stepAction: () => undefined,
      taskRun: (name) => this.#children.get(name) as TaskRun | undefined,
      customRun: (name) => this.#children.get(name) as CustomRun | undefined,
      pipelineRun: (name) => this.#children.get(name) as PipelineRun | undefined,
      pod: () => undefined,
      hasServiceAccount: () => true,
      elsewhere: () => lookup,
    };
    return lookup;
  }
}

function born(draft: Draft): TaskRun {
  return {
    ...draft,
    metadata: { ...draft.metadata, uid: draft.metadata.name, creationTimestamp: '' },
  } as unknown as TaskRun;
}

function verdictOf(status: PipelineRunStatus): string {
  const { status: truth, reason, message } = succeeded(status) ?? {};
  return `${truth} ${reason}: ${message}`;
}

/** The names of skipped tasks, each with Tekton's sentence. */
function skipsOf({ run }: Story): Record<string, string> {
  return Object.fromEntries((run.status?.skippedTasks ?? []).map(({ name, reason }) => [name, reason]));
}

const step = 'steps: [{ image: i, script: "true" }]';

describe('PipelineRun: order', () => {
  it('a task starts when all it waits for is done, finally tasks when everything is', () => {
    const story = new Story(`
      pipelineSpec:
        tasks:
          - { name: a, taskSpec: { results: [{ name: r }], ${step} } }
          - { name: b, runAfter: [a], taskSpec: { ${step} } }
          - { name: c, params: [{ name: p, value: $(tasks.a.results.r) }], taskSpec: { params: [{ name: p }], ${step} } }
        finally:
          - { name: f, taskSpec: { ${step} } }`);
    assert.equal(
      story.told(),
      'run-a | Unknown Running: Tasks Completed: 0 (Failed: 0, Cancelled 0), Incomplete: 4, Skipped: 0',
    );
    assert.equal(
      story.told(),
      '- | Unknown Running: Tasks Completed: 0 (Failed: 0, Cancelled 0), Incomplete: 4, Skipped: 0',
    );
    story.end('run-a', succeeds({ r: 'value' }));
    assert.equal(
      story.told(),
      'run-b run-c | Unknown Running: Tasks Completed: 1 (Failed: 0, Cancelled 0), Incomplete: 3, Skipped: 0',
    );
    assert.deepEqual(story.child('run-c').spec.params, [{ name: 'p', value: 'value' }]);
    story.end('run-b', succeeds());
    story.end('run-c', succeeds());
    assert.equal(
      story.told(),
      'run-f | Unknown Running: Tasks Completed: 3 (Failed: 0, Cancelled 0), Incomplete: 1, Skipped: 0',
    );
    assert.equal(story.run.status?.finallyStartTime, '2026-11-01T10:00:00Z');
    story.end('run-f', succeeds());
    assert.equal(story.told(), '- | True Succeeded: Tasks Completed: 4 (Failed: 0, Cancelled 0), Skipped: 0');
    assert.deepEqual(
      story.run.status?.childReferences?.map(({ pipelineTaskName }) => pipelineTaskName),
      ['a', 'b', 'c', 'f'],
    );
    assert.equal(
      story.told(),
      '- | True Succeeded: Tasks Completed: 4 (Failed: 0, Cancelled 0), Skipped: 0',
      'it stays so',
    );
  });

  it('embedded steps are completed by their template, in the status and in the TaskRun', () => {
    const story = new Story(`
      pipelineSpec:
        tasks:
          - name: a
            taskSpec:
              stepTemplate: { image: i, env: [{ name: A, value: theirs }] }
              steps: [{ name: s, env: [{ name: B, value: own }] }, { name: later, ref: { name: action } }]`);
    story.told();
    const steps = [
      {
        name: 's',
        image: 'i',
        env: [
          { name: 'B', value: 'own' },
          { name: 'A', value: 'theirs' },
        ],
      },
      { name: 'later', ref: { name: 'action' } },
    ];
    assert.deepEqual(story.run.status?.pipelineSpec?.tasks?.[0]?.taskSpec?.steps, steps);
    assert.deepEqual(story.child('run-a').spec.taskSpec?.steps, steps);
  });

  it('a failure lets what runs end, starts nothing more, and finally tasks are told', () => {
    const story = new Story(`
      pipelineSpec:
        tasks:
          - { name: bad, taskSpec: { ${step} } }
          - { name: beside, taskSpec: { ${step} } }
          - { name: after, runAfter: [beside], taskSpec: { ${step} } }
        finally:
          - name: tell
            params: [{ name: told, value: "$(tasks.bad.status) $(tasks.after.status) $(tasks.status) $(tasks.bad.reason)" }]
            taskSpec: { params: [{ name: told }], ${step} }
          - { name: only-when-good, when: [{ input: $(tasks.status), operator: in, values: [Succeeded] }], taskSpec: { ${step} } }`);
    assert.match(story.told(), /^run-bad run-beside \|/);
    story.end('run-bad', fails);
    assert.equal(
      story.told(),
      '- | Unknown Running: Tasks Completed: 1 (Failed: 1, Cancelled 0), Incomplete: 3, Skipped: 1',
    );
    story.end('run-beside', succeeds());
    assert.match(story.told(), /^run-tell \|/);
    assert.deepEqual(story.child('run-tell').spec.params, [{ name: 'told', value: 'Failed None Failed StepFailed' }]);
    story.end('run-tell', succeeds());
    assert.equal(story.told(), '- | False Failed: Tasks Completed: 3 (Failed: 1, Cancelled 0), Skipped: 2');
    assert.deepEqual(skipsOf(story), {
      after: 'PipelineRun was stopping',
      'only-when-good': 'When Expressions evaluated to false',
    });
  });

  it('without finally tasks a failure is PipelineRunStopping while others run', () => {
    const story = new Story(
      `pipelineSpec: { tasks: [{ name: a, taskSpec: { ${step} } }, { name: b, taskSpec: { ${step} } }] }`,
    );
    story.look();
    story.end('run-a', fails);
    assert.match(story.told(), /Unknown PipelineRunStopping: .*Incomplete: 1/);
  });

  it('onError: continue goes on, and the failure is counted as ignored', () => {
    const story = new Story(`
      pipelineSpec:
        tasks:
          - { name: a, onError: continue, taskSpec: { ${step} } }
          - { name: b, runAfter: [a], taskSpec: { ${step} } }`);
    story.look();
    assert.equal(story.child('run-a').metadata.annotations?.['pipeline.tekton.dev/pipeline-task-on-error'], 'continue');
    story.end('run-a', { reason: 'FailureIgnored' });
    assert.match(story.told(), /^run-b /);
    story.end('run-b', succeeds());
    assert.equal(
      story.told(),
      '- | True Succeeded: Tasks Completed: 2 (Failed: 1 (Ignored: 1), Cancelled 0), Skipped: 0',
    );
  });
});

describe('PipelineRun: skips', () => {
  it('a guard skips its task and what uses its results, not what merely comes after', () => {
    const story = new Story(`
      pipelineSpec:
        tasks:
          - { name: guarded, when: [{ input: a, operator: in, values: [b] }], taskSpec: { results: [{ name: r }], ${step} } }
          - { name: after, runAfter: [guarded], taskSpec: { ${step} } }
          - { name: uses, params: [{ name: p, value: $(tasks.guarded.results.r) }], taskSpec: { params: [{ name: p }], ${step} } }
          - { name: behind, runAfter: [uses], taskSpec: { ${step} } }`);
    assert.equal(
      story.told(),
      'run-after | Unknown Running: Tasks Completed: 0 (Failed: 0, Cancelled 0), Incomplete: 1, Skipped: 3',
    );
    assert.deepEqual(skipsOf(story), {
      guarded: 'When Expressions evaluated to false',
      uses: 'Results were missing',
      behind: 'Parent Tasks were skipped',
    });
    story.end('run-after', succeeds());
    assert.equal(story.told(), '- | True Completed: Tasks Completed: 1 (Failed: 0, Cancelled 0), Skipped: 3');
  });

  it('a matrix over an empty list', () => {
    const story = new Story(`
      params: [{ name: list, value: [] }]
      pipelineSpec:
        params: [{ name: list, type: array }]
        tasks:
          - { name: a, matrix: { params: [{ name: p, value: "$(params.list[*])" }] }, taskSpec: { params: [{ name: p }], ${step} } }`);
    assert.equal(story.told(), '- | True Completed: Tasks Completed: 0 (Failed: 0, Cancelled 0), Skipped: 1');
    assert.deepEqual(skipsOf(story), { a: 'Matrix Parameters have an empty array' });
  });

  it('an element beyond the end of a result fails the run', () => {
    const story = new Story(`
      pipelineSpec:
        tasks:
          - { name: a, taskSpec: { results: [{ name: l, type: array }], ${step} } }
          - { name: b, params: [{ name: p, value: "$(tasks.a.results.l[3])" }], taskSpec: { params: [{ name: p }], ${step} } }`);
    story.look();
    story.end('run-a', succeeds({ l: ['x'] }));
    assert.equal(
      story.told(),
      "- | False PipelineValidationFailed: [User error] PipelineRun here/run can't be Run; couldn't resolve all references: array Result Index 3 for Task a Result l is out of bound of size 1",
    );
  });

  it('a result that was promised and not written fails the run, after the finally tasks', () => {
    const story = new Story(`
      pipelineSpec:
        tasks:
          - { name: a, taskSpec: { results: [{ name: r }], ${step} } }
          - { name: b, params: [{ name: p, value: $(tasks.a.results.r) }], taskSpec: { params: [{ name: p }], ${step} } }
        finally:
          - { name: f, params: [{ name: p, value: $(tasks.a.results.r) }], taskSpec: { params: [{ name: p }], ${step} } }
          - { name: g, params: [{ name: p, value: "$(tasks.a.status) $(tasks.b.status) $(tasks.status)" }], taskSpec: { params: [{ name: p }], ${step} } }`);
    story.look();
    story.end('run-a', succeeds());
    assert.match(story.told(), /^run-g /);
    assert.deepEqual(story.child('run-g').spec.params, [{ name: 'p', value: 'Succeeded None Succeeded' }]);
    story.end('run-g', succeeds());
    assert.equal(
      story.told(),
      '- | False PipelineValidationFailed: Tasks Completed: 2 (Failed: 0, Cancelled 0), Skipped: 1, Failed Validation: 1 ' +
        '(task "a" completed successfully but did not emit the result "r", which is referenced by task "b")',
    );
    assert.deepEqual(skipsOf(story), { f: 'Results were missing' });
  });
});

describe('PipelineRun: matrix', () => {
  it('fans out, names each instance, and hands on all results', () => {
    const story = new Story(`
      pipelineSpec:
        results: [{ name: all, value: "$(tasks.fan.results.r[*])" }]
        tasks:
          - name: fan
            displayName: Fan $(params.x)
            matrix:
              params: [{ name: x, value: ["1", "2"] }]
              include: [{ name: special, params: [{ name: x, value: "2" }, { name: flags, value: f }] }]
            taskSpec: { params: [{ name: x }, { name: flags, default: none }], results: [{ name: r }], ${step} }
          - name: collect
            params: [{ name: all, value: ["$(tasks.fan.results.r[*])"] }, { name: count, value: "$(tasks.fan.matrix.length)" }]
            taskSpec: { params: [{ name: all, type: array }, { name: count }], ${step} }`);
    assert.match(story.told(), /^run-fan-0 run-fan-1 \|/);
    assert.deepEqual(
      story.run.status?.childReferences?.map(({ displayName }) => displayName),
      ['Fan 1', 'special'],
    );
    story.end('run-fan-1', succeeds({ r: 'two' }));
    assert.match(story.told(), /^- \|/);
    story.end('run-fan-0', succeeds({ r: 'one' }));
    story.look();
    assert.deepEqual(story.child('run-collect').spec.params, [
      { name: 'all', value: ['one', 'two'] },
      { name: 'count', value: '2' },
    ]);
    story.end('run-collect', succeeds());
    story.look();
    assert.deepEqual(story.run.status?.results, [{ name: 'all', value: ['one', 'two'] }]);
  });

  it('results that no task takes are not gathered for the pipeline either', () => {
    const story = new Story(`
      pipelineSpec:
        results: [{ name: all, value: "$(tasks.fan.results.r[*])" }]
        tasks:
          - { name: fan, matrix: { params: [{ name: x, value: [u, v] }] }, taskSpec: { params: [{ name: x }], results: [{ name: r }], ${step} } }`);
    story.look();
    story.end('run-fan-0', succeeds({ r: 'u' }));
    story.end('run-fan-1', succeeds({ r: 'v' }));
    assert.equal(
      story.told(),
      "- | False CouldntGetPipelineResult: Failed to get PipelineResult from TaskRun Results for PipelineRun run: invalid pipelineresults [all], the referenced results don't exist",
    );
  });
});

describe('PipelineRun: stopping and timeouts', () => {
  const twoTasks = `
    pipelineSpec:
      tasks:
        - { name: a, taskSpec: { ${step} } }
        - { name: b, runAfter: [a], taskSpec: { ${step} } }
      finally:
        - { name: f, taskSpec: { ${step} } }`;

  it('cancelled: everything stops and it is over at once', () => {
    const story = new Story(twoTasks);
    story.look();
    story.run = { ...story.run, spec: { ...story.run.spec, status: 'Cancelled' } };
    const { stops, creates, status, dueAt } = story.look();
    assert.deepEqual(stops, [{ kind: 'TaskRun', name: 'run-a', why: 'cancelled' }]);
    assert.deepEqual(creates, []);
    assert.equal(verdictOf(status), 'False Cancelled: PipelineRun "run" was cancelled');
    assert.equal(dueAt, undefined);
  });

  it('gracefully cancelled: what runs is stopped, finally tasks run', () => {
    const story = new Story(twoTasks);
    story.look();
    story.run = { ...story.run, spec: { ...story.run.spec, status: 'CancelledRunFinally' } };
    assert.deepEqual(story.look().stops, [{ kind: 'TaskRun', name: 'run-a', why: 'cancelled' }]);
    story.end('run-a', { reason: 'TaskRunCancelled' });
    assert.match(story.told(), /^run-f \| Unknown CancelledRunningFinally/);
    story.end('run-f', succeeds());
    assert.equal(story.told(), '- | False Cancelled: PipelineRun "run" was cancelled');
    assert.deepEqual(skipsOf(story), { b: 'PipelineRun was stopping' });
  });

  it('gracefully stopped: what runs may end, finally tasks run', () => {
    const story = new Story(twoTasks);
    story.look();
    story.run = { ...story.run, spec: { ...story.run.spec, status: 'StoppedRunFinally' } };
    assert.deepEqual(story.look().stops, []);
    story.end('run-a', succeeds());
    assert.match(story.told(), /^run-f \| Unknown StoppedRunningFinally/);
    assert.deepEqual(skipsOf(story), { b: 'PipelineRun was gracefully stopped' });
  });

  it('the time of the tasks is over: they are stopped, finally tasks run', () => {
    const story = new Story(`    timeouts: { pipeline: 1m, tasks: 10s }${twoTasks}`);
    assert.equal(story.look().dueAt, start + 10_001);
    story.now = start + 10_001;
    assert.deepEqual(story.look().stops, [{ kind: 'TaskRun', name: 'run-a', why: 'timedOut' }]);
    story.end('run-a', { reason: 'TaskRunCancelled' });
    assert.match(story.told(), /^run-f \| Unknown PipelineRunTimeoutRunningFinally/);
    story.end('run-f', succeeds());
    assert.equal(
      story.told(),
      '- | False PipelineRunTimeout: PipelineRun "run" failed due to tasks failed to finish within "10s"',
    );
  });

  it('the time of the finally tasks is over', () => {
    const story = new Story(`    timeouts: { pipeline: 1m, finally: 20s }${twoTasks}`);
    story.look();
    story.end('run-a', fails);
    assert.equal(story.look().dueAt, start + 20_001);
    story.now = start + 20_001;
    assert.deepEqual(story.look().stops, [{ kind: 'TaskRun', name: 'run-f', why: 'timedOut' }]);
  });

  it('the whole time is over', () => {
    const story = new Story(`    timeouts: { pipeline: 1h30m }${twoTasks}`);
    story.look();
    story.now = start + 5_400_001;
    const { stops, status } = story.look();
    assert.deepEqual(stops, [{ kind: 'TaskRun', name: 'run-a', why: 'timedOut' }]);
    assert.equal(verdictOf(status), 'False PipelineRunTimeout: PipelineRun "run" failed to finish within "1h30m0s"');
  });

  it('no timeout at all: it never has to be looked at for that', () => {
    assert.equal(new Story(`    timeouts: { pipeline: "0" }${twoTasks}`).look().dueAt, undefined);
  });

  it('a nested run cannot be cancelled, and it says so', () => {
    const story = new Story(
      `pipelineSpec: { tasks: [{ name: inner, pipelineSpec: { tasks: [{ name: a, taskSpec: { ${step} } }] } }] }`,
    );
    assert.match(story.told(), /^PipelineRun run-inner /);
    story.run = { ...story.run, spec: { ...story.run.spec, status: 'Cancelled' } };
    assert.equal(
      story.told(),
      '- | Unknown PipelineRunCouldntCancel: PipelineRun "run" was cancelled but had errors trying to cancel TaskRuns and/or Runs: ' +
        'found child objects of unknown kinds: map[run-inner:PipelineRun]',
    );
  });
});

describe('PipelineRun: children', () => {
  it('inherit labels, annotations and what the run says about their task', () => {
    const story = new Story(
      `
      pipelineRef: { name: pipe }
      timeouts: { pipeline: 3h, tasks: 2h }
      taskRunTemplate: { serviceAccountName: builder, podTemplate: { env: [{ name: A, value: "1" }] } }
      taskRunSpecs: [{ pipelineTaskName: a, podTemplate: { env: [{ name: B, value: "2" }] }, metadata: { labels: { own: "1" } } }]`,
      {
        pipelines: { pipe: parse(`tasks: [{ name: a, retries: 2, taskRef: { name: t } }]`) },
        tasks: { t: parse(step) },
      },
    );
    story.run = {
      ...story.run,
      metadata: { ...story.run.metadata, annotations: { note: 'kept', 'chains.tekton.dev/signed': 'not' } },
    };
    story.look();
    const { metadata, spec } = story.child('run-a');
    assert.deepEqual(metadata.labels, {
      own: '1',
      'tekton.dev/pipeline': 'pipe',
      'tekton.dev/pipelineRun': 'run',
      'tekton.dev/pipelineRunUID': 'uid',
      'tekton.dev/pipelineTask': 'a',
      'tekton.dev/memberOf': 'tasks',
    });
    assert.deepEqual(metadata.annotations, { note: 'kept' });
    assert.deepEqual(spec, {
      retries: 2,
      serviceAccountName: 'builder',
      podTemplate: {
        env: [
          { name: 'B', value: '2' },
          { name: 'A', value: '1' },
        ],
      },
      timeout: '2h',
      taskRef: { name: 't' },
    });
  });

  it('get their workspaces; a template becomes one claim for all', () => {
    const story = new Story(`
      workspaces:
        - { name: shared, emptyDir: {}, subPath: top }
        - { name: disk, volumeClaimTemplate: { spec: { accessModes: [ReadWriteOnce] } } }
      pipelineSpec:
        workspaces: [{ name: shared }, { name: disk }]
        tasks:
          - name: a
            workspaces: [{ name: source, workspace: shared, subPath: $(context.pipelineRun.name) }, { name: disk }]
            taskSpec: { workspaces: [{ name: source }, { name: disk }], ${step} }`);
    const { creates } = story.look();
    assert.deepEqual(
      creates.map(({ kind }) => kind),
      ['PersistentVolumeClaim', 'TaskRun'],
    );
    const { spec, metadata } = story.child('run-a');
    const claimName = creates[0]?.metadata.name ?? '';
    assert.match(claimName, /^pvc-[0-9a-f]{10}$/);
    assert.deepEqual(spec.workspaces, [
      { name: 'source', subPath: 'top/run', emptyDir: {} },
      { name: 'disk', persistentVolumeClaim: { claimName } },
    ]);
    assert.match(
      metadata.annotations?.['pipeline.tekton.dev/affinity-assistant'] ?? '',
      /^affinity-assistant-[0-9a-f]{10}$/,
    );
    assert.deepEqual(story.look().creates, [], 'the claim is made once');
  });

  it('custom tasks become CustomRuns', () => {
    const story = new Story(`
      pipelineSpec:
        results: [{ name: who, value: $(tasks.approve.results.approver) }]
        tasks: [{ name: approve, retries: 1, taskRef: { apiVersion: example.dev/v1, kind: Approval, name: x }, params: [{ name: q, value: ok? }] }]`);
    assert.match(story.told(), /^CustomRun run-approve /);
    assert.deepEqual(story.child('run-approve').spec, {
      customRef: { apiVersion: 'example.dev/v1', kind: 'Approval', name: 'x' },
      retries: 1,
      params: [{ name: 'q', value: 'ok?' }],
    });
    story.end('run-approve', succeeds({ approver: 'me' }));
    story.look();
    assert.deepEqual(story.run.status?.results, [{ name: 'who', value: 'me' }]);
  });

  it('an embedded custom task is handed on as it is', () => {
    const story = new Story(`
      pipelineSpec:
        tasks: [{ name: approve, taskSpec: { apiVersion: example.dev/v1, kind: Approval, metadata: { labels: { x: y } }, spec: { who: [me] } } }]`);
    assert.match(story.told(), /^CustomRun run-approve /);
    assert.deepEqual(story.child('run-approve').spec, {
      customSpec: {
        apiVersion: 'example.dev/v1',
        kind: 'Approval',
        metadata: { labels: { x: 'y' } },
        spec: { who: ['me'] },
      },
    });
  });

  it('a Pipeline that is nested in itself is refused', () => {
    const story = new Story('pipelineRef: { name: loop }', {
      pipelines: { loop: parse('tasks: [{ name: again, pipelineRef: { name: loop } }]') },
    });
    assert.match(
      story.told(),
      /False CreateRunFailed: detected cycle in pipeline-in-pipeline: pipeline "loop" is already running/,
    );
  });
});

describe('PipelineRun: refused', () => {
  const cases: { name: string; spec: string; others?: Others; want: string }[] = [
    {
      name: 'no such Pipeline',
      spec: 'pipelineRef: { name: gone }',
      want: 'CouldntGetPipeline: Error retrieving pipeline for pipelinerun here/run: error when getting Pipeline for PipelineRun run: tekton client cannot get pipeline gone from local cluster: pipelines.tekton.dev "gone" not found',
    },
    {
      name: 'no such Task',
      spec: 'pipelineSpec: { tasks: [{ name: a, taskRef: { name: gone } }] }',
      want: `CouldntGetTask: Pipeline here/run can't be Run; it contains Tasks that don't exist: Couldn't retrieve Task "gone": tasks.tekton.dev "gone" not found`,
    },
    {
      name: 'a resolver that is not there',
      spec: 'pipelineRef: { resolver: git }',
      want: 'CouldntGetPipeline: Error retrieving pipeline for pipelinerun here/run: the sandbox has no resolver "git": it knows "cluster", and references by name',
    },
    {
      name: 'a circle',
      spec: `pipelineSpec: { tasks: [{ name: a, runAfter: [b], taskSpec: { ${step} } }, { name: b, runAfter: [a], taskSpec: { ${step} } }] }`,
      want: `PipelineInvalidGraph: [User error] PipelineRun here/run's Pipeline DAG is invalid: cycle detected; task "a" depends on "b"`,
    },
    {
      name: 'a parameter is missing',
      spec: `pipelineSpec: { params: [{ name: a }, { name: b }, { name: c, default: x }], tasks: [{ name: a, taskSpec: { ${step} } }] }`,
      want: 'ParameterMissing: [User error] PipelineRun here/run is missing some parameters required by Pipeline here/run: pipelineRun missing parameters: [a b]',
    },
    {
      name: 'a parameter of another type',
      spec: `{ params: [{ name: a, value: [x] }], pipelineSpec: { params: [{ name: a }], tasks: [{ name: a, taskSpec: { ${step} } }] } }`,
      want: "ParameterTypeMismatch: [User error] PipelineRun here/run parameters have mismatching types with Pipeline here/run's parameters: parameters have inconsistent types : [a]",
    },
    {
      name: 'an object without its keys',
      spec: `{ params: [{ name: a, value: { x: "1" } }], pipelineSpec: { params: [{ name: a, type: object, properties: { y: {} } }], tasks: [{ name: a, taskSpec: { ${step} } }] } }`,
      want: "ObjectParameterMissKeys: [User error] PipelineRun here/run parameters is missing object keys required by Pipeline here/run's parameters: pipelineRun missing object keys for parameters: map[a:[y]]",
    },
    {
      name: 'an element beyond the end',
      spec: '{ params: [{ name: l, value: [x] }], pipelineRef: { name: pipe } }',
      others: {
        pipelines: {
          pipe: parse(
            `{ params: [{ name: l, type: array }], tasks: [{ name: a, params: [{ name: p, value: "$(params.l[4])" }], taskSpec: { params: [{ name: p }], ${step} } }] }`,
          ),
        },
      },
      want: "ParamArrayIndexingInvalid: [User error] PipelineRun here/run failed validation: failed to validate Pipeline here/pipe's parameter which has an invalid index while referring to an array: non-existent param references:[$(params.l[4])]",
    },
    {
      name: 'a workspace that nobody binds',
      spec: `pipelineSpec: { workspaces: [{ name: w }], tasks: [{ name: a, taskSpec: { ${step} } }] }`,
      want: `InvalidWorkspaceBindings: [User error] PipelineRun here/run doesn't bind Pipeline here/run's Workspaces correctly: pipeline requires workspace with name "w" be provided by pipelinerun`,
    },
    {
      name: 'a workspace that a step uses and nobody declares',
      spec: `pipelineSpec: { tasks: [{ name: a, taskSpec: { steps: [{ image: i, script: "ls $(workspaces.src.path)" }] } }] }`,
      want: 'CreateRunFailed: expected workspace "src" to be provided by pipelinerun for pipeline task "a"',
    },
    {
      name: 'an optional workspace for a task that must have it',
      spec: `pipelineSpec: { workspaces: [{ name: w, optional: true }], tasks: [{ name: a, workspaces: [{ name: tw, workspace: w }], taskSpec: { workspaces: [{ name: tw }], ${step} } }] }`,
      want: 'RequiredWorkspaceMarkedOptional: [User error] Optional workspace not supported by task: pipeline workspace "w" is marked optional but pipeline task "a" requires it be provided',
    },
    {
      name: 'words about a task that is not there',
      spec: `{ taskRunSpecs: [{ pipelineTaskName: nope }], pipelineSpec: { tasks: [{ name: a, taskSpec: { ${step} } }] } }`,
      want: `InvalidTaskRunSpecs: [User error] PipelineRun here/run doesn't define taskRunSpecs correctly: pipelineRun's taskrunSpecs defined wrong taskName: "nope", does not exist in Pipeline`,
    },
    {
      name: 'a result that no task has',
      spec: `pipelineSpec: { tasks: [{ name: a, taskSpec: { ${step} } }, { name: b, params: [{ name: p, value: $(tasks.a.results.r) }], taskSpec: { params: [{ name: p }], ${step} } }] }`,
      want: 'InvalidTaskResultReference: invalid result reference in pipeline task "b": "r" is not a named result returned by pipeline task "a"',
    },
    {
      name: 'a result of the pipeline that no task has',
      spec: `pipelineSpec: { results: [{ name: r, value: $(tasks.a.results.x) }], tasks: [{ name: a, taskSpec: { ${step} } }] }`,
      want: 'InvalidPipelineResultReference: Failed to resolve pipeline result reference for "run" with error invalid pipeline result "r": "x" is not a named result returned by pipeline task "a"',
    },
    {
      name: 'a value that a task lacks',
      spec: 'pipelineSpec: { tasks: [{ name: a, taskRef: { name: t } }] }',
      others: { tasks: { t: parse(`{ params: [{ name: who }], ${step} }`) } },
      want: '[User error] Validation failed for pipelinerun run with error invalid input params for task t: missing values for these params which have no default values: [who]',
    },
    {
      name: 'a matrix over what is no list',
      spec: `pipelineSpec: { tasks: [{ name: m, matrix: { params: [{ name: p, value: x }] }, taskSpec: { params: [{ name: p }], ${step} } }] }`,
      want: String.raw`InvalidMatrixParameterTypes: [User error] Failed to validate matrix "parameters of type array only are allowed, but param \"p\" has type \"string\" in pipelineTask \"m\"" with error %!v(MISSING)`,
    },
    {
      name: 'what a task does on an error, by a value that is none of the words for it',
      spec: `{ params: [{ name: p, value: $(date) }], pipelineSpec: { params: [{ name: p }], tasks: [{ name: a, onError: $(params.p), taskSpec: { ${step} } }] } }`,
      want: `PipelineValidationFailed: [User error] Pipeline here/run can't be Run; it has an invalid spec: invalid value: $(date): OnError\nPipelineTask OnError must be either "continue" or "stopAndFail"`,
    },
  ];
  for (const { name, spec, others, want } of cases) {
    it(name, () => {
      const { creates, status, dueAt } = new Story(spec, others).look();
      assert.ok(verdictOf(status).startsWith('False '), verdictOf(status));
      assert.ok(verdictOf(status).endsWith(want), `${verdictOf(status)}\nwanted: ${want}`);
      assert.deepEqual(creates, []);
      assert.ok(status.completionTime);
      assert.equal(dueAt, undefined);
    });
  }
});

describe('PipelineRun: values that look like variables', () => {
  const pipeline = `{ params: [{ name: a }, { name: b, default: "" }], tasks: [{ name: one, taskRef: { name: t }, params: [{ name: x, value: $(params.a) }] }, { name: two, runAfter: [one], taskRef: { name: t }, params: [{ name: x, value: $(params.a) }] }] }`;
  const tasks = { t: parse(`{ params: [{ name: x }], ${step} }`) };
  const named = (params: string) =>
    new Story(`{ pipelineRef: { name: p }, params: ${params} }`, { tasks, pipelines: { p: parse(pipeline) } });
  const embedded = (params: string) => new Story(`{ params: ${params}, pipelineSpec: ${pipeline} }`, { tasks });
  const givenTo = (story: Story, child: string) => story.child(child).spec.params?.[0]?.value;
  const advice = `must start with a valid prefix: params, tasks, finally, context, workspaces, or results; if you meant a shell variable, use \${VAR} instead`;
  const unfit: readonly { readonly value: string; readonly why: string }[] = [
    {
      value: '$(date)',
      why: `invalid value: invalid variable reference "$(date)", ${advice}: tasks[0].params[x].value, tasks[1].params[x].value`,
    },
    {
      value: '$$(date)',
      why: `invalid value: invalid variable reference "$(date)", ${advice}: tasks[0].params[x].value, tasks[1].params[x].value`,
    },
    {
      value: '$(tasks.one.status)',
      why: 'invalid value: pipeline tasks can not refer to execution status of any other pipeline task or aggregate status of tasks: tasks[0].params[x].value, tasks[1].params[x].value',
    },
    {
      value: '$(context.pipelineRun.owner)',
      why: 'non-existent variable in "$(context.pipelineRun.owner)": tasks.value',
    },
  ];
  for (const { value, why } of unfit) {
    it(`${value} starts the first task of a pipeline by name, and then ends the run`, () => {
      const story = named(`[{ name: a, value: ${value} }]`);
      assert.match(story.told(), /^run-one \| Unknown Running/);
      assert.equal(givenTo(story, 'run-one'), value);
      assert.equal(
        story.told(),
        `- | False PipelineValidationFailed: [User error] Pipeline here/p can't be Run; it has an invalid spec: ${why}`,
      );
    });

    it(`${value} goes through an embedded pipeline`, () => {
      const story = embedded(`[{ name: a, value: ${value} }]`);
      story.look();
      story.end('run-one', succeeds());
      assert.match(story.told(), /^run-two \| Unknown Running/);
      assert.equal(givenTo(story, 'run-two'), value);
    });
  }

  it('context is put in, whoever wrote it', () => {
    for (const story of [named, embedded].map((make) => make('[{ name: a, value: "$$(context.pipelineRun.name)" }]'))) {
      story.look();
      assert.equal(givenTo(story, 'run-one'), '$run');
    }
  });

  it('a parameter in the value of another is put in only where a pipeline is remembered with values', () => {
    const params = '[{ name: a, value: $(params.b) }, { name: b, value: c }]';
    for (const [make, later] of [
      [named, 'c'],
      [embedded, '$(params.b)'],
    ] as const) {
      const story = make(params);
      story.look();
      assert.equal(givenTo(story, 'run-one'), '$(params.b)');
      story.end('run-one', succeeds());
      story.look();
      assert.equal(givenTo(story, 'run-two'), later);
    }
  });
});

describe('PipelineRun: on hold', () => {
  it('waits without a start time, and starts when it is let go', () => {
    const story = new Story(
      `{ status: PipelineRunPending, pipelineSpec: { tasks: [{ name: a, taskSpec: { ${step} } }] } }`,
    );
    assert.equal(story.told(), '- | Unknown PipelineRunPending: PipelineRun "run" is pending');
    assert.equal(story.run.status?.startTime, undefined);
    const { status: _, ...spec } = story.run.spec;
    story.run = { ...story.run, spec };
    assert.match(story.told(), /^run-a \| Unknown Running/);
    assert.equal(story.run.status?.startTime, '2026-11-01T10:00:00Z');
  });
});
