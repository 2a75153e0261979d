/** By hand: what cannot be had from a cluster in seconds. What real runs look like is in recorded.test.ts. */
import assert from 'node:assert/strict';
import { factsOf, objectsOf, recordedMoments } from '../../test/support/facts.ts';
import { failedContainer } from './failure.ts';
import { projectTaskRun } from './project.ts';
import { runStatus, taskRunStatus } from './status.ts';
import type { RunStatus, TaskPhase } from './types.ts';

const now = new Date('2026-11-01T10:10:00Z');
const statusOf = (yaml: string): RunStatus => runStatus(factsOf(objectsOf(yaml)), now);

/** A run in YAML: its status, and children as [kind, name, task, status]. */
function run(
  status: string,
  ...children: readonly (readonly [kind: string, name: string, task: string, status: string, spec?: string])[]
): string {
  const below = children.map(
    ([kind, name, task, told, spec = '{}']) => `---
kind: ${kind}
metadata:
  name: ${name}
  uid: ${name}-uid
  creationTimestamp: "2026-11-01T10:00:01Z"
  labels: { tekton.dev/pipelineTask: ${task} }
  ownerReferences: [{ kind: PipelineRun, name: r, uid: run, controller: true }]
spec: ${spec}
status: ${told}`,
  );
  return [
    `kind: PipelineRun
metadata: { name: r, namespace: a, uid: run, creationTimestamp: "2026-11-01T10:00:00Z" }
status:
${status.replace(/^/gm, '  ')}`,
    ...below,
  ].join('\n');
}

const condition = (status: string, reason: string, message = '') =>
  `conditions: [{ type: Succeeded, status: "${status}", reason: ${reason}, message: '${message}' }]`;
const succeeded = `{ ${condition('True', 'Succeeded')}, completionTime: "2026-11-01T10:00:05Z" }`;
const failed = (completed: string, steps = '') =>
  `{ ${condition('False', 'StepFailed', 'told')}, completionTime: "${completed}", podName: p, steps: [${steps}] }`;

