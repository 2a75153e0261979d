/** What a decision may look up: the API as it is at that moment. */
import type { ApiClient } from '../../api/client.ts';
import type { Resource } from '../../object.ts';
import { qualified } from '../../status.ts';
import type { CustomRun, Param, Pipeline, PipelineRun, Pod, Reference, StepAction, Task, TaskRun } from './types.ts';
import {
  as,
  customRuns,
  pipelineRuns,
  pipelines,
  pods,
  serviceAccounts,
  stepActions,
  taskRuns,
  tasks,
} from './types.ts';

/** Objects of one namespace by name. Undefined: there is none. */
export interface Lookup {
  task(name: string): Task | undefined;
  pipeline(name: string): Pipeline | undefined;
  stepAction(name: string): StepAction | undefined;
  taskRun(name: string): TaskRun | undefined;
  customRun(name: string): CustomRun | undefined;
  pipelineRun(name: string): PipelineRun | undefined;
  pod(name: string): Pod | undefined;
  hasServiceAccount(name: string): boolean;
  /** In another namespace, for the cluster resolver. */
  elsewhere(namespace: string): Lookup;
}

/** The API as seen from `namespace`. */
export function lookUp(client: ApiClient, namespace: string): Lookup {
  const get = <Shape extends { readonly kind: string }>(resource: Resource, name: string): Shape | undefined => {
    const object = client.get(resource, namespace, name);
    return object === undefined ? undefined : as<Shape>(object);
  };
  return {
    task: (name) => get<Task>(tasks, name),
    pipeline: (name) => get<Pipeline>(pipelines, name),
    stepAction: (name) => get<StepAction>(stepActions, name),
    taskRun: (name) => get<TaskRun>(taskRuns, name),
    customRun: (name) => get<CustomRun>(customRuns, name),
    pipelineRun: (name) => get<PipelineRun>(pipelineRuns, name),
    pod: (name) => get<Pod>(pods, name),
    hasServiceAccount: (name) => client.get(serviceAccounts, namespace, name) !== undefined,
    elsewhere: (other) => lookUp(client, other),
  };
}

/** What a reference leads to, or why it leads nowhere. */
export type Found<Shape> = { readonly object: Shape } | { readonly why: string };

/** The Task, Pipeline or StepAction that a reference names, in `lookup`'s namespace or by the cluster resolver. */
export function follow<Kind extends 'task' | 'pipeline' | 'stepAction'>(
  kind: Kind,
  reference: Reference,
  lookup: Lookup,
): Found<NonNullable<ReturnType<Lookup[Kind]>>> {
  const resource = { task: tasks, pipeline: pipelines, stepAction: stepActions }[kind];
  // The three functions differ in what they answer only; `Kind` says which it is.
  const found = (where: Lookup, name: string) => where[kind](name) as NonNullable<ReturnType<Lookup[Kind]>> | undefined;
  const { resolver = '', name = '', params = [] } = reference;
  if (resolver === '') {
    const object = found(lookup, name);
    return object === undefined ? { why: `${qualified(resource)} "${name}" not found` } : { object };
  }
  if (resolver !== 'cluster') {
    return {
      why: `the sandbox has no resolver "${resolver}": it knows "cluster", and references by name`,
    };
  }
  const target = textParam(params, 'name');
  const namespace = textParam(params, 'namespace');
  const object = found(namespace === '' ? lookup : lookup.elsewhere(namespace), target);
  return object === undefined ? { why: `${qualified(resource)} "${target}" not found` } : { object };
}

/** How an error names a reference that has no name of its own. */
export function nameOf({ name = '', resolver = '', params = [] }: Reference): string {
  if (name.trim() !== '') return name;
  const told = params.filter((param) => param.name === 'name' || param.name === 'url');
  const lines = told.map(
    (param) => `${param.name} = ${typeof param.value === 'string' ? param.value : JSON.stringify(param.value)}\n`,
  );
  return `resolver type ${resolver}\n${lines.join('')}`;
}

function textParam(params: readonly Param[], name: string): string {
  const value = params.find((param) => param.name === name)?.value;
  return typeof value === 'string' ? value : '';
}
