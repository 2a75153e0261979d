import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HandClock } from '../../test/support/hand-clock.ts';
import { Fault } from '../fault.ts';
import type { JsonObject } from '../kube/objects.ts';
import { hookHeaders } from './headers.ts';
import type { Hook } from './hook.ts';
import { createKeys, namesIn, type Shown } from './keys.ts';
import { sign } from './signature.ts';

const raw = Buffer.from(
  '{"involvedObject":{"kind":"GitRepository","namespace":"apps","name":"web"},"severity":"info"}',
);

const hook = (secret: string | undefined = 'hook'): Hook => ({
  kind: 'EventListener',
  ref: { namespace: 'apps', name: 'build' },
  uid: 'u',
  secret,
  wantsFluxEvent: false,
  receive: () => assert.fail('nothing is received here'),
  tell: () => {},
});

const shown = (headers: readonly string[] = [], clientNames: readonly string[] = []): Shown => ({
  headers: hookHeaders(headers),
  raw,
  clientNames,
});
const signed = (key: string, ...more: readonly string[]) =>
  shown(['X-Signature', sign(Buffer.from(key), raw), ...more]);

/** Keys over one Secret, that a test may change. */
const make = (data: Record<string, string> | undefined, allowUnauthenticated = false) => {
  const clock = new HandClock();
  const world: { data: Record<string, string> | undefined; fault: Fault | undefined } = { data, fault: undefined };
  const reads: string[] = [];
  const reader = {
    async get(path: string): Promise<JsonObject> {
      reads.push(path);
      if (world.fault !== undefined) throw world.fault;
      if (world.data === undefined) throw new Fault('not-found', 'no such object');
      const entries = Object.entries(world.data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
      return { data: Object.fromEntries(entries) as JsonObject };
    },
  };
  return { clock, world, reads, keys: createKeys({ reader, allowUnauthenticated, clock }) };
};

const isOpen = async (
  data: Record<string, string> | undefined,
  what: Shown,
  { of = hook(), allow = false }: { readonly of?: Hook | undefined; readonly allow?: boolean } = {},
): Promise<string> => {
  const checked = await make(data, allow).keys.check(of, what);
  return checked.is === 'open' ? (checked.isSigned ? 'open, signed' : 'open') : checked.why;
};

describe('what opens a hook', () => {
  for (const name of ['..', '.', '', 'a/b', '%2e%2e', 'UPPER', 'a?watch=1']) {
    it(`no Secret can be called ${JSON.stringify(name)}, and nothing else is read in its place`, async () => {
      const { keys, reads } = make({ token: 'k' });
      assert.deepEqual(await keys.check(hook(name), signed('k')), { is: 'closed', why: 'secret not found' });
      assert.deepEqual(reads, []);
    });
  }

  const table: readonly [string, Record<string, string> | undefined, Shown, string][] = [
    ['a signature', { token: 'fluxkey' }, signed('fluxkey'), 'open, signed'],
    [
      'the signature of the specification',
      { token: 'fluxkey' },
      shown(['X-Signature', 'sha256=bb19725af7f235c1bb9594f890a3478de22c162dd6ad59f57dcead59b4dce389']),
      'open, signed',
    ],
    ['none', { token: 'fluxkey' }, shown(), 'wrong signature'],
    ['that of another key', { token: 'fluxkey' }, signed('other'), 'wrong signature'],
    ['that of the key before', { token: 'new', previous: 'old' }, signed('old'), 'open, signed'],
    ['a key that ends in a line break', { token: 'fluxkey\n' }, signed('fluxkey\n'), 'open, signed'],
    ['the same without it', { token: 'fluxkey\n' }, signed('fluxkey'), 'wrong signature'],
    ['an empty key', { token: '' }, signed(''), 'wrong signature'],
    ['a bearer token', { bearer: 'abc' }, shown(['authorization', 'Bearer abc']), 'open'],
    ['another one', { bearer: 'abc' }, shown(['authorization', 'Bearer abd']), 'wrong bearer token'],
    ['the one before', { bearer: 'new', previousBearer: 'old' }, shown(['authorization', 'Bearer old']), 'open'],
    ['a token of two', { token: 'k', bearer: 'abc' }, signed('k'), 'wrong bearer token'],
    ['both of two', { token: 'k', bearer: 'abc' }, signed('k', 'Authorization', 'Bearer abc'), 'open, signed'],
    ['a client name', { clientNames: 'a.example\nspiffe://b, c' }, shown([], ['x', 'spiffe://b']), 'open'],
    ['another name', { clientNames: 'a.example' }, shown([], ['b.example']), 'wrong client certificate'],
    ['no names where none are wanted', { clientNames: '' }, shown(), 'wrong client certificate'],
    ['nothing, of a Secret that is not there', undefined, signed('k'), 'secret not found'],
    ['nothing, of a Secret without keys', { password: 'k' }, signed('k'), 'secret without keys'],
  ];
  for (const [name, data, what, want] of table) {
    it(`${name}: ${want}`, async () => assert.equal(await isOpen(data, what), want));
  }

  it('is nothing where no Secret is named, unless somebody has said that such hooks are served', async () => {
    const open = { ...hook(), secret: undefined };
    assert.equal(await isOpen({}, shown(), { of: open }), 'no secret named');
    assert.equal(await isOpen({}, shown(), { of: open, allow: true }), 'open');
  });

  it('is nothing where there is no hook, and costs no read', async () => {
    const { keys, reads } = make({ token: 'k' }, true);
    assert.deepEqual(await keys.check(undefined, signed('k')), { is: 'closed', why: 'unknown hook' });
    assert.deepEqual(reads, []);
  });
});

describe('the Secret of a hook', () => {
  it('is read once in five seconds while it fits, however many ask', async () => {
    const { clock, keys, reads } = make({ token: 'k' });
    await Promise.all(Array.from({ length: 20 }, () => keys.check(hook(), signed('k'))));
    await clock.turn(4_999);
    await keys.check(hook(), signed('k'));
    assert.deepEqual(reads, ['/api/v1/namespaces/apps/secrets/hook']);
    await clock.turn(1);
    await keys.check(hook(), signed('k'));
    assert.equal(reads.length, 2);
  });

  it('is read again when something does not fit, once in a second: a key that was put in counts at once', async () => {
    const { clock, world, keys, reads } = make({ token: 'old' });
    await keys.check(hook(), signed('old'));
    world.data = { token: 'new' };
    await clock.turn(1_000);
    assert.equal((await keys.check(hook(), signed('new'))).is, 'open');
    assert.equal((await keys.check(hook(), signed('old'))).is, 'closed');
    for (let at = 0; at < 100; at++) await keys.check(hook(), signed('guess'));
    assert.equal(reads.length, 2);
  });

  it('that cannot be read is `unavailable`, for a second', async () => {
    const { clock, world, keys, reads } = make({ token: 'k' });
    const fault = new Fault('refused', 'Kubernetes refused the request (403)');
    world.fault = fault;
    const unavailable = { name: 'Fault', code: 'unavailable', cause: fault };
    for (let at = 0; at < 3; at++) await assert.rejects(keys.check(hook(), signed('k')), unavailable);
    assert.equal(reads.length, 1);
    world.fault = undefined;
    await clock.turn(1_000);
    assert.equal((await keys.check(hook(), signed('k'))).is, 'open');
  });

  it('that is not there is looked for once in a second', async () => {
    const { clock, world, keys, reads } = make(undefined);
    for (let at = 0; at < 3; at++) await keys.check(hook(), signed('k'));
    assert.equal(reads.length, 1);
    world.data = { token: 'k' };
    await clock.turn(1_000);
    assert.equal((await keys.check(hook(), signed('k'))).is, 'open');
  });
});

describe('the names in a certificate', () => {
  it('are read from any text', () => {
    const piece = fc.constantFrom('DNS:', 'URI:', ', ', '"', '\\', 'a', '\n', '\\u00', 'email:');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(piece).map((pieces) => pieces.join('')),
          fc.string(),
        ),
        (text) => {
          namesIn(text);
        },
      ),
    );
  });

  const table: readonly [string | undefined, readonly string[]][] = [
    [undefined, []],
    ['', []],
    ['DNS:A.example, URI:spiffe://td/ns/flux', ['a.example', 'spiffe://td/ns/flux']],
    ['IP Address:192.0.2.1, email:a@b.example', ['192.0.2.1', 'a@b.example']],
    ['othername:<unsupported>, DNS:a.example', ['a.example']],
    // A name that holds what would be two of them, as Node quotes it.
    ['DNS:"a.example, DNS:b.example"', ['a.example, dns:b.example']],
    ['URI:"x\\", DNS:b.example", DNS:c.example', ['x", DNS:b.example', 'c.example']],
    ['DNS:a.example", DNS:b.example', []],
  ];
  for (const [text, want] of table) {
    it(`of ${JSON.stringify(text)}`, () => assert.deepEqual(namesIn(text), want));
  }
});
