/** The API as a value, asked without a server of ours: who gets in, what every answer carries, how each fault looks. */
import assert from 'node:assert/strict';
import type { Express, RequestHandler } from 'express';
import request from 'supertest';
import { Fault, type FaultCode } from '../../src/fault.ts';
import { sendJson } from '../../src/gateway/answer.ts';
import { buildApp, type GatewayParts } from '../../src/gateway/app.ts';
import { requireRead } from '../../src/gateway/callers/auth.ts';
import { createDrain } from '../../src/gateway/drain.ts';
import { callerOf, notesOf } from '../../src/gateway/notes.ts';
import { duration, option, optionReader, runRef, truth } from '../../src/gateway/options.ts';
import { answers } from '../../src/gateway/problem.ts';
import type { Readiness } from '../../src/kube/ready.ts';
import { type LogFields, silentLog } from '../../src/log.ts';
import { silentMetrics } from '../../src/metrics.ts';
import { openEntrance } from '../support/entrance.ts';
import { eventually } from '../support/eventually.ts';
import { oneCaller } from '../support/one-caller.ts';
import { plainRoute } from '../support/route.ts';

const PASSWORD = 'geheim:пароль';
const basic = (credentials: string) => `Basic ${Buffer.from(credentials).toString('base64')}`;
const right = { authorization: basic(`ci:${PASSWORD}`), 'x-request-id': 'r-1' };

describe('who gets in', () => {
  const table = [
    { name: 'the right name and password', given: basic(`ci:${PASSWORD}`), status: 200 },
    { name: 'any case of the scheme', given: basic(`ci:${PASSWORD}`).replace('Basic', 'basic'), status: 200 },
    { name: 'no header', given: undefined, status: 401 },
    { name: 'a wrong password', given: basic('ci:wrong'), status: 401 },
    { name: 'the password up to its colon', given: basic('ci:geheim'), status: 401 },
    { name: 'the password and more', given: basic(`ci:${PASSWORD}:x`), status: 401 },
    { name: 'no password', given: basic('ci:'), status: 401 },
    { name: 'an unknown name', given: basic(`cj:${PASSWORD}`), status: 401 },
    {
      name: 'a password in Latin-1',
      given: `Basic ${Buffer.from('ci:geheim:é', 'latin1').toString('base64')}`,
      status: 401,
    },
    { name: 'no colon', given: basic('ci'), status: 401 },
    { name: 'the scheme alone', given: 'Basic', status: 401 },
    { name: 'nothing after the scheme', given: 'Basic ', status: 401 },
    { name: 'no base64', given: 'Basic !!!', status: 401 },
    { name: 'another scheme', given: 'Bearer abc', status: 401 },
    { name: 'very much', given: basic(`ci:${'x'.repeat(8_000)}`), status: 401 },
  ];
  for (const { name, given, status } of table) {
    it(`${status} for ${name}`, async () => {
      const { app } = world();
      // Twice: the second right one is answered from memory.
      for (let time = 0; time < 2; time++) {
        const answer = await request(app)
          .get('/status/build-1')
          .set(given === undefined ? {} : { authorization: given });
        assert.equal(answer.status, status);
        if (status === 401) {
          assert.equal(answer.headers['www-authenticate'], 'Basic realm="Authorization Required"');
          assert.equal(answer.body.code, 'unauthenticated');
        }
      }
    });
  }

  for (const { password, guess } of [
    { password: 'b', guess: 'b:anything' },
    { password: 'b:c', guess: 'b' },
    { password: 'b:c', guess: 'b:anything' },
  ]) {
    it(`does not take ${guess} for ${password}`, async () => {
      const { app } = world({ callers: oneCaller('ci', password) });
      await request(app).get('/status/build-1').auth('ci', guess).expect(401);
      await request(app).get('/status/build-1').auth('ci', password).expect(200);
    });
  }

  it('takes a password that begins with a colon', async () => {
    const { app } = world({ callers: oneCaller('ci', ':b') });
    await request(app).get('/status/build-1').auth('ci', ':b').expect(200);
  });

  it('still knows a caller after many wrong ones', async () => {
    const { app } = world();
    await request(app).get('/status/build-1').set(right).expect(200);
    for (let guess = 0; guess < 300; guess++) {
      await request(app).get('/status/build-1').auth(`ci-${guess}`, 'guess').expect(401);
    }
    await request(app).get('/status/build-1').set(right).expect(200);
  });

  it('tells a stranger nothing about paths: unknown ones are 401 too', async () => {
    const { app } = world();
    for (const path of ['/', '/nothing', '/status/a/b/c', '/%zz', '/logs', '/ready', '/metrics']) {
      assert.equal((await request(app).get(path)).status, 401, path);
      assert.equal((await request(app).post(path)).status, 401, path);
    }
  });
});

