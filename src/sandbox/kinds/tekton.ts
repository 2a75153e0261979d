/**
 * Tekton's kinds as CustomResourceDefinitions: the fields that Tekton documents, in both versions that it serves, open or
 * closed to unknown fields where its own definitions are. What a schema cannot say is in `tektonwebhook.ts`.
 * https://tekton.dev/docs/pipelines/pipeline-api/
 */
import type { NewObject } from '../api/client.ts';
import {
  anything,
  anyObject,
  flag,
  int32,
  int64,
  integer,
  list,
  map,
  object,
  type SchemaNode,
  text,
  time,
} from '../schema/node.ts';
import { type CustomKind, customResource, type PrinterColumn } from './crd.ts';
import {
  computeResources,
  containerFields,
  env,
  longLivedFields,
  podCertificate,
  podTemplate,
  projectedSources,
  securityContext,
  templateMetadata,
  volumeMounts,
  workspaceVolumes,
} from './podfields.ts';

/** The release whose kinds these are; it stands in every definition's labels. */
export const tektonRelease = 'v1.15.0';

/** The CustomResourceDefinitions of `tekton.dev`. A new list with every call. */
export function tektonCrds(): NewObject[] {
  return tektonKinds.map(customResource);
}

const texts = list(text());

/** A parameter, or a result that is reported, with whatever JSON value it has. */
const params = list(object({ name: text(), value: anything() }, { required: ['name', 'value'] }));
const paramSpecs = list(
  object(
    {
      default: anything(),
      description: text(),
      enum: texts,
      name: text(),
      properties: map(object({ type: text() })),
      type: text(),
    },
    { required: ['name'] },
  ),
);
const when = list(object({ cel: text(), input: text(), operator: text(), values: texts }));

/** A reference to something with a name here, or that a resolver finds. */
const reference = { apiVersion: text(), name: text(), params, resolver: text() };
/** v1beta1 still has the field of OCI bundles, which v1 says with a resolver. */
const olderReference = { ...reference, bundle: text() };

const workspaceDeclarations = list(
  object({ description: text(), name: text(), optional: flag() }, { required: ['name'] }),
);
const mountedWorkspaces = list(
  object(
    { description: text(), mountPath: text(), name: text(), optional: flag(), readOnly: flag() },
    { required: ['name'] },
  ),
);
const workspaceUsages = list(object({ mountPath: text(), name: text() }, { required: ['mountPath', 'name'] }));

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

// Tasks

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
  timeout: text(),
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
        value: anything(),
      },
      { required: ['name'] },
    ),
  ),
  volumes: anything(),
  workspaces: mountedWorkspaces,
};

