/** The spec that a TaskRun runs: fetched, completed, checked, with every variable put in. */
import { inContainer, resolvePaths } from '../paths.ts';
import { requestsBeyondLimits } from './containers.ts';
import type { Lookup } from './lookup.ts';
import { follow } from './lookup.ts';
import { stepContainer } from './names.ts';
import { referencesOutOfBounds, replacementsOf, taskParams, textsOfTask } from './params.ts';
import { list, Refused, wrongParams } from './pipelinechecks.ts';
import { only, replaceInStep, replaceInTask, withTypes } from './specs.ts';
import { resolveSteps } from './stepactions.ts';
import { mapTexts, texts } from './substitute.ts';
import type { Meta, TaskRun, TaskSpec, Volume, WorkspaceBinding } from './types.ts';
import { mountPathOf, wrongBindings } from './workspaces.ts';

/** A Task found for a run. */
export interface ResolvedTask {
  readonly name: string;
  /** Labels and annotations that the run inherits. */
  readonly metadata: Pick<Meta, 'labels' | 'annotations'>;
  readonly spec: TaskSpec;
}

/** The Task of a run, its StepActions resolved. Throws Refused. */
export function resolveTaskOf(run: TaskRun, lookup: Lookup): ResolvedTask {
  const task = fetchTask(run, lookup);
  try {
    return {
      ...task,
      spec: { ...task.spec, ...only('steps', task.spec.steps && resolveSteps(task.spec, run, lookup)) },
    };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new Refused('TaskRunResolutionFailed', error.message);
  }
}

/** What is wrong between a run and its Task. Throws Refused for the first thing. */
export function checkTaskRun(run: TaskRun, { name, spec }: ResolvedTask): void {
  const given = run.spec.params ?? [];
  const beyond = referencesOutOfBounds(textsOfTask(spec), spec.params ?? [], given);
  const params = wrongParams(spec, given);
  const { workspaces: bindings = [], stepSpecs = [], sidecarSpecs = [] } = run.spec;
  // An embedded Task need not declare what the run binds.
  const declared = [
    ...(run.spec.taskSpec === undefined ? [] : bindings.map((one) => ({ name: one.name }))),
    ...(spec.workspaces ?? []),
  ];
  const strays = [
    ...stepSpecs
      .filter((one) => !(spec.steps ?? []).some((step) => step.name === one.name))
      .map((one) => `invalid StepOverride: No Step named ${one.name}`),
    ...sidecarSpecs
      .filter((one) => !(spec.sidecars ?? []).some((sidecar) => sidecar.name === one.name))
      .map((one) => `invalid SidecarOverride: No Sidecar named ${one.name}`),
  ];
  const why =
    requestsBeyondLimits(spec) ??
    (params === undefined ? undefined : `invalid input params for task ${name}: ${params}`) ??
    (beyond.length > 0 ? `non-existent param references:${list(beyond)}` : undefined) ??
    wrongBindings(declared, bindings) ??
    (strays.length > 0 ? strays.join('\n') : undefined);
  if (why !== undefined) throw new Refused('TaskRunValidationFailed', `[User error] ${why}`);
}

/**
 * The spec with parameters, context, results and workspaces put in. Paths of the container are marked (`inContainer`),
 * because only whoever runs it knows where they are; `plainPaths` shows them as Tekton does.
 */
export function substituteTask(
  run: TaskRun,
  { name, spec }: ResolvedTask,
  bindings: readonly WorkspaceBinding[],
  volumes: ReadonlyMap<string, Volume>,
): TaskSpec {
  const withParams = replaceInTask(spec, replacementsOf(taskParams(spec.params ?? [], run.spec.params ?? [])));
  const withContext = replaceInTask(withParams, texts(contextOf(run, name)));
  const withOwnPaths: TaskSpec = {
    ...withContext,
    ...only(
      'steps',
      withContext.steps?.map((step, index) => replaceInStep(step, texts(pathsOfStep(withContext, index)))),
    ),
  };
  const withPaths = replaceInTask(withOwnPaths, texts(pathsOfTask(withContext)));
  const missing = bindings.filter((binding) => !(withPaths.workspaces ?? []).some((one) => one.name === binding.name));
  const declared = [...(withPaths.workspaces ?? []), ...missing.map((binding) => ({ name: binding.name }))];
  const complete: TaskSpec = { ...withPaths, ...only('workspaces', declared.length === 0 ? undefined : declared) };
  return putWorkspaces(complete, bindings, volumes);
}

/** The spec with paths as they are in the container. */
export function plainPaths<T>(spec: T): T {
  return mapTexts(spec, (text) => resolvePaths(text, (path) => path));
}

function fetchTask(run: TaskRun, lookup: Lookup): ResolvedTask {
  const { taskRef, taskSpec } = run.spec;
  if (taskSpec !== undefined) {
    return { name: run.metadata.name, metadata: run.metadata, spec: withTypes(taskSpec) };
  }
  const remembered = run.status?.taskSpec;
  if (remembered !== undefined) {
    return { name: taskRef?.name || run.metadata.name, metadata: {}, spec: withTypes(markedPaths(remembered)) };
  }
  const found = follow('task', taskRef ?? {}, lookup);
  if ('why' in found) {
    const message = taskRef?.name
      ? `error when listing tasks for taskRun ${run.metadata.name}: ${found.why}`
      : found.why;
    throw new Refused('TaskRunResolutionFailed', message);
  }
  const { metadata, spec } = found.object;
  return { name: metadata.name, metadata, spec: withTypes(spec) };
}

