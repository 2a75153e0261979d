import assert from 'node:assert/strict';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type RunningSandbox, startSandbox } from '../../test/support/sandbox.ts';
import { type Fault, faultOf } from '../fault.ts';
import { silentMetrics } from '../metrics.ts';
import { type KubeClient, kubeClient } from './client.ts';
import type { Connection } from './connect.ts';
import { type JsonObject, objectOf, projectMeta } from './objects.ts';
import { type KubeWriter, WriteFault } from './writer.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';

async function caught(work: Promise<unknown>): Promise<Fault> {
  try {
    await work;
  } catch (error) {
    return faultOf(error);
  }
  return assert.fail('it did not reject');
}

async function refused(work: Promise<unknown>): Promise<WriteFault> {
  const fault = await caught(work);
  assert(fault instanceof WriteFault, String(fault));
  return fault;
}

describe('writes to a cluster', () => {
  let sandbox: RunningSandbox;
  let client: KubeClient;
  let count = 0;

  before(async () => {
    sandbox = await startSandbox();
    const connection: Connection = {
      server: new URL(sandbox.url),
      describe: 'the sandbox',
      requestOptions: async () => ({ headers: { Authorization: `Bearer ${sandbox.token}` }, ca: sandbox.authority }),
      refreshCredentials: async () => {},
    };
    client = kubeClient(connection, { metrics: silentMetrics });
  });
  after(async () => {
    client.close();
    await sandbox.end();
  });

  const map = (data: JsonObject): JsonObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `map-${++count}` },
    data,
  });
  const made = async (data: JsonObject) => {
    const object = await client.create(MAPS, map(data));
    const meta = projectMeta(object);
    return { object, meta, path: `${MAPS}/${meta.name}` };
  };
  const dataAt = async (path: string) => (await client.get(path)).data;

  it('creates an object, and says what became of it', async () => {
    const { object, meta, path } = await made({ branch: 'feature/ü' });
    assert.equal(objectOf(object.data).branch, 'feature/ü');
    assert.match(meta.uid, /^[0-9a-f-]{36}$/);
    assert.deepEqual(await dataAt(path), { branch: 'feature/ü' });
  });

  it('a name that is taken is a conflict of its own reason', async () => {
    const { meta } = await made({ a: '1' });
    const taken = client.create(MAPS, { ...map({}), metadata: { name: meta.name } });
    const { code, status, reason, said } = await refused(taken);
    assert.deepEqual([code, status, reason], ['conflict', 409, 'AlreadyExists']);
    assert.equal(said, `configmaps "${meta.name}" already exists`);
  });

  it('merges: what is null goes, what is not named stays', async () => {
    const { path } = await made({ a: '1', b: '2', c: '3' });
    const merged = await client.patch(path, { data: { a: null, b: '20' } });
    assert.deepEqual(merged.data, { b: '20', c: '3' });
  });

  it('a merge or a replacement from an old version is a conflict, and changes nothing', async () => {
    const { object, meta, path } = await made({ a: '1' });
    await client.patch(path, { data: { a: '2' } });
    const { resourceVersion } = meta;
    for (const work of [
      client.patch(path, { metadata: { resourceVersion }, data: { a: '3' } }),
      client.replace(path, { ...object, data: { a: '3' } }),
    ]) {
      const { code, reason } = await refused(work);
      assert.deepEqual([code, reason], ['conflict', 'Conflict']);
    }
    assert.deepEqual(await dataAt(path), { a: '2' });
  });

  it('replaces the whole object', async () => {
    const { object, path } = await made({ a: '1', b: '2' });
    await client.replace(path, { ...object, data: { c: '3' } });
    assert.deepEqual(await dataAt(path), { c: '3' });
  });

  it('removes an object only while it is the one that was meant', async () => {
    const { meta, path } = await made({ a: '1' });
    const { uid, resourceVersion } = meta;
    const other = '00000000-0000-0000-0000-000000000000';
    assert.equal((await refused(client.remove(path, { uid: other }))).code, 'conflict');
    await client.patch(path, { data: { a: '2' } });
    assert.equal((await refused(client.remove(path, { uid, resourceVersion }))).code, 'conflict');
    assert.deepEqual(await dataAt(path), { a: '2' });
    await client.remove(path, { uid });
    assert.equal((await caught(client.get(path))).code, 'not-found');
    await client.remove(path, { uid });
  });

  it('an object that is not allowed is refused in the words of the server', async () => {
    const { code, status, reason, said } = await refused(
      client.create(MAPS, { ...map({}), metadata: { name: 'Not_A_Name' } }),
    );
    assert.deepEqual([code, status, reason], ['refused', 422, 'Invalid']);
    assert.match(said, /metadata\.name/);
  });
});

