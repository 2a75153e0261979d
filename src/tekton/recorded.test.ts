/**
 * What real runs look like: the cases of test/cluster/runs as a real Tekton made them, recorded by
 * test/cluster/record-runs.ts. What cannot be had there in seconds is made by
 * hand: `byHand` in reasons.test.ts lists it.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { recordedFacts, recordedMoments } from '../../test/support/facts.ts';
import { attemptsOf, isFinal, runCondition, runStatus, taskRunsOf } from './status.ts';
import type { Failure, InstanceStatus, RunStatus } from './types.ts';

const now = new Date('2030-01-01T00:00:00Z');
const statusOf = (name: string, moment?: string) => runStatus(recordedFacts(name, moment), now);
const instancesOf = ({ tasks }: RunStatus) => tasks.flatMap(({ instances }) => instances);
const stepsOf = ({ attempts }: InstanceStatus) =>
  (attempts.at(-1)?.steps ?? []).map(({ name, exitCode, reason }) => [name, exitCode, reason].join(' '));

/** A run in a line: `failed Failed: build failed StepFailed; deploy notstarted`. */
function sketch({ phase, condition, tasks }: RunStatus): string {
  const told = tasks.map((task) => [task.name, task.phase, task.skip ?? task.reason].filter(Boolean).join(' '));
  return `${phase} ${condition.reason}: ${told.join('; ')}`;
}

