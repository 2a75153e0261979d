import assert from 'node:assert/strict';
import { runFacts } from '../../test/support/run-facts.ts';
import { type LogFilters, type LogOrder, type LogProgress, logPlan, logProgress } from './logs.ts';
import type { RunFacts } from './types.ts';

const GRACE_MS = 30_000;

/** A plan in words: `prefix#attempt pod: step=state ...`. */
function told(facts: RunFacts, filters?: LogFilters): string[] {
  return logPlan(facts, filters).map(({ prefix, attempt, pod, steps }) => {
    const all = steps.map(({ position, name, state }) => `${position}.${name}=${state}`);
    return [`${prefix}#${attempt}`, `${pod}:`, ...all].join(' ');
  });
}

/** A TaskRun of run `r`. */
function taskRun(name: string, task: string, status: string, run = 'r'): string {
  return `
kind: TaskRun
metadata:
  name: ${name}
  labels: { tekton.dev/pipelineRun: ${run}, tekton.dev/pipelineTask: ${task} }
status: ${status}
---`;
}

function pod(name: string, taskRun: string, phase: string, steps: Readonly<Record<string, string>>): string {
  const states: Readonly<Record<string, string>> = {
    waiting: '{ waiting: { reason: PodInitializing } }',
    running: '{ running: { startedAt: 2026-11-01T10:00:05Z } }',
    done: '{ terminated: { exitCode: 0, reason: Completed, startedAt: 2026-11-01T10:00:05Z } }',
  };
  const statuses = Object.entries(steps).filter(([, state]) => state !== 'none');
  return `
kind: Pod
metadata: { name: ${name}, labels: { tekton.dev/taskRun: ${taskRun} } }
spec:
  initContainers: [{ name: prepare }, { name: place-scripts }]
  containers: [${['istio-proxy', ...Object.keys(steps), 'sidecar-db'].map((container) => `{ name: ${container} }`)}]
status:
  phase: ${phase}
  containerStatuses: [${statuses.map(([container, state]) => `{ name: ${container}, state: ${states[state]} }`)}]
---`;
}

const running = '{ conditions: [{ type: Succeeded, status: Unknown, reason: Running }] }';
const run = `
kind: PipelineRun
metadata: { name: r }
status:
  conditions: [{ type: Succeeded, status: Unknown, reason: Running }]
  pipelineSpec: { tasks: [{ name: fetch }, { name: build }, { name: test, matrix: { params: [] } }], finally: [{ name: report }] }
---`;

const deploy = `
kind: PipelineRun
metadata: { name: r-deploy, labels: { tekton.dev/pipelineRun: r, tekton.dev/pipelineTask: deploy } }
status: ${running}
---`;

