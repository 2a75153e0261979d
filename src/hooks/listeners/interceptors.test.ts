import assert from 'node:assert/strict';
import { inThisThread, requestOf } from '../../../test/support/listener-stage.ts';
import type { Json } from '../../kube/objects.ts';
import { sign } from '../signature.ts';
import { type Intercepted, type Interceptor, intercept, readInterceptor } from './interceptors.ts';

function read(json: Json): { interceptor: Interceptor | undefined; mistakes: readonly string[] } {
  const mistakes: string[] = [];
  return { interceptor: readInterceptor(json, 'interceptors[0]', mistakes), mistakes };
}

const secretRef = { secretName: 'hook', secretKey: 'token' };

describe('reading interceptors', () => {
  it('event 28: a block of v1alpha1 is the same as a reference with parameters', () => {
    const overlays = [{ key: 'a.b', expression: 'body.c' }];
    const block = read({ cel: { filter: 'true', overlays } });
    const named = read({
      name: 'only for people',
      ref: { name: 'cel', kind: 'ClusterInterceptor' },
      params: [
        { name: 'filter', value: 'true' },
        { name: 'overlays', value: overlays },
      ],
    });
    assert.deepEqual(block, named);
    assert.deepEqual(block.interceptor, {
      is: 'cel',
      field: 'interceptors[0]',
      filter: 'true',
      overlays: [{ key: ['a', 'b'], expression: 'body.c' }],
    });
  });

  it('takes a reference without a kind, and fields that are there and empty', () => {
    assert.deepEqual(read({ ref: { name: 'cel' }, cel: null, webhook: null, params: null }).mistakes, []);
  });

  it('divides the key of an overlay at its dots, but for those that are escaped', () => {
    const { interceptor } = read({ cel: { overlays: [{ key: 'a.b\\.c.d', expression: '1' }] } });
    assert.deepEqual(interceptor?.is === 'cel' && interceptor.overlays[0]?.key, ['a', 'b.c', 'd']);
  });

  it('has a header of its own for hmac', () => {
    const headerOf = (json: Json) => {
      const { interceptor } = read(json);
      return interceptor?.is === 'sender' ? interceptor.proof?.header : undefined;
    };
    assert.equal(headerOf({ hmac: { secretRef } }), 'X-Signature');
    assert.equal(headerOf({ hmac: { secretRef, header: 'X-Mine' } }), 'X-Mine');
  });

  const cases: readonly { name: string; json: Json; want: RegExp }[] = [
    {
      name: 'none',
      json: {},
      want: /^interceptors\[0\] names no interceptor; use cel, github, gitlab, bitbucket or hmac$/,
    },
    {
      name: 'a webhook',
      json: { webhook: { objectRef: {} } },
      want: /the interceptor "webhook" is not supported; use cel/,
    },
    { name: 'slack', json: { ref: { name: 'slack' } }, want: /the interceptor "slack" is not supported/ },
    {
      name: 'one of the namespace',
      json: { ref: { name: 'cel', kind: 'NamespacedInterceptor' } },
      want: /"cel" is not supported/,
    },
    { name: 'one that is two', json: { cel: {}, github: {} }, want: /is cel and github at once/ },
    {
      name: 'one that is named and written out',
      json: { ref: { name: 'cel' }, github: {} },
      want: /is cel and github at once/,
    },
    { name: 'a filter that is no text', json: { cel: { filter: true } }, want: /filter is no text/ },
    { name: 'overlays that are no list', json: { cel: { overlays: 'x' } }, want: /overlays is no list/ },
    {
      name: 'an overlay without an expression',
      json: { cel: { overlays: [{ key: 'a' }] } },
      want: /overlays\[0\]\.expression is missing/,
    },
    {
      name: 'an overlay without a key',
      json: { cel: { overlays: [{ expression: '1' }] } },
      want: /overlays\[0\]\.key is no path/,
    },
    {
      name: 'an overlay whose key has holes',
      json: { cel: { overlays: [{ key: 'a..b', expression: '1' }] } },
      want: /key is no path/,
    },
    { name: 'hmac without a Secret', json: { hmac: {} }, want: /secretRef is missing/ },
    {
      name: 'a Secret without a key',
      json: { github: { secretRef: { secretName: 'a' } } },
      want: /secretRef\.secretKey is missing/,
    },
    {
      name: 'what would keep somebody out',
      json: { github: { githubOwners: { enabled: true } } },
      want: /"githubOwners" is not supported; leave it out/,
    },
    { name: 'types that are no list', json: { gitlab: { eventTypes: 'Push Hook' } }, want: /eventTypes is no list/ },
  ];
  for (const { name, json, want } of cases) {
    it(`refuses ${name}`, () => {
      const { interceptor, mistakes } = read(json);
      assert.equal(interceptor, undefined);
      assert.match(mistakes.join('; '), want);
    });
  }

  it('passes over what is switched off', () => {
    assert.deepEqual(read({ github: { githubOwners: { enabled: false }, addChangedFiles: null } }).mistakes, []);
  });
});

