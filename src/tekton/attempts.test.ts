import assert from 'node:assert/strict';
import { objectsOf } from '../../test/support/facts.ts';
import { attemptStatus, attemptsOf, millisecondsBetween, waitingFor } from './attempts.ts';
import { projectPod, projectTaskRun } from './project.ts';
import type { Pod, TaskRun } from './types.ts';

const taskRun = (status: string): TaskRun => {
  const [raw = {}] = objectsOf(
    `kind: TaskRun\nmetadata: { name: r-t, uid: tr }\nstatus:\n${status.replace(/^/gm, '  ')}`,
  );
  return projectTaskRun(raw);
};

const pod = (name: string, more = '', owner = 'tr'): Pod => {
  const [raw = {}] = objectsOf(`
kind: Pod
metadata: { name: ${name}, uid: ${name}-uid, creationTimestamp: "2026-11-01T10:00:00Z", ownerReferences: [{ kind: TaskRun, name: r-t, uid: ${owner}, controller: true }] }
${more}`);
  return projectPod(raw);
};

const now = new Date('2026-11-01T10:01:00Z');

describe('attemptsOf', () => {
  const failed = 'conditions: [{ type: Succeeded, status: "False", reason: StepFailed }]';
  const retrying = 'conditions: [{ type: Succeeded, status: Unknown, reason: ToBeRetried, message: again }]';
  const past = (podName: string) => `{ podName: ${podName}, ${failed} }`;
  const table: readonly {
    readonly name: string;
    readonly status: string;
    readonly pods: readonly Pod[];
    readonly want: readonly (string | undefined)[];
  }[] = [
    { name: 'nothing yet: one attempt without a pod', status: '{}', pods: [], want: [undefined] },
    { name: 'the first pod', status: 'podName: p', pods: [pod('p')], want: ['p'] },
    { name: 'a pod that is seen before the TaskRun names it', status: '{}', pods: [pod('p')], want: ['p'] },
    { name: 'pods of other TaskRuns', status: '{}', pods: [pod('p', '', 'another')], want: [undefined] },
    {
      name: 'run 19: two failures and a third try, in order',
      status: `podName: p-retry2\nretriesStatus: [${past('p')}, ${past('p-retry1')}]`,
      pods: [pod('p-retry2'), pod('p'), pod('p-retry1')],
      want: ['p', 'p-retry1', 'p-retry2'],
    },
    {
      name: 'run 19: between two tries the next one is there, without a pod',
      status: `${retrying}\nretriesStatus: [${past('p')}]`,
      pods: [pod('p')],
      want: ['p', undefined],
    },
    {
      name: 'run 19: the pod of the next try is seen first',
      status: `${retrying}\nretriesStatus: [${past('p')}]`,
      pods: [pod('p-retry1'), pod('p')],
      want: ['p', 'p-retry1'],
    },
    {
      name: 'run 19: the TaskRun still tells of the try before',
      status: 'podName: p\nconditions: [{ type: Succeeded, status: Unknown, reason: Running }]',
      pods: [pod('p-retry1'), pod('p')],
      want: ['p', 'p-retry1'],
    },
    {
      name: 'a pod that a finished TaskRun does not name',
      status: `${failed}\npodName: p`,
      pods: [pod('p'), pod('leftover')],
      want: ['p'],
    },
  ];
  for (const { name, status, pods, want } of table) {
    it(name, () => {
      const attempts = attemptsOf(taskRun(status), pods);
      assert.deepEqual(
        attempts.map(({ podName }) => podName),
        want,
      );
      assert.deepEqual(
        attempts.map(({ number }) => number),
        want.map((_, place) => place + 1),
      );
      for (const attempt of attempts)
        assert.equal(
          attempt.pod?.meta.name,
          pods.some((one) => one.meta.name === attempt.podName) ? attempt.podName : undefined,
        );
    });
  }

  it('a retry without a pod does not show the steps of the try before', () => {
    const attempts = attemptsOf(
      taskRun(
        `${retrying}\nsteps: [{ name: a, terminated: { exitCode: 1 } }]\nretriesStatus: [{ podName: p, steps: [{ name: a, terminated: { exitCode: 1 } }] }]`,
      ),
      [],
    );
    assert.deepEqual(
      attempts.map(({ steps }) => steps.length),
      [1, 0],
    );
  });
});

