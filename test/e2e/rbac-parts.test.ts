/**
 * The rights of k8s/components/credentials and k8s/components/triggers-read, each taken away by itself, and a rungate that is to
 * start runs and has k8s/base alone.
 *
 * Lists are asked for page by page here: where the API server streams them, as newer ones do, `watch` covers `list` too.
 */
import assert from 'node:assert/strict';
import type { Manifest } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import type { Gateway } from '../support/gateway.ts';
import { giveAllBut, keyOf, type Right, refusalOf, right, rightsOf } from '../support/rights.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';
import { startWorld, type World } from '../support/world.ts';

const pagesOnly = {
  on: { query: { sendInitialEvents: /true/ } },
  fault: { kind: 'answer', status: 422, body: {} },
} as const;

const logSays = (gateway: Gateway, missing: Right, namespace: string): Promise<void> =>
  eventually(() => assert.match(gateway.log(), refusalOf(missing, namespace)), { withinMs: 240_000 });

describe('the rights of k8s/components/credentials', () => {
  const folders = ['base', 'components/triggers', 'components/credentials'];
  const rights = rightsOf('components/credentials');
  let world: World;
  const namespaceOf = (missing: Right) => world.namespaces[rights.indexOf(missing) + 1] ?? '';
  const path = (namespace: string, name = 'forge') =>
    `/apis/credentials.jquad.rocks/v1alpha1/namespaces/${namespace}/managedcredentials/${name}`;
  const core = (namespace: string, plural: string) => `/api/v1/namespaces/${namespace}/${plural}`;
  interface Condition {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }
  const ready = async (namespace: string, name?: string): Promise<Condition | undefined> => {
    const { status } = await world.admin.get(path(namespace, name));
    const { conditions = [] } = (status ?? {}) as { readonly conditions?: readonly Condition[] };
    return conditions.find(({ type }) => type === 'Ready');
  };
  const says = (namespace: string, reason: string) =>
    eventually(
      async () => {
        const condition = await ready(namespace);
        assert.equal(condition?.reason, reason, JSON.stringify(condition));
        return condition.message;
      },
      { withinMs: 240_000 },
    );
  const credential = (namespace: string, name = 'forge', more: object = {}) =>
    world.apply({
      apiVersion: 'credentials.jquad.rocks/v1alpha1',
      kind: 'ManagedCredential',
      metadata: { name, namespace },
      spec: {
        credentialType: 'git',
        provider: 'git.example.com',
        tokenSecretRef: { name: 'token', namespace },
        ...more,
      },
    });

  before(async function () {
    this.timeout(600_000);
    world = await startWorld({
      namespaces: rights.length + 1,
      components: ['triggers', 'credentials'],
      faults: true,
      gateway: false,
      env: { PARTS: 'triggers', MANAGED_CREDENTIALS: 'on', LEASE_SECONDS: '3' },
    });
    world.faults.add(pagesOnly);
    await Promise.all(
      world.namespaces.map(async (namespace, place) => {
        const missing = rights[place - 1];
        const rest = { admin: world.admin, namespace, folders, account: world.namespace };
        await giveAllBut(missing === undefined ? [] : [missing], rest);
        const metadata = { name: 'token', namespace };
        await world.apply({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { token: 'to nobody' } });
        await credential(namespace);
      }),
    );
    await world.startGateway();
  });
  after(() => world?.end());

  it('are enough, all together, while others lack some', async () => {
    await says(world.namespace, 'Synced');
    await credential(world.namespace, 'forge', { secretTemplate: { type: 'Opaque' } });
    await credential(world.namespace, 'later');
    await eventually(
      async () => {
        const { type } = await world.admin.get<{ type: string }>(`${core(world.namespace, 'secrets')}/forge-secret`);
        assert.equal(type, 'Opaque');
        assert.equal((await ready(world.namespace, 'later'))?.reason, 'Synced');
      },
      { withinMs: 240_000 },
    );
  });

  /** What is different without each of them; resolves when it is seen. */
  const broken: Readonly<Record<string, { readonly so: string; see(namespace: string): Promise<void> }>> = {
    'list managedcredentials.credentials.jquad.rocks': {
      so: 'none of the namespace is looked at',
      see: async (namespace) => {
        await logSays(world.gateway, right('list managedcredentials.credentials.jquad.rocks'), namespace);
        assert.equal(await ready(namespace), undefined);
      },
    },
    'watch managedcredentials.credentials.jquad.rocks': {
      so: 'those of the start are looked at, later ones are not',
      see: async (namespace) => {
        await says(namespace, 'Synced');
        await credential(namespace, 'later');
        await logSays(world.gateway, right('watch managedcredentials.credentials.jquad.rocks'), namespace);
        assert.equal(await ready(namespace, 'later'), undefined);
      },
    },
    'patch managedcredentials/status.credentials.jquad.rocks': {
      so: 'Secrets are made, and nothing is said of it',
      see: async (namespace) => {
        await logSays(world.gateway, right('patch managedcredentials/status.credentials.jquad.rocks'), namespace);
        await world.admin.get(`${core(namespace, 'secrets')}/forge-secret`);
        assert.equal(await ready(namespace), undefined);
      },
    },
    'get secrets': {
      so: 'nothing is made, and the condition says what cannot be read',
      see: async (namespace) => {
        const message = await says(namespace, 'SecretUnreadable');
        assert.match(message, /^Secret .*\/token and what is made of it cannot be read: .* \(403\)$/);
      },
    },
    'create secrets': {
      so: 'the condition says that the Secret was refused',
      see: async (namespace) => {
        assert.match(
          await says(namespace, 'WriteRefused'),
          / Secret .*\/forge-secret \(403 Forbidden\): rungate lacks/,
        );
      },
    },
    'update secrets': {
      so: 'a change does not reach the Secret, and the condition says so',
      see: async (namespace) => {
        await says(namespace, 'Synced');
        await credential(namespace, 'forge', { secretTemplate: { labels: { team: 'a' } } });
        assert.match(
          await says(namespace, 'WriteRefused'),
          / Secret .*\/forge-secret \(403 Forbidden\): rungate lacks/,
        );
      },
    },
    'delete secrets': {
      so: 'a Secret keeps its type, and the condition says so',
      see: async (namespace) => {
        await says(namespace, 'Synced');
        await credential(namespace, 'forge', { secretTemplate: { type: 'Opaque' } });
        assert.match(
          await says(namespace, 'WriteRefused'),
          / Secret .*\/forge-secret \(403 Forbidden\): rungate lacks/,
        );
        const { type } = await world.admin.get<{ type: string }>(`${core(namespace, 'secrets')}/forge-secret`);
        assert.equal(type, 'kubernetes.io/basic-auth');
      },
    },
    'get serviceaccounts': {
      so: 'nothing is made, and the condition says what cannot be read',
      see: async (namespace) => {
        assert.match(await says(namespace, 'SecretUnreadable'), / and what is made of it cannot be read: .* \(403\)$/);
        assert.equal((await world.admin.bytes(`${core(namespace, 'secrets')}/forge-secret`)).status, 404);
      },
    },
    'create serviceaccounts': {
      so: 'the condition says that the ServiceAccount was refused',
      see: async (namespace) => {
        assert.match(
          await says(namespace, 'WriteRefused'),
          / ServiceAccount .*\/forge-sa \(403 Forbidden\): rungate lacks/,
        );
      },
    },
    'update serviceaccounts': {
      so: 'a change does not reach the ServiceAccount, and the condition says so',
      see: async (namespace) => {
        await says(namespace, 'Synced');
        await credential(namespace, 'forge', { serviceAccountTemplate: { labels: { team: 'a' } } });
        assert.match(
          await says(namespace, 'WriteRefused'),
          / ServiceAccount .*\/forge-sa \(403 Forbidden\): rungate lacks/,
        );
      },
    },
  };

  for (const missing of rights) {
    const told = broken[keyOf(missing)];
    it(`${keyOf(missing)}: ${told?.so}`, async () => {
      assert.ok(told, 'no test shows what it is for');
      await told.see(namespaceOf(missing));
    });
  }
});

