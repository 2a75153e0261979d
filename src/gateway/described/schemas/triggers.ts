/** The bodies of `/triggers`. */
import { TRIGGER_STATES } from '../../../triggers/item.ts';
import { runItemSchema, shape, strings } from './runs.ts';
import type { JsonSchema } from './schema.ts';

const text = (description: string): JsonSchema => ({ type: 'string', description });
const time = (description: string): JsonSchema => ({ type: 'string', format: 'date-time', description });
const count = (description: string): JsonSchema => ({ type: 'integer', minimum: 0, description });
const list = (items: JsonSchema, description: string): JsonSchema => ({ type: 'array', items, description });

const stateSchema: JsonSchema = {
  title: 'TriggerState',
  description:
    'Where it stands, in a word: `error` (somebody has to do something), `failed` (its last run did), `running`, `waiting` (there has been no event, or its run is not there yet), `succeeded`',
  type: 'string',
  enum: TRIGGER_STATES,
};

const conditionSchema = shape(
  'TriggerCondition',
  'Its condition, as its controller wrote it; long texts are cut',
  {
    type: text('`Unknown`, `InProgress`, `Success` or `Error`'),
    status: { type: 'string', enum: ['True', 'False', 'Unknown'], description: 'Whether that holds' },
    reason: text('Why, in a word'),
    message: text('Why, in a sentence'),
  },
  { lastTransitionTime: time('When its status last changed') },
);

const line = {
  required: {
    state: stateSchema,
    waitingFor: text('What it waits for, in words'),
  },
  optional: {
    condition: conditionSchema,
    latestEvent: text('The last event: a revision, an image or a commit, as the source has it'),
    latestPipelineRun: text('The run of that event; absent while there is none yet. It may have been deleted since'),
    retriesUsed: count('How many runs of that event were given up before it'),
  },
} as const;

const branchSchema = shape(
  'TriggerBranch',
  'One branch of a PullRequest',
  { name: text('Its name'), ...line.required },
  line.optional,
);

/** The body of `/triggers/:namespace/:trigger`. */
export const triggerSchema = shape(
  'PipelineTrigger',
  'Where a trigger stands',
  {
    namespace: text('Its namespace'),
    name: text('Its name'),
    uid: text('Its uid'),
    created: time('When it was created'),
    source: shape(undefined, 'What it watches, in its own namespace', {
      kind: text('GitRepository, OCIRepository, Bucket, ImagePolicy or PullRequest'),
      name: text('Its name'),
    }),
    suspended: { type: 'boolean', description: 'Whether `spec.suspend` keeps it from starting runs' },
    ...line.required,
    labels: strings('Its labels'),
    runs: list(runItemSchema, 'Its runs, the newest first, as many as the option `runs` says'),
  },
  {
    pipeline: text('The Pipeline that it runs, where its template names one'),
    ...line.optional,
    retries: count('How many runs may follow the first of an event when that fails; absent: none'),
    branches: list(branchSchema, 'Of a trigger on a PullRequest, by name'),
    branchesLeftOut: count('How many branches there are beside those; absent: none'),
  },
);

/** The body of `/triggers` and `/triggers/:namespace`. */
export const triggerListSchema = shape(
  'PipelineTriggerList',
  'A page of triggers',
  {
    items: list(triggerSchema, 'In the order of namespaces and names'),
    served: { type: 'boolean', description: 'Whether this cluster has PipelineTriggers at all' },
  },
  { continue: text('For the option `continue`: where the next page begins. Absent: this is the last one') },
);

/** The body of `/triggers/:namespace/:trigger/run`. */
export const runAskedSchema = shape('RunAsked', 'That a run is asked for', {
  namespace: text('The namespace of the trigger'),
  name: text('Its name'),
  eventID: text(
    'The run that comes of it is found by this: `/runs/:namespace?eventId=`; of a PullRequest the runs of all branches are',
  ),
  runAt: text(
    'What stands in its annotation `rungate.dev/runAt` for this run, and in its status once the run is taken note of',
  ),
  asked: {
    type: 'string',
    enum: ['now', 'before'],
    description: '`before`: a request with this key asked for it already',
  },
});