describe('waitingFor', () => {
  const unknown = (reason: string) =>
    taskRun(`podName: p\nconditions: [{ type: Succeeded, status: Unknown, reason: ${reason}, message: told }]`);
  const table: readonly {
    readonly name: string;
    readonly of: TaskRun;
    readonly pods: readonly Pod[];
    readonly want: object | undefined;
  }[] = [
    { name: 'nothing known', of: taskRun('{}'), pods: [], want: undefined },
    { name: 'started, no pod yet', of: unknown('Started'), pods: [], want: undefined },
    {
      name: 'run 18: the quota',
      of: unknown('ExceededResourceQuota'),
      pods: [],
      want: { reason: 'ExceededResourceQuota', message: 'told' },
    },
    { name: 'a retry', of: unknown('ToBeRetried'), pods: [], want: { reason: 'ToBeRetried', message: 'told' } },
    {
      name: 'a Task from elsewhere',
      of: unknown('ResolvingTaskRef'),
      pods: [],
      want: { reason: 'ResolvingTaskRef', message: 'told' },
    },
    {
      name: 'a node',
      of: unknown('Pending'),
      pods: [
        pod(
          'p',
          'status: { phase: Pending, conditions: [{ type: PodScheduled, status: "False", reason: Unschedulable, message: 0/1 nodes are available }] }',
        ),
      ],
      want: { reason: 'Unschedulable', message: '0/1 nodes are available' },
    },
    {
      name: 'run 17: the container with a problem, not the first that waits',
      of: unknown('Pending'),
      pods: [
        pod(
          'p',
          `
spec: { containers: [{ name: step-a }, { name: step-b }] }
status:
  phase: Pending
  containerStatuses:
    - { name: step-a, state: { waiting: { reason: ContainerCreating } } }
    - { name: step-b, state: { waiting: { reason: ImagePullBackOff, message: Back-off } } }`,
        ),
      ],
      want: { container: 'step-b', reason: 'ImagePullBackOff', message: 'Back-off' },
    },
    {
      name: 'an init container',
      of: unknown('Pending'),
      pods: [
        pod(
          'p',
          `
spec: { initContainers: [{ name: prepare }], containers: [{ name: step-a }] }
status:
  phase: Pending
  initContainerStatuses: [{ name: prepare, state: { waiting: { reason: CreateContainerConfigError, message: no such secret } } }]
  containerStatuses: [{ name: step-a, state: { waiting: { reason: PodInitializing } } }]`,
        ),
      ],
      want: { container: 'prepare', reason: 'CreateContainerConfigError', message: 'no such secret' },
    },
    {
      name: 'running: nothing',
      of: unknown('Running'),
      pods: [
        pod(
          'p',
          'spec: { containers: [{ name: step-a }] }\nstatus: { phase: Running, containerStatuses: [{ name: step-a, state: { running: {} } }] }',
        ),
      ],
      want: undefined,
    },
    {
      name: 'done: nothing, whatever the pod says',
      of: taskRun('podName: p\nconditions: [{ type: Succeeded, status: "False", reason: TaskRunImagePullFailed }]'),
      pods: [
        pod(
          'p',
          'spec: { containers: [{ name: step-a }] }\nstatus: { phase: Pending, containerStatuses: [{ name: step-a, state: { waiting: { reason: ImagePullBackOff } } }] }',
        ),
      ],
      want: undefined,
    },
  ];
  for (const { name, of, pods, want } of table) {
    it(name, () => {
      const current = attemptsOf(of, pods).at(-1);
      assert.ok(current);
      assert.deepEqual(waitingFor(current), want);
    });
  }
});

describe('attemptStatus', () => {
  const statusOf = (status: string, pods: readonly Pod[] = []) => {
    const current = attemptsOf(taskRun(status), pods).at(-1);
    assert.ok(current);
    return attemptStatus(current, now);
  };

  it('tells steps with exit codes, reasons and durations, the running one until now', () => {
    const { steps } = statusOf(`
podName: p
steps:
  - { name: lint, container: step-lint, terminationReason: Continued, terminated: { exitCode: 7, reason: Completed, startedAt: "2026-11-01T10:00:00Z", finishedAt: "2026-11-01T10:00:03Z" } }
  - { name: compile, container: step-compile, running: { startedAt: "2026-11-01T10:00:30Z" } }
  - { name: push, container: step-push, running: { startedAt: "2026-11-01T10:00:00Z" } }
  - { name: odd, container: step-odd }`);
    assert.deepEqual(steps, [
      {
        name: 'lint',
        container: 'step-lint',
        state: 'terminated',
        exitCode: 7,
        reason: 'Continued',
        started: '2026-11-01T10:00:00Z',
        finished: '2026-11-01T10:00:03Z',
        durationMs: 3000,
      },
      {
        name: 'compile',
        container: 'step-compile',
        state: 'running',
        started: '2026-11-01T10:00:30Z',
        durationMs: 30_000,
      },
      // Its container runs, its turn has not come.
      { name: 'push', container: 'step-push', state: 'waiting' },
      { name: 'odd', container: 'step-odd', state: 'unknown' },
    ]);
  });

  it('tells the steps of the pod until the TaskRun does, without sidecars and init containers', () => {
    const { steps, podPhase, node, waiting } = statusOf('{}', [
      pod(
        'p',
        `
spec: { nodeName: n, initContainers: [{ name: step-not-one }], containers: [{ name: step-a }, { name: step-b }, { name: sidecar-c }] }
status: { phase: Pending, containerStatuses: [{ name: step-a, state: { waiting: { reason: PodInitializing } } }] }`,
      ),
    ]);
    assert.deepEqual(steps, [
      { name: 'a', container: 'step-a', state: 'waiting', reason: 'PodInitializing' },
      { name: 'b', container: 'step-b', state: 'unknown' },
    ]);
    assert.deepEqual(
      { podPhase, node, waiting },
      { podPhase: 'Pending', node: 'n', waiting: { container: 'step-a', reason: 'PodInitializing', message: '' } },
    );
  });
});

describe('millisecondsBetween', () => {
  const table: readonly [string | undefined, string | undefined, number | undefined][] = [
    ['2026-11-01T10:00:00Z', '2026-11-01T10:00:01.5Z', 1500],
    ['2026-11-01T10:00:00Z', '2026-11-01T12:00:00+02:00', 0],
    ['2026-11-01T10:00:01Z', '2026-11-01T10:00:00Z', 0],
    [undefined, '2026-11-01T10:00:00Z', undefined],
    ['2026-11-01T10:00:00Z', undefined, undefined],
    ['yesterday', '2026-11-01T10:00:00Z', undefined],
  ];
  for (const [from, to, want] of table)
    it(`${from} to ${to}: ${want}`, () => assert.equal(millisecondsBetween(from, to), want));
});