function contextOf({ metadata, status }: TaskRun, task: string): Record<string, string> {
  return {
    'context.taskRun.name': metadata.name,
    'context.task.name': task,
    'context.taskRun.namespace': metadata.namespace ?? '',
    'context.taskRun.uid': metadata.uid,
    'context.task.retry-count': String(status?.retriesStatus?.length ?? 0),
  };
}

/** `$(step.results.x.path)` and `$(step.artifacts.path)`, which mean the step they stand in. */
function pathsOfStep({ steps = [] }: TaskSpec, index: number): Map<string, string> {
  const { name, results = [] } = steps[index] ?? {};
  const folder = `/tekton/steps/${stepContainer(name, index)}`;
  return new Map([
    ...results.flatMap((result) => spellings('step.results', result.name, `${folder}/results/${result.name}`)),
    ['step.artifacts.path', inContainer(`${folder}/artifacts/provenance.json`)],
    ['artifacts.path', inContainer('/tekton/artifacts/provenance.json')],
  ]);
}

/** `$(results.x.path)`, `$(steps.step-x.exitCode.path)` and `$(credentials.path)`. */
function pathsOfTask({ steps = [], results = [] }: TaskSpec): Map<string, string> {
  return new Map([
    ...results.flatMap((result) => spellings('results', result.name, `/tekton/results/${result.name}`)),
    ...steps.map(({ name }, index): [string, string] => {
      const container = stepContainer(name, index);
      return [`steps.${container}.exitCode.path`, inContainer(`/tekton/steps/${container}/exitCode`)];
    }),
    ['credentials.path', inContainer('/tekton/creds')],
  ]);
}

function spellings(prefix: string, name: string, path: string): [string, string][] {
  const spelled = [`${prefix}.${name}.path`, `${prefix}["${name}"].path`, `${prefix}['${name}'].path`];
  return spelled.map((variable) => [variable, inContainer(path)]);
}

function putWorkspaces(
  spec: TaskSpec,
  bindings: readonly WorkspaceBinding[],
  volumes: ReadonlyMap<string, Volume>,
): TaskSpec {
  const strings = new Map<string, string>();
  let replaced = spec;
  for (const declaration of spec.workspaces ?? []) {
    const { name, optional } = declaration;
    const isBound = optional !== true || bindings.some((binding) => binding.name === name);
    strings.set(`workspaces.${name}.bound`, String(isBound));
    if (isBound) replaced = putMountPath(replaced, name, mountPathOf(declaration));
    else strings.set(`workspaces.${name}.path`, '');
  }
  for (const [name, volume] of volumes) strings.set(`workspaces.${name}.volume`, volume.name);
  for (const { name, persistentVolumeClaim } of bindings) {
    strings.set(`workspaces.${name}.claim`, persistentVolumeClaim?.claimName ?? '');
  }
  return replaceInTask(replaced, texts(strings));
}

/** `$(workspaces.x.path)`: a step or sidecar that mounts the workspace elsewhere sees its own path. */
function putMountPath(spec: TaskSpec, workspace: string, mountPath: string): TaskSpec {
  const variable = `workspaces.${workspace}.path`;
  const own = <Asking extends NonNullable<TaskSpec['sidecars']>[number]>(one: Asking): Asking => {
    const path = (one.workspaces ?? []).find((usage) => usage.name === workspace)?.mountPath;
    // A sidecar has fewer fields than a step; those that it has are the same.
    return path ? (replaceInStep(one, texts({ [variable]: inContainer(path) })) as Asking) : one;
  };
  const withOwn: TaskSpec = {
    ...spec,
    ...only('steps', spec.steps?.map(own)),
    ...only('sidecars', spec.sidecars?.map(own)),
  };
  return replaceInTask(withOwn, texts({ [variable]: inContainer(mountPath) }));
}

/** The remembered spec of an earlier attempt has plain paths: they are marked again, as they were when it was made. */
function markedPaths(spec: TaskSpec): TaskSpec {
  const { steps = [], results = [], workspaces = [], sidecars = [] } = spec;
  const folders = steps.map(({ name }, index) => `/tekton/steps/${stepContainer(name, index)}`);
  const paths = [
    ...results.map(({ name }) => `/tekton/results/${name}`),
    ...steps.flatMap(({ results: own = [] }, index) => own.map(({ name }) => `${folders[index]}/results/${name}`)),
    ...folders.flatMap((folder) => [`${folder}/exitCode`, `${folder}/artifacts/provenance.json`]),
    '/tekton/artifacts/provenance.json',
    '/tekton/creds',
    ...workspaces.map(mountPathOf),
    ...[...steps, ...sidecars].flatMap((one) => (one.workspaces ?? []).flatMap(({ mountPath }) => mountPath ?? [])),
  ].sort((a, b) => b.length - a.length);
  const escaped = paths.map((path) => path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const pattern = new RegExp(`(?<![\\w/-])(?:${escaped.join('|')})(?![\\w-])`, 'g');
  const mark = <T>(json: T): T => mapTexts(json, (text) => text.replace(pattern, inContainer));
  return {
    ...spec,
    ...only(
      'steps',
      spec.steps?.map(({ workspaces: usages, volumeMounts, ...step }) => ({
        ...mark(step),
        ...only('workspaces', usages),
        ...only('volumeMounts', volumeMounts),
      })),
    ),
    ...only(
      'sidecars',
      spec.sidecars?.map(({ workspaces: usages, volumeMounts, ...sidecar }) => ({
        ...mark(sidecar),
        ...only('workspaces', usages),
        ...only('volumeMounts', volumeMounts),
      })),
    ),
  };
}
