import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type IncomingMessage, type RequestListener, type Server } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { eventually } from './eventually.ts';
import {
  expiredFrame,
  type FaultProxy,
  kubeletError,
  on,
  refusal,
  startFaultProxy,
  type WireFault,
} from './fault-proxy.ts';

/** What a client saw of one answer. `ended`: with its last chunk, without it, or by a reset. */
interface Seen {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly trailers: IncomingMessage['trailers'];
  readonly body: Buffer;
  readonly ended: 'complete' | 'unfinished' | 'reset';
}

const lines = Array.from({ length: 10 }, (_, place) => `line ${place}\n`).join('');
const log = '/api/v1/namespaces/team/pods/build-pod/log?container=step-a&follow=true';

describe('the fault proxy', () => {
  let server: Server;
  let proxy: FaultProxy;
  let answer: RequestListener;

  before(async () => {
    server = http.createServer((request, response) => answer(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  beforeEach(async () => {
    answer = (_, response) => response.end(lines);
    proxy = await startFaultProxy({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });

  afterEach(() => proxy.close());

  after(() => {
    server.closeAllConnections();
    server.close();
  });

  /** Opens a request and resolves with the answer's head. */
  async function open(
    path: string,
    options: https.RequestOptions = {},
    broken: (error: NodeJS.ErrnoException) => void = () => {},
  ): Promise<IncomingMessage> {
    const call = https.request(proxy.url + path, { ca: proxy.authority, agent: false, ...options });
    call.on('error', broken);
    call.end();
    const [answered] = (await once(call, 'response')) as [IncomingMessage];
    return answered;
  }

  async function see(path: string, options: https.RequestOptions = {}): Promise<Seen> {
    // A reset is an error of the request as well; of an unfinished body only the answer knows.
    let reset = false;
    const answered = await open(path, options, ({ code }) => {
      reset ||= code === 'ECONNRESET';
    });
    const pieces: Buffer[] = [];
    answered.on('data', (piece: Buffer) => pieces.push(piece));
    answered.on('error', () => {});
    await new Promise((resolve) => answered.once('close', resolve));
    return {
      status: answered.statusCode ?? 0,
      headers: answered.headers,
      trailers: answered.trailers,
      body: Buffer.concat(pieces),
      ended: answered.complete ? 'complete' : reset ? 'reset' : 'unfinished',
    };
  }

  it('passes an answer on byte for byte, with its headers and trailers, and the credentials of the client', async () => {
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, place) => place % 256));
    let sent: IncomingMessage['rawHeaders'] = [];
    answer = (request, response) => {
      sent = request.rawHeaders;
      response.writeHead(206, 'Some Of It', { 'X-Odd-Case': 'Yes', Trailer: 'X-End' });
      response.write(bytes.subarray(0, 1));
      response.write(bytes.subarray(1));
      response.addTrailers({ 'X-End': 'True' });
      response.end();
    };
    const seen = await see('/a%20b?c=%2F', { headers: { Authorization: 'Bearer secret', 'X-Mine': '1' } });
    assert.equal(seen.status, 206);
    assert.equal(seen.headers['x-odd-case'], 'Yes');
    assert.deepEqual(seen.trailers, { 'x-end': 'True' });
    assert.deepEqual(seen.body, bytes);
    assert.equal(seen.ended, 'complete');
    assert.ok(sent.includes('Bearer secret') && sent.includes('X-Mine'));
  });

  it('passes a request body on', async () => {
    answer = (request, response) => request.pipe(response);
    const call = https.request(proxy.url, { ca: proxy.authority, method: 'POST', agent: false });
    call.end('hello');
    const [answered] = (await once(call, 'response')) as [IncomingMessage];
    assert.equal(Buffer.concat(await answered.toArray()).toString(), 'hello');
  });

  it('passes the head and each piece on while the answer is still being written', async () => {
    let finish = () => {};
    answer = (_, response) => {
      response.flushHeaders();
      finish = () => response.end();
      response.write('one\n');
    };
    const answered = await open('/');
    const [piece] = (await once(answered, 'data')) as [Buffer];
    assert.equal(piece.toString(), 'one\n');
    finish();
    await once(answered, 'end');
  });

  it('stops reading from the server when the client does not read', async () => {
    let written = 0;
    let finished = false;
    answer = (_, response) => {
      const piece = Buffer.alloc(1 << 16);
      const fill = () => {
        while (!finished) {
          written += piece.length;
          if (!response.write(piece)) return void response.once('drain', fill);
        }
        response.end();
      };
      fill();
    };
    const answered = await open('/');
    let before = -1;
    await eventually(
      () => {
        const [earlier, now] = [before, written];
        before = now;
        assert.equal(now, earlier, 'still being written');
      },
      { everyMs: 300 },
    );
    finished = true;
    answered.resume();
    await once(answered, 'end');
  });

  it('shows the client an answer that the server broke off as broken off', async () => {
    answer = (_, response) => {
      response.write('one\n', () => response.socket?.end());
    };
    const seen = await see('/');
    assert.equal(seen.body.toString(), 'one\n');
    assert.equal(seen.ended, 'unfinished');
  });

  describe('faults', () => {
    const first = (count: number) => lines.slice(0, count * 'line 0\n'.length);
    const table: readonly {
      readonly name: string;
      readonly fault: WireFault;
      readonly status?: number;
      readonly body: string;
      readonly ended?: Seen['ended'];
    }[] = [
      { name: 'a clean cut after lines', fault: { kind: 'cut', at: { lines: 3 }, how: 'clean' }, body: first(3) },
      {
        name: 'a clean cut after bytes',
        fault: { kind: 'cut', at: { bytes: 10 }, how: 'clean' },
        body: `${first(1)}lin`,
      },
      {
        name: 'an unfinished cut in the middle of a line',
        fault: { kind: 'cut', at: { lines: 2, into: 4 }, how: 'unfinished' },
        body: `${first(2)}line`,
        ended: 'unfinished',
      },
      { name: 'a cut before the first byte', fault: { kind: 'cut', at: { bytes: 0 }, how: 'clean' }, body: '' },
      { name: 'a cut behind the end', fault: { kind: 'cut', at: { lines: 99 }, how: 'reset' }, body: lines },
      { name: 'slow', fault: { kind: 'slow', bytesPerSecond: 2000 }, body: lines },
      { name: 'a delay', fault: { kind: 'delay', ms: 20 }, body: lines },
      {
        name: 'the kubelet error text',
        fault: kubeletError('abc'),
        body: 'unable to retrieve container logs for containerd://abc',
      },
      {
        name: 'an inserted line',
        fault: { kind: 'insert', at: { lines: 1 }, text: 'ours\n', ends: false },
        body: `${first(1)}ours\n${lines.slice(first(1).length)}`,
      },
    ];
    for (const { name, fault, status = 200, body, ended = 'complete' } of table) {
      it(`${name}: the client sees exactly that`, async () => {
        proxy.add({ on: on.follow('build'), fault });
        const seen = await see(log);
        assert.equal(seen.body.toString(), body);
        assert.deepEqual([seen.status, seen.ended], [status, ended]);
      });
    }

    it('a reset is a TCP RST, behind all that comes before its place', async () => {
      let finish = () => {};
      answer = (_, response) => {
        finish = () => response.end();
        response.write(lines);
      };
      proxy.add({ on: {}, fault: { kind: 'cut', at: { lines: 10 }, how: 'reset' } });
      const seen = await see(log);
      assert.equal(seen.body.toString(), lines);
      assert.equal(seen.ended, 'reset');
      finish();
    });

    for (const code of [401, 403, 404, 409, 410, 429, 500, 502, 503, 504] as const) {
      it(`${code} is answered with the Status of an API server`, async () => {
        proxy.add({ on: {}, fault: refusal(code, 7) });
        const seen = await see(log);
        const body = JSON.parse(seen.body.toString()) as { kind: string; code: number; reason: string };
        assert.equal(seen.status, code);
        assert.equal(seen.headers['retry-after'], '7');
        assert.deepEqual([body.kind, body.code], ['Status', code]);
        assert.notEqual(body.reason, 'Unknown');
      });
    }

    it('a watch is told that its version is too old, and ends', async () => {
      answer = (_, response) => void response.write('{"type":"ADDED","object":{}}\n');
      proxy.add({ on: on.watch('pods'), fault: expiredFrame({ ms: 10 }) });
      const seen = await see('/api/v1/pods?watch=1&resourceVersion=1');
      const frames = seen.body.toString().trim().split('\n');
      assert.equal(frames.length, 2);
      assert.equal(JSON.parse(frames[1] ?? '').object.code, 410);
      assert.equal(seen.ended, 'complete');
    });

    const silences: readonly WireFault[] = [
      { kind: 'silence' },
      { kind: 'stall', at: { lines: 2 } },
      { kind: 'stall', at: { bytes: 0 } },
      { kind: 'stall', at: { ms: 0 } },
    ];
    for (const fault of silences) {
      it(`${JSON.stringify(fault)} sends nothing more and lets go with the client`, async () => {
        answer = (_, response) => void response.write(lines);
        proxy.add({ on: {}, fault });
        const call = https.get(proxy.url + log, { ca: proxy.authority, agent: false });
        call.on('error', () => {});
        let body = '';
        let ended = false;
        call.on('response', (answered: IncomingMessage) => {
          answered.on('data', (piece: Buffer) => {
            body += piece.toString();
          });
          answered.on('end', () => {
            ended = true;
          });
          answered.on('error', () => {});
        });
        await eventually(() => assert.equal(proxy.requests.length, 1));
        if (fault.kind !== 'silence') await eventually(() => assert.equal(proxy.requests[0]?.status, 200));
        if (fault.kind === 'stall' && 'lines' in fault.at) await eventually(() => assert.equal(body, first(2)));
        assert.equal(proxy.requests[0]?.end, undefined);
        assert.equal(ended, false);
        call.destroy();
        await eventually(() => assert.notEqual(proxy.requests[0]?.end, undefined));
        await eventually(() => assert.equal(proxy.upstreamSockets(), 0));
      });
    }
  });

  it('a rule befalls as many matching requests as it says, and none after it is lifted', async () => {
    proxy.add({ on: on.follow(), fault: refusal(500), times: 2 });
    const undo = proxy.add({ on: on.read(), fault: refusal(503) });
    const ask = async (path: string) => (await see(path)).status;
    assert.deepEqual([await ask(log), await ask(log), await ask(log)], [500, 500, 200]);
    assert.equal(await ask(log.replace('true', 'false')), 503);
    undo();
    undo();
    assert.equal(await ask(log.replace('&follow=true', '')), 200);
    assert.equal(await ask('/api/v1/namespaces/team/pods'), 200);
    assert.deepEqual(
      proxy.matching(on.log('build')).map(({ status, fault }) => [status, fault]),
      [
        [500, 'answer'],
        [500, 'answer'],
        [200, undefined],
        [503, 'answer'],
        [200, undefined],
      ],
    );
  });

  it('records who asked, never the token', async () => {
    const claims = Buffer.from(JSON.stringify({ sub: 'system:serviceaccount:team:rungate' })).toString('base64url');
    await see('/x?y=1', { headers: { Authorization: `Bearer head.${claims}.signature` } });
    const [request] = proxy.requests;
    assert.equal(request?.who, 'system:serviceaccount:team:rungate');
    assert.deepEqual(
      [request.method, request.path, request.query.get('y'), request.bytes],
      ['GET', '/x', '1', lines.length],
    );
    assert.ok(!JSON.stringify(request).includes('signature'));
  });

  it('lets go of the server within the moment the client leaves', async () => {
    answer = (_, response) => response.flushHeaders();
    const answered = await open(log);
    await eventually(() => assert.equal(proxy.upstreamSockets(), 1));
    answered.destroy();
    await eventually(() => assert.equal(proxy.upstreamSockets(), 0));
    await eventually(() => assert.equal(proxy.clientSockets(), 0));
  });

  it('goes away, resetting what is open, and comes back on the same port', async () => {
    answer = (_, response) => void response.write('one\n');
    const seen = see(log);
    await eventually(() => assert.equal(proxy.requests[0]?.bytes, 4));
    await proxy.away();
    assert.equal((await seen).ended, 'reset');
    await assert.rejects(see('/'), { code: 'ECONNREFUSED' });
    await proxy.back();
    answer = (_, response) => response.end(lines);
    assert.equal((await see('/')).body.toString(), lines);
  });

  describe('hides', () => {
    const groups = {
      kind: 'APIGroupList',
      groups: [group('apps', 'v1'), group('tekton.dev', 'v1', 'v1beta1')],
    };
    function group(name: string, ...versions: string[]) {
      const listed = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
      return { name, versions: listed, preferredVersion: listed[0] };
    }

    beforeEach(() => {
      answer = (request, response) => {
        const documents: Record<string, unknown> = {
          '/apis': groups,
          '/apis/tekton.dev': { kind: 'APIGroup', ...groups.groups[1] },
          '/apis/tekton.dev/v1beta1': {
            kind: 'APIResourceList',
            groupVersion: 'tekton.dev/v1beta1',
            resources: [{ name: 'customruns' }, { name: 'customruns/status' }, { name: 'taskruns' }],
          },
        };
        response.end(JSON.stringify(documents[request.url ?? ''] ?? {}));
      };
    });

    const read = async (path: string) => {
      const { status, body } = await see(path);
      return status === 200 ? JSON.parse(body.toString()) : status;
    };

    it('run 45: a version, from the group documents and with everything below it', async () => {
      const undo = proxy.hide({ group: 'tekton.dev', version: 'v1' });
      assert.deepEqual((await read('/apis')).groups, [group('apps', 'v1'), group('tekton.dev', 'v1beta1')]);
      assert.deepEqual((await read('/apis/tekton.dev')).preferredVersion, {
        groupVersion: 'tekton.dev/v1beta1',
        version: 'v1beta1',
      });
      assert.equal(await read('/apis/tekton.dev/v1'), 404);
      assert.equal(await read('/apis/tekton.dev/v1/namespaces/team/pipelineruns?watch=true'), 404);
      assert.deepEqual(await read('/apis/tekton.dev/v1beta1/taskruns'), {});
      undo();
      assert.deepEqual(await read('/apis'), groups);
    });

    it('a group, when its last version is hidden', async () => {
      proxy.hide({ group: 'tekton.dev', version: 'v1' });
      proxy.hide({ group: 'tekton.dev', version: 'v1beta1' });
      assert.deepEqual((await read('/apis')).groups, [group('apps', 'v1')]);
      assert.equal(await read('/apis/tekton.dev'), 404);
    });

    it('run 45: a resource, from its list and in every namespace', async () => {
      proxy.hide({ group: 'tekton.dev', version: 'v1beta1', resource: 'customruns' });
      assert.deepEqual((await read('/apis/tekton.dev/v1beta1')).resources, [{ name: 'taskruns' }]);
      assert.equal(await read('/apis/tekton.dev/v1beta1/customruns'), 404);
      assert.equal(await read('/apis/tekton.dev/v1beta1/namespaces/team/customruns/x'), 404);
      assert.deepEqual(await read('/apis/tekton.dev/v1beta1/namespaces/customruns/taskruns'), {});
    });
  });

  it('closes a connection in the middle of an answer’s head', async () => {
    proxy.add({ on: on.log(), fault: { kind: 'half-head' }, times: 1 });
    await assert.rejects(see(log), /socket hang up|ECONNRESET|Parse Error/);
    assert.equal((await see(log)).ended, 'complete');
  });

  describe('befalls writes', () => {
    const path = '/apis/tekton.dev/v1/namespaces/team/pipelineruns';
    const taken: string[] = [];
    beforeEach(() => {
      taken.length = 0;
      answer = async (request, response) => {
        taken.push(Buffer.concat(await request.toArray()).toString());
        response.writeHead(201).end('{}');
      };
    });
    /** Resolves with the status; rejects when the connection breaks. `hangUp` ends the wait for an answer. */
    async function write(body: string, { method = 'POST', at = path, hangUp = new AbortController() } = {}) {
      const call = https.request(proxy.url + at, { method, ca: proxy.authority, agent: false, signal: hangUp.signal });
      call.end(body);
      const [answered] = (await once(call, 'response')) as [IncomingMessage];
      answered.resume();
      return answered.statusCode;
    }

    it('trigger 17, 18: the n-th of them, the others pass', async () => {
      proxy.add({ on: on.create('pipelineruns'), fault: refusal(500), after: 1, times: 2 });
      const statuses = [];
      for (const body of ['1', '2', '3', '4']) statuses.push(await write(body));
      assert.deepEqual(statuses, [201, 500, 500, 201]);
      assert.deepEqual(taken, ['1', '4']);
    });

    it('trigger 16: those whose body says so; all of them arrive whole', async () => {
      const trigger = '/apis/pipeline.jquad.rocks/v1alpha1/namespaces/team/pipelinetriggers/t/status';
      proxy.add({ on: on.status('pipelinetriggers', 't', /"run":"b"/), fault: refusal(409) });
      const statuses = [];
      for (const run of ['a', 'b', 'c']) {
        statuses.push(await write(JSON.stringify({ run }), { method: 'PATCH', at: trigger }));
      }
      assert.deepEqual(statuses, [201, 409, 201]);
      assert.deepEqual(taken, ['{"run":"a"}', '{"run":"c"}']);
    });

    it('trigger 16: the server takes it, and its answer is lost', async () => {
      for (const how of ['reset', 'silence'] as const) {
        const hangUp = new AbortController();
        const met = () => hangUp.abort();
        proxy.add({ on: on.create('pipelineruns'), fault: { kind: 'lost', how }, times: 1, met });
        await assert.rejects(write(how, { hangUp }));
      }
      assert.deepEqual(taken, ['reset', 'silence']);
    });

    it('trigger 16: the server takes it when its client has gone', async () => {
      const hangUp = new AbortController();
      const late = { kind: 'lost', how: 'silence', lateMs: 50 } as const;
      const met = new Promise((resolve) =>
        proxy.add({ on: on.create('pipelineruns'), fault: late, times: 1, met: resolve }),
      );
      const written = write('late', { hangUp });
      await eventually(() => assert.equal(proxy.matching({ method: 'POST' })[0]?.fault, 'lost'));
      assert.deepEqual(taken, []);
      hangUp.abort();
      await assert.rejects(written);
      assert.equal(await met, true);
      assert.deepEqual(taken, ['late']);
    });

    it('trigger 19: the refusal of an object that is not as it should be', async () => {
      proxy.add({ on: on.create('pipelineruns'), fault: refusal(422), times: 1 });
      assert.equal(await write('{}'), 422);
      assert.deepEqual(taken, []);
    });
  });

  it('says whether a fault came to pass', async () => {
    for (const { fault, want } of [
      { fault: refusal(500), want: true },
      { fault: { kind: 'cut', at: { lines: 3 }, how: 'unfinished' }, want: true },
      { fault: { kind: 'cut', at: { lines: 300 }, how: 'unfinished' }, want: false },
    ] as const) {
      const met = new Promise<boolean>((resolve) => proxy.add({ on: on.log(), fault, times: 1, met: resolve }));
      await see(log);
      assert.equal(await met, want);
    }
  });

  it('closes a connection before its handshake', async () => {
    const refused = new Promise<void>((resolve) => proxy.refuseNext(resolve));
    await assert.rejects(see(log), { code: 'ECONNRESET' });
    await refused;
    assert.equal((await see(log)).ended, 'complete');
    assert.deepEqual(
      proxy.requests.map(({ status }) => status),
      [200],
    );
  });

  it('speaks plain HTTP when told to', async () => {
    const plain = await startFaultProxy(
      { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
      { secure: false },
    );
    assert.match(plain.url, /^http:/);
    const answered = await fetch(plain.url);
    assert.equal(await answered.text(), lines);
    await plain.close();
  });
});