function outcomeOf(came: Intercepted): string {
  return came.passed ? `passed ${JSON.stringify(came.extensions)}` : `${came.came.outcome} ${came.came.reason}`;
}

async function run(
  interceptors: readonly Json[],
  body: object,
  headers: Readonly<Record<string, string>> = {},
  keys = { token: 'key' },
) {
  const secret = async (namespace: string, name: string, key: string) => {
    const value = namespace === 'apps' && name === 'hook' ? (keys as Readonly<Record<string, string>>)[key] : undefined;
    return value === undefined ? undefined : Buffer.from(value);
  };
  const chain = interceptors.map((json) => read(json).interceptor).filter((each) => each !== undefined);
  assert.equal(chain.length, interceptors.length);
  const { signal } = new AbortController();
  const world = { cel: inThisThread(), secret };
  return outcomeOf(await intercept(chain, { request: requestOf(body, headers), namespace: 'apps', world, signal }));
}

describe('the cel interceptor', () => {
  const cases: readonly { name: string; filter: string; want: string }[] = [
    { name: 'true', filter: 'body.n == 1.0', want: 'passed {}' },
    { name: 'false', filter: 'body.n == 2.0', want: 'filtered NotMatched' },
    { name: 'event 30: a string', filter: "'true'", want: 'filtered NotMatched' },
    { name: 'event 30: a number', filter: '1', want: 'filtered NotMatched' },
    { name: 'event 30: a list', filter: '[true]', want: 'filtered NotMatched' },
    { name: 'event 30: an error', filter: "body.missing == 'x'", want: 'filtered FilterError' },
    {
      name: 'event 30: an error that does not matter',
      filter: "false && body.missing == 'x'",
      want: 'filtered NotMatched',
    },
    {
      name: 'event 29: a header that is not there',
      filter: "header.canonical('Gotk-Component') == 'source-controller'",
      want: 'filtered NotMatched',
    },
  ];
  for (const { name, filter, want } of cases) {
    it(`${name}: ${filter}`, async () => assert.equal(await run([{ cel: { filter } }], { n: 1 }), want));
  }

  it('passes without a filter', async () => assert.equal(await run([{ cel: {} }], {}), 'passed {}'));

  it('adds what its overlays come to, none of which sees the others', async () => {
    const overlays = [
      { key: 'a.b', expression: "body.ref.split('/')[2]" },
      { key: 'a.c', expression: 'body.n' },
      { key: 'd', expression: 'has(extensions.a)' },
    ];
    const came = await run([{ cel: { overlays } }], { ref: 'refs/heads/main', n: 2 });
    assert.equal(came, 'passed {"a":{"b":"main","c":2},"d":false}');
  });

  it('sees what those before it added, and replaces what it adds again', async () => {
    const first = {
      cel: {
        overlays: [
          { key: 'a.x', expression: '1' },
          { key: 'b', expression: '2' },
        ],
      },
    };
    const second = { cel: { filter: 'extensions.a.x == 1.0', overlays: [{ key: 'a.y', expression: 'extensions.b' }] } };
    assert.equal(await run([first, second], {}), 'passed {"a":{"y":2},"b":2}');
  });

  it('stops where an overlay is an error', async () => {
    assert.equal(
      await run([{ cel: { overlays: [{ key: 'a', expression: 'body.missing' }] } }], {}),
      'filtered OverlayError',
    );
  });

  it('keeps keys that are names of methods as keys', async () => {
    const overlays = [{ key: '__proto__.polluted', expression: 'true' }];
    assert.equal(await run([{ cel: { overlays } }], {}), 'passed {"__proto__":{"polluted":true}}');
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  });
});

