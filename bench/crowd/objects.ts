/** Tekton objects by the ten thousand, as JSON text: made when they are asked for, never kept. */

/** How many there are. Every run has as many TaskRuns as its pipeline has tasks. */
export interface CrowdSize {
  readonly runs: number;
}

/** The tasks of every run of the crowd. */
export const TASKS = ['clone', 'build', 'deploy'] as const;
const STEPS = ['prepare', 'compile', 'check', 'publish'] as const;

/** The namespaces that the runs are spread over. */
export const NAMESPACES = 20;

/** What differs between the objects made of one template. */
type Blank = 'RUN' | 'RUNUID' | 'NAME' | 'UID' | 'NAMESPACE' | 'VERSION' | 'CREATED' | 'STARTED' | 'ENDED';

/** A text with blanks to be filled in. */
type Template = readonly { readonly text: string; readonly blank: Blank | undefined }[];

/** The name of a run by its number. */
export function runName(at: number): string {
  return `pipeline-${String(at % 50).padStart(2, '0')}-run-${String(at).padStart(6, '0')}`;
}

/** The namespace of a run by its number. */
export function namespaceOf(at: number): string {
  return `team-${at % NAMESPACES}`;
}

/** The JSON of a PipelineRun: one that has succeeded, or one that runs. */
export function runText(at: number, version: number, state: 'finished' | 'running' = 'finished'): string {
  return filled(state === 'finished' ? FINISHED_RUN : RUNNING_RUN, blanksOf(at, runName(at), uidOf(at, 0), version));
}

/** The JSON of one of the TaskRuns of a run, all of them finished. */
export function taskRunText(at: number, task: number, version: number): string {
  const name = `${runName(at)}-${TASKS[task] ?? ''}`;
  return filled(TASK_RUNS[task] ?? [], blanksOf(at, name, uidOf(at, task + 1), version));
}

function blanksOf(at: number, name: string, uid: string, version: number): Readonly<Record<Blank, string>> {
  const created = Date.UTC(2026, 9, 1) + at * 7_000;
  const time = (afterMs: number) => `${new Date(created + afterMs).toISOString().slice(0, 19)}Z`;
  return {
    RUN: runName(at),
    RUNUID: uidOf(at, 0),
    NAME: name,
    UID: uid,
    NAMESPACE: namespaceOf(at),
    VERSION: String(version),
    CREATED: time(0),
    STARTED: time(2_000),
    ENDED: time(95_000),
  };
}

function uidOf(at: number, child: number): string {
  return `${at.toString(16).padStart(8, '0')}-5eed-4000-8000-${child.toString(16).padStart(12, '0')}`;
}

function filled(template: Template, blanks: Readonly<Record<Blank, string>>): string {
  let text = '';
  for (const part of template) text += part.blank === undefined ? part.text : blanks[part.blank];
  return text;
}

const BLANKS = /@(RUN|RUNUID|NAME|UID|NAMESPACE|VERSION|CREATED|STARTED|ENDED)@/;

function templateOf(object: object): Template {
  return JSON.stringify(object)
    .split(BLANKS)
    .map((text, place) => (place % 2 === 0 ? { text, blank: undefined } : { text: '', blank: text as Blank }));
}

/** As long as scripts in real tasks are. */
const SCRIPT = `#!/usr/bin/env bash
set -euo pipefail
${Array.from({ length: 14 }, (_, line) => `echo "step \${1:-all}: doing part ${line} of what has to be done here"`).join('\n')}
`;

const LABELS = {
  'app.kubernetes.io/managed-by': 'tekton-pipelines',
  'tekton.dev/pipeline': 'release',
  'triggers.tekton.dev/eventlistener': 'forge',
  'triggers.tekton.dev/trigger': 'push',
  'triggers.tekton.dev/triggers-eventid': '@RUNUID@',
};

function managedFields(manager: string, fields: readonly string[]): object {
  const tree = Object.fromEntries(fields.map((field) => [`f:${field}`, { '.': {}, 'f:value': {}, 'f:message': {} }]));
  return {
    manager,
    operation: 'Update',
    apiVersion: 'tekton.dev/v1',
    time: '@CREATED@',
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:status': tree },
  };
}

const FIELDS = [
  'artifacts',
  'childReferences',
  'completionTime',
  'conditions',
  'pipelineSpec',
  'podName',
  'provenance',
  'startTime',
  'steps',
  'taskSpec',
];

const PROVENANCE = {
  featureFlags: {
    awaitSidecarReadiness: true,
    coschedule: 'workspaces',
    enableAPIFields: 'beta',
    enableProvenanceInStatus: true,
    enforceNonfalsifiability: 'none',
    maxResultSize: 4096,
    resultExtractionMethod: 'termination-message',
    runningInEnvWithInjectedSidecars: true,
    sendCloudEventsForRuns: false,
    setSecurityContext: true,
    verificationNoMatchPolicy: 'ignore',
  },
  refSource: {
    uri: 'git+https://forge.example.com/team/app.git',
    digest: { sha1: '0c9a4c1f0b6a6c5e4d3b2a190807060504030201' },
    entryPoint: 'tekton/pipeline.yaml',
  },
};

