/** The door of every hook: what is let in, what is answered to everything else, and what that costs. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Authority, makeAuthority } from '../support/certificate.ts';
import { eventually } from '../support/eventually.ts';
import { on, refusal } from '../support/fault-proxy.ts';
import { type HookAnswer, notify, postOnce, signatureOf } from '../support/hook-client.ts';
import { type EventBody, goJson } from '../support/hook-events.ts';
import { listenerOf } from '../support/hook-manifests.ts';
import { type HookResult, type HookWorld, patiently, startHookWorld } from '../support/hooks.ts';
import { clusterSuite } from '../support/needs.ts';
import { revisionOf } from '../support/shapes.ts';

/** Of one hook: so few that a slow machine takes less time to send a flood than the limit takes to let all of it through. */
const PER_SECOND = 3;

clusterSuite('the door of hooks', { triggers: true }, function () {
  this.timeout(180_000);
  let world: HookWorld;
  let event: EventBody;
  let body: string;

  before(async () => {
    world = await startHookWorld({
      faults: true,
      env: { TEKTON_TRIGGERS_COMPAT: 'true', HOOKS_PER_SECOND: String(PER_SECOND) },
    });
    await world.pipeline('skips');
    await world.repository('build', revisionOf(2));
    await world.listen('build');
    event = await world.event('build', { revision: revisionOf(2) });
    body = goJson(event);
  });
  afterEach(() => world?.faults.lift());
  after(() => world?.end());

  /** What was asked of the API server about sources and runs since the last `forget`. */
  const reads = () =>
    world.faults.requests
      .filter(({ path, query }) => /repositories\/|pipelineruns/.test(path) && query.get('watch') === null)
      .map(({ method, path }) => `${method} ${path}`);
  const unsigned = () => ({ address: world.provider('build').address });
  /** Without what tells one refusal from another: its id. */
  const words = ({ text }: HookAnswer) => text.replace(/"requestId":"[^"]*"/, '"requestId":""');

  it('event 7: a signature that is missing, wrong, weak, short or twice there is 401, and costs no look at a source', async () => {
    world.faults.forget();
    const right = signatureOf(world.token, body);
    const attempts: readonly (readonly [string, readonly string[], string])[] = [
      ['no header', [], body],
      ['another key', [`X-Signature: ${signatureOf('another', body)}`], body],
      ['sha1', [`X-Signature: ${signatureOf(world.token, body, 'sha1')}`], body],
      ['sha224', [`X-Signature: ${signatureOf(world.token, body, 'sha224')}`], body],
      ['half of it', [`X-Signature: ${right.slice(0, 40)}`], body],
      ['no hex', ['X-Signature: sha256=nothing'], body],
      ['no algorithm', [`X-Signature: ${right.slice('sha256='.length)}`], body],
      ['twice', [`X-Signature: ${right}`, `X-Signature: ${right}`], body],
      ['right and wrong', [`X-Signature: ${right}, ${signatureOf('another', body)}`], body],
      ['another body', [`X-Signature: ${right}`], body.replace('GitRepository', 'GitRepositorz')],
      ['a byte more', [`X-Signature: ${right}`], `${body} `],
    ];
    const said = new Set<string>();
    for (const [name, more, sent] of attempts) {
      const answer = await patiently(() => postOnce(unsigned(), sent, { more }));
      assert.equal(answer?.status, 401, `${name}: ${answer?.text}`);
      said.add(words(answer));
      assert.ok(answer.text.length < 256);
    }
    assert.deepEqual([...said].length, 1, [...said].join('\n'));
    assert.deepEqual(reads(), []);
    assert.deepEqual(await world.runs(), []);
  });

  it('a signature by another of the algorithms that are good is taken', async () => {
    for (const algorithm of ['sha256', 'sha384', 'sha512']) {
      const more = [`X-Signature: ${signatureOf(world.token, body, algorithm)}`];
      const answer = await patiently(() => postOnce(unsigned(), body, { more }));
      assert.equal(answer?.status, 202, answer?.text);
    }
  });

  it('event 8: the bytes of the key count, a newline at its end as well', async () => {
    await world.secret('newline', { token: 'key\n' });
    await world.listen('newline', { secret: 'newline' });
    const post = (token: string) => world.deliver('newline', event, { with: { token } });
    assert.equal((await post('key\n')).status, 202);
    assert.equal((await post('key')).status, 401);
  });

  it('a key is rotated: the previous one is good as well while the Secret has it', async () => {
    await world.secret('rotated', { token: 'new', previous: 'old' });
    await world.listen('rotated', { secret: 'rotated' });
    for (const [token, status] of [
      ['new', 202],
      ['old', 202],
      ['older', 401],
    ] as const) {
      assert.equal((await world.deliver('rotated', event, { with: { token } })).status, status, token);
    }
  });

  it('event 9: what is signed and is no JSON object is 400, and says what is wrong', async () => {
    await world.repository('native', revisionOf(1));
    await world.hook('native');
    const bad = ['', '{', '[]', '[{}]', '"text"', 'null', '{"a":1} more', '\xff', '{"__proto__":{"a":1}}'];
    for (const hook of ['build', 'native']) {
      for (const sent of bad) {
        const { status, text, json } = await world.deliver(hook, Buffer.from(sent, 'latin1'));
        assert.equal(status, 400, `${hook} ${sent}: ${text}`);
        assert.equal(typeof json<{ errorMessage: string }>().errorMessage, 'string');
        assert.ok(text.length < 256, text);
      }
    }
    const { status, text } = await world.deliver('native', '{}');
    assert.equal(status, 400, text);
  });

  it('event 10: what is too long, of another type, packed or no POST is refused by its own status', async () => {
    const { address } = world.provider('build');
    const long = Buffer.alloc(1024 * 1024 + 1, ' ');
    assert.equal((await world.post('build', long)).status, 413);
    const typed = (type: string) => world.deliver('build', body, { with: { headers: { 'Content-Type': type } } });
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', '']) {
      assert.equal((await typed(type)).status, 415, type);
    }
    for (const type of ['application/json; charset=utf-8', 'application/cloudevents+json']) {
      assert.equal((await typed(type)).status, 202, type);
    }
    const packed = await world.post('build', body, { with: { headers: { 'Content-Encoding': 'gzip' } } });
    assert.equal(packed.status, 415);
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
      const answer = await postOnce({ address }, body, { method });
      assert.deepEqual([answer?.status, answer?.headers.allow], [405, 'POST'], method);
    }
    const chunked = await postOnce(
      { address, headers: { 'Content-Length': 'none' } },
      `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      { more: ['Transfer-Encoding: chunked'] },
    );
    assert.ok([400, 401, 411].includes(chunked?.status ?? 0), chunked?.text);
  });

  it('event 11: a hook that is not there says what a wrong signature says, and costs no look at anything', async () => {
    const more = [`X-Signature: ${signatureOf('another', body)}`];
    const wrong = await patiently(() => postOnce(unsigned(), body, { more }));
    world.faults.forget();
    for (const name of ['not-there', 'build2', 'a'.repeat(253), '..%2f', '%00']) {
      const { address } = world.provider(name);
      const answer = await postOnce({ address, token: world.token }, body);
      assert.equal(answer?.status, 404, answer?.text);
      const text = (one: HookAnswer | undefined) =>
        one &&
        words(one)
          .replace(/"code":"[^"]*"/, '"code":""')
          .replace(String(one.status), '');
      assert.equal(text(answer), text(wrong));
    }
    const asked = world.faults.requests.filter(
      ({ path, query }) => !/leases|selfsubject/.test(path) && query.get('watch') === null,
    );
    assert.deepEqual(
      asked.map(({ method, path }) => `${method} ${path}`).filter((line) => /secrets|repositories|runs/.test(line)),
      [],
    );
  });

  it('a bearer token opens a hook whose Secret has one', async () => {
    await world.secret('bearer', { bearer: 'a-long-token' });
    await world.listen('bearer', { secret: 'bearer' });
    const { address } = world.provider('bearer');
    const post = async (Authorization: string) =>
      (await patiently(() => postOnce({ address, headers: { Authorization } }, body)))?.status;
    assert.equal(await post('Bearer a-long-token'), 202);
    assert.equal(await post('bearer a-long-token'), 202); // the scheme is case-insensitive
    assert.equal(await post('Bearer another-token'), 401);
    assert.equal(await post('Basic a-long-token'), 401);
  });

  it('a hook without a Secret is served only where that is allowed', async () => {
    for (const object of listenerOf('open', { secret: undefined })) await world.apply(object);
    const open = await world.startGateway({ env: { ALLOW_UNAUTHENTICATED_HOOKS: 'true' } });
    await world.served('open', [open]);
    const closed = await postOnce({ address: world.provider('open').address }, body);
    assert.ok([401, 404].includes(closed?.status ?? 0), closed?.text);
    const { address } = world.provider('open', open);
    const answer = await patiently(() => postOnce({ address }, body));
    assert.equal(answer?.status, 202, answer?.text);
    await open.stop();
  });

  it('event 38: over TLS, with the authority alone and with a certificate of its own', async () => {
    const [authority, strangers] = [await makeAuthority(), await makeAuthority()];
    const server = await authority.server();
    const file = async (name: string, text: string) => {
      const path = join(world.folder, name);
      await writeFile(path, text, { mode: 0o600 });
      return path;
    };
    const secure = await world.startGateway({
      env: {
        PARTS: 'hooks',
        TLS_CERT_FILE: await file('tls.crt', server.certificate),
        TLS_KEY_FILE: await file('tls.key', server.key),
        TLS_CLIENT_CA_FILE: await file('ca.crt', authority.certificate),
      },
    });
    await world.secret('named', { token: world.token, clientNames: 'notification-controller' });
    await world.listen('named', { secret: 'named' });
    const at = (hook: string) => world.provider(hook, secure).address.replace(/^http:/, 'https:');
    const ca = authority.certificate;
    const post = async (hook: string, tls: object) =>
      (await patiently(() => postOnce({ address: at(hook), token: world.token, tls: { ca, ...tls } }, body)))?.status;
    const shown = async (by: Authority, name: string) => {
      const { key, certificate } = await by.client(name);
      return { key, cert: certificate };
    };
    await eventually(async () => assert.equal(await post('build', {}), 202)); // which it has to know of first
    await eventually(async () => assert.notEqual(await post('named', {}), 404));
    assert.equal(await post('named', await shown(authority, 'notification-controller')), 202);
    assert.equal(await post('named', {}), 401);
    assert.equal(await post('named', await shown(authority, 'somebody-else')), 401);
    assert.ok([undefined, 401].includes(await post('named', await shown(strangers, 'notification-controller'))));
    await secure.stop();
  });

  it('event 39: 200 events within a second: as many as the limit lets through, 429 to the rest, nothing twice', async () => {
    world.faults.forget();
    await world.repository('flood', revisionOf(2));
    await world.listen('flood');
    const events = await Promise.all(
      Array.from({ length: 200 }, (_, place) =>
        world.event('flood', { revision: revisionOf(2), message: `the same, told for the ${place}th time` }),
      ),
    );
    const began = performance.now();
    const answers = await Promise.all(events.map((each) => world.post('flood', each)));
    const most = 50 + 1 + (PER_SECOND * (performance.now() - began)) / 1_000;
    const of = (status: number) => answers.filter((answer) => answer.status === status);
    // 503: let through, and the API server did not answer fifty at once in time.
    const [taken, refused, late] = [of(202), of(429), of(503)];
    assert.equal(taken.length + refused.length + late.length, 200, answers.map(({ status }) => status).join());
    const through = taken.length + late.length;
    assert.ok(through >= 50 && through <= most && refused.length > 0, `${through} of at most ${most}`);
    for (const { headers } of [...refused, ...late]) assert.equal(headers['retry-after'], '3');
    const outcomes = taken.map(({ json }) => json<{ results: HookResult[] }>().results[0]?.outcome);
    const created = outcomes.filter((outcome) => outcome === 'created').length;
    assert.equal(
      outcomes.filter((outcome) => outcome === 'duplicate').length,
      outcomes.length - created,
      outcomes.join(),
    );
    // None says that it has created the run when the one that did was not heard in time, or none came so far.
    const unheard = world.faults.matching(on.create('pipelineruns')).filter(({ status }) => status === undefined);
    assert.ok(created === 1 || (created === 0 && (unheard.length > 0 || taken.length === 0)), outcomes.join());
    assert.ok((await notify(world.provider('flood'), events[0] ?? body, { haste: 10 })).isDelivered);
    assert.equal((await world.runs('flood-')).length, 1);
    const other = await world.event('build', { revision: revisionOf(2) });
    assert.equal((await world.deliver('build', other)).status, 202, 'another hook has a limit of its own');
  });

  it('event 40: stopped in the middle of a delivery: it is finished, or 503, and readiness ends first', async () => {
    const leaving = await world.startGateway({ env: { DRAIN_SECONDS: '20' } });
    await world.repository('drained', revisionOf(2));
    await world.listen('drained');
    await world.served('drained', [leaving]);
    const provider = world.provider('drained', leaving);
    world.faults.add({ on: on.create('pipelineruns'), fault: { kind: 'delay', ms: 2_000 }, times: 1 });
    const told = await world.event('drained', { revision: revisionOf(2) });
    const asked = postOnce(provider, told);
    await eventually(() =>
      assert.ok(world.faults.requests.some(({ fault, end }) => fault === 'delay' && end === undefined)),
    );
    const ended = leaving.stop('SIGTERM');
    await eventually(async () => {
      const ready = await fetch(`${leaving.metricsUrl}/readyz`);
      assert.equal(ready.status, 503);
    });
    const during = await postOnce(provider, { ...told, message: 'while it drains' }).catch(() => undefined);
    assert.ok(during === undefined || during.status === 503, during?.text);
    if (during) assert.ok(Number(during.headers['retry-after']) > 0);
    const answer = await asked;
    assert.ok([202, 503].includes(answer?.status ?? 0), answer?.text);
    await ended;
    const again = await notify(world.provider('drained'), told, { haste: 20 });
    assert.ok(again.isDelivered);
    assert.equal((await world.runs('drained-')).length, 1);
  });

  it('event 40: stopped while a delivery is pending: it goes on looking, and the run is made', async () => {
    const leaving = await world.startGateway({ env: { DRAIN_SECONDS: '60' } });
    await world.repository('late', revisionOf(2));
    await world.listen('late');
    await world.served('late', [leaving]);
    const told = await world.event('late', { revision: revisionOf(3) });
    const answer = await patiently(() => postOnce(world.provider('late', leaving), told));
    assert.match(answer?.text ?? '', /"outcome":"pending"/);
    const ended = leaving.stop('SIGTERM');
    await eventually(async () => assert.equal((await fetch(`${leaving.metricsUrl}/readyz`)).status, 503));
    await world.push('late', revisionOf(3));
    assert.equal((await ended).code, 0);
    assert.equal((await world.runs('late-')).length, 1);
  });

  it('a replica is ready when it knows its hooks: not every sender tries again', async () => {
    // The first list of the one that comes: whoever watches already says from where on.
    const first = { path: /\/eventlisteners$/, query: { resourceVersion: /^$/ } };
    world.faults.add({ on: first, fault: { kind: 'delay', ms: 10_000 }, times: 1 });
    const coming = await world.startGateway({ ready: false });
    await eventually(async () => {
      const { status, text } = await coming.get('/ready');
      assert.equal(status, 503);
      assert.match(text, /"not ready: eventlisteners of hooks is listing"/);
    });
    assert.equal((await fetch(`${coming.metricsUrl}/readyz`)).status, 503);
    await eventually(async () => assert.equal((await fetch(`${coming.metricsUrl}/readyz`)).status, 200), {
      withinMs: 60_000,
    });
    assert.equal((await coming.get(`/hooks/${world.namespace}/build/deliveries`)).status, 200);
    await coming.stop();
  });

  it('while the API server is away the answer is 503 with Retry-After, and the sender who comes again has its run', async () => {
    await world.repository('away', revisionOf(2));
    await world.listen('away');
    const told = await world.event('away', { revision: revisionOf(2) });
    world.faults.add({ on: on.create('pipelineruns'), fault: refusal(500) });
    const answer = await world.post('away', told);
    assert.equal(answer.status, 503, answer.text);
    assert.equal(answer.headers['retry-after'], '3');
    world.faults.lift();
    assert.ok((await notify(world.provider('away'), told, { haste: 20 })).isDelivered);
    assert.equal((await world.runs('away-')).length, 1);
  });
});
