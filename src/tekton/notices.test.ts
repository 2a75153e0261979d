import assert from 'node:assert/strict';
import { runFacts } from '../../test/support/run-facts.ts';
import { type LogFilters, logPlan } from './logs.ts';
import {
  awaited,
  closingNotices,
  goneNotice,
  type LogEnd,
  lingeringNotice,
  type Notice,
  noticesOf,
} from './notices.ts';

/** Notices in words: the sentence, with `(all)` when not everybody is told, `(loss)` when log is missing, and the pod that comes first. */
function told(notices: readonly Notice[]): string[] {
  return notices.map(({ level, sentence, after, isLoss }) =>
    [
      level === 'all' ? '(all) ' : '',
      isLoss ? '(loss) ' : '',
      sentence,
      after === undefined ? '' : ` <- ${after}`,
    ].join(''),
  );
}

function run(succeeded: string, more = ''): string {
  return `
kind: PipelineRun
metadata: { name: r }
status: { conditions: [${succeeded}]${more} }
---
`;
}

const running = '{ type: Succeeded, status: Unknown, reason: Running }';

function taskRun(status: string, { spec = '{}', name = 'r-build', task = 'build', of = 'r' } = {}): string {
  return `
kind: TaskRun
metadata: { name: ${name}, labels: { tekton.dev/pipelineRun: ${of}, tekton.dev/pipelineTask: ${task} } }
spec: ${spec}
status: ${status}
---
`;
}

const imagePull = `
kind: Pod
metadata: { name: b, labels: { tekton.dev/taskRun: r-build } }
spec: { containers: [{ name: step-clone }, { name: step-make }] }
status:
  phase: Pending
  containerStatuses:
    - { name: step-clone, state: { waiting: { reason: PodInitializing } } }
    - { name: step-make, state: { waiting: { reason: ImagePullBackOff, message: 'Back-off pulling image "nope:1"' } } }
---
`;

