/**
 * Tekton's kinds as CustomResourceDefinitions: the fields that Tekton documents, in both versions that it serves, open or
 * closed to unknown fields where its own definitions are. What a schema cannot say is in `tektonwebhook.ts`.
 * https://tekton.dev/docs/pipelines/pipeline-api/
 */
import type { NewObject } from '../api/client.ts';
import { type CustomKind, customResource, type PrinterColumn } from './crd.ts';
import { olderPipelineSpec, pipelineSpec } from './pipelinefields.ts';
import { customRunSpec, olderPipelineRunSpec, olderTaskRunSpec, pipelineRunSpec, taskRunSpec } from './runfields.ts';
import {
  customRunStatus,
  olderPipelineRunStatus,
  olderTaskRunStatus,
  pipelineRunStatus,
  taskRunStatus,
} from './statusfields.ts';
import { olderTaskSpec, stepActionSpec, taskSpec } from './taskfields.ts';

/** The release whose kinds these are; it stands in every definition's labels. */
const tektonRelease = 'v1.15.0';

/** The CustomResourceDefinitions of `tekton.dev`. A new list with every call. */
export function tektonCrds(): NewObject[] {
  return tektonKinds.map(customResource);
}

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