describe('health and readiness', () => {
  it('/health is open, and nothing but {"status":1}', async () => {
    const { app } = world({ readiness: () => ({ ready: false, watches: [] }) });
    const answer = await request(app).get('/health').expect(200);
    assert.equal(answer.text, '{"status":1}');
    assert.match(answer.headers['content-type'] ?? '', /^application\/json/);
    await request(app).head('/health').expect(200);
  });

  it('/ready is 200 when every watch is current', async () => {
    const watches = [{ name: 'pipelineruns', state: 'current', ageSeconds: 3 }] as const;
    const { app } = world({ readiness: () => ({ ready: true, watches }) });
    const answer = await request(app).get('/ready').set(right).expect(200);
    assert.deepEqual(answer.body, { ready: true, watches });
    await request(app).get('/ready').expect(401);
  });

  it('/ready names what is not', async () => {
    const readiness: Readiness = {
      ready: false,
      watches: [
        { name: 'pipelineruns', state: 'current' },
        { name: 'taskruns', state: 'stale', ageSeconds: 75 },
        { name: 'pods', state: 'listing' },
      ],
    };
    const { app } = world({ readiness: () => readiness });
    const answer = await request(app).get('/ready').set(right).expect(503).expect('retry-after', '5');
    assert.deepEqual(answer.body, {
      error: 'not ready: taskruns is stale, pods is listing',
      code: 'unavailable',
      requestId: 'r-1',
      ...readiness,
    });
  });
});

describe('what every answer carries', () => {
  for (const { path, status } of [
    { path: '/health', status: 200 },
    { path: '/status/build-1', status: 200 },
    { path: '/nothing', status: 404 },
  ]) {
    it(`${path}: a strict policy, and nothing about us`, async () => {
      const { app } = world();
      const { headers } = await request(app).get(path).set(right).expect(status);
      assert.equal(
        headers['content-security-policy'],
        "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
      );
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['x-frame-options'], 'DENY');
      assert.equal(headers['referrer-policy'], 'no-referrer');
      assert.equal(headers['cache-control'], 'no-store');
      assert.match(headers['strict-transport-security'] ?? '', /^max-age=\d+/);
      assert.equal(headers['x-powered-by'], undefined);
      assert.equal(headers.etag, undefined);
    });
  }

  const ids = [
    { given: 'ci-4711/build', kept: true },
    { given: 'a'.repeat(128), kept: true },
    { given: 'a'.repeat(129), kept: false },
    { given: 'a b', kept: false },
    { given: '"><script>', kept: false },
    { given: undefined, kept: false },
  ];
  for (const { given, kept } of ids) {
    it(`${kept ? 'keeps' : 'replaces'} the request id ${given?.slice(0, 20)}`, async () => {
      const { app } = world();
      const answer = await request(app)
        .get('/nothing')
        .set(given === undefined ? {} : { 'x-request-id': given });
      const id = answer.headers['x-request-id'];
      if (kept) assert.equal(id, given);
      else assert.match(id ?? '', /^[0-9a-f-]{36}$/);
      assert.equal(answer.body.requestId, id);
    });
  }
});

