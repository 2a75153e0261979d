import assert from 'node:assert/strict';
import type { JsonObject, KubeObject } from '../../object.ts';
import { converted } from './convert.ts';

describe("Tekton's conversion", () => {
  it('keeps what only v1beta1 has of a Task in an annotation, and brings it back', () => {
    const older = objectOf('Task', 'v1beta1', {
      stepTemplate: { name: 'n', image: 'j', ports: [{ containerPort: 3, protocol: 'TCP' }], resources: {} },
      sidecars: [{ name: 'c', image: 'i', resources: { limits: { cpu: '1' } }, livenessProbe: { exec: {} } }],
      steps: [
        { name: 's', image: 'i', resources: { limits: { cpu: '1' } }, tty: true, ports: [{ containerPort: 1 }] },
        { name: 't', image: 'i', resources: {} },
      ],
    });
    const newer = converted(older, 'v1');
    assert.deepEqual(newer.spec, {
      stepTemplate: { image: 'j', computeResources: {} },
      sidecars: [{ name: 'c', image: 'i', computeResources: { limits: { cpu: '1' } }, livenessProbe: { exec: {} } }],
      steps: [
        { name: 's', image: 'i', computeResources: { limits: { cpu: '1' } } },
        { name: 't', image: 'i', computeResources: {} },
      ],
    });
    assert.deepEqual(newer.metadata.annotations, {
      'tekton.dev/v1beta1.task-deprecations':
        '{"x":{"deprecatedSteps":[{"name":"","ports":[{"containerPort":1}],"resources":{},"tty":true},{"name":"","resources":{}}],' +
        '"deprecatedStepTemplate":{"name":"n","ports":[{"containerPort":3,"protocol":"TCP"}],"resources":{}}}}',
    });
    assert.deepEqual(converted(newer, 'v1beta1'), older);
  });

  it("names a PipelineRun's fields as v1 does, and back", () => {
    const older = objectOf('PipelineRun', 'v1beta1', {
      pipelineRef: { name: 'p' },
      serviceAccountName: 'bob',
      podTemplate: { hostNetwork: true },
      timeouts: { pipeline: '5m0s' },
      taskRunSpecs: [
        {
          pipelineTaskName: 'a',
          taskServiceAccountName: 'amy',
          taskPodTemplate: { hostNetwork: true },
          stepOverrides: [{ name: 's', resources: { limits: { cpu: '1' } } }],
          sidecarOverrides: [{ name: 'c', resources: {} }],
        },
      ],
    });
    older.status = { pipelineResults: [{ name: 'r', value: 'v' }], startTime: '2026-11-01T10:00:00Z' };
    const newer = converted(older, 'v1');
    assert.deepEqual(newer.spec, {
      pipelineRef: { name: 'p' },
      taskRunTemplate: { serviceAccountName: 'bob', podTemplate: { hostNetwork: true } },
      timeouts: { pipeline: '5m0s' },
      taskRunSpecs: [
        {
          pipelineTaskName: 'a',
          serviceAccountName: 'amy',
          podTemplate: { hostNetwork: true },
          stepSpecs: [{ name: 's', computeResources: { limits: { cpu: '1' } } }],
          sidecarSpecs: [{ name: 'c', computeResources: {} }],
        },
      ],
    });
    assert.deepEqual(newer.status, { results: [{ name: 'r', value: 'v' }], startTime: '2026-11-01T10:00:00Z' });
    assert.deepEqual(converted(newer, 'v1beta1'), older);
  });

  it('turns the older timeout into that of the pipeline', () => {
    const older = objectOf('PipelineRun', 'v1beta1', { pipelineRef: { name: 'p' }, timeout: '5m0s' });
    assert.deepEqual(converted(older, 'v1').spec, {
      pipelineRef: { name: 'p' },
      timeouts: { pipeline: '5m0s' },
      taskRunTemplate: {},
    });
  });

  it("shows a TaskRun's results and attempts in the words of v1beta1", () => {
    const newer = objectOf('TaskRun', 'v1', {
      stepSpecs: [{ name: 's', computeResources: {} }],
      taskSpec: { steps: [{ name: 's', image: 'i', computeResources: {} }] },
    });
    const steps = [{ name: 's', terminated: { exitCode: 0 }, terminationReason: 'Completed' }];
    const results = [{ name: 'r', type: 'string', value: 'v' }];
    const taskSpec = { steps: [{ name: 's', image: 'i', computeResources: {} }] };
    newer.status = { podName: 'p', results, steps, taskSpec, retriesStatus: [{ podName: 'o', results }] };
    const older = converted(newer, 'v1beta1');
    assert.deepEqual(older.spec, {
      stepOverrides: [{ name: 's', resources: {} }],
      taskSpec: { steps: [{ name: 's', image: 'i', resources: {} }] },
    });
    assert.deepEqual(older.status, {
      podName: 'p',
      taskResults: results,
      steps: [{ name: 's', terminated: { exitCode: 0 } }],
      taskSpec: { steps: [{ name: 's', image: 'i', resources: {} }] },
      retriesStatus: [{ podName: 'o', taskResults: results }],
    });
  });

  it('leaves an annotation that nobody can read where it does no harm', () => {
    const newer = objectOf('Task', 'v1', { steps: [{ name: 's', image: 'i', computeResources: {} }] });
    newer.metadata.annotations = { 'tekton.dev/v1beta1.task-deprecations': 'not JSON', other: 'stays' };
    const older = converted(newer, 'v1beta1');
    assert.deepEqual(older.spec, { steps: [{ name: 's', image: 'i', resources: {} }] });
    assert.deepEqual(older.metadata.annotations, { other: 'stays' });
  });
});

function objectOf(kind: string, version: string, spec: JsonObject): KubeObject {
  return {
    apiVersion: `tekton.dev/${version}`,
    kind,
    metadata: { name: 'x', uid: '', resourceVersion: '', creationTimestamp: '' },
    spec,
  };
}