describe('the rights of k8s/components/triggers-read', () => {
  const folders = ['base', 'components/triggers-read'];
  const [get, list, watch] = rightsOf('components/triggers-read');
  let world: World;
  before(async () => {
    world = await startWorld({ namespaces: 4, components: ['triggers-read'], faults: true, gateway: false });
    world.faults.add(pagesOnly);
    for (const [place, missing] of [undefined, get, list, watch].entries()) {
      const namespace = world.namespaces[place] ?? '';
      await giveAllBut(missing ? [missing] : [], { admin: world.admin, namespace, folders, account: world.namespace });
      await make(namespace, 'app');
    }
  });
  after(() => world?.end());
  const make = (namespace: string, name: string): Promise<Manifest[]> =>
    world.apply({
      apiVersion: 'pipeline.jquad.rocks/v1alpha1',
      kind: 'PipelineTrigger',
      metadata: { name, namespace },
      spec: { source: { kind: 'GitRepository', name: 'app' }, pipeline: { name: 'build' } },
    });
  const names = async (gateway: Gateway, namespace: string): Promise<readonly string[]> => {
    const { status, text } = await gateway.get(`/triggers/${namespace}`);
    assert.equal(status, 200, text);
    return (JSON.parse(text) as { items: readonly { name: string }[] }).items.map(({ name }) => name);
  };

  it('are get, list and watch of triggers, and nothing else', () => {
    const resource = 'pipelinetriggers.pipeline.jquad.rocks';
    assert.deepEqual(
      rightsOf('components/triggers-read'),
      ['get', 'list', 'watch'].map((verb) => ({ resource, verb })),
    );
  });

  it('list and watch: a gateway that keeps what it sees says that they cannot be read, and shows no new ones', async () => {
    const gateway = await world.startGateway({ env: { CACHE: 'on' } });
    const [home = '', , unlisted = '', unwatched = ''] = world.namespaces;
    assert.ok(list && watch);
    await logSays(gateway, list, unlisted);
    await logSays(gateway, watch, unwatched);
    await Promise.all([home, unwatched].map((namespace) => make(namespace, 'late')));
    await eventually(async () => assert.deepEqual((await names(gateway, home)).toSorted(), ['app', 'late']));
    assert.deepEqual(await names(gateway, unwatched), ['app']);
    const { status, text } = await gateway.get(`/triggers/${unlisted}`);
    assert.equal(status, 502, text);
    assert.match(text, /PipelineTriggers cannot be read/);
    assert.equal((await gateway.get(`/runs/${unlisted}`)).status, 200);
  });

  it('get: a gateway that keeps nothing lists triggers, and cannot tell of one', async () => {
    const gateway = await world.startGateway({ env: { CACHE: 'off' } });
    const [home = '', ungettable = ''] = world.namespaces;
    assert.deepEqual(await names(gateway, ungettable), ['app']);
    const { status, text } = await gateway.get(`/triggers/${ungettable}/app`);
    assert.equal(status, 502, text);
    assert.match(text, /PipelineTriggers cannot be read/);
    assert.equal((await gateway.get(`/triggers/${home}/app`)).status, 200);
  });
});