describe('how faults look', () => {
  const codes = Object.entries(answers).filter(
    ([code]) => !/^method-not-allowed$|-too-|^too-/.test(code), // HTTP's own, no Fault's
  );
  for (const [code, { status }] of codes) {
    it(`run 5, 6: ${code} is ${status} with its sentence, code and request id`, async () => {
      const { app } = world();
      const answer = await request(app).get(`/fault/${code}`).set(right).expect(status);
      const error = code === 'internal' ? 'internal error' : `the sentence of ${code}`;
      assert.deepEqual(answer.body, { error, code, requestId: 'r-1' });
      assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
      assert.doesNotMatch(answer.text, /deep down/);
    });
  }

  it('Retry-After is in whole seconds, the fault knowing better than the table', async () => {
    const { app } = world();
    await request(app).get('/fault/unavailable').set(right).expect('retry-after', '5');
    await request(app).get('/fault/unavailable?afterMs=1200').set(right).expect('retry-after', '2');
    await request(app).get('/fault/exhausted?afterMs=1').set(right).expect('retry-after', '1');
    assert.equal((await request(app).get('/fault/timeout?afterMs=1200').set(right)).headers['retry-after'], undefined);
  });

  it('an error that is none of ours says nothing and is logged in full', async () => {
    const { app, lines } = world();
    const answer = await request(app).get('/broken').set(right).expect(500);
    assert.deepEqual(answer.body, { error: 'internal error', code: 'internal', requestId: 'r-1' });
    const line = lines.find(({ message }) => message === 'a request failed by our fault');
    assert.equal(line?.level, 'error');
    assert.match(String(line?.fields.cause), /deep down/);
    assert.equal(line?.fields.requestId, 'r-1');
  });

  it('a fault after the first byte cuts the answer, so that half is not taken for whole', async () => {
    const { app, lines } = world();
    await assert.rejects(request(app).get('/half').set(right), { code: 'ECONNRESET' });
    await eventually(() => assert.equal(accessLine(lines).fields.outcome, 'disconnected'));
    assert.equal(accessLine(lines).fields.code, 'unavailable');
  });

  it('unknown paths are 404 with credentials', async () => {
    const { app } = world();
    const answer = await request(app).get('/nothing').set(right).expect(404);
    assert.deepEqual(answer.body, { error: 'no such path', code: 'not-found', requestId: 'r-1' });
  });

  it('a wrong method is 405 with Allow', async () => {
    const { app } = world();
    for (const path of ['/status/build-1', '/ready', '/health']) {
      for (const method of ['post', 'put', 'delete', 'options'] as const) {
        const answer = await request(app)[method](path).set(right).expect(405).expect('allow', 'GET, HEAD');
        const error = `${method.toUpperCase()} is not served here`;
        assert.deepEqual(answer.body, { error, code: 'method-not-allowed', requestId: 'r-1' });
      }
    }
  });

  it('a path that is not valid percent-encoding is 400', async () => {
    const answer = await request(world().app).get('/status/%zz').set(right).expect(400);
    assert.deepEqual(answer.body, { error: 'the path is not valid', code: 'bad-request', requestId: 'r-1' });
  });
});

describe('a route of the gateway', () => {
  it('run 4: one segment is a run of the default namespace, two name it: equal answers', async () => {
    const { app } = world();
    const one = await request(app).get('/status/build-1').set(right).expect(200);
    const two = await request(app).get('/status/a/build-1').set(right).expect(200);
    assert.equal(one.text, two.text);
  });

  for (const name of ['A_B', '--last', 'a'.repeat(64), 'a%2Fb', '%2e%2e', '%00']) {
    it(`run 5: ${name.slice(0, 10)} is 400 in the listener's words`, async () => {
      const answer = await request(world().app).get(`/status/${name}`).set(right).expect(400);
      assert.equal(answer.body.error, 'Invalid pipeline RunID');
    });
  }

  it('run 43: another namespace is 403, the same whatever is there', async () => {
    const { app, asked } = world();
    const there = await request(app).get('/status/secret/build-1').set(right).expect(403);
    const absent = await request(app).get('/status/nowhere/build-2').set(right).expect(403);
    assert.equal(there.text, absent.text);
    assert.deepEqual(asked, []);
  });

  it('refuses an option it does not know, and one given twice', async () => {
    const { app } = world();
    const unknown = await request(app).get('/status/build-1?wiat=1').set(right).expect(400);
    assert.equal(unknown.body.error, 'unknown option "wiat": this path takes wait');
    const twice = await request(app).get('/status/build-1?wait=1&wait=2').set(right).expect(400);
    assert.equal(twice.body.error, 'option wait is given twice');
  });
});