describe('logPlan', () => {
  const cases: readonly { name: string; given: string; filters?: LogFilters; want: readonly string[] }[] = [
    {
      name: 'names the steps of a pod in the order of its spec, without init, injected and sidecar containers',
      given: `${run}${taskRun('r-build', 'build', '{ podName: r-build-pod }')}
        ${pod('r-build-pod', 'r-build', 'Running', { 'step-zip': 'done', 'step-make': 'running', 'step-a': 'none' })}`,
      want: ['build#1 r-build-pod: 0.zip=terminated 1.make=running 2.a=unknown'],
    },
    {
      name: 'orders by start, and what started in the same second by the pipeline',
      given: `${run}
        ${taskRun('r-report', 'report', '{ podName: d, startTime: 2026-11-01T10:00:09Z }')}
        ${taskRun('r-build', 'build', '{ podName: c, startTime: 2026-11-01T10:00:03Z }')}
        ${taskRun('r-fetch', 'fetch', '{ podName: b, startTime: 2026-11-01T10:00:03Z }')}
        ${taskRun('r-test-0', 'test', '{ podName: a, startTime: 2026-11-01T10:00:01Z }')}`,
      want: ['test-0#1 a:', 'fetch#1 b:', 'build#1 c:', 'report#1 d:'],
    },
    {
      name: 'run 19: three attempts in order under one name, and a retry does not move the task',
      given: `${run}
        ${taskRun('r-fetch', 'fetch', '{ podName: f, startTime: 2026-11-01T10:00:02Z }')}
        ${taskRun(
          'r-build',
          'build',
          `{ podName: b3, startTime: 2026-11-01T10:00:30Z, retriesStatus: [
              { podName: b1, startTime: 2026-11-01T10:00:01Z }, { podName: b2, startTime: 2026-11-01T10:00:20Z }] }`,
        )}
        ${pod('b3', 'r-build', 'Running', { 'step-make': 'running' })}
        ${pod('b2', 'r-build', 'Failed', { 'step-make': 'done' })}
        ${pod('b1', 'r-build', 'Failed', { 'step-make': 'done' })}`,
      want: [
        'build#1 b1: 0.make=terminated',
        'build#2 b2: 0.make=terminated',
        'build#3 b3: 0.make=running',
        'fetch#1 f:',
      ],
    },
    {
      name: 'run 19: until the new pod reports, the steps of the attempt before say nothing of this one',
      given: `${run}${taskRun(
        'r-build',
        'build',
        `{ podName: b2, retriesStatus: [{ podName: b1, steps: [
            { name: make, container: step-make, terminated: { exitCode: 1, startedAt: 2026-11-01T10:00:05Z } }] }],
           steps: [{ name: make, container: step-make, terminated: { exitCode: 1, startedAt: 2026-11-01T10:00:05Z } }] }`,
      )}`,
      want: ['build#1 b1: 0.make=gone', 'build#2 b2: 0.make=unknown'],
    },
    {
      name: 'run 20: nine instances of a matrix have nine names',
      given:
        run + Array.from({ length: 9 }, (_, at) => taskRun(`r-test-${at}`, 'test', `{ podName: p${at} }`)).join(''),
      want: Array.from({ length: 9 }, (_, at) => `test-${at}#1 p${at}:`),
    },
    {
      name: 'run 21: a skipped task has no stream',
      given: run.replace('status:\n', 'status:\n  skippedTasks: [{ name: build, reason: None }]\n'),
      want: [],
    },
    {
      name: 'run 30: the tasks of a nested run appear under the name of the task that it is',
      given: `${run}${deploy}${taskRun('r-deploy-test', 'test', '{ podName: p }', 'r-deploy')}`,
      want: ['deploy/test#1 p:'],
    },
    {
      name: 'a TaskRun without a pod has nothing to read',
      given: `${run}${taskRun('r-build', 'build', running)}`,
      want: [],
    },
    {
      name: 'run 24: after a cancel the pod is believed while it is there',
      given: `${run}${taskRun(
        'r-build',
        'build',
        `{ podName: b, conditions: [{ type: Succeeded, status: "False", reason: TaskRunCancelled }], steps: [
            { name: make, container: step-make, terminated: { exitCode: 1, reason: TaskRunCancelled, startedAt: 2026-11-01T10:00:05Z } }] }`,
      )}${pod('b', 'r-build', 'Running', { 'step-make': 'running' })}`,
      want: ['build#1 b: 0.make=running'],
    },
    {
      name: 'run 24: when it is deleted, what ran is gone, and what did not misses nothing',
      given: `${run}${taskRun(
        'r-build',
        'build',
        `{ podName: b, conditions: [{ type: Succeeded, status: "False", reason: TaskRunCancelled }], steps: [
            { name: make, container: step-make, terminated: { exitCode: 1, reason: TaskRunCancelled, startedAt: 2026-11-01T10:00:05Z } },
            { name: pack, container: step-pack, terminated: { exitCode: 1, reason: TaskRunCancelled, startedAt: 2026-11-01T10:00:00Z,
              message: Step pack terminated as pod b is terminated } },
            { name: quick, container: step-quick, terminationReason: Completed, terminated: { exitCode: 0, startedAt: 2026-11-01T10:00:00Z } },
            { name: push, container: step-push, terminationReason: Skipped, terminated: { exitCode: 1, startedAt: 2026-11-01T10:00:09Z } }] }`,
      )}`,
      want: ['build#1 b: 0.make=gone 1.pack=never 2.quick=gone 3.push=never'],
    },
    {
      name: 'a pod that was evicted, or can never start, has steps that never ran',
      given: `${run}
        ${taskRun('r-fetch', 'fetch', '{ podName: f }')}
        ${pod('f', 'r-fetch', 'Failed', { 'step-clone': 'none' })}
        ${taskRun('r-build', 'build', '{ podName: b, conditions: [{ type: Succeeded, status: "False", reason: CreateContainerConfigError }] }')}
        ${pod('b', 'r-build', 'Pending', { 'step-make': 'waiting' })}`,
      want: ['fetch#1 f: 0.clone=never', 'build#1 b: 0.make=never'],
    },
    {
      name: 'when the pod lags behind its TaskRun, nothing is given up',
      given: `${run}${taskRun(
        'r-build',
        'build',
        `{ podName: b, conditions: [{ type: Succeeded, status: "True" }], steps: [
            { name: make, container: step-make, terminated: { exitCode: 0, startedAt: 2026-11-01T10:00:05Z } }] }`,
      )}${pod('b', 'r-build', 'Pending', { 'step-make': 'waiting' })}`,
      want: ['build#1 b: 0.make=waiting'],
    },
    {
      name: 'filters by task, and by instance of a matrix',
      given: `${run}
        ${taskRun('r-fetch', 'fetch', '{ podName: a }')}
        ${taskRun('r-build', 'build', '{ podName: b }')}
        ${taskRun('r-test-0', 'test', '{ podName: c }')}
        ${taskRun('r-test-1', 'test', '{ podName: d }')}`,
      filters: { task: ['build', 'test-1'] },
      want: ['build#1 b:', 'test-1#1 d:'],
    },
    {
      name: 'run 23: filters by step, with or without step-, and a step keeps its place',
      given: `${run}${taskRun('r-build', 'build', '{ podName: b }')}
        ${pod('b', 'r-build', 'Running', { 'step-a': 'done', 'step-b': 'done', 'step-c': 'done' })}`,
      filters: { step: ['step-b', 'c'], task: [] },
      want: ['build#1 b: 1.b=terminated 2.c=terminated'],
    },
  ];
  for (const { name, given, filters, want } of cases)
    it(name, () => assert.deepEqual(told(runFacts(given), filters), want));

  it('run 22: tells exit code and reason as Tekton does, which knows what the container does not', () => {
    const facts = runFacts(
      `${run}${taskRun(
        'r-build',
        'build',
        `{ podName: b, steps: [{ name: make, container: step-make, terminationReason: Continued,
          terminated: { exitCode: 7, reason: Completed } }] }`,
      )}${pod('b', 'r-build', 'Succeeded', { 'step-make': 'done' })}`,
    );
    const [step] = logPlan(facts)[0]?.steps ?? [];
    assert.deepEqual([step?.exitCode, step?.reason], [7, 'Continued']);
  });

  it('run 30: a filter names a nested task by its own name, by its path, or by the task around it', () => {
    const facts = runFacts(
      `${run}${taskRun('r-build', 'build', '{ podName: b }')}${deploy}${taskRun('r-deploy-test', 'test', '{ podName: p }', 'r-deploy')}`,
    );
    for (const task of ['test', 'deploy/test', 'deploy'])
      assert.deepEqual(told(facts, { task: [task] }), ['deploy/test#1 p:']);
  });
});

