/** The bodies of `/runs` and of `/status?full=true`. */
import { SORT_KEYS } from '../../../tekton/runlist.ts';
import type { JsonSchema } from './schema.ts';
import { conditionSchema } from './status.ts';

const text = (description: string): JsonSchema => ({ type: 'string', description });
const time = (description: string): JsonSchema => ({ type: 'string', format: 'date-time', description });
const duration = (description: string): JsonSchema => ({ type: 'integer', minimum: 0, description });
const count = (description: string): JsonSchema => ({ type: 'integer', minimum: 0, description });
const list = (items: JsonSchema, description: string): JsonSchema => ({ type: 'array', items, description });

/** An object of exactly these properties; those in `optional` may be absent. */
export function shape(
  title: string | undefined,
  description: string,
  required: Readonly<Record<string, JsonSchema>>,
  optional: Readonly<Record<string, JsonSchema>> = {},
): JsonSchema {
  return {
    ...(title === undefined ? {} : { title }),
    description,
    type: 'object',
    required: Object.keys(required),
    properties: { ...required, ...optional },
    additionalProperties: false,
  };
}

/** An object of texts by any names. */
export const strings = (description: string): JsonSchema => ({
  description,
  type: 'object',
  additionalProperties: { type: 'string' },
});

/** Where a run stands; `deleted` is said to whoever waited for it or followed it. */
export const phaseSchema: JsonSchema = {
  title: 'Phase',
  description: 'Where it stands, in a word',
  type: 'string',
  enum: ['pending', 'running', 'succeeded', 'failed', 'cancelled', 'timedout', 'deleted'],
};

const taskPhaseSchema: JsonSchema = {
  title: 'TaskPhase',
  description: 'Where a task or one of its instances stands, in a word',
  type: 'string',
  enum: [
    'pending',
    'running',
    'succeeded',
    'failed',
    'cancelled',
    'timedout',
    'deleted',
    'ignored',
    'skipped',
    'notstarted',
  ],
};

/** The condition with the time it last changed. */
export const datedConditionSchema: JsonSchema = {
  ...conditionSchema,
  title: 'DatedCondition',
  properties: {
    ...(conditionSchema.properties as Readonly<Record<string, JsonSchema>>), // written as an object of schemas
    lastTransitionTime: time('When its status last changed'),
  },
};

const namedValue = (title: string, description: string): JsonSchema =>
  shape(title, description, {
    name: text('Its name'),
    value: { description: 'A text, a list or an object, as it was given' },
  });

/** A parameter. */
export const paramSchema = namedValue('Param', 'A parameter and what it was given');
/** A result. */
export const resultSchema = namedValue('Result', 'A result and what it was');

const triggerSchema = shape(
  'Trigger',
  'What Tekton Triggers made the run for',
  {},
  {
    eventListener: text('The EventListener'),
    trigger: text('The trigger in it'),
    eventId: text('The event'),
  },
);

/** Which step made a run or a TaskRun fail. */
export const failureSchema = shape(
  'Failure',
  'Which step made it fail, as far as it can be told. Without `task` the run failed as a whole',
  { reason: text("Tekton's word"), message: text("Tekton's sentence") },
  {
    task: text('The pipeline task; `release/publish` in a nested run'),
    taskRun: text('Its TaskRun'),
    step: text('The step'),
    exitCode: { type: 'integer', description: 'Its exit code; absent where nothing exited' },
    logs: text('Where its log is, as a path of this API'),
    logTail: list({ type: 'string' }, 'The last lines of its log, with `tail`. Long ones are cut'),
    logProblem: text('Why there is no `logTail`, as a sentence'),
  },
);

const stepSchema = shape(
  'Step',
  'One step of an attempt',
  {
    name: text('Its name'),
    container: text('Its container in the pod'),
    state: {
      type: 'string',
      enum: ['waiting', 'running', 'terminated', 'unknown'],
      description: '`waiting` too while it waits for the steps before it',
    },
    logs: text('Where its log is, as a path of this API'),
  },
  {
    exitCode: { type: 'integer', description: 'What it exited with' },
    reason: text('Why it ended or waits'),
    message: text('The same in a sentence'),
    started: time('When it began'),
    finished: time('When it ended'),
    durationMs: duration('How long it ran, in milliseconds; until `asOf` while it runs'),
  },
);

/** One try of a TaskRun. */
export const attemptSchema = shape(
  'Attempt',
  'One try of a TaskRun, in a pod of its own',
  { steps: list(stepSchema, 'In the order in which they run') },
  {
    pod: text('The pod it ran in, while that is known'),
    node: text('The node that the pod is on'),
    podPhase: text("The pod's own phase"),
    reason: text("Tekton's word for how the attempt stands"),
    message: text('The same in a sentence'),
    waiting: shape(
      undefined,
      'What it waits for: a node, an image, a quota, a retry',
      { reason: text('In a word'), message: text('In a sentence') },
      { container: text('The container that waits') },
    ),
    started: time('When it began'),
    completed: time('When it was over'),
  },
);

const instanceSchema = shape(
  'Instance',
  'One TaskRun, CustomRun or nested PipelineRun of a task; a matrix has several',
  {
    name: text('The name of the TaskRun, CustomRun or PipelineRun'),
    uid: text('Its uid; empty where it is not in the cluster'),
    phase: taskPhaseSchema,
    reason: text("Tekton's word"),
    message: text("Tekton's sentence"),
    attempts: list(attemptSchema, 'Oldest first; the last is the current one. Only TaskRuns have any'),
  },
  {
    displayName: text('Its name for people'),
    started: time('When it began'),
    completed: time('When it was over'),
    durationMs: duration('In milliseconds; until `asOf` while it runs'),
    params: list(paramSchema, 'What tells it from the other instances'),
    results: list(resultSchema, 'What it reported'),
    run: { $ref: '#/components/schemas/RunStatus' },
  },
);