describe('recorded runs', () => {
  const table: readonly {
    readonly run: string;
    readonly name: string;
    readonly moment?: string;
    readonly want: string;
  }[] = [
    {
      run: 'run 3: ',
      name: 'results',
      moment: 'created',
      want: 'pending Pending: version notstarted; test notstarted; build notstarted; report notstarted',
    },
    {
      run: 'run 2: ',
      name: 'results',
      moment: 'running',
      want: 'running Running: version running Running; test notstarted; build notstarted; report notstarted',
    },
    {
      run: 'run 1: ',
      name: 'results',
      want: 'succeeded Succeeded: version succeeded Succeeded; test succeeded Succeeded; build succeeded Succeeded; report succeeded Succeeded',
    },
    {
      run: 'run 45: ',
      name: 'results',
      moment: 'final-v1beta1',
      want: 'succeeded Succeeded: version succeeded Succeeded; test succeeded Succeeded; build succeeded Succeeded; report succeeded Succeeded',
    },
    {
      run: 'run 23: ',
      name: 'failing-step',
      want: 'failed Failed: build failed StepFailed; deploy skipped PipelineRun was stopping; report succeeded Succeeded',
    },
    {
      run: 'run 45: ',
      name: 'failing-step',
      moment: 'final-v1beta1',
      want: 'failed Failed: build failed StepFailed; deploy skipped PipelineRun was stopping; report succeeded Succeeded',
    },
    { run: 'run 2: ', name: 'failing-exit-7', want: 'failed Failed: build failed StepFailed' },
    { run: 'run 22: ', name: 'step-continues', want: 'succeeded Succeeded: build succeeded Succeeded' },
    {
      run: 'run 22: ',
      name: 'task-continues',
      want: 'succeeded Succeeded: scan ignored FailureIgnored; build succeeded Succeeded',
    },
    {
      run: 'run 19: ',
      name: 'retries-succeed',
      moment: 'retrying',
      want: 'running Running: flaky running ToBeRetried',
    },
    { run: 'run 19: ', name: 'retries-succeed', want: 'succeeded Succeeded: flaky succeeded Succeeded' },
    { run: 'run 19: ', name: 'retries-fail', want: 'failed Failed: flaky failed StepFailed' },
    { run: 'run 20: ', name: 'matrix', want: 'succeeded Succeeded: check succeeded Succeeded' },
    {
      run: 'run 21: ',
      name: 'skipped',
      want: 'succeeded Completed: optional skipped When Expressions evaluated to false; needs-result skipped Results were missing; after-skipped skipped Parent Tasks were skipped; build succeeded Succeeded',
    },
    {
      run: '',
      name: 'cancelled',
      moment: 'running',
      want: 'running Running: build running Running; deploy notstarted; report notstarted',
    },
    {
      run: '',
      name: 'cancelled',
      moment: 'done',
      want: 'cancelled Cancelled: build cancelled TaskRunCancelled; deploy notstarted; report notstarted',
    },
    {
      run: '',
      name: 'cancelled',
      want: 'cancelled Cancelled: build cancelled TaskRunCancelled; deploy notstarted; report notstarted',
    },
    {
      run: '',
      name: 'cancelled-run-finally',
      moment: 'finally',
      want: 'running CancelledRunningFinally: build cancelled TaskRunCancelled; deploy skipped PipelineRun was gracefully cancelled; report pending',
    },
    {
      run: '',
      name: 'cancelled-run-finally',
      // Tekton tells another reason for the same skip once the run is over.
      want: 'cancelled Cancelled: build cancelled TaskRunCancelled; deploy skipped PipelineRun was stopping; report succeeded Succeeded',
    },
    {
      run: '',
      name: 'stopped-run-finally',
      moment: 'finally',
      want: 'running StoppedRunningFinally: build succeeded Succeeded; deploy skipped PipelineRun was gracefully stopped; report pending',
    },
    {
      run: '',
      name: 'stopped-run-finally',
      want: 'cancelled Cancelled: build succeeded Succeeded; deploy skipped PipelineRun was gracefully stopped; report succeeded Succeeded',
    },
    {
      run: '',
      name: 'pipeline-timeout',
      moment: 'done',
      want: 'timedout PipelineRunTimeout: build timedout TaskRunCancelled',
    },
    {
      run: '',
      name: 'tasks-timeout',
      moment: 'finally',
      want: 'running PipelineRunTimeoutRunningFinally: build timedout TaskRunCancelled; report pending Pending',
    },
    {
      run: '',
      name: 'tasks-timeout',
      want: 'timedout PipelineRunTimeout: build timedout TaskRunCancelled; report succeeded Succeeded',
    },
    { run: '', name: 'task-timeout', want: 'failed Failed: build timedout TaskRunTimeout' },
    { run: '', name: 'step-timeout', want: 'failed Failed: build failed StepFailed' },
    {
      run: 'run 17: ',
      name: 'image-missing',
      moment: 'waiting',
      want: 'running Running: build pending PullImageFailed',
    },
    { run: 'run 17: ', name: 'image-missing', want: 'failed Failed: build failed TaskRunImagePullFailed' },
    { run: '', name: 'pipeline-missing', want: 'failed CouldntGetPipeline: ' },
    { run: '', name: 'task-missing', want: 'failed CouldntGetTask: build notstarted' },
    { run: '', name: 'parameter-missing', want: 'failed ParameterMissing: build notstarted' },
    { run: '', name: 'pending', moment: 'pending', want: 'pending PipelineRunPending: build notstarted' },
    { run: 'run 18: ', name: 'quota', moment: 'waiting', want: 'running Running: build pending ExceededResourceQuota' },
    { run: '', name: 'unschedulable', moment: 'waiting', want: 'running Running: build pending Pending' },
    { run: '', name: 'custom-run', moment: 'running', want: 'running Running: approve pending' },
    { run: 'run 40: ', name: 'custom-run', want: 'succeeded Succeeded: approve succeeded Approved' },
    {
      run: 'run 30: ',
      name: 'nested',
      moment: 'running',
      want: 'running Running: build succeeded Succeeded; release running Running',
    },
    { run: 'run 30: ', name: 'nested', want: 'failed Failed: build succeeded Succeeded; release failed Failed' },
    { run: '', name: 'sidecar', want: 'succeeded Succeeded: build succeeded Succeeded' },
    { run: '', name: 'out-of-memory', want: 'failed Failed: build failed StepOOM' },
    { run: '', name: 'out-of-memory-unnoticed', want: 'failed Failed: build failed StepOOM' },
  ];
  for (const { run, name, moment, want } of table) {
    it(`${run}${name}${moment === undefined ? '' : `, ${moment}`}`, () =>
      assert.equal(sketch(statusOf(name, moment)), want));
  }

  it('every recorded case is in the table', () => {
    const recorded = readdirSync(join(import.meta.dirname, '../../test/fixtures/tekton')).map((file) =>
      file.slice(0, -'.json'.length),
    );
    assert.deepEqual([...new Set(table.map(({ name }) => name))].sort(), recorded.sort());
  });

  it('progress counts what the message of Tekton counts, in every run that is done', () => {
    for (const { name } of table) {
      for (const moment of recordedMoments(name).keys()) {
        const { condition, progress } = statusOf(name, moment);
        const counts =
          /^Tasks Completed: (\d+) \(Failed: (\d+)(?: \(Ignored: (\d+)\))?, Cancelled (\d+)\), Skipped: (\d+)$/.exec(
            condition.message,
          );
        if (counts === null) continue;
        const [completed, failed, ignored, cancelled, skipped] = counts.slice(1).map((count) => Number(count ?? 0));
        const { succeeded, ...ours } = progress;
        assert.deepEqual(
          [
            succeeded + ours.failed + ours.ignored + ours.cancelled,
            ours.failed + ours.ignored,
            ours.ignored,
            ours.cancelled,
            ours.skipped,
          ],
          [completed, failed, ignored, cancelled, skipped],
          `${name}, ${moment}`,
        );
      }
    }
  });
});