describe('runStatus', () => {
  it('run 3: a run nobody has looked at yet', () => {
    const { phase, condition, tasks, progress, durations, failure } = statusOf(`
      kind: PipelineRun
      metadata: { name: r, uid: run, creationTimestamp: "2026-11-01T10:00:00Z" }
      spec: { pipelineSpec: { tasks: [{ name: build }] } }`);
    assert.equal(phase, 'pending');
    assert.equal(condition.reason, 'Pending');
    assert.deepEqual(
      tasks.map((task) => [task.name, task.phase]),
      [['build', 'notstarted']],
    );
    assert.equal(progress.notStarted, 1);
    assert.deepEqual(durations, {});
    assert.equal(failure, undefined);
  });

  it('run 40: an object of nothing but its kind', () => {
    const status = statusOf('kind: PipelineRun');
    assert.equal(status.phase, 'pending');
    assert.equal(status.asOf, now.toISOString());
  });

  const spec = 'pipelineSpec: { tasks: [{ name: t }, { name: u }] }\n';
  const phases: readonly { readonly name: string; readonly yaml: string; readonly want: TaskPhase }[] = [
    { name: 'no child', yaml: run(spec), want: 'notstarted' },
    { name: 'a child without a status', yaml: run(spec, ['TaskRun', 'r-t', 't', '{}']), want: 'pending' },
    {
      name: 'a child that waits for an image',
      yaml: run(spec, ['TaskRun', 'r-t', 't', `{ ${condition('Unknown', 'PullImageFailed')} }`]),
      want: 'pending',
    },
    {
      name: 'run 40: a reason nobody knows yet',
      yaml: run(spec, ['TaskRun', 'r-t', 't', `{ ${condition('Unknown', 'Dreaming')} }`]),
      want: 'running',
    },
    {
      name: 'run 21: skipped',
      yaml: run(`${spec}skippedTasks: [{ name: t, reason: When Expressions evaluated to false }]`),
      want: 'skipped',
    },
    {
      name: 'a child that is there although it is told to be skipped',
      yaml: run(`${spec}skippedTasks: [{ name: t, reason: None }]`, ['TaskRun', 'r-t', 't', succeeded]),
      want: 'succeeded',
    },
    {
      name: 'run 22: a failure that may be',
      yaml: run(spec, ['TaskRun', 'r-t', 't', `{ ${condition('False', 'FailureIgnored')} }`]),
      want: 'ignored',
    },
    {
      name: 'run 22: a timeout of a task that may fail',
      yaml: run('pipelineSpec: { tasks: [{ name: t, onError: continue }] }', [
        'TaskRun',
        'r-t',
        't',
        `{ ${condition('False', 'TaskRunTimeout')} }`,
      ]),
      want: 'ignored',
    },
    {
      name: 'run 22: a custom task that may fail',
      yaml: run('pipelineSpec: { tasks: [{ name: t, onError: continue }] }', [
        'CustomRun',
        'r-t',
        't',
        `{ ${condition('False', 'Refused')} }`,
      ]),
      want: 'ignored',
    },
    {
      name: 'cancelled',
      yaml: run(spec, ['TaskRun', 'r-t', 't', `{ ${condition('False', 'TaskRunCancelled')} }`]),
      want: 'cancelled',
    },
    {
      name: 'cancelled, because the time of the run was over',
      yaml: run(spec, [
        'TaskRun',
        'r-t',
        't',
        `{ ${condition('False', 'TaskRunCancelled')} }`,
        '{ statusMessage: TaskRun cancelled as the PipelineRun it belongs to has timed out. }',
      ]),
      want: 'timedout',
    },
    {
      name: 'a matrix at work: one waits, one is done',
      yaml: run(spec, ['TaskRun', 'r-t-0', 't', '{}'], ['TaskRun', 'r-t-1', 't', succeeded]),
      want: 'running',
    },
    {
      name: 'a matrix with one failure, still at work',
      yaml: run(spec, ['TaskRun', 'r-t-0', 't', failed('2026-11-01T10:00:05Z')], ['TaskRun', 'r-t-1', 't', '{}']),
      want: 'running',
    },
    {
      name: 'a matrix with one failure, done',
      yaml: run(spec, ['TaskRun', 'r-t-0', 't', failed('2026-11-01T10:00:05Z')], ['TaskRun', 'r-t-1', 't', succeeded]),
      want: 'failed',
    },
    {
      name: 'a child that was named and is not there, while the run goes on',
      yaml: run(`${spec}childReferences: [{ kind: TaskRun, name: r-t, pipelineTaskName: t }]`),
      want: 'pending',
    },
    {
      name: 'a child that is gone, of a run that succeeded',
      yaml: run(
        `${spec}childReferences: [{ kind: TaskRun, name: r-t, pipelineTaskName: t }]\n${condition('True', 'Succeeded')}`,
      ),
      want: 'succeeded',
    },
    {
      name: 'a child that is gone, of a run that failed',
      yaml: run(
        `${spec}childReferences: [{ kind: TaskRun, name: r-t, pipelineTaskName: t }]\n${condition('False', 'Failed')}`,
      ),
      want: 'deleted',
    },
  ];
  for (const { name, yaml, want } of phases)
    it(`${name}: the task is ${want}`, () => assert.equal(statusOf(yaml).tasks[0]?.phase, want));

  it('run 20: instances of a matrix show the parameters in which they differ', () => {
    const param = (os: string) => `{ params: [{ name: os, value: ${os} }, { name: level, value: full }] }`;
    const { tasks } = statusOf(
      run(
        spec,
        ['TaskRun', 'r-t-0', 't', '{}', param('linux')],
        ['TaskRun', 'r-t-1', 't', '{}', param('mac')],
        ['TaskRun', 'r-u', 'u', '{}', param('linux')],
      ),
    );
    assert.deepEqual(
      tasks.map(({ instances }) => instances.map(({ params }) => params)),
      [[[{ name: 'os', value: 'linux' }], [{ name: 'os', value: 'mac' }]], [undefined]],
    );
  });

  it('run 45: without CustomRun in the cluster a custom task is known by its reference', () => {
    const { tasks } = statusOf(
      run('childReferences: [{ apiVersion: tekton.dev/v1beta1, kind: CustomRun, name: r-t, pipelineTaskName: t }]'),
    );
    assert.deepEqual(
      tasks.map(({ name, kind, phase }) => [name, kind, phase]),
      [['t', 'CustomRun', 'pending']],
    );
  });

  it('run 30: a nested run is shown below its task, as far as eight deep and never in a circle', () => {
    const facts = factsOf(objectsOf(run(spec, ['PipelineRun', 'r-t', 't', '{}'])));
    const [nested] = facts.nested;
    assert.ok(nested);
    const cyclic = { ...facts, nested: [{ ...nested, nested: [facts] }] };
    assert.equal(runStatus(cyclic, now).tasks[0]?.instances[0]?.run?.name, 'r-t');
    const itself = { ...facts, nested: [facts] };
    const [only] = runStatus(itself, now).tasks.flatMap(({ instances }) => instances);
    assert.deepEqual([only?.name, only?.run], ['r', undefined]);
  });

  it('tells who triggered it, and keeps to what the labels say', () => {
    const { trigger } = statusOf(
      'kind: PipelineRun\nmetadata: { name: r, labels: { triggers.tekton.dev/triggers-eventid: e1, triggers.tekton.dev/trigger: push } }',
    );
    assert.deepEqual(trigger, { trigger: 'push', eventId: 'e1' });
  });
});

