/** The bodies of `/taskruns`. */
import {
  attemptSchema,
  datedConditionSchema,
  failureSchema,
  paramSchema,
  phaseSchema,
  resultSchema,
  shape,
} from './runs.ts';

const text = { type: 'string' } as const;
const time = { type: 'string', format: 'date-time' } as const;
const strings = { type: 'object', additionalProperties: { type: 'string' } } as const;

/** The body of `/taskruns/:namespace/:name` and of `/taskruns/:namespace/:name/status?full=true`. */
export const taskRunStatusSchema = shape(
  'TaskRunStatus',
  'Everything about one TaskRun. Times are RFC 3339, durations milliseconds',
  {
    namespace: text,
    name: text,
    uid: text,
    phase: phaseSchema,
    condition: datedConditionSchema,
    created: time,
    retries: { type: 'integer', minimum: 0, description: 'How often it may be tried again' },
    params: { type: 'array', items: paramSchema },
    results: { type: 'array', items: resultSchema },
    labels: strings,
    annotations: { ...strings, description: 'Those that say something of the TaskRun' },
    attempts: { type: 'array', items: attemptSchema, description: 'Oldest first; the last is the current one' },
    asOf: { ...time, description: 'When this was worked out: running durations end here' },
  },
  {
    task: { ...text, description: 'The Task that it was made from' },
    displayName: { ...text, description: 'Its name for people' },
    pipelineRun: { ...text, description: 'The run that it belongs to' },
    pipelineTask: { ...text, description: 'Which task of that run it is' },
    started: time,
    completed: time,
    durationMs: { type: 'integer', minimum: 0, description: 'In milliseconds; until `asOf` while it runs' },
    failure: failureSchema,
  },
);