describe('recorded failures', () => {
  const table: readonly {
    readonly run: string;
    readonly name: string;
    readonly moment?: string;
    readonly want: Omit<Failure, 'message'> | undefined;
    readonly message?: RegExp;
  }[] = [
    { run: 'run 1: ', name: 'results', want: undefined },
    {
      run: 'run 23: ',
      name: 'failing-step',
      want: { task: 'build', taskRun: 'failing-step-build', step: 'kill', exitCode: 137, reason: 'StepFailed' },
    },
    {
      run: 'run 45: ',
      name: 'failing-step',
      moment: 'final-v1beta1',
      want: { task: 'build', taskRun: 'failing-step-build', step: 'kill', exitCode: 137, reason: 'StepFailed' },
    },
    {
      run: 'run 2: ',
      name: 'failing-exit-7',
      want: { task: 'build', taskRun: 'failing-exit-7-build', step: 'compile', exitCode: 7, reason: 'StepFailed' },
    },
    { run: 'run 22: ', name: 'step-continues', want: undefined },
    { run: 'run 22: ', name: 'task-continues', want: undefined },
    { run: 'run 19: ', name: 'retries-succeed', moment: 'retrying', want: undefined },
    {
      run: 'run 19: ',
      name: 'retries-fail',
      want: { task: 'flaky', taskRun: 'retries-fail-flaky', step: 'try', exitCode: 1, reason: 'StepFailed' },
    },
    { run: '', name: 'cancelled', want: undefined },
    { run: '', name: 'stopped-run-finally', want: undefined },
    {
      run: '',
      name: 'pipeline-timeout',
      want: { task: 'build', taskRun: 'pipeline-timeout-build', step: 'compile', reason: 'PipelineRunTimeout' },
      message: /within "8s"/,
    },
    {
      run: '',
      name: 'tasks-timeout',
      moment: 'finally',
      want: { task: 'build', taskRun: 'tasks-timeout-build', step: 'compile', reason: 'TaskRunCancelled' },
      message: /has timed out/,
    },
    {
      run: '',
      name: 'task-timeout',
      want: { task: 'build', taskRun: 'task-timeout-build', step: 'compile', reason: 'TaskRunTimeout' },
    },
    {
      run: '',
      name: 'step-timeout',
      want: { task: 'build', taskRun: 'step-timeout-build', step: 'compile', exitCode: 1, reason: 'StepFailed' },
      message: /specified timeout limit/,
    },
    { run: 'run 17: ', name: 'image-missing', moment: 'waiting', want: undefined },
    {
      run: 'run 17: ',
      name: 'image-missing',
      want: { task: 'build', taskRun: 'image-missing-build', step: 'broken', reason: 'TaskRunImagePullFailed' },
    },
    {
      run: '',
      name: 'pipeline-missing',
      want: { reason: 'CouldntGetPipeline' },
      message: /"nobody-made-this-pipeline" not found/,
    },
    { run: '', name: 'task-missing', want: { reason: 'CouldntGetTask' }, message: /"nobody-made-this-task" not found/ },
    { run: '', name: 'parameter-missing', want: { reason: 'ParameterMissing' }, message: /^\[User error\] / },
    {
      run: 'run 30: ',
      name: 'nested',
      want: {
        task: 'release/publish',
        taskRun: 'nested-release-publish',
        step: 'upload',
        exitCode: 4,
        reason: 'StepFailed',
      },
    },
    {
      run: '',
      name: 'out-of-memory',
      want: { task: 'build', taskRun: 'out-of-memory-build', step: 'compile', exitCode: 137, reason: 'StepOOM' },
    },
    {
      run: '',
      name: 'out-of-memory-unnoticed',
      want: {
        task: 'build',
        taskRun: 'out-of-memory-unnoticed-build',
        step: 'compile',
        exitCode: 0,
        reason: 'StepOOM',
      },
    },
  ];
  for (const { run, name, moment, want, message } of table) {
    it(`${run}${name}${moment === undefined ? '' : `, ${moment}`}`, () => {
      const { failure } = statusOf(name, moment);
      if (failure === undefined || want === undefined) return assert.equal(failure, want);
      const { message: told, ...found } = failure;
      assert.deepEqual(found, want);
      if (message !== undefined) assert.match(told, message);
    });
  }
});

