/** What must hold before a PipelineRun starts its first task, and Tekton's sentences for what does not. */
import { missingKeys, missingParams, mistypedParams, referencesOutOfBounds, textsOfPipeline } from './params.ts';
import { matrixParamsOf, parseReference, referencesOf } from './reference.ts';
import { unknownResult } from './results.ts';
import { isList, variablesIn, variablesInValue } from './substitute.ts';
import type { TaskState } from './taskstate.ts';
import type { Param, PipelineRun, PipelineSpec, TaskSpec } from './types.ts';
import { Complaints } from './validation/complaints.ts';
import { checkOnError, checkPipelineSpec } from './validation/pipelines.ts';
import { checkParamsUsed, checkTaskSpec } from './validation/tasks.ts';

/** The run is over before it began, or cannot go on: reason and message of its condition. */
export class Refused extends Error {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/**
 * The webhook's questions about a pipeline, asked again of what a run remembers of it. A pipeline that was taken over by name
 * is remembered with values put in, and what is in them is judged as if it had been written there. Throws Refused.
 */
export function checkSpec(run: PipelineRun, name: string, spec: PipelineSpec): void {
  refuseSpec(run, name, (say) => checkPipelineSpec(spec, '', say));
}

/** What is wrong with a pipeline only since values have been put in. Throws Refused. */
export function checkSubstituted(run: PipelineRun, name: string, spec: PipelineSpec): void {
  refuseSpec(run, name, (say) => {
    for (const task of [...(spec.tasks ?? []), ...(spec.finally ?? [])]) checkOnError(task, '', say);
  });
}

function refuseSpec({ metadata }: PipelineRun, name: string, check: (say: Complaints) => void): void {
  const why = complaintsOf(check);
  if (why === undefined) return;
  throw userError(
    'PipelineValidationFailed',
    `Pipeline ${metadata.namespace}/${name} can't be Run; it has an invalid spec: ${why}`,
  );
}

/**
 * What is wrong with a Task that has every value in it, just before its pod is made: undefined when nothing is. Variables
 * that came with the values count as the Task's own.
 */
export function wrongTask(spec: TaskSpec): string | undefined {
  return (
    complaintsOf((say) => checkParamsUsed(spec.steps ?? [], spec.params ?? [], '', say)) ??
    complaintsOf((say) => checkTaskSpec(spec, '', say))
  );
}

function complaintsOf(check: (say: Complaints) => void): string | undefined {
  const say = new Complaints();
  check(say);
  return say.sentence();
}

/** What is wrong with the values that a run gives to a pipeline. Throws Refused for the first thing. */
export function checkRun(run: PipelineRun, name: string, spec: PipelineSpec): void {
  const { namespace = '' } = run.metadata;
  const pipeline = `Pipeline ${namespace}/${name}`;
  const self = `PipelineRun ${namespace}/${run.metadata.name}`;
  const declared = spec.params ?? [];
  const given = run.spec.params ?? [];
  const missing = missingParams(declared, given);
  if (missing.length > 0) {
    throw userError(
      'ParameterMissing',
      `${self} is missing some parameters required by ${pipeline}: pipelineRun missing parameters: ${list(missing)}`,
    );
  }
  const mistyped = mistypedParams(declared, given);
  if (mistyped.length > 0) {
    throw userError(
      'ParameterTypeMismatch',
      `${self} parameters have mismatching types with ${pipeline}'s parameters: parameters have inconsistent types : ${list(mistyped)}`,
    );
  }
  const keys = missingKeys(declared, given);
  if (keys.size > 0) {
    throw userError(
      'ObjectParameterMissKeys',
      `${self} parameters is missing object keys required by ${pipeline}'s parameters: pipelineRun missing object keys for parameters: ${keysList(keys)}`,
    );
  }
  const beyond = referencesOutOfBounds(textsOfPipeline(spec), declared, given);
  if (beyond.length > 0) {
    throw userError(
      'ParamArrayIndexingInvalid',
      `${self} failed validation: failed to validate ${pipeline}'s parameter which has an invalid index while referring to an array: non-existent param references:${list(beyond)}`,
    );
  }
  const bound = new Set((run.spec.workspaces ?? []).map((workspace) => workspace.name));
  const unbound = (spec.workspaces ?? []).find(
    (workspace) => workspace.optional !== true && !bound.has(workspace.name),
  );
  if (unbound !== undefined) {
    throw userError(
      'InvalidWorkspaceBindings',
      `${self} doesn't bind ${pipeline}'s Workspaces correctly: pipeline requires workspace with name "${unbound.name}" be provided by pipelinerun`,
    );
  }
  const tasks = new Set([...(spec.tasks ?? []), ...(spec.finally ?? [])].map((task) => task.name));
  const stray = (run.spec.taskRunSpecs ?? []).find(({ pipelineTaskName = '' }) => !tasks.has(pipelineTaskName));
  if (stray !== undefined) {
    throw userError(
      'InvalidTaskRunSpecs',
      `${self} doesn't define taskRunSpecs correctly: pipelineRun's taskrunSpecs defined wrong taskName: "${stray.pipelineTaskName}", does not exist in Pipeline`,
    );
  }
}

/** What is wrong with the values that the tasks get. Throws Refused. */
export function checkTasks(run: PipelineRun, states: readonly TaskState[]): void {
  for (const { kind, task, spec, taskName = '' } of states) {
    if (kind !== 'TaskRun' || spec === undefined) continue;
    const why = wrongParams(spec, task.params ?? [], matrixParamsOf(task));
    if (why === undefined) continue;
    throw userError(
      'PipelineValidationFailed',
      `Validation failed for pipelinerun ${run.metadata.name} with error invalid input params for task ${taskName}: ${why}`,
    );
  }
}

/** What is wrong with the values a Task gets, as both controllers say it; undefined when nothing is. */
export function wrongParams(
  spec: TaskSpec,
  params: readonly Param[],
  matrix: readonly Param[] = [],
): string | undefined {
  const { params: declared = [] } = spec;
  const missing = missingParams(declared, [...params, ...matrix]);
  if (missing.length > 0) return `missing values for these params which have no default values: ${list(missing)}`;
  const types = new Map(declared.map(({ name, type }) => [name, type]));
  // A variable on its own may still become a list or an object.
  const settled = params.filter(
    ({ name, value }) =>
      !(typeof value === 'string' && (types.get(name) ?? 'string') !== 'string' && variablesIn(value).length > 0),
  );
  const mistyped = [
    ...mistypedParams(declared, settled),
    ...matrix.filter(({ name }) => (types.get(name) ?? 'string') !== 'string').map(({ name }) => name),
  ];
  if (mistyped.length > 0) return `param types don't match the user-specified type: ${list(mistyped)}`;
  const keys = missingKeys(declared, params);
  if (keys.size > 0)
    return `missing keys for these params which are required in ParamSpec's properties ${keysList(keys)}`;
  return undefined;
}

/** References to results that no task has, and required workspaces that the pipeline calls optional. Throws Refused. */
export function checkReferences(run: PipelineRun, spec: PipelineSpec, states: readonly TaskState[]): void {
  for (const { task } of states) {
    for (const reference of referencesOf(task)) {
      const why = unknownResult(reference, states);
      if (why !== undefined) {
        throw new Refused(
          'InvalidTaskResultReference',
          `invalid result reference in pipeline task "${task.name}": ${why}`,
        );
      }
    }
  }
  for (const { name, value } of spec.results ?? []) {
    for (const variable of variablesInValue(value)) {
      const reference = parseReference(variable);
      const why = reference && unknownResult(reference, states);
      if (why === undefined) continue;
      throw new Refused(
        'InvalidPipelineResultReference',
        `Failed to resolve pipeline result reference for "${run.metadata.name}" with error invalid pipeline result "${name}": ${why}`,
      );
    }
  }
  const optional = new Set((spec.workspaces ?? []).filter((one) => one.optional === true).map(({ name }) => name));
  for (const { task, spec: taskSpec } of states) {
    for (const { name, workspace = '' } of task.workspaces ?? []) {
      const required = (taskSpec?.workspaces ?? []).some((one) => one.name === name && one.optional !== true);
      if (!optional.has(workspace) || !required) continue;
      throw userError(
        'RequiredWorkspaceMarkedOptional',
        `Optional workspace not supported by task: pipeline workspace "${workspace}" is marked optional but pipeline task "${task.name}" requires it be provided`,
      );
    }
  }
}

/** Parameters of a matrix that are no lists once results have been put in. Throws Refused. */
export function checkMatrixTypes(states: readonly TaskState[]): void {
  for (const { task } of states) {
    const wrong = (task.matrix?.params ?? []).find(
      ({ value }) =>
        !isList(value) && !variablesInValue(value).some((variable) => parseReference(variable) !== undefined),
    );
    if (wrong === undefined) continue;
    const type = typeof wrong.value === 'string' ? 'string' : 'object';
    throw new Refused(
      'InvalidMatrixParameterTypes',
      // Tekton leaves one of its format's verbs without a value, and says so.
      `[User error] Failed to validate matrix "parameters of type array only are allowed, but param \\"${wrong.name}\\" has type \\"${type}\\" in pipelineTask \\"${task.name}\\"" with error %!v(MISSING)`,
    );
  }
}

/** A mistake of whoever wrote the run or the pipeline. */
export function userError(reason: string, message: string): Refused {
  return new Refused(reason, `[User error] ${message}`);
}

/** A list as Go prints it. */
export function list(names: readonly string[]): string {
  return `[${names.join(' ')}]`;
}

/** Lists by name as Go prints them. */
export function keysList(keys: ReadonlyMap<string, readonly string[]>): string {
  const byName = [...keys].sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${byName.map(([name, missing]) => `${name}:${list(missing)}`).join(' ')}]`;
}
