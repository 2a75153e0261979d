/** Where in a Task's or Pipeline's spec variables are replaced. */
import type { Json } from '../../object.ts';
import type { Replacements } from './substitute.ts';
import {
  isList,
  replaceDeep,
  replaceElement,
  replaceParams,
  replaceText,
  replaceWhen,
  variablesIn,
} from './substitute.ts';
import type {
  ContainerFields,
  EmbeddedTask,
  EnvVar,
  ParamSpec,
  PipelineSpec,
  PipelineTask,
  ResultSpec,
  Step,
  TaskSpec,
  Volume,
} from './types.ts';

/** Sources of volumes in which variables are replaced; in the others (hostPath, nfs, ...) they are not. */
const replacedSources = ['configMap', 'secret', 'persistentVolumeClaim', 'projected', 'csi'];

/** A Task's spec with its variables replaced in steps, template, sidecars, volumes and workspaces. */
export function replaceInTask<Spec extends TaskSpec>(spec: Spec, replacements: Replacements): Spec {
  const text = (value: string) => replaceText(value, replacements);
  return {
    ...spec,
    ...only(
      'steps',
      spec.steps?.map((step) => replaceInStep(step, replacements)),
    ),
    ...only('stepTemplate', spec.stepTemplate && replaceInContainer(spec.stepTemplate, replacements)),
    ...only(
      'sidecars',
      spec.sidecars?.map(({ script, ...sidecar }) => ({
        ...replaceInContainer(sidecar, replacements),
        ...only('script', script === undefined ? undefined : text(script)),
      })),
    ),
    ...only(
      'volumes',
      spec.volumes?.map((volume) => replaceInVolume(volume, replacements)),
    ),
    ...only(
      'workspaces',
      spec.workspaces?.map((workspace) =>
        workspace.mountPath === undefined ? workspace : { ...workspace, mountPath: text(workspace.mountPath) },
      ),
    ),
  };
}

/** A step with its variables replaced. */
export function replaceInStep(step: Step, replacements: Replacements): Step {
  const { script, onError, params, when, stdoutConfig, stderrConfig } = step;
  const text = (value: string | undefined) => (value === undefined ? undefined : replaceText(value, replacements));
  return {
    ...replaceInContainer(step, replacements),
    ...only('script', text(script)),
    ...only('onError', text(onError)),
    ...only('params', params && replaceParams(params, replacements)),
    ...only('when', when && replaceWhen(when, replacements)),
    ...only('stdoutConfig', stdoutConfig && replaceDeep(stdoutConfig, replacements)),
    ...only('stderrConfig', stderrConfig && replaceDeep(stderrConfig, replacements)),
  };
}

/** What a step, sidecar or template has of a container, replaced; a list of its own in `command` and `args` unfolds. */
function replaceInContainer<Fields extends ContainerFields>(fields: Fields, replacements: Replacements): Fields {
  const text = (value: string | undefined) => (value === undefined ? undefined : replaceText(value, replacements));
  const list = (values: readonly string[] | undefined) =>
    values?.flatMap((value) => replaceElement(value, replacements));
  return {
    ...fields,
    ...only('name', text(fields.name)),
    ...only('image', text(fields.image)),
    ...only('imagePullPolicy', text(fields.imagePullPolicy)),
    ...only('workingDir', text(fields.workingDir)),
    ...only('command', list(fields.command)),
    ...only('args', list(fields.args)),
    ...only(
      'env',
      fields.env?.map((variable) => replaceInVariable(variable, replacements)),
    ),
    ...only('envFrom', fields.envFrom && replaceDeep(fields.envFrom, replacements)),
    ...only('volumeMounts', fields.volumeMounts && replaceDeep(fields.volumeMounts, replacements)),
  };
}

/**
 * A pipeline's spec with its variables replaced in tasks and finally tasks. Embedded Tasks get them too, as long as the
 * task itself gives no parameter of that name (propagation): https://tekton.dev/docs/pipelines/pipelineruns/#propagated-parameters
 */
export function replaceInPipeline(spec: PipelineSpec, replacements: Replacements): PipelineSpec {
  const replaced = (task: PipelineTask) => replaceInPipelineTask(task, replacements);
  return {
    ...spec,
    ...only('tasks', spec.tasks?.map(replaced)),
    ...only('finally', spec.finally?.map(replaced)),
  };
}

function replaceInPipelineTask(task: PipelineTask, replacements: Replacements): PipelineTask {
  const text = (value: string | undefined) => (value === undefined ? undefined : replaceText(value, replacements));
  const replaced = replaceInReferences(task, replacements);
  return {
    ...replaced,
    // A matrix' display name is made for each of its runs, from that run's own parameters.
    ...only('displayName', isMatrixed(task) ? task.displayName : text(task.displayName)),
    ...only('onError', text(task.onError)),
    ...only('taskSpec', task.taskSpec && replaceInTask(task.taskSpec, scoped(replaced, replacements))),
  };
}

