/** The server as a whole, over HTTPS: who gets in, and what answers look like. */
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import https from 'node:https';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { gunzipSync } from 'node:zlib';
import { type Answer, openTarget, type Sent, type Target } from '../../../test/contract/target.ts';
import { resources } from '../../../test/support/api.ts';
import { type RunningSandbox, startSandbox } from '../../../test/support/sandbox.ts';
import type { JsonObject } from '../object.ts';
import { loseAnswer } from './faults.ts';

describe('the API server', () => {
  let sandbox: RunningSandbox;
  let target: Target;
  const configMaps = '/api/v1/namespaces/default/configmaps';

  before(async () => {
    sandbox = await startSandbox({ faults: [loseAnswer(1, { plural: 'configmaps', name: 'lost' })] });
    target = await openTarget('sandbox', sandbox.kubeconfigFile);
  });
  after(async () => {
    target.close();
    await sandbox.end();
  });

  const ask = (method: string, path: string, sent?: Sent): Promise<Answer> => target.request(method, path, sent);
  const message = ({ body }: Answer) => (body as JsonObject).message;

  it('lets anybody know that it is well, and nothing else', async () => {
    for (const path of ['/healthz', '/livez', '/readyz', '/version']) {
      assert.equal((await ask('GET', path, { token: '' })).status, 200, path);
    }
    const refused = await ask('GET', configMaps, { token: '' });
    assert.equal(refused.status, 403);
    assert.equal(
      message(refused),
      'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" in the namespace "default"',
    );
    assert.equal(
      message(await ask('GET', '/api', { token: '' })),
      'forbidden: User "system:anonymous" cannot get path "/api"',
    );
  });

  it('does not know tokens that nobody gave', async () => {
    for (const path of ['/healthz', configMaps]) {
      const { status, body } = await ask('GET', path, { token: 'made-up' });
      assert.deepEqual([status, (body as JsonObject).reason], [401, 'Unauthorized'], path);
    }
  });

  it('lets the administrator act as somebody else', async () => {
    const headers = { 'Impersonate-User': 'system:serviceaccount:default:default' };
    assert.equal((await ask('GET', configMaps, { headers })).status, 403);
    const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
    const { body } = await ask('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { body: review, headers });
    const { userInfo } = (body as { status: { userInfo: JsonObject } }).status;
    assert.deepEqual(
      [userInfo.username, userInfo.groups],
      [
        'system:serviceaccount:default:default',
        ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
      ],
    );
  });

  it('is met on loopback alone', async () => {
    const port = Number(new URL(sandbox.url).port);
    const others = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4');
    for (const { address } of others) {
      const code = await new Promise((resolve) => {
        const socket = connect({ host: address, port });
        socket.on('connect', () => resolve('connected'));
        socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
      });
      assert.equal(code, 'ECONNREFUSED', address);
    }
  });

  it('says the same in each form', async () => {
    sandbox.client.create(resources.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'forms', namespace: 'default' },
      data: { answer: 'yes' },
    });
    const path = `${configMaps}/forms`;
    const raw = async (headers: Record<string, string>) => (await fetchText(`${path}`, headers)).text;
    assert.match(await raw({ 'User-Agent': 'curl/8' }), /^{\n {2}"kind": "ConfigMap",\n {2}"apiVersion": "v1",/);
    assert.match(await raw({}), /^{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"forms",.*}\n$/);
    assert.match(
      await raw({ Accept: 'application/yaml' }),
      /^apiVersion: v1\ndata:\n {2}answer: "yes"\nkind: ConfigMap\n/,
    );
    const partial = await raw({ Accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1' });
    assert.equal((JSON.parse(partial) as JsonObject).data, undefined);
  });

  it('compresses what is large, for whoever can read it', async () => {
    const data = { large: 'x'.repeat(200_000) };
    await ask('POST', configMaps, { body: { metadata: { name: 'large' }, data } });
    const { headers, bytes } = await fetchText(`${configMaps}/large`, { 'Accept-Encoding': 'gzip' });
    assert.equal(headers['content-encoding'], 'gzip');
    assert.deepEqual((JSON.parse(gunzipSync(bytes).toString()) as JsonObject).data, data);
    assert.equal((await fetchText(`${configMaps}/large`, {})).headers['content-encoding'], undefined);
  });

  it('warns in headers, once for each reason', async () => {
    const { headers } = await ask('POST', `${configMaps}?dryRun=All`, {
      body: { metadata: { name: 'w', size: 1 }, spec: 'ü"' },
    });
    assert.deepEqual(headers.warning, [
      '299 - "unknown field \\"metadata.size\\""',
      '299 - "unknown field \\"spec\\""',
    ]);
  });

  it('refuses what is too large, and goes on', async () => {
    const body = `{"metadata":{"name":"huge"},"data":{"a":"${'x'.repeat(3_200_000)}"}}`;
    const { status, body: answer } = await ask('POST', configMaps, {
      body,
      headers: { 'Content-Type': 'application/json' },
    });
    assert.deepEqual([status, (answer as JsonObject).message], [413, 'Request entity too large: limit is 3145728']);
    assert.equal((await ask('GET', '/readyz')).status, 200);
  });

  it('refuses nesting without end', async () => {
    const nested = `{"metadata":{"name":"deep"},"data":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
    const headers = { 'Content-Type': 'application/json' };
    const { status } = await ask('POST', configMaps, { body: nested, headers });
    assert.equal(status, 400);
  });

  it('loses an answer when it is told to, and not the write', async () => {
    await assert.rejects(ask('POST', configMaps, { body: { metadata: { name: 'lost' } } }));
    assert.equal((await ask('GET', `${configMaps}/lost`)).status, 200);
  });

  const missing = [
    ['/nope', 'text/plain; charset=utf-8'],
    ['/apis/nope.dev/v1/foos', 'text/plain; charset=utf-8'],
    ['/apis/tekton.dev/v1/foos', 'text/plain; charset=utf-8'],
    ['/api/v1/foos', 'application/json'],
    ['/api/v1//pods', 'application/json'],
    [`${configMaps}/a/status`, 'application/json'],
  ] as const;
  for (const [path, type] of missing) {
    it(`does not find ${path}, in ${type}`, async () => {
      const { status, headers } = await fetchText(path, {});
      assert.deepEqual([status, headers['content-type']], [404, type]);
    });
  }

  it('keeps its kubeconfig from others', async () => {
    assert.equal((await stat(sandbox.kubeconfigFile)).mode & 0o777, 0o600);
  });

  function fetchText(path: string, headers: Record<string, string>) {
    return new Promise<{ status: number; headers: Record<string, unknown>; text: string; bytes: Buffer }>(
      (resolve, reject) => {
        const options = {
          ca: sandbox.authority,
          headers: { Authorization: `Bearer ${sandbox.token}`, ...headers },
          agent: false,
        };
        https
          .get(sandbox.url + path, options, (response) => {
            const chunks: Buffer[] = [];
            response.on('data', (chunk: Buffer) => chunks.push(chunk));
            response.on('end', () => {
              const bytes = Buffer.concat(chunks);
              resolve({ status: response.statusCode ?? 0, headers: response.headers, text: bytes.toString(), bytes });
            });
          })
          .on('error', reject);
      },
    );
  }
});
