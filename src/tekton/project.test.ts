import assert from 'node:assert/strict';
import fc from 'fast-check';
import { objectsOf } from '../../test/support/facts.ts';
import type { JsonObject } from '../kube/objects.ts';
import { projectCustomRun, projectPipelineRun, projectPod, projectTaskRun } from './project.ts';

const one = (yaml: string): JsonObject => objectsOf(yaml)[0] ?? {};

describe('projectPipelineRun', () => {
  it('keeps what is served and nothing else', () => {
    const run = projectPipelineRun(
      one(`
        apiVersion: tekton.dev/v1
        kind: PipelineRun
        metadata:
          name: release-7
          namespace: team-a
          uid: 0-1-2
          resourceVersion: "42"
          creationTimestamp: "2026-11-01T10:00:00Z"
          labels: { tekton.dev/pipeline: release }
          annotations:
            results.tekton.dev/log: team-a/results/0/logs/1
            kubectl.kubernetes.io/last-applied-configuration: "{}"
          managedFields: [{ manager: kubectl }]
        spec:
          pipelineRef: { resolver: git, params: [{ name: url, value: https://example.com }] }
          params: [{ name: revision, value: main }, { name: files, value: [a, b] }, { name: empty }]
          workspaces: [{ name: source, emptyDir: {} }]
          timeouts: { pipeline: 1h0m0s, finally: 5m0s }
          managedBy: example.com/elsewhere
        status:
          conditions: [{ type: Succeeded, status: Unknown, reason: Running, message: m }]
          startTime: "2026-11-01T10:00:01Z"
          provenance:
            refSource: { uri: git+https://example.com, digest: { sha1: abc }, entryPoint: pipeline.yaml }
            featureFlags: { coschedule: workspaces }
          childReferences:
            - { apiVersion: tekton.dev/v1, kind: TaskRun, name: release-7-build, pipelineTaskName: build, displayName: Build it }
          skippedTasks: [{ name: notify, reason: When Expressions evaluated to false }]
          pipelineSpec:
            tasks: [{ name: build, retries: 2, onError: continue, taskRef: { name: build } }]
            finally: [{ name: notify, displayName: Tell, taskRef: { apiVersion: example.com/v1, kind: Notify } }]
      `),
    );
    assert.deepEqual(run, {
      kind: 'PipelineRun',
      meta: {
        namespace: 'team-a',
        name: 'release-7',
        uid: '0-1-2',
        resourceVersion: '42',
        created: '2026-11-01T10:00:00Z',
        labels: { 'tekton.dev/pipeline': 'release' },
        annotations: { 'results.tekton.dev/log': 'team-a/results/0/logs/1' },
      },
      pipeline: 'release',
      managedBy: 'example.com/elsewhere',
      succeeded: { type: 'Succeeded', status: 'Unknown', reason: 'Running', message: 'm' },
      started: '2026-11-01T10:00:01Z',
      provenance: { uri: 'git+https://example.com', digest: { sha1: 'abc' }, entryPoint: 'pipeline.yaml' },
      params: [
        { name: 'revision', value: 'main' },
        { name: 'files', value: ['a', 'b'] },
        { name: 'empty', value: null },
      ],
      workspaces: ['source'],
      timeouts: { pipeline: '1h0m0s', finally: '5m0s' },
      results: [],
      children: [{ kind: 'TaskRun', name: 'release-7-build', displayName: 'Build it', pipelineTaskName: 'build' }],
      skipped: [{ name: 'notify', reason: 'When Expressions evaluated to false' }],
      tasks: [
        {
          name: 'build',
          kind: 'TaskRun',
          memberOf: 'tasks',
          runAfter: [],
          onError: 'continue',
          retries: 2,
          matrix: false,
        },
        { name: 'notify', kind: 'CustomRun', memberOf: 'finally', runAfter: [], displayName: 'Tell', matrix: false },
      ],
    });
  });

  it('names the pipeline by its reference while nobody has written the label', () => {
    assert.equal(projectPipelineRun(one('spec: { pipelineRef: { name: release } }')).pipeline, 'release');
    assert.equal(projectPipelineRun(one('spec: { pipelineRef: { resolver: hub } }')).pipeline, undefined);
  });

  it('takes the tasks of an inline spec until the resolved one is written', () => {
    const inline = one('spec: { pipelineSpec: { tasks: [{ name: written }] } }');
    assert.deepEqual(
      projectPipelineRun(inline).tasks.map(({ name }) => name),
      ['written'],
    );
    const resolved = { ...inline, status: { pipelineSpec: { tasks: [{ name: 'resolved' }] } } };
    assert.deepEqual(
      projectPipelineRun(resolved).tasks.map(({ name }) => name),
      ['resolved'],
    );
  });

  it('run 45: v1beta1 has other names for results and for the timeout', () => {
    const run = projectPipelineRun(
      one(`
        apiVersion: tekton.dev/v1beta1
        spec: { timeout: 30m }
        status: { pipelineResults: [{ name: version, value: 1.2.3 }] }
      `),
    );
    assert.deepEqual(run.results, [{ name: 'version', value: '1.2.3' }]);
    assert.deepEqual(run.timeouts, { pipeline: '30m' });
  });

  it('run 45: a run of Tekton before 0.45 tells its children in maps', () => {
    const run = projectPipelineRun(
      one(`
        status:
          taskRuns: { a-build-x1: { pipelineTaskName: build, status: {} } }
          runs: { a-approve-x2: { pipelineTaskName: approve } }
      `),
    );
    assert.deepEqual(run.children, [
      { kind: 'TaskRun', name: 'a-build-x1', pipelineTaskName: 'build' },
      { kind: 'CustomRun', name: 'a-approve-x2', pipelineTaskName: 'approve' },
    ]);
  });

  const uses: readonly { readonly name: string; readonly task: string; readonly want: readonly string[] }[] = [
    { name: 'runAfter', task: 'runAfter: [a, b, a]', want: ['a', 'b'] },
    {
      name: 'params',
      task: 'params: [{ name: p, value: "x-$(tasks.a.results.r)-$(tasks.b.results.o.key)" }]',
      want: ['a', 'b'],
    },
    {
      name: 'array and object params',
      task: 'params: [{ name: p, value: ["$(tasks.a.results.r[0])"] }, { name: q, value: { k: "$(tasks.b.results.r[*])" } }]',
      want: ['a', 'b'],
    },
    {
      name: 'when',
      task: 'when: [{ input: "$(tasks.a.results.r)", operator: in, values: ["$(tasks.b.results.r)"] }]',
      want: ['a', 'b'],
    },
    { name: 'when in CEL', task: "when: [{ cel: \"'$(tasks.a.results.r)' == 'x'\" }]", want: ['a'] },
    {
      name: 'matrix',
      task: 'matrix: { params: [{ name: p, value: "$(tasks.a.results.r[*])" }], include: [{ name: i, params: [{ name: q, value: "$(tasks.b.results.r)" }] }] }',
      want: ['a', 'b'],
    },
    { name: 'a workspace subPath', task: 'workspaces: [{ name: w, subPath: "$(tasks.b.results.r)" }]', want: ['b'] },
    { name: 'an embedded step', task: 'taskSpec: { steps: [{ script: "echo $(tasks.a.results.r)" }] }', want: ['a'] },
    {
      name: 'runAfter and params, each once',
      task: 'runAfter: [b]\nparams: [{ name: p, value: "$(tasks.b.results.r) $(tasks.a.results.r)" }]',
      want: ['b', 'a'],
    },
    { name: 'status of a task: no edge', task: 'params: [{ name: p, value: "$(tasks.a.status)" }]', want: [] },
    { name: 'a task that is not there', task: 'params: [{ name: p, value: "$(tasks.zzz.results.r)" }]', want: [] },
    {
      name: 'a nested pipeline names its own tasks',
      task: 'pipelineSpec: { tasks: [{ name: x, params: [{ name: p, value: "$(tasks.a.results.r)" }] }] }',
      want: [],
    },
    { name: 'things of the wrong shape', task: 'runAfter: a\nparams: 7\nwhen: [null]', want: [] },
  ];
  for (const { name, task, want } of uses) {
    it(`dependencies: ${name}`, () => {
      const [raw = {}] = objectsOf(task);
      const run = projectPipelineRun({
        spec: { pipelineSpec: { tasks: [{ name: 'a' }, { name: 'b' }, { ...raw, name: 'c' }] } },
      });
      assert.deepEqual(run.tasks[2]?.runAfter, want);
    });
  }

  it('knows what a task becomes', () => {
    const run = projectPipelineRun(
      one(`
        spec:
          pipelineSpec:
            tasks:
              - { name: a, taskRef: { name: t, kind: Task } }
              - { name: b, taskRef: { apiVersion: example.com/v1, kind: Approval } }
              - { name: c, taskSpec: { apiVersion: example.com/v1, kind: Approval, spec: {} } }
              - { name: d, pipelineRef: { name: p } }
              - { name: e, pipelineSpec: { tasks: [] } }
              - { name: f, taskRef: { apiVersion: tekton.dev/v1, name: t } }
      `),
    );
    assert.deepEqual(
      run.tasks.map(({ kind }) => kind),
      ['TaskRun', 'CustomRun', 'CustomRun', 'PipelineRun', 'PipelineRun', 'TaskRun'],
    );
  });
});

