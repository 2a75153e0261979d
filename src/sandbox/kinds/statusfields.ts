/** The fields in which runs report. https://tekton.dev/docs/pipelines/pipelineruns/#monitoring-execution-status */
import { anything, flag, int32, int64, integer, list, map, object, text, time } from '../schema/node.ts';
import { params, paramValue, when } from './commonfields.ts';
import { taskSpec } from './taskfields.ts';

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
const typedResults = list(object({ name: text(), type: text(), value: paramValue }, { required: ['name', 'value'] }));
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
/** A TaskRun in v1. */
export const taskRunStatus = object(
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
/** A TaskRun in v1beta1. */
export const olderTaskRunStatus = object(
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

/** A CustomRun. */
export const customRunStatus = object({
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
  skippedTasks: list(object({ name: text(), reason: text(), whenExpressions: when }, { required: ['name', 'reason'] })),
  spanContext: map(text()),
};
/** A PipelineRun in v1. */
export const pipelineRunStatus = object({ ...pipelineRunStatusFields, provenance, results: params });
/** A PipelineRun in v1beta1. */
export const olderPipelineRunStatus = object({
  ...pipelineRunStatusFields,
  pipelineResults: params,
  provenance: olderProvenance,
  runs: map(object({ pipelineTaskName: text(), status: customRunStatus, whenExpressions: when })),
  taskRuns: map(object({ pipelineTaskName: text(), status: olderTaskRunStatus, whenExpressions: when })),
});
