/** The door of hooks on real sockets: who is let in, what everybody else is told, how much is taken, and what is known of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '../../src/fault.ts';
import { answers } from '../../src/gateway/problem.ts';
import { refusals } from '../../src/hooks/answers.ts';
import type { Outcome, TriggerResult } from '../../src/hooks/outcome.ts';
import { sign } from '../../src/hooks/signature.ts';
import { makeAuthority } from '../support/certificate.ts';
import { eventually } from '../support/eventually.ts';
import { HandClock } from '../support/hand-clock.ts';
import { type DoorAnswer, type HookDoor, KEY, NAMESPACE, openHookDoor } from '../support/hook-door.ts';

const event = (changes: object = {}) => ({
  involvedObject: {
    kind: 'GitRepository',
    namespace: NAMESPACE,
    name: 'web',
    apiVersion: 'source.toolkit.fluxcd.io/v1',
  },
  severity: 'info',
  timestamp: new Date().toISOString(),
  message: "stored artifact for commit 'a'",
  reason: 'NewArtifact',
  metadata: { revision: `main@sha1:${'b'.repeat(40)}` },
  reportingController: 'source-controller',
  ...changes,
});

/** Without what tells one refusal from another: its id. */
const words = ({ text }: DoorAnswer) => text.replace(/"requestId":"[^"]*"/, '');
const statusOf = (answer: DoorAnswer) => answer.status;