describe('the routes of an app', () => {
  const answer =
    (text: string): RequestHandler =>
    (req, res) =>
      sendJson(req, res, 200, { text });
  const posting = plainRoute('/tickets', answer('posted'));
  const options = { follow: option(truth, true, 'Whether to follow') };
  const routes = [
    [plainRoute('/both', answer('got')), plainRoute('/options', answer('got'), options)],
    [
      { ...posting, operation: { ...posting.operation, method: 'post' as const } },
      {
        operation: { ...plainRoute('/both', answer('')).operation, id: 'post-both', method: 'post' as const },
        handler: answer('posted'),
      },
      {
        operation: { ...plainRoute('/long/:namespace/:name', answer('')).operation, shortPath: '/long/:name' },
        handler: answer('long'),
      },
    ],
  ];
  const table = [
    { method: 'get', path: '/both', status: 200, text: 'got' },
    { method: 'post', path: '/both', status: 200, text: 'posted' },
    { method: 'put', path: '/both', status: 405, allow: 'GET, HEAD, POST' },
    { method: 'post', path: '/tickets', status: 200, text: 'posted' },
    { method: 'get', path: '/tickets', status: 405, allow: 'POST' },
    { method: 'head', path: '/tickets', status: 405, allow: 'POST' },
    { method: 'get', path: '/long/a', status: 200, text: 'long' },
    { method: 'get', path: '/long/a/b', status: 200, text: 'long' },
    { method: 'delete', path: '/long/a', status: 405, allow: 'GET, HEAD' },
    { method: 'get', path: '/both?a=1', status: 400 },
    { method: 'get', path: '/options?a=1', status: 200, text: 'got' },
    { method: 'get', path: '/health?a=1', status: 200 },
  ] as const;
  for (const { method, path, status, ...more } of table) {
    it(`${method.toUpperCase()} ${path} is ${status}`, async () => {
      const { app } = world({ routes });
      const answered = await request(app)[method](path).set(right).expect(status);
      if ('text' in more) assert.equal(answered.body.text, more.text);
      if ('allow' in more) assert.equal(answered.headers.allow, more.allow);
    });
  }
});

describe('the access line', () => {
  it('says who asked for what and how it ended, without the query', async () => {
    const { app, lines, counted } = world();
    await request(app).get('/status/build-1?wait=5').set(right).expect(200);
    const { level, fields } = await eventually(() => accessLine(lines));
    const { ms, bytes, client, ...rest } = fields;
    assert.equal(level, 'info');
    assert.deepEqual(rest, {
      method: 'GET',
      route: '/status/:name',
      path: '/status/build-1',
      status: 200,
      caller: 'ci',
      requestId: 'r-1',
      outcome: 'complete',
      code: undefined,
    });
    assert(typeof ms === 'number' && ms >= 0);
    assert(typeof bytes === 'number' && bytes > 200);
    assert.match(String(client), /127\.0\.0\.1/);
    assert.deepEqual(counted, ['/status/:name GET 200']);
  });

  it('of one refused has the code, and no route of its path', async () => {
    const { app, lines, counted } = world();
    await request(app).get('/nothing/of-the-kind').expect(401);
    const { fields } = await eventually(() => accessLine(lines));
    assert.equal(fields.outcome, 'refused');
    assert.equal(fields.code, 'unauthenticated');
    assert.equal(fields.caller, undefined);
    assert.deepEqual(counted, ['none GET 401']);
  });

  it('of a stream has its own word for how it ended', async () => {
    const { app, lines } = world();
    await request(app).get('/stream').set(right).expect(200);
    assert.equal((await eventually(() => accessLine(lines))).fields.outcome, 'incomplete');
  });

  it('of a probe is worth debugging only', async () => {
    const { app, lines } = world();
    await request(app).get('/health').expect(200);
    assert.equal((await eventually(() => accessLine(lines))).level, 'debug');
  });
});