describe('durations', () => {
  const times = 'startTime: "2026-11-01T10:00:02Z"\nfinallyStartTime: "2026-11-01T10:09:00Z"\n';
  const pod = (taskRun: string, scheduled: string) => `---
kind: Pod
metadata: { name: ${taskRun}-pod, ownerReferences: [{ kind: TaskRun, name: ${taskRun}, uid: ${taskRun}-uid, controller: true }] }
status: { phase: Running, conditions: [{ type: PodScheduled, status: "True", lastTransitionTime: "${scheduled}" }] }`;
  const started = (time: string) => `{ startTime: "${time}" }`;

  it('count until now while the run goes on', () => {
    assert.deepEqual(statusOf(run(times)).durations, { running: 598_000, finally: 60_000 });
  });

  it('count until the end once it is done', () => {
    assert.deepEqual(statusOf(run(`${times}completionTime: "2026-11-01T10:09:30Z"`)).durations, {
      running: 568_000,
      finally: 30_000,
    });
  });

  it('queued: from creation until the first pod had a node', () => {
    const yaml = run(
      times,
      ['TaskRun', 'r-t', 't', started('2026-11-01T10:00:02Z')],
      ['TaskRun', 'r-u', 'u', started('2026-11-01T10:00:02Z')],
    );
    assert.equal(
      statusOf(`${yaml}\n${pod('r-u', '2026-11-01T10:00:05Z')}\n${pod('r-t', '2026-11-01T10:00:04Z')}`).durations
        .queued,
      4000,
    );
  });

  it('queued is not known when the first pod is not kept any more', () => {
    const yaml = run(
      times,
      ['TaskRun', 'r-t', 't', started('2026-11-01T10:00:02Z')],
      ['TaskRun', 'r-u', 'u', started('2026-11-01T10:05:00Z')],
    );
    assert.equal(statusOf(`${yaml}\n${pod('r-u', '2026-11-01T10:05:01Z')}`).durations.queued, undefined);
  });
});