describe('a delivery', () => {
  let door: HookDoor;
  beforeEach(async () => {
    door = await openHookDoor();
  });
  afterEach(() => door[Symbol.asyncDispose]());

  it('that is signed is 202, in the shape of EventListeners', async () => {
    const { status, headers, json } = await door.post(event(), { more: ['Gotk-Component', 'source-controller'] });
    const { eventID, ...rest } = json();
    assert.equal(status, 202);
    assert.match(eventID, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.deepEqual(rest, {
      eventListener: 'build',
      namespace: 'ci',
      eventListenerUID: 'uid of build',
      results: [{ trigger: 'build', outcome: 'created', pipelineRun: 'ci/run' }],
    });
    assert.match(headers['content-type'] ?? '', /^application\/json/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.deepEqual(door.counted, ['EventListener created']);
  });

  it('reaches its hook as it was sent', async () => {
    const body = '{"a":"\\u003c", "n": 1.50}';
    await door.post(body, {
      path: '/hooks/ci/build?x=1',
      more: ['gotk-component', 'a', 'X-Twice', '1', 'x-twice', '2'],
    });
    const [received] = door.received;
    assert(received);
    assert.equal(received.raw.toString(), body);
    assert.equal(received.url, '/hooks/ci/build?x=1');
    assert.deepEqual(received.hook, { namespace: 'ci', name: 'build' });
    assert.deepEqual(received.headers.get('Gotk-Component'), ['a']);
    assert.deepEqual(received.headers.get('X-Twice'), ['1', '2']);
    assert.deepEqual({ ...received.body }, { a: '<', n: 1.5 });
  });

  it('event 7: with a signature that is missing, wrong, weak, short or twice there is 401, and nothing is looked at', async () => {
    const body = JSON.stringify(event());
    const right = sign(Buffer.from(KEY), Buffer.from(body));
    const attempts: readonly (readonly string[])[] = [
      [],
      ['X-Signature', sign(Buffer.from('another'), Buffer.from(body))],
      ['X-Signature', `sha1=${'a'.repeat(40)}`],
      ['X-Signature', right.slice(0, 40)],
      ['X-Signature', `${right}00`],
      ['X-Signature', right.slice('sha256='.length)],
      ['X-Signature', right, 'X-Signature', right],
      ['X-Signature', `${right}, ${right}`],
      ['X-Signature', sign(Buffer.from(KEY), Buffer.from(`${body} `))],
    ];
    const said = new Set<string>();
    for (const more of attempts) {
      const answer = await door.post(body, { key: 'none', more });
      assert.equal(answer.status, 401, more.join(' '));
      assert.equal(answer.headers['www-authenticate'], 'Bearer realm="hook"');
      said.add(words(answer));
    }
    assert.equal(said.size, 1);
    assert.deepEqual(door.received, []);
    assert.deepEqual(new Set(door.reads), new Set(['/api/v1/namespaces/ci/secrets/hook']));
    assert.deepEqual(new Set(door.counted), new Set(['EventListener unauthenticated']));
  });

  it('event 8: is signed with every byte of the key', async () => {
    door.secrets.set('hook', { token: 'key\n' });
    assert.equal((await door.post(event(), { key: 'key\n' })).status, 202);
    assert.equal((await door.post(event(), { key: 'key' })).status, 401);
  });

  it('event 9: that is no JSON object, or no event where one is wanted, is 400 and says why', async () => {
    door.hang('native', { kind: 'PipelineTrigger', wantsFluxEvent: true });
    const nested = `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`;
    for (const body of [
      '',
      '{',
      '[]',
      '"a"',
      'null',
      '1',
      '{"a":1} 2',
      Buffer.from([0x22, 0xff, 0x22]),
      nested,
      '{"__proto__":{}}',
    ]) {
      for (const name of ['build', 'native']) {
        const answer = await door.post(body, { path: `/hooks/ci/${name}` });
        assert.equal(answer.status, 400, `${name} ${body}`);
        const { errorMessage, error, code } = answer.json();
        assert.deepEqual([error, code], [errorMessage, 'bad-request']);
        assert.ok(Buffer.byteLength(answer.text) < 256);
      }
    }
    for (const body of [
      {},
      event({ involvedObject: { kind: 'GitRepository', name: 'web' } }),
      event({ severity: 1 }),
    ]) {
      const answer = await door.post(body, { path: '/hooks/ci/native' });
      assert.equal(answer.status, 400);
    }
    assert.equal((await door.post({}, {})).status, 202, 'an EventListener takes any object');
    assert.deepEqual(door.received.length, 1);
  });

  it('event 10: too long is 413, of another type or packed 415, not posted 405', async () => {
    const long = Buffer.concat([Buffer.from('{}'), Buffer.alloc(1024 * 1024 - 2, ' ')]);
    assert.equal((await door.post(long)).status, 202);
    assert.equal((await door.post(Buffer.concat([long, Buffer.from(' ')]))).status, 413);
    const chunked = await door.post(Buffer.concat([long, Buffer.from(' ')]), {
      more: ['Transfer-Encoding', 'chunked'],
    });
    assert.equal(chunked.status, 413);
    assert.equal((await door.post(event(), { more: ['Transfer-Encoding', 'chunked'] })).status, 202);
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/jsonp',
      'application/json; charset=latin1',
      undefined,
    ]) {
      assert.equal((await door.post(event(), { type })).status, 415, type);
    }
    for (const type of [
      'application/json; charset=utf-8',
      'Application/JSON',
      'application/cloudevents+json;charset="UTF-8"',
    ]) {
      assert.equal((await door.post(event(), { type })).status, 202, type);
    }
    assert.equal((await door.post(event(), { more: ['Content-Encoding', 'gzip'] })).status, 415);
    assert.equal((await door.post(event(), { more: ['Content-Encoding', 'identity'] })).status, 202);
    for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await door.post(event(), { method });
      assert.deepEqual([answer.status, answer.headers.allow, answer.json().code], [405, 'POST', 'method-not-allowed']);
    }
  });

  it('without a length is 411, and the connection is closed where its body was not read', async () => {
    const answer = await rawly(
      door,
      'POST /hooks/ci/build HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\r\n',
    );
    assert.match(answer, /^HTTP\/1.1 411 /);
    const unread = await rawly(
      door,
      'POST /hooks/ci/build HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n',
    );
    assert.match(unread, /^HTTP\/1.1 415 [\s\S]*\r\nConnection: close\r\n/);
  });

  it('event 11: to a hook that is not there is 404, with the words of 401, and costs no read', async () => {
    const wrong = await door.post(event(), { key: 'another' });
    door.reads.length = 0;
    for (const name of ['not-there', 'a'.repeat(253), '..%2f', '%00', 'UPPER', '__proto__']) {
      const answer = await door.post(event(), { path: `/hooks/ci/${name}` });
      assert.equal(answer.status, 404, name);
      assert.equal(words(answer), words(wrong), name);
    }
    assert.equal((await door.post(event(), { path: '/hooks/elsewhere/build' })).status, 404);
    assert.deepEqual(door.reads, []);
    assert.deepEqual(new Set(door.counted.slice(1)), new Set(['none unauthenticated']));
  });

  it('is what the log tells of, refused or not, and no secret is in it', async () => {
    door.hang('quiet', {
      receive: async () => [
        { trigger: 't', outcome: 'filtered', reason: 'NoRevision', message: 'the event names none' },
        { trigger: 'u', outcome: 'created', pipelineRun: 'ci/run' },
      ],
    });
    await door.post(event(), {
      path: '/hooks/ci/quiet',
      more: ['Gotk-Component', 'source-controller', 'X-Request-Id', 'r-1'],
    });
    const delivered = door.lines.find(({ message }) => message === 'hook delivery');
    assert.equal(delivered?.level, 'info');
    const { ms, eventId, ...fields } = delivered?.fields ?? {};
    assert.deepEqual(JSON.parse(JSON.stringify(fields)), {
      kind: 'EventListener',
      namespace: 'ci',
      name: 'quiet',
      status: 202,
      results: 't: filtered (NoRevision: the event names none); u: created ci/run',
      component: 'source-controller',
      object: 'GitRepository/ci/web',
      revision: `main@sha1:${'b'.repeat(40)}`,
      severity: 'info',
      reason: 'NewArtifact',
      client: '127.0.0.1',
      requestId: 'r-1',
    });
    await door.post(event(), { key: 'guess', more: ['Authorization', 'Bearer hunter2'] });
    const audit = door.lines.find(({ message }) => message === 'audit');
    assert.equal(audit?.level, 'warn');
    assert.deepEqual(
      [audit?.fields.decision, audit?.fields.reason, audit?.fields.name],
      ['deny', 'wrong signature', 'build'],
    );
    assert.doesNotMatch(JSON.stringify(door.lines), /hunter2|sha256=|stored artifact/);
    const routes = door.lines.filter(({ message }) => message === 'request').map(({ fields }) => fields.route);
    assert.deepEqual(new Set(routes), new Set(['/hooks/:namespace/:hook']));
  });
});

