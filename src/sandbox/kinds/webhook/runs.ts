/** What Tekton's webhook refuses of runs, new and changed. */
import { isDeepStrictEqual } from 'node:util';
import { formatDuration, parseDuration } from '../../life/tekton/duration.ts';
import { parseReference } from '../../life/tekton/reference.ts';
import { variablesInValue } from '../../life/tekton/substitute.ts';
import type {
  ComputeResources,
  PipelineRunSpec,
  ResourceOverride,
  TaskRunOverride,
  TaskRunSpec,
  WorkspaceBinding,
} from '../../life/tekton/types.ts';
import { at, type Complaints } from '../../life/tekton/validation/complaints.ts';
import { checkGivenOnce, checkTypes, declaredBy, InlineParams } from '../../life/tekton/validation/params.ts';
import { checkParamDeclarations, checkPipelineSpec, checkTaskValues } from '../../life/tekton/validation/pipelines.ts';
import { checkReference, namesOf } from '../../life/tekton/validation/references.ts';
import { stepsOf } from '../../life/tekton/validation/steps.ts';
import { checkParamsUsed, checkParamVariables, checkTaskSpec } from '../../life/tekton/validation/tasks.ts';
import type { Json } from '../../object.ts';

/** What a run was before: how much of it may still be changed depends on whether it is over. */
export interface Before<Spec> {
  readonly spec: Spec;
  readonly isDone: boolean;
}

/** A PipelineRun's spec; with `old` as what replaces that one. */
export function checkPipelineRun(
  spec: PipelineRunSpec,
  old: Before<PipelineRunSpec> | undefined,
  started: boolean,
  say: Complaints,
): void {
  const { pipelineRef, pipelineSpec, params = [], timeouts, status = '', workspaces = [], taskRunSpecs = [] } = spec;
  if (status === 'PipelineRunPending' && started) {
    say.invalid('PipelineRun cannot be Pending after it is started', 'spec.status');
  }
  if (old !== undefined) checkPipelineRunChange(spec, old, say);
  checkOneOf('pipelineRef', pipelineRef, 'pipelineSpec', pipelineSpec, say);
  if (pipelineRef !== undefined) checkReference(pipelineRef, 'spec.pipelineRef', say);
  if (pipelineSpec !== undefined) {
    checkPipelineSpec(pipelineSpec, 'spec.pipelineSpec', say);
    checkInlinePipeline(spec, say);
  }
  checkGivenOnce(namesOf(params), 'spec.params', false, say);
  for (const { name, value } of params) {
    const results = variablesInValue(value).filter((variable) => parseReference(variable) !== undefined);
    if (results.length === 0) continue;
    say.invalid(
      `cannot use result expressions in [${results.join(' ')}] as PipelineRun parameter values`,
      at('spec.params', { key: name }, 'value'),
    );
  }
  for (const [index, override] of taskRunSpecs.entries()) {
    checkTaskRunOverride(override, at('spec.taskRunSpecs', index), say);
  }
  if (timeouts !== undefined) checkTimeouts(timeouts, taskRunSpecs, say);
  if (status !== '' && !pipelineRunStatuses.includes(status)) {
    say.invalid(
      `${status} should be Cancelled, CancelledRunFinally, StoppedRunFinally or PipelineRunPending`,
      'spec.status',
    );
  }
  for (const [index, workspace] of workspaces.entries()) {
    checkBinding(workspace, at('spec.workspaces', index), say);
    const before = workspaces.slice(0, index).findLastIndex(({ name }) => name === workspace.name);
    if (before >= 0) {
      say.say(
        `workspace ${JSON.stringify(workspace.name)} provided by pipelinerun more than once, at index ${before} and ${index}`,
        at('spec.workspaces', index, 'name'),
      );
    }
  }
}

