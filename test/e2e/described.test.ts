/** Whatever is served fits the schemas that the gateway's own document has for it: bodies, headers, and each object of a stream. */
import assert from 'node:assert/strict';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { MediaType, OpenApiDocument } from '../../src/gateway/described/openapi.ts';
import { operationsIn, responsesOf } from '../support/described.ts';
import { onCluster } from '../support/ground.ts';
import { startWorld, type World } from '../support/world.ts';

const kinds = [
  'green',
  'red',
  'skipped',
  'matrix',
  'retries-fail',
  // Runs in runs are alpha, which a real cluster has off.
  ...(onCluster ? [] : ['nested']),
  'sidecar',
  'task-continues',
  'pipeline-missing',
];

describe('what is served', function () {
  this.timeout(10 * 60_000);
  let world: World;
  let document: OpenApiDocument;
  let runs: readonly string[];
  let pending: string;

  before(async () => {
    world = await startWorld();
    pending = await world.run('pending');
    runs = await Promise.all(kinds.map((kind) => world.run(kind)));
    document = (await world.gateway.get('/openapi.json')).json<OpenApiDocument>();
    await Promise.all(runs.map((run) => world.finished(run)));
  });
  after(() => world?.end());

  const validators = new Map<unknown, ValidateFunction>();
  function validatorOf(schema: MediaType['schema']): ValidateFunction {
    const known = validators.get(schema);
    if (known !== undefined) return known;
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const made = ajv.compile({ ...schema, components: document.components });
    validators.set(schema, made);
    return made;
  }

  function assertFits(value: unknown, schema: MediaType['schema'], what: string): void {
    const validate = validatorOf(schema);
    assert(validate(value), `${what}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(value)}`);
  }

  /** Asks, and compares what comes with what the document says about it. Resolves with the body. */
  async function ask(path: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    const answer = await world.gateway.get(path, { headers });
    const [bare = ''] = path.split('?');
    const described = operationsIn(document).find(
      (each) => each.method === 'get' && new RegExp(`^${each.path.replace(/\{\w+\}/g, '[^/]+')}$`).test(bare),
    );
    assert(described, path);
    const response = responsesOf(document, described.operation)[answer.status];
    assert(response, `${path} may not be ${answer.status}: ${answer.text}`);
    for (const name of Object.keys(answer.headers)) {
      const isMeant = Object.keys(response.headers).some((each) => each.toLowerCase() === name);
      assert(isMeant || COMMON.has(name), `${path}: nothing is said of the header ${name}`);
    }
    const type = answer.headers['content-type'] ?? '';
    const content = Object.entries(response.content ?? {}).find(([each]) => type.startsWith(each))?.[1];
    assert(content, `${path}: ${type} with ${answer.status}`);
    const item = content['x-item-schema'];
    if (item === undefined) {
      if (type.startsWith('application/json')) assertFits(answer.json(), content.schema, path);
      return answer.text;
    }
    const objects = type.startsWith('text/event-stream')
      ? [...answer.text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data)
      : answer.text.split('\n').filter((line) => line !== '');
    assert(objects.length > 0, path);
    for (const object of objects) assertFits(JSON.parse(object ?? ''), item, path);
    for (const name of Object.keys(answer.trailers)) {
      const isMeant = Object.keys(response['x-trailers'] ?? {}).some((each) => each.toLowerCase() === name);
      assert(isMeant, `${path}: nothing is said of the trailer ${name}`);
    }
    return answer.text;
  }

  it('of a run: status, everything, log and events, as the document has them', async () => {
    for (const run of [...runs, pending]) {
      await ask(`/status/${run}`);
      await ask(`/status/${world.namespace}/${run}?full=true`);
      await ask(`/runs/${world.namespace}/${run}?tail=5`);
    }
    for (const run of runs) {
      await ask(`/logs/${run}?notices=all`);
      await ask(`/logs/${run}?format=gitlab`);
      const lines = await ask(`/logs/${run}?format=ndjson&notices=all&include=all&timestamps=true`);
      assert.match(lines.trimEnd().split('\n').at(-1) ?? '', /^\{"type":"end"/);
      await ask(`/logs/${run}`, { accept: 'text/event-stream' });
      await ask(`/runs/${world.namespace}/${run}/events`);
    }
  });

  it('of lists and of the gateway itself', async () => {
    const list = JSON.parse(await ask('/runs?limit=3')) as { readonly continue?: string };
    assert(list.continue);
    await ask(`/runs?limit=3&continue=${list.continue}`);
    await ask(`/runs/${world.namespace}`);
    for (const path of ['/ready', '/health', '/openapi.json', '/docs']) await ask(path);
  });

  it('of TaskRuns', async () => {
    for (const run of runs.slice(0, 2)) {
      const text = await ask(`/logs/${run}?format=ndjson&notices=all`);
      for (const name of new Set([...text.matchAll(/"taskRun":"([^"]+)"/g)].map(([, each]) => each))) {
        await ask(`/taskruns/${world.namespace}/${name}`);
        await ask(`/taskruns/${name}/status`);
        await ask(`/taskruns/${name}/status?full=true`);
        await ask(`/taskruns/${name}/logs?format=ndjson`);
      }
    }
  });

  it('of what goes wrong', async () => {
    for (const path of [
      '/status/A_B',
      '/status/nothing',
      '/logs/nothing',
      '/status/nowhere/x',
      '/runs?phase=x',
      '/taskruns/nothing/status',
    ]) {
      await ask(path);
    }
  });
});

/** What answers carry of HTTP's own, and what every answer carries for browsers: docs/security.md names them. */
const COMMON = new Set([
  'connection',
  'keep-alive',
  'date',
  'content-type',
  'content-length',
  'transfer-encoding',
  'trailer',
  'cache-control',
  'content-security-policy',
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
  'referrer-policy',
  'strict-transport-security',
  'x-accel-buffering',
  'x-content-type-options',
  'x-frame-options',
  'x-permitted-cross-domain-policies',
]);
