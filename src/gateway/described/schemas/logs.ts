/** What a line of `format=ndjson`, and an event of `format=sse`, is. */
import { phaseSchema, shape } from './runs.ts';
import type { JsonSchema } from './schema.ts';

const text = (description: string): JsonSchema => ({ type: 'string', description });
const truth = (description: string): JsonSchema => ({ type: 'boolean', description });
const only = (type: string): JsonSchema => ({ type: 'string', const: type });

const attempt: JsonSchema = { type: 'integer', minimum: 1, description: 'Which attempt of the TaskRun, from 1' };
const prefix = text("What tells the TaskRun from others of the run, where its task's name does not: `test-3`");
const cursor = text('Where to go on after this: the option `cursor` takes it');

/** Where a line comes from. */
const place = {
  task: text('Name of the pipeline task'),
  taskRun: text('Name of the TaskRun'),
  attempt,
  step: text("Name of the step; a sidecar's or an init container's whole name"),
  pod: text('Name of the pod'),
  container: text('Name of the container'),
};

/** Every object of a log, by its `type`. */
export const logObjectSchema: JsonSchema = {
  title: 'LogObject',
  description: 'One thing that is said on the stream of a log. `type` says which',
  anyOf: [
    shape(
      'LogLine',
      'A line of a container, or a piece of one',
      { type: only('log'), ...place, line: text('The line without its end') },
      {
        ts: text('When the kubelet has read it, as it wrote that'),
        prefix,
        partial: truth('Another piece of this line follows in the next `log` of the container'),
        bin: truth('Bytes that are no UTF-8 were replaced by U+FFFD'),
        cursor,
      },
    ),
    shape(
      'LogNotice',
      'A sentence for people',
      {
        type: only('notice'),
        level: { type: 'string', enum: ['problem', 'info'] },
        message: text('The sentence'),
      },
      { ...place, prefix },
    ),
    shape(
      'LogGap',
      'Lines of this container may be missing here',
      { type: only('gap'), message: text('Why'), ...place },
      { prefix },
    ),
    shape(
      'LogStep',
      'A container began or ended',
      { type: only('step'), ...place, state: { type: 'string', enum: ['running', 'terminated'] } },
      {
        prefix,
        exitCode: { type: 'integer', description: 'Of a container that has ended' },
        reason: text('Its reason'),
      },
    ),
    shape(
      'LogTask',
      'An attempt of a TaskRun begins to be shown, or was shown to its end',
      {
        type: only('task'),
        task: text('Name of the pipeline task'),
        taskRun: text('Name of the TaskRun'),
        attempt,
        state: { type: 'string', enum: ['begun', 'over'] },
        at: { type: 'string', format: 'date-time', description: 'When it began, or ended' },
      },
      { prefix, displayName: text("The task's name for people"), phase: text('How it stands') },
    ),
    shape('LogHeartbeat', 'Nothing was said for a while', {
      type: only('heartbeat'),
      awaiting: text('What is waited for'),
    }),
    shape(
      'LogEnd',
      'The last object: how it ended',
      {
        type: only('end'),
        message: text("Of the run's condition"),
        reason: text("Of the run's condition; `Deleted` where the run was deleted"),
        status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
        phase: phaseSchema,
        complete: truth('Whether every line that was asked for was delivered'),
        retry: truth('Whether it ended before the run did, and is to be asked for again with the cursor'),
      },
      { cursor },
    ),
  ],
};