const taskSpec = object({
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
const olderTaskSpec = object({
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

// Pipelines

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
  timeout: text(),
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
    object({ description: text(), name: text(), type: text(), value: anything() }, { required: ['name', 'value'] }),
  ),
  workspaces: workspaceDeclarations,
};
const pipelineSpec = object({ ...pipelineFields, finally: pipelineTasks, tasks: pipelineTasks });
const olderPipelineSpec = object({
  ...pipelineFields,
  finally: olderPipelineTasks,
  resources: list(object({ name: text(), optional: flag(), type: text() }, { required: ['name', 'type'] })),
  tasks: olderPipelineTasks,
});

// What runs report

const conditions = list(
  object(
    {
      lastTransitionTime: text(),
      message: text(),
      reason: text(),
      severity: text(),
      status: text(),
      type: text(),
    },
    { required: ['status', 'type'] },
  ),
);
const refSource = object({ digest: map(text()), entryPoint: text(), uri: text() });
const featureFlags = object({
  awaitSidecarReadiness: flag(),
  coschedule: text(),
  disableCredsInit: flag(),
  disableInlineSpec: text(),
  enableAPIFields: text(),
  enableArtifacts: flag(),
  enableCELInWhenExpression: flag(),
  enableConciseResolverSyntax: flag(),
  enableKeepPodOnCancel: flag(),
  enableKubernetesSidecar: flag(),
  enableParamEnum: flag(),
  enableProvenanceInStatus: flag(),
  enableStepActions: flag(),
  enableTektonOCIBundles: flag(),
  enableTerminationMessageCompression: flag(),
  enableWaitExponentialBackoff: flag(),
  enforceNonfalsifiability: text(),
  maxResultSize: integer(),
  requireGitSSHSecretKnownHosts: flag(),
  resultExtractionMethod: text(),
  runningInEnvWithInjectedSidecars: flag(),
  sendCloudEventsForRuns: flag(),
  setSecurityContext: flag(),
  setSecurityContextReadOnlyRootFilesystem: flag(),
  verificationNoMatchPolicy: text(),
});
const provenance = object({ featureFlags, refSource });
const olderProvenance = object({ configSource: refSource, featureFlags, refSource });

/** What every run's status has. */
const statusFields = {
  annotations: map(text()),
  completionTime: time(),
  conditions,
  observedGeneration: int64(),
  startTime: time(),
};

const containerState = {
  running: object({ startedAt: time() }),
  terminated: object(
    {
      containerID: text(),
      exitCode: int32(),
      finishedAt: time(),
      message: text(),
      reason: text(),
      signal: int32(),
      startedAt: time(),
    },
    { required: ['exitCode'] },
  ),
  waiting: object({ message: text(), reason: text() }),
};
const artifacts = list(
  object({ buildOutput: flag(), name: text(), values: list(object({ digest: map(text()), uri: text() })) }),
);
const typedResults = list(object({ name: text(), type: text(), value: anything() }, { required: ['name', 'value'] }));
const stepState = {
  ...containerState,
  container: text(),
  imageID: text(),
  inputs: artifacts,
  name: text(),
  outputs: artifacts,
  results: typedResults,
};
const taskRunStatusFields = {
  ...statusFields,
  podName: text(),
  retriesStatus: anything(),
  sidecars: list(object({ ...containerState, container: text(), imageID: text(), name: text() })),
  spanContext: map(text()),
};
const taskRunStatus = object(
  {
    ...taskRunStatusFields,
    artifacts: object({ inputs: artifacts, outputs: artifacts }),
    provenance,
    results: typedResults,
    steps: list(object({ ...stepState, provenance, terminationReason: text() })),
    taskSpec,
  },
  { required: ['podName'] },
);
const olderTaskRunStatus = object(
  {
    ...taskRunStatusFields,
    cloudEvents: list(
      object({
        status: object(
          { condition: text(), message: text(), retryCount: int32(), sentAt: time() },
          { required: ['message', 'retryCount'] },
        ),
        target: text(),
      }),
    ),
    provenance: olderProvenance,
    resourcesResult: list(
      object({ key: text(), resourceName: text(), type: integer(), value: text() }, { required: ['key', 'value'] }),
    ),
    steps: list(object({ ...stepState, provenance: olderProvenance })),
    taskResults: typedResults,
    taskSpec: anything(),
  },
  { required: ['podName'] },
);

const customRunStatus = object({
  ...statusFields,
  extraFields: anything(),
  results: list(object({ name: text(), value: text() }, { required: ['name', 'value'] })),
  retriesStatus: anything(),
});

const pipelineRunStatusFields = {
  ...statusFields,
  childReferences: list(
    object({
      apiVersion: text(),
      displayName: text(),
      kind: text(),
      name: text(),
      pipelineTaskName: text(),
      whenExpressions: when,
    }),
  ),
  finallyStartTime: time(),
  pipelineSpec: anything(),
  skippedTasks: list(
    object({ name: text(), reason: text(), whenExpressions: when }, { required: ['name', 'reason'] }),
  ),
  spanContext: map(text()),
};
const pipelineRunStatus = object({ ...pipelineRunStatusFields, provenance, results: params });
const olderPipelineRunStatus = object({
  ...pipelineRunStatusFields,
  pipelineResults: params,
  provenance: olderProvenance,
  runs: map(object({ pipelineTaskName: text(), status: customRunStatus, whenExpressions: when })),
  taskRuns: map(object({ pipelineTaskName: text(), status: olderTaskRunStatus, whenExpressions: when })),
});

// What runs ask for

const timeouts = object({ finally: text(), pipeline: text(), tasks: text() });
const containerOverrides = list(
  object({ computeResources, name: text() }, { required: ['computeResources', 'name'] }),
);
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
    resourceRef: boundResources.items?.properties?.['resourceRef'] ?? {},
    resourceSpec: boundResources.items?.properties?.['resourceSpec'] ?? {},
  }),
);

