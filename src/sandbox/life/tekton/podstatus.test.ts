import assert from 'node:assert/strict';
import { succeeded } from './condition.ts';
import { areSidecarsReady, statusFromPod } from './podstatus.ts';
import type { Pod, TaskRun, TaskSpec } from './types.ts';

const now = Date.parse('2026-11-01T10:00:10Z');

const run: TaskRun = {
  apiVersion: 'tekton.dev/v1',
  kind: 'TaskRun',
  metadata: { name: 'run', namespace: 'n', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-11-01T10:00:00Z' },
  spec: {},
};

/** A pod whose containers are those that its status tells of. */
function pod(status: NonNullable<Pod['status']>): Pod {
  const containers = (status.containerStatuses ?? []).map(({ name }) => ({ name }));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...run.metadata, name: 'run-pod' },
    spec: { containers },
    status,
  };
}

const ended = (exitCode: number, reason = exitCode === 0 ? 'Completed' : 'Error', message = '') => ({
  terminated: { exitCode, reason, message, startedAt: '2026-11-01T10:00:01Z', finishedAt: '2026-11-01T10:00:09Z' },
});
const waits = (reason: string, message = '') => ({ waiting: { reason, message } });
const entries = (...list: [string, string, number][]) =>
  JSON.stringify(list.map(([key, value, type]) => ({ key, value, type })));

describe('the verdict by a pod', () => {
  const cases: { name: string; status: NonNullable<Pod['status']>; want: string }[] = [
    { name: 'nothing is known yet', status: { phase: 'Pending' }, want: 'Unknown Pending: Pending' },
    {
      name: 'a condition that does not hold',
      status: {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes' }],
      },
      want: 'Unknown Pending: pod status "PodScheduled":"False"; message: "0/1 nodes"',
    },
    {
      name: 'no node has room',
      status: {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'Insufficient cpu' }],
      },
      want: 'Unknown ExceededNodeResources: TaskRun Pod exceeded available resources',
    },
    {
      name: 'a container waits for its image',
      status: {
        phase: 'Pending',
        containerStatuses: [{ name: 'step-a', state: waits('ErrImagePull', 'no such host') }],
      },
      want: 'Unknown PullImageFailed: build step "step-a" is pending with reason "no such host"',
    },
    {
      name: 'a container waits for something else',
      status: { phase: 'Pending', containerStatuses: [{ name: 'step-a', state: waits('ContainerCreating', 'soon') }] },
      want: 'Unknown Pending: build step "step-a" is pending with reason "soon"',
    },
    {
      name: 'a ConfigMap is missing',
      status: {
        phase: 'Pending',
        containerStatuses: [{ name: 'step-a', state: waits('CreateContainerConfigError', 'not found') }],
      },
      want: 'False CreateContainerConfigError: Failed to create pod due to config error',
    },
    {
      name: 'a sub-path is on its way',
      status: {
        phase: 'Pending',
        containerStatuses: [
          { name: 'step-a', state: waits('CreateContainerConfigError', 'failed to create subPath directory') },
        ],
      },
      want: 'Unknown Pending: Waiting for subPath directory creation to complete',
    },
    {
      name: 'a step still runs',
      status: {
        phase: 'Running',
        containerStatuses: [
          { name: 'step-a', state: ended(0) },
          { name: 'step-b', state: { running: {} } },
        ],
      },
      want: 'Unknown Running: Not all Steps in the Task have finished executing',
    },
    {
      name: 'all steps have ended, a sidecar runs on',
      status: {
        phase: 'Running',
        containerStatuses: [
          { name: 'step-a', state: ended(0) },
          { name: 'sidecar-b', state: { running: {} } },
        ],
      },
      want: 'True Succeeded: All Steps have completed executing',
    },
    {
      name: 'a step failed',
      status: { phase: 'Failed', containerStatuses: [{ name: 'step-a', state: ended(7) }] },
      want: 'False StepFailed: "step-a" exited with code 7: Error',
    },
    {
      name: 'a step took too long',
      status: {
        phase: 'Failed',
        containerStatuses: [{ name: 'step-a', state: ended(1, 'Error', entries(['Reason', 'TimeoutExceeded', 3])) }],
      },
      want: 'False StepFailed: "step-a" exited because the step exceeded the specified timeout limit',
    },
    {
      name: 'out of memory, and nobody noticed',
      status: {
        phase: 'Running',
        containerStatuses: [
          { name: 'step-a', state: ended(0, 'OOMKilled') },
          { name: 'step-b', state: { running: {} } },
        ],
      },
      want: 'False StepOOM: OOMKilled',
    },
    {
      name: 'a sidecar is the likelier cause',
      status: {
        phase: 'Failed',
        containerStatuses: [
          { name: 'step-a', state: ended(1) },
          { name: 'sidecar-b', state: ended(2) },
        ],
      },
      want: 'False SidecarFailed: "sidecar-b" exited with code 2: Error',
    },
    {
      name: 'a sidecar out of memory is likelier still',
      status: {
        phase: 'Failed',
        containerStatuses: [
          { name: 'sidecar-b', state: ended(2) },
          { name: 'sidecar-c', state: ended(137, 'OOMKilled') },
        ],
      },
      want: 'False SidecarOOM: "sidecar-c" exited with code 137: OOMKilled',
    },
    {
      name: 'what comes before the steps failed',
      status: { phase: 'Failed', initContainerStatuses: [{ name: 'prepare', state: ended(3) }] },
      want: 'False InitContainerFailed: init container failed, "prepare" exited with code 3: Error',
    },
    {
      name: 'what comes before the steps ran out of memory',
      status: { phase: 'Failed', initContainerStatuses: [{ name: 'prepare', state: ended(137, 'OOMKilled') }] },
      want: 'False InitContainerOOM: init container failed, "prepare" exited with code 137: OOMKilled',
    },
    {
      name: 'evicted',
      status: {
        phase: 'Failed',
        reason: 'Evicted',
        message: 'The node was low on resource',
        containerStatuses: [{ name: 'step-a', state: ended(137) }],
      },
      want: 'False PodEvicted: The node was low on resource',
    },
    {
      name: 'the pod’s own words',
      status: {
        phase: 'Failed',
        reason: 'DeadlineExceeded',
        message: 'Pod was active on the node longer than the specified deadline',
      },
      want: 'False Failed: Pod was active on the node longer than the specified deadline',
    },
    {
      name: 'no words at all',
      status: { phase: 'Failed' },
      want: 'False Failed: build failed for unspecified reasons.',
    },
  ];
  for (const { name, status, want } of cases) {
    it(name, () => {
      const { status: truth, reason, message } = succeeded(statusFromPod(run, pod(status), {}, now)) ?? {};
      assert.equal(`${truth} ${reason}: ${message}`, want);
    });
  }

  it('a failure that may be is ignored', () => {
    const annotations = { 'pipeline.tekton.dev/pipeline-task-on-error': 'continue' };
    const tolerant: TaskRun = { ...run, metadata: { ...run.metadata, annotations } };
    const status = statusFromPod(
      tolerant,
      pod({ phase: 'Failed', containerStatuses: [{ name: 'step-a', state: ended(1) }] }),
      {},
      now,
    );
    assert.equal(succeeded(status)?.reason, 'FailureIgnored');
    assert.equal(status.completionTime, '2026-11-01T10:00:10Z');
  });
});

