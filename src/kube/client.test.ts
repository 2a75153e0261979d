import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { type LoopbackCertificate, loopbackCertificate } from '../../test/support/certificate.ts';
import { eventually } from '../../test/support/eventually.ts';
import { type Fault, faultOf } from '../fault.ts';
import { silentMetrics } from '../metrics.ts';
import { answerFault, parseRetryAfter } from './answers.ts';
import { type KubeClient, kubeClient, verbOf } from './client.ts';
import type { Connection, RequestIdentity } from './connect.ts';

const RUNS = '/apis/tekton.dev/v1/pipelineruns';

/** A server that does what the test says, and a client that knows it and is known there by a token. */
interface World {
  readonly client: KubeClient;
  readonly identity: { token: string; refreshed: number; refresh: () => Promise<void> };
  /** `verb code` of each call, as counted. */
  readonly counted: readonly string[];
  /** Sockets open at the server. */
  sockets(): Promise<number>;
}

interface WorldOptions {
  readonly answer: RequestListener;
  readonly bodyLimitBytes?: number;
  /** Below which path the API is. */
  readonly base?: string;
  readonly plain?: boolean;
  readonly trusted?: boolean;
}

describe('kubeClient', () => {
  let certificate: LoopbackCertificate;
  const ends: (() => void)[] = [];
  before(async () => {
    certificate = await loopbackCertificate();
  });
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });

  const world = async ({ answer, bodyLimitBytes, base = '', plain = false, trusted = true }: WorldOptions) => {
    const tls = { key: certificate.key, cert: certificate.certificate };
    const server = plain ? http.createServer(answer) : https.createServer(tls, answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo; // not a pipe: we listen on a port
    const identity: World['identity'] = { token: 'first', refreshed: 0, refresh: async () => {} };
    const connection: Connection = {
      server: new URL(`${plain ? 'http' : 'https'}://127.0.0.1:${port}${base}`),
      describe: 'the test server',
      requestOptions: async (): Promise<RequestIdentity> => ({
        headers: { Authorization: `Bearer ${identity.token}` },
        ...(trusted ? { ca: certificate.authority } : {}),
      }),
      refreshCredentials: async () => {
        identity.refreshed++;
        await identity.refresh();
      },
    };
    const counted: string[] = [];
    const metrics = {
      ...silentMetrics,
      upstream: (verb: string, code: string) => void counted.push(`${verb} ${code}`),
    };
    const client = kubeClient(connection, { metrics, ...(bodyLimitBytes === undefined ? {} : { bodyLimitBytes }) });
    ends.push(() => {
      client.close();
      server.closeAllConnections();
      server.close();
    });
    const sockets = () =>
      new Promise<number>((resolve, reject) =>
        server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      );
    return { client, identity, counted, sockets } satisfies World;
  };

  const says =
    (status: number, body: string, headers: Record<string, string> = {}): RequestListener =>
    (_request, response) =>
      void response.writeHead(status, headers).end(body);
  /** Never answers. */
  const silence: RequestListener = () => {};
  const caught = async (work: Promise<unknown>): Promise<Fault> => {
    try {
      await work;
    } catch (error) {
      return faultOf(error);
    }
    return assert.fail('it did not reject');
  };

  for (const plain of [false, true]) {
    it(`gets a JSON object over ${plain ? 'HTTP on loopback' : 'HTTPS'}`, async () => {
      const seen: IncomingMessage[] = [];
      const { client, counted } = await world({
        plain,
        answer: (request, response) => {
          seen.push(request);
          response.end('{"kind":"PipelineRunList"}');
        },
      });
      assert.deepEqual(await client.get(`${RUNS}?limit=1`), { kind: 'PipelineRunList' });
      assert.equal(seen[0]?.url, `${RUNS}?limit=1`);
      assert.equal(seen[0]?.headers.authorization, 'Bearer first');
      assert.equal(seen[0]?.headers.accept, 'application/json');
      assert.deepEqual(counted, ['list 200']);
    });
  }

  it('asks below the path of the server', async () => {
    const { client } = await world({
      base: '/k8s/clusters/c-1/',
      answer: (request, response) => void response.end(JSON.stringify({ url: request.url })),
    });
    assert.deepEqual(await client.get('/api/v1/pods'), { url: '/k8s/clusters/c-1/api/v1/pods' });
  });

  it('reads what was packed', async () => {
    const { client } = await world({
      answer: (request, response) => {
        assert.equal(request.headers['accept-encoding'], 'gzip');
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"packed":true}'));
      },
    });
    assert.deepEqual(await client.get(RUNS), { packed: true });
  });

  it('short calls share a socket, streams have their own', async () => {
    const { client, sockets } = await world({ answer: says(200, '{}') });
    for (let call = 0; call < 5; call++) await client.get(RUNS);
    assert.equal(await sockets(), 1);
    const held = await world({ answer: (_request, response) => void response.flushHeaders() });
    const answers = await Promise.all([1, 2, 3].map(() => held.client.stream(`${RUNS}?watch=true`)));
    assert.equal(await held.sockets(), 3);
    for (const { body } of answers) body.destroy();
    await eventually(async () => assert.equal(await held.sockets(), 0));
  });

  it('asks again when the server closed a kept socket just then', async () => {
    let calls = 0;
    const { client, counted } = await world({
      answer: (request, response) => {
        calls++;
        if (calls === 2) request.socket.destroy();
        else response.end('{}');
      },
    });
    await client.get(RUNS);
    await client.get(RUNS);
    assert.equal(calls, 3);
    assert.deepEqual(counted, ['list 200', 'list 200']);
  });

  describe('statuses of get', () => {
    const status = (message: string) => JSON.stringify({ kind: 'Status', message });
    const cases: readonly {
      given: RequestListener;
      name: string;
      want: { code: string; message: string; retryAfterMs?: number };
    }[] = [
      {
        name: 'run 6: 403',
        given: says(403, status('pods is forbidden: User "x"')),
        want: { code: 'refused', message: 'Kubernetes refused the request (403)' },
      },
      {
        name: '404',
        given: says(404, ''),
        want: { code: 'not-found', message: 'Kubernetes has no such object (404)' },
      },
      {
        name: '410',
        given: says(410, ''),
        want: { code: 'gone', message: 'Kubernetes no longer has that version (410)' },
      },
      { name: '400', given: says(400, ''), want: { code: 'refused', message: 'Kubernetes refused the request (400)' } },
      {
        name: '302',
        given: says(302, '', { location: 'https://elsewhere.example' }),
        want: { code: 'refused', message: 'Kubernetes refused the request (302)' },
      },
      {
        name: '429 with Retry-After',
        given: says(429, '', { 'retry-after': '7' }),
        want: { code: 'unavailable', message: 'Kubernetes is not available (429)', retryAfterMs: 7_000 },
      },
      {
        name: 'run 6: 500',
        given: says(500, status('etcd')),
        want: { code: 'unavailable', message: 'Kubernetes is not available (500)' },
      },
      {
        name: 'a page that is not JSON',
        given: says(200, '<html>'),
        want: { code: 'refused', message: 'Kubernetes answered something that is not JSON' },
      },
      {
        name: 'JSON that is no object',
        given: says(200, '[]'),
        want: { code: 'refused', message: 'Kubernetes answered something that is not JSON' },
      },
      {
        name: 'gzip that is none',
        given: says(200, '{}', { 'content-encoding': 'gzip' }),
        want: { code: 'refused', message: 'Kubernetes answered something that is not JSON' },
      },
      {
        name: 'run 6: a reset before the head',
        given: (request) => void request.socket.destroy(),
        want: { code: 'unavailable', message: 'Kubernetes cannot be reached' },
      },
      {
        name: 'a reset in the middle',
        given: (request, response) => {
          response.writeHead(200, { 'content-length': '100' }).write('{"half":');
          setImmediate(() => request.socket.destroy());
        },
        want: { code: 'unavailable', message: 'Kubernetes broke off its answer' },
      },
      {
        name: 'an end in the middle of a chunked body',
        given: (request, response) => {
          response.writeHead(200).write('{"half":');
          setImmediate(() => request.socket.end());
        },
        want: { code: 'unavailable', message: 'Kubernetes broke off its answer' },
      },
    ];
    for (const { name, given, want } of cases) {
      it(name, async () => {
        const { client } = await world({ answer: given });
        const { code, message, retryAfterMs } = await caught(client.get(RUNS));
        assert.deepEqual({ code, message, retryAfterMs }, { retryAfterMs: undefined, ...want });
      });
    }

    it('what Kubernetes says of it is in the cause alone', async () => {
      const { client } = await world({ answer: says(403, status('pods is forbidden: User "x"')) });
      const { cause } = await caught(client.get(RUNS));
      assert.equal((cause as Error).message, `GET ${RUNS} answered 403: pods is forbidden: User "x"`);
    });

    it('run 6: nobody listens', async () => {
      const { client } = await world({ answer: silence });
      for (const end of ends.splice(0)) end();
      assert.equal((await caught(client.get(RUNS))).code, 'unavailable');
    });

    it('a certificate that nobody vouches for', async () => {
      const { client, counted } = await world({ answer: says(200, '{}'), trusted: false });
      const { code, message } = await caught(client.get(RUNS));
      assert.deepEqual([code, message], ['refused', 'the certificate of the Kubernetes API is not trusted']);
      assert.deepEqual(counted, ['list error']);
    });
  });

  describe('limits of get', () => {
    const big = JSON.stringify({ text: 'x'.repeat(10_000) });
    for (const [name, answer] of [
      ['a body', says(200, big)],
      [
        'a body that is small until unpacked',
        (_request: IncomingMessage, response: ServerResponse) => {
          response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(big));
        },
      ],
    ] as const) {
      it(`${name} beyond the limit is not read to its end`, async () => {
        const { client } = await world({ answer, bodyLimitBytes: 1_000 });
        const { code, message } = await caught(client.get(RUNS));
        assert.deepEqual([code, message], ['refused', 'Kubernetes answered more than 1000 bytes']);
      });
    }

    it('run 6: no answer in time', async () => {
      const { client, sockets } = await world({ answer: silence });
      assert.equal((await caught(client.get(RUNS, { timeoutMs: 20 }))).code, 'timeout');
      await eventually(async () => assert.equal(await sockets(), 0));
    });

    it('an answer that stalls in its middle', async () => {
      const { client, sockets } = await world({ answer: (_request, response) => void response.write('{') });
      assert.equal((await caught(client.get(RUNS, { timeoutMs: 100 }))).code, 'timeout');
      await eventually(async () => assert.equal(await sockets(), 0));
    });

    it('credentials that never come', async () => {
      const { client, identity } = await world({ answer: says(401, '') });
      identity.refresh = () => new Promise(() => {});
      assert.equal((await caught(client.get(RUNS, { timeoutMs: 100 }))).code, 'timeout');
    });
  });

  describe('401', () => {
    const knows =
      (token: string): RequestListener =>
      (request, response) => {
        const known = request.headers.authorization === `Bearer ${token}`;
        response.writeHead(known ? 200 : 401).end('{"known":true}');
      };

    it('reads the credentials anew and asks once more', async () => {
      const { client, identity, counted, sockets } = await world({ answer: knows('second') });
      identity.refresh = async () => {
        identity.token = 'second';
      };
      assert.deepEqual(await client.get(RUNS), { known: true });
      assert.deepEqual(counted, ['list 401', 'list 200']);
      await eventually(async () => assert.equal(await sockets(), 1));
      identity.token = 'first';
      const { status, body } = await client.stream('/api/v1/namespaces/ci/pods/a/log');
      assert.deepEqual([status, await text(body)], [200, '{"known":true}']);
      assert.equal(identity.refreshed, 2);
    });

    it('twice is refused; a stream says so by its head', async () => {
      const { client, identity } = await world({ answer: knows('nobody') });
      assert.equal((await caught(client.get(RUNS))).message, 'Kubernetes refused the request (401)');
      assert.equal(identity.refreshed, 1);
      const { status, body } = await client.stream(RUNS);
      body.destroy();
      assert.equal(status, 401);
    });
  });

  describe('stream', () => {
    it('resolves with the head, whatever its status, before there is a body', async () => {
      for (const status of [200, 204, 400, 403, 410, 500]) {
        const { client } = await world({
          answer: (_request, response) => void response.writeHead(status).flushHeaders(),
        });
        const answer = await client.stream('/api/v1/namespaces/ci/pods/a/log?follow=true');
        answer.body.destroy();
        assert.equal(answer.status, status);
      }
    });

    it('has no deadline once its head is there', async () => {
      const { client } = await world({
        answer: (_request, response) => {
          response.flushHeaders();
          setTimeout(() => response.end('late'), 3_100);
        },
      });
      const { body } = await client.stream(RUNS, { headTimeoutMs: 3_000 });
      assert.equal(await text(body), 'late');
    });

    it('without a head times out', async () => {
      const { client, sockets } = await world({ answer: silence });
      assert.equal((await caught(client.stream(RUNS, { headTimeoutMs: 20 }))).code, 'timeout');
      await eventually(async () => assert.equal(await sockets(), 0));
    });

    it('an answer that is not wanted reads as the Fault that get would throw', async () => {
      const { client } = await world({ answer: says(503, '{"message":"later"}', { 'retry-after': '2' }) });
      const fault = await answerFault(await client.stream(RUNS), RUNS);
      assert.deepEqual([fault.code, fault.retryAfterMs], ['unavailable', 2_000]);
      assert.equal((fault.cause as Error).message, `GET ${RUNS} answered 503: later`);
    });
  });

  describe('abort', () => {
    const gone = new Error('the caller went away');

    it('rejects with its reason and closes the socket, before the head', async () => {
      const { client, sockets, counted } = await world({ answer: silence });
      for (const call of [client.get, client.stream]) {
        const caller = new AbortController();
        const asked = caught(call(RUNS, { signal: caller.signal }));
        await eventually(async () => assert.equal(await sockets(), 1));
        caller.abort(gone);
        assert.equal((await asked).cause, gone);
        await eventually(async () => assert.equal(await sockets(), 0));
      }
      assert.deepEqual(counted, []);
    });

    it('closes the socket of an open stream, and whoever reads it learns', async () => {
      const { client, sockets } = await world({ answer: (_request, response) => void response.write('begun') });
      const caller = new AbortController();
      const { body } = await client.stream(RUNS, { signal: caller.signal });
      const reading = text(body);
      caller.abort(gone);
      await assert.rejects(reading, gone);
      await eventually(async () => assert.equal(await sockets(), 0));
    });

    it('before the call asks nothing', async () => {
      const { client, sockets } = await world({ answer: silence });
      assert.equal((await caught(client.get(RUNS, { signal: AbortSignal.abort(gone) }))).cause, gone);
      assert.equal(await sockets(), 0);
    });

    it('a signal that outlives many calls keeps nothing of them', async () => {
      const { client } = await world({ answer: says(200, '{}') });
      const caller = new AbortController();
      const listeners = () => getEventListeners(caller.signal, 'abort').length;
      for (let call = 0; call < 20; call++) {
        await client.get(RUNS, { signal: caller.signal });
        const { body } = await client.stream(RUNS, { signal: caller.signal });
        assert.equal(listeners(), 1);
        if (call % 2 === 0) await text(body);
        else body.destroy();
        await eventually(() => assert.equal(listeners(), 0));
      }
    });
  });

  it('an aborted stream that nobody reads harms nobody', async () => {
    const { client, sockets } = await world({ answer: (_request, response) => void response.write('begun') });
    const caller = new AbortController();
    await client.stream(RUNS, { signal: caller.signal });
    caller.abort();
    await eventually(async () => assert.equal(await sockets(), 0));
  });

  it('close ends what is open, and may be called twice', async () => {
    const { client, sockets } = await world({ answer: (_request, response) => void response.write('begun') });
    const { body } = await client.stream(RUNS);
    const reading = caught(text(body));
    client.close();
    client.close();
    await reading;
    await eventually(async () => assert.equal(await sockets(), 0));
  });
});

