/** Whether we live and whether we can answer: for callers on the public port, for the kubelet on the other one. */
import type { RequestListener } from 'node:http';
import type { RequestHandler } from 'express';
import type { Readiness, WatchReadiness } from '../kube/ready.ts';
import { sendJson, sendPage } from './answer.ts';
import { healthSchema, notReadySchema, readySchema } from './described/schemas/status.ts';
import type { Drain } from './drain.ts';
import { notesOf } from './notes.ts';
import type { Operation, Route } from './operation.ts';
import { problemFields } from './problem.ts';

/** `/health`: open to everyone and always the same, because it says only that this process answers. */
export const healthRoute: Route = {
  operation: {
    id: 'getHealth',
    path: '/health',
    tag: 'gateway',
    summary: 'Whether the process answers',
    description: 'Always the same, whatever the state of the cluster.',
    options: {},
    answers: {
      200: {
        description: 'It answers',
        content: { 'application/json': { schema: healthSchema, example: { status: 1 } } },
      },
    },
    problems: [],
    open: true,
  },
  handler: (request, response) => sendJson(request, response, 200, { status: 1 }),
};

/** `/live`: what the Service of an EventListener is probed by. */
export const liveRoute: Route = {
  operation: {
    id: 'getLive',
    path: '/live',
    tag: 'hooks',
    summary: 'Whether the process answers, as an EventListener says it',
    description:
      'Always the same. Of a Service that leads to rungate in the place of an EventListener it can be the probe.',
    options: {},
    answers: {
      200: { description: 'It answers', content: { 'text/plain': { schema: { type: 'string', const: 'ok' } } } },
    },
    problems: [],
    open: true,
  },
  handler: (request, response) =>
    sendPage(request, response, 200, ['Content-Type', 'text/plain; charset=utf-8', 'Content-Length', '2'], 'ok'),
};

/** `/ready`: 200 when every watch is current, else 503 whose sentence names those that are not. Needs credentials. */
export function readyRoute(readiness: () => Readiness): Route {
  const handler: RequestHandler = (request, response) => {
    const { ready, watches } = readiness();
    if (ready) {
      sendJson(request, response, 200, { ready, watches });
      return;
    }
    const notes = notesOf(request);
    notes.code = 'unavailable';
    const told = problemFields('unavailable', notReady(watches), notes.requestId);
    sendJson(request, response, 503, { ...told, ready, watches }, ['Retry-After', '5']);
  };
  return { operation: readyOperation, handler };
}

const readyOperation: Operation = {
  id: 'getReadiness',
  path: '/ready',
  tag: 'gateway',
  summary: 'Whether every watch is current',
  description:
    'What this replica knows is as new as its watches. The kubelet asks on the other port, without credentials.',
  options: {},
  answers: {
    200: {
      description: 'Every watch is current',
      content: { 'application/json': { schema: readySchema } },
    },
    503: {
      description: 'Some are not; the sentence names them',
      headers: ['Retry-After'],
      content: { 'application/json': { schema: notReadySchema } },
    },
  },
  problems: ['unavailable'],
};

function notReady(watches: readonly WatchReadiness[]): string {
  const late = watches.filter(({ state }) => state !== 'current').map(({ name, state }) => `${name} is ${state}`);
  return late.length === 0 ? 'not ready' : `not ready: ${late.join(', ')}`;
}

/**
 * The port of kubelet and Prometheus: `/livez` and `/healthz` say that the process answers, `/readyz` that it can answer
 * callers (503 while draining or not ready), `/metrics` serves the series. No credentials, so no details either.
 */
export function probes(parts: {
  readonly readiness: () => Readiness;
  readonly drain: Pick<Drain, 'signal'>;
  readonly exposition: () => Promise<{ readonly contentType: string; readonly text: string }>;
}): RequestListener {
  const { readiness, drain, exposition } = parts;
  const pages: Readonly<Record<string, () => Promise<Page> | Page>> = {
    '/livez': () => plain(200, 'ok'),
    '/healthz': () => plain(200, 'ok'),
    '/readyz': () => {
      if (drain.signal.aborted) return plain(503, 'draining');
      return readiness().ready ? plain(200, 'ok') : plain(503, 'not ready');
    },
    '/metrics': async () => {
      const { contentType, text } = await exposition();
      return { status: 200, contentType, text };
    },
  };
  return async (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    const readOnly = request.method === 'GET' || request.method === 'HEAD';
    let answer: Page;
    try {
      answer = page === undefined ? plain(404, 'no such path') : readOnly ? await page() : plain(405, 'GET only');
    } catch {
      answer = plain(500, 'internal error');
    }
    response.writeHead(answer.status, {
      'Content-Type': answer.contentType,
      'Content-Length': Buffer.byteLength(answer.text),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...(answer.status === 405 ? { Allow: 'GET, HEAD' } : {}),
    });
    response.end(answer.text);
  };
}

interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

function plain(status: number, text: string): Page {
  return { status, contentType: 'text/plain; charset=utf-8', text: `${text}\n` };
}