describe('the time of a signed event', () => {
  const now = Date.parse('2026-11-01T10:00:00Z');
  const table: readonly [string, string | undefined, number][] = [
    ['now', '2026-11-01T10:00:00Z', 202],
    ['ten minutes old', '2026-11-01T09:50:00Z', 202],
    ['older', '2026-11-01T09:49:59Z', 403],
    ['two minutes ahead', '2026-11-01T10:02:00Z', 202],
    ['further ahead', '2026-11-01T10:02:01Z', 403],
    ['none', undefined, 202],
  ];
  for (const [name, timestamp, status] of table) {
    it(`${name}: ${status}`, async () => {
      await using door = await openHookDoor({ clock: new HandClock(now) });
      const answer = await door.post(event({ timestamp }));
      assert.equal(answer.status, status, answer.text);
      if (status === 403) assert.match(answer.json().errorMessage, /^the timestamp is more than \d+ minutes/);
      assert(!door.lines.some(({ message }) => message === 'audit'), 'nobody asked to read anything');
    });
  }

  it('does not matter where the sender shows something else than a signature', async () => {
    await using door = await openHookDoor({ clock: new HandClock(now) });
    door.secrets.set('hook', { bearer: 'token' });
    const answer = await door.post(event({ timestamp: '2020-12-01T00:00:00Z' }), {
      key: 'none',
      more: ['Authorization', 'Bearer token'],
    });
    assert.equal(answer.status, 202);
  });
});

describe('a hook without keys', () => {
  it('is served only where that was said', async () => {
    for (const [allowUnauthenticatedHooks, status] of [
      [false, 401],
      [true, 202],
    ] as const) {
      await using door = await openHookDoor({ settings: { allowUnauthenticatedHooks } });
      door.hang('open', { secret: undefined });
      assert.equal((await door.post(event(), { path: '/hooks/ci/open', key: 'none' })).status, status);
    }
  });

  it('tells its owner, seldom, however often somebody knocks', async () => {
    await using door = await openHookDoor();
    door.secrets.clear();
    for (let at = 0; at < 5; at++) await door.post(event());
    door.hang('open', { secret: undefined });
    await door.post(event(), { path: '/hooks/ci/open' });
    assert.deepEqual(door.told, [
      'Warning HookClosed Nothing is taken: there is no Secret hook.',
      'Warning HookClosed Nothing is taken: the annotation rungate.dev/hook-secret names no Secret, and ALLOW_UNAUTHENTICATED_HOOKS is not true.',
    ]);
  });
});

