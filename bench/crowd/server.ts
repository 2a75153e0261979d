/**
 * A process of its own that looks like the API server of a cluster with a crowd of runs: lists in pages, watches that begin
 * with a list, changes on demand. Nothing is held: every object is made when it is sent.
 *
 * Its first message from the parent is a `CrowdSize`; it answers with its port. Each later one is a `Finish`, and is
 * answered with the moment (`performance.timeOrigin + performance.now()`) at which the changes were written.
 */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CrowdSize, runText, TASKS, taskRunText } from './objects.ts';

/** Makes the `count` oldest of the runs that run finished. */
export interface Finish {
  readonly count: number;
}

/** One kind that is served: how many there are, and the text of each by its number. */
interface Collection {
  readonly kind: string;
  readonly count: number;
  text(at: number): string;
}

const CHUNK_CHARACTERS = 64 * 1024;
const VERSION = 1_000_000;

let running = 0;
let runs = 0;
const runWatches = new Set<ServerResponse>();

process.on('disconnect', () => process.exit());
process.on('message', (message: (CrowdSize & { readonly running: number }) | Finish) => {
  if ('runs' in message) begin(message);
  else finish(message);
});

function begin(size: CrowdSize & { readonly running: number }): void {
  ({ runs, running } = size);
  const stateOf = (at: number) => (at >= runs - running ? 'running' : 'finished');
  const collections: Readonly<Record<string, Collection>> = {
    '/apis/tekton.dev/v1/pipelineruns': {
      kind: 'PipelineRun',
      count: runs,
      text: (at) => runText(at, VERSION - runs + at, stateOf(at)),
    },
    '/apis/tekton.dev/v1/taskruns': {
      kind: 'TaskRun',
      count: runs * TASKS.length,
      text: (at) => taskRunText(Math.floor(at / TASKS.length), at % TASKS.length, at + 1),
    },
    '/api/v1/pods': { kind: 'Pod', count: 0, text: () => '' },
  };
  const server = createServer((request, response) => {
    const { pathname, searchParams: query } = new URL(request.url ?? '', 'http://localhost');
    const collection = collections[pathname];
    const document = DISCOVERY[pathname];
    if (document !== undefined) return json(response, JSON.stringify(document));
    if (collection === undefined) {
      response.writeHead(404);
      return response.end('{"kind":"Status","code":404}');
    }
    if (query.get('watch') !== 'true') return json(response, pageOf(collection, query));
    if (collection.kind === 'PipelineRun') {
      runWatches.add(response);
      response.on('close', () => runWatches.delete(response));
    }
    void watch(response, collection, query.has('sendInitialEvents'));
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
}

const DISCOVERY: Readonly<Record<string, object>> = {
  '/apis/tekton.dev': {
    kind: 'APIGroup',
    name: 'tekton.dev',
    versions: [{ groupVersion: 'tekton.dev/v1', version: 'v1' }],
  },
  '/apis/tekton.dev/v1': {
    kind: 'APIResourceList',
    resources: ['pipelineruns', 'taskruns'].map((name) => ({
      name,
      namespaced: true,
      verbs: ['get', 'list', 'watch'],
    })),
  },
};

function json(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

function pageOf({ kind, count, text }: Collection, query: URLSearchParams): string {
  const from = Number(query.get('continue') ?? 0);
  const to = Math.min(count, from + Number(query.get('limit') ?? count));
  const next = to < count ? `,"continue":"${to}"` : '';
  const items = Array.from({ length: to - from }, (_, place) => text(from + place)).join(',');
  return `{"kind":"${kind}List","metadata":{"resourceVersion":"${VERSION}"${next}},"items":[${items}]}`;
}

async function watch(response: ServerResponse, { count, text }: Collection, listsToo: boolean): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.flushHeaders();
  if (!listsToo) return;
  const closed = once(response, 'close');
  let chunk = '';
  for (let at = 0; at < count && !response.destroyed; at++) {
    chunk += `{"type":"ADDED","object":${text(at)}}\n`;
    if (chunk.length < CHUNK_CHARACTERS) continue;
    if (!response.write(chunk)) await Promise.race([drained(response), closed]);
    chunk = '';
  }
  const metadata = { resourceVersion: String(VERSION), annotations: { 'k8s.io/initial-events-end': 'true' } };
  response.write(`${chunk}${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`);
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => response.once('drain', () => resolve()));
}

function finish({ count }: Finish): void {
  let frames = '';
  for (let left = Math.min(count, running); left > 0; left--) {
    const at = runs - running--;
    frames += `{"type":"MODIFIED","object":${runText(at, VERSION + 1 + at, 'finished')}}\n`;
  }
  const bytes = Buffer.from(frames);
  const at = performance.timeOrigin + performance.now();
  for (const response of runWatches) response.write(bytes);
  process.send?.(at);
}
