/** `GET /hooks/:namespace/:hook/deliveries`: what came to a hook, for callers who may read its namespace. */
import { Fault } from '../../fault.ts';
import type { Deliveries, Delivery } from '../../hooks/deliveries.ts';
import type { HookBook } from '../../hooks/hook.ts';
import { sendJson } from '../answer.ts';
import { requireRead, type ServedNamespaces } from '../callers/auth.ts';
import { deliveriesSchema } from '../described/schemas/hooks.ts';
import { callerOf } from '../notes.ts';
import { type Operation, type Route, whereReading } from '../operation.ts';
import { hookRef, option, optionReader, wholeNumber } from '../options.ts';

/** What the route is made of. */
export interface DeliveriesParts {
  readonly book: HookBook;
  readonly deliveries: Deliveries;
  readonly served: ServedNamespaces;
}

const operation = {
  id: 'listDeliveries',
  path: '/hooks/:namespace/:hook/deliveries',
  tag: 'hooks',
  summary: 'What came to a hook, and what became of it',
  description:
    'The last 100, the newest first, as this replica has seen them since it was started. Bodies are not kept. Attempts that were not let in, or were too many, are counted alone.',
  options: { limit: option(wholeNumber({ from: 1, to: 100 }), 100, 'So many of them, the newest') },
  answers: {
    200: { description: 'The deliveries', content: { 'application/json': { schema: deliveriesSchema } } },
  },
  problems: whereReading.filter((code) => code !== 'refused' && code !== 'timeout'),
} as const satisfies Operation;

/** The route. */
export function deliveriesRoutes({ book, deliveries, served }: DeliveriesParts): readonly Route[] {
  const readOptions = optionReader(operation.options);
  return [
    {
      operation,
      handler: async (request, response) => {
        const ref = hookRef(request.params);
        requireRead(callerOf(request), ref.namespace, served);
        const { limit } = readOptions(request.url);
        const hook = await book.find(ref);
        const past = deliveries.of(ref);
        // A hook that is gone has a past all the same.
        const isKnown = past.deliveries.length > 0 || past.refused.count > 0;
        if (hook === 'waiting' && !isKnown) throw new Fault('unavailable', 'hooks are not known yet; try again');
        if (hook === undefined && !isKnown) throw new Fault('not-found', 'hook not found');
        const { count, lastAt } = past.refused;
        sendJson(request, response, 200, {
          ...ref,
          ...(typeof hook === 'object' ? { kind: hook.kind } : {}),
          refused: { count, ...(lastAt === undefined ? {} : { last: timeOf(lastAt) }) },
          items: past.deliveries.slice(0, limit).map(deliveryItem),
        });
      },
    },
  ];
}

/** A delivery as callers are told of it. Undefined fields are left out by JSON. */
function deliveryItem({ at, id, event, results, ...told }: Delivery): object {
  const { requestId, client, component, status, problem, isRepeat, durationMs } = told;
  const { kind, namespace, name, revision, severity, reason } = event ?? {};
  return {
    time: timeOf(at),
    id,
    requestId,
    client,
    component,
    involvedObject: event && { kind, namespace, name },
    revision,
    severity,
    reason,
    status,
    error: problem,
    repeat: isRepeat,
    results,
    durationMs,
  };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