/** What of a pipeline task refers to others: parameters, matrix, when, the reference's parameters, sub-paths. */
export function replaceInReferences(task: PipelineTask, replacements: Replacements): PipelineTask {
  const { params, matrix, when, taskRef, workspaces } = task;
  const withoutObjects: Replacements = { ...replacements, objects: new Map() };
  return {
    ...task,
    ...only('params', params && replaceParams(params, replacements)),
    ...only(
      'matrix',
      matrix && {
        ...matrix,
        ...only('params', matrix.params && replaceParams(matrix.params, withoutObjects)),
        ...only(
          'include',
          matrix.include?.map((include) => ({
            ...include,
            ...only('params', include.params && replaceDeep(include.params, replacements)),
          })),
        ),
      },
    ),
    ...only('when', when && replaceWhen(when, replacements)),
    ...only(
      'taskRef',
      taskRef && {
        ...taskRef,
        ...only('params', taskRef.params && replaceParams(taskRef.params, replacements)),
        ...only('name', taskRef.name === undefined ? undefined : replaceText(taskRef.name, replacements)),
      },
    ),
    ...only(
      'workspaces',
      workspaces?.map((workspace) => ({
        ...workspace,
        ...only('subPath', workspace.subPath === undefined ? undefined : replaceText(workspace.subPath, replacements)),
      })),
    ),
  };
}

/** Fanned out over parameters or combinations. */
export function isMatrixed({ matrix }: PipelineTask): boolean {
  return (matrix?.params ?? []).length > 0 || (matrix?.include ?? []).length > 0;
}

/** The Task in an embedded one, without what only custom tasks and the pipeline itself need. */
export function taskSpecOf({
  apiVersion: _,
  kind: __,
  metadata: ___,
  spec: ____,
  ...taskSpec
}: EmbeddedTask): TaskSpec {
  return taskSpec;
}

/** Types of parameters and results filled in, as Tekton's webhook does for what it sees. */
export function withTypes<Spec extends TaskSpec>(spec: Spec): Spec {
  return {
    ...spec,
    ...only('params', spec.params?.map(withType)),
    ...only('results', spec.results?.map(withResultType)),
    ...only(
      'steps',
      spec.steps?.map((step) => ({ ...step, ...only('results', step.results?.map(withResultType)) })),
    ),
  };
}

/** The type of a declared result, and those of its properties: what they say, else texts. */
export function withResultType(result: ResultSpec): ResultSpec {
  const { type, properties } = result;
  if (properties === undefined) return { ...result, type: type ?? 'string' };
  return { ...result, type: type ?? 'object', properties: withPropertyTypes(properties) };
}

function withPropertyTypes(properties: NonNullable<ResultSpec['properties']>): NonNullable<ResultSpec['properties']> {
  return Object.fromEntries(Object.entries(properties).map(([key, { type = 'string' }]) => [key, { type }]));
}

/** The type of a declared parameter: what it says, or what its properties or its default are. */
export function withType(param: ParamSpec): ParamSpec {
  if (param.properties !== undefined) {
    return { ...param, type: param.type ?? 'object', properties: withPropertyTypes(param.properties) };
  }
  if (param.type !== undefined) return param;
  if (param.default === undefined || typeof param.default === 'string') return { ...param, type: 'string' };
  return { ...param, type: isList(param.default) ? 'array' : 'object' };
}

/** Every text of a step or sidecar in which Tekton looks for references to results. */
export function variablesInContainer(container: Step): string[] {
  const { name, image, imagePullPolicy, script, workingDir, command = [], args = [], env = [] } = container;
  const plain = [name, image, imagePullPolicy, script, workingDir, ...command, ...args];
  const fromEnv = env.flatMap(({ value, valueFrom }) => [
    value,
    valueFrom === undefined ? undefined : JSON.stringify(valueFrom),
  ]);
  return [...plain, ...fromEnv].flatMap((text) => (text === undefined ? [] : variablesIn(text)));
}

/** A property that is only there when it has a value. */
export function only<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { readonly [n in Name]?: Value } {
  // The compiler does not see that a computed key is the type's key.
  return value === undefined ? {} : ({ [name]: value } as { readonly [n in Name]: Value });
}

function replaceInVariable(variable: EnvVar, replacements: Replacements): EnvVar {
  const { value, valueFrom } = variable;
  return {
    ...variable,
    ...only('value', value === undefined ? undefined : replaceText(value, replacements)),
    ...only('valueFrom', valueFrom === undefined ? undefined : replaceDeep(valueFrom, replacements)),
  };
}

function replaceInVolume(volume: Volume, replacements: Replacements): Volume {
  const replaced = Object.entries(volume).map(([field, value]): [string, Json | undefined] => [
    field,
    replacedSources.includes(field) ? replaceDeep(value, replacements) : value,
  ]);
  return { ...Object.fromEntries(replaced), name: replaceText(volume.name, replacements) };
}

/** The replacements within a task's embedded Task: where it gives a parameter of the same name, that one counts. */
function scoped(task: PipelineTask, replacements: Replacements): Replacements {
  const strings = new Map(replacements.strings);
  const arrays = new Map(replacements.arrays);
  const objects = new Map(replacements.objects);
  for (const { name, value } of task.params ?? []) {
    for (const key of [`params.${name}`, `params["${name}"]`, `params['${name}']`]) {
      if (strings.has(key)) strings.set(key, typeof value === 'string' ? value : '');
      if (arrays.has(key)) arrays.set(key, isList(value) ? value : []);
      if (objects.has(key) && typeof value !== 'string' && !isList(value)) {
        objects.set(key, value);
        for (const [property, text] of Object.entries(value)) strings.set(`params.${name}.${property}`, text);
      }
    }
  }
  return { strings, arrays, objects };
}
