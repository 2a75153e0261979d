/** The runs and claims that a PipelineRun makes: TaskRuns, CustomRuns, nested PipelineRuns, volume claims. */

import { parseDuration } from './duration.ts';
import { countCombinations } from './matrix.ts';
import { affinityAssistantName, claimName, joinSubPaths } from './names.ts';
import type { Timeouts } from './progress.ts';
import { countResults } from './results.ts';
import { isMatrixed, only, replaceInReferences, taskSpecOf } from './specs.ts';
import type { Replacements } from './substitute.ts';
import { mapTexts, replaceDeep, replaceText, texts, variablesIn, variablesInValue } from './substitute.ts';
import type { TaskState } from './taskstate.ts';
import type {
  ChildReference,
  CustomRun,
  Draft,
  Param,
  PipelineRun,
  PipelineSpec,
  PipelineTask,
  PodTemplate,
  TaskRun,
  TaskRunOverride,
  TaskSpec,
  Texts,
  WorkspaceBinding,
} from './types.ts';
import { controllerReference } from './types.ts';

/** What every run of a PipelineRun is made from. */
export interface Parent {
  /** With the labels and annotations it has by now. */
  readonly run: PipelineRun;
  /** Names of the Pipelines that it belongs to, its own first, then those that it is nested in. */
  readonly ancestors: readonly string[];
  readonly spec: PipelineSpec;
  readonly states: readonly TaskState[];
  readonly timeouts: Timeouts;
  /** The run's bindings, with parameters and results put in. */
  readonly workspaces: readonly WorkspaceBinding[];
}

/** A required workspace that the run does not bind: no later attempt can do better. */
export class UnboundWorkspace extends Error {}

/** Annotations that no child inherits. */
const reserved = /chains\.tekton\.dev\//;

/** A TaskRun for `state`, with the parameters of its combination. Throws UnboundWorkspace. */
export function taskRunFor(parent: Parent, state: TaskState, name: string, combination: readonly Param[]): Draft {
  const { run } = parent;
  const task = withContext(state.task, parent);
  const override = overrideFor(run, task.name);
  const workspaces = bindingsFor(parent, state);
  const affinity = claimedWorkspace(parent, state);
  const annotations: Texts = {
    ...(task.taskSpec?.metadata?.annotations ?? {}),
    ...inheritedAnnotations(run),
    ...(override.metadata?.annotations ?? {}),
    ...(task.onError === 'continue' ? { 'pipeline.tekton.dev/pipeline-task-on-error': 'continue' } : {}),
    ...(affinity === undefined
      ? {}
      : { 'pipeline.tekton.dev/affinity-assistant': affinityAssistantName(affinity, run.metadata.name) }),
  };
  const labels: Texts = {
    ...(task.taskSpec?.metadata?.labels ?? {}),
    ...childLabels(parent, task.name),
    ...(override.metadata?.labels ?? {}),
  };
  const params = [...combination, ...(task.params ?? [])];
  return {
    apiVersion: 'tekton.dev/v1',
    kind: 'TaskRun',
    metadata: metadataOf(run, name, labels, annotations),
    spec: {
      ...only('retries', task.retries === 0 ? undefined : task.retries),
      ...only('params', params.length === 0 ? undefined : params),
      ...only('serviceAccountName', override.serviceAccountName),
      ...only('podTemplate', override.podTemplate),
      ...only('stepSpecs', override.stepSpecs),
      ...only('sidecarSpecs', override.sidecarSpecs),
      ...only('computeResources', override.computeResources),
      ...only('timeout', override.timeout ?? task.timeout ?? inheritedTimeout(parent, state)),
      ...(state.taskName === undefined ? only('taskSpec', embedded(state.spec)) : only('taskRef', task.taskRef)),
      ...only('workspaces', workspaces.length === 0 ? undefined : workspaces),
    },
  };
}

