/** Each right of k8s/components/credentials is needed: without it one thing does not work, and it is said what. */
import assert from 'node:assert/strict';
import type { Manifest } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import { type Right, rightsOf, without } from '../support/rights.ts';
import { startWorld, type World } from '../support/world.ts';

interface Written {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** What is done once the right is gone, and what is then said of the credential. */
interface Case {
  /** Merged into the spec of a credential that was ready before; without it, the credential is made only then. */
  readonly change?: object;
  readonly reason: string;
  readonly message: RegExp;
}

const cases: Readonly<Record<string, Case>> = {
  'get secrets': { reason: 'SecretUnreadable', message: /cannot be read: Kubernetes refused the request \(403\)$/ },
  'create secrets': { reason: 'WriteRefused', message: /^Kubernetes refused Secret .* \(403 Forbidden\)/ },
  'update secrets': {
    change: { provider: 'other.example.com' },
    reason: 'WriteRefused',
    message: /^Kubernetes refused Secret .* \(403 Forbidden\)/,
  },
  'delete secrets': {
    change: { credentialType: 'generic' },
    reason: 'WriteRefused',
    message: /^Kubernetes refused Secret .* \(403 Forbidden\)/,
  },
  'get serviceaccounts': {
    reason: 'SecretUnreadable',
    message: /cannot be read: Kubernetes refused the request \(403\)$/,
  },
  'create serviceaccounts': {
    reason: 'WriteRefused',
    message: /^Kubernetes refused ServiceAccount .* \(403 Forbidden\)/,
  },
  'update serviceaccounts': {
    change: { serviceAccountTemplate: { labels: { team: 'a' } } },
    reason: 'WriteRefused',
    message: /^Kubernetes refused ServiceAccount .* \(403 Forbidden\)/,
  },
};
/** API servers before 1.32 do not send a list as the beginning of a watch, nor do some proxies let one through. */
const forOthers = ['list managedcredentials.credentials.jquad.rocks'];
/** Those without which there is nothing to say it in. */
const silent = [
  'watch managedcredentials.credentials.jquad.rocks',
  'patch managedcredentials/status.credentials.jquad.rocks',
];
const wordsOf = ({ verb, resource }: Right) => `${verb} ${resource}`;

describe('the rights of k8s/components/credentials', () => {
  let world: World;
  let role: Manifest;

  before(async () => {
    world = await startWorld({
      components: ['triggers', 'credentials'],
      env: { PARTS: 'triggers', MANAGED_CREDENTIALS: 'on' },
    });
    const kept = await world.admin.get(
      `/apis/rbac.authorization.k8s.io/v1/namespaces/${world.namespace}/roles/rungate-credentials`,
    );
    const { apiVersion, kind, metadata, rules } = kept;
    role = { apiVersion, kind, rules, metadata: { name: metadata.name ?? '', namespace: world.namespace } };
  });
  after(() => world?.end());

  /** Gives rungate's account these rights, and waits until the API server knows. */
  const give = async (given: Manifest, { verb, resource }: Right, allowed: boolean) => {
    await world.admin.apply(given);
    const [name = '', ...group] = resource.split('.');
    const [plural, subresource] = name.split('/');
    const isKnown = async () => {
      const { status } = await world.admin.post<{ status: { allowed: boolean } }>(
        '/apis/authorization.k8s.io/v1/subjectaccessreviews',
        {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          spec: {
            user: `system:serviceaccount:${world.namespace}:rungate`,
            resourceAttributes: {
              namespace: world.namespace,
              verb,
              group: group.join('.'),
              resource: plural,
              ...(subresource === undefined ? {} : { subresource }),
            },
          },
        },
      );
      assert.equal(status.allowed, allowed);
    };
    await eventually(isKnown, { withinMs: 120_000 });
  };
  const pathOf = (name: string) =>
    `/apis/credentials.jquad.rocks/v1alpha1/namespaces/${world.namespace}/managedcredentials/${name}`;
  const make = async (name: string) => {
    await world.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: `${name}-token` },
      stringData: { token: 'glpat-0123456789abcdef' },
    });
    await world.apply({
      apiVersion: 'credentials.jquad.rocks/v1alpha1',
      kind: 'ManagedCredential',
      metadata: { name },
      spec: {
        credentialType: 'git',
        provider: 'git.example.com',
        tokenSecretRef: { name: `${name}-token`, namespace: world.namespace },
      },
    });
  };
  const says = (name: string, reason: string) =>
    eventually(
      async () => {
        const { status } = await world.admin.get<{ status?: { conditions?: readonly Written[] } }>(pathOf(name));
        const ready = status?.conditions?.find(({ type }) => type === 'Ready');
        assert.equal(ready?.reason, reason);
        return ready;
      },
      { withinMs: 240_000 },
    );

  it('are all shown to be needed here, but for those that other servers need', () => {
    const rights = rightsOf('components/credentials').map(wordsOf);
    assert.deepEqual(rights.sort(), [...Object.keys(cases), ...silent, ...forOthers].sort());
  });

  for (const [words, { change, reason, message }] of Object.entries(cases)) {
    it(`without "${words}" a credential is not ready, and says why`, async () => {
      const [verb = '', resource = ''] = words.split(' ');
      const name = words.replace(' ', '-');
      if (change !== undefined) {
        await make(name);
        await says(name, 'Synced');
      }
      await give(without(role, { verb, resource }), { verb, resource }, false);
      try {
        if (change === undefined) await make(name);
        else await world.admin.patch(pathOf(name), { spec: change });
        assert.match((await says(name, reason)).message, message);
      } finally {
        await give(role, { verb, resource }, true);
      }
    });
  }
});

describe('the rights of k8s/components/credentials that nothing can be said without', () => {
  const specOf = (namespace: string) => ({
    credentialType: 'git',
    provider: 'git.example.com',
    tokenSecretRef: { name: 'quiet-token', namespace },
  });

  for (const words of silent) {
    it(`without "${words}" a credential stays as it was made, and the log says why`, async () => {
      const [verb = '', resource = ''] = words.split(' ');
      await using world = await startWorld({
        components: ['triggers', 'credentials'],
        env: { PARTS: 'triggers', MANAGED_CREDENTIALS: 'on' },
        without: { verb, resource },
      });
      const { namespace, admin, gateway } = world;
      // The list comes after a first watch that was refused, and is over before the next one is.
      const said =
        verb === 'watch'
          ? /"listed".*"managedcredentials"[\s\S]*"watch failed".*"managedcredentials"/
          : /"credentials".*\(403\)/;
      const apiVersion = 'credentials.jquad.rocks/v1alpha1';
      const make = () =>
        world.apply({ apiVersion, kind: 'ManagedCredential', metadata: { name: 'quiet' }, spec: specOf(namespace) });
      // Whoever may not watch still lists: what is there when rungate starts it sees, but nothing that comes later.
      if (verb !== 'watch') await make();
      await eventually(() => assert.match(gateway.log(), said), { withinMs: 240_000 });
      if (verb === 'watch') await make();
      const path = `/apis/${apiVersion}/namespaces/${namespace}/managedcredentials/quiet`;
      assert.equal((await admin.get<{ status?: object }>(path)).status, undefined);
    });
  }
});