describe('a rungate that is to start runs, with the rights of k8s/base alone', () => {
  let world: TriggerWorld;
  before(async () => {
    world = await startTriggerWorld({ gateway: false, env: { CACHE: 'on' } });
    const all = rightsOf('components/triggers').filter(
      (each) => !rightsOf('base').some((other) => keyOf(other) === keyOf(each)),
    );
    await giveAllBut(all, { admin: world.admin, namespace: world.namespace, folders: ['base', 'components/triggers'] });
    await world.startGateway();
    await world.pipeline('skips');
    await world.repository('app', `main@sha1:${'1'.repeat(40)}`);
    await world.trigger(`
      apiVersion: pipeline.jquad.rocks/v1alpha1
      kind: PipelineTrigger
      metadata: { name: app }
      spec:
        source: { kind: GitRepository, name: app }
        pipeline: { name: skips, serviceAccountName: default, inputParams: [] }
    `);
  });
  after(() => world?.end());

  it('serves runs, says once of each kind and of the Lease that it lacks the right, and starts nothing', async () => {
    const run = await world.run('green');
    await world.finished(run);
    assert.equal((await world.gateway.get(`/status/${run}?wait=300`)).status, 200);
    await logSays(world.gateway, right('list pipelinetriggers.pipeline.jquad.rocks'), world.namespace);
    await logSays(world.gateway, right('get leases.coordination.k8s.io'), world.namespace);
    const { status, text } = await world.gateway.get(`/triggers/${world.namespace}`);
    assert.equal(status, 502, text);
    assert.match(text, /PipelineTriggers cannot be read/);
    interface Line {
      readonly level: string;
      readonly message: string;
      readonly resource?: string;
    }
    const loud = world.gateway
      .log()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Line)
      .filter(({ level }) => level === 'warn' || level === 'error')
      .map(({ message, resource = '' }) => `${message} ${resource}`);
    // The gateway shows triggers and the controller looks at them, by one watch.
    assert.deepEqual(loud.toSorted(), [...new Set(loud)].toSorted());
    assert.ok(
      loud.some((line) => line.endsWith(' pipelinetriggers')),
      loud.join('\n'),
    );
    assert.deepEqual(await world.runsOf('app'), []);
  });

  it('begins when it is given the right', async () => {
    await giveAllBut([], {
      admin: world.admin,
      namespace: world.namespace,
      folders: ['base', 'components/triggers'],
    });
    await world.hasRuns('app', 1, 240_000);
    await eventually(
      async () => {
        assert.equal((await world.gateway.get(`/triggers/${world.namespace}/app`)).status, 200);
      },
      { withinMs: 240_000 },
    );
  });
});