/** A CustomRun for `state`: whoever serves its kind fills in the status. Throws UnboundWorkspace. */
export function customRunFor(parent: Parent, state: TaskState, name: string, combination: readonly Param[]): Draft {
  const task = withContext(state.task, parent);
  const override = overrideFor(parent.run, task.name);
  const workspaces = bindingsFor(parent, state);
  const params = [...combination, ...(task.params ?? [])];
  const { taskSpec } = task;
  return {
    apiVersion: 'tekton.dev/v1beta1',
    kind: 'CustomRun',
    metadata: metadataOf(parent.run, name, childLabels(parent, task.name), inheritedAnnotations(parent.run)),
    spec: {
      ...only('customRef', task.taskRef),
      ...only(
        'customSpec',
        taskSpec && {
          ...only('apiVersion', taskSpec.apiVersion),
          ...only('kind', taskSpec.kind),
          metadata: taskSpec.metadata ?? {},
          ...only('spec', taskSpec.spec),
        },
      ),
      ...only('retries', task.retries === 0 ? undefined : task.retries),
      ...only('params', params.length === 0 ? undefined : params),
      ...only('serviceAccountName', override.serviceAccountName),
      ...only('timeout', override.timeout ?? task.timeout ?? inheritedTimeout(parent, state)),
      ...only('workspaces', workspaces.length === 0 ? undefined : workspaces),
    },
  };
}

/** A nested PipelineRun for `state`. Workspaces that are not bound are left to it to miss. */
export function pipelineRunFor(parent: Parent, state: TaskState, name: string): Draft {
  const { run } = parent;
  const task = withContext(state.task, parent);
  const labels = childLabels(parent, task.name);
  const workspaces = (task.workspaces ?? []).flatMap(({ name: inner, workspace = inner, subPath }) => {
    const binding = parent.workspaces.find((one) => one.name === workspace);
    return binding === undefined ? [] : [bound(run, binding, inner, subPath)];
  });
  const own = state.pipeline?.name;
  return {
    apiVersion: 'tekton.dev/v1',
    kind: 'PipelineRun',
    metadata: metadataOf(
      run,
      name,
      own === undefined ? labels : { ...labels, 'tekton.dev/pipeline': own },
      inheritedAnnotations(run),
    ),
    spec: {
      ...only('taskRunTemplate', run.spec.taskRunTemplate),
      ...only('params', task.params),
      ...only('workspaces', workspaces.length === 0 ? undefined : workspaces),
      ...(task.pipelineRef === undefined
        ? only('pipelineSpec', state.pipeline?.spec)
        : { pipelineRef: task.pipelineRef }),
    },
  };
}

/** A claim for a workspace's template, or undefined when it has none. Its name is the same whenever it is asked for. */
export function claimFor(owner: PipelineRun | TaskRun, binding: WorkspaceBinding): Draft | undefined {
  const { volumeClaimTemplate: template } = binding;
  if (template === undefined) return undefined;
  const { labels, annotations } = template.metadata ?? {};
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: claimName(binding, owner),
      namespace: owner.metadata.namespace ?? '',
      ...only('labels', labels),
      ...only('annotations', annotations),
      ownerReferences: [controllerReference(owner)],
    },
    // The API has checked that a template's spec is an object.
    spec: (template.spec ?? {}) as object,
  };
}

/** A binding in which a claim stands for its template. */
export function withClaim(owner: PipelineRun | TaskRun, binding: WorkspaceBinding): WorkspaceBinding {
  const { volumeClaimTemplate: template, ...rest } = binding;
  if (template === undefined) return binding;
  return {
    name: rest.name,
    ...only('subPath', rest.subPath),
    persistentVolumeClaim: { claimName: claimName(binding, owner) },
  };
}

/** Bindings with parameters or results put into claim names, config maps, secrets and sub-paths. */
export function replaceInBindings(
  bindings: readonly WorkspaceBinding[],
  replacements: Replacements,
): readonly WorkspaceBinding[] {
  return bindings.map(({ name, volumeClaimTemplate, emptyDir, ...rest }) => ({
    name,
    ...only('volumeClaimTemplate', volumeClaimTemplate),
    ...only('emptyDir', emptyDir),
    ...replaceDeep(rest, replacements),
  }));
}

/** How `status.childReferences` lists a task's run. */
export function childReference(
  state: TaskState,
  run: Pick<TaskRun | CustomRun | PipelineRun, 'spec' | 'kind' | 'apiVersion'> & {
    readonly metadata: { readonly name: string };
  },
): ChildReference {
  const { when = [] } = state.task;
  const displayName = displayNameOf(state.task, run.spec.params ?? []);
  return {
    apiVersion: run.apiVersion,
    kind: run.kind,
    name: run.metadata.name,
    ...only('displayName', displayName === '' ? undefined : displayName),
    pipelineTaskName: state.task.name,
    ...only('whenExpressions', when.length === 0 ? undefined : when),
  };
}

