/**
 * Two rungates as two data centres have them: each leads among its own replicas (a Lease for each), and a lock in a real
 * MariaDB settles which of the two starts runs. Here they look after the same triggers, so that whatever both did would be
 * seen.
 */
import assert from 'node:assert/strict';
import { eventually } from '../support/eventually.ts';
import { checkout, type Gateway } from '../support/gateway.ts';
import { type MariaDb, mariadbSuite, startMariaDb } from '../support/mariadb.ts';
import { runProgram } from '../support/program.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

const sha = (digit: number) => String(digit).repeat(40);
const within = { withinMs: 60_000 };

mariadbSuite('two data centres with one lock', () => {
  let mariadb: MariaDb;
  let world: TriggerWorld;
  let pair: readonly [Gateway, Gateway];
  let environment: Readonly<Record<string, string>>;

  before(async () => {
    mariadb = await startMariaDb();
    await mariadb.admin("CREATE USER 'lock'@'%' IDENTIFIED BY 's3cret'", "GRANT ALL ON vault.* TO 'lock'@'%'");
    world = await startTriggerWorld({ namespaces: 2, gateway: false });
    await world.pipeline('build');
    await lease(world.namespaces[1] ?? '');
    environment = {
      username: 'lock',
      password: 's3cret',
      address: `127.0.0.1:${mariadb.port}`,
      ha_enabled: 'true',
      plaintext_connection_allowed: 'true',
      PARTS: 'triggers',
    };
    const start = (place: number) =>
      world.startGateway({
        args: ['--cross-dc-leader-elect'],
        env: { ...environment, LEASE_NAMESPACE: world.namespaces[place] ?? '', POD_NAME: `dc-${place + 1}` },
        ready: false,
      });
    pair = [await start(0), await start(1)];
  });
  after(async () => {
    await world?.end();
    await mariadb?.end();
  });

  /** Lets rungate keep a Lease in that namespace as well. */
  const lease = async (namespace: string) => {
    const rules = [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create', 'get', 'update'] }];
    const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'lease', namespace } };
    await world.apply({ ...rbac, kind: 'Role', rules });
    await world.apply({
      ...rbac,
      kind: 'RoleBinding',
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'lease' },
      subjects: [{ kind: 'ServiceAccount', name: 'rungate', namespace: world.namespace }],
    });
  };
  const active = async (): Promise<0 | 1> => {
    const leads = await Promise.all(pair.map(async (one) => (await one.metric('rungate_leader')) === 1));
    assert.equal(leads.filter(Boolean).length, 1, `who leads: ${leads}`);
    return leads[0] ? 0 : 1;
  };
  /** Both answer the kubelet, whichever is active. */
  const bothLive = async () => {
    for (const { metricsUrl } of pair) {
      const { status } = await fetch(`${metricsUrl}/healthz`);
      assert.equal(status, 200);
    }
  };

  it('trigger 40: one starts runs, and the other stands by and is live', async () => {
    await eventually(active, within);
    await bothLive();
    await world.repository('app', `main@sha1:${sha(1)}`);
    await world.trigger(`
      apiVersion: pipeline.jquad.rocks/v1alpha1
      kind: PipelineTrigger
      metadata: { name: t }
      spec:
        source: { kind: GitRepository, name: app }
        pipeline: { name: build, serviceAccountName: default, inputParams: [] }
    `);
    await world.hasRuns('t', 1);
  });

  it('trigger 40: the session of the active one is killed, and a revision in between gets one run', async () => {
    const first = await active();
    const [{ id }] = (await mariadb.admin("SELECT IS_USED_LOCK('leader.txt') AS id")) as [{ id: number }];
    await mariadb.admin(`KILL ${id}`);
    await eventually(async () => assert.equal(await pair[first].metric('rungate_leader'), 0), within);
    await world.push('app', `main@sha1:${sha(2)}`);
    await bothLive();
    await eventually(active, within);
    await world.hasRuns('t', 2);
  });

  it('while the database is away nobody starts runs, and afterwards one does', async () => {
    await eventually(active, within);
    await mariadb.stop();
    await eventually(async () => {
      for (const one of pair) assert.equal(await one.metric('rungate_leader'), 0);
    }, within);
    await world.push('app', `main@sha1:${sha(3)}`);
    await bothLive();
    await mariadb.start();
    assert.equal((await world.runsOf('t')).length, 2);
    await eventually(active, within);
    await world.hasRuns('t', 3);
  });

  it('one that is told to stop gives the lock away, and the other goes on', async () => {
    const first = await active();
    assert.equal((await pair[first].stop()).code, 0);
    const other = pair[first === 0 ? 1 : 0];
    await eventually(async () => assert.equal(await other.metric('rungate_leader'), 1), within);
    await world.push('app', `main@sha1:${sha(4)}`);
    await world.hasRuns('t', 4);
  });

  const refused: readonly [name: string, env: Readonly<Record<string, string>>, code: number, says: RegExp][] = [
    ['a wrong password', { password: 'wr0ng' }, 1, /Access denied for user 'lock'/],
    ['ha_enabled unset', { ha_enabled: '' }, 2, /value \[\] of 'ha_enabled' could not be understood/],
    ['no username and no password', { username: '', password: '' }, 2, /missing username[\s\S]*missing password/],
  ];
  for (const [name, env, code, says] of refused) {
    it(`trigger 40: ${name} ends the process with a word about it`, async () => {
      const ran = await runProgram(process.execPath, [`${checkout}bin/rungate.js`, '--cross-dc-leader-elect'], {
        env: {
          PATH: process.env.PATH,
          ...environment,
          KUBECONFIG: world.kubeconfig,
          NAMESPACE: world.namespace,
          METRICS_PORT: '0',
          ...env,
        },
      });
      assert.equal(ran.code, code, ran.stdout + ran.stderr);
      assert.match(ran.stderr, says);
      assert.doesNotMatch(ran.stdout + ran.stderr, /wr0ng|s3cret/);
    });
  }
});
