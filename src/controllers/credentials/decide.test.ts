import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parse } from 'yaml';
import { type JsonObject, objectOf } from '../../kube/objects.ts';
import { type Act, allowed, type CredentialFacts, decide, type Outcome, statusOf } from './decide.ts';
import { type ManagedCredential, projectCredential } from './resource.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const now = Date.parse('2026-11-01T10:00:00.500Z');

function credential(spec: string, status: JsonObject = {}): ManagedCredential {
  const written = {
    provider: 'github.com',
    tokenSecretRef: { name: 'token', namespace: 'ci' },
    ...objectOf(parse(spec)),
  };
  return projectCredential({
    metadata: { namespace: 'ci', name: 'forge', uid: 'u1', generation: 2 },
    spec: written,
    status,
  });
}

function factsOf(given: ManagedCredential, more: Partial<CredentialFacts>): CredentialFacts {
  const found = allowed(given, true);
  assert.ok('spec' in found);
  const none = { source: undefined, secret: undefined, serviceAccount: undefined };
  return { credential: given, spec: found.spec, ...none, ...more };
}

const sourceWith = (data: Readonly<Record<string, string>>, type = 'Opaque'): JsonObject => ({
  type,
  data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, base64(text)])),
});
const token = sourceWith({ token: 's3cret' });
const objectFor = (acts: readonly Act[], kind: Act['kind']) => objectOf(acts.find((act) => act.kind === kind)?.object);

/** The object of an act as the API server has it afterwards. */
function taken(acts: readonly Act[], kind: Act['kind'], before?: JsonObject): JsonObject | undefined {
  const act = acts.find((each) => each.kind === kind);
  if (act === undefined) return before;
  const metadata = { uid: `uid-${kind}`, resourceVersion: '7', ...objectOf(act.object.metadata) };
  return { ...act.object, metadata };
}