describe('draining', () => {
  it('run 38: new requests get 503 and are sent to another replica; /health stays 200', async () => {
    const { app, drain } = world();
    await drain.stop(new AbortController().signal);
    for (const headers of [right, { 'x-request-id': 'r-1' }]) {
      const answer = await request(app).get('/status/build-1').set(headers).expect(503);
      assert.deepEqual(answer.body, {
        error: 'this replica is stopping; ask again',
        code: 'draining',
        requestId: 'r-1',
      });
      assert.equal(answer.headers['retry-after'], '1');
      assert.equal(answer.headers.connection, 'close');
    }
    await request(app).get('/health').expect(200, '{"status":1}');
  });

  it('run 38: an open request is told, and the drain waits for it', async () => {
    const { app, drain } = world();
    const open = request(app)
      .get('/until-drained')
      .set(right)
      .then(({ text }) => text);
    await eventually(() => assert.equal(drain.open, 1));
    await drain.stop(new AbortController().signal);
    assert.equal(drain.open, 0);
    assert.equal(await open, 'retry\n');
  });
});

interface Line {
  readonly level: keyof typeof silentLog;
  readonly message: string;
  readonly fields: LogFields;
}

function accessLine(lines: readonly Line[]): Line {
  const found = lines.find(({ message }) => message === 'request');
  assert(found !== undefined, 'no access line');
  return found;
}

/** The app over fakes: `/status` as the gateway has it, and routes that fail in every way. */
function world(changes: Partial<GatewayParts> = {}) {
  const lines: Line[] = [];
  const at =
    (level: Line['level']) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push({ level, message, fields });
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const counted: string[] = [];
  const metrics = {
    ...silentMetrics,
    request: (route: string, method: string, status: number) => void counted.push(`${route} ${method} ${status}`),
  };
  const drain = createDrain(silentLog);
  const asked: string[] = [];
  const statusOptions = { wait: option(duration({ toSeconds: 300 }), 0, 'Seconds') };
  const readOptions = optionReader(statusOptions);
  const status: RequestHandler = (req, res) => {
    const ref = runRef(req.params, 'a');
    requireRead(callerOf(req), ref.namespace, ['a', 'b']);
    readOptions(req.url);
    asked.push(ref.name);
    sendJson(req, res, 200, { message: 'done', reason: 'Succeeded', type: 'Succeeded', status: 'True' });
  };
  const routes = [
    plainRoute('/status/:name', status, statusOptions),
    plainRoute('/status/:namespace/:name', status, statusOptions),
    plainRoute(
      '/fault/:name',
      (req) => {
        const code = req.params.name as FaultCode;
        const { afterMs } = req.query;
        throw new Fault(code, `the sentence of ${code}`, {
          cause: new Error('deep down'),
          ...(typeof afterMs === 'string' ? { retryAfterMs: Number(afterMs) } : {}),
        });
      },
      statusOptions,
    ),
    plainRoute('/broken', async () => {
      throw new TypeError('deep down');
    }),
    plainRoute('/half', (_req, res, next) => {
      res.write('half', () => next(new Fault('unavailable', 'the other half is gone')));
    }),
    plainRoute('/stream', (req, res) => {
      notesOf(req).outcome = 'incomplete';
      res.end('line\n');
    }),
    plainRoute('/until-drained', (_req, res) => {
      res.flushHeaders();
      drain.signal.addEventListener('abort', () => res.end('retry\n'));
    }),
  ];
  const app: Express = buildApp({
    ...openEntrance(),
    callers: oneCaller('ci', PASSWORD),
    readiness: () => ({ ready: true, watches: [] }),
    drain,
    routes: [routes],
    log,
    metrics,
    version: '1.2.3',
    ...changes,
  });
  return { app, drain, lines, counted, asked };
}