const taskSchema = shape(
  'Task',
  'One task of the pipeline',
  {
    name: text('Its name in the pipeline'),
    kind: { type: 'string', enum: ['TaskRun', 'CustomRun', 'PipelineRun'], description: 'What it becomes' },
    memberOf: { type: 'string', enum: ['tasks', 'finally'], description: 'Which part of the pipeline it is in' },
    runAfter: list({ type: 'string' }, 'The tasks it comes after, because it says so or uses their results'),
    phase: taskPhaseSchema,
    reason: text("Tekton's word"),
    message: text("Tekton's sentence"),
    instances: list(instanceSchema, 'What it became; none until its turn came'),
  },
  {
    displayName: text('Its name for people'),
    skip: text("Why it was skipped, in Tekton's words"),
    onError: text('`continue`: the run goes on although it failed'),
  },
);

/** How many tasks stand where. */
const progressSchema = shape('Progress', "How many tasks stand where, counted as Tekton's own message does", {
  total: count('All'),
  succeeded: count('Those that succeeded'),
  failed: count('Those that failed or ran out of time'),
  ignored: count('Those that failed and may'),
  cancelled: count('Those that were cancelled'),
  skipped: count('Those that Tekton decided against'),
  running: count('Those that run or wait for their pod'),
  notStarted: count('Those whose turn has not come'),
});

const provenanceSchema = shape(
  'Provenance',
  'Where the pipeline was fetched from',
  {},
  {
    uri: text('The repository or registry'),
    digest: strings('Its content, by algorithm'),
    entryPoint: text('The file in it'),
  },
);

const timeoutsSchema = shape(
  'Timeouts',
  'How long it may take, as Tekton writes durations: `1h0m0s`',
  {},
  {
    pipeline: text('All of it'),
    tasks: text('Its tasks'),
    finally: text('Its finally tasks'),
  },
);

/** The body of `/runs/:namespace/:name` and of `/status?full=true`. */
export const runStatusSchema = shape(
  'RunStatus',
  'Everything about a run. Times are RFC 3339, durations milliseconds',
  {
    namespace: text('Its namespace'),
    name: text('Its name'),
    uid: text('Its uid: another run of the same name has another'),
    phase: phaseSchema,
    condition: datedConditionSchema,
    created: time('When it was created'),
    durations: shape(
      undefined,
      'How long it took, in milliseconds',
      {},
      {
        queued: duration('From its creation until its first pod had a node; absent once that is no longer known'),
        running: duration('From its start until it was completed, else until `asOf`'),
        finally: duration('The finally tasks'),
      },
    ),
    timeouts: timeoutsSchema,
    params: list(paramSchema, 'What it was given'),
    results: list(resultSchema, 'What it reported'),
    workspaces: list({ type: 'string' }, 'The names of its workspaces'),
    labels: strings('Its labels'),
    annotations: strings('Those of its annotations that say something of the run'),
    progress: progressSchema,
    tasks: list(taskSchema, 'In the order of the pipeline'),
    asOf: time('When this was worked out: running durations end here'),
  },
  {
    pipeline: text('The pipeline; its own name where that is written in the run'),
    started: time('When Tekton began with it'),
    finallyStarted: time('When its finally tasks began'),
    completed: time('When it was over'),
    trigger: triggerSchema,
    provenance: provenanceSchema,
    failure: failureSchema,
  },
);

/** One run as lists have it. */
export const runItemSchema = shape(
  'RunItem',
  'One run of a list',
  {
    namespace: text('Its namespace'),
    name: text('Its name'),
    uid: text('Its uid'),
    phase: phaseSchema,
    reason: text("Tekton's word"),
    message: text("Tekton's sentence"),
    created: time('When it was created'),
    labels: strings('Its labels'),
  },
  {
    pipeline: text('The pipeline; its own name where that is written in the run'),
    started: time('When Tekton began with it'),
    completed: time('When it was over'),
    durationMs: duration('From `started` to `completed`, in milliseconds'),
    trigger: triggerSchema,
  },
);

/** The body of `/runs` and `/runs/:namespace`. */
export const runListSchema = shape(
  'RunList',
  'A page of runs',
  { items: list(runItemSchema, `In the order of \`sort\`: ${SORT_KEYS.join(', ')}`) },
  { continue: text('For the option `continue`: where the next page begins. Absent: this is the last one') },
);

const eventInstanceSchema = shape('RunEventInstance', 'One instance of a task', {
  name: text('The name of the TaskRun, CustomRun or PipelineRun'),
  phase: taskPhaseSchema,
  reason: text("Tekton's word"),
  attempts: count('How often it was tried'),
});

const eventTaskSchema = shape('RunEventTask', 'One task', {
  name: text('Its name in the pipeline'),
  phase: taskPhaseSchema,
  reason: text("Tekton's word"),
  instances: list(eventInstanceSchema, 'What it became'),
});

/** The data of an event of `/runs/:namespace/:name/events`. */
export const runEventSchema = shape(
  'RunEvent',
  'How a run stands after a change. Everything in it changes only with the run',
  {
    namespace: text('Its namespace'),
    name: text('Its name'),
    uid: text('Its uid'),
    phase: phaseSchema,
    condition: datedConditionSchema,
    progress: progressSchema,
    tasks: list(eventTaskSchema, 'In the order of the pipeline'),
  },
  {
    started: time('When Tekton began with it'),
    finallyStarted: time('When its finally tasks began'),
    completed: time('When it was over'),
    failure: failureSchema,
  },
);
