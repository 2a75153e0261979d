/** Decisions for TaskRuns, from YAML as people write it. What is wanted was seen on a real Tekton 1.15. */
import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { parsePlacedScripts } from '../entrypoint.ts';
import { succeeded } from './condition.ts';
import type { Lookup } from './lookup.ts';
import type { TaskRunDecision } from './taskrun.ts';
import { decideTaskRun, refusedPod } from './taskrun.ts';
import type { Container, Draft, Pod, StepAction, Task, TaskRun, TaskRunStatus, Volume } from './types.ts';

const start = Date.parse('2026-11-01T10:00:00Z');

interface Others {
  readonly tasks?: Readonly<Record<string, Task['spec']>>;
  readonly actions?: Readonly<Record<string, StepAction['spec']>>;
  readonly accounts?: readonly string[];
}

/** One run, looked at again and again. */
class Story {
  now = start;
  run: TaskRun;
  pod: Pod | undefined;
  readonly #others: Others;

  constructor(spec: string, others: Others = {}) {
    this.run = {
      apiVersion: 'tekton.dev/v1',
      kind: 'TaskRun',
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
  look(): TaskRunDecision {
    const decision = this.decide();
    const { action, labels, annotations, status } = decision;
    this.run = { ...this.run, metadata: { ...this.run.metadata, labels, annotations }, status };
    if (action.at === 'create') this.pod = born(action.pod);
    if (action.at === 'delete') this.pod = undefined;
    return decision;
  }

  decide(): TaskRunDecision {
    return decideTaskRun({ run: this.run, lookup: this.#lookup(), now: this.now, suffix: () => 'abcde' });
  }

  /** Says what was done and how the run stands. */
  told(): string {
    const { action, status } = this.look();
    return `${action.at} | ${verdictOf(status)}`;
  }

  podIs(status: NonNullable<Pod['status']>): void {
    assert.ok(this.pod, 'the pod was created');
    this.pod = { ...this.pod, status };
  }

  #lookup(): Lookup {
    const { tasks = {}, actions = {}, accounts = ['default'] } = this.#others;
    const { metadata } = this.run;
    const lookup: Lookup = {
      task: (name) =>
        tasks[name] && {
          ...this.run,
          kind: 'Task',
          metadata: { ...metadata, name, labels: { of: 'task' } },
          spec: tasks[name],
        },
      stepAction: (name) =>
        actions[name] && { ...this.run, kind: 'StepAction', metadata: { ...metadata, name }, spec: actions[name] },
      pipeline: () => undefined,
      taskRun: () => undefined,
      customRun: () => undefined,
      pipelineRun: () => undefined,
      pod: (name) => (this.pod?.metadata.name === name ? this.pod : undefined),
      hasServiceAccount: (name) => accounts.includes(name),
      elsewhere: () => lookup,
    };
    return lookup;
  }
}

function born(draft: Draft): Pod {
  return { ...draft, status: { phase: 'Pending' } } as unknown as Pod;
}

function verdictOf(status: TaskRunStatus): string {
  const { status: truth, reason, message } = succeeded(status) ?? {};
  return `${truth} ${reason}: ${message}`;
}

/** The pod that a run becomes. */
function podFor(
  spec: string,
  others?: Others,
): { containers: (Container & { resources?: object })[]; initContainers: Container[]; volumes: Volume[] } & Record<
  string,
  unknown
> {
  const { action } = new Story(spec, others).look();
  assert.equal(action.at, 'create');
  return (action as { pod: Draft }).pod.spec as never; // a pod's spec has these
}

const running = { running: { startedAt: '2026-11-01T10:00:01Z' } };
const ended = (exitCode: number) => ({
  terminated: {
    exitCode,
    reason: exitCode === 0 ? 'Completed' : 'Error',
    message: '[{"key":"StartedAt","value":"2026-11-01T10:00:01.000Z","type":3}]',
  },
});
const simple = 'taskSpec: { steps: [{ name: s, image: i, script: "true" }] }';

describe('TaskRun: its life', () => {
  it('makes a pod, tells it to begin, follows it to its end', () => {
    const story = new Story(simple);
    assert.equal(story.told(), 'create | Unknown Pending: Pending');
    assert.equal(story.run.status?.podName, 'run-pod');
    assert.equal(story.run.status?.startTime, '2026-11-01T10:00:00Z');
    story.podIs({ phase: 'Running', containerStatuses: [{ name: 'step-s', state: running, ready: true }] });
    assert.equal(story.told(), 'ready | Unknown Running: Not all Steps in the Task have finished executing');
    story.podIs({ phase: 'Succeeded', containerStatuses: [{ name: 'step-s', state: ended(0) }] });
    const { status, dueAt } = story.look();
    assert.equal(verdictOf(status), 'True Succeeded: All Steps have completed executing');
    assert.equal(dueAt, undefined);
    assert.deepEqual(story.look().status, status, 'it stays so');
  });

  it('a failed attempt becomes history until there are none left', () => {
    const story = new Story(`{ retries: 1, ${simple} }`);
    story.look();
    story.podIs({ phase: 'Failed', containerStatuses: [{ name: 'step-s', state: ended(1) }] });
    const again = story.look();
    assert.equal(verdictOf(again.status), 'Unknown ToBeRetried: "step-s" exited with code 1: Error');
    assert.equal(again.dueAt, story.now);
    assert.equal(again.status.startTime, undefined);
    assert.deepEqual(
      again.status.retriesStatus?.map(({ podName }) => podName),
      ['run-pod'],
    );
    story.now += 5_000;
    assert.equal(story.told(), 'create | Unknown Pending: Pending');
    assert.equal(story.run.status?.podName, 'run-pod-retry1');
    assert.equal(story.run.status?.startTime, '2026-11-01T10:00:05Z');
    story.podIs({ phase: 'Failed', containerStatuses: [{ name: 'step-s', state: ended(1) }] });
    assert.equal(story.told(), 'nothing | False StepFailed: "step-s" exited with code 1: Error');
  });

  it('cancelled: the pod is deleted and what had not ended is closed', () => {
    const story = new Story(
      `{ retries: 3, taskSpec: { steps: [{ name: a, image: i, script: "" }, { name: b, image: i, command: [x] }, { name: c, image: i, command: [x] }] } }`.replace(
        'script: ""',
        'command: [x]',
      ),
    );
    story.look();
    story.podIs({
      phase: 'Running',
      containerStatuses: [
        { name: 'step-a', state: ended(0) },
        { name: 'step-b', state: running },
        { name: 'step-c', state: { waiting: { reason: 'PodInitializing' } } },
      ],
    });
    story.look();
    story.run = { ...story.run, spec: { ...story.run.spec, status: 'TaskRunCancelled', statusMessage: 'Enough.' } };
    const { action, status } = story.look();
    assert.deepEqual(action, { at: 'delete', name: 'run-pod' });
    assert.equal(verdictOf(status), 'False TaskRunCancelled: TaskRun "run" was cancelled. Enough.');
    assert.deepEqual(
      status.steps?.map(({ terminationReason }) => terminationReason),
      ['Completed', 'TaskRunCancelled', 'TaskRunCancelled'],
    );
    assert.deepEqual(status.steps?.[1]?.terminated, {
      exitCode: 1,
      reason: 'TaskRunCancelled',
      message: 'Step b terminated as pod run-pod is terminated',
      startedAt: '2026-11-01T10:00:01Z',
      finishedAt: '2026-11-01T10:00:00Z',
    });
  });

  it('cancelled while it waited: what for is not forgotten', () => {
    const story = new Story(simple);
    story.look();
    story.podIs({
      phase: 'Pending',
      containerStatuses: [{ name: 'step-s', state: { waiting: { reason: 'ErrImagePull', message: 'no such host' } } }],
    });
    story.look();
    story.run = { ...story.run, spec: { ...story.run.spec, status: 'TaskRunCancelled' } };
    assert.equal(
      story.told(),
      'delete | False TaskRunCancelled: TaskRun "run" was cancelled. \nPrevious status: [PullImageFailed] build step "step-s" is pending with reason "no such host"',
    );
  });

  it('its time is over, and it looks again when it is', () => {
    const story = new Story(`{ timeout: 6s, ${simple} }`);
    assert.equal(story.look().dueAt, start + 6_001);
    story.podIs({ phase: 'Running', containerStatuses: [{ name: 'step-s', state: running, ready: true }] });
    story.now = start + 6_000;
    assert.match(story.told(), /Running/);
    story.now = start + 6_001;
    assert.equal(story.told(), 'delete | False TaskRunTimeout: TaskRun "run" failed to finish within "6s"');
  });

  it('a container that will never start is not waited for', () => {
    const story = new Story(simple);
    story.look();
    story.podIs({
      phase: 'Pending',
      containerStatuses: [{ name: 'step-s', state: { waiting: { reason: 'ImagePullBackOff', message: 'Back-off' } } }],
    });
    assert.match(story.told(), /Unknown PullImageFailed/);
    assert.equal(
      story.told(),
      'delete | False TaskRunImagePullFailed: the step "s" in TaskRun "run" failed to pull the image "". The pod errored with the message: "Back-off."',
    );
  });

  it('a pod that is gone is made again', () => {
    const story = new Story(simple);
    story.look();
    story.pod = undefined;
    assert.match(story.told(), /^create /);
  });

  it('a pod whose name was never written down is found by its owner', () => {
    const story = new Story(simple);
    const { status: before, ...run } = story.run;
    assert.equal(before, undefined);
    story.look();
    story.run = run;
    assert.match(story.told(), /^nothing /);
    assert.equal(story.run.status?.podName, 'run-pod');
  });

  it('on hold: no pod, no start time', () => {
    const story = new Story(`{ status: TaskRunPending, ${simple} }`);
    assert.equal(story.told(), 'nothing | Unknown TaskRunPending: TaskRun "run" is pending');
    assert.equal(story.run.status?.startTime, undefined);
    assert.equal(story.run.status?.podName, '');
  });

  it('sidecars are stopped when the steps are done, and their end is a good one', () => {
    const story = new Story(
      `taskSpec: { steps: [{ name: s, image: i, script: "true" }], sidecars: [{ name: c, image: i, command: [serve] }] }`,
    );
    story.look();
    story.podIs({
      phase: 'Running',
      containerStatuses: [
        { name: 'sidecar-c', state: running },
        { name: 'step-s', state: ended(0) },
      ],
    });
    story.look();
    assert.deepEqual(story.look().action, { at: 'stop-sidecars', name: 'run-pod', containers: ['sidecar-c'] });
    story.podIs({
      phase: 'Running',
      containerStatuses: [
        { name: 'sidecar-c', state: ended(1), lastState: { terminated: { exitCode: 137 } } },
        { name: 'step-s', state: ended(0) },
      ],
    });
    assert.deepEqual(story.look().status.sidecars, [
      {
        container: 'sidecar-c',
        name: 'c',
        terminated: {
          exitCode: 137,
          reason: 'Completed',
          message: 'Sidecar container successfully stopped by nop image',
        },
      },
    ]);
  });

  it('results that are not what they were declared as fail it', () => {
    const story = new Story(
      'taskSpec: { results: [{ name: r, type: array }], steps: [{ name: s, image: i, script: "true" }] }',
    );
    story.look();
    const message = '[{"key":"r","value":"no list","type":1}]';
    story.podIs({
      phase: 'Succeeded',
      containerStatuses: [{ name: 'step-s', state: { terminated: { exitCode: 0, message } } }],
    });
    assert.equal(
      story.told(),
      `nothing | False TaskRunValidationFailed: [User error] Provided results don't match declared results; may be invalid JSON or missing result declaration:  "r": task result is expected to be "array" type but was initialized to a different type "string"`,
    );
    assert.equal(story.run.status?.results, undefined);
  });
});

describe('TaskRun: results that are objects', () => {
  it('an embedded Task’s missing keys are named twice, as Tekton does', () => {
    const story = new Story(
      'taskSpec: { results: [{ name: o, type: object, properties: { u: {}, v: {} } }], steps: [{ name: s, image: i, script: "true" }] }',
    );
    story.look();
    const message = JSON.stringify([{ key: 'o', value: '{"u":"x"}', type: 1 }]);
    story.podIs({
      phase: 'Succeeded',
      containerStatuses: [{ name: 'step-s', state: { terminated: { exitCode: 0, message } } }],
    });
    assert.equal(
      story.told(),
      "nothing | False TaskRunValidationFailed: [User error] missing keys for these results which are required in TaskResult's properties map[o:[v v]]",
    );
    assert.deepEqual(story.run.status?.results, [{ name: 'o', type: 'object', value: { u: 'x' } }]);
  });
});

describe('TaskRun: the API does not take its pod', () => {
  const cases = [
    {
      name: 'the quota is full: again in a minute',
      code: 403,
      message: 'pods "run-pod" is forbidden: exceeded quota: q',
      want: 'Unknown ExceededResourceQuota: TaskRun Pod exceeded available resources: pods "run-pod" is forbidden: exceeded quota: q',
      dueIn: 60_000,
    },
    {
      name: 'there is one of that name',
      code: 409,
      message: 'pods "run-pod" already exists',
      want: 'Unknown Pending: tried to create pod, but it already exists',
      dueIn: 1_000,
    },
    {
      name: 'it is not allowed',
      code: 403,
      message: 'pods "run-pod" is forbidden: violates PodSecurity "restricted"',
      want: 'False PodAdmissionFailed: pods "run-pod" is forbidden: violates PodSecurity "restricted"',
      dueIn: undefined,
    },
    {
      name: 'it is invalid',
      code: 422,
      message: 'Pod "run-pod" is invalid',
      want: 'False PodCreationFailed: failed to create task run pod "run": Pod "run-pod" is invalid. Maybe invalid TaskSpec',
      dueIn: undefined,
    },
  ];
  for (const { name, code, message, want, dueIn } of cases) {
    it(name, () => {
      const story = new Story(simple);
      const { status, dueAt, action } = refusedPod(story.decide(), story.run, { code, message }, start);
      assert.equal(verdictOf(status), want);
      assert.equal(dueAt, dueIn === undefined ? undefined : start + dueIn);
      assert.deepEqual(action, { at: 'nothing' });
      assert.equal(status.podName, '');
    });
  }
});

describe('TaskRun: refused', () => {
  const cases: { name: string; spec: string; others?: Others; want: string }[] = [
    {
      name: 'no such Task',
      spec: 'taskRef: { name: gone }',
      want: 'TaskRunResolutionFailed: error when listing tasks for taskRun run: tasks.tekton.dev "gone" not found',
    },
    {
      name: 'no such StepAction',
      spec: 'taskSpec: { steps: [{ name: s, ref: { name: gone } }] }',
      want: 'TaskRunResolutionFailed: failed to resolve step ref for step "s" (index 0): stepactions.tekton.dev "gone" not found',
    },
    {
      name: 'a parameter that a StepAction does not have',
      spec: 'taskSpec: { steps: [{ name: s, ref: { name: act }, params: [{ name: more, value: x }] }] }',
      others: { actions: { act: parse('{ image: i, script: "true" }') } },
      want: 'TaskRunResolutionFailed: failed to resolve step ref for step "s" (index 0): extra params passed by Step to StepAction: [more]',
    },
    {
      name: 'parameters that a StepAction must have',
      spec: 'taskSpec: { steps: [{ name: s, ref: { name: act } }] }',
      others: { actions: { act: parse('{ image: i, params: [{ name: a }, { name: b }], script: "true" }') } },
      want: 'TaskRunResolutionFailed: failed to resolve step ref for step "s" (index 0): non-existent params in Step: [a b]',
    },
    {
      name: 'a parameter is missing',
      spec: 'taskRef: { name: t }',
      others: { tasks: { t: parse('{ params: [{ name: who }], steps: [{ image: i, script: "true" }] }') } },
      want: 'TaskRunValidationFailed: [User error] invalid input params for task t: missing values for these params which have no default values: [who]',
    },
    {
      name: 'a workspace is not bound',
      spec: 'taskSpec: { workspaces: [{ name: w }], steps: [{ image: i, script: "true" }] }',
      want: 'TaskRunValidationFailed: [User error] declared workspace "w" is required but has not been bound',
    },
    {
      name: 'two claims at once',
      spec: '{ workspaces: [{ name: a, persistentVolumeClaim: { claimName: x } }, { name: b, persistentVolumeClaim: { claimName: y } }], taskSpec: { steps: [{ image: i, script: "true" }] } }',
      want: 'TaskRunValidationFailed: [User error] more than one PersistentVolumeClaim is bound',
    },
    {
      name: 'words about a step that is not there',
      spec: `{ stepSpecs: [{ name: nope, computeResources: {} }], ${simple} }`,
      want: 'TaskRunValidationFailed: [User error] invalid StepOverride: No Step named nope',
    },
    {
      name: 'an element beyond the end',
      spec: '{ params: [{ name: l, value: [a] }], taskSpec: { params: [{ name: l, type: array }], steps: [{ image: i, script: "echo $(params.l[3])" }] } }',
      want: 'TaskRunValidationFailed: [User error] non-existent param references:[$(params.l[3])]',
    },
    {
      name: 'a step that only an image could say what to do in',
      spec: 'taskSpec: { steps: [{ name: s, image: i }] }',
      want: 'PodCreationFailed: failed to create task run pod "run": translating TaskSpec to Pod: step "s" names neither a script nor a command, and the sandbox has no images to take one from. Maybe invalid TaskSpec',
    },
    {
      name: 'an account that is not there',
      spec: `{ serviceAccountName: nobody, ${simple} }`,
      want: 'PodCreationFailed: failed to create task run pod "run": translating TaskSpec to Pod: serviceaccounts "nobody" not found. Maybe invalid TaskSpec',
    },
    {
      name: 'two volumes of one name',
      spec: 'taskSpec: { volumes: [{ name: v, emptyDir: {} }, { name: v, emptyDir: {} }], steps: [{ image: i, script: "true" }] }',
      want: 'PodCreationFailed: failed to create task run pod "run": multiple volumes with same name "v": volumes[1].name. Maybe invalid TaskSpec',
    },
    {
      name: 'variables that come with a value, into a step of a Task by name',
      spec: '{ params: [{ name: a, value: $(params.b) and $(results.none.path) }], taskRef: { name: t } }',
      others: {
        tasks: { t: parse('{ params: [{ name: a }], steps: [{ image: i, command: [echo], args: [$(params.a)] }] }') },
      },
      want: 'PodCreationFailed: failed to create task run pod "run": non-existent variable in "$(params.b) and $(results.none.path)": steps[0].args[0]. Maybe missing or invalid Task here/t',
    },
    {
      name: 'a path that comes with a value, into a script',
      spec: '{ params: [{ name: a, value: $(results.none.path) }], taskSpec: { params: [{ name: a }], steps: [{ image: i, script: "cat $(params.a)" }] } }',
      want: 'PodCreationFailed: failed to create task run pod "run": non-existent variable in "cat $(results.none.path)": steps[0].script. Maybe invalid TaskSpec',
    },
  ];
  for (const { name, spec, others, want } of cases) {
    it(name, () => {
      const { action, status } = new Story(spec, others).look();
      assert.equal(verdictOf(status), `False ${want}`);
      assert.deepEqual(action, { at: 'nothing' });
      assert.ok(status.completionTime);
      assert.equal(status.podName, '');
    });
  }
});

describe('TaskRun: its pod', () => {
  it('steps wait for one another, the first for the sidecars', () => {
    const { containers } = podFor(`
      taskSpec:
        results: [{ name: r }]
        steps:
          - { name: a, image: i, command: [echo, one], args: [two], timeout: 90s, onError: continue }
          - { image: i, script: "#!/bin/ash\\necho hi" }`);
    assert.deepEqual(
      containers.map(({ name }) => name),
      ['step-a', 'step-unnamed-1'],
    );
    assert.deepEqual(containers[0]?.args, [
      ...['-wait_file', '/tekton/downward/ready', '-wait_file_content', '-post_file', '/tekton/run/0/out'],
      ...['-termination_path', '/tekton/termination', '-step_metadata_dir', '/tekton/run/0/status'],
      ...['-on_error', 'continue', '-timeout', '1m30s', '-results', 'r', '-entrypoint', 'echo', '--', 'one', 'two'],
    ]);
    assert.deepEqual(containers[1]?.args?.slice(0, 4), [
      '-wait_file',
      '/tekton/run/0/out',
      '-post_file',
      '/tekton/run/1/out',
    ]);
    assert.ok(containers[1]?.args?.includes('/tekton/scripts/script-1-abcde'));
  });

  it('scripts are placed with paths that only the kubelet knows', () => {
    const { initContainers } = podFor(
      'taskSpec: { results: [{ name: r }], steps: [{ image: i, script: "echo > $(results.r.path)" }] }',
    );
    const placed = parsePlacedScripts(initContainers.find(({ name }) => name === 'place-scripts')?.args);
    assert.deepEqual(placed, [
      { file: '/tekton/scripts/script-0-abcde', text: '#!/bin/sh\nset -e\necho > $(sandbox:/tekton/results/r)' },
    ]);
  });

  it('what the run shows of its Task has plain paths', () => {
    const story = new Story(
      '{ workspaces: [{ name: w, emptyDir: {} }], taskSpec: { results: [{ name: r }], steps: [{ name: s, image: i, script: "cp $(workspaces.w.path)/x $(results.r.path)" }] } }',
    );
    story.look();
    assert.equal(story.run.status?.taskSpec?.steps?.[0]?.script, 'cp /workspace/w/x /tekton/results/r');
  });

  it('workspaces are mounted everywhere, or only where somebody asks', () => {
    const { containers, volumes } = podFor(`
      workspaces: [{ name: all, emptyDir: {}, subPath: sub }, { name: own, configMap: { name: c } }]
      taskSpec:
        workspaces: [{ name: all, mountPath: /data }, { name: own, readOnly: true }]
        steps:
          - { name: a, image: i, command: [x] }
          - { name: b, image: i, command: ["$(workspaces.own.path)"], workspaces: [{ name: own, mountPath: /mine }] }`);
    const mounts = containers.map(({ volumeMounts = [] }) =>
      volumeMounts.filter(({ name }) => name.startsWith('ws-')).map(({ mountPath }) => mountPath),
    );
    assert.deepEqual(mounts, [['/data'], ['/mine', '/data']]);
    assert.ok(containers[1]?.args?.includes('$(sandbox:/mine)'));
    assert.deepEqual(
      volumes.filter(({ name }) => name.startsWith('ws-')).map((volume) => volume.configMap ?? volume.emptyDir),
      [{}, { name: 'c' }],
    );
  });

  it('an optional workspace that is not bound says so', () => {
    const { containers } = podFor(
      'taskSpec: { workspaces: [{ name: w, optional: true }], steps: [{ image: i, command: ["$(workspaces.w.bound)", "$(workspaces.w.path)"] }] }',
    );
    assert.deepEqual(containers[0]?.args?.slice(-4), ['-entrypoint', 'false', '--', '']);
  });

  it('the run’s own fields: deadline, account, template, labels', () => {
    const story = new Story(
      `
      timeout: 10m
      serviceAccountName: builder
      podTemplate: { nodeSelector: { disk: "$(params.disk)" }, env: [{ name: FROM, value: template }] }
      params: [{ name: disk, value: ssd }]
      taskRef: { name: t }`,
      {
        accounts: ['builder'],
        tasks: { t: parse('{ params: [{ name: disk }], steps: [{ name: s, image: i, command: [x] }] }') },
      },
    );
    const { action, labels } = story.look();
    assert.equal(action.at, 'create');
    const { pod } = action as { pod: Draft };
    const spec = pod.spec as Record<string, unknown> & { containers: Container[] };
    assert.equal(spec.activeDeadlineSeconds, 900);
    assert.equal(spec.serviceAccountName, 'builder');
    assert.deepEqual(spec.nodeSelector, { disk: 'ssd' });
    assert.deepEqual(spec.containers[0]?.env, [{ name: 'FROM', value: 'template' }]);
    assert.deepEqual(labels, { of: 'task', 'tekton.dev/task': 't' });
    assert.deepEqual(pod.metadata.labels, {
      ...labels,
      'app.kubernetes.io/managed-by': 'tekton-pipelines',
      'tekton.dev/taskRun': 'run',
      'tekton.dev/taskRunUID': 'uid',
    });
  });

  it('a retried run of a Task by name runs what it was given at first, with its paths marked again', () => {
    const story = new Story('{ retries: 1, taskRef: { name: t } }', {
      tasks: {
        t: parse(
          '{ results: [{ name: r }], steps: [{ name: s, image: i, script: "echo $(context.task.retry-count) > $(results.r.path)" }] }',
        ),
      },
    });
    story.look();
    story.podIs({ phase: 'Failed', containerStatuses: [{ name: 'step-s', state: ended(1) }] });
    story.look();
    const { action } = story.look();
    assert.equal(action.at, 'create');
    const { initContainers } = (action as { pod: Draft }).pod.spec as { initContainers: Container[] };
    const [script] = parsePlacedScripts(initContainers[1]?.args) ?? [];
    assert.match(script?.text ?? '', /echo 0 > \$\(sandbox:\/tekton\/results\/r\)$/);
  });

  it('a StepAction takes the place of the step that refers to it', () => {
    const { containers } = podFor(
      'taskSpec: { steps: [{ name: s, ref: { name: act }, params: [{ name: who, value: you }] }] }',
      {
        actions: {
          act: parse(
            '{ image: i, params: [{ name: who }, { name: how, default: well }], command: [greet], args: ["$(params.who)", "$(params.how)"], results: [{ name: r }] }',
          ),
        },
      },
    );
    assert.deepEqual(
      containers[0]?.args?.slice(-6),
      ['-step_results', 'r', '-entrypoint', 'greet', '--', 'you', 'well'].slice(-6),
    );
    assert.equal(containers[0]?.image, 'i');
  });

  it('a StepAction is handed the results of earlier steps', () => {
    const { containers } = podFor(
      `taskSpec:
        steps:
          - { name: one, image: i, command: [x], results: [{ name: l, type: array }, { name: o, type: object, properties: { k: {} } }, { name: t }] }
          - name: two
            ref: { name: act }
            params: [{ name: l, value: "$(steps.one.results.l[*])" }, { name: o, value: "$(steps.one.results.o[*])" }, { name: t, value: $(steps.one.results.t) }]`,
      {
        actions: {
          act: parse(
            '{ image: i, params: [{ name: l, type: array }, { name: o, type: object, properties: { k: {} } }, { name: t }], command: [echo], args: ["$(params.l[*])", "$(params.o.k)", "$(params.t)"] }',
          ),
        },
      },
    );
    assert.deepEqual(containers[1]?.args?.slice(-4), [
      '--',
      '$(steps.one.results.l[*])',
      '$(steps.one.results.o.k)',
      '$(steps.one.results.t)',
    ]);
  });

  it('working directories that are not there yet are made', () => {
    const { initContainers } = podFor(
      'taskSpec: { steps: [{ image: i, command: [x], workingDir: /workspace/b/ }, { image: i, command: [x], workingDir: /etc }, { image: i, command: [x], workingDir: a }] }',
    );
    assert.deepEqual(initContainers.find(({ name }) => name === 'working-dir-initializer')?.args, [
      '/workspace/b',
      'a',
    ]);
  });
});
