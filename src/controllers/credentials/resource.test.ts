import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parse } from 'yaml';
import { type JsonObject, objectOf } from '../../kube/objects.ts';
import { projectCredential } from './resource.ts';

const credential = (spec: string, metadata: JsonObject = {}) =>
  projectCredential({
    metadata: { namespace: 'ci', name: 'forge', uid: 'u1', generation: 3, ...metadata },
    spec: objectOf(parse(spec)),
  });
const mistakesIn = (spec: string, metadata: JsonObject = {}) => {
  const { spec: read } = credential(spec, metadata);
  return 'mistakes' in read ? read.mistakes : [];
};
const good = 'credentialType: git\nprovider: github.com\ntokenSecretRef: { name: token, namespace: ci }';

describe('a ManagedCredential as it is read', () => {
  it('one with every field', () => {
    const { spec, generation } = credential(`
      credentialType: docker-registry
      provider: registry.example.com:5000/team
      description: pushes images
      tokenSecretRef: { name: registry.token, namespace: vault }
      serviceAccountTemplate:
        annotations: { eks.amazonaws.com/role-arn: "arn:aws:iam::1:role/ci" }
        labels: { team: a }
        imagePullSecrets: [{ name: pull }]
      secretTemplate:
        annotations: { a: b }
        labels: { app.kubernetes.io/part-of: ci, empty: "" }
        type: Opaque
        dataKey: key.json
    `);
    assert.equal(generation, 3);
    assert.deepEqual(spec, {
      type: 'docker-registry',
      provider: 'registry.example.com:5000/team',
      token: { namespace: 'vault', name: 'registry.token' },
      serviceAccount: {
        annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::1:role/ci' },
        labels: { team: 'a' },
        imagePullSecrets: ['pull'],
      },
      secret: {
        annotations: { a: 'b' },
        labels: { 'app.kubernetes.io/part-of': 'ci', empty: '' },
        type: 'Opaque',
        dataKey: 'key.json',
      },
    });
  });

  it('a token whose namespace is not named is in that of the credential', () => {
    const { spec } = credential('credentialType: generic\nprovider: any thing\ntokenSecretRef: { name: token }');
    assert.ok(!('mistakes' in spec));
    assert.deepEqual(spec.token, { namespace: 'ci', name: 'token' });
  });

  const cases: readonly { readonly name: string; readonly spec: string; readonly mistakes: readonly RegExp[] }[] = [
    {
      name: 'nothing at all',
      spec: '{}',
      mistakes: [
        /^spec\.credentialType is missing/,
        /^spec\.provider is missing/,
        /^spec\.tokenSecretRef\.name is missing/,
      ],
    },
    {
      name: 'a type there is not',
      spec: good.replace('git\n', 'ssh\n'),
      mistakes: [/^spec\.credentialType is "ssh"; write one of git, docker-registry, cloud-provider, generic$/],
    },
    {
      name: 'an address instead of a host',
      spec: good.replace('github.com', 'https://github.com'),
      mistakes: [/^spec\.provider is "https:\/\/github\.com"; write a host such as github\.com, without https:\/\/$/],
    },
    {
      name: 'a host with a line break, which would end up in a file of git',
      spec: good.replace('github.com', '"github.com\\nhttps://evil.example"'),
      mistakes: [/^spec\.provider is/],
    },
    {
      name: 'a name that leads elsewhere',
      spec: good.replace('name: token', 'name: ../configmaps/x'),
      mistakes: [/^spec\.tokenSecretRef\.name is "\.\.\/configmaps\/x"; write the name of a Secret$/],
    },
    {
      name: 'a namespace that leads elsewhere',
      spec: good.replace('namespace: ci', 'namespace: a/b'),
      mistakes: [/^spec\.tokenSecretRef\.namespace is "a\/b"; write the name of a namespace$/],
    },
    {
      name: 'a type that Kubernetes fills with the token of any ServiceAccount',
      spec: `${good}\nsecretTemplate: { type: kubernetes.io/service-account-token, annotations: { kubernetes.io/service-account.name: admin } }`,
      mistakes: [/^spec\.secretTemplate\.type is "kubernetes\.io\/service-account-token"/],
    },
    {
      name: 'a type that lets nodes in',
      spec: `${good}\nsecretTemplate: { type: bootstrap.kubernetes.io/token }`,
      mistakes: [/^spec\.secretTemplate\.type/],
    },
    {
      name: 'a key that Kubernetes refuses',
      spec: `${good}\nsecretTemplate: { dataKey: a/b }`,
      mistakes: [/^spec\.secretTemplate\.dataKey is "a\/b"/],
    },
    {
      name: 'labels and annotations that Kubernetes refuses',
      spec: `${good}\nsecretTemplate: { labels: { "no good": x, team: "a b" } }\nserviceAccountTemplate: { annotations: { n: 1 } }`,
      mistakes: [
        /^spec\.serviceAccountTemplate\.annotations\.n is 1, which/,
        /^spec\.secretTemplate\.labels has the key "no good", which/,
        /^spec\.secretTemplate\.labels\.team is "a b", which/,
      ],
    },
    {
      name: 'an image pull secret without a name',
      spec: `${good}\nserviceAccountTemplate: { imagePullSecrets: [{ name: a }, {}] }`,
      mistakes: [/^spec\.serviceAccountTemplate\.imagePullSecrets\[1\]\.name is missing/],
    },
  ];
  for (const { name, spec, mistakes } of cases) {
    it(`${name} is a mistake that names the field`, () => {
      const found = mistakesIn(spec);
      assert.equal(found.length, mistakes.length, found.join('\n'));
      for (const [place, mistake] of mistakes.entries()) assert.match(found[place] ?? '', mistake);
    });
  }

  it('a name that leaves no room for what is made is a mistake', () => {
    assert.deepEqual(mistakesIn(good, { name: 'a'.repeat(246) }), []);
    assert.match(mistakesIn(good, { name: 'a'.repeat(247) })[0] ?? '', /^metadata\.name is too long/);
  });

  it('however much is wrong, what is said of it stays short', () => {
    const labels = Object.fromEntries(
      Array.from({ length: 500 }, (_, place) => [`bad key ${place}`, 'x'.repeat(5_000)]),
    );
    const { spec } = projectCredential({ metadata: {}, spec: { secretTemplate: { labels } } });
    assert.ok('mistakes' in spec);
    assert.ok(spec.mistakes.join('; ').length < 5_000);
  });

  it('whatever is sent, nothing is thrown, and what is good names a Secret and nothing else', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.string(), (value, name) => {
        // Any JSON, as an API server could be made to send it.
        const spec = value as JsonObject;
        projectCredential({ metadata: { name: 'x' }, spec });
        const { spec: read } = projectCredential({
          metadata: { name: 'x', namespace: 'ci' },
          spec: {
            credentialType: 'generic',
            provider: 'p',
            ...objectOf(spec),
            tokenSecretRef: { name, namespace: 'ci' },
          },
        });
        if (!('mistakes' in read)) assert.match(read.token.name, /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);
      }),
    );
  });
});