/** A TaskRun's spec; with `old` as what replaces that one. */
export function checkTaskRun(
  spec: TaskRunSpecAsWritten,
  old: Before<TaskRunSpecAsWritten> | undefined,
  say: Complaints,
): void {
  const { taskRef, taskSpec, params = [], status = '', statusMessage = '', retries = 0, timeout, debug } = spec;
  if (old !== undefined) checkTaskRunChange(spec, old, say);
  checkOneOf('taskRef', taskRef, 'taskSpec', taskSpec, say);
  if (taskRef !== undefined) checkReference(taskRef, 'spec.taskRef', say);
  if (taskSpec !== undefined) {
    checkTaskSpec(taskSpec, 'spec.taskSpec', say);
    const inline = new InlineParams();
    inline.give(params);
    inline.declare(taskSpec.params ?? [], 'spec', say);
    const steps = stepsOf(taskSpec);
    if (steps.length > 0) {
      checkTypes(inline.all(), 'spec', say);
      checkParamVariables(steps, inline.all(), 'spec', say);
      checkParamsUsed(steps, inline.all(), 'spec', say);
    }
  }
  checkGivenOnce(namesOf(params), 'spec.params', false, say);
  checkBindings(spec.workspaces ?? [], say);
  if (debug !== undefined) checkDebug(debug, say);
  checkOverrides(spec, 'spec', say);
  if (status !== '' && status !== 'TaskRunCancelled' && status !== 'TaskRunPending') {
    say.invalid(`${status} should be TaskRunCancelled or TaskRunPending`, 'spec.status');
  }
  checkStatusMessage(status, statusMessage, 'spec.statusMessage', say);
  if (retries < 0) say.invalid(`${retries} should be >= 0`, 'spec.retries');
  checkNotNegative(timeout, 'spec.timeout', say);
}

/** A TaskRun's spec as people write it. */
export type TaskRunSpecAsWritten = TaskRunSpec & {
  readonly debug?: { readonly breakpoints?: { readonly onFailure?: string; readonly beforeSteps?: readonly string[] } };
};

/** A CustomRun's spec. */
export type CustomRunSpec = Pick<TaskRunSpec, 'params' | 'status' | 'statusMessage' | 'workspaces'> & {
  readonly customRef?: { readonly apiVersion?: string; readonly kind?: string };
  readonly customSpec?: { readonly apiVersion?: string; readonly kind?: string; readonly spec?: Json };
};

/** A CustomRun's spec. Without knowing which controller is meant nothing else is looked at. */
export function checkCustomRun(spec: CustomRunSpec, say: Complaints): void {
  const { customRef, customSpec, params = [], status = '', statusMessage = '' } = spec;
  checkOneOf('customRef', customRef, 'customSpec', customSpec, say);
  if ((customRef === undefined) === (customSpec === undefined)) return;
  const [field, custom = {}] = customRef === undefined ? ['customSpec', customSpec] : ['customRef', customRef];
  const unnamed = (['apiVersion', 'kind'] as const).find((name) => (custom[name] ?? '') === '');
  if (unnamed !== undefined) {
    say.missing(at('spec', field, unnamed));
    return;
  }
  // Tekton leaves the `spec` out of this path.
  checkStatusMessage(status, statusMessage, 'statusMessage', say);
  checkGivenOnce(namesOf(params), 'spec.params', false, say);
  checkBindings(spec.workspaces ?? [], say);
}

const pipelineRunStatuses: readonly string[] = [
  'Cancelled',
  'CancelledRunFinally',
  'StoppedRunFinally',
  'PipelineRunPending',
];

/** Once created, a run's spec stands: only its status may be asked to change, and nothing when it is over. */
function checkPipelineRunChange(spec: PipelineRunSpec, old: Before<PipelineRunSpec>, say: Complaints): void {
  checkManagedBy(spec, old.spec, say);
  if (old.isDone) {
    if (!isDeepStrictEqual(spec, old.spec)) {
      say.invalid('Once the PipelineRun is complete, no updates are allowed', 'spec');
    }
  } else if (!isSameBut(['status', 'managedBy'], spec, old.spec)) {
    say.invalid('Once the PipelineRun has started, only status updates are allowed', 'spec');
  }
}

function checkTaskRunChange(spec: TaskRunSpec, old: Before<TaskRunSpec>, say: Complaints): void {
  checkManagedBy(spec, old.spec, say);
  if (old.isDone) {
    if (!isDeepStrictEqual(spec, old.spec)) {
      say.invalid('Once the TaskRun is complete, no updates are allowed', 'spec');
    }
  } else if (!isSameBut(['status', 'statusMessage', 'managedBy'], spec, old.spec)) {
    say.invalid('Once the TaskRun has started, only status and statusMessage updates are allowed', 'spec');
  }
}