describe('interceptors that know a sender', () => {
  const body = { action: 'opened' };
  const signature = sign(Buffer.from('key'), Buffer.from(JSON.stringify(body)));
  const wrong = sign(Buffer.from('other'), Buffer.from(JSON.stringify(body)));
  const cases: readonly {
    name: string;
    json: Json;
    headers?: Readonly<Record<string, string>>;
    keys?: { token: string };
    want: string;
  }[] = [
    {
      name: 'github, signed',
      json: { github: { secretRef } },
      headers: { 'x-hub-signature-256': signature },
      want: 'passed {}',
    },
    {
      name: 'github, signed with another key',
      json: { github: { secretRef } },
      headers: { 'x-hub-signature-256': wrong },
      want: 'denied NotAuthenticated',
    },
    { name: 'github, not signed', json: { github: { secretRef } }, want: 'denied NotAuthenticated' },
    {
      name: 'github, without a Secret there',
      json: { github: { secretRef: { ...secretRef, secretName: 'other' } } },
      headers: { 'x-hub-signature-256': signature },
      want: 'failed SecretNotFound',
    },
    {
      name: 'github, with an empty key',
      json: { github: { secretRef } },
      keys: { token: '' },
      headers: { 'x-hub-signature-256': signature },
      want: 'failed SecretNotFound',
    },
    {
      name: 'github, of a type',
      json: { github: { eventTypes: ['push', 'pull_request'] } },
      headers: { 'X-GitHub-Event': 'push' },
      want: 'passed {}',
    },
    {
      name: 'github, of another type',
      json: { github: { eventTypes: ['push'] } },
      headers: { 'X-GitHub-Event': 'ping' },
      want: 'filtered EventType',
    },
    { name: 'github, of no type', json: { github: { eventTypes: ['push'] } }, want: 'filtered EventType' },
    {
      name: 'github, where no type is allowed',
      json: { github: { eventTypes: [] } },
      headers: { 'X-GitHub-Event': 'push' },
      want: 'filtered EventType',
    },
    {
      name: 'gitlab, with the token',
      json: { gitlab: { secretRef, eventTypes: ['Push Hook'] } },
      headers: { 'X-Gitlab-Token': 'key', 'X-Gitlab-Event': 'Push Hook' },
      want: 'passed {}',
    },
    {
      name: 'gitlab, with another token',
      json: { gitlab: { secretRef } },
      headers: { 'X-Gitlab-Token': 'keys' },
      want: 'denied NotAuthenticated',
    },
    {
      name: 'bitbucket, signed',
      json: { bitbucket: { secretRef, eventTypes: ['repo:push'] } },
      headers: { 'X-Hub-Signature': signature, 'X-Event-Key': 'repo:push' },
      want: 'passed {}',
    },
    { name: 'hmac, signed', json: { hmac: { secretRef } }, headers: { 'X-Signature': signature }, want: 'passed {}' },
    {
      name: 'hmac, signed in another header',
      json: {
        ref: { name: 'hmac' },
        params: [
          { name: 'secretRef', value: secretRef },
          { name: 'header', value: 'X-Mine' },
        ],
      },
      headers: { 'x-mine': signature },
      want: 'passed {}',
    },
    { name: 'hmac, not signed', json: { hmac: { secretRef } }, want: 'denied NotAuthenticated' },
  ];
  for (const { name, json, headers = {}, keys, want } of cases) {
    it(name, async () => assert.equal(await run([json], body, headers, keys), want));
  }

  it('asks no more once one has stopped it', async () => {
    const chain = [{ github: { eventTypes: ['push'] } }, { cel: { filter: 'body.missing' } }];
    assert.equal(await run(chain, body), 'filtered EventType');
  });
});
