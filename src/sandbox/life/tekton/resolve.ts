/** What a PipelineRun is about: its pipeline, its tasks, and the runs they have become. */

import { mergeTemplate } from './containers.ts';
import type { Lookup } from './lookup.ts';
import { follow, nameOf } from './lookup.ts';
import { countCombinations } from './matrix.ts';
import { runNames } from './names.ts';
import { Refused, userError } from './pipelinechecks.ts';
import { indexOutOfBounds, putResults, resolveResults } from './results.ts';
import type { Pipelined, RunDraft } from './rundraft.ts';
import { isMatrixed, only, taskSpecOf, withType, withTypes } from './specs.ts';
import type { ChildKind, TaskState } from './taskstate.ts';
import type { ChildReference, PipelineRun, PipelineSpec, PipelineTask, TaskRun, TaskSpec, Texts } from './types.ts';

/** The pipeline of a run: what the status remembers of it, else what the run embeds or refers to. */
export function resolvePipeline(draft: RunDraft, lookup: Lookup): Pick<Pipelined, 'name' | 'spec'> {
  const { run } = draft;
  const { pipelineRef, pipelineSpec } = run.spec;
  const remembered = run.status?.pipelineSpec;
  const resolved = (pipeline: Pipelined): Pick<Pipelined, 'name' | 'spec'> => {
    const { params, tasks, finally: final } = pipeline.spec;
    const spec = {
      ...pipeline.spec,
      ...only('params', params?.map(withType)),
      ...only('tasks', tasks?.map(complete)),
      ...only('finally', final?.map(complete)),
    };
    draft.remember({ ...pipeline, spec });
    return { name: pipeline.name, spec };
  };
  if (pipelineSpec !== undefined) {
    const { name, generateName, labels, annotations } = run.metadata;
    return resolved({ name, spec: pipelineSpec, labels, annotations, isGenerated: generateName !== undefined });
  }
  if (remembered !== undefined)
    return resolved({ name: pipelineRef?.name ?? draft.pipelineLabel ?? '', spec: remembered });
  const found = follow('pipeline', pipelineRef ?? {}, lookup);
  if ('object' in found) {
    const { name, labels, annotations } = found.object.metadata;
    return resolved({ name, spec: found.object.spec, labels, annotations: withoutLastApplied(annotations) });
  }
  const { namespace = '', name } = run.metadata;
  const why =
    pipelineRef?.name === undefined || pipelineRef.name === ''
      ? found.why
      : `error when getting Pipeline for PipelineRun ${name}: tekton client cannot get pipeline ${pipelineRef.name} from local cluster: ${found.why}`;
  throw new Refused('CouldntGetPipeline', `Error retrieving pipeline for pipelinerun ${namespace}/${name}: ${why}`);
}

/**
 * A task whose embedded Task is complete: with its types, and with what its template gives to its steps. Tekton's check of a
 * pipeline leaves them so, in the status and in what is made of it. Steps that refer to a StepAction stay as they are until
 * it is read.
 */
function complete(task: PipelineTask): PipelineTask {
  const taskSpec = task.taskSpec && withTypes(task.taskSpec);
  if (taskSpec === undefined) return task;
  if (taskSpec.steps === undefined || taskSpec.stepTemplate === undefined) return { ...task, taskSpec };
  const steps = taskSpec.steps.map((step) => (step.ref ? step : mergeTemplate(taskSpec.stepTemplate, step)));
  return { ...task, taskSpec: { ...taskSpec, steps } };
}

/** The tasks and their runs. Those that have runs come first: what they have written may decide how others fan out. */
export function resolveTasks(draft: RunDraft, spec: PipelineSpec, pipeline: string, lookup: Lookup): TaskState[] {
  const withRuns = new Set(draft.children.map(({ pipelineTaskName }) => pipelineTaskName));
  const all = [
    ...(spec.tasks ?? []).map((task) => ({ task, isFinal: false })),
    ...(spec.finally ?? []).map((task) => ({ task, isFinal: true })),
  ];
  const states: TaskState[] = [];
  const ordered = [
    ...all.filter(({ task }) => withRuns.has(task.name)),
    ...all.filter(({ task }) => !withRuns.has(task.name)),
  ];
  for (const { task, isFinal } of ordered) states.push(resolveTask(draft, { task, isFinal, pipeline, states, lookup }));
  return states;
}

interface TaskContext {
  readonly task: PipelineTask;
  readonly isFinal: boolean;
  /** Name of the pipeline. */
  readonly pipeline: string;
  /** Tasks that have been resolved already. */
  readonly states: readonly TaskState[];
  readonly lookup: Lookup;
}