describe('failure', () => {
  const step = (name: string, exitCode: number, reason: string, terminationReason?: string) =>
    `{ name: ${name}, terminated: { exitCode: ${exitCode}, reason: ${reason} }${terminationReason === undefined ? '' : `, terminationReason: ${terminationReason}`} }`;
  const runFailed = condition('False', 'Failed', 'Tasks Completed: 1 (Failed: 1, Cancelled 0), Skipped: 0');
  const at = '2026-11-01T10:00:05Z';
  const own = { task: 't', taskRun: 'r-t', reason: 'StepFailed', message: 'told' };
  const table: readonly { readonly name: string; readonly yaml: string; readonly want: object | undefined }[] = [
    {
      name: 'a run that succeeded has none',
      yaml: run(condition('True', 'Succeeded'), ['TaskRun', 'r-t', 't', `{ ${condition('False', 'FailureIgnored')} }`]),
      want: undefined,
    },
    {
      name: 'a run that is cancelled has none',
      yaml: run(condition('False', 'Cancelled'), [
        'TaskRun',
        'r-t',
        't',
        `{ ${condition('False', 'TaskRunCancelled')} }`,
      ]),
      want: undefined,
    },
    {
      name: 'a run that goes on has that of the task that failed',
      yaml: run(
        condition('Unknown', 'PipelineRunStopping'),
        ['TaskRun', 'r-t', 't', failed(at, step('a', 2, 'Error', 'Error'))],
        ['TaskRun', 'r-u', 'u', '{}'],
      ),
      want: { ...own, step: 'a', exitCode: 2 },
    },
    {
      name: 'run 23: the step that failed, not those that were skipped for it',
      yaml: run(runFailed, [
        'TaskRun',
        'r-t',
        't',
        failed(
          at,
          [
            step('a', 0, 'Completed', 'Completed'),
            step('b', 137, 'Error', 'Error'),
            step('c', 1, 'Error', 'Skipped'),
          ].join(),
        ),
      ]),
      want: { ...own, step: 'b', exitCode: 137 },
    },
    {
      name: 'run 22: not the step that may fail',
      yaml: run(runFailed, [
        'TaskRun',
        'r-t',
        't',
        failed(at, [step('a', 7, 'Completed', 'Continued'), step('b', 1, 'Error', 'Error')].join()),
      ]),
      want: { ...own, step: 'b', exitCode: 1 },
    },
    {
      name: 'run 45: v1beta1 has no termination reasons',
      yaml: run(runFailed, [
        'TaskRun',
        'r-t',
        't',
        failed(at, [step('a', 7, 'Completed'), step('b', 3, 'Error'), step('c', 1, 'Error')].join()),
      ]),
      want: { ...own, step: 'b', exitCode: 3 },
    },
    {
      name: 'out of memory, although the exit code is 0',
      yaml: run(runFailed, ['TaskRun', 'r-t', 't', failed(at, step('a', 0, 'OOMKilled', 'OOMKilled'))]),
      want: { ...own, step: 'a', exitCode: 0 },
    },
    {
      name: 'run 40: a step that ended without any reason',
      yaml: run(runFailed, [
        'TaskRun',
        'r-t',
        't',
        failed(at, '{ name: a, terminated: { exitCode: 0 } }, { name: b, terminated: { exitCode: 9 } }'),
      ]),
      want: { ...own, step: 'b', exitCode: 9 },
    },
    {
      name: 'run 17: the step whose image does not come, though all are closed alike',
      yaml: run(runFailed, [
        'TaskRun',
        'r-t',
        't',
        `{ conditions: [{ type: Succeeded, status: "False", reason: TaskRunImagePullFailed, message: 'the step "b" in TaskRun "r-t" failed to pull the image "x".' }], podName: p, steps: [${step('a', 1, 'TaskRunImagePullFailed', 'TaskRunImagePullFailed')}, ${step('b', 1, 'TaskRunImagePullFailed', 'TaskRunImagePullFailed')}] }`,
      ]),
      want: {
        task: 't',
        taskRun: 'r-t',
        step: 'b',
        reason: 'TaskRunImagePullFailed',
        message: 'the step "b" in TaskRun "r-t" failed to pull the image "x".',
      },
    },
    {
      name: 'the task that failed first, by completion; one that has no time comes last',
      yaml: run(
        runFailed,
        ['TaskRun', 'r-t', 't', `{ ${condition('False', 'StepFailed')} }`],
        ['TaskRun', 'r-u', 'u', failed('2026-11-01T10:00:09Z')],
        ['TaskRun', 'r-v', 'v', failed(at)],
      ),
      want: { task: 'v', taskRun: 'r-v', reason: 'StepFailed', message: 'told' },
    },
    {
      name: 'a custom task',
      yaml: run(runFailed, ['CustomRun', 'r-t', 't', `{ ${condition('False', 'Refused', 'no')} }`]),
      want: { task: 't', reason: 'Refused', message: 'no' },
    },
    {
      name: 'a run that failed without any task',
      yaml: run(condition('False', 'CouldntGetPipeline', 'not there')),
      want: { reason: 'CouldntGetPipeline', message: 'not there' },
    },
    {
      name: 'a run out of time: its reason, and where it stood',
      yaml: run(condition('False', 'PipelineRunTimeout', 'too late'), [
        'TaskRun',
        'r-t',
        't',
        `{ ${condition('False', 'TaskRunCancelled')}, podName: p, steps: [${step('a', 0, 'Completed', 'Completed')}, ${step('b', 1, 'TaskRunCancelled', 'TaskRunCancelled')}] }`,
        '{ statusMessage: TaskRun cancelled as the PipelineRun it belongs to has timed out. }',
      ]),
      want: { task: 't', taskRun: 'r-t', step: 'b', reason: 'PipelineRunTimeout', message: 'too late' },
    },
    {
      name: 'a run out of time before anything began',
      yaml: run(condition('False', 'PipelineRunTimeout', 'too late')),
      want: { reason: 'PipelineRunTimeout', message: 'too late' },
    },
  ];
  for (const { name, yaml, want } of table) it(name, () => assert.deepEqual(statusOf(yaml).failure, want));
});