describe('noticesOf', () => {
  const cases: readonly { name: string; given: string; filters?: LogFilters; want: readonly string[] }[] = [
    { name: 'nothing to say of a run that runs', given: run(running) + taskRun('{ podName: b }'), want: [] },
    { name: 'run 3: a run without a status', given: run(''), want: ['(all) waiting for the run to start'] },
    {
      name: 'a run that a person holds back',
      given: 'kind: PipelineRun\nmetadata: { name: r }\nspec: { status: PipelineRunPending }',
      want: ['waiting for the run to start: its spec.status is PipelineRunPending'],
    },
    {
      name: 'a run that is looked up',
      given: run('{ type: Succeeded, status: Unknown, reason: ResolvingPipelineRef, message: awaiting git }'),
      want: ['(all) waiting for the run to start: ResolvingPipelineRef: awaiting git'],
    },
    {
      name: 'run 25: a run that is cancelled and runs its finally tasks',
      given: run(
        '{ type: Succeeded, status: Unknown, reason: CancelledRunningFinally, message: "Tasks Completed: 1" }',
      ),
      want: ['the run is being stopped: CancelledRunningFinally: Tasks Completed: 1'],
    },
    {
      name: 'run 17: an image that cannot be pulled, with task, container and message',
      given: run(running) + taskRun('{ podName: b }') + imagePull,
      want: ['task build, container step-make is waiting: ImagePullBackOff: Back-off pulling image "nope:1"'],
    },
    {
      name: 'run 16: a pod that no node takes',
      given: `${run(running)}${taskRun('{ podName: b }')}
kind: Pod
metadata: { name: b, labels: { tekton.dev/taskRun: r-build } }
spec: { containers: [{ name: step-make }] }
status: { phase: Pending, conditions: [{ type: PodScheduled, status: "False", reason: Unschedulable, message: 0/1 nodes are available }] }`,
      want: ['task build is waiting for a node: 0/1 nodes are available'],
    },
    {
      name: 'run 18: a quota',
      given:
        run(running) +
        taskRun(
          '{ conditions: [{ type: Succeeded, status: Unknown, reason: ExceededResourceQuota, message: "exceeded quota: q" }] }',
        ),
      want: ['task build is waiting: ExceededResourceQuota: exceeded quota: q'],
    },
    {
      name: 'run 19: each retry, after the lines of the attempt before',
      given:
        run(running) +
        taskRun(
          `{ podName: b3, retriesStatus: [
            { podName: b1, conditions: [{ type: Succeeded, status: "False", reason: StepFailed, message: exited with code 1 }] },
            { podName: b2, conditions: [{ type: Succeeded, status: "False", reason: TaskRunTimeout }] }] }`,
          { spec: '{ retries: 2 }' },
        ),
      want: [
        'task build: attempt 2 of 3 after StepFailed: exited with code 1 <- b1',
        'task build: attempt 3 of 3 after TaskRunTimeout <- b2',
      ],
    },
    {
      name: 'run 21: a skipped task, with the reason',
      given: run(running, ', skippedTasks: [{ name: lint, reason: When Expressions evaluated to false }]'),
      want: ['(all) task lint is skipped: When Expressions evaluated to false'],
    },
    {
      name: 'run 23: the step that failed, with its exit code',
      given:
        run(running) +
        taskRun(`{ podName: b, completionTime: 2026-11-01T10:01:00Z, conditions: [{ type: Succeeded, status: "False", reason: StepOOM }], steps: [
          { name: a, container: step-a, terminationReason: Completed, terminated: { exitCode: 0 } },
          { name: b, container: step-b, terminationReason: OOMKilled, terminated: { exitCode: 137 } },
          { name: c, container: step-c, terminationReason: Skipped, terminated: { exitCode: 1 } }] }`),
      want: ['task build failed: step b ended with exit code 137 (StepOOM) <- b'],
    },
    {
      name: 'a failure that may still be retried is not told',
      given:
        run(running) +
        taskRun('{ podName: b, conditions: [{ type: Succeeded, status: "False", reason: PodEvicted }] }'),
      want: [],
    },
    {
      name: 'run 22: a failure that the pipeline tolerates is no problem',
      given:
        run(running) +
        taskRun(
          '{ podName: b, completionTime: 2026-11-01T10:01:00Z, conditions: [{ type: Succeeded, status: "False", reason: FailureIgnored, message: it broke }] }',
        ),
      want: ['(all) task build failed, which its pipeline tolerates: it broke <- b'],
    },
    {
      name: 'run 17: a task that never ran tells why',
      given:
        run(running) +
        taskRun(
          '{ completionTime: 2026-11-01T10:01:00Z, conditions: [{ type: Succeeded, status: "False", reason: TaskRunImagePullFailed, message: "no\\nsuch image" }] }',
        ),
      want: ['task build failed: TaskRunImagePullFailed: no\\nsuch image'],
    },
    {
      name: 'run 24, 26: tasks that were stopped',
      given:
        run('{ type: Succeeded, status: "False", reason: Cancelled }') +
        taskRun('{ conditions: [{ type: Succeeded, status: "False", reason: TaskRunCancelled }] }') +
        taskRun('{ podName: t, conditions: [{ type: Succeeded, status: "False", reason: TaskRunTimeout }] }', {
          name: 'r-test',
          task: 'test',
        }),
      want: ['task build was cancelled', 'task test timed out <- t'],
    },
    {
      name: 'run 30: what happens in a nested run',
      given: `${run(running)}
kind: PipelineRun
metadata: { name: r-deploy, labels: { tekton.dev/pipelineRun: r, tekton.dev/pipelineTask: deploy } }
status: { conditions: [{ type: Succeeded, status: "False", reason: Failed, message: "Tasks Completed: 1" }] }
---${taskRun('{ podName: b, completionTime: 2026-11-01T10:01:00Z, conditions: [{ type: Succeeded, status: "False", reason: StepFailed, message: m }] }', { of: 'r-deploy' })}`,
      want: ['task deploy/build failed: StepFailed: m <- b', '(all) task deploy failed: Tasks Completed: 1'],
    },
    {
      name: 'a custom task that failed',
      given: `${run(running)}
kind: CustomRun
metadata: { name: r-approve, labels: { tekton.dev/pipelineRun: r, tekton.dev/pipelineTask: approve } }
status: { conditions: [{ type: Succeeded, status: "False", reason: Denied, message: not today }] }`,
      want: ['task approve failed: Denied: not today'],
    },
    {
      name: 'a TaskRun that was deleted before its run',
      given: run(
        '{ type: Succeeded, status: "True", reason: Succeeded }',
        ', childReferences: [{ kind: TaskRun, name: r-build, pipelineTaskName: build }]',
      ),
      want: ['(loss) task build: its log is gone with TaskRun r-build'],
    },
    {
      name: 'nothing of tasks that were not asked for',
      given: run(running) + taskRun('{ podName: b }') + imagePull,
      filters: { task: ['test'] },
      want: [],
    },
    {
      name: 'what the cluster says cannot command a terminal',
      given: run(running) + taskRun('{ podName: b }') + imagePull.replace(/'(.*)'/, '"x\\u001b[2Jy"'),
      want: ['task build, container step-make is waiting: ImagePullBackOff: x\\u001b[2Jy'],
    },
  ];
  for (const { name, given, filters, want } of cases)
    it(name, () => assert.deepEqual(told(noticesOf(runFacts(given), filters)), want));

  it('has the same key for the same thing, and another for another', () => {
    const before = noticesOf(runFacts(run(running) + taskRun('{ podName: b }') + imagePull));
    const again = noticesOf(
      runFacts(run(running) + taskRun('{ podName: b }') + imagePull.replace('Back-off', 'Still')),
    );
    const other = noticesOf(
      runFacts(run(running) + taskRun('{ podName: b }') + imagePull.replace('ImagePullBackOff', 'ErrImagePull')),
    );
    assert.equal(again[0]?.key, before[0]?.key);
    assert.notEqual(other[0]?.key, before[0]?.key);
  });
});