describe('logPlan, what is chosen', () => {
  /** All containers in words: `role name=state`, what runs beside the steps behind `|`. */
  const toldAll = (facts: RunFacts, filters: LogFilters) =>
    logPlan(facts, filters).map(({ attempt, steps, beside }) => {
      const words = [steps, beside].map((all) =>
        all.map(({ role, name, position, state }) => `${position}.${role} ${name}=${state}`).join(' '),
      );
      return `#${attempt}: ${words.join(' | ')}`.trim();
    });
  const build = `${run}${taskRun('r-build', 'build', '{ podName: b }')}${pod('b', 'r-build', 'Running', { 'step-make': 'running' })}`;
  const cases: readonly { name: string; given: string; filters: LogFilters; want: readonly string[] }[] = [
    {
      name: 'init containers stand before the steps',
      given: build,
      filters: { include: ['init'] },
      want: ['#1: -2.init prepare=unknown -1.init place-scripts=unknown 0.step make=running |'],
    },
    {
      name: 'run 29: sidecars and what was injected run beside them',
      given: build,
      filters: { include: ['sidecar', 'injected'] },
      want: ['#1: 0.step make=running | 0.injected istio-proxy=unknown 0.sidecar sidecar-db=unknown'],
    },
    {
      name: 'names of steps hold for all of them',
      given: build,
      filters: { include: ['init', 'sidecar'], step: ['sidecar-db'] },
      want: ['#1:  | 0.sidecar sidecar-db=unknown'],
    },
    {
      name: 'run 29: of a pod that is gone the TaskRun tells the sidecars',
      given: `${run}${taskRun(
        'r-build',
        'build',
        `{ podName: b, conditions: [{ type: Succeeded, status: "True" }],
          sidecars: [{ name: db, container: sidecar-db, terminated: { exitCode: 0, startedAt: 2026-11-01T10:00:05Z } }] }`,
      )}`,
      filters: { include: ['sidecar'] },
      want: ['#1:  | 0.sidecar sidecar-db=gone'],
    },
    {
      name: 'run 19: attempts by number',
      given: `${run}${taskRun('r-build', 'build', '{ podName: b2, retriesStatus: [{ podName: b }, { podName: b1 }] }')}`,
      filters: { attempt: [1, 3] },
      want: ['#1:  |', '#3:  |'],
    },
    {
      name: 'failed: only the failing step of the last attempt of what has failed',
      given: `${run}
        ${taskRun('r-fetch', 'fetch', '{ podName: f, conditions: [{ type: Succeeded, status: "True" }] }')}
        ${taskRun(
          'r-build',
          'build',
          `{ podName: b2, retriesStatus: [{ podName: b1 }], completionTime: 2026-11-01T10:00:09Z,
            conditions: [{ type: Succeeded, status: "False", reason: StepFailed }], steps: [
            { name: make, container: step-make, terminationReason: Completed, terminated: { exitCode: 0, startedAt: 2026-11-01T10:00:05Z } },
            { name: test, container: step-test, terminationReason: Error, terminated: { exitCode: 2, startedAt: 2026-11-01T10:00:05Z } },
            { name: ship, container: step-ship, terminationReason: Skipped, terminated: { exitCode: 1, startedAt: 2026-11-01T10:00:05Z } }] }`,
        )}`,
      filters: { failed: true },
      want: ['#2: 1.step test=gone |'],
    },
    {
      name: 'failed: what is cancelled, or may be tried again, has not failed',
      given: `${run}
        ${taskRun('r-fetch', 'fetch', '{ podName: f, completionTime: 2026-11-01T10:00:09Z, conditions: [{ type: Succeeded, status: "False", reason: TaskRunCancelled }] }')}
        ${taskRun('r-build', 'build', '{ podName: b, conditions: [{ type: Succeeded, status: "False", reason: StepFailed }] }')}`,
      filters: { failed: true },
      want: [],
    },
  ];
  for (const { name, given, filters, want } of cases)
    it(name, () => assert.deepEqual(toldAll(runFacts(given), filters), want));

  const started = (task: string, start: number, end: number | undefined) =>
    taskRun(
      `r-${task}`,
      task,
      `{ podName: ${task}, startTime: 2026-11-01T10:00:0${start}Z${end === undefined ? '' : `, completionTime: 2026-11-01T10:00:0${end}Z`} }`,
    );
  const orders: readonly { order: LogOrder; want: readonly string[] }[] = [
    { order: 'start', want: ['report', 'build', 'fetch'] },
    { order: 'spec', want: ['fetch', 'build', 'report'] },
    { order: 'completion', want: ['build', 'fetch', 'report'] },
    { order: 'time', want: ['report', 'build', 'fetch'] },
  ];
  for (const { order, want } of orders)
    it(`order ${order}; what runs is behind what is complete`, () => {
      const facts = runFacts(
        `${run}${started('fetch', 5, 8)}${started('build', 4, 7)}${started('report', 1, undefined)}`,
      );
      assert.deepEqual(
        logPlan(facts, {}, order).map(({ task }) => task),
        want,
      );
    });
});