describe('progress', () => {
  it('counts tasks as the message of Tekton does', () => {
    const { progress } = statusOf(
      run(
        'pipelineSpec: { tasks: [{ name: a }, { name: b }, { name: c, onError: continue }, { name: d }, { name: e }, { name: f }, { name: g }, { name: h }] }\nskippedTasks: [{ name: g, reason: None }]',
        ['TaskRun', 'r-a-0', 'a', succeeded],
        ['TaskRun', 'r-a-1', 'a', succeeded],
        ['TaskRun', 'r-b', 'b', `{ ${condition('False', 'TaskRunTimeout')} }`],
        ['TaskRun', 'r-c', 'c', `{ ${condition('False', 'FailureIgnored')} }`],
        ['TaskRun', 'r-d', 'd', `{ ${condition('False', 'TaskRunCancelled')} }`],
        ['TaskRun', 'r-e', 'e', `{ ${condition('Unknown', 'Running')} }`],
        ['TaskRun', 'r-f', 'f', '{}'],
      ),
    );
    assert.deepEqual(progress, {
      total: 8,
      succeeded: 1,
      failed: 1,
      ignored: 1,
      cancelled: 1,
      skipped: 1,
      running: 2,
      notStarted: 1,
    });
  });
});

describe('where logs are', () => {
  const logsOf = ({ namespace, name }: { namespace: string; name: string }, attempt: number, step: string) =>
    `${namespace}/${name}#${attempt}/${step}`;

  it('run 19: each step of each attempt has its own place, and so has the failing one', () => {
    const objects = [...recordedMoments('retries-fail').values()].at(-1) ?? [];
    const { failure, tasks } = runStatus(factsOf(objects), now, logsOf);
    const places = tasks
      .flatMap(({ instances }) => instances)
      .flatMap(({ attempts }) => attempts)
      .flatMap(({ steps }) => steps)
      .map(({ logs }) => logs);
    assert.equal(new Set(places).size, places.length);
    assert.equal(failure?.logs, places.at(-1));
    assert.match(failure?.logs ?? '', /#3\//);
  });

  it('run 30: the container of a failure in a nested run is found', () => {
    const objects = [...recordedMoments('nested').values()].at(-1) ?? [];
    const { failure, tasks } = runStatus(factsOf(objects), now, logsOf);
    const container = failedContainer(failure, tasks);
    assert.deepEqual([failure?.task, container?.container], ['release/publish', 'step-upload']);
    assert.equal(container?.taskRun, failure?.taskRun);
    assert.ok(container?.pod);
  });

  it('a failure without a step has no container', () => {
    assert.equal(failedContainer(undefined, []), undefined);
    assert.equal(failedContainer({ reason: 'CouldntGetPipeline', message: 'no' }, []), undefined);
  });
});

describe('taskRunStatus', () => {
  const alone = (status: string) =>
    taskRunStatus(
      projectTaskRun(
        objectsOf(`
kind: TaskRun
metadata: { name: t, namespace: ci, uid: u, creationTimestamp: "2026-11-01T10:00:00Z", labels: { tekton.dev/task: lint } }
spec: { retries: 2, params: [{ name: a, value: b }] }
status: ${status}`)[0] ?? {},
      ),
      [],
      now,
    );

  it('run 3: a TaskRun nobody has looked at yet', () => {
    const { phase, condition, attempts, retries, params, task, failure, durationMs } = alone('{}');
    assert.deepEqual([phase, condition.message], ['pending', 'TaskRun has not started']);
    assert.deepEqual(attempts, [{ steps: [] }]);
    assert.deepEqual([retries, params, task], [2, [{ name: 'a', value: 'b' }], 'lint']);
    assert.deepEqual([failure, durationMs], [undefined, undefined]);
  });

  for (const [name, status, want] of [
    ['failed', condition('False', 'StepFailed', 'told'), 'failed'],
    ['of which the failure is ignored', condition('False', 'FailureIgnored'), 'failed'],
    ['out of time', condition('False', 'TaskRunTimeout'), 'timedout'],
    ['cancelled', condition('False', 'TaskRunCancelled'), 'cancelled'],
    ['run 40: of a reason nobody knows', condition('False', 'InventedTomorrow'), 'failed'],
  ] as const) {
    it(`a TaskRun ${name}`, () => {
      const { phase, failure, durationMs } = alone(
        `{ ${status}, startTime: "2026-11-01T10:00:00Z", completionTime: "2026-11-01T10:00:05Z", podName: p, steps: [{ name: s, container: step-s, terminated: { exitCode: 4, reason: Error }, terminationReason: Error }] }`,
      );
      assert.equal(phase, want);
      assert.equal(durationMs, 5_000);
      assert.equal(failure?.exitCode, want === 'cancelled' ? undefined : 4);
    });
  }
});