it('the step that failed first is named, whatever the order in which the kubelet lists them', () => {
  const listed = pod({
    phase: 'Failed',
    containerStatuses: [
      { name: 'step-report', state: ended(1) },
      { name: 'step-unit', state: ended(2) },
    ],
  });
  const spec = { containers: [{ name: 'step-unit' }, { name: 'step-report' }] };
  const status = statusFromPod(run, { ...listed, spec }, {}, now);
  assert.equal(succeeded(status)?.message, '"step-unit" exited with code 2: Error');
});

describe('the steps and results by a pod', () => {
  const spec: TaskSpec = {
    results: [
      { name: 'text', type: 'string' },
      { name: 'list', type: 'array' },
      { name: 'mine', type: 'string', value: '$(steps.a.results.size)' },
    ],
    steps: [{ name: 'a', results: [{ name: 'size', type: 'string' }] }, { name: 'b' }],
  };
  const message = entries(
    ['StartedAt', '2026-11-01T10:00:03.123Z', 3],
    ['text', '["not a list"]', 1],
    ['list', '["x","y"]', 1],
    ['size', '7', 4],
  );
  const status = statusFromPod(
    run,
    pod({
      phase: 'Succeeded',
      containerStatuses: [
        { name: 'step-a', state: ended(0, 'Completed', message) },
        {
          name: 'step-b',
          state: ended(0, 'Completed', entries(['ExitCode', '4', 3], ['StartedAt', '2026-11-01T10:00:05.000Z', 3])),
        },
      ],
    }),
    spec,
    now,
  );

  it('results are what they were declared as', () => {
    assert.deepEqual(status.results, [
      { name: 'list', type: 'array', value: ['x', 'y'] },
      { name: 'text', type: 'string', value: '["not a list"]' },
      { name: 'mine', type: 'string', value: '7' },
    ]);
  });

  it('a step has its own start, its results, and a message without what only Tekton needs', () => {
    const [a] = status.steps ?? [];
    assert.equal(a?.terminated?.startedAt, '2026-11-01T10:00:03Z');
    assert.deepEqual(a?.results, [{ name: 'size', type: 'string', value: '7' }]);
    assert.doesNotMatch(a?.terminated?.message ?? '', /StartedAt/);
    assert.equal(a?.terminationReason, 'Completed');
  });

  it('a step that failed and may have shows its exit code and goes on', () => {
    const b = status.steps?.[1];
    assert.equal(b?.terminated?.exitCode, 4);
    assert.equal(b?.terminated?.message, undefined);
    assert.equal(b?.terminationReason, 'Continued');
  });

  it('a message that is no list of entries is left as it is', () => {
    const { steps } = statusFromPod(
      run,
      pod({
        phase: 'Failed',
        containerStatuses: [{ name: 'step-a', state: ended(128, 'StartError', 'no such file') }],
      }),
      spec,
      now,
    );
    assert.equal(steps?.[0]?.terminated?.message, 'no such file');
    assert.equal(steps?.[0]?.terminationReason, undefined);
  });
});

describe('areSidecarsReady', () => {
  const running = (ready: boolean) => ({ ready, state: { running: {} } });
  const cases: { name: string; given: NonNullable<Pod['status']>; want: boolean }[] = [
    { name: 'the pod is not running', given: { phase: 'Pending' }, want: false },
    {
      name: 'there are none',
      given: { phase: 'Running', containerStatuses: [{ name: 'step-a', state: waits('x') }] },
      want: true,
    },
    {
      name: 'one is not ready',
      given: { phase: 'Running', containerStatuses: [{ name: 'sidecar-a', ...running(false) }] },
      want: false,
    },
    {
      name: 'one is ready',
      given: { phase: 'Running', containerStatuses: [{ name: 'sidecar-a', ...running(true) }] },
      want: true,
    },
    {
      name: 'one has ended',
      given: { phase: 'Running', containerStatuses: [{ name: 'injected', state: ended(0) }] },
      want: true,
    },
  ];
  for (const { name, given, want } of cases) {
    it(name, () => assert.equal(areSidecarsReady(pod(given)), want));
  }
});