describe('what hooks answer while something is not as it should be', () => {
  it('503 while hooks are not known, and while their keys cannot be read', async () => {
    await using door = await openHookDoor();
    door.isWaiting = true;
    const waiting = await door.post(event());
    assert.deepEqual([waiting.status, waiting.headers['retry-after']], [503, '3']);
    door.isWaiting = false;
    door.fault = new Fault('refused', 'Kubernetes refused the request (403)');
    const unread = await door.post(event());
    assert.deepEqual([unread.status, unread.headers['retry-after'], unread.json().code], [503, '3', 'unavailable']);
    assert.doesNotMatch(unread.text, /403/);
  });

  const outcomes: readonly [string, readonly Outcome[], number][] = [
    ['nothing ran', ['filtered', 'denied', 'stale', 'failed', 'pending', 'duplicate'], 202],
    ['one run was not taken', ['created', 'unavailable'], 503],
  ];
  for (const [name, which, status] of outcomes) {
    it(`${status} where ${name}`, async () => {
      await using door = await openHookDoor();
      const results: readonly TriggerResult[] = which.map((outcome, at) => ({ trigger: `t${at}`, outcome }));
      door.hang('build', { receive: async () => results });
      const answer = await door.post(event());
      assert.equal(answer.status, status);
      assert.deepEqual(new Set(answer.json().results.map(({ outcome }: TriggerResult) => outcome)), new Set(which));
      assert.equal(answer.headers['retry-after'], status === 503 ? '3' : undefined);
    });
  }

  for (const [error, status] of [
    [new Fault('unavailable', 'Kubernetes cannot be reached'), 503],
    [new Fault('timeout', 'Kubernetes did not answer in time'), 503],
    [new TypeError('a mistake'), 500],
  ] as const) {
    it(`${status} for ${error}, and done anew when it is sent again`, async () => {
      await using door = await openHookDoor();
      door.hang('build', { receive: () => Promise.reject(error) });
      const body = event();
      const failed = await door.post(body);
      assert.equal(failed.status, status);
      assert.doesNotMatch(failed.text, /mistake/);
      door.hang('build');
      const { results } = (await door.post(body)).json();
      assert.equal(results[0].outcome, 'created');
    });
  }

  it('503 after eight seconds, whatever is still to be done; what is done later counts when it is sent again', async () => {
    const clock = new HandClock();
    await using door = await openHookDoor({ clock });
    const { promise, resolve } = Promise.withResolvers<readonly TriggerResult[]>();
    const signals: AbortSignal[] = [];
    door.hang('build', {
      receive: (_request, signal) => {
        signals.push(signal);
        return promise;
      },
    });
    const body = event({ timestamp: new Date(clock.now()).toISOString() });
    const asked = door.post(body);
    await eventually(() => assert.equal(door.received.length, 1));
    await clock.turn(7_999);
    assert.equal(signals[0]?.aborted, false);
    await clock.turn(1);
    const late = await asked;
    assert.deepEqual([late.status, late.headers['retry-after']], [503, '3']);
    assert.equal(signals[0]?.aborted, true);
    resolve([{ trigger: 't', outcome: 'created', pipelineRun: 'ci/run' }]);
    await clock.settle();
    const again = await door.post(body);
    assert.deepEqual(again.json().results, [{ trigger: 't', outcome: 'duplicate', pipelineRun: 'ci/run' }]);
    assert.equal(door.received.length, 1);
  });
});