function isSameBut(fields: readonly string[], spec: object, old: object): boolean {
  const fixed = (one: object) => Object.entries(one).filter(([field]) => !fields.includes(field));
  return isDeepStrictEqual(Object.fromEntries(fixed(spec)), Object.fromEntries(fixed(old)));
}

/** Said by itself, so that what has changed besides is not said of it too, unless the run is over. */
function checkManagedBy(
  { managedBy }: { readonly managedBy?: string },
  old: { readonly managedBy?: string },
  say: Complaints,
): void {
  if (managedBy !== old.managedBy) say.invalid('managedBy is immutable', 'spec.spec.managedBy');
}

function checkOneOf(first: string, one: unknown, second: string, other: unknown, say: Complaints): void {
  const paths = [at('spec', first), at('spec', second)];
  if (one === undefined && other === undefined) say.neither(paths);
  if (one !== undefined && other !== undefined) say.both(paths);
}

/** The parameters of a run reach the steps of tasks that are written within it. */
function checkInlinePipeline({ pipelineSpec, params = [] }: PipelineRunSpec, say: Complaints): void {
  const { tasks = [], params: declared = [] } = pipelineSpec ?? {};
  const inline = new InlineParams();
  inline.give(params);
  inline.declare(declared, 'spec', say);
  for (const task of tasks) {
    inline.give(task.params ?? []);
    inline.declare(task.taskSpec?.params ?? [], 'spec', say);
  }
  const all = inline.all();
  for (const { taskSpec } of tasks) {
    const steps = stepsOf(taskSpec ?? {});
    if (steps.length === 0) continue;
    checkTypes(all, 'spec', say);
    checkParamVariables(steps, all, 'spec', say);
    checkParamsUsed(steps, all, 'spec', say);
  }
  if (tasks.length === 0) return;
  checkParamDeclarations(tasks, all, 'spec', say);
  checkTaskValues(tasks, declaredBy(all), 'spec', say);
}

function checkTaskRunOverride(override: TaskRunOverride, path: string, say: Complaints): void {
  checkOverrides(override, path, say);
  checkNotNegative(override.timeout, at(path, 'timeout'), say);
}

/** Overrides of steps and sidecars name each once, and resources are given to a task or to its steps. */
function checkOverrides(
  {
    stepSpecs = [],
    sidecarSpecs = [],
    computeResources,
  }: {
    readonly stepSpecs?: readonly ResourceOverride[];
    readonly sidecarSpecs?: readonly ResourceOverride[];
    readonly computeResources?: ComputeResources;
  },
  path: string,
  say: Complaints,
): void {
  for (const [field, overrides] of [
    ['stepSpecs', stepSpecs],
    ['sidecarSpecs', sidecarSpecs],
  ] as const) {
    for (const [index, { name }] of overrides.entries()) if (name === '') say.missing(at(path, field, index, 'name'));
    const names = overrides.map(({ name }) => name).filter((name) => name !== '');
    checkGivenOnce(names, at(path, field), true, say);
  }
  const hasSteps = stepSpecs.some(({ computeResources: own = {} }) => Object.keys(own).length > 0);
  if (computeResources !== undefined && hasSteps) {
    say.both([at(path, 'stepSpecs.resources'), at(path, 'computeResources')]);
  }
}