function resolveTask(draft: RunDraft, { task, isFinal, pipeline, states, lookup }: TaskContext): TaskState {
  const { run } = draft;
  const { namespace = '', name: runName } = run.metadata;
  const kind = kindOf(task);
  const state: TaskState = {
    task,
    kind,
    isFinal,
    names: [],
    taskRuns: [],
    customRuns: [],
    pipelineRuns: [],
    spec: undefined,
    taskName: undefined,
    pipeline: undefined,
  };
  const beyond = indexOutOfBounds(state, states);
  if (beyond !== undefined) {
    const message = `PipelineRun ${namespace}/${runName} can't be Run; couldn't resolve all references: ${beyond}`;
    throw userError('PipelineValidationFailed', message);
  }
  const results = resolveResults(state, states);
  if ('replacements' in results) putResults(state, results.replacements);
  const count = isMatrixed(state.task) ? countCombinations(state.task.matrix ?? {}) : 1;
  const existing = draft.children.filter((child) => child.kind === kind && child.pipelineTaskName === task.name);
  const names = existing.length > 0 ? existing.map(({ name }) => name) : runNames(runName, task.name, count);
  const present = <Child>(get: (name: string) => Child | undefined): Child[] =>
    names.flatMap((name) => get(name) ?? []);
  if (kind === 'CustomRun') return { ...state, names, customRuns: present((name) => lookup.customRun(name)) };
  if (kind === 'PipelineRun') {
    return {
      ...state,
      names,
      pipelineRuns: present((name) => lookup.pipelineRun(name)),
      pipeline: nestedPipeline(draft, state.task, pipeline, lookup),
    };
  }
  const taskRuns = present((name) => lookup.taskRun(name));
  const { spec, taskName } = taskOf(draft, { task: state.task, taskRun: taskRuns.at(-1), pipeline, lookup });
  // Without any combination there is nothing that the Task would be looked up for.
  return { ...state, names, taskRuns, spec: names.length === 0 ? undefined : spec, taskName };
}

function taskOf(
  { run }: RunDraft,
  {
    task,
    taskRun,
    pipeline,
    lookup,
  }: { task: PipelineTask; taskRun: TaskRun | undefined; pipeline: string; lookup: Lookup },
): { readonly spec: TaskSpec; readonly taskName: string | undefined } {
  if (task.taskRef === undefined) {
    return { spec: withTypes(taskSpecOf(task.taskSpec ?? {})), taskName: undefined };
  }
  const remembered = taskRun?.status?.taskSpec;
  if (remembered !== undefined) return { spec: withTypes(remembered), taskName: task.taskRef.name ?? '' };
  const found = follow('task', task.taskRef, lookup);
  if ('object' in found) return { spec: withTypes(found.object.spec), taskName: found.object.metadata.name };
  throw new Refused(
    'CouldntGetTask',
    `Pipeline ${run.metadata.namespace}/${pipeline} can't be Run; it contains Tasks that don't exist: Couldn't retrieve Task ${JSON.stringify(nameOf(task.taskRef))}: ${found.why}`,
  );
}

function nestedPipeline(
  { run }: RunDraft,
  { pipelineSpec, pipelineRef = {} }: PipelineTask,
  pipeline: string,
  lookup: Lookup,
): NonNullable<TaskState['pipeline']> {
  if (pipelineSpec !== undefined) return { spec: pipelineSpec };
  const found = follow('pipeline', pipelineRef, lookup);
  if ('object' in found) return { spec: found.object.spec, name: found.object.metadata.name };
  const { name = '', resolver = '' } = pipelineRef;
  const why =
    resolver === '' ? `tekton client cannot get pipeline ${name} from local cluster: ${found.why}` : found.why;
  throw new Refused(
    'CouldntGetPipeline',
    `Pipeline ${run.metadata.namespace}/${pipeline} can't be Run; it contains child Pipelines that don't exist: Couldn't retrieve Pipeline ${JSON.stringify(nameOf(pipelineRef))}: ${why}`,
  );
}

function kindOf({ taskRef, taskSpec, pipelineRef, pipelineSpec }: PipelineTask): ChildKind {
  if (pipelineRef !== undefined || pipelineSpec !== undefined) return 'PipelineRun';
  const isCustom = [taskRef, taskSpec].some((one) => (one?.apiVersion ?? '') !== '' && (one?.kind ?? '') !== '');
  return isCustom ? 'CustomRun' : 'TaskRun';
}

/** The children that the status tells of, in the order in which Tekton goes through them. */
export function knownChildren({ status }: PipelineRun): readonly ChildReference[] {
  const key = ({ pipelineTaskName, name, kind }: ChildReference) => `${pipelineTaskName}\0${name}\0${kind}`;
  return [...(status?.childReferences ?? [])].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Names of the Pipelines that a run belongs to, its own first, then those that it is nested in. */
export function ancestorsOf(run: PipelineRun, lookup: Lookup): string[] {
  const own = run.metadata.labels?.['tekton.dev/pipeline'];
  const owner = run.metadata.ownerReferences?.find(
    ({ kind, controller }) => kind === 'PipelineRun' && controller === true,
  );
  const parent = owner === undefined ? undefined : lookup.pipelineRun(owner.name);
  return [...(own === undefined ? [] : [own]), ...(parent === undefined ? [] : ancestorsOf(parent, lookup))];
}

/** The pipeline's own record of how it was applied is not the run's. */
function withoutLastApplied(annotations: Texts = {}): Texts {
  const { 'kubectl.kubernetes.io/last-applied-configuration': _, ...rest } = annotations;
  return rest;
}
