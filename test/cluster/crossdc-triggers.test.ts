/**
 * Two rungates as two data centres have them: each leads among its own replicas (a Lease for each), and a lock in a real
 * MariaDB settles which of the two starts runs. Here they look after the same triggers, so that whatever both did would be
 * seen.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import { checkout, type Gateway } from '../support/gateway.ts';
import { onCluster } from '../support/ground.ts';
import { type MariaDb, mariadbSuite, startMariaDb } from '../support/mariadb.ts';
import { runProgram } from '../support/program.ts';
import { type RunManifest, startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';
import { startWire, type Wire } from '../support/wire.ts';
import { kubeconfigFor } from '../support/world.ts';
import { connect } from './cluster.ts';

const sha = (digit: number) => String(digit).repeat(40);
const within = { withinMs: 240_000 };

const names = (runs: readonly RunManifest[]) => runs.map(({ metadata }) => metadata.name).sort();

/** What a line of the audit log says of a write. */
interface Write {
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource: string };
  readonly requestReceivedTimestamp: string;
}

mariadbSuite('two data centres with one lock', () => {
  let mariadb: MariaDb;
  let world: TriggerWorld;
  let pair: readonly [Gateway, Gateway];
  /** From each to the database. */
  let ways: readonly [Wire, Wire];
  let environment: Readonly<Record<string, string>>;

  before(async () => {
    mariadb = await startMariaDb();
    await mariadb.admin("CREATE USER 'lock'@'%' IDENTIFIED BY 's3cret'", "GRANT ALL ON vault.* TO 'lock'@'%'");
    world = await startTriggerWorld({ namespaces: 2, gateway: false });
    await world.pipeline('build');
    await writeFile(join(world.folder, 'dc-2'), await secondAccount());
    ways = [await startWire(mariadb.port), await startWire(mariadb.port)];
    environment = {
      username: 'lock',
      password: 's3cret',
      address: `127.0.0.1:${mariadb.port}`,
      ha_enabled: 'true',
      plaintext_connection_allowed: 'true',
      PARTS: 'triggers',
      // Each leads in its own cluster all the time: what changes here is who has the lock.
      LEASE_SECONDS: '15',
    };
    const start = (place: 0 | 1) =>
      world.startGateway({
        args: ['--cross-dc-leader-elect'],
        env: {
          ...environment,
          address: `127.0.0.1:${ways[place].port}`,
          KUBECONFIG: place === 0 ? world.kubeconfig : join(world.folder, 'dc-2'),
          LEASE_NAMESPACE: world.namespaces[place] ?? '',
          POD_NAME: `dc-${place + 1}`,
        },
        ready: false,
      });
    pair = [await start(0), await start(1)];
  });
  after(async () => {
    await world?.end();
    for (const way of ways ?? []) await way.end();
    await mariadb?.end();
  });

  /** A kubeconfig for an account of the second rungate's own, so that the API server can tell the two apart. */
  const secondAccount = async (): Promise<string> => {
    const { admin, namespace, namespaces } = world;
    const subject = { kind: 'ServiceAccount', name: 'dc-2', namespace };
    await world.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'dc-2' } });
    for (const place of namespaces) {
      // Its Lease is in the second namespace, so it needs the rights for one there as well.
      const at = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
      for (const kind of ['roles', 'rolebindings'] as const) {
        const { items } = await admin.get<{ items: Manifest[] }>(`${at}/${kind}`);
        for (const { metadata, rules, roleRef } of items) {
          await world.apply({
            apiVersion: 'rbac.authorization.k8s.io/v1',
            kind: kind === 'roles' ? 'Role' : 'RoleBinding',
            metadata: { name: kind === 'roles' ? metadata.name : `${metadata.name}-2`, namespace: place },
            ...(kind === 'roles' ? { rules } : { roleRef, subjects: [subject] }),
          } as Manifest);
        }
      }
    }
    const { status } = await admin.post<{ status: { token: string } }>(
      `/api/v1/namespaces/${namespace}/serviceaccounts/dc-2/token`,
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 86_400 } },
    );
    const { server, authority } = admin;
    return kubeconfigFor({ server, authority, namespace, token: status.token });
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
    const first = await eventually(active, within);
    const id = await eventually(async () => {
      const [row] = await mariadb.admin("SELECT IS_USED_LOCK('leader.txt') AS id");
      return row?.id ?? assert.fail('nobody has the lock');
    }, within);
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
    const before = await world.runsOf('t');
    await world.push('app', `main@sha1:${sha(3)}`);
    await bothLive();
    assert.deepEqual(names(await world.runsOf('t')), names(before));
    const backAt = Math.floor(Date.now() / 1_000) * 1_000; // creation times are whole seconds
    await mariadb.start();
    await eventually(active, within);
    const runs = await world.hasRuns('t', 3);
    const [late, ...others] = runs.filter(({ metadata }) => !names(before).includes(metadata.name));
    assert(late !== undefined && others.length === 0);
    assert(Date.parse(late.metadata.creationTimestamp) >= backAt, `${late.metadata.creationTimestamp} is too early`);
  });

  it('the network between the active one and the database is cut, and the other one goes on', async () => {
    const first = await eventually(active, within);
    ways[first].cut();
    await world.push('app', `main@sha1:${sha(4)}`);
    await eventually(async () => assert.equal(await active(), first === 0 ? 1 : 0), within);
    await world.hasRuns('t', 4);
    await bothLive();
    ways[first].mend();
  });

  it('one that is told to stop gives the lock away, and the other goes on', async () => {
    const first = await eventually(active, within);
    assert.equal((await pair[first].stop()).code, 0);
    const other = pair[first === 0 ? 1 : 0];
    await eventually(async () => assert.equal(await other.metric('rungate_leader'), 1), within);
    await world.push('app', `main@sha1:${sha(5)}`);
    await world.hasRuns('t', 5);
  });

  if (onCluster) {
    it('trigger 40: never wrote at the same time, as the audit log of the API server has it', async () => {
      const { own } = await connect();
      const accounts = ['rungate', 'dc-2'].map((name) => `system:serviceaccount:${world.namespace}:${name}`);
      assert(own, 'the cluster is not ours');
      const text = await readFile(own.auditLogPath, 'utf8');
      const writes = text
        .slice(0, text.lastIndexOf('\n')) // what stands behind it is being written
        .split('\n')
        .filter((line) => line.includes(`"namespace":"${world.namespace}"`))
        .map((line) => JSON.parse(line) as Write)
        .filter(({ user, objectRef }) => accounts.includes(user.username) && objectRef?.resource !== 'leases')
        .map(({ user, requestReceivedTimestamp }) => ({ who: user.username, at: Date.parse(requestReceivedTimestamp) }))
        .sort((a, b) => a.at - b.at);
      const changes = writes.flatMap(({ who, at }, place) => {
        const last = writes[place - 1];
        return last === undefined || last.who === who ? [] : [at - last.at];
      });
      assert(changes.length >= 2, `the writer changed ${changes.length} times among ${writes.length} writes`);
      // 15 s of quiet, less the 5 s for which the one before may have believed in its last look.
      for (const gapMs of changes) assert(gapMs >= 10_000, `${gapMs} ms between two writers`);
    });
  }

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
