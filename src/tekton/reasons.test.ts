/**
 * Every reason that Tekton gives a run, a TaskRun, a CustomRun, a skipped task or a step, and what it comes to. Most were
 * met on a real cluster (test/fixtures/tekton); `byHand` lists those that were not, written from Tekton's sources:
 * https://github.com/tektoncd/pipeline/tree/v1.15.0/pkg/apis/pipeline/v1
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { recordedMoments } from '../../test/support/facts.ts';
import { runFacts } from '../../test/support/run-facts.ts';
import { type JsonObject, listOf, objectOf, stringOf } from '../kube/objects.ts';
import { runStatus } from './status.ts';
import type { RunFacts } from './types.ts';

const now = new Date('2026-11-01T11:00:00Z');

/** Reasons by status and phase, the way a condition has them. */
const ofRuns = {
  'Unknown pending': ['Started', 'PipelineRunPending', 'ResolvingPipelineRef', 'ResolvingTaskRef'],
  'Unknown running': [
    'Running',
    'PipelineRunStopping',
    'CancelledRunningFinally',
    'StoppedRunningFinally',
    'PipelineRunTimeoutRunningFinally',
    'Cancelled',
    'PipelineRunCouldntCancel',
    'PipelineRunCouldntTimeOut',
  ],
  'True succeeded': ['Succeeded', 'Completed'],
  'False cancelled': ['Cancelled', 'PipelineRunCancelled'],
  'False timedout': ['PipelineRunTimeout'],
  'False failed': [
    'Failed',
    'CouldntGetPipeline',
    'CouldntGetTask',
    'ResourceVerificationFailed',
    'CreateRunFailed',
    'PipelineValidationFailed',
    'PipelineInvalidGraph',
    'ParameterMissing',
    'ParameterTypeMismatch',
    'ObjectParameterMissKeys',
    'ParamArrayIndexingInvalid',
    'InvalidParamValue',
    'InvalidMatrixParameterTypes',
    'InvalidWorkspaceBindings',
    'RequiredWorkspaceMarkedOptional',
    'InvalidTaskRunSpecs',
    'InvalidTaskResultReference',
    'InvalidPipelineResultReference',
    'CELEvaluationFailed',
    'InvalidPipelineResourceBindings',
    'CouldntGetPipelineResult',
    'CouldntCreateWorkspacePVC',
    'ReasonCouldntCreateOrUpdateAffinityAssistantStatefulSet',
  ],
} as const;

const ofTaskRuns = {
  'Unknown pending': [
    'Started',
    'Pending',
    'TaskRunPending',
    'ResolvingTaskRef',
    'ResolvingStepActionRef',
    'ExceededNodeResources',
    'ExceededResourceQuota',
    'PullImageFailed',
  ],
  'Unknown running': ['Running', 'ToBeRetried'],
  'True succeeded': ['Succeeded'],
  'False ignored': ['FailureIgnored'],
  'False cancelled': ['TaskRunCancelled'],
  'False timedout': ['TaskRunTimeout'],
  'False failed': [
    'StepFailed',
    'StepOOM',
    'SidecarFailed',
    'SidecarOOM',
    'InitContainerFailed',
    'InitContainerOOM',
    'PodEvicted',
    'Failed',
    'TaskRunImagePullFailed',
    'CreateContainerConfigError',
    'PodCreationFailed',
    'PodAdmissionFailed',
    'TaskRunResolutionFailed',
    'TaskRunValidationFailed',
    'TaskValidationFailed',
    'ResourceVerificationFailed',
    'InvalidParamValue',
    'CouldntCreateWorkspacePVC',
    'TaskRunResultLargerThanAllowedLimit',
    'TaskRunStopSidecarFailed',
  ],
} as const;

const ofCustomRuns = {
  'Unknown pending': ['Started'],
  'Unknown running': ['Running', 'WaitingForApproval'],
  'True succeeded': ['Succeeded'],
  'False cancelled': ['CustomRunCancelled'],
  'False timedout': ['CustomRunTimedOut'],
  'False failed': ['Failed', 'CustomRunWorkspaceNotSupported'],
} as const;

