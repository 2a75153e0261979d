/** The fields of Pipelines. https://tekton.dev/docs/pipelines/pipelines/ */
import { anything, flag, integer, list, object, text } from '../schema/node.ts';
import {
  duration,
  olderReference,
  paramSpecs,
  params,
  paramValue,
  reference,
  texts,
  when,
  workspaceDeclarations,
} from './commonfields.ts';

const pipelineTaskFields = {
  description: text(),
  displayName: text(),
  matrix: object({ include: list(object({ name: text(), params })), params }),
  name: text(),
  onError: text(),
  params,
  pipelineSpec: anything(),
  retries: integer(),
  runAfter: texts,
  taskSpec: anything(),
  timeout: duration,
  when,
  workspaces: list(object({ name: text(), subPath: text(), workspace: text() }, { required: ['name'] })),
};
const pipelineTasks = list(
  object({
    ...pipelineTaskFields,
    pipelineRef: object(reference),
    taskRef: object({ ...reference, kind: text() }),
  }),
);
const olderPipelineTasks = list(
  object({
    ...pipelineTaskFields,
    pipelineRef: object(olderReference),
    taskRef: object({ ...olderReference, kind: text() }),
    resources: object({
      inputs: list(object({ from: texts, name: text(), resource: text() }, { required: ['name', 'resource'] })),
      outputs: list(object({ name: text(), resource: text() }, { required: ['name', 'resource'] })),
    }),
  }),
);
const pipelineFields = {
  description: text(),
  displayName: text(),
  params: paramSpecs,
  results: list(
    object({ description: text(), name: text(), type: text(), value: paramValue }, { required: ['name', 'value'] }),
  ),
  workspaces: workspaceDeclarations,
};
/** A Pipeline in v1. */
export const pipelineSpec = object({ ...pipelineFields, finally: pipelineTasks, tasks: pipelineTasks });
/** A Pipeline in v1beta1. */
export const olderPipelineSpec = object({
  ...pipelineFields,
  finally: olderPipelineTasks,
  resources: list(object({ name: text(), optional: flag(), type: text() }, { required: ['name', 'type'] })),
  tasks: olderPipelineTasks,
});