describe('writes to a server that misbehaves', () => {
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });

  /** A client, and what its server got: `METHOD path type body`. */
  const world = async (
    answer: (request: IncomingMessage, response: ServerResponse, calls: number) => void,
    headers: Readonly<Record<string, string>> = {},
  ) => {
    const got: string[] = [];
    const server = http.createServer(async (request, response) => {
      const { method, url, headers } = request;
      got.push([method, url, headers['content-type'] ?? '', await text(request)].join(' ').trimEnd());
      answer(request, response, got.length);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo; // not a pipe: we listen on a port
    const counted: string[] = [];
    const identity = { token: 'first' };
    const client = kubeClient(
      {
        server: new URL(`http://127.0.0.1:${port}`),
        describe: 'the test server',
        requestOptions: async () => ({ headers: { Authorization: `Bearer ${identity.token}`, ...headers } }),
        refreshCredentials: async () => {
          identity.token = 'second';
        },
      },
      { metrics: { ...silentMetrics, upstream: (verb, code) => void counted.push(`${verb} ${code}`) } },
    );
    ends.push(() => {
      client.close();
      server.closeAllConnections();
      server.close();
    });
    return { client, got, counted };
  };
  const path = `${MAPS}/a`;
  /** Every verb, as somebody calls it. */
  const verbs: Readonly<Record<string, (client: KubeWriter, timeoutMs?: number) => Promise<unknown>>> = {
    create: (client, timeoutMs = 9_000) => client.create(MAPS, { a: 1 }, { timeoutMs }),
    patch: (client, timeoutMs = 9_000) => client.patch(path, { a: null }, { timeoutMs }),
    update: (client, timeoutMs = 9_000) => client.replace(path, { a: 1 }, { timeoutMs }),
    delete: (client, timeoutMs = 9_000) => client.remove(path, { uid: 'u', resourceVersion: '7' }, { timeoutMs }),
  };

  it('each verb is a method and a type of its own, and is counted under its name', async () => {
    const { client, got, counted } = await world((_request, response) => void response.writeHead(202).end('{}'));
    for (const call of Object.values(verbs)) await call(client);
    const only = '"preconditions":{"uid":"u","resourceVersion":"7"}';
    assert.deepEqual(got, [
      `POST ${MAPS} application/json {"a":1}`,
      `PATCH ${path} application/merge-patch+json {"a":null}`,
      `PUT ${path} application/json {"a":1}`,
      `DELETE ${path} application/json {"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background",${only}}`,
    ]);
    assert.deepEqual(counted, ['create 202', 'patch 202', 'update 202', 'delete 202']);
  });

  for (const [verb, call] of Object.entries(verbs)) {
    it(`a kept socket that is reset under a ${verb} is not asked again: nobody knows whether it was taken`, async () => {
      const { client, got, counted } = await world((request, response, calls) => {
        if (calls === 2) request.socket.destroy();
        else response.end('{}');
      });
      await call(client);
      const { code } = await caught(call(client));
      assert.equal(code, 'unavailable');
      assert.equal(got.length, 2);
      assert.deepEqual(counted, [`${verb} 200`, `${verb} error`]);
    });

    it(`a ${verb} is sent once more, whole, after the credentials were refused`, async () => {
      const { client, got } = await world((request, response) => {
        response.writeHead(request.headers.authorization === 'Bearer second' ? 200 : 401).end('{}');
      });
      await call(client);
      assert.equal(got.length, 2);
      assert.equal(got[0], got[1]);
    });

    it(`a ${verb} without an answer is given up in time`, async () => {
      const { client, got } = await world(() => {});
      assert.equal((await caught(call(client, 30))).code, 'timeout');
      assert(got.length <= 1);
    });
  }

  const status = (reason: string, message: string) => JSON.stringify({ kind: 'Status', reason, message });
  const cases: readonly {
    name: string;
    status: number;
    body: string;
    headers?: Record<string, string>;
    want: { code: string; reason: string; said: string; retryAfterMs?: number };
  }[] = [
    {
      name: 'forbidden',
      status: 403,
      body: status('Forbidden', 'no'),
      want: { code: 'refused', reason: 'Forbidden', said: 'no' },
    },
    {
      name: 'not found',
      status: 404,
      body: status('NotFound', 'gone'),
      want: { code: 'not-found', reason: 'NotFound', said: 'gone' },
    },
    {
      name: 'too many requests',
      status: 429,
      headers: { 'retry-after': '3' },
      body: status('TooManyRequests', 'later'),
      want: { code: 'unavailable', reason: 'TooManyRequests', said: 'later', retryAfterMs: 3_000 },
    },
    {
      name: 'a webhook that is away',
      status: 500,
      body: status('InternalError', 'failed calling webhook'),
      want: { code: 'unavailable', reason: 'InternalError', said: 'failed calling webhook' },
    },
    {
      name: 'a page of a proxy',
      status: 502,
      body: '<html>Bad Gateway</html>',
      want: { code: 'unavailable', reason: '', said: '' },
    },
    {
      name: 'colours and line breaks',
      status: 422,
      body: status('Invalid\n', 'a\u001b[31m\r\nb'),
      want: { code: 'refused', reason: '', said: 'a [31m b' },
    },
    { name: 'a redirection', status: 307, body: '', want: { code: 'refused', reason: '', said: '' } },
  ];
  for (const { name, status: code, body, headers = {}, want } of cases) {
    it(`${name}: ${code}`, async () => {
      const { client } = await world((_request, response) => void response.writeHead(code, headers).end(body));
      const fault = await refused(client.create(MAPS, {}));
      const { retryAfterMs, reason, said } = fault;
      assert.deepEqual({ code: fault.code, reason, said, retryAfterMs }, { retryAfterMs: undefined, ...want });
      assert.equal(fault.status, code);
      if (want.said !== '') assert(!fault.message.includes(want.said), 'what the server says is not for callers');
    });
  }

  it('a sentence without end is cut', async () => {
    const { client } = await world((_request, response) => {
      response.writeHead(422).end(status('Invalid', 'ü'.repeat(100_000)));
    });
    assert.equal(Buffer.byteLength((await refused(client.create(MAPS, {}))).said), 2047);
  });

  const as = { namespace: 'ci', name: 'runner.a-1' };
  for (const [verb, call] of Object.entries<(client: KubeWriter) => Promise<unknown>>({
    create: (client) => client.create(MAPS, { a: 1 }, { as }),
    patch: (client) => client.patch(path, { a: 1 }, { as }),
    update: (client) => client.replace(path, { a: 1 }, { as }),
    delete: (client) => client.remove(path, { uid: 'u' }, { as }),
  })) {
    it(`a ${verb} as a ServiceAccount says who asks, whoever a kubeconfig acts as`, async () => {
      const who: unknown[] = [];
      const { client } = await world(
        (request, response) => {
          who.push(request.headers['impersonate-user']);
          response.end('{}');
        },
        { 'Impersonate-User': 'somebody' },
      );
      await call(client);
      await client.patch(path, {});
      assert.deepEqual(who, ['system:serviceaccount:ci:runner.a-1', 'somebody']);
    });
  }

  for (const wrong of [
    { namespace: 'ci', name: 'a:b' },
    { namespace: 'ci:a', name: 'b' },
    { namespace: 'ci', name: '' },
    { namespace: 'ci', name: 'a\r\nImpersonate-Group: system:masters' },
    { namespace: 'CI', name: 'a' },
  ]) {
    it(`nobody can be called ${JSON.stringify(wrong)}: nothing is sent`, async () => {
      const { client, got } = await world((_request, response) => void response.end('{}'));
      assert.equal((await caught(client.create(MAPS, {}, { as: wrong }))).code, 'bad-request');
      assert.deepEqual(got, []);
    });
  }

  it('that it is gone already is success', async () => {
    const { client } = await world((_request, response) => void response.writeHead(404).end(status('NotFound', '')));
    await client.remove(path, { uid: 'u' });
  });

  it('a write whose caller has gone is not sent', async () => {
    const { client, got } = await world((_request, response) => void response.end('{}'));
    const gone = new Error('the caller went away');
    assert.equal((await caught(client.create(MAPS, {}, { signal: AbortSignal.abort(gone) }))).cause, gone);
    assert.deepEqual(got, []);
  });
});