const skips = [
  'When Expressions evaluated to false',
  'Parent Tasks were skipped',
  'PipelineRun was stopping',
  'PipelineRun was gracefully cancelled',
  'PipelineRun was gracefully stopped',
  'Results were missing',
  'PipelineRun timeout has been reached',
  'PipelineRun Tasks timeout has been reached',
  'PipelineRun Finally timeout has been reached',
  'Matrix Parameters have an empty array',
  'None',
] as const;

/** Why a step ended, and whether it is what failed. */
const endings = {
  Completed: false,
  Skipped: false,
  Continued: false,
  Error: true,
  OOMKilled: true,
  TimeoutExceeded: true,
  Cancelled: true,
  SomethingNew: true,
} as const;

/** What no recording has: made by hand below, every one of them. */
const byHand: Readonly<Record<string, readonly string[]>> = {
  PipelineRun: [
    'False CELEvaluationFailed',
    'False CouldntCreateWorkspacePVC',
    'False CouldntGetPipelineResult',
    'False CreateRunFailed',
    'False InvalidMatrixParameterTypes',
    'False InvalidParamValue',
    'False InvalidPipelineResourceBindings',
    'False InvalidPipelineResultReference',
    'False InvalidTaskResultReference',
    'False InvalidTaskRunSpecs',
    'False InvalidWorkspaceBindings',
    'False ObjectParameterMissKeys',
    'False ParamArrayIndexingInvalid',
    'False ParameterTypeMismatch',
    'False PipelineInvalidGraph',
    'False PipelineRunCancelled',
    'False PipelineValidationFailed',
    'False ReasonCouldntCreateOrUpdateAffinityAssistantStatefulSet',
    'False RequiredWorkspaceMarkedOptional',
    'False ResourceVerificationFailed',
    'Unknown Cancelled',
    'Unknown PipelineRunCouldntCancel',
    'Unknown PipelineRunCouldntTimeOut',
    'Unknown PipelineRunStopping',
    'Unknown ResolvingPipelineRef',
    'Unknown ResolvingTaskRef',
    'Unknown Started',
  ],
  TaskRun: [
    'False CouldntCreateWorkspacePVC',
    'False CreateContainerConfigError',
    'False Failed',
    'False InitContainerFailed',
    'False InitContainerOOM',
    'False InvalidParamValue',
    'False PodAdmissionFailed',
    'False PodCreationFailed',
    'False PodEvicted',
    'False ResourceVerificationFailed',
    'False SidecarFailed',
    'False SidecarOOM',
    'False TaskRunResolutionFailed',
    'False TaskRunResultLargerThanAllowedLimit',
    'False TaskRunStopSidecarFailed',
    'False TaskRunValidationFailed',
    'False TaskValidationFailed',
    'Unknown ExceededNodeResources',
    'Unknown ResolvingStepActionRef',
    'Unknown ResolvingTaskRef',
    'Unknown Started',
    'Unknown TaskRunPending',
  ],
  CustomRun: [
    'False CustomRunCancelled',
    'False CustomRunTimedOut',
    'False CustomRunWorkspaceNotSupported',
    'False Failed',
    'True Succeeded',
    'Unknown Running',
    'Unknown Started',
    'Unknown WaitingForApproval',
  ],
};

function rows(table: Readonly<Record<string, readonly string[]>>) {
  return Object.entries(table).flatMap(([key, reasons]) => {
    const [status = '', phase = ''] = key.split(' ');
    return reasons.map((reason) => ({ status, phase, reason }));
  });
}

describe('reasons of a PipelineRun', () => {
  for (const { status, phase, reason } of rows(ofRuns)) {
    it(`${status} ${reason} is ${phase}`, () => {
      const facts = runFacts(`
kind: PipelineRun
metadata: { name: run }
status: { conditions: [{ type: Succeeded, status: "${status}", reason: ${reason}, message: told }] }`);
      const { condition, phase: got } = runStatus(facts, now);
      assert.deepEqual([got, condition.status, condition.reason, condition.message], [phase, status, reason, 'told']);
    });
  }
});

