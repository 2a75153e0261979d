/** The fields of Tasks, their steps, and StepActions. https://tekton.dev/docs/pipelines/tasks/ */
import { anything, flag, list, map, object, text } from '../schema/node.ts';
import {
  duration,
  mountedWorkspaces,
  paramSpecs,
  params,
  paramValue,
  texts,
  when,
  workspaceUsages,
} from './commonfields.ts';
import { computeResources, containerFields, env, longLivedFields, securityContext, volumeMounts } from './podfields.ts';

const stepResults = list(
  object(
    { description: text(), name: text(), properties: map(object({ type: text() })), type: text() },
    { required: ['name'] },
  ),
);
const stepFields = {
  displayName: text(),
  name: text(),
  onError: text(),
  params,
  ref: object({ name: text(), params, resolver: text() }),
  results: stepResults,
  script: text(),
  stderrConfig: object({ path: text() }),
  stdoutConfig: object({ path: text() }),
  timeout: duration,
  when,
  workspaces: workspaceUsages,
};
const sidecarFields = {
  ...containerFields,
  ...longLivedFields,
  name: text(),
  restartPolicy: text(),
  script: text(),
  workspaces: workspaceUsages,
};
const taskFields = {
  description: text(),
  displayName: text(),
  params: paramSpecs,
  results: list(
    object(
      {
        description: text(),
        name: text(),
        properties: map(object({ type: text() })),
        type: text(),
        value: paramValue,
      },
      { required: ['name'] },
    ),
  ),
  volumes: anything(),
  workspaces: mountedWorkspaces,
};

/** A Task in v1. */
export const taskSpec = object({
  ...taskFields,
  sidecars: list(object({ ...sidecarFields, computeResources }, { required: ['name'] })),
  stepTemplate: object({ ...containerFields, computeResources }),
  steps: list(object({ ...containerFields, ...stepFields, computeResources }, { required: ['name'] })),
});

/** PipelineResources are gone from Tekton; v1beta1 still has their fields. */
const declaredResources = list(
  object(
    { description: text(), name: text(), optional: flag(), targetPath: text(), type: text() },
    { required: ['name', 'type'] },
  ),
);
/** A Task in v1beta1. */
export const olderTaskSpec = object({
  ...taskFields,
  resources: object({ inputs: declaredResources, outputs: declaredResources }),
  sidecars: list(object({ ...sidecarFields, resources: computeResources }, { required: ['name'] })),
  stepTemplate: object({ ...containerFields, ...longLivedFields, name: text(), resources: computeResources }),
  steps: list(
    object(
      { ...containerFields, ...longLivedFields, ...stepFields, resources: computeResources },
      { required: ['name'] },
    ),
  ),
});

/** A StepAction; its two versions have the same fields. */
export const stepActionSpec = object({
  args: texts,
  command: texts,
  description: text(),
  env,
  image: text(),
  params: paramSpecs,
  results: stepResults,
  script: text(),
  securityContext,
  volumeMounts,
  workingDir: text(),
});