describe('the same delivery twice', () => {
  it('reaches its hook once', async () => {
    await using door = await openHookDoor();
    const body = event();
    const both = await Promise.all([door.post(body), door.post(body)]);
    const third = await door.post(body);
    const outcomes = [...both, third].map((answer) => answer.json().results[0].outcome);
    assert.deepEqual(outcomes.toSorted(), ['created', 'duplicate', 'duplicate']);
    assert.equal(third.json().eventID, both[0]?.json().eventID);
    assert.equal(door.received.length, 1);
  });

  it('is two where it is for two hooks, for a hook that was made anew, or with another header', async () => {
    await using door = await openHookDoor();
    door.hang('other');
    const body = event();
    await door.post(body, { more: ['X-Request-Id', '1'] });
    await door.post(body, { more: ['X-Request-Id', '2', 'X-Forwarded-For', '192.0.2.1'] });
    assert.equal(door.received.length, 1);
    await door.post(body, { path: '/hooks/ci/other' });
    await door.post(body, { more: ['X-GitHub-Delivery', '1'] });
    door.hang('build', { uid: 'another' });
    await door.post(body);
    assert.equal(door.received.length, 4);
  });
});

describe('where hooks are found', () => {
  const host = (name: string) => ({ path: '/', more: ['Host', name] });

  it('a host of an EventListener leads to it, whatever the path, where that is on', async () => {
    await using door = await openHookDoor({ takesHosts: true });
    for (const name of ['el-build.ci.svc', 'el-build.ci.svc.cluster.local:8080', 'EL-Build.ci.SVC.cluster.local.']) {
      assert.equal((await door.post(event(), host(name))).status, 202, name);
    }
    assert.equal((await door.post(event(), { path: '/status/x?y', more: ['Host', 'el-build.ci.svc'] })).status, 202);
    assert.equal((await door.post(event(), { path: '/hooks/ci/x', more: ['Host', 'el-build.ci.svc'] })).status, 202);
    assert.equal((await door.post(event(), host('el-nothing.ci.svc'))).status, 404);
    assert.equal((await door.post(event(), { ...host('el-build.ci.svc'), method: 'GET' })).status, 405);
    for (const name of ['build.ci.svc', 'el-build.ci', 'xel-build.ci.svc', 'el-build.ci.svcx']) {
      assert.equal((await door.post(event(), host(name))).json().errorMessage, undefined, name);
    }
  });

  it('and leads nowhere where it is off', async () => {
    await using door = await openHookDoor();
    const answer = await door.post(event(), host('el-build.ci.svc'));
    assert.deepEqual([answer.status, answer.json().errorMessage], [401, undefined]);
  });

  it('/live answers as an EventListener does, by its host as well', async () => {
    await using door = await openHookDoor({ takesHosts: true });
    for (const more of [[], ['Host', 'el-build.ci.svc']]) {
      const answer = await door.post('', { path: '/live', method: 'GET', type: undefined, key: 'none', more });
      assert.deepEqual([answer.status, answer.text], [200, 'ok']);
    }
  });

  it('without the gateway there are hooks, /health and /live, and nothing else', async () => {
    await using door = await openHookDoor({ gateway: false });
    const get = (path: string) => door.post('', { path, method: 'GET', type: undefined, key: 'none' }).then(statusOf);
    assert.equal((await door.post(event())).status, 202);
    assert.deepEqual([await get('/health'), await get('/live')], [200, 200]);
    for (const path of [
      '/',
      '/ready',
      '/docs',
      '/openapi.json',
      '/status/a',
      '/hooks/ci/build/deliveries',
      '/hooks/ci',
    ]) {
      assert.equal(await get(path), 404, path);
    }
  });
});