function checkTimeouts(
  timeouts: NonNullable<PipelineRunSpec['timeouts']>,
  taskRunSpecs: readonly TaskRunOverride[],
  say: Complaints,
): void {
  for (const field of ['tasks', 'finally', 'pipeline'] as const) {
    checkNotNegative(timeouts[field], at('spec.timeouts', field), say);
  }
  const whole = parseDuration(timeouts.pipeline ?? '1h');
  const parts = { tasks: msOf(timeouts.tasks), finally: msOf(timeouts.finally) };
  const rule = 'should be <= pipeline duration';
  for (const field of ['tasks', 'finally'] as const) {
    const part = parts[field];
    if (part === undefined || whole === 0) continue;
    const path = at('spec.timeouts', field);
    if (part > whole) say.invalid(`${formatDuration(part)} ${rule}`, path);
    if (part === 0) say.invalid(`0s (no timeout) ${rule}`, path);
  }
  if (parts.tasks !== undefined && parts.finally !== undefined && parts.tasks + parts.finally > whole) {
    const sentence = `${formatDuration(parts.tasks)} + ${formatDuration(parts.finally)} ${rule}`;
    for (const field of ['tasks', 'finally']) say.invalid(sentence, at('spec.timeouts', field));
  }
  const most = parts.tasks ?? whole;
  const source = parts.tasks === undefined ? 'pipeline duration' : 'pipeline tasks duration';
  for (const [index, { timeout }] of taskRunSpecs.entries()) {
    const own = msOf(timeout);
    if (own === undefined || most === 0 || own <= most) continue;
    say.invalid(
      `${formatDuration(own)} should be <= ${source} ${formatDuration(most)}`,
      at('spec.taskRunSpecs', index, 'timeout'),
    );
  }
}

function msOf(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : parseDuration(duration);
}

function checkNotNegative(duration: string | undefined, path: string, say: Complaints): void {
  if (duration !== undefined && parseDuration(duration) < 0) say.invalid(`${duration} should be >= 0`, path);
}

function checkStatusMessage(status: string, message: string, path: string, say: Complaints): void {
  if (status !== '' || message === '') return;
  say.invalid(`statusMessage should not be set if status is not set, but it is currently set to ${message}`, path);
}

function checkDebug({ breakpoints = {} }: NonNullable<TaskRunSpecAsWritten['debug']>, say: Complaints): void {
  const { onFailure = '', beforeSteps = [] } = breakpoints;
  const path = 'spec.debug.breakpoints';
  say.needsAlpha('debug');
  if (onFailure !== '' && onFailure !== 'enabled') {
    say.invalid(
      `${onFailure} is not a valid onFailure breakpoint value, onFailure breakpoint is only allowed to be set as enabled`,
      at(path, 'onFailure'),
    );
  }
  for (const [index, step] of beforeSteps.entries()) {
    if (beforeSteps.indexOf(step) === index) continue;
    say.say(
      `before step must be unique, the same step: ${step} is defined multiple times at`,
      at(path, 'beforeSteps', index),
    );
  }
}

function checkBindings(workspaces: readonly WorkspaceBinding[], say: Complaints): void {
  for (const [index, workspace] of workspaces.entries()) checkBinding(workspace, at('spec.workspaces', index), say);
  const names = workspaces.map(({ name }) => name);
  checkGivenOnce(names, 'spec.workspaces', true, say);
}

const volumeFields = [
  'volumeClaimTemplate',
  'persistentVolumeClaim',
  'emptyDir',
  'configMap',
  'secret',
  'projected',
  'csi',
];
/** What Tekton says a workspace may be; two of the things that it may be are forgotten there. */
const namedVolumeFields = ['configmap', 'emptydir', 'persistentvolumeclaim', 'secret', 'volumeclaimtemplate'];

function checkBinding(workspace: WorkspaceBinding, path: string, say: Complaints): void {
  const given = Object.keys(workspace).filter((field) => volumeFields.includes(field));
  const paths = namedVolumeFields.map((field) => at(path, field));
  if (given.length > 1) say.both(paths);
  if (given.length === 0) say.neither(paths);
  if (given.length !== 1) return;
  const { persistentVolumeClaim, configMap, secret, csi } = workspace;
  if (persistentVolumeClaim?.claimName === '') say.missing(at(path, 'persistentvolumeclaim.claimname'));
  if (isNameless(configMap, 'name')) say.missing(at(path, 'configmap.name'));
  if (isNameless(secret, 'secretName')) say.missing(at(path, 'secret.secretName'));
  if (isNameless(csi, 'driver')) say.missing(at(path, 'csi.driver'));
}

/** Is there such a volume, but not the field that it needs? */
function isNameless(volume: Json | undefined, field: string): boolean {
  if (typeof volume !== 'object' || volume === null || Array.isArray(volume)) return false;
  const value = volume[field];
  return value === undefined || value === '';
}