describe('projectTaskRun', () => {
  const raw = one(`
    apiVersion: tekton.dev/v1
    kind: TaskRun
    metadata:
      name: r-build
      namespace: a
      uid: u
      labels: { tekton.dev/pipelineTask: build, tekton.dev/memberOf: tasks, tekton.dev/task: golang-build }
      annotations: { pipeline.tekton.dev/pipeline-task-on-error: continue, chains.tekton.dev/signed: "true" }
      ownerReferences: [{ kind: PipelineRun, name: r, uid: run, controller: true }]
    spec: { retries: 1, status: TaskRunCancelled, statusMessage: because, params: [{ name: p, value: v }] }
    status:
      podName: r-build-pod-retry1
      conditions: [{ type: Succeeded, status: "False", reason: StepFailed, message: m }]
      startTime: "2026-11-01T10:00:10Z"
      completionTime: "2026-11-01T10:00:20Z"
      taskSpec: { displayName: Go build, steps: [{ name: compile, script: "go build" }] }
      results: [{ name: digest, type: string, value: sha256:1 }]
      steps:
        - { name: fetch, container: step-fetch, imageID: i, terminationReason: Completed, terminated: { exitCode: 0, reason: Completed, startedAt: "2026-11-01T10:00:11Z", finishedAt: "2026-11-01T10:00:12Z", containerID: c } }
        - { name: compile, container: step-compile, running: { startedAt: "2026-11-01T10:00:11Z" } }
        - { name: push, waiting: { reason: PodInitializing } }
        - { name: odd, container: step-odd }
      sidecars: [{ name: registry, container: sidecar-registry, running: {} }]
      retriesStatus:
        - podName: r-build-pod
          conditions: [{ type: Succeeded, status: "False", reason: StepFailed, message: first }]
          startTime: "2026-11-01T10:00:00Z"
          completionTime: "2026-11-01T10:00:09Z"
          steps: [{ name: fetch, container: step-fetch, terminated: { exitCode: 1, reason: Error } }]
  `);

  it('keeps the current attempt, the attempts before, and whose it is', () => {
    assert.deepEqual(projectTaskRun(raw), {
      kind: 'TaskRun',
      meta: {
        namespace: 'a',
        name: 'r-build',
        uid: 'u',
        resourceVersion: '',
        created: '',
        labels: {
          'tekton.dev/pipelineTask': 'build',
          'tekton.dev/memberOf': 'tasks',
          'tekton.dev/task': 'golang-build',
        },
        annotations: { 'pipeline.tekton.dev/pipeline-task-on-error': 'continue' },
        owner: { kind: 'PipelineRun', name: 'r', uid: 'run' },
      },
      pipelineTask: 'build',
      memberOf: 'tasks',
      task: 'golang-build',
      displayName: 'Go build',
      requested: 'TaskRunCancelled',
      statusMessage: 'because',
      onError: 'continue',
      retries: 1,
      params: [{ name: 'p', value: 'v' }],
      succeeded: { type: 'Succeeded', status: 'False', reason: 'StepFailed', message: 'm' },
      started: '2026-11-01T10:00:10Z',
      completed: '2026-11-01T10:00:20Z',
      podName: 'r-build-pod-retry1',
      steps: [
        {
          name: 'fetch',
          container: 'step-fetch',
          terminated: {
            exitCode: 0,
            reason: 'Completed',
            startedAt: '2026-11-01T10:00:11Z',
            finishedAt: '2026-11-01T10:00:12Z',
          },
          terminationReason: 'Completed',
        },
        { name: 'compile', container: 'step-compile', running: { startedAt: '2026-11-01T10:00:11Z' } },
        { name: 'push', container: 'step-push', waiting: { reason: 'PodInitializing', message: '' } },
        { name: 'odd', container: 'step-odd' },
      ],
      sidecars: [{ name: 'registry', container: 'sidecar-registry', running: {} }],
      results: [{ name: 'digest', value: 'sha256:1' }],
      attempts: [
        {
          podName: 'r-build-pod',
          succeeded: { type: 'Succeeded', status: 'False', reason: 'StepFailed', message: 'first' },
          started: '2026-11-01T10:00:00Z',
          completed: '2026-11-01T10:00:09Z',
          steps: [{ name: 'fetch', container: 'step-fetch', terminated: { exitCode: 1, reason: 'Error' } }],
        },
      ],
    });
  });

  it('run 45: v1beta1 calls results taskResults', () => {
    const taskRun = projectTaskRun(one('status: { taskResults: [{ name: digest, value: sha256:1 }] }'));
    assert.deepEqual(taskRun.results, [{ name: 'digest', value: 'sha256:1' }]);
  });
});