describe('the past of a hook', () => {
  const authorization = `Basic ${Buffer.from('anna:secret').toString('base64')}`;
  const ask = (door: HookDoor, path: string, more: readonly string[] = ['Authorization', authorization]) =>
    door.post('', { path, method: 'GET', type: undefined, key: 'none', more });

  it('is told to callers who may read its namespace, the newest first', async () => {
    await using door = await openHookDoor();
    await door.post(event(), { more: ['Gotk-Component', 'source-controller', 'X-Request-Id', 'r-1'] });
    await door.post('{', { more: ['X-Request-Id', 'r-2'] });
    await door.post(event(), { key: 'wrong' });
    const { status, json } = await ask(door, '/hooks/ci/build/deliveries');
    assert.equal(status, 200);
    const { items, refused, ...rest } = json();
    assert.deepEqual(rest, { namespace: 'ci', name: 'build', kind: 'EventListener' });
    assert.equal(refused.count, 1);
    assert.match(refused.last, /^\d{4}-.*Z$/);
    const [{ time, id, durationMs, error, ...bad }, { time: _time, id: _id, durationMs: _ms, ...good }] = items;
    assert.match(time, /Z$/);
    assert.equal(id.length, 36);
    assert.equal(typeof durationMs, 'number');
    assert.equal(typeof error, 'string');
    const common = { client: '127.0.0.1', repeat: false };
    assert.deepEqual(bad, { ...common, requestId: 'r-2', status: 400, results: [] });
    assert.deepEqual(good, {
      ...common,
      requestId: 'r-1',
      component: 'source-controller',
      involvedObject: { kind: 'GitRepository', namespace: 'ci', name: 'web' },
      revision: `main@sha1:${'b'.repeat(40)}`,
      severity: 'info',
      reason: 'NewArtifact',
      status: 202,
      results: [{ trigger: 'build', outcome: 'created', pipelineRun: 'ci/run' }],
    });
  });

  it('is nobody else’s, and that of a hook that is not there is 404', async () => {
    await using door = await openHookDoor();
    assert.equal((await ask(door, '/hooks/ci/build/deliveries', [])).status, 401);
    assert.equal((await ask(door, '/hooks/other/build/deliveries')).status, 403);
    assert.equal((await ask(door, '/hooks/ci/nothing/deliveries')).status, 404);
    assert.equal((await ask(door, '/hooks/ci/UPPER/deliveries')).status, 400);
    assert.deepEqual((await ask(door, '/hooks/ci/build/deliveries')).json().items, []);
  });
});

describe('a client certificate', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rungate-hooks-'));
  });
  after(() => rm(folder, { recursive: true }));

  it('event 38: opens a hook that wants it by name, and others are served without one', async () => {
    const [authority, strangers] = [await makeAuthority(), await makeAuthority()];
    const server = await authority.server();
    const file = async (name: string, text: string) => {
      await writeFile(join(folder, name), text);
      return join(folder, name);
    };
    await using door = await openHookDoor({
      tls: {
        certFile: await file('tls.crt', server.certificate),
        keyFile: await file('tls.key', server.key),
        clientCaFile: await file('ca.crt', authority.certificate),
      },
    });
    door.hang('named', { secret: 'named' });
    door.secrets.set('named', { clientNames: 'notification-controller, other' });
    const ca = authority.certificate;
    const shown = async (by: typeof authority, name: string) => {
      const { key, certificate } = await by.client(name);
      return { ca, key, cert: certificate };
    };
    const post = (tls: object) =>
      door.post(event(), { path: '/hooks/ci/named', key: 'none', tls }).then(statusOf, () => 'refused in TLS');
    assert.equal((await door.post(event(), { tls: { ca } })).status, 202);
    assert.equal(await post(await shown(authority, 'notification-controller')), 202);
    assert.equal(await post(await shown(authority, 'somebody-else')), 401);
    // Of an authority that has the name of ours, and not its key.
    assert.equal(await post(await shown(strangers, 'notification-controller')), 'refused in TLS');
    assert.equal(await post({ ca }), 401);
  });
});

