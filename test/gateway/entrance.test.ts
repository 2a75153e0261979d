/** What stands between the port and the routes: who is let in, how slowly guesses are answered, tickets, other origins, lengths. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as openRequest } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { networks } from '../../src/gateway/address.ts';
import { buildApp, type GatewayParts, inOriginForm } from '../../src/gateway/app.ts';
import { auditStream } from '../../src/gateway/callers/audit.ts';
import { requireRead } from '../../src/gateway/callers/auth.ts';
import type { Caller, CallerChange, Callers } from '../../src/gateway/callers/callers.ts';
import { corsFor } from '../../src/gateway/callers/cors.ts';
import { createTickets, ticketsRoutes } from '../../src/gateway/callers/tickets.ts';
import { createDrain } from '../../src/gateway/drain.ts';
import { callerOf } from '../../src/gateway/notes.ts';
import { option, truth } from '../../src/gateway/options.ts';
import type { Log, LogFields } from '../../src/log.ts';
import { silentMetrics } from '../../src/metrics.ts';
import { openEntrance, wideLimits } from '../support/entrance.ts';
import { eventually } from '../support/eventually.ts';
import { HandClock } from '../support/hand-clock.ts';
import { oneCaller } from '../support/one-caller.ts';
import { plainRoute } from '../support/route.ts';

const letGo = new AbortController().signal;
/** With a table that has any, a handler reads the query itself. */
const anyOption = { follow: option(truth, true, 'Whether to follow') };

/** One answer. */
interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

interface Asking {
  readonly as?: readonly [name: string, password: string];
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An app on a port, whose clock is turned by hand. */
class Rig implements AsyncDisposable {
  readonly clock = new HandClock();
  readonly drain = createDrain({ debug() {}, info() {}, warn() {}, error() {} });
  readonly lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = [];
  readonly limited: string[] = [];
  readonly #server: ReturnType<typeof createServer>;

  constructor(changes: Partial<GatewayParts> = {}) {
    const at =
      (level: string) =>
      (message: string, fields: LogFields = {}) =>
        void this.lines.push({ level, message, fields });
    const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
    const metrics = { ...silentMetrics, limited: (limit: string) => void this.limited.push(limit) };
    const tickets = createTickets({ clock: this.clock, metrics });
    const routes = [
      plainRoute('/who', (request, response) => void response.end(callerOf(request).name), anyOption),
      plainRoute('/status/:namespace/:name', (request, response) => {
        requireRead(callerOf(request), String(request.params.namespace), ['ci', 'dev']);
        response.end('fine');
      }),
      plainRoute(
        '/logs/:namespace/:name',
        (request, response) => {
          auditStream(log, request, 'ci');
          response.write(`${callerOf(request).name} ${request.url}\n`);
        },
        anyOption,
      ),
      plainRoute('/slow', async (_request, response) => {
        await this.clock.sleep(1_000);
        response.end('late');
      }),
    ];
    const app = buildApp({
      ...openEntrance(this.clock),
      callers: oneCaller('ci', 'correct horse'),
      tickets,
      readiness: () => ({ ready: true, watches: [] }),
      drain: this.drain,
      routes: [ticketsRoutes({ tickets, log }), routes],
      log,
      metrics,
      version: '1.2.3',
      ...changes,
    });
    this.#server = createServer(inOriginForm(app));
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // it listens on a port, not on a pipe
  }

  /** Asks, and resolves with the head and a way to the rest. */
  async open(path: string, { as, method = 'GET', headers = {}, body }: Asking = {}) {
    const authorization =
      as === undefined ? {} : { Authorization: `Basic ${Buffer.from(as.join(':')).toString('base64')}` };
    const asking = openRequest({
      port: this.port,
      host: '127.0.0.1',
      path,
      method,
      headers: { ...authorization, ...headers },
    });
    asking.end(body);
    const [response] = await once(asking, 'response');
    asking.on('error', () => {}); // the answer itself says that it broke off
    return response;
  }

  async ask(path: string, options: Asking = {}): Promise<Answered> {
    const response = await this.open(path, options);
    return { status: response.statusCode, headers: response.headers, text: await text(response) };
  }