const pipelineRunSpec = object({
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
      timeout: text(),
    }),
  ),
  taskRunTemplate: object({ podTemplate, serviceAccountName: text() }),
  timeouts,
  workspaces: workspaceBindings,
});
const olderPipelineRunSpec = object({
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
      timeout: text(),
    }),
  ),
  timeout: text(),
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
  timeout: text(),
  workspaces: workspaceBindings,
};
const taskRunSpec = object({
  ...taskRunFields,
  sidecarSpecs: containerOverrides,
  stepSpecs: containerOverrides,
  taskRef: object({ ...reference, kind: text() }),
});
const olderTaskRunSpec = object({
  ...taskRunFields,
  resources: object({ inputs: boundInputs, outputs: boundInputs }),
  sidecarOverrides: olderContainerOverrides,
  stepOverrides: olderContainerOverrides,
  taskRef: object({ ...olderReference, kind: text() }),
});

const customRunSpec = object({
  customRef: object({ ...olderReference, kind: text() }),
  customSpec: object({ apiVersion: text(), kind: text(), metadata: templateMetadata, spec: anyObject() }),
  params,
  retries: integer(),
  serviceAccountName: text(),
  status: text(),
  statusMessage: text(),
  timeout: text(),
  workspaces: customRunWorkspaces,
});

const stepActionSpec = object({
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

// The kinds

const succeeded = (field: string): string => `.status.conditions[?(@.type=="Succeeded")].${field}`;
const runColumns: readonly PrinterColumn[] = [
  { name: 'Succeeded', type: 'string', jsonPath: succeeded('status') },
  { name: 'Reason', type: 'string', jsonPath: succeeded('reason') },
  { name: 'StartTime', type: 'date', jsonPath: '.status.startTime' },
  { name: 'CompletionTime', type: 'date', jsonPath: '.status.completionTime' },
];

const shared = {
  group: 'tekton.dev',
  categories: ['tekton', 'tekton-pipelines'],
  labels: {
    'app.kubernetes.io/instance': 'default',
    'app.kubernetes.io/part-of': 'tekton-pipelines',
    'pipeline.tekton.dev/release': tektonRelease,
    version: tektonRelease,
  },
};

const tektonKinds: readonly CustomKind[] = [
  {
    ...shared,
    kind: 'CustomRun',
    plural: 'customruns',
    versions: [{ name: 'v1beta1', spec: customRunSpec, status: customRunStatus, columns: runColumns }],
  },
  {
    ...shared,
    kind: 'Pipeline',
    plural: 'pipelines',
    versions: [
      { name: 'v1', spec: pipelineSpec },
      { name: 'v1beta1', spec: olderPipelineSpec },
    ],
  },
  {
    ...shared,
    kind: 'PipelineRun',
    plural: 'pipelineruns',
    shortNames: ['pr', 'prs'],
    versions: [
      { name: 'v1', spec: pipelineRunSpec, status: pipelineRunStatus, columns: runColumns },
      { name: 'v1beta1', spec: olderPipelineRunSpec, status: olderPipelineRunStatus, columns: runColumns },
    ],
  },
  {
    ...shared,
    kind: 'StepAction',
    plural: 'stepactions',
    versions: [
      { name: 'v1beta1', spec: stepActionSpec },
      { name: 'v1alpha1', spec: stepActionSpec },
    ],
  },
  {
    ...shared,
    kind: 'Task',
    plural: 'tasks',
    versions: [
      { name: 'v1', spec: taskSpec },
      { name: 'v1beta1', spec: olderTaskSpec },
    ],
  },
  {
    ...shared,
    kind: 'TaskRun',
    plural: 'taskruns',
    shortNames: ['tr', 'trs'],
    versions: [
      { name: 'v1', spec: taskRunSpec, status: taskRunStatus, columns: runColumns },
      { name: 'v1beta1', spec: olderTaskRunSpec, status: olderTaskRunStatus, columns: runColumns },
    ],
  },
];