const TASK_SPEC = (task: string) => ({
  displayName: `The task ${task}`,
  params: ['url', 'revision', 'image'].map((name) => ({
    name,
    type: 'string',
    description: `The ${name} that is used`,
  })),
  results: [{ name: 'digest', type: 'string' }],
  steps: STEPS.map((name) => ({
    name,
    image: `registry.example.com/tools/${name}:1.27.3`,
    computeResources: {},
    script: SCRIPT,
  })),
});

function runObject(status: object): object {
  return {
    apiVersion: 'tekton.dev/v1',
    kind: 'PipelineRun',
    metadata: {
      name: '@NAME@',
      namespace: '@NAMESPACE@',
      uid: '@UID@',
      resourceVersion: '@VERSION@',
      generation: 1,
      creationTimestamp: '@CREATED@',
      labels: LABELS,
      annotations: {
        'results.tekton.dev/record': '@NAMESPACE@/results/@UID@/records/@UID@',
        'chains.tekton.dev/signed': 'true',
      },
      managedFields: [managedFields('controller', FIELDS), managedFields('forge', FIELDS)],
    },
    spec: {
      pipelineRef: { name: 'release' },
      params: [
        { name: 'url', value: 'https://forge.example.com/team/app.git' },
        { name: 'revision', value: 'main' },
        { name: 'event', value: '@RUNUID@' },
      ],
      taskRunTemplate: { serviceAccountName: 'builder' },
      timeouts: { pipeline: '1h0m0s' },
    },
    status: {
      ...status,
      pipelineSpec: {
        tasks: TASKS.map((name, place) => ({
          name,
          runAfter: place === 0 ? [] : [TASKS[place - 1]],
          taskRef: { kind: 'Task', name },
          params: [{ name: 'url', value: '$(params.url)' }],
        })),
      },
      provenance: PROVENANCE,
      startTime: '@STARTED@',
      childReferences: TASKS.map((name) => ({
        apiVersion: 'tekton.dev/v1',
        kind: 'TaskRun',
        name: `@RUN@-${name}`,
        pipelineTaskName: name,
      })),
    },
  };
}

const FINISHED_RUN = templateOf(
  runObject({
    completionTime: '@ENDED@',
    conditions: [
      {
        type: 'Succeeded',
        status: 'True',
        reason: 'Succeeded',
        message: 'Tasks Completed: 3 (Failed: 0, Cancelled 0), Skipped: 0',
        lastTransitionTime: '@ENDED@',
      },
    ],
  }),
);

const RUNNING_RUN = templateOf(
  runObject({
    conditions: [
      {
        type: 'Succeeded',
        status: 'Unknown',
        reason: 'Running',
        message: 'Tasks Completed: 2 (Failed: 0, Cancelled 0), Incomplete: 1, Skipped: 0',
        lastTransitionTime: '@STARTED@',
      },
    ],
  }),
);

const TASK_RUNS = TASKS.map((task) =>
  templateOf({
    apiVersion: 'tekton.dev/v1',
    kind: 'TaskRun',
    metadata: {
      name: '@NAME@',
      namespace: '@NAMESPACE@',
      uid: '@UID@',
      resourceVersion: '@VERSION@',
      generation: 1,
      creationTimestamp: '@CREATED@',
      labels: {
        ...LABELS,
        'tekton.dev/pipelineRun': '@RUN@',
        'tekton.dev/pipelineRunUID': '@RUNUID@',
        'tekton.dev/pipelineTask': task,
        'tekton.dev/task': task,
        'tekton.dev/memberOf': 'tasks',
      },
      annotations: { 'pipeline.tekton.dev/release': 'a1b2c3d', 'chains.tekton.dev/signed': 'true' },
      ownerReferences: [
        {
          apiVersion: 'tekton.dev/v1',
          kind: 'PipelineRun',
          name: '@RUN@',
          uid: '@RUNUID@',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      managedFields: [managedFields('controller', FIELDS)],
    },
    spec: {
      params: [{ name: 'url', value: 'https://forge.example.com/team/app.git' }],
      serviceAccountName: 'builder',
      taskRef: { kind: 'Task', name: task },
      timeout: '1h0m0s',
    },
    status: {
      artifacts: {},
      conditions: [
        {
          type: 'Succeeded',
          status: 'True',
          reason: 'Succeeded',
          message: 'All Steps have completed executing',
          lastTransitionTime: '@ENDED@',
        },
      ],
      podName: '@NAME@-pod',
      startTime: '@STARTED@',
      completionTime: '@ENDED@',
      provenance: PROVENANCE,
      results: [{ name: 'digest', type: 'string', value: 'sha256:@UID@' }],
      steps: STEPS.map((name) => ({
        container: `step-${name}`,
        imageID: `registry.example.com/tools/${name}@sha256:4f3d2c1b0a99887766554433221100ffeeddccbbaa99887766554433221100ff`,
        name,
        provenance: {},
        terminated: {
          containerID: 'containerd://1b6c8d2ffb3d6f5bd6b0d0f1f3c6a4c0f2a9a7d6e5c4b3a29181706050403020',
          exitCode: 0,
          reason: 'Completed',
          startedAt: '@STARTED@',
          finishedAt: '@ENDED@',
        },
        terminationReason: 'Completed',
      })),
      taskSpec: TASK_SPEC(task),
    },
  }),
);