describe('closingNotices', () => {
  const failed = '{ type: Succeeded, status: "False", reason: Failed, message: "Tasks Completed: 2 (Failed: 1)" }';
  const cases: readonly { name: string; given: string; ended?: LogEnd; complete?: boolean; want: readonly string[] }[] =
    [
      {
        name: 'a run that succeeded needs no words',
        given: '{ type: Succeeded, status: "True", reason: Completed, message: fine }',
        want: ['(all) run r succeeded: fine'],
      },
      {
        name: 'run 36: a run that failed',
        given: failed,
        want: ['run r failed: Tasks Completed: 2 (Failed: 1)'],
      },
      {
        name: 'run 24: a cancelled run',
        given: '{ type: Succeeded, status: "False", reason: Cancelled }',
        complete: false,
        want: ['(loss) some of the log is missing', 'run r was cancelled'],
      },
      {
        name: 'run 26: a run out of time',
        given: '{ type: Succeeded, status: "False", reason: PipelineRunTimeout }',
        want: ['run r timed out'],
      },
      {
        name: 'run 27: a run that was deleted',
        given: running,
        ended: 'deleted',
        complete: false,
        want: ['run r was deleted'],
      },
      { name: 'a run that goes on', given: running, want: ['run r is still running'] },
      { name: 'a run that nobody has looked at', given: '', want: ['run r is still pending'] },
      {
        name: 'run 38: a gateway that stops',
        given: running,
        ended: 'draining',
        want: ['this gateway is stopping; ask again to go on'],
      },
      {
        name: 'an answer that is as long as it may be',
        given: running,
        ended: 'limited',
        complete: false,
        want: ['limitBytes is reached; ask again with the cursor to go on', 'run r is still running'],
      },
    ];
  it('what a condition says again of its phase is left out, and a task run is called one', () => {
    const condition = (reason: string, message: string) =>
      runFacts(run(`{ type: Succeeded, status: "False", reason: ${reason}, message: '${message}' }`)).run;
    const last = (reason: string, message: string) =>
      closingNotices(condition(reason, message), 'finished', true, 'task run').map(({ sentence }) => sentence);
    assert.deepEqual(last('Cancelled', 'PipelineRun "r" was cancelled'), ['task run r was cancelled']);
    assert.deepEqual(last('TaskRunCancelled', 'TaskRun "r" was cancelled. It was too slow.'), [
      'task run r was cancelled: It was too slow.',
    ]);
    assert.deepEqual(last('TaskRunImagePullFailed', 'no image'), [
      'task run r failed: TaskRunImagePullFailed: no image',
    ]);
  });

  for (const { name, given, ended = 'finished', complete = true, want } of cases)
    it(name, () => assert.deepEqual(told(closingNotices(runFacts(run(given)).run, ended, complete)), want));
});