describe('projectPod', () => {
  it('tells containers in the order of the spec, with the state the kubelet gave them', () => {
    const pod = projectPod(
      one(`
        kind: Pod
        metadata: { name: p, uid: u, ownerReferences: [{ kind: TaskRun, name: t, uid: tr, controller: true }] }
        spec:
          nodeName: node-1
          initContainers: [{ name: prepare, image: i, env: [{ name: A, value: b }] }]
          containers: [{ name: step-a }, { name: step-b }, { name: sidecar-c }]
        status:
          phase: Running
          conditions: [{ type: PodScheduled, status: "True", lastTransitionTime: "2026-11-01T10:00:00Z" }]
          initContainerStatuses: [{ name: prepare, state: { terminated: { exitCode: 0, reason: Completed } } }]
          containerStatuses:
            - { name: sidecar-c, restartCount: 1, state: { running: { startedAt: "2026-11-01T10:00:03Z" } }, lastState: { terminated: { exitCode: 2 } } }
            - { name: step-a, state: { waiting: { reason: ImagePullBackOff, message: Back-off pulling } } }
      `),
    );
    assert.equal(pod.node, 'node-1');
    assert.equal(pod.scheduled, '2026-11-01T10:00:00Z');
    assert.equal(pod.meta.owner?.uid, 'tr');
    assert.deepEqual(pod.containers, [
      {
        name: 'prepare',
        init: true,
        state: 'terminated',
        reason: 'Completed',
        exitCode: 0,
        restarts: 0,
        hasPrevious: false,
      },
      {
        name: 'step-a',
        init: false,
        state: 'waiting',
        reason: 'ImagePullBackOff',
        message: 'Back-off pulling',
        restarts: 0,
        hasPrevious: false,
      },
      { name: 'step-b', init: false, state: 'none', restarts: 0, hasPrevious: false },
      {
        name: 'sidecar-c',
        init: false,
        state: 'running',
        startedAt: '2026-11-01T10:00:03Z',
        restarts: 1,
        hasPrevious: true,
      },
    ]);
  });

  it('says why no node takes it', () => {
    const pod = projectPod(
      one(
        'status: { phase: Pending, conditions: [{ type: PodScheduled, status: "False", reason: Unschedulable, message: 0/1 nodes are available }] }',
      ),
    );
    assert.equal(pod.unschedulable, '0/1 nodes are available');
    assert.equal(pod.scheduled, undefined);
  });
});

describe('run 40: any JSON at all is projected without an exception', () => {
  // JSON whose keys are often the ones that are looked for, so that odd values stand in every place.
  const keys = [
    'metadata',
    'labels',
    'annotations',
    'ownerReferences',
    'spec',
    'status',
    'conditions',
    'type',
    'name',
    'reason',
    'steps',
    'terminated',
    'pipelineSpec',
    'tasks',
    'finally',
    'params',
    'childReferences',
    'retriesStatus',
    'containers',
    'containerStatuses',
    'state',
    'runAfter',
    'provenance',
    'refSource',
    'digest',
    'timeouts',
    'skippedTasks',
    'taskRuns',
  ];
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom(null, true, 0, '', 'Succeeded', '$(tasks.a.results.b)'),
      fc.array(tie('value'), { maxLength: 3 }),
      tie('object'),
    ),
    object: fc.dictionary(fc.constantFrom(...keys), tie('value'), { maxKeys: 6 }),
  }));
  for (const project of [projectPipelineRun, projectTaskRun, projectCustomRun, projectPod]) {
    it(project.name, () => {
      fc.assert(fc.property(json.object, (raw) => void project(raw as JsonObject)));
    });
  }
});
