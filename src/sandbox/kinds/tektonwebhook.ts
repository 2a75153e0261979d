/**
 * What Tekton's admission and conversion webhooks do to its kinds, in their words: defaults, refusals and the way from one
 * version to the other. `docs/sandbox.md` lists what is covered.
 * https://tekton.dev/docs/pipelines/
 */
import { isDeepStrictEqual } from 'node:util';
import type { Strategy } from '../api/kind.ts';
import { objectIn, objectsIn } from '../core/reading.ts';
import type { PipelineRunSpec } from '../life/tekton/types.ts';
import { at, Complaints } from '../life/tekton/validation/complaints.ts';
import { checkPipeline, type PipelineSpecAsWritten } from '../life/tekton/validation/pipelines.ts';
import {
  checkStepAction,
  checkTask,
  type StepActionSpec,
  type TaskSpecAsWritten,
} from '../life/tekton/validation/tasks.ts';
import { groupVersionOf, type Json, type JsonObject, type KubeObject } from '../object.ts';
import { converted } from './webhook/convert.ts';
import { fillIn, managedBy, managedByLabel } from './webhook/defaults.ts';
import { denied } from './webhook/denied.ts';
import { rewritten } from './webhook/rewrite.ts';
import {
  type CustomRunSpec,
  checkCustomRun,
  checkPipelineRun,
  checkTaskRun,
  type TaskRunSpecAsWritten,
} from './webhook/runs.ts';

/** By the name of the CustomResourceDefinition. `mutate` and `admit` take objects in the version that was asked for. */
export const tektonWebhooks: ReadonlyMap<string, Partial<Strategy>> = new Map(
  ['pipelineruns', 'taskruns', 'pipelines', 'tasks', 'stepactions', 'customruns'].map((plural) => [
    `${plural}.tekton.dev`,
    { convert: converted, mutate, admit },
  ]),
);

const LONGEST_NAME = 63;

/** The mutating webhook. What has not changed has been through it before. */
function mutate(object: KubeObject, old: KubeObject | undefined): void {
  if (old !== undefined && isDeepStrictEqual(object.spec, old.spec)) return;
  const { version } = groupVersionOf(object.apiVersion);
  const spec = rewritten(object.kind, version, object.spec);
  fillIn(object.kind, version, spec);
  object.spec = spec;
  if (object.kind === 'TaskRun') {
    object.metadata.labels = { [managedByLabel]: managedBy, ...object.metadata.labels };
  }
}

/** The validating webhook: throws what is wrong with `object`, all at once. */
function admit(object: KubeObject, old: KubeObject | undefined): void {
  const started = isStarted(object);
  const isSame = old !== undefined && isDeepStrictEqual(object.spec, old.spec);
  // Nothing that is judged has changed, except that a run that waits to be started must not have been.
  if (isSame && !(started && objectIn(object.spec).status === 'PipelineRunPending')) return;
  const { version } = groupVersionOf(object.apiVersion);
  const say = new Complaints(version === 'v1beta1' ? olderPaths(object) : undefined);
  if (object.metadata.name.length > LONGEST_NAME) {
    say.say(`Invalid resource name: length must be no more than ${LONGEST_NAME} characters`, 'metadata.name');
  }
  if (version === 'v1beta1') checkOlderFields(object, say);
  const change =
    version === 'v1beta1' ? { object: converted(object, 'v1'), old: old && converted(old, 'v1') } : { object, old };
  checks[object.kind]?.(change, say);
  const why = say.sentence();
  if (why !== undefined) throw denied('validation.webhook.pipeline.tekton.dev', `validation failed: ${why}`);
}

/** An object and the one that it replaces, in the same version. */
interface Change {
  readonly object: KubeObject;
  readonly old: KubeObject | undefined;
}

const checks: Readonly<Record<string, (change: Change, say: Complaints) => void>> = {
  PipelineRun: ({ object, old }, say) => {
    const before = old && { spec: specOf<PipelineRunSpec>(old), isDone: isDone(old) };
    checkPipelineRun(specOf(object), before, isStarted(object), say);
  },
  TaskRun: ({ object, old }, say) => {
    const before = old && { spec: specOf<TaskRunSpecAsWritten>(old), isDone: isDone(old) };
    checkTaskRun(specOf(object), before, say);
  },
  CustomRun: ({ object }, say) => checkCustomRun(specOf<CustomRunSpec>(object), say),
  Pipeline: ({ object }, say) => checkPipeline(specOf<PipelineSpecAsWritten>(object), 'spec', say),
  Task: ({ object }, say) => checkTask(specOf<TaskSpecAsWritten>(object), 'spec', say),
  StepAction: ({ object }, say) => checkStepAction(specOf<StepActionSpec>(object), 'spec', say),
};

/** The cast is right because `mutate` has written the spec from its schema. */
function specOf<Spec>(object: KubeObject): Spec {
  return objectIn(object.spec) as unknown as Spec;
}

function isStarted(object: KubeObject): boolean {
  return objectIn(object.status).startTime !== undefined;
}

/** Has it succeeded or failed? */
function isDone(object: KubeObject): boolean {
  const conditions = objectsIn(objectIn(object.status).conditions);
  const succeeded = conditions.find(({ type }) => type === 'Succeeded')?.status;
  return succeeded === 'True' || succeeded === 'False';
}

/** v1beta1 is judged as v1, with its own names for what it calls differently. */
function olderPaths(object: KubeObject): (path: string) => string {
  const hasTimeout = objectIn(object.spec).timeout !== undefined && object.kind === 'PipelineRun';
  return (path) => {
    if (hasTimeout && path === 'spec.timeouts.pipeline') return 'spec.timeout';
    return path.replace(/\bstepSpecs\b/, 'stepOverrides').replace(/\bsidecarSpecs\b/, 'sidecarOverrides');
  };
}

/** Fields that only v1beta1 still has, and that Tekton does not take any more. */
function checkOlderFields({ kind, spec: json }: KubeObject, say: Complaints): void {
  const spec = objectIn(json);
  if (kind !== 'StepAction' && kind !== 'CustomRun') checkAbsent(spec, 'resources', 'spec', say);
  if (kind === 'PipelineRun' && spec.timeout !== undefined && spec.timeouts !== undefined) {
    say.forbidden('spec.timeout');
    say.forbidden('spec.timeouts');
  }
  checkAbsent(spec.pipelineRef, 'bundle', 'spec.pipelineRef', say);
  checkAbsent(spec.taskRef, 'bundle', 'spec.taskRef', say);
  checkAbsent(spec.taskSpec, 'resources', 'spec.taskSpec', say);
  if (kind === 'Pipeline') checkOlderTasks(spec, 'spec', say);
  if (kind === 'PipelineRun') checkOlderTasks(objectIn(spec.pipelineSpec), 'spec.pipelineSpec', say);
}

function checkOlderTasks(spec: JsonObject, path: string, say: Complaints): void {
  for (const section of ['tasks', 'finally']) {
    for (const [index, task] of objectsIn(spec[section]).entries()) {
      const here = at(path, section, index);
      checkAbsent(task, 'resources', here, say);
      checkAbsent(task.taskRef, 'bundle', at(here, 'taskRef'), say);
      checkAbsent(task.taskSpec, 'resources', at(here, 'taskSpec'), say);
    }
  }
}

function checkAbsent(object: Json | undefined, field: string, path: string, say: Complaints): void {
  if (objectIn(object)[field] !== undefined) say.forbidden(at(path, field));
}
