/** The bodies of `/status`, `/health` and `/ready`. */
import type { JsonSchema } from './schema.ts';

/** The listener's four keys. */
export const conditionSchema: JsonSchema = {
  title: 'Condition',
  description: "The run's condition of type `Succeeded`.",
  type: 'object',
  required: ['message', 'reason', 'type', 'status'],
  properties: {
    message: { type: 'string', description: 'A sentence of Tekton' },
    reason: { type: 'string', description: 'A word of Tekton; new ones come with every release' },
    type: { type: 'string', const: 'Succeeded' },
    status: {
      type: 'string',
      enum: ['True', 'False', 'Unknown'],
      description: '`Unknown` while the run is not final',
    },
  },
  additionalProperties: false,
};

/** The body of `/health`. */
export const healthSchema: JsonSchema = {
  title: 'Health',
  type: 'object',
  required: ['status'],
  properties: { status: { type: 'integer', const: 1 } },
  additionalProperties: false,
};

const watchSchema: JsonSchema = {
  title: 'Watch',
  description: 'One of the watches that fill the caches.',
  type: 'object',
  required: ['name', 'state'],
  properties: {
    name: { type: 'string', description: 'What it watches' },
    state: { type: 'string', enum: ['listing', 'current', 'stale'] },
    ageSeconds: { type: 'number', minimum: 0, description: 'Since it last heard anything' },
    message: { type: 'string', description: 'What keeps it from being current' },
  },
  additionalProperties: false,
};

/** The body of `/ready` when it is. */
export const readySchema: JsonSchema = {
  title: 'Readiness',
  type: 'object',
  required: ['ready', 'watches'],
  properties: { ready: { type: 'boolean', const: true }, watches: { type: 'array', items: watchSchema } },
  additionalProperties: false,
};

/** The body of `/ready` when it is not: a problem that says more. */
export const notReadySchema: JsonSchema = {
  title: 'NotReady',
  type: 'object',
  required: ['error', 'code', 'requestId', 'ready', 'watches'],
  properties: {
    error: { type: 'string' },
    code: { type: 'string', enum: ['unavailable', 'draining'] },
    requestId: { type: 'string' },
    ready: { type: 'boolean', const: false },
    watches: { type: 'array', items: watchSchema },
  },
  additionalProperties: false,
};