  /** The audit lines, in a few words each. */
  audited(...fields: readonly string[]): string[] {
    return this.lines
      .filter(({ message }) => message === 'audit')
      .map((line) => ['event', 'decision', ...fields].map((field) => line.fields[field] ?? '-').join(' '));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

const ci = ['ci', 'correct horse'] as const;
const rig = (changes: Partial<GatewayParts> = {}) => new Rig(changes).listen();

/** Callers that a test can change, and that count how often a password is compared. */
function changeable() {
  const known = new Map<string, { readonly caller: Caller; readonly password: string }>();
  let tell: (change: CallerChange) => void = () => {};
  let answerNow = true;
  const held: (() => void)[] = [];
  const compared: string[] = [];
  const callers: Callers = {
    async find(name, password) {
      compared.push(name);
      if (!answerNow) await new Promise<void>((resolve) => held.push(resolve));
      const found = known.get(name);
      return found?.password === password ? found.caller : undefined;
    },
    named: (name) => known.get(name)?.caller,
    onChange: (listener) => {
      tell = listener;
    },
  };
  return {
    callers,
    compared,
    hold() {
      answerNow = false;
    },
    release() {
      answerNow = true;
      for (const resolve of held.splice(0)) resolve();
    },
    set(name: string, password: string, namespaces: Caller['namespaces'] = 'all served') {
      const before = known.get(name)?.caller;
      known.set(name, { caller: { name, namespaces }, password });
      if (before !== undefined) tell({ replaced: new Set([before]), lost: new Set([before]) });
    },
    remove(name: string) {
      const before = known.get(name)?.caller;
      known.delete(name);
      if (before !== undefined) tell({ replaced: new Set([before]), lost: new Set([before]) });
    },
  };
}

describe('who gets in', () => {
  it('is compared once: what was right is remembered for a minute after it was last used', async () => {
    const people = changeable();
    people.set('ci', 'correct horse');
    await using app = await rig({ callers: people.callers });
    for (let times = 0; times < 5; times++) {
      assert.equal((await app.ask('/who', { as: ci })).text, 'ci');
      await app.clock.turn(50_000);
    }
    assert.equal(people.compared.length, 1);
    await app.clock.turn(15_000);
    for (let times = 0; times < 3; times++) await app.ask('/who', { as: ci });
    assert.equal(people.compared.length, 2);
  });

  it('is compared again after a quarter of an hour, however busy it is', async () => {
    const people = changeable();
    people.set('ci', 'correct horse');
    await using app = await rig({ callers: people.callers });
    for (let seconds = 0; seconds <= 29 * 60; seconds += 30) {
      await app.ask('/who', { as: ci });
      await app.clock.turn(30_000);
    }
    assert.equal(people.compared.length, 2);
  });

  it('is compared again when the clock was set back', async () => {
    const people = changeable();
    people.set('ci', 'correct horse');
    await using app = await rig({ callers: people.callers });
    await app.ask('/who', { as: ci });
    await app.clock.turn(-86_400_000);
    await app.ask('/who', { as: ci });
    assert.equal(people.compared.length, 2);
  });

  it('is compared once for all who ask with the same header at the same time', async () => {
    const people = changeable();
    people.set('ci', 'correct horse');
    await using app = await rig({ callers: people.callers });
    people.hold();
    const asked = Array.from({ length: 20 }, () => app.ask('/who', { as: ci }));
    await eventually(() => assert.equal(app.drain.open, 20));
    people.release();
    assert.deepEqual(new Set((await Promise.all(asked)).map(({ status }) => status)), new Set([200]));
    assert.equal(people.compared.length, 1);
  });

  it('answers an unknown name and a wrong password with the same words', async () => {
    await using app = await rig();
    const [unknown, wrong] = [
      await app.ask('/who', { as: ['nobody', 'x'], headers: { 'X-Request-Id': 'same' } }),
      await app.ask('/who', { as: ['ci', 'x'], headers: { 'X-Request-Id': 'same' } }),
    ];
    assert.equal(unknown.status, 401);
    assert.deepEqual([unknown.status, unknown.text], [wrong.status, wrong.text]);
  });

  it('a job with an old password makes one mistake, not one a request', async () => {
    const people = changeable();
    people.set('ci', 'correct horse');
    await using app = await rig({ callers: people.callers });
    for (let times = 0; times < 50; times++) assert.equal((await app.ask('/who', { as: ['ci', 'old'] })).status, 401);
    assert.equal(people.compared.length, 1);
    assert.equal((await app.ask('/who', { as: ci })).status, 200);
  });

  it('loses access at once when a caller is removed: open answers are cut, and nothing is remembered', async () => {
    const people = changeable();
    people.set('ci', 'correct horse');
    people.set('anna', 'secret word');
    await using app = await rig({ callers: people.callers });
    const [cut, kept] = [
      await app.open('/logs/ci/build-1', { as: ci }),
      await app.open('/logs/ci/build-1', { as: ['anna', 'secret word'] }),
    ];
    people.remove('ci');
    await assert.rejects(text(cut), { code: 'ECONNRESET' });
    assert.equal((await app.ask('/who', { as: ci })).status, 401);
    assert.equal(kept.destroyed, false);
    const line = app.lines.find(({ message }) => message === 'request');
    assert.equal(line?.fields.outcome, 'revoked');
    kept.destroy();
  });

  it('takes a new password that came to hold while it was compared with the old one', async () => {
    const people = changeable();
    people.set('ci', 'correct horse');
    await using app = await rig({ callers: people.callers });
    people.hold();
    const early = app.ask('/who', { as: ['ci', 'new horse'] });
    await eventually(() => assert.equal(people.compared.length, 1));
    people.set('ci', 'new horse', 'all served');
    people.set('anna', 'another');
    people.release();
    await early;
    assert.equal((await app.ask('/who', { as: ['ci', 'new horse'] })).status, 200);
  });

  it('takes a new password as soon as it holds, though it was wrong a moment ago', async () => {
    const people = changeable();
    people.set('ci', 'correct horse');
    await using app = await rig({ callers: people.callers });
    assert.equal((await app.ask('/who', { as: ['ci', 'new password'] })).status, 401);
    people.set('ci', 'new password');
    assert.equal((await app.ask('/who', { as: ['ci', 'new password'] })).status, 200);
    assert.equal((await app.ask('/who', { as: ci })).status, 401);
  });
});

describe('guessing', () => {
  /** Guesses until one is not answered at once. */
  async function guess(
    app: Rig,
    name: string,
  ): Promise<{ readonly count: number; readonly waiting: Promise<Answered> }> {
    for (let count = 0; ; count++) {
      const before = app.clock.sleeping;
      const waiting = app.ask('/who', { as: [name, `guess ${count}`] });
      const first = await Promise.race([
        waiting,
        eventually(() => assert(app.clock.sleeping > before, 'it waits')).then(() => undefined),
      ]);
      if (first === undefined) return { count, waiting };
      assert.equal(first.status, 401);
    }
  }

  it('waits after five mistakes, and locks nobody out who has the right password', async () => {
    await using app = await rig();
    const { count, waiting } = await guess(app, 'ci');
    assert.equal(count, 5);
    const right = app.ask('/who', { as: ci });
    await eventually(() => assert.equal(app.drain.open, 2));
    await app.clock.turn(10_000);
    assert.equal((await waiting).status, 401);
    assert.equal((await right).text, 'ci');
    assert.equal(app.clock.sleeping, 0);
  });

  it('does not slow down those who were in before, or who have another name', async () => {
    const people = changeable();
    people.set('ci', 'correct horse');
    people.set('anna', 'secret word');
    await using app = await rig({ callers: people.callers });
    await app.ask('/who', { as: ci });
    const { waiting } = await guess(app, 'ci');
    assert.equal((await app.ask('/who', { as: ci })).status, 200);
    assert.equal((await app.ask('/who', { as: ['anna', 'secret word'] })).status, 200);
    await app.clock.turn(10_000);
    await waiting;
  });

  it('is refused with Retry-After when too many guesses wait', async () => {
    await using app = await rig();
    const { waiting } = await guess(app, 'ci');
    const more = Array.from({ length: 3 }, (_, place) => app.ask('/who', { as: ['ci', `more ${place}`] }));
    await eventually(() => assert.equal(app.drain.open, 4));
    const refused = await app.ask('/who', { as: ['ci', 'one more'] });
    assert.equal(refused.status, 429);
    assert.equal(refused.headers['retry-after'], '16');
    await app.clock.turn(60_000);
    await Promise.all([waiting, ...more]);
  });

  it('is by the address that a proxy names, where it is believed', async () => {
    await using app = await rig({ trustedProxies: networks(['127.0.0.1']) });
    const { waiting } = await guess(app, 'ci');
    const from = { 'X-Forwarded-For': '203.0.113.7' };
    assert.equal((await app.ask('/who', { as: ci, headers: from })).status, 200);
    await app.clock.turn(10_000);
    await waiting;
  });

  it('that still waits when the process stops is told so', async () => {
    await using app = await rig();
    const { waiting } = await guess(app, 'ci');
    void app.drain.stop(letGo);
    assert.equal((await waiting).status, 503);
    assert.equal(app.clock.sleeping, 0);
  });
});

describe('audit', () => {
  it('has a line for who was let in and who was not, and never what they showed', async () => {
    await using app = await rig();
    await app.ask('/who', { as: ci });
    await app.ask('/who', { as: ci });
    await app.ask('/who', { as: ['ci', 'hunter2'] });
    await app.ask('/who', { as: ['hunter2', 'hunter2'] });
    await app.ask('/who', { headers: { Authorization: 'Bearer hunter2' } });
    await app.ask('/who');
    assert.deepEqual(app.audited('mode', 'reason', 'caller', 'client'), [
      'sign-in allow basic - ci 127.0.0.1',
      'sign-in deny basic wrong password ci 127.0.0.1',
      'sign-in deny basic unknown name - 127.0.0.1',
      'sign-in deny basic malformed header - 127.0.0.1',
    ]);
    assert.doesNotMatch(JSON.stringify(app.lines), /hunter2|correct horse|Y2k6/);
  });

  it('run 43: names what was asked for, however the path is written', async () => {
    await using app = await rig();
    for (const path of [
      '/status/prod/build-1',
      '/%73tatus/prod/a',
      '/status/p%72od/build%2d1',
      '/STATUS/prod/build-1/',
    ]) {
      await app.ask(path, { as: ci });
    }
    await app.ask('http://harmless/status/prod/build-1', { as: ci });
    const line = 'read deny get status prod build-1';
    assert.deepEqual(app.audited('verb', 'resource', 'namespace', 'name').slice(1), Array(4).fill(line));
  });

  it('run 43: has a line for each denial, and for each stream one at its start and one at its end', async () => {
    await using app = await rig();
    assert.equal(
      (await app.ask('/status/prod/build-1', { as: ci, headers: { 'X-Request-Id': 'denied' } })).status,
      403,
    );
    (await app.open('/logs/dev/build-1', { as: ci, headers: { 'X-Request-Id': 'stream' } })).destroy();
    await eventually(() => assert.equal(app.drain.open, 0));
    assert.deepEqual(app.audited('caller', 'verb', 'resource', 'namespace', 'name', 'outcome', 'requestId').slice(1), [
      'read deny ci get status prod build-1 - denied',
      'stream opened allow ci get logs dev build-1 - stream',
      'stream closed - ci get logs dev build-1 disconnected stream',
    ]);
  });
});

describe('tickets', () => {
  const ticketOf = async (app: Rig, query = '') => {
    const answer = await app.ask(`/tickets${query}`, { as: ci, method: 'POST' });
    assert.equal(answer.status, 201, answer.text);
    const { ticket, expiresIn } = JSON.parse(answer.text) as { ticket: string; expiresIn: number };
    assert.equal(expiresIn, 60);
    assert.match(ticket, /^[A-Za-z0-9_-]{43}$/);
    return ticket;
  };

  it('open one stream, once, as their caller, and are seen by no handler and in no line', async () => {
    await using app = await rig();
    const ticket = await ticketOf(app);
    const stream = await app.open(`/logs/ci/build-1?format=sse&ticket=${ticket}&follow=true`);
    assert.equal(stream.statusCode, 200);
    const [line] = await once(stream, 'data');
    assert.equal(String(line), 'ci /logs/ci/build-1?format=sse&follow=true\n');
    stream.destroy();
    const again = await app.ask(`/logs/ci/build-1?ticket=${ticket}`);
    assert.deepEqual([again.status, JSON.parse(again.text).error], [401, 'this ticket is not valid, or was used']);
    await eventually(() => assert.equal(app.drain.open, 0));
    assert.doesNotMatch(JSON.stringify(app.lines), new RegExp(ticket));
    assert.deepEqual(app.audited('mode', 'caller', 'reason').slice(1), [
      'ticket allow - ci -',
      'sign-in allow ticket ci -',
      'stream opened allow ticket ci -',
      'stream closed - ticket ci -',
      'sign-in deny ticket - ticket not valid',
    ]);
  });

  it('open nothing else, and not after a minute', async () => {
    await using app = await rig();
    for (const path of ['/who', '/status/ci/build-1', '/status/ci/logs', '/runs/ci/events', '/tickets', '/LOGS/ci/a']) {
      assert.equal((await app.ask(`${path}?ticket=${await ticketOf(app)}`)).status, 401, path);
    }
    for (const ms of [60_000, -86_400_000]) {
      const old = await ticketOf(app);
      await app.clock.turn(ms);
      assert.equal((await app.ask(`/logs/ci/build-1?ticket=${old}`)).status, 401, `after ${ms}`);
    }
  });

  it('may be for one path only, and a try with another uses them up', async () => {
    await using app = await rig();
    const wanted = '/logs/ci/build-1';
    const ticket = await ticketOf(app, `?path=${wanted}`);
    (await app.open(`${wanted}?ticket=${ticket}`)).destroy();
    const other = await ticketOf(app, `?path=${wanted}`);
    assert.equal((await app.ask(`/logs/ci/build-2?ticket=${other}`)).status, 401);
    assert.equal((await app.ask(`${wanted}?ticket=${other}`)).status, 401);
  });

  it('are given to callers only, and for paths of streams only', async () => {
    await using app = await rig();
    assert.equal((await app.ask('/tickets', { method: 'POST' })).status, 401);
    assert.equal((await app.ask('/tickets', { as: ci })).status, 405);
    for (const query of [
      '?path=/status/ci/a',
      '?path=/status/ci/logs',
      '?path=/runs/ci/events',
      '?path=/taskruns/ci/a/b/logs',
      '?path=https://elsewhere',
      '?path=/logs/a%3Fb',
      '?paths=/logs/a',
      '?path=/logs/a&path=/logs/b',
    ]) {
      assert.equal((await app.ask(`/tickets${query}`, { as: ci, method: 'POST' })).status, 400, query);
    }
  });

  it('end with their caller', async () => {
    const people = changeable();
    people.set('ci', 'correct horse');
    await using app = await rig({ callers: people.callers });
    const ticket = await ticketOf(app);
    people.set('ci', 'another one');
    assert.equal((await app.ask(`/logs/ci/build-1?ticket=${ticket}`)).status, 401);
  });

  it('are not given to pages of other origins, unless these are named', async () => {
    const page = 'https://dashboard.example.com';
    await using app = await rig({ cors: corsFor([page]) });
    const asked = async (site: string, Origin: string) => {
      const headers = { 'Sec-Fetch-Site': site, Origin };
      return (await app.ask('/tickets', { as: ci, method: 'POST', headers })).status;
    };
    assert.deepEqual(
      [await asked('cross-site', 'https://evil.example'), await asked('same-site', 'https://other.example.com')],
      [400, 400],
    );
    assert.deepEqual([await asked('cross-site', page), await asked('same-origin', 'https://us')], [201, 201]);
  });

  it('do not stand beside credentials, and are given once', async () => {
    await using app = await rig();
    const ticket = await ticketOf(app);
    assert.equal((await app.ask(`/logs/ci/build-1?ticket=${ticket}&ticket=${ticket}`)).status, 400);
  });

  it('run out one after another, and so make room', () => {
    const clock = new HandClock();
    const levels = new Map<string, () => number>();
    const tickets = createTickets({ clock, metrics: { level: (what, read) => void levels.set(what, read) } });
    const anna = { name: 'anna', namespaces: 'all served' } as const;
    for (let count = 0; count < 1_000; count++) tickets.issue(anna);
    assert.throws(() => tickets.issue(anna), { code: 'exhausted', retryAfterMs: 60_000 });
    tickets.issue({ ...anna, name: 'bert' });
    return clock.turn(60_000).then(() => {
      tickets.issue(anna);
      assert.equal(levels.get('tickets')?.(), 1);
    });
  });
});

describe('pages of other origins', () => {
  const page = 'https://dashboard.example.com';

  it('may read answers where they are named, and every answer says that it depends on the origin', async () => {
    await using app = await rig({ cors: corsFor([page]) });
    const [named, other, none] = [
      await app.ask('/who', { as: ci, headers: { Origin: page } }),
      await app.ask('/who', { as: ci, headers: { Origin: 'https://elsewhere.example' } }),
      await app.ask('/who', { as: ci }),
    ];
    // This handler sends nothing by `sendHead`, so look at one that does.
    const refused = await app.ask('/nothing', { as: ci, headers: { Origin: page } });
    assert.equal(refused.headers['access-control-allow-origin'], page);
    assert.match(String(refused.headers['access-control-expose-headers']), /X-Run-Phase/);
    assert.equal(refused.headers.vary, 'Origin');
    assert.equal(refused.headers['access-control-allow-credentials'], undefined);
    for (const { status } of [named, other, none]) assert.equal(status, 200);
    for (const headers of [{ Origin: 'https://elsewhere.example' }, {}] as const) {
      const answer = await app.ask('/nothing', { as: ci, headers });
      assert.deepEqual([answer.headers['access-control-allow-origin'], answer.headers.vary], [undefined, 'Origin']);
    }
  });

  it('ask before they send credentials, without any', async () => {
    await using app = await rig({ cors: corsFor([page]) });
    const preflight = { 'Access-Control-Request-Method': 'GET', 'Access-Control-Request-Headers': 'authorization' };
    const may = await app.ask('/logs/ci/build-1', { method: 'OPTIONS', headers: { Origin: page, ...preflight } });
    assert.equal(may.status, 204);
    assert.equal(may.headers['access-control-allow-origin'], page);
    assert.equal(may.headers['access-control-allow-methods'], 'GET, HEAD, POST');
    assert.match(String(may.headers['access-control-allow-headers']), /^Authorization, .*If-None-Match/);
    assert.equal(may.headers['access-control-max-age'], '600');
    const mayNot = await app.ask('/who', {
      method: 'OPTIONS',
      headers: { Origin: 'https://elsewhere.example', ...preflight },
    });
    assert.deepEqual([mayNot.status, mayNot.headers['access-control-allow-origin']], [401, undefined]);
  });

  it('may not ask at all unless some are named', async () => {
    await using app = await rig();
    const answer = await app.ask('/nothing', { as: ci, headers: { Origin: page } });
    assert.deepEqual([answer.headers['access-control-allow-origin'], answer.headers.vary], [undefined, undefined]);
  });
});

describe('limits at the entrance', () => {
  it('a path behind a host is the path; one with a fragment, or no URL at all, is answered in JSON', async () => {
    await using app = await rig();
    const status = async (path: string, as?: typeof ci) => {
      const answer = await app.ask(path, as === undefined ? {} : { as });
      assert.doesNotMatch(answer.text, /</, path);
      if (answer.status >= 400) assert(JSON.parse(answer.text).requestId, path);
      return answer.status;
    };
    assert.equal(await status('http://elsewhere/who', ci), 200);
    assert.equal(await status('http://elsewhere', ci), 302);
    assert.equal(await status('http://[::1/who'), 401);
    assert.equal(await status('http://[::1/who', ci), 200);
    assert.equal(await status('http://elsewhere?follow=true', ci), 400);
    assert.equal(await status('*', ci), 404);
    assert.equal(await status('/who#/?follow=true', ci), 400);
    assert.equal(app.lines.filter(({ message }) => message === 'request').length, 7);
  });

  it('where everybody knows the password only the names of this machine are answered', async () => {
    await using app = await rig({ onlyLoopbackNames: true });
    const status = async (host: string) => (await app.ask('/who', { as: ci, headers: { Host: host } })).status;
    for (const host of [
      'localhost',
      'LOCALHOST:8080',
      'app.localhost:1',
      '127.0.0.1:8080',
      '127.1.2.3',
      '[::1]:8080',
    ]) {
      assert.equal(await status(host), 200, host);
    }
    for (const host of ['evil.example', 'localhost.evil.example:8080', '127.0.0.1.evil.example', '10.0.0.1', '[::2]']) {
      assert.equal(await status(host), 400, host);
    }
  });

  it('a path that is too long is 414, in JSON like every problem', async () => {
    await using app = await rig({ maxUrlBytes: 300 });
    assert.equal((await app.ask(`/who?x=${'a'.repeat(293)}`, { as: ci })).status, 200);
    const answer = await app.ask(`/who?x=${'a'.repeat(294)}`, { as: ci });
    assert.equal(answer.status, 414);
    const { error, code, requestId } = JSON.parse(answer.text);
    assert.deepEqual(
      [error, code, typeof requestId],
      ['a path with its query may have 300 bytes', 'url-too-long', 'string'],
    );
  });

  it('a body is read over when it is short, and refused when it is long or of no known length', async () => {
    await using app = await rig();
    assert.equal((await app.ask('/who', { as: ci, headers: { 'Content-Length': '5' }, body: 'hello' })).status, 200);
    for (const headers of [{ 'Content-Length': '100000' }, { 'Transfer-Encoding': 'chunked' }] as const) {
      const answer = await app.ask('/who', {
        as: ci,
        headers,
        body: 'x'.repeat(headers['Content-Length'] ? 100_000 : 5),
      });
      assert.deepEqual([answer.status, answer.headers.connection], [413, 'close']);
      assert.equal(JSON.parse(answer.text).code, 'body-too-large');
    }
  });

  it('run 44: a caller over REQUESTS_PER_SECOND is answered 429 with Retry-After', async () => {
    const clock = new HandClock();
    await using app = await rig({ limits: wideLimits({ requestsPerSecond: 1, requestBurst: 2 }, clock) });
    for (const status of [200, 200, 429]) assert.equal((await app.ask('/who', { as: ci })).status, status);
    const answer = await app.ask('/who', { as: ci });
    assert.equal(answer.headers['retry-after'], '1');
    assert.equal((await app.ask('/health')).status, 200);
    await clock.turn(1_000);
    assert.equal((await app.ask('/who', { as: ci })).status, 200);
  });

  it('a connection that sends thousands of requests ahead of their answers is closed', async () => {
    await using app = await rig();
    const authorization = `Basic ${Buffer.from(ci.join(':')).toString('base64')}`;
    const head = `GET /slow HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\n\r\n`;
    const socket = connect(app.port, '127.0.0.1');
    socket.on('error', () => {}); // it may be reset
    socket.write(head.repeat(5_000));
    await new Promise((resolve) => socket.once('close', resolve));
    await eventually(() => assert.equal(app.drain.open, 0));
    assert.deepEqual(app.limited, ['requests ahead']);
    await app.clock.turn(1_000);
    assert.equal((await app.ask('/who', { as: ci })).status, 200);
  });

  it('a request that stands behind another is not begun before that is answered', async () => {
    await using app = await rig();
    const authorization = `Basic ${Buffer.from(ci.join(':')).toString('base64')}`;
    const socket = connect(app.port, '127.0.0.1');
    socket.resume();
    const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\n\r\n`;
    socket.write(request('/slow').repeat(3) + request('/status/ci/build-1'));
    await eventually(() => assert.equal(app.drain.open, 4));
    for (const left of [3, 2, 1]) {
      await eventually(() => assert.equal(app.clock.sleeping, 1));
      assert.equal(app.drain.open, left + 1);
      await app.clock.turn(1_000);
    }
    await eventually(() => assert.equal(app.drain.open, 0));
    socket.destroy();
  });

  it('a connection that sends some ahead gets all answers, in their order', async () => {
    await using app = await rig();
    const authorization = `Basic ${Buffer.from(ci.join(':')).toString('base64')}`;
    const socket = connect(app.port, '127.0.0.1');
    let got = '';
    socket.on('data', (chunk) => {
      got += String(chunk);
    });
    for (let count = 0; count < 30; count++) {
      socket.write(
        `GET /nothing HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nX-Request-Id: r-${count}\r\n\r\n`,
      );
    }
    await eventually(() => assert.equal(got.match(/X-Request-Id: r-\d+/g)?.length, 30));
    assert.deepEqual(
      got.match(/X-Request-Id: r-\d+/g)?.map((line) => Number(line.split('-').at(-1))),
      Array.from({ length: 30 }, (_, place) => place),
    );
    socket.destroy();
  });
});
