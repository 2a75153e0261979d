/** Routes of tests that look at what lies around routes. */
import type { RequestHandler } from 'express';
import type { Route } from '../../src/gateway/operation.ts';
import type { OptionTable } from '../../src/gateway/options.ts';

/** A route that nobody describes. Its segments may be `:namespace` and `:name`. */
export function plainRoute(path: string, handler: RequestHandler, options: OptionTable = {}): Route {
  const operation = {
    id: path.replace(/\W+/g, '-'),
    path,
    tag: 'gateway',
    summary: 'A route',
    description: 'A route.',
    options,
    answers: { 200: { description: 'An answer' } },
    problems: [],
  } as const;
  return { operation, handler };
}