/** Labels by which all children of a run are found. */
function childSelector(run: PipelineRun): Texts {
  return { 'tekton.dev/pipelineRun': run.metadata.name, 'tekton.dev/pipelineRunUID': run.metadata.uid };
}

function metadataOf(run: PipelineRun, name: string, labels: Texts, annotations: Texts): Draft['metadata'] {
  return {
    name,
    namespace: run.metadata.namespace ?? '',
    labels,
    ...only('annotations', Object.keys(annotations).length === 0 ? undefined : annotations),
    ownerReferences: [controllerReference(run)],
  };
}

function childLabels({ run, spec }: Parent, task: string): Texts {
  const memberOf = (spec.tasks ?? []).some(({ name }) => name === task) ? 'tasks' : 'finally';
  return {
    ...(run.metadata.labels ?? {}),
    ...childSelector(run),
    'tekton.dev/pipelineTask': task,
    'tekton.dev/memberOf': memberOf,
  };
}

function inheritedAnnotations(run: PipelineRun): Texts {
  return Object.fromEntries(Object.entries(run.metadata.annotations ?? {}).filter(([key]) => !reserved.test(key)));
}

/** What the run says about one of its tasks, over what it says about all. */
function overrideFor({ spec }: PipelineRun, task: string): TaskRunOverride {
  const { serviceAccountName, podTemplate } = spec.taskRunTemplate ?? {};
  const own = (spec.taskRunSpecs ?? []).findLast(({ pipelineTaskName }) => pipelineTaskName === task);
  const template = mergeTemplates(own?.podTemplate, podTemplate);
  return {
    ...own,
    ...only('serviceAccountName', own?.serviceAccountName || serviceAccountName),
    ...only('podTemplate', template),
  };
}

function mergeTemplates(own: PodTemplate | undefined, common: PodTemplate | undefined): PodTemplate | undefined {
  if (own === undefined || common === undefined) return own ?? common;
  return {
    ...common,
    ...own,
    ...only('env', byName(common.env, own.env)),
    ...only('volumes', byName(common.volumes, own.volumes)),
  };
}

function byName<Named extends { readonly name: string }>(
  common: readonly Named[] | undefined,
  own: readonly Named[] | undefined,
): readonly Named[] | undefined {
  if (common === undefined || own === undefined) return own ?? common;
  const names = new Set(own.map(({ name }) => name));
  return [...own, ...common.filter(({ name }) => !names.has(name))];
}

/** The run's timeout for the task's part of the pipeline, when it is longer than the default or none at all. */
function inheritedTimeout({ run, timeouts }: Parent, { isFinal }: TaskState): string | undefined {
  const ms = isFinal ? timeouts.finally : timeouts.tasks;
  if (ms === undefined || (ms !== 0 && ms <= parseDuration('1h'))) return undefined;
  const said = isFinal ? run.spec.timeouts?.finally : run.spec.timeouts?.tasks;
  return said ?? `${ms / 1_000}s`;
}

function embedded(spec: TaskSpec | undefined): TaskSpec | undefined {
  return spec === undefined ? undefined : taskSpecOf(spec);
}

/**
 * `$(context.pipelineTask.retries)` and the lengths of matrices, which are known only when the task starts. Of each
 * parameter Tekton looks at the first length it names and leaves others as they are.
 */
function withContext(task: PipelineTask, { spec, states }: Parent): PipelineTask {
  const firsts = (task.params ?? []).flatMap(({ value }) => variablesInValue(value).find(isLength) ?? []);
  const lengths = firsts.flatMap((variable): [string, string][] => {
    const [, name, , result, isOfResult] = variable.split('.');
    const fannedOut = (spec.tasks ?? []).find((one) => one.name === name)?.matrix;
    const state = states.find((one) => one.task.name === name);
    if (isOfResult === undefined)
      return fannedOut === undefined ? [] : [[variable, String(countCombinations(fannedOut))]];
    return state === undefined ? [] : [[variable, String(countResults(state, result ?? ''))]];
  });
  const known = texts(new Map([['context.pipelineTask.retries', String(task.retries ?? 0)], ...lengths]));
  const { displayName } = task;
  return {
    ...replaceInReferences(task, known),
    ...only('displayName', displayName === undefined ? undefined : replaceText(displayName, known)),
  };
}