describe('recorded details', () => {
  it('run 1: the four keys in the order of the listener', () => {
    assert.equal(
      JSON.stringify(runCondition(recordedFacts('results').run)),
      '{"message":"Tasks Completed: 4 (Failed: 0, Cancelled 0), Skipped: 0","reason":"Succeeded","type":"Succeeded","status":"True"}',
    );
  });

  it('run 45: v1 and v1beta1 tell the same of one run, but for termination reasons', () => {
    const [now1, old] = [statusOf('results'), statusOf('results', 'final-v1beta1')];
    assert.deepEqual(now1, old);
    assert.deepEqual(now1.results, [{ name: 'version', value: '1.2.3' }]);
    assert.deepEqual(instancesOf(now1)[0]?.results, [{ name: 'version', value: '1.2.3' }]);
  });

  it('tasks, edges, times and triggers of a green run', () => {
    const status = statusOf('results');
    assert.deepEqual(
      status.tasks.map(({ name, displayName, memberOf, runAfter }) => [name, displayName, memberOf, runAfter.join()]),
      [
        ['version', undefined, 'tasks', ''],
        ['test', 'Test it', 'tasks', 'version'],
        ['build', undefined, 'tasks', 'version'],
        ['report', undefined, 'finally', ''],
      ],
    );
    assert.deepEqual(status.trigger, {
      eventListener: 'github',
      trigger: 'push',
      eventId: '5cb8e6f6-0000-4000-8000-1d1c0f4b0b3a',
    });
    assert.deepEqual(status.params, [{ name: 'revision', value: 'main' }]);
    const { queued = -1, running = -1, finally: last = -1 } = status.durations;
    assert.ok(queued >= 0 && last > 0 && running > last);
  });

  it('run 19: three attempts in order, each in its own pod', () => {
    const facts = recordedFacts('retries-succeed');
    const [taskRun] = facts.taskRuns;
    assert.ok(taskRun);
    assert.deepEqual(
      attemptsOf(taskRun, facts.pods).map(({ number, pod, succeeded }) => [number, pod?.meta.name, succeeded?.status]),
      [
        [1, 'retries-succeed-flaky-pod', 'False'],
        [2, 'retries-succeed-flaky-pod-retry1', 'False'],
        [3, 'retries-succeed-flaky-pod-retry2', 'True'],
      ],
    );
    assert.equal(instancesOf(statusOf('retries-fail'))[0]?.attempts.length, 3);
  });

  it('run 20: nine instances, nine names, the two parameters that differ', () => {
    const status = statusOf('matrix');
    assert.deepEqual(
      taskRunsOf(recordedFacts('matrix')).map(({ displayName }) => displayName),
      Array.from({ length: 9 }, (_, n) => `check-${n}`),
    );
    const params = instancesOf(status).map((instance) =>
      (instance.params ?? []).map(({ name, value }) => `${name}=${value}`).join(),
    );
    assert.equal(new Set(params).size, 9);
    assert.equal(params[0], 'browser=chrome,platform=linux');
    assert.equal(status.progress.total, 1);
  });

  it('run 22: the step that may fail keeps its exit code', () => {
    assert.deepEqual(instancesOf(statusOf('step-continues')).map(stepsOf), [
      ['lint 7 Continued', 'compile 0 Completed'],
    ]);
    assert.equal(statusOf('task-continues').progress.ignored, 1);
  });

  it('run 23: the steps behind the one that failed are skipped', () => {
    assert.deepEqual(instancesOf(statusOf('failing-step')).map(stepsOf)[0], [
      'fetch 0 Completed',
      'kill 137 Error',
      'package 1 Skipped',
      'push 1 Skipped',
    ]);
  });

  const waiting: readonly {
    readonly run: string;
    readonly name: string;
    readonly want: readonly [container: string | undefined, reason: RegExp, message: RegExp];
  }[] = [
    {
      run: 'run 17: ',
      name: 'image-missing',
      want: ['step-broken', /^(ErrImagePull|ImagePullBackOff)$/, /registry\.invalid\/rungate\/nothing:1/],
    },
    { run: 'run 18: ', name: 'quota', want: [undefined, /^ExceededResourceQuota$/, /exceeded quota: no-tokens/] },
    { run: '', name: 'unschedulable', want: [undefined, /^Unschedulable$/, /0\/1 nodes are available/] },
  ];
  for (const { run, name, want } of waiting) {
    it(`${run}${name} says what it waits for`, () => {
      const found = instancesOf(statusOf(name, 'waiting'))[0]?.attempts.at(-1)?.waiting;
      assert.equal(found?.container, want[0]);
      assert.match(found?.reason ?? '', want[1]);
      assert.match(found?.message ?? '', want[2]);
    });
  }

  it('run 30: the tasks of a nested run stand below its task', () => {
    const release = statusOf('nested').tasks.find(({ name }) => name === 'release');
    assert.equal(release?.kind, 'PipelineRun');
    assert.equal(
      release?.instances[0]?.run && sketch(release.instances[0].run),
      'failed Failed: sign succeeded Succeeded; publish failed StepFailed',
    );
    assert.deepEqual(
      taskRunsOf(recordedFacts('nested')).map(({ displayName }) => displayName),
      ['build', 'release/sign', 'release/publish'],
    );
  });

  it('a TaskRun of a run that is done is final, cancelled ones too', () => {
    for (const name of ['cancelled', 'pipeline-timeout', 'failing-step', 'image-missing']) {
      for (const taskRun of recordedFacts(name).taskRuns)
        assert.ok(isFinal(taskRun, { runDone: false, unchangedMs: 0 }), taskRun.meta.name);
    }
  });

  it('a sidecar that was stopped has been replaced once, and its pod may have failed although the TaskRun succeeded', () => {
    const { pods, taskRuns } = recordedFacts('sidecar');
    assert.deepEqual(
      taskRuns[0]?.sidecars.map(({ name, container }) => [name, container]),
      [['registry', 'sidecar-registry']],
    );
    assert.equal(pods[0]?.containers.find(({ name }) => name === 'sidecar-registry')?.restarts, 1);
    assert.equal(pods[0]?.phase, 'Failed');
  });
});