function withChild(kind: 'TaskRun' | 'CustomRun', status: string, reason: string): RunFacts {
  return runFacts(`
kind: PipelineRun
metadata: { name: run }
status:
  conditions: [{ type: Succeeded, status: Unknown, reason: Running, message: "" }]
  pipelineSpec: { tasks: [{ name: build }] }
  childReferences: [{ kind: ${kind}, name: run-build, pipelineTaskName: build }]
---
kind: ${kind}
metadata: { name: run-build, labels: { tekton.dev/pipelineRun: run, tekton.dev/pipelineTask: build } }
status: { conditions: [{ type: Succeeded, status: "${status}", reason: ${reason}, message: told }] }`);
}

for (const [kind, table] of [
  ['TaskRun', ofTaskRuns],
  ['CustomRun', ofCustomRuns],
] as const) {
  describe(`reasons of a ${kind}`, () => {
    for (const { status, phase, reason } of rows(table)) {
      it(`${status} ${reason} is ${phase}`, () => {
        const [task] = runStatus(withChild(kind, status, reason), now).tasks;
        assert.deepEqual([task?.phase, task?.reason, task?.message, task?.kind], [phase, reason, 'told', kind]);
      });
    }
  });
}

describe('reasons of a skip', () => {
  for (const reason of skips) {
    it(`run 21: "${reason}" is told verbatim`, () => {
      const facts = runFacts(`
kind: PipelineRun
metadata: { name: run }
status:
  conditions: [{ type: Succeeded, status: "True", reason: Completed, message: "" }]
  pipelineSpec: { tasks: [{ name: build }] }
  skippedTasks: [{ name: build, reason: ${reason} }]`);
      const { tasks, progress } = runStatus(facts, now);
      assert.deepEqual([tasks[0]?.phase, tasks[0]?.skip, progress.skipped], ['skipped', reason, 1]);
    });
  }
});

describe('reasons of a step', () => {
  for (const [reason, isFailure] of Object.entries(endings)) {
    it(`run 23: a step that ended with ${reason} is ${isFailure ? '' : 'not '}what failed`, () => {
      const facts = runFacts(`
kind: PipelineRun
metadata: { name: run }
status:
  conditions: [{ type: Succeeded, status: "False", reason: Failed, message: "" }]
  pipelineSpec: { tasks: [{ name: build }] }
---
kind: TaskRun
metadata: { name: run-build, labels: { tekton.dev/pipelineRun: run, tekton.dev/pipelineTask: build } }
status:
  podName: run-build-pod
  startTime: "2026-11-01T10:00:00Z"
  completionTime: "2026-11-01T10:00:09Z"
  conditions: [{ type: Succeeded, status: "False", reason: StepFailed, message: told }]
  steps:
    - { name: first, container: step-first, terminationReason: ${reason}, terminated: { exitCode: 1, reason: Error, startedAt: "2026-11-01T10:00:01Z", finishedAt: "2026-11-01T10:00:02Z" } }
    - { name: second, container: step-second, terminationReason: Error, terminated: { exitCode: 2, reason: Error, startedAt: "2026-11-01T10:00:03Z", finishedAt: "2026-11-01T10:00:04Z" } }`);
      assert.equal(runStatus(facts, now).failure?.step, isFailure ? 'first' : 'second');
    });
  }
});

describe('the list of what is made by hand', () => {
  it('names what no recording has', () => {
    const folder = join(import.meta.dirname, '../../test/fixtures/tekton');
    const met = new Set<string>();
    for (const file of readdirSync(folder)) {
      for (const objects of recordedMoments(file.replace('.json', '')).values()) {
        for (const object of objects) for (const key of conditionsOf(object)) met.add(key);
      }
    }
    for (const [kind, table] of Object.entries({ PipelineRun: ofRuns, TaskRun: ofTaskRuns, CustomRun: ofCustomRuns })) {
      const unmet = rows(table).map(({ status, reason }) => `${status} ${reason}`);
      assert.deepEqual(unmet.filter((key) => !met.has(`${kind} ${key}`)).sort(), byHand[kind], kind);
    }
  });
});

function conditionsOf(object: JsonObject): string[] {
  return listOf(objectOf(object.status).conditions)
    .map(objectOf)
    .map(({ status, reason }) => `${stringOf(object.kind)} ${stringOf(status)} ${stringOf(reason)}`);
}