describe('many deliveries', () => {
  it('event 39: of 200 at once a hook takes its burst, the others are 429, and another hook has its own', async () => {
    const clock = new HandClock();
    await using door = await openHookDoor({ clock });
    door.hang('other');
    const at = new Date(clock.now()).toISOString();
    const send = (_: unknown, place: number) => door.post(event({ message: `the ${place}th`, timestamp: at }));
    const all = await Promise.all(Array.from({ length: 200 }, send));
    const refused = all.filter(({ status }) => status === 429);
    assert.deepEqual([all.filter(({ status }) => status === 202).length, refused.length], [50, 150]);
    for (const { headers, text } of refused) {
      assert.equal(headers['retry-after'], '3');
      assert.ok(text.length < 256);
    }
    assert.equal(door.received.length, 50);
    assert.equal((await door.post(event({ timestamp: at }), { path: '/hooks/ci/other' })).status, 202);
    await clock.turn(3_000);
    assert.equal((await door.post(event({ timestamp: at, message: 'again' }))).status, 202);
    const past = door.lines.filter(({ message }) => message === 'hook delivery');
    assert.equal(past.length, 52, 'what was too much is counted, not told one by one');
  });

  it('are handled so many at a time', async () => {
    await using door = await openHookDoor({ settings: { maxHooks: 2 } });
    const { promise, resolve } = Promise.withResolvers<readonly TriggerResult[]>();
    door.hang('build', { receive: () => promise });
    const open = [1, 2].map((message) => door.post(event({ message: String(message) })));
    await eventually(() => assert.equal(door.received.length, 2));
    assert.equal((await door.post(event({ message: '3' }))).status, 429);
    resolve([]);
    assert.deepEqual((await Promise.all(open)).map(statusOf), [202, 202]);
    assert.equal((await door.post(event({ message: '4' }))).status, 202);
  });

  it('that are wrong keep their address waiting, unless it was right at this hook', async () => {
    const clock = new HandClock();
    await using door = await openHookDoor({ clock });
    door.hang('other', { secret: 'hook' });
    const now = { timestamp: new Date(clock.now()).toISOString() };
    assert.equal((await door.post(event(now))).status, 202);
    for (let at = 0; at < 100; at++)
      assert.equal((await door.post(event(now), { path: '/hooks/ci/nothing' })).status, 404);
    assert.equal((await door.post(event(now), { path: '/hooks/ci/nothing' })).status, 429);
    assert.equal((await door.post(event(now), { path: '/hooks/ci/other' })).status, 429);
    assert.equal((await door.post(event(now))).status, 202);
  });

  it('whose bodies do not come hold up no others', async () => {
    const clock = new HandClock();
    await using door = await openHookDoor({ clock, settings: { maxHooks: 1 } });
    const now = { timestamp: new Date(clock.now()).toISOString() };
    const slow = Array.from({ length: 4 }, () => slowly(door));
    await Promise.all(slow.map(({ sent }) => sent));
    await eventually(() => assert.equal(clock.sleeping, 4));
    assert.equal((await door.post(event(now))).status, 429);
    await clock.turn(1_000);
    assert.equal((await door.post(event(now))).status, 202);
    assert.match(await (slow[0]?.answer ?? ''), /^HTTP\/1.1 408 [\s\S]*Connection: close/);
    for (const { leave } of slow) leave();
  });
});

describe('the end of the process', () => {
  it('event 40: what is under way is finished, and what comes then is 503', async () => {
    await using door = await openHookDoor();
    const { promise, resolve } = Promise.withResolvers<readonly TriggerResult[]>();
    door.hang('build', { receive: () => promise });
    const open = door.post(event({ message: 'under way' }));
    await eventually(() => assert.equal(door.received.length, 1));
    let isOver = false;
    const drained = door.drain().then(() => {
      isOver = true;
    });
    const refused = await door.post(event({ message: 'too late' }));
    assert.deepEqual([refused.status, refused.json().code], [503, 'draining']);
    assert.deepEqual([refused.headers['retry-after'], refused.headers.connection], ['3', 'close']);
    assert.equal(isOver, false);
    resolve([{ trigger: 't', outcome: 'created' }]);
    assert.equal((await open).status, 202);
    await drained;
  });
});

describe('the codes of hooks', () => {
  it('are those of every other error, with the same status', () => {
    for (const [code, { status }] of Object.entries(refusals)) {
      assert.equal(answers[code as keyof typeof refusals].status, status, code);
    }
  });
});

/** Sends bytes as they are, and resolves with what came back when the other side has closed. */
async function rawly(door: HookDoor, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(door.origin).port), '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    socket.end();
  });
  socket.write(bytes);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

/** A request whose body never ends. */
function slowly(door: HookDoor): { readonly sent: Promise<unknown>; readonly answer: Promise<string>; leave(): void } {
  const { port } = new URL(door.origin);
  const socket = connect(Number(port), '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {});
  const sent = once(socket, 'connect').then(() => {
    socket.write(
      'POST /hooks/ci/build HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
    );
  });
  const answer = once(socket, 'close').then(() => Buffer.concat(chunks).toString());
  return { sent, answer, leave: () => socket.destroy() };
}