describe('what is made of a ManagedCredential', () => {
  const cases: readonly {
    readonly name: string;
    readonly spec: string;
    readonly source: JsonObject;
    readonly type: string;
    readonly data: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
    readonly imagePullSecrets?: readonly string[];
  }[] = [
    {
      name: 'git: the token as the password of oauth2',
      spec: 'credentialType: git',
      source: token,
      type: 'kubernetes.io/basic-auth',
      data: { username: 'oauth2', password: 's3cret' },
      annotations: { 'tekton.dev/git-0': 'https://github.com' },
    },
    {
      name: 'git: or of who the Secret names',
      spec: 'credentialType: git\nprovider: git.example.com:8443',
      source: sourceWith({ token: 's3cret', username: 'robot' }),
      type: 'kubernetes.io/basic-auth',
      data: { username: 'robot', password: 's3cret' },
      annotations: { 'tekton.dev/git-0': 'https://git.example.com:8443' },
    },
    {
      name: 'docker-registry: a token, for a registry',
      spec: 'credentialType: docker-registry\nprovider: ghcr.io',
      source: sourceWith({ token: 's3cret', username: 'robot' }),
      type: 'kubernetes.io/basic-auth',
      data: { username: 'robot', password: 's3cret' },
      annotations: { 'tekton.dev/docker-0': 'https://ghcr.io' },
    },
    {
      name: 'docker-registry: docker.io goes by another name',
      spec: 'credentialType: docker-registry\nprovider: docker.io',
      source: token,
      type: 'kubernetes.io/basic-auth',
      data: { username: 'oauth2', password: 's3cret' },
      annotations: { 'tekton.dev/docker-0': 'https://index.docker.io/v1/' },
    },
    {
      name: 'docker-registry: a file of docker is passed on, and pulls images too',
      spec: 'credentialType: docker-registry\nprovider: ghcr.io\nserviceAccountTemplate: { imagePullSecrets: [{ name: mine }] }',
      source: sourceWith({ '.dockerconfigjson': '{"auths":{}}' }, 'kubernetes.io/dockerconfigjson'),
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': '{"auths":{}}' },
      annotations: {},
      imagePullSecrets: ['mine', 'forge-secret'],
    },
    {
      name: 'cloud-provider: the token as it is',
      spec: 'credentialType: cloud-provider\nprovider: some cloud\nsecretTemplate: { dataKey: key.json }',
      source: token,
      type: 'Opaque',
      data: { 'key.json': 's3cret' },
      annotations: {},
    },
    {
      name: 'generic: under whichever key is asked for',
      spec: 'credentialType: generic\nsecretTemplate: { dataKey: __proto__ }',
      source: token,
      type: 'Opaque',
      data: { ['__proto__']: 's3cret' },
      annotations: {},
    },
    {
      name: 'generic: under its own key unless told',
      spec: 'credentialType: generic',
      source: sourceWith({ token: 's3cret', other: 'x' }),
      type: 'Opaque',
      data: { token: 's3cret' },
      annotations: {},
    },
    {
      name: 'a type that is asked for takes the place of its own',
      spec: 'credentialType: git\nsecretTemplate: { type: example.com/mine }',
      source: token,
      type: 'example.com/mine',
      data: { username: 'oauth2', password: 's3cret' },
      annotations: { 'tekton.dev/git-0': 'https://github.com' },
    },
    {
      name: 'templates add, and do not change what Tekton reads',
      spec: 'credentialType: git\nsecretTemplate: { annotations: { tekton.dev/git-0: "https://evil.example", note: mine } }',
      source: token,
      type: 'kubernetes.io/basic-auth',
      data: { username: 'oauth2', password: 's3cret' },
      annotations: { 'tekton.dev/git-0': 'https://github.com', note: 'mine' },
    },
  ];
  for (const { name, spec, source, type, data, annotations, imagePullSecrets = [] } of cases) {
    it(name, () => {
      const { acts, outcome } = decide(factsOf(credential(spec), { source }));
      assert.deepEqual(outcome, { at: 'synced' });
      assert.deepEqual(
        acts.map(({ do: how, kind }) => `${how} ${kind}`),
        ['create Secret', 'create ServiceAccount'],
      );
      const [secret, account] = [objectFor(acts, 'Secret'), objectFor(acts, 'ServiceAccount')];
      assert.equal(secret.type, type);
      assert.deepEqual(secret, { ...secret, ...sourceWith(data, type) });
      const { 'rungate.dev/template-keys': _, ...own } = objectOf(objectOf(secret.metadata).annotations);
      assert.deepEqual(own, annotations);
      assert.deepEqual(account.secrets, [{ name: 'forge-secret' }]);
      assert.deepEqual(
        account.imagePullSecrets,
        imagePullSecrets.map((pulled) => ({ name: pulled })),
      );
      for (const object of [secret, account]) {
        assert.equal(objectOf(object.metadata).namespace, 'ci');
        assert.deepEqual(objectOf(object.metadata).ownerReferences, [
          {
            apiVersion: 'credentials.jquad.rocks/v1alpha1',
            kind: 'ManagedCredential',
            name: 'forge',
            uid: 'u1',
            controller: true,
          },
        ]);
      }
      assert.equal(objectOf(secret.metadata).name, 'forge-secret');
      assert.equal(objectOf(account.metadata).name, 'forge-sa');
    });
  }

  it('what is as it should be is not written again', () => {
    for (const { spec, source } of cases) {
      const { acts } = decide(factsOf(credential(spec), { source }));
      const there = { secret: taken(acts, 'Secret'), serviceAccount: taken(acts, 'ServiceAccount') };
      assert.deepEqual(decide(factsOf(credential(spec), { source, ...there })).acts, []);
    }
  });

  const made = (spec: string, source = token) => {
    const { acts } = decide(factsOf(credential(spec), { source }));
    return { secret: taken(acts, 'Secret') ?? {}, serviceAccount: taken(acts, 'ServiceAccount') ?? {} };
  };

  it('a changed token is written, with the version that was seen', () => {
    const there = made('credentialType: git');
    const source = sourceWith({ token: 'n3w' });
    const { acts } = decide(factsOf(credential('credentialType: git'), { source, ...there }));
    assert.deepEqual(
      acts.map(({ do: how, kind }) => `${how} ${kind}`),
      ['replace Secret'],
    );
    const { data, metadata } = objectFor(acts, 'Secret');
    assert.equal(objectOf(data).password, base64('n3w'));
    assert.equal(objectOf(metadata).resourceVersion, '7');
  });

  it('another type is another Secret: the old one goes only while it is what was seen', () => {
    const there = made('credentialType: git');
    const { acts } = decide(factsOf(credential('credentialType: generic'), { source: token, ...there }));
    const [act] = acts;
    assert.ok(act?.do === 'recreate');
    assert.deepEqual(act.only, { uid: 'uid-Secret', resourceVersion: '7' });
    assert.equal(objectOf(act.object.metadata).uid, undefined);
    assert.equal(objectOf(act.object.metadata).resourceVersion, undefined);
    assert.equal(objectOf(objectOf(act.object.metadata).annotations)['tekton.dev/git-0'], undefined);
  });

  it('a Secret that somebody made immutable is made anew when its token changes, and left alone until then', () => {
    const there = made('credentialType: git');
    const secret = { ...there.secret, immutable: true };
    const facts = { ...there, secret };
    assert.deepEqual(decide(factsOf(credential('credentialType: git'), { source: token, ...facts })).acts, []);
    const source = sourceWith({ token: 'n3w' });
    assert.equal(decide(factsOf(credential('credentialType: git'), { source, ...facts })).acts[0]?.do, 'recreate');
  });

  it('what leaves a template leaves the objects, and what others put there stays', () => {
    const before = 'credentialType: git\nserviceAccountTemplate: { annotations: { role: admin }, labels: { team: a } }';
    const there = made(before);
    const account: JsonObject = {
      ...there.serviceAccount,
      metadata: {
        ...objectOf(there.serviceAccount.metadata),
        annotations: { ...objectOf(objectOf(there.serviceAccount.metadata).annotations), theirs: 'kept' },
      },
      secrets: [{ name: 'forge-secret' }, { name: 'forge-sa-token-x7' }],
      imagePullSecrets: [{ name: 'forge-sa-dockercfg-x7' }],
    };
    const { acts } = decide(factsOf(credential(before), { source: token, ...there, serviceAccount: account }));
    assert.deepEqual(acts, []);
    const after = 'credentialType: git\nserviceAccountTemplate: { labels: { team: b } }';
    const changed = decide(factsOf(credential(after), { source: token, ...there, serviceAccount: account }));
    const written = objectFor(changed.acts, 'ServiceAccount');
    const { annotations, labels } = objectOf(written.metadata);
    assert.equal(objectOf(annotations).role, undefined);
    assert.equal(objectOf(annotations).theirs, 'kept');
    assert.deepEqual(labels, { team: 'b' });
    assert.deepEqual(written.secrets, [{ name: 'forge-secret' }, { name: 'forge-sa-token-x7' }]);
    assert.deepEqual(written.imagePullSecrets, [{ name: 'forge-sa-dockercfg-x7' }]);
  });

  for (const kind of ['secret', 'serviceAccount'] as const) {
    for (const [whose, ownerReferences] of [
      ['nobody', undefined],
      ['another credential', [{ kind: 'ManagedCredential', name: 'forge', uid: 'u0', controller: true }]],
      ['this credential, but not as its controller', [{ kind: 'ManagedCredential', name: 'forge', uid: 'u1' }]],
    ] as const) {
      it(`a ${kind} of that name that belongs to ${whose} is not touched`, () => {
        const name = kind === 'secret' ? 'forge-secret' : 'forge-sa';
        const theirs = { metadata: { name, namespace: 'ci', uid: 'x', ownerReferences } };
        const { acts, outcome } = decide(factsOf(credential('credentialType: git'), { source: token, [kind]: theirs }));
        assert.deepEqual(acts, []);
        assert.equal(outcome.at === 'failed' && outcome.reason, 'NameTaken');
        assert.match(
          outcome.at === 'failed' ? outcome.message : '',
          new RegExp(`ci/${name} exists and does not belong`),
        );
      });
    }
  }

  const wrong: readonly {
    readonly name: string;
    readonly spec: string;
    readonly source?: JsonObject;
    readonly outcome: Outcome;
  }[] = [
    {
      name: 'no Secret',
      spec: 'credentialType: git',
      outcome: { at: 'secret not found', message: 'Secret ci/token does not exist' },
    },
    {
      name: 'a Secret without a token',
      spec: 'credentialType: git',
      source: sourceWith({ password: 'x' }),
      outcome: { at: 'failed', reason: 'KeyMissing', message: 'Secret ci/token has no value under the key token' },
    },
    {
      name: 'an empty token',
      spec: 'credentialType: generic',
      source: sourceWith({ token: '' }),
      outcome: { at: 'failed', reason: 'KeyMissing', message: 'Secret ci/token has no value under the key token' },
    },
    {
      name: 'neither a token nor a file of docker',
      spec: 'credentialType: docker-registry\nprovider: ghcr.io',
      source: sourceWith({ config: 'x' }),
      outcome: {
        at: 'failed',
        reason: 'KeyMissing',
        message: 'Secret ci/token has no value under the key token or .dockerconfigjson',
      },
    },
  ];
  for (const { name, spec, source, outcome } of wrong) {
    it(`${name}: nothing is written, and it says so`, () => {
      assert.deepEqual(decide(factsOf(credential(spec), { source })), { acts: [], outcome });
    });
  }

  it('a Secret of another namespace is not looked at unless that is allowed', () => {
    const other = credential('credentialType: git\ntokenSecretRef: { name: token, namespace: vault }');
    const refused = allowed(other, false);
    assert.ok('at' in refused && refused.at === 'failed');
    assert.match(refused.message, /^spec\.tokenSecretRef\.namespace is vault: .*CREDENTIALS_ACROSS_NAMESPACES/);
    assert.ok('spec' in allowed(other, true));
    assert.ok('spec' in allowed(credential('credentialType: git'), false));
  });

  it('nothing that is said holds anything of a Secret', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('token', 'username', '.dockerconfigjson', 'other'),
          fc.stringMatching(/^SECRET[a-z]{8}$/),
        ),
        fc.constantFrom('git', 'docker-registry', 'cloud-provider', 'generic'),
        (data, type) => {
          const given = credential(`credentialType: ${type}`);
          const { outcome } = decide(factsOf(given, { source: sourceWith(data) }));
          const said = JSON.stringify(statusOf(given, outcome, now));
          assert.ok(!said.includes('SECRET') && !said.includes(base64('SECRET').slice(0, 8)));
        },
      ),
    );
  });
});