describe('goneNotice', () => {
  it('run 24: says how a step ended whose log went with its pod', () => {
    const facts = runFacts(
      run('{ type: Succeeded, status: "False", reason: Cancelled }') +
        taskRun(`{ podName: b, conditions: [{ type: Succeeded, status: "False", reason: TaskRunCancelled }], steps: [
          { name: make, container: step-make, terminationReason: TaskRunCancelled,
            terminated: { exitCode: 1, startedAt: 2026-11-01T10:00:05Z } }] }`),
    );
    const [pod] = logPlan(facts);
    const [step] = pod?.steps ?? [];
    assert.ok(pod !== undefined && step?.state === 'gone');
    assert.deepEqual(told([goneNotice(pod, step)]), [
      '(loss) task build: the log of step make is gone with its pod (TaskRunCancelled, exit code 1) <- b',
    ]);
  });
});

describe('lingeringNotice', () => {
  it('run 29: names the container that was not stopped', () => {
    const facts = runFacts(
      run('{ type: Succeeded, status: "True", reason: Succeeded }') +
        taskRun('{ podName: b, conditions: [{ type: Succeeded, status: "True" }] }') +
        imagePull.replace('containers: [', 'containers: [{ name: sidecar-db }, '),
    );
    const [pod] = logPlan(facts, { include: ['sidecar'] });
    const [container] = pod?.beside ?? [];
    assert.ok(pod !== undefined && container !== undefined);
    assert.deepEqual(told([lingeringNotice(pod, container)]), [
      '(loss) task build: container sidecar-db still runs although its task is over; it is not waited for <- b',
    ]);
  });
});

describe('awaited', () => {
  const podOf = (state: string) => `
kind: Pod
metadata: { name: b, labels: { tekton.dev/taskRun: r-build } }
spec: { containers: [{ name: step-clone }, { name: step-make }] }
status: { phase: Running, containerStatuses: [{ name: step-clone, state: ${state} }] }
---
`;
  const inPod = `{ podName: b, conditions: [{ type: Succeeded, status: Unknown, reason: Running }] }`;
  const many = ['a', 'b', 'c', 'd', 'e']
    .map((task) =>
      taskRun('{ conditions: [{ type: Succeeded, status: Unknown, reason: Pending }] }', { name: `r-${task}`, task }),
    )
    .join('');
  const cases: readonly { name: string; given: string; filters?: LogFilters; want: string }[] = [
    { name: 'a run that nobody has looked at', given: run(''), want: 'the run to start' },
    { name: 'a run between two tasks', given: run(running), want: 'the next task' },
    { name: 'a run that is over', given: run('{ type: Succeeded, status: "True" }'), want: 'the last lines' },
    {
      name: 'run 35: a step that says nothing',
      given: run(running) + taskRun(inPod) + podOf('{ running: {} }'),
      want: 'task build, step clone',
    },
    {
      name: 'a pod that does not start',
      given: run(running) + taskRun(inPod) + imagePull,
      want: 'task build to start (ImagePullBackOff)',
    },
    {
      name: 'only tasks that were asked for',
      given: run(running) + taskRun(inPod) + imagePull,
      filters: { task: ['test'] },
      want: 'the next task',
    },
    {
      name: 'no more than three of many',
      given: run(running) + many,
      want: 'task a to start (Pending); task b to start (Pending); task c to start (Pending); 2 more',
    },
  ];
  for (const { name, given, filters, want } of cases)
    it(name, () => assert.equal(awaited(runFacts(given), filters), want));
});
