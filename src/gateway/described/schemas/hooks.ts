/** The bodies of `/hooks`. */
import { problemSchema } from './problem.ts';
import { shape } from './runs.ts';
import type { JsonSchema } from './schema.ts';

const text = (description: string): JsonSchema => ({ type: 'string', description });
const time = (description: string): JsonSchema => ({ type: 'string', format: 'date-time', description });
const count = (description: string): JsonSchema => ({ type: 'integer', minimum: 0, description });
const list = (items: JsonSchema, description: string): JsonSchema => ({ type: 'array', items, description });

/** The words of src/hooks/outcome.ts, which are explained there. */
const outcomeSchema: JsonSchema = {
  title: 'HookOutcome',
  description:
    'What became of a delivery at a trigger: `created`; `duplicate` (its run is there, or has been); `pending` (it was taken, and is looked into); `filtered` (nothing is to run for it); `denied` (it is not allowed, or its source is not there); `stale` (it tells of an object that is another one now); `failed` (no run can be made of it); `unavailable` (Kubernetes did not take the run: send it again)',
  type: 'string',
  enum: ['created', 'duplicate', 'pending', 'filtered', 'denied', 'stale', 'failed', 'unavailable'],
};

const result = {
  required: { trigger: text('The name of the trigger'), outcome: outcomeSchema },
  optional: {
    reason: text('Why, in a word'),
    pipelineRun: text('The namespace and the name of the run, joined by `/`, where there is one'),
  },
} as const;

const resultSchema = shape('HookResult', 'What became of a delivery at one trigger', result.required, result.optional);

/** What is posted. */
export const deliverySchema: JsonSchema = {
  title: 'Delivery',
  description: 'An event of Flux, or for an EventListener any object',
  type: 'object',
  properties: {
    involvedObject: {
      type: 'object',
      description: 'The object that the event is about; a PipelineTrigger wants its `kind`, `namespace` and `name`',
    },
    severity: text('`info` or `error`'),
    timestamp: time('When it happened; a signed event is taken for ten minutes'),
    message: text('In words'),
    reason: text('In a word'),
    metadata: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'What else is known; `revision` is the revision',
    },
    reportingController: text('Who tells it'),
  },
};

/** The body of 202, as EventListeners have it, and `results`. */
export const acceptedSchema = shape(
  'HookAccepted',
  'A delivery that was taken',
  {
    eventListener: text('The name of the hook'),
    namespace: text('Its namespace'),
    eventListenerUID: text('The uid of its object'),
    eventID: text('The id of the event: the same for the same body'),
    results: list(resultSchema, 'What became of it, in the order in which the hook has its triggers'),
  },
  {},
);

/** The body of a refusal: fewer than 256 bytes, because notification-controller copies it into an Event. */
export const hookProblemSchema: JsonSchema = {
  title: 'HookProblem',
  description: 'Why a delivery was not taken, in the words of EventListeners and in those of every other error',
  type: 'object',
  required: ['errorMessage', 'error', 'code'],
  properties: {
    errorMessage: text('A sentence for people'),
    error: text('The same'),
    code: (problemSchema.properties as Readonly<Record<string, JsonSchema>>).code ?? {},
    requestId: text('As in `X-Request-Id`; absent where there is no room for it'),
    results: list(resultSchema, 'What became of it at the triggers, as far as there is room'),
  },
  additionalProperties: false,
};

/** The body of `/hooks/:namespace/:hook/deliveries`. */
export const deliveriesSchema = shape(
  'Deliveries',
  'What came to a hook',
  {
    namespace: text('Its namespace'),
    name: text('Its name'),
    refused: shape(
      undefined,
      'Attempts that were not let in, or were too many',
      { count: count('How many') },
      { last: time('When the last one came') },
    ),
    items: list(
      shape(
        'HookDelivery',
        'One delivery',
        {
          time: time('When it came'),
          id: text('The id of the event: the same for the same body'),
          requestId: text('Of its request, as in the log'),
          client: text('The address that it came from'),
          status: { type: 'integer', description: 'How it was answered' },
          repeat: { type: 'boolean', description: 'It had come a moment before, and nothing was done' },
          results: list(
            shape('HookDeliveryResult', 'What became of it at one trigger', result.required, {
              ...result.optional,
              message: text('Why, in a sentence'),
            }),
            'What became of it; at most 20',
          ),
          durationMs: count('How long it took, in milliseconds'),
        },
        {
          component: text('What the header `Gotk-Component` said; anybody can write it'),
          involvedObject: shape(
            undefined,
            'The object that an event of Flux was about',
            { kind: text('Its kind'), namespace: text('Its namespace'), name: text('Its name') },
            {},
          ),
          revision: text('The revision that the event told, normalised'),
          severity: text('As the event had it'),
          reason: text('As the event had it'),
          error: text('Why it was refused'),
        },
      ),
      'The newest first',
    ),
  },
  {
    kind: {
      type: 'string',
      enum: ['PipelineTrigger', 'EventListener'],
      description: 'Absent: the hook is not there now',
    },
  },
);