describe('verbOf', () => {
  const cases = [
    ['/apis/tekton.dev', 'get'],
    ['/apis/tekton.dev/v1', 'get'],
    ['/api/v1/namespaces', 'list'],
    ['/api/v1/namespaces/ci', 'get'],
    ['/api/v1/pods?limit=500', 'list'],
    ['/api/v1/namespaces/ci/pods?watch=true', 'watch'],
    ['/api/v1/namespaces/ci/pods?watch=1', 'watch'],
    ['/api/v1/namespaces/ci/pods?watch=false', 'list'],
    ['/api/v1/namespaces/ci/pods/a', 'get'],
    ['/api/v1/namespaces/ci/pods/a/log?follow=true', 'log'],
    ['/api/v1/namespaces/ci/pods/log', 'get'],
    ['/apis/tekton.dev/v1/pipelineruns', 'list'],
    ['/apis/tekton.dev/v1/namespaces/ci/pipelineruns/log', 'get'],
  ] as const;
  for (const [path, want] of cases) it(`${path}: ${want}`, () => assert.equal(verbOf(path), want));
});

describe('parseRetryAfter', () => {
  const now = Date.parse('2026-11-01T10:00:00Z');
  const cases = [
    [undefined, undefined],
    ['0', 0],
    ['120', 120_000],
    ['Sun, 01 Nov 2026 10:00:05 GMT', 5_000],
    ['Sun, 01 Nov 2026 09:00:00 GMT', 0],
    ['soon', undefined],
  ] as const;
  for (const [given, want] of cases) it(`${given}: ${want}`, () => assert.equal(parseRetryAfter(given, now), want));
});