describe('the status of a ManagedCredential', () => {
  const typesOf = (status: JsonObject) =>
    (status.conditions as readonly JsonObject[]).map(({ type, status: is, reason }) => `${type} ${is} ${reason}`);
  const failed: Outcome = { at: 'failed', reason: 'KeyMissing', message: 'no key' };
  const missing: Outcome = { at: 'secret not found', message: 'no Secret' };

  it('names what was made', () => {
    const status = statusOf(credential('credentialType: git'), { at: 'synced' }, now);
    assert.deepEqual(typesOf(status), ['Ready True Synced']);
    assert.equal(status.observedGeneration, 2);
    assert.deepEqual(status.secretRef, { apiVersion: 'v1', kind: 'Secret', namespace: 'ci', name: 'forge-secret' });
    const serviceAccount = { apiVersion: 'v1', kind: 'ServiceAccount', namespace: 'ci', name: 'forge-sa' };
    assert.deepEqual(status.serviceAccountRef, serviceAccount);
    const [ready] = status.conditions as readonly JsonObject[];
    assert.equal(ready?.observedGeneration, 2);
    assert.equal(ready?.lastTransitionTime, '2026-11-01T10:00:00Z');
  });

  it('says what is wrong for as long as it is, and what was made stays named', () => {
    const synced = statusOf(credential('credentialType: git'), { at: 'synced' }, now);
    const lost = statusOf(credential('credentialType: git', synced), missing, now);
    assert.deepEqual(typesOf(lost), ['Ready False SecretNotFound', 'SecretNotFound True SecretNotFound']);
    assert.deepEqual(lost.secretRef, synced.secretRef);
    const wrong = statusOf(credential('credentialType: git', lost), failed, now);
    assert.deepEqual(typesOf(wrong), ['Ready False KeyMissing', 'SyncFailed True KeyMissing']);
    assert.deepEqual(typesOf(statusOf(credential('credentialType: git', wrong), { at: 'synced' }, now)), [
      'Ready True Synced',
    ]);
  });

  it('times move only when a condition changes its status, so that saying the same again is no change', () => {
    const given = credential('credentialType: git', statusOf(credential('credentialType: git'), missing, now));
    assert.deepEqual(statusOf(given, missing, now + 60_000), given.status);
    const [ready] = statusOf(given, failed, now + 60_000).conditions as readonly JsonObject[];
    assert.equal(ready?.lastTransitionTime, '2026-11-01T10:00:00Z');
    const [good] = statusOf(given, { at: 'synced' }, now + 60_000).conditions as readonly JsonObject[];
    assert.equal(good?.lastTransitionTime, '2026-11-01T10:01:00Z');
  });

  it('conditions of others stay', () => {
    const theirs = { type: 'Rotated', status: 'True', reason: 'Monthly', message: '', lastTransitionTime: 't' };
    const status = statusOf(credential('credentialType: git', { conditions: [theirs] }), { at: 'synced' }, now);
    assert.deepEqual(typesOf(status), ['Ready True Synced', 'Rotated True Monthly']);
  });
});
