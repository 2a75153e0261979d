/** `/openapi.json`, `/docs` and `/`: the API in its own words, made once of the operations that are served. */
import { sendPage } from '../answer.ts';
import type { AnswerShape, Operation, Route } from '../operation.ts';
import { pageHandler } from '../page.ts';
import { docsPage } from './docspage.ts';
import { openApiDocument } from './openapi.ts';

const page = { headers: ['ETag', 'Vary', 'Content-Encoding'] } as const satisfies Partial<AnswerShape>;
const unchanged = { description: 'It has not changed', headers: ['ETag', 'Vary'] } as const satisfies AnswerShape;

const documentOperation: Operation = {
  id: 'getOpenApi',
  path: '/openapi.json',
  tag: 'gateway',
  summary: 'This API as an OpenAPI 3.1 document',
  description:
    'Made of the same tables that requests are read by, so it is never older than the gateway that serves it.',
  options: {},
  headers: ['If-None-Match', 'Accept-Encoding'],
  answers: {
    200: {
      ...page,
      description: 'The document',
      content: {
        'application/json': {
          schema: {
            type: 'object',
            required: ['openapi', 'info', 'paths'],
            properties: { openapi: { type: 'string' }, info: { type: 'object' }, paths: { type: 'object' } },
          },
        },
      },
    },
    304: unchanged,
  },
  problems: [],
};

const docsOperation: Operation = {
  id: 'getDocs',
  path: '/docs',
  tag: 'gateway',
  summary: 'The same for people',
  description: 'One page that needs nothing from elsewhere, and no JavaScript.',
  options: {},
  headers: ['If-None-Match', 'Accept-Encoding'],
  answers: {
    200: { ...page, description: 'The page', content: { 'text/html': { schema: { type: 'string' } } } },
    304: unchanged,
  },
  problems: [],
};

const frontOperation: Operation = {
  id: 'getFront',
  path: '/',
  tag: 'gateway',
  summary: 'Leads to the documentation',
  description: 'For browsers that were given no more than the address.',
  options: {},
  answers: { 302: { description: 'See `/docs`', headers: ['Location'] } },
  problems: [],
};

/** Makes the routes that describe `operations` and themselves. All of it is made here, once. */
export function describedApi(operations: readonly Operation[], version: string): readonly Route[] {
  const document = openApiDocument({
    operations: [...operations, documentOperation, docsOperation, frontOperation],
    version,
  });
  return [
    {
      operation: documentOperation,
      handler: pageHandler({ contentType: 'application/json; charset=utf-8', text: JSON.stringify(document) }),
    },
    { operation: docsOperation, handler: pageHandler(docsPage(document)) },
    {
      operation: frontOperation,
      // Without a leading slash: it stays right behind a proxy that has put a path before ours.
      handler: (request, response) => sendPage(request, response, 302, ['Location', 'docs', 'Content-Length', '0']),
    },
  ];
}