/** `tasks.x.matrix.length` and `tasks.x.matrix.y.length`. */
function isLength(variable: string): boolean {
  return /^tasks\.[^.]+\.matrix\.(?:[^.]+\.)?length$/.test(variable);
}

/** The task's workspaces, bound as the run binds the pipeline's. */
function bindingsFor(parent: Parent, state: TaskState): WorkspaceBinding[] {
  const { run } = parent;
  return usedWorkspaces(state).flatMap(({ name, workspace = name, subPath }) => {
    const binding = parent.workspaces.find((one) => one.name === workspace);
    if (binding !== undefined) return [withContextSubPath(bound(run, binding, name, subPath), run)];
    const isOptional = (state.spec?.workspaces ?? []).some((one) => one.name === name && one.optional === true);
    if (isOptional) return [];
    throw new UnboundWorkspace(
      `expected workspace "${workspace}" to be provided by pipelinerun for pipeline task "${state.task.name}"`,
    );
  });
}

/** Those a task names, and those that an embedded Task only uses: `$(workspaces.x.path)`. */
function usedWorkspaces({ task }: TaskState): NonNullable<PipelineTask['workspaces']> {
  const named = task.workspaces ?? [];
  const used = new Set<string>();
  const { steps, sidecars, stepTemplate } = task.taskSpec ?? {};
  mapTexts([steps, sidecars, stepTemplate], (text) => {
    for (const variable of variablesIn(text)) {
      const [kind, name] = variable.split('.');
      if (kind === 'workspaces' && name !== undefined) used.add(name);
    }
    return text;
  });
  const more = [...used].filter((name) => !named.some((one) => one.name === name)).sort();
  return [...named, ...more.map((name) => ({ name }))];
}

function bound(
  run: PipelineRun,
  binding: WorkspaceBinding,
  name: string,
  subPath: string | undefined,
): WorkspaceBinding {
  const { name: _, subPath: outer, ...source } = withClaim(run, binding);
  return { name, ...only('subPath', joinSubPaths(outer, subPath)), ...source };
}

function withContextSubPath(binding: WorkspaceBinding, run: PipelineRun): WorkspaceBinding {
  if (binding.subPath === undefined) return binding;
  return { ...binding, subPath: replaceText(binding.subPath, texts(contextOf(run, run.spec.pipelineRef?.name ?? ''))) };
}

/** `$(context.pipelineRun.*)` and `$(context.pipeline.name)`. */
export function contextOf({ metadata }: PipelineRun, pipeline: string): Texts {
  return {
    'context.pipelineRun.name': metadata.name,
    'context.pipeline.name': pipeline,
    'context.pipelineRun.namespace': metadata.namespace ?? '',
    'context.pipelineRun.uid': metadata.uid,
  };
}

/** The last of the task's workspaces that is a claim: pods that share it are to run on one node. */
function claimedWorkspace({ workspaces }: Parent, state: TaskState): string | undefined {
  const names = usedWorkspaces(state).map(({ name, workspace = name }) => workspace);
  return names.findLast((name) => {
    const binding = workspaces.find((one) => one.name === name);
    return binding?.persistentVolumeClaim !== undefined || binding?.volumeClaimTemplate !== undefined;
  });
}

/** A task's display name for one run; for a matrix the names of the combinations that it is of. */
function displayNameOf(task: PipelineTask, params: readonly Param[]): string {
  const strings = params.flatMap(({ name, value }): [string, string][] =>
    typeof value === 'string' ? [[`params.${name}`, value]] : [],
  );
  const known = texts(new Map(strings));
  if (isMatrixed(task)) {
    const names = (task.matrix?.include ?? []).filter(
      ({ name = '', params: included = [] }) =>
        name !== '' && included.every((one) => known.strings.get(`params.${one.name}`) === one.value),
    );
    const text = names.map(({ name = '' }) => replaceText(name, known)).join(' ');
    if (text !== '') return text.trim();
  }
  return replaceText(task.displayName ?? '', known);
}