describe('logProgress', () => {
  const done = (status: string, reason: string) =>
    run.replace('status: Unknown, reason: Running', `status: "${status}", reason: ${reason}`);
  const ended = (status: string, more = '') =>
    `{ podName: b, conditions: [{ type: Succeeded, status: "${status}" }]${more} }`;
  const steps = pod('b', 'r-build', 'Running', { 'step-make': 'done' });
  const cases: readonly { name: string; given: string; read: boolean; idleMs?: number; want: LogProgress }[] = [
    { name: 'the run goes on', given: run, read: true, idleMs: GRACE_MS, want: 'running' },
    {
      name: 'run done, all read',
      given: `${done('True', 'Succeeded')}${taskRun('r-build', 'build', ended('True'))}${steps}`,
      read: true,
      want: 'complete',
    },
    {
      name: 'run done, something to read',
      given: `${done('True', 'Succeeded')}${taskRun('r-build', 'build', ended('True'))}${steps}`,
      read: false,
      idleMs: GRACE_MS - 1,
      want: 'draining',
    },
    {
      name: 'run 24: a cancelled run is done before its tasks are',
      given: `${done('False', 'Cancelled')}${taskRun('r-build', 'build', ended('Unknown'))}${steps}`,
      read: true,
      want: 'draining',
    },
    {
      name: 'run 24: ... which are final at once when it is',
      given: `${done('False', 'Cancelled')}${taskRun('r-build', 'build', ended('False'))}${steps}`,
      read: true,
      want: 'complete',
    },
    {
      name: 'run 26: stragglers are not waited for longer than the grace',
      given: `${done('False', 'PipelineRunTimeout')}${taskRun('r-build', 'build', ended('Unknown'))}${steps}`,
      read: false,
      idleMs: GRACE_MS,
      want: 'overdue',
    },
    {
      name: 'run 25: finally tasks of a run that is being cancelled still count',
      given: `${run.replace('reason: Running', 'reason: CancelledRunningFinally')}${taskRun('r-build', 'build', ended('False'))}${steps}`,
      read: true,
      want: 'running',
    },
    {
      name: 'run 30: a nested run has to be done as well',
      given: `${done('False', 'Cancelled')}${deploy}`,
      read: true,
      want: 'draining',
    },
  ];
  for (const { name, given, read, idleMs = 0, want } of cases)
    it(name, () => {
      const facts = runFacts(given);
      assert.equal(
        logProgress(facts, logPlan(facts), { isComplete: () => read, isRecent: false, idleMs, graceMs: GRACE_MS }),
        want,
      );
    });

  it('run 29: what runs beside steps lingers when all the rest is read', () => {
    const facts = runFacts(
      `${done('True', 'Succeeded')}${taskRun('r-build', 'build', ended('True'))}${pod('b', 'r-build', 'Running', { 'step-make': 'done' })}`,
    );
    const plan = logPlan(facts, { include: ['sidecar'] });
    const progress = (isDbRead: boolean) =>
      logProgress(facts, plan, {
        isComplete: (_pod, { role }) => role === 'step' || isDbRead,
        isRecent: false,
        idleMs: GRACE_MS,
        graceMs: GRACE_MS,
      });
    assert.deepEqual([progress(false), progress(true)], ['lingering', 'complete']);
  });
});
