/** The gateway as it is put together for users, up to its port: what it says about itself, without a cluster. */
import assert from 'node:assert/strict';
import { Agent, get } from 'node:http';
import { text } from 'node:stream/consumers';
import { assemble } from '../../src/assembly.ts';
import { systemClock } from '../../src/clock.ts';
import { loadConfig } from '../../src/config.ts';
import {
  type OpenApiDocument,
  type OperationObject,
  type Parameter,
  type ResponseObject,
  resolved,
} from '../../src/gateway/described/openapi.ts';
import type { Connection } from '../../src/kube/connect.ts';
import { silentLog } from '../../src/log.ts';

const here = { PARTS: 'gateway,hooks', HOST: '127.0.0.1', PORT: '0', METRICS_PORT: '0' };

const nowhere: Connection = {
  server: new URL('https://127.0.0.1:1'),
  describe: 'nowhere',
  requestOptions: () => Promise.reject(new Error('nothing is asked')),
  refreshCredentials: () => Promise.resolve(),
};

/** An answer of it. */
export interface Said {
  readonly status: number;
  readonly text: string;
}

/** Starts what comes before the cluster, with the settings' defaults. `get` has the right credentials. */
export async function servedGateway(): Promise<{ get(path: string): Promise<Said>; close(): Promise<void> }> {
  const loaded = loadConfig({ AUTH_USERNAME: 'anna', AUTH_PASSWORD: 'secret horse', ...here });
  assert(loaded.ok);
  const { api, parts } = assemble({
    config: loaded.config,
    connection: nowhere,
    version: '0.0.0',
    replica: { identity: 'described', leaseNamespace: 'default' },
    clock: systemClock,
    log: silentLog,
  });
  assert(api);
  const started = parts.slice(0, parts.indexOf(api) + 1);
  for (const part of started) await part.start();
  const agent = new Agent({ keepAlive: true });
  return {
    get: (path) =>
      new Promise((resolve, reject) => {
        get({ port: api.port(), path, auth: 'anna:secret horse', host: '127.0.0.1', agent }, (answer) => {
          text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, text: body }), reject);
        }).once('error', reject);
      }),
    close: async () => {
      agent.destroy();
      for (const part of started.toReversed()) await part.stop(new AbortController().signal);
    },
  };
}

/** The OpenAPI document with the settings' defaults. */
export async function servedDocument(): Promise<OpenApiDocument> {
  const gateway = await servedGateway();
  try {
    const { status, text: json } = await gateway.get('/openapi.json');
    assert.equal(status, 200);
    return JSON.parse(json) as OpenApiDocument;
  } finally {
    await gateway.close();
  }
}

/** One operation of the document, with where it is. */
export interface Described {
  readonly path: string;
  readonly method: string;
  readonly operation: OperationObject;
}

/** Every operation of a document, in its order. */
export function operationsIn({ paths }: OpenApiDocument): readonly Described[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );
}

/** The parameters of an operation of one kind, references followed. */
export function parametersOf(
  document: OpenApiDocument,
  { parameters }: OperationObject,
  place: Parameter['in'],
): readonly Parameter[] {
  return parameters
    .map((each) => resolved(each, document.components.parameters))
    .filter((parameter) => parameter.in === place);
}

/** The answers of an operation by status, references followed. */
export function responsesOf(
  document: OpenApiDocument,
  { responses }: OperationObject,
): Readonly<Record<string, ResponseObject>> {
  return Object.fromEntries(
    Object.entries(responses).map(([status, each]) => [status, resolved(each, document.components.responses)]),
  );
}
