/** The fields with which runs ask. https://tekton.dev/docs/pipelines/pipelineruns/ */
import { anyObject, anything, int32, integer, list, object, type SchemaNode, text } from '../schema/node.ts';
import { duration, olderReference, params, reference, texts } from './commonfields.ts';
import {
  computeResources,
  podCertificate,
  podTemplate,
  projectedSources,
  templateMetadata,
  workspaceVolumes,
} from './podfields.ts';

const projectedVolume = (sources: { readonly [name: string]: SchemaNode }): SchemaNode =>
  object({ defaultMode: int32(), sources: list(object(sources)) });
const workspaceBindings = list(
  object(
    {
      ...workspaceVolumes,
      name: text(),
      projected: projectedVolume({ ...projectedSources, podCertificate }),
    },
    { required: ['name'] },
  ),
);
/** Tekton's own definition of CustomRuns is behind the others here. */
const customRunWorkspaces = list(
  object({ ...workspaceVolumes, name: text(), projected: projectedVolume(projectedSources) }, { required: ['name'] }),
);

const timeouts = object({ finally: duration, pipeline: duration, tasks: duration });
const containerOverrides = list(object({ computeResources, name: text() }, { required: ['computeResources', 'name'] }));
const olderContainerOverrides = list(
  object({ name: text(), resources: computeResources }, { required: ['name', 'resources'] }),
);
const boundResources = list(
  object({
    name: text(),
    resourceRef: object({ apiVersion: text(), name: text() }),
    resourceSpec: object(
      {
        description: text(),
        params: list(object({ name: text(), value: text() }, { required: ['name', 'value'] })),
        secrets: list(
          object(
            { fieldName: text(), secretKey: text(), secretName: text() },
            { required: ['fieldName', 'secretKey', 'secretName'] },
          ),
        ),
        type: text(),
      },
      { required: ['params', 'type'] },
    ),
  }),
);
const boundInputs = list(
  object({
    name: text(),
    paths: texts,
    resourceRef: boundResources.items?.properties?.resourceRef ?? {},
    resourceSpec: boundResources.items?.properties?.resourceSpec ?? {},
  }),
);

/** A PipelineRun in v1. */
export const pipelineRunSpec = object({
  managedBy: text(),
  params,
  pipelineRef: object(reference),
  pipelineSpec: anything(),
  status: text(),
  taskRunSpecs: list(
    object({
      computeResources,
      metadata: templateMetadata,
      pipelineTaskName: text(),
      podTemplate,
      serviceAccountName: text(),
      sidecarSpecs: containerOverrides,
      stepSpecs: containerOverrides,
      timeout: duration,
    }),
  ),
  taskRunTemplate: object({ podTemplate, serviceAccountName: text() }),
  timeouts,
  workspaces: workspaceBindings,
});
/** A PipelineRun in v1beta1. */
export const olderPipelineRunSpec = object({
  managedBy: text(),
  params,
  pipelineRef: object(olderReference),
  pipelineSpec: anything(),
  podTemplate,
  resources: boundResources,
  serviceAccountName: text(),
  status: text(),
  taskRunSpecs: list(
    object({
      computeResources,
      metadata: templateMetadata,
      pipelineTaskName: text(),
      sidecarOverrides: olderContainerOverrides,
      stepOverrides: olderContainerOverrides,
      taskPodTemplate: podTemplate,
      taskServiceAccountName: text(),
      timeout: duration,
    }),
  ),
  timeout: duration,
  timeouts,
  workspaces: workspaceBindings,
});

const taskRunFields = {
  computeResources,
  debug: object({ breakpoints: object({ beforeSteps: texts, onFailure: text() }) }),
  managedBy: text(),
  params,
  podTemplate,
  retries: integer(),
  serviceAccountName: text(),
  status: text(),
  statusMessage: text(),
  taskSpec: anything(),
  timeout: duration,
  workspaces: workspaceBindings,
};
/** A TaskRun in v1. */
export const taskRunSpec = object({
  ...taskRunFields,
  sidecarSpecs: containerOverrides,
  stepSpecs: containerOverrides,
  taskRef: object({ ...reference, kind: text() }),
});
/** A TaskRun in v1beta1. */
export const olderTaskRunSpec = object({
  ...taskRunFields,
  resources: object({ inputs: boundInputs, outputs: boundInputs }),
  sidecarOverrides: olderContainerOverrides,
  stepOverrides: olderContainerOverrides,
  taskRef: object({ ...olderReference, kind: text() }),
});

/** A CustomRun. */
export const customRunSpec = object({
  customRef: object({ ...olderReference, kind: text() }),
  customSpec: object({ apiVersion: text(), kind: text(), metadata: templateMetadata, spec: anyObject() }),
  params,
  retries: integer(),
  serviceAccountName: text(),
  status: text(),
  statusMessage: text(),
  timeout: duration,
  workspaces: customRunWorkspaces,
});
